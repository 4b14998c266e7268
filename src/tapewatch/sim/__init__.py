"""Simulated venues: seeded markets, or a recording, behind real HTTP and websockets on loopback."""

from .binance_usdm import SimulatedBinanceUsdm
from .faults import Faults
from .market import Market
from .server import VenueOptions, VenueStats
from .simulation import warm_up
from .venues import SIMULATED, SimulatedVenues

__all__ = [
    "SIMULATED",
    "Faults",
    "Market",
    "SimulatedBinanceUsdm",
    "SimulatedVenues",
    "VenueOptions",
    "VenueStats",
    "warm_up",
]
