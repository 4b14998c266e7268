"""Trade imbalance of one instrument over time, from the candles the engine holds; nothing is kept twice."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..hub.topics import WINDOW_NAMES, balance
from ..model.instrument import Instrument
from ..model.views import WINDOWS_S
from .numbers import exact, grid_printer

WindowName = Literal["10s", "1m", "5m", "15m"]

FINE_MS, FINE_CANDLES = 1_000, 960
"""Windows up to a minute: a point a second over the last 16 minutes."""
COARSE_MS, COARSE_CANDLES = 60_000, 1_440
"""Longer windows: a point a minute over the last day."""
ONE_BIN = 1 << 40
"""A step wider than any price: volumes only, no cells."""


def history(engine: Engine, instrument: Instrument, window: WindowName) -> dict[str, Any]:
    """Points ``{ts, imbalance, buy, sell}``, oldest first; each is the window that ends at `ts`."""
    window_ms = WINDOWS_S[WINDOW_NAMES.index(window)] * 1000
    base_ms, count = (FINE_MS, FINE_CANDLES) if window_ms <= COARSE_MS else (COARSE_MS, COARSE_CANDLES)
    candles = engine.footprint(instrument.index, base_ms, ONE_BIN, count).candles
    points: list[dict[str, Any]] = []
    if len(candles):
        ends, buy, sell = _windows(candles, engine.clock_ms, base_ms, window_ms // base_ms, count)
        lots = grid_printer(instrument.lot)
        points = [
            {"ts": ts, "imbalance": round(share, 6), "buy": exact(lots(b)), "sell": exact(lots(s))}
            for ts, share, b, s in zip(
                ends.tolist(), balance(buy, sell).tolist(), buy.tolist(), sell.tolist(), strict=True
            )
        ]
    return {"window": window, "window_ms": window_ms, "step_ms": base_ms, "points": points}


def _windows(
    candles: NDArray[np.void], clock_ms: int, base_ms: int, span: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """End, bought and sold lots of every window of `span` candles, up to the candle in which the clock is."""
    first = int(candles["open_ms"][0])
    quiet = max(0, (clock_ms - int(candles["open_ms"][-1])) // base_ms)  # no trade since: still a fact
    n = len(candles) + min(quiet, count)
    sums = []
    for name in ("ask", "bid"):
        total = np.zeros(n + 1, np.int64)
        total[1 : len(candles) + 1] = np.cumsum(candles[name])
        total[len(candles) + 1 :] = total[len(candles)]
        sums.append(total[1:] - total[np.maximum(np.arange(1, n + 1) - span, 0)])
    ends = first + np.arange(1, n + 1) * base_ms
    return ends[-count:], sums[0][-count:], sums[1][-count:]
