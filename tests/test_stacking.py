"""What was traded, pulled and stacked at each price, and the topics that tell it, against dictionaries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import T0, Row, diff, examples, snapshot, tape, trade, universe
from tapewatch.book.ladder import NO_EDGE
from tapewatch.book.stacking import SLOTS, WINDOW_S, in_window
from tapewatch.engine import Engine
from tapewatch.hub.requests import Catalogue
from tapewatch.hub.wire import decode
from tapewatch.lab.lab import Study
from tapewatch.lab.prints import PRINTS, closed_since
from tapewatch.model.errors import UsageError

MID = 10_000
TICKS = 16
LOW = MID - TICKS // 2


def studied() -> tuple[Engine, Study]:
    engine = Engine(universe("BTCUSDT"))
    engine.follow_book(0)
    return engine, engine.lab.study(engine.universe[0])


def opened(at: int = T0) -> list[Row]:
    """A live book: bids 9999 and 9998, asks 10001 and 10002."""
    return [
        snapshot(10, [(9_999, 5), (9_998, 7)], [(10_001, 6), (10_002, 8)], ts_ms=at),
        diff(9, 10, 8, ts_ms=at),
    ]


def rows_of(study: Study, now_ms: int) -> dict[int, list[int]]:
    """Ticks where anything happened: bid pulled, bid stacked, ask pulled, ask stacked."""
    window = in_window(study.state.stack, LOW, TICKS, now_ms)
    assert window.min() >= 0
    return {LOW + k: row.tolist() for k, row in enumerate(window) if row.any()}


def test_a_level_that_shrinks_was_pulled_but_for_what_was_executed() -> None:
    engine, study = studied()
    late = T0 + 20_000
    rows = [
        *opened(),
        diff(11, 11, 10, [(9_999, 15)], ts_ms=late),  # 10 placed
        trade(1, late + 30, 9_999, 4, sell=True),
        diff(12, 12, 11, [(9_999, 3)], ts_ms=late + 100),  # 12 less, of which 4 executed: 8 withdrawn
        diff(13, 13, 12, [], [(10_001, 1)], ts_ms=late + 200),  # 5 less, and the print comes later
        trade(2, late + 150, 10_001, 5),
        trade(3, late + 260, 10_002, 3),  # executed and placed again before a diff could show it
    ]
    engine.apply(tape(rows))
    assert rows_of(study, late + 300) == {9_999: [8, 10, 0, 0], 10_002: [0, 0, 0, 3]}


def test_nothing_is_said_of_a_window_that_was_not_watched_whole() -> None:
    engine, study = studied()
    engine.apply(tape(opened()))
    stack = study.state.stack
    assert (in_window(stack, LOW, TICKS, T0 + (WINDOW_S - 2) * 1_000) == -1).all()
    assert (in_window(stack, LOW, TICKS, T0 + WINDOW_S * 1_000) == 0).all()
    assert (in_window(stack, MID + SLOTS, 4, T0 + WINDOW_S * 1_000) == -1).all()
    # A broken chain ends the watch; it begins anew with the next snapshot.
    late = T0 + 60_000
    engine.apply(tape([diff(50, 51, 49, ts_ms=late)]))
    assert (in_window(stack, LOW, TICKS, late) == -1).all()
    engine.apply(tape([snapshot(50, [(9_999, 50)], [(10_001, 60)], ts_ms=late), diff(52, 52, 51, ts_ms=late)]))
    assert (in_window(stack, LOW, TICKS, late + 5_000) == -1).all()
    assert (in_window(stack, LOW, TICKS, late + WINDOW_S * 1_000) == 0).all()


@st.composite
def events(draw: st.DrawFn) -> list[tuple[str, int, int, int, bool]]:
    """Diffs and prints in event time, some prints told late: (what, ms, tick, lots, sell)."""
    out, at = [], T0 + WINDOW_S * 1_000
    for _ in range(draw(st.integers(0, 40))):
        at += draw(st.sampled_from([0, 40, 300, 1_100, 4_000]))
        tick = draw(st.integers(LOW, LOW + TICKS - 1).filter(lambda tick: tick != MID))
        if draw(st.booleans()):
            out.append(("diff", at, tick, draw(st.integers(0, 9)), False))
        else:
            out.append(("print", at - draw(st.sampled_from([0, 90, 600])), tick, draw(st.integers(1, 9)), tick < MID))
    return out


@examples(120)
@given(events())
def test_pulled_and_stacked_follow_their_definition(drawn: list[tuple[str, int, int, int, bool]]) -> None:
    engine, study = studied()
    rows, u = opened(), 10
    standing = Counter({9_999: 5, 9_998: 7, 10_001: 6, 10_002: 8})
    added: Counter[tuple[int, int]] = Counter()
    cut: Counter[tuple[int, int]] = Counter()
    hit: Counter[tuple[int, int]] = Counter()
    for k, (what, at, tick, lots, sell) in enumerate(drawn):
        if what == "diff":
            u += 1
            rows.append(diff(u, u, u - 1, *([(tick, lots)], []) if tick < MID else ([], [(tick, lots)]), ts_ms=at))
            (added if lots > standing[tick] else cut)[tick, at // 1_000] += abs(lots - standing[tick])
            standing[tick] = lots
        else:
            rows.append(trade(k + 1, at, tick, lots, sell=sell))
            hit[tick, at // 1_000] += lots
    engine.apply(tape(rows))
    if engine.book_state(0).value != "live":  # a side has run dry
        return
    now = engine.clock_ms
    window = range(now // 1_000 - WINDOW_S + 1, now // 1_000 + 1)
    expected = {}
    for tick in range(LOW, LOW + TICKS):
        a, c, h = (sum(of[tick, second] for second in window) for of in (added, cut, hit))
        row = [max(0, c - h), a + max(0, h - c)]
        expected[tick] = [*row, 0, 0] if tick < MID else [0, 0, *row]
    got = in_window(study.state.stack, LOW, TICKS, now)
    if study.state.stack.since_ms.max() <= window.start * 1_000 and got.min() >= 0:
        assert {LOW + k: row.tolist() for k, row in enumerate(got)} == expected


def test_the_watch_follows_the_price_and_knows_what_came_into_it() -> None:
    engine, study = studied()
    far = MID + SLOTS // 2 + 50
    rows = [*opened(), diff(11, 11, 10, [], [(far, 9)])]
    up = MID + SLOTS // 2
    rows.append(diff(12, 12, 11, [(up - 5, 4)], [(10_001, 0), (10_002, 0), (up, 7)], ts_ms=T0 + 1_000))
    rows.append(diff(13, 13, 12, [], [(far, 2)], ts_ms=T0 + 20_000))
    engine.apply(tape(rows))
    assert in_window(study.state.stack, far, 1, T0 + 20_000).tolist() == [[0, 0, 7, 0]]


@examples(60)
@given(
    st.lists(
        st.tuples(st.integers(-90, 90), st.integers(9_990, 10_010), st.integers(1, 50), st.booleans()), max_size=60
    )
)
def test_traded_at_a_price_is_the_sum_of_the_days_prints(drawn: list[tuple[int, int, int, bool]]) -> None:
    """Of today, in any order, gaps filled late included; yesterday's are left out."""
    midnight = T0 // 86_400_000 * 86_400_000
    engine = Engine(universe("BTCUSDT"))
    rows = [(midnight + minute * 60_000, price, lots, sell) for minute, price, lots, sell in drawn]
    engine.apply(tape(trade(k + 1, at, price, lots, sell=sell) for k, (at, price, lots, sell) in enumerate(rows)))
    expected = np.zeros((8, 2), np.int64)
    for at, price, lots, sell in rows:
        if at >= engine.clock_ms // 86_400_000 * 86_400_000 and 9_996 <= price < 10_004:
            expected[price - 9_996, 0 if sell else 1] += lots
    assert engine.traded(0, 9_996, 8).tolist() == expected.tolist()


def test_prints_of_one_price_and_side_are_one_until_the_column_ends() -> None:
    engine, study = studied()
    rows = [trade(k + 1, T0 + 10 * k, 100 + (k == 3), 2, sell=k == 2) for k in range(5)]
    engine.apply(tape([*opened(), *rows, trade(6, T0 + 260, 100, 1)]))
    closed = closed_since(study.state.prints, 0)
    assert [tuple(row) for row in closed.tolist()] == [
        (T0, 100, 4, 1), (T0 + 20, 100, 2, -1), (T0 + 30, 101, 2, 1), (T0 + 40, 100, 2, 1)
    ]  # fmt: skip
    assert len(closed_since(study.state.prints, 3)) == 1
    engine.apply(tape(trade(k + 7, T0 + 1_000 + k * 250, 100, 1) for k in range(PRINTS + 5)))
    newest = closed_since(study.state.prints, 0)
    assert len(newest) == PRINTS - 1
    assert newest["ts_ms"].tolist() == sorted(newest["ts_ms"].tolist())


# ---------------------------------------------------------------- the topics


class OneMarket:
    """A venue of one engine."""

    name = "binance"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tickers: dict[str, Any] = {}
        self.interest: dict[str, Any] = {}

    def ask(self, symbol: str) -> None:
        """There is nothing else to follow."""


def catalogue(engine: Engine) -> Catalogue:
    return Catalogue({"binance": OneMarket(engine)}, dict, lambda: T0)


def read(topic: Any) -> Any:
    (payload,) = topic.refresh()
    return decode(payload)


def test_the_ladder_tells_what_the_book_and_the_tape_hold() -> None:
    engine, _ = studied()
    late = T0 + 20_000
    engine.apply(tape([*opened(), trade(1, T0, 10_001, 3), trade(2, T0 + 5, 9_999, 2, sell=True)]))
    topic = catalogue(engine).request("ladder", {"step": "0.2", "rows": 10}).make()
    assert topic.key == "ladder:binance:BTCUSDT:0.2:10"
    frame = read(topic)
    meta, columns = frame.header["meta"], frame.columns
    assert (meta["base"], meta["step"], meta["state"]) == (9_990, 2, "live")
    assert (meta["bid"], meta["ask"], meta["last"], meta["last_side"]) == (9_999, 10_001, 9_999, -1)
    edge = {name: dict(zip(range(9_990, 10_010, 2), columns[name].tolist(), strict=True)) for name in columns}
    assert {p: lots for p, lots in edge["bid"].items() if lots} == {9_998: 12}
    assert {p: lots for p, lots in edge["ask"].items() if lots} == {10_000: 6, 10_002: 8}
    assert (edge["sold"][9_998], edge["bought"][10_000], columns["sold"].sum()) == (2, 3, 2)
    assert np.isnan(columns["bid_pulled"]).all()  # ten seconds have not been watched yet
    engine.apply(tape([diff(11, 11, 10, [(9_999, 1)], ts_ms=late)]))
    frame = read(topic)
    pulled = dict(zip(range(9_990, 10_010, 2), frame.columns["bid_pulled"].tolist(), strict=True))
    assert {p: lots for p, lots in pulled.items() if lots} == {9_998: 4}  # the print at 9999 was ten seconds ago


def test_the_ladder_hides_what_is_not_known() -> None:
    engine, _ = studied()
    rows = [snapshot(10, [(9_999, 5)], [(10_001, 6)], known=(9_997, 10_003)), diff(9, 10, 8)]
    engine.apply(tape(rows))
    topic = catalogue(engine).request("ladder", {"rows": 12}).make()
    frame = read(topic)
    base = frame.header["meta"]["base"]
    known = [base + k for k, lots in enumerate(frame.columns["bid"].tolist()) if not np.isnan(lots)]
    assert known == list(range(9_997, 10_004))
    engine.apply(tape([diff(30, 31, 29, ts_ms=T0 + 10)]))
    frame = read(topic)
    assert frame.header["meta"]["state"] == "stale"
    assert frame.header["meta"]["bid"] is None
    assert np.isnan(frame.columns["bid"]).all()


def test_the_ladder_stays_where_it_is_until_the_price_has_gone_far() -> None:
    engine, _ = studied()
    engine.apply(tape(opened()))
    topic = catalogue(engine).request("ladder", {"rows": 100}).make()
    bases = [read(topic).header["meta"]["base"]]
    for k, mid in enumerate((10_020, 10_024, 10_040)):
        at = T0 + 1_000 * (k + 1)
        asks = [*((mid - d, 0) for d in range(60)), (mid + 1, 5)]
        engine.apply(tape([diff(11 + k, 11 + k, 10 + k, [(mid - 1, 5)], asks, ts_ms=at)]))
        bases.append(read(topic).header["meta"]["base"])
    assert bases[0] == bases[1] == 9_950
    assert bases[-1] > bases[0]


def test_a_ladder_too_wide_is_refused_with_what_is_allowed() -> None:
    engine, _ = studied()
    with pytest.raises(UsageError, match=r"step = 50 is refused; allowed with 200 rows: up to 10$"):
        catalogue(engine).request("ladder", {"step": "50"})
    assert catalogue(engine).request("ladder", {}).key == "ladder:binance:BTCUSDT:0.1:200"


def test_heatmap_columns_and_prints_come_once_and_in_order() -> None:
    engine, study = studied()
    engine.apply(tape([*opened(), trade(1, T0, 10_001, 3)]))
    topic = catalogue(engine).request("heatmap", {}).make()
    first = read(topic)
    assert first.header["meta"]["state"] == "live"
    shown = [*first.columns["p_ts_ms"].tolist()]
    stamps = [*first.columns["ts_ms"].tolist()]
    for k in range(4):
        engine.apply(tape([trade(2 + k, T0 + 300 * (k + 1), 10_001, 1 + k)]))
        frame = read(topic)
        shown += frame.columns["p_ts_ms"].tolist()
        stamps += frame.columns["ts_ms"].tolist()
    assert shown == [T0, T0 + 300, T0 + 600, T0 + 900]
    assert stamps == list(range(T0 + 250, T0 + 1_250, 250))
    (payload,) = topic.snapshot()
    assert isinstance(payload, bytes)
    whole = decode(payload)
    assert whole.columns["p_ts_ms"].tolist() == shown
    column = dict(zip(study.columns()[-1].dtype.names or (), study.columns()[-1].tolist(), strict=True))
    lots = whole.columns["lots"].reshape(-1, whole.header["meta"]["bins"])[-1]
    at = {int(column["base"] + k * column["step"]): value for k, value in enumerate(lots.tolist()) if value}
    assert at == {9_998: 7, 9_999: 5, 10_001: -6, 10_002: -8}
    assert NO_EDGE > column["ask"] == 10_001
