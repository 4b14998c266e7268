"""What is kept of a studied instrument, and the kernels that take in one row of the tape or one beat of its clock.

A row comes right after the engine has applied it, with the state of books, prints and quotes it led to; a beat comes
the moment before the tape's clock enters a new quarter of a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..book import heatmap, microprice, stacking
from ..book.features import TOP_LEVELS, measure
from ..book.heatmap import Heatmap
from ..book.ladder import LIVE, Ladders
from ..book.stacking import Stacking
from ..compiled import Record, kernel
from ..detect import levels as memory
from ..flow import pressure
from ..flow.pressure import COST, PENDING, PRINT
from ..flow.quotes import best_level_ofi
from ..model.features import FEATURES, SAMPLES, STEP_MS
from ..model.tape import Flag
from .prints import Prints, add_print, close_column, new_prints

CLUSTER_MS, CLUSTER_MS_AGGREGATE = 10, 100
"""Prints of one side no further apart than this are one order; aggregate trades tell their time to 100 ms only."""
_SELL, _OFF_BOOK, _SNAPSHOT = int(Flag.SELL), int(Flag.OFF_BOOK), int(Flag.SNAPSHOT)
_AGGREGATE = int(Flag.AGGREGATE)

BASE = np.dtype(
    [
        ("book_id", np.int64),
        ("snapshot_id", np.int64),
        ("prints", np.int64),
        ("quotes", np.int64),
        ("quote_id", np.int64),
        ("bid", np.int64),
        ("bid_lots", np.int64),
        ("ask", np.int64),
        ("ask_lots", np.int64),
    ]
)
"""What the next row is compared with: the last update of the book and its snapshot (-1: no base), the engine's counters
of prints and quotes, and the newest best quote."""


class State(NamedTuple):
    """All that is kept of one followed instrument."""

    now: NDArray[np.void]
    top: NDArray[np.void]
    """Best levels before and after the newest diff."""
    base: NDArray[np.void]
    samples: NDArray[np.void]
    cost: NDArray[np.void]
    waiting: NDArray[np.void]
    buckets: NDArray[np.int64]
    counts: microprice.Counts
    adjustment: NDArray[np.float64]
    """Fitted microprice adjustment by state, ticks; NaN where there is none."""
    heat: Heatmap
    stack: Stacking
    prints: Prints
    levels: memory.Levels
    meta: NDArray[np.int64]
    """`meta[0]` samples ever taken."""


def new_state() -> State:
    state = State(
        now=np.zeros(1, FEATURES),
        top=np.zeros(2, TOP_LEVELS),
        base=np.zeros(1, BASE),
        samples=np.zeros(SAMPLES, FEATURES),
        cost=np.zeros(1, COST),
        waiting=np.zeros(PENDING, PRINT),
        buckets=np.zeros(pressure.BUCKETS, np.int64),
        counts=microprice.new_counts(),
        adjustment=np.full(microprice.STATES, np.nan),
        heat=heatmap.new_heatmap(),
        stack=stacking.new_stacking(),
        prints=new_prints(),
        levels=memory.new_levels(),
        meta=np.zeros(1, np.int64),
    )
    state.base["book_id"] = -1
    return state


@kernel
def observe(
    row: NDArray[np.void],
    levels: NDArray[np.void],
    books: Ladders,
    trades: NDArray[np.void],
    quotes: NDArray[np.void],
    s: State,
) -> None:
    """Take in the row `row[0]`, which the engine has just applied or refused, with the levels it points at."""
    r = row[0]
    i, f, base, cost = r.instrument, s.now[0], s.base[0], s.cost[0]
    if r.kind == 1:
        new = trades[i].seq != base.prints
        base.prints = trades[i].seq
        # A late row that fills a hole belongs to a moment that has passed.
        if new and trades[i].last_id == r.id and not r.flags & _OFF_BOOK:
            sell = (r.flags & _SELL) != 0
            pressure.on_print(f, cost, s.waiting, s.buckets, r.ts_ms, r.price, r.qty, sell)
            cluster_ms = CLUSTER_MS_AGGREGATE if r.flags & _AGGREGATE else CLUSTER_MS
            stacking.on_print(s.stack, r.price, r.qty, sell, r.ts_ms)
            add_print(s.prints, r.price, r.qty, sell, r.ts_ms)
            memory.on_print(s.levels, r.price, r.qty, sell, r.ts_ms, f.bid + f.ask, cluster_ms)
    elif r.kind == 2:
        _on_book(r, levels, books, s)
    elif r.kind == 3 and quotes[i].seen != base.quotes:
        if base.quotes and r.id > base.quote_id:
            f.quote_ofi += best_level_ofi(
                r.price, r.qty, r.price2, r.qty2, base.bid, base.bid_lots, base.ask, base.ask_lots
            )
            f.quotes += 1
        base.quotes, base.quote_id = quotes[i].seen, r.id
        base.bid, base.bid_lots, base.ask, base.ask_lots = r.price, r.qty, r.price2, r.qty2
        microprice.on_quote(s.counts, r.price, r.qty, r.price2, r.qty2, r.ts_ms)
        pressure.on_mid(f, cost, s.waiting, r.price + r.price2, r.ts_ms)


@kernel
def _on_book(r: Record, levels: NDArray[np.void], books: Ladders, s: State) -> None:
    """Features of the book after a diff, and what the diff changed if it follows the one before."""
    f, base, book = s.now[0], s.base[0], books.books[r.instrument]
    s.top[0] = s.top[1]
    measure(books, r.instrument, s.now, s.top[1:])
    if book.state != LIVE:
        base.book_id = -1
        stacking.forget(s.stack)
        return
    # Levels that a snapshot brings to light are no order flow.
    follows = base.book_id == r.prev_id and base.snapshot_id == book.snapshot_id and not r.flags & _SNAPSHOT
    if follows and f.live:
        pressure.top_change(f, s.top[0], s.top[1])
        for k in range(r.level_at, r.level_at + r.bids + r.asks):
            side = 1 if k < r.level_at + r.bids else -1
            memory.on_level(s.levels, levels[k].price, levels[k].qty, side, f.bid + f.ask, r.ts_ms)
            stacking.on_level(s.stack, levels[k].price, levels[k].qty * side, r.ts_ms)
    else:
        stacking.forget(s.stack)
        if f.live:
            memory.reload(s.levels, books, r.instrument, r.ts_ms)
    if f.live:
        stacking.follow(s.stack, books, r.instrument, r.ts_ms)
    base.book_id, base.snapshot_id = book.last_id, book.snapshot_id
    if f.live and base.quotes == 0:  # no best quotes are heard: the book's own mid price serves
        microprice.on_quote(s.counts, f.bid, f.bid_lots, f.ask, f.ask_lots, r.ts_ms)
        pressure.on_mid(f, s.cost[0], s.waiting, f.bid + f.ask, r.ts_ms)


@kernel
def beat(books: Ladders, i: int, s: State, beat_ms: int) -> None:
    """The tape's clock is about to pass `beat_ms`, a multiple of COLUMN_MS."""
    heatmap.add_column(s.heat, books, i, beat_ms)
    close_column(s.prints)
    if beat_ms % STEP_MS:
        return
    f = s.now[0]
    pressure.settle(f, s.cost[0], s.waiting, beat_ms)
    if books.books[i].state != LIVE:
        f.live = 0
    state = s.counts.last[0]
    f.stoikov = np.nan
    # A young fit has states that one jump has decided: what strays further than the spread is no estimate of the mid.
    if state >= 0 and abs(s.adjustment[state]) <= f.ask - f.bid:
        f.stoikov = s.counts.last[1] / 2 + s.adjustment[state]
    f.ts_ms = beat_ms
    s.samples[s.meta[0] % SAMPLES] = f
    s.meta[0] += 1
    _begin_sums(f)


@kernel
def _begin_sums(f: Record) -> None:
    f.updates, f.d_bid, f.d_ask, f.quotes, f.quote_ofi = 0, 0, 0, 0, 0
    f.trades, f.buy, f.sell, f.buy_quote, f.sell_quote = 0, 0, 0, 0, 0
    f.effective, f.effective_lots, f.realised, f.realised_lots = 0.0, 0, 0.0, 0
    f.level_ofi[:] = 0
