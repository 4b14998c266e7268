"""Readers of raw captures: frames and REST bodies as they came, with their receive time.

Formats (gzip or plain), told apart by their first line:

* ``<receive time> <json>``: one recorder's lines; the REST depth snapshot is the line with ``lastUpdateId``;
* ``<receive s>: <frame>`` with ``<url> -> <receive s>: <REST body>`` and ``wss://… <-> <connect s>`` lines;
* one JSON object a line, ``{"t":"header|http|connect|send|recv","conn":…,"ts":<s>,"url":…,"data":"<verbatim text>"}``.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from ..model.errors import UsageError

_TIMED_LINE = re.compile(rb"^(\d{13,19}) (\{.*)$")
_URL_LINE = re.compile(rb"^(wss?|https?)://\S+ (->|<->) ")
_SYMBOL = re.compile(rb'"s":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Record:
    """One received thing: a websocket frame (`url` empty) or a REST answer."""

    recv_ns: int
    payload: bytes
    url: str = ""
    symbol: str = ""
    """For REST answers: the symbol that was asked for."""

    @property
    def limit(self) -> int:
        """For REST answers: how many rows were asked for; 0 where the address does not say."""
        text = parse_qs(urlsplit(self.url).query).get("limit", ["0"])[0]
        return int(text) if text.isdecimal() else 0

    @property
    def endpoint(self) -> str:
        """Last part of a REST address, such as ``depth``; empty for frames."""
        return urlsplit(self.url).path.rsplit("/", 1)[-1]


def read_capture(path: Path) -> list[Record]:
    """Read one capture file in order of receive time; raise UsageError with the line number of what is not readable."""
    try:
        lines = _lines(path)
        first = next(lines)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except StopIteration:
        raise UsageError(f"{path} is empty") from None
    if _TIMED_LINE.match(first):
        records = _timed(path, first, lines)
    elif first.startswith(b'{"t":"'):
        records = _objects(path, first, lines)
    elif first.startswith(b"configuration:") or _URL_LINE.match(first):
        records = _with_urls(path, first, lines)
    else:
        raise UsageError(
            f"{path} is no capture this version can replay: its first line is neither '<receive time> <json>' nor "
            "'<url> -> <receive time>: <body>' nor an object with the key 't' first"
        )
    records.sort(key=lambda record: record.recv_ns)
    return records


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source = gzip.GzipFile(fileobj=raw) if zipped else raw
        try:
            for line in source:
                yield line.rstrip(b"\r\n")
        except (EOFError, gzip.BadGzipFile) as error:
            raise UsageError(f"{path} is damaged: {error}") from error


def _to_ns(digits: bytes) -> int:
    """Receive times are written in ms, us or ns; the number of digits says which."""
    return int(digits) * int(10 ** (19 - len(digits)))


def _timed(path: Path, first: bytes, rest: Iterator[bytes]) -> list[Record]:
    records: list[Record] = []
    snapshots: list[int] = []
    symbol = ""
    for number, line in enumerate(_chain(first, rest), 1):
        if not line:
            continue
        match = _TIMED_LINE.match(line)
        if match is None:
            raise UsageError(f"{path}, line {number}: expected '<receive time> <json>', found {line[:60]!r}")
        payload = match[2]
        if b'"lastUpdateId"' in payload[:200] and b'"stream"' not in payload[:200]:
            snapshots.append(len(records))
        elif not symbol and (found := _SYMBOL.search(payload)):
            symbol = found[1].decode()
        records.append(Record(_to_ns(match[1]), payload))
    for at in snapshots:  # these files hold one symbol, which the snapshot itself does not name
        snapshot = records[at]
        records[at] = Record(snapshot.recv_ns, snapshot.payload, f"/depth?symbol={symbol}", symbol)
    return records


def _with_urls(path: Path, first: bytes, rest: Iterator[bytes]) -> list[Record]:
    records = []
    for number, line in enumerate(_chain(first, rest), 1):
        if not line or line.startswith(b"configuration:") or b" <-> " in line[:4000].split(b"{", 1)[0]:
            continue
        head, _, payload = line.partition(b": ")
        url, arrow, seconds = head.rpartition(b" -> ")
        try:
            recv_ns = int(Decimal((seconds if arrow else head).decode()) * 10**9)
        except (ArithmeticError, UnicodeDecodeError):
            raise UsageError(
                f"{path}, line {number}: expected '<receive time>: <frame>', found {line[:60]!r}"
            ) from None
        address = url.decode()
        symbol = parse_qs(urlsplit(address).query).get("symbol", [""])[0]
        records.append(Record(recv_ns, payload, address, symbol))
    return records


class _Line(msgspec.Struct):
    t: str
    ts: Decimal = Decimal(0)
    url: str = ""
    data: str = ""


_line = msgspec.json.Decoder(_Line)


def _objects(path: Path, first: bytes, rest: Iterator[bytes]) -> list[Record]:
    """What was received; headers, connects and what was sent say nothing about the market."""
    records = []
    for number, text in enumerate(_chain(first, rest), 1):
        if not text:
            continue
        try:
            line = _line.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}, line {number}: no object of a recording: {error}") from None
        if line.t in {"http", "recv"}:
            symbol = parse_qs(urlsplit(line.url).query).get("symbol", [""])[0]
            records.append(Record(int(line.ts * 10**9), line.data.encode(), line.url, symbol))
    return records


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
