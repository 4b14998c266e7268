"""The whole program under load, killed without a word at random moments, again and again: nothing lost, nothing twice.

python -m bench.kills [--kills 100] [--symbols 60] [--seed 1] [--save]

`tapewatch venue` serves four simulated venues for as long as it takes; `tapewatch run` records all of them and is
killed (SIGKILL) up to some seconds after it has become live, every fifth time while it starts. What it had acknowledged
before (`records` of /health: read from the sockets and handed to the operating system) must be there afterwards, in
journal files or in what the sealer of a later life made of them. In the end the holes that the deaths have left are
filled, everything is sealed, and the trades of Binance are compared one by one with the venue's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq

from tapewatch.journal import Damage, files, read
from tapewatch.store.catalog import Catalog
from tapewatch.store.sealer import Sealer, Task

from . import report
from .live import first_line, program

LIVE_WITHIN_S = 180.0
LIVES_S = 5.0
STARTING_EVERY = 5
FILLED_WITHIN_S = 600.0


class Lives:
    """What the lives of a program have acknowledged, and how long each took to become live."""

    def __init__(self, folder: Path, where: dict[str, dict[str, str]]) -> None:
        self.folder = folder
        self.venues = list(where)
        self.settings = {"TAPEWATCH_STORE__PATH": str(folder), "TAPEWATCH_NODE__STATE_DIR": str(folder / "state")}
        for name, address in where.items():
            key = f"TAPEWATCH_VENUES__{name.upper().replace('-', '_')}__"
            self.settings |= {f"{key}{what.upper()}": str(value) for what, value in address.items()}
            self.settings[f"{key}ENABLED"] = "true"
        self.acknowledged: dict[tuple[str, str], int] = {}
        """Records by venue and session."""
        self.live_s: list[float] = []

    def live(self, after_s: float | None, *, starting: bool) -> None:
        """One life, ended by SIGKILL so long after it was live, or after it was started."""
        began = time.monotonic()
        with program("run", "--port", "0", **self.settings) as process:
            try:
                if not starting:
                    url = _url(process)
                    self._wait(url, _is_live, LIVE_WITHIN_S)
                    self.live_s.append(time.monotonic() - began)
                until = time.monotonic() + (after_s or 0.0)
                told: dict[str, int] = {}
                while time.monotonic() < until:
                    if starting:
                        time.sleep(0.01)
                    else:
                        told = self._records(httpx.get(f"{url}health", timeout=30).json())
            finally:
                process.kill()
                process.wait()
        for name in self.venues:
            for file in files(self.folder / "journal" / name):
                if not file.closed:
                    self.acknowledged[name, file.name.session] = told.get(name, 0)

    def last_life(self) -> dict[str, Any]:
        """Live until every hole that can be filled is, then stop in order; returns the last account."""
        with program("run", "--port", "0", **self.settings) as process:
            url = _url(process)
            return self._wait(url, _is_whole, FILLED_WITHIN_S)

    def _records(self, told: dict[str, Any]) -> dict[str, int]:
        return {name: int(told["storage"]["journals"][name]["records"]) for name in self.venues}

    @staticmethod
    def _wait(url: str, is_so: Callable[[dict[str, Any]], bool], within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while True:
            told: dict[str, Any] = httpx.get(f"{url}health", timeout=30).json()
            if is_so(told):
                return told
            if time.monotonic() > deadline:
                raise SystemExit(f"after {within_s:g} s: {json.dumps(told)[:4_000]}")
            time.sleep(0.1)

    def lost(self) -> dict[str, int]:
        """Acknowledged records that are nowhere, and records that are there twice."""
        found: Counter[tuple[str, str]] = Counter()
        twice = 0
        sealed = self._sealed()
        for (venue, file_name), records in sealed.items():
            found[venue, file_name.split("-")[1]] += records
        for venue in self.venues:
            for file in files(self.folder / "journal" / venue):
                if (venue, file.path.name) in sealed:
                    continue
                numbers = [
                    one.sequence for one in read(file.path) if not isinstance(one, Damage) and one.content.numbered
                ]
                twice += len(numbers) - len(set(numbers))
                found[venue, file.name.session] += len(numbers)
        lost = {key: count - found[key] for key, count in self.acknowledged.items() if found[key] < count}
        return {"acknowledged": sum(self.acknowledged.values()), "lost": sum(lost.values()), "twice": twice}

    def _sealed(self) -> dict[tuple[str, str], int]:
        catalog = Catalog.of_folder(self.folder)
        with contextlib.closing(catalog), catalog.read() as connection:
            rows = connection.exec_driver_sql("SELECT venue, name, records FROM journal_files").all()
        return {(venue, name): records for venue, name, records in rows}

    def stored(self, rest_url: str) -> dict[str, int]:
        """Stored trades of all venues, those stored twice, and what of Binance differs from the venue's own list."""
        sealer = Sealer(Task(str(self.folder), "", 0.0, 0))
        sealer.store.open()
        while sealer.step():
            pass
        sealer.store.close()
        rows = twice = 0
        mine: dict[str, dict[int, tuple[int, int, bool]]] = {}
        for venue in self.venues:
            paths = sorted((self.folder / "segments" / venue / "trade").rglob("*.parquet"))
            table = pq.ParquetDataset(paths, partitioning=None).read()
            names = table["symbol"].to_pylist()
            keys = list(zip(names, table["id"].to_pylist(), strict=True))
            rows += len(keys)
            twice += len(keys) - len(set(keys))
            if venue == "binance":
                columns = (table[name].to_pylist() for name in ("price", "qty", "sell"))
                for (symbol, number), *values in zip(keys, *columns, strict=True):
                    mine.setdefault(symbol, {})[number] = tuple(values)  # type: ignore[assignment]
        differ = missing = 0
        for symbol, held in mine.items():
            truth = _truth(rest_url, symbol, min(held), max(held))
            missing += len(truth.keys() - held.keys())
            differ += len({n for n, sold in truth.items() if n in held and held[n][2] != sold})
        return {"trades": rows, "stored_twice": twice, "missing": missing, "differ": differ}


def _url(process: subprocess.Popen[str]) -> str:
    while "serves http" not in (line := first_line(process)):
        if not line:
            raise SystemExit("the program ended while it started")
    return line.split("serves ", 1)[1].split()[0]


def _is_live(told: dict[str, Any]) -> bool:
    """Trades of every venue come; late ones, where the machine is busy with others, are no less live."""
    return all(venue["state"] in ("live", "delayed") and venue["trades"] for venue in told["venues"].values())


def _is_whole(told: dict[str, Any]) -> bool:
    """Nothing is missing that can be asked for, and every venue is live. (The simulated OKX tells 1,000 trades.)"""
    venues = told["venues"].values()
    return _is_live(told) and all(
        not venue["history"]["reading"]
        and venue["missing"] <= venue["given_up"]
        and venue["history"]["percent"] in (None, 100)
        for venue in venues
    )


def _truth(rest_url: str, symbol: str, first: int, last: int) -> dict[int, bool]:
    """The venue's own trades, by id: whether the aggressor sold."""
    found: dict[int, bool] = {}
    while first <= last:
        rows = httpx.get(
            f"{rest_url}/fapi/v1/aggTrades", params={"symbol": symbol, "fromId": first, "limit": 1000}, timeout=30
        ).json()
        if not isinstance(rows, list):
            time.sleep(5.0)  # its budget is ours, too
            continue
        found |= {row["a"]: row["m"] for row in rows if row["a"] <= last}
        if not rows:
            break
        first = rows[-1]["a"] + 1
    return found


def measure(kills: int, symbols: int, seed: int) -> report.Results:
    died = 0
    draw = random.Random(seed)  # noqa: S311  (moments of death are no secret)
    with tempfile.TemporaryDirectory(prefix="tapewatch-kills-") as name:
        market = ("--port", "0", "--symbols", str(symbols), "--venues", "all", "--announce")
        with program("venue", *market) as venue:
            where = json.loads(first_line(venue))["venues"]
            lives = Lives(Path(name), where)
            with contextlib.suppress(KeyboardInterrupt):  # what has been seen so far is told
                for k in range(kills):
                    starting = k % STARTING_EVERY == STARTING_EVERY - 1
                    lives.live(draw.uniform(0.0, LIVES_S), starting=starting)
                    died = k + 1
                    sys.stdout.write(f"\r{died} of {kills} killed")
                    sys.stdout.flush()
            told = lives.last_life()
            results = lives.lost() | lives.stored(where["binance"]["rest_url"])
    live_s = np.array(lives.live_s)
    return {
        "kills": died, "symbols": symbols, **results,
        "live_s_median": float(np.median(live_s)), "live_s_most": float(live_s.max()),
        "violations": sum(len(one["ledger"]["violations"]) for one in told["venues"].values()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--symbols", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true")
    chosen = parser.parse_args()
    results = measure(chosen.kills, chosen.symbols, chosen.seed)
    sys.stdout.write("\n" + "\n".join(f"{name}: {value}" for name, value in results.items()) + "\n")
    if chosen.save:
        report.save("kills", results)
    if results["lost"] or results["twice"] or results["stored_twice"] or results["missing"] or results["differ"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
