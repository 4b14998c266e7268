"""Prices, quantities and money as JSON numbers: exact decimal text, never through a float."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import orjson
from starlette.responses import Response, StreamingResponse

from ..model.instrument import Grid, Instrument

Printer = Callable[[int], str]


def printer(units: int, decimals: int) -> Printer:
    """A function that prints `count` increments with all their decimals: 425005 of 0.1 is ``42500.5``."""
    if not decimals:
        return lambda count: str(count * units)
    width = decimals + 1

    def text(count: int) -> str:
        value = count * units
        digits = str(abs(value)).zfill(width)
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"

    return text


def grid_printer(grid: Grid) -> Printer:
    """Print prices or quantities of one grid."""
    return printer(grid.units, grid.decimals)


def trimmed(units: int, decimals: int) -> Printer:
    """The same without zeros at the end: for money, whose many decimals are mostly zeros."""
    text = printer(units, decimals)
    return (lambda count: text(count).rstrip("0").rstrip(".")) if decimals else text


def quote_printer(instrument: Instrument) -> Printer:
    """Print sums of ticks x lots in quote currency, exactly."""
    tick, lot = instrument.tick, instrument.lot
    return trimmed(tick.units * lot.units, tick.decimals + lot.decimals)


def exact(text: str | bytes) -> orjson.Fragment:
    """Put JSON text, such as that of a number, into JSON as it stands."""
    return orjson.Fragment(text)


def ratio(value: float, decimals: int = 6) -> float | None:
    """A figure that is a ratio, for reading; unknown (NaN) is null."""
    return None if math.isnan(value) else round(value, decimals)


def now_ms() -> int:
    """Our own clock."""
    return time.time_ns() // 1_000_000


def to_json(content: Any) -> bytes:
    """Encode; NaN becomes null."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


_DECIMALS = msgspec.json.Encoder(decimal_format="number")


def answer_rows(content: Any) -> Response:
    """A JSON response whose decimals are exact numbers and whose NaN are null: the encoding of the stream's headers."""
    return Response(_DECIMALS.encode(content), media_type="application/json")


def pieces_answer(pieces: Sequence[bytes]) -> Response:
    """A JSON response of pieces of text, which go out one after the other, as fast as they are taken."""

    async def one_by_one() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    length = {"content-length": str(sum(map(len, pieces)))}
    return StreamingResponse(one_by_one(), media_type="application/json", headers=length)


def answer(content: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(to_json(content), status, media_type="application/json")
