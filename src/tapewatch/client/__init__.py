"""Client of a running server: `Client` for questions, answered as polars frames, `Stream` for what changes."""

from __future__ import annotations

from .client import Book, Client, Clusters, Coverage, Cvd
from .errors import (
    AccessError,
    ClientError,
    ForeignServerError,
    NotYetError,
    RequestError,
    ServerFaultError,
    UnknownNameError,
    UnreachableError,
)
from .state import Rows, Steps
from .stream import Frame, Stream, Subscription

__all__ = [
    "AccessError", "Book", "Client", "ClientError", "Clusters", "Coverage", "Cvd", "ForeignServerError", "Frame",
    "NotYetError", "RequestError", "Rows", "ServerFaultError", "Steps", "Stream", "Subscription", "UnknownNameError",
    "UnreachableError",
]  # fmt: skip
