"""Invented price series as bars: random walks, and pairs that are tied to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch.research.series import Bars, Pair, align

MINUTE_MS = 60_000
BEGIN_MS = 1_790_000_040_000
Floats = NDArray[np.float64]


def bars(name: str, close: Any, *, open_ms: Any = None, volume: float = 2.0) -> Bars:
    close = np.asarray(close, np.float64)
    n = len(close)
    times = BEGIN_MS + MINUTE_MS * np.arange(n) if open_ms is None else np.asarray(open_ms, np.int64)
    none = np.zeros(n, np.bool_)
    return Bars(name, MINUTE_MS, times, close, close, close, close, np.full(n, volume), np.full(n, 3), none)


def walk(seed: int, n: int, scale: float = 1e-3, base: float = 100.0) -> Floats:
    out: Floats = base * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, scale, n)))
    return out


def tied(seed: int, n: int, beta: float = 1.5, phi: float = 0.8) -> Pair:
    """y follows x: log y = 0.3 + beta log x + an AR(1) with coefficient phi."""
    noise = np.random.default_rng(seed + 1000).normal(0, 1e-3, n)
    rest = np.zeros(n)
    for t in range(1, n):
        rest[t] = phi * rest[t - 1] + noise[t]
    x = walk(seed, n)
    return align(bars("X", x), bars("Y", np.exp(0.3 + beta * np.log(x) + rest)))
