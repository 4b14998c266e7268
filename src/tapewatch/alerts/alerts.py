"""All rules at work: looks at the market, moves their machines, and says what began, ended and followed.

Nothing here waits or writes: `look` is walked rule by rule, so that who calls can let others have their turn between
two, and `take` hands over what changed since.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from ..model.instrument import Instrument
from .episode import AFTER_MINUTES, Ended, Episode, Notice, key_of, notice, summary
from .machine import FIRING, PENDING, Machine
from .metrics import WINDOWS_S
from .readings import Pair, Readings
from .rule import WHOLE_VENUE, Rule

RULES_AT_MOST = 200
RECENT = 2_000
"""Episodes kept in memory, the newest; the store keeps all."""
FOLLOWED = 6_000
"""Prices after an alert that are waited for at a time."""
FOLLOWED_AT_ONCE = 50
MINUTE_MS = 60_000


@dataclass(slots=True)
class Counts:
    """Of one rule, since the start of the program."""

    fired: int = 0
    sent: int = 0
    """Alerts sent by themselves."""
    summarised: int = 0
    """Alerts beyond `per_minute`, sent in summaries."""
    quiet: int = 0
    """Alerts noted in quiet hours."""
    cooling: int = 0
    """Times that it would have fired but for the cooldown."""


@dataclass(slots=True)
class Watch:
    """One rule and where it stands."""

    id: int
    revision: int
    rule: Rule
    counts: Counts = field(default_factory=Counts)
    last_fired_ms: int | None = None
    waiting: str = ""
    """Why it is not being watched now; empty: it is."""
    untraded: str = ""
    """That none of its instruments trades."""
    value: float | None = None
    """The newest value, of a rule with one place."""
    machine: Machine | None = None
    engine: object = None
    version: int = -1
    clock_ms: int = 0
    instruments: list[Instrument] = field(default_factory=list)
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Index of each place in its universe; -1: not in it."""
    open: dict[str, Episode] = field(default_factory=dict)
    """By symbol."""
    fired: dict[str, int] = field(default_factory=dict)
    """When it fired last, by symbol, where the rule has a cooldown."""
    withheld: list[Episode] = field(default_factory=list)
    """Waiting for the summary."""
    minute: int = -1
    sent_in_minute: int = 0

    def pending(self) -> int:
        return 0 if self.machine is None else int((self.machine.state == PENDING).sum())

    def firing(self) -> int:
        return len(self.open)


class Alerts:
    """Rules by number. Times are the venues' but for `now_ms`, which is our clock and only dates messages."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self.watches: dict[int, Watch] = {}
        self.recent: deque[Episode] = deque(maxlen=RECENT)
        """Oldest first."""
        self.seq = 0
        """Rises with every change of an episode or of the rules."""
        self._heard: dict[str, tuple[object, int]] = {}
        """Engine and first time seen of each venue: windows that begin before it are not wholly held."""
        self.unfollowed = 0
        """Prices after an alert that were not waited for, because too many were."""
        self.faults: deque[tuple[int, Exception]] = deque(maxlen=RULES_AT_MOST)
        """Rules whose look raised, a defect of ours, until somebody has taken note."""
        self._changed: dict[str, Episode] = {}
        self._notices: list[Notice] = []
        self._following: list[tuple[int, int, Episode, int]] = []
        self._order = 0

    # -- rules ------------------------------------------------------------------------------------------------------

    def put(self, rule_id: int, revision: int, rule: Rule, now_ms: int) -> Watch:
        """Take a new rule, or a new revision: what the old one was firing ends as edited, and counts begin anew."""
        self.remove(rule_id, now_ms, by="edited")
        watch = self.watches[rule_id] = Watch(rule_id, revision, rule)
        if not rule.enabled:
            watch.waiting = "disabled"
        self.seq += 1
        return watch

    def remove(self, rule_id: int, now_ms: int, by: Ended = "deleted") -> None:
        """Forget a rule; what it was firing ends, what it had withheld is sent."""
        watch = self.watches.pop(rule_id, None)
        if watch is None:
            return
        self._summarise(watch, now_ms)
        for episode in list(watch.open.values()):
            self._end(watch, episode, watch.clock_ms, by, now_ms)
        self.seq += 1

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Go on where an earlier program left off; oldest first. Call after `put`.

        One that is open stays so, under its key, until its end is seen; of an older revision it ends here.
        """
        for episode in episodes:
            self.recent.append(episode)
            watch = self.watches.get(episode.rule_id)
            current = watch is not None and watch.revision == episode.revision
            if watch is not None and current:
                self._remember(watch, episode)
                if episode.told == "waiting":
                    watch.withheld.append(episode)
            if episode.ended_ms is None:
                if watch is not None and current and watch.rule.enabled:
                    watch.open[episode.symbol] = episode
                else:
                    episode.ended_ms, episode.ended_by = episode.fired_ms, "restarted"
                    self._note(episode)
            self._follow(episode)

    # -- looking ----------------------------------------------------------------------------------------------------

    def look(self, now_ms: int) -> Iterator[Watch]:
        """Look at the market once, a rule at a step."""
        self._readings.begin()
        self._hear()
        for watch in list(self.watches.values()):
            if self.watches.get(watch.id) is not watch:
                continue  # changed or removed between two steps
            try:
                self._look(watch, now_ms)
            except Exception as error:  # noqa: BLE001  (kept in `faults`, logged by the node: one rule costs no other)
                watch.waiting = f"an error of ours ({type(error).__name__}); the log says more"
                self.faults.append((watch.id, error))
            yield watch
        self._look_back()

    def _hear(self) -> None:
        """Note from when each venue is heard, rules or no rules; anew with a new engine."""
        for name, venue in self._readings.venues.items():
            if self._heard.get(name, (None, 0))[0] is not venue.engine and venue.engine.clock_ms:
                self._heard[name] = venue.engine, venue.engine.clock_ms

    def take(self) -> tuple[list[Episode], list[Notice]]:
        """What changed since the last call: episodes as they are now, and messages in their order."""
        taken = list(self._changed.values()), self._notices
        self._changed, self._notices = {}, []
        return taken

    def acknowledge(self, key: str, now_ms: int) -> Episode | None:
        """Note that somebody has seen it; the first time counts. None where it is not in memory."""
        episode = next((one for one in self.recent if one.key == key), None)
        if episode is not None and episode.acked_ms is None:
            episode.acked_ms = now_ms
            self._note(episode)
        return episode

    def _look(self, watch: Watch, now_ms: int) -> None:
        rule = watch.rule
        if not rule.enabled:
            return
        clock_ms = self._ready(watch, now_ms)
        if watch.machine is None:
            return
        values = self._certain(watch, clock_ms, self._values(watch))
        watch.value = float(values[0]) if len(values) == 1 and not isnan(values[0]) else None
        quiet = rule.quiet is not None and rule.quiet.covers(clock_ms)
        if clock_ms // MINUTE_MS != watch.minute:
            self._summarise(watch, now_ms)
            watch.minute, watch.sent_in_minute = clock_ms // MINUTE_MS, 0
        moves = watch.machine.step(clock_ms, values)
        watch.counts.cooling += moves.held
        for place in moves.ended.tolist():
            if episode := watch.open.get(_symbol(watch, place)):
                self._end(watch, episode, clock_ms, "cleared", now_ms)
        for place in moves.fired.tolist():
            self._fire(watch, place, clock_ms, float(values[place]), quiet, now_ms)
        if rule.quiet is not None and not quiet:
            for episode in [one for one in watch.open.values() if one.told == "quiet"]:
                self._send(watch, episode, now_ms)  # it outlasted the quiet hours

    def _ready(self, watch: Watch, now_ms: int) -> int:
        """See to it that the machine fits the venue's instruments; the time to look at. Says why where it cannot."""
        rule, metric = watch.rule, watch.rule.of
        venue = self._readings.venues.get(rule.exchange)
        if venue is None or not len(venue.engine.universe):
            watch.machine = None
            watch.waiting = (
                f"{rule.exchange} is not running here" if venue is None else "the instruments are not known yet"
            )
            return 0
        clock_ms = self._readings.clock_ms(rule.exchange, metric)
        if not clock_ms:
            watch.machine, watch.waiting = None, "no event of the venue has come yet"
            return 0
        anew = watch.machine is None or watch.engine is not venue.engine or clock_ms < watch.clock_ms
        if anew or watch.version != self._version(rule):
            self._place(watch, anew, clock_ms)
            self._end_untraded(watch, clock_ms, now_ms)
        watch.clock_ms, watch.waiting = clock_ms, watch.untraded
        return clock_ms

    def _place(self, watch: Watch, anew: bool, clock_ms: int) -> None:
        rule, engine = watch.rule, self._readings.venues[watch.rule.exchange].engine
        if rule.of.scope == "venue":
            watch.instruments, watch.places = [], np.zeros(1, np.int64)
        elif rule.symbols:
            found = [engine.universe.find(symbol) for symbol in rule.symbols]
            watch.instruments = [one for one in found if one is not None]
            watch.places = np.array([-1 if one is None else one.index for one in found], np.int64)
        else:
            watch.instruments = list(engine.universe)
            watch.places = np.arange(len(engine.universe))
        if anew or watch.machine is None:
            watch.machine = Machine(rule, len(watch.places))
            places = {_symbol(watch, place): place for place in range(len(watch.places))}
            for symbol, episode in watch.open.items():
                if symbol in places:
                    watch.machine.restore(places[symbol], episode.start_ms)
            for symbol, fired_ms in watch.fired.items():
                if symbol in places:
                    watch.machine.cool(places[symbol], min(fired_ms, clock_ms))
        watch.machine.fit(len(watch.places))
        watch.engine, watch.version = engine, self._version(rule)

    def _version(self, rule: Rule) -> int:
        """Rises when an instrument of the venue, or of a pair's other venue, is listed, changed or delisted."""
        names = {rule.exchange, rule.against.partition(":")[0]} & self._readings.venues.keys()
        return sum(self._readings.venues[name].engine.universe.version for name in names)

    def _end_untraded(self, watch: Watch, clock_ms: int, now_ms: int) -> None:
        """What no longer trades has no figures, and so no end to be seen: its alert ends here, with the reason."""
        if watch.machine is None or watch.rule.of.scope == "venue":
            return
        rule = watch.rule
        other, _, against = rule.against.partition(":")
        paired = not against or self._trades(other, against)
        trading = self._readings.trading(rule.exchange)
        watch.machine.release((watch.places < 0) | ~trading[watch.places] | (not paired))
        for episode in list(watch.open.values()):
            if not (paired and self._trades(rule.exchange, episode.symbol)):
                self._end(watch, episode, clock_ms, "not_trading", now_ms)
        idle = [symbol for symbol in rule.symbols if not self._trades(rule.exchange, symbol)]
        none = rule.symbols and len(idle) == len(rule.symbols)
        watch.untraded = (
            f"{against if not paired else ', '.join(idle)} does not trade here" if none or not paired else ""
        )

    def _trades(self, venue: str, symbol: str) -> bool:
        running = self._readings.venues.get(venue)
        one = None if running is None else running.engine.universe.find(symbol)
        return one is not None and one.trading

    def _values(self, watch: Watch) -> NDArray[np.float64]:
        """One value a place."""
        rule, metric, readings = watch.rule, watch.rule.of, self._readings
        if metric.scope == "venue":
            return readings.all(rule.exchange, metric, rule.window)
        universe = readings.venues[rule.exchange].engine.universe
        if metric.scope in ("named", "pair"):
            pair = pair_of(rule)
            values = [
                np.nan if i < 0 else readings.one(rule.exchange, metric, rule.window, universe[i], pair)
                for i in watch.places.tolist()
            ]
            return np.array(values, np.float64)
        every = np.where(readings.trading(rule.exchange), readings.all(rule.exchange, metric, rule.window), np.nan)
        return every if not rule.symbols else np.where(watch.places >= 0, every[watch.places], np.nan)

    def _certain(self, watch: Watch, clock_ms: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, NaN where a window that is not wholly held (just after a start) leaves it open what they are."""
        rule, metric = watch.rule, watch.rule.of
        since_ms = self._heard.get(rule.exchange, (None, clock_ms))[1]
        if not metric.gathers or clock_ms - since_ms >= WINDOWS_S[rule.window] * 1000:
            return values
        if metric.only_grows and rule.compare in ("above", "outside", "crosses_above"):
            return np.where(values >= rule.threshold, values, np.nan)
        watch.waiting = f"the window of {rule.window} is not wholly held yet"
        return np.full_like(values, np.nan)

    # -- episodes ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _remember(watch: Watch, episode: Episode) -> None:
        watch.last_fired_ms = max(watch.last_fired_ms or 0, episode.fired_ms)
        if watch.rule.cooldown_s:
            watch.fired[episode.symbol] = max(watch.fired.get(episode.symbol, 0), episode.fired_ms)

    def _fire(self, watch: Watch, place: int, clock_ms: int, value: float, quiet: bool, now_ms: int) -> None:
        rule, machine = watch.rule, watch.machine
        if machine is None:
            raise TypeError("a machine that moved is missing")
        symbol, start_ms = _symbol(watch, place), int(machine.since_ms[place])
        episode = Episode(
            key=key_of(watch.id, watch.revision, rule.exchange, symbol, start_ms),
            rule_id=watch.id,
            revision=watch.revision,
            name=rule.name,
            severity=rule.severity,
            exchange=rule.exchange,
            symbol=symbol,
            start_ms=start_ms,
            fired_ms=clock_ms,
            value=value,
            price=self._price(rule.exchange, symbol),
        )
        watch.open[symbol] = episode
        self._remember(watch, episode)
        watch.counts.fired += 1
        self.recent.append(episode)
        self._follow(episode)
        if quiet:
            episode.told = "quiet"
            watch.counts.quiet += 1
            self._note(episode)
        else:
            self._send(watch, episode, now_ms)

    def _send(self, watch: Watch, episode: Episode, now_ms: int) -> None:
        """Send it by itself, or keep it for the minute's summary."""
        self._note(episode)
        if watch.sent_in_minute < watch.rule.per_minute:
            watch.sent_in_minute += 1
            watch.counts.sent += 1
            episode.told = "sent"
            self._notices.append(notice("fired", watch.rule, episode, now_ms))
        else:
            episode.told = "waiting"
            watch.withheld.append(episode)

    def _summarise(self, watch: Watch, now_ms: int) -> None:
        if not watch.withheld:
            return
        self._notices.append(summary(watch.rule, watch.withheld, now_ms))
        watch.counts.summarised += len(watch.withheld)
        for episode in watch.withheld:
            episode.told = "summary"
            self._note(episode)
        watch.withheld = []

    def _end(self, watch: Watch, episode: Episode, clock_ms: int, by: Ended, now_ms: int) -> None:
        watch.open.pop(episode.symbol, None)
        episode.ended_ms, episode.ended_by = max(clock_ms, episode.fired_ms), by
        self._note(episode)
        if watch.rule.tell_end and episode.told == "sent":
            self._notices.append(notice("ended", watch.rule, episode, now_ms))

    def _note(self, episode: Episode) -> None:
        self._changed[episode.key] = episode
        self.seq += 1

    def _price(self, exchange: str, symbol: str) -> float | None:
        one = self._readings.venues[exchange].engine.universe.find(symbol)
        price = np.nan if one is None else self._readings.price(exchange, one)
        return None if isnan(price) else price

    # -- what followed ----------------------------------------------------------------------------------------------

    def _follow(self, episode: Episode) -> None:
        if episode.symbol == WHOLE_VENUE or episode.price is None:
            return
        for minutes in AFTER_MINUTES:
            if getattr(episode, _after(minutes)) is not None:
                continue
            if len(self._following) >= FOLLOWED:
                self.unfollowed += 1
                continue
            self._order += 1
            due_ms = episode.fired_ms + minutes * MINUTE_MS + 1_000
            heapq.heappush(self._following, (due_ms, self._order, episode, minutes))

    def _look_back(self) -> None:
        """Prices that are due: where each went since its alert. One that is no longer held stays unknown."""
        clocks = {name: venue.engine.clock_ms for name, venue in self._readings.venues.items()}
        newest = max(clocks.values(), default=0)
        later = []
        for _ in range(min(FOLLOWED_AT_ONCE, len(self._following))):
            if self._following[0][0] > newest:
                break
            due_ms, order, episode, minutes = heapq.heappop(self._following)
            clock_ms = clocks.get(episode.exchange, 0)
            if due_ms > clock_ms:
                if newest - due_ms < AFTER_MINUTES[-1] * MINUTE_MS:
                    later.append((due_ms, order, episode, minutes))  # its venue is behind the others
                continue
            one = self._readings.venues[episode.exchange].engine.universe.find(episode.symbol)
            at_ms = episode.fired_ms + minutes * MINUTE_MS
            price = np.nan if one is None else self._readings.price_at(episode.exchange, one, at_ms)
            if episode.price is not None and not isnan(price):
                setattr(episode, _after(minutes), round((price / episode.price - 1) * 100, 4))
                self._note(episode)
        for one_later in later:
            heapq.heappush(self._following, one_later)


def pair_of(rule: Rule) -> Pair | None:
    """The other side of a pair's rule."""
    if not rule.against:
        return None
    venue, _, symbol = rule.against.partition(":")
    return Pair(venue, symbol, rule.bars, rule.beta)


def _after(minutes: int) -> str:
    return f"after_{minutes}m"


def _symbol(watch: Watch, place: int) -> str:
    if watch.rule.of.scope == "venue":
        return WHOLE_VENUE
    return watch.rule.symbols[place] if watch.rule.symbols else watch.instruments[place].symbol


__all__ = ["FIRING", "Alerts", "Counts", "Watch"]
