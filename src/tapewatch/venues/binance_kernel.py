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
from ..model.tape import E8, Flag, Kind
from .batch import FOREIGN, LEVELS, ROWS
from .binance_usdm_fields import (
    COIN_MARGINED,
    MAX_LEVELS,
    MAX_UNITS,
    in_units,
    price_of,
    quantity_of,
    time_ok,
    times_ok,
    units_ok,
)
from .binance_usdm_usual import USUAL_AGG_TRADE, USUAL_BOOK_TICKER, usual_agg_trade, usual_book_ticker
from .scan import (
    FAIL,
    Symbols,
    find_symbol,
    known_shape,
    read_int,
    read_new_shape,
    read_price,
    read_quantity,
    read_shaped,
    read_signed_decimal,
    skip_scalar,
    skip_string,
)
from .words import byte_at, matches, text, word_at

_STREAM = text('{"stream":"')
_DATA, _DATA_LIST = text('","data":{"e":"'), text('","data":[{"e":"')
_DATA_QUOTE = text('","data":{"u":')
_NEXT_EVENT = text(',{"e":"')
_AGG_TRADE = text('aggTrade"')
_TRADE = text('trade"')
_DEPTH_UPDATE = text('depthUpdate"')
_BOOK_TICKER = text('bookTicker"')
_MARK_PRICE = text('markPriceUpdate"')
_FORCE_ORDER = text('forceOrder"')
_ORDER_SYMBOL, _ORDER_SELLS, _ORDER_BUYS = text('{"s":'), text('"SELL"'), text('"BUY"')
_DEPTH = text("@depth")
_MARKET = text('"MARKET"')
_OPEN_LEVEL, _NEXT_NUMBER = text('["'), text('","')


def _word(data: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(data, "little"))


_ONE_LETTER, _ONE_LETTER_MASK = _word(b',"\0":'), _word(b"\xff\xff\0\xff\xff")
_TWO_LETTERS, _TWO_LETTERS_MASK = _word(b',"\0\0":'), _word(b"\xff\xff\0\0\xff\xff")

_QUOTE, _COMMA, _COLON = ord('"'), ord(","), ord(":")
_CLOSE, _OPEN_LIST, _CLOSE_LIST = ord("}"), ord("["), ord("]")
_AT, _BANG = ord("@"), ord("!")
_e_T, _e_E, _e_S, _e_s, _e_U, _e_u = (ord(c) for c in "TESsUu")
_e_b, _e_a, _e_B, _e_A, _e_p, _e_q = (ord(c) for c in "baBApq")
_e_e = ord("e")  # a second one would make the general decoder read another kind of event
_e_m, _e_f, _e_l, _e_t, _e_X, _e_i, _e_r, _e_n, _e_o, _e_z = (ord(c) for c in "mfltXirnoz")

_PU, _NQ, _ST, _AP = (ord(first) << 8 | ord(second) for first, second in ("pu", "nq", "st", "ap"))

_KIND_TRADE, _KIND_DEPTH, _KIND_QUOTE, _KIND_MARK = int(Kind.TRADE), int(Kind.DEPTH), int(Kind.QUOTE), int(Kind.MARK)
_KIND_LIQUIDATION = int(Kind.LIQUIDATION)
_SELL, _OFF_BOOK, _AGGREGATE, _LONG = int(Flag.SELL), int(Flag.OFF_BOOK), int(Flag.AGGREGATE), int(Flag.LONG)


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
        start = ends[k - 1] if k else np.int64(0)
        row_mark, level_mark, foreign_mark = counts[ROWS], counts[LEVELS], counts[FOREIGN]
        received = recv_ns[min(k, len(recv_ns) - 1)]
        if not _frame(buf, start, ends[k], received, symbols, rows, levels, counts, spot):
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
    spot: bool,
) -> bool:
    """One wrapped frame: {"stream":"…","data":…} with one event or a list of them."""
    if not matches(buf, p, _STREAM):
        return False
    name = p + _STREAM.length
    p = skip_string(buf, name - 1, end)
    if p == FAIL:
        return False
    name_end = p - 1
    listed = not spot and matches(buf, name_end, _DATA_LIST)
    nameless = spot and matches(buf, name_end, _DATA_QUOTE)
    if not listed and not nameless and not matches(buf, name_end, _DATA):
        return False
    p = name_end + (_DATA_LIST.length if listed else _DATA.length)
    while True:
        if nameless:
            p = _spot_quote(buf, name_end + _DATA_QUOTE.length, end, recv_ns, symbols, rows, counts)
        else:
            p = _event(buf, p, end, name, name_end, recv_ns, symbols, rows, levels, counts, spot)
        if p == FAIL:
            return False
        if not listed:
            break
        if byte_at(buf, p) == _CLOSE_LIST:
            p += 1
            break
        if not matches(buf, p, _NEXT_EVENT):
            return False
        p += _NEXT_EVENT.length
    return p == end - 1 and byte_at(buf, p) == _CLOSE


@leaf
def _event(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    name: int,
    name_end: int,
    recv_ns: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    counts: NDArray[np.int64],
    spot: bool,
) -> int:
    """One event object from its kind on; returns the position behind it."""
    row = rows[counts[ROWS]]
    after = np.int64(FAIL)
    if not spot and matches(buf, p, USUAL_AGG_TRADE):
        after = usual_agg_trade(buf, p + USUAL_AGG_TRADE.length, name, name_end, recv_ns, symbols, row)
    elif not spot and matches(buf, p, USUAL_BOOK_TICKER):
        after = usual_book_ticker(buf, p + USUAL_BOOK_TICKER.length, name, name_end, recv_ns, symbols, row)
    if after != FAIL:
        counts[ROWS] += 1
        return after
    _blank(row, recv_ns)
    if matches(buf, p, _DEPTH_UPDATE):
        if not _is_diff_stream(buf, name, name_end):
            return FAIL
        return _depth(buf, p + _DEPTH_UPDATE.length, end, symbols, row, levels, counts, spot)
    if matches(buf, p, _AGG_TRADE):
        return _trade(buf, p + _AGG_TRADE.length, end, _e_a, symbols, row, counts)
    if matches(buf, p, _TRADE):
        return _trade(buf, p + _TRADE.length, end, _e_t, symbols, row, counts)
    if spot:
        return FAIL
    if matches(buf, p, _BOOK_TICKER):
        return _quote(buf, p + _BOOK_TICKER.length, end, 0, symbols, row, counts)
    if matches(buf, p, _MARK_PRICE):
        many = byte_at(buf, name) == _BANG
        return _mark(buf, p + _MARK_PRICE.length, end, many, symbols, row, counts)
    if matches(buf, p, _FORCE_ORDER):
        return _liquidation(buf, p + _FORCE_ORDER.length, end, symbols, row, counts)
    return FAIL


@leaf
def _blank(row: Record, recv_ns: int) -> None:
    row.flags = 0
    row.recv_ns = recv_ns
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


@leaf
def _is_diff_stream(buf: NDArray[np.uint8], name: int, name_end: int) -> bool:
    """Whether the stream is `<symbol>@depth` or `<symbol>@depth@…`: partial books share the event name."""
    for p in range(name, name_end):
        if byte_at(buf, p) == _AT:
            after = p + _DEPTH.length
            return matches(buf, p, _DEPTH) and (after == name_end or byte_at(buf, after) == _AT)
    return False


@leaf
def _is_letter(c: int) -> bool:
    return 65 <= c <= 90 or 97 <= c <= 122


@leaf
def _key(buf: NDArray[np.uint8], p: int, end: int) -> tuple[int, int]:
    """The key behind a comma at `p`: (position of its value, key). One letter is its code, two are packed, others 0."""
    word = word_at(buf, p)
    first = byte_at(buf, p + 2)
    if word & _ONE_LETTER_MASK == _ONE_LETTER and _is_letter(first):
        return p + 5, first
    second = byte_at(buf, p + 3)
    if word & _TWO_LETTERS_MASK == _TWO_LETTERS and _is_letter(first) and _is_letter(second):
        return p + 6, first << 8 | second
    if byte_at(buf, p) != _COMMA:
        return FAIL, 0
    p = skip_string(buf, p + 1, end)
    if p == FAIL or byte_at(buf, p) != _COLON:
        return FAIL, 0
    return p + 1, 0


@leaf
def _trade(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    id_key: int,
    symbols: Symbols,
    row: Record,
    counts: NDArray[np.int64],
) -> int:
    """An aggTrade (id_key a) or trade (id_key t) event."""
    aggregate = id_key == _e_a
    i = np.int64(-1)
    event_ms = ts_ms = np.int64(0)
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
        elif key == _e_p:
            p, row.price = price_of(buf, p, symbols, i)
            bit = 2
        elif key == _e_q:
            p, row.qty = quantity_of(buf, p, symbols, i)
            bit = 4
        elif key == _e_T:
            p, ts_ms = read_int(buf, p)
            bit = 8
        elif key == _e_E:
            p, event_ms = read_int(buf, p)
            bit = 16
        elif key == id_key:
            p, row.id = read_int(buf, p)
            bit = 32
        elif key == _e_m:
            if byte_at(buf, p) == _e_t:
                row.flags |= _SELL
            p, bit = skip_scalar(buf, p, end), 64
            if p != FAIL and byte_at(buf, p - 1) != ord("e"):
                return FAIL
        elif key == _NQ and aggregate:
            p, row.qty2 = quantity_of(buf, p, symbols, i)
            bit = 128
        elif key == _e_f and aggregate:
            p, row.first_id = read_int(buf, p)
            bit = 256
        elif key == _e_l and aggregate:
            p, row.last_id = read_int(buf, p)
            bit = 512
        elif key == _e_X and not aggregate:
            if not matches(buf, p, _MARKET):
                row.flags |= _OFF_BOOK
            p, bit = skip_string(buf, p, end), 1024
        elif key == _ST:
            p, kind = read_int(buf, p)
            if kind == COIN_MARGINED:
                return FAIL
            bit = 2048
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    wanted = 1 | 2 | 4 | 8 | 16 | 32 | 64
    if aggregate:
        wanted |= 256 | 512
    if seen & wanted != wanted or i < 0 or not times_ok(event_ms, ts_ms, row.recv_ns):
        return FAIL
    if row.price == 0 or row.qty == 0 or not units_ok(row.price, row.qty):
        return FAIL
    if not seen & 128:
        row.qty2 = row.qty
    row.kind = _KIND_TRADE
    row.instrument = i
    row.event_ms = event_ms
    row.ts_ms = ts_ms
    if aggregate:
        row.flags |= _AGGREGATE
    else:
        row.first_id = row.id
        row.last_id = row.id
    counts[ROWS] += 1
    return p + 1


@leaf
def _depth(
    buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record, levels: NDArray[np.void],
    counts: NDArray[np.int64], spot: bool,
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
        elif key == _PU and not spot:
            p, row.prev_id = read_int(buf, p)
            bit = 32
        elif key == _e_E:
            p, row.event_ms = read_int(buf, p)
            bit = 64
        elif key == _e_T and not spot:
            p, row.ts_ms = read_int(buf, p)
            bit = 128
        elif key == _ST and not spot:
            p, kind = read_int(buf, p)
            if kind == COIN_MARGINED:
                return FAIL
            bit = 256
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if spot:
        row.prev_id = row.first_id - 1
        row.ts_ms = row.event_ms
        if not 0 < row.first_id <= row.last_id:
            return FAIL
    wanted = 95 if spot else 255
    if seen & wanted != wanted or n_bids + n_asks > MAX_LEVELS:
        return FAIL
    if not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    row.kind = _KIND_DEPTH
    row.instrument = i
    row.id = row.last_id
    row.level_at = at
    row.bids = n_bids
    row.asks = n_asks
    counts[LEVELS] += n_bids + n_asks
    counts[ROWS] += 1
    return p + 1


@leaf
def _levels(
    buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, i: int, levels: NDArray[np.void], at: int
) -> tuple[int, int]:
    """[["83401.90","8.843"],…] into `levels` from `at`: (position behind it, how many)."""
    tick_units = symbols.grid[i, 0]
    lot_units, lot_decimals = symbols.grid[i, 2], symbols.grid[i, 3]
    if byte_at(buf, p) != _OPEN_LIST:
        return FAIL, 0
    p += 1
    if byte_at(buf, p) == _CLOSE_LIST:
        return p + 1, 0
    n = 0
    shape = known_shape(symbols, i)
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
            p, price = read_new_shape(buf, start - 1, symbols, i)
            if p == FAIL or not matches(buf, p - 1, _NEXT_NUMBER):
                return FAIL, 0
            shape = known_shape(symbols, i)
            p = p - 1 + _NEXT_NUMBER.length
        p, price = in_units(p, price, tick_units)
        if p == FAIL or price == 0:
            return FAIL, 0
        p, qty = read_quantity(buf, p - 1, lot_decimals)
        p, qty = in_units(p, qty, lot_units)
        if p == FAIL or p >= end or byte_at(buf, p) != _CLOSE_LIST:
            return FAIL, 0
        prices |= price
        qtys |= qty
        level = levels[np.uint64(at + n)]
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


@leaf
def _quote(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    seen: int,
    symbols: Symbols,
    row: Record,
    counts: NDArray[np.int64],
) -> int:
    """A bookTicker event. `seen` are the keys that need not come: those of the times, where the venue tells none."""
    i = np.int64(-1)
    timed = seen == 0
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
        elif key == _e_u:
            p, row.id = read_int(buf, p)
            bit = 32
        elif key == _e_T and timed:
            p, row.ts_ms = read_int(buf, p)
            bit = 64
        elif key == _e_E and timed:
            p, row.event_ms = read_int(buf, p)
            bit = 128
        elif key == _ST and timed:
            p, kind = read_int(buf, p)
            if kind == COIN_MARGINED:
                return FAIL
            bit = 256
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen & 255 != 255 or i < 0:
        return FAIL
    if timed and not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    if not (units_ok(row.price, row.qty) and units_ok(row.price2, row.qty2)):
        return FAIL
    row.kind = _KIND_QUOTE
    row.instrument = i
    counts[ROWS] += 1
    return p + 1


@leaf
def _spot_quote(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    recv_ns: int,
    symbols: Symbols,
    rows: NDArray[np.void],
    counts: NDArray[np.int64],
) -> int:
    """A bookTicker of spot from its id on, which comes first and says what it is."""
    row = rows[counts[ROWS]]
    _blank(row, recv_ns)
    p, row.id = read_int(buf, p)
    return _quote(buf, p, end, 32 | 64 | 128, symbols, row, counts) if p != FAIL else FAIL


@leaf
def _mark(
    buf: NDArray[np.uint8],
    p: int,
    end: int,
    many: bool,
    symbols: Symbols,
    row: Record,
    counts: NDArray[np.int64],
) -> int:
    """The markPriceUpdate event. In all-symbol streams rows that are not ours (COIN-M, dated) are only counted."""
    i = np.int64(-1)
    coin_margined = False
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
        elif key == _e_p:
            p, row.price = read_price(buf, p, 8)
            bit = 2
        elif key == _e_i:
            p, row.price2 = read_price(buf, p, 8)
            bit = 4
        elif key == _e_r:
            p, row.qty = read_signed_decimal(buf, p, 8)
            bit = 8
        elif key == _e_T:
            p, row.id = read_int(buf, p)
            bit = 16
        elif key == _e_E:
            p, row.event_ms = read_int(buf, p)
            bit = 32
        elif key == _ST:
            p, kind = read_int(buf, p)
            coin_margined = kind == COIN_MARGINED
            bit = 64
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen & 55 != 55:
        return FAIL
    if coin_margined or i < 0:
        if not many:
            return FAIL
        counts[FOREIGN] += 1
        return p + 1
    if not time_ok(row.event_ms, row.recv_ns):
        return FAIL
    row.kind = _KIND_MARK
    row.instrument = i
    row.ts_ms = row.event_ms
    counts[ROWS] += 1
    return p + 1


@leaf
def _liquidation(
    buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record, counts: NDArray[np.int64]
) -> int:
    """A forceOrder event. Those of instruments that are not ours go to the general decoder, which counts them."""
    seen = 0
    while byte_at(buf, p) != _CLOSE:
        p, key = _key(buf, p, end)
        if p == FAIL:
            return FAIL
        bit = 0
        if key == _e_E:
            p, row.event_ms = read_int(buf, p)
            bit = 1
        elif key == _e_o:
            p, bit = _order(buf, p, end, symbols, row), 2
        elif key == _ST:
            p, kind = read_int(buf, p)
            if kind == COIN_MARGINED:
                return FAIL
            bit = 4
        elif key == _e_e:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen & 3 != 3 or not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    row.kind = _KIND_LIQUIDATION
    counts[ROWS] += 1
    return p + 1


@leaf
def _order(buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record) -> int:
    """The order of a forceOrder event, its symbol first as it always is: `row` filled and the position behind it."""
    if not matches(buf, p, _ORDER_SYMBOL):
        return FAIL
    start = p + _ORDER_SYMBOL.length
    p = skip_string(buf, start, end)
    i = np.int64(-1) if p == FAIL else find_symbol(symbols, buf, start + 1, p - 1)
    if i < 0:
        return FAIL
    seen = 0
    while byte_at(buf, p) != _CLOSE:
        p, key = _key(buf, p, end)
        if p == FAIL:
            return FAIL
        bit = 0
        if key == _e_S:
            if matches(buf, p, _ORDER_SELLS):
                row.flags |= _LONG
            elif not matches(buf, p, _ORDER_BUYS):
                return FAIL
            p, bit = skip_string(buf, p, end), 1
        elif key == _AP:
            p, row.price = read_price(buf, p, 8)
            bit = 2
        elif key == _e_z:
            p, row.qty = quantity_of(buf, p, symbols, i)
            bit = 4
        elif key == _e_T:
            p, row.ts_ms = read_int(buf, p)
            bit = 8
        elif key == _ST:
            p, kind = read_int(buf, p)
            if kind == COIN_MARGINED:
                return FAIL
            bit = 16
        elif key == _e_s:
            return FAIL
        else:
            p = skip_scalar(buf, p, end)
        if p == FAIL or (bit and seen & bit):
            return FAIL
        seen |= bit
    if seen & 15 != 15 or row.price == 0 or row.qty == 0:
        return FAIL
    if np.float64(row.price // E8) * np.float64(row.qty) >= MAX_UNITS / 2:
        return FAIL
    row.instrument = i
    return p + 1
