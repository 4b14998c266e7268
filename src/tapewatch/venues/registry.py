"""The venue products this version reads, by the name users call them (`exchange`, settings, stored data)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import binance_spot, binance_usdm, bybit_linear, okx_swap
from .product import Product

PRODUCTS: Mapping[str, Product] = MappingProxyType(
    {
        product.name: product
        for product in (binance_usdm.PRODUCT, binance_spot.PRODUCT, bybit_linear.PRODUCT, okx_swap.PRODUCT)
    }
)
"""In the order in which they are shown."""
