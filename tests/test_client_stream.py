"""The client's stream against a real server and a line that loses, cuts and refuses: what is delivered adds up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_socket
from websockets.exceptions import ConnectionClosed

from market_world import T0, Served, World, serve
from tapewatch.client import AccessError, ForeignServerError, Frame, Rows, Steps, Stream, Subscription
from tapewatch.client.stream import LONGEST_RETRY_S, Phase, _pause_s, decode
from waiting import WITHIN_S


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.know_volume(10_000_000)
    world.book([("42500.4", "1.5")], [("42500.6", "0.5")])
    for k in range(30):
        world.trade(k * 400, "42500.5", f"{0.1 * (k % 5 + 1):.3f}", "buy" if k % 3 else "sell")
    return world


async def take(stream: Stream, until: Callable[[Subscription, Frame], bool]) -> list[tuple[Subscription, Frame]]:
    """Deliveries up to the one that is waited for."""
    taken = []
    async with asyncio.timeout(WITHIN_S), aclosing(aiter(stream)) as deliveries:
        async for subscription, frame in deliveries:
            taken.append((subscription, frame))
            if until(subscription, frame):
                return taken
    raise AssertionError("the stream ended")


async def test_frames_add_up_to_what_the_api_tells(world: World) -> None:
    rows = {topic: Rows(topic) for topic in ("flow", "whales", "basis", "funding")}
    steps, moves = Steps(), iter(range(3))
    async with serve(world) as served, Stream(served.url) as stream:
        for topic in rows:
            await stream.subscribe(topic)
        await stream.subscribe("cvd", span="5m")

        def until(subscription: Subscription, frame: Frame) -> bool:
            (steps if subscription.topic == "cvd" else rows[subscription.topic]).apply(frame)
            if not steps.meta or not all(one.head for one in rows.values()):
                return False
            if (k := next(moves, None)) is not None:
                world.trade(13_000 + k * 1_000, "42500.6", "20")
                return False
            # Each at its own pace: the last trade is in all that trades move.
            return len(rows["whales"].rows) == 3 and min(steps.ts_ms[-1], rows["flow"].head["ts"]) >= T0 + 15_000

        taken = await take(stream, until)
        raw = {name: (await served.get(f"/api/{name}"))[1] for name in rows}
        cvd = (await served.get("/api/cvd?span=5m"))[1]
    assert {frame.type for _, frame in taken} == {"snapshot", "delta"}
    for topic, state in rows.items():
        told = {tuple(row[name] for name in ("exchange", "id" if topic == "whales" else "symbol")): row
                for row in raw[topic]["rows"]}  # fmt: skip
        assert json.loads(json.dumps(state.by_name[next(iter(told))], default=float)) == next(iter(told.values())), (
            topic
        )
        assert set(state.by_name) == set(told)
    assert steps.ts_ms.tolist() == cvd["ts"]
    assert steps.cvd(0).tolist() == cvd["series"][0]["cvd"]
    assert stream.phase is Phase.DOWN  # the block is left
    assert abs(stream.clock_offset_ms) <= stream._round_trip_ms / 2 + 1  # both ends have one clock


async def test_what_is_refused_says_why_and_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewatch.client.stream.REFUSED_RETRY_S", 0.05)
    monkeypatch.setattr("tapewatch.client.stream.PING_EVERY_S", 0.02)
    async with serve(world) as served, Stream(served.url) as stream:
        wrong = await stream.subscribe("footprint", symbol="BTCUSDT", step="0.07")
        status = await stream.subscribe("status")

        def until(_: Subscription, __: Frame) -> bool:
            if wrong.refused:
                assert "step 0.07 is not a multiple of the tick size" in wrong.refused
                wrong.params["step"] = "0.5"
            return wrong.frame_at is not None

        taken = await take(stream, until)
    assert taken[-1][0] is wrong
    assert not wrong.refused
    assert wrong.age_s is None  # nothing is known any more: the connection is closed
    assert any(one is status for one, _ in taken)


async def test_subscriptions_come_and_go_while_it_runs(world: World) -> None:
    async with serve(world) as served, Stream(served.url) as stream:
        first = await stream.subscribe("status")
        later: Subscription | None = None
        taken: list[str] = []
        async with asyncio.timeout(WITHIN_S), aclosing(aiter(stream)) as deliveries:
            async for subscription, _ in deliveries:
                taken.append(subscription.topic)
                if taken == ["status"]:
                    later = await stream.subscribe("whales")
                    await stream.unsubscribe(first)
                if subscription is later:
                    break
    assert taken[-1] == "whales"


# -- a bad line -------------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """A relay between client and server that can lose frames and cut itself."""

    upstream: str
    url: str = ""
    lose: Callable[[bytes], bool] = lambda _: False
    """Frames that vanish."""
    lost: int = 0
    garble: bool = False
    connections: set[ServerConnection] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def relay(self, client: ServerConnection) -> None:
        self.connections.add(client)
        try:
            async with connect(self.upstream, compression=None) as server, asyncio.TaskGroup() as both:
                both.create_task(self._up(client, server))
                both.create_task(self._down(client, server))
        except* ConnectionClosed:
            pass
        finally:
            self.connections.discard(client)

    async def _up(self, client: ServerConnection, server: Any) -> None:
        async for message in client:
            self.asked.append(json.loads(message))
            await server.send(message)
        raise ConnectionClosed(None, None)

    async def _down(self, client: ServerConnection, server: Any) -> None:
        async for message in server:
            if isinstance(message, bytes) and self.lose(message):
                self.lost += 1
            elif isinstance(message, bytes) and self.garble:
                self.garble = False
                await client.send(message[:20])
            else:
                await client.send(message)

    def cut(self) -> None:
        for one in self.connections:
            one.transport.abort()


@asynccontextmanager
async def bad_line(served: Served) -> AsyncIterator[Line]:
    line = Line(f"ws{served.url.removeprefix('http')}/ws/stream")
    async with serve_socket(line.relay, "127.0.0.1", 0, compression=None) as server:
        line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield line


async def test_after_a_lost_delta_nothing_comes_but_a_snapshot(world: World) -> None:
    async with serve(world) as served, bad_line(served) as line, Stream(line.url) as stream:
        flow = await stream.subscribe("status")
        deltas = 0

        def losing(message: bytes) -> bool:
            nonlocal deltas
            deltas += decode(message)[1].type == "delta"
            return deltas == 2 and line.lost == 0

        line.lose = losing
        taken = await take(stream, lambda one, frame: one.resyncs == 1 and frame.type == "snapshot")
    assert (line.lost, flow.resyncs) == (1, 1)
    assert [frame.type for _, frame in taken] == ["snapshot", "delta", "snapshot"]
    assert [one["op"] for one in line.asked if one["op"] != "ping"] == ["subscribe", "unsubscribe", "subscribe"]


@pytest.mark.parametrize("how", ["cut", "garbled"])
async def test_a_lost_connection_comes_back_with_all_subscriptions(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch.client.stream.FIRST_RETRY_S", 0.02)
    async with serve(world) as served, bad_line(served) as line, Stream(line.url) as stream:
        subscriptions = [await stream.subscribe("status"), await stream.subscribe("flow")]
        fresh, broken = set[str](), list[str]()

        def until(subscription: Subscription, _: Frame) -> bool:
            if stream.reconnects:
                fresh.add(subscription.topic)
                return fresh == {"status", "flow"}
            if all(one.frame_at for one in subscriptions) and not broken:
                broken.append(how)
                line.garble = how == "garbled"
                if how == "cut":
                    line.cut()
            return False

        taken = await take(stream, until)
    assert stream.reconnects == 1
    again = next(k for k, (one, frame) in enumerate(taken) if k > 1 and frame.type == "snapshot")
    assert {frame.type for _, frame in taken[again : again + 2]} <= {"snapshot", "delta"}
    assert [one["topic"] for one in line.asked if one["op"] == "subscribe"] == ["status", "flow"] * 2


class Watched(Stream):
    """Says when it has begun to wait for the next attempt."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.waiting = asyncio.Event()

    async def _wait(self, reason: str) -> None:
        asyncio.get_running_loop().call_soon(self.waiting.set)
        await super()._wait(reason)


@asynccontextmanager
async def waiting(url: str) -> AsyncIterator[Stream]:
    """A stream that has just lost its connection, or never had one."""
    async with Watched(url) as stream:
        await stream.subscribe("status")
        reading = asyncio.create_task(take(stream, lambda *_: True))
        async with asyncio.timeout(WITHIN_S):
            await stream.waiting.wait()
        yield stream
        reading.cancel()
        await asyncio.wait([reading])


async def test_a_silent_line_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SILENCE_S", 0.2), ("PING_EVERY_S", 0.05)):
        monkeypatch.setattr(f"tapewatch.client.stream.{name}", value)

    async def mute(client: ServerConnection) -> None:
        await client.wait_closed()

    async with (
        serve_socket(mute, "127.0.0.1", 0) as server,
        waiting(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as stream,
    ):
        assert (stream.phase, stream.reconnects) == (Phase.DOWN, 1)
        assert stream.detail == "the server has been silent for 0 s"


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    async with waiting("http://127.0.0.1:9") as stream:
        assert stream.phase is Phase.DOWN
        assert stream.detail == "no tapewatch server answers at http://127.0.0.1:9"
        assert stream.retry_at > 0


async def test_no_access_is_raised_with_the_servers_sentence(world: World) -> None:
    async with serve(world, token="secret") as served:  # noqa: S106
        async with Stream(served.url, "wrong") as stream:
            with pytest.raises(AccessError, match="the access token is missing or wrong"):
                await take(stream, lambda *_: True)
        async with Stream(served.url, "secret") as stream:
            await stream.subscribe("status")
            assert await take(stream, lambda *_: True)


def test_frames_that_are_none_are_refused() -> None:
    for wrong in (b"", b"abc", b"\xff\xff\xff\xff{}", b"\x02\x00\x00\x00[]", b"\x02\x00\x00\x00{}"):
        with pytest.raises(ForeignServerError):
            decode(wrong)


def test_the_oldest_whales_leave_beyond_the_limit() -> None:
    state = Rows("whales")
    rows = [{"exchange": "a", "id": k, "ts": k // 2} for k in range(5)]
    state.apply(Frame("snapshot", 1, None, 0, {"rows": rows[:3], "limit": 3, "flow": []}, {}))
    state.apply(Frame("delta", 2, 1, 0, {"rows": [*rows[3:], rows[1] | {"grown": True}], "limit": 3, "flow": []}, {}))
    assert [row["id"] for row in state.rows] == [4, 3, 2]
    assert state.head == {"limit": 3, "flow": []}


def test_unknown_steps_are_not_zero() -> None:
    steps = Steps()
    meta = {"markets": [{}], "first_ts": 1_000}
    columns = {"ts_ms": np.array([1e3, 2e3, 3e3]), "price_0": np.ones(3), "net_0": np.array([np.nan, 2.0, -1.0])}
    steps.apply(Frame("snapshot", 1, None, 0, meta, columns))
    np.testing.assert_array_equal(steps.cvd(0), [np.nan, 2.0, 1.0])


def test_a_server_that_is_away_for_days_is_tried_again_for_days() -> None:
    assert 0.25 <= _pause_s(1) <= 0.5
    assert LONGEST_RETRY_S / 2 <= _pause_s(20_000) <= LONGEST_RETRY_S


@pytest.mark.parametrize("said", ["{}", '{"op": "pong"}', '{"op": "pong", "t": "x", "server_ms": 1}'])
async def test_answers_that_are_none_are_a_lost_connection(said: str) -> None:
    async def foreign(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(said)
        await socket.wait_closed()

    async with serve_socket(foreign, "127.0.0.1", 0) as server:
        stream = Stream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        reading = asyncio.create_task(take(stream, lambda *_: False))
        while not stream.reconnects:  # noqa: ASYNC110  (a condition of state that nobody announces)
            await asyncio.sleep(0.01)
        assert stream.detail.startswith("an answer of the stream cannot be read")
        reading.cancel()
        await asyncio.wait([reading])
