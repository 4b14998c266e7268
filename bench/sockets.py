"""From a loopback socket to books and footprints: flat out, at the whole market's own pace, and at ten times that.

python -m bench.sockets [--rounds N] [--save]

A venue that only sends (`bench.sender`) and one reader (`bench.receiver`) are processes of their own, each pinned to a
core where there are two; readers take turns. The bare read with picows, which does nothing with a frame, is the limit.
Delay is from the moment a message is due to the moment its read has been dealt with, the sender's own lateness in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import report, sets
from .ours import Pipeline
from .sender import due_ns
from .slices import UNTIMED_SHARE

SET = "mix550"
PACES = {"flat out": 0.0, "whole market": 1.0, "ten times": 10.0}
CONTENDERS = {"tapewatch": "ours", "picows, bare read": "raw"}


def _start(core: int, *arguments: str) -> subprocess.Popen[str]:
    def pin() -> None:
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})

    return subprocess.Popen(  # noqa: S603  (our own modules)
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pin,  # noqa: PLW1509  (no thread is running here)
    )


def one_run(contender: str, speed: float, due: np.ndarray[Any, np.dtype[np.int64]]) -> report.Results:
    """CPU and wall time of one reader; with a pace also the percentiles of the delay."""
    pace = [str(speed)] if speed else []
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times.npy"
        sender = _start(0, "bench.sender", SET, *pace)
        if sender.stdout is None:
            raise TypeError("the sender's output is not piped")
        port = sender.stdout.readline().strip()
        keep = [str(times)] if speed else []
        receiver = _start(1, "bench.receiver", contender, port, SET, *keep)
        result: report.Results = json.loads(receiver.communicate(timeout=300)[0])
        sent = json.loads(sender.communicate(timeout=60)[0])
        if speed:
            delay = (np.load(times) - sent["start_ns"] - due) / 1e6
            delay = delay[len(delay) // UNTIMED_SHARE :]
            p50, p99 = np.percentile(delay, (50, 99))
            result |= {"p50_ms": float(p50), "p99_ms": float(p99), "sender_late_ms": sent["late_ms_max"]}
    result["cpu_ns"] = result["cpu_s"] / result["messages"] * 1e9
    result["per_s"] = result["messages"] / result["wall_s"]
    result["cpu_percent"] = result["cpu_s"] / result["wall_s"] * 100
    return result


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench.sockets", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--save", action="store_true")
    chosen = arguments.parse_args()
    machine = report.machine()
    workload = sets.load(SET)
    reference = Pipeline(workload)
    for reads in workload.slices():
        reference.run(reads)
    expected = reference.state().digests()
    runs: dict[str, dict[str, list[report.Results]]] = {}
    for _ in range(chosen.rounds):
        for pace, speed in PACES.items():
            due = due_ns(workload.frames, speed or 1.0)
            for name, contender in CONTENDERS.items():
                result = one_run(contender, speed, due)
                if result["digests"] and result["digests"] != expected:
                    report.say(f"{name}, {pace}: the end state differs from that of the same frames without a socket")
                    return 1
                runs.setdefault(pace, {}).setdefault(name, []).append(result)
    results = {"machine": machine, "rounds": chosen.rounds, "paces": {p: _best(by) for p, by in runs.items()}}
    if chosen.save:
        report.save("sockets", results)
    report.say(report.sockets_report(results))
    return 0


def _best(by_name: dict[str, list[report.Results]]) -> report.Results:
    """The best round of each figure, and the median one."""
    figures = {"per_s": max, "cpu_ns": min, "cpu_percent": min, "p50_ms": min, "p99_ms": min}
    return {
        name: {
            figure: {
                "best": round(best(run[figure] for run in runs), 3),
                "median": round(float(np.median([run[figure] for run in runs])), 3),
            }
            for figure, best in figures.items()
            if figure in runs[0]
        }
        for name, runs in by_name.items()
    }


if __name__ == "__main__":
    sys.exit(main())
