"""The simulated market: what is listed, how it moves, and what it remembers.

Nothing here knows sockets, JSON or the wall clock. Whoever drives it calls `step` once for every 25 ms of market time
and reads the records that came about; the same seed and start give the same records, whoever listens.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from . import kernels, layout
from .bars import add_bars, close_minute, group_bars, past_bars
from .layout import BAR, MINUTES, RING, STEP_MS
from .universe import DAY_MS, Listing, new_listing

SPARE = 16
"""Room for instruments that get listed while we run."""
PAST_HOURS = 1.0
"""How long a symbol's aggregate trades can be asked for at its usual rate."""
HISTORY_DAYS = 32
EARLY_PARENTS, EARLY_EVERY_US = 12, 3_000_000
SIGMA_SHARE = 0.75
"""Of an instrument's volatility; the rest comes from the common factor and from what orders move."""

PULL = 0.2
"""Of what its price is away from the lead's a follower makes good in each step: arbitrage takes a tenth of a second."""
TRAIL = 512
"""Steps of which a market remembers its prices for those that follow it: 12.8 s."""
APART_BPS, CLOSER_A_SECOND = 1.2, 0.02
"""How far perpetuals of two venues are apart, and how much of that passes in a second."""

MINUTE_MS = 60_000
WEEK_OFFSET_MS = 4 * DAY_MS
"""Weekly klines open on Mondays; the epoch was a Thursday."""
INTERVALS_MS = {
    "1m": MINUTE_MS, "3m": 3 * MINUTE_MS, "5m": 5 * MINUTE_MS, "15m": 15 * MINUTE_MS, "30m": 30 * MINUTE_MS,
    "1h": 3_600_000, "2h": 7_200_000, "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000,
    "1d": DAY_MS, "3d": 3 * DAY_MS, "1w": 7 * DAY_MS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happened:
    """What one step brought, as records of `layout`; valid until the next step."""

    end_ms: int
    aggregates: NDArray[np.void]
    fills: NDArray[np.void]
    quotes: NDArray[np.void]
    liquidations: NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Book:
    """Both sides of a book, best first, as rows of (price in wire units, lots)."""

    last_update_id: int
    ts_ms: int
    bids: NDArray[np.int64]
    asks: NDArray[np.int64]


@dataclass(slots=True)
class Marks:
    """Mark, index and funding of every symbol; prices in quote currency."""

    mark: NDArray[np.float64]
    index: NDArray[np.float64]
    funding: NDArray[np.float64]
    open_interest_lots: NDArray[np.float64]


class Market:
    """A venue's instruments from `start_ms` on, moved by `step`.

    Where there is a `lead`, instruments that name one of its follow that one's price: spot stands at the lead's index
    (its basis is the perpetual's premium), another perpetual a basis point or so beside. The rest of a follower's life
    (orders, books, trades) is its own. A follower is never moved beyond its lead's time.

    Without a lead, those that name another one of this market (BTCUSDC, quarterlies) follow that.
    """

    def __init__(
        self, listings: list[Listing], *, seed: int, start_ms: int, pace: float = 1.0, lead: Market | None = None
    ) -> None:
        self.seed = seed
        self.start_ms = start_ms - start_ms % STEP_MS
        self.now_ms = self.start_ms
        self.listings: list[Listing] = []
        self.index: dict[str, int] = {}
        self._random = random.Random(f"market {seed}")
        self._drift = np.random.default_rng(seed)
        room = len(listings) + SPARE
        past = sum(_past_room(listing) for listing in listings) + SPARE * _past_room(listings[0])
        self.state = layout.allocate(room, past)
        self._world = self.state.world[0]
        self._world["rng"] = np.uint64(self._random.getrandbits(64))
        self._world["start_us"] = self.start_ms * 1000
        self.set_pace(pace)
        self._world["symbols"] = sum(listing.status == "TRADING" and not listing.dated for listing in listings)
        self._past_end = 0
        self.minutes = np.zeros((room, MINUTES), BAR)
        self.day = np.zeros(room, BAR)
        """Sums of the kept minutes: the tickers' 24 h, without the running minute."""
        self._live_days: dict[int, NDArray[np.void]] = {}
        self._past_days: dict[int, NDArray[np.void]] = {}
        self.marks = Marks(*(np.zeros(room) for _ in range(4)))
        self.basis = np.zeros(room)
        self.lead = lead
        self.trail = np.zeros((TRAIL, room))
        """Fair prices in quote currency after each step, by its number; of spot, what the index stands at."""
        self._wire_price = np.zeros(room)
        self._apart = np.zeros(room)
        self._followers, self._leaders = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._multiples = np.zeros(0)
        self.is_spot = bool(listings) and listings[0].contract == "SPOT"
        self._minute_ms = self.start_ms - self.start_ms % MINUTE_MS
        self.state.bars["open_ms"] = self._minute_ms
        for listing in listings:
            self._place(listing)
        self.before_step: Callable[[], None] | None = None
        """What else happens in the market, such as planted patterns; part of the step that follows."""
        self._open()
        self._tell_marks()
        self._remember_prices()

    def set_pace(self, pace: float) -> None:
        """How many times as often as usual everything happens from now on."""
        self._world["pace"] = pace

    def _open(self) -> None:
        """Have some large orders come early: whoever opens a page must not wait minutes for the first big flow."""
        start_us = self.start_ms * 1000
        for _ in range(min(EARLY_PARENTS, int(self._world["symbols"]) // 16)):
            kernels.spawn_parent(self.state, start_us)
        parents = self.state.parents
        for k, at in enumerate(np.flatnonzero(parents["left"] > 0)):
            parents["child"][at] = parents["left"][at] // 8 + 1
            parents["gap_us"][at] = 25_000
            parents["next_us"][at] = start_us + (k + 1) * EARLY_EVERY_US

    # -- instruments --------------------------------------------------------------------------------------------------

    def _place(self, listing: Listing) -> int:
        i = len(self.listings)
        if i == len(self.state.symbols):
            raise RuntimeError(f"the market has room for {i} instruments")
        self.listings.append(listing)
        self.index[listing.symbol] = i
        lots = 10**listing.qty_decimals / listing.price
        symbol = self.state.symbols[i]
        symbol["live"] = listing.status == "TRADING"
        symbol["tick_units"] = listing.tick_units
        # Measured: an order brings 1.2 aggregate trades (levels it takes); where trading is dense 0.75 (they merge).
        symbol["orders_per_s"] = listing.trades_per_s / min(1.2, max(0.75, 1.2 - 0.09 * listing.trades_per_s))
        symbol["changes_per_s"] = 520.0 * (listing.trades_per_s / 14.0) ** 1.2
        symbol["order_lots"] = max(2.0, lots * listing.adv / 86_400 / symbol["orders_per_s"])
        tick = 10.0**-listing.price_decimals * listing.tick_units
        symbol["level_lots"] = max(
            2.0, 0.2 * float(symbol["order_lots"]), lots * listing.adv * 1.2 * tick / listing.price
        )
        symbol["adv_lots"] = lots * listing.adv
        symbol["sigma"] = SIGMA_SHARE * listing.volatility / math.sqrt(365 * 86_400)
        symbol["beta"] = listing.beta
        self._wire_price[i] = listing.tick_units * 10.0**-listing.price_decimals
        source = self.lead or self
        if listing.follows in source.index and (source is not self or listing.follows != listing.symbol):
            symbol["beta"] = 0.0
            self._followers = np.append(self._followers, i)
            self._leaders = np.append(self._leaders, source.index[listing.follows])
            self._multiples = np.append(self._multiples, listing.multiple)
        symbol["spread"] = 1 if listing.rank <= 30 else self._random.choice((1, 1, 2, 3))
        symbol["trade_id"] = 8_123_000_000 // (i + 1) + self._random.randrange(1_000_000)
        symbol["aggregate_id"] = symbol["trade_id"] * 3 // 7
        symbol["first_aggregate"] = symbol["aggregate_id"] + 1
        symbol["past_room"] = _past_room(listing)
        symbol["past_at"] = self._past_end
        self._past_end += _past_room(listing)
        close = listing.start_ticks * listing.tick_units
        bar = self.state.bars[i]
        bar["open_ms"] = self._minute_ms
        bar["open"] = bar["high"] = bar["low"] = bar["close"] = close
        bar["first"] = bar["last"] = -1
        kernels.seed_book(self.state, i, listing.start_ticks, self.now_ms * 1000)
        self.basis[i] = self._random.gauss(0.0, 0.0003)
        self.marks.funding[i] = 0.0 if listing.dated else self._random.gauss(0.00006, 0.00008)
        self.marks.open_interest_lots[i] = symbol["adv_lots"] * self._random.uniform(0.2, 0.6)
        minutes = self._past_minutes(i, MINUTES) if self.now_ms == self.start_ms else np.zeros(0, BAR)
        self.minutes[i, minutes["open_ms"] // MINUTE_MS % MINUTES] = minutes
        add_bars(self.day[i : i + 1], minutes)
        self.day[i]["open_ms"] = minutes[0]["open_ms"] if len(minutes) else self._minute_ms
        return i

    def _past_minutes(self, i: int, count: int) -> NDArray[np.void]:
        """The `count` minutes before the market's first one; they never happened, but the venue tells them."""
        listing, symbol = self.listings[i], self.state.symbols[i]
        bars = np.zeros(count, BAR)
        past_bars(
            np.uint64(random.Random(f"past {self.seed} {listing.symbol}").getrandbits(64)),
            bars,
            self.start_ms - self.start_ms % MINUTE_MS,
            float(symbol["adv_lots"]),
            float(listing.start_ticks * listing.tick_units),
            listing.tick_units,
            float(symbol["sigma"]),
            float(symbol["order_lots"]),
            int(symbol["first_aggregate"]) * 7 // 3 - 1,
        )
        return bars

    def list_new(self) -> Listing:
        """List an instrument nobody knew; it is pending until `change` makes it trade."""
        listing = new_listing(set(self.index), self.seed, self.now_ms)
        self._place(listing)
        return listing

    def change(self, symbol: str, status: str, delivery_ms: int | None = None) -> Listing:
        """Give an instrument another status; only TRADING moves."""
        i = self.index[symbol]
        listing = self.listings[i]
        listing = replace(
            listing, status=status, delivery_ms=listing.delivery_ms if delivery_ms is None else delivery_ms
        )
        self.listings[i] = listing
        self.state.symbols[i]["live"] = status == "TRADING"
        return listing

    def change_tick(self, symbol: str) -> Listing:
        """Make the tick ten times finer where the printed decimals allow it, else coarser; the book starts anew."""
        i = self.index[symbol]
        listing, record = self.listings[i], self.state.symbols[i]
        units = listing.tick_units // 10 if listing.tick_units % 10 == 0 else listing.tick_units * 10
        ticks = round(float(record["fair"]) * listing.tick_units / units)
        record["level_lots"] = max(2.0, float(record["level_lots"]) * units / listing.tick_units)
        record["tick_units"] = units
        self.listings[i] = replace(listing, tick_units=units)
        self._wire_price[i] = units * 10.0**-listing.price_decimals
        kernels.seed_book(self.state, i, ticks, self.now_ms * 1000)
        return self.listings[i]

    # -- time ---------------------------------------------------------------------------------------------------------

    def step(self) -> Happened:
        """Let the next 25 ms happen."""
        if self.now_ms % MINUTE_MS == 0 and self.now_ms > self._minute_ms:
            self._close_minute()
        state, world = self.state, self._world
        world["quotes"] = world["fills"] = world["aggregates"] = world["liquidations"] = 0
        if self.before_step is not None:
            self.before_step()
        if len(self._followers):
            self._follow_lead()
        kernels.step(state, self.now_ms * 1000, STEP_MS * 1000)
        if world["overflow"]:
            raise RuntimeError("one step brought more records than there is room for")
        self.now_ms += STEP_MS
        self._remember_prices()
        if self.now_ms % 1000 == 0:
            self._tell_marks()
        return Happened(
            self.now_ms,
            state.aggregates[: world["aggregates"]],
            state.fills[: world["fills"]],
            state.quotes[: world["quotes"]],
            state.liquidations[: world["liquidations"]],
        )

    def _remember_prices(self) -> None:
        """Leave this step's prices to those who follow."""
        self.trail[self.now_ms // STEP_MS % TRAIL] = self.state.symbols["fair"] * self._wire_price

    def _follow_lead(self) -> None:
        """Draw fair prices to the lead's of this moment: several venues, one market; and here BTCUSDC to BTCUSDT."""
        lead, own = self.lead or self, self._followers
        then_ms = max(min(self.now_ms, lead.now_ms), lead.now_ms - (TRAIL - 1) * STEP_MS)
        prices = lead.trail[then_ms // STEP_MS % TRAIL][self._leaders]
        away = -lead.basis[self._leaders] if self.is_spot else self._apart[own]
        fair = self.state.symbols["fair"]
        fair[own] += PULL * (prices * self._multiples * (1.0 + away) / self._wire_price[own] - fair[own])

    def skip_to(self, now_ms: int) -> None:
        """Jump over time in which nobody drove the market: nothing happened in it, and open prints are sent late."""
        while self._minute_ms + MINUTE_MS <= now_ms - now_ms % STEP_MS:
            self.now_ms = self._minute_ms + MINUTE_MS
            self._close_minute()
        self.now_ms = now_ms - now_ms % STEP_MS

    def _close_minute(self) -> None:
        day_ms = self._minute_ms - self._minute_ms % DAY_MS
        if day_ms not in self._live_days:
            self._live_days[day_ms] = np.zeros(len(self.day), BAR)
            self._live_days[day_ms]["open_ms"] = day_ms
        self._minute_ms = self.now_ms - self.now_ms % MINUTE_MS
        close_minute(self.state.bars, self.minutes, self.day, self._live_days[day_ms], self._minute_ms)

    def _tell_marks(self) -> None:
        """Once a second: the mark follows the mid, the index stands apart by a slow basis, which funding leans to."""
        n, symbols = len(self.listings), self.state.symbols
        units = np.array([10.0**-listing.price_decimals for listing in self.listings])
        mid = (symbols["bid"][:n] + symbols["ask"][:n]) * 0.5 * symbols["tick_units"][:n] * units
        marks = self.marks
        marks.mark[:n] = np.where(marks.mark[:n] == 0.0, mid, 0.7 * marks.mark[:n] + 0.3 * mid)
        self.basis[:n] += -0.002 * self.basis[:n] + self._drift.normal(0.0, 0.00001, n)
        marks.index[:n] = mid * (1.0 - self.basis[:n])
        if self.lead is None:
            marks.index[self._followers] = marks.index[self._leaders]
        lean = np.clip(self.basis[:n] * 0.3, -0.003, 0.003)
        marks.funding[:n] = np.where(marks.funding[:n] == 0.0, 0.0, marks.funding[:n] * 0.9995 + lean * 0.0005)
        apart = self._drift.normal(0.0, APART_BPS * 1e-4 * math.sqrt(2 * CLOSER_A_SECOND), n)
        self._apart[:n] += apart - CLOSER_A_SECOND * self._apart[:n]
        marks.open_interest_lots[:n] *= 1.0 + self._drift.normal(0.0, 0.0001, n)

    # -- what it remembers --------------------------------------------------------------------------------------------

    def book(self, symbol: str, *, age_ms: int = 0, limit: int = RING) -> Book:
        """The book of `age_ms` ago."""
        i = self.index[symbol]
        record = self.state.symbols[i]
        ring = np.empty(RING, np.int64)
        until_ms = self.now_ms - age_ms
        u, us = kernels.rewind(self.state, i, (until_ms - until_ms % STEP_MS) * 1000, ring)
        low = int(record["anchor"]) - RING // 2
        prices = np.arange(low, low + RING)
        lots = ring[prices & (RING - 1)]
        bids, asks = prices[lots > 0], prices[lots < 0]
        units = int(record["tick_units"])
        return Book(
            int(u),
            int(us) // 1000,
            np.column_stack((bids * units, lots[lots > 0]))[::-1][:limit],
            np.column_stack((asks * units, -lots[lots < 0]))[:limit],
        )

    def trades(self, symbol: str, first_id: int = 0, limit: int | None = None) -> NDArray[np.void]:
        """Aggregate trades sent, ascending, from `first_id` on, as far back as they are kept."""
        record = self.state.symbols[self.index[symbol]]
        last = int(record["aggregate_id"])
        kept = max(int(record["first_aggregate"]), last - int(record["past_room"]) + 1)
        first = max(first_id, kept)
        stop = last + 1 if limit is None else min(last + 1, first + limit)
        ids = np.arange(first, max(first, stop))
        return self.state.past[int(record["past_at"]) + ids % int(record["past_room"])]

    def quote(self, i: int) -> tuple[int, ...]:
        """Best bid and ask now, as a row of `layout.QUOTE`."""
        record, book = self.state.symbols[i], self.state.books[i]
        bid, ask, units = int(record["bid"]), int(record["ask"]), int(record["tick_units"])
        bid_qty, ask_qty = int(book[bid & (RING - 1)]), -int(book[ask & (RING - 1)])
        return i, int(record["last_u"]), bid * units, bid_qty, ask * units, ask_qty, int(record["last_us"]) // 1000

    def ticker(self, i: int) -> dict[str, int]:
        """The last 24 h with the running minute, in wire units and lots."""
        open_ms, first_price, high, low, _, qty, quote, _, _, trades, first, _ = self.day[i].item()
        _, _, bar_high, bar_low, close, bar_qty, bar_quote, _, _, bar_trades, bar_first, bar_last = self.state.bars[
            i
        ].item()
        record = self.state.symbols[i]
        newest = self.state.past[int(record["past_at"]) + int(record["aggregate_id"]) % int(record["past_room"])]
        return {
            "open_ms": open_ms,
            "open": first_price or close,
            "high": max(high, bar_high),
            "low": min(low, bar_low) if low else bar_low,
            "close": close,
            "qty": qty + bar_qty,
            "quote": quote + bar_quote,
            "trades": trades + bar_trades,
            "first": first if trades else bar_first,
            "last": bar_last if bar_trades else int(record["trade_id"]),
            "last_qty": int(newest["qty"]),
        }

    def funding(self, i: int) -> tuple[float | None, int]:
        """Running estimate of the next funding rate and when it is due; dated contracts have none."""
        listing = self.listings[i]
        if listing.dated:
            return None, 0
        width = listing.funding_hours * 3_600_000
        return float(self.marks.funding[i]), (self.now_ms // width + 1) * width

    def klines(
        self, symbol: str, interval: str, start_ms: int | None, end_ms: int | None, limit: int
    ) -> NDArray[np.void]:
        """Klines that open in [start, end]: the newest `limit`, or the first `limit` from `start_ms` on."""
        i, width = self.index[symbol], INTERVALS_MS[interval]
        offset = WEEK_OFFSET_MS if interval == "1w" else 0
        end = self.now_ms if end_ms is None else min(end_ms, self.now_ms)
        start = end - limit * width if start_ms is None else start_ms
        start = max(-(-(start - offset) // width) * width + offset, self.start_ms - HISTORY_DAYS * DAY_MS)
        bars = self._days(i) if width >= DAY_MS else self._minutes_of(i, start, end + width)
        out = np.zeros(len(bars), BAR)
        out = out[: group_bars(bars, width, offset, out)]
        out = out[(out["open_ms"] >= start) & (out["open_ms"] <= end)]
        return out[:limit] if start_ms is not None else out[-limit:]

    def _minutes_of(self, i: int, start_ms: int, end_ms: int) -> NDArray[np.void]:
        first_ms = self.start_ms - self.start_ms % MINUTE_MS
        parts = []
        if start_ms < first_ms and not self._is_new(i):
            parts.append(self._past_minutes(i, -(-(first_ms - start_ms) // MINUTE_MS)))
        kept_ms = max(first_ms, self._minute_ms - MINUTES * MINUTE_MS)
        opens = np.arange(kept_ms, self._minute_ms, MINUTE_MS)
        kept = self.minutes[i, opens // MINUTE_MS % MINUTES]
        parts += [kept[kept["open_ms"] == opens], self.state.bars[i : i + 1]]
        bars = np.concatenate(parts)
        return bars[(bars["open_ms"] >= start_ms) & (bars["open_ms"] < end_ms)]

    def _days(self, i: int) -> NDArray[np.void]:
        past = self._past_days.get(i)
        if past is None:
            past = np.zeros(0, BAR)
            if not self._is_new(i):
                first_ms = self.start_ms - self.start_ms % MINUTE_MS
                minutes = self._past_minutes(i, HISTORY_DAYS * 1440 + first_ms % DAY_MS // MINUTE_MS)
                past = np.zeros(HISTORY_DAYS + 2, BAR)
                past = past[: group_bars(minutes, DAY_MS, 0, past)]
            self._past_days[i] = past
        return np.concatenate(
            (past, *(days[i : i + 1] for days in self._live_days.values()), self.state.bars[i : i + 1])
        )

    def _is_new(self, i: int) -> bool:
        return self.listings[i].onboard_ms >= self.start_ms


def _past_room(listing: Listing) -> int:
    return 256 if listing.status == "SETTLING" else int(listing.trades_per_s * 3600 * PAST_HOURS * 1.1) + 500
