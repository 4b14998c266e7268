"""Trades whose ids only rise (`TradeIds.RISING`): what follows what, the way they came tells and not their ids.

A row that reaches back to the trade before it (`first_id`) says that nothing lies between the two. The trades of one
answer of the venue do, and so do stored ones, but for the interruptions that earlier runs have noted. How many trades a
gap hides nobody knows; what of it is within the venue's reach comes back, what is older stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine, Need
from ..flow.trades import EMPTY
from ..ledger import accepted
from ..model.gaps import Cause, Fate
from ..model.tape import Tape


class Interruption(NamedTuple):
    """Stored trades of an instrument from `first_id` on do not follow those before."""

    instrument: int
    first_id: int
    cause: Cause


class StoredTrades:
    """Puts what is stored of today under what comes live: in order of time, an instrument's interruptions kept open."""

    def __init__(self, interruptions: Iterable[Interruption] = ()) -> None:
        self._open: defaultdict[int, list[Interruption]] = defaultdict(list)
        for one in sorted(interruptions):
            self._open[one.instrument].append(one)

    def take(self, engine: Engine, rows: NDArray[np.void]) -> None:
        """Apply rows that follow those taken before."""
        rows["first_id"] = 0
        at = 0
        for row, one in sorted(self._found(rows).items()):
            engine.apply_stored(_tape(rows[at:row]))
            chain = engine.flow.trades[one.instrument]
            if EMPTY != chain["last_id"] < rows["id"][row]:
                engine.expect_gap(one.instrument, one.cause)
            elif chain["first_id"] < rows["id"][row]:
                rows["first_id"][row] = rows["id"][row]  # live trades came first: what it leaves open behind it, stays
            at = row
        engine.apply_stored(_tape(rows[at:]))

    def _found(self, rows: NDArray[np.void]) -> dict[int, Interruption]:
        """The rows right behind an interruption; each is found once."""
        found = {}
        for i in self._open.keys() & set(rows["instrument"].tolist()):
            mine = np.flatnonzero(rows["instrument"] == i)
            newest = rows["id"][mine].max()
            while self._open[i] and self._open[i][0].first_id <= newest:
                one = self._open[i].pop(0)
                found[int(mine[np.argmax(rows["id"][mine] >= one.first_id)])] = one
        return found


def take_newest(
    engine: Engine, i: int, rows: NDArray[np.void], is_being_read: Callable[[np.void], bool]
) -> tuple[int, int, list[Need]]:
    """Apply the newest trades of instrument `i` that the venue tells, in order and without a hole between them.

    Returns how many filled gaps, how many are older than all held, and books that want a snapshot. Where they do not
    reach back to a trade that is held, a gap stays, and nothing else will fill it.
    """
    held = engine.flow.trades[i]
    begun, newest = held["last_id"] != EMPTY, held["last_id"]
    if begun and rows["id"][0] <= newest <= rows["id"][-1]:
        held["lost_after"] = EMPTY  # what followed the newest one held is here
    rows["first_id"][1:] = rows["id"][:-1] + 1
    older = (rows["id"] < held["first_id"]) & begun
    rows["first_id"][older] = 0
    before = int(accepted(held))
    engine.apply_stored(_tape(rows[older]))
    loaded = int(accepted(held)) - before
    needs = engine.apply(_tape(rows[~older]))
    filled = int(accepted(held)) - before - loaded
    for gap in engine.gaps(i):
        if gap["first_id"] < rows["id"][0] and gap["fate"] == Fate.OPEN and not is_being_read(gap):
            engine.give_up(i, gap["first_id"], gap["first_id"], Fate.BEYOND_HORIZON)
    return (filled, loaded, needs) if begun else (0, filled, needs)


def _tape(rows: NDArray[np.void]) -> Tape:
    return Tape(rows, Tape.empty().levels)
