"""Minutes that nothing changes any more, with their cells packed: some eight bytes a cell, where a block takes forty.

Tick-level cells of a day and a half are most of what an engine holds. Nearly all of them are only read, and seldom:
they are kept as numbers of as many bytes as they need (LEB128), prices from the highest down as steps, so that every
view is still made of the original. A print that comes late opens a block beside them; both are one again when their
candle is packed the next time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from .candles import (
    NO_BLOCK,
    PACKED_CLASSES,
    Candles,
    cell_of,
    give_block,
    give_packed,
    grow_cells,
    grow_packed,
    packed_class,
)

WORD = 8
DONE, MORE_CELLS, MORE_WORDS = range(3)


@leaf
def put_number(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a number that is not negative as LEB128; returns the place behind it."""
    while value >= 128:
        out[at] = value & 127 | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@leaf
def get_number(packed: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Read a number of LEB128, and the place behind it."""
    value = shift = np.int64(0)
    while packed[at] >= 128:
        value |= np.int64(packed[at] & 127) << shift
        shift += 7
        at += 1
    return value | np.int64(packed[at]) << shift, at + 1


@leaf
def _length(value: int) -> int:
    n = 1
    while value >= 128:
        value >>= 7
        n += 1
    return n


@leaf
def head(store: Candles, candle: Record) -> tuple[int, int]:
    """How many cells a candle has packed, and the place of the first in `bytes`."""
    if candle.packed == 0:
        return np.int64(0), np.int64(0)
    return get_number(store.bytes, np.int64(candle.packed_at) * WORD)


@leaf
def get_cell(store: Candles, at: int, above: int) -> tuple[int, int, int, int, int]:
    """Price, bid, ask and n of the packed cell at `at`, and the place behind it; `above` is the price before, or 0."""
    step, at = get_number(store.bytes, at)
    bid, at = get_number(store.bytes, at)
    ask, at = get_number(store.bytes, at)
    n, at = get_number(store.bytes, at)
    return (above - step if above else step), bid, ask, n, at


@kernel
def _bytes_of(store: Candles, candle: Record) -> int:
    """What the cells of a candle's block take when they are packed."""
    size, above = _length(np.int64(candle.cells)), np.int64(0)
    for at in range(candle.cell_at + candle.cells - 1, candle.cell_at - 1, -1):
        cell = store.cells[at]
        size += _length(above - cell.price if above else cell.price)
        size += _length(cell.bid) + _length(cell.ask) + _length(cell.n)
        above = cell.price
    return size


@kernel
def _write(store: Candles, candle: Record, to: int) -> None:
    """Pack the cells of a candle's block to `bytes[to:]`."""
    to, above = put_number(store.bytes, to, np.int64(candle.cells)), np.int64(0)
    for at in range(candle.cell_at + candle.cells - 1, candle.cell_at - 1, -1):
        cell = store.cells[at]
        to = put_number(store.bytes, to, above - cell.price if above else cell.price)
        to = put_number(store.bytes, to, cell.bid)
        to = put_number(store.bytes, to, cell.ask)
        to = put_number(store.bytes, to, cell.n)
        above = cell.price


@leaf
def _take(store: Candles, size_class: int, words: int) -> int:
    """A packed block of this class; -1 where the arena has to grow."""
    at = store.loose[size_class]
    if at:
        store.loose[size_class] = store.words[at]
        return at
    at = store.loose[PACKED_CLASSES]
    if at + words > len(store.words):
        return np.int64(-1)
    store.loose[PACKED_CLASSES] += words
    return at


@kernel
def _put_back(store: Candles, i: int, slot: int) -> bool:
    """Move the packed cells of a candle to its block; False, and nothing done, where the arena has to grow."""
    candle = store.ring[slot, i]
    count, at = head(store, candle)
    # A block grows by doubling: what it has outgrown and what it is take four times its cells at most.
    if store.meta[0] + 4 * (count + candle.cells) + store.meta[2] > len(store.cells):
        return False
    price = np.int64(0)
    for _ in range(count):
        price, bid, ask, n, at = get_cell(store, at, price)
        cell = store.cells[cell_of(store, i, slot, price)]
        cell.bid += bid
        cell.ask += ask
        cell.n += n
    if count:
        give_packed(store, candle)
    return True


@kernel
def _pack(store: Candles, start: int, stop: int, before: int) -> tuple[int, int]:
    """Pack candles `start` to `stop` (slot by slot) that are numbered below `before`: (where it ended, why)."""
    slots, instruments = store.ring.shape
    for place in range(start, stop):
        slot, i = place // instruments & (slots - 1), place % instruments
        candle = store.ring[slot, i]
        if candle.cells == 0 or candle.number >= before:
            continue
        if candle.packed and not _put_back(store, i, slot):
            return place, MORE_CELLS
        size_class, words = packed_class((_bytes_of(store, candle) + WORD - 1) // WORD)
        at = _take(store, size_class, words)
        if at < 0:
            return place, MORE_WORDS
        _write(store, candle, at * WORD)
        give_block(store, candle.cell_at, candle.size_class)
        candle.packed_at, candle.packed = at, words
        candle.cell_at, candle.cells, candle.size_class = 0, 0, NO_BLOCK
    return stop, DONE


@kernel
def free_left(store: Candles, first: int, stop: int) -> None:
    """Free the cells of candles that the ring has left, in the slots of the candles numbered `first` to `stop`.

    A candle goes when something trades in its slot again. Where trades are rare that takes many times around the ring,
    and in the end every slot would hold the cells of some day.
    """
    slots = len(store.ring)
    for number in range(max(first, stop - slots), stop):
        for i in range(store.ring.shape[1]):
            candle = store.ring[number & (slots - 1), i]
            if candle.number == 0 or candle.number > store.newest[i] - slots:
                continue
            if candle.size_class != NO_BLOCK:
                give_block(store, candle.cell_at, candle.size_class)
                candle.cell_at, candle.cells, candle.size_class = 0, 0, NO_BLOCK
            if candle.packed:
                give_packed(store, candle)


@kernel
def _unpack(store: Candles, i: int, start: int) -> int:
    """Put all packed cells of one instrument back, from slot `start` on; returns where the arena has to grow."""
    for slot in range(start, len(store.ring)):
        if store.ring[slot, i].packed and not _put_back(store, i, slot):
            return slot
    return len(store.ring)


def pack(store: Candles, first_slot: int, slots: int, before: int) -> Candles:
    """Pack candles numbered below `before` in some slots of the ring, which may go beyond its end and around.

    Returns the store, its arenas perhaps grown.
    """
    instruments = store.ring.shape[1]
    at, stop = first_slot * instruments, (first_slot + slots) * instruments
    while True:
        at, why = _pack(store, at, stop, before)
        if why == DONE:
            return store
        store = grow_cells(store) if why == MORE_CELLS else grow_packed(store)


def unpack(store: Candles, i: int) -> Candles:
    """Lay the cells of one instrument out again, to be rewritten; returns the store, its arena perhaps grown."""
    slot = 0
    while (slot := _unpack(store, i, slot)) < len(store.ring):
        store = grow_cells(store)
    return store
