"""What a simulated venue told and traded, and whether a program that read it over a failing line shows the same.

What is compared depends on what a venue's ids can tell (`model.rules.TradeIds`):

* counted, and spans of several (OKX): every trade of the venue is held, or its id lies in a gap. Of OKX the number of
  prints in a cell is left out: fills of one order are one message live, and single ones when they are asked for.
* rising (Bybit): what is shown is exactly what came in order and what an answer brought back into a gap, and all that
  was lost with the line happened within the time of a gap. What vanished while the line stood, nobody can know.

Books: whichever is shown as live is the venue's own at that id.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch import ledger
from tapewatch.feed.pages import midnight
from tapewatch.flow.holes import listed
from tapewatch.flow.trades import EMPTY
from tapewatch.model.gaps import GAP
from tapewatch.model.instrument import Instrument
from tapewatch.model.rules import TradeIds
from tapewatch.model.views import BookState
from tapewatch.node.venue import VenueNode
from tapewatch.sim.layout import RING
from tapewatch.sim.streams import Frame
from tapewatch.sim.topics import TopicMarket
from tapewatch.venues.bybit_linear_codec import SEQ_SHIFT
from tapewatch.venues.product import Product

KEPT_BOOKS_MS = 2_500
"""How far back the venue can tell its books."""

Print = tuple[int, int, int, int, bool]
"""Id, time, price and quantity in units of their last decimals, and whether it sold."""


class Truth:
    """A venue's own account of itself. `remember_…` each step, `take` and `lose` what becomes of each message."""

    def __init__(self, content: Any, product: Product) -> None:
        self.sim = content
        self.market = content.market
        self.ids = product.trades.ids
        self._books: defaultdict[str, dict[int, tuple[int, Any]]] = defaultdict(dict)
        """By symbol and update id: when it was, and what the venue told (of a window that it sends)."""
        self._told: dict[str, tuple[str, list[Print]]] = {}
        """Where ids only rise: messages with trades, with their symbol and prints."""
        self._came: defaultdict[str, list[Print]] = defaultdict(list)
        self._lost: defaultdict[str, list[Print]] = defaultdict(list)
        """The prints among them that came, and those that went with the line."""
        self._all: defaultdict[str, dict[int, Print]] = defaultdict(dict)

    def remember_books(self) -> None:
        """Note which id each book stands at, and of those sent as a window what the venue has told."""
        if isinstance(self.sim, TopicMarket):
            for i, window in self.sim.windows.items():
                known = self._books[self.market.listings[i].symbol]
                if window.number not in known or self.sim.now_ms - known[window.number][0] > KEPT_BOOKS_MS:
                    units = np.array([self.market.listings[i].tick_units, 1])
                    known[window.number] = self.sim.now_ms, tuple(side * units for side in window.whole())
        else:
            for i, listing in enumerate(self.market.listings):
                u, anchor = self.market.state.symbols[["last_u", "anchor"]][i].item()
                self._books[listing.symbol][u] = self.sim.now_ms, anchor

    def remember_trades(self, frames: Sequence[Frame]) -> None:
        """Where ids only rise: what each message with trades tells."""
        for stream, payload in frames if self.ids is TradeIds.RISING else ():
            if not stream.startswith("publicTrade."):
                continue
            symbol = stream.partition(".")[2]
            prints = []
            for seq, rows in groupby(json.loads(payload)["data"], key=lambda row: row["seq"]):
                for place, row in enumerate(rows):
                    price, qty = (int(row[k].replace(".", "")) for k in "pv")
                    prints.append(((seq << SEQ_SHIFT) + place, row["T"], price, qty, row["S"] == "Sell"))
            self._told[_data(payload)] = symbol, prints
            self._all[symbol] |= {one[0]: one for one in prints}

    def take(self, payload: str) -> tuple[str, int] | None:
        """A message reached the program: its symbol, and how many trades it held; None where it is damaged.

        A topic that is damaged behind its kind is not: what is in it says whose trades they are.
        """
        told = self._told.get(_data(payload))
        if told is None or not payload.endswith("}") or '"ts":"soon"' in payload:
            return None
        symbol, prints = told
        self._came[symbol] += self._newer(symbol, prints)
        return symbol, len(prints)

    def tell_again(self, node: VenueNode, symbol: str, ids: Sequence[int]) -> None:
        """An answer with the newest trades is about to reach the program: what of it lies in a gap comes after all."""
        i = node.universe.get(symbol).index
        first, last = node.engine.flow.trades[["first_id", "last_id"]][i].item()
        gaps = listed(node.engine.flow.holes, i)
        back = {
            n for n in ids
            if not first <= n <= last or ((gaps["first_id"] <= n) & (n <= gaps["last_id"])).any()
        }  # fmt: skip
        self._came[symbol] = sorted([*self._came[symbol], *(self._all[symbol][n] for n in back)])
        self._lost[symbol] = [one for one in self._lost[symbol] if one[0] not in back]

    def lost(self, symbol: str) -> list[Print]:
        """What went with the line and has not come back; of venues whose ids only rise."""
        return self._lost[symbol]

    def lose(self, payload: str) -> None:
        """A message came while the line was down."""
        if _data(payload) in self._told:
            symbol, prints = self._told[_data(payload)]
            self._lost[symbol] += self._newer(symbol, prints)

    def _newer(self, symbol: str, prints: list[Print]) -> list[Print]:
        newest = self._came[symbol][-1][0] if self._came[symbol] else 0
        return [one for one in prints if one[0] > newest]

    def prints(self, symbol: str) -> list[Print]:
        """The venue's own trades, in order of id; where ids only rise, those that came."""
        if self.ids is TradeIds.RISING:
            return self._came[symbol]
        if self.ids is TradeIds.SPANNED:
            fills = self.sim.fills.get(self.market.index[symbol], ())
            return [(number, ts_ms, price, lots, bool(sell)) for _, number, price, lots, ts_ms, sell, _ in fills]
        names = ["id", "ts_ms", "price", "qty", "sell"]
        return [(*row[:4], bool(row[4])) for row in self.market.trades(symbol)[names].tolist()]

    def wrong_books(self, node: VenueNode, now_ms: int) -> Iterator[str]:
        """Books shown as live that are not the venue's book at the same update id."""
        for instrument in node.universe:
            shown = node.engine.book(instrument.index, 5_000)
            if shown.state is not BookState.LIVE:
                continue
            known = self._books[instrument.symbol].get(shown.last_update_id)
            if known is None:
                yield f"{now_ms}: {instrument.symbol} is live at {shown.last_update_id}, where the venue never was"
                continue
            at_ms, told = known
            if now_ms - at_ms > KEPT_BOOKS_MS:
                continue
            low, high = 0, 1 << 62
            if isinstance(told, int):
                low, high = self._known_of(instrument, told)
                book = self.market.book(instrument.symbol, age_ms=now_ms - at_ms)
                told = book.bids, book.asks
                best = int(shown.bids[0][0]) if len(shown.bids) else 0
                # The venue also streams a far level now and then that its own book does not list.
                low, high = max(shown.low, low, best * 9 // 10), min(shown.high, high, best * 11 // 10)
            for mine, theirs in zip((shown.bids, shown.asks), told, strict=True):
                ours, venues = _between(mine, low, high), _between(self._on_grid(theirs, instrument), low, high)
                if not np.array_equal(ours, venues):
                    left, right = ({tuple(level) for level in side.tolist()} for side in (ours, venues))
                    yield (
                        f"{now_ms}: live book of {instrument.symbol} at {shown.last_update_id} has "
                        f"{sorted(left - right)[:2]}, the venue {sorted(right - left)[:2]}"
                    )

    def _known_of(self, instrument: Instrument, anchor: int) -> tuple[int, int]:
        """Lowest and highest tick of which the simulated market still knows how its book stood around `anchor`."""
        i = self.market.index[instrument.symbol]
        now = int(self.market.state.symbols[i]["anchor"])
        ticks = np.array([[max(anchor, now) - RING // 2, 0], [min(anchor, now) + RING // 2 - 1, 0]])
        (low, _), (high, _) = self._on_grid(ticks * self.market.listings[i].tick_units, instrument).tolist()
        return low, high

    def _on_grid(self, side: NDArray[np.int64], on: Instrument) -> NDArray[np.int64]:
        """The venue's levels, in units of their last decimals, as ticks and lots of the instrument's grid."""
        listing = self.market.listings[self.market.index[on.symbol]]
        return np.column_stack((
            side[:, 0] * 10**on.tick.decimals // (10**listing.price_decimals * on.tick.units),
            side[:, 1] * 10**on.lot.decimals // (10**listing.qty_decimals * on.lot.units),
        ))  # fmt: skip

    def wrong_trades(self, node: VenueNode, delivered: Counter[str]) -> Iterator[str]:
        """Candles, cells and account of every symbol against the venue's own list, without the ids in gaps."""
        for instrument in node.universe:
            yield from self._wrong_trades_of(node, instrument, delivered[instrument.symbol])

    def _wrong_trades_of(self, node: VenueNode, instrument: Instrument, delivered: int) -> Iterator[str]:
        """Footprint, candles and account of one symbol against the venue's own list, without the ids in gaps."""
        engine, symbol = node.engine, instrument.symbol
        row = engine.flow.trades[instrument.index]
        account = ledger.trade_account(engine, node.ledger, instrument.index)
        if account["received"] != delivered:
            yield f"{symbol}: {delivered} trades were delivered, {account['received']} received"
        if row["last_id"] == EMPTY:
            return
        gaps = engine.gaps(instrument.index)
        ended = ended_gaps(node, instrument)
        rising = self.ids is TradeIds.RISING
        missing = {number for gap in gaps for number in range(gap["first_id"], gap["last_id"] + 1)}
        listing = self.market.listings[self.market.index[symbol]]
        truth = Candles(counts=self.ids is not TradeIds.SPANNED)
        for one in self.prints(symbol):
            if rising or (row["first_id"] <= one[0] <= row["last_id"] and one[0] not in missing):
                truth.add(one, listing.price_decimals, listing.qty_decimals, instrument)
        if (shown := truth.shown(engine.footprint(instrument.index, 60_000, 1, 2_000))) != truth.candles:
            keys = [key for key in {*shown, *truth.candles} if shown.get(key) != truth.candles.get(key)]
            key = min(keys)
            yield f"{symbol}: candle {key} shows {shown.get(key)}, the venue traded {truth.candles.get(key)}"
        first, last = (self._came[symbol][end][0] if self._came[symbol] else 0 for end in (0, -1))
        for number, ts_ms, *_ in self._lost[symbol]:
            if first < number < last and not any(gap["from_ms"] <= ts_ms <= gap["to_ms"] for gap in (*gaps, *ended)):
                yield f"{symbol}: the trade at {ts_ms} was lost with the line, and no gap says so"

    def missing(self, node: VenueNode) -> list[str]:
        """What is still missing although everything could have been had."""
        out = []
        for instrument in node.universe:
            row = node.engine.flow.trades[instrument.index]
            trading = self.market.listings[self.market.index[instrument.symbol]].status == "TRADING"
            if trading and node.engine.book_state(instrument.index) is not BookState.LIVE:
                out.append(f"{instrument.symbol}: book is {node.engine.book_state(instrument.index)}")
            if row["last_id"] == EMPTY or self.ids is TradeIds.RISING:
                continue
            all_ids = [one[0] for one in self.prints(instrument.symbol)]
            held = range(int(row["first_id"]), int(row["last_id"]) + 1)
            if row["absent"] or held.start != all_ids[0] or held.stop - 1 < all_ids[-1] - 50:
                gaps = node.engine.gaps(instrument.index).tolist()[:3]
                out.append(f"{instrument.symbol}: holds {held}, the venue {all_ids[0]}..{all_ids[-1]}; gaps {gaps}")
        return out


def ended_gaps(node: VenueNode, instrument: Instrument) -> NDArray[np.void]:
    """Gaps of an instrument that nothing can fill: `GAP` rows."""
    gaps: NDArray[np.void] = np.array(list(node.ledger.ended_gaps), GAP)
    ended: NDArray[np.void] = gaps[gaps["instrument"] == instrument.index]
    return ended


def _data(payload: str) -> str:
    """What a message tells, without the head that says whose it is."""
    return payload.partition('"data":')[2]


def _between(side: NDArray[np.int64], low: int, high: int) -> NDArray[np.int64]:
    return side[(side[:, 0] >= low) & (side[:, 0] <= high)]


@dataclass
class Candles:
    """Candles of one minute by plain addition: per open time OHLC, CVD so far, and cells of [sell, buy, prints]."""

    counts: bool = True
    """Prints are counted; else their number is 0, as `shown` leaves it."""
    candles: dict[int, dict[str, Any]] = field(default_factory=dict)
    cvd: int = 0
    day_ms: int = 0

    def add(self, one: Print, price_decimals: int, qty_decimals: int, on: Instrument) -> None:
        """One of the venue's trades, in order of id."""
        _, ts_ms, units, quantity, sell = one
        price = units * 10**on.tick.decimals // (10**price_decimals * on.tick.units)
        lots = quantity * 10**on.lot.decimals // (10**qty_decimals * on.lot.units)
        at = ts_ms // 60_000 * 60_000
        if midnight(at) != self.day_ms:
            self.day_ms, self.cvd = midnight(at), 0
        candle = self.candles.setdefault(at, {"ohlc": [price, price, price, price], "cells": {}})
        ohlc = candle["ohlc"]
        ohlc[1], ohlc[2], ohlc[3] = max(ohlc[1], price), min(ohlc[2], price), price
        cell = candle["cells"].setdefault(price, [0, 0, 0])
        cell[0 if sell else 1] += lots
        cell[2] += self.counts
        self.cvd += -lots if sell else lots
        candle["cvd"] = self.cvd

    def shown(self, view: Any) -> dict[int, dict[str, Any]]:
        """What the program shows, in the same form; candles without trades are left out."""
        out = {}
        for candle in view.candles:
            if candle["n"]:
                cells = view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]
                out[int(candle["open_ms"])] = {
                    "ohlc": [int(candle[name]) for name in ("open", "high", "low", "close")],
                    "cells": {
                        int(c["price"]): [
                            int(c["bid"]),
                            int(c["ask"]),
                            int(c["n"]) * self.counts,
                        ]
                        for c in cells
                    },
                    "cvd": int(candle["cvd"]),
                }
        return out
