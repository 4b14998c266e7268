"""Verdicts on silence: what is found, what is left alone, and what is done about it. Time is driven by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tapewatch.feed.binance_usdm import DIALECT, OFFER
from tapewatch.feed.plan import ALL_SOCKET, SocketPlan, plan
from tapewatch.feed.watchdog import Action, Remedy, SocketWatch, Watchdog
from tapewatch.model.channel import Channel
from tapewatch.model.views import FeedState


class World:
    """A venue that delivers what a test says, and a watchdog that looks once a second."""

    def __init__(self, symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT", "XRPUSDT"), books: Iterable[str] = ()) -> None:
        self.dog = Watchdog(DIALECT.wire.heading)
        self.sockets: list[SocketPlan] = plan(OFFER, symbols, books)
        self.wall = 1_000.0
        self.dead: set[str] = set()
        self.trading: dict[str, float] = dict.fromkeys(symbols, 5.0)
        """Trades a second."""
        self.last_id = 1_000
        self.remedies: list[Remedy] = []
        self.seconds = 0
        for socket in self.sockets:
            self.dog.follow(socket, {}, {})
            self.open(socket.name)
        self.dog.tick(self.wall)

    def open(self, name: str) -> None:
        self.dog.opened(name)
        self.dog.confirmed(name, [s.name for p in self.sockets if p.name == name for s in p.streams])

    def watch(self, name: str) -> SocketWatch:
        return self.dog.sockets[name]

    def second(self) -> list[Remedy]:
        self.seconds += 1
        self.wall += 1.0
        rhythm = {Channel.CANARY, Channel.MARKS, Channel.TICKERS}
        for socket in self.sockets:
            for track in self.watch(socket.name).tracks.values():
                stream = track.stream
                rate = 1.0 if stream.channel in rhythm else self.trading.get(stream.symbol, 0.0)
                due = int(self.seconds * rate) - int((self.seconds - 1) * rate)
                if stream.channel in (Channel.LIQUIDATIONS, Channel.INSTRUMENTS):
                    due = 0
                if not self.dead & {stream.name, stream.channel, socket.name}:
                    track.frames += due
        self.last_id += 1
        if not self.dead & {"!ticker@arr", ALL_SOCKET}:
            self.dog.trade_ids((symbol, self.last_id) for symbol, rate in self.trading.items() if rate >= 1)
        remedies = self.dog.tick(self.wall)
        self.remedies += remedies
        return remedies

    def run(self, seconds: int) -> list[Remedy]:
        return [remedy for _ in range(seconds) for remedy in self.second()]


def channel(world: World, which: Channel) -> FeedState:
    return next(status.state for status in world.dog.channels() if status.channel == which)


def test_a_healthy_market_raises_no_alarm_for_an_hour() -> None:
    world = World(books=["BTCUSDT", "ETHUSDT"])
    world.trading["XRPUSDT"] = 1 / 400  # thin: legally silent for minutes
    assert world.run(3600) == []
    assert world.dog.silent() == []
    assert {world.dog.state(watch) for watch in world.dog.sockets.values()} == {FeedState.LIVE}
    assert channel(world, Channel.LIQUIDATIONS) == FeedState.QUIET
    assert channel(world, Channel.TRADES) == FeedState.LIVE


def test_an_acknowledged_stream_that_never_delivers_is_named_and_subscribed_again() -> None:
    world = World()
    world.dead = {"ethusdt@aggTrade"}
    remedies = world.run(14)
    assert [(r.socket, [s.name for s in r.streams], r.action) for r in remedies] == [
        ("trades-1", ["ethusdt@aggTrade"], Action.RESUBSCRIBE)
    ]
    world.dog.confirmed("trades-1", ["ethusdt@aggTrade"])
    world.run(2)
    assert "ethusdt@aggTrade acknowledged but silent" in remedies[0].reason
    assert world.dog.silent() == ["ethusdt@aggTrade"]
    assert channel(world, Channel.TRADES) == FeedState.LIVE  # the others go on
    world.dead = set()
    world.run(2)
    assert world.dog.silent() == []


def test_a_stubborn_stream_costs_one_replacement_then_patience() -> None:
    world = World()
    world.dead = {"ethusdt@aggTrade"}
    remedies = world.run(3600)
    assert [r.action for r in remedies[:3]] == [Action.RESUBSCRIBE, Action.RESUBSCRIBE, Action.REPLACE]
    assert sum(r.action is not Action.RESUBSCRIBE for r in remedies) == 1
    assert len(remedies) < 20
    assert world.dog.silent() == ["ethusdt@aggTrade"]


def test_a_stalled_shard_behind_a_healthy_socket_is_opened_anew() -> None:
    world = World()
    world.run(30)
    world.dead = {"trades-1"}
    remedies = world.run(12)
    assert [(r.socket, r.action) for r in remedies] == [("trades-1", Action.RECONNECT)]
    assert world.dog.state(world.watch("trades-1")) == FeedState.STALE
    assert world.dog.state(world.watch(ALL_SOCKET)) == FeedState.LIVE


def test_a_halted_market_is_quiet_not_broken() -> None:
    """No trades, no touch changes, no advancing ids: nothing testifies, so nothing is wrong."""
    world = World(books=["ETHUSDT"])
    world.run(60)
    world.trading["ETHUSDT"] = 0.0
    assert world.run(1800) == []
    assert world.dog.silent() == []


def test_depth_is_convicted_by_the_touch_and_by_trades() -> None:
    for witness_dead in (set[str](), {"btcusdt@bookTicker"}):
        world = World(["BTCUSDT"], books=["BTCUSDT", "ETHUSDT", "XRPUSDT"])
        world.trading |= {"ETHUSDT": 5.0, "XRPUSDT": 5.0}
        world.run(20)
        world.dead = {"btcusdt@depth@100ms"} | witness_dead
        world.run(8)
        assert world.dog.silent() == ["btcusdt@depth@100ms"]
        assert [s.name for s in world.remedies[0].streams] == ["btcusdt@depth@100ms"]


def test_without_tickers_a_stream_is_judged_by_its_own_rate() -> None:
    world = World()
    world.run(120)
    world.dead = {"!ticker@arr", "ethusdt@aggTrade"}
    world.run(90)
    assert "ethusdt@aggTrade" not in world.dog.silent()
    world.run(60)
    assert "ethusdt@aggTrade" in world.dog.silent()
    assert "!ticker@arr" in world.dog.silent()


def test_a_loop_that_stood_still_convicts_nobody() -> None:
    """A laptop that slept for an hour wakes up: no stream had a chance to deliver."""
    world = World(books=["BTCUSDT"])
    world.run(30)
    world.wall += 3600
    assert world.dog.tick(world.wall) == []
    assert world.dog.silent() == []
    assert world.run(60) == []


def test_data_that_grows_late_is_delayed_and_then_the_socket_is_opened_anew() -> None:
    world = World()
    world.run(5)
    watch = world.watch("trades-1")
    for lag, state in ((100.0, FeedState.LIVE), (9_000.0, FeedState.DELAYED)):
        for _ in range(3):
            world.dog.lag(watch, lag)
        assert world.second() == []
        assert world.dog.state(watch) == state
    remedies = []
    for _ in range(12):
        world.dog.lag(watch, 9_000.0)
        remedies += world.second()
    assert [(r.socket, r.action) for r in remedies] == [("trades-1", Action.RECONNECT)]
    assert "late" in remedies[0].reason


def test_remedies_for_a_socket_that_stays_sick_become_rare() -> None:
    world = World()
    world.run(30)
    world.dead = {"trades-1"}
    at = [k for k in range(3600) if world.second()]
    gaps = [b - a for a, b in pairwise(at)]
    assert len(at) < 14
    assert gaps == sorted(gaps)


def test_words_for_sockets_that_are_not_there() -> None:
    world = World()
    watch = world.watch("trades-1")
    world.dog.lost("trades-1")
    assert world.dog.state(watch) == FeedState.CONNECTING
    watch.failing = True
    assert world.dog.state(watch) == FeedState.DOWN
    assert channel(world, Channel.TRADES) == FeedState.DOWN
    assert world.run(120) == []  # nobody is silent who is not connected


def test_streams_that_are_no_longer_wanted_are_forgotten() -> None:
    world = World()
    world.dead = {"ethusdt@aggTrade"}
    world.run(15)
    assert world.dog.silent() == ["ethusdt@aggTrade"]
    world.sockets = plan(OFFER, ["BTCUSDT", "XRPUSDT"], [], current=world.sockets)
    for socket in world.sockets:
        world.dog.follow(socket, {}, {})
    assert world.dog.silent() == []
    assert world.run(60) == []


def test_what_waits_unread_is_no_silence() -> None:
    """Whatever it looks like while we are behind; what is silent still is found as soon as we are not."""
    world = World(books=["BTCUSDT", "ETHUSDT"])
    world.run(10)
    behind = list(world.dog.sockets.values())
    for watch in behind:
        watch.behind = True
    world.dead |= {socket.name for socket in world.sockets}
    for watch in behind:
        world.dog.lag(watch, 60_000.0)
    assert world.run(600) == []
    assert world.dog.silent() == []
    for watch in behind:
        watch.behind = False
    world.dead = {"btcusdt@depth@100ms", "btcusdt@depth"}
    found = next(second for second in range(1, 60) if world.second() and world.dog.silent())
    assert found <= 12
    assert world.dog.silent() == [name for name in world.dog.silent() if "btcusdt@depth" in name]
