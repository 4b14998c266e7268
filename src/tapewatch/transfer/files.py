"""Tables as files: CSV, JSON, Excel and Parquet, each with a sheet or sidecar that says what it is.

Numbers are exact: prices and quantities travel as decimals (Excel knows only floating point numbers, so its files are
for people and are not read back). A text that a spreadsheet would take for a formula gets an apostrophe in front, as
spreadsheets themselves write it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import xlsxwriter  # type: ignore[import-untyped]

from ..model.errors import UsageError

ABOUT_KEY = b"tapewatch"
SIDECAR = ".about.json"
SHEET_ROWS = 1_048_575
"""Rows that fit an Excel sheet below its header."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PART = ".part"
BATCH_ROWS = 1 << 16
"""Rows that are read back together."""


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @classmethod
    def of(cls, path: Path) -> Format:
        """The format that a file name asks for; UsageError names those there are."""
        try:
            return cls(path.suffix.lower().lstrip("."))
        except ValueError:
            allowed = ", ".join(f".{one}" for one in cls)
            raise UsageError(f"{path.name} does not say its format; use a name that ends in {allowed}") from None


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PARQUET: "application/vnd.apache.parquet",
}

About = dict[str, Any]


@dataclass(slots=True)
class Table:
    """Rows of one schema in batches, and what they are; `about` is complete once the last batch has been taken."""

    about: About
    schema: pa.Schema
    batches: Iterator[pa.Table]
    rows: int = field(default=0)

    def __iter__(self) -> Iterator[pa.Table]:
        for batch in self.batches:
            self.rows += len(batch)
            yield batch
        self.about["rows"] = self.rows


class _Sink(Protocol):
    def write(self, batch: pa.Table) -> None: ...

    def close(self, about: About) -> None: ...


def save(table: Table, path: Path) -> int:
    """Write a table as its file name's suffix says; the file appears whole or not at all. Returns the rows written."""
    unfinished = path.with_name(path.name + PART)
    try:
        sink = _SINKS[Format.of(path)](unfinished, table.schema)
        for batch in table:
            sink.write(batch)
        sink.close(table.about)
        if Format.of(path) is Format.CSV:
            write_about(table.about, path)
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return table.rows


def write_about(about: About, path: Path) -> None:
    """The sidecar of a CSV file, which has no place for what it is about."""
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    path.with_name(path.name + SIDECAR).write_text(text, encoding="utf-8")


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def _guarded_table(batch: pa.Table) -> pa.Table:
    for k, column in enumerate(batch.schema):
        if pa.types.is_string(column.type):
            texts = [None if text is None else guarded(text) for text in batch.column(k).to_pylist()]
            batch = batch.set_column(k, column.name, pa.array(texts, pa.string()))
    return batch


class _Csv:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        # Arrow quotes all names or none: our own need no quotes, those of a chart hold commas.
        plain = not any(mark in name for name in schema.names for mark in ',"\r\n')
        options = pyarrow.csv.WriteOptions(quoting_style="needed", quoting_header="none" if plain else "needed")
        self._writer = pyarrow.csv.CSVWriter(str(path), schema, write_options=options)

    def write(self, batch: pa.Table) -> None:
        self._writer.write_table(_guarded_table(batch))

    def close(self, _: About) -> None:
        self._writer.close()


class _Json:
    """``{"rows": [{…}, …], "about": {…}}``, one row a line, decimals as numbers."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file: IO[str] = path.open("w", encoding="utf-8")
        self._names = schema.names
        self._first = True
        self._file.write('{"rows": [')

    def write(self, batch: pa.Table) -> None:
        keys = [json.dumps(name) for name in self._names]
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            fields = ", ".join(f"{key}: {_json_text(value)}" for key, value in zip(keys, row, strict=True))
            self._file.write(f"{'' if self._first else ','}\n{{{fields}}}")
            self._first = False

    def close(self, about: About) -> None:
        self._file.write(f'\n], "about": {json.dumps(about, ensure_ascii=False)}}}\n')
        self._file.close()


def _json_text(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


class _Excel:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._sheet = self._book.add_worksheet("rows")
        self._sheet.freeze_panes(1, 0)
        self._sheet.write_row(0, 0, schema.names)
        self._at = 0

    def write(self, batch: pa.Table) -> None:
        if self._at + len(batch) > SHEET_ROWS:
            raise UsageError(f"Excel takes {SHEET_ROWS:,} rows and there are more; export to Parquet or CSV, or a part")
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            self._at += 1
            for k, value in enumerate(row):
                if isinstance(value, str):
                    self._sheet.write_string(self._at, k, value)
                elif isinstance(value, bool):
                    self._sheet.write_boolean(self._at, k, value)
                elif value is not None:
                    self._sheet.write_number(self._at, k, float(value))

    def close(self, about: About) -> None:
        sheet = self._book.add_worksheet("about")
        for k, (name, value) in enumerate(about.items()):
            sheet.write_string(k, 0, name)
            sheet.write_string(k, 1, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        self._book.close()


class _Parquet:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pyarrow.parquet.ParquetWriter(str(path), schema, compression="zstd")

    def write(self, batch: pa.Table) -> None:
        self._writer.write_table(batch)

    def close(self, about: About) -> None:
        self._writer.add_key_value_metadata({ABOUT_KEY: json.dumps(about).encode()})
        self._writer.close()


_SINKS: dict[Format, Callable[[Path, pa.Schema], _Sink]] = {
    Format.CSV: _Csv,
    Format.JSON: _Json,
    Format.XLSX: _Excel,
    Format.PARQUET: _Parquet,
}


# ---------------------------------------------------------------- reading back


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise UsageError(f"{path} cannot be read back: {error}") from error


def about_of(path: Path) -> About | None:
    """What a file says it is about if we exported it; None for any other file."""
    with _readable(path):
        match path.suffix.lower():
            case ".parquet":
                metadata = pyarrow.parquet.read_metadata(path).metadata or {}
                return json.loads(metadata[ABOUT_KEY]) if ABOUT_KEY in metadata else None
            case ".csv":
                sidecar = path.with_name(path.name + SIDECAR)
                return json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else None
            case ".json":
                with path.open("rb") as file:
                    if not file.read(64).lstrip().startswith(b'{"rows": ['):
                        return None
                    file.seek(max(0, path.stat().st_size - 64_000_000))
                    _, mark, tail = file.read().rpartition(b'\n], "about": ')
                return json.loads(tail.rstrip()[:-1]) if mark else None
            case _:
                return None


def load(path: Path, columns: Sequence[str]) -> Iterator[list[list[Any]]]:
    """The named columns of a file of ours, in batches of columns; decimals as text or Decimal, exactly as written."""
    rows_at_once = BATCH_ROWS
    with _readable(path):
        match Format.of(path):
            case Format.PARQUET:
                with pyarrow.parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches(rows_at_once, columns=list(columns)):
                        yield [batch.column(name).to_pylist() for name in columns]
            case Format.CSV:
                types = dict.fromkeys(columns, pa.string())
                reading = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(columns))
                with pyarrow.csv.open_csv(path, convert_options=reading) as reader:
                    for batch in reader:
                        yield [[unguarded(text) for text in batch.column(name).to_pylist()] for name in columns]
            case Format.JSON:
                held: list[list[Any]] = []
                with path.open(encoding="utf-8") as lines:
                    for line in lines:
                        if line.startswith(('{"rows"', "],")):
                            continue
                        row = json.loads(line.rstrip().rstrip(","), parse_float=Decimal)
                        held.append([row[name] for name in columns])
                        if len(held) == rows_at_once:
                            yield [list(column) for column in zip(*held, strict=True)]
                            held = []
                if held:
                    yield [list(column) for column in zip(*held, strict=True)]
            case Format.XLSX:
                raise UsageError(
                    f"{path.name}: Excel rounds numbers, so its files are not read back; use Parquet or CSV"
                )
