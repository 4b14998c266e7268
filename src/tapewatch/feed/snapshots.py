"""Which book gets the next snapshot: a queue without duplicates, the visible ones first, back-off per symbol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from .backoff import Backoff

SETTLE_S = 1.0
"""From the acknowledgement of a depth stream to the first snapshot: a snapshot is up to half a second old, and one
from before the first kept diff would be useless."""
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0
STABLE_S = 5.0
"""A book that breaks again sooner after its snapshot goes on with the back-off it had; whoever looks at one that stands
longer must not wait for it. What all of them may ask for together, the weight budget says."""


@dataclass(slots=True)
class _Wanted:
    reason: str
    not_before_s: float
    under_way: bool = False
    again: bool = False
    """Wanted anew while a request was under way."""


class SnapshotQueue:
    """Books that want a snapshot. Times are seconds of a monotonic clock."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._wanted: dict[str, _Wanted] = {}
        self._backoff: dict[str, Backoff] = {}
        self._loaded: dict[str, float] = {}
        self._streaming: dict[str, float] = {}
        """Symbols whose diffs are coming, and from when on a snapshot is of use."""
        self._first: dict[str, int] = {}
        self._rank: Mapping[str, float] = {}
        self._order: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def is_first(self, symbol: str) -> bool:
        return symbol in self._first

    def set_rank(self, volume: Mapping[str, float]) -> None:
        """Traded volume by symbol: of two books nobody looks at, the larger market goes first."""
        self._rank = volume
        self._order = {s: place for place, s in enumerate(sorted(volume, key=lambda s: -volume[s]))}

    def is_leader(self, symbol: str, leaders: int) -> bool:
        """Whether this is one of the `leaders` largest markets."""
        return self._order.get(symbol, leaders) < leaders

    def put_first(self, symbols: Iterable[str]) -> None:
        """These are visible now, most important first; earlier ones no longer are."""
        self._first = {symbol: place for place, symbol in enumerate(symbols)}

    def streaming(self, symbols: Iterable[str], now_s: float) -> None:
        """The diffs of these are being received."""
        for symbol in symbols:
            self._streaming[symbol] = now_s + SETTLE_S

    def interrupted(self, symbols: Iterable[str]) -> None:
        """The diffs of these no longer come: a snapshot would be of no use until they do."""
        for symbol in symbols:
            self._streaming.pop(symbol, None)

    def want(self, symbol: str, reason: str, now_s: float) -> bool:
        """Queue a book; False if it already is. A request under way is repeated after it has been answered."""
        wanted = self._wanted.get(symbol)
        if wanted is None:
            self._wanted[symbol] = _Wanted(reason, now_s + self._delay(symbol, now_s))
            return True
        if wanted.under_way:
            wanted.again, wanted.reason = True, reason
        return False

    def forget(self, symbol: str) -> None:
        self._wanted.pop(symbol, None)
        self._backoff.pop(symbol, None)
        self._loaded.pop(symbol, None)
        self._streaming.pop(symbol, None)

    def peek(self, now_s: float) -> str | None:
        """The symbol whose snapshot should be asked for now; it stays the choice until `take` or something changes."""
        ready = [s for s in self._wanted if self._ready_s(s) <= now_s]
        return min(ready, key=self._urgency) if ready else None

    def take(self, symbol: str) -> None:
        """The snapshot is being asked for; the symbol stays queued until `answered`."""
        self._wanted[symbol].under_way = True

    def _urgency(self, symbol: str) -> tuple[int, float, str]:
        return self._first.get(symbol, len(self._first)), -self._rank.get(symbol, 0.0), symbol

    def next_at_s(self) -> float:
        """When `peek` may have something, if nothing changes; infinity when nothing is waiting."""
        return min((self._ready_s(symbol) for symbol in self._wanted), default=float("inf"))

    def answered(self, symbol: str, ok: bool, now_s: float) -> None:
        """The request is over. `ok`: the book took the snapshot; otherwise it is asked for again, later and later."""
        wanted = self._wanted.get(symbol)
        if wanted is None:
            return
        if ok:
            self._loaded[symbol] = now_s
        if ok and not wanted.again:
            del self._wanted[symbol]
            return
        wanted.under_way = wanted.again = False
        wanted.not_before_s = now_s + self._next_delay(symbol)

    def _ready_s(self, symbol: str) -> float:
        wanted = self._wanted[symbol]
        if wanted.under_way:
            return float("inf")
        return max(wanted.not_before_s, self._streaming.get(symbol, float("inf")))

    def _next_delay(self, symbol: str) -> float:
        backoff = self._backoff.setdefault(symbol, Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random))
        return backoff.next_s()

    def _delay(self, symbol: str, now_s: float) -> float:
        loaded_s = self._loaded.get(symbol)
        if loaded_s is not None and now_s - loaded_s < STABLE_S:
            return self._next_delay(symbol)
        self._backoff.pop(symbol, None)
        return 0.0
