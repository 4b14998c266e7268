"""The compiled decoder against the general one: same rows, same controls, same rejections, for any bytes."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.venues.binance_usdm_codec import Codec

RECV_MS = 1_790_526_539_500
CASES = int(os.environ.get("TAPEWATCH_FUZZ_CASES", "40000"))
"""Mutated frames per run; set the variable to a million for a long one."""

INSTRUMENTS = [("BTCUSDT", "0.1", "0.001"), ("ETHUSDT", "0.01", "0.001"), ("1000PEPEUSDT", "0.0000001", "1"),
               ("XAUUSDT", "0.05", "0.002"), ("币安人生USDT", "0.00001", "1")]  # fmt: skip


def universe() -> Universe:
    out = Universe("binance")
    for symbol, tick, lot in INSTRUMENTS:
        out.add(Instrument(0, "binance", symbol, symbol[:-4], "USDT", "perp", Grid.parse(tick), Grid.parse(lot)))
    return out


def number(rng: random.Random, grid: str) -> str:
    """A decimal on the grid, written in one of the ways a venue or a broken venue might."""
    step = Grid.parse(grid)
    text = step.to_text(rng.choice([0, 1, 7, 10, 123, 99_999, 834_344, 10**9, 10**15]))
    style = rng.randrange(14)
    if style < 8:
        return text + ("0" * rng.randrange(3) if "." in text else "")
    return rng.choice(
        [
            *(text + "e0", "-" + text, "00" + text, text + "1", "+" + text, "", "1e-8", "NaN", "1e400", ".5", "5."),
            *(" 1", "1_0", "9" * 30, "0." + "0" * 50, "0.000000001", "Infinity", "٣"),
        ]
    )


def side_of_book(rng: random.Random, tick: str, quantity: Callable[[], object]) -> list[list[object]]:
    """Levels as a venue writes them: prices close to each other and alike in form, here and there one that is not."""
    base, zeros = rng.choice([990, 99_900, 834_344, 9_999_000]), "0" * rng.randrange(4)
    prices = [Grid.parse(tick).to_text(base + rng.randrange(1_500)) for _ in range(rng.randrange(9))]
    padded = [price + zeros if "." in price else price for price in prices]
    return [[price if rng.random() < 0.95 else number(rng, tick), quantity()] for price in padded]


def text(value: object) -> str:
    """JSON as the venue writes it: no spaces, UTF-8 as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def frame(rng: random.Random) -> str:
    """A frame of a random kind with plausible and hostile values, keys sometimes shuffled, repeated or missing."""
    symbol, tick, lot = rng.choice([*INSTRUMENTS, ("BTCUSD_PERP", "0.1", "1"), ("NOPEUSDT", "0.1", "1")])

    def p() -> object:
        return number(rng, tick) if rng.random() < 0.97 else rng.choice([1, 1.5, None, True, [], {}])

    def q() -> object:
        return number(rng, lot) if rng.random() < 0.97 else rng.choice([1, 2.25, None])

    def ms() -> object:
        return rng.choice([RECV_MS] * 12 + [RECV_MS * 1000, 0, -1, RECV_MS + 10**9, "1", 1.5, 10**19])

    def uid() -> object:
        return rng.choice([rng.randrange(10**14)] * 14 + [0, -1, 2**63, "7", 1.0, None])

    kind = rng.choice(
        ["aggTrade", "trade", "depthUpdate", "bookTicker", "markPriceUpdate", "forceOrder", "kline", "zzz"]
    )
    body: dict[str, object] = {"E": ms(), "s": symbol, "st": rng.choice([1, 1, 1, 1, 2, None, "1"])}
    if rng.random() < 0.5:
        body.pop("st")
    if rng.random() < 0.3:
        body["ps"] = rng.choice([symbol, "a\\b", 'x"y', "\x01", "é"])
    stream = f"{symbol.lower()}@{kind}"
    if kind == "aggTrade":
        body |= {"a": uid(), "p": p(), "q": q(), "nq": q(), "f": uid(), "l": uid(), "T": ms()}
        body["m"] = rng.choice([True, False])
    elif kind == "trade":
        body |= {"T": ms(), "t": uid(), "p": p(), "q": q(), "X": rng.choice(["MARKET", "ADL", "NA", ""])}
        body["m"] = rng.choice([True, False, 1])
    elif kind == "depthUpdate":
        speed = rng.choice(["depth", "depth@100ms", "depth@0ms", "depth20@100ms", "depth5", "depthx"])
        stream = f"{symbol.lower()}@{speed}"
        levels: list[list[Any]] = [[[p(), q()] for _ in range(rng.randrange(6))] for _ in range(2)]
        if rng.random() < 0.6:
            levels = [side_of_book(rng, tick, q) for _ in range(2)]
        if rng.random() < 0.03:
            levels[0].append(rng.choice([[], ["1"], ["1", "2", "3"], "x", None]))
        body |= {"T": ms(), "U": uid(), "u": uid(), "pu": uid(), "b": levels[0], "a": levels[1]}
    elif kind == "bookTicker":
        body |= {"u": uid(), "b": p(), "B": q(), "a": p(), "A": q(), "T": ms()}
    elif kind == "markPriceUpdate":
        rate = rng.choice(["0.00010000", "-0.00000523", "", "1e-5", "-", "0.000000001", 0.0001])
        mark, index = number(rng, "0.00000001"), number(rng, "0.00000001")
        body |= {"p": mark, "ap": "1", "i": index, "P": "1", "r": rate, "T": ms()}
    elif kind == "forceOrder":
        order = {"S": rng.choice(["SELL", "BUY", "?"]), "ap": p(), "z": q(), "T": ms(), "st": rng.choice([1, 1, 1, 2])}
        body["o"] = {"s": symbol, **dict(rng.sample(list(order.items()), rng.choice([5] * 9 + [4])))}
    items = list(body.items())
    if rng.random() < 0.25:
        rng.shuffle(items)
    if rng.random() < 0.1 and items:
        items.pop(rng.randrange(len(items)))
    if rng.random() < 0.1 and items:
        items.insert(rng.randrange(len(items)), rng.choice(items))
    if rng.random() < 0.1:
        strange: list[Any] = [1, "x", None, True, 1.5, -3, [1, [2]], {"e": 1}]
        items.append((rng.choice(["z", "zz", "zzz", "e", "é", "s"]), rng.choice(strange)))
    pairs = ",".join(f"{text(key)}:{text(value)}" for key, value in items)
    event = f'{{"e":"{kind}",{pairs}}}'
    shape = rng.randrange(20)
    if shape == 0:
        return event
    if shape == 1:
        return f'{{"data":{event},"stream":"{stream}"}}'
    if shape == 2:
        return f'{{"stream":"!markPrice@arr","data":[{event},{event}]}}'
    if shape == 3:
        return f'{{"stream":"!{kind}@arr","data":{event}}}'
    if shape == 4:
        return f'{{"stream": "{stream}", "data": {event} }}'
    if shape == 5:
        return '{"result":null,"id":1}'
    return f'{{"stream":"{stream}","data":{event}}}'


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The frame cut, with a byte changed, dropped or doubled."""
    at = rng.randrange(len(data))
    return rng.choice(
        [
            data[:at],
            data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
            data[:at] + data[at + 1 :],
            data[:at] + data[at : at + 1] + data[at:],
            data + b" ",
            data + data[:at],
        ]
    )


def assert_same(kernel: Codec, general: Codec, frames: list[bytes]) -> None:
    ends = np.cumsum([len(f) for f in frames]).tolist()
    one = kernel.decode(b"".join(frames), ends, RECV_MS * 1_000_000)
    other = general.decode(b"".join(frames), ends, RECV_MS * 1_000_000)
    assert one.tape.rows.tolist() == other.tape.rows.tolist(), frames
    assert one.tape.levels.tolist() == other.tape.levels.tolist(), frames
    assert one.rejected == other.rejected, frames
    assert one.control == other.control, frames
    assert one.foreign == other.foreign, frames


def test_kernel_and_general_decoder_agree_on_hostile_frames() -> None:
    rng = random.Random(20261121)
    kernel, general = Codec(universe()), Codec(universe(), kernel=False)
    for _ in range(CASES // 20):
        frames = []
        for _ in range(20):
            whole = frame(rng).encode()
            frames.append(damaged(rng, whole) if rng.random() < 0.2 else whole)
        assert_same(kernel, general, [f for f in frames if f])
    assert kernel.general_frames < general.general_frames, "the kernel took nothing"


def test_a_frame_cut_anywhere_is_read_alike() -> None:
    rng = random.Random(3)
    kernel, general = Codec(universe()), Codec(universe(), kernel=False)
    for _ in range(30):
        whole = frame(rng).encode()
        assert_same(kernel, general, [whole[:n] for n in range(1, len(whole) + 1)])


def test_kernel_takes_the_captured_frames_of_2026(data_dir: Path) -> None:
    lines = (data_dir / "frames_2026" / "binance_usdm_mixed_20260927.raw").read_bytes().splitlines()
    frames = [line.split(b" ", 1)[1] for line in lines]
    symbols = Universe("binance")
    for text in sorted({json.loads(f)["data"].get("s") or json.loads(f)["data"]["o"]["s"] for f in frames}):
        symbols.add(
            Instrument(
                0,
                "binance",
                text,
                text,
                "USDT",
                "perp",
                Grid(1, 2 if text in ("BTCUSDT", "ETHUSDT") else 8),
                Grid(1, 3),
            )
        )
    kernel, general = Codec(symbols), Codec(symbols, kernel=False)
    assert_same(kernel, general, frames)
    slow = [f for f in frames if b'"kline"' in f]
    assert kernel.general_frames == len(slow), [f for f in frames if f not in slow]
