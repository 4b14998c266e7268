"""The hub: live topics, one publisher, and clients that never queue.

A topic lives from its first subscriber to its last. What it sends is built once, whoever listens. A client holds at
most one message a topic: while that one waits for the client's transport, the next marks the client *behind*, and
when it drains it gets a snapshot of the newest state instead of what it missed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..model.errors import UsageError

log = logging.getLogger(__name__)

LATE_FADES = 0.999
"""Factor a refresh: at some tens of refreshes a second the worst lateness is forgotten after a minute or so."""

Payload = bytes | str
"""One websocket message: binary or text."""
Payloads = tuple[Payload, ...]


class Topic(Protocol):
    """Something that changes and can be shown: a pure view of the engines, refreshed at its own pace."""

    @property
    def key(self) -> str:
        """Canonical name: equal keys are one topic."""

    @property
    def period_s(self) -> float:
        """Least time between two refreshes."""

    def refresh(self) -> Payloads:
        """Look at the engines; messages that bring a client from the last refresh to now, none when nothing changed."""

    def snapshot(self) -> Payloads:
        """Messages that bring any client to the state of the last refresh; none when there is nothing to show yet."""


@dataclass(slots=True)
class HubStats:
    """What the hub has done since it started."""

    built: int = 0
    """Messages built by refreshes."""
    built_bytes: int = 0
    snapshots: int = 0
    """Snapshots built; one serves all clients that need it."""
    delivered: int = 0
    """Messages handed to a client's transport."""
    skipped: int = 0
    """Updates a client did not get because an earlier one still waited: it got newer state instead."""
    late_ms_max: float = 0.0
    """Longest that a refresh came after its time, over the last minute or so."""


class _Channel:
    """A topic with its subscribers."""

    def __init__(self, topic: Topic, due: float) -> None:
        self.topic = topic
        self.subscriptions: set[_Subscription] = set()
        self.due = due
        self._snapshot: Payloads | None = None

    def refresh(self, stats: HubStats) -> None:
        payloads = self.topic.refresh()
        if not payloads:
            return
        self._snapshot = None
        stats.built += len(payloads)
        stats.built_bytes += sum(map(len, payloads))
        for subscription in self.subscriptions:
            subscription.offer(payloads, stats)

    def snapshot(self, stats: HubStats) -> Payloads:
        if self._snapshot is None:
            self._snapshot = self.topic.snapshot()
            stats.snapshots += 1
        return self._snapshot


class _Subscription:
    """One client on one topic: at most one message waits here."""

    __slots__ = ("_behind", "_client", "_queued", "_waiting", "channel", "ids")

    def __init__(self, client: Client, channel: _Channel) -> None:
        self._client = client
        self.channel = channel
        self.ids: set[int] = set()
        self._waiting: Payloads | None = None
        self._behind = True  # a new client is one that has missed everything so far
        self._queued = False

    def offer(self, payloads: Payloads, stats: HubStats) -> None:
        if self._queued:
            stats.skipped += 1
            self._client.skipped += 1
            self._waiting, self._behind = None, True
            return
        if not self._behind:
            self._waiting = payloads
        self.enqueue()

    def enqueue(self) -> None:
        """Line up for the transport, once."""
        if not self._queued:
            self._queued = True
            self._client.lined_up(self)

    def renew(self) -> None:
        """Forget what the client has: it gets a snapshot next."""
        self._waiting, self._behind = None, True
        self.enqueue()

    def take(self, stats: HubStats) -> Payloads:
        self._queued = False
        payloads = self.channel.snapshot(stats) if self._behind else self._waiting
        self._waiting = None
        self._behind = self._behind and not payloads
        return payloads or ()


class Client:
    """One connection: subscriptions by the client's own numbers, and the messages that wait for its transport."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._by_key: dict[str, _Subscription] = {}
        self._by_id: dict[int, _Subscription] = {}
        self._line: deque[_Subscription] = deque()
        self._wake = asyncio.Event()
        self.skipped = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def has(self, number: int) -> bool:
        """Whether the client uses this subscription number."""
        return number in self._by_id

    def subscribe(self, number: int, key: str, make: Callable[[], Topic]) -> None:
        """Subscribe under the client's own `number`; a snapshot comes first. `make` builds the topic if nobody has."""
        if number in self._by_id:
            raise UsageError(f"subscription {number} is in use; unsubscribe it first or choose another number")
        subscription = self._by_key.get(key)
        if subscription is None:
            channel = self._hub.open(key, make)
            subscription = self._by_key[key] = _Subscription(self, channel)
            channel.subscriptions.add(subscription)
        subscription.ids.add(number)
        self._by_id[number] = subscription
        subscription.renew()

    def unsubscribe(self, number: int) -> None:
        """End a subscription; the topic ends with its last."""
        subscription = self._by_id.pop(number, None)
        if subscription is None:
            raise UsageError(f"there is no subscription {number}")
        subscription.ids.discard(number)
        if not subscription.ids:
            key = subscription.channel.topic.key
            del self._by_key[key]
            if subscription in self._line:
                self._line.remove(subscription)
            subscription.channel.subscriptions.discard(subscription)
            self._hub.close_if_unused(key)

    def close(self) -> None:
        """End all subscriptions."""
        for number in list(self._by_id):
            self.unsubscribe(number)
        self._hub.clients.discard(self)

    def lined_up(self, subscription: _Subscription) -> None:
        self._line.append(subscription)
        self._wake.set()

    def take(self) -> Payloads:
        """The next messages for the transport, none when nothing waits. Send them before taking again."""
        while self._line:
            payloads = self._line.popleft().take(self._hub.stats)
            if payloads:
                self._hub.stats.delivered += len(payloads)
                return payloads
        return ()

    async def next(self) -> Payloads:
        """Wait for the next messages."""
        while True:
            self._wake.clear()
            if payloads := self.take():
                return payloads
            await self._wake.wait()


class Hub:
    """All live topics and clients of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.stats = HubStats()
        self.clients: set[Client] = set()
        self._channels: dict[str, _Channel] = {}
        self._changed = asyncio.Event()
        self.running = False
        """Whether the publisher runs; without it no topic moves."""

    @property
    def topics(self) -> list[str]:
        """Keys of the live topics."""
        return list(self._channels)

    def connect(self) -> Client:
        """Register a new client; close it in the end."""
        client = Client(self)
        self.clients.add(client)
        return client

    def open(self, key: str, make: Callable[[], Topic]) -> _Channel:
        """The live channel of a topic; made, with its first state, when there is none."""
        channel = self._channels.get(key)
        if channel is None:
            topic = make()
            channel = _Channel(topic, self._clock() + topic.period_s)
            channel.refresh(self.stats)
            self._channels[key] = channel
            self._changed.set()
        return channel

    def close_if_unused(self, key: str) -> None:
        """Drop a topic after its last subscriber."""
        channel = self._channels.get(key)
        if channel is not None and not channel.subscriptions:
            del self._channels[key]

    async def run(self) -> None:
        """Publish until cancelled: every topic at its own pace, one after the other."""
        self.running = True
        try:
            while True:
                await self._until_due()
                for channel in list(self._channels.values()):
                    if self.publish_if_due(channel):
                        await asyncio.sleep(0)  # sockets are read between two topics
        except Exception:
            log.exception("publisher_stopped")
            raise
        finally:
            self.running = False

    def publish_if_due(self, channel: _Channel) -> bool:
        """Refresh a topic whose time has come; whether it had."""
        now = self._clock()
        if channel.due > now or not channel.subscriptions:
            return False
        late_ms = (now - channel.due) * 1000
        self.stats.late_ms_max = max(self.stats.late_ms_max * LATE_FADES, late_ms)
        # On the beat where we can; after a pause, from now on: what was missed is not made up for.
        beat = channel.due + channel.topic.period_s
        channel.due = beat if beat > now else now + channel.topic.period_s
        channel.refresh(self.stats)
        return True

    async def _until_due(self) -> None:
        """Wait for the next topic's time, or for a new topic, whose time may be earlier."""
        self._changed.clear()
        due = min((channel.due for channel in self._channels.values()), default=None)
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            return
