"""Alerts of a running program: rules are looked at four times a second, what they fire is kept and sent."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import msgspec

from ..alerts.alerts import RULES_AT_MOST, Alerts, Counts, Watch
from ..alerts.episode import Episode, Notice
from ..alerts.readings import Health, Readings, Venue
from ..alerts.rows import episode_row, metric_rows, rule_row
from ..alerts.rule import BUILT_IN_SINKS, Rule, rule_of
from ..config import Config
from ..derivs.derivs import Derivs
from ..model.errors import NotFoundError, NotReadyError, TapewatchError, UsageError
from ..outbox.outbox import Outbox, SinkStats, within
from ..outbox.sinks import SINKS_AT_MOST, Carrier, DeliveryError, Sink, SinkFile, log_notice, sink_of
from ..store.alerts import Batch, Delivery, StoredRule
from .alertstore import AlertWriter

log = logging.getLogger(__name__)

LOOK_S = 0.25
SLICE_S = 0.002
"""The event loop has its turn after so long, between two rules."""
SINKS_AGAIN_S = 5.0
"""Between two looks at a file of sinks that was refused."""
PAGE_SINKS = ("page", "sound", "desktop")
"""Sinks that read the stream: nothing is sent to them."""
FORGET_EVERY_S = 3_600.0
DEAD_SHOWN = 50


class Alerting:
    """Rules, outbox and sinks of one program. Everything but the database runs in the event loop's thread."""

    def __init__(
        self,
        config: Config,
        venues: Mapping[str, Venue],
        derivs: Derivs,
        health: Callable[[str], Health],
        venue_ms: Callable[[str], int],
    ) -> None:
        self._config = config
        self.readings = Readings(venues, derivs, health, venue_ms)
        self.alerts = Alerts(self.readings)
        self._writer = AlertWriter(config.store)
        self._carrier = Carrier(config.alerts)
        self._sinks = SinkFile(config.node.state_path)
        self.sinks_refused = ""
        """Why the sinks that were set up are not used; empty: they are."""
        self.outbox = Outbox(config.alerts, self._send, self._writer.put)
        self.ready = False
        """Whether what was kept has been loaded."""
        self._next_id = 1
        self._revisions: dict[int, int] = {}
        self._releases: list[tuple[asyncio.Future[None], list[Delivery]]] = []
        self._released = asyncio.Event()
        self.looks = 0
        self.look_ms_max = 0.0
        """Longest time that one step of a look kept the event loop."""
        self.faults = 0

    # -- running ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Load what is kept, then look, keep and send until cancelled."""
        try:
            await self._load()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._writer.run())
                tasks.create_task(self.outbox.run())
                tasks.create_task(self._release())
                tasks.create_task(self._forget())
                tasks.create_task(self._mend_sinks())
                tasks.create_task(self._watch())
        finally:
            await self._writer.close()
            await self._carrier.close()

    async def _load(self) -> None:
        await self._read_sinks()
        loaded = await self._writer.load()
        self._next_id = loaded.next_id
        for stored in loaded.rules:
            self._revisions[stored.id] = stored.revision
            try:
                rule = rule_of(msgspec.json.decode(stored.content))
            except UsageError as error:  # a newer version's, or of a figure that is no more
                log.warning("alert_rule_not_understood id=%d reason=%r", stored.id, str(error))
                continue
            self.alerts.put(stored.id, stored.revision, rule, _now_ms())
        self.alerts.restore(loaded.episodes)
        self.outbox.restore(loaded.waiting, loaded.dead)
        self.ready = True
        if loaded.rules or loaded.waiting:
            log.info("alerts_loaded rules=%d waiting=%d", len(loaded.rules), len(loaded.waiting))

    async def _read_sinks(self) -> None:
        """Read the file of sinks; one that is refused costs its sinks, not the alerts."""
        try:
            await asyncio.to_thread(self._sinks.load)
        except TapewatchError as error:
            if not self.sinks_refused:
                log.warning("alert_sinks_refused reason=%r", str(error))
            self.sinks_refused = str(error)
        else:
            self.sinks_refused = ""

    async def _mend_sinks(self) -> None:
        """Look again at a file that was refused, until it may be used."""
        while self.sinks_refused:
            await asyncio.sleep(SINKS_AGAIN_S)
            await self._read_sinks()

    async def _watch(self) -> None:
        while True:
            begun = time.perf_counter()
            for _ in self.alerts.look(_now_ms()):
                took = time.perf_counter() - begun
                if took >= SLICE_S:
                    self.look_ms_max = max(self.look_ms_max, took * 1000)
                    self._hand_over()
                    await asyncio.sleep(0)
                    begun = time.perf_counter()
            self._hand_over()
            self.looks += 1
            while self.alerts.faults:
                rule_id, error = self.alerts.faults.popleft()
                if not self.faults:
                    log.error("alert_rule_failed id=%d", rule_id, exc_info=error)
                self.faults += 1
            await asyncio.sleep(LOOK_S)

    def _hand_over(self, *rules: StoredRule) -> asyncio.Future[None]:
        """Have what changed kept, and messages sent once they are; done when it is kept."""
        episodes, notices = self.alerts.take()
        batch = Batch(list(rules), [copy.copy(one) for one in episodes])
        for notice in notices:
            sinks = tuple(name for name in notice.sinks if name not in PAGE_SINKS)
            waiting, dead = self.outbox.prepare(notice, sinks)
            batch.waiting += waiting
            batch.settled += dead
        kept = self._writer.put(batch)
        if batch.waiting:
            self._releases.append((kept, batch.waiting))
            self._released.set()
        return kept

    async def _release(self) -> None:
        """Give messages to the outbox after they are kept, or when that takes too long."""
        while True:
            await self._released.wait()
            self._released.clear()
            taken, self._releases = self._releases, []
            await within(taken[-1][0])
            for _, deliveries in taken:
                self.outbox.add(deliveries)

    async def _forget(self) -> None:
        """Let go of alerts as old as other stored data."""
        keep_s = self._config.store.retention_s
        while keep_s and self._writer.stored:
            before_ms = _now_ms() - round(keep_s * 1000)
            try:
                await self._writer.read(lambda store, before=before_ms: store.forget(before))  # type: ignore[misc]
            except NotReadyError as error:
                log.warning("alerts_not_forgotten reason=%r", str(error))
            await asyncio.sleep(FORGET_EVERY_S)

    async def _send(self, name: str, notice: Notice, attempt: int) -> None:
        if name == "log":
            log_notice(notice)
            return
        sink = self._sinks.sinks.get(name)
        if sink is None:
            if self.sinks_refused:
                raise DeliveryError(self.sinks_refused)
            raise DeliveryError(f"there is no sink {name} any more", final=True)
        await self._carrier.send(sink, notice, attempt)

    # -- rules ------------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """Rises with every change of a rule or an episode."""
        return self.alerts.seq

    @property
    def figures(self) -> dict[str, int]:
        """For /metrics: name and number; names that end in _total only rise."""
        watches, stats = self.alerts.watches.values(), self.outbox.stats.values()
        totals = {name: sum(getattr(watch.counts, name) for watch in watches) for name in Counts.__slots__}
        return {
            "rules": len(watches),
            "firing": sum(watch.firing() for watch in watches),
            **{f"{name}_by_rules": count for name, count in totals.items()},
            "outbox_waiting": len(self.outbox),
            "delivered_total": sum(one.delivered for one in stats),
            "attempts_failed_total": sum(one.failed for one in stats),
            "dead_letters_total": sum(one.dead for one in stats),
            "unkept_rows_total": self._writer.unkept,
            "rule_faults_total": self.faults,
            "prices_not_followed_total": self.alerts.unfollowed,
            "looks_total": self.looks,
        }

    @property
    def storage(self) -> dict[str, Any]:
        """Whether alerts outlive the program; `detail` says why not."""
        return {"stored": self._writer.stored, "detail": self._writer.detail, "unkept": self._writer.unkept}

    def rules(self) -> list[dict[str, Any]]:
        """All rules, in the order of their numbers."""
        return [rule_row(watch) for _, watch in sorted(self.alerts.watches.items())]

    def rule(self, rule_id: int) -> Watch:
        """The rule of that number; raises NotFoundError."""
        watch = self.alerts.watches.get(rule_id)
        if watch is None:
            raise NotFoundError(f"there is no alert rule {rule_id}")
        return watch

    async def put_rule(self, content: object, rule_id: int | None = None) -> dict[str, Any]:
        """Take a new rule, or a new revision of one; returns when it is kept."""
        self._must_be_ready()
        rule = self.understood(content)
        if rule_id is None:
            if len(self.alerts.watches) >= RULES_AT_MOST:
                raise UsageError(f"there are {RULES_AT_MOST} rules already; delete one first")
            rule_id, self._next_id = self._next_id, self._next_id + 1
        else:
            self.rule(rule_id)
        revision = self._revisions[rule_id] = self._revisions.get(rule_id, 0) + 1
        watch = self.alerts.put(rule_id, revision, rule, _now_ms())
        await self._keep_rule(rule_id, revision, msgspec.json.encode(rule).decode(), deleted=False)
        return rule_row(watch)

    async def delete_rule(self, rule_id: int) -> None:
        """Forget a rule; what it fired is told all the same."""
        self._must_be_ready()
        self.rule(rule_id)
        revision = self._revisions[rule_id] = self._revisions[rule_id] + 1
        self.alerts.remove(rule_id, _now_ms())
        await self._keep_rule(rule_id, revision, "", deleted=True)

    async def _keep_rule(self, rule_id: int, revision: int, content: str, *, deleted: bool) -> None:
        await within(self._hand_over(StoredRule(rule_id, revision, content, deleted, _now_ms())))

    def understood(self, content: object) -> Rule:
        """A rule that can be watched here; raises UsageError or NotFoundError."""
        rule = rule_of(content)
        if rule.exchange not in self.readings.venues:
            running = ", ".join(self.readings.venues)
            raise NotFoundError(f"unknown exchange {rule.exchange[:40]!r}; running here: {running or 'none'}")
        places = [(rule.exchange, symbol) for symbol in rule.symbols]
        if rule.against:
            venue, _, symbol = rule.against.partition(":")
            if venue not in self.readings.venues:
                raise NotFoundError(f"unknown exchange {venue[:40]!r} in against")
            places.append((venue, symbol))
        for venue, symbol in places:
            universe = self.readings.venues[venue].engine.universe
            if not len(universe):
                raise NotReadyError(f"the instruments of {venue} are not loaded yet; try again in a few seconds")
            if universe.get(symbol).symbol != symbol:
                raise UsageError(f"symbol = {symbol!r} is refused; the venue writes {universe.get(symbol).symbol}")
        for name in rule.sinks:
            if name not in BUILT_IN_SINKS and name not in self._sinks.sinks:
                if self.sinks_refused:
                    raise UsageError(f"the sink {name} is not known: {self.sinks_refused}")
                known = ", ".join((*BUILT_IN_SINKS, *self._sinks.sinks))
                raise UsageError(f"there is no sink {name!r}; allowed: {known}")
        return rule

    def _must_be_ready(self) -> None:
        if not self.ready:
            raise NotReadyError(self._writer.detail or "the alert rules are being loaded; try again in a second")

    # -- episodes and figures ---------------------------------------------------------------------------------------

    async def episodes(self, before_ms: int, limit: int, rule_id: int | None) -> list[dict[str, Any]]:
        """What fired before a time, newest first: from memory, and beyond it from the store.

        Many instruments fire in one moment: it is told whole, beyond `limit`, so that `before` its time misses none.
        """
        held = [one for one in self.alerts.recent if one.fired_ms < before_ms and rule_id in (None, one.rule_id)]
        held.sort(key=_newest_first)
        beyond = len(held) < limit or held[limit - 1].fired_ms == held[-1].fired_ms
        if beyond and self._writer.stored and self.ready:
            older: list[Episode] | None = await self._writer.read(
                lambda store: store.episodes(before_ms, limit, rule_id)
            )
            known = {one.key for one in held}
            held += [one for one in older or () if one.key not in known]
            held.sort(key=_newest_first)
        last_ms = held[limit - 1].fired_ms if len(held) > limit else 0
        return [episode_row(one) for one in held if one.fired_ms >= last_ms]

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Alerts held in memory, newest first."""
        return [episode_row(one) for one in islice(reversed(self.alerts.recent), limit)]

    def unacknowledged(self) -> int:
        """Alerts held in memory that nobody has seen."""
        return sum(one.acked_ms is None for one in self.alerts.recent)

    async def acknowledge(self, key: str) -> tuple[bool, dict[str, Any]]:
        """Note that an alert was seen; whether it had been before, and the alert."""
        self._must_be_ready()
        now = _now_ms()
        episode = self.alerts.acknowledge(key, now)
        if episode is None:
            episode = await self._writer.read(lambda store: store.acknowledge(key, now))
        if episode is None:
            raise NotFoundError(f"there is no alert {key[:100]!r}")
        await within(self._hand_over())
        return episode.acked_ms != now, episode_row(episode)

    async def acknowledge_all(self) -> int:
        """The same of all that are held in memory; how many were new."""
        self._must_be_ready()
        new = [one.key for one in self.alerts.recent if one.acked_ms is None]
        for key in new:
            self.alerts.acknowledge(key, _now_ms())
        await within(self._hand_over())
        return len(new)

    def metrics(self, exchange: str, symbol: str) -> list[dict[str, Any]]:
        """Every figure that can be watched, with what it is now."""
        if not len(self.readings.venues[exchange].engine.universe):
            raise NotReadyError(f"the instruments of {exchange} are not loaded yet; try again in a few seconds")
        return metric_rows(self.readings, exchange, symbol)

    # -- sinks ------------------------------------------------------------------------------------------------------

    def sinks(self) -> list[dict[str, Any]]:
        """Sinks and how they fare; what is secret of them is not told."""
        stats = self.outbox.stats
        rows = []
        for name in (*BUILT_IN_SINKS, *self._sinks.sinks):
            sink = self._sinks.sinks.get(name)
            told = stats.get(name, SinkStats())
            rows.append(
                {
                    "name": name,
                    "kind": name if sink is None else sink.__struct_config__.tag,
                    "target": "" if sink is None else sink.shown(),
                    "waiting": self.outbox.waiting(name),
                    "delivered": told.delivered,
                    "failed": told.failed,
                    "dead": sum(1 for one in self.outbox.dead if one.sink == name),
                    "last_ok_ts": told.last_ok_ms,
                    "last_error": told.last_error,
                }
            )
        return rows

    def dead(self) -> list[dict[str, Any]]:
        """Messages laid aside, newest first, and why."""
        newest = list(self.outbox.dead)[-DEAD_SHOWN:][::-1]
        return [
            {"key": one.key, "sink": one.sink, "ts": one.done_ms, "attempts": one.attempts, "why": one.detail}
            for one in newest
        ]

    async def put_sink(self, name: str, content: object) -> None:
        """Set a sink up, or change it."""
        self._must_know_sinks()
        if name in BUILT_IN_SINKS:
            raise UsageError(f"{name} is built in and has no settings")
        sink = sink_of(content)
        if name not in self._sinks.sinks and len(self._sinks.sinks) >= SINKS_AT_MOST:
            raise UsageError(f"there are {SINKS_AT_MOST} sinks already; delete one first")
        await self._carrier.allowed(sink)
        await self._save(self._sinks.sinks | {name: sink})

    async def delete_sink(self, name: str) -> None:
        """Forget a sink that no rule names."""
        self._must_know_sinks()
        if name not in self._sinks.sinks:
            raise NotFoundError(f"there is no sink {name[:40]!r} that could be deleted")
        used = [str(watch.id) for watch in self.alerts.watches.values() if name in watch.rule.sinks]
        if used:
            raise UsageError(f"the sink {name} is named by rule {', '.join(used)}; take it out there first")
        await self._save({other: sink for other, sink in self._sinks.sinks.items() if other != name})

    def _must_know_sinks(self) -> None:
        self._must_be_ready()
        if self.sinks_refused:  # writing the file anew would lose what it holds
            raise UsageError(self.sinks_refused)

    async def _save(self, sinks: dict[str, Sink]) -> None:
        await asyncio.to_thread(self._sinks.save, sinks)

    async def test_sink(self, name: str) -> str:
        """Send one message to a sink now, once; why it failed, or "" where it arrived."""
        if name not in BUILT_IN_SINKS:
            self._must_know_sinks()
        if name not in self._sinks.sinks and name not in BUILT_IN_SINKS:
            raise NotFoundError(f"there is no sink {name[:40]!r}")
        if name in PAGE_SINKS:
            return "the page itself is this sink: it shows, plays and notifies what the stream tells it"
        now = _now_ms()
        notice = Notice(
            key=f"test:{name}:{now}", event="test", rule_id=0, revision=0, rule="Test", severity="info", sinks=(name,),
            text="this is a test message", exchange="", metric="", created_ms=now,
        )  # fmt: skip
        try:
            await self._send(name, notice, 1)
        except DeliveryError as error:
            return str(error)
        return ""

    async def retry_sink(self, name: str) -> int:
        """Send again what was laid aside of a sink; how many messages that is."""
        self._must_be_ready()
        deliveries, count = self.outbox.retry(name)
        await within(self._writer.put(Batch(waiting=deliveries)))
        self.outbox.add(deliveries)
        return count


def _newest_first(one: Episode) -> tuple[int, str]:
    return -one.fired_ms, one.key


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
