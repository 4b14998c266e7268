"""What the venue lets an address ask for in a minute, and what happens to who asks for more."""

from __future__ import annotations

from .rest import ApiError

OVERDRAWN_CALLS = 20
"""Calls over the limit that are refused with 429 before the address is banned."""
BAN_MS = 120_000
"""First ban; each further one is twice as long."""


class RequestBudget:
    """Request weight per address and minute of the clock, and the bans of who overdraws it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = 0
        self._used: dict[str, int] = {}
        self._overdrawn: dict[str, int] = {}
        self._banned_until: dict[str, int] = {}
        self._bans: dict[str, int] = {}

    def used(self, address: str, wall_ms: int) -> int:
        if wall_ms // 60_000 != self._minute:
            self._minute = wall_ms // 60_000
            self._used.clear()
            self._overdrawn.clear()
        return self._used.get(address, 0)

    def spend(self, address: str, cost: int, wall_ms: int) -> int:
        """Charge a call and return what the minute has cost so far; raises ApiError 429 or 418."""
        used = self.used(address, wall_ms) + cost
        self._used[address] = used
        if wall_ms < self._banned_until.get(address, 0):
            raise self._banned(address)
        if used <= self.limit:
            return used
        self._overdrawn[address] = self._overdrawn.get(address, 0) + 1
        if self._overdrawn[address] > OVERDRAWN_CALLS:
            raise self.ban(address, wall_ms)
        raise self.too_many(address)

    def is_banned(self, address: str, wall_ms: int) -> bool:
        return wall_ms < self._banned_until.get(address, 0)

    def ban(self, address: str, wall_ms: int) -> ApiError:
        """Ban an address; returns the refusal it now gets."""
        bans = self._bans.get(address, 0)
        self._bans[address] = bans + 1
        self._banned_until[address] = wall_ms + (BAN_MS << min(bans, 11))
        return self._banned(address)

    def _banned(self, address: str) -> ApiError:
        until = self._banned_until[address]
        what = f"Way too many requests; IP({address}) banned until {until}."
        return ApiError(-1003, f"{what} Please use the websocket for live updates to avoid bans.", 418)

    def too_many(self, address: str) -> ApiError:
        what = f"Too many requests; current limit of IP({address}) is {self.limit} requests per minute."
        return ApiError(-1003, f"{what} Please use the websocket for live updates to avoid polling the API.", 429)
