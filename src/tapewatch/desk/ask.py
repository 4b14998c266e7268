"""What can be asked of bars: a kind, the series it is about, parameters.

Apart from the answers, because who asks need not load the libraries that those are computed with.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..research.choices import Center, Method

Kind = Literal[
    "bars", "stats", "ols", "spread", "zscore", "adf", "cointegration", "correlation", "pair", "ticks", "scan", "hawkes"
]
Prices = Literal["trades", "mids"]
"""What live and stored bars are of; an upload is what it is."""


class Ask(msgspec.Struct, frozen=True):
    """A question. `series` are names ``venue:symbol`` or ``upload:venue:symbol``; of a pair x comes first, then y.

    `count` bars of `tf_ms`, the newest that end by `end_ms` (0: the newest there are). `log`: of logarithms of prices.
    `window` is that of z-scores in bars, `returns` that of the rolling correlation.
    """

    kind: Kind
    series: tuple[str, ...]
    tf_ms: int
    count: int
    end_ms: int
    window: int = 20
    returns: int = 60
    method: Method = "ols"
    center: Center = "mean"
    log: bool = True
    keep: int = 50
    prices: Prices = "trades"
