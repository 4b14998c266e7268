"""The whole screen as lines: a top line, six panels in a grid of frames (or two, or one), a line of keys.

Pure: a moment, a size and a view give the same lines every time. The terminal, ``--once`` and the tests draw these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .choice import PANELS, UNITS, WINDOWS, Panel
from .format import clock, span
from .freshness import Health, State, is_well, venue_word
from .grid import Line, Piece, Role, fit, fit_line, line_width, words
from .market import Shown
from .panels import DRAW, NAMES, subject

SIX_FROM = (120, 36)
STATE_ROLES: dict[State, Role] = {
    "live": "buy", "replay": "caution", "quiet": "muted", "delayed": "caution", "waiting": "caution",
    "resync": "caution", "stale": "sell", "disconnected": "sell",
}  # fmt: skip
STATE_CELLS = 12
"""Of a panel's state, so that its title does not move with the digits of its age."""
LEAST = (60, 16)
"""Below this nothing can be read."""
COLUMNS = 2
HEIGHTS = (14, 11, 9)
"""Of the three rows of panels, as lines of a screen of 40: three coins on four venues, on three, and what is new."""


@dataclass(frozen=True, slots=True)
class View:
    """What of the screen is looked at."""

    focus: Panel = "flow"
    zoomed: bool = False
    paused_ms: float | None = None
    """How long the picture has stood; None while it moves."""
    notice: str = ""
    """A sentence in place of the keys, for some seconds."""


def panels_shown(view: View, width: int, height: int) -> tuple[Panel, ...]:
    """The panels that fit: all six, the pair with the focus, or the enlarged one."""
    if view.zoomed:
        return (view.focus,)
    if width >= SIX_FROM[0] and height >= SIX_FROM[1]:
        return PANELS
    first = PANELS.index(view.focus) // COLUMNS * COLUMNS
    return PANELS[first : first + COLUMNS]


def move(view: View, width: int, height: int, right: int, down: int) -> View:
    """The focus one panel on, as they lie on the screen; Tab (`right`) leaves a pair for the next one."""
    at = PANELS.index(view.focus)
    six = len(panels_shown(replace(view, zoomed=False), width, height)) == len(PANELS)
    step = right + COLUMNS * down if six else COLUMNS * right + down
    return replace(view, focus=PANELS[(at + step) % len(PANELS)])


def screen(shown: Shown, view: View, width: int, height: int) -> list[Line]:
    """Exactly `height` lines of exactly `width` cells."""
    if width < LEAST[0] or height < LEAST[1]:
        need = f"{width} x {height} is too small: tapewatch needs {LEAST[0]} x {LEAST[1]}"
        lines = words(need, width, height, "caution")
        return [*lines, *(fit_line([], width) for _ in range(height - len(lines)))]
    panels = panels_shown(view, width, height)
    body = _grid(shown, view, panels, width, height - 2)
    return [_top(shown, view, width), *body, _keys(shown, view, width)]


def _grid(shown: Shown, view: View, panels: tuple[Panel, ...], width: int, height: int) -> list[Line]:
    """Panels side by side in rows; neighbours share their frame."""
    across = COLUMNS if len(panels) == len(PANELS) else 1
    rows = [panels[k : k + across] for k in range(0, len(panels), across)]
    inner = _parts(width - across - 1, across)
    tall = height - len(rows) - 1
    heights = _shares(tall, HEIGHTS) if len(rows) == len(HEIGHTS) else _parts(tall, len(rows))
    lines: list[Line] = []
    for k, (row, tall) in enumerate(zip(rows, heights, strict=True)):
        left, cross, right = ("╭", "┬", "╮") if k == 0 else ("├", "┼", "┤")
        edge: Line = []
        for at, (panel, wide) in enumerate(zip(row, inner, strict=True)):
            edge += [(left if at == 0 else cross, "frame"), *_title(shown, view, panel, wide)]
        lines.append([*edge, (right, "frame")])
        drawn = [DRAW[panel](shown, wide, tall) for panel, wide in zip(row, inner, strict=True)]
        for y in range(tall):
            line: Line = [("│", "frame")]
            for cells in drawn:
                line += [*cells[y], ("│", "frame")]
            lines.append(line)
    foot = "┴".join("─" * wide for wide in inner)
    return [*lines, [(f"╰{foot}╯", "frame")]]


def _parts(total: int, count: int) -> list[int]:
    """As equal as they can be, the first ones larger."""
    return [total // count + (k < total % count) for k in range(count)]


def _shares(total: int, shares: tuple[int, ...]) -> list[int]:
    """In proportion, the last one the rest."""
    first = [round(total * share / sum(shares)) for share in shares[:-1]]
    return [*first, total - sum(first)]


def _title(shown: Shown, view: View, panel: Panel, width: int) -> Line:
    """``─ NAME · subject ──────── LIVE 0.3 s ─``."""
    focused = panel == view.focus
    health = shown.health[panel]
    if view.paused_ms is not None:
        age_ms = None if health.age_ms is None else health.age_ms + view.paused_ms
        health = Health("waiting", f"PAUSED {span(age_ms)}", age_ms)
    state = STATE_ROLES[health.state]
    dot = "●" if health.fresh else "✖"
    right: Line = [
        (" ", "frame"),
        (fit(f"{dot} {health.text}", STATE_CELLS) if len(health.text) < STATE_CELLS else f"{dot} {health.text}", state),
        (" ─", "frame"),
    ]
    name: Line = [("─", "frame"), (f" {NAMES[panel]} ", "selected" if focused else "title"), (" ", "frame")]
    room = width - line_width(name) - line_width(right)
    if room < 0:
        return fit_line([*name, *right], width)
    about = subject(panel, shown)
    if len(about) + 1 > room:
        about = about.replace("all venues", "all")
    if len(about) + 1 > room:
        about = ""
    rule = "─" * (room - len(about) - (1 if about else 0))
    return [*name, (about, "muted"), (f" {rule}" if about else rule, "frame"), *right]


def _top(shown: Shown, view: View, width: int) -> Line:
    """Program, connection, venues with age, coin, time."""
    line: Line = [(" tapewatch ", "focus")]
    mode = {"replay": "REPLAY ", "demo": "DEMO "}.get(shown.mode, "")
    if mode:
        line.append((mode, "caution"))
    if view.paused_ms is not None:
        line.append((f"PAUSED at {clock(shown.now_ms)} ", "selected"))
    if shown.link:
        line += [("✖ ", "sell"), (f"{shown.link.text} {shown.detail} ", "sell")]
    elif shown.preparing:
        line.append((f"{shown.preparing} ", "caution"))
    tail: Line = [
        *(_coin(coin, coin == shown.choice.coin) for coin in shown.choice.coins), (" │ ", "frame"),
        (f"{clock(shown.now_ms)} UTC ", "text"),
    ]  # fmt: skip
    if not shown.link:
        room = width - line_width(line) - line_width(tail)
        long = [_venue(f"{name} {venue_word(told)}".strip(), is_well(told)) for name, told in shown.venues.items()]
        short = [_venue(name, is_well(told)) for name, told in shown.venues.items()]
        sick = [name for name, told in shown.venues.items() if not is_well(told)]
        counted = _venue(f"{len(shown.venues) - len(sick)} of {len(shown.venues)} venues", not sick)
        for venues in (long, short, [counted] if shown.venues else [], []):
            if sum(line_width(one) for one in venues) <= room:
                line += [piece for one in venues for piece in one]
                break
    rest = width - line_width(line) - line_width(tail)
    return [*line, (" " * rest, "text"), *tail] if rest >= 0 else fit_line(line, width)


def _venue(said: str, well: bool) -> Line:
    return [("● " if well else "✖ ", "buy" if well else "sell"), (f"{said}  ", "muted" if well else "sell")]


def _coin(coin: str, looked_at: bool) -> Piece:
    return (f" {coin} ", "selected" if looked_at else "muted")


def _keys(shown: Shown, view: View, width: int) -> Line:
    """Keys and what they stand at; the window and unit are those of the panel with the focus."""
    if view.notice:
        return fit_line([(f" {view.notice}", "caution")], width)
    choice, focus = shown.choice, view.focus
    keys = [
        ("s", f"symbol {choice.coin}"),
        *([("t", f"window {choice.window(focus)}")] if len(WINDOWS[focus]) > 1 else []),
        *([("u", f"unit {choice.unit(focus)}")] if len(UNITS[focus]) > 1 else []),
        ("v", f"venues {choice.venue}"),
        ("Tab", "next"),
        ("Enter", "back" if view.zoomed else "enlarge"),
        ("p", "resume" if view.paused_ms is not None else "pause"),
        ("e", "export"),
        ("c", "colours"),
        ("?", "help"),
        ("q", "quit"),
    ]
    while True:
        line: Line = []
        for key, meaning in keys:
            line += [(" ", "text"), (key, "key"), (f" {meaning} ", "muted")]
        if line_width(line) <= width or len(keys) <= len(_ALWAYS):
            return fit_line(line, width)
        keys.remove(next(one for one in reversed(keys) if one[0] not in _ALWAYS))


_ALWAYS = frozenset({"s", "t", "v", "?", "q"})


def text_of(lines: list[Line]) -> str:
    """Lines as plain text."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines) + "\n"
