"""Footprint, CVD, id chains, imbalance windows, OFI, marks and liquidations against plain-Python definitions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import T0, Row, examples, liquidation, mark, quote, tape, trade, universe
from tapewatch.engine import MINUTES_KEPT, SECONDS_KEPT, Engine
from tapewatch.flow.footprint import value_area
from tapewatch.flow.holes import HOLES_AT_MOST
from tapewatch.flow.quotes import best_level_ofi
from tapewatch.flow.trades import CHAIN_SLACK_MS, LARGEST_HOLE
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.tape import E8
from tapewatch.model.views import TIMEFRAMES_MS, WINDOWS_S, Footprint

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def engine_after(*rows: Row) -> Engine:
    engine = Engine(universe())
    assert engine.apply(tape(rows)) == []
    return engine


def account(engine: Engine, i: int = 0) -> dict[str, int]:
    trades = engine.flow.trades[i]
    return {name: int(trades[name]) for name in trades.dtype.names}


# -- the footprint as a list of trades --------------------------------------------------------------------------------


@dataclass
class Print:
    number: int
    ts_ms: int
    price: int
    lots: int
    sell: bool

    @property
    def delta(self) -> int:
        return -self.lots if self.sell else self.lots

    def row(self) -> Row:
        return trade(self.number, self.ts_ms, self.price, self.lots, sell=self.sell)


@dataclass
class Prints:
    """Everything that was accepted, and every view of it by definition."""

    held: list[Print] = field(default_factory=list)

    def within(self, base_ms: int, kept: int) -> list[Print]:
        """What a store of `kept` candles still holds."""
        newest = max(p.ts_ms // base_ms for p in self.held)
        return [p for p in self.held if p.ts_ms // base_ms > newest - kept]

    def footprint(self, tf_ms: int, step: int, lookback: int) -> list[dict[str, object]]:
        base_ms, kept = (SECOND, SECONDS_KEPT) if tf_ms < MINUTE else (MINUTE, MINUTES_KEPT)
        prints = self.within(base_ms, kept)
        newest = max(p.ts_ms // base_ms for p in prints)
        reach_ms = (newest - kept + 1) * base_ms
        last = newest * base_ms // tf_ms * tf_ms
        oldest = min(p.ts_ms for p in prints) // tf_ms * tf_ms
        opens = range(max(oldest, last - (lookback - 1) * tf_ms), last + 1, tf_ms)
        return [self._candle(prints, open_ms, tf_ms, base_ms, step) for open_ms in opens if open_ms >= reach_ms]

    def _candle(self, prints: list[Print], open_ms: int, tf_ms: int, base_ms: int, step: int) -> dict[str, object]:
        inside = [p for p in prints if open_ms <= p.ts_ms < open_ms + tf_ms]
        inside.sort(key=lambda p: (p.ts_ms // base_ms, p.number))
        cells: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        for p in inside:
            cell = cells[p.price // step * step]
            cell[0 if p.sell else 1] += p.lots
            cell[2] += 1
        midnight = open_ms // DAY * DAY
        whole = open_ms // MINUTE * MINUTE
        before = [p for p in self.held if midnight <= p.ts_ms < whole]
        if tf_ms < MINUTE:
            before += [p for p in prints if whole <= p.ts_ms < open_ms]
        return {
            "open_ms": open_ms,
            "ohlc": (inside[0].price, max(p.price for p in inside), min(p.price for p in inside), inside[-1].price)
            if inside
            else (0, 0, 0, 0),
            "bid": sum(p.lots for p in inside if p.sell),
            "ask": sum(p.lots for p in inside if not p.sell),
            "n": len(inside),
            "quote": sum(p.price * p.lots for p in inside),
            "cvd": sum(p.delta for p in before + inside),
            "cells": [(price, *cells[price]) for price in sorted(cells, reverse=True)],
            "area": area_of(cells, step) if inside else (-1, -1, -1),
        }


def area_of(cells: dict[int, list[int]], step: int) -> tuple[int, int, int]:
    """POC, VAL, VAH of a candle's cells: the rows between lowest and highest bin, empty ones included."""
    low = min(cells)
    volume = [sum(cells[price][:2]) if price in cells else 0 for price in range(low, max(cells) + 1, step)]
    poc, val, vah, _ = dense_value_area(volume)
    return low + poc * step, low + val * step, low + vah * step


def dense_value_area(volume: list[int]) -> tuple[int, int, int, int]:
    """The reference algorithm on every row, two at a time, ties downward; the last figure is the volume inside."""
    last = len(volume) - 1
    poc = min(range(len(volume)), key=lambda b: (-volume[b], abs(2 * b - last), b))
    lo = hi = poc
    while sum(volume[lo : hi + 1]) * 100 < 70 * sum(volume) and (lo > 0 or hi < last):
        up, down = sum(volume[hi + 1 : hi + 3]), sum(volume[max(0, lo - 2) : lo])
        if hi < last and (up > down or lo == 0):
            hi = min(last, hi + 2)
        else:
            lo = max(0, lo - 2)
    return poc, lo, hi, sum(volume[lo : hi + 1])


def shown(view: Footprint) -> list[dict[str, object]]:
    out = []
    for c in view.candles:
        cells = view.cells[c["cell_at"] : c["cell_at"] + c["cells"]]
        figures = {name: int(c[name]) for name in ("open_ms", "bid", "ask", "n", "quote", "cvd")}
        ohlc = tuple(int(c[name]) for name in ("open", "high", "low", "close"))
        area = tuple(int(c[name]) for name in ("poc", "val", "vah"))
        out.append({**figures, "ohlc": ohlc, "area": area, "cells": [tuple(cell) for cell in cells.tolist()]})
    return out


PAUSES = [0, 0, 1, 7, 250, 999, 1_000, 4_000, 61_000, 300_000, 2 * HOUR, 7 * HOUR, 20 * HOUR]


@st.composite
def print_runs(draw: st.DrawFn) -> tuple[list[Print], Prints]:
    """Prints in the order they arrive, some late, and which of them count: over seconds, days, the end of the ring."""
    now = T0 + draw(st.sampled_from([0, 12 * HOUR, DAY - 30_000]))
    price = 5_000
    in_order = []
    for number in range(1, draw(st.integers(1, 40)) + 1):
        now += draw(st.sampled_from(PAUSES))
        price += draw(st.sampled_from([-300, -2, -1, 0, 1, 2, 300]))
        in_order.append(Print(number, now, max(1, price), draw(st.integers(1, 9)), draw(st.booleans())))
    late = draw(st.sets(st.integers(1, len(in_order) - 1), max_size=4)) if len(in_order) > 1 else set()
    late.discard(len(in_order) - 1)
    arriving = [p for k, p in enumerate(in_order) if k not in late]
    for k in sorted(late):
        behind = arriving.index(in_order[k + 1]) if k + 1 not in late else len(arriving) - 1
        arriving.insert(draw(st.integers(behind + 1, len(arriving))), in_order[k])
    accepted = Prints()
    newest = 0
    for p in arriving:
        newest = max(newest, p.ts_ms // MINUTE)
        if p.ts_ms // MINUTE > newest - MINUTES_KEPT:
            accepted.held.append(p)
    return arriving, accepted


@examples(150)
@given(
    print_runs(),
    st.sampled_from(sorted(TIMEFRAMES_MS.values())),
    st.sampled_from([1, 2, 5, 10, 250, 7_919]),
    st.sampled_from([1, 3, 60, 1_000]),
)
def test_any_view_of_any_prints_is_their_plain_sum(
    run: tuple[list[Print], Prints], tf_ms: int, step: int, lookback: int
) -> None:
    """Every timeframe and bin: candles, cells, CVD since 00:00 UTC, POC and value area, late prints included."""
    arriving, accepted = run
    engine = engine_after(*(p.row() for p in arriving))
    assert account(engine)["count"] == len(accepted.held)
    assert account(engine)["too_late"] == len(arriving) - len(accepted.held)
    if tf_ms < MINUTE and any(p.ts_ms < q.ts_ms for p, q in zip(arriving[1:], arriving, strict=False)):
        return  # the one-second ring forgets sooner than the account of what was accepted
    assert shown(engine.footprint(0, tf_ms, step, lookback)) == accepted.footprint(tf_ms, step, lookback)


def test_a_candle_by_hand() -> None:
    engine = engine_after(
        trade(1, T0 + 10, 1000, 3, sell=True), trade(2, T0 + 20, 1004, 5), trade(3, T0 + 30, 1001, 2, sell=True),
        trade(4, T0 + 40, 1000, 4), trade(5, T0 + 50, 1002, 1, sell=True),
    )  # fmt: skip
    (candle,) = shown(engine.footprint(0, MINUTE, 1, 10))
    assert candle == {
        "open_ms": T0, "ohlc": (1000, 1004, 1000, 1002), "bid": 6, "ask": 9, "n": 5, "cvd": 3,
        "quote": 3000 + 5020 + 2002 + 4000 + 1002, "area": (1000, 1000, 1004),
        "cells": [(1004, 0, 5, 1), (1002, 1, 0, 1), (1001, 2, 0, 1), (1000, 3, 4, 2)],
    }  # fmt: skip
    (binned,) = shown(engine.footprint(0, MINUTE, 5, 10))
    assert binned["cells"] == [(1000, 6, 9, 5)]
    (pairs,) = shown(engine.footprint(0, MINUTE, 2, 10))
    assert pairs["cells"] == [(1004, 0, 5, 1), (1002, 1, 0, 1), (1000, 5, 4, 3)]


def test_bins_are_half_open_and_begin_at_multiples_of_the_step() -> None:
    """Ticks 998…1003 by fives: 995, 995, 1000 four times; never the nearest."""
    engine = engine_after(*(trade(k, T0 + k, 997 + k, 1) for k in range(1, 7)))
    (candle,) = shown(engine.footprint(0, MINUTE, 5, 1))
    assert candle["cells"] == [(1000, 0, 4, 4), (995, 0, 2, 2)]


def test_candles_without_trades_between_two_are_there_with_zeros() -> None:
    engine = engine_after(trade(1, T0, 100, 1), trade(2, T0 + 3 * MINUTE, 101, 2, sell=True))
    view = shown(engine.footprint(0, MINUTE, 1, 100))
    assert [c["open_ms"] for c in view] == [T0 + k * MINUTE for k in range(4)]
    assert [(c["n"], c["cvd"], c["area"]) for c in view[1:3]] == [(0, 1, (-1, -1, -1))] * 2
    assert view[3]["cvd"] == -1


def test_cvd_begins_anew_at_midnight_utc() -> None:
    """In one view, at a candle edge, and for one-second candles that begin inside a minute."""
    rows = [trade(1, T0 - 90_000, 100, 5), trade(2, T0 - 1, 100, 3, sell=True), trade(3, T0 + 2_500, 100, 7)]
    rows += [trade(4, T0 + 3_000, 100, 1, sell=True), trade(5, T0 + 61_000, 100, 2)]
    engine = engine_after(*rows)
    assert [c["cvd"] for c in shown(engine.footprint(0, MINUTE, 1, 10))] == [5, 2, 6, 8]
    assert [c["cvd"] for c in shown(engine.footprint(0, DAY, 1, 10))] == [2, 8]
    assert [c["cvd"] for c in shown(engine.footprint(0, MINUTE, 1, 1))] == [8]
    seconds = {c["open_ms"]: c["cvd"] for c in shown(engine.footprint(0, SECOND, 1, 1_000))}
    assert (seconds[T0 - SECOND], seconds[T0], seconds[T0 + 2 * SECOND], seconds[T0 + 61 * SECOND]) == (2, 0, 7, 8)
    assert [c["cvd"] for c in shown(engine.footprint(0, SECOND, 1, 2))] == [6, 8]


def test_a_candle_whose_beginning_has_left_the_ring_is_not_shown() -> None:
    """Of yesterday only a part is held: a day candle of it would shrink minute by minute."""
    engine = engine_after(trade(1, T0, 100, 5), trade(2, T0 + 2 * HOUR, 100, 6), trade(3, T0 + 36 * HOUR, 100, 7))
    assert [(c["open_ms"], c["n"]) for c in shown(engine.footprint(0, DAY, 1, 9))] == [(T0 + DAY, 1)]
    hours = shown(engine.footprint(0, HOUR, 1, 99))
    assert [(c["open_ms"], c["n"]) for c in (hours[0], hours[-1])] == [(T0 + 2 * HOUR, 1), (T0 + 36 * HOUR, 1)]


def test_a_slot_left_over_from_long_ago_is_no_candle() -> None:
    """A quiet instrument: the ring still holds a minute of three days ago where nothing newer has come."""
    engine = engine_after(trade(1, T0, 100, 5), trade(2, T0 + 72 * HOUR + MINUTE, 100, 6))
    assert [c["open_ms"] for c in shown(engine.footprint(0, MINUTE, 1, 10**6))] == [T0 + 72 * HOUR + MINUTE]


def test_ids_decide_which_print_opens_and_closes_a_candle() -> None:
    engine = engine_after(trade(1, T0, 9, 1), trade(3, T0 + 5, 30, 1), trade(5, T0 + 9, 50, 1), trade(4, T0 + 8, 40, 1))
    (candle,) = shown(engine.footprint(0, MINUTE, 1, 1))
    assert candle["ohlc"] == (9, 50, 9, 50)


def test_a_print_at_an_absurd_price_costs_one_cell() -> None:
    """Work and memory follow what traded, not the range between."""
    engine = engine_after(trade(1, T0, 834_344, 5), trade(2, T0 + 1, 10**12, 1), trade(3, T0 + 2, 1, 1))
    for step in (1, 5):
        (candle,) = shown(engine.footprint(0, MINUTE, step, 1))
        bins = [price // step * step for price in (10**12, 834_344, 1)]
        assert [cell[0] for cell in candle["cells"]] == bins
        assert candle["area"][0] == bins[1]


def test_views_of_nothing_are_empty() -> None:
    engine = Engine(universe())
    assert len(engine.footprint(0, MINUTE, 1, 10).candles) == 0
    engine.apply(tape([trade(1, T0, 100, 1)]))
    assert len(engine.footprint(0, MINUTE, 1, 0).candles) == 0


# -- point of control and value area ----------------------------------------------------------------------------------


def test_value_area_golden_example() -> None:
    """The handbook's method adds two rows at a time: 101…105, 93.9 %; one at a time would end at 102…104."""
    volume = {100: 5, 101: 10, 102: 20, 103: 40, 104: 30, 105: 8, 106: 2}
    assert [int(v) for v in value_area(np.array(list(volume)), np.array(list(volume.values())))] == [103, 101, 105]
    engine = engine_after(*(trade(k, T0 + k, p, v) for k, (p, v) in enumerate(volume.items(), 1)))
    (candle,) = shown(engine.footprint(0, MINUTE, 1, 1))
    assert candle["area"] == (103, 101, 105)


@pytest.mark.parametrize(
    ("volume", "poc", "low", "high"),
    [
        ([7], 0, 0, 0),
        ([9, 1, 1], 0, 0, 0),
        ([1, 1, 9], 2, 2, 2),
        ([5, 5], 0, 0, 1),
        ([5, 1, 5], 0, 0, 2),
        ([5, 5, 5], 1, 0, 2),
        ([4, 5, 5, 4], 1, 1, 3),
        ([1, 0, 0, 0, 6, 0, 0, 0, 2], 4, 0, 4),
        ([1, 0, 0, 0, 6, 0, 2], 4, 4, 6),
    ],
)
def test_value_area_at_edges_with_ties_and_over_empty_rows(volume: list[int], poc: int, low: int, high: int) -> None:
    """POC ties: nearest the middle, then the lower. Ties of growth go down; the area is clipped to what traded."""
    bins = [b for b, v in enumerate(volume) if v]
    got = value_area(np.array(bins), np.array([volume[b] for b in bins]))
    assert tuple(int(v) for v in got) == (poc, low, high)
    assert dense_value_area(volume)[:3] == (poc, low, high)


@examples(300)
@given(st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 10]), min_size=1, max_size=40), st.sampled_from([0, 3, 10**6]))
def test_value_area_over_named_bins_is_that_over_all_rows(volume: list[int], first: int) -> None:
    volume = [volume[0] or 1, *volume[1:-1], volume[-1] or 1]
    bins = [b for b, v in enumerate(volume) if v]
    poc, low, high = value_area(np.array(bins) + first, np.array([volume[b] for b in bins]))
    *expected, inside = dense_value_area(volume)
    assert [int(poc) - first, int(low) - first, int(high) - first] == expected
    assert inside * 100 >= 70 * sum(volume)


# -- id chains --------------------------------------------------------------------------------------------------------


def gaps(engine: Engine, tf_ms: int = MINUTE) -> list[int]:
    return [int(n) for n in engine.footprint(0, tf_ms, 1, 100).candles["gap"]]


def test_a_chain_without_breaks_has_no_gaps() -> None:
    engine = engine_after(*(trade(k, T0 + k, 100, 1) for k in range(500, 520)))
    figures = account(engine)
    assert [figures[name] for name in ("count", "gaps", "missing", "duplicates", "absent")] == [20, 0, 0, 0, 0]


def test_repetitions_count_once() -> None:
    rows = [trade(k, T0 + k, 100, k) for k in (1, 2, 2, 1, 3, 3)]
    figures = account(engine_after(*rows))
    assert (figures["count"], figures["duplicates"], figures["buy"]) == (3, 3, 6)


def missing(engine: Engine) -> list[tuple[int, int]]:
    """Ranges of missing ids, oldest first."""
    return [(int(gap["first_id"]), int(gap["last_id"])) for gap in engine.gaps(0)]


def test_a_hole_marks_the_candles_it_touches_and_lets_go_as_it_shrinks() -> None:
    """Lost between 0:30 and 3:10: four candles may lack something. Ids and times rise together."""
    engine = engine_after(trade(1, T0 + 30_000, 100, 1), trade(8, T0 + 190_000, 100, 1))
    assert gaps(engine) == [1, 1, 1, 1]
    assert account(engine)["missing"] == 6
    steps = [
        (2, 45_000, [1, 1, 1, 1]),
        (7, 150_000, [1, 1, 1, 0]),
        (3, 70_000, [0, 1, 1, 0]),
        (5, 119_000, [0, 2, 1, 0]),
    ]
    for number, at_ms, marks in steps:
        engine.apply(tape([trade(number, T0 + at_ms, 100, 1)]))
        assert gaps(engine) == marks, number
    assert missing(engine) == [(4, 4), (6, 6)]
    assert [(int(g["from_ms"]), int(g["to_ms"])) for g in engine.gaps(0)] == [
        (T0 + 70_000, T0 + 119_000), (T0 + 119_000, T0 + 150_000),
    ]  # fmt: skip
    engine.apply(tape([trade(6, T0 + 120_000, 100, 1), trade(4, T0 + 100_000, 100, 1), trade(4, T0 + 100_000, 100, 1)]))
    assert (gaps(engine), missing(engine)) == ([0, 0, 0, 0], [])
    figures = account(engine)
    assert [figures[name] for name in ("count", "gaps", "missing", "filled", "duplicates")] == [8, 1, 6, 6, 1]


def test_history_before_the_first_trade_is_taken_once_in_any_order() -> None:
    """Pages of a backfill, newest first, a stray row from between, and all of it again."""
    rows = {number: trade(number, T0 + number * 1_000, 100 + number, number) for number in range(1, 301)}
    pages = [range(201, 301), range(101, 201), [17], range(1, 101)]
    live = range(290, 301)
    engine = engine_after(*(rows[n] for n in live), *(rows[n] for page in pages for n in page))
    in_order = engine_after(*(rows[n] for n in rows))
    assert shown(engine.footprint(0, MINUTE, 1, 100)) == shown(in_order.footprint(0, MINUTE, 1, 100))
    assert (missing(engine), gaps(engine)) == ([], [0] * 6)
    figures = account(engine)
    assert [figures[name] for name in ("count", "first_id", "last_id", "absent", "duplicates")] == [300, 1, 300, 0, 12]
    assert figures["last_price"] == 400


def test_history_loaded_around_something_shows_what_is_between() -> None:
    engine = engine_after(trade(100, T0 + 300_000, 100, 1), trade(10, T0 + 60_000, 100, 1))
    (gap,) = engine.gaps(0)
    assert (gap["first_id"], gap["last_id"], gap["cause"]) == (11, 99, Cause.NOT_LOADED)
    assert (gap["from_ms"], gap["to_ms"], gaps(engine)) == (T0 + 60_000, T0 + 300_000, [1, 1, 1, 1, 1])


def test_an_older_id_with_a_later_time_is_no_history() -> None:
    engine = engine_after(trade(100, T0, 100, 1), trade(101, T0 + 5_000, 100, 1), trade(50, T0 + 2_000, 100, 1))
    assert (account(engine)["duplicates"], account(engine)["first_id"]) == (1, 100)


def test_why_ids_are_missing_is_kept_with_them() -> None:
    engine = engine_after(trade(1, T0, 100, 1), trade(3, T0 + 1, 100, 1))
    engine.expect_gap(0, Cause.DISCONNECTED)
    engine.apply(tape([trade(9, T0 + 2, 100, 1), trade(11, T0 + 3, 100, 1), trade(6, T0 + 1, 100, 1)]))
    causes = [(int(g["first_id"]), int(g["last_id"]), int(g["cause"])) for g in engine.gaps(0)]
    assert causes == [
        (2, 2, Cause.DROPPED), (4, 5, Cause.DISCONNECTED), (7, 8, Cause.DISCONNECTED), (10, 10, Cause.DROPPED),
    ]  # fmt: skip


def test_what_is_given_up_stays_missing_but_is_taken_when_it_comes_after_all() -> None:
    engine = engine_after(trade(1, T0, 100, 1), trade(6, T0 + MINUTE, 100, 1))
    (decided,) = engine.give_up(0, 2, 5, Fate.BEYOND_HORIZON)
    assert (decided["first_id"], decided["last_id"], decided["fate"]) == (2, 5, Fate.BEYOND_HORIZON)
    engine.apply(tape([trade(4, T0, 100, 1)]))
    assert [(int(g["first_id"]), int(g["last_id"]), int(g["fate"])) for g in engine.gaps(0)] == [(2, 3, 1), (5, 5, 1)]
    assert gaps(engine) == [2, 1]


def test_more_holes_than_remembered_forget_the_oldest_and_leave_its_mark() -> None:
    """The oldest two of HOLES_AT_MOST + 2 stay missing; every other can still be filled."""
    n = HOLES_AT_MOST + 2
    engine = engine_after(*(trade(1 + 2 * k, T0 + k, 100, 1) for k in range(n + 1)))
    assert (account(engine)["absent"], len(engine.gaps(0))) == (n, HOLES_AT_MOST)
    forgotten = engine.take_forgotten_gaps()
    assert [(int(g["first_id"]), int(g["fate"])) for g in forgotten] == [(2, Fate.FORGOTTEN), (4, Fate.FORGOTTEN)]
    assert len(engine.take_forgotten_gaps()) == 0
    engine.apply(tape([trade(2 + 2 * k, T0 + k, 100, 1) for k in range(n)]))
    figures = account(engine)
    assert [figures[name] for name in ("filled", "duplicates", "absent")] == [HOLES_AT_MOST, 2, 2]
    assert gaps(engine) == [2]


def test_a_long_outage_costs_no_cells_and_marks_every_candle() -> None:
    """Many instruments lose an hour: thousands of candles open, none of them takes room for cells."""
    engine = Engine(universe(*(f"S{k:02d}USDT" for k in range(20))))
    engine.apply(tape([trade(n, ts, 100, 1, i=i) for i in range(20) for n, ts in ((1, T0), (9, T0 + HOUR))]))
    for store in (engine.flow.seconds, engine.flow.minutes):
        assert store.meta[0] <= len(store.cells)
        held = store.ring[store.ring["n"] > 0]
        assert held["cell_at"].max() < store.meta[0] <= 8 * len(held)
    assert engine.footprint(7, MINUTE, 1, 100).candles["gap"].tolist() == [1] * 61


def test_a_hole_reaches_back_to_the_print_before_it_even_if_that_is_off_book() -> None:
    """And no further: two candles are marked, of which the one with a trade is shown."""
    engine = engine_after(trade(1, T0 + MINUTE, 100, 1, off_book=True), trade(3, T0 + 2 * MINUTE, 100, 1))
    assert gaps(engine) == [1]
    assert engine.flow.minutes.ring["gap"].sum() == 2


def test_a_chain_that_begins_anew_is_taken_up_with_a_gap() -> None:
    """A venue restarted with lower ids: not all its trades are duplicates for ever."""
    rows = [trade(10**9 + k, T0 + k, 100, 1) for k in range(3)]
    rows += [trade(k, T0 + 2 * MINUTE + k, 200, 1) for k in range(1, 4)]
    engine = engine_after(*rows)
    figures = account(engine)
    assert [figures[name] for name in ("count", "duplicates", "gaps", "last_price", "last_id")] == [6, 0, 1, 200, 3]
    assert gaps(engine) == [1, 1, 1]
    (end,) = engine.take_forgotten_gaps()
    assert (end["cause"], end["fate"], end["first_id"]) == (Cause.RESTARTED, Fate.UNFILLABLE, 10**9 + 3)
    assert (end["from_ms"], end["to_ms"]) == (T0 + 2, T0 + 2 * MINUTE + 1)


@pytest.mark.parametrize("absurd", [10**18, 2 * LARGEST_HOLE])
def test_an_absurd_id_does_not_capture_the_chain(absurd: int) -> None:
    """Too far ahead: dropped where the chain is fresh, and given up again where it was taken up."""
    engine = engine_after(trade(1_000, T0, 100, 1), trade(absurd, T0 + 5, 100, 1), trade(1_001, T0 + 9, 101, 1))
    figures = account(engine)
    assert [figures[name] for name in ("count", "duplicates", "gaps", "last_price")] == [2, 1, 0, 101]
    later = T0 + 9 + CHAIN_SLACK_MS + 1
    engine.apply(tape([trade(absurd, later, 100, 1), trade(1_002, later + CHAIN_SLACK_MS + 1, 102, 1)]))
    engine.apply(tape([trade(1_003, later + CHAIN_SLACK_MS + 2, 103, 1)]))
    figures = account(engine)
    assert [figures[name] for name in ("count", "last_id", "last_price")] == [5, 1_003, 103]
    assert figures["missing"] == 0


def traded(engine: Engine) -> list[dict[str, object]]:
    return [candle for candle in shown(engine.footprint(0, MINUTE, 1, 100)) if candle["n"]]


@examples(200)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=80))
def test_every_id_counts_once_and_the_account_balances(arrivals: list[tuple[int, bool]]) -> None:
    """Any order whatever: an id is taken once, what is between the first and the last and did not come is missing."""
    engine = engine_after(*(trade(n, T0 + 10_000 * n, 100 + n, n, off_book=off) for n, off in arrivals))
    figures = account(engine)
    taken = dict(reversed([(number, off) for number, off in arrivals]))
    in_order = engine_after(*(trade(n, T0 + 10_000 * n, 100 + n, n, off_book=off) for n, off in sorted(taken.items())))
    assert figures["count"] + figures["excluded"] + figures["duplicates"] == len(arrivals)
    assert traded(engine) == traded(in_order)
    assert int(engine.flow.minutes.ring["gap"].sum()) == int(in_order.flow.minutes.ring["gap"].sum())
    if not taken:
        return
    absent = [n for n in range(min(taken), max(taken)) if n not in taken]
    assert [n for first, last in missing(engine) for n in range(first, last + 1)] == absent
    assert (figures["absent"], figures["missing"] - figures["filled"]) == (len(absent), len(absent))
    assert figures["last_id"] - figures["first_id"] + 1 == figures["count"] + figures["excluded"] + len(absent)


# -- sources and off-book prints --------------------------------------------------------------------------------------


def test_aggregates_count_unless_raw_trades_are_the_source() -> None:
    both = [trade(7, T0, 100, 3), trade(900, T0, 100, 1, aggregate=False), trade(901, T0, 100, 2, aggregate=False)]
    figures = account(engine_after(*both))
    assert [figures[name] for name in ("count", "buy", "other_source", "duplicates", "gaps")] == [1, 3, 2, 0, 0]
    raw = Engine(universe())
    raw.use_raw_trades(0)
    raw.apply(tape(both))
    figures = account(raw)
    assert [figures[name] for name in ("count", "buy", "other_source", "duplicates", "gaps")] == [2, 3, 1, 0, 0]


def test_a_source_that_changes_ends_the_chain_of_the_other() -> None:
    """Raw ids have nothing to do with aggregate ids: no trade of theirs is a duplicate, no hole is theirs."""
    engine = engine_after(trade(700, T0, 100, 1), trade(703, T0 + 1, 100, 1))
    engine.use_raw_trades(0)
    engine.use_raw_trades(0)
    engine.apply(tape([trade(n, T0 + n, 100, 1, aggregate=False) for n in (40, 41, 43)]))
    assert [account(engine)[name] for name in ("count", "first_id", "last_id", "absent", "duplicates")] == [
        5,
        40,
        43,
        1,
        0,
    ]
    lost, seam = engine.take_forgotten_gaps()
    assert (lost["first_id"], lost["last_id"], lost["fate"]) == (701, 702, Fate.UNFILLABLE)
    assert (seam["first_id"], seam["cause"]) == (704, Cause.SOURCE_CHANGED)


def test_off_book_prints_keep_their_place_in_the_chain_and_enter_nothing_else() -> None:
    engine = engine_after(
        trade(1, T0, 100, 1), trade(2, T0 + 1, 999, 50, off_book=True), trade(3, T0 + 2, 101, 2, sell=True)
    )
    figures = account(engine)
    assert [figures[name] for name in ("count", "excluded", "gaps", "buy", "sell", "last_price")] == [
        2,
        1,
        0,
        1,
        2,
        101,
    ]
    (candle,) = shown(engine.footprint(0, MINUTE, 1, 1))
    assert (candle["n"], candle["ohlc"], candle["cvd"]) == (2, (100, 101, 100, 101), -1)
    assert engine.imbalance()[0]["buy"].tolist() == [1] * len(WINDOWS_S)


# -- imbalance windows ------------------------------------------------------------------------------------------------


@st.composite
def two_markets(draw: st.DrawFn) -> list[tuple[int, Print]]:
    now, ids = T0, [0, 0]
    out = []
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 3, 400, 999, 1_000, 9_000, 50_000, 299_000, 600_000]))
        i = draw(st.integers(0, 1))
        ids[i] += 1
        out.append((i, Print(ids[i], now, draw(st.integers(90, 110)), draw(st.integers(1, 9)), draw(st.booleans()))))
    return out


@examples(100)
@given(two_markets(), st.sampled_from([0, 500, 8_000, 1_000_000]))
def test_imbalance_windows_are_sums_over_whole_seconds(prints: list[tuple[int, Print]], later: int) -> None:
    """A window of W ends with the newest event's second, for every instrument, and moves on without its trades."""
    engine = Engine(universe("BTCUSDT", "ETHUSDT"))
    rows = [trade(p.number, p.ts_ms, p.price, p.lots, sell=p.sell, i=i) for i, p in prints]
    engine.apply(tape([*rows, quote(1, prints[-1][1].ts_ms + later, 1, 1, 2, 1, i=1)]))
    now_s = (prints[-1][1].ts_ms + later) // SECOND
    assert engine.clock_ms // SECOND == now_s
    for i, row in enumerate(engine.imbalance()):
        mine = [p for k, p in prints if k == i]
        for w, seconds in enumerate(WINDOWS_S):
            inside = [p for p in mine if now_s - seconds < p.ts_ms // SECOND <= now_s]
            for sell, lots, units in ((True, "sell", "sell_quote"), (False, "buy", "buy_quote")):
                assert row[lots][w] == sum(p.lots for p in inside if p.sell is sell)
                assert row[units][w] == sum(p.price * p.lots for p in inside if p.sell is sell)
        assert row["last"] == (mine[-1].price if mine else 0)
        assert row["last_ms"] == (mine[-1].ts_ms if mine else 0)


# -- quotes, marks, liquidations --------------------------------------------------------------------------------------

CKS = [(100, 10, 101, 8), (100, 7, 101, 12), (100, 7, 102, 5), (101, 3, 102, 5)]


def ofi_minutes(engine: Engine) -> dict[int, tuple[int, int]]:
    held = engine.quotes.ofi[:, 0]
    held = held[held["minute"] > 0]
    return {int(row["minute"]) * MINUTE: (int(row["ofi"]), int(row["n"])) for row in held}


def test_order_flow_imbalance_golden_example() -> None:
    """Cont, Kukanov and Stoikov: -7, +12 and +3. With asks 8 to 12 and bids 10 to 7 the first step is -3 - 4."""
    steps = [best_level_ofi(*new, *old) for old, new in pairwise(CKS)]
    assert steps == [-7, 12, 3]
    engine = engine_after(*(quote(k, T0 + k, *state) for k, state in enumerate(CKS, 1)))
    assert ofi_minutes(engine) == {T0: (8, 3)}


def test_order_flow_imbalance_is_booked_in_the_minute_of_its_quote() -> None:
    times = [T0, T0 + 59_999, T0 + 60_000, T0 + 2 * MINUTE]
    rows = [quote(k, ts, *state) for k, (ts, state) in enumerate(zip(times, CKS, strict=True), 1)]
    assert ofi_minutes(engine_after(*rows)) == {T0: (-7, 1), T0 + MINUTE: (12, 1), T0 + 2 * MINUTE: (3, 1)}


def test_repeated_and_older_quotes_are_ignored() -> None:
    rows = [quote(k, T0 + k, *state) for k, state in enumerate(CKS, 1)]
    engine = engine_after(rows[0], rows[0], rows[1], rows[0], rows[2], rows[1], rows[3], rows[3])
    assert ofi_minutes(engine) == {T0: (8, 3)}
    assert int(engine.quotes.quotes[0]["repeated"]) == 4


def test_quotes_of_a_venue_that_restarted_begin_a_new_sum() -> None:
    """The step from the old to the new chain is no order flow."""
    engine = engine_after(quote(10**12, T0, 500, 1, 501, 1))
    engine.apply(tape([quote(k, T0 + MINUTE + k, *state) for k, state in enumerate(CKS, 1)]))
    assert ofi_minutes(engine) == {T0 + MINUTE: (8, 3)}


def test_the_newest_mark_by_event_time_stands() -> None:
    engine = engine_after(mark(T0 + 5, 100 * E8, 99 * E8, -523, T0 + HOUR), mark(T0 + 4, 1, 1, 1, 1))
    assert engine.quotes.marks[0].tolist() == (T0 + 5, 100 * E8, 99 * E8, -523, T0 + HOUR)


def test_liquidations_are_listed_newest_last_with_the_side_of_the_position() -> None:
    rows = [liquidation(T0 + k, (100 + k) * E8 + 50_000_000, 10 + k, long=k % 2 == 0) for k in range(5)]
    engine = engine_after(*rows)
    listed = engine.liquidations()
    assert listed["seq"].tolist() == [1, 2, 3, 4, 5]
    assert listed["long"].tolist() == [1, 0, 1, 0, 1]
    assert listed["price_e8"].tolist() == [(100 + k) * E8 + 50_000_000 for k in range(5)]
    assert (listed["ts_ms"] + 1_005 == listed["event_ms"]).all()
    assert engine.liquidations(since_seq=3)["seq"].tolist() == [4, 5]
    assert engine.liquidations(limit=2)["seq"].tolist() == [4, 5]
    assert len(engine.liquidations(since_seq=5)) == len(engine.liquidations(limit=0)) == 0
    totals = engine.quotes.totals[0]
    assert (int(totals["long"]), int(totals["short"])) == (3, 2)
    expected = sum(((100 + k) * E8 + 50_000_000) * (10 + k) for k in range(5))
    assert int(totals["notional_whole"]) * E8 + int(totals["notional_e8"]) == expected


def test_the_ring_of_liquidations_keeps_the_newest() -> None:
    engine = Engine(universe())
    size = len(engine.quotes.liquidations)
    engine.apply(tape([liquidation(T0 + k, E8, 1, long=True) for k in range(size + 10)]))
    listed = engine.liquidations(limit=size * 2)
    assert (len(listed), int(listed[0]["seq"]), int(listed[-1]["seq"])) == (size, 11, size + 10)
