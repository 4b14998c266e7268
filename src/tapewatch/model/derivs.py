"""Numbers that the derivatives panels compare against; every one can be set in the configuration, by symbol."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class DerivsThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """When a basis is steep, a funding rate extreme, a cluster dangerous, a divergence worth a word."""

    basis_flat_bps: Annotated[
        float, Meta(ge=0, description="A basis of at most this size is FLAT: neither contango nor backwardation, bps.")
    ] = 0.5
    basis_steep_bps: Annotated[float, Meta(gt=0, description="A basis of this size is STEEP, bps.")] = 20.0
    mids_apart_ms: Annotated[
        int,
        Meta(ge=1, le=60_000, description="Two mid prices whose venues' times differ by more are not simultaneous."),
    ] = 250
    funding_extreme_percent: Annotated[
        float, Meta(gt=0, description="A funding rate of this size, in percent per 8 hours, is extreme.")
    ] = 0.04
    funding_extreme_percentile: Annotated[
        float, Meta(gt=50, le=100, description="So is one beyond this percentile of its own known history.")
    ] = 95.0
    danger_notional: Annotated[
        float, Meta(gt=0, description="A cluster of liquidations of this notional is a danger zone.")
    ] = 1_000_000.0
    danger_share: Annotated[
        float,
        Meta(
            gt=0,
            description="So is one whose notional is this share of the depth on the way to it; half of it is WATCH, "
            "twice of it CRITICAL.",
        ),
    ] = 0.5
    divergence_z: Annotated[
        float, Meta(gt=0, description="Net flow of this many of its usual sizes is significant.")
    ] = 2.0
    trend: Annotated[
        float,
        Meta(
            gt=0,
            le=2,
            description="Imbalance of the last 10 s above that of the minute by so much is a rising arrow; "
            "three times as much is a double one.",
        ),
    ] = 0.1
