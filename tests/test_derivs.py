"""The derivatives room: basis, funding, clusters, divergence, imbalance, by arithmetic of its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import sqrt
from random import Random
from statistics import linear_regression
from typing import Any

import msgspec
import numpy as np
import pytest

from deriv_world import HOUR_MS, Two, instrument
from tapes import T0, diff, liquidation, mark, quote
from tapewatch.derivs.basis import annualised_percent, state_of
from tapewatch.derivs.clusters import danger, default_bucket
from tapewatch.derivs.cvd import divergence_state
from tapewatch.derivs.funding import normalised, percentiles, slopes
from tapewatch.derivs.pairs import Coin, coin_of
from tapewatch.derivs.pressure import arrow
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.instrument import Grid
from tapewatch.model.interest import OpenInterest

LIMITS = DerivsThresholds()
MINUTE_MS = 60_000


def row(rows: list[dict[str, Any]], symbol: str, exchange: str = "binance") -> dict[str, Any]:
    (found,) = (one for one in rows if (one["symbol"], one["exchange"]) == (symbol, exchange))
    return found


# -- the coin behind a name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "coin"),
    [
        ("BTC", Coin("BTC", 1)),
        ("1000PEPE", Coin("PEPE", 1_000)),
        ("SHIB1000", Coin("SHIB", 1_000)),
        ("1000000MOG", Coin("MOG", 1_000_000)),
        ("1MBABYDOGE", Coin("BABYDOGE", 1_000_000)),
        ("1INCH", Coin("1INCH", 1)),
        ("2Z", Coin("2Z", 1)),
    ],
)
def test_thousands_in_a_name_are_units_and_not_another_coin(base: str, coin: Coin) -> None:
    assert coin_of(instrument("binance", f"{base}USDT", base)) == coin


# -- basis ------------------------------------------------------------------------------------------------------------


def test_basis_is_mid_over_mid_of_the_same_moment() -> None:
    world = Two()
    world.book(600_600, 600_610)
    world.book(600_000, 600_001, venue="binance-spot")
    found = row(world.derivs.basis("binance"), "BTCUSDT")
    perp, spot = (Decimal("60060.0") + Decimal("60061.0")) / 2, (Decimal("60000.0") + Decimal("60000.1")) / 2
    assert (found["mid"], found["spot_mid"]) == (float(perp), float(spot))
    assert found["basis_bps"] == pytest.approx(float((perp - spot) / spot * 10_000), abs=5e-5)
    assert (found["state"], found["spot_exchange"], found["why"]) == ("CONTANGO", "binance-spot", None)


def test_thousands_are_compared_with_thousands() -> None:
    world = Two()
    world.book(10_009, 10_011, i=2)  # 1000PEPE at 1001.0
    world.book(9, 11, i=1, venue="binance-spot")  # PEPE at 1.0
    assert row(world.derivs.basis("binance"), "1000PEPEUSDT")["basis_bps"] == 10.0


def test_a_market_of_the_same_name_far_away_is_another_asset() -> None:
    """PEPE of the spot venue stands at 50 times what the perpetual says: not a basis of 490,000 bps."""
    world = Two()
    world.book(10_009, 10_011, i=2)
    world.book(499, 501, i=1, venue="binance-spot")
    found = row(world.derivs.basis("binance"), "1000PEPEUSDT")
    assert (found["basis_bps"], found["state"]) == (None, None)
    assert found["why"] == "the spot market of that name trades at 50: it is another asset"


def test_a_share_is_not_the_coin_that_goes_by_its_ticker() -> None:
    assert coin_of(instrument("binance", "CATUSDT", "CAT", "tradfi-perp")).name != "CAT"
    assert coin_of(instrument("binance-spot", "CATUSDT", "CAT", "spot")) == Coin("CAT", 1)


def test_a_dated_future_is_annualised_by_the_days_that_are_left() -> None:
    world = Two()
    world.book(605_999, 606_001, i=3)
    world.book(599_999, 600_001, venue="binance-spot")
    found = row(world.derivs.basis("binance"), "BTCUSDT_260327")
    assert (found["basis_bps"], found["annualised_pct"], found["state"]) == (100.0, 5.0, "STEEP CONTANGO")
    assert annualised_percent(100.0, 365 * 24 * HOUR_MS) == 1.0
    assert row(world.derivs.basis("binance"), "BTCUSDT")["annualised_pct"] is None


def test_mids_of_different_moments_give_no_basis() -> None:
    world = Two()
    world.book(600_600, 600_610)
    world.book(600_000, 600_010, venue="binance-spot")
    world.at(T0 + 250)
    assert row(world.derivs.basis("binance"), "BTCUSDT")["basis_bps"] is not None
    world.at(T0 + 251)
    found = row(world.derivs.basis("binance"), "BTCUSDT")
    assert (found["basis_bps"], found["state"], found["why"]) == (None, None, "the venues' times are 251 ms apart")


def test_what_is_missing_says_why_and_the_premium_goes_by_its_own_name() -> None:
    world = Two()
    world.hear([mark(T0, 190_19 * 10**6, 190 * 10**8, 100, T0 + HOUR_MS, i=4)])
    found = {one["symbol"]: one for one in world.derivs.basis("binance")}
    assert found["AAPLUSDT"]["why"] == "no spot market of AAPL (TradFi)/USDT is at hand"
    assert (found["AAPLUSDT"]["basis_bps"], found["AAPLUSDT"]["premium_bps"]) == (None, 10.0)
    assert found["BTCUSDT"]["why"] == "no book of it is kept and no best quote is newer than 2 s"
    world.book(600_600, 600_610)
    assert row(world.derivs.basis("binance"), "BTCUSDT")["why"].startswith("spot: no book of it is kept")
    world.hear([diff(5_000, 5_001, 4_999, ts_ms=T0)])  # a gap
    assert row(world.derivs.basis("binance"), "BTCUSDT")["why"].startswith("its book is being synchronised")


def test_a_fresh_quote_stands_in_for_a_book() -> None:
    world = Two()
    world.hear([quote(1, T0, 600_000, 1, 600_002, 1)], "binance-spot")
    world.book(600_060, 600_062)
    assert row(world.derivs.basis("binance"), "BTCUSDT")["spot_mid"] == 60_000.1
    world.at(T0 + 2_001, "binance-spot")
    world.at(T0 + 2_001)
    assert row(world.derivs.basis("binance"), "BTCUSDT")["spot_mid"] is None


@pytest.mark.parametrize(
    ("bps", "word"),
    [
        (0.5, "FLAT"),
        (-0.5, "FLAT"),
        (0.5001, "CONTANGO"),
        (-0.6, "BACKWARDATION"),
        (20.0, "STEEP CONTANGO"),
        (-20.0, "STEEP BACKWARDATION"),
        (19.9999, "CONTANGO"),
        (float("nan"), None),
    ],
)
def test_states_of_a_basis(bps: float, word: str | None) -> None:
    assert state_of(bps, LIMITS) == word


def test_an_hour_ago_is_what_that_minute_held_and_else_unknown() -> None:
    world = Two()
    world.book(600_060, 600_060 + 2)
    world.book(600_000, 600_002, venue="binance-spot")
    first = row(world.derivs.basis("binance"), "BTCUSDT")["basis_bps"]
    world.derivs.observe()
    for venue in world.venues:
        world.at(T0 + 60 * MINUTE_MS + 5, venue)
    found = row(world.derivs.basis("binance"), "BTCUSDT")
    assert (found["basis_bps_1h_ago"], found["basis_bps_24h_ago"]) == (first, None)
    assert world.derivs.since_ms("binance") == T0
    for venue in world.venues:
        world.at(T0 + 61 * MINUTE_MS, venue)
    assert row(world.derivs.basis("binance"), "BTCUSDT")["basis_bps_1h_ago"] is None  # that minute was not seen


def test_a_replaced_engine_begins_a_new_history() -> None:
    world = Two()
    world.book(600_060, 600_062)
    world.derivs.observe()
    assert world.derivs.since_ms("binance") == T0
    world.venues["binance"].engine = Two().engine()
    assert world.derivs.since_ms("binance") is None


# -- open interest ----------------------------------------------------------------------------------------------------


def test_open_interest_is_worth_its_mark_and_compared_by_quantity() -> None:
    """Half the price and 10 % more contracts: 10 % more stands open."""
    world = Two()
    told = world.venues["binance"].interest

    def tell(ts_ms: int, quantity: str, price: int) -> None:
        told["BTCUSDT"] = OpenInterest("BTCUSDT", Decimal(quantity), ts_ms)
        world.hear([mark(ts_ms, price * 10**8, price * 10**8, 0, 0)])
        world.derivs.observe()

    tell(T0, "1000", 60_000)
    tell(T0 + HOUR_MS, "1100", 30_000)
    found = row(world.derivs.interest("binance"), "BTCUSDT")
    assert (found["quantity"], found["usd"], found["change_1h_pct"]) == (1100.0, 33_000_000.0, 10.0)
    assert (found["change_24h_pct"], found["why"], found["ts"]) == (None, None, T0 + HOUR_MS)
    assert world.derivs.minutes("binance", world.engine().universe[0], "interest", 2) == [
        (T0 + HOUR_MS + 60_000, 1100.0)
    ]
    world.at(T0 + HOUR_MS + 600_001)
    old = row(world.derivs.interest("binance"), "BTCUSDT")
    assert (old["quantity"], old["why"]) == (None, "what the venue told last is more than 10 minutes old")
    assert row(world.derivs.interest("binance"), "ETHUSDT")["why"] == "the venue has not told it yet"


def test_open_interest_that_has_not_changed_has_not_changed() -> None:
    """Minutes keep seven digits: what is beyond them is neither printed nor taken for a change."""
    world = Two()
    for ms in (T0, T0 + HOUR_MS):
        world.venues["binance"].interest["BTCUSDT"] = OpenInterest("BTCUSDT", Decimal("22161.1301"), ms)
        world.hear([mark(ms, 60_000 * 10**8, 60_000 * 10**8, 0, 0)])
        world.derivs.observe()
    found = row(world.derivs.interest("binance"), "BTCUSDT")
    assert (found["quantity"], repr(found["change_1h_pct"])) == (22161.1301, "0.0")
    assert world.derivs.minutes("binance", world.engine().universe[0], "interest", 1)[-1][1] == 22161.13


# -- funding ----------------------------------------------------------------------------------------------------------


def test_the_reference_example_of_funding() -> None:
    per_8h, per_year = normalised(0.0001, 4 * HOUR_MS)
    assert (round(per_8h, 9), round(per_year, 9)) == (0.02, 21.9)


def test_each_symbol_is_normalised_by_its_own_interval() -> None:
    world = Two()
    world.hear([mark(T0, 1, 1, 10_000, T0 + HOUR_MS, i=i) for i in (0, 1, 2)])
    rows = world.derivs.funding("binance")
    btc, eth, pepe = (row(rows, symbol) for symbol in ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT"))
    assert (btc["rate_pct"], btc["interval_h"], btc["rate_8h_pct"], btc["annual_pct"]) == (0.01, 8.0, 0.01, 10.95)
    assert (eth["rate_pct"], eth["interval_h"], eth["rate_8h_pct"], eth["annual_pct"]) == (0.01, 4.0, 0.02, 21.9)
    assert (pepe["rate_pct"], pepe["interval_h"], pepe["rate_8h_pct"]) == (0.01, None, None)
    assert pepe["why"] == "the venue has not told how often this symbol pays"
    assert [btc["payer"], btc["next_ts"], btc["extreme"], btc["extreme_by"]] == [
        "LONGS PAY", T0 + HOUR_MS, False, [],
    ]  # fmt: skip
    assert row(rows, "AAPLUSDT")["why"] == "the venue has not told a rate yet"
    assert "BTCUSDT_260327" not in [one["symbol"] for one in rows]


@pytest.mark.parametrize(
    ("rate_e8", "who", "extreme"),
    [(-40_000, "SHORTS PAY", True), (39_999, "LONGS PAY", False), (0, "NOBODY PAYS", False)],
)
def test_who_pays_and_what_is_extreme(rate_e8: int, who: str, extreme: bool) -> None:
    world = Two()
    world.hear([mark(T0, 1, 1, rate_e8, T0 + HOUR_MS)])
    found = row(world.derivs.funding("binance"), "BTCUSDT")
    assert (found["payer"], found["extreme"]) == (who, extreme)


def test_an_interval_that_nobody_told_is_learned_from_two_payments() -> None:
    world = Two()
    world.hear([mark(T0, 1, 1, 10_000, T0 + HOUR_MS, i=2)])
    world.derivs.observe()
    world.hear([mark(T0 + HOUR_MS + 1, 1, 1, 10_000, T0 + 3 * HOUR_MS, i=2)])
    world.derivs.observe()
    assert row(world.derivs.funding("binance"), "1000PEPEUSDT")["interval_h"] == 2.0


@pytest.mark.parametrize(("at_ms", "next_ms"), [(1_000, 2 * HOUR_MS), (HOUR_MS + 1, HOUR_MS + 1_000)])
def test_a_payment_put_off_teaches_no_interval(at_ms: int, next_ms: int) -> None:
    world = Two()
    world.hear([mark(T0, 1, 1, 10_000, T0 + HOUR_MS, i=2)])
    world.derivs.observe()
    world.hear([mark(T0 + at_ms, 1, 1, 10_000, T0 + next_ms, i=2)])
    world.derivs.observe()
    assert row(world.derivs.funding("binance"), "1000PEPEUSDT")["interval_h"] is None


def test_slope_and_percentile_are_those_of_the_minutes_held() -> None:
    world, drawn = Two(), Random(5)
    rates = [10_000 + drawn.randrange(-3_000, 3_000) for _ in range(90)]
    for k, rate in enumerate(rates):
        at = T0 + k * MINUTE_MS
        world.hear([mark(at, 1, 1, 77, T0 + 8 * HOUR_MS, i=1), mark(at + 900, 1, 1, rate, T0 + 8 * HOUR_MS, i=1)])
        world.derivs.observe()
    found = row(world.derivs.funding("binance"), "ETHUSDT")
    slope = linear_regression(range(60), [rate / 1e8 * 2 * 1e4 for rate in rates[-60:]]).slope * 60
    assert found["slope_bps_per_h"] == pytest.approx(slope, abs=1e-4)
    below = sum(rate < rates[-1] for rate in rates) + sum(rate == rates[-1] for rate in rates) / 2
    assert found["percentile"] == round(100 * below / 90, 2)
    assert (found["slope_minutes"], found["percentile_minutes"]) == (60, 90)
    assert found["rate_8h_pct_1h_ago"] == round(rates[-61] / 1e8 * 200, 6)
    points = world.derivs.minutes("binance", world.engine().universe.get("ETHUSDT"), "rate", 3)
    assert points == [
        (T0 + k * MINUTE_MS, round(rates[k - 1] / 1e8 * 200, 6)) for k in (88, 89, 90)
    ]  # fmt: skip


def test_too_few_minutes_have_neither_slope_nor_percentile() -> None:
    numbers, values = np.arange(9), np.arange(9.0)[:, None]
    assert np.isnan(slopes(numbers, values)[0]).all()
    assert np.isnan(percentiles(np.arange(59.0)[:, None], np.array([1.0]))[0]).all()


def test_a_rate_beyond_its_own_history_is_extreme() -> None:
    world = Two()
    for k in range(60):
        world.hear([mark(T0 + k * MINUTE_MS, 1, 1, 1_000 + k, T0 + 8 * HOUR_MS)])
        world.derivs.observe()
    found = row(world.derivs.funding("binance"), "BTCUSDT")
    assert (found["extreme"], found["extreme_by"]) == (True, ["percentile"])
    assert found["percentile"] == round(100 * 59.5 / 60, 2)


# -- liquidation clusters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "tick", "width"),
    [
        ("84550", "0.10", "100"),
        ("60000", "0.10", "100"),
        ("2690", "0.01", "5"),
        ("0.09696", "0.00001", "0.0001"),
        ("163.4", "0.01", "0.2"),
        ("0.00001", "0.00001", "0.00001"),
    ],
)
def test_buckets_scale_with_the_price(price: str, tick: str, width: str) -> None:
    one = replace(instrument("binance", "X", "X"), tick=Grid.parse(tick))
    assert one.tick.to_decimal(default_bucket(one, one.tick.to_int(price))) == Decimal(width)


def cluster(world: Two, bucket: int = 1_000, window_ms: int = 24 * HOUR_MS) -> dict[str, Any]:
    return world.derivs.clusters("binance", world.engine().universe.get("BTCUSDT"), bucket, window_ms)


def test_layers_are_reported_and_bounded_and_never_added_up() -> None:
    world = Two()
    # 50,000.0: a long of 2 BTC reported; takers sold 3 BTC in that second and the one before, bought 7.
    world.trades([(0, 500_000, 1), (9_500, 500_000, -1_000), (10_200, 500_000, -2_000), (10_300, 500_000, 7_000)])
    world.hear([liquidation(T0 + 9_600, 50_000 * 10**8, 2_000, long=True)])  # reported at 10.605
    (found,) = cluster(world)["clusters"]
    assert (found["upper_notional"], found["upper_why"]) == (
        None,
        "the trades around some of its reports are not all held",
    )
    world.trades([(11_000, 500_000, 1)])
    told = cluster(world)
    (found,) = told["clusters"]
    assert (found["long_count"], found["short_count"], found["notional"]) == (1, 0, 100_000)
    assert found["upper_notional"] == 150_000
    assert (told["coverage"], told["estimated"]) == ("one a second", None)
    assert "open interest" in told["estimated_why"]


def test_a_bound_is_never_less_than_what_was_reported() -> None:
    world = Two()
    world.trades([(0, 500_000, 1), (9_000, 500_000, 1)])
    world.hear([liquidation(T0 + 9_600, 50_000 * 10**8, 2_000, long=False)])
    world.trades([(20_000, 500_000, 1)])
    (found,) = cluster(world)["clusters"]
    assert found["notional"] == found["upper_notional"] == 100_000


def test_danger_by_money_and_by_depth_on_the_way() -> None:
    world = Two()
    world.book(500_000, 500_010, lots=10_000)  # 10 BTC a side
    world.hear([liquidation(T0, 49_950 * 10**8, lots, long=True) for lots in (1_000, 1_600)])
    (found,) = cluster(world)["clusters"]
    assert (found["depth_to_reach"], found["level"]) == (None, "none")  # the book that is held ends above it
    world.hear([diff(1_002, 1_003, 1_001, [(499_000, 10_000), (498_000, 1)], ts_ms=T0)])
    (found,) = cluster(world)["clusters"]
    depth = 10 * Decimal(50_000) + 10 * Decimal(49_900)
    assert (found["price"], found["depth_to_reach"]) == (49_900, depth)
    assert found["depth_share"] == round(float(Decimal("2.6") * 49_950 / depth), 4)
    assert found["level"] == "none"
    world.hear([liquidation(T0, 49_950 * 10**8, 20_000, long=True)])
    (found,) = cluster(world)["clusters"]
    assert (found["level"], found["because"], found["danger"]) == ("critical", ["notional", "depth"], True)


@pytest.mark.parametrize(
    ("notional", "share", "level"),
    [
        (999_999.0, None, "none"), (1_000_000.0, None, "danger"), (1.0, 0.2499, "none"), (1.0, 0.25, "watch"),
        (1.0, 0.5, "danger"), (1.0, 1.0, "critical"), (2e6, 0.1, "danger"), (2e6, 1.5, "critical"),
    ],
)  # fmt: skip
def test_levels_of_danger(notional: float, share: float | None, level: str) -> None:
    assert danger(notional, share, LIMITS)[0] == level


def test_only_the_window_asked_for_is_shown() -> None:
    world = Two()
    world.hear(
        [liquidation(T0, 50_000 * 10**8, 1, long=True), liquidation(T0 + 2 * HOUR_MS, 50_000 * 10**8, 1, long=True)]
    )
    assert [one["long_count"] for one in cluster(world)["clusters"]] == [2]
    assert [one["long_count"] for one in cluster(world, window_ms=HOUR_MS)["clusters"]] == [1]


def test_reports_are_known_from_when_the_venue_was_heard_or_the_oldest_held() -> None:
    world = Two()
    assert cluster(world)["since_ts"] is None
    world.hear([mark(T0, 1, 1, 0, T0 + HOUR_MS)])
    world.derivs.observe()
    world.hear([mark(T0 + HOUR_MS, 1, 1, 0, T0 + HOUR_MS)])
    world.derivs.observe()
    assert cluster(world)["since_ts"] == T0
    held = len(world.engine().quotes.liquidations)
    world.hear(liquidation(T0 + HOUR_MS + k, 50_000 * 10**8, 1, long=True) for k in range(held + 5))
    assert cluster(world)["since_ts"] == T0 + HOUR_MS + 5


# -- CVD --------------------------------------------------------------------------------------------------------------


def seconds(drawn: Random, count: int, scale: int) -> list[tuple[int, int, int]]:
    """A print or two in most seconds of `count`."""
    return [
        (s * 1_000 + ms, 500_000 + drawn.randrange(-50, 50), drawn.randrange(-scale, scale) or 1)
        for s in range(count)
        for ms in (100, 700)
        if drawn.random() < 0.8
    ]


@pytest.mark.parametrize(
    ("change", "z", "word"),
    [
        (-1.0, 2.0, "BULLISH"), (1.0, -2.0, "BEARISH"), (1.0, 2.5, "ALIGNED"), (-1.0, -2.5, "ALIGNED"),
        (-1.0, 1.99, "NEUTRAL"), (0.0, 9.0, "NEUTRAL"),
    ],
)  # fmt: skip
def test_words_of_divergence(change: float, z: float, word: str) -> None:
    assert divergence_state(change, z, LIMITS) == word


def test_significance_is_against_the_usual_size_of_earlier_windows() -> None:
    world, drawn = Two(), Random(11)
    prints = seconds(drawn, 700, 300)
    prints += [(700_000 + k * 1_000, 499_000 - k, 2_000) for k in range(60)]  # it falls while takers buy
    prints.append((761_000, 498_000, 1))
    world.trades(prints)
    told = world.derivs.divergences("binance", world.engine().universe.get("BTCUSDT"), "usd")
    found = told["markets"][0]["windows"][0]
    end = 761
    net = [0.0] * end
    for ms, price, lots in prints:
        if ms // 1_000 < end:
            net[ms // 1_000] += price * 0.1 * lots * 0.001
    sums = [sum(net[k - 60 : k]) for k in range(61, end + 1)]  # the first second is not held whole
    usual = sqrt(sum(one * one for one in sums[:-60]) / len(sums[:-60]))
    before = [p for p in prints if p[0] < (end - 60) * 1_000][-1][1]
    after = [p for p in prints if p[0] < end * 1_000][-1][1]
    assert (found["window"], found["state"], found["why"]) == ("60s", "BULLISH", None)
    assert found["net"] == pytest.approx(sums[-1], rel=1e-9)
    assert found["z"] == pytest.approx(sums[-1] / usual, abs=1e-3)
    assert found["price_change_bps"] == pytest.approx((after / before - 1) * 1e4, abs=1e-4)
    assert found["windows"] == (end - 1 - 60) // 60


def test_rounding_is_nothing_to_compare_with() -> None:
    world, prints = Two(), seconds(Random(8), 760, 300)
    for venue in ("binance", "binance-spot"):
        # The same flow in both until the last second, apart from how their sums are rounded.
        last = 10 if venue == "binance" else -10
        world.trades([*prints, (760_100, 500_000, last), (761_000, 500_000, 1)], venue=venue)
    told = world.derivs.divergences("binance", world.engine().universe.get("BTCUSDT"), "usd")
    minute = told["across"][-1]["windows"][0]
    assert minute["difference"] > 0
    assert (minute["z"], minute["state"]) == (None, None)
    assert minute["why"] == "the two did not differ in the windows before"


def test_without_enough_history_there_is_no_word_but_a_reason() -> None:
    world = Two()
    world.trades(seconds(Random(1), 200, 10))
    told = world.derivs.divergences("binance", world.engine().universe.get("BTCUSDT"), "base")
    minute, five, *_ = told["markets"][0]["windows"]
    assert (minute["state"], minute["why"]) == (None, "significance needs 8 earlier windows; 2 are held")
    assert five["why"] == "2 of 5 steps of 60 s are held"  # the first minute is not held whole


def test_spot_against_perp() -> None:
    world, drawn = Two(), Random(8)
    world.trades([*seconds(drawn, 700, 300), *((700_000 + k * 1_000, 500_000, 3_000) for k in range(61))])
    world.trades(
        [*seconds(drawn, 700, 300), *((700_000 + k * 1_000, 500_000, -3_000) for k in range(61))], venue="binance-spot"
    )
    told = world.derivs.divergences("binance", world.engine().universe.get("BTCUSDT"), "usd")
    pair = told["across"][-1]
    assert (pair["a"], pair["b"]) == ("perp", "spot")
    minute = pair["windows"][0]
    assert (minute["a"], minute["b"], minute["difference"], minute["state"]) == (1.0, -1.0, 2.0, "SPLIT")
    assert minute["z"] >= 2
    (together,) = (one for one in told["together"] if one["group"] == "all")
    assert abs(together["windows"][0]["net"]) < 1e-6


# -- order-flow imbalance ---------------------------------------------------------------------------------------------


def test_shares_money_a_minute_and_trend() -> None:
    world = Two()
    world.trades([(0, 500_000, 3_000), (30_000, 500_000, -1_000), (55_000, 500_000, 1_000)])
    world.trades([(55_500, 500_000, -500)], venue="binance-spot")
    rows = world.derivs.pressure([world.engine().universe.get("BTCUSDT")])
    perp, spot = row(rows, "BTCUSDT"), row(rows, "BTCUSDT", "binance-spot")
    assert perp["windows"]["1m"] == {
        "imbalance": 0.6,
        "buy_pct": 80.0,
        "sell_pct": 20.0,
        "net_per_min": round(3 * 50_000.0 * 60 / 56, 2),
        "held_s": 56,
    }
    assert perp["windows"]["10s"]["imbalance"] == 1.0
    assert perp["windows"]["10s"]["net_per_min"] == 6 * 50_000.0
    assert perp["windows"]["15m"]["net_per_min"] == perp["windows"]["1m"]["net_per_min"]
    assert perp["trend"] == "up up"
    assert (spot["windows"]["1m"]["sell_pct"], spot["trend"]) == (100.0, "flat")
    future = row(rows, "BTCUSDT_260327")
    assert (future["trend"], future["last"], future["why"]) == (None, None, "no trade of it has been heard")


def test_the_quarter_of_an_hour_an_hour_ago() -> None:
    world = Two()
    start = [(k * MINUTE_MS, 500_000, 300 if k % 3 else -300) for k in range(76)]
    world.trades([*start, (75 * MINUTE_MS + 1, 500_000, 1)])
    (found, *_) = world.derivs.pressure([world.engine().universe.get("BTCUSDT")])
    assert found["imbalance_15m_1h_ago"] == round((10 - 5) / 15, 6)
    assert found["imbalance_15m_24h_ago"] is None


@pytest.mark.parametrize(
    ("short", "minute", "word"),
    [
        (0.5, 0.2, "up up"),
        (0.3, 0.2, "up"),
        (0.29, 0.2, "flat"),
        (-0.1, 0.0, "down"),
        (-0.3, 0.0, "down down"),
        (None, 0.1, None),
    ],
)
def test_arrows(short: float | None, minute: float | None, word: str | None) -> None:
    assert arrow(short, minute, LIMITS) == word


# -- whales -----------------------------------------------------------------------------------------------------------


def test_whales_of_all_venues_with_their_tier() -> None:
    world = Two()
    world.at(T0 - 1)
    world.derivs.observe()
    world.trades([(0, 500_000, 20_000), (500, 500_000, -120_000), (900, 500_000, 1)])
    world.trades([(400, 500_000, 10_000)], venue="binance-spot")
    rows = world.derivs.whales(10)
    assert [(one["exchange"], one["side"], one["tier"], one["notional"]) for one in rows] == [
        ("binance", "sell", "mega", 6_000_000),
        ("binance-spot", "buy", "whale", 500_000),
        ("binance", "buy", "whale", 1_000_000),
    ]
    assert [one["exchange"] for one in world.derivs.whales(10, "binance-spot")] == ["binance-spot"]
    flow = world.derivs.whale_flow("binance")[0]
    assert flow["hour"] == {"from_ts": T0 - 1, "count": 2, "buy_notional": 1e6, "sell_notional": 6e6}
    assert flow["hour_before"] is None  # nobody looked then
    assert world.derivs.whale_flow("binance-spot")[0]["hour"] is None


def test_every_row_can_be_written_with_exact_decimals() -> None:
    world = Two()
    world.book(600_600, 600_610)
    world.trades([(0, 500_000, 20_000)])
    world.hear([liquidation(T0, 49_950 * 10**8, 2_000, long=True)])
    encoder = msgspec.json.Encoder(decimal_format="number")
    for told in (
        world.derivs.basis("binance"),
        world.derivs.funding("binance"),
        world.derivs.whales(5),
        cluster(world),
    ):
        msgspec.json.decode(encoder.encode(told))
