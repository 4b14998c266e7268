"""Which proxy leads to a venue: what the environment says, the same for REST and websockets."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_SCHEME = {"ws": "http", "wss": "https"}


def proxy_for(url: str) -> str | None:
    """The proxy for `url` from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; never one for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_here(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(_SCHEME.get(parts.scheme, parts.scheme)) or proxies.get("all")


def _is_here(host: str) -> bool:
    """A simulated venue on loopback is not behind the company's proxy, whatever NO_PROXY forgets."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
