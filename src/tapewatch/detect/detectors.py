"""The detectors of one instrument: from notes of the level memory, and from the book once a second, to events.

Everything runs on the tape's own times, in the order of its rows. A judgement that depends on prints waits LATE_MS for
those that come later than the book. Words are neutral: a level that was withdrawn was withdrawn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.detection import (
    EVIDENCE_ROWS,
    Detection,
    DetectionKind,
    DetectorThresholds,
    EvidenceRow,
    confidence,
)
from . import levels as memory
from .card import ReportCard
from .levels import (
    BAND_BPS,
    BOUGHT,
    FAR,
    GREW,
    LATE_MS,
    NOTED,
    PARENT,
    REFILLED,
    SHRANK,
    SLOTS,
    SOLD,
    STOOD,
    Levels,
    Note,
)

EVENTS_KEPT = 500
BASELINE_S = 60
"""Seconds that medians of level sizes, depth, spread and flow are taken over; nothing fires before half of them."""
FILLED, PULLED = 0.6, 0.1
"""A level whose drop was executed to this share was filled; to at most that, withdrawn."""
MOVED_RATIO, MOVED_BPS = 0.6, 10
TOGETHER_MS = 500
"""Layers appear within this time of each other, and are withdrawn within it: between the two they all stand."""
LAYER_MS, LAYER_GAP, LAYER_SHARE, LAYER_PAUSE_MS = 3_000, 2, 0.6, 10_000
ORDERS_KEPT = 64
PULLS, PULL_MS = 3, 30_000
IDLE_MS = 30_000
"""An iceberg that nobody hits for so long is over."""
FLOW_WINDOW_S = 3
HOLD_MS = 1_000
"""A price has held when it stands so long after the pressure was told."""
PRESS_LEAST_MS = 300
"""Pressure lasts at least this long."""
HELD_BPS = 2
MIN_BAND_LEVELS = 4


@dataclass(slots=True)
class _Large:
    """A large level that stands: since when, and the wall it has become."""

    since_ms: int
    lots: int
    wall: Detection | None = None


@dataclass(frozen=True, slots=True)
class _Grown:
    """A level that became large; lots that aggressors had bought and sold until then."""

    ts_ms: int
    side: int
    tick: int
    lots: int
    bought: int
    sold: int


@dataclass(frozen=True, slots=True)
class _Shrunk:
    """A large level that has gone, whose prints may still come."""

    due_ms: int
    ts_ms: int
    side: int
    tick: int
    since_ms: int
    lots: int
    left: int
    hit: int
    large: _Large | None


class Detectors:
    """Open and past events of one instrument, newest last."""

    def __init__(self, levels: Levels, limits: DetectorThresholds, notional_scale: float) -> None:
        self.limits = limits
        self.levels = levels
        self.card = ReportCard()
        self.events: deque[Detection] = deque(maxlen=EVENTS_KEPT)
        self.seq = 0
        self.orders: deque[Note] = deque(maxlen=ORDERS_KEPT)
        """Aggressors' orders that have ended, until somebody takes them away."""
        self._scale = notional_scale
        self._ids = 0
        self._double_mid = 0
        self._medians: deque[NDArray[np.float64]] = deque(maxlen=BASELINE_S)
        self._median = np.full(FAR, np.nan)
        self._wall_lots = np.full(FAR, np.inf)
        self._depth = {1: 0.0, -1: 0.0}
        """Lots within 10 bps (or as far as the book is known), by side of the book."""
        self._thin: deque[tuple[float, float, int, float, float]] = deque(maxlen=BASELINE_S)
        self._large: dict[tuple[int, int], _Large] = {}
        self._shrunk: deque[_Shrunk] = deque()
        self._grew: deque[_Grown] = deque(maxlen=256)
        self._layers: deque[_Shrunk] = deque(maxlen=256)
        self._pulled: deque[_Shrunk] = deque(maxlen=64)
        self._pressed: deque[tuple[int, Note]] = deque()
        self._icebergs: dict[tuple[int, int, int], Detection] = {}
        self._quiet_until = {(kind, side): 0 for kind in DetectionKind for side in (1, -1)}

    # -- what the lab calls -------------------------------------------------------------------------------------

    def on_notes(self, double_mid: int) -> None:
        """Take the notes of one row."""
        self._double_mid = double_mid
        count = int(self.levels.counts[NOTED])
        notes = [Note(*note) for note in self.levels.notes[:count].tolist()]
        self.levels.counts[NOTED] = 0
        for note in notes:
            kind = note.kind
            if kind == GREW:
                self._on_grew(note)
            elif kind == SHRANK:
                self._on_shrank(note)
            elif kind == REFILLED:
                self._on_refilled(note)
            elif kind == PARENT:
                self.orders.append(note)
                self._on_parent(note)
            elif kind == STOOD:
                self._pressed.append((note.ts_ms + HOLD_MS, note))

    def on_beat(self, at_ms: int, bid: int, ask: int) -> None:
        """A quarter of a second has passed; `bid` and `ask` 0 without a live book."""
        self._double_mid = bid + ask
        memory.rest(self.levels, at_ms)
        self.on_notes(bid + ask)
        withdrawn = []
        while self._shrunk and self._shrunk[0].due_ms <= at_ms:
            gone = self._shrunk.popleft()
            if self._settle(gone, at_ms):
                withdrawn.append(gone)
        for gone in reversed(withdrawn):  # once all that went together is known to have gone
            self._judge_layers(gone, at_ms)
        while self._pressed and self._pressed[0][0] <= at_ms:
            self._judge_pressure(self._pressed.popleft()[1], bid, ask, at_ms)
        for (side, tick), large in self._large.items():
            if large.wall is None and at_ms - large.since_ms >= self.limits.wall_ms and bid:
                self._judge_wall(side, tick, large, at_ms)
        for key, event in list(self._icebergs.items()):
            if at_ms - event.ts_ms > IDLE_MS:
                self._change(event, event.ts_ms, "done")
                del self._icebergs[key]

    def on_second(self, at_ms: int, bids: NDArray[np.int64], asks: NDArray[np.int64], sold: int, bought: int) -> None:
        """Both sides of the live book (rows of tick and lots, best first; empty without one), and a second's flow."""
        live = len(bids) > 0 and len(asks) > 0
        self.card.on_second(at_ms, int(bids[0, 0] + asks[0, 0]) if live else 0)
        if not live:
            self._thin.clear()
            return
        self._double_mid = double_mid = int(bids[0, 0] + asks[0, 0])
        near = {side: _within(levels, double_mid, 10) for side, levels in ((1, bids), (-1, asks))}
        self._judge_exhaustion(at_ms, near, int(asks[0, 0] - bids[0, 0]), sold, bought)
        self._depth = {side: float(lots) for side, lots in near.items()}
        self._measure_sizes(np.concatenate([bids, asks]), double_mid)

    # -- baselines ----------------------------------------------------------------------------------------------

    def _measure_sizes(self, standing: NDArray[np.int64], double_mid: int) -> None:
        """Rolling medians of level sizes by distance band, and what is large by them."""
        distance = np.abs(2 * standing[:, 0] - double_mid) * 10_000 / double_mid
        band = np.searchsorted(BAND_BPS, distance)
        sizes = [standing[band == k, 1] for k in range(FAR)]
        self._medians.append(np.array([np.median(s) if len(s) >= MIN_BAND_LEVELS else np.nan for s in sizes]))
        if len(self._medians) < BASELINE_S // 2:
            return
        kept = np.array(self._medians)
        known = ~np.isnan(kept).all(axis=0)
        if not known.any():
            return
        self._median[known] = np.nanmedian(kept[:, known], axis=0)
        self._median[~known] = np.median(self._median[known])  # a band of few levels is judged by the others
        limits = self.limits
        least = limits.min_notional / self._scale / (double_mid / 2)
        side_depth = _within(standing, double_mid, 25) / 2
        by_share = limits.wall_share / 100 * side_depth
        self._wall_lots = np.maximum(np.maximum(limits.wall_multiple * self._median, by_share), least)
        self.levels.walls[:FAR] = np.ceil(self._wall_lots)
        told = np.maximum(np.minimum(self._wall_lots, limits.layering_multiple * self._median), least)
        self.levels.large[:FAR] = np.ceil(told)
        if len(self._thin) < FLOW_WINDOW_S:
            return  # the book is back from a resync: what flow is usual, the seconds before it have told
        flows = np.array([(one[3], one[4]) for one in self._thin])
        windows = np.lib.stride_tricks.sliding_window_view(flows, FLOW_WINDOW_S, axis=0).sum(axis=2)
        usual = float(np.median(windows[windows > 0])) if (windows > 0).any() else 0.0
        self.levels.pressure[0] = int(np.ceil(max(limits.absorption_multiple * usual, least)))

    def _band(self, tick: int) -> int:
        distance = abs(2 * tick - self._double_mid) * 10_000 / self._double_mid
        return int(np.searchsorted(BAND_BPS, distance))

    # -- walls, layers, pulls -----------------------------------------------------------------------------------

    def _on_grew(self, note: Note) -> None:
        if not self._double_mid:
            return
        bought, sold = (int(lots) for lots in self.levels.counts[BOUGHT : SOLD + 1])
        self._grew.append(_Grown(note.ts_ms, note.side, note.tick, note.lots, bought, sold))
        band = self._band(note.tick)
        if band < FAR and note.lots >= self._wall_lots[band]:
            self._large[note.side, note.tick] = _Large(note.ts_ms, note.lots)

    def _on_shrank(self, note: Note) -> None:
        self._shrunk.append(
            _Shrunk(
                due_ms=note.ts_ms + LATE_MS,
                ts_ms=note.ts_ms,
                side=note.side,
                tick=note.tick,
                since_ms=note.since_ms,
                lots=note.before,
                left=note.lots,
                hit=note.hit,
                large=self._large.pop((note.side, note.tick), None),
            )
        )

    def _judge_wall(self, side: int, tick: int, large: _Large, at_ms: int) -> None:
        level = self.levels.memory[tick & (SLOTS - 1)]
        band = self._band(tick)
        if level["tick"] != tick or band >= FAR:
            return
        lots, limit, median = abs(int(level["lots"])), float(self._wall_lots[band]), float(self._median[band])
        if not lots >= limit:
            return
        age = at_ms - large.since_ms
        large.wall = self._fire(
            Detection(
                id=0,
                kind=DetectionKind.WALL,
                side=side,
                start_ms=large.since_ms,
                ts_ms=at_ms,
                low=tick,
                high=tick,
                lots=lots,
                confidence=confidence(lots / limit, lots / (self.limits.wall_multiple * median)),
                evidence={
                    "size_lots": lots,
                    "size_lots_limit": limit,
                    "median_lots": median,
                    "multiple": lots / median,
                    "multiple_limit": self.limits.wall_multiple,
                    "age_ms": age,
                    "age_ms_limit": self.limits.wall_ms,
                    "distance_bps": abs(2 * tick - self._double_mid) * 10_000 / self._double_mid,
                },
                rows=[(large.since_ms, tick, large.lots, "appeared"), (at_ms, tick, lots, "stands")],
            ),
            at_ms,
        )

    def _settle(self, gone: _Shrunk, at_ms: int) -> bool:
        """The prints that took part in a level's end have come: say what became of it.

        True if its life was short and ended by withdrawal.
        """
        level = self.levels.memory[gone.tick & (SLOTS - 1)]
        remembered = level["tick"] == gone.tick
        executed = int(level["hit"]) - gone.hit if remembered else 0
        share = executed / (gone.lots - gone.left)
        moved = self._moved_to(gone)
        fate = "filled" if share >= FILLED else "mixed" if share > PULLED else "moved" if moved else "pulled"
        fate = fate if remembered else "unknown"
        wall = gone.large.wall if gone.large else None
        if wall is not None:
            wall.evidence |= {"executed_lots": executed, "executed_share": share}
            wall.rows.append((gone.ts_ms, gone.tick, gone.left, fate))
            if moved and fate == "moved":
                wall.rows.append((moved.ts_ms, moved.tick, moved.lots, "appeared"))
            self._change(wall, gone.ts_ms, fate)
        if fate not in ("pulled", "moved"):
            return False
        band = self._band(gone.tick) if self._double_mid else FAR
        if band < FAR and gone.lots >= self._wall_lots[band]:
            self._judge_pulls(gone, at_ms)
        short = gone.ts_ms - gone.since_ms <= LAYER_MS
        if short:
            self._layers.append(gone)
        return short

    def _moved_to(self, gone: _Shrunk) -> _Grown | None:
        """The level that appeared on the same side, of about the same size, about when this one went."""
        for grew in self._grew:
            near = abs(grew.tick - gone.tick) * 20_000 <= MOVED_BPS * self._double_mid
            alike = MOVED_RATIO <= grew.lots / gone.lots <= 1 / MOVED_RATIO
            in_time = abs(grew.ts_ms - gone.ts_ms) <= LATE_MS
            if grew.side == gone.side and grew.tick != gone.tick and near and alike and in_time:
                return grew
        return None

    def _judge_layers(self, newest: _Shrunk, at_ms: int) -> None:
        """Large levels side by side that came together, stood at once and went together, hardly executed."""
        side = newest.side
        if at_ms < self._quiet_until[DetectionKind.LAYERING, side] or not self._double_mid:
            return
        limit = self.limits.layering_multiple
        gone = {
            one.tick: one
            for one in self._layers
            if one.side == side
            and abs(newest.ts_ms - one.ts_ms) <= TOGETHER_MS
            and abs(newest.since_ms - one.since_ms) <= TOGETHER_MS
            and self._multiple(one) >= limit
        }
        run = next((run for run in _runs(sorted(gone)) if newest.tick in run), [])
        if len(run) < self.limits.layering_levels or not self._thin:
            return
        layers = [gone[tick] for tick in run]
        first_ms = min(one.since_ms for one in layers)
        if max(one.since_ms for one in layers) > min(one.ts_ms for one in layers):
            return  # one after the other: a crowd that shifts, no layers
        added, left = sum(one.lots for one in layers), sum(one.left for one in layers)
        if added - left < LAYER_SHARE * added:
            return
        depth = float(np.median([one[side < 0] for one in self._thin]))
        share = 100 * added / depth if depth > 0 else 0.0
        bought, sold = self._flow_since(first_ms)
        if share < self.limits.layering_share or (bought - sold) * side <= 0:
            return
        self._quiet_until[DetectionKind.LAYERING, side] = at_ms + LAYER_PAUSE_MS
        least = min(self._multiple(one) for one in layers)
        self._fire(
            Detection(
                id=0,
                kind=DetectionKind.LAYERING,
                side=side,
                start_ms=first_ms,
                ts_ms=newest.ts_ms,
                low=run[0],
                high=run[-1],
                lots=added,
                confidence=confidence(
                    len(run) / self.limits.layering_levels, least / limit, share / max(self.limits.layering_share, 1e-9)
                ),
                state="done",
                evidence={
                    "levels": len(run),
                    "levels_limit": self.limits.layering_levels,
                    "multiple": least,
                    "multiple_limit": limit,
                    "depth_share_pct": share,
                    "depth_share_pct_limit": self.limits.layering_share,
                    "flow_lots_opposite": float(bought if side > 0 else sold),
                    "flow_lots_own": float(sold if side > 0 else bought),
                    "withdrawn_share": (added - left) / added,
                    "withdrawn_share_limit": LAYER_SHARE,
                },
                rows=_appearances(layers),
            ),
            at_ms,
        )

    def _flow_since(self, since_ms: int) -> tuple[int, int]:
        """Lots that aggressors have bought and sold since the first level grew at or after a moment."""
        first = next((one for one in self._grew if one.ts_ms >= since_ms), None)
        if first is None:
            return 0, 0
        return int(self.levels.counts[BOUGHT]) - first.bought, int(self.levels.counts[SOLD]) - first.sold

    def _multiple(self, one: _Shrunk) -> float:
        """Size in medians of its band; 0 where none is known."""
        band = self._band(one.tick)
        median = float(self._median[band]) if band < FAR else float("nan")
        return one.lots / median if median > 0 else 0.0

    def _judge_pulls(self, newest: _Shrunk, at_ms: int) -> None:
        """Levels of a wall's size on one side, withdrawn again and again without having been executed."""
        self._pulled.append(newest)
        side = newest.side
        again = [one for one in self._pulled if one.side == side and newest.ts_ms - one.ts_ms <= PULL_MS]
        if len(again) < PULLS or at_ms < self._quiet_until[DetectionKind.PULL, side]:
            return
        self._quiet_until[DetectionKind.PULL, side] = at_ms + PULL_MS
        self._fire(
            Detection(
                id=0,
                kind=DetectionKind.PULL,
                side=side,
                start_ms=min(one.since_ms for one in again),
                ts_ms=newest.ts_ms,
                low=min(one.tick for one in again),
                high=max(one.tick for one in again),
                lots=sum(one.lots for one in again),
                confidence=confidence(len(again) / PULLS),
                state="done",
                evidence={"withdrawals": len(again), "withdrawals_limit": PULLS, "within_ms": PULL_MS},
                rows=_appearances(again),
            ),
            at_ms,
        )

    # -- sweeps, icebergs, absorption ---------------------------------------------------------------------------

    def _on_parent(self, note: Note) -> None:
        """An aggressor's order through several levels: a sweep if it was quick and large."""
        side, lots, count = note.side, note.hit, note.levels
        duration = note.ts_ms - note.since_ms
        first, last = note.tick, note.tick2
        limits = self.limits
        share = 100 * lots / self._depth[-side] if self._depth[-side] > 0 else 0.0
        notional = lots * (first + last) / 2 * self._scale
        quick = count >= limits.sweep_levels and duration <= limits.sweep_ms
        if not (quick and share >= limits.sweep_share and notional >= limits.min_notional):
            return
        at_ms = note.ts_ms
        self._fire(
            Detection(
                id=0,
                kind=DetectionKind.SWEEP,
                side=side,
                start_ms=note.since_ms,
                ts_ms=at_ms,
                low=min(first, last),
                high=max(first, last),
                lots=lots,
                confidence=confidence(count / limits.sweep_levels, share / max(limits.sweep_share, 1e-9)),
                state="done",
                evidence={
                    "levels": count,
                    "levels_limit": limits.sweep_levels,
                    "duration_ms": duration,
                    "duration_ms_limit": limits.sweep_ms,
                    "depth_share_pct": share,
                    "depth_share_pct_limit": limits.sweep_share,
                    "notional": notional,
                    "notional_limit": limits.min_notional,
                },
                rows=[
                    (note.since_ms, first, 0, "first print"),
                    (at_ms, last, lots, f"last of {note.refills} prints"),
                ],
            ),
            at_ms,
        )

    def _on_refilled(self, note: Note) -> None:
        """More was executed at a price than had been shown there, again and again."""
        side, tick, hit, peak = note.side, note.tick, note.hit, note.peak
        refills, at_ms, since_ms = note.refills, note.ts_ms, note.since_ms
        key = (side, tick, since_ms)
        event = self._icebergs.get(key)
        limits = self.limits
        enough = refills >= limits.iceberg_refills and hit >= limits.iceberg_multiple * peak
        band = self._band(tick) if self._double_mid else FAR
        large = int(self.levels.large[band])
        if not enough or not large or hit < large:
            return
        evidence = {
            "executed_lots": hit,
            "executed_lots_limit": large,
            "displayed_lots": peak,
            "multiple": hit / peak,
            "multiple_limit": limits.iceberg_multiple,
            "refills": refills,
            "refills_limit": limits.iceberg_refills,
            "hidden_lots": hit - peak,
        }
        sure = confidence(hit / (limits.iceberg_multiple * peak), refills / limits.iceberg_refills)
        row = (at_ms, tick, note.lots, f"refilled, {hit} executed")
        if event is None:
            if not self._medians or len(self._medians) < BASELINE_S // 2:
                return
            found = Detection(0, DetectionKind.ICEBERG, side, since_ms, at_ms, tick, tick, hit, sure)
            found.evidence, found.rows = evidence, [row]
            self._icebergs[key] = self._fire(found, at_ms)
            return
        event.lots, event.confidence, event.evidence = hit, sure, evidence
        event.rows.append(row)
        self._change(event, at_ms, "open")

    def _judge_pressure(self, note: Note, bid: int, ask: int, at_ms: int) -> None:
        """Heavy flow into one price a moment ago: absorbed, if the price still stands and has been refilled."""
        side, tick = note.side, note.tick
        best = bid if side > 0 else ask
        level = self.levels.memory[tick & (SLOTS - 1)]
        # Others may stand before the price by now, but not far: then it was no fight over this price.
        ahead = (best - tick) * side
        held = best > 0 and ahead >= -1 and ahead * 10_000 <= HELD_BPS * tick
        press = self.levels.press[0 if side > 0 else 1]
        goes_on = press["price"] == tick and press["first_ms"] == note.since_ms
        lots, last_ms = (int(press["lots"]), int(press["last_ms"])) if goes_on else (note.hit, note.ts_ms)
        stood, stands = note.before, abs(int(level["lots"])) if level["tick"] == tick else 0
        refilled = lots - max(0, stood - stands)
        limit = int(self.levels.pressure[0])
        if last_ms - note.since_ms < PRESS_LEAST_MS:
            return  # one order that passed through
        if not held or refilled * 2 < lots or at_ms < self._quiet_until[DetectionKind.ABSORPTION, side]:
            return
        self._quiet_until[DetectionKind.ABSORPTION, side] = at_ms + IDLE_MS // 6
        self._fire(
            Detection(
                id=0,
                kind=DetectionKind.ABSORPTION,
                side=side,
                start_ms=note.since_ms,
                ts_ms=at_ms,
                low=tick,
                high=tick,
                lots=lots,
                confidence=confidence(lots / max(limit, 1), 2 * refilled / lots),
                state="done",
                evidence={
                    "absorbed_lots": lots,
                    "absorbed_lots_limit": limit,
                    "refilled_share": refilled / lots,
                    "refilled_share_limit": 0.5,
                    "price_moved_ticks": -ahead,
                    "price_moved_ticks_limit": 1,
                },
                rows=[
                    (note.since_ms, tick, stood, "stood"),
                    (note.ts_ms, tick, note.hit, "executed"),
                    (at_ms, tick, stands, "stands"),
                ],
            ),
            at_ms,
        )

    # -- exhaustion ---------------------------------------------------------------------------------------------

    def _judge_exhaustion(self, at_ms: int, near: dict[int, int], spread: int, sold: int, bought: int) -> None:
        """A side that runs thin while the spread is wide and the flow into it fades."""
        history = list(self._thin)
        self._thin.append((near[1], near[-1], spread, sold, bought))
        if len(history) < BASELINE_S // 2:
            return
        past = np.array(history, np.float64)
        usual_spread = float(np.median(past[:, 2]))
        for column, side in ((0, 1), (1, -1)):
            usual = float(np.median(past[:, column]))
            flow = [float(value) for value in past[-5:, 3 + column]] + [float((sold, bought)[column])]
            windows = [flow[0] + flow[1], flow[2] + flow[3], flow[4] + flow[5]]
            depth, limit = near[side], self.limits.exhaustion_depth * usual
            fades = windows[0] > windows[1] > windows[2]
            if not (depth < limit and spread > 2 * usual_spread and fades):
                continue
            if at_ms < self._quiet_until[DetectionKind.EXHAUSTION, side]:
                continue
            self._quiet_until[DetectionKind.EXHAUSTION, side] = at_ms + IDLE_MS
            tick = (self._double_mid - side * spread) // 2
            self._fire(
                Detection(
                    id=0,
                    kind=DetectionKind.EXHAUSTION,
                    side=-side,
                    start_ms=at_ms - 1_000,
                    ts_ms=at_ms,
                    low=tick,
                    high=tick,
                    lots=depth,
                    confidence=confidence(limit / max(depth, 1), spread / (2 * usual_spread)),
                    state="done",
                    evidence={
                        "depth_lots": depth,
                        "depth_lots_limit": limit,
                        "spread_ticks": spread,
                        "spread_ticks_limit": 2 * usual_spread,
                        "flow_lots_before": windows[0],
                        "flow_lots_between": windows[1],
                        "flow_lots_last": windows[2],
                    },
                    rows=[(at_ms, tick, depth, "depth within 10 bps")],
                ),
                at_ms,
            )

    # -- the log ------------------------------------------------------------------------------------------------

    def _fire(self, event: Detection, at_ms: int) -> Detection:
        self._ids += 1
        event.id = self._ids
        self.events.append(event)
        self.card.fire(event, at_ms, self._double_mid)
        self._change(event, event.ts_ms, event.state)
        return event

    def _change(self, event: Detection, ts_ms: int, state: str) -> None:
        self.seq += 1
        event.seq, event.ts_ms, event.state = self.seq, ts_ms, state
        if len(event.rows) > EVIDENCE_ROWS:  # how it began, and the newest
            del event.rows[1 : len(event.rows) - EVIDENCE_ROWS + 1]


def _within(levels: NDArray[np.int64], double_mid: int, bps: int) -> int:
    """Lots within `bps` of the mid price."""
    return int(levels[np.abs(2 * levels[:, 0] - double_mid) * 10_000 <= bps * double_mid, 1].sum())


def _runs(ticks: list[int]) -> Iterator[list[int]]:
    """Ascending ticks cut where neighbours are further apart than LAYER_GAP."""
    run: list[int] = []
    for tick in ticks:
        if run and tick - run[-1] > LAYER_GAP:
            yield run
            run = []
        run.append(tick)
    if run:
        yield run


def _appearances(levels: list[_Shrunk]) -> list[EvidenceRow]:
    """When levels came and went."""
    rows: list[EvidenceRow] = []
    for one in levels[: EVIDENCE_ROWS // 2]:
        rows += [(one.since_ms, one.tick, one.lots, "appeared"), (one.ts_ms, one.tick, one.left, "withdrawn")]
    return rows
