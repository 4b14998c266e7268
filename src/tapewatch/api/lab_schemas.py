"""What the liquidity lab's answers look like, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import Answer, Count, Money, Price, Quantity, Ratio, ServerMs, TimeMs


class ImpactModel(Answer):
    """The square-root law, sigma Y sqrt(N / ADV) with Y from 0.5 to 1: a model, beside what the book holds."""

    name: Literal["square_root_law"]
    low_bps: float | None
    high_bps: float | None
    sigma_day: Annotated[float | None, Field(description="Daily volatility from one-minute closes, a fraction.")]
    reason: Annotated[str | None, Field(description="Why there is no band.")]


class Impact(Answer):
    """A market order walked through the live book. A cost is positive."""

    exchange: str
    symbol: str
    ts: TimeMs
    server_ts: ServerMs
    side: Literal["buy", "sell"]
    size: Quantity
    mid_price: Price
    avg_price: Annotated[float | None, Field(description="Of what could be filled.")]
    marginal_price: Annotated[Price | None, Field(description="Price of the last lot filled.")]
    slippage: Annotated[float | None, Field(description="avg_price against mid_price, quote currency.")]
    slippage_bps: float | None
    fee_bps: float
    fee: Money
    cost_bps: Annotated[float | None, Field(description="Slippage and fee.")]
    levels_consumed: Count
    filled: Quantity
    unfilled: Annotated[Quantity, Field(description="What does not fit into the known book.")]
    notional: Money
    known_depth: Annotated[Quantity, Field(description="What stands in the known part of this side.")]
    complete: bool
    reason: str | None
    path: Annotated[list[tuple[Price, Quantity]], Field(description="Levels hit, best first; 1000 at most.")]
    model: ImpactModel


class Accuracy(Answer):
    """Over the kept sweeps, basis points."""

    n: int
    realised_mean: float
    mean_error: Annotated[float, Field(description="Predicted - realised: above 0 where the walk said too much.")]
    mean_absolute_error: float
    p50_absolute_error: float
    p90_absolute_error: float


class CalibrationSweep(Answer):
    """One order through several prices; costs against the mid price of the book before its first print."""

    ts: TimeMs
    side: Literal["buy", "sell"]
    quantity: Quantity
    first_price: Price
    last_price: Price
    mid_price: Price
    levels: Annotated[Count, Field(description="Prices it traded at.")]
    predicted_levels: Count
    duration_ms: int
    book_age_ms: Annotated[int, Field(description="From the newest change the book held to the first print.")]
    predicted_bps: float
    realised_bps: float
    error_bps: float


class Calibration(Answer):
    """Predicted against realised cost of real sweeps."""

    exchange: str
    symbol: str
    server_ts: ServerMs
    definition: str
    parameters: dict[str, int]
    seen: Annotated[int, Field(description="Sweeps since the study began.")]
    not_compared: Annotated[dict[str, int], Field(description="Those that could not be predicted, by reason.")]
    accuracy_bps: Accuracy | None
    sweeps: list[CalibrationSweep]


Figure = float | None


class FeatureRow(BaseModel):
    """One second. Further figures by depth: `imbalance_5bps`, `cumulative_bid_10bps`, `cumulative_bid_10bps_quote` …"""

    model_config = ConfigDict(extra="allow")

    ts: TimeMs
    mid_price: Price | None
    spread: Price | None
    microprice: Annotated[Figure, Field(description="Weighted mid: (ask x bid size + bid x ask size) / both sizes.")]
    stoikov_microprice: Annotated[Figure, Field(description="Stoikov (2018); mid price + fitted adjustment.")]
    imbalance: Annotated[Ratio | None, Field(description="(B - A) / (B + A) over ten levels.")]
    depth_weighted_price: Annotated[Figure, Field(description="VAMP over ten levels.")]
    total_bid_volume: Annotated[Quantity | None, Field(description="Ten best bids.")]
    total_ask_volume: Annotated[Quantity | None, Field(description="Ten best asks.")]
    d_bid_volume: Annotated[Quantity, Field(description="Sum over diffs of the change of total_bid_volume.")]
    d_ask_volume: Quantity
    ofi: Annotated[Quantity, Field(description="d_bid_volume - d_ask_volume.")]
    ofi_ckS: Annotated[Quantity | None, Field(description="Best level, by Cont, Kukanov, Stoikov, from best quotes.")]  # noqa: N815
    ofi_levels: Annotated[list[Quantity], Field(description="The same per level, at the rate of book diffs.")]
    ofi_integrated: Annotated[Figure, Field(description="Levels over average depth, on their first component.")]
    slope: Annotated[Figure, Field(description="Næs and Skjeltorp (2006), ten levels, logarithm of lots.")]
    slope_bid: Figure
    slope_ask: Figure
    depth_per_bp_bid: Annotated[Figure, Field(description="Quote currency a basis point, over 25 bps.")]
    depth_per_bp_ask: Figure
    trade_flow: Annotated[Quantity, Field(description="Bought - sold by aggressors.")]
    trade_flow_imbalance: Ratio
    effective_spread_bps: Figure
    realised_spread_bps: Annotated[Figure, Field(description="Of the prints that became 5 s old in this second.")]
    trades: Count
    updates: Annotated[Count, Field(description="Book diffs.")]
    undefined: Annotated[dict[str, str], Field(description="Why a figure is null.")]


class Features(Answer):
    exchange: str
    symbol: str
    server_ts: ServerMs
    ts: TimeMs | None
    sampling: Annotated[Literal["bookTicker", "depth"], Field(description="What best-level figures are made from.")]
    parameters: dict[str, int | list[int]]
    window: Annotated[dict[str, Any], Field(description="Kyle's lambda, integrated OFI, VPIN, fit of the microprice.")]
    features: list[FeatureRow]


class EvidenceRow(Answer):
    ts: TimeMs
    price: Price
    quantity: Quantity
    what: str


class Detection(Answer):
    """One event of a detector; it grows while `state` is `open`."""

    id: int
    seq: Annotated[int, Field(description="Rises with every change of any event.")]
    kind: Literal["wall", "sweep", "absorption", "layering", "iceberg", "exhaustion", "pull"]
    side: Literal["bid", "ask", "buy", "sell"]
    direction: Annotated[Literal[-1, 1], Field(description="What it favours, if anything: 1 a rise, -1 a fall.")]
    start_ts: TimeMs
    ts: TimeMs
    low: Price
    high: Price
    quantity: Quantity
    state: Literal["open", "filled", "pulled", "moved", "mixed", "unknown", "done"]
    confidence: Annotated[float, Field(ge=0, le=1, description="0.5 at the thresholds, 0.75 at twice all of them.")]
    evidence: Annotated[dict[str, float], Field(description="What was measured; `…_limit` is its threshold.")]
    rows: list[EvidenceRow]


class Detections(Answer):
    exchange: str
    symbol: str
    server_ts: ServerMs
    parameters: Annotated[dict[str, float], Field(description="Thresholds in force, `thresholds.detectors`.")]
    definitions: dict[str, str]
    watched_s: Annotated[int, Field(description="Seconds with a live book since the study began.")]
    report_card: Annotated[
        dict[str, Any], Field(description="By detector: times fired and forward returns, against a baseline.")
    ]
    detections: list[Detection]
