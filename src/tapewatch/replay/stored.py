"""A stored range as an input: segments and catalog back through the engine, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ..config import ThresholdsConfig
from ..model.errors import UsageError
from ..model.instrument import Universe
from ..model.tape import Flag, Kind, Tape
from ..store.reader import Reader
from .stage import Stage


@dataclass(frozen=True, slots=True)
class StoredRange:
    """What is stored of a venue from `first_ms` to `last_ms`, of some instruments.

    Daily volumes are not stored, so big flow raises nothing; books are there where depth was recorded.
    """

    reader: Reader
    universe: Universe
    first_ms: int
    last_ms: int

    @classmethod
    def open(
        cls, reader: Reader, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None
    ) -> StoredRange:
        """The rows with `start_ms <= ts_ms < end_ms`; UsageError when there are none, with what there is instead."""
        stored = reader.universe(venue)
        wanted = list(stored) if symbols is None else [stored.get(symbol) for symbol in symbols]
        span = reader.span(venue, start_ms, end_ms)
        if span is None:
            whole = reader.span(venue)
            there = "nothing" if whole is None else f"{utc(whole[0])} to {utc(whole[1])} UTC"
            raise UsageError(
                f"nothing is stored of {venue} from {utc(start_ms)} to {utc(end_ms)} UTC; stored is: {there}"
            )
        return cls(reader, Universe(venue, wanted), max(start_ms, span[0]), min(end_ms - 1, span[1]))

    @property
    def names(self) -> list[str]:
        """Venue and range, in words."""
        return [f"{self.universe.venue} {utc(self.first_ms)} to {utc(self.last_ms)} UTC"]

    def stage(self, thresholds: ThresholdsConfig) -> Stage:
        """A fresh stage; books are followed where depth is stored."""
        stage = Stage.empty(self.universe, thresholds, self.last_ms - self.first_ms)
        if self.reader.span(self.universe.venue, self.first_ms, self.last_ms + 1, Kind.DEPTH) is not None:
            for instrument in self.universe:
                stage.engine.follow_book(instrument.index)
        return stage

    def play(self, stage: Stage) -> Iterator[Tape]:
        """The stored rows in order of time."""
        symbols = [instrument.symbol for instrument in self.universe]
        end_ms = self.last_ms + 1
        for tape in self.reader.tapes(self.universe.venue, self.first_ms, end_ms, symbols, universe=self.universe):
            raw = (tape.rows["kind"] == Kind.TRADE) & (tape.rows["flags"] & Flag.AGGREGATE == 0)
            for i in np.unique(tape.rows["instrument"][raw]):
                stage.engine.use_raw_trades(int(i))
            yield tape
            stage.decoded += len(tape)


def utc(ms: int) -> str:
    """``2026-11-20 12:00:00``, for people."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def parse_utc(text: str) -> int:
    """Milliseconds of a time as people write it (2026-11-20, 2026-11-20T12:00, …; UTC unless it says otherwise)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; write 2026-11-20 or 2026-11-20T12:00 (UTC)") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
