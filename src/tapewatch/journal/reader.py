"""Reads journal files: every intact record, and a report of everything that is not one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from ..model.errors import UsageError
from .format import (
    CLOSED,
    FORMAT,
    HEAD,
    MAGIC,
    MARKER,
    OPEN,
    Content,
    FileName,
    Head,
    Header,
    NewerFormatError,
    Record,
    StreamClass,
    head_at,
    parse_name,
    record_of,
)

HEADER_BYTES = 4096
"""Magic and header record fit in so much."""
_LONG_ZEROES = bytes(512)
"""A sector that was never written; no record holds so many zeroes in a row."""


class Reason(StrEnum):
    """What is wrong with a range of bytes."""

    TORN = "torn"
    """The file ends inside a record: whoever wrote it died, or the end was cut off."""
    CHECKSUM = "checksum"
    """The body of a record is not what was written."""
    ZEROED = "zeroed"
    GARBAGE = "garbage"
    MISSING_RECORDS = "missing_records"
    MISSING_FILE = "missing_file"
    FOREIGN = "foreign"
    UNREADABLE = "unreadable"
    UNCLOSED = "unclosed"
    """Nothing is damaged, but the program that wrote this died: what it received last is not here."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes `start` to `end` (not included) of a file that are no record."""

    path: Path
    start: int
    end: int
    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        where = f"bytes {self.start:,} to {self.end:,}" if self.end > self.start else f"at byte {self.start:,}"
        return f"{self.path.name}: {self.reason} {where}{': ' if self.detail else ''}{self.detail}"


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A file of a journal by its name."""

    path: Path
    name: FileName
    size: int

    @property
    def closed(self) -> bool:
        """Whether it will never change again."""
        return not self.name.is_open


def files(folder: Path, *, with_open: bool = True) -> list[JournalFile]:
    """Journal files of a folder in order of writing; a folder that does not exist has none."""
    by_number: dict[tuple[str, int], JournalFile] = {}
    # Open ones first: a file that is closed in between is then seen twice, and not never.
    for ending in (OPEN, CLOSED) if with_open else (CLOSED,):
        for path in folder.glob(f"*{ending}"):
            name = parse_name(path)
            if name is not None:
                try:
                    by_number[name.session, name.number] = JournalFile(path, name, path.stat().st_size)
                except FileNotFoundError:
                    continue  # closed, or consumed and deleted, since the folder was listed
    found = list(by_number.values())
    began = dict[str, str]()
    for file in found:
        began[file.name.session] = min(file.name.started, began.get(file.name.session, "~"))
    # Sessions by their beginning, files by their number: the clock may have stepped back in between.
    return sorted(found, key=lambda file: (began[file.name.session], file.name.session, file.name.number))


def missing(found: list[JournalFile], consumed: Collection[str] = ()) -> list[Damage]:
    """Files that must have been between two files of a session and are neither there nor `consumed` (by name)."""
    taken = {(name.session, name.number) for text in consumed if (name := parse_name(Path(text)))}
    gone = []
    for before, after in itertools.pairwise(found):
        session = after.name.session
        if before.name.session != session:
            continue
        numbers = [n for n in range(before.name.number + 1, after.name.number) if (session, n) not in taken]
        if numbers:
            lost = f"{numbers[0]} to {numbers[-1]}"
            detail = f"files {lost} of session {session} before this one do not exist"
            gone.append(Damage(after.path, 0, 0, Reason.MISSING_FILE, detail))
    return gone


@dataclass(slots=True)
class Summary:
    """What the heads of a file's records say; payloads are neither read nor verified."""

    from_ns: int = 0
    to_ns: int = 0
    frames: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    """Records by class, without notes."""
    notes: list[bytes] = field(default_factory=list)


def summary(path: Path) -> Summary:
    """What would be lost with a file; a hundredth of the time that reading it takes. Raises OSError."""
    out = Summary()
    data = path.read_bytes()
    at = data.find(MARKER)
    while at >= 0:
        head = head_at(data, at)
        end = at + 1 if head is None else at + HEAD.size + head.size
        if head is not None and head.content == Content.NOTE:
            out.notes.append(data[at + HEAD.size : end])
        elif head is not None and _is_known(head) and Content(head.content).numbered:
            out.from_ns = min(out.from_ns or head.recv_ns, head.recv_ns)
            out.to_ns = max(out.to_ns, head.recv_ns)
            out.frames += head.frames
            out.classes[StreamClass(head.stream).name.lower()] += 1
        at = data.find(MARKER, end)
    return out


def header(path: Path) -> Header | None:
    """What a file says of itself; None where that is damaged. Raises NewerFormatError and OSError."""
    with path.open("rb") as file:
        data = file.read(HEADER_BYTES)
    _refuse_newer(path, data)
    return _header(data)


def _header(data: bytes) -> Header | None:
    head = head_at(data, len(MAGIC))
    if head is None or head.content != Content.HEADER:
        return None
    begin = len(MAGIC) + HEAD.size
    record = record_of(head, data[begin : begin + head.size], len(MAGIC))
    try:
        return msgspec.json.decode(record.payload, type=Header) if record else None
    except msgspec.MsgspecError:
        return None


def _refuse_newer(path: Path, data: bytes) -> None:
    version = data[len(MAGIC) - 1 : len(MAGIC)]
    if data.startswith(MAGIC[:-1]) and version > MAGIC[-1:]:
        told = _header(data)
        if told is not None and told.format <= FORMAT:
            return  # the version is not newer, its byte is damaged
        raise NewerFormatError(
            f"{path} was written by a newer version of tapewatch (journal format {version[0]}; this one reads "
            f"{FORMAT}); use that version, or move the file away"
        )


def read(path: Path) -> Iterator[Record | Damage]:
    """Give every intact record of a file in order, and each damage where it is.

    Records that were written again to the file's successor are left to it. Raises NewerFormatError; a file that
    cannot be read, or is no journal, is a damage as a whole. Reading the file that is being written is fine: it ends
    with the last whole record.
    """
    try:
        until = _until(path)
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        yield Damage(path, 0, 0, Reason.UNREADABLE, error.strerror or str(error))
        return
    _refuse_newer(path, data)
    yield from _Walk(path, data, until).run()


def _until(path: Path) -> int | None:
    """Number of the first record of the file that came after this one."""
    name = parse_name(path)
    while name is not None:
        pattern = f"*-{name.session}-{name.number + 1:06d}{CLOSED}*"
        after = next((found for found in path.parent.glob(pattern) if parse_name(found)), None)
        if after is None:
            return None
        try:
            told = header(after)
        except FileNotFoundError:
            continue  # it was closed, and so renamed, in between
        return told.first if told else None
    return None


class _Walk:
    """One pass over the bytes of a file."""

    def __init__(self, path: Path, data: bytes, until: int | None) -> None:
        self.path = path
        self.data = data
        self.until = until
        self.at = len(MAGIC) if data[: len(MAGIC)] == MAGIC else 0
        self.expected: int | None = None
        """Number of the next numbered record; None as long as nothing has told us."""

    def run(self) -> Iterator[Record | Damage]:
        if not self.at and self._next_head(0) < 0:
            yield self._damage(0, len(self.data), Reason.FOREIGN, "no journal")
            return
        closed, sound = False, True
        while self.at < len(self.data):
            begin = self.at
            head = head_at(self.data, begin)
            if head is not None and self._is_superseded(head):
                return
            record = self._record(head, begin) if head is not None else None
            sound = record is not None
            if record is None:
                yield from self._skip(head)
            else:
                if self.expected is not None and record.sequence != self.expected:
                    yield self._damage(begin, begin, Reason.MISSING_RECORDS, self._numbers(record.sequence))
                self.expected = record.sequence + record.content.numbered
                self.at += HEAD.size + head.size if head else 0
                closed = record.content is Content.CLOSED
                yield record
        yield from self._end(closed, sound)

    def _end(self, closed: bool, sound: bool) -> Iterator[Damage]:
        """What the file does not hold although it should; `sound` when its last bytes are a record."""
        size = len(self.data)
        if self.until is not None and self.expected is not None and self.expected < self.until and sound:
            yield self._damage(size, size, Reason.MISSING_RECORDS, self._numbers(self.until))
        elif self.until is None and sound and not closed and self.path.name.endswith(CLOSED):
            yield self._damage(size, size, Reason.UNCLOSED)

    def _record(self, head: Head, begin: int) -> Record | None:
        end = begin + HEAD.size + head.size
        if end > len(self.data) or not _is_known(head):
            return None
        try:
            return record_of(head, self.data[begin + HEAD.size : end], begin)
        except UnicodeDecodeError:
            return None

    def _skip(self, head: Head | None) -> Iterator[Damage]:
        """Go on at the next sound head; what is between is damaged. No payload of a venue looks like a head."""
        begin, end = self.at, self._next_head(self.at + 1)
        self.at = len(self.data) if end < 0 else end
        lost = self.data[begin : self.at]
        if end < 0 and self.until is not None and self.expected == self.until:
            return  # the torn end of a record that was written again
        reason, detail = Reason.GARBAGE, ""
        if _LONG_ZEROES in lost or not lost.strip(b"\0"):
            reason = Reason.ZEROED
        elif head is not None and begin + HEAD.size + head.size == self.at:
            reason, detail = Reason.CHECKSUM, _words(head)
        elif end < 0 and (len(lost) < HEAD.size or (head is not None and head.size > len(lost) - HEAD.size)):
            reason, detail = Reason.TORN, _words(head) if head else "the head of a record"
        following = head_at(self.data, self.at)
        if following is not None:
            detail = detail or self._numbers(following.sequence)
            self.expected = following.sequence
        yield self._damage(begin, self.at, reason, detail)

    def _numbers(self, following: int) -> str:
        """Which records are missing before the one with this number."""
        if self.expected is None or self.expected >= following:
            return ""
        return f"records {self.expected} to {following - 1}"

    def _is_superseded(self, head: Head) -> bool:
        """Whether this record, and so all behind it, stands in the next file."""
        return self.until is not None and head.content >= Content.FRAMES and head.sequence >= self.until

    def _next_head(self, at: int) -> int:
        """Offset of the first sound head from `at` on; -1 where there is none."""
        at = self.data.find(MARKER, at)
        while at >= 0 and head_at(self.data, at) is None:
            at = self.data.find(MARKER, at + 1)
        return at

    def _damage(self, start: int, end: int, reason: Reason, detail: str = "") -> Damage:
        return Damage(self.path, start, end, reason, detail)


def _is_known(head: Head) -> bool:
    return head.content in Content._value2member_map_ and head.stream in StreamClass._value2member_map_


def _words(head: Head) -> str:
    """What a damaged record was."""
    if not _is_known(head):
        return f"a record of an unknown kind ({head.content}, {head.stream})"
    frames = f" of {head.frames} frames" if head.frames else ""
    content, stream = Content(head.content).name.lower(), StreamClass(head.stream).name.lower()
    return f"{content} record {head.sequence} ({stream}){frames}, received at {head.recv_ns}"
