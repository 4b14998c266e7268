"""A table that somebody has before them, as a file: what the page shows in the page's own words, in every format."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pyarrow as pa

from .. import __version__
from ..model.errors import UsageError
from .files import Table, guarded

Cell = float | int | str | bool | None
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows under columns; `about` says symbol, time, parameters: whatever the table would be useless without."""

    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,100}$")]
    """Of the file, without its suffix."""
    columns: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=500)]
    rows: Annotated[list[list[Cell]], msgspec.Meta(max_length=200_000)]
    about: dict[str, Cell | list[Cell]] = {}


def read(body: bytes) -> Shown:
    """A table from JSON; UsageError says which part of it is none, with the number of the row."""
    try:
        shown = msgspec.json.decode(body, type=Shown)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"this is no table: {error}") from error
    if len(set(shown.columns)) < len(shown.columns):
        raise UsageError("two columns have one name")
    for k, row in enumerate(shown.rows):
        if len(row) != len(shown.columns):
            raise UsageError(f"row {k + 1} holds {len(row)} cells for {len(shown.columns)} columns")
    return shown


def table(shown: Shown) -> Table:
    """The same as a table of files: a column of one type, text where its cells are of several."""
    cells: list[Sequence[Cell]] = list(zip(*shown.rows, strict=True)) or [()] * len(shown.columns)
    made = pa.table({guarded(name): _column(column) for name, column in zip(shown.columns, cells, strict=True)})
    about = {"tapewatch": __version__, "made": datetime.now(UTC).isoformat(timespec="seconds"), **shown.about}
    return Table(about, made.schema, iter([made]))


def _column(cells: Sequence[Cell]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float}:
        return pa.array(cells, pa.int64() if kinds == {int} else pa.float64())
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
