"""A simulated market as the content of venues whose clients subscribe to topics and get snapshots in the stream.

Which topics there are and how they are worded, a subclass says; here is when each has something to tell.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from .faults import Faults
from .layout import STEP_MS, WANT_QUOTES, WANT_TRADES
from .leveltext import levels_text
from .market import Happened, Market
from .rest import ApiError, Query
from .simulation import MovingMarket
from .streams import Frame
from .universe import Listing
from .windows import Window

BOOK_STEPS = 100 // STEP_MS
SECOND_STEPS = 1000 // STEP_MS
FILLS_KEPT = 1000
"""Of each instrument, for REST."""

Levels = NDArray[np.int64]
Fill = tuple[int, int, int, int, int, int, int]
"""A row of `layout.FILL`: symbol, id, price, lots, time, sold, cause."""


@dataclass(frozen=True, slots=True)
class Topic:
    """An open topic. `symbol` is -1 for the whole market; `every` is its rhythm in steps, 0: when something happens."""

    name: str
    kind: str
    symbol: int = -1
    every: int = 0


class TopicMarket(MovingMarket):
    """A market whose streams are topics; see `simulation.MovingMarket`."""

    levels: int
    """Depth of the books' window."""

    def __init__(
        self, listings: list[Listing], *, seed: int, start_ms: int, faults: Faults, lead: Market | None = None
    ) -> None:
        market = Market(listings, seed=seed, start_ms=start_ms, pace=faults.value("storm", 1.0), lead=lead)
        super().__init__(market, faults)
        Window(self.market.state, 0, self.levels).advance()  # compiled here, in a thread, not when somebody subscribes
        self.topics: dict[str, Topic] = {}
        self.fills: dict[int, deque[Fill]] = {}
        """The newest of each instrument that somebody has listened to: trading goes on when nobody does."""
        self.touches: dict[int, tuple[int, ...]] = {}
        """Best prices and quantities as readers of an instrument's figures were told."""
        self._named: dict[tuple[str, int], str] = {}
        self.windows: dict[int, Window] = {}
        self._turns: dict[tuple[int, int], dict[str, Topic]] = {}
        self._routes: Mapping[str, Callable[[Query], str]] = self.routes()
        self._announced: list[Listing] = []
        self._told_last: dict[int, int] = {}
        """Id of the last message about a book that nobody reads now: no other state ever has it."""

    # -- the dialect --------------------------------------------------------------------------------------------------

    @abstractmethod
    def parse(self, name: str) -> Topic | None:
        """The topic of this name; None where the venue has none."""

    @abstractmethod
    def book_text(self, topic: Topic, bids: str, asks: str, ids: tuple[int, int], *, whole: bool) -> str:
        """A message about a book: its levels' text, the ids of the message before (-1) and of this one."""

    @abstractmethod
    def next_id(self, window: Window, symbol: int) -> int:
        """Id of the next message about a book."""

    @abstractmethod
    def trades_text(self, topic: Topic, fills: list[Fill]) -> Iterator[str]:
        """Messages about an instrument's newest fills."""

    @abstractmethod
    def liquidations_text(self, topic: Topic, rows: list[tuple[int, ...]]) -> str:
        """One message about liquidations, rows of `layout.LIQUIDATED`."""

    @abstractmethod
    def figures(self, topic: Topic, *, first: bool) -> str:
        """A message with an instrument's figures (`first`: to a new reader alone); empty when nothing is new."""

    @abstractmethod
    def announcement(self, topic: Topic, listings: list[Listing]) -> str:
        """A message about instruments that have changed."""

    @abstractmethod
    def routes(self) -> Mapping[str, Callable[[Query], str]]:
        """REST by path."""

    @abstractmethod
    def unknown_path(self, path: str) -> ApiError:
        """The refusal of a path that does not exist."""

    @abstractmethod
    def size_decimals(self, listing: Listing) -> int:
        """Decimals of a quantity, of which a lot is the last."""

    # -- content ------------------------------------------------------------------------------------------------------

    async def answer(self, path: str, query: Query) -> str:
        route = self._routes.get(path)
        if route is None:
            raise self.unknown_path(path)
        return route(query)

    def open(self, name: str) -> None:
        """Begin to write a topic."""
        topic = self.parse(name)
        if topic is None or name in self.topics:
            return
        self.topics[name] = topic
        self._named[topic.kind, topic.symbol] = name
        if topic.every:
            self._turns.setdefault((topic.every, -topic.symbol % topic.every), {})[name] = topic
        if topic.kind == "book":
            window = self.windows[topic.symbol] = Window(self.market.state, topic.symbol, self.levels)
            window.told_ms = self.now_ms
            window.number = max(self.next_id(window, topic.symbol), self._told_last.get(topic.symbol, 0) + 1)
        elif topic.kind == "trades":
            self.fills.setdefault(topic.symbol, deque(maxlen=FILLS_KEPT))
        self._want(topic.symbol)

    def close(self, name: str) -> None:
        topic = self.topics.pop(name, None)
        if topic is None:
            return
        del self._named[topic.kind, topic.symbol]
        if topic.every:
            self._turns[topic.every, -topic.symbol % topic.every].pop(name)
        if topic.kind == "book":
            self._told_last[topic.symbol] = self.windows.pop(topic.symbol).number
        self._want(topic.symbol)

    def greeting(self, name: str) -> list[str]:
        """What a new reader of a topic gets first."""
        topic = self.topics.get(name)
        if topic is None:
            return []
        if topic.kind == "book":
            window = self.windows[topic.symbol]
            return [self.book(topic, *window.whole(), (-1, window.number), whole=True)]
        return [text] if topic.every and (text := self.figures(topic, first=True)) else []

    def step(self) -> list[Frame]:
        happened = self.market.step()
        return [*self._events(happened), *self._due(happened.end_ms // STEP_MS)]

    def _want(self, symbol: int) -> None:
        if symbol < 0:
            return
        quotes = WANT_QUOTES if ("ticker", symbol) in self._named else 0
        trades = WANT_TRADES if symbol in self.fills else 0
        self.market.state.symbols[symbol]["want"] = quotes | trades

    def _events(self, happened: Happened) -> Iterator[Frame]:
        for symbol, rows in groupby(sorted(happened.fills.tolist(), key=lambda row: row[:2]), key=lambda row: row[0]):
            kept = self.fills.get(symbol)
            if kept is None:
                continue
            fills = list(_numbered(rows, kept[-1][1] if kept else None))
            kept.extend(fills)
            if name := self._named.get(("trades", symbol)):
                yield from ((name, text) for text in self.trades_text(self.topics[name], fills))
        liquidated = happened.liquidations.tolist()
        if liquidated and (name := self._named.get(("liquidations", -1))):
            yield name, self.liquidations_text(self.topics[name], liquidated)
        for symbol, rows in groupby(sorted(liquidated), key=lambda row: row[0]):
            if name := self._named.get(("liquidations", symbol)):
                yield name, self.liquidations_text(self.topics[name], list(rows))
        if self._announced and (name := self._named.get(("instruments", -1))):
            yield name, self.announcement(self.topics[name], self._announced)
        self._announced.clear()

    def _due(self, steps: int) -> Iterator[Frame]:
        for every in {every for every, _ in self._turns}:
            for topic in self._turns.get((every, steps % every), {}).values():
                if topic.symbol >= 0 and self.market.listings[topic.symbol].status != "TRADING":
                    continue
                text = self.book_changes(topic) if topic.kind == "book" else self.figures(topic, first=False)
                if text:
                    yield topic.name, text

    def book_changes(self, topic: Topic) -> str:
        """A book's next message; empty when nothing has changed."""
        window = self.windows[topic.symbol]
        bids, asks = window.advance()
        if window.restarted:
            window.number, window.restarted = 1, False
            return self.book(topic, *window.whole(), (-1, 1), whole=True)
        if not len(bids) and not len(asks):
            return ""
        ids = (window.number, self.next_id(window, topic.symbol))
        window.number = ids[1]
        return self.book(topic, bids, asks, ids, whole=False)

    def book(self, topic: Topic, bids: Levels, asks: Levels, ids: tuple[int, int], *, whole: bool) -> str:
        listing = self.market.listings[topic.symbol]
        decimals = listing.price_decimals, self.size_decimals(listing)
        wire = np.array([listing.tick_units, 1])
        return self.book_text(
            topic, levels_text(bids * wire, *decimals), levels_text(asks * wire, *decimals), ids, whole=whole
        )

    # -- the life of instruments --------------------------------------------------------------------------------------

    def happenings(self, target: str) -> dict[str, Callable[[], None]]:
        return {**super().happenings(target), "restart": self._restart}

    def announce(self, listing: Listing) -> None:
        self._announced.append(listing)

    def begin_book_anew(self, listing: Listing) -> None:
        """What was told counts in the old ticks: whoever reads it starts anew."""
        self.announce(listing)
        i = self.market.index[listing.symbol]
        if i in self.windows:
            self.windows[i] = Window(self.market.state, i, self.levels)
            self.windows[i].restarted = True

    def _restart(self) -> None:
        for window in self.windows.values():
            window.restarted = True
        if not self.windows:  # nobody would notice: as soon as somebody reads
            self._at(self.now_ms + 1_000, self._restart)


def _numbered(rows: Iterator[Fill], last: int | None) -> Iterator[Fill]:
    """Fills under ids without holes: the market, as Binance does, leaves some out."""
    for row in rows:
        last = row[1] if last is None else last + 1
        yield (row[0], last, *row[2:])
