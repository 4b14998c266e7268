"""Patterns of liquidity planted into the simulated market, each with its label: what a detector ought to find.

A plan is a list of moments; the market calls `Planter.step` before each of its own.
Sizes are multiples of what the market itself leaves at its levels, so that a plan fits any instrument.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import kernels
from .layout import RING, STEP_MS
from .market import Market

PatternKind = Literal["wall", "sweep", "iceberg", "absorption", "layering", "exhaustion"]
KINDS: tuple[PatternKind, ...] = ("wall", "sweep", "iceberg", "absorption", "layering", "exhaustion")
_MASK = RING - 1


@dataclass(frozen=True, slots=True)
class Label:
    """A planted pattern: which, on which side (+1 bids or buyers), when, and at which ticks."""

    kind: PatternKind
    side: int
    start_ms: int
    end_ms: int
    low: int
    high: int


Act = Iterator[None]
"""What goes on step by step; it ends when the pattern is over."""


class Planter:
    """Plants patterns into one instrument of a market, one after the other, and keeps their labels."""

    def __init__(
        self, market: Market, symbol: str, seed: int, every_ms: int = 20_000, warm_up_ms: int = 60_000
    ) -> None:
        self._market = market
        self._i = market.index[symbol]
        self._random = random.Random(f"patterns {seed}")
        self._every_ms = every_ms
        self._next_ms = market.now_ms + warm_up_ms
        self._acts: list[Act] = []
        self._plant: dict[PatternKind, Callable[[int], Act]] = {
            "wall": self._wall,
            "sweep": self._sweep,
            "iceberg": self._iceberg,
            "absorption": self._absorption,
            "layering": self._layering,
            "exhaustion": self._exhaustion,
        }
        self._order: list[PatternKind] = []
        self._changes_per_s: float | None = None
        self.labels: list[Label] = []
        market.before_step = self.step

    def step(self) -> None:
        """Do what is due before the next step of the market."""
        now_ms = self._market.now_ms
        if now_ms >= self._next_ms:
            self._next_ms += self._every_ms
            if not self._order:
                self._order = list(KINDS)
                self._random.shuffle(self._order)
            self._acts.append(self._plant[self._order.pop()](self._random.choice((1, -1))))
        self._acts = [act for act in self._acts if next(act, self) is None]
        # The market replaces whole levels where a venue would add to them: beside a pattern nobody else quotes.
        if self._acts and self._changes_per_s is None:
            self._changes_per_s = float(self._symbol["changes_per_s"])
            self._symbol["changes_per_s"] = 0.0
        elif not self._acts and self._changes_per_s is not None:
            self._symbol["changes_per_s"], self._changes_per_s = self._changes_per_s, None

    # -- the market, by hand ------------------------------------------------------------------------------------

    @property
    def _symbol(self) -> np.void:
        record: np.void = self._market.state.symbols[self._i]
        return record

    def _us(self) -> int:
        return max(self._market.now_ms * 1000, int(self._symbol["last_us"]))

    def _lots(self, tick: int) -> int:
        return abs(int(self._market.state.books[self._i, tick & _MASK]))

    def _set(self, tick: int, lots: int, side: int) -> None:
        """Place, change or (0) withdraw a level; where the other side has come meanwhile, there is no room for it."""
        if (self._best(-side) - tick) * side > 0:
            if lots == 0 and tick == self._best(side):
                kernels.clear_touch(self._market.state, self._i, side > 0, self._us())
            else:
                kernels.set_level(self._market.state, self._i, tick, lots * side, self._us())

    def _best(self, side: int) -> int:
        return int(self._symbol["bid" if side > 0 else "ask"])

    def _usual(self) -> int:
        """Lots at a level a little away from the touch."""
        return max(2, int(self._symbol["level_lots"]))

    def _depth(self, side: int, bps: int) -> int:
        """Lots within so many basis points of the touch."""
        best = self._best(side)
        return sum(self._lots(tick) for tick in range(best, best - side * (best * bps // 10_000 + 1), -side))

    def _order_of(self, lots: int, side: int) -> None:
        if lots > 0:
            kernels.market_order(self._market.state, self._i, 0 if side > 0 else 1, lots, self._us())

    def _clear_before(self, tick: int, side: int) -> None:
        """Withdraw what others have put in front of a level."""
        while (self._best(side) - tick) * side > 0:
            kernels.clear_touch(self._market.state, self._i, side > 0, self._us())

    def _hold(self, tick: int, side: int, ms: int) -> Act:
        """Keep the fair price at this level: a market that runs away would end the pattern."""
        for _ in range(ms // STEP_MS):
            self._symbol["fair"] = tick + side * 0.5 * float(self._symbol["spread"])
            yield

    def _label(self, kind: PatternKind, side: int, start_ms: int, low: int, high: int) -> None:
        self.labels.append(Label(kind, side, start_ms, self._market.now_ms, min(low, high), max(low, high)))

    # -- the patterns -------------------------------------------------------------------------------------------

    def _wall(self, side: int) -> Act:
        """A level of half the side's depth, some dozen ticks away, for eight seconds; then it is withdrawn."""
        start_ms = self._market.now_ms
        tick = self._best(side) - side * self._random.randint(40, 120)
        lots = self._depth(side, 25) // 2 + 40 * self._usual()
        for _ in range(8_000 // STEP_MS):
            self._set(tick, lots, side)  # changes of others at this price do not matter
            yield
        self._label("wall", side, start_ms, tick, tick)
        self._set(tick, 0, side)

    def _sweep(self, side: int) -> Act:
        """One aggressor takes most of what stands within ten basis points."""
        start_ms, first = self._market.now_ms, self._best(-side)
        self._order_of(int(0.6 * self._depth(-side, 10)), side)
        yield
        self._label("sweep", side, start_ms, first, self._best(-side) - side)

    def _iceberg(self, side: int) -> Act:
        """A hidden order shows one tranche at a time: each is eaten, and shown again within 200 ms."""
        start_ms, tick = self._market.now_ms, self._best(side)
        tranche = max(50 * self._usual(), int(0.03 * self._depth(side, 10)))
        for _ in range(9):
            self._set(tick, tranche, side)
            yield from self._hold(tick, side, 400)
            self._clear_before(tick, side)
            self._order_of(self._lots(tick) * 9 // 10, -side)
            yield from self._hold(tick, side, 200)
        self._set(tick, tranche, side)
        yield from self._hold(tick, side, 800)
        self._label("iceberg", side, start_ms, tick, tick)

    def _absorption(self, side: int) -> Act:
        """Orders press on the best price, which is refilled from many hands and does not give way."""
        start_ms, tick = self._market.now_ms, self._best(side)
        lots = int(0.1 * self._depth(side, 10)) + 20 * self._usual()
        for _ in range(20):
            self._set(tick, int(lots * self._random.uniform(0.6, 1.4)), side)
            yield from self._hold(tick, side, 50)
            self._clear_before(tick, side)
            self._order_of(int(self._lots(tick) * self._random.uniform(0.3, 0.7)), -side)
            yield from self._hold(tick, side, 100)
        self._set(tick, lots, side)
        yield from self._hold(tick, side, 1_500)
        self._label("absorption", side, start_ms, tick, tick)

    def _layering(self, side: int) -> Act:
        """Six large levels side by side, some ticks away, gone after a second; meanwhile the other side trades."""
        start_ms = self._market.now_ms
        first = self._best(side) - side * self._random.randint(6, 12)
        ticks = [first - side * k for k in range(6)]
        lots = max(self._depth(side, 10) // 4, 60 * self._usual())
        self._order_of(max(2, self._lots(self._best(-side)) // 2), side)
        for tick in ticks:
            self._set(tick, lots, side)
        for _ in range(1_000 // STEP_MS):
            for tick in ticks:
                self._set(tick, lots, side)
            if self._random.random() < 0.2:
                self._order_of(max(1, self._lots(self._best(-side)) // 3), side)
            yield
        for tick in ticks:
            self._set(tick, 0, side)
        self._label("layering", side, start_ms, first, ticks[-1])

    def _exhaustion(self, side: int) -> Act:
        """Flow into a side fades, then its orders go and the spread opens."""
        start_ms = self._market.now_ms
        usual = max(20, int(0.002 * self._depth(side, 10)))
        for lots in (16, 16, 8, 8, 4):
            for _ in range(1_000 // STEP_MS):
                if self._market.now_ms % 100 == 0:
                    self._order_of(lots * usual // 10, -side)
                yield
        for _ in range(3_000 // STEP_MS):
            best = self._best(side)
            reach = best * 11 // 10_000
            for away in range(reach, -1, -1):
                tick = best - side * away
                if self._lots(tick) > 1:
                    self._set(tick, 0 if abs(tick - self._best(-side)) < 16 and away < reach else 1, side)
            yield
        self._label("exhaustion", side, start_ms, self._best(side), self._best(side))
