"""Each fault does what it says, and the list of them is read with clear refusals."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from sim_client import Client, command, receive, serving
from tapewatch.model.errors import UsageError
from tapewatch.sim.faults import NAMES, Fault, Faults, describe, injectors
from tapewatch.sim.streams import Frame
from waiting import WITHIN_S

# -- reading ----------------------------------------------------------------------------------------------------------


def test_all_faults_of_the_contract_are_known() -> None:
    expected = (
        "drop duplicate reorder stall disconnect slow garble snapshot-late snapshot-stale http-429 http-418 http-5xx "
        "clock-skew symbol-listed symbol-delisted tick-size-change storm"
    )
    assert set(NAMES) == {*expected.split(), "gust", "restart", "notice"}
    assert [name for name, _, _ in describe()] == list(NAMES)


def test_parse_reads_numbers_and_targets_in_any_order() -> None:
    faults = Faults.parse("drop:0.01:*@depth*, stall:btcusdt@aggTrade,slow,clock-skew:-250,symbol-delisted:SOLUSDT:3")
    assert faults.chosen == (
        Fault("drop", 0.01, "*@depth*"),
        Fault("stall", 0.0, "btcusdt@aggTrade"),
        Fault("slow", 500.0, "*"),
        Fault("clock-skew", -250.0, ""),
        Fault("symbol-delisted", 3.0, "SOLUSDT"),
    )
    assert Faults.parse("") == Faults()
    assert faults.value("clock-skew") == -250
    assert faults.value("storm", 1.0) == 1.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("earthquake", "unknown fault 'earthquake'; known are drop, duplicate"),
        ("drop:2", "a probability is above 0 and at most 1, not 2"),
        ("drop:0", "a probability is above 0"),
        ("drop:0.1:a:b:c", "not of the form drop\\[:probability\\]\\[:target\\]"),
        ("http-429:0.1:x", "not of the form http-429\\[:probability\\]$"),
        ("slow:-1", "cannot be negative"),
        ("storm:1000", "between 0.01 and 100"),
        ("storm:nan", "not of the form"),
        ("slow:inf", "finite"),
        ("drop:", "not of the form"),
        ("storm,storm:3", "storm is given twice"),
    ],
)
def test_parse_refuses_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Faults.parse(text)


# -- faults of frames -------------------------------------------------------------------------------------------------

FRAMES: list[Frame] = [
    (f"{symbol}usdt@aggTrade", f'{{"e":"aggTrade","E":1,"a":{number},"s":"{symbol.upper()}USDT","p":"1.0","q":"2"}}')
    for number in range(2000)
    for symbol in ("btc", "eth")
]


def injected(text: str, frames: list[Frame] = FRAMES, since_ms: int = 0, seed: int = 1) -> list[Frame]:
    (inject,) = injectors(Faults.parse(text), seed)
    return inject(frames, since_ms)


def test_drop_loses_frames_of_its_target_only() -> None:
    sent = injected("drop:0.1:btcusdt@*")
    kept = Counter(name for name, _ in sent)
    assert kept["ethusdt@aggTrade"] == 2000
    assert 1700 < kept["btcusdt@aggTrade"] < 1900
    assert sent == injected("drop:0.1:btcusdt@*")
    assert sent != injected("drop:0.1:btcusdt@*", seed=2)


def test_duplicate_sends_twice_in_a_row() -> None:
    sent = injected("duplicate:0.1")
    assert 4200 < len(sent) < 4600
    assert [frame for k, frame in enumerate(sent) if k == 0 or sent[k - 1] != frame] == FRAMES


def test_reorder_swaps_neighbours_of_one_stream() -> None:
    (inject,) = injectors(Faults.parse("reorder:0.1"), 1)
    sent = inject(FRAMES[:2001], 0) + inject(FRAMES[2001:], 0)
    numbers = [json.loads(payload)["a"] for name, payload in sent if name == "btcusdt@aggTrade"]
    late = [k for k in range(1, len(numbers)) if numbers[k] < numbers[k - 1]]
    assert len(late) > 100
    assert all(numbers[k] == numbers[k - 1] - 1 for k in late)
    assert sorted(numbers) == list(range(numbers[-1] + 1)) or len(numbers) >= 1999


def test_stall_silences_from_its_time_on() -> None:
    assert injected("stall:5:btcusdt@aggTrade", since_ms=4_999) == FRAMES
    assert {name for name, _ in injected("stall:5:btcusdt@aggTrade", since_ms=5_000)} == {"ethusdt@aggTrade"}


def test_slow_delivers_everything_later_in_order() -> None:
    (inject,) = injectors(Faults.parse("slow:300:btcusdt@aggTrade"), 1)
    assert [name for name, _ in inject(FRAMES[:4], 0)] == ["ethusdt@aggTrade"] * 2
    assert inject([], 299) == []
    assert inject([], 300) == [frame for frame in FRAMES[:4] if frame[0] == "btcusdt@aggTrade"]


def test_garble_makes_frames_nobody_should_believe() -> None:
    sent = injected("garble:1")
    broken = odd = 0
    for (_, payload), (_, before) in zip(sent, FRAMES, strict=True):
        assert payload != before
        try:
            frame = json.loads(payload)
        except ValueError:
            broken += 1
            continue
        odd += not isinstance(frame.get("E"), int) or "NOSUCH" in frame["s"] or len(payload) > 100
    assert broken > 500
    assert odd > 500


# -- faults of transport and REST, over sockets -----------------------------------------------------------------------


async def test_a_stalled_stream_is_silent_while_its_socket_lives() -> None:
    async with (
        serving(faults=Faults.parse("stall:btcusdt@bookTicker")) as client,
        await client.connect("/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker") as socket,
    ):
        told = {(await receive(socket))["stream"] for _ in range(100)}
        assert told == {"ethusdt@bookTicker"}


async def test_dropped_diffs_break_the_chain() -> None:
    async with (
        serving(faults=Faults.parse("drop:0.3:*@depth*")) as client,
        await client.connect("/public/ws/btcusdt@depth@100ms") as socket,
    ):
        frames = [await receive(socket) for _ in range(15)]
        assert any(after["pu"] != before["u"] for before, after in pairwise(frames))


async def test_disconnect_cuts_without_a_close_frame() -> None:
    async with serving(faults=Faults.parse("disconnect:0.3")) as client:
        socket = await client.connect("/public/ws/btcusdt@bookTicker")
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await read_for_ever(socket)
        assert socket.close_code == 1006


async def read_for_ever(socket: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await receive(socket)


async def test_late_snapshots_are_late() -> None:
    began = time.monotonic()
    async with serving(faults=Faults.parse("snapshot-late:1000")) as client:
        await client.get("/fapi/v1/depth", symbol="BTCUSDT")
        assert time.monotonic() - began >= 1.0
    async with serving(faults=Faults.parse("snapshot-late:600000")) as client:
        snapshot = asyncio.create_task(client.get("/fapi/v1/depth", symbol="BTCUSDT"))
        await client.get("/fapi/v1/time")  # asked later, answered earlier
        assert not snapshot.done()
        snapshot.cancel()


async def test_stale_snapshots_are_older_than_the_stream() -> None:
    async with (
        serving(faults=Faults.parse("snapshot-stale:1500")) as client,
        await client.connect("/public/ws/btcusdt@depth@100ms") as socket,
    ):
        market = client.venue.content.market  # type: ignore[attr-defined]
        for _ in range(20):
            await receive(socket)
        before_ms = market.now_ms
        snapshot = await client.get("/fapi/v1/depth", symbol="BTCUSDT")
        assert before_ms - 1_600 <= snapshot["E"] <= market.now_ms - 1_400
        while (newest := await receive(socket))["E"] < before_ms - 200:
            pass
        assert newest["U"] > snapshot["lastUpdateId"]


@pytest.mark.parametrize(("fault", "status", "code"), [("http-429:1", 429, -1003), ("http-5xx:1", 503, -1008)])
async def test_http_refusals(fault: str, status: int, code: int) -> None:
    async with serving(faults=Faults.parse(fault)) as client:
        told, body, _ = await client.ask("/fapi/v1/time")
        assert (told, body["code"]) == (status, code)


async def test_http_418_bans_for_a_while() -> None:
    async with serving(faults=Faults.parse("http-418:1")) as client:
        for _ in range(2):
            status, body, _ = await client.ask("/fapi/v1/time")
            assert status == 418
            assert "banned until" in body["msg"]


async def test_clock_skew_moves_every_time_the_venue_tells() -> None:
    async with serving(faults=Faults.parse("clock-skew:-60000")) as client:
        before_ms = int(time.time() * 1000)
        told_ms = (await client.get("/fapi/v1/time"))["serverTime"] + 60_000
        async with await client.connect("/public/ws/btcusdt@bookTicker") as socket:
            streamed_ms = (await receive(socket))["E"] + 60_000
        assert before_ms <= told_ms <= time.time() * 1000
        assert before_ms - 30_000 < streamed_ms <= time.time() * 1000  # a busy machine's market is behind, not by this


async def test_garbled_frames_leave_the_connection_usable() -> None:
    async with (
        serving(faults=Faults.parse("garble:0.5")) as client,
        await client.connect("/public/ws/btcusdt@bookTicker") as socket,
    ):
        broken = 0
        for _ in range(60):
            message = await socket.receive(timeout=WITHIN_S)
            try:
                json.loads(message.data)
            except ValueError:
                broken += 1
        assert broken > 3


async def test_storm_is_ten_times_the_weather() -> None:
    async with serving(symbols=30) as client:
        calm = await changes_a_second(client)
    async with serving(symbols=30, faults=Faults.parse("storm")) as client:
        storm = await changes_a_second(client)
    assert 4 < storm / calm < 20


async def changes_a_second(client: Client) -> float:
    """Of all books, by the market's own time, over three seconds of it at least; its pulse is read meanwhile."""
    market = client.venue.content.market  # type: ignore[attr-defined]
    async with await client.connect("/market/ws/btcusdt@markPrice@1s") as socket:
        assert await command(socket, method="LIST_SUBSCRIPTIONS", id=1)
        began_ms, changes = market.now_ms, int(market._world["changes"])
        while market.now_ms < began_ms + 3_000:
            await receive(socket)
        return (int(market._world["changes"]) - changes) / int(market.now_ms - began_ms) * 1_000


def test_the_manual_lists_every_fault_as_it_is() -> None:
    manual = (Path(__file__).parent.parent / "docs" / "simulator.md").read_text()
    for name, argument, meaning in describe():
        assert f"| `{name}` | {argument} | {meaning} |" in manual
