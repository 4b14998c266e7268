"""One contender in a process and an environment of its own, told slice by slice what to do.

python -m bench.peers.worker NAME FOLDER [--whole]

Reads one word a line: ``build`` (a fresh contender), a slice's number (answers with the CPU nanoseconds it took), or
``state`` (answers with the digests of the end state).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from pathlib import Path
from time import process_time_ns

from ..slices import Contender, keep_memory
from ..workload import Workload

CONTENDERS = {
    "tapewatch": ("bench.ours", "Pipeline"),
    "cryptofeed": ("bench.peers.cryptofeed", "BinanceFeed"),
    "ccxt": ("bench.peers.ccxt", "BinanceClient"),
    "nautilus_trader": ("bench.peers.nautilus", "BinanceClient"),
    "python-binance": ("bench.peers.python_binance", "DepthCaches"),
    "hftbacktest": ("bench.peers.hftbacktest", "Backtest"),
}


def main() -> None:
    name, folder, *whole = sys.argv[1:]
    keep_memory()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    module, attribute = CONTENDERS[name]
    build = getattr(importlib.import_module(module), attribute)
    workload = Workload.load(Path(folder))
    slices = workload.slices()
    if whole:
        slices = [[read for reads in slices for read in reads]]
    contender: Contender | None = None
    for line in sys.stdin:
        word = line.strip()
        if word == "build":
            contender = None
            gc.enable()
            gc.collect()
            contender = build(workload)
            gc.collect()
            gc.disable()
            answers.write(f"{len(slices)}\n")
        elif contender is None:
            raise SystemExit("nothing has been built yet")
        elif word == "state":
            answers.write(json.dumps(contender.state().digests()) + "\n")
        else:
            start = process_time_ns()
            contender.run(slices[int(word)])
            answers.write(f"{process_time_ns() - start}\n")


if __name__ == "__main__":
    main()
