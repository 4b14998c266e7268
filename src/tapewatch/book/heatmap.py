"""Columns of the heatmap: what rests at each price around the mid, four times a second.

A column says how far the book was known. Outside it, and where there is no column (no live book, a gap), nothing is
known, and nothing must be drawn as zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from .ladder import LIVE, NO_PRICE, Ladders, lots_at, next_level

COLUMN_MS = 250
COLUMNS = 720
"""Three minutes."""
BINS = 256
REACH_BPS = 40
"""The bins span about this much of the price, 25 to 63 as steps are rounded, or 256 ticks where that is more."""

COLUMN = np.dtype(
    [
        ("ts_ms", np.int64),
        ("base", np.int64),
        ("step", np.int64),
        ("bid", np.int64),
        ("ask", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("lots", np.int64, (BINS,)),
    ]
)
"""One moment: bin k is ``[base + k step, base + (k + 1) step)`` in ticks; `lots` rest in it, bids positive, asks
negative (the mid's own bin may hold both: bids are shown unless a larger ask stands there). Known from `low` to
`high`; `step` 0: no live book."""


class Heatmap(NamedTuple):
    """A ring of columns; `meta[0]` counts those ever made, `meta[1]` is the step in ticks (0: not chosen yet)."""

    columns: NDArray[np.void]
    meta: NDArray[np.int64]


def new_heatmap() -> Heatmap:
    return Heatmap(np.zeros(COLUMNS, COLUMN), np.zeros(2, np.int64))


@kernel
def add_column(h: Heatmap, s: Ladders, i: int, ts_ms: int) -> None:
    """Append the book as it stands as the column of `ts_ms`."""
    column = h.columns[h.meta[0] % COLUMNS]
    h.meta[0] += 1
    column.ts_ms = ts_ms
    column.step = 0
    book = s.books[i]
    if book.state != LIVE or book.bids == 0 or book.asks == 0:
        return
    mid = (book.best_bid + book.best_ask) // 2
    if h.meta[1] == 0:
        h.meta[1] = round_step(mid * REACH_BPS / (10_000 * BINS))
    step = h.meta[1]
    column.step = step
    column.base = max(0, (mid // step - BINS // 2) * step)
    column.bid, column.ask = book.best_bid, book.best_ask
    column.low, column.high = book.low, book.high
    lots = column.lots
    lots[:] = 0
    for side in (1, -1):
        tick = book.best_bid if side > 0 else book.best_ask
        while tick != NO_PRICE and 0 <= (tick - column.base) // step < BINS:
            k = (tick - column.base) // step
            standing = lots_at(s, i, tick)
            if lots[k] * side >= 0:
                lots[k] += standing
            elif abs(standing) > abs(lots[k]):
                lots[k] = standing
            tick = next_level(s, i, tick, side)


@kernel
def round_step(ticks: float) -> int:
    """The one of 1, 2, 5, 10, 20, 50 … ticks that is nearest to `ticks`, by ratio."""
    step, above, k = 1, 2, 0
    while ticks * ticks >= step * above:
        k += 1
        step, above = above, above * 5 // 2 if k % 3 == 1 else above * 2
    return step


def newest(h: Heatmap, after: int = 0) -> NDArray[np.void]:
    """Columns made since the first `after`, oldest first, as far as they are kept; a copy."""
    made = int(h.meta[0])
    return h.columns[np.arange(max(after, made - COLUMNS, 0), made) % COLUMNS]
