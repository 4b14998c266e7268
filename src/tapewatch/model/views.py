"""What the engines show: plain arrays of integers in the instrument's own ticks and lots.

Everything the API, the web page and the terminal print is read from these; nothing here is an estimate.
`quote` figures are ticks x lots and become money through `Instrument.notional`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from .instrument import Instrument

WINDOWS_S = (10, 60, 300, 900)
"""Windows of the imbalance panel, in seconds, in column order."""

TIMEFRAMES_MS = {
    "1s": 1_000,
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}

CELL = np.dtype([("price", np.int64), ("bid", np.int64), ("ask", np.int64), ("n", np.int64)])
"""Footprint cell: lower edge of the bin in ticks, lots sold into bids, lots bought from asks, trades."""

CANDLE = np.dtype(
    [
        ("open_ms", np.int64),
        ("open", np.int64),
        ("high", np.int64),
        ("low", np.int64),
        ("close", np.int64),
        ("bid", np.int64),
        ("ask", np.int64),
        ("n", np.int64),
        ("quote", np.int64),
        ("cvd", np.int64),
        ("poc", np.int64),
        ("vah", np.int64),
        ("val", np.int64),
        ("cell_at", np.int64),
        ("cells", np.int64),
        ("gap", np.int64),
        ("klines", np.int64),
    ]
)
"""One candle: prices in ticks, volumes in lots; `cvd` at its end since 00:00 UTC; poc, vah and val are lower edges
of bins (vah: lower edge of the highest bin of the value area); -1 where n is 0. `gap` counts known holes in it.
`klines` of its minutes are told by the venue's own candles: they have no cells, so it has no value area, and count in
`n` as the venue counts trades."""

KLINE = np.dtype(
    [
        (name, np.int64)
        for name in ("open_ms", "open", "high", "low", "close", "bid", "ask", "bid_quote", "ask_quote", "n")
    ]
)
"""One minute as the venue draws it: prices in ticks, `bid` and `ask` lots sold and bought by aggressors, `quote` sums
in ticks x lots; `n` is the venue's own count of trades, which is one of raw trades."""


@dataclass(slots=True)
class Footprint:
    """Candles of one instrument; those of candle `c` are `cells[c.cell_at : c.cell_at + c.cells]`, highest first."""

    instrument: Instrument
    tf_ms: int
    step_ticks: int
    candles: NDArray[np.void]
    cells: NDArray[np.void]


class BookState(StrEnum):
    OFF = "off"
    """Not followed."""
    WAITING = "waiting"
    """Diffs are being kept until a snapshot arrives."""
    LIVE = "live"
    STALE = "stale"
    """The chain broke; a resync is under way."""


@dataclass(slots=True)
class BookView:
    """Both sides of a book, best first, as (price ticks, quantity lots) rows of shape (n, 2)."""

    instrument: Instrument
    state: BookState
    last_update_id: int
    event_ms: int
    bids: NDArray[np.int64]
    asks: NDArray[np.int64]
    low: int
    high: int
    """Ticks between which every level is known; beyond them only those that changed since the snapshot."""


IMBALANCE = np.dtype(
    [
        ("instrument", np.int64),
        ("buy", np.int64, (len(WINDOWS_S),)),
        ("sell", np.int64, (len(WINDOWS_S),)),
        ("buy_quote", np.int64, (len(WINDOWS_S),)),
        ("sell_quote", np.int64, (len(WINDOWS_S),)),
        ("book_bid", np.int64),
        ("book_ask", np.int64),
        ("last", np.int64),
        ("last_ms", np.int64),
    ]
)
"""Per instrument: lots bought and sold by aggressors in each of `WINDOWS_S`, the same in ticks x lots, the lots
standing in the top 10 levels of a live book (0, 0 and state not LIVE otherwise), last price and its time."""


class Rule(IntEnum):
    """Why a big-flow row exists."""

    PARENT = 0
    FLOW_10S = 1
    FLOW_1M = 2
    FLOW_5M = 3

    @property
    def label(self) -> str:
        return ("parent", "flow_10s", "flow_1m", "flow_5m")[self]


BIG_FLOW = np.dtype(
    [
        ("seq", np.int64),
        ("id", np.int64),
        ("instrument", np.int64),
        ("rule", np.int64),
        ("sell", np.int64),
        ("start_ms", np.int64),
        ("ts_ms", np.int64),
        ("qty", np.int64),
        ("quote", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("levels", np.int64),
        ("trades", np.int64),
        ("open", np.int64),
        ("depth_quote", np.int64),
        ("vwap", np.float64),
        ("pct_of_adv", np.float64),
    ]
)
"""One episode of big flow. `id` names the episode, `seq` rises each time the row changes. `qty` and `quote` (lots,
ticks x lots) are the order's size, for flow rules the net flow of the window at its largest; `vwap` (ticks) is the
average price of the aggressor side's prints; `levels` are distinct prices (parent orders; 0 for flow rules, whose
`low`..`high` say the range; 64 means 64 or more); `depth_quote` is what the opposite side of the book held within
10 bps when it fired (-1: book not live)."""

LIQUIDATION = np.dtype(
    [
        ("seq", np.int64),
        ("instrument", np.int64),
        ("ts_ms", np.int64),
        ("event_ms", np.int64),
        ("long", np.int64),
        ("price_e8", np.int64),
        ("qty", np.int64),
    ]
)
"""One reported liquidation: `long` is 1 when a long position was closed; average fill price x 1e8; lots."""


class FeedState(Enum):
    """Words of the status bar, per feed channel."""

    CONNECTING = "connecting"
    LIVE = "live"
    DELAYED = "delayed"
    QUIET = "quiet"
    STALE = "stale"
    DOWN = "down"
