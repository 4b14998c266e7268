"""A planned websocket that is kept alive: reconnects, rotation with overlap, changes of plan."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_peer import Peer, Server, data, serving
from tapewatch.feed import socket as module
from tapewatch.feed.backoff import Backoff
from tapewatch.feed.binance_usdm import DIALECT, agg_trade, canary
from tapewatch.feed.gate import Gate
from tapewatch.feed.plan import SocketPlan, Stream
from tapewatch.feed.socket import Socket, _drop
from tapewatch.feed.taps import LiquidationsOnce
from tapewatch.feed.watchdog import Watchdog
from tapewatch.model.views import FeedState
from waiting import WITHIN_S, until

WIRE = DIALECT.wire
PLAN = SocketPlan("trades-1", "market", (agg_trade("AUSDT"), agg_trade("BUSDT"), canary("BTCUSDT")))
A, B, BEAT = (stream.name for stream in PLAN.streams)


@settings(deadline=None)
@given(st.floats(0.01, 10), st.floats(10, 100), st.integers(0, 2**32), st.integers(1, 2000))
def test_back_off_grows_jittered_to_its_limit_and_starts_over_after_reset(
    first: float, longest: float, seed: int, attempts: int
) -> None:
    backoff = Backoff(first, longest, Random(seed))
    for attempt in range(attempts):
        whole = min(longest, first * 2.0 ** min(attempt, 40))
        assert whole / 2 <= backoff.next_s() <= whole
    backoff.reset()
    assert first / 2 <= backoff.next_s() <= first


class Keeper:
    """Everything around one Socket: what it delivered and what it said."""

    def __init__(self, server: Server, *, lifetime_s: float = 3600.0) -> None:
        self.messages: list[bytes] = []
        self.confirmed: list[str] = []
        self.lost = 0
        self.now_ms = 1_791_391_082_024
        self.dog = Watchdog(WIRE.heading)
        self.wall = 0.0
        self.watch = self.dog.follow(PLAN, {}, {})
        self.socket = Socket(
            PLAN,
            server.url + "/market/stream",
            WIRE,
            self.watch,
            self.dog,
            self,
            random=Random(7),
            gate=Gate(4),
            lifetime_s=lifetime_s,
        )

    def on_read(self, buffer: bytearray, ends: array[int], recv_ns: int) -> None:
        assert recv_ns > 0
        starts = [0, *ends[:-1]]
        self.messages += [bytes(buffer[a:b]) for a, b in zip(starts, ends, strict=True)]

    def on_confirmed(self, streams: Sequence[Stream]) -> None:
        self.confirmed += [stream.name for stream in streams]

    def on_lost(self, socket: Socket) -> None:
        assert socket is self.socket
        self.lost += 1

    def venue_ms(self) -> int:
        return self.now_ms

    def second(self) -> None:
        self.wall += 1.0
        self.dog.tick(self.wall)
        self.socket.tick(1.0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(self.socket.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def obedient(peer: Peer) -> None:
    """Acknowledge every command and send one message for every stream."""
    while True:
        command = await peer.acknowledge()
        if command["method"] == "SUBSCRIBE":
            peer.send(*(data(name) for name in command["params"]))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of patience become hundredths; their proportions stay."""
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_RETRY_S", 0.3)
    monkeypatch.setattr(module, "ROTATE_AGAIN_S", 0.05)


async def test_a_cut_is_told_and_every_subscription_restored() -> None:
    async with serving(obedient) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: keeper.confirmed == [A, B, BEAT])
            assert server.peers[0].path == "/market/stream"
            server.peers[0].cut()
            await until(lambda: len(keeper.confirmed) == 6)
            assert keeper.lost == keeper.socket.reconnects == 1
            assert keeper.confirmed[3:] == [A, B, BEAT]
            assert "1006" in keeper.socket.status().detail


async def test_only_data_makes_the_next_failure_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that acknowledges and cuts is met ever later; one that delivers is met at once again."""

    async def cutting(peer: Peer) -> None:
        await peer.acknowledge()
        peer.cut()

    async with serving(cutting) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: keeper.socket.reconnects == 4)
            assert keeper.socket._backoff.attempts >= 3
            server.script = obedient
            await until(lambda: len(keeper.confirmed) == 15)
            attempts = keeper.socket._backoff.attempts
            keeper.second()
            assert keeper.socket._backoff.attempts == attempts  # one message proves nothing yet
            monkeypatch.setattr(module, "STEADY_S", 0.0)
            server.peers[-1].send(data(A, 2))
            await until(lambda: data(A, 2) in keeper.messages)
            keeper.second()
            assert keeper.socket._backoff.attempts == 0
            assert keeper.socket.status().detail == ""


async def test_a_venue_that_is_down_is_one_line_in_the_log_and_found_when_it_returns(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "STEADY_S", 0.0)
    async with serving(obedient) as server:
        await server.stop()
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: keeper.socket._backoff.attempts >= 4)
            assert keeper.dog.state(keeper.watch) == FeedState.DOWN
            assert "refuses the connection" in keeper.socket.status().detail
            await server.start()
            await until(lambda: keeper.confirmed)
            keeper.second()
            assert keeper.dog.state(keeper.watch) == FeedState.LIVE
    ours = [record.getMessage().split()[0] for record in caplog.records if record.name == module.__name__]
    assert ours == ["socket_down", "socket_back"]
    assert keeper.lost == 0


async def test_rotation_overlaps_until_the_new_connection_delivers_everything() -> None:
    slow = asyncio.Event()

    async def script(peer: Peer) -> None:
        command = await peer.acknowledge()
        if peer is not server.peers[0]:
            keeper.socket._lifetime_s = 3600.0  # of this one, which has just come
            peer.send(data(A, 100))
            await slow.wait()
        n = 0
        while True:
            n += 1
            peer.send(*(data(name, n) for name in command["params"]))
            await asyncio.sleep(0.01)

    async with serving(script) as server:
        keeper = Keeper(server, lifetime_s=0.1)
        async with keeper.running():
            await until(lambda: data(A, 100) in keeper.messages)
            for _ in range(10):
                keeper.second()
                await asyncio.sleep(0.01)
            assert not server.peers[0].gone.is_set()  # B has not come on the new one
            slow.set()
            count = len(keeper.messages)
            await until(lambda: len(keeper.messages) > count + 20)
            keeper.second()
            await until(server.peers[0].gone.is_set)
            assert server.peers[0].closed_with == 1000
            await until(lambda: keeper.socket.rotations == 1)
            assert len(server.peers) == 2
            count = len(keeper.messages)
            await until(lambda: len(keeper.messages) > count + 5)
        assert keeper.lost == keeper.socket.reconnects == 0


async def test_what_a_new_connection_brings_first_waits_for_older_messages_of_the_old_one() -> None:
    async with serving(obedient) as server:
        keeper = Keeper(server, lifetime_s=0.1)
        async with keeper.running():
            await until(lambda: len(server.peers) == 2 and keeper.messages.count(data(A)) == 2)
            keeper.socket._lifetime_s = 3600.0
            keeper.messages.clear()
            server.peers[1].send(data(A, 12))  # read first
            server.peers[0].send(*(data(A, n) for n in (10, 11, 12)))
            await until(lambda: len(keeper.messages) == 4)
            assert keeper.messages == [data(A, n) for n in (10, 11, 12, 12)]


async def test_a_rotation_that_fails_keeps_the_old_connection() -> None:
    async def script(peer: Peer) -> None:
        if peer is not server.peers[0]:
            peer.cut()
        await obedient(peer)

    async with serving(script) as server:
        keeper = Keeper(server, lifetime_s=0.05)
        async with keeper.running():
            await until(lambda: len(server.peers) >= 4)
            server.peers[0].send(data(A, 9))
            await until(lambda: data(A, 9) in keeper.messages)
        assert keeper.lost == keeper.socket.reconnects == keeper.socket.rotations == 0


async def test_the_24_hour_cut_in_the_middle_of_an_overlap_is_no_loss() -> None:
    async def script(peer: Peer) -> None:
        if peer is not server.peers[0]:
            keeper.socket._lifetime_s = 3600.0
            server.peers[0].cut()
        await obedient(peer)

    async with serving(script) as server:
        keeper = Keeper(server, lifetime_s=0.05)
        async with keeper.running():
            await until(lambda: keeper.socket.rotations == 1)
            server.peers[1].send(data(A, 9))
            await until(lambda: data(A, 9) in keeper.messages)
        assert keeper.lost == 0


async def test_a_change_of_plan_touches_only_what_changes() -> None:
    async with serving(obedient) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: len(keeper.confirmed) == 3)
            plan = SocketPlan(PLAN.name, "market", (PLAN.streams[0], agg_trade("CUSDT"), PLAN.streams[2]))
            keeper.dog.follow(plan, {}, {})
            keeper.socket.follow(plan)
            await until(lambda: len(keeper.confirmed) == 4)
            assert keeper.confirmed[3] == "cusdt@aggTrade"
            await until(lambda: data("cusdt@aggTrade") in keeper.messages)
            server.peers[0].send(data(B, 7))  # a straggler of what was given up
            await until(lambda: data(B, 7) in keeper.messages)
            assert keeper.socket.strangers == 1
            server.peers[0].cut()
            await until(lambda: len(keeper.confirmed) == 7)
            assert set(keeper.confirmed[4:]) == {A, "cusdt@aggTrade", BEAT}


async def test_acknowledged_and_silent_is_found_named_and_mended() -> None:
    """Route and name are accepted, nothing ever comes: only counting says so."""
    deaf_to = {B, BEAT}

    async def script(peer: Peer) -> None:
        while True:
            command = await peer.acknowledge()
            if command["method"] == "SUBSCRIBE":
                peer.send(*(data(name) for name in command["params"] if name not in deaf_to))

    async with serving(script) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: len(keeper.confirmed) == 3)
            remedies = []
            for n in range(12):
                server.peers[0].send(data(A, n))
                await until(lambda n=n: data(A, n) in keeper.messages)  # type: ignore[misc]
                keeper.wall += 1.0
                remedies += keeper.dog.tick(keeper.wall)
                keeper.dog.trade_ids([("BUSDT", n)])
            assert keeper.dog.silent() == sorted([B, BEAT])
            names = [stream.name for remedy in remedies for stream in remedy.streams]
            assert sorted(names) == sorted([B, BEAT])
            deaf_to.clear()
            for remedy in remedies:
                keeper.socket.subscribe_again(remedy.streams)
            await until(lambda: data(B) in keeper.messages and data(BEAT) in keeper.messages)
            keeper.second()
            assert keeper.dog.silent() == []


async def test_a_command_nobody_answers_costs_the_connection() -> None:
    async def mute(peer: Peer) -> None:
        await peer.gone.wait()

    async with serving(mute) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: server.peers and server.peers[0].commands.qsize() == 1)
            for _ in range(module.ANSWER_TICKS):
                keeper.second()
            await until(lambda: server.peers[0].commands.qsize() == 2)
            for _ in range(module.ANSWER_TICKS):
                keeper.second()
            await until(lambda: keeper.lost == 1)
            assert "no answer to SUBSCRIBE" in keeper.socket.status().detail


async def test_who_has_no_commands_left_moves_to_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """OKX takes 480 commands an hour and refuses the rest: a book that breaks again and again must not end there."""
    monkeypatch.setattr(WIRE, "commands_per_hour", 3)
    async with serving(obedient) as server:
        keeper = Keeper(server)
        async with keeper.running():
            await until(lambda: len(keeper.confirmed) == 3)
            keeper.socket.subscribe_again(PLAN.streams[:1])
            await until(lambda: len(keeper.confirmed) == 4)
            keeper.socket.subscribe_again(PLAN.streams[:1])
            await until(lambda: [keeper.messages.count(data(name)) for name in (A, B, BEAT)] == [3, 2, 2])
            for _ in range(4):
                keeper.second()
            await until(lambda: keeper.socket.rotations == 1)
            assert keeper.lost == 0
            assert A in keeper.confirmed[4:], "who waits for the acknowledgement would never ask for this book again"


async def test_connections_begin_no_faster_than_the_venue_allows() -> None:
    gate, loop, begun = Gate(4, every_s=0.05), asyncio.get_running_loop(), list[float]()

    async def connect() -> None:
        async with gate:
            begun.append(loop.time())

    await asyncio.gather(*(connect() for _ in range(4)))
    assert all(after - before >= 0.049 for before, after in pairwise(sorted(begun)))


async def test_names_in_any_spelling_and_key_order_are_counted() -> None:
    plan = SocketPlan("trades-1", "market", (agg_trade("币安人生USDT"),))

    async def script(peer: Peer) -> None:
        await peer.acknowledge()
        peer.send(data(plan.streams[0].name))
        peer.send(b'{"stream":"\\u5e01\\u5b89\\u4eba\\u751fusdt@aggTrade","data":{"E":1791391082024}}')
        peer.send('{"data":{"E":1791391082024}, "stream": "币安人生usdt@aggTrade"}'.encode())
        peer.send(b'{"stream":"\\udead@x","data":{}}', b'{"stream":"', b"\xff\xfe", b'{"stream":"x\\')
        peer.send(b'{"stream":"\\u0040\xff","data":{}}', b'{"id":1,"msg":"\xff"}', b'{"x":' + b"[" * 10_000)
        await peer.gone.wait()

    async with serving(script) as server:
        keeper = Keeper(server)
        keeper.socket.plan = plan
        keeper.dog.follow(plan, {}, {})
        async with keeper.running():
            await until(lambda: len(keeper.messages) == 11)
            assert keeper.watch.lag_ms is None  # nobody has asked for a sample
            keeper.dog.tick(1.0)
            assert keeper.watch.tracks[plan.streams[0].name.encode()].frames == 3
            keeper.now_ms += 250
            server.peers[0].send(data(plan.streams[0].name))
            await until(lambda: len(keeper.messages) == 12)
            assert keeper.watch.lag_ms == 250.0


async def test_a_defect_of_ours_is_not_survived() -> None:
    async with serving(obedient) as server:
        keeper = Keeper(server)

        def broken(buffer: bytearray, ends: array[int], recv_ns: int) -> None:
            raise ZeroDivisionError

        keeper.on_read = broken  # type: ignore[method-assign]
        async with keeper.running() as task:
            await asyncio.wait([task], timeout=WITHIN_S)
            assert task.done()
            with pytest.raises(ZeroDivisionError):
                await task


def test_dropped_messages_leave_the_others_in_place() -> None:
    messages = [b"aa", b"b", b"cccc", b"dd", b"e"]
    for dropped in ([0], [4], [1, 2], [0, 2, 4], [0, 1, 2, 3, 4]):
        buffer = bytearray(b"".join(messages))
        ends = array("q", [2, 3, 7, 9, 10])
        _drop(buffer, ends, dropped)
        starts = [0, *ends[:-1]]
        left = [bytes(buffer[a:b]) for a, b in zip(starts, ends, strict=True)] if ends else []
        assert left == [message for k, message in enumerate(messages) if k not in dropped]


def test_each_liquidation_passes_once_whatever_its_push_time() -> None:
    once = LiquidationsOnce(b'"o":{')
    frame = b'{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":%d,"o":{"s":"BTCUSDT","z":"0.190","T":%d}}}'
    assert once(frame % (1005, 1))
    assert not once(frame % (1009, 1))
    assert once(frame % (1009, 2))
    assert once.dropped == 1
