"""The same market events in the words of every venue product, so that one suite can ask the same of all."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tapewatch.engine import Engine, Need
from tapewatch.feed.dialect import Dialect
from tapewatch.feed.dialects import DIALECTS
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.views import BookState
from tapewatch.venues.batch import Decoded
from tapewatch.venues.product import Product
from tapewatch.venues.registry import PRODUCTS

NOW = 1_791_565_600_000
"""Of all frames but the captured ones, and within the same second as those."""

Levels = Sequence[tuple[str, str]]
"""Price and base quantity as text."""


@dataclass(frozen=True)
class Snapshot:
    """A book that REST was asked for."""

    body: bytes


Message = bytes | Snapshot


def text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Words(ABC):
    """One product: BTC on a grid of 0.1 x 0.001, whatever units the venue counts in."""

    name: str
    symbol: str
    other = "币安人生USDT"
    """An instrument whose name is not ASCII."""

    @property
    def product(self) -> Product:
        return PRODUCTS[self.name]

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.name]

    def universe(self) -> Universe:
        grid = Grid.parse("0.1"), Grid.parse("0.001")
        names = {self.symbol: "BTC", self.other: "币安人生"}
        return Universe(self.name, [
            Instrument(-1, self.name, symbol, base, "USDT", self.product.kind, *grid, contract=self.contract)
            for symbol, base in names.items()
        ])  # fmt: skip

    contract: Decimal | None = None

    def size(self, quantity: str) -> str:
        """A base quantity in what the venue counts."""
        return quantity

    def after(self, number: int) -> int:
        """The id of a diff that comes after the one with this id."""
        return number + 7

    @abstractmethod
    def snapshot(self, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> Message: ...

    @abstractmethod
    def diff(self, before: int, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> bytes: ...

    @abstractmethod
    def trade(self, number: int, price: str, size: str, *, sell: bool, ms: int = NOW, symbol: str = "") -> bytes: ...

    def mark(self, mark: str, index: str, rate: str, next_ms: int, ms: int = NOW) -> list[bytes]:
        """Messages that together tell a mark; none where the product has no marks."""
        del mark, index, rate, next_ms, ms
        return []

    long: bytes = b""
    short: bytes = b""
    """A liquidation of each side, of `liquidated` at the time NOW + a second."""
    liquidated: tuple[str, str] = ("", "")
    """Quantity in base units and price of both."""

    @abstractmethod
    def listing(self) -> bytes:
        """A list with BTC, trading, and one row that cannot be read."""


class BinanceUsdm(Words):
    name, symbol = "binance", "BTCUSDT"
    long = (
        b'{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1791565601055,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT",'
        b'"f":"IOC","q":"0.190","p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190","T":1791565600120,'
        b'"ps":"BTCUSDT","st":1}}}'
    )
    """Captured 2026-10-09 (its seconds moved): the order that sold closed a long."""
    short = long.replace(b'"SELL"', b'"BUY"')
    liquidated = ("0.190", "82651.90")

    def _wrapped(self, stream: str, event: Any) -> bytes:
        return text({"stream": stream, "data": event})

    def snapshot(self, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> Message:
        return Snapshot(text({"lastUpdateId": number, "E": ms, "T": ms, "bids": bids, "asks": asks}))

    def diff(self, before: int, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> bytes:
        return self._wrapped("btcusdt@depth@100ms", {
            "e": "depthUpdate", "E": ms, "T": ms, "s": self.symbol, "U": before + 1, "u": number, "pu": before,
            "b": bids, "a": asks,
        })  # fmt: skip

    def trade(self, number: int, price: str, size: str, *, sell: bool, ms: int = NOW, symbol: str = "") -> bytes:
        name = symbol or self.symbol
        return self._wrapped(f"{name.lower()}@aggTrade", {
            "e": "aggTrade", "E": ms, "a": number, "s": name, "p": price, "q": size, "nq": size, "f": number,
            "l": number, "T": ms, "m": sell, "st": 1,
        })  # fmt: skip

    def mark(self, mark: str, index: str, rate: str, next_ms: int, ms: int = NOW) -> list[bytes]:
        row = {
            "e": "markPriceUpdate",
            "E": ms,
            "s": self.symbol,
            "p": mark,
            "P": mark,
            "i": index,
            "r": rate,
            "T": next_ms,
        }
        return [self._wrapped("!markPrice@arr@1s", [row])]

    def listing(self) -> bytes:
        filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]
        row = {"symbol": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": "BTC",
               "quoteAsset": "USDT", "filters": filters}  # fmt: skip
        return text({"symbols": [row, {"symbol": "broken"}]})


class BinanceSpot(Words):
    name, symbol = "binance-spot", "BTCUSDT"

    def _wrapped(self, stream: str, event: Any) -> bytes:
        return text({"stream": stream, "data": event})

    def snapshot(self, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> Message:
        del ms
        return Snapshot(text({"lastUpdateId": number, "bids": bids, "asks": asks}))

    def diff(self, before: int, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> bytes:
        return self._wrapped("btcusdt@depth@100ms", {
            "e": "depthUpdate", "E": ms, "s": self.symbol, "U": before + 1, "u": number, "b": bids, "a": asks,
        })  # fmt: skip

    def trade(self, number: int, price: str, size: str, *, sell: bool, ms: int = NOW, symbol: str = "") -> bytes:
        name = symbol or self.symbol
        return self._wrapped(f"{name.lower()}@aggTrade", {
            "e": "aggTrade", "E": ms, "s": name, "a": number, "p": price, "q": size, "f": number, "l": number, "T": ms,
            "m": sell, "M": True,
        })  # fmt: skip

    def listing(self) -> bytes:
        filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]
        row = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters,
               "isSpotTradingAllowed": True, "permissionSets": [["SPOT"]], "permissions": []}  # fmt: skip
        return text({"symbols": [row, {"symbol": "broken"}]})


class Bybit(Words):
    name, symbol = "bybit", "BTCUSDT"
    long = (
        b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1791565601482,"data":[{"T":1791565600992,"s":"BTCUSDT",'
        b'"S":"Buy","v":"0.006","p":"82396.90"}]}'
    )
    """Captured 2026-10-09: `S` is the side of the position."""
    short = long.replace(b'"Buy"', b'"Sell"')
    liquidated = ("0.006", "82396.90")

    def after(self, number: int) -> int:
        return number + 1

    def _book(self, kind: str, number: int, bids: Levels, asks: Levels, ms: int) -> bytes:
        data = {"s": self.symbol, "b": bids, "a": asks, "u": number, "seq": 9}
        return text({"topic": "orderbook.200.BTCUSDT", "type": kind, "ts": ms, "data": data, "cts": ms})

    def snapshot(self, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> Message:
        return self._book("snapshot", number, bids, asks, ms)

    def diff(self, before: int, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> bytes:
        del before
        return self._book("delta", number, bids, asks, ms)

    def trade(self, number: int, price: str, size: str, *, sell: bool, ms: int = NOW, symbol: str = "") -> bytes:
        name = symbol or self.symbol
        row = {"T": ms, "s": name, "S": "Sell" if sell else "Buy", "v": size, "p": price, "L": "PlusTick",
               "i": f"id-{number}", "BT": False, "RPI": False, "seq": 1000 + number}  # fmt: skip
        return text({"topic": f"publicTrade.{name}", "type": "snapshot", "ts": ms, "data": [row]})

    def mark(self, mark: str, index: str, rate: str, next_ms: int, ms: int = NOW) -> list[bytes]:
        data = {"symbol": self.symbol, "markPrice": mark, "indexPrice": index, "fundingRate": rate,
                "nextFundingTime": str(next_ms)}  # fmt: skip
        return [text({"topic": "tickers.BTCUSDT", "type": "snapshot", "data": data, "cs": 5, "ts": ms})]

    def listing(self) -> bytes:
        row = {"symbol": "BTCUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
               "quoteCoin": "USDT", "priceFilter": {"tickSize": "0.10"}, "lotSizeFilter": {"qtyStep": "0.001"},
               "fundingInterval": 480}  # fmt: skip
        return text({"retCode": 0, "retMsg": "OK", "result": {"list": [row, {"symbol": "broken"}]}})


class Okx(Words):
    name, symbol, other = "okx", "BTC-USDT-SWAP", "币安人生-USDT-SWAP"
    contract = Decimal("0.01")
    long = (
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"82655.7",'
        b'"ccy":"","posSide":"long","side":"sell","sz":"8.5","ts":"1791565600771"}],"instFamily":"BTC-USDT",'
        b'"instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}]}'
    )
    """Captured 2026-10-09 (8.55 contracts there): `posSide` is who was liquidated."""
    short = long.replace(b'"long","side":"sell"', b'"short","side":"buy"')
    liquidated = ("0.085", "82655.7")

    def size(self, quantity: str) -> str:
        return f"{Decimal(quantity) * 100:f}"

    def _on(self, channel: str, *data: Any, about: str = "", **more: Any) -> bytes:
        return text({"arg": {"channel": channel, "instId": about or self.symbol}, **more, "data": data})

    def _book(self, action: str, before: int, number: int, bids: Levels, asks: Levels, ms: int) -> bytes:
        sides = [[(price, self.size(qty), "0", "1") for price, qty in side] for side in (asks, bids)]
        row = {"asks": sides[0], "bids": sides[1], "ts": str(ms), "checksum": 0, "prevSeqId": before, "seqId": number}
        return self._on("books", row, action=action)

    def snapshot(self, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> Message:
        return self._book("snapshot", -1, number, bids, asks, ms)

    def diff(self, before: int, number: int, bids: Levels, asks: Levels, ms: int = NOW) -> bytes:
        return self._book("update", before, number, bids, asks, ms)

    def trade(self, number: int, price: str, size: str, *, sell: bool, ms: int = NOW, symbol: str = "") -> bytes:
        name = symbol or self.symbol
        row = {"instId": name, "tradeId": str(number), "px": price, "sz": self.size(size), "ts": str(ms), "count": "1",
               "side": "sell" if sell else "buy", "source": "0", "seqId": 7}  # fmt: skip
        return self._on("trades", row, about=name)

    def mark(self, mark: str, index: str, rate: str, next_ms: int, ms: int = NOW) -> list[bytes]:
        funding = {"instId": self.symbol, "fundingRate": rate, "fundingTime": str(next_ms), "ts": str(ms)}
        return [
            self._on("index-tickers", {"instId": "BTC-USDT", "idxPx": index, "ts": str(ms)}, about="BTC-USDT"),
            self._on("funding-rate", funding),
            self._on("mark-price", {"instId": self.symbol, "markPx": mark, "ts": str(ms)}),
        ]

    def listing(self) -> bytes:
        row = {"instType": "SWAP", "instId": self.symbol, "instFamily": "BTC-USDT", "settleCcy": "USDT",
               "ctVal": "0.01", "ctMult": "1", "ctType": "linear", "tickSz": "0.1", "lotSz": "0.1",
               "state": "live"}  # fmt: skip
        return text({"code": "0", "msg": "", "data": [row, {"instId": "broken"}]})


ALL: list[Words] = [BinanceUsdm(), BinanceSpot(), Bybit(), Okx()]


class Session:
    """Engine and codec of one product, given messages one by one or many at once."""

    def __init__(self, words: Words) -> None:
        product = words.product
        self.words = words
        self.universe = words.universe()
        self.engine = Engine(self.universe, book=product.book, trades=product.trades)
        self.codec = product.codec(self.universe)
        self.refused: list[str] = []
        self.engine.follow_book(0)

    def take(self, *messages: Message, at_a_time: int = 1) -> list[Need]:
        """Apply messages; returns the books that are wanted anew because of them."""
        needs: list[Need] = []
        frames: list[bytes] = []
        for message in messages:
            if isinstance(message, Snapshot):
                needs += self._frames(frames)
                frames = []
                needs += self.engine.apply(self.codec.snapshot(self.words.symbol, message.body, RECV_NS))
            else:
                frames.append(message)
            if len(frames) >= at_a_time:
                needs += self._frames(frames)
                frames = []
        return needs + self._frames(frames)

    def _frames(self, frames: list[bytes]) -> list[Need]:
        if not frames:
            return []
        decoded = self.decode(frames)
        self.refused += [rejected.reason for rejected in decoded.rejected]
        return self.engine.apply(decoded.tape)

    def decode(self, frames: Sequence[bytes]) -> Decoded:
        ends, size = [], 0
        for frame in frames:
            size += len(frame)
            ends.append(size)
        return self.codec.decode(b"".join(frames), ends, RECV_NS)

    def state(self) -> BookState:
        return self.engine.book_state(0)

    def sides(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The book as text, best first."""
        view = self.engine.book(0)
        one = self.universe[0]
        bids, asks = (
            [(one.tick.to_text(price), one.lot.to_text(lots)) for price, lots in side.tolist()]
            for side in (view.bids, view.asks)
        )
        return bids, asks


RECV_NS = (NOW + 1_600) * 1_000_000
