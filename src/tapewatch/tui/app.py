"""The terminal dashboard: a server followed over its API, drawn four times a second, worked by single keys.

All lines come from `board.screen`; the one widget here hands changed lines to the terminal. A terminal that is slow to
take them is not given new ones before it has taken the last, so that what it shows is late by one picture at most.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from ..client import AccessError, Client, Stream
from .board import View, move, screen
from .choice import Choice
from .grid import Line, Role
from .market import Market, Shown, as_json
from .palette import PALETTES, Palette

REFRESH_S = 0.25
NOTICE_S = 4.0
HELP = """\
[b]Keys[/b]

  s S 1-9      next, previous, n-th symbol of the list
  t            window of the panel with the focus
  u            unit of the panel with the focus
  v            all venues, then each
  Tab          next panel; in a small terminal the next two
  arrows hjkl  move the focus
  Enter Esc    enlarge a panel, and back
  p            pause: the picture stands, its ages too
  e            export all panels as JSON into this folder
  c            colours: classic, colour-safe, 16
  ? q          this page, quit

[b]Signs[/b]

  ▲ ▼ buying, selling; long liquidations sell, short ones buy
  ◆ steep, extreme, danger, mega
  — not known; the panel says why
  faint: not the present, or a window that is not wholly held yet

What each figure is: docs/derivs.md"""


class Board(Widget):
    """The lines of the screen."""

    DEFAULT_CSS = "Board { width: 100%; height: 100%; }"
    can_focus = False

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._styles: dict[Role, Style] = {}

    def paint(self, lines: list[Line], palette: Palette) -> None:
        """Show these lines; only those that differ go to the terminal."""
        styles = {role: palette.style(role) for role in palette.colours}
        before, self._lines = self._lines, lines
        if styles != self._styles or len(before) != len(lines):
            self._styles = styles
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self._styles.get("text"))
        return Strip([Segment(text, self._styles[role]) for text, role in self._lines[y] if text])


class Help(ModalScreen[None]):
    """Keys and signs."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Vertical { width: 74; height: auto; max-height: 100%; border: round ansi_cyan; padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "back")]

    def compose(self) -> ComposeResult:
        yield Vertical(Static(HELP))


class Dashboard(App[str]):
    """The program; its result is the sentence it ends with, if any."""

    CSS = "Screen { overflow: hidden; }"
    TITLE = "tapewatch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "coin(1)"), Binding("S", "coin(-1)"),
        *(Binding(str(n), f"pick({n})") for n in range(1, 10)),
        Binding("t", "window"), Binding("u", "unit"), Binding("v", "venue"),
        Binding("tab", "move(1, 0)", priority=True), Binding("shift+tab", "move(-1, 0)", priority=True),
        Binding("right,l", "move(1, 0)"), Binding("left,h", "move(-1, 0)"),
        Binding("down,j", "move(0, 1)"), Binding("up,k", "move(0, -1)"),
        Binding("enter", "zoom"), Binding("escape", "unzoom"), Binding("p,space", "pause"),
        Binding("e", "export"), Binding("c", "colours"), Binding("question_mark", "help"), Binding("q", "quit"),
    ]  # fmt: skip

    def __init__(self, stream: Stream, client: Client, coins: tuple[str, ...], palette: Palette, folder: Path) -> None:
        super().__init__(ansi_color=True)
        self.board = Board()
        self.market = Market(stream, client, Choice.of(coins))
        self.view = View()
        self.palette = palette
        self.skipped = 0
        """Pictures that were not drawn because the terminal had not taken the last one."""
        self._folder = folder
        self._frozen: Shown | None = None
        self._frozen_at = 0.0
        self._notice_until = 0.0

    @property
    def shown(self) -> Shown:
        """The moment on the screen."""
        return self._frozen or self.market.shown()

    def compose(self) -> ComposeResult:
        yield self.board

    def on_mount(self) -> None:
        self.run_worker(self._follow(), exit_on_error=True)
        self.set_interval(REFRESH_S, self.draw)
        self.draw()

    async def _follow(self) -> None:
        async with self.market.stream:
            try:
                await self.market.run()
            except AccessError as error:
                self.exit(str(error), return_code=1)

    # -- drawing ----------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show what is known now, unless the terminal is still busy with what was known before."""
        if self._behind():
            self.skipped += 1
            return
        if self._notice_until and self._clock() > self._notice_until:
            self.view, self._notice_until = replace(self.view, notice=""), 0.0
        paused_ms = (self._clock() - self._frozen_at) * 1000 if self._frozen else None
        self.view = replace(self.view, paused_ms=paused_ms)
        width, height = self.size
        self.board.paint(screen(self.shown, self.view, width, height), self.palette)

    def _behind(self) -> bool:
        """Whether pictures wait for the terminal."""
        writer = getattr(self._driver, "_writer_thread", None)
        return writer is not None and not writer._queue.empty()  # noqa: SLF001 - the driver does not tell it otherwise

    def on_resize(self) -> None:
        self.call_later(self.draw)

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()

    def _notify(self, sentence: str) -> None:
        self.view = replace(self.view, notice=sentence)
        self._notice_until = self._clock() + NOTICE_S
        self.draw()

    # -- keys -------------------------------------------------------------------------------------------------------

    async def _choose(self, choice: Choice) -> None:
        """Look at something else; a paused picture goes on, for its data are not those that are asked for."""
        self._frozen = None
        await self.market.choose(choice)
        self.draw()

    async def action_coin(self, by: int) -> None:
        await self._choose(self.market.choice.next_coin(by))

    async def action_pick(self, number: int) -> None:
        coins = self.market.choice.coins
        if number <= len(coins):
            await self._choose(replace(self.market.choice, coin=coins[number - 1]))

    async def action_window(self) -> None:
        await self._choose(self.market.choice.next_window(self.view.focus))

    async def action_unit(self) -> None:
        await self._choose(self.market.choice.next_unit(self.view.focus))

    async def action_venue(self) -> None:
        await self._choose(self.market.choice.next_venue(self.market.venues))

    def action_move(self, right: int, down: int) -> None:
        self.view = move(self.view, *self.size, right, down)
        self.draw()

    def action_zoom(self) -> None:
        self.view = replace(self.view, zoomed=not self.view.zoomed)
        self.draw()

    def action_unzoom(self) -> None:
        self.view = replace(self.view, zoomed=False)
        self.draw()

    def action_pause(self) -> None:
        self._frozen = None if self._frozen else self.market.shown()
        self._frozen_at = self._clock()
        self.draw()

    def action_colours(self) -> None:
        names = list(PALETTES)
        self.palette = PALETTES[names[(names.index(self.palette.name) + 1) % len(names)]]
        self._notify(f"colours: {self.palette.name}")

    def action_export(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self._folder / f"tapewatch-{stamp}.json"
        try:
            path.write_bytes(json_of(self.shown))
        except OSError as error:
            self._notify(f"not written, {error.strerror}: {path}")
        else:
            self._notify(f"all panels written to {path}")

    def action_help(self) -> None:
        self.push_screen(Help())


def json_of(shown: Shown) -> bytes:
    """All panels as JSON, decimals digit by digit as the API prints them."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(as_json(shown)), indent=1) + b"\n"
