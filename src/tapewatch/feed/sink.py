"""Who takes what the feed brings: plain synchronous calls in the event loop's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from ..engine import Need
from ..model.gaps import Fate
from ..model.instrument import Instrument
from ..model.interest import OpenInterest

NO_ID = -1


@dataclass(frozen=True, slots=True)
class TradeHole:
    """Aggregate trades `first_id` to `last_id` of a symbol that never came."""

    symbol: str
    first_id: int
    last_id: int
    to_ms: int = 0
    """Not later than this, venue's time."""


@dataclass(frozen=True, slots=True)
class HistoryEdge:
    """The oldest trade held of a symbol: what came before it today may be asked for."""

    symbol: str
    first_id: int
    first_ms: int
    newest_ms: int


@dataclass(frozen=True, slots=True)
class TradeTail:
    """The newest aggregate trade held of a symbol: whether others followed, nothing but the next one tells."""

    symbol: str
    last_id: int
    """`NO_ID` where none is held."""
    newest_ms: int
    doubtful: bool
    """Its stream has been interrupted behind this trade."""
    over: bool = False
    """It trades no more: nothing that comes will tell by itself."""


class Sink(Protocol):
    """Takes frames, snapshots and facts; answers with the books that want a snapshot."""

    def on_universe(self, instruments: list[Instrument]) -> list[Need]:
        """All instruments in the order of their `index`: the first time, and again whenever something has changed."""

    def on_followed(self, asked: frozenset[str]) -> list[Need]:
        """These are followed on demand now, besides those of the configuration."""

    def on_adv(self, symbol: str, quote_volume: Decimal, days: int) -> None:
        """Average daily volume over `days` complete UTC days."""

    def on_interest(self, told: OpenInterest) -> None:
        """Open interest that was asked for."""

    def on_frames(self, buffer: bytearray, ends: Sequence[int], recv_ns: int) -> list[Need]:
        """What one socket read brought: message k is `buffer[ends[k-1]:ends[k]]`; both are reused afterwards."""

    def on_snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int) -> list[Need]:
        """A REST depth answer of at most `limit` levels; a Need for the same book means that it was of no use."""

    def on_trades(self, symbol: str, body: bytes, recv_ns: int) -> list[Need]:
        """A REST aggTrades answer that fills a hole or goes before the oldest trade."""

    def on_newest(self, symbol: str, body: bytes, recv_ns: int) -> tuple[int, int, list[Need]]:
        """A REST answer with the newest trades there are: how many filled gaps, and how many are older than all held.

        Gaps that are older than the answer are given up. Raises FrameError.
        """

    def on_klines(self, symbol: str, bodies: Sequence[bytes]) -> int:
        """Today's one-minute klines from 00:00 UTC on, in answers that follow each other: when they end, 0 of none.

        Raises FrameError.
        """

    def on_disconnect(self, symbols: Sequence[str], channel: str) -> list[Need]:
        """Streams of these symbols were interrupted."""

    def trade_holes(self) -> list[TradeHole]:
        """Trades known to be missing and not given up."""

    def give_up(self, hole: TradeHole, fate: Fate) -> None:
        """Nobody will ask for these trades again."""

    def history_edges(self) -> list[HistoryEdge]:
        """The oldest trade of every symbol that has one."""

    def trade_tails(self) -> list[TradeTail]:
        """The newest trade of every symbol that trades, or that was interrupted before it ceased to."""

    def tail_told(self, symbol: str, whole: bool) -> None:
        """The venue has told what followed the newest trade; not `whole`: as much as fits a page, and there is more."""
