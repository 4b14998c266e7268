"""The simulated venue over real sockets, in the dialect of Binance USD-M."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from sim_client import OPTIONS, Client, answer_of, command, receive, serving
from tapewatch.model.errors import UsageError, VenueError
from tapewatch.sim import Faults, SimulatedBinanceUsdm
from venue_truth import HeldClock
from waiting import WITHIN_S

# -- websocket: routes, wrapping, commands ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "wrapped"),
    [
        ("/market/ws/btcusdt@aggTrade", False),
        ("/public/ws/btcusdt@bookTicker/ethusdt@depth", False),
        ("/market/stream?streams=btcusdt@aggTrade/!markPrice@arr@1s", True),
        ("/public/stream?streams=btcusdt@depth5@100ms", True),
        ("/public/ws/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9Fusdt@bookTicker", False),
        ("/ws/btcusdt@bookTicker", False),
        ("/stream?streams=btcusdt@depth@100ms", True),
    ],
)
async def test_addresses_deliver(path: str, wrapped: bool) -> None:
    async with serving() as client, await client.connect(path) as socket:
        told = await receive(socket)
        assert ("stream" in told) == wrapped
        assert (told["data"] if wrapped else told) != {}


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/public/ws", "btcusdt@aggTrade"),
        ("/market/ws", "btcusdt@bookTicker"),
        ("/ws", "btcusdt@aggTrade"),
        ("/stream", "!markPrice@arr@1s"),
        ("/private/ws", "btcusdt@bookTicker"),
        ("/public/ws", "nosuch@trade"),
        ("/market/ws", "BTCUSDT@aggTrade"),
    ],
)
async def test_a_stream_on_the_wrong_route_is_acknowledged_listed_and_silent(path: str, stream: str) -> None:
    async with serving() as client, await client.connect(path) as socket:
        assert await command(socket, method="SUBSCRIBE", params=[stream], id=1) == {"result": None, "id": 1}
        assert await command(socket, method="LIST_SUBSCRIPTIONS", id=2) == {"result": [stream], "id": 2}
        # Another connection proves that time passes and the stream's twin on its own route flows.
        async with await client.connect("/market/ws/!markPrice@arr@1s") as other:
            await receive(other)
            await receive(other)
        assert await command(socket, method="GET_PROPERTY", params=["combined"], id=3) == {
            "result": path.endswith("stream"),
            "id": 3,
        }


@pytest.mark.parametrize(
    ("path", "status"), [("/other/ws", 404), ("/public/ws/btcusdt@trade,ethusdt@trade", 400), ("/", 404)]
)
async def test_bad_addresses_break_the_handshake(path: str, status: int) -> None:
    async with serving() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.connect(path)
        assert refused.value.status == status


async def test_commands() -> None:
    async with serving() as client, await client.connect("/market/ws") as socket:
        first = ["btcusdt@aggTrade", "btcusdt@markPrice@1s"]
        assert await command(socket, method="SUBSCRIBE", params=first, id=1) == {"result": None, "id": 1}
        assert "e" in await receive(socket)
        assert await command(socket, method="UNSUBSCRIBE", params=first[1:], id="x") == {"result": None, "id": "x"}
        assert await command(socket, method="LIST_SUBSCRIPTIONS", id=3) == {"result": first[:1], "id": 3}
        assert await command(socket, method="SET_PROPERTY", params=["combined", True], id=5) == {
            "result": None,
            "id": 5,
        }
        assert await command(socket, method="GET_PROPERTY", params=["combined"], id=6) == {"result": True, "id": 6}
        assert (await receive(socket))["stream"] == "btcusdt@aggTrade"
        assert client.venue.content.streams.open_streams.keys() == {"btcusdt@aggTrade"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 3),
        ("[1]", 2),
        ('{"method":"FOO","id":1}', 2),
        ('{"method":"SUBSCRIBE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        ('{"method":"GET_PROPERTY","params":["other"],"id":1}', 0),
    ],
)
async def test_command_errors(text: str, code: int) -> None:
    async with serving() as client, await client.connect("/market/ws") as socket:
        await socket.send_str(text)
        assert (await answer_of(socket))["code"] == code


async def test_eleven_messages_in_a_second_close_with_1008() -> None:
    async with serving() as client, await client.connect("/public/ws") as socket:
        for number in range(10):
            await socket.ping(str(number).encode())
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 11})
        async with asyncio.timeout(WITHIN_S):
            while (message := await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
                assert message.type is aiohttp.WSMsgType.PONG
        assert message.data == 1008


async def test_binary_commands_close_with_1008() -> None:
    async with serving() as client, await client.connect("/public/ws") as socket:
        await socket.send_bytes(b'{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert (await socket.receive(timeout=WITHIN_S)).data == 1008


async def test_more_than_1024_streams_close_with_1008() -> None:
    async with serving() as client, await client.connect("/public/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [f"x{n}@trade" for n in range(1025)], "id": 1})
        assert (await socket.receive(timeout=WITHIN_S)).data == 1008


async def test_server_pings_and_ends_old_connections() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with serving(ping_s=0.2) as client, await client.connect("/public/ws") as socket:
        for _ in range(4):
            message = await socket.receive(timeout=WITHIN_S)
            assert message.type is aiohttp.WSMsgType.PING
            await socket.pong(message.data)
        assert loop.time() - began >= 4 * 0.2
    async with serving(max_age_s=1.0) as client, await client.connect("/public/ws") as socket:
        message = await socket.receive(timeout=WITHIN_S)
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        assert loop.time() - began >= 4 * 0.2 + 1.0


async def test_a_client_that_does_not_read_is_cut_and_others_are_not() -> None:
    async with serving(symbols=40, unread_bytes=200_000) as client:
        streams = "/".join(f"{symbol.lower()}@depth20@100ms" for symbol in await symbols(client))
        async with await client.connect(f"/public/stream?streams={streams}") as reader:
            lazy = await client.session.ws_connect(f"{client.venue.ws_url}/public/stream?streams={streams}")
            transport = lazy.get_extra_info("socket")
            assert transport is not None
            lazy._response.connection.transport.pause_reading()  # type: ignore[union-attr]
            async with asyncio.timeout(WITHIN_S):
                while client.venue.stats.cut == 0:
                    await receive(reader)
            assert client.venue.stats.cut == 1
            await receive(reader)


async def symbols(client: Client) -> list[str]:
    info = await client.get("/fapi/v1/exchangeInfo")
    return [row["symbol"] for row in info["symbols"] if row["status"] == "TRADING"]


# -- books ------------------------------------------------------------------------------------------------------------


async def test_books_follow_the_official_rules_and_agree_with_every_quote() -> None:
    """Rules of part 1.7 by hand: buffer, snapshot, first event straddles it, `pu` continues, best equals bookTicker."""
    async with serving() as client:
        names = [f"{symbol}@{kind}" for symbol in ("btcusdt", "1000pepeusdt") for kind in ("depth@100ms", "bookTicker")]
        async with await client.connect(f"/public/stream?streams={'/'.join(names)}") as socket:
            for symbol in ("BTCUSDT", "1000PEPEUSDT"):
                assert await follow_book(client, socket, symbol, 40) > 25


async def follow_book(client: Client, socket: aiohttp.ClientWebSocketResponse, symbol: str, diffs: int) -> int:
    frames: list[Any] = []
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    compared, quote, last = 0, None, None
    request: asyncio.Task[Any] | None = None
    while diffs:
        frame = (await receive(socket))["data"]
        if frame["s"] != symbol:
            continue
        if frame["e"] == "bookTicker":
            quote = frame
            continue
        frames.append(frame)
        if last is None:
            request = request or asyncio.create_task(client.get("/fapi/v1/depth", symbol=symbol, limit=1000))
            if not request.done():
                continue
            snapshot, request = request.result(), None
            frames = [frame for frame in frames if frame["u"] >= snapshot["lastUpdateId"]]
            if not frames or frames[0]["U"] > snapshot["lastUpdateId"]:
                continue  # too old, or nothing straddles it yet: ask again
            book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
        for frame in frames:
            assert last is None or frame["pu"] == last
            last = frame["u"]
            for side in ("b", "a"):
                for price, qty in frame[side]:
                    if Decimal(qty):
                        book[side][price] = qty
                    else:
                        book[side].pop(price, None)
            diffs -= 1
        frames = []
        if quote is not None:
            best = max(book["b"], key=Decimal), min(book["a"], key=Decimal)
            assert (best[0], book["b"][best[0]]) == (quote["b"], quote["B"])
            assert (best[1], book["a"][best[1]]) == (quote["a"], quote["A"])
            compared += 1
    return compared


async def test_rest_trades_are_those_pushed() -> None:
    async with serving() as client, await client.connect("/market/ws/btcusdt@aggTrade") as socket:
        pushed = [await receive(socket) for _ in range(15)]
        rows = await client.get("/fapi/v1/aggTrades", symbol="BTCUSDT", fromId=pushed[0]["a"], limit=15)
        assert rows == [{name: frame[name] for name in ("a", "p", "q", "nq", "f", "l", "T", "m")} for frame in pushed]


# -- REST -------------------------------------------------------------------------------------------------------------


async def test_rest_routes_answer_with_their_weight() -> None:
    async with serving(HeldClock()) as client:  # a weight is of a minute
        symbol = {"symbol": "BTCUSDT"}
        costs: list[tuple[str, dict[str, str], int]] = [
            ("/fapi/v1/ping", {}, 1),
            ("/fapi/v1/time", {}, 1),
            ("/fapi/v1/exchangeInfo", {}, 1),
            ("/fapi/v1/depth", symbol | {"limit": "100"}, 5),
            ("/fapi/v1/depth", {"symbol": "币安人生USDT", "limit": "1000"}, 20),
            ("/fapi/v1/aggTrades", symbol, 20),
            ("/fapi/v1/klines", symbol | {"interval": "1d", "limit": "31"}, 1),
            ("/fapi/v1/klines", symbol | {"interval": "1m", "limit": "1500"}, 10),
            ("/fapi/v1/ticker/24hr", {}, 40),
            ("/fapi/v1/ticker/24hr", symbol, 1),
            ("/fapi/v2/ticker/price", {}, 2),
            ("/fapi/v1/ticker/bookTicker", {}, 5),
            ("/fapi/v1/premiumIndex", {}, 10),
            ("/fapi/v1/openInterest", symbol, 1),
            ("/fapi/v1/fundingInfo", {}, 0),
            ("/fapi/v1/fundingRate", symbol, 0),
        ]
        for path, query, cost in costs:
            before = int((await client.ask("/fapi/v1/ping"))[2]["X-MBX-USED-WEIGHT-1M"])
            status, body, headers = await client.ask(path, **query)
            after = int(headers["X-MBX-USED-WEIGHT-1M"])
            assert status == 200
            assert isinstance(body, (dict, list))
            assert after - before == cost


async def test_rest_refusals_have_code_and_sentence() -> None:
    async with serving() as client:
        status, body, headers = await client.ask("/fapi/v1/depth", symbol="NOPE")
        assert (status, body) == (400, {"code": -1121, "msg": "Invalid symbol."})
        assert "X-MBX-USED-WEIGHT-1M" in headers
        assert (await client.ask("/fapi/v1/nothing"))[0] == 404


async def test_overdrawing_the_budget_is_refused_then_banned() -> None:
    clock = HeldClock()
    async with serving(clock, weight_limit=10) as client:
        answers = [await client.ask("/fapi/v1/exchangeInfo") for _ in range(45)]
        statuses = [status for status, _, _ in answers]
        assert statuses[0] == 200
        assert 429 in statuses
        assert statuses[-1] == 418
        refused = next(body for status, body, _ in answers if status == 429)
        assert refused["code"] == -1003
        assert "10 requests per minute" in refused["msg"]
        banned = answers[-1][1]["msg"]
        until_ms = int(banned.split("banned until ")[1].split(".")[0])
        assert until_ms - int(clock() * 1000) == 120_000
        assert client.venue.stats.refused == statuses.count(429) + statuses.count(418)


async def test_served_time_is_the_clocks() -> None:
    async with serving() as client:
        before_ms = int(time.time() * 1000)
        told_ms = (await client.get("/fapi/v1/time"))["serverTime"]
        assert before_ms <= told_ms <= time.time() * 1000


async def test_daily_volume_fits_what_trades() -> None:
    async with serving() as client:
        days = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1d", limit=31)
        assert len(days) == 31
        mean = sum((Decimal(day[7]) for day in days[:-1]), Decimal()) / 30
        assert Decimal(5_000_000_000) < mean < Decimal(40_000_000_000)
        ticker = await client.get("/fapi/v1/ticker/24hr", symbol="BTCUSDT")
        assert Decimal("0.4") < Decimal(ticker["quoteVolume"]) / mean < Decimal("2.5")


# -- life -------------------------------------------------------------------------------------------------------------


async def test_listing_and_delisting_are_told_and_listed() -> None:
    faults = Faults.parse("symbol-listed:2,symbol-delisted:2.5:SOLUSDT,tick-size-change:2:XRPUSDT")
    clock = HeldClock()
    async with serving(clock, faults=faults) as client, await client.connect("/market/ws/!contractInfo") as socket:
        before = {row["symbol"]: row for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        clock.go()
        listed, delisted, trading = [await receive(socket) for _ in range(3)]
        assert (listed["cs"], delisted["cs"], trading["cs"]) == ("PENDING_TRADING", "SETTLING", "TRADING")
        assert listed["s"] == trading["s"]
        assert delisted["s"] == "SOLUSDT"
        after = {row["symbol"]: row for row in (await client.get("/fapi/v1/exchangeInfo"))["symbols"]}
        assert after.keys() - before.keys() == {listed["s"]}
        assert after["SOLUSDT"]["status"] == "SETTLING"
        assert after["SOLUSDT"]["deliveryDate"] < before["SOLUSDT"]["deliveryDate"]
        ticks = [rows["XRPUSDT"]["filters"][0]["tickSize"] for rows in (before, after)]
        assert ticks == ["0.0001", "0.0010"]


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    async with serving() as client:
        port = int(client.venue.rest_url.rsplit(":", 1)[1])
        with pytest.raises(VenueError, match=f"cannot listen on 127.0.0.1:{port}"):
            await SimulatedBinanceUsdm(replace(OPTIONS, port=port)).start()


async def test_a_venue_without_symbols_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one symbol"):
        await SimulatedBinanceUsdm(replace(OPTIONS, symbols=0)).start()
