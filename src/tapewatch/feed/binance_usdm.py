"""How Binance USD-M futures are spoken to."""

from __future__ import annotations

from types import MappingProxyType

from ..model.channel import Channel
from ..venues.binance_usdm import (
    COMMANDS_PER_SECOND,
    DEPTH_WEIGHT,
    KLINES_WEIGHT,
    PRODUCT,
    STREAMS_PER_SOCKET,
    WEIGHT,
    WEIGHT_PER_MINUTE,
)
from .binance_rest import BinanceRest
from .binance_wire import BinanceWire
from .budget import Priority
from .dialect import Dialect
from .plan import Offer, Stream
from .taps import last_trade_ids

MARK_PRICES = Stream("!markPrice@arr@1s", Channel.MARKS)
TICKERS = Stream("!ticker@arr", Channel.TICKERS)
FORCE_ORDERS = Stream("!forceOrder@arr", Channel.LIQUIDATIONS)
CONTRACTS = Stream("!contractInfo", Channel.INSTRUMENTS)


class BinanceUsdmRest(BinanceRest):
    """See `rest.VenueRest`."""

    title = PRODUCT.title
    weight_limit = WEIGHT_PER_MINUTE
    root = "/fapi/v1"
    weights = MappingProxyType(WEIGHT)
    depth_weights = tuple(DEPTH_WEIGHT.items())
    klines_weights = KLINES_WEIGHT

    async def premium_index(self) -> bytes:
        return await self.get("/fapi/v1/premiumIndex", WEIGHT["premiumIndex_all"], Priority.CONTROL)

    async def funding(self) -> bytes:
        """Symbols whose funding differs from the usual; of no weight, 500 in 5 minutes."""
        return await self.get("/fapi/v1/fundingInfo", WEIGHT["fundingInfo"], Priority.BACKGROUND)

    async def open_interest(self, symbol: str) -> bytes:
        return await self.get("/fapi/v1/openInterest", WEIGHT["openInterest"], Priority.BACKGROUND, symbol=symbol)


def agg_trade(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@aggTrade", Channel.TRADES, symbol)


def depth(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@depth@100ms", Channel.DEPTH, symbol)


def book_ticker(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@bookTicker", Channel.QUOTES, symbol)


def canary(symbol: str) -> Stream:
    """Mark prices come once a second."""
    return Stream(f"{symbol.lower()}@markPrice@1s", Channel.CANARY, symbol)


OFFER = Offer(
    trades=lambda symbol: (agg_trade(symbol),),
    books=lambda symbol: (depth(symbol), book_ticker(symbol)),
    whole_market=(MARK_PRICES, FORCE_ORDERS, CONTRACTS, TICKERS),
    canary=canary,
    routes=("market", "market", "public"),
    streams_per_socket=STREAMS_PER_SOCKET,
)

DIALECT = Dialect(
    product=PRODUCT,
    rest=BinanceUsdmRest,
    wire=BinanceWire(command_every_s=2 / COMMANDS_PER_SECOND),
    offer=OFFER,
    path=lambda route: f"/{route}/stream",
    last_trade_ids=last_trade_ids,
    liquidation_mark=b'"o":{',
)
