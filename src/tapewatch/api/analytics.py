"""GET /api/analytics/…: statistics of live, stored and uploaded bars, computed in a process of their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from ..desk.bars import UPLOAD
from ..desk.questions import Ask, Kind
from ..hub.requests import Timeframe, find_instrument, find_market
from ..model.errors import NotFoundError, NotReadyError, TapewatchError, UsageError
from ..model.views import TIMEFRAMES_MS
from ..research.hedge import Method
from ..research.spread import Center
from . import schemas
from .market import UNKNOWN, Exchange
from .numbers import answer, now_ms
from .view import DeskView, VenueView

MOST_BARS = 50_000
MOST_SCANNED = 1_000


class Figures(schemas.Answer):
    """What was asked, and its answer; docs/research.md describes each."""

    kind: str
    server_ts: Annotated[int, Field(description="When it was answered, ms since the epoch.")]
    tf_ms: int
    result: dict[str, Any]


class ScanState(schemas.Answer):
    """How far a scan is, and in the end what it found or why it failed."""

    id: int
    state: Annotated[str, Field(description="running, done or failed.")]
    done: int
    of: int
    detail: Annotated[str, Field(description="Why it failed.")]
    result: Annotated[dict[str, Any] | None, Field(description="Symbols, pairs, candidates; null until it is done.")]


Series = Annotated[
    str,
    Query(
        description="`BTCUSDT` of `exchange`, `bybit:BTCUSDT`, or `upload:binance:NAME` for uploaded candles.",
        min_length=1,
        max_length=100,
    ),
]
TimeframeName = Annotated[Timeframe, Query(description="Length of a bar.")]
Bars = Annotated[int, Query(ge=20, le=MOST_BARS, description="Bars, counted back from `end`.")]
End = Annotated[
    int | None, Query(ge=1, le=1 << 43, description="Only bars that end by then, ms; else the newest there are.")
]
Window = Annotated[int, Query(ge=5, le=10_000, description="Bars of a rolling window.")]
Log = Annotated[bool, Query(description="Use logarithms of prices.")]
MethodName = Annotated[Method, Query(description="Least squares, Huber's, or orthogonal.")]
CenterName = Annotated[Center, Query(description="Mean and standard deviation, or median and MAD.")]
X = Annotated[Series, Query(description="The series that explains.")]
Y = Annotated[Series, Query(description="The series that is explained.")]


def _returns(model: type[schemas.Answer], words: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "description": words}, **UNKNOWN}


def analytics_routes(venues: Mapping[str, VenueView], desk: DeskView | None) -> APIRouter:
    """Routes that put questions to `desk`; without one they answer 503."""
    api = APIRouter(prefix="/api/analytics", default_response_class=Response)
    scans = Scans(desk)

    def name_of(series: str, exchange: str) -> str:
        """The full name of a series; raises NotFoundError where a live venue does not know it."""
        first, _, rest = series.partition(":")
        if first == UPLOAD:
            if not rest:
                raise UsageError(f"{series!r} names no upload; wanted: {UPLOAD}:binance:NAME")
            return series if ":" in rest else f"{UPLOAD}:{exchange}:{rest}"
        venue, symbol = (first, rest) if rest else (exchange, first)
        return f"{venue}:{find_instrument(find_market(venues, venue), symbol).symbol}"

    async def figures(
        kind: Kind, exchange: str, names: tuple[str, ...], tf: str, count: int, end: int | None, **more: Any
    ) -> Response:
        if desk is None:
            raise NotReadyError("the research desk is not running here")
        series = tuple(name_of(name, exchange) for name in names)
        ask = Ask(kind, series, TIMEFRAMES_MS[tf], count, end or 0, **more)
        head = {"kind": kind, "server_ts": now_ms(), "tf_ms": ask.tf_ms}
        return answer(head | {"result": await desk.ask(ask)})

    @api.get("/stats", responses=_returns(Figures, "Moments of closes and of log returns."))
    async def stats(
        exchange: Exchange = "binance",
        symbol: Series = "BTCUSDT",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
    ) -> Response:
        """Mean, median, standard deviation, extremes, skew, excess kurtosis, trades, volume."""
        return await figures("stats", exchange, (symbol,), tf, bars, end)

    @api.get("/zscore", responses=_returns(Figures, "Rolling z-score of one series."))
    async def zscore(
        exchange: Exchange = "binance",
        symbol: Series = "BTCUSDT",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        window: Window = 20,
        center: CenterName = "mean",
        log: Log = True,
    ) -> Response:
        """How far the close is from its own rolling middle; of a spread: /api/analytics/spread."""
        return await figures("zscore", exchange, (symbol,), tf, bars, end, window=window, center=center, log=log)

    @api.get("/adf", responses=_returns(Figures, "Augmented Dickey-Fuller tests of the level and of its changes."))
    async def adf(
        exchange: Exchange = "binance",
        symbol: Series = "BTCUSDT",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        log: Log = True,
    ) -> Response:
        """Unit-root tests of one series. For a residual fitted from the same data: /api/analytics/cointegration."""
        return await figures("adf", exchange, (symbol,), tf, bars, end, log=log)

    @api.get("/hawkes", responses=_returns(Figures, "A Hawkes process fitted to stored trades."))
    async def hawkes(
        exchange: Exchange = "binance",
        symbol: Series = "BTCUSDT",
        tf: TimeframeName = "1m",
        bars: Bars = 60,
        end: End = None,
    ) -> Response:
        """How buys and sells set each other off, over the newest `bars`; a research view."""
        return await figures("hawkes", exchange, (symbol,), tf, bars, end)

    @api.get("/ols", responses=_returns(Figures, "The line in both directions."))
    async def ols(
        x: X,
        y: Y,
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        method: MethodName = "ols",
        log: Log = True,
    ) -> Response:
        """Hedge ratio by least squares, Huber's method or orthogonally, with R² and standard errors."""
        return await figures("ols", exchange, (x, y), tf, bars, end, method=method, log=log)

    @api.get("/spread", responses=_returns(Figures, "The hedged spread, its z-score and half-life."))
    async def spread(
        x: X,
        y: Y,
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        window: Window = 20,
        method: MethodName = "ols",
        center: CenterName = "mean",
        log: Log = True,
    ) -> Response:
        """The line is fitted on the older bars and judged on the newer ones."""
        how = {"window": window, "method": method, "center": center, "log": log}
        return await figures("spread", exchange, (x, y), tf, bars, end, **how)

    @api.get("/cointegration", responses=_returns(Figures, "Engle-Granger in both directions, and Johansen."))
    async def cointegration(
        x: X,
        y: Y,
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        log: Log = True,
    ) -> Response:
        """With the critical values that belong to an estimated residual."""
        return await figures("cointegration", exchange, (x, y), tf, bars, end, log=log)

    @api.get("/correlation", responses=_returns(Figures, "Correlation of log returns, whole and rolling."))
    async def correlation(
        x: X,
        y: Y,
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        window: Window = 60,
    ) -> Response:
        """With Fisher's 95 % interval."""
        return await figures("correlation", exchange, (x, y), tf, bars, end, window=window)

    @api.get("/pair", responses=_returns(Figures, "All of a pair in one answer."))
    async def pair(
        x: X,
        y: Y,
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        window: Window = 20,
        method: MethodName = "ols",
        center: CenterName = "mean",
        log: Log = True,
    ) -> Response:
        """What the workspace shows; a part that cannot be had says why."""
        how = {"window": window, "method": method, "center": center, "log": log}
        return await figures("pair", exchange, (x, y), tf, bars, end, **how)

    @api.post("/scan", responses={202: {"model": ScanState, "description": "Started."}, **UNKNOWN}, status_code=202)
    async def begin_scan(
        exchange: Exchange = "binance",
        tf: TimeframeName = "1m",
        bars: Bars = 1440,
        end: End = None,
        symbols: Annotated[
            int, Query(ge=2, le=MOST_SCANNED, description="The most traded by 24 h quote volume.")
        ] = 600,
        keep: Annotated[int, Query(ge=1, le=500, description="Candidates that are looked at closely.")] = 50,
    ) -> Response:
        """Test all pairs of an exchange for cointegration; one scan at a time. GET tells how far it is."""
        venue = find_market(venues, exchange)
        names = tuple(f"{exchange}:{symbol}" for symbol in most_traded(venue, symbols))
        ask = Ask("scan", names, TIMEFRAMES_MS[tf], bars, end or 0, keep=keep)
        return answer(scans.begin(ask).state(), 202)

    @api.get("/scan", responses=_returns(ScanState, "How far the newest scan is, or what it found."))
    async def scan_state() -> Response:
        """Pairs, corrected p-values, hold-out test, best first."""
        return answer(scans.newest().state())

    @api.delete("/scan", responses=_returns(ScanState, "Ended."))
    async def end_scan() -> Response:
        """End the scan that is running."""
        return answer((await scans.end()).state())

    return api


def most_traded(venue: VenueView, most: int) -> list[str]:
    """Trading instruments by 24 h quote volume, the largest first."""
    volume = {name: ticker.quote_volume for name, ticker in venue.tickers.items()}
    trading = [one.symbol for one in venue.engine.universe if one.trading]
    return sorted(trading, key=lambda symbol: -float(volume.get(symbol, 0)))[:most]


class Scan:
    """One scan, from its beginning to its end."""

    def __init__(self, number: int, symbols: int) -> None:
        self.number = number
        self.done, self.of = 0, symbols
        self.result: dict[str, Any] | None = None
        self.detail = ""
        self.task: asyncio.Task[None] | None = None

    def state(self) -> dict[str, Any]:
        state = "failed" if self.detail else "running" if self.result is None else "done"
        head = {"id": self.number, "state": state, "done": self.done, "of": self.of}
        return head | {"detail": self.detail, "result": self.result}

    def count(self, done: int, of: int) -> None:
        self.done, self.of = done, of


class Scans:
    """At most one scan runs; the newest is kept until the next begins."""

    def __init__(self, desk: DeskView | None) -> None:
        self._desk = desk
        self._numbers = itertools.count(1)
        self._newest: Scan | None = None

    def newest(self) -> Scan:
        if self._newest is None:
            raise NotFoundError("nothing was scanned yet; POST /api/analytics/scan begins")
        return self._newest

    def begin(self, ask: Ask) -> Scan:
        if self._desk is None:
            raise NotReadyError("the research desk is not running here")
        if self._newest is not None and self._newest.task is not None and not self._newest.task.done():
            raise NotReadyError(f"a scan is running, {self._newest.done} of {self._newest.of} symbols are done")
        scan = self._newest = Scan(next(self._numbers), len(ask.series))
        scan.task = asyncio.create_task(self._run(scan, self._desk, ask))
        return scan

    async def _run(self, scan: Scan, desk: DeskView, ask: Ask) -> None:
        try:
            scan.result = await desk.ask(ask, scan.count)
        except TapewatchError as error:
            scan.detail = str(error)
        except asyncio.CancelledError:
            scan.detail = "it was ended"
            raise

    async def end(self) -> Scan:
        scan = self.newest()
        if scan.task is not None and not scan.task.done():
            scan.task.cancel()
            await asyncio.wait([scan.task])
        return scan
