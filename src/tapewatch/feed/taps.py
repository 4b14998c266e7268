"""What the feed itself reads in frames: trade ids as witnesses, and liquidations that came twice."""

from __future__ import annotations

from collections import deque

import msgspec

from .reasons import UNREADABLE

LIQUIDATIONS_REMEMBERED = 1024


class _Ticker(msgspec.Struct):
    """{"e":"24hrTicker","s":"MINAUSDT","L":101704076, ...}"""

    s: str
    L: int = -1


class _Tickers(msgspec.Struct):
    data: list[_Ticker]


_tickers = msgspec.json.Decoder(_Tickers)


def last_trade_ids(frame: bytes) -> list[tuple[str, int]]:
    """Symbol and last trade id of each row of a Binance ticker frame; nothing from a frame that is not one."""
    try:
        return [(row.s, row.L) for row in _tickers.decode(frame).data]
    except UNREADABLE:
        return []  # the sink sets the frame aside and counts it


class LiquidationsOnce:
    """Lets each liquidation pass once.

    Liquidations carry no id, so nobody downstream can tell one that two connections delivered from two alike. Their own
    fields are their identity, which begins at `mark` in the message: the push time before it differs between
    connections.
    """

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self.dropped = 0
        self._known: set[bytes] = set()
        self._oldest: deque[bytes] = deque()

    def __call__(self, frame: bytes) -> bool:
        order = frame[max(0, frame.find(self._mark)) :]
        if order in self._known:
            self.dropped += 1
            return False
        self._known.add(order)
        self._oldest.append(order)
        if len(self._oldest) > LIQUIDATIONS_REMEMBERED:
            self._known.discard(self._oldest.popleft())
        return True
