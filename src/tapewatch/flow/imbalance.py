"""Trade imbalance windows: what the flow windows of the screener hold at this moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..model.views import WINDOWS_S
from .bigflow import BigFlow, catch_up, read_window
from .candles import Candles


@kernel
def read_windows(big: BigFlow, seconds: Candles, now_second: int, out: NDArray[np.int64]) -> None:
    """Sell and buy lots and their ticks x lots over the windows that end with `now_second`, for every instrument.

    A window of W seconds is the W whole seconds up to and including that one. `out` has shape (instruments, windows,
    4): bid, ask, bid_quote, ask_quote.
    """
    for i in range(len(out)):
        catch_up(big, seconds, i, now_second)
        for w in range(len(WINDOWS_S)):
            sums = read_window(big, seconds, i, w)
            out[i, w, 0], out[i, w, 1] = sums.sell, sums.buy
            out[i, w, 2], out[i, w, 3] = sums.sell_quote, sums.buy_quote
