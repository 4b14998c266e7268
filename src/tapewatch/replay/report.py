"""The end state of an engine as exact decimal text, and its hash."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.lib.recfunctions import repack_fields

from ..engine import Engine
from ..model.instrument import Instrument
from ..model.tape import E8
from ..model.views import BookState

REPORT_LEVELS = 10


def build_report(engine: Engine, inputs: list[str], integrity: dict[str, object]) -> dict[str, Any]:
    """Contract section 8. Numbers are decimal strings on the instrument's own grid.

    `trades_without_candle` in `integrity` counts trades of minutes no longer held: 0 unless the input is longer than
    the ring of minutes (`stage.RING_BYTES`).
    """
    symbols = {instrument.key: _symbol(engine, instrument) for instrument in engine.universe}
    in_candles = sum(candle["n"] for symbol in symbols.values() for candle in symbol["candles_1m"])
    without = engine.totals()["count"] - in_candles
    return {
        "inputs": inputs,
        "state_hash": state_hash(engine),
        "symbols": symbols,
        "integrity": {**integrity, "trades_without_candle": without},
    }


def _symbol(engine: Engine, instrument: Instrument) -> dict[str, Any]:
    return {
        "book": _book(engine, instrument),
        "trades": _trades(engine, instrument),
        "candles_1m": _candles(engine, instrument),
        "ofi_cks_1m": _ofi(engine, instrument),
        "liquidations": _liquidations(engine, instrument),
    }


def _book(engine: Engine, instrument: Instrument) -> dict[str, object]:
    view = engine.book(instrument.index, REPORT_LEVELS)
    book = engine.sync.ladders.books[instrument.index]
    return {
        "in_sync": view.state is BookState.LIVE,
        "last_update_id": view.last_update_id,
        "snapshot_update_id": int(book["snapshot_id"]),
        "applied": int(book["applied"]),
        "dropped": int(book["dropped"]),
        "gaps": int(book["gaps"]),
        "bids": _levels(instrument, view.bids),
        "asks": _levels(instrument, view.asks),
    }


def _levels(instrument: Instrument, side: Any) -> list[list[str]]:
    return [[instrument.tick.to_text(price), instrument.lot.to_text(lots)] for price, lots in side.tolist()]


def _trades(engine: Engine, instrument: Instrument) -> dict[str, object]:
    trades = engine.flow.trades[instrument.index]
    buy, sell = int(trades["buy"]), int(trades["sell"])
    return {
        "count": int(trades["count"]),
        "excluded": int(trades["excluded"]),
        "duplicates": int(trades["duplicates"]),
        "gaps": int(trades["gaps"]),
        "buy": instrument.lot.to_text(buy),
        "sell": instrument.lot.to_text(sell),
        "delta": instrument.lot.to_text(buy - sell),
        "quote_volume": f"{_quote_volume(instrument, int(trades['quote']), buy + sell):f}",
    }


def _candles(engine: Engine, instrument: Instrument) -> list[dict[str, object]]:
    tick, lot = instrument.tick.to_text, instrument.lot.to_text
    view = engine.footprint(instrument.index, 60_000, 1, len(engine.flow.minutes.ring))
    out: list[dict[str, object]] = []
    for candle in view.candles:
        at, n = int(candle["cell_at"]), int(candle["cells"])
        lots = int(candle["bid"] + candle["ask"])
        out.append(
            {
                "open_ts": int(candle["open_ms"]),
                **{name: tick(candle[name]) if candle["n"] else None for name in ("open", "high", "low", "close")},
                "buy": lot(candle["ask"]),
                "sell": lot(candle["bid"]),
                "n": int(candle["n"]),
                "quote_volume": f"{_quote_volume(instrument, int(candle['quote']), lots):f}",
                "levels": [
                    [tick(price), lot(bid), lot(ask), count]
                    for price, bid, ask, count in view.cells[at : at + n].tolist()
                ],
            }
        )
    return out


def _quote_volume(instrument: Instrument, units: int, lots: int) -> Decimal:
    """Of inverse contracts the quantity itself is in quote currency."""
    return instrument.lot.to_decimal(lots) if instrument.kind.startswith("inverse") else instrument.notional(units)


def _ofi(engine: Engine, instrument: Instrument) -> dict[str, str]:
    minutes = engine.quotes.ofi[:, instrument.index]
    held = minutes[minutes["minute"] > 0]
    held = held[np.argsort(held["minute"])]
    return {str(int(row["minute"]) * 60_000): instrument.lot.to_text(row["ofi"]) for row in held}


def _liquidations(engine: Engine, instrument: Instrument) -> dict[str, object]:
    totals = engine.quotes.totals[instrument.index]
    parts = int(totals["notional_whole"]) * E8 + int(totals["notional_e8"])
    notional = Decimal(parts) * instrument.lot.value / E8
    return {"long": int(totals["long"]), "short": int(totals["short"]), "notional": f"{notional:f}"}


def state_hash(engine: Engine) -> str:
    """SHA-256 over all the engine concluded: whole books, trade accounts, footprints, OFI, big flow, liquidations."""
    digest = hashlib.sha256()

    def add(*values: Any) -> None:
        for value in values:
            digest.update(value.tobytes() if hasattr(value, "tobytes") else str(value).encode())
            digest.update(b"|")

    for instrument in sorted(engine.universe, key=lambda item: item.symbol):
        i = instrument.index
        book = engine.book(i, 10**6)
        footprint = engine.footprint(i, 60_000, 1, len(engine.flow.minutes.ring))
        add(instrument.key, instrument.tick, instrument.lot, book.state, book.last_update_id, book.bids, book.asks)
        add(repack_fields(engine.flow.trades[i : i + 1]), footprint.candles, footprint.cells)
        ofi = engine.quotes.ofi[:, i]
        add(ofi[np.argsort(ofi["minute"], kind="stable")], engine.quotes.totals[i])
    add(engine.big_flow(limit=10**6), engine.liquidations(limit=10**6))
    return digest.hexdigest()
