"""A recording of two minutes and a bit, written by hand, so that every number on the page is known beforehand.

Two instruments, both with an average daily volume of 10,000,000: big flow fires at 50,000.
"""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

START_MS = 1_780_315_200_000
"""2026-06-01 12:00:00 UTC."""
LAST_MS = 130_000
ADV = "10000000"
DAY_MS = 86_400_000

# ms after the start, taker's side, price, quantity
TRADES: dict[str, list[tuple[int, str, str, str]]] = {
    "BTCUSDT": [
        (1_000, "buy", "60000.1", "0.500"),
        (2_000, "sell", "60000.0", "0.200"),
        (30_000, "sell", "59999.9", "0.100"),
        (61_000, "buy", "60000.1", "0.300"),
        (62_000, "buy", "60005.0", "0.250"),
        # One order in three prints, 50 ms apart: 180,030.3 of notional, 1.80 % of the day's volume.
        (125_000, "buy", "60010.0", "1.000"),
        (125_050, "buy", "60010.1", "1.000"),
        (125_100, "buy", "60010.2", "1.000"),
    ],
    "ETHUSDT": [
        (3_000, "sell", "3000.00", "2.000"),
        (126_000, "sell", "2999.50", "20.000"),
    ],
}

# ms after the start, symbol, side of the order (SELL closes a long), average price, filled
LIQUIDATIONS = [
    (40_000, "BTCUSDT", "SELL", "59990.0", "0.150"),
    (41_000, "ETHUSDT", "BUY", "3010.00", "4.000"),
    (127_000, "BTCUSDT", "BUY", "60020.0", "0.010"),
]

BOOKS = {
    "BTCUSDT": {
        "bids": [["60000.0", "2.000"], ["59999.0", "4.000"]],
        "asks": [["60000.1", "3.000"], ["60010.0", "1.000"]],
    },
    "ETHUSDT": {"bids": [["3000.00", "1.000"]], "asks": [["3000.50", "3.000"]]},
}


def write_tape(path: Path, lost: int | None = None) -> Path:
    """Write the recording in the form `<receive s>: <frame>` and `<url> -> <receive s>: <body>`.

    The trade of BTCUSDT at position `lost` never came.
    """
    trades = [line for k, line in enumerate(_trades()) if k != lost]
    events = [*_klines(), *_books(), *trades, *_liquidations(), *_every_second()]
    events.sort(key=lambda event: event[0])
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(line.format(s=f"{(START_MS + ms) / 1000:.6f}") + "\n" for ms, line in events)
    return path


Line = tuple[int, str]


def _frame(ms: int, stream: str, data: Any) -> Line:
    return ms, "{s}: " + _literal({"stream": stream, "data": data})


def _answer(ms: int, address: str, body: Any) -> Line:
    return ms, f"https://fapi.binance.com/fapi/v1/{address} -> {{s}}: " + _literal(body)


def _literal(value: Any) -> str:
    """JSON that survives `str.format`."""
    return json.dumps(value, separators=(",", ":")).replace("{", "{{").replace("}", "}}")


def _klines() -> list[Line]:
    days = [START_MS // DAY_MS * DAY_MS - n * DAY_MS for n in range(30, 0, -1)]
    rows = [[day, "1", "1", "1", "1", "1", day + DAY_MS - 1, ADV, 1, "0", "0", "0"] for day in days]
    return [_answer(0, f"klines?symbol={symbol}&interval=1d&limit=31", rows) for symbol in TRADES]


def _books() -> list[Line]:
    """A snapshot that the first diff straddles; the diffs delete levels that were never there."""
    lines = []
    for symbol, book in BOOKS.items():
        body = {"lastUpdateId": 100, "E": START_MS + 200, "T": START_MS + 200, **book}
        lines.append(_answer(200, f"depth?symbol={symbol}&limit=1000", body))
        for k, ms in enumerate(range(100, LAST_MS, 500)):
            first, last, before = 99 + 10 * k, 108 + 10 * k, 98 + 10 * k
            diff = {"e": "depthUpdate", "E": START_MS + ms, "T": START_MS + ms, "s": symbol, "U": first, "u": last,
                    "pu": before, "b": [["10.0", "0.000"]], "a": []}  # fmt: skip
            lines.append(_frame(ms, f"{symbol.lower()}@depth@100ms", diff))
    return lines


def _trades() -> list[Line]:
    return [
        _frame(ms, f"{symbol.lower()}@aggTrade", {
            "e": "aggTrade", "E": START_MS + ms, "a": 7_000 + k, "s": symbol, "p": price, "q": quantity, "nq": quantity,
            "f": 9_000 + k, "l": 9_000 + k, "T": START_MS + ms, "m": side == "sell", "st": 1,
        })
        for symbol, trades in TRADES.items()
        for k, (ms, side, price, quantity) in enumerate(trades)
    ]  # fmt: skip


def _liquidations() -> list[Line]:
    return [
        _frame(ms + 5, "!forceOrder@arr", {"e": "forceOrder", "E": START_MS + ms + 5, "o": {
            "s": symbol, "S": side, "o": "LIMIT", "f": "IOC", "q": quantity, "p": price, "ap": price, "X": "FILLED",
            "l": quantity, "z": quantity, "T": START_MS + ms, "ps": symbol, "st": 1,
        }})
        for ms, symbol, side, price, quantity in LIQUIDATIONS
    ]  # fmt: skip


def _every_second() -> list[Line]:
    """Marks and 24 h figures, whose silence would be worth a warning."""
    lines = []
    for ms in range(0, LAST_MS + 1, 1_000):
        now = START_MS + ms
        marks = [{"e": "markPriceUpdate", "E": now, "s": symbol, "p": book["bids"][0][0], "i": book["bids"][0][0],
                  "r": "0.0001", "T": now + 3_600_000, "st": 1} for symbol, book in BOOKS.items()]  # fmt: skip
        tickers = [{"e": "24hrTicker", "E": now, "s": symbol, "P": "1.25", "c": "1", "h": "1", "l": "1", "v": "1",
                    "q": "500000000", "n": 1, "st": 1} for symbol in BOOKS]  # fmt: skip
        lines += [_frame(ms, "!markPrice@arr@1s", marks), _frame(ms, "!ticker@arr", tickers)]
        lines.append(_frame(ms, "btcusdt@markPrice@1s", marks[0]))
    return lines


def candles(symbol: str, tf_ms: int, step: str) -> list[dict[str, Any]]:
    """The footprint of a symbol by plain arithmetic over `TRADES`: bins are [p, p + step), highest first."""
    width, cvd = Decimal(step), Decimal(0)
    by_open: dict[int, dict[Decimal, list[Decimal]]] = {}
    for ms, side, price, quantity in TRADES[symbol]:
        cells = by_open.setdefault((START_MS + ms) // tf_ms * tf_ms, {})
        cell = cells.setdefault(Decimal(price) // width * width, [Decimal(0), Decimal(0), Decimal(0)])
        cell[side == "buy"] += Decimal(quantity)
        cell[2] += 1
    rows = []
    for opened, cells in sorted(by_open.items()):
        bid, ask, n = (sum(cell[k] for cell in cells.values()) for k in range(3))
        cvd += ask - bid
        levels = [
            {"p": float(p), "bid": float(b), "ask": float(a), "n": int(k)}
            for p, (b, a, k) in sorted(cells.items(), reverse=True)
        ]
        rows.append({"open_ts": opened, "bid": float(bid), "ask": float(ask), "delta": float(ask - bid),
                     "cvd": float(cvd), "n": int(n), "levels": levels})  # fmt: skip
    return rows
