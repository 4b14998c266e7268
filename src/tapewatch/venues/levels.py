"""Levels of a book out of their JSON, compiled: most of what a general decoder has to do with a message."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import entry, kernel
from ..model.instrument import Grid
from .batch import SHORTEST_LEVEL
from .binance_usdm_fields import in_units, units_ok
from .scan import FAIL, PADDING, read_price, read_quantity, skip_string
from .words import byte_at

_OPEN, _CLOSE, _COMMA = ord("["), ord("]"), ord(",")


@kernel
def _read_levels(
    buf: NDArray[np.uint8], end: int, tick_units: int, tick_decimals: int, lot_units: int, lot_decimals: int,
    more: int, out: NDArray[np.int64],
) -> int:  # fmt: skip
    """Read `[["83401.90","8.843"],…]`, with other texts behind the two where `more` is 1; how many, or FAIL."""
    if byte_at(buf, 0) != _OPEN:
        return FAIL
    p = 1
    if byte_at(buf, p) == _CLOSE:
        return 0 if p + 1 == end else FAIL
    n = 0
    while True:
        if byte_at(buf, p) != _OPEN:
            return FAIL
        p, price = read_price(buf, p + 1, tick_decimals)
        p, price = in_units(p, price, tick_units)
        if p == FAIL or price == 0 or byte_at(buf, p) != _COMMA:
            return FAIL
        p, qty = read_quantity(buf, p + 1, lot_decimals)
        p, qty = in_units(p, qty, lot_units)
        if p == FAIL or not units_ok(price, qty):
            return FAIL
        while more and byte_at(buf, p) == _COMMA:
            p = skip_string(buf, p + 1, end)
            if p == FAIL:
                return FAIL
        if byte_at(buf, p) != _CLOSE:
            return FAIL
        out[n, 0] = price
        out[n, 1] = qty
        n += 1
        p += 1
        if byte_at(buf, p) == _COMMA:
            p += 1
        else:
            return n if byte_at(buf, p) == _CLOSE and p + 1 == end else FAIL


class LevelReader:
    """Reads one side of a book; what it does not know exactly is left to who asked."""

    def __init__(self, *, more: bool = False) -> None:
        """`more`: levels have further texts behind price and quantity."""
        self._more = int(more)
        self._bytes = np.zeros(1 << 14, np.uint8)
        self._out = np.zeros((1 << 10, 2), np.int64)
        self._read = entry(_read_levels, self._bytes, 0, 0, 0, 0, 0, 0, self._out)

    def read(self, raw: bytes | memoryview, tick: Grid, lot: Grid) -> list[tuple[int, int]] | None:
        """(ticks, lots) of each level of a JSON list; None for another decoder to judge."""
        size = len(raw)
        if size + PADDING > len(self._bytes):
            self._bytes = np.zeros(2 * (size + PADDING), np.uint8)
            self._out = np.zeros((2 * (size // SHORTEST_LEVEL + 1), 2), np.int64)
        self._bytes[:size] = np.frombuffer(raw, np.uint8)
        self._bytes[size : size + PADDING] = 0
        grids = tick.units, tick.decimals, lot.units, lot.decimals
        n = self._read(self._bytes, size, *grids, self._more, self._out)
        return None if n == FAIL else list(map(tuple, self._out[:n].tolist()))
