"""Binance spot: the facts of the venue, read like a data sheet. State of November 2026.

Pairs quoted in dollars only: what panels compare is money, and theirs is one.
"""

from __future__ import annotations

import msgspec

from ..model.errors import VenueError
from ..model.instrument import Grid, Instrument
from ..model.rules import BookRule, TradeRule
from .binance_klines import minute_klines
from .binance_spot_codec import SpotCodec
from .binance_usdm import average_daily_volume, channel_of, exchange_info, stream_of, trade_ids, volumes_of
from .product import Lacks, Product, Sample, Volume
from .sheet import readable

VENUE = "binance-spot"
WEIGHT_PER_MINUTE = 6000
"""REQUEST_WEIGHT per IP in fixed minutes; refusals say in `Retry-After` how long to wait."""
STREAMS_PER_SOCKET = 200
"""1024 are allowed; see the futures."""
COMMANDS_PER_SECOND = 5
"""Incoming messages a second per connection, pings and pongs included."""
SERVER_PING_S = 20
DEPTH_WEIGHT = ((100, 5), (500, 25), (1000, 50), (5000, 250))
"""REST /depth: largest limit, and what it costs."""
KLINES_WEIGHT = ((1000, 2),)
WEIGHT = {"time": 1, "exchangeInfo": 20, "ticker_24hr_all": 80, "aggTrades": 4}
TRADES_PER_AGGREGATE = 1.4
"""Raw trades in the 24 h counts for each aggregate trade: here an aggregate is one taker order at one price."""
DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "USD1", "TUSD"})


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[dict[str, object]]


def parse_exchange_info(body: bytes, *, unreadable: list[str] | None = None) -> list[Instrument]:
    """Pairs quoted in dollars, in an exchangeInfo answer; see `sheet.readable`."""

    def read(raw: msgspec.Raw) -> Instrument | None:
        symbol = msgspec.json.decode(raw, type=_Symbol)
        return _instrument(symbol) if symbol.quoteAsset in DOLLARS else None

    rows = exchange_info(body)
    instruments = readable(rows, read, unreadable)
    if rows and not instruments:
        raise VenueError("Binance exchangeInfo lists no spot pair that can be read")
    return instruments


def _instrument(symbol: _Symbol) -> Instrument:
    filters = {str(f.get("filterType")): f for f in symbol.filters}
    return Instrument(
        index=-1,
        venue=VENUE,
        symbol=symbol.symbol,
        base=symbol.baseAsset,
        quote=symbol.quoteAsset,
        kind="spot",
        tick=Grid.parse(str(filters["PRICE_FILTER"]["tickSize"])),
        lot=Grid.parse(str(filters["LOT_SIZE"]["stepSize"])),
        status=symbol.status,
    )


def parse_volumes(body: bytes) -> list[Volume]:
    """See `Product.volumes`."""
    return volumes_of(body, TRADES_PER_AGGREGATE)


_SAMPLE_MS = 1_790_000_000_000
_SAMPLE = Sample(
    Instrument(0, VENUE, "WUSDT", "W", "USDT", "spot", tick=Grid.parse("0.1"), lot=Grid.parse("1")),
    _SAMPLE_MS * 1_000_000,
    tuple(
        b'{"stream":"wusdt@%b","data":%b}' % (stream, data)
        for stream, data in (
            (
                b"depth@100ms",
                b'{"e":"depthUpdate","E":%d,"s":"WUSDT","U":9,"u":12,"b":[["99.90","6.00"]],"a":[]}' % _SAMPLE_MS,
            ),
            (
                b"aggTrade",
                b'{"e":"aggTrade","E":%d,"s":"WUSDT","a":1,"p":"99.90","q":"2.00","f":1,"l":2,"T":%d,"m":true,"M":true}'
                % (_SAMPLE_MS, _SAMPLE_MS),
            ),
            (
                b"trade",
                b'{"e":"trade","E":%d,"s":"WUSDT","t":1,"p":"99.90","q":"2.00","T":%d,"m":true,"M":true}'
                % (_SAMPLE_MS, _SAMPLE_MS),
            ),
            (b"bookTicker", b'{"u":14,"s":"WUSDT","b":"99.90","B":"6.00","a":"100.10","A":"3.00"}'),
        )
    ),
)

PRODUCT = Product(
    name=VENUE,
    title="Binance spot",
    kind="spot",
    rest_url="https://api.binance.com",
    ws_url="wss://stream.binance.com:9443",
    example="BTCUSDT",
    codec=SpotCodec,
    # Ids of an instrument follow each other (U is the last u and one); one that begins earlier repeats what is known.
    book=BookRule("rest", overlap=True),
    trades=TradeRule(page=1000, page_weight=WEIGHT["aggTrades"]),
    instruments=parse_exchange_info,
    volumes=parse_volumes,
    daily_volume=average_daily_volume,
    minute_klines=minute_klines,
    channel_of=channel_of,
    stream_of=stream_of,
    trade_ids=trade_ids,
    depth_limits=(5, 10, 20, 50, 100, 500, 1000, 5000),
    funding_hours=None,
    lacks=Lacks(
        marks="Spot has no mark price.",
        funding="Spot pays no funding.",
        liquidations="Nothing is liquidated on spot.",
        open_interest="Spot has no open interest.",
    ),
    sample=_SAMPLE,
)
