"""The sealer's process, started beside the node and started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

import msgspec

from ..config import StoreConfig
from ..store import heap
from ..store.sealer import Status, Task

log = logging.getLogger(__name__)

RESTART_S = (1.0, 30.0)
"""First and longest wait before a sealer that died is started again."""
STOP_WITHIN_S = 10.0
"""Sealing one file takes a second or two. One that takes longer is killed, which costs nothing but doing it again."""


class Sealing:
    """Keeps one sealer running; what it last said of itself is `status`."""

    def __init__(self, config: StoreConfig) -> None:
        self._task = Task(str(config.data_path), config.url, config.retention_s, config.max_bytes)
        self.status = Status()
        self.restarts = 0
        self.caught_up = asyncio.Event()
        """Set when all files that a start found have been sealed: stored data then reach up to that start."""

    async def run(self) -> None:
        """Run until cancelled."""
        wait_s = RESTART_S[0]
        while True:
            sealed = self.status.files
            code = await self._once()
            wait_s = RESTART_S[0] if self.status.files > sealed else min(2 * wait_s, RESTART_S[1])
            self.restarts += 1
            log.warning("sealer_died code=%s restart_in_s=%.0f", code, wait_s)
            await asyncio.sleep(wait_s)

    async def _once(self) -> int | None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapewatch", "seal"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **heap.ENVIRONMENT},
            start_new_session=True,  # Ctrl+C reaches only us, and we end it in order
        )
        if process.stdin is None or process.stdout is None:
            raise TypeError("the sealer's standard input and output are not pipes")
        try:
            process.stdin.write(msgspec.json.encode(self._task) + b"\n")  # no argument: an address may hold a password
            while line := await process.stdout.readline():
                self.status = msgspec.json.decode(line, type=Status)
                if self.status.caught_up:
                    self.caught_up.set()
            return await process.wait()
        finally:
            await _stop(process, process.stdin)


async def _stop(process: asyncio.subprocess.Process, stdin: asyncio.StreamWriter) -> None:
    if process.returncode is not None:
        return
    stdin.close()  # which it watches, so that it ends too when we are killed without a word
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
