"""The dialects the feed speaks, by the name of the product."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import binance_spot, binance_usdm, bybit, okx
from .dialect import Dialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        dialect.product.name: dialect
        for dialect in (binance_usdm.DIALECT, binance_spot.DIALECT, bybit.DIALECT, okx.DIALECT)
    }
)
