"""The two most frequent Binance USD-M messages with their keys in the order in which the venue writes them.

Nothing is looked up or branched on where the next key is known beforehand: each is compared in one word and its value
read behind it, at half the cost. At the first byte that is otherwise these give up, and the decoder of any order in
`binance_usdm_kernel` reads the event from its beginning. Every rule of that decoder holds here too.

    ,"E":1791391082024,"a":3478018549,"s":"BTCUSDT","p":"83434.40","q":"0.016","nq":"0.016","f":8154045700,
     "l":8154045704,"T":1791391081874,"m":true,"st":1}                                              aggTrade
    ,"u":11671659685961,"s":"BTCUSDT","ps":"BTCUSDT","b":"84551.00","B":"2.646","a":"84551.10","A":"3.120",
     "T":1790526539021,"E":1790526539022,"st":1}                                                  bookTicker
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, leaf
from ..model.tape import Flag, Kind
from .binance_usdm_fields import price_of, quantity_of, times_ok, units_ok
from .scan import FAIL, Symbols, find_symbol, read_int, skip_string
from .words import WORD, Text, below, byte_at, first, matches, non_digits, text, value_of, word_at

_KIND_TRADE, _KIND_QUOTE = int(Kind.TRADE), int(Kind.QUOTE)
_AGGREGATE, _SELL = int(Flag.AGGREGATE), int(Flag.SELL)
_CLOSE = ord("}")
_TAIL_DIGITS = 5

_EVENT_TIME, _TIME, _ID, _UPDATE_ID = text(',"E":'), text(',"T":'), text(',"a":'), text(',"u":')
_FIRST, _LAST, _PRICE, _QTY, _QTY2 = text(',"f":'), text(',"l":'), text(',"p":'), text(',"q":'), text(',"nq":')
_SYMBOL, _PAIR = text(',"s":'), text(',"ps":')
_BID, _BID_QTY, _ASK, _ASK_QTY = text(',"b":'), text(',"B":'), text(',"a":'), text(',"A":')
_SOLD, _BOUGHT, _USD_MARGINED = text(',"m":true'), text(',"m":false'), text(',"st":1}')


@leaf
def usual_agg_trade(buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record) -> int:
    """An aggTrade from the comma behind its ``e`` on: `row` filled and the position behind it, or FAIL."""
    p, row.event_ms = _ms(buf, p, _EVENT_TIME)
    p, row.id = _int(buf, p, _ID)
    p, i = _instrument(buf, p, end, symbols)
    p, row.price = _price(buf, p, _PRICE, symbols, i)
    quantity = p + _QTY.length
    p, row.qty = _quantity(buf, p, _QTY, symbols, i)
    if p != FAIL and _is_repeated(buf, quantity, p):
        row.qty2 = row.qty
        p += _QTY2.length + p - quantity
    else:
        p, row.qty2 = _quantity(buf, p, _QTY2, symbols, i)
    p, row.first_id = _int(buf, p, _FIRST)
    p, row.last_id = _int(buf, p, _LAST)
    p, row.ts_ms = _ms(buf, p, _TIME)
    if p == FAIL or row.price == 0 or row.qty == 0 or not units_ok(row.price, row.qty):
        return FAIL
    if not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    sold = matches(buf, p, _SOLD)  # as likely as not: a choice between numbers costs no mispredicted branch
    if not sold | matches(buf, p, _BOUGHT):
        return FAIL
    p = _end(buf, p + (_SOLD.length if sold else _BOUGHT.length))
    if p != FAIL:
        row.kind = _KIND_TRADE
        row.flags = _AGGREGATE | (_SELL if sold else 0)
        row.instrument = i
    return p


@leaf
def usual_book_ticker(buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols, row: Record) -> int:
    """A bookTicker from the comma behind its ``e`` on: `row` filled and the position behind it, or FAIL."""
    p, row.id = _int(buf, p, _UPDATE_ID)
    p, i = _instrument(buf, p, end, symbols)
    if p != FAIL and matches(buf, p, _PAIR):
        p = skip_string(buf, p + _PAIR.length, end)
    p, row.price = _price(buf, p, _BID, symbols, i)
    p, row.qty = _quantity(buf, p, _BID_QTY, symbols, i)
    p, row.price2 = _price(buf, p, _ASK, symbols, i)
    p, row.qty2 = _quantity(buf, p, _ASK_QTY, symbols, i)
    p, row.ts_ms = _ms(buf, p, _TIME)
    p, row.event_ms = _ms(buf, p, _EVENT_TIME)
    if p == FAIL or not times_ok(row.event_ms, row.ts_ms, row.recv_ns):
        return FAIL
    if not (units_ok(row.price, row.qty) and units_ok(row.price2, row.qty2)):
        return FAIL
    p = _end(buf, p)
    if p != FAIL:
        row.kind = _KIND_QUOTE
        row.instrument = i
    return p


@leaf
def _int(buf: NDArray[np.uint8], p: int, key: Text) -> tuple[int, int]:
    """The whole number behind `key`, if that stands at `p`."""
    if p == FAIL or not matches(buf, p, key):
        return FAIL, np.int64(0)
    return read_int(buf, p + key.length)


@leaf
def _ms(buf: NDArray[np.uint8], p: int, key: Text) -> tuple[int, int]:
    """The time behind `key`: 13 digits, as all have that are in range. What stands behind it the caller compares."""
    if p == FAIL or not matches(buf, p, key):
        return FAIL, np.int64(0)
    p += key.length
    head, tail = word_at(buf, p), word_at(buf, p + WORD)
    if first(non_digits(head)) != WORD or first(non_digits(tail)) != _TAIL_DIGITS:
        return FAIL, np.int64(0)
    return p + WORD + _TAIL_DIGITS, value_of(head, WORD) * 10**_TAIL_DIGITS + value_of(tail, _TAIL_DIGITS)


@leaf
def _price(buf: NDArray[np.uint8], p: int, key: Text, symbols: Symbols, i: int) -> tuple[int, int]:
    if p == FAIL or not matches(buf, p, key):
        return FAIL, np.int64(0)
    return price_of(buf, p + key.length, symbols, i)


@leaf
def _quantity(buf: NDArray[np.uint8], p: int, key: Text, symbols: Symbols, i: int) -> tuple[int, int]:
    if p == FAIL or not matches(buf, p, key):
        return FAIL, np.int64(0)
    return quantity_of(buf, p + key.length, symbols, i)


@leaf
def _is_repeated(buf: NDArray[np.uint8], start: int, p: int) -> bool:
    """Whether `nq` at `p` says what stands from `start` up to there, as it does unless an RPI order took part."""
    length, again = p - start, p + _QTY2.length
    if length > WORD or not matches(buf, p, _QTY2):
        return False
    return bool((word_at(buf, start) ^ word_at(buf, again)) & below(length) == 0)


@leaf
def _instrument(buf: NDArray[np.uint8], p: int, end: int, symbols: Symbols) -> tuple[int, int]:
    """The instrument whose symbol stands at `p`; FAIL where it is none of ours."""
    if p == FAIL or not matches(buf, p, _SYMBOL):
        return FAIL, np.int64(-1)
    start = p + _SYMBOL.length
    p = skip_string(buf, start, end)
    i = np.int64(-1) if p == FAIL else find_symbol(symbols, buf, start + 1, p - 1)
    return (FAIL, i) if i < 0 else (p, i)


@leaf
def _end(buf: NDArray[np.uint8], p: int) -> int:
    """Behind the closing brace, before which the kind of contract may stand."""
    if matches(buf, p, _USD_MARGINED):
        return p + _USD_MARGINED.length
    return p + 1 if byte_at(buf, p) == _CLOSE else FAIL
