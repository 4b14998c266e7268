"""Messages of Binance spot that differ from those of its futures, typed, each with a sample frame beside it.

aggTrade and trade have the same keys but for `nq`, `st` and `X`; here `M` comes along, which means nothing.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from .binance_usdm_messages import AggTrade, Number, Trade


class SpotDepth(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """{"e":"depthUpdate","E":1723161254001,"s":"BTCUSDT","U":50100,"u":50110,"b":[["61700.01","0.5"]],"a":[]}

    No time of the matching engine, and ids of this instrument alone: the next U is u + 1.
    """

    E: int
    s: str
    U: int
    u: int
    b: list[tuple[Number, Number]]
    a: list[tuple[Number, Number]]


class SpotBookTicker(msgspec.Struct):
    """{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}

    Without the event's name, and without any time.
    """

    u: int
    s: str
    b: Number
    B: Number
    a: Number
    A: Number


class MiniTicker(msgspec.Struct, tag_field="e", tag="24hrMiniTicker"):
    """{"e":"24hrMiniTicker","E":1672515782136,"s":"BNBBTC","c":"0.0025","o":"0.0010","h":"0.0025","l":"0.0010",
    "v":"10000","q":"18"}
    """

    E: int
    s: str
    c: Decimal
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741  (the venue's name)
    v: Decimal
    q: Decimal


class Shutdown(msgspec.Struct, tag_field="e", tag="serverShutdown"):
    """{"e":"serverShutdown","E":1770123456789}: this server closes its connections soon."""

    E: int


SpotEvent = AggTrade | Trade | SpotDepth | MiniTicker | Shutdown
IGNORED_EVENTS = frozenset({"kline", "24hrTicker", "1hTicker", "4hTicker", "1dTicker", "avgPrice", "blockTrade"})


class SpotHead(msgspec.Struct):
    """What tells messages apart: a bookTicker alone has no name."""

    e: str = ""
    u: int | None = None
