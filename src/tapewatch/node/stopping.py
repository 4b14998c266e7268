"""When to stop: Ctrl+C, SIGTERM, and, for a child process, the end of its standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def stop_signals(*, stdin_too: bool = False) -> AsyncIterator[asyncio.Event]:
    """An event that is set when this process is asked to end; what follows is up to whoever waits for it."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if sys.platform == "win32":
        for number in SIGNALS:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    else:
        for number in SIGNALS:
            loop.add_signal_handler(number, stop.set)
    watched = stdin_too and _stdin_is_pipe()
    pipe = await loop.connect_read_pipe(lambda: _UntilEnd(stop), sys.stdin) if watched else None
    try:
        yield stop
    finally:
        if pipe is not None:
            pipe[0].close()
        if sys.platform != "win32":
            for number in SIGNALS:
                loop.remove_signal_handler(number)


def _stdin_is_pipe() -> bool:
    """Whether a parent holds the other end: not where a service manager or a shell put /dev/null or a file there."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class _UntilEnd(asyncio.Protocol):
    """Nothing is ever written to us: the pipe ends when our parent does."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, _exc: Exception | None) -> None:
        self._stop.set()
