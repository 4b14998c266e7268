"""The newest prints of a studied instrument, to be drawn beside the book they hit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf

PRINTS = 1 << 14

PRINT_ROW = np.dtype([("ts_ms", np.int64), ("price", np.int64), ("lots", np.int64), ("side", np.int64)])
"""Prints of one price and side (+1 an aggressor bought, -1 sold) that followed each other within one heatmap column;
`ts_ms` is that of the first."""


class Prints(NamedTuple):
    """A ring; `meta[0]` rows ever made, the first `meta[1]` of them closed: they change no more."""

    rows: NDArray[np.void]
    meta: NDArray[np.int64]


def new_prints() -> Prints:
    return Prints(np.zeros(PRINTS, PRINT_ROW), np.zeros(2, np.int64))


@kernel
def add_print(p: Prints, price: int, lots: int, sell: bool, ts_ms: int) -> None:
    """Take in one print, in the order of the tape."""
    side = -1 if sell else 1
    last = p.rows[(p.meta[0] - 1) % PRINTS]
    if p.meta[0] > p.meta[1] and last.price == price and last.side == side:
        last.lots += lots
        return
    row = p.rows[p.meta[0] % PRINTS]
    row.ts_ms, row.price, row.lots, row.side = ts_ms, price, lots, side
    p.meta[0] += 1


@leaf
def close_column(p: Prints) -> None:
    """A heatmap column ends: what came until now changes no more."""
    p.meta[1] = p.meta[0]


def closed_since(p: Prints, after: int) -> NDArray[np.void]:
    """Closed rows but the first `after`, oldest first, as far as they are kept; a copy."""
    closed = int(p.meta[1])
    return p.rows[np.arange(max(after, int(p.meta[0]) - PRINTS, 0), closed) % PRINTS]
