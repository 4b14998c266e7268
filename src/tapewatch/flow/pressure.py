"""Order flow between two moments: imbalances, spreads that were paid, volume-synchronised imbalance, price impact.

Simple OFI: change of lots in the ten best bids minus that in the asks, diff by diff. Multi-level OFI: the definition of
Cont, Kukanov and Stoikov applied to each level (Xu, Gould, Howison 2019); integrated OFI: its first principal component
(Cont, Cucuringu, Zhang). Kyle's lambda: least squares of mid-price changes on signed volume. VPIN: Easley, López de
Prado, O'Hara 2012, with the venue's own aggressor flag; it describes, its power to predict is disputed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.features import REALISED_MS, TOP
from .quotes import best_level_ofi

PENDING = 1 << 13
"""Prints that wait for the mid price `REALISED_MS` after them; the oldest gives way, and is counted."""
BUCKETS = 50
"""Volume buckets of VPIN, each a fiftieth of the average daily volume."""
MIN_SAMPLES = 30
"""Fewer samples than this give no regression."""

PRINT = np.dtype([("ts_ms", np.int64), ("price", np.int64), ("lots", np.int64), ("side", np.int64)])

COST = np.dtype(
    [
        ("double_mid", np.int64),
        ("head", np.int64),
        ("tail", np.int64),
        ("dropped", np.int64),
        ("bucket", np.int64),
        ("bucket_buy", np.int64),
        ("bucket_sell", np.int64),
        ("buckets", np.int64),
    ]
)
"""`double_mid` twice the mid price prints are measured against (0: none yet); `head..tail` waiting prints; `bucket`
the size of a VPIN bucket in ticks x lots (0: average daily volume unknown), what has been traded in the current one,
and how many are complete."""


@leaf
def top_change(f: Record, before: Record, now: Record) -> None:
    """Add to the sums of `f` (FEATURES) what a book diff changed between two sets of best levels (TOP_LEVELS)."""
    for k in range(TOP):
        f.d_bid += now.bid_lots[k] - before.bid_lots[k]
        f.d_ask += now.ask_lots[k] - before.ask_lots[k]
        if min(now.bid_lots[k], now.ask_lots[k], before.bid_lots[k], before.ask_lots[k]) > 0:
            f.level_ofi[k] += best_level_ofi(
                now.bid_price[k],
                now.bid_lots[k],
                now.ask_price[k],
                now.ask_lots[k],
                before.bid_price[k],
                before.bid_lots[k],
                before.ask_price[k],
                before.ask_lots[k],
            )
    f.updates += 1


@leaf
def on_mid(f: Record, cost: Record, waiting: NDArray[np.void], double_mid: int, ts_ms: int) -> None:
    """A new mid price at `ts_ms`: prints whose delay has passed before it are measured against the old one."""
    settle(f, cost, waiting, ts_ms)
    cost.double_mid = double_mid


@leaf
def settle(f: Record, cost: Record, waiting: NDArray[np.void], ts_ms: int) -> None:
    """Take the realised spread of every print that is `REALISED_MS` old before `ts_ms`."""
    while cost.head < cost.tail:
        oldest = waiting[cost.head % PENDING]
        if oldest.ts_ms + REALISED_MS >= ts_ms:
            break
        f.realised += _paid(oldest.side, oldest.price, cost.double_mid) * oldest.lots
        f.realised_lots += oldest.lots
        cost.head += 1


@leaf
def _paid(side: int, price: int, double_mid: int) -> float:
    """Twice the signed distance of a price from a mid price, as a fraction of it."""
    return np.float64(2 * side * (2 * price - double_mid)) / double_mid


@leaf
def on_print(
    f: Record,
    cost: Record,
    waiting: NDArray[np.void],
    buckets: NDArray[np.int64],
    ts_ms: int,
    price: int,
    lots: int,
    sell: bool,
) -> None:
    """One market print, measured against the mid price before it."""
    f.trades += 1
    if sell:
        f.sell += lots
        f.sell_quote += price * lots
    else:
        f.buy += lots
        f.buy_quote += price * lots
    _fill_buckets(cost, buckets, price * lots, sell)
    if cost.double_mid <= 0:
        return
    side = -1 if sell else 1
    f.effective += _paid(side, price, cost.double_mid) * lots
    f.effective_lots += lots
    if cost.tail - cost.head == PENDING:
        cost.head += 1
        cost.dropped += 1
    newest = waiting[cost.tail % PENDING]
    newest.ts_ms, newest.price, newest.lots, newest.side = ts_ms, price, lots, side
    cost.tail += 1


@leaf
def _fill_buckets(cost: Record, buckets: NDArray[np.int64], quote: int, sell: bool) -> None:
    """Split a print over volume buckets of equal size."""
    rest = quote
    while cost.bucket > 0 and rest > 0:
        part = min(rest, cost.bucket - cost.bucket_buy - cost.bucket_sell)
        rest -= part
        if sell:
            cost.bucket_sell += part
        else:
            cost.bucket_buy += part
        if cost.bucket_buy + cost.bucket_sell == cost.bucket:
            buckets[cost.buckets % BUCKETS] = abs(cost.bucket_buy - cost.bucket_sell)
            cost.buckets += 1
            cost.bucket_buy = 0
            cost.bucket_sell = 0


@kernel
def set_bucket(cost: NDArray[np.void], size: int) -> None:
    """Use buckets of another size from now on; what has been counted in the old size is forgotten."""
    c = cost[0]
    if c.bucket != size:
        c.bucket, c.buckets, c.bucket_buy, c.bucket_sell = size, 0, 0, 0


def vpin(cost: NDArray[np.void], buckets: NDArray[np.int64]) -> tuple[float, int]:
    """VPIN over the complete buckets, and how many (at most BUCKETS); NaN where there is none."""
    n = min(int(cost[0]["buckets"]), BUCKETS)
    return (float(buckets[:n].sum() / (n * int(cost[0]["bucket"]))), n) if n else (float("nan"), 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line y = intercept + slope x, with White's standard error of its slope."""

    slope: float
    intercept: float
    r2: float
    slope_se: float
    n: int


def fit_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> Line | None:
    """Ordinary least squares with heteroskedasticity-robust (HC0) errors; None for few samples or a constant x."""
    n = len(x)
    if n < MIN_SAMPLES:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy = float(dx @ dx), float(dy @ dy)
    if sxx <= 0:
        return None
    slope = float(dx @ dy) / sxx
    rest = dy - slope * dx
    se = float(np.sqrt(((dx * rest) ** 2).sum())) / sxx
    r2 = 1 - float(rest @ rest) / syy if syy > 0 else 0.0
    return Line(slope, float(y.mean() - slope * x.mean()), r2, se, n)


def integrated_ofi(levels: NDArray[np.float64]) -> tuple[NDArray[np.float64], float] | None:
    """First principal component of multi-level OFI, (weights of L1 norm 1, share of variance explained).

    `levels` has shape (samples, levels), each already divided by the average depth. The integrated OFI of a sample is
    its row times the weights. None for few samples or no movement.
    """
    if len(levels) < MIN_SAMPLES:
        return None
    covariance = np.cov(levels, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    if not values[-1] > 0:
        return None
    first = vectors[:, -1]
    first = first if first.sum() >= 0 else -first
    return first / np.abs(first).sum(), float(values[-1] / values.sum())
