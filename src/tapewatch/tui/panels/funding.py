"""Funding momentum: the next rate by the symbol's own interval, where it is going, who pays whom, and when."""

from __future__ import annotations

from ..format import MISSING, countdown, fixed, percent
from ..freshness import Row
from ..grid import Cell, Column, Line, Span, table
from ..market import Shown
from .rows import dimmed, market_cells, note_lines, nothing, shade, with_notes

RATES = {"% per 8 h": ("rate_8h_pct", 4), "% a year": ("annual_pct", 2), "own interval": ("rate_pct", 4)}
"""Field and decimals of a unit."""


def funding(shown: Shown, width: int, height: int) -> list[Line]:
    """A row a perpetual; ◆ marks a rate that is extreme by size or among the symbol's own."""
    ago, unit = shown.choice.window("funding"), shown.choice.unit("funding")
    columns = [
        Column("symbol", "symbol", 13, "left", grow=1),
        Column("venue", "venue", 7, "left"),
        Column("rate", {"% per 8 h": "% / 8 h", "own interval": "own rate"}.get(unit, unit), 9),
        Column("payer", "pays", 10, "left", grow=1),
        Column("slope", "bps/h", 7),
        Column("next", "next in", 7),
        Column("rank", "pctile", 6, drop=1),
        Column("ago", f"{ago} ago", 8, drop=2),
        Column("own", "own interval", 13, drop=3),
        Column("annual", "% a year", 8, drop=4),
    ]
    notes = shown.notes["funding"]
    if not shown.funding:
        return with_notes(nothing("no perpetual of these coins is listed", width), shown, notes, width, height)
    room = height - note_lines(notes, width)
    rows = [_row(shown, row, ago, unit) for row in shown.fitting(shown.funding, room - 1)]
    return with_notes(table(columns, rows, width, room), shown, notes, width, height)


def _row(shown: Shown, row: Row, ago: str, unit: str) -> dict[str, Cell]:
    figure, decimals = RATES[unit]
    rate, slope = row[figure], row["slope_bps_per_h"]
    printed = percent(slope, 2)
    arrow = {"+": "▲", "-": "▼"}.get(printed[0], "")
    hours = "?" if row["interval_h"] is None else f"{float(row['interval_h']):g}"
    if rate is None:
        return dimmed(market_cells(shown, row) | {"rate": Span(row["why"] or MISSING)}, shown, row)
    cells: dict[str, Cell] = market_cells(shown, row) | {
        "rate": (
            f"{'◆' if row['extreme'] else ''}{percent(rate, decimals)}",
            "caution" if row["extreme"] else shade(rate),
        ),
        "payer": (row["payer"] or MISSING, shade(row["rate_pct"])),
        "slope": (arrow + printed, shade(slope) if arrow else "muted"),
        "next": (MISSING if row["next_ts"] is None else countdown(row["next_ts"] - shown.now_ms), "text"),
        "rank": (MISSING if row["percentile"] is None else fixed(row["percentile"], 0), "muted"),
        "ago": (percent(row[f"rate_8h_pct_{ago}_ago"], 4), "muted"),
        "own": (MISSING if row["rate_pct"] is None else f"{percent(row['rate_pct'], 4)} /{hours} h", "muted"),
        "annual": (percent(row["annual_pct"]), "muted"),
    }
    return dimmed(cells, shown, row)
