"""The request weight of one venue as pure arithmetic over a passed clock.

The venue counts weight per IP in fixed minutes of its own clock and tells its count with every answer; that header is
the arbiter, ours is only the estimate between two answers. A request is ours from the moment it is granted until it is
answered, and the venue may count it anywhere in between: what is still on its way therefore weighs on every minute it
touches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

WINDOW_MS = 60_000
"""Binance counts by the minute; other venues by seconds."""
BAN_WITHOUT_TERM_MS = 120_000
"""A 418 that names no end: the shortest ban the venue is known to give."""
LONGEST_HOLD_MS = 3 * 24 * 3_600_000
"""The longest ban the venue is known to give; anything beyond is a misread number."""

_BANNED_UNTIL = re.compile(rb"banned until (\d{12,14})")


class Priority(IntEnum):
    """Who goes first; each may use the minute up to its own share, so that the more urgent still finds room."""

    GAP_FILL = 0
    """Trades that a gap hid, of a symbol somebody looks at."""
    CONTROL = 1
    """Clock, instruments, tickers: nothing runs without them."""
    VISIBLE_BOOK = 2
    """Snapshot of a book somebody looks at."""
    ADV = 3
    """Daily klines: finite, and the screener waits for them."""
    BOOK = 4
    """Snapshot of any other book."""
    BACKFILL = 5
    """Trades that a gap hid, of symbols nobody looks at: they stay available for two days."""
    BACKGROUND = 6
    """Polling: open interest and the like."""
    KLINES = 7
    """Today's one-minute klines of symbols nobody looks at: of those in sight they go with the daily ones."""
    VISIBLE_HISTORY = 8
    """Today's trades before we came, of a symbol somebody looks at."""
    HISTORY = 9
    """The same of others."""


SHARE = {
    Priority.GAP_FILL: 1.0,
    Priority.CONTROL: 1.0,
    Priority.VISIBLE_BOOK: 0.9,
    Priority.ADV: 0.8,
    Priority.BOOK: 0.8,
    Priority.BACKFILL: 0.7,
    Priority.BACKGROUND: 0.6,
    Priority.KLINES: 0.5,
    Priority.VISIBLE_HISTORY: 0.5,
    Priority.HISTORY: 0.25,
}
"""Part of the minute's limit that may be used when a request of this priority is granted."""


@dataclass(slots=True)
class Grant:
    """Leave to send one request."""

    weight: int
    window: int
    granted_ms: int


class WeightBudget:
    """Grants weight within the venue's limit. `now_ms` is always the venue's clock as well as we know it."""

    def __init__(self, limit: int, window_ms: int = WINDOW_MS) -> None:
        self.limit = limit
        self.window_ms = window_ms
        self.held_until_ms = 0
        """Nothing may be sent before: the venue refused us."""
        self.refusals = 0
        self._window = -1
        self._counted = 0
        """The venue's highest count of this window."""
        self._counted_at_ms = 0
        self._untold = 0
        """Weight of requests that ended without telling a count of this window: it may or may not be in `_counted`."""
        self._untold_at_ms = 0
        self._turned_at_ms = 0
        """When the venue's count was last seen to fall before our minute ended."""
        self._in_flight = 0

    def used(self, now_ms: int) -> int:
        """Weight of the current minute, including requests under way."""
        self._roll(now_ms)
        return self._counted + self._untold + self._in_flight

    def room(self, priority: Priority, now_ms: int) -> int:
        """Weight that `priority` could still be granted in the current minute."""
        if now_ms < self.held_until_ms:
            return 0
        return max(0, int(self.limit * SHARE[priority]) - self.used(now_ms))

    def take(self, weight: int, priority: Priority, now_ms: int) -> Grant | None:
        """Grant `weight` now, or nothing: then ask again at `next_chance_ms` or when an answer comes."""
        if weight > self.room(priority, now_ms):
            return None
        self._in_flight += weight
        return Grant(weight, self._window, now_ms)

    def next_chance_ms(self, now_ms: int) -> int:
        """When a request that was not granted may be, if no answer changes the count before."""
        if now_ms < self.held_until_ms:
            return self.held_until_ms
        return (now_ms // self.window_ms + 1) * self.window_ms

    def answered(self, grant: Grant, now_ms: int, used: int | None) -> None:
        """The request has been answered; `used` is the venue's count from the header, if it came."""
        self._roll(now_ms)
        self._in_flight -= grant.weight
        if grant.window != self._window or used is None:
            self._untold += grant.weight
            self._untold_at_ms = now_ms
            return
        if grant.granted_ms > self._untold_at_ms:
            self._untold = 0  # whatever was counted of them, this answer includes it
        if used >= self._counted:
            self._counted, self._counted_at_ms = used, now_ms
        elif grant.granted_ms > self._counted_at_ms:
            # Asked after the higher count was told, answered with a lower one: the venue's minute turned, not ours.
            self._counted, self._counted_at_ms = used, now_ms
            self._turned_at_ms = now_ms

    def unused(self, grant: Grant) -> None:
        """The request was never sent."""
        self._in_flight -= grant.weight

    def refused(
        self, status: int, retry_after: str | None, body: bytes, now_ms: int, penalty_ms: int | None = None
    ) -> int:
        """Take a refusal for asking too much to heart; returns until when nothing is sent.

        `Retry-After` counts first, then the time named in the body, then the venue's usual `penalty_ms`, then the next
        window.
        """
        self.refusals += 1
        banned = _BANNED_UNTIL.search(body)
        if retry_after is not None and retry_after.strip().isdecimal():
            until = now_ms + int(retry_after) * 1000
        elif banned is not None:
            until = int(banned[1])
        elif penalty_ms is not None:
            until = now_ms + penalty_ms
        elif status == 418:
            until = now_ms + BAN_WITHOUT_TERM_MS
        else:
            until = self.next_chance_ms(now_ms)
        self.held_until_ms = max(self.held_until_ms, min(until, now_ms + LONGEST_HOLD_MS))
        return self.held_until_ms

    def _roll(self, now_ms: int) -> None:
        """Begin a new minute. A clock that steps back begins none: the count stays until it has caught up."""
        window = now_ms // self.window_ms
        if window == self._window or window == self._window - 1:
            return
        venue_is_ahead = 0 < now_ms - self._turned_at_ms < self.window_ms // 2
        if window > self._window and not venue_is_ahead:
            self._counted, self._counted_at_ms, self._untold = 0, now_ms, 0
        self._window = window
