"""Basis of every derivative of the coins against spot, and the premium of mark over index under its own name."""

from __future__ import annotations

from ..format import MISSING, Maybe, percent, price
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, Span, table
from ..market import Shown
from .rows import dimmed, market_cells, note_lines, nothing, with_notes

BPS_A_PERCENT = 100


def basis(shown: Shown, width: int, height: int) -> list[Line]:
    """A row a derivative; where there is no basis, the state says why."""
    ago = shown.choice.window("basis")
    unit = shown.choice.unit("basis")
    columns = [
        Column("symbol", "symbol", 14, "left", grow=1),
        Column("venue", "venue", 7, "left"),
        Column("basis", "basis", 8),
        Column("state", "state", 15, "left", grow=6),
        Column("premium", "mark/idx", 8, drop=1),
        Column("ago", f"{ago} ago", 7, drop=2),
        Column("mid", "mid", 10, drop=4),
        Column("spot", "spot mid", 10, drop=5),
        Column("annual", "% a year", 8, drop=6),
    ]
    notes = shown.notes["basis"]
    if not shown.basis:
        return with_notes(nothing("no derivative of these coins is listed", width), shown, notes, width, height)
    room = height - note_lines(notes, width)
    rows = [_row(shown, row, ago, unit) for row in shown.fitting(shown.basis, room - 1)]
    return with_notes(table(columns, rows, width, room), shown, notes, width, height)


def _row(shown: Shown, row: Row, ago: str, unit: str) -> dict[str, Cell]:
    def told(bps: Maybe) -> str:
        if bps is None:
            return MISSING
        return percent(float(bps), 2) if unit == "bps" else percent(float(bps) / BPS_A_PERCENT, 4)

    state = row["state"]
    steep = bool(state) and state.startswith("STEEP")
    role: Role = "muted" if state in (None, "FLAT") else "buy" if state.endswith("CONTANGO") else "sell"
    if row["why"]:
        premium = "" if row["premium_bps"] is None else f" · mark/idx {told(row['premium_bps'])}"
        return dimmed(market_cells(shown, row) | {"basis": Span(row["why"] + premium)}, shown, row)
    figure = "basis" if row["basis_bps"] is not None else "premium"
    cells: dict[str, Cell] = market_cells(shown, row) | {
        "basis": (told(row["basis_bps"]), role),
        "state": (f"{'◆' if steep else ''}{state}" if state else MISSING, "caution" if steep else role),
        "premium": (told(row["premium_bps"]), "text"),
        "ago": (told(row[f"{figure}_bps_{ago}_ago"]), "muted"),
        "mid": (price(row["mid"], row["price_decimals"] + 1), "text"),
        "spot": (price(row["spot_mid"], (row["spot_decimals"] or 0) + 1), "muted"),
        "annual": (percent(row["annualised_pct"]), "muted"),
    }
    return dimmed(cells, shown, row)
