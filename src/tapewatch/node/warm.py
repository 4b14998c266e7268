"""Compile the kernels, or load them from numba's cache, before the first frame needs them.

The very path of a frame is walked once with a market of one instrument, so that every signature that live data uses is
ready. Compilation must never happen inside the event loop, and not in a thread beside it: the compiler holds the
interpreter's lock for seconds. `compile_apart` does it in two processes with as much to do each: the decoder and
footprints, and the engine. What the lab of studied instruments needs comes when data already flows.

    python -m tapewatch.node.warm decoder|engine|lab        one of them
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from array import array
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate

import numpy as np

from ..api.celltext import level_texts
from ..book import ladder, stacking
from ..compiled import cache_folder, remove_unused
from ..engine import Engine
from ..feed.binance_usdm import DIALECT
from ..feed.streams import READ_PADDING, StreamCounter
from ..model.instrument import Grid, Instrument, Universe
from ..model.tape import Tape
from ..model.thresholds import Thresholds
from ..venues.binance_usdm_codec import Codec
from ..venues.registry import PRODUCTS
from ..walk import TOP_LEVELS

LIVE = "live"
NOW_MS = 1_790_000_000_000

SNAPSHOT = (
    b'{"lastUpdateId":10,"E":1790000000000,"T":1790000000000,'
    b'"bids":[["99.9","5"],["99.8","4"]],"asks":[["100.1","5"],["100.2","4"]]}'
)

FRAMES = (
    (
        b'{"stream":"wusdt@depth@100ms","data":{"e":"depthUpdate","E":1790000000100,"T":1790000000100,"s":"WUSDT","U":9,"u":12,'
        b'"pu":8,"b":[["99.9","6"]],"a":[["100.1","0"]]}}'
    ),
    (
        b'{"stream":"wusdt@depth@100ms","data":{"e":"depthUpdate","E":1790000000200,"T":1790000000200,"s":"WUSDT","U":13,"u":14,'
        b'"pu":12,"b":[],"a":[["100.1","3"]]}}'
    ),
    (
        b'{"stream":"wusdt@aggTrade","data":{"e":"aggTrade","E":1790000000300,"a":1,"s":"WUSDT","p":"100.1","q":"500","nq":"500",'
        b'"f":1,"l":2,"T":1790000000250,"m":false,"st":1}}'
    ),
    (
        b'{"stream":"wusdt@aggTrade","data":{"e":"aggTrade","E":1790000001300,"a":3,"s":"WUSDT","p":"99.9","q":"500","f":4,"l":4,'
        b'"T":1790000001250,"m":true,"st":1}}'
    ),
    (
        b'{"stream":"wusdt@bookTicker","data":{"e":"bookTicker","u":14,"s":"WUSDT","b":"99.9","B":"6","a":"100.1","A":"3",'
        b'"T":1790000001300,"E":1790000001300,"st":1}}'
    ),
    (
        b'{"stream":"!markPrice@arr@1s","data":[{"e":"markPriceUpdate","E":1790000001400,"s":"WUSDT","p":"100.0","i":"100.0",'
        b'"r":"0.0001","T":1790003600000,"st":1}]}'
    ),
    (
        b'{"stream":"!forceOrder@arr","data":{"e":"forceOrder","E":1790000001500,"o":{"s":"WUSDT","S":"SELL","o":"LIMIT","f":"IOC",'
        b'"q":"2","p":"99.0","ap":"99.5","X":"FILLED","l":"2","z":"2","T":1790000001450,"st":1}}}'
    ),
    (
        b'{"stream":"wusdt@trade","data":{"e":"trade","E":1790000001600,"T":1790000001600,"s":"WUSDT","t":9,"p":"100.1","q":"1",'
        b'"X":"MARKET","m":false,"st":1}}'
    ),
)


LIVE_PARTS = ("decoder", "engine")
"""What live data needs."""
LAB = "lab"
NICENESS = 10
"""The lab's kernels are made beside live data, which goes first."""


async def compile_apart(*parts: str) -> None:
    """Compile what is not kept yet, each part in a process of its own. What one fails to do, `warm_up` does again."""
    commands = [(sys.executable, "-m", __name__, part) for part in parts]
    running = [await asyncio.create_subprocess_exec(*command) for command in commands]
    try:
        await asyncio.gather(*(process.wait() for process in running))
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()


def warm_up(*, lab: bool = True, decoders: Iterable[str] = ()) -> float:
    """Make every kernel ready, those of the lab only if wanted; returns the seconds it took."""
    began = time.perf_counter()
    tapes = _use_decoder(kernel=True)
    _look_at(_use_engine(tapes))
    _draw_footprints()
    _remember(LIVE)
    for name in decoders:
        _use_sample(name)
    if lab:
        warm_up_lab(tapes)
    remove_unused()
    return time.perf_counter() - began


def warm_up_lab(tapes: list[Tape] | None = None) -> None:
    """Make the kernels ready that only studied instruments need."""
    tapes = tapes or _use_decoder(kernel=False)
    engine = Engine(_universe(), Thresholds())
    engine.follow_book(0)
    engine.lab.study(engine.universe[0])
    engine.follow_book(0)
    later = tapes[-1].copy()
    later.rows["event_ms"] += 60_000  # at a full minute more is done
    for tape in (*tapes, later):
        engine.apply(tape)
    _do_rare_things(engine)
    _remember(LAB)


def _do_rare_things(engine: Engine) -> None:
    """What happens now and then, and must not be compiled in that moment."""
    engine.traded(0, 990, 20)
    stacking.in_window(engine.lab.studies[0].state.stack, 990, 20, NOW_MS)
    engine.top10_ofi(0)
    ladder.sum_top_change(engine.sync.ladders, 0, 0, TOP_LEVELS)
    ladder.grow(ladder.new_ladders(2, 4), 8)
    engine.update_instrument(replace(engine.universe[0], tick=Grid.parse("0.05"), lot=Grid.parse("0.5")))
    engine.use_raw_trades(0)


def _universe() -> Universe:
    tick, lot = Grid.parse("0.1"), Grid.parse("1")
    # Two, because an array of one is contiguous however it is cut, which is another type to the compiler.
    bases = ("W", "V")
    return Universe(
        "binance",
        [Instrument(i, "binance", f"{base}USDT", base, "USDT", "perp", tick, lot) for i, base in enumerate(bases)],
    )


def _use_decoder(*, kernel: bool) -> list[Tape]:
    """Decode all there is: a diff, a snapshot, then every frame."""
    codec, recv_ns = Codec(_universe(), kernel=kernel), NOW_MS * 1_000_000
    buffer, ends = bytearray(), array("q")
    for frame in FRAMES:
        buffer += frame
        ends.append(len(buffer))
    if kernel:
        StreamCounter([b"wusdt@aggTrade"], DIALECT.wire.heading).count(buffer + READ_PADDING, ends, 0)
    first = codec.decode(buffer, ends[:1], recv_ns).tape.copy()
    decoded = codec.decode(buffer, ends, recv_ns)
    if decoded.rejected:
        raise AssertionError(f"the warm-up frames are not understood: {decoded.rejected[0].reason}")
    return [first, codec.snapshot("WUSDT", SNAPSHOT, recv_ns).copy(), decoded.tape]


def _use_engine(tapes: list[Tape]) -> Engine:
    """Apply tapes."""
    engine = Engine(_universe(), Thresholds())
    engine.set_adv(0, Decimal(1_000_000), 30)
    engine.follow_book(0)
    for tape in tapes:
        engine.apply(tape)
    engine.settle()
    return engine


def _look_at(engine: Engine) -> None:
    """Take the views of an engine that are no footprints."""
    engine.imbalance()
    engine.book(0)
    engine.top10_ofi(0)


def _draw_footprints() -> None:
    """Draw footprints, of an engine that nothing has been applied to: that would take all of it to be compiled."""
    engine = Engine(_universe(), Thresholds())
    for candles in (engine.flow.seconds, engine.flow.minutes):
        candles.newest[0] = candles.oldest[0] = 1  # as if something had traded: nothing is drawn before
    for tf_ms in (1_000, 60_000, 300_000):
        shown = engine.footprint(0, tf_ms, 5, 30)
        level_texts(shown, np.arange(len(shown.candles)))


def own_decoders(venues: Iterable[str]) -> list[str]:
    """Those of the products that have a compiled decoder of their own beside the first one's."""
    return [name for name in venues if PRODUCTS[name].sample is not None]


def _use_sample(name: str) -> None:
    """Decode one product's sample."""
    product = PRODUCTS[name]
    sample = product.sample
    if sample is None:
        raise ValueError(f"{name} has no decoder of its own")
    buffer = b"".join(sample.frames)
    ends = array("q", accumulate(map(len, sample.frames)))
    decoded = product.codec(Universe(name, [sample.instrument])).decode(buffer, ends, sample.recv_ns)
    if decoded.rejected:
        raise AssertionError(f"the sample of {name} is not understood: {decoded.rejected[0].reason}")
    _remember(name)


def is_cached(part: str = LIVE) -> bool:
    """Whether the compiled kernels of exactly this version are kept in the user's cache folder."""
    return (cache_folder(__name__) / part).exists()


def _remember(part: str) -> None:
    """Mark kept kernels as complete; where nothing can be kept, every start compiles."""
    with contextlib.suppress(OSError):
        folder = cache_folder(__name__)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / part).touch()


def _main(part: str) -> None:
    if part == "decoder":
        _use_decoder(kernel=True)
        _draw_footprints()
    elif part in PRODUCTS:
        _use_sample(part)
    elif part == "engine":
        _look_at(
            _use_engine(_use_decoder(kernel=False))
        )  # the general decoder's rows: this process compiles no decoder
    else:
        if hasattr(os, "nice"):
            os.nice(NICENESS)
        warm_up_lab()


if __name__ == "__main__":
    _main(sys.argv[1])
