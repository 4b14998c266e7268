"""GET /api/coverage: the account of one instrument, what is missing of it and why, and how much is there by hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from .. import ledger
from ..engine import Engine
from ..hub.requests import find_instrument, find_market
from ..hub.topics import gap_list
from .market import UNKNOWN, Exchange, SymbolName
from .numbers import answer, now_ms
from .schemas import Answer, Count, ServerMs, TimeMs
from .view import StorageView, VenueView


class Gap(Answer):
    """A range of trade ids that did not come."""

    from_ts: TimeMs
    to_ts: TimeMs
    first_id: int
    last_id: int
    cause: Literal[
        "dropped", "disconnected", "process_down", "quarantined", "restarted", "not_loaded", "source_changed"
    ]
    fate: Annotated[
        Literal["open", "beyond_horizon", "refused", "forgotten", "unfillable"],
        Field(description="`open`: being asked for; anything else says why nobody asks any more."),
    ]


class Hour(Answer):
    """Coverage of one instrument-hour."""

    hour_ts: TimeMs
    present: Annotated[int, Field(ge=0, description="Trade ids held.")]
    missing: Annotated[int, Field(ge=0, description="Trade ids in gaps.")]
    coverage: Annotated[
        float | None,
        Field(ge=0, le=1, description="Present / (present + missing). Null where nobody knows how many a gap hides."),
    ]
    estimated: Annotated[bool, Field(description="A gap crosses the hour's edge: its ids are spread over its time.")]


class TradeAccount(Answer):
    """received = accepted + duplicate + excluded + other_source + quarantined."""

    received: Count
    accepted: Count
    backfilled: Annotated[int, Field(ge=0, description="Of the accepted, those that came by request.")]
    duplicate: Count
    excluded: Annotated[int, Field(ge=0, description="Prints that are no market trades.")]
    other_source: Annotated[int, Field(ge=0, description="Aggregates where raw trades count, or the reverse.")]
    too_late: Annotated[int, Field(ge=0, description="Of the accepted, those older than any candle held.")]
    quarantined: Count
    gaps_found: Annotated[int, Field(ge=0, description="Ids that went missing.")]
    gaps_filled: Annotated[int, Field(ge=0, description="Ids of those that came after all.")]
    missing: Annotated[int, Field(ge=0, description="Ids missing now.")]


class DepthAccount(Answer):
    """received = snapshots + applied + dropped + discarded + ignored + waiting + quarantined."""

    received: Count
    snapshots: Count
    applied: Count
    dropped: Count
    discarded: Count
    ignored: Count
    waiting: Count
    quarantined: Count
    gaps: Count
    resyncs: Count


class QuoteAccount(Answer):
    """received = accepted + duplicate + quarantined."""

    received: Count
    accepted: Count
    duplicate: Count
    quarantined: Count


class StoreAccount(Answer):
    """held = stored, once the journal up to `checked_ts` has been sealed."""

    checked_ts: TimeMs
    held: Annotated[
        int,
        Field(
            ge=0,
            description="Trade ids held then; of a venue whose ids do not count, trades of the last half hour.",
        ),
    ]
    stored: Annotated[int, Field(ge=0, description="Of them, those that the store has now.")]


class KlineAccount(Answer):
    """Minutes of today that the venue's klines tell."""

    leading: Annotated[int, Field(ge=0, description="Before the trades held: CVD counts them.")]
    compared: Annotated[int, Field(ge=0, description="Told by trades too, without a gap.")]
    differ: Annotated[
        int, Field(ge=0, description="Of those, with other volumes: an aggregate may stand across a minute's edge.")
    ]


class Coverage(Answer):
    exchange: str
    symbol: str
    server_ts: ServerMs
    since: Annotated[TimeMs | None, Field(description="The oldest trade held.")]
    until: Annotated[TimeMs | None, Field(description="The newest trade held.")]
    balanced: Annotated[bool, Field(description="Whether every account of the venue adds up.")]
    trades: TradeAccount
    depth: DepthAccount
    quotes: QuoteAccount
    stored: Annotated[StoreAccount | None, Field(description="Null before the first comparison, or without a store.")]
    klines: KlineAccount
    gaps: Annotated[list[Gap], Field(description="What is missing now, oldest first.")]
    hours: Annotated[list[Hour], Field(description="Oldest first, from `since` on.")]


RETURNS: dict[int | str, dict[str, Any]] = {
    200: {"model": Coverage, "description": "What is held and what is missing."},
    **UNKNOWN,
}


def coverage_routes(venues: Mapping[str, VenueView], storage: StorageView | None) -> APIRouter:
    """The route that reads the ledger, and what the store was found to hold."""
    api = APIRouter(prefix="/api", default_response_class=Response)

    @api.get("/coverage", responses=RETURNS)
    async def coverage(exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT") -> Response:
        """What became of every message of one instrument, and which trades are missing, since when and why."""
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        engine, i = venue.engine, instrument.index
        since = engine.counted_since_ms(i)
        content = {
            "exchange": exchange,
            "symbol": instrument.symbol,
            "server_ts": now_ms(),
            "since": since,
            "until": None if since is None else int(engine.flow.trades[i]["chain_ms"]),
            "balanced": not venue.ledger.violations,
            "trades": ledger.trade_account(engine, venue.ledger, i),
            "depth": ledger.depth_account(engine, venue.ledger, i),
            "quotes": ledger.quote_account(engine, venue.ledger, i),
            "stored": _stored(storage, exchange, instrument.symbol),
            "klines": _klines(engine, i),
            "gaps": gap_list(engine.gaps(i)),
            "hours": [
                {
                    "hour_ts": hour.hour_ms,
                    "present": hour.present,
                    "missing": hour.missing,
                    "coverage": None if hour.share is None else round(hour.share, 6),
                    "estimated": hour.estimated,
                }
                for hour in ledger.coverage(engine, i)
            ],
        }
        return answer(content)

    return api


def _klines(engine: Engine, i: int) -> dict[str, int]:
    compared, differ = engine.compare_klines(i)
    return {"leading": len(engine.leading_klines(i)), "compared": compared, "differ": differ}


def _stored(storage: StorageView | None, exchange: str, symbol: str) -> dict[str, int] | None:
    audit = None if storage is None else storage.audit
    account = None if audit is None else audit.accounts.get(exchange)
    if account is None or account.checked_ms is None:
        return None
    held, stored = account.by_symbol.get(symbol, (0, 0))
    return {"checked_ts": account.checked_ms, "held": held, "stored": stored}
