"""Statistics against textbook values, other computations of the same thing, and properties they must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.tsa.stattools import adfuller, coint

from price_series import BEGIN_MS, MINUTE_MS, bars, tied, walk
from tapewatch.desk.bars import floats
from tapewatch.model.errors import UsageError
from tapewatch.model.instrument import Grid
from tapewatch.research import hawkes, hedge, unitroot
from tapewatch.research.choices import METHODS, Method
from tapewatch.research.correlation import correlation, hayashi_yoshida, ticks
from tapewatch.research.scan import dickey_fuller, panel, scan
from tapewatch.research.series import Pair, Ticks, align, longer
from tapewatch.research.spread import doubts, half_life, spread, zscore
from tapewatch.research.statistics import moments, price_statistics

# -- what a series is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close", "open_ms", "sentence"),
    [
        ([], None, "Q holds no bars"),
        ([1.0, float("nan")], None, "is nan, no price; 1 such bars"),
        ([1.0, 0.0, -1.0], None, "is 0.0, no price; 2 such bars"),
        ([1.0, 2.0], [BEGIN_MS, BEGIN_MS], "is there twice"),
        ([1.0, 2.0], [BEGIN_MS, BEGIN_MS - MINUTE_MS], "bars must be in order of time"),
        ([1.0], [BEGIN_MS + 1], "does not open on a multiple of 60000 ms"),
    ],
)
def test_a_bad_series_is_refused_in_one_sentence(close: list[float], open_ms: list[int] | None, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        bars("Q", close, open_ms=open_ms)


def test_a_pair_holds_common_times_only_and_counts_what_it_left_out() -> None:
    x = bars("X", walk(1, 60))
    y = bars("Y", walk(2, 50), open_ms=x.open_ms[np.r_[0:20, 25:55]])
    pair = align(x, y)
    assert len(pair) == 50
    assert pair.left_out == 10
    assert pair.sample().missing == 5
    assert np.array_equal(pair.x, x.close[np.r_[0:20, 25:55]])


def test_series_that_share_too_little_are_refused() -> None:
    x, y = bars("X", walk(1, 60)), bars("Y", walk(2, 60), open_ms=BEGIN_MS + MINUTE_MS * (50 + np.arange(60)))
    with pytest.raises(UsageError, match="10 bars at common times, at least 20 are needed"):
        align(x, y)
    with pytest.raises(UsageError, match="a pair needs one length"):
        align(x, replace(y, tf_ms=1000))


def test_longer_bars_say_which_of_them_are_partial() -> None:
    one = bars("X", walk(3, 12), open_ms=BEGIN_MS // 300_000 * 300_000 + MINUTE_MS * np.r_[0:5, 6:13])
    found = longer(one, 300_000)
    assert found.gap.tolist() == [False, True, True]
    assert found.close.tolist() == [one.close[4], one.close[8], one.close[11]]
    assert found.high[0] == one.close[:5].max()
    assert found.volume.tolist() == [10.0, 8.0, 6.0]
    with pytest.raises(UsageError, match="cannot be built"):
        longer(one, 90_000)


# -- moments -------------------------------------------------------------------------------------------------------


def test_moments_of_a_small_series_by_hand() -> None:
    found = moments(np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))
    assert (found.n, found.mean, found.median, found.min, found.max) == (8, 5.0, 4.5, 2.0, 9.0)
    assert found.std == pytest.approx((32 / 7) ** 0.5)
    # G1 and G2 of Joanes and Gill (1998), from the sums of powers 32, 42, 356.
    g1, g2 = (42 / 8) / 4**1.5, (356 / 8) / 16 - 3
    assert found.skew == pytest.approx(g1 * (8 * 7) ** 0.5 / 6)
    assert found.kurtosis == pytest.approx(7 / (6 * 5) * (9 * g2 + 6))


def test_what_does_not_exist_is_none() -> None:
    assert moments(np.array([])).mean is None
    assert moments(np.array([3.0])).std is None
    assert moments(np.full(9, 0.1)).skew is None


def test_price_statistics_leave_out_returns_over_missing_bars() -> None:
    close = np.array([100.0, 110.0, 121.0, 100.0, 110.0])
    times = BEGIN_MS + MINUTE_MS * np.array([0, 1, 2, 5, 6])
    found = price_statistics(bars("Q", close, open_ms=times))
    assert found.log_return.n == 3
    assert found.log_return.mean == pytest.approx(np.log(1.1))
    assert found.sample.missing == 2
    assert (found.trades, found.volume) == (15, 10.0)


# -- lines ---------------------------------------------------------------------------------------------------------


def test_least_squares_of_anscombes_first_quartet() -> None:
    """Anscombe (1973), doubled: slope 0.5, intercept 3, R² 0.67; standard errors from the formulas."""
    x = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5] * 2, float)
    y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68] * 2)
    found = hedge.fit(align(bars("X", x), bars("Y", y)))
    assert (round(found.beta, 2), round(found.alpha, 2), round(found.r2 or 0, 2)) == (0.5, 3.0, 0.67)
    rest = y - found.alpha - found.beta * x
    variance = (rest @ rest) / 20
    deviation = ((x - x.mean()) ** 2).sum()
    assert found.beta_se == pytest.approx((variance / deviation) ** 0.5)
    assert found.alpha_se == pytest.approx((variance * (1 / 22 + x.mean() ** 2 / deviation)) ** 0.5)
    assert found.residual_std == pytest.approx(variance**0.5)


def test_huber_forgives_outliers_that_pull_least_squares_away() -> None:
    pair = tied(3, 300).logs()
    y = pair.y.copy()
    y[::29] += 0.5
    spoilt = replace(pair, y=y)
    assert abs(hedge.fit(spoilt, "huber").beta - 1.5) < 0.1
    assert abs(hedge.fit(spoilt, "huber").beta - 1.5) < abs(hedge.fit(spoilt, "ols").beta - 1.5)


def test_the_orthogonal_line_is_the_same_in_both_directions_and_the_first_component() -> None:
    pair = tied(4, 300).logs()
    one, other = hedge.both_directions(pair, "tls")
    assert one.beta * other.beta == pytest.approx(1.0)
    values, vectors = np.linalg.eigh(np.cov(pair.x, pair.y))
    first = vectors[:, int(np.argmax(values))]
    assert one.beta == pytest.approx(first[1] / first[0])


def test_both_directions_of_least_squares_multiply_to_r_squared() -> None:
    one, other = hedge.both_directions(tied(5, 200).logs())
    assert one.beta * other.beta == pytest.approx(one.r2)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1000), st.floats(0.01, 1000), st.sampled_from(["ols", "huber"]))
def test_slopes_scale_with_their_units(of_x: float, of_y: float, method: Method) -> None:
    pair = tied(6, 120)
    scaled = replace(pair, x=pair.x * of_x, y=pair.y * of_y)
    assert hedge.fit(scaled, method).beta == pytest.approx(hedge.fit(pair, method).beta * of_y / of_x, rel=1e-6)


def test_the_filter_follows_a_slope_that_changes_and_knows_no_future() -> None:
    n = 800
    noise, x = np.random.default_rng(7).normal(size=n), np.full(n, 100.0)
    for t in range(1, n):
        x[t] = 10 + 0.9 * x[t - 1] + noise[t]
    beta = np.where(np.arange(n) < 400, 1.0, 2.0)
    y = 150 + beta * (x - 100) + np.random.default_rng(8).normal(0, 0.05, n)
    pair = align(bars("X", x), bars("Y", y))
    found = hedge.kalman(pair, delta=1e-3)
    assert found.beta[:20] == [None] * 20
    assert found.beta[-1] == pytest.approx(2.0, abs=0.3)
    logs = hedge.kalman(tied(31, 1_440, beta=1.5).logs())
    assert logs.beta[-1] == pytest.approx(1.5, abs=0.2)
    assert logs.alpha[-1] == pytest.approx(0.3, abs=1.0)
    altered = replace(pair, y=np.r_[y[:500], y[500:][::-1]])
    assert hedge.kalman(altered, delta=1e-3).beta[:500] == found.beta[:500]


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_series_has_no_line(method: Method) -> None:
    pair = align(bars("X", np.full(50, 7.0)), bars("Y", walk(1, 50)))
    with pytest.raises(UsageError, match="X is constant"):
        hedge.fit(pair, method)


# -- spreads -------------------------------------------------------------------------------------------------------


def test_z_of_the_newest_value_by_hand() -> None:
    values = np.r_[np.arange(20.0), [30.0]]
    last = values[-20:]
    assert zscore(values, 20).newest == pytest.approx((30 - last.mean()) / last.std(ddof=1))
    middle = np.median(last)
    robust = (30 - middle) / (1.4826 * np.median(np.abs(last - middle)))
    assert zscore(values, 20, center="median").newest == pytest.approx(robust, rel=1e-4)


def test_a_window_that_does_not_vary_has_no_z() -> None:
    found = zscore(np.r_[np.arange(30.0), np.full(20, 5.0)], 20)
    assert found.newest is None
    assert found.reason == "the last 20 values do not vary"
    assert found.values[18] is None
    assert found.values[19] is not None


@pytest.mark.parametrize("window", [4, 101, 0, -5])
def test_windows_out_of_range_are_refused(window: int) -> None:
    with pytest.raises(UsageError, match="must be 5 to 100"):
        zscore(np.arange(300.0), window)


def test_half_life_of_an_autoregression_with_09() -> None:
    """-ln 2 / ln 0.9 = 6.58 bars: exactly for the noiseless series, within its interval for a noisy one."""
    exact = half_life(0.9 ** np.arange(60.0))
    assert exact.bars == pytest.approx(6.5788, abs=1e-4)
    noise, values = np.random.default_rng(9).normal(size=20_000), np.zeros(20_000)
    for t in range(1, len(values)):
        values[t] = 0.9 * values[t - 1] + noise[t]
    found = half_life(values)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 6.5788 < found.high
    assert found.bars == pytest.approx(6.58, abs=0.3)


def test_what_does_not_revert_has_no_half_life() -> None:
    found = half_life(1.01 ** np.arange(60.0))
    assert (found.bars, found.reason) == (None, "it does not revert")


def test_the_spreads_line_knows_only_the_bars_it_is_calibrated_on() -> None:
    pair = tied(10, 400)
    found = spread(pair)
    rng = np.random.default_rng(11)
    shuffled = replace(pair, y=np.r_[pair.y[:280], rng.permutation(pair.y[280:])])
    assert found.calibrated == 280
    assert spread(shuffled).fit == found.fit
    assert spread(shuffled).values[:280] == found.values[:280]
    assert spread(shuffled).z.values[:280] == found.z.values[:280]
    assert found.values[-1] == pytest.approx(np.log(pair.y[-1]) - found.fit.alpha - found.fit.beta * np.log(pair.x[-1]))


ROLLING: dict[str, Callable[[Pair], list[float | None]]] = {
    "z, mean": lambda pair: zscore(pair.y, 20).values,
    "z, median": lambda pair: zscore(pair.y, 20, center="median").values,
    "kalman, beta": lambda pair: hedge.kalman(pair).beta,
    "kalman, alpha": lambda pair: hedge.kalman(pair).alpha,
    "spread": lambda pair: list(spread(pair).values),
    "unhedged": lambda pair: list(spread(pair).unhedged),
    "spread's z": lambda pair: spread(pair).z.values,
    "robust z of Huber's": lambda pair: spread(pair, method="huber", center="median").z.values,
    "z of the orthogonal": lambda pair: spread(pair, method="tls", log=False).z.values,
    "correlation": lambda pair: [None, *correlation(pair, 30).rolling],
    "its band, low": lambda pair: [None, *correlation(pair, 30).low],
    "its band, high": lambda pair: [None, *correlation(pair, 30).high],
}


@pytest.mark.parametrize("figure", ROLLING)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(215, 299))
def test_shuffling_the_future_changes_nothing_in_the_past(figure: str, seed: int, cut: int) -> None:
    """The line of a spread is fitted on the older 210 of 300 bars, so its future begins after them."""
    pair = tied(seed, 300)
    order = np.r_[0:cut, cut + np.random.default_rng(seed).permutation(300 - cut)]
    shuffled = replace(pair, x=pair.x[order], y=pair.y[order] * np.where(np.arange(300) < cut, 1, 1.01))
    assert ROLLING[figure](shuffled)[:cut] == ROLLING[figure](pair)[:cut]


def test_what_speaks_against_a_signal_is_said() -> None:
    newer = np.array(spread(tied(13, 1_600, phi=0.94)).values[1_120:])
    assert doubts(0.01, "p", half_life(newer), newer, 3.0) == []
    assert doubts(0.01, "p", half_life(newer), newer[:30], 3.0)[-1].startswith("the newer bars cannot be tested: ")
    never = half_life(1.01 ** np.arange(60.0))
    wandering = walk(5, 240)
    assert doubts(0.2, "p", never, wandering, -31.0)[:3] == [
        "p is 0.2, at least 0.05",
        "half-life does not exist, outside 5 to 60",
        "beta drifts by -31 %",
    ]


# -- tests of stationarity -----------------------------------------------------------------------------------------


def test_unit_roots_are_kept_and_stationary_series_are_not() -> None:
    noise = np.random.default_rng(12).normal(size=600)
    assert unitroot.adf(noise).rejects_at_5pct
    found = unitroot.adf(np.cumsum(noise))
    assert not found.rejects_at_5pct
    assert found.critical["5%"] == pytest.approx(-2.866, abs=0.005)
    statistic, p, lags, n = adfuller(np.cumsum(noise), maxlag=19, autolag="BIC", result_object=False)[:4]
    assert (found.statistic, found.p, found.lags, found.n) == (statistic, p, lags, n)


def test_an_estimated_residual_is_held_against_its_own_critical_values() -> None:
    found = unitroot.engle_granger(tied(13, 800).logs())
    assert found.critical["5%"] == pytest.approx(-3.34, abs=0.01)
    assert found.rejects_at_5pct
    unrelated = align(bars("X", walk(14, 800)), bars("Y", walk(15, 800)))
    assert not unitroot.engle_granger(unrelated.logs()).rejects_at_5pct


def test_the_lags_of_engle_granger_are_those_of_its_residual() -> None:
    pair = tied(13, 800).logs()
    found = unitroot.engle_granger(pair)
    line = sm.OLS(pair.y, sm.add_constant(pair.x)).fit()
    wanted = adfuller(line.resid, maxlag=unitroot.longest_lag(800), regression="n", autolag="BIC", result_object=False)
    assert found.lags == wanted[2]
    assert found.statistic == pytest.approx(wanted[0])


def test_a_series_and_its_multiple_are_refused() -> None:
    x = walk(1, 100)
    with pytest.raises(UsageError, match="the same but for a factor"):
        unitroot.engle_granger(align(bars("X", x), bars("Y", 2 * x)))


def test_johansen_finds_the_one_relation_there_is() -> None:
    pair = tied(16, 1500, beta=1.5, phi=0.5).logs()
    third = np.log(walk(17, 1500))
    found = unitroot.johansen([pair.y, pair.x, third], ["Y", "X", "Z"])
    assert found.rank_at_5pct == 1
    assert found.vectors[0] == pytest.approx([1.0, -1.5, 0.0], abs=0.05)
    with pytest.raises(UsageError, match="differ in length: Y 1500, X 1499"):
        unitroot.johansen([pair.y, pair.x[1:]], ["Y", "X"])


# -- correlation ---------------------------------------------------------------------------------------------------


def test_rolling_correlation_window_by_window() -> None:
    pair = tied(18, 300, phi=0.2)
    found = correlation(pair, 60)
    dx, dy = np.diff(np.log(pair.x)), np.diff(np.log(pair.y))
    assert found.rolling[:59] == [None] * 59
    for t in (59, 100, 298):
        r = np.corrcoef(dx[t - 59 : t + 1], dy[t - 59 : t + 1])[0, 1]
        assert found.rolling[t] == pytest.approx(r)
        half = 1.959964 / 57**0.5
        assert found.low[t] == pytest.approx(np.tanh(np.arctanh(r) - half), rel=1e-5)
        assert found.high[t] == pytest.approx(np.tanh(np.arctanh(r) + half), rel=1e-5)


def test_rolling_correlation_is_unknown_over_a_missing_bar_and_knows_no_future() -> None:
    n = 200
    times = BEGIN_MS + MINUTE_MS * np.r_[0:100, 101 : n + 1]
    x, y = bars("X", walk(19, n), open_ms=times), bars("Y", walk(20, n), open_ms=times)
    found = correlation(align(x, y), 20)
    known = [value is not None for value in found.rolling]
    assert known == [19 <= t < 99 or t >= 119 for t in range(n - 1)]
    altered = replace(y, close=np.r_[y.close[:150], y.close[150:][::-1]])
    assert correlation(align(x, altered), 20).rolling[:149] == found.rolling[:149]


def test_hayashi_yoshida_by_brute_force_and_against_the_grid_that_dilutes() -> None:
    rng = np.random.default_rng(21)
    n = 40_000
    steps = rng.multivariate_normal([0, 0], [[1e-8, 0.8e-8], [0.8e-8, 1e-8]], n)
    logs = np.cumsum(steps, axis=0)
    of_x, of_y = (np.sort(rng.choice(n, 9_000, replace=False)) for _ in range(2))
    x, y = np.exp(logs[of_x, 0]), np.exp(logs[of_y, 1])
    dx, dy = np.diff(np.log(x)), np.diff(np.log(y))
    brute = sum(
        dx[i] * dy[j] for i in range(299) for j in range(299) if of_x[i] < of_y[j + 1] and of_y[j] < of_x[i + 1]
    )
    assert hayashi_yoshida(of_x[:300], x[:300], of_y[:300], y[:300]).covariance == pytest.approx(brute)
    assert hayashi_yoshida(of_x, x, of_y, y).r == pytest.approx(0.8, abs=0.08)
    grid = np.arange(10, n)
    gx, gy = (np.diff(np.log(p[np.searchsorted(t, grid, "right") - 1])) for t, p in ((of_x, x), (of_y, y)))
    assert np.corrcoef(gx, gy)[0, 1] < 0.5


def test_ticks_on_grids_are_what_a_plain_resampling_gives() -> None:
    rng = np.random.default_rng(24)
    of_x, of_y = (np.sort(rng.choice(3_600_000, 5_000, replace=False)) for _ in range(2))
    x, y = (
        Ticks(name, "trades", at + BEGIN_MS, walk(seed, 5_000)) for name, at, seed in (("X", of_x, 1), ("Y", of_y, 2))
    )
    found = ticks(x, y)
    one = next(grid for grid in found.on_grids if grid.grid_ms == 15_000)
    first, last = max(x.ts_ms[0], y.ts_ms[0]), min(x.ts_ms[-1], y.ts_ms[-1])
    assert (found.first_ms, found.last_ms) == (first, last)
    at = range(-(-first // 15_000) * 15_000, last + 1, 15_000)
    inside = [
        (t.ts_ms[(t.ts_ms >= first) & (t.ts_ms <= last)], t.price[(t.ts_ms >= first) & (t.ts_ms <= last)])
        for t in (x, y)
    ]
    prices = [[price[times <= moment][-1] for moment in at] for times, price in inside]
    assert one.r == pytest.approx(np.corrcoef(*np.diff(np.log(prices), axis=1))[0, 1])
    assert one.n == len(prices[0]) - 1
    assert found.on_grids[-1].reason == "11 returns, 20 are needed"
    with pytest.raises(UsageError, match="each needs 20"):
        ticks(x, replace(y, ts_ms=y.ts_ms + 10_000_000))


# -- the scanner ---------------------------------------------------------------------------------------------------


def test_the_scanners_statistic_is_engle_grangers() -> None:
    """Its matrices give what statsmodels gives pair by pair, for a fixed number of lags."""
    logs = np.log(np.array([walk(seed, 400) for seed in range(5)]))
    for x in range(5):
        centred = logs - logs.mean(axis=1, keepdims=True)
        beta = (centred @ centred[x]) / (centred[x] @ centred[x])
        found = dickey_fuller(centred - beta[:, None] * centred[x], 2)
        for y in range(5):
            if y != x:
                assert found[y] == pytest.approx(coint(logs[y], logs[x], maxlag=2, autolag=None)[0], rel=1e-6)


def test_a_scan_finds_the_planted_pair_and_nothing_among_random_walks() -> None:
    n = 1440
    pair = tied(22, n, beta=1.0, phi=0.9)
    universe = [bars(f"W{k}", walk(100 + k, n)) for k in range(40)] + [bars("X", pair.x), bars("Y", pair.y)]
    seen: list[tuple[int, int]] = []
    found = scan(panel(universe), progress=lambda done, of: seen.append((done, of)))
    assert found.pairs == 42 * 41 // 2
    assert [(c.y, c.x) for c in found.candidates if c.qualified] in ([("Y", "X")], [("X", "Y")])
    assert seen[-1] == (42, 42)
    walks = scan(panel(universe[:40]))
    assert not any(candidate.qualified for candidate in walks.candidates)
    assert walks.passed == 0


def test_the_newer_bars_decide_nothing_but_the_confirmation() -> None:
    n = 1000
    universe = [bars(f"W{k}", walk(200 + k, n)) for k in range(6)]
    altered = [replace(one, close=np.r_[one.close[:700], one.close[700:][::-1]]) for one in universe]
    one, other = scan(panel(universe)), scan(panel(altered))
    assert [(c.y, c.x, c.p, c.beta) for c in one.candidates] == [(c.y, c.x, c.p, c.beta) for c in other.candidates]


def test_a_scan_names_what_it_left_out() -> None:
    n = 400
    short = bars("SHORT", walk(1, 100))
    found = scan(panel([bars("A", walk(2, n)), bars("B", walk(3, n)), bars("FLAT", np.full(n, 1.0)), short]))
    assert found.excluded == {"FLAT": "its price did not move", "SHORT": "has 100 of 400 bars"}
    with pytest.raises(UsageError, match="1 of 2 can be used, with 400; SHORT, for one, has 100 of 400 bars"):
        panel([bars("A", walk(2, n)), short])


# -- arrivals ------------------------------------------------------------------------------------------------------


def arrivals(seed: int, span_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Hawkes process by Ogata's thinning: mu 0.5 and 0.4, alpha ((1, 0.3), (0.2, 0.8)), beta 2.5; times in ms."""
    rng = np.random.default_rng(seed)
    mu, alpha, beta = np.array([0.5, 0.4]), np.array([[1.0, 0.3], [0.2, 0.8]]), 2.5
    at, excited = 0.0, np.zeros(2)
    events: tuple[list[float], list[float]] = [], []
    while True:
        bound = float((mu + excited).sum())
        wait = rng.exponential(1 / bound)
        at += wait
        if at > span_s:
            return np.array(events[0]) * 1000, np.array(events[1]) * 1000
        excited = excited * np.exp(-beta * wait)
        level = rng.uniform() * bound
        if level < (mu + excited).sum():
            i = 0 if level < mu[0] + excited[0] else 1
            events[i].append(at)
            excited = excited + alpha[:, i]


def test_the_arrivals_process_is_recovered_and_fits() -> None:
    found = hawkes.fit(*arrivals(1, 4_000))
    assert found.mu == pytest.approx([0.5, 0.4], rel=0.15)
    assert np.array(found.branching) == pytest.approx(np.array([[0.4, 0.12], [0.08, 0.32]]), abs=0.06)
    assert found.stable
    assert found.converged
    assert found.log_likelihood > found.log_likelihood_poisson + 4
    assert min(test.p for test in found.goodness) > 0.01


def test_the_intensity_is_the_sum_over_all_that_arrived_before() -> None:
    buys, sells = arrivals(1, 600)
    found = hawkes.fit(buys, sells)
    events = (np.unique(buys), np.unique(sells))
    first = min(events[0][0], events[1][0])
    for k in (0, 57, hawkes.CELLS - 1):
        cell = found.span_s * (k + 1) / hawkes.CELLS
        for i in (0, 1):
            wanted = found.mu[i] + sum(
                found.alpha[i][j] * np.exp(-found.beta * (cell - (t - first) / 1000))
                for j in (0, 1)
                for t in events[j]
                if (t - first) / 1000 <= cell
            )
            assert found.intensity[i][k] == pytest.approx(wanted, rel=1e-6)
    assert sum(found.rate[0]) * found.span_s / hawkes.CELLS == pytest.approx(found.n_buys)
    assert found.waits[0][49] == pytest.approx(np.log(2), abs=0.15)


def test_the_gradient_of_the_likelihood_is_its_slope() -> None:
    buys, sells = arrivals(2, 300)
    at = np.sort(np.concatenate([buys, sells])) / 1000
    side = np.isin(at, sells / 1000).astype(np.int64)
    begin = np.log(np.array([0.5, 0.4, 1.0, 0.3, 0.2, 0.8, 2.5]))
    value, gradient = hawkes._loss(begin, at, side, float(at[-1]))
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-6
        up, down = (hawkes._loss(begin + way * step, at, side, float(at[-1]))[0] for way in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-4)
    assert value > 0


def test_independent_arrivals_set_off_nothing() -> None:
    rng = np.random.default_rng(3)
    buys, sells = (np.sort(rng.uniform(0, 1e6, 2_000)) for _ in range(2))
    found = hawkes.fit(buys, sells)
    assert found.endogenous_share < 0.15
    with pytest.raises(UsageError, match="each side needs 100"):
        hawkes.fit(buys[:50], sells)


def test_half_life_agrees_with_an_independent_regression() -> None:
    values = np.log(walk(23, 500))
    found = half_life(values)
    again = sm.OLS(np.diff(values), sm.add_constant(values[:-1])).fit()
    assert (found.b, found.b_se) == (again.params[1], again.bse[1])


@given(st.integers(1, 10**12), st.sampled_from(["0.1", "0.01", "0.00001", "0.5", "0.025", "1", "100"]))
def test_prices_of_bars_are_the_floats_nearest_to_the_exact_ones(count: int, tick: str) -> None:
    grid = Grid.parse(tick)
    assert floats(np.array([count]), grid)[0] == float(grid.to_decimal(count))
