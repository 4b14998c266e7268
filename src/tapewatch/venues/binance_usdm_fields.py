"""Fields of Binance USD-M messages: what the compiled decoder and the general one accept in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import leaf
from .scan import FAIL, Symbols, read_new_shape, read_quantity, read_shaped, shape_of
from .words import byte_at

_QUOTE = ord('"')
EARLIEST_MS = 1_483_228_800_000
LATEST_MS = 4_102_444_800_000
"""Times outside 2017..2100 are seconds, microseconds or nonsense."""
MAX_SKEW_MS = 24 * 3600 * 1000
"""An event time further than this from our receive time would poison every clock behind it."""
MAX_AHEAD_MS = 1_000
MAX_BEHIND_MS = 60_000
"""A message is pushed after what it tells (E - T), and soon: raw messages in milliseconds, liquidations in a second.
One garbled time would else move a clock into the future and silence every window until the market gets there."""
MAX_UNITS = 2**58
"""A notional beyond this, in ticks x lots, is nonsense, and sums of such would leave 64 bits."""
MAX_TICKS = 2**52
"""A price beyond this has no page in a ladder."""
MAX_LEVELS = 20_000
COIN_MARGINED = 2


@leaf
def price_of(buf: NDArray[np.uint8], p: int, symbols: Symbols, i: int) -> tuple[int, int]:
    """A quoted price as a whole number of the instrument's ticks. The symbol has to come before it, as it does."""
    if i < 0:
        return FAIL, np.int64(0)
    known = symbols.known[np.uint64(i)]
    shape = shape_of(known)
    end = p + 1 + shape.length
    value = np.int64(FAIL)
    if shape.length and byte_at(buf, p) == _QUOTE and byte_at(buf, end) == _QUOTE:
        value = read_shaped(buf, p + 1, shape)
    if value == FAIL:
        end, value = read_new_shape(buf, p, known)
        return in_units(end, value, known.tick_units)
    return in_units(end + 1, value, known.tick_units)


@leaf
def quantity_of(buf: NDArray[np.uint8], p: int, symbols: Symbols, i: int) -> tuple[int, int]:
    """A quoted quantity as a whole number of the instrument's lots."""
    if i < 0:
        return FAIL, np.int64(0)
    known = symbols.known[np.uint64(i)]
    p, value = read_quantity(buf, p, known.lot_decimals)
    return in_units(p, value, known.lot_units)


@leaf
def in_units(p: int, value: int, units: int) -> tuple[int, int]:
    if units != 1:
        if value % units:
            return FAIL, np.int64(0)
        value //= units
    return p, value


@leaf
def time_ok(ms: int, recv_ns: int) -> bool:
    # Unsigned: to divide is a multiplication then, and no second one that looks whether a rest was negative.
    received_ms = np.int64(np.uint64(recv_ns) // np.uint64(1_000_000))
    return EARLIEST_MS < ms < LATEST_MS and abs(ms - received_ms) <= MAX_SKEW_MS


@leaf
def times_ok(event_ms: int, ts_ms: int, recv_ns: int) -> bool:
    # Both are near each other, so one of them stands for both, if for it the limits are narrower by so much.
    in_order = -MAX_AHEAD_MS <= event_ms - ts_ms <= MAX_BEHIND_MS
    in_range = EARLIEST_MS + MAX_BEHIND_MS < event_ms < LATEST_MS - MAX_AHEAD_MS
    return in_order & in_range & (abs(event_ms * 1_000_000 - recv_ns) <= (MAX_SKEW_MS - MAX_BEHIND_MS) * 1_000_000)


@leaf
def units_ok(price: int, qty: int) -> bool:
    """Whether price x qty is surely within MAX_UNITS; what is near it, the general decoder judges."""
    return price <= MAX_TICKS and np.float64(price) * np.float64(qty) < MAX_UNITS / 2
