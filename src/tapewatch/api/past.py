"""Answers about times before what the engines hold: the newer part from memory, the older part from stored data."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..flow.candles import DAY_MS, MINUTE_MS
from ..hub.requests import MAX_LOOKBACK
from ..model.instrument import Instrument, common_grid
from ..model.views import Footprint
from .candles import candles_text
from .view import HistoryView

LONGEST_MS = 44 * 86_400_000
"""Of stored candles in one answer; those before are a next question's."""

Liquidations = list[tuple[Instrument, np.void]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about candles, and what memory says to it: `stored_ms` is the range that the store has to tell."""

    instrument: Instrument
    tf_ms: int
    step: str
    held: Footprint
    stored_ms: tuple[int, int] | None


def _asked(
    engine: Engine, instrument: Instrument, tf_ms: int, step: str, lookback: int, before_ms: int | None
) -> _Asked:
    ticks, i = instrument.step_ticks(step), instrument.index
    if before_ms is None:
        held = engine.footprint(i, tf_ms, ticks, lookback)
        return _Asked(instrument, tf_ms, step, held, None)
    since_ms, newest_ms = engine.cvd_since_ms(i), int(engine.flow.minutes.newest[i] + 1) * MINUTE_MS
    # Of what memory holds no more is looked at than reaches from its newest candle back to the oldest wanted.
    count = 0 if since_ms is None or before_ms <= since_ms else newest_ms // tf_ms - before_ms // tf_ms + 1 + lookback
    held = engine.footprint(i, tf_ms, ticks, min(count, MAX_LOOKBACK))
    early = held.candles[held.candles["open_ms"] < before_ms][-lookback:]
    missing = lookback - len(early)
    until_ms = int(early["open_ms"][0]) if len(early) else -(-before_ms // tf_ms) * tf_ms
    start_ms = max(until_ms - missing * tf_ms, until_ms - LONGEST_MS, 0)
    return _Asked(instrument, tf_ms, step, replace(held, candles=early), (start_ms, until_ms) if missing else None)


async def footprints(
    engine: Engine, history: HistoryView | None, instrument: Instrument, tf_ms: int, step: str, lookback: int,
    before_ms: int | None,
) -> list[Footprint]:  # fmt: skip
    """The last `lookback` candles that open before a time (None: the newest), in parts, the older first.

    A part has the grid of its own instrument: what is stored may need a finer one.
    """
    asked = _asked(engine, instrument, tf_ms, step, lookback, before_ms)
    if asked.stored_ms is None or history is None:
        return [asked.held]
    stored = await history.footprint(instrument.venue, instrument.symbol, tf_ms, step, *asked.stored_ms)
    return [asked.held] if stored is None else [stored, await _continued(engine, history, instrument, asked.held)]


async def footprint_text(
    engine: Engine, history: HistoryView | None, instrument: Instrument, tf_ms: int, step: str, lookback: int,
    before_ms: int | None,
) -> list[bytes]:  # fmt: skip
    """The same candles as JSON, commas between, in pieces. What is stored comes as text from the process that reads it:
    here megabytes are only passed on.
    """
    asked = _asked(engine, instrument, tf_ms, step, lookback, before_ms)
    held, pieces = asked.held, list[bytes]()
    if asked.stored_ms is not None and history is not None:
        pieces = await history.footprint_text(instrument.venue, instrument.symbol, tf_ms, step, *asked.stored_ms)
        if pieces:
            held = await _continued(engine, history, instrument, held)
    # The view is a copy: its text is written outside the event loop.
    text = (await asyncio.to_thread(candles_text, held)).encode() if len(held.candles) else b""
    return [*pieces, b",", text] if pieces and text else [*pieces, text]


async def _continued(engine: Engine, history: HistoryView, instrument: Instrument, held: Footprint) -> Footprint:
    """The part from memory with the CVD of its day from 00:00 UTC: what was before memory begins, the store has.

    Where stored lots are the finer ones, the part is told in them.
    """
    begins_ms = (engine.cvd_since_ms(instrument.index) or 0) // MINUTE_MS * MINUTE_MS
    day_ms = begins_ms // DAY_MS * DAY_MS
    today = (held.candles["open_ms"] // DAY_MS * DAY_MS == day_ms) & (begins_ms > day_ms)
    before = await history.cvd(instrument.venue, instrument.symbol, day_ms, begins_ms) if today.any() else None
    if before is None:
        return held
    cvd, stored_lot = before
    lot = common_grid(stored_lot, held.instrument.lot)
    factor = int(held.instrument.lot.value / lot.value)
    candles, cells = held.candles.copy(), held.cells.copy()
    for name in ("bid", "ask", "cvd", "quote"):
        candles[name] *= factor
    for name in ("bid", "ask"):
        cells[name] *= factor
    candles["cvd"][today] += cvd * int(stored_lot.value / lot.value)
    return replace(held, instrument=replace(held.instrument, lot=lot), candles=candles, cells=cells)


async def between(
    engine: Engine, history: HistoryView | None, instrument: Instrument, tf_ms: int, step: str, start_ms: int,
    end_ms: int,
) -> list[Footprint]:  # fmt: skip
    """The candles that open in `[start_ms, end_ms)`, in parts, the older first."""
    count = max(0, -(-end_ms // tf_ms) - -(-start_ms // tf_ms))
    parts = await footprints(engine, history, instrument, tf_ms, step, count, end_ms) if count else []
    return [replace(part, candles=part.candles[part.candles["open_ms"] >= start_ms]) for part in parts]


class Deltas(NamedTuple):
    """Candles in a row: when they open, lots bought and sold, and whether trades of them are missing."""

    open_ms: NDArray[np.int64]
    bought: NDArray[np.int64]
    sold: NDArray[np.int64]
    missing: NDArray[np.bool_]


async def deltas(
    engine: Engine, history: HistoryView | None, instrument: Instrument, tf_ms: int, count: int, before_ms: int
) -> tuple[Instrument, Deltas]:
    """The `count` candles that end before a time, in lots of the instrument that is returned."""
    one_bin = instrument.tick.to_text(1 << 40)
    parts = await footprints(engine, history, instrument, tf_ms, one_bin, count, before_ms)
    lot = instrument.lot
    for part in parts:
        lot = common_grid(lot, part.instrument.lot)
    opens = [part.candles["open_ms"] for part in parts if len(part.candles)]
    if not opens:
        none = np.zeros(0, np.int64)
        return instrument, Deltas(none, none, none, none > 0)
    first = int(opens[0][0])
    times = np.arange(first, int(opens[-1][-1]) + tf_ms, tf_ms)
    bought, sold = np.zeros(len(times), np.int64), np.zeros(len(times), np.int64)
    missing = np.zeros(len(times), np.bool_)
    for part in parts:
        at = (part.candles["open_ms"] - first) // tf_ms
        factor = int(part.instrument.lot.value / lot.value)
        bought[at], sold[at] = part.candles["ask"] * factor, part.candles["bid"] * factor
        missing[at] = part.candles["gap"] > 0
    return replace(instrument, lot=lot), Deltas(times, bought, sold, missing)


async def liquidations(
    engine: Engine, history: HistoryView | None, venue: str, instrument: Instrument | None, limit: int,
    before_ms: int | None,
) -> Liquidations:  # fmt: skip
    """The newest `limit` liquidations before a time (None: now), newest first; what memory lacks is stored."""
    held = engine.liquidations(0, 1 << 20)
    oldest_ms = int(held["ts_ms"].min()) if len(held) else None
    if instrument is not None:
        held = held[held["instrument"] == instrument.index]
    if before_ms is not None:
        held = held[held["ts_ms"] < before_ms]
    out = [(engine.universe[int(row["instrument"])], row) for row in held[::-1][:limit]]
    if len(out) == limit or history is None or before_ms is None:
        return out
    until_ms = before_ms if oldest_ms is None else min(before_ms, oldest_ms)
    symbol = None if instrument is None else instrument.symbol
    instruments, rows = await history.liquidations(venue, symbol, until_ms, limit - len(out))
    return out + [(instruments[int(row["instrument"])], row) for row in rows[::-1]]
