"""Every statistic against somebody else's: certified values, textbook numbers, other libraries; and its symmetries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import arch.unitroot
import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import linalg, stats
from statsmodels.robust.norms import HuberT
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter
from statsmodels.tsa.stattools import adfuller

from price_series import MINUTE_MS, bars, tied, walk
from tapewatch.research import hedge, unitroot
from tapewatch.research.correlation import correlation, hayashi_yoshida
from tapewatch.research.scan import panel, scan
from tapewatch.research.series import Pair
from tapewatch.research.spread import half_life, zscore
from tapewatch.research.statistics import moments

Floats = NDArray[np.float64]

NORRIS = (
    (0.1, 0.2), (338.8, 337.4), (118.1, 118.2), (888.0, 884.6), (9.2, 10.1), (228.1, 226.5), (668.5, 666.3),
    (998.5, 996.3), (449.1, 448.6), (778.9, 777.0), (559.2, 558.2), (0.3, 0.4), (0.1, 0.6), (778.1, 775.5),
    (668.8, 666.9), (339.3, 338.0), (448.9, 447.5), (10.8, 11.6), (557.7, 556.0), (228.3, 228.1), (998.0, 995.8),
    (888.8, 887.6), (119.6, 120.2), (0.3, 0.3), (0.6, 0.3), (557.6, 556.8), (339.3, 339.1), (888.0, 887.2),
    (998.5, 999.0), (778.9, 779.0), (10.2, 11.1), (117.6, 118.3), (228.9, 229.2), (668.4, 669.1), (449.2, 448.9),
    (0.2, 0.5),
)  # fmt: skip
"""The American standards office's (NIST StRD) data for linear regression: y, x."""


def pair_of(x: Floats, y: Floats) -> Pair:
    return Pair("X", "Y", MINUTE_MS, MINUTE_MS * np.arange(len(x)), x, y, 0, 0, "trades")


def macro() -> tuple[Floats, Floats]:
    """Quarterly logs of the United States' product and consumption, 1959 to 2009, as statsmodels brings them."""
    data = sm.datasets.macrodata.load_pandas().data
    return np.log(data["realgdp"].to_numpy()), np.log(data["realcons"].to_numpy())


# -- other people's numbers ----------------------------------------------------------------------------------------


def test_least_squares_gives_the_certified_values_of_norris() -> None:
    y, x = np.array(NORRIS).T
    found = hedge.fit(pair_of(x, y))
    assert found.alpha == pytest.approx(-0.262323073774029, rel=1e-9)
    assert found.beta == pytest.approx(1.00211681802045, rel=1e-12)
    assert found.alpha_se == pytest.approx(0.232818234301152, rel=1e-9)
    assert found.beta_se == pytest.approx(0.429796848199937e-03, rel=1e-9)
    assert found.r2 == pytest.approx(0.999993745883712, rel=1e-12)
    assert found.residual_std == pytest.approx(0.884796396144373, rel=1e-9)


def test_moments_are_those_of_another_library() -> None:
    values = stats.skewnorm.rvs(4, size=500, random_state=1)
    told = pl.Series(values)
    found = moments(values)
    assert (found.mean, found.median, found.std) == pytest.approx((told.mean(), told.median(), told.std()))
    assert (found.skew, found.kurtosis) == pytest.approx((told.skew(bias=False), told.kurtosis(bias=False)))
    assert (found.min, found.max, found.n) == (told.min(), told.max(), 500)


def test_hubers_line_is_that_of_statsmodels() -> None:
    """On its own scale, with the search carried on as far as ours."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=400)
    y = 0.5 + 2 * x + rng.standard_t(2, size=400)
    found = hedge.fit(pair_of(x, y), "huber")
    model = sm.RLM(y, sm.add_constant(x), M=HuberT(1.345)).fit(maxiter=500, tol=1e-12)
    assert (found.alpha, found.beta) == pytest.approx(tuple(model.params), rel=1e-5)
    assert (found.alpha_se, found.beta_se) == pytest.approx(tuple(model.bse), rel=1e-4)


def test_the_orthogonal_line_is_the_smallest_singular_vector() -> None:
    pair = tied(3, 300)
    centred = np.column_stack([pair.x - pair.x.mean(), pair.y - pair.y.mean()])
    normal = np.linalg.svd(centred)[2][-1]
    assert hedge.fit(pair, "tls").beta == pytest.approx(-normal[0] / normal[1])


def test_the_drifting_line_is_what_another_kalman_filter_gives() -> None:
    pair, begin, delta = tied(4, 250).logs(), 20, 1e-5
    found = hedge.kalman(pair, delta, begin)
    (x, x_unit), (y, y_unit) = ((v - v[:begin].mean(), v[:begin].std()) for v in (pair.x, pair.y))
    x, y = x / x_unit, y / y_unit
    first = np.column_stack([x[:begin], np.ones(begin)])
    line = sm.OLS(y[:begin], first).fit()
    drift = delta / (1 - delta) * np.eye(2)
    other = KalmanFilter(k_endog=1, k_states=2)
    other.bind(y[begin:, None])
    other["design"] = np.stack([x[begin:], np.ones(len(x) - begin)])[None]
    other["obs_cov"] = np.array([[line.scale]])
    other["transition"] = other["selection"] = np.eye(2)
    other["state_cov"] = drift
    other.initialize_known(line.params, line.cov_params() + drift)
    slopes = other.filter().filtered_state[0] * y_unit / x_unit
    assert found.beta[begin:] == pytest.approx(slopes.tolist(), rel=1e-6)


@pytest.mark.parametrize("window", [5, 20, 100])
def test_scores_are_those_of_rolling_windows(window: int) -> None:
    values = walk(5, 400)
    series = pl.Series(values)
    wanted = (series - series.rolling_mean(window)) / series.rolling_std(window)
    assert zscore(values, window).values[window - 1 :] == pytest.approx(wanted[window - 1 :].to_list(), rel=1e-6)
    off = [stats.median_abs_deviation(values[t - window + 1 : t + 1], scale="normal") for t in range(window - 1, 400)]
    wanted = (series - series.rolling_median(window))[window - 1 :] / pl.Series(off)
    found = zscore(values, window, center="median").values
    assert found[window - 1 :] == pytest.approx(wanted.to_list(), rel=1e-6)


def test_rolling_correlation_and_its_interval_are_other_libraries() -> None:
    pair = tied(6, 300, phi=0.2)
    found = correlation(pair, 60)
    x, y = np.diff(np.log(pair.x)), np.diff(np.log(pair.y))
    wanted = [stats.pearsonr(x[t - 60 : t], y[t - 60 : t]).statistic for t in range(60, len(x) + 1)]
    assert found.rolling[59:] == pytest.approx(wanted, rel=1e-6)
    whole = stats.pearsonr(x, y)
    interval = whole.confidence_interval(0.95)
    assert (found.r, found.low_all, found.high_all) == pytest.approx((whole.statistic, interval.low, interval.high))
    last = stats.pearsonr(x[-60:], y[-60:]).confidence_interval(0.95)
    assert (found.low[-1], found.high[-1]) == pytest.approx((last.low, last.high))


@pytest.mark.parametrize("k", [0, 1])
def test_dickey_fuller_is_that_of_another_library(k: int) -> None:
    series = macro()[k]
    for values in (series, np.diff(series)):
        found = unitroot.adf(values)
        other = arch.unitroot.ADF(values, trend="c", method="bic", max_lags=unitroot.longest_lag(len(values)))
        assert (found.lags, found.n) == (other.lags, other.nobs)
        assert (found.statistic, found.p) == pytest.approx((other.stat, other.pvalue), rel=1e-6)
        assert found.critical == pytest.approx(other.critical_values, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 400), st.sampled_from([-0.4, 0.0, 0.5]), st.booleans())
def test_lags_are_chosen_as_statsmodels_chooses_them(seed: int, n: int, memory: float, constant: bool) -> None:
    noise = np.random.default_rng(seed).normal(size=n)
    steps = noise + memory * np.roll(noise, 1) + memory**2 * np.roll(noise, 3)
    longest = unitroot.longest_lag(n)
    wanted = adfuller(np.cumsum(steps), longest, "c" if constant else "n", "BIC", result_object=True)
    assert unitroot.best_lag(np.cumsum(steps), longest, constant=constant) == wanted.lags


def test_engle_granger_is_that_of_another_library_with_its_own_critical_values() -> None:
    """MacKinnon (2010) for two variables and a constant: -3.90, -3.34, -3.04; not Dickey and Fuller's -2.86."""
    for pair in (pair_of(*macro()), tied(7, 500).logs(), tied(8, 500).logs().swapped()):
        found = unitroot.engle_granger(pair)
        other = arch.unitroot.engle_granger(pair.y, pair.x, trend="c", lags=found.lags, method="bic")
        assert found.statistic == pytest.approx(other.stat, rel=1e-6)
        assert found.p == pytest.approx(other.pvalue, abs=2e-3)  # theirs are simulated, ours MacKinnon's surface
        assert list(found.critical.values()) == pytest.approx(
            [other.critical_values[int(k[:-1])] for k in found.critical], abs=0.05
        )
    limit = unitroot.engle_granger(tied(9, 3_000).logs()).critical
    assert limit == pytest.approx({"1%": -3.8964, "5%": -3.3361, "10%": -3.0445}, abs=5e-3)


def test_johansens_statistics_are_those_of_his_regressions() -> None:
    """By hand: both sides regressed on past changes, the roots of their canonical correlations (1991)."""
    pair = tied(10, 600).logs()
    found = unitroot.johansen([pair.y, pair.x], ["Y", "X"])
    # Trends are taken out first, and of all that is regressed the mean, as statsmodels does with a constant.
    levels = np.column_stack([pair.y, pair.x])
    levels = levels - levels.mean(axis=0)
    steps = np.diff(levels, axis=0)
    past, now, behind = (part - part.mean(axis=0) for part in (steps[:-1], steps[1:], levels[1:-1]))

    def rest(side: Floats) -> Floats:
        out: Floats = side - past @ np.linalg.lstsq(past, side, rcond=None)[0]
        return out

    r0, rk = rest(now), rest(behind)
    s00, s0k, skk = r0.T @ r0, r0.T @ rk, rk.T @ rk
    roots = np.sort(linalg.eigh(s0k.T @ np.linalg.solve(s00, s0k), skk, eigvals_only=True))[::-1]
    wanted = [-len(now) * np.log(1 - roots[r:]).sum() for r in (0, 1)]
    assert found.trace == pytest.approx(wanted, rel=1e-6)
    assert found.max_eigenvalue == pytest.approx([-len(now) * np.log(1 - root) for root in roots], rel=1e-6)
    assert [row[1] for row in found.trace_critical] == pytest.approx([15.4943, 3.8415])  # Osterwald-Lenum's at 5 %


def test_half_life_is_the_textbooks() -> None:
    for phi, bars_wanted in ((0.5, 1.0), (0.9, 6.5788), (0.99, 68.9676)):
        assert half_life(phi ** np.arange(60.0)).bars == pytest.approx(bars_wanted, abs=1e-3)
    noise = np.random.default_rng(11).normal(size=3_000)
    values = np.zeros(3_000)
    for t in range(1, 3_000):
        values[t] = 0.9 * values[t - 1] + noise[t]
    slope = stats.linregress(values[:-1], np.diff(values))
    found = half_life(values)
    assert (found.b, found.b_se) == pytest.approx((slope.slope, slope.stderr))
    assert found.bars == pytest.approx(-np.log(2) / np.log1p(slope.slope))


def test_a_scan_corrects_as_scipy_does() -> None:
    found = scan(panel([bars(f"W{k}", walk(300 + k, 400)) for k in range(6)]), keep=15)
    p = np.array([one.p for one in found.candidates])
    assert len(p) == found.pairs
    assert [one.p_corrected for one in found.candidates] == pytest.approx(stats.false_discovery_control(p, method="bh"))


# -- symmetries ----------------------------------------------------------------------------------------------------

SCALES = st.floats(1e-3, 1e4)
SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=15, deadline=None)


def scaled(pair: Pair, of_x: float, of_y: float) -> Pair:
    return replace(pair, x=pair.x * of_x, y=pair.y * of_y)


@FEW
@given(SEEDS, SCALES, st.floats(-1e3, 1e3))
def test_a_score_does_not_depend_on_unit_or_zero(seed: int, factor: float, shift: float) -> None:
    values = walk(seed, 60)
    for center in ("mean", "median"):
        one, other = zscore(values, 20, center=center), zscore(factor * (values + shift), 20, center=center)
        assert other.values[19:] == pytest.approx(one.values[19:], rel=1e-4, abs=1e-4)
    mirrored = zscore(-values, 20).values
    assert mirrored[19:] == pytest.approx([-z for z in zscore(values, 20).values[19:] if z is not None])


@FEW
@given(SEEDS, SCALES, SCALES)
def test_tests_of_roots_do_not_depend_on_units(seed: int, of_x: float, of_y: float) -> None:
    pair = tied(seed, 120)
    other = scaled(pair, of_x, of_y)
    invariants: list[Callable[[Pair], Any]] = [
        lambda p: unitroot.adf(p.y).statistic,
        lambda p: unitroot.engle_granger(p).statistic,
        lambda p: unitroot.johansen([p.y, p.x], ["Y", "X"]).trace,
        lambda p: half_life(p.y).b,
        lambda p: correlation(p, 40).r,
        lambda p: hedge.fit(p).r2,
        lambda p: hedge.fit(p.logs(), "huber").beta,
        lambda p: hedge.fit(p.logs(), "tls").beta,
        lambda p: hedge.kalman(p.logs()).beta[-1],
    ]
    for k, figure in enumerate(invariants):
        assert figure(other) == pytest.approx(figure(pair), rel=1e-4, abs=1e-6), k


@FEW
@given(SEEDS)
def test_what_has_no_direction_has_none(seed: int) -> None:
    pair = tied(seed, 120)
    turned = pair.swapped()
    assert correlation(turned, 40).rolling == pytest.approx(correlation(pair, 40).rolling, nan_ok=True)
    assert hedge.fit(turned, "tls").beta == pytest.approx(1 / hedge.fit(pair, "tls").beta)
    assert hedge.fit(turned).r2 == pytest.approx(hedge.fit(pair).r2)
    one, other = (unitroot.johansen([a, b], ["A", "B"]) for a, b in ((pair.x, pair.y), (pair.y, pair.x)))
    assert one.trace == pytest.approx(other.trace, rel=1e-6)
    times = pair.open_ms
    apart = times + 17
    assert hayashi_yoshida(times, pair.x, apart, pair.y).r == pytest.approx(
        hayashi_yoshida(apart, pair.y, times, pair.x).r
    )
