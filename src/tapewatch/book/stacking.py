"""What is stacked and pulled at each price: orders added and withdrawn, told apart from what aggressors executed.

A diff says only that a level grew or shrank. Over a window, with `added` the sum of growths, `cut` that of shrinkages
and `hit` what was executed at that price against that side:

    pulled  = max(0, cut - hit)             withdrawn without being executed
    stacked = added + max(0, hit - cut)     placed, even where it was executed before a diff could show it

so that stacked - pulled = change of the resting size + hit, exactly. Both are lower bounds: what came and went between
two diffs cancels out. Sums are kept by whole seconds of event time and compared over the window, never diff by diff,
because prints come on another socket and often later than the diff that shows what they did.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf
from .ladder import Ladders, lots_at

WINDOW_S = 10
SLOTS = 1 << 12
"""Ticks watched around the mid price, a power of two."""
_SECONDS = WINDOW_S + 2
"""Seconds kept: the window, and what is still told of a second that has passed."""
ADDED, CUT, HIT = range(3)
"""Sums of the bid side; those of the ask side follow."""


class Stacking(NamedTuple):
    """Per watched tick, in slot tick modulo SLOTS. `span[0]` to `span[1]` (exclusive) are watched; equal: none.

    `lots` are signed, bids positive; `since_ms` is when the watch of the tick began; `sums[slot, second % _SECONDS]`
    belongs to the second in `second`.
    """

    span: NDArray[np.int64]
    lots: NDArray[np.int64]
    since_ms: NDArray[np.int64]
    second: NDArray[np.int64]
    sums: NDArray[np.int64]


def new_stacking() -> Stacking:
    return Stacking(
        span=np.zeros(2, np.int64),
        lots=np.zeros(SLOTS, np.int64),
        since_ms=np.zeros(SLOTS, np.int64),
        second=np.zeros((SLOTS, _SECONDS), np.int64),
        sums=np.zeros((SLOTS, _SECONDS, 6), np.int64),
    )


@leaf
def _add(s: Stacking, tick: int, which: int, lots: int, ts_ms: int) -> None:
    slot, second = tick & (SLOTS - 1), ts_ms // 1_000
    at = second % _SECONDS
    if s.second[slot, at] < second:
        s.second[slot, at] = second
        for k in range(6):
            s.sums[slot, at, k] = 0
    if s.second[slot, at] == second:
        s.sums[slot, at, which] += lots


@kernel
def on_level(s: Stacking, tick: int, signed: int, ts_ms: int) -> None:
    """A diff says that a level now holds `signed` lots (bids positive)."""
    if not s.span[0] <= tick < s.span[1]:
        return
    before = s.lots[tick & (SLOTS - 1)]
    s.lots[tick & (SLOTS - 1)] = signed
    bids, asks = max(signed, 0) - max(before, 0), max(-signed, 0) - max(-before, 0)
    if bids:
        _add(s, tick, ADDED if bids > 0 else CUT, abs(bids), ts_ms)
    if asks:
        _add(s, tick, 3 + (ADDED if asks > 0 else CUT), abs(asks), ts_ms)


@kernel
def on_print(s: Stacking, tick: int, lots: int, sell: bool, ts_ms: int) -> None:
    """An aggressor's print: it hits a bid if it sells."""
    if s.span[0] <= tick < s.span[1]:
        _add(s, tick, HIT if sell else 3 + HIT, lots, ts_ms)


@kernel
def follow(s: Stacking, books: Ladders, i: int, ts_ms: int) -> None:
    """Keep the watched ticks around the mid price of a live book, after its newest diff has been taken in.

    A tick that comes into the watch is as the book has it now; what happened to it before is not known.
    """
    book = books.books[i]
    mid = (book.best_bid + book.best_ask) // 2
    low, high = s.span[0], s.span[1]
    if low < high and abs(mid - (low + high) // 2) <= SLOTS // 4:
        return
    s.span[0] = max(0, mid - SLOTS // 2)
    s.span[1] = s.span[0] + SLOTS
    for tick in range(s.span[0], s.span[1]):
        if not low <= tick < high:
            slot = tick & (SLOTS - 1)
            s.lots[slot] = lots_at(books, i, tick)
            s.since_ms[slot] = ts_ms
            for k in range(_SECONDS):
                s.second[slot, k] = 0


@leaf
def forget(s: Stacking) -> None:
    """Watch nothing: the chain of diffs is broken."""
    s.span[0] = s.span[1] = 0


def in_window(s: Stacking, low: int, ticks: int, now_ms: int) -> NDArray[np.int64]:
    """What was pulled and stacked in the WINDOW_S seconds that end with the running one of `now_ms`.

    Columns bid pulled, bid stacked, ask pulled, ask stacked in lots for the ticks from `low` on; -1 where a tick has
    not been watched for the whole window.
    """
    out = np.full((ticks, 4), -1, np.int64)
    _read(s, low, now_ms // 1_000 - WINDOW_S + 1, out)
    return out


@kernel
def _read(s: Stacking, low: int, first: int, out: NDArray[np.int64]) -> None:
    """Fill the rows of `out` whose ticks have been watched since before the second `first`."""
    for tick in range(max(low, s.span[0]), min(low + len(out), s.span[1])):
        slot = tick & (SLOTS - 1)
        if s.since_ms[slot] > first * 1_000:
            continue
        for side in range(2):
            added = cut = hit = 0
            for at in range(_SECONDS):
                if first <= s.second[slot, at] < first + WINDOW_S:
                    added += s.sums[slot, at, 3 * side + ADDED]
                    cut += s.sums[slot, at, 3 * side + CUT]
                    hit += s.sums[slot, at, 3 * side + HIT]
            out[tick - low, 2 * side] = cut - hit if cut > hit else 0
            out[tick - low, 2 * side + 1] = added + (hit - cut if hit > cut else 0)
