"""What a panel asks for: a footprint re-binned from its ticks, and the top of a book."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from statistics import median
from time import process_time_ns

import numpy as np
from numpy.typing import NDArray

from tapewatch.engine import Engine
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import LEVEL, ROW, Flag, Kind, Tape

from .market import START_MS, depth20
from .ours import MINUTE_MS, Pipeline
from .references import SortedDictBooks

CANDLES = 500
CANDLES_TOGETHER = 5
TICKS_TOGETHER = 10
TOP = 20
ROUNDS = 31
TOP_READS = 200
"""Reads of a book timed together: one alone is shorter than the clock's own cost."""

Sums = dict[tuple[int, int], tuple[int, int]]
"""(candle, bin) to lots sold and lots bought."""


def in_turn(contenders: dict[str, Callable[[], object]], times: int = 1) -> dict[str, tuple[float, float]]:
    """Best and median CPU microseconds of one call, the contenders taking turns."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            start = process_time_ns()
            for _ in range(times):
                call()
            took[name].append((process_time_ns() - start) / times / 1000)
    return {name: (min(us), median(us)) for name, us in took.items()}


def rebin() -> dict[str, tuple[float, float]]:
    """500 one-minute candles of about 420 ticks into 5 minutes x 10 ticks; equal sums or no result."""
    ticks = _tick_cells()
    engine = _engine_with(ticks)
    plain = _as_dicts(ticks)
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: engine.footprint(0, CANDLES_TOGETHER * MINUTE_MS, TICKS_TOGETHER, CANDLES),
        "numpy": partial(_rebin_numpy, ticks),
        "dict": partial(_rebin_dicts, plain),
    }
    expected = _rebin_dicts(plain)
    if _sums_of_view(engine) != expected or _sums_of_columns(*_rebin_numpy(ticks)) != expected:
        raise RuntimeError("re-binned footprints differ")
    return in_turn(contenders)


def top_of_book() -> dict[str, tuple[float, float]]:
    """The best 20 levels of both sides of a book of thousands."""
    workload = depth20(2_000)
    ours, classic = Pipeline(workload), SortedDictBooks(workload)
    for reads in workload.slices():
        ours.run(reads)
        classic.run(reads)
    bids, asks = classic.books[workload.symbols[0].name]

    def by_sorted_dict() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        return [(p, bids[p]) for p in islice(reversed(bids), TOP)], list(islice(asks.items(), TOP))

    return in_turn({"ours": lambda: ours.engine.book(0, TOP), "SortedDict": by_sorted_dict}, TOP_READS)


def _tick_cells() -> NDArray[np.int64]:
    """Columns minute, tick, sold, bought of a drifting market, sorted."""
    rng = np.random.default_rng(7)
    middles = 1_174_500 + np.cumsum(rng.normal(0, 60, CANDLES)).astype(np.int64)
    minutes, ticks = np.nonzero(rng.random((CANDLES, 600)) < 0.7)
    lots = rng.integers(1, 50_000, (2, len(ticks)))
    return np.stack([minutes, ticks - 300 + middles[minutes], *lots])


def _engine_with(cells: NDArray[np.int64]) -> Engine:
    """An engine that saw one sale and one purchase in each cell."""
    universe = Universe("binance")
    universe.add(Instrument(0, "binance", "BTCUSDT", "BTC", "USDT", "perp", Grid(1, 1), Grid(1, 3)))
    engine = Engine(universe)
    minutes, ticks, sold, bought = (np.repeat(column, 2) for column in cells)
    rows = np.zeros(len(ticks), ROW)
    rows["kind"] = Kind.TRADE
    rows["flags"] = int(Flag.AGGREGATE)
    rows["flags"][::2] |= int(Flag.SELL)
    rows["id"] = np.arange(1, len(rows) + 1)
    rows["event_ms"] = rows["ts_ms"] = START_MS // MINUTE_MS * MINUTE_MS + minutes * MINUTE_MS
    rows["price"] = ticks
    rows["qty"] = np.where(np.arange(len(rows)) % 2 == 0, sold, bought)
    engine.apply(Tape(rows, np.zeros(0, LEVEL)))
    return engine


def _first_candle() -> int:
    return START_MS // (CANDLES_TOGETHER * MINUTE_MS)


def _candle_of(minutes: NDArray[np.int64]) -> NDArray[np.int64]:
    return (minutes + START_MS // MINUTE_MS) // CANDLES_TOGETHER - _first_candle()


def _rebin_numpy(cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    minutes, ticks, sold, bought = cells
    keys = _candle_of(minutes) << 32 | ticks // TICKS_TOGETHER
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.concatenate([[0], np.nonzero(np.diff(keys))[0] + 1])
    bins = keys[starts]
    return bins >> 32, bins & 0xFFFFFFFF, np.add.reduceat(sold[order], starts), np.add.reduceat(bought[order], starts)


def _as_dicts(cells: NDArray[np.int64]) -> list[tuple[int, dict[int, tuple[int, int]]]]:
    candles: list[tuple[int, dict[int, tuple[int, int]]]] = [(int(c), {}) for c in _candle_of(np.arange(CANDLES))]
    for minute, tick, sold, bought in cells.T.tolist():
        candles[minute][1][tick] = sold, bought
    return candles


def _rebin_dicts(candles: list[tuple[int, dict[int, tuple[int, int]]]]) -> Sums:
    out: Sums = {}
    for candle, cells in candles:
        for tick, (sold, bought) in cells.items():
            key = candle, tick // TICKS_TOGETHER
            held = out.get(key, (0, 0))
            out[key] = held[0] + sold, held[1] + bought
    return out


def _sums_of_columns(*columns: NDArray[np.int64]) -> Sums:
    return {(c, b): (sold, bought) for c, b, sold, bought in zip(*(col.tolist() for col in columns), strict=True)}


def _sums_of_view(engine: Engine) -> Sums:
    view = engine.footprint(0, CANDLES_TOGETHER * MINUTE_MS, TICKS_TOGETHER, CANDLES)
    out: Sums = {}
    for candle in view.candles:
        number = int(candle["open_ms"]) // (CANDLES_TOGETHER * MINUTE_MS) - _first_candle()
        for price, sold, bought, _ in view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]].tolist():
            out[number, price // TICKS_TOGETHER] = sold, bought
    return out
