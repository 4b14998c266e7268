"""Footprint candles as JSON text, in the one shape that /ws/orderflow and /api/footprint share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model.views import Footprint
from .celltext import level_texts
from .numbers import grid_printer, quote_printer


def candle_texts(shown: Footprint, which: Sequence[int] | NDArray[np.intp], *, full: bool = False) -> list[str]:
    """JSON of the candles at positions `which`; `full` adds open, high, low, close, POC and value area.

    ``{"open_ts":1735689060000,"bid":12.5,"ask":45.3,"delta":32.8,"cvd":32.8,
    "levels":[{"p":42500.5,"bid":2.1,"ask":8.3,"n":15}]}``; levels from the highest price down.
    """
    price, lots = grid_printer(shown.instrument.tick), grid_printer(shown.instrument.lot)
    money = quote_printer(shown.instrument)
    texts = []
    which = np.asarray(which, np.intp)
    for c, levels in zip(shown.candles[which], level_texts(shown, which), strict=True):
        bid, ask = int(c["bid"]), int(c["ask"])
        extra = ""
        if full:
            traded = bool(c["n"])
            prices = ("open", "high", "low", "close")
            extra = "".join(f'"{name}":{price(int(c[name])) if traded else "null"},' for name in prices)
            area = ("poc", "vah", "val")
            extra += "".join(f'"{name}":{price(int(c[name])) if c[name] >= 0 else "null"},' for name in area)
            extra += f'"n":{c["n"]},"quote_volume":{money(int(c["quote"]))},"gaps":{c["gap"]},"klines":{c["klines"]},'
        texts.append(
            f'{{"open_ts":{c["open_ms"]},{extra}"bid":{lots(bid)},"ask":{lots(ask)},"delta":{lots(ask - bid)},'
            f'"cvd":{lots(int(c["cvd"]))},"levels":[{levels}]}}'
        )
    return texts


def candles_text(shown: Footprint) -> str:
    """All candles with all there is to them, commas between."""
    return ",".join(candle_texts(shown, range(len(shown.candles)), full=True))


def bar_texts(shown: Footprint) -> list[str]:
    """JSON of all candles without levels; open, high, low and close are null where nothing traded."""
    price, lots = grid_printer(shown.instrument.tick), grid_printer(shown.instrument.lot)
    money = quote_printer(shown.instrument)
    texts = []
    for c in shown.candles:
        traded, bid, ask = bool(c["n"]), int(c["bid"]), int(c["ask"])
        names = ("open", "high", "low", "close")
        prices = ",".join(f'"{name}":{price(int(c[name])) if traded else "null"}' for name in names)
        texts.append(
            f'{{"open_ts":{c["open_ms"]},{prices},"bid":{lots(bid)},"ask":{lots(ask)},"delta":{lots(ask - bid)},'
            f'"cvd":{lots(int(c["cvd"]))},"n":{c["n"]},"quote_volume":{money(int(c["quote"]))},"gaps":{c["gap"]},'
            f'"klines":{c["klines"]}}}'
        )
    return texts
