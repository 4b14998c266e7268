"""Trade continuity and the path of one print through every flow engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.tape import Flag
from .bigflow import BigFlow, on_flow_print, on_parent_print
from .candles import MINUTE_MS, SECOND_MS, Candles, add_trade, mark_gap

LARGEST_HOLE = 10**8
"""Ids further ahead than this, weeks of the busiest instrument, are no continuation of a chain."""
CHAIN_SLACK_MS = 1_000
"""Ids and trade times of an instrument rise together. A row with an id from the past and a time later than this is no
repetition: the venue's counter began anew, or an absurd id had got in. Without this rule all that follows would be
taken for duplicates, for ever."""
HOLES = 8
"""Missing id ranges remembered per instrument so that late rows can still fill them; the oldest is forgotten."""

TRADES = np.dtype(
    [
        ("last_id", np.int64),
        ("chain_ms", np.int64),
        ("last_ms", np.int64),
        ("last_price", np.int64),
        ("seq", np.int64),
        ("count", np.int64),
        ("excluded", np.int64),
        ("duplicates", np.int64),
        ("other_source", np.int64),
        ("too_late", np.int64),
        ("gaps", np.int64),
        ("missing", np.int64),
        ("filled", np.int64),
        ("buy", np.int64),
        ("sell", np.int64),
        ("quote", np.int64),
        ("raw", np.int64),
        ("holes", np.int64),
    ]
)
"""Per instrument. `last_id` and `chain_ms` are the newest id and time of its chain; `raw` is 1 where raw trades are its
source and aggregates are not counted (and the reverse); `gaps` counts breaks of the chain, `missing` ids in them,
`filled` ids that came after all. What fits no chain counts among the `duplicates`."""

HOLE = np.dtype([("first", np.int64), ("last", np.int64), ("from_ms", np.int64), ("to_ms", np.int64)])


class Flow(NamedTuple):
    """Everything that prints change. `meta[0]` and `meta[1]` are the cluster gaps for raw and aggregate trades, ms."""

    trades: NDArray[np.void]
    holes: NDArray[np.void]
    seconds: Candles
    minutes: Candles
    big: BigFlow
    meta: NDArray[np.int64]


_SELL = int(Flag.SELL)
_OFF_BOOK = int(Flag.OFF_BOOK)
_AGGREGATE = int(Flag.AGGREGATE)


@leaf
def accept(s: Flow, row: Record) -> tuple[bool, bool]:
    """Check a TRADE row against its instrument's id chain: (is it new, does it continue the tape in order)."""
    i = row.instrument
    trades = s.trades[i]
    if ((row.flags & _AGGREGATE) != 0) == (trades.raw != 0):
        trades.other_source += 1
        return False, False
    ahead = row.id - trades.last_id
    if 1 < ahead <= LARGEST_HOLE and trades.last_id != 0:
        _open_hole(s, i, trades.last_id + 1, row.id - 1, trades.chain_ms, row.ts_ms)
    elif ahead != 1 and trades.last_id != 0:
        if _fill_hole(s, i, row.id):
            return True, False
        if row.ts_ms <= trades.chain_ms + CHAIN_SLACK_MS:
            trades.duplicates += 1
            return False, False
        _start_anew(s, i, row.ts_ms)
    trades.last_id = row.id
    trades.chain_ms = max(trades.chain_ms, row.ts_ms)
    return True, True


@kernel
def _start_anew(s: Flow, i: int, ts_ms: int) -> None:
    """Give up the chain: what lies between the two is a gap that nothing can fill."""
    trades = s.trades[i]
    trades.gaps += 1
    trades.holes = 0
    mark_gap(s.minutes, i, trades.chain_ms, ts_ms, 1)
    mark_gap(s.seconds, i, trades.chain_ms, ts_ms, 1)


@kernel
def _open_hole(s: Flow, i: int, first: int, last: int, from_ms: int, to_ms: int) -> None:
    trades = s.trades[i]
    trades.gaps += 1
    trades.missing += last - first + 1
    if trades.holes == HOLES:
        for k in range(1, HOLES):
            s.holes[i, k - 1] = s.holes[i, k]
        trades.holes -= 1
    hole = s.holes[i, trades.holes]
    hole.first, hole.last, hole.from_ms, hole.to_ms = first, last, from_ms, to_ms
    trades.holes += 1
    mark_gap(s.minutes, i, from_ms, to_ms, 1)
    mark_gap(s.seconds, i, from_ms, to_ms, 1)


@kernel
def _fill_hole(s: Flow, i: int, trade_id: int) -> bool:
    """Take one id out of the hole it lies in; a hole that becomes empty no longer marks its candles."""
    trades = s.trades[i]
    for k in range(trades.holes):
        hole = s.holes[i, k]
        if not hole.first <= trade_id <= hole.last:
            continue
        trades.filled += 1
        if hole.first == hole.last:
            mark_gap(s.minutes, i, hole.from_ms, hole.to_ms, -1)
            mark_gap(s.seconds, i, hole.from_ms, hole.to_ms, -1)
            for m in range(k + 1, trades.holes):
                s.holes[i, m - 1] = s.holes[i, m]
            trades.holes -= 1
        elif trade_id == hole.first:
            hole.first += 1
        elif trade_id == hole.last:
            hole.last -= 1
        else:
            _split_hole(s, i, k, trade_id)
        return True
    return False


@kernel
def _split_hole(s: Flow, i: int, k: int, trade_id: int) -> None:
    """An id from the middle arrived: two holes remain, unless the table is full and the first part is given up."""
    trades = s.trades[i]
    hole = s.holes[i, k]
    if trades.holes < HOLES:
        rest = s.holes[i, trades.holes]
        rest.first, rest.last = hole.first, trade_id - 1
        rest.from_ms, rest.to_ms = hole.from_ms, hole.to_ms
        trades.holes += 1
        mark_gap(s.minutes, i, hole.from_ms, hole.to_ms, 1)
        mark_gap(s.seconds, i, hole.from_ms, hole.to_ms, 1)
    hole.first = trade_id + 1


@leaf
def on_trade(s: Flow, row: Record) -> None:
    """Put one TRADE row into candles, footprint, CVD sums and big flow."""
    new, in_order = accept(s, row)
    if not new:
        return
    i = row.instrument
    trades = s.trades[i]
    if row.flags & _OFF_BOOK:
        trades.excluded += 1
        return
    sell = (row.flags & _SELL) != 0
    if not add_trade(s.minutes, i, row.ts_ms // MINUTE_MS, row.id, row.price, row.qty, sell):
        trades.too_late += 1
        return
    in_seconds = add_trade(s.seconds, i, row.ts_ms // SECOND_MS, row.id, row.price, row.qty, sell)
    trades.seq += 1
    trades.count += 1
    trades.quote += row.price * row.qty
    if sell:
        trades.sell += row.qty
    else:
        trades.buy += row.qty
    if in_order:
        trades.last_ms = row.ts_ms
        trades.last_price = row.price
    if in_seconds:
        on_flow_print(s.big, s.seconds, i, row.ts_ms, row.price, row.qty, sell)
    if in_order:
        cluster_ms = s.meta[1] if row.flags & _AGGREGATE else s.meta[0]
        on_parent_print(s.big, i, row.ts_ms, row.price, row.qty, sell, cluster_ms)
