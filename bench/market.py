"""A seeded market written down as the venue's frames of 2026, key order, padding and id chains as recorded.

What the recordings say and this repeats: levels of a diff rise in price, their distance from the best price is
log-normal with a far tail (books are not compact), a third of them are deletions; quantities are log-normal; trades
come in bursts and their time lies up to 150 ms before the event's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.random import Generator

from .workload import Symbol, Workload

START_MS = 1_790_000_000_000
SNAPSHOT_LEVELS = 1000
DAILY_TRADES = 10**6
FLOOR_TICKS = 100
"""Best prices do not walk below this."""

MAJORS = [
    # symbol, decimals of the price, tick and best bid in points, typical lots
    (Symbol("BTCUSDT", 2, 10, 3), 8_345_000, 30),
    (Symbol("ETHUSDT", 2, 1, 3), 269_018, 30),
    (Symbol("SOLUSDT", 4, 100, 2), 1_723_400, 120),
    (Symbol("XRPUSDT", 4, 1, 1), 30_123, 2_000),
    (Symbol("DOGEUSDT", 6, 10, 0), 210_430, 30_000),
    (Symbol("1000PEPEUSDT", 7, 1, 0), 112_040, 400_000),
    (Symbol("BNBUSDT", 3, 10, 2), 780_120, 25),
    (Symbol("AVAXUSDT", 4, 10, 0), 231_140, 400),
]


class Listing:
    """One instrument of the market: its book, its id counters, and the frames of what happens to it."""

    def __init__(self, rng: Generator, symbol: Symbol, bid: int, lots: int) -> None:
        typical = lots * bid / 10 ** (symbol.lot_decimals + symbol.price_decimals)
        self.rng, self.symbol, self.typical_lots = rng, replace(symbol, daily_volume=int(typical * DAILY_TRADES)), lots
        self.stream = symbol.name.lower()
        self.bid = bid // symbol.tick
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.update_id = self.diff_id = int(rng.integers(10**12, 10**13))
        self.trade_id = int(rng.integers(10**6, 10**9))
        self.raw_id = 2 * self.trade_id
        self.price_text = lru_cache(1 << 14)(lambda ticks: _text(ticks * symbol.tick, symbol.price_decimals))

    @property
    def ask(self) -> int:
        return self.bid + 1

    def lots(self, n: int) -> list[int]:
        sizes = self.typical_lots * np.exp(self.rng.normal(0, 1.6, n))
        return [int(lots) for lots in np.maximum(1, sizes)]

    def lots_text(self, lots: int) -> str:
        return _text(lots, self.symbol.lot_decimals)

    def _levels(self, lots: dict[int, int], *, falling: bool = False) -> str:
        prices = sorted(lots, reverse=falling)
        return ",".join(f'["{self.price_text(price)}","{self.lots_text(lots[price])}"]' for price in prices)

    def snapshot(self, ms: int) -> bytes:
        """The REST answer that the first diff straddles; gaps between levels grow with the distance."""
        for side, best, away in ((self.bids, self.bid, -1), (self.asks, self.ask, 1)):
            gaps = 1 + (self.rng.random(SNAPSHOT_LEVELS) ** 8 * np.linspace(0, 6, SNAPSHOT_LEVELS)).astype(np.int64)
            prices = best + away * (np.cumsum(gaps) - gaps[0])
            side.update((int(p), lots) for p, lots in zip(prices, self.lots(SNAPSHOT_LEVELS), strict=True) if p > 0)
        bids, asks = self._levels(self.bids, falling=True), self._levels(self.asks)
        return (f'{{"lastUpdateId":{self.diff_id + 1},"E":{ms},"T":{ms - 3},"bids":[{bids}],"asks":[{asks}]}}').encode()

    def depth(self, ms: int, n_bids: int, n_asks: int) -> str:
        """A diff of about that many levels; the best prices take a step of a random walk."""
        changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._step(int(self.rng.normal(0, 1.3)), *changed)
        for side, changes, best, away, n in (
            (self.bids, changed[0], self.bid, -1, n_bids),
            (self.asks, changed[1], self.ask, 1, n_asks),
        ):
            self._churn(side, changes, best, away, n)
        previous, self.update_id = self.diff_id, self.update_id + n_bids + n_asks
        self.diff_id = self.update_id
        return (
            f'{{"stream":"{self.stream}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"T":{ms - 4},'
            f'"s":"{self.symbol.name}","ps":"{self.symbol.name}","U":{previous + 1},"u":{self.diff_id},"pu":{previous},'
            f'"b":[{self._levels(changed[0])}],"a":[{self._levels(changed[1])}],"st":1}}}}'
        )

    def _step(self, ticks: int, bid_changes: dict[int, int], ask_changes: dict[int, int]) -> None:
        """Move the best prices tick by tick: the level that is crossed goes, one of the other side takes its place."""
        if self.bid + ticks < FLOOR_TICKS:
            return
        for _ in range(abs(ticks)):
            price = self.ask if ticks > 0 else self.bid
            sides = [(self.asks, ask_changes), (self.bids, bid_changes)]
            (crossed, gone), (filled, new) = sides if ticks > 0 else sides[::-1]
            if crossed.pop(price, None):
                gone[price] = 0
            filled[price] = new[price] = self.lots(1)[0]
            self.bid += 1 if ticks > 0 else -1

    def _churn(self, side: dict[int, int], changes: dict[int, int], best: int, away: int, n: int) -> None:
        rng = self.rng
        distance = np.exp(rng.normal(4.2, 1.7, n))
        far = rng.random(n) < 0.03
        distance[far] = rng.random(int(far.sum())) * best * 0.6
        distance[0] = 0
        for ticks, fate, lots in zip(distance.astype(np.int64).tolist(), rng.random(n), self.lots(n), strict=True):
            price = best + away * ticks
            if price <= 0:
                continue
            if ticks and fate < 0.3 and price in side:
                del side[price]
                changes[price] = 0
            elif ticks and fate < 0.04:
                changes[price] = 0  # the deletion of a level that is not there: happens on the wire
            else:
                side[price] = changes[price] = lots

    def trade(self, ms: int) -> str:
        rng = self.rng
        self.trade_id += 1
        first, self.raw_id = self.raw_id + 1, self.raw_id + int(rng.geometric(0.35))
        sells = rng.random() < 0.5
        price = (self.bid if sells else self.ask) + int(np.rint(rng.laplace(0, 1.0)))
        lots = self.lots_text(max(1, int(self.typical_lots * np.exp(rng.normal(-0.8, 1.7)))))
        return (
            f'{{"stream":"{self.stream}@aggTrade","data":{{"e":"aggTrade","E":{ms},"a":{self.trade_id},'
            f'"s":"{self.symbol.name}","p":"{self.price_text(max(1, price))}","q":"{lots}","nq":"{lots}","f":{first},'
            f'"l":{self.raw_id},"T":{ms - int(rng.integers(1, 150))},"m":{"true" if sells else "false"},"st":1}}}}'
        )

    def quote(self, ms: int) -> str:
        bid_lots, ask_lots = (self.lots_text(lots) for lots in self.lots(2))
        self.update_id += 1
        return (
            f'{{"stream":"{self.stream}@bookTicker","data":{{"e":"bookTicker","u":{self.update_id},'
            f'"s":"{self.symbol.name}","ps":"{self.symbol.name}","b":"{self.price_text(self.bid)}","B":"{bid_lots}",'
            f'"a":"{self.price_text(self.ask)}","A":"{ask_lots}","T":{ms - 2},"E":{ms},"st":1}}}}'
        )

    def mark(self, ms: int) -> str:
        """One event of the all-symbol array."""
        e8 = self.bid * self.symbol.tick * 10 ** (8 - self.symbol.price_decimals)
        mark, index = (_text(e8 + int(off), 8) for off in self.rng.integers(0, 999, 2))
        funding = (ms // 28_800_000 + 1) * 28_800_000
        return (
            f'{{"e":"markPriceUpdate","E":{ms},"s":"{self.symbol.name}","p":"{mark}","ap":"{mark}","P":"{index}",'
            f'"i":"{index}","r":"{self.rng.normal(1e-4, 1e-4):.8f}","T":{funding},"st":1}}'
        )

    def liquidation(self, ms: int) -> str:
        lots, price = self.lots_text(self.lots(1)[0]), self.price_text(self.bid)
        side = "SELL" if self.rng.random() < 0.5 else "BUY"
        return (
            f'{{"stream":"!forceOrder@arr","data":{{"e":"forceOrder","E":{ms},"o":{{"s":"{self.symbol.name}",'
            f'"S":"{side}","o":"LIMIT","f":"IOC","q":"{lots}","p":"{price}","ap":"{price}","X":"FILLED","l":"{lots}",'
            f'"z":"{lots}","T":{ms - 900},"ps":"{self.symbol.name}","st":1}}}}}}'
        )


def _text(number: int, decimals: int) -> str:
    if decimals == 0:
        return str(number)
    digits = str(number).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def _listings(rng: Generator, n: int) -> list[Listing]:
    """The majors and invented instruments behind them, busiest first."""
    listings = [Listing(rng, *major) for major in MAJORS[:n]]
    names = {listing.symbol.name for listing in listings}
    while len(listings) < n:
        name = "".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), int(rng.integers(2, 8)))) + "USDT"
        if name in names:
            continue
        names.add(name)
        tick = int(rng.choice([1, 10, 100], p=[0.35, 0.5, 0.15]))
        price_decimals = int(rng.choice([2, 3, 4, 5, 6, 7], p=[0.05, 0.15, 0.3, 0.25, 0.15, 0.1]))
        symbol = Symbol(name, price_decimals, tick, int(rng.choice([0, 1, 2, 3], p=[0.6, 0.2, 0.1, 0.1])))
        listings.append(Listing(rng, symbol, int(rng.integers(1_500, 30_000)) * tick, int(10 ** rng.uniform(1.5, 4.5))))
    return listings


def _pick(rng: Generator, n: int, of: int, skew: float) -> list[int]:
    """`n` instruments, the first ones far more often than the last."""
    weights = 1 / np.arange(1, of + 1) ** skew
    return [int(k) for k in rng.choice(of, n, p=weights / weights.sum())]


def _level_counts(rng: Generator, n: int, median: float, low: int, high: int) -> list[int]:
    return [int(k) for k in np.clip(np.exp(rng.normal(np.log(median), 0.95, n)), low, high)]


def _workload(name: str, listings: list[Listing], snapshots: dict[str, bytes], frames: Iterator[str]) -> Workload:
    symbols = [listing.symbol for listing in listings]
    return Workload(name, symbols, snapshots, [frame.encode() for frame in frames], START_MS * 1_000_000)


def trades(n: int = 150_000, symbols: int = 500) -> Workload:
    """Aggregate trades of 500 symbols, four in a millisecond."""
    rng = np.random.default_rng(11)
    listings = _listings(rng, symbols)
    times = START_MS + np.cumsum(rng.random(n) < 0.25)

    def frames() -> Iterator[str]:
        for ms, k, walk in zip(times.tolist(), _pick(rng, n, symbols, 1.1), rng.random(n), strict=True):
            listing = listings[k]
            if walk < 0.13:
                listing.bid = max(FLOOR_TICKS, listing.bid + (1 if walk < 0.065 else -1))
            yield listing.trade(ms)

    return _workload("trades", listings, {}, frames())


def depth20(n: int = 40_000, symbols: int = 20) -> Workload:
    """Diffs of 20 books in turn, 5 to 120 level changes a side."""
    rng = np.random.default_rng(22)
    listings = _listings(rng, symbols)
    snapshots = {listing.symbol.name: listing.snapshot(START_MS) for listing in listings}
    counts = zip(_level_counts(rng, n, 20, 5, 120), _level_counts(rng, n, 20, 5, 120), strict=True)
    frames = (
        listings[k % symbols].depth(START_MS + 5 + 100 * (k // symbols), bids, asks)
        for k, (bids, asks) in enumerate(counts)
    )
    return _workload("depth20", listings, snapshots, frames)


def mix550(seconds: int = 8, symbols: int = 550) -> Workload:
    """The busy whole market: a second of 550 symbols has 4,500 diffs, 3,000 trades, 9,000 quotes, all mark prices."""
    rng = np.random.default_rng(33)
    listings = _listings(rng, symbols)
    snapshots = {listing.symbol.name: listing.snapshot(START_MS) for listing in listings}
    span = seconds * 1000
    scale = symbols / 550
    events: list[tuple[int, Callable[[int], str]]] = []
    median = np.clip(40 / np.arange(1, symbols + 1) ** 0.35, 5, 40)
    for k, listing in enumerate(listings):
        share = 1.0 if k < 60 else 0.97 - 0.35 * k / symbols
        events += [
            (ms, _diff_of(listing, _level_counts(rng, 2, float(median[k]), 1, 400)))
            for ms in range(int(rng.integers(0, 100)), span, 100)
            if rng.random() < share
        ]
    n = int(3_000 * seconds * scale)
    bursts = rng.integers(0, span, n // 200 + 1)
    in_burst = bursts[rng.integers(0, len(bursts), n)] + rng.integers(0, 30, n)
    times = np.where(rng.random(n) < 0.6, in_burst, rng.integers(0, span, n))
    events += [(int(ms), listings[k].trade) for ms, k in zip(times, _pick(rng, n, symbols, 0.9), strict=True)]
    n = int(9_000 * seconds * scale)
    times = rng.integers(0, span, n)
    events += [(int(ms), listings[k].quote) for ms, k in zip(times, _pick(rng, n, symbols, 0.7), strict=True)]
    events += [(int(ms), listings[k].liquidation) for ms, k in rng.integers((0, 0), (span, symbols), (2 * seconds, 2))]
    events += [(1000 * second, _marks_of(listings)) for second in range(seconds)]
    events.sort(key=lambda event: event[0])
    return _workload("mix550", listings, snapshots, (frame(START_MS + ms) for ms, frame in events))


def _diff_of(listing: Listing, counts: list[int]) -> Callable[[int], str]:
    return lambda ms: listing.depth(ms, *counts)


def _marks_of(listings: list[Listing]) -> Callable[[int], str]:
    def frame(ms: int) -> str:
        return f'{{"stream":"!markPrice@arr@1s","data":[{",".join(listing.mark(ms) for listing in listings)}]}}'

    return frame


SETS: dict[str, Callable[[], Workload]] = {"trades": trades, "depth20": depth20, "mix550": mix550}
