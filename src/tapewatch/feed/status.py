"""What the feed knows about itself, as plain data for /health, metrics and the status bar."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.views import FeedState


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """One planned websocket."""

    name: str
    route: str
    state: FeedState
    streams: int
    confirmed: int
    """Streams that have delivered since the socket was last opened."""
    data_age_ms: float | None
    """Since its last stream frame; None before the first."""
    lag_ms: float | None
    """The venue's event time to our receive time, by the venue's clock; smoothed."""
    reconnects: int
    rotations: int
    frames: int
    detail: str = ""
    """One sentence while something is wrong."""


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One kind of stream over all sockets."""

    channel: str
    state: FeedState
    streams: int
    confirmed: int
    data_age_ms: float | None
    silent: list[str] = field(default_factory=list)
    """Streams that are acknowledged, ought to deliver and do not."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One venue's feed at one moment."""

    venue: str
    state: FeedState
    detail: str
    """One sentence while something is wrong, empty otherwise."""
    instruments: int
    sockets: list[SocketStatus]
    channels: list[ChannelStatus]
    silent: list[str]
    connected: int
    reconnects: int
    data_age_ms: float | None
    clock_offset_ms: float | None
    """The venue's clock minus ours; None until measured."""
    weight_used: int
    weight_limit: int
    held_for_ms: int
    """The venue refused us (429, 418): nothing is asked for this long."""
    snapshots_queued: int
    snapshots_loaded: int
    snapshots_failed: int
    trades_backfilled: int
    adv_loaded: int
    trades_given_up: int = 0
    """Trades missing in gaps that the venue cannot fill."""
    history_trades: int = 0
    """Today's trades of before we came, brought in."""
    history_symbols: int = 0
    """Symbols whose day is loaded back to 00:00 UTC, and how many of them are done."""
    history_complete: int = 0
    history_share: float = 1.0
    """How much of that there is, 0 to 1."""
    klines_symbols: int = 0
    """Symbols whose trades of today begin after 00:00 UTC, and of how many the venue's klines tell what was before."""
    klines_loaded: int = 0
