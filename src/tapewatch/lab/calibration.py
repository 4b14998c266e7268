"""Does the walk through the book tell the truth? Real sweeps on the tape against what it said they would cost.

For every order that takes several prices within moments, the book as it stood before the order's first print is put
together again by undoing newer changes, and the order is walked through it. That is compared with the average price of
its prints. Both costs are against the same mid price, of the book before. What such a comparison cannot see is in
`age_ms`: books are told every 100 ms, so what happened since is part of the error.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..book import ladder
from ..book.impact import BPS, walk
from ..book.ladder import LIVE, Ladders
from ..detect.levels import CHANGED, CHANGES, RELOADED_MS, UNSEEN, Levels, Note
from ..model.instrument import Instrument
from ..model.views import BookState, BookView

SWEEPS_KEPT = 500
WALKED_LEVELS = 4_096
"""Levels a side that are put together again."""
NO_BOOK, TOO_DEEP = "the book before it was not known", "larger than the known book"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One order through several prices. Prices in ticks, quantities in lots, costs in bps of the mid before it."""

    ts_ms: int
    side: int
    lots: int
    levels: int
    duration_ms: int
    first: int
    last: int
    double_mid: int
    predicted_levels: int
    predicted_bps: float
    realised_bps: float
    age_ms: int
    """From the newest change that the book before it held to its first print."""

    @property
    def error_bps(self) -> float:
        """Predicted - realised: positive where the walk said too much."""
        return self.predicted_bps - self.realised_bps


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the kept sweeps were predicted, basis points."""

    n: int
    realised_mean: float
    mean_error: float
    mean_absolute_error: float
    p50_absolute_error: float
    p90_absolute_error: float


class Calibration:
    """The record of one instrument; the newest SWEEPS_KEPT count."""

    def __init__(self) -> None:
        self.sweeps: deque[Sweep] = deque(maxlen=SWEEPS_KEPT)
        self.seen = 0
        self.not_compared: Counter[str] = Counter()
        """Why some were not: nothing is extrapolated."""

    def add(self, order: Note, before: BookView | None) -> None:
        """Compare an order that has ended with the book before it."""
        self.seen += 1
        if before is None or not len(before.bids) or not len(before.asks):
            self.not_compared[NO_BOOK] += 1
            return
        walked = walk(before, order.side * order.hit)
        average = walked.avg_price
        if walked.unfilled or average is None or walked.slippage_bps is None:
            self.not_compared[TOO_DEEP] += 1
            return
        realised = order.side * (Fraction(order.quote, order.hit) * 2 / walked.double_mid - 1) * BPS
        self.sweeps.append(
            Sweep(
                ts_ms=order.since_ms,
                side=order.side,
                lots=order.hit,
                levels=order.levels,
                duration_ms=order.ts_ms - order.since_ms,
                first=order.tick,
                last=order.tick2,
                double_mid=walked.double_mid,
                predicted_levels=walked.levels_consumed,
                predicted_bps=float(walked.slippage_bps),
                realised_bps=float(realised),
                age_ms=order.since_ms - before.event_ms,
            )
        )

    def accuracy(self) -> Accuracy | None:
        """Over the kept sweeps; None before the first."""
        if not self.sweeps:
            return None
        errors = np.array([sweep.error_bps for sweep in self.sweeps])
        absolute = np.abs(errors)
        return Accuracy(
            n=len(errors),
            realised_mean=float(np.mean([sweep.realised_bps for sweep in self.sweeps])),
            mean_error=float(errors.mean()),
            mean_absolute_error=float(absolute.mean()),
            p50_absolute_error=float(np.percentile(absolute, 50)),
            p90_absolute_error=float(np.percentile(absolute, 90)),
        )


def book_before(levels: Levels, ladders: Ladders, instrument: Instrument, ts_ms: int) -> BookView | None:
    """The live book as it stood before the diff of `ts_ms`, by undoing every change since; None where not known.

    Its `event_ms` is the venue's time of the newest change it holds; its known part ends before a level of which nobody
    knows what stood there. Levels further from the mid price than the level memory reaches are as they are now.
    """
    i = instrument.index
    book = ladders.books[i]
    if book["state"] != LIVE or int(levels.counts[RELOADED_MS]) >= ts_ms:
        return None
    standing, newest_ms = _standing(ladders, i), int(book["ts_ms"])
    unseen: list[int] = []
    changed = int(levels.counts[CHANGED])
    for number in range(changed - 1, max(-1, changed - CHANGES - 1), -1):
        change = levels.changes[number % CHANGES]
        newest_ms = int(change["ts_ms"])
        if newest_ms < ts_ms:
            break
        if change["lots"] == UNSEEN:
            unseen.append(int(change["tick"]))
        else:
            standing[int(change["tick"])] = int(change["lots"])
    else:
        if changed > CHANGES:
            return None  # older changes than are kept would have to be undone
        newest_ms = int(levels.counts[RELOADED_MS])
    bids = np.array(sorted(((t, q) for t, q in standing.items() if q > 0), reverse=True), np.int64).reshape(-1, 2)
    asks = np.array(sorted((t, -q) for t, q in standing.items() if q < 0), np.int64).reshape(-1, 2)
    low, high = int(book["low"]), int(book["high"])
    if len(bids) and len(asks):
        double_mid = int(bids[0, 0] + asks[0, 0])
        low = max([low, *(tick + 1 for tick in unseen if 2 * tick < double_mid)])
        high = min([high, *(tick - 1 for tick in unseen if 2 * tick >= double_mid)])
    return BookView(instrument, BookState.LIVE, int(book["last_id"]), newest_ms, bids, asks, low, high)


def _standing(ladders: Ladders, i: int) -> dict[int, int]:
    """Signed lots by tick, as they are now."""
    sides = np.zeros((2, WALKED_LEVELS, 2), np.int64)
    ladder.read_book(ladders, i, sides)
    bids, asks = (side[side[:, 1] > 0] for side in sides)
    return {int(tick): int(lots) for tick, lots in bids} | {int(tick): -int(lots) for tick, lots in asks}
