"""Alert rules in virtual time: what fires, what does not, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_world import AlertWorld
from deriv_world import HOUR_MS, instrument
from tapes import T0, examples, liquidation, mark, trade
from tapewatch.alerts.machine import FIRING, IDLE, Machine
from tapewatch.alerts.metrics import METRICS
from tapewatch.alerts.readings import Health, Pair, last_closes, pair_z
from tapewatch.alerts.rows import metric_rows
from tapewatch.alerts.rule import Quiet, Rule, rule_of
from tapewatch.engine import Engine
from tapewatch.flow.candles import new_candles
from tapewatch.model.errors import UsageError
from tapewatch.model.instrument import Universe

MINUTE = 60_000


@pytest.fixture
def world() -> AlertWorld:
    return AlertWorld()


# ---------------------------------------------------------------- the machine


def moves(rule: Rule, values: list[float], step_ms: int = 1_000) -> list[str]:
    """What each value does to one instrument: ``fired``, ``ended``, or the state."""
    machine = Machine(rule, 1)
    said = []
    for k, value in enumerate(values):
        moved = machine.step(T0 + k * step_ms, np.array([value]))
        what = ["fired"] * len(moved.fired) + ["ended"] * len(moved.ended)
        said.append(" ".join(what) or ("idle", "pending", "firing")[machine.state[0]])
    return said


NAN = float("nan")


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({}, [99, 100, 101, 99], ["idle", "fired", "firing", "ended"]),
        ({"compare": "below"}, [101, 100, 99, 101], ["idle", "fired", "firing", "ended"]),
        ({"compare": "outside"}, [-99, -100, 100, 0], ["idle", "fired", "firing", "ended"]),
        ({"clear": 95.0}, [100, 96, 95, 94.9, 99], ["fired", "firing", "firing", "ended", "idle"]),
        ({"compare": "below", "clear": 105.0}, [100, 104, 106], ["fired", "firing", "ended"]),
        ({"compare": "outside", "clear": 50.0}, [-100, 60, 49], ["fired", "firing", "ended"]),
        ({"compare": "crosses_above"}, [101, 102, 99, 101], ["idle", "idle", "idle", "fired"]),
        ({"compare": "crosses_below"}, [99, 101, 99], ["idle", "idle", "fired"]),
        ({"for_s": 2}, [100, 100, 100], ["pending", "pending", "fired"]),
        ({"for_s": 2}, [100, 99, 100, 100, 100], ["pending", "idle", "pending", "pending", "fired"]),
        ({"for_s": 2}, [100, NAN, 100, 100, 100], ["pending", "idle", "pending", "pending", "fired"]),
        ({"cooldown_s": 3}, [100, 99, 100, 100, 99], ["fired", "ended", "pending", "fired", "ended"]),
        ({}, [NAN, 100, NAN, 99], ["idle", "fired", "firing", "ended"]),
    ],
)  # fmt: skip
def test_a_rule_moves_as_its_words_say(fields: dict[str, Any], values: list[float], expected: list[str]) -> None:
    rule = rule_of({"name": "r", "metric": "price", "threshold": 100.0} | fields)
    assert moves(rule, values) == expected


def test_what_is_not_known_neither_fires_nor_ends() -> None:
    rule = rule_of({"name": "r", "metric": "price", "threshold": -1.0, "compare": "below"})
    assert moves(rule, [NAN, NAN, -2, NAN, NAN]) == ["idle", "idle", "fired", "firing", "firing"]


def test_a_cooldown_that_keeps_an_alert_back_is_counted_once() -> None:
    machine = Machine(rule_of({"name": "r", "metric": "price", "threshold": 1.0, "cooldown_s": 10}), 1)
    held = [machine.step(T0 + k * 1_000, np.array([v])).held for k, v in enumerate((1.0, 0.0, 1.0, 1.0, 0.0, 1.0))]
    assert held == [0, 0, 1, 0, 0, 1]


@given(st.lists(st.sampled_from([NAN, 0.0, 94.0, 97.0, 100.0, 103.0]), max_size=60), st.integers(0, 3))
@examples(300)
def test_every_end_has_a_beginning_and_moving_many_is_moving_each(values: list[float], for_s: int) -> None:
    rule = rule_of({"name": "r", "metric": "price", "threshold": 100.0, "clear": 95.0, "for_s": for_s, "cooldown_s": 4})
    many, singles = Machine(rule, 3), [Machine(rule, 1) for _ in range(3)]
    open_now = [False] * 3
    for k, value in enumerate(values):
        row = np.array([value, 100.0 if k % 3 else 0.0, NAN])
        moved = many.step(T0 + k * 1_000, row)
        alone = [one.step(T0 + k * 1_000, row[i : i + 1]) for i, one in enumerate(singles)]
        assert moved.fired.tolist() == [i for i, one in enumerate(alone) if len(one.fired)]
        assert moved.ended.tolist() == [i for i, one in enumerate(alone) if len(one.ended)]
        for i in moved.ended.tolist():
            assert open_now[i]
            open_now[i] = False
        for i in moved.fired.tolist():
            assert not open_now[i]
            assert row[i] >= 100
            open_now[i] = True
        assert [bool(state == FIRING) for state in many.state] == open_now
    assert many.state[2] == IDLE


def test_quiet_hours_pass_midnight_and_follow_summer_time() -> None:
    night = Quiet("22:00", "07:00", "Europe/Berlin")
    winter, summer = 1_768_255_200_000, 1_782_856_800_000  # 2026-01-12 22:00 UTC, 2026-06-30 22:00 UTC
    assert night.covers(winter)
    assert not night.covers(winter - 2 * HOUR_MS)  # 21:00 in Berlin
    assert night.covers(summer - 2 * HOUR_MS)  # 22:00 in Berlin: summer time
    assert not Quiet("09:00", "10:00").covers(winter)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"metric": "prize"}, "metric = 'prize' is refused; allowed: price, price_change"),
        ({"window": "1m"}, "window = '1m' is refused; price allows none"),
        ({"metric": "spread", "window": "5m"}, "spread allows none"),
        ({"metric": "trade_imbalance", "window": "2m"}, "trade_imbalance allows 10s, 1m, 5m, 15m"),
        ({"clear": 101.0}, "clear = 101 is refused; allowed with above: at most the threshold 100"),
        ({"compare": "below", "clear": 99.0}, "allowed with below: at least the threshold 100"),
        ({"compare": "outside", "threshold": 0.0}, "threshold of outside is a size: above 0"),
        ({"metric": "data_age", "symbols": ["BTCUSDT"]}, "is of the venue as a whole"),
        ({"metric": "cluster", "window": "1h"}, "name 1 to 16 of them"),
        ({"metric": "pair_z", "window": "1m", "symbols": ["BTCUSDT"]}, "the other one in against"),
        ({"against": "binance:ETHUSDT"}, "against belongs to pairs"),
        ({"quiet": {"start": "22:00", "end": "22:00"}}, "quiet hours that end when they start are none"),
        ({"quiet": {"start": "22:00", "end": "07:00", "zone": "Berlin"}}, "is no time zone; such as UTC"),
        ({"quiet": {"start": "25:00", "end": "07:00"}}, "the rule is refused:"),
        ({"colour": 1}, "the rule is refused: Object contains unknown field `colour`"),
        ({"threshold": "much"}, "the rule is refused: Expected `float`, got `str` - at `$.threshold`"),
        ({"per_minute": 0}, "the rule is refused:"),
        ({"threshold": float("nan")}, "threshold, clear and beta are finite numbers"),
        ({"symbols": ["BTCUSDT", "BTCUSDT"]}, "symbols names one of them twice"),
        ({"name": "a\r\nBcc: x"}, "without control characters"),
        ({"note": "\0"}, "without control characters"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_with_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        rule_of({"name": "r", "metric": "price", "threshold": 100.0} | fields)
    assert sentence in str(caught.value)


# ---------------------------------------------------------------- alerts


def test_a_rule_about_all_fires_for_each_by_itself(world: AlertWorld) -> None:
    world.rule(per_minute=100)
    assert world.price(0, 99) == []
    assert world.price(1_000, 101) == ["fired BTCUSDT"]
    assert world.price(2_000, 102, i=1) == ["fired ETHUSDT"]
    assert world.price(3_000, 99.9) == ["cleared BTCUSDT"]
    (btc, eth) = world.episodes.values()
    assert btc.key == f"1:1:binance:BTCUSDT:{T0 + 1_000}"
    assert (btc.fired_ms, btc.ended_ms, btc.value, btc.price) == (T0 + 1_000, T0 + 3_000, 101.0, 101.0)
    assert (eth.ended_ms, eth.told) == (None, "sent")
    assert [one.text for one in world.notices] == [
        "BTCUSDT (binance): 101 — Last price is at or above 100",
        "ETHUSDT (binance): 102 — Last price is at or above 100",
    ]
    assert len({one.key for one in world.notices}) == 2


def test_an_instrument_that_does_not_trade_is_not_watched(world: AlertWorld) -> None:
    world.rule()
    universe = world.engine().universe
    universe.update(replace(universe[0], status="BREAK"))
    assert world.price(1_000, 101) == []


def test_what_follows_is_measured_on_the_tape(world: AlertWorld) -> None:
    world.rule()
    world.price(0, 100)
    for minute in range(1, 17):
        world.price(minute * MINUTE, 100 + minute)
    world.price(17 * MINUTE, 100)
    (episode,) = world.episodes.values()
    assert (episode.after_1m, episode.after_5m, episode.after_15m) == (1.0, 5.0, 15.0)


def test_what_followed_is_unknown_where_its_seconds_are_no_longer_held(world: AlertWorld) -> None:
    world.rule()
    world.price(0, 100)
    world.price(3 * HOUR_MS, 200)
    (episode,) = world.episodes.values()
    assert (episode.after_1m, episode.after_5m, episode.after_15m) == (None, None, None)


def test_a_rule_edited_while_firing_ends_and_begins_under_another_key(world: AlertWorld) -> None:
    world.rule()
    assert world.price(0, 101) == ["fired BTCUSDT"]
    world.rule(revision=2, threshold=100.5)
    assert world.look() == ["edited BTCUSDT", "fired BTCUSDT"]
    assert [one.revision for one in world.episodes.values()] == [1, 2]
    assert len({one.key for one in world.notices}) == 2
    world.alerts.remove(1, T0)
    assert world.look() == ["deleted BTCUSDT"]
    assert world.price(1_000, 102) == []


def test_a_rule_that_is_off_watches_nothing_and_says_so(world: AlertWorld) -> None:
    watch = world.rule(enabled=False)
    assert world.price(0, 101) == []
    assert watch.waiting == "disabled"


def test_alerts_beyond_the_rate_come_as_one_summary_and_are_counted(world: AlertWorld) -> None:
    watch = world.rule(per_minute=2)
    for k in range(5):
        world.price(k * 10, 101, i=k)
    assert [one.event for one in world.notices] == ["fired", "fired"]
    assert [one.told for one in world.episodes.values()] == ["sent", "sent", "waiting", "waiting", "waiting"]
    world.at(T0 + MINUTE)
    world.look()
    summary = world.notices[-1]
    assert (summary.event, summary.count) == ("summary", 3)
    assert summary.symbols == ("1000PEPEUSDT", "BTCUSDT_260327", "AAPLUSDT")
    assert [one.told for one in world.episodes.values()][2:] == ["summary"] * 3
    assert (watch.counts.fired, watch.counts.sent, watch.counts.summarised) == (5, 2, 3)
    world.at(T0 + 2 * MINUTE)
    world.look()
    assert len(world.notices) == 3


def test_a_thousand_instruments_in_one_look_are_all_told_once() -> None:
    world = AlertWorld()
    n = 1_000
    world.venues["binance"].engine = Engine(
        Universe("binance", [instrument("binance", f"C{k}USDT", f"C{k}") for k in range(n)])
    )
    for rule_id in range(1, 11):
        world.rule(rule_id, per_minute=1_000 if rule_id < 6 else 10)
    world.hear([trade(1, T0, 1_010, 1, i=i) for i in range(n)])
    assert len(world.look()) == 10 * n
    world.hear([trade(2, T0 + MINUTE, 1_010, 1, i=i) for i in range(n)])
    assert world.look() == []
    told = [one for one in world.notices if one.event == "fired"]
    assert len({one.key for one in world.notices}) == len(world.notices)
    assert (len(told), len(world.notices)) == (5 * n + 50, 5 * n + 55)
    assert len(told) + sum(one.count for one in world.notices if one.event == "summary") == 10 * n


def test_in_quiet_hours_alerts_are_noted_and_sent_when_they_outlast_them(world: AlertWorld) -> None:
    watch = world.rule(quiet={"start": "00:00", "end": "00:10"})  # T0 is midnight UTC
    world.price(0, 101)
    world.price(1_000, 102, i=1)
    world.price(2_000, 99)
    assert world.notices == []
    assert watch.counts.quiet == 2
    world.price(10 * MINUTE, 102, i=1)
    assert [(one.event, one.symbol) for one in world.notices] == [("fired", "ETHUSDT")]
    assert [one.told for one in world.episodes.values()] == ["quiet", "sent"]


def test_the_end_is_told_where_the_rule_wants_it(world: AlertWorld) -> None:
    world.rule(tell_end=True)
    world.price(0, 101)
    world.price(30_000, 99)
    assert [one.event for one in world.notices] == ["fired", "ended"]
    assert world.notices[1].text == "BTCUSDT (binance): over after 30 s — Last price is at or above 100"


@pytest.mark.parametrize(
    ("change", "by", "words"),
    [
        ({"threshold": 100.5}, "edited", ", the rule was changed"),
        (None, "deleted", ", the rule was deleted"),
        ({}, "not_trading", ", it no longer trades here"),
    ],
)
def test_an_end_that_is_no_clearing_is_told_with_its_reason(
    world: AlertWorld, change: dict[str, Any] | None, by: str, words: str
) -> None:
    world.rule(tell_end=True, symbols=["BTCUSDT"])
    world.price(0, 101)
    world.price(30_000, 101)
    if change is None:
        world.alerts.remove(1, T0)
    elif change:
        world.rule(revision=2, symbols=["BTCUSDT"], enabled=False, **change)
    else:
        universe = world.engine().universe
        universe.update(replace(universe[0], status="DELISTED"))
    assert world.look() == [f"{by} BTCUSDT"]
    told = world.notices[-1]
    assert (told.event, told.ended_by, told.ended_ms) == ("ended", by, T0 + 30_000)
    assert told.text == f"BTCUSDT (binance): over after 30 s{words} — Last price is at or above 100"
    assert told.key.endswith(":ended")


def test_what_no_longer_trades_is_not_watched_and_begins_anew_when_it_does(world: AlertWorld) -> None:
    watch = world.rule(symbols=["BTCUSDT"])
    world.price(0, 101)
    universe = world.engine().universe
    universe.update(replace(universe[0], status="DELISTED"))
    assert world.look() == ["not_trading BTCUSDT"]
    assert (watch.waiting, watch.firing()) == ("BTCUSDT does not trade here", 0)
    universe.update(replace(universe[0], status="TRADING"))
    assert world.price(1_000, 101) == ["fired BTCUSDT"]
    assert watch.waiting == ""


def test_an_alert_on_what_was_delisted_while_the_program_was_away_ends_at_the_start(world: AlertWorld) -> None:
    gone = instrument("binance", "GONEUSDT", "GONE")
    world.venues["binance"].engine = Engine(Universe("binance", [instrument("binance", "BTCUSDT", "BTC"), gone]))
    world.rule(per_minute=100)
    world.price(0, 101)
    world.price(0, 101, i=1)
    after = AlertWorld()
    after.rule(per_minute=100)
    after.restore(world.episodes.values())
    assert after.price(1_000, 101) == ["not_trading GONEUSDT"]


def test_a_pair_of_which_the_other_side_is_delisted_ends(world: AlertWorld) -> None:
    pair: dict[str, Any] = {"metric": "pair_z", "window": "1m", "bars": 5, "threshold": 0.5}
    watch = world.rule(symbols=["BTCUSDT"], against="binance:ETHUSDT", **pair)
    for minute in range(6):
        world.trades([(minute * MINUTE, 1_000 + 10 * minute, 1)])
        world.trades([(minute * MINUTE, 1_000, 1)], 1)
    assert world.look() == ["fired BTCUSDT"]
    universe = world.engine().universe
    universe.update(replace(universe[1], status="DELISTED"))
    assert world.look() == ["not_trading BTCUSDT"]
    assert watch.waiting == "ETHUSDT does not trade here"


def test_a_cluster_of_which_the_window_is_not_wholly_held_is_only_certain_above(world: AlertWorld) -> None:
    cluster: dict[str, Any] = {"metric": "cluster", "window": "1h", "symbols": ["BTCUSDT"], "threshold": 100.0}
    world.rule(**cluster)
    small = world.rule(2, **cluster, compare="below")
    world.price(0, 100)
    assert small.waiting == "the window of 1h is not wholly held yet"
    world.hear([liquidation(T0 + 1_000, 100 * 10**8, 1_500, long=True)])
    assert world.look() == ["fired BTCUSDT"]
    assert world.price(HOUR_MS + 2_000, 100) == ["cleared BTCUSDT", "fired BTCUSDT"]


def test_looking_at_the_figures_begins_no_study(world: AlertWorld) -> None:
    world.price(0, 100)
    rows = {row["name"]: row["values"] for row in metric_rows(world.readings, "binance", "BTCUSDT")}
    assert rows["detection_wall"] == dict.fromkeys(("10s", "1m", "5m", "15m"))
    assert not world.engine().lab.studies
    world.rule(metric="detection_wall", window="1m", symbols=["BTCUSDT"], threshold=0.5)
    world.look()
    assert list(world.engine().lab.studies) == [0]


def test_an_alert_that_was_open_goes_on_under_its_key_after_a_start(world: AlertWorld) -> None:
    world.rule()
    world.price(0, 101)
    (episode,) = world.episodes.values()
    after = AlertWorld()
    after.rule()
    after.restore([episode])
    assert after.price(5_000, 101) == []
    assert after.price(6_000, 99) == ["cleared BTCUSDT"]
    assert after.episodes[episode.key].ended_ms == T0 + 6_000
    assert after.notices == []


def test_a_cooldown_goes_on_after_a_start(world: AlertWorld) -> None:
    world.rule(cooldown_s=60)
    world.price(0, 101)
    world.price(1_000, 99)
    after = AlertWorld()
    watch = after.rule(cooldown_s=60)
    after.restore(world.episodes.values())
    assert after.price(2_000, 101) == []
    assert watch.counts.cooling == 1
    assert after.price(60_000, 101) == ["fired BTCUSDT"]


def test_a_window_that_begins_before_the_program_did_neither_ends_an_alert_nor_is_too_small(world: AlertWorld) -> None:
    big: dict[str, Any] = {"metric": "volume", "window": "1m", "threshold": 1_000.0}
    world.rule(**big)
    world.trades([(0, 1_000, 100_000)])
    assert world.look() == ["fired BTCUSDT"]
    after = AlertWorld()
    after.rule(**big)
    small = after.rule(2, **big, compare="below")
    after.restore(world.episodes.values())
    after.trades([(2_000, 1_000, 1)])
    assert after.look() == []
    after.trades([(3_000, 1_000, 100_000)], 1)
    assert small.waiting == "the window of 1m is not wholly held yet"
    assert after.look() == ["fired ETHUSDT"]  # what is missing could only make it larger
    after.trades([(62_000, 1_000, 1)])
    assert after.look() == ["cleared BTCUSDT", "fired BTCUSDT"]
    assert not small.waiting


def test_a_window_is_held_from_when_the_venue_is_heard_not_from_when_its_rule_was_made(world: AlertWorld) -> None:
    world.trades([(0, 1_000, 1)])
    assert world.look() == []
    world.trades([(61_000, 1_000, 1)])
    rule = world.rule(metric="volume", window="1m", threshold=1_000.0, compare="below", symbols=["BTCUSDT"])
    assert world.look() == ["fired BTCUSDT"]
    assert not rule.waiting


def test_an_alert_of_an_older_revision_ends_at_the_start(world: AlertWorld) -> None:
    world.rule()
    world.price(0, 101)
    (episode,) = world.episodes.values()
    after = AlertWorld()
    after.rule(revision=2, threshold=1_000.0)
    after.restore([episode])
    after.look()
    assert after.episodes[episode.key].ended_by == "restarted"


def test_a_summary_that_was_owed_is_sent_after_a_start(world: AlertWorld) -> None:
    world.rule(per_minute=1)
    world.price(0, 101)
    world.price(10, 101, i=1)
    after = AlertWorld()
    after.rule(per_minute=1)
    after.restore(world.episodes.values())
    after.price(5_000, 101)
    assert [(one.event, one.count, one.symbols) for one in after.notices] == [("summary", 1, ("ETHUSDT",))]


def test_acknowledging_twice_is_acknowledging_once(world: AlertWorld) -> None:
    world.rule()
    world.price(0, 101)
    (key,) = world.episodes
    assert world.alerts.acknowledge(key, 7) is not None
    world.alerts.acknowledge(key, 8)
    world.look()
    assert world.episodes[key].acked_ms == 7
    assert world.alerts.acknowledge("no such key", 9) is None


def test_one_rule_that_fails_costs_no_other(world: AlertWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = world.rule(1, metric="basis", threshold=1.0)
    world.rule(2)

    def fail(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.readings, "basis", fail)
    assert world.price(0, 101) == ["fired BTCUSDT"]
    assert broken.waiting == "an error of ours (ZeroDivisionError); the log says more"
    assert [rule_id for rule_id, _ in world.alerts.faults] == [1]


# ---------------------------------------------------------------- figures


def value(
    world: AlertWorld, metric: str, window: str = "", symbol: str = "BTCUSDT", other: str = "", bars: int = 20
) -> float:
    world.readings.begin()
    instrument = world.engine().universe.get(symbol)
    pair = Pair("binance", other, bars, 0.5) if other else None
    return world.readings.one("binance", METRICS[metric], window, instrument, pair)


def test_every_figure_is_read_and_unknown_before_anything_is_heard(world: AlertWorld) -> None:
    zero = {"trades_missing", "venue_down", "liquidations", "liquidations_long", "liquidations_short", "cluster"}
    zero |= {name for name in METRICS if name.startswith("detection_")}
    for metric in METRICS.values():
        for window in metric.windows or ("",):
            got = value(world, metric.name, window, other="ETHUSDT" if metric.scope == "pair" else "")
            assert got == 0 if metric.name in zero else isnan(got), (metric.name, window, got)


def test_prices_and_their_changes(world: AlertWorld) -> None:
    world.trades([(0, 1_000, 5), (50_000, 1_100, 5), (70_000, 1_210, -5)])
    assert value(world, "price") == 121.0
    assert value(world, "price_change", "10s") == pytest.approx(10.0)
    assert value(world, "price_change", "1m") == pytest.approx(21.0)
    assert isnan(value(world, "price_change", "5m"))


def test_flow_figures_are_those_of_the_imbalance_panel(world: AlertWorld) -> None:
    world.trades([(0, 1_000, 30), (1_000, 1_000, -10)])
    assert value(world, "trade_imbalance", "10s") == 0.5
    assert value(world, "net_flow", "1m") == pytest.approx(100 * 0.02)
    assert value(world, "volume", "15m") == pytest.approx(100 * 0.04)
    world.at(T0 + 30_000)
    assert isnan(value(world, "trade_imbalance", "10s"))


def test_spread_and_book_are_known_while_the_book_is_live(world: AlertWorld) -> None:
    world.book(9_990, 10_010)
    assert value(world, "spread") == pytest.approx(20.0)
    assert value(world, "book_imbalance") == 0.0
    assert value(world, "book_stale") == 0.0
    world.engine().book_lost(0)
    assert isnan(value(world, "spread"))
    assert value(world, "book_stale") == 1.0
    assert value(world, "books_stale") == 100.0


def test_funding_basis_and_premium_are_those_of_their_panels(world: AlertWorld) -> None:
    world.book(600_600, 600_610)
    world.book(600_000, 600_010, venue="binance-spot")
    world.hear([mark(T0, 60_060 * 10**8, 60_000 * 10**8, 10_000, T0 + HOUR_MS, i=0)])
    world.hear([mark(T0, 1, 1, 10_000, T0 + HOUR_MS, i=1)])
    assert value(world, "basis") == next(r["basis_bps"] for r in world.derivs.basis("binance", "BTCUSDT"))
    assert value(world, "premium") == pytest.approx(10.0)
    assert value(world, "funding") == pytest.approx(0.01)
    assert value(world, "funding", symbol="ETHUSDT") == pytest.approx(0.02)
    assert value(world, "funding_rate", symbol="ETHUSDT") == pytest.approx(0.01)


def test_liquidations_are_added_up_by_side_and_window(world: AlertWorld) -> None:
    world.hear([liquidation(T0, 100 * 10**8, 1_000, long=True), liquidation(T0 + 30_000, 100 * 10**8, 500, long=False)])
    world.at(T0 + 31_500)
    assert value(world, "liquidations", "1m") == pytest.approx(150)
    assert value(world, "liquidations_long", "1m") == pytest.approx(100)
    assert value(world, "liquidations_short", "10s") == pytest.approx(50)
    assert value(world, "liquidations_long", "10s") == 0
    assert value(world, "cluster", "1h") == pytest.approx(150)


def test_whales_and_big_flow_are_the_largest_of_their_window(world: AlertWorld) -> None:
    world.engine().set_adv(0, Decimal(100_000_000), 30)
    world.trades([(0, 1_000_000, 6_000), (5_000, 1_000_000, -9_000)])
    assert value(world, "whale_buy", "1m") == pytest.approx(600_000)
    assert value(world, "whale_sell", "1m") == pytest.approx(900_000)
    assert value(world, "whale", "1m") == pytest.approx(900_000)
    assert value(world, "big_flow", "1m") == pytest.approx(0.9)
    world.at(T0 + 61_000)
    assert value(world, "whale_buy", "1m") == 0


def test_the_feeds_health_is_read_by_our_clock(world: AlertWorld) -> None:
    world.trades([(0, 1_000, 5)])
    world.wall_ms = T0 + 12_000
    world.health["binance"] = Health(down=True, age_s=12.0)
    assert value(world, "quiet") == 12.0
    assert value(world, "venue_down") == 1.0
    assert value(world, "data_age") == 12.0
    assert isnan(value(world, "lag"))
    world.rule(metric="data_age", threshold=10.0)
    assert world.look() == ["fired *"]
    world.wall_ms += 5_000
    world.health["binance"] = Health(age_s=0.1)
    assert world.look() == ["cleared *"]
    assert world.notices[0].symbol is None
    assert world.notices[0].text == "binance: 12.0 — Age of data is at or above 10 s"


def test_a_pair_is_judged_on_its_own_last_bars(world: AlertWorld) -> None:
    rng = np.random.default_rng(5)
    a, b = 1_000 + rng.integers(-9, 9, 30), 2_000 + rng.integers(-9, 9, 30)
    for minute in range(30):
        world.trades([(minute * MINUTE, int(a[minute]), 1)], 0)
        world.trades([(minute * MINUTE, int(b[minute]), 1)], 1)
    spread = np.log(a[-20:]) - 0.5 * np.log(b[-20:])
    expected = (spread[-1] - spread.mean()) / spread.std(ddof=1)
    assert value(world, "pair_z", "1m", other="ETHUSDT") == pytest.approx(expected)
    assert isnan(value(world, "pair_z", "1m", other="ETHUSDT", bars=40))  # not so many are held


def test_a_spread_that_does_not_move_has_no_z() -> None:
    assert isnan(pair_z(np.full(20, 3.0), np.full(20, 2.0), 1.0))


def test_the_divergence_is_that_of_its_panel(world: AlertWorld) -> None:
    world.trades([(k * 1_000, 1_000 + k % 7, 3 if k % 2 else -3) for k in range(700)])
    world.trades([(700_000 + k * 1_000, 990 - k // 10, 9) for k in range(61)])
    told = world.derivs.divergences("binance", world.engine().universe[0], "usd")
    row = next(one for one in told["markets"][0]["windows"] if one["window"] == "60s")
    assert row["price_change_bps"] < 0 < row["z"]
    assert value(world, "cvd_divergence", "60s") == row["z"]


@given(st.data())
@examples(100)
def test_the_last_close_before_a_moment_is_found_however_far_back(data: st.DataObject) -> None:
    slots = 256
    store = new_candles(2, 1_000, slots)
    newest = data.draw(st.integers(300, 2_000))
    traded = sorted(data.draw(st.sets(st.integers(newest - 2 * slots, newest), max_size=12)))
    for number in traded:
        row = store.ring[number & (slots - 1), 0]
        row["number"], row["n"], row["close"] = number, 1, number * 10
        store.newest[0], store.oldest[0] = number, min(store.oldest[0], number)
    asked = data.draw(st.integers(newest - 100, newest))
    held = [n for n in traded if traded[-1] - slots < n <= asked]
    found = last_closes(store, np.array([0, 1]), asked)
    assert isnan(found[1])
    if held:
        assert found[0] == held[-1] * 10
    else:
        assert isnan(found[0])


def test_fifty_rules_over_a_universe_are_bounded(world: AlertWorld) -> None:
    for rule_id in range(1, 51):
        world.rule(rule_id, metric="trade_imbalance", window="1m", threshold=0.9)
    world.price(0, 100)
    held = world.readings._held["binance"].now
    assert len([key for key in held if key[0] == "trade_imbalance"]) == 1  # read once for all of them
