"""Bars of live, stored and uploaded series, all in the one shape that statistics take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..model.errors import NotFoundError, UsageError
from ..model.views import Footprint
from ..research.series import COLUMNS, Bars
from ..store.bars import bars as imported
from ..store.bars import newest
from ..store.reader import Reader

UPLOAD = "upload"
ONE_BIN = 1 << 40
"""A step wider than any price: candles, no cells."""
DAY_MS = 86_400_000
MOST_STORED_DAYS = 45


def of_candles(shown: Footprint, name: str) -> Bars | None:
    """Bars on trades; candles in which nothing traded have no price and are left out. None where nothing traded."""
    candles = shown.candles[shown.candles["n"] > 0]
    if not len(candles):
        return None
    tick, lot = float(shown.instrument.tick.value), float(shown.instrument.lot.value)
    prices: dict[str, Any] = {column: candles[column] * tick for column in ("open", "high", "low", "close")}
    volume = (candles["bid"] + candles["ask"]) * lot
    times, trades = candles["open_ms"].astype(np.int64), candles["n"].astype(np.int64)
    return Bars(name, shown.tf_ms, times, **prices, volume=volume, trades=trades, gap=candles["gap"] > 0)


def with_stored(reader: Reader, live: Bars | None, name: str, tf_ms: int, count: int, end_ms: int) -> Bars:
    """The newest `count` bars that end by `end_ms` (0: the newest there are): live ones, and before them stored ones.

    Raises NotFoundError where there are neither.
    """
    venue, symbol = name.split(":", 1)
    if live is not None:
        end_ms = int(live.open_ms[-1]) + tf_ms
    elif not end_ms:
        span = reader.span(venue)
        end_ms = 0 if span is None else span[1]
    end_ms = end_ms // tf_ms * tf_ms
    held_from_ms = end_ms if live is None else int(live.open_ms[0])
    start_ms = max(end_ms - count * tf_ms, held_from_ms - MOST_STORED_DAYS * DAY_MS)
    instrument = reader.universe(venue).find(symbol)
    stored = None
    if instrument is not None and start_ms < held_from_ms and tf_ms >= 60_000:
        stored = of_candles(reader.footprint(venue, symbol, tf_ms, ONE_BIN, start_ms, held_from_ms), name)
    parts = [part for part in (stored, live) if part is not None]
    if not parts:
        raise NotFoundError(f"there are no bars of {name}, neither live nor stored")
    return joined(parts).last(count)


def uploaded(reader: Reader, name: str, tf_ms: int, count: int, end_ms: int) -> Bars:
    """The newest `count` uploaded candles of ``venue:symbol``, of length `tf_ms` or built from shorter ones."""
    venue, symbol = name.split(":", 1)
    end_ms = end_ms or newest(reader.catalog, venue, symbol) + tf_ms
    rows = list(imported(reader.catalog, venue, end_ms - count * tf_ms, end_ms, [symbol]))
    lengths = {int(row["tf_ms"]) for row in rows}
    fitting = [length for length in lengths if tf_ms % length == 0]
    if not fitting:
        told = f"only bars of {', '.join(f'{length} ms' for length in sorted(lengths))}" if lengths else "no bars"
        raise NotFoundError(f"{told} of {name} were uploaded for this time; bars of {tf_ms} ms are wanted")
    length = max(fitting)
    bars = _of_rows([row for row in rows if int(row["tf_ms"]) == length], f"{UPLOAD}:{name}", length)
    return (bars if length == tf_ms else longer(bars, tf_ms)).last(count)


def _of_rows(rows: Iterable[Mapping[str, Any]], name: str, tf_ms: int) -> Bars:
    rows = list(rows)
    prices = {
        column: np.array([float(row[column]) for row in rows]) for column in ("open", "high", "low", "close", "volume")
    }
    times = np.array([int(row["open_ms"]) for row in rows], np.int64)
    trades = np.array([int(row["trades"] or 0) for row in rows], np.int64)
    return Bars(name, tf_ms, times, **prices, trades=trades, gap=np.zeros(len(rows), np.bool_), basis="upload")


def longer(bars: Bars, tf_ms: int) -> Bars:
    """Bars of a multiple of the length. One of which the series knows only a part is marked as having a gap."""
    if tf_ms % bars.tf_ms:
        raise UsageError(f"bars of {tf_ms} ms cannot be built from bars of {bars.tf_ms} ms")
    opens, first = np.unique(bars.open_ms // tf_ms * tf_ms, return_index=True)
    stop = np.append(first[1:], len(bars))
    partial = stop - first < tf_ms // bars.tf_ms
    return Bars(
        name=bars.name,
        tf_ms=tf_ms,
        open_ms=opens,
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[stop - 1],
        volume=np.add.reduceat(bars.volume, first),
        trades=np.add.reduceat(bars.trades, first),
        gap=np.logical_or.reduceat(bars.gap, first) | partial,
        basis=bars.basis,
    )


def joined(parts: list[Bars]) -> Bars:
    """Parts that follow each other in time, as one series."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    return replace(parts[0], **columns)
