"""Binance USD-M messages to tape rows: typed, complete, and the definition of what a frame means.

`Codec.decode` lets the compiled kernel of `binance_usdm_kernel` take the frequent messages; every frame it does not
understand comes back to the general decoder here, which yields rows or a typed error. Sample frames stand beside
their types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec
import numpy as np

from ..model.errors import FrameError, OffGridError
from ..model.instrument import Instrument, Universe
from ..model.tape import E8, LEVEL, ROW, Flag, Kind, Tape
from .binance_usdm import DEPTH_WEIGHT
from .binance_usdm_kernel import (
    COIN_MARGINED,
    EARLIEST_MS,
    FOREIGN,
    LATEST_MS,
    LEVELS,
    MAX_LEVELS,
    MAX_SKEW_MS,
    ROWS,
    decode,
)
from .decimals import MAX_INT, count_of, rounded_e8
from .scan import PADDING, Symbols, index_symbols

_OPEN_LIST = ord("[")
SHORTEST_EVENT = 40
SHORTEST_LEVEL = 10
"""Fewest bytes of an event object and of a level with its comma: how much room a run of frames can ever need."""

MAX_UNITS = 2**53
"""A notional beyond this, in whole price times lots, is nonsense, and sums of such would leave 64 bits."""

Number = Decimal
"""Prices and quantities come as JSON strings; numbers are accepted too, exactly as written."""


class AggTrade(msgspec.Struct, tag_field="e", tag="aggTrade"):
    """{"e":"aggTrade","E":1791391082024,"a":3478018549,"s":"BTCUSDT","p":"83434.40","q":"0.016","nq":"0.016",
    "f":8154045700,"l":8154045704,"T":1791391081874,"m":true,"st":1}
    """

    E: int
    a: int
    s: str
    p: Number
    q: Number
    f: int
    l: int  # noqa: E741  (the venue's name)
    T: int
    m: bool
    nq: Number | None = None
    st: int = 1


class Trade(msgspec.Struct, tag_field="e", tag="trade"):
    """{"e":"trade","E":1785685177439,"T":1785685177439,"s":"BTCUSDT","t":7947325360,"p":"63113.20","q":"0.001",
    "X":"MARKET","m":false,"st":1}
    """

    E: int
    T: int
    s: str
    t: int
    p: Number
    q: Number
    m: bool
    X: str = "MARKET"
    st: int = 1


class DepthUpdate(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """{"e":"depthUpdate","E":1791399961205,"T":1791399961201,"s":"BTCUSDT","ps":"BTCUSDT","U":11759030886305,
    "u":11759030896477,"pu":11759030885985,"b":[["1000.00","115.863"],["66715.00","0.000"]],"a":[["83402.00","3.480"]]}
    """

    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[tuple[Number, Number]]
    a: list[tuple[Number, Number]]
    st: int = 1


class BookTicker(msgspec.Struct, tag_field="e", tag="bookTicker"):
    """{"e":"bookTicker","u":11671659685961,"s":"BTCUSDT","ps":"BTCUSDT","b":"84551.00","B":"2.646","a":"84551.10",
    "A":"3.120","T":1790526539021,"E":1790526539022,"st":1}
    """

    u: int
    s: str
    b: Number
    B: Number
    a: Number
    A: Number
    T: int
    E: int
    st: int = 1


class MarkPrice(msgspec.Struct, tag_field="e", tag="markPriceUpdate"):
    """{"e":"markPriceUpdate","E":1791269856000,"s":"BTCUSDT","p":"85296.60260870","ap":"85296.60260870",
    "P":"85321.91711993","i":"85345.93826087","r":"0.00000523","T":1791273600000,"st":1}
    """

    E: int
    s: str
    p: Number
    i: Number
    T: int
    r: str | float = ""
    st: int = 1


class ForceOrderBody(msgspec.Struct):
    s: str
    S: Literal["BUY", "SELL"]
    ap: Number
    z: Number
    T: int
    st: int = 1


class ForceOrder(msgspec.Struct, tag_field="e", tag="forceOrder"):
    """{"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.190",
    "p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190","T":1791565602120,"ps":"BTCUSDT","st":1}}

    One object despite the stream's name. S is the side of the liquidation *order*: SELL closed a long. Size is what
    was filled (z) at the average price (ap). `ps` and `st` sit inside `o`, beside it, or nowhere.
    """

    E: int
    o: ForceOrderBody
    st: int = 1


class Ticker24h(msgspec.Struct, tag_field="e", tag="24hrTicker"):
    """{"e":"24hrTicker","E":1789478374128,"s":"MINAUSDT","p":"0.0039000","P":"4.784","c":"0.0854300","h":"0.0871000",
    "l":"0.0799000","v":"500096749","q":"34943789.3","n":452236,"st":1, ...}
    """

    E: int
    s: str
    P: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    v: Decimal
    q: Decimal
    n: int = 0
    st: int = 1


class ContractInfo(msgspec.Struct, tag_field="e", tag="contractInfo"):
    """{"e":"contractInfo","E":1790000000000,"s":"NEWUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":1790003600000,
    "cs":"PENDING_TRADING","st":1}
    """

    E: int
    s: str
    ct: str = ""
    cs: str = ""
    dt: int = 0
    ot: int = 0
    st: int = 1


class _Head(msgspec.Struct):
    """What every event has: its name, and whether it is COIN-M's, whose other fields may differ from ours."""

    e: str
    st: int = 1


class Ack(msgspec.Struct):
    """Answer to a command: {"result":null,"id":1} or {"code":2,"msg":"Invalid request: …","id":1}."""

    id: int | None = None
    result: list[str] | bool | None = None
    code: int | None = None
    msg: str = ""


Control = Ack | Ticker24h | ContractInfo
Event = AggTrade | Trade | DepthUpdate | BookTicker | MarkPrice | ForceOrder | Ticker24h | ContractInfo
IGNORED_EVENTS = frozenset(
    {
        "kline",
        "continuous_kline",
        "24hrMiniTicker",
        "compositeIndex",
        "assetIndexUpdate",
        "EquityUpdate",
        "CommodityUpdate",
    }
)


class _Envelope(msgspec.Struct):
    """Any text frame: wrapped ({"stream":…,"data":…}), raw ({"e":…}), or an answer to a command."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


class _Snapshot(msgspec.Struct):
    """{"lastUpdateId":11759031561498,"E":1791399966500,"T":1791399966493,"bids":[["83401.90","8.843"]],"asks":[…]}"""

    lastUpdateId: int
    bids: list[tuple[Number, Number]]
    asks: list[tuple[Number, Number]]
    E: int = 0
    T: int = 0


class _RestAggTrade(msgspec.Struct):
    """{"a":3478018549,"p":"83434.40","q":"0.016","nq":"0.016","f":8154045700,"l":8154045704,"T":1791391081874,"m":true}"""

    a: int
    p: Number
    q: Number
    f: int
    l: int  # noqa: E741
    T: int
    m: bool
    nq: Number | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_event = msgspec.json.Decoder(Event)
_events = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)
_ack = msgspec.json.Decoder(Ack)
_snapshot = msgspec.json.Decoder(_Snapshot)
_rest_agg_trades = msgspec.json.Decoder(list[_RestAggTrade])


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that is not what the protocol promises, kept as it came."""

    reason: str
    detail: str
    frame: bytes


@dataclass(slots=True)
class Decoded:
    """What a run of frames says: rows in order, control messages, frames set aside.

    `foreign` counts events of instruments that are not ours (COIN-M, dated, not configured) in all-symbol streams.
    """

    tape: Tape
    frames: int = 0
    control: list[Control] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    foreign: int = 0
    off_grid: list[OffGridError] = field(default_factory=list)
    """Instruments whose grid has to be refined before frames like these (also in `rejected`) can be read."""


class _Rows:
    """Rows and levels being gathered."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.levels: list[tuple[int, int]] = []

    def add(self, kind: Kind, flags: int, i: int, recv_ns: int, **columns: int) -> None:
        values = {"kind": kind, "flags": flags, "instrument": i, "recv_ns": recv_ns, **columns}
        self.rows.append(tuple(values.get(name, 0) for name in ROW.names or ()))

    def tape(self) -> Tape:
        return Tape(np.array(self.rows, ROW), np.array(self.levels, LEVEL))


class _Scratch:
    """Arrays that decoding writes into, large enough for whatever the loaded frames can hold."""

    def __init__(self) -> None:
        self.bytes = np.zeros(1 << 16, np.uint8)
        self.rows = np.zeros(1 << 10, ROW)
        self.levels = np.zeros(1 << 13, LEVEL)
        self.counts = np.zeros(3, np.int64)
        self.ends = np.zeros(0, np.int64)
        self.recv_ns = np.zeros(0, np.int64)

    def load(self, buffer: bytes | bytearray, ends: Sequence[int], recv_ns: int | Sequence[int]) -> None:
        size = int(ends[-1]) if len(ends) else 0
        if len(self.bytes) < size + PADDING:
            self.bytes = np.zeros(2 * (size + PADDING), np.uint8)
        self.bytes[:size] = np.frombuffer(buffer, np.uint8, count=size)
        self.bytes[size : size + PADDING] = 0
        self.ends = np.asarray(ends, np.int64)
        self.recv_ns = (
            np.full(len(ends), recv_ns, np.int64) if isinstance(recv_ns, int) else np.asarray(recv_ns, np.int64)
        )
        self._reserve(size // SHORTEST_EVENT + len(ends) + 1, size // SHORTEST_LEVEL + 1)
        self.counts[:] = 0

    def _reserve(self, rows: int, levels: int) -> None:
        if len(self.rows) < rows:
            self.rows = np.concatenate([self.rows, np.zeros(2 * rows - len(self.rows), ROW)])
        if len(self.levels) < levels:
            self.levels = np.concatenate([self.levels, np.zeros(2 * levels - len(self.levels), LEVEL)])

    def run_kernel(self, first: int, symbols: Symbols) -> int:
        """Decode from frame `first`; returns the frame the kernel does not understand, or how many there are."""
        return int(decode(self.bytes, self.ends, self.recv_ns, first, symbols, self.rows, self.levels, self.counts))

    def append(self, general: _Rows) -> None:
        """Put rows of the general decoder behind those already there."""
        if not general.rows:
            return
        tape = general.tape()
        row, level = int(self.counts[ROWS]), int(self.counts[LEVELS])
        self._reserve(
            row + len(tape.rows) + len(self.ends), level + len(tape.levels) + int(self.ends[-1]) // SHORTEST_LEVEL
        )
        tape.rows["level_at"][tape.rows["kind"] == Kind.DEPTH] += level
        self.rows[row : row + len(tape.rows)] = tape.rows
        self.levels[level : level + len(tape.levels)] = tape.levels
        self.counts[ROWS] += len(tape.rows)
        self.counts[LEVELS] += len(tape.levels)

    def tape(self) -> Tape:
        return Tape(self.rows[: self.counts[ROWS]], self.levels[: self.counts[LEVELS]])


class Codec:
    """Turns frames of Binance USD-M into tape rows for the instruments of one universe."""

    def __init__(self, universe: Universe, *, kernel: bool = True) -> None:
        self.universe = universe
        self.general_frames = 0
        """Frames that the general decoder took."""
        self._kernel = kernel
        self._version = -1
        self._symbols = index_symbols([])
        self._scratch = _Scratch()

    def decode(self, buffer: bytes | bytearray, ends: Sequence[int], recv_ns: int | Sequence[int]) -> Decoded:
        """Decode the websocket text frames `buffer[ends[k-1]:ends[k]]`, received at `recv_ns` (one or one each).

        A frame that cannot be read is set aside whole with its reason and changes nothing. The tape's arrays are
        reused: they are good until the next call.
        """
        decoded = Decoded(Tape.empty(), frames=len(ends))
        if self._version != self.universe.version:
            self._symbols, self._version = index_symbols(list(self.universe)), self.universe.version
        scratch = self._scratch
        scratch.load(buffer, ends, recv_ns)
        view = memoryview(buffer)
        k = 0
        while True:
            if self._kernel:
                k = scratch.run_kernel(k, self._symbols)
            if k == len(ends):
                break
            rows = _Rows()
            self._frame(view[ends[k - 1] if k else 0 : ends[k]], int(scratch.recv_ns[k]), rows, decoded)
            scratch.append(rows)
            self.general_frames += 1
            k += 1
        decoded.tape = scratch.tape()
        decoded.foreign += int(scratch.counts[FOREIGN])
        return decoded

    def _frame(self, frame: memoryview, recv_ns: int, rows: _Rows, decoded: Decoded) -> None:
        rows_kept, levels_kept = len(rows.rows), len(rows.levels)
        control_kept, foreign = len(decoded.control), decoded.foreign
        try:
            self._read(frame, recv_ns, rows, decoded)
        except FrameError as error:
            del rows.rows[rows_kept:], rows.levels[levels_kept:], decoded.control[control_kept:]
            decoded.foreign = foreign
            if isinstance(error, OffGridError):
                # Its traceback would keep our view of the caller's buffer alive, and so forbid reusing the buffer.
                decoded.off_grid.append(error.with_traceback(None))
            decoded.rejected.append(Rejected(error.reason, str(error), bytes(frame)))

    def _read(self, frame: memoryview, recv_ns: int, rows: _Rows, decoded: Decoded) -> None:
        if len(frame) and frame[0] == _OPEN_LIST:
            raise FrameError("bare_array")
        envelope = _read_json(_envelope, frame)
        payload = memoryview(envelope.data) if len(envelope.data) else frame
        if len(envelope.data) and payload[0] == _OPEN_LIST:
            for item in _read_json(_events, payload):
                self._event(item, True, recv_ns, rows, decoded)
        elif len(envelope.data) or envelope.e:
            many = envelope.stream.startswith("!")
            if "@depth" in envelope.stream and envelope.stream.split("@depth")[1][:1] in ("5", "1", "2"):
                _refuse_partial_depth(envelope.stream)
            self._event(payload, many, recv_ns, rows, decoded)
        elif envelope.id is not None or len(envelope.result) or envelope.code is not None or len(envelope.error):
            decoded.control.append(_read_json(_ack, frame))
        else:
            raise FrameError("no_event")

    def _event(self, payload: Any, many: bool, recv_ns: int, rows: _Rows, decoded: Decoded) -> None:
        head = _read_json(_head, payload)
        if head.e in IGNORED_EVENTS:
            return
        if head.st == COIN_MARGINED:
            decoded.foreign += 1
            return
        event: Event = _read_json(_event, payload)
        body = event.o if isinstance(event, ForceOrder) else event
        if body.st == COIN_MARGINED:
            decoded.foreign += 1
            return
        if isinstance(event, ContractInfo):
            decoded.control.append(event)
            return
        instrument = self.universe.find(body.s)
        if instrument is None:
            if not many:
                raise FrameError("unknown_symbol", body.s[:40])
            decoded.foreign += 1
            return
        _check_time(event.E, recv_ns)
        if isinstance(event, Ticker24h):
            decoded.control.append(event)
        else:
            with _of(instrument):
                _ROW_OF[type(event)](event, instrument, recv_ns, rows)

    def snapshot(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """The REST /depth answer as one DEPTH row flagged SNAPSHOT."""
        instrument = self.universe.get(symbol)
        answer = _read_json(_snapshot, body)
        for ms in (answer.E, answer.T):
            if ms:
                _check_time(ms, recv_ns)
        rows = _Rows()
        ids = (answer.lastUpdateId, answer.lastUpdateId, 0)
        with _of(instrument):
            _depth(rows, instrument, recv_ns, answer.bids, answer.asks, int(Flag.SNAPSHOT), (answer.E, answer.T), ids)
        return rows.tape()

    def agg_trades(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """The REST /aggTrades answer as TRADE rows flagged BACKFILLED, in order of id."""
        instrument = self.universe.get(symbol)
        rows = _Rows()
        flags = int(Flag.AGGREGATE | Flag.BACKFILLED)
        with _of(instrument):
            for t in _read_json(_rest_agg_trades, body):
                _trade(rows, instrument, recv_ns, t, t.T, flags, (t.a, t.f, t.l), t.nq)
        return rows.tape()


@contextmanager
def _of(instrument: Instrument) -> Iterator[None]:
    """Name the instrument in an off-grid error, so that its grid can be refined."""
    try:
        yield
    except OffGridError as error:
        error.symbol = instrument.symbol
        raise


def _read_json(decoder: msgspec.json.Decoder[Any], data: Any) -> Any:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        reason = "unknown_event" if "$.e`" in str(error) or "`e`" in str(error) else "wrong_shape"
        raise FrameError(reason, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError("not_json", str(error)) from error


def _refuse_partial_depth(stream: str) -> None:
    """Partial books (@depth5/10/20) share the event name of diffs and would corrupt a book."""
    suffix = stream.split("@depth")[1].split("@", maxsplit=1)[0]
    if suffix in ("5", "10", "20"):
        raise FrameError("partial_depth", stream)


def _check_time(ms: int, recv_ns: int) -> None:
    if not EARLIEST_MS < ms < LATEST_MS:
        raise FrameError("time_range", str(ms)[:40])
    if abs(ms - recv_ns // 1_000_000) > MAX_SKEW_MS:
        raise FrameError("time_skew", f"event time {ms} is more than a day from receive time")


def _check_ids(*ids: int) -> None:
    if any(not 0 <= value < MAX_INT for value in ids):
        raise FrameError("id_range", str(ids)[:80])


def _positive(count: int, what: str) -> int:
    if count <= 0:
        raise FrameError("not_positive", what)
    return count


def _trade(
    rows: _Rows, instrument: Instrument, recv_ns: int, t: Any, event_ms: int, flags: int, ids: tuple[int, int, int],
    without_rpi: Decimal | None,
) -> None:  # fmt: skip
    _check_ids(*ids)
    # What is filled in may be old, but not from the future.
    _check_time(t.T, min(recv_ns, t.T * 1_000_000) if flags & Flag.BACKFILLED else recv_ns)
    qty = _positive(count_of(t.q, instrument.lot, "quantity"), "quantity")
    rows.add(
        Kind.TRADE, flags | (int(Flag.SELL) if t.m else 0), instrument.index, recv_ns,
        event_ms=event_ms, ts_ms=t.T, id=ids[0], first_id=ids[1], last_id=ids[2],
        price=_positive(count_of(t.p, instrument.tick, "price"), "price"), qty=qty,
        qty2=qty if without_rpi is None else count_of(without_rpi, instrument.lot, "quantity"),
    )  # fmt: skip


def _agg_trade_row(t: AggTrade, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    """`m` true: the buyer was the maker, so the aggressor sold."""
    _trade(rows, instrument, recv_ns, t, t.E, int(Flag.AGGREGATE), (t.a, t.f, t.l), t.nq)


def _trade_row(t: Trade, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    flags = 0 if t.X == "MARKET" else int(Flag.OFF_BOOK)
    _trade(rows, instrument, recv_ns, t, t.E, flags, (t.t, t.t, t.t), None)


def _depth(
    rows: _Rows, instrument: Instrument, recv_ns: int, bids: list[tuple[Decimal, Decimal]],
    asks: list[tuple[Decimal, Decimal]], flags: int, times: tuple[int, int], ids: tuple[int, int, int],
) -> None:  # fmt: skip
    _check_ids(*ids, *times)
    if len(bids) + len(asks) > MAX_LEVELS:
        raise FrameError("too_many_levels", str(len(bids) + len(asks)))
    at = len(rows.levels)
    for price, qty in (*bids, *asks):
        ticks = _positive(count_of(price, instrument.tick, "price"), "level price")
        rows.levels.append((ticks, count_of(qty, instrument.lot, "quantity")))
    low = high = 0
    if flags & Flag.SNAPSHOT:
        low, high = _coverage([price for price, _ in rows.levels[at:]], len(bids))
    rows.add(
        Kind.DEPTH, flags, instrument.index, recv_ns, event_ms=times[0], ts_ms=times[1], price=low, price2=high,
        id=ids[1], first_id=ids[0], last_id=ids[1], prev_id=ids[2], level_at=at, bids=len(bids), asks=len(asks),
    )  # fmt: skip


def _coverage(prices: list[int], bids: int) -> tuple[int, int]:
    """Lowest and highest tick up to which a snapshot knows every level; 0 where it knows all there are.

    A side that fills one of the venue's limits was cut there.
    """
    low = min(prices[:bids]) if bids in DEPTH_WEIGHT else 0
    high = max(prices[bids:]) if len(prices) - bids in DEPTH_WEIGHT else 0
    return low, high


def _depth_row(d: DepthUpdate, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    _check_time(d.T, recv_ns)
    _depth(rows, instrument, recv_ns, d.b, d.a, 0, (d.E, d.T), (d.U, d.u, d.pu))


def _quote_row(q: BookTicker, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    _check_time(q.T, recv_ns)
    _check_ids(q.u)
    rows.add(
        Kind.QUOTE, 0, instrument.index, recv_ns, event_ms=q.E, ts_ms=q.T, id=q.u,
        price=count_of(q.b, instrument.tick, "price"), qty=count_of(q.B, instrument.lot, "quantity"),
        price2=count_of(q.a, instrument.tick, "price"), qty2=count_of(q.A, instrument.lot, "quantity"),
    )  # fmt: skip


def _mark_row(m: MarkPrice, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    """`r` is empty and T zero on dated contracts."""
    try:
        rate = Decimal(str(m.r)) if m.r != "" else Decimal(0)
    except ArithmeticError as error:
        raise FrameError("number_range", str(m.r)[:40]) from error
    _check_ids(m.T)
    rows.add(
        Kind.MARK, 0, instrument.index, recv_ns, event_ms=m.E, ts_ms=m.E, id=m.T,
        price=rounded_e8(m.p), price2=rounded_e8(m.i), qty=rounded_e8(rate),
    )  # fmt: skip


def _liquidation_row(f: ForceOrder, instrument: Instrument, recv_ns: int, rows: _Rows) -> None:
    _check_time(f.o.T, recv_ns)
    price = _positive(rounded_e8(f.o.ap), "average price")
    qty = _positive(count_of(f.o.z, instrument.lot, "quantity"), "filled quantity")
    if price // E8 * qty >= MAX_UNITS:
        raise FrameError("number_range", f"{f.o.z} at {f.o.ap}")
    rows.add(
        Kind.LIQUIDATION, int(Flag.LONG) if f.o.S == "SELL" else 0, instrument.index, recv_ns,
        event_ms=f.E, ts_ms=f.o.T, price=price, qty=qty,
    )  # fmt: skip


_ROW_OF: dict[type, Any] = {
    AggTrade: _agg_trade_row,
    Trade: _trade_row,
    DepthUpdate: _depth_row,
    BookTicker: _quote_row,
    MarkPrice: _mark_row,
    ForceOrder: _liquidation_row,
}
