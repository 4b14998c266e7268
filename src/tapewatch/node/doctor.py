"""``tapewatch doctor``: look at everything that can be wrong before and while we run, and say the mend."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

import aiohttp
import msgspec

from ..config import Config, StoreConfig, VenueConfig
from ..journal import DataLock
from ..venues.binance_usdm import WEIGHT_PER_MINUTE
from . import warm
from .verify import verify

ANSWER_WITHIN_S = 10.0
SKEW_WARN_MS = 1_000
"""A clock this wrong shows in every lag; the venue itself accepts five seconds."""
FREE_WARN_BYTES = 1 << 30
WEIGHT_WARN_SHARE = 0.5


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


class _Time(msgspec.Struct):
    serverTime: int  # noqa: N815 - the venue's name


async def examine(config: Config, file: Path | None) -> list[Finding]:
    """Run every check; none stops another. `file` is where `config` was read from."""
    findings = [_configuration(file), _page(), _port(config), _disk(config.node.state_path), _kernels()]
    findings += await asyncio.to_thread(_store, config.store)
    enabled = [(name, venue) for name, venue in _venues(config) if venue.enabled]
    for answers in await asyncio.gather(*(_venue(name, venue) for name, venue in enabled)):
        findings.extend(answers)
    if not enabled:
        findings.append(Finding("venues", Verdict.WARN, "no venue is enabled", "set venues.binance.enabled = true"))
    return findings


def _venues(config: Config) -> Iterator[tuple[str, VenueConfig]]:
    for name in config.venues.__struct_fields__:
        yield name.replace("_", "-"), getattr(config.venues, name)


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
        findings.append(_journal(folder / "journal"))
    return findings


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


def _journal(folder: Path) -> Finding:
    checks = verify([folder])
    records, size = sum(check.records for check in checks), sum(check.size for check in checks)
    what = f"{len(checks)} files, {records:,} records, {size / 2**20:,.1f} MiB"
    if damages := sum(len(check.unsound) for check in checks):
        mend = "tapewatch journal names them; all other records can be read"
        return Finding("journal", Verdict.WARN, f"{what}, damages: {damages}", mend)
    return Finding("journal", Verdict.OK, f"{what}, all sound")


def _kernels() -> Finding:
    if warm.is_cached():
        return Finding("kernels", Verdict.OK, "compiled and kept")
    mend = "tapewatch doctor --warm (else the first start does it)"
    return Finding("kernels", Verdict.WARN, "not compiled yet", mend)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_ms: float
    got_ms: float


async def _ask(session: aiohttp.ClientSession, url: str) -> _Answer:
    sent_ms = time.time_ns() / 1e6
    async with session.get(url) as answer:
        body = await answer.read()
        return _Answer(answer.status, answer.headers, body, sent_ms, time.time_ns() / 1e6)


async def _venue(name: str, venue: VenueConfig) -> list[Finding]:
    """Ask the venue for its time: reachability, clock skew and what is left of the rate limit, in one cheap call."""
    url = f"{venue.rest_url}/fapi/v1/time"
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            await _ask(session, url)  # opens the connection, so that the next round trip is the network's alone
            answer = await _ask(session, url)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = str(error) or f"no answer within {ANSWER_WITHIN_S:g} s"
        mend = f"check the network, a proxy (HTTPS_PROXY) and venues.{name}.rest_url"
        return [Finding(name, Verdict.FAIL, f"{venue.rest_url} cannot be reached: {reason}", mend)]
    if answer.status != HTTPStatus.OK:
        return [_refused(name, answer)]
    try:
        server_ms = msgspec.json.decode(answer.body, type=_Time).serverTime
    except msgspec.MsgspecError as error:
        mend = f"check venues.{name}.rest_url"
        return [Finding(name, Verdict.FAIL, f"{url} does not answer like {name}: {error}", mend)]
    round_trip = answer.got_ms - answer.sent_ms
    reached = Finding(name, Verdict.OK, f"{venue.rest_url} answers in {round_trip:.0f} ms")
    skew_ms = (answer.sent_ms + answer.got_ms) / 2 - server_ms
    return [reached, _clock(name, skew_ms, round_trip), _headroom(name, answer)]


def _refused(name: str, answer: _Answer) -> Finding:
    what = f"answers HTTP {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}"
    match answer.status:
        case 429 | 418:
            wait = answer.headers.get("Retry-After", "some")
            return Finding(name, Verdict.FAIL, what, f"the rate limit is used up; wait {wait} s")
        case 451 | 403:
            return Finding(name, Verdict.FAIL, what, "the venue does not serve this place; use another network")
        case _:
            return Finding(name, Verdict.FAIL, what, f"check venues.{name}.rest_url or try later")


def _clock(name: str, skew_ms: float, round_trip: float) -> Finding:
    """`skew_ms` is ours minus theirs, known to half a round trip."""
    what = f"ours is {abs(skew_ms):.0f} ms {'ahead of' if skew_ms > 0 else 'behind'} theirs (± {round_trip / 2:.0f} ms)"
    if abs(skew_ms) - round_trip / 2 > SKEW_WARN_MS:
        return Finding(f"{name} clock", Verdict.WARN, what, "synchronise this machine's clock (NTP)")
    return Finding(f"{name} clock", Verdict.OK, what)


def _headroom(name: str, answer: _Answer) -> Finding:
    used = int(answer.headers.get("X-MBX-USED-WEIGHT-1M", "0"))
    what = f"{used} of {WEIGHT_PER_MINUTE} request weight used this minute"
    if used > WEIGHT_PER_MINUTE * WEIGHT_WARN_SHARE:
        return Finding(f"{name} limit", Verdict.WARN, what, "another program here asks a lot; stop it")
    return Finding(f"{name} limit", Verdict.OK, what)
