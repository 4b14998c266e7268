"""What a simulated venue knows to be true of its own market, beside what the program shows."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from tapewatch.model.views import BookState
from tapewatch.node.venue import VenueNode
from tapewatch.sim import Market
from tapewatch.sim.market import Book


class HeldClock:
    """Stands at the moment of its making until `go`: what a venue does at its times, nobody comes too late for."""

    def __init__(self) -> None:
        self._began = time.time()
        self._held_s: float | None = None

    def __call__(self) -> float:
        return self._began if self._held_s is None else time.time() - self._held_s

    def go(self) -> None:
        """From here on it goes, behind the wall clock by as long as it stood."""
        self._held_s = time.time() - self._began


class StoppableClock:
    """Wall clock until `stop`; the venue's market stands still from then on."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None

    def __call__(self) -> float:
        return time.time() if self._stopped_at is None else min(time.time(), self._stopped_at)

    def stop(self) -> None:
        """Stop at the end of a whole second, so that no slot of a stream is left half full."""
        self._stopped_at = math.ceil(time.time()) + 0.0


def unheard(node: VenueNode, market: Market) -> list[str]:
    """Symbols whose newest trade has not arrived."""
    newest = node.engine.flow.trades["last_id"]
    return [
        instrument.symbol
        for instrument in node.universe
        if (trades := market.trades(instrument.symbol)).size and trades[-1]["id"] != newest[instrument.index]
    ]


def wrong_trades(node: VenueNode, market: Market) -> list[str]:
    """Symbols whose footprint differs from the venue's own list of aggregate trades, as a text each.

    As far as the newest id heard of: the market has stopped, so nothing tells of what was lost behind it.
    """
    wrong = []
    for instrument in node.universe:
        view = node.engine.footprint(instrument.index, 60_000, 1, 10)
        if not len(view.candles):
            continue
        first = int(min(c["open_id"] for c in node.engine.flow.minutes.ring[:, instrument.index] if c["n"]))
        listing = market.listings[market.index[instrument.symbol]]
        price_unit, qty_unit = Decimal(1).scaleb(-listing.price_decimals), Decimal(1).scaleb(-listing.qty_decimals)
        truth: dict[tuple[int, Decimal], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
        heard = int(node.engine.flow.trades[instrument.index]["last_id"])
        for trade in market.trades(instrument.symbol, first, heard - first + 1):
            cell = truth[int(trade["ts_ms"]) // 60_000 * 60_000, int(trade["price"]) * price_unit]
            cell[0 if trade["sell"] else 1] += int(trade["qty"]) * qty_unit
            cell[2] += 1
        shown = {
            (int(candle["open_ms"]), instrument.tick.to_decimal(cell["price"])): [
                instrument.lot.to_decimal(cell["bid"]), instrument.lot.to_decimal(cell["ask"]), Decimal(int(cell["n"])),
            ]
            for candle in view.candles
            for cell in view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]
        }  # fmt: skip
        if shown != truth:
            wrong.append(f"{instrument.symbol}: {len(shown)} cells, venue {len(truth)}; {node.trade_holes()[:3]}")
    return wrong


def recent_books(market: Market, symbol: str) -> Iterator[Book]:
    """The venue's book at every step of the last two seconds, newest first."""
    return (market.book(symbol, age_ms=age_ms) for age_ms in range(0, 2_000, 25))


def wrong_books(node: VenueNode, market: Market) -> list[str]:
    """Symbols whose live book differs from the venue's at the same update id, or is not live."""
    wrong = []
    for instrument in node.universe:
        if not instrument.trading:
            continue
        shown = node.engine.book(instrument.index, 10_000)
        truth = next(
            (b for b in recent_books(market, instrument.symbol) if b.last_update_id == shown.last_update_id), None
        )
        if shown.state is not BookState.LIVE or truth is None:
            wrong.append(f"{instrument.symbol}: {shown.state} at {shown.last_update_id}")
            continue
        listing = market.listings[market.index[instrument.symbol]]
        unit = Decimal(1).scaleb(-listing.price_decimals)
        tick = instrument.tick.to_decimal
        # The venue also streams a far level now and then that its own book does not list.
        best = int(shown.bids[0][0])
        low, high = max(shown.low, best * 9 // 10), min(shown.high, best * 11 // 10)
        for mine, theirs in ((shown.bids, truth.bids), (shown.asks, truth.asks)):
            left = {tick(p): q for p, q in mine.tolist() if low <= p <= high}
            right = {p * unit: q for p, q in theirs.tolist() if tick(low) <= p * unit <= tick(high)}
            if left != right or not left:
                only = [sorted(left.items() - right.items())[:3], sorted(right.items() - left.items())[:3]]
                wrong.append(f"{instrument.symbol}: levels differ at {shown.last_update_id}, ours and theirs: {only}")
    return wrong
