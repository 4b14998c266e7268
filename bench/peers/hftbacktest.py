"""hftbacktest: its converter of raw captures, then its engine (Rust) that rebuilds the depth from the events.

An offline peer: it works on a whole file, so a set of one instrument is one slice. The file is written before the clock
runs; gzip only stores it.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest
from hftbacktest.data.utils.binancefutures import convert

from ..state import Level, State
from ..workload import Read, Workload

STEP_NS = 1_000_000_000
HIGHEST = 800_000.0
"""Prices up to here are kept, the vector's length: somebody asks 638,891 for a bitcoin."""


@numba.njit  # type: ignore[misc]
def _to_the_end(backtest: Any) -> int:
    steps = 0
    while backtest.elapse(STEP_NS) == 0:
        steps += 1
    return steps


@numba.njit  # type: ignore[misc]
def _levels(depth: Any, upper: int, bids: Any, asks: Any) -> None:
    for tick in range(upper):
        bids[tick] = depth.bid_qty_at_tick(tick)
        asks[tick] = depth.ask_qty_at_tick(tick)


class Backtest:
    """One book; prices and quantities are floats."""

    def __init__(self, workload: Workload) -> None:
        self._symbol = symbol = workload.symbols[0]
        self._tick = symbol.tick / 10**symbol.price_decimals
        self._lot = 1 / 10**symbol.lot_decimals
        self._rows = 200 * len(workload.frames) + 4000
        self._file = Path(tempfile.mkdtemp()) / "capture.gz"
        lines = [(workload.recv_ns, *workload.snapshots.values())]
        lines += [(workload.recv_ns + 1000 * k, frame) for k, frame in enumerate(workload.frames, 1)]
        with gzip.open(self._file, "wb", compresslevel=0) as out:
            for at, frame in lines:
                out.write(b"%d %b\n" % (at, frame))
        self._events: Any = None
        self._end: Any = None
        self.run([])  # compiles

    def _backtest(self) -> Any:
        """An engine at the beginning of `_events`. It takes their address and no reference: we have to hold them."""
        asset = (
            BacktestAsset()
            .data([self._events])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(self._tick)
            .lot_size(self._lot)
            .roi_lb(0.0)
            .roi_ub(HIGHEST)
        )
        return ROIVectorMarketDepthBacktest([asset])

    def _ticks(self) -> int:
        return int(HIGHEST / self._tick)

    def run(self, _: list[Read]) -> None:
        self._end = None  # before the events it reads are let go
        self._events = convert_quietly(self._file, self._rows)
        self._end = self._backtest()
        _to_the_end(self._end)

    def state(self) -> State:
        bids, asks = np.zeros(self._ticks()), np.zeros(self._ticks())
        _levels(self._end.depth(0), self._ticks(), bids, asks)
        sides: list[list[Level]] = []
        for held in (bids, asks):
            at = np.flatnonzero(held)
            lots = np.rint(held[at] / self._lot).astype(int)
            sides.append([(int(t) * self._symbol.tick, int(q)) for t, q in zip(at, lots, strict=True)])
        return State({self._symbol.name: (sides[0], sides[1])})


def convert_quietly(file: Path, rows: int) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return convert(str(file), combined_stream=True, buffer_size=rows)
