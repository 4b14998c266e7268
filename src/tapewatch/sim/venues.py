"""The simulated venues there are, by the name of the product, and several of them side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from .binance_spot import SimulatedBinanceSpot
from .binance_usdm import SimulatedBinanceUsdm
from .bybit_linear import SimulatedBybitLinear
from .okx_swap import SimulatedOkxSwap
from .server import SimulatedVenue, VenueOptions

SIMULATED: Mapping[str, type[SimulatedVenue]] = MappingProxyType(
    {
        "binance": SimulatedBinanceUsdm,
        "binance-spot": SimulatedBinanceSpot,
        "bybit": SimulatedBybitLinear,
        "okx": SimulatedOkxSwap,
    }
)
"""The first is the lead: the others' prices follow its market."""


class SimulatedVenues:
    """Several venues in one event loop, their prices tied together. `start` them, `serve` until one fails, `stop`."""

    def __init__(self, options: Mapping[str, VenueOptions]) -> None:
        self._options = {name: options[name] for name in SIMULATED if name in options}
        self.venues: dict[str, SimulatedVenue] = {}

    async def start(self) -> None:
        """Start one after the other: each market begins where its lead stands."""
        lead = None
        for name, options in self._options.items():
            venue = SIMULATED[name](options, lead=lead)
            self.venues[name] = venue
            await venue.start()
            lead = lead or venue.market

    async def serve(self) -> None:
        """Wait as long as they live; raises what ended one."""
        async with asyncio.TaskGroup() as tasks:
            for venue in self.venues.values():
                tasks.create_task(venue.serve())

    async def stop(self) -> None:
        for venue in reversed(self.venues.values()):
            await venue.stop()
