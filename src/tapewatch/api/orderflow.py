"""/ws/orderflow: the footprint of one symbol as JSON, as contract section 4 writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from ..hub.columns import Clock, Market
from ..hub.hub import Payloads
from ..hub.requests import Lookback, Request, StepText, Timeframe, bin_text, checked, find_instrument, find_market
from ..hub.topics import changed_candles
from ..model.views import TIMEFRAMES_MS, Footprint
from .candles import candle_texts
from .numbers import to_json


class OrderflowParams(Struct, frozen=True):
    """The query of /ws/orderflow."""

    exchange: str = "binance"
    symbol: str = "BTCUSDT"
    tf: Timeframe = "1m"
    step: StepText = "0.5"
    lookback: Lookback = 30
    emit_ms: Annotated[int, Meta(ge=50, le=60_000)] = 300


def orderflow_request(markets: Mapping[str, Market], query: Mapping[str, str], clock: Clock) -> Request:
    """Check the query; equal questions share one topic."""
    asked = checked(OrderflowParams, query)
    market = find_market(markets, asked.exchange)
    instrument = find_instrument(market, asked.symbol)
    step = bin_text(market, instrument, asked.step)
    key = f"orderflow:{asked.exchange}:{instrument.symbol}:{asked.tf}:{step}:{asked.lookback}:{asked.emit_ms}"
    return Request(key, lambda: Orderflow(key, market, instrument.symbol, step, asked, clock))


class Orderflow:
    """Snapshot of the last candles, then the current candle whole on every change.

    When the next candle has begun, its predecessor is sent once more, final, and empty candles between follow; a
    change further back (a filled gap) brings a new snapshot.
    """

    def __init__(self, key: str, market: Market, symbol: str, step: str, asked: OrderflowParams, clock: Clock) -> None:
        self.key = key
        self.period_s = asked.emit_ms / 1000
        self._market = market
        self._symbol = symbol
        self._step = step
        self._asked = asked
        self._clock = clock
        self._trade_seq = -1
        self._shown: Footprint | None = None

    def refresh(self) -> Payloads:
        engine = self._market.engine
        instrument = engine.universe.get(self._symbol)
        trade_seq = engine.trade_seq(instrument.index)
        before = self._shown
        same_grid = before is not None and before.instrument == instrument
        if trade_seq == self._trade_seq and same_grid:
            return ()
        self._trade_seq = trade_seq
        tf_ms, step_ticks = TIMEFRAMES_MS[self._asked.tf], instrument.step_ticks(self._step)
        now = self._shown = engine.footprint(instrument.index, tf_ms, step_ticks, self._asked.lookback)
        if before is None or not same_grid or not len(before.candles):
            return self.snapshot()
        changed = changed_candles(before, now)
        if not len(changed):
            return ()
        current = np.searchsorted(now.candles["open_ms"], before.candles["open_ms"][-1])
        held = current < len(now.candles) and now.candles["open_ms"][current] == before.candles["open_ms"][-1]
        if not held or changed[0] < current:
            return self.snapshot()
        # From the candle that was current up to the one that is: all but the last are final.
        return self._deltas(now, range(int(current), len(now.candles)))

    def _deltas(self, shown: Footprint, which: range) -> Payloads:
        head = self._head("delta")
        texts = candle_texts(shown, which)
        return tuple(
            f'{head},"final":{"true" if k < len(shown.candles) - 1 else "false"},"candle":{text}}}'
            for k, text in zip(which, texts, strict=True)
        )

    def snapshot(self) -> Payloads:
        if self._shown is None:
            return ()
        candles = ",".join(candle_texts(self._shown, range(len(self._shown.candles))))
        return (f'{self._head("snapshot")},"candles":[{candles}]}}',)

    def close(self) -> None:
        """Nothing is kept in the engine for this topic."""

    def _head(self, kind: str) -> str:
        return (
            f'{{"type":"{kind}","exchange":"{self._market.name}","symbol":{to_json(self._symbol).decode()},'
            f'"tf_ms":{TIMEFRAMES_MS[self._asked.tf]},"step":{self._step},"server_ts":{self._clock()}'
        )
