"""Bybit and OKX as they were recorded: books by each venue's own rule, trades in the right units, klines that agree."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tapewatch.engine import Engine
from tapewatch.model.instrument import Instrument
from tapewatch.model.views import BookState
from tapewatch.replay.player import Player
from tapewatch.replay.recording import Recording
from tapewatch.replay.replay import play_out

BYBIT = "bybit/bybit_v5_20260809_linear_BTCUSDT_ETHUSDT.jsonl.gz"
OKX = "okx/okx_20220513_books_BTC-USDT_UNI-SWAP_BTC-FUT.jsonl.gz"

Levels = dict[Decimal, Decimal]


def received(path: Path) -> list[Any]:
    """The recorded messages, read by no code of ours."""
    with gzip.open(path, "rt") as lines:
        return [json.loads(line["data"]) for text in lines if (line := json.loads(text))["t"] == "recv"]


def states(path: Path) -> Iterator[tuple[Any, Engine]]:
    """Each recorded message with the engine as it left it."""
    recording = Recording.load([path])
    stage = recording.stage()
    codec = recording.product.codec(recording.universe)
    for record in recording.records:
        if not record.url:
            stage.engine.apply(codec.decode(record.payload, [len(record.payload)], record.recv_ns).tape)
            yield json.loads(record.payload), stage.engine


def side_of(instrument: Instrument, levels: Any) -> list[tuple[Decimal, Decimal]]:
    contract = instrument.contract or Decimal(1)
    return [
        (instrument.tick.to_decimal(price), instrument.lot.to_decimal(lots) / contract)
        for price, lots in levels.tolist()
    ]


def changed(book: Levels, rows: Any) -> None:
    for price, size, *_ in rows:
        if Decimal(size):
            book[Decimal(price)] = Decimal(size)
        else:
            book.pop(Decimal(price), None)


def checksum(bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]) -> int:
    """CRC32 of the best 25 levels a side, bid and ask in turn, as a signed number; the venue's rule until 2026."""
    texts = []
    for k in range(25):
        for price, size in (*bids[k : k + 1], *asks[k : k + 1]):
            texts.append(f"{price.normalize():f}:{size.normalize():f}")
    crc = zlib.crc32(":".join(texts).encode())
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def test_every_okx_book_agrees_with_the_venues_own_checksum(data_dir: Path) -> None:
    checked = 0
    for message, engine in states(data_dir / OKX):
        if message.get("arg", {}).get("channel") == "books" and "data" in message:
            instrument = engine.universe.get(message["arg"]["instId"])
            view = engine.book(instrument.index, 25)
            assert view.state is BookState.LIVE
            sides = side_of(instrument, view.bids), side_of(instrument, view.asks)
            assert checksum(*sides) == message["data"][0]["checksum"]
            checked += 1
    assert checked == 290


def test_every_bybit_book_is_what_its_messages_say(data_dir: Path) -> None:
    """Against plain dictionaries, whole, after every message; the window stays 200 levels wide."""
    books: dict[str, tuple[Levels, Levels]] = {}
    checked = 0
    for message, engine in states(data_dir / BYBIT):
        if not message.get("topic", "").startswith("orderbook."):
            continue
        told = message["data"]
        if message["type"] == "snapshot":
            books[told["s"]] = ({}, {})
        bids, asks = books[told["s"]]
        changed(bids, told["b"])
        changed(asks, told["a"])
        instrument = engine.universe.get(told["s"])
        view = engine.book(instrument.index)
        assert (view.state, view.last_update_id) == (BookState.LIVE, told["u"])
        assert side_of(instrument, view.bids) == sorted(bids.items(), reverse=True)
        assert side_of(instrument, view.asks) == sorted(asks.items())
        assert max(len(bids), len(asks)) <= 200
        checked += 1
    assert checked == 835


@pytest.mark.parametrize("name", [BYBIT, OKX])
def test_nothing_recorded_is_refused(data_dir: Path, name: str) -> None:
    integrity = play_out(Player(Recording.load([data_dir / name]), speed=float("inf"))).report([])["integrity"]
    assert integrity["decoded"] == integrity["frames"] > 400
    assert integrity["by_reason"] == {}


def test_bybit_trades_add_up_and_klines_agree(data_dir: Path) -> None:
    """Of the minute that was recorded from its first moment, the venue's running kline and our candle are one."""
    stage = play_out(Player(Recording.load([data_dir / BYBIT]), speed=float("inf")))
    symbols = stage.report([])["symbols"]
    messages = received(data_dir / BYBIT)
    for symbol, prints in (("BTCUSDT", 56), ("ETHUSDT", 23)):
        told = [t for m in messages if m.get("topic") == f"publicTrade.{symbol}" for t in m["data"]]
        klines = [k for m in messages if m.get("topic") == f"kline.1.{symbol}" for k in m["data"]]
        report = symbols[f"bybit:{symbol}"]
        assert report["trades"]["count"] == len(told) == prints
        for side, name in (("Buy", "buy"), ("Sell", "sell")):
            assert Decimal(report["trades"][name]) == sum(Decimal(t["v"]) for t in told if t["S"] == side)
        before, kline = [k for k in klines if k["start"] == 1786310760000][-1], klines[-1]
        candle = next(c for c in report["candles_1m"] if c["open_ts"] == kline["start"])
        until = [t for t in told if kline["start"] <= t["T"] <= kline["timestamp"]]
        assert sum(Decimal(t["v"]) for t in until) == Decimal(kline["volume"])
        assert len(until) == candle["n"]
        assert Decimal(candle["buy"]) + Decimal(candle["sell"]) == Decimal(kline["volume"])
        assert Decimal(candle["close"]) == Decimal(kline["close"])
        assert Decimal(candle["high"]) <= Decimal(kline["high"])
        # A kline of this venue opens at the close of the one before, not at its first trade.
        assert Decimal(kline["open"]) == Decimal(before["close"])


def test_okx_quantities_are_contracts_times_their_value(data_dir: Path) -> None:
    """Spot in coins; inverse contracts, 10 and 100 dollars each, in dollars."""
    symbols = play_out(Player(Recording.load([data_dir / OKX]), speed=float("inf"))).report([])["symbols"]
    messages = received(data_dir / OKX)
    for symbol, value in (("BTC-USDT", "1"), ("UNI-USD-SWAP", "10"), ("BTC-USD-220527", "100")):
        told = [
            t for m in messages if m.get("arg") == {"channel": "trades", "instId": symbol} for t in m.get("data", [])
        ]
        trades = symbols[f"okx:{symbol}"]["trades"]
        assert trades["count"] == len(told)
        assert (trades["gaps"], trades["duplicates"]) == (0, 0)
        for side in ("buy", "sell"):
            expected = sum(Decimal(t["sz"]) for t in told if t["side"] == side) * Decimal(value)
            assert Decimal(trades[side]) == expected
    assert symbols["okx:UNI-USD-SWAP"]["trades"]["quote_volume"] == "1000"
