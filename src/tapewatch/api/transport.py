"""The server side of a websocket, with two things more than uvicorn's own.

It can be cut: closing a transport waits until what is buffered has been sent, and to a client that never reads that
is for ever. And a handshake that was answered with a refusal counts as answered, not as an error of ours in the log.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT = "tapewatch.abort"


class CuttableWebSocket(WebSocketsSansIOProtocol):
    """Give as ``ws=`` to uvicorn; `abort_of` then finds the way to cut a connection in its scope."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][ABORT] = {"abort": self.transport.abort}

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """How to cut this connection, where the server can."""
    extension = scope.get("extensions", {}).get(ABORT)
    return None if extension is None else extension["abort"]
