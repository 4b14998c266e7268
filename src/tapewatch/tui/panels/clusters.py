"""Liquidations by price: where they were reported, how many there may have been, what the book holds on the way."""

from __future__ import annotations

from ..format import MISSING, clock, clock_minutes, fixed, money, price
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, Span, share_bar, table, words
from ..market import Shown
from .rows import dimmed, note_lines, nothing, with_notes

COLUMNS = [
    Column("price", "price from", 10),
    Column("venue", "venue", 7, "left"),
    Column("long", "▼ LONG", 7, grow=2),
    Column("short", "▲ SHORT", 7, grow=2),
    Column("count", "n ▼/▲", 5, drop=3),
    Column("share", "% depth", 7),
    Column("level", "zone", 11, "left"),
    Column("upper", "at most", 8, drop=4),
    Column("depth", "depth to it", 11, drop=5),
    Column("last", "newest", 8, drop=6),
]
SHARES = {"one a second": "at most one a second", "all": "all", "sampled": "a sample"}
"""How much of its liquidations a venue tells."""
WORDS = {"none": "", "watch": "WATCH", "danger": "◆ DANGER", "critical": "◆◆ CRITICAL"}

Bucket = tuple[float, Row, Row]
"""How far from its own market's mid price it lies (1 is there), the market, the bucket."""


def clusters(shown: Shown, width: int, height: int) -> list[Line]:
    """Buckets of every market from the highest price down, the mid price in its place, below what reports cover."""
    markets, notes = shown.clusters, shown.notes["clusters"]
    if not markets:
        return with_notes(
            nothing("" if notes else "waiting for the first snapshot", width), shown, notes, width, height
        )
    several = len(markets) > 1
    below = [*notes, *(f"{one['exchange']}: {one['depth_why']}" for one in markets if one["depth_why"])]
    every = ", ".join(f"{one['exchange']} {SHARES[one['coverage']]}" for one in markets)
    told = every if several else markets[0]["coverage_words"].rstrip(".")
    reach, why = _reach(shown, markets), markets[0]["estimated_why"]
    coverage = words(f"reported {reach}: {told}; {why}", width, 2, "faint")
    room = height - len(coverage) - note_lines(below, width)
    buckets = [(_place(one, bucket, markets), one, bucket) for one in markets for bucket in one["clusters"]]
    if buckets:
        most = max(float(max(row["long_notional"], row["short_notional"])) for *_, row in buckets)
        columns = [column for column in COLUMNS if several or column.id != "venue"]
        rows = [
            dimmed(_row(market, row, most), shown, market)
            for market, row in _around_the_mid(buckets, markets[0], room - 1)
        ]
        drawn = table(columns, rows, width, room)
    else:
        mid = price(markets[0]["mid_price"], markets[0]["price_decimals"] + 1)
        drawn = nothing(f"no liquidation was reported {reach} · mid price {mid}", width)
    empty: list[Line] = [[(" " * width, "text")] for _ in range(room - len(drawn))]
    return with_notes([*drawn, *empty, *coverage], shown, below, width, height)


def _reach(shown: Shown, markets: list[Row]) -> str:
    """The time that reports of all markets are known of: the window, or what of it somebody has listened to."""
    if any(one["since_ts"] is None for one in markets):
        return "since now"
    newest = max(markets, key=lambda one: int(one["since_ts"]))
    if newest["since_ts"] <= newest["ts"] - newest["window_ms"]:
        return f"in {shown.choice.window('clusters')}"
    return f"since {clock_minutes(newest['since_ts'])} UTC"


def _place(market: Row, bucket: Row, markets: list[Row]) -> float:
    """Prices of 1000PEPEUSDT and PEPE-USDT-SWAP are put in order by how far each is from its own market."""
    mids = (market["mid_price"], *(one["mid_price"] for one in markets))
    mid = next((one for one in mids if one is not None), None)
    return float(bucket["price"] / mid) if mid else float(bucket["price"])


def _around_the_mid(buckets: list[Bucket], home: Row, room: int) -> list[tuple[Row, Row | None]]:
    """Buckets above and below the mid price (None), as many as fit, the nearest ones."""
    ordered = sorted(buckets, key=lambda one: -one[0])
    if home["mid_price"] is None:
        return [(market, row) for _, market, row in ordered[:room]]
    above = [(market, row) for place, market, row in ordered if place > 1]
    below = [(market, row) for place, market, row in ordered if place <= 1]
    up = min(len(above), max((room - 1) // 2, room - 1 - len(below)))
    return [*above[len(above) - up :], (home, None), *below[: room - 1 - up]]


def _row(market: Row, row: Row | None, most: float) -> dict[str, Cell]:
    decimals = market["price_decimals"]
    if row is None:
        return {"price": (price(market["mid_price"], decimals + 1), "focus"), "venue": (market["exchange"], "focus"),
                "long": Span("── mid price", "focus")}  # fmt: skip
    hot = row["level"] in ("danger", "critical")
    share = row["depth_share"]
    percent = MISSING if share is None else fixed(share * 100, 1 if share < 0.1 else 0)
    return {
        # A mid has one decimal more.
        "price": (f"{price(row['price'], decimals)} ", "caution" if hot else "text"),
        "venue": (market["exchange"], "muted"),
        "long": _bar(row["long_count"], row["long_notional"], most, "sell"),
        "short": _bar(row["short_count"], row["short_notional"], most, "buy"),
        "count": (f"{row['long_count']}/{row['short_count']}", "muted"),
        "share": (percent, "text"),
        "level": (WORDS[row["level"]], "caution" if hot else "muted"),
        "upper": (MISSING if row["upper_notional"] is None else f"≤ {money(row['upper_notional'])}", "muted"),
        "depth": (money(row["depth_to_reach"]), "muted"),
        "last": (clock(row["last_ts"]), "muted"),
    }


def _bar(count: int, notional: float, most: float, role: Role) -> Cell:
    return share_bar(float(notional) / most, role, money(notional)) if count else ("", "text")
