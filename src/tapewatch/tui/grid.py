"""Text in cells: lines of styled pieces, tables whose columns give way in a narrow terminal, bars and sparklines.

Nothing here knows a terminal or a colour: a piece has a *role* (`palette` gives it a colour), a line is exactly as wide
as it was asked to be, and a column keeps its place whatever stands in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size

Role = Literal[
    "text", "muted", "faint", "buy", "sell", "caution", "whale", "frame", "focus", "aligned", "title", "key",
    "selected",
]  # fmt: skip
Piece = tuple[str, Role]
Line = list[Piece]


@dataclass(frozen=True, slots=True)
class Span:
    """Words that begin in their column and have the rest of the line."""

    text: str
    role: Role = "muted"


Cell = Piece | Span | Callable[[int], Line]
"""Text that is fitted to its column, words that run on, or what draws itself in a given width."""

Align = Literal["left", "right", "center"]
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A column `width` cells wide, and wider by its part of what is left (`grow`); the highest `drop` goes first."""

    id: str
    title: str
    width: int
    align: Align = "right"
    grow: int = 0
    drop: int = 0


def fit(text: str, width: int, align: Align = "left") -> str:
    """Text in exactly `width` cells; words end in an ellipsis, a figure (right) that does not fit in ``###``."""
    length = cell_len(text)
    if length > width and align == "right":
        return "#" * width
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS if width > 0 else ""
    space = width - length
    match align:
        case "left":
            return text + " " * space
        case "right":
            return " " * space + text
        case "center":
            return " " * (space // 2) + text + " " * (space - space // 2)


def line_width(line: Line) -> int:
    return sum(cell_len(text) for text, _ in line)


def fit_line(line: Line, width: int) -> Line:
    """A line of exactly `width` cells."""
    out: Line = []
    left = width
    for text, role in line:
        if cell_len(text) > left:
            out.append((fit(text, left), role))
            left = 0
            break
        out.append((text, role))
        left -= cell_len(text)
    return [*out, (" " * left, "text")] if left else out


def chosen(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit, each with its width: one cell apart, what is left over given to those that grow."""
    kept = list(columns)
    while sum(one.width for one in kept) + len(kept) - 1 > width and any(one.drop for one in kept):
        kept.remove(max(kept, key=lambda one: one.drop))
    spare = max(0, width - sum(one.width for one in kept) - len(kept) + 1)
    parts = sum(one.grow for one in kept)
    placed = []
    for one in kept:
        more = spare * one.grow // parts if parts else 0
        spare, parts = spare - more, parts - one.grow
        placed.append((one, one.width + more))
    return placed


def table(columns: Sequence[Column], rows: Sequence[Mapping[str, Cell]], width: int, height: int) -> list[Line]:
    """A header and the rows that fit; where some do not, the last line says how many."""
    placed = chosen(columns, width)
    titles = [fit(one.title, cells, "left" if cell_len(one.title) > cells else one.align) for one, cells in placed]
    lines = [fit_line([(" ".join(titles), "muted")], width)]
    room = height - 1
    shown = rows if len(rows) <= room else rows[: max(0, room - 1)]
    for row in shown:
        pieces: Line = []
        for k, (one, cells) in enumerate(placed):
            cell = row.get(one.id, ("", "text"))
            if isinstance(cell, Span):
                room = width - line_width(pieces) - (k > 0)
                pieces += [*((" ", "text") for _ in range(k > 0)), (fit(cell.text, room), cell.role)]
                break
            drawn = fit_line(cell(cells), cells) if callable(cell) else [(fit(cell[0], cells, one.align), cell[1])]
            pieces += [*((" ", "text") for _ in range(k > 0)), *drawn]
        lines.append(fit_line(pieces, width))
    if len(shown) < len(rows) and room > 0:
        lines.append(fit_line([(f"{ELLIPSIS} {len(rows) - len(shown)} more (Enter enlarges)", "faint")], width))
    return lines[:height]


def words(text: str, width: int, most: int, role: Role = "muted") -> list[Line]:
    """A sentence broken at spaces into at most `most` lines."""
    lines, current = [], ""
    for word in text.split():
        if current and cell_len(current) + 1 + cell_len(word) > width:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}".strip()
    lines.append(current)
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(" ".join(lines[most - 1 :]), width)] if most > 0 else []
    return [fit_line([(one, role)], width) for one in lines]


_EIGHTHS = "▏▎▍▌▋▊▉"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def signed_bar(value: float | None) -> Callable[[int], Line]:
    """A figure in [-1, 1] from the middle: selling to the left, buying to the right."""

    def draw(width: int) -> Line:
        half = (width - 1) // 2
        if value is None:
            return [(" " * half, "text"), ("·", "faint")]
        halves = round(min(1.0, abs(value)) * half * 2)
        full, rest = divmod(halves, 2)
        if value >= 0:
            return [(" " * half, "text"), ("│", "faint"), ("█" * full + "▌" * rest, "buy")]
        return [(" " * (half - full - rest), "text"), ("▐" * rest + "█" * full, "sell"), ("│", "faint")]

    return draw


def _bar(cells: float) -> str:
    eighths = round(cells * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def share_bar(value: float, role: Role, text: str) -> Callable[[int], Line]:
    """A share in [0, 1] as a bar behind a figure that stands at the right."""

    def draw(width: int) -> Line:
        room = width - cell_len(text) - 1
        drawn = _bar(min(1.0, max(0.0, value)) * room) if room > 0 else ""
        return [(fit(drawn, max(0, room)), role), (fit(text, width - max(0, room), "right"), role)]

    return draw


def sparkline(values: Sequence[float], role: Role) -> Callable[[int], Line]:
    """The course of a figure, the newest value at the right; what is unknown (NaN) stays empty."""

    def draw(width: int) -> Line:
        known = [value for value in values if not math.isnan(value)]
        if not known or width <= 0:
            return []
        low, high = min(known), max(known)
        span = (high - low) or 1.0
        padded = [math.nan] * (width - len(values)) + list(values)
        picked = [padded[(k + 1) * len(padded) // width - 1] for k in range(width)]
        out = (" " if math.isnan(one) else _HEIGHTS[min(7, int((one - low) / span * 8))] for one in picked)
        return [("".join(out), role)]

    return draw
