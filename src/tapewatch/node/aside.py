"""Blocking work that may never end: a database that keeps its connections and does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Told = TypeVar("Told")


async def aside(work: Callable[..., Told], *arguments: object) -> Told:
    """Run `work` in a thread of its own and return what it returns or raise what it raises.

    Unlike `asyncio.to_thread`, whose threads the end of the program waits for, nothing waits for this one when whoever
    asked is cancelled: the program ends, and what the thread had begun is as if the program had died there.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Told] = loop.create_future()

    def settle(result: Told | None, error: BaseException | None) -> None:
        if told.cancelled():
            return
        if error is not None:
            told.set_exception(error)
        else:
            told.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome = work(*arguments), None
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            outcome = None, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name=getattr(work, "__name__", "aside"), daemon=True).start()
    return await told
