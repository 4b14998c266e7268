"""`make bench-peers`: our path and well-known feed handlers on the same bytes, each in its own environment.

Everybody is a process (`peers/worker.py`) that has loaded the set and waits to be told which slice to do. In each round
everybody plays the whole set, one after the other in rotating order: slice by slice, as in `slices`, the seconds
that a peer takes would empty the caches of all others every time. Peers are slow: sets are cut to what they do in
seconds, and everybody does the same. Otherwise the rules are those of `slices`.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from . import recordings, report, sets
from .environments import CannotBeMade, interpreter
from .slices import UNTIMED_SHARE, Cost, disagreements
from .workload import Workload

ROUNDS = 3
ROOT = Path(__file__).resolve().parents[1]
OURS = report.OURS
LIVE = ("cryptofeed", "ccxt", "nautilus_trader")
SETS: dict[str, tuple[int, tuple[str, ...]]] = {
    # set: how many frames of it, and who is on it
    "trades": (150_000, LIVE),
    "depth20": (20_000, (*LIVE, "python-binance")),
    "mix550": (80_000, LIVE),
    "btc+eth 2024": (80_000, ("cryptofeed",)),
    "btc 2024": (20_000, ("hftbacktest",)),
}
WHOLE = {"btc 2024"}
"""Sets done in one piece: hftbacktest converts files."""


class Ended(Exception):  # noqa: N818  (it says what happened)
    """A contender's process is no more."""


class Worker:
    """A contender in its own process."""

    def __init__(self, name: str, folder: Path, *, whole: bool) -> None:
        self.name = name
        python = Path(sys.executable) if name == OURS else interpreter(name)
        command = [str(python), "-m", "bench.peers.worker", name, str(folder), *(["--whole"] if whole else [])]
        self._process = subprocess.Popen(  # noqa: S603  (our own module)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )

    def ask(self, word: str | int) -> str:
        """Have one thing done; returns the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker without pipes")
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            raise Ended(f"{self.name} ended {how} when told {word!r}")
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def workload_of(name: str) -> Workload:
    if name == "btc 2024":
        return recordings.load_files(name, recordings.BTC_2024).without(b"@bookTicker")
    # cryptofeed ends at a message whose data is an array.
    return sets.load(name).without(b"!markPrice@arr")


def compare(name: str, contenders: Sequence[str], rounds: int) -> tuple[Workload, dict[str, Cost], list[str]]:
    """Costs of all that can run here, and a sentence about each that cannot."""
    frames, _ = SETS[name]
    workload = workload_of(name).head(frames)
    remarks: list[str] = []
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory() as folder:
        workload.save(Path(folder))
        try:
            for contender in (OURS, *contenders):
                try:
                    workers.append(Worker(contender, Path(folder), whole=name in WHOLE))
                except CannotBeMade as error:
                    remarks.append(str(error))
            costs = _measure(workload, workers, rounds, remarks, whole=name in WHOLE)
        finally:
            for worker in workers:
                worker.close()
    return workload, costs, remarks


def _measure(
    workload: Workload, workers: list[Worker], rounds: int, remarks: list[str], *, whole: bool
) -> dict[str, Cost]:
    sizes = [sum(len(read.frames) for read in reads) for reads in workload.slices()]
    sizes = [sum(sizes)] if whole else sizes
    untimed = 0 if whole else min(len(sizes) - 1, 1 + len(sizes) // UNTIMED_SHARE)
    messages = sum(sizes[untimed:])
    spent: dict[str, list[list[int]]] = {worker.name: [] for worker in workers}
    digests: dict[str, dict[str, str]] = {}
    for number in range(rounds + 1):
        for worker in [*workers[number % len(workers) :], *workers[: number % len(workers)]]:
            if worker.name not in spent:
                continue
            try:
                worker.ask("build")
                took = [int(worker.ask(k)) for k in range(len(sizes))]
                digests[worker.name] = json.loads(worker.ask("state"))
                if number:
                    spent[worker.name].append(took)
            except Ended as end:
                remarks.append(f"{workload.name}: {end}")
                del spent[worker.name]
    return {
        name: Cost(
            sum(min(times) for times in zip(*(took[untimed:] for took in rounds_), strict=True)) / messages,
            sum(median(times) for times in zip(*(took[untimed:] for took in rounds_), strict=True)) / messages,
            digests[name],
        )
        for name, rounds_ in spent.items()
    }


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench.against", description=__doc__)
    arguments.add_argument("sets", nargs="*", metavar="set", help="only these sets, nothing saved")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = arguments.parse_args()
    names = chosen.sets or list(SETS)
    remarks: list[str] = []
    if not chosen.sets and (absent := sets.missing_recordings()):
        remarks.append(absent)
        names = [name for name in names if name in sets.SEEDED]
    machine = report.machine()
    report.say(report.machine_line(machine))
    measured: report.Results = {}
    for name in names:
        workload, costs, missing = compare(name, SETS[name][1], chosen.rounds)
        remarks += [sentence for sentence in missing if sentence not in remarks]
        wrong = disagreements(costs, costs[OURS])
        measured[name] = report.costs_as_data(len(workload.frames), workload.size, costs, wrong)
        report.say("\n" + report.costs_table(name, measured[name]))
    for sentence in remarks:
        report.say(sentence)
    if not chosen.sets:
        results = {"machine": machine, "rounds": chosen.rounds, "sets": measured, "remarks": remarks}
        report.save("peers", results)
        report.say(report.targets_table(measured, report.PEER_TARGETS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
