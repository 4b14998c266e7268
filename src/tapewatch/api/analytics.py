"""GET /api/analytics/…: statistics of live, stored and uploaded bars, computed in a process of their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from ..desk.ask import Ask, Kind, Prices
from ..desk.bars import UPLOAD
from ..hub.requests import Timeframe, find_instrument, find_market
from ..model.errors import NotReadyError, TapewatchError, UsageError
from ..model.views import TIMEFRAMES_MS
from ..research.choices import Center, Method
from . import schemas
from .market import UNKNOWN, Exchange
from .numbers import answer, exact, now_ms
from .view import DeskView, VenueView

MOST_BARS = 50_000
MOST_SCANNED = 1_000


class Figures(schemas.Answer):
    """What was asked, and its answer; docs/research.md describes each."""

    kind: str
    server_ts: Annotated[int, Field(description="When it was answered, ms since the epoch.")]
    tf_ms: int
    result: dict[str, Any]


class Upload(schemas.Answer):
    """One uploaded series."""

    series: Annotated[str, Field(description="Name to ask for: `upload:binance:NAME`.")]
    exchange: str
    symbol: str
    tf_ms: int
    bars: int
    first_ms: Annotated[int, Field(description="When its first bar opens.")]
    last_ms: Annotated[int, Field(description="When its last bar opens.")]


class Uploads(schemas.Answer):
    """What was uploaded or imported as candles."""

    uploads: list[Upload]


class ScanState(schemas.Answer):
    """How far a scan is, and in the end what it found or why it failed."""

    id: int
    state: Annotated[str, Field(description="none, running, done or failed.")]
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
X = Annotated[Series, Query(description="The series that explains.")]
Y = Annotated[Series, Query(description="The series that is explained.")]


@dataclass(frozen=True)
class Range:
    """Which bars: parameters of every route."""

    exchange: Exchange = "binance"
    tf: Annotated[Timeframe, Query(description="Length of a bar.")] = "1m"
    bars: Annotated[int, Query(ge=20, le=MOST_BARS, description="Bars, counted back from `end`.")] = 1440
    end: Annotated[
        int | None, Query(ge=1, le=1 << 43, description="Only bars that end by then, ms; else the newest there are.")
    ] = None
    prices: Annotated[Prices, Query(description="Last trade or last mid of a bar; uploads are what they are.")] = (
        "trades"
    )


@dataclass(frozen=True)
class Scale:
    """On what scale."""

    log: Annotated[bool, Query(description="Use logarithms of prices.")] = True


@dataclass(frozen=True)
class Line(Scale):
    """How the line is fitted."""

    method: Annotated[Method, Query(description="Least squares, Huber's, or orthogonal.")] = "ols"


@dataclass(frozen=True)
class Score(Scale):
    """How far out is told."""

    window: Annotated[int, Query(ge=5, le=10_000, description="Bars of the rolling window, 5 to 100.")] = 20
    center: Annotated[Center, Query(description="Mean and standard deviation, or median and MAD.")] = "mean"


@dataclass(frozen=True)
class ScoredLine(Score, Line):
    """Both."""


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

    async def figures(kind: Kind, of: Range, *names: str, how: Scale | None = None, **more: Any) -> Response:
        if desk is None:
            raise NotReadyError("the research desk is not running here")
        series = tuple(name_of(name, of.exchange) for name in names)
        given = asdict(how) if how is not None else {}
        ask = Ask(kind, series, TIMEFRAMES_MS[of.tf], of.bars, of.end or 0, prices=of.prices, **given, **more)
        head = {"kind": kind, "server_ts": now_ms(), "tf_ms": ask.tf_ms}
        return answer(head | {"result": exact(await desk.ask(ask))})

    @api.get("/bars", responses=_returns(Figures, "Bars, column by column."))
    async def bars(of: Annotated[Range, Depends()], symbol: Series = "BTCUSDT") -> Response:
        """The bars that statistics are made from: open_ms, open, high, low, close, volume, trades, gap."""
        return await figures("bars", of, symbol)

    @api.get("/stats", responses=_returns(Figures, "Moments of closes and of log returns."))
    async def stats(of: Annotated[Range, Depends()], symbol: Series = "BTCUSDT") -> Response:
        """Mean, median, standard deviation, extremes, skew, excess kurtosis, trades, volume."""
        return await figures("stats", of, symbol)

    @api.get("/zscore", responses=_returns(Figures, "Rolling z-score of one series."))
    async def zscore(
        of: Annotated[Range, Depends()], how: Annotated[Score, Depends()], symbol: Series = "BTCUSDT"
    ) -> Response:
        """How far the close is from its own rolling middle; of a spread: /api/analytics/spread."""
        return await figures("zscore", of, symbol, how=how)

    @api.get("/adf", responses=_returns(Figures, "Augmented Dickey-Fuller tests of the level and of its changes."))
    async def adf(
        of: Annotated[Range, Depends()], how: Annotated[Scale, Depends()], symbol: Series = "BTCUSDT"
    ) -> Response:
        """Unit-root tests of one series. For a residual fitted from the same data: /api/analytics/cointegration."""
        return await figures("adf", of, symbol, how=how)

    @api.get("/hawkes", responses=_returns(Figures, "A Hawkes process fitted to stored trades."))
    async def hawkes(of: Annotated[Range, Depends()], symbol: Series = "BTCUSDT") -> Response:
        """How buys and sells set each other off, over the newest `bars`, at most 20,000 events; a research view."""
        return await figures("hawkes", of, symbol)

    @api.get("/ticks", responses=_returns(Figures, "Correlation of ticks, without a grid and on grids."))
    async def ticks(of: Annotated[Range, Depends()], x: X, y: Y) -> Response:
        """Hayashi and Yoshida's estimate from stored trades (else live seconds), and how coarse grids compare."""
        return await figures("ticks", of, x, y)

    @api.get("/ols", responses=_returns(Figures, "The line in both directions."))
    async def ols(of: Annotated[Range, Depends()], how: Annotated[Line, Depends()], x: X, y: Y) -> Response:
        """Hedge ratio by least squares, Huber's method or orthogonally, with R² and standard errors."""
        return await figures("ols", of, x, y, how=how)

    @api.get("/spread", responses=_returns(Figures, "The hedged spread, its z-score and half-life."))
    async def spread(of: Annotated[Range, Depends()], how: Annotated[ScoredLine, Depends()], x: X, y: Y) -> Response:
        """The line is fitted on the older bars and judged on the newer ones."""
        return await figures("spread", of, x, y, how=how)

    @api.get("/cointegration", responses=_returns(Figures, "Engle-Granger in both directions, and Johansen."))
    async def cointegration(of: Annotated[Range, Depends()], how: Annotated[Scale, Depends()], x: X, y: Y) -> Response:
        """With the critical values that belong to an estimated residual."""
        return await figures("cointegration", of, x, y, how=how)

    @api.get("/correlation", responses=_returns(Figures, "Correlation of log returns, whole and rolling."))
    async def correlation(
        of: Annotated[Range, Depends()],
        x: X,
        y: Y,
        window: Annotated[int, Query(ge=20, le=10_000, description="Returns of the rolling window.")] = 60,
    ) -> Response:
        """With Fisher's 95 % interval."""
        return await figures("correlation", of, x, y, returns=window)

    @api.get("/pair", responses=_returns(Figures, "All of a pair in one answer."))
    async def pair(
        of: Annotated[Range, Depends()],
        how: Annotated[ScoredLine, Depends()],
        x: X,
        y: Y,
        returns: Annotated[int, Query(ge=20, le=10_000, description="Returns of the rolling correlation.")] = 60,
    ) -> Response:
        """What the workspace shows; a part that cannot be had says why."""
        return await figures("pair", of, x, y, how=how, returns=returns)

    @api.get("/series", responses=_returns(Uploads, "What was uploaded."))
    async def series() -> Response:
        """Uploaded series that can be asked for, by name."""
        if desk is None:
            raise NotReadyError("the research desk is not running here")
        return answer({"uploads": await desk.uploads()})

    @api.post("/scan", responses={202: {"model": ScanState, "description": "Started."}, **UNKNOWN}, status_code=202)
    async def begin_scan(
        of: Annotated[Range, Depends()],
        symbols: Annotated[
            int, Query(ge=2, le=MOST_SCANNED, description="The most traded by 24 h quote volume.")
        ] = 600,
        keep: Annotated[int, Query(ge=1, le=500, description="Candidates that are looked at closely.")] = 50,
        uploads: Annotated[bool, Query(description="Scan what was uploaded for the exchange instead.")] = False,
    ) -> Response:
        """Test all pairs of an exchange for cointegration; one scan at a time. GET tells how far it is."""
        if desk is None:
            raise NotReadyError("the research desk is not running here")
        if uploads:
            told = await desk.uploads()
            names = sorted({one["series"] for one in told if one["exchange"] == of.exchange})[:symbols]
            if len(names) < 2:
                raise UsageError(f"{len(names)} series are uploaded for {of.exchange}; a scan needs two")
        else:
            names = [f"{of.exchange}:{one}" for one in most_traded(find_market(venues, of.exchange), symbols)]
        ask = Ask("scan", tuple(names), TIMEFRAMES_MS[of.tf], of.bars, of.end or 0, keep=keep, prices=of.prices)
        return answer(scans.begin(ask).state(), 202)

    @api.get("/scan", responses=_returns(ScanState, "How far the newest scan is, or what it found."))
    async def scan_state() -> Response:
        """Pairs, corrected p-values, hold-out test, best first."""
        return answer(scans.state())

    @api.delete("/scan", responses=_returns(ScanState, "Ended."))
    async def end_scan() -> Response:
        """End the scan, if one is running."""
        await scans.end()
        return answer(scans.state())

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
        self.result: bytes | None = None
        """As JSON."""
        self.detail = ""
        self.task: asyncio.Task[None] | None = None

    def state(self) -> dict[str, Any]:
        state = "failed" if self.detail else "running" if self.result is None else "done"
        head = {"id": self.number, "state": state, "done": self.done, "of": self.of}
        return head | {"detail": self.detail, "result": None if self.result is None else exact(self.result)}

    def count(self, done: int, of: int) -> None:
        self.done, self.of = done, of


class Scans:
    """At most one scan runs; the newest is kept until the next begins."""

    def __init__(self, desk: DeskView | None) -> None:
        self._desk = desk
        self._numbers = itertools.count(1)
        self._newest: Scan | None = None

    def state(self) -> dict[str, Any]:
        """Of the newest scan; before there was one, that there was none."""
        if self._newest is None:
            return {"id": 0, "state": "none", "done": 0, "of": 0, "detail": "", "result": None}
        return self._newest.state()

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

    async def end(self) -> None:
        task = None if self._newest is None else self._newest.task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
