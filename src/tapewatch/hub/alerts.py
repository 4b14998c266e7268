"""The topic of alerts: rules with where they stand, the newest alerts, sinks; rows as the API tells them."""

from __future__ import annotations

from typing import Any, Protocol

from .columns import Clock, ColumnTopic, Content

Row = dict[str, Any]


class AlertsState(Protocol):
    """What is shown."""

    @property
    def seq(self) -> int: ...
    @property
    def storage(self) -> Row: ...
    def rules(self) -> list[Row]: ...
    def newest(self, limit: int) -> list[Row]: ...
    def unacknowledged(self) -> int: ...
    @property
    def sinks_refused(self) -> str: ...
    def sinks(self) -> list[Row]: ...


class AlertsTopic(ColumnTopic):
    """No columns. A delta holds, whole, the rules and alerts that are new or differ; `head` goes with every frame."""

    topic = "alerts"
    period_s = 0.25
    SLOW = 4
    """Looks between two at what changes with the market: values, counts, sinks."""

    def __init__(self, key: str, state: AlertsState, limit: int, clock: Clock) -> None:
        super().__init__(key, clock)
        self._state = state
        self._limit = limit
        self._rules: dict[int, Row] = {}
        self._episodes: dict[str, Row] = {}
        self._head: Row = {}
        self._shown = -1
        self._looks = 0
        self._gone = False

    def collect(self) -> Content | None:
        state = self._state
        self._looks += 1
        if state.seq == self._shown and self._looks % self.SLOW:
            return None
        rules = {row["id"]: row for row in state.rules()}
        episodes = self._episodes if state.seq == self._shown else {r["key"]: r for r in state.newest(self._limit)}
        head = {
            "limit": self._limit,
            "storage": state.storage,
            "unacknowledged": state.unacknowledged(),
            "sinks": state.sinks(),
            "sinks_refused": state.sinks_refused,
        }
        changed = {
            "rules": [row for key, row in rules.items() if self._rules.get(key) != row],
            "episodes": [row for key, row in episodes.items() if self._episodes.get(key) != row],
        }
        same = not any(changed.values()) and head == self._head
        self._gone = bool(self._rules.keys() - rules.keys())
        self._rules, self._episodes, self._head, self._shown = rules, episodes, head, state.seq
        if same and not self._gone and self._seq:
            return None
        return Content([], head | changed)

    def changed_shape(self) -> bool:
        return self._gone

    def whole(self) -> Content:
        rows = {"rules": list(self._rules.values()), "episodes": list(self._episodes.values())}
        return Content([], self._head | rows)
