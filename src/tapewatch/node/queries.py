"""Stored data for the API, read in a process of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import StoreConfig
from ..model.instrument import Grid, Instrument
from ..model.views import Footprint
from .child import Child

ANSWER_WITHIN_S = 30.0


class Queries:
    """Questions about stored data."""

    def __init__(self, config: StoreConfig) -> None:
        self._child = Child("query", config, about="stored data", within_s=ANSWER_WITHIN_S)

    async def footprint(
        self, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
    ) -> Footprint | None:
        """Stored candles that open in `[start_ms, end_ms)`; None where nothing is stored of the symbol."""
        shown: Footprint | None = await self._child.ask("footprint", venue, symbol, tf_ms, step, start_ms, end_ms)
        return shown

    async def footprint_text(
        self, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
    ) -> list[bytes]:
        """The same candles as JSON, commas between, in pieces to be passed on; none where nothing is stored."""
        pieces: list[bytes] = []
        question = venue, symbol, tf_ms, step, start_ms, end_ms
        await self._child.ask("footprint_text", *question, piece=pieces.append)
        return pieces

    async def cvd(self, venue: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, Grid] | None:
        """CVD at the end of the stored minutes in `[start_ms, end_ms)` in the lots beside it; None where none is."""
        told: tuple[int, Grid] | None = await self._child.ask("cvd", venue, symbol, start_ms, end_ms)
        return told

    async def liquidations(
        self, venue: str, symbol: str | None, before_ms: int, newest: int
    ) -> tuple[list[Instrument], NDArray[np.void]]:
        """The newest stored liquidations before a time, oldest first, and the instruments that they count."""
        found: tuple[list[Instrument], NDArray[np.void]] = await self._child.ask(
            "liquidations", venue, symbol, before_ms, newest
        )
        return found

    async def close(self) -> None:
        await self._child.stop()
