"""A process of ours that answers questions: one at a time, few may wait, none takes for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from ..config import StoreConfig
from ..model.errors import NotReadyError
from ..store.query import LENGTH, PIECE_BYTES, Piece, Place, Progress, Refusal, packed

log = logging.getLogger(__name__)

MAX_WAITING = 8
"""Questions that wait or are being answered; the next one is refused with 503."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Matrix libraries would take every core for themselves, also the one that must not wait."""
STOPPING = "the program is stopping; ask again when it runs"


class Child:
    """``tapewatch COMMAND``, started by the first question and told on its first line where stored data are."""

    def __init__(
        self, command: str, store: StoreConfig | None, *, about: str, within_s: float, lasting: bool = True
    ) -> None:
        self._command = command
        self._place = Place("", "") if store is None else Place(str(store.data_path), store.url)
        self._about = about
        self._within_s = within_s
        """Then the process is ended, whatever it is doing; the next question starts another one."""
        self._lasting = lasting
        """Whether it stays for the next question; else it ends with each answer."""
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._stopping = False

    async def ask(
        self,
        name: str,
        *arguments: object,
        progress: Callable[[int, int], None] | None = None,
        piece: Callable[[bytes], None] | None = None,
    ) -> Any:
        """Put a question; raises the error that the answer is, or NotReadyError where none can be had now.

        `piece` is given the text that some answers come with, before them.
        """
        if self._waiting >= MAX_WAITING:
            raise NotReadyError(f"{MAX_WAITING} questions about {self._about} are waiting already; try again soon")
        self._waiting += 1
        try:
            async with self._turn:
                if self._stopping:
                    raise NotReadyError(STOPPING)
                try:
                    answer = await self._answered(packed((name, arguments)), progress, piece)
                finally:
                    if not self._lasting:
                        await self.close()
        finally:
            self._waiting -= 1
        if isinstance(answer, Refusal):
            raise answer.error()
        return answer

    @property
    def running(self) -> bool:
        """Whether the process is there; one that has died meanwhile is not."""
        return self._process is not None and self._process.returncode is None

    async def _answered(
        self,
        question: bytes,
        progress: Callable[[int, int], None] | None,
        piece: Callable[[bytes], None] | None,
    ) -> Any:
        """Whoever is cancelled or too late leaves no half answer: the process ends."""
        try:
            async with asyncio.timeout(self._within_s):
                process = self._process if self._process is not None and self.running else await self._start()
                if process.stdin is None or process.stdout is None:
                    raise TypeError("standard input and output of the process are not pipes")
                process.stdin.write(question)
                await process.stdin.drain()
                while True:
                    (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                    message = pickle.loads(await process.stdout.readexactly(size))  # noqa: S301  our own process
                    match message:
                        case Progress(done, of):
                            if progress is not None:
                                progress(done, of)
                        case Piece(text):
                            if piece is not None:
                                piece(text)
                        case _:
                            return message
        except TimeoutError:
            await self.close()
            raise NotReadyError(f"{self._about} did not answer within {self._within_s:g} s; ask for less") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            if self._stopping:
                raise NotReadyError(STOPPING) from error
            log.warning("child_process_died command=%s reason=%r", self._command, str(error))
            raise NotReadyError(f"the process that reads {self._about} has died; it is started again") from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapewatch", self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2 * PIECE_BYTES,
            start_new_session=True,
            env={**os.environ, **ONE_THREAD},
        )
        if self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(self._place) + b"\n")
        return self._process

    async def stop(self) -> None:
        """Answer no more: who waits is told so, while connections still stand."""
        self._stopping = True
        await self.close()

    async def close(self) -> None:
        """End the process; it only reads, so it is simply killed."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
