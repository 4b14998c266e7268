"""An hour of the live program at the sustained rate: what every process of it keeps in memory, and how that grows.

python -m bench.hour [--minutes 60] [--symbols 550] [--save]

The same two programs and pages as in `bench.live`. Every ten seconds the resident memory of the program is read, split
by process (the program itself, its sealer, its answerers), and what of it is anonymous: state, not libraries. Beside it
stands what the program says its rings and books have taken (`/api/operations`, `memory.parts`): a young program fills
them. What grows without them nobody has declared. Slopes are fitted over the last half of the run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np

from . import report
from .live import Load, Running, Sample, in_step, listen, sample, started, summary

EVERY_S = 10.0
FITTED_SHARE = 0.5
STORM = 1.0
LEAST_MB = 0.1
"""Structures that have used less are not told one by one."""
SHOWN_MIN = (1, 5, 10, 20, 30, 45, 60)
HELD, UNDECLARED = "rings and books of run", "run, anonymous, without them"
_PRIVATE = re.compile(r"^Anonymous:\s+(\d+) kB", re.MULTILINE)


@dataclass(slots=True)
class Memory:
    """MB of every process and of what the program declares, one entry a sample."""

    at_s: list[float] = field(default_factory=list)
    of: dict[str, list[float]] = field(default_factory=dict)

    def take(self, at_s: float, now: dict[str, float]) -> None:
        for name in dict.fromkeys([*self.of, *now]):
            # A process that was not there yet, or is gone, keeps nothing.
            self.of.setdefault(name, [0.0] * len(self.at_s)).append(now.get(name, 0.0))
        self.at_s.append(at_s)


def family(pid: int) -> dict[str, int]:
    """Processes of a running `tapewatch`, itself first, by the command they were started with."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        words = command.decode(errors="replace").split("\0")
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1]), words
    names, found = {"run": pid}, {pid}
    while grown := {child for child, (parent, _) in parents.items() if parent in found} - found:
        for child in sorted(grown):
            words = parents[child][1]
            name = words[words.index("tapewatch") + 1] if "tapewatch" in words else words[-2] if words[1:] else "other"
            names[name if name not in names else f"{name} {child}"] = child
        found |= grown
    return names


def memory_of(pid: int) -> tuple[float, float]:
    """Resident and anonymous memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    private = _PRIVATE.search(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, int(private[1]) * 1024 / 1e6 if private else 0.0


async def declared(http: aiohttp.ClientSession) -> dict[str, float]:
    """MB that each structure of the program's state has used, as the program says."""
    async with http.get("/api/operations") as answer:
        answer.raise_for_status()
        parts = (await answer.json())["memory"]["parts"]
    return {part["name"]: part["used"] / 1e6 for part in parts}


def judged(now: dict[str, float], parts: dict[str, float]) -> dict[str, float]:
    """A sample with what the program declares, and what of its anonymous memory it does not."""
    held = sum(parts.values())
    sums = {HELD: held, UNDECLARED: now["run, anonymous"] - held}
    return now | sums | {f"of them {name}": used for name, used in parts.items() if used >= LEAST_MB}


async def watch(one: Running, minutes: float, clients: int) -> tuple[list[Sample], Memory]:
    samples, memory = list[Sample](), Memory()
    async with aiohttp.ClientSession(one.url) as http, asyncio.TaskGroup() as tasks:
        await in_step(http)
        pages = [tasks.create_task(listen(http)) for _ in range(clients)]
        began = time.monotonic()
        while (at_s := time.monotonic() - began) < minutes * 60:
            now: dict[str, float] = {}
            for name, pid in {**family(one.pid), "simulated venue": one.venue_pid}.items():
                try:
                    now[name], now[f"{name}, anonymous"] = memory_of(pid)
                except OSError:  # an answerer ends when it has nothing to do
                    continue
            now = judged(now, await declared(http))
            memory.take(at_s, now)
            samples.append(await sample(http, one.pid))
            report.say(f"{at_s / 60:5.1f} min  " + "  ".join(f"{k} {v:,.1f}" for k, v in now.items()))
            await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - began - at_s)))
        for page in pages:
            page.cancel()
    return samples, memory


def growth(memory: Memory) -> report.Results:
    """Of each process: MB at some minutes, at the end, and the slope over the last part, with its standard error."""
    at_h = np.array(memory.at_s) / 3600
    late = at_h >= at_h[-1] * (1 - FITTED_SHARE)
    out: report.Results = {}
    for name, values in memory.of.items():
        (slope, _), covered = np.polyfit(at_h[late], np.array(values)[late], 1, cov=True)
        shown = {str(m): round(values[int(np.argmin(np.abs(at_h * 60 - m)))]) for m in SHOWN_MIN if m <= at_h[-1] * 60}
        error = round(float(covered[0, 0]) ** 0.5, 2)
        out[name] = {
            "at_min": shown,
            "end": round(values[-1], 1),
            "mb_per_hour": round(float(slope), 1),
            "error": error,
        }
    return out


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.hour", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--symbols", type=int, default=550)
    arguments.add_argument("--clients", type=int, default=4)
    arguments.add_argument("--save", action="store_true")
    chosen = arguments.parse_args()
    results: report.Results = {"machine": report.machine(), "symbols": chosen.symbols, "minutes": chosen.minutes}
    with started(Load(STORM), chosen.symbols) as one:
        samples, memory = asyncio.run(watch(one, chosen.minutes, chosen.clients))
    results |= {"memory": growth(memory), "during": summary(samples)}
    if chosen.save:
        report.save("hour", results)
    report.say(report.hour_report(results))


if __name__ == "__main__":
    main()
