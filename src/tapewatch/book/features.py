"""Features of one book at one moment, read from the ladder in one walk a side.

Formulas: weighted mid (Gatheral and Oomen), VAMP over ten levels, the slope of Næs and Skjeltorp (2006), and a
practical slope: least squares through the origin of cumulative notional on distance in basis points. Only what is
known enters: beyond the snapshot's edge a depth is UNKNOWN, not the sum of what happens to have changed there since.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.features import BPS_DEPTHS, LEVEL_DEPTHS, SLOPE_BPS, TOP, UNKNOWN
from .ladder import LIVE, NO_EDGE, NO_PRICE, Ladders, lots_at, next_level

BPS = 10_000
DEEPEST_LEVEL = max(LEVEL_DEPTHS)
DEEPEST_BPS = max(BPS_DEPTHS)

TOP_LEVELS = np.dtype(
    [
        ("bid_price", np.int64, (TOP,)),
        ("bid_lots", np.int64, (TOP,)),
        ("ask_price", np.int64, (TOP,)),
        ("ask_lots", np.int64, (TOP,)),
    ]
)
"""The best levels of a book, best first; price NO_PRICE and 0 lots where there is none, or none known."""


@kernel
def measure(s: Ladders, i: int, now: NDArray[np.void], top: NDArray[np.void]) -> None:
    """Write the features of a book into `now[0]` (FEATURES) and its best levels into `top[0]` (TOP_LEVELS)."""
    f, best, book = now[0], top[0], s.books[i]
    if book.state != LIVE or book.bids == 0 or book.asks == 0:
        f.live = 0
        return
    f.live = 1
    f.bid, f.ask = book.best_bid, book.best_ask
    f.bid_per_bp = _side(s, i, 1, best.bid_price, best.bid_lots, f.bid_levels, f.bid_bps, f.bid_bps_quote)
    f.ask_per_bp = _side(s, i, -1, best.ask_price, best.ask_lots, f.ask_levels, f.ask_bps, f.ask_bps_quote)
    f.bid_lots, f.ask_lots = best.bid_lots[0], best.ask_lots[0]
    f.weighted_mid = (f.ask * f.bid_lots + f.bid * f.ask_lots) / (f.bid_lots + f.ask_lots)
    f.bid_slope = _slope(best.bid_price, best.bid_lots, f.bid + f.ask)
    f.ask_slope = _slope(best.ask_price, best.ask_lots, f.bid + f.ask)
    crossed, standing = np.int64(0), np.int64(0)
    for k in range(TOP):
        crossed += best.bid_price[k] * best.ask_lots[k] + best.ask_price[k] * best.bid_lots[k]
        standing += best.bid_lots[k] + best.ask_lots[k]
    known = best.bid_lots[TOP - 1] > 0 and best.ask_lots[TOP - 1] > 0
    f.depth_weighted = crossed / standing if known else np.nan


@kernel
def _side(
    s: Ladders,
    i: int,
    side: int,
    price: NDArray[np.int64],
    lots: NDArray[np.int64],
    by_level: NDArray[np.int64],
    by_bps: NDArray[np.int64],
    by_bps_quote: NDArray[np.int64],
) -> float:
    """Sums of one side at every depth and its best levels; returns its depth per basis point, NaN where unknown."""
    book = s.books[i]
    double_mid = book.best_bid + book.best_ask
    price[:] = NO_PRICE
    lots[:] = 0
    by_level[:] = 0
    by_bps[:] = 0
    by_bps_quote[:] = 0
    tick = book.best_bid if side > 0 else book.best_ask
    n, total_quote, xy, xx = 0, np.int64(0), 0.0, 0.0
    while tick != NO_PRICE and book.low <= tick <= book.high:
        distance = abs(2 * tick - double_mid)  # in half ticks
        if n >= DEEPEST_LEVEL and distance * BPS > DEEPEST_BPS * double_mid:
            break
        standing = abs(lots_at(s, i, tick))
        if n < TOP:
            price[n] = tick
            lots[n] = standing
        for k in range(len(LEVEL_DEPTHS)):
            if n < LEVEL_DEPTHS[k]:
                by_level[k] += standing
        for k in range(len(BPS_DEPTHS)):
            if distance * BPS <= BPS_DEPTHS[k] * double_mid:
                by_bps[k] += standing
                by_bps_quote[k] += tick * standing
        if distance * BPS <= SLOPE_BPS * double_mid:
            total_quote += tick * standing
            bps = distance * BPS / double_mid
            xy += bps * total_quote
            xx += bps * bps
        n += 1
        tick = next_level(s, i, tick, side)
    for k in range(len(LEVEL_DEPTHS)):
        if n < LEVEL_DEPTHS[k] and not _knows_all(book, side):
            by_level[k] = UNKNOWN
    for k in range(len(BPS_DEPTHS)):
        if not _reaches(book, side, BPS_DEPTHS[k], double_mid):
            by_bps[k] = UNKNOWN
            by_bps_quote[k] = UNKNOWN
    return xy / xx if xx > 0 and _reaches(book, side, SLOPE_BPS, double_mid) else np.nan


@leaf
def _knows_all(book: Record, side: int) -> bool:
    """Whether the snapshot held every level of the side."""
    return bool(book.low <= 0) if side > 0 else bool(book.high >= NO_EDGE)


@leaf
def _reaches(book: Record, side: int, bps: int, double_mid: int) -> bool:
    """Whether every level of the side within `bps` of the mid price is known."""
    if _knows_all(book, side):
        return True
    reach = double_mid - 2 * book.low if side > 0 else 2 * book.high - double_mid
    return bool(reach * BPS >= bps * double_mid)


@leaf
def _slope(price: NDArray[np.int64], lots: NDArray[np.int64], double_mid: int) -> float:
    """Slope of one side over TOP levels; NaN where fewer are known or one lot stands first: its logarithm is zero."""
    if lots[TOP - 1] <= 0 or lots[0] <= 1:
        return np.nan
    total = lots[0]
    v = np.log(np.float64(total))
    slope = v * double_mid / abs(2 * price[0] - double_mid)
    for k in range(1, TOP):
        total += lots[k]
        following = np.log(np.float64(total))
        slope += (following / v - 1) * price[k - 1] / abs(price[k] - price[k - 1])
        v = following
    return slope / TOP
