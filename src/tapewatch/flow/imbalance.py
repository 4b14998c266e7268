"""Trade imbalance windows over the one-second candles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from .candles import Candles, find


@kernel
def window_sums(store: Candles, now_number: int, windows: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Sum sell and buy lots and their ticks x lots over the last seconds, for every instrument and window.

    A window of W seconds is the W candles up to and including number `now_number`. `out` has shape
    (instruments, windows, 4): bid, ask, bid_quote, ask_quote; `windows` rises.
    """
    longest = windows[len(windows) - 1]
    for i in range(len(out)):
        out[i] = 0
        if store.newest[i] <= now_number - longest:
            continue
        for age in range(longest):
            slot = find(store, i, now_number - age)
            if slot < 0:
                continue
            candle = store.ring[i, slot]
            for w in range(len(windows)):
                if age < windows[w]:
                    out[i, w, 0] += candle.bid
                    out[i, w, 1] += candle.ask
                    out[i, w, 2] += candle.bid_quote
                    out[i, w, 3] += candle.ask_quote
