"""The simulated Binance USD-M venue: a seeded market, or a recording, behind real HTTP and websockets on loopback."""

from .binance_usdm import SimulatedBinanceUsdm, VenueOptions, VenueStats
from .faults import Faults
from .market import Market
from .simulation import warm_up

__all__ = ["Faults", "Market", "SimulatedBinanceUsdm", "VenueOptions", "VenueStats", "warm_up"]
