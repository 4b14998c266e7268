"""Whether what a panel shows is the present, in the page's words. Old numbers are never painted in live colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..client.stream import Phase, Stream
from .format import span

State = Literal["live", "replay", "resync", "quiet", "delayed", "stale", "waiting", "disconnected"]
STATUS_LATE_MS = 3_500
"""The server reports its state every second."""
TOPIC_LATE_MS = 5_000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """The word and its number or reason, and since how many ms (None before the first frame)."""

    state: State
    text: str
    age_ms: float | None = None

    @property
    def fresh(self) -> bool:
        return self.state in ("live", "replay", "quiet", "delayed")


def link_health(stream: Stream, now: float) -> Health | None:
    """What is wrong with the connection; None where nothing is."""
    if stream.phase is Phase.DOWN and stream.retry_at:
        wait_s = max(0, -int(-(stream.retry_at - now) // 1))
        return Health("disconnected", f"DISCONNECTED retry in {wait_s} s")
    if stream.phase is not Phase.OPEN:
        return Health("disconnected", "DISCONNECTED connecting")
    return None


def judge(
    *, age_s: float | None, status_age_s: float | None, venue: Row | None, refused: str, continuous: bool,
    book_why: str = "",
) -> Health:  # fmt: skip
    """State of a panel over an open connection.

    `age_s` since its newest frame, `venue` what the server says of the venue behind it; `continuous`: silence means
    that something is wrong, not only that nobody trades.
    """
    if refused:
        return Health("waiting", f"WAITING {refused}")
    if age_s is None or status_age_s is None:
        missing = "venue not connected" if venue and not venue["connected"] else "for the first snapshot"
        return Health("waiting", f"WAITING {missing}")
    age_ms, status_ms = age_s * 1000, status_age_s * 1000
    if status_ms > STATUS_LATE_MS:
        return Health("stale", f"STALE {span(max(age_ms, status_ms))}", age_ms)
    if venue and venue["mode"] == "replay":
        return Health("replay", f"REPLAY {span(age_ms)}", age_ms)
    if book_why:
        return Health("resync", f"RESYNC {book_why}", age_ms)
    if venue and (not venue["connected"] or venue["state"] in ("down", "stale")):
        return Health("stale", f"STALE {span(age_ms)}", age_ms)
    if venue and venue["state"] == "connecting" and age_ms <= TOPIC_LATE_MS:
        return Health("delayed", f"STARTING {span(age_ms)}", age_ms)
    if age_ms > TOPIC_LATE_MS:
        return Health(
            "stale" if continuous else "quiet", f"{'STALE' if continuous else 'QUIET'} {span(age_ms)}", age_ms
        )
    if venue and venue["state"] == "delayed":
        return Health("delayed", f"DELAYED +{span(venue['lag_ms_p50'] or 0)}", age_ms)
    return Health("live", f"LIVE {span(age_ms)}", age_ms)


def venue_word(told: Row) -> str:
    """One or two words on a venue, for the top line."""
    if told["mode"] == "replay":
        return ""
    if not told["connected"] or told["state"] in ("down", "stale"):
        return f"{str(told['state']).upper()} {span(told['data_age_ms'])}"
    if told["state"] != "live":
        return str(told["state"]).upper()
    return span(told["data_age_ms"])


def is_well(told: Row) -> bool:
    """Whether a venue's rows are the present."""
    return bool(told["connected"]) and told["state"] not in ("down", "stale", "connecting")
