"""Contenders timed side by side: the same slices in turn, so that slow phases of the machine hit all alike.

A set is cut into slices of 64 socket reads. Slice by slice every contender does its work on it, in rotating
order, on CPU time. The whole set is played several times from a fresh start; the cost of a contender is the sum over
slices of its fastest round, and beside it of its median round. The first tenth of a set is not timed: there books go
live, memory is touched for the first time and machine code is loaded.

Standard library only, because every peer's own environment imports it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from time import process_time_ns
from typing import Protocol

from .state import State
from .workload import Read, Workload

UNTIMED_SHARE = 10


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
    for number in range(rounds):
        built = {name: build(workload) for name, build in contenders.items()}
        for name, took in _one_round(built, slices, number).items():
            spent[name].append(took[untimed:])
        if number == 0:
            digests = {name: contender.state().digests() for name, contender in built.items()}
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
