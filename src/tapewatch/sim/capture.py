"""Recordings of the venue, read back: frames by stream, REST books and instruments, in order of receive time.

Two line formats, told apart line by line (gzip or plain):

* ``<receive time> <json>``, time in s, ms, us or ns by its digits; a line with ``lastUpdateId`` is the REST book of the
  one symbol of its file;
* ``<receive s>: <frame>`` and ``<url> -> <receive s>: <REST body>``: books and klines; others say nothing here.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ..model.errors import UsageError
from .universe import Listing

_FRAME = re.compile(r'^\{"stream":\s*"([^"]+)",\s*"data":\s*(.*)\}$', re.DOTALL)
_EVENT_MS = re.compile(r'"E":\s*(\d+)')
_SYMBOL = re.compile(r'"s":\s*"([^"]+)"')
_TIMED = re.compile(r"^(\d{10,19}) (\{.*)$", re.DOTALL)
_RECEIVED = re.compile(r"^(\d{10}\.\d+): (\{.*)$", re.DOTALL)
_ANSWERED = re.compile(r"^(https?://\S+) -> (\d{10}\.\d+): (.*)$", re.DOTALL)
_IDLE = re.compile(r"^(configuration:|wss?://\S+ <-> |\s*$)")
_NUMBERS = re.compile(r'(?:\["|"[pba]":\s*"|"ap":\s*")([\d.]+)"(?:,\s*"([\d.]+)"\]|,\s*"[qBA]":\s*"([\d.]+)")')
"""A price and the quantity behind it: in levels, quotes and trades."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A frame, or a REST book where `stream` is empty."""

    recv_ns: int
    stream: str
    symbol: str
    body: str


@dataclass(slots=True)
class Capture:
    records: list[Recorded] = field(default_factory=list)
    ahead_ms: int = 0
    """How far the venue's clock was ahead of the recorder's, at least."""
    listings: list[Listing] = field(default_factory=list)
    klines: dict[str, str] = field(default_factory=dict)
    """REST klines by symbol, where the recording has them."""


def read(paths: Iterable[Path]) -> Capture:
    """Read files as one recording; raise UsageError that names the file and line it does not understand."""
    capture = Capture()
    for path in paths:
        capture.records += _records(path, capture.klines)
    frames = [record for record in capture.records if record.stream]
    if not frames:
        raise UsageError("the recording holds no frame of a Binance USD-M stream")
    capture.records.sort(key=lambda record: record.recv_ns)
    events = ((_EVENT_MS.search(record.body), record.recv_ns) for record in frames)
    capture.ahead_ms = max((int(found[1]) - recv_ns // 1_000_000 for found, recv_ns in events if found), default=0)
    capture.listings = _listings(capture.records)
    return capture


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            for line in gzip.GzipFile(fileobj=raw) if zipped else raw:
                yield line.decode().rstrip("\r\n")
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def _records(path: Path, klines: dict[str, str]) -> list[Recorded]:
    records: list[Recorded] = []
    symbol, nameless = "", []
    for number, line in enumerate(_lines(path), 1):
        if answered := _ANSWERED.match(line):
            address = urlsplit(answered[1])
            asked = parse_qs(address.query).get("symbol", [""])[0]
            if address.path.endswith("/klines"):
                klines[asked] = answered[3]
            elif address.path.endswith("/depth"):
                records.append(Recorded(_ns(answered[2]), "", asked, answered[3]))
            continue
        if _IDLE.match(line):
            continue
        timed = _TIMED.match(line) or _RECEIVED.match(line)
        if timed is None:
            raise UsageError(f"{path}, line {number}: no recorded frame: {line[:60]!r}")
        if frame := _FRAME.match(timed[2]):
            found = _SYMBOL.search(frame[2])
            symbol = symbol or (found[1] if found else "")
            records.append(Recorded(_ns(timed[1]), frame[1], found[1] if found else "", frame[2]))
        elif '"lastUpdateId"' in timed[2][:40]:
            nameless.append(len(records))
            records.append(Recorded(_ns(timed[1]), "", "", timed[2]))
    for at in nameless:
        records[at] = Recorded(records[at].recv_ns, "", symbol, records[at].body)
    return records


def _ns(text: str) -> int:
    """Receive times are fractional seconds, or whole s, ms, us or ns by their number of digits."""
    if "." in text:
        return int(Decimal(text) * 10**9)
    return int(text + "0" * (19 - len(text)))


def _listings(records: list[Recorded]) -> list[Listing]:
    """Instruments on the finest decimals that any recorded number needs."""
    decimals: dict[str, tuple[int, int]] = {}
    for record in records:
        if not record.symbol:
            continue
        price, qty = decimals.get(record.symbol, (0, 0))
        for p, level, total in _NUMBERS.findall(record.body):
            price, qty = max(price, _needed(p)), max(qty, _needed(level or total))
        decimals[record.symbol] = price, qty
    return [
        Listing(
            symbol=symbol,
            base=symbol.removesuffix("USDT"),
            quote="USDT",
            contract="PERPETUAL",
            price=1.0,
            tick_units=1,
            price_decimals=price,
            qty_decimals=qty,
            adv=0.0,
            trades_per_s=0.0,
            volatility=0.0,
            beta=0.0,
            rank=rank,
        )
        for rank, (symbol, (price, qty)) in enumerate(sorted(decimals.items()), 1)
    ]


def _needed(number: str) -> int:
    return len(number.partition(".")[2].rstrip("0"))
