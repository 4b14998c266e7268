"""What is recorded when the disk fills up, and what is kept. Trades are never given up for space."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .format import StreamClass
from .reader import JournalFile, files

BOOKS = frozenset({StreamClass.DEPTH, StreamClass.QUOTES})
"""Given up first: by far the most bytes, and a book is whole again after its next snapshot."""
ALL_BUT_TRADES = BOOKS | {StreamClass.MARKS}
EASE = 1.1
"""So much more space than the limit must there be before recording resumes, or it would flutter."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a journal; 0 is no bound."""

    min_free_bytes: int = 0
    max_bytes: int = 0
    keep_s: float = 0.0


class Guard:
    """Decides which classes are not recorded, from the space there is."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._level = 0

    def look(self, free_bytes: int, journal_bytes: int) -> tuple[frozenset[StreamClass], str]:
        """Classes to give up now, and the sentence why."""
        limits = self._limits
        level, reason = self._wanted(free_bytes, journal_bytes, 1.0)
        if level < self._level:
            level, reason = self._wanted(free_bytes, journal_bytes, EASE)
            level = min(level, self._level)
        self._level = level
        if not level:
            return frozenset(), f"{free_bytes:,} bytes free, {limits.min_free_bytes:,} wanted"
        return (BOOKS if level == 1 else ALL_BUT_TRADES), reason

    def _wanted(self, free: int, used: int, ease: float) -> tuple[int, str]:
        """How much must be given up: 0 nothing, 1 books, 2 marks too."""
        least, most = self._limits.min_free_bytes * ease, self._limits.max_bytes / ease
        reason = f"{free:,} bytes free, {self._limits.min_free_bytes:,} wanted (store.min_free_bytes)"
        if free < least / 2:
            return 2, reason
        if free < least:
            return 1, reason
        if most and used > most:
            return 1, f"the journal has {used:,} bytes, {self._limits.max_bytes:,} allowed (store.max_bytes)"
        return 0, ""


def expirable(folder: Path, limits: Limits) -> tuple[list[tuple[JournalFile, str]], int]:
    """Closed files that are too old or too many, oldest first, each with the reason; and the size of all there are."""
    kept = files(folder)
    size = left = sum(file.size for file in kept)
    out = []
    for file in [file for file in kept if file.closed]:
        age_s = time.time() - _modified(file.path)
        old, many = 0 < limits.keep_s < age_s, 0 < limits.max_bytes < left
        if not old and not many:
            break
        out.append((file, "age" if old else "size"))
        left -= file.size
    return out, size


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()  # consumed meanwhile
