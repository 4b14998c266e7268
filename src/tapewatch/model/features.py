"""Layout of book features: what the liquidity lab measures of a followed instrument, as integers wherever it can be.

Prices in ticks, quantities in lots, `quote` in ticks x lots. What cannot be said is -1 in an integer column and NaN in
a float one; views turn both into null with a reason.
"""

from __future__ import annotations

import numpy as np

LEVEL_DEPTHS = (1, 5, 10, 20)
"""Depths by number of levels a side."""
BPS_DEPTHS = (5, 10, 25, 50)
"""Depths by distance from the mid price, basis points."""
TOP = 10
"""Levels a side of the simple OFI, the multi-level OFI, the depth-weighted price and the book slope."""
SLOPE_BPS = 25
"""Reach of the practical slope `depth_per_bp`."""
STEP_MS = 1_000
SAMPLES = 180
"""The rolling buffer: 180 samples in steps of one second."""
REALISED_MS = 5_000
"""Delay after which the realised spread of a print is taken."""
UNKNOWN = -1

_SUMS = ("updates", "d_bid", "d_ask", "quotes", "quote_ofi", "trades", "buy", "sell", "buy_quote", "sell_quote")

FEATURES = np.dtype(
    [
        ("ts_ms", np.int64),
        ("live", np.int64),
        ("bid", np.int64),
        ("ask", np.int64),
        ("bid_lots", np.int64),
        ("ask_lots", np.int64),
        ("bid_levels", np.int64, (len(LEVEL_DEPTHS),)),
        ("ask_levels", np.int64, (len(LEVEL_DEPTHS),)),
        ("bid_bps", np.int64, (len(BPS_DEPTHS),)),
        ("ask_bps", np.int64, (len(BPS_DEPTHS),)),
        ("bid_bps_quote", np.int64, (len(BPS_DEPTHS),)),
        ("ask_bps_quote", np.int64, (len(BPS_DEPTHS),)),
        ("weighted_mid", np.float64),
        ("depth_weighted", np.float64),
        ("stoikov", np.float64),
        ("bid_slope", np.float64),
        ("ask_slope", np.float64),
        ("bid_per_bp", np.float64),
        ("ask_per_bp", np.float64),
        *((name, np.int64) for name in _SUMS),
        ("level_ofi", np.int64, (TOP,)),
        ("effective", np.float64),
        ("effective_lots", np.int64),
        ("realised", np.float64),
        ("realised_lots", np.int64),
    ]
)
"""One moment of one book, and what happened since the moment before.

`live` is 1 where the book was live: the columns up to `ask_per_bp` are known only then. `bid_levels` and `ask_levels`
are lots within the best `LEVEL_DEPTHS` levels, `…_bps` lots and ticks x lots within `BPS_DEPTHS` of the mid price, -1
where the known book ends before. `weighted_mid`, `depth_weighted` and `stoikov`, the microprice by the fit of that
moment, are ticks; `…_slope` is that of Næs and Skjeltorp over `TOP` levels (logarithm of lots), `…_per_bp` ticks x lots
a basis point.

Sums since the sample before: `updates` book diffs, `d_bid` and `d_ask` their change of lots in the best `TOP` levels,
`level_ofi` their order flow imbalance level by level; `quotes` best-quote events and `quote_ofi` their imbalance by
Cont, Kukanov and Stoikov; prints with lots and ticks x lots by aggressor side; `effective` and `realised` are spreads
as fractions of the mid price, each times its lots."""
