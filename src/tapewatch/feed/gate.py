"""Who may open a connection now: a venue that comes back is not met by all sockets at the same moment."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Gate:
    """Lets `at_a_time` handshakes happen side by side and begins no two within `every_s`. Use as `async with`."""

    def __init__(self, at_a_time: int, every_s: float = 0.0) -> None:
        self._places = asyncio.Semaphore(at_a_time)
        self._every_s = every_s
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def __aenter__(self) -> None:
        await self._places.acquire()
        try:
            async with self._turn:
                loop = asyncio.get_running_loop()
                await asyncio.sleep(max(0.0, self._next - loop.time()))
                self._next = loop.time() + self._every_s
        except asyncio.CancelledError:
            self._places.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()
