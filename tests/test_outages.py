"""One venue down, slow, banned or speaking nonsense: the other three do not notice, and what is told of it says so.

All four products over real sockets against their simulated venues, which fall ill one at a time while data flows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from tapewatch.config import Config, ThresholdsConfig
from tapewatch.derivs.derivs import Derivs
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.views import BookState, FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.sim import SIMULATED, Faults, SimulatedVenues, VenueOptions
from tapewatch.sim.faults import injectors
from tapewatch.venues.registry import PRODUCTS
from waiting import until

SYMBOLS = 4
WITHIN_S = 60.0
BANNED = {
    "binance": "has banned this address for too many requests (HTTP 418)",
    "binance-spot": "has banned this address for too many requests (HTTP 418)",
    "bybit": "(HTTP 403)",
    "okx": "says the rate limit is used up (HTTP 429)",
}
"""How each venue refuses who asked too much, as we say it."""


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

    def sentence(self, name: str) -> str:
        return self.feeds[name].status.detail

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait; a feed that ends instead is a failure of its own."""
        await until(lambda: bool(condition()), WITHIN_S)
        for task in self.tasks.values():
            if task.done():
                await task

    async def nobody_else_notices(self, ill: str) -> None:
        """The others go on: new trades on each, all books live, nothing missing, nothing to complain of."""
        others = [name for name in self.nodes if name != ill]
        before = {name: self.nodes[name].engine.totals()["count"] for name in others}
        await self.until(lambda: all(self.nodes[n].engine.totals()["count"] > before[n] + 20 for n in others))
        for name in others:
            status, totals = self.feeds[name].status, self.nodes[name].engine.totals()
            assert (status.state, status.detail, self.live_books(name)) == (FeedState.LIVE, "", SYMBOLS), name
            assert (totals["missing"], totals["depth_gaps"], status.reconnects) == (0, 0, 0), name
            assert not self.nodes[name].quarantine.by_reason, name


@pytest.fixture(params=list(SIMULATED))
def ill(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def _warm() -> None:
    warm_up(lab=False)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    simulated = SimulatedVenues({name: VenueOptions(symbols=SYMBOLS) for name in SIMULATED})
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
        await here.until(lambda: all(here.live_books(name) == SYMBOLS for name in nodes))
        await here.until(lambda: all(feed.status.state is FeedState.LIVE for feed in feeds.values()))
        yield here
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
        await simulated.stop()


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_is_down(ill: str, tmp_path: Path) -> None:
    """Its books are not live, its rows are named as stale, CVD goes on without it, and one sentence says why."""
    async with world(tmp_path) as w:
        await w.go_down(ill)
        await w.until(lambda: w.feeds[ill].status.state is FeedState.DOWN)
        await w.nobody_else_notices(ill)
        assert w.live_books(ill) == 0
        await w.until(lambda: "refuses the connection" in w.sentence(ill))
        await w.until(lambda: w.derivs.stale(w.nodes) == [ill])
        here = "binance" if ill != "binance" else "bybit"
        view = w.derivs.cvd(here, w.nodes[here].universe.get("BTCUSDT"), "5m", "usd")
        assert ill not in {series.exchange for series in view.markets}
        left_out = [why for name, _, why in view.missing if name == ill]
        assert left_out
        assert all(re.fullmatch(r"its venue is \d+ s behind the others", why) for why in left_out)
        assert all(row["basis_bps"] is None and row["why"] for row in w.derivs.basis(ill))


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_is_slow(ill: str, tmp_path: Path) -> None:
    """What comes is whole and late: the venue is called delayed, and its flow is not compared with the present."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "slow:7000")
        await w.until(lambda: w.feeds[ill].status.state in {FeedState.DELAYED, FeedState.STALE})
        await w.until(lambda: w.derivs.stale(w.nodes) == [ill])
        await w.nobody_else_notices(ill)
        assert w.nodes[ill].engine.totals()["missing"] == 0


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_has_banned_us(ill: str, tmp_path: Path) -> None:
    """Nothing is asked of it until the ban ends; what it streams still counts."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "http-418:1")
        w.feeds[ill]._doorbell.set()  # the instruments are read anew, and refused
        await w.until(lambda: BANNED[ill] in w.sentence(ill))
        if ill != "okx":
            assert w.feeds[ill].status.held_for_ms > 0
        await w.nobody_else_notices(ill)
        before = w.nodes[ill].engine.totals()["count"]
        await w.until(lambda: w.nodes[ill].engine.totals()["count"] > before)
        assert w.live_books(ill) == SYMBOLS


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_speaks_nonsense(ill: str, tmp_path: Path) -> None:
    """Each frame of it is set aside with its reason; its clock, and with it everybody's present, stays."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "garble:1")
        node = w.nodes[ill]
        await w.until(lambda: node.quarantine.by_reason.total() > 50)
        await w.nobody_else_notices(ill)
        others = max(one.engine.clock_ms for name, one in w.nodes.items() if name != ill)
        assert node.engine.clock_ms < others + 5_000
        assert not set(w.derivs.stale(w.nodes)) - {ill}
