"""The studied instruments of one engine.

The engine's loop hands over each row of a studied instrument right after it has been applied, and stops the moment
before its clock enters a new quarter of a second. So features depend on the rows alone, never on how they were cut into
batches, and instruments that nobody studies cost one comparison a row.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..book import heatmap, ladder, microprice
from ..book.heatmap import COLUMN_MS, COLUMNS
from ..book.ladder import LIVE, Ladders
from ..compiled import entry
from ..detect.detectors import Detectors
from ..detect.levels import NOTED
from ..flow import pressure
from ..flow.quotes import Quotes
from ..flow.trades import Flow
from ..model.detection import DetectorThresholds
from ..model.errors import NotReadyError
from ..model.features import SAMPLES, STEP_MS
from ..model.instrument import Instrument
from ..model.tape import LEVEL, ROW
from .calibration import Calibration, book_before
from .state import State, beat, new_state, observe

MAX_STUDIED = 16
"""Instruments studied at a time, some megabytes and about a hundredth of a core each. One more, and the one least
recently asked for is given up."""
BOOK_LEVELS = 4_096
"""Levels a side that detectors look at, once a second."""
FIT_MS = 60_000
"""The microprice is fitted anew at each full minute of event time."""


class Watch(NamedTuple):
    """What the engine's loop looks at: instruments with a 1 in `studied`, and the event time of the next beat, which
    without a study is the next full minute. At 0 the first row says what time it is.
    """

    studied: NDArray[np.int64]
    due: NDArray[np.int64]


@dataclass(slots=True)
class Study:
    """One studied instrument."""

    instrument: Instrument
    state: State
    detectors: Detectors
    pinned: bool
    calibration: Calibration = field(default_factory=Calibration)
    fitted_ms: int = 0
    """Event time of the newest fit of the microprice; 0: none yet."""

    def double_mid(self) -> int:
        """Twice the mid price of the book after its newest diff, ticks."""
        now = self.state.now[0]
        return int(now["bid"] + now["ask"])

    def compare_orders(self, ladders: Ladders) -> None:
        """What the orders that have just ended cost, against what the book before them said they would."""
        limits = self.detectors.limits
        while self.detectors.orders:
            order = self.detectors.orders.popleft()
            if order.levels >= limits.sweep_levels and order.ts_ms - order.since_ms <= limits.sweep_ms:
                before = book_before(self.state.levels, ladders, self.instrument, order.since_ms)
                self.calibration.add(order, before)

    def samples(self) -> NDArray[np.void]:
        """The rolling buffer of FEATURES, oldest first; a copy."""
        taken = int(self.state.meta[0])
        return self.state.samples[np.arange(max(0, taken - SAMPLES), taken) % SAMPLES]

    def columns(self, after: int = 0) -> NDArray[np.void]:
        """Heatmap columns made since the first `after`; see `book.heatmap`."""
        return heatmap.newest(self.state.heat, after)


class Lab:
    """Studies by instrument."""

    def __init__(self, instruments: int, ladders: Ladders, flow: Flow, quotes: Quotes) -> None:
        self.watch = Watch(np.zeros(instruments, np.int64), np.zeros(1, np.int64))
        self.studies: OrderedDict[int, Study] = OrderedDict()
        """Least recently asked for first."""
        self.preparing = ""
        """Why nothing can be studied yet; empty: it can."""
        self.given_up = 0
        self.faults: deque[tuple[int, Exception]] = deque(maxlen=MAX_STUDIED)
        """Instruments whose study raised, until somebody has taken note: a defect of ours, which ends the study alone.
        Books, trades and their recording go on."""
        self.limits: dict[int, DetectorThresholds] = {}
        """Thresholds of instruments that do not use the common ones; those of a study are settled when it begins."""
        self.common_limits = DetectorThresholds()
        state, row, levels = new_state(), np.zeros(1, ROW), np.zeros(0, LEVEL)
        self._observe = entry(observe, row, levels, ladders, flow.trades, quotes.quotes, state)
        self._beat = entry(beat, ladders, 0, state, 0)

    def study(self, instrument: Instrument, *, pinned: bool = False) -> Study:
        """The study of an instrument, begun where there is none; `pinned` ones are never given up.

        Raises `NotReadyError` while the lab is being prepared.
        """
        if self.preparing:
            raise NotReadyError(self.preparing)
        i = instrument.index
        study = self.studies.get(i)
        if study is None:
            self._make_room()
            if not self.studies:
                self.watch.due[0] = 0
            study = self.studies[i] = self._begin(instrument, pinned)
            self.watch.studied[i] = 1
        self.studies.move_to_end(i)
        study.pinned |= pinned
        return study

    def _begin(self, instrument: Instrument, pinned: bool) -> Study:
        state = new_state()
        limits = self.limits.get(instrument.index, self.common_limits)
        return Study(instrument, state, Detectors(state.levels, limits, instrument.notional_scale()), pinned)

    def _make_room(self) -> None:
        spare = [i for i, study in self.studies.items() if not study.pinned]
        if len(self.studies) >= MAX_STUDIED and spare:
            self.give_up(spare[0])
            self.given_up += 1

    def give_up(self, i: int) -> None:
        """Stop studying an instrument and forget what is known."""
        if self.studies.pop(i, None) is not None:
            self.watch.studied[i] = 0

    def _fail(self, i: int, error: Exception) -> None:
        self.faults.append((i, error))
        self.give_up(i)

    def restart(self, instrument: Instrument) -> None:
        """Begin a study anew: the instrument's ticks or lots have changed their meaning."""
        old = self.studies.get(instrument.index)
        if old is not None:
            self.studies[instrument.index] = self._begin(instrument, old.pinned)

    def grow(self, instruments: int) -> None:
        """Make room for more instruments."""
        studied = np.zeros(instruments, np.int64)
        studied[: len(self.watch.studied)] = self.watch.studied
        self.watch = self.watch._replace(studied=studied)

    def on_row(
        self, row: NDArray[np.void], levels: NDArray[np.void], ladders: Ladders, flow: Flow, quotes: Quotes
    ) -> None:
        """Take in one row (an array of one) of a studied instrument that has just been applied."""
        i = int(row[0]["instrument"])
        study = self.studies[i]
        self._observe(row, levels, ladders, flow.trades, quotes.quotes, study.state)
        if study.state.levels.counts[NOTED]:
            try:
                study.detectors.on_notes(study.double_mid())
                study.compare_orders(ladders)
            except Exception as error:  # noqa: BLE001  (kept in `faults`, logged by the node)
                self._fail(i, error)

    def on_time(self, event_ms: int, ladders: Ladders, adv: NDArray[np.float64]) -> None:
        """The clock is about to become `event_ms`: every beat up to it, as far as the buffers reach back."""
        due = int(self.watch.due[0])
        step_ms = COLUMN_MS if self.studies else FIT_MS
        following = event_ms // step_ms * step_ms + step_ms
        if due:
            for at_ms in range(max(due, following - COLUMNS * step_ms), following, step_ms):
                for i, study in list(self.studies.items()):
                    self._beat(ladders, i, study.state, at_ms)
                    try:
                        _detect(study, ladders, i, at_ms)
                        study.compare_orders(ladders)
                        if at_ms % FIT_MS == 0:
                            _refit(study, at_ms, float(adv[i]))
                    except Exception as error:  # noqa: BLE001  (kept in `faults`, logged by the node)
                        self._fail(i, error)
        self.watch.due[0] = following


def _detect(study: Study, ladders: Ladders, i: int, at_ms: int) -> None:
    """Let the detectors see a beat, and each second the book."""
    book = ladders.books[i]
    live = book["state"] == LIVE and book["bids"] > 0 and book["asks"] > 0
    bid, ask = (int(book["best_bid"]), int(book["best_ask"])) if live else (0, 0)
    study.detectors.on_beat(at_ms, bid, ask)
    if at_ms % STEP_MS:
        return
    sides = np.zeros((2, BOOK_LEVELS if live else 0, 2), np.int64)
    ladder.read_book(ladders, i, sides)
    bids, asks = (side[(side[:, 1] > 0) & (side[:, 0] >= book["low"]) & (side[:, 0] <= book["high"])] for side in sides)
    newest = study.state.samples[(study.state.meta[0] - 1) % SAMPLES]
    study.detectors.on_second(at_ms, bids, asks, int(newest["sell"]), int(newest["buy"]))


def _refit(study: Study, at_ms: int, adv: float) -> None:
    """Once a minute: the microprice's adjustment, and the size of a VPIN bucket. `adv` in ticks x lots, or NaN."""
    state = study.state
    adjustment = microprice.fit(state.counts)
    if adjustment is not None:
        state.adjustment[:] = adjustment
        study.fitted_ms = at_ms
    pressure.set_bucket(state.cost, int(adv / pressure.BUCKETS) if adv > 0 else 0)
