"""Footprint levels as JSON text."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from tapewatch.api.candles import candle_texts
from tapewatch.model.instrument import Grid, Instrument
from tapewatch.model.views import CANDLE, CELL, Footprint

GRIDS = [("0.1", "0.001"), ("0.05", "1"), ("5", "10"), ("0.00000001", "0.00000001"), ("1", "0.5")]
COUNTS = [0, 1, 9, 10, 11, 99, 100, 101, 123_456_789, 10**17]


def shown(tick: str, lot: str, cells_per_candle: list[int], seed: int = 1) -> Footprint:
    rng = np.random.default_rng(seed)
    instrument = Instrument(0, "binance", "XUSDT", "X", "USDT", "perp", Grid.parse(tick), Grid.parse(lot))
    candles, cells = np.zeros(len(cells_per_candle), CANDLE), np.zeros(sum(cells_per_candle), CELL)
    for name in ("price", "bid", "ask"):
        cells[name] = np.where(
            rng.random(len(cells)) < 0.5, rng.choice(COUNTS, len(cells)), rng.integers(0, 10**9, len(cells))
        )
        cells[name] //= 10  # x units, still within what the tape holds
    cells["n"] = rng.integers(1, 5_000, len(cells))
    candles["cells"] = cells_per_candle
    candles["cell_at"] = np.cumsum([0, *cells_per_candle[:-1]])
    return Footprint(instrument, 60_000, 1, candles, cells)


@pytest.mark.parametrize(("tick", "lot"), GRIDS)
def test_every_number_is_the_decimal_of_its_grid(tick: str, lot: str) -> None:
    footprint = shown(tick, lot, [0, 40, 1, 0, 300, 0])
    texts = candle_texts(footprint, range(6))
    for candle, text in zip(footprint.candles, texts, strict=True):
        levels = json.loads(text, parse_float=str, parse_int=str)["levels"]
        at = int(candle["cell_at"])
        cells = footprint.cells[at : at + int(candle["cells"])]
        price, quantity = footprint.instrument.tick, footprint.instrument.lot
        assert levels == [
            {
                "p": price.to_text(cell["price"]),
                "bid": quantity.to_text(cell["bid"]),
                "ask": quantity.to_text(cell["ask"]),
                "n": str(cell["n"]),
            }
            for cell in cells
        ]
        assert all(Decimal(level["p"]) % Decimal(tick) == 0 for level in levels)


def test_any_choice_of_candles_in_any_order() -> None:
    footprint = shown("0.1", "0.001", [3, 0, 7, 2])
    whole = candle_texts(footprint, range(4))
    assert candle_texts(footprint, [2, 0, 3, 1]) == [whole[k] for k in (2, 0, 3, 1)]
    assert candle_texts(footprint, []) == []


def test_cells_that_nobody_may_write_to_are_only_read() -> None:
    footprint = shown("0.1", "0.001", [3, 2])
    whole = candle_texts(footprint, range(2))
    footprint.cells.flags.writeable = False
    assert candle_texts(footprint, range(2)) == whole
