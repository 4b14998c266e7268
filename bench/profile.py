"""Where the time of our path goes, by kind of message and by step.

python -m bench.profile [set] [--keep-running SECONDS]

Frames of each kind are played alone: what one costs to decode, what to apply, its share of the whole set's time, and
what a socket read costs that brings a single frame, where the fixed cost of a call counts most. With `--keep-running`
the whole set is then played over and over, for a profiler to look at (docs/performance.md).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from time import monotonic, process_time_ns

from . import report, sets
from .ours import Pipeline
from .workload import Read, Workload

KINDS = {
    "depth": b"@depth",
    "aggTrade": b"@aggTrade",
    "trade": b"@trade",
    "bookTicker": b"@bookTicker",
    "markPrice": b"@markPrice",
    "forceOrder": b"!forceOrder",
}
"""What stands in the first bytes of a frame of each kind."""
ROUNDS = 5
SHORT_READS = 2_000


@dataclass(frozen=True, slots=True)
class Steps:
    """Nanoseconds a frame, at best: in long socket reads, and alone in its read."""

    frames: int
    decode: float
    apply: float
    alone: float

    @property
    def total(self) -> float:
        return self.frames * (self.decode + self.apply)


def measure(workload: Workload) -> Steps:
    """Time decoding and applying apart, read by read, the fastest of a few rounds each."""
    reads = [read for part in workload.slices() for read in part]
    best = [(1 << 62, 1 << 62)] * len(reads)
    for _ in range(ROUNDS):
        path = Pipeline(workload)
        for k, read in enumerate(reads):
            decode, apply = _timed(path, read, workload.recv_ns)
            best[k] = min(best[k][0], decode), min(best[k][1], apply)
    path = Pipeline(workload)
    single = [sum(_timed(path, Read.of([frame]), workload.recv_ns)) for frame in workload.frames[:SHORT_READS]]
    decode, apply = (sum(column) / len(workload.frames) for column in zip(*best, strict=True))
    return Steps(len(workload.frames), decode, apply, median(single))


def _timed(path: Pipeline, read: Read, recv_ns: int) -> tuple[int, int]:
    start = process_time_ns()
    tape = path.codec.decode(read.buffer, read.ends, recv_ns).tape
    decoded = process_time_ns()
    path.engine.apply(tape)
    return decoded - start, process_time_ns() - decoded


def table(kinds: dict[str, Steps]) -> str:
    whole = sum(steps.total for steps in kinds.values())
    rows: Iterable[list[str]] = (
        [
            name,
            f"{steps.frames:,}",
            f"{steps.total / whole:.0%}",
            f"{steps.decode:,.0f}",
            f"{steps.apply:,.0f}",
            f"{steps.alone:,.0f}",
        ]
        for name, steps in kinds.items()
    )
    return report.table(["", "frames", "share of the time", "ns to decode", "ns to apply", "ns alone in a read"], rows)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__.split("\n\n")[0])  # type: ignore[union-attr]
    arguments.add_argument("set", nargs="?", default="mix550", choices=[*sets.SEEDED, *sets.RECORDED])
    arguments.add_argument("--keep-running", type=float, default=0.0, metavar="SECONDS")
    chosen = arguments.parse_args()
    workload = sets.load(chosen.set)
    parts = {name: workload.only(mark) for name, mark in KINDS.items()}
    measure(workload.head(2_000))  # machine code is loaded, memory touched
    report.say(report.machine_line(report.machine()))
    report.say(table({name: measure(part) for name, part in parts.items() if part.frames}))
    if chosen.keep_running:
        report.say(f"playing {chosen.set} for {chosen.keep_running:g} s in process {os.getpid()}")
        until = monotonic() + chosen.keep_running
        while monotonic() < until:
            path = Pipeline(workload)
            for reads in workload.slices():
                path.run(reads)


if __name__ == "__main__":
    main()
