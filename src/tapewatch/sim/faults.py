"""What can go wrong at a venue, on purpose and repeatably; written like `drop:0.001,stall:btcusdt@aggTrade`.

Each fault is a name with up to two arguments in any order, a number and a target: ``drop:0.01:*@depth*``. Faults of
frames change what streams deliver, to all their subscribers alike; the others are switches that the venue asks for.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ..model.errors import UsageError
from .streams import Frame

Unit = Literal["probability", "ms", "s", "factor"]

_CATALOGUE: dict[str, tuple[Unit, float, str, str]] = {
    "drop": ("probability", 0.001, "*", "frames vanish: a depth diff, trades"),
    "duplicate": ("probability", 0.001, "*", "frames come twice"),
    "reorder": ("probability", 0.001, "*", "a frame comes after the next one of its stream"),
    "stall": ("s", 0.0, "*", "streams fall silent for good after so many seconds, the socket stays open"),
    "disconnect": ("s", 30.0, "", "every so many seconds, on average, one connection is cut without a word"),
    "slow": ("ms", 500.0, "*", "frames are delivered late by so much"),
    "garble": (
        "probability",
        0.001,
        "*",
        "frames are truncated, no JSON, of wrong types, of huge numbers or unknown symbols",
    ),
    "snapshot-late": ("ms", 2000.0, "", "REST books take so much longer"),
    "snapshot-stale": ("ms", 3000.0, "", "REST books are so old"),
    "http-429": ("probability", 0.05, "", "REST answers 'too many requests'"),
    "http-418": ("probability", 0.005, "", "REST bans the address for a while"),
    "http-5xx": ("probability", 0.05, "", "REST answers 503"),
    "clock-skew": ("ms", 1500.0, "", "the venue's clock is ahead by so much (negative: behind)"),
    "symbol-listed": ("s", 20.0, "", "a new symbol is announced, and trades 5 s later"),
    "symbol-delisted": ("s", 20.0, "", "a symbol stops trading"),
    "tick-size-change": ("s", 20.0, "", "a symbol's tick changes, without notice on any stream"),
    "restart": ("s", 20.0, "", "books begin anew: Bybit snapshots with u 1, OKX ids that count from the start"),
    "notice": ("s", 20.0, "", "OKX announces a service upgrade, and closes its connections a minute later"),
    "storm": ("factor", 10.0, "", "everything happens so many times as often"),
    "gust": ("factor", 3.0, "", "and in two seconds of every ten, so many times as often again"),
}
"""Per fault: what its number means, the number when none is given, its target when none is given, what it does."""

NAMES = tuple(_CATALOGUE)


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    value: float
    target: str


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults a venue shall have; empty by default."""

    chosen: tuple[Fault, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read a comma-separated list; raise UsageError with a sentence that names what is allowed."""
        chosen = tuple(_parse(item.strip()) for item in text.split(",") if item.strip())
        names = [fault.name for fault in chosen if not fault.target or fault.target == "*"]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise UsageError(f"fault {twice} is given twice")
        return cls(chosen)

    def find(self, name: str) -> Fault | None:
        return next((fault for fault in self.chosen if fault.name == name), None)

    def value(self, name: str, otherwise: float = 0.0) -> float:
        fault = self.find(name)
        return otherwise if fault is None else fault.value


def describe() -> list[tuple[str, str, str]]:
    """Name, arguments with their defaults, and meaning of every fault, for the manual."""
    rows = []
    for name, (unit, value, target, meaning) in _CATALOGUE.items():
        shown = f"{value:g}" if unit in {"probability", "factor"} else f"{value:g} {unit}"
        rows.append((name, f"{unit} ({shown})" + (", stream pattern" if target else ""), meaning))
    return rows


def _parse(item: str) -> Fault:
    name, *arguments = item.split(":")
    if name not in _CATALOGUE:
        raise UsageError(f"unknown fault {name!r}; known are {', '.join(NAMES)}")
    unit, value, target, _ = _CATALOGUE[name]
    numbers = [argument for argument in arguments if _is_number(argument)]
    words = [argument for argument in arguments if not _is_number(argument)]
    takes_target = bool(target) or name in {"symbol-delisted", "tick-size-change"}
    if len(numbers) > 1 or len(words) > (2 if takes_target else 0) or "" in arguments:
        form = f"{name}[:{unit}]" + ("[:target]" if takes_target else "")
        raise UsageError(f"fault {item!r} is not of the form {form}")
    if numbers:
        value = float(numbers[0])
        if unit == "probability" and not 0 < value <= 1:
            raise UsageError(f"fault {name}: a probability is above 0 and at most 1, not {numbers[0]}")
        if unit == "factor" and not 0.01 <= value <= 100:
            raise UsageError(f"fault {name}: the factor is between 0.01 and 100, not {numbers[0]}")
        if math.isinf(value):
            raise UsageError(f"fault {name}: the number must be finite, not {numbers[0]}")
        if unit in {"ms", "s"} and value < 0 and name != "clock-skew":
            raise UsageError(f"fault {name}: the time cannot be negative ({numbers[0]})")
    return Fault(name, value, ":".join(words) or target)  # streams of OKX have a colon in their names


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


# -- faults of frames -------------------------------------------------------------------------------------------------

Injector = Callable[[list[Frame], int], list[Frame]]
"""Takes what is to be sent and the milliseconds since the venue started; returns what is sent instead."""


@dataclass(slots=True)
class Drop:
    fault: Fault
    random: random.Random

    def __call__(self, frames: list[Frame], _: int) -> list[Frame]:
        return [frame for frame in frames if not _hit(self.fault, self.random, frame)]


@dataclass(slots=True)
class Duplicate:
    fault: Fault
    random: random.Random

    def __call__(self, frames: list[Frame], _: int) -> list[Frame]:
        return [copy for frame in frames for copy in [frame] * (2 if _hit(self.fault, self.random, frame) else 1)]


@dataclass(slots=True)
class Reorder:
    fault: Fault
    random: random.Random
    held: dict[str, Frame] = field(default_factory=dict)

    def __call__(self, frames: list[Frame], _: int) -> list[Frame]:
        sent = []
        for frame in frames:
            overtaken = self.held.pop(frame[0], None)
            if overtaken is not None:
                sent += [frame, overtaken]
            elif _hit(self.fault, self.random, frame):
                self.held[frame[0]] = frame
            else:
                sent.append(frame)
        return sent


@dataclass(slots=True)
class Stall:
    fault: Fault
    random: random.Random

    def __call__(self, frames: list[Frame], since_ms: int) -> list[Frame]:
        if since_ms < self.fault.value * 1000:
            return frames
        return [frame for frame in frames if not fnmatchcase(frame[0], self.fault.target)]


@dataclass(slots=True)
class Slow:
    fault: Fault
    random: random.Random
    held: deque[tuple[int, Frame]] = field(default_factory=deque)

    def __call__(self, frames: list[Frame], since_ms: int) -> list[Frame]:
        sent = []
        for frame in frames:
            if fnmatchcase(frame[0], self.fault.target):
                self.held.append((since_ms + int(self.fault.value), frame))
            else:
                sent.append(frame)
        while self.held and self.held[0][0] <= since_ms:
            sent.append(self.held.popleft()[1])
        return sent


@dataclass(slots=True)
class Garble:
    fault: Fault
    random: random.Random

    def __call__(self, frames: list[Frame], _: int) -> list[Frame]:
        return [
            (frame[0], self._garbled(frame[1])) if _hit(self.fault, self.random, frame) else frame for frame in frames
        ]

    def _garbled(self, payload: str) -> str:
        kind = self.random.randrange(5)
        if kind == 0:
            return payload[: self.random.randrange(1, len(payload))]
        if kind == 1:
            return "<html><body>502 Bad Gateway</body></html>"
        if kind == 2:
            time = '"E":' if '"E":' in payload else '"ts":'
            return payload.replace(time, f'{time}"soon","was":', 1)
        if kind == 3:
            return payload.replace('","', "9" * 30 + '","', 1) if '","' in payload else payload + "9" * 30
        return payload.replace("USDT", "NOSUCHUSDT")


def _hit(fault: Fault, chance: random.Random, frame: Frame) -> bool:
    return chance.random() < fault.value and fnmatchcase(frame[0], fault.target)


_INJECTORS: dict[str, type[Drop | Duplicate | Reorder | Stall | Slow | Garble]] = {
    "garble": Garble,
    "reorder": Reorder,
    "drop": Drop,
    "duplicate": Duplicate,
    "stall": Stall,
    "slow": Slow,
}


def injectors(faults: Faults, seed: int) -> list[Injector]:
    """The faults of frames among `faults`, each with its own random sequence so that one does not disturb another."""
    return [
        kind(fault, random.Random(f"{seed} {fault}"))
        for name, kind in _INJECTORS.items()
        for fault in faults.chosen
        if fault.name == name
    ]
