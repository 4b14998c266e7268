"""The server side of a websocket, with one thing more than uvicorn's own: it can be cut.

Closing a transport waits until what is buffered has been sent; to a client that never reads, that is for ever.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT = "tapewatch.abort"


class CuttableWebSocket(WebSocketsSansIOProtocol):
    """Give as ``ws=`` to uvicorn; `abort_of` then finds the way to cut a connection in its scope."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][ABORT] = {"abort": self.transport.abort}


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """How to cut this connection, where the server can."""
    extension = scope.get("extensions", {}).get(ABORT)
    return None if extension is None else extension["abort"]
