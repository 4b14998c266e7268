"""Archive files of Binance (data.binance.vision): what their columns mean, and the general reader of a line.

A file holds one product of one instrument; its name says which (``BTCUSDT-aggTrades-2026-06-01.csv``). There is a
header line in files of the futures from 2022 on and in no others. Times are milliseconds, in spot files from 2025 on
microseconds: the magnitude says which. Spot trades have one more column than those of the futures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from ..model.errors import FrameError, UsageError
from ..model.instrument import Grid, Instrument
from .binance_archive_kernel import MICROSECONDS
from .binance_usdm_fields import EARLIEST_MS, LATEST_MS, MAX_TICKS, MAX_UNITS
from .decimals import count_of

USDM, SPOT = "binance", "binance-spot"
QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
_FLAGS = {"true": True, "false": False}
MAX_ID = 2**62


class Product(StrEnum):
    AGG_TRADES = "aggTrades"
    TRADES = "trades"
    KLINES = "klines"
    METRICS = "metrics"

    @property
    def has_trades(self) -> bool:
        return self in {Product.AGG_TRADES, Product.TRADES}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the lines of one file are."""

    product: Product
    venue: str
    header: bool


@dataclass(frozen=True, slots=True)
class Trade:
    """One line of aggTrades or trades, exact."""

    id: int
    price: Decimal
    qty: Decimal
    first_id: int
    last_id: int
    ts_ms: int
    sell: bool


@dataclass(frozen=True, slots=True)
class Kline:
    """One candle as the venue drew it."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_ms: int
    quote_volume: Decimal
    count: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal


@dataclass(frozen=True, slots=True)
class Metrics:
    """Open interest and ratios of five minutes; None where the venue left a field empty."""

    ts_ms: int
    symbol: str
    open_interest: Decimal | None
    open_interest_value: Decimal | None
    top_trader_account_ratio: Decimal | None
    top_trader_position_ratio: Decimal | None
    account_ratio: Decimal | None
    taker_volume_ratio: Decimal | None


def fields_of(line: bytes) -> list[str]:
    """The fields of a line, without quotes and spaces; FrameError where it is no text."""
    try:
        text = line.decode().strip()
    except UnicodeDecodeError as error:
        raise FrameError("not_text", repr(line[:40])) from error
    return [field.strip().strip('"') for field in text.split(",")]


def layout_of(first: bytes, second: bytes) -> Layout:
    """Tell the product from the first two lines of a file; raise UsageError when they are of none.

    With a header the first data line is the second one. `trades` of spot and `aggTrades` of the futures both have
    seven columns; the sixth is a flag in the one and a time in the other.
    """
    header = not first[:1].isdigit()
    fields = fields_of(second if header else first)
    n = len(fields)
    flag = [field.lower() in _FLAGS for field in fields]
    if n == 12:
        product, spot = Product.KLINES, fields[0].isdigit() and int(fields[0]) >= MICROSECONDS
    elif n == 8 and "-" in fields[0]:
        product, spot = Product.METRICS, False
    elif n in {7, 8} and flag[6]:
        spot = n == 8 or flag[5]
        product = Product.TRADES if flag[5] else Product.AGG_TRADES
    elif n == 6 and flag[5]:
        product, spot = Product.TRADES, False
    else:
        raise UsageError(f"its lines are none of aggTrades, trades, klines or metrics: {second[:80] or first[:80]!r}")
    return Layout(product, SPOT if spot else USDM, header)


def symbol_of(stem: str) -> str:
    """The instrument that a file name begins with; raise UsageError where it names none."""
    symbol, dash, _ = stem.partition("-")
    if not dash or not symbol or symbol != symbol.upper():
        raise UsageError(f"the name {stem!r} does not begin with a symbol as in BTCUSDT-aggTrades-2026-06-01")
    return symbol


def inferred_instrument(venue: str, symbol: str, tick: Grid, lot: Grid) -> Instrument:
    """An instrument about which nothing is known but its name and the increments of its numbers."""
    pair, _, delivery = symbol.partition("_")
    quote = next((quote for quote in QUOTES if pair.endswith(quote) and pair != quote), "USDT")
    kind = "spot" if venue == SPOT else "future" if delivery else "perp"
    return Instrument(-1, venue, symbol, pair.removesuffix(quote), quote, kind, tick, lot)


def read_trade(line: bytes, product: Product) -> Trade:
    """One line of aggTrades or trades; FrameError says what is wrong with it."""
    fields = fields_of(line)
    aggregate = product is Product.AGG_TRADES
    if len(fields) not in ((7, 8) if aggregate else (6, 7)):
        raise FrameError("columns", f"{len(fields)} of them")
    number = _whole(fields[0], "id")
    first_id, last_id = (_whole(fields[3], "first id"), _whole(fields[4], "last id")) if aggregate else (number,) * 2
    if first_id > last_id:
        raise FrameError("id_range", f"{first_id} to {last_id}")
    sell = _FLAGS.get(fields[6 if aggregate else 5].lower())
    if sell is None:
        raise FrameError("flag", f"{fields[6 if aggregate else 5][:20]!r} is neither true nor false")
    price, qty = _positive(fields[1], "price"), _positive(fields[2], "quantity")
    return Trade(number, price, qty, first_id, last_id, _ms(fields[5 if aggregate else 4]), sell)


def counted(trade: Trade, tick: Grid, lot: Grid) -> tuple[int, int]:
    """Ticks and lots of a trade; OffGridError where the increments are too coarse for it."""
    ticks, lots = count_of(trade.price, tick, "price"), count_of(trade.qty, lot, "quantity")
    if ticks > MAX_TICKS or ticks * lots > MAX_UNITS:
        raise FrameError("number_range", f"{lots} lots at {ticks} ticks")
    return ticks, lots


def read_kline(line: bytes) -> Kline:
    """One line of klines; FrameError says what is wrong with it."""
    fields = fields_of(line)
    if len(fields) != 12:
        raise FrameError("columns", f"{len(fields)} of them, not 12")
    opened, high, low, closed = (_positive(field, "price") for field in fields[1:5])
    if not low <= min(opened, closed) <= max(opened, closed) <= high:
        raise FrameError("not_a_candle", "low, open, close and high contradict each other")
    volume, quote, buy, buy_quote = (_not_negative(fields[k], "volume") for k in (5, 7, 9, 10))
    if buy > volume or buy_quote > quote:
        raise FrameError("not_a_candle", "more was bought than traded")
    count = _whole(fields[8], "count")
    open_ms, close_ms = _ms(fields[0]), _ms(fields[6])
    return Kline(open_ms, opened, high, low, closed, volume, close_ms, quote, count, buy, buy_quote)


def read_metrics(line: bytes) -> Metrics:
    """One line of metrics; FrameError says what is wrong with it."""
    fields = fields_of(line)
    if len(fields) != 8:
        raise FrameError("columns", f"{len(fields)} of them, not 8")
    try:
        at = datetime.strptime(fields[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise FrameError("time", fields[0][:40]) from error
    values = [_not_negative(field, "value") if field else None for field in fields[2:]]
    return Metrics(_in_range(int(at.timestamp() * 1000)), fields[1], *values)


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_ID:
        raise FrameError("not_a_number", f"{what} {text[:40]!r}")
    return int(text)


def _not_negative(text: str, what: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise FrameError("not_a_number", f"{what} {text[:40]!r}") from error
    if not value.is_finite() or value.is_signed():
        raise FrameError("not_a_number", f"{what} {text[:40]!r}")
    return value


def _positive(text: str, what: str) -> Decimal:
    value = _not_negative(text, what)
    if not value:
        raise FrameError("not_positive", f"{what} {text[:40]!r}")
    return value


def _ms(text: str) -> int:
    value = _whole(text, "time")
    return _in_range(value // 1000 if value >= MICROSECONDS else value)


def _in_range(ms: int) -> int:
    if not EARLIEST_MS < ms < LATEST_MS:
        raise FrameError("time_range", str(ms))
    return ms
