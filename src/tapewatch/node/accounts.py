"""``tapewatch doctor --url``: what a running server has received, lost and repaired, and whether it adds up."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from ..feed.reasons import why
from ..model.errors import TapewatchError
from .doctor import Finding, Verdict

ANSWER_WITHIN_S = 10.0

ANSWERS = (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
"""/health tells the same figures either way."""


async def examine_server(url: str, token: str = "") -> list[Finding]:
    """Ask the server at `url` for its accounts; raises TapewatchError where nobody answers like tapewatch."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{url.rstrip('/')}/health") as answer,
        ):
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise TapewatchError(f"no tapewatch answers at {url}: {why(error, url)}") from error
    try:
        health = msgspec.json.decode(body, type=dict[str, Any])
        findings = [finding for name, venue in health["venues"].items() for finding in _venue(name, venue)]
        findings += [_stored(name, one) for name, one in health["storage"].get("accounts", {}).items()]
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise TapewatchError(f"{url} does not answer like tapewatch (HTTP {answer.status})") from error
    serving = Verdict.OK if answer.status == HTTPStatus.OK else Verdict.WARN
    return [Finding("server", serving, f"{health['status']}, up {health['uptime_s']} s, {health['mode']}"), *findings]


def _venue(name: str, venue: dict[str, Any]) -> Iterator[Finding]:
    account = venue["ledger"]
    figures = ", ".join(
        f"{account[key]:,} {key.replace('_', ' ')}"
        for key in ("accepted", "duplicate", "excluded", "other_source", "quarantined")
        if account[key] or key == "accepted"
    )
    balance = f"{account['received']:,} trades received = {figures}"
    if account["balanced"]:
        yield Finding(f"{name} account", Verdict.OK, balance)
    else:
        mend = "a defect of ours: please report it with the log; a restart begins a new account"
        yield Finding(f"{name} account", Verdict.FAIL, "; ".join(account["violations"]), mend)
    gaps = f"{venue['gaps_found']:,} ids lost, {venue['gaps_filled']:,} came after all, {venue['missing']:,} missing"
    if venue["unknown_gaps"]:
        gaps += f", and {venue['unknown_gaps']:,} gaps that hide nobody knows how many"
    if venue["given_up"] or venue["unknown_gaps"]:
        mend = f"GET /api/coverage?exchange={name}&symbol=… names each; the daily archive has them"
        yield Finding(f"{name} gaps", Verdict.WARN, f"{gaps}, {venue['given_up']:,} given up", mend)
    else:
        yield Finding(f"{name} gaps", Verdict.OK, gaps)
    history = venue["history"]
    if history["percent"] is not None:
        what = f"{history['percent']} % of today, {history['complete']} of {history['symbols']} symbols done"
        yield Finding(f"{name} history", Verdict.OK, what)
    if venue["dropped"]:
        reasons = ", ".join(f"{n} {reason}" for reason, n in venue["dropped_by_reason"].items())
        yield Finding(f"{name} refused frames", Verdict.WARN, reasons, "the quarantine file keeps them")


def _stored(name: str, account: dict[str, Any]) -> Finding:
    """Whether what came is stored."""
    check = f"{name} store"
    if account["checked_ts"] is None:
        return Finding(check, Verdict.OK, "not compared yet; the first journal file takes five minutes")
    what = f"{account['stored']:,} of {account['held']:,} trades held are stored"
    if not account["balanced"]:
        mend = "a defect of ours: please report it with the log"
        return Finding(check, Verdict.FAIL, f"{what}; {account['detail']}", mend)
    if account["unstored"]:
        mend = (
            "the disk or the sealer was in trouble; the gaps are named in the catalog and asked for at the next start"
        )
        return Finding(check, Verdict.WARN, f"{what}; {account['detail']}", mend)
    return Finding(check, Verdict.OK, what)
