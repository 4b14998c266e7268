"""The account of one venue: every message received is somewhere, every id expected is here or in a gap.

The figures are counted where things happen, most of them in the compiled loop; here they are read, added up and
checked against each other. What is counted, per instrument:

* trades: ``received = accepted + duplicate + excluded + other source``, of which some were quarantined before they
  became rows; ``accepted`` splits into live and ``backfilled``.
* trade ids: ``last - first + 1 = accepted in the chain + missing``, and ``missing`` is the sum of the gaps.
* depth: ``received = snapshots + applied + dropped + discarded + ignored + waiting``.

Times are the venue's own milliseconds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import MINUTES_KEPT, Engine
from .flow.trades import EMPTY
from .model.channel import Channel
from .model.gaps import GAP
from .model.rules import TradeIds

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
GAPS_KEPT = 10_000
"""Gaps that have ended, kept for whoever stores them; beyond it the oldest goes, counted."""

Rows = NDArray[np.void]


@dataclass(slots=True)
class Ledger:
    """What a venue's engine does not know itself: frames that never became rows, and gaps that it keeps no more."""

    quarantined: Counter[tuple[str, Channel]] = field(default_factory=Counter)
    """Refused frames by symbol and channel, where the frame still said so."""
    ended_gaps: deque[tuple[Any, ...]] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))
    """Those that nothing fills any more: of chains that have ended, or beyond what an engine remembers."""
    gaps_dropped: int = 0
    violations: list[str] = field(default_factory=list)
    """What did not balance at the last check: a defect of ours, always."""

    def quarantined_trades(self) -> int:
        """Refused frames that named a trade stream."""
        return sum(n for (_, channel), n in self.quarantined.items() if channel is Channel.TRADES)

    def ended(self, gaps: Rows) -> None:
        """Take note of gaps that the engine keeps no more."""
        self.gaps_dropped += max(0, len(self.ended_gaps) + len(gaps) - GAPS_KEPT)
        self.ended_gaps.extend(tuple(gap.item()) for gap in gaps)

    def take_ended(self) -> Rows:
        """Hand over, once, the gaps that have ended since the last call (`GAP` rows), for the store."""
        rows = np.array(list(self.ended_gaps), GAP)
        self.ended_gaps.clear()
        return rows

    def check(self, engine: Engine) -> list[str]:
        """Compare all accounts; returns one sentence for each that does not balance. Costs microseconds a symbol."""
        self.ended(engine.take_forgotten_gaps())
        self.violations = [*_trade_violations(engine), *_depth_violations(engine)]
        return self.violations


def accepted(trades: Rows | np.void) -> NDArray[np.int64]:
    """Trades that their chains took: in candles, no market trades, and older than any candle held."""
    return np.asarray(trades["count"] + trades["excluded"] + trades["too_late"], np.int64)


def _trade_violations(engine: Engine) -> Iterator[str]:
    trades = engine.flow.trades[: len(engine.universe)]
    chains = engine.flow.holes.chains[: len(engine.universe)]
    taken = accepted(trades)
    known = taken + trades["duplicates"] + trades["other_source"]
    for i in np.flatnonzero(trades["received"] != known):
        yield f"{engine.universe[int(i)].key}: {trades[i]['received']} trades received, {known[i]} accounted for"
    begun = trades["last_id"] != EMPTY
    held = taken - trades["accepted_before"] + trades["absent"]
    for i in np.flatnonzero(begun & (trades["last_id"] - trades["first_id"] + 1 != held)):
        span = f"{trades[i]['first_id']}..{trades[i]['last_id']}"
        yield f"{engine.universe[int(i)].key}: ids {span} are {held[i]} in trades and gaps"
    counted = begun & (trades["ids"] != TradeIds.RISING)  # gaps of the others hide nobody knows how many
    for i in np.flatnonzero(counted & (trades["absent"] + chains["count"] > 0)):
        gaps = engine.gaps(int(i))
        listed = int((gaps["last_id"] - gaps["first_id"] + 1).sum()) + int(chains[i]["forgotten"])
        if listed != trades[i]["absent"]:
            yield f"{engine.universe[int(i)].key}: {trades[i]['absent']} ids missing, {listed} in gaps"


def _depth_violations(engine: Engine) -> Iterator[str]:
    books = engine.sync.ladders.books[: len(engine.universe)]
    known = books["snapshots"] + books["applied"] + books["dropped"] + books["discarded"] + books["ignored"]
    for i in np.flatnonzero(books["received"] != known):
        waiting = engine.sync.waiting(int(i))
        if books[i]["received"] != known[i] + waiting:
            total = f"{books[i]['received']} depth rows received, {known[i] + waiting} accounted for"
            yield f"{engine.universe[int(i)].key}: {total}"


# -- for readers ------------------------------------------------------------------------------------------------------


def trade_account(engine: Engine, ledger: Ledger, i: int) -> dict[str, int]:
    """The trades of one instrument. `received` counts quarantined frames too."""
    row = engine.flow.trades[i]
    symbol = engine.universe[i].symbol
    quarantined = ledger.quarantined[symbol, Channel.TRADES]
    figures = {name: int(row[name]) for name in ("excluded", "other_source", "backfilled", "too_late")}
    return figures | {
        "received": int(row["received"]) + quarantined,
        "accepted": int(row["count"] + row["too_late"]),
        "duplicate": int(row["duplicates"]),
        "quarantined": quarantined,
        "gaps_found": int(row["missing"]),
        "gaps_filled": int(row["filled"]),
        "missing": int(row["absent"]),
    }


def depth_account(engine: Engine, ledger: Ledger, i: int) -> dict[str, int]:
    """The depth rows of one instrument."""
    book = engine.sync.ladders.books[i]
    quarantined = ledger.quarantined[engine.universe[i].symbol, Channel.DEPTH]
    names = ("snapshots", "applied", "dropped", "discarded", "ignored", "gaps", "resyncs")
    figures = {name: int(book[name]) for name in names}
    received = int(book["received"]) + quarantined
    return figures | {"received": received, "quarantined": quarantined, "waiting": engine.sync.waiting(i)}


def quote_account(engine: Engine, ledger: Ledger, i: int) -> dict[str, int]:
    """Best-quote events of one instrument."""
    quote = engine.quotes.quotes[i]
    quarantined = ledger.quarantined[engine.universe[i].symbol, Channel.QUOTES]
    accepted, repeated = int(quote["seen"]), int(quote["repeated"])
    received = accepted + repeated + quarantined
    return {"received": received, "accepted": accepted, "duplicate": repeated, "quarantined": quarantined}


@dataclass(frozen=True, slots=True)
class HourCoverage:
    """One instrument-hour: ids present and expected. `estimated` where a gap reaches over the hour's edge, `unknown`
    where one touches it of which nobody knows how many trades it hides.
    """

    hour_ms: int
    present: int
    missing: int
    estimated: bool
    unknown: bool

    @property
    def share(self) -> float | None:
        """Ids present / ids expected; 1 where none were, None where nobody knows how many were."""
        if self.unknown:
            return None
        whole = self.present + self.missing
        return self.present / whole if whole else 1.0


def coverage(engine: Engine, i: int) -> list[HourCoverage]:
    """Coverage by hour from the oldest trade held to the newest, oldest first.

    A gap that reaches over several hours tells its ids but not the hour of each: they are spread evenly over its time,
    to a whole number, and those hours are marked as estimated. Of a marked minute that no gap held here explains nobody
    knows how many trades it lacks: the gap was noted by an earlier run, or its chain has ended. Prints that are no
    market trades are left out: their hour is not kept.
    """
    trades = engine.flow.trades[i]
    if trades["last_id"] == EMPTY:
        return []
    minutes = engine.flow.minutes.ring[:, i]
    newest = int(engine.flow.minutes.newest[i])
    minutes = minutes[(minutes["n"] + minutes["gap"] > 0) & (minutes["number"] > newest - MINUTES_KEPT)]
    present: Counter[int] = Counter()
    marks: Counter[int] = Counter()
    for number, n, gaps in minutes[["number", "n", "gap"]].tolist():
        present[number * MINUTE_MS // HOUR_MS] += n
        marks[number] += gaps
    missing: Counter[int] = Counter()
    estimated: set[int] = set()
    unknown: set[int] = set()
    for gap in engine.gaps(i):
        marks.subtract(range(max(gap["from_ms"] // MINUTE_MS, newest - MINUTES_KEPT), gap["to_ms"] // MINUTE_MS + 1))
        shares = list(_spread(gap))
        for hour, ids in shares:
            missing[hour] += ids
        if gap["last_id"] < gap["first_id"]:
            unknown.update(hour for hour, _ in shares)
        elif len(shares) > 1:
            estimated.update(hour for hour, _ in shares)
    unknown.update(number * MINUTE_MS // HOUR_MS for number, unexplained in marks.items() if unexplained > 0)
    hours = range(min([*present, *missing], default=0), max([*present, *missing], default=-1) + 1)
    return [
        HourCoverage(hour * HOUR_MS, present[hour], missing[hour], hour in estimated, hour in unknown) for hour in hours
    ]


def _spread(gap: np.void) -> Iterator[tuple[int, int]]:
    """Hours and ids of a gap; the ids add up exactly."""
    ids, start, stop = int(gap["last_id"] - gap["first_id"] + 1), int(gap["from_ms"]), int(gap["to_ms"]) + 1
    given = 0
    for hour in range(start // HOUR_MS, (stop - 1) // HOUR_MS + 1):
        until = min(stop, (hour + 1) * HOUR_MS)
        upto = ids * (until - start) // (stop - start)
        yield hour, upto - given
        given = upto
