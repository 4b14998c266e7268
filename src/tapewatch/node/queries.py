"""Asks the process that answers from stored data: one question at a time, few may wait, none takes for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import sys
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import StoreConfig
from ..model.errors import NotReadyError, TapewatchError, UsageError
from ..model.instrument import Instrument
from ..model.views import Footprint
from ..store.query import LENGTH, Place, Refusal, packed

log = logging.getLogger(__name__)

MAX_WAITING = 8
"""Questions that wait or are being answered; the next one is refused with 503."""
ANSWER_WITHIN_S = 30.0
"""Then its process is ended, whatever it is doing; the next question starts another one."""


class Queries:
    """Stored data for the API. The process is started by the first question."""

    def __init__(self, config: StoreConfig) -> None:
        self._place = Place(str(config.data_path), config.url)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def footprint(
        self, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
    ) -> Footprint | None:
        """Stored candles that open in `[start_ms, end_ms)`; None where nothing is stored of the symbol."""
        shown: Footprint | None = await self._ask("footprint", venue, symbol, tf_ms, step, start_ms, end_ms)
        return shown

    async def liquidations(
        self, venue: str, symbol: str | None, before_ms: int, newest: int
    ) -> tuple[list[Instrument], NDArray[np.void]]:
        """The newest stored liquidations before a time, oldest first, and the instruments that they count."""
        found: tuple[list[Instrument], NDArray[np.void]] = await self._ask(
            "liquidations", venue, symbol, before_ms, newest
        )
        return found

    async def _ask(self, name: str, *arguments: object) -> Any:
        if self._waiting >= MAX_WAITING:
            raise NotReadyError(f"{MAX_WAITING} questions about stored data are waiting already; try again soon")
        self._waiting += 1
        try:
            async with self._turn:
                answer = await self._answered(packed((name, arguments)))
        finally:
            self._waiting -= 1
        if isinstance(answer, Refusal):
            raise (UsageError if answer.usage else TapewatchError)(answer.sentence)
        return answer

    async def _answered(self, question: bytes) -> Any:
        """Put a question to the process. Whoever is cancelled or too late leaves no half answer: the process ends."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                process = self._process or await self._start()
                if process.stdin is None or process.stdout is None:
                    raise TypeError("standard input and output of the process are not pipes")
                process.stdin.write(question)
                await process.stdin.drain()
                (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                return pickle.loads(await process.stdout.readexactly(size))  # noqa: S301  our own process
        except TimeoutError:
            await self.close()
            raise NotReadyError(f"stored data did not answer within {ANSWER_WITHIN_S:g} s; ask for less") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            log.warning("query_process_died reason=%r", str(error))
            raise NotReadyError("the process that reads stored data has died; it is started again") from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapewatch", "query"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        if self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(self._place) + b"\n")
        return self._process

    async def close(self) -> None:
        """End the process; it only reads, so it is simply killed."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
