"""How a venue's websockets are spoken to: the commands it takes, its answers, and where a message names its stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a data message names its stream: between `prefix`, with which it begins, and the first `end` after that."""

    prefix: bytes
    """At least eight bytes."""
    end: bytes
    """One byte."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that is no data, understood."""

    number: int | None = None
    """The command it answers."""
    names: tuple[str, ...] | None = None
    """Streams of that command it speaks of; None: of all."""
    error: str = ""
    """Why the venue refuses; empty where it agrees."""
    pong: bool = False
    """The answer to our ping: nobody else's business."""
    leaving: str = ""
    """The venue will close this connection soon, in its words: another is opened before it does."""


class Wire(Protocol):
    """The dialect of one product's websockets. Holds no state: one object serves all connections."""

    heading: Heading
    event_time: re.Pattern[bytes]
    """Finds the event time in milliseconds, its first group, in a data message."""
    names_per_command: int
    command_every_s: float
    """Half of what the venue allows, so that pongs always fit."""
    commands_per_hour: int | None
    """On one connection; None where the venue does not count so long."""
    one_spoils_all: bool
    """A command with one name that the venue does not know is refused as a whole."""
    ping: bytes
    """Text that asks for a sign of life; empty where the protocol's own pings suffice."""
    ping_every_s: float

    def command(self, method: Method, names: Sequence[str], number: int) -> bytes:
        """The text frame that asks for streams or gives them up."""

    def answer(self, frame: bytes) -> Answer | None:
        """What a message that is no data of a wanted stream says; None where it cannot be read."""

    def name_in(self, buffer: bytes | bytearray, start: int, end: int) -> bytes | None:
        """The stream a message names although it does not begin as data does (keys in another order), as `Stream.name`
        spells it; None where it names none.
        """
