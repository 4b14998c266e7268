"""Where a server is, and the token that opens it."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from .errors import RequestError

DEFAULT_URL = "http://127.0.0.1:8000"
TOKEN_VARIABLE = "TAPEWATCH_SERVER__TOKEN"  # noqa: S105 - a variable's name


class Address:
    """An ``http://`` or ``https://`` base address, and the access token (else that of the environment)."""

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        parts = urlsplit(url)
        try:
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        except ValueError:  # the port is no number
            wrong = True
        if wrong or parts.query or parts.fragment:
            raise RequestError(f"{url!r} is no address of a server; write {DEFAULT_URL}")
        self.http = url.rstrip("/")
        self.token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self.local = _is_loopback(parts.hostname or "")

    @property
    def stream(self) -> str:
        """The address of the multiplexed websocket."""
        return f"ws{self.http.removeprefix('http')}/ws/stream"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def mend(self) -> str:
        """What to do where nobody answers."""
        if self.local:
            return "start it with `tapewatch run` (or `tapewatch demo`), or name another server's address"
        return "check the address, and that the server listens on more than loopback (server.host)"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
