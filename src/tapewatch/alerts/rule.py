"""A rule: which figure of which instruments is compared with what, for how long, and who is told."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from ..model.errors import UsageError
from .metrics import METRICS, NAMED_AT_MOST, Metric

Comparison = Literal["above", "below", "outside", "crosses_above", "crosses_below"]
Severity = Literal["info", "warning", "critical"]

WHOLE_VENUE = "*"
"""The symbol of a figure that is of a venue as a whole."""
BUILT_IN_SINKS = ("page", "sound", "desktop", "log")
"""Sinks that need no settings; the first three are the open pages', which read the stream."""

ClockTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
SinkName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Quiet(Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of a day in which an alert is noted and not sent; `[start, end)` by the clocks of `zone`."""

    start: ClockTime
    end: ClockTime
    zone: Annotated[str, Meta(max_length=64)] = "UTC"

    def covers(self, ts_ms: int) -> bool:
        """Whether that moment is within the quiet hours; they may pass midnight, and follow summer time."""
        now = datetime.fromtimestamp(ts_ms / 1000, ZoneInfo(self.zone)).strftime("%H:%M")
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule as it was written; `checked` says whether it makes sense.

    `above` and `below` include the threshold; `outside` compares the size whatever its sign. `crosses_…` wants to have
    seen the other side first. An alert ends when the figure has gone back beyond `clear`.
    """

    name: Name
    metric: str
    threshold: float
    exchange: Annotated[str, Meta(max_length=40)] = "binance"
    symbols: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=500)] = ()
    """Empty: all that trade."""
    window: Annotated[str, Meta(max_length=8)] = ""
    compare: Comparison = "above"
    clear: float | None = None
    """None: the threshold itself."""
    for_s: Seconds = 0.0
    """How long the comparison must hold without a break before it is an alert, by the venue's time."""
    cooldown_s: Seconds = 0.0
    """Least time between two alerts of one instrument."""
    quiet: Quiet | None = None
    severity: Severity = "warning"
    sinks: Annotated[tuple[SinkName, ...], Meta(max_length=16)] = ("page",)
    tell_end: bool = False
    """Also send a message when the alert ends."""
    per_minute: Annotated[int, Meta(ge=1, le=1_000)] = 10
    """Alerts of this rule that are sent one by one in a minute; what is beyond comes as one summary."""
    against: Annotated[str, Meta(max_length=110)] = ""
    """Of a pair: the other instrument, ``binance:ETHUSDT``."""
    bars: Annotated[int, Meta(ge=5, le=500)] = 20
    beta: Annotated[float, Meta(ge=-100, le=100)] = 1.0
    note: Annotated[str, Meta(max_length=500)] = ""
    enabled: bool = True

    @property
    def of(self) -> Metric:
        """What its figure is."""
        return METRICS[self.metric]

    @property
    def clear_at(self) -> float:
        return self.threshold if self.clear is None else self.clear


def rule_of(content: object) -> Rule:
    """A rule from plain data (a JSON body); raises UsageError with one sentence."""
    try:
        rule = msgspec.convert(content, Rule)
    except msgspec.ValidationError as error:
        raise UsageError(f"the rule is refused: {error}") from None
    return checked(rule)


def checked(rule: Rule) -> Rule:
    """The rule, if it can be watched; raises UsageError that names the field and what is allowed."""
    metric = METRICS.get(rule.metric)
    if metric is None:
        raise UsageError(f"metric = {rule.metric[:40]!r} is refused; allowed: {', '.join(METRICS)}")
    if rule.window not in (metric.windows or ("",)):
        raise UsageError(
            f"window = {rule.window!r} is refused; {metric.name} allows {', '.join(metric.windows) or 'none'}"
        )
    if metric.scope == "venue" and rule.symbols:
        raise UsageError(f"{metric.name} is of the venue as a whole: leave the symbols out")
    if metric.scope == "named" and not 1 <= len(rule.symbols) <= NAMED_AT_MOST:
        raise UsageError(f"{metric.name} costs time for each symbol: name 1 to {NAMED_AT_MOST} of them")
    if metric.scope == "pair" and (len(rule.symbols) != 1 or rule.against.count(":") != 1):
        raise UsageError(f"{metric.name} wants one symbol, and the other one in against, such as binance:ETHUSDT")
    if metric.scope != "pair" and rule.against:
        raise UsageError(f"against belongs to pairs; {metric.name} has none")
    if len(set(rule.symbols)) < len(rule.symbols):
        raise UsageError("symbols names one of them twice: an alert of a rule and symbol has one key")
    if not rule.name.isprintable() or not rule.note.replace("\n", "").isprintable():
        raise UsageError("name and note are text to read: without control characters")
    _check_clear(rule)
    _check_quiet(rule.quiet)
    return rule


def _check_clear(rule: Rule) -> None:
    if not all(map(isfinite, (rule.threshold, rule.clear_at, rule.beta))):
        raise UsageError("threshold, clear and beta are finite numbers")
    if rule.compare == "outside" and rule.threshold <= 0:
        raise UsageError("threshold of outside is a size: above 0")
    clear, wrong = rule.clear_at, ""
    if rule.compare in ("above", "crosses_above") and clear > rule.threshold:
        wrong = f"at most the threshold {rule.threshold:g}"
    if rule.compare in ("below", "crosses_below") and clear < rule.threshold:
        wrong = f"at least the threshold {rule.threshold:g}"
    if rule.compare == "outside" and not 0 <= clear <= rule.threshold:
        wrong = f"0 to the threshold {rule.threshold:g}"
    if wrong:
        raise UsageError(f"clear = {clear:g} is refused; allowed with {rule.compare}: {wrong}")


def _check_quiet(quiet: Quiet | None) -> None:
    if quiet is None:
        return
    if quiet.start == quiet.end:
        raise UsageError("quiet hours that end when they start are none: leave them out, or disable the rule")
    try:
        ZoneInfo(quiet.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"quiet.zone = {quiet.zone!r} is no time zone; such as UTC or Europe/Berlin") from None
