"""Answers what the desk is asked, apart from what must not wait: a scan of a universe keeps a core busy for seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..alerts.rule import Rule
from ..model.errors import TapewatchError, UsageError
from ..model.shortage import ShortageError
from ..model.tape import ROW, Flag, Kind
from ..research import hawkes
from ..research.series import FEWEST, Bars, Ticks
from ..store.query import Place, Progress, Refusal, receive, send
from ..store.reader import Reader
from .ask import Ask
from .bars import UPLOAD, floats, kept, uploaded, why_none, with_stored
from .dryrun import tried
from .questions import answer, arrivals, get_ready, together

NICENESS = 5
Told = Callable[[int, int], None]
HOUR_MS = 3_600_000
MOST_TICKS = 300_000
"""Of one series, the newest."""


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
            case "ask", (Ask() as ask, dict() as live):
                # Told as text: whoever asks has a market to follow, and no time to write some millions of numbers.
                return msgspec.json.encode(_figures(reader, ask, live, progress))
            case "dry_run", (Rule() as rule, int(start_ms), int(end_ms)):
                return tried(reader, rule, start_ms, end_ms)
            case "ready", ():
                get_ready()
                return None
            case "uploads", ():
                return [] if reader is None else kept(reader)
        raise TypeError(f"nobody asks {name!r}")
    except TapewatchError as error:
        return Refusal.of(error)


def _figures(reader: Reader | None, ask: Ask, live: Mapping[str, Bars], progress: Told) -> dict[str, Any]:
    if ask.kind == "hawkes":
        trades = _trades(reader, ask, ask.series[0])
        return arrivals(trades.ts_ms[~trades.sold], trades.ts_ms[trades.sold])
    if ask.kind == "ticks":
        return together(*(_ticks(reader, ask, one, live) for one in ask.series))
    # Reading many series takes as long as testing them: both halves of a scan are told.
    n, series = len(ask.series), list[Bars]()
    for k, one in enumerate(ask.series):
        series.append(_series(reader, ask, one, live))
        if ask.kind == "scan":
            progress(k + 1, 2 * n)
    return answer(ask, series, lambda done, of: progress(of + done, 2 * of))


def _series(reader: Reader | None, ask: Ask, name: str, live: Mapping[str, Bars]) -> Bars:
    held = live.get(name)
    if reader is None:
        if held is None:
            raise ShortageError(why_none(name, ask.prices, stored=False), 0, FEWEST)
        return held.last(ask.count)
    venue, _, symbol = name.partition(":")
    if venue == UPLOAD:
        return uploaded(reader, symbol, ask.tf_ms, ask.count, ask.end_ms)
    return with_stored(reader, held, name, ask.tf_ms, ask.count, ask.end_ms, ask.prices)


@dataclass(frozen=True, slots=True)
class _Trades:
    """Stored trades in order of time; prices in quote currency."""

    ts_ms: NDArray[np.int64]
    price: NDArray[np.float64]
    sold: NDArray[np.bool_]


def _trades(reader: Reader | None, ask: Ask, name: str) -> _Trades:
    """Stored market trades of a series over the span of the bars asked for: the newest `MOST_TICKS` or some more."""
    venue, _, symbol = name.partition(":")
    if venue == UPLOAD:
        raise UsageError("arrivals are fitted to trades; an upload has bars only")
    span = None if reader is None else reader.span(venue, kind=Kind.TRADE)
    end_ms = ask.end_ms or (span[1] + 1 if span else 0)
    universe = None if reader is None else reader.universe(venue)
    if reader is None or span is None or universe is None or universe.find(symbol) is None:
        raise _none_stored(name, "yet")
    start_ms, stop_ms = max(span[0], end_ms - ask.count * ask.tf_ms), min(end_ms, span[1] + 1)
    found: list[NDArray[np.void]] = []
    while stop_ms > start_ms and sum(map(len, found)) < MOST_TICKS:  # an hour at a time, from the newest back
        begin_ms = max(start_ms, stop_ms - HOUR_MS)
        tapes = reader.tapes(venue, begin_ms, stop_ms, [symbol], (Kind.TRADE,), universe)
        found[:0] = [tape.rows[tape.rows["flags"] & Flag.OFF_BOOK == 0] for tape in tapes]
        stop_ms = begin_ms
    rows = np.concatenate([np.zeros(0, ROW), *found])
    if not len(rows):
        raise _none_stored(name, "for this time")
    return _Trades(rows["ts_ms"], floats(rows["price"], universe.get(symbol).tick), rows["flags"] & Flag.SELL != 0)


def _none_stored(name: str, when: str) -> ShortageError:
    return ShortageError(f"no trades of {name} are stored {when}; the newest follow within minutes", 0, hawkes.FEWEST)


def _ticks(reader: Reader | None, ask: Ask, name: str, live: Mapping[str, Bars]) -> Ticks:
    """Stored trades where there are any; else the live last trades of seconds, or the closes of an upload."""
    if name.partition(":")[0] == UPLOAD:
        bars = _series(reader, ask, name, live)
        return Ticks(name, f"closes of {ask.tf_ms} ms", bars.open_ms + bars.tf_ms, bars.close)
    try:
        trades = _trades(reader, ask, name)
    except ShortageError:
        if (seconds := live.get(name)) is None:
            raise
        return Ticks(name, "last trades of seconds", seconds.open_ms + seconds.tf_ms, seconds.close)
    last = np.append(np.flatnonzero(np.diff(trades.ts_ms)), len(trades.ts_ms) - 1)[-MOST_TICKS:]
    return Ticks(name, "trades", trades.ts_ms[last], trades.price[last])
