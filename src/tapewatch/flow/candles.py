"""Candles with tick-level footprint cells: the original that every timeframe, bin and window is a view of.

A store holds, for every instrument, a ring of candles of one base length (one minute, one second). The candle of
`ts_ms` lives at slot `(ts_ms // base_ms) % slots`, so a late or backfilled trade finds its candle as directly as a
fresh one. The cells of a candle are a block of one shared arena; blocks come in powers of two and go back to a free
list of their size when they are outgrown or their candle leaves the ring.

Cells of a minute are sorted by tick. Those of a second lie as they came, since few seconds are ever looked at, and a
price may have several there: whoever reads them sorts them and adds them up (`flow.footprint`).

A candle that has been left alone for a while may be packed (`flow.packing`): its cells then are a few bytes each in a
second arena. What still comes for it opens a block anew, and whoever reads its cells reads both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, prefetch, whole_lines, zeros
from ..model.views import CELL

SECOND_MS, MINUTE_MS, DAY_MS = 1_000, 60_000, 86_400_000
SMALLEST_BLOCK = 4
SIZE_CLASSES = 28
PACKED_CLASSES = 256
"""Sizes of packed blocks: each number of words up to 16, then eight sizes an octave."""
FIRST_PACKED = 1 << 17
NO_BLOCK = -1
"""Size class of a candle without cells: a gap opens many candles that nothing traded in, and must cost no arena."""

SEATS = 8
"""Places of cells that a candle remembers, one for each remainder of a price."""

BASE = whole_lines(
    ("number", np.int64),
    ("open", np.int64),
    ("high", np.int64),
    ("low", np.int64),
    ("close", np.int64),
    ("open_id", np.int64),
    ("close_id", np.int64),
    ("bid", np.int64),
    ("ask", np.int64),
    ("bid_quote", np.int64),
    ("ask_quote", np.int64),
    ("n", np.int32),
    ("gap", np.int32),
    ("cell_at", np.int64),
    ("cells", np.int32),
    ("size_class", np.int32),
    ("near", np.uint8, (SEATS,)),
    ("packed_at", np.int32),
    ("packed", np.int32),
)
"""Candle of base length; `number` is ts_ms // base_ms. Ids decide which trade opens and closes. `near[price % SEATS]`
says where the cell of a price like this was last: a guess, looked at before it is believed. `packed` words from
`packed_at` on hold cells besides those of the block (0: none do). An empty slot is all zeros, so that memory is only
touched where something traded."""
LOOKED_AT = SMALLEST_BLOCK + 2
"""Cells compared at once. Behind the newest block there is always room for another one, so none is beyond the arena."""


class Candles(NamedTuple):
    """`ring[slot, instrument]`, the cell arena, and heads of the free lists by size class (-1: none).

    The candles of one moment lie side by side: the ones being written stay in the processor's cache, and memory is
    touched as time passes, not all over at once. Slots are a power of two: finding one takes no division.

    `meta` holds the first never used cell of the arena, the base length in ms, and the cells that the next trade may
    need at most; `newest[instrument]` is the highest candle number seen, `oldest[instrument]` the lowest traded in.
    `left[instrument]` is the last UTC day of which candles have left the ring, and their delta: CVD of what is left of
    that day still begins at 00:00.

    `words` is the arena of packed cells, `bytes` the same memory; `loose` are the heads of its free lists by size class
    (0: none) and, at its end, the first word that was never used.
    """

    ring: NDArray[np.void]
    newest: NDArray[np.int64]
    oldest: NDArray[np.int64]
    left: NDArray[np.int64]
    cells: NDArray[np.void]
    free: NDArray[np.int64]
    words: NDArray[np.int64]
    bytes: NDArray[np.uint8]
    loose: NDArray[np.int64]
    meta: NDArray[np.int64]


def new_candles(instruments: int, base_ms: int, slots: int, cells: int = 1 << 20) -> Candles:
    """An empty store. What nothing has traded in costs address space, not memory."""
    if slots & (slots - 1):
        raise ValueError(f"{slots} slots are no power of two")
    ring = zeros((slots, instruments), BASE)
    words, loose = np.zeros(1, np.int64), np.zeros(PACKED_CLASSES + 1, np.int64)
    loose[PACKED_CLASSES] = 1  # word 0 is never used
    return Candles(
        ring=ring,
        newest=np.full(instruments, -1, np.int64),
        oldest=np.full(instruments, 1 << 62, np.int64),
        left=np.zeros((instruments, 2), np.int64),
        cells=zeros(cells, CELL),
        free=np.full(SIZE_CLASSES, -1, np.int64),
        words=words,
        bytes=words.view(np.uint8),
        loose=loose,
        meta=np.array([0, base_ms, SMALLEST_BLOCK], np.int64),
    )


def grow_cells(store: Candles) -> Candles:
    """Return the store with an arena twice as large."""
    cells = zeros(len(store.cells) * 2, CELL)
    cells[: len(store.cells)] = store.cells
    return store._replace(cells=cells)


def grow_packed(store: Candles) -> Candles:
    """Return the store with an arena of packed cells twice as large."""
    words = np.zeros(max(FIRST_PACKED, 2 * len(store.words)), np.int64)
    words[: len(store.words)] = store.words
    return store._replace(words=words, bytes=words.view(np.uint8))


def grow_instruments(store: Candles, instruments: int) -> Candles:
    """Return the store with room for more instruments."""
    wider = new_candles(instruments, int(store.meta[1]), len(store.ring), 1)
    wider.ring[:, : len(store.newest)] = store.ring
    wider.newest[: len(store.newest)] = store.newest
    wider.oldest[: len(store.newest)] = store.oldest
    wider.left[: len(store.newest)] = store.left
    return store._replace(ring=wider.ring, newest=wider.newest, oldest=wider.oldest, left=wider.left)


@leaf
def number_of(ts_ms: int, base_ms: int) -> int:
    """Number of the candle that a time falls into. No time is before 1970: to divide unsigned is one multiplication."""
    return np.int64(np.uint64(ts_ms) // np.uint64(base_ms))


@leaf
def _at(store: Candles, slot: int, i: int) -> Record:
    """The candle in a slot. Unsigned: Python's negative indices would cost three instructions wherever one is used."""
    return store.ring[np.uint64(slot), i]


@leaf
def has_room(store: Candles) -> bool:
    """Whether one more trade certainly finds its cell without growing the arena."""
    return store.meta[0] + store.meta[2] <= len(store.cells)


@leaf
def _capacity(size_class: int) -> int:
    return 0 if size_class == NO_BLOCK else SMALLEST_BLOCK << size_class


@leaf
def _take_block(store: Candles, size_class: int) -> int:
    at = store.free[size_class]
    if at >= 0:
        store.free[size_class] = store.cells[np.uint64(at)].price
        prefetch(store.cells, store.free[size_class])
        return at
    at = store.meta[0]
    store.meta[0] += SMALLEST_BLOCK << size_class
    store.meta[2] = max(store.meta[2], SMALLEST_BLOCK << (size_class + 1))
    prefetch(store.cells, store.meta[0])
    prefetch(store.cells, store.meta[0] + 2)
    return at


@leaf
def give_block(store: Candles, at: int, size_class: int) -> None:
    store.cells[at].price = store.free[size_class]
    store.free[size_class] = at


@leaf
def packed_class(words: int) -> tuple[int, int]:
    """Size class of a packed block for so many words, and how many it has."""
    shift = 0
    while words > 16 << shift:
        shift += 1
    eighths = ((words - 1) >> shift) + 1
    return 8 * shift + eighths, eighths << shift


@leaf
def give_packed(store: Candles, candle: Record) -> None:
    """Let the packed cells of a candle go."""
    size_class, _ = packed_class(candle.packed)
    store.words[candle.packed_at] = store.loose[size_class]
    store.loose[size_class] = candle.packed_at
    candle.packed = 0


@leaf
def fetch_candle(store: Candles, i: int, number: int) -> None:
    """Begin to fetch the candle with this number."""
    slot = number & (len(store.ring) - 1)
    prefetch(store.ring, slot * store.ring.shape[1] + i)


@leaf
def fetch_cell(store: Candles, i: int, number: int, price: int, unsorted: bool) -> None:
    """Begin to fetch the cell of a price in the candle with this number, and its neighbours, two a cache line, or the
    place of a new one.
    """
    candle = _at(store, number & (len(store.ring) - 1), i)
    at = candle.cell_at + candle.near[np.uint64(price & (SEATS - 1))]
    prefetch(store.cells, at)
    if unsorted:
        prefetch(store.cells, candle.cell_at + candle.cells)
    else:
        prefetch(store.cells, at - 2)
        prefetch(store.cells, at + 2)


@leaf
def find(store: Candles, i: int, number: int) -> int:
    """Slot of the candle with this number, or -1 when it is not held."""
    slot = number & (len(store.ring) - 1)
    return slot if _at(store, slot, i).number == number else -1


@leaf
def _open_slot(store: Candles, i: int, number: int) -> int:
    """Slot of the candle with this number, made if need be; -1 when it is older than the ring reaches."""
    slots = len(store.ring)
    slot = number & (slots - 1)
    candle = _at(store, slot, i)
    if number <= store.newest[i] - slots:
        return -1  # even where by chance its slot has not been needed since
    if candle.number == number:
        return slot
    if candle.number > 0:
        _leave(store, i, candle)
    candle.number = number
    candle.n = 0
    candle.gap = 0
    candle.bid = 0
    candle.ask = 0
    candle.bid_quote = 0
    candle.ask_quote = 0
    candle.cells = 0
    candle.size_class = NO_BLOCK
    store.newest[i] = max(store.newest[i], number)
    return slot


@leaf
def _leave(store: Candles, i: int, candle: Record) -> None:
    """Let a candle go that the ring has come around to: its cells are free, its delta is kept with its day's."""
    left = store.left[i]
    day = candle.number * store.meta[1] // DAY_MS
    if day > left[0]:
        left[0], left[1] = day, 0
    if day == left[0]:
        left[1] += candle.ask - candle.bid
    if candle.size_class != NO_BLOCK:
        give_block(store, candle.cell_at, candle.size_class)
    if candle.packed:
        give_packed(store, candle)


@leaf
def _search(store: Candles, candle: Record, price: int) -> int:
    """How many cells of the candle lie below `price`.

    Prints are close to each other, so a few cells around that of the tick below are all looked at: where among them the
    price lies is as good as random, and to count is cheaper than to branch. Only then the others are halved.
    """
    lo, hi = np.int64(0), np.int64(candle.cells)
    neighbour = candle.near[np.uint64((price - 1) & (SEATS - 1))]
    start = max(0, min(neighbour - LOOKED_AT // 2, hi - LOOKED_AT))
    below = np.int64(0)
    for k in range(LOOKED_AT):
        below += (start + k < hi) & (store.cells[np.uint64(candle.cell_at + start + k)].price < price)
    if ((below > 0) | (start == 0)) & ((below < LOOKED_AT) | (start + LOOKED_AT == hi)):
        return start + below
    while lo < hi:
        mid = (lo + hi) >> 1
        if store.cells[np.uint64(candle.cell_at + mid)].price < price:
            lo = mid + 1
        else:
            hi = mid
    return lo


@leaf
def cell_of(store: Candles, i: int, slot: int, price: int) -> int:
    """Arena position of the candle's cell at `price`, inserted in order if it is new."""
    candle = _at(store, slot, i)
    seat = np.uint64(price & (SEATS - 1))
    near = np.int64(candle.near[seat])
    if near < candle.cells and store.cells[np.uint64(candle.cell_at + near)].price == price:
        return candle.cell_at + near
    lo = _search(store, candle, price)
    candle.near[seat] = np.uint8(lo)
    if lo < candle.cells and store.cells[np.uint64(candle.cell_at + lo)].price == price:
        return candle.cell_at + lo
    _make_room(store, candle)
    at = candle.cell_at + lo
    for k in range(candle.cell_at + candle.cells, at, -1):
        store.cells[k] = store.cells[k - 1]
    place = np.uint8(lo)
    for k in range(SEATS):
        held = candle.near[np.uint64(k)]
        candle.near[np.uint64(k)] = np.uint8(held + (held >= place))
    candle.near[seat] = place
    _begin_cell(store, candle, at, price)
    return at


@leaf
def _unsorted_cell_of(store: Candles, i: int, slot: int, price: int) -> int:
    """As `cell_of`, for cells in no order: a price that is not where it was last gets another, behind the rest.

    So a second has no more cells than prints; of those recorded the blocks are at most 6 % larger than sorted ones.
    """
    candle = _at(store, slot, i)
    seat = np.uint64(price & (SEATS - 1))
    near = np.int64(candle.near[seat])
    if near < candle.cells and store.cells[np.uint64(candle.cell_at + near)].price == price:
        return candle.cell_at + near
    _make_room(store, candle)
    at = candle.cell_at + candle.cells
    candle.near[seat] = np.uint8(candle.cells)
    _begin_cell(store, candle, at, price)
    return at


@leaf
def _make_room(store: Candles, candle: Record) -> None:
    """Let the candle's block have room for one more cell."""
    if candle.cells < _capacity(candle.size_class):
        return
    moved = _take_block(store, candle.size_class + 1)
    if candle.size_class != NO_BLOCK:
        for k in range(candle.cells):
            store.cells[moved + k] = store.cells[candle.cell_at + k]
        give_block(store, candle.cell_at, candle.size_class)
    candle.cell_at = moved
    candle.size_class += 1


@leaf
def _begin_cell(store: Candles, candle: Record, at: int, price: int) -> None:
    candle.cells += 1
    cell = store.cells[np.uint64(at)]
    cell.price = price
    cell.bid = 0
    cell.ask = 0
    cell.n = 0


@leaf
def add_trade(
    store: Candles, i: int, number: int, trade_id: int, price: int, lots: int, sell: bool, unsorted: bool
) -> bool:  # fmt: skip
    """Put one trade into candle `number` and its cell; False when that is older than the ring reaches.

    Cells are sorted, or `unsorted`: in the order in which they came.
    """
    slot = _open_slot(store, i, number)
    if slot < 0:
        return False
    candle = _at(store, slot, i)
    if candle.n == 0:
        store.oldest[i] = min(store.oldest[i], number)
        candle.open = price
        candle.high = price
        candle.low = price
        candle.close = price
        candle.open_id = trade_id
        candle.close_id = trade_id
    else:
        candle.high = max(candle.high, price)
        candle.low = min(candle.low, price)
        if trade_id >= candle.close_id:
            candle.close, candle.close_id = price, trade_id
        elif trade_id < candle.open_id:
            candle.open, candle.open_id = price, trade_id
    at = _unsorted_cell_of(store, i, slot, price) if unsorted else cell_of(store, i, slot, price)
    cell = store.cells[np.uint64(at)]
    sold = lots if sell else 0
    bought = lots - sold
    candle.bid += sold
    candle.ask += bought
    candle.bid_quote += price * sold
    candle.ask_quote += price * bought
    cell.bid += sold
    cell.ask += bought
    candle.n += 1
    cell.n += 1
    return True


@kernel
def mark_gap(store: Candles, i: int, from_ms: int, to_ms: int, change: int) -> None:
    """Add `change` to the gap count of every held candle that a hole from `from_ms` to `to_ms` touches."""
    last = to_ms // store.meta[1]
    first = max(from_ms // store.meta[1], last - len(store.ring) + 1)
    for number in range(first, last + 1):
        slot = find(store, i, number) if change < 0 else _open_slot(store, i, number)
        if slot >= 0:
            store.ring[slot, i].gap += change


@kernel
def rescale(store: Candles, i: int, price_factor: int, lot_factor: int) -> None:
    """Rewrite one instrument on a finer grid: prices times `price_factor`, lots times `lot_factor`. Exact."""
    store.left[i, 1] *= lot_factor
    for slot in range(len(store.ring)):
        candle = store.ring[slot, i]
        if candle.number == 0:
            continue
        candle.open *= price_factor
        candle.high *= price_factor
        candle.low *= price_factor
        candle.close *= price_factor
        candle.bid *= lot_factor
        candle.ask *= lot_factor
        candle.bid_quote *= price_factor * lot_factor
        candle.ask_quote *= price_factor * lot_factor
        for k in range(candle.cell_at, candle.cell_at + candle.cells):
            store.cells[k].price *= price_factor
            store.cells[k].bid *= lot_factor
            store.cells[k].ask *= lot_factor
