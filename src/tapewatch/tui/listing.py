"""Which of a venue's instruments are of a coin: people say BTC, venues say BTCUSDT and BTC-USDT-SWAP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.coins import split_multiplier

SPOT = "spot"
TRADING = "TRADING"


@dataclass(frozen=True, slots=True)
class Listed:
    """One instrument as far as the dashboard needs it."""

    exchange: str
    symbol: str
    coin: str
    quote: str
    kind: str
    trading: bool


class Listing:
    """The instruments of the venues that have told theirs."""

    def __init__(self) -> None:
        self._venues: dict[str, dict[str, Listed]] = {}
        self._order: tuple[str, ...] = ()
        self._mains: dict[tuple[str, str], Listed | None] = {}
        self._homes: dict[str, Listed | None] = {}

    def arrange(self, order: tuple[str, ...]) -> None:
        """Say in which order the server names its venues."""
        if order != self._order:
            self._order = order
            self._homes.clear()

    def learn(self, exchange: str, symbols: list[dict[str, Any]]) -> None:
        """Take a venue's answer of GET /api/symbols."""
        self._venues[exchange] = {
            row["symbol"]: Listed(
                exchange, row["symbol"], coin_of(row["base"], row["kind"]), row["quote"], row["kind"],
                row["status"] == TRADING,
            )
            for row in symbols
        }  # fmt: skip
        self._mains.clear()
        self._homes.clear()

    def knows(self, exchange: str) -> bool:
        return exchange in self._venues

    def find(self, exchange: str, symbol: str) -> Listed | None:
        return self._venues.get(exchange, {}).get(symbol)

    def main(self, exchange: str, coin: str) -> Listed | None:
        """A venue's market of a coin (or the symbol itself): the perpetual against USDT where there is one."""
        key = exchange, coin
        if key not in self._mains:
            self._mains[key] = _main(self._venues.get(exchange, {}), coin)
        return self._mains[key]

    def home(self, coin: str) -> Listed | None:
        """The first venue's market of a coin, a derivative where there is one."""
        if coin not in self._homes:
            mains = (self.main(name, coin) for name in self._order)
            self._homes[coin] = min((one for one in mains if one), key=lambda one: one.kind == SPOT, default=None)
        return self._homes[coin]

    def has_derivatives(self, exchange: str) -> bool:
        return any(one.kind != SPOT for one in self._venues.get(exchange, {}).values())

    def is_of(self, coin: str, exchange: str, symbol: str) -> bool:
        """Whether an instrument is of a coin, or of what the named symbol is about."""
        one = self.find(exchange, symbol)
        home = self.home(coin)
        return one is not None and home is not None and one.coin == home.coin


def _main(listed: Mapping[str, Listed], coin: str) -> Listed | None:
    if coin in listed:
        return listed[coin]
    ranks = {"perp": 0, "tradfi-perp": 1, SPOT: 2}
    return min(
        (one for one in listed.values() if one.coin in (coin, f"{coin} (TradFi)")),
        key=lambda one: (not one.trading, ranks.get(one.kind, 3), one.quote != "USDT", one.symbol),
        default=None,
    )


def coin_of(base: str, kind: str) -> str:
    """The coin behind a base asset's name; a share is never the coin that goes by its ticker."""
    return f"{base} (TradFi)" if kind == "tradfi-perp" else split_multiplier(base)[0]
