"""What the answers of the derivatives panels look like; see `schemas`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .schemas import Answer, Count, Money, Price, Quantity, Ratio, ServerMs, TimeMs

Bps = Annotated[float, Field(description="Basis points.")]
Percent = Annotated[float, Field(description="Percent.")]
Decimals = Annotated[int, Field(description="Of the tick; mids and averages are printed with one more.")]
Why = Annotated[str | None, Field(description="Why a figure is null, in one sentence.")]
Since = Annotated[
    dict[str, int | None], Field(description="By venue: from when on minutes are kept. What is older is null.")
]
Stale = Annotated[
    list[str], Field(description="Venues more than 5 s behind the newest event of all: their figures are their last.")
]


class BasisRow(Answer):
    exchange: str
    symbol: str
    kind: str
    price_decimals: Decimals
    mid: Price | None
    spot_exchange: str | None
    spot_symbol: str | None
    spot_decimals: Decimals | None
    spot_mid: Price | None
    basis_bps: Annotated[Bps | None, Field(description="(mid - spot mid) / spot mid, of the same moment.")]
    state: Literal["FLAT", "CONTANGO", "BACKWARDATION", "STEEP CONTANGO", "STEEP BACKWARDATION"] | None
    annualised_pct: Annotated[Percent | None, Field(description="Dated futures only: x 365 / days left.")]
    premium_bps: Annotated[Bps | None, Field(description="(mark - index) / index: another figure than the basis.")]
    why: Why
    basis_bps_1h_ago: Bps | None
    basis_bps_24h_ago: Bps | None
    premium_bps_1h_ago: Bps | None
    premium_bps_24h_ago: Bps | None


class Basis(Answer):
    exchange: str
    server_ts: ServerMs
    since_ts: Since
    stale: Stale
    rows: list[BasisRow]


class MinutePoint(Answer):
    ts: Annotated[int, Field(description="End of the minute, ms.")]
    value: float | None


class MinuteHistory(Answer):
    exchange: str
    symbol: str
    figure: Literal["basis_bps", "premium_bps", "rate_8h_pct", "quantity"]
    server_ts: ServerMs
    since_ts: TimeMs | None
    points: list[MinutePoint]


class FundingRow(Answer):
    exchange: str
    symbol: str
    kind: str
    ts: TimeMs | None
    rate_pct: Annotated[Percent | None, Field(description="Of the next payment, per interval, as the venue tells it.")]
    interval_h: Annotated[float | None, Field(description="Hours between payments of this symbol.")]
    rate_8h_pct: Percent | None
    annual_pct: Percent | None
    payer: Literal["LONGS PAY", "SHORTS PAY", "NOBODY PAYS"] | None
    next_ts: TimeMs | None
    slope_bps_per_h: Annotated[Bps | None, Field(description="Of the rate per 8 h, over the last 60 minutes.")]
    slope_minutes: Count
    percentile: Annotated[Percent | None, Field(description="Among the symbol's own known minutes.")]
    percentile_minutes: Count
    extreme: bool | None
    extreme_by: list[Literal["rate", "percentile"]]
    rate_8h_pct_1h_ago: Percent | None
    rate_8h_pct_24h_ago: Percent | None
    why: Why


class Funding(Answer):
    exchange: str
    server_ts: ServerMs
    since_ts: Since
    stale: Stale
    rows: list[FundingRow]


class InterestRow(Answer):
    exchange: str
    symbol: str
    kind: str
    ts: Annotated[TimeMs | None, Field(description="When the venue told it.")]
    quantity: Annotated[Quantity | None, Field(description="Base units, counted once on every venue.")]
    usd: Annotated[Money | None, Field(description="At the mark price; null where the quote is no dollar, too.")]
    change_1h_pct: Annotated[Percent | None, Field(description="Of the quantity.")]
    change_24h_pct: Percent | None
    why: Why


class Interest(Answer):
    exchange: str
    server_ts: ServerMs
    since_ts: Since
    stale: Stale
    rows: list[InterestRow]


class Whale(Answer):
    """A parent order; it grows while `open`."""

    exchange: str
    id: int
    ts: TimeMs
    start_ts: TimeMs
    symbol: str
    side: Literal["buy", "sell"]
    tier: Annotated[
        Literal["mega", "whale", "symbol"], Field(description="symbol: large only against its symbol's average day.")
    ]
    price_decimals: Decimals
    price: Annotated[float, Field(description="VWAP, quote currency.")]
    low: Price
    high: Price
    quantity: Quantity
    notional: Money
    pct_of_adv: Percent | None
    levels: Count
    trades: Count
    open: bool
    depth_10bps: Annotated[Money | None, Field(description="Of the side it hit when it became a whale; null: no book.")]
    depth_share: Annotated[float | None, Field(description="notional / depth_10bps.")]


class WhaleHour(Answer):
    from_ts: Annotated[int, Field(description="Whales are counted from then on, ms.")]
    count: Count
    buy_notional: Money
    sell_notional: Money


class WhaleFlow(Answer):
    exchange: str
    ts: TimeMs
    since_ts: TimeMs
    hour: WhaleHour | None
    hour_before: Annotated[WhaleHour | None, Field(description="null: not all of it is held.")]


class Whales(Answer):
    exchange: str
    server_ts: ServerMs
    flow: list[WhaleFlow]
    rows: list[Whale]


class Divergence(Answer):
    """Price against flow over a window."""

    window: str
    window_s: int
    price_change_bps: Bps | None
    net: Annotated[float | None, Field(description="Bought minus sold, in the unit asked for.")]
    z: Annotated[float | None, Field(description="net over its usual size: the root mean square of earlier windows.")]
    windows: Annotated[int, Field(description="Earlier windows without overlap that the usual size is from.")]
    state: Literal["BULLISH", "BEARISH", "ALIGNED", "NEUTRAL"] | None
    why: Why


class MarketDivergences(Answer):
    exchange: str
    symbol: str
    windows: list[Divergence]


class GroupDivergences(Answer):
    group: Literal["all", "spot", "perp"]
    markets: Count
    windows: list[Divergence]


class Split(Answer):
    """Two markets over a window."""

    window: str
    window_s: int
    a: Ratio | None
    b: Ratio | None
    difference: float | None
    z: float | None
    windows: int
    state: Literal["SPLIT", "TOGETHER", "NEUTRAL"] | None
    why: Why


class Splits(Answer):
    a: str
    b: str
    windows: list[Split]


class Divergences(Answer):
    markets: list[MarketDivergences]
    together: list[GroupDivergences]
    across: list[Splits]


class CvdSeries(Answer):
    exchange: str
    symbol: str
    kind: str
    decimals: Annotated[int, Field(description="Of its prices.")]
    price: Annotated[list[float | None], Field(description="Last price of one coin at the end of each step.")]
    net: Annotated[list[float | None], Field(description="Bought minus sold in each step; null: not held.")]
    cvd: Annotated[list[float], Field(description="Sum of net from the first step on.")]


class CvdMissing(Answer):
    exchange: str
    symbol: str
    why: str


class Cvd(Answer):
    exchange: str
    symbol: str
    span: str
    step_ms: int
    unit: Annotated[str, Field(description="The coin, or the currency.")]
    server_ts: ServerMs
    ts: Annotated[list[int], Field(description="Ends of the steps, ms.")]
    since_ts: Annotated[list[int], Field(description="By series: where it begins.")]
    gaps: Annotated[list[int], Field(description="By series: steps with a known hole, whose flow is at least.")]
    missing: list[CvdMissing]
    series: list[CvdSeries]
    divergences: Divergences


class FlowWindow(Answer):
    imbalance: Ratio | None
    buy_pct: Percent | None
    sell_pct: Percent | None
    net_per_min: Annotated[Money, Field(description="Bought minus sold, a minute of what is held.")]
    held_s: Annotated[int, Field(description="Seconds of the window that are held: fewer just after the start.")]


class FlowRow(Answer):
    exchange: str
    symbol: str
    kind: str
    windows: Annotated[dict[str, FlowWindow], Field(description="10s, 1m, 5m, 15m.")]
    trend: Annotated[
        Literal["up up", "up", "flat", "down", "down down"] | None,
        Field(description="Imbalance of 10 s against that of the minute."),
    ]
    imbalance_15m_1h_ago: Ratio | None
    imbalance_15m_24h_ago: Ratio | None
    since_ts: TimeMs | None
    last: Price | None
    last_ts: TimeMs | None
    why: Why


class Flow(Answer):
    exchange: str
    server_ts: ServerMs
    ts: TimeMs
    stale: Stale
    rows: list[FlowRow]


class Cluster(Answer):
    """Liquidations reported in one price bucket [price, price + bucket)."""

    price: Price
    long_count: Count
    short_count: Count
    long_notional: Money
    short_notional: Money
    notional: Annotated[Money, Field(description="Reported: at least so much.")]
    upper_notional: Annotated[Money | None, Field(description="At most so much; null: nothing bounds it.")]
    upper_why: Why
    last_ts: TimeMs
    depth_to_reach: Annotated[
        Money | None,
        Field(description="What the live book holds from the touch through this bucket; null: unknown or too far."),
    ]
    depth_share: Annotated[float | None, Field(description="notional / depth_to_reach.")]
    level: Literal["none", "watch", "danger", "critical"]
    because: list[Literal["notional", "depth"]]
    danger: bool


class Clusters(Answer):
    exchange: str
    symbol: str
    server_ts: ServerMs
    price_decimals: Decimals
    bucket: Price
    ts: TimeMs
    window_ms: int
    since_ts: Annotated[TimeMs | None, Field(description="Reports from before it are not known; null: nothing is yet.")]
    coverage: Literal["one a second", "all", "sampled"]
    coverage_words: str
    estimated: None
    estimated_why: str
    mid_price: Price | None
    depth_why: Why
    danger_notional: Money
    danger_share: float
    clusters: list[Cluster]
