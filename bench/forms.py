"""`python -m bench.forms`: archives in each of their forms to footprints and candles, by our reader alone.

The same seeded trades as the venue would have published them: from futures and from spot, aggregate and raw, with the
short ids of a young instrument, as CSV and as zip. Best of three, in one process, after a warm one.
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tapewatch.replay.archive import Archive

from . import report
from .history import SEED, START_MS

ROWS = 2_000_000
ROUNDS = 3


@dataclass(frozen=True)
class Form:
    """How a file is written."""

    name: str
    raw: bool = False
    spot: bool = False
    zipped: bool = False
    first_id: int = 2_400_000_000

    def write(self, folder: Path, rows: int) -> Path:
        rng = np.random.default_rng(SEED)
        lots = np.maximum(1, 40 * np.exp(rng.normal(0, 1.9, rows))).astype(np.int64)
        tenths = 1_174_500 + np.cumsum(np.rint(rng.laplace(0, 1.1, rows)).astype(np.int64))
        times = START_MS + np.cumsum(np.where(rng.random(rows) < 0.7, 0, rng.exponential(220, rows)).astype(np.int64))
        ids = self.first_id + np.arange(rows)
        prices, quantities, sold = tenths / 10, lots / 1000, rng.random(rows) < 0.5
        middle = [prices * quantities] if self.raw else [2 * ids, 2 * ids + 1]
        columns = [ids, prices, quantities, *middle, times, sold]
        if self.spot:
            prices, quantities = np.char.mod("%.8f", prices), np.char.mod("%.8f", quantities)
            flags = [np.where(sold, "True", "False"), np.full(rows, "True")]
            columns = [ids, prices, quantities, *middle, times * 1000, *flags]
        path = folder / f"BTCUSDT-{'trades' if self.raw else 'aggTrades'}-{self.first_id}{'-spot' * self.spot}.csv"
        table = pa.table({str(k): column for k, column in enumerate(columns)})
        csv.write_csv(table, path, csv.WriteOptions(include_header=False, quoting_style="none"))
        if not self.zipped:
            return path
        with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as out:
            out.write(path, path.name)
        return path.with_suffix(".zip")


FORMS = [
    Form("aggTrades of futures"),
    Form("the same, zip", zipped=True),
    Form("aggTrades of futures, ids of seven digits", first_id=1_000_000),
    Form("trades of futures", raw=True),
    Form("aggTrades of spot", spot=True),
    Form("trades of spot", spot=True, raw=True),
    Form("trades of spot, zip", spot=True, raw=True, zipped=True),
]


def measure(form: Form, rows: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = form.write(Path(folder), rows)
        took = []
        for _ in range(ROUNDS + 1):
            wall, cpu = perf_counter(), process_time()
            archive = Archive(path)
            if archive.history().trades != rows:
                raise RuntimeError(f"{form.name}: {archive.history().trades} trades")
            took.append((perf_counter() - wall, process_time() - cpu))
        size = archive.source.size
    wall, cpu = (min(values) for values in zip(*took[1:], strict=True))
    return [form.name, f"{wall:.3f}", f"{cpu:.3f}", f"{rows / wall / 1e6:.1f}", f"{size / wall / 1e6:,.0f}"]


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.forms", description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    rows = arguments.parse_args().rows
    report.say(report.machine_line(report.machine()))
    head = [f"{rows:,} rows", "s", "CPU s", "M rows/s", "MB/s of CSV"]
    report.say(report.table(head, [measure(form, rows) for form in FORMS]))


if __name__ == "__main__":
    main()
