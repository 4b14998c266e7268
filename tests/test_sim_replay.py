"""Recordings served as if live: frames verbatim, books by the recording's own snapshot."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sim_client import receive, serving
from tapewatch.model.errors import UsageError
from tapewatch.sim import capture
from tapewatch.sim.replay import RecordedVenue

STREAM = "xusdt@depth@100ms"


def diff(first: int, last: int, previous: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    told = {
        "e": "depthUpdate",
        "E": 1_700_000_000_000 + last,
        "T": 1,
        "s": "XUSDT",
        "U": first,
        "u": last,
        "pu": previous,
    }
    return json.dumps({"stream": STREAM, "data": told | {"b": bids, "a": asks}}, separators=(",", ":"))


LINES = [
    diff(900, 950, 880, [["9.90", "1.0"]], []),
    diff(951, 1000, 950, [], [["10.10", "2.5"]]),
    '{"lastUpdateId":1000,"E":1700000000980,"T":1,"bids":[["9.90","1.0"],["9.80","3.0"]],"asks":[["10.10","2.5"]]}',
    diff(1007, 1020, 1000, [["9.80", "0.0"]], [["10.05", "1.5"]]),
    (
        '{"stream":"xusdt@aggTrade","data":{"e":"aggTrade","E":1700000001100,"a":7,"s":"XUSDT","p":"10.05","q":"0.5",'
        '"f":1,"l":2,"T":1700000001000,"m":false}}'
    ),
    diff(1021, 1030, 1020, [["9.85", "4.0"]], []),
]


def write(path: Path, lines: list[str], spacing_ms: int = 50) -> Path:
    start_ns = 1_700_000_000_000_000_000
    text = "".join(f"{start_ns + k * spacing_ms * 1_000_000} {line}\n" for k, line in enumerate(lines))
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "x.gz", LINES)


async def test_frames_come_verbatim_under_the_names_asked_for(recording: Path) -> None:
    async with serving(replay=(recording,)) as client:
        public = await client.connect("/public/stream?streams=xusdt@depth")
        market = await client.connect("/market/ws/xusdt@aggTrade")
        frames = [await receive(public) for _ in range(4)]
        assert {frame["stream"] for frame in frames} == {"xusdt@depth"}
        assert [frame["data"] for frame in frames] == [json.loads(LINES[k])["data"] for k in (0, 1, 3, 5)]
        trade = json.loads(LINES[4])["data"]
        assert await receive(market) == trade
        rows = await client.get("/fapi/v1/aggTrades", symbol="XUSDT", fromId=7)
        assert rows == [{name: trade[name] for name in ("a", "p", "q", "f", "l", "T", "m")}]


async def test_instruments_are_derived_from_the_numbers(recording: Path) -> None:
    async with serving(replay=(recording,)) as client:
        (row,) = (await client.get("/fapi/v1/exchangeInfo"))["symbols"]
        assert (row["symbol"], row["contractType"], row["status"]) == ("XUSDT", "PERPETUAL", "TRADING")
        assert row["filters"][0]["tickSize"] == "0.01"
        assert row["filters"][1]["stepSize"] == "0.1"
        assert (await client.ask("/fapi/v1/depth", symbol="YUSDT"))[0] == 400
        assert await client.get("/fapi/v1/klines", symbol="XUSDT", interval="1d") == []


async def test_a_book_asked_for_early_is_the_recorded_one_at_its_moment(recording: Path) -> None:
    async with serving(replay=(recording,)) as client:
        early = asyncio.create_task(client.get("/fapi/v1/depth", symbol="XUSDT", limit=1000))
        public = await client.connect("/public/ws/xusdt@depth@100ms")
        await client.connect("/market/ws/xusdt@aggTrade")
        frames = [await receive(public) for _ in range(4)]
        assert await early == json.loads(LINES[2])
        late = await client.get("/fapi/v1/depth", symbol="XUSDT", limit=1000)
        assert late["lastUpdateId"] == frames[-1]["u"] == 1030
        assert late["bids"] == [["9.90", "1.0"], ["9.85", "4.0"]]
        assert late["asks"] == [["10.05", "1.5"], ["10.10", "2.5"]]


def test_time_waits_for_all_readers_or_a_grace(recording: Path) -> None:
    venue = RecordedVenue.load((recording,), speed=1.0, weight_limit=2400)
    assert [frames for ms in range(0, 9_000, 25) for frames in venue.advance(ms, congested=False)] == []
    venue.open("xusdt@depth@100ms")
    assert list(venue.advance(9_025, congested=False)) == []
    venue.open("xusdt@aggTrade")
    assert sum(len(frames) for ms in range(9_050, 9_400, 25) for frames in venue.advance(ms, congested=False)) == 5
    assert venue.finished

    alone = RecordedVenue.load((recording,), speed=1.0, weight_limit=2400)
    alone.open("xusdt@depth@100ms")
    assert [frames for ms in range(0, 5_000, 25) for frames in alone.advance(ms, congested=False)] == []
    assert [frames for ms in range(5_000, 5_600, 25) for frames in alone.advance(ms, congested=False)] != []


def test_time_waits_for_a_reader_who_left(tmp_path: Path) -> None:
    path = write(tmp_path / "long.gz", [LINES[4], LINES[0]] * 100, spacing_ms=100)
    venue = RecordedVenue.load((path,), speed=1.0, weight_limit=2400)
    venue.open("xusdt@aggTrade")
    venue.open("xusdt@depth")

    def played(first_ms: int, last_ms: int) -> int:
        steps = (frames for ms in range(first_ms, last_ms, 25) for frames in venue.advance(ms, congested=False))
        return sum(len(frames) for frames in steps)

    assert played(0, 1_025) == 11
    venue.close("xusdt@aggTrade")
    assert played(1_025, 4_000) == 0
    venue.open("xusdt@aggTrade")
    assert played(4_000, 5_000) == 10
    venue.close("xusdt@aggTrade")
    assert played(5_000, 9_975) == 0
    assert played(9_975, 12_000) > 0
    venue.close("xusdt@depth")
    assert played(12_000, 60_000) == 0


def test_array_streams_tick_even_where_nothing_was_recorded(recording: Path) -> None:
    venue = RecordedVenue.load((recording,), speed=1.0, weight_limit=2400)
    venue.open("!ticker@arr")
    frames = [frame for ms in range(0, 3_000, 25) for frames in venue.advance(ms, congested=False) for frame in frames]
    assert frames == [("!ticker@arr", "[]")] * 2


def test_speed_and_congestion_rule_the_clock(tmp_path: Path) -> None:
    path = write(tmp_path / "long.gz", [LINES[4]] * 100, spacing_ms=100)

    def played(speed: float, ms: int, *, congested: bool = False) -> int:
        venue = RecordedVenue.load((path,), speed=speed, weight_limit=2400)
        venue.open("xusdt@aggTrade")
        steps = (frames for at in range(0, ms + 1, 25) for frames in venue.advance(at, congested=congested))
        return sum(len(frames) for frames in steps)

    assert played(1.0, 1_000) == 11
    assert played(4.0, 1_000) == 41
    assert played(math.inf, 50) == 100
    assert played(1.0, 1_000, congested=True) == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello\n", "line 1: no recorded frame"),
        (b"\x1f\x8b\x08\x00broken", "is damaged"),
        (b"", "holds no frame"),
    ],
)
def test_unreadable_recordings_are_refused_with_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        capture.read([path])
    with pytest.raises(UsageError, match="cannot read"):
        capture.read([tmp_path / "absent"])


# -- the real recordings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "symbols", "diffs", "tick"),
    [
        (("usdm_20210405_SAND_CHR_NEO_CTK_BAT.raw.gz",), ("SAND", "CHR", "NEO", "CTK", "BAT"), 4423, None),
        (("usdm_20210722_SUSHI_AKRO_KEEP_CTK.raw.gz",), ("SUSHI", "AKRO", "KEEP", "CTK"), 764, None),
        (("usdm_btcusdt_20230404.gz",), ("BTC",), 4322, "0.1"),
    ],
)
async def test_real_recordings_are_served_whole_and_their_books_agree(
    data_dir: Path, files: tuple[str, ...], symbols: tuple[str, ...], diffs: int, tick: str | None
) -> None:
    """All diffs arrive; a book kept by the rules has the best of every recorded quote told before each diff."""
    paths = tuple(data_dir / "binance_usdm" / file for file in files)
    names = [f"{symbol.lower()}usdt@{kind}" for symbol in symbols for kind in ("depth@100ms", "bookTicker")]
    async with serving(replay=paths, speed=math.inf, unread_bytes=64 << 20) as client:
        info = await client.get("/fapi/v1/exchangeInfo")
        assert {row["symbol"] for row in info["symbols"]} == {f"{symbol}USDT" for symbol in symbols}
        if tick:
            assert info["symbols"][0]["filters"][0]["tickSize"] == tick
        asked = {
            symbol: asyncio.create_task(client.get("/fapi/v1/depth", symbol=f"{symbol}USDT", limit=1000))
            for symbol in symbols
        }
        async with await client.session.ws_connect(
            f"{client.venue.ws_url}/public/stream?streams={'/'.join(names)}", max_msg_size=0
        ) as socket:
            told: dict[str, list[dict[str, Any]]] = {symbol: [] for symbol in symbols}
            count = 0
            while count < diffs:
                frame = (await receive(socket))["data"]
                told[frame["s"].removesuffix("USDT")].append(frame)
                count += frame["e"] == "depthUpdate"
        snapshots = await asyncio.gather(*asked.values())
        compared = sum(agrees(frames, snapshot) for frames, snapshot in zip(told.values(), snapshots, strict=True))
        assert compared > 0.9 * diffs


def agrees(frames: list[dict[str, Any]], snapshot: dict[str, Any]) -> int:
    """How many diffs leave the book with the best bid and ask of the newest quote that is no newer; all must."""
    quotes = [frame for frame in frames if frame["e"] == "bookTicker"]
    ids = [quote["u"] for quote in quotes]
    book = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    last, compared = None, 0
    for frame in frames:
        if frame["e"] == "bookTicker" or frame["u"] < snapshot["lastUpdateId"]:
            continue
        assert last is None or frame["pu"] == last
        assert last is not None or frame["U"] <= snapshot["lastUpdateId"]
        last = frame["u"]
        for side in ("b", "a"):
            for price, qty in frame[side]:
                if Decimal(qty):
                    book[side][price] = qty
                else:
                    book[side].pop(price, None)
        at = bisect_right(ids, last)
        if at:
            quote = quotes[at - 1]
            bid, ask = max(book["b"], key=Decimal), min(book["a"], key=Decimal)
            assert (bid, book["b"][bid]) == (quote["b"], quote["B"])
            assert (ask, book["a"][ask]) == (quote["a"], quote["A"])
            compared += 1
    return compared


async def test_recorded_liquidations_and_marks_flow_on_their_streams(data_dir: Path) -> None:
    paths = (data_dir / "frames_2026" / "binance_usdm_mixed_20260927.raw",)
    async with serving(replay=paths, speed=math.inf) as client:
        async with await client.connect("/market/stream?streams=!forceOrder@arr/!markPrice@arr@1s") as socket:
            frames: list[dict[str, Any]] = []
            while sum(bool(frame["data"]) for frame in frames) < 24:
                frames.append(await receive(socket))
        liquidated = {frame["data"]["o"]["s"] for frame in frames if frame["stream"] == "!forceOrder@arr"}
        assert "牛来USDT" in liquidated
        marks = [frame["data"] for frame in frames if frame["stream"] == "!markPrice@arr@1s" and frame["data"]]
        assert [row["s"] for rows in marks for row in rows] == ["BTCUSDT"] * 3
        assert (await client.get("/fapi/v1/premiumIndex"))[0]["symbol"] == "BTCUSDT"


def test_raw_trades_are_read_as_aggregates_where_none_were_recorded(tmp_path: Path) -> None:
    trade = '{"e":"trade","E":1,"T":1,"s":"XUSDT","t":5,"p":"1.0","q":"2","X":"MARKET","m":true}'
    raw = f'{{"stream":"xusdt@trade","data":{trade}}}'
    venue = RecordedVenue.load((write(tmp_path / "raw.gz", [raw] * 3),), speed=math.inf, weight_limit=2400)
    venue.open("xusdt@aggTrade")
    frames = [frame for ms in range(0, 100, 25) for frames in venue.advance(ms, congested=False) for frame in frames]
    assert frames == [("xusdt@aggTrade", trade)] * 3
