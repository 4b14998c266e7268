"""The best levels of a book as venues tell them that send a window: what leaves it is deleted, what enters it told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from .layout import RING, State

_MASK = RING - 1


@kernel
def read_side(m: State, i: int, side: int, out: NDArray[np.int64]) -> int:
    """Fill `out` with (ticks, lots) of one side, best first (`side` 1: bids, -1: asks); returns how many."""
    symbol = m.symbols[i]
    price = symbol.bid if side == 1 else symbol.ask
    last = symbol.anchor - side * (RING // 2 - 1)
    n = 0
    while n < len(out) and (price - last) * side >= 0:
        lots = m.books[i, price & _MASK] * side
        if lots > 0:
            out[n, 0], out[n, 1] = price, lots
            n += 1
        price -= side
    return n


@kernel
def compare_sides(
    old: NDArray[np.int64], olds: int, new: NDArray[np.int64], news: int, side: int, out: NDArray[np.int64]
) -> int:
    """Write the levels that differ, those that are gone with 0 lots; both sides are best first. Returns how many."""
    a, b, n = 0, 0, 0
    while a < olds or b < news:
        if b == news or (a < olds and (old[a, 0] - new[b, 0]) * side > 0):
            out[n, 0], out[n, 1] = old[a, 0], 0
            a += 1
            n += 1
        elif a == olds or old[a, 0] != new[b, 0]:
            out[n, 0], out[n, 1] = new[b, 0], new[b, 1]
            b += 1
            n += 1
        else:
            if old[a, 1] != new[b, 1]:
                out[n, 0], out[n, 1] = new[b, 0], new[b, 1]
                n += 1
            a += 1
            b += 1
    return n


class Window:
    """What the readers of one book have been told."""

    def __init__(self, state: State, i: int, levels: int) -> None:
        self.number = 0
        """Id of the last message."""
        self.told_ms = 0
        """When that was."""
        self.restarted = False
        """The venue's service began anew, and the next message has to show it."""
        self._state = state
        self._i = i
        self._told = np.zeros((2, levels, 2), np.int64)
        self._now = np.zeros((2, levels, 2), np.int64)
        self._changes = np.zeros((2, 2 * levels, 2), np.int64)
        self._counts = [read_side(state, i, side, self._told[k]) for k, side in enumerate((1, -1))]

    def whole(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bids and asks as they were told, in ticks and lots, best first."""
        return self._told[0, : self._counts[0]], self._told[1, : self._counts[1]]

    def advance(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What has changed since; it is told with this."""
        parts = []
        for k, side in enumerate((1, -1)):
            count = read_side(self._state, self._i, side, self._now[k])
            told = self._told[k], self._counts[k], self._now[k], count
            parts.append(self._changes[k, : compare_sides(*told, side, self._changes[k])])
            self._counts[k] = count
        self._told, self._now = self._now, self._told
        return parts[0], parts[1]
