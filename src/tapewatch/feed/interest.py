"""Open interest where a venue tells it only to who asks, a symbol at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from ..model.errors import FrameError
from ..model.interest import OpenInterest
from .rest import RestError, VenueRest
from .sink import Sink

log = logging.getLogger(__name__)

ROUND_S = 300.0
"""All symbols once in so long: of 550, two requests of weight 1 a second, not a tenth of what the minute allows."""
FIRST_ROUND_S = 60.0
"""The first time: a panel should not have to wait for its figures."""


class InterestPoller:
    """Tells the sink every symbol's open interest, the most traded first, round after round."""

    def __init__(self, rest: VenueRest, sink: Sink, read: Callable[[bytes], OpenInterest]) -> None:
        self._rest = rest
        self._sink = sink
        self._read = read
        self._symbols: list[str] = []
        self._followed = asyncio.Event()

    def follow(self, symbols: Iterable[str], volume: Mapping[str, float]) -> None:
        """These are the instruments from now on."""
        self._symbols = sorted(symbols, key=lambda symbol: -volume.get(symbol, 0.0))
        if self._symbols:
            self._followed.set()
        else:
            self._followed.clear()

    async def run(self) -> None:
        """Ask for ever. What a venue refuses is asked again in the next round; the figures tell their own age."""
        for number in count():
            await self._followed.wait()
            failures = await self._round(list(self._symbols), FIRST_ROUND_S if number == 0 else ROUND_S)
            if failures:
                log.warning("open_interest_unknown symbols=%d reason=%r", len(failures), failures[0])

    async def _round(self, symbols: list[str], length_s: float) -> list[str]:
        """Ask for each, evenly; returns the sentences of what failed."""
        failures: list[str] = []
        for symbol in symbols:
            try:
                self._sink.on_interest(self._read(await self._rest.open_interest(symbol)))
            except (RestError, FrameError) as error:
                failures.append(f"{symbol}: {error}")
            await asyncio.sleep(length_s / len(symbols))
        return failures
