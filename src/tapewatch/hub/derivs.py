"""Topics of the derivatives panels: rows as the API tells them, in `meta`; CVD as columns.

A delta of rows holds, whole, the rows that are new or differ; what is gone makes a snapshot.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..derivs.cvd import CvdView, Unit
from ..derivs.derivs import Derivs
from ..engine import Engine
from ..model.instrument import Instrument
from .columns import Clock, ColumnTopic, Content, Market

Row = dict[str, Any]
Key = tuple[Any, ...]


class RowsTopic(ColumnTopic):
    """Rows with a name each; `head` goes with every frame."""

    def __init__(self, key: str, derivs: Derivs, clock: Clock) -> None:
        super().__init__(key, clock)
        self._derivs = derivs
        self._rows: dict[Key, Row] = {}
        self._head: Row = {}
        self._gone = False

    @abstractmethod
    def read(self) -> tuple[list[Row], Row]:
        """The rows of this moment, and what goes with them."""

    @abstractmethod
    def name(self, row: Row) -> Key:
        """What a row is about: the row of the same name is its newer self."""

    def collect(self) -> Content | None:
        rows, head = self.read()
        named = {self.name(row): row for row in rows}
        before, self._rows = self._rows, named
        self._gone = bool(before.keys() - named.keys())
        changed = [row for name, row in named.items() if before.get(name) != row]
        same_head, self._head = head == self._head, head
        if not changed and not self._gone and same_head and self._seq:
            return None
        return Content([], {**head, "rows": changed})

    def changed_shape(self) -> bool:
        return self._gone

    def whole(self) -> Content:
        return Content([], {**self._head, "rows": list(self._rows.values())})


class Basis(RowsTopic):
    """One row a derivative of a venue."""

    topic = "basis"
    period_s = 1.0

    def __init__(self, key: str, derivs: Derivs, exchange: str, clock: Clock) -> None:
        super().__init__(key, derivs, clock)
        self._exchange = exchange

    def read(self) -> tuple[list[Row], Row]:
        return self._derivs.basis(self._exchange), self._derivs.head(self._exchange)

    def name(self, row: Row) -> Key:
        return (row["symbol"],)


class Funding(Basis):
    """One row a perpetual of a venue."""

    topic = "funding"
    period_s = 2.0
    """A rate moves by minutes, and its percentile is taken over a day of them."""

    def read(self) -> tuple[list[Row], Row]:
        return self._derivs.funding(self._exchange), self._derivs.head(self._exchange)


class Interest(Basis):
    """One row a derivative of a venue. Money moves with every mark price: all rows, but not often."""

    topic = "interest"
    period_s = 5.0

    def read(self) -> tuple[list[Row], Row]:
        return self._derivs.interest(self._exchange), self._derivs.head(self._exchange)


class Whales(RowsTopic):
    """The newest `limit` whales of a venue or of all; `whale_flow` in every frame."""

    topic = "whales"
    period_s = 0.25

    def __init__(self, key: str, derivs: Derivs, exchange: str | None, limit: int, clock: Clock) -> None:
        super().__init__(key, derivs, clock)
        self._exchange = exchange
        self._limit = limit
        self._seen: tuple[int, ...] = ()
        self._flow_s = 0

    def collect(self) -> Content | None:
        seen, second = self._derivs.whale_seq(self._exchange), self._clock() // 1000
        if seen == self._seen and second == self._flow_s:
            return None
        self._seen, self._flow_s = seen, second
        return super().collect()

    def read(self) -> tuple[list[Row], Row]:
        head = {"limit": self._limit, "flow": self._derivs.whale_flow(self._exchange)}
        return self._derivs.whales(self._limit, self._exchange), head

    def name(self, row: Row) -> Key:
        return row["exchange"], row["id"]

    def changed_shape(self) -> bool:
        """Older rows leave at the end of the list: whoever keeps `limit` of them drops the same ones."""
        return self._gone and len(self._rows) < self._limit


class Flow(RowsTopic):
    """Order-flow imbalance: one row a market, in the order of the symbols asked for."""

    topic = "flow"
    period_s = 0.5

    def __init__(self, key: str, derivs: Derivs, market: Market, symbols: Sequence[str], clock: Clock) -> None:
        super().__init__(key, derivs, clock)
        self._market = market
        self._symbols = symbols

    def read(self) -> tuple[list[Row], Row]:
        universe = self._market.engine.universe
        rows = self._derivs.pressure([universe.get(symbol) for symbol in self._symbols])
        stale = self._derivs.stale(dict.fromkeys(row["exchange"] for row in rows))
        order = [[row["exchange"], row["symbol"]] for row in rows]
        return rows, {"ts": self._market.engine.clock_ms, "order": order, "stale": stale}

    def name(self, row: Row) -> Key:
        return row["exchange"], row["symbol"]


class Clusters(ColumnTopic):
    """Liquidations of one instrument by price; every message holds all of it."""

    topic = "clusters"
    period_s = 1.0

    def __init__(
        self, key: str, derivs: Derivs, market: Market, symbol: str, bucket: str, window_ms: int, clock: Clock
    ) -> None:
        super().__init__(key, clock)
        self._derivs = derivs
        self._market = market
        self._symbol = symbol
        self._bucket = bucket
        self._window_ms = window_ms
        self._shown: Row = {}

    def collect(self) -> Content | None:
        instrument = self._market.engine.universe.get(self._symbol)
        ticks = instrument.step_ticks(self._bucket) if self._bucket != "auto" else None
        told = self._derivs.clusters(self._market.name, instrument, ticks, self._window_ms)
        now = {"exchange": self._market.name, "symbol": self._symbol} | told
        if now == self._shown:
            return None
        self._shown = now
        return self.whole()

    def whole(self) -> Content:
        return Content([], self._shown)


class Cvd(ColumnTopic):
    """Price and net flow of every market of a coin, step by step; a delta replaces the steps from its first on."""

    topic = "cvd"
    period_s = 1.0

    def __init__(
        self, key: str, derivs: Derivs, market: Market, symbol: str, span: str, unit: Unit, clock: Clock
    ) -> None:
        super().__init__(key, clock)
        self._derivs = derivs
        self._market = market
        self._symbol = symbol
        self._span = span
        self._unit: Unit = unit
        self._steps: NDArray[np.int64] = np.zeros(0, np.int64)
        self._table: NDArray[np.float64] = np.zeros((0, 0))
        self._meta: Row = {}
        self._anew = False
        self._engine: Engine | None = None

    def collect(self) -> Content | None:
        engine = self._market.engine
        instrument = engine.universe.get(self._symbol)
        view = self._derivs.cvd(self._market.name, instrument, self._span, self._unit)
        steps, table = cvd_table(view)
        meta = cvd_head(self._market.name, instrument, view)
        meta["divergences"] = self._derivs.divergences(self._market.name, instrument, self._unit)
        self._anew = engine is not self._engine or meta["markets"] != self._meta.get("markets")
        self._engine = engine
        before = self._steps, self._table
        if not self._anew and meta == self._meta and np.array_equal(steps, before[0]):
            return None
        self._steps, self._table, self._meta = steps, table, meta
        return self._content(0 if self._anew else _first_change(before, (steps, table)))

    def changed_shape(self) -> bool:
        return self._anew

    def whole(self) -> Content:
        return self._content(0)

    def _content(self, first: int) -> Content:
        columns = [("ts_ms", self._steps[first:].astype(np.float64))]
        for k in range(len(self._meta["markets"])):
            columns += [(f"{what}_{k}", self._table[first:, 2 * k + n]) for n, what in enumerate(("price", "net"))]
        first_ms = int(self._steps[0]) if len(self._steps) else 0
        return Content(
            [(name, np.ascontiguousarray(values)) for name, values in columns], self._meta | {"first_ts": first_ms}
        )


def cvd_table(view: CvdView) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ends of the steps, ms, and a row a step: price and net flow of each market; NaN where it is not held."""
    numbers = (
        np.unique(np.concatenate([one.numbers for one in view.markets])) if view.markets else np.zeros(0, np.int64)
    )
    table = np.full((len(numbers), 2 * len(view.markets)), np.nan)
    for k, one in enumerate(view.markets):
        at = np.searchsorted(numbers, one.numbers)
        table[at, 2 * k], table[at, 2 * k + 1] = one.price, one.net
    return (numbers + 1) * view.step_ms, table


def cvd_head(exchange: str, instrument: Instrument, view: CvdView) -> Row:
    """Which markets the columns are of."""
    return {
        "exchange": exchange,
        "symbol": instrument.symbol,
        "span": view.span,
        "step_ms": view.step_ms,
        "unit": view.unit,
        "markets": [
            {
                "exchange": one.exchange,
                "symbol": one.instrument.symbol,
                "kind": one.instrument.kind,
                "decimals": one.instrument.tick.decimals,
            }
            for one in view.markets
        ],
        "since_ts": [int(one.numbers[0]) * view.step_ms for one in view.markets],
        "gaps": [one.gaps for one in view.markets],
        "missing": [{"exchange": name, "symbol": one.symbol, "why": why} for name, one, why in view.missing],
    }


def _first_change(
    before: tuple[NDArray[np.int64], NDArray[np.float64]], now: tuple[NDArray[np.int64], NDArray[np.float64]]
) -> int:
    """The first step of `now` that is new or differs."""
    common, old, new = np.intersect1d(before[0], now[0], assume_unique=True, return_indices=True)
    if not len(common):
        return 0
    one, other = before[1][old], now[1][new]
    same = ((one == other) | (np.isnan(one) & np.isnan(other))).all(axis=1)
    changed = np.flatnonzero(~same)
    return int(new[changed[0]]) if len(changed) else int(new[-1]) + 1
