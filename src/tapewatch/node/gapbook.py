"""Keeps the catalog's gaps as the engines have them, so that a program that dies forgets none.

An open gap is in the catalog two seconds after it was found, one that nobody fills stays there with its fate, and one
that was filled is taken out. A start takes over what earlier programs left: whatever lies in a chain that the engine
holds now, the engine speaks for; of the rest, nobody will ask for it any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..config import StoreConfig
from ..model.errors import TapewatchError
from ..model.gaps import GAP, Cause, Fate
from ..store.catalog import Catalog, GapRow
from .aside import aside
from .outage import Outage
from .sealing import Sealing
from .venue import VenueNode

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""A gap that is younger when the program dies is forgotten, where ids do not tell of it."""
AT_ONCE = 10_000
"""Gaps written by one transaction; those beyond it wait for the next."""
OPEN, BEYOND, REFUSED = (fate.name.lower() for fate in (Fate.OPEN, Fate.BEYOND_HORIZON, Fate.REFUSED))
FILLABLE = frozenset({OPEN, BEYOND, REFUSED})
"""Fates of gaps that trades may close after all."""
PROCESS_DOWN = Cause.PROCESS_DOWN.name.lower()


@dataclass(slots=True)
class _Page:
    """What the catalog has of one venue."""

    outage: Outage
    held: NDArray[np.void] | None = None
    """The engine's gaps when it was written last; None where it does not agree with them."""
    written: dict[tuple[str, str, str, int, int], GapRow] = field(default_factory=dict)
    """By key. Of these the engine speaks: they change as it does, and go when it has them no more."""
    earlier: defaultdict[tuple[str, str], list[GapRow]] = field(default_factory=lambda: defaultdict(list))
    """Those taken over at the start, by symbol and stream: they know why their trades are missing."""
    over: list[GapRow] = field(default_factory=list)
    """Those that nobody asks for any more, to be written."""


class GapBook:
    """The gaps of all venues. Writing is done in a thread; a database that is away is waited for."""

    def __init__(self, venues: Mapping[str, VenueNode], config: StoreConfig, sealing: Sealing) -> None:
        self._venues = venues
        self._config = config
        self._sealing = sealing
        self._pages = {name: _Page(Outage(log, "gaps_not_stored", name)) for name in venues}

    async def run(self) -> None:
        """Write for ever, every `EVERY_S`."""
        await self._sealing.caught_up.wait()  # the catalog exists from then on
        while True:
            await asyncio.sleep(EVERY_S)
            for name, venue in self._venues.items():
                if not venue.loading:  # else the engine does not speak for what is stored yet
                    await self.write(name)

    def take_over(self, name: str, left: Sequence[GapRow]) -> list[GapRow]:
        """Take over what earlier programs have noted, once what is stored of today is loaded.

        Returns those that the engine does not speak for.
        """
        venue, page = self._venues[name], self._pages[name]
        others = []
        for gap in left:
            if gap.fate in FILLABLE and _is_in_chain(venue, gap):
                page.written[gap.key] = gap
                page.earlier[gap.symbol, gap.stream].append(gap)
            else:
                others.append(gap)
        page.held = None
        page.over += [replace(gap, fate=BEYOND) for gap in others if gap.fate == OPEN]
        return others

    async def write(self, name: str) -> None:
        """Bring the catalog to what the engine has now."""
        venue, page = self._venues[name], self._pages[name]
        engine = venue.engine
        venue.ledger.ended(engine.take_forgotten_gaps())
        held = np.concatenate([np.zeros(0, GAP), *(engine.gaps(int(i)) for i in engine.instruments_with_gaps())])
        ended = venue.ledger.take_ended()
        if page.held is not None and np.array_equal(held, page.held) and not len(ended):
            return
        now = {gap.key: self._as_known(page, gap) for gap in gap_rows(venue, held)}
        fresh = [gap for key, gap in now.items() if page.written.get(key) != gap]
        closed = [gap for key, gap in page.written.items() if key not in now]
        try:
            await aside(_put, self._config, [*fresh[:AT_ONCE], *page.over, *gap_rows(venue, ended)], closed)
        except (TapewatchError, OSError) as error:
            venue.ledger.ended(ended)
            page.outage.failed(error)
            return
        page.outage.worked()
        page.over.clear()
        for gap in closed:
            del page.written[gap.key]
        page.written |= {gap.key: gap for gap in fresh[:AT_ONCE]}
        page.held = held if len(fresh) <= AT_ONCE else None

    @staticmethod
    def _as_known(page: _Page, gap: GapRow) -> GapRow:
        """The gap with what is known of it since before: when it was found, and why, if that was in an earlier run."""
        if (written := page.written.get(gap.key)) is not None:
            gap = replace(gap, found_ms=written.found_ms)
        if gap.cause == PROCESS_DOWN:
            for one in page.earlier.get((gap.symbol, gap.stream), ()):
                if one.first_id <= gap.first_id and gap.last_id <= one.last_id:
                    return replace(gap, cause=one.cause)
        return gap


def gap_rows(venue: VenueNode, gaps: NDArray[np.void]) -> list[GapRow]:
    """`GAP` rows as the catalog has them."""
    found_ms = venue.venue_ms()
    names = GAP.names or ()
    out = []
    for gap in gaps:
        told = dict(zip(names, gap.item(), strict=True))
        i, cause, fate = told.pop("instrument"), Cause(told.pop("cause")), Fate(told.pop("fate"))
        one = venue.universe[i]
        out.append(
            GapRow(venue.name, one.symbol, _stream(venue, i), **told, cause=cause.name.lower(),
                   fate=fate.name.lower(), found_ms=found_ms)
        )  # fmt: skip
    return out


def _stream(venue: VenueNode, i: int) -> str:
    return "trade" if venue.engine.flow.trades[i]["raw"] else "aggregate"


def _is_in_chain(venue: VenueNode, gap: GapRow) -> bool:
    """Whether the engine holds trades on both sides of a gap: it then knows what of it is still missing."""
    instrument = venue.universe.find(gap.symbol)
    if instrument is None or gap.stream != _stream(venue, instrument.index):
        return False
    chain = venue.engine.flow.trades[instrument.index]
    return bool(chain["first_id"] < gap.first_id and gap.last_id < chain["last_id"])


def _put(config: StoreConfig, gaps: list[GapRow], closed: list[GapRow]) -> None:
    catalog = Catalog.of_folder(config.data_path, config.url)
    try:
        catalog.put_gaps(gaps, closed)
    finally:
        catalog.close()
