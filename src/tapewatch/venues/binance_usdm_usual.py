"""The two most frequent Binance USD-M messages with their keys in the order in which the venue writes them.

Nothing is looked up or branched on where the next key is known beforehand: each is compared in one word and its value
read behind it, at half the cost. At the first byte that is otherwise these give up, and the decoder of any order in
`binance_kernel` reads the event from its beginning. Every rule of that decoder holds here too.

    {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1791391082024,"a":3478018549,"s":"BTCUSDT","p":"83434.40",
     "q":"0.016","nq":"0.016","f":8154045700,"l":8154045704,"T":1791391081874,"m":true,"st":1}}
    {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":11671659685961,"s":"BTCUSDT","ps":"BTCUSDT",
     "b":"84551.00","B":"2.646","a":"84551.10","A":"3.120","T":1790526539021,"E":1790526539022,"st":1}}

What makes a processor wait is a number's end, since all that follows is found from there. So a symbol is as long as in
the stream's name, which also says where to look for it, and a price as long as the instrument's last one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, leaf
from ..model.tape import Flag, Kind
from .binance_usdm_fields import in_units, times_ok, units_ok
from .scan import FAIL, Symbols, find_from, read_new_shape, read_number, read_shaped, shape_of, slot_of
from .words import (
    MAX_TEXT,
    WORD,
    Text,
    begin_alike,
    below,
    byte_at,
    digits_at,
    head_before,
    matches,
    tail_before,
    text,
    word_at,
)

_KIND_TRADE, _KIND_QUOTE = int(Kind.TRADE), int(Kind.QUOTE)
_AGGREGATE, _SELL = int(Flag.AGGREGATE), int(Flag.SELL)
_CLOSING, _CLOSE, _ZERO = ord('"'), ord("}"), ord("0")
_MS_DIGITS = 13
"""Digits of every time that is in range."""
_LONGEST_NAME = MAX_TEXT
"""Longer symbols, none as yet, are read in any order: two words tell whether one of these is another's."""

USUAL_AGG_TRADE, USUAL_BOOK_TICKER = text('aggTrade","E":'), text('bookTicker","u":')
_AGG_TRADE, _BOOK_TICKER = len("@aggTrade"), len("@bookTicker")
_ID, _SYMBOL, _PRICE, _QTY, _QTY2 = text(',"a":'), text(',"s":"'), text('","p":"'), text('","q":"'), text('","nq":"')
_FIRST, _LAST, _TIME, _EVENT_TIME = text('","f":'), text(',"l":'), text(',"T":'), text(',"E":')
_PAIR, _BID, _BID_QTY = text('","ps":"'), text('","b":"'), text('","B":"')
_ASK, _ASK_QTY, _QUOTE_TIME = text('","a":"'), text('","A":"'), text('","T":')
_SOLD, _BOUGHT, _USD_MARGINED = text(',"m":true'), text(',"m":false'), text(',"st":1}')


@leaf
def usual_agg_trade(
    buf: NDArray[np.uint8], p: int, name: int, name_end: int, recv_ns: int, symbols: Symbols, row: Record
) -> int:
    """An aggTrade from the number behind `USUAL_AGG_TRADE` on, of the stream whose name stands at `name`.

    `row` filled and the position behind the event, or FAIL.
    """
    length = name_end - name - _AGG_TRADE
    if not 0 < length <= _LONGEST_NAME:
        return FAIL
    slot = slot_of(symbols, buf, name, length)
    event_at = p
    p, ms_head, event_ms = _ms(buf, p)
    p, _, _, number = _int(buf, _behind(buf, p, _ID))
    p = _behind(buf, p, _SYMBOL)
    i = find_from(symbols, slot, buf, p, length) if p != FAIL else np.int64(-1)
    if i < 0:
        return FAIL
    known = symbols.known[np.uint64(i)]
    decimals, units = known.lot_decimals, known.lot_units
    p, price = _price(buf, _behind(buf, p + length, _PRICE), known, _QTY)
    start = p
    p, qty = _quantity(buf, p, decimals, units)
    repeated = p + _QTY2.length
    qty2 = qty
    if _is_repeated(buf, start, p, repeated):
        p = repeated + p - start
    else:
        p, qty2 = _quantity(buf, _behind(buf, p, _QTY2), decimals, units)
    first_at = _behind(buf, p, _FIRST)
    p, digits, id_head, first_id = _int(buf, first_at)
    p, last_id = _near(buf, _behind(buf, p, _LAST), first_at, digits, id_head)
    p, ts_ms = _near(buf, _behind(buf, p, _TIME), event_at, np.int64(_MS_DIGITS), ms_head)
    if p == FAIL or price == 0 or qty == 0 or not (units_ok(price, qty) and times_ok(event_ms, ts_ms, recv_ns)):
        return FAIL
    sold = matches(buf, p, _SOLD)  # as likely as not: a choice between numbers costs no mispredicted branch
    if not sold | matches(buf, p, _BOUGHT):
        return FAIL
    row.kind = _KIND_TRADE
    row.flags = _AGGREGATE | (_SELL if sold else 0)
    row.instrument = i
    row.recv_ns = recv_ns
    row.event_ms = event_ms
    row.ts_ms = ts_ms
    row.id = number
    row.first_id = first_id
    row.last_id = last_id
    row.prev_id = 0
    row.price = price
    row.qty = qty
    row.price2 = 0
    row.qty2 = qty2
    _no_levels(row)
    return _end(buf, p + (_SOLD.length if sold else _BOUGHT.length))


@leaf
def usual_book_ticker(
    buf: NDArray[np.uint8], p: int, name: int, name_end: int, recv_ns: int, symbols: Symbols, row: Record
) -> int:
    """A bookTicker from the number behind `USUAL_BOOK_TICKER` on: as `usual_agg_trade`."""
    length = name_end - name - _BOOK_TICKER
    if not 0 < length <= _LONGEST_NAME:
        return FAIL
    slot = slot_of(symbols, buf, name, length)
    p, _, _, number = _int(buf, p)
    symbol = _behind(buf, p, _SYMBOL)
    i = find_from(symbols, slot, buf, symbol, length) if symbol != FAIL else np.int64(-1)
    if i < 0:
        return FAIL
    p = symbol + length
    if matches(buf, p, _PAIR) and _is_same(buf, symbol, p + _PAIR.length, length):
        p += _PAIR.length + length
    known = symbols.known[np.uint64(i)]
    decimals, units = known.lot_decimals, known.lot_units
    p, bid = _price(buf, _behind(buf, p, _BID), known, _BID_QTY)
    p, bid_lots = _quantity(buf, p, decimals, units)
    p, ask = _price(buf, _behind(buf, p, _ASK), known, _ASK_QTY)
    p, ask_lots = _quantity(buf, p, decimals, units)
    quote_at = _behind(buf, p, _QUOTE_TIME)
    p, ms_head, ts_ms = _ms(buf, quote_at)
    p, event_ms = _near(buf, _behind(buf, p, _EVENT_TIME), quote_at, np.int64(_MS_DIGITS), ms_head)
    if p == FAIL or not (units_ok(bid, bid_lots) and units_ok(ask, ask_lots) and times_ok(event_ms, ts_ms, recv_ns)):
        return FAIL
    row.kind = _KIND_QUOTE
    row.flags = 0
    row.instrument = i
    row.recv_ns = recv_ns
    row.event_ms = event_ms
    row.ts_ms = ts_ms
    row.id = number
    row.first_id = 0
    row.last_id = 0
    row.prev_id = 0
    row.price = bid
    row.qty = bid_lots
    row.price2 = ask
    row.qty2 = ask_lots
    _no_levels(row)
    return _end(buf, p)


@leaf
def _no_levels(row: Record) -> None:
    row.level_at = 0
    row.bids = 0
    row.asks = 0
    row.reserved = 0


@leaf
def _behind(buf: NDArray[np.uint8], p: int, wanted: Text) -> int:
    """The position behind `wanted`, if that stands at `p`."""
    return p + wanted.length if p != FAIL and matches(buf, p, wanted) else FAIL


@leaf
def _ms(buf: NDArray[np.uint8], p: int) -> tuple[int, int, int]:
    """The time at `p`: the position behind it, which the caller looks at, what its first digits are worth, and all."""
    if p == FAIL or digits_at(buf, p) != _MS_DIGITS:
        return FAIL, np.int64(0), np.int64(0)
    p += _MS_DIGITS
    head = head_before(buf, p, _MS_DIGITS)
    return p, head, head + tail_before(buf, p, _MS_DIGITS)


@leaf
def _int(buf: NDArray[np.uint8], p: int) -> tuple[int, int, int, int]:
    """The whole number at `p`, up to 15 digits: as `_ms`, and behind the position how many digits it has."""
    if p == FAIL:
        return FAIL, np.int64(0), np.int64(0), np.int64(0)
    digits = digits_at(buf, p)
    if (digits == 0) | (digits == MAX_TEXT) | (byte_at(buf, p) == _ZERO):
        return FAIL, np.int64(0), np.int64(0), np.int64(0)
    p += digits
    head = head_before(buf, p, digits)
    return p, digits, head, head + tail_before(buf, p, digits)


@leaf
def _near(buf: NDArray[np.uint8], p: int, other: int, digits: int, head: int) -> tuple[int, int]:
    """The whole number at `p` if it has the digits of the one at `other` but for the last eight, worth `head`.

    So it is with two times and with the two ends of a few ids, but where they lie on both sides of a round number.
    """
    if p == FAIL or digits_at(buf, p) != digits or byte_at(buf, p) == _ZERO or not begin_alike(buf, p, other, digits):
        return FAIL, np.int64(0)
    return p + digits, head + tail_before(buf, p + digits, digits)


@leaf
def _price(buf: NDArray[np.uint8], p: int, known: Record, following: Text) -> tuple[int, int]:
    """The price at `p`, in ticks, and the position behind what has to follow it."""
    if p == FAIL:
        return FAIL, np.int64(0)
    shape = shape_of(known)
    end = p + shape.length
    value = read_shaped(buf, p, shape) if shape.length and matches(buf, end, following) else np.int64(FAIL)
    if value == FAIL:
        end, value = read_new_shape(buf, p - 1, known)
        end = FAIL if end == FAIL or not matches(buf, end - 1, following) else end - 1
    end, value = in_units(end, value, known.tick_units)
    return end + following.length if end != FAIL else FAIL, value


@leaf
def _quantity(buf: NDArray[np.uint8], p: int, decimals: int, units: int) -> tuple[int, int]:
    """The quantity at `p`, in lots, and the position of the quote behind it."""
    if p == FAIL:
        return FAIL, np.int64(0)
    p, value = read_number(buf, p, decimals, _CLOSING)
    p, value = in_units(p, value, units)
    return p - 1 if p != FAIL else FAIL, value


@leaf
def _is_repeated(buf: NDArray[np.uint8], start: int, p: int, again: int) -> bool:
    """Whether `nq` says what stands from `start` to `p`, as it does unless an RPI order took part."""
    if p == FAIL or p - start > WORD or not matches(buf, p, _QTY2):
        return False
    return bool((word_at(buf, start) ^ word_at(buf, again)) & below(p - start) == 0)


@leaf
def _is_same(buf: NDArray[np.uint8], one: int, other: int, length: int) -> bool:
    """Whether the same `length` bytes stand at two places."""
    part = min(length, WORD)
    head = word_at(buf, one) ^ word_at(buf, other)
    tail = word_at(buf, one + length - part) ^ word_at(buf, other + length - part)
    return bool((head | tail) & below(part) == 0)


@leaf
def _end(buf: NDArray[np.uint8], p: int) -> int:
    """Behind the closing brace, before which the kind of contract may stand."""
    if matches(buf, p, _USD_MARGINED):
        return p + _USD_MARGINED.length
    return p + 1 if byte_at(buf, p) == _CLOSE else FAIL
