"""GET /api/impact with its calibration, /api/features and /api/detections: the liquidity lab's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from ..book.impact import Impact, square_root_band
from ..engine import Engine
from ..hub.requests import find_instrument, find_market
from ..model.errors import NotFoundError, UsageError
from ..model.instrument import Grid, Instrument
from ..model.views import BookState
from . import lab_schemas
from .calibration import calibration_content
from .detections import detections_content
from .features import features_content
from .market import UNKNOWN, Exchange, Limit, SymbolName
from .numbers import answer, exact, grid_printer, now_ms, printer, quote_printer
from .top import level_pairs
from .view import VenueView

Side = Annotated[Literal["buy", "sell"], Query(description="The aggressor's side.")]
Size = Annotated[str, Query(description="Base units, a multiple of the lot.", min_length=1, max_length=40)]
Kind = Annotated[
    Literal["wall", "sweep", "absorption", "layering", "iceberg", "exhaustion", "pull"] | None,
    Query(description="Only this detector."),
]
FeeBps = Annotated[float, Query(ge=0, le=100, description="Taker fee, basis points of the fill.")]

VOLATILITY_MINUTES = 120
VOLATILITY_MIN_RETURNS = 30
"""Fewer one-minute returns than this say little about a day's volatility."""
MINUTES_A_DAY = 1440
PATH_LEVELS = 1000
"""Levels of the path in one answer; totals are always of the whole path."""


def lab_routes(venues: Mapping[str, VenueView]) -> APIRouter:
    """Routes that read the engines. Handlers run in the event loop, so a view is of one moment."""
    api = APIRouter(prefix="/api", default_response_class=Response)

    @api.get("/impact", responses={200: {"model": lab_schemas.Impact, "description": "The order's way."}, **UNKNOWN})
    async def impact(
        size: Size,
        exchange: Exchange = "binance",
        symbol: SymbolName = "BTCUSDT",
        side: Side = "buy",
        fee_bps: FeeBps = 0.0,
    ) -> Response:
        """What a market order would cost right now: a walk through the live book as far as it is known.

        503 while the book is being resynchronised. What does not fit the known book is `unfilled`, never extrapolated.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        if venue.engine.book_state(instrument.index) is BookState.OFF:
            raise NotFoundError(f"no book of {instrument.key} is kept; add it to venues.{exchange}.book_symbols")
        wanted = _size(size) * (1 if side == "buy" else -1)
        walked = venue.engine.simulate_market_order(instrument.symbol, wanted, fee_bps)
        head = {"exchange": exchange, "symbol": instrument.symbol, "ts": walked.book_ms, "server_ts": now_ms()}
        return answer(head | impact_content(walked) | _model_band(venue.engine, walked))

    @api.get(
        "/impact/calibration",
        responses={200: {"model": lab_schemas.Calibration, "description": "Newest first."}, **UNKNOWN},
    )
    async def calibration(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", limit: Limit = 100
    ) -> Response:
        """How true the walk is: real sweeps of one instrument, what it said of each beforehand, and what each cost.

        An instrument that nobody has studied yet is from now on.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        study = venue.engine.lab.study(instrument)
        head = {"exchange": exchange, "symbol": instrument.symbol, "server_ts": now_ms()}
        return answer(head | calibration_content(study, instrument, limit))

    @api.get("/features", responses={200: {"model": lab_schemas.Features, "description": "Oldest first."}, **UNKNOWN})
    async def features(exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT") -> Response:
        """Features of one book, second by second, over the last 180 s of the venue's time.

        An instrument that nobody has studied yet is from now on: its buffer fills with the seconds to come.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        head = {"exchange": exchange, "symbol": instrument.symbol, "server_ts": now_ms()}
        return answer(head | features_content(venue.engine, instrument))

    @api.get(
        "/detections", responses={200: {"model": lab_schemas.Detections, "description": "Newest first."}, **UNKNOWN}
    )
    async def detections(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", kind: Kind = None, limit: Limit = 100
    ) -> Response:
        """What the detectors of one book have found, with evidence, thresholds and report cards.

        An instrument that nobody has studied yet is from now on.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        study = venue.engine.lab.study(instrument)
        head = {"exchange": exchange, "symbol": instrument.symbol, "server_ts": now_ms()}
        return answer(head | detections_content(study, instrument, kind, limit))

    return api


def _size(text: str) -> Decimal:
    try:
        size = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"size {text[:40]!r} is not a number") from None
    if not size.is_finite() or size <= 0:
        raise UsageError(f"size {text[:40]} is refused; allowed: a quantity above 0 in base units")
    return size


def impact_content(walked: Impact) -> dict[str, Any]:
    """An `Impact` as the contract's fields: quantities exact, averages rounded six digits behind the tick's."""
    instrument = walked.instrument
    lots, price = grid_printer(instrument.lot), grid_printer(instrument.tick)
    tick = instrument.tick
    notional = quote_printer(instrument)(walked.quote)
    short = walked.size > walked.known
    reason = (
        f"insufficient depth: the known book holds {lots(walked.known)} {instrument.base} on this side"
        if short
        else None
    )
    return {
        "side": "buy" if walked.side > 0 else "sell",
        "size": exact(lots(walked.size)),
        "mid_price": exact(printer(tick.units * 5, tick.decimals + 1)(walked.double_mid)),
        "avg_price": _price(tick, walked.avg_price),
        "marginal_price": None if walked.marginal_price is None else exact(price(walked.marginal_price)),
        "slippage": _price(tick, walked.slippage),
        "slippage_bps": None if walked.slippage_bps is None else round(float(walked.slippage_bps), 9),
        "fee_bps": walked.fee_bps,
        "fee": round(float(notional) * walked.fee_bps / 10_000, 8),
        "cost_bps": None if walked.cost_bps is None else round(walked.cost_bps, 9),
        "levels_consumed": walked.levels_consumed,
        "filled": exact(lots(walked.filled)),
        "unfilled": exact(lots(walked.unfilled)),
        "notional": exact(notional),
        "known_depth": exact(lots(walked.known)),
        "complete": not walked.unfilled,
        "reason": reason,
        "path": level_pairs(instrument, np.array(walked.path[:PATH_LEVELS], np.int64).reshape(-1, 2)),
    }


def _price(grid: Grid, ticks: Fraction | None) -> float | None:
    """A price between ticks, six digits finer than the tick."""
    return None if ticks is None else float(round(ticks * grid.units / 10**grid.decimals, grid.decimals + 6))


def _model_band(engine: Engine, walked: Impact) -> dict[str, Any]:
    """The square-root law for the whole size asked for, or why there is none."""
    instrument = walked.instrument
    adv, sigma = float(engine.adv[instrument.index]), daily_volatility(engine, instrument)
    reason = None
    band: tuple[float, float] | None = None
    if not adv > 0:
        reason = "the average daily volume is not known yet"
    elif sigma is None:
        reason = f"fewer than {VOLATILITY_MIN_RETURNS} one-minute returns are held"
    else:
        notional = walked.size * walked.double_mid / 2 * instrument.notional_scale()
        band = square_root_band(notional, adv, sigma)
    return {
        "model": {
            "name": "square_root_law",
            "low_bps": None if band is None else round(band[0], 6),
            "high_bps": None if band is None else round(band[1], 6),
            "sigma_day": None if sigma is None else round(sigma, 6),
            "reason": reason,
        }
    }


def daily_volatility(engine: Engine, instrument: Instrument) -> float | None:
    """Volatility of a day as a fraction, from the newest one-minute closes; None where too few are held.

    A minute without a trade ends where the one before it did: its return is zero.
    """
    # One wide bin: only the closes are wanted.
    candles = engine.footprint(instrument.index, 60_000, 1 << 40, VOLATILITY_MINUTES + 1).candles
    traded = np.flatnonzero(candles["n"])
    if len(traded) <= VOLATILITY_MIN_RETURNS:
        return None
    newest = traded[np.searchsorted(traded, np.arange(traded[0], len(candles)), side="right") - 1]
    returns = np.diff(np.log(candles["close"][newest].astype(np.float64)))
    return float(np.std(returns)) * math.sqrt(MINUTES_A_DAY)
