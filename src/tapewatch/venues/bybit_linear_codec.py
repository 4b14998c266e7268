"""Bybit v5 linear messages to tape rows: typed, and the definition of what a frame means.

Keys come in any order (they differ between depths and dates). Prices and quantities are strings; times of REST too.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, Literal

import msgspec

from ..model.errors import FrameError, VenueError
from ..model.instrument import Instrument, Universe
from ..model.interest import OpenInterest
from ..model.tape import E8, Flag, Kind, Tape
from ..model.ticker import Ticker as DayTicker
from .batch import Decoded, Rows
from .binance_usdm_fields import MAX_LEVELS, MAX_UNITS
from .bybit_linear_rest import RECENT_TRADES, result_rows
from .checks import check_ids, check_time, check_times, check_units, of_instrument, positive, read_json
from .decimals import MAX_INT, count_in, count_of, rounded_e8
from .general import GeneralCodec
from .levels import LevelReader

Number = Decimal
Side = Literal["Buy", "Sell"]
SEQ_SHIFT = 20
"""A trade's id is ``seq`` x 2**20 + its place among the trades of that ``seq``: it orders them and tells them apart."""
TRADES_PER_MESSAGE = 1024
IGNORED_TOPICS = frozenset({"kline", "priceLimit", "adlAlert", "insurance", "system"})


class Ack(msgspec.Struct):
    """{"success":true,"ret_msg":"","conn_id":"…","req_id":"1","op":"subscribe"}; a refusal has `success` false and its
    words in `ret_msg`; {"success":true,"ret_msg":"pong","conn_id":"…","req_id":"1","op":"ping"} answers a ping.
    """

    success: bool
    ret_msg: str = ""
    op: str = ""
    req_id: str = ""


class Envelope(msgspec.Struct):
    """Any frame: {"topic":…,"type":…,"ts":…,"data":…} or an `Ack`."""

    topic: str = ""
    type: Literal["snapshot", "delta", ""] = ""
    ts: int = 0
    data: msgspec.Raw = msgspec.Raw(b"")
    cts: int = 0
    cs: int = 0
    success: bool | None = None


class Trade(msgspec.Struct):
    """{"T":1790947943699,"s":"BTCUSDT","S":"Buy","v":"0.010","p":"86781.0","L":"PlusTick",
    "i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"RPI":false,"seq":519462037113}; `S` is the taker's side.
    """

    T: int
    s: str
    S: Side
    v: Number
    p: Number
    i: str
    seq: int
    BT: bool = False
    RPI: bool = False


class RestTrade(msgspec.Struct):
    """{"execId":"…","symbol":"BTCUSDT","price":"16618.49","size":"0.001","side":"Buy","time":"1672052955758",
    "isBlockTrade":false,"isRPITrade":false,"seq":"123456"}
    """

    execId: str
    symbol: str
    price: Number
    size: Number
    side: Side
    time: str
    seq: str
    isBlockTrade: bool = False
    isRPITrade: bool = False


class Book(msgspec.Struct):
    """{"s":"BTCUSDT","b":[["30247.20","30.028"],["30240.00","0"]],"a":[["30248.70","0"]],"u":177400507,
    "seq":66544703342}; beside it in the frame `cts`, the matching engine's time.
    """

    s: str
    b: msgspec.Raw
    a: msgspec.Raw
    u: int


class Ticker(msgspec.Struct):
    """{"symbol":"BTCUSDT","lastPrice":"66666.60","markPrice":"66666.60","indexPrice":"66670.19","openInterest":
    "49237.72","singleOpenInterest":"24618.86","nextFundingTime":"1760342400000","fundingRate":"-0.0001",
    "bid1Price":"66666.60","bid1Size":"23.165","ask1Price":"66666.70","ask1Size":"23.469", …}

    None: absent, that is unchanged. Empty: the instrument has no such thing.
    """

    symbol: str
    lastPrice: str | None = None
    highPrice24h: str | None = None
    lowPrice24h: str | None = None
    price24hPcnt: str | None = None
    volume24h: str | None = None
    turnover24h: str | None = None
    markPrice: str | None = None
    indexPrice: str | None = None
    openInterest: str | None = None
    singleOpenInterest: str | None = None
    fundingRate: str | None = None
    nextFundingTime: str | None = None
    bid1Price: str | None = None
    bid1Size: str | None = None
    ask1Price: str | None = None
    ask1Size: str | None = None


class Liquidation(msgspec.Struct):
    """{"T":1791565600992,"s":"BTCUSDT","S":"Buy","v":"0.006","p":"82396.90"}: a long was liquidated."""

    T: int
    s: str
    S: Side
    v: Number
    p: Number


_envelope = msgspec.json.Decoder(Envelope)
_ack = msgspec.json.Decoder(Ack)
_trades = msgspec.json.Decoder(list[Trade])
_book = msgspec.json.Decoder(Book)
_side = msgspec.json.Decoder(list[tuple[str, str]])
_ticker = msgspec.json.Decoder(Ticker)
_liquidations = msgspec.json.Decoder(list[Liquidation])
_rest_trade = msgspec.json.Decoder(RestTrade)

_MARK_FIELDS = ("markPrice", "indexPrice", "fundingRate", "nextFundingTime")
_QUOTE_FIELDS = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
_DAY_FIELDS = ("lastPrice", "highPrice24h", "lowPrice24h", "price24hPcnt", "volume24h", "turnover24h")
MAX_ADJUSTED = 24
"""Decimal exponent that no price, quantity or turnover reaches."""


class Codec(GeneralCodec):
    """Turns frames of Bybit linear into tape rows for the instruments of one universe.

    It keeps what deltas need: the tickers as they stand, and the trades of each instrument's newest ``seq``.
    """

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._tickers: dict[str, Ticker] = {}
        self._places: dict[str, _Places] = {}
        self._memory = (self._tickers, self._places)
        self._levels = LevelReader()

    def _read(self, frame: memoryview, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        envelope: Envelope = read_json(_envelope, frame)
        if envelope.success is not None:
            decoded.control.append(read_json(_ack, frame))
            return
        topic = envelope.topic.partition(".")[0]
        if topic == "publicTrade":
            self._read_trades(envelope, recv_ns, rows)
        elif topic == "orderbook":
            self._read_book(envelope, recv_ns, rows)
        elif topic == "tickers":
            self._read_ticker(envelope, recv_ns, rows, decoded)
        elif topic == "allLiquidation":
            self._read_liquidations(envelope, recv_ns, rows)
        elif topic not in IGNORED_TOPICS:
            raise FrameError("no_event" if not topic else "unknown_event", topic[:40])

    def _find(self, symbol: str) -> Instrument:
        instrument = self.universe.find(symbol)
        if instrument is None:
            raise FrameError("unknown_symbol", symbol[:40])
        return instrument

    def _read_trades(self, envelope: Envelope, recv_ns: int, rows: Rows) -> None:
        trades: list[Trade] = read_json(_trades, envelope.data)
        if len(trades) > TRADES_PER_MESSAGE:
            raise FrameError("too_many_trades", str(len(trades)))
        changed: dict[str, _Places] = {}
        for t in trades:
            instrument = self._find(t.s)
            place = changed.get(t.s) or _Places(self._places.get(t.s))
            changed[t.s] = place
            check_times(envelope.ts, t.T, recv_ns)
            _trade(rows, instrument, recv_ns, place.id_of(t.seq, t.i), (envelope.ts, t.T), t.p, t.v, _flags(t), t.RPI)
        self._places.update(changed)

    def _read_book(self, envelope: Envelope, recv_ns: int, rows: Rows) -> None:
        book: Book = read_json(_book, envelope.data)
        instrument = self._find(book.s)
        ts_ms = envelope.cts or envelope.ts
        if envelope.type == "snapshot":
            flags, prev_id = int(Flag.SNAPSHOT), 0
            for ms in (envelope.ts, ts_ms):  # of a quiet book the last change may be long ago
                check_time(ms, recv_ns)
        else:
            flags, prev_id = 0, book.u - 1
            check_times(envelope.ts, ts_ms, recv_ns)
        check_ids(book.u)
        at = len(rows.levels)
        with of_instrument(instrument):
            bids, asks = (
                self._levels.read(side, instrument.tick, instrument.lot) or list(_levels(instrument, side))
                for side in (book.b, book.a)
            )
        if len(bids) + len(asks) > MAX_LEVELS:
            raise FrameError("too_many_levels", str(len(bids) + len(asks)))
        rows.levels += bids
        rows.levels += asks
        rows.add(
            Kind.DEPTH, flags, instrument.index, recv_ns, event_ms=envelope.ts, ts_ms=ts_ms,
            id=book.u, first_id=book.u, last_id=book.u, prev_id=prev_id,
            level_at=at, bids=len(bids), asks=len(asks),
        )  # fmt: skip

    def _read_ticker(self, envelope: Envelope, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        told: Ticker = read_json(_ticker, envelope.data)
        instrument = self._find(told.symbol)
        check_time(envelope.ts, recv_ns)
        if envelope.type == "snapshot":
            now = told
        else:
            held = self._tickers.get(told.symbol)
            if held is None:
                return  # a delta says nothing without the snapshot before it
            now = _merged(held, told)
        with of_instrument(instrument):
            if _any(told, _MARK_FIELDS) and now.markPrice:
                _mark(rows, instrument, recv_ns, envelope.ts, now)
            if _any(told, _QUOTE_FIELDS) and all(getattr(now, name) for name in _QUOTE_FIELDS):
                _quote(rows, instrument, recv_ns, envelope, now)
        if _any(told, _DAY_FIELDS) and (day := _day(now)) is not None:
            decoded.control.append(day)
        # What a delta leaves out has not changed: told again, or a quiet market's figure would seem to be an old one.
        if (interest := _interest(now, envelope.ts)) is not None:
            decoded.control.append(interest)
        self._tickers[told.symbol] = now

    def _read_liquidations(self, envelope: Envelope, recv_ns: int, rows: Rows) -> None:
        for one in read_json(_liquidations, envelope.data):
            instrument = self._find(one.s)
            check_times(envelope.ts, one.T, recv_ns)
            with of_instrument(instrument):
                price = positive(rounded_e8(one.p), "price")
                qty = positive(count_of(one.v, instrument.lot, "quantity"), "quantity")
            if price // E8 * qty >= MAX_UNITS:
                raise FrameError("number_range", f"{one.v} at {one.p}")
            rows.add(
                Kind.LIQUIDATION, int(Flag.LONG) if one.S == "Buy" else 0, instrument.index, recv_ns,
                event_ms=envelope.ts, ts_ms=one.T, price=price, qty=qty,
            )  # fmt: skip

    def snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int = 0) -> Tape:  # noqa: ARG002
        """Books come in their own stream here; there is no answer of REST to begin one with."""
        raise FrameError("no_snapshot", f"a book of {symbol} begins in its stream")

    def trades(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """The REST recent-trade answer as TRADE rows flagged BACKFILLED, in order of id."""
        instrument = self.universe.get(symbol)
        rows = Rows()
        for number, t in _numbered(body):
            ms = int(t.time)
            check_time(ms, min(recv_ns, ms * 1_000_000))
            flags = int(Flag.BACKFILLED) | _flags(t)
            _trade(rows, instrument, recv_ns, number, (ms, ms), t.price, t.size, flags, t.isRPITrade)
        return rows.tape()


def trade_ids(body: bytes) -> list[int]:
    """Ids in a REST recent-trade answer, rising."""
    return [number for number, _ in _numbered(body)]


def _numbered(body: bytes) -> list[tuple[int, RestTrade]]:
    """Trades of a recent-trade answer with their ids, oldest first.

    A full page may begin within the trades of its oldest ``seq``, whose places nobody knows then: they are left out.
    """
    try:
        raws, _ = result_rows(body, "recent-trade")
        told: list[RestTrade] = [read_json(_rest_trade, raw) for raw in reversed(raws)]
        groups = [(int(seq), list(of_seq)) for seq, of_seq in groupby(told, key=lambda t: t.seq)]
    except (VenueError, ValueError) as error:
        raise FrameError("bad_trades", str(error)) from error
    whole = groups[1:] if len(told) >= RECENT_TRADES else groups
    if any(later[0] <= earlier[0] for earlier, later in pairwise(groups)):
        raise FrameError("bad_trades", "not in order of seq")
    return [((seq << SEQ_SHIFT) + place, t) for seq, of_seq in whole for place, t in enumerate(of_seq)]


class _Places:
    """Places of the trades of one instrument's newest ``seq``, and of the last older one that came.

    The trades of one ``seq`` may be split over frames, and frames come twice while one connection replaces another:
    what has come before has the place it had.
    """

    __slots__ = ("newest", "older")

    def __init__(self, before: _Places | None) -> None:
        self.newest: tuple[int, dict[str, int]] = (-1, {})
        self.older: tuple[int, dict[str, int]] = (-1, {})
        if before is not None:
            self.newest = (before.newest[0], dict(before.newest[1]))
            self.older = (before.older[0], dict(before.older[1]))

    def id_of(self, seq: int, trade: str) -> int:
        if not 0 <= seq < MAX_INT >> SEQ_SHIFT:
            raise FrameError("id_range", str(seq)[:80])
        if seq > self.newest[0]:
            self.newest = (seq, {})
        elif seq not in (self.newest[0], self.older[0]):
            self.older = (seq, {})
        known = self.newest[1] if seq == self.newest[0] else self.older[1]
        return (seq << SEQ_SHIFT) + known.setdefault(trade, len(known))


def _flags(t: Trade | RestTrade) -> int:
    """Block trades are agreed elsewhere: no order of theirs met the book."""
    if isinstance(t, Trade):
        sell, block = t.S == "Sell", t.BT
    else:
        sell, block = t.side == "Sell", t.isBlockTrade
    return (int(Flag.SELL) if sell else 0) | (int(Flag.OFF_BOOK) if block else 0)


def _trade(
    rows: Rows, instrument: Instrument, recv_ns: int, number: int, times: tuple[int, int], price: Decimal,
    size: Decimal, flags: int, is_rpi: bool,
) -> None:  # fmt: skip
    with of_instrument(instrument):
        ticks = positive(count_of(price, instrument.tick, "price"), "price")
        lots = positive(count_of(size, instrument.lot, "quantity"), "quantity")
    check_units(ticks, lots)
    rows.add(
        Kind.TRADE, flags, instrument.index, recv_ns, event_ms=times[0], ts_ms=times[1],
        id=number, first_id=number, last_id=number, price=ticks, qty=lots, qty2=0 if is_rpi else lots,
    )  # fmt: skip


def _levels(instrument: Instrument, side: msgspec.Raw) -> Iterator[tuple[int, int]]:
    """What the compiled reader has left: an empty side, numbers written otherwise, or nonsense."""
    for price, qty in read_json(_side, side):
        ticks = positive(count_in(price, instrument.tick, "price"), "level price")
        lots = count_in(qty, instrument.lot, "quantity")
        check_units(ticks, lots)
        yield ticks, lots


def _any(told: Ticker, names: tuple[str, ...]) -> bool:
    return any(getattr(told, name) is not None for name in names)


def _merged(held: Ticker, told: Ticker) -> Ticker:
    """Rule of deltas: what is absent is unchanged."""
    fields: dict[str, Any] = {
        name: value for name in Ticker.__struct_fields__ if (value := getattr(told, name)) is not None
    }
    return msgspec.structs.replace(held, **fields)


def _decimal(text: str) -> Decimal:
    """A number that can be calculated with; not NaN, whose signaling kind every sum or quotient raises at."""
    try:
        value = Decimal(text)
    except ArithmeticError as error:
        raise FrameError("number_range", text[:40]) from error
    if not value.is_finite() or value.adjusted() > MAX_ADJUSTED:
        raise FrameError("number_range", text[:40])
    return value


def _mark(rows: Rows, instrument: Instrument, recv_ns: int, ts_ms: int, now: Ticker) -> None:
    """Mark and index price, running funding rate and when it is paid; 0 where the instrument has none (dated)."""
    next_ms = now.nextFundingTime or "0"
    if not next_ms.isdecimal():
        raise FrameError("time_range", next_ms[:40])
    check_ids(int(next_ms))
    rows.add(
        Kind.MARK, 0, instrument.index, recv_ns, event_ms=ts_ms, ts_ms=ts_ms, id=int(next_ms),
        price=rounded_e8(_decimal(now.markPrice or "0")), price2=rounded_e8(_decimal(now.indexPrice or "0")),
        qty=rounded_e8(_decimal(now.fundingRate or "0")),
    )  # fmt: skip


def _quote(rows: Rows, instrument: Instrument, recv_ns: int, envelope: Envelope, now: Ticker) -> None:
    bid, bid_qty, ask, ask_qty = (_decimal(getattr(now, name)) for name in _QUOTE_FIELDS)
    prices = [count_of(value, instrument.tick, "price") for value in (bid, ask)]
    lots = [count_of(value, instrument.lot, "quantity") for value in (bid_qty, ask_qty)]
    check_units(prices[0], lots[0])
    check_units(prices[1], lots[1])
    check_ids(envelope.cs)
    rows.add(
        Kind.QUOTE, 0, instrument.index, recv_ns, event_ms=envelope.ts, ts_ms=envelope.ts, id=envelope.cs,
        price=prices[0], qty=lots[0], price2=prices[1], qty2=lots[1],
    )  # fmt: skip


def _day(now: Ticker) -> DayTicker | None:
    """24 h figures, once all of them are known."""
    texts = [getattr(now, name) for name in _DAY_FIELDS]
    if not all(texts):
        return None
    last, high, low, change, volume, quote = (_decimal(text) for text in texts)
    return DayTicker(now.symbol, last, high, low, change * 100, volume, quote)


def _interest(now: Ticker, ts_ms: int) -> OpenInterest | None:
    """Counted once: `singleOpenInterest`, or half of `openInterest` where an older server has only that."""
    if now.singleOpenInterest:
        return OpenInterest(now.symbol, _decimal(now.singleOpenInterest), ts_ms)
    if now.openInterest:
        return OpenInterest(now.symbol, _decimal(now.openInterest) / 2, ts_ms)
    return None
