"""Volume at price of the day, read from the tick-level cells of the one-minute store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from .candles import Candles, find
from .packing import get_cell, head


@kernel
def add_traded(store: Candles, i: int, from_number: int, low: int, out: NDArray[np.int64]) -> None:
    """Add to `out` (ticks, 2) the lots sold and bought at the ticks from `low` on, in candles from `from_number` on."""
    for number in range(max(from_number, store.newest[i] - len(store.ring) + 1, 0), store.newest[i] + 1):
        slot = find(store, i, number)
        if slot < 0:
            continue
        candle = store.ring[slot, i]
        if candle.n == 0 or candle.high < low or candle.low >= low + len(out):
            continue
        first, stop = np.int64(0), np.int64(candle.cells)
        while first < stop:  # cells stand sorted by price
            middle = (first + stop) >> 1
            if store.cells[candle.cell_at + middle].price < low:
                first = middle + 1
            else:
                stop = middle
        for at in range(candle.cell_at + first, candle.cell_at + candle.cells):
            cell = store.cells[at]
            if cell.price >= low + len(out):
                break
            out[cell.price - low, 0] += cell.bid
            out[cell.price - low, 1] += cell.ask
        count, at = head(store, candle)
        price = np.int64(0)
        for _ in range(count):  # from the highest price down
            price, bid, ask, _n, at = get_cell(store, at, price)
            if price < low:
                break
            if price < low + len(out):
                out[price - low, 0] += bid
                out[price - low, 1] += ask
