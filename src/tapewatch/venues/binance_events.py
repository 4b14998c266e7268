"""Binance's trades, quotes, mark prices and liquidations with their keys in any order, each into a row of the tape; for
`binance_kernel`.
"""

from __future__ import annotations

import numpy as np

from ..compiled import Record, leaf
from ..model.tape import E8, Flag, Kind
from .batch import FOREIGN
from .binance_keys import COIN, OWN, SYMBOL, Frame, done, has, read_keys
from .binance_usdm_fields import MAX_UNITS, price_of, quantity_of, time_ok, times_ok, units_ok
from .scan import FAIL, find_symbol, read_int, read_price, read_signed_decimal, skip_scalar, skip_string
from .words import byte_at, matches, text

_e_T, _e_E, _e_S, _e_X, _e_A, _e_B = (ord(c) for c in "TESXAB")
_e_a, _e_b, _e_e, _e_f, _e_i, _e_l, _e_m, _e_o, _e_p, _e_q, _e_r, _e_t, _e_u, _e_z = (ord(c) for c in "abefilmopqrtuz")
_NQ, _AP = (ord(first) << 8 | ord(second) for first, second in ("nq", "ap"))
_MARKET, _ORDER_SYMBOL, _ORDER_SELLS, _ORDER_BUYS = text('"MARKET"'), text('{"s":'), text('"SELL"'), text('"BUY"')

_TRADE, _QUOTE, _MARK, _LIQUIDATION = int(Kind.TRADE), int(Kind.QUOTE), int(Kind.MARK), int(Kind.LIQUIDATION)
_SELL, _OFF_BOOK, _AGGREGATE, _LONG = int(Flag.SELL), int(Flag.OFF_BOOK), int(Flag.AGGREGATE), int(Flag.LONG)

_T_PRICE, _T_QTY, _T_TIME, _T_EVENT_TIME, _T_ID, _T_SIDE, _T_FIRST, _T_LAST, _T_QTY2, _T_TYPE = (
    OWN << k for k in range(10)
)
_RAW_TRADE = SYMBOL | _T_PRICE | _T_QTY | _T_TIME | _T_EVENT_TIME | _T_ID | _T_SIDE
_AGG_TRADE = _RAW_TRADE | _T_FIRST | _T_LAST


@leaf
def agg_trade(frame: Frame, p: int, row: Record) -> int:
    """The rest of an aggTrade event; position behind it."""
    p, i, seen = read_keys(_agg_trade_value, frame, p, np.int64(-1), 0, row)
    if not has(seen, _AGG_TRADE):
        return FAIL
    row.flags |= _AGGREGATE
    if not seen & _T_QTY2:
        row.qty2 = row.qty
    return _trade(frame, p, i, row)


@leaf
def raw_trade(frame: Frame, p: int, row: Record) -> int:
    """The rest of a trade event; position behind it."""
    p, i, seen = read_keys(_raw_trade_value, frame, p, np.int64(-1), 0, row)
    if not has(seen, _RAW_TRADE):
        return FAIL
    row.first_id = row.id
    row.last_id = row.id
    row.qty2 = row.qty
    return _trade(frame, p, i, row)


@leaf
def _trade(frame: Frame, p: int, i: int, row: Record) -> int:
    if p == FAIL or i < 0 or not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    if row.price == 0 or row.qty == 0 or not units_ok(row.price, row.qty):
        return FAIL
    done(frame, row, _TRADE, i)
    return p


@leaf
def _agg_trade_value(frame: Frame, p: int, key: int, i: int, seen: int, row: Record) -> tuple[int, int]:
    if key == _e_a:
        p, row.id = read_int(frame.buf, p)
        return p, _T_ID
    if key == _e_f:
        p, row.first_id = read_int(frame.buf, p)
        return p, _T_FIRST
    if key == _e_l:
        p, row.last_id = read_int(frame.buf, p)
        return p, _T_LAST
    if key == _NQ:
        p, row.qty2 = quantity_of(frame.buf, p, frame.symbols, i)
        return p, _T_QTY2
    return _trade_value(frame, p, key, i, seen, row)


@leaf
def _raw_trade_value(frame: Frame, p: int, key: int, i: int, seen: int, row: Record) -> tuple[int, int]:
    if key == _e_t:
        p, row.id = read_int(frame.buf, p)
        return p, _T_ID
    if key == _e_X:
        if not matches(frame.buf, p, _MARKET):
            row.flags |= _OFF_BOOK
        return skip_string(frame.buf, p, frame.end), _T_TYPE
    return _trade_value(frame, p, key, i, seen, row)


@leaf
def _trade_value(frame: Frame, p: int, key: int, i: int, _: int, row: Record) -> tuple[int, int]:
    """What both kinds of trades have."""
    buf = frame.buf
    if key == _e_p:
        p, row.price = price_of(buf, p, frame.symbols, i)
        return p, _T_PRICE
    if key == _e_q:
        p, row.qty = quantity_of(buf, p, frame.symbols, i)
        return p, _T_QTY
    if key == _e_T:
        p, row.ts_ms = read_int(buf, p)
        return p, _T_TIME
    if key == _e_E:
        p, row.event_ms = read_int(buf, p)
        return p, _T_EVENT_TIME
    if key == _e_m:
        if byte_at(buf, p) == _e_t:
            row.flags |= _SELL
        p = skip_scalar(buf, p, frame.end)
        return p if p != FAIL and byte_at(buf, p - 1) == _e_e else FAIL, _T_SIDE
    return skip_scalar(buf, p, frame.end), 0


_Q_BID, _Q_BID_QTY, _Q_ASK, _Q_ASK_QTY, _Q_ID, _Q_TIME, _Q_EVENT_TIME = (OWN << k for k in range(7))
_BOOK_TICKER = SYMBOL | _Q_BID | _Q_BID_QTY | _Q_ASK | _Q_ASK_QTY | _Q_ID | _Q_TIME | _Q_EVENT_TIME


@leaf
def quote(frame: Frame, p: int, row: Record) -> int:
    """The rest of a bookTicker event; position behind it."""
    p, i, seen = read_keys(_quote_value, frame, p, np.int64(-1), 0, row)
    if not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    return _best_prices(frame, p, i, seen, row)


@leaf
def spot_quote(frame: Frame, p: int, row: Record) -> int:
    """A bookTicker of spot from its id on, which comes first and says what it is. It tells no times."""
    p, row.id = read_int(frame.buf, p)
    if p == FAIL:
        return FAIL
    p, i, seen = read_keys(_quote_value, frame, p, np.int64(-1), _Q_ID | _Q_TIME | _Q_EVENT_TIME, row)
    return _best_prices(frame, p, i, seen, row)


@leaf
def _best_prices(frame: Frame, p: int, i: int, seen: int, row: Record) -> int:
    if p == FAIL or i < 0 or not has(seen, _BOOK_TICKER):
        return FAIL
    if not (units_ok(row.price, row.qty) and units_ok(row.price2, row.qty2)):
        return FAIL
    done(frame, row, _QUOTE, i)
    return p


@leaf
def _quote_value(frame: Frame, p: int, key: int, i: int, _: int, row: Record) -> tuple[int, int]:
    buf, symbols = frame.buf, frame.symbols
    if key == _e_b:
        p, row.price = price_of(buf, p, symbols, i)
        return p, _Q_BID
    if key == _e_B:
        p, row.qty = quantity_of(buf, p, symbols, i)
        return p, _Q_BID_QTY
    if key == _e_a:
        p, row.price2 = price_of(buf, p, symbols, i)
        return p, _Q_ASK
    if key == _e_A:
        p, row.qty2 = quantity_of(buf, p, symbols, i)
        return p, _Q_ASK_QTY
    if key == _e_u:
        p, row.id = read_int(buf, p)
        return p, _Q_ID
    if key == _e_T:
        p, row.ts_ms = read_int(buf, p)
        return p, _Q_TIME
    if key == _e_E:
        p, row.event_ms = read_int(buf, p)
        return p, _Q_EVENT_TIME
    return skip_scalar(buf, p, frame.end), 0


_M_PRICE, _M_INDEX, _M_FUNDING, _M_NEXT, _M_EVENT_TIME = (OWN << k for k in range(5))
_MARK_PRICE = SYMBOL | _M_PRICE | _M_INDEX | _M_NEXT | _M_EVENT_TIME


@leaf
def mark(frame: Frame, p: int, row: Record, many: bool) -> int:
    """The rest of a markPriceUpdate event; position behind it.

    In streams of `many` symbols events that are not ours (COIN-M, dated) are only counted.
    """
    p, i, seen = read_keys(_mark_value, frame, p, np.int64(-1), 0, row)
    if p == FAIL or not has(seen & ~COIN, _MARK_PRICE):
        return FAIL
    if seen & COIN or i < 0:
        if not many:
            return FAIL
        frame.counts[FOREIGN] += 1
        return p
    if not time_ok(row.event_ms, row.recv_ns):
        return FAIL
    row.ts_ms = row.event_ms
    done(frame, row, _MARK, i)
    return p


@leaf
def _mark_value(frame: Frame, p: int, key: int, _i: int, _seen: int, row: Record) -> tuple[int, int]:
    buf = frame.buf
    if key == _e_p:
        p, row.price = read_price(buf, p, 8)
        return p, _M_PRICE
    if key == _e_i:
        p, row.price2 = read_price(buf, p, 8)
        return p, _M_INDEX
    if key == _e_r:
        p, row.qty = read_signed_decimal(buf, p, 8)
        return p, _M_FUNDING
    if key == _e_T:
        p, row.id = read_int(buf, p)
        return p, _M_NEXT
    if key == _e_E:
        p, row.event_ms = read_int(buf, p)
        return p, _M_EVENT_TIME
    return skip_scalar(buf, p, frame.end), 0


_L_EVENT_TIME, _L_ORDER = OWN, OWN << 1
_FORCE_ORDER = _L_EVENT_TIME | _L_ORDER
_O_SIDE, _O_PRICE, _O_QTY, _O_TIME = (OWN << k for k in range(4))
_ORDER = SYMBOL | _O_SIDE | _O_PRICE | _O_QTY | _O_TIME


@leaf
def liquidation(frame: Frame, p: int, row: Record) -> int:
    """The rest of a forceOrder event; position behind it.

    Those of instruments that are not ours go to the general decoder, which counts them.
    """
    p, _, seen = read_keys(_liquidation_value, frame, p, np.int64(-1), 0, row)
    if p == FAIL or not has(seen, _FORCE_ORDER) or not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    done(frame, row, _LIQUIDATION, row.instrument)
    return p


@leaf
def _liquidation_value(frame: Frame, p: int, key: int, _i: int, _seen: int, row: Record) -> tuple[int, int]:
    if key == _e_E:
        p, row.event_ms = read_int(frame.buf, p)
        return p, _L_EVENT_TIME
    if key == _e_o:
        return _order(frame, p, row), _L_ORDER
    return skip_scalar(frame.buf, p, frame.end), 0


@leaf
def _order(frame: Frame, p: int, row: Record) -> int:
    """The order of a forceOrder event, its symbol first as it always is: `row` filled and the position behind it."""
    buf, end = frame.buf, frame.end
    if not matches(buf, p, _ORDER_SYMBOL):
        return FAIL
    start = p + _ORDER_SYMBOL.length
    p = skip_string(buf, start, end)
    i = np.int64(-1) if p == FAIL else find_symbol(frame.symbols, buf, start + 1, p - 1)
    if i < 0:
        return FAIL
    p, i, seen = read_keys(_order_value, frame, p, i, SYMBOL, row)
    if p == FAIL or not has(seen, _ORDER) or row.price == 0 or row.qty == 0:
        return FAIL
    if np.float64(row.price // E8) * np.float64(row.qty) >= MAX_UNITS / 2:
        return FAIL
    row.instrument = i
    return p


@leaf
def _order_value(frame: Frame, p: int, key: int, i: int, _: int, row: Record) -> tuple[int, int]:
    buf = frame.buf
    if key == _e_S:
        if matches(buf, p, _ORDER_SELLS):
            row.flags |= _LONG
        elif not matches(buf, p, _ORDER_BUYS):
            return FAIL, 0
        return skip_string(buf, p, frame.end), _O_SIDE
    if key == _AP:
        p, row.price = read_price(buf, p, 8)
        return p, _O_PRICE
    if key == _e_z:
        p, row.qty = quantity_of(buf, p, frame.symbols, i)
        return p, _O_QTY
    if key == _e_T:
        p, row.ts_ms = read_int(buf, p)
        return p, _O_TIME
    return skip_scalar(buf, p, frame.end), 0
