"""A small market for tests of hub and API: real frames through the real codec and engine, a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tapewatch.api import create_app
from tapewatch.api.page import STATIC
from tapewatch.api.view import AlertsView, DeskView, FeedView, HistoryView, Mode, StorageView
from tapewatch.config import Config
from tapewatch.feed.status import FeedStatus
from tapewatch.model.instrument import Grid, Instrument
from tapewatch.model.views import FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.server import Server, bind
from tapewatch.node.venue import VenueNode
from tapewatch.venues.registry import PRODUCTS

T0 = 1_790_000_040_000
"""A whole minute, 14:14 UTC."""

STATUS = FeedStatus(
    venue="binance",
    state=FeedState.LIVE,
    detail="",
    instruments=3,
    sockets=[],
    channels=[],
    silent=[],
    connected=2,
    reconnects=1,
    data_age_ms=12.0,
    clock_offset_ms=-3.5,
    weight_used=40,
    weight_limit=2400,
    held_for_ms=0,
    snapshots_queued=0,
    snapshots_loaded=1,
    snapshots_failed=0,
    trades_backfilled=0,
    adv_loaded=2,
)


@dataclass
class Feed:
    """A feed that stands as the test says."""

    status: FeedStatus = STATUS


def perp(symbol: str, tick: str, lot: str) -> Instrument:
    base = symbol.removesuffix("USDT")
    return Instrument(-1, "binance", symbol, base, "USDT", "perp", tick=Grid.parse(tick), lot=Grid.parse(lot))


INSTRUMENTS = [perp("BTCUSDT", "0.10", "0.001"), perp("ETHUSDT", "0.01", "0.001"), perp("币安人生USDT", "0.00001", "1")]


@dataclass
class World:
    """One venue that hears what a test says, served as the node serves it."""

    state_dir: Path
    config: Config = field(default_factory=Config)
    mode: Mode = "live"
    started_ms: int = T0
    preparing: str = ""
    feeds: dict[str, FeedView] = field(default_factory=lambda: {"binance": Feed()})
    instruments: list[Instrument] | None = None
    storage: StorageView | None = None
    history: HistoryView | None = None
    desk: DeskView | None = None

    def __post_init__(self) -> None:
        quarantine = Quarantine(self.state_dir / "quarantine.jsonl")
        self.venue = VenueNode(PRODUCTS["binance"], self.config.venues.binance, self.config.thresholds, quarantine)
        self.venues = {"binance": self.venue}
        self._ids = dict.fromkeys((one.symbol for one in INSTRUMENTS), 0)
        self._update_ids = dict.fromkeys((one.symbol for one in INSTRUMENTS), 100)
        listed = INSTRUMENTS if self.instruments is None else self.instruments
        if listed:
            self.venue.on_universe([replace(one, index=i) for i, one in enumerate(listed)])

    # -- what the venue says ------------------------------------------------------------------------------------

    def hear(self, *frames: dict[str, Any]) -> None:
        """Frames of one socket read."""
        buffer, ends = bytearray(), []
        for frame in frames:
            buffer += json.dumps(frame, separators=(",", ":"), ensure_ascii=False).encode()
            ends.append(len(buffer))
        self.venue.on_frames(buffer, ends, T0 * 1_000_000)

    def trade(self, at_ms: int, price: str, quantity: str, side: str = "buy", symbol: str = "BTCUSDT") -> None:
        """One aggregate trade, `at_ms` after T0."""
        n = self._ids[symbol] = self._ids[symbol] + 1
        at = T0 + at_ms
        fields: dict[str, Any] = {
            "e": "aggTrade",
            "E": at,
            "a": n,
            "s": symbol,
            "p": price,
            "q": quantity,
            "nq": quantity,
        }
        self.hear(fields | {"f": n, "l": n, "T": at, "m": side == "sell", "st": 1})

    def lose_trades(self, count: int, symbol: str = "BTCUSDT") -> None:
        """Trades that never arrive."""
        self._ids[symbol] += count

    def fill_hole(self, at_ms: int, price: str, quantity: str, number: int, symbol: str = "BTCUSDT") -> None:
        """The REST answer that brings a lost trade after all."""
        row = {
            "a": number,
            "p": price,
            "q": quantity,
            "nq": quantity,
            "f": number,
            "l": number,
            "T": T0 + at_ms,
            "m": False,
        }
        self.venue.on_trades(symbol, json.dumps([row]).encode(), T0 * 1_000_000)

    def book(self, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]], symbol: str = "BTCUSDT") -> None:
        """A snapshot and the diff that makes the book live."""
        u = self._update_ids[symbol]
        self.diff([], [], symbol)
        body = {"lastUpdateId": u, "E": T0, "T": T0, "bids": list(bids), "asks": list(asks)}
        self.venue.on_snapshot(symbol, json.dumps(body).encode(), T0 * 1_000_000)

    def diff(
        self, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]], symbol: str = "BTCUSDT", *, gap: int = 0
    ) -> None:
        """A depth diff that continues the chain (or, with `gap`, breaks it)."""
        u = self._update_ids[symbol] + gap
        self._update_ids[symbol] = u + 10
        ids = {"U": u + 1 if u != 100 else u, "u": u + 10, "pu": u}
        event = {"e": "depthUpdate", "E": T0 + u, "T": T0 + u, "s": symbol, "b": list(bids), "a": list(asks)}
        self.hear(event | ids)

    def liquidate(self, at_ms: int, side: str, price: str, quantity: str, symbol: str = "BTCUSDT") -> None:
        """A forced order that closed a position on `side` (long or short)."""
        aggressor = "SELL" if side == "long" else "BUY"
        order: dict[str, Any] = {"s": symbol, "S": aggressor, "o": "LIMIT", "f": "IOC", "q": quantity, "p": price}
        order |= {"ap": price, "X": "FILLED", "l": quantity, "z": quantity, "T": T0 + at_ms, "st": 1}
        self.hear({"e": "forceOrder", "E": T0 + at_ms + 5, "o": order})

    def ticker(self, symbol: str = "BTCUSDT") -> None:
        figures = {
            "p": "100",
            "P": "1.250",
            "c": "42500.5",
            "h": "43000.0",
            "l": "42000.0",
            "v": "1234.567",
            "q": "52470000.25",
        }
        self.hear({"e": "24hrTicker", "E": T0, "s": symbol, "n": 4321, "st": 1} | figures)

    def know_volume(self, quote_volume: int, days: int = 30, symbol: str = "BTCUSDT") -> None:
        self.venue.on_adv(symbol, Decimal(quote_volume), days)


def lively(world: World) -> None:
    """A market in which every route has something to say."""
    world.know_volume(1_000_000)
    world.ticker()
    world.book([("42500.4", "1.5"), ("42500.3", "2"), ("41900.0", "9")], [("42500.6", "0.5"), ("42500.7", "3")])
    world.trade(0, "42500.5", "0.100")
    world.trade(100, "42500.6", "0.9")
    world.trade(61_000, "42499.5", "0.3", "sell")
    world.trade(61_500, "0.00123", "7", symbol="币安人生USDT")
    world.liquidate(100, "long", "42000.05", "0.5")
    world.liquidate(200, "short", "43000", "0.001")


@dataclass
class Served:
    """A running server and a client of it."""

    url: str
    http: aiohttp.ClientSession

    async def get(self, path: str, **kwargs: Any) -> tuple[int, Any]:
        """Status and decoded JSON."""
        async with self.http.get(self.url + path, **kwargs) as answer:
            return answer.status, await answer.json(content_type=None)

    async def text(self, path: str, **kwargs: Any) -> str:
        async with self.http.get(self.url + path, **kwargs) as answer:
            return await answer.text()

    def ws(self, path: str, **kwargs: Any) -> Any:
        return self.http.ws_connect(self.url + path, **kwargs)


@asynccontextmanager
async def serve(
    world: World, token: str = "", static: Path = STATIC, alerts: AlertsView | None = None, send_buffer: int = 0
) -> AsyncIterator[Served]:
    """Serve a world on a free loopback port with the node's own server."""
    app = create_app(world, token, static=static, alerts=alerts)
    listener = bind("127.0.0.1", 0)
    if send_buffer:  # of each connection in the operating system, which else takes megabytes before we notice
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server = Server(app, world.config.limits)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    # The listener accepts before the server runs: the first request waits for it, nobody has to sleep.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as http:
        try:
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", http)
        finally:
            server.stop()
            await running
            listener.close()
