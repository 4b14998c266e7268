"""Minutes of the derivatives panels' figures: single precision, all instruments of a venue in one row a minute."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from . import tables
from .catalog import Catalog

FIGURES_TYPE = np.dtype("<f4")

Minute = tuple[int, NDArray[np.float32]]
"""Number since the epoch, and its figures as (figure, instrument); NaN is unknown."""


def put_minutes(catalog: Catalog, venue: str, symbols: Sequence[str], minutes: Sequence[Minute]) -> None:
    """Store minutes whose columns are `symbols`, in one transaction, in the place of what there is of them."""
    order, table = tables.minute_symbols, tables.minutes
    first = min(number for number, _ in minutes)
    with catalog.write() as connection:
        newest = sa.select(order.c.symbols).where(order.c.venue == venue).order_by(order.c.since.desc()).limit(1)
        text = "\n".join(symbols)
        if connection.scalar(newest) != text:
            connection.execute(sa.delete(order).where(order.c.venue == venue, order.c.since >= first))
            connection.execute(sa.insert(order), {"venue": venue, "since": first, "symbols": text})
        numbers = [number for number, _ in minutes]
        connection.execute(sa.delete(table).where(table.c.venue == venue, table.c.minute.in_(numbers)))
        rows = [{"venue": venue, "minute": number, "figures": _packed(figures)} for number, figures in minutes]
        connection.execute(sa.insert(table), rows)


def minutes(catalog: Catalog, venue: str, first: int) -> Iterator[tuple[list[str], Minute]]:
    """Minutes from `first` on with the symbols of their columns, oldest first."""
    order, table = tables.minute_symbols, tables.minutes
    with catalog.read() as connection:
        lists = connection.execute(
            sa.select(order.c.since, order.c.symbols).where(order.c.venue == venue).order_by(order.c.since)
        ).all()
        since, symbols = [row.since for row in lists], [row.symbols.split("\n") for row in lists]
        found = connection.execute(
            sa.select(table.c.minute, table.c.figures)
            .where(table.c.venue == venue, table.c.minute >= first)
            .order_by(table.c.minute)
        )
        for number, packed in found:
            columns = symbols[int(np.searchsorted(since, number, "right")) - 1]
            flat = np.frombuffer(zlib.decompress(packed), FIGURES_TYPE)
            yield columns, (number, flat.reshape(-1, len(columns)))


def forget_minutes(catalog: Catalog, venue: str, before: int) -> None:
    """Delete what is older, and the lists of symbols that nothing needs any more."""
    order, table = tables.minute_symbols, tables.minutes
    with catalog.write() as connection:
        connection.execute(sa.delete(table).where(table.c.venue == venue, table.c.minute < before))
        needed = sa.select(sa.func.max(order.c.since)).where(order.c.venue == venue, order.c.since <= before)
        oldest = connection.scalar(needed)
        if oldest is not None:
            connection.execute(sa.delete(order).where(order.c.venue == venue, order.c.since < oldest))


def _packed(figures: NDArray[np.float32]) -> bytes:
    return zlib.compress(np.ascontiguousarray(figures, FIGURES_TYPE).tobytes(), level=1)
