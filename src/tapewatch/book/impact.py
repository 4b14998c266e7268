"""What a market order would cost: a walk through the levels of a live book, and the square-root law beside it.

The walk is exact: ticks and lots are integers and averages are fractions until they are printed. It ends where
knowledge ends. A snapshot is cut after so many levels, and beyond that a book only knows what has changed since:
what does not fit into the known part stays `unfilled`; nothing is extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from ..model.errors import NotReadyError, UsageError
from ..model.instrument import Instrument
from ..model.views import BookState, BookView

BPS = 10_000
SQUARE_ROOT_Y = (0.5, 1.0)
"""Range of the dimensionless factor of the square-root law as measured on many markets (Almgren et al. 2005; Tóth et
al. 2011). The law describes orders worked over hours; a sweep of the visible book usually costs more."""


@dataclass(frozen=True, slots=True)
class Impact:
    """A market order walked through one side of a book. Prices in ticks, quantities in lots, `side` +1 buys, -1 sells.

    Slippage is signed so that a cost is positive. Averages are None where nothing could be filled.
    """

    instrument: Instrument
    side: int
    size: int
    path: tuple[tuple[int, int], ...]
    """Each level that was hit, best first, as (tick, lots taken from it)."""
    known: int
    """Lots that stand in the known part of the side, whatever the size asked for."""
    double_mid: int
    """Best bid + best ask, ticks: twice the mid price, which may lie between two ticks."""
    book_ms: int
    fee_bps: float

    @property
    def filled(self) -> int:
        return sum(lots for _, lots in self.path)

    @property
    def unfilled(self) -> int:
        return self.size - self.filled

    @property
    def levels_consumed(self) -> int:
        """Levels that the order takes from, the last one perhaps in part."""
        return len(self.path)

    @property
    def quote(self) -> int:
        """Ticks x lots of the fills."""
        return sum(tick * lots for tick, lots in self.path)

    @property
    def avg_price(self) -> Fraction | None:
        """Average fill price, ticks."""
        return Fraction(self.quote, self.filled) if self.path else None

    @property
    def marginal_price(self) -> int | None:
        """Price of the last lot filled, ticks."""
        return self.path[-1][0] if self.path else None

    @property
    def slippage(self) -> Fraction | None:
        """Average fill price against the mid price, ticks."""
        average = self.avg_price
        return None if average is None else self.side * (average - Fraction(self.double_mid, 2))

    @property
    def slippage_bps(self) -> Fraction | None:
        """The same in basis points of the mid price."""
        slippage = self.slippage
        return None if slippage is None else slippage * 2 * BPS / self.double_mid

    @property
    def cost_bps(self) -> float | None:
        """Slippage and fee together, basis points of the filled quantity's value at the mid price."""
        average, slippage = self.avg_price, self.slippage_bps
        if average is None or slippage is None:
            return None
        return float(slippage) + self.fee_bps * float(average * 2 / self.double_mid)


def walk(view: BookView, lots: int, fee_bps: float = 0.0) -> Impact:
    """Walk a market order of `lots` (positive buys, negative sells) through a live book.

    `view` must hold every level of the side. Raises `NotReadyError` while the book is not live or has an empty side,
    `UsageError` for a size of zero.
    """
    if lots == 0:
        raise UsageError("the size of a market order must not be zero")
    if view.state is not BookState.LIVE:
        raise NotReadyError(f"the book of {view.instrument.key} is not live ({view.state}); try again soon")
    if not len(view.bids) or not len(view.asks):
        raise NotReadyError(f"one side of the book of {view.instrument.key} is empty")
    side = 1 if lots > 0 else -1
    levels = view.asks if side > 0 else view.bids
    wanted, known, path = abs(lots), 0, []
    for tick, standing in levels.tolist():
        if not view.low <= tick <= view.high:
            break
        taken = min(standing, wanted - known)
        if taken > 0:
            path.append((tick, taken))
        known += standing
    double_mid = int(view.bids[0, 0] + view.asks[0, 0])
    return Impact(view.instrument, side, wanted, tuple(path), known, double_mid, view.event_ms, fee_bps)


def square_root_band(notional: float, adv: float, sigma_day: float) -> tuple[float, float]:
    """Impact in basis points that the square-root law gives an order of `notional`: sigma Y sqrt(N / ADV).

    `adv` is the average daily volume in the same currency, `sigma_day` the daily volatility as a fraction.
    """
    law = sigma_day * sqrt(notional / adv) * BPS
    low, high = SQUARE_ROOT_Y
    return low * law, high * law
