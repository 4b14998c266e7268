"""Archive files of a small invented market."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

T0 = 1_780_000_000_000
HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"


@dataclass(frozen=True)
class Print:
    """One archived trade; price in tenths, quantity in thousandths."""

    id: int
    price: int
    qty: int
    ts_ms: int
    sell: bool

    def aggregate(self, *, spot: bool = False) -> str:
        time = self.ts_ms * 1000 + 7 if spot else self.ts_ms
        flags = f"{self.sell},True" if spot else str(self.sell).lower()
        return f"{self.id},{self.p},{self.q},{2 * self.id},{2 * self.id + 1},{time},{flags}\n"

    def raw(self, *, spot: bool = False) -> str:
        flags = f"{self.sell},True" if spot else str(self.sell).lower()
        return f"{self.id},{self.p},{self.q},{self.p * self.q},{self.ts_ms},{flags}\n"

    @property
    def p(self) -> Decimal:
        return Decimal(self.price) / 10

    @property
    def q(self) -> Decimal:
        return Decimal(self.qty) / 1000


def market(n: int, seed: int = 1, *, first_id: int = 1000, t0: int = T0) -> list[Print]:
    """A random walk over some hours, with jumps further than the window of ticks and one quiet stretch."""
    rng = np.random.default_rng(seed)
    times = t0 + np.cumsum(rng.exponential(400, n)).astype(np.int64)
    times[n // 2 :] += 600_000
    prices = 600_000 + np.cumsum(rng.integers(-3, 4, n)) + 50_000 * (rng.random(n) < 0.001)
    lots, sells = rng.integers(1, 9_000, n), rng.random(n) < 0.5
    return [Print(first_id + k, int(prices[k]), int(lots[k]), int(times[k]), bool(sells[k])) for k in range(n)]


def write(
    folder: Path, lines: Iterable[str], name: str = "BTCUSDT-aggTrades-2026-06-01", *, header: str = HEADER
) -> Path:
    path = folder / f"{name}.csv"
    path.write_text(header + "".join(lines), encoding="utf-8")
    return path


def zipped(path: Path) -> Path:
    target = path.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        out.write(path, path.name)
    return target
