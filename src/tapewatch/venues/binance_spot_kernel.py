"""Compiled decoder of the frequent Binance spot messages: aggTrade, trade, depthUpdate, bookTicker.

Trades have the futures' keys and go through their decoder. Diffs have no `pu` and no time of the matching engine,
quotes have neither name nor time; a quote's times are left at zero for the codec to fill in. What is not understood is
left to the general decoder of `binance_spot_codec`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.tape import Kind
from .batch import FOREIGN, LEVELS, ROWS
from .binance_usdm_fields import MAX_LEVELS, price_of, quantity_of, time_ok, units_ok
from .binance_usdm_kernel import _blank, _is_diff_stream, _key, _levels, _trade
from .scan import FAIL, Symbols, find_symbol, read_int, skip_scalar, skip_string
from .words import byte_at, matches, text

_STREAM = text('{"stream":"')
_DATA = text('","data":')
_EVENT = text('{"e":"')
_QUOTE = text('{"u":')
_AGG_TRADE = text('aggTrade"')
_TRADE = text('trade"')
_DEPTH_UPDATE = text('depthUpdate"')

_CLOSE, _COMMA = ord("}"), ord(",")
_e_e, _e_s, _e_E, _e_U, _e_u = (ord(c) for c in "esEUu")
_e_a, _e_A, _e_b, _e_B, _e_t = (ord(c) for c in "aAbBt")
_KIND_DEPTH, _KIND_QUOTE = int(Kind.DEPTH), int(Kind.QUOTE)


@kernel
def decode(
    buf: NDArray[np.uint8],
    ends: NDArray[np.int64],
    recv_ns: NDArray[np.int64],
    first: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    counts: NDArray[np.int64],
) -> int:
    """Decode frames from number `first`; see `binance_usdm_kernel.decode`."""
    for k in range(first, len(ends)):
        start = ends[k - 1] if k else np.int64(0)
        row_mark, level_mark, foreign_mark = counts[ROWS], counts[LEVELS], counts[FOREIGN]
        received = recv_ns[min(k, len(recv_ns) - 1)]
        if not _frame(buf, start, ends[k], received, symbols, rows, levels, counts):
            counts[ROWS], counts[LEVELS], counts[FOREIGN] = row_mark, level_mark, foreign_mark
            return k
    return len(ends)


@leaf
def _frame(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    recv_ns: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    counts: NDArray[np.int64],
) -> bool:
    """One wrapped frame of one instrument: {"stream":"…","data":{…}}."""
    if not matches(buf, p, _STREAM):
        return False
    name = p + _STREAM.length
    p = skip_string(buf, name - 1, end)
    if p == FAIL or not matches(buf, p - 1, _DATA):
        return False
    name_end = p - 1
    p += _DATA.length - 1
    row = rows[counts[ROWS]]
    _blank(row, recv_ns)
    if matches(buf, p, _QUOTE):
        p = _quote(buf, p, end, symbols, row, counts)
    elif not matches(buf, p, _EVENT):
        return False
    elif matches(buf, p + _EVENT.length, _AGG_TRADE):
        p = _trade(buf, p + _EVENT.length + _AGG_TRADE.length, end, _e_a, symbols, row, counts)
    elif matches(buf, p + _EVENT.length, _TRADE):
        p = _trade(buf, p + _EVENT.length + _TRADE.length, end, _e_t, symbols, row, counts)
    elif matches(buf, p + _EVENT.length, _DEPTH_UPDATE) and _is_diff_stream(buf, name, name_end):
        p = _depth(buf, p + _EVENT.length + _DEPTH_UPDATE.length, end, symbols, row, levels, counts)
    else:
        return False
    return p != FAIL and p == end - 1 and byte_at(buf, p) == _CLOSE


@leaf
def _depth(
    buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record, levels: NDArray[np.void],
    counts: NDArray[np.int64],
) -> int:  # fmt: skip
    """depthUpdate; the symbol and the bids have to come before the asks, as they always do."""
    i = np.int64(-1)
    seen = 0
    at = counts[LEVELS]
    n_bids = n_asks = np.int64(0)
    while byte_at(buf, p) != _CLOSE:
        p, key = _key(buf, p, end)
        if p == FAIL:
            return FAIL
        bit = 0
        if key == _e_s:
            stop = skip_string(buf, p, end)
            if stop == FAIL:
                return FAIL
            i = find_symbol(symbols, buf, p + 1, stop - 1)
            p, bit = stop, 1
        elif key == _e_b:
            if i < 0:
                return FAIL
            p, n_bids = _levels(buf, p, end, symbols, i, levels, at)
            bit = 2
        elif key == _e_a:
            if i < 0 or not seen & 2:
                return FAIL
            p, n_asks = _levels(buf, p, end, symbols, i, levels, at + n_bids)
            bit = 4
        elif key == _e_U:
            p, row.first_id = read_int(buf, p)
            bit = 8
        elif key == _e_u:
            p, row.last_id = read_int(buf, p)
            bit = 16
        elif key == _e_E:
            p, row.event_ms = read_int(buf, p)
            bit = 32
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen != 63 or n_bids + n_asks > MAX_LEVELS or not time_ok(row.event_ms, row.recv_ns):
        return FAIL
    if not 0 < row.first_id <= row.last_id:
        return FAIL
    row.kind = _KIND_DEPTH
    row.instrument = i
    row.id = row.last_id
    row.prev_id = row.first_id - 1
    row.ts_ms = row.event_ms
    row.level_at = at
    row.bids = n_bids
    row.asks = n_asks
    counts[LEVELS] += n_bids + n_asks
    counts[ROWS] += 1
    return p + 1


@leaf
def _quote(buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record, counts: NDArray[np.int64]) -> int:
    """A bookTicker from its opening brace on; its first key is `u`."""
    p, row.id = read_int(buf, p + _QUOTE.length)
    if p == FAIL:
        return FAIL
    i = np.int64(-1)
    seen = 0
    while byte_at(buf, p) != _CLOSE:
        p, key = _key(buf, p, end)
        if p == FAIL:
            return FAIL
        bit = 0
        if key == _e_s:
            stop = skip_string(buf, p, end)
            if stop == FAIL:
                return FAIL
            i = find_symbol(symbols, buf, p + 1, stop - 1)
            p, bit = stop, 1
        elif key == _e_b:
            p, row.price = price_of(buf, p, symbols, i)
            bit = 2
        elif key == _e_B:
            p, row.qty = quantity_of(buf, p, symbols, i)
            bit = 4
        elif key == _e_a:
            p, row.price2 = price_of(buf, p, symbols, i)
            bit = 8
        elif key == _e_A:
            p, row.qty2 = quantity_of(buf, p, symbols, i)
            bit = 16
        elif key in (_e_e, _e_u):
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen != 31 or i < 0 or not (units_ok(row.price, row.qty) and units_ok(row.price2, row.qty2)):
        return FAIL
    row.kind = _KIND_QUOTE
    row.instrument = i
    counts[ROWS] += 1
    return p + 1
