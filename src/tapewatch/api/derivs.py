"""GET /api/basis, funding, interest, whales, cvd, flow and liquidations/clusters: what several markets say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from ..derivs.cvd import Unit
from ..derivs.derivs import Derivs
from ..hub.derivs import cvd_head, cvd_table
from ..hub.requests import (
    ALL_VENUES,
    CLUSTER_WINDOWS_MS,
    ClusterWindow,
    CvdSpan,
    find_instrument,
    find_market,
    flow_symbols,
    step_text,
)
from ..model.errors import UsageError
from ..model.instrument import Instrument
from . import derivs_schemas as schemas
from .market import AnySymbol, Exchange, Limit, SymbolName, returns
from .numbers import answer_rows, now_ms
from .view import VenueView

AnyExchange = Annotated[str, Query(description="Venue, or `all`.", max_length=40)]
Bucket = Annotated[
    str | None,
    Query(
        description="Width of a price bucket, a multiple of the tick; by itself about 0.12 % of the price.",
        max_length=24,
    ),
]
Window = Annotated[ClusterWindow, Query(description="How far back, from the venue's newest event.")]
Span = Annotated[CvdSpan, Query(description="What is shown: 5m and 15m in seconds, the others in minutes.")]
UnitName = Annotated[Unit, Query(description="Coins, or US dollars (stablecoins counted as such).")]
Symbols = Annotated[str, Query(description="Comma-separated, at most 12; each on all venues.", max_length=400)]
Minutes = Annotated[int, Query(ge=1, le=1_536, description="Minutes back from the newest.")]
BasisFigure = Annotated[Literal["basis", "premium"], Query(description="Against spot, or mark against index.")]

MINUTES = returns(schemas.MinuteHistory, "Minutes, oldest first.")


def derivs_routes(venues: Mapping[str, VenueView], derivs: Derivs) -> APIRouter:
    """Routes of the derivatives panels. Rows are those of the stream, digit by digit."""
    api = APIRouter(prefix="/api", default_response_class=Response)

    def named(exchange: str, symbol: str | None) -> list[tuple[str, str | None]]:
        """Venues asked for, each with the instrument's name there."""
        if exchange == ALL_VENUES:
            if symbol is not None:
                raise UsageError("a symbol belongs to one exchange; name it, or leave the symbol out")
            return [(name, None) for name, venue in venues.items() if len(venue.engine.universe)]
        venue = find_market(venues, exchange)
        return [(venue.name, None if symbol is None else find_instrument(venue, symbol).symbol)]

    def since(asked: list[tuple[str, str | None]]) -> dict[str, int | None]:
        return {name: derivs.since_ms(name) for name, _ in asked}

    def told(exchange: str, asked: list[tuple[str, str | None]], rows: list[dict[str, Any]]) -> Response:
        """Rows with from when on they are compared, and whose figures are the past's."""
        stale = derivs.stale(name for name, _ in asked)
        head = {"exchange": exchange, "server_ts": now_ms(), "since_ts": since(asked), "stale": stale}
        return answer_rows(head | {"rows": rows})

    def past(exchange: str, symbol: str, figure: str, minutes: int) -> Response:
        """Minutes of one instrument's figure."""
        instrument = find_instrument(find_market(venues, exchange), symbol)
        points = derivs.minutes(exchange, instrument, figure, minutes)
        head = {
            "exchange": exchange,
            "symbol": instrument.symbol,
            "figure": {"rate": "rate_8h_pct", "interest": "quantity"}.get(figure, f"{figure}_bps"),
            "server_ts": now_ms(),
            "since_ts": derivs.since_ms(exchange),
        }
        return answer_rows(head | {"points": [{"ts": ts, "value": value} for ts, value in points]})

    @api.get("/basis", responses=returns(schemas.Basis, "One row a derivative."))
    async def basis(exchange: AnyExchange = "binance", symbol: AnySymbol = None) -> Response:
        """Basis against spot from simultaneous mid prices, premium of mark over index; an hour and a day ago."""
        asked = named(exchange, symbol)
        rows = [row for name, one in asked for row in derivs.basis(name, one)]
        return told(exchange, asked, rows)

    @api.get("/basis/history", responses=MINUTES)
    async def basis_history(
        exchange: Exchange = "binance",
        symbol: SymbolName = "BTCUSDT",
        figure: BasisFigure = "basis",
        minutes: Minutes = 60,
    ) -> Response:
        """One instrument's basis, or premium, minute by minute, bps."""
        return past(exchange, symbol, figure, minutes)

    @api.get("/funding", responses=returns(schemas.Funding, "One row a perpetual."))
    async def funding(exchange: AnyExchange = "binance", symbol: AnySymbol = None) -> Response:
        """Funding: rate, normalised to 8 h and to a year, slope, percentile, next payment and who pays."""
        asked = named(exchange, symbol)
        rows = [row for name, one in asked for row in derivs.funding(name, one)]
        return told(exchange, asked, rows)

    @api.get("/funding/history", responses=MINUTES)
    async def funding_history(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", minutes: Minutes = 60
    ) -> Response:
        """One perpetual's running estimate of the next rate, minute by minute, percent per 8 hours."""
        return past(exchange, symbol, "rate", minutes)

    @api.get("/interest", responses=returns(schemas.Interest, "One row a derivative."))
    async def interest(exchange: AnyExchange = "binance", symbol: AnySymbol = None) -> Response:
        """Open interest, counted once: base units, dollars, change over an hour and a day."""
        asked = named(exchange, symbol)
        rows = [row for name, one in asked for row in derivs.interest(name, one)]
        return told(exchange, asked, rows)

    @api.get("/interest/history", responses=MINUTES)
    async def interest_history(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", minutes: Minutes = 60
    ) -> Response:
        """One derivative's open interest, minute by minute, base units."""
        return past(exchange, symbol, "interest", minutes)

    @api.get("/whales", responses=returns(schemas.Whales, "Newest first."))
    async def whales(exchange: AnyExchange = ALL_VENUES, symbol: AnySymbol = None, limit: Limit = 100) -> Response:
        """Parent orders of half a million and more, or large for their own symbol, of all venues."""
        ((name, one),) = named(exchange, symbol) if exchange != ALL_VENUES or symbol else [(None, None)]
        rows, flow = derivs.whales(limit, name, one), derivs.whale_flow(name)
        return answer_rows({"exchange": exchange, "server_ts": now_ms(), "flow": flow, "rows": rows})

    @api.get("/cvd", responses=returns(schemas.Cvd, "Steps, oldest first, for every market of the coin."))
    async def cvd(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", span: Span = "15m", unit: UnitName = "usd"
    ) -> Response:
        """CVD of a coin on every venue in one unit, from a common beginning, and its divergences."""
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        view = derivs.cvd(venue.name, instrument, span, unit)
        steps, table = cvd_table(view)
        head = cvd_head(venue.name, instrument, view)
        series = [
            market
            | {
                "price": table[:, 2 * k].tolist(),
                "net": table[:, 2 * k + 1].tolist(),
                "cvd": np.cumsum(np.nan_to_num(table[:, 2 * k + 1])).tolist(),
            }
            for k, market in enumerate(head.pop("markets"))
        ]
        told = derivs.divergences(venue.name, instrument, unit)
        return answer_rows(
            {"server_ts": now_ms()} | head | {"ts": steps.tolist(), "series": series, "divergences": told}
        )

    @api.get("/flow", responses=returns(schemas.Flow, "One row a market."))
    async def flow(exchange: Exchange = "binance", symbols: Symbols = "") -> Response:
        """Order-flow imbalance of a few coins on every venue: shares, money a minute, trend."""
        venue = find_market(venues, exchange)
        instruments = [venue.engine.universe.get(name) for name in flow_symbols(venue, symbols)]
        rows = derivs.pressure(instruments)
        stale = derivs.stale(dict.fromkeys(row["exchange"] for row in rows))
        head = {"exchange": exchange, "server_ts": now_ms(), "ts": venue.engine.clock_ms, "stale": stale}
        return answer_rows(head | {"rows": rows})

    @api.get("/liquidations/clusters", responses=returns(schemas.Clusters, "Buckets from the highest price down."))
    async def liquidation_clusters(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", bucket: Bucket = None, window: Window = "24h"
    ) -> Response:
        """Where liquidations have happened, by price, and what the book would have to give for it to happen again."""
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        ticks = None if bucket is None else _bucket_ticks(instrument, bucket)
        head = {"exchange": exchange, "symbol": instrument.symbol, "server_ts": now_ms()}
        return answer_rows(head | derivs.clusters(venue.name, instrument, ticks, CLUSTER_WINDOWS_MS[window]))

    return api


def _bucket_ticks(instrument: Instrument, bucket: str) -> int:
    try:
        return instrument.step_ticks(step_text(instrument, bucket))
    except UsageError as error:  # the rule is that of a step; the caller called it a bucket
        raise UsageError(str(error).replace("step", "bucket", 1)) from None
