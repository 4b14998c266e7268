"""What detectors compare against, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class DetectorThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds of the detectors of one instrument."""

    min_notional: Annotated[
        float, Meta(ge=0, description="Levels, sweeps and absorbed flow below this notional are not looked at.")
    ] = 50_000.0
    wall_multiple: Annotated[
        float, Meta(gt=1, description="A level of this many medians of its distance band is large.")
    ] = 3.0
    wall_share: Annotated[
        float, Meta(ge=0, le=100, description="And it holds at least this share of the side within 25 bps, percent.")
    ] = 10.0
    wall_ms: Annotated[int, Meta(ge=250, description="A large level that stands so long is a wall.")] = 5_000
    sweep_levels: Annotated[int, Meta(ge=2, description="Price levels that a sweep takes.")] = 3
    sweep_ms: Annotated[int, Meta(ge=1, description="Within this time.")] = 200
    sweep_share: Annotated[
        float, Meta(ge=0, le=100, description="And of what stood within 10 bps before it, percent.")
    ] = 10.0
    absorption_multiple: Annotated[
        float, Meta(gt=1, description="Aggressor flow into one price of this many medians of the last minute's 3 s.")
    ] = 20.0
    iceberg_multiple: Annotated[
        float, Meta(gt=1, description="Executed at one price, in units of the most that was ever displayed there.")
    ] = 3.0
    iceberg_refills: Annotated[int, Meta(ge=1, description="Refills of an iceberg.")] = 3
    layering_levels: Annotated[int, Meta(ge=2, description="Adjacent large levels of layered liquidity.")] = 4
    layering_multiple: Annotated[float, Meta(gt=1, description="Medians of its band in each of them.")] = 15.0
    layering_share: Annotated[
        float, Meta(ge=0, le=100, description="And all of them this share of the side within 10 bps, percent.")
    ] = 50.0
    exhaustion_depth: Annotated[
        float, Meta(gt=0, lt=1, description="Depth within 10 bps below this share of its median of 60 s is thin.")
    ] = 0.5


class DetectionKind(StrEnum):
    WALL = "wall"
    SWEEP = "sweep"
    ABSORPTION = "absorption"
    LAYERING = "layering"
    ICEBERG = "iceberg"
    EXHAUSTION = "exhaustion"
    PULL = "pull"


EvidenceRow = tuple[int, int, int, str]
"""Time, tick, lots, what happened there."""
EVIDENCE_ROWS = 16


@dataclass(slots=True)
class Detection:
    """One episode; it grows while `state` is ``open``. Prices in ticks, quantities in lots.

    `side` +1 is what favours a rise: resting bids, a buyer's sweep, asks that run dry; -1 the opposite.
    """

    id: int
    kind: DetectionKind
    side: int
    start_ms: int
    ts_ms: int
    low: int
    high: int
    lots: int
    confidence: float
    state: str = "open"
    """``open``, then ``filled``, ``pulled``, ``moved``, ``mixed`` or ``unknown``; ``done`` where nothing follows."""
    seq: int = 0
    """Rises with every change."""
    evidence: dict[str, float] = field(default_factory=dict)
    """What was measured, by name; `…_limit` is the threshold it was compared with."""
    rows: list[EvidenceRow] = field(default_factory=list)


def confidence(*excess: float) -> float:
    """How far measurements lie beyond their thresholds: 1 - half the geometric mean of threshold / measured.

    0.5 at the thresholds, 0.75 at twice all of them, 1 in the limit. `excess` are measured / threshold, 1 or more.
    """
    product = 1.0
    for one in excess:
        product /= max(one, 1.0)
    return round(1 - 0.5 * float(product ** (1 / len(excess))), 4)
