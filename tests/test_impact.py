"""The impact walk against brute force, lot by lot, and its laws."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import diff, examples, snapshot, tape, universe
from tapewatch.book.impact import Impact, square_root_band, walk
from tapewatch.engine import Engine
from tapewatch.model.errors import NotReadyError, UsageError
from tapewatch.model.views import BookState, BookView

BTC = next(iter(universe("BTCUSDT")))
NO_EDGE = 2**62

sides_of = st.dictionaries(st.integers(1, 60), st.integers(1, 9), min_size=1, max_size=12)


def view_of(bids: dict[int, int], asks: dict[int, int], mid: int = 1000, low: int = 0, high: int = NO_EDGE) -> BookView:
    """A live book; keys are distances from `mid` in ticks."""
    below = sorted(((mid - d, q) for d, q in bids.items()), reverse=True)
    above = sorted((mid + d, q) for d, q in asks.items())
    levels = [np.array(side, np.int64).reshape(-1, 2) for side in (below, above)]
    return BookView(BTC, BookState.LIVE, 1, 5, levels[0], levels[1], low, high)


def lot_by_lot(view: BookView, lots: int) -> list[int]:
    """Prices of the single lots that the order gets, in order."""
    levels = view.asks if lots > 0 else view.bids
    single = [p for p, q in levels.tolist() if view.low <= p <= view.high for _ in range(q)]
    return single[: abs(lots)]


@examples(300)
@given(sides_of, sides_of, st.integers(-80, 80).filter(bool), st.integers(0, 70))
def test_the_walk_is_the_brute_force_walk(bids: dict[int, int], asks: dict[int, int], lots: int, reach: int) -> None:
    view = view_of(bids, asks, low=1000 - reach, high=1000 + reach)
    prices, found = lot_by_lot(view, lots), walk(view, lots)
    assert found.filled == len(prices)
    assert found.filled + found.unfilled == abs(lots)
    assert found.levels_consumed == len(set(prices))
    if not prices:
        assert (found.avg_price, found.slippage, found.slippage_bps, found.cost_bps) == (None, None, None, None)
        return
    side = 1 if lots > 0 else -1
    mid = Fraction(int(view.bids[0, 0] + view.asks[0, 0]), 2)
    assert found.avg_price == Fraction(sum(prices), len(prices))
    assert found.slippage == side * (Fraction(sum(prices), len(prices)) - mid)
    assert found.slippage_bps == found.slippage / mid * 10_000
    assert found.slippage > 0, "crossing the spread is a cost, whatever the side"
    assert found.marginal_price == prices[-1]


@examples(200)
@given(sides_of, sides_of, st.integers(1, 80), st.integers(1, 80), st.sampled_from([1, -1]))
def test_a_larger_order_never_gets_a_better_price(
    bids: dict[int, int], asks: dict[int, int], one: int, more: int, side: int
) -> None:
    view = view_of(bids, asks)
    small, large = walk(view, side * one), walk(view, side * (one + more))
    assert small.slippage is not None
    assert large.slippage is not None
    assert small.slippage <= large.slippage
    assert small.filled <= large.filled
    assert small.levels_consumed <= large.levels_consumed


@examples(200)
@given(sides_of, sides_of, st.integers(1, 80))
def test_buying_here_costs_what_selling_costs_in_the_mirror(
    bids: dict[int, int], asks: dict[int, int], lots: int
) -> None:
    here, mirror = walk(view_of(bids, asks), lots), walk(view_of(asks, bids), -lots)

    def told(found: Impact) -> tuple[object, ...]:
        return found.slippage, found.filled, found.levels_consumed, [q for _, q in found.path]

    assert told(here) == told(mirror)


def test_the_fee_is_taken_from_the_fill() -> None:
    found = walk(view_of({1: 5}, {1: 5, 3: 5}), 10, fee_bps=4.0)
    assert found.avg_price == 1002
    assert found.cost_bps == pytest.approx(20 + 4 * 1.002, rel=1e-12)


def test_what_lies_behind_the_snapshots_edge_is_not_filled() -> None:
    """A level far out that changed since the snapshot is known; those around it are not."""
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    snap = snapshot(10, [(99, 5), (98, 5)], [(101, 5), (102, 5)], known=(98, 102))
    engine.apply(tape([diff(9, 11, 8), snap, diff(12, 12, 11, [], [(200, 1_000)])]))
    found = engine.simulate_market_order("BTCUSDT", "0.020")
    assert (found.filled, found.unfilled, found.known) == (10, 10, 10)
    sold = engine.simulate_market_order("BTCUSDT", Decimal("-0.007"))
    assert (sold.side, sold.filled, sold.avg_price) == (-1, 7, Fraction(99 * 5 + 98 * 2, 7))


def test_only_a_live_book_is_walked() -> None:
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    with pytest.raises(NotReadyError, match="not live"):
        engine.simulate_market_order("BTCUSDT", 1)
    with pytest.raises(UsageError, match="zero"):
        engine.simulate_market_order("BTCUSDT", 0)
    with pytest.raises(UsageError, match="not a multiple of"):
        engine.simulate_market_order("BTCUSDT", 0.0001)


def test_the_square_root_law() -> None:
    """1 % of a day's volume at 2 % volatility: 2 % x 0.1 = 20 bps at Y = 1."""
    assert square_root_band(1e6, 1e8, 0.02) == pytest.approx((10.0, 20.0))
