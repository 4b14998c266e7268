"""The live program against the simulated venue: real sockets, engines, hub, journal and a page's worth of topics.

python -m bench.live [LOAD ...] [--minutes N] [--clients N] [--save]

Two processes are started as a user starts them, `tapewatch venue` and `tapewatch run`; the third, this one, only reads
/health and resident memory every few seconds and listens to the stream as a page does. The venue moves its market in
steps of 25 ms and sends what a step brought when it has written it all: how late that is, a bystander measures, who
reads the same venue and does nothing else (`overhear.py`). A burst is two seconds of every ten; readers of stored data
ask for a day that only the store has, without pause.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import LEVEL, ROW, Flag, Kind, Tape
from tapewatch.store.writer import Store

from . import report

STORM, GUST = 1.1, 3.0
"""What makes the simulated market send some 10,000 messages a second, and some 30,000 in a burst."""
EVERY_S = 1.0
DAY_MS = 86_400_000
STORED_TRADES = 400_000
SETTLED_SHARE = 0.3
"""The first part of a run is not judged: books fill, candles begin, memory is touched for the first time."""
TOPICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {}),
    ("imbalance", {}),
    ("bigflow", {}),
    ("liquidations", {}),
    ("footprint", {"symbol": "BTCUSDT", "tf": "1m", "step": "1"}),
)
OVERHEARD = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT")
"""Symbols that the bystander listens to."""
STAGES = ("receive", "decode", "engine", "hub", "send")


@dataclass(slots=True)
class Sample:
    """What the program says of itself at one moment."""

    at_s: float
    frames: int
    cpu_s: float
    rss_mb: float
    health: dict[str, Any]

    @property
    def venue(self) -> dict[str, Any]:
        venue: dict[str, Any] = self.health["venues"]["binance"]
        return venue


@contextlib.contextmanager
def program(*arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A running ``tapewatch``, ended when the block is."""
    process = subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, "-m", "tapewatch", *arguments],
        env={**os.environ, **settings}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def first_line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise TypeError("the program's output is not piped")
    return process.stdout.readline()


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds of a process with all its threads, and its resident memory in MB."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def watch(one: Running, seconds: float, clients: int, readers: int = 0) -> tuple[list[Sample], report.Results]:
    """What the program says of itself every second, and what a bystander heard of the same venue."""
    samples: list[Sample] = []
    async with aiohttp.ClientSession(one.url) as http, asyncio.TaskGroup() as tasks:
        await in_step(http)
        listeners = [tasks.create_task(listen(http)) for _ in range(clients)]
        listeners += [tasks.create_task(_read(http, one.stored_ms)) for _ in range(readers)]
        bystander = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.overhear", one.venue_ws, str(seconds - 3), *OVERHEARD),
            stdout=asyncio.subprocess.PIPE,
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            samples.append(await sample(http, one.pid))
            await asyncio.sleep(EVERY_S)
        told, _ = await bystander.communicate()
        for listener in listeners:
            listener.cancel()
    return samples, json.loads(told)


async def in_step(http: aiohttp.ClientSession) -> None:
    """Wait until every book is in step with the venue."""
    while True:
        async with http.get("/health") as answer:
            venue = (await answer.json())["venues"]["binance"]
        if venue["books_in_sync"] and not venue["books_resyncing"]:
            return
        await asyncio.sleep(1.0)


async def sample(http: aiohttp.ClientSession, pid: int) -> Sample:
    async with http.get("/health") as answer:
        health = await answer.json()
    return Sample(time.monotonic(), health["venues"]["binance"]["frames"], *usage(pid), health)


def store_older_day(folder: Path) -> int:
    """Put a day of trades of BTCUSDT into a store that is otherwise empty; returns when that day ended, ms."""
    end_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS - DAY_MS
    numbers = np.arange(1, STORED_TRADES + 1)
    rows = np.zeros(STORED_TRADES, ROW)
    rows["kind"], rows["flags"] = Kind.TRADE, Flag.AGGREGATE
    rows["flags"][::3] |= int(Flag.SELL)
    rows["id"] = rows["first_id"] = rows["last_id"] = numbers
    rows["ts_ms"] = rows["event_ms"] = end_ms - DAY_MS + numbers * (DAY_MS // STORED_TRADES) - 1
    rows["price"], rows["qty"] = 600_000 + numbers * 37 % 900, 1 + numbers % 50
    instrument = Instrument(0, "binance", "BTCUSDT", "BTC", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.001"))
    store = Store(folder).open()
    try:
        store.write(Universe("binance", [instrument]), Tape(rows, np.zeros(0, LEVEL)), name="older")
    finally:
        store.close()
    return end_ms


async def _read(http: aiohttp.ClientSession, before_ms: int) -> None:
    """Ask for the whole stored day again and again."""
    query = f"symbol=BTCUSDT&tf=1m&step=0.5&lookback=1440&before={before_ms}"
    while True:
        async with http.get(f"/api/footprint?{query}") as answer:
            answer.raise_for_status()
            await answer.read()


async def listen(http: aiohttp.ClientSession) -> None:
    """What a page subscribes to."""
    async with http.ws_connect("/ws/stream", max_msg_size=0) as ws:
        for number, (topic, params) in enumerate(TOPICS):
            await ws.send_json({"op": "subscribe", "id": number, "topic": topic, "params": params})
        async for _ in ws:
            pass


def summary(samples: list[Sample]) -> report.Results:
    settled = samples[int(len(samples) * SETTLED_SHARE) :]
    first, last = settled[0], settled[-1]
    seconds = last.at_s - first.at_s
    hours = np.array([sample.at_s for sample in settled]) / 3600
    slope = float(np.polyfit(hours, [sample.rss_mb for sample in settled], 1)[0])
    stages = {
        stage: {
            name: float(np.median([value for s in settled if (value := s.venue["latency"][stage][name]) is not None]))
            for name in ("p50_ms", "p99_ms")
        }
        for stage in STAGES
    }
    stages["exchange to engine"] = {
        f"{name}_ms": float(np.median([s.venue[f"latency_{name}_ms"] for s in settled])) for name in ("p50", "p99")
    }
    dropped = sum(journal["dropped_reads"] for journal in last.health["storage"]["journals"].values())
    losses = ("gaps_found", "gaps_filled", "depth_gaps", "dropped", "reconnects")
    during = {name: last.venue[name] - first.venue[name] for name in losses}
    during |= {"missing": during["gaps_found"] - during["gaps_filled"], "journal_dropped": dropped}
    return {
        "seconds": round(seconds),
        "messages_per_s": round((last.frames - first.frames) / seconds),
        "busiest_per_s": round(_busiest(settled)),
        "cpu_share": round((last.cpu_s - first.cpu_s) / seconds, 3),
        "rss_mb": round(last.rss_mb, 1),
        "rss_mb_per_hour": round(slope, 1),
        "latency": stages,
        "during": during,
        "skipped": last.health["hub"]["skipped"] - first.health["hub"]["skipped"],
        "tier_max": max(sample.health["load"]["tier"] for sample in settled),
        "loop_busy": round(float(np.median([sample.health["load"]["busy"] for sample in settled])), 3),
        "loop_late_ms_max": max(sample.health["load"]["late_ms"] for sample in settled),
    }


def _busiest(samples: list[Sample]) -> float:
    return max((b.frames - a.frames) / (b.at_s - a.at_s) for a, b in pairwise(samples))


@dataclass(frozen=True, slots=True)
class Load:
    """What a run has to carry: the market's pace, that of its gusts, and readers of stored data."""

    storm: float
    gust: float = 1.0
    readers: int = 0


LOADS = {
    "sustained": Load(STORM),
    "bursts": Load(STORM, gust=GUST),
    "sustained, stored data read": Load(STORM, readers=2),
}


@dataclass(frozen=True, slots=True)
class Running:
    """A program beside the venue it listens to."""

    url: str
    pid: int
    venue_pid: int
    venue_ws: str
    stored_ms: int
    """When the one day ended that only the store has."""


@contextlib.contextmanager
def started(load: Load, symbols: int) -> Iterator[Running]:
    """A venue and a program of their own for one load."""
    venue_words = ("venue", "--port", "0", "--announce", "--symbols", str(symbols))
    faults = f"storm:{load.storm},gust:{load.gust}"
    with tempfile.TemporaryDirectory() as folder, program(*venue_words, "--faults", faults) as venue:
        where = json.loads(first_line(venue))
        settings = {
            "TAPEWATCH_VENUES__BINANCE__REST_URL": where["rest_url"],
            "TAPEWATCH_VENUES__BINANCE__WS_URL": where["ws_url"],
            "TAPEWATCH_STORE__PATH": f"{folder}/data",
            "TAPEWATCH_NODE__STATE_DIR": f"{folder}/state",
        }
        stored_ms = store_older_day(Path(folder) / "data")
        with program("run", "--port", "0", **settings) as live:
            url = first_line(live).split("serves ")[1].split()[0]
            yield Running(url, live.pid, venue.pid, where["ws_url"], stored_ms)


def run(load: Load, *, symbols: int, minutes: float, clients: int) -> report.Results:
    """One load, for some minutes."""
    with started(load, symbols) as one:
        samples, overheard = asyncio.run(watch(one, minutes * 60, clients, load.readers))
    return asdict(load) | summary(samples) | {"overheard": overheard}


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    arguments.add_argument("loads", nargs="*", metavar="load", help=f"of {', '.join(LOADS)}; all when none is named")
    arguments.add_argument("--symbols", type=int, default=550)
    arguments.add_argument("--minutes", type=float, default=2.0, help="of each load")
    arguments.add_argument("--clients", type=int, default=4)
    arguments.add_argument("--save", action="store_true")
    chosen = arguments.parse_args()
    results: report.Results = {"machine": report.machine(), "clients": chosen.clients, "symbols": chosen.symbols}
    results["loads"] = {
        name: run(LOADS[name], symbols=chosen.symbols, minutes=chosen.minutes, clients=chosen.clients)
        for name in chosen.loads or LOADS
    }
    if chosen.save:
        report.save("live", results)
    report.say(report.live_report(results))


if __name__ == "__main__":
    main()
