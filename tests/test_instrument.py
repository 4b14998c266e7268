"""Grids, instruments and the universe: exact integers in, exact text out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import examples, universe
from tapewatch.model.errors import NotFoundError, UsageError
from tapewatch.model.instrument import Grid, Instrument, Universe, common_grid

grids = st.builds(
    lambda units, decimals: Grid.parse(str(Decimal(units).scaleb(-decimals))), st.integers(1, 500), st.integers(0, 8)
)


@pytest.mark.parametrize(
    ("text", "grid"),
    [("0.10", Grid(1, 1)), ("0.05", Grid(5, 2)), ("1", Grid(1, 0)), ("10", Grid(10, 0)), ("0.002", Grid(2, 3)),
     ("1e-7", Grid(1, 7)), ("2.50", Grid(25, 1)), ("1E+2", Grid(100, 0))],
)  # fmt: skip
def test_increments_are_read_exactly(text: str, grid: Grid) -> None:
    assert Grid.parse(text) == grid
    assert grid.value == Decimal(text)


@pytest.mark.parametrize("text", ["0", "-0.1", "NaN", "Infinity", "0.000"])
def test_an_increment_must_be_positive(text: str) -> None:
    with pytest.raises(UsageError, match="must be a positive decimal"):
        Grid.parse(text)


@examples(200)
@given(grids, st.integers(0, 10**15))
def test_counts_and_decimals_convert_both_ways(grid: Grid, count: int) -> None:
    value = grid.to_decimal(count)
    assert value == count * grid.value
    assert grid.to_int(value) == grid.to_int(grid.to_text(count)) == count
    assert "E" not in grid.to_text(count)


def test_text_has_the_decimals_of_the_grid() -> None:
    assert [Grid.parse("0.0000001").to_text(n) for n in (0, 1, 12_345_678)] == ["0.0000000", "0.0000001", "1.2345678"]
    assert Grid.parse("0.05").to_text(52003) == "2600.15"
    assert Grid.parse("10").to_text(7) == "70"


@pytest.mark.parametrize("text", ["0.03", "0.051", "1e-9"])
def test_what_lies_between_two_increments_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a multiple of 0\.05"):
        Grid.parse("0.05").to_int(text)


@examples(200)
@given(grids, grids)
def test_the_common_grid_is_the_coarsest_that_holds_both(one: Grid, other: Grid) -> None:
    common = common_grid(one, other)
    assert one.value % common.value == other.value % common.value == 0
    assert common == common_grid(other, one)
    twice = Grid.parse(str(common.value * 2))
    assert one.value % twice.value or other.value % twice.value


def test_notional_is_exact() -> None:
    btc = universe()[0]
    assert btc.notional(834_344 * 16) == Decimal("83434.4") * Decimal("0.016")
    assert btc.notional_scale() == pytest.approx(0.0001)


def test_a_step_is_a_multiple_of_the_tick_or_refused_with_the_allowed_ones() -> None:
    btc = universe()[0]
    assert [btc.step_ticks(step) for step in ("0.1", "0.5", "10", "1e1")] == [1, 5, 100, 100]
    for step in ("0.05", "0.15", "0", "-0.1", "x", "NaN", "Infinity", "", "1e18", "1e999999"):
        with pytest.raises(UsageError, match=r"use a multiple such as 0\.1, 0\.2, 0\.5, 1\.0"):
            btc.step_ticks(step)


def test_a_universe_keeps_positions_for_ever() -> None:
    symbols = universe("BTCUSDT", "ETHUSDT")
    added = symbols.add(Instrument(99, "binance", "NEWUSDT", "NEW", "USDT", "perp", Grid(1, 2), Grid(1, 0)))
    assert (added.index, added.key, [i.symbol for i in symbols]) == (
        2,
        "binance:NEWUSDT",
        ["BTCUSDT", "ETHUSDT", "NEWUSDT"],
    )
    changed = symbols.update(
        Instrument(0, "binance", "NEWUSDT", "NEW", "USDT", "perp", Grid(5, 2), Grid(1, 0), "SETTLING")
    )
    assert (changed.index, changed.trading, symbols[2].tick.value) == (2, False, Decimal("0.05"))
    assert "NEWUSDT" in symbols
    with pytest.raises(UsageError, match="already in the universe"):
        symbols.add(added)


def test_a_change_of_the_universe_is_seen_by_its_version() -> None:
    symbols = Universe("binance")
    seen = {symbols.version}
    placed = symbols.add(universe()[0])
    seen.add(symbols.version)
    symbols.update(placed)
    seen.add(symbols.version)
    assert len(seen) == 3


def test_an_unknown_symbol_is_named_with_its_neighbours() -> None:
    symbols = universe("BTCUSDT", "BTCUSDC", "ETHUSDT")
    assert symbols.get("btcusdt").index == 0
    assert symbols.find("btcusdt") is None
    with pytest.raises(NotFoundError, match=r"unknown symbol 'BTCUSD' on binance; did you mean BTCUSDT, BTCUSDC\?"):
        symbols.get("BTCUSD")
    with pytest.raises(NotFoundError, match=r"unknown symbol '' on binance$"):
        symbols.get("")


@pytest.mark.parametrize(
    ("base", "coin", "multiplier"),
    [("1000PEPE", "PEPE", 1000), ("1MBABYDOGE", "BABYDOGE", 10**6), ("1000000MOG", "MOG", 10**6),
     ("SHIB1000", "SHIB", 1000), ("10000SATS", "SATS", 10_000), ("1INCH", "1INCH", 1), ("0G", "0G", 1),
     ("BTC", "BTC", 1), ("BROCCOLI714", "BROCCOLI714", 1), ("币安人生", "币安人生", 1)],
)  # fmt: skip
def test_a_power_of_ten_in_a_name_is_no_part_of_the_coin(base: str, coin: str, multiplier: int) -> None:
    instrument = Instrument(-1, "binance", f"{base}USDT", base, "USDT", "perp", Grid(1, 1), Grid(1, 3))
    assert (instrument.coin, instrument.multiplier) == (coin, multiplier)
