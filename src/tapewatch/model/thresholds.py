"""Numbers that engines compare against; every one can be set in the configuration."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds of the screener and of whales, for all symbols unless overridden per symbol."""

    adv_percent: Annotated[
        float, Meta(gt=0, le=100, description="Flow above this share of average daily volume is big, in percent.")
    ] = 0.5
    adv_days: Annotated[
        int, Meta(ge=1, le=365, description="Complete UTC days that the average daily volume is taken over.")
    ] = 30
    adv_young_days: Annotated[
        int, Meta(ge=0, le=365, description="Fewer days than this and the average is flagged young.")
    ] = 10
    min_notional: Annotated[
        float, Meta(ge=0, description="Big flow below this notional (quote currency) is not reported.")
    ] = 25_000.0
    cluster_ms_trades: Annotated[
        int,
        Meta(ge=0, le=10_000, description="Raw prints of one side no further apart than this are one parent order."),
    ] = 10
    cluster_ms_aggregate: Annotated[
        int,
        Meta(ge=0, le=10_000, description="The same for aggregate trades, whose own time is only known to 100 ms."),
    ] = 100
    whale_notional: Annotated[
        float, Meta(gt=0, description="A parent order of this notional (quote currency) is a whale.")
    ] = 500_000.0
    mega_notional: Annotated[
        float, Meta(gt=0, description="A whale of this notional (quote currency) is a mega whale.")
    ] = 5_000_000.0
    whale_adv_percent: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="A parent order above this share of average daily volume is a whale of its symbol, in percent.",
        ),
    ] = 0.5
