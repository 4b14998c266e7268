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
from .numbers import exact, grid_printer
from .past import deltas
from .view import HistoryView

WindowName = Literal["10s", "1m", "5m", "15m"]

FINE_MS, FINE_CANDLES = 1_000, 960
"""Windows up to a minute: a point a second over the last 16 minutes."""
COARSE_MS, COARSE_CANDLES = 60_000, 1_440
"""Longer windows: a point a minute over the last day."""


def history(engine: Engine, instrument: Instrument, window: WindowName) -> dict[str, Any]:
    """Points ``{ts, imbalance, buy, sell}``, oldest first; each is the window that ends at `ts`."""
    window_ms, base_ms, count = _lengths(window)
    candles = engine.footprint(instrument.index, base_ms, ONE_BIN, count).candles
    rows = candles["open_ms"], candles["ask"], candles["bid"]
    return _content(instrument, window, window_ms, base_ms, count, *rows, engine.clock_ms)


async def history_before(
    engine: Engine, stored: HistoryView | None, instrument: Instrument, window: WindowName, before_ms: int
) -> dict[str, Any]:
    """The same points up to `before_ms`, from what is held and, where that ends, from what is stored."""
    window_ms, base_ms, count = _lengths(window)
    until_ms = min(before_ms // base_ms * base_ms, engine.clock_ms)
    span = window_ms // base_ms
    wanted = min(count + span, MAX_LOOKBACK)
    instrument, opens, bought, sold = await deltas(engine, stored, instrument, base_ms, wanted, until_ms)
    return _content(instrument, window, window_ms, base_ms, wanted - span, opens, bought, sold, until_ms - 1)


def _lengths(window: WindowName) -> tuple[int, int, int]:
    """Of the window and of a step between points, in ms, and how many points."""
    window_ms = WINDOWS_S[WINDOW_NAMES.index(window)] * 1000
    return window_ms, *((FINE_MS, FINE_CANDLES) if window_ms <= COARSE_MS else (COARSE_MS, COARSE_CANDLES))


def _content(
    instrument: Instrument, window: WindowName, window_ms: int, base_ms: int, count: int, opens: NDArray[np.int64],
    bought: NDArray[np.int64], sold: NDArray[np.int64], clock_ms: int,
) -> dict[str, Any]:  # fmt: skip
    points: list[dict[str, Any]] = []
    if len(opens):
        ends, buy, sell = _windows(opens, bought, sold, clock_ms, base_ms, window_ms // base_ms, count)
        lots = grid_printer(instrument.lot)
        points = [
            {"ts": ts, "imbalance": round(share, 6), "buy": exact(lots(b)), "sell": exact(lots(s))}
            for ts, share, b, s in zip(
                ends.tolist(), balance(buy, sell).tolist(), buy.tolist(), sell.tolist(), strict=True
            )
        ]
    return {"window": window, "window_ms": window_ms, "step_ms": base_ms, "points": points}


def _windows(
    opens: NDArray[np.int64], bought: NDArray[np.int64], sold: NDArray[np.int64], clock_ms: int, base_ms: int,
    span: int, count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """End, bought and sold lots of every window of `span` candles, up to the candle in which the clock is."""
    quiet = max(0, (clock_ms - int(opens[-1])) // base_ms)  # no trade since: still a fact
    n = len(opens) + min(quiet, count)
    sums = []
    for lots in (bought, sold):
        total = np.zeros(n + 1, np.int64)
        total[1 : len(opens) + 1] = np.cumsum(lots)
        total[len(opens) + 1 :] = total[len(opens)]
        sums.append(total[1:] - total[np.maximum(np.arange(1, n + 1) - span, 0)])
    ends = int(opens[0]) + np.arange(1, n + 1) * base_ms
    return ends[-count:], sums[0][-count:], sums[1][-count:]
