"""The distance between two prices: with a hedge ratio fixed before the bars it is judged on, and how far out it is."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.tools import add_constant

from ..model.errors import UsageError
from .choices import Center, Method
from .hedge import Fit, fit
from .series import FEWEST, Floats, Pair, Sample, usable
from .unitroot import adf

WINDOWS = range(5, 101)
DEFAULT_WINDOW = 20
MAD_TO_STD = 1.482602218505602
"""A normal distribution's standard deviation in units of its median absolute deviation."""
CALIBRATION = 0.7
"""Share of the bars, the oldest, that the hedge ratio is fitted on; the rest is out of sample."""
CERTAINTY = 1.959963984540054
"""Standard errors either side of a 95 % interval."""
SIGNIFICANT = 0.05
SHORTEST_LIFE = 5
"""Bars: a faster reversion is gone before anybody has traded on it, and is often the bounce between bid and ask."""
MAX_DRIFT_PCT = 20.0


class ZScore(msgspec.Struct, frozen=True):
    """Rolling z-score: (s - centre) / scale over `window` bars that end at and include the bar. None where unknown.

    `center` "mean" divides by the standard deviation (n - 1), "median" by the median absolute deviation x 1.4826.
    """

    of: str
    window: int
    center: Center
    values: list[float | None]
    newest: float | None
    reason: str = ""
    """Why the newest is None."""


class HalfLife(msgspec.Struct, frozen=True):
    """Bars until half of a deviation has gone, from ``Δs = a + b s₋₁ + e``: ``-ln 2 / ln(1 + b)``; 95 % interval.

    `bars` is None where the series does not revert (b not in (-1, 0)); `high` None where the interval has no end.
    """

    bars: float | None
    low: float | None
    high: float | None
    b: float
    b_se: float
    n: int
    reason: str = ""


class Spread(msgspec.Struct, frozen=True):
    """``s = y - beta x - alpha`` (of logarithms where `log`), beta and alpha fitted on the first `calibrated` bars.

    Bars before `calibrated` are in sample: what is seen there has been fitted, and is no evidence.
    """

    sample: Sample
    log: bool
    fit: Fit
    calibrated: int
    open_ms: list[int]
    values: list[float]
    unhedged: list[float]
    """``y - x``, as if one unit of x hedged one of y."""
    z: ZScore
    half_life: HalfLife
    beta_drift_pct: float | None
    """Change of beta when fitted anew on the bars after `calibrated`, in percent of it."""


def spread(
    pair: Pair,
    *,
    method: Method = "ols",
    log: bool = True,
    window: int = DEFAULT_WINDOW,
    center: Center = "mean",
    calibration: float = CALIBRATION,
) -> Spread:
    """The hedged spread of `pair`, its rolling z-score and half-life."""
    scaled = pair.logs() if log else pair
    calibrated = round(len(scaled) * calibration)
    if min(calibrated, len(scaled) - calibrated) < FEWEST:
        raise UsageError(
            f"{len(scaled)} bars cannot be cut into {calibrated} to fit on and {len(scaled) - calibrated} to judge; "
            f"each part needs at least {FEWEST}"
        )
    line = fit(scaled.cut(0, calibrated), method)
    values = scaled.y - line.alpha - line.beta * scaled.x
    again = fit(scaled.cut(calibrated, len(scaled)), method)
    drift = None if line.beta == 0 else 100 * (again.beta - line.beta) / abs(line.beta)
    what = (
        f"log {pair.y_name} - {line.beta:.4g} log {pair.x_name}"
        if log
        else f"{pair.y_name} - {line.beta:.4g} {pair.x_name}"
    )
    return Spread(
        sample=pair.sample(),
        log=log,
        fit=line,
        calibrated=calibrated,
        open_ms=pair.open_ms.tolist(),
        values=values.tolist(),
        unhedged=(scaled.y - scaled.x).tolist(),
        z=zscore(values, window, center=center, of=what),
        half_life=half_life(values[calibrated:]),
        beta_drift_pct=drift,
    )


def doubts(p: float, name: str, life: HalfLife, newer: Floats, drift_pct: float | None) -> list[str]:
    """What speaks against a spread as a signal: `p` (called `name`), half-life, drift, the test of its `newer` bars."""
    found = []
    if p >= SIGNIFICANT:
        found.append(f"{name} is {p:.3g}, at least {SIGNIFICANT:g}")
    if life.bars is None or not SHORTEST_LIFE <= life.bars <= len(newer) / 4:
        told = "does not exist" if life.bars is None else f"is {life.bars:.1f} bars"
        found.append(f"half-life {told}, outside {SHORTEST_LIFE} to {len(newer) / 4:.0f}")
    if drift_pct is None or not abs(drift_pct) <= MAX_DRIFT_PCT:
        found.append("beta is zero" if drift_pct is None else f"beta drifts by {drift_pct:.0f} %")
    try:
        later = adf(newer, "the spread on the newer bars")
    except UsageError as error:
        return [*found, f"the newer bars cannot be tested: {error}"]
    if not later.rejects_at_5pct:
        found.append(f"the newer bars do not confirm it (p {later.p:.3g})")
    return found


def zscore(values: Floats, window: int = DEFAULT_WINDOW, *, center: Center = "mean", of: str = "series") -> ZScore:
    """Score each value against the `window` values that end with it. Raises UsageError for a window out of range."""
    if window not in WINDOWS:
        raise UsageError(f"window = {window} is refused; it must be {WINDOWS[0]} to {WINDOWS[-1]} bars")
    values = usable(values, of, fewest=window)
    views = sliding_window_view(values, window)
    if center == "mean":
        middle, scale = views.mean(axis=1), views.std(axis=1, ddof=1)
    else:
        middle = np.median(views, axis=1)
        scale = np.median(np.abs(views - middle[:, None]), axis=1) * MAD_TO_STD
    # What remains of a constant window is the rounding of floats; dividing by it would shout at nothing.
    least = 1e-12 * np.maximum(1.0, np.abs(views).max(axis=1))
    known = scale > least
    scores = np.divide(values[window - 1 :] - middle, scale, out=np.full(len(views), np.nan), where=known)
    listed: list[float | None] = [None] * (window - 1)
    listed += [score if is_known else None for score, is_known in zip(scores.tolist(), known.tolist(), strict=True)]
    reason = "" if known[-1] else f"the last {window} values do not vary"
    return ZScore(of, window, center, listed, listed[-1], reason)


def half_life(values: Floats) -> HalfLife:
    """Half-life of mean reversion in bars."""
    values = usable(values, "the spread")
    before, step = values[:-1], np.diff(values)
    found = OLS(step, add_constant(before)).fit()
    b, b_se = float(found.params[1]), float(found.bse[1])
    bars = _bars(b)
    if bars is None:
        reason = "it does not revert" if b >= 0 else "it overshoots at every bar"
        return HalfLife(None, None, None, b, b_se, len(step), reason)
    return HalfLife(bars, _bars(b - CERTAINTY * b_se) or 0.0, _bars(b + CERTAINTY * b_se), b, b_se, len(step))


def _bars(b: float) -> float | None:
    return float(-np.log(2) / np.log1p(b)) if -1 < b < 0 else None
