"""Real servers that alerts are sent to: HTTP that answers as it is told, and mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from ssl import SSLContext
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

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
    hung: list[asyncio.Transport] = field(default_factory=list)
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
            assert isinstance(request.transport, asyncio.Transport)
            self.hung.append(request.transport)
            await asyncio.Event().wait()
        return self.answer(len(self.got))

    def mend(self) -> None:
        """Answer from now on, and let go of whom it has kept waiting."""
        self.hanging = False
        for transport in self.hung:
            transport.abort()

    async def received(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.got) < count:
            self.came.clear()
            await self.came.wait()


@asynccontextmanager
async def receiver(
    answer: Answer = ok, *, hanging: bool = False, host: str = "127.0.0.1", tls: SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """An HTTP server on loopback."""
    one = Receiver(answer, hanging=hanging)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    one.url = f"http{'s' if tls else ''}://{host}:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


USER, PASSWORD = "tape", "open sesame"


@dataclass
class Mailbox:
    """A mail server's handler that keeps what it takes."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    """Of each mail, whether its line was."""
    refusals: int = 0
    """So many mails are refused first."""

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        content = envelope.content
        assert isinstance(content, bytes)
        assert server.transport is not None
        self.mails.append(message_from_bytes(content, policy=default))
        self.encrypted.append(server.transport.get_extra_info("cipher") is not None)
        return "250 taken"


def _knows(_: SMTP, __: Session, ___: Envelope, ____: str, given: Any) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@asynccontextmanager
async def mail_server(
    refusals: int = 0, *, starttls: SSLContext | None = None, tls: SSLContext | None = None
) -> AsyncIterator[Mailbox]:
    """A mail server on loopback; one with a certificate takes mail of `USER` only, and over an encrypted line."""
    box = Mailbox(refusals=refusals)

    def greet() -> SMTP:
        if starttls is None and tls is None:
            return SMTP(box, hostname="test")
        return SMTP(
            box,
            hostname="test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=_knows,
            auth_required=starttls is not None,
            auth_require_tls=starttls is not None,  # with implicit TLS the server does not know of it
        )

    server = await asyncio.get_running_loop().create_server(greet, "127.0.0.1", 0, ssl=tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
