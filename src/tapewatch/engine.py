"""The engine of one venue: rows of the tape in, state of books and flow out.

The compiled loop in `walk` goes through a batch row by row and changes integer state arrays; what is rare (a snapshot,
a gap, a full arena) leaves the loop, is handled here, and the loop goes on at the next row. Nothing here knows sockets,
clocks or files: time is the newest event time seen on the tape.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from .book import impact, ladder
from .book.ladder import EARLY, LIVE, OFF, Ladders
from .book.sync import STATE_WORDS, BookSync, Diff
from .compiled import entry, kernel
from .flow import bigflow, candles, holes, packing, quotes
from .flow.bigflow import NEVER
from .flow.candles import DAY_MS, MINUTE_MS
from .flow.footprint import footprint
from .flow.imbalance import read_windows
from .flow.klines import DayKlines, lead
from .flow.profile import add_traded
from .flow.trades import EMPTY, Flow, new_trades
from .lab.lab import Lab
from .model.errors import OffGridError
from .model.gaps import Cause, Fate
from .model.instrument import Grid, Instrument, Universe, common_grid
from .model.rules import BookRule, TradeIds, TradeRule
from .model.tape import Flag, Tape
from .model.thresholds import Thresholds
from .model.views import BIG_FLOW, IMBALANCE, KLINE, LIQUIDATION, WINDOWS_S, BookState, BookView, Footprint
from .walk import (
    ATTEND,
    BEAT,
    DONE,
    LOOK,
    MORE_HOLES,
    MORE_MINUTE_CELLS,
    MORE_PAGES,
    MORE_SECOND_CELLS,
    STUDY,
    TOP_LEVELS,
    Clock,
    pass_time,
    walk,
)  # fmt: skip

SECONDS_KEPT = 1024
"""One-second candles kept per instrument: the longest imbalance window and some more."""
MINUTES_KEPT = 2048
"""One-minute footprint candles kept per instrument: more than a day, so that CVD reaches 00:00 UTC."""
OPEN_MINUTES = 30
"""Minutes whose cells stay as they were written; older ones are packed (`flow.packing`)."""
SETTLED_AT_ONCE = 128
"""Slots of the minute ring that are looked through in a minute for what came late: once around in 16 minutes."""
SHORT_DEPTH = 100
"""Room for so many levels is made unasked: to look up how many stand there takes longer than to read them."""
DAYS_OF_ROOM = 100
UNKNOWN_DAILY_VOLUME = 1e9
SPARE_INSTRUMENTS = 64
"""Room for listings before the state arrays are enlarged."""
KEPT_ROWS = 64
"""Diffs of books that are being refreshed which one pass of the loop can note down."""


@dataclass(frozen=True, slots=True)
class Need:
    """A book that wants a snapshot, and why."""

    instrument: int
    reason: str


class Engine:
    """Books, footprints, imbalance, big flow and liquidations of every instrument of one venue."""

    def __init__(
        self,
        universe: Universe,
        thresholds: Thresholds | None = None,
        *,
        minutes: int = MINUTES_KEPT,
        book: BookRule | None = None,
        trades: TradeRule | None = None,
    ) -> None:
        """`minutes` of footprint and order flow imbalance are kept an instrument: a power of two. `book` and `trades`
        say how the venue numbers its diffs and trades; by default as Binance USD-M does.
        """
        self.universe = universe
        self.thresholds = thresholds or Thresholds()
        self._overrides: dict[str, Thresholds] = {}
        n = len(universe) + SPARE_INSTRUMENTS
        self.sync = BookSync(ladder.new_ladders(n), book)
        self.rule = trades or TradeRule()
        self.flow = Flow(
            trades=new_trades(n, self.rule),
            holes=holes.new_holes(n),
            seconds=candles.new_candles(n, 1_000, SECONDS_KEPT),
            minutes=candles.new_candles(n, 60_000, minutes),
            big=bigflow.new_big_flow(n),
            meta=np.array([self.thresholds.cluster_ms_trades, self.thresholds.cluster_ms_aggregate], np.int64),
        )
        self.quotes = quotes.new_quotes(n, minutes)
        self._clock = Clock(np.zeros(2, np.int64))
        self.adv = np.full(n, np.nan)
        self.adv_days = np.zeros(n, np.int64)
        for i in range(len(universe)):
            self._arm(i)
        self.needs_by_reason: Counter[str] = Counter()
        self.klines = DayKlines()
        """What the venue's own candles tell of today, before the oldest trade held."""
        self._minute, self._settled = 0, 0
        """Minute of the clock from the last beat on, and the slot where the next look for what came late begins."""
        self.lab = Lab(n, self.sync.ladders, self.flow, self.quotes)
        """Instruments that somebody studies more closely."""
        none = Tape.empty()
        self._kept = np.zeros(1 + KEPT_ROWS, np.int64)
        state = (self.sync.ladders, self.flow, self.quotes, self._clock, self.lab.watch, self._kept)
        self._walk = entry(walk, none.rows, none.levels, 0, *state)
        self._read_book = entry(ladder.read_book, self.sync.ladders, 0, np.empty((2, 0, 2), np.int64))

    # -- tape in ------------------------------------------------------------------------------------------------

    def apply(self, tape: Tape) -> list[Need]:
        """Apply a batch. Returns the books that want a snapshot because of it."""
        needs: list[Need] = []
        rows, levels = np.ascontiguousarray(tape.rows), np.ascontiguousarray(tape.levels)
        at = 0
        while True:
            state = (self.sync.ladders, self.flow, self.quotes, self._clock, self.lab.watch, self._kept)
            status, at = self._walk(rows, levels, at, *state)
            if self._kept[0]:
                self._keep(tape)
            if status == DONE:
                break
            if status == BEAT:
                self._pass_time(int(rows[at]["event_ms"]))
            elif status == STUDY:
                self.lab.on_row(rows[at : at + 1], levels, self.sync.ladders, self.flow, self.quotes)
                at += 1
            elif status == MORE_PAGES:
                self.sync.reserve(int(tape.rows[at]["bids"] + tape.rows[at]["asks"]))
            elif status == MORE_SECOND_CELLS:
                self.flow = self.flow._replace(seconds=candles.grow_cells(self.flow.seconds))
            elif status == MORE_MINUTE_CELLS:
                self.flow = self.flow._replace(minutes=candles.grow_cells(self.flow.minutes))
            elif status == MORE_HOLES:
                self.flow = self.flow._replace(holes=holes.grow_pool(self.flow.holes))
            elif status in (ATTEND, LOOK):
                needs.extend(self._attend(tape, at, applied=status == LOOK))
                if self.lab.watch.studied[rows[at]["instrument"]]:
                    self.lab.on_row(rows[at : at + 1], levels, self.sync.ladders, self.flow, self.quotes)
                at += 1
        for need in needs:
            self.needs_by_reason[need.reason] += 1
        return needs

    def _pass_time(self, event_ms: int) -> None:
        """The clock is about to become `event_ms`: what is done at certain moments, whatever comes in one batch."""
        self.lab.on_time(event_ms, self.sync.ladders, self.flow.big.adv)
        before, minute = self._minute, event_ms // MINUTE_MS
        if minute > before:
            self._minute = minute
            if before:
                self.settle(minute - before)

    def settle(self, passed: int = 1) -> None:
        """Free what the rings have left in the last `passed` minutes, pack what has become old in them and came late,
        and forget klines of which nothing is shown now.
        """
        minutes, held = self.flow.minutes, len(self.flow.minutes.ring)
        before, late = self._minute - OPEN_MINUTES, min(passed * SETTLED_AT_ONCE, held)
        over = self._minute - 1  # a minute later, when nearly every instrument has printed again and left it
        packing.free_left(self.flow.seconds, (over - passed) * 60, over * 60)
        packing.free_left(minutes, over - passed, over)
        minutes = packing.pack(minutes, before - passed, min(passed, held), before)
        minutes = packing.pack(minutes, self._settled, late, before)
        self._settled = (self._settled + late) % held
        self.flow = self.flow._replace(minutes=minutes)
        self.klines.forget_old(minutes)

    def _keep(self, tape: Tape) -> None:
        """Keep the diffs that the loop noted down."""
        kept = tape.rows[self._kept[1 : 1 + self._kept[0]]]
        columns = kept["instrument"].tolist(), kept["level_at"].tolist(), (kept["bids"] + kept["asks"]).tolist()
        for row, i, start, n in zip(kept, *columns, strict=True):
            self.sync.keep(i, Diff(row, tape.levels[start : start + n].copy()))
        self._kept[0] = 0

    def _attend(self, tape: Tape, at: int, *, applied: bool) -> list[Need]:
        """A depth row that the loop leaves to us: a snapshot, a book not live, a broken chain, or one that it has
        applied and whose book needs a look.
        """
        row = tape.rows[at]
        i = int(row["instrument"])
        diff = _copy(tape, at)
        book = self.sync.ladders.books[i]
        pass_time(self.flow, self._clock, int(row["event_ms"]))
        if applied:
            reason = self.sync.on_applied(i, diff)
        elif row["flags"] & Flag.SNAPSHOT:
            book["snapshots"] += 1
            reason = self.sync.on_snapshot(i, diff)
            if book["watched"]:
                # Levels that a snapshot brings to light are no order flow.
                ladder.set_top_base(self.sync.ladders, i, TOP_LEVELS)
        elif book["state"] != LIVE:
            reason = self.sync.on_diff(i, diff)
        elif row["prev_id"] == book["last_id"] and book["refreshing"] == EARLY:
            snapshot_id = int(book["snapshot_id"])
            reason = self.sync.on_awaited_diff(i, diff)
            if book["watched"] and book["snapshot_id"] == snapshot_id:
                ladder.sum_top_change(self.sync.ladders, i, int(row["prev_id"]), TOP_LEVELS)
        else:
            reason = self.sync.on_break(i, diff)
            if reason is None and book["watched"]:
                ladder.sum_top_change(self.sync.ladders, i, int(row["prev_id"]), TOP_LEVELS)
        return [] if reason is None else [Need(i, reason)]

    # -- instruments --------------------------------------------------------------------------------------------

    def add_instrument(self, instrument: Instrument) -> Instrument:
        """Take a new listing into the universe and the state arrays."""
        placed = self.universe.add(instrument)
        if placed.index >= len(self.adv):
            self._grow(len(self.universe) + SPARE_INSTRUMENTS)
        self._arm(placed.index)
        return placed

    def _grow(self, n: int) -> None:
        held = len(self.adv)
        trades = new_trades(n, self.rule)
        trades[:held] = self.flow.trades
        self.flow = self.flow._replace(
            trades=trades,
            holes=holes.grow_instruments(self.flow.holes, n),
            seconds=candles.grow_instruments(self.flow.seconds, n),
            minutes=candles.grow_instruments(self.flow.minutes, n),
            big=bigflow.grow_instruments(self.flow.big, n),
        )
        self.quotes = quotes.grow_instruments(self.quotes, n)
        self.sync.ladders = ladder.grow_books(self.sync.ladders, n)
        self.lab.grow(n)
        self.adv = np.concatenate([self.adv, np.full(n - held, np.nan)])
        self.adv_days = np.concatenate([self.adv_days, np.zeros(n - held, np.int64)])

    def update_instrument(self, changed: Instrument) -> list[Need]:
        """Follow a change of status, tick or lot size.

        Held state moves to the finest grid that both the old and the new increments lie on, exactly. A coarser tick
        therefore changes nothing: old prices stay where they are.
        """
        old = self.universe.get(changed.symbol)
        tick, lot = common_grid(old.tick, changed.tick), common_grid(old.lot, changed.lot)
        i = old.index
        price_factor, lot_factor = _factor(old.tick, tick), _factor(old.lot, lot)
        self.universe.update(replace(changed, tick=tick, lot=lot))
        if price_factor == 1 and lot_factor == 1:
            return []
        self.flow = self.flow._replace(minutes=packing.unpack(self.flow.minutes, i))
        candles.rescale(self.flow.seconds, i, price_factor, lot_factor)
        candles.rescale(self.flow.minutes, i, price_factor, lot_factor)
        bigflow.rescale(self.flow.big, i, price_factor, lot_factor)
        quotes.rescale(self.quotes, i, price_factor, lot_factor)
        self.klines.rescale(i, price_factor, lot_factor)
        self.lab.restart(self.universe[i])
        trades = self.flow.trades[i]
        trades["last_price"] *= price_factor
        trades["buy"] *= lot_factor
        trades["sell"] *= lot_factor
        trades["quote"] *= price_factor * lot_factor
        self._arm(i)
        if self.sync.ladders.books[i]["state"] == OFF:
            return []
        self.sync.lost(i)
        ladder.clear(self.sync.ladders, i)  # its levels are counted in the old increments
        return [Need(i, "tick_size_changed")]

    def refine_grid(self, error: OffGridError) -> list[Need]:
        """Move an instrument to a grid on which the price or quantity of `error` lies too.

        One garbled digit must not cost the exactness of all others: where `DAYS_OF_ROOM` days of volume would not fit
        the finer grid, nothing changes and frames like this one stay refused.
        """
        old = self.universe.get(error.symbol)
        finer = Grid.parse(str(error.value.normalize()))
        if error.what == "price":
            changed = replace(old, tick=common_grid(old.tick, finer))
        else:
            changed = replace(old, lot=common_grid(old.lot, finer))
        daily = self.adv[old.index] if self.adv[old.index] > 0 else UNKNOWN_DAILY_VOLUME
        if DAYS_OF_ROOM * daily / changed.notional_scale() > NEVER:
            return []
        return self.update_instrument(changed)

    def set_adv(self, i: int, quote_volume: Decimal, days: int) -> None:
        """Set average daily volume (quote currency, mean of `days` complete UTC days) and arm the screener."""
        self.adv[i] = float(quote_volume)
        self.adv_days[i] = days
        self._arm(i)

    def _arm(self, i: int) -> None:
        """Turn the thresholds of instrument `i` into ticks x lots; without an average nothing is big against it."""
        instrument = self.universe[i]
        limits = self.limits(instrument)
        scale = instrument.notional(1)
        threshold, whale_from = int(NEVER), math.ceil(Decimal(str(limits.whale_notional)) / scale)
        adv = float("nan")
        if self.adv[i] > 0:
            quote_volume = Decimal(float(self.adv[i]))
            floor = Decimal(str(limits.min_notional))
            wanted = max(quote_volume * Decimal(str(limits.adv_percent)) / 100, floor)
            relative = max(quote_volume * Decimal(str(limits.whale_adv_percent)) / 100, floor)
            threshold = int(wanted / scale) + 1
            whale_from = min(whale_from, int(relative / scale) + 1)
            adv = float(quote_volume / scale)
        bigflow.arm(self.flow.big, i, threshold, adv, whale_from)

    def limits(self, instrument: Instrument) -> Thresholds:
        """The thresholds that hold for one instrument."""
        return self._overrides.get(instrument.symbol, self.thresholds)

    def override(self, symbol: str, thresholds: Thresholds) -> None:
        """Use other thresholds for one symbol."""
        self._overrides[symbol] = thresholds
        instrument = self.universe.find(symbol)
        if instrument is not None:
            self._arm(instrument.index)

    def use_raw_trades(self, i: int) -> None:
        """Take raw trades as the source of instrument `i`; aggregate trades of it are then not counted.

        The two count differently: a chain of aggregates ends here, with a gap up to its newest candle.
        """
        trades = self.flow.trades[i]
        if trades["raw"]:
            return
        trades["raw"] = 1
        if trades["last_id"] != EMPTY:
            seam_ms = int(trades["chain_ms"])
            if not holes.has_room(self.flow.holes):
                self.flow = self.flow._replace(holes=holes.grow_pool(self.flow.holes))
            holes.end_chain(self.flow.holes, i, int(trades["last_id"]), seam_ms, seam_ms, int(Cause.SOURCE_CHANGED))
            self.note_gap(i, seam_ms, seam_ms)
            trades["gaps"] += 1
            trades["last_id"] = trades["lost_after"] = EMPTY

    def follow_book(self, i: int) -> list[Need]:
        """Start keeping the book of an instrument."""
        if self.sync.ladders.books[i]["state"] != OFF:
            return []
        self.sync.follow(i)
        return [Need(i, "start")]

    def unfollow_book(self, i: int) -> None:
        self.sync.unfollow(i)

    def book_lost(self, i: int) -> list[Need]:
        """The diffs of a followed book were interrupted (disconnect): stale until resynchronised."""
        if self.sync.ladders.books[i]["state"] == OFF:
            return []
        self.sync.lost(i)
        return [Need(i, "disconnect")]

    # -- gaps ---------------------------------------------------------------------------------------------------

    def expect_gap(self, i: int, cause: Cause) -> None:
        """Should trades be missing behind the newest one of instrument `i`, this is why."""
        trades = self.flow.trades[i]
        trades["lost_after"], trades["lost_cause"] = trades["last_id"], cause

    def apply_stored(self, tape: Tape) -> None:
        """Apply stored trades of before the start, in order. The ids they fill were not missing, only not read yet."""
        trades = self.flow.trades
        filled = trades["filled"].copy()
        told = np.unique(tape.rows["instrument"])
        uncounted = told[trades["ids"][told] == TradeIds.RISING]
        trades["lost_after"][uncounted[trades["lost_cause"][uncounted] == Cause.NOT_LOADED]] = EMPTY
        self.apply(tape)
        for i in uncounted:
            if trades["last_id"][i] == tape.rows["id"][tape.rows["instrument"] == i][-1]:
                self.expect_gap(int(i), Cause.NOT_LOADED)  # its id cannot tell whether a live one is the next
        read = trades["filled"] - filled
        trades["missing"] -= read
        trades["filled"] -= read
        self.settle()

    def history_loaded(self) -> None:
        """Today's stored trades are in: what is missing between them and the live ones, we were not there for."""
        for i in self.instruments_with_gaps():
            holes.rename(self.flow.holes, int(i), Cause.NOT_LOADED, Cause.PROCESS_DOWN)
        expected = self.flow.trades["lost_cause"] == Cause.NOT_LOADED
        self.flow.trades["lost_cause"][expected] = Cause.PROCESS_DOWN

    def gaps(self, i: int) -> NDArray[np.void]:
        """What is missing in the id chain of instrument `i` now, as `GAP` rows, oldest first."""
        return self._told(holes.listed(self.flow.holes, i))

    def _told(self, gaps: NDArray[np.void]) -> NDArray[np.void]:
        """Gaps of chains whose ids do not count name none: how many trades they hide is not known."""
        unknown = self.flow.trades["ids"][gaps["instrument"]] == TradeIds.RISING
        gaps["last_id"][unknown] = gaps["first_id"][unknown] - 1
        return gaps

    def note_gap(self, i: int, from_ms: int, to_ms: int) -> None:
        """Mark the candles of a gap that is known from elsewhere: nobody knows how many trades it hid."""
        candles.mark_gap(self.flow.minutes, i, from_ms, to_ms, 1)
        candles.mark_gap(self.flow.seconds, i, from_ms, to_ms, 1)

    def counted_since_ms(self, i: int) -> int | None:
        """From when on the trades of instrument `i` are held; None before the first."""
        trades = self.flow.trades[i]
        return None if trades["last_id"] == EMPTY else int(trades["first_ms"])

    def set_klines(self, i: int, rows: NDArray[np.void]) -> None:
        """Take today's minutes as the venue draws them (`KLINE` rows on the instrument's grid, from the first on)."""
        self.klines.put(i, rows)
        self.flow.trades[i]["seq"] += 1  # whoever shows the instrument looks again

    def leading_klines(self, i: int) -> NDArray[np.void]:
        """`KLINE` rows that count before the trades of instrument `i`; the last one is the minute of its oldest."""
        since = self.counted_since_ms(i)
        if since is None or since // MINUTE_MS <= self.flow.minutes.newest[i] - len(self.flow.minutes.ring):
            return np.zeros(0, KLINE)
        return self.klines.leading(i, since)

    def compare_klines(self, i: int) -> tuple[int, int]:
        """Minutes that klines and trades both tell, and in how many of them the volumes differ."""
        since = self.counted_since_ms(i)
        return (0, 0) if since is None else self.klines.compare(i, self.flow.minutes, since)

    def cvd_since_ms(self, i: int) -> int | None:
        """From when on the CVD of instrument `i` is counted, by trades or by klines; None before the first trade."""
        led = self.leading_klines(i)
        return int(led["open_ms"][0]) if len(led) else self.counted_since_ms(i)

    def unknown_gaps(self) -> int:
        """How many gaps there are of which nobody knows how many trades they hide."""
        uncounted = self.flow.trades["ids"] == TradeIds.RISING
        return int(self.flow.holes.chains["count"][: len(uncounted)][uncounted].sum())

    def instruments_with_gaps(self) -> NDArray[np.intp]:
        """Indices of the instruments of which ids are missing."""
        return np.flatnonzero(self.flow.holes.chains["count"])

    def give_up(self, i: int, first_id: int, last_id: int, fate: Fate) -> NDArray[np.void]:
        """Nobody asks for `first_id..last_id` any more; returns the `GAP` rows this decides.

        They stay missing and marked. Should they come after all, they are taken.
        """
        return self._told(holes.decide(self.flow.holes, i, first_id, max(first_id, last_id), fate))

    def take_forgotten_gaps(self) -> NDArray[np.void]:
        """Hand over, once, the `GAP` rows that can no longer be filled: of chains that ended, or beyond the limit."""
        return self._told(holes.take_forgotten(self.flow.holes))

    # -- views out ----------------------------------------------------------------------------------------------

    @property
    def clock_ms(self) -> int:
        """Newest event time on the tape, ms."""
        return int(self._clock.now[0])

    def book_state(self, i: int) -> BookState:
        return STATE_WORDS[int(self.sync.ladders.books[i]["state"])]

    def book(self, i: int, depth: int = 1000) -> BookView:
        """Both sides of a book to `depth` levels. What it holds is only the venue's book while state is LIVE."""
        if depth > SHORT_DEPTH:
            depth = min(depth, int(max(self.sync.ladders.books[i][["bids", "asks"]].item())))
        out = np.empty((2, depth, 2), np.int64)
        bids, asks, state, last_id, event_ms, low, high = self._read_book(self.sync.ladders, i, out)
        sides = out[0, :bids], out[1, :asks]
        return BookView(self.universe[i], STATE_WORDS[state], last_id, event_ms, *sides, low, high)

    def simulate_market_order(self, symbol: str, size: Decimal | float | str, fee_bps: float = 0.0) -> impact.Impact:
        """Walk a market order of `size` base units (positive buys, negative sells) through the live book.

        Raises `UsageError` for an unknown symbol or a size that is no multiple of the lot, `NotReadyError` while the
        book is not live.
        """
        instrument = self.universe.get(symbol)
        lots = instrument.lot.to_int(Decimal(str(size)))
        view = self.book(instrument.index, int(np.iinfo(np.int32).max))
        return impact.walk(view, lots, fee_bps)

    def top10_ofi(self, i: int) -> int:
        """Sum over diffs of (bid lots - ask lots) changes in the top 10 levels since this was first asked for."""
        book = self.sync.ladders.books[i]
        if not book["watched"]:
            book["watched"] = 1
            ladder.set_top_base(self.sync.ladders, i, TOP_LEVELS)
        return int(book["top_ofi"])

    def unwatch_top10(self, i: int) -> None:
        """Stop summing; when `top10_ofi` is asked for again, only its differences from then on mean anything."""
        self.sync.ladders.books[i]["watched"] = 0

    def footprint(self, i: int, tf_ms: int, step_ticks: int, lookback: int) -> Footprint:
        """The last `lookback` footprint candles of an instrument; see `flow.footprint`."""
        minutes = self.flow.minutes
        view = footprint(self.flow.seconds, minutes, self.universe[i], tf_ms, step_ticks, lookback)
        return lead(view, self.leading_klines(i), minutes, lookback)

    def traded(self, i: int, low: int, ticks: int) -> NDArray[np.int64]:
        """Lots sold and bought by aggressors since 00:00 UTC at each of `ticks` ticks from `low` on: (ticks, 2)."""
        out = np.zeros((ticks, 2), np.int64)
        minutes = self.flow.minutes
        add_traded(minutes, i, self.clock_ms // DAY_MS * DAY_MS // int(minutes.meta[1]), low, out)
        return out

    def imbalance(self) -> NDArray[np.void]:
        """One `IMBALANCE` row an instrument; windows end at the newest event time."""
        n = len(self.universe)
        sums = np.zeros((n, len(WINDOWS_S), 4), np.int64)
        read_windows(self.flow.big, self.flow.seconds, self.clock_ms // 1000, sums)
        out = np.zeros(n, IMBALANCE)
        out["instrument"] = np.arange(n)
        out["sell"], out["buy"] = sums[:, :, 0], sums[:, :, 1]
        out["sell_quote"], out["buy_quote"] = sums[:, :, 2], sums[:, :, 3]
        _book_sides(self.sync.ladders, out["book_bid"], out["book_ask"])
        out["last"] = self.flow.trades["last_price"][:n]
        out["last_ms"] = self.flow.trades["last_ms"][:n]
        return out

    def big_flow(self, since_seq: int = 0, limit: int = 500) -> NDArray[np.void]:
        """The newest `limit` big-flow rows that changed after `since_seq`, in order of change."""
        return _newest(self.flow.big.events, since_seq, limit)

    def whales(self, since_seq: int = 0, limit: int = 500) -> NDArray[np.void]:
        """The newest `limit` whales that changed after `since_seq`: rows like those of big flow, in order of change."""
        return _newest(self.flow.big.whales, since_seq, limit)

    def liquidations(self, since_seq: int = 0, limit: int = 500) -> NDArray[np.void]:
        """The newest `limit` liquidations after `since_seq`, oldest first."""
        ring = self.quotes.liquidations
        newest = int(self.quotes.meta[0])
        first = max(since_seq, newest - min(limit, len(ring))) + 1
        if first > newest:
            return np.zeros(0, LIQUIDATION)
        return ring[np.arange(first, newest + 1) % len(ring)]

    def trade_seq(self, i: int) -> int:
        """Rises with every trade of the instrument."""
        return int(self.flow.trades[i]["seq"])

    def totals(self) -> dict[str, int]:
        """Sums over all instruments of the accounts of trades and, as `depth_…`, of books."""
        trades, books = self.flow.trades, self.sync.ladders.books
        sums = {
            name: int(trades[name].sum())
            for name in (
                "received",
                "count",
                "excluded",
                "duplicates",
                "other_source",
                "too_late",
                "backfilled",
                "gaps",
                "missing",
                "filled",
                "absent",
            )
        }
        sums.update(
            {
                f"depth_{name}": int(books[name].sum())
                for name in ("received", "applied", "dropped", "discarded", "gaps", "resyncs")
            }
        )
        return sums

    def books_by_state(self) -> Counter[BookState]:
        """How many followed books are in each state."""
        states = self.sync.ladders.books["state"]
        return Counter(STATE_WORDS[int(state)] for state in states if state != OFF)


@kernel
def _book_sides(books: Ladders, bid: NDArray[np.int64], ask: NDArray[np.int64]) -> None:
    """Lots in the top levels of every live book."""
    for i in range(len(bid)):
        if books.books[i].state == LIVE:
            bid[i] = ladder.top_lots(books, i, 1, TOP_LEVELS)
            ask[i] = ladder.top_lots(books, i, -1, TOP_LEVELS)


def _newest(ring: NDArray[np.void], since_seq: int, limit: int) -> NDArray[np.void]:
    rows = ring[(ring["id"] >= 0) & (ring["seq"] > since_seq)]
    return rows[np.argsort(rows["seq"])][max(0, len(rows) - limit) :]


def _copy(tape: Tape, at: int) -> Diff:
    row = tape.rows[at].copy()
    start = int(row["level_at"])
    return Diff(row, tape.levels[start : start + int(row["bids"] + row["asks"])].copy())


def _factor(old: Grid, new: Grid) -> int:
    return int(old.value / new.value)


__all__ = ["BIG_FLOW", "Engine", "Need"]
