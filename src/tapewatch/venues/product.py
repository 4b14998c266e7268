"""What a venue product is: one object that reads like a data sheet, from which everything above is built.

A venue has products (Binance has USD-M futures and spot); each is a market of its own with its own instruments, codec
and engine, and is what users call an exchange. `registry.PRODUCTS` holds them all. Pure: how its sockets are opened
and its REST is asked stands in `feed/`, its simulation in `sim/`, both found by the product's name.

To add one: facts and parsing in ``venues/<name>.py``, the codec in ``venues/<name>_codec.py``, a `Dialect` in
``feed/<name>.py``, a simulated venue in ``sim/<name>.py``; then a line in `registry`, `feed.dialects` and `sim.venues`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..model.channel import Channel
from ..model.instrument import Instrument, Universe
from ..model.interest import OpenInterest
from ..model.rules import BookRule, TradeRule
from ..model.tape import Tape
from .batch import Decoded, Integers


class Codec(Protocol):
    """Bytes of one product to rows of the tape; keeps no more state than the instruments and what deltas need."""

    universe: Universe

    def decode(self, buffer: bytes | bytearray, ends: Integers, recv_ns: int | Integers) -> Decoded:
        """Rows of the websocket messages `buffer[ends[k-1]:ends[k]]`, received at `recv_ns` (one or one each).

        A message that cannot be read is set aside whole with its reason and changes nothing. The tape's arrays are
        reused: they are good until the next call. 24 h figures come back in `control` as `model.ticker.Ticker`.
        """

    def snapshot(self, symbol: str, body: bytes, recv_ns: int, limit: int = 0) -> Tape:
        """A REST book of at most `limit` levels a side as one DEPTH row flagged SNAPSHOT; raises FrameError."""

    def trades(self, symbol: str, body: bytes, recv_ns: int) -> Tape:
        """A REST page of trades as TRADE rows flagged BACKFILLED, in order of id; raises FrameError."""


@dataclass(frozen=True, slots=True)
class Volume:
    """How busy a symbol was in 24 h; says which come first and which share a socket."""

    symbol: str
    quote_volume: float
    trades: float
    """Trade messages on its stream; an estimate where the venue counts other things."""


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a product does not have, each with the sentence that screens show in its place; empty where it has it."""

    marks: str = ""
    funding: str = ""
    liquidations: str = ""
    open_interest: str = ""
    backfill: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A market of one instrument in the product's own messages, so that its decoder can be compiled beforehand."""

    instrument: Instrument
    recv_ns: int
    frames: tuple[bytes, ...]
    """Each kind of message that compiled code reads."""


Read = bytes | bytearray


@dataclass(frozen=True, slots=True)
class Product:
    """The data sheet of one venue product."""

    name: str
    """What users call it: the query parameter `exchange`, the key of its settings, of its stored data."""
    title: str
    """``Binance USD-M futures``."""
    kind: Literal["perp", "spot"]
    rest_url: str
    ws_url: str
    example: str
    """A symbol that is always there."""
    codec: Callable[[Universe], Codec]
    book: BookRule
    trades: TradeRule
    instruments: Callable[..., list[Instrument]]
    """``(body, *, unreadable: list[str] | None = None)``: the trading list in a REST answer."""
    volumes: Callable[[bytes], list[Volume]]
    """Rows of the REST answer with everybody's 24 h figures."""
    daily_volume: Callable[..., tuple[Decimal, int]]
    """``(body, *, now_ms, days)``: mean quote volume of the last complete UTC days in a klines answer, and how many."""
    channel_of: Callable[[Read, int, int], tuple[Channel | None, bool]]
    """``(buffer, start, end)``: what kind of stream a message is of (None: of none), and whether of the whole market.
    Looks at its beginning alone: it decides what is recorded, for every message."""
    stream_of: Callable[[bytes], tuple[str, Channel] | None]
    """Symbol and channel that a message names, readable or not; None where it names none."""
    trade_ids: Callable[[bytes], list[int]]
    """Ids in a REST page of trades, in rising order as they shall be applied; raises FrameError."""
    depth_limits: Sequence[int] = ()
    """Levels a side that REST can be asked for, rising; none where books come in the stream."""
    liquidations: str = ""
    """How complete the liquidations are that it tells, in one sentence."""
    funding_hours: int | None = 8
    """Hours between funding payments where nothing else is said; None: it has no funding."""
    funding_intervals: Callable[[bytes], dict[str, int]] | None = None
    """Milliseconds between payments by symbol, of those that differ, in an answer of REST; None where the trading list
    says it of each instrument."""
    minute_klines: Callable[[Sequence[bytes], Instrument], NDArray[np.void]] | None = None
    """Answers with one-minute klines that follow each other, as `KLINE` rows on the instrument's grid; raises
    FrameError. None where klines do not tell who bought."""
    interest: Callable[[bytes], OpenInterest] | None = None
    """Reads the REST answer with one symbol's open interest; raises FrameError. None where it is streamed."""
    lacks: Lacks = field(default_factory=Lacks)
    sample: Sample | None = None
    """For products with a compiled decoder of their own."""
