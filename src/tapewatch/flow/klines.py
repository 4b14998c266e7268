"""The venue's own one-minute candles (klines) of the day, for the time before the oldest trade held.

A kline tells exactly how much was bought and sold in its minute, not at which prices: CVD can begin at 00:00 UTC for
the price of one request, where a day of trades would take hundreds. Up to and including the minute of the oldest trade
held klines count, behind it trades do. When older trades come, that minute moves back and what they tell takes the
place of what klines told, minute by minute, until nothing of them is left.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..model.views import CANDLE, KLINE, Footprint
from .candles import DAY_MS, MINUTE_MS, Candles

Rows = NDArray[np.void]
NEVER = 1 << 62
"""A price above all."""
UNPACKED = 16


class DayKlines:
    """Klines by instrument: `KLINE` rows, a minute each and none left out, of the day on which they were asked for.

    A day of 550 instruments is 65 MB, of which what somebody looks at is a few: they are kept packed.
    """

    def __init__(self) -> None:
        self._packed: dict[int, tuple[int, int, bytes]] = {}
        """Opening of the first minute, number of minutes, and column by column their differences, compressed."""
        self._seen: OrderedDict[int, Rows] = OrderedDict()
        """The last ones that were looked at."""

    def put(self, i: int, rows: Rows) -> None:
        """Keep the klines of a day from its first minute on."""
        self._seen.pop(i, None)
        if not len(rows):
            self._packed.pop(i, None)
            return
        columns = np.stack([rows[name] for name in KLINE.names or ()])
        differences = np.diff(columns, axis=1, prepend=0)
        self._packed[i] = int(rows["open_ms"][0]), len(rows), zlib.compress(differences.tobytes(), 1)

    def _rows(self, i: int) -> Rows:
        rows = self._seen.get(i)
        if rows is None:
            _, minutes, packed = self._packed[i]
            columns = np.cumsum(np.frombuffer(zlib.decompress(packed), np.int64).reshape(-1, minutes), axis=1)
            rows = np.ascontiguousarray(columns.T).view(KLINE).reshape(-1)
            self._seen[i] = rows
            if len(self._seen) > UNPACKED:
                self._seen.popitem(last=False)
        self._seen.move_to_end(i)
        return rows

    def leading(self, i: int, first_ms: int) -> Rows:
        """Those that count before the oldest trade held, of `first_ms`; none where they do not reach its minute."""
        begins_ms, held, _ = self._packed.get(i, (0, 0, b""))
        minutes = (first_ms - begins_ms) // MINUTE_MS + 1
        if begins_ms // DAY_MS != first_ms // DAY_MS or not 0 < minutes <= held:
            return np.zeros(0, KLINE)
        return self._rows(i)[:minutes]

    def forget_old(self, minutes: Candles) -> None:
        """Let the days go whose last minute has left the ring: nothing is shown of them any more."""
        reach = minutes.newest - len(minutes.ring)
        old = [i for i, (begins_ms, held, _) in self._packed.items() if begins_ms // MINUTE_MS + held - 1 <= reach[i]]
        for i in old:
            del self._packed[i]
            self._seen.pop(i, None)

    @property
    def nbytes(self) -> int:
        """What all of them take."""
        seen = sum(rows.nbytes for rows in self._seen.values())
        return seen + sum(len(packed) for _, _, packed in self._packed.values())

    def rescale(self, i: int, price_factor: int, lot_factor: int) -> None:
        """Follow an instrument to a finer grid. Exact."""
        if i in self._packed:
            rows = self._rows(i)
            for name in ("open", "high", "low", "close"):
                rows[name] *= price_factor
            for name in ("bid", "ask"):
                rows[name] *= lot_factor
            for name in ("bid_quote", "ask_quote"):
                rows[name] *= price_factor * lot_factor
            self.put(i, rows)

    def compare(self, i: int, minutes: Candles, first_ms: int) -> tuple[int, int]:
        """Minutes told by both klines and trades without a gap, and in how many of them the volumes differ."""
        if i not in self._packed:
            return 0, 0
        rows = self._rows(i)
        rows = rows[rows["open_ms"] > first_ms]
        held = held_minutes(minutes, i, rows["open_ms"])
        whole = (rows["open_ms"] // MINUTE_MS > minutes.newest[i] - len(minutes.ring)) & (held["gap"] == 0)
        differ = (rows["bid"] != held["bid"]) | (rows["ask"] != held["ask"])
        return int(whole.sum()), int((whole & differ).sum())


def held_minutes(minutes: Candles, i: int, open_ms: NDArray[np.int64]) -> Rows:
    """What trades tell of these minutes: copies of their candles, zeros where none is held."""
    numbers = open_ms // MINUTE_MS
    rows: Rows = minutes.ring[numbers & (len(minutes.ring) - 1), i].copy()
    rows[rows["number"] != numbers] = np.zeros((), rows.dtype)
    return rows


def lead(view: Footprint, klines: Rows, minutes: Candles, lookback: int) -> Footprint:
    """The view of trades with `klines` before them: those that `DayKlines.leading` gives.

    CVD runs from 00:00 UTC. Candles of a minute or longer begin as far back as `lookback` allows; `klines` of a candle
    says how many of its minutes are told by klines. Those have no cells, and the candle no value area.
    """
    if not len(klines) or not len(view.candles):
        return view
    held = held_minutes(minutes, view.instrument.index, klines["open_ms"])
    # Where an older chain of trades ended, minutes before that may be whole without klines: those keep their profile.
    tells = (held["n"] == 0) | (klines["bid"] != held["bid"]) | (klines["ask"] != held["ask"])
    names = ("bid", "ask", "bid_quote", "ask_quote", "n")
    more = {name: np.where(tells, klines[name] - held[name], 0) for name in names}
    candles, opens = view.candles.copy(), view.candles["open_ms"]
    candles["cvd"][opens // DAY_MS == klines["open_ms"][0] // DAY_MS] += (more["ask"] - more["bid"]).sum()
    if view.tf_ms < MINUTE_MS:
        return replace(view, candles=candles)
    begins, traded = klines["open_ms"] // view.tf_ms * view.tf_ms, klines["n"] > 0
    oldest = begins[traded][:1].min(initial=opens[0])
    first = min(opens[0], max(oldest, opens[-1] - (lookback - 1) * view.tf_ms))
    before = np.zeros((opens[0] - first) // view.tf_ms, CANDLE)
    before["open_ms"] = first + view.tf_ms * np.arange(len(before))
    candles = np.concatenate([before, candles])
    untold = candles["n"] == 0  # by trades
    candles["low"][untold] = NEVER
    shown = begins >= first
    at = (begins[shown] - first) // view.tf_ms
    for name in ("bid", "ask", "n"):
        np.add.at(candles[name], at, more[name][shown])
    np.add.at(candles["quote"], at, (more["bid_quote"] + more["ask_quote"])[shown])
    lacking = at[tells[shown]]
    np.add.at(candles["klines"], lacking, 1)
    candles["poc"][lacking] = candles["vah"][lacking] = candles["val"][lacking] = -1
    # Of positions that come several times, the value that is assigned last stays.
    early = at < len(before)
    candles["cvd"][at[early]] = np.cumsum(klines["ask"] - klines["bid"])[shown][early]
    at, told = at[traded[shown]], klines[shown & traded]
    np.maximum.at(candles["high"], at, told["high"])
    np.minimum.at(candles["low"], at, told["low"])
    candles["open"][at[::-1]] = told["open"][::-1]
    candles["close"][at[untold[at]]] = told["close"][untold[at]]
    candles["low"][candles["n"] == 0] = 0
    return replace(view, candles=candles)
