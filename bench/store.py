"""What storage costs: rows sealed a second, bytes a trade, and the page's two largest queries on a generated week.

``python -m bench.store`` writes to a temporary folder; ``--url`` measures another database, ``--days`` a shorter time.
``--folder`` keeps what was generated there, so that a second run only measures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from tapewatch.flow.candles import MINUTE_MS
from tapewatch.flow.footprint import DAY_MS
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import LEVEL, ROW, Flag, Kind, Tape
from tapewatch.model.views import CELL
from tapewatch.store import tables
from tapewatch.store.cells import STORED
from tapewatch.store.derived import insert_candles
from tapewatch.store.reader import Reader
from tapewatch.store.writer import Store

T0 = 1_767_225_600_000
HOUR_MS = 3_600_000
FILLED = "bench"
"""Setting that says how many hours have been generated, and how many candles and cells are in them."""
SEAL_MINUTES = 5
"""What one journal file holds."""


def universe(symbols: int) -> Universe:
    names = (f"S{k:03d}USDT" for k in range(symbols))
    grid = Grid.parse("0.01"), Grid.parse("0.001")
    return Universe(
        "binance", [Instrument(-1, "binance", name, name[:-4], "USDT", "perp", *grid, onboard_ms=1) for name in names]
    )


def trades_a_minute(symbols: int, minutes_sum: float = 30_000.0) -> NDArray[np.float64]:
    """Mean trades a minute by rank: few symbols trade much, most a little (a power law), together `minutes_sum`."""
    weight = 1.0 / np.arange(1, symbols + 1)
    return weight / weight.sum() * minutes_sum


def market(grids: Universe, rng: np.random.Generator, start_ms: int, minutes: int, first_id: int) -> Tape:
    """Trades of all symbols: prices that wander by ticks, lots of a heavy tail, times to the millisecond."""
    counts = rng.poisson(trades_a_minute(len(grids)) * minutes)
    instrument = np.repeat(np.arange(len(grids)), counts)
    n = len(instrument)
    rows = np.zeros(n, ROW)
    rows["kind"], rows["instrument"] = Kind.TRADE, instrument
    rows["ts_ms"] = start_ms + rng.integers(0, minutes * MINUTE_MS, n)
    rows = rows[np.lexsort((rows["ts_ms"], rows["instrument"]))]
    starts = np.cumsum(counts) - counts
    place = np.arange(n) - np.repeat(starts, counts)
    rows["event_ms"] = rows["ts_ms"] + rng.integers(0, 5, n)
    rows["recv_ns"] = rows["event_ms"] * 10**6 + rng.integers(10**6, 5 * 10**7, n)
    rows["id"] = first_id + place
    rows["first_id"] = rows["last_id"] = rows["id"] * 3
    walk = np.cumsum(rng.integers(-2, 3, n))
    rows["price"] = 100_000 + 1_000 * rows["instrument"] + walk - np.repeat(walk[np.minimum(starts, n - 1)], counts)
    rows["qty"] = rows["qty2"] = 1 + rng.pareto(1.2, n).astype(np.int64).clip(max=10**6)
    rows["flags"] = Flag.AGGREGATE | np.where(rng.integers(0, 2, n) == 1, np.int16(Flag.SELL), np.int16(0))
    return Tape(rows[np.argsort(rows["ts_ms"], kind="stable")], np.zeros(0, LEVEL))


def footprints(symbols: int, rng: np.random.Generator, hour_ms: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """An hour of candles with cells, drawn directly: a week of trades would take hours to fold."""
    n = rng.poisson(np.tile(trades_a_minute(symbols), 60)).clip(min=1)
    width = np.minimum(1 + (np.sqrt(n) * rng.uniform(0.6, 1.6, len(n))).astype(np.int64) * 2, n)
    candles = np.zeros(len(n), STORED)
    candles["open_ms"] = hour_ms + np.repeat(np.arange(60), symbols) * MINUTE_MS
    candles["i"] = np.tile(np.arange(symbols), 60)
    ends = np.cumsum(width)
    cells = np.zeros(int(ends[-1]), CELL)
    within = np.arange(len(cells)) - np.repeat(ends - width, width)
    cells["price"] = np.repeat(100_000 + 1_000 * candles["i"] + rng.integers(-500, 500, len(n)), width) + within
    for name in ("bid", "ask"):
        cells[name] = rng.pareto(1.2, len(cells)).astype(np.int64).clip(max=10**6)
    cells["n"] = np.repeat(-(-n // width), width)
    base = candles["base"]
    base["cells"], base["cell_at"], base["n"] = width, ends - width, n
    base["low"], base["high"] = cells["price"][ends - width], cells["price"][ends - 1]
    base["open"], base["close"] = base["low"], base["high"]
    base["open_id"] = hour_ms // 1000
    base["close_id"] = base["open_id"] + n
    for name in ("bid", "ask"):
        base[name] = np.add.reduceat(cells[name], ends - width)
        base[f"{name}_quote"] = base[name] * base["low"]
    return candles, cells


def fill(store: Store, grids: Universe, days: int) -> Iterator[tuple[int, int]]:
    """Write `days` of candles and footprints, an hour a transaction; yields candles and cells so far."""
    store.catalog.put_instruments("binance", list(grids), T0)
    with store.catalog.read() as connection:
        ids = list(connection.scalars(sa.select(tables.instruments.c.id).order_by(tables.instruments.c.id)))
    done, *total = json.loads(store.catalog.setting(FILLED) or "[0, 0, 0]")
    for hour in range(done, days * 24):
        candles, cells = footprints(len(grids), np.random.default_rng([1, hour]), T0 + hour * HOUR_MS)
        with store.catalog.write() as connection:
            insert_candles(connection, ids, candles, cells)
        total[0] += len(candles)
        total[1] += len(cells)
        store.catalog.put_setting(FILLED, json.dumps([hour + 1, *total]))
        yield total[0], total[1]
    yield total[0], total[1]


def best_of(count: int, work: Callable[[], object]) -> float:
    """Milliseconds of the fastest run."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(1000 * min(times), 1)


def sealed(store: Store, grids: Universe, files: int) -> dict[str, float]:
    """Seal what `files` journal files hold, on top of each other in time."""
    rng = np.random.default_rng(2)
    start_ms, ids, rows, seconds = T0 + 400 * DAY_MS, 1, 0, 0.0
    for k in range(files):
        tape = market(grids, rng, start_ms + k * SEAL_MINUTES * MINUTE_MS, SEAL_MINUTES, ids)
        ids += int(tape.rows["id"].max())
        began = time.perf_counter()
        rows += store.write(grids, tape, name=f"bench{k}").rows
        seconds += time.perf_counter() - began if k else 0.0  # the first one loads compiled code
    first = rows // files
    with store.catalog.read() as connection:
        table = tables.segments
        size = int(connection.scalar(sa.select(sa.func.sum(table.c.bytes))) or 0)
    return {
        "rows": rows,
        "rows_a_second": round((rows - first) / seconds) if seconds else 0,
        "bytes_a_trade": round(size / rows, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--symbols", type=int, default=600)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", type=Path, help="keep the generated data here, and use what is there")
    parser.add_argument("--only-fill", action="store_true", help="generate, measure nothing")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="tapewatch-bench-"))
    try:
        grids = universe(asked.symbols)
        store = Store(folder, asked.url).open()
        began = time.perf_counter()
        candles = cells = 0
        for candles, cells in fill(store, grids, asked.days):  # noqa: B007
            pass
        filled_s = time.perf_counter() - began
        if asked.only_fill:
            return
        size = store.catalog.size()
        reader = Reader(folder, asked.url)
        day = T0 + (asked.days - 1) * DAY_MS
        results = {
            "generated": {"days": asked.days, "symbols": asked.symbols, "candles": candles, "cells": cells},
            "catalog_bytes": size,
            "bytes_a_candle": round(size / candles, 1),
            "bytes_a_cell": round(size / cells, 2),
            "candles_written_a_second": round(candles / filled_s) if asked.folder is None else None,
            "symbol_day_footprint_ms": {
                name: best_of(3, lambda name=name: reader.footprint("binance", name, MINUTE_MS, 1, day, day + DAY_MS))
                for name in ("S000USDT", f"S{asked.symbols // 2:03d}USDT")
            },
            "all_symbols_day_deltas_ms": best_of(3, lambda: reader.deltas("binance", day, day + DAY_MS)),
            "sealed": sealed(store, grids, asked.files),
        }
        print(json.dumps(results, indent=1))  # noqa: T201
    finally:
        if asked.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
