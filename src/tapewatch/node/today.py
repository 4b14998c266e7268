"""Today's stored trades into the engines: CVD and footprints do not begin when the program does.

The sockets open meanwhile. A chain takes history in any order and each id once, so what is stored slips in under what
comes live; between the two remains a gap with the cause that we were not there, which is filled like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping

from ..config import StoreConfig
from ..feed.pages import midnight
from ..model.errors import OffGridError, TapewatchError
from ..model.gaps import Cause
from ..model.instrument import Universe
from ..model.tape import Kind
from ..store.catalog import GapRow
from ..store.reader import Reader
from .aside import aside
from .gapbook import FILLABLE, GapBook
from .rising import Interruption, StoredTrades
from .sealing import Sealing
from .venue import VenueNode

log = logging.getLogger(__name__)

SEALED_WITHIN_S = 60.0
"""Longest wait for the sealer to catch up with the journals of the run before; what is late stays a gap."""
ROWS_AT_A_TIME = 4_096
"""Applied in one turn of the event loop: some milliseconds."""


async def load_stored_day(
    venues: Mapping[str, VenueNode], config: StoreConfig, sealing: Sealing, book: GapBook
) -> None:
    """Load what is stored of today into every venue; a store that cannot be read costs the history, not the market."""
    for venue in venues.values():
        venue.loading = True
    try:
        async with asyncio.timeout(SEALED_WITHIN_S):
            await sealing.caught_up.wait()
    except TimeoutError:
        log.warning("history_incomplete reason='the sealer has not caught up within %d s'", SEALED_WITHIN_S)
    for venue in venues.values():
        await venue.told.wait()
        try:
            trades = await _load(venue, config, book)
        except (TapewatchError, OSError) as error:
            log.warning("history_not_read venue=%s reason=%r", venue.name, str(error))
        else:
            log.info("history_read venue=%s trades=%d", venue.name, trades)
        finally:
            venue.engine.history_loaded()
            venue.loading = False


async def _load(venue: VenueNode, config: StoreConfig, book: GapBook) -> int:
    reader = await aside(Reader, config.data_path, config.url)
    try:
        now_ms = venue.venue_ms()
        silent = {one.index for one in venue.universe if venue.engine.counted_since_ms(one.index) is None}
        gaps = await aside(reader.catalog.gaps, venue.name, midnight(now_ms))
        taken = 0
        while True:
            universe = Universe(venue.name, list(venue.universe))
            try:
                taken += await _apply(venue, reader, universe, now_ms, gaps)
            except OffGridError as error:
                if not venue.refine(error):
                    raise
                continue
            if list(universe) == list(venue.universe):
                break  # else a grid changed meanwhile: again, what is there already counts as a repetition
        _mark_breaks(venue, book.take_over(venue.name, gaps), midnight(now_ms))
        for i in silent:
            if venue.has_only_stored(i):
                venue.engine.expect_gap(i, Cause.PROCESS_DOWN)
        return taken
    finally:
        await aside(reader.close)


def _mark_breaks(venue: VenueNode, gaps: Iterable[GapRow], since_ms: int) -> None:
    """Mark the gaps of earlier runs that no chain of ids tells of: where one ended, or none is held on both sides."""
    for gap in gaps:
        instrument = venue.universe.find(gap.symbol)
        if instrument is not None and gap.last_id < gap.first_id and gap.to_ms >= since_ms:
            venue.engine.note_gap(instrument.index, max(gap.from_ms, since_ms), gap.to_ms)


def _interruptions(venue: VenueNode, gaps: Iterable[GapRow]) -> Iterator[Interruption]:
    """Where trades of earlier runs do not follow each other, though their ids rise."""
    for gap in gaps:
        instrument = venue.universe.find(gap.symbol)
        if instrument is not None and gap.fate in FILLABLE:
            yield Interruption(instrument.index, gap.first_id, Cause[gap.cause.upper()])


async def _apply(venue: VenueNode, reader: Reader, universe: Universe, now_ms: int, gaps: Iterable[GapRow]) -> int:
    """Read in a thread, apply in the event loop; end early when the grids are no longer those of `universe`."""
    tapes = reader.tapes(venue.name, midnight(now_ms), now_ms, kinds=(Kind.TRADE,), universe=universe)
    before = StoredTrades(_interruptions(venue, gaps))
    taken = 0
    while (tape := await aside(next, tapes, None)) is not None:
        for at in range(0, len(tape), ROWS_AT_A_TIME):
            if list(universe) != list(venue.universe):
                return taken
            part = tape.slice(at, min(at + ROWS_AT_A_TIME, len(tape)))
            venue.take_stored(part, before)
            taken += len(part)
            await asyncio.sleep(0)
    return taken
