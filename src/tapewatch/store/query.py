"""Questions about stored data, answered in a process of their own: a long one delays neither recording nor the page.

Question and answer are pickles between two halves of one program; the answers are arrays, and pass as they are.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.errors import NotFoundError, TapewatchError, UsageError
from ..model.instrument import Instrument
from ..model.shortage import ShortageError
from ..model.tape import Flag
from ..model.views import LIQUIDATION, Footprint
from .reader import Reader

LENGTH = struct.Struct("<Q")
NICENESS = 5


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


def footprint(
    reader: Reader, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
) -> Footprint | None:
    """Stored candles that open in `[start_ms, end_ms)` with bins of `step`; None where nothing is stored."""
    instrument = reader.universe(venue).find(symbol)
    if instrument is None:
        return None
    return reader.footprint(venue, symbol, tf_ms, instrument.step_ticks(step), start_ms, end_ms)


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


QUESTIONS: dict[str, Callable[..., object]] = {"footprint": footprint, "liquidations": liquidations}


def main() -> None:
    """Answer until standard input ends."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    place = msgspec.json.decode(sys.stdin.buffer.readline(), type=Place)
    reader = Reader(Path(place.path), place.url)
    while question := receive(sys.stdin.buffer):
        send(sys.stdout.buffer, _answer(reader, *question))
    reader.close()


def _answer(reader: Reader, name: str, arguments: tuple[Any, ...]) -> object:
    try:
        return QUESTIONS[name](reader, *arguments)
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
