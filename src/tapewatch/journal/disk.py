"""The file operations of the journal. Tests put faults here: everything above meets them as the real thing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


class Disk:
    """The operating system's own operations, each of which can raise OSError."""

    def create(self, path: Path) -> int:
        """Make a file that does not exist yet; returns its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return os.open(path, flags, 0o600)

    def open(self, path: Path) -> int:
        """A file that exists already, as it is."""
        return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`. After an error any part of it may have been written."""
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the disk itself."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name; that is on the disk itself after `sync_folder`."""
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are on the disk itself."""
        if os.name == "nt":
            return  # folders cannot be opened there; NTFS journals their changes itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def free_bytes(self, folder: Path) -> int:
        """Space left for us on the disk that `folder` is on."""
        return shutil.disk_usage(folder).free
