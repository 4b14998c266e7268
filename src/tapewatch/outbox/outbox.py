"""The outbox: every message reaches every sink of its rule at least once, or is laid aside with a sentence.

A message is kept before it is sent and struck out after it has arrived. Whatever dies between the two, the message is
sent again under the same key. Messages of one rule arrive at a sink in their order; a sink that hangs delays nobody
else's.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import msgspec

from ..alerts.episode import Notice
from ..config import AlertsConfig
from ..store.alerts import Batch, Delivery, Settled
from .sinks import DeliveryError

log = logging.getLogger(__name__)

WAITING_AT_MOST = 20_000
"""Messages that wait or are being sent; one more is laid aside at once, and counted."""
AT_ONCE = 4
"""Attempts at one sink at a time, each of another rule."""
DEAD_KEPT = 1_000
LONGEST_PAUSE_S = 600.0
KEEP_WITHIN_S = 2.0
"""A message does not wait longer than this for the database: an alert that comes is worth more than its record."""

Send = Callable[[str, Notice, int], Awaitable[None]]
"""Carries a message to the sink of a name: one attempt, DeliveryError where it fails."""
Keep = Callable[[Batch], "asyncio.Future[None]"]
"""Has a batch written; the future is done when it is, or at once while the database is away."""


@dataclass(slots=True)
class SinkStats:
    """One sink since the start."""

    delivered: int = 0
    failed: int = 0
    """Attempts in vain."""
    dead: int = 0
    last_ok_ms: int | None = None
    last_error: str = ""
    """Of the newest attempt; empty: it arrived."""


@dataclass(slots=True)
class _Lane:
    """One sink: its messages by rule, each with a task that sends them one after the other."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    queues: dict[int, deque[Delivery]] = field(default_factory=dict)
    stats: SinkStats = field(default_factory=SinkStats)

    def waiting(self) -> int:
        return sum(map(len, self.queues.values()))


class Outbox:
    """Messages under way. Start it with `run`; `add` before or after."""

    def __init__(self, config: AlertsConfig, send: Send, keep: Keep, *, seed: int | None = None) -> None:
        self._config = config
        self._send = send
        self._keep = keep
        self._jitter = random.Random(seed)  # noqa: S311  (spreads retries, hides nothing)
        self._lanes: dict[str, _Lane] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._number = 0
        self.dead: deque[Settled] = deque(maxlen=DEAD_KEPT)
        """Laid aside, oldest first."""

    def __len__(self) -> int:
        return sum(lane.waiting() for lane in self._lanes.values())

    @property
    def stats(self) -> dict[str, SinkStats]:
        """By sink."""
        return {name: lane.stats for name, lane in self._lanes.items()}

    def waiting(self, sink: str) -> int:
        """Messages for one sink that have not arrived."""
        lane = self._lanes.get(sink)
        return 0 if lane is None else lane.waiting()

    def restore(self, waiting: list[Delivery], dead: list[Settled]) -> None:
        """Go on with what an earlier program left."""
        self.dead.extend(reversed(dead))
        for delivery in waiting:
            self._number = max(self._number, delivery.number)
            self._lane(delivery.sink).queues.setdefault(delivery.rule_id, deque()).append(delivery)

    def prepare(self, notice: Notice, sinks: tuple[str, ...]) -> tuple[list[Delivery], list[Settled]]:
        """What is to be kept before `add`: a message for each sink; beyond the bound they are laid aside."""
        now = _now_ms()
        content = msgspec.json.encode(notice).decode()
        made: list[Delivery] = []
        for sink in sinks:
            self._number += 1
            made.append(Delivery(notice.key, sink, self._number, notice.rule_id, content, now, now))
        if len(self) + len(made) <= WAITING_AT_MOST:
            return made, []
        return [], [self._lay_aside(one, f"{WAITING_AT_MOST:,} messages were waiting already") for one in made]

    def add(self, deliveries: list[Delivery]) -> None:
        """Send these, after those before them."""
        for delivery in deliveries:
            queues = self._lane(delivery.sink).queues
            idle = delivery.rule_id not in queues
            queues.setdefault(delivery.rule_id, deque()).append(delivery)
            if idle and self._tasks is not None:
                self._tasks.create_task(self._drain(delivery.sink, delivery.rule_id))

    def retry(self, sink: str) -> tuple[list[Delivery], int]:
        """Take what was laid aside of a sink up again; for `add`, and how many."""
        again = [one for one in self.dead if one.sink == sink]
        self.dead = deque((one for one in self.dead if one.sink != sink), maxlen=DEAD_KEPT)
        now = _now_ms()
        made = []
        for one in again:
            self._number += 1
            made.append(Delivery(one.key, sink, self._number, one.rule_id, one.content, one.created_ms, now))
        return made, len(made)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for sink, lane in self._lanes.items():
                for rule_id in lane.queues:
                    tasks.create_task(self._drain(sink, rule_id))
            await asyncio.Event().wait()

    def _lane(self, sink: str) -> _Lane:
        return self._lanes.setdefault(sink, _Lane())

    async def _drain(self, sink: str, rule_id: int) -> None:
        """Send the messages of one rule to one sink, in order, until there are no more."""
        lane = self._lane(sink)
        queue = lane.queues[rule_id]
        while queue:
            delivery = queue[0]
            # A clock that was set back must not make a pause longer than any is.
            await asyncio.sleep(min(max(0.0, (delivery.due_ms - _now_ms()) / 1000), LONGEST_PAUSE_S))
            async with lane.turns:
                batch = await self._attempt(lane.stats, delivery)
                if batch.settled:
                    queue.popleft()
                await within(self._keep(batch))
        lane.queues.pop(rule_id, None)

    async def _attempt(self, stats: SinkStats, delivery: Delivery) -> Batch:
        """Try once; what is to be noted of it."""
        delivery.attempts += 1
        try:
            notice = msgspec.json.decode(delivery.content, type=Notice)
            await self._send(delivery.sink, notice, delivery.attempts)
        except DeliveryError as error:
            return self._failed(stats, delivery, error)
        except Exception as error:
            log.exception("alert_sink_failed sink=%s", delivery.sink)  # a defect of ours: no other message pays for it
            return self._failed(stats, delivery, DeliveryError(f"an error of ours ({type(error).__name__})"))
        stats.delivered += 1
        stats.last_ok_ms, stats.last_error = _now_ms(), ""
        return Batch(settled=[_settled(delivery, "")])

    def _failed(self, stats: SinkStats, delivery: Delivery, error: DeliveryError) -> Batch:
        stats.failed += 1
        stats.last_error = delivery.error = str(error)
        if error.final or delivery.attempts >= self._config.attempts:
            return Batch(settled=[self._lay_aside(delivery, str(error))])
        delivery.due_ms = _now_ms() + round(1000 * self._pause_s(delivery.attempts, error.after_s))
        return Batch(waiting=[replace(delivery)])

    def _pause_s(self, attempts: int, after_s: float) -> float:
        """Twice as long each time, with jitter: sinks that fail together are not tried together."""
        pause_s = min(self._config.retry_s * 2.0 ** (attempts - 1), LONGEST_PAUSE_S)
        return max(pause_s * self._jitter.uniform(0.5, 1.0), min(after_s, LONGEST_PAUSE_S))

    def _lay_aside(self, delivery: Delivery, why: str) -> Settled:
        times = f"after {delivery.attempts} attempts: " if delivery.attempts else ""
        settled = _settled(delivery, f"not delivered {times}{why}")
        self.dead.append(settled)
        self._lane(delivery.sink).stats.dead += 1
        log.warning("alert_not_delivered sink=%s key=%s reason=%r", delivery.sink, delivery.key, settled.detail)
        return settled


async def within(kept: asyncio.Future[None]) -> None:
    """Wait until something is written, but not long for a slow database."""
    await asyncio.wait([kept], timeout=KEEP_WITHIN_S)


def _settled(delivery: Delivery, detail: str) -> Settled:
    """A message that has arrived, or that nobody tries any more and why."""
    return Settled(
        delivery.key, delivery.sink, delivery.rule_id, "dead" if detail else "delivered", delivery.content,
        delivery.attempts, delivery.created_ms, _now_ms(), detail,
    )  # fmt: skip


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
