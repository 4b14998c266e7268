"""A Binance USD-M venue on loopback: HTTP and websockets on one port, in the venue's own dialect.

What flows comes from a `Content`: a simulated market or a recording. This file owns what surrounds it: routes,
wrapping, the commands of a connection, request weights and bans, pings, ages, cut-offs, and the faults of transport.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aiohttp import WSMsgType, web

from ..model.errors import UsageError, VenueError
from .budget import RequestBudget
from .faults import Fault, Faults, injectors
from .layout import STEP_MS
from .replay import RecordedVenue
from .rest import ApiError, Query, weight
from .simulation import Simulation, warm_up
from .streams import Frame, route_of

log = logging.getLogger(__name__)

COMMANDS_PER_S = 10
STREAMS_PER_CONNECTION = 1024
PONG_WITHIN_S = 600
UNREAD_BYTES = 16 << 20
"""A client that leaves this much unread is cut off."""

_METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"


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


class SimulatedBinanceUsdm:
    """The venue as a server: `start` it, connect to `rest_url` and `ws_url`, `stop` it."""

    def __init__(self, options: VenueOptions, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.stats = VenueStats()
        self.content: Content
        self._true_clock = clock
        self._skew_s = options.faults.value("clock-skew") / 1000
        self._random = random.Random(f"venue {options.seed}")
        self._injectors = injectors(options.faults, options.seed)
        self._budget = RequestBudget(options.weight_limit)
        self._clients: set[_Client] = set()
        self._readers: dict[str, dict[_Client, None]] = {}
        self._runner: web.AppRunner | None = None
        self._driver: asyncio.Task[None] | None = None
        self.rest_url = self.ws_url = ""

    def _clock(self) -> float:
        return self._true_clock() + self._skew_s

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Compile, build the market, bind, and let time run."""
        self.content = await asyncio.to_thread(self._build)
        app = web.Application()
        app.router.add_get("/{path:(?:fapi|futures)/.*}", self._rest)
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

    def _build(self) -> Content:
        options = self.options
        if options.replay:
            return RecordedVenue.load(options.replay, speed=options.speed, weight_limit=options.weight_limit)
        if options.symbols < 1:
            raise UsageError(f"a venue needs at least one symbol, not {options.symbols}")
        warm_up()
        simulation = Simulation(
            symbols=options.symbols,
            seed=options.seed,
            start_ms=int(self._clock() * 1000),
            weight_limit=options.weight_limit,
            faults=options.faults,
        )
        for _ in simulation.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return simulation

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
        if self._clients:
            self._random.choice(sorted(self._clients, key=lambda client: client.number)).transport.abort()

    def _look_after(self, now: float) -> None:
        """Ping who is due, part from who is too old or never answers."""
        for client in list(self._clients):
            if now - client.since > self.options.max_age_s:
                client.transport.close()
            elif client.pinged_at - client.ponged_at > PONG_WITHIN_S:
                client.transport.abort()
            elif now - client.pinged_at >= self.options.ping_s:
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
                    wrapped = wrapped or websocket_frame(f'{{"stream":"{stream}","data":{payload}}}')
                    client.pending.append(wrapped)
                else:
                    raw = raw or websocket_frame(payload)
                    client.pending.append(raw)
        for client in list(self._clients):
            if client.pending:
                self._flush(client)

    def _flush(self, client: _Client) -> None:
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
        route, mode, names = _address(request)
        if mode is None or request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPNotFound(text="Not Found")
        if any("," in name for name in names):
            raise web.HTTPBadRequest(text="Bad Request")
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        now = asyncio.get_running_loop().time()
        self.stats.connections += 1
        client = _Client(self.stats.connections, request.transport, route, mode == "stream", now, now, now)
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

    async def _listen(self, client: _Client, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            now = loop.time()
            client.arrivals.append(now)
            if len(client.arrivals) > COMMANDS_PER_S and now - client.arrivals.popleft() < 1.0:
                await socket.close(code=1008, message=b"Too many requests")
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                client.ponged_at = now
            elif message.type is WSMsgType.TEXT:
                reply = self._command(client, message.data)
                if len(client.streams) > STREAMS_PER_CONNECTION:
                    await socket.close(code=1008, message=b"Too many streams")
                else:
                    client.transport.write(websocket_frame(reply))
            elif message.type is WSMsgType.BINARY:
                await socket.close(code=1008, message=b"Invalid request")

    def _command(self, client: _Client, text: str) -> str:
        """Answer a command as the venue words it; a stream that does not exist is no error."""
        try:
            command = json.loads(text)
        except ValueError:
            return '{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}'
        if not isinstance(command, dict):
            return '{"code":2,"msg":"Invalid request: request must be an object"}'
        number, params = command.get("id"), command.get("params")
        match command.get("method"):
            case "SUBSCRIBE" | "UNSUBSCRIBE" as method:
                if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
                    return _refusal(2, "Invalid request: missing field `params` or invalid type", number)
                (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(client, params)
                return _reply(None, number)
            case "LIST_SUBSCRIPTIONS":
                return _reply(list(client.streams), number)
            case "SET_PROPERTY":
                if not isinstance(params, list) or len(params) != 2 or params[0] != "combined":
                    return _refusal(0, "Unknown property", number)
                if not isinstance(params[1], bool):
                    return _refusal(1, "Invalid value type: expected Boolean", number)
                client.combined = params[1]
                return _reply(None, number)
            case "GET_PROPERTY":
                if params != ["combined"]:
                    return _refusal(0, "Unknown property", number)
                return _reply(client.combined, number)
            case method:
                what = f"Invalid request: unknown variant {method}, expected one of {_METHODS} at line 1 column 16"
                return _refusal(2, what, number)

    def _subscribe(self, client: _Client, names: list[str]) -> None:
        """Note every name; only those of the connection's own route will ever get a frame."""
        for name in names:
            if name in client.streams:
                continue
            client.streams[name] = None
            if route_of(name) == client.route:
                readers = self._readers.setdefault(name, {})
                if not readers:
                    self.content.open(name)
                readers[client] = None

    def _unsubscribe(self, client: _Client, names: list[str]) -> None:
        for name in names:
            client.streams.pop(name, None)
            readers = self._readers.get(name)
            if readers is not None and readers.pop(client, client) is None and not readers:
                del self._readers[name]
                self.content.close(name)

    # -- REST ---------------------------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        query, path = dict(request.query), request.path
        address = request.remote or ""
        wall_ms = int(self._clock() * 1000)
        try:
            used = self._budget.spend(address, weight(path, query), wall_ms)
            self._perhaps_refuse(address, wall_ms)
            body, status = await self._answer(path, query, wall_ms), 200
        except ApiError as refusal:
            body, status = refusal.body, refusal.status
            self.stats.refused += status in {418, 429}
            used = self._budget.used(address, wall_ms)
        late = self.options.faults.find("snapshot-late")
        if late and path.endswith("/depth"):
            await asyncio.sleep(late.value / 1000)
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    async def _answer(self, path: str, query: Query, wall_ms: int) -> str:
        """A market that is computed in steps, and late under load, still has a clock that goes right."""
        if path == "/fapi/v1/time" and not self.options.replay:
            return f'{{"serverTime":{wall_ms}}}'
        return await self.content.answer(path, query)

    def _perhaps_refuse(self, address: str, wall_ms: int) -> None:
        if self._hit(self.options.faults.find("http-418")):
            self._budget.ban(address, wall_ms)
            self._budget.spend(address, 0, wall_ms)
        if self._hit(self.options.faults.find("http-429")):
            raise self._budget.too_many(address)
        if self._hit(self.options.faults.find("http-5xx")):
            raise ApiError(-1008, "Server is currently overloaded with other requests. Please try again later.", 503)

    def _hit(self, fault: Fault | None) -> bool:
        return fault is not None and self._random.random() < fault.value


@dataclass(slots=True, eq=False)
class _Client:
    """One websocket connection. `route` is None on addresses without one, which carry nothing but /public."""

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

    def unread(self) -> int:
        return self.transport.get_write_buffer_size()


def websocket_frame(text: str) -> bytes:
    """One unmasked text frame; whole steps of them go to a transport in one write."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def _address(request: web.Request) -> tuple[str, str | None, list[str]]:
    """Route, mode (None: no such address) and first streams of a websocket address."""
    parts = request.match_info["path"].split("/")
    route = parts.pop(0) if parts[0] in {"public", "market", "private"} else "public"
    mode = parts.pop(0) if parts and parts[0] in {"ws", "stream"} else None
    if mode == "stream":
        parts = request.query.get("streams", "").split("/")
    return route, mode, [name for name in parts if name]


def _reply(result: object, number: object) -> str:
    return json.dumps({"result": result, "id": number}, separators=(",", ":"), ensure_ascii=False)


def _refusal(code: int, message: str, number: object) -> str:
    return json.dumps({"code": code, "msg": message, "id": number}, separators=(",", ":"), ensure_ascii=False)
