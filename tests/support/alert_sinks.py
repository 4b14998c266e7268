"""Real servers that alerts are sent to: HTTP that answers as it is told, and mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

Answer = Callable[[int], web.Response]
"""What is answered to the n-th request, from 1 on."""


def ok(_: int) -> web.Response:
    return web.Response()


@dataclass
class Receiver:
    """An HTTP server; every request is kept as it came."""

    answer: Answer = ok
    url: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hanging: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def keys(self) -> list[str]:
        return [header["Idempotency-Key"] for header in self.headers]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.got.append(await request.json())
        self.headers.append(request.headers)
        self.paths.append(request.path)
        self.came.set()
        if self.hanging:
            await asyncio.Event().wait()
        return self.answer(len(self.got))

    async def received(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.got) < count:
            self.came.clear()
            await self.came.wait()


@asynccontextmanager
async def receiver(answer: Answer = ok, *, hanging: bool = False, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """An HTTP server on loopback."""
    one = Receiver(answer, hanging=hanging)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    one.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@dataclass
class Mailbox:
    """A mail server's handler that keeps what it takes."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    refusals: int = 0
    """So many mails are refused first."""

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=default))
        return "250 taken"


@asynccontextmanager
async def mail_server(refusals: int = 0) -> AsyncIterator[Mailbox]:
    """A mail server on loopback."""
    box = Mailbox(refusals=refusals)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, hostname="test"), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
