"""Answers of Bybit's v5 REST interface: ``{"retCode":0,"retMsg":"OK","result":{"list":[…]},"time":…}``.

Errors come with HTTP 200 and another `retCode`; lists are newest first; numbers and times are strings.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ..model.errors import VenueError
from ..model.instrument import Grid, Instrument
from .product import Volume
from .sheet import mean_of_days, readable

VENUE = "bybit"
RECENT_TRADES = 1000
"""Trades in an answer of recent-trade at most: the newest there are."""

_STATUS = {"Trading": "TRADING", "PreLaunch": "PRE_LAUNCH", "Delivering": "DELIVERING", "Closed": "CLOSED"}
_TRADFI = frozenset({"stock", "commodity", "forex"})
_MINUTE_MS = 60_000
QUOTE_PER_TRADE_MESSAGE = 3_000.0
"""Of a typical one: the venue's 24 h figures have no number of trades."""


class _PriceFilter(msgspec.Struct):
    tickSize: str


class _LotSizeFilter(msgspec.Struct):
    qtyStep: str


class _Instrument(msgspec.Struct):
    """{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT",
    "launchTime":"1585526400000","deliveryTime":"0","priceFilter":{"minPrice":"0.10","tickSize":"0.10"},
    "lotSizeFilter":{"minOrderQty":"0.001","qtyStep":"0.001"},"fundingInterval":480,"symbolType":""}
    """

    symbol: str
    contractType: str
    status: str
    baseCoin: str
    quoteCoin: str
    priceFilter: _PriceFilter
    lotSizeFilter: _LotSizeFilter
    launchTime: str = "0"
    deliveryTime: str = "0"
    fundingInterval: int = 0
    symbolType: str = ""


class _List(msgspec.Struct):
    rows: list[msgspec.Raw] = msgspec.field(default_factory=list, name="list")
    nextPageCursor: str = ""


class _Answer(msgspec.Struct):
    """{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[…]},"retExtInfo":{},"time":1735809771618}"""

    retCode: int = 0
    retMsg: str = ""
    result: _List = msgspec.field(default_factory=_List)


class _Ticker(msgspec.Struct):
    symbol: str
    turnover24h: str = "0"


def result_rows(body: bytes, what: str) -> tuple[list[msgspec.Raw], str]:
    """Rows of a REST answer and the cursor of the next page ("" on the last); raise VenueError for a refusal."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError as error:
        raise VenueError(f"Bybit {what} cannot be read: {error}") from error
    if answer.retCode:
        raise VenueError(f"Bybit refuses {what}: {answer.retMsg or answer.retCode}")
    return answer.result.rows, answer.result.nextPageCursor


def parse_instruments(body: bytes, *, unreadable: list[str] | None = None) -> list[Instrument]:
    """Perpetuals and dated futures of one page of instruments-info; see `sheet.readable`."""
    return readable(result_rows(body, "instruments-info")[0], _read, unreadable)


def _read(raw: msgspec.Raw) -> Instrument | None:
    told = msgspec.json.decode(raw, type=_Instrument)
    return _instrument(told) if told.contractType in ("LinearPerpetual", "LinearFutures") else None


def _instrument(told: _Instrument) -> Instrument:
    kind = "future" if told.contractType == "LinearFutures" else "tradfi-perp" if told.symbolType in _TRADFI else "perp"
    return Instrument(
        index=-1,
        venue=VENUE,
        symbol=told.symbol,
        base=told.baseCoin,
        quote=told.quoteCoin,
        kind=kind,
        tick=Grid.parse(told.priceFilter.tickSize),
        lot=Grid.parse(told.lotSizeFilter.qtyStep),
        status=_STATUS.get(told.status, told.status.upper()),
        onboard_ms=int(told.launchTime or 0),
        delivery_ms=int(told.deliveryTime or 0),
        funding_ms=told.fundingInterval * _MINUTE_MS,
    )


def parse_volumes(body: bytes) -> list[Volume]:
    """See `Product.volumes`: a tickers answer."""
    rows = result_rows(body, "tickers")[0]
    try:
        told = [msgspec.json.decode(raw, type=_Ticker) for raw in rows]
        quote = [(row.symbol, float(row.turnover24h or 0)) for row in told]
    except (msgspec.MsgspecError, ValueError) as error:
        raise VenueError(f"Bybit tickers cannot be read: {error}") from error
    return [Volume(symbol, volume, volume / QUOTE_PER_TRADE_MESSAGE) for symbol, volume in quote]


def average_daily_volume(klines_body: bytes, *, now_ms: int, days: int) -> tuple[Decimal, int]:
    """Mean turnover of the last `days` complete UTC days in an answer of daily klines, and how many there were.

    Rows are ``[start, open, high, low, close, volume, turnover]``, newest first.
    """
    return mean_of_days(result_rows(klines_body, "kline")[0], 6, now_ms=now_ms, days=days)
