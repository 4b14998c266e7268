"""The journal of one venue: a bounded queue that the event loop fills, and the thread that writes it down."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .disk import Disk
from .format import Content, Entry, StreamClass, ends_of
from .guard import Guard, Limits, expirable
from .reader import JournalFile, Summary, summary
from .writer import Rotation, Writer

log = logging.getLogger(__name__)

FLUSH_S = 0.02
"""What is received is with the operating system after this, and the time of a write: 50 ms are promised, but while the
file changes: then the disk is asked twice for little."""
SYNC_S = 0.5
"""One second is promised."""
GUARD_S = 1.0
RETRY_S = 1.0
RETENTION_S = 30.0
GUARD_NOTE_S = 60.0
"""So often it is noted again what the guard keeps out: a program that dies meanwhile leaves no more unsaid."""
QUEUE_BYTES = 64 << 20
STOP_WITHIN_S = 15.0
"""A disk that hangs for longer does not keep the program from ending."""


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """How a journal stands; all counts are since the start of the program."""

    state: str
    """``recording``, ``stopped`` (nothing is written; `detail` says why) or ``closed``."""
    detail: str
    records: int
    """With the operating system."""
    synced: int
    """On the disk."""
    bytes: int
    files: int
    failures: int
    queue_bytes: int
    """Received and not yet on the disk."""
    queue_high_bytes: int
    queue_limit_bytes: int
    dropped_reads: int
    dropped_frames: int
    dropped_bytes: int
    sync_age_s: float
    """Since all that had been received was last on the disk."""
    disk_free_bytes: int
    journal_bytes: int
    """Size of this journal's files."""
    guarded: tuple[str, ...]
    """Classes that the disk guard does not record now."""
    expired_files: int
    """Deleted by age or size before anything had been made of them: lost, and noted as such."""
    expired_bytes: int


@dataclass(slots=True)
class Mark:
    """A place in a journal: behind all that had been taken when it was set."""

    session: str
    taken: int
    sequence: int | None = None
    """First record behind it; None until all before it has been numbered."""
    file: int | None = None
    """All before it is on the disk, in files of the session up to this number; None until then."""


@dataclass(slots=True)
class _Hole:
    """Reads that found no room, until a note about them finds some."""

    from_ns: int = 0
    to_ns: int = 0
    reads: int = 0
    frames: int = 0
    bytes: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Entry) -> None:
        self.from_ns = min(self.from_ns or entry.recv_ns, entry.recv_ns)
        self.to_ns = max(self.to_ns, entry.recv_ns)
        self.reads += 1
        self.frames += len(entry.ends) // 4
        self.bytes += len(entry.payload)
        self.classes[entry.stream.name.lower()] += 1


def note(event: str, recv_ns: int, **keys: object) -> Entry:
    """A record about what is not in the journal."""
    payload = msgspec.json.encode({"event": event, **keys})
    return Entry(Content.NOTE, StreamClass.OTHER, recv_ns, payload)


class Journal:
    """Records what is appended, for ever in the background; `start` and `close` block, `append` never does."""

    def __init__(
        self,
        folder: Path,
        venue: str,
        *,
        limits: Limits | None = None,
        classes: Iterable[StreamClass] = StreamClass,
        queue_bytes: int = QUEUE_BYTES,
        rotation: Rotation | None = None,
        disk: Disk | None = None,
    ) -> None:
        """`classes` are those that are recorded: the guard gives up no others, and notes no others."""
        self.folder = folder
        self.venue = venue
        self.fault: BaseException | None = None
        """A defect of ours that ended the thread."""
        self.guarded: frozenset[StreamClass] = frozenset()
        """Classes that are not recorded because the disk is nearly full."""
        self._disk = disk or Disk()
        self._writer = Writer(folder, venue, disk=self._disk, rotation=rotation)
        self._limits = limits or Limits()
        self._guard = Guard(self._limits)
        self._classes = frozenset(classes)
        self._guarded_since: dict[StreamClass, int] = {}
        self._guard_note_at = 0.0
        self._queue_bytes = queue_bytes
        self._lock = threading.Lock()
        self._queue: list[Entry] = []
        self._queued = 0
        """Bytes in `_queue`."""
        self._unsafe = 0
        """Bytes that the writer holds in memory."""
        self._high = 0
        self._dropped = _Hole()
        self._hole: _Hole | None = None
        self._taken = self._handed = 0
        """Entries put into the queue, and of them those that the writer has."""
        self._mark: Mark | None = None
        self._stopping = threading.Event()
        self._rotate = threading.Event()
        self._closed = False
        self._free = -1
        self._size = 0
        self._expired_files = self._expired_bytes = 0
        self._thread = threading.Thread(target=self._run, name=f"journal-{venue}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # -- the event loop's side ----------------------------------------------------------------------------------

    def append(
        self,
        content: Content,
        stream: StreamClass,
        recv_ns: int,
        payload: bytes | bytearray | memoryview,
        ends: Sequence[int] = (),
        symbol: str = "",
    ) -> bool:
        """Copy what was received into the queue; False when it is full and this is lost (and will be noted)."""
        ends_bytes = ends_of(ends) if len(ends) else b""
        return self.add(Entry(content, stream, recv_ns, bytes(payload), ends_bytes, symbol.encode()))

    def add(self, entry: Entry) -> bool:
        """The same for a record that is made already."""
        with self._lock:
            if not self._closed and self._put(entry):
                return True
            if self._hole is None:
                self._hole = _Hole()
            self._hole.add(entry)
            self._dropped.add(entry)
        return False

    def _put(self, entry: Entry) -> bool:
        """Queue an entry, behind a note about what was lost before it."""
        held = self._queued + self._unsafe + entry.size
        if held > self._queue_bytes:
            return False
        if self._hole is not None:
            self._note_hole(self._hole)
        self._queue.append(entry)
        self._queued += entry.size
        self._taken += 1
        self._high = max(self._high, held)
        return True

    def _note_hole(self, hole: _Hole) -> None:
        """A note is small, and must not be lost for the reason that it tells of: it may exceed the limit."""
        entry = note(
            "dropped", hole.to_ns, from_ns=hole.from_ns, to_ns=hole.to_ns, reads=hole.reads, frames=hole.frames,
            bytes=hole.bytes, classes=hole.classes,
        )  # fmt: skip
        self._queue.append(entry)
        self._queued += entry.size
        self._hole = None

    def mark(self) -> Mark:
        """Set a mark, in the place of the one before; the thread fills it in."""
        with self._lock:
            self._mark = Mark(self._writer.session, self._taken)
            return self._mark

    def rotate(self) -> None:
        """Close the file soon, so that what is in it can be read as a closed one."""
        self._rotate.set()

    @property
    def status(self) -> JournalStatus:
        writer = self._writer
        state = "closed" if self._closed else "stopped" if writer.trouble or self.fault else "recording"
        with self._lock:
            held = self._queued + self._unsafe
        return JournalStatus(
            state=state,
            detail=repr(self.fault) if self.fault else writer.trouble,
            records=writer.flushed,
            synced=writer.synced,
            bytes=writer.written_bytes,
            files=writer.files,
            failures=writer.failures,
            queue_bytes=held,
            queue_high_bytes=self._high,
            queue_limit_bytes=self._queue_bytes,
            dropped_reads=self._dropped.reads,
            dropped_frames=self._dropped.frames,
            dropped_bytes=self._dropped.bytes,
            sync_age_s=time.monotonic() - writer.synced_at if held else 0.0,
            disk_free_bytes=self._free,
            journal_bytes=self._size,
            guarded=tuple(stream.name.lower() for stream in sorted(self.guarded)),
            expired_files=self._expired_files,
            expired_bytes=self._expired_bytes,
        )

    def close(self) -> None:
        """Write what is queued, close the file and end the thread; blocking, but not for ever."""
        with self._lock:
            self._closed = True  # whatever comes now would not be written
        self._stopping.set()
        self._thread.join(STOP_WITHIN_S)
        if self._thread.is_alive():
            log.error("journal_not_closed venue=%s reason='the disk does not answer'", self.venue)

    # -- the thread's side --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - a defect of ours: whoever watches `fault` ends the program
            self.fault = error

    def _work(self) -> None:
        writer, now = self._writer, time.monotonic()
        sync_at, guard_at, retention_at, retry_at = now + SYNC_S, now, now, now
        last = False
        while not last:
            last = self._stopping.wait(FLUSH_S)
            now = time.monotonic()
            if writer.trouble and now < retry_at and not last:
                continue  # what comes waits in the queue, within its bound
            writer.write(self._take())
            writer.end_sync(wait=False)
            if now >= sync_at or writer.ends_soon:
                writer.begin_sync()
                sync_at = now + SYNC_S
            if self._rotate.is_set():
                self._rotate.clear()
                writer.rotate(force=True)
            else:
                writer.rotate()
            if now >= guard_at:
                self._look_at_disk()
                guard_at = now + GUARD_S
            if now >= retention_at:
                self._expire()
                retention_at = now + RETENTION_S
            if writer.trouble:
                retry_at = time.monotonic() + RETRY_S
            self._settle()
        writer.close()
        self._settle()

    def _take(self) -> list[Entry]:
        with self._lock:
            if self._hole is not None and self._queued + self._unsafe < self._queue_bytes:
                self._note_hole(self._hole)
            taken, self._queue = self._queue, []
            self._unsafe += self._queued  # still in memory, in another's hands
            self._queued = 0
            self._handed = self._taken
        return taken

    def _settle(self) -> None:
        """Free the room of what is safe; see whether the mark has been reached."""
        unsafe = self._writer.unsafe_bytes
        with self._lock:
            self._unsafe = unsafe
            mark = self._mark
        if mark is not None and mark.sequence is None and self._handed >= mark.taken:
            mark.sequence = self._writer.next_sequence
        if mark is not None and mark.sequence is not None and mark.file is None:
            mark.file = self._writer.files if self._writer.synced >= mark.sequence else None

    def _expire(self) -> None:
        """Delete what is too old or too much, each file after the note that says so is on the disk."""
        try:
            found, size = expirable(self.folder, self._limits)
            for file, reason in found:
                lost = summary(file.path)
                if not self._say_expired(file, lost):
                    break
                self._disk.remove(file.path)
                size -= file.size
                if not lost.classes:
                    continue
                self._expired_files += 1
                self._expired_bytes += file.size
                log.error(
                    "journal_expired_unsealed venue=%s file=%s bytes=%d reason=%s",
                    self.venue, file.path.name, file.size, reason,
                )  # fmt: skip
        except FileNotFoundError:
            return  # sealed meanwhile; the rest is looked at again soon
        except OSError as error:
            log.warning("journal_not_expired folder=%s error=%r", self.folder, str(error))
            return
        self._size = size

    def _say_expired(self, file: JournalFile, lost: Summary) -> bool:
        """Note what goes with a file, and hand on the notes that it holds; False where the disk takes no note."""
        entries = [Entry(Content.NOTE, StreamClass.OTHER, time.time_ns(), payload) for payload in lost.notes]
        if lost.classes:
            entries.append(note(
                "expired", time.time_ns(), from_ns=lost.from_ns, to_ns=lost.to_ns, file=file.path.name,
                frames=lost.frames, bytes=file.size, classes=lost.classes,
            ))  # fmt: skip
        self._writer.write(entries)
        self._writer.sync()
        return not self._writer.trouble

    def _look_at_disk(self) -> None:
        self._writer.look()
        try:
            self._free = self._disk.free_bytes(self.folder)
        except OSError as error:
            log.warning("disk_not_measured folder=%s error=%r", self.folder, str(error))
            return
        wanted, reason = self._guard.look(self._free, self._size)
        guarded = wanted & self._classes
        now, now_ns = time.monotonic(), time.time_ns()
        stopped, resumed = guarded - self.guarded, self.guarded - guarded
        self._note_guard("resumed", resumed, now_ns)
        self._guarded_since = {stream: self._guarded_since.get(stream, now_ns) for stream in guarded}
        if stopped or (guarded and now >= self._guard_note_at):
            self._note_guard("stopped", guarded, now_ns, reason)
            self._guard_note_at = now + GUARD_NOTE_S
        if guarded != self.guarded:
            names = [stream.name.lower() for stream in sorted(guarded)]
            log.warning("journal_guard venue=%s stopped=%s reason=%r", self.venue, ",".join(names) or "none", reason)
            self.guarded = guarded

    def _note_guard(self, event: str, classes: Iterable[StreamClass], now_ns: int, reason: str = "") -> None:
        """One note for the classes that have been kept out since the same moment."""
        since: dict[int, list[str]] = {}
        for stream in sorted(classes):
            since.setdefault(self._guarded_since[stream], []).append(stream.name.lower())
        for from_ns, names in since.items():
            more = {"reason": reason} if reason else {}
            self._writer.write([note(event, now_ns, from_ns=from_ns, to_ns=now_ns, classes=names, **more)])
