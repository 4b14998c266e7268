"""OHLC that people bring: CSV or JSON of timestamp, open, high, low, close, volume, read whole or refused whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from math import gcd

import msgspec

from ..model.errors import FrameError, UsageError
from ..venues.binance_usdm_fields import EARLIEST_MS, LATEST_MS

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
ALIASES = {"time": "timestamp", "date": "timestamp", "datetime": "timestamp", "open_time": "timestamp"} | {
    name[0]: name for name in COLUMNS[1:]
}
WRONG_NAMED = 20
"""Wrong rows that are named; of the others only how many there are."""
LONGEST_NUMBER = 40
DAY_MS = 86_400_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle of any source; times in ms UTC."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(slots=True)
class Findings:
    """What is wrong with an upload, row by row, counted from 1 as the file's lines or list entries are."""

    named: list[str] = field(default_factory=list)
    wrong: int = 0

    def add(self, where: str, error: FrameError) -> None:
        self.wrong += 1
        if len(self.named) < WRONG_NAMED:
            self.named.append(f"{where}: {error}")

    def refuse(self, what: str) -> None:
        """Raise UsageError with the first of them, if there are any."""
        if self.wrong:
            rest = f" … and {self.wrong - len(self.named):,} more" if self.wrong > len(self.named) else ""
            raise UsageError(f"{what} is refused, nothing was stored: {'; '.join(self.named)}{rest}")


def read_ohlc(data: bytes, what: str, progress: Progress | None = None) -> list[Candle]:
    """All candles in order of time; raise UsageError naming the first wrong rows, if there is but one.

    JSON is a list of objects or of lists, CSV has the columns in this order or a header that names them. Times are
    seconds, milliseconds, microseconds (the magnitude says which) or ISO 8601, UTC where nothing else is said.
    """
    findings = Findings()
    json = data.lstrip()[:1] in {b"[", b"{"}
    rows = _json_rows(data, what, findings) if json else _csv_rows(data, what, findings)
    found: dict[int, Candle] = {}
    total = max(1, data.count(b"\n"))
    for k, (where, fields) in enumerate(rows):
        try:
            candle = _candle(fields)
        except FrameError as error:
            findings.add(where, error)
        else:
            if found.setdefault(candle.open_ms, candle) is not candle:
                findings.add(where, FrameError("repeated", f"a second candle of {fields[0]}"))
        if progress and k % 10_000 == 0:
            progress(min(k, total), total)
    findings.refuse(what)
    if not found:
        raise UsageError(f"{what} holds no rows")
    return [found[open_ms] for open_ms in sorted(found)]


def timeframe_of(candles: Sequence[Candle], what: str) -> int:
    """The length of the candles: what all distances between them are multiples of."""
    step = 0
    for one, other in pairwise(candles):
        step = gcd(step, other.open_ms - one.open_ms)
    if step < 1_000 or step > 31 * DAY_MS:
        raise UsageError(f"{what}: how long its candles are cannot be told from their times; say so with tf")
    return step


def _csv_rows(data: bytes, what: str, findings: Findings) -> Iterator[tuple[str, Sequence[object]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is no UTF-8 text (byte {error.start:,})") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    places: list[int] | None = None
    try:
        for line in reader:
            if not line or not any(map(str.strip, line)):
                continue
            if places is None:
                places = _header(line, what)
                if places is not None:
                    continue
                places = list(range(len(COLUMNS)))
            if len(line) <= max(places):
                findings.add(f"line {reader.line_num:,}", FrameError("columns", f"{len(line)} columns"))
                continue
            yield f"line {reader.line_num:,}", [line[place].strip() for place in places]
    except csv.Error as error:
        raise UsageError(f"{what}, line {reader.line_num:,}: {error}") from error


def _header(line: Sequence[str], what: str) -> list[int] | None:
    """Where each column is if this line names them; None if it is data."""
    names = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in line]
    if not set(names) & set(COLUMNS):
        return None
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UsageError(f"{what} has no column {', '.join(missing)}; wanted: {', '.join(COLUMNS)}")
    return [names.index(name) for name in COLUMNS]


def _json_rows(data: bytes, what: str, findings: Findings) -> Iterator[tuple[str, Sequence[object]]]:
    try:
        rows = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise UsageError(f"{what} is no JSON list of candles: {error}") from error
    for k, raw in enumerate(rows, 1):
        where = f"row {k:,}"
        try:
            yield where, _json_fields(bytes(raw))
        except FrameError as error:
            findings.add(where, error)


_ANY = msgspec.json.Decoder(float_hook=Decimal)


def _json_fields(raw: bytes) -> Sequence[object]:
    try:
        row = _ANY.decode(raw)
    except msgspec.MsgspecError as error:
        raise FrameError("not_a_row", str(error)) from error
    if isinstance(row, dict):
        named = {ALIASES.get(name.lower(), name.lower()): value for name, value in row.items()}
        missing = [name for name in COLUMNS if name not in named]
        if missing:
            raise FrameError("columns", f"no {', '.join(missing)}")
        return [named[name] for name in COLUMNS]
    if not isinstance(row, list) or len(row) < len(COLUMNS):
        raise FrameError("columns", "neither an object nor a list of six values")
    return row


def _candle(fields: Sequence[object]) -> Candle:
    open_ms = _time(str(fields[0]))
    opened, high, low, close = (_number(fields[k], COLUMNS[k]) for k in (1, 2, 3, 4))
    volume = _number(fields[5], "volume", or_zero=True)
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise FrameError("not_a_candle", f"open {opened}, high {high}, low {low}, close {close} contradict each other")
    return Candle(open_ms, opened, high, low, close, volume)


def _number(value: object, name: str, *, or_zero: bool = False) -> Decimal:
    text = str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if len(text) > LONGEST_NUMBER or not number.is_finite():
        raise FrameError("not_a_number", f"{name} {text[:LONGEST_NUMBER]!r} is no number")
    if number < 0 or (number == 0 and not or_zero):
        raise FrameError("not_positive", f"{name} {text} is not positive")
    return number


def _time(text: str) -> int:
    try:
        ms = _of_digits(Decimal(text))
    except InvalidOperation:
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise FrameError("time", f"timestamp {text[:40]!r} is no time") from error
        ms = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if not EARLIEST_MS - 20 * 365 * DAY_MS < ms < LATEST_MS:
        raise FrameError("time_range", f"timestamp {text[:40]!r} lies outside 1997 to 2100")
    return ms


def _of_digits(value: Decimal) -> int:
    if not value.is_finite():
        raise FrameError("time", "timestamp is no time")
    scale = 1000 if value < 10**11 else 1 if value < 10**14 else Decimal("0.001")
    return int(value * scale)


def rows_of(candles: Iterable[Candle], venue: str, symbol: str, tf_ms: int) -> Iterator[dict[str, object]]:
    """The candles as rows of the catalog."""
    names = ("open", "high", "low", "close", "volume")
    for candle in candles:
        numbers = {name: f"{getattr(candle, name):f}" for name in names}
        yield {"venue": venue, "symbol": symbol, "tf_ms": tf_ms, "open_ms": candle.open_ms, **numbers}
