"""The live program against the simulated venue: real sockets, engines, hub, journal and a page's worth of topics.

python -m bench.live [--storm FACTOR] [--minutes N] [--clients N]

Two processes are started as a user starts them, `tapewatch venue` and `tapewatch run`; the third, this one, only reads
/health and resident memory every few seconds and listens to the stream as a page does. The venue moves its market in
steps of 25 ms and sends what a step brought at once, so some 12 ms of the stage `receive` are its own.
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
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from . import report

EVERY_S = 2.0
SETTLED_SHARE = 0.3
"""The first part of a run is not judged: books fill, candles begin, memory is touched for the first time."""
TOPICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {}),
    ("imbalance", {}),
    ("bigflow", {}),
    ("liquidations", {}),
    ("footprint", {"symbol": "BTCUSDT", "tf": "1m", "step": "1"}),
)
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


async def watch(url: str, pid: int, seconds: float, clients: int) -> list[Sample]:
    samples: list[Sample] = []
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        while True:  # until every book is in step with the venue
            async with http.get(f"{url}health") as answer:
                venue = (await answer.json())["venues"]["binance"]
            if venue["books_in_sync"] and not venue["books_resyncing"]:
                break
            await asyncio.sleep(1.0)
        listeners = [tasks.create_task(_listen(http, url)) for _ in range(clients)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            async with http.get(f"{url}health") as answer:
                health = await answer.json()
            frames = health["venues"]["binance"]["frames"]
            samples.append(Sample(time.monotonic(), frames, *usage(pid), health))
            await asyncio.sleep(EVERY_S)
        for listener in listeners:
            listener.cancel()
    return samples


async def _listen(http: aiohttp.ClientSession, url: str) -> None:
    """What a page subscribes to."""
    async with http.ws_connect(f"{url}ws/stream", max_msg_size=0) as ws:
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
    losses = ("gaps_found", "gaps_filled", "depth_gaps", "dropped", "reconnects")
    return {
        "seconds": round(seconds),
        "messages_per_s": round((last.frames - first.frames) / seconds),
        "busiest_per_s": round(_busiest(settled)),
        "cpu_share": round((last.cpu_s - first.cpu_s) / seconds, 3),
        "rss_mb": round(last.rss_mb, 1),
        "rss_mb_per_hour": round(slope, 1),
        "latency": stages,
        "during": {name: last.venue[name] - first.venue[name] for name in losses},
        "skipped": last.health["hub"]["skipped"] - first.health["hub"]["skipped"],
        "tier_max": max(sample.health.get("load", {}).get("tier", 0) for sample in settled),
    }


def _busiest(samples: list[Sample]) -> float:
    return max((b.frames - a.frames) / (b.at_s - a.at_s) for a, b in pairwise(samples))


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    arguments.add_argument("--storm", type=float, default=1.5, help="how many times the market's ordinary rate")
    arguments.add_argument("--symbols", type=int, default=550)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--clients", type=int, default=4)
    arguments.add_argument("--save", default="", help="name of a file in bench/results")
    chosen = arguments.parse_args()
    machine = report.machine()
    venue_words = ("venue", "--port", "0", "--announce", "--symbols", str(chosen.symbols))
    with tempfile.TemporaryDirectory() as folder, program(*venue_words, "--faults", f"storm:{chosen.storm}") as venue:
        where = json.loads(first_line(venue))
        settings = {
            "TAPEWATCH_VENUES__BINANCE__REST_URL": where["rest_url"],
            "TAPEWATCH_VENUES__BINANCE__WS_URL": where["ws_url"],
            "TAPEWATCH_STORE__PATH": f"{folder}/data",
            "TAPEWATCH_NODE__STATE_DIR": f"{folder}/state",
        }
        with program("run", "--port", "0", **settings) as run:
            url = first_line(run).split("serves ")[1].split()[0]
            samples = asyncio.run(watch(url, run.pid, chosen.minutes * 60, chosen.clients))
    results = {"machine": machine, "storm": chosen.storm, "clients": chosen.clients, **summary(samples)}
    if chosen.save:
        report.save(chosen.save, results)
    report.say(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
