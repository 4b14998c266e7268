"""Contenders timed side by side: the same slices in turn, so that slow phases of the machine hit all alike.

A set is cut into slices of 64 socket reads. Slice by slice every contender does its work on it, in rotating
order, on CPU time. The whole set is played several times from a fresh start; the cost of a contender is the sum over
slices of its fastest round, and beside it of its median round. The first tenth of a set is not timed: there books go
live and machine code is loaded.

What is compared are programs that have been up for a while: in a round before the timed ones everybody touches the
memory it needs, and from then on each builds its fresh start in memory that this process has used before.

Standard library only, because every peer's own environment imports it.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from time import process_time_ns
from typing import Protocol

from .state import State
from .workload import Read, Workload

UNTIMED_SHARE = 10
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""


def keep_memory() -> None:
    """From now on keep what this process frees for the next who asks, large arrays too.

    Given back to the operating system, memory of arrays would be new in every round, at a page fault for each four
    kilobytes, while that of small objects, as most contenders have them, is kept anyhow.
    """
    with suppress(AttributeError):  # another C library than glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_MMAP_MAX, 0)


class Contender(Protocol):
    """Something that reads frames. Built from a workload, with the books' snapshots already in."""

    def run(self, reads: list[Read]) -> None: ...

    def state(self) -> State: ...


Build = Callable[[Workload], Contender]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU nanoseconds a message, and the digests of the end state."""

    best_ns: float
    median_ns: float
    digests: dict[str, str] = field(default_factory=dict)


def compare(workload: Workload, contenders: Mapping[str, Build], rounds: int) -> dict[str, Cost]:
    """Time all `contenders` on `workload`."""
    slices = workload.slices()
    untimed = min(len(slices) - 1, 1 + len(slices) // UNTIMED_SHARE)
    messages = sum(len(read.frames) for reads in slices[untimed:] for read in reads)
    spent: dict[str, list[list[int]]] = {name: [] for name in contenders}
    digests: dict[str, dict[str, str]] = {}
    for number in range(rounds + 1):
        built = {name: build(workload) for name, build in contenders.items()}
        took = _one_round(built, slices, number)
        if number == 0:
            digests = {name: contender.state().digests() for name, contender in built.items()}
        else:
            for name in contenders:
                spent[name].append(took[name][untimed:])
        built.clear()  # before the next ones are built: in the same memory
        gc.collect()
    return {
        name: Cost(
            sum(min(times) for times in zip(*took, strict=True)) / messages,
            sum(median(times) for times in zip(*took, strict=True)) / messages,
            digests[name],
        )
        for name, took in spent.items()
    }


def _one_round(built: dict[str, Contender], slices: list[list[Read]], number: int) -> dict[str, list[int]]:
    took: dict[str, list[int]] = {name: [] for name in built}
    names = list(built)
    gc.collect()
    gc.disable()  # nobody pays for walking another contender's heap
    try:
        for k, reads in enumerate(slices):
            turn = (k + number) % len(names)
            for name in names[turn:] + names[:turn]:
                start = process_time_ns()
                built[name].run(reads)
                took[name].append(process_time_ns() - start)
    finally:
        gc.enable()
    return took


def disagreements(costs: Mapping[str, Cost], reference: Cost) -> dict[str, list[str]]:
    """Contenders whose digests differ from the reference's, with the parts that do."""
    out = {}
    for name, cost in costs.items():
        wrong = [part for part, digest in cost.digests.items() if reference.digests.get(part) != digest]
        if wrong:
            out[name] = wrong
    return out
