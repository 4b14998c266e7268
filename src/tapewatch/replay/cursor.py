"""A place on the tape, and the state of everything before it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..config import ThresholdsConfig
from ..model.tape import Kind, Tape
from .stage import Input


class Step(StrEnum):
    """How far one step goes."""

    EVENT = "event"
    SECOND = "second"
    TRADE = "trade"
    BIG_FLOW = "big-flow"


class Cursor:
    """Plays one input forward into a fresh stage, exactly as far as it is told.

    The time of a row is the newest event time up to it: the engine's own clock, which never goes back. How an input is
    cut into batches and calls changes nothing of the state, since engines give the same for any cut.
    """

    def __init__(self, source: Input, thresholds: ThresholdsConfig, studied: Iterable[str] = ()) -> None:
        self.stage = source.stage(thresholds)
        engine = self.stage.engine
        for instrument in filter(None, map(engine.universe.find, studied)):
            engine.lab.study(instrument, pinned=True)
        self.rows = 0
        """Rows played."""
        self.now_ms = source.first_ms
        """Time up to which everything has been played."""
        self.ended = False
        self._tapes = source.play(self.stage)
        self._tape = Tape.empty()
        self._times: NDArray[np.int64] = np.zeros(0, np.int64)
        self._at = 0

    def advance(self, to_ms: int, rows: int) -> bool:
        """Play what happened up to and at `to_ms`, at most `rows` rows of it; True when that is done."""
        while self._load():
            due = int(np.searchsorted(self._times, to_ms, side="right"))
            stop = min(due, self._at + rows)
            rows -= stop - self._at
            self._play(stop)
            if stop < len(self._tape):
                if stop < due:
                    return False
                self.now_ms = max(self.now_ms, to_ms)
                return True
            if rows <= 0:
                return False
        return True

    def step(self, kind: Step, instrument: int | None, rows: int) -> bool:
        """Play up to and with the next row of a kind (of one instrument), at most about `rows` rows; True when done.

        A second is no row: it is asked for by time, with `advance`.
        """
        if kind is Step.SECOND:
            raise ValueError("a second is asked for by time")
        limit = self.rows + rows
        while self._load():
            if kind is Step.BIG_FLOW:
                if self._to_big_flow(limit):
                    return True
            else:
                wanted = self._wanted(kind, instrument)
                found = bool(wanted.any())
                stop = self._at + int(wanted.argmax()) + 1 if found else len(self._tape)
                self._play(stop)
                if found:
                    return True
            if self.rows >= limit:
                return False
        return True

    def _load(self) -> bool:
        """Have a row to play next; False when there is none left."""
        while self._at == len(self._tape) and not self.ended:
            tape = next(self._tapes, None)
            if tape is None:
                self.ended = True
                break
            self._tape, self._at = tape, 0
            clock = max(self.now_ms, self.stage.engine.clock_ms)
            self._times = np.maximum.accumulate(np.maximum(tape.rows["event_ms"], clock))
        return not self.ended

    def _play(self, stop: int) -> None:
        if stop == self._at:
            return
        # Books that want a snapshot get the one that was recorded, if there was one: nobody can be asked any more.
        self.stage.engine.apply(self._tape.slice(self._at, stop))
        self.rows += stop - self._at
        self.now_ms = int(self._times[stop - 1])
        self._at = stop

    def _wanted(self, kind: Step, instrument: int | None) -> NDArray[np.bool_]:
        rows = self._tape.rows[self._at :]
        wanted = rows["kind"] == Kind.TRADE if kind is Step.TRADE else np.ones(len(rows), np.bool_)
        if instrument is not None:
            wanted &= rows["instrument"] == instrument
        return wanted

    def _to_big_flow(self, limit: int) -> bool:
        """Play until an episode opens. They open with a trade, and where a second ends."""
        big = self.stage.engine.flow.big
        opened = int(big.meta[0])
        rows, times = self._tape.rows[self._at :], self._times[self._at :]
        second_before = int(self._times[self._at - 1] if self._at else self.now_ms) // 1000
        moves = (rows["kind"] == Kind.TRADE) | (np.diff(times // 1000, prepend=second_before) > 0)
        start = self._at
        for at in np.flatnonzero(moves).tolist():
            self._play(start + at + 1)
            if int(self.stage.engine.flow.big.meta[0]) > opened:
                return True
            if self.rows >= limit:
                return False
        self._play(len(self._tape))
        return False
