"""The multiplexed stream as docs/stream.md describes it: snapshots and deltas in order, whatever the connection does.

    async with Stream() as stream:
        await stream.subscribe("whales", exchange="all")
        async for subscription, frame in stream:
            ...

Frames are read when they are asked for: a consumer that is slow makes the server skip what is outdated and send a
snapshot, so nothing queues up here beyond the few frames the websocket library holds. A delta that does not continue
what was delivered is never delivered: the topic is subscribed anew and its next frame is a snapshot. A lost connection
comes back by itself with all subscriptions; what cannot get better (no access) is raised.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from .address import DEFAULT_URL, Address
from .errors import AccessError, ForeignServerError, UnreachableError, error_of

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 15.0
CONNECT_WITHIN_S = 10.0
PING_EVERY_S = 2.0
SILENCE_S = 8.0
"""Every ping is answered: this long without a byte and the connection is dead, whatever TCP thinks."""
SNAPSHOT_WITHIN_S = 10.0
REFUSED_RETRY_S = 3.0
LARGEST_FRAME = 64 << 20
FRAMES_AHEAD = 8
"""Held by the websocket library before it stops reading and the server begins to skip."""
ROUND_TRIP_SLACK_MS = 20
BROKEN = (ForeignServerError, UnreachableError)
"""What is found while reading, after which only a new connection helps."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "f8": np.dtype("<f8"),
    "i4": np.dtype("<i4"),
    "u2": np.dtype("<u2"),
    "u1": np.dtype("u1"),
}
_HEAD = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a topic: `snapshot` replaces what was known, `delta` continues it.

    Numbers of `meta` that have a point are `Decimal`, digit by digit what the server printed; `columns` are read-only.
    """

    type: str
    seq: int
    prev: int | None
    server_ms: int
    meta: dict[str, Any]
    columns: dict[str, NDArray[Any]]


@dataclass(slots=True, eq=False)
class Subscription:
    """What was asked for, and how it stands."""

    topic: str
    params: dict[str, Any]
    refused: str = ""
    """Why the server does not tell it, in its own sentence; it is asked again every few seconds."""
    frame_at: float | None = None
    """`time.monotonic()` of the newest frame; None before the first since it was subscribed."""
    resyncs: int = 0
    """Breaks of the sequence: something was lost, and a snapshot came instead."""
    id: int = 0
    """Of this attempt, as the server knows it; 0 while it is not asked for."""
    key: str = ""
    seq: int | None = None
    """Of the newest frame; None until the snapshot is there."""
    ask_again_at: float = float("inf")

    @property
    def age_s(self) -> float | None:
        """Since the newest frame; None before the first."""
        return None if self.frame_at is None else time.monotonic() - self.frame_at


class Phase(StrEnum):
    """How the connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    DOWN = "down"


class Stream:
    """One connection to a server's stream, for one event loop."""

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        self.address = Address(url, token)
        self.phase = Phase.CONNECTING
        self.detail = ""
        """Why there is no connection."""
        self.retry_at = 0.0
        """`time.monotonic()` of the next attempt, while it is down."""
        self.reconnects = 0
        self.clock_offset_ms = 0.0
        """The server's clock minus ours, from the fastest of the recent pings."""
        self._subscriptions: list[Subscription] = []
        self._socket: ClientConnection | None = None
        self._ids = itertools.count(1)
        self._attempt = 0
        self._heard_at = 0.0
        self._ping_at = 0.0
        self._round_trip_ms = float("inf")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop()

    async def subscribe(self, topic: str, **params: Any) -> Subscription:
        """Ask for a topic; its frames come, a snapshot first. What the server refuses is told in `refused`."""
        subscription = Subscription(topic, params)
        self._subscriptions.append(subscription)
        if self.phase is Phase.OPEN:
            await self._ask(subscription)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Hear no more of it."""
        self._subscriptions.remove(subscription)
        if self.phase is Phase.OPEN and subscription.id:
            await self._send({"op": "unsubscribe", "id": subscription.id})

    def server_ms(self) -> float:
        """The server's clock, by ours, ms since the epoch."""
        return time.time() * 1000 + self.clock_offset_ms

    async def __aiter__(self) -> AsyncGenerator[tuple[Subscription, Frame]]:
        """Frames as they come, for ever; raises `AccessError` where we are not let in."""
        try:
            while True:
                try:
                    await self._open()
                    while True:
                        for delivery in await self._next():
                            yield delivery
                except (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, *BROKEN) as error:
                    await self._wait(self._reason(error))
        finally:
            await self._drop()

    # -- the connection ---------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self.phase = Phase.CONNECTING
        self._socket = await connect(
            self.address.stream,
            additional_headers=self.address.headers,
            open_timeout=CONNECT_WITHIN_S,
            ping_interval=None,  # the protocol has a ping of its own, which also tells the server's clock
            close_timeout=1.0,
            compression=None,
            max_size=LARGEST_FRAME,
            max_queue=FRAMES_AHEAD,
            proxy=None if self.address.local else True,
        )
        self.phase, self.detail = Phase.OPEN, ""
        self._heard_at = time.monotonic()
        self._round_trip_ms = float("inf")
        for subscription in list(self._subscriptions):
            if subscription in self._subscriptions:  # not left while the others were asked for
                await self._ask(subscription)
        await self._ping()

    async def _next(self) -> list[tuple[Subscription, Frame]]:
        """Whatever the next message brings, after looking after pings and answers that did not come."""
        assert self._socket is not None  # noqa: S101
        now = time.monotonic()
        if now >= self._ping_at:
            await self._ping()
        for subscription in list(self._subscriptions):
            if now >= subscription.ask_again_at:
                await self._ask(subscription)
        try:
            async with asyncio.timeout(PING_EVERY_S):
                message = await self._socket.recv()
        except TimeoutError:
            if time.monotonic() - self._heard_at > SILENCE_S:
                raise UnreachableError(f"the server has been silent for {SILENCE_S:.0f} s") from None
            return []
        self._heard_at = time.monotonic()
        if isinstance(message, str):
            self._answered(_decoded(message))
            return []
        key, frame = decode(message)
        meant = [one for one in self._subscriptions if one.key == key]
        return [(one, frame) for one in meant if await self._continues(one, frame)]

    def _reason(self, error: Exception) -> str:
        """Why the connection is gone; raises where trying again cannot help."""
        if isinstance(error, InvalidStatus):
            answer = error.response
            try:
                detail = str(msgspec.json.decode(answer.body or b"", type=dict[str, Any])["detail"])
            except (msgspec.MsgspecError, KeyError):
                detail = f"{self.address.http} answered {answer.status_code} {answer.reason_phrase}"
            refusal = error_of(answer.status_code, detail)
            if isinstance(refusal, AccessError):
                self.detail = detail
                raise refusal from error
            return detail
        if isinstance(error, ConnectionClosed):
            told = error.rcvd.reason if error.rcvd else ""
            return told or "the server closed the connection"
        if isinstance(error, (InvalidHandshake, InvalidMessage, *BROKEN)):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"{self.address.http} did not answer in time"
        return f"no tapewatch server answers at {self.address.http}"

    async def _wait(self, reason: str) -> None:
        self._attempt += 1
        self.reconnects += 1
        wait_s = _pause_s(self._attempt)
        self.phase, self.detail, self.retry_at = Phase.DOWN, reason, time.monotonic() + wait_s
        await self._drop()
        await asyncio.sleep(wait_s)

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        self.phase = Phase.DOWN
        for subscription in self._subscriptions:
            _forget(subscription)
        if socket is not None:
            await socket.close()

    # -- the protocol -----------------------------------------------------------------------------------------------

    async def _send(self, command: dict[str, Any]) -> None:
        """A connection that is gone is noticed, and mended, by whoever reads."""
        if self._socket is not None:
            try:
                await self._socket.send(_ENCODE(command).decode())
            except ConnectionClosed:
                return

    async def _ping(self) -> None:
        self._ping_at = time.monotonic() + PING_EVERY_S
        await self._send({"op": "ping", "t": time.time() * 1000})

    async def _ask(self, subscription: Subscription) -> None:
        if subscription.id and not subscription.refused:
            await self._send({"op": "unsubscribe", "id": subscription.id})
        _forget(subscription)
        subscription.id = next(self._ids)
        subscription.ask_again_at = time.monotonic() + SNAPSHOT_WITHIN_S
        ask = {"op": "subscribe", "id": subscription.id, "topic": subscription.topic}
        await self._send(ask | {"params": subscription.params})

    def _answered(self, answer: dict[str, Any]) -> None:
        try:
            if answer["op"] == "pong":
                self._on_pong(float(answer["t"]), float(answer["server_ms"]))
                return
            for subscription in self._subscriptions:
                if subscription.id != answer.get("id"):
                    continue
                if answer["op"] == "subscribed":
                    subscription.key = answer["key"]
                    subscription.refused = ""
                elif answer["op"] == "error":
                    subscription.refused = answer["message"]
                    subscription.ask_again_at = time.monotonic() + REFUSED_RETRY_S
        except (KeyError, TypeError, ValueError) as error:
            raise ForeignServerError(f"an answer of the stream cannot be read: {error!r}") from error

    def _on_pong(self, sent_ms: float, server_ms: float) -> None:
        now = time.time() * 1000
        round_trip = now - sent_ms
        if round_trip <= self._round_trip_ms + ROUND_TRIP_SLACK_MS:
            self._round_trip_ms = max(1.0, round_trip)
            self.clock_offset_ms = server_ms - (sent_ms + now) / 2

    async def _continues(self, subscription: Subscription, frame: Frame) -> bool:
        """Whether a frame may be delivered; asks anew where something before it was lost."""
        if frame.type == "snapshot":
            subscription.ask_again_at = float("inf")
            self._attempt = 0  # waits grow again from the beginning once there was data, not once there was a socket
        elif subscription.seq is None:
            return False
        elif frame.prev != subscription.seq:
            subscription.resyncs += 1
            await self._ask(subscription)
            return False
        subscription.seq = frame.seq
        subscription.frame_at = time.monotonic()
        return True


def _pause_s(attempt: int) -> float:
    """Before the next attempt: twice as long each time, half of it random, so that many do not come in one instant."""
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempt - 1, 10))  # a night's attempts overflow a float
    return longest / 2 + random.random() * longest / 2  # noqa: S311 - no secret


def _forget(subscription: Subscription) -> None:
    subscription.id, subscription.key, subscription.seq = 0, "", None
    subscription.frame_at = None
    subscription.ask_again_at = float("inf")


def _decoded(text: str | bytes) -> dict[str, Any]:
    try:
        return _HEAD.decode(text)
    except msgspec.MsgspecError as error:
        raise ForeignServerError(f"a message of the stream cannot be read: {error}") from error


def decode(message: bytes) -> tuple[str, Frame]:
    """Key and content of a binary frame; `ForeignServerError` where it is none."""
    try:
        (length,) = struct.unpack_from("<I", message)
        head = _decoded(message[4 : 4 + length])
        columns = {
            col["name"]: np.frombuffer(message, _DTYPES[col["dtype"]], col["n"], col["at"]) for col in head["cols"]
        }
        return head["key"], Frame(
            head["type"], head["seq"], head.get("prev"), head["server_ms"], head["meta"], columns
        )  # fmt: skip
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise ForeignServerError(f"a frame of the stream cannot be read: {error}") from error
