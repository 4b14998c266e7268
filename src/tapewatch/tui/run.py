"""``tapewatch tui``: the dashboard, or one picture of it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from rich.console import Console

from ..client import Client, ClientError, Stream, UnreachableError
from ..model.errors import UsageError
from .app import Dashboard, json_of
from .board import View, screen, text_of
from .choice import Choice
from .market import Market, Shown
from .palette import CLASSIC, PALETTES, SIXTEEN, Palette

FIRST_PICTURE_S = 20.0
"""How long ``--once`` waits for all panels; what has not come by then says so."""


def choose_palette(name: str) -> Palette:
    """A palette by name; `auto` asks the terminal how many colours it has."""
    if name == "auto":
        return SIXTEEN if Console().color_system == "standard" else CLASSIC
    if name not in PALETTES:
        raise UsageError(f"colours {name!r} are unknown; allowed: auto, {', '.join(PALETTES)}")
    return PALETTES[name]


def open_dashboard(url: str, token: str, coins: tuple[str, ...], colours: str) -> None:
    """Show the dashboard until it is left; raises `ClientError` where there is nothing to show."""
    palette = choose_palette(colours)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the dashboard needs a terminal; in a script use --once, with --json for data")
    with Client(url, token or None) as client:
        client.health()  # that nobody is there is said before the screen is taken
        dashboard = Dashboard(Stream(url, token or None), client, coins, palette, Path.cwd())
        sentence = dashboard.run(mouse=False)  # the mouse stays the terminal's: figures can be selected
    if sentence:
        raise ClientError(sentence)
    if dashboard.return_code:  # a defect of ours, which has been printed
        sys.exit(dashboard.return_code)


def print_once(url: str, token: str, coins: tuple[str, ...], *, as_data: bool) -> None:
    """Print one picture as text, or its data as JSON."""
    with Client(url, token or None) as client:
        client.health()
        shown = asyncio.run(one_moment(client, Stream(url, token or None), coins))
    if as_data:
        sys.stdout.write(json_of(shown).decode())
        return
    size = shutil.get_terminal_size((120, 40))
    sys.stdout.write(text_of(screen(shown, View(), size.columns, size.lines)))


async def one_moment(client: Client, stream: Stream, coins: tuple[str, ...]) -> Shown:
    """Follow a server until every panel has something to show, or a reason why not."""
    market = Market(stream, client, Choice.of(coins))
    async with stream:
        reading = asyncio.create_task(market.run())
        try:
            async with asyncio.timeout(FIRST_PICTURE_S):
                while not market.complete and not reading.done():
                    market.changed.clear()
                    waiting = asyncio.create_task(market.changed.wait())
                    await asyncio.wait([waiting, reading], return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
        except TimeoutError:
            if not market.venues:
                raise UnreachableError(f"{client.address.http} told nothing for {FIRST_PICTURE_S:.0f} s") from None
        if reading.done():
            reading.result()
        shown = market.shown()
        reading.cancel()
        await asyncio.wait([reading])
    return shown
