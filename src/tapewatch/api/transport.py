"""The server side of connections, with what uvicorn's own does not do.

A websocket can be written to directly: what the hub has built once goes to every client's transport as the same bytes,
without a task, a queue or a copy for each. A client that does not read is cut: closing a transport waits until what is
buffered has been sent, and to such a client that is for ever. A handshake that was answered with a refusal counts as
answered, not as an error of ours in the log. And a connection has to say within seconds what it wants.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import h11
from starlette.types import Scope
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from ..hub.hub import Payload, Payloads

REQUEST_WITHIN_S = 10.0
"""How long a connection may take to send the head of a request."""
HTTP_CONNECTIONS = 256
"""Connections beside the websockets; one more is closed as it comes."""

_LINE = "tapewatch.line"
_TEXT, _BINARY = 0x81, 0x82
"""First byte of a whole message in one frame, RFC 6455 section 5.2."""

log = logging.getLogger(__name__)


class Framing:
    """Websocket frames of messages. The newest are kept: all clients of a topic get the same ones."""

    def __init__(self) -> None:
        self.payloads: Payloads = ()
        self.octets = b""

    def __call__(self, payloads: Payloads) -> bytes:
        if payloads is not self.payloads:
            self.payloads, self.octets = payloads, b"".join(map(_frame, payloads))
        return self.octets


def _frame(payload: Payload) -> bytes:
    first, body = (_TEXT, payload.encode()) if isinstance(payload, str) else (_BINARY, payload)
    size = len(body)
    if size < 126:
        return bytes((first, size)) + body
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + body
    return bytes((first, 127)) + size.to_bytes(8, "big") + body


class _Tap:
    """All that an update needs of a line, side by side in memory: a thousand of them are walked at once."""

    __slots__ = ("_line", "framing", "is_open", "write")

    def __init__(self, line: Line, write: Callable[[bytes], None]) -> None:
        self._line = line
        self.framing = Framing()
        self.is_open = False
        """The transport takes more, and neither side is leaving."""
        self.write = write

    def send_all(self, payloads: Payloads) -> bool:
        if not self.is_open:
            return self._line.ready  # whoever leaves needs nothing any more
        framing = self.framing
        self.write(framing.octets if payloads is framing.payloads else framing(payloads))
        return True


class Line(WebSocketsSansIOProtocol):
    """One websocket; give as ``ws=`` to uvicorn. Once `carry` was called it is an `Outlet` of the hub."""

    is_cut = False
    """The client did not read for longer than our patience."""
    ready = True
    """Whether its transport takes more: what the base class keeps in an event, without a call for each client."""
    _tap: _Tap
    _close_sent = False
    _on_ready: Callable[[], None] | None = None
    _patience_s = 0.0
    _patience: asyncio.TimerHandle | None = None

    @property
    def send_all(self) -> Callable[[Payloads], bool]:
        return self._tap.send_all

    @property
    def close_sent(self) -> bool:
        return self._close_sent

    @close_sent.setter
    def close_sent(self, sent: bool) -> None:
        self._close_sent = sent
        if sent:
            self._tap.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._tap = _Tap(self, self.transport.write)

    def carry(self, framing: Framing, patience_s: float, on_ready: Callable[[], None]) -> None:
        """Take what the hub sends from now on; `on_ready` is called when the client reads again after a pause."""
        self._tap.framing, self._patience_s, self._on_ready = framing, patience_s, on_ready
        if self.ready:
            self._tap.is_open = not self._close_sent
        else:
            self.pause_writing()

    def pause_writing(self) -> None:
        self.ready = self._tap.is_open = False
        super().pause_writing()
        if self._on_ready is not None and self._patience is None:
            self._patience = self.loop.call_later(self._patience_s, self.cut)

    def resume_writing(self) -> None:
        self.ready = True
        super().resume_writing()
        self._forget_patience()
        if self._on_ready is not None:
            self._tap.is_open = not self._close_sent
            self._on_ready()

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_ready = None
        self._tap.is_open = False
        self.ready = True  # nobody waits for one who has left
        self._forget_patience()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection without waiting for what the client has not read."""
        self.is_cut = True
        self.transport.abort()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][_LINE] = {"line": self}

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True


def line_of(scope: Scope) -> Line:
    """The websocket that a request came over."""
    line = scope["extensions"][_LINE]["line"]
    if not isinstance(line, Line):
        raise TypeError("websockets are served by tapewatch.node.server alone")
    return line


class PromptHttp(H11Protocol):
    """HTTP for those who say what they want: heads that never end and connections without number are cut."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            log.warning("connection_refused limit=%d", self.limit_concurrency)
            transport.abort()
        else:
            self._expect_head()

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._expect_head()
        else:
            self._forget_patience()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._forget_patience()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_patience()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_WITHIN_S, self.transport.abort)

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
