"""What the answers of /api/alerts look like, and what is sent there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import Answer, Count, ServerMs, TimeMs

Percent = Annotated[float | None, Field(description="Of the price at the alert; null: not yet, or not known.")]
Compare = Literal["above", "below", "outside", "crosses_above", "crosses_below"]
Severity = Literal["info", "warning", "critical"]


class QuietHours(Answer):
    """`[start, end)` by the clocks of a time zone; alerts within are noted, and sent if they outlast them."""

    start: Annotated[str, Field(description="HH:MM")]
    end: Annotated[str, Field(description="HH:MM; may be on the next day.")]
    zone: Annotated[str, Field(description="IANA name, such as Europe/Berlin.")] = "UTC"


class RuleBody(BaseModel):
    """A rule as it is written. docs/alerts.md explains each field."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    metric: Annotated[str, Field(description="A name from /api/alerts/metrics.")]
    threshold: float
    exchange: str = "binance"
    symbols: Annotated[list[str], Field(description="Empty: all that trade.")] = []
    window: Annotated[str, Field(description="One that the metric allows.")] = ""
    compare: Compare = "above"
    clear: Annotated[float | None, Field(description="The alert ends beyond this; null: beyond the threshold.")] = None
    for_s: Annotated[float, Field(ge=0, le=86_400, description="It must hold so long, s of the venue's time.")] = 0
    cooldown_s: Annotated[float, Field(ge=0, le=86_400, description="Least time between two alerts, s.")] = 0
    quiet: QuietHours | None = None
    severity: Severity = "warning"
    sinks: list[str] = ["page"]
    tell_end: Annotated[bool, Field(description="Also send a message when it ends.")] = False
    per_minute: Annotated[int, Field(ge=1, le=1_000, description="Sent one by one; the rest as a summary.")] = 10
    against: Annotated[str, Field(description="Of a pair, the other instrument: binance:ETHUSDT.")] = ""
    bars: Annotated[int, Field(ge=5, le=500, description="Of a pair, bars that it is judged on.")] = 20
    beta: Annotated[float, Field(ge=-100, le=100, description="Of a pair, the hedge ratio.")] = 1.0
    note: Annotated[str, Field(max_length=500)] = ""
    enabled: bool = True


class RuleCounts(Answer):
    """Since the program, or this revision, began."""

    fired: Count
    sent: Annotated[Count, Field(description="Sent by themselves.")]
    summarised: Annotated[Count, Field(description="Beyond per_minute: sent in summaries.")]
    quiet: Annotated[Count, Field(description="Noted in quiet hours.")]
    cooling: Annotated[Count, Field(description="Would have fired but for the cooldown.")]


class Rule(Answer):
    """A rule and where it stands."""

    id: int
    revision: int
    name: str
    metric: str
    threshold: float
    exchange: str
    symbols: list[str]
    window: str
    compare: Compare
    clear: float | None
    for_s: float
    cooldown_s: float
    quiet: QuietHours | None
    severity: Severity
    sinks: list[str]
    tell_end: bool
    per_minute: int
    against: str
    bars: int
    beta: float
    note: str
    enabled: bool
    condition: Annotated[str, Field(description="The comparison in words.")]
    unit: str
    decimals: Annotated[int, Field(description="Digits that a screen shows; -1: those of the instrument's price.")]
    state: Literal["off", "watching", "firing"]
    waiting: Annotated[str, Field(description="Why it is not being watched now; empty: it is.")]
    value: Annotated[float | None, Field(description="Newest value, of a rule about one thing.")]
    firing: Annotated[Count, Field(description="Instruments it is firing for.")]
    pending: Annotated[Count, Field(description="Instruments for which it holds, but not long enough yet.")]
    last_fired_ts: TimeMs | None
    counts: RuleCounts


class Episode(Answer):
    """An alert, and what followed."""

    key: Annotated[str, Field(description="Unique for ever; messages carry it.")]
    rule_id: int
    revision: int
    rule: str
    severity: Severity
    exchange: str
    symbol: Annotated[str | None, Field(description="Null: of the venue as a whole.")]
    start_ts: Annotated[TimeMs, Field(description="Since when the comparison held.")]
    fired_ts: TimeMs
    value: float | None
    price: Annotated[float | None, Field(description="Last price when it fired.")]
    told: Literal["sent", "quiet", "waiting", "summary"]
    ended_ts: TimeMs | None
    ended_by: Annotated[
        Literal["cleared", "edited", "deleted", "not_trading", "restarted"] | None,
        Field(description="`not_trading`: the instrument no longer trades, or is no longer followed here."),
    ]
    acked_ts: Annotated[int | None, Field(description="When somebody saw it, by our clock.")]
    after_1m_pct: Percent
    after_5m_pct: Percent
    after_15m_pct: Percent


class Storage(Answer):
    """Whether alerts outlive the program."""

    stored: bool
    detail: Annotated[str, Field(description="Why they are not being kept; empty: they are.")]
    unkept: Annotated[Count, Field(description="Rows that could not be kept, because too many waited.")]


class Rules(Answer):
    server_ts: ServerMs
    storage: Storage
    rules: list[Rule]


class Overview(Rules):
    episodes: list[Episode]


class Episodes(Answer):
    server_ts: ServerMs
    storage: Storage
    episodes: list[Episode]


class RuleAnswer(Answer):
    server_ts: ServerMs
    rule: Rule


class DryEpisode(Answer):
    """An alert that would have been. Times are ends of minutes."""

    symbol: str
    start_ts: TimeMs
    fired_ts: TimeMs
    ended_ts: TimeMs | None
    value: float | None
    price: float | None
    after_1m_pct: Percent
    after_5m_pct: Percent
    after_15m_pct: Percent


class Moved(Answer):
    """How far prices moved."""

    n: Count
    mean_pct: float | None
    median_pct: float | None


class Followed(Moved):
    """After alerts, and beside it after every minute of the range, of the instruments that fired."""

    minutes: int
    baseline: Moved


class SymbolCount(Answer):
    symbol: str
    count: Count


class DryRun(Answer):
    """What a rule would have done over stored minutes; it looks once a minute."""

    server_ts: ServerMs
    condition: Annotated[str, Field(description="The comparison in words.")]
    unit: str
    decimals: int
    exchange: str
    from_ts: TimeMs
    to_ts: Annotated[TimeMs, Field(description="Not included.")]
    step_s: Annotated[int, Field(description="Time between two looks; what happens within is not seen.")]
    minutes: Count
    minutes_unknown: Annotated[Count, Field(description="Of these, nothing that the rule watches is known.")]
    instruments: Count
    not_stored: Annotated[list[str], Field(description="Named symbols that nothing is stored of.")]
    looks: Annotated[Count, Field(description="minutes x instruments")]
    looks_known: Annotated[Count, Field(description="At which the figure was known.")]
    looks_in_gaps: Annotated[Count, Field(description="Unknown because trades of that instrument are missing.")]
    count: Annotated[Count, Field(description="Alerts.")]
    per_day: Annotated[float | None, Field(description="Of known minutes; null: fewer than 60 are.")]
    open: Annotated[Count, Field(description="Not ended at the end of the range.")]
    cooling: Annotated[Count, Field(description="Would have fired but for the cooldown.")]
    quiet: Annotated[Count, Field(description="Alerts in quiet hours.")]
    symbols: Annotated[list[SymbolCount], Field(description="The 50 that fired most.")]
    symbols_fired: Count
    episodes: Annotated[list[DryEpisode], Field(description="The newest 50, newest first.")]
    followed: Annotated[list[Followed], Field(description="1, 5 and 15 minutes after.")]


class Acknowledged(Answer):
    server_ts: ServerMs
    acknowledged: Count
    episode: Episode | None


class Metric(Answer):
    """A figure that a rule can watch."""

    name: str
    label: str
    unit: str
    words: str
    source: str
    null_means: str
    windows: list[str]
    scope: Annotated[
        Literal["instrument", "named", "pair", "venue"],
        Field(description="instrument: of all at once; named: of at most 16; pair: of two; venue: one figure."),
    ]
    decimals: int
    values: Annotated[dict[str, float | None], Field(description='By window; "" where it has none.')]


class Metrics(Answer):
    exchange: str
    symbol: str
    server_ts: ServerMs
    metrics: list[Metric]


class Sink(Answer):
    """Who can be told, and how that goes since the start."""

    name: str
    kind: str
    target: Annotated[str, Field(description="What may be told of its address.")]
    waiting: Count
    delivered: Count
    failed: Annotated[Count, Field(description="Attempts in vain.")]
    dead: Annotated[Count, Field(description="Messages laid aside.")]
    last_ok_ts: ServerMs | None
    last_error: str


class DeadLetter(Answer):
    """A message that could not be delivered."""

    key: str
    sink: str
    ts: ServerMs
    attempts: Count
    why: str


class Sinks(Answer):
    server_ts: ServerMs
    refused: Annotated[str, Field(description="Why sinks that were set up are not used; empty: they are.")]
    sinks: list[Sink]
    dead: list[DeadLetter]


class SinkBody(BaseModel):
    """A sink: `kind` and what belongs to it. What is secret here is never told again."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["webhook", "telegram", "email"]
    url: Annotated[str, Field(description="webhook")] = ""
    secret: Annotated[str, Field(description="webhook: signs each message; empty: not signed.")] = ""
    form: Annotated[Literal["tapewatch", "discord", "slack"], Field(description="webhook")] = "tapewatch"
    token: Annotated[str, Field(description="telegram: of the bot")] = ""
    chat: Annotated[str, Field(description="telegram")] = ""
    host: Annotated[str, Field(description="email: the server")] = ""
    port: Annotated[int, Field(description="email")] = 587
    security: Annotated[Literal["starttls", "tls", "none"], Field(description="email")] = "starttls"
    username: Annotated[str, Field(description="email")] = ""
    password: Annotated[str, Field(description="email")] = ""
    sender: Annotated[str, Field(description="email: From")] = ""
    to: Annotated[list[str], Field(description="email")] = []


class Tested(Answer):
    server_ts: ServerMs
    sink: str
    ok: bool
    detail: Annotated[str, Field(description="Why it did not arrive; empty: it did.")]


class Retried(Answer):
    server_ts: ServerMs
    sink: str
    again: Count
