"""nautilus_trader: the handlers, decoders and parsers of its Binance futures client, bound to no connection.

Deltas go into its own order books (Rust), trade ticks are summed. Its newer adapter in Rust cannot be fed from outside.
"""

from __future__ import annotations

import types
from typing import Any

import msgspec
import nautilus_trader.adapters.binance.futures.data as futures
import orjson
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.common.schemas import market
from nautilus_trader.adapters.binance.data import BinanceCommonDataClient as Common
from nautilus_trader.common.component import LiveClock
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDeltas, TradeTick
from nautilus_trader.model.enums import AggressorSide, BookType
from nautilus_trader.model.identifiers import Venue

from ..state import Scale, State
from ..workload import Read, Workload


class _Log:
    def error(self, *_: object) -> None: ...

    def exception(self, _: str, error: Exception) -> None:
        raise error


class BinanceClient:
    """Books and trades; prices and quantities are fixed point numbers of its own."""

    def __init__(self, workload: Workload) -> None:
        self._scales = {s.name: Scale(s) for s in workload.symbols}
        self._trades: dict[Any, list[Any]] = {}
        client = self._client()
        self._handle = types.MethodType(Common._handle_ws_message, client)
        self._ids = {client._get_cached_instrument_id(s.name): s.name for s in workload.symbols}
        self._books = {i: OrderBook(i, BookType.L2_MBP) for i, name in self._ids.items() if name in workload.snapshots}
        decoder = msgspec.json.Decoder(market.BinanceOrderBookData)
        for symbol, body in workload.snapshots.items():
            answer = orjson.loads(body)
            ids = dict.fromkeys("Uu", answer["lastUpdateId"])
            levels = {"b": answer["bids"], "a": answer["asks"]}
            data = decoder.decode(
                orjson.dumps({"e": "s", "E": answer["E"], "T": answer["T"], "s": symbol, **ids, **levels})
            )
            i = client._get_cached_instrument_id(symbol)
            self._books[i].apply_deltas(data.parse_to_order_book_deltas(i, 0, snapshot=True))

    def _client(self) -> Any:
        """What the methods of the client need of it, and no more."""
        client: Any = types.SimpleNamespace()
        client._clock, client._log, client.venue = LiveClock(), _Log(), Venue("BINANCE")
        client._instrument_ids, client._book_buffer = {}, {}
        client._binance_account_type = BinanceAccountType.USDT_FUTURES
        client._decoder_data_msg_wrapper = msgspec.json.Decoder(market.BinanceDataMsgWrapper)
        client._decoder_order_book_msg = msgspec.json.Decoder(market.BinanceOrderBookMsg)
        client._decoder_quote_msg = msgspec.json.Decoder(market.BinanceQuoteMsg)
        client._decoder_agg_trade_msg = msgspec.json.Decoder(market.BinanceAggregatedTradeMsg)
        client._decoder_futures_mark_price_msg = msgspec.json.Decoder(futures.BinanceFuturesMarkPriceMsg)
        for owner, names in (
            (
                Common,
                ("_get_cached_instrument_id", "_handle_book_diff_update", "_handle_book_ticker", "_handle_agg_trade"),
            ),
            (futures.BinanceFuturesDataClient, ("_handle_mark_price", "_handle_mark_price_data")),
        ):
            for name in names:
                setattr(client, name, types.MethodType(getattr(owner, name), client))
        # As the client builds it: the first key found in the stream's name decides.
        client._ws_handlers = {
            "@bookTicker": client._handle_book_ticker,
            "@aggTrade": client._handle_agg_trade,
            "@depth@": client._handle_book_diff_update,
            "@depth": client._handle_book_diff_update,
            "@markPrice": client._handle_mark_price,
        }
        client._handle_data = self._on_data
        return client

    def _on_data(self, data: Any) -> None:
        kind = type(data)
        if kind is OrderBookDeltas:
            self._books[data.instrument_id].apply_deltas(data)
        elif kind is TradeTick:
            sums = self._trades.get(data.instrument_id)
            if sums is None:
                sums = self._trades[data.instrument_id] = [0, 0, 0.0, 0.0]
            sums[0] += 1
            sums[1] = data.trade_id
            sums[2 if data.aggressor_side == AggressorSide.BUYER else 3] += data.size.as_double()

    def run(self, reads: list[Read]) -> None:
        handle = self._handle
        for read in reads:
            for frame in read.frames:
                handle(frame)

    def state(self) -> State:
        books = {}
        for i, book in self._books.items():
            scale = self._scales[self._ids[i]]
            bids, asks = (
                [(scale.price(level.price), scale.lots(level.size())) for level in side]
                for side in (book.bids(), book.asks())
            )
            books[self._ids[i]] = bids, asks
        trades = {}
        for i, (n, last_id, bought, sold) in self._trades.items():
            scale = self._scales[self._ids[i]]
            trades[self._ids[i]] = n, int(str(last_id)), scale.lots(bought), scale.lots(sold)
        return State(books, trades or None)
