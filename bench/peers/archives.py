"""Tick-level footprints and 1m candles of an aggTrades CSV, as a user of each library would write it.

python -m bench.peers.archives NAME FILE      one JSON line: wall and CPU seconds, peak memory, digests

The clock stops where each has the result in its own form: data frames, arrays, our store of candles. Outside the clock
they are made comparable: footprint rows are (minute, price in tenths, lots bought, lots sold), candle rows (minute,
open, high, low, close, volume, trades); what libraries counted in floats is rounded to lots.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

POINTS, LOTS = 10, 1000
MINUTE_MS = 60_000
Columns = list[Any]
Result = Callable[[], tuple[Columns, Columns]]
"""Turns what was made into the columns of cells and candles."""


def with_polars(path: str) -> Callable[[], Result]:
    import polars as pl

    def work() -> Result:
        rows = pl.scan_csv(path).select("price", "quantity", "transact_time", "is_buyer_maker")
        rows = rows.with_columns(minute=pl.col("transact_time") // MINUTE_MS)
        sold = pl.col("is_buyer_maker")
        cells = rows.group_by("minute", "price").agg(
            buy=pl.col("quantity").filter(~sold).sum(), sell=pl.col("quantity").filter(sold).sum()
        )
        candles = rows.group_by("minute").agg(
            o=pl.col("price").first(),
            h=pl.col("price").max(),
            l=pl.col("price").min(),
            c=pl.col("price").last(),
            v=pl.col("quantity").sum(),
            n=pl.len(),
        )
        one, other = pl.collect_all([cells, candles])
        return lambda: ([c.to_numpy() for c in one.get_columns()], [c.to_numpy() for c in other.get_columns()])

    return work


def with_duckdb(path: str) -> Callable[[], Result]:
    import duckdb

    columns = (
        "{'agg_trade_id': 'BIGINT', 'price': 'DOUBLE', 'quantity': 'DOUBLE', 'first_trade_id': 'BIGINT', "
        "'last_trade_id': 'BIGINT', 'transact_time': 'BIGINT', 'is_buyer_maker': 'BOOLEAN'}"
    )

    def work() -> Result:
        db = duckdb.connect()
        db.execute(
            "CREATE TEMP TABLE t AS SELECT price, quantity, is_buyer_maker AS m, agg_trade_id AS id, "
            f"transact_time // {MINUTE_MS} AS minute FROM read_csv('{path}', header = true, columns = {columns})"
        )
        cells = db.execute(
            "SELECT minute, price, sum(CASE WHEN m THEN 0 ELSE quantity END), "
            "sum(CASE WHEN m THEN quantity ELSE 0 END) FROM t GROUP BY ALL"
        ).fetchnumpy()
        candles = db.execute(
            "SELECT minute, arg_min(price, id), max(price), min(price), arg_max(price, id), sum(quantity), count(*) "
            "FROM t GROUP BY minute"
        ).fetchnumpy()
        return lambda: (list(cells.values()), list(candles.values()))

    return work


def with_pandas(path: str) -> Callable[[], Result]:
    import pandas as pd

    def work() -> Result:
        rows = pd.read_csv(path, usecols=["price", "quantity", "transact_time", "is_buyer_maker"])
        rows["minute"] = rows["transact_time"] // MINUTE_MS
        rows["buy"] = rows["quantity"].where(~rows["is_buyer_maker"], 0.0)
        rows["sell"] = rows["quantity"].where(rows["is_buyer_maker"], 0.0)
        cells = rows.groupby(["minute", "price"], sort=False)[["buy", "sell"]].sum().reset_index()
        by_minute = rows.groupby("minute", sort=False)
        candles = by_minute.agg(
            o=("price", "first"),
            h=("price", "max"),
            l=("price", "min"),
            c=("price", "last"),
            v=("quantity", "sum"),
            n=("price", "size"),
        ).reset_index()
        return lambda: ([cells[name] for name in cells], [candles[name] for name in candles])

    return work


def with_tapewatch(path: str) -> Callable[[], Result]:
    from pathlib import Path

    from tapewatch.replay.archive import Archive

    Archive(Path(path).with_name("BTCUSDT-aggTrades-head.csv")).history()  # loads the machine code

    def work() -> Result:
        held = Archive(Path(path)).history()
        return lambda: _columns_of(held)

    return work


def _columns_of(held: Any) -> tuple[Columns, Columns]:
    runs = held.minutes.ring[:, 0]
    runs = runs[runs["n"] > 0]
    within = np.arange(runs["cells"].sum()) - np.repeat(np.cumsum(runs["cells"]) - runs["cells"], runs["cells"])
    cells = held.minutes.cells[np.repeat(runs["cell_at"], runs["cells"]) + within]
    minutes = np.repeat(runs["number"], runs["cells"])
    prices = [runs[name] for name in ("open", "high", "low", "close")]
    volume = runs["bid"] + runs["ask"]
    return [minutes, cells["price"], cells["ask"], cells["bid"]], [runs["number"], *prices, volume, runs["n"]]


CONTENDERS = {"tapewatch": with_tapewatch, "polars": with_polars, "DuckDB": with_duckdb, "pandas": with_pandas}


def _whole(values: Any, scale: int) -> Any:
    values = np.asarray(values)
    return values if values.dtype.kind == "i" else np.rint(values.astype(np.float64) * scale)


def _digest(columns: Columns, scales: tuple[int, ...]) -> str:
    table = np.stack([_whole(c, k).astype(np.int64) for c, k in zip(columns, scales, strict=True)], 1)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return f"{hashlib.blake2b(table.tobytes(), digest_size=8).hexdigest()}:{len(table)}"


def main() -> None:
    name, path = sys.argv[1:]
    work = CONTENDERS[name](path)
    wall, cpu = perf_counter(), process_time()
    result = work()
    wall, cpu = perf_counter() - wall, process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    cells, candles = result()
    answer = {
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": peak_mb,
        "digests": {
            "cells": _digest(cells, (1, POINTS, LOTS, LOTS)),
            "candles": _digest(candles, (1, POINTS, POINTS, POINTS, POINTS, LOTS, 1)),
        },
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
