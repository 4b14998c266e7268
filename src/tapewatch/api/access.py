"""The door: who may ask (contract section 7), and the headers every answer carries.

Without a token only this machine may ask: the Host header must name loopback, so that a foreign page cannot reach us
under a name of its own (DNS rebinding). With a token every route and websocket but /health wants it: as
``Authorization: Bearer``, as ``?token=``, or as the cookie that opening the page with ``?token=`` leaves. In both cases
a page of another origin is refused unless its origin is listed.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from .problems import problem

OPEN_PATHS = frozenset({"/health"})
PAGE_PATHS = frozenset({"/", "/docs"})
"""Opened by people: a token in their address becomes a cookie and leaves the address bar."""
COOKIE = "tapewatch_access"
COOKIE_SECONDS = 30 * 24 * 3600

SECURITY_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # 'unsafe-eval' lets a browser test wait for an expression (the contract's window.__app); the page itself uses none.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody stays outside."""

    status: int
    detail: str


class Door:
    """ASGI middleware around everything."""

    def __init__(
        self, app: ASGIApp, *, token: str, allowed_origins: tuple[str, ...], max_body_bytes: int, answers: Counter[int],
        larger_bodies: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        """`larger_bodies`: paths whose requests may have more bytes than `max_body_bytes`, and how many."""
        self._app = app
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"tapewatch page", hashlib.sha256).hexdigest()
        self._origins = frozenset(map(_origin_key, allowed_origins))
        self._hosts = frozenset(urlsplit(origin).netloc.lower() for origin in allowed_origins)
        self._max_body_bytes = max_body_bytes
        self._larger_bodies = larger_bodies or {}
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        shown = _take_token(scope)
        listed = _origin_key(headers.get("origin", "")) in self._origins
        send = self._dressed(headers, send, listed=listed)
        refusal = self._refusal(scope, headers, shown, listed=listed)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "http" and listed and scope["method"] == "OPTIONS":
            await Response(status_code=204)(scope, receive, send)
        elif self._token and shown and scope["type"] == "http" and scope["path"] in PAGE_PATHS:
            await self._enter(scope, receive, send)
        else:
            try:
                await self._app(scope, _bounded(receive, self._body_bytes(scope)), send)
            except Exception:
                self._answers[500] += 1  # answered further out, by the server's own last resort
                raise

    # -- who may ask --------------------------------------------------------------------------------------------

    def _refusal(self, scope: Scope, headers: Headers, shown: str, *, listed: bool) -> Refusal | None:
        host = headers.get("host", "").lower()
        if not self._token and not (_is_loopback(host) or host in self._hosts):
            return Refusal(421, f"this server answers to localhost only, not to {host[:80]!r}")
        foreign = self._foreign(scope, headers, host)
        if foreign and not listed:
            return Refusal(403, f"requests from {foreign[:80]} are refused; list it in server.allowed_origins")
        preflight = scope["type"] == "http" and scope["method"] == "OPTIONS" and listed
        if self._token and scope["path"] not in OPEN_PATHS and not preflight and not self._knows(headers, shown):
            return Refusal(401, "the access token is missing or wrong; send it as Authorization: Bearer or ?token=")
        if int(_digits(headers.get("content-length", "0"))) > self._body_bytes(scope):
            return Refusal(413, f"a request may have {_size(self._body_bytes(scope))} at most")
        return None

    def _body_bytes(self, scope: Scope) -> int:
        return self._larger_bodies.get(scope["path"], self._max_body_bytes)

    @staticmethod
    def _foreign(scope: Scope, headers: Headers, host: str) -> str:
        """The other place a browser says this request comes from; empty when it comes from our page or no page."""
        origin = headers.get("origin")
        if origin is not None:
            scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
            # Behind a TLS proxy our own scheme is http while the page's is https: host and port decide.
            own = (_origin_key(f"{scheme}://{host}"), _origin_key(f"https://{host}"))
            return "" if _origin_key(origin) in own else origin
        site = headers.get("sec-fetch-site", "none")
        if site in ("none", "same-origin") or headers.get("sec-fetch-mode") == "navigate":
            return ""
        return f"another site ({site})"

    def _knows(self, headers: Headers, shown: str) -> bool:
        """Whether the token was shown in one of its three forms; compared in constant time."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(bearer.strip().encode(), self._token):
            return True
        if shown and hmac.compare_digest(shown.encode(), self._token):
            return True
        return hmac.compare_digest(_cookie(headers).encode(), self._cookie.encode())

    # -- what answers carry -------------------------------------------------------------------------------------

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn the token in a page's address into a cookie; the token itself is not kept in the browser."""
        query = scope["query_string"].decode("latin-1")
        response = Response(status_code=303, headers={"Location": scope["path"] + (f"?{query}" if query else "")})
        response.set_cookie(
            COOKIE,
            self._cookie,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
        )
        await response(scope, receive, send)

    def _dressed(self, request: Headers, send: Send, *, listed: bool) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answers[message["status"]] += 1
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if listed:
                    headers["Access-Control-Allow-Origin"] = request["origin"]
                    headers["Access-Control-Allow-Methods"] = "GET"
                    headers["Access-Control-Allow-Headers"] = "Authorization"
                    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                headers.add_vary_header("Origin")
            await send(message)

        return dressed


def _take_token(scope: Scope) -> str:
    """Take ``token`` out of the query: neither handlers nor logs see it."""
    query = scope["query_string"]
    if b"token=" not in query:
        return ""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "token"]).encode()
    return next((value for name, value in pairs if name == "token"), "")


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _origin_key(origin: str) -> str:
    """Scheme, host and port in one spelling."""
    try:
        parts = urlsplit(origin.lower())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return origin
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _size(count: int) -> str:
    """Bytes as people say them; limits are powers of two or nearly."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() and len(text) < 16 else "0" if not text else "9" * 15


def _bounded(receive: Receive, most: int) -> Receive:
    """Count the body as it comes: a chunked request has no length to look at before."""
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return {"type": "http.disconnect"} if got > most else message

    return bounded


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem document; a websocket's handshake too, instead of opening it."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
    response = problem(refusal.status, refusal.detail, scope["path"], headers)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
