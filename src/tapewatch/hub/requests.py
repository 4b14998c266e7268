"""From what a client asks for to a topic: parameters checked once, one canonical key for equal questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from ..config import describe
from ..model.errors import NotFoundError, NotReadyError, UsageError
from ..model.instrument import Instrument
from ..model.views import TIMEFRAMES_MS
from . import lab, topics
from .columns import Clock, Market
from .hub import Topic

P = TypeVar("P", bound=Struct)
M = TypeVar("M", bound=Market)

Timeframe = Literal["1s", "1m", "5m", "15m", "1h", "4h", "1d"]
MAX_LOOKBACK = 1440
"""Candles in one answer: a day of minutes, which is what the engines keep."""
MAX_ROWS = 500
MAX_LADDER_ROWS = 400
MAX_LADDER_TICKS = 20_000
"""Rows times ticks a row: what one message of a ladder adds up."""

Lookback = Annotated[int, Meta(ge=1, le=MAX_LOOKBACK)]
Rows = Annotated[int, Meta(ge=10, le=MAX_LADDER_ROWS)]
Limit = Annotated[int, Meta(ge=1, le=MAX_ROWS)]
_PLAIN_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?")
"""No sign, no exponent: 1e999999 is a number nobody wants to expand."""
StepText = Annotated[str, Meta(max_length=24)]


class _Params(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class StatusParams(_Params, frozen=True):
    pass


class ImbalanceParams(_Params, frozen=True):
    exchange: str = "binance"


class RowsParams(_Params, frozen=True):
    exchange: str = "binance"
    limit: Limit = 200


class FootprintParams(_Params, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTCUSDT"
    tf: Timeframe = "1m"
    step: StepText | float = "0.5"
    lookback: Lookback = 60


class SymbolParams(_Params, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTCUSDT"


class LadderParams(_Params, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTCUSDT"
    step: StepText | float | None = None
    """Height of a row, a multiple of the tick; one tick where it is not said."""
    rows: Rows = 200


PARAMS: dict[str, type[_Params]] = {
    "status": StatusParams,
    "imbalance": ImbalanceParams,
    "bigflow": RowsParams,
    "liquidations": RowsParams,
    "footprint": FootprintParams,
    "features": SymbolParams,
    "heatmap": SymbolParams,
    "depth": SymbolParams,
    "detections": SymbolParams,
    "ladder": LadderParams,
}
STUDIES: dict[str, Callable[[str, Market, str, Clock], Topic]] = {
    "features": lab.Features,
    "heatmap": lab.HeatmapTopic,
    "depth": lab.DepthCurve,
    "detections": lab.Detections,
}


@dataclass(frozen=True, slots=True)
class Request:
    """A checked question: its canonical key and how its topic is made when nobody has it yet."""

    key: str
    make: Callable[[], Topic]


class Catalogue:
    """Every topic that can be asked for."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        status: Callable[[], dict[str, Any]],
        clock: Clock,
        *,
        status_period_s: float = topics.Status.period_s,
    ) -> None:
        self._markets = markets
        self._status = status
        self._status_period_s = status_period_s
        self._clock = clock

    def request(self, topic: str, params: Mapping[str, Any]) -> Request:
        """Check topic and parameters; raises `UsageError` with what is allowed."""
        kind = PARAMS.get(topic)
        if kind is None:
            raise UsageError(f"unknown topic {topic!r}; allowed: {', '.join(PARAMS)}")
        match checked(kind, params):
            case ImbalanceParams(exchange):
                market = find_market(self._markets, exchange)
                key = f"imbalance:{exchange}"
                return Request(key, lambda: topics.Imbalance(key, market, self._clock))
            case RowsParams(exchange, limit):
                market = find_market(self._markets, exchange)
                key = f"{topic}:{exchange}:{limit}"
                build = topics.BigFlow if topic == "bigflow" else topics.Liquidations
                return Request(key, lambda: build(key, market, limit, self._clock))
            case FootprintParams() as asked:
                return self._footprint(asked)
            case LadderParams() as asked:
                return self._ladder(asked)
            case SymbolParams(exchange, symbol):
                market = find_market(self._markets, exchange)
                name = find_instrument(market, symbol).symbol
                key = f"{topic}:{exchange}:{name}"
                return Request(key, lambda: STUDIES[topic](key, market, name, self._clock))
            case _:
                return Request(
                    "status", lambda: topics.Status("status", self._status, self._clock, self._status_period_s)
                )

    def _ladder(self, asked: LadderParams) -> Request:
        market = find_market(self._markets, asked.exchange)
        instrument = find_instrument(market, asked.symbol)
        step = step_text(instrument, instrument.tick.to_text(1) if asked.step is None else asked.step)
        if instrument.step_ticks(step) * asked.rows > MAX_LADDER_TICKS:
            widest = f"{Decimal(instrument.tick.to_text(MAX_LADDER_TICKS // asked.rows)).normalize():f}"
            raise UsageError(f"step = {step} is refused; allowed with {asked.rows} rows: up to {widest}")
        key = f"ladder:{asked.exchange}:{instrument.symbol}:{step}:{asked.rows}"
        return Request(key, lambda: lab.LadderTopic(key, market, instrument.symbol, step, asked.rows, self._clock))

    def _footprint(self, asked: FootprintParams) -> Request:
        market = find_market(self._markets, asked.exchange)
        instrument = find_instrument(market, asked.symbol)
        step = step_text(instrument, asked.step)
        key = f"footprint:{asked.exchange}:{instrument.symbol}:{asked.tf}:{step}:{asked.lookback}"
        tf_ms = TIMEFRAMES_MS[asked.tf]
        return Request(
            key,
            lambda: topics.FootprintTopic(key, market, instrument.symbol, tf_ms, step, asked.lookback, self._clock),
        )


def checked(kind: type[P], params: Mapping[str, Any]) -> P:
    """Convert parameters (text or numbers), or say in one sentence which is wrong and what is allowed."""
    names = kind.__struct_fields__
    for name in params:
        if name not in names:
            allowed = ", ".join(names) or "none"
            raise UsageError(f"unknown parameter {name!r}; allowed: {allowed}")
    return kind(**{name: _value(kind, name, value) for name, value in params.items()})


def _value(kind: type[Struct], name: str, value: Any) -> Any:
    field = next(field for field in msgspec.structs.fields(kind) if field.name == name)
    try:
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError:
        info = msgspec.inspect.type_info(field.type)
        # A literal's values stay in the order they are written in: from short to long.
        allowed = ", ".join(get_args(field.type)) if get_origin(field.type) is Literal else describe(info)
        raise UsageError(f"{name} = {str(value)[:40]!r} is refused; allowed: {allowed}") from None


def find_market(markets: Mapping[str, M], exchange: str) -> M:
    """The venue called `exchange`."""
    market = markets.get(exchange)
    if market is None:
        raise NotFoundError(f"unknown exchange {exchange[:40]!r}; running here: {', '.join(markets) or 'none'}")
    return market


def find_instrument(market: Market, symbol: str) -> Instrument:
    """The instrument called `symbol`; says so when the venue's list has not arrived yet.

    One that the venue lists and nobody follows is followed from here on, for as long as somebody looks at it.
    """
    universe = market.engine.universe
    if not len(universe):
        market.ask(symbol[:64])
        universe = market.engine.universe
    if not len(universe):
        raise NotReadyError(f"the instruments of {market.name} are not loaded yet; try again in a few seconds")
    if universe.find(symbol[:64]) is None:
        market.ask(symbol[:64])
    return universe.get(symbol[:64])


def step_text(instrument: Instrument, step: str | float) -> str:
    """The canonical text of a bin width that is a multiple of the instrument's tick."""
    text = f"{Decimal(repr(step)):f}" if isinstance(step, float) else step
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise UsageError(f"step {text[:24]!r} is not a plain decimal number such as {instrument.tick.value:f}")
    ticks = instrument.step_ticks(text)
    return f"{Decimal(instrument.tick.to_text(ticks)).normalize():f}"
