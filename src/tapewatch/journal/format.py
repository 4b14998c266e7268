"""The bytes of a journal file; docs/storage.md says what they mean and why."""

from __future__ import annotations

import re
import struct
import uuid
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..model.errors import TapewatchError
from ..model.instrument import Instrument

FORMAT = 1
MAGIC = b"\x89TWJ\r\n\x1a" + bytes([FORMAT])
MARKER = b"\xf5TWR"

CLOSED, OPEN, NEW = ".journal", ".journal.open", ".journal.new"
"""Endings of a file's name: closed for good; being written (or left by a program that died); not yet begun."""

HEAD = struct.Struct("<4sIIIQqBBHI")
_CHECKED = struct.Struct("<IIQqBBHI")
"""What the head's own checksum covers: all behind it."""
_instruments = msgspec.json.Decoder(list[Instrument])
_NAME = re.compile(r"^(\d{8}T\d{6}Z)-([0-9a-f]{16})-(\d{6,})\.journal(\.open)?$")


class NewerFormatError(TapewatchError):
    """A file was written by a later version of this program."""


class Content(IntEnum):
    """What the body of a record is."""

    HEADER = 1
    INSTRUMENTS = 2
    CLOSED = 3
    FRAMES = 16
    TRADES = 17
    SNAPSHOT = 18
    NOTE = 19

    @property
    def numbered(self) -> bool:
        """Whether records of this content are what was received (or a note in its place), counted without a hole."""
        return self >= Content.FRAMES


class StreamClass(IntEnum):
    """What a read is about; the names are those of ``[store] record``."""

    OTHER = 0
    TRADES = 1
    LIQUIDATIONS = 2
    MARKS = 3
    DEPTH = 4
    QUOTES = 5


class Header(msgspec.Struct, frozen=True):
    """Payload of the first record of a file."""

    format: int
    venue: str
    session: str
    boot: str
    number: int
    started_ns: int
    first: int
    program: str


class Close(msgspec.Struct, frozen=True):
    """Payload of the last record of a file closed in order."""

    records: int
    reason: str


class Head(NamedTuple):
    """The 40 bytes before a body."""

    marker: bytes
    checksum: int
    body_checksum: int
    size: int
    sequence: int
    recv_ns: int
    content: int
    stream: int
    symbol_size: int
    frames: int


class Entry(NamedTuple):
    """A record that has no number yet, copied from whoever received it."""

    content: Content
    stream: StreamClass
    recv_ns: int
    payload: bytes
    ends: bytes = b""
    """Unsigned 32-bit integers, little-endian."""
    symbol: bytes = b""

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return HEAD.size + len(self.symbol) + len(self.ends) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Record:
    """One intact record as the reader gives it; message k of a read is ``payload[ends[k-1]:ends[k]]``."""

    sequence: int
    recv_ns: int
    content: Content
    stream: StreamClass
    symbol: str
    ends: Sequence[int]
    payload: bytes
    start: int
    """Offset of the record in its file."""

    def instruments(self) -> list[Instrument]:
        """What a record of instruments says, in order of their index; raises msgspec.MsgspecError."""
        return _instruments.decode(self.payload)

    def frames(self) -> Iterator[bytes]:
        """The messages one by one; where speed counts give `payload` and `ends` to the codec as they are."""
        begin = 0
        for end in self.ends:
            yield self.payload[begin:end]
            begin = end


def encode(entry: Entry, sequence: int) -> bytes:
    """The bytes of a record."""
    body = b"".join((entry.symbol, entry.ends, entry.payload))
    fields = (
        zlib.crc32(body), len(body), sequence, entry.recv_ns, entry.content, entry.stream, len(entry.symbol),
        len(entry.ends) // 4,
    )  # fmt: skip
    checked = _CHECKED.pack(*fields)
    return b"".join((MARKER, struct.pack("<I", zlib.crc32(checked)), checked, body))


def instruments_entry(instruments: Sequence[Instrument], recv_ns: int) -> Entry:
    """The record that says what symbols, ticks and lots the records behind it are about."""
    return Entry(Content.INSTRUMENTS, StreamClass.OTHER, recv_ns, msgspec.json.encode(instruments))


def head_at(data: bytes | memoryview, at: int) -> Head | None:
    """The head that stands at an offset; None where there is none, or a damaged one."""
    if len(data) - at < HEAD.size:
        return None
    head = Head._make(HEAD.unpack_from(data, at))
    if head.marker != MARKER or zlib.crc32(data[at + 8 : at + HEAD.size]) != head.checksum:
        return None
    return head


def record_of(head: Head, body: bytes, start: int) -> Record | None:
    """The record that a head and its body make; None where the body is damaged or means nothing to us."""
    text = head.symbol_size
    begin = text + 4 * head.frames
    if zlib.crc32(body) != head.body_checksum or begin > len(body):
        return None
    return Record(
        sequence=head.sequence,
        recv_ns=head.recv_ns,
        content=Content(head.content),
        stream=StreamClass(head.stream),
        symbol=body[:text].decode(),
        ends=_integers(body[text:begin]),
        payload=body[begin:],
        start=start,
    )


def ends_of(ends: Sequence[int]) -> bytes:
    """Ends of frames as they stand in a body."""
    numbers = array("I", ends)
    if _SWAPPED:
        numbers.byteswap()
    return numbers.tobytes()


def _integers(data: bytes) -> Sequence[int]:
    numbers = array("I", data)
    if _SWAPPED:
        numbers.byteswap()
    return numbers


_SWAPPED = array("I", [1]).tobytes() != b"\1\0\0\0"
if array("I").itemsize != 4:  # no platform that numpy runs on
    raise ImportError("unsigned int is not 32 bits wide here")


class FileName(NamedTuple):
    """What the name of a journal file says."""

    started: str
    session: str
    number: int
    is_open: bool


def new_session() -> str:
    """A name for one start of the program."""
    return uuid.uuid4().hex[:16]


def file_name(started_ns: int, session: str, number: int) -> str:
    """Name of a file while it is being written is this with `.open`, while it is being made with `.new`."""
    started = datetime.fromtimestamp(started_ns // 10**9, UTC)
    return f"{started:%Y%m%dT%H%M%SZ}-{session}-{number:06d}{CLOSED}"


def parse_name(path: Path) -> FileName | None:
    """None for a name that is not one of ours."""
    match = _NAME.match(path.name)
    return FileName(match[1], match[2], int(match[3]), match[4] is not None) if match else None
