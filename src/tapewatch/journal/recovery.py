"""What a dead program left in a journal folder, made into closed files. Doing it again changes nothing."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

from .disk import Disk
from .format import CLOSED, NEW, OPEN
from .reader import Damage, files, header, read

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Recovery:
    """What a start found."""

    files: list[Path] = field(default_factory=list)
    """Files that were open when their program died, by their new names."""
    records: int = 0
    """Numbered records in them."""
    damages: list[Damage] = field(default_factory=list)
    strays: int = 0
    """Files that had never been begun."""


def recover(folder: Path, disk: Disk | None = None) -> Recovery:
    """Close what is open without changing a byte of it. The folder is made where it is missing.

    Raises NewerFormatError before anything is touched, and OSError.
    """
    disk = disk or Disk()
    found = Recovery()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in files(folder):
        with contextlib.suppress(OSError):  # whoever reads it will report that
            header(file.path)
    for stray in folder.glob(f"*{NEW}"):
        disk.remove(stray)
        found.strays += 1
    for file in files(folder):
        if file.closed:
            continue
        descriptor = disk.open(file.path)
        try:
            disk.sync(descriptor)  # its writer may have died before it did
        finally:
            disk.close(descriptor)
        closed = file.path.with_name(file.path.name.removesuffix(OPEN) + CLOSED)
        disk.rename(file.path, closed)
        found.files.append(closed)
    if found.files:
        disk.sync_folder(folder)
    for path in found.files:
        for item in read(path):
            if isinstance(item, Damage):
                found.damages.append(item)
                log.warning("journal_damage %s", item)
            else:
                found.records += item.content.numbered
    if found.files or found.strays:
        log.info(
            "journal_recovered folder=%s files=%d records=%d damages=%d strays=%d",
            folder, len(found.files), found.records, len(found.damages), found.strays,
        )  # fmt: skip
    return found
