"""Writes gaps that nobody will fill into the catalog: they stay known when the program is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..config import StoreConfig
from ..model.errors import TapewatchError
from ..model.gaps import Cause, Fate
from ..store.catalog import Catalog, GapRow
from .aside import aside
from .sealing import Sealing
from .venue import VenueNode

log = logging.getLogger(__name__)

EVERY_S = 5.0


async def keep_gaps(venues: Mapping[str, VenueNode], config: StoreConfig, sealing: Sealing) -> None:
    """Store decided gaps for ever, every `EVERY_S`; the ledger keeps them, bounded, while the database is away."""
    await sealing.caught_up.wait()  # the catalog exists from then on
    while True:
        await asyncio.sleep(EVERY_S)
        for venue in venues.values():
            gaps = venue.ledger.take_gaps()
            if not len(gaps):
                continue
            rows = gap_rows(venue, gaps)
            try:
                await aside(_put, config, rows)
            except (TapewatchError, OSError) as error:
                venue.ledger.decided(gaps)
                log.warning("gaps_not_stored venue=%s gaps=%d reason=%r", venue.name, len(gaps), str(error))


def gap_rows(venue: VenueNode, gaps: NDArray[np.void]) -> list[GapRow]:
    """`GAP` rows as the catalog has them."""
    raw, found_ms = venue.engine.flow.trades["raw"], venue.venue_ms()
    return [
        GapRow(
            venue=venue.name,
            symbol=venue.universe[int(gap["instrument"])].symbol,
            stream="trade" if raw[gap["instrument"]] else "aggregate",
            first_id=int(gap["first_id"]),
            last_id=int(gap["last_id"]),
            from_ms=int(gap["from_ms"]),
            to_ms=int(gap["to_ms"]),
            cause=Cause(gap["cause"]).name.lower(),
            fate=Fate(gap["fate"]).name.lower(),
            found_ms=found_ms,
        )
        for gap in gaps
    ]


def _put(config: StoreConfig, rows: list[GapRow]) -> None:
    catalog = Catalog(config.url) if config.url else Catalog.of_folder(config.data_path)
    try:
        catalog.put_gaps(rows)
    finally:
        catalog.close()
