"""One venue inside the node: what its feed brings goes through codec and engine here, in plain synchronous calls."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..config import ThresholdsConfig, VenueConfig
from ..engine import Engine, Need
from ..feed.sink import NO_ID, HistoryEdge, TradeHole, TradeTail
from ..flow.candles import MINUTE_MS
from ..flow.trades import EMPTY
from ..ledger import Ledger, accepted
from ..model.channel import Channel
from ..model.errors import OffGridError
from ..model.gaps import Cause, Fate
from ..model.instrument import Instrument, Universe
from ..model.interest import OpenInterest
from ..model.latency import Latency
from ..model.rules import TradeIds
from ..model.tape import Flag, Kind, Tape
from ..model.ticker import Ticker
from ..venues.batch import Decoded, Rejected
from ..venues.product import Product
from .quarantine import Quarantine
from .recorder import VenueRecorder
from .rising import StoredTrades, take_newest

log = logging.getLogger(__name__)

Read = TypeVar("Read")
ANOTHER_TIME_MS = 24 * 3_600_000
"""A venue whose clock is further from ours than this plays a recording: no clock that is merely wrong is so wrong."""


class VenueNode:
    """Engine, codec and counters of one venue; the sink of its feed.

    Everything runs in the event loop's thread, so a view taken between two calls is consistent. `engine` and
    `universe` are replaced once, when the venue first tells its instruments: read them anew each time.
    """

    def __init__(
        self, product: Product, config: VenueConfig, thresholds: ThresholdsConfig, quarantine: Quarantine
    ) -> None:
        self.product = product
        self.name = product.name
        self.config = config
        self.thresholds = thresholds
        self.quarantine = quarantine
        self.recorder: VenueRecorder | None = None
        """Where what comes is kept, before anything has looked at it; None where nothing is stored."""
        self.ledger = Ledger()
        self._owed: list[Need] = []
        self._born_ns = time.time_ns()
        self.told = asyncio.Event()
        """Set once the venue has told its instruments."""
        self.loading = False
        """Today's stored trades are being read: nothing that they may hold is asked of the venue."""
        self._lab_preparing = ""
        self.tickers: dict[str, Ticker] = {}
        """Newest 24 h figures by symbol."""
        self.interest: dict[str, OpenInterest] = {}
        """Newest open interest by symbol."""
        self.latency = Latency()
        self.frames = 0
        self.foreign = 0
        self.on_ask: Callable[[str], None] = lambda _: None
        """Called with an instrument that somebody wants to look at and nobody follows."""
        self.asked: frozenset[str] = frozenset()
        """Instruments that are followed only because somebody looks at them; their books are kept, too."""
        self.clock_offset_ms: Callable[[], float | None] = lambda: None
        """The venue's clock minus ours, as the feed measures it; None before it has."""
        self._start(Universe(product.name))

    def _start(self, universe: Universe) -> None:
        self.universe = universe
        self.engine = Engine(universe, self.thresholds, book=self.product.book, trades=self.product.trades)
        self.engine.lab.preparing = self._lab_preparing
        self.codec = self.product.codec(universe)
        for symbol in self.thresholds.symbols:
            self.engine.override(symbol, self.thresholds.of(symbol))

    # -- what the feed calls ------------------------------------------------------------------------------------

    def on_universe(self, instruments: list[Instrument]) -> list[Need]:
        """Take the venue's list of instruments, first or again: listings, delistings and new increments followed."""
        needs: list[Need] = []
        if not len(self.universe):
            self._start(Universe(self.name, instruments))
            log.info("universe venue=%s instruments=%d", self.name, len(instruments))
        paying = 0
        for told in instruments:
            known = self.universe.find(told.symbol)
            if known is None:
                self.engine.add_instrument(told)
                log.info("listed instrument=%s:%s status=%s", self.name, told.symbol, told.status)
            elif changed := _changed(known, told):
                needs += self.engine.update_instrument(told)
                if changed == ["funding_ms"]:
                    paying += 1
                    continue
                now = " ".join(f"{name}={getattr(told, name)}" for name in changed)
                log.info("changed instrument=%s:%s %s", self.name, told.symbol, now)
        if paying:
            log.info("funding_intervals venue=%s instruments=%d", self.name, paying)
        needs += self._follow_books()
        self._set_limits()
        self._study()
        self._tell_recorder()
        self.told.set()
        return needs

    def prepare_lab(self, why: str) -> None:
        """Nothing can be studied yet, and why; "": from now on it can."""
        self._lab_preparing = self.engine.lab.preparing = why
        self._study()

    def _study(self) -> None:
        """Keep features of the instruments that the configuration names, as soon as that can be done."""
        if self._lab_preparing:
            return
        for symbol in self.config.study_symbols:
            instrument = self.universe.find(symbol)
            if instrument is not None:
                self.engine.lab.study(instrument, pinned=True)

    def _set_limits(self) -> None:
        """Tell the lab what detectors compare against, before anything is studied."""
        lab = self.engine.lab
        lab.common_limits = self.thresholds.of_detectors("ALL")
        named = (self.universe.find(symbol) for symbol in self.thresholds.detectors)
        lab.limits = {one.index: self.thresholds.of_detectors(one.symbol) for one in named if one is not None}

    def _tell_recorder(self) -> None:
        if self.recorder is not None:
            self.recorder.instruments(list(self.universe), self._received(time.time_ns()))

    def _follow_books(self) -> list[Need]:
        """Keep the books the configuration asks for, of instruments that trade."""
        wanted, followed = self.config.book_symbols, self.config.symbols
        needs: list[Need] = []
        for instrument in self.universe:
            symbol = instrument.symbol
            kept = (
                wanted != "none" and (wanted == "all" or symbol in wanted) and (followed == "all" or symbol in followed)
            )
            if instrument.trading and (kept or symbol in self.asked):
                needs += self.engine.follow_book(instrument.index)
            else:
                self.engine.unfollow_book(instrument.index)
        return needs

    def ask(self, symbol: str) -> None:
        """See `hub.columns.Market`: the feed answers at once, if the venue lists it."""
        self.on_ask(symbol)

    def on_followed(self, asked: frozenset[str]) -> list[Need]:
        """Take the instruments that are followed on demand; of those no longer in it, nothing comes from now on."""
        for symbol in self.asked - asked:
            instrument = self.universe.find(symbol)
            if instrument is not None:
                self.engine.expect_gap(instrument.index, Cause.DISCONNECTED)
        self.asked = asked
        return self._follow_books()

    def on_adv(self, symbol: str, quote_volume: Decimal, days: int) -> None:
        self.engine.set_adv(self.universe.get(symbol).index, quote_volume, days)

    def on_interest(self, told: OpenInterest) -> None:
        """Open interest as it was streamed or asked for."""
        self.interest[told.symbol] = told

    def on_frames(self, buffer: bytearray, ends: Sequence[int], recv_ns: int) -> list[Need]:
        """Decode and apply what one socket read brought."""
        self.frames += len(ends)
        received_ns = self._received(recv_ns)
        if self.recorder is not None:
            self.recorder.frames(buffer, ends, received_ns)
        decoded = self.codec.decode(buffer, ends, received_ns)
        needs, self._owed = self._owed, []
        while decoded.off_grid:
            # What came before the frame belongs to the old grid; the frame and what follows, to the finer one.
            refused = next(rejected for rejected in decoded.rejected if rejected.reason == "off_grid")
            needs += self._apply(self.codec.decode(*_part(buffer, ends, 0, refused.number), received_ns), recv_ns)
            refinable = self._refine(decoded.off_grid[0], needs)
            if not refinable:
                self._set_aside(refused, recv_ns)
            buffer, ends = _part(buffer, ends, refused.number + (not refinable), len(ends))
            decoded = self.codec.decode(buffer, ends, received_ns)
        return needs + self._apply(decoded, recv_ns)

    def _apply(self, decoded: Decoded, recv_ns: int) -> list[Need]:
        self.foreign += decoded.foreign
        needs: list[Need] = []
        for message in decoded.control:
            if isinstance(message, Ticker):
                self.tickers[message.symbol] = message
            elif isinstance(message, OpenInterest):
                self.on_interest(message)
        tape = decoded.tape
        if not len(tape) and not decoded.rejected:
            return needs
        if self.plays_recording():
            self._take_raw_trades(tape)
        decoded_ns = time.time_ns()
        done = 0
        for rejected in decoded.rejected:
            # In the order they came: a trade that could not be read is missing behind the one before it.
            needs += self.engine.apply(tape.slice(done, rejected.rows))
            done = rejected.rows
            self._set_aside(rejected, recv_ns)
        event_ms = int(tape.rows[0]["event_ms"]) if len(tape) else 0
        needs += self.engine.apply(tape.slice(done, len(tape)) if done else tape)
        if event_ms:
            self._clocked(event_ms, recv_ns, decoded_ns, time.time_ns())
        return needs

    def _clocked(self, event_ms: int, recv_ns: int, decoded_ns: int, applied_ns: int) -> None:
        """One sample a socket read, of its oldest event."""
        stages = self.latency.stages
        stages["decode"].add((decoded_ns - recv_ns) / 1e6)
        stages["engine"].add((applied_ns - decoded_ns) / 1e6)
        offset_ms = self.clock_offset_ms() or 0.0
        if abs(offset_ms) <= ANOTHER_TIME_MS:  # at another pace than the market's there is no such thing as lag
            stages["receive"].add(recv_ns / 1e6 + offset_ms - event_ms)
            self.latency.total.add(applied_ns / 1e6 + offset_ms - event_ms)

    def plays_recording(self) -> bool:
        """Whether the venue lives at another time than we."""
        return abs(self.clock_offset_ms() or 0.0) > ANOTHER_TIME_MS

    def _received(self, recv_ns: int) -> int:
        """When something was received, by the clock of the time the venue lives at."""
        return recv_ns + int((self.clock_offset_ms() or 0.0) * 1e6) if self.plays_recording() else recv_ns

    def _take_raw_trades(self, tape: Tape) -> None:
        """Old recordings hold raw trades alone; their venue sends those to who asks for aggregates."""
        raw = (tape.rows["kind"] == Kind.TRADE) & (tape.rows["flags"] & Flag.AGGREGATE == 0)
        for i in np.unique(tape.rows["instrument"][raw]):
            self.engine.use_raw_trades(int(i))

    def _set_aside(self, rejected: Rejected, recv_ns: int) -> None:
        """Keep a frame that nobody understands, and on account of which stream."""
        if rejected.reason not in self.quarantine.by_reason:
            log.warning("frame_refused venue=%s reason=%s detail=%r", self.name, rejected.reason, rejected.detail[:120])
        self.quarantine.add(recv_ns, rejected.reason, rejected.frame)
        symbol, channel = self.product.stream_of(rejected.frame) or ("", None)
        instrument = self.universe.find(symbol)
        if instrument is not None and channel is not None:
            self.ledger.quarantined[symbol, channel] += 1
            if channel is Channel.TRADES:
                self.engine.expect_gap(instrument.index, Cause.QUARANTINED)

    def _refine(self, error: OffGridError, needs: list[Need]) -> bool:
        """Move an instrument to the grid that `error` shows; False where that grid would cost more than it tells."""
        before = self.universe.get(error.symbol)
        needs += self.engine.refine_grid(error)
        if self.universe.get(error.symbol) == before:
            return False
        self._tell_recorder()
        log.info("grid_refined instrument=%s:%s reason=%r", self.name, error.symbol, str(error))
        return True

    def _refining(self, decode: Callable[[], Read], needs: list[Need]) -> Read:
        """Decode a REST answer, its instrument's grid refined as often as the answer needs it."""
        while True:
            try:
                return decode()
            except OffGridError as error:
                if not self._refine(error, needs):
                    raise

    def on_snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int = 0) -> list[Need]:
        """Apply a REST book snapshot of at most `limit` levels."""
        received_ns = self._received(recv_ns)
        if self.recorder is not None:
            self.recorder.snapshot(symbol, body, received_ns)
        refined: list[Need] = []  # the snapshot that a new grid asks for is the one in our hands
        tape = self._refining(lambda: self.codec.snapshot(symbol, body, received_ns, limit), refined)
        return self.engine.apply(tape)

    def on_trades(self, symbol: str, body: bytes, recv_ns: int) -> list[Need]:
        """Apply a REST answer with trades that a gap had hidden, or of history."""
        received_ns, needs = self._received(recv_ns), list[Need]()
        if self.recorder is not None:
            self.recorder.trades(symbol, body, received_ns)
        tape = self._refining(lambda: self.codec.trades(symbol, body, received_ns), needs)
        return needs + self.engine.apply(Tape(self._history_backwards(tape.rows), tape.levels))

    def _history_backwards(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Trades of one instrument, those before the oldest one held from the newest of them back.

        So each goes right before what is held, and nothing is missing in between, ever.
        """
        held = self.engine.flow.trades[rows["instrument"][0] if len(rows) else 0]
        if held["last_id"] == EMPTY:
            return rows
        older = rows["id"] < held["first_id"]
        return np.concatenate([rows[older][::-1], rows[~older]])

    def on_newest(self, symbol: str, body: bytes, recv_ns: int) -> tuple[int, int, list[Need]]:
        """Apply the newest trades of an instrument whose ids do not count. See `Sink.on_newest`."""
        received_ns, needs = self._received(recv_ns), list[Need]()
        if self.recorder is not None:
            self.recorder.trades(symbol, body, received_ns)
        rows = self._refining(lambda: self.codec.trades(symbol, body, received_ns), needs).rows
        if not len(rows):
            return 0, 0, needs
        filled, loaded, more = take_newest(self.engine, self.universe.get(symbol).index, rows, self._is_being_read)
        return filled, loaded, needs + more

    def on_klines(self, symbol: str, bodies: Sequence[bytes]) -> int:
        """Take today's one-minute klines: where trades begin late, CVD begins with them. Returns when they end."""
        read = self.product.minute_klines
        if read is None:
            raise RuntimeError(f"klines of {self.name} were asked for")
        rows = self._refining(lambda: read(bodies, self.universe.get(symbol)), self._owed)
        self.engine.set_klines(self.universe.get(symbol).index, rows)
        return int(rows["open_ms"][-1]) + MINUTE_MS if len(rows) else 0

    def refine(self, error: OffGridError) -> bool:
        """Move an instrument to a grid on which `error` lies; False where that is not done.

        The snapshot that its book then wants is asked for with the next read.
        """
        return self._refine(error, self._owed)

    def take_stored(self, tape: Tape, before: StoredTrades) -> None:
        """Take stored trades of today; those of the other source than the one that counts are no history of ours.

        Where ids do not count, `before` knows which of them do not follow each other.
        """
        rows = tape.rows.copy()
        rows["flags"] |= int(Flag.BACKFILLED)
        if self.product.trades.ids is not TradeIds.RISING:
            self.engine.apply_stored(Tape(rows, tape.levels))
            return
        before.take(self.engine, rows[rows["recv_ns"] < self._born_ns])  # what has been stored since came live

    def has_only_stored(self, i: int) -> bool:
        """Whether trades of an instrument are held, and none that has come by itself."""
        row = self.engine.flow.trades[i]
        return bool(row["last_id"] != EMPTY and accepted(row) == row["backfilled"])

    def venue_ms(self) -> int:
        """The venue's clock, as the feed measures it."""
        return time.time_ns() // 1_000_000 + round(self.clock_offset_ms() or 0.0)

    def on_disconnect(self, symbols: Sequence[str], channel: str) -> list[Need]:
        """Books whose diffs stopped coming are stale from this moment; trades that follow leave a gap behind."""
        lost = [instrument for symbol in symbols if (instrument := self.universe.find(symbol))]
        if channel == Channel.TRADES:
            for instrument in lost:
                self.engine.expect_gap(instrument.index, Cause.DISCONNECTED)
        if channel != Channel.DEPTH:
            return []
        return [need for instrument in lost for need in self.engine.book_lost(instrument.index)]

    def trade_holes(self) -> list[TradeHole]:
        """Aggregate trades known to be missing, which the feed can ask for."""
        trades = self.engine.flow.trades
        return [
            TradeHole(self.universe[int(i)].symbol, int(gap["first_id"]), int(gap["last_id"]), int(gap["to_ms"]))
            for i in self.engine.instruments_with_gaps()
            if trades[i]["raw"] == self.product.trades.raw
            for gap in self.engine.gaps(int(i))
            if gap["fate"] == Fate.OPEN and not self._is_being_read(gap)
        ]

    def _is_being_read(self, gap: np.void) -> bool:
        return bool(self.loading and gap["cause"] == Cause.NOT_LOADED)

    def give_up(self, hole: TradeHole, fate: Fate) -> None:
        """Nobody asks for these trades any more."""
        self.engine.give_up(self.universe.get(hole.symbol).index, hole.first_id, hole.last_id, fate)

    def history_edges(self) -> list[HistoryEdge]:
        """The oldest aggregate trade of every instrument that has one."""
        trades = self.engine.flow.trades[: 0 if self.loading else len(self.universe)]
        return [
            HistoryEdge(self.universe[int(i)].symbol, int(row["first_id"]), int(row["first_ms"]), int(row["chain_ms"]))
            for i in np.flatnonzero((trades["last_id"] != EMPTY) & (trades["raw"] == self.product.trades.raw))
            for row in (trades[i],)
        ]

    def trade_tails(self) -> list[TradeTail]:
        """The newest aggregate trade of every instrument that trades, or was interrupted before it ceased to."""
        trades = self.engine.flow.trades[: 0 if self.loading else len(self.universe)]
        tails = []
        for i in np.flatnonzero(trades["raw"] == self.product.trades.raw).tolist():
            last_id, newest_ms, lost_after = trades[["last_id", "chain_ms", "lost_after"]][i].item()
            one, doubtful = self.universe[i], EMPTY != last_id == lost_after
            if one.trading or doubtful:
                last_id, newest_ms = (NO_ID, 0) if last_id == EMPTY else (last_id, newest_ms)
                tails.append(TradeTail(one.symbol, last_id, newest_ms, doubtful, over=not one.trading))
        return tails

    def tail_told(self, symbol: str, whole: bool) -> None:
        """The venue has told what followed the newest trade: all of it, or what fits a page."""
        i = self.universe.get(symbol).index
        if whole:
            self.engine.flow.trades[i]["lost_after"] = EMPTY
        else:
            self.engine.expect_gap(i, Cause.DISCONNECTED)


def _part(buffer: bytearray, ends: Sequence[int], first: int, stop: int) -> tuple[bytearray, list[int]]:
    """Frames `first` to `stop` of a read, as a read of their own."""
    start = ends[first - 1] if first else 0
    return buffer[start : ends[stop - 1] if stop else 0], [end - start for end in ends[first:stop]]


def _changed(known: Instrument, told: Instrument) -> list[str]:
    """What a venue may change of an instrument and has, by name."""
    names = ("status", "tick", "lot", "delivery_ms", "funding_ms", "contract")
    return [name for name in names if getattr(known, name) != getattr(told, name)]
