"""The websockets over a real server: shapes, the closing candle, refusals, slow clients, the stream's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from market_world import T0, Served, World, serve
from tapewatch.api import sockets, transport
from tapewatch.config import Config
from tapewatch.hub.wire import Frame, decode
from tapewatch.node import server as node_server
from waiting import WITHIN_S

BEAT_SLACK_MS = 100
"""Between the clock of the beats and the one whose time is told, and what building a first message takes."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


async def receive_text(ws: Any) -> str:
    message = await ws.receive(timeout=WITHIN_S)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return str(message.data)


async def closed(ws: Any) -> tuple[int, str]:
    message = await ws.receive(timeout=WITHIN_S)
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data, message.extra


# -- /ws/orderflow --------------------------------------------------------------------------------------------------


async def test_orderflow_snapshot_is_the_contracts_shape_to_the_letter(world: World) -> None:
    world.trade(0, "42500.5", "8.3")
    world.trade(10, "42500.9", "2.1", "sell")
    world.trade(20, "42501.0", "1", "sell")
    async with serve(world) as served, served.ws("/ws/orderflow?exchange=binance&symbol=BTCUSDT&tf=1m&step=0.5") as ws:
        text = await receive_text(ws)
    snapshot = json.loads(text)
    assert list(snapshot) == ["type", "exchange", "symbol", "tf_ms", "step", "server_ts", "candles"]
    assert (snapshot["type"], snapshot["exchange"], snapshot["symbol"]) == ("snapshot", "binance", "BTCUSDT")
    assert (snapshot["tf_ms"], snapshot["step"]) == (60_000, 0.5)
    assert isinstance(snapshot["server_ts"], int)
    assert text.endswith(
        f'"candles":[{{"open_ts":{T0},"bid":3.100,"ask":8.300,"delta":5.200,"cvd":5.200,"levels":['
        '{"p":42501.0,"bid":1.000,"ask":0.000,"n":1},{"p":42500.5,"bid":2.100,"ask":8.300,"n":2}]}]}'
    )


async def test_orderflow_without_parameters_is_bitcoin_by_the_minute(world: World) -> None:
    for minute in range(40):
        world.trade(minute * 60_000, "42500.5", "1")
    async with serve(world) as served, served.ws("/ws/orderflow") as ws:
        snapshot = json.loads(await receive_text(ws))
    assert (snapshot["symbol"], snapshot["tf_ms"], snapshot["step"]) == ("BTCUSDT", 60_000, 0.5)
    assert len(snapshot["candles"]) == 30
    assert snapshot["candles"][-1]["open_ts"] == T0 + 39 * 60_000
    assert snapshot["candles"][0]["cvd"] == 11  # all data of the day, not only what is shown


async def test_a_candle_that_closes_is_sent_once_more_before_the_next_and_empty_ones_between(world: World) -> None:
    world.trade(0, "42500.5", "1")
    async with serve(world) as served, served.ws("/ws/orderflow?emit_ms=50") as ws:
        snapshot = json.loads(await receive_text(ws))
        assert [candle["ask"] for candle in snapshot["candles"]] == [1]
        world.trade(1_000, "42500.5", "2")
        delta = json.loads(await receive_text(ws))
        assert list(delta) == ["type", "exchange", "symbol", "tf_ms", "step", "server_ts", "final", "candle"]
        assert (delta["type"], delta["final"], delta["candle"]["ask"]) == ("delta", False, 3)
        # Both within one emission: the last trade of the old candle and the first of a later one.
        world.trade(59_999, "42500.5", "0.5", "sell")
        world.trade(180_000, "42501.5", "0.25")
        got = [json.loads(await receive_text(ws)) for _ in range(4)]
    assert [(d["candle"]["open_ts"] - T0, d["final"]) for d in got] == [
        (0, True),
        (60_000, True),
        (120_000, True),
        (180_000, False),
    ]
    assert [(d["candle"]["bid"], d["candle"]["ask"], d["candle"]["cvd"]) for d in got] == [
        (0.5, 3, 2.5),
        (0, 0, 2.5),
        (0, 0, 2.5),
        (0, 0.25, 2.75),
    ]
    assert got[1]["candle"]["levels"] == []
    assert got[3]["candle"]["levels"] == [{"p": 42501.5, "bid": 0, "ask": 0.25, "n": 1}]


async def test_an_unchanged_candle_is_still_sent_final_when_it_closes(world: World) -> None:
    world.trade(0, "42500.5", "1")
    async with serve(world) as served, served.ws("/ws/orderflow?emit_ms=50") as ws:
        await receive_text(ws)
        world.trade(60_000, "42500.5", "2")
        final, current = [json.loads(await receive_text(ws)) for _ in range(2)]
    assert (final["final"], final["candle"]["open_ts"], final["candle"]["ask"]) == (True, T0, 1)
    assert (current["final"], current["candle"]["open_ts"]) == (False, T0 + 60_000)


async def test_cvd_begins_anew_at_midnight_utc(world: World) -> None:
    midnight = -T0 % 86_400_000
    world.trade(midnight - 60_000, "42500.5", "5")
    world.trade(midnight, "42500.5", "1", "sell")
    async with serve(world) as served, served.ws("/ws/orderflow") as ws:
        snapshot = json.loads(await receive_text(ws))
    assert [candle["cvd"] for candle in snapshot["candles"]] == [5, -1]


async def test_a_filled_gap_in_an_older_candle_brings_a_new_snapshot(world: World) -> None:
    world.trade(0, "42500.5", "1")
    world.lose_trades(1)
    world.trade(60_000, "42500.5", "1")
    async with serve(world) as served, served.ws("/ws/orderflow?emit_ms=50") as ws:
        await receive_text(ws)
        world.fill_hole(30_000, "42500.6", "0.25", number=2)
        again = json.loads(await receive_text(ws))
    assert again["type"] == "snapshot"
    assert [candle["ask"] for candle in again["candles"]] == [1.25, 1]
    assert [candle["cvd"] for candle in again["candles"]] == [1.25, 2.25]


async def test_a_symbol_that_has_not_traded_starts_with_no_candles(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/orderflow?symbol=ETHUSDT&emit_ms=50") as ws:
        assert json.loads(await receive_text(ws))["candles"] == []
        world.trade(0, "2500.25", "1", symbol="ETHUSDT")
        assert len(json.loads(await receive_text(ws))["candles"]) == 1


async def test_deltas_and_a_late_snapshot_agree_to_the_digit(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/orderflow?emit_ms=50&step=0.1") as ws:
        held = {candle["open_ts"]: candle for candle in exact(await receive_text(ws))["candles"]}
        for k in range(60):
            price = 425_000 + k * 7 % 40
            world.trade(k * 5_000, f"{price / 10}", f"0.{1 + k:03}", ("buy", "sell")[k % 2])
            if k % 20 == 19:
                while True:
                    message = exact(await receive_text(ws))
                    candles = [message["candle"]] if message["type"] == "delta" else message["candles"]
                    held |= {candle["open_ts"]: candle for candle in candles}
                    if candles[-1]["levels"] and sum(c["levels"] != [] for c in held.values()) > k * 5_000 // 60_000:
                        break
        async with served.ws("/ws/orderflow?step=0.1") as late:
            whole = exact(await receive_text(late))
    assert list(held.values()) == whole["candles"]


@pytest.mark.parametrize(("step", "told"), [("x7", 0.7), ("auto", 1.0)])
async def test_a_bin_may_be_asked_for_without_knowing_the_tick(world: World, step: str, told: float) -> None:
    """A footprint of 42,500 in ticks of 0.1: a 65,000th of the price is 6.5 ticks, the next of 1, 2, 5 is 10."""
    world.trade(0, "42500.7", "1")
    async with serve(world) as served, served.ws(f"/ws/orderflow?step={step}") as ws:
        assert json.loads(await receive_text(ws))["step"] == told


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("symbol=NOPE", "unknown symbol 'NOPE' on binance"),
        ("symbol=", "unknown symbol '' on binance"),
        ("exchange=okx", "unknown exchange 'okx'; running here: binance"),
        ("tf=2m", "tf = '2m' is refused; allowed: 1s, 1m, 5m, 15m, 1h, 4h, 1d"),
        ("step=0.07", "step 0.07 is not a multiple of the tick size 0.1 of BTCUSDT; use a multiple such as 0.1, 0.2,"),
        ("step=x", "step 'x' is not a plain decimal number such as 0.1"),
        ("step=0", "step 0 is not a multiple of the tick size 0.1 of BTCUSDT"),
        ("lookback=0", "lookback = '0' is refused; allowed: a whole number from 1 to 1_440"),
        ("lookback=99999", "lookback = '99999' is refused; allowed: a whole number from 1 to 1_440"),
        ("emit_ms=5", "emit_ms = '5' is refused; allowed: a whole number from 50 to 60_000"),
        ("emit_ms=60001", "emit_ms = '60001' is refused; allowed: a whole number from 50 to 60_000"),
        ("timeframe=1m", "unknown parameter 'timeframe'; allowed: exchange, symbol, tf, step, lookback, emit_ms"),
        (f"symbol={'Ж' * 60}", "unknown symbol"),
    ],
)
async def test_a_wrong_parameter_closes_with_1008_and_a_sentence(world: World, query: str, sentence: str) -> None:
    async with serve(world) as served, served.ws(f"/ws/orderflow?{query}") as ws:
        code, reason = await closed(ws)
    assert code == 1008
    assert reason.startswith(sentence)
    assert len(reason.encode()) <= 123


async def test_before_the_instruments_are_known_the_socket_says_try_again(tmp_path: Path) -> None:
    async with serve(World(tmp_path, instruments=[])) as served, served.ws("/ws/orderflow") as ws:
        assert await closed(ws) == (1013, "the instruments of binance are not loaded yet; try again in a few seconds")


# -- /ws/{symbol} ---------------------------------------------------------------------------------------------------


async def test_top_of_book_once_a_second_with_the_ofi_of_that_second(world: World) -> None:
    world.book([("42500.4", "1.5"), ("42500.3", "2")], [("42500.6", "0.5"), ("42500.7", "3")])
    async with serve(world) as served, served.ws("/ws/BTCUSDT") as ws:
        first = await receive_text(ws)
        world.diff([], [])
        world.diff([("42500.4", "2.5")], [])  # +1 bid
        world.diff([], [("42500.6", "0.25")])  # -0.25 ask
        later = [json.loads(await receive_text(ws))]
        while not later[-1]["ofi"]:  # on a busy machine seconds pass before the client has read the first
            later.append(json.loads(await receive_text(ws)))
        second = later[-1]
        third = json.loads(await receive_text(ws))
    assert '"mid_price":42500.50,"spread":0.2,' in first
    assert '"bid_levels":[[42500.4,1.500],[42500.3,2.000]],"ask_levels":[[42500.6,0.500],[42500.7,3.000]]' in first
    content = json.loads(first)
    assert content["imbalance"] == 0
    assert content["microprice"] == pytest.approx((42500.6 * 1.5 + 42500.4 * 0.5) / 2)
    assert (content["ofi"], content["in_sync"], content["reason"]) == (0, True, None)
    assert content["ts"] == T0 + 100
    assert second["ofi"] == 1.25
    assert second["imbalance"] == pytest.approx((4.5 - 3.25) / 7.75)
    assert third["ofi"] == 0
    # On the beat of whole seconds: one may come late and the next in time, but none too early.
    assert third["server_ts"] - content["server_ts"] >= 1_000 * (len(later) + 1) - BEAT_SLACK_MS


async def test_top_of_book_shows_ten_levels_and_no_stale_price(world: World) -> None:
    bids = [(f"{42500 - k}.0", "1") for k in range(15)]
    asks = [(f"{42501 + k}.0", "1") for k in range(15)]
    world.book(bids, asks)
    async with serve(world) as served, served.ws("/ws/btcusdt") as ws:
        content = json.loads(await receive_text(ws))
        assert len(content["bid_levels"]) == len(content["ask_levels"]) == 10
        world.diff([("42500.0", "9")], [], gap=3)
        content = json.loads(await receive_text(ws))
    figures = ("mid_price", "spread", "imbalance", "ofi", "microprice")
    assert [content[name] for name in figures] == [None] * 5
    assert (content["bid_levels"], content["ask_levels"], content["in_sync"]) == ([], [], False)
    assert content["reason"] == "the book is being resynchronised"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/ws/NOPE", "unknown symbol 'NOPE' on binance"),
        ("/ws/BTCUSDT?exchange=okx", "unknown exchange 'okx'; running here: binance"),
        ("/ws/BTCUSDT?depth=5", "unknown parameter 'depth'; allowed: exchange"),
    ],
)
async def test_top_of_book_refuses_what_it_does_not_know(world: World, path: str, sentence: str) -> None:
    async with serve(world) as served, served.ws(path) as ws:
        assert await closed(ws) == (1008, sentence)


async def test_a_symbol_that_is_not_ascii(world: World) -> None:
    world.book([("0.00122", "5")], [("0.00124", "7")], "币安人生USDT")
    async with serve(world) as served, served.ws("/ws/币安人生USDT") as ws:
        text = await receive_text(ws)
    assert '"mid_price":0.001230,"spread":0.00002,' in text
    assert json.loads(text)["symbol"] == "币安人生USDT"


# -- /ws/stream -----------------------------------------------------------------------------------------------------


async def subscribe(ws: Any, number: int, topic: str, **params: Any) -> str:
    """Subscribe; returns the key."""
    await ws.send_json({"op": "subscribe", "id": number, "topic": topic, "params": params})
    answer = json.loads(await receive_text(ws))
    assert answer["op"] == "subscribed", answer
    assert answer["id"] == number
    return str(answer["key"])


async def frame(ws: Any) -> Frame:
    message = await ws.receive(timeout=WITHIN_S)
    assert message.type is aiohttp.WSMsgType.BINARY, message
    return decode(message.data)


async def test_stream_answers_then_snapshot_then_deltas_in_sequence(world: World) -> None:
    world.trade(0, "42500.5", "1")
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        key = await subscribe(ws, 7, "footprint", symbol="BTCUSDT", tf="1m", step="0.5", lookback=60)
        assert key == "footprint:binance:BTCUSDT:1m:0.5:60"
        first = await frame(ws)
        assert (first.header["type"], first.header["key"], first.columns["c_ask"].tolist()) == ("snapshot", key, [1000])
        seq = first.header["seq"]
        for k in range(3):
            world.trade(100 + k, "42500.5", "1")
            delta = await frame(ws)
            assert (delta.header["type"], delta.header["prev"], delta.header["seq"]) == ("delta", seq, seq + 1)
            assert delta.columns["c_ask"].tolist() == [2000 + 1000 * k]
            seq += 1
        await ws.send_json({"op": "unsubscribe", "id": 7})
        assert json.loads(await receive_text(ws)) == {"op": "unsubscribed", "id": 7}
        await ws.send_json({"op": "ping", "t": 1.5})
        pong = json.loads(await receive_text(ws))
    assert (pong["op"], pong["t"]) == ("pong", 1.5)
    assert isinstance(pong["server_ms"], int)


async def test_stream_carries_all_topics_and_status_every_second(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        topics = ["status", "imbalance", "bigflow", "liquidations", "footprint"]
        for number, topic in enumerate(topics):
            await ws.send_json({"op": "subscribe", "id": number, "topic": topic})
        seen: dict[str, Frame] = {}
        status: list[Frame] = []
        while len(seen) < 5 or len(status) < 3:
            message = await ws.receive(timeout=WITHIN_S)
            if message.type is aiohttp.WSMsgType.BINARY:
                got = decode(message.data)
                seen.setdefault(got.header["topic"], got)
                if got.header["topic"] == "status":
                    status.append(got)
    assert all(got.header["type"] == "snapshot" for got in seen.values())
    venue = status[-1].header["meta"]["venues"]["binance"]
    assert (venue["state"], venue["mode"], venue["connected"], venue["silent"]) == ("live", "live", True, [])
    assert (venue["books_live"], venue["books_resync"], venue["gaps"]) == (0, 3, 0)
    assert status[-1].header["meta"]["clock_offset_ms"] == -3.5
    assert status[2].header["server_ms"] - status[0].header["server_ms"] >= 2_000 - BEAT_SLACK_MS


@pytest.mark.parametrize(
    ("message", "number", "sentence"),
    [
        ("garbage", None, "this message cannot be read: "),
        ("[]", None, "this message cannot be read: "),
        ('{"id":1}', None, "this message cannot be read: "),
        ('{"op":"subscribe","id":-1}', None, "this message cannot be read: "),
        ('{"op":"dance","id":4}', 4, "unknown op 'dance'; allowed: subscribe, unsubscribe, ping"),
        ('{"op":"subscribe","topic":"status"}', None, "subscribe needs an id: the number you give this subscription"),
        ('{"op":"subscribe","id":5,"topic":"nope"}', 5, "unknown topic 'nope'; allowed: status, imbalance, bigflow,"),
        ('{"op":"subscribe","id":6,"topic":"footprint","params":{"step":"0.07"}}', 6, "step 0.07 is not a multiple"),
        ('{"op":"subscribe","id":6,"topic":"footprint","params":{"symbol":"X"}}', 6, "unknown symbol 'X' on binance"),
        ('{"op":"unsubscribe","id":9}', 9, "there is no subscription 9"),
    ],
)
async def test_stream_answers_a_wrong_message_and_goes_on(
    world: World, message: str, number: int | None, sentence: str
) -> None:
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        await ws.send_str(message)
        answer = json.loads(await receive_text(ws))
        assert (answer["op"], answer["id"]) == ("error", number)
        assert answer["message"].startswith(sentence)
        await subscribe(ws, 1, "status")
        assert (await frame(ws)).header["key"] == "status"


async def test_garbage_without_end_is_closed_and_refused_subscriptions_are_not(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        for _ in range(sockets.MAX_FAULTS * 2):
            await ws.send_json({"op": "subscribe", "id": 1, "topic": "footprint", "params": {"symbol": "NOPE"}})
            assert json.loads(await receive_text(ws))["op"] == "error"
        for _ in range(sockets.MAX_FAULTS):
            await ws.send_bytes(b"\x00\xff")
            assert json.loads(await receive_text(ws))["op"] == "error"
        code, reason = await closed(ws)
    assert (code, reason) == (1008, "20 messages could not be understood; see docs/stream.md")


async def test_a_message_too_large_closes_only_its_own_connection(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/stream") as good, served.ws("/ws/stream") as bad:
        await bad.send_str("x" * 100_000)
        assert (await closed(bad))[0] == 1009
        await subscribe(good, 1, "status")


async def test_subscriptions_are_bounded(tmp_path: Path) -> None:
    config = Config()
    config = structs.replace(config, limits=structs.replace(config.limits, subscriptions=2))
    async with serve(World(tmp_path, config=config)) as served, served.ws("/ws/stream") as ws:
        for number in (1, 2):
            await ws.send_json({"op": "subscribe", "id": number, "topic": "bigflow", "params": {"limit": number}})
        await ws.send_json({"op": "subscribe", "id": 3, "topic": "status"})
        while True:
            message = await ws.receive(timeout=WITHIN_S)
            if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data)["op"] == "error":
                break
    assert json.loads(message.data)["message"] == "2 subscriptions are open, which is the limit"


async def test_a_flood_is_read_no_faster_than_allowed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "OPS_BURST", 5.0)
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        began = asyncio.get_running_loop().time()
        for k in range(30):
            await ws.send_json({"op": "ping", "t": k})
        answers = [json.loads(await receive_text(ws))["t"] for _ in range(30)]
        took = asyncio.get_running_loop().time() - began
    assert answers == list(range(30))
    assert took >= (30 - 5 - 1) / sockets.OPS_PER_S


async def test_topics_end_with_their_last_subscriber(world: World) -> None:
    async with serve(world) as served:
        async with served.ws("/ws/stream") as ws, served.ws("/ws/orderflow"):
            await subscribe(ws, 1, "imbalance")
            await frame(ws)
            assert "tapewatch_topics 2.0" in await served.text("/metrics")
        while "tapewatch_topics 0.0" not in (metrics := await served.text("/metrics")):
            assert "tapewatch_clients" in metrics


# -- clients that do not read ---------------------------------------------------------------------------------------


async def open_deaf(served: Served, path: str) -> socket.socket:
    """A websocket client with a small window that reads its handshake and then nothing."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", int(served.url.rpartition(":")[2])))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    await loop.sock_sendall(deaf, (head + key).encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += await loop.sock_recv(deaf, 1)
    assert got.startswith(b"HTTP/1.1 101")
    return deaf


async def read_messages(deaf: socket.socket, until: bytes) -> list[bytes]:
    """Read server frames (never masked) until one contains `until`."""
    loop = asyncio.get_running_loop()
    data = b""
    messages: list[bytes] = []
    while not messages or until not in messages[-1]:
        async with asyncio.timeout(WITHIN_S):
            data += await loop.sock_recv(deaf, 1 << 20)
        while len(data) >= 2:
            length, start = data[1], 2
            if length == 126:
                length, start = int.from_bytes(data[2:4], "big"), 4
            elif length == 127:
                length, start = int.from_bytes(data[2:10], "big"), 10
            if len(data) < start + length:
                break
            messages.append(data[start : start + length])
            data = data[start + length :]
    return messages


async def cut(deaf: socket.socket) -> None:
    """Read what is left and see the connection end."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionResetError), deaf:
        async with asyncio.timeout(WITHIN_S):
            while await loop.sock_recv(deaf, 1 << 20):
                pass


async def test_a_client_that_cannot_keep_up_gets_the_newest_state_and_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE_S", WITHIN_S)
    for k in range(1_000):
        world.trade(0, f"{42_000 + k}.5", "0.001")  # a candle of 1000 levels: 45 kB a message
    path = "/ws/orderflow?emit_ms=50&step=0.1&lookback=2"
    async with serve(world, send_buffer=65_536) as served, served.ws(path, max_msg_size=0) as quick:
        await receive_text(quick)
        deaf = await open_deaf(served, path)
        sent = 0
        while "tapewatch_hub_skipped_total 0.0" in await served.text("/metrics") or sent < 100:
            sent += 1
            world.trade(1 + sent, "42000.5", "1")
            assert f'"ask":{sent}.' in (await receive_text(quick)).split('"levels"')[1].rpartition('"p":42000.5')[2]
        world.trade(500_000, "42000.5", "0.777")  # the newest state
        messages = await read_messages(deaf, b'"ask":0.777')
        deaf.close()
    assert len(messages) < sent  # what was missed is not made up for
    caught_up = json.loads(messages[-1])
    assert caught_up["type"] == "snapshot"
    assert caught_up["candles"][-1]["ask"] == 0.777


async def test_a_client_that_never_reads_is_cut_after_our_patience(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE_S", 0.3)
    for k in range(1_000):
        world.trade(0, f"{42_000 + k}.5", "0.001")
    path = "/ws/orderflow?emit_ms=50&step=0.1"
    async with serve(world, send_buffer=65_536) as served:
        deaf = await open_deaf(served, path)
        sent = 0
        while "tapewatch_clients 1.0" in await served.text("/metrics"):
            sent += 1
            world.trade(1 + sent, "42000.5", "1")
        assert "client_cut reason=does_not_read" in caplog.text
        await cut(deaf)


async def test_flapping_clients_leave_nothing_behind(world: World) -> None:
    async with serve(world) as served:
        for _ in range(30):
            async with served.ws("/ws/stream") as ws:
                await ws.send_json({"op": "subscribe", "id": 1, "topic": "imbalance"})
        while "tapewatch_clients 0.0" not in (metrics := await served.text("/metrics")):
            assert "tapewatch_clients" in metrics
        assert "tapewatch_topics 0.0" in await served.text("/metrics")


async def test_a_book_is_no_longer_watched_when_nobody_looks_at_its_top(world: World) -> None:
    world.book([("42500.4", "1.5")], [("42500.6", "0.5")])
    watched = world.venue.engine.sync.ladders.books
    async with serve(world) as served:
        async with served.ws("/ws/BTCUSDT") as ws:
            await receive_text(ws)
            assert watched[0]["watched"]
        while watched[0]["watched"]:
            await served.text("/health")


# -- connections that never say what they want ----------------------------------------------------------------------


async def test_a_request_whose_head_never_ends_is_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REQUEST_WITHIN_S", 2.0)
    heads = b"", b"GET /health HTTP/1.1\r\nX-Slow: ", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /h"
    async with serve(world) as served, served.ws("/ws/stream") as ws:  # one that has said it stays
        await subscribe(ws, 1, "status")
        port = int(served.url.rpartition(":")[2])
        await asyncio.gather(*(_cut_behind(port, head) for head in heads))
        assert (await frame(ws)).header["key"] == "status"


async def _cut_behind(port: int, head: bytes) -> None:
    """Say so much and no more, and see the connection end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(WITHIN_S):
            while await reader.read(1 << 16):
                pass
    writer.close()


async def test_connections_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_server, "HTTP_CONNECTIONS", 2)
    config = Config()
    config = structs.replace(config, limits=structs.replace(config.limits, clients=1))
    async with serve(World(tmp_path, config=config)) as served:
        port = int(served.url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        for _, other in [*held, (reader, writer)]:
            other.close()
        while await _status(port) != b"HTTP/1.1 200 OK":
            pass


async def _status(port: int) -> bytes:
    """The first line of the answer to a request, empty when the connection is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /docs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).strip()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
