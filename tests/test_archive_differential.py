"""The compiled reader of archived lines against the general one: what it takes, that one reads in the same way."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from tapewatch.model.errors import FrameError
from tapewatch.model.instrument import Grid
from tapewatch.model.tape import ROW, Flag
from tapewatch.venues.binance_archive import Product, counted, read_trade
from tapewatch.venues.binance_archive_form import new_form
from tapewatch.venues.binance_archive_kernel import LEFT, read_trades
from tapewatch.venues.scan import PADDING

LINES = int(os.environ.get("TAPEWATCH_FUZZ_CASES", "40000"))
"""Lines per run and product, a tenth of them mutated."""
ODD = b'0123456789.,,-+eE \r"tfTF\x00\xff'


def line(rng: random.Random, product: Product, before: list[int]) -> bytes:
    """The next line of a file that is written in one of the venue's ways."""
    before[0] += rng.choice([1, 1, 1, 2, 10 ** rng.randrange(9)]) if rng.random() < 0.01 else 1
    first, before[1] = before[1] + 1, before[1] + rng.choice([1, 1, 2, 9, 10 ** rng.randrange(8)])
    before[2] += rng.choice([0, 0, 1, 250, 10 ** rng.randrange(6)])
    tenths = rng.randrange(1, 10 ** rng.choice([2, 6, 7, 9]))
    price = str(tenths // 10) if tenths % 10 == 0 else f"{tenths / 10:.{rng.choice([1, 1, 1, 2, 8])}f}"
    qty = f"{rng.randrange(1, 10 ** rng.choice([1, 4, 9])) / 1000:.3f}".rstrip("0").rstrip(".") or "1"
    time = str(before[2]) + ("000" if rng.random() < 0.01 else "")
    middle = f"{first},{before[1]}" if product is Product.AGG_TRADES else "12.5"
    flag = rng.choice(["true", "false"]) if rng.random() < 0.99 else rng.choice(["True", "False", "true,true", "TRUE"])
    return f"{before[0]},{price},{qty},{middle},{time},{flag}\n".encode()


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The line with bytes changed, put in or taken out."""
    out = bytearray(data[:-1])
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(out))
        out[at : at + rng.randrange(2)] = bytes(rng.choices(ODD, k=rng.randrange(3)))
        out = out or bytearray(b"1")
    return bytes(out) + b"\n"


def generally(data: bytes, product: Product, tick: Grid, lot: Grid) -> tuple[int, ...] | None:
    try:
        trade = read_trade(data, product)
        ticks, lots = counted(trade, tick, lot)
    except FrameError:
        return None
    return trade.id, trade.first_id, trade.last_id, trade.ts_ms, ticks, lots, trade.sell


def read_alike(lines: list[bytes], product: Product, tick: str) -> int:
    """How many of the lines the compiled reader takes; all these the general one reads in the same way."""
    price, lot = Grid.parse(tick), Grid.parse("0.001")
    data = b"".join(lines)
    buffer = np.frombuffer(data + bytes(PADDING), np.uint8)
    rows, form, at, taken = np.zeros(1 << 10, ROW), new_form(price, lot), 0, 0
    while at < len(data):
        start = at
        status, at, n = read_trades(buffer, at, len(data), product is Product.AGG_TRADES, 0, form, rows)
        for row, text in zip(rows[:n], data[start:at].split(b"\n")[:-1], strict=True):
            sell = bool(row["flags"] & Flag.SELL)
            told = *(int(row[name]) for name in ("id", "first_id", "last_id", "ts_ms", "price", "qty")), sell
            assert told == generally(text, product, price, lot), text
        taken += n
        if status == LEFT:
            at = data.index(b"\n", at) + 1
    return taken


@pytest.mark.parametrize("product", [Product.AGG_TRADES, Product.TRADES])
@pytest.mark.parametrize("tick", ["0.1", "0.5"])
def test_the_compiled_reader_takes_only_what_the_general_one_reads_alike(product: Product, tick: str) -> None:
    rng = random.Random(5)
    before = [99_990_000 if tick == "0.5" else 2_399_990_000, 99_970_000, 1_780_272_000_000]
    usual = [line(rng, product, before) for _ in range(LINES)]
    lines = [mutated(rng, data) if rng.random() < 0.1 else data for data in usual]
    assert read_alike(lines, product, tick) > LINES // 8  # on the coarser tick most are for the general reader


USUAL = b"2400000007,117450.2,0.469,5200000017,5200000019,1780272000123,true\n"


def test_every_byte_of_a_usual_line_is_looked_at() -> None:
    """A line as learnt but for one byte, which is any other one."""
    others = (bytes([*USUAL[:at], byte, *USUAL[at + 1 :]]) for at in range(len(USUAL) - 1) for byte in range(256))
    lines = [data for other in others if b"\n" not in other[:-1] for data in (USUAL, other)]
    assert read_alike(lines, Product.AGG_TRADES, "0.1") > len(lines) // 2


@pytest.mark.parametrize(
    ("old", "new", "is_taken"),
    [
        (b"117450.2", b"117450", True),
        (b"117450.2", b"117450.", True),
        (b"117450.2", b"117450.20", True),  # from now on counted in hundredths, and divided
        (b"117450.2", b"1174503.2", True),
        (b"117450.2", b"11745033.2", True),
        (b"117450.2", b"117450.2000000000", True),
        (b"117450.2", b"117450.25", False),
        (b"117450.2", b"1.17.2", False),
        (b"117450.2", b".", False),
        (b"117450.2", b"", False),
        (b"117450.2", b"0.0", False),
        (b"0.469", b"12345.678", True),
        (b"0.469", b"123456.789", True),
        (b"0.469", b"100000000", True),
        (b"0.469", b"0.4691", False),
        (b"0.469", b"0" * 70, False),
        (b"2400000007", b"2500000007", True),
        (b"2400000007", b"99999999", True),
        (b"5200000017", b"5200000019", True),
        (b"5200000017", b"5200000020", False),
        (b"5200000017", b"5199999999", True),
        (b"5200000019", b"10000000000", True),
        (b"1780272000123", b"1780300000000", True),
        (b"1780272000123", b"1780272000123000", True),
        (b"1780272000123", b"1483228800000", False),
        (b"1780272000123", b"4102444799999", True),
        (b"1780272000123", b"4102444800000", False),
        (b"true", b"True", True),
        (b"true", b"false\r", True),
        (b"true", b"truefalse", False),
    ],
)
def test_a_line_unlike_the_ones_before_is_read_or_left(old: bytes, new: bytes, is_taken: bool) -> None:
    """Between usual lines, and as the first one."""
    other = USUAL.replace(old, new, 1)
    for lines in ([USUAL] * 9 + [other] * 9 + [USUAL] * 9, [other] * 9 + [USUAL] * 9):
        unlike = lines.count(other) if not is_taken else 0
        assert read_alike(lines, Product.AGG_TRADES, "0.1") == len(lines) - unlike
