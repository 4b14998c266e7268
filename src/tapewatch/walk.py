"""The compiled loop of the engine: rows of the tape, one by one, through books and flow.

It returns whenever a row needs what only Python has (memory, a decision about a book, somebody who looks at it), says
which row and why, and goes on from there when called again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .book import ladder
from .book.ladder import EARLY, LIVE, OFF, Ladders
from .compiled import Record, kernel, leaf
from .flow.bigflow import on_second
from .flow.candles import SECOND_MS, has_room, number_of
from .flow.quotes import Quotes, fetch_quote, on_liquidation, on_mark, on_quote
from .flow.trades import Flow, fetch_cells, fetch_flow, needs_hole, on_trade
from .lab.lab import Watch
from .model.tape import Flag, Kind

TOP_LEVELS = 10
"""Levels of a side whose changes are summed."""
ROWS_AHEAD, CELLS_AHEAD, LEVELS_AHEAD = 12, 6, 1
"""How many rows early memory is asked for what a row changes, for what can only be found in that, and for the levels of
a diff: those of a few diffs fill the processor's first cache, and would be gone from it when they are needed."""
BIG_FLOW_BPS = 10
"""How far from the best price a book is counted as the depth that big flow met."""

DONE, ATTEND, LOOK, MORE_PAGES, MORE_SECOND_CELLS, MORE_MINUTE_CELLS, MORE_HOLES, BEAT, STUDY, KEEP = range(10)
"""Why the loop returned: the batch is through; a depth row is for Python, before or after it has been applied; there is
no room; time is due; the instrument is studied; no more rows can be noted."""

_SNAPSHOT = int(Flag.SNAPSHOT)
_TRADE, _DEPTH, _QUOTE, _MARK, _LIQUIDATION = (
    int(kind) for kind in (Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.MARK, Kind.LIQUIDATION)
)


class Clock(NamedTuple):
    """`now[0]` newest event time, ms; `now[1]` the whole second the engines were last told of."""

    now: NDArray[np.int64]


@kernel
def walk(
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    start: int,
    books: Ladders,
    flow: Flow,
    quote: Quotes,
    clock: Clock,
    watch: Watch,
    kept: NDArray[np.int64],
) -> tuple[int, int]:
    """Walk rows from `start`; returns (status, row). The row has been applied at STUDY, at all others not yet.

    Diffs that were applied and have to be kept are noted in `kept`: how many, then their rows.
    """
    for r in range(start, len(rows)):
        row = rows[np.uint64(r)]
        if r + LEVELS_AHEAD < len(rows):
            _fetch_levels(rows[np.uint64(r + LEVELS_AHEAD)], levels, books)
        i = np.uint32(row.instrument)  # no index here is negative: unsigned, it costs no look whether it is
        if r + ROWS_AHEAD < len(rows):
            _fetch(rows[np.uint64(r + ROWS_AHEAD)], flow, quote)
        if r + CELLS_AHEAD < len(rows):
            fetch_cells(flow, rows[np.uint64(r + CELLS_AHEAD)])
        if row.event_ms >= watch.due[0]:
            return BEAT, r
        if row.kind == _TRADE:
            if not has_room(flow.seconds):
                return MORE_SECOND_CELLS, r
            if not has_room(flow.minutes):
                return MORE_MINUTE_CELLS, r
            if needs_hole(flow, row):
                return MORE_HOLES, r
            pass_time(flow, clock, row.event_ms)
            _trade(row, books, flow, clock)
        elif row.kind == _DEPTH:
            book = books.books[i]
            book.received += 1
            if book.state == OFF:
                book.ignored += 1
                continue
            if book.state != LIVE or row.flags & _SNAPSHOT:
                return ATTEND, r
            if row.prev_id != book.last_id:
                if row.last_id <= book.last_id and row.ts_ms <= book.ts_ms:
                    book.dropped += 1
                    continue
                return ATTEND, r
            if book.refreshing == EARLY:
                return ATTEND, r
            if books.meta[0] < row.bids + row.asks:
                book.received -= 1
                return MORE_PAGES, r
            if book.refreshing:
                if kept[0] == len(kept) - 1:
                    book.received -= 1
                    return KEEP, r
                kept[0] += 1
                kept[kept[0]] = r
            pass_time(flow, clock, row.event_ms)
            ladder.set_levels(books, i, levels, row.level_at, row.bids, row.asks)
            book.last_id = row.last_id
            book.event_ms = row.event_ms
            book.ts_ms = row.ts_ms
            book.applied += 1
            if book.watched:
                ladder.sum_top_change(books, i, row.prev_id, TOP_LEVELS)
            if _needs_a_look(book):
                return LOOK, r
        else:
            pass_time(flow, clock, row.event_ms)
            if row.kind == _QUOTE:
                on_quote(quote, row)
            elif row.kind == _MARK:
                on_mark(quote, row)
            elif row.kind == _LIQUIDATION:
                on_liquidation(quote, row)
        if watch.studied[i]:
            return STUDY, r
    return DONE, len(rows)


@leaf
def _fetch(row: Record, flow: Flow, quote: Quotes) -> None:
    """Begin to fetch what a row will change: with hundreds of instruments little of it is in the processor's cache."""
    i = np.uint32(row.instrument)
    if row.kind == _TRADE:
        fetch_flow(flow, i, row.ts_ms)
    elif row.kind == _QUOTE:
        fetch_quote(quote, i, row.ts_ms)


@leaf
def _fetch_levels(row: Record, levels: NDArray[np.void], books: Ladders) -> None:
    if row.kind == _DEPTH:
        i = np.uint32(row.instrument)
        ladder.fetch_levels(books, i, levels, row.level_at, row.level_at + row.bids + row.asks)


@leaf
def _needs_a_look(book: Record) -> bool:
    """Whether a book is crossed, or a best price nears the edge of what the snapshot knew, or has left it."""
    near_edge = book.best_bid < book.refresh_below or book.best_ask > book.refresh_above
    ask_again = near_edge and book.bids and book.asks and not book.refreshing
    return bool(ask_again or ladder.is_beyond_known(book) or ladder.is_crossed(book))


@leaf
def pass_time(flow: Flow, clock: Clock, event_ms: int) -> None:
    clock.now[0] = max(clock.now[0], event_ms)
    if event_ms >= (clock.now[1] + 1) * SECOND_MS:
        clock.now[1] = number_of(event_ms, SECOND_MS)
        on_second(flow.big, flow.seconds, clock.now[1], flow.meta[1])


@leaf
def _trade(row: Record, books: Ladders, flow: Flow, clock: Clock) -> None:
    """A print; episodes of big flow and whales that it opens get the depth they met, if the book is live."""
    first_new, first_whale = flow.big.meta[0], flow.big.meta[2]
    on_trade(flow, row, clock.now[1])
    for event_id in range(first_new, flow.big.meta[0]):
        _note_depth(flow.big.events[event_id % len(flow.big.events)], books)
    for whale_id in range(first_whale, flow.big.meta[2]):
        _note_depth(flow.big.whales[whale_id % len(flow.big.whales)], books)


@leaf
def _note_depth(event: Record, books: Ladders) -> None:
    if books.books[event.instrument].state == LIVE:
        event.depth_quote = ladder.depth_quote(books, event.instrument, 1 if event.sell else -1, BIG_FLOW_BPS)
