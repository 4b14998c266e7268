"""Binance spot messages to tape rows. What it shares with the futures' decoder is inherited; see there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import numpy as np

from ..model.errors import FrameError
from ..model.instrument import Instrument, Universe
from ..model.tape import Flag, Kind, Tape
from ..model.ticker import Ticker
from .batch import Decoded, Integers, Rows
from .binance_kernel import decode_spot
from .binance_spot_messages import IGNORED_EVENTS, MiniTicker, Shutdown, SpotBookTicker, SpotDepth, SpotEvent, SpotHead
from .binance_usdm_codec import Codec, depth_row, quote_row, trade_row
from .binance_usdm_messages import AggTrade
from .checks import check_ids, check_time, of_instrument, read_json

MICROSECONDS = 10**15
"""Times from here on are microseconds: what the venue sends to who asks for `timeUnit=MICROSECOND`."""

_head = msgspec.json.Decoder(SpotHead)
_event = msgspec.json.Decoder(SpotEvent)
_quote = msgspec.json.Decoder(SpotBookTicker)


class SpotCodec(Codec):
    """Turns frames of Binance spot into tape rows for the instruments of one universe.

    A quote comes without a time. It has the newest event time told before it, on whichever stream: it is not older, and
    by no more than the venue's rhythm younger. Before any time was told, it has that of its receipt.
    """

    compiled: ClassVar[Callable[..., int]] = decode_spot

    def __init__(self, universe: Universe, *, kernel: bool = True) -> None:
        super().__init__(universe, kernel=kernel)
        self._newest_ms = 0

    def decode(self, buffer: bytes | bytearray, ends: Integers, recv_ns: int | Integers) -> Decoded:
        decoded = super().decode(buffer, ends, recv_ns)
        if not decoded.off_grid:  # the caller comes again with what is behind: nothing may be kept of this time
            self._tell_times(decoded.tape)
        return decoded

    def _tell_times(self, tape: Tape) -> None:
        """Give quotes their times."""
        rows = tape.rows
        if not len(rows):
            return
        newest = np.maximum(np.maximum.accumulate(rows["event_ms"]), self._newest_ms)
        untimed = (rows["kind"] == Kind.QUOTE) & (rows["event_ms"] == 0)
        if untimed.any():
            times = np.where(newest > 0, newest, rows["recv_ns"] // 1_000_000)[untimed]
            rows["event_ms"][untimed] = rows["ts_ms"][untimed] = times
        self._newest_ms = int(newest[-1])

    def _event(self, payload: Any, many: bool, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        head = read_json(_head, payload)
        if head.e in IGNORED_EVENTS:
            return
        if not head.e and head.u is None:
            raise FrameError("no_event")
        event: Any = read_json(_event if head.e else _quote, payload)
        if isinstance(event, Shutdown):
            decoded.control.append(event)
            return
        instrument = self.universe.find(event.s)
        if instrument is None:
            if not many:
                raise FrameError("unknown_symbol", event.s[:40])
            decoded.foreign += 1
            return
        if isinstance(event, SpotBookTicker):
            with of_instrument(instrument):
                quote_row(rows, instrument, recv_ns, event, (0, 0))
            return
        event.E = milliseconds(event.E)
        check_time(event.E, recv_ns)
        if isinstance(event, MiniTicker):
            decoded.control.append(_ticker(event))
            return
        with of_instrument(instrument):
            if isinstance(event, SpotDepth):
                _depth_row(event, rows, instrument, recv_ns)
                return
            event.T = milliseconds(event.T)
            if isinstance(event, AggTrade):
                ids, flags = (event.a, event.f, event.l), int(Flag.AGGREGATE)
            else:
                ids, flags = (event.t, event.t, event.t), 0
            trade_row(rows, instrument, recv_ns, event, event.E, flags, ids)

    def _read(self, frame: memoryview, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        """A raw bookTicker has nothing that the envelope of other messages has."""
        if bytes(frame[:5]) == b'{"u":':
            self._event(frame, False, recv_ns, rows, decoded)
        else:
            super()._read(frame, recv_ns, rows, decoded)


def milliseconds(time: int) -> int:
    """A time in milliseconds, whichever unit was asked for."""
    return time // 1000 if time >= MICROSECONDS else time


def _depth_row(d: SpotDepth, rows: Rows, instrument: Instrument, recv_ns: int) -> None:
    """Ids of one instrument follow each other: what must come before U is U - 1."""
    check_ids(d.U, d.u)
    if not 0 < d.U <= d.u:
        raise FrameError("id_range", f"{d.U}..{d.u}")
    depth_row(rows, instrument, recv_ns, d.b, d.a, 0, (d.E, d.E), (d.U, d.u, d.U - 1))


def _ticker(t: MiniTicker) -> Ticker:
    """The change is computed: these figures have the price of 24 h ago and the last one."""
    change = round((t.c - t.o) / t.o * 100, 3) if t.o else t.o
    return Ticker(t.s, t.c, t.h, t.l, change, t.v, t.q)
