"""One-minute klines of Binance, futures and spot alike: what each minute's buyers and sellers traded.

    [1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499040059999,
     "2434.19055334",308,"1756.87402397","28.46694368","0"]

Open time, open, high, low, close, volume, close time, quote volume, trades, taker buy volume, taker buy quote volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ..model.errors import FrameError
from ..model.instrument import Instrument
from ..model.views import KLINE
from .checks import of_instrument, read_json
from .decimals import MAX_INT, count_in

MINUTE_MS = 60_000

Count = Annotated[int, Meta(ge=0, lt=2**53)]


class _Row(msgspec.Struct, array_like=True):
    open_ms: Count
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_ms: Count
    quote: str
    trades: Count
    bought: str
    bought_quote: str


_rows = msgspec.json.Decoder(list[_Row])


def minute_klines(bodies: Sequence[bytes], instrument: Instrument) -> NDArray[np.void]:
    """See `Product.minute_klines`. Sums of money are rounded to a tick x lot, half even."""
    rows: list[_Row] = [row for body in bodies for row in read_json(_rows, body)]
    out = np.zeros(len(rows), KLINE)
    with of_instrument(instrument):
        for at, row in enumerate(rows):
            out[at] = _kline(row, instrument)
    if len(out) and (out["open_ms"] != out["open_ms"][0] + MINUTE_MS * np.arange(len(out))).any():
        raise FrameError("bad_klines", f"minutes of {instrument.symbol} are left out or come twice")
    return out


def _kline(row: _Row, on: Instrument) -> tuple[int, ...]:
    prices = [count_in(text, on.tick, "price") for text in (row.open, row.high, row.low, row.close)]
    volume, bought = count_in(row.volume, on.lot, "quantity"), count_in(row.bought, on.lot, "quantity")
    quote, bought_quote = _units(row.quote, on), _units(row.bought_quote, on)
    if not 0 <= bought <= volume or not 0 <= bought_quote <= quote < MAX_INT or row.open_ms % MINUTE_MS:
        raise FrameError("bad_klines", f"the minute {row.open_ms} of {on.symbol} cannot be")
    return row.open_ms, *prices, volume - bought, bought, quote - bought_quote, bought_quote, row.trades


def _units(text: str, on: Instrument) -> int:
    """Money as ticks x lots."""
    try:
        return int((Decimal(text) / (on.tick.value * on.lot.value)).to_integral_value(ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:
        raise FrameError("bad_klines", f"{text[:40]!r} is no sum of money") from error
