"""The compiled reader of levels against the decoders it works for: the same numbers, or none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import examples
from tapewatch.model.errors import FrameError
from tapewatch.model.instrument import Grid, Instrument
from tapewatch.venues import bybit_linear_codec, okx_swap_codec
from tapewatch.venues.levels import LevelReader

BTC = Instrument(0, "bybit", "BTCUSDT", "BTC", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.001"))
COARSE = replace(BTC, tick=Grid.parse("0.05"), lot=Grid.parse("5"))
PLAIN, MORE = LevelReader(), LevelReader(more=True)

Slow = Callable[[Instrument, msgspec.Raw], object]

numbers = st.one_of(
    st.decimals(0, 10**7, places=1).map(str),
    st.decimals(0, 10**4, places=3).map(str),
    st.integers(0, 10**20).map(str),
    st.sampled_from(
        ["", "0", "0.000", "-1", "1e3", ".5", "5.", "1_0", "٣", " 1", "NaN", "00012.50", "9" * 60, "0." + "0" * 50]
    ),
)
sides = st.lists(st.lists(numbers, min_size=0, max_size=4) | st.tuples(numbers, numbers).map(list), max_size=6)


def judged(slow: Slow, instrument: Instrument, raw: bytes) -> object:
    """What the general decoder says of a side: its levels, or why not."""
    try:
        return list(slow(instrument, msgspec.Raw(raw)))  # type: ignore[call-overload]
    except FrameError as error:
        return error.reason


@examples(600)
@given(sides, st.booleans(), st.integers(0, 10**6))
def test_what_it_reads_the_general_decoder_reads_alike(side: list[list[str]], coarse: bool, seed: int) -> None:
    instrument = COARSE if coarse else BTC
    raw = json.dumps(side, separators=(",", ":"), ensure_ascii=False).encode()
    chance = random.Random(seed)
    damaged = bytearray(raw)
    damaged[chance.randrange(len(damaged))] = chance.randrange(32, 127)
    for one in (raw, bytes(damaged), raw[: chance.randrange(1, len(raw) + 1)]):
        read = PLAIN.read(one, instrument.tick, instrument.lot)
        assert read is None or read == judged(bybit_linear_codec._levels, instrument, one)
        whole = replace(instrument, contract=Decimal(1))
        read = MORE.read(one, instrument.tick, instrument.lot)
        assert read is None or read == judged(okx_swap_codec._levels, whole, one)


@pytest.mark.parametrize("count", [1, 25, 400, 5_000])
def test_it_reads_what_venues_send(count: int) -> None:
    side = [(f"{86_780 - k / 10:.1f}", f"{k % 97}.{k % 1000:03}") for k in range(count)]
    ticks_and_lots = [(867_800 - k, k % 97 * 1000 + k % 1000) for k in range(count)]
    plain = json.dumps(side, separators=(",", ":")).encode()
    assert PLAIN.read(plain, BTC.tick, BTC.lot) == ticks_and_lots
    assert MORE.read(plain.replace(b'"]', b'","0","3"]'), BTC.tick, BTC.lot) == ticks_and_lots
    assert PLAIN.read(plain.replace(b'"]', b'","0"]'), BTC.tick, BTC.lot) is None
