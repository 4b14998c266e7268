"""The ladder: every book of a venue in one block of integer pages, as compiled kernels over numpy arrays.

A page holds `PAGE` consecutive ticks of one instrument as signed lots: bids positive, asks negative, zero empty.
Pages come from one pool and are found through one hash table, so that a book may hold any price at any distance
and costs memory only where orders stand. All depth received is kept; nothing is cut to N levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, prefetch, rare, whole_lines, zeros

PAGE_BITS = 10
PAGE = 1 << PAGE_BITS
PAGE_MASK = PAGE - 1
NO_PRICE = -1

NO_EDGE = 2**62
"""`high` of a book whose snapshot held all asks there were; `low` is 0 where it held all bids."""

_INSTRUMENT_BITS = 16
_INSTRUMENT_MASK = (1 << _INSTRUMENT_BITS) - 1
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_NEIGHBOURS = 4
"""Consecutive pages of a book whose entries lie together, in one line of the processor's cache."""
_WHICH_NEIGHBOUR = (_NEIGHBOURS - 1) << _INSTRUMENT_BITS
_WALK_LIMIT = 64
"""Neighbouring pages tried before all pages of the pool are searched for the next level."""

OFF, WAITING, LOADED, LIVE, STALE = range(5)
"""States of `BOOK.state`. LOADED: a snapshot is in, the diff that straddles it has not come yet."""
REFRESHING, EARLY = 1, 2

BOOK = whole_lines(
    ("state", np.int64),
    ("last_id", np.int64),
    ("snapshot_id", np.int64),
    ("event_ms", np.int64),
    ("ts_ms", np.int64),
    ("best_bid", np.int64),
    ("best_ask", np.int64),
    ("bids", np.int64),
    ("asks", np.int64),
    ("received", np.int64),
    ("applied", np.int64),
    ("dropped", np.int64),
    ("ignored", np.int64),
    ("discarded", np.int64),
    ("snapshots", np.int64),
    ("gaps", np.int64),
    ("resyncs", np.int64),
    ("low", np.int64),
    ("high", np.int64),
    ("refresh_below", np.int64),
    ("refresh_above", np.int64),
    ("refreshing", np.int64),
    ("watched", np.int64),
    ("top_id", np.int64),
    ("top_bid", np.int64),
    ("top_ask", np.int64),
    ("top_ofi", np.int64),
)
"""One book. Every level from `low` to `high` is known, beyond them only what changed since the snapshot; a best bid
under `refresh_below` or a best ask over `refresh_above` has come too near that edge: it is `refreshing`, REFRESHING or,
when the snapshot came before the diffs that it holds, EARLY.

`watched` books also sum, diff by diff, the change of lots in their best levels: `top_ofi` is the sum of bid changes
minus ask changes so far, `top_bid` and `top_ask` what stood there after diff `top_id`.

Every row `received` is one of the `snapshots`, or a diff: `applied`, `dropped` (older than the book, or more than are
kept while a snapshot is awaited), `discarded` (kept, and then the chain broke), `ignored` (the book is OFF), or still
kept."""


NO_PAGE = -1
ENTRY = np.dtype([("key", np.int64), ("page", np.int32), ("used", np.int32)])
"""A page in the hash table: which ticks of which instrument (NO_PAGE: none), its place in `lots`, levels standing."""


class Ladders(NamedTuple):
    """State of all books; `free[: meta[0]]` is the stack of unused pages."""

    books: NDArray[np.void]
    lots: NDArray[np.int64]
    table: NDArray[np.void]
    free: NDArray[np.int32]
    meta: NDArray[np.int64]


def new_ladders(instruments: int, pages: int = 32_768) -> Ladders:
    books = zeros(instruments, BOOK)
    books["best_bid"] = books["best_ask"] = NO_PRICE
    table = zeros(max(2 * pages, _NEIGHBOURS), ENTRY)
    table["key"] = NO_PAGE
    return Ladders(
        books=books,
        lots=np.zeros(pages * PAGE, np.int64),
        table=table,
        free=np.arange(pages - 1, -1, -1, dtype=np.int32),
        meta=np.array([pages], np.int64),
    )


def grow(state: Ladders, pages_wanted: int) -> Ladders:
    """Return ladders with at least `pages_wanted` unused pages; content unchanged."""
    old = len(state.free)
    pages = old
    while pages - old + int(state.meta[0]) < pages_wanted:
        pages *= 2
    if pages == old:
        return state
    bigger = new_ladders(0, pages)
    free = np.concatenate([np.arange(pages - 1, old - 1, -1, dtype=np.int32), state.free[: state.meta[0]]])
    bigger.free[: len(free)] = free
    bigger.meta[0] = len(free)
    _copy_entries(state, bigger)
    return bigger._replace(books=state.books)


def grow_books(state: Ladders, instruments: int) -> Ladders:
    """Return ladders with room for more instruments; content unchanged."""
    books = new_ladders(instruments, 1).books
    books[: len(state.books)] = state.books
    return state._replace(books=books)


@kernel
def _copy_entries(s: Ladders, to: Ladders) -> None:
    for slot in range(len(s.table)):
        entry = s.table[slot]
        if entry.key != NO_PAGE:
            new = to.table[_slot_of(to, entry.key)]
            new.key, new.page, new.used = entry.key, entry.page, entry.used
            for at in range(np.int64(entry.page) * PAGE, (np.int64(entry.page) + 1) * PAGE):
                to.lots[at] = s.lots[at]  # pages that are not in use cost no memory


@leaf
def _home(s: Ladders, key: int) -> int:
    """Table slot where the search for `key` begins."""
    mask = np.uint64(len(s.table) - _NEIGHBOURS)
    h = np.uint64(key & ~_WHICH_NEIGHBOUR) * _HASH_FACTOR
    return np.int64((h >> _HALF) & mask) | ((key & _WHICH_NEIGHBOUR) >> _INSTRUMENT_BITS)


@leaf
def _slot_of(s: Ladders, key: int) -> int:
    """Table slot that holds `key`, or the empty slot where it would go."""
    mask = len(s.table) - 1
    slot = _home(s, key)
    while s.table[np.uint64(slot)].key != key and s.table[np.uint64(slot)].key != NO_PAGE:
        slot = (slot + 1) & mask
    return slot


@leaf
def _page_key(i: int, tick: int) -> int:
    return ((tick >> PAGE_BITS) << _INSTRUMENT_BITS) | i


@leaf
def _find_page(s: Ladders, key: int) -> int:
    entry = s.table[np.uint64(_slot_of(s, key))]
    return np.int64(entry.page) if entry.key == key else NO_PAGE


@leaf
def _take_page(s: Ladders, slot: int, key: int) -> None:
    """Give `key` a page, in the empty slot where it goes."""
    s.meta[0] -= 1
    entry = s.table[slot]
    entry.key = key
    entry.page = s.free[s.meta[0]]
    entry.used = 0


@kernel
def _release_page(s: Ladders, slot: int) -> None:
    """Give the empty page of this slot back and close the hole it leaves in the probe sequence of the table."""
    mask = len(s.table) - 1
    s.free[s.meta[0]] = s.table[slot].page
    s.meta[0] += 1
    hole = slot
    while True:
        slot = (slot + 1) & mask
        entry = s.table[slot]
        if entry.key == NO_PAGE:
            break
        home = _home(s, entry.key)
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            moved = s.table[hole]
            moved.key, moved.page, moved.used = entry.key, entry.page, entry.used
            hole = slot
    s.table[hole].key = NO_PAGE


@kernel
def next_level(s: Ladders, i: int, tick: int, side: int) -> int:
    """Tick of the next standing level beyond `tick`: `side` 1 walks bids downward, -1 asks upward.

    Returns NO_PRICE when there is none. `tick` itself is not considered.
    """
    t = tick - side
    for _ in range(_WALK_LIMIT):
        if t < 0:
            return NO_PRICE
        page = _find_page(s, _page_key(i, t))
        if page >= 0:
            base = page * PAGE
            at = t & PAGE_MASK
            while 0 <= at < PAGE:
                if s.lots[base + at] * side > 0:
                    return (t & ~PAGE_MASK) + at
                at -= side
        t = (t | PAGE_MASK) + 1 if side < 0 else (t & ~PAGE_MASK) - 1
    return _search_pool(s, i, t, side)


@kernel
def _search_pool(s: Ladders, i: int, tick: int, side: int) -> int:
    """`next_level` at any distance, `tick` included: look at every page of the instrument."""
    best = NO_PRICE
    for slot in range(len(s.table)):
        entry = s.table[slot]
        if entry.key == NO_PAGE or (entry.key & _INSTRUMENT_MASK) != i:
            continue
        first = (entry.key >> _INSTRUMENT_BITS) << PAGE_BITS
        for at in range(PAGE):
            t = first + at
            if s.lots[np.int64(entry.page) * PAGE + at] * side > 0 and (tick - t) * side >= 0:
                if best == NO_PRICE or (t - best) * side > 0:
                    best = t
    return best


@leaf
def lots_at(s: Ladders, i: int, tick: int) -> int:
    """Signed lots standing at `tick` (bids positive)."""
    page = _find_page(s, _page_key(i, tick))
    return s.lots[page * PAGE + (tick & PAGE_MASK)] if page >= 0 else np.int64(0)


@leaf
def fetch_levels(s: Ladders, i: int, levels: NDArray[np.void], start: int, stop: int) -> None:
    """Begin to fetch what `set_levels` will change, all of it at once instead of one cache miss after the other."""
    prefetch(s.books, i)
    n = start
    while n < stop:
        number = _page_of(levels, n)
        base = _base(s, _home(s, _page_key(i, levels[np.uint64(n)].price)), number)
        while n < stop and _page_of(levels, n) == number:
            prefetch(s.lots, base + levels[np.uint64(n)].price)
            n += 1


@leaf
def _page_of(levels: NDArray[np.void], n: int) -> int:
    return levels[np.uint64(n)].price >> PAGE_BITS


@leaf
def _base(s: Ladders, slot: int, number: int) -> int:
    """What to add to a tick for its place in `lots`, where page `number` is that of this slot."""
    return np.int64(s.table[np.uint64(slot)].page - number) << PAGE_BITS


@leaf
def set_levels(s: Ladders, i: int, levels: NDArray[np.void], start: int, bids: int, asks: int) -> None:
    """Set `bids` levels from `start` on and the `asks` behind them (absolute lots, 0 deletes).

    The caller has made sure that `bids + asks` unused pages are there.
    """
    _set_side(s, i, levels, start, start + bids, 1)
    _set_side(s, i, levels, start + bids, start + bids + asks, -1)


@leaf
def _set_side(s: Ladders, i: int, levels: NDArray[np.void], start: int, stop: int, side: int) -> None:
    book = s.books[i]
    held, best = (book.bids, book.best_bid) if side > 0 else (book.asks, book.best_ask)
    best = best if held else np.int64(NO_PRICE if side > 0 else NO_EDGE)
    n = start
    while n < stop:
        number = _page_of(levels, n)
        slot = _enter_page(s, _page_key(i, levels[np.uint64(n)].price))
        base, before = _base(s, slot, number), held - s.table[np.uint64(slot)].used
        while n < stop and _page_of(levels, n) == number:
            tick, lots = levels[np.uint64(n)].price, levels[np.uint64(n)].qty * side
            n += 1
            at = np.uint64(base + tick)
            old = s.lots[at]
            if rare(old * side < 0):
                if lots == 0:
                    continue  # what stands there is the other side's: a level that we never had is deleted
                _lose_level(s, i, tick, -side)
                old, before = np.int64(0), before + 1
            best = tick if (lots != 0) & ((tick - best) * side > 0) else best
            s.lots[at] = lots
            held += (lots != 0) - np.int64(old != 0)
        _leave_page(s, slot, held - before)
    if held == 0:
        best = np.int64(NO_PRICE)
    elif lots_at(s, i, best) * side <= 0:  # the best of old and new ones is gone
        best = next_level(s, i, best, side)
    if side > 0:
        book.bids, book.best_bid = held, best
    else:
        book.asks, book.best_ask = held, best


@kernel
def _lose_level(s: Ladders, i: int, tick: int, side: int) -> None:
    """The other side has taken the place of a level of this one."""
    book = s.books[i]
    if side > 0:
        book.bids -= 1
        if tick == book.best_bid:
            book.best_bid = next_level(s, i, tick, 1) if book.bids else np.int64(NO_PRICE)
    else:
        book.asks -= 1
        if tick == book.best_ask:
            book.best_ask = next_level(s, i, tick, -1) if book.asks else np.int64(NO_PRICE)


@leaf
def _enter_page(s: Ladders, key: int) -> int:
    """Table slot of the page of `key`, which is taken if there is none."""
    slot = _slot_of(s, key)
    if rare(s.table[np.uint64(slot)].key != key):
        _take_page(s, slot, key)
    return slot


@leaf
def _leave_page(s: Ladders, slot: int, used: int) -> None:
    s.table[np.uint64(slot)].used = used
    if rare(used == 0):
        _release_page(s, slot)


@kernel
def clear(s: Ladders, i: int) -> None:
    """Forget every level of a book; its counters stay."""
    slot = 0
    while slot < len(s.table):
        entry = s.table[slot]
        if entry.key == NO_PAGE or (entry.key & _INSTRUMENT_MASK) != i:
            slot += 1
            continue
        start = np.int64(entry.page) * PAGE
        s.lots[start : start + PAGE] = 0
        _release_page(s, slot)  # another page may be in this slot now
    book = s.books[i]
    book.bids = 0
    book.asks = 0
    book.best_bid = NO_PRICE
    book.best_ask = NO_PRICE


@kernel
def read_book(s: Ladders, i: int, out: NDArray[np.int64]) -> tuple[int, ...]:
    """Copy the best levels of both sides into `out` (2, depth, 2) as (tick, lots), bids before asks, best first.

    Returns how many bids, how many asks, and the book's state, last_id, event_ms, low and high.
    """
    book = s.books[i]
    bids, asks = _read_side(s, i, 1, out[0]), _read_side(s, i, -1, out[1])
    return bids, asks, book.state, book.last_id, book.event_ms, book.low, book.high


@kernel
def _read_side(s: Ladders, i: int, side: int, out: NDArray[np.int64]) -> int:
    tick = s.books[i].best_bid if side > 0 else s.books[i].best_ask
    n = 0
    while tick != NO_PRICE and n < len(out):
        base = _find_page(s, _page_key(i, tick)) * PAGE
        first, at = tick & ~PAGE_MASK, tick & PAGE_MASK
        while 0 <= at < PAGE and n < len(out):
            lots = s.lots[base + at] * side
            if lots > 0:
                tick = first + at
                out[n, 0] = tick
                out[n, 1] = lots
                n += 1
            at -= side
        if n < len(out):
            tick = next_level(s, i, tick, side)
    return n


@leaf
def is_crossed(book: Record) -> bool:
    return bool(book.bids and book.asks and book.best_bid >= book.best_ask)


@leaf
def is_beyond_known(book: Record) -> bool:
    """Whether the best of a side lies behind what the snapshot knew: a better one we never heard of may stand there."""
    no_bid = book.low > 0 and (book.bids == 0 or book.best_bid < book.low)
    no_ask = book.high < NO_EDGE and (book.asks == 0 or book.best_ask > book.high)
    return bool(no_bid or no_ask)


@kernel
def depth_quote(s: Ladders, i: int, side: int, bps: int) -> int:
    """Ticks x lots standing on one side within `bps` basis points of that side's best price."""
    book = s.books[i]
    best = book.best_bid if side > 0 else book.best_ask
    total = np.int64(0)
    tick = best
    while tick != NO_PRICE and abs(tick - best) * 10_000 <= best * bps:
        total += tick * abs(lots_at(s, i, tick))
        tick = next_level(s, i, tick, side)
    return total


@kernel
def sum_top_change(s: Ladders, i: int, prev_id: int, depth: int) -> None:
    """Add what the newest diff (after `prev_id`) changed in the best `depth` levels; a resync only sets the base."""
    book = s.books[i]
    bid, ask = book.top_bid, book.top_ask
    known = book.top_id == prev_id
    set_top_base(s, i, depth)
    if known:
        book.top_ofi += (book.top_bid - bid) - (book.top_ask - ask)


@kernel
def set_top_base(s: Ladders, i: int, depth: int) -> None:
    """Remember what stands in the best `depth` levels after the newest diff."""
    book = s.books[i]
    book.top_id = book.last_id
    book.top_bid = top_lots(s, i, 1, depth)
    book.top_ask = top_lots(s, i, -1, depth)


@kernel
def top_lots(s: Ladders, i: int, side: int, depth: int) -> int:
    """Lots standing in the best `depth` levels of one side."""
    book = s.books[i]
    tick = book.best_bid if side > 0 else book.best_ask
    total = np.int64(0)
    while tick != NO_PRICE and depth > 0:
        total += abs(lots_at(s, i, tick))
        tick = next_level(s, i, tick, side)
        depth -= 1
    return total
