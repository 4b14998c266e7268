"""How many requests an address may make in a window of the clock."""

from __future__ import annotations


class WindowedLimit:
    """Counts by address (and whatever else a key names) in fixed windows; remembers who is banned."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self.limit = limit
        self._window_ms = window_ms
        self._window = -1
        self._used: dict[str, int] = {}
        self._banned_until: dict[str, int] = {}

    def spend(self, key: str, wall_ms: int, limit: int | None = None) -> bool:
        """Count a request; False when it is one too many, or its maker is banned."""
        if wall_ms // self._window_ms != self._window:
            self._window = wall_ms // self._window_ms
            self._used.clear()
        self._used[key] = self._used.get(key, 0) + 1
        return self._used[key] <= (self.limit if limit is None else limit) and wall_ms >= self._banned_until.get(key, 0)

    def ban(self, key: str, until_ms: int) -> None:
        self._banned_until[key] = until_ms
