"""GET /api/candles: candles of any range, from memory and from stored data, without the levels of a footprint."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from ..hub.requests import MAX_LOOKBACK, find_instrument, find_market
from ..model.errors import UsageError
from ..model.views import TIMEFRAMES_MS
from ..transfer.exporting import time_of
from . import schemas
from .candles import bar_texts
from .market import UNKNOWN, Exchange, SymbolName, TimeframeName
from .numbers import answer, exact, now_ms
from .past import between
from .view import HistoryView, VenueView

When = Annotated[str, Query(description="ISO 8601 or ms since the epoch, UTC.", max_length=40)]
DEFAULT_CANDLES = 500


def series_routes(venues: Mapping[str, VenueView], stored: HistoryView | None) -> APIRouter:
    """The route that reads candles."""
    api = APIRouter(prefix="/api", default_response_class=Response)

    @api.get("/candles", responses={200: {"model": schemas.Candles, "description": "Oldest first."}, **UNKNOWN})
    async def candles(
        exchange: Exchange = "binance",
        symbol: SymbolName = "BTCUSDT",
        tf: TimeframeName = "1m",
        start: When = "",
        end: When = "",
    ) -> Response:
        """Candles that open from `start` on and before `end` (else: the last 500, up to now), made from trades alone.

        What memory does not hold is read from the store. A candle that is not there has no trade that we know of:
        `gaps` on its neighbours, and /api/coverage, say where trades are missing.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        tf_ms = TIMEFRAMES_MS[tf]
        newest = int(venue.engine.flow.minutes.newest[instrument.index]) * 60_000
        end_ms = time_of(end) if end else max(newest, 0) // tf_ms * tf_ms + tf_ms
        start_ms = time_of(start) if start else max(0, end_ms - DEFAULT_CANDLES * tf_ms)
        if start_ms >= end_ms:
            raise UsageError("the range is empty: its start is not before its end")
        if end_ms - start_ms > MAX_LOOKBACK * tf_ms:
            raise UsageError(f"that is more than {MAX_LOOKBACK:,} candles of {tf}; ask in parts, or GET /api/export")
        one_bin = instrument.tick.to_text(1 << 40)
        parts = await between(venue.engine, stored, instrument, tf_ms, one_bin, start_ms, end_ms)
        head = {"exchange": exchange, "symbol": instrument.symbol, "tf_ms": tf_ms, "server_ts": now_ms()}

        def written() -> Response:
            texts = [text for part in parts for text in bar_texts(part)]
            return answer(head | {"candles": exact(f"[{','.join(texts)}]")})

        return await asyncio.to_thread(written)

    return api
