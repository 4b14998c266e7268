"""Half an hour under faults: every venue of the demo goes wrong in every way at once, and what is shown must be true.

python -m bench.soak [--minutes 30] [--symbols 40] [--faults LIST] [--save]

`tapewatch demo` is started as a user starts it. Once a second the books of the symbols watched are read as anybody
reads them: one that is served (an answer of 200: the book is live) must have bids that fall, asks that rise and a
spread above zero; otherwise the answer is 503. With it /health is read: accounts that do not balance, and resident
memory. In the end the ids that are missing must be those in the gaps that /api/coverage names. Anything else is a
finding.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import aiohttp
import numpy as np

from . import report
from .live import first_line, program, usage

FAULTS = (
    "drop:0.0003,duplicate:0.001,reorder:0.0003,garble:0.0003,disconnect:60,slow:300,snapshot-late:1000,"
    "snapshot-stale:2000,http-429:0.003,http-418:0.0002,http-5xx:0.03,clock-skew:1500,symbol-listed:60,symbol-delisted:90,"
    "tick-size-change:120,restart:240,notice:600"
)
"""All but `stall` (a stream that never comes back is an outage, not a repair) and those that only make more of it."""
WATCHED = 5
"""Symbols of each venue, the first ones listed that trade."""
EVERY_S = 1.0
SETTLED_SHARE = 0.6
"""The first part of a run is not judged for memory: rings of seconds are full after 17 minutes."""


class Watch:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.books: Counter[str] = Counter()
        self.waits: list[tuple[float, str]] = []
        """Seconds in a row for which a book was resynchronising, and whose."""
        self.rss: list[tuple[float, float]] = []

    def book(self, name: str, status: int, told: dict[str, Any]) -> None:
        """One answer of /api/book."""
        self.books[str(status)] += 1
        if status != 200:
            return
        bids, asks = ([price for price, _ in told[side]] for side in ("bids", "asks"))
        if not bids or not asks:
            self.findings.append(f"{name}: served with an empty side")
        elif bids[0] >= asks[0]:
            self.findings.append(f"{name}: best bid {bids[0]} is not below best ask {asks[0]}")
        if any(a <= b for a, b in pairwise(bids)) or any(a >= b for a, b in pairwise(asks)):
            self.findings.append(f"{name}: levels are not in order")
        if not told["in_sync"]:
            self.findings.append(f"{name}: served while not in sync")

    def health(self, told: dict[str, Any]) -> None:
        """One answer of /health."""
        for name, venue in told["venues"].items():
            self.findings += [f"{name}: {sentence}" for sentence in venue["ledger"]["violations"]]
        for name, account in told["storage"]["accounts"].items():
            if not account["balanced"]:
                self.findings.append(f"{name}: the store's account does not balance")


async def watch(url: str, pid: int, minutes: float) -> report.Results:
    seen = Watch()
    down_since: dict[str, float] = {}
    async with aiohttp.ClientSession(base_url=url) as http:
        health = await _ready(http)
        symbols = {venue: await _symbols(http, venue) for venue in health["venues"]}
        started = time.monotonic()
        while (now := time.monotonic()) < started + minutes * 60:
            for venue, watched in symbols.items():
                for symbol in watched:
                    name = f"{venue}:{symbol}"
                    status, told = await _get(http, "/api/book", exchange=venue, symbol=symbol, depth=50)
                    seen.book(name, status, told)
                    if status == 503:
                        down_since.setdefault(name, now)
                    elif name in down_since:
                        seen.waits.append((now - down_since.pop(name), name))
            _, health = await _get(http, "/health")
            seen.health(health)
            seen.rss.append((now, usage(pid)[1]))
            await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - now)))
        missing = {venue: await _unaccounted(http, venue, seen) for venue in symbols}
    return _summary(seen, health, missing, {name: now - since for name, since in down_since.items()})


async def _ready(http: aiohttp.ClientSession) -> dict[str, Any]:
    """Wait until most books stand: under these faults some are always being asked for again."""
    while True:
        _, health = await _get(http, "/health")
        venues = health["venues"].values()
        if all(venue["books_in_sync"] > venue["books_resyncing"] for venue in venues):
            return health
        await asyncio.sleep(EVERY_S)


async def _get(http: aiohttp.ClientSession, path: str, **params: str | int) -> tuple[int, dict[str, Any]]:
    async with http.get(path, params=params) as answer:
        return answer.status, await answer.json(content_type=None)


async def _symbols(http: aiohttp.ClientSession, venue: str) -> list[str]:
    _, told = await _get(http, "/api/symbols", exchange=venue)
    return [row["symbol"] for row in told["symbols"] if row["status"] == "TRADING"][:WATCHED]


async def _unaccounted(http: aiohttp.ClientSession, venue: str, seen: Watch) -> dict[str, int]:
    """Ids missing at the end and the causes of their gaps, over all symbols of a venue."""
    causes: Counter[str] = Counter()
    _, told = await _get(http, "/api/symbols", exchange=venue)
    for row in told["symbols"]:
        _, account = await _get(http, "/api/coverage", exchange=venue, symbol=row["symbol"])
        named = sum(gap["last_id"] - gap["first_id"] + 1 for gap in account["gaps"])
        if named != account["trades"]["missing"]:
            missing = account["trades"]["missing"]
            seen.findings.append(f"{venue}:{row['symbol']}: {missing} ids are missing, {named} of them in gaps")
        for gap in account["gaps"]:
            causes[f"{gap['cause']}, {gap['fate']}"] += gap["last_id"] - gap["first_id"] + 1
    return dict(causes)


def _summary(
    seen: Watch, health: dict[str, Any], missing: dict[str, dict[str, int]], down: dict[str, float]
) -> report.Results:
    settled = seen.rss[int(len(seen.rss) * SETTLED_SHARE) :]
    hours, rss = np.array(settled).T / [[3600], [1]]
    waits = [wait for wait, _ in seen.waits]
    figures = ("frames", "reconnects", "resyncs", "depth_gaps", "gaps_found", "gaps_filled", "missing", "dropped")
    return {
        "minutes": round((seen.rss[-1][0] - seen.rss[0][0]) / 60, 1),
        "findings": Counter(seen.findings).most_common(20),
        "books": dict(seen.books),
        "resync_s": {
            "times": len(waits),
            "median": round(float(np.median(waits)), 1) if waits else None,
            "longest": [(round(wait, 1), name) for wait, name in sorted(seen.waits, reverse=True)[:5]],
            "not_back": {name: round(wait, 1) for name, wait in sorted(down.items())},
        },
        "rss_mb": {"settled": round(rss[0]), "end": round(rss[-1]), "most": round(rss.max())},
        "rss_mb_per_hour": round(float(np.polyfit(hours, rss, 1)[0]), 1),
        "venues": {name: {key: venue[key] for key in figures} for name, venue in health["venues"].items()},
        "missing": missing,
    }  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--symbols", type=int, default=40)
    arguments.add_argument("--faults", default=FAULTS)
    arguments.add_argument("--save", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ("demo", "--port", "0", "--symbols", str(chosen.symbols), "--faults", chosen.faults)
        with program(*words, "--data", folder, TAPEWATCH_NODE__STATE_DIR=f"{folder}/state") as live:
            url = first_line(live).split("serves ")[1].split()[0]
            results = asyncio.run(watch(url, live.pid, chosen.minutes))
    results = {"machine": report.machine(), "cores": os.cpu_count(), "faults": chosen.faults} | results
    if chosen.save:
        report.save("soak", results)
    report.say(report.soak_report(results))


if __name__ == "__main__":
    main()
