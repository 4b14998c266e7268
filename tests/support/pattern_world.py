"""A simulated market with planted patterns, in virtual time, heard as live frames are: codec, engine, detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tapewatch.engine import Engine
from tapewatch.model.detection import Detection
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.sim.market import Market
from tapewatch.sim.patterns import KINDS, Label, PatternKind, Planter
from tapewatch.sim.rest import MarketRest
from tapewatch.sim.streams import MarketStreams
from tapewatch.sim.universe import build_universe
from tapewatch.venues.binance_usdm_codec import Codec

SYMBOL = "BTCUSDT"
START_MS = 1_790_000_000_000
CALM = 0.05
SLACK_MS = 2_000
"""An event may be told so much later than its pattern ended."""
ALSO: dict[PatternKind, tuple[PatternKind, ...]] = {
    "absorption": ("absorption", "iceberg"),
    "iceberg": ("iceberg", "absorption"),
}
"""An iceberg is a way to absorb, and absorbing orders refill: where one is planted, either word is right."""


@dataclass
class Listener:
    """Codec, engine and the studied instrument of one reader."""

    def __init__(self) -> None:
        instrument = Instrument(0, "binance", SYMBOL, "BTC", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.001"))
        self.universe = Universe("binance", [instrument])
        self.engine, self.codec = Engine(self.universe), Codec(self.universe)
        self.engine.follow_book(0)
        self.study = self.engine.lab.study(self.universe[0])

    def hear(self, payloads: Sequence[bytes], now_ms: int) -> None:
        """Frames of one read."""
        decoded = self.codec.decode(b"".join(payloads), list(accumulate(map(len, payloads))), now_ms * 1_000_000)
        assert not decoded.rejected, decoded.rejected[0]
        self.engine.apply(decoded.tape)

    def snapshot(self, body: str, now_ms: int) -> None:
        self.engine.apply(self.codec.snapshot(SYMBOL, body.encode(), now_ms * 1_000_000))

    @property
    def events(self) -> list[Detection]:
        return list(self.study.detectors.events)


@dataclass
class Session:
    """What a market sent, in order: frames of one step, or a REST body."""

    steps: list[tuple[int, list[bytes], str | None]]
    labels: list[Label]


def record(seed: int, seconds: int, *, plant: bool, every_ms: int = 20_000) -> Session:
    """Let a market run and keep what its streams and one snapshot say."""
    market = Market(build_universe(2, seed), seed=seed, start_ms=START_MS)
    # Small orders in a deep book and a price that hardly drifts: what is large has been planted.
    market.state.symbols["order_lots"] *= CALM
    market.state.world["symbols"] = 0  # nobody works a large order in children
    market.state.symbols["sigma"] *= CALM
    market.state.symbols["changes_per_s"] *= 4 * CALM
    market.state.symbols["beta"] = 0.0
    planter = Planter(market, SYMBOL, seed, every_ms) if plant else None
    streams, rest = MarketStreams(market), MarketRest(market, 2400, lambda: 50)
    for name in ("depth@100ms", "aggTrade", "bookTicker"):
        streams.open(f"{SYMBOL.lower()}@{name}")
    steps: list[tuple[int, list[bytes], str | None]] = []
    for k in range(seconds * 40):
        frames = [frame.encode() for _, frame in streams.advance()]
        body = rest("/fapi/v1/depth", {"symbol": SYMBOL, "limit": "1000"}) if k == 40 else None
        steps.append((market.now_ms, frames, body))
    return Session(steps, planter.labels if planter else [])


def play(session: Session, *, at_once: int = 1) -> Listener:
    """Hear a session, so many steps in one read."""
    listener, waiting = Listener(), list[bytes]()
    for k, (now_ms, frames, body) in enumerate(session.steps):
        waiting += frames
        if waiting and (k % at_once == 0 or body is not None):
            listener.hear(waiting, now_ms)
            waiting = []
        if body is not None:
            listener.snapshot(body, now_ms)
    if waiting:
        listener.hear(waiting, session.steps[-1][0])
    return listener


@dataclass(frozen=True)
class Score:
    """Of one detector: patterns planted and found, events fired and right."""

    planted: int
    found: int
    fired: int
    right: int

    @property
    def recall(self) -> float:
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.fired if self.fired else 1.0


def score(labels: Sequence[Label], events: Sequence[Detection]) -> dict[PatternKind, Score]:
    """Match events to labels by kind, side, time and price."""
    out: dict[PatternKind, Score] = {}
    for kind in KINDS:
        planted = [label for label in labels if label.kind == kind]
        fired = [event for event in events if event.kind == kind]
        allowed = [label for label in labels if label.kind in ALSO.get(kind, (kind,))]
        out[kind] = Score(
            planted=len(planted),
            found=sum(any(_matches(label, event) for event in fired) for label in planted),
            fired=len(fired),
            right=sum(any(_matches(label, event) for label in allowed) for event in fired),
        )
    return out


def _matches(label: Label, event: Detection) -> bool:
    in_time = event.start_ms <= label.end_ms + SLACK_MS and event.ts_ms >= label.start_ms
    side = -label.side if label.kind == "exhaustion" else label.side
    if label.kind in ("sweep", "exhaustion"):
        return in_time and event.side == side
    return in_time and event.side == side and event.low <= label.high + 1 and event.high >= label.low - 1
