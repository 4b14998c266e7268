"""OKX v5 perpetual swaps: the facts of the venue, read like a data sheet. State of November 2026.

Units: everything is counted in contracts, which may be fractions. ``ctVal`` x ``ctMult`` is what one contract is worth,
in the base coin for linear contracts: quantity = contracts x ctVal x ctMult, applied once, by the codec. Inverse swaps
(BTC-USD-SWAP) are worth a number of dollars, and what that is in coins changes with every price: they are not followed
live. Where a recording holds them their quantity is in dollars and their kind says ``inverse``.

Books (``books``, 400 levels, 100 ms):

1. Subscribe. The first message is a snapshot (``prevSeqId`` -1), in the stream itself.
2. Every update has ``prevSeqId`` equal to the last ``seqId``; otherwise the book is stale: unsubscribe, subscribe.
3. Without a change an empty update comes about every 60 s, with ``seqId`` equal to ``prevSeqId``.
4. At maintenance the ids may begin anew: one update has ``seqId`` below ``prevSeqId``, and continues the chain.
5. Quantities are absolute; zero deletes.
6. ``checksum`` is deprecated since June 2026 and always 0: it is not looked at. Recordings of 2022 have it, and no ids;
   their books are checked against it in `tests/test_recordings_venues.py`.

Trades (``trades``): fills of one taker order at one price, merged. ``tradeId`` is the id of the last of them and
``count`` their number, so ids before ``tradeId`` - ``count`` + 1 belong to the message before. REST gives single fills
by id, three months back.

Liquidations: sampled, not all, and sometimes minutes late. ``posSide`` is the side that was liquidated; in ``net`` mode
the order's side tells: sell closed a long. ``bkPx`` is the price of bankruptcy.

The parsing of messages is in `okx_swap_codec`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

import msgspec

from ..model.errors import FrameError, UsageError, VenueError
from ..model.instrument import Grid, Instrument

VENUE = "okx"
REST_URL = "https://www.okx.com"
WS_URL = "wss://ws.okx.com"
"""Without a port: 8443 was retired on 2026-10-31."""
WS_PATH = "/ws/v5/public"

PING = b"ping"
PONG = b"pong"
PING_EVERY_S = 20.0
"""The server closes what is silent for 30 s: quiet instruments, and connections without a subscription."""
COMMANDS_PER_HOUR = 480
"""Subscriptions, unsubscriptions and logins of one connection; a message with many arguments counts once."""
CONNECTIONS_PER_S = 3
ARGS_BYTES = 64 << 10
"""Of one command."""
BOOKS_PER_SOCKET = 30

REQUESTS_PER_2_S = {
    "public/time": 10, "public/instruments": 20, "public/funding-rate": 10, "public/open-interest": 20,
    "market/tickers": 20, "market/candles": 40, "market/history-trades": 20, "market/trades": 100,
}  # fmt: skip
"""Each endpoint by itself, per address."""
RATE_LIMITED = "50011"
HISTORY_TRADES_PAGE = 100
RECENT_TRADES = 500
CANDLES_PAGE = 300
TRADES_HORIZON_MS = 90 * 86_400_000

BOOK_LEVELS = 400
SERVICE_UPGRADE = "64008"
"""Code of the notice that a connection will be closed in about 60 s."""

COVERAGE = "a sample of liquidations, not all, some of them minutes late; the price is that of bankruptcy"

_DAY_MS = 86_400_000
_TRADFI = frozenset({"3", "4", "5", "6"})
"""`instCategory` of stocks, commodities, currencies and bonds; 1 is crypto."""
QUOTE_PER_TRADE = 3_000.0
"""Of a typical trade message: the venue's 24 h figures have no number of trades."""
_NAMED_ARG = re.compile(rb'"channel"\s*:\s*"([a-z0-9-]+)"\s*,\s*"inst(?:Id|Type|Family)"\s*:\s*"([^"]{1,60})"')


class _Instrument(msgspec.Struct):
    """{"instType":"SWAP","instId":"BTC-USDT-SWAP","uly":"BTC-USDT","instFamily":"BTC-USDT","settleCcy":"USDT",
    "ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","tickSz":"0.1","lotSz":"0.01","minSz":"0.01",
    "listTime":"1573557408000","expTime":"","state":"live","instCategory":"1"}
    """

    instType: str
    instId: str
    tickSz: str
    lotSz: str
    state: str
    uly: str = ""
    instFamily: str = ""
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    ctVal: str = ""
    ctMult: str = ""
    ctType: str = ""
    listTime: str = ""
    expTime: str = ""
    instCategory: str = ""


class _Answer(msgspec.Struct):
    """{"code":"0","msg":"","data":[…]}"""

    code: str = "0"
    msg: str = ""
    data: list[msgspec.Raw] = []


class _Ticker(msgspec.Struct):
    instId: str
    last: str = "0"
    volCcy24h: str = "0"


class _FundingRate(msgspec.Struct):
    instId: str
    fundingTime: str = ""
    nextFundingTime: str = ""


def data_rows(body: bytes, what: str) -> list[msgspec.Raw]:
    """Rows of a REST answer; raise VenueError for a refusal."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError as error:
        raise VenueError(f"OKX {what} cannot be read: {error}") from error
    if answer.code != "0":
        raise VenueError(f"OKX refuses {what}: {answer.msg or answer.code}")
    return answer.data


def parse_instruments(
    body: bytes, *, types: Collection[str] = ("linear",), unreadable: list[str] | None = None
) -> list[Instrument]:
    """Instruments of an instruments answer whose contract type is one of `types`; "" is spot.

    A row that cannot be read does not take the others with it: why goes to `unreadable`.
    """
    instruments = []
    for raw in data_rows(body, "instruments"):
        try:
            told = msgspec.json.decode(raw, type=_Instrument)
            if told.ctType in types:
                instruments.append(_instrument(told))
        except (msgspec.MsgspecError, UsageError, ArithmeticError, ValueError) as error:
            if unreadable is not None:
                unreadable.append(f"{bytes(raw)[:80]!r}: {error}")
    return instruments


def _instrument(told: _Instrument) -> Instrument:
    """The lot is the venue's in base units (in dollars for inverse contracts)."""
    contract = Decimal(told.ctVal) * Decimal(told.ctMult or "1") if told.ctType else Decimal(1)
    family_base, _, family_quote = (told.instFamily or told.uly or told.instId).partition("-")
    kind = {"SWAP": "perp", "FUTURES": "future"}.get(told.instType, told.instType.lower())
    if told.ctType == "inverse":
        kind = f"inverse-{kind}"
    elif kind == "perp" and told.instCategory in _TRADFI:
        kind = "tradfi-perp"
    linear_quote = told.settleCcy if told.ctType == "linear" else ""
    return Instrument(
        index=-1,
        venue=VENUE,
        symbol=told.instId,
        base=told.baseCcy or family_base,
        quote=linear_quote or told.quoteCcy or family_quote.partition("-")[0],
        kind=kind,
        tick=Grid.parse(told.tickSz),
        lot=Grid.parse(str(Decimal(told.lotSz) * contract)),
        status="TRADING" if told.state == "live" else told.state.upper(),
        onboard_ms=int(told.listTime or 0),
        delivery_ms=int(told.expTime or 0),
        contract=contract,
    )


def turnovers(body: bytes) -> dict[str, float]:
    """Quote turnover of 24 h by symbol, from a tickers answer: base volume at the last price, the venue tells none."""
    try:
        told = [msgspec.json.decode(raw, type=_Ticker) for raw in data_rows(body, "tickers")]
        return {row.instId: float(row.volCcy24h or 0) * float(row.last or 0) for row in told}
    except (msgspec.MsgspecError, ValueError) as error:
        raise VenueError(f"OKX tickers cannot be read: {error}") from error


def funding_intervals(body: bytes) -> dict[str, int]:
    """Time between funding payments by symbol, ms, from a funding-rate answer (``instId=ANY`` gives all)."""
    try:
        told = [msgspec.json.decode(raw, type=_FundingRate) for raw in data_rows(body, "funding-rate")]
        return {
            row.instId: int(row.nextFundingTime) - int(row.fundingTime)
            for row in told
            if row.fundingTime and row.nextFundingTime
        }
    except (msgspec.MsgspecError, ValueError) as error:
        raise VenueError(f"OKX funding rates cannot be read: {error}") from error


def average_daily_volume(candles_body: bytes, *, now_ms: int, days: int) -> tuple[Decimal, int]:
    """Mean quote volume of the last `days` complete UTC days in an answer of candles of 1Dutc, and how many there were.

    Rows are ``[ts, open, high, low, close, contracts, base, quote, confirm]``, newest first.
    """
    try:
        rows = [msgspec.json.decode(raw, type=list[str]) for raw in data_rows(candles_body, "candles")]
        complete = [Decimal(row[7]) for row in rows if int(row[0]) + _DAY_MS <= now_ms][:days]
    except (msgspec.MsgspecError, ArithmeticError, IndexError, ValueError) as error:
        raise FrameError("bad_klines", str(error)) from error
    return (sum(complete, Decimal(0)) / len(complete) if complete else Decimal(0)), len(complete)


def topic_of(frame: bytes) -> tuple[str, str] | None:
    """Instrument (or its type) and channel that a frame names, readable or not; None where it names none."""
    found = _NAMED_ARG.search(frame)
    return None if found is None else (found[2].decode("utf-8", "replace"), found[1].decode())
