"""What a contender ends with, as integers, so that unequal work cannot look fast. Standard library only."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from .workload import Symbol

Level = tuple[int, int]
"""Price in points of 10**-price_decimals, quantity in lots of 10**-lot_decimals."""


@dataclass(slots=True)
class State:
    """The end state; None is what a contender does not keep."""

    books: dict[str, tuple[list[Level], list[Level]]] | None = None
    """Bids and asks of every book, in any order; zero quantities are left out."""
    trades: dict[str, tuple[int, int, int, int]] | None = None
    """Count, last id, lots bought, lots sold by aggressors."""
    cells: dict[tuple[str, int, int], tuple[int, int]] | None = None
    """Tick-level footprint: (symbol, minute, price) to lots sold into bids, lots bought from asks."""

    def digests(self) -> dict[str, str]:
        """One short digest for each part that is kept."""
        out = {}
        if self.books is not None:
            out["books"] = _digest(
                (name, price, lots)
                for name, (bids, asks) in self.books.items()
                for price, lots in (*bids, *((price, -lots) for price, lots in asks))
                if lots
            )
        if self.trades is not None:
            out["trades"] = _digest((name, *sums) for name, sums in self.trades.items() if sums[0])
        if self.cells is not None:
            out["cells"] = _digest((*key, *sums) for key, sums in self.cells.items())
        return out


def _digest(rows: Iterable[tuple[str | int, ...]]) -> str:
    """Digest and number of the rows, whatever order they come in."""
    digest = hashlib.blake2b(digest_size=8)
    n = 0
    for name, *numbers in sorted(rows):
        digest.update(f"{name}\0".encode() + struct.pack(f"<{len(numbers)}q", *numbers))
        n += 1
    return f"{digest.hexdigest()}:{n}"


class Scale:
    """From the decimals a contender holds (float, Decimal) to points and lots, and from its text."""

    def __init__(self, symbol: Symbol) -> None:
        self._price: int = 10**symbol.price_decimals
        self._lot: int = 10**symbol.lot_decimals

    def price(self, value: object) -> int:
        return round(float(str(value)) * self._price)

    def lots(self, value: object) -> int:
        return round(float(str(value)) * self._lot)

    def side(self, levels: Iterable[tuple[object, object]]) -> list[Level]:
        return [(self.price(price), self.lots(qty)) for price, qty in levels]
