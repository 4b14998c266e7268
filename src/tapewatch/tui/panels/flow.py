"""Order-flow imbalance: who is pressing in each market, how much money a minute, and whether it is turning."""

from __future__ import annotations

from ..choice import WINDOWS
from ..format import MISSING, fixed, percent, signed_money
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, Span, signed_bar, table
from ..market import Shown
from .rows import dimmed, market_cells, note_lines, nothing, shade, with_notes

SECONDS = {"10s": 10, "1m": 60, "5m": 300, "15m": 900}
ARROWS = {"up up": "▲▲", "up": "▲", "flat": "→", "down": "▼", "down down": "▼▼"}


def flow(shown: Shown, width: int, height: int) -> list[Line]:
    """A row a market: shares, bar, net, trend of 10 s against 1 m; the other windows beside it."""
    window = shown.choice.window("flow")
    others = sorted((one for one in WINDOWS["flow"] if one != window), key=SECONDS.__getitem__)
    columns = [
        Column("symbol", "symbol", 13, "left", grow=1),
        Column("venue", "venue", 12, "left"),
        Column("buy", "buy %", 5),
        Column("bar", "sell │ buy", 7, "center", grow=4, drop=1),
        Column("sell", "sell %", 6, drop=3),
        Column("net", "$/min", 7),
        Column("trend", "trend", 5, "center"),
        *(Column(one, one, 5, drop=4 + k) for k, one in enumerate(others)),
        Column("hour", "1h ago", 6, drop=8),
        Column("day", "24h ago", 7, drop=9),
    ]
    if not shown.flow:
        return with_notes(
            nothing("no market of these coins has told anything yet", width), shown, shown.notes["flow"], width, height
        )
    notes = shown.notes["flow"]
    room = height - note_lines(notes, width)
    rows = [_row(shown, row, window, others) for row in shown.fitting(shown.flow, room - 1)]
    return with_notes(table(columns, rows, width, room), shown, notes, width, height)


def _row(shown: Shown, row: Row, window: str, others: list[str]) -> dict[str, Cell]:
    here = row["windows"][window]
    balance = here["imbalance"]
    known = balance is not None
    if row["why"]:
        return dimmed(market_cells(shown, row) | {"buy": Span(row["why"])}, shown, row)
    cells: dict[str, Cell] = market_cells(shown, row) | {
        "buy": (fixed(here["buy_pct"], 1) if known else MISSING, "buy" if known else "muted"),
        "sell": (fixed(here["sell_pct"], 1) if known else MISSING, "sell" if known else "muted"),
        "bar": signed_bar(float(balance)) if known else (f"no trade in {window}", "faint"),
        "net": (signed_money(here["net_per_min"]) if known else MISSING, shade(here["net_per_min"] if known else None)),
        "trend": (ARROWS.get(row["trend"], MISSING), _trend(row["trend"])),
        "hour": (percent(row["imbalance_15m_1h_ago"]), "muted"),
        "day": (percent(row["imbalance_15m_24h_ago"]), "muted"),
    }
    for one in others:
        told = row["windows"][one]
        whole = told["held_s"] == SECONDS[one]
        cells[one] = (percent(told["imbalance"]), shade(told["imbalance"]) if whole else "faint")
    return dimmed(cells, shown, row)


def _trend(word: str | None) -> Role:
    return "muted" if word in (None, "flat") else "buy" if str(word).startswith("up") else "sell"
