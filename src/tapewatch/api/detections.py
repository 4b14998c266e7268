"""Detections and report cards as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from ..detect.card import BASELINE, HORIZONS_MS, Distribution, ReportCard
from ..detect.detectors import Detectors
from ..lab.lab import Study
from ..model.detection import Detection, DetectionKind, DetectorThresholds
from ..model.instrument import Instrument
from .numbers import exact, grid_printer

DEFINITIONS = {
    DetectionKind.WALL: "a level of several medians of its distance band, and of a share of its side, that stands long",
    DetectionKind.SWEEP: "one aggressor's order through several price levels within moments",
    DetectionKind.ABSORPTION: "heavy aggressor flow into one price that is refilled and does not give way",
    DetectionKind.LAYERING: "adjacent large levels that appear together and are withdrawn, while the other side trades",
    DetectionKind.ICEBERG: "more executed at one price than was ever displayed there, refilled again and again",
    DetectionKind.EXHAUSTION: "a side runs thin, the spread opens and the flow into the side fades",
    DetectionKind.PULL: "levels of a wall's size on one side, withdrawn again and again without execution",
}
SIDES = {
    DetectionKind.SWEEP: {1: "buy", -1: "sell"},
    DetectionKind.EXHAUSTION: {1: "ask", -1: "bid"},
}
"""What `side` is called: an aggressor's side, the side that runs dry, else the side that liquidity rests on."""
RESTING = {1: "bid", -1: "ask"}


def detections_content(study: Study, instrument: Instrument, kind: str | None, limit: int) -> dict[str, Any]:
    """The newest events, most recently changed first, the thresholds and the report card."""
    detectors = study.detectors
    chosen = [event for event in detectors.events if kind is None or event.kind.value == kind]
    newest = sorted(chosen, key=lambda event: -event.seq)[:limit]
    return {
        "parameters": parameters(detectors.limits),
        "definitions": {kind.value: words for kind, words in DEFINITIONS.items()},
        "watched_s": detectors.card.watched_s,
        "report_card": report_card(detectors),
        "detections": [event_content(event, instrument) for event in newest],
    }


def parameters(limits: DetectorThresholds) -> dict[str, float]:
    """The thresholds in force."""
    content: dict[str, float] = msgspec.to_builtins(limits)
    return content


def event_content(event: Detection, instrument: Instrument) -> dict[str, Any]:
    """One event with what raised it; prices and quantities exact."""
    price, lots = grid_printer(instrument.tick), grid_printer(instrument.lot)
    return {
        "id": event.id,
        "seq": event.seq,
        "kind": event.kind.value,
        "side": SIDES.get(event.kind, RESTING)[event.side],
        "direction": event.side,
        "start_ts": event.start_ms,
        "ts": event.ts_ms,
        "low": exact(price(event.low)),
        "high": exact(price(event.high)),
        "quantity": exact(lots(event.lots)),
        "state": event.state,
        "confidence": event.confidence,
        "evidence": {name: round(float(value), 6) for name, value in event.evidence.items()},
        "rows": [
            {"ts": ts, "price": exact(price(tick)), "quantity": exact(lots(count)), "what": what}
            for ts, tick, count, what in event.rows
        ],
    }


def report_card(detectors: Detectors) -> dict[str, Any]:
    """By detector: how often it fired, and forward returns in basis points in the direction it favours."""
    card = detectors.card
    names = {kind.value: card.fired[kind] for kind in DetectionKind}
    cards = {name: {"fired": fired, "returns_bps": _returns(card, name)} for name, fired in names.items()}
    return cards | {BASELINE: {"fired": None, "returns_bps": _returns(card, BASELINE)}}


def _returns(card: ReportCard, name: str) -> dict[str, Any]:
    return {f"{ms // 1000}s": _distribution(card.distribution(name, ms)) for ms in HORIZONS_MS}


def _distribution(found: Distribution | None) -> dict[str, float] | None:
    if found is None:
        return None
    figures = {name: round(getattr(found, name), 4) for name in ("mean", "std", "p25", "median", "p75")}
    return {"n": found.n} | figures
