"""Compares what the engines hold with what the store says it holds: ``accepted + backfilled = stored``.

Once a minute the ids that an engine holds are noted, and how far its journal had come. When every journal file up to
there has been sealed, each of those ids must be stored. One that is not is named in the catalog as a gap; nobody finds
it missing for the first time when it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..config import StoreConfig
from ..feed.pages import midnight
from ..flow.candles import MINUTE_MS
from ..flow.trades import EMPTY
from ..journal import Journal, Mark, files
from ..model.errors import TapewatchError
from ..model.gaps import Cause, Fate
from ..model.rules import TradeIds
from ..store.audit import Absent, DayCounts, Held, HeldMinutes, day_counts, unstored, unstored_of_minutes
from ..store.catalog import Catalog, GapRow
from ..store.reader import without
from .aside import aside
from .outage import Outage
from .sealing import Sealing
from .venue import VenueNode

log = logging.getLogger(__name__)

EVERY_S = 60.0
LOOK_S = 1.0
SYMBOLS_NAMED = 5
AGAIN_MS = 1_800_000
"""How far before the last comparison minutes are compared again: what an interruption hid comes later."""


@dataclass(slots=True)
class Account:
    """What the last comparison of one venue has shown."""

    compared: str = "ids"
    """``ids``, or, where those do not count, ``minutes``: how many trades each of the last ones has."""
    checked_ms: int | None = None
    """The moment whose trades were compared; None before the first."""
    held: int = 0
    """Trades that the engine held then."""
    stored: int = 0
    """Of them those that are stored."""
    unstored: int = 0
    """Trades found missing in the store since the start of the program."""
    excused: bool = True
    """Whether the journal or the sealer had said that something is lost; otherwise it is a defect of ours."""
    by_symbol: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Held and stored at the last comparison."""
    day: DayCounts | None = None
    """The store's own counts of today."""

    @property
    def balanced(self) -> bool:
        return (self.unstored == 0 or self.excused) and (self.day is None or self.day.agree)

    @property
    def detail(self) -> str:
        """What is wrong, in words; empty while nothing is."""
        if self.day is not None and not self.day.agree:
            return f"the store contradicts itself: {self.day}"
        if self.unstored:
            short = [symbol for symbol, (held, stored) in self.by_symbol.items() if stored < held]
            names = (
                f" ({', '.join(short[:SYMBOLS_NAMED])}{' …' if len(short) > SYMBOLS_NAMED else ''})" if short else ""
            )
            return f"{self.unstored:,} trades came and are not stored{names}"
        return ""


@dataclass(slots=True)
class _Pending:
    mark: Mark
    at_ms: int
    held: list[Held] | list[HeldMinutes]


class Audit:
    """Keeps the accounts of all venues. Comparing is done in a thread."""

    def __init__(
        self, venues: Mapping[str, VenueNode], journals: Mapping[str, Journal], sealing: Sealing, config: StoreConfig
    ) -> None:
        """Where ids do not count, the trades of each minute do."""
        uncounted = {name for name, venue in venues.items() if venue.product.trades.ids is TradeIds.RISING}
        accounts = {name: Account("minutes" if name in uncounted else "ids") for name in venues}
        self.accounts = accounts if "trades" in config.record else {}
        self._venues = venues
        self._journals = journals
        self._sealing = sealing
        self._config = config
        self._floors: dict[str, tuple[int, NDArray[np.int64], NDArray[np.int64]]] = {}
        self._known: dict[tuple[str, str], list[Absent]] = {}
        """What has been found missing already."""
        self._from_ms = {name: venue.venue_ms() for name, venue in venues.items()}
        """From when on minutes are compared: the start, later a while before the last comparison."""

    async def run(self) -> None:
        """Compare for ever; a database that is away is waited for."""
        pending: dict[str, _Pending] = {}
        outages = {name: Outage(log, "store_not_compared", name) for name in self.accounts}
        next_s = asyncio.get_running_loop().time() + EVERY_S
        while self.accounts:
            await asyncio.sleep(LOOK_S)
            if asyncio.get_running_loop().time() >= next_s:
                next_s += EVERY_S
                for name in self.accounts:
                    journal, venue = self._journals[name], self._venues[name]
                    # A recording may be older than what retention keeps.
                    if name not in pending and len(venue.universe) and not venue.plays_recording():
                        pending[name] = self.note(name, journal)
            for name, one in list(pending.items()):
                if await asyncio.to_thread(self._is_sealed, self._journals[name], one.mark):
                    try:
                        await self.compare(name, one)
                    except (TapewatchError, OSError) as error:
                        outages[name].failed(error)
                    else:
                        outages[name].worked()
                    del pending[name]

    def note(self, name: str, journal: Journal) -> _Pending:
        """What the engine holds now, and where the journal is; both of one moment of the event loop."""
        venue = self._venues[name]
        if venue.product.trades.ids is TradeIds.RISING:
            return _Pending(journal.mark(), venue.venue_ms(), list(self._held_minutes(name, venue)))
        return _Pending(journal.mark(), venue.venue_ms(), list(self._held(name, venue)))

    def _held_minutes(self, name: str, venue: VenueNode) -> Iterator[HeldMinutes]:
        ring, numbers = (
            venue.engine.flow.minutes.ring,
            range(self._from_ms[name] // MINUTE_MS, venue.venue_ms() // MINUTE_MS + 1),
        )
        wanted = np.array(numbers[-len(ring) :])
        rows = ring[wanted & (len(ring) - 1), : len(venue.universe)]
        trades = np.where(rows["number"] == wanted[:, None], rows["n"], 0)
        for i in np.flatnonzero(trades.any(axis=0)).tolist():
            counts = {int(number) * MINUTE_MS: int(n) for number, n in zip(wanted, trades[:, i], strict=True) if n}
            yield HeldMinutes(venue.universe[i].symbol, counts)

    def _held(self, name: str, venue: VenueNode) -> Iterator[Held]:
        trades = venue.engine.flow.trades[: len(venue.universe)]
        floors = self._floor(name, venue)
        for i in np.flatnonzero(trades["last_id"] != EMPTY).tolist():
            row = trades[i]
            first = max(int(row["first_id"]), int(floors[i]) + 1 if i < len(floors) else int(row["first_id"]))
            gaps = venue.engine.gaps(i)[["first_id", "last_id"]].tolist() if row["absent"] else []
            ids = without(first, int(row["last_id"]), gaps)
            yield Held(venue.universe[i].symbol, not row["raw"], ids, int(row["first_ms"]), int(row["chain_ms"]))

    def _floor(self, name: str, venue: VenueNode) -> NDArray[np.int64]:
        """The newest ids of the midnight before last: what is older, retention may have taken."""
        today, none = midnight(venue.venue_ms()), np.zeros(0, np.int64)
        day, before, newest = self._floors.get(name, (today, none, none))
        if today != day or name not in self._floors:
            before, newest = (
                (newest, venue.engine.flow.trades["last_id"].copy()) if name in self._floors else (none, none)
            )
            self._floors[name] = (today, before, newest)
        return before

    def _is_sealed(self, journal: Journal, mark: Mark) -> bool:
        """Whether everything up to a mark is in files that the sealer has done with."""
        if mark.file is None:
            return False
        left = set(self._sealing.status.refused)
        return not any(
            file.path.name not in left and (file.name.session != mark.session or file.name.number <= mark.file)
            for file in files(journal.folder)
        )

    async def compare(self, name: str, noted: _Pending) -> Account:
        """Look up what was held when it was noted; raises where the database does not answer."""
        account = self.accounts[name]
        absent, day = await aside(self._look_up, name, noted)
        fresh = {symbol: self._not_known((name, symbol), several) for symbol, several in absent.items()}
        lost = sum(one.trades for several in fresh.values() for one in several)
        account.checked_ms, account.day = noted.at_ms, day
        account.by_symbol = {
            one.symbol: (len(one), len(one) - sum(lacking.trades for lacking in absent.get(one.symbol, [])))
            for one in noted.held
        }
        account.held = sum(held for held, _ in account.by_symbol.values())
        account.stored = sum(stored for _, stored in account.by_symbol.values())
        account.unstored += lost
        if lost:
            account.excused = account.excused and self._was_told(name)
            log.error("store_lacks_trades venue=%s trades=%d told=%s", name, lost, account.excused)
            await aside(self._put, self._gap_rows(name, fresh, noted))
        self._from_ms[name] = max(self._from_ms[name], noted.at_ms - AGAIN_MS)
        if not day.agree:
            log.error("store_contradicts_itself venue=%s what=%r", name, str(day))
        return account

    def _was_told(self, name: str) -> bool:
        """Whether somebody has already said that something is lost."""
        journal, sealing = self._journals[name].status, self._sealing.status
        told = journal.dropped_reads, journal.expired_files, sealing.rejected, sealing.damaged, len(sealing.refused)
        return any(told)

    def _not_known(self, key: tuple[str, str], absent: list[Absent]) -> list[Absent]:
        """What has not been found missing before."""
        known = self._known.setdefault(key, [])
        fresh = []
        for one in absent:
            if one.last_id < one.first_id:
                more = one.trades - sum(before.trades for before in known if before.from_ms == one.from_ms)
                fresh += [one._replace(trades=more)] if more > 0 else []
            else:
                runs = without(one.first_id, one.last_id, [(before.first_id, before.last_id) for before in known])
                fresh += [Absent(*run, one.from_ms, one.to_ms, run[1] - run[0] + 1) for run in runs]
        known += fresh
        return fresh

    def _gap_rows(self, name: str, absent: Mapping[str, list[Absent]], noted: _Pending) -> list[GapRow]:
        cause, fate = Cause.NOT_RECORDED.name.lower(), Fate.OPEN.name.lower()
        aggregates = {one.symbol for one in noted.held if isinstance(one, Held) and one.aggregate}
        return [
            GapRow(
                name, symbol, "aggregate" if symbol in aggregates else "trade", one.first_id, one.last_id,
                one.from_ms, one.to_ms, cause, fate, noted.at_ms,
            )
            for symbol, several in absent.items()
            for one in several
        ]  # fmt: skip

    def _look_up(self, name: str, noted: _Pending) -> tuple[dict[str, list[Absent]], DayCounts]:
        catalog = self._catalog()
        try:
            ids = [one for one in noted.held if isinstance(one, Held)]
            minutes = [one for one in noted.held if isinstance(one, HeldMinutes)]
            absent = unstored(catalog, name, ids) | unstored_of_minutes(catalog, name, minutes)
            return absent, day_counts(catalog, name, midnight(noted.at_ms))
        finally:
            catalog.close()

    def _put(self, rows: list[GapRow]) -> None:
        catalog = self._catalog()
        try:
            catalog.put_gaps(rows)
        finally:
            catalog.close()

    def _catalog(self) -> Catalog:
        return Catalog.of_folder(self._config.data_path, self._config.url)
