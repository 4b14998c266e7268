"""Topics whose messages are binary frames: sequence numbers, snapshot and delta are handled here, once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..engine import Engine
from ..model.interest import OpenInterest
from ..model.ticker import Ticker
from .hub import Payloads
from .wire import Column, encode

Clock = Callable[[], int]
"""Wall clock, ms."""


class Market(Protocol):
    """What topics see of a venue. `engine` may be replaced, so it is read anew at every refresh."""

    @property
    def name(self) -> str: ...
    @property
    def engine(self) -> Engine: ...
    def ask(self, symbol: str) -> None:
        """Somebody wants to look at an instrument that is not followed: where the venue lists it, it is from now on."""

    @property
    def tickers(self) -> Mapping[str, Ticker]: ...
    @property
    def interest(self) -> Mapping[str, OpenInterest]: ...


@dataclass(frozen=True, slots=True)
class Content:
    """What a frame carries beside its sequence numbers."""

    columns: list[Column]
    meta: dict[str, Any]


class ColumnTopic(ABC):
    """A topic that keeps the state it last showed, so that snapshot and deltas always agree."""

    topic: str
    period_s: float

    def __init__(self, key: str, clock: Clock) -> None:
        self.key = key
        self._clock = clock
        self._seq = 0

    @abstractmethod
    def collect(self) -> Content | None:
        """Bring the kept state up to now; what changed, or None. The first call fills the state."""

    @abstractmethod
    def whole(self) -> Content:
        """The kept state."""

    def changed_shape(self) -> bool:
        """Whether the last `collect` changed what rows mean, so that everybody needs a snapshot."""
        return False

    def refresh(self) -> Payloads:
        change = self.collect()
        if change is None:
            return ()
        self._seq += 1
        if self._seq == 1 or self.changed_shape():
            return self.snapshot()
        return (self._frame("delta", change, self._seq - 1),)

    def snapshot(self) -> Payloads:
        return (self._frame("snapshot", self.whole(), 0),)

    def close(self) -> None:  # noqa: B027  (few topics have anything to give back)
        """Nothing is kept in the engines for the page's topics."""

    def _frame(self, kind: Literal["snapshot", "delta"], content: Content, prev: int) -> bytes:
        header = {
            "topic": self.topic,
            "key": self.key,
            "type": kind,
            "seq": self._seq,
            "prev": prev,
            "server_ms": self._clock(),
            "meta": content.meta,
        }
        return encode(header, content.columns)
