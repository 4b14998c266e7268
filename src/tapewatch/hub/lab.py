"""The topics of the liquidity lab: features, heatmap columns and the depth curve of one studied instrument.

Each asks for its instrument at every refresh, so an instrument on screen is never the one given up for another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..book.heatmap import BINS, COLUMN_MS, COLUMNS
from ..book.ladder import NO_EDGE
from ..engine import Engine
from ..lab.lab import Study
from ..lab.table import columns_of, window_of
from ..model.detection import DetectionKind
from ..model.features import SAMPLES
from ..model.instrument import Instrument
from ..model.views import BookState
from .columns import Clock, ColumnTopic, Content, Market
from .hub import Payloads
from .topics import grid_pair

CURVE_BPS = 100
"""Reach of the depth curve from the mid price, as far as the book is known."""
CURVE_LEVELS = 2_000
"""Levels a side in one message of the depth curve at most."""


class StudyTopic(ColumnTopic):
    """A topic about one studied instrument. A new engine or a new grid makes everything new: a snapshot."""

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, clock)
        self._market = market
        self._symbol = symbol
        self._study: Study | None = None
        self._anew = False

    def refresh(self) -> Payloads:
        """As every topic; nothing while the lab is being prepared: it begins by itself when that is done."""
        return () if self._market.engine.lab.preparing else super().refresh()

    def snapshot(self) -> Payloads:
        return super().snapshot() if self._seq else ()

    def study(self) -> tuple[Engine, Instrument, Study]:
        """The study as it is now; whether it is another than before is what `changed_shape` tells."""
        engine = self._market.engine
        instrument = engine.universe.get(self._symbol)
        study = engine.lab.study(instrument)
        self._anew = study is not self._study
        self._study = study
        return engine, instrument, study

    def changed_shape(self) -> bool:
        return self._anew

    def _meta(self, instrument: Instrument) -> dict[str, Any]:
        return {"symbol": self._symbol, "tick": grid_pair(instrument.tick), "lot": grid_pair(instrument.lot)}


class Features(StudyTopic):
    """Samples of features, one a second; figures over the whole buffer in `meta`."""

    topic = "features"
    period_s = 0.5

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._sent = 0
        self._shown = Content([], {})

    def collect(self) -> Content | None:
        engine, instrument, study = self.study()
        taken = int(study.state.meta[0])
        if taken == self._sent and not self._anew:
            return None
        fresh = taken if self._anew else taken - self._sent
        self._sent = taken
        samples = study.samples()
        quotes_heard = bool(study.state.base[0]["quotes"])
        figures = columns_of(samples, quotes_heard)
        window = window_of(study, samples, figures)
        kyle = window.kyle
        meta = self._meta(instrument) | {
            "sampling": "bookTicker" if quotes_heard else "depth",
            "kyle": None if kyle is None else [kyle.slope, kyle.slope_se, kyle.r2, kyle.n],
            "vpin": None if window.vpin_buckets == 0 else [window.vpin, window.vpin_buckets],
            "fit_age_ms": engine.clock_ms - study.fitted_ms if study.fitted_ms else None,
        }
        columns = [("ts_ms", samples["ts_ms"].astype(np.float64)), *figures.items()]
        self._shown = Content(columns, meta)
        return Content([(name, values[-min(fresh, SAMPLES) :]) for name, values in columns], meta)

    def whole(self) -> Content:
        return self._shown


class HeatmapTopic(StudyTopic):
    """Columns of resting size. A bin outside the known book is NaN: not known, never zero."""

    topic = "heatmap"
    period_s = COLUMN_MS / 1000

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._sent = 0
        self._instrument: Instrument | None = None

    def collect(self) -> Content | None:
        _, self._instrument, study = self.study()
        after = 0 if self._anew else self._sent
        made = int(study.state.heat.meta[0])
        if made == self._sent and not self._anew:
            return None
        self._sent = made
        return self._content(self._instrument, study, after, made)

    def whole(self) -> Content:
        if self._study is None or self._instrument is None:
            raise RuntimeError("a topic is refreshed before it is shown")
        return self._content(self._instrument, self._study, 0, self._sent)

    def _content(self, instrument: Instrument, study: Study, after: int, made: int) -> Content:
        newer = int(study.state.heat.meta[0]) - made
        columns = study.columns(after)
        columns = columns[: len(columns) - newer]
        lots = columns["lots"].astype(np.float64)
        edge = columns["base"][:, None] + columns["step"][:, None] * np.arange(BINS)
        known = (columns["step"][:, None] > 0) & (edge >= columns["low"][:, None])
        known &= edge + columns["step"][:, None] - 1 <= columns["high"][:, None]
        lots[~known] = np.nan
        names = ("ts_ms", "base", "step", "bid", "ask")
        meta = self._meta(instrument) | {"column_ms": COLUMN_MS, "columns": COLUMNS, "bins": BINS}
        return Content(
            [*((name, columns[name].astype(np.float64)) for name in names), ("lots", lots.ravel())],
            meta,
        )


class Detections(StudyTopic):
    """Events of the detectors; one that has changed comes whole."""

    topic = "detections"
    period_s = 0.25

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._sent = -1
        self._instrument: Instrument | None = None

    def collect(self) -> Content | None:
        _, self._instrument, study = self.study()
        after = 0 if self._anew else self._sent
        if study.detectors.seq == self._sent and not self._anew:
            return None
        self._sent = study.detectors.seq
        return self._content(self._instrument, study, after)

    def whole(self) -> Content:
        if self._study is None or self._instrument is None:
            raise RuntimeError("a topic is refreshed before it is shown")
        return self._content(self._instrument, self._study, 0)

    def _content(self, instrument: Instrument, study: Study, after: int) -> Content:
        events = [event for event in study.detectors.events if after < event.seq <= self._sent]
        fields = {"id": "id", "side": "side", "start_ms": "start_ms", "ts_ms": "ts_ms", "low": "low", "high": "high"}
        fields |= {"qty": "lots", "confidence": "confidence"}
        columns = [
            (name, np.array([getattr(event, field) for event in events], np.float64)) for name, field in fields.items()
        ]
        said = [
            {"kind": one.kind.value, "state": one.state, "evidence": one.evidence, "rows": one.rows} for one in events
        ]
        fired = {kind.value: study.detectors.card.fired[kind] for kind in DetectionKind}
        return Content(columns, self._meta(instrument) | {"events": said, "fired": fired})


class DepthCurve(StudyTopic):
    """Both sides of the live book, cumulated from the mid price outwards; every message holds all of it."""

    topic = "depth"
    period_s = 0.1

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._shown = Content([], {})
        self._id = -1
        self._state: BookState | None = None

    def collect(self) -> Content | None:
        engine, instrument, _ = self.study()
        view = engine.book(instrument.index, CURVE_LEVELS)
        if (view.last_update_id, view.state) == (self._id, self._state) and not self._anew:
            return None
        self._id, self._state = view.last_update_id, view.state
        columns = []
        live = view.state is BookState.LIVE and len(view.bids) > 0 and len(view.asks) > 0
        double_mid = int(view.bids[0, 0] + view.asks[0, 0]) if live else 0
        for name, side in (("bid", view.bids), ("ask", view.asks)):
            near = np.abs(2 * side[:, 0] - double_mid) * 10_000 <= CURVE_BPS * double_mid
            shown = side[near & (side[:, 0] >= view.low) & (side[:, 0] <= view.high)] if live else side[:0]
            lots = shown[:, 1]
            columns.append((f"{name}_p", shown[:, 0].astype(np.float64)))
            columns.append((f"{name}_q", lots.astype(np.float64)))
            columns.append((f"{name}_sum", lots.cumsum().astype(np.float64)))
        meta = self._meta(instrument) | {
            "state": view.state.value,
            "ts_ms": view.event_ms,
            "low": view.low if view.low > 0 else None,
            "high": view.high if view.high < NO_EDGE else None,
        }
        self._shown = Content(columns, meta)
        return self._shown

    def whole(self) -> Content:
        return self._shown
