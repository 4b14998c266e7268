"""Trade continuity and the path of one print through every flow engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, prefetch, whole_lines, zeros
from ..model.gaps import Cause, Fate
from ..model.rules import TradeIds, TradeRule
from ..model.tape import Flag, Kind
from . import holes
from .bigflow import BigFlow, on_flow_print, on_parent_print
from .candles import MINUTE_MS, SECOND_MS, Candles, add_trade, fetch_candle, fetch_cell, mark_gap, number_of
from .holes import Holes

LARGEST_HOLE = 10**8
"""Ids further ahead or behind than this, weeks of the busiest instrument, are no continuation of a chain."""
CHAIN_SLACK_MS = 1_000
"""Ids and trade times of an instrument rise together. A row with an id from the past and a time later than this is no
repetition: the venue's counter began anew, or an absurd id had got in. Without this rule all that follows would be
taken for duplicates, for ever."""
EMPTY = -(1 << 62)
"""`last_id` of a chain without a trade: no id is next to it."""

TRADES = whole_lines(
    ("last_id", np.int64),
    ("chain_ms", np.int64),
    ("last_ms", np.int64),
    ("last_price", np.int64),
    ("raw", np.int64),
    ("seq", np.int64),
    ("received", np.int64),
    ("count", np.int64),
    ("buy", np.int64),
    ("sell", np.int64),
    ("quote", np.int64),
    ("excluded", np.int64),
    ("backfilled", np.int64),
    ("duplicates", np.int64),
    ("other_source", np.int64),
    ("too_late", np.int64),
    ("gaps", np.int64),
    ("missing", np.int64),
    ("filled", np.int64),
    ("absent", np.int64),
    ("first_id", np.int64),
    ("first_ms", np.int64),
    ("accepted_before", np.int64),
    ("lost_after", np.int64),
    ("lost_cause", np.int64),
    ("ids", np.int64),
)
"""Per instrument. The chain reaches from `first_id` (at `first_ms`) to `last_id` (`chain_ms` is the newest time in it)
and lacks `absent` ids; before it began, `accepted_before` trades had been accepted. `raw` is 1 where raw trades are its
source and aggregates are not counted (and the reverse). `gaps` counts breaks of chains, `missing` ids in them, `filled`
ids that came after all, `backfilled` trades that came by request. What fits no chain counts among the `duplicates`;
`too_late` is what the chain took and no candle held any more. A hole behind `lost_after` has `lost_cause`. `ids` is a
`TradeIds`."""


class Flow(NamedTuple):
    """Everything that prints change. `meta[0]` and `meta[1]` are the cluster gaps for raw and aggregate trades, ms."""

    trades: NDArray[np.void]
    holes: Holes
    seconds: Candles
    minutes: Candles
    big: BigFlow
    meta: NDArray[np.int64]


def new_trades(instruments: int, rule: TradeRule | None = None) -> NDArray[np.void]:
    """Accounts without a trade."""
    rule = rule or TradeRule()
    trades = zeros(instruments, TRADES)
    trades["ids"], trades["raw"] = rule.ids, rule.raw
    trades["last_id"] = trades["lost_after"] = EMPTY
    return trades


_TRADE = int(Kind.TRADE)
_SELL = int(Flag.SELL)
_OFF_BOOK = int(Flag.OFF_BOOK)
_AGGREGATE = int(Flag.AGGREGATE)
_BACKFILLED = int(Flag.BACKFILLED)
_DROPPED, _NOT_LOADED, _RESTARTED = int(Cause.DROPPED), int(Cause.NOT_LOADED), int(Cause.RESTARTED)
_OPEN = int(Fate.OPEN)
_COUNTED, _SPANNED, _RISING = int(TradeIds.COUNTED), int(TradeIds.SPANNED), int(TradeIds.RISING)
_NEXT, _LATE, _REFUSED = range(3)


@leaf
def needs_hole(s: Flow, row: Record) -> bool:
    """Whether a row may leave a gap for which there is no room."""
    return row.id - s.trades[np.uint32(row.instrument)].last_id != 1 and not holes.has_room(s.holes)


@leaf
def accept(s: Flow, row: Record) -> tuple[bool, bool]:
    """Check a TRADE row against its instrument's id chain: (is it new, does it continue the tape in order)."""
    i = np.uint32(row.instrument)
    trades = s.trades[i]
    trades.received += 1
    if ((row.flags & _AGGREGATE) != 0) == (trades.raw != 0):
        trades.other_source += 1
        return False, False
    if row.id - trades.last_id != 1:
        place = _out_of_line(s, i, row.first_id, row.id, row.ts_ms)
        if place != _NEXT:
            return place == _LATE, False
    trades.last_id = row.id
    trades.chain_ms = max(trades.chain_ms, row.ts_ms)
    return True, True


@kernel
def _out_of_line(s: Flow, i: int, first: int, number: int, ts_ms: int) -> int:
    """Place a trade whose id is not the next: it opens a hole, fills one, goes before the first, or is refused."""
    trades = s.trades[i]
    if trades.ids == _COUNTED:
        return _place(s, i, number, ts_ms)
    if trades.ids == _RISING:
        return _place_rising(s, i, first, number, ts_ms)
    if trades.last_id == EMPTY or first == trades.last_id + 1 or first > trades.last_id:
        place = _place(s, i, first, ts_ms) if first != trades.last_id + 1 else _NEXT
        if place == _NEXT:
            _take_span(s, i, first, number)
        return place
    return _place_span(s, i, first, number, ts_ms)


@leaf
def _take_span(s: Flow, i: int, first: int, number: int) -> None:
    """One row that stands for several ids: for the account of the chain, the others were accepted before it began."""
    s.trades[i].accepted_before -= number - first


@kernel
def _place_span(s: Flow, i: int, first: int, number: int, ts_ms: int) -> int:
    """A message of several ids that does not come behind the newest: new only where every one of them is missing."""
    trades = s.trades[i]
    if first == number:
        return _place(s, i, number, ts_ms)
    if number < trades.first_id:
        place = _place(s, i, number, ts_ms)
        if place != _REFUSED:
            trades.first_id = first
            _take_span(s, i, first, number)
        return place
    if first < trades.first_id or not holes.lacks(s.holes, i, first, number):
        return _REFUSED if _is_repetition(s, i, ts_ms) else _begin_anew(s, i, first, number, ts_ms)
    for one in range(first, number + 1):
        holes.fill(s.holes, s.seconds, s.minutes, i, one, ts_ms)
    trades.filled += number - first + 1
    trades.absent -= number - first + 1
    _take_span(s, i, first, number)
    return _LATE


@leaf
def _is_repetition(s: Flow, i: int, ts_ms: int) -> bool:
    trades = s.trades[i]
    if ts_ms > trades.chain_ms + CHAIN_SLACK_MS:
        return False
    trades.duplicates += 1
    return True


@kernel
def _begin_anew(s: Flow, i: int, first: int, number: int, ts_ms: int) -> int:
    _give_up_chain(s, i, ts_ms, _RESTARTED)
    _begin(s, i, first, ts_ms)
    _take_span(s, i, first, number)
    return _NEXT


@kernel
def _place_rising(s: Flow, i: int, first: int, number: int, ts_ms: int) -> int:
    """Ids that say nothing about what is missing: only an interruption that somebody told us of is a gap.

    How many trades it hid nobody knows: it counts as none, and each that comes after all as one. A row of several ids
    says that nothing lies between it and the trade before it, so it closes what it spans.
    """
    trades = s.trades[i]
    if trades.last_id == EMPTY:
        _begin(s, i, number, ts_ms)
        return _NEXT
    if number > trades.last_id:
        if trades.lost_after == trades.last_id:
            trades.gaps += 1
            _open_unknown(s, i, trades.last_id + 1, number - 1, trades.chain_ms, ts_ms, trades.lost_cause, holes.NONE)
        _take_span(s, i, trades.last_id + 1, number)
        return _NEXT
    if first < number < trades.first_id and ts_ms <= trades.first_ms + CHAIN_SLACK_MS:
        newer = s.holes.chains[i].oldest
        _open_unknown(s, i, number + 1, trades.first_id - 1, ts_ms, trades.first_ms, _NOT_LOADED, newer)
        _take_span(s, i, number + 1, trades.first_id)
        trades.first_id = number
        trades.first_ms = min(trades.first_ms, ts_ms)
        return _LATE
    if first < number:
        holes.close(s.holes, s.seconds, s.minutes, i, number - 1, ts_ms)
    if holes.fill(s.holes, s.seconds, s.minutes, i, number, ts_ms):
        trades.missing += 1
        trades.filled += 1
        trades.accepted_before += 1
        return _LATE
    if _is_repetition(s, i, ts_ms):
        return _REFUSED
    _give_up_chain(s, i, ts_ms, _RESTARTED)
    _begin(s, i, number, ts_ms)
    return _NEXT


@leaf
def _open_unknown(
    s: Flow, i: int, first: int, last: int, from_ms: int, to_ms: int, cause: int, newer: int
) -> None:  # fmt: skip
    """A hole of which only the ends are known."""
    if first <= last:
        holes.open_hole(s.holes, s.seconds, s.minutes, i, first, last, from_ms, to_ms, cause, _OPEN, newer)


@leaf
def _give_up_chain(s: Flow, i: int, ts_ms: int, cause: int) -> None:
    """What lies between the newest trade and this time is a gap that nothing can fill."""
    trades = s.trades[i]
    trades.gaps += 1
    holes.end_chain(s.holes, i, trades.last_id, trades.chain_ms, ts_ms, cause)
    mark_gap(s.minutes, i, trades.chain_ms, ts_ms, 1)
    mark_gap(s.seconds, i, trades.chain_ms, ts_ms, 1)


@kernel
def _place(s: Flow, i: int, number: int, ts_ms: int) -> int:
    """Place a trade of a counted chain whose id is not the next."""
    trades = s.trades[i]
    if trades.last_id == EMPTY:
        _begin(s, i, number, ts_ms)
        return _NEXT
    if 1 < number - trades.last_id <= LARGEST_HOLE:
        cause = trades.lost_cause if trades.lost_after == trades.last_id else _DROPPED
        _open(s, i, trades.last_id + 1, number - 1, trades.chain_ms, ts_ms, cause, holes.NONE)
        return _NEXT
    if trades.first_id <= number <= trades.last_id:
        if holes.fill(s.holes, s.seconds, s.minutes, i, number, ts_ms):
            trades.filled += 1
            trades.absent -= 1
            return _LATE
    elif 0 < trades.first_id - number <= LARGEST_HOLE and ts_ms <= trades.first_ms + CHAIN_SLACK_MS:
        if number + 1 < trades.first_id:
            _open(s, i, number + 1, trades.first_id - 1, ts_ms, trades.first_ms, _NOT_LOADED, s.holes.chains[i].oldest)
        trades.first_id = number
        trades.first_ms = min(trades.first_ms, ts_ms)
        return _LATE
    if _is_repetition(s, i, ts_ms):
        return _REFUSED
    _give_up_chain(s, i, ts_ms, _RESTARTED)
    _begin(s, i, number, ts_ms)
    return _NEXT


@leaf
def _begin(s: Flow, i: int, number: int, ts_ms: int) -> None:
    trades = s.trades[i]
    trades.first_id = number
    trades.first_ms = ts_ms
    trades.absent = 0
    trades.accepted_before = trades.count + trades.excluded + trades.too_late


@leaf
def _open(s: Flow, i: int, first: int, last: int, from_ms: int, to_ms: int, cause: int, newer: int) -> None:
    trades = s.trades[i]
    trades.gaps += 1
    trades.missing += last - first + 1
    trades.absent += last - first + 1
    holes.open_hole(s.holes, s.seconds, s.minutes, i, first, last, from_ms, to_ms, cause, _OPEN, newer)


@leaf
def fetch_flow(s: Flow, i: int, ts_ms: int) -> None:
    """Begin to fetch what a print of this time will change."""
    prefetch(s.trades, i)
    fetch_candle(s.minutes, i, number_of(ts_ms, MINUTE_MS))
    fetch_candle(s.seconds, i, number_of(ts_ms, SECOND_MS))
    prefetch(s.big.pulses, i)
    prefetch(s.big.parents, i)


@leaf
def fetch_cells(s: Flow, row: Record) -> None:
    """Begin to fetch the footprint cells near which a print falls, once its candles have come."""
    if row.kind == _TRADE:
        i = np.uint32(row.instrument)
        fetch_cell(s.minutes, i, number_of(row.ts_ms, MINUTE_MS), row.price, False)
        fetch_cell(s.seconds, i, number_of(row.ts_ms, SECOND_MS), row.price, True)


@leaf
def on_trade(s: Flow, row: Record, now_second: int) -> None:
    """Put one TRADE row into candles, footprint, CVD sums and big flow."""
    new, in_order = accept(s, row)
    if not new:
        return
    i = np.uint32(row.instrument)
    trades = s.trades[i]
    if row.flags & (_OFF_BOOK | _BACKFILLED):
        if row.flags & _BACKFILLED:
            trades.backfilled += 1
        if row.flags & _OFF_BOOK:
            trades.excluded += 1
            return
    sell = (row.flags & _SELL) != 0
    ts_ms, price, lots = row.ts_ms, row.price, row.qty
    if not add_trade(s.minutes, i, number_of(ts_ms, MINUTE_MS), row.id, price, lots, sell, False):
        trades.too_late += 1
        return
    in_seconds = add_trade(s.seconds, i, number_of(ts_ms, SECOND_MS), row.id, price, lots, sell, True)
    sold = lots if sell else 0
    trades.seq += 1
    trades.count += 1
    trades.quote += price * lots
    trades.sell += sold
    trades.buy += lots - sold
    if in_seconds:
        on_flow_print(s.big, s.seconds, i, ts_ms, price, lots, sell, now_second)
    if in_order:
        trades.last_ms = ts_ms
        trades.last_price = price
        cluster_ms = s.meta[1] if row.flags & _AGGREGATE else s.meta[0]
        on_parent_print(s.big, i, ts_ms, price, lots, sell, cluster_ms)
