"""What a replay builds up, and what can be replayed: the two things a cursor knows of any input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..config import ThresholdsConfig
from ..engine import MINUTES_KEPT, SPARE_INSTRUMENTS, Engine
from ..flow.candles import BASE
from ..model.instrument import Universe
from ..model.interest import OpenInterest
from ..model.tape import Tape
from ..model.ticker import Ticker
from ..venues.registry import PRODUCTS
from .report import build_report

MINUTE_MS = 60_000
RING_BYTES = 1_100 << 20
"""Memory the minute candles of one replay may take: 91 days of one symbol, 5 of six hundred."""


@dataclass(slots=True)
class Stage:
    """The engine of one venue and what stands beside it, at one moment of a replay."""

    venue: str
    engine: Engine
    tickers: dict[str, Ticker] = field(default_factory=dict)
    """Newest 24 h figures by symbol, where the input has them."""
    interest: dict[str, OpenInterest] = field(default_factory=dict)
    """Newest open interest by symbol, where the input has it."""
    frames: int = 0
    decoded: int = 0
    foreign: int = 0
    """Events of instruments that are not on the stage."""
    by_reason: Counter[str] = field(default_factory=Counter)
    """Frames nobody understood."""

    @classmethod
    def empty(cls, universe: Universe, thresholds: ThresholdsConfig, span_ms: int) -> Stage:
        """A stage on which nothing has happened, with room for every candle of `span_ms`.

        The ring of minutes is as long as the input where memory allows, so that the end state holds all of it.
        """
        product = PRODUCTS.get(universe.venue)  # what was imported may be of a venue that this version does not read
        rules = (product.book, product.trades) if product else (None, None)
        minutes = minutes_for(span_ms, len(universe))
        engine = Engine(universe, thresholds, minutes=minutes, book=rules[0], trades=rules[1])
        for symbol in thresholds.symbols:
            engine.override(symbol, thresholds.of(symbol))
        return cls(universe.venue, engine)

    def refuse(self, reason: str) -> None:
        """Count something received that could not be read."""
        self.frames += 1
        self.by_reason[reason] += 1

    def report(self, inputs: Sequence[str]) -> dict[str, Any]:
        """The state as plain data; contract section 8."""
        integrity = {
            "frames": self.frames,
            "decoded": self.decoded,
            "quarantined": self.by_reason.total(),
            "by_reason": dict(sorted(self.by_reason.items())),
        }
        return build_report(self.engine, list(inputs), integrity)


def minutes_for(span_ms: int, instruments: int) -> int:
    """Length of the ring of minutes for an input: a power of two from the live one's up to what `RING_BYTES` allows.

    It depends on the input alone, so that one input ends in one state however it is played.
    """
    needed = span_ms // MINUTE_MS + 2  # both ends may be begun minutes
    room = RING_BYTES // (BASE.itemsize * (instruments + SPARE_INSTRUMENTS))
    longest = 1 << (room.bit_length() - 1)
    return max(MINUTES_KEPT, min(longest, 1 << (needed - 1).bit_length()))


class Input(Protocol):
    """Something recorded, in order: a recording, a stored range, an archive."""

    @property
    def names(self) -> Sequence[str]:
        """What it is read from, for people."""

    @property
    def first_ms(self) -> int:
        """Event time it begins at."""

    @property
    def last_ms(self) -> int:
        """Event time it ends at."""

    def stage(self, thresholds: ThresholdsConfig) -> Stage:
        """A fresh stage for it."""

    def play(self, stage: Stage) -> Iterator[Tape]:
        """The rows from the beginning, in batches good until the next one is asked for.

        Whoever iterates applies each batch to the stage's engine before asking for the next. What is no row (a day's
        volume, 24 h figures) is put on the stage between two batches: after all that came before it.
        """
