"""Writes the files of one journal. Whatever fails, what is not yet safe on the disk is still here and tried again."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from .. import __version__
from .disk import Disk
from .format import (
    CLOSED,
    FORMAT,
    MAGIC,
    NEW,
    OPEN,
    Close,
    Content,
    Entry,
    Header,
    StreamClass,
    encode,
    file_name,
    new_session,
)
from .lock import boot_id

log = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
"""Records are handed to the operating system in pieces of about this size."""

SOON_BYTES, SOON_S = 2 << 20, 1.0
"""A file so near its end is brought to the disk without pause."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is closed and the next one begun."""

    after_bytes: int = 64 << 20
    after_s: float = 300.0


@dataclass(slots=True)
class _Batch:
    """Encoded records that are written in one piece."""

    data: bytes
    first: int
    """Number of its first numbered record, or of the next one where it has none."""
    records: int
    """Numbered ones."""


@dataclass(slots=True)
class _File:
    descriptor: int
    path: Path
    """Its name while it is open."""
    size: int
    since: float
    records: int = 0
    failed: bool = False
    """Its fsync has failed: nothing about it can be believed any more, so it is never asked again."""


class _Sync:
    """An fsync under way, in a thread of its own: on a busy disk it takes longer than a record may wait."""

    def __init__(self, ask: Callable[[], None], batches: int) -> None:
        self.batches = batches
        """How many of the unsynced batches had been written when it began."""
        self.began = time.monotonic()
        self.error: OSError | None = None
        self._ask = ask
        self.thread = threading.Thread(target=self._run, name="journal-fsync", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._ask()
        except OSError as error:
            self.error = error


class Writer:
    """Appends records to files, closes them, and begins new ones; blocking, one thread at a time.

    After a fault `trouble` says what it is, and every further call tries again.
    """

    def __init__(
        self,
        folder: Path,
        venue: str,
        *,
        disk: Disk | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        self.folder = folder
        self.venue = venue
        self.session = new_session()
        self.trouble = ""
        """Why nothing is being written; empty while all is well."""
        self.flushed = 0
        """Numbered records that the operating system has: they survive the death of this process."""
        self.synced = 0
        """Numbered records that the disk has."""
        self.synced_at = time.monotonic()
        """When everything written so far was last on the disk."""
        self.written_bytes = 0
        self.files = 0
        """Begun by this session."""
        self.failures = 0
        """Faults of the disk that ended a file or kept one from being begun."""
        self._disk = disk or Disk()
        self._rotation = rotation or Rotation()
        self._next = 0
        self._unwritten: deque[_Batch] = deque()
        self._unsynced: deque[_Batch] = deque()
        """Written, but a failing disk may still lose them: kept to be written again elsewhere."""
        self._file: _File | None = None
        self._syncing: _Sync | None = None
        self._renamed = False
        """Whether the folder has names that the disk may not have yet: what is in those files is not safe before."""
        self._left: list[Path] = []
        """Files that a fault ended; they get their final name once a successor says where they end."""
        self._instruments: Entry | None = None

    @property
    def next_sequence(self) -> int:
        """Number of the next record."""
        return self._next

    @property
    def unsafe_bytes(self) -> int:
        """Bytes that only memory, or memory and a page cache, hold."""
        return sum(len(batch.data) for batch in (*self._unwritten, *self._unsynced))

    # -- what the thread calls ----------------------------------------------------------------------------------

    def write(self, entries: Iterable[Entry] = ()) -> None:
        """Take records, and hand to the operating system all that it does not have yet."""
        self._unwritten.extend(self._batches(entries))
        try:
            while self._unwritten:
                file = self._file or self._begin(self._unwritten[0].first)
                batch = self._unwritten[0]
                self._disk.write(file.descriptor, batch.data)
                file.size += len(batch.data)
                file.records += batch.records
                self.written_bytes += len(batch.data)
                self._unsynced.append(self._unwritten.popleft())
                self.flushed = max(self.flushed, batch.first + batch.records)
                if file.size >= self._rotation.after_bytes:
                    self._close(file, "size")
        except OSError as error:
            self._fail("write", error)
            return
        if self.trouble:
            log.warning("journal_goes_on venue=%s after=%r", self.venue, self.trouble)
            self.trouble = ""

    def sync(self) -> None:
        """Return when all that is written is on the disk, or that has failed."""
        self.end_sync()
        self.begin_sync()
        self.end_sync()

    def begin_sync(self) -> None:
        """Ask the disk for what it has not confirmed, and go on writing meanwhile; one such question at a time."""
        if self._syncing is not None:
            return
        if self._file is not None and self._unsynced:
            self._syncing = _Sync(partial(self._confirm, self._file.descriptor), len(self._unsynced))
        elif not self._unwritten:
            self.synced_at = time.monotonic()

    def end_sync(self, *, wait: bool = True) -> None:
        """Take the disk's answer, if it is there or we are to wait. A failure ends the file: it is not asked twice."""
        if self._syncing is not None and (wait or not self._syncing.thread.is_alive()):
            try:
                self._answer()
            except OSError as error:
                self._fail("fsync", error)

    @property
    def ends_soon(self) -> bool:
        """The file is about to be closed, which waits for the disk: the less it still lacks then, the better."""
        file, limit = self._file, self._rotation
        return file is not None and (
            file.size + SOON_BYTES >= limit.after_bytes or time.monotonic() - file.since + SOON_S >= limit.after_s
        )

    def rotate(self, *, force: bool = False) -> None:
        """Close the file if its time has come, or now."""
        file = self._file
        if file is None or not file.records:
            return
        if force or time.monotonic() - file.since >= self._rotation.after_s:
            try:
                self._close(file, "asked" if force else "time")
            except OSError as error:
                self._fail("close", error)

    def look(self) -> None:
        """Notice that somebody has removed the file under our hands: what goes there is nowhere."""
        if self._file is not None and not self._file.path.exists():
            self._file.failed = True  # its fsync would succeed
            self._fail("look", FileNotFoundError(errno.ENOENT, f"{self._file.path} was removed"))

    def close(self) -> None:
        """Write what is left and close the file; after a fault it stays as a dead program would leave it."""
        self.write()
        if self._file is not None:
            try:
                self._close(self._file, "stop")
                self._disk.sync_folder(self.folder)
            except OSError as error:
                self._fail("close", error)

    # -- files --------------------------------------------------------------------------------------------------

    def _begin(self, first: int) -> _File:
        """Make the next file. It has its name only when header and instruments are safely in it."""
        now_ns = time.time_ns()
        name = file_name(now_ns, self.session, self.files + 1)
        told = Header(FORMAT, self.venue, self.session, boot_id(), self.files + 1, now_ns, first, __version__)
        head = [Entry(Content.HEADER, StreamClass.OTHER, now_ns, msgspec.json.encode(told))]
        if self._instruments is not None:
            head.append(self._instruments)
        data = MAGIC + b"".join(encode(entry, first) for entry in head)
        new = self.folder / name.replace(CLOSED, NEW)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = self._disk.create(new)
        try:
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
            opened = self.folder / name.replace(CLOSED, OPEN)
            self._rename(new, opened)
        except OSError:
            # It holds nothing yet. What cannot be tidied now is removed by the next start.
            with contextlib.suppress(OSError):
                self._disk.close(descriptor)
            with contextlib.suppress(OSError):
                self._disk.remove(new)
            raise
        self.files += 1
        self._file = _File(descriptor, opened, len(data), time.monotonic())
        self._name_left()
        return self._file

    def _close(self, file: _File, reason: str) -> None:
        """End a file in order: everything in it is safe before it gets its final name."""
        told = msgspec.json.encode(Close(file.records, reason))
        next_number = self._unwritten[0].first if self._unwritten else self._next
        self._disk.write(
            file.descriptor, encode(Entry(Content.CLOSED, StreamClass.OTHER, time.time_ns(), told), next_number)
        )
        self._sync(file)
        self._file = None
        self._left.append(file.path)
        self._disk.close(file.descriptor)
        self._name_left()

    def _name_left(self) -> None:
        """Give files that are over their final name."""
        while self._left:
            try:
                self._rename(self._left[0], _closed_name(self._left[0]))
            except FileNotFoundError:
                log.error("journal_removed venue=%s file=%s", self.venue, self._left[0])  # noqa: TRY400
            del self._left[0]

    def _rename(self, old: Path, new: Path) -> None:
        self._disk.rename(old, new)
        self._renamed = True

    def _confirm(self, descriptor: int) -> None:
        """Ask the disk for a file, and for the names in the folder where some are new."""
        self._disk.sync(descriptor)
        if self._renamed:
            self._renamed = False
            try:
                self._disk.sync_folder(self.folder)
            except OSError:
                self._renamed = True
                raise

    def _sync(self, file: _File) -> None:
        """Make all of a file safe before it ends; raises OSError."""
        self._answer()  # a second fsync beside the first one might not hear of the first one's failure
        began, batches = time.monotonic(), len(self._unsynced)
        try:
            self._confirm(file.descriptor)
        except OSError:
            file.failed = True
            raise
        self._is_safe(batches, began)

    def _answer(self) -> None:
        """Wait for the fsync under way; raises its OSError."""
        syncing, self._syncing = self._syncing, None
        if syncing is None:
            return
        syncing.thread.join()
        if syncing.error is not None:
            if self._file is not None:
                self._file.failed = True
            raise syncing.error
        self._is_safe(syncing.batches, syncing.began)

    def _is_safe(self, batches: int, since: float) -> None:
        """The disk has the oldest `batches` of what it had not confirmed."""
        for _ in range(batches):
            batch = self._unsynced.popleft()
            self.synced = max(self.synced, batch.first + batch.records)
        self.synced_at = since

    def _fail(self, what: str, error: OSError) -> None:
        """Give the file up. What the disk has not confirmed will be written again, to another one."""
        self.failures += 1
        if not self.trouble:
            log.error("journal_%s_failed venue=%s folder=%s error=%r", what, self.venue, self.folder, str(error))
        self.trouble = f"{what}: {error.strerror or error}"
        file, self._file = self._file, None
        if file is None:
            return
        if not file.failed:
            # Space is gone, what is there may well be kept: then it need not wait in memory for better times.
            try:
                self._sync(file)
            except OSError as also:
                log.warning("journal_fsync_failed venue=%s error=%r", self.venue, str(also))
        with contextlib.suppress(OSError):  # the descriptor is gone either way
            self._disk.close(file.descriptor)
        self._left.append(file.path)
        self._unwritten.extendleft(reversed(self._unsynced))
        self._unsynced.clear()

    # -- records ------------------------------------------------------------------------------------------------

    def _batches(self, entries: Iterable[Entry]) -> Iterator[_Batch]:
        parts: list[bytes] = []
        size, first = 0, self._next
        for entry in entries:
            if entry.content is Content.INSTRUMENTS:
                self._instruments = entry
            parts.append(encode(entry, self._next))
            self._next += entry.content.numbered
            size += len(parts[-1])
            if size >= BATCH_BYTES:
                yield _Batch(b"".join(parts), first, self._next - first)
                parts, size, first = [], 0, self._next
        if parts:
            yield _Batch(b"".join(parts), first, self._next - first)


def _closed_name(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(OPEN) + CLOSED)
