"""What the panels' tables share: names of markets, shades of figures, lines under a table."""

from __future__ import annotations

from ..format import Maybe
from ..freshness import Row
from ..grid import Cell, Line, Role, Span, fit_line, words
from ..market import Shown

NOTE_LINES = 2


def market_cells(shown: Shown, row: Row) -> dict[str, Cell]:
    """Symbol and venue; the coin that is looked at stands out, a venue that is not well is faint."""
    ill = row["exchange"] in shown.ill
    name: Role = "faint" if ill else "focus" if shown.of_coin(row) else "text"
    return {"symbol": (row["symbol"], name), "venue": (row["exchange"], "faint" if ill else "muted")}


def shade(value: Maybe) -> Role:
    """Green above, red below zero."""
    if value is None or value == 0:
        return "muted"
    return "buy" if value > 0 else "sell"


def dimmed(cells: dict[str, Cell], shown: Shown, row: Row) -> dict[str, Cell]:
    """The same row, faint where its venue does not tell the present: old numbers are never painted in live colours."""
    if row["exchange"] not in shown.ill and shown.link is None:
        return cells
    return {name: _faint(cell) for name, cell in cells.items()}


def _faint(cell: Cell) -> Cell:
    match cell:
        case Span(text):
            return Span(text, "faint")
        case (text, _):
            return text, "faint"
        case draw:
            return lambda width: [(text, "faint") for text, _ in draw(width)]


def note_lines(notes: list[str], width: int) -> int:
    """How many lines the reasons take."""
    return len(words(" · ".join(notes), width, NOTE_LINES)) if notes else 0


def with_notes(lines: list[Line], shown: Shown, notes: list[str], width: int, height: int) -> list[Line]:
    """Lines and, at the bottom, the reasons of what is missing; always `height` lines."""
    role: Role = "caution" if shown.ill else "muted"
    told = words(" · ".join(notes), width, NOTE_LINES, role) if notes else []
    body = lines[: height - len(told)]
    empty = [fit_line([], width) for _ in range(height - len(body) - len(told))]
    return [*body, *empty, *told]


def nothing(reason: str, width: int) -> list[Line]:
    """What stands where there are no rows."""
    return [fit_line([], width), *words(reason, width, 3)]
