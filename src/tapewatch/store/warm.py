"""Make the kernels of storing and reading ready: the first question about the past waits for no compiler."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..model.instrument import Grid, Instrument, Universe
from ..model.tape import LEVEL, ROW, Flag, Kind, Tape
from .reader import Reader
from .writer import Store

MINUTE_MS = 60_000
AT_MS = 1_790_000_040_000


def warm_up() -> None:
    """Store trades of one minute twice, so that the second are added to the first, and ask for them."""
    tick = Grid.parse("1")
    universe = Universe("binance", [Instrument(0, "binance", "WUSDT", "W", "USDT", "perp", tick, tick)])
    with TemporaryDirectory() as folder:
        store = Store(Path(folder)).open()
        for part in (0, 1):
            store.write(universe, _trades(first_id=1 + 9 * part), name=f"warm{part}")
        store.close()
        reader = Reader(Path(folder))
        reader.footprint("binance", "WUSDT", MINUTE_MS, 1, AT_MS, AT_MS + MINUTE_MS)
        reader.deltas("binance", AT_MS, AT_MS + MINUTE_MS)
        reader.minutes("binance", AT_MS, AT_MS + MINUTE_MS)
        reader.close()


def _trades(first_id: int) -> Tape:
    rows = np.zeros(3, ROW)
    rows["kind"], rows["flags"] = Kind.TRADE, Flag.AGGREGATE
    rows["ts_ms"] = rows["event_ms"] = AT_MS + np.arange(3)
    rows["id"] = rows["first_id"] = rows["last_id"] = first_id + np.arange(3)
    rows["price"], rows["qty"] = 100 + np.arange(3), 1
    return Tape(rows, np.zeros(0, LEVEL))
