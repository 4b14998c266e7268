"""What prices of one series were like."""

from __future__ import annotations

import msgspec
import numpy as np
from scipy import stats

from .series import Bars, Floats, Sample, is_constant, returns


class Moments(msgspec.Struct, frozen=True):
    """Moments of a series. `std` divides by n - 1; `skew` and `kurtosis` (excess: 0 for the normal) are bias-corrected.

    A figure that does not exist (skew of a constant, one value's std) is None.
    """

    n: int
    mean: float | None
    median: float | None
    std: float | None
    min: float | None
    max: float | None
    skew: float | None
    kurtosis: float | None


class PriceStatistics(msgspec.Struct, frozen=True):
    """Moments of closes and of their log returns. `trades`, and their `volume` in base units: None where unknown."""

    name: str
    sample: Sample
    close: Moments
    log_return: Moments
    volatility_annual: float | None
    """Standard deviation of log returns scaled by the square root of the bars in 365 days."""
    trades: int | None
    volume: float | None


YEAR_MS = 365 * 86_400_000


def price_statistics(bars: Bars) -> PriceStatistics:
    """Describe the closes of `bars` and their log returns; a return over a missing bar is left out."""
    steps = returns(bars.close, bars.open_ms, bars.tf_ms)
    moved = moments(steps[np.isfinite(steps)])
    scale = (YEAR_MS / bars.tf_ms) ** 0.5
    trades = int(bars.trades.sum())
    return PriceStatistics(
        name=bars.name,
        sample=bars.sample(),
        close=moments(bars.close),
        log_return=moved,
        volatility_annual=None if moved.std is None else moved.std * scale,
        trades=trades or None,
        volume=None if bars.basis == "mids" else float(bars.volume.sum()),
    )


def moments(values: Floats) -> Moments:
    """Moments of finite values."""
    n = len(values)
    if n == 0:
        return Moments(0, None, None, None, None, None, None, None)
    varies = n > 1 and not is_constant(values)
    return Moments(
        n=n,
        mean=float(values.mean()),
        median=float(np.median(values)),
        std=float(values.std(ddof=1)) if n > 1 else None,
        min=float(values.min()),
        max=float(values.max()),
        skew=float(stats.skew(values, bias=False)) if varies and n > 2 else None,
        kurtosis=float(stats.kurtosis(values, bias=False)) if varies and n > 3 else None,
    )
