"""How Binance spot is spoken to."""

from __future__ import annotations

from types import MappingProxyType

from ..model.channel import Channel
from ..venues.binance_spot import (
    COMMANDS_PER_SECOND,
    DEPTH_WEIGHT,
    KLINES_WEIGHT,
    PRODUCT,
    STREAMS_PER_SOCKET,
    WEIGHT,
    WEIGHT_PER_MINUTE,
)
from .binance_rest import BinanceRest
from .binance_usdm import agg_trade, book_ticker, depth
from .binance_wire import BinanceWire
from .dialect import Dialect
from .plan import Offer, Stream

TICKERS = Stream("!miniTicker@arr", Channel.TICKERS)


class BinanceSpotRest(BinanceRest):
    """See `rest.VenueRest`."""

    title = PRODUCT.title
    weight_limit = WEIGHT_PER_MINUTE
    root = "/api/v3"
    weights = MappingProxyType(WEIGHT)
    depth_weights = DEPTH_WEIGHT
    klines_weights = KLINES_WEIGHT


def canary(symbol: str) -> Stream:
    """24 h figures of a busy pair change every second."""
    return Stream(f"{symbol.lower()}@miniTicker", Channel.CANARY, symbol)


DIALECT = Dialect(
    product=PRODUCT,
    rest=BinanceSpotRest,
    wire=BinanceWire(command_every_s=2 / COMMANDS_PER_SECOND),
    offer=Offer(
        trades=lambda symbol: (agg_trade(symbol),),
        books=lambda symbol: (depth(symbol), book_ticker(symbol)),
        whole_market=(TICKERS,),
        canary=canary,
        streams_per_socket=STREAMS_PER_SOCKET,
    ),
    path=lambda _: "/stream",
)
