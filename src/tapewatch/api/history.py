"""Trade imbalance of one instrument over time, from the candles the engine holds; nothing is kept twice."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..desk.bars import ONE_BIN
from ..engine import Engine
from ..hub.requests import MAX_LOOKBACK
from ..hub.topics import WINDOW_NAMES, balance
from ..model.instrument import Instrument
from ..model.views import WINDOWS_S
from .numbers import exact, grid_printer, ratio
from .past import Deltas, deltas
from .view import HistoryView

WindowName = Literal["10s", "1m", "5m", "15m"]

FINE_MS, FINE_CANDLES = 1_000, 960
"""Windows up to a minute: a point a second over the last 16 minutes."""
COARSE_MS, COARSE_CANDLES = 60_000, 1_440
"""Longer windows: a point a minute over the last day."""


def history(engine: Engine, instrument: Instrument, window: WindowName) -> dict[str, Any]:
    """Points ``{ts, imbalance, buy, sell, complete}``, oldest first; each is the window that ends at `ts`.

    Not complete is a window of which trades are missing, or that began before the oldest trade held; where nothing of
    it is held, its imbalance is not known.
    """
    window_ms, base_ms, count = _lengths(window)
    candles = engine.footprint(instrument.index, base_ms, ONE_BIN, count + window_ms // base_ms - 1).candles
    rows = Deltas(candles["open_ms"], candles["ask"], candles["bid"], candles["gap"] > 0)
    return _content(instrument, window, window_ms, base_ms, count, rows, engine.clock_ms)


async def history_before(
    engine: Engine, stored: HistoryView | None, instrument: Instrument, window: WindowName, before_ms: int
) -> dict[str, Any]:
    """The same points up to `before_ms`, from what is held and, where that ends, from what is stored."""
    window_ms, base_ms, count = _lengths(window)
    until_ms = min(before_ms // base_ms * base_ms, engine.clock_ms)
    span = window_ms // base_ms
    wanted = min(count + span, MAX_LOOKBACK)
    instrument, rows = await deltas(engine, stored, instrument, base_ms, wanted, until_ms)
    return _content(instrument, window, window_ms, base_ms, wanted - span, rows, until_ms - 1)


def _lengths(window: WindowName) -> tuple[int, int, int]:
    """Of the window and of a step between points, in ms, and how many points."""
    window_ms = WINDOWS_S[WINDOW_NAMES.index(window)] * 1000
    return window_ms, *((FINE_MS, FINE_CANDLES) if window_ms <= COARSE_MS else (COARSE_MS, COARSE_CANDLES))


def _content(
    instrument: Instrument, window: WindowName, window_ms: int, base_ms: int, count: int, rows: Deltas, clock_ms: int
) -> dict[str, Any]:
    points: list[dict[str, Any]] = []
    opens, bought, sold, missing = rows
    if len(opens):
        span = window_ms // base_ms
        quiet = min(max(0, (clock_ms - int(opens[-1])) // base_ms), count)  # no trade since: still a fact
        ends = int(opens[0]) + np.arange(1, len(opens) + quiet + 1) * base_ms
        buy, sell, holes = (_sums(column, quiet, span) for column in (bought, sold, missing))
        complete = (holes == 0) & (np.arange(len(ends)) >= span - 1)
        share = np.where(complete | (buy + sell > 0), balance(buy, sell), np.nan)
        lots = grid_printer(instrument.lot)
        points = [
            {"ts": ts, "imbalance": ratio(figure), "buy": exact(lots(b)), "sell": exact(lots(s)), "complete": whole}
            for ts, figure, b, s, whole in zip(
                *(column[-count:].tolist() for column in (ends, share, buy, sell, complete)), strict=True
            )
        ]
    return {"window": window, "window_ms": window_ms, "step_ms": base_ms, "points": points}


def _sums(column: NDArray[Any], quiet: int, span: int) -> NDArray[np.int64]:
    """Sums over every window of `span` candles, `quiet` empty ones behind the last included."""
    total = np.cumsum(np.concatenate([[0], column, np.zeros(quiet, np.int64)]), dtype=np.int64)
    return total[1:] - total[np.maximum(np.arange(1, len(total)) - span, 0)]
