"""Features against straightforward computations from their formulas: on random books, and on every update recorded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapes import T0, Row, cuts, diff, examples, quote, snapshot, tape, trade, universe
from tapewatch.book import microprice
from tapewatch.book.ladder import NO_EDGE
from tapewatch.engine import Engine
from tapewatch.flow.pressure import BUCKETS, fit_line, integrated_ofi
from tapewatch.lab.lab import MAX_STUDIED, Study
from tapewatch.lab.table import columns_of, reason_of, window_of
from tapewatch.model.features import BPS_DEPTHS, FEATURES, LEVEL_DEPTHS, SLOPE_BPS, TOP, UNKNOWN
from tapewatch.model.tape import Kind, Tape
from tapewatch.replay import Recording, Stage

Side = NDArray[np.int64]
"""One side of a book, best first: rows of (tick, lots)."""
RELATIVE = 1e-12


# ---------------------------------------------------------------- the formulas, written down plainly


def depth_by_levels(side: Side, n: int, *, closed: bool) -> int:
    """Lots in the best n levels; `closed`: the snapshot was cut, so fewer than n levels are not all there are."""
    return UNKNOWN if closed and len(side) < n else int(side[:n, 1].sum())


def depth_by_bps(side: Side, double_mid: int, bps: int, edge: int | None) -> tuple[int, int]:
    if edge is not None and abs(double_mid - 2 * edge) * 10_000 < bps * double_mid:
        return UNKNOWN, UNKNOWN
    price, lots = side[np.abs(2 * side[:, 0] - double_mid) * 10_000 <= bps * double_mid].T
    return int(lots.sum()), int((price * lots).sum())


def vamp(bids: Side, asks: Side) -> float:
    if len(bids) < TOP or len(asks) < TOP:
        return math.nan
    (pb, qb), (pa, qa) = bids[:TOP].T, asks[:TOP].T
    return float(Fraction(int((pb * qa + pa * qb).sum()), int((qa + qb).sum())))


def naes_skjeltorp(side: Side, mid: float) -> float:
    if len(side) < TOP or side[0, 1] <= 1:
        return math.nan
    v, p = np.log(side[:TOP, 1].cumsum()), side[:TOP, 0]
    first = v[0] / (abs(p[0] - mid) / mid)
    return float(first + ((v[1:] / v[:-1] - 1) / (np.abs(p[1:] - p[:-1]) / p[:-1])).sum()) / TOP


def depth_per_bp(side: Side, double_mid: int, edge: int | None) -> float:
    if edge is not None and abs(double_mid - 2 * edge) * 10_000 < SLOPE_BPS * double_mid:
        return math.nan
    price, lots = side[np.abs(2 * side[:, 0] - double_mid) * 10_000 <= SLOPE_BPS * double_mid].T
    x, y = np.abs(2 * price - double_mid) / double_mid * 10_000, (price * lots).cumsum()
    return float(x @ y / (x @ x)) if len(x) else math.nan


def assert_book_features(now: np.void, bids: Side, asks: Side, low: int, high: int) -> None:
    bids, asks = (side[(low <= side[:, 0]) & (side[:, 0] <= high)] for side in (bids, asks))
    (bid, bid_lots), (ask, ask_lots) = bids[0].tolist(), asks[0].tolist()
    double_mid = bid + ask
    assert (now["bid"], now["bid_lots"], now["ask"], now["ask_lots"]) == (bid, bid_lots, ask, ask_lots)
    assert now["weighted_mid"] == float(Fraction(bid * ask_lots + ask * bid_lots, bid_lots + ask_lots))
    assert same(now["depth_weighted"], vamp(bids, asks), 0)
    for name, side, edge in (("bid", bids, low or None), ("ask", asks, high if high < NO_EDGE else None)):
        closed = edge is not None
        assert now[f"{name}_levels"].tolist() == [depth_by_levels(side, n, closed=closed) for n in LEVEL_DEPTHS]
        by_bps = [depth_by_bps(side, double_mid, bps, edge) for bps in BPS_DEPTHS]
        assert now[f"{name}_bps"].tolist() == [lots for lots, _ in by_bps]
        assert now[f"{name}_bps_quote"].tolist() == [quote for _, quote in by_bps]
        assert same(now[f"{name}_slope"], naes_skjeltorp(side, double_mid / 2), RELATIVE)
        assert same(now[f"{name}_per_bp"], depth_per_bp(side, double_mid, edge), RELATIVE)


def same(one: float, other: float, relative: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= relative * abs(other)


def cks(now: np.void, before: np.void) -> int:
    """e_n of Cont, Kukanov, Stoikov (2014) for two QUOTE rows."""
    e = int(now["qty"]) * (now["price"] >= before["price"]) - int(before["qty"]) * (now["price"] <= before["price"])
    e -= int(now["qty2"]) * (now["price2"] <= before["price2"])
    return int(e + int(before["qty2"]) * (now["price2"] >= before["price2"]))


# ---------------------------------------------------------------- random books

side_of = st.dictionaries(st.integers(1, 40), st.integers(1, 500), min_size=1, max_size=30)


@examples(100)
@given(side_of, side_of, st.sampled_from([1_000, 20_000, 600_000]), st.integers(0, 45))
def test_features_of_a_book_follow_their_formulas(
    below: dict[int, int], above: dict[int, int], mid: int, reach: int
) -> None:
    bids = sorted(((mid - d, q) for d, q in below.items()), reverse=True)
    asks = sorted((mid + d, q) for d, q in above.items())
    known = (min(mid - reach, bids[0][0]), max(mid + reach, asks[0][0])) if reach else (0, 0)
    study = live_study(snapshot(10, bids, asks, known=known), diff(9, 11, 8))
    low, high = known[0], known[1] or NO_EDGE
    assert_book_features(study.state.now[0], np.array(bids), np.array(asks), low, high)


def live_study(*rows: Row) -> Study:
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    study = engine.lab.study(engine.universe[0])
    engine.apply(tape(rows))
    assert study.state.now[0]["live"] == 1
    return study


def test_golden_weighted_mid_and_best_level_ofi() -> None:
    """Reference examples: bid 100 x 1, ask 101 x 3; and -7, +12, +3 for four quotes in a row."""
    study = live_study(snapshot(10, [(100, 1)], [(101, 3)]), diff(9, 11, 8))
    assert study.state.now[0]["weighted_mid"] == 100.25
    quotes = [(100, 10, 101, 8), (100, 7, 101, 12), (100, 7, 102, 5), (101, 3, 102, 5)]
    engine = Engine(universe("BTCUSDT"))
    study = engine.lab.study(engine.universe[0])
    sums = []
    for k, best in enumerate(quotes):
        engine.apply(tape([quote(k + 1, T0 + k, *best)]))
        sums.append(int(study.state.now[0]["quote_ofi"]))
    assert [b - a for a, b in pairwise(sums)] == [-7, 12, 3]


def test_levels_that_a_snapshot_brings_to_light_are_no_order_flow() -> None:
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    study = engine.lab.study(engine.universe[0])
    engine.apply(tape([snapshot(10, [(99, 5)], [(101, 5)]), diff(9, 11, 8), diff(12, 12, 11, [(98, 3)])]))
    assert (study.state.now[0]["d_bid"], study.state.now[0]["updates"]) == (3, 1)
    engine.apply(tape([diff(20, 21, 19, [(97, 9)]), snapshot(20, [(99, 500)], [(101, 5)]), diff(22, 22, 21)]))
    assert (study.state.now[0]["d_bid"], study.state.now[0]["updates"]) == (3, 2)


# ---------------------------------------------------------------- rows in any batches


@st.composite
def sessions(draw: st.DrawFn) -> list[Row]:
    """A live book with diffs, quotes and prints, now and then a lost diff."""
    rows = [snapshot(10, [(990 - k, 5 + k) for k in range(12)], [(1_000 + k, 7) for k in range(12)]), diff(9, 10, 8)]
    at, u = T0, 10
    for k in range(draw(st.integers(5, 40))):
        at += draw(st.sampled_from([0, 7, 90, 251, 1_500]))
        match draw(st.sampled_from(["diff", "diff", "quote", "print", "gap"])):
            case "diff":
                changes = draw(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 9)), max_size=4))
                rows.append(diff(u + 1, u + 1, u, [(990 - d, q) for d, q in changes], [], ts_ms=at))
                u += 1
            case "quote":
                rows.append(quote(k + 1, at, 990, draw(st.integers(1, 9)), 1_000 + draw(st.integers(0, 3)), 4))
            case "print":
                rows.append(trade(k + 1, at, 1_000, draw(st.integers(1, 9)), sell=draw(st.booleans())))
            case _:
                rows.append(diff(u + 5, u + 6, u + 4, [], [], ts_ms=at))
                rows.append(snapshot(u + 5, [(990, 4)], [(1_000, 7)], ts_ms=at))
                u += 6
    return rows


@st.composite
def sessions_and_cuts(draw: st.DrawFn) -> tuple[Tape, list[tuple[int, int]]]:
    whole = tape(draw(sessions()))
    return whole, cuts(draw, len(whole))


@examples(40)
@given(sessions_and_cuts())
def test_the_cut_into_batches_changes_no_bit(drawn: tuple[Tape, list[tuple[int, int]]]) -> None:
    whole, parts_drawn = drawn
    states = []
    for parts in ([(0, len(whole))], parts_drawn):
        engine = Engine(universe("BTCUSDT"))
        engine.follow_book(0)
        study = engine.lab.study(engine.universe[0])
        for start, stop in parts:
            engine.apply(whole.slice(start, stop))
        states.append(b"".join(leaf.tobytes() for leaf in leaves(study.state)))
    assert states[0] == states[1]


def leaves(state: Any) -> Iterator[np.ndarray[Any, Any]]:
    for part in state:
        if isinstance(part, tuple):
            yield from leaves(part)
        else:
            yield part


def test_studies_are_bounded_and_the_one_least_asked_for_goes() -> None:
    symbols = [f"S{k:02}USDT" for k in range(MAX_STUDIED + 2)]
    engine = Engine(universe(*symbols))
    engine.lab.study(engine.universe[0], pinned=True)
    for i in range(1, MAX_STUDIED):
        engine.lab.study(engine.universe[i])
    engine.lab.study(engine.universe[1])
    engine.lab.study(engine.universe[MAX_STUDIED])
    assert engine.lab.given_up == 1
    assert set(engine.lab.studies) == set(range(MAX_STUDIED + 1)) - {2}
    assert engine.lab.watch.studied.sum() == MAX_STUDIED


# ---------------------------------------------------------------- every update of the recordings


class PlainBook:
    """Two dictionaries."""

    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def set(self, levels: np.ndarray[Any, Any], bids: int) -> None:
        for k, (price, lots) in enumerate(levels.tolist()):
            side = self.sides[k >= bids]
            if lots:
                side[price] = lots
            else:
                side.pop(price, None)

    def read(self) -> tuple[Side, Side]:
        bids, asks = (np.array(list(side.items()), np.int64) for side in self.sides)
        return bids[np.argsort(-bids[:, 0])], asks[np.argsort(asks[:, 0])]


def watched(recording: Recording, stage: Stage) -> Iterator[tuple[Tape, np.void]]:
    """Each row after the engine has taken it in, alone, with the batch its levels are in."""
    for tape_ in recording.play(stage):
        batch = tape_.copy()
        for k in range(len(batch)):
            stage.engine.apply(batch.slice(k, k + 1))
            yield batch, batch.rows[k]


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_every_update_of_a_recording(data_dir: Path, symbol: str) -> None:
    """Book features on every diff, and the sums of every second, against dictionaries and fractions."""
    recording = Recording.load(sorted((data_dir / "binance_usdm").glob(f"usdm_{symbol}_202407*")))
    stage = recording.stage()
    study = stage.engine.lab.study(stage.engine.universe[0])
    books = stage.engine.sync.ladders.books
    plain, last_quote, checked, seconds = PlainBook(), None, 0, 0
    sums: dict[str, int] = {}
    pending: list[tuple[Tape, np.void]] = []
    previous: tuple[Side, Side] | None = None
    taken = 0
    for batch, row in watched(recording, stage):
        if study.state.meta[0] > taken:  # beats come before the row that passes them
            for name, value in sums.items():
                sample = study.samples()[taken - int(study.state.meta[0])]
                assert sample[name] == value, (name, seconds)
            sums, taken, seconds = {}, int(study.state.meta[0]), seconds + 1
        if row["kind"] == Kind.QUOTE:
            if last_quote is not None:
                sums["quote_ofi"] = sums.get("quote_ofi", 0) + cks(row, last_quote)
            last_quote = row.copy()
        elif row["kind"] == Kind.TRADE:
            name = "sell" if row["flags"] & 1 else "buy"
            sums[name] = sums.get(name, 0) + int(row["qty"])
        elif row["kind"] == Kind.DEPTH:
            levels = batch.levels[row["level_at"] :][: row["bids"] + row["asks"]]
            if previous is None:
                pending.append((batch, row))
                if books[0]["state"] != 3:
                    continue
                # The book has just become live: its snapshot, then the diffs that reach beyond it.
                snap = next(k for k, (_, r) in enumerate(pending) if r["flags"] & 16)
                order = [pending[snap], *(p for k, p in enumerate(pending) if k != snap)]
                for held, r in order:
                    if r["flags"] & 16 or r["last_id"] >= order[0][1]["last_id"]:
                        plain.set(held.levels[r["level_at"] :][: r["bids"] + r["asks"]], int(r["bids"]))
                previous = plain.read()
            else:
                plain.set(levels, int(row["bids"]))
                bids, asks = plain.read()
                low, high = int(books[0]["low"]), int(books[0]["high"])
                for name, k, now in (("d_bid", 0, bids), ("d_ask", 1, asks)):
                    change = now[:TOP, 1].sum() - previous[k][:TOP, 1].sum()
                    sums[name] = sums.get(name, 0) + int(change)
                previous = (bids, asks)
                assert_book_features(study.state.now[0], bids, asks, low, high)
                checked += 1
    assert checked > 8_800
    assert seconds > 470
    columns = columns_of(study.samples(), quotes_heard=True)
    window = window_of(study, study.samples(), columns)
    assert window.kyle is not None
    assert window.kyle.slope > 0, "buying moves the price up"
    assert study.fitted_ms > 0


# ---------------------------------------------------------------- estimators


def test_the_microprice_of_a_market_that_follows_imbalance() -> None:
    """Heavy bids are followed by a move of one tick up, heavy asks by one down: g is odd."""
    counts = microprice.new_counts()
    rng = np.random.default_rng(7)
    bid = 1_000
    for k in range(6_000):
        heavy = int(rng.integers(0, 2))
        lots = (9, 1) if heavy else (1, 9)
        microprice.on_quote(counts, bid, lots[0], bid + 1, lots[1], k)
        if rng.random() < 0.3:
            bid += 1 if heavy else -1
    adjustment = microprice.fit(counts)
    assert adjustment is not None
    up = microprice.state_of.py_func(bid, 9, bid + 1, 1)  # type: ignore[attr-defined]
    down = microprice.state_of.py_func(bid, 1, bid + 1, 9)  # type: ignore[attr-defined]
    assert adjustment[up] == pytest.approx(-adjustment[down], rel=1e-12)
    # The move comes with probability 0.3; with the next quote the imbalance is a coin's toss, whose expectation is 0.
    assert adjustment[up] == pytest.approx(0.3, abs=0.05)
    assert np.isnan(adjustment[microprice.state_of.py_func(bid, 5, bid + 3, 5)])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("adjustment", "told"), [(1.0, 101.5), (-1.0, 99.5), (1.01, math.nan), (math.nan, math.nan)])
def test_no_microprice_further_from_the_mid_than_the_spread(adjustment: float, told: float) -> None:
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    study = engine.lab.study(engine.universe[0])
    engine.apply(tape([snapshot(10, [(100, 5)], [(101, 5)]), diff(9, 11, 8), quote(1, T0 + 1, 100, 5, 101, 5)]))
    study.state.adjustment[:] = adjustment
    engine.apply(tape([quote(2, T0 + 2_000, 100, 5, 101, 5)]))
    sample = study.state.samples[study.state.meta[0] - 1]
    assert sample["stoikov"] == pytest.approx(told, abs=0, nan_ok=True)


def test_no_microprice_from_few_quotes() -> None:
    counts = microprice.new_counts()
    for k in range(100):
        microprice.on_quote(counts, 1_000 + k % 2, 5, 1_002, 5, k)
    assert microprice.fit(counts) is None


def test_the_line_is_the_textbooks() -> None:
    x = np.arange(40.0)
    y = 3 + 0.5 * x + np.where(np.arange(40) % 2, 1.0, -1.0)
    line = fit_line(x, y)
    assert line is not None
    slope, intercept = np.polyfit(x, y, 1)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept), rel=1e-12)
    assert line.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-12)
    assert fit_line(x[:20], y[:20]) is None
    assert fit_line(np.ones(40), y) is None


def test_the_integrated_ofi_weighs_levels_that_move_together_alike() -> None:
    common = np.random.default_rng(3).normal(size=200)
    levels = np.repeat(common[:, None], TOP, axis=1)
    integrated = integrated_ofi(levels)
    assert integrated is not None
    weights, share = integrated
    assert weights == pytest.approx(np.full(TOP, 0.1))
    assert share == pytest.approx(1.0)


def test_vpin_of_one_sided_and_of_balanced_flow() -> None:
    for sides, expected in (((False, False), 1.0), ((False, True), 0.0)):
        engine = Engine(universe("BTCUSDT"))
        study = engine.lab.study(engine.universe[0])
        study.state.cost["bucket"] = 20_000
        rows = [trade(k + 1, T0 + k, 1_000, 10, sell=sides[k % 2]) for k in range(2 * BUCKETS + 20)]
        engine.apply(tape(rows))
        columns = columns_of(study.samples(), quotes_heard=False)
        window = window_of(study, study.samples(), columns)
        assert (window.vpin, window.vpin_buckets) == (expected, BUCKETS)


def test_spreads_paid_and_kept() -> None:
    """A buy at the ask 1002 of 1000 x 1002 pays 2 x 1 / 1001; five seconds later the mid is 1003: it has earned."""
    engine = Engine(universe("BTCUSDT"))
    study = engine.lab.study(engine.universe[0])
    rows = [quote(1, T0, 1_000, 5, 1_002, 5), trade(1, T0 + 1, 1_002, 10), quote(2, T0 + 2_000, 1_002, 5, 1_004, 5)]
    engine.apply(tape([*rows, quote(3, T0 + 6_000, 1_010, 5, 1_012, 5)]))
    effective = sum(float(s["effective"]) for s in study.samples()) / 10
    assert effective == pytest.approx(2 / 1_001, rel=1e-12)
    realised = sum(float(s["realised"]) for s in study.samples()) / 10
    assert realised == pytest.approx(-2 / 1_003, rel=1e-12)


def test_every_figure_that_can_be_undefined_has_a_reason() -> None:
    empty = np.zeros(1, FEATURES)
    empty["stoikov"] = empty["depth_weighted"] = math.nan
    for live in (0, 1):
        empty["live"] = live
        for name, values in columns_of(empty, quotes_heard=False).items():
            if math.isnan(values[0]):
                assert reason_of(name, live=bool(live))
