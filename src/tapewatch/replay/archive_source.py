"""The bytes of an archive file: the lines of a CSV, or of the one CSV in a zip, in blocks of whole lines."""

from __future__ import annotations

import codecs
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from isal.igzip_lib import DECOMP_DEFLATE, IgzipDecompressor, IsalError
from isal.isal_zlib import crc32

from ..model.errors import UsageError
from ..venues.scan import PADDING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 1 << 22
"""Long enough that what has to be done once a block counts for nothing."""
MAX_LINE = 4096
"""No line of an archive is a tenth as long; without a bound a file without line feeds would fill the memory."""
INFLATED_BYTES = 1 << 18
"""Inflated at a time: it is still in a processor's cache when it is copied to its place."""
DEFLATED_BYTES = 1 << 16
_ENCRYPTED = 1
_IsalError: type[Exception] = IsalError  # type: ignore[assignment]  # its stub takes the class for an instance
_LOCAL_HEADER = struct.Struct("<26x2H")
"""Of a zip's member: the lengths of its name and of the extra field, which stand between this and the data."""


class Source:
    """The lines of one CSV file or of the one CSV file in a zip, in blocks; its checksum where one lies beside it."""

    def __init__(self, path: Path) -> None:
        """Raise UsageError when it cannot be read or is not what its ``.CHECKSUM`` file says."""
        self.path = path
        self._mark = b""
        try:
            self.checked = _verify(path)
            with self.open() as file:
                first, second = file.readline(MAX_LINE), file.readline(MAX_LINE)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
        if first.startswith(codecs.BOM_UTF8):  # spreadsheets put it at the beginning
            self._mark = codecs.BOM_UTF8
        if not first.strip():
            raise UsageError(f"{path} is empty")
        self.head = first.removeprefix(self._mark), second

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of the CSV; damage to a zip is a UsageError."""
        try:
            with self._unpacked() as file:
                file.read(len(self._mark))
                yield file
        except (zipfile.BadZipFile, zlib.error, _IsalError, EOFError, NotImplementedError, RuntimeError) as error:
            raise UsageError(f"{self.path} is damaged: {error}") from error

    def _unpacked(self) -> IO[bytes]:
        if not zipfile.is_zipfile(self.path):
            return self.path.open("rb")
        with zipfile.ZipFile(self.path) as archive:
            member = _member(self.path, archive)
            if member.compress_type == zipfile.ZIP_DEFLATED and not member.flag_bits & _ENCRYPTED:
                return io.BufferedReader(_Inflated(self.path, member))
            return archive.open(member)

    @property
    def size(self) -> int:
        """Bytes of the CSV."""
        if zipfile.is_zipfile(self.path):
            with zipfile.ZipFile(self.path) as archive:
                return _member(self.path, archive).file_size
        return self.path.stat().st_size


class _Inflated(io.RawIOBase):
    """A deflated member of a zip, by ISA-L: nearly three times as fast as the zlib that `zipfile` reads with."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        self._member = member
        self._inflate = IgzipDecompressor(DECOMP_DEFLATE)
        self._left, self._size, self._crc = member.compress_size, 0, 0
        self._file = path.open("rb")
        self._file.seek(member.header_offset)
        name, extra = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        self._file.seek(name + extra, io.SEEK_CUR)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view, data = memoryview(buffer), b""
        while not data and not self._inflate.eof:
            data = self._inflate.decompress(self._deflated(), min(len(view), INFLATED_BYTES))
        self._size, self._crc = self._size + len(data), crc32(data, self._crc)
        if not data and (self._size, self._crc) != (self._member.file_size, self._member.CRC):
            raise zipfile.BadZipFile("its bytes are not those that were put into it (CRC)")
        view[: len(data)] = data
        return len(data)

    def _deflated(self) -> bytes:
        if not self._inflate.needs_input:
            return b""
        data = self._file.read(min(DEFLATED_BYTES, self._left))
        if not data:
            raise EOFError("it ends too early")
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


class Blocks:
    """An open source in blocks of whole lines, for one thread at a time."""

    def __init__(self, path: Path, file: IO[bytes], skip_lines: int) -> None:
        self.ended = False
        """Nothing is left, or nobody wants it."""
        self._path, self._file = path, file
        self._rest = b""
        for _ in range(skip_lines):
            file.readline(MAX_LINE)

    def fill(self, buffer: bytearray) -> int:
        """Put the next lines into the buffer, padded: where they end; 0 behind the last one."""
        if self.ended:
            return 0
        n = len(self._rest)
        buffer[:n] = self._rest
        with memoryview(buffer) as view:
            n += _fill(self._file, view[n:BLOCK_BYTES])
        if n == BLOCK_BYTES:
            end = buffer.rfind(b"\n", 0, n) + 1
            if n - end > MAX_LINE or end == 0:
                raise UsageError(f"{self._path} has a line of more than {MAX_LINE} bytes")
        else:
            self.ended = True
            end = n
            if n and buffer[n - 1] != ord("\n"):
                buffer[n] = ord("\n")
                end = n + 1
        self._rest = bytes(buffer[end:n])
        buffer[end : end + PADDING] = bytes(PADDING)
        return end


def block_buffer() -> bytearray:
    return bytearray(BLOCK_BYTES + PADDING + 1)


def _fill(file: IO[bytes], view: memoryview) -> int:
    """Read until the view is full or the file ends; returns the number of bytes read."""
    n = 0
    while n < len(view) and (got := file.readinto(view[n:])):  # type: ignore[attr-defined]
        n += got
    return n


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if info.filename.lower().endswith(".csv")]
    if len(members) != 1:
        raise UsageError(f"{path} holds {len(members)} CSV files; an archive holds one")
    return members[0]


def _verify(path: Path) -> bool:
    """Whether the file agrees with the ``.CHECKSUM`` file beside it; False where there is none."""
    said = path.with_name(path.name + ".CHECKSUM")
    if not said.is_file():
        return False
    words = said.read_text(encoding="utf-8", errors="replace").split()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not words or words[0].lower() != found:
        raise UsageError(f"{path} is not the file that {said.name} describes; download it again")
    return True
