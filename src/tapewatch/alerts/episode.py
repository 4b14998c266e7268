"""What happened: an episode of one rule on one instrument, and the message that somebody gets of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from .metrics import METRICS
from .rule import WHOLE_VENUE, Rule, Severity

Told = Literal["sent", "quiet", "waiting", "summary"]
"""`sent`: by itself. `quiet`: noted during quiet hours. `waiting` for, then part of, a summary of its rule."""
Ended = Literal["cleared", "edited", "deleted", "not_trading", "restarted"]
"""`cleared`: its figure went back. `not_trading`: its instrument no longer trades, or is no longer followed here."""
Event = Literal["fired", "ended", "summary", "test"]

AFTER_MINUTES = (1, 5, 15)
SUMMARY_SYMBOLS = 20
_WORDS = {
    "above": "is at or above",
    "below": "is at or below",
    "outside": "has a size of at least",
    "crosses_above": "has risen to",
    "crosses_below": "has fallen to",
}
_BECAUSE: dict[str | None, str] = {
    "edited": ", the rule was changed",
    "deleted": ", the rule was deleted",
    "not_trading": ", it no longer trades here",
}


@dataclass(slots=True)
class Episode:
    """One alert, from when it fired to when it ended. Times are the venue's, ms; `after` percent since `price`."""

    key: str
    """Unique for ever: rule, revision, venue, symbol and the moment from which the comparison held."""
    rule_id: int
    revision: int
    name: str
    severity: Severity
    exchange: str
    symbol: str
    start_ms: int
    fired_ms: int
    value: float
    price: float | None
    told: Told = "sent"
    ended_ms: int | None = None
    ended_by: Ended | None = None
    acked_ms: int | None = None
    after_1m: float | None = None
    after_5m: float | None = None
    after_15m: float | None = None


class Notice(Struct, frozen=True):
    """One message on its way to the sinks of a rule; the same words for all of them."""

    key: str
    """The receiver's key: a message that comes twice has it twice."""
    event: Event
    rule_id: int
    revision: int
    rule: str
    severity: Severity
    sinks: tuple[str, ...]
    text: str
    exchange: str
    metric: str
    created_ms: int
    """By our clock."""
    symbol: str | None = None
    window: str = ""
    unit: str = ""
    value: float | None = None
    threshold: float | None = None
    price: float | None = None
    start_ms: int | None = None
    fired_ms: int | None = None
    ended_ms: int | None = None
    ended_by: Ended | None = None
    note: str = ""
    count: int = 1
    """Alerts that it is about."""
    symbols: tuple[str, ...] = ()
    """Of a summary, the first `SUMMARY_SYMBOLS`."""


def key_of(rule_id: int, revision: int, exchange: str, symbol: str, start_ms: int) -> str:
    return f"{rule_id}:{revision}:{exchange}:{symbol}:{start_ms}"


def figure(rule: Rule, value: float | None) -> str:
    """A value as messages print it."""
    if value is None or math.isnan(value):
        return "unknown"
    decimals = rule.of.decimals
    return f"{value:.10g}" if decimals < 0 else f"{value:,.{decimals}f}"


def subject(rule: Rule, symbol: str) -> str:
    """``BTCUSDT (binance)``, ``BTCUSDT / ETHUSDT (binance)``, or the venue."""
    if symbol == WHOLE_VENUE:
        return rule.exchange
    pair = f" / {rule.against.partition(':')[2]}" if rule.against else ""
    return f"{symbol}{pair} ({rule.exchange})"


def condition(rule: Rule) -> str:
    """The rule's comparison in words: ``spread is at or above 5 bps for 30 s``."""
    metric = rule.of
    window = f" {rule.window}" if rule.window else ""
    unit = "" if metric.unit in ("quote", "[-1, 1]", "1 = yes") else f" {metric.unit}"
    held = f" for {rule.for_s:g} s" if rule.for_s else ""
    return f"{metric.label}{window} {_WORDS[rule.compare]} {rule.threshold:,.10g}{unit}{held}"


def fired_text(rule: Rule, episode: Episode) -> str:
    return f"{subject(rule, episode.symbol)}: {figure(rule, episode.value)} — {condition(rule)}"


def ended_text(rule: Rule, episode: Episode) -> str:
    lasted = ((episode.ended_ms or episode.fired_ms) - episode.fired_ms) / 1000
    because = _BECAUSE.get(episode.ended_by, "")
    return f"{subject(rule, episode.symbol)}: over after {lasted:,.0f} s{because} — {condition(rule)}"


def notice(event: Event, rule: Rule, episode: Episode, now_ms: int) -> Notice:
    """The message about one episode."""
    return Notice(
        key=f"{episode.key}:{event}",
        event=event,
        rule_id=episode.rule_id,
        revision=episode.revision,
        rule=rule.name,
        severity=rule.severity,
        sinks=rule.sinks,
        text=fired_text(rule, episode) if event == "fired" else ended_text(rule, episode),
        exchange=episode.exchange,
        metric=rule.metric,
        created_ms=now_ms,
        symbol=None if episode.symbol == WHOLE_VENUE else episode.symbol,
        window=rule.window,
        unit=METRICS[rule.metric].unit,
        value=episode.value,
        threshold=rule.threshold,
        price=episode.price,
        start_ms=episode.start_ms,
        fired_ms=episode.fired_ms,
        ended_ms=episode.ended_ms,
        ended_by=episode.ended_by,
        note=rule.note,
    )


def summary(rule: Rule, episodes: list[Episode], now_ms: int) -> Notice:
    """One message about all that a rule fired beyond what is sent one by one."""
    first, last = episodes[0], episodes[-1]
    symbols = tuple(dict.fromkeys(one.symbol for one in episodes))
    more = f" and {len(symbols) - SUMMARY_SYMBOLS} others" if len(symbols) > SUMMARY_SYMBOLS else ""
    text = f"{len(episodes)} more of {rule.name}: {', '.join(symbols[:SUMMARY_SYMBOLS])}{more} — {condition(rule)}"
    return Notice(
        key=f"{first.rule_id}:{first.revision}:{first.exchange}:summary:{first.symbol}:{first.start_ms}",
        event="summary",
        rule_id=first.rule_id,
        revision=first.revision,
        rule=rule.name,
        severity=rule.severity,
        sinks=rule.sinks,
        text=text,
        exchange=first.exchange,
        metric=rule.metric,
        created_ms=now_ms,
        window=rule.window,
        unit=METRICS[rule.metric].unit,
        threshold=rule.threshold,
        start_ms=first.fired_ms,
        fired_ms=last.fired_ms,
        note=rule.note,
        count=len(episodes),
        symbols=symbols[:SUMMARY_SYMBOLS],
    )
