"""Binance's depthUpdate with its keys in any order, into a row of the tape and levels; for `binance_kernel`."""

from __future__ import annotations

import numpy as np

from ..compiled import Record, leaf
from ..model.tape import Kind
from .batch import LEVELS
from .binance_keys import OWN, SYMBOL, Frame, done, has, read_keys
from .binance_usdm_fields import MAX_LEVELS, in_units, times_ok, units_ok
from .scan import FAIL, read_int, read_new_shape, read_quantity, read_shaped, shape_of, skip_scalar
from .words import byte_at, matches, text

_e_T, _e_E, _e_U, _e_u, _e_b, _e_a = (ord(c) for c in "TEUuba")
_PU = ord("p") << 8 | ord("u")
_OPEN_LIST, _CLOSE_LIST, _COMMA = ord("["), ord("]"), ord(",")
_OPEN_LEVEL, _NEXT_NUMBER = text('["'), text('","')
_DEPTH = int(Kind.DEPTH)

_BIDS, _ASKS, _FIRST, _LAST, _EVENT_TIME, _PREVIOUS, _TIME = (OWN << k for k in range(7))
_SPOT_DIFF = SYMBOL | _BIDS | _ASKS | _FIRST | _LAST | _EVENT_TIME
_DIFF = _SPOT_DIFF | _PREVIOUS | _TIME


@leaf
def diff(frame: Frame, p: int, row: Record, spot: bool) -> int:
    """The rest of a depthUpdate event; position behind it. Spot tells no previous id and no time but the event's."""
    row.level_at = frame.counts[LEVELS]
    p, i, seen = read_keys(_diff_value, frame, p, np.int64(-1), 0, row)
    if p == FAIL or not has(seen, _SPOT_DIFF if spot else _DIFF):
        return FAIL
    if spot:
        row.prev_id = row.first_id - 1
        row.ts_ms = row.event_ms
        if not 0 < row.first_id <= row.last_id:
            return FAIL
    if row.bids + row.asks > MAX_LEVELS or not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    row.id = row.last_id
    frame.counts[LEVELS] += row.bids + row.asks
    done(frame, row, _DEPTH, i)
    return p


@leaf
def _diff_value(frame: Frame, p: int, key: int, i: int, seen: int, row: Record) -> tuple[int, int]:
    """The symbol and the bids have to come before the asks, as they always do."""
    buf = frame.buf
    if key == _e_b:
        p, row.bids = _levels(frame, p, i, row.level_at) if i >= 0 else (FAIL, np.int64(0))
        return p, _BIDS
    if key == _e_a:
        p, row.asks = _levels(frame, p, i, row.level_at + row.bids) if seen & _BIDS else (FAIL, np.int64(0))
        return p, _ASKS
    if key == _e_U:
        p, row.first_id = read_int(buf, p)
        return p, _FIRST
    if key == _e_u:
        p, row.last_id = read_int(buf, p)
        return p, _LAST
    if key == _PU:
        p, row.prev_id = read_int(buf, p)
        return p, _PREVIOUS
    if key == _e_E:
        p, row.event_ms = read_int(buf, p)
        return p, _EVENT_TIME
    if key == _e_T:
        p, row.ts_ms = read_int(buf, p)
        return p, _TIME
    return skip_scalar(buf, p, frame.end), 0


@leaf
def _levels(frame: Frame, p: int, i: int, at: int) -> tuple[int, int]:
    """[["83401.90","8.843"],…] into `levels` from `at`: (position behind it, how many)."""
    buf, symbols = frame.buf, frame.symbols
    known = symbols.known[np.uint64(i)]
    tick_units, lot_units, lot_decimals = known.tick_units, known.lot_units, known.lot_decimals
    if byte_at(buf, p) != _OPEN_LIST:
        return FAIL, 0
    p += 1
    if byte_at(buf, p) == _CLOSE_LIST:
        return p + 1, 0
    n = 0
    shape = shape_of(known)
    prices = qtys = np.int64(0)  # every bit that any of them has: at least as large as the largest
    while True:
        start = p + _OPEN_LEVEL.length
        if not matches(buf, p, _OPEN_LEVEL):
            return FAIL, 0
        price = np.int64(FAIL)
        if shape.length and matches(buf, start + shape.length, _NEXT_NUMBER):
            price = read_shaped(buf, start, shape)
            p = start + shape.length + _NEXT_NUMBER.length
        if price == FAIL:
            p, price = read_new_shape(buf, start - 1, known)
            if p == FAIL or not matches(buf, p - 1, _NEXT_NUMBER):
                return FAIL, 0
            shape = shape_of(known)
            p = p - 1 + _NEXT_NUMBER.length
        p, price = in_units(p, price, tick_units)
        if p == FAIL or price == 0:
            return FAIL, 0
        p, qty = read_quantity(buf, p - 1, lot_decimals)
        p, qty = in_units(p, qty, lot_units)
        if p == FAIL or p >= frame.end or byte_at(buf, p) != _CLOSE_LIST:
            return FAIL, 0
        prices |= price
        qtys |= qty
        level = frame.levels[np.uint64(at + n)]
        level.price = price
        level.qty = qty
        n += 1
        p += 1
        if byte_at(buf, p) == _COMMA:
            p += 1
        elif byte_at(buf, p) == _CLOSE_LIST and units_ok(prices, qtys):
            return p + 1, n
        else:
            return FAIL, 0
