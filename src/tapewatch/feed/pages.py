"""Which page of trades to ask for next: a pure plan over what is missing, what is seen and what may be spent.

Two kinds of pages in one order of care: first what a gap hid, then what happened today before we came.

* A gap is filled from its oldest id on, those of visible symbols first, then the newest. One that has just opened is
  left alone for a moment: trades that only changed places close it themselves.
* History goes backwards from the oldest trade held, so that at every moment it is whole from some time on: visible
  symbols first and to the end, then all whose day is `CHEAP_PAGES` at most, the shortest first. A day of the busiest
  symbol is more than a thousand pages; for those nobody looks at it would take what others need.

A gap behind the newest trade of a symbol shows only when its next one comes. So whoever is still silent a moment after
its stream was interrupted is asked for, and so is, now and then, who has been silent for long, or ever since we came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.gaps import Fate
from ..model.rules import TradeRule
from .budget import Priority
from .sink import NO_ID, HistoryEdge, TradeHole, TradeTail

SETTLE_S = 1.0
"""Age at which a gap is asked for."""
TRIES = 4
"""Answers that may end before the gap does: what is asked for can be newer than what the venue's REST knows."""
CHEAP_PAGES = 20
TAIL_AFTER_S = 3.0
"""A stream that is back tells by itself, with its next trade; of busy symbols that is sooner than this."""
QUIET_MS = 120_000
QUIET_AGAIN_S = 900.0
"""A hundred symbols without a trade cost 133 weight a minute."""
DAY_MS = 86_400_000

Room = Callable[[Priority], int]
"""Weight that a priority could be granted now."""


@dataclass(frozen=True, slots=True)
class Page:
    """One request: up to `limit` trades of `symbol` from `from_id` on; without `hole` and `tail` it is for history."""

    symbol: str
    from_id: int
    """`NO_ID`: the newest there are."""
    limit: int
    priority: Priority
    hole: TradeHole | None
    tail: TradeTail | None = None

    def wanted(self, ids: Sequence[int]) -> list[int]:
        """Those of an answer's ids that were asked for, or follow them.

        OKX tells as many trades as a page has, whatever their ids: behind its newest one that is what came before.
        """
        return [number for number in ids if number >= self.from_id]

    def takes(self, ids: Sequence[int]) -> bool:
        """Whether the `wanted` ids of an answer, rising, are what was asked for, in part at least.

        Beyond its horizon the venue answers with other trades, or none, instead of an error.
        """
        return bool(ids) and (self.tail is not None or ids[0] < self.stop)

    @property
    def stop(self) -> int:
        """First id behind what is missing, or behind the page."""
        return self.from_id + self.limit if self.hole is None else self.hole.last_id + 1

    @property
    def is_history(self) -> bool:
        """Whether it brings what was before we listened, not what is missing."""
        return self.from_id == NO_ID or (self.hole is None and self.tail is None)


@dataclass(slots=True)
class Progress:
    """How far today's history has come, over the symbols it is loaded for."""

    symbols: int = 0
    complete: int = 0
    pages_left: int = 0
    share: float = 1.0
    """Of today's time until now, weighted by how busy each symbol is."""


@dataclass(slots=True)
class _Seen:
    since_s: float
    tries: int = 0


@dataclass(slots=True)
class PagePlan:
    """Chooses pages and judges their answers. Times are seconds of a monotonic clock, or venue milliseconds."""

    rule: TradeRule
    """Rows and cost of an answer, and how far back they go."""
    is_first: Callable[[str], bool]
    rates: Mapping[str, float] = field(default_factory=dict)
    """Expected aggregate trades a second by symbol."""
    ended: dict[str, int] = field(default_factory=dict)
    """Symbols whose history goes no further: the oldest id the venue gave."""
    _seen: dict[tuple[str, int], _Seen] = field(default_factory=dict)
    _stumbled: Counter[str] = field(default_factory=Counter)
    _heard_since: dict[str, float] = field(default_factory=dict)
    """Symbols whose trades are streamed, and since when without interruption."""
    _tail_asked: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The newest id behind which a symbol was last asked for, and when."""

    # -- gaps ---------------------------------------------------------------------------------------------------

    def next_hole(self, holes: Sequence[TradeHole], now_s: float, room: Room) -> Page | None:
        """The most urgent page of a gap that can be paid for now."""
        known = {(hole.symbol, hole.last_id) for hole in holes}
        self._seen = {key: seen for key, seen in self._seen.items() if key in known}
        ripe = []
        for hole in holes:
            seen = self._seen.setdefault((hole.symbol, hole.last_id), _Seen(now_s))
            if now_s - seen.since_s >= SETTLE_S:
                ripe.append(hole)
        for hole in sorted(ripe, key=lambda hole: (not self.is_first(hole.symbol), -hole.last_id)):
            priority = Priority.GAP_FILL if self.is_first(hole.symbol) else Priority.BACKFILL
            if room(priority) >= self.rule.page_weight:
                # A page costs the same however much of it is wanted: older gaps that it reaches are filled by it, too.
                near = (one.first_id for one in ripe if one.symbol == hole.symbol and one.last_id <= hole.last_id)
                from_id = min((n for n in near if hole.last_id - n < self.rule.page), default=hole.first_id)
                limit = min(self.rule.page, hole.last_id - from_id + 1)
                return Page(hole.symbol, from_id, limit, priority, hole)
        return None

    def judge(
        self, page: Page, ids: Sequence[int], left: Iterable[TradeHole], now_s: float, venue_ms: int
    ) -> list[tuple[TradeHole, Fate]]:
        """What is to be given up after an answer, its `wanted` ids, was applied; `left` are the gaps there are now.

        What the venue does not give although it gives what follows, it does not have.
        """
        if page.tail is not None:
            return []
        if page.hole is None:
            self._judge_history(page, ids)
            return []
        given_to = ids[-1] if ids else page.from_id - 1
        reached = [
            hole for hole in left if hole.symbol == page.symbol and page.from_id <= hole.first_id <= page.hole.last_id
        ]
        lost = [(hole, self._fate(hole, venue_ms)) for hole in reached if hole.last_id < given_to]
        rest = [hole for hole in reached if hole.last_id >= given_to]
        if len(ids) < page.limit:
            for hole in rest:
                seen = self._seen.setdefault((hole.symbol, hole.last_id), _Seen(now_s))
                seen.tries += 1
                seen.since_s = now_s + SETTLE_S * 2.0**seen.tries
                if seen.tries >= TRIES:
                    lost.append((hole, self._fate(hole, venue_ms)))
        return lost

    def _fate(self, hole: TradeHole, venue_ms: int) -> Fate:
        horizon_ms = self.rule.horizon_ms
        beyond = horizon_ms is not None and hole.to_ms < venue_ms - horizon_ms
        return Fate.BEYOND_HORIZON if beyond else Fate.REFUSED

    # -- tails --------------------------------------------------------------------------------------------------

    def interrupted(self, symbols: Iterable[str]) -> None:
        """Trades of these symbols do not come."""
        for symbol in symbols:
            self._heard_since.pop(symbol, None)

    def streaming(self, symbols: Iterable[str], now_s: float) -> None:
        """They come again."""
        for symbol in symbols:
            self._heard_since.setdefault(symbol, now_s)

    def next_tail(self, tails: Iterable[TradeTail], now_s: float, venue_ms: int, room: Room) -> Page | None:
        """The page behind a newest trade: those that are doubted before those long silent, visible symbols first."""
        ripe = [tail for tail in tails if self._is_ripe(tail, now_s, venue_ms)]
        for tail in sorted(ripe, key=lambda tail: (not tail.doubtful, not self.is_first(tail.symbol), tail.newest_ms)):
            seen = self.is_first(tail.symbol)
            if tail.doubtful:
                priority = Priority.GAP_FILL if seen else Priority.BACKFILL
            else:
                priority = Priority.VISIBLE_HISTORY if seen else Priority.HISTORY
            if room(priority) >= self.rule.page_weight:
                self._tail_asked[tail.symbol] = (tail.last_id, now_s)
                from_id = NO_ID if tail.last_id == NO_ID else tail.last_id + 1
                return Page(tail.symbol, from_id, self.rule.page, priority, None, tail)
        return None

    def _is_ripe(self, tail: TradeTail, now_s: float, venue_ms: int) -> bool:
        if tail.over:
            return tail.doubtful
        heard_s = self._heard_since.get(tail.symbol)
        if heard_s is None or now_s - heard_s < TAIL_AFTER_S:
            return False
        if tail.doubtful:
            return True
        last_id, asked_s = self._tail_asked.get(tail.symbol, (NO_ID, -QUIET_AGAIN_S))
        if last_id == tail.last_id and now_s - asked_s < QUIET_AGAIN_S:
            return False
        # Who has not traded since we came has been silent for as long as we listen.
        quiet_ms = (now_s - heard_s) * 1000 if tail.last_id == NO_ID else venue_ms - tail.newest_ms
        return quiet_ms > QUIET_MS

    # -- history ------------------------------------------------------------------------------------------------

    def next_history(self, edges: Sequence[HistoryEdge], venue_ms: int, room: Room) -> Page | None:
        """The page before the oldest trade of the symbol whose turn it is."""
        wanted = [edge for edge in self._wanted(edges, venue_ms) if self._goes_on(edge, venue_ms)]
        for edge in sorted(wanted, key=lambda edge: (not self.is_first(edge.symbol), self._pages(edge, venue_ms))):
            priority = Priority.VISIBLE_HISTORY if self.is_first(edge.symbol) else Priority.HISTORY
            if room(priority) >= self.rule.page_weight:
                from_id = max(0, edge.first_id - self.rule.page)
                return Page(edge.symbol, from_id, edge.first_id - from_id, priority, None)
        return None

    def end_history(self, page: Page) -> None:
        """The venue refuses to tell more."""
        self.ended[page.symbol] = page.from_id + page.limit

    def _judge_history(self, page: Page, ids: Sequence[int]) -> None:
        """Note where the venue's memory ends: it gave less than was asked for."""
        if page.takes(ids):
            self._stumbled.pop(page.symbol, None)
            if ids[0] > page.from_id:
                self.ended[page.symbol] = ids[0]
            return
        self._stumbled[page.symbol] += 1
        if ids or self._stumbled[page.symbol] >= TRIES:
            self.end_history(page)

    def progress(self, edges: Sequence[HistoryEdge], venue_ms: int) -> Progress:
        """How far history is, over the symbols it is loaded for."""
        out = Progress()
        done = whole = 0.0
        for edge in self._wanted(edges, venue_ms):
            left = self._goes_on(edge, venue_ms)
            rate = self.rates.get(edge.symbol, 1.0)
            today_ms = max(1, edge.newest_ms - midnight(venue_ms))
            whole += rate * today_ms
            done += rate * (today_ms if not left else max(0, edge.newest_ms - edge.first_ms))
            out.symbols += 1
            out.complete += not left
            out.pages_left += self._pages(edge, venue_ms) if left else 0
        out.share = min(1.0, done / whole) if whole else 1.0
        return out

    def _wanted(self, edges: Iterable[HistoryEdge], venue_ms: int) -> Iterable[HistoryEdge]:
        """Symbols whose history is loaded: those in sight, and those whose whole day is cheap; none without pages."""
        if not self.rule.page:
            return
        day_s = (venue_ms - midnight(venue_ms)) / 1000
        for edge in edges:
            rate = self.rates.get(edge.symbol)
            if self.is_first(edge.symbol) or (rate is not None and rate * day_s <= CHEAP_PAGES * self.rule.page):
                yield edge

    def _goes_on(self, edge: HistoryEdge, venue_ms: int) -> bool:
        return edge.first_ms >= midnight(venue_ms) and 0 < edge.first_id != self.ended.get(edge.symbol)

    def _pages(self, edge: HistoryEdge, venue_ms: int) -> int:
        seconds = max(0, edge.first_ms - midnight(venue_ms)) / 1000
        return 1 + int(self.rates.get(edge.symbol, 1.0) * seconds / self.rule.page)


def midnight(ms: int) -> int:
    """00:00 UTC of the day."""
    return ms - ms % DAY_MS
