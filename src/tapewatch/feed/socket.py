"""One planned websocket, kept alive: opened again when it fails, replaced before the venue cuts it."""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Protocol

import msgspec

from .backoff import Backoff
from .connection import ConnectError, Connection
from .gate import Gate
from .plan import SocketPlan, Stream, changes
from .reasons import UNREADABLE
from .status import SocketStatus
from .watchdog import NEVER, SocketWatch, Track, Watchdog
from .wire import Wire

log = logging.getLogger(__name__)

OPEN_WITHIN_S = 10.0
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 60.0
STEADY_S = 5.0
"""Data must have flowed for so long before the next failure counts as the first one again."""
QUIET_BUT_UP_S = 30.0
"""An acknowledged socket without data is no longer reported as lost after so long."""
LIFETIME_S = 23 * 3600.0
"""The venue cuts at 24 h."""
LIFETIME_JITTER = 0.04
"""So that not all sockets are replaced in the same minute: up to 55 minutes earlier."""
OVERLAP_AT_LEAST_S = 3.0
OVERLAP_AT_MOST_S = 30.0
ROTATE_AGAIN_S = 300.0
BACKLOG_S = 0.25
"""More than is read in this time waits unread: we are behind."""
ANSWER_TICKS = 10
"""Seconds that a command may stay unanswered."""


class Reader(Protocol):
    """Who gets what sockets bring and is told what happens to them."""

    def on_read(self, buffer: bytearray, ends: array[int], recv_ns: int) -> None:
        """Messages of one socket read, before they are gone."""

    def on_confirmed(self, streams: Sequence[Stream]) -> None:
        """The venue has acknowledged these streams on a connection that is in use."""

    def on_lost(self, socket: Socket) -> None:
        """Streams of this socket no longer come; what was missed is missing."""

    def venue_ms(self) -> int:
        """The venue's clock."""


class Socket:
    """Keeps the streams of one `SocketPlan` flowing. `run` ends only by cancellation or by a defect of ours."""

    def __init__(
        self,
        plan: SocketPlan,
        url: str,
        wire: Wire,
        watch: SocketWatch,
        dog: Watchdog,
        reader: Reader,
        *,
        random: Random,
        gate: Gate,
        clock: Callable[[], int] = time.time_ns,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self.plan = plan
        self.url = url
        self.wire = wire
        self.watch = watch
        self.dog = dog
        self.reconnects = 0
        self.rotations = 0
        self.frames = 0
        self.strangers = 0
        """Frames of streams that nobody asked for (any more)."""
        self.detail = ""
        self._reader = reader
        self._random = random
        self._gate = gate
        self._clock = clock
        self._lifetime_s = lifetime_s
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random)
        self._connection: Connection | None = None
        self._successor: Connection | None = None
        self._rotation: asyncio.Timeout | None = None
        """Ends the wait on the current connection when it is time to replace it."""
        self._covered: asyncio.Event | None = None
        self._overlapped_s = 0.0
        self._held: list[tuple[bytearray, array[int], int]] = []
        """Reads of the successor that wait for older ones of the current connection."""
        self._data_since: float | None = None
        self._last_data: float | None = None
        self._used_at = 0.0
        self._read_bytes = 0
        """Since `weigh` was last called."""
        self._lost_at: float | None = None
        self._asked_to_leave = False

    # -- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, serve, and connect again."""
        try:
            while True:
                try:
                    self._use(await self._open())
                except ConnectError as error:
                    self._failed(str(error))
                else:
                    self._lost(await self._serve())
                await asyncio.sleep(self._backoff.next_s())
        finally:
            for connection in self._connections():
                connection.abort("we are stopping")

    def _connections(self) -> list[Connection]:
        return [connection for connection in (self._connection, self._successor) if connection is not None]

    async def _open(self) -> Connection:
        connection = Connection(self._on_read, self._on_confirmed, self.wire)
        async with self._gate:
            await connection.open(self.url, OPEN_WITHIN_S)
        connection.subscribe(stream.name for stream in self.plan.streams)
        return connection

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._asked_to_leave = False
        self._data_since, self._used_at = None, asyncio.get_running_loop().time()
        self.dog.opened(self.plan.name)

    async def _serve(self) -> str:
        """Stay until the connection is gone, replacing it in time; returns why it ended."""
        loop = asyncio.get_running_loop()
        rotate_at = loop.time() + self._lifetime()
        while True:
            connection = self._current()
            try:
                async with asyncio.timeout_at(rotate_at) as self._rotation:
                    await connection.wait_closed()
            except TimeoutError:
                replaced = await self._rotate(connection)
                rotate_at = loop.time() + (self._lifetime() if replaced else ROTATE_AGAIN_S)
                continue
            finally:
                self._rotation = None
            if connection.fault is not None:
                raise connection.fault
            return connection.why

    def _lifetime(self) -> float:
        return self._lifetime_s * (1 - LIFETIME_JITTER * self._random.random())

    def _current(self) -> Connection:
        if self._connection is None:
            raise RuntimeError(f"{self.plan.name} serves no connection")
        return self._connection

    async def _rotate(self, old: Connection) -> bool:
        """Open a successor, wait until it delivers all that the old one does, close the old one.

        Meanwhile both deliver; who applies the messages knows duplicates by their ids. What the new one brings waits
        while the old one has something unread: it may be older, and a book takes no update before the one it follows.
        """
        try:
            new = self._successor = await self._open()
        except ConnectError as error:
            log.warning("rotation_failed socket=%s reason=%r", self.plan.name, str(error))
            return False
        old.delivered, new.delivered = set(), set()
        self._covered, self._overlapped_s = asyncio.Event(), 0.0
        ends = [
            asyncio.ensure_future(waiting) for waiting in (self._covered.wait(), old.wait_closed(), new.wait_closed())
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            old.delivered = new.delivered = self._covered = self._successor = None
            self._deliver_held()
        fault = old.fault or new.fault
        if fault is not None:
            raise fault
        if new.is_closed or (new.unanswered and not old.is_closed):
            await new.close("not needed")
            log.warning("rotation_failed socket=%s reason=%r", self.plan.name, new.why)
            return False
        self._connection = new
        self._asked_to_leave = False
        self.rotations += 1
        self._on_confirmed(new, tuple(new.acknowledged))  # nobody was told while the old one was in use
        await old.close("replaced")
        log.info("socket_rotated socket=%s", self.plan.name)
        return True

    def _failed(self, reason: str) -> None:
        self.watch.failing = True
        if not self.detail:
            log.warning("socket_down socket=%s reason=%r", self.plan.name, reason)
        self.detail = reason
        self._lost_at = self._lost_at or asyncio.get_running_loop().time()

    def _lost(self, reason: str) -> None:
        self._connection = None
        self.reconnects += 1
        if not self.detail:
            log.warning("socket_lost socket=%s reason=%r", self.plan.name, reason)
        self.detail = reason
        self._lost_at = self._lost_at or asyncio.get_running_loop().time()
        self.dog.lost(self.plan.name)
        self._reader.on_lost(self)

    # -- what others ask of it ----------------------------------------------------------------------------------

    def follow(self, plan: SocketPlan) -> None:
        """Carry another set of streams from now on; what stays is not touched."""
        change = changes(self.plan, plan)
        self.plan = plan
        gone = [stream.name for stream in change.unsubscribe]
        new = [stream.name for stream in change.subscribe]
        for connection in self._connections():
            self._command(connection, gone, new)

    def subscribe_again(self, streams: Iterable[Stream]) -> None:
        """Ask once more for streams that are acknowledged and silent."""
        names = [stream.name for stream in streams]
        if self._connection is not None:
            self._command(self._connection, names, names)

    def _command(self, connection: Connection, gone: Sequence[str], new: Sequence[str]) -> None:
        """Give streams up and ask for others; where the venue takes no more commands, on a new connection."""
        if connection.has_commands_for(gone, new):
            connection.unsubscribe(gone)
            connection.subscribe(new)
        else:
            log.info("socket_out_of_commands socket=%s", self.plan.name)
            self.replace()

    def replace(self) -> None:
        """Open a new connection and then close this one, as before the venue's own cut."""
        if self._rotation is not None:
            self._rotation.reschedule(asyncio.get_running_loop().time())

    def reconnect(self, reason: str) -> None:
        """Give this connection up."""
        if self._connection is not None:
            self._connection.abort(reason)

    def weigh(self, seconds: float, *, late: bool) -> None:
        """Once in so many seconds, before silence is judged: whether data waits for us. `late`: our loop is behind."""
        unread = max((connection.unread_bytes() for connection in self._connections()), default=0)
        self.watch.behind = late or unread * seconds > self._read_bytes * BACKLOG_S
        self._read_bytes = 0

    def tick(self, seconds: float) -> None:
        """Once a second: unanswered commands, steady data, progress of an overlap."""
        for connection in self._connections() if not self.watch.behind else ():
            reason = connection.tick(ANSWER_TICKS)
            if reason is not None:
                connection.abort(reason)
        if self._connection is not None:
            self._settle(asyncio.get_running_loop().time(), self._connection)
        if self._covered is not None:
            self._let_held_go()
            self._overlapped_s += seconds
            if self._overlapped_s >= OVERLAP_AT_MOST_S or self._is_covered():
                self._covered.set()

    def _settle(self, now: float, connection: Connection) -> None:
        """Decide whether a failure is over. Only data says that the next one would be a new one."""
        steady = self._data_since is not None and (self._last_data or 0.0) - self._data_since >= STEADY_S
        if steady:
            self._backoff.reset()
        if self._lost_at is None or connection.unanswered:
            return
        if steady or now - self._used_at >= QUIET_BUT_UP_S:
            log.info("socket_back socket=%s after_s=%.1f", self.plan.name, now - self._lost_at)
            self._lost_at, self.detail = None, ""

    def _is_covered(self) -> bool:
        """Everything the old connection has delivered since the overlap began, the new one has delivered too."""
        old, new = self._connection, self._successor
        if self._held or old is None or new is None or old.delivered is None or new.delivered is None:
            return False
        return self._overlapped_s >= OVERLAP_AT_LEAST_S and not new.unanswered and old.delivered <= new.delivered

    def status(self) -> SocketStatus:
        age = None if self._last_data is None else (asyncio.get_running_loop().time() - self._last_data) * 1000
        return SocketStatus(
            name=self.plan.name,
            route=self.plan.route,
            state=self.dog.state(self.watch),
            streams=len(self.plan.streams),
            confirmed=sum(track.heard > NEVER for track in self.watch.tracks.values()),
            data_age_ms=age,
            lag_ms=self.watch.lag_ms,
            reconnects=self.reconnects,
            rotations=self.rotations,
            frames=self.frames,
            detail=self._words(),
        )

    def _words(self) -> str:
        if self.detail:
            return self.detail
        refused = self._connection.refused if self._connection is not None else {}
        for name, words in refused.items():
            return f"the venue refuses {name}: {words}"
        return ""

    # -- what the connection tells ------------------------------------------------------------------------------

    def _on_confirmed(self, connection: Connection, names: tuple[str, ...]) -> None:
        if connection is self._connection:
            self.dog.confirmed(self.plan.name, names)
            wanted = set(names)
            self._reader.on_confirmed([stream for stream in self.plan.streams if stream.name in wanted])

    def _on_read(self, connection: Connection, buffer: bytearray, ends: array[int]) -> None:
        """Count each message for its stream, then hand all of them on at once."""
        recv_ns = self._clock()
        counter = self.watch.counter
        dropped: list[int] = []
        others = k = 0
        while True:
            # While two connections are compared every message is looked at.
            k = counter.count(buffer, ends, k) if connection.delivered is None and counter is not None else k
            if k == len(ends):
                break
            start = ends[k - 1] if k else 0
            track = self._track(buffer, start, ends[k])
            if track is not None:
                wanted = self._take(connection, track, buffer, ends, k)
            else:
                others += 1
                wanted = self._other(connection, bytes(buffer[start : ends[k]]))
            if not wanted:
                dropped.append(k)
            k += 1
        self.frames += len(ends)
        self._read_bytes += len(buffer)
        if others < len(ends):
            self._note_data(buffer, ends)
        if dropped:
            _drop(buffer, ends, dropped)
        if not ends:  # a pong may come alone
            return
        if connection is self._successor and (self._held or self._is_behind()):
            self._held.append((buffer[:], ends, recv_ns))
            return
        self._reader.on_read(buffer, ends, recv_ns)
        if self._held:
            self._let_held_go()

    def _is_behind(self) -> bool:
        """Whether the current connection has something for us that we have not read."""
        return self._connection is not None and self._connection.unread_bytes() > 0

    def _let_held_go(self) -> None:
        """Deliver what the successor has brought, if nothing older can be waiting."""
        if self._held and not self._is_behind():
            self._deliver_held()

    def _deliver_held(self) -> None:
        held, self._held = self._held, []
        for buffer, ends, recv_ns in held:
            self._reader.on_read(buffer, ends, recv_ns)

    def _track(self, buffer: bytearray, start: int, end: int) -> Track | None:
        """The stream of ours that a message belongs to, whatever the order of its keys and the spelling of its name."""
        prefix, stop = self.wire.heading.prefix, self.wire.heading.end
        if buffer.startswith(prefix, start):
            begin = start + len(prefix)
            name: bytes | None = bytes(buffer[begin : buffer.find(stop, begin, end)])
        else:
            name = self.wire.name_in(buffer, start, end)
        if name is None:
            return None
        return self.watch.tracks.get(name) or self._by_other_spelling(name)

    def _other(self, connection: Connection, frame: bytes) -> bool:
        """A message of no stream of ours: an answer, or data that nobody wants any more. False: nobody else cares."""
        if frame.startswith(self.wire.heading.prefix):
            self.strangers += 1
        wanted = connection.answered(frame)
        if connection.leaving and not self._asked_to_leave:
            self._asked_to_leave = True
            log.info("socket_leaves socket=%s reason=%r", self.plan.name, connection.leaving)
            self.replace()
        return wanted

    def _take(self, connection: Connection, track: Track, buffer: bytearray, ends: array[int], k: int) -> bool:
        """Count message `k` for its stream; False when the stream's tap wants it dropped."""
        track.frames += 1
        if connection.delivered is not None:
            connection.delivered.add(track.stream.name)
        return track.tap is None or track.tap(bytes(buffer[ends[k - 1] if k else 0 : ends[k]]))

    def _by_other_spelling(self, name: bytes) -> Track | None:
        """A name with characters escaped as JSON allows, or of a stream that nobody wants any more."""
        if b"\\" in name:
            try:
                track = self.watch.tracks.get(msgspec.json.decode(b'"' + name + b'"', type=str).encode())
            except UNREADABLE:
                track = None
            return track
        return None

    def _note_data(self, buffer: bytearray, ends: array[int]) -> None:
        self._last_data = asyncio.get_running_loop().time()
        if self._data_since is None:
            self._data_since = self._last_data
        if self.watch.sample_due:
            event = self.wire.event_time.search(buffer, ends[-2] if len(ends) > 1 else 0)
            if event is not None:
                self.watch.sample_due = False
                self.dog.lag(self.watch, float(self._reader.venue_ms() - int(event[1])))


def _drop(buffer: bytearray, ends: array[int], dropped: Sequence[int]) -> None:
    """Take messages out of a read."""
    for k in reversed(dropped):
        start = ends[k - 1] if k else 0
        size = ends[k] - start
        del buffer[start : ends[k]]
        ends[k:] = array("q", [end - size for end in ends[k + 1 :]])
