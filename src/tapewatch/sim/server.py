"""A simulated venue as a server: HTTP and websockets on one port of loopback, in the dialect of a product.

What flows comes from a `Content`: a simulated market or a recording. This file owns what surrounds it on every venue:
connections, subscriptions, slow readers, ages, cut-offs, the faults of transport, the clock. The dialect (addresses,
commands, wrapping, prices and bans of REST) is a subclass in a file of its own, listed in `venues.SIMULATED`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import WSMsgType, web

from ..model.errors import VenueError
from .faults import Fault, Faults, injectors
from .layout import STEP_MS
from .market import Market
from .rest import ApiError, Query
from .streams import Frame

log = logging.getLogger(__name__)

PONG_WITHIN_S = 600
UNREAD_BYTES = 16 << 20
"""A client that leaves this much unread is cut off."""


class Content(Protocol):
    """What a venue tells: a simulated market or a recording."""

    @property
    def now_ms(self) -> int:
        """The venue's own time."""

    def advance(self, wall_ms: int, *, congested: bool) -> Iterator[list[Frame]]:
        """Everything that happened until the wall clock shows `wall_ms`, in steps."""

    async def answer(self, path: str, query: Query) -> str:
        """Body of a REST call; raises ApiError."""

    def open(self, name: str) -> None:
        """Somebody reads this stream from now on."""

    def close(self, name: str) -> None:
        """Nobody reads this stream any more."""


@dataclass(frozen=True)
class VenueOptions:
    """How a venue behaves. `replay` serves recordings in place of a market, at `speed` (inf: as fast as read)."""

    seed: int = 7
    symbols: int = 600
    host: str = "127.0.0.1"
    port: int = 0
    faults: Faults = field(default_factory=Faults)
    replay: tuple[Path, ...] = ()
    speed: float = 1.0
    weight_limit: int | None = None
    """What REST lets an address ask for in a window of time; None is as the real venue does."""
    ping_s: float | None = None
    """How often connections are pinged; None is as the real venue does."""
    max_age_s: float = 86_400.0
    unread_bytes: int = UNREAD_BYTES
    patterns_s: float = 0.0
    """Binance USD-M: every so many seconds a pattern of liquidity is planted for detectors to find; 0: none."""


@dataclass(slots=True)
class VenueStats:
    """Counters since the start."""

    frames: int = 0
    bytes: int = 0
    connections: int = 0
    clients: int = 0
    cut: int = 0
    """Clients cut off because they did not read."""
    refused: int = 0
    """REST calls refused for their weight."""
    late_ms: float = 0.0
    """Longest the market has been behind the clock."""


@dataclass(slots=True, eq=False)
class Client:
    """One websocket connection."""

    number: int
    transport: asyncio.Transport
    route: str
    combined: bool
    """It gets payloads wrapped (`SimulatedVenue.wrapped`)."""
    since: float
    pinged_at: float
    ponged_at: float
    streams: dict[str, None] = field(default_factory=dict)
    pending: list[bytes] = field(default_factory=list)
    arrivals: deque[float] = field(default_factory=deque)

    def unread(self) -> int:
        # uvloop raises where a transport is asked or written to that has been closed already.
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()


@dataclass(frozen=True, slots=True)
class Place:
    """What a websocket address means: a route, whether payloads are wrapped, and streams asked for at once."""

    route: str = ""
    combined: bool = True
    names: tuple[str, ...] = ()


class SimulatedVenue(ABC):
    """The venue as a server: `start` it, connect to `rest_url` and `ws_url`, `stop` it.

    `lead` is a market whose prices this one's follow: that of the first venue where several stand side by side.
    """

    rest_paths: str
    """Regular expression of the paths that are REST; all others are websockets."""
    weight_limit: int
    ping_s: float
    """Infinite where the venue waits for its clients' pings."""
    commands_per_s: int
    streams_per_connection: int

    def __init__(
        self, options: VenueOptions, clock: Callable[[], float] = time.time, lead: Market | None = None
    ) -> None:
        self.options = options
        self.stats = VenueStats()
        self.content: Content
        self.lead = lead
        self.rest_url = self.ws_url = ""
        self._true_clock = clock
        self._skew_s = options.faults.value("clock-skew") / 1000
        self._random = random.Random(f"venue {options.seed}")
        self._injectors = injectors(options.faults, options.seed)
        self._clients: set[Client] = set()
        self._readers: dict[str, dict[Client, None]] = {}
        self._runner: web.AppRunner | None = None
        self._driver: asyncio.Task[None] | None = None
        self._limit = self.weight_limit if options.weight_limit is None else options.weight_limit
        self._ping_s = self.ping_s if options.ping_s is None else options.ping_s

    def _clock(self) -> float:
        return self._true_clock() + self._skew_s

    # -- the dialect ----------------------------------------------------------------------------------------------

    @abstractmethod
    def build(self, start_ms: int) -> Content:
        """The market or recording behind it, ready at `start_ms`; called in a thread."""

    @property
    def market(self) -> Market | None:
        """What other venues' markets may follow; None where a recording is played."""
        return getattr(self.content, "market", None)

    @abstractmethod
    def place(self, request: web.Request) -> Place | None:
        """What a websocket address means; None where there is no such address."""

    @abstractmethod
    def replies(self, client: Client, text: str) -> Iterable[str]:
        """Do what a client's message says (`subscribe`, `unsubscribe`), and how the venue words its answers."""

    @abstractmethod
    def wrapped(self, stream: str, payload: str) -> str:
        """A payload as it goes to connections that get it wrapped."""

    def carries(self, client: Client, name: str) -> bool:
        """Whether a stream of this name flows on the client's route."""
        del client, name
        return True

    def greeting(self, client: Client, name: str) -> Iterable[str]:
        """Messages that a new subscriber alone gets, before the stream goes on: a book's snapshot."""
        del client, name
        return ()

    @abstractmethod
    def charge(self, address: str, path: str, query: Query, wall_ms: int) -> None:
        """Book what a call costs; raises ApiError where it is too much."""

    @abstractmethod
    def too_many(self, address: str) -> ApiError:
        """The refusal of one call too many."""

    @abstractmethod
    def ban(self, address: str, wall_ms: int) -> ApiError:
        """Ban an address for a while; returns the refusal it now gets."""

    @abstractmethod
    def overloaded(self) -> ApiError:
        """The answer of a server that cannot cope."""

    def headers(self, address: str, wall_ms: int) -> Mapping[str, str]:
        """Headers that come with every answer of REST."""
        del address, wall_ms
        return {}

    async def answer(self, path: str, query: Query, wall_ms: int) -> str:
        """Body of a REST call. A market computed in steps, and late under load, still has a clock that goes right."""
        del wall_ms
        return await self.content.answer(path, query)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Compile, build the market, bind, and let time run."""
        self.content = await asyncio.to_thread(self.build, int(self._clock() * 1000))
        app = web.Application()
        app.router.add_get(f"/{{path:{self.rest_paths}}}", self._rest)
        app.router.add_get("/{path:.*}", self._websocket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise VenueError(f"cannot listen on {self.options.host}:{self.options.port}: {error.strerror}") from error
        port = self._runner.addresses[0][1]
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        self.rest_url, self.ws_url = f"http://{host}:{port}", f"ws://{host}:{port}"
        self._driver = asyncio.create_task(self._drive(), name="simulated venue")

    async def serve(self) -> None:
        """Wait as long as the venue lives; raises what ended it."""
        if self._driver is None:
            raise RuntimeError("the venue was not started")
        await self._driver

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        for client in list(self._clients):
            client.transport.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _drive(self) -> None:
        """Let the content's time follow the clock, and look after the connections."""
        began = self._clock()
        kick = self._random.expovariate(1.0)
        cut = self.options.faults.find("disconnect")
        cut_at = began + kick * cut.value if cut else float("inf")
        while True:
            wall_ms = int(self._clock() * 1000)
            self.stats.late_ms = max(self.stats.late_ms, wall_ms - self.content.now_ms - STEP_MS)
            for frames in self.content.advance(wall_ms, congested=self._congested()):
                self._publish(frames, wall_ms - int(began * 1000))
            now = self._clock()
            if now >= cut_at and cut:
                cut_at = now + self._random.expovariate(1.0) * cut.value
                self._cut_one()
            self._look_after(asyncio.get_running_loop().time())
            await asyncio.sleep(max(0.0, STEP_MS - (self._clock() * 1000) % STEP_MS) / 1000)

    def _congested(self) -> bool:
        return any(client.unread() > self.options.unread_bytes // 4 for client in self._clients)

    def _cut_one(self) -> None:
        open_clients = [client for client in self._clients if not client.transport.is_closing()]
        if open_clients:
            self._random.choice(sorted(open_clients, key=lambda client: client.number)).transport.abort()

    def _look_after(self, now: float) -> None:
        """Ping who is due, part from who is too old or never answers."""
        for client in list(self._clients):
            if client.transport.is_closing():
                continue  # its handler takes it off the list when it comes to it
            if now - client.since > self.options.max_age_s:
                client.transport.close()
            elif client.pinged_at - client.ponged_at > PONG_WITHIN_S:
                client.transport.abort()
            elif now - client.pinged_at >= self._ping_s:
                client.pinged_at = now
                client.transport.write(b"\x89\x00")

    # -- streams ------------------------------------------------------------------------------------------------------

    def _publish(self, frames: list[Frame], since_ms: int) -> None:
        """Send each payload to who reads its stream: the bytes are made once, and written once a step and client."""
        for inject in self._injectors:
            frames = inject(frames, since_ms)
        for stream, payload in frames:
            readers = self._readers.get(stream)
            if not readers:
                continue
            raw = wrapped = b""
            for client in readers:
                if client.combined:
                    wrapped = wrapped or websocket_frame(self.wrapped(stream, payload))
                    client.pending.append(wrapped)
                else:
                    raw = raw or websocket_frame(payload)
                    client.pending.append(raw)
        for client in list(self._clients):
            if client.pending:
                self._flush(client)

    def _flush(self, client: Client) -> None:
        if client.transport.is_closing():
            client.pending.clear()
            return
        chunk = b"".join(client.pending)
        self.stats.frames += len(client.pending)
        self.stats.bytes += len(chunk)
        client.pending.clear()
        client.transport.write(chunk)
        if client.unread() > self.options.unread_bytes:
            self.stats.cut += 1
            log.warning("client_cut number=%d unread_bytes=%d", client.number, client.unread())
            client.transport.abort()

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        place = self.place(request)
        if place is None or request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound(text="Not Found")
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        now = asyncio.get_running_loop().time()
        self.stats.connections += 1
        client = Client(self.stats.connections, request.transport, place.route, place.combined, now, now, now)
        self._clients.add(client)
        self.stats.clients = len(self._clients)
        try:
            self.subscribe(client, place.names)
            await self._listen(client, socket)
        finally:
            self.unsubscribe(client, list(client.streams))
            self._clients.discard(client)
            self.stats.clients = len(self._clients)
        return socket

    async def _listen(self, client: Client, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            now = loop.time()
            client.arrivals.append(now)
            if len(client.arrivals) > self.commands_per_s and now - client.arrivals.popleft() < 1.0:
                await socket.close(code=1008, message=b"Too many requests")
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                client.ponged_at = now
            elif message.type is WSMsgType.TEXT:
                replies = b"".join(websocket_frame(reply) for reply in self.replies(client, message.data))
                if len(client.streams) > self.streams_per_connection:
                    await socket.close(code=1008, message=b"Too many streams")
                elif not client.transport.is_closing():
                    client.transport.write(replies)
            elif message.type is WSMsgType.BINARY:
                await socket.close(code=1008, message=b"Invalid request")

    def subscribe(self, client: Client, names: Iterable[str]) -> None:
        """Note every name; only those that the connection's route carries will ever get a frame."""
        for name in names:
            if name in client.streams:
                continue
            client.streams[name] = None
            if self.carries(client, name):
                readers = self._readers.setdefault(name, {})
                if not readers:
                    self.content.open(name)
                readers[client] = None
                client.pending += [websocket_frame(text) for text in self.greeting(client, name)]

    def unsubscribe(self, client: Client, names: Iterable[str]) -> None:
        for name in names:
            client.streams.pop(name, None)
            readers = self._readers.get(name)
            if readers is not None and readers.pop(client, client) is None and not readers:
                del self._readers[name]
                self.content.close(name)

    # -- REST -----------------------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        query, path = dict(request.query), request.path
        address = request.remote or ""
        wall_ms = int(self._clock() * 1000)
        try:
            self.charge(address, path, query, wall_ms)
            self._perhaps_refuse(address, wall_ms)
            body, status = await self.answer(path, query, wall_ms), 200
        except ApiError as refusal:
            body, status = refusal.body, refusal.status
            self.stats.refused += status in {403, 418, 429}
        late = self.options.faults.find("snapshot-late")
        if late and path.endswith("/depth"):
            await asyncio.sleep(late.value / 1000)
        headers = self.headers(address, wall_ms)
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    def _perhaps_refuse(self, address: str, wall_ms: int) -> None:
        if self._hit(self.options.faults.find("http-418")):
            raise self.ban(address, wall_ms)
        if self._hit(self.options.faults.find("http-429")):
            raise self.too_many(address)
        if self._hit(self.options.faults.find("http-5xx")):
            raise self.overloaded()

    def _hit(self, fault: Fault | None) -> bool:
        return fault is not None and self._random.random() < fault.value


def websocket_frame(text: str) -> bytes:
    """One unmasked text frame; whole steps of them go to a transport in one write."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
