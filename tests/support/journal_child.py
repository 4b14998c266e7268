"""A program that records as fast as it is told and says what is acknowledged, until it is killed.

Run as ``python journal_child.py FOLDER FIRST POINT``. Entries are numbered from FIRST. It prints ``ready MS`` once it
records, then lines ``FLUSHED SYNCED``: how many entries the operating system, and the disk, have. POINT is empty, or
``operation:moment:count``: at the count-th call of that operation of the disk it kills itself ``before`` it, ``after``
it, or in the ``middle`` of a write.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from journals import entry
from tapewatch.journal import Journal, Rotation, recover
from tapewatch.journal.disk import Disk

EVERY_S = 0.001


class DeadlyDisk(Disk):
    """The real disk, at one of whose operations the program dies."""

    def __init__(self, point: str) -> None:
        self.operation, self.moment, count = point.split(":") if point else ("", "", "0")
        self.count = int(count)
        self.calls: Counter[str] = Counter()

    def _is_due(self, operation: str, moment: str) -> bool:
        return (operation, moment) == (self.operation, self.moment) and self.calls[operation] == self.count

    def _call(self, operation: str, *arguments: Any) -> Any:
        self.calls[operation] += 1
        if self._is_due(operation, "before"):
            die()
        if self._is_due(operation, "middle"):
            descriptor, data = arguments
            super().write(descriptor, data[: len(data) // 2])
            die()
        result = getattr(super(), operation)(*arguments)
        if self._is_due(operation, "after"):
            die()
        return result

    def create(self, path: Path) -> int:
        return int(self._call("create", path))

    def write(self, descriptor: int, data: bytes) -> None:
        self._call("write", descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._call("sync", descriptor)

    def close(self, descriptor: int) -> None:
        self._call("close", descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename", old, new)

    def remove(self, path: Path) -> None:
        self._call("remove", path)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, first: int, point: str) -> None:
    began = time.perf_counter()
    recover(folder)
    journal = Journal(folder, "binance", disk=DeadlyDisk(point), rotation=Rotation(after_bytes=20_000))
    journal.start()
    say(f"ready {(time.perf_counter() - began) * 1000:.1f}")
    n = first
    while True:
        journal.add(entry(n, n % 700))
        n += 1
        status = journal.status
        say(f"{status.records} {status.synced}")
        time.sleep(EVERY_S)


def say(line: str) -> None:
    """Past every buffer of this process: what was said is known even if we die now."""
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
