"""Why a venue could not be reached, in one sentence for the person who reads it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

import aiohttp
import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding the bytes of a stranger can raise: no JSON, text that is no UTF-8, nesting without end."""


def why(error: BaseException, url: str) -> str:
    """Say what a network error means for `url`."""
    host = urlsplit(url).netloc or url
    # The cause below aiohttp's wrappers names the fault; the wrapper only repeats the address.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return f"the name {host} cannot be resolved: check the network and the venue's address"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {host} is not valid: {cause.verify_message}"
        case ssl.SSLError():
            return f"no secure connection to {host}: {cause.reason or cause}"
        case ConnectionRefusedError():
            return f"{host} refuses the connection"
        case ConnectionResetError() | BrokenPipeError() | aiohttp.ServerDisconnectedError():
            return f"{host} closed the connection without an answer"
        case TimeoutError() | asyncio.TimeoutError() | aiohttp.ServerTimeoutError():
            return f"{host} does not answer in time"
        case aiohttp.ClientPayloadError():
            return f"{host} broke off in the middle of an answer"
        case OSError() if cause.strerror:
            return f"{host} cannot be reached: {cause.strerror}"
    return f"{host} cannot be reached: {type(cause).__name__}: {cause}"


def why_refused(status: int, url: str) -> str:
    """Say what an HTTP refusal means that is not about our request."""
    host = urlsplit(url).netloc or url
    match status:
        case 451:
            return f"{host} does not serve this place (HTTP 451): use another network or another address"
        case 403:
            return f"{host} refuses this address (HTTP 403): it does not serve this place, or its firewall blocks us"
        case 418:
            return f"{host} has banned this address for too many requests (HTTP 418)"
        case 429:
            return f"{host} says the rate limit is used up (HTTP 429)"
    return f"{host} answers HTTP {status}"
