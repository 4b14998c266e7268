"""The engine as a whole: any cut of a tape gives the same bytes, grids and listings change without losing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from row_market import Market
from tapes import T0, Row, cuts, diff, examples, liquidation, mark, quote, snapshot, tape, trade, universe
from tapewatch import engine as engine_module
from tapewatch.book.ladder import PAGE
from tapewatch.engine import Engine, Need
from tapewatch.flow.bigflow import NEVER
from tapewatch.model.errors import NotFoundError, OffGridError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import E8
from tapewatch.model.views import TIMEFRAMES_MS, BookState
from tapewatch.replay.report import state_hash

MINUTE, HOUR = 60_000, 3_600_000
REACHED_PAGES = 1_024


def arrays_of(engine: Engine) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Every state array of an engine by name; of the pool of levels what a few rows can have reached."""
    flow, ladders = engine.flow, engine.sync.ladders
    assert len(ladders.free) - ladders.meta[0] < REACHED_PAGES  # they are taken from the first on
    ladders = ladders._replace(lots=ladders.lots[: REACHED_PAGES * PAGE])
    for name, part in (
        ("seconds", flow.seconds),
        ("minutes", flow.minutes),
        ("big", flow.big),
        ("holes", flow.holes),
        ("quotes", engine.quotes),
    ):
        yield from ((f"{name}.{field}", getattr(part, field)) for field in part._fields)
    yield from (("trades", flow.trades), ("clock", np.array([engine.clock_ms])))
    yield from ((f"ladders.{field}", getattr(ladders, field)) for field in ladders._fields)


# -- any cut ----------------------------------------------------------------------------------------------------------


@st.composite
def cut_tapes(draw: st.DrawFn) -> tuple[list[Row], list[tuple[int, int]]]:
    rows = Market(draw).rows()
    return rows, cuts(draw, len(rows))


def three_markets() -> Engine:
    engine = Engine(universe("AUSDT", "BUSDT", "CUSDT"))
    engine.set_adv(0, Decimal(2_000_000), 30)
    engine.set_adv(2, Decimal(1), 30)
    engine.use_raw_trades(2)
    for i in (0, 1):
        engine.follow_book(i)
    return engine


@examples(120)
@given(cut_tapes())
def test_cutting_a_tape_differently_changes_no_byte(cut: tuple[list[Row], list[tuple[int, int]]]) -> None:
    """Whole, cut anywhere, and row by row: the same needs, the same hash, the same state arrays."""
    rows, pieces = cut
    whole = three_markets()
    needs = whole.apply(tape(rows))
    levels = tape(rows).levels
    for batches in ([tape(rows[a:b]) for a, b in pieces], [tape(rows).slice(k, k + 1) for k in range(len(rows))]):
        other = three_markets()
        assert [need for batch in batches for need in other.apply(batch)] == needs
        assert state_hash(other) == state_hash(whole)
        for (name, one), (_, two) in zip(arrays_of(whole), arrays_of(other), strict=True):
            assert np.array_equal(one.view(np.uint8), two.view(np.uint8)), name
        assert other.totals() == whole.totals()
        assert other.needs_by_reason == whole.needs_by_reason
    assert len(levels) == sum(len(row.bids) + len(row.asks) for row in rows)


def test_the_hash_tells_states_apart() -> None:
    """A canary: were the hash blind to a part, the property above would prove nothing about it."""
    rows = [trade(1, T0, 100, 1), quote(1, T0, 99, 1, 101, 1), quote(2, T0 + 1, 99, 2, 101, 1)]
    rows += [liquidation(T0, E8, 1, long=True), trade(2, T0 + 1, 100, 60_000_000, i=1)]
    books = [snapshot(1000, [(9, 1)], [(11, 1)]), diff(999, 1000, 998)]
    changed = [
        replace(rows[0], columns={**rows[0].columns, "price": 101}),
        replace(rows[2], columns={**rows[2].columns, "qty": 3}),
        replace(rows[3], columns={**rows[3].columns, "flags": 0}),
        replace(rows[4], columns={**rows[4].columns, "qty": 60_000_001}),
        replace(books[0], bids=[(9, 2)]),
    ]
    originals = [rows[0], rows[2], rows[3], rows[4], books[0]]
    hashes = set()
    for original, other in [(None, None), *zip(originals, changed, strict=True)]:
        engine = Engine(universe("AUSDT", "BUSDT"))
        engine.set_adv(1, Decimal(1_000_000), 30)
        engine.follow_book(0)
        engine.apply(tape([other if other and row is original else row for row in [*rows, *books]]))
        hashes.add(state_hash(engine))
    assert len(hashes) == 1 + len(changed)


def test_a_batch_larger_than_any_array_makes_room_as_it_goes() -> None:
    """Pages of a book and cells of candles run out in the middle of a batch."""
    engine = Engine(universe())
    engine.follow_book(0)
    spread = [(1_000_000 + 256 * k, 1 + k) for k in range(3_000)]
    rows = [snapshot(1000, [(5, 1)], [(10**7, 1)]), diff(1000, 1001, 999, spread)]
    rows += [trade(k, T0 + k, 10_000 + k, 1) for k in range(1, 30_000)]
    assert engine.apply(tape(rows)) == []
    assert engine.book(0, 10_000).bids.tolist() == [[tick, lots] for tick, lots in reversed(spread)] + [[5, 1]]
    view = engine.footprint(0, MINUTE, 1, 10)
    assert view.candles["n"].tolist() == [29_999]
    assert view.cells["price"].tolist() == list(range(39_999, 10_000, -1))
    for store in (engine.flow.seconds, engine.flow.minutes):
        assert store.meta[0] <= len(store.cells)


def test_an_empty_batch_changes_nothing() -> None:
    engine = three_markets()
    before = state_hash(engine)
    assert engine.apply(tape([])) == []
    assert state_hash(engine) == before
    assert engine.clock_ms == 0


# -- time -------------------------------------------------------------------------------------------------------------


def test_the_clock_is_the_newest_event_time_and_never_goes_back() -> None:
    engine = three_markets()
    seen = []
    for row in (
        quote(1, T0 + 5, 1, 1, 2, 1),
        quote(2, T0 + 3, 1, 1, 2, 1),
        mark(T0 + 9, 1, 1, 1, 1),
        trade(1, T0, 1, 1),
    ):
        engine.apply(tape([row]))
        seen.append(engine.clock_ms - T0)
    assert seen == [5, 5, 9, 9]


# -- grids ------------------------------------------------------------------------------------------------------------


def busy() -> Engine:
    """One instrument with something in every kind of state, and a neighbour that must not notice."""
    engine = Engine(universe("BTCUSDT", "ETHUSDT"))
    for i in (0, 1):
        engine.follow_book(i)
        engine.set_adv(i, Decimal(2_000_000), 30)
        engine.apply(
            tape(
                [
                    snapshot(1000, [(9_990, 5)], [(10_010, 7)], i=i), diff(999, 1000, 998, i=i),
                    quote(1, T0, 9_990, 5, 10_010, 7, i=i), quote(2, T0 + 1, 9_991, 5, 10_010, 7, i=i),
                    trade(1, T0, 10_000, 30_000, i=i), trade(2, T0 + 70_000, 10_013, 40_000, sell=True, i=i),
                    trade(5, T0 + 71_000, 9_987, 3, i=i), liquidation(T0, 10_000 * E8, 9, long=True, i=i),
                ]
            )
        )  # fmt: skip
    return engine


def money(engine: Engine, i: int = 0) -> dict[str, object]:
    """Everything an instrument shows, in decimals, so that it can be compared across grids."""
    instrument = engine.universe[i]
    tick, lot, notional = instrument.tick.to_decimal, instrument.lot.to_decimal, instrument.notional
    out: dict[str, object] = {}
    for tf, tf_ms in TIMEFRAMES_MS.items():
        step = instrument.step_ticks("0.5")
        view = engine.footprint(i, tf_ms, step, 100)
        out[tf] = [
            (int(c["open_ms"]), *(tick(c[k]) for k in ("open", "high", "low", "close")), lot(c["bid"]), lot(c["ask"]),
             notional(c["quote"]), lot(c["cvd"]), int(c["n"]), int(c["gap"]))
            for c in view.candles
        ]  # fmt: skip
        out[f"{tf} cells"] = [(tick(p), lot(bid), lot(ask), n) for p, bid, ask, n in view.cells.tolist()]
        out[f"{tf} area"] = [tick(c[k]) for c in view.candles for k in ("poc", "vah", "val") if c["n"]]
    trades = engine.flow.trades[i]
    out["trades"] = (lot(trades["buy"]), lot(trades["sell"]), notional(trades["quote"]), tick(trades["last_price"]))
    row = engine.imbalance()[i]
    out["imbalance"] = [(lot(b), lot(s)) for b, s in zip(row["buy"].tolist(), row["sell"].tolist(), strict=True)]
    out["net"] = [notional(b - s) for b, s in zip(row["buy_quote"].tolist(), row["sell_quote"].tolist(), strict=True)]
    out["big"] = [
        (
            r["id"],
            r["rule"],
            lot(r["qty"]),
            notional(r["quote"]),
            tick(r["low"]),
            tick(r["high"]),
            notional(r["depth_quote"]),
        )
        for r in np.sort(engine.big_flow(), order="id")
        if r["instrument"] == i
    ]
    quotes = engine.quotes.quotes[i]
    out["quote"] = [tick(quotes["bid"]), tick(quotes["ask"]), lot(quotes["bid_lots"]), lot(quotes["ask_lots"])]
    out["ofi"] = [lot(row["ofi"]) for row in engine.quotes.ofi[:, i] if row["minute"] > 0]
    out["liquidations"] = [lot(r["qty"]) for r in engine.liquidations() if r["instrument"] == i]
    return out


@pytest.mark.parametrize(
    ("tick", "lot"), [("0.05", "0.001"), ("0.01", "0.001"), ("0.1", "0.0001"), ("0.001", "0.0005"), ("0.25", "0.01")]
)
def test_a_finer_or_other_grid_keeps_every_figure(tick: str, lot: str) -> None:
    """Exactly, to the last digit: candles, cells, CVD, big flow, windows, OFI, quotes, liquidations."""
    engine = busy()
    before, neighbour = money(engine), money(engine, 1)
    assert before["big"]
    changed = replace(engine.universe[0], tick=Grid.parse(tick), lot=Grid.parse(lot))
    assert engine.update_instrument(changed) == [Need(0, "tick_size_changed")]
    assert money(engine) == before
    assert money(engine, 1) == neighbour
    assert engine.universe[0].tick.value <= Decimal(tick)
    assert (engine.book_state(0), engine.book_state(1)) == (BookState.STALE, BookState.LIVE)
    assert len(engine.book(0).bids) == 0, "levels counted in old ticks are not shown in new ones"


def test_life_goes_on_after_a_grid_change() -> None:
    engine = busy()
    engine.update_instrument(replace(engine.universe[0], tick=Grid.parse("0.05")))
    engine.apply(tape([trade(6, T0 + 72_000, 20_001, 2_000), trade(7, T0 + 72_001, 20_001, 500_000)]))
    instrument = engine.universe[0]
    (*_, newest) = engine.footprint(0, MINUTE, 1, 10).candles
    assert instrument.tick.to_decimal(newest["close"]) == Decimal("1000.05")
    assert instrument.tick.to_decimal(newest["high"]) == Decimal("1001.30")
    newest_parent = [r for r in np.sort(engine.big_flow(), order="id") if r["rule"] == 0][-1]
    assert instrument.notional(newest_parent["quote"]) == Decimal("1000.05") * 502
    rows = [snapshot(2000, [(19_990, 5)], [(20_010, 7)]), diff(1999, 2000, 1998)]
    assert engine.apply(tape(rows)) == []
    assert engine.book_state(0) is BookState.LIVE


def test_rows_whose_units_changed_are_listed_as_changed() -> None:
    """Whoever keeps rows by sequence number would go on showing them in the old units."""
    engine = busy()
    seen = int(engine.big_flow()["seq"].max())
    engine.update_instrument(replace(engine.universe[0], tick=Grid.parse("0.01")))
    rows = engine.big_flow(since_seq=seen)
    assert sorted(rows["id"].tolist()) == sorted(r["id"] for r in engine.big_flow() if r["instrument"] == 0)
    assert not rows["open"].any()


def test_a_coarser_tick_or_another_status_changes_no_state() -> None:
    engine = busy()
    before = money(engine)
    changed = replace(engine.universe[0], tick=Grid.parse("1"), status="SETTLING")
    assert engine.update_instrument(changed) == []
    assert money(engine) == before
    assert (engine.universe[0].trading, engine.universe[0].tick.value) == (False, Decimal("0.1"))
    assert engine.book_state(0) is BookState.LIVE


def test_thresholds_stay_the_same_money_on_another_grid() -> None:
    engine = busy()
    before = engine.universe[0].notional(int(engine.flow.big.threshold[0]) - 1)
    engine.update_instrument(replace(engine.universe[0], tick=Grid.parse("0.01"), lot=Grid.parse("0.0001")))
    assert engine.universe[0].notional(int(engine.flow.big.threshold[0]) - 1) == before == 25_000


@pytest.mark.parametrize(
    ("what", "value", "tick", "lot"),
    [
        ("price", "1000.05", "0.05", "0.001"),
        ("price", "1000.123", "0.001", "0.001"),
        ("quantity", "0.0125", "0.1", "0.0005"),
    ],
)
def test_a_number_off_the_grid_refines_it(what: str, value: str, tick: str, lot: str) -> None:
    engine = busy()
    before = money(engine)
    error = OffGridError(what, Decimal(value), Decimal("0.1"))
    error.symbol = "BTCUSDT"
    assert engine.refine_grid(error) == [Need(0, "tick_size_changed")]
    assert (engine.universe[0].tick.value, engine.universe[0].lot.value) == (Decimal(tick), Decimal(lot))
    assert money(engine) == before
    assert engine.refine_grid(error) == []


@pytest.mark.parametrize("value", ["1000.000000000001", "0.00000001", "83434.4000001"])
def test_a_grid_too_fine_for_exact_sums_is_refused(value: str) -> None:
    """One garbled digit must not cost all others their exactness."""
    engine = busy()
    engine.set_adv(0, Decimal(20_000_000_000), 30)
    before = money(engine)
    error = OffGridError("price", Decimal(value), Decimal("0.1"))
    error.symbol = "BTCUSDT"
    assert engine.refine_grid(error) == []
    assert money(engine) == before
    assert engine.book_state(0) is BookState.LIVE


# -- listings ---------------------------------------------------------------------------------------------------------


def test_listings_beyond_the_spare_room_keep_all_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SPARE_INSTRUMENTS", 2)
    engine = busy()
    before = [money(engine, i) for i in (0, 1)]
    books = [engine.book(i).bids.tolist() for i in (0, 1)]
    for k in range(7):
        new = Instrument(
            -1, "binance", f"NEW{k}USDT", f"NEW{k}", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.001")
        )
        placed = engine.add_instrument(new)
        assert placed.index == 2 + k
        engine.set_adv(placed.index, Decimal(2_000_000), 30)
        assert engine.follow_book(placed.index) == [Need(placed.index, "start")]
        engine.apply(
            tape(
                [
                    trade(1, T0 + 80_000, 10_000, 30_000 + k, i=placed.index),
                    snapshot(10, [(9_000 + k, 1)], [(11_000, 1)], i=placed.index),
                    diff(9, 10, 8, i=placed.index),
                ]
            )
        )
    assert [money(engine, i)["1m"] for i in (0, 1)] == [b["1m"] for b in before]
    assert [money(engine, i)["big"] for i in (0, 1)] == [b["big"] for b in before]
    assert [engine.book(i).bids.tolist() for i in (0, 1)] == books
    for k in range(7):
        assert engine.footprint(2 + k, MINUTE, 1, 1).candles["ask"].tolist() == [30_000 + k]
        assert engine.book(2 + k).bids.tolist() == [[9_000 + k, 1]]
    assert len(engine.imbalance()) == 9
    assert len([r for r in engine.big_flow() if r["instrument"] >= 2]) == 7 * 4
    assert np.isnan(engine.adv[9:]).all()
    assert (engine.flow.big.threshold[9:] == NEVER).all()


def test_an_engine_may_start_with_nothing() -> None:
    engine = Engine(Universe("binance"))
    assert len(engine.imbalance()) == len(engine.big_flow()) == len(engine.liquidations()) == 0
    assert engine.totals()["count"] == 0
    new = Instrument(-1, "binance", "BTCUSDT", "BTC", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.001"))
    engine.add_instrument(new)
    engine.apply(tape([trade(1, T0, 100, 1)]))
    assert engine.totals()["count"] == 1
    with pytest.raises(NotFoundError):
        engine.update_instrument(replace(new, symbol="NOPE"))


# -- figures of the whole ---------------------------------------------------------------------------------------------


def test_book_sides_are_those_of_live_books_only() -> None:
    engine = busy()
    assert [(int(r["book_bid"]), int(r["book_ask"])) for r in engine.imbalance()] == [(5, 7), (5, 7)]
    engine.book_lost(0)
    assert [(int(r["book_bid"]), int(r["book_ask"])) for r in engine.imbalance()] == [(0, 0), (5, 7)]
    eleven = [(9_900 - k, 10**k) for k in range(11)]
    engine.apply(tape([diff(1001, 1002, 1000, [(9_990, 0), *eleven], i=1)]))
    assert int(engine.imbalance()[1]["book_bid"]) == 1_111_111_111, "the best ten levels"


def test_totals_are_sums_over_all_instruments() -> None:
    engine = busy()
    expected = {"count": 6, "gaps": 2, "missing": 4, "filled": 0, "duplicates": 0, "depth_applied": 2, "depth_gaps": 0}
    assert {name: engine.totals()[name] for name in expected} == expected
    assert engine.books_by_state() == {BookState.LIVE: 2}
    assert engine.trade_seq(0) == engine.trade_seq(1) == 3


def test_a_view_of_a_book_is_cut_to_the_depth_asked_for() -> None:
    engine = busy()
    engine.apply(tape([diff(1001, 1002, 1000, [(9_000, 1), (1, 1)])]))
    view = engine.book(0, 2)
    assert (view.bids.tolist(), view.asks.tolist()) == ([[9_990, 5], [9_000, 1]], [[10_010, 7]])
    assert (view.state, view.last_update_id, view.event_ms) == (BookState.LIVE, 1002, T0)
    assert len(engine.book(0, 0).bids) == 0
