"""Commands that show a market as it is now: ``run``, ``demo``, ``tui``, and ``venue``, which simulates one."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__, config
from ..model.errors import UsageError
from .app import DebugOption, app, out
from .options import (
    ConfigOption,
    DataOption,
    FaultsOption,
    HostOption,
    NoStoreOption,
    PortOption,
    SeedOption,
    SymbolsOption,
    VenuesOption,
    given,
    must_exist,
    storage_flags,
    words_of,
)


@app.command()
def run(
    config_file: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    no_store: NoStoreOption = False,
    debug: DebugOption = False,
) -> None:
    """Connect to the configured venues and serve the page and the API."""
    from ..node import node

    flags = {"server.host": host, "server.port": port, **storage_flags(data, no_store)}
    settings = config.load(config_file, flags=given(flags))
    run_to_end(node.serve(settings, announce=announce_address))


@app.command()
def demo(
    config_file: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    venues: VenuesOption = "all",
    symbols: SymbolsOption = 600,
    seed: SeedOption = 1,
    faults: FaultsOption = "",
    data: DataOption = None,
    no_store: NoStoreOption = False,
    debug: DebugOption = False,
) -> None:
    """Run everything against simulated venues on this machine; no internet needed."""
    from ..node import demo as demonstration
    from ..sim import VenueOptions
    from ..sim.faults import Faults

    demonstration.options_of(words_of(venues), VenueOptions(faults=Faults.parse(faults)))  # refuse wrong names here
    arguments = ["--venues", venues, "--symbols", str(symbols), "--seed", str(seed), "--patterns", "20"]
    if faults:
        arguments += ["--faults", faults]
    with demonstration.data_folder(data) as folder:  # what a simulation makes never mixes with what was received
        flags = {"server.host": host, "server.port": port, **storage_flags(folder, no_store)}
        settings = config.load(config_file, flags=given(flags))
        run_to_end(demonstration.run(settings, arguments, mode="demo", announce=announce_address))


@app.command()
def tui(
    url: Annotated[str | None, typer.Option("--url", help="Address of a running server (tui.url).")] = None,
    symbols: Annotated[
        str | None, typer.Option("--symbols", metavar="LIST", help="Coins or symbols, comma separated (tui.symbols).")
    ] = None,
    colours: Annotated[
        str | None, typer.Option("--colours", help="auto, classic, colour-safe or 16 (tui.colours).")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: the data behind it.")] = False,
    token: Annotated[str, typer.Option(envvar="TAPEWATCH_SERVER__TOKEN", help="Access token of the server.")] = "",
    config_file: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Show a running server in the terminal: flow, CVD, basis, funding, liquidation clusters, whales."""
    from ..tui import open_dashboard, print_once

    if as_json and not once:
        raise UsageError("--json prints one picture's data and needs --once")
    flags: dict[str, Any] = {"tui.url": url and url.rstrip("/"), "tui.colours": colours}
    if symbols is not None:
        flags["tui.symbols"] = words_of(symbols.upper())
    settings = config.load(config_file, flags=given(flags)).tui
    if once:
        print_once(settings.url, token, settings.symbols, as_data=as_json)
    else:
        open_dashboard(settings.url, token, settings.symbols, settings.colours)


class Speed(StrEnum):
    """Paces of a replay: the names of `replay.player.SPEEDS`."""

    HALF = "0.5"
    REAL_TIME = "1"
    TWICE = "2"
    FIVE_TIMES = "5"
    TEN_TIMES = "10"
    A_MINUTE_A_SECOND = "60"
    MAX = "max"

    @property
    def multiple(self) -> float:
        return math.inf if self is Speed.MAX else float(self.value)


@app.command()
def venue(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8900,
    venues: VenuesOption = "binance",
    symbols: SymbolsOption = 600,
    seed: SeedOption = 1,
    faults: FaultsOption = "",
    replay: Annotated[
        list[Path] | None, typer.Option("--replay", metavar="FILE", help="Serve a recording as if live; repeatable.")
    ] = None,
    speed: Annotated[Speed, typer.Option("--speed", help="Pace of --replay.")] = Speed.REAL_TIME,
    patterns: Annotated[
        float,
        typer.Option(
            "--patterns",
            min=0,
            max=3600,
            metavar="SECONDS",
            help="Plant a wall, sweep, iceberg or the like into BTCUSDT as often as this; 0: never.",
        ),
    ] = 0.0,
    announce: Annotated[
        bool, typer.Option("--announce", help="Print the addresses as one line of JSON and end with standard input.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Serve simulated venues: the real protocols on real sockets, from seeded markets or a recording."""
    import msgspec

    from ..node import demo as demonstration
    from ..node import log
    from ..sim import VenueOptions
    from ..sim.faults import Faults

    def told(where: demonstration.Announcement) -> None:
        if announce:
            print(msgspec.json.encode(where).decode(), flush=True)  # noqa: T201
        else:
            for name, address in where.venues.items():
                text = f"[venues.{name}]\nrest_url = {address.rest_url}\nws_url = {address.ws_url}"
                out.print(text, highlight=False, soft_wrap=True, markup=False)

    must_exist(replay or [])
    log.configure("warning")
    options = VenueOptions(
        seed=seed,
        symbols=symbols,
        host=host,
        port=port,
        faults=Faults.parse(faults),
        replay=tuple(replay or ()),
        speed=speed.multiple,
        patterns_s=patterns,
    )
    simulated = demonstration.options_of(words_of(venues), options)
    run_to_end(demonstration.serve_venues(simulated, announce=told, child=announce))


def announce_address(url: str, token: str, new: bool) -> None:
    """The one thing a person waits for: the address to open."""
    out.print(f"tapewatch {__version__} serves [bold]{url}[/]", highlight=False, soft_wrap=True)
    if token and new:
        out.print(f"access token, kept for later starts and shown only now: {token}", highlight=False, soft_wrap=True)
    if token:
        out.print(f"open {url}?token=TOKEN once; the browser remembers it", highlight=False, soft_wrap=True)
    out.file.flush()


LOCK_HELD_S = 0.001
"""So long a thread may keep the interpreter from the event loop when both want it; Python's own choice is 5 ms."""


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end in the fastest event loop there is."""
    sys.setswitchinterval(LOCK_HELD_S)
    try:
        import uvloop
    except ModuleNotFoundError:  # no uvloop on Windows
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
