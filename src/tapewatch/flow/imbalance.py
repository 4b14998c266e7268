"""Trade imbalance windows: what the screener's running sums hold at this moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..model.views import WINDOWS_S
from .bigflow import BigFlow, catch_up
from .candles import Candles

_WINDOWS = np.array(WINDOWS_S, np.int64)


@kernel
def read_windows(big: BigFlow, seconds: Candles, now_second: int, out: NDArray[np.int64]) -> None:
    """Sell and buy lots and their ticks x lots over the windows that end with `now_second`, for every instrument.

    A window of W seconds is the W whole seconds up to and including that one. `out` has shape (instruments, windows,
    4): bid, ask, bid_quote, ask_quote.
    """
    for i in range(len(out)):
        catch_up(big, seconds, i, now_second)
        pulse = big.pulses[i]
        for w in range(len(_WINDOWS)):
            if now_second - pulse.head_s >= _WINDOWS[w]:
                out[i, w, :] = 0
                continue
            window = big.windows[i, w]
            out[i, w, 0] = pulse.sell - window.gone_sell
            out[i, w, 1] = pulse.buy - window.gone_buy
            out[i, w, 2] = pulse.sell_quote - window.gone_sell_quote
            out[i, w, 3] = pulse.buy_quote - window.gone_buy_quote
