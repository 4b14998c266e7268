"""Writes what alerts leave behind, in a thread of its own: the event loop never waits for a database."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from ..config import StoreConfig
from ..model.errors import NotReadyError, TapewatchError
from ..store.alerts import AlertStore, Batch, Loaded
from ..store.catalog import Catalog, StoreUnavailableError

log = logging.getLogger(__name__)

R = TypeVar("R")
ROWS_WAITING = 50_000
"""Rows that wait for a database that is away; further batches are not kept, and counted."""
AGAIN_S = 2.0
CLOSE_WITHIN_S = 5.0


class AlertWriter:
    """One thread that reads and writes the alerts of a catalog, in the order asked. Without a store all is memory."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self.stored = config.enabled
        self.detail = "" if config.enabled else "alerts live in memory and end with the program: nothing is stored"
        """One sentence while nothing is kept."""
        self.unkept = 0
        """Rows that found the queue full, or that the database refused."""
        self._rows = 0
        self._writing = Batch()
        """What the thread has in its hands."""
        self._queue: deque[tuple[Batch, asyncio.Future[None]]] = deque()
        self._more = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="alerts")
        self._catalog: Catalog | None = None

    async def load(self) -> Loaded:
        """What an earlier program left; waits for a database that is away."""
        if not self.stored:
            return Loaded([], 1, [], [], [])
        return await self._until_it_answers(self._open)

    def _open(self) -> Loaded:
        if self._catalog is None:
            self._catalog = Catalog.of_folder(self._config.data_path, self._config.url)
        self._catalog.migrate()
        return AlertStore(self._catalog).load()

    async def read(self, question: Callable[[AlertStore], R]) -> R | None:
        """Ask the store something; None where there is none. Raises NotReadyError while it does not answer."""
        if self._catalog is None:
            return None
        store = AlertStore(self._catalog)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, question, store)
        except StoreUnavailableError as error:
            raise NotReadyError(str(error)) from error

    def put(self, batch: Batch) -> asyncio.Future[None]:
        """Have a batch written after those before it.

        The future is done when it is; at once where nothing is stored and while the database is away.
        """
        done = asyncio.get_running_loop().create_future()
        if not self.stored or not len(batch):
            done.set_result(None)
        elif self._rows + len(batch) > ROWS_WAITING:
            self.unkept += len(batch)
            done.set_result(None)
        else:
            self._rows += len(batch)
            self._queue.append((batch, done))
            self._more.set()
            if self.detail:
                done.set_result(None)
        return done

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                self._writing, written = self._taken()
                try:
                    await self._until_it_answers(lambda batch=self._writing: self._write(batch))  # type: ignore[misc]
                except (SQLAlchemyError, ValueError):  # a defect of ours: the market is recorded all the same
                    log.exception("alerts_refused_by_database rows=%d", len(self._writing))
                    self.unkept += len(self._writing)
                self._writing = Batch()
                self._rows -= sum(size for size, _ in written)
                for _, done in written:
                    if not done.done():
                        done.set_result(None)

    def _write(self, batch: Batch) -> None:
        if self._catalog is not None and len(batch):
            AlertStore(self._catalog).write(batch)

    def _taken(self) -> tuple[Batch, list[tuple[int, asyncio.Future[None]]]]:
        """What waits, as one batch: of an episode and of a message its newest state."""
        episodes, waiting, settled, rules = {}, {}, {}, []
        written: list[tuple[int, asyncio.Future[None]]] = []
        while self._queue:
            batch, done = self._queue[0]
            if any((one.key, one.sink) in settled for one in batch.waiting):
                break  # what was laid aside is tried again: a transaction of its own
            self._queue.popleft()
            rules += batch.rules
            episodes.update({one.key: one for one in batch.episodes})
            waiting.update({(one.key, one.sink): one for one in batch.waiting})
            settled.update({(one.key, one.sink): one for one in batch.settled})
            written.append((len(batch), done))
        whole = Batch(rules, list(episodes.values()), list(waiting.values()), list(settled.values()))
        return whole, written

    async def _until_it_answers(self, work: Callable[[], R]) -> R:
        """Do something with the database in the thread, again and again while it is away."""
        while True:
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, work)
            except TapewatchError as error:
                if not self.detail:
                    log.warning("alerts_not_stored reason=%r", str(error))
                self.detail = f"alerts are not being kept: {error}"
                await asyncio.sleep(AGAIN_S)
                continue
            if self.detail:
                log.info("alerts_stored_again")
                self.detail = ""
            return found

    async def close(self) -> None:
        """Write what waits, if the database answers now, and let go of it."""
        left = [self._writing]
        while self._queue:
            left.append(self._taken()[0])
        if not self.detail:
            last = asyncio.get_running_loop().run_in_executor(self._thread, lambda: [*map(self._write, left)])
            await asyncio.wait([last], timeout=CLOSE_WITHIN_S)
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._catalog is not None:
            self._catalog.close()
