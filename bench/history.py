"""`make bench-history`: 20 million archived trades to footprints and candles, beside polars, DuckDB and pandas.

The file is a seeded aggTrades CSV of the archive's own form, fifteen days of a busy instrument. Everybody is a process
of its own that may use all cores, in rotating order, the file in the page cache, imports and machine code loaded before
the clock runs. The cost is wall time; CPU time stands beside it. Results that differ do not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from . import report, sets
from .environments import CannotBeMade, interpreter

ROWS = 20_000_000
ROUNDS = 3
BATCH = 1_000_000
HEAD_LINES = 5_000
SEED = 44
START_MS = 1_780_272_000_000
ROOT = Path(__file__).resolve().parents[1]
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"


def written(rows: int) -> Path:
    """The seeded file, and its first lines as another, for warming up; kept in the user's cache folder."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = sets.CACHE / "archives" / f"{rows}-{version}"
    path = folder / "BTCUSDT-aggTrades-2026-06.csv"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        _write(unfinished, rows)
        with unfinished.open(encoding="ascii") as lines:
            head = "".join(islice(lines, HEAD_LINES))
        (folder / "BTCUSDT-aggTrades-head.csv").write_text(head, encoding="ascii")
        unfinished.rename(path)
    return path


def _write(path: Path, rows: int) -> None:
    """Trades in bursts, 1.3 million a day: log-normal quantities, a random walk of prices in tenths."""
    rng = np.random.default_rng(SEED)
    number, raw, price, ms = 2_400_000_000, 5_200_000_000, 1_174_500, START_MS
    with path.open("wb") as out:
        out.write(HEADER.encode())
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        for at in range(0, rows, BATCH):
            n = min(BATCH, rows - at)
            times = ms + np.cumsum(np.where(rng.random(n) < 0.7, 0, rng.exponential(220, n)).astype(np.int64))
            steps = np.rint(rng.laplace(0, 1.1, n) * (1 + 3 * (rng.random(n) < 0.02))).astype(np.int64)
            prices = np.maximum(price + np.cumsum(steps), 100_000)
            last = raw + np.cumsum(np.minimum(rng.geometric(0.4, n), 80))
            lots = np.maximum(1, 40 * np.exp(rng.normal(0, 1.9, n))).astype(np.int64)
            first = np.concatenate([[raw], last[:-1]]) + 1
            ids = number + np.arange(n)
            columns = [ids, prices / 10, lots / 1000, first, last, times, rng.random(n) < 0.5]
            table = pa.table({str(k): column for k, column in enumerate(columns)})
            csv.write_csv(table, out, options)
            number, raw, price, ms = number + n, int(last[-1]), int(prices[-1]), int(times[-1])


def measure(name: str, path: Path) -> report.Results:
    python = sys.executable if name == report.OURS else str(interpreter("frames"))
    command = [python, "-m", "bench.peers.archives", name, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603  (our own module)
    answer: report.Results = json.loads(run.stdout)
    return answer


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS, help="another number: nothing saved")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = arguments.parse_args()
    machine = report.machine()
    report.say(report.machine_line(machine))
    names = [report.OURS, "polars", "DuckDB", "pandas"]
    try:
        interpreter("frames")
    except CannotBeMade as error:
        report.say(str(error))
        return 1
    path = written(chosen.rows)
    with path.open("rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    measured: dict[str, list[report.Results]] = {name: [] for name in names}
    for number in range(chosen.rounds):
        for k in range(len(names)):
            name = names[(k + number) % len(names)]
            measured[name].append(measure(name, path))
    results = {
        "machine": machine,
        "rows": chosen.rows,
        "bytes": path.stat().st_size,
        "rounds": chosen.rounds,
        "measured": measured,
    }
    report.say(report.history_report(results))
    if chosen.rows == ROWS:
        report.save("history", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
