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


class Volume(msgspec.Struct):
    """One row of REST /ticker/24hr."""

    symbol: str
    quoteVolume: float = 0.0  # noqa: N815  (the venue's name)
    count: int = 0


_tickers = msgspec.json.Decoder(_Tickers)
_volumes = msgspec.json.Decoder(list[Volume], strict=False)


def last_trade_ids(frame: bytes) -> list[tuple[str, int]]:
    """Symbol and last trade id of each row of a ticker frame; nothing from a frame that is not one."""
    try:
        return [(row.s, row.L) for row in _tickers.decode(frame).data]
    except UNREADABLE:
        return []  # the sink sets the frame aside and counts it


def volumes(body: bytes) -> list[Volume]:
    """24 h quote volume and number of trades of every symbol."""
    return _volumes.decode(body)


class LiquidationsOnce:
    """Lets each liquidation pass once.

    Liquidations carry no id, so nobody downstream can tell one that two connections delivered from two alike. The
    order's own fields are its identity; the push time around them differs between connections.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._known: set[bytes] = set()
        self._oldest: deque[bytes] = deque()

    def __call__(self, frame: bytes) -> bool:
        order = frame[frame.find(b'"o":{') :]
        if order in self._known:
            self.dropped += 1
            return False
        self._known.add(order)
        self._oldest.append(order)
        if len(self._oldest) > LIQUIDATIONS_REMEMBERED:
            self._known.discard(self._oldest.popleft())
        return True
