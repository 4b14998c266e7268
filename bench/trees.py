"""Our path in this checkout beside the one in others: the same slices in turns, a process each.

python -m bench.trees SET CHECKOUT... [--rounds N]

A second worktree (`git worktree add ../before main`) is enough. What a change brings shows on a busy machine too, where
two runs one after the other would only measure the machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time_ns

from bench import report, sets
from bench.ours import Pipeline
from bench.slices import UNTIMED_SHARE, keep_memory

BUILD = -1


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.trees", description=__doc__)
    arguments.add_argument("set", choices=[*sets.SEEDED, *sets.RECORDED])
    arguments.add_argument("checkouts", nargs="*", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.work:
        _work(chosen.set)
        return
    sizes = [sum(len(read.frames) for read in reads) for reads in sets.load(chosen.set).slices()]
    trees = [Path(__file__).resolve().parents[1], *(path.resolve() for path in chosen.checkouts)]
    workers = [_start(tree, chosen.set) for tree in trees]
    took: list[list[list[tuple[int, int]]]] = [[[] for _ in sizes] for _ in trees]
    for number in range(chosen.rounds):
        for worker in workers:
            _ask(worker, BUILD)
        for k in range(len(sizes)):
            turn = (k + number) % len(trees)
            for one in [*range(turn, len(trees)), *range(turn)]:
                took[one][k].append(_ask(workers[one], k))
    for worker in workers:
        worker.kill()
        worker.wait()
    untimed = min(len(sizes) - 1, 1 + len(sizes) // UNTIMED_SHARE)
    messages = sum(sizes[untimed:])
    rows = []
    for tree, slices in zip(trees, took, strict=True):
        decode, apply = (sum(min(s[step] for s in k) for k in slices[untimed:]) / messages for step in (0, 1))
        middle = sum(median(sum(steps) for steps in k) for k in slices[untimed:]) / messages
        rows.append([str(tree), *(f"{ns:,.1f}" for ns in (decode, apply, decode + apply, middle))])
    report.say(report.table(["ns a message", "decode, best", "apply, best", "both", "both, median"], rows))


def _start(tree: Path, name: str) -> subprocess.Popen[str]:
    # This very file runs on the other checkout's sources, so that an old one need not have it.
    command = [sys.executable, "-c", Path(__file__).read_text(encoding="utf-8"), name, "--work"]
    search = os.pathsep.join([str(tree / "src"), str(tree)])
    return subprocess.Popen(  # noqa: S603  (our own code)
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": search},
    )


def _ask(worker: subprocess.Popen[str], k: int) -> tuple[int, int]:
    """Have slice `k` done, or everything built anew; nanoseconds to decode and to apply."""
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("a worker without pipes")
    worker.stdin.write(f"{k}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline().split()
    if len(answer) != 2:
        raise RuntimeError(f"a checkout could not play the set: exit code {worker.wait()}")
    return int(answer[0]), int(answer[1])


def _work(name: str) -> None:
    keep_memory()
    workload = sets.load(name)
    slices = workload.slices()
    path: Pipeline | None = None
    for line in sys.stdin:
        decode = apply = 0
        if int(line) == BUILD:
            path = None
            gc.collect()
            path = Pipeline(workload)
            gc.collect()
            gc.disable()
        for read in slices[int(line)] if path and int(line) != BUILD else []:
            began = process_time_ns()
            tape = path.codec.decode(read.buffer, read.ends, workload.recv_ns).tape
            decoded = process_time_ns()
            path.engine.apply(tape)
            decode, apply = decode + decoded - began, apply + process_time_ns() - decoded
        sys.stdout.write(f"{decode} {apply}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
