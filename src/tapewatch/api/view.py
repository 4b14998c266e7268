"""What the API sees of the node that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..alerts.rule import Rule
from ..config import Config
from ..desk.ask import Ask
from ..feed.status import FeedStatus
from ..hub.columns import Market
from ..journal import JournalStatus
from ..ledger import Ledger
from ..model.instrument import Grid, Instrument
from ..model.latency import Latency
from ..model.views import Footprint
from ..store.sealer import Status

Mode = Literal["live", "demo", "replay"]


class QuarantineView(Protocol):
    """Frames nobody understood, counted by reason."""

    @property
    def by_reason(self) -> Mapping[str, int]: ...


class VenueView(Market, Protocol):
    """One venue: engine, 24 h figures and counters."""

    @property
    def frames(self) -> int: ...
    @property
    def foreign(self) -> int: ...
    @property
    def latency(self) -> Latency: ...
    @property
    def quarantine(self) -> QuarantineView: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def loading(self) -> bool: ...


class FeedView(Protocol):
    """What brings a venue's data; replayed venues have none."""

    @property
    def status(self) -> FeedStatus: ...


class SealingView(Protocol):
    """How the journal is made into segments."""

    restarts: int

    @property
    def status(self) -> Status: ...


class StoreAccount(Protocol):
    """What the last comparison of a venue's engine with the store has shown."""

    checked_ms: int | None
    held: int
    stored: int
    unstored: int
    compared: str
    excused: bool
    by_symbol: dict[str, tuple[int, int]]

    @property
    def balanced(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class AuditView(Protocol):
    """Who compares them."""

    @property
    def accounts(self) -> Mapping[str, StoreAccount]: ...


class StorageView(Protocol):
    """What is kept on disk."""

    @property
    def path(self) -> Path: ...
    @property
    def sealing(self) -> SealingView | None: ...
    @property
    def audit(self) -> AuditView | None: ...
    def status(self) -> Mapping[str, JournalStatus]: ...


class HistoryView(Protocol):
    """Stored data, for times before what the engines hold."""

    async def footprint(
        self, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
    ) -> Footprint | None: ...
    async def footprint_text(
        self, venue: str, symbol: str, tf_ms: int, step: str, start_ms: int, end_ms: int
    ) -> list[bytes]: ...
    async def cvd(self, venue: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, Grid] | None: ...
    async def liquidations(
        self, venue: str, symbol: str | None, before_ms: int, newest: int
    ) -> tuple[list[Instrument], NDArray[np.void]]: ...


class DeskView(Protocol):
    """Who answers questions about bars."""

    def observe(self) -> None: ...
    async def uploads(self) -> list[dict[str, Any]]: ...
    async def ask(self, ask: Ask, progress: Callable[[int, int], None] | None = None) -> bytes:
        """The figures asked for, as JSON."""

    async def dry_run(self, rule: Rule, start_ms: int, end_ms: int) -> dict[str, Any]:
        """What an alert rule would have done over stored minutes; 0: a day, and up to the newest."""


class AlertsView(Protocol):
    """Rules, what they fired, and who is told; rows as `alerts.rows` makes them."""

    @property
    def seq(self) -> int:
        """Rises with every change of a rule or an episode."""

    @property
    def storage(self) -> dict[str, Any]: ...
    @property
    def figures(self) -> dict[str, int]:
        """Counters and gauges for /metrics."""

    def rules(self) -> list[dict[str, Any]]: ...
    def understood(self, content: object) -> Rule:
        """A rule that can be watched here; raises UsageError or NotFoundError."""

    async def put_rule(self, content: object, rule_id: int | None = None) -> dict[str, Any]: ...
    async def delete_rule(self, rule_id: int) -> None: ...
    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Episodes held in memory, newest first."""

    def unacknowledged(self) -> int: ...
    async def episodes(self, before_ms: int, limit: int, rule_id: int | None) -> list[dict[str, Any]]: ...
    async def acknowledge(self, key: str) -> tuple[bool, dict[str, Any]]:
        """Whether it had been seen before, and the episode."""

    async def acknowledge_all(self) -> int: ...
    def metrics(self, exchange: str, symbol: str) -> list[dict[str, Any]]: ...
    @property
    def sinks_refused(self) -> str:
        """Why sinks that were set up are not used; empty: they are."""

    def sinks(self) -> list[dict[str, Any]]: ...
    def dead(self) -> list[dict[str, Any]]: ...
    async def put_sink(self, name: str, content: object) -> None: ...
    async def delete_sink(self, name: str) -> None: ...
    async def test_sink(self, name: str) -> str: ...
    async def retry_sink(self, name: str) -> int: ...


class NodeView(Protocol):
    """Everything that is served. Venues and feeds are read in the event loop's thread only."""

    started_ms: int
    preparing: str
    """What is not served yet, and why; empty: all is."""

    @property
    def config(self) -> Config: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def venues(self) -> Mapping[str, VenueView]: ...
    @property
    def feeds(self) -> Mapping[str, FeedView]: ...
    @property
    def storage(self) -> StorageView | None: ...
    @property
    def history(self) -> HistoryView | None: ...
    @property
    def desk(self) -> DeskView | None: ...
