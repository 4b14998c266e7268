"""The sealer: a process of its own that makes closed journal files into segments and catalog rows.

It holds no state of its own. Whatever it is doing when it dies, what is not in the catalog is done again from the
journal file, which is deleted only after the commit that names it. A database that does not answer delays it and
nothing else: journal files wait, as long as the disk guard lets them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

import msgspec

from ..journal import Content, Damage, JournalFile, NewerFormatError, Reason, Record, files, read
from ..journal.format import parse_name
from ..model.errors import FrameError, NotFoundError, TapewatchError
from ..model.gaps import Cause, Fate
from ..model.instrument import Instrument, Universe, common_grid
from ..model.tape import Tape
from ..venues.general import GeneralCodec
from ..venues.product import Codec
from ..venues.registry import PRODUCTS
from . import crash, heap
from .catalog import GapRow, StoreUnavailableError
from .reader import concatenated
from .upkeep import compact, expire
from .writer import Consumed, Store, Written

log = logging.getLogger(__name__)

DECODED_BYTES = 1 << 20
"""Bytes of frames that are decoded together."""
POLL_S = 0.5
RETRY_S = (1.0, 30.0)
"""First and longest wait after the database did not answer."""
EXPIRE_EVERY_S = 60.0
NICENESS = 10
"""Recording and the page come first."""


HOLE_EVENTS = frozenset({"dropped", "stopped", "resumed", "expired"})
"""Notes that tell of a stretch of time in which not everything is stored; the same stretch may be told several times,
each time longer."""


class Task(msgspec.Struct, frozen=True):
    """What a sealer is told when it is started: one line of JSON."""

    path: str
    url: str
    retention_s: float
    max_bytes: int


class Status(msgspec.Struct):
    """How the sealing stands; one line of JSON whenever something has changed. Counts are since its start."""

    files: int = 0
    rows: int = 0
    duplicates: int = 0
    rejected: int = 0
    """Frames that could not be read."""
    damaged: int = 0
    """Places in journal files that are no records."""
    refused: list[str] = []
    """Files that cannot be sealed and are left where they are."""
    waiting_files: int = 0
    waiting_bytes: int = 0
    caught_up: bool = False
    """Every file that was there at the start is sealed."""
    error: str = ""
    """Why sealing waits; empty while it goes on."""


@dataclass(slots=True)
class Contents:
    """A journal file, decoded."""

    universe: Universe
    codec: Codec
    """As the file left it."""
    tapes: list[Tape] = field(default_factory=list)
    holes: list[GapRow] = field(default_factory=list)
    """Stretches of time in which not everything was recorded."""
    records: int = 0
    rejected: int = 0
    damaged: int = 0


class NotSealableError(TapewatchError):
    """A journal file cannot be read, or does not say what its prices count and the catalog does not know either."""


class Sealer:
    """Seals the journal files of one data folder."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.store = Store(Path(task.path), task.url)
        self.status = Status()
        self._refused: set[Path] = set()
        self._codecs: dict[tuple[str, str], Codec] = {}
        """By venue and session, as the last file left them: a message may only say what has changed since others."""

    def waiting(self) -> list[tuple[str, JournalFile]]:
        """Closed files by venue, in the order in which they were written."""
        root = Path(self.task.path) / "journal"
        found = [
            (folder.name, file)
            for folder in (sorted(root.iterdir()) if root.is_dir() else ())
            if folder.name in PRODUCTS
            for file in files(folder, with_open=False)
            if file.path not in self._refused
        ]
        self.status.waiting_files = len(found)
        self.status.waiting_bytes = sum(file.size for _, file in found)
        return found

    def seal(self, venue: str, path: Path) -> Written:
        """Seal one file, and delete it."""
        name = parse_name(path)
        run = venue, name.session if name else path.name
        contents = decoded(venue, path, self.store.catalog.universe(venue), self._codecs.get(run))
        self.store.catalog.put_gaps(contents.holes)  # first: done again, it changes nothing
        consumed = Consumed(path.name, contents.records, contents.damaged, contents.rejected)
        tape = concatenated(contents.tapes)
        contents.tapes.clear()  # copied, and as large again
        written = self.store.write(contents.universe, tape, name=path.stem, consumed=consumed)
        self._codecs = {key: codec for key, codec in self._codecs.items() if key[0] != venue} | {run: contents.codec}
        crash.point("before_removal")
        path.unlink(missing_ok=True)
        if not written.already:
            self.status.files += 1
            self.status.rows += written.rows
            self.status.duplicates += written.duplicates
            self.status.rejected += contents.rejected
            self.status.damaged += contents.damaged
        return written

    def step(self) -> bool:
        """Seal the file that waits longest, or else do one piece of upkeep; False when there was nothing to do."""
        waiting = self.waiting()
        if not waiting:
            self.status.caught_up = True
            return compact(self.store)
        venue, file = waiting[0]
        try:
            self.seal(venue, file.path)
        except FileNotFoundError:  # deleted by age or size: the journal has counted and noted it
            log.warning("journal_file_gone file=%s", file.path.name)
        except (NotSealableError, NewerFormatError) as error:
            self._refused.add(file.path)
            self.status.refused = sorted(path.name for path in self._refused)
            log.error("not_sealed reason=%r", str(error))  # noqa: TRY400
        return True

    def run(self, stop: threading.Event, tell: Callable[[Status], None]) -> None:
        """Seal until told to stop; `tell` is given the status when it has changed."""
        wait_s, expire_at, opened, told = RETRY_S[0], 0.0, False, b""
        while not stop.is_set():
            try:
                if not opened:
                    self.store.open()
                    self.store.remove_strays()
                    opened = True
                busy = self.step()
                if busy:
                    heap.give_back()
                if time.monotonic() >= expire_at:
                    expire(self.store, time.time_ns() // 1_000_000, self.task.retention_s, self.task.max_bytes)
                    expire_at = time.monotonic() + EXPIRE_EVERY_S
                self.status.error, wait_s = "", RETRY_S[0]
                pause_s = 0.0 if busy else POLL_S
            except (StoreUnavailableError, OSError) as error:
                # The database is away or the disk is full: files wait, and are sealed when it is back.
                if not self.status.error:
                    log.warning("sealing_waits reason=%r", str(error))
                self.status.error = str(error)
                pause_s, wait_s = wait_s, min(2 * wait_s, RETRY_S[1])
            line = msgspec.json.encode(self.status)
            if line != told:
                told = line
                tell(self.status)
            stop.wait(pause_s)
        self.store.close()


def main() -> None:
    """The process: its task is the first line of standard input, whose end tells it to stop; status lines go out."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    stop = threading.Event()

    def until_end() -> None:
        sys.stdin.buffer.read()
        stop.set()

    def tell(status: Status) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(status) + b"\n")
        sys.stdout.buffer.flush()

    threading.Thread(target=until_end, daemon=True).start()
    Sealer(task).run(stop, tell)


# ---------------------------------------------------------------- decoding


def decoded(venue: str, path: Path, known: Universe, before: Codec | None = None) -> Contents:
    """Everything in a journal file as tape rows, on grids that hold all that the file says of its instruments.

    `before` has read the file before it.
    """
    records: list[Record] = []
    damaged = 0
    for item in read(path):
        if isinstance(item, Damage):
            if item.reason in (Reason.UNREADABLE, Reason.FOREIGN):
                raise NotSealableError(f"{path} is {item.reason} ({item.detail}); it is left where it is")
            damaged += 1
            log.warning("journal_damage %s", item)
        else:
            records.append(item)
    lists = [record.payload for record in records if record.content is Content.INSTRUMENTS]
    universe = _universe(venue, lists) if lists else known
    received = [record for record in records if record.content.numbered and record.content is not Content.NOTE]
    if received and not len(universe):
        raise NotSealableError(f"{path} holds no list of instruments and none is stored; it is left where it is")
    codec = PRODUCTS[venue].codec(universe)
    if isinstance(codec, GeneralCodec) and isinstance(before, GeneralCodec):
        codec.go_on_from(before)
    contents = Contents(universe, codec, records=len(received), damaged=damaged)
    for record in records:
        if record.content is Content.NOTE:
            contents.holes += _holes(venue, msgspec.json.decode(record.payload, type=_Note))
    for run in _runs(received):
        if run[0].content is Content.FRAMES:
            _frames(codec, run, contents)
        else:
            _answer(codec, run[0], contents)
    return contents


class _Note(msgspec.Struct):
    """What a journal says about itself: what it could not take, did not take, or has lost."""

    event: str
    from_ns: int = 0
    to_ns: int = 0
    classes: dict[str, int] | list[str] = []


def _holes(venue: str, note: _Note) -> list[GapRow]:
    """A hole for each class of what was dropped; ids are not known, and for liquidations and marks there are none."""
    if note.event not in HOLE_EVENTS or not note.from_ns:
        return []
    from_ms, to_ms = note.from_ns // 1_000_000, note.to_ns // 1_000_000
    cause, fate = Cause.NOT_RECORDED.name.lower(), Fate.UNFILLABLE.name.lower()
    return [GapRow(venue, "", name, 0, -1, from_ms, to_ms, cause, fate, found_ms=to_ms) for name in note.classes]


def _universe(venue: str, lists: list[bytes]) -> Universe:
    """Instruments of all lists; where a grid changed on the way, the one that holds both."""
    universe = Universe(venue)
    for text in lists:
        for told in msgspec.json.decode(text, type=list[Instrument]):
            before = universe.find(told.symbol)
            if before is None:
                universe.add(told)
            else:
                tick, lot = common_grid(before.tick, told.tick), common_grid(before.lot, told.lot)
                universe.update(replace(told, tick=tick, lot=lot))
    return universe


def _runs(records: list[Record]) -> Iterator[list[Record]]:
    """Reads that are decoded together; a REST answer comes alone."""
    run: list[Record] = []
    size = 0
    for record in records:
        alone = record.content is not Content.FRAMES
        if run and (alone or size >= DECODED_BYTES):
            yield run
            run, size = [], 0
        if alone:
            yield [record]
        else:
            run.append(record)
            size += len(record.payload)
    if run:
        yield run


def _frames(codec: Codec, run: list[Record], contents: Contents) -> None:
    starts = accumulate((len(record.payload) for record in run), initial=0)
    ends = [start + end for start, record in zip(starts, run, strict=False) for end in record.ends]
    recv_ns = [record.recv_ns for record in run for _ in record.ends]
    answer = codec.decode(b"".join(record.payload for record in run), ends, recv_ns)
    contents.rejected += len(answer.rejected)
    contents.tapes.append(answer.tape.copy())


def _answer(codec: Codec, record: Record, contents: Contents) -> None:
    try:
        if record.content is Content.TRADES:
            tape = codec.trades(record.symbol, record.payload, record.recv_ns)
        else:
            tape = codec.snapshot(record.symbol, record.payload, record.recv_ns)
    except (FrameError, NotFoundError) as error:
        contents.rejected += 1
        log.warning("answer_not_sealed symbol=%s content=%s reason=%r", record.symbol, record.content.name, str(error))
    else:
        contents.tapes.append(tape.copy())
