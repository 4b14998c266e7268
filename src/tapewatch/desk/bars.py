"""Bars of live, stored and uploaded series, all in the one shape that statistics take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.errors import NotFoundError
from ..model.instrument import Grid
from ..model.shortage import ShortageError
from ..model.tape import Kind
from ..model.views import Footprint
from ..research.series import COLUMNS, FEWEST, Bars, Basis, Floats, Times, longer
from ..store.bars import bars as imported
from ..store.bars import held, newest
from ..store.reader import MAX_SECONDS, Reader

UPLOAD = "upload"
ONE_BIN = 1 << 40
"""A step wider than any price: candles, no cells."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000
MOST_STORED_DAYS = 44
_STORED_MS = {False: MOST_STORED_DAYS * DAY_MS, True: (MAX_SECONDS - 1) * 1_000}
"""What is read of the store at once; of seconds, which are made from the trades themselves, an hour."""
LATEST_MS = 5_000
"""A minute whose last mid is older than this at its end has a gap: the mid was not known then."""
MOST_QUOTED_MS = DAY_MS
"""Stored mids are made from every best quote of the range: a day of a busy book is some millions."""


def floats(counts: NDArray[np.int64], grid: Grid) -> Floats:
    """Counts of an increment as the nearest floats: 844777 of 0.1 are 84477.7, where a product is 84477.70000000001."""
    return np.asarray(counts * grid.units / 10**grid.decimals)


def of_candles(shown: Footprint, name: str) -> Bars | None:
    """Bars on trades; candles in which nothing traded have no price and are left out. None where nothing traded."""
    candles = shown.candles[shown.candles["n"] > 0]
    if not len(candles):
        return None
    tick, lot = shown.instrument.tick, shown.instrument.lot
    prices: dict[str, Any] = {column: floats(candles[column], tick) for column in ("open", "high", "low", "close")}
    volume = floats(candles["bid"] + candles["ask"], lot)
    times, trades = candles["open_ms"].astype(np.int64), candles["n"].astype(np.int64)
    return Bars(name, shown.tf_ms, times, **prices, volume=volume, trades=trades, gap=candles["gap"] > 0)


def of_mids(name: str, tf_ms: int, open_ms: Times, price: Floats, gap: NDArray[np.bool_]) -> Bars:
    """Bars of one mid each: they have no volume."""
    none = np.zeros(len(open_ms))
    return Bars(name, tf_ms, open_ms, price, price, price, price, none, none.astype(np.int64), gap, "mids")


def with_stored(
    reader: Reader, live: Bars | None, name: str, tf_ms: int, count: int, end_ms: int, basis: Basis = "trades"
) -> Bars:
    """The newest `count` bars that end by `end_ms` (0: the newest there are): live ones, and before them stored ones.

    Raises ShortageError where there are neither.
    """
    venue, symbol = name.split(":", 1)
    kind = Kind.QUOTE if basis == "mids" else None
    if live is not None:
        end_ms = int(live.open_ms[-1]) + tf_ms
    elif not end_ms:
        span = reader.span(venue, kind=kind)
        end_ms = 0 if span is None else span[1]
    end_ms = end_ms // tf_ms * tf_ms
    held_from_ms = end_ms if live is None else int(live.open_ms[0])
    most_ms = MOST_QUOTED_MS if basis == "mids" else _STORED_MS[tf_ms < MINUTE_MS]
    start_ms = max(end_ms - count * tf_ms, held_from_ms - most_ms)
    stored = None
    if reader.universe(venue).find(symbol) is not None and start_ms < held_from_ms:
        if basis == "mids":
            stored = quoted(reader, name, tf_ms, start_ms, held_from_ms)
        else:
            stored = of_candles(reader.footprint(venue, symbol, tf_ms, ONE_BIN, start_ms, held_from_ms), name)
    parts = [part for part in (stored, live) if part is not None]
    if not parts:
        raise ShortageError(why_none(name, basis, stored=True), 0, FEWEST)
    return joined(parts).last(count)


def why_none(name: str, basis: Basis, *, stored: bool) -> str:
    """The sentence where a live series has no bars."""
    told = f"there are no bars of {name}"
    if not stored:
        return f"{told}{' on mids' if basis == 'mids' else ''} yet; nothing is stored here"
    if basis == "mids":
        return f"{told} on mids: the mids of live books are kept for a day, and no quotes are stored (store.record)"
    return f"{told}, neither live nor stored"


def quoted(reader: Reader, name: str, tf_ms: int, start_ms: int, end_ms: int) -> Bars | None:
    """Bars on mids from stored best quotes, where quotes are recorded; None where there are none."""
    venue, symbol = name.split(":", 1)
    universe = reader.universe(venue)
    unit_ms = min(tf_ms, MINUTE_MS)
    tick = universe.get(symbol).tick
    times, doubled = [], []
    for tape in reader.tapes(venue, start_ms, end_ms, [symbol], [Kind.QUOTE], universe):
        rows = tape.rows
        last = np.append(np.flatnonzero(np.diff(rows["ts_ms"] // unit_ms)), len(rows) - 1)
        times.append(rows["ts_ms"][last])
        doubled.append(rows["price"][last] + rows["price2"][last])
    if not times:
        return None
    at, sums = np.concatenate(times), np.concatenate(doubled)
    last = np.append(np.flatnonzero(np.diff(at // unit_ms)), len(at) - 1)  # a unit may lie in two tapes
    open_ms = at[last] // unit_ms * unit_ms
    gap = (open_ms + unit_ms - at[last] > LATEST_MS) if unit_ms == MINUTE_MS else np.zeros(len(last), np.bool_)
    bars = of_mids(name, unit_ms, open_ms, floats(sums[last], tick) / 2, gap)
    return bars if tf_ms == unit_ms else longer(bars, tf_ms)


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


def kept(reader: Reader) -> list[dict[str, Any]]:
    """What was uploaded: one row a series and length of its bars."""
    return [{"series": f"{UPLOAD}:{row['exchange']}:{row['symbol']}", **row} for row in held(reader.catalog)]


def _of_rows(rows: Iterable[Mapping[str, Any]], name: str, tf_ms: int) -> Bars:
    rows = list(rows)
    prices = {
        column: np.array([float(row[column]) for row in rows]) for column in ("open", "high", "low", "close", "volume")
    }
    times = np.array([int(row["open_ms"]) for row in rows], np.int64)
    trades = np.array([int(row["trades"] or 0) for row in rows], np.int64)
    return Bars(name, tf_ms, times, **prices, trades=trades, gap=np.zeros(len(rows), np.bool_), basis="upload")


def joined(parts: list[Bars]) -> Bars:
    """Parts that follow each other in time, as one series."""
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    return replace(parts[0], **columns)
