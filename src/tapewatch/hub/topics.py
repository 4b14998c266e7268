"""The topics of the page: imbalance, big flow, liquidations, footprint and status, as columns of exact integers.

Prices are ticks, quantities lots, times ms, all in f8 columns (exact below 2**53); money is quote currency as a float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.gaps import Cause, Fate
from ..model.instrument import Grid, Instrument
from ..model.tape import E8
from ..model.views import BIG_FLOW, CANDLE, CELL, LIQUIDATION, WINDOWS_S, Footprint
from .columns import Clock, ColumnTopic, Content, Market
from .wire import Column

WINDOW_NAMES = ("10s", "1m", "5m", "15m")
"""Names of `WINDOWS_S`, in its order."""
MINUTE_MS = 60_000
MINUTES_SHOWN = 60

Rows = NDArray[np.void]


def grid_pair(grid: Grid) -> list[int]:
    """How a grid travels: ``[units, decimals]``."""
    return [grid.units, grid.decimals]


def quote_value(instrument: Instrument, units: int) -> float:
    """Quote currency of ticks x lots, rounded once."""
    scale = instrument.tick.units * instrument.lot.units
    return float(int(units) * scale / 10 ** (instrument.tick.decimals + instrument.lot.decimals))


def liquidation_value(instrument: Instrument, price_e8: int, lots: int) -> float:
    """Quote currency of a liquidation at its average fill price, rounded once."""
    return float(int(price_e8) * int(lots) * instrument.lot.units / (E8 * 10**instrument.lot.decimals))


def _float_columns(rows: Rows, names: Sequence[str]) -> list[Column]:
    return [(name, rows[name].astype(np.float64)) for name in names]


class Imbalance(ColumnTopic):
    """One row an instrument. A new listing or a new grid changes what rows mean: everybody gets a snapshot."""

    topic = "imbalance"
    period_s = 0.5

    def __init__(self, key: str, market: Market, clock: Clock) -> None:
        super().__init__(key, clock)
        self._market = market
        self._instruments: list[Instrument] = []
        self._values: NDArray[np.float64] = np.zeros((len(self._names()), 0))
        self._reshaped = False

    @staticmethod
    def _names() -> list[str]:
        return [
            *(f"{kind}_{window}" for window in WINDOW_NAMES for kind in ("buy", "sell", "net", "ti")),
            *("bi", "last", "last_ms", "chg24", "qv24"),
        ]

    def collect(self) -> Content | None:
        instruments = list(self._market.engine.universe)
        values = self._read(instruments)
        self._reshaped = instruments != self._instruments
        before, self._values, self._instruments = self._values, values, instruments
        if self._reshaped:
            return self.whole()
        same = (values == before) | (np.isnan(values) & np.isnan(before))
        changed = np.flatnonzero(~same.all(axis=0))
        return self._content(changed, {}) if len(changed) or not self._seq else None

    def changed_shape(self) -> bool:
        return self._reshaped

    def whole(self) -> Content:
        meta = {
            "symbols": [instrument.symbol for instrument in self._instruments],
            "ticks": [grid_pair(instrument.tick) for instrument in self._instruments],
            "lots": [grid_pair(instrument.lot) for instrument in self._instruments],
        }
        return self._content(np.arange(len(self._instruments)), meta)

    def _content(self, rows: NDArray[np.intp], meta: dict[str, Any]) -> Content:
        columns: list[Column] = [("i", rows.astype(np.int32))]
        columns += [(name, self._values[k, rows]) for k, name in enumerate(self._names())]
        return Content(columns, meta)

    def _read(self, instruments: list[Instrument]) -> NDArray[np.float64]:
        view = self._market.engine.imbalance()
        scale = np.array([instrument.notional_scale() for instrument in instruments])
        columns: list[NDArray[Any]] = []
        for w in range(len(WINDOWS_S)):
            buy, sell = view["buy"][:, w], view["sell"][:, w]
            net = (view["buy_quote"][:, w] - view["sell_quote"][:, w]) * scale
            columns += [buy, sell, net, balance(buy, sell)]
        book_bid, book_ask = view["book_bid"], view["book_ask"]
        columns.append(np.where(book_bid + book_ask > 0, balance(book_bid, book_ask), np.nan))
        columns.append(np.where(view["last_ms"] > 0, view["last"], np.nan))
        columns.append(view["last_ms"])
        tickers = [self._market.tickers.get(instrument.symbol) for instrument in instruments]
        columns.append(np.array([float(t.change_percent) if t else np.nan for t in tickers]))
        columns.append(np.array([float(t.quote_volume) if t else np.nan for t in tickers]))
        return np.array(columns, np.float64).reshape(len(columns), len(instruments))


def balance(more: NDArray[np.int64], less: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(more - less) / (more + less)`` in [-1, 1]; 0 where both are 0."""
    total = more + less
    return np.asarray((more - less) / np.where(total > 0, total, 1), np.float64)


class BigFlow(ColumnTopic):
    """The newest `limit` episodes; a delta holds new and changed ones, whole."""

    topic = "bigflow"
    period_s = 0.25

    def __init__(self, key: str, market: Market, limit: int, clock: Clock) -> None:
        super().__init__(key, clock)
        self._market = market
        self._limit = limit
        self._engine: Engine | None = None
        self._rows: Rows = np.zeros(0, BIG_FLOW)
        self._seen = 0
        self._replaced = False

    def collect(self) -> Content | None:
        engine = self._market.engine
        self._replaced = engine is not self._engine
        if self._replaced:
            self._engine, self._seen = engine, 0
        changed = engine.big_flow(self._seen, self._limit)
        if not len(changed) and not self._replaced:
            return None
        self._rows = engine.big_flow(0, self._limit)
        self._seen = int(self._rows["seq"][-1]) if len(self._rows) else 0
        return self._content(changed)

    def changed_shape(self) -> bool:
        return self._replaced

    def whole(self) -> Content:
        return self._content(self._rows)

    def _content(self, rows: Rows) -> Content:
        universe = self._market.engine.universe
        on = [universe[int(i)] for i in rows["instrument"]]
        price = [one.tick.to_float(float(vwap)) for one, vwap in zip(on, rows["vwap"], strict=True)]
        notional = [quote_value(one, q) for one, q in zip(on, rows["quote"], strict=True)]
        depth = [quote_value(one, q) if q >= 0 else np.nan for one, q in zip(on, rows["depth_quote"], strict=True)]
        columns = _float_columns(rows, ("id", "rule", "start_ms", "ts_ms", "qty", "low", "high"))
        columns += [
            ("i", rows["instrument"].astype(np.int32)),
            ("side", 1.0 - 2.0 * rows["sell"]),
            ("price", np.array(price, np.float64)),
            ("notional", np.array(notional, np.float64)),
            *_float_columns(rows, ("levels", "trades", "open")),
            ("depth10", np.array(depth, np.float64)),
            ("pct", rows["pct_of_adv"].astype(np.float64)),
        ]
        return Content(columns, {"limit": self._limit})


class Liquidations(ColumnTopic):
    """The newest `limit` liquidations; a delta holds new ones. Per-minute totals of the last hour ride along."""

    topic = "liquidations"
    period_s = 0.25

    def __init__(self, key: str, market: Market, limit: int, clock: Clock) -> None:
        super().__init__(key, clock)
        self._market = market
        self._limit = limit
        self._engine: Engine | None = None
        self._rows: Rows = np.zeros(0, LIQUIDATION)
        self._minutes: dict[int, list[float]] = {}
        self._replaced = False

    def collect(self) -> Content | None:
        engine = self._market.engine
        self._replaced = engine is not self._engine
        if self._replaced:
            self._engine, self._rows, self._minutes = engine, np.zeros(0, LIQUIDATION), {}
        seen = int(self._rows["seq"][-1]) if len(self._rows) else 0
        new = engine.liquidations(seen, 1 << 20)
        if not len(new) and not self._replaced:
            return None
        self._rows = np.concatenate([self._rows, new])[-self._limit :]
        self._count(new)
        return self._content(new[-self._limit :])

    def changed_shape(self) -> bool:
        return self._replaced

    def whole(self) -> Content:
        return self._content(self._rows)

    def _count(self, rows: Rows) -> None:
        """Add rows to the minutes they happened in and forget minutes that are no longer shown."""
        universe = self._market.engine.universe
        newest = max([*self._minutes, *rows["ts_ms"][-1:].tolist()], default=0)
        for row in rows[rows["ts_ms"] > newest - (MINUTES_SHOWN + 1) * MINUTE_MS]:
            minute = int(row["ts_ms"]) // MINUTE_MS * MINUTE_MS
            totals = self._minutes.setdefault(minute, [0.0, 0.0, 0, 0])
            short = 0 if row["long"] else 1
            totals[short] += liquidation_value(universe[int(row["instrument"])], row["price_e8"], row["qty"])
            totals[2 + short] += 1
        oldest = max(self._minutes, default=0) - (MINUTES_SHOWN - 1) * MINUTE_MS
        self._minutes = {minute: totals for minute, totals in sorted(self._minutes.items()) if minute >= oldest}

    def _content(self, rows: Rows) -> Content:
        universe = self._market.engine.universe
        notional = [liquidation_value(universe[int(r["instrument"])], r["price_e8"], r["qty"]) for r in rows]
        columns: list[Column] = [
            ("i", rows["instrument"].astype(np.int32)),
            *_float_columns(rows, ("seq", "ts_ms", "event_ms", "long", "qty")),
            ("price", rows["price_e8"] / E8),
            ("notional", np.array(notional, np.float64)),
        ]
        minutes = [[minute, *totals] for minute, totals in self._minutes.items()]
        return Content(columns, {"limit": self._limit, "minutes": minutes})


CANDLE_COLUMNS = ("open_ms", "open", "high", "low", "close", "bid", "ask", "n", "cvd", "poc", "vah", "val", "quote")
GAPS_SHOWN = 64
"""Newest gaps told beside a footprint; /api/coverage tells all."""
CELL_COLUMNS = {"p": "price", "bid": "bid", "ask": "ask", "n": "n"}
LONG_CANDLE_MS = 3_600_000
"""Beyond it a candle adds up so many cells that it is built once a second at most."""
_COMPARED = [name for name in CANDLE.names or () if name != "cell_at"]
"""Every trade changes its candle's `n`, so cells differ only where these do; but klines tell `n` before trades come."""


class FootprintTopic(ColumnTopic):
    """Candles with their cells; a delta holds the changed candles whole."""

    topic = "footprint"
    period_s = 0.1

    def __init__(
        self, key: str, market: Market, symbol: str, tf_ms: int, step: str, lookback: int, clock: Clock
    ) -> None:
        super().__init__(key, clock)
        self.period_s = 1.0 if tf_ms > LONG_CANDLE_MS else FootprintTopic.period_s
        self._market = market
        self._symbol = symbol
        self._tf_ms = tf_ms
        self._step = step
        self._lookback = lookback
        self._trade_seq = -1
        self._shown: Footprint | None = None
        self._regridded = False

    def collect(self) -> Content | None:
        engine = self._market.engine
        instrument = engine.universe.get(self._symbol)
        regridded = self._shown is None or self._shown.instrument != instrument
        trade_seq = engine.trade_seq(instrument.index)
        if trade_seq == self._trade_seq and not regridded:
            return None
        self._trade_seq = trade_seq
        now = engine.footprint(instrument.index, self._tf_ms, instrument.step_ticks(self._step), self._lookback)
        before, self._shown, self._regridded = self._shown, now, regridded
        if before is None or regridded:
            return self._content(now, np.arange(len(now.candles)))
        changed = changed_candles(before, now)
        return self._content(now, changed) if len(changed) else None

    def changed_shape(self) -> bool:
        return self._regridded

    def whole(self) -> Content:
        if self._shown is None:
            raise RuntimeError("a topic is refreshed before it is shown")
        return self._content(self._shown, np.arange(len(self._shown.candles)))

    def _content(self, shown: Footprint, which: NDArray[np.intp]) -> Content:
        candles = shown.candles[which]
        runs = [shown.cells[at : at + n] for at, n in zip(candles["cell_at"], candles["cells"], strict=True)]
        cells = np.concatenate(runs) if runs else np.zeros(0, CELL)
        named = (*CANDLE_COLUMNS, "gap", "klines", "cells")
        columns = [(f"c_{name}", candles[name].astype(np.float64)) for name in named]
        columns += [(short, cells[name].astype(np.float64)) for short, name in CELL_COLUMNS.items()]
        engine, i = self._market.engine, shown.instrument.index
        since_ms = int(shown.candles["open_ms"][0]) if len(shown.candles) else 0
        meta = {
            "symbol": self._symbol,
            "cvd_since": engine.cvd_since_ms(i),
            "trades_since": engine.counted_since_ms(i),
            "gaps": gap_list(engine.gaps(i), since_ms)[-GAPS_SHOWN:],
            "tf_ms": shown.tf_ms,
            "step_ticks": shown.step_ticks,
            "tick": grid_pair(shown.instrument.tick),
            "lot": grid_pair(shown.instrument.lot),
        }
        return Content(columns, meta)


def gap_list(gaps: Rows, since_ms: int = 0) -> list[dict[str, Any]]:
    """`GAP` rows that end at or after `since_ms`, as plain data."""
    return [
        {
            "from_ts": int(gap["from_ms"]),
            "to_ts": int(gap["to_ms"]),
            "first_id": int(gap["first_id"]),
            "last_id": int(gap["last_id"]),
            "cause": Cause(gap["cause"]).name.lower(),
            "fate": Fate(gap["fate"]).name.lower(),
        }
        for gap in gaps[gaps["to_ms"] >= since_ms]
    ]


def changed_candles(before: Footprint, now: Footprint) -> NDArray[np.intp]:
    """Positions in `now` of candles that are new or differ. Both are ascending and gapless in time."""
    was, are = before.candles, now.candles
    changed = np.ones(len(are), bool)
    if len(was) and len(are):
        _, old, new = np.intersect1d(was["open_ms"], are["open_ms"], assume_unique=True, return_indices=True)
        changed[new] = was[_COMPARED][old] != are[_COMPARED][new]
        told = ~changed[new] & (are["klines"][new] > 0) & (are["cells"][new] > 0)
        for at, k in zip(old[told], new[told], strict=True):
            changed[k] = not np.array_equal(cells_of(before, at), cells_of(now, k))
    return np.flatnonzero(changed)


def cells_of(shown: Footprint, k: int) -> Rows:
    """The price levels of candle `k`."""
    candle = shown.candles[k]
    return shown.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]


class Status(ColumnTopic):
    """How the feeds stand; `read` gives it as plain data."""

    topic = "status"
    period_s = 1.0

    def __init__(self, key: str, read: Callable[[], dict[str, Any]], clock: Clock, period_s: float = period_s) -> None:
        super().__init__(key, clock)
        self.period_s = period_s
        self._read = read
        self._status: dict[str, Any] = {}

    def collect(self) -> Content | None:
        self._status = self._read()
        return self.whole()

    def whole(self) -> Content:
        return Content([], self._status)
