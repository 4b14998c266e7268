"""Memory of the state of the whole market: growth of this process while mix550 is played, its bytes already loaded.

python -m bench.memory ours|sorteddict      one JSON line; a process each, so that nothing is reused
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from pathlib import Path

from . import market, sets
from .ours import Pipeline
from .references import SortedDictBooks
from .slices import Build

MB = 1e6
CONTENDERS: dict[str, Build] = {"ours": Pipeline, "sorteddict": SortedDictBooks}


def measure(name: str) -> float:
    """Growth in MB, in a process of its own."""
    run = subprocess.run(  # noqa: S603  (our own module)
        [sys.executable, "-m", "bench.memory", name],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    return float(json.loads(run.stdout)["state_mb"])


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / MB


def main() -> None:
    build = CONTENDERS[sys.argv[1]]
    for small in (market.trades(200, 5), market.depth20(40, 2), market.mix550(1, 3)):
        rehearsal = build(small)  # machine code and libraries are no state
        for reads in small.slices():
            rehearsal.run(reads)
        del rehearsal
    workload = sets.load("mix550")
    slices = workload.slices()
    gc.collect()
    before = _resident_mb()
    contender = build(workload)
    for reads in slices:
        contender.run(reads)
    gc.collect()
    sys.stdout.write(json.dumps({"state_mb": round(_resident_mb() - before, 1)}) + "\n")


if __name__ == "__main__":
    main()
