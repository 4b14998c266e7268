"""Footprint cells as bytes, and candles folded from trades by the same code that folds them live.

`fold` is the bridge between rows in SQL and `flow.candles`: stored candles are laid into a `Candles` store, new trades
are added with `add_trade`, and what changed is packed again. Merging is therefore no second rule beside the live one.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..flow.candles import BASE, NO_BLOCK, SMALLEST_BLOCK, Candles, add_trade, grow_cells, has_room, new_candles
from ..flow.packing import get_number, put_number
from ..model.tape import Flag
from ..model.views import CELL

WIDEST = 10
"""Bytes of the largest LEB128 number, 64 bits in groups of 7."""
_SELL = int(Flag.SELL)

STORED = np.dtype([("open_ms", np.int64), ("i", np.int64), ("base", BASE)])
"""A candle on its way from or to SQL: open time, position of its instrument, and its numbers. In `base`, `cell_at` and
`cells` point into an array of cells beside it."""


@kernel
def pack_cells(
    cells: NDArray[np.void], starts: NDArray[np.int64], out: NDArray[np.uint8], ends: NDArray[np.int64]
) -> int:
    """Write the cells of each candle, `cells[starts[k]:starts[k+1]]` with rising prices, as LEB128 up to `ends[k]`."""
    at = 0
    for k in range(len(starts) - 1):
        below = np.int64(0)
        for c in range(starts[k], starts[k + 1]):
            cell = cells[c]
            at = put_number(out, at, cell.price - below)
            at = put_number(out, at, cell.bid)
            at = put_number(out, at, cell.ask)
            at = put_number(out, at, cell.n)
            below = cell.price
        ends[k] = at
    return at


@kernel
def count_cells(packed: NDArray[np.uint8], ends: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Set how many cells each blob `packed[ends[k-1]:ends[k]]` holds; returns the sum, -1 where one is torn."""
    total = at = 0
    for k in range(len(ends)):
        numbers = 0
        while at < ends[k]:
            numbers += packed[at] < 128
            at += 1
        if numbers % 4 or (at and packed[at - 1] >= 128):
            return -1
        counts[k] = numbers // 4
        total += numbers // 4
    return total


@kernel
def unpack_cells(packed: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.void]) -> None:
    """Read what `pack_cells` wrote; `out` has as many cells as `count_cells` said."""
    at = n = 0
    for k in range(len(ends)):
        price = np.int64(0)
        while at < ends[k]:
            numbers = out[n]
            step, at = get_number(packed, at)
            price += step
            numbers.price = price
            numbers.bid, at = get_number(packed, at)
            numbers.ask, at = get_number(packed, at)
            numbers.n, at = get_number(packed, at)
            n += 1


def pack(cells: NDArray[np.void], counts: NDArray[np.int64]) -> list[bytes]:
    """One blob a candle; `counts` are the cells of each, in order."""
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    out = np.empty(len(cells) * 4 * WIDEST, np.uint8)
    ends = np.zeros(len(counts), np.int64)
    data = out[: pack_cells(np.ascontiguousarray(cells), starts, out, ends)].tobytes()
    bounds = [0, *ends.tolist()]
    return [data[a:b] for a, b in pairwise(bounds)]


def unpack(blobs: list[bytes]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Cells of all blobs one after the other, and how many each has."""
    packed = np.frombuffer(b"".join(blobs), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, blobs), np.int64, len(blobs)), dtype=np.int64)
    counts = np.zeros(len(blobs), np.int64)
    total = count_cells(packed, ends, counts)
    if total < 0:
        raise ValueError("a volume_profile row is damaged: its cells end in the middle of a number")
    cells = np.zeros(total, CELL)
    unpack_cells(packed, ends, cells)
    return cells, counts


def lay(candles: NDArray[np.void], cells: NDArray[np.void], instruments: int, base_ms: int, slots: int) -> Candles:
    """A `Candles` store that holds these candles (STORED) as if their trades had just been added."""
    counts = candles["base"]["cells"].astype(np.int64)
    classes = np.where(counts > 0, np.ceil(np.log2(np.maximum(counts, SMALLEST_BLOCK) / SMALLEST_BLOCK)), NO_BLOCK)
    blocks = np.where(counts > 0, SMALLEST_BLOCK << np.maximum(classes, 0).astype(np.int64), 0)
    starts = np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64)
    used = int(starts[-1])
    largest = int(blocks.max(initial=SMALLEST_BLOCK))
    store = new_candles(instruments, base_ms, slots, max(1 << 12, used + 4 * largest))
    _lay(store, candles, cells, starts[:-1], classes.astype(np.int64))
    store.meta[0] = used
    store.meta[2] = 2 * largest
    return store


@kernel
def _lay(
    store: Candles,
    candles: NDArray[np.void],
    cells: NDArray[np.void],
    starts: NDArray[np.int64],
    classes: NDArray[np.int64],
) -> None:
    for k in range(len(candles)):
        number = candles[k].open_ms // store.meta[1]
        i = candles[k].i
        slot = number & (len(store.ring) - 1)
        base = candles[k].base
        for c in range(base.cells):
            store.cells[starts[k] + c] = cells[base.cell_at + c]
        store.ring[slot, i] = base
        candle = store.ring[slot, i]
        candle.number = number
        candle.cell_at = starts[k]
        candle.size_class = classes[k]
        store.newest[i] = max(store.newest[i], number)
        if base.n > 0:
            store.oldest[i] = min(store.oldest[i], number)


@kernel
def _fold(store: Candles, rows: NDArray[np.void], places: NDArray[np.int64], start: int) -> int:
    """Add trades from row `start`; returns the row before which the arena has to grow, or how many there are."""
    for r in range(start, len(rows)):
        if not has_room(store):
            return r
        row = rows[r]
        sell = (row.flags & _SELL) != 0
        add_trade(store, places[r], row.ts_ms // store.meta[1], row.id, row.price, row.qty, sell, False)
    return len(rows)


def fold(store: Candles, rows: NDArray[np.void], places: NDArray[np.int64]) -> Candles:
    """Add trades (tape rows) to a store; `places` are their instruments' positions in it."""
    at = _fold(store, rows, places, 0)
    while at < len(rows):
        store = grow_cells(store)
        at = _fold(store, rows, places, at)
    return store


def taken(store: Candles) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """All candles of a store as STORED, by time and instrument, and their cells one after the other."""
    slots, places = np.nonzero(store.ring["number"])
    base = store.ring[slots, places]
    order = np.lexsort((places, base["number"]))
    base, places = base[order], places[order]
    out = np.zeros(len(base), STORED)
    out["open_ms"] = base["number"] * store.meta[1]
    out["i"] = places
    out["base"] = base
    cells = gather(store.cells, base["cell_at"], base["cells"].astype(np.int64))
    out["base"]["cell_at"] = np.cumsum(base["cells"]) - base["cells"]
    return out, cells


def gather(cells: NDArray[np.void], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.void]:
    """The runs `cells[starts[k] : starts[k] + counts[k]]` one after the other."""
    ends = np.cumsum(counts)
    at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    run: NDArray[np.void] = cells[at]
    return run
