"""A simulated venue as a server on loopback: the life, the sockets and the faults of transport, whatever is spoken.

What flows comes from a `Content`: a simulated market or a recording. What is said to it, and how it answers, stands in
the venue's own file.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import WSMessage, WSMsgType, web

from ..model.errors import VenueError
from .faults import Fault, Faults, injectors
from .layout import STEP_MS
from .rest import Query
from .streams import Frame

log = logging.getLogger(__name__)

UNREAD_BYTES = 16 << 20
"""A client that leaves this much unread is cut off."""

Closing = tuple[int, bytes]
"""Code and reason with which a connection is closed."""


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
    weight_limit: int = 2400
    ping_s: float = 180.0
    max_age_s: float = 86_400.0
    unread_bytes: int = UNREAD_BYTES


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
    """One websocket connection. `route` says which streams it may have, `combined` that they come wrapped."""

    number: int
    transport: asyncio.Transport
    route: str
    combined: bool
    since: float
    pinged_at: float
    ponged_at: float
    streams: dict[str, None] = field(default_factory=dict)
    pending: list[bytes] = field(default_factory=list)
    arrivals: deque[float] = field(default_factory=deque)
    heard_at: float = 0.0
    """When it last said something."""
    told_at: float = 0.0
    """When it last got something."""

    def unread(self) -> int:
        return self.transport.get_write_buffer_size()

    def send(self, text: str) -> None:
        """A message for this client alone."""
        self.transport.write(websocket_frame(text))


class SimulatedVenue(ABC):
    """The venue as a server: `start` it, connect to `rest_url` and `ws_url`, `stop` it."""

    rest_path: str
    """Pattern of the addresses of its REST interface."""

    def __init__(self, options: VenueOptions, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.stats = VenueStats()
        self.content: Content
        self._true_clock = clock
        self._skew_s = options.faults.value("clock-skew") / 1000
        self._random = random.Random(f"venue {options.seed}")
        self._injectors = injectors(options.faults, options.seed)
        self._clients: set[Client] = set()
        self._readers: dict[str, dict[Client, None]] = {}
        self._runner: web.AppRunner | None = None
        self._driver: asyncio.Task[None] | None = None
        self.rest_url = self.ws_url = ""

    # -- the dialect --------------------------------------------------------------------------------------------------

    @abstractmethod
    def _build(self) -> Content:
        """Compile, and make the market or read the recording. Runs in a thread."""

    @abstractmethod
    def _address(self, request: web.Request) -> tuple[str, bool, list[str]] | None:
        """Route, whether streams come wrapped, and first streams of a websocket address; None: there is no such."""

    @abstractmethod
    def _heard(self, client: Client, text: str, now: float) -> Closing | None:
        """A client's message: answer it, or say how the connection is closed."""

    @abstractmethod
    def _look_after(self, client: Client, now: float) -> None:
        """Ping who is due, part from who is too old or too silent; asked for each client in every step."""

    @abstractmethod
    async def _rest(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the REST interface."""

    def _crowded(self, client: Client, now: float) -> Closing | None:
        """How a connection is closed that says too much, or on which too much flows."""
        del client, now
        return None

    def _wrapped(self, stream: str, payload: str) -> str:
        """A payload as clients with `combined` get it."""
        del stream
        return payload

    def _may_read(self, client: Client, stream: str) -> bool:
        """Whether this stream flows on this client's route."""
        del client, stream
        return True

    def _clock(self) -> float:
        return self._true_clock() + self._skew_s

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Compile, build the market, bind, and let time run."""
        self.content = await asyncio.to_thread(self._build)
        app = web.Application()
        app.router.add_get(self.rest_path, self._rest)
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
            for client in list(self._clients):
                self._look_after(client, asyncio.get_running_loop().time())
            await asyncio.sleep(max(0.0, STEP_MS - (self._clock() * 1000) % STEP_MS) / 1000)

    def _congested(self) -> bool:
        return any(client.unread() > self.options.unread_bytes // 4 for client in self._clients)

    def _cut_one(self) -> None:
        if self._clients:
            self._random.choice(sorted(self._clients, key=lambda client: client.number)).transport.abort()

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
                    wrapped = wrapped or websocket_frame(self._wrapped(stream, payload))
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
        client.told_at = asyncio.get_running_loop().time()
        client.transport.write(chunk)
        if client.unread() > self.options.unread_bytes:
            self.stats.cut += 1
            log.warning("client_cut number=%d unread_bytes=%d", client.number, client.unread())
            client.transport.abort()

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        address = self._address(request)
        if address is None or request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound(text="Not Found")
        route, combined, names = address
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        now = asyncio.get_running_loop().time()
        self.stats.connections += 1
        client = Client(self.stats.connections, request.transport, route, combined, now, now, now)
        client.heard_at = client.told_at = now
        self._clients.add(client)
        self.stats.clients = len(self._clients)
        try:
            self._subscribe(client, names)
            await self._listen(client, socket)
        finally:
            self._unsubscribe(client, list(client.streams))
            self._clients.discard(client)
            self.stats.clients = len(self._clients)
        return socket

    async def _listen(self, client: Client, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            client.heard_at = loop.time()
            client.arrivals.append(client.heard_at)
            closing = self._crowded(client, client.heard_at) or await self._take(client, socket, message)
            if closing is not None:
                await socket.close(code=closing[0], message=closing[1])

    async def _take(self, client: Client, socket: web.WebSocketResponse, message: WSMessage) -> Closing | None:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.PONG:
            client.ponged_at = client.heard_at
        elif message.type is WSMsgType.TEXT:
            return self._heard(client, message.data, client.heard_at)
        elif message.type is WSMsgType.BINARY:
            return 1008, b"Invalid request"
        return None

    def _subscribe(self, client: Client, names: list[str]) -> None:
        """Note every name; only those of the connection's own route will ever get a frame."""
        for name in names:
            if name in client.streams:
                continue
            client.streams[name] = None
            if self._may_read(client, name):
                readers = self._readers.setdefault(name, {})
                if not readers:
                    self.content.open(name)
                readers[client] = None

    def _unsubscribe(self, client: Client, names: list[str]) -> None:
        for name in names:
            client.streams.pop(name, None)
            readers = self._readers.get(name)
            if readers is not None and readers.pop(client, client) is None and not readers:
                del self._readers[name]
                self.content.close(name)

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
