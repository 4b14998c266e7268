"""OKX v5 messages to tape rows: typed, and the definition of what a frame means.

Everything is a string but the sequence ids. Contracts become base units here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Literal

import msgspec

from ..model.errors import FrameError, OffGridError, VenueError
from ..model.instrument import Grid, Instrument, Universe
from ..model.interest import OpenInterest
from ..model.tape import E8, Flag, Kind, Tape
from ..model.ticker import Ticker as DayTicker
from .batch import Decoded, Rows
from .binance_usdm_fields import MAX_LEVELS, MAX_UNITS
from .checks import check_ids, check_time, check_units, of_instrument, positive, read_json
from .decimals import count_in, count_of, rounded_e8
from .general import GeneralCodec
from .levels import LevelReader
from .okx_swap_rest import data_rows

Number = Decimal
_PONG = b"pong"
RPI = "1"
"""`source` of a fill against a retail price improvement order."""
IGNORED_CHANNELS = frozenset({"instruments", "candle1m", "candle1D", "status", "price-limit", "estimated-price"})
TRADES_PER_MESSAGE = 1024
_EXACT = Context(prec=60, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])


class Arg(msgspec.Struct):
    channel: str = ""
    instId: str = ""


class Envelope(msgspec.Struct):
    """Any frame: {"arg":{"channel":…,"instId":…},"data":[…]}, or an event: an answer, an error, a notice."""

    arg: Arg = msgspec.field(default_factory=Arg)
    action: Literal["snapshot", "update", ""] = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    event: str = ""
    code: str = ""
    msg: str = ""
    id: str = ""


class Trade(msgspec.Struct):
    """{"instId":"BTC-USDT-SWAP","tradeId":"2701364977","px":"64311","sz":"31.27","side":"buy","ts":"1781416584831",
    "count":"8","source":"0","seqId":323647402789}; `count` is missing in 2022, on trades-all and in REST.
    """

    instId: str
    tradeId: str
    px: Number
    sz: Number
    side: Literal["buy", "sell"]
    ts: str
    count: str = "1"
    source: str = "0"


class Book(msgspec.Struct):
    """{"asks":[["86780.5","12","0","3"]],"bids":[["86780.4","9.1","0","2"]],"ts":"1790947946718","checksum":0,
    "prevSeqId":-1,"seqId":332042172451}; a level is price, contracts, a deprecated "0", number of orders.
    """

    asks: msgspec.Raw
    bids: msgspec.Raw
    ts: str
    seqId: int | None = None
    prevSeqId: int | None = None


class Ticker(msgspec.Struct):
    """{"instType":"SWAP","instId":"BTC-USDT-SWAP","last":"86780.4","lastSz":"1","askPx":"86780.5","askSz":"12",
    "bidPx":"86780.4","bidSz":"9.1","open24h":"86000","high24h":"87000","low24h":"85000","volCcy24h":"71234.5",
    "vol24h":"7123450","ts":"1790947946718"}
    """

    instId: str
    ts: str
    askPx: str = ""
    askSz: str = ""
    bidPx: str = ""
    bidSz: str = ""
    last: str = ""
    open24h: str = ""
    high24h: str = ""
    low24h: str = ""
    volCcy24h: str = ""


class MarkPrice(msgspec.Struct):
    """{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"42310.6","ts":"1630049139746"}"""

    instId: str
    markPx: Number
    ts: str


class IndexTicker(msgspec.Struct):
    """{"instId":"BTC-USDT","idxPx":"42311.2","ts":"1630049139746"}: one index, for every contract on it."""

    instId: str
    idxPx: Number


class FundingRate(msgspec.Struct):
    """{"instType":"SWAP","instId":"BTC-USDT-SWAP","method":"current_period","fundingRate":"0.0000123",
    "fundingTime":"1790956800000","nextFundingTime":"1790985600000","ts":"1790947946718"}
    """

    instId: str
    fundingRate: Number
    fundingTime: str
    ts: str = ""


class OpenInterestRow(msgspec.Struct):
    """{"instType":"SWAP","instId":"BTC-USDT-SWAP","oi":"2216113.01","oiCcy":"22161.1301","ts":"1790947946718"}"""

    instId: str
    oiCcy: Number
    ts: str


class LiquidationDetail(msgspec.Struct):
    posSide: Literal["long", "short", "net"]
    side: Literal["buy", "sell"]
    bkPx: Number
    sz: Number
    ts: str


class Liquidated(msgspec.Struct):
    """{"details":[{"bkLoss":"0","bkPx":"82655.7","ccy":"","posSide":"long","side":"sell","sz":"8.55",
    "ts":"1791565600771"}],"instFamily":"BTC-USDT","instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}
    """

    instId: str
    details: list[LiquidationDetail]


_envelope = msgspec.json.Decoder(Envelope)
_trades = msgspec.json.Decoder(list[Trade])
_books = msgspec.json.Decoder(list[Book])
_rows = msgspec.json.Decoder(list[list[str]])
_tickers = msgspec.json.Decoder(list[Ticker])
_marks = msgspec.json.Decoder(list[MarkPrice])
_indices = msgspec.json.Decoder(list[IndexTicker])
_rates = msgspec.json.Decoder(list[FundingRate])
_interests = msgspec.json.Decoder(list[OpenInterestRow])
_liquidated = msgspec.json.Decoder(list[Liquidated])
_trade_decoder = msgspec.json.Decoder(Trade)


class Codec(GeneralCodec):
    """Turns frames of OKX into tape rows for the instruments of one universe.

    Mark, index and funding come on three channels: it keeps the newest of each, and a MARK row tells all three.
    """

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self._index_e8: dict[str, int] = {}
        self._funding: dict[str, tuple[int, int]] = {}
        """Rate x 1e8 and when it is paid, ms."""
        self._unnumbered: dict[str, int] = {}
        """Updates so far of books whose messages carry no ids (2022)."""
        self._memory = (self._index_e8, self._funding, self._unnumbered)
        self._levels = LevelReader(more=True)

    def _read(self, frame: memoryview, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        if frame == _PONG:
            return
        envelope: Envelope = read_json(_envelope, frame)
        if envelope.event:
            decoded.control.append(envelope)
            return
        channel = envelope.arg.channel
        if channel in ("trades", "trades-all"):
            for t in _bounded(read_json(_trades, envelope.data)):
                _trade(rows, self._find(t.instId), recv_ns, t, 0)
        elif channel == "books":
            self._read_books(envelope, recv_ns, rows)
        elif channel == "tickers":
            for told in read_json(_tickers, envelope.data):
                _quote(rows, self._find(told.instId), recv_ns, told)
                if (day := _day(told)) is not None:
                    decoded.control.append(day)
        elif channel == "mark-price":
            self._read_marks(envelope, recv_ns, rows)
        elif channel == "index-tickers":
            self._index_e8.update({told.instId: rounded_e8(told.idxPx) for told in read_json(_indices, envelope.data)})
        elif channel == "funding-rate":
            self._read_rates(envelope)
        elif channel == "open-interest":
            for told in read_json(_interests, envelope.data):
                if self.universe.find(told.instId) is not None:
                    decoded.control.append(OpenInterest(told.instId, told.oiCcy, _ms(told.ts)))
        elif channel == "liquidation-orders":
            self._read_liquidations(envelope, recv_ns, rows, decoded)
        elif channel not in IGNORED_CHANNELS:
            raise FrameError("no_event" if not channel else "unknown_event", channel[:40])

    def _find(self, symbol: str) -> Instrument:
        instrument = self.universe.find(symbol)
        if instrument is None:
            raise FrameError("unknown_symbol", symbol[:40])
        return instrument

    def _read_books(self, envelope: Envelope, recv_ns: int, rows: Rows) -> None:
        instrument = self._find(envelope.arg.instId)
        books: list[Book] = read_json(_books, envelope.data)
        if envelope.action not in ("snapshot", "update") or len(books) != 1:
            raise FrameError("wrong_shape", f"{len(books)} books, action {envelope.action!r}")
        book = books[0]
        is_snapshot = envelope.action == "snapshot"
        ts_ms = _ms(book.ts)
        check_time(ts_ms, recv_ns)
        at = len(rows.levels)
        with of_instrument(instrument):
            bids, asks = self._side(instrument, book.bids), self._side(instrument, book.asks)
        if len(bids) + len(asks) > MAX_LEVELS:
            raise FrameError("too_many_levels", str(len(bids) + len(asks)))
        rows.levels += bids
        rows.levels += asks
        if book.seqId is None:
            # The order of one connection is all the chain these had.
            number = 1 if is_snapshot else self._unnumbered.get(instrument.symbol, 0) + 1
            previous = number - 1
            self._unnumbered[instrument.symbol] = number
        else:
            number, previous = book.seqId, -1 if book.prevSeqId is None else book.prevSeqId
            if not is_snapshot:
                check_ids(previous)
            check_ids(number)
        rows.add(
            Kind.DEPTH, int(Flag.SNAPSHOT) if is_snapshot else 0, instrument.index, recv_ns,
            event_ms=ts_ms, ts_ms=ts_ms, id=number, first_id=number, last_id=number,
            prev_id=0 if is_snapshot else previous, level_at=at, bids=len(bids), asks=len(asks),
        )  # fmt: skip

    def _side(self, instrument: Instrument, side: msgspec.Raw) -> list[tuple[int, int]]:
        size = _size_grid(instrument.lot, instrument.contract)
        read = None if size is None else self._levels.read(side, instrument.tick, size)
        return read or list(_levels(instrument, side))

    def _read_marks(self, envelope: Envelope, recv_ns: int, rows: Rows) -> None:
        marks = {told.instId: (rounded_e8(told.markPx), _ms(told.ts)) for told in read_json(_marks, envelope.data)}
        for symbol, (price, ts_ms) in marks.items():
            instrument = self._find(symbol)
            check_time(ts_ms, recv_ns)
            rate, next_ms = self._funding.get(symbol, (0, 0))
            rows.add(
                Kind.MARK, 0, instrument.index, recv_ns, event_ms=ts_ms, ts_ms=ts_ms, id=next_ms, price=price,
                price2=self._index_e8.get(_index_of(symbol), 0), qty=rate,
            )  # fmt: skip

    def _read_rates(self, envelope: Envelope) -> None:
        told: list[FundingRate] = read_json(_rates, envelope.data)
        for one in told:
            check_ids(_ms(one.fundingTime))
        self._funding.update({one.instId: (rounded_e8(one.fundingRate), _ms(one.fundingTime)) for one in told})

    def _read_liquidations(self, envelope: Envelope, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        for told in read_json(_liquidated, envelope.data):
            instrument = self.universe.find(told.instId)
            if instrument is None:  # the channel is about all swaps, inverse ones too
                decoded.foreign += len(told.details)
                continue
            for one in told.details:
                _liquidation(rows, instrument, recv_ns, one)

    def snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int = 0) -> Tape:  # noqa: ARG002
        """Books come in their own stream here; there is no answer of REST to begin one with."""
        raise FrameError("no_snapshot", f"a book of {symbol} begins in its stream")

    def trades(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """The REST history-trades answer as TRADE rows flagged BACKFILLED, in order of id."""
        instrument = self.universe.get(symbol)
        rows = Rows()
        for t in _rest_trades(body):
            _trade(rows, instrument, min(recv_ns, _ms(t.ts) * 1_000_000), t, int(Flag.BACKFILLED))
        tape = rows.tape()
        tape.rows["recv_ns"] = recv_ns
        return tape


def trade_ids(body: bytes) -> list[int]:
    """Ids in a REST history-trades answer, rising."""
    return [_ms(t.tradeId) for t in _rest_trades(body)]


def _rest_trades(body: bytes) -> list[Trade]:
    """Trades of a history-trades answer, oldest first; the venue tells the newest first."""
    try:
        told = [read_json(_trade_decoder, raw) for raw in data_rows(body, "history-trades")]
    except VenueError as error:
        raise FrameError("bad_trades", str(error)) from error
    return sorted(told, key=lambda t: _ms(t.tradeId))


def _bounded(trades: list[Trade]) -> list[Trade]:
    if len(trades) > TRADES_PER_MESSAGE:
        raise FrameError("too_many_trades", str(len(trades)))
    return trades


def _index_of(symbol: str) -> str:
    """The index a contract follows: BTC-USDT of BTC-USDT-SWAP."""
    return "-".join(symbol.split("-")[:2])


def _ms(text: str) -> int:
    """Whole numbers (times, ids, counts) come as strings."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise FrameError("wrong_shape", f"{text[:40]!r} is no whole number")
    return int(text)


def _lots(instrument: Instrument, contracts: Decimal) -> int:
    """Contracts to lots of base units, exactly."""
    if instrument.contract is None:
        raise FrameError("no_contract_value", instrument.symbol)
    try:
        quantity = _EXACT.multiply(contracts, instrument.contract)
    except (Inexact, InvalidOperation, Overflow) as error:
        raise FrameError("number_range", str(contracts)[:40]) from error
    return count_of(quantity, instrument.lot, "quantity")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise FrameError("wrong_shape", f"{text[:40]!r} is no number") from error


@lru_cache(maxsize=4096)
def _size_grid(lot: Grid, contract: Decimal | None) -> Grid | None:
    """A lot in contracts; None where it is no decimal, or the contract's value is not known."""
    if contract is None:
        return None
    size = lot.value / contract
    return Grid.parse(str(size)) if size * contract == lot.value else None


def _lots_in(instrument: Instrument, contracts: str, size: Grid) -> int:
    try:
        return count_in(contracts, size, "quantity")
    except OffGridError:
        return _lots(instrument, _decimal(contracts))  # says it in base units


def _trade(rows: Rows, instrument: Instrument, recv_ns: int, t: Trade, flags: int) -> None:
    last, ts_ms = _ms(t.tradeId), _ms(t.ts)
    first = last - positive(_ms(t.count or "1"), "count") + 1
    check_ids(first, last)
    check_time(ts_ms, recv_ns)
    with of_instrument(instrument):
        ticks = positive(count_of(t.px, instrument.tick, "price"), "price")
        lots = positive(_lots(instrument, t.sz), "quantity")
    check_units(ticks, lots)
    rows.add(
        Kind.TRADE, flags | (int(Flag.SELL) if t.side == "sell" else 0), instrument.index, recv_ns,
        event_ms=ts_ms, ts_ms=ts_ms, id=last, first_id=first, last_id=last,
        price=ticks, qty=lots, qty2=0 if t.source == RPI else lots,
    )  # fmt: skip


def _levels(instrument: Instrument, side: msgspec.Raw) -> Iterator[tuple[int, int]]:
    """What the compiled reader has left: an empty side, numbers written otherwise, or nonsense."""
    size = _size_grid(instrument.lot, instrument.contract)
    for level in read_json(_rows, side):
        if len(level) < 2:
            raise FrameError("wrong_shape", f"a level of {len(level)} fields")
        ticks = positive(count_in(level[0], instrument.tick, "price"), "level price")
        lots = _lots(instrument, _decimal(level[1])) if size is None else _lots_in(instrument, level[1], size)
        check_units(ticks, lots)
        yield ticks, lots


def _quote(rows: Rows, instrument: Instrument, recv_ns: int, told: Ticker) -> None:
    if not (told.bidPx and told.askPx and told.bidSz and told.askSz):
        return  # a side is empty: there is no best price to tell
    ts_ms = _ms(told.ts)
    check_time(ts_ms, recv_ns)
    try:
        bid, bid_sz, ask, ask_sz = (Decimal(text) for text in (told.bidPx, told.bidSz, told.askPx, told.askSz))
    except ArithmeticError as error:
        raise FrameError("number_range", told.instId) from error
    with of_instrument(instrument):
        prices = [count_of(value, instrument.tick, "price") for value in (bid, ask)]
        lots = [_lots(instrument, value) for value in (bid_sz, ask_sz)]
    check_units(prices[0], lots[0])
    check_units(prices[1], lots[1])
    rows.add(
        Kind.QUOTE, 0, instrument.index, recv_ns, event_ms=ts_ms, ts_ms=ts_ms, id=ts_ms,
        price=prices[0], qty=lots[0], price2=prices[1], qty2=lots[1],
    )  # fmt: skip


def _day(told: Ticker) -> DayTicker | None:
    """24 h figures. The venue tells volume in base units alone; its worth is taken at the last price."""
    texts = (told.last, told.open24h, told.high24h, told.low24h, told.volCcy24h)
    if not all(texts):
        return None
    try:
        last, opened, high, low, volume = (Decimal(text) for text in texts)
        change = (last / opened - 1) * 100 if opened else Decimal(0)
        return DayTicker(told.instId, last, high, low, change, volume, volume * last)
    except ArithmeticError as error:
        raise FrameError("number_range", told.instId) from error


def _liquidation(rows: Rows, instrument: Instrument, recv_ns: int, one: LiquidationDetail) -> None:
    ts_ms = _ms(one.ts)
    check_time(ts_ms, recv_ns)
    with of_instrument(instrument):
        price = positive(rounded_e8(one.bkPx), "price")
        qty = positive(_lots(instrument, one.sz), "quantity")
    if price // E8 * qty >= MAX_UNITS:
        raise FrameError("number_range", f"{one.sz} at {one.bkPx}")
    is_long = one.posSide == "long" or (one.posSide == "net" and one.side == "sell")
    rows.add(
        Kind.LIQUIDATION, int(Flag.LONG) if is_long else 0, instrument.index, recv_ns,
        event_ms=ts_ms, ts_ms=ts_ms, price=price, qty=qty,
    )  # fmt: skip
