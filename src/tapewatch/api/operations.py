"""GET /api/operations: what each symbol brings and what it costs, as counters from which a reader makes rates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from ..book.ladder import NO_PAGE, PAGE
from ..engine import Engine
from ..hub.requests import find_market
from ..memory import parts
from .market import UNKNOWN, Exchange
from .numbers import answer, now_ms
from .schemas import Answer, Count, ServerMs, TimeMs
from .view import VenueView

STATM = Path("/proc/self/statm")
PAGE_BYTES = 4096
LOT_BYTES = 8
INSTRUMENT_MASK = (1 << 16) - 1


class SymbolCounts(Answer):
    """One symbol since the start. Rates are differences of two answers over the difference of their `server_ts`."""

    symbol: str
    book: str
    diffs: Annotated[Count, Field(description="Book diffs received.")]
    trades: Annotated[Count, Field(description="Trades received.")]
    quotes: Annotated[Count, Field(description="Best quotes received.")]
    resyncs: Count
    last_ts: Annotated[TimeMs | None, Field(description="Newest event of book or trades, by the venue's clock.")]
    book_bytes: Annotated[Count, Field(description="Pages its book takes.")]


class Structure(Answer):
    """One structure of a venue's state."""

    name: str
    used: Annotated[Count, Field(description="Bytes that have been used.")]
    full: Annotated[int | None, Field(description="Bytes when it has been filled, cells at their pace; null: unknown.")]


class Memory(Answer):
    """Bytes. The rooms are parts of `resident`."""

    resident: Annotated[int | None, Field(description="Of the whole program; null where the system does not tell.")]
    books: int
    footprint_cells: int
    studies: int
    parts: Annotated[list[Structure], Field(description="All that grows with time or with what is traded.")]


class Operations(Answer):
    exchange: str
    server_ts: ServerMs
    clock_ts: Annotated[int, Field(description="Newest event of the venue.")]
    memory: Memory
    studied: list[str]
    symbols: list[SymbolCounts]


def operations_routes(venues: Mapping[str, VenueView]) -> APIRouter:
    """The route."""
    api = APIRouter(prefix="/api", default_response_class=Response)

    @api.get("/operations", responses={200: {"model": Operations, "description": "By symbol."}, **UNKNOWN})
    async def operations(exchange: Exchange = "binance") -> Response:
        """What every symbol has brought since the start and the memory it takes; for rates, ask twice."""
        venue = find_market(venues, exchange)
        return answer({"exchange": exchange, "server_ts": now_ms()} | operations_content(venue.engine))

    return api


def operations_content(engine: Engine) -> dict[str, Any]:
    """Counters by symbol, memory by room."""
    n = len(engine.universe)
    ladders, flow = engine.sync.ladders, engine.flow
    books, trades, quotes = ladders.books[:n], flow.trades[:n], engine.quotes.quotes[:n]
    keys = ladders.table["key"]
    # A page's key ends in the number of its instrument (`book.ladder`).
    pages = np.bincount(keys[keys != NO_PAGE] & INSTRUMENT_MASK, minlength=n)
    newest = np.maximum(books["ts_ms"], trades["last_ms"])
    symbols = [
        {
            "symbol": instrument.symbol,
            "book": engine.book_state(i).value,
            "diffs": int(books["received"][i]),
            "trades": int(trades["received"][i]),
            "quotes": int(quotes["seen"][i]),
            "resyncs": int(books["resyncs"][i]),
            "last_ts": int(newest[i]) or None,
            "book_bytes": int(pages[i]) * PAGE * LOT_BYTES,
        }
        for i, instrument in enumerate(engine.universe)
    ]
    structures = parts(engine)
    used = {part.name: part.used for part in structures}
    return {
        "clock_ts": engine.clock_ms,
        "memory": {
            "resident": resident_bytes(),
            "books": int(pages.sum()) * PAGE * LOT_BYTES,
            "footprint_cells": sum(used[f"{kind} cells"] for kind in ("second", "minute", "packed")),
            "studies": used["studies"],
            "parts": [part._asdict() for part in structures],
        },
        "studied": [engine.universe[i].symbol for i in engine.lab.studies],
        "symbols": symbols,
    }


def resident_bytes() -> int | None:
    """Memory of this program that is in use now; None where /proc is not to be had."""
    try:
        return int(STATM.read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except OSError:
        return None
