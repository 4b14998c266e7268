"""All pairs of a universe tested for cointegration, without fooling oneself.

Of 180,000 pairs of random walks 9,000 pass a test at 5 %. So: every pair is tested in its better direction, at the
price of both tests (p is doubled); p-values are corrected over all pairs scanned (Benjamini and Hochberg, 1995); the
test uses the older part of the bars only, and what passes is tested again on the newer part with its line unchanged.

One test is Engle and Granger's; for speed the regressions of one x on all others are done as matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.adfvalues import mackinnonp

from ..model.errors import UsageError
from .series import Bars, Floats, Times, is_constant
from .spread import DEFAULT_WINDOW, SIGNIFICANT, HalfLife, doubts, half_life, zscore
from .unitroot import UnitRoot, adf

LAGS = 2
"""Lagged differences in the scanning test; fixed, so that all pairs are tested alike."""
HOLD_OUT = 0.3
FEWEST = 200
LEAST_COVERAGE = 0.98
"""Share of the bars that a symbol must have to be scanned."""

Progress = Callable[[int, int], None]


class Candidate(msgspec.Struct, frozen=True):
    """One pair that was looked at closely. `qualified` only if all of it holds; `reasons` say what does not."""

    y: str
    x: str
    beta: float
    alpha: float
    correlation: float
    statistic: float
    p: float
    """Doubled for the choice of direction, not corrected for the number of pairs."""
    p_corrected: float
    half_life: HalfLife
    hold_out: UnitRoot
    """The spread of the newer bars, its line that of the older ones."""
    beta_drift_pct: float
    z: float | None
    """Of the newest bar against the last 20."""
    qualified: bool
    reasons: list[str]


class Scan(msgspec.Struct, frozen=True):
    """What a scan looked at and found, best p first."""

    symbols: int
    excluded: dict[str, str]
    pairs: int
    tf_ms: int
    first_ms: int
    last_ms: int
    bars: int
    hold_out_bars: int
    lags: int
    false_discovery_rate: float
    passed: int
    """Pairs whose corrected p is below the rate."""
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Panel:
    """Log closes of many symbols at common times: `logs[k, t]`."""

    names: list[str]
    tf_ms: int
    open_ms: Times
    logs: Floats
    excluded: dict[str, str]


def panel(series: Sequence[Bars]) -> Panel:
    """Put series on the times that all have. A symbol with too few of the bars is left out, named with its reason."""
    if len({one.tf_ms for one in series}) != 1:
        raise UsageError("a scan needs at least two series, with bars of one length")
    times = np.unique(np.concatenate([one.open_ms for one in series]))
    kept, excluded = [], {}
    for one in series:
        coverage = len(one) / len(times)
        if coverage < LEAST_COVERAGE:
            excluded[one.name] = f"has {len(one)} of {len(times)} bars"
        elif is_constant(one.close):
            excluded[one.name] = "its price did not move"
        else:
            kept.append(one)
    for one in kept:
        times = np.intersect1d(times, one.open_ms, assume_unique=True)
    if len(kept) < 2 or len(times) < FEWEST:
        for_one = "".join(f"; {name}, for one, {why}" for name, why in list(excluded.items())[:1])
        raise UsageError(
            f"a scan needs 2 series with {FEWEST} bars at common times; {len(kept)} of {len(series)} can be used, "
            f"with {len(times)}{for_one}"
        )
    logs = np.log(np.array([one.close[np.searchsorted(one.open_ms, times)] for one in kept]))
    return Panel([one.name for one in kept], kept[0].tf_ms, times, logs, excluded)


def scan(
    data: Panel,
    *,
    keep: int = 50,
    lags: int = LAGS,
    hold_out: float = HOLD_OUT,
    progress: Progress | None = None,
) -> Scan:
    """Test all pairs and look closely at the best `keep`; `progress(done, of)` is called once a symbol."""
    n = data.logs.shape[1]
    split = n - round(n * hold_out)
    old = data.logs[:, :split]
    statistic, beta = _statistics(old, lags, progress)
    # The better of both directions; each unordered pair once.
    upper = np.triu_indices(len(data.names), 1)
    forward, backward = statistic[upper], statistic.T[upper]
    turned = backward < forward
    best = np.where(turned, backward, forward)
    p = np.minimum(1.0, 2 * _p_values(best))
    passed, corrected, *_ = multipletests(p, alpha=SIGNIFICANT, method="fdr_bh")
    correlated: Floats = np.asarray(np.corrcoef(np.diff(old, axis=1)))
    candidates = []
    for k in np.argsort(p, kind="stable")[:keep]:
        y, x = int(upper[0][k]), int(upper[1][k])
        if turned[k]:
            y, x = x, y
        seen = _Seen(float(best[k]), float(p[k]), float(corrected[k]), float(correlated[y, x]), float(beta[y, x]))
        candidates.append(_candidate(data, y, x, split, seen))
    return Scan(
        symbols=len(data.names),
        excluded=data.excluded,
        pairs=len(p),
        tf_ms=data.tf_ms,
        first_ms=int(data.open_ms[0]),
        last_ms=int(data.open_ms[-1]),
        bars=n,
        hold_out_bars=n - split,
        lags=lags,
        false_discovery_rate=SIGNIFICANT,
        passed=int(passed.sum()),
        candidates=candidates,
    )


def _statistics(logs: Floats, lags: int, progress: Progress | None) -> tuple[Floats, Floats]:
    """Engle-Granger statistics and slopes, ``[y, x]`` each; of a symbol with itself +inf and 1."""
    count = len(logs)
    centred = logs - logs.mean(axis=1, keepdims=True)
    beta = (centred @ centred.T) / (centred * centred).sum(axis=1)
    statistic = np.full((count, count), np.inf)
    for x in range(count):
        residuals = centred - beta[:, x : x + 1] * centred[x]
        statistic[:, x] = dickey_fuller(residuals, lags)
        statistic[x, x] = np.inf
        if progress:
            progress(x + 1, count)
    return statistic, beta


def dickey_fuller(residuals: Floats, lags: int) -> Floats:
    """Give t statistics of ``e₋₁`` in ``Δe = g e₋₁ + Σ c Δe₋ᵢ``, without a constant, one for each row."""
    steps = np.diff(residuals, axis=1)
    target = steps[:, lags:]
    n = target.shape[1]
    columns = [residuals[:, lags:-1], *(steps[:, lags - i : lags - i + n] for i in range(1, lags + 1))]
    width = len(columns)
    gram = np.empty((len(residuals), width, width))
    right = np.empty((len(residuals), width))
    for i, one in enumerate(columns):
        right[:, i] = np.einsum("rt,rt->r", one, target)
        for j in range(i, width):
            gram[:, i, j] = gram[:, j, i] = np.einsum("rt,rt->r", one, columns[j])
    singular = np.linalg.cond(gram) > 1e12
    gram[singular] = np.eye(width)
    inverse = np.linalg.inv(gram)
    found = np.einsum("rij,rj->ri", inverse, right)
    rest = np.einsum("rt,rt->r", target, target) - np.einsum("ri,ri->r", found, right)
    variance = np.maximum(rest, 0.0) / (n - width)
    error = np.sqrt(variance * inverse[:, 0, 0])
    return np.where(singular | (error <= 0), np.inf, found[:, 0] / np.where(error > 0, error, 1.0))


def _p_values(statistic: Floats) -> Floats:
    """MacKinnon's p of Engle-Granger statistics with a constant, for two series.

    The function takes one number at a time; it rises with the statistic, so a fine table of it does for all.
    """
    finite = np.isfinite(statistic)
    if not finite.any():
        return np.ones(len(statistic))
    table = np.linspace(min(float(statistic[finite].min()), -12.0), 4.0, 4_001)
    p = np.array([mackinnonp(value, regression="c", N=2) for value in table])
    return np.where(finite, np.interp(statistic, table, p), 1.0)


@dataclass(frozen=True, slots=True)
class _Seen:
    statistic: float
    p: float
    corrected: float
    correlation: float
    beta: float


def _candidate(data: Panel, y: int, x: int, split: int, seen: _Seen) -> Candidate:
    log_y, log_x = data.logs[y], data.logs[x]
    alpha = float(log_y[:split].mean() - seen.beta * log_x[:split].mean())
    values = log_y - alpha - seen.beta * log_x
    life, later = half_life(values[:split]), adf(values[split:], "the spread on the newer bars")
    (varies, together), _ = np.asarray(np.cov(log_x[split:], log_y[split:]))
    drift = 100 * (together / varies - seen.beta) / abs(seen.beta) if varies > 0 else np.inf
    reasons = doubts(seen.corrected, "corrected p", life, values[split:], float(drift))
    return Candidate(
        y=data.names[y],
        x=data.names[x],
        beta=seen.beta,
        alpha=alpha,
        correlation=seen.correlation,
        statistic=seen.statistic,
        p=seen.p,
        p_corrected=seen.corrected,
        half_life=life,
        hold_out=later,
        beta_drift_pct=float(drift),
        z=zscore(values, DEFAULT_WINDOW).newest,
        qualified=not reasons,
        reasons=reasons,
    )
