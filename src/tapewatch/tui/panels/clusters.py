"""Liquidations by price: where they were reported, how many there may have been, what the book holds on the way."""

from __future__ import annotations

from ..format import MISSING, clock, exact, fixed, money
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, Span, share_bar, table, words
from ..market import Shown
from .rows import note_lines, nothing, with_notes

COLUMNS = [
    Column("price", "price from", 10),
    Column("long", "▼ LONG", 7, grow=2),
    Column("longs", "n", 3, drop=3),
    Column("short", "▲ SHORT", 7, grow=2),
    Column("shorts", "n", 3, drop=3),
    Column("share", "% depth", 7),
    Column("level", "zone", 11, "left"),
    Column("upper", "at most", 8, drop=4),
    Column("depth", "depth to it", 11, drop=5),
    Column("last", "newest", 8, drop=6),
]
WORDS = {"none": "", "watch": "WATCH", "danger": "◆ DANGER", "critical": "◆◆ CRITICAL"}


def clusters(shown: Shown, width: int, height: int) -> list[Line]:
    """Buckets from the highest price down, the mid price in its place, and below what the reports cover."""
    told, notes = shown.clusters, shown.notes["clusters"]
    if told is None:
        return with_notes(
            nothing("" if notes else "waiting for the first snapshot", width), shown, notes, width, height
        )
    below = [*notes, *([told["depth_why"]] if told["depth_why"] else [])]
    coverage = words(f"{told['coverage_words'].rstrip('.')}; {told['estimated_why']}", width, 2, "faint")
    room = height - len(coverage) - note_lines(below, width)
    if told["clusters"]:
        decimals = shown.decimals(told["exchange"], told["symbol"])
        rows = _around_the_mid(told, room - 1)
        most = max(float(max(one["long_notional"], one["short_notional"])) for one in told["clusters"])
        drawn = table(COLUMNS, [_row(told, row, most, decimals) for row in rows], width, room)
    else:
        mid = exact(told["mid_price"]) if told["mid_price"] is not None else MISSING
        window = shown.choice.window("clusters")
        drawn = nothing(f"no liquidation was reported in {window} · mid price {mid}", width)
    empty: list[Line] = [[(" " * width, "text")] for _ in range(room - len(drawn))]
    return with_notes([*drawn, *empty, *coverage], shown, below, width, height)


def _around_the_mid(told: Row, room: int) -> list[Row | None]:
    """Buckets above and below the mid price (None), as many as fit, the nearest ones."""
    mid = told["mid_price"]
    if mid is None:
        return list(told["clusters"][:room])
    above = [one for one in told["clusters"] if one["price"] > mid]
    below = [one for one in told["clusters"] if one["price"] <= mid]
    up = min(len(above), max((room - 1) // 2, room - 1 - len(below)))
    return [*above[len(above) - up :], None, *below[: room - 1 - up]]


def _row(told: Row, row: Row | None, most: float, decimals: int) -> dict[str, Cell]:
    if row is None:
        return {"price": (exact(told["mid_price"], decimals + 1), "focus"), "long": Span("── mid price", "focus")}
    hot = row["level"] in ("danger", "critical")
    share = row["depth_share"]
    percent = MISSING if share is None else fixed(share * 100, 1 if share < 0.1 else 0)
    return {
        "price": (f"{exact(row['price'], decimals)} ", "caution" if hot else "text"),  # a mid has one decimal more
        "long": _bar(row["long_count"], row["long_notional"], most, "sell"),
        "longs": (str(row["long_count"] or ""), "muted"),
        "short": _bar(row["short_count"], row["short_notional"], most, "buy"),
        "shorts": (str(row["short_count"] or ""), "muted"),
        "share": (percent, "text"),
        "level": (WORDS[row["level"]], "caution" if hot else "muted"),
        "upper": (MISSING if row["upper_notional"] is None else f"≤ {money(row['upper_notional'])}", "muted"),
        "depth": (money(row["depth_to_reach"]), "muted"),
        "last": (clock(row["last_ts"]), "muted"),
    }


def _bar(count: int, notional: float, most: float, role: Role) -> Cell:
    return share_bar(float(notional) / most, role, money(notional)) if count else ("", "text")
