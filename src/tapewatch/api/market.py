"""GET /api/…: instruments, screener, imbalance, footprint, liquidations, book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.responses import Response

from ..hub.requests import MAX_LOOKBACK, MAX_ROWS, Timeframe, bin_text, find_instrument, find_market
from ..hub.topics import WINDOW_NAMES, balance, grid_pair
from ..model.errors import NotFoundError, NotReadyError
from ..model.instrument import Instrument
from ..model.views import TIMEFRAMES_MS, WINDOWS_S, BookState, Rule
from . import schemas
from .history import WindowName, history, history_before
from .numbers import answer, exact, grid_printer, now_ms, pieces_answer, quote_printer, ratio, to_json, trimmed
from .past import footprint_text
from .past import liquidations as past_liquidations
from .top import level_pairs
from .view import HistoryView, VenueView

Exchange = Annotated[str, Query(description="Venue, such as `binance`.", max_length=40)]
SymbolName = Annotated[str, Query(description="Instrument as the venue prints it.", min_length=1, max_length=64)]
AnySymbol = Annotated[str | None, Query(description="Only this instrument.", min_length=1, max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows at most, newest first.")]
Window = Annotated[WindowName, Query(description="Length of the window, ending at the venue's newest event.")]
Since = Annotated[int, Query(ge=0, description="Only rows that changed at or after this time, ms since the epoch.")]
TimeframeName = Annotated[Timeframe, Query(description="Length of a candle.")]
Step = Annotated[
    str,
    Query(
        description="Width of a price bin: a multiple of the tick size (`0.5`, or `x5`: five ticks), or `auto`.",
        max_length=24,
    ),
]
Lookback = Annotated[int, Query(ge=1, le=MAX_LOOKBACK, description="Candles, counted back from the newest trade.")]
Before = Annotated[
    int | None,
    Query(
        ge=1, le=1 << 43, description="Only what opens or happens before this time, ms; older than memory: stored data."
    ),
]
Depth = Annotated[int, Query(ge=1, le=5000, description="Levels a side.")]

PROBLEM = {"model": schemas.Problem, "content": {"application/problem+json": {}}}
UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: PROBLEM | {"description": "Unknown exchange or symbol."},
    422: PROBLEM | {"description": "A parameter is not allowed; the sentence says what is."},
    503: PROBLEM | {"description": "Not ready yet; see Retry-After."},
}


def returns(model: type[schemas.Answer], words: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "description": words}, **UNKNOWN}


def market_routes(venues: Mapping[str, VenueView], stored: HistoryView | None = None) -> APIRouter:
    """Routes that read the engines, and stored data for times before what those hold.

    Handlers run in the event loop, so a view of an engine is of one moment.
    """
    api = APIRouter(prefix="/api", default_response_class=Response)

    @api.get("/symbols", responses=returns(schemas.Symbols, "Instruments in the order of the stream's columns."))
    async def symbols(exchange: Exchange = "binance") -> Response:
        """Instruments: increments, status, average daily volume, last price, 24 h figures."""
        venue = find_market(venues, exchange)
        last = venue.engine.imbalance()
        rows = [_symbol(venue, one, last[one.index]) for one in venue.engine.universe]
        return answer({"exchange": exchange, "server_ts": now_ms(), "symbols": rows})

    @api.get("/screener", responses=returns(schemas.Screener, "Episodes, the most recently changed first."))
    async def screener(
        exchange: Exchange = "binance", symbol: AnySymbol = None, limit: Limit = 100, since: Since = 0
    ) -> Response:
        """Big flow: parent orders and one-sided flow above a share of average daily volume."""
        venue = find_market(venues, exchange)
        rows = _of_symbol(venue, venue.engine.big_flow(0, 1 << 20), symbol)
        rows = rows[rows["ts_ms"] >= since][::-1][:limit]
        events = [_event(venue.engine.universe[int(row["instrument"])], row) for row in rows]
        return answer({"exchange": exchange, "server_ts": now_ms(), "events": events})

    @api.get("/imbalance", responses=returns(schemas.Imbalance, "One row an instrument."))
    async def imbalance(exchange: Exchange = "binance", window: Window = "1m") -> Response:
        """Trade and book imbalance of every instrument over one window."""
        venue = find_market(venues, exchange)
        head = {"exchange": exchange, "window": window, "server_ts": now_ms(), "ts": venue.engine.clock_ms}
        return answer(head | {"rows": _imbalance_rows(venue, WINDOW_NAMES.index(window))})

    @api.get("/imbalance/history", responses=returns(schemas.ImbalanceHistory, "Oldest first."))
    async def imbalance_history(
        exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", window: Window = "1m", before: Before = None
    ) -> Response:
        """One instrument's trade imbalance over time, from the candles that are held or, with `before`, stored."""
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        if before is None:
            content = history(venue.engine, instrument, window)
        else:
            content = await history_before(venue.engine, stored, instrument, window, before)
        head = {"exchange": exchange, "symbol": instrument.symbol, "server_ts": now_ms()}
        return answer(head | content)

    @api.get("/footprint", responses=returns(schemas.Footprint, "Candles, oldest first."))
    async def footprint(
        exchange: Exchange = "binance",
        symbol: SymbolName = "BTCUSDT",
        tf: TimeframeName = "1m",
        step: Step = "0.5",
        lookback: Lookback = 30,
        before: Before = None,
    ) -> Response:
        """Footprint candles of any timeframe and bin, computed from the tick-level original.

        With `before` the last ones that open before that time, of up to 44 days; stored ones where memory ends.
        """
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        text = bin_text(venue, instrument, step)
        candles = await footprint_text(venue.engine, stored, instrument, TIMEFRAMES_MS[tf], text, lookback, before)
        head = {
            "exchange": exchange,
            "symbol": instrument.symbol,
            "tf_ms": TIMEFRAMES_MS[tf],
            "step": exact(text),
            "server_ts": now_ms(),
            "cvd_since": venue.engine.cvd_since_ms(instrument.index),
            "trades_since": venue.engine.counted_since_ms(instrument.index),
        }
        return pieces_answer([to_json(head)[:-1] + b',"candles":[', *candles, b"]}"])

    @api.get("/liquidations", responses=returns(schemas.Liquidations, "Newest first."))
    async def liquidations(
        exchange: Exchange = "binance", symbol: AnySymbol = None, limit: Limit = 100, before: Before = None
    ) -> Response:
        """Liquidations as the venue reports them (Binance reports the largest of each 1000 ms a symbol, not all)."""
        venue = find_market(venues, exchange)
        wanted = None if symbol is None else find_instrument(venue, symbol)
        found = await past_liquidations(venue.engine, stored, exchange, wanted, limit, before)
        feed = [_liquidation(instrument, row) for instrument, row in found]
        return answer({"exchange": exchange, "server_ts": now_ms(), "liquidations": feed})

    @api.get("/book", responses=returns(schemas.Book, "Both sides, best first."))
    async def book(exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT", depth: Depth = 100) -> Response:
        """The order book as of its last update; 503 while it is being resynchronised, never a stale book."""
        venue = find_market(venues, exchange)
        instrument = find_instrument(venue, symbol)
        view = venue.engine.book(instrument.index, depth)
        if view.state is BookState.OFF:
            raise NotFoundError(f"no book of {instrument.key} is kept; add it to venues.{exchange}.book_symbols")
        if view.state is not BookState.LIVE:
            raise NotReadyError(f"the book of {instrument.key} is being resynchronised ({view.state}); try again soon")
        return answer(
            {
                "exchange": exchange,
                "symbol": instrument.symbol,
                "in_sync": True,
                "last_update_id": view.last_update_id,
                "ts": view.event_ms,
                "server_ts": now_ms(),
                "bids": level_pairs(instrument, view.bids),
                "asks": level_pairs(instrument, view.asks),
            }
        )

    return api


def _of_symbol(venue: VenueView, rows: NDArray[np.void], symbol: str | None) -> NDArray[np.void]:
    if symbol is None:
        return rows
    wanted: NDArray[np.bool_] = rows["instrument"] == find_instrument(venue, symbol).index
    return rows[wanted]


def _symbol(venue: VenueView, instrument: Instrument, last: np.void) -> dict[str, Any]:
    engine, i = venue.engine, instrument.index
    adv, days = float(engine.adv[i]), int(engine.adv_days[i])
    traded = int(last["last_ms"])
    ticker = venue.tickers.get(instrument.symbol)
    return {
        "symbol": instrument.symbol,
        "index": i,
        "base": instrument.base,
        "quote": instrument.quote,
        "kind": instrument.kind,
        "status": instrument.status,
        "tick": exact(f"{instrument.tick.value:f}"),
        "lot": exact(f"{instrument.lot.value:f}"),
        "tick_grid": grid_pair(instrument.tick),
        "lot_grid": grid_pair(instrument.lot),
        "adv": ratio(adv, 2),
        "adv_days": days,
        "adv_young": days < engine.thresholds.adv_young_days,
        "last": exact(instrument.tick.to_text(int(last["last"]))) if traded else None,
        "last_ts": traded or None,
        # The venue's own figures, with the decimals it printed them with.
        "change_24h_pct": exact(f"{ticker.change_percent:f}") if ticker else None,
        "high_24h": exact(f"{ticker.high:f}") if ticker else None,
        "low_24h": exact(f"{ticker.low:f}") if ticker else None,
        "volume_24h": exact(f"{ticker.volume:f}") if ticker else None,
        "quote_volume_24h": exact(f"{ticker.quote_volume:f}") if ticker else None,
        "trades_24h": ticker.trades if ticker else None,
        "book": engine.book_state(i),
    }


def _event(instrument: Instrument, row: np.void) -> dict[str, Any]:
    price, money = grid_printer(instrument.tick), quote_printer(instrument)
    return {
        "id": int(row["id"]),
        "ts": int(row["ts_ms"]),
        "start_ts": int(row["start_ms"]),
        "symbol": instrument.symbol,
        "side": "sell" if row["sell"] else "buy",
        "price": round(instrument.tick.to_float(float(row["vwap"])), instrument.tick.decimals + 4),
        "low": exact(price(int(row["low"]))),
        "high": exact(price(int(row["high"]))),
        "quantity": exact(grid_printer(instrument.lot)(int(row["qty"]))),
        "notional": exact(money(int(row["quote"]))),
        "pct_of_adv": ratio(float(row["pct_of_adv"]), 4),
        "rule": Rule(int(row["rule"])).label,
        "levels": int(row["levels"]),
        "trades": int(row["trades"]),
        "open": bool(row["open"]),
        "depth_10bps": exact(money(int(row["depth_quote"]))) if row["depth_quote"] >= 0 else None,
    }


def _imbalance_rows(venue: VenueView, w: int) -> list[dict[str, Any]]:
    view = venue.engine.imbalance()
    here = balance(view["buy"][:, w], view["sell"][:, w])
    shorter = balance(view["buy"][:, w - 1], view["sell"][:, w - 1]) if w else None
    book = balance(view["book_bid"], view["book_ask"])
    minutes = WINDOWS_S[w] / 60
    rows = []
    for i, instrument in enumerate(venue.engine.universe):
        row = view[i]
        lots = grid_printer(instrument.lot)
        net = float(row["buy_quote"][w] - row["sell_quote"][w]) * instrument.notional_scale() / minutes
        rows.append(
            {
                "symbol": instrument.symbol,
                "trade_imbalance": round(float(here[i]), 6),
                "book_imbalance": round(float(book[i]), 6) if row["book_bid"] + row["book_ask"] else None,
                "bid_volume": exact(lots(int(row["sell"][w]))),
                "ask_volume": exact(lots(int(row["buy"][w]))),
                "net_flow_per_minute": round(net, 2),
                "trend": None if shorter is None else round(float(shorter[i] - here[i]), 6),
                "last": exact(instrument.tick.to_text(int(row["last"]))) if row["last_ms"] else None,
                "last_ts": int(row["last_ms"]) or None,
            }
        )
    return rows


def _liquidation(instrument: Instrument, row: np.void) -> dict[str, Any]:
    lot = instrument.lot
    notional = int(row["price_e8"]) * int(row["qty"]) * lot.units
    return {
        "ts": int(row["ts_ms"]),
        "event_ts": int(row["event_ms"]),
        "symbol": instrument.symbol,
        "side": "long" if row["long"] else "short",
        "price": exact(trimmed(1, 8)(int(row["price_e8"]))),
        "quantity": exact(lot.to_text(int(row["qty"]))),
        "notional": exact(trimmed(1, 8 + lot.decimals)(notional)),
    }
