"""OHLC that people bring: CSV or JSON of timestamp, open, high, low, close, volume, read whole or refused whole.

Columns are read and checked as columns: numbers in their usual spelling, times in digits or ISO 8601. What is spelled
otherwise, or is wrong, is read again by itself, row by row (`_candle`): that is the definition, and it says what is
wrong. A million usual rows take a second or two.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

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
FIRST_MS, LAST_MS = EARLIEST_MS - 20 * 365 * DAY_MS, LATEST_MS
USUAL = r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
"""A number whose text is kept as it is, and that a decimal of 38 digits holds."""
DIGITS = r"^[1-9][0-9]{0,17}$"

Progress = Callable[[int, int], None]
Text = Any
"""An Arrow array of strings (pyarrow tells no types)."""


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


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles in order of time: ms UTC, and the exact decimal text of their numbers."""

    open_ms: NDArray[np.int64]
    numbers: list[Text]
    """Open, high, low, close, volume."""
    sorted_here: bool = False
    """Whether the rows came in another order."""

    def __len__(self) -> int:
        return len(self.open_ms)


@dataclass(slots=True)
class _Rows:
    """An upload cut into texts: six columns, and which line or entry each row is."""

    word: str
    """``line`` or ``row``: what `places` count."""
    places: NDArray[np.int64]
    columns: list[Text]


def read_ohlc(data: bytes, what: str, progress: Progress | None = None) -> Candles:
    """All candles in order of time; raise UsageError naming the first wrong rows, if there is but one.

    JSON is a list of objects or of lists, CSV has the columns in this order or a header that names them. Times are
    seconds, milliseconds, microseconds (the magnitude says which) or ISO 8601, UTC where nothing else is said.
    """
    wrong: dict[int, FrameError] = {}
    """By line or entry."""
    json = data.lstrip()[:1] in {b"[", b"{"}
    rows = _json_rows(data, what, wrong) if json else _csv_rows(data, what, wrong)
    tell = progress or (lambda _done, _total: None)
    tell(1, 4)
    open_ms, usual_times = _times(rows.columns[0])
    tell(2, 4)
    usual = usual_times & _usual_numbers(rows.columns[1:])
    tell(3, 4)
    numbers = _read_singly(rows, np.flatnonzero(~usual), open_ms, wrong)
    _repeated(rows, open_ms, wrong)
    findings = Findings()
    for place in sorted(wrong):
        findings.add(f"{rows.word} {place:,}", wrong[place])
    findings.refuse(what)
    if not len(open_ms):
        raise UsageError(f"{what} holds no rows")
    order = np.argsort(open_ms, kind="stable")
    tell(4, 4)
    in_time = [column.take(pa.array(order)) for column in numbers]
    return Candles(open_ms[order], in_time, sorted_here=bool((np.diff(order) < 0).any()))


def timeframe_of(candles: Candles, what: str) -> int:
    """The length of the candles: what all distances between them are multiples of."""
    step = int(np.gcd.reduce(np.diff(candles.open_ms))) if len(candles) > 1 else 0
    if step < 1_000 or step > 31 * DAY_MS:
        raise UsageError(f"{what}: how long its candles are cannot be told from their times; say so with tf")
    return step


# ---------------------------------------------------------------- columns


def _times(texts: Text) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times in ms, and which texts were understood; ISO 8601 only where all are."""
    digits = _matches(texts, DIGITS)
    if digits.any():
        count = _numpy(pc.if_else(pa.array(digits), texts, "0").cast(pa.int64()))
        ms = np.where(count < 10**11, np.minimum(count, 10**11) * 1000, np.where(count < 10**14, count, count // 1000))
        understood = digits
    else:
        parsed = _iso(texts)
        if parsed is None:
            return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
        ms, understood = parsed, np.ones(len(texts), np.bool_)
    return ms, understood & (ms > FIRST_MS) & (ms < LAST_MS)


def _iso(texts: Text) -> NDArray[np.int64] | None:
    for zone in (None, "UTC"):  # texts without and with an offset are two types to whoever parses them
        try:
            return _numpy(texts.cast(pa.timestamp("ms", zone)).cast(pa.int64()))
        except pa.ArrowInvalid:
            continue
    return None


def _usual_numbers(texts: Sequence[Text]) -> NDArray[np.bool_]:
    """Which rows have five usual numbers that make a candle."""
    usual = np.ones(len(texts[0]), np.bool_)
    for column in texts:
        usual &= _matches(column, USUAL)
    mask = pa.array(usual)
    exact = [pc.if_else(mask, column, "1").cast(pa.decimal128(36, 18)) for column in texts]
    opened, high, low, close, _ = exact
    zero = pa.scalar(0, pa.decimal128(36, 18))
    lowest, highest = (
        pc.if_else(pc.less(opened, close), opened, close),
        pc.if_else(pc.less(opened, close), close, opened),
    )
    sound = [pc.less_equal(low, lowest), pc.less_equal(highest, high), pc.greater(low, zero)]
    for one in sound:
        usual &= _numpy(one)
    return usual


def _matches(texts: Text, pattern: str) -> NDArray[np.bool_]:
    return _numpy(pc.fill_null(pc.match_substring_regex(texts, pattern), False))


def _numpy(array: Any) -> NDArray[Any]:
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _read_singly(
    rows: _Rows, which: NDArray[np.intp], open_ms: NDArray[np.int64], wrong: dict[int, FrameError]
) -> list[Text]:
    """Read what is not usual row by row: into `open_ms` and the numbers returned, or into `wrong`."""
    if not len(which):
        return rows.columns[1:]
    fields = zip(*(column.take(pa.array(which)).to_pylist() for column in rows.columns), strict=True)
    good, numbers = [], []
    for k, row in zip(which.tolist(), fields, strict=True):
        try:
            open_ms[k], *texts = _candle(row)
        except FrameError as error:
            wrong[int(rows.places[k])] = error
        else:
            good.append(k)
            numbers.append(texts)
    mask = np.zeros(len(open_ms), np.bool_)
    mask[good] = True
    columns = list(zip(*numbers, strict=True)) or [()] * 5
    return [
        pc.replace_with_mask(column, pa.array(mask), pa.array(texts, pa.string()))
        for column, texts in zip(rows.columns[1:], columns, strict=True)
    ]


def _repeated(rows: _Rows, open_ms: NDArray[np.int64], wrong: dict[int, FrameError]) -> None:
    """Note every second candle of a time."""
    sound = np.flatnonzero(~np.isin(rows.places, list(wrong))) if wrong else np.arange(len(open_ms))
    order = sound[np.argsort(open_ms[sound], kind="stable")]
    again = order[1:][np.diff(open_ms[order]) == 0]
    for k in again.tolist():
        wrong[int(rows.places[k])] = FrameError("repeated", f"a second candle of {rows.columns[0][k].as_py()}")


# ---------------------------------------------------------------- CSV


def _csv_rows(data: bytes, what: str, wrong: dict[int, FrameError]) -> _Rows:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is no UTF-8 text (byte {error.start:,})") from error
    reader = csv.reader(io.StringIO(text[: 1 << 16], newline=""))
    try:
        head = next((line for line in reader if any(map(str.strip, line))), [])
    except csv.Error as error:
        raise UsageError(f"{what}, line {reader.line_num:,}: {error}") from error
    places = _header(head, what)
    skipped = reader.line_num if places is not None else 0
    places = places or list(range(len(COLUMNS)))
    if '"' not in text and "\r" not in text.replace("\r\n", ""):
        return _csv_columns(text.encode(), len(head), places, skipped, wrong)
    return _csv_singly(text, what, places, skipped, wrong)


def _csv_columns(data: bytes, width: int, places: Sequence[int], skipped: int, wrong: dict[int, FrameError]) -> _Rows:
    """A file without quotes: a row is a line."""
    odd: dict[int, str] = {}

    def on_odd(row: pyarrow.csv.InvalidRow) -> str:
        odd[row.number] = row.text
        return "skip"

    if not data.strip():
        return _Rows("line", np.zeros(0, np.int64), [pa.array([], pa.string())] * len(COLUMNS))
    names = [f"c{k}" for k in range(max(width, 1))]
    wanted = [names[place] if place < len(names) else names[0] for place in places]
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        pyarrow.csv.ReadOptions(use_threads=False, column_names=names, skip_rows=skipped),  # threads do not count rows
        pyarrow.csv.ParseOptions(quote_char=False, ignore_empty_lines=False, invalid_row_handler=on_odd),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=sorted(set(wanted)),
            strings_can_be_null=False,
        ),
    )
    columns = [pc.utf8_trim_whitespace(table[name].combine_chunks()) for name in wanted]
    at = np.setdiff1d(np.arange(skipped + 1, lines + 1), np.array(list(odd), np.int64), assume_unique=True)
    rows = _Rows("line", at, columns)
    if width <= max(places):  # then no line has all columns
        odd |= {int(line): ",".join(["?"] * width) for line in at}
        rows = _Rows("line", at[:0], [column[:0] for column in columns])
    more: list[tuple[int, list[str]]] = []
    for line, text in odd.items():
        fields = [one.strip() for one in text.split(",")]
        if not any(fields):
            continue
        if len(fields) <= max(places):
            wrong[line] = FrameError("columns", f"{len(fields)} columns")
        else:
            more.append((line, [fields[place] for place in places]))
    return _with(rows, more)


def _csv_singly(text: str, what: str, places: Sequence[int], skipped: int, wrong: dict[int, FrameError]) -> _Rows:
    """A file with quotes: a row may be several lines, and is counted by its last."""
    more: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for line in reader:
            if reader.line_num <= skipped or not any(map(str.strip, line)):
                continue
            if len(line) <= max(places):
                wrong[reader.line_num] = FrameError("columns", f"{len(line)} columns")
            else:
                more.append((reader.line_num, [line[place].strip() for place in places]))
    except csv.Error as error:
        raise UsageError(f"{what}, line {reader.line_num:,}: {error}") from error
    return _with(_Rows("line", np.zeros(0, np.int64), [pa.array([], pa.string())] * len(COLUMNS)), more)


def _with(rows: _Rows, more: Sequence[tuple[int, Sequence[str]]]) -> _Rows:
    """The rows, and some that were cut singly behind them."""
    if not more:
        return rows
    columns = zip(*(fields for _, fields in more), strict=True)
    places = np.array([place for place, _ in more], np.int64)
    joined = [
        pa.concat_arrays([old, pa.array(new, pa.string())]) for old, new in zip(rows.columns, columns, strict=True)
    ]
    return _Rows(rows.word, np.concatenate([rows.places, places]), joined)


def _header(line: Sequence[str], what: str) -> list[int] | None:
    """Where each column is if this line names them; None if it is data."""
    names = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in line]
    if not set(names) & set(COLUMNS):
        return None
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UsageError(f"{what} has no column {', '.join(missing)}; wanted: {', '.join(COLUMNS)}")
    return [names.index(name) for name in COLUMNS]


# ---------------------------------------------------------------- JSON


def _json_rows(data: bytes, what: str, wrong: dict[int, FrameError]) -> _Rows:
    try:
        entries = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise UsageError(f"{what} is no JSON list of candles: {error}") from error
    rows: list[tuple[int, Sequence[str]]] = []
    for k, raw in enumerate(entries, 1):
        try:
            rows.append((k, _json_fields(raw)))
        except FrameError as error:
            wrong[k] = error
    return _with(_Rows("row", np.zeros(0, np.int64), [pa.array([], pa.string())] * len(COLUMNS)), rows)


_list = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder(float_hook=Decimal)


def _json_fields(raw: msgspec.Raw) -> list[str]:
    """The six values of an entry as they are written."""
    text = bytes(raw)
    try:
        if text.lstrip().startswith(b"["):
            values = _list.decode(text)
            if len(values) < len(COLUMNS):
                raise FrameError("columns", f"{len(values)} values, {len(COLUMNS)} wanted")
            return [_written(value) for value in values[: len(COLUMNS)]]
        named = {ALIASES.get(name.lower(), name.lower()): value for name, value in _object.decode(text).items()}
    except msgspec.MsgspecError as error:
        raise FrameError("not_a_row", "neither an object nor a list of six values") from error
    missing = [name for name in COLUMNS if name not in named]
    if missing:
        raise FrameError("columns", f"no {', '.join(missing)}")
    return [_written(named[name]) for name in COLUMNS]


def _written(raw: msgspec.Raw) -> str:
    """A number or the inside of a string."""
    text = bytes(raw).decode()
    return str(_any.decode(text)) if text[:1] in '"{[' else text


# ---------------------------------------------------------------- one row


def _candle(fields: Sequence[str]) -> tuple[int, str, str, str, str, str]:
    """One candle: its time in ms and the exact text of its numbers; raise FrameError for what is wrong with it."""
    open_ms = _time(fields[0])
    opened, high, low, close = (_number(fields[k], COLUMNS[k]) for k in (1, 2, 3, 4))
    volume = _number(fields[5], "volume", or_zero=True)
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise FrameError("not_a_candle", f"open {opened}, high {high}, low {low}, close {close} contradict each other")
    return open_ms, f"{opened:f}", f"{high:f}", f"{low:f}", f"{close:f}", f"{volume:f}"


def _number(text: str, name: str, *, or_zero: bool = False) -> Decimal:
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
            raise FrameError("time", f"timestamp {text[:40]!r} is no time (ISO 8601 or a number)") from error
        ms = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if not FIRST_MS < ms < LAST_MS:
        raise FrameError("time_range", f"timestamp {text[:40]!r} lies outside 1997 to 2100")
    return ms


def _of_digits(value: Decimal) -> int:
    if not value.is_finite():
        raise FrameError("time", "timestamp is no time")
    scale = 1000 if value < 10**11 else 1 if value < 10**14 else Decimal("0.001")
    return int(value * scale)


def texts_of(candles: Candles) -> Iterator[tuple[int, str, str, str, str, str]]:
    """The candles one by one: time in ms, open, high, low, close, volume."""
    yield from zip(candles.open_ms.tolist(), *(column.to_pylist() for column in candles.numbers), strict=True)
