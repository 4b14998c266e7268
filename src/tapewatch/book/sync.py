"""The synchronisation rules of a diff-depth book. What differs from venue to venue is data: `model.rules.BookRule`.

A book begins with a snapshot that REST is asked for (reference: 1.7 and 2.3, vectors 9.5):

1. Subscribe to the diffs and keep them.
2. Fetch a snapshot.
3. Drop kept diffs that end before its ``lastUpdateId``.
4. The first diff applied has ``U <= lastUpdateId <= u``. If the oldest kept diff has ``U > lastUpdateId`` the
   snapshot is too old: fetch again and go on keeping. If no diff has come yet, wait. (Of a symbol that was quiet
   around the snapshot the next diff has ``U`` above lastUpdateId although nothing lies between: its ``prev_id`` is not
   above it, which proves as much.)
5. Every further diff has ``prev_id`` equal to the previous ``u``; otherwise the book is stale: back to 2. One that came
   before (``u`` not above ours, ``T`` not later than ours) is dropped. With a later T it is no repetition: an absurd
   ``u`` got into our chain, and the book would look live and never change again.
6. Quantities are absolute; zero deletes; deleting an unknown level is normal.

or with one that comes in the stream of the diffs:

1. A snapshot is the book, whatever was before; only one that is older than ours, as a second connection brings it, is
   dropped. The book is LIVE with it.
2. Rules 5 and 6 hold for what follows, whichever way ids go: a venue that begins to count anew says so with a diff
   whose ``u`` is below its ``prev_id``, one that has nothing to tell with ``u`` equal to it.
3. A stale book waits for the next snapshot, and what comes before that is of no use. Who hears of it subscribes anew.

What each venue puts into ``prev_id``:

| venue | a diff carries | prev_id |
| --- | --- | --- |
| Binance USD-M | U, u, pu; ids are global | pu |
| Binance spot | U, u; the next U is u + 1, or less (`overlap`) | U - 1 |
| Bybit | u, one more each time; a snapshot with u = 1 after a restart | u - 1 |
| OKX | prevSeqId, seqId | prevSeqId |

A REST snapshot ends somewhere: beyond its worst levels a book knows only what has changed since. Before the market gets
there the book is refreshed: diffs are applied and kept, and when the next snapshot comes the book is rebuilt from it
and the kept diffs in one go, without ceasing to be LIVE. Where the market was faster, the book is stale. A stream that
tells only a window of best levels deletes what leaves it and tells anew what enters: such a book has no such edge.

Rule 5 runs in `engine.py`'s kernel on every diff for ever; the rest, which is rare, is here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.rules import BookRule
from ..model.views import BookState
from . import ladder
from .ladder import EARLY, LIVE, LOADED, NO_EDGE, OFF, REFRESHING, STALE, WAITING, Ladders

MAX_PENDING_DIFFS = 600
"""Diffs kept while a snapshot is awaited, per book: a minute at 100 ms. Beyond it the oldest goes, counted. Only those
behind the snapshot matter, and it is taken when its turn comes, not when it was asked for: five minutes of diffs of
every book that waits at start would be gigabytes."""

SNAPSHOT_WITHIN_DIFFS = 100
"""A subscription brings its snapshot before any diff. After so many without, some ten seconds, it got lost."""

REFRESH_FRACTION = 3
"""A book is refreshed when a best price has left less than a third of what the snapshot knew beyond it."""

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


class BookSync:
    """Brings books from a snapshot and kept diffs to LIVE. Returns the reason when another snapshot is needed."""

    def __init__(self, ladders: Ladders, rule: BookRule | None = None) -> None:
        self.ladders = ladders
        self.rule = rule or BookRule("rest")
        self._unused: dict[int, int] = {}
        """Diffs that came for a book whose snapshot is to come in the stream, since it was last asked for."""
        self._pending: dict[int, deque[Diff]] = {}
        self._early: dict[int, Diff] = {}
        """Snapshots for a refresh that are newer than any diff so far."""

    def follow(self, i: int) -> None:
        """Rule 1: start keeping diffs of instrument `i`."""
        self.ladders.books[i]["state"] = WAITING
        self._pending[i] = deque(maxlen=MAX_PENDING_DIFFS)

    def unfollow(self, i: int) -> None:
        book = self.ladders.books[i]
        book["discarded"] += self.waiting(i)
        book["state"] = OFF
        ladder.clear(self.ladders, i)
        self._pending.pop(i, None)

    def waiting(self, i: int) -> int:
        """Diffs kept that are not in the book yet; those a live book keeps for its refresh are."""
        state = self.ladders.books[i]["state"]
        return 0 if state in (OFF, LIVE) else len(self._pending[i])

    def lost(self, i: int) -> None:
        """The chain of a followed book is broken (gap, disconnect): keep diffs again from here on."""
        book = self.ladders.books[i]
        if book["state"] != OFF:
            book["discarded"] += self.waiting(i)
            book["state"] = STALE
            book["resyncs"] += 1
            book["refreshing"] = 0
            self._early.pop(i, None)
            self._pending[i].clear()

    def on_diff(self, i: int, diff: Diff) -> str | None:
        """A diff of a book that is not LIVE: kept, or the one that a loaded snapshot waits for."""
        book = self.ladders.books[i]
        if self.rule.in_stream:
            return self._await_snapshot(i)
        pending = self._pending[i]
        book["dropped"] += len(pending) == MAX_PENDING_DIFFS
        pending.append(diff)
        return self._follow_chain(i) if book["state"] == LOADED else None

    def _await_snapshot(self, i: int) -> str | None:
        """A diff before the snapshot that the stream owes us is of no use."""
        self.ladders.books[i]["dropped"] += 1
        self._unused[i] = self._unused.get(i, 0) + 1
        if self._unused[i] < SNAPSHOT_WITHIN_DIFFS:
            return None
        self._unused[i] = 0
        return "no_snapshot"

    def _begin(self, i: int, snapshot: Diff) -> str | None:
        """A snapshot in the stream is the book, unless it is older than ours."""
        book, row = self.ladders.books[i], snapshot.row
        if book["state"] == OFF or (
            book["state"] == LIVE and row["last_id"] <= book["last_id"] and row["ts_ms"] <= book["ts_ms"]
        ):
            return None
        self._unused.pop(i, None)
        self._load(i, snapshot)
        book["state"], book["ts_ms"] = LIVE, row["ts_ms"]
        reason = _fault(book)
        if reason is not None:
            self.lost(i)
        return reason

    def on_break(self, i: int, diff: Diff) -> str | None:
        """A diff of a live book that does not continue it: a gap, or what the venue's rule allows."""
        book = self.ladders.books[i]
        if self.rule.overlap and diff.row["prev_id"] < book["last_id"] < diff.row["last_id"]:
            if book["refreshing"]:
                self.keep(i, diff)
            reason = self._apply(i, diff)
            if reason is not None:
                self.lost(i)
            return reason
        book["gaps"] += 1
        self.lost(i)
        self.on_diff(i, diff)
        return "gap"

    def on_snapshot(self, i: int, snapshot: Diff) -> str | None:
        """Rules 3 and 4 with the diffs kept so far, or the book itself where snapshots come in the stream."""
        book = self.ladders.books[i]
        if self.rule.in_stream:
            return self._begin(i, snapshot)
        if book["state"] == LIVE and book["refreshing"]:
            return self._refresh(i, snapshot)
        if book["state"] not in (WAITING, STALE):
            return None  # an answer nobody waits for any more
        last_update_id = int(snapshot.row["last_id"])
        pending = self._pending[i]
        while pending and pending[0].row["last_id"] < last_update_id:
            pending.popleft()
            book["dropped"] += 1
        self._load(i, snapshot)
        return self._follow_chain(i)

    def on_applied(self, i: int, diff: Diff) -> str | None:
        """Judge a live book after `diff`: is it wrong, or does the market near the edge of what it knows?"""
        book = self.ladders.books[i]
        reason = _fault(book)
        if reason is not None:
            self.lost(i)
            return reason
        book["refreshing"] = REFRESHING
        self._pending[i].clear()
        self._pending[i].append(diff)
        return "coverage"

    def keep(self, i: int, diff: Diff) -> None:
        """Keep a diff that a live book has taken, for the snapshot that will refresh it."""
        self._pending[i].append(diff)

    def on_awaited_diff(self, i: int, diff: Diff) -> str | None:
        """The next diff of a live book whose new snapshot came EARLY: it may be the one that this waits for."""
        self._pending[i].append(diff)
        reason = self._apply(i, diff)
        if reason is not None:
            self.lost(i)
            return reason
        early = self._early.get(i)
        return None if early is None else self._refresh(i, early)

    def _refresh(self, i: int, snapshot: Diff) -> str | None:
        """Rebuild a live book from a newer snapshot and the diffs kept since it was asked for."""
        pending, last_update_id = self._pending[i], int(snapshot.row["last_id"])
        if not pending or pending[-1].row["last_id"] < last_update_id:
            self._early[i] = snapshot
            self.ladders.books[i]["refreshing"] = EARLY
            return None
        while pending[0].row["last_id"] < last_update_id:
            pending.popleft()
        if not _continues(pending[0], last_update_id):
            return "snapshot_too_old"
        self.ladders.books[i]["applied"] -= len(pending)  # they are applied a second time now
        self._load(i, snapshot)
        return self._follow_chain(i)

    def _follow_chain(self, i: int) -> str | None:
        """Apply kept diffs to a loaded book. At a break, the diff that shows it is the first one kept anew."""
        book = self.ladders.books[i]
        pending = self._pending[i]
        while pending:
            reason = self._first_diff(i, pending[0]) if book["state"] == LOADED else self._next_diff(i, pending[0])
            if reason == "snapshot_too_old":
                book["state"] = WAITING
                return reason
            if reason is not None:
                kept = list(pending)
                book["applied"] -= reason != "gap"  # the diff that made the book wrong is kept: it counts when it ends
                self.lost(i)
                pending.extend(kept)
                return reason
            pending.popleft()
        return None

    def _load(self, i: int, snapshot: Diff) -> None:
        row = snapshot.row
        ladder.clear(self.ladders, i)
        self.reserve(len(snapshot.levels))
        book = self.ladders.books[i]
        ladder.set_levels(self.ladders, i, snapshot.levels, 0, int(row["bids"]), int(row["asks"]))
        book["state"] = LOADED
        book["refreshing"] = 0
        self._early.pop(i, None)
        book["low"], book["high"] = row["price"], row["price2"] or NO_EDGE
        book["refresh_below"] = book["low"] + (book["best_bid"] - book["low"]) // REFRESH_FRACTION
        book["refresh_above"] = book["high"] - (book["high"] - book["best_ask"]) // REFRESH_FRACTION
        book["last_id"] = book["snapshot_id"] = row["last_id"]
        book["event_ms"] = row["event_ms"]

    def _first_diff(self, i: int, diff: Diff) -> str | None:
        """Rule 4 for the first diff after a loaded snapshot."""
        book = self.ladders.books[i]
        if diff.row["last_id"] < book["snapshot_id"]:
            book["dropped"] += 1
            return None
        if not _continues(diff, int(book["snapshot_id"])):
            return "snapshot_too_old"
        book["state"] = LIVE
        return self._apply(i, diff)

    def _next_diff(self, i: int, diff: Diff) -> str | None:
        """Rule 5 among kept diffs."""
        book = self.ladders.books[i]
        if diff.row["last_id"] <= book["last_id"]:
            book["dropped"] += 1
            return None
        if diff.row["prev_id"] != book["last_id"] and not (self.rule.overlap and diff.row["prev_id"] < book["last_id"]):
            book["gaps"] += 1
            return "gap"
        return self._apply(i, diff)

    def _apply(self, i: int, diff: Diff) -> str | None:
        self.reserve(len(diff.levels))
        book = self.ladders.books[i]
        ladder.set_levels(self.ladders, i, diff.levels, 0, int(diff.row["bids"]), int(diff.row["asks"]))
        book["last_id"] = diff.row["last_id"]
        book["event_ms"] = diff.row["event_ms"]
        book["ts_ms"] = diff.row["ts_ms"]
        book["applied"] += 1
        return _fault(book)

    def reserve(self, pages: int) -> None:
        """Make sure that `pages` more pages can be taken."""
        if self.ladders.meta[0] < pages:
            self.ladders = ladder.grow(self.ladders, pages)


def _continues(diff: Diff, last_update_id: int) -> bool:
    """Whether no update lies between a snapshot and `diff`, which does not end before it (rule 4)."""
    return bool(diff.row["first_id"] <= last_update_id or diff.row["prev_id"] <= last_update_id)


def _fault(book: NDArray[np.void]) -> str | None:
    """Why a book that has followed every rule is not the venue's book all the same."""
    if ladder.is_crossed(book):
        return "crossed"
    return "coverage" if ladder.is_beyond_known(book) else None
