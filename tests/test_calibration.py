"""Predicted against realised cost of sweeps: by hand, however prints and diffs interleave, and through the API."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tapes import T0, Row, diff, snapshot, tape, trade, universe
from tapewatch.book.impact import walk
from tapewatch.engine import Engine
from tapewatch.lab.calibration import NO_BOOK, TOO_DEEP, book_before
from tapewatch.lab.lab import Study
from tapewatch.model.views import BookState, BookView
from tapewatch.replay.recording import Recording

BIDS = [(1_000 - k, 10 + k) for k in range(30)]
ASKS = [(1_002 + k, 10 + k) for k in range(30)]


class Sweeping:
    """A small live book, and whoever trades against it."""

    def __init__(self) -> None:
        self.engine = Engine(universe("BTCUSDT", tick="0.1", lot="1"))
        self.engine.follow_book(0)
        self.study: Study = self.engine.lab.study(self.engine.universe[0])
        self.u, self.trades = 10, 0
        self.hear(snapshot(10, BIDS, ASKS), diff(9, 10, 8, ts_ms=T0))

    def hear(self, *rows: Row) -> None:
        self.engine.apply(tape(rows))

    def set(self, at_ms: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        self.u += 1
        self.hear(diff(self.u, self.u, self.u - 1, bids, asks, ts_ms=T0 + at_ms))

    def buy(self, at_ms: int, *fills: tuple[int, int], sell: bool = False) -> None:
        for tick, lots in fills:
            self.trades += 1
            self.hear(trade(self.trades, T0 + at_ms, tick, lots, sell=sell))


def swept(*, diff_first: bool) -> Study:
    """100 ms after a change of the book somebody buys 25 lots through three prices; the book tells it first or last."""
    world = Sweeping()
    world.set(100, [(1_001, 4)], [(1_003, 6)])
    eaten = [(1_002, 0), (1_003, 0), (1_004, 3)]
    if diff_first:
        world.set(200, [(1_001, 0)], eaten)
    world.buy(200, (1_002, 10), (1_003, 6), (1_004, 9))
    if not diff_first:
        world.set(200, [(1_001, 0)], eaten)
    world.set(2_000, [], [])  # time passes: the order has ended
    return world.study


@pytest.mark.parametrize("diff_first", [True, False])
def test_a_sweep_is_walked_through_the_book_before_it(*, diff_first: bool) -> None:
    """Prints and diffs come on different sockets: which is heard first must not matter."""
    record = swept(diff_first=diff_first).calibration
    (sweep,) = record.sweeps
    mid = Fraction(1_001 + 1_002, 2)
    cost = (Fraction(10 * 1_002 + 6 * 1_003 + 9 * 1_004, 25) / mid - 1) * 10_000
    assert (sweep.lots, sweep.levels, sweep.predicted_levels, sweep.double_mid) == (25, 3, 3, 2_003)
    assert sweep.realised_bps == pytest.approx(float(cost), rel=1e-15)
    assert sweep.predicted_bps == pytest.approx(float(cost), rel=1e-15)
    assert (sweep.ts_ms, sweep.age_ms, sweep.error_bps) == (T0 + 200, 100, 0)


def test_what_the_book_did_not_show_is_an_error_not_a_secret() -> None:
    """A hidden order takes half of the flow at the first price: the walk had said it would cost more."""
    world = Sweeping()
    world.buy(200, (1_002, 15), (1_003, 5), (1_004, 5))
    world.set(2_000, [], [])
    (sweep,) = world.study.calibration.sweeps
    accuracy = world.study.calibration.accuracy()
    mid = Fraction(1_000 + 1_002, 2)
    said = (Fraction(10 * 1_002 + 11 * 1_003 + 4 * 1_004, 25) - Fraction(15 * 1_002 + 5 * 1_003 + 5 * 1_004, 25)) / mid
    assert sweep.error_bps == pytest.approx(float(said * 10_000), rel=1e-12)
    assert sweep.error_bps > 0
    assert accuracy is not None
    assert (accuracy.n, accuracy.mean_error, accuracy.mean_absolute_error) == (1, sweep.error_bps, sweep.error_bps)


def test_nothing_is_extrapolated() -> None:
    world = Sweeping()
    world.buy(100, (1_000, 200), (999, 200), (900, 1_000), sell=True)  # deeper than anything the book knew
    world.set(2_000, [], [])
    world.engine.book_lost(0)
    world.buy(2_100, (1_002, 1), (1_003, 1), (1_004, 1))
    world.buy(4_000, (1_002, 1))
    world.buy(8_000, (1_002, 1))
    record = world.study.calibration
    assert (record.seen, len(record.sweeps), record.accuracy()) == (2, 0, None)
    assert record.not_compared == {TOO_DEEP: 1, NO_BOOK: 1}


def test_slow_or_shallow_orders_are_no_sweeps() -> None:
    world = Sweeping()
    world.buy(100, (1_002, 5), (1_003, 5))
    for k in range(60):
        world.buy(1_000 + 9 * k, (1_002 + k, 1))  # one order, but over half a second
    world.set(5_000, [], [])
    assert world.study.calibration.seen == 0


def test_undone_books_are_the_books_that_were(data_dir: Path) -> None:
    """Once a second: the book of a second ago, put together again from now, is the one that was copied then."""
    recording = Recording.load(sorted((data_dir / "binance_usdm").glob("usdm_btcusdt_202407*")))
    stage = recording.stage()
    engine = stage.engine
    instrument = engine.universe[0]
    study = engine.lab.study(instrument)
    copied: list[tuple[int, BookView]] = []
    compared = unknown = 0
    for batch in recording.play(stage):
        engine.apply(batch)
        view = engine.book(0, 1_000)
        if view.state is not BookState.LIVE:
            continue
        ts_ms = int(engine.sync.ladders.books[0]["ts_ms"])
        if not copied or ts_ms - copied[-1][0] >= 1_000:
            copied.append((ts_ms, view))
            for then_ms, then in copied[-2:-1]:
                again = book_before(study.state.levels, engine.sync.ladders, instrument, then_ms + 1)
                if again is None:  # at the start: the book has just been read
                    unknown += 1
                    continue
                for before, after in ((then.bids, again.bids), (then.asks, again.asks)):
                    assert np.array_equal(before[:200], after[:200])
                assert walk(again, 1_000).avg_price == walk(then, 1_000).avg_price
                compared += 1
    assert compared > 50
    assert unknown <= 1
    assert study.calibration.seen == len(study.calibration.sweeps) + study.calibration.not_compared.total()
    assert len(study.calibration.sweeps) > 100
