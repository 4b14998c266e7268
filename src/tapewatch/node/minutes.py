"""Keeps the minutes of the derivatives panels in the catalog: an hour and a day ago do not begin with the program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import numpy as np

from ..config import StoreConfig
from ..derivs.derivs import Derivs
from ..derivs.history import MINUTE_MS, MINUTES
from ..model.errors import TapewatchError
from ..store.catalog import Catalog
from ..store.minutes import Minute, forget_minutes, minutes, put_minutes
from .aside import aside
from .outage import Outage
from .venue import VenueNode

log = logging.getLogger(__name__)

EVERY_S = 5.0
"""A minute is written so soon after its end; a program that dies loses that one."""


async def keep_minutes(venues: Mapping[str, VenueNode], derivs: Derivs, config: StoreConfig) -> None:
    """Read what earlier programs kept, then write each minute that is over.

    What could not be written waits in the history itself, which is as long as what is kept.
    """
    written: dict[str, int] = {}
    unread = set(venues)
    outages = {name: Outage(log, "minutes_not_kept", name) for name in venues}
    while True:
        for name, venue in venues.items():
            if not venue.told.is_set() or venue.plays_recording():
                continue
            try:
                if name in unread:
                    written[name] = await _restore(venue, derivs, config)
                    unread.discard(name)
                finished = derivs.history(name).finished(written[name])
                if finished:
                    await aside(_write, config, name, [one.symbol for one in venue.universe], finished)
                    written[name] = finished[-1][0]
            except (TapewatchError, OSError) as error:
                outages[name].failed(error)
            else:
                outages[name].worked()
        await asyncio.sleep(EVERY_S)


async def _restore(venue: VenueNode, derivs: Derivs, config: StoreConfig) -> int:
    """Take what is stored of the last day; returns the newest minute there."""
    first = venue.venue_ms() // MINUTE_MS - MINUTES + 1
    newest, stored = first, await aside(_read, config, venue.name, first)
    for symbols, (number, figures) in stored:
        found = (venue.universe.find(symbol) for symbol in symbols)
        columns = np.array([-1 if one is None else one.index for one in found], np.int64)
        derivs.history(venue.name).restore(number, columns, figures)
        newest = number
    log.info("minutes_read venue=%s minutes=%d", venue.name, len(stored))
    return newest


def _open(config: StoreConfig) -> Catalog:
    return Catalog.of_folder(config.data_path, config.url)


def _read(config: StoreConfig, venue: str, first: int) -> list[tuple[list[str], Minute]]:
    catalog = _open(config)
    try:
        catalog.migrate()
        return list(minutes(catalog, venue, first))
    finally:
        catalog.close()


def _write(config: StoreConfig, venue: str, symbols: list[str], finished: list[Minute]) -> None:
    catalog = _open(config)
    try:
        put_minutes(catalog, venue, symbols, finished)
        if finished[-1][0] % 60 == 0:
            forget_minutes(catalog, venue, finished[-1][0] - MINUTES)
    finally:
        catalog.close()
