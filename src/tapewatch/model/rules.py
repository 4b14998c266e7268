"""How a venue numbers what it sends, as data: the chain of a book's updates and the ids of trades."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


@dataclass(frozen=True, slots=True)
class BookRule:
    """How depth diffs chain and where a book begins. Codecs put every venue's ids into the same columns:

    `first_id..last_id` are the updates in a diff and `prev_id` is the id that must be the last one applied before it.
    """

    snapshot: Literal["rest", "stream"]
    """A book begins with an answer of REST that diffs lead up to and over; or with a message of the diffs' own stream,
    after which the next diff continues: there a broken book is mended by subscribing anew."""
    overlap: bool = False
    """A diff may begin before the end of the last one (``U <= u + 1``) and is applied all the same."""
    window: int = 0
    """The stream tells only the best so many levels of a side, whose worst are deleted as they leave; 0 tells all."""

    @property
    def in_stream(self) -> bool:
        return self.snapshot == "stream"


class TradeIds(IntEnum):
    """What the ids of an instrument's trades say about those that did not come."""

    COUNTED = 0
    """Each trade message has the id of the last one plus one: what is missing has a number."""
    SPANNED = 1
    """A message covers ids `first_id..id`, and the next one begins where it ends."""
    RISING = 2
    """Ids only rise: repetitions show, losses do not. An interruption is a gap of unknown size."""


@dataclass(frozen=True, slots=True)
class TradeRule:
    """How a venue's trades are numbered and what it gives back of them."""

    ids: TradeIds = TradeIds.COUNTED
    raw: bool = False
    """Its live trades are single fills (or those of one taker order), not aggregates over a stretch of time."""
    page: int = 0
    """Most trades in one REST answer that begins at a given id; 0: it has no such thing and every gap stays."""
    page_weight: int = 1
    newest: int = 0
    """Most trades in one REST answer that tells the newest ones of a symbol, and cannot be asked for older; 0: none."""
    horizon_ms: int | None = None
    """How far back REST goes; None: no bound is known."""
