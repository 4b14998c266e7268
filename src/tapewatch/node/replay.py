"""A node that plays recorded data: the same page and API as live, fed by a player instead of sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from ..api import create_app
from ..api.view import FeedView, HistoryView, Mode, QuarantineView, StorageView
from ..config import Config
from ..engine import Engine
from ..hub.hub import Hub
from ..ledger import Ledger
from ..model.interest import OpenInterest
from ..model.latency import Latency
from ..model.ticker import Ticker
from ..replay import Player, Stage, State
from . import log as logs
from .access import access_token
from .desk import Desk
from .node import Announce
from .server import Server, bind, url_of
from .stopping import stop_signals

TICK_S = 0.01
"""Pause between two looks at what is due: shorter than a frame of the screen."""


class ReplayVenue:
    """The stage of a player as the API sees a venue. The stage is another one after a seek back: read it anew."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self.latency = Latency()
        """Venue to here stays empty: at another pace than the market's there is no such thing."""
        self.ledger = Ledger()
        """What is read here was accounted for where it was recorded."""
        self.loading = False

    @property
    def _stage(self) -> Stage:
        return self._player.stage

    @property
    def name(self) -> str:
        return self._stage.venue

    @property
    def engine(self) -> Engine:
        return self._stage.engine

    def ask(self, symbol: str) -> None:
        """What was not recorded cannot be asked for."""

    @property
    def tickers(self) -> Mapping[str, Ticker]:
        return self._stage.tickers

    @property
    def interest(self) -> Mapping[str, OpenInterest]:
        return self._stage.interest

    @property
    def frames(self) -> int:
        """Events played: what was a frame is not known of every input."""
        return self._player.position.rows

    @property
    def foreign(self) -> int:
        return self._stage.foreign

    @property
    def quarantine(self) -> QuarantineView:
        return self._stage


class ReplayNode:
    """What is served, and the player at work in the event loop."""

    def __init__(self, config: Config, player: Player) -> None:
        self.config = config
        self.player = player
        self.started_ms = time.time_ns() // 1_000_000
        self.preparing = ""
        self.hub = Hub()
        venue = ReplayVenue(player)
        self.venues: Mapping[str, ReplayVenue] = {venue.name: venue}
        self.feeds: Mapping[str, FeedView] = {}
        self.storage: StorageView | None = None
        self.history: HistoryView | None = None
        """What is played was stored once; it is not stored again."""
        self.desk = Desk(self.venues, None)
        self._asked = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def mode(self) -> Mode:
        return "replay"

    async def settled(self, within_s: float) -> None:
        """Let the player see to what it was asked, and wait until it has or the time is over."""
        self._settled.clear()
        self._asked.set()
        try:
            async with asyncio.timeout(within_s):
                await self._settled.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Play until cancelled, a slice at a time: between two slices requests are answered and topics published."""
        epoch = self.player.epoch
        while True:
            self._asked.clear()
            more = self.player.tick(time.monotonic())
            if self.player.epoch != epoch:
                epoch = self.player.epoch
                self.hub.renew()
            state = self.player.position.state
            if state is not State.SEEKING:
                self._settled.set()
            if more:
                await asyncio.sleep(0)
            else:
                await self._wait(TICK_S if state is State.PLAYING else None)

    async def _wait(self, at_most_s: float | None) -> None:
        """Until somebody asks for something, or for a while."""
        try:
            async with asyncio.timeout(at_most_s):
                await self._asked.wait()
        except TimeoutError:
            return


async def serve_replay(config: Config, player: Player, *, announce: Announce) -> None:
    """Serve page and API and play until SIGINT or SIGTERM. At the end of the input its end state stays served."""
    logs.configure(config.node.log_level)
    listener = bind(config.server.host, config.server.port)
    token, new = access_token(config)
    node = ReplayNode(config, player)
    app = create_app(node, token, hub=node.hub, replay=node)
    server = Server(app, config.limits)
    async with stop_signals() as stop, asyncio.TaskGroup() as tasks:
        playing, ending = tasks.create_task(node.run()), tasks.create_task(server.stop_when(stop, node.desk.close))
        serving = tasks.create_task(server.serve(sockets=[listener]))
        announce(url_of(listener), token, new)
        await serving
        playing.cancel()
        ending.cancel()
        await node.desk.close()
