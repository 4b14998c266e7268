"""The node: builds everything from the configuration, runs it in one event loop, and stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable

from ..alerts.readings import Health
from ..api import create_app
from ..api.view import Mode
from ..config import Config
from ..derivs.derivs import Derivs
from ..feed.dialects import DIALECTS
from ..feed.driver import VenueFeed
from ..hub.hub import Hub
from ..model.views import FeedState
from ..venues.registry import PRODUCTS
from . import log as logs
from .access import access_token
from .alerting import Alerting
from .audit import Audit
from .desk import Desk
from .gapbook import GapBook
from .minutes import keep_minutes
from .quarantine import Quarantine, Refused
from .queries import Queries
from .sealing import Sealing
from .server import Server, bind, url_of
from .stopping import stop_signals
from .storage import Storage
from .today import load_stored_day
from .venue import VenueNode
from .warm import LAB, LIVE_PARTS, compile_apart, is_cached, own_decoders, warm_up, warm_up_lab

log = logging.getLogger(__name__)

SYMBOL_TOPICS = frozenset(
    {"footprint", "orderflow", "top", "features", "heatmap", "depth", "detections", "clusters", "cvd"}
)
"""Topics about one symbol; its name is the third part of their key."""

COMPILING = "first start of this version: machine code is being made, data follows within a minute"
LAB_COMPILING = (
    "first start of this version: features, heatmap, depth and detections are being prepared, they follow in about 15 s"
)

FULL_COLLECTION_EVERY = 1_000
"""Collections of the middle generation between two full ones: about ten minutes of a busy market."""
SETTLED_S = 60.0
"""So long after a venue has told its instruments, nearly all that will be kept of them exists."""

Announce = Callable[[str, str, bool], None]
"""Called with the address to open, the access token ("" when none is needed) and whether it is new."""


class Node:
    """Venues, their feeds and what is known about both."""

    def __init__(self, config: Config, mode: Mode = "live") -> None:
        self.config = config
        self._mode = mode
        self.started_ms = time.time_ns() // 1_000_000
        self.preparing = ""
        """What is not served yet, and why; empty: all is."""
        self.hub = Hub()
        self.venues: dict[str, VenueNode] = {}
        self.feeds: dict[str, VenueFeed] = {}
        self.storage = Storage(config.store) if config.store.enabled else None
        self.sealing = Sealing(config.store) if config.store.enabled else None
        if self.storage is not None:
            self.storage.sealing = self.sealing
        self.history = Queries(config.store) if config.store.enabled else None
        self.derivs = Derivs(self.venues, config.thresholds.of_derivs)
        self.alerts = Alerting(
            config, self.venues, self.derivs, self._health, lambda name: self.venues[name].venue_ms()
        )
        self.desk = Desk(self.venues, config.store if config.store.enabled else None)
        for name in PRODUCTS:
            if config.venues.of(name).enabled:
                self._add(name)
        if self.storage is not None and self.sealing is not None:
            self.storage.audit = Audit(self.venues, self.storage.journals, self.sealing, config.store)

    @property
    def mode(self) -> Mode:
        """What is shown: a venue that plays a recording is never called live, however it was started."""
        played = any(venue.plays_recording() for venue in self.venues.values())
        return "replay" if played and self._mode == "live" else self._mode

    def _add(self, name: str) -> None:
        settings = self.config.venues.of(name)
        quarantine = Quarantine(self.config.node.state_path / "quarantine" / f"{name}.jsonl")
        venue = VenueNode(PRODUCTS[name], settings, self.config.thresholds, quarantine)
        feed = VenueFeed(DIALECTS[name], settings, venue, adv_days=self.config.thresholds.adv_days)
        venue.clock_offset_ms = lambda: feed.rest.offset.ms
        venue.on_ask = feed.ask
        self.venues[name], self.feeds[name] = venue, feed

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Hold the data folder; raises TapewatchError at once where another program holds it."""
        storage = self.storage
        try:
            if storage is not None:
                for name, recorder in (await asyncio.to_thread(storage.start, self.venues)).items():
                    self.venues[name].recorder = recorder
            yield
        finally:
            await self.answer_no_more()
            if storage is not None:
                await asyncio.to_thread(storage.close)

    async def answer_no_more(self) -> None:
        """End the processes that answer questions; who waits for one is told so."""
        await self.desk.close()
        if self.history is not None:
            await self.history.close()

    async def run(self) -> None:
        """Run every feed until cancelled. A venue that cannot be reached is its own feed's matter."""
        await self._ready_kernels()
        _spare_collector()
        async with asyncio.TaskGroup() as tasks:
            for feed in self.feeds.values():
                tasks.create_task(feed.run())
            tasks.create_task(self._keep_refused())
            tasks.create_task(self._books_in_sight())
            tasks.create_task(self._balance())
            tasks.create_task(self.alerts.run())
            tasks.create_task(self.desk.keep_ready())
            tasks.create_task(self._freeze_when_settled())
            if self.preparing:
                tasks.create_task(self._ready_lab())
            if self.sealing is not None:
                book = GapBook(self.venues, self.config.store, self.sealing)
                tasks.create_task(load_stored_day(self.venues, self.config.store, self.sealing, book))
                tasks.create_task(book.run())
                tasks.create_task(keep_minutes(self.venues, self.derivs, self.config.store))
            if self.storage is not None:
                tasks.create_task(self.storage.watch())
            if self.sealing is not None:
                tasks.create_task(self.sealing.run())
            if self.storage is not None and self.storage.audit is not None:
                tasks.create_task(self.storage.audit.run())

    async def _freeze_when_settled(self) -> None:
        """Instruments, streams and books have come to stay: no later collection walks them."""
        for venue in self.venues.values():
            await venue.told.wait()
        await asyncio.sleep(SETTLED_S)
        gc.freeze()

    async def _ready_kernels(self) -> None:
        """Load the kernels before the first frame; the page is served meanwhile and says what it waits for."""
        whole, decoders = is_cached(LAB), own_decoders(self.venues)
        missing = [*(() if is_cached() else LIVE_PARTS), *(name for name in decoders if not is_cached(name))]
        if missing:
            self.preparing = COMPILING
            log.info("kernels_compiling once=true reason=%r", COMPILING)
            await compile_apart(*missing)
        seconds = await asyncio.to_thread(warm_up, lab=whole, decoders=decoders)
        self.preparing = "" if whole else LAB_COMPILING
        for venue in self.venues.values():
            venue.prepare_lab(self.preparing)
        log.info("kernels_ready seconds=%.1f", seconds)

    async def _ready_lab(self) -> None:
        """Make what studied instruments need, while data flows; then let them be studied."""
        await compile_apart(LAB)
        await asyncio.to_thread(warm_up_lab)
        self.preparing = ""
        for venue in self.venues.values():
            venue.prepare_lab("")
        log.info("lab_ready")

    def _health(self, name: str) -> Health:
        """What the alerts hear of a feed."""
        status = self.feeds[name].status
        _, p99 = self.venues[name].latency.total.percentiles()
        age_ms = status.data_age_ms
        return Health(
            down=status.state in (FeedState.CONNECTING, FeedState.STALE, FeedState.DOWN),
            age_s=math.nan if age_ms is None else age_ms / 1000,
            lag_ms=math.nan if p99 is None else p99,
        )

    async def _keep_refused(self) -> None:
        """Write refused frames to their files once a second, outside the event loop."""
        while True:
            await asyncio.sleep(1.0)
            for venue in self.venues.values():
                if rows := venue.quarantine.take():
                    await asyncio.to_thread(_write, venue.quarantine, rows)

    async def _balance(self) -> None:
        """Check every account once a second. One that does not balance is a defect of ours: /health is then 503."""
        while True:
            await asyncio.sleep(1.0)
            for name, venue in self.venues.items():
                known = set(venue.ledger.violations)
                for sentence in venue.ledger.check(venue.engine):
                    if sentence not in known:
                        log.error("ledger_violation venue=%s what=%r", name, sentence)
                faults = venue.engine.lab.faults
                while faults:
                    i, error = faults.popleft()
                    log.error("study_failed venue=%s symbol=%s", name, venue.universe[i].symbol, exc_info=error)

    async def _books_in_sight(self) -> None:
        """Let books that somebody looks at be synchronised before all others, and what nobody looks at be let go."""
        seen: dict[str, list[str]] = {}
        while True:
            for name, feed in self.feeds.items():
                symbols = list(dict.fromkeys(symbols_of(self.hub.topics, name) + self.desk.wanted(name)))
                feed.in_sight(symbols)
                if symbols != seen.get(name):
                    seen[name] = symbols
                    feed.want_book_first(symbols)
            await asyncio.sleep(0.5)


def _spare_collector() -> None:
    """Keep the collector's pauses short: what exists now lives as long as we do, and is not walked again.

    A full collection walks all the rest, up to 230 ms with 550 instruments, and Python's own pace is one for each ten
    of the middle generation: every six seconds of a busy market. Hardly anything here is in cycles: it can wait.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_EVERY)


def symbols_of(topics: Iterable[str], exchange: str) -> list[str]:
    """Symbols of one venue that live topics are about, from their keys: ``footprint:binance:BTCUSDT:1m:…``."""
    parts = (key.split(":") for key in topics)
    return list(dict.fromkeys(part[2] for part in parts if part[0] in SYMBOL_TOPICS and part[1] == exchange))


def _write(quarantine: Quarantine, rows: list[Refused]) -> None:
    """A full disk costs the refused frames their file, never the market its watcher."""
    try:
        quarantine.write(rows)
    except OSError as error:
        if not quarantine.unwritten:
            log.warning("quarantine_not_written path=%s error=%s", quarantine.path, error.strerror)
        quarantine.unwritten += len(rows)


async def serve(
    config: Config, *, announce: Announce, mode: Mode = "live", listener: socket.socket | None = None
) -> None:
    """Serve page and API and run the feeds until SIGINT or SIGTERM."""
    logs.configure(config.node.log_level)
    listener = listener or bind(config.server.host, config.server.port)
    token, new = access_token(config)
    node = Node(config, mode)
    server = Server(create_app(node, token, hub=node.hub, derivs=node.derivs, alerts=node.alerts), config.limits)
    async with node.recording(), stop_signals() as stop, asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(node.run()), tasks.create_task(server.stop_when(stop, node.answer_no_more))]
        serving = tasks.create_task(server.serve(sockets=[listener]))
        announce(url_of(listener), token, new)
        await serving
        for task in others:
            task.cancel()
    log.info("stopped")
