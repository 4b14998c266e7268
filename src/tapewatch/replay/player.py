"""The player: play, pause, speed, seek and step of one replay. The time is passed in: it knows no clock."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..config import ThresholdsConfig
from ..model.errors import UsageError
from .cursor import Cursor, Step
from .report import state_hash
from .stage import Input, Stage

SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 60.0, math.inf)
"""Multiples of the market's own pace; infinity is as fast as it goes."""
SLICE_ROWS = 4096
"""Rows played between two looks at the clock: some milliseconds of work."""
LATE_S = 1.0
"""A player this far behind its pace gives up the rest of it: going on at the asked speed beats racing to catch up."""


class State(StrEnum):
    PLAYING = "playing"
    PAUSED = "paused"
    SEEKING = "seeking"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a replay stands."""

    state: State
    speed: float
    now_ms: int
    first_ms: int
    last_ms: int
    rows: int
    epoch: int
    """Rises when the state shown is replaced by an earlier one."""
    progress: float | None
    """Of a seek under way, 0 to 1."""


@dataclass(slots=True)
class _Seek:
    to_ms: int
    from_ms: int


@dataclass(slots=True)
class _Step:
    kind: Step
    instrument: int | None


class Player:
    """Plays one input. Call `tick` with a monotonic clock; between calls the state is whole and can be shown.

    Going back is playing again from the beginning on a fresh stage, which takes the old one's place when it is there:
    so a state reached by seeking is the state reached by playing, to the byte.
    """

    def __init__(
        self,
        source: Input,
        thresholds: ThresholdsConfig | None = None,
        *,
        speed: float = 1.0,
        playing: bool = True,
        studied: Collection[str] = (),
    ) -> None:
        self.source = source
        self.epoch = 0
        self._thresholds = thresholds or ThresholdsConfig()
        self._studied = studied
        """Symbols whose features and heatmap are kept from the beginning."""
        self._cursor = Cursor(source, self._thresholds, studied)
        self._ahead: Cursor | None = None
        """The fresh stage on its way to where a seek back goes."""
        self._goal: _Seek | _Step | None = None
        self._playing = playing
        self._speed = _allowed(speed)
        self._anchor: tuple[float, int] | None = None
        """A moment by the clock, and the replayed time that belonged to it; None: from here on."""

    # -- what is there ------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """What is shown."""
        return self._cursor.stage

    @property
    def position(self) -> Position:
        cursor = self._cursor
        if self._goal is not None:
            state = State.SEEKING
        elif cursor.ended:
            state = State.ENDED
        else:
            state = State.PLAYING if self._playing else State.PAUSED
        return Position(
            state=state,
            speed=self._speed,
            now_ms=cursor.now_ms,
            first_ms=self.source.first_ms,
            last_ms=max(self.source.last_ms, cursor.now_ms),
            rows=cursor.rows,
            epoch=self.epoch,
            progress=self._progress(),
        )

    def state_hash(self) -> str:
        """Hash of the state shown; equal for equal positions in equal inputs, however they were reached."""
        return state_hash(self.stage.engine)

    # -- what can be asked --------------------------------------------------------------------------------------

    def play(self) -> None:
        """Go on; from the beginning when the end is reached."""
        if self._cursor.ended and self._goal is None:
            self.seek(self.source.first_ms)
        self._playing, self._anchor = True, None

    def pause(self) -> None:
        """Stand still; a seek under way still arrives."""
        self._playing, self._anchor = False, None
        if isinstance(self._goal, _Step):
            self._goal = None

    def set_speed(self, speed: float) -> None:
        """Change the pace from here on; raises `UsageError` unless it is one of `SPEEDS`."""
        self._speed, self._anchor = _allowed(speed), None

    def seek(self, to_ms: int) -> None:
        """Go to the state after everything up to and at this time, then play on or stay paused as before."""
        to_ms = max(self.source.first_ms, min(to_ms, self.position.last_ms))
        if to_ms >= self._cursor.now_ms:
            self._ahead = None
        elif self._ahead is None or self._ahead.now_ms > to_ms:
            self._ahead = Cursor(self.source, self._thresholds, self._studied)
        self._goal = _Seek(to_ms, (self._ahead or self._cursor).now_ms)

    def move(self, by_ms: int) -> None:
        """Seek relative to where it stands, or to where a seek under way goes: moves add up."""
        goal = self._goal
        self.seek((goal.to_ms if isinstance(goal, _Seek) else self._cursor.now_ms) + by_ms)

    def step(self, kind: Step, symbol: str | None = None) -> None:
        """Pause, and go on to the next event, trade or big flow (of one symbol, or of any), or by one second."""
        instrument = None if symbol is None else self.stage.engine.universe.get(symbol).index
        self.pause()
        if kind is Step.SECOND:
            self.move(1000)
        else:
            self._goal, self._ahead = _Step(kind, instrument), None

    # -- time passes --------------------------------------------------------------------------------------------

    def tick(self, now_s: float) -> bool:
        """Do a slice of what is due; whether there is more to do at once."""
        if self._goal is not None:
            self._pursue(self._goal)
            return self._goal is not None or self._moving
        if not self._moving:
            return False
        if math.isinf(self._speed):
            self._cursor.advance(1 << 62, SLICE_ROWS)
            return not self._cursor.ended
        since_s, since_ms = self._anchor = self._anchor or (now_s, self._cursor.now_ms)
        due_ms = since_ms + int((now_s - since_s) * 1000 * self._speed)
        if self._cursor.advance(due_ms, SLICE_ROWS):
            return False
        if due_ms - self._cursor.now_ms > LATE_S * 1000 * self._speed:
            self._anchor = None
        return True

    @property
    def _moving(self) -> bool:
        return self._playing and not self._cursor.ended

    def _pursue(self, goal: _Seek | _Step) -> None:
        cursor = self._ahead or self._cursor
        if isinstance(goal, _Seek):
            done = cursor.advance(goal.to_ms, SLICE_ROWS)
        else:
            done = cursor.step(goal.kind, goal.instrument, SLICE_ROWS)
        if not done:
            return
        if self._ahead is not None:
            self._cursor, self._ahead = self._ahead, None
            self.epoch += 1
        self._goal, self._anchor = None, None

    def _progress(self) -> float | None:
        if not isinstance(self._goal, _Seek):
            return None
        way_ms = self._goal.to_ms - self._goal.from_ms
        done_ms = (self._ahead or self._cursor).now_ms - self._goal.from_ms
        return min(1.0, done_ms / way_ms) if way_ms > 0 else 0.0


def names_of_speeds() -> Sequence[str]:
    """Speeds as people write them."""
    return [speed_name(speed) for speed in SPEEDS]


def speed_name(speed: float) -> str:
    """``10``, ``0.5`` or ``max``."""
    return "max" if math.isinf(speed) else f"{speed:g}"


def parse_speed(name: str) -> float:
    """One of `SPEEDS` by its name; raises `UsageError` with all of them."""
    try:
        return _allowed(math.inf if name == "max" else float(name))
    except ValueError:
        return _allowed(math.nan)


def _allowed(speed: float) -> float:
    if speed not in SPEEDS:
        raise UsageError(f"this speed is refused; allowed: {', '.join(names_of_speeds())}")
    return speed
