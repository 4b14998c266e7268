"""Waiting until something holds that others bring about; what is there instead is told when it never does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

WITHIN_S = 180.0
"""What takes longer has failed. It costs time only then: a busy machine stands still for seconds, at any moment."""

Told = Callable[[], object]
"""Says what is there instead."""


def nothing() -> str:
    return "it did not come true"


async def until(true: Callable[[], object], otherwise: Told = nothing) -> None:
    """Wait for what other tasks of this loop bring about."""
    deadline = time.monotonic() + WITHIN_S
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(str(otherwise()))
        await asyncio.sleep(0.005)


def wait_until(true: Callable[[], object], otherwise: Told = nothing) -> None:
    """Wait for what another thread or process brings about."""
    deadline = time.monotonic() + WITHIN_S
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(str(otherwise()))
        time.sleep(0.02)
