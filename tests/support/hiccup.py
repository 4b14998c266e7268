"""A machine that stands still now and then: ``python tests/support/hiccup.py pytest tests/test_x.py``.

Runs a command and stops all of its processes, or one of them, for one to four seconds every few seconds. What fails
then and not otherwise claims something of our clock that it does not mean.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PAUSE_S, SPAN_S = (1.0, 5.0), (1.0, 4.0)
STOPPED = "TtZ"
"""States of processes that a test has stopped itself, or that have ended."""


def tree(root: int) -> list[int]:
    """Processes that `root` has started, and theirs, which run: the children of one come after it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in STOPPED:
                parents[int(stat.parent.name)] = int(parent)
    found = [root]
    for one in found:
        found += [process for process, parent in parents.items() if parent == one]
    return found


def send(number: int, processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def main(command: list[str]) -> int:
    """Run the command to its end; its exit code."""
    running, count = subprocess.Popen(command), 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = running.wait(random.uniform(*PAUSE_S))
            break
        every = tree(running.pid)
        chosen = every if random.random() < 0.5 else [random.choice(every)]
        send(signal.SIGSTOP, chosen)
        time.sleep(random.uniform(*SPAN_S))
        send(signal.SIGCONT, chosen)
        count += 1
    sys.stdout.write(f"stood still {count} times\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
