"""ccxt pro: `Client.handle_message` of binanceusdm, markets injected, books reset from the recorded snapshots."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import ccxt.pro
from aiohttp import WSMessage, WSMsgType

from ..state import Scale, State
from ..workload import Read, Workload


class _Exchange(ccxt.pro.binanceusdm):  # type: ignore[misc]
    """Counts the trades it parses: ccxt itself keeps the newest thousand of a symbol."""

    def parse_ws_trade(self, trade: Any, market: Any = None) -> Any:
        parsed = super().parse_ws_trade(trade, market)
        sums = self.sums.get(parsed["symbol"])
        if sums is None:
            sums = self.sums[parsed["symbol"]] = [0, 0, 0.0, 0.0]
        sums[0] += 1
        sums[1] = parsed["id"]
        sums[2 if parsed["side"] == "buy" else 3] += parsed["amount"]
        return parsed


class BinanceClient:
    """Books and trades; prices and quantities are floats."""

    def __init__(self, workload: Workload) -> None:
        self._scales = {s.name: Scale(s) for s in workload.symbols}
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(workload))

    async def _open(self, workload: Workload) -> None:
        self._exchange = exchange = _Exchange({"newUpdates": False})
        exchange.sums = {}
        markets = [self._market(s.name, s.tick / 10**s.price_decimals, 10**-s.lot_decimals) for s in workload.symbols]
        exchange.set_markets(markets)
        self._names = {market["symbol"]: market["id"] for market in markets}
        symbols = {market["id"]: market["symbol"] for market in markets}
        self._client = exchange.client("wss://fstream.binance.com/stream")
        for name, body in workload.snapshots.items():
            answer = json.loads(body)
            book = exchange.order_book({}, 1000)
            snapshot = exchange.parse_order_book(answer, symbols[name], answer["T"], "bids", "asks", 0, 1)
            snapshot["nonce"] = answer["lastUpdateId"]
            book.reset(snapshot)
            exchange.orderbooks[symbols[name]] = book

    def _market(self, name: str, tick: float, lot: float) -> Any:
        base, quote = name[:-4], name[-4:]
        return self._exchange.safe_market_structure(
            {
                "id": name,
                "lowercaseId": name.lower(),
                "symbol": f"{base}/{quote}:{quote}",
                **dict.fromkeys(("base", "baseId"), base),
                **dict.fromkeys(("quote", "quoteId", "settle", "settleId"), quote),
                **dict.fromkeys(("swap", "contract", "linear", "active"), True),
                **dict.fromkeys(("spot", "future", "option", "inverse", "margin"), False),
                "type": "swap",
                "contractSize": 1.0,
                "precision": {"price": tick, "amount": lot},
            }
        )

    def run(self, reads: list[Read]) -> None:
        self._loop.run_until_complete(self._run(reads))

    async def _run(self, reads: list[Read]) -> None:
        handle = self._client.handle_message
        for read in reads:
            for frame in read.frames:
                handle(WSMessage(WSMsgType.TEXT, frame.decode(), None))

    def state(self) -> State:
        names, scales = self._names, self._scales
        books = {}
        for symbol, book in self._exchange.orderbooks.items():
            scale = scales[names[symbol]]
            books[names[symbol]] = scale.side(map(tuple, book["bids"])), scale.side(map(tuple, book["asks"]))
        trades = {}
        for symbol, (n, last_id, bought, sold) in self._exchange.sums.items():
            scale = scales[names[symbol]]
            trades[names[symbol]] = n, int(last_id), scale.lots(bought), scale.lots(sold)
        return State(books, trades or None)
