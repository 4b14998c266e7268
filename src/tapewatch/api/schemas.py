"""What answers look like, for the OpenAPI document; tests hold every answer against these.

Answers are written by hand, because their numbers are exact decimals; these classes never touch a live answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Price = Annotated[float, Field(description="Quote currency, with the decimals of the instrument's tick.")]
Quantity = Annotated[float, Field(description="Base units, with the decimals of the instrument's lot.")]
Money = Annotated[float, Field(description="Quote currency.")]
TimeMs = Annotated[int, Field(description="Milliseconds since the epoch, UTC; the venue's own time.")]
ServerMs = Annotated[int, Field(description="Milliseconds since the epoch, UTC; our own clock.")]
Ratio = Annotated[float, Field(ge=-1, le=1, description="In [-1, 1]; positive: buying, or bids, outweigh.")]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """Fields are all there is."""

    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="One sentence: what is wrong and what is allowed.")]
    instance: str


class Symbol(Answer):
    """One instrument."""

    symbol: Annotated[str, Field(description="As the venue prints it.")]
    index: Annotated[int, Field(description="Position in the stream's columns.")]
    base: str
    quote: str
    kind: Literal["perp", "tradfi-perp", "future", "spot"]
    status: str
    tick: Price
    lot: Quantity
    tick_grid: Annotated[list[int], Field(description="[units, decimals]: tick = units / 10**decimals.")]
    lot_grid: Annotated[list[int], Field(description="[units, decimals]: lot = units / 10**decimals.")]
    adv: Annotated[Money | None, Field(description="Average daily volume, quote currency; null: not known yet.")]
    adv_days: Annotated[int, Field(description="Complete UTC days in it.")]
    adv_young: Annotated[bool, Field(description="Too few days to rely on.")]
    last: Price | None
    last_ts: TimeMs | None
    change_24h_pct: float | None
    high_24h: Price | None
    low_24h: Price | None
    volume_24h: Quantity | None
    quote_volume_24h: Money | None
    trades_24h: int | None
    book: Literal["off", "waiting", "live", "stale"]


class Symbols(Answer):
    exchange: str
    server_ts: ServerMs
    symbols: list[Symbol]


class BigFlowEvent(Answer):
    """One episode of big flow; it grows while `open`."""

    id: int
    ts: TimeMs
    start_ts: TimeMs
    symbol: str
    side: Literal["buy", "sell"]
    price: Annotated[float, Field(description="VWAP of the aggressor's prints, quote currency.")]
    low: Price
    high: Price
    quantity: Quantity
    notional: Money
    pct_of_adv: Annotated[float | None, Field(description="Percent of average daily volume.")]
    rule: Literal["parent", "flow_10s", "flow_1m", "flow_5m"]
    levels: Annotated[int, Field(description="Distinct prices of a parent order, 64 means 64 or more; 0: flow rule.")]
    trades: Count
    open: bool
    depth_10bps: Annotated[
        Money | None, Field(description="What the side it hit held within 10 bps when it fired; null: no live book.")
    ]


class Screener(Answer):
    exchange: str
    server_ts: ServerMs
    events: list[BigFlowEvent]


class ImbalanceRow(Answer):
    symbol: str
    trade_imbalance: Ratio
    book_imbalance: Annotated[Ratio | None, Field(description="Top 10 levels; null: no live book.")]
    bid_volume: Annotated[Quantity, Field(description="Sold by aggressors in the window, base units.")]
    ask_volume: Annotated[Quantity, Field(description="Bought by aggressors in the window, base units.")]
    net_flow_per_minute: Annotated[float, Field(description="(bought - sold) notional a minute, quote currency.")]
    trend: Annotated[
        float | None,
        Field(description="Trade imbalance of the next shorter window minus this one's; null for the shortest."),
    ]
    last: Price | None
    last_ts: TimeMs | None


class Imbalance(Answer):
    exchange: str
    window: str
    server_ts: ServerMs
    ts: TimeMs
    rows: list[ImbalanceRow]


class ImbalancePoint(Answer):
    ts: Annotated[int, Field(description="End of the window, ms.")]
    imbalance: Annotated[Ratio | None, Field(description="Null where nothing of the window is held.")]
    buy: Quantity
    sell: Quantity
    complete: Annotated[bool, Field(description="False: trades of the window are missing, or older than all held.")]


class ImbalanceHistory(Answer):
    exchange: str
    symbol: str
    window: str
    window_ms: int
    step_ms: int
    server_ts: ServerMs
    points: list[ImbalancePoint]


class Level(Answer):
    p: Annotated[Price, Field(description="Lower edge of the bin [p, p + step).")]
    bid: Annotated[Quantity, Field(description="Sold into bids.")]
    ask: Annotated[Quantity, Field(description="Bought from asks.")]
    n: Annotated[Count, Field(description="Trades.")]


class Candle(Answer):
    """`open` to `val` are null where nothing traded."""

    open_ts: TimeMs
    open: Price | None
    high: Price | None
    low: Price | None
    close: Price | None
    poc: Annotated[Price | None, Field(description="Lower edge of the bin with most volume.")]
    vah: Annotated[Price | None, Field(description="Lower edge of the highest bin of the value area (70 %).")]
    val: Annotated[Price | None, Field(description="Lower edge of the lowest bin of the value area.")]
    n: Count
    quote_volume: Money
    gaps: Annotated[int, Field(description="Known holes: its totals are then at least, not exactly.")]
    klines: Annotated[int, Field(description="Minutes told by the venue's klines, which have no levels.")]
    bid: Quantity
    ask: Quantity
    delta: Annotated[float, Field(description="ask - bid, base units.")]
    cvd: Annotated[float, Field(description="Sum of deltas since 00:00 UTC of the candle's day, at its end.")]
    levels: Annotated[list[Level], Field(description="From the highest price down.")]


class Footprint(Answer):
    exchange: str
    symbol: str
    tf_ms: int
    step: Price
    server_ts: ServerMs
    cvd_since: Annotated[TimeMs | None, Field(description="From when on CVD is counted, by trades or by klines.")]
    trades_since: Annotated[TimeMs | None, Field(description="The oldest trade held.")]
    candles: list[Candle]


class Bar(Answer):
    """A candle without levels; open to close are null where nothing traded."""

    open_ts: TimeMs
    open: Price | None
    high: Price | None
    low: Price | None
    close: Price | None
    bid: Quantity
    ask: Quantity
    delta: Annotated[float, Field(description="ask - bid, base units.")]
    cvd: Annotated[float, Field(description="Sum of deltas since 00:00 UTC of the candle's day, at its end.")]
    n: Count
    quote_volume: Money
    gaps: Annotated[int, Field(description="Known holes: its totals are then at least, not exactly.")]
    klines: Annotated[int, Field(description="Minutes told by the venue's klines, which have no levels.")]


class Candles(Answer):
    exchange: str
    symbol: str
    tf_ms: int
    server_ts: ServerMs
    candles: list[Bar]


class Liquidation(Answer):
    ts: TimeMs
    event_ts: TimeMs
    symbol: str
    side: Annotated[Literal["long", "short"], Field(description="The position that was closed.")]
    price: Annotated[float, Field(description="Average fill price, quote currency.")]
    quantity: Quantity
    notional: Money


class Liquidations(Answer):
    exchange: str
    server_ts: ServerMs
    liquidations: list[Liquidation]


class Book(Answer):
    exchange: str
    symbol: str
    in_sync: Literal[True]
    last_update_id: int
    ts: TimeMs
    server_ts: ServerMs
    bids: Annotated[list[tuple[Price, Quantity]], Field(description="Best first.")]
    asks: Annotated[list[tuple[Price, Quantity]], Field(description="Best first.")]


class Replay(Answer):
    """The player of a replay."""

    state: Literal["playing", "paused", "seeking", "ended"]
    speed: Annotated[float | Literal["max"], Field(description="Multiple of the market's own pace.")]
    ts: Annotated[int, Field(description="Replayed time: everything up to it has been played. ms, UTC.")]
    first_ts: TimeMs
    last_ts: TimeMs
    events: Annotated[Count, Field(description="Events played.")]
    epoch: Annotated[Count, Field(description="Rises when an earlier state replaces the one shown (a seek back).")]
    progress: Annotated[float | None, Field(ge=0, le=1, description="Of a seek under way.")]
    inputs: Annotated[list[str], Field(description="What is played.")]


class ReplayCommand(Answer):
    """What the player shall do; each action takes the field of its name (`seek`: ts or by_ms; `step`: step, symbol)."""

    action: Literal["play", "pause", "speed", "seek", "step"]
    speed: Annotated[float | str | None, Field(description="0.5, 1, 2, 5, 10, 60 or max.")] = None
    ts: Annotated[int | None, Field(ge=0, lt=1 << 53, description="Where to, ms; beyond an end means that end.")] = None
    by_ms: Annotated[int | None, Field(gt=-(1 << 53), lt=1 << 53, description="How far from where it stands.")] = None
    step: Annotated[Literal["event", "second", "trade", "big-flow"] | None, Field(description="To the next.")] = None
    symbol: Annotated[str | None, Field(max_length=64, description="Only events of this instrument.")] = None


class ReplayHash(Answer):
    """What the state shown hashes to."""

    ts: TimeMs
    events: Count
    state_hash: str


class UploadedCandle(Answer):
    """A candle as it was understood, with the decimals it came with."""

    open_ts: TimeMs
    open: float
    high: float
    low: float
    close: float
    volume: float


class Uploaded(Answer):
    """`read` to `first` are there where the upload was only checked."""

    exchange: str
    symbol: str
    rows: Annotated[Count, Field(description="Candles stored; those of the same time and length were replaced.")]
    read: Annotated[Count | None, Field(description="Candles in the upload.")] = None
    tf_ms: int | None = None
    from_: Annotated[TimeMs | None, Field(alias="from")] = None
    to: TimeMs | None = None
    sorted: Annotated[bool | None, Field(description="Whether rows had to be put in order of time.")] = None
    first: Annotated[list[UploadedCandle] | None, Field(description="The first few, in order of time.")] = None


class ExportProgress(Answer):
    job: str
    done: Annotated[int | None, Field(description="Of `total`, in ms of the range.")]
    total: int | None


class Stored(Answer):
    exchange: str
    from_: Annotated[TimeMs | None, Field(alias="from")]
    to: TimeMs | None
