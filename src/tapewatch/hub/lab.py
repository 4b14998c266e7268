"""The topics of the liquidity lab: features, heatmap, depth curve, ladder and detections of one studied instrument.

Each asks for its instrument at every refresh, so an instrument on screen is never the one given up for another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..book import stacking
from ..book.heatmap import BINS, COLUMN_MS, COLUMNS
from ..book.ladder import NO_EDGE
from ..engine import Engine
from ..flow.candles import DAY_MS
from ..lab.lab import Study
from ..lab.prints import PRINTS, closed_since
from ..lab.table import columns_of, reasons_of, window_of
from ..model.detection import DetectionKind
from ..model.features import SAMPLES
from ..model.instrument import Instrument
from ..model.views import BookState
from .columns import Clock, ColumnTopic, Content, Market
from .hub import Payloads
from .topics import grid_pair
from .wire import Column

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
        seconds = [(name, samples[name].astype(np.float64)) for name in ("ts_ms", "live")]
        columns = [*seconds, *figures.items()]
        self._shown = Content(columns, meta | {"reasons": reasons_of(figures)})
        return Content([(name, values[-min(fresh, SAMPLES) :]) for name, values in columns], meta)

    def whole(self) -> Content:
        return self._shown


class HeatmapTopic(StudyTopic):
    """Columns of resting size, and the prints that fell into them. A bin outside the known book is NaN: not known,
    never zero.
    """

    topic = "heatmap"
    period_s = COLUMN_MS / 1000

    def __init__(self, key: str, market: Market, symbol: str, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._sent = self._prints = 0
        self._instrument: Instrument | None = None

    def collect(self) -> Content | None:
        _, self._instrument, study = self.study()
        after, prints = (0, 0) if self._anew else (self._sent, self._prints)
        made = int(study.state.heat.meta[0])
        if made == self._sent and not self._anew:
            return None
        self._sent, self._prints = made, int(study.state.prints.meta[1])
        return self._content(self._instrument, study, after, prints)

    def whole(self) -> Content:
        if self._study is None or self._instrument is None:
            raise RuntimeError("a topic is refreshed before it is shown")
        return self._content(self._instrument, self._study, 0, 0)

    def _content(self, instrument: Instrument, study: Study, after: int, prints_after: int) -> Content:
        newer = int(study.state.heat.meta[0]) - self._sent
        columns = study.columns(after)
        columns = columns[: len(columns) - newer]
        prints = closed_since(study.state.prints, prints_after)
        prints = prints[: len(prints) - (int(study.state.prints.meta[1]) - self._prints)]
        lots = columns["lots"].astype(np.float64)
        edge = columns["base"][:, None] + columns["step"][:, None] * np.arange(BINS)
        known = (columns["step"][:, None] > 0) & (edge >= columns["low"][:, None])
        known &= edge + columns["step"][:, None] - 1 <= columns["high"][:, None]
        lots[~known] = np.nan
        names = ("ts_ms", "base", "step", "bid", "ask")
        meta = self._meta(instrument) | {"column_ms": COLUMN_MS, "columns": COLUMNS, "bins": BINS}
        meta["state"] = self._market.engine.book_state(instrument.index).value
        told = [(name, columns[name].astype(np.float64)) for name in names]
        told.append(("lots", lots.ravel()))
        told += [(f"p_{name}", prints[name].astype(np.float64)) for name in ("ts_ms", "price", "lots", "side")]
        return Content(told, meta)


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


class LadderTopic(StudyTopic):
    """What stands, was traded, pulled and stacked at each price around the mid; every message holds all of it."""

    topic = "ladder"
    period_s = 0.2

    def __init__(self, key: str, market: Market, symbol: str, step: str, rows: int, clock: Clock) -> None:
        super().__init__(key, market, symbol, clock)
        self._step = step
        self._rows = rows
        self._base = -1
        self._shown = Content([], {})

    def collect(self) -> Content | None:
        engine, instrument, study = self.study()
        i, step = instrument.index, instrument.step_ticks(self._step)
        book = engine.sync.ladders.books[i]
        state = engine.book_state(i)
        live = state is BookState.LIVE and book["bids"] > 0 and book["asks"] > 0
        last = int(engine.flow.trades[i]["last_price"])
        self._centre((int(book["best_bid"]) + int(book["best_ask"])) // 2 if live else last, step)
        columns = self._standing(engine, i, step, live=live)
        columns += self._traded(engine, i, step)
        columns += self._stacking(study, engine.clock_ms, step)
        newest = study.state.prints.rows[(int(study.state.prints.meta[0]) - 1) % PRINTS]
        since = engine.counted_since_ms(i)
        meta = self._meta(instrument) | {
            "state": state.value,
            "ts_ms": int(book["event_ms"]),
            "base": self._base,
            "step": step,
            "bid": int(book["best_bid"]) if live else None,
            "ask": int(book["best_ask"]) if live else None,
            "last": last or None,
            "last_side": int(newest["side"]) if newest["price"] == last else 0,
            "last_ms": int(engine.flow.trades[i]["last_ms"]),
            "traded_since": None if since is None else max(since, engine.clock_ms // DAY_MS * DAY_MS),
            "missing": int(engine.flow.trades[i]["absent"]),
            "window_ms": stacking.WINDOW_S * 1_000,
        }
        shown = Content(columns, meta)
        if not self._anew and _same(shown, self._shown):
            return None
        self._shown = shown
        return shown

    def whole(self) -> Content:
        return self._shown

    def _centre(self, mid: int, step: int) -> None:
        """Keep the rows where they are until the mid price (0: not known) has left their middle half."""
        span = self._rows * step
        if mid == 0 and not self._anew:  # nothing says where the price is: stay
            return
        if self._base < 0 or self._anew or not self._base + span // 4 <= mid < self._base + span - span // 4:
            self._base = max(0, (mid // step - self._rows // 2) * step)

    def _bins(self, values: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        """Sums of values by tick over each bin, by column."""
        return np.asarray(values.reshape(self._rows, step, -1).sum(1), np.int64)

    def _standing(self, engine: Engine, i: int, step: int, *, live: bool) -> list[Column]:
        """Resting lots; NaN in a bin that is not wholly within the known book."""
        view = engine.book(i, self._rows * step if live else 0)
        edge = self._base + step * np.arange(self._rows)
        known = (edge >= view.low) & (edge + step - 1 <= view.high) & live
        columns = []
        for name, side in (("bid", view.bids), ("ask", view.asks)):
            at = (side[:, 0] - self._base) // step
            inside = (at >= 0) & (at < self._rows)
            lots = np.bincount(at[inside], side[inside, 1], self._rows)
            columns.append((name, np.where(known, lots, np.nan)))
        return columns

    def _traded(self, engine: Engine, i: int, step: int) -> list[Column]:
        traded = self._bins(engine.traded(i, self._base, self._rows * step), step)
        return [(name, traded[:, k].astype(np.float64)) for k, name in enumerate(("sold", "bought"))]

    def _stacking(self, study: Study, now_ms: int, step: int) -> list[Column]:
        """Pulled and stacked by side; NaN in a bin of which a tick has not been watched for the whole window."""
        by_tick = stacking.in_window(study.state.stack, self._base, self._rows * step, now_ms)
        sums = self._bins(by_tick, step).astype(np.float64)
        sums[self._bins((by_tick < 0).astype(np.int64), step) > 0] = np.nan
        return [(name, sums[:, k]) for k, name in enumerate(("bid_pulled", "bid_stacked", "ask_pulled", "ask_stacked"))]


def _same(one: Content, other: Content) -> bool:
    """Whether two messages say the same."""
    if one.meta != other.meta or len(one.columns) != len(other.columns):
        return False
    pairs = zip(one.columns, other.columns, strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for (_, a), (_, b) in pairs)
