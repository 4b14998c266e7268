"""How many units of x hedge one of y: y = alpha + beta x, by least squares, robustly, orthogonally, and as it drifts.

Definitions: ordinary least squares; Huber (1964), k = 1.345, scale by the median absolute deviation; total least
squares of Pearson (1901), symmetric in x and y; a Kalman filter whose state (beta, alpha) is a random walk.
"""

from __future__ import annotations

import msgspec
import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.robust.norms import HuberT
from statsmodels.robust.robust_linear_model import RLM
from statsmodels.tools.tools import add_constant

from .choices import Method
from .series import Floats, Pair, Sample, usable

HUBER_K = 1.345
KALMAN_DELTA = 1e-5
MAX_HUBER_ROUNDS = 200


class Fit(msgspec.Struct, frozen=True):
    """One fitted line ``y = alpha + beta x``. Standard errors are None where the method has none of its own."""

    method: Method
    y: str
    x: str
    sample: Sample
    alpha: float
    beta: float
    alpha_se: float | None
    beta_se: float | None
    r2: float | None
    residual_std: float
    note: str = ""


class Drifting(msgspec.Struct, frozen=True):
    """The filtered line at each bar: `beta[t]` and `alpha[t]` know bars up to t, never one after it. Length n.

    None for the first bars, which the filter learns its noise from.
    """

    delta: float
    beta: list[float | None]
    alpha: list[float | None]


def fit(pair: Pair, method: Method = "ols") -> Fit:
    """Fit `pair.y` on `pair.x`; raises UsageError where a series is constant, too short or holds what is no number."""
    x, y = usable(pair.x, pair.x_name), usable(pair.y, pair.y_name)
    return {"ols": _ols, "huber": _huber, "tls": _tls}[method](pair, x, y)


def both_directions(pair: Pair, method: Method = "ols") -> tuple[Fit, Fit]:
    """Fit y on x and x on y: with least squares they are two lines, and which one is meant has to be said."""
    return fit(pair, method), fit(pair.swapped(), method)


def _ols(pair: Pair, x: Floats, y: Floats) -> Fit:
    found = OLS(y, add_constant(x)).fit()
    (alpha, beta), (alpha_se, beta_se) = found.params, found.bse
    note = "standard errors take residuals for independent; those of price levels are not"
    return _fit(pair, "ols", alpha, beta, alpha_se=alpha_se, beta_se=beta_se, r2=found.rsquared, note=note)


def _huber(pair: Pair, x: Floats, y: Floats) -> Fit:
    # In units of its own: the search ends where the loss moves by less than an absolute amount.
    (x_middle, y_middle), (x_unit, y_unit) = (x.mean(), y.mean()), (x.std(), y.std())
    model = RLM((y - y_middle) / y_unit, add_constant((x - x_middle) / x_unit), M=HuberT(HUBER_K))
    found = model.fit(maxiter=MAX_HUBER_ROUNDS)
    beta, beta_se = found.params[1] * y_unit / x_unit, found.bse[1] * y_unit / x_unit
    alpha = y_middle + found.params[0] * y_unit - beta * x_middle
    covariance = found.bcov_scaled
    alpha_se = y_unit * float(np.sqrt(np.array([1.0, -x_middle / x_unit]) @ covariance @ [1.0, -x_middle / x_unit]))
    note = f"bounded in outliers of {pair.y_name}, not in leverage of {pair.x_name}; R² is not defined"
    return _fit(pair, "huber", alpha, beta, alpha_se=alpha_se, beta_se=beta_se, note=note)


def _tls(pair: Pair, x: Floats, y: Floats) -> Fit:
    (s_xx, s_xy), (_, s_yy) = np.cov(x, y)
    note = "orthogonal: the same line in both directions; it depends on the units of x and y"
    if s_xy == 0:
        beta = 0.0 if s_yy <= s_xx else float("inf")
        note = "x and y do not vary together"
    else:
        difference = s_yy - s_xx
        beta = float((difference + np.hypot(difference, 2 * s_xy)) / (2 * s_xy))
    return _fit(pair, "tls", float(y.mean() - beta * x.mean()), beta, note=note)


def _fit(
    pair: Pair,
    method: Method,
    alpha: float,
    beta: float,
    *,
    alpha_se: float | None = None,
    beta_se: float | None = None,
    r2: float | None = None,
    note: str = "",
) -> Fit:
    rest = pair.y - alpha - beta * pair.x
    return Fit(
        method=method,
        y=pair.y_name,
        x=pair.x_name,
        sample=pair.sample(),
        alpha=float(alpha),
        beta=float(beta),
        alpha_se=None if alpha_se is None else float(alpha_se),
        beta_se=None if beta_se is None else float(beta_se),
        r2=None if r2 is None else float(r2),
        residual_std=float(rest.std(ddof=2)),
        note=note,
    )


def kalman(pair: Pair, delta: float = KALMAN_DELTA, begin: int = 20) -> Drifting:
    """Filter the line through the bars. `delta / (1 - delta)` is the variance by which beta and alpha drift a bar.

    The first `begin` bars give the first line and the variance of its noise by least squares. Both series are told
    from the mean of those bars, in units of their standard deviation: far from zero, where prices are, slope and
    intercept could not be told apart, and `delta` means the same for a coin of 0.1 and one of 100,000.
    """
    x, y = usable(pair.x, pair.x_name, fewest=begin + 2), usable(pair.y, pair.y_name, fewest=begin + 2)
    (x_middle, x_unit), (y_middle, y_unit) = _place(x[:begin]), _place(y[:begin])
    x, y = (x - x_middle) / x_unit, (y - y_middle) / y_unit
    first = np.column_stack([x[:begin], np.ones(begin)])
    state, *_ = np.linalg.lstsq(first, y[:begin], rcond=None)
    noise = max(float((y[:begin] - first @ state).var(ddof=2)), 1e-18)
    spread = noise * np.linalg.pinv(first.T @ first)
    slopes, levels = _filtered(x[begin:], y[begin:], np.asarray(state), spread, noise, delta / (1 - delta))
    beta = slopes * (y_unit / x_unit)
    alpha = y_middle + y_unit * levels - beta * x_middle
    unknown: list[float | None] = [None] * begin
    return Drifting(delta, unknown + beta.tolist(), unknown + alpha.tolist())


def _filtered(
    xs: Floats, ys: Floats, state: Floats, spread: Floats, noise: float, drift: float
) -> tuple[Floats, Floats]:
    """Slopes and intercepts after each bar; in numbers, not matrices: of two by two they are a tenth of the work."""
    (slope, level), ((a, b), (_, c)) = state.tolist(), spread.tolist()
    slopes, levels = np.empty(len(xs)), np.empty(len(xs))
    for t, (x, y) in enumerate(zip(xs.tolist(), ys.tolist(), strict=True)):
        a, c = a + drift, c + drift
        of_slope, of_level = a * x + b, b * x + c
        seen = of_slope * x + of_level + noise
        miss = (y - slope * x - level) / seen
        slope, level = slope + of_slope * miss, level + of_level * miss
        a, b, c = a - of_slope * of_slope / seen, b - of_slope * of_level / seen, c - of_level * of_level / seen
        slopes[t], levels[t] = slope, level
    return slopes, levels


def _place(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; of values that do not vary, a hundredth of a percent of them."""
    middle = float(values.mean())
    return middle, float(values.std()) or abs(middle) * 1e-4
