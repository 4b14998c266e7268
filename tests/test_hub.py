"""The hub: one build for all, a snapshot first, sequences without holes, and clients that never queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_world import T0, World, perp
from tapewatch.hub.columns import ColumnTopic, Content
from tapewatch.hub.hub import Client, Hub, Payloads
from tapewatch.hub.pace import Tier
from tapewatch.hub.requests import Catalogue, Request
from tapewatch.hub.wire import Frame, decode
from tapewatch.model.errors import NotFoundError, NotReadyError, UsageError
from waiting import WITHIN_S


class Beat:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Numbers:
    """A topic of one number: snapshots say ``=n``, deltas ``+n``."""

    period_s = 1.0

    def __init__(self, key: str = "numbers") -> None:
        self.key = key
        self.value = 0
        self.shown = -1

    def refresh(self) -> Payloads:
        if self.value == self.shown:
            return ()
        self.shown = self.value
        return (f"+{self.value}",)

    def snapshot(self) -> Payloads:
        return (f"={self.shown}",)

    def close(self) -> None:
        self.closed = True


class Pipe:
    """A transport that a test fills up and empties."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[Any] = asyncio.Queue()
        self.ready = True

    def send_all(self, payloads: Payloads) -> bool:
        if self.ready:
            for payload in payloads:
                self.got.put_nowait(payload)
        return self.ready

    def read(self) -> list[Any]:
        return [self.got.get_nowait() for _ in range(self.got.qsize())]


def publish(hub: Hub, beat: Beat, seconds: float = 1.0) -> None:
    """One turn of the publisher."""
    beat.now += seconds
    for channel in list(hub._channels.values()):
        hub.publish_if_due(channel)


def drain(client: Client) -> list[Any]:
    got: list[Any] = []
    while payloads := client.take():
        got.extend(payloads)
    return got


def test_first_subscriber_makes_the_topic_and_the_last_one_ends_it() -> None:
    hub = Hub()
    one, two = hub.connect(), hub.connect()
    made: list[Numbers] = []

    def make() -> Numbers:
        made.append(Numbers())
        return made[-1]

    one.subscribe(1, "numbers", make)
    two.subscribe(7, "numbers", make)
    assert len(made) == 1
    one.unsubscribe(1)
    assert hub.topics == ["numbers"]
    two.close()
    assert hub.topics == []
    one.subscribe(1, "numbers", make)
    assert len(made) == 2


def test_snapshot_comes_first_then_deltas_built_once_for_all() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    one, two = hub.connect(), hub.connect()
    one.subscribe(1, "numbers", lambda: topic)
    assert drain(one) == ["=0"]
    topic.value = 5
    publish(hub, beat)
    two.subscribe(1, "numbers", lambda: topic)
    assert drain(one) == ["+5"]
    assert drain(two) == ["=5"]
    assert hub.stats.built == 2  # the first state and one delta, whatever the number of clients
    topic.value = 6
    publish(hub, beat)
    first, second = one.take(), two.take()
    assert first == ("+6",)
    assert first[0] is second[0]


def test_a_client_that_does_not_drain_holds_one_message_and_then_gets_the_newest_state() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    slow, quick = hub.connect(), hub.connect()
    for client in (slow, quick):
        client.subscribe(1, "numbers", lambda: topic)
        drain(client)
    seen = []
    for value in range(1, 101):
        topic.value = value
        publish(hub, beat)
        seen += drain(quick)
    assert seen == [f"+{value}" for value in range(1, 101)]
    assert len(slow._line) == 1
    assert drain(slow) == ["=100"]
    assert slow.skipped == hub.stats.skipped == 99
    topic.value = 101
    publish(hub, beat)
    assert drain(slow) == ["+101"]


def test_one_waiting_message_is_not_yet_behind() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    client = hub.connect()
    client.subscribe(1, "numbers", lambda: topic)
    drain(client)
    topic.value = 1
    publish(hub, beat)
    publish(hub, beat)  # nothing changed: nothing is skipped
    assert drain(client) == ["+1"]
    assert client.skipped == 0


def test_slow_topic_of_a_client_does_not_hold_back_its_others() -> None:
    beat = Beat()
    hub, a, b = Hub(beat), Numbers("a"), Numbers("b")
    client = hub.connect()
    client.subscribe(1, "a", lambda: a)
    client.subscribe(2, "b", lambda: b)
    assert drain(client) == ["=0", "=0"]
    for value in range(1, 50):
        a.value = value
        publish(hub, beat)
    b.value = 7
    publish(hub, beat)
    assert drain(client) == ["=49", "+7"]


def test_topics_keep_their_own_pace_and_nothing_is_made_up_for_after_a_pause() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    client = hub.connect()
    client.subscribe(1, "numbers", lambda: topic)
    drain(client)
    got = []
    for k in range(1, 11):
        topic.value = k
        publish(hub, beat, 0.25)
        got += drain(client)
    assert got == ["+4", "+8"]
    beat.now += 60
    for k in range(20, 24):
        topic.value = k
        publish(hub, beat, 0.01)
        got += drain(client)
    assert got == ["+4", "+8", "+20"]
    assert hub.stats.late_ms_max > 59_000


def test_unsubscribing_drops_what_waited() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    client = hub.connect()
    client.subscribe(1, "numbers", lambda: topic)
    client.unsubscribe(1)
    assert drain(client) == []
    with pytest.raises(UsageError, match="there is no subscription 1"):
        client.unsubscribe(1)


def test_a_number_in_use_is_refused_and_a_second_number_on_a_key_renews_the_snapshot() -> None:
    hub, topic = Hub(), Numbers()
    client = hub.connect()
    client.subscribe(1, "numbers", lambda: topic)
    drain(client)
    with pytest.raises(UsageError, match="subscription 1 is in use"):
        client.subscribe(1, "other", lambda: Numbers("other"))
    client.subscribe(2, "numbers", lambda: topic)
    assert drain(client) == ["=0"]
    client.unsubscribe(1)
    assert hub.topics == ["numbers"]
    client.unsubscribe(2)
    assert hub.topics == []


def test_a_topic_that_cannot_be_made_leaves_nothing_behind() -> None:
    hub = Hub()
    client = hub.connect()

    def refuse() -> Numbers:
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        client.subscribe(1, "numbers", refuse)
    assert hub.topics == []
    assert len(client) == 0


async def test_publisher_wakes_for_a_new_topic_and_says_when_it_stopped() -> None:
    hub = Hub()
    running = asyncio.create_task(hub.run())
    topic = Numbers()
    topic.period_s = 0.01
    pipe = Pipe()
    client = hub.connect(pipe)
    await asyncio.sleep(0)  # the publisher waits, without any topic
    client.subscribe(1, "numbers", lambda: topic)
    assert await pipe.got.get() == "=0"
    topic.value = 3
    async with asyncio.timeout(WITHIN_S):
        assert await pipe.got.get() == "+3"
    assert hub.running
    running.cancel()
    await asyncio.wait([running])
    assert not hub.running


# -- topics over the real engine ------------------------------------------------------------------------------------


class Watcher:
    """A client that applies frames as docs/stream.md says."""

    def __init__(self, catalogue: Catalogue, hub: Hub, topic: str, params: Mapping[str, Any]) -> None:
        self.request: Request = catalogue.request(topic, params)
        self.client = hub.connect()
        self.client.subscribe(1, self.request.key, self.request.make)
        self.seq = 0
        self.frames: list[Frame] = []

    def read(self) -> list[Frame]:
        new = [decode(payload) for payload in drain(self.client)]
        for frame in new:
            assert frame.header["key"] == self.request.key
            if frame.header["type"] == "delta":
                assert frame.header["prev"] == self.seq
            self.seq = frame.header["seq"]
        self.frames += new
        return new


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def catalogue_of(world: World) -> Catalogue:
    return Catalogue(world.venues, lambda: {"version": "test"}, lambda: T0)


def test_imbalance_rows_are_exact_and_a_delta_holds_only_what_changed(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    world.book([("42500.4", "1.5")], [("42500.6", "0.5")])
    world.trade(0, "42500.5", "0.300")
    world.trade(10, "42500.4", "0.100", "sell")
    watcher = Watcher(catalogue_of(world), hub, "imbalance", {"exchange": "binance"})
    (first,) = watcher.read()
    assert first.header["type"] == "snapshot"
    assert first.header["meta"]["symbols"] == ["BTCUSDT", "ETHUSDT", "币安人生USDT"]
    assert first.header["meta"]["ticks"] == [[1, 1], [1, 2], [1, 5]]
    assert first.header["meta"]["lots"] == [[1, 3], [1, 3], [1, 0]]
    columns = first.columns
    assert columns["i"].tolist() == [0, 1, 2]
    for window in ("10s", "1m", "5m", "15m"):
        assert columns[f"buy_{window}"].tolist() == [300, 0, 0]
        assert columns[f"sell_{window}"].tolist() == [100, 0, 0]
        assert columns[f"ti_{window}"].tolist() == [0.5, 0, 0]
        assert columns[f"net_{window}"][0] == pytest.approx(0.3 * 42500.5 - 0.1 * 42500.4)
    assert columns["bi"][0] == 0.5
    assert math.isnan(columns["bi"][1])
    assert columns["last"][0] == 425_004
    assert math.isnan(columns["last"][1])
    assert columns["last_ms"].tolist() == [T0 + 10, 0, 0]
    assert math.isnan(columns["chg24"][0])

    world.ticker()
    publish(hub, beat)
    (delta,) = watcher.read()
    assert delta.header["type"] == "delta"
    assert delta.columns["i"].tolist() == [0]
    assert delta.columns["chg24"].tolist() == [1.25]
    assert delta.columns["qv24"].tolist() == [52_470_000.25]
    publish(hub, beat)
    assert watcher.read() == []

    world.trade(12_000, "0.00001", "7", symbol="币安人生USDT")
    publish(hub, beat)
    (delta,) = watcher.read()
    assert delta.columns["i"].tolist() == [0, 2]  # 10 s have passed over BTCUSDT
    assert delta.columns["buy_10s"].tolist() == [0, 7]
    assert delta.columns["buy_1m"].tolist() == [300, 7]


def test_a_listing_sends_everybody_a_snapshot_with_the_new_name(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    watcher = Watcher(catalogue_of(world), hub, "imbalance", {})
    watcher.read()
    world.venue.on_universe([*world.venue.universe, perp("NEWUSDT", "0.1", "1")])
    publish(hub, beat)
    (frame,) = watcher.read()
    assert frame.header["type"] == "snapshot"
    assert frame.header["meta"]["symbols"][-1] == "NEWUSDT"
    assert len(frame.columns["i"]) == 4


def test_imbalance_begins_empty_and_fills_when_the_venue_tells_its_instruments(tmp_path: Path) -> None:
    beat = Beat()
    hub = Hub(beat)
    world = World(tmp_path, instruments=[])
    watchers = [Watcher(catalogue_of(world), hub, topic, {}) for topic in ("imbalance", "bigflow", "liquidations")]
    for watcher in watchers:
        (frame,) = watcher.read()
        assert frame.header["type"] == "snapshot"
        assert all(len(column) == 0 for column in frame.columns.values())
    with pytest.raises(NotReadyError, match="not loaded yet"):
        catalogue_of(world).request("footprint", {})
    world.venue.on_universe([perp("BTCUSDT", "0.1", "0.001")])
    world.trade(0, "42500.5", "1")
    world.liquidate(0, "short", "42501", "0.5")
    publish(hub, beat)
    assert watchers[0].read()[0].columns["buy_10s"].tolist() == [1000]
    assert watchers[1].read()[0].header["type"] == "snapshot"  # another engine: earlier rows mean nothing
    assert watchers[2].read()[0].columns["qty"].tolist() == [500]


def test_big_flow_grows_in_place_by_id(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    world.know_volume(1_000_000)
    world.book([("42500.4", "1.5")], [("42500.6", "0.5")])
    watcher = Watcher(catalogue_of(world), hub, "bigflow", {"limit": 10})
    assert len(watcher.read()[0].columns["id"]) == 0
    world.trade(0, "42500.5", "0.700")
    publish(hub, beat)
    (opened,) = watcher.read()
    parent = opened.columns["rule"].tolist().index(0)
    assert opened.columns["side"][parent] == 1
    assert opened.columns["qty"][parent] == 700
    assert opened.columns["price"][parent] == 42500.5
    assert opened.columns["notional"][parent] == 29750.35
    assert opened.columns["pct"][parent] == pytest.approx(2.975035)
    assert opened.columns["depth10"][parent] == 21250.3
    assert opened.columns["open"][parent] == 1
    world.trade(50, "42500.7", "0.300")
    publish(hub, beat)
    (grown,) = watcher.read()
    again = grown.columns["rule"].tolist().index(0)
    assert grown.columns["id"][again] == opened.columns["id"][parent]
    assert grown.columns["qty"][again] == 1000
    assert grown.columns["high"][again] == 425_007
    late = Watcher(catalogue_of(world), hub, "bigflow", {"limit": 10})
    (snapshot,) = late.read()
    rows = dict(zip(snapshot.columns["id"].tolist(), snapshot.columns["qty"].tolist(), strict=True))
    assert rows[opened.columns["id"][parent]] == 1000
    assert len(rows) == len(snapshot.columns["id"])  # one episode is one row


def test_liquidations_are_told_once_and_counted_by_minute(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    world.liquidate(0, "long", "42000", "0.5")
    early = Watcher(catalogue_of(world), hub, "liquidations", {"limit": 2})
    assert early.read()[0].columns["long"].tolist() == [1]
    world.liquidate(1_000, "short", "43000", "0.001")
    late = Watcher(catalogue_of(world), hub, "liquidations", {"limit": 2})
    assert late.read()[0].columns["long"].tolist() == [1]  # the state of the last refresh: the new row follows
    world.liquidate(61_000, "short", "100.25", "4", symbol="ETHUSDT")
    publish(hub, beat)
    for watcher in (early, late):
        (delta,) = watcher.read()
        assert delta.header["type"] == "delta"
        assert delta.columns["long"].tolist() == [0, 0]
        assert delta.columns["i"].tolist() == [0, 1]
        assert delta.columns["price"].tolist() == [43000, 100.25]
        assert delta.columns["notional"].tolist() == [43, 401]
        assert delta.columns["event_ms"].tolist() == [T0 + 1_005, T0 + 61_005]
        assert delta.header["meta"]["minutes"] == [[T0, 21000, 43, 1, 1], [T0 + 60_000, 0, 401, 0, 1]]
    assert Watcher(catalogue_of(world), hub, "liquidations", {"limit": 2}).read()[0].columns["qty"].tolist() == [
        1,
        4000,
    ]


def test_minutes_older_than_an_hour_are_forgotten(world: World) -> None:
    hub = Hub()
    world.liquidate(0, "long", "42000", "0.5")
    world.liquidate(3_600_000, "long", "42000", "0.5")
    (frame,) = Watcher(catalogue_of(world), hub, "liquidations", {}).read()
    assert [minute for minute, *_ in frame.header["meta"]["minutes"]] == [T0 + 3_600_000]


Candles = dict[float, tuple[Any, ...]]


def candles_of(frame: Frame, held: Candles | None = None) -> Candles:
    """Candles by open time, as a client keeps them: replaced whole."""
    candles = dict(held or {}) if frame.header["type"] == "delta" else {}
    columns = frame.columns
    names = [name for name in columns if name.startswith("c_")]
    start = 0
    for k, cells in enumerate(columns["c_cells"].astype(int).tolist()):
        rows = [columns[name][start : start + cells].tolist() for name in ("p", "bid", "ask", "n")]
        head = {name: columns[name][k] for name in names}
        candles[head["c_open_ms"]] = (head, list(zip(*rows, strict=True)))
        start += cells
    assert start == len(columns["p"])
    return candles


trades = st.lists(
    st.tuples(
        st.integers(0, 400_000),
        st.integers(424_900, 425_100),
        st.integers(1, 5_000),
        st.sampled_from(["buy", "sell"]),
        st.booleans(),
    ),
    max_size=25,
)


@given(trades=trades, step=st.sampled_from(["0.1", "0.5", "2", "50"]), tf=st.sampled_from(["1s", "1m", "5m"]))
def test_footprint_deltas_end_in_the_state_of_the_engine(
    tmp_path_factory: pytest.TempPathFactory, trades: list[tuple[int, int, int, str, bool]], step: str, tf: str
) -> None:
    """Whenever published, a client that applied deltas holds what a fresh snapshot says, and what the engine says."""
    beat = Beat()
    hub, world = Hub(beat), World(tmp_path_factory.getbasetemp())
    asked = {"symbol": "BTCUSDT", "tf": tf, "step": step, "lookback": 5}
    watcher = Watcher(catalogue_of(world), hub, "footprint", asked)
    held: Candles = candles_of(watcher.read()[0])
    at = 0
    for gap_ms, price, lots, side, show in trades:
        at += gap_ms // 8
        world.trade(at, f"{price / 10}", f"{lots / 1000}", side)
        if show:
            publish(hub, beat)
            for frame in watcher.read():
                held = candles_of(frame, held)
    publish(hub, beat)
    for frame in watcher.read():
        held = candles_of(frame, held)
    newest = sorted(held)[-5:]
    (whole,) = Watcher(catalogue_of(world), hub, "footprint", asked).read()
    assert {ms: held[ms] for ms in newest} == candles_of(whole)
    engine = world.venue.engine
    instrument = world.venue.universe.get("BTCUSDT")
    shown = engine.footprint(0, int(whole.header["meta"]["tf_ms"]), instrument.step_ticks(step), 5)
    assert whole.columns["c_cvd"].tolist() == shown.candles["cvd"].tolist()
    assert whole.columns["p"].tolist() == shown.cells["price"].tolist()


def test_a_filled_gap_changes_the_old_candle_and_every_cvd_after_it(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    world.trade(0, "42500.5", "1")
    world.lose_trades(1)
    world.trade(60_000, "42500.5", "1")
    watcher = Watcher(catalogue_of(world), hub, "footprint", {"lookback": 10})
    held = candles_of(watcher.read()[0])
    world.fill_hole(30_000, "42500.6", "0.25", number=2)
    publish(hub, beat)
    (delta,) = watcher.read()
    assert delta.header["type"] == "delta"
    held = candles_of(delta, held)
    assert [head["c_ask"] for head, _ in held.values()] == [1250, 1000]
    assert [head["c_cvd"] for head, _ in held.values()] == [1250, 2250]


def test_a_finer_tick_size_starts_the_footprint_anew(world: World) -> None:
    beat = Beat()
    hub = Hub(beat)
    world.trade(0, "42500.5", "1")
    watcher = Watcher(catalogue_of(world), hub, "footprint", {})
    assert watcher.read()[0].columns["p"].tolist() == [425_005]
    finer = [perp("BTCUSDT", "0.01", "0.001"), *list(world.venue.universe)[1:]]
    world.venue.on_universe(finer)
    world.trade(10, "42500.52", "1")
    publish(hub, beat)
    (frame,) = watcher.read()
    assert frame.header["type"] == "snapshot"
    assert frame.header["meta"]["tick"] == [1, 2]
    assert frame.header["meta"]["step_ticks"] == 50
    assert frame.columns["p"].tolist() == [4_250_050]
    assert frame.columns["ask"].tolist() == [2000]


@pytest.mark.parametrize(
    ("topic", "params", "sentence"),
    [
        ("nope", {}, "unknown topic 'nope'; allowed: status, imbalance, bigflow, liquidations, footprint"),
        ("imbalance", {"exchange": "okx"}, "unknown exchange 'okx'; running here: binance"),
        ("imbalance", {"venue": "binance"}, "unknown parameter 'venue'; allowed: exchange"),
        ("bigflow", {"limit": 0}, "limit = '0' is refused; allowed: a whole number from 1 to 500"),
        ("bigflow", {"limit": "many"}, "limit = 'many' is refused; allowed: a whole number from 1 to 500"),
        ("footprint", {"symbol": "BTC"}, "unknown symbol 'BTC' on binance; did you mean BTCUSDT?"),
        ("footprint", {"tf": "2m"}, "tf = '2m' is refused; allowed: 1s, 1m, 5m, 15m, 1h, 4h, 1d"),
        (
            "footprint",
            {"step": "0.07"},
            "step 0.07 is not a multiple of the tick size 0.1 of BTCUSDT; use a multiple such",
        ),
        ("footprint", {"step": "1e999999"}, "step '1e999999' is not a plain decimal number such as 0.1"),
        ("footprint", {"step": "nan"}, "step 'nan' is not a plain decimal number such as 0.1"),
        ("footprint", {"step": "-0.5"}, "step '-0.5' is not a plain decimal number such as 0.1"),
        ("footprint", {"step": "0"}, "step 0 is not a multiple of the tick size 0.1 of BTCUSDT"),
        ("footprint", {"lookback": 100_000}, "lookback = '100000' is refused; allowed: a whole number from 1 to"),
        ("footprint", {"symbol": {"a": 1}}, "symbol = \"{'a': 1}\" is refused; allowed: text"),
    ],
)
def test_wrong_questions_are_refused_with_what_is_allowed(
    world: World, topic: str, params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        catalogue_of(world).request(topic, params)
    assert str(refused.value).startswith(sentence)
    named = str(refused.value).startswith(("unknown exchange", "unknown symbol"))
    assert isinstance(refused.value, NotFoundError) == named


def test_equal_questions_have_one_key(world: World) -> None:
    catalogue = catalogue_of(world)
    asked: list[dict[str, Any]] = [{}, {"step": "0.50"}, {"step": 0.5, "symbol": "btcusdt"}, {"lookback": "60"}]
    assert {catalogue.request("footprint", params).key for params in asked} == {"footprint:binance:BTCUSDT:1m:0.5:60"}
    tiny = catalogue.request("footprint", {"symbol": "币安人生USDT", "step": 0.00005})
    assert tiny.key == "footprint:binance:币安人生USDT:1m:0.00005:60"


def test_columns_outside_exact_floats_are_not_hidden() -> None:
    """f8 holds integers exactly below 2**53; the widest figure shown, ticks x lots of a day, stays below."""
    a_day_of_bitcoin_usd, tick, lot = 60e9, 0.1, 0.001
    assert a_day_of_bitcoin_usd / (tick * lot) < 2**53


class Broken(ColumnTopic):
    topic = "broken"
    period_s = 1.0

    def collect(self) -> Content | None:
        return Content([("x", np.array([1], np.int64))], {})

    def whole(self) -> Content:
        return Content([("x", np.array([1], np.int64))], {})


# -- transports -----------------------------------------------------------------------------------------------------


def test_an_update_goes_straight_to_every_transport_that_takes_it_as_the_same_object() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    pipes = [Pipe() for _ in range(3)]
    for pipe in pipes:
        hub.connect(pipe).subscribe(1, "numbers", lambda: topic)
    pipes[1].ready = False
    topic.value = 1
    publish(hub, beat)
    first, blocked, third = (pipe.read() for pipe in pipes)
    assert first == third == ["=0", "+1"]
    assert blocked == ["=0"]
    assert first[1] is third[1]
    assert hub.stats.delivered == 5


def test_a_transport_that_takes_messages_again_gets_what_waits_and_later_the_newest_state() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    pipe = Pipe()
    client = hub.connect(pipe)
    client.subscribe(1, "numbers", lambda: topic)
    for values, expected in (([1], ["+1"]), ([2, 3, 4], ["=4"])):
        pipe.read()
        pipe.ready = False
        for value in values:
            topic.value = value
            publish(hub, beat)
        client.flush()
        assert pipe.read() == []
        pipe.ready = True
        client.flush()
        assert pipe.read() == expected
    topic.value = 5
    publish(hub, beat)
    assert pipe.read() == ["+5"]


def test_a_topic_that_raises_costs_only_its_own_subscribers_and_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    beat = Beat()
    hub, good, bad = Hub(beat), Numbers("good"), Numbers("bad")
    pipes = Pipe(), Pipe()
    hub.connect(pipes[0]).subscribe(1, "good", lambda: good)
    hub.connect(pipes[1]).subscribe(1, "bad", lambda: bad)
    whole = bad.refresh
    bad.refresh = lambda: 1 // 0  # type: ignore[method-assign, assignment, return-value]
    for value in range(1, 4):
        good.value = bad.value = value
        publish(hub, beat, 6.0)
    assert pipes[0].read() == ["=0", "+1", "+2", "+3"]
    assert pipes[1].read() == ["=0"]
    assert (hub.stats.faults, hub.failing) == (3, ["bad"])
    assert caplog.text.count("topic_failed key=bad") == 1
    bad.refresh = whole  # type: ignore[method-assign]
    publish(hub, beat, 6.0)
    assert pipes[1].read()[-1] == "=3"  # nobody knows what a delta would continue
    assert hub.failing == []


def test_a_topic_is_told_when_its_last_subscriber_leaves() -> None:
    hub, topic = Hub(), Numbers()
    one, two = hub.connect(), hub.connect()
    one.subscribe(1, "numbers", lambda: topic)
    two.subscribe(1, "numbers", lambda: topic)
    one.close()
    assert not hasattr(topic, "closed")
    two.close()
    assert topic.closed


def test_a_slower_pace_stretches_every_topic_alike() -> None:
    beat = Beat()
    hub, topic = Hub(beat), Numbers()
    pipe = Pipe()
    hub.connect(pipe).subscribe(1, "numbers", lambda: topic)
    hub.governor.tier = Tier.SLOW
    for value in range(1, 10):
        topic.value = value
        publish(hub, beat)
    assert pipe.read() == ["=0", "+1", "+4", "+7"]  # no tier makes a view slower than three seconds
    hub.governor.tier = Tier.FULL
    topic.value = 10
    publish(hub, beat, 4.0)
    topic.value = 11
    publish(hub, beat)
    assert pipe.read() == ["+10", "+11"]
