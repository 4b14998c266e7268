"""Questions about stored data, answered in a process of their own: a long one delays neither recording nor the page.

Question and answer are pickles between two halves of one program; the answers are arrays, and pass as they are. An
answer of megabytes is text in pieces: who asked only passes them on.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.errors import NotFoundError, TapewatchError, UsageError
from ..model.instrument import Grid, Instrument
from ..model.shortage import ShortageError
from ..model.tape import Flag
from ..model.views import LIQUIDATION, Footprint
from .reader import Reader

LENGTH = struct.Struct("<Q")
NICENESS = 10
"""Beside a full processor the program that records has ten times the share of this one."""
PIECE_BYTES = 1 << 18
MINUTE_MS, ONE_BIN = 60_000, 1 << 40


class Place(msgspec.Struct, frozen=True):
    """Where the data are: the first line on standard input."""

    path: str
    url: str


class Refusal(msgspec.Struct, frozen=True):
    """A question that cannot be answered: the sentence, and whether the asker is at fault, or names what is not."""

    sentence: str
    usage: bool
    unknown: bool = False
    shortage: tuple[int, int] | None = None
    """How much there is of what it takes how much of."""

    @classmethod
    def of(cls, error: TapewatchError) -> Refusal:
        shortage = (error.have, error.need) if isinstance(error, ShortageError) else None
        return cls(str(error), isinstance(error, UsageError), isinstance(error, NotFoundError), shortage)

    def error(self) -> TapewatchError:
        """The error as the asker raises it."""
        if self.shortage is not None:
            return ShortageError(self.sentence, *self.shortage)
        kind = NotFoundError if self.unknown else UsageError if self.usage else TapewatchError
        return kind(self.sentence)


class Progress(msgspec.Struct, frozen=True):
    """How far a long answer is; any number may come before it."""

    done: int
    of: int


class Piece(msgspec.Struct, frozen=True):
    """Part of a long text; all of them come before the answer, which is how long the text is."""

    text: bytes


Writer = Callable[[Footprint], str]
"""Makes the text of candles."""


def footprint(
    reader: Reader, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
) -> Footprint | None:
    """Stored candles that open in `[start_ms, end_ms)` with bins of `step`; None where nothing is stored."""
    instrument = reader.universe(venue).find(symbol)
    if instrument is None:
        return None
    return reader.footprint(venue, symbol, tf_ms, instrument.step_ticks(step), start_ms, end_ms)


def footprint_text(writer: Writer, *question: Any) -> Iterator[bytes]:
    """The candles of `footprint` as `writer` puts them, in pieces; none where nothing is stored."""
    shown = footprint(*question)
    text = b"" if shown is None else writer(shown).encode()
    return (text[at : at + PIECE_BYTES] for at in range(0, len(text), PIECE_BYTES))


def cvd(reader: Reader, venue: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, Grid] | None:
    """CVD at the end of the stored minutes in `[start_ms, end_ms)`, in the lots beside it; None where none is."""
    if reader.universe(venue).find(symbol) is None:
        return None
    shown = reader.footprint(venue, symbol, MINUTE_MS, ONE_BIN, start_ms, end_ms)
    return (int(shown.candles["cvd"][-1]), shown.instrument.lot) if len(shown.candles) else None


def liquidations(
    reader: Reader, venue: str, symbol: str | None, before_ms: int, newest: int
) -> tuple[list[Instrument], NDArray[np.void]]:
    """The newest stored liquidations before a time (LIQUIDATION without seq), oldest first, and their instruments."""
    universe = reader.universe(venue)
    symbols = None if symbol is None else [symbol]
    rows = reader.liquidations(venue, 0, before_ms, symbols, universe=universe, newest=newest)
    out = np.zeros(len(rows), LIQUIDATION)
    for name in ("instrument", "ts_ms", "event_ms", "qty"):
        out[name] = rows[name]
    out["price_e8"] = rows["price"]
    out["long"] = rows["flags"] & Flag.LONG != 0
    return list(universe), out


QUESTIONS: dict[str, Callable[..., object]] = {"footprint": footprint, "cvd": cvd, "liquidations": liquidations}


def answer_all(writer: Writer) -> None:
    """Answer until standard input ends."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    place = msgspec.json.decode(sys.stdin.buffer.readline(), type=Place)
    reader = Reader(Path(place.path), place.url)
    while question := receive(sys.stdin.buffer):
        send(sys.stdout.buffer, _answer(reader, writer, *question))
    reader.close()


def _answer(reader: Reader, writer: Writer, name: str, arguments: tuple[Any, ...]) -> object:
    try:
        if name != "footprint_text":
            return QUESTIONS[name](reader, *arguments)
        size = 0
        for text in footprint_text(writer, reader, *arguments):
            send(sys.stdout.buffer, Piece(text))
            size += len(text)
        return size
    except TapewatchError as error:
        return Refusal.of(error)


def send(pipe: BinaryIO, message: object) -> None:
    """Write one message with its length before it."""
    pipe.write(packed(message))
    pipe.flush()


def packed(message: object) -> bytes:
    """A message as it goes through the pipe."""
    data = pickle.dumps(message, protocol=5)
    return LENGTH.pack(len(data)) + data


def receive(pipe: BinaryIO) -> Any:
    """Read one message; None at the end."""
    head = pipe.read(LENGTH.size)
    return pickle.loads(pipe.read(LENGTH.unpack(head)[0])) if len(head) == LENGTH.size else None  # noqa: S301
