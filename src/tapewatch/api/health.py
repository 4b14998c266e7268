"""How the node stands: /health, and the status bar's topic."""

from __future__ import annotations

import math
import time
from typing import Any

from msgspec import structs

from .. import __version__
from ..feed.status import FeedStatus
from ..hub.hub import Hub
from ..journal import JournalStatus
from ..model.views import BookState, FeedState
from .numbers import now_ms
from .replay import ReplayControl, replay_status
from .view import NodeView, SealingView, StorageView, StoreAccount, VenueView

STORAGE_KEYS = ("state", "detail")
"""What of the storage's figures the status bar shows."""
VIOLATIONS_SHOWN = 5
FRESH = (FeedState.LIVE, FeedState.QUIET)
"""States in which what is shown is the market as it is now."""


def venue_health(venue: VenueView, feed: FeedStatus | None, mode: str) -> dict[str, Any]:
    """One venue's figures. Gaps are counted in trade ids: `gaps_found` went missing, `gaps_filled` came after all."""
    totals = venue.engine.totals()
    books = venue.engine.books_by_state()
    p50, p99 = venue.latency.total.percentiles()
    state = feed.state if feed else None
    return {
        "state": state.value if state else mode,
        "detail": feed.detail if feed else "",
        "fresh": state in FRESH if state else True,
        "connected": feed.connected > 0 if feed else True,  # what is played back has nothing to connect to
        "last_message_age_ms": None if feed is None or feed.data_age_ms is None else round(feed.data_age_ms),
        "reconnects": feed.reconnects if feed else 0,
        "instruments": len(venue.engine.universe),
        "gaps_found": totals["missing"],
        "gaps_filled": totals["filled"],
        "missing": totals["absent"],
        "unknown_gaps": venue.engine.unknown_gaps(),
        "given_up": feed.trades_given_up if feed else 0,
        "history": history_health(feed, reading=venue.loading),
        "ledger": {
            "balanced": not venue.ledger.violations,
            "violations": venue.ledger.violations[:VIOLATIONS_SHOWN],
            "received": totals["received"] + venue.ledger.quarantined_trades(),
            "accepted": totals["count"] + totals["too_late"],
            "backfilled": totals["backfilled"],
            "duplicate": totals["duplicates"],
            "excluded": totals["excluded"],
            "other_source": totals["other_source"],
            "quarantined": venue.ledger.quarantined_trades(),
        },
        "depth_gaps": totals["depth_gaps"],
        "resyncs": totals["depth_resyncs"],
        "books_in_sync": books[BookState.LIVE],
        "books_resyncing": books[BookState.WAITING] + books[BookState.STALE],
        "snapshots_queued": feed.snapshots_queued if feed else 0,
        "dropped": sum(venue.quarantine.by_reason.values()),
        "dropped_by_reason": dict(venue.quarantine.by_reason),
        "latency_p50_ms": p50,
        "latency_p99_ms": p99,
        "latency": latency_stages(venue),
        "clock_offset_ms": feed.clock_offset_ms if feed else None,
        "silent": list(feed.silent) if feed else [],
        "frames": venue.frames,
        "trades": totals["count"],
        "trades_excluded": totals["excluded"],
    }


def history_health(feed: FeedStatus | None, *, reading: bool = False) -> dict[str, Any]:
    """How far today's trades of before the start are loaded, over the symbols it is done for.

    `percent` is null where there are none, and while what is stored is being read (`reading`): how much the venue then
    has to be asked for is not known yet.
    """
    if feed is None:
        none = {"symbols": 0, "complete": 0, "trades": 0, "klines": {"symbols": 0, "loaded": 0}}
        return {"percent": None, "reading": False, **none}
    return {
        "percent": None if reading or not feed.history_symbols else math.floor(feed.history_share * 100),
        "reading": reading,
        "symbols": feed.history_symbols,
        "complete": feed.history_complete,
        "trades": feed.history_trades,
        "klines": {"symbols": feed.klines_symbols, "loaded": feed.klines_loaded},
    }


def storage_health(storage: StorageView | None) -> dict[str, Any]:
    """What is recorded; `state` is ``off``, ``recording``, ``reduced`` (the disk guard) or ``stopped``.

    That nothing can be recorded does not make the market less fresh: it does not turn /health into a 503.
    """
    if storage is None:
        return {"state": "off", "detail": "nothing is stored (store.enabled, --no-store)"}
    journals = storage.status()
    state, detail = "recording", ""
    for venue, journal in journals.items():
        if journal.state != "recording":
            state, detail = "stopped", f"{venue}: {journal.detail or journal.state}"
        elif journal.guarded and state == "recording":
            state, detail = "reduced", f"{venue}: the disk guard has stopped {', '.join(journal.guarded)}"
    free = [journal.disk_free_bytes for journal in journals.values() if journal.disk_free_bytes >= 0]
    return {
        "state": state,
        "detail": detail,
        "path": str(storage.path),
        "disk_free_bytes": min(free, default=None),
        "journals": {venue: journal_health(journal) for venue, journal in journals.items()},
        "sealing": None if storage.sealing is None else sealing_health(storage.sealing),
        "accounts": {} if storage.audit is None else {v: store_account(a) for v, a in storage.audit.accounts.items()},
    }


def store_account(account: StoreAccount) -> dict[str, Any]:
    """Trades that the engine held at `checked_ts`, and of them those stored; `unstored` counts from the start on.

    `compared` are all their ``ids``, or, where those do not count, how many in each of the last ``minutes``.
    """
    return {
        "checked_ts": account.checked_ms,
        "compared": account.compared,
        "held": account.held,
        "stored": account.stored,
        "unstored": account.unstored,
        "balanced": account.balanced,
        "detail": account.detail,
    }


def sealing_health(sealing: SealingView) -> dict[str, Any]:
    """Counts since the sealer's last start; `error` says why it waits, empty while it goes on."""
    return {**structs.asdict(sealing.status), "restarts": sealing.restarts}


def journal_health(journal: JournalStatus) -> dict[str, Any]:
    """Counts since the start of the program; `sync_age_ms` is the age of the oldest byte that is only in memory."""
    return {
        "state": journal.state,
        "records": journal.records,
        "records_synced": journal.synced,
        "bytes": journal.bytes,
        "queue_bytes": journal.queue_bytes,
        "queue_high_bytes": journal.queue_high_bytes,
        "dropped_reads": journal.dropped_reads,
        "dropped_frames": journal.dropped_frames,
        "dropped_bytes": journal.dropped_bytes,
        "sync_age_ms": round(journal.sync_age_s * 1000),
        "failures": journal.failures,
        "guarded": list(journal.guarded),
        "expired_files": journal.expired_files,
        "expired_bytes": journal.expired_bytes,
    }


def latency_stages(venue: VenueView) -> dict[str, dict[str, float | None]]:
    """p50 and p99 of each stage, ms, in the order an event passes them."""
    out = {}
    for stage, took in venue.latency.stages.items():
        p50, p99 = took.percentiles()
        out[stage] = {"p50_ms": p50, "p99_ms": p99}
    return out


def health(node: NodeView, hub: Hub) -> tuple[bool, dict[str, Any]]:
    """Whether we serve fresh data, and all figures. A venue that is stale or down makes the whole not fresh."""
    venues = {
        name: venue_health(venue, node.feeds[name].status if name in node.feeds else None, node.mode)
        for name, venue in node.venues.items()
    }
    wrong = [f"{name} is {figures['state']}" for name, figures in venues.items() if not figures["fresh"]]
    if not venues:
        wrong.append("no venue is enabled")
    if not hub.running:
        wrong.append("the publisher has stopped")
    wrong += [
        f"the account of {name} does not balance" for name, venue in node.venues.items() if venue.ledger.violations
    ]
    if node.storage is not None and node.storage.audit is not None:
        wrong += [f"{name}: {one.detail}" for name, one in node.storage.audit.accounts.items() if not one.balanced]
    wrong += [f"the view {key} fails" for key in hub.failing]
    content = {
        "status": "; ".join(wrong) or _ok(hub),
        "mode": node.mode,
        "version": __version__,
        "server_ts": now_ms(),
        "uptime_s": (now_ms() - node.started_ms) // 1000,
        "preparing": node.preparing,
        "venues": venues,
        "storage": storage_health(node.storage),
        "load": load(hub),
        "hub": {
            "clients": len(hub.clients),
            "topics": len(hub.topics),
            "delivered": hub.stats.delivered,
            "skipped": hub.stats.skipped,
            "faults": hub.stats.faults,
            "late_ms_max": round(hub.stats.late_ms_max, 1),
        },
    }
    return not wrong, content


STATUS_S, REPLAY_STATUS_S = 1.0, 0.2
"""How often the status topic is told; a replayed clock should be seen moving."""


def load(hub: Hub) -> dict[str, Any]:
    """How much the event loop carries, and what is given up for it."""
    governor = hub.governor
    return {
        "tier": governor.number,
        "name": governor.tier.name.lower(),
        "detail": governor.tier.words,
        "busy": round(governor.busy, 3),
        "late_ms": round(governor.late_ms, 1),
        "steps": governor.steps,
    }


def _ok(hub: Hub) -> str:
    return f"ok, {hub.governor.tier.words}" if hub.governor.number else "ok"


class StatusReader:
    """Meta of the `status` topic. Keeps the last frame counts, from which messages a second come."""

    def __init__(self, node: NodeView, hub: Hub, replay: ReplayControl | None = None) -> None:
        self._node = node
        self._hub = hub
        self._replay = replay
        self.period_s = STATUS_S if replay is None else REPLAY_STATUS_S
        self._before: dict[str, tuple[float, int, float]] = {}

    def __call__(self) -> dict[str, Any]:
        offsets = [feed.status.clock_offset_ms for feed in self._node.feeds.values()]
        return {
            "venues": {name: self._venue(name, venue) for name, venue in self._node.venues.items()},
            "clock_offset_ms": next((offset for offset in offsets if offset is not None), None),
            "storage": {key: value for key, value in storage_health(self._node.storage).items() if key in STORAGE_KEYS},
            "version": __version__,
            "preparing": self._node.preparing,
            "replay": None if self._replay is None else replay_status(self._replay.player),
            "load": load(self._hub),
        }

    def _venue(self, name: str, venue: VenueView) -> dict[str, Any]:
        feed = self._node.feeds.get(name)
        figures = venue_health(venue, feed.status if feed else None, self._node.mode)
        same = (
            "state",
            "detail",
            "connected",
            "gaps_found",
            "gaps_filled",
            "missing",
            "unknown_gaps",
            "given_up",
            "history",
            "dropped",
            "reconnects",
            "silent",
        )
        return {key: figures[key] for key in same} | {
            "gaps": figures["gaps_found"],
            "lag_ms_p50": figures["latency_p50_ms"],
            "lag_ms_p99": figures["latency_p99_ms"],
            "stages": figures["latency"],
            "data_age_ms": figures["last_message_age_ms"],
            "msg_per_s": self._rate(name, venue.frames),
            "books_live": figures["books_in_sync"],
            "books_resync": figures["books_resyncing"],
            "depth_gaps": figures["depth_gaps"],
            "clock_ms": venue.engine.clock_ms,
            "mode": self._node.mode,
        }

    def _rate(self, name: str, frames: int) -> float:
        """Frames a second, over a second or more."""
        now = time.monotonic()
        then, before, rate = self._before.get(name, (now, frames, 0.0))
        if then == now or now - then >= STATUS_S * 0.9:
            rate = max(0.0, round((frames - before) / (now - then), 1)) if now > then else 0.0
            self._before[name] = (now, frames, rate)
        return rate
