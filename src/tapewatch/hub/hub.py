"""The hub: live topics, one publisher, and clients that never queue.

A topic lives from its first subscriber to its last. What it sends is built once and given to all who listen, in one
pass, as long as their transports take it. A client holds at most one message a topic: while that one waits for the
client's transport, the next marks the client *behind*, and when it drains it gets a snapshot of the newest state
instead of what it missed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..model.errors import UsageError
from ..model.latency import Latency
from .pace import SLOWEST_S, Governor

log = logging.getLogger(__name__)

LATE_FADES = 0.999
"""Factor a refresh: at some tens of refreshes a second the worst lateness is forgotten after a minute or so."""
FAILED_AGAIN_S = 5.0
"""How long a topic that raised is left alone."""

Payload = bytes | str
"""One websocket message: binary or text."""
Payloads = tuple[Payload, ...]


class Topic(Protocol):
    """Something that changes and can be shown: a pure view of the engines, refreshed at its own pace."""

    @property
    def key(self) -> str:
        """Canonical name: equal keys are one topic. Its second part, where there is one, is the venue."""

    @property
    def period_s(self) -> float:
        """Least time between two refreshes."""

    def refresh(self) -> Payloads:
        """Look at the engines; messages that bring a client from the last refresh to now, none when nothing changed."""

    def snapshot(self) -> Payloads:
        """Messages that bring any client to the state of the last refresh; none when there is nothing to show yet."""

    def close(self) -> None:
        """The last subscriber has left: give back what the engines keep for this topic alone."""


class Outlet(Protocol):
    """A client's transport. When it is ready again after a refusal, whoever owns it calls `Client.flush`."""

    @property
    def ready(self) -> bool:
        """Whether it would take messages now."""

    def send_all(self, payloads: Payloads) -> bool:
        """Take messages and return at once, or refuse all of them because earlier ones still wait."""


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
    faults: int = 0
    """Refreshes that raised: a defect of ours in one topic, which costs only its own subscribers."""
    late_ms_max: float = 0.0
    """Longest that a refresh came after its time, over the last minute or so."""


class _Channel:
    """A topic with its subscribers."""

    def __init__(self, make: Callable[[], Topic], now: float, latency: Latency | None) -> None:
        self._make = make
        self.topic = make()
        self.subscriptions: dict[_Subscription, None] = {}
        """In order of arrival: they lie in memory as they came, and are walked that way a thousand at a time."""
        self.due = now + self.topic.period_s
        self.failing = False
        self._latency = latency
        self._snapshot: Payloads | None = None

    def refresh(self, stats: HubStats, clock: Callable[[], float]) -> None:
        payloads = self.topic.refresh()
        if self.failing:
            self._begin_anew()
            return
        if not payloads:
            return
        self._snapshot = None
        stats.built += len(payloads)
        stats.built_bytes += sum(map(len, payloads))
        built = clock()
        taken = 0
        for subscription in self.subscriptions:
            if subscription.flows and subscription.send(payloads):
                taken += 1
            else:
                subscription.hold(payloads, stats)
        stats.delivered += taken * len(payloads)
        if self._latency is not None and taken:
            self._latency.stages["hub"].add((built - self.due) * 1000)
            self._latency.stages["send"].add((clock() - built) * 1000)

    def _begin_anew(self) -> None:
        """After a fault nobody knows what a delta would continue: everybody gets a snapshot."""
        self.failing = False
        self._snapshot = None
        for subscription in self.subscriptions:
            subscription.renew()

    def renew(self) -> None:
        """Make the topic anew; every subscriber gets its snapshot."""
        self.topic.close()
        self.topic = self._make()
        self.topic.refresh()
        self._begin_anew()

    def snapshot(self, stats: HubStats) -> Payloads:
        if self._snapshot is None:
            self._snapshot = self.topic.snapshot()
            stats.snapshots += 1
        return self._snapshot


class _Subscription:
    """One client on one topic: at most one message waits here."""

    __slots__ = ("_behind", "_client", "_queued", "_waiting", "channel", "flows", "ids", "send")

    def __init__(self, client: Client, channel: _Channel) -> None:
        self._client = client
        self.send = client.send
        self.channel = channel
        self.ids: set[int] = set()
        self._waiting: Payloads | None = None
        self._behind = True  # a new client is one that has missed everything so far
        self._queued = False
        self.flows = False
        """Whether updates may go straight to the transport: none waits, and none was missed."""

    def hold(self, payloads: Payloads, stats: HubStats) -> None:
        """Let an update wait that the transport did not take, or replace what waits already by newer state."""
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
            self._queued, self.flows = True, False
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
        self.flows = not self._behind
        return payloads or ()


def _refuse(_: Payloads) -> bool:
    return False


class Client:
    """One connection: subscriptions by the client's own numbers, and the messages that wait for its transport."""

    def __init__(self, hub: Hub, outlet: Outlet | None) -> None:
        self._hub = hub
        self._outlet = outlet
        self.send: Callable[[Payloads], bool] = _refuse if outlet is None else outlet.send_all
        """Gives messages to the transport if it takes them now. Whoever has none is asked by `take`."""
        self._by_key: dict[str, _Subscription] = {}
        self._by_id: dict[int, _Subscription] = {}
        self._line: deque[_Subscription] = deque()
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
            channel.subscriptions[subscription] = None
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
            subscription.channel.subscriptions.pop(subscription, None)
            self._hub.close_if_unused(key)

    def close(self) -> None:
        """End all subscriptions."""
        for number in list(self._by_id):
            self.unsubscribe(number)
        self._hub.clients.discard(self)

    def lined_up(self, subscription: _Subscription) -> None:
        self._line.append(subscription)
        self.flush()

    def flush(self) -> None:
        """The transport may take messages again: give it what waits."""
        while self._outlet is not None and self._line and self._outlet.ready:
            if payloads := self.take():
                self._outlet.send_all(payloads)

    def take(self) -> Payloads:
        """The next messages for the transport, none when nothing waits. Send them before taking again."""
        while self._line:
            subscription = self._line.popleft()
            try:
                payloads = subscription.take(self._hub.stats)
            except Exception as error:  # noqa: BLE001  (one topic's defect, logged and counted)
                self._hub.failed(subscription.channel, error)
                continue
            if payloads:
                self._hub.stats.delivered += len(payloads)
                return payloads
        return ()


class Hub:
    """All live topics and clients of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.stats = HubStats()
        self.clients: set[Client] = set()
        self.latency: Mapping[str, Latency] = {}
        """Where the stages behind the engines are counted, by venue."""
        self.governor = Governor()
        """Slows all topics down when the event loop cannot carry them."""
        self._channels: dict[str, _Channel] = {}
        self._changed = asyncio.Event()
        self.running = False
        """Whether the publisher runs; without it no topic moves."""

    @property
    def topics(self) -> list[str]:
        """Keys of the live topics."""
        return list(self._channels)

    @property
    def failing(self) -> list[str]:
        """Keys of the topics whose last refresh raised."""
        return [key for key, channel in self._channels.items() if channel.failing]

    def connect(self, outlet: Outlet | None = None) -> Client:
        """Register a new client; close it in the end."""
        client = Client(self, outlet)
        self.clients.add(client)
        return client

    def open(self, key: str, make: Callable[[], Topic]) -> _Channel:
        """The live channel of a topic; made, with its first state, when there is none."""
        channel = self._channels.get(key)
        if channel is None:
            venue = key.split(":")[1] if ":" in key else ""
            channel = _Channel(make, self._clock(), self.latency.get(venue))
            channel.refresh(self.stats, self._clock)
            self._channels[key] = channel
            self._changed.set()
        return channel

    def close_if_unused(self, key: str) -> None:
        """Drop a topic after its last subscriber."""
        channel = self._channels.get(key)
        if channel is not None and not channel.subscriptions:
            del self._channels[key]
            channel.topic.close()

    def renew(self) -> None:
        """Begin every topic anew, with a snapshot: what they show has been replaced by another state (a seek back)."""
        for channel in self._channels.values():
            try:
                channel.renew()
            except Exception as error:  # noqa: BLE001  (as in `publish_if_due`)
                self.failed(channel, error)

    async def run(self) -> None:
        """Publish until cancelled: every topic at its own pace, or at the one that the governor allows."""
        self.running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.governor.run())
                tasks.create_task(self._publish())
        finally:
            self.running = False

    async def _publish(self) -> None:
        while True:
            await self._until_due()
            for channel in list(self._channels.values()):
                if self.publish_if_due(channel):
                    await asyncio.sleep(0)  # sockets are read between two topics

    def publish_if_due(self, channel: _Channel) -> bool:
        """Refresh a topic whose time has come; whether it had."""
        now = self._clock()
        if channel.due > now or not channel.subscriptions:
            return False
        late_ms = (now - channel.due) * 1000
        self.stats.late_ms_max = max(self.stats.late_ms_max * LATE_FADES, late_ms)
        period = self._period(channel.topic.period_s)
        try:
            channel.refresh(self.stats, self._clock)
        except Exception as error:  # noqa: BLE001  (one topic's defect costs nobody else)
            self.failed(channel, error)
            period = max(period, FAILED_AGAIN_S)
        # On the beat where we can; after a pause, from now on: what was missed is not made up for.
        beat = channel.due + period
        channel.due = beat if beat > now else now + period
        return True

    def _period(self, own_s: float) -> float:
        return max(own_s, min(own_s * self.governor.tier.pace, SLOWEST_S))

    def failed(self, channel: _Channel, error: Exception) -> None:
        """Count what a topic has raised; one line in the log while it lasts."""
        self.stats.faults += 1
        if not channel.failing:
            log.error("topic_failed key=%s", channel.topic.key, exc_info=error)
        channel.failing = True

    async def _until_due(self) -> None:
        """Wait for the next topic's time, or for a new topic, whose time may be earlier."""
        self._changed.clear()
        due = min((channel.due for channel in self._channels.values()), default=None)
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            return
