"""Mid prices of every instrument of a venue at this moment, each with why there is none where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..book.ladder import LIVE, OFF
from ..engine import Engine

QUOTE_FRESH_MS = 2_000
"""Without a live book the newest best quote counts for so long: a venue sends one with every change."""

KNOWN, NO_BOOK, NOT_LIVE, ONE_SIDED = range(4)
WHY_NO_MID = {
    NO_BOOK: "no book of it is kept and no best quote is newer than 2 s",
    NOT_LIVE: "its book is being synchronised and no best quote is newer than 2 s",
    ONE_SIDED: "its book has one side only",
}


@dataclass(slots=True)
class Mids:
    """By instrument index. `price` is NaN where `why` is not KNOWN; `ts_ms` is when book or quote last changed."""

    price: NDArray[np.float64]
    ts_ms: NDArray[np.int64]
    why: NDArray[np.int8]
    clock_ms: int
    """The venue's newest event: a live book holds as of this time, however long ago it last changed."""


def read_mids(engine: Engine) -> Mids:
    """The middle of a live book's best prices, else of a fresh best quote."""
    n = len(engine.universe)
    books, quotes = engine.sync.ladders.books[:n], engine.quotes.quotes[:n]
    clock_ms = engine.clock_ms
    live = (books["state"] == LIVE) & (books["bids"] > 0) & (books["asks"] > 0)
    quoted = (quotes["seen"] > 0) & (clock_ms - quotes["ts_ms"] <= QUOTE_FRESH_MS)
    doubled = np.where(live, books["best_bid"] + books["best_ask"], quotes["bid"] + quotes["ask"])
    tick = np.array([one.tick.to_float(1) for one in engine.universe], np.float64)
    why = np.full(n, NOT_LIVE, np.int8)
    why[books["state"] == OFF] = NO_BOOK
    why[books["state"] == LIVE] = ONE_SIDED
    why[live | quoted] = KNOWN
    price = np.where(why == KNOWN, doubled * tick / 2, np.nan)
    return Mids(price, np.where(live, books["ts_ms"], quotes["ts_ms"]), why, clock_ms)
