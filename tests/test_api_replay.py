"""The player over HTTP and the stream, on a real server: what is told is what the engine has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from market_world import Served, World, serve
from tapewatch.api import create_app, schemas
from tapewatch.config import Config, ThresholdsConfig
from tapewatch.hub.wire import Frame, decode
from tapewatch.node.replay import ReplayNode
from tapewatch.node.server import Server, bind
from tapewatch.node.warm import warm_up
from tapewatch.replay import Cursor, Player, Recording, State
from tapewatch.replay.report import state_hash
from written_tape import LIQUIDATIONS, START_MS, TRADES, candles, write_tape

MINUTE = 60_000


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    warm_up()  # a cold compile would be mistaken for a server that does not answer
    return Recording.load([write_tape(tmp_path_factory.mktemp("tape") / "tape.gz")])


@dataclass
class Deck:
    """A served replay."""

    served: Served
    player: Player

    async def tell(self, **command: Any) -> dict[str, Any]:
        """Press a button and wait until it has had its effect."""
        async with self.served.http.post(self.served.url + "/api/replay", json=command) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
        while told["state"] == "seeking":
            _, told = await self.served.get("/api/replay")
        schemas.Replay.model_validate(told)
        return told

    async def footprint(self, symbol: str = "BTCUSDT") -> list[dict[str, Any]]:
        path = f"/api/footprint?symbol={symbol}&tf=1m&step=1&lookback=100"
        rows = (await self.served.get(path))[1]["candles"]
        names = ("open_ts", "bid", "ask", "delta", "cvd", "n", "levels")
        return [{**{name: row.get(name) for name in names}, "n": _prints(row)} for row in rows if row["levels"]]


def _prints(row: dict[str, Any]) -> int:
    return sum(level["n"] for level in row["levels"])


@asynccontextmanager
async def deck(recording: Recording, **options: Any) -> AsyncIterator[Deck]:
    player = Player(recording, **{"playing": False, **options})
    node = ReplayNode(Config(), player)
    listener = bind("127.0.0.1", 0)
    server = Server(create_app(node, hub=node.hub, replay=node), node.config.limits)
    serving, playing = asyncio.create_task(server.serve(sockets=[listener])), asyncio.create_task(node.run())
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        try:
            yield Deck(Served(f"http://127.0.0.1:{listener.getsockname()[1]}", http), player)
        finally:
            playing.cancel()
            server.stop()
            await serving
            listener.close()


def until(ms: int, symbol: str = "BTCUSDT") -> list[dict[str, Any]]:
    """The whole minutes of the written tape that had passed `ms` after its start, by plain arithmetic."""
    return [candle for candle in candles(symbol, MINUTE, "1") if candle["open_ts"] + MINUTE <= START_MS + ms]


async def test_seeking_back_and_forth_serves_the_state_of_that_time(recording: Recording) -> None:
    async with deck(recording) as one:
        assert await one.footprint() == []
        for to_ms in (2 * MINUTE, MINUTE, 5 * MINUTE, MINUTE):
            await one.tell(action="seek", ts=START_MS + to_ms)
            assert await one.footprint() == until(min(to_ms, 3 * MINUTE))
        told = await one.tell(action="seek", ts=START_MS)
        assert await one.footprint() == []
        assert (told["ts"], told["state"], told["epoch"]) == (START_MS, "paused", 3)


async def test_the_hash_of_a_position_does_not_tell_how_it_was_reached(recording: Recording) -> None:
    straight = Cursor(recording, ThresholdsConfig())
    straight.advance(START_MS + MINUTE, 1 << 30)
    async with deck(recording) as one:
        await one.tell(action="speed", speed="max")
        assert (await one.tell(action="play"))["state"] in ("playing", "ended")
        while (await one.served.get("/api/replay"))[1]["state"] != "ended":
            pass
        await one.tell(action="pause")
        told = await one.tell(action="seek", ts=START_MS + MINUTE)
        _, shown = await one.served.get("/api/replay/hash")
        schemas.ReplayHash.model_validate(shown)
        assert (shown["events"], shown["ts"]) == (straight.rows, told["ts"])
        assert shown["state_hash"] == state_hash(straight.stage.engine)


async def test_steps_stop_at_the_next_trade_and_the_next_second(recording: Recording) -> None:
    trades = [ms for ms, *_ in TRADES["ETHUSDT"]]
    async with deck(recording, playing=True, speed=0.5) as one:  # six of our seconds to the first of them
        for ms in trades:
            told = await one.tell(action="step", step="trade", symbol="ETHUSDT")
            assert (told["ts"], told["state"]) == (START_MS + ms, "paused")
        before = one.player.position.rows
        assert (await one.tell(action="step", step="event"))["events"] == before + 1
        at = (await one.tell(action="step", step="second"))["ts"]
        assert (await one.tell(action="step", step="second"))["ts"] == at + 1_000


async def test_a_step_to_big_flow_shows_it_in_the_screener(recording: Recording) -> None:
    async with deck(recording) as one:
        assert (await one.served.get("/api/screener"))[1]["events"] == []
        told = await one.tell(action="step", step="big-flow")
        events = (await one.served.get("/api/screener"))[1]["events"]
        assert {(event["symbol"], event["ts"], event["trades"]) for event in events if event["rule"] == "parent"} == {
            ("BTCUSDT", told["ts"], 1)
        }


async def test_a_paused_replay_stands_still(recording: Recording) -> None:
    async with deck(recording, playing=True) as one:
        told = await one.tell(action="pause")
        health = (await one.served.get("/health"))[1]
        assert (health["mode"], health["status"]) == ("replay", "ok")
        assert (await one.served.get("/api/replay"))[1] == told
        assert one.player.position.state is State.PAUSED


async def test_the_stream_begins_anew_after_a_seek_back(recording: Recording) -> None:
    """A page must not keep candles and rows of what is now the future."""
    async with deck(recording) as one:
        await one.tell(action="seek", ts=START_MS + 5 * MINUTE)
        async with one.served.ws("/ws/stream") as socket:
            asked = {"footprint": {"symbol": "BTCUSDT", "tf": "1m", "step": "1"}, "liquidations": {}, "status": {}}
            for number, (topic, params) in enumerate(asked.items()):
                await socket.send_json({"op": "subscribe", "id": number, "topic": topic, "params": params})
            frames: dict[str, Frame] = {}
            while len(frames) < len(asked):
                await _read(socket, frames)
            assert len(frames["liquidations"].columns["ts_ms"]) == len(LIQUIDATIONS)
            assert frames["status"].header["meta"]["replay"]["state"] == "ended"
            await one.tell(action="seek", ts=START_MS + MINUTE)
            frames.clear()
            while not {"footprint", "liquidations"} <= frames.keys():
                await _read(socket, frames)
            assert {frames[topic].header["type"] for topic in ("footprint", "liquidations")} == {"snapshot"}
            assert len(frames["footprint"].columns["c_open_ms"]) == len(until(MINUTE))
            seen = [ms for ms, *_ in LIQUIDATIONS if ms + 5 <= MINUTE]
            assert frames["liquidations"].columns["ts_ms"].tolist() == [START_MS + ms for ms in seen]


async def _read(socket: Any, frames: dict[str, Frame]) -> None:
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.BINARY:
        frame = decode(message.data)
        frames[frame.header["topic"]] = frame


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ({"action": "jump"}, "action = 'jump' is refused; it must be 'play', 'pause', 'speed', 'seek' or 'step'"),
        ({"action": "speed", "speed": 3}, "this speed is refused; allowed: 0.5, 1, 2, 5, 10, 60, max"),
        ({"action": "speed"}, "speed needs speed; GET /docs says what it may be"),
        ({"action": "seek", "time": 5}, "unknown parameter 'time'"),
        ({"action": "step", "step": "trade", "symbol": "NONEUSDT"}, "unknown symbol 'NONEUSDT' on binance"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(recording: Recording, command: dict[str, Any], sentence: str) -> None:
    async with deck(recording) as one, one.served.http.post(one.served.url + "/api/replay", json=command) as answer:
        told = await answer.json(content_type="application/problem+json")
        assert answer.status in (404, 422)
        assert sentence in told["detail"]
        assert one.player.position.state is State.PAUSED


async def test_a_live_server_has_no_player(tmp_path: Path) -> None:
    async with serve(World(tmp_path)) as served:
        status, told = await served.get("/api/replay")
        assert (status, "tapewatch replay --serve" in told["detail"]) == (404, True)
