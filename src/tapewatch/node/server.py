"""The HTTP and websocket server, in the same event loop as everything else."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from ..api.transport import HTTP_CONNECTIONS, Line, PromptHttp
from ..config import LimitsConfig
from ..model.errors import TapewatchError

BACKLOG = 512
GRACE_S = 3
"""Seconds that open requests get when we stop."""


def bind(host: str, port: int) -> socket.socket:
    """Take the address before anything else starts, so that a port in use is said at once and in one sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio does not see that Nagle's delay (40 ms an answer) can be turned off on what it accepts.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)  # two programs can bind one port as long as neither listens
    except (OSError, UnicodeError) as error:
        listener.close()
        raise TapewatchError(_why_not(host, port, error)) from error
    listener.set_inheritable(False)
    return listener


def _why_not(host: str, port: int, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another program; choose another with --port or stop that program"
    if code == errno.EACCES:
        return f"port {port} needs more rights than this user has; choose one of 1024 or above with --port"
    return f"cannot listen on {host}: {error.strerror if isinstance(error, OSError) else error}; check server.host"


def url_of(listener: socket.socket) -> str:
    """The address to open in a browser."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}/"


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the node decides when to stop, and stops it with everything else."""

    def __init__(self, app: Any, limits: LimitsConfig) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                http=PromptHttp,
                limit_concurrency=limits.clients + HTTP_CONNECTIONS,
                ws=Line,
                ws_max_size=limits.request_bytes,
                # Binary columns to loopback or a LAN: compressing them costs more than it saves.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True

    async def stop_when(self, stop: asyncio.Event, *first: Callable[[], Awaitable[None]]) -> None:
        """Stop as soon as `stop` is set; what is called `first` lets requests end that would be cut otherwise."""
        await stop.wait()
        for ending in first:
            await ending()
        self.stop()
