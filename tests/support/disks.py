"""Disks that misbehave on demand: real files behind, faults injected where the journal meets the operating system.

`FaultyDisk` can refuse any operation with an errno, write only a part of what it is given (a full disk does that), run
out of a budget of bytes, and stall. `forget_unsynced` is a power cut: bytes that were written and not confirmed by
`fsync` are gone.
"""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tapewatch.journal.disk import Disk


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A real file system of a few bytes at `place`; skips the test where none can be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here (that takes root); the shim's budget stands for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


class FaultyDisk(Disk):
    """The real disk, until told otherwise."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        """errno by operation: create, write, sync, close, rename, folder."""
        self.torn = 0
        """Bytes of a failing write that are written all the same."""
        self.budget: int | None = None
        """Bytes that can still be written; then ENOSPC after a short write."""
        self.calls: Counter[str] = Counter()
        self.flowing = threading.Event()
        """Cleared, every operation waits: a disk that does not answer."""
        self.flowing.set()
        self.confirming = threading.Event()
        """Cleared, only fsync waits: a disk that is busy with what others write."""
        self.confirming.set()
        self._paths: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}

    def _meet(self, operation: str) -> None:
        self.calls[operation] += 1
        self.flowing.wait()
        if operation in self.fail:
            raise OSError(self.fail[operation], os.strerror(self.fail[operation]))

    def create(self, path: Path) -> int:
        self._meet("create")
        descriptor = super().create(path)
        self._paths[descriptor] = path
        self._synced[path] = 0
        return descriptor

    def open(self, path: Path) -> int:
        self._meet("open")
        descriptor = super().open(path)
        self._paths[descriptor] = path
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self.calls["write"] += 1
        self.flowing.wait()
        if "write" in self.fail:
            super().write(descriptor, data[: self.torn])
            raise OSError(self.fail["write"], os.strerror(self.fail["write"]))
        if self.budget is not None:
            fits = data[: self.budget]
            self.budget -= len(fits)
            super().write(descriptor, fits)
            if len(fits) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size  # what is written from here on is not promised
        self.confirming.wait()
        self._meet("sync")
        super().sync(descriptor)
        if descriptor in self._paths:
            self._synced[self._paths[descriptor]] = size

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        super().close(descriptor)
        self._meet("close")

    def rename(self, old: Path, new: Path) -> None:
        self._meet("rename")
        super().rename(old, new)
        if old in self._synced:
            self._synced[new] = self._synced.pop(old)
            for descriptor, path in self._paths.items():
                if path == old:
                    self._paths[descriptor] = new

    def forget_unsynced(self) -> None:
        """Cut the power: every file ends where its last successful fsync left it."""
        for path, size in self._synced.items():
            if path.exists():
                os.truncate(path, size)
