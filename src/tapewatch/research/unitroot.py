"""Does a series come back? Unit-root and cointegration tests, each with the critical values that belong to it.

A residual whose line was estimated from the same data looks more stationary than it is, so the Dickey-Fuller values
(5 %: about -2.86) are not valid for it; Engle and Granger's are (about -3.34). Both are MacKinnon's (2010).
"""

from __future__ import annotations

import warnings

import msgspec
import numpy as np
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.sm_exceptions import CollinearityWarning
from statsmodels.tools.tools import add_constant
from statsmodels.tsa.stattools import adfuller, coint
from statsmodels.tsa.vector_ar.vecm import coint_johansen

from ..model.errors import UsageError
from .series import Floats, Pair, Sample, usable

LEVELS = ("1%", "5%", "10%")
FEWEST = 40
"""Values below which the tests' critical values are no guide."""
TINY = 1e-300
"""Of a residual that is none, whose logarithm would be no number."""
MOST_JOHANSEN = 12
"""Series for which Johansen's critical values are tabulated."""


class UnitRoot(msgspec.Struct, frozen=True):
    """One test of the null hypothesis that there is a unit root (or no cointegration): reject where p is small."""

    test: str
    of: str
    n: int
    lags: int
    lag_rule: str
    statistic: float
    p: float
    critical: dict[str, float]
    rejects_at_5pct: bool
    sample: Sample | None = None


class Johansen(msgspec.Struct, frozen=True):
    """Johansen's (1991) tests. `trace[r]` tests at most r cointegrating relations; critical values at 10, 5 and 1 %."""

    names: list[str]
    n: int
    lag_differences: int
    trace: list[float]
    trace_critical: list[list[float]]
    max_eigenvalue: list[float]
    max_eigenvalue_critical: list[list[float]]
    rank_at_5pct: int
    """Relations found by the trace test at 5 %."""
    vectors: list[list[float]]
    """One relation a row, the first series' weight 1."""


def longest_lag(n: int) -> int:
    """Schwert's (1989) rule: ``12 (n / 100)^(1/4)``, as far as the values allow."""
    return max(0, min(int(np.ceil(12 * (n / 100) ** 0.25)), n // 2 - 3))


def best_lag(values: Floats, longest: int, *, constant: bool) -> int:
    """Lags by BIC among 0 to `longest`, as statsmodels chooses them: on the rows that all of them have.

    The regressions are nested, so one factorisation gives the residual sums of all; each by itself took minutes for a
    month of minutes.
    """
    steps = np.diff(values)
    n = len(steps) - longest
    lagged = [steps[longest - i : len(steps) - i] for i in range(1, longest + 1)]
    columns = [*([np.ones(n)] if constant else []), values[longest:-1], *lagged, steps[longest:]]
    triangle: Floats = np.asarray(np.linalg.qr(np.column_stack(columns), mode="r"))
    last = triangle[:, -1]
    rest = np.cumsum(last[::-1] ** 2)[::-1]  # what is left of the target after so many columns
    used = np.arange(1 + constant, len(columns))
    return int(np.argmin(n * np.log(np.maximum(rest[used] / n, TINY)) + used * np.log(n)))


def adf(values: Floats, name: str = "series") -> UnitRoot:
    """Augmented Dickey-Fuller (1979) with a constant, lags by BIC up to Schwert's. Not for an estimated residual."""
    values = usable(values, name, fewest=FEWEST)
    longest = longest_lag(len(values))
    lag = best_lag(values, longest, constant=True)
    found = adfuller(values, maxlag=lag, regression="c", autolag=None, result_object=True)
    return UnitRoot(
        test="augmented Dickey-Fuller, constant",
        of=name,
        n=int(found.nobs),
        lags=int(found.lags),
        lag_rule=f"BIC up to {longest} (Schwert)",
        statistic=float(found.statistic),
        p=float(found.pvalue),
        critical={level: float(found.critical_values[level]) for level in LEVELS},
        rejects_at_5pct=bool(found.statistic < found.critical_values["5%"]),
    )


def engle_granger(pair: Pair) -> UnitRoot:
    """Cointegration of y with x (1987): Dickey-Fuller on the residual of y on x, with its own critical values."""
    x = usable(pair.x, pair.x_name, fewest=FEWEST)
    y = usable(pair.y, pair.y_name, fewest=FEWEST)
    longest = longest_lag(len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollinearityWarning)
        try:
            lags = best_lag(OLS(y, add_constant(x)).fit().resid, longest, constant=False)
            statistic, p, critical = coint(y, x, trend="c", maxlag=lags, autolag=None)
        except CollinearityWarning:
            raise UsageError(
                f"{pair.y_name} and {pair.x_name} are the same but for a factor: nothing to test"
            ) from None
    return UnitRoot(
        test="Engle-Granger, constant",
        of=f"{pair.y_name} on {pair.x_name}",
        n=len(y),
        lags=lags,
        lag_rule=f"BIC up to {longest} (Schwert)",
        statistic=float(statistic),
        p=float(p),
        critical=dict(zip(LEVELS, map(float, critical), strict=True)),
        rejects_at_5pct=bool(statistic < critical[1]),
        sample=pair.sample(),
    )


def johansen(columns: list[Floats], names: list[str], lag_differences: int = 1) -> Johansen:
    """Cointegrating relations among two or more series of equal length, with a constant."""
    if not 2 <= len(columns) <= MOST_JOHANSEN:
        raise UsageError(f"{len(columns)} series are refused; 2 to {MOST_JOHANSEN} can be tested")
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in zip(names, columns, strict=True))
        raise UsageError(f"the series differ in length: {lengths}")
    table = np.column_stack([usable(column, name, fewest=FEWEST) for column, name in zip(columns, names, strict=True)])
    try:
        found = coint_johansen(table, det_order=0, k_ar_diff=lag_differences)
    except np.linalg.LinAlgError:
        raise UsageError(f"{', '.join(names)}: one is a sum of the others, nothing to test") from None
    rank = 0
    while rank < len(names) and found.lr1[rank] > found.cvt[rank, 1]:
        rank += 1
    vectors = found.evec.T / found.evec[0][:, None]
    return Johansen(
        names=names,
        n=len(table),
        lag_differences=lag_differences,
        trace=found.lr1.tolist(),
        trace_critical=found.cvt.tolist(),
        max_eigenvalue=found.lr2.tolist(),
        max_eigenvalue_critical=found.cvm.tolist(),
        rank_at_5pct=rank,
        vectors=np.real(vectors).tolist(),
    )
