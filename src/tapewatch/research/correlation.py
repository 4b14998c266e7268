"""How two instruments move together: of returns, never of prices, which drift together by chance."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from ..model.errors import UsageError
from .series import FEWEST, Floats, Pair, Sample, Ticks, Times, returns, usable

DEFAULT_WINDOW = 60
LONGEST_WINDOW = 10_000
CONFIDENCE = 0.95
ROWS_AT_ONCE = 4_096
GRIDS_MS = (1_000, 5_000, 15_000, 60_000, 300_000)
"""Grids on which the correlation of ticks is shown beside the one without."""
LEAST_SCALE = 1e-24
"""Sums of squares of returns below this are the rounding of floats."""


class Correlation(msgspec.Struct, frozen=True):
    """Pearson correlation of log returns over all bars, with Fisher's interval, and rolling over `window` returns.

    `rolling[t]` knows returns up to bar t; None where fewer than `window` returns in a row are known or one series does
    not vary. `low` and `high` are Fisher's 95 % interval of each. Return t ends at ``open_ms[t]``'s bar.
    """

    x: str
    y: str
    sample: Sample
    n: int
    r: float | None
    low_all: float | None
    high_all: float | None
    window: int
    confidence: float
    open_ms: list[int]
    rolling: list[float | None]
    low: list[float | None]
    high: list[float | None]


class HayashiYoshida(msgspec.Struct, frozen=True):
    """Correlation of two series of ticks that come at different times, without a grid (Hayashi and Yoshida, 2005).

    Grids that are finer than the ticks pull correlation to zero (Epps, 1979); this estimator does not.
    """

    r: float | None
    covariance: float
    overlaps: int
    n_x: int
    n_y: int
    reason: str = ""


class OnGrid(msgspec.Struct, frozen=True):
    """Pearson correlation of log returns on a grid, each price the newest before; None with the reason."""

    grid_ms: int
    n: int
    r: float | None
    low: float | None
    high: float | None
    reason: str = ""


class TickCorrelation(msgspec.Struct, frozen=True):
    """Correlation of two series of ticks without a grid, and on grids, where the finest are nearest to zero (Epps)."""

    x: str
    y: str
    x_of: str
    y_of: str
    first_ms: int
    last_ms: int
    without_grid: HayashiYoshida
    on_grids: list[OnGrid]


def correlation(pair: Pair, window: int = DEFAULT_WINDOW, confidence: float = CONFIDENCE) -> Correlation:
    """Correlate log returns. Raises UsageError for a window that is out of range or longer than the series."""
    if not FEWEST <= window <= LONGEST_WINDOW:
        raise UsageError(f"window = {window} is refused; it must be {FEWEST} to {LONGEST_WINDOW} returns")
    x = returns(usable(pair.x, pair.x_name), pair.open_ms, pair.tf_ms)
    y = returns(usable(pair.y, pair.y_name), pair.open_ms, pair.tf_ms)
    known = np.isfinite(x) & np.isfinite(y)
    n = int(known.sum())
    if n < window:
        raise UsageError(f"{n} returns of bars in a row at common times, the window wants {window}")
    r = _pearson(x[known], y[known])
    rolling = _rolling(x, y, window)
    low, high = fisher_interval(rolling, window, confidence)
    whole = fisher_interval(np.array([np.nan if r is None else r]), n, confidence)
    return Correlation(
        x=pair.x_name,
        y=pair.y_name,
        sample=pair.sample(),
        n=n,
        r=r,
        low_all=_listed(whole[0])[0],
        high_all=_listed(whole[1])[0],
        window=window,
        confidence=confidence,
        open_ms=pair.open_ms[1:].tolist(),
        rolling=_listed(rolling),
        low=_listed(low),
        high=_listed(high),
    )


def fisher_interval(r: Floats, n: int, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Interval of correlations from `n` independent pairs, through Fisher's z; NaN where r is."""
    half = stats.norm.ppf(0.5 + confidence / 2) / np.sqrt(n - 3)
    inside = np.clip(r, -1 + 1e-15, 1 - 1e-15)
    low: Floats = np.tanh(np.arctanh(inside) - half)
    high: Floats = np.tanh(np.arctanh(inside) + half)
    return low, high


def hayashi_yoshida(x_ms: Times, x: Floats, y_ms: Times, y: Floats) -> HayashiYoshida:
    """Correlation of the returns of prices `x` at times `x_ms` and `y` at `y_ms`, each in order of time."""
    for name, times, prices in (("x", x_ms, x), ("y", y_ms, y)):
        if len(times) != len(prices):
            raise UsageError(f"{name}: {len(times)} times for {len(prices)} prices")
        if (np.diff(times) <= 0).any():
            raise UsageError(f"{name}: times must rise; several prices at one time are one, the last")
        usable(prices, name, fewest=3)
    dx, dy = np.diff(np.log(x)), np.diff(np.log(y))
    # Return i of x spans (x_ms[i], x_ms[i + 1]]; those of y that overlap it are first[i] to stop[i].
    first = np.searchsorted(y_ms[1:], x_ms[:-1], side="right")
    stop = np.searchsorted(y_ms[:-1], x_ms[1:], side="left")
    sums = np.concatenate([[0.0], np.cumsum(dy)])
    overlapping = np.maximum(stop - first, 0)
    covariance = float((dx * np.where(overlapping > 0, sums[stop] - sums[first], 0.0)).sum())
    overlaps = int(overlapping.sum())
    if overlaps == 0:
        return HayashiYoshida(None, 0.0, 0, len(x), len(y), "their times do not overlap")
    r = covariance / float(np.sqrt((dx @ dx) * (dy @ dy)))
    return HayashiYoshida(r, covariance, overlaps, len(x), len(y))


def ticks(x: Ticks, y: Ticks) -> TickCorrelation:
    """Correlate ticks over the time that both cover."""
    first, last = max(x.ts_ms[0], y.ts_ms[0]), min(x.ts_ms[-1], y.ts_ms[-1])
    of_x, of_y = ((one.ts_ms >= first) & (one.ts_ms <= last) for one in (x, y))
    if min(of_x.sum(), of_y.sum()) < FEWEST:
        raise UsageError(
            f"{of_x.sum()} ticks of {x.name} and {of_y.sum()} of {y.name} at the same time; each needs {FEWEST}"
        )
    (x_ms, x_price), (y_ms, y_price) = (x.ts_ms[of_x], x.price[of_x]), (y.ts_ms[of_y], y.price[of_y])
    return TickCorrelation(
        x=x.name,
        y=y.name,
        x_of=x.of,
        y_of=y.of,
        first_ms=int(first),
        last_ms=int(last),
        without_grid=hayashi_yoshida(x_ms, x_price, y_ms, y_price),
        on_grids=[_on_grid(grid, x_ms, x_price, y_ms, y_price) for grid in GRIDS_MS],
    )


def _on_grid(grid_ms: int, x_ms: Times, x: Floats, y_ms: Times, y: Floats) -> OnGrid:
    first = -(-max(int(x_ms[0]), int(y_ms[0])) // grid_ms) * grid_ms
    at = np.arange(first, min(int(x_ms[-1]), int(y_ms[-1])) + 1, grid_ms)
    n = max(0, len(at) - 1)
    if n < FEWEST:
        return OnGrid(grid_ms, n, None, None, None, f"{n} returns, {FEWEST} are needed")
    dx, dy = (np.diff(np.log(p[np.searchsorted(t, at, side="right") - 1])) for t, p in ((x_ms, x), (y_ms, y)))
    r = _pearson(dx, dy)
    if r is None:
        return OnGrid(grid_ms, n, None, None, None, "one of them did not move")
    low, high = fisher_interval(np.array([r]), n)
    return OnGrid(grid_ms, n, r, float(low[0]), float(high[0]))


def _rolling(x: Floats, y: Floats, window: int) -> Floats:
    """Each window on its own: running sums would carry the rounding of a crash into every window behind it."""
    out = np.full(len(x), np.nan)
    for begin in range(window - 1, len(x), ROWS_AT_ONCE):
        stop = min(begin + ROWS_AT_ONCE, len(x))
        a, b = (sliding_window_view(one[begin - window + 1 : stop], window) for one in (x, y))
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        # NaN of a missing bar stays NaN; what floats leave of a constant window is no correlation either.
        np.divide((a * b).sum(axis=1), scale, out=out[begin:stop], where=~(scale <= LEAST_SCALE))
    clipped: Floats = np.clip(out, -1.0, 1.0)
    return clipped


def _pearson(x: Floats, y: Floats) -> float | None:
    return float(stats.pearsonr(x, y).statistic) if np.ptp(x) > 0 and np.ptp(y) > 0 else None


def _listed(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
