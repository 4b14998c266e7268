"""Instruments of a recording whose venue tells everything of them in its list: Bybit and OKX.

Their lists are in the recording itself, and their quantities cannot be read without (OKX counts contracts).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model.channel import Channel
from ..model.errors import UsageError, VenueError
from ..model.instrument import Instrument, Universe
from ..venues.bybit_linear_rest import parse_instruments as parse_bybit
from ..venues.okx_swap_rest import parse_instruments as parse_okx
from ..venues.product import Product
from .captures import Record

_LISTS: dict[str, tuple[str, Callable[[bytes], list[Instrument]]]] = {
    "bybit": ("instruments-info", parse_bybit),
    "okx": ("instruments", lambda body: parse_okx(body, types=("linear", "inverse", ""))),
}
"""Last part of the list's address, and how all that could have been recorded is read from it."""


def has_list(product: Product) -> bool:
    return product.name in _LISTS


def listed_instruments(records: Sequence[Record], product: Product) -> tuple[Universe, set[str]]:
    """The instruments that frames name, as the recorded lists describe them, and those whose books were recorded."""
    endpoint, parse = _LISTS[product.name]
    listed: dict[str, Instrument] = {}
    named: set[str] = set()
    books: set[str] = set()
    for record in records:
        if record.endpoint == endpoint:
            try:
                listed.update((one.symbol, one) for one in parse(record.payload))
            except VenueError:
                continue  # a refusal was recorded; another answer has the list, or what follows says that none has
        elif not record.url and (stream := product.stream_of(record.payload[:160])) is not None:
            symbol, channel = stream
            named.add(symbol)
            if channel is Channel.DEPTH:
                books.add(symbol)
    if named and not named & listed.keys():
        raise UsageError(f"the recording of {product.title} holds no list of instruments: nothing can be read exactly")
    return Universe(product.name, [listed[name] for name in sorted(named & listed.keys())]), books & listed.keys()
