"""Who was liquidated: frames of each venue as they came over the wire, and what API and stream say of them.

The table of docs/venues.md, row by row. Captured 2026-10-09 and 2026-09-27. No capture of a short of Bybit or OKX is at
hand: theirs are the examples that the venues print in their own documentation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType

from market_world import Feed, World, serve
from tapewatch.config import Config, ThresholdsConfig
from tapewatch.hub.wire import decode
from tapewatch.model.instrument import Grid, Instrument
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.venues.registry import PRODUCTS


@dataclass(frozen=True)
class Case:
    """A frame, and what has to be said of it."""

    venue: str
    symbol: str
    frame: str
    side: str
    quantity: str
    price: str
    contract: Decimal | None = None
    tick: str = "0.1"
    lot: str = "0.001"


BINANCE_LONG = (
    '{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT",'
    '"f":"IOC","q":"0.190","p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190","T":1791565602120,'
    '"ps":"BTCUSDT","st":1}}}'
)
BINANCE_SHORT = (
    '{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1790526560226,"o":{"s":"SOONUSDT","S":"BUY","o":"LIMIT",'
    '"f":"IOC","q":"6335","p":"0.3389000","ap":"0.3347839","X":"FILLED","l":"205","z":"6335","T":1790526560090,'
    '"ps":"SOONUSDT","st":1}}}'
)
BYBIT_LONG = (
    '{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1791565601482,"data":[{"T":1791565600992,"s":"BTCUSDT",'
    '"S":"Buy","v":"0.006","p":"82396.90"}]}'
)
OKX_LONG = (
    '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"82655.7",'
    '"ccy":"","posSide":"long","side":"sell","sz":"8.55","ts":"1791565600771"}],"instFamily":"BTC-USDT",'
    '"instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}]}'
)
BYBIT_SHORT = (
    '{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"ROSEUSDT",'
    '"S":"Sell","v":"20000","p":"0.04499"}]}'
)
OKX_SHORT = (
    '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"0.007831",'
    '"ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"}],"instFamily":"IOST-USDT",'
    '"instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"}]}'
)
HUNDREDTH = Decimal("0.01")
CASES = [
    Case("binance", "BTCUSDT", BINANCE_LONG, "long", "0.190", "82651.9"),
    Case("binance", "SOONUSDT", BINANCE_SHORT, "short", "6335.000", "0.3347839", tick="0.0000001"),
    Case("bybit", "BTCUSDT", BYBIT_LONG, "long", "0.006", "82396.9"),
    Case("bybit", "ROSEUSDT", BYBIT_SHORT, "short", "20000", "0.04499", tick="0.00001", lot="1"),
    Case("okx", "BTC-USDT-SWAP", OKX_LONG, "long", "0.0855", "82655.7", HUNDREDTH, lot="0.0001"),
    Case("okx", "IOST-USDT-SWAP", OKX_SHORT, "short", "13000", "0.007831", Decimal(1000), tick="0.000001", lot="1000"),
    Case(
        "okx",
        "BTC-USDT-SWAP",
        OKX_LONG.replace('"long"', '"net"'),
        "long",
        "0.0855",
        "82655.7",
        HUNDREDTH,
        lot="0.0001",
    ),
    Case(
        "okx",
        "BTC-USDT-SWAP",
        OKX_LONG.replace('"posSide":"long","side":"sell"', '"posSide":"net","side":"buy"'),
        "short",
        "0.0855",
        "82655.7",
        HUNDREDTH,
        lot="0.0001",
    ),
]


def world_of(case: Case, folder: Path) -> World:
    """A program that follows this one instrument, and has heard the frame."""
    config = Config().venues.of(case.venue)
    node = VenueNode(PRODUCTS[case.venue], config, ThresholdsConfig(), Quarantine(folder / "refused"))
    grid = Grid.parse(case.tick), Grid.parse(case.lot)
    one = Instrument(0, case.venue, case.symbol, "BTC", "USDT", "perp", *grid, contract=case.contract)
    node.on_universe([one])
    body = case.frame.encode()
    happened_ms = max(int(number) for number in re.findall(r"\b\d{13}\b", case.frame))
    node.on_frames(bytearray(body), [len(body)], (happened_ms + 50) * 1_000_000)
    assert not node.quarantine.by_reason
    world = World(folder)
    world.venues = {case.venue: node}
    world.feeds = {case.venue: Feed()}
    return world


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.venue}-{case.side}")
async def test_a_liquidation_is_told_by_the_position_that_was_closed(case: Case, tmp_path: Path) -> None:
    notional = Decimal(case.quantity) * Decimal(case.price)
    asked = f"exchange={case.venue}&symbol={case.symbol}"
    async with serve(world_of(case, tmp_path)) as served:
        told = json.loads(await served.text(f"/api/liquidations?{asked}"), parse_float=Decimal)
        clusters = json.loads(await served.text(f"/api/liquidations/clusters?{asked}"), parse_float=Decimal)
        async with served.ws("/ws/stream") as ws:
            params = {"exchange": case.venue, "limit": 10}
            await ws.send_json({"op": "subscribe", "id": 1, "topic": "liquidations", "params": params})
            head, columns = await frame(ws)
    (row,) = told["liquidations"]
    assert (row["side"], row["quantity"], row["price"]) == (case.side, Decimal(case.quantity), Decimal(case.price))
    assert Decimal(row["notional"]) == notional
    (bucket,) = clusters["clusters"]
    long = case.side == "long"
    assert (bucket["long_count"], bucket["short_count"]) == (int(long), int(not long))
    assert float(bucket["long_notional" if long else "short_notional"]) == pytest.approx(float(notional))
    assert clusters["coverage_words"]
    assert columns["long"].tolist() == [int(long)]
    (minute,) = head["meta"]["minutes"]
    assert minute[3:] == [int(long), int(not long)]


async def frame(ws: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.BINARY:
            told = decode(message.data)
            return told.header, dict(told.columns)
