"""The tape: everything the program knows, as rows of integers.

One row is one market event. Prices are ticks and quantities are lots of the row's instrument; times are the
venue's own milliseconds (`ts_ms`, `event_ms`) beside our receive nanoseconds (`recv_ns`). A depth row points at a
run of levels kept beside the rows. Batches may be cut anywhere: engines give the same result for any cut.

How each kind uses the shared columns::

    TRADE        id trade/aggregate id, first_id..last_id raw ids, price, qty, qty2 (without RPI), flags
    DEPTH        first_id U, last_id u, prev_id pu, levels[level_at : +bids] bids, [.. : +asks] asks; flags SNAPSHOT,
                 which knows every level from price to price2 (0: no end there)
    QUOTE        id u, price x qty best bid, price2 x qty2 best ask
    MARK         price mark, price2 index, qty funding rate (all 1e-8), id next funding time in ms
    LIQUIDATION  price average fill (1e-8), qty lots, flags LONG or not
    GAP          first_id..last_id missing, from ts_ms to event_ms; id cause, prev_id fate (see `gaps`)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

E8 = 10**8
"""Scale of mark, index and average prices and of funding rates, which do not lie on the tick grid."""


class Kind(IntEnum):
    TRADE = 1
    DEPTH = 2
    QUOTE = 3
    MARK = 4
    LIQUIDATION = 5
    GAP = 6


class Flag(IntFlag):
    SELL = 1
    """The aggressor sold."""
    OFF_BOOK = 2
    """No market trade (insurance fund, ADL): counted, but in no candle, footprint or CVD."""
    AGGREGATE = 4
    """`id` counts aggregate trades, `first_id..last_id` the raw ones inside."""
    BACKFILLED = 8
    SNAPSHOT = 16
    LONG = 32
    """The liquidated position was long."""


ROW = np.dtype(
    [
        ("kind", np.int16),
        ("flags", np.int16),
        ("instrument", np.int32),
        ("recv_ns", np.int64),
        ("event_ms", np.int64),
        ("ts_ms", np.int64),
        ("id", np.int64),
        ("first_id", np.int64),
        ("last_id", np.int64),
        ("prev_id", np.int64),
        ("price", np.int64),
        ("qty", np.int64),
        ("price2", np.int64),
        ("qty2", np.int64),
        ("level_at", np.int32),
        ("bids", np.int32),
        ("asks", np.int32),
        ("reserved", np.int32),
    ]
)

LEVEL = np.dtype([("price", np.int64), ("qty", np.int64)])


@dataclass(slots=True)
class Tape:
    """A batch of rows in the order they happened, with the levels its depth rows point at."""

    rows: NDArray[np.void]
    levels: NDArray[np.void]

    @classmethod
    def empty(cls) -> Tape:
        return cls(np.zeros(0, ROW), np.zeros(0, LEVEL))

    def __len__(self) -> int:
        return len(self.rows)

    def slice(self, start: int, stop: int) -> Tape:
        """Rows `start` to `stop`; the levels are shared, not copied."""
        return Tape(self.rows[start:stop], self.levels)

    def copy(self) -> Tape:
        """An own copy, for whoever keeps a batch beyond the next one."""
        return Tape(self.rows.copy(), self.levels.copy())
