"""All four products over real sockets against their simulated venues, which fall ill one at a time while data flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from msgspec import structs

from ports import kept_port
from tapewatch.config import Config, ThresholdsConfig
from tapewatch.derivs.derivs import Derivs
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.views import BookState, FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.sim import SIMULATED, Faults, SimulatedVenues, VenueOptions
from tapewatch.sim.faults import injectors
from tapewatch.venues.registry import PRODUCTS
from waiting import until

SYMBOLS = 4
"""Of each venue; some have dated futures besides."""


@dataclass
class World:
    """Four venues, and what reads them."""

    simulated: SimulatedVenues
    nodes: dict[str, VenueNode]
    feeds: dict[str, VenueFeed]
    derivs: Derivs
    tasks: dict[str, asyncio.Task[None]]

    def fall_ill(self, name: str, faults: str) -> None:
        """From now on one venue has these faults."""
        venue = self.simulated.venues[name]
        venue.options = replace(venue.options, faults=Faults.parse(faults))
        venue._injectors = injectors(venue.options.faults, 1)

    async def go_down(self, name: str) -> None:
        """One venue hangs up and listens no more. Its market goes on: prices of the others follow it."""
        venue = self.simulated.venues[name]
        for client in list(venue._clients):
            client.transport.abort()
        assert venue._runner is not None
        await venue._runner.cleanup()

    def live_books(self, name: str) -> int:
        return self.nodes[name].engine.books_by_state()[BookState.LIVE]

    def all_live(self, name: str) -> bool:
        return self.live_books(name) == self.feeds[name].status.instruments >= SYMBOLS

    def sentence(self, name: str) -> str:
        return self.feeds[name].status.detail

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait; a feed that ends instead is a failure of its own."""
        await until(condition)
        for task in self.tasks.values():
            if task.done():
                await task

    async def nobody_else_notices(self, ill: str) -> None:
        """The others go on: new trades on each, all books live, nothing missing, nothing to complain of."""
        others = [name for name in self.nodes if name != ill]
        before = {name: self.nodes[name].engine.totals()["count"] for name in others}
        await self.until(lambda: all(self.nodes[n].engine.totals()["count"] > before[n] + 20 for n in others))
        # On a busy machine a venue may be called delayed for a moment, and rightly.
        await self.until(lambda: all(self.all_live(n) and self.feeds[n].status.state is FeedState.LIVE for n in others))
        for name in others:
            status, totals = self.feeds[name].status, self.nodes[name].engine.totals()
            assert not status.detail, name
            assert (totals["missing"], totals["depth_gaps"], status.reconnects) == (0, 0, 0), name
            assert not self.nodes[name].quarantine.by_reason, name


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    ports = ExitStack()  # of a venue that has gone down nobody else gets one
    options = {name: VenueOptions(symbols=SYMBOLS, port=ports.enter_context(kept_port())) for name in SIMULATED}
    simulated = SimulatedVenues(options)
    await simulated.start()
    nodes: dict[str, VenueNode] = {}
    feeds: dict[str, VenueFeed] = {}
    for name, venue in simulated.venues.items():
        config = structs.replace(Config().venues.of(name), enabled=True, rest_url=venue.rest_url, ws_url=venue.ws_url)
        nodes[name] = VenueNode(PRODUCTS[name], config, ThresholdsConfig(), Quarantine(folder / name))
        feeds[name] = VenueFeed(DIALECTS[name], config, nodes[name], random=Random(1))
    tasks = {name: asyncio.create_task(feed.run()) for name, feed in feeds.items()}
    here = World(simulated, nodes, feeds, Derivs(nodes, lambda _: DerivsThresholds()), tasks)
    try:
        await here.until(lambda: all(here.all_live(name) for name in nodes))
        await here.until(lambda: all(feed.status.state is FeedState.LIVE for feed in feeds.values()))
        yield here
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
        await simulated.stop()
        ports.close()
