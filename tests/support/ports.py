"""A port that nobody listens on and nobody else is given."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections until a server of this test listens on it.

    One that was only free a moment ago may be another test's by now.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers have it, so that one can join
        keeper.bind(("127.0.0.1", 0))
        yield int(keeper.getsockname()[1])
