"""Messages of Binance USD-M as the venue sends them, typed, each with a sample frame beside it.

Field names are the venue's own. Every field that is optional on some stream, server or date is optional here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Number = Decimal
"""Prices and quantities come as JSON strings; numbers are accepted too, exactly as written."""


class AggTrade(msgspec.Struct, tag_field="e", tag="aggTrade"):
    """{"e":"aggTrade","E":1791391082024,"a":3478018549,"s":"BTCUSDT","p":"83434.40","q":"0.016","nq":"0.016",
    "f":8154045700,"l":8154045704,"T":1791391081874,"m":true,"st":1}
    """

    E: int
    a: int
    s: str
    p: Number
    q: Number
    f: int
    l: int  # noqa: E741  (the venue's name)
    T: int
    m: bool
    nq: Number | None = None
    st: int = 1


class Trade(msgspec.Struct, tag_field="e", tag="trade"):
    """{"e":"trade","E":1785685177439,"T":1785685177439,"s":"BTCUSDT","t":7947325360,"p":"63113.20","q":"0.001",
    "X":"MARKET","m":false,"st":1}
    """

    E: int
    T: int
    s: str
    t: int
    p: Number
    q: Number
    m: bool
    X: str = "MARKET"
    st: int = 1


class DepthUpdate(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """{"e":"depthUpdate","E":1791399961205,"T":1791399961201,"s":"BTCUSDT","ps":"BTCUSDT","U":11759030886305,
    "u":11759030896477,"pu":11759030885985,"b":[["1000.00","115.863"],["66715.00","0.000"]],"a":[["83402.00","3.480"]]}
    """

    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[tuple[Number, Number]]
    a: list[tuple[Number, Number]]
    st: int = 1


class BookTicker(msgspec.Struct, tag_field="e", tag="bookTicker"):
    """{"e":"bookTicker","u":11671659685961,"s":"BTCUSDT","ps":"BTCUSDT","b":"84551.00","B":"2.646","a":"84551.10",
    "A":"3.120","T":1790526539021,"E":1790526539022,"st":1}
    """

    u: int
    s: str
    b: Number
    B: Number
    a: Number
    A: Number
    T: int
    E: int
    st: int = 1


class MarkPrice(msgspec.Struct, tag_field="e", tag="markPriceUpdate"):
    """{"e":"markPriceUpdate","E":1791269856000,"s":"BTCUSDT","p":"85296.60260870","ap":"85296.60260870",
    "P":"85321.91711993","i":"85345.93826087","r":"0.00000523","T":1791273600000,"st":1}
    """

    E: int
    s: str
    p: Number
    i: Number
    T: int
    r: str | float = ""
    st: int = 1


class ForceOrderBody(msgspec.Struct):
    s: str
    S: Literal["BUY", "SELL"]
    ap: Number
    z: Number
    T: int
    st: int = 1


class ForceOrder(msgspec.Struct, tag_field="e", tag="forceOrder"):
    """{"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.190",
    "p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190","T":1791565602120,"ps":"BTCUSDT","st":1}}

    One object despite the stream's name. S is the side of the liquidation *order*: SELL closed a long. Size is what
    was filled (z) at the average price (ap). `ps` and `st` sit inside `o`, beside it, or nowhere.
    """

    E: int
    o: ForceOrderBody
    st: int = 1


class Ticker24h(msgspec.Struct, tag_field="e", tag="24hrTicker"):
    """{"e":"24hrTicker","E":1789478374128,"s":"MINAUSDT","p":"0.0039000","P":"4.784","c":"0.0854300","h":"0.0871000",
    "l":"0.0799000","v":"500096749","q":"34943789.3","n":452236,"st":1, ...}
    """

    E: int
    s: str
    P: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    v: Decimal
    q: Decimal
    n: int = 0
    st: int = 1


class ContractInfo(msgspec.Struct, tag_field="e", tag="contractInfo"):
    """{"e":"contractInfo","E":1790000000000,"s":"NEWUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":1790003600000,
    "cs":"PENDING_TRADING","st":1}
    """

    E: int
    s: str
    ct: str = ""
    cs: str = ""
    dt: int = 0
    ot: int = 0
    st: int = 1


class Head(msgspec.Struct):
    """What every event has: its name, and whether it is COIN-M's, whose other fields may differ from ours."""

    e: str
    st: int = 1


class Ack(msgspec.Struct):
    """Answer to a command: {"result":null,"id":1} or {"code":2,"msg":"Invalid request: …","id":1}."""

    id: int | None = None
    result: list[str] | bool | None = None
    code: int | None = None
    msg: str = ""


Control = Ack | Ticker24h | ContractInfo
Event = AggTrade | Trade | DepthUpdate | BookTicker | MarkPrice | ForceOrder | Ticker24h | ContractInfo
IGNORED_EVENTS = frozenset(
    {
        "kline",
        "continuous_kline",
        "24hrMiniTicker",
        "compositeIndex",
        "assetIndexUpdate",
        "EquityUpdate",
        "CommodityUpdate",
    }
)


class Envelope(msgspec.Struct):
    """Any text frame: wrapped ({"stream":…,"data":…}), raw ({"e":…}), or an answer to a command."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"")
    code: int | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
"""Levels a side that a snapshot can be asked for."""


class Snapshot(msgspec.Struct):
    """{"lastUpdateId":11759031561498,"E":1791399966500,"T":1791399966493,"bids":[["83401.90","8.843"]],"asks":[…]}"""

    lastUpdateId: int
    bids: list[tuple[Number, Number]]
    asks: list[tuple[Number, Number]]
    E: int = 0
    T: int = 0


class RestAggTrade(msgspec.Struct):
    """{"a":3478018549,"p":"83434.40","q":"0.016","nq":"0.016","f":8154045700,"l":8154045704,"T":1791391081874,"m":true}"""

    a: int
    p: Number
    q: Number
    f: int
    l: int  # noqa: E741
    T: int
    m: bool
    nq: Number | None = None
