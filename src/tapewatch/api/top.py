"""/ws/{symbol}: the top of one book, once a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ..engine import Engine
from ..hub.columns import Clock, Market
from ..hub.hub import Payloads
from ..hub.requests import Request, checked, find_instrument, find_market
from ..model.instrument import Instrument
from ..model.views import BookState, BookView
from .features import read_study, sample_rows
from .numbers import exact, grid_printer, printer, to_json

LEVELS = 10

WHY_NOT = {
    BookState.OFF: "no book of this symbol is kept; see venues.<exchange>.book_symbols",
    BookState.WAITING: "the book waits for its snapshot",
    BookState.STALE: "the book is being resynchronised",
}
"""Why there is no book to show, by its state."""

OF_THE_SECOND = ("ofi_ckS", "ofi_levels", "stoikov_microprice", "trade_flow_imbalance")
"""Figures of the newest whole second of the venue's time that stand beside the others; `features` holds them all."""
FIGURES = ("mid_price", "spread", "imbalance", "ofi", "microprice")


class TopParams(Struct, frozen=True):
    """The query of /ws/{symbol}."""

    exchange: str = "binance"


def top_request(markets: Mapping[str, Market], symbol: str, query: Mapping[str, str], clock: Clock) -> Request:
    """Check symbol and query; everybody who watches a symbol shares one topic."""
    asked = checked(TopParams, query)
    market = find_market(markets, asked.exchange)
    name = find_instrument(market, symbol).symbol
    key = f"top:{asked.exchange}:{name}"
    return Request(key, lambda: Top(key, market, name, clock))


class Top:
    """Mid, spread, microprice, imbalance and ten levels a side; `ofi` is that of the second just passed.

    The first message comes when a whole second has been watched. While the book is not live all figures are null and
    `reason` says why.
    """

    period_s = 1.0

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        self.key = key
        self._market = market
        self._symbol = symbol
        self._clock = clock
        self._engine: Engine | None = None
        self._ofi_before: int | None = None
        self._message: Payloads = ()

    def refresh(self) -> Payloads:
        engine = self._market.engine
        instrument = engine.universe.get(self._symbol)
        ofi_now = engine.top10_ofi(instrument.index)
        engine.lab.study(instrument)
        view = engine.book(instrument.index, LEVELS)
        live = view.state is BookState.LIVE
        watched = engine is self._engine
        ofi = ofi_now - self._ofi_before if self._ofi_before is not None and watched and live else None
        self._engine, self._ofi_before = engine, ofi_now if live else None
        if watched:
            self._message = (to_json(self._content(view, ofi)).decode(),)
        return self._message

    def snapshot(self) -> Payloads:
        return self._message

    def close(self) -> None:
        """Let the engine stop summing the changes of this book's best levels."""
        engine = self._market.engine
        engine.unwatch_top10(engine.universe.get(self._symbol).index)

    def _content(self, view: BookView, ofi: int | None) -> dict[str, Any]:
        head = {
            "exchange": self._market.name,
            "symbol": self._symbol,
            "ts": view.event_ms or None,
            "server_ts": self._clock(),
            "in_sync": view.state is BookState.LIVE,
        }
        reason = WHY_NOT.get(view.state) or (None if len(view.bids) and len(view.asks) else "one side is empty")
        newest = self._features(view.instrument)
        head |= {name: newest[name] if newest else None for name in OF_THE_SECOND} | {"features": newest}
        if reason is not None:
            return head | dict.fromkeys(FIGURES) | {"bid_levels": [], "ask_levels": [], "reason": reason}
        figures = top_figures(view.instrument, view.bids, view.asks)
        lots = grid_printer(view.instrument.lot)
        figures["ofi"] = None if ofi is None else exact(lots(ofi))
        levels = {
            "bid_levels": level_pairs(view.instrument, view.bids),
            "ask_levels": level_pairs(view.instrument, view.asks),
        }
        return head | figures | levels | {"reason": None}

    def _features(self, instrument: Instrument) -> dict[str, Any] | None:
        """The newest whole second of /api/features; None until there is one."""
        samples, columns, _ = read_study(self._market.engine.lab.study(instrument))
        newest = {name: values[-1:] for name, values in columns.items()}
        return sample_rows(instrument, samples[-1:], newest)[0] if len(samples) else None


def top_figures(instrument: Instrument, bids: NDArray[np.int64], asks: NDArray[np.int64]) -> dict[str, Any]:
    """Mid price and spread exactly, imbalance of the given levels and microprice (contract section 5) as floats."""
    (bid, bid_lots), (ask, ask_lots) = map(int, bids[0]), map(int, asks[0])
    tick = instrument.tick
    half = printer(tick.units * 5, tick.decimals + 1)  # half a tick, exactly
    standing = int(bids[:, 1].sum()), int(asks[:, 1].sum())
    microprice = tick.to_float((ask * bid_lots + bid * ask_lots) / (bid_lots + ask_lots))
    return {
        "mid_price": exact(half(bid + ask)),
        "spread": exact(grid_printer(tick)(ask - bid)),
        "imbalance": (standing[0] - standing[1]) / (standing[0] + standing[1]),
        "microprice": round(microprice, tick.decimals + 6),
    }


def level_pairs(instrument: Instrument, side: NDArray[np.int64]) -> Any:
    """``[[price, quantity], …]`` with the numbers printed exactly."""
    price, lots = grid_printer(instrument.tick), grid_printer(instrument.lot)
    return exact("[" + ",".join(f"[{price(p)},{lots(q)}]" for p, q in side.tolist()) + "]")
