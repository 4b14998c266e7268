"""Whales: parent orders by money, by symbol and against average daily volume."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tapes import T0, Row, cuts, diff, examples, snapshot, tape, trade, universe
from tapewatch.engine import Engine
from tapewatch.model.thresholds import Thresholds

SCALE = Decimal("0.0001")
"""Quote currency of a tick x lot of the default grid."""


def whales(engine: Engine) -> list[tuple[int, Decimal, int, int, int]]:
    """(side, notional, prints, first and last ms after T0), by id."""
    rows = engine.whales()
    rows = rows[rows["id"].argsort()]
    return [
        (-1 if row["sell"] else 1, int(row["quote"]) * SCALE, int(row["trades"]), int(row["start_ms"]) - T0,
         int(row["ts_ms"]) - T0)
        for row in rows
    ]  # fmt: skip


def test_a_parent_order_of_half_a_million_is_a_whale_and_grows_in_place() -> None:
    engine = Engine(universe())
    prints = [trade(1, T0, 500_000, 4_000), trade(2, T0 + 60, 500_000, 5_999), trade(3, T0 + 120, 500_010, 1)]
    engine.apply(tape(prints[:2]))
    assert whales(engine) == []  # 499,950 of 500,000
    engine.apply(tape(prints[2:]))
    assert whales(engine) == [(1, Decimal("500000.0010"), 3, 0, 120)]
    engine.apply(tape([trade(4, T0 + 180, 500_000, 100_000)]))
    ((side, notional, count, _, last),) = whales(engine)
    assert (side, count, last) == (1, 4, 180)
    assert notional == (9_999 + 100_000) * 500_000 * SCALE + 500_010 * SCALE
    assert engine.whales()["open"][0] == 1
    engine.apply(tape([trade(5, T0 + 200, 500_000, 1, sell=True)]))
    assert engine.whales()["open"][0] == 0


def test_a_whale_of_its_symbol_is_a_share_of_the_average_day() -> None:
    engine = Engine(universe("BTCUSDT", "TINYUSDT"))
    engine.set_adv(1, Decimal(10_000_000), 30)  # 0.5 % of it: 50,000
    engine.apply(tape([trade(1, T0, 500_000, 1_001), trade(1, T0, 500_000, 1_001, i=1)]))
    (row,) = engine.whales()
    assert (int(row["instrument"]), round(float(row["pct_of_adv"]), 4)) == (1, 0.5005)


def test_thresholds_of_one_symbol() -> None:
    engine = Engine(universe("BTCUSDT", "ETHUSDT"))
    engine.override("ETHUSDT", msgspec.structs.replace(Thresholds(), whale_notional=10_000.0))
    engine.apply(tape([trade(1, T0, 500_000, 200), trade(1, T0, 500_000, 200, i=1)]))
    assert engine.whales()["instrument"].tolist() == [1]


def test_a_whale_says_what_the_book_held_when_it_came() -> None:
    engine = Engine(universe())
    engine.follow_book(0)
    book = [snapshot(1000, [(499_990, 1_000)], [(500_000, 2_000), (600_000, 9_000)]), diff(999, 1000, 998)]
    engine.apply(tape([*book, trade(1, T0, 500_000, 20_000), diff(1001, 1002, 1000, [], [(500_000, 0)])]))
    assert engine.whales()["depth_quote"].tolist() == [500_000 * 2_000]


@st.composite
def prints(draw: st.DrawFn) -> tuple[list[Row], list[tuple[int, int]]]:
    rows, at = [], T0
    for k in range(1, draw(st.integers(1, 40))):
        at += draw(st.sampled_from([0, 20, 90, 100, 101, 400]))
        lots = draw(st.sampled_from([10, 900, 4_000, 9_000, 11_000, 120_000]))
        rows.append(trade(k, at, 500_000 + draw(st.integers(-5, 5)), lots, sell=draw(st.booleans())))
    return rows, cuts(draw, len(rows))


@examples(60)
@given(prints())
def test_whales_are_those_of_plain_arithmetic_for_any_cut(drawn: tuple[list[Row], list[tuple[int, int]]]) -> None:
    rows, parts = drawn
    engine = Engine(universe())
    for start, stop in parts:
        engine.apply(tape(rows[start:stop]))
    expected: list[tuple[int, Decimal, int, int, int]] = []
    order: list[Row] = []
    for row in [*rows, None]:
        same = order and row and (row.columns["flags"] == order[-1].columns["flags"])
        if order and not (same and row and row.columns["ts_ms"] - order[-1].columns["ts_ms"] <= 100):
            notional = sum(one.columns["price"] * one.columns["qty"] for one in order) * SCALE
            if notional >= 500_000:
                side = -1 if order[0].columns["flags"] & 1 else 1
                first, last = (one.columns["ts_ms"] - T0 for one in (order[0], order[-1]))
                expected.append((side, notional, len(order), first, last))
            order = []
        if row:
            order.append(row)
    assert whales(engine) == expected
