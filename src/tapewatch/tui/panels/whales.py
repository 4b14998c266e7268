"""Whales, newest on top, and below what they bought and sold in the running hour and the one before."""

from __future__ import annotations

import math

from ..format import MISSING, clock, clock_minutes, money, price, quantity, share
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, fit, fit_line, share_bar, table
from ..market import HOUR_MS, Shown
from .rows import dimmed, market_cells, note_lines, nothing, with_notes

FULL_BAR = 5_000_000
"""An order of this many dollars fills its bar; bars grow with the root."""
TIERS: dict[str, tuple[str, Role]] = {
    "mega": ("◆ MEGA", "whale"),
    "whale": ("WHALE", "whale"),
    "symbol": ("% ADV", "muted"),
}


def whales(shown: Shown, width: int, height: int) -> list[Line]:
    """A row a parent order; one that still grows has its side in bold colours of the tier."""
    unit = shown.choice.unit("whales")
    columns = [
        Column("time", "time UTC", 8, "left"),
        Column("venue", "venue", 12, "left"),
        Column("symbol", "symbol", 13, "left", grow=1),
        Column("side", "side", 6, "left"),
        Column("tier", "tier", 6, "left"),
        Column("size", "notional" if unit == "USD" else "coins", 8, grow=3),
        Column("adv", "% ADV", 5, drop=1),
        Column("price", "vwap", 13, drop=2),
        Column("depth", "% 10bps", 7, drop=3),
        Column("prints", "prints", 6, drop=4),
    ]
    notes = shown.notes["whales"]
    sums = [_hour(flow, width) for flow in shown.whale_flow][: max(1, height // 4)]
    room = height - len(sums) - note_lines(notes, width)
    if shown.whales:
        drawn = table(columns, [_row(shown, row, unit) for row in shown.whales[: room - 1]], width, room)
    else:
        window = shown.choice.window("whales")
        lately = "since the program began to look" if window == "all" else f"in {window}"
        drawn = nothing(f"no parent order was so large {lately}", width)
    empty = [fit_line([], width) for _ in range(room - len(drawn))]
    return with_notes([*drawn, *empty, *sums], shown, notes, width, height)


def _row(shown: Shown, row: Row, unit: str) -> dict[str, Cell]:
    side: Role = "buy" if row["side"] == "buy" else "sell"
    size = money(row["notional"]) if unit == "USD" else quantity(row["quantity"])
    cells: dict[str, Cell] = market_cells(shown, row) | {
        "time": (clock(row["ts"]), "text" if row["open"] else "muted"),
        "side": ("▲ BUY" if row["side"] == "buy" else "▼ SELL", side),
        "tier": TIERS[row["tier"]],
        "size": share_bar(math.sqrt(float(row["notional"]) / FULL_BAR), side, size),
        "adv": (share(row["pct_of_adv"]), "muted"),
        "price": (price(row["price"], row["price_decimals"] + 1), "text"),
        "depth": (MISSING if row["depth_share"] is None else share(row["depth_share"] * 100), "muted"),
        "prints": (str(row["trades"]), "muted"),
    }
    return dimmed(cells, shown, row)


def _hour(flow: Row, width: int) -> Line:
    """``binance      last hour ▲ 12.1m ▼ 9.80m 14 · before ▲ …``."""
    line: Line = [(fit(flow["exchange"], 12), "text")]
    now, before = flow["hour"], flow["hour_before"]
    running = now is not None and now["from_ts"] > flow["ts"] - HOUR_MS
    for name, told in ((f"since {clock_minutes(now['from_ts'])}" if running else "last hour", now), ("before", before)):
        line.append((f" {name} ", "muted"))
        if told is None:
            line.append((f"{MISSING} from {clock_minutes(flow['since_ts'])}", "faint"))
        else:
            line += [
                (fit(f"▲ {money(told['buy_notional'])}", 8), "buy"),
                (fit(f"▼ {money(told['sell_notional'])}", 8), "sell"),
                (fit(str(told["count"]), 4, "right"), "whale"),
            ]
    return fit_line(line, width)
