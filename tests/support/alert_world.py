"""Two venues and the alerts that watch them, in virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from deriv_world import Two
from tapes import T0
from tapewatch.alerts.alerts import Alerts, Watch
from tapewatch.alerts.episode import Episode, Notice
from tapewatch.alerts.readings import Health, Readings
from tapewatch.alerts.rule import rule_of


@dataclass
class AlertWorld(Two):
    """Hear something, `look`, and see what fired."""

    health: dict[str, Health] = field(default_factory=dict)
    wall_ms: int = 0
    """The venues' clocks as we keep them; 0: their newest event."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.readings = Readings(
            self.venues,
            self.derivs,
            lambda name: self.health.get(name, Health()),
            lambda name: self.wall_ms or self.engine(name).clock_ms,
        )
        self.alerts = Alerts(self.readings)
        self.notices: list[Notice] = []
        self.episodes: dict[str, Episode] = {}

    def rule(self, rule_id: int = 1, revision: int = 1, **fields: Any) -> Watch:
        """Watch a rule; what is not said is a price above 100."""
        content = {"name": "test", "metric": "price", "threshold": 100.0} | fields
        return self.alerts.put(rule_id, revision, rule_of(content), T0)

    def look(self) -> list[str]:
        """Look once; what began and ended, such as ``fired BTCUSDT`` or ``cleared BTCUSDT``, in order."""
        for _ in self.alerts.look(T0):
            pass
        changed, notices = self.alerts.take()
        self.notices += notices
        said = []
        for one in changed:
            before = self.episodes.get(one.key)
            if before is None:
                said.append(f"fired {one.symbol}")
            if one.ended_ms is not None and (before is None or before.ended_ms is None):
                said.append(f"{one.ended_by} {one.symbol}")
            self.episodes[one.key] = copy(one)
        return said

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Go on with what another world has left."""
        self.episodes = {one.key: copy(one) for one in episodes}
        self.alerts.restore(map(copy, self.episodes.values()))

    def price(self, at_ms: int, price: float, i: int = 0, venue: str = "binance") -> list[str]:
        """A print, and a look."""
        self.trades([(at_ms, round(price * 10), 1)], i, venue)
        return self.look()
