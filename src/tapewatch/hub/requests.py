"""From what a client asks for to a topic: parameters checked once, one canonical key for equal questions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from ..config import describe
from ..derivs.cvd import Unit
from ..derivs.derivs import Derivs
from ..model.derivs import DerivsThresholds
from ..model.errors import NotFoundError, NotReadyError, UsageError
from ..model.instrument import Instrument
from ..model.views import TIMEFRAMES_MS
from . import derivs, lab, topics
from .alerts import AlertsState, AlertsTopic
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
_MULTIPLE = re.compile(r"x([1-9]\d{0,8})")
AUTO = "auto"
BINS_A_PRICE = 65_000
"""A bin that is chosen for the asker is about this part of the price: $2 for BTC at 84,000."""
StepText = Annotated[str, Meta(max_length=24)]


SymbolList = Annotated[str, Meta(max_length=400)]
CvdSpan = Literal["5m", "15m", "1h", "4h", "24h"]
ClusterWindow = Literal["1h", "4h", "24h"]
CLUSTER_WINDOWS_MS: dict[str, int] = {"1h": 3_600_000, "4h": 14_400_000, "24h": 86_400_000}
ALL_VENUES = "all"
FLOW_SYMBOLS = 12
"""Symbols of one question about order-flow imbalance; each comes on all venues."""
FLOW_COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB")


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


class ExchangeParams(_Params, frozen=True):
    exchange: str = "binance"


class WhalesParams(_Params, frozen=True):
    exchange: str = ALL_VENUES
    limit: Limit = 200


class ClustersParams(_Params, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTCUSDT"
    bucket: StepText | float = "auto"
    window: ClusterWindow = "24h"


class CvdParams(_Params, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTCUSDT"
    span: CvdSpan = "15m"
    unit: Unit = "usd"


class AlertsParams(_Params, frozen=True):
    limit: Limit = 200


class FlowParams(_Params, frozen=True):
    exchange: str = "binance"
    symbols: SymbolList = ""


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
    "basis": ExchangeParams,
    "funding": ExchangeParams,
    "interest": ExchangeParams,
    "whales": WhalesParams,
    "clusters": ClustersParams,
    "cvd": CvdParams,
    "flow": FlowParams,
    "alerts": AlertsParams,
}
STUDIES: dict[str, Callable[[str, Market, str, Clock], Topic]] = {
    "features": lab.Features,
    "heatmap": lab.HeatmapTopic,
    "depth": lab.DepthCurve,
    "detections": lab.Detections,
}
ROWS: dict[str, type[derivs.Basis]] = {
    "basis": derivs.Basis,
    "funding": derivs.Funding,
    "interest": derivs.Interest,
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
        derivatives: Derivs | None = None,
        alerts: AlertsState | None = None,
    ) -> None:
        self._alerts = alerts
        self._markets = markets
        self._derivs = derivatives or Derivs(markets, lambda _: DerivsThresholds())
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
            case ExchangeParams(exchange):
                name = find_market(self._markets, exchange).name
                key = f"{topic}:{name}"
                return Request(key, lambda: ROWS[topic](key, self._derivs, name, self._clock))
            case WhalesParams(exchange, limit):
                chosen = None if exchange == ALL_VENUES else find_market(self._markets, exchange).name
                key = f"whales:{exchange}:{limit}"
                return Request(key, lambda: derivs.Whales(key, self._derivs, chosen, limit, self._clock))
            case ClustersParams() as asked:
                return self._clusters(asked)
            case CvdParams(exchange, symbol, span, unit):
                market = find_market(self._markets, exchange)
                name = find_instrument(market, symbol).symbol
                key = f"cvd:{exchange}:{name}:{span}:{unit}"
                return Request(key, lambda: derivs.Cvd(key, self._derivs, market, name, span, unit, self._clock))
            case FlowParams(exchange, symbols):
                market = find_market(self._markets, exchange)
                names = flow_symbols(market, symbols)
                key = f"flow:{exchange}:{','.join(names)}"
                return Request(key, lambda: derivs.Flow(key, self._derivs, market, names, self._clock))
            case AlertsParams(limit):
                state = self._alerts
                if state is None:
                    raise UsageError("alerts are watched in a live program only; this one plays recorded data")
                key = f"alerts:{limit}"
                return Request(key, lambda: AlertsTopic(key, state, limit, self._clock))
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

    def _clusters(self, asked: ClustersParams) -> Request:
        market = find_market(self._markets, asked.exchange)
        instrument = find_instrument(market, asked.symbol)
        bucket = AUTO if asked.bucket == AUTO else step_text(instrument, asked.bucket)
        key = f"clusters:{asked.exchange}:{instrument.symbol}:{bucket}:{asked.window}"
        window_ms = CLUSTER_WINDOWS_MS[asked.window]
        return Request(
            key,
            lambda: derivs.Clusters(key, self._derivs, market, instrument.symbol, bucket, window_ms, self._clock),
        )

    def _footprint(self, asked: FootprintParams) -> Request:
        market = find_market(self._markets, asked.exchange)
        instrument = find_instrument(market, asked.symbol)
        step = bin_text(market, instrument, asked.step)
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


def flow_symbols(market: Market, symbols: str) -> list[str]:
    """The instruments named in a comma-separated list; of none, the market's own of a few large coins."""
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    if len(names) > FLOW_SYMBOLS:
        raise UsageError(f"{len(names)} symbols are too many; at most {FLOW_SYMBOLS} are shown together")
    if names:
        return list(dict.fromkeys(find_instrument(market, name).symbol for name in names))
    universe = market.engine.universe
    if not len(universe):
        raise NotReadyError(f"the instruments of {market.name} are not loaded yet; try again in a few seconds")
    large = {one.base: one.symbol for one in reversed(list(universe)) if one.quote == "USDT" and one.trading}
    return [large[coin] for coin in FLOW_COINS if coin in large] or [universe[0].symbol]


def bin_text(market: Market, instrument: Instrument, step: str | float) -> str:
    """The canonical text of a footprint's bin: a decimal, a multiple of the tick (``x5``), or ``auto``.

    Whoever does not know an instrument's tick yet can ask for its footprint all the same; the answer says the bin.
    """
    if step == AUTO:
        last = int(market.engine.flow.trades[instrument.index]["last_price"])
        return step_text(instrument, instrument.tick.to_text(auto_ticks(last)))
    multiple = _MULTIPLE.fullmatch(step) if isinstance(step, str) else None
    return step_text(instrument, instrument.tick.to_text(int(multiple[1])) if multiple else step)


def auto_ticks(price_ticks: int) -> int:
    """Of 1, 2 and 5 x 10^n ticks the smallest that is a `BINS_A_PRICE`th of the price or more; 1 before any trade."""
    least = max(1.0, price_ticks / BINS_A_PRICE)
    power = int(10 ** math.floor(math.log10(least)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def step_text(instrument: Instrument, step: str | float) -> str:
    """The canonical text of a bin width that is a multiple of the instrument's tick."""
    text = f"{Decimal(repr(step)):f}" if isinstance(step, float) else step
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise UsageError(f"step {text[:24]!r} is not a plain decimal number such as {instrument.tick.value:f}")
    ticks = instrument.step_ticks(text)
    return f"{Decimal(instrument.tick.to_text(ticks)).normalize():f}"
