"""Binance USD-M futures: the facts of the venue, read like a data sheet. State of November 2026.

Rates, routes and rules are the venue's own; the parsing of its messages is in `binance_usdm_codec`.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from ..model.channel import Channel
from ..model.errors import FrameError, VenueError
from ..model.instrument import Grid, Instrument
from ..model.interest import OpenInterest
from ..model.rules import BookRule, TradeRule
from .binance_klines import minute_klines
from .binance_usdm_codec import Codec
from .binance_usdm_messages import DEPTH_LIMITS
from .checks import read_json
from .product import Product, Volume
from .sheet import mean, readable

VENUE = "binance"

WEIGHT_PER_MINUTE = 2400
"""REQUEST_WEIGHT per IP in fixed minutes; the pool is shared with COIN-M since 2026-06-30."""
STREAMS_PER_SOCKET = 200
"""Documented as 1024; professional clients shard at 200 for throughput."""
COMMANDS_PER_SECOND = 10
"""Incoming messages a second per connection, pings and pongs included; more is a disconnect."""
SOCKET_LIFETIME_S = 24 * 3600
SERVER_PING_S = 180
AGG_TRADES_HORIZON_MS = 48 * 3600 * 1000

KLINES_WEIGHT = ((99, 1), (499, 2), (1000, 5), (1500, 10))
"""REST /klines: largest limit, and what it costs."""
PRINTS_PER_AGGREGATE = 2.5
"""Raw trades in the 24 h counts for each aggregate trade on the stream."""
DEPTH_WEIGHT = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
"""REST /depth: allowed limits and what each costs."""
WEIGHT = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 1,
    "aggTrades": 20,
    "klines_lt_100": 1,
    "ticker_24hr_all": 40,
    "premiumIndex_all": 10,
    "openInterest": 1,
    "fundingInfo": 1,  # free, but bounded
}

CHANNELS = {
    "aggTrade": Channel.TRADES,
    "trade": Channel.TRADES,
    "forceOrder": Channel.LIQUIDATIONS,
    "markPrice": Channel.MARKS,
    "depth": Channel.DEPTH,
    "bookTicker": Channel.QUOTES,
    "ticker": Channel.TICKERS,
    "miniTicker": Channel.TICKERS,
    "contractInfo": Channel.INSTRUMENTS,
}
"""What each of its streams tells, on futures and spot."""
_CHANNELS = {name.encode(): channel for name, channel in CHANNELS.items()}

_NAMED_STREAM = re.compile(rb'"stream":"([^"@!]{1,40})@([A-Za-z]+)')


def stream_of(frame: bytes) -> tuple[str, Channel] | None:
    """See `Product.stream_of`."""
    found = _NAMED_STREAM.search(frame)
    channel = None if found is None else _CHANNELS.get(found[2])
    return None if found is None or channel is None else (found[1].decode("utf-8", "replace").upper(), channel)


NO_DELIVERY_MS = 4_133_404_800_000
"""deliveryDate of a perpetual without announced delisting (2100-12-25)."""

_KINDS = {
    "PERPETUAL": "perp",
    "TRADIFI_PERPETUAL": "tradfi-perp",
    "CURRENT_QUARTER": "future",
    "NEXT_QUARTER": "future",
}


_COIN_MARGINED = "USD_"
"""In the names of COIN-M's contracts alone (BTCUSD_PERP, BTCUSD_261225): theirs are counted in dollars and have other
fields. Dated ones of ours are BTCUSDT_261225."""


class _Named(msgspec.Struct):
    symbol: str


class _Symbol(msgspec.Struct):
    symbol: str
    contractType: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[dict[str, object]]
    onboardDate: int = 0
    deliveryDate: int = 0


class _FundingInfo(msgspec.Struct):
    symbol: str
    fundingIntervalHours: int = 0


class _ExchangeInfo(msgspec.Struct):
    symbols: list[msgspec.Raw]


_STREAM = b'{"stream":"'


def channel_of(buffer: bytes | bytearray, start: int, end: int) -> tuple[Channel | None, bool]:
    """See `Product.channel_of`. A stream is ``btcusdt@aggTrade`` of one instrument, ``!forceOrder@arr`` of all."""
    if not buffer.startswith(_STREAM, start):
        return None, False
    begin = start + len(_STREAM)
    parts = bytes(buffer[begin : buffer.find(b'"', begin, end)]).split(b"@")
    if parts[0].startswith(b"!"):
        return _CHANNELS.get(parts[0][1:]), True
    return (_CHANNELS.get(parts[1]) if len(parts) > 1 else None), False


def parse_exchange_info(body: bytes, *, unreadable: list[str] | None = None) -> list[Instrument]:
    """Perpetuals, TradFi perpetuals and dated futures of an exchangeInfo answer; see `sheet.readable`.

    Contracts of other kinds (and COIN-M rows that leak into the answer) are left out.
    """

    def read(raw: msgspec.Raw) -> Instrument | None:
        if _COIN_MARGINED in msgspec.json.decode(raw, type=_Named).symbol:
            return None
        symbol = msgspec.json.decode(raw, type=_Symbol)
        return _instrument(symbol, _KINDS[symbol.contractType]) if symbol.contractType in _KINDS else None

    rows = exchange_info(body)
    instruments = readable(rows, read, unreadable)
    if rows and not instruments:
        raise VenueError("Binance exchangeInfo lists no perpetual that can be read")
    return instruments


def exchange_info(body: bytes) -> list[msgspec.Raw]:
    """Rows of an exchangeInfo answer, of futures or spot."""
    try:
        return msgspec.json.decode(body, type=_ExchangeInfo).symbols
    except msgspec.MsgspecError as error:
        raise VenueError(f"Binance exchangeInfo cannot be read: {error}") from error


def funding_intervals(body: bytes) -> dict[str, int]:
    """Time between funding payments by symbol, ms, from a fundingInfo answer.

    It lists only symbols that differ from the usual 8 hours in anything. An empty list tells nothing: the venue's
    own is never empty.
    """
    try:
        rows = msgspec.json.decode(body, type=list[_FundingInfo])
    except msgspec.MsgspecError as error:
        raise VenueError(f"Binance fundingInfo cannot be read: {error}") from error
    return {row.symbol: row.fundingIntervalHours * 3_600_000 for row in rows if row.fundingIntervalHours > 0}


def _instrument(symbol: _Symbol, kind: str) -> Instrument:
    """`tickSize` and `stepSize` decide; the venue says never to use its precision fields."""
    filters = {str(f.get("filterType")): f for f in symbol.filters}
    return Instrument(
        index=-1,
        venue=VENUE,
        symbol=symbol.symbol,
        base=symbol.baseAsset,
        quote=symbol.quoteAsset,
        kind=kind,
        tick=Grid.parse(str(filters["PRICE_FILTER"]["tickSize"])),
        lot=Grid.parse(str(filters["LOT_SIZE"]["stepSize"])),
        status=symbol.status,
        onboard_ms=symbol.onboardDate,
        delivery_ms=0 if symbol.deliveryDate >= NO_DELIVERY_MS else symbol.deliveryDate,
    )


def average_daily_volume(klines_body: bytes, *, now_ms: int, days: int) -> tuple[Decimal, int]:
    """Mean quote volume of the last `days` complete UTC days in a daily klines answer, and how many there were."""
    try:
        rows = msgspec.json.decode(klines_body, type=list[list[int | str]])
        complete = [Decimal(str(row[7])) for row in rows if int(row[6]) < now_ms]
    except (msgspec.MsgspecError, ArithmeticError, IndexError, ValueError) as error:
        raise FrameError("bad_klines", str(error)) from error
    return mean(complete[-days:])


class _OpenInterest(msgspec.Struct):
    """{"symbol":"BTCUSDT","openInterest":"95253.475","time":1791269771665}: base units, one side."""

    symbol: str
    openInterest: Decimal
    time: int


_interest = msgspec.json.Decoder(_OpenInterest)


def read_interest(body: bytes) -> OpenInterest:
    """See `Product.interest`."""
    told: _OpenInterest = read_json(_interest, body)
    return OpenInterest(told.symbol, told.openInterest, told.time)


class _Volume(msgspec.Struct):
    """One row of REST /ticker/24hr."""

    symbol: str
    quoteVolume: float = 0.0
    count: int = 0


_volumes = msgspec.json.Decoder(list[_Volume], strict=False)


def parse_volumes(body: bytes) -> list[Volume]:
    """See `Product.volumes`."""
    return volumes_of(body, PRINTS_PER_AGGREGATE)


def volumes_of(body: bytes, prints_per_aggregate: float) -> list[Volume]:
    """Rows of any of the venue's /ticker/24hr, which counts raw trades."""
    return [Volume(row.symbol, row.quoteVolume, row.count / prints_per_aggregate) for row in _volumes.decode(body)]


class _Id(msgspec.Struct):
    a: int


_ids = msgspec.json.Decoder(list[_Id])


def trade_ids(body: bytes) -> list[int]:
    """See `Product.trade_ids`: aggregate trades."""
    try:
        return [row.a for row in _ids.decode(body)]
    except msgspec.MsgspecError as error:
        raise FrameError("bad_trades", str(error)) from error


PRODUCT = Product(
    name=VENUE,
    title="Binance USD-M futures",
    kind="perp",
    rest_url="https://fapi.binance.com",
    ws_url="wss://fstream.binance.com",
    example="BTCUSDT",
    codec=Codec,
    # A diff names the end of the one before it (pu); ids are global, so nothing else proves continuity.
    book=BookRule("rest"),
    trades=TradeRule(page=1000, page_weight=WEIGHT["aggTrades"], horizon_ms=AGG_TRADES_HORIZON_MS),
    instruments=parse_exchange_info,
    volumes=parse_volumes,
    daily_volume=average_daily_volume,
    minute_klines=minute_klines,
    channel_of=channel_of,
    stream_of=stream_of,
    trade_ids=trade_ids,
    depth_limits=DEPTH_LIMITS,
    liquidations="At most the largest of each second a symbol: totals are an undercount.",
    funding_hours=8,
    funding_intervals=funding_intervals,
    interest=read_interest,
)
