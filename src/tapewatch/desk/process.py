"""Answers what the desk is asked, apart from what must not wait: a scan of a universe keeps a core busy for seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.errors import NotFoundError, TapewatchError, UsageError
from ..model.tape import Kind
from ..research.series import Bars
from ..store.query import Place, Progress, Refusal, receive, send
from ..store.reader import Reader
from .bars import UPLOAD, uploaded, with_stored
from .questions import Ask, answer, arrivals

NICENESS = 5


def main() -> None:
    """Answer until standard input ends. The first line says where stored data are; an empty path: nowhere."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    place = msgspec.json.decode(sys.stdin.buffer.readline(), type=Place)
    reader = Reader(Path(place.path), place.url) if place.path else None
    while question := receive(sys.stdin.buffer):
        send(sys.stdout.buffer, _answer(reader, *question))
    if reader is not None:
        reader.close()


def _answer(reader: Reader | None, name: str, arguments: tuple[object, ...]) -> object:
    def progress(done: int, of: int) -> None:
        send(sys.stdout.buffer, Progress(done, of))

    try:
        match name, arguments:
            case "ask", (Ask(kind="hawkes") as ask, _):
                return arrivals(*_times(reader, ask))
            case "ask", (Ask() as ask, dict() as live):
                return answer(ask, [_series(reader, ask, one, live) for one in ask.series], progress)
        raise TypeError(f"nobody asks {name!r}")
    except TapewatchError as error:
        return Refusal.of(error)


def _series(reader: Reader | None, ask: Ask, name: str, live: Mapping[str, Bars]) -> Bars:
    held = live.get(name)
    if reader is None:
        if held is None:
            raise NotFoundError(f"there are no bars of {name}; nothing is stored here")
        return held.last(ask.count)
    venue, _, symbol = name.partition(":")
    if venue == UPLOAD:
        return uploaded(reader, symbol, ask.tf_ms, ask.count, ask.end_ms)
    return with_stored(reader, held, name, ask.tf_ms, ask.count, ask.end_ms)


def _times(reader: Reader | None, ask: Ask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times of stored buys and sells over the span of the bars asked for, ms."""
    venue, _, symbol = ask.series[0].partition(":")
    if venue == UPLOAD:
        raise UsageError("arrivals are fitted to trades; an upload has bars only")
    span = None if reader is None else reader.span(venue, kind=Kind.TRADE)
    end_ms = ask.end_ms or (span[1] + 1 if span else 0)
    start_ms = end_ms - ask.count * ask.tf_ms
    tables = [] if reader is None else list(reader.trades(venue, start_ms, end_ms, [symbol]))
    if not tables:
        raise NotFoundError(f"no trades of {ask.series[0]} are stored for this time; arrivals are fitted to trades")
    times = np.concatenate([table["ts_ms"].to_numpy() for table in tables])
    sold = np.concatenate([table["sell"].to_numpy() for table in tables])
    return times[~sold], times[sold]
