"""Candles that were imported as such, and open interest: exact decimal text, for none of their trades are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import tables
from .catalog import Catalog

ROWS_AT_ONCE = 10_000
BAR_COLUMNS = tuple(column.name for column in tables.bars.columns)
METRIC_COLUMNS = tuple(column.name for column in tables.metrics.columns)


def put_bars(catalog: Catalog, rows: Iterable[Sequence[Any]]) -> int:
    """Store candles (values of `BAR_COLUMNS`) in one transaction, in the place of those of the same time and length.

    Returns how many.
    """
    with catalog.write() as connection:
        return _put(connection, tables.bars, rows)


def put_metrics(catalog: Catalog, rows: Iterable[Sequence[Any]]) -> int:
    """Store open interest and ratios (`METRIC_COLUMNS`) in one transaction; those of the same time are replaced."""
    with catalog.write() as connection:
        return _put(connection, tables.metrics, rows)


def bars(
    catalog: Catalog, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Imported candles that open in ``[start_ms, end_ms)``, ordered by symbol, length and time."""
    table = tables.bars
    query = sa.select(table).where(table.c.venue == venue, table.c.open_ms >= start_ms, table.c.open_ms < end_ms)
    if symbols is not None:
        query = query.where(table.c.symbol.in_(list(symbols)))
    query = query.order_by(table.c.symbol, table.c.tf_ms, table.c.open_ms)
    with catalog.read() as connection:
        for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).mappings():
            yield dict(row)


def newest(catalog: Catalog, venue: str, symbol: str) -> int:
    """When the newest imported candle of a symbol opens, ms; 0 where there is none."""
    table = tables.bars
    query = sa.select(sa.func.max(table.c.open_ms)).where(table.c.venue == venue, table.c.symbol == symbol)
    with catalog.read() as connection:
        return int(connection.execute(query).scalar() or 0)


def held(catalog: Catalog) -> list[dict[str, Any]]:
    """What there is: exchange, symbol, tf_ms, bars, first_ms, last_ms; by name and length."""
    of = tables.bars.c
    key = (of.venue, of.symbol, of.tf_ms)
    query = sa.select(
        of.venue.label("exchange"), of.symbol, of.tf_ms, sa.func.count().label("bars"),
        sa.func.min(of.open_ms).label("first_ms"), sa.func.max(of.open_ms).label("last_ms"),
    ).group_by(*key).order_by(*key)  # fmt: skip
    with catalog.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _put(connection: Connection, table: sa.Table, rows: Iterable[Sequence[Any]]) -> int:
    """Give the rows to the driver as they are: building an expression for each would take most of the time."""
    names = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    columns, marks = ", ".join(names), ", ".join([mark] * len(names))
    replaced = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    statement = (
        f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) "  # noqa: S608  (names of our own tables)
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {replaced}"
    )
    source, n = iter(rows), 0
    while some := [tuple(row) for row in islice(source, ROWS_AT_ONCE)]:
        connection.exec_driver_sql(statement, some)
        n += len(some)
    return n
