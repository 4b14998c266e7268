"""The synchronisation rules of a diff-depth book, numbered as the venue numbers them (reference: 1.7, vectors 9.5).

Binance USD-M:

1. Subscribe to the diffs and keep them.
2. Fetch a snapshot.
3. Drop kept diffs with ``u < lastUpdateId``.
4. The first diff applied has ``U <= lastUpdateId <= u``. If the oldest kept diff has ``U > lastUpdateId`` the
   snapshot is too old: fetch again and go on keeping. If no diff has come yet, wait.
5. Every further diff has ``pu`` equal to the previous ``u``; otherwise the book is stale: back to 2.
6. Quantities are absolute; zero deletes; deleting an unknown level is normal.

Rule 5 runs in `engine.py`'s kernel on every diff for ever; the rest, which is rare, is here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..model.views import BookState
from . import ladder
from .ladder import LIVE, LOADED, OFF, STALE, WAITING, Ladders

MAX_PENDING_DIFFS = 3000
"""Diffs kept while a snapshot is awaited, per book: five minutes at 100 ms. Beyond it the oldest goes, counted."""

STATE_WORDS = {
    OFF: BookState.OFF,
    WAITING: BookState.WAITING,
    LOADED: BookState.WAITING,
    LIVE: BookState.LIVE,
    STALE: BookState.STALE,
}


@dataclass(slots=True)
class Diff:
    """A depth row with its own copy of its levels."""

    row: NDArray[np.void]
    levels: NDArray[np.void]


@dataclass(slots=True)
class Pending:
    """Diffs kept for one book until its snapshot comes."""

    diffs: deque[Diff] = field(default_factory=deque)
    overflowed: int = 0

    def keep(self, diff: Diff) -> None:
        if len(self.diffs) == MAX_PENDING_DIFFS:
            self.diffs.popleft()
            self.overflowed += 1
        self.diffs.append(diff)


class BookSync:
    """Brings books from a snapshot and kept diffs to LIVE. Returns the reason when another snapshot is needed."""

    def __init__(self, ladders: Ladders) -> None:
        self.ladders = ladders
        self._pending: dict[int, Pending] = {}

    def follow(self, i: int) -> None:
        """Rule 1: start keeping diffs of instrument `i`."""
        self.ladders.books[i]["state"] = WAITING
        self._pending[i] = Pending()

    def unfollow(self, i: int) -> None:
        self.ladders.books[i]["state"] = OFF
        ladder.clear(self.ladders, i)
        self._pending.pop(i, None)

    def lost(self, i: int) -> None:
        """The chain of a followed book is broken (gap, disconnect): keep diffs again from here on."""
        book = self.ladders.books[i]
        if book["state"] != OFF:
            book["state"] = STALE
            book["resyncs"] += 1
            self._pending[i] = Pending()

    def on_diff(self, i: int, diff: Diff) -> str | None:
        """A diff of a book that is not LIVE."""
        book = self.ladders.books[i]
        if book["state"] == LOADED:
            return self._first_diff(i, diff)
        if book["state"] in (WAITING, STALE):
            self._pending[i].keep(diff)
        return None

    def on_snapshot(self, i: int, snapshot: Diff) -> str | None:
        """Rules 3 and 4 with the diffs kept so far."""
        book = self.ladders.books[i]
        if book["state"] not in (WAITING, STALE):
            return None  # an answer nobody waits for any more
        last_update_id = int(snapshot.row["last_id"])
        pending = self._pending[i].diffs
        while pending and pending[0].row["last_id"] < last_update_id:
            pending.popleft()
            book["dropped"] += 1
        if pending and pending[0].row["first_id"] > last_update_id:
            return "snapshot_too_old"
        self._load(i, snapshot)
        while pending:
            reason = (
                self.on_diff(i, pending.popleft()) if book["state"] == LOADED else self._next_diff(i, pending.popleft())
            )
            if reason is not None:
                self.lost_with(i, pending)
                return reason
        return None

    def lost_with(self, i: int, rest: deque[Diff]) -> None:
        """As `lost`, keeping the diffs that came after the break."""
        self.lost(i)
        self._pending[i].diffs.extend(rest)

    def _load(self, i: int, snapshot: Diff) -> None:
        row = snapshot.row
        ladder.clear(self.ladders, i)
        self.reserve(len(snapshot.levels))
        book = self.ladders.books[i]
        bids = int(row["bids"])
        ladder.set_levels(self.ladders, i, snapshot.levels, 0, bids, 1)
        ladder.set_levels(self.ladders, i, snapshot.levels, bids, bids + int(row["asks"]), -1)
        book["state"] = LOADED
        book["last_id"] = book["snapshot_id"] = row["last_id"]
        book["event_ms"] = row["event_ms"]

    def _first_diff(self, i: int, diff: Diff) -> str | None:
        """Rule 4 for the first diff after a loaded snapshot."""
        book = self.ladders.books[i]
        if diff.row["last_id"] < book["snapshot_id"]:
            book["dropped"] += 1
            return None
        if diff.row["first_id"] > book["snapshot_id"]:
            book["state"] = WAITING
            self._pending[i] = Pending()
            self._pending[i].keep(diff)
            return "snapshot_too_old"
        book["state"] = LIVE
        return self._apply(i, diff)

    def _next_diff(self, i: int, diff: Diff) -> str | None:
        """Rule 5 among kept diffs."""
        book = self.ladders.books[i]
        if diff.row["last_id"] <= book["last_id"]:
            book["dropped"] += 1
            return None
        if diff.row["prev_id"] != book["last_id"]:
            book["gaps"] += 1
            return "gap"
        return self._apply(i, diff)

    def _apply(self, i: int, diff: Diff) -> str | None:
        self.reserve(len(diff.levels))
        book = self.ladders.books[i]
        bids = int(diff.row["bids"])
        ladder.set_levels(self.ladders, i, diff.levels, 0, bids, 1)
        ladder.set_levels(self.ladders, i, diff.levels, bids, bids + int(diff.row["asks"]), -1)
        book["last_id"] = diff.row["last_id"]
        book["event_ms"] = diff.row["event_ms"]
        book["applied"] += 1
        crossed = book["bids"] and book["asks"] and book["best_bid"] >= book["best_ask"]
        return "crossed" if crossed else None

    def reserve(self, pages: int) -> None:
        """Make sure that `pages` more pages can be taken."""
        if self.ladders.meta[0] < pages:
            self.ladders = ladder.grow(self.ladders, pages)

    def pending(self, i: int) -> int:
        """Diffs kept for instrument `i`."""
        return len(self._pending[i].diffs) if i in self._pending else 0
