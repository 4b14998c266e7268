"""Which streams ought to be delivering and are not: pure judgement over counts and a passed clock.

A subscription that is acknowledged may stay silent for ever: a wrong route, a misspelt name, a stalled shard behind a
healthy socket. The liveness of the socket says nothing about it, so every stream is judged by itself:

* streams with a fixed rhythm (mark prices and tickers once a second) are silent after a few seconds;
* a trade, depth or touch stream is convicted by other streams, when they report events that it must have carried too:
  last trade ids that advance in the 24 h tickers testify against the trade stream, trades and touch changes against
  the depth stream, trades against the touch stream;
* only while such witnesses are themselves missing, a stream is judged by the rate it used to have;
* liquidations and contract changes are legally silent for ever.

So a quiet market raises no alarm, and a dead stream is named within seconds of the first event it hides.

All this is about what we have read. While data waits unread on a socket, or our own loop is late (too much work,
another program on the processor), what is missing or old there is our lateness: no second of it counts against the
venue, and no remedy is taken, which would only add the lost to the late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..model.channel import Channel
from ..model.views import FeedState
from .plan import SocketPlan, Stream
from .status import ChannelStatus
from .streams import StreamCounter
from .wire import Heading

Tap = Callable[[bytes], bool]

NEVER = float("-inf")
ENDLESS = float("inf")

RHYTHM_S = {Channel.CANARY: 5.0, Channel.MARKS: 5.0, Channel.TICKERS: 10.0}
"""Longest silence of streams of the whole market, and canaries, that come once a second whatever the market does."""
LEGALLY_SILENT = frozenset({Channel.LIQUIDATIONS, Channel.INSTRUMENTS})
PATIENCE_S = {Channel.TRADES: 10.0, Channel.DEPTH: 5.0, Channel.QUOTES: 10.0}
"""No stream that follows the market is judged before."""
MISSED_EVENTS = 50.0
"""Events a stream must have missed by its own rate to be suspected. Arrivals cluster: Poisson would need 15."""
PROOF = {Channel.TRADES: 3, Channel.DEPTH: 5, Channel.QUOTES: 20}
"""Events seen elsewhere that this stream must have carried. A trade can leave the touch as it is (hidden orders)."""
WITHOUT_WITNESS = 10.0
"""A suspicion that is this many times older than where it began needs no witness."""
RATE_MEMORY_S = 600.0
ATTENTION_S = 2.0
"""A tick counts for this long at most: while our own loop stands still, nobody's silence is proven."""

LATE_MS = 2_000.0
TOO_LATE_MS = 5_000.0
TOO_LATE_FOR_S = 10.0
REMEDY_EVERY_S = 15.0
REMEDY_LONGEST_S = 600.0
HEALTHY_AFTER_S = 60.0
RESUBSCRIBE_TIMES = 2
"""Then the connection is replaced, once, for a stream that stays silent."""
CROWD, CROWD_SHARE = 3, 0.2
"""When so many streams of a socket, and this share of those that ought to be heard, are silent, it is the socket."""
LIVELY_S = 5.0


@dataclass(slots=True, eq=False)
class Track:
    """What is known of one stream on one socket, judged once a second."""

    stream: Stream
    frames: int = 0
    tap: Tap | None = None
    """Wants each frame of this stream before the sink does; False drops it."""
    acked: float = NEVER
    """When the venue acknowledged it on the live connection; NEVER before."""
    rate: float = 0.0
    """Frames a second: expected at first, then its own."""
    silent: bool = False
    evidence: int = 0
    told: int = 0
    """`frames` at the last tick."""
    heard: float = NEVER
    """When `frames` last rose."""
    excused_s: float = 0.0
    """Seconds since then in which we were behind."""
    remedies: int = 0
    remedied: float = NEVER

    @property
    def has_rhythm(self) -> bool:
        """Whether it comes once a second whatever the market does; figures of one symbol come when they change."""
        return self.stream.channel in RHYTHM_S and (not self.stream.symbol or self.stream.channel is Channel.CANARY)

    def patience(self) -> float:
        """Seconds without a frame after which a stream that follows the market is suspected."""
        return max(PATIENCE_S[self.stream.channel], MISSED_EVENTS / self.rate if self.rate > 0 else ENDLESS)


@dataclass(slots=True, eq=False)
class SocketWatch:
    """What is known of one socket and its streams."""

    name: str
    tracks: dict[bytes, Track] = field(default_factory=dict)
    counter: StreamCounter | None = None
    """Counts the frames of all streams that nobody taps; `collect` gives them to the tracks."""
    connected: bool = False
    opened_at: float = NEVER
    failing: bool = False
    """The last attempt to connect failed."""
    lag_ms: float | None = None
    behind: bool = False
    """Data that has arrived waits for us to read it."""
    sample_due: bool = False
    """The next read should measure the lag."""
    late_since: float | None = None
    sick: bool = False
    """So many streams are silent, or all data is so late, that it must be the socket."""
    remedies: int = 0
    remedied: float = NEVER
    healthy_since: float = NEVER

    def collect(self) -> None:
        """Give the tracks what the read loop has counted since the last time."""
        for name, frames in self.counter.take() if self.counter is not None else ():
            self.tracks[name].frames += frames

    def excuse(self, seconds: float) -> None:
        """We were behind for so long: nobody's silence and no delay is proven by that."""
        self.late_since = None
        for track in self.tracks.values():
            track.excused_s += seconds
            track.evidence = 0

    def heard(self) -> float:
        """When the newest frame of any stream came."""
        return max((track.heard for track in self.tracks.values()), default=NEVER)

    def silent(self) -> list[Track]:
        return [track for track in self.tracks.values() if track.silent]


class Action(Enum):
    """Remedies, from the cheapest to the dearest."""

    RESUBSCRIBE = "resubscribe"
    """Ask for the silent streams once more."""
    REPLACE = "replace"
    """Open a new connection before the old one is closed: the healthy streams lose nothing."""
    RECONNECT = "reconnect"
    """Give the connection up at once."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about silence on a socket."""

    socket: str
    action: Action
    streams: tuple[Stream, ...]
    reason: str


class Watchdog:
    """Judges all streams of one venue once a second."""

    def __init__(self, heading: Heading, *, tickers_testify: bool = True) -> None:
        """`tickers_testify`: 24 h figures of the whole market tell trade ids (see `trade_ids`)."""
        self._heading = heading
        self._tickers_testify = tickers_testify
        self.now = 0.0
        """Seconds of attention: our own clock, less the time in which our loop did not run."""
        self.sockets: dict[str, SocketWatch] = {}
        self._wall: float | None = None
        # Streams that follow the market, by symbol; each symbol has one of a kind.
        self._market: dict[Channel, dict[str, Track]] = {channel: {} for channel in PROOF}
        self._trades = self._market[Channel.TRADES]
        self._depths = self._market[Channel.DEPTH]
        self._touches = self._market[Channel.QUOTES]
        self._trade_ids: dict[str, int] = {}
        self._witness_track: Track | None = None
        """The 24 h figures of the whole market with trade ids; not every venue tells them."""

    # -- what is watched ----------------------------------------------------------------------------------------

    def follow(self, plan: SocketPlan, rates: Mapping[str, float], taps: Mapping[Channel, Tap]) -> SocketWatch:
        """Watch the streams of `plan`, and no others, on the socket it names. `rates`: trades a second by symbol."""
        watch = self.sockets.setdefault(plan.name, SocketWatch(plan.name))
        watch.collect()
        wanted = {stream.name.encode(): stream for stream in plan.streams}
        for name in [name for name in watch.tracks if name not in wanted]:
            self._drop(watch.tracks.pop(name).stream)
        for name, stream in wanted.items():
            if name not in watch.tracks:
                track = watch.tracks[name] = Track(stream, tap=taps.get(stream.channel))
                if stream.channel == Channel.TRADES:
                    track.rate = rates.get(stream.symbol, 0.0)
                if stream.channel in self._market:
                    self._market[stream.channel][stream.symbol] = track
                elif stream.channel is Channel.TICKERS and not stream.symbol and self._tickers_testify:
                    self._witness_track = track
        counted = [name for name, track in watch.tracks.items() if track.tap is None]
        watch.counter = StreamCounter(counted, self._heading)
        return watch

    def forget(self, socket: str) -> None:
        """The socket is no longer planned."""
        for track in self.sockets.pop(socket).tracks.values():
            self._drop(track.stream)

    def _drop(self, stream: Stream) -> None:
        if stream.channel in self._market:
            del self._market[stream.channel][stream.symbol]

    def opened(self, socket: str) -> None:
        """A connection is up; nothing is acknowledged on it yet."""
        watch = self.sockets[socket]
        watch.connected, watch.failing, watch.opened_at = True, False, self.now
        self._begin_anew(watch)

    def lost(self, socket: str) -> None:
        watch = self.sockets[socket]
        watch.connected = False
        self._begin_anew(watch)

    def _begin_anew(self, watch: SocketWatch) -> None:
        watch.lag_ms = watch.late_since = None
        watch.sick = False
        watch.collect()
        for track in watch.tracks.values():
            track.acked = track.heard = NEVER
            track.excused_s = 0.0
            track.told, track.evidence, track.silent = track.frames, 0, False

    def confirmed(self, socket: str, names: Iterable[str]) -> None:
        """The venue has acknowledged these streams."""
        tracks = self.sockets[socket].tracks
        for name in names:
            track = tracks.get(name.encode())
            if track is not None:
                track.acked, track.evidence, track.excused_s = self.now, 0, 0.0

    def lag(self, watch: SocketWatch, lag_ms: float) -> None:
        """One measurement of how late a socket's data is."""
        watch.lag_ms = lag_ms if watch.lag_ms is None else watch.lag_ms + (lag_ms - watch.lag_ms) * 0.3
        if lag_ms <= TOO_LATE_MS or watch.behind:
            watch.late_since = None
        elif watch.late_since is None:
            watch.late_since = self.now

    def trade_ids(self, ids: Iterable[tuple[str, int]]) -> None:
        """Last trade ids by symbol from the 24 h tickers: one that advances is an event the trade stream must carry."""
        for symbol, last_id in ids:
            before = self._trade_ids.get(symbol)
            self._trade_ids[symbol] = last_id
            if before is not None and last_id > before:
                self._accuse(self._trades.get(symbol))

    # -- judgement ----------------------------------------------------------------------------------------------

    def tick(self, wall_s: float) -> list[Remedy]:
        """Judge everything at `wall_s` of a monotonic clock; returns what to do."""
        passed = wall_s - self._wall if self._wall is not None else 0.0
        self._wall = wall_s
        attention_s = min(passed, ATTENTION_S)
        self.now += attention_s
        for watch in self.sockets.values():
            watch.sample_due = True
            watch.collect()
            for track in watch.tracks.values():
                self._hear(track)
        self._witness()
        remedies = []
        for watch in self.sockets.values():
            if watch.behind:
                watch.excuse(attention_s)
                for track in watch.tracks.values():
                    track.silent &= track.heard != self.now
            elif watch.connected:
                for track in watch.tracks.values():
                    # Once convicted, only data acquits: a new acknowledgement is what misled us before.
                    track.silent = track.heard != self.now and (track.silent or self._is_silent(track))
                remedy = self._remedy(watch)
                if remedy is not None:
                    remedies.append(remedy)
        return remedies

    def _hear(self, track: Track) -> None:
        fresh = track.frames - track.told
        if not fresh:
            return
        span = self.now - track.heard
        if track.heard != NEVER and span > 0:
            weight = min(1.0, span / RATE_MEMORY_S) if track.rate > 0 else 1.0
            track.rate += (fresh / span - track.rate) * weight
        track.told, track.heard, track.evidence, track.excused_s = track.frames, self.now, 0, 0.0
        if self.now - track.remedied > REMEDY_EVERY_S:
            track.remedies = 0

    def _witness(self) -> None:
        """What touch changes and trades of this tick say about the streams that must have carried them too."""
        for symbol, track in self._trades.items():
            if track.heard == self.now:
                self._accuse(self._touches.get(symbol))
                self._accuse(self._depths.get(symbol))
        for symbol, track in self._touches.items():
            if track.heard == self.now:
                self._accuse(self._depths.get(symbol))

    def _accuse(self, track: Track | None) -> None:
        if track is not None and track.heard != self.now:
            track.evidence += 1

    def _is_silent(self, track: Track) -> bool:
        channel = track.stream.channel
        if track.acked == NEVER or channel in LEGALLY_SILENT:
            return False
        age = self.now - max(track.heard, track.acked) - track.excused_s
        if channel in RHYTHM_S:
            return track.has_rhythm and age > RHYTHM_S[channel]
        if age >= PATIENCE_S[channel] and track.evidence >= PROOF[channel]:
            return True
        return age > track.patience() * WITHOUT_WITNESS and not self._has_witness(track)

    def _has_witness(self, track: Track) -> bool:
        """Whether somebody is there to say that this stream misses nothing: the tickers, and for books the trades."""
        ticker = self._witness_track
        if ticker is None or self.now - ticker.heard > RHYTHM_S[Channel.TICKERS]:
            return False
        if track.stream.channel == Channel.TRADES:
            return True
        trades = self._trades.get(track.stream.symbol)
        return trades is not None and trades.acked != NEVER and not trades.silent

    # -- remedies -----------------------------------------------------------------------------------------------

    def _remedy(self, watch: SocketWatch) -> Remedy | None:
        silent = watch.silent()
        late_for = self.now - watch.late_since if watch.late_since is not None else 0.0
        watch.sick = late_for >= TOO_LATE_FOR_S or self._is_crowd(watch, silent)
        if not silent and not watch.sick:
            watch.healthy_since = max(watch.healthy_since, watch.opened_at)
            if self.now - watch.healthy_since > HEALTHY_AFTER_S:
                watch.remedies = 0
            return None
        watch.healthy_since = self.now
        due = [track for track in silent if _is_due(self.now, track.remedied, track.remedies)]
        stubborn = [track for track in due if track.remedies == RESUBSCRIBE_TIMES]
        if (watch.sick or stubborn) and _is_due(self.now, watch.remedied, watch.remedies):
            watch.remedies, watch.remedied = watch.remedies + 1, self.now
            reason = _silence(silent, len(watch.tracks))
            if late_for >= TOO_LATE_FOR_S:
                reason = f"data is {(watch.lag_ms or 0) / 1000:.1f} s late"
            return self._prescribe(watch, Action.RECONNECT if watch.sick else Action.REPLACE, stubborn, reason)
        again = [track for track in due if track not in stubborn]
        if watch.sick or not again:
            return None
        return self._prescribe(watch, Action.RESUBSCRIBE, again, _silence(again, len(watch.tracks)))

    def _prescribe(self, watch: SocketWatch, action: Action, tracks: Sequence[Track], reason: str) -> Remedy:
        for track in tracks:
            track.remedies, track.remedied = track.remedies + 1, self.now
        return Remedy(watch.name, action, tuple(track.stream for track in tracks), reason)

    def _is_crowd(self, watch: SocketWatch, silent: Sequence[Track]) -> bool:
        """Silence of so many streams that it must be the socket."""
        if not silent:
            return False
        lively = sum(self.now - track.heard < LIVELY_S for track in watch.tracks.values())
        return not lively or (len(silent) >= CROWD and len(silent) >= CROWD_SHARE * (len(silent) + lively))

    # -- verdicts -----------------------------------------------------------------------------------------------

    def silent(self) -> list[str]:
        """Names of the streams that are acknowledged, ought to deliver and do not."""
        return sorted(track.stream.name for watch in self.sockets.values() for track in watch.silent())

    def delivering(self, channel: Channel) -> set[str]:
        """Symbols whose stream of this kind has brought something since the tick before."""
        return {symbol for symbol, track in self._market[channel].items() if track.heard == self.now}

    def state(self, watch: SocketWatch) -> FeedState:
        """The word for one socket."""
        if not watch.connected:
            return FeedState.DOWN if watch.failing else FeedState.CONNECTING
        if watch.sick or any(track.has_rhythm for track in watch.silent()):
            return FeedState.STALE
        if watch.lag_ms is not None and watch.lag_ms > LATE_MS:
            return FeedState.DELAYED
        if self.now - watch.heard() <= LIVELY_S:
            return FeedState.LIVE
        return FeedState.CONNECTING if self.now - watch.opened_at <= LIVELY_S else FeedState.QUIET

    def channels(self) -> list[ChannelStatus]:
        """Every kind of stream that is subscribed, over all sockets that carry it."""
        tracks: dict[Channel, list[Track]] = {}
        states: dict[Channel, list[FeedState]] = {}
        for watch in self.sockets.values():
            state = self.state(watch)
            for track in watch.tracks.values():
                tracks.setdefault(track.stream.channel, []).append(track)
            for channel in {track.stream.channel for track in watch.tracks.values()}:
                states.setdefault(channel, []).append(state)
        return [self._channel(channel, tracks[channel], states[channel]) for channel in Channel if channel in tracks]

    def _channel(self, channel: Channel, tracks: Sequence[Track], sockets: Sequence[FeedState]) -> ChannelStatus:
        heard = max(track.heard for track in tracks)
        silent = sorted(track.stream.name for track in tracks if track.silent)
        state = worst(sockets)
        if state in (FeedState.LIVE, FeedState.QUIET):
            state = FeedState.LIVE if self.now - heard <= LIVELY_S else FeedState.QUIET
            if silent and (channel in RHYTHM_S or len(silent) == len(tracks)):
                state = FeedState.STALE
        return ChannelStatus(
            channel=channel.value,
            state=state,
            streams=len(tracks),
            confirmed=sum(track.heard != NEVER for track in tracks),
            data_age_ms=(self.now - heard) * 1000 if heard != NEVER else None,
            silent=silent,
        )


def worst(states: Sequence[FeedState]) -> FeedState:
    """One word for several: all down is down, some down is stale, else the worst there is."""
    if not states:
        return FeedState.CONNECTING
    if FeedState.DOWN in states and any(state is not FeedState.DOWN for state in states):
        return FeedState.STALE
    return min(states, key=_WORST_FIRST.index)


_WORST_FIRST = [
    FeedState.DOWN,
    FeedState.STALE,
    FeedState.DELAYED,
    FeedState.CONNECTING,
    FeedState.LIVE,
    FeedState.QUIET,
]


def _is_due(now: float, remedied: float, remedies: int) -> bool:
    return now - remedied >= min(REMEDY_LONGEST_S, REMEDY_EVERY_S * 2.0 ** min(remedies, 10) / 2)


def _silence(silent: Sequence[Track], of: int) -> str:
    names = ", ".join(track.stream.name for track in silent[:3])
    more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
    return f"{names}{more} acknowledged but silent ({len(silent)} of {of} streams)"
