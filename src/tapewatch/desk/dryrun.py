"""Dry runs of alert rules: the stored minutes that a rule is tried on, read and put in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..alerts.dryrun import Minutes, dry_run, minutes_before, refuse_unstored
from ..alerts.episode import AFTER_MINUTES
from ..alerts.rule import Rule
from ..model.errors import NotFoundError, UsageError
from ..model.tape import Flag, Kind
from ..store.reader import STREAMS, Reader
from .bars import DAY_MS, MINUTE_MS

MOST_CELLS = 2_000_000
"""Minutes times instruments that are read for one dry run: a day of 1,300, or a month of 45; half a gigabyte."""
MOST_DAYS = 44


def tried(reader: Reader | None, rule: Rule, start_ms: int, end_ms: int) -> dict[str, Any]:
    """What the rule would have done from `start_ms` (0: a day before the end) to `end_ms` (0: the newest stored).

    Raises UsageError or NotFoundError with the sentence that says why there is no answer.
    """
    refuse_unstored(rule)
    span = None if reader is None else reader.span(rule.exchange, kind=Kind.TRADE)
    if reader is None or span is None:
        raise NotFoundError(f"nothing is stored of {rule.exchange} yet; what was just heard follows within minutes")
    # The first and the last stored minute may be stored in part.
    stored = -(-span[0] // MINUTE_MS) * MINUTE_MS, (span[1] + 1) // MINUTE_MS * MINUTE_MS
    end_ms = min(end_ms or stored[1], stored[1]) // MINUTE_MS * MINUTE_MS
    start_ms = max(start_ms or end_ms - DAY_MS, stored[0]) // MINUTE_MS * MINUTE_MS
    if start_ms >= end_ms:
        raise NotFoundError(f"no whole minute of {rule.exchange} is stored in this range; {_told(stored)}")
    if end_ms - start_ms > MOST_DAYS * DAY_MS:
        raise UsageError(f"a rule is tried on up to {MOST_DAYS} days at a time")
    before_ms = start_ms - minutes_before(rule) * MINUTE_MS
    until_ms = min(end_ms + AFTER_MINUTES[-1] * MINUTE_MS, stored[1])
    minutes = _minutes(reader, rule.exchange, before_ms, until_ms, rule.symbols, rule.metric)
    other = None
    if rule.against:
        venue, _, symbol = rule.against.partition(":")
        other = _minutes(reader, venue, before_ms, until_ms, (symbol,), rule.metric)
    if rule.metric.startswith("liquidations") and not (minutes.long.any() or minutes.short.any()):
        raise NotFoundError(
            f"no liquidation that the rule could see is stored of {rule.exchange} in this range: whether there were "
            "none, or none were recorded, is not known"
        )
    held = {one.symbol for one in minutes.instruments}
    missing = [symbol for symbol in rule.symbols if symbol not in held]
    return dry_run(rule, minutes, start_ms, end_ms, other) | {"not_stored": missing}


def _told(stored: tuple[int, int]) -> str:
    first, last = (np.datetime_as_string(np.datetime64(ms, "ms"), unit="m") for ms in stored)
    return f"stored are {first} to {last} UTC"


def _minutes(reader: Reader, venue: str, start_ms: int, end_ms: int, symbols: tuple[str, ...], metric: str) -> Minutes:
    universe = reader.universe(venue)
    names = [name for name in symbols if universe.find(name) is not None] if symbols else [o.symbol for o in universe]
    if not names:
        raise NotFoundError(f"nothing is stored of {', '.join(symbols) or venue} on {venue}")
    if (end_ms - start_ms) // MINUTE_MS * len(names) > MOST_CELLS:
        most = MOST_CELLS // len(names) * MINUTE_MS / DAY_MS
        raise UsageError(
            f"{len(names)} instruments can be tried on {most:.1f} days at most: name fewer, or ask for less"
        )
    bars = reader.minutes(venue, start_ms, end_ms, names)
    count = len(bars.stored)
    place = {one.symbol: k for k, one in enumerate(bars.instruments)}
    known = np.repeat(bars.stored[:, None], len(place), axis=1)
    for gap in reader.gaps(venue, start_ms, end_ms, names).to_pylist():
        if gap["stream"] in STREAMS and gap["symbol"] in place:
            first, last = ((gap[name] - start_ms) // MINUTE_MS for name in ("from_ms", "to_ms"))
            known[max(first, 0) : last + 1, place[gap["symbol"]]] = False
    tick = np.array([one.tick.to_float(1) for one in bars.instruments])
    close = np.where(bars.close > np.iinfo(np.int64).min, bars.close * tick, np.nan)
    long, short = np.zeros((2, count, len(place)))
    if metric.startswith("liquidations"):
        rows = reader.liquidations(venue, start_ms - MINUTE_MS, end_ms, names, universe=universe)
        at = (rows["event_ms"] - start_ms) // MINUTE_MS  # as live windows do
        rows, at = rows[(at >= 0) & (at < count)], at[(at >= 0) & (at < count)]
        lot = np.array([one.lot.to_float(1) for one in universe])
        to = np.array([place.get(one.symbol, -1) for one in universe])
        i = rows["instrument"]
        money = rows["price"] / 1e8 * rows["qty"] * lot[i]
        for side, of in ((long, rows["flags"] & Flag.LONG != 0), (short, rows["flags"] & Flag.LONG == 0)):
            np.add.at(side, (at[of], to[i[of]]), money[of])
    return Minutes(
        start_ms, bars.instruments, known, close, bars.ask, bars.bid, bars.ask_quote, bars.bid_quote, long, short
    )
