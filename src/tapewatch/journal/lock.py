"""One data folder, one program: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import IO

import msgspec

from ..model.errors import TapewatchError

LOCK = "lock"
HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What systems answer who wants a lock that another has."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock, for the sentence that others are refused with."""

    pid: int
    boot: str
    since: str


@cache
def boot_id() -> str:
    """Tells one boot of this machine from another; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class DataLock:
    """Holds a data folder from `acquire` until `release` or the death of the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self._file: IO[bytes] | None = None

    def acquire(self, since: str) -> None:
        """Make the folder if need be and take it; raises TapewatchError with the reason where that cannot be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
        except OSError as error:
            raise TapewatchError(
                f"the data folder {self.folder} cannot be written ({error.strerror}); choose another with --data or "
                "store.path, or run with --no-store"
            ) from error
        try:
            _lock(file)
        except OSError as error:
            file.close()
            raise TapewatchError(self._why_not(error)) from error
        self._file = file
        with contextlib.suppress(OSError):  # a full disk: the lock holds, it only cannot say whose it is
            file.seek(0)
            file.truncate()
            file.write(msgspec.json.encode(Holder(os.getpid(), boot_id(), since)))

    def release(self) -> None:
        """Let go; the file stays, for removing it would let two programs lock two different files."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def held_by(self) -> Holder | None:
        """Who holds the folder now; None when nobody does, or nobody can tell."""
        try:
            with self.path.open("r+b", buffering=0) as file:
                _lock(file)
        except OSError as error:
            return self.holder() if error.errno in HELD else None
        return None

    def holder(self) -> Holder | None:
        """Who wrote the lock last; it may be long dead."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None

    def _why_not(self, error: OSError) -> str:
        if error.errno not in HELD:
            return f"the data folder {self.folder} is on a disk without file locks ({error.strerror}); choose another"
        holder = self.holder()
        who = f"process {holder.pid}, since {holder.since}" if holder else "another tapewatch"
        if holder and holder.boot != boot_id():
            who = f"process {holder.pid} of another machine, since {holder.since}"
        return f"the data folder {self.folder} is in use ({who}); stop that one, or choose another folder with --data"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        """Lock a byte far behind the content, which others may read."""
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
