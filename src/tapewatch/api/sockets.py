"""The websockets: who is let in, what is heard, and the protocol of /ws/stream (docs/stream.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from ..config import LimitsConfig
from ..hub.hub import Client, Hub
from ..hub.requests import Catalogue, Request
from ..model.errors import NotReadyError, TapewatchError, UsageError
from .numbers import now_ms, to_json
from .orderflow import orderflow_request
from .problems import problem
from .top import top_request
from .transport import Framing, line_of
from .view import VenueView

log = logging.getLogger(__name__)

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
REASON_BYTES = 123
"""What a close frame has room for."""
PATIENCE_S = 20.0
"""How long a message may wait for a client that does not read before the client is cut."""
OPS_PER_S = 50.0
OPS_BURST = 200.0
"""Messages a client may send: a page that opens 64 panels at once is fine, a flood is not."""
MAX_FAULTS = 20
"""Messages that are no commands after which a client is closed; a refused subscription is not one of them."""


class Command(Struct):
    """What a client of /ws/stream may say."""

    op: str
    id: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    topic: str = ""
    params: dict[str, Any] = {}
    t: Any = None


def install(
    app: FastAPI, hub: Hub, venues: Mapping[str, VenueView], catalogue: Catalogue, limits: LimitsConfig
) -> None:
    """Add the websocket routes."""
    door = _Entrance(hub, limits)

    @app.websocket("/ws/orderflow")
    async def orderflow(socket: WebSocket) -> None:
        await door.single(socket, lambda: orderflow_request(venues, dict(socket.query_params), now_ms))

    @app.websocket("/ws/stream")
    async def stream(socket: WebSocket) -> None:
        if await door.admits(socket):
            await socket.accept()
            client = door.client(socket)
            await _listen(socket, client, _Stream(socket, client, catalogue, limits).on_text)

    @app.websocket("/ws/{symbol}")
    async def top(socket: WebSocket, symbol: str) -> None:
        await door.single(socket, lambda: top_request(venues, symbol, dict(socket.query_params), now_ms))


class _Entrance:
    """Lets clients in, as many as are allowed."""

    def __init__(self, hub: Hub, limits: LimitsConfig) -> None:
        self._hub = hub
        self._limits = limits
        self._framing = Framing()

    async def admits(self, socket: WebSocket) -> bool:
        """Whether there is room for one more client; if not, the handshake is answered with 503."""
        if len(self._hub.clients) < self._limits.clients:
            return True
        detail = f"{self._limits.clients} clients are connected, which is the limit (limits.clients)"
        await socket.send_denial_response(problem(503, detail, socket.url.path, {"Retry-After": "10"}))
        return False

    def client(self, socket: WebSocket) -> Client:
        """A new client of the hub, whose messages go straight to this socket's transport."""
        line = line_of(socket.scope)
        client = self._hub.connect(line)
        line.carry(self._framing, PATIENCE_S, client.flush)
        return client

    async def single(self, socket: WebSocket, request: Callable[[], Request]) -> None:
        """A socket that carries one topic; a wrong parameter closes it with a sentence."""
        if not await self.admits(socket):
            return
        await socket.accept()
        try:
            asked = request()
        except TapewatchError as error:
            code = TRY_AGAIN_LATER if isinstance(error, NotReadyError) else POLICY_VIOLATION
            await socket.close(code, close_reason(str(error)))
            return
        client = self.client(socket)
        try:
            client.subscribe(0, asked.key, asked.make)
        except BaseException:
            client.close()
            raise
        await _listen(socket, client, _ignore)


async def _ignore(text: str | None) -> None:
    """These sockets only speak; what a client says is dropped, at a bounded rate."""


async def _listen(socket: WebSocket, client: Client, on_text: Callable[[str | None], Awaitable[None]]) -> None:
    """Hear the client until either side ends; what it is sent, the hub writes."""
    line = line_of(socket.scope)
    try:
        await _receive(socket, on_text)
    except (WebSocketDisconnect, WebSocketDisconnected):
        pass  # the usual end: they left
    except _NuisanceError as error:
        await socket.close(POLICY_VIOLATION, str(error))
    except TimeoutError:
        line.cut()
    finally:
        if line.is_cut:
            log.warning("client_cut reason=does_not_read patience_s=%.0f skipped=%d", PATIENCE_S, client.skipped)
        client.close()


class _NuisanceError(Exception):
    """The client is closed for how it behaves; the sentence says why."""


class _ProtocolError(UsageError):
    """A message that is no command."""


async def _receive(socket: WebSocket, on_text: Callable[[str | None], Awaitable[None]]) -> None:
    """Hand over every text; None stands for a binary message. The rate is held by reading no faster."""
    loop = asyncio.get_running_loop()
    budget, then = OPS_BURST, loop.time()
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        now = loop.time()
        budget = min(OPS_BURST, budget + (now - then) * OPS_PER_S) - 1
        then = now
        if budget < 0:
            await asyncio.sleep(-budget / OPS_PER_S)  # the peer's own messages wait in its own buffers
        async with asyncio.timeout(PATIENCE_S):
            await on_text(message.get("text"))


class _Stream:
    """One connection of /ws/stream."""

    def __init__(self, socket: WebSocket, client: Client, catalogue: Catalogue, limits: LimitsConfig) -> None:
        self._socket = socket
        self._client = client
        self._catalogue = catalogue
        self._limits = limits
        self._decode = msgspec.json.Decoder(Command).decode
        self._faults = 0

    async def on_text(self, text: str | None) -> None:
        number: int | None = None
        try:
            if text is None:
                raise _ProtocolError("send JSON text; binary messages only come from the server")
            command = self._parse(text)
            number = command.id
            await self._obey(command)
        except TapewatchError as error:
            await self._reply({"op": "error", "id": number, "message": str(error)})
            if isinstance(error, _ProtocolError):
                self._fault()

    def _parse(self, text: str) -> Command:
        try:
            return self._decode(text)
        except msgspec.MsgspecError as error:
            raise _ProtocolError(f"this message cannot be read: {error}") from error

    async def _obey(self, command: Command) -> None:
        match command.op:
            case "ping":
                await self._reply({"op": "pong", "t": command.t, "server_ms": now_ms()})
            case "subscribe" if command.id is not None:
                await self._subscribe(command.id, command)
            case "unsubscribe" if command.id is not None:
                self._client.unsubscribe(command.id)
                await self._reply({"op": "unsubscribed", "id": command.id})
            case "subscribe" | "unsubscribe":
                raise _ProtocolError(f"{command.op} needs an id: the number you give this subscription")
            case _:
                raise _ProtocolError(f"unknown op {command.op[:40]!r}; allowed: subscribe, unsubscribe, ping")

    async def _subscribe(self, number: int, command: Command) -> None:
        if self._client.has(number):
            raise UsageError(f"subscription {number} is in use; unsubscribe it first or choose another number")
        if len(self._client) >= self._limits.subscriptions:
            raise UsageError(f"{self._limits.subscriptions} subscriptions are open, which is the limit")
        request = self._catalogue.request(command.topic, command.params)
        # The answer goes out first: the client routes frames by the key it learns from it.
        await self._reply({"op": "subscribed", "id": number, "key": request.key})
        self._client.subscribe(number, request.key, request.make)

    async def _reply(self, content: dict[str, Any]) -> None:
        await self._socket.send_text(to_json(content).decode())

    def _fault(self) -> None:
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            raise _NuisanceError(f"{MAX_FAULTS} messages could not be understood; see docs/stream.md")


def close_reason(sentence: str) -> str:
    """A sentence that fits a close frame, cut between words where it is longer."""
    encoded = sentence.encode()
    if len(encoded) <= REASON_BYTES:
        return sentence
    kept = encoded[: REASON_BYTES - 3].decode(errors="ignore")
    return kept.rsplit(" ", 1)[0].rstrip(",;:") + "…"
