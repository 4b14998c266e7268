"""``tapewatch doctor``: look at everything that can be wrong before and while we run, and say the mend."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..config import Config, StoreConfig, VenueConfig
from ..feed.dialects import DIALECTS
from ..feed.rest import BlockedError, RateLimitedError, RestError, UnreachableError, VenueRest
from ..journal import DataLock
from ..memory import expected_bytes
from ..model.errors import TapewatchError
from ..store.audit import day_counts, last_day, wrong_files
from ..store.catalog import FILE_NAME, Catalog
from ..venues.registry import PRODUCTS
from . import warm
from .verify import consumed, verify

SKEW_WARN_MS = 1_000
"""A clock this wrong shows in every lag; the venue itself accepts five seconds."""
FREE_WARN_BYTES = 1 << 30
WEIGHT_WARN_SHARE = 0.5
MINUTE_MS = 60_000
MEMINFO = Path("/proc/meminfo")
MANY_INSTRUMENTS = 600
"""Of the largest venue, where all are followed."""
PROGRAM_BYTES = 300 << 20
"""Python, its libraries and compiled code, before a venue has said anything."""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it stands, and what to do about it."""

    check: str
    verdict: Verdict
    what: str
    mend: str = ""


async def examine(config: Config, file: Path | None) -> list[Finding]:
    """Run every check; none stops another. `file` is where `config` was read from."""
    findings = [_configuration(file), _page(), _port(config), _disk(config.node.state_path), _kernels()]
    findings.append(_memory(config))
    findings += await asyncio.to_thread(_store, config.store)
    enabled = [(name, config.venues.of(name)) for name in PRODUCTS if config.venues.of(name).enabled]
    for answers in await asyncio.gather(*(_venue(name, venue) for name, venue in enabled)):
        findings.extend(answers)
    if not enabled:
        findings.append(Finding("venues", Verdict.WARN, "no venue is enabled", "set venues.binance.enabled = true"))
    return findings


def _configuration(file: Path | None) -> Finding:
    return Finding("configuration", Verdict.OK, f"read from {file}" if file else "defaults; no file")


def _page() -> Finding:
    page = Path(__file__).parent.parent / "api" / "static" / "index.html"
    if page.is_file():
        return Finding("web page", Verdict.OK, "built")
    return Finding("web page", Verdict.FAIL, "not built", "in a checkout: make setup; else install the package again")


def _port(config: Config) -> Finding:
    host, port = config.server.host, config.server.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                what = f"port {port} on {host} is in use (by tapewatch itself, if it runs)"
                return Finding("server", Verdict.WARN, what, "choose another: --port or server.port")
            what = f"cannot listen on {host}:{port}: {error.strerror}"
            return Finding("server", Verdict.FAIL, what, "set server.host")
    return Finding("server", Verdict.OK, f"{host}:{port} is free")


def _disk(state: Path) -> Finding:
    place = next(folder for folder in (state, *state.absolute().parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding("disk", Verdict.FAIL, f"{place} cannot be written", "set node.state_dir to a folder that can")
    free = shutil.disk_usage(place).free
    what = f"{free / 2**30:.1f} GiB free at {place}"
    if free < FREE_WARN_BYTES:
        return Finding("disk", Verdict.WARN, what, "free some space or set node.state_dir elsewhere")
    return Finding("disk", Verdict.OK, what)


def _memory(config: Config) -> Finding:
    """What the state of the enabled venues takes when a day and a half has filled it, against what is free."""
    enabled = [config.venues.of(name) for name in PRODUCTS if config.venues.of(name).enabled]
    instruments = [MANY_INSTRUMENTS if venue.symbols == "all" else len(venue.symbols) for venue in enabled]
    wanted = PROGRAM_BYTES + sum(map(expected_bytes, instruments))
    what = f"up to {wanted / 2**30:.1f} GiB for {sum(instruments):,} instruments once 34 hours are held"
    free = free_memory()
    if free is None:
        return Finding("memory", Verdict.OK, what)
    what += f", {free / 2**30:.1f} GiB free"
    if free < wanted:
        return Finding("memory", Verdict.WARN, what, "name fewer symbols (venues.….symbols), or give it more memory")
    return Finding("memory", Verdict.OK, what)


def free_memory() -> int | None:
    """Bytes that programs can still have; None where /proc is not to be had."""
    try:
        told = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(told[1]) * 1024 if told else None


def _store(store: StoreConfig) -> list[Finding]:
    """The data folder: who holds it, whether it can be written, its disk, and whether what is in it is sound."""
    if not store.enabled:
        return [Finding("store", Verdict.WARN, "nothing is stored", "set store.enabled = true")]
    folder = store.data_path
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        mend = "set store.path (or --data) to a folder that can"
        return [Finding("store", Verdict.FAIL, f"{place} cannot be written", mend)]
    findings = [_data_folder(folder), _room(store, place)]
    if (folder / "journal").is_dir():
        findings.append(_journal(folder / "journal", consumed(store)))
    if store.url or (folder / FILE_NAME).exists():
        findings.append(_catalog(store))
    return findings


def _catalog(store: StoreConfig) -> Finding:
    """Whether the files are as the catalog has them, and its tables agree about the newest day."""
    catalog = Catalog.of_folder(store.data_path, store.url)
    try:
        days = [(venue, day_counts(catalog, venue, day_ms)) for venue, day_ms in last_day(catalog).items()]
        wrong = list(wrong_files(store.data_path, catalog))
    except TapewatchError as error:
        return Finding("catalog", Verdict.FAIL, str(error), "start the database, or check store.url")
    finally:
        catalog.close()
    wrong += [f"{venue}: {counts}" for venue, counts in days if not counts.agree]
    if wrong:
        more = f" … and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        mend = "restore the files from a backup, or import their days again"
        return Finding("catalog", Verdict.FAIL, f"{'; '.join(wrong[:3])}{more}", mend)
    counted = ", ".join(f"{venue} {counts.segments:,} trades of its newest day" for venue, counts in days)
    return Finding("catalog", Verdict.OK, f"segments, candles and days agree: {counted or 'nothing stored'}")


def _data_folder(folder: Path) -> Finding:
    if not folder.exists():
        return Finding("store", Verdict.OK, f"{folder} does not exist yet; the first run makes it")
    holder = DataLock(folder).held_by()
    use = f"in use by process {holder.pid} since {holder.since}" if holder else "not in use"
    return Finding("store", Verdict.OK, f"{folder}, {use}")


def _room(store: StoreConfig, place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    what = f"{free / 2**30:.1f} GiB free, {store.min_free_bytes / 2**30:.1f} GiB wanted"
    if free < store.min_free_bytes:
        return Finding("store disk", Verdict.WARN, f"{what}: order books are not recorded", "free some space")
    return Finding("store disk", Verdict.OK, what)


def _journal(folder: Path, sealed: frozenset[str]) -> Finding:
    checks = verify([folder], sealed=sealed)
    records, size = sum(check.records for check in checks), sum(check.size for check in checks)
    what = f"{len(checks)} files, {records:,} records, {size / 2**20:,.1f} MiB"
    if damages := sum(len(check.unsound) for check in checks):
        mend = "tapewatch journal names them; all other records can be read"
        return Finding("journal", Verdict.WARN, f"{what}, damages: {damages}", mend)
    return Finding("journal", Verdict.OK, f"{what}, all sound")


def _kernels() -> Finding:
    if warm.is_cached(warm.LAB):
        return Finding("kernels", Verdict.OK, "compiled and kept")
    mend = "tapewatch doctor --warm (else the first start does it)"
    return Finding("kernels", Verdict.WARN, "not compiled yet", mend)


async def _venue(name: str, venue: VenueConfig) -> list[Finding]:
    """Ask the venue for its time: reachability, clock skew and what is left of the rate limit, in one cheap call."""
    async with DIALECTS[name].rest(venue.rest_url) as rest:
        rest.attempts = 1
        try:
            await rest.synchronise()  # opens the connection, so that the next round trip is the network's alone
            await rest.synchronise()
        except RestError as error:
            unreachable = isinstance(error, UnreachableError)
            what = f"{venue.rest_url} cannot be reached: {error}" if unreachable else str(error)
            return [Finding(name, Verdict.FAIL, what, _mend(name, error))]
        round_trip = rest.offset.round_trip_ms
        reached = Finding(name, Verdict.OK, f"{venue.rest_url} answers in {round_trip:.0f} ms")
        return [reached, _clock(name, -(rest.offset.ms or 0.0), round_trip), _headroom(name, rest)]


def _mend(name: str, error: RestError) -> str:
    match error:
        case UnreachableError():
            return f"check the network, a proxy (HTTPS_PROXY) and venues.{name}.rest_url"
        case RateLimitedError():
            return "wait as long as it says, and see what else here asks this venue"
        case BlockedError():
            return "use another network, or another address of the venue"
    return f"check venues.{name}.rest_url or try later"


def _clock(name: str, skew_ms: float, round_trip: float) -> Finding:
    """`skew_ms` is ours minus theirs, known to half a round trip."""
    what = f"ours is {abs(skew_ms):.0f} ms {'ahead of' if skew_ms > 0 else 'behind'} theirs (± {round_trip / 2:.0f} ms)"
    if abs(skew_ms) - round_trip / 2 > SKEW_WARN_MS:
        return Finding(f"{name} clock", Verdict.WARN, what, "synchronise this machine's clock (NTP)")
    return Finding(f"{name} clock", Verdict.OK, what)


def _headroom(name: str, rest: VenueRest) -> Finding:
    used, limit = rest.budget.used(rest.venue_ms()), rest.budget.limit
    window = "this minute" if rest.window_ms == MINUTE_MS else f"in these {rest.window_ms / 1000:g} s"
    what = f"{used} of {limit} request weight used {window}"
    if used > limit * WEIGHT_WARN_SHARE:
        return Finding(f"{name} limit", Verdict.WARN, what, "another program here asks a lot; stop it")
    return Finding(f"{name} limit", Verdict.OK, what)
