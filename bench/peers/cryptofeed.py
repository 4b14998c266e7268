"""cryptofeed: `BinanceFutures.message_handler`, awaited for each message, with a callback on every channel.

Its own `_snapshot` loads the books, its HTTP connection replaced by the recorded answers.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

from cryptofeed.defines import BUY, FUNDING, L2_BOOK, LIQUIDATIONS, TICKER, TRADES
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbols

from ..state import Level, State
from ..workload import Read, Workload


class _Snapshots:
    def __init__(self, bodies: dict[str, bytes]) -> None:
        self._bodies = bodies

    async def read(self, url: str, **_: Any) -> str:
        return self._bodies[url.split("symbol=")[1].split("&", 1)[0]].decode()


class BinanceFeed:
    """Books and trades; prices and quantities are Decimals."""

    def __init__(self, workload: Workload) -> None:
        self._scales = {s.name: (10**s.price_decimals, 10**s.lot_decimals) for s in workload.symbols}
        info = {
            "symbols": [
                {
                    "symbol": s.name,
                    "status": "TRADING",
                    "contractType": "PERPETUAL",
                    "baseAsset": s.name[:-4],
                    "quoteAsset": s.name[-4:],
                    "filters": [{"tickSize": str(Decimal(s.tick).scaleb(-s.price_decimals))}],
                }
                for s in workload.symbols
            ]
        }
        self._names, meta = BinanceFutures._parse_symbol_data(info)
        Symbols.set(BinanceFutures.id, self._names, meta)
        self._trades: dict[str, list[Any]] = {}
        callbacks = {
            TRADES: self._on_trade,
            L2_BOOK: self._on_other,
            TICKER: self._on_other,
            FUNDING: self._on_other,
            LIQUIDATIONS: self._on_other,
        }
        symbols = [name for name in self._names if "PINDEX" not in name]
        self._feed = BinanceFutures(symbols=symbols, channels=list(callbacks), callbacks=callbacks)
        if not getattr(self._feed, "normalized_symbol_mapping", None):
            self._feed.normalized_symbol_mapping = self._names
        self._feed.http_conn = _Snapshots(workload.snapshots)
        self._loop = asyncio.new_event_loop()
        for symbol in workload.snapshots:
            self._loop.run_until_complete(self._feed._snapshot(symbol))

    async def _on_trade(self, trade: Any, _: float) -> None:
        sums = self._trades.get(trade.symbol)
        if sums is None:
            sums = self._trades[trade.symbol] = [0, 0, 0, 0]
        sums[0] += 1
        sums[1] = trade.id
        sums[2 if trade.side == BUY else 3] += trade.amount

    async def _on_other(self, _: Any, __: float) -> None:
        pass

    def run(self, reads: list[Read]) -> None:
        self._loop.run_until_complete(self._run(reads))

    async def _run(self, reads: list[Read]) -> None:
        handle = self._feed.message_handler
        now = time.time()
        for read in reads:
            for frame in read.frames:
                await handle(frame, None, now)

    def state(self) -> State:
        books = {}
        for name, book in self._feed._l2_book.items():
            symbol = self._names[name]
            books[symbol] = self._side(symbol, book.book.bids), self._side(symbol, book.book.asks)
        trades = {}
        for name, (n, last_id, bought, sold) in self._trades.items():
            lots = self._scales[self._names[name]][1]
            trades[self._names[name]] = n, int(last_id), int(bought * lots), int(sold * lots)
        return State(books, trades or None)

    def _side(self, symbol: str, side: Any) -> list[Level]:
        points, lots = self._scales[symbol]
        return [(int(price * points), int(qty * lots)) for price, qty in side.to_dict().items()]
