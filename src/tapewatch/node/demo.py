"""Simulated venues: alone (`tapewatch venue`), and as a process of its own beside the program (`tapewatch demo`)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from msgspec import structs

from ..api.view import Mode
from ..config import Config, VenuesConfig
from ..model.errors import TapewatchError, UsageError
from ..sim import SIMULATED, SimulatedVenues, VenueOptions
from ..venues.registry import PRODUCTS
from .node import Announce, serve
from .server import bind
from .stopping import stop_signals

READY_WITHIN_S = 180.0
"""A venue of 600 symbols is ready in a few seconds; one that compiles its kernels first needs a minute or more."""
STOP_WITHIN_S = 5.0


class Address(msgspec.Struct, frozen=True):
    """Where a simulated venue is."""

    rest_url: str
    ws_url: str


class Announcement(Address, frozen=True):
    """The one line that `tapewatch venue --announce` prints when it serves: the first venue's address, and all."""

    venues: dict[str, Address]


async def serve_venues(
    options: Mapping[str, VenueOptions], *, announce: Callable[[Announcement], None], child: bool
) -> None:
    """Serve simulated venues until asked to stop; a `child` also stops when its parent is gone."""
    simulated = SimulatedVenues(options)
    async with stop_signals(stdin_too=child) as stop, asyncio.TaskGroup() as tasks:
        try:
            await simulated.start()
            where = {name: Address(venue.rest_url, venue.ws_url) for name, venue in simulated.venues.items()}
            first = next(iter(where.values()))
            announce(Announcement(first.rest_url, first.ws_url, where))
            serving = tasks.create_task(simulated.serve())
            await stop.wait()
            serving.cancel()
        finally:
            await simulated.stop()


SHARE = {"binance": 1.0, "binance-spot": 0.6, "bybit": 0.5, "okx": 0.4}
"""Instruments of each simulated venue against the first one's: 600 there are 1,500 in all."""


def options_of(names: Sequence[str], common: VenueOptions) -> dict[str, VenueOptions]:
    """Options of several venues (``all``: every one) from those of the first; raises UsageError for an unknown name."""
    names = list(SIMULATED) if list(names) == ["all"] else names
    unknown = [name for name in names if name not in SIMULATED]
    if unknown or not names:
        raise UsageError(f"no simulated venue is called {', '.join(unknown)!r}; there are {', '.join(SIMULATED)}")
    return {
        name: replace(common, symbols=max(1, round(common.symbols * SHARE[name])), port=common.port if k == 0 else 0)
        for k, name in enumerate(sorted(names, key=list(SIMULATED).index))
    }


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
    """Run everything against simulated venues, and no others; `arguments` say what they simulate or play back."""
    listener = bind(config.server.host, config.server.port)  # a port in use is told before a venue is started
    try:
        async with venue_process(arguments) as venue:
            config = structs.replace(config, venues=_only(config.venues, venue.announcement.venues))
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(_must_not_end(venue))
                await serve(config, mode=mode, announce=announce, listener=listener)
                watch.cancel()
    finally:
        listener.close()


def _only(venues: VenuesConfig, where: Mapping[str, Address]) -> VenuesConfig:
    """These venues at these addresses, and no others."""
    changed = {}
    for name in PRODUCTS:
        address = structs.asdict(where[name]) if name in where else {}
        changed[name.replace("-", "_")] = structs.replace(venues.of(name), enabled=name in where, **address)
    return structs.replace(venues, **changed)


async def _must_not_end(venue: VenueProcess) -> None:
    code = await venue.process.wait()
    raise TapewatchError(f"the simulated venue ended with code {code}; its reason is above")
