"""A recorded book against the best prices that the venue itself told of it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tapewatch.config import ThresholdsConfig
from tapewatch.model.views import BookState
from tapewatch.replay import Cursor, Recording, Step


def play_beside_book_ticker(tape: Recording, tickers: Iterable[dict[str, Any]]) -> tuple[Cursor, int]:
    """Play a recording; after each applied diff best bid and ask equal the newest bookTicker up to its update id.

    Returns the ended cursor and how often the two were compared. A snapshot applies the kept diffs in one go.
    """
    told: dict[str, dict[int, tuple[Decimal, ...]]] = defaultdict(dict)
    for d in tickers:
        told[d["s"]][d["u"]] = tuple(Decimal(d[k]) for k in "bBaA")
    ids = {symbol: sorted(by_id) for symbol, by_id in told.items()}
    cursor = Cursor(tape, ThresholdsConfig())
    engine = cursor.stage.engine
    compared = 0
    seen = dict.fromkeys(tape.book_symbols, 0)
    while not cursor.ended:
        cursor.step(Step.EVENT, None, 1)
        for symbol, before in seen.items():
            instrument = tape.universe.get(symbol)
            book = engine.sync.ladders.books[instrument.index]
            if book["last_id"] == before:
                continue
            seen[symbol] = int(book["last_id"])
            view = engine.book(instrument.index, 1)
            newest = bisect_right(ids[symbol], view.last_update_id) - 1
            if view.state is not BookState.LIVE or newest < 0:
                continue
            compared += 1
            (bid, bid_lots), (ask, ask_lots) = view.bids[0], view.asks[0]
            tick, lot = instrument.tick.to_decimal, instrument.lot.to_decimal
            shown = (tick(bid), lot(bid_lots), tick(ask), lot(ask_lots))
            assert shown == told[symbol][ids[symbol][newest]], view.last_update_id
    return cursor, compared
