"""The data folder of this program: its lock, a journal for each venue, and who seals and checks what is in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ..config import StoreConfig
from ..journal import DataLock, Journal, JournalStatus, Limits, StreamClass, recover
from ..store.lake import settle
from ..venues.registry import PRODUCTS
from .audit import Audit
from .recorder import VenueRecorder
from .sealing import Sealing

log = logging.getLogger(__name__)

WATCH_S = 1.0


class Storage:
    """The data folder of this program: its lock, and a journal for each venue.

    `start` and `close` block. A defect in a writer thread comes out of `watch` and ends the program: restarting is
    recovering.
    """

    def __init__(self, config: StoreConfig, journal: Callable[..., Journal] = Journal) -> None:
        self.path = config.data_path
        self.journals: dict[str, Journal] = {}
        self.sealing: Sealing | None = None
        """What makes closed files into segments; None where nobody does."""
        self.audit: Audit | None = None
        """What compares the store with the engines."""
        self._config = config
        self._limits = Limits(config.min_free_bytes, config.max_bytes, config.retention_s)
        self._lock = DataLock(self.path)
        self._journal = journal

    def start(self, venues: Iterable[str]) -> Mapping[str, VenueRecorder]:
        """Take the data folder, recover what a dead program left, begin to record; raises TapewatchError."""
        self._lock.acquire(since=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        settle(self.path, self._config.lake)
        recorders = {}
        for venue in venues:
            folder = journal_folder(self.path, venue)
            try:
                recover(folder)
            except OSError as error:
                # The market is watched all the same; what could not be recovered now is there at the next start.
                log.error("journal_not_recovered folder=%s error=%r", folder, str(error))  # noqa: TRY400
            classes = [StreamClass[name.upper()] for name in self._config.record]
            journal = self.journals[venue] = self._journal(folder, venue, limits=self._limits, classes=classes)
            journal.start()
            recorders[venue] = VenueRecorder(journal, self._config.record, PRODUCTS[venue].channel_of)
        log.info("recording path=%s classes=%s", self.path, ",".join(self._config.record))
        return recorders

    def status(self) -> Mapping[str, JournalStatus]:
        """How each venue's journal stands."""
        return {venue: journal.status for venue, journal in self.journals.items()}

    async def watch(self) -> None:
        """Raise what ended a writer thread."""
        while True:
            for journal in self.journals.values():
                if journal.fault is not None:
                    raise journal.fault
            await asyncio.sleep(WATCH_S)

    def close(self) -> None:
        """Close the journals in order and leave the data folder to others."""
        for journal in self.journals.values():
            journal.close()
        self._lock.release()


def journal_folder(data: Path, venue: str) -> Path:
    return data / "journal" / venue
