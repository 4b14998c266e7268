"""Compiled decoder of the frequent Binance messages: frame bytes straight into tape rows.

Understands wrapped aggTrade, trade, depthUpdate, bookTicker, markPriceUpdate (single or array) and forceOrder exactly
as the venue writes them, keys in any order behind ``e``. It gives up at the first frame it does not understand, having
changed nothing for it; `binance_usdm_codec` then decodes that frame with the general decoder and goes on.

Spot has the first four, its trades with the futures' keys. Its diffs have no `pu` and no time of the matching engine,
its quotes neither name nor time: their times are left at zero for the codec to fill in. Which of both is decoded is a
constant where this is compiled, so that none pays for the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from .batch import FOREIGN, LEVELS, ROWS
from .binance_depth import diff
from .binance_events import agg_trade, liquidation, mark, quote, raw_trade, spot_quote
from .binance_keys import Frame
from .binance_usdm_usual import USUAL_AGG_TRADE, USUAL_BOOK_TICKER, usual_agg_trade, usual_book_ticker
from .scan import FAIL, Symbols, skip_string
from .words import byte_at, matches, text

_STREAM = text('{"stream":"')
_DATA, _DATA_LIST = text('","data":{"e":"'), text('","data":[{"e":"')
_DATA_QUOTE = text('","data":{"u":')
_NEXT_EVENT = text(',{"e":"')
_AGG_TRADE, _TRADE, _DEPTH_UPDATE = text('aggTrade"'), text('trade"'), text('depthUpdate"')
_BOOK_TICKER, _MARK_PRICE, _FORCE_ORDER = text('bookTicker"'), text('markPriceUpdate"'), text('forceOrder"')
_DEPTH = text("@depth")
_CLOSE, _CLOSE_LIST, _AT, _BANG = ord("}"), ord("]"), ord("@"), ord("!")


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
    """Decode frames from number `first`; returns the number of the first frame not understood, or len(ends).

    `recv_ns` has one time for all frames or one for each. `rows` and `levels` have room for whatever `buf` can hold;
    `counts` says how much of them is used.
    """
    return _decode(buf, ends, recv_ns, first, symbols, rows, levels, counts, False)


@kernel
def decode_spot(
    buf: NDArray[np.uint8],
    ends: NDArray[np.int64],
    recv_ns: NDArray[np.int64],
    first: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    counts: NDArray[np.int64],
) -> int:
    """As `decode`, for the frames of spot."""
    return _decode(buf, ends, recv_ns, first, symbols, rows, levels, counts, True)


@leaf
def _decode(
    buf: NDArray[np.uint8],
    ends: NDArray[np.int64],
    recv_ns: NDArray[np.int64],
    first: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    counts: NDArray[np.int64],
    spot: bool,
) -> int:
    for k in range(first, len(ends)):
        start = ends[np.uint64(k - 1)] if k else np.int64(0)
        row_mark, level_mark, foreign_mark = counts[ROWS], counts[LEVELS], counts[FOREIGN]
        received = recv_ns[np.uint64(min(k, len(recv_ns) - 1))]
        if not _read_frame(Frame(buf, ends[np.uint64(k)], received, symbols, rows, levels, counts), start, spot):
            counts[ROWS], counts[LEVELS], counts[FOREIGN] = row_mark, level_mark, foreign_mark
            return k
    return len(ends)


@leaf
def _read_frame(frame: Frame, p: int, spot: bool) -> bool:
    """The wrapped frame at `p`: {"stream":"…","data":…} with one event or a list of them."""
    buf = frame.buf
    if not matches(buf, p, _STREAM):
        return False
    name = p + _STREAM.length
    p = skip_string(buf, name - 1, frame.end)
    if p == FAIL:
        return False
    name_end = p - 1
    if matches(buf, name_end, _DATA):
        p = _event(frame, name_end + _DATA.length, name, name_end, spot)
    elif spot and matches(buf, name_end, _DATA_QUOTE):
        p = spot_quote(frame, name_end + _DATA_QUOTE.length, _blank_row(frame))
    elif not spot and matches(buf, name_end, _DATA_LIST):
        p = _mark_prices(frame, name_end + _DATA_LIST.length, byte_at(buf, name) == _BANG)
    else:
        return False
    return p == frame.end - 1 and byte_at(buf, p) == _CLOSE


@leaf
def _mark_prices(frame: Frame, p: int, many: bool) -> int:
    """A list of markPriceUpdate events, the first from its kind on; returns the position behind it.

    No other events come in lists. With all of them in one loop, what any one needs would be computed ahead of it.
    """
    buf = frame.buf
    while matches(buf, p, _MARK_PRICE):
        p = mark(frame, p + _MARK_PRICE.length, _blank_row(frame), many)
        if p != FAIL and byte_at(buf, p) == _CLOSE_LIST:
            return p + 1
        if p == FAIL or not matches(buf, p, _NEXT_EVENT):
            return FAIL
        p += _NEXT_EVENT.length
    return FAIL


@leaf
def _event(frame: Frame, p: int, name: int, name_end: int, spot: bool) -> int:
    """One event object from its kind on; returns the position behind it."""
    buf = frame.buf
    row = frame.rows[np.uint64(frame.counts[ROWS])]
    after = np.int64(FAIL)
    if not spot and matches(buf, p, USUAL_AGG_TRADE):
        start = p + USUAL_AGG_TRADE.length
        after = usual_agg_trade(buf, start, name, name_end, frame.recv_ns, frame.symbols, row)
    elif not spot and matches(buf, p, USUAL_BOOK_TICKER):
        start = p + USUAL_BOOK_TICKER.length
        after = usual_book_ticker(buf, start, name, name_end, frame.recv_ns, frame.symbols, row)
    if after != FAIL:
        frame.counts[ROWS] += 1
        return after
    row = _blank_row(frame)
    if matches(buf, p, _DEPTH_UPDATE):
        if not _is_diff_stream(buf, name, name_end):
            return FAIL
        return diff(frame, p + _DEPTH_UPDATE.length, row, spot)
    if matches(buf, p, _AGG_TRADE):
        return agg_trade(frame, p + _AGG_TRADE.length, row)
    if matches(buf, p, _TRADE):
        return raw_trade(frame, p + _TRADE.length, row)
    if spot:
        return FAIL
    if matches(buf, p, _BOOK_TICKER):
        return quote(frame, p + _BOOK_TICKER.length, row)
    if matches(buf, p, _MARK_PRICE):
        return mark(frame, p + _MARK_PRICE.length, row, byte_at(buf, name) == _BANG)
    if matches(buf, p, _FORCE_ORDER):
        return liquidation(frame, p + _FORCE_ORDER.length, row)
    return FAIL


@leaf
def _blank_row(frame: Frame) -> Record:
    row = frame.rows[np.uint64(frame.counts[ROWS])]
    row.flags = 0
    row.recv_ns = frame.recv_ns
    row.event_ms = 0
    row.ts_ms = 0
    row.id = 0
    row.first_id = 0
    row.last_id = 0
    row.prev_id = 0
    row.price = 0
    row.qty = 0
    row.price2 = 0
    row.qty2 = 0
    row.level_at = 0
    row.bids = 0
    row.asks = 0
    row.reserved = 0
    return row


@leaf
def _is_diff_stream(buf: NDArray[np.uint8], name: int, name_end: int) -> bool:
    """Whether the stream is `<symbol>@depth` or `<symbol>@depth@…`: partial books share the event name."""
    for p in range(name, name_end):
        if byte_at(buf, p) == _AT:
            after = p + _DEPTH.length
            return matches(buf, p, _DEPTH) and (after == name_end or byte_at(buf, after) == _AT)
    return False
