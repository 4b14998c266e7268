"""Features to learn from: what was known at the end of each second, and apart from it what came afterwards.

A row is one second of the venue's time. Its features are made from events up to and including `ts_ms` alone; what
looks ahead is called `target_…` and nothing else does, so that it cannot be mistaken for an input. Nothing is filled
in, scaled or shifted: a figure that was not defined is empty, a second without data is no row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from ..model.features import REALISED_MS, SLOPE_BPS, TOP
from .files import Table

HORIZONS_S = (1, 5, 10, 30, 60)
TARGET = "target_"
SECOND_MS = 1_000

MEANINGS = {
    "symbol": "instrument",
    "ts_ms": "end of the second, venue's event time, ms since the epoch; the row is known at this time",
    "mid_price": "middle of the best bid and ask",
    "spread": "best ask minus best bid",
    "microprice": "mid weighted by the sizes on the other side",
    "stoikov_microprice": "Stoikov's (2018) microprice, fitted each minute on what had been before",
    "depth_weighted_price": f"VAMP of the best {TOP} levels",
    "imbalance": "(bid - ask) / (bid + ask) of resting volume, of so many levels or within so many bps of the mid",
    "total": f"resting volume of the best {TOP} levels of a side",
    "cumulative": "resting volume of a side within so many bps of the mid; _quote: in quote currency",
    "slope": "Næs and Skjeltorp's (2006) book slope of a side, or the mean of both",
    "depth_per_bp": f"quote volume a basis point within {SLOPE_BPS} bps, a line through the origin",
    "d_bid_volume": f"change of the best {TOP} bid levels' volume in the second",
    "d_ask_volume": f"change of the best {TOP} ask levels' volume in the second",
    "ofi": f"d_bid_volume - d_ask_volume, of the best {TOP} levels",
    "ofi_ckS": "order flow imbalance of best quotes: Cont, Kukanov and Stoikov (2014)",
    "ofi_level": "the same of one level of the book",
    "trade_flow": "bought minus sold by aggressors in the second",
    "trade_flow_imbalance": "(bought - sold) / (bought + sold) in the second; 0 where nothing traded",
    "effective_spread_bps": "twice the signed distance of prints from the mid before them, by volume",
    "realised_spread_bps": f"the same against the mid {REALISED_MS} ms after the print, told when that has passed",
    "trades": "prints in the second",
    "updates": "updates of the book in the second",
    TARGET: "LOOKS AHEAD, never an input: log return of the mid from ts_ms to so many seconds later, bps; empty where "
    "either mid is not known",
}
"""By name, or by the beginning of several names."""


def meaning_of(name: str) -> str:
    """What a column is; KeyError where nobody has said."""
    beginnings = [key for key in MEANINGS if name == key or name.startswith(f"{key.rstrip('_')}_")]
    return MEANINGS[max(beginnings, key=len, default=name)]


def dataset(features: Table) -> Table:
    """The same features with targets behind them; `about` says of every column what it is."""
    names = [f"{TARGET}{horizon}s_bps" for horizon in HORIZONS_S]
    schema = pa.schema([*features.schema, *(pa.field(name, pa.float64()) for name in names)])
    about = features.about | {"what": "dataset", "columns": {name: meaning_of(name) for name in schema.names}}

    def batches() -> Iterator[pa.Table]:
        # Targets reach into later batches; a whole export is at most a day of seconds.
        table = pa.concat_tables([features.schema.empty_table(), *features])
        for horizon, name in zip(HORIZONS_S, names, strict=True):
            table = table.append_column(name, _returns(table, horizon))
        yield table

    return Table(about, schema, batches())


def _returns(table: pa.Table, horizon_s: int) -> pa.Array:
    at = table["ts_ms"].to_numpy()
    mid = table["mid_price"].to_numpy(zero_copy_only=False).astype(np.float64)
    later = np.searchsorted(at, at + horizon_s * SECOND_MS)
    inside = later < len(at)
    found = np.minimum(later, max(0, len(at) - 1))
    there = inside & (at[found] == at + horizon_s * SECOND_MS) if len(at) else inside
    out = np.full(len(at), np.nan)
    out[there] = 1e4 * np.log(mid[found[there]] / mid[there])
    return pa.array(out, pa.float64(), from_pandas=True)
