"""Candles that were imported as such, and open interest: exact decimal text, for none of their trades are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import tables
from .catalog import Catalog

ROWS_AT_ONCE = 1_000
BAR_COLUMNS = tuple(column.name for column in tables.bars.columns)
METRIC_COLUMNS = tuple(column.name for column in tables.metrics.columns)


def put_bars(catalog: Catalog, rows: Iterable[Mapping[str, Any]]) -> int:
    """Store candles in one transaction, in the place of those of the same time and length. Returns how many."""
    with catalog.write() as connection:
        return _put(connection, tables.bars, BAR_COLUMNS, rows)


def put_metrics(catalog: Catalog, rows: Iterable[Mapping[str, Any]]) -> int:
    """Store open interest and ratios in one transaction; those of the same time are replaced. Returns how many."""
    with catalog.write() as connection:
        return _put(connection, tables.metrics, METRIC_COLUMNS, rows)


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


def _put(connection: Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    key = [column.name for column in table.primary_key]
    forget = sa.delete(table).where(*(table.c[name] == sa.bindparam(f"old_{name}") for name in key))
    source, n = iter(rows), 0
    while some := [{name: row.get(name) for name in columns} for row in islice(source, ROWS_AT_ONCE)]:
        connection.execute(forget, [{f"old_{name}": row[name] for name in key} for row in some])
        connection.execute(sa.insert(table), some)
        n += len(some)
    return n
