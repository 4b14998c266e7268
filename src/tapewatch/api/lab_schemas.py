"""What the liquidity lab's answers look like, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .schemas import Answer, Count, Money, Price, Quantity, ServerMs, TimeMs


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
