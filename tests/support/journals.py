"""Journals for tests: entries with recognisable payloads, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

from tapewatch.journal import Content, Damage, Record, StreamClass, files, missing, read
from tapewatch.journal.format import Entry, ends_of


def entry(n: int, size: int = 200, stream: StreamClass = StreamClass.TRADES) -> Entry:
    """A read of two messages that says which one it is."""
    payload = b'{"n":%d}{"pad":"%s"}' % (n, b"x" * size)
    return Entry(Content.FRAMES, stream, 1_790_000_000_000_000_000 + n, payload, ends_of([payload.index(b"}") + 1]))


def number(record: Record) -> int:
    """Which entry a record is."""
    return int(record.payload[5 : record.payload.index(b"}")])


def numbered(items: list[Record | Damage]) -> list[Record]:
    return [item for item in items if isinstance(item, Record) and item.content.numbered]


def read_all(folder: Path) -> tuple[list[Record], list[Damage]]:
    """Everything that was received and is in a folder, and everything that is wrong with it."""
    found = files(folder)
    items = [item for file in found for item in read(file.path)]
    return numbered(items), [*missing(found), *(item for item in items if isinstance(item, Damage))]
