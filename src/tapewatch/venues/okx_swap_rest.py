"""Answers of OKX's v5 REST interface: ``{"code":"0","msg":"","data":[…]}``, everything a string, newest first."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from ..model.errors import VenueError
from ..model.instrument import Grid, Instrument
from .product import Volume
from .sheet import mean_of_days, readable

VENUE = "okx"
_TRADFI = frozenset({"3", "4", "5", "6"})
"""`instCategory` of stocks, commodities, currencies and bonds; 1 is crypto."""
QUOTE_PER_TRADE_MESSAGE = 3_000.0
"""Of a typical one: the venue's 24 h figures have no number of trades."""


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

    See `sheet.readable`.
    """

    def read(raw: msgspec.Raw) -> Instrument | None:
        told = msgspec.json.decode(raw, type=_Instrument)
        return _instrument(told) if told.ctType in types else None

    return readable(data_rows(body, "instruments"), read, unreadable)


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


def parse_volumes(body: bytes) -> list[Volume]:
    """See `Product.volumes`: a tickers answer. The venue tells base volume; its worth is taken at the last price."""
    try:
        told = [msgspec.json.decode(raw, type=_Ticker) for raw in data_rows(body, "tickers")]
        quote = [(row.instId, float(row.volCcy24h or 0) * float(row.last or 0)) for row in told]
    except (msgspec.MsgspecError, ValueError) as error:
        raise VenueError(f"OKX tickers cannot be read: {error}") from error
    return [Volume(symbol, volume, volume / QUOTE_PER_TRADE_MESSAGE) for symbol, volume in quote]


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
    return mean_of_days(data_rows(candles_body, "candles"), 7, now_ms=now_ms, days=days)
