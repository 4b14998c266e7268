"""Bybit v5 linear contracts: the facts of the venue, read like a data sheet. State of November 2026.

Books (``orderbook.200``):

1. Subscribe. The first message is a snapshot, in the stream itself; there is none to fetch.
2. Every delta has ``u`` one above the last; otherwise the book is stale: unsubscribe and subscribe again. (The venue
   writes this rule down for its full book only; its archive and our recording obey it here.)
3. A later snapshot replaces the book, whatever came before it; ``u`` 1 says that the venue's service was restarted.
4. Quantities are absolute; zero deletes. A level that falls out of the best 200 is deleted, and sent again when it
   comes back: beyond the worst level nothing is known.

Trades: ids are random. ``seq`` rises with every event of an instrument but does not count its trades, so repetitions
show and losses do not: an interruption is a gap of unknown size. REST gives the newest 1000 trades and no older one.

Tickers: a snapshot, then deltas in which an absent field is unchanged.

Liquidations: all of them, in batches of 500 ms. ``S`` is the side of the *position*: Buy was a long. The price is the
one of bankruptcy, not of a fill.

Open interest counts longs and shorts together; ``singleOpenInterest`` (since June 2026) counts them once.

The parsing of messages is in `bybit_linear_codec`.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from ..model.errors import FrameError, UsageError, VenueError
from ..model.instrument import Grid, Instrument

VENUE = "bybit"
REST_URL = "https://api.bybit.com"
WS_URL = "wss://stream.bybit.com"
WS_PATH = "/v5/public/linear"

REQUESTS, REQUESTS_WINDOW_S = 600, 5
"""REST requests an address may make in so many seconds, over all hosts; beyond it 403 "access too frequent"."""
BANNED_S = 600
"""After a 403 every session has to stop for so long."""
TOO_MANY_VISITS = 10006
"""`retCode` of a limit of one endpoint; errors come with HTTP 200."""
INSTRUMENTS_PAGE = 1000
RECENT_TRADES = 1000
KLINES_PAGE = 1000

PING = b'{"op":"ping"}'
PING_EVERY_S = 20.0
IDLE_S = 600
"""A connection without ping and data is closed after so long."""
ARGS_CHARACTERS = 21_000
"""All subscriptions of one connection together, as they are written in commands."""
CONNECTIONS_PER_5_MIN = 500
CONNECTIONS_PER_ADDRESS = 1000
TRADES_PER_MESSAGE = 1024

BOOK_EVERY_MS = {1: 10, 50: 20, 200: 100, 1000: 200}
"""Depths of the book streams and their rhythm; 500 was removed in September 2025."""
BOOK_LEVELS = 200

SEQ_SHIFT = 20
"""A trade's id is ``seq`` x 2**20 + its place among the trades of that ``seq``: it orders them and tells them apart."""

COVERAGE = "every liquidation, in batches of half a second; the price is that of bankruptcy"

_STATUS = {"Trading": "TRADING", "PreLaunch": "PRE_LAUNCH", "Delivering": "DELIVERING", "Closed": "CLOSED"}
_TRADFI = frozenset({"stock", "commodity", "forex"})
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
QUOTE_PER_TRADE = 3_000.0
"""Of a typical trade: the venue's 24 h figures have no number of trades."""
_NAMED_TOPIC = re.compile(rb'"topic"\s*:\s*"([A-Za-z]+)\.(?:[0-9]+\.)?([^"]{1,60})"')


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


def parse_instruments(body: bytes, *, dated: bool = False, unreadable: list[str] | None = None) -> list[Instrument]:
    """Instruments of one page of instruments-info: perpetuals, and dated futures when asked for.

    A row that cannot be read does not take the others with it: why goes to `unreadable`.
    """
    instruments = []
    for raw in result_rows(body, "instruments-info")[0]:
        try:
            told = msgspec.json.decode(raw, type=_Instrument)
            if told.contractType == "LinearPerpetual" or (dated and told.contractType == "LinearFutures"):
                instruments.append(_instrument(told))
        except (msgspec.MsgspecError, UsageError, ArithmeticError, ValueError) as error:
            if unreadable is not None:
                unreadable.append(f"{bytes(raw)[:80]!r}: {error}")
    return instruments


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


def turnovers(body: bytes) -> dict[str, float]:
    """Quote turnover of 24 h by symbol, from a tickers answer."""
    rows = result_rows(body, "tickers")[0]
    try:
        told = [msgspec.json.decode(raw, type=_Ticker) for raw in rows]
        return {row.symbol: float(row.turnover24h or 0) for row in told}
    except (msgspec.MsgspecError, ValueError) as error:
        raise VenueError(f"Bybit tickers cannot be read: {error}") from error


def average_daily_volume(klines_body: bytes, *, now_ms: int, days: int) -> tuple[Decimal, int]:
    """Mean turnover of the last `days` complete UTC days in an answer of daily klines, and how many there were.

    Rows are ``[start, open, high, low, close, volume, turnover]``, newest first.
    """
    try:
        rows = [msgspec.json.decode(raw, type=list[str]) for raw in result_rows(klines_body, "kline")[0]]
        complete = [Decimal(row[6]) for row in rows if int(row[0]) + _DAY_MS <= now_ms][:days]
    except (msgspec.MsgspecError, ArithmeticError, IndexError, ValueError) as error:
        raise FrameError("bad_klines", str(error)) from error
    return (sum(complete, Decimal(0)) / len(complete) if complete else Decimal(0)), len(complete)


def topic_of(frame: bytes) -> tuple[str, str] | None:
    """Symbol and topic (``orderbook``) that a frame names, readable or not; None where it names none."""
    found = _NAMED_TOPIC.search(frame)
    return None if found is None else (found[2].decode("utf-8", "replace"), found[1].decode())
