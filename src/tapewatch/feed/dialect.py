"""What the feed has to know of one product beyond its data sheet: how its sockets and its REST are spoken to.

`driver.VenueFeed` does all the rest: instruments, sockets, watchdog, books, averages, backfill, clock. A dialect is an
object of this kind in a file of the product's own, ``feed/<product>.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..venues.product import Product
from .plan import Offer
from .rest import VenueRest
from .wire import Wire


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one product is spoken to."""

    product: Product
    rest: type[VenueRest]
    wire: Wire
    offer: Offer
    path: Callable[[str], str]
    """What stands behind ``ws_url`` for a route of `offer`."""
    connect_every_s: float = 0.0
    """No two connections are begun within so long."""
    last_trade_ids: Callable[[bytes], list[tuple[str, int]]] | None = None
    """Symbol and newest trade id of each row of a frame with 24 h figures of the whole market: they testify against a
    silent trade stream. None where the venue tells none; then such a stream is judged by its own rate."""
    liquidation_mark: bytes | None = None
    """Where, in a message with liquidations, that begins which tells two of them apart (see `taps.LiquidationsOnce`);
    None where the venue has no liquidations."""
