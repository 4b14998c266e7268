"""The simulated venue: alone (`tapewatch venue`), and as a process of its own beside the program (`tapewatch demo`)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import structs

from ..api.view import Mode
from ..config import Config
from ..model.errors import TapewatchError
from ..sim.binance_usdm import SimulatedBinanceUsdm, VenueOptions
from .node import Announce, serve
from .server import bind
from .stopping import stop_signals

READY_WITHIN_S = 180.0
"""A venue of 600 symbols is ready in a few seconds; one that compiles its kernels first needs a minute or more."""
STOP_WITHIN_S = 5.0


class Announcement(msgspec.Struct, frozen=True):
    """The one line that `tapewatch venue --announce` prints when it serves."""

    rest_url: str
    ws_url: str


async def serve_venue(options: VenueOptions, *, announce: Callable[[Announcement], None], child: bool) -> None:
    """Serve a simulated venue until it is asked to stop; a `child` also stops when its parent is gone."""
    venue = SimulatedBinanceUsdm(options)
    async with stop_signals(stdin_too=child) as stop, asyncio.TaskGroup() as tasks:
        try:
            await venue.start()
            announce(Announcement(venue.rest_url, venue.ws_url))
            serving = tasks.create_task(venue.serve())
            await stop.wait()
            serving.cancel()
        finally:
            await venue.stop()


@dataclass(frozen=True, slots=True)
class VenueProcess:
    """A running simulated venue."""

    process: asyncio.subprocess.Process
    announcement: Announcement


@contextlib.contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """Where a demonstration stores what it receives: the folder it was told, or one that goes with it."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tapewatch-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.asynccontextmanager
async def venue_process(arguments: Sequence[str]) -> AsyncIterator[VenueProcess]:
    """Start ``tapewatch venue`` with `arguments` on a free port, wait until it serves, stop it in the end.

    It lives in its own session, so that Ctrl+C reaches only us and we end it in order; it watches its standard input,
    so that it ends too when we are killed without a word.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapewatch", "venue", "--port", "0", "--announce", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield VenueProcess(process, await _announced(process))
    finally:
        await _stop(process)


async def _announced(process: asyncio.subprocess.Process) -> Announcement:
    if process.stdout is None:
        raise TypeError("the venue's standard output is not a pipe")
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            line = await process.stdout.readline()
    except TimeoutError:
        raise TapewatchError(f"the simulated venue did not start within {READY_WITHIN_S:g} s") from None
    if not line:
        raise TapewatchError(f"the simulated venue ended at once with code {await process.wait()}; its reason is above")
    return msgspec.json.decode(line, type=Announcement)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def run(config: Config, arguments: Sequence[str], *, mode: Mode, announce: Announce) -> None:
    """Run everything against a simulated venue; `arguments` say what it simulates or plays back."""
    listener = bind(config.server.host, config.server.port)  # a port in use is told before a venue is started
    try:
        async with venue_process(arguments) as venue:
            addresses = {"rest_url": venue.announcement.rest_url, "ws_url": venue.announcement.ws_url}
            binance = structs.replace(config.venues.binance, enabled=True, **addresses)
            config = structs.replace(config, venues=structs.replace(config.venues, binance=binance))
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(_must_not_end(venue))
                await serve(config, mode=mode, announce=announce, listener=listener)
                watch.cancel()
    finally:
        listener.close()


async def _must_not_end(venue: VenueProcess) -> None:
    code = await venue.process.wait()
    raise TapewatchError(f"the simulated venue ended with code {code}; its reason is above")
