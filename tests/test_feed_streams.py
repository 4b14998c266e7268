"""Frames counted by stream: the compiled count finds exactly what plain Python finds, and leaves the rest to it."""

from __future__ import annotations

from array import array
from itertools import accumulate

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapewatch.feed.binance_usdm import DIALECT
from tapewatch.feed.streams import READ_PADDING, StreamCounter

NAMES = ["btcusdt@aggTrade", "btcusdt@depth@100ms", "币安人生usdt@bookTicker", "!markPrice@arr@1s", "a" * 80]
FITTING = NAMES[:-1]
"""Names of more than 64 bytes are left to the caller."""


def read_of(frames: list[bytes]) -> tuple[bytearray, array[int]]:
    return bytearray(b"".join(frames) + READ_PADDING), array("q", accumulate(map(len, frames)))


def counted(frames: list[bytes]) -> tuple[dict[bytes, int], list[int]]:
    """Counts by stream, and the numbers of the frames left to the caller."""
    counter = StreamCounter([name.encode() for name in NAMES], DIALECT.wire.heading)
    buffer, ends = read_of(frames)
    left, k = [], 0
    while (k := counter.count(buffer, ends, k)) < len(ends):
        left.append(k)
        k += 1
    return dict(counter.take()), left


def frame(name: str) -> bytes:
    return msgspec.json.encode({"stream": name, "data": {"e": "x"}})


strange = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b'{"stream":"', b'{"stream":""', b'{"stream":"btcusdt@aggTrade', b'{"result":null,"id":1}', b""]),
    st.sampled_from([frame(name)[:size] for name in NAMES for size in (5, 12, 20)]),
    st.just(b'{"stream":"btcusdt\\u0040aggTrade","data":{}}'),
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(st.sampled_from([frame(name) for name in NAMES]), strange),
        min_size=1,
        max_size=30,
    )
)
@example([b'{"stre', b'am":"btcusdt@aggTrade","data":{}}'])
@example([b'{"stream":"btcusdt@agg', b'Trade","data":{}}'])
def test_counts_are_those_of_a_plain_search(frames: list[bytes]) -> None:
    expected: dict[bytes, int] = {}
    others = []
    for k, one in enumerate(frames):
        head, _, rest = one.partition(b'{"stream":"')
        name, quote, _ = rest.partition(b'"')
        if not head and quote and name.decode(errors="replace") in FITTING:
            expected[name] = expected.get(name, 0) + 1
        else:
            others.append(k)
    assert counted(frames) == (expected, others)


def test_a_count_begins_anew_when_it_is_taken() -> None:
    counter = StreamCounter([b"btcusdt@aggTrade"], DIALECT.wire.heading)
    buffer, ends = read_of([frame("btcusdt@aggTrade")] * 3)
    assert counter.count(buffer, ends, 1) == 3
    assert list(counter.take()) == [(b"btcusdt@aggTrade", 2)]
    assert list(counter.take()) == []
