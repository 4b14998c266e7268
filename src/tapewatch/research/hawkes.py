"""Buy and sell arrivals that excite each other: a bivariate Hawkes process with exponential kernels.

``λ_i(t) = μ_i + Σ_j Σ_{t_k^j < t} α_ij exp(-β (t - t_k^j))`` (Hawkes, 1971; in markets: Bowsher, 2007). Fitted by
maximum likelihood; whether it fits is told by time rescaling: transformed waits must be exponential (Ogata, 1988).
A research view: it describes, it does not predict.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ..compiled import kernel
from ..model.errors import UsageError
from ..model.shortage import ShortageError
from .series import Floats, Times

FEWEST = 100
MOST = 20_000
"""Events that are fitted, the newest: a fit then takes a second or two."""
LONGEST_S = 1e7
CELLS = 400
"""Times at which the intensity is told, evenly over the span."""
QUANTILES = 99


class Goodness(msgspec.Struct, frozen=True):
    """Kolmogorov-Smirnov test of rescaled waits against the exponential: a small p says that it does not fit."""

    statistic: float
    p: float
    n: int


class Hawkes(msgspec.Struct, frozen=True):
    """A fitted process; index 0 is buys, 1 sells. Rates a second.

    `branching[i][j]` is the mean number of events of i that one of j sets off; `stable` where its spectral radius is
    below 1. `endogenous_share` is the share of all events that others set off.
    """

    n_buys: int
    n_sells: int
    span_s: float
    mu: list[float]
    alpha: list[list[float]]
    beta: float
    half_life_s: float
    branching: list[list[float]]
    spectral_radius: float
    stable: bool
    endogenous_share: float
    log_likelihood: float
    log_likelihood_poisson: float
    """Of two independent Poisson processes, which it must beat by more than its four further parameters."""
    goodness: list[Goodness]
    converged: bool
    tied: int
    """Events at the same time as another of their side, taken as one."""
    cell_ms: list[int]
    """Ends of `CELLS` cells of the span, ms since the epoch; `intensity[i]` is that at each, `rate[i]` the arrivals a
    second that the cell before it held."""
    intensity: list[list[float]]
    rate: list[list[float]]
    waits: list[list[float]]
    """Quantiles 1 % to 99 % of rescaled waits by side, to be held against those of the exponential."""


def fit(buy_ms: Floats | Times, sell_ms: Floats | Times) -> Hawkes:
    """Fit the arrivals; times in ms. Raises ShortageError where either side has too few."""
    buys, sells = np.unique(buy_ms), np.unique(sell_ms)
    tied = len(buy_ms) + len(sell_ms) - len(buys) - len(sells)
    if min(len(buys), len(sells)) < FEWEST:
        raise ShortageError(
            f"{len(buys)} buys and {len(sells)} sells at times of their own; each side needs {FEWEST}",
            min(len(buys), len(sells)),
            FEWEST,
        )
    times = np.concatenate([buys, sells])
    order = np.argsort(times, kind="stable")[-MOST:]
    first_ms = float(times[order][0])
    at = (times[order] - first_ms) / 1000.0
    side = (order >= len(buys)).astype(np.int64)
    span = float(at[-1])
    if not 0 < span < LONGEST_S:
        raise UsageError(f"the events span {span:g} s")
    counts = np.bincount(side, minlength=2)
    if counts.min() < FEWEST:
        raise UsageError(
            f"of the newest {len(at)} events {counts[0]} are buys and {counts[1]} sells; each needs {FEWEST}"
        )
    rate = counts / span
    best = min((_search(at, side, span, rate, beta) for beta in (0.5, 5.0, 50.0)), key=lambda found: float(found.fun))
    mu, alpha, beta = _unpacked(best.x)
    branching = alpha / beta
    radius = float(np.abs(np.linalg.eigvals(branching)).max())
    poisson = float((counts * np.log(rate) - counts).sum())
    waits = _waits(at, side, mu, alpha, beta)
    cells = np.linspace(0, span, CELLS + 1)[1:]
    return Hawkes(
        n_buys=int(counts[0]),
        n_sells=int(counts[1]),
        span_s=span,
        mu=mu.tolist(),
        alpha=alpha.tolist(),
        beta=beta,
        half_life_s=float(np.log(2) / beta),
        branching=branching.tolist(),
        spectral_radius=radius,
        stable=radius < 1,
        endogenous_share=float(1 - mu.sum() / rate.sum()),
        log_likelihood=-float(best.fun),
        log_likelihood_poisson=poisson,
        goodness=[_goodness(one) for one in waits],
        converged=bool(best.success),
        tied=tied,
        cell_ms=np.rint(first_ms + 1000 * cells).astype(np.int64).tolist(),
        intensity=_intensity(cells, at, side, mu, alpha, beta).tolist(),
        rate=[(np.histogram(at[side == i], CELLS, (0.0, span))[0] * CELLS / span).tolist() for i in (0, 1)],
        waits=[np.quantile(one, np.arange(1, QUANTILES + 1) / (QUANTILES + 1)).tolist() for one in waits],
    )


def _unpacked(logs: Floats) -> tuple[Floats, Floats, float]:
    values = np.exp(logs)
    return values[:2], values[2:6].reshape(2, 2), float(values[6])


def _search(at: Floats, side: NDArray[np.int64], span: float, rate: Floats, beta: float) -> optimize.OptimizeResult:
    begin = np.log(np.concatenate([0.5 * rate, np.full(4, 0.2 * beta), [beta]]))
    bounds = [(-15.0, 15.0)] * 7
    return optimize.minimize(_loss, begin, (at, side, span), method="L-BFGS-B", jac=True, bounds=bounds)


def _loss(logs: Floats, at: Floats, side: NDArray[np.int64], span: float) -> tuple[float, Floats]:
    """Minus the log-likelihood and its gradient by the logarithms of mu (2), alpha (4), beta."""
    mu, alpha, beta = _unpacked(logs)
    r, s = _decayed(at, side, beta)
    intensity = mu[side] + (alpha[side] * r).sum(axis=1)
    left = np.exp(-beta * (span - at))
    ended = np.bincount(side, 1 - left, 2)
    slope = np.bincount(side, (span - at) * left, 2)
    weight = 1 / intensity
    by_mu = np.bincount(side, weight, 2) - span
    by_alpha = np.array([np.bincount(side, weight * r[:, j], 2) for j in (0, 1)]).T - ended / beta
    by_beta = -float((weight * (alpha[side] * s).sum(axis=1)).sum()) + float(
        (alpha.sum(axis=0) * (ended / beta**2 - slope / beta)).sum()
    )
    likelihood = float(np.log(intensity).sum() - mu.sum() * span - (alpha.sum(axis=0) * ended).sum() / beta)
    gradient = np.concatenate([by_mu * mu, (by_alpha * alpha).ravel(), [by_beta * beta]])
    return -likelihood, -gradient


def _decayed(at: Floats, side: NDArray[np.int64], beta: float) -> tuple[Floats, Floats]:
    r, s = np.zeros((len(at), 2)), np.zeros((len(at), 2))
    _decay(at, side, beta, r, s)
    return r, s


@kernel
def _decay(at: Floats, side: NDArray[np.int64], beta: float, r: Floats, s: Floats) -> None:
    """`r[k, j]`: sum over events of j before event k of ``exp(-β (t_k - t))``; `s`: the same times the time passed.

    Events of one moment are not before each other.
    """
    r_buy = r_sell = s_buy = s_sell = 0.0
    new_buy = new_sell = 0.0
    for k in range(1, len(at)):
        wait = at[k] - at[k - 1]
        factor = np.exp(-beta * wait)
        if side[k - 1]:
            new_sell += 1.0
        else:
            new_buy += 1.0
        if wait > 0.0:
            r_buy, r_sell = r_buy + new_buy, r_sell + new_sell
            new_buy = new_sell = 0.0
        s_buy, s_sell = factor * (s_buy + wait * r_buy), factor * (s_sell + wait * r_sell)
        r_buy, r_sell = factor * r_buy, factor * r_sell
        r[k, 0], r[k, 1], s[k, 0], s[k, 1] = r_buy, r_sell, s_buy, s_sell


def _intensity(when: Floats, at: Floats, side: NDArray[np.int64], mu: Floats, alpha: Floats, beta: float) -> Floats:
    """Intensity by side at times `when`, of what had arrived before or at them."""
    r, _ = _decayed(at, side, beta)
    last = np.searchsorted(at, when, side="right") - 1
    arrived = _count(at, side, at[last], "right") - _count(at, side, at[last], "left")  # in that very moment
    faded = (r[last] + arrived) * np.exp(-beta * (when - at[last]))[:, None]
    found: Floats = mu[:, None] + alpha @ faded.T
    return found


def _waits(at: Floats, side: NDArray[np.int64], mu: Floats, alpha: Floats, beta: float) -> list[Floats]:
    """Waits between events of each side, in units of the intensity there was meanwhile."""
    r, _ = _decayed(at, side, beta)
    before = _count(at, side, at, "left")
    found = []
    for i in (0, 1):
        own = side == i
        compensator = mu[i] * at[own] + ((before[own] - r[own]) * alpha[i] / beta).sum(axis=1)
        found.append(np.diff(compensator))
    return found


def _count(at: Floats, side: NDArray[np.int64], when: Floats, until: Literal["left", "right"]) -> NDArray[np.int64]:
    """Events of each side before the times `when`, or before and at them."""
    return np.column_stack([np.searchsorted(at[side == j], when, until) for j in (0, 1)])


def _goodness(waits: Floats) -> Goodness:
    test = stats.kstest(waits, "expon")
    return Goodness(float(test.statistic), float(test.pvalue), len(waits))
