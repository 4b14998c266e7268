"""The API's rows as polars frames: which column is exact, which is a float, which is a time.

*Exact* columns are `pl.Decimal` with the digits the API printed: prices, quantities, money. *Floats* are what the API
itself rounds: ratios, percentages, basis points, averages. Times are `pl.Datetime("ms", "UTC")`, the venue's own.
Nothing is filled in: null is what the API tells as null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

TIME: Final = pl.Datetime("ms", "UTC")
EXACT: Final = pl.Decimal
"""With as many decimals as the column's longest number has."""
INT: Final = pl.Int64
FLOAT: Final = pl.Float64
TEXT: Final = pl.String
FLAG: Final = pl.Boolean
PRECISION = 38

Schema = Mapping[str, Any]

SYMBOLS: Schema = {
    "symbol": TEXT, "index": INT, "base": TEXT, "quote": TEXT, "kind": TEXT, "status": TEXT, "tick": EXACT,
    "lot": EXACT, "tick_grid": pl.List(INT), "lot_grid": pl.List(INT), "adv": FLOAT, "adv_days": INT, "adv_young": FLAG,
    "last": EXACT, "last_ts": TIME, "change_24h_pct": EXACT, "high_24h": EXACT, "low_24h": EXACT, "volume_24h": EXACT,
    "quote_volume_24h": EXACT, "trades_24h": INT, "book": TEXT,
}  # fmt: skip
BARS: Schema = {
    "open_ts": TIME, "open": EXACT, "high": EXACT, "low": EXACT, "close": EXACT, "bid": EXACT, "ask": EXACT,
    "delta": EXACT, "cvd": EXACT, "n": INT, "quote_volume": EXACT, "gaps": INT, "klines": INT,
}  # fmt: skip
PROFILED_BARS: Schema = {**BARS, "poc": EXACT, "vah": EXACT, "val": EXACT}
CELLS: Schema = {"open_ts": TIME, "p": EXACT, "bid": EXACT, "ask": EXACT, "n": INT}
SCREENER: Schema = {
    "id": INT, "ts": TIME, "start_ts": TIME, "symbol": TEXT, "side": TEXT, "price": FLOAT, "low": EXACT, "high": EXACT,
    "quantity": EXACT, "notional": EXACT, "pct_of_adv": FLOAT, "rule": TEXT, "levels": INT, "trades": INT,
    "open": FLAG, "depth_10bps": EXACT,
}  # fmt: skip
IMBALANCE: Schema = {
    "symbol": TEXT, "trade_imbalance": FLOAT, "book_imbalance": FLOAT, "bid_volume": EXACT, "ask_volume": EXACT,
    "net_flow_per_minute": FLOAT, "trend": FLOAT, "last": EXACT, "last_ts": TIME,
}  # fmt: skip
IMBALANCE_HISTORY: Schema = {"ts": TIME, "imbalance": FLOAT, "buy": EXACT, "sell": EXACT, "complete": FLAG}
LIQUIDATIONS: Schema = {
    "ts": TIME, "event_ts": TIME, "symbol": TEXT, "side": TEXT, "price": EXACT, "quantity": EXACT, "notional": EXACT,
}  # fmt: skip
BOOK: Schema = {"side": TEXT, "price": EXACT, "quantity": EXACT}
DETECTIONS: Schema = {
    "id": INT, "seq": INT, "kind": TEXT, "side": TEXT, "direction": INT, "start_ts": TIME, "ts": TIME, "low": EXACT,
    "high": EXACT, "quantity": EXACT, "state": TEXT, "confidence": FLOAT,
    "evidence": pl.List(pl.Struct({"name": TEXT, "value": FLOAT})),
}  # fmt: skip
EVIDENCE_ROWS: Schema = {"ts": TIME, "price": EXACT, "quantity": EXACT, "what": TEXT}
BASIS: Schema = {
    "exchange": TEXT, "symbol": TEXT, "kind": TEXT, "price_decimals": INT, "mid": EXACT, "spot_exchange": TEXT,
    "spot_symbol": TEXT, "spot_decimals": INT, "spot_mid": EXACT, "basis_bps": FLOAT, "state": TEXT,
    "annualised_pct": FLOAT, "premium_bps": FLOAT, "why": TEXT, "basis_bps_1h_ago": FLOAT, "basis_bps_24h_ago": FLOAT,
    "premium_bps_1h_ago": FLOAT, "premium_bps_24h_ago": FLOAT,
}  # fmt: skip
FUNDING: Schema = {
    "exchange": TEXT, "symbol": TEXT, "kind": TEXT, "ts": TIME, "rate_pct": FLOAT, "interval_h": FLOAT,
    "rate_8h_pct": FLOAT, "annual_pct": FLOAT, "payer": TEXT, "next_ts": TIME, "slope_bps_per_h": FLOAT,
    "slope_minutes": INT, "percentile": FLOAT, "percentile_minutes": INT, "extreme": FLAG,
    "extreme_by": pl.List(TEXT), "rate_8h_pct_1h_ago": FLOAT, "rate_8h_pct_24h_ago": FLOAT, "why": TEXT,
}  # fmt: skip
INTEREST: Schema = {
    "exchange": TEXT, "symbol": TEXT, "kind": TEXT, "ts": TIME, "quantity": EXACT, "usd": FLOAT,
    "change_1h_pct": FLOAT, "change_24h_pct": FLOAT, "why": TEXT,
}  # fmt: skip
MINUTES: Schema = {"ts": TIME, "value": FLOAT}
WHALES: Schema = {
    "exchange": TEXT, "id": INT, "ts": TIME, "start_ts": TIME, "symbol": TEXT, "side": TEXT, "tier": TEXT,
    "price_decimals": INT, "price": FLOAT, "low": EXACT, "high": EXACT, "quantity": EXACT, "notional": EXACT,
    "pct_of_adv": FLOAT, "levels": INT, "trades": INT, "open": FLAG, "depth_10bps": EXACT, "depth_share": FLOAT,
}  # fmt: skip
FLOW: Schema = {
    "exchange": TEXT, "symbol": TEXT, "kind": TEXT, "window": TEXT, "imbalance": FLOAT, "buy_pct": FLOAT,
    "sell_pct": FLOAT, "net_per_min": FLOAT, "held_s": INT, "trend": TEXT, "imbalance_15m_1h_ago": FLOAT,
    "imbalance_15m_24h_ago": FLOAT, "since_ts": TIME, "last": EXACT, "last_ts": TIME, "why": TEXT,
}  # fmt: skip
CLUSTERS: Schema = {
    "price": EXACT, "long_count": INT, "short_count": INT, "long_notional": EXACT, "short_notional": EXACT,
    "notional": EXACT, "upper_notional": EXACT, "upper_why": TEXT, "last_ts": TIME, "depth_to_reach": EXACT,
    "depth_share": FLOAT, "level": TEXT, "because": pl.List(TEXT), "danger": FLAG,
}  # fmt: skip
CVD: Schema = {"ts": TIME, "exchange": TEXT, "symbol": TEXT, "price": FLOAT, "net": FLOAT, "cvd": FLOAT}
DIVERGENCES: Schema = {
    "of": TEXT, "name": TEXT, "window": TEXT, "window_s": INT, "price_change_bps": FLOAT, "net": FLOAT, "a": FLOAT,
    "b": FLOAT, "difference": FLOAT, "z": FLOAT, "windows": INT, "state": TEXT, "why": TEXT,
}  # fmt: skip
GAPS: Schema = {"from_ts": TIME, "to_ts": TIME, "first_id": INT, "last_id": INT, "cause": TEXT, "fate": TEXT}
HOURS: Schema = {"hour_ts": TIME, "present": INT, "missing": INT, "coverage": FLOAT, "estimated": FLAG}

_COUNTS = frozenset({"trades", "updates"})
_EXACT_STEMS = ("mid_price", "spread", "total_", "cumulative_", "d_bid_", "d_ask_", "ofi", "trade_flow")
_FLOAT_WORDS = ("imbalance", "_bps", "slope", "integrated")


def feature_schema(rows: Sequence[Mapping[str, Any]]) -> Schema:
    """Columns of /api/features: what is whole ticks, lots or money exactly; averages and ratios as floats."""
    schema: dict[str, Any] = {"ts": TIME}
    for name in rows[0] if rows else ():
        if name == "ofi_levels":
            schema |= {f"ofi_level_{m}": EXACT for m in range(1, len(rows[0][name]) + 1)}
        elif name not in ("ts", "undefined"):
            schema[name] = feature_type(name)
    return schema


def feature_type(name: str) -> Any:
    """Kind of a figure, by its name."""
    if name in _COUNTS:
        return INT
    ratio = any(word in name for word in _FLOAT_WORDS)
    return EXACT if name.startswith(_EXACT_STEMS) and not ratio else FLOAT


def feature_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a column for each level."""
    return [
        {name: value for name, value in row.items() if name != "ofi_levels"}
        | {f"ofi_level_{m}": value for m, value in enumerate(row["ofi_levels"], 1)}
        for row in rows
    ]


def frame(rows: Sequence[Mapping[str, Any]], schema: Schema) -> pl.DataFrame:
    """A frame of `rows` (objects of an answer) with the columns of `schema`; KeyError where one is not told."""
    columns = {name: _series(name, [row[name] for row in rows], kind) for name, kind in schema.items()}
    return pl.DataFrame(columns)


def stack(frames: Iterable[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    """Pages of one table under each other, exact columns with the decimals of the finest."""
    held = [one for one in frames if len(one)]
    if not held:
        return frame([], schema)
    scales = {
        name: max(page.schema[name].scale for page in held)  # type: ignore[attr-defined]
        for name, kind in held[0].schema.items()
        if isinstance(kind, pl.Decimal)
    }
    wide = [
        page.with_columns(pl.col(name).cast(pl.Decimal(PRECISION, s)) for name, s in scales.items()) for page in held
    ]
    return pl.concat(wide)


def list_of(cells: Iterable[Sequence[Mapping[str, Any]]], schema: Schema) -> pl.List:
    """The type of a column whose cells are tables of `schema`."""
    flat = frame([row for cell in cells for row in cell], schema)
    return pl.List(pl.Struct(flat.schema))


def _series(name: str, values: Sequence[Any], kind: Any) -> pl.Series:
    if kind is EXACT:
        return _exact(name, values)
    if kind is FLOAT:
        return pl.Series(name, [None if value is None else float(value) for value in values], FLOAT)
    if kind is TIME:
        return pl.Series(name, values, INT).cast(TIME)
    return pl.Series(name, values, kind)


def _exact(name: str, values: Sequence[Any]) -> pl.Series:
    """A whole number may come without a decimal point (a lot of 1)."""
    numbers = [value if value is None else Decimal(value) for value in values]
    scale = max((-_exponent(number) for number in numbers if number is not None), default=0)
    return pl.Series(name, numbers, pl.Decimal(PRECISION, max(0, scale)))


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - JSON has no infinities
    return exponent
