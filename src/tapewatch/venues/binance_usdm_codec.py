"""Binance USD-M messages to tape rows: typed, complete, and the definition of what a frame means.

`Codec.decode` lets the compiled kernel of `binance_kernel` take the frequent messages; every frame it does not
understand comes back to the general decoder here, which yields rows or a typed error. The messages' types stand in
`binance_usdm_messages`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from ..model.errors import FrameError, OffGridError
from ..model.instrument import Instrument, Universe
from ..model.tape import E8, Flag, Kind, Tape
from ..model.ticker import Ticker
from .batch import ROWS, Decoded, Integers, Rejected, Rows, Scratch
from .binance_kernel import decode
from .binance_usdm_fields import COIN_MARGINED, MAX_LEVELS, MAX_UNITS
from .binance_usdm_messages import (
    DEPTH_LIMITS,
    IGNORED_EVENTS,
    Ack,
    AggTrade,
    BookTicker,
    ContractInfo,
    DepthUpdate,
    Envelope,
    Event,
    ForceOrder,
    Head,
    MarkPrice,
    RestAggTrade,
    Snapshot,
    Ticker24h,
    Trade,
)
from .checks import check_ids, check_time, check_times, check_units, of_instrument, positive, read_json
from .decimals import count_of, rounded_e8
from .scan import index_symbols

_OPEN_LIST = ord("[")
_NO_ROWS = Tape.empty()

_envelope = msgspec.json.Decoder(Envelope)
_event = msgspec.json.Decoder(Event)
_events = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(Head)
_ack = msgspec.json.Decoder(Ack)
_snapshot = msgspec.json.Decoder(Snapshot)
_rest_agg_trades = msgspec.json.Decoder(list[RestAggTrade])


class Codec:
    """Turns frames of Binance USD-M into tape rows for the instruments of one universe."""

    compiled: ClassVar[Callable[..., int]] = decode
    """Takes the frequent messages; see `binance_kernel.decode`."""

    def __init__(self, universe: Universe, *, kernel: bool = True) -> None:
        self.universe = universe
        self.general_frames = 0
        """Frames that the general decoder took."""
        self._kernel = kernel
        self._version = -1
        self._symbols = index_symbols([])
        self._scratch = Scratch(type(self).compiled, self._symbols)

    def decode(self, buffer: bytes | bytearray, ends: Integers, recv_ns: int | Integers) -> Decoded:
        """Decode the websocket text frames `buffer[ends[k-1]:ends[k]]`, received at `recv_ns` (one or one each).

        A frame that cannot be read is set aside whole with its reason and changes nothing. The tape's arrays are
        reused: they are good until the next call. A buffer that goes on with `PADDING` zero bytes behind the
        last frame is read where it lies.
        """
        decoded = Decoded(_NO_ROWS, frames=len(ends))
        if self._version != self.universe.version:
            self._symbols, self._version = index_symbols(list(self.universe)), self.universe.version
        scratch = self._scratch
        scratch.load(buffer, ends, recv_ns)
        k = 0
        while True:
            if self._kernel:
                k = scratch.run(k, self._symbols)
            if k == len(ends):
                break
            rows = Rows()
            self._frame(memoryview(buffer)[ends[k - 1] if k else 0 : ends[k]], k, scratch.recv_ns(k), rows, decoded)
            scratch.append(rows)
            self.general_frames += 1
            k += 1
        decoded.tape, foreign = scratch.take()
        decoded.foreign += foreign
        return decoded

    def _frame(self, frame: memoryview, k: int, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
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
            held = int(self._scratch.counts[ROWS])
            decoded.rejected.append(Rejected(error.reason, str(error), bytes(frame), k, held))

    def _read(self, frame: memoryview, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        if len(frame) and frame[0] == _OPEN_LIST:
            raise FrameError("bare_array")
        envelope = read_json(_envelope, frame)
        payload = memoryview(envelope.data) if len(envelope.data) else frame
        if len(envelope.data) and payload[0] == _OPEN_LIST:
            for item in read_json(_events, payload):
                self._event(item, True, recv_ns, rows, decoded)
        elif len(envelope.data) or envelope.e:
            many = envelope.stream.startswith("!")
            if "@depth" in envelope.stream and envelope.stream.split("@depth")[1][:1] in ("5", "1", "2"):
                refuse_partial_depth(envelope.stream)
            self._event(payload, many, recv_ns, rows, decoded)
        elif envelope.id is not None or len(envelope.result) or envelope.code is not None or len(envelope.error):
            decoded.control.append(read_json(_ack, frame))
        else:
            raise FrameError("no_event")

    def _event(self, payload: Any, many: bool, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        head = read_json(_head, payload)
        if head.e in IGNORED_EVENTS:
            return
        if head.st == COIN_MARGINED:
            decoded.foreign += 1
            return
        event: Event = read_json(_event, payload)
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
        check_time(event.E, recv_ns)
        if isinstance(event, Ticker24h):
            decoded.control.append(Ticker(event.s, event.c, event.h, event.l, event.P, event.v, event.q, event.n))
        else:
            with of_instrument(instrument):
                _ROW_OF[type(event)](event, instrument, recv_ns, rows)

    def snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int = 0) -> Tape:
        """The REST /depth answer as one DEPTH row flagged SNAPSHOT; `limit` is how many levels were asked for."""
        instrument = self.universe.get(symbol)
        answer = read_json(_snapshot, body)
        for ms in (answer.E, answer.T):
            if ms:
                check_time(ms, recv_ns)
        rows = Rows()
        ids = (answer.lastUpdateId, answer.lastUpdateId, 0)
        with of_instrument(instrument):
            depth_row(
                rows,
                instrument,
                recv_ns,
                answer.bids,
                answer.asks,
                int(Flag.SNAPSHOT),
                (answer.E, answer.T),
                ids,
                limit,
            )
        return rows.tape()

    def trades(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """The REST /aggTrades answer as TRADE rows flagged BACKFILLED, in order of id."""
        instrument = self.universe.get(symbol)
        rows = Rows()
        flags = int(Flag.AGGREGATE | Flag.BACKFILLED)
        with of_instrument(instrument):
            for t in read_json(_rest_agg_trades, body):
                trade_row(rows, instrument, recv_ns, t, t.T, flags, (t.a, t.f, t.l), t.nq)
        return rows.tape()


def refuse_partial_depth(stream: str) -> None:
    """Partial books (@depth5/10/20) share the event name of diffs and would corrupt a book."""
    suffix = stream.split("@depth")[1].split("@", maxsplit=1)[0]
    if suffix in ("5", "10", "20"):
        raise FrameError("partial_depth", stream)


def trade_row(
    rows: Rows, instrument: Instrument, recv_ns: int, t: Any, event_ms: int, flags: int, ids: tuple[int, int, int],
    without_rpi: Decimal | None = None,
) -> None:  # fmt: skip
    """A print of any of the venue's products, `ids` its own and the first and last raw one inside."""
    check_ids(*ids)
    # What is filled in may be old, but not from the future.
    check_times(event_ms, t.T, min(recv_ns, t.T * 1_000_000) if flags & Flag.BACKFILLED else recv_ns)
    price = positive(count_of(t.p, instrument.tick, "price"), "price")
    qty = positive(count_of(t.q, instrument.lot, "quantity"), "quantity")
    check_units(price, qty)
    rows.add(
        Kind.TRADE, flags | (int(Flag.SELL) if t.m else 0), instrument.index, recv_ns,
        event_ms=event_ms, ts_ms=t.T, id=ids[0], first_id=ids[1], last_id=ids[2],
        price=price, qty=qty,
        qty2=qty if without_rpi is None else count_of(without_rpi, instrument.lot, "quantity"),
    )  # fmt: skip


def _agg_trade_row(t: AggTrade, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    """`m` true: the buyer was the maker, so the aggressor sold."""
    trade_row(rows, instrument, recv_ns, t, t.E, int(Flag.AGGREGATE), (t.a, t.f, t.l), t.nq)


def _trade_row(t: Trade, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    flags = 0 if t.X == "MARKET" else int(Flag.OFF_BOOK)
    trade_row(rows, instrument, recv_ns, t, t.E, flags, (t.t, t.t, t.t))


def depth_row(
    rows: Rows, instrument: Instrument, recv_ns: int, bids: list[tuple[Decimal, Decimal]],
    asks: list[tuple[Decimal, Decimal]], flags: int, times: tuple[int, int], ids: tuple[int, int, int],
    limit: int = 0,
) -> None:  # fmt: skip
    """A diff or a snapshot of any of the venue's products; `ids` are first, last and previous."""
    check_ids(*ids, *times)
    if len(bids) + len(asks) > MAX_LEVELS:
        raise FrameError("too_many_levels", str(len(bids) + len(asks)))
    at = len(rows.levels)
    for price, qty in (*bids, *asks):
        ticks = positive(count_of(price, instrument.tick, "price"), "level price")
        lots = count_of(qty, instrument.lot, "quantity")
        check_units(ticks, lots)
        rows.levels.append((ticks, lots))
    low = high = 0
    if flags & Flag.SNAPSHOT:
        low, high = _coverage([price for price, _ in rows.levels[at:]], len(bids), limit)
    rows.add(
        Kind.DEPTH, flags, instrument.index, recv_ns, event_ms=times[0], ts_ms=times[1], price=low, price2=high,
        id=ids[1], first_id=ids[0], last_id=ids[1], prev_id=ids[2], level_at=at, bids=len(bids), asks=len(asks),
    )  # fmt: skip


def _coverage(prices: list[int], bids: int, limit: int) -> tuple[int, int]:
    """Lowest and highest tick up to which a snapshot knows every level; 0 where it knows all there are.

    A side that fills the limit was cut there. Where the limit is not known it is taken to be the longer side, if that
    has one of the venue's limits as its length: a whole side of exactly so many levels is then refreshed in vain.
    """
    asks = len(prices) - bids
    longer = max(bids, asks)
    limit = limit or (longer if longer in DEPTH_LIMITS else longer + 1)
    low = min(prices[:bids]) if bids >= limit else 0
    high = max(prices[bids:]) if asks >= limit else 0
    return low, high


def _depth_row(d: DepthUpdate, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    check_times(d.E, d.T, recv_ns)
    depth_row(rows, instrument, recv_ns, d.b, d.a, 0, (d.E, d.T), (d.U, d.u, d.pu))


def _quote_row(q: BookTicker, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    check_times(q.E, q.T, recv_ns)
    quote_row(rows, instrument, recv_ns, q, (q.E, q.T))


def quote_row(rows: Rows, instrument: Instrument, recv_ns: int, q: Any, times: tuple[int, int]) -> None:
    """Best bid and ask of any of the venue's products."""
    check_ids(q.u)
    bid, ask = count_of(q.b, instrument.tick, "price"), count_of(q.a, instrument.tick, "price")
    bid_lots, ask_lots = count_of(q.B, instrument.lot, "quantity"), count_of(q.A, instrument.lot, "quantity")
    check_units(bid, bid_lots)
    check_units(ask, ask_lots)
    rows.add(
        Kind.QUOTE, 0, instrument.index, recv_ns, event_ms=times[0], ts_ms=times[1], id=q.u,
        price=bid, qty=bid_lots, price2=ask, qty2=ask_lots,
    )  # fmt: skip


def _mark_row(m: MarkPrice, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    """`r` is empty and T zero on dated contracts."""
    try:
        rate = Decimal(str(m.r)) if m.r != "" else Decimal(0)
    except ArithmeticError as error:
        raise FrameError("number_range", str(m.r)[:40]) from error
    check_ids(m.T)
    rows.add(
        Kind.MARK, 0, instrument.index, recv_ns, event_ms=m.E, ts_ms=m.E, id=m.T,
        price=rounded_e8(m.p), price2=rounded_e8(m.i), qty=rounded_e8(rate),
    )  # fmt: skip


def _liquidation_row(f: ForceOrder, instrument: Instrument, recv_ns: int, rows: Rows) -> None:
    check_times(f.E, f.o.T, recv_ns)
    price = positive(rounded_e8(f.o.ap), "average price")
    qty = positive(count_of(f.o.z, instrument.lot, "quantity"), "filled quantity")
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
