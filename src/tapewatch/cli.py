"""The command line: ``tapewatch run | demo | tui | replay | import | export | venue | journal | doctor``.

Exit codes: 0 done, 2 the command or the configuration is wrong, 1 it could not be done; with one sentence on standard
error for either, and a traceback only with ``--debug``. Heavy modules are imported by the command that needs them, so
that ``--help`` answers at once.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Coroutine
from contextlib import closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from . import __version__, config
from .model.errors import TapewatchError, UsageError

if TYPE_CHECKING:
    from .model.instrument import Instrument
    from .replay import Input, Player, Position

app = typer.Typer(
    name="tapewatch",
    help="Order flow of crypto derivatives markets, live and exact.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console()
err = Console(stderr=True)


class _Run:
    """What holds for this one run of the program."""

    debug = False


def _debug(value: bool) -> None:
    _Run.debug = _Run.debug or value


def _version(value: bool) -> None:
    if value:
        out.print(f"tapewatch {__version__}", highlight=False)
        raise typer.Exit


ExchangeInfoOption = Annotated[
    Path | None,
    typer.Option("--exchange-info", metavar="FILE", help="Binance exchangeInfo: increments of archived instruments."),
]
DebugOption = Annotated[
    bool, typer.Option("--debug", callback=_debug, is_eager=True, help="Show the traceback of a failure.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file; else ./tapewatch.toml, else the one in your settings folder."
    ),
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to listen on (default 127.0.0.1).")]
PortOption = Annotated[int | None, typer.Option("--port", help="Port to listen on (default 8000; 0 takes a free one).")]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="Data folder (store.path); one program at a time.")
]
NoStoreOption = Annotated[bool, typer.Option("--no-store", help="Store nothing.")]
SymbolsOption = Annotated[
    int, typer.Option("--symbols", min=1, max=2000, help="Simulated instruments of the first venue.")
]
VenuesOption = Annotated[
    str,
    typer.Option("--venues", metavar="LIST", help="Venues to simulate, or all; --symbols are those of the first."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the simulated market and its faults.")]
FaultsOption = Annotated[
    str, typer.Option("--faults", metavar="LIST", help="Faults to inject, comma separated; see docs/simulator.md.")
]


ARCHIVE_SUFFIXES = (".csv", ".zip")


@app.callback()
def _root(
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


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
    from .node import node

    flags = {"server.host": host, "server.port": port, **_storage(data, no_store)}
    settings = config.load(config_file, flags=_given(flags))
    _run(node.serve(settings, announce=_announce))


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
    from .node import demo as demonstration

    arguments = [
        "--venues",
        venues,
        "--symbols",
        str(symbols),
        "--seed",
        str(seed),
        "--patterns",
        "20",
        *(["--faults", faults] if faults else []),
    ]
    with demonstration.data_folder(data) as folder:  # what a simulation makes never mixes with what was received
        flags = {"server.host": host, "server.port": port, **_storage(folder, no_store)}
        settings = config.load(config_file, flags=_given(flags))
        _run(demonstration.run(settings, arguments, mode="demo", announce=_announce))


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
    from .tui import open_dashboard, print_once

    if as_json and not once:
        raise UsageError("--json prints one picture's data and needs --once")
    flags: dict[str, Any] = {"tui.url": url and url.rstrip("/"), "tui.colours": colours}
    if symbols is not None:
        flags["tui.symbols"] = [name.strip().upper() for name in symbols.split(",") if name.strip()]
    settings = config.load(config_file, flags=_given(flags)).tui
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
def replay(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH...]", help="Recordings or archive files. Without any: what is stored."),
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="Stored range, such as 2026-11-20T12:00.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="End of it, not included; UTC.")] = "",
    symbols: Annotated[
        str, typer.Option("--symbols", metavar="LIST", help="Only these of the stored instruments, comma separated.")
    ] = "",
    exchange: Annotated[str, typer.Option("--exchange", help="Venue of the stored range.")] = "binance",
    data: DataOption = None,
    speed: Annotated[
        Speed | None,
        typer.Option("--speed", help="Pace, as a multiple of the market's own. [default: max; with --serve 1]"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the end state as JSON.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Show it on the page, with a player.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="With --serve: wait at the beginning.")] = False,
    exchange_info: ExchangeInfoOption = None,
    config_file: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    debug: DebugOption = False,
) -> None:
    """Feed recorded or stored data through the same pipeline as live data; print the hash of the state it ends in."""
    from .replay import Player

    paths = paths or []
    _must_exist(paths)
    if paths and (start or end or symbols):
        raise UsageError("--from, --to and --symbols choose from what is stored; files are played whole")
    if not paths and not (start and end):
        raise UsageError("give recordings to play, or --from and --to to play what is stored")
    flags = {"server.host": host, "server.port": port, **_storage(data, no_store=False)}
    settings = config.load(config_file, flags=_given(flags))
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"the folder of {report} does not exist")
    if serve and report is not None:
        raise UsageError("--report needs the end of the recording and --serve has none; give one of them")
    if paused and not serve:
        raise UsageError("--paused needs --serve: there is nobody to press play")
    pace = (speed or (Speed.REAL_TIME if serve else Speed.MAX)).multiple
    _ready_kernels()
    with err.status("reading"):
        source = _recorded(paths, _listed(exchange_info)) if paths else _stored(settings, exchange, start, end, symbols)
        # What is only played out is asked for nothing but its report.
        studied = settings.venues.study_symbols() if serve else ()
        player = Player(source, settings.thresholds, speed=pace, playing=not paused, studied=studied)
    if serve:
        from .node.replay import serve_replay

        _run(serve_replay(settings, player, announce=_announce))
    else:
        _play_out(player, report)


def _recorded(paths: list[Path], listed: list[Instrument]) -> Input:
    """Archive files by their suffix, with the increments of `listed` instruments; raw captures otherwise."""
    from .replay import Recording
    from .replay.archive import Archives

    archives = [path for path in paths if path.suffix.lower() in ARCHIVE_SUFFIXES]
    if archives and len(archives) < len(paths):
        raise UsageError("archive files (.csv, .zip) and raw captures cannot be played together")
    return Archives(archives, listed) if archives else Recording.load(paths)


def _stored(settings: config.Config, exchange: str, start: str, end: str, symbols: str) -> Input:
    """A range of the data folder; a sentence where there is none."""
    from .replay.stored import StoredRange, parse_utc
    from .store.reader import Reader

    start_ms, end_ms = parse_utc(start), parse_utc(end)
    if start_ms >= end_ms:
        raise UsageError(f"--from {start} must be before --to {end}")
    folder = settings.store.data_path
    if not settings.store.url and not folder.is_dir():
        raise UsageError(f"nothing is stored at {folder}; --data names another folder")
    wanted = [symbol.strip() for symbol in symbols.split(",") if symbol.strip()] or None
    return StoredRange.open(Reader(folder, settings.store.url), exchange, start_ms, end_ms, wanted)


def _play_out(player: Player, report: Path | None) -> None:
    """Play to the end under a progress bar, which a terminal's keys drive; print the hash, write the report."""
    from rich.progress import BarColumn, Progress, TextColumn

    from .replay import play_out, write_report
    from .replay.keys import HELP, keyboard, press
    from .replay.player import speed_name
    from .replay.stored import utc

    by_hand = err.is_terminal and sys.stdin.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with (
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
        keyboard() if by_hand else nullcontext() as keys,
    ):
        task = progress.add_task("replay", total=None)
        if by_hand:
            progress.console.print(HELP, style="dim", highlight=False)

        def watch(at: Position) -> None:
            while keys is not None and (key := keys.pressed()):
                press(player, key)
            done, total = at.now_ms - at.first_ms, max(1, at.last_ms - at.first_ms)
            told = f"{at.state} {speed_name(at.speed):>3}  {utc(at.now_ms)} UTC"
            progress.update(task, completed=done, total=total, description=told)

        stage = play_out(player, watch)
        told = stage.report(player.source.names)
    out.print(f"{player.position.rows} events, state {told['state_hash']}", highlight=False, soft_wrap=True)
    if report is not None:
        write_report(told, report)
        out.print(f"report written to {report}", highlight=False, soft_wrap=True)


def _ready_kernels() -> None:
    """Compile what is not kept yet before anything is played, and say why it takes a while."""
    from .node.warm import LAB, LIVE_PARTS, compile_apart, is_cached, warm_up

    if not is_cached(LAB):
        with err.status("compiling kernels, once"):
            asyncio.run(compile_apart(*LIVE_PARTS))
            warm_up()


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

    from .node import demo as demonstration
    from .node import log
    from .sim import VenueOptions
    from .sim.faults import Faults

    def told(where: demonstration.Announcement) -> None:
        if announce:
            print(msgspec.json.encode(where).decode(), flush=True)  # noqa: T201
        else:
            for name, address in where.venues.items():
                text = f"[venues.{name}]\nrest_url = {address.rest_url}\nws_url = {address.ws_url}"
                out.print(text, highlight=False, soft_wrap=True, markup=False)

    _must_exist(replay or [])
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
    names = [name.strip() for name in venues.split(",") if name.strip()]
    _run(demonstration.serve_venues(demonstration.options_of(names, options), announce=told, child=announce))


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archive files, OHLC (CSV, JSON), exports.")],
    exchange: Annotated[str, typer.Option("--exchange", help="Venue that OHLC is of.")] = "binance",
    symbol: Annotated[str, typer.Option("--symbol", help="Instrument that OHLC is of.")] = "",
    tf: Annotated[str, typer.Option("--tf", help="Length of its candles, such as 5m; else told by their times.")] = "",
    exchange_info: ExchangeInfoOption = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Put archive files, OHLC and exports into the store; a file with a wrong row is refused whole."""
    from .store.writer import Store
    from .transfer.importing import Importer

    _must_exist(paths)
    listed = _listed(exchange_info)
    settings = config.load(config_file, flags=_given(_storage(data, no_store=False)))
    with closing(Store(settings.store.data_path, settings.store.url).open()) as store, _bar() as progress:
        for path in paths:
            task = progress.add_task(path.name, total=None)

            def told(what: str, done: int, total: int, name: str = path.name, task: Any = task) -> None:
                progress.update(task, description=f"{name}: {what}", completed=done, total=total)

            done = Importer(store, listed, told).file(path, venue=exchange, symbol=symbol, tf=tf)
            progress.remove_task(task)
            counts = {
                "stored": done.rows,
                "already there": done.duplicates,
                "of another source": done.other_source,
                "missing in the file": done.missing,
            }
            said = [f"{n:,} {what}" for what, n in counts.items() if n or what == "stored"]
            line = f"{done.path}: {done.what} of {', '.join(done.symbols)}, {', '.join([*said, *done.remarks])}"
            out.print(line, highlight=False, soft_wrap=True)


class ExportKind(StrEnum):
    TRADES = "trades"
    CANDLES = "candles"
    FOOTPRINTS = "footprints"
    LIQUIDATIONS = "liquidations"
    IMBALANCES = "imbalances"
    GAPS = "gaps"
    ALERTS = "alerts"
    OHLC = "ohlc"
    FEATURES = "features"
    DATASET = "dataset"


@app.command()
def export(
    what: Annotated[ExportKind, typer.Argument(help="What to export.")],
    file: Annotated[Path, typer.Argument(help="Where to; .csv, .json, .xlsx or .parquet says the format.")],
    exchange: Annotated[str, typer.Option("--exchange", help="Venue.")] = "binance",
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="Only this instrument; repeatable. Else all.")
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601 or ms, UTC; else all.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Not included.")] = "",
    tf: Annotated[str, typer.Option("--tf", help="Length of candles: 1s, 1m, 5m, 15m, 1h, 4h, 1d.")] = "1m",
    step: Annotated[str, typer.Option("--step", help="Width of a footprint's bins; else the tick.")] = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Write what is stored to CSV, JSON, Excel or Parquet, with a sheet or sidecar that says what it is."""
    from .store.reader import Reader
    from .transfer import exporting
    from .transfer.files import save

    if not file.resolve().parent.is_dir():
        raise UsageError(f"the folder of {file} does not exist")
    settings = config.load(config_file, flags=_given(_storage(data, no_store=False)))
    wish = exporting.Wish(
        what=exporting.What(what.value),
        venue=exchange,
        symbols=tuple(symbol or ()),
        start_ms=exporting.time_of(start) if start else 0,
        end_ms=exporting.time_of(end) if end else exporting.FOREVER_MS,
        tf=tf,
        step=step or None,
    )
    with closing(Reader(settings.store.data_path, settings.store.url)) as reader, _bar() as progress:
        task = progress.add_task(f"export {what}", total=None)
        table = exporting.export(reader, wish, lambda done, total: progress.update(task, completed=done, total=total))
        rows = save(table, file)
    out.print(f"{rows:,} rows written to {file}", highlight=False, soft_wrap=True)


def _bar() -> Any:
    """A progress bar where somebody can see it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal)


@app.command()
def doctor(
    config_file: ConfigOption = None,
    warm: Annotated[bool, typer.Option("--warm", help="Only compile the kernels and keep them.")] = False,
    url: Annotated[str, typer.Option(help="Ask a running server what it has lost, http://127.0.0.1:8000.")] = "",
    token: Annotated[str, typer.Option(envvar="TAPEWATCH_SERVER__TOKEN", help="Its access token.")] = "",
    debug: DebugOption = False,
) -> None:
    """Check configuration, venues, clock, rate limits, disk and kernels; say what is wrong and the mend.

    With --url: whether a running server's account balances, what is missing and why.
    """
    from rich.table import Table

    from .node.accounts import examine_server
    from .node.doctor import Verdict, examine
    from .node.warm import LIVE_PARTS, compile_apart, own_decoders, warm_up
    from .sim.simulation import warm_up as warm_up_venue
    from .venues.registry import PRODUCTS

    settings = config.load(config_file)
    if warm:
        with err.status("compiling kernels, once"):
            began = time.perf_counter()
            asyncio.run(compile_apart(*LIVE_PARTS))
            warm_up(decoders=own_decoders(PRODUCTS))
            warm_up_venue()
        out.print(f"kernels ready in {time.perf_counter() - began:.1f} s", highlight=False)
        return
    checks = examine_server(url, token) if url else examine(settings, config.find_file(config_file))
    findings = asyncio.run(checks)
    colours = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
    table = Table("check", "", "what", "mend", box=None, header_style="dim")
    for finding in findings:
        verdict = f"[{colours[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.check, verdict, finding.what, finding.mend)
    out.print(table)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


@app.command()
def journal(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Files or folders; else the data folder.")
    ] = None,
    config_file: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """List recorded files, verify every record in them and name each damage; exit code 1 when there is any."""
    from .node.verify import consumed, show

    store = config.load(config_file).store
    places = paths or [store.data_path / "journal"]
    if absent := [str(path) for path in places if not path.exists()]:
        raise UsageError(f"no such file or folder: {', '.join(absent)}")
    if show(places, out, sealed=consumed(store)):
        raise typer.Exit(1)


@app.command(hidden=True)
def seal(debug: DebugOption = False) -> None:
    """Make closed journal files into segments and catalog rows; started by `run`, which tells it what to do."""
    from .store.sealer import main as run_sealer

    _log_as_parent()
    run_sealer()


@app.command(hidden=True)
def query(debug: DebugOption = False) -> None:
    """Answer questions about stored data; started by `run`, which asks them."""
    from .store.query import main as answer_queries

    _log_as_parent()
    answer_queries()


@app.command(hidden=True)
def desk(debug: DebugOption = False) -> None:
    """Answer questions about bars; started by `run`, which asks them."""
    from .desk.process import main as answer_desk

    _log_as_parent()
    answer_desk()


def _log_as_parent() -> None:
    """A process that `run` started writes to the same terminal, so it writes in the same shape."""
    from .node import log

    log.configure("info")


def _storage(data: Path | None, no_store: bool) -> dict[str, Any]:
    return {"store.path": None if data is None else str(data.absolute()), "store.enabled": False if no_store else None}


def _listed(exchange_info: Path | None) -> list[Instrument]:
    """The instruments of an exchangeInfo file."""
    from .venues.binance_usdm import parse_exchange_info

    if exchange_info is None:
        return []
    _must_exist([exchange_info])
    return parse_exchange_info(exchange_info.read_bytes(), dated=True)


def _must_exist(paths: list[Path]) -> None:
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise UsageError(f"no such file: {', '.join(missing)}")


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flags.items() if value is not None}


def _announce(url: str, token: str, new: bool) -> None:
    """The one thing a person waits for: the address to open."""
    out.print(f"tapewatch {__version__} serves [bold]{url}[/]", highlight=False, soft_wrap=True)
    if token and new:
        out.print(f"access token, kept for later starts and shown only now: {token}", highlight=False, soft_wrap=True)
    if token:
        out.print(f"open {url}?token=TOKEN once; the browser remembers it", highlight=False, soft_wrap=True)
    out.file.flush()


LOCK_HELD_S = 0.001
"""So long a thread may keep the interpreter from the event loop when both want it; Python's own choice is 5 ms."""


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end in the fastest event loop there is."""
    sys.setswitchinterval(LOCK_HELD_S)
    try:
        import uvloop
    except ModuleNotFoundError:  # no uvloop on Windows
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)


def main() -> None:
    """Run the command line; failures become one sentence and an exit code."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseExceptionGroup as group:
        _fail(_first(group))
    except Exception as error:  # noqa: BLE001 - the last place; nothing is hidden, --debug shows it whole
        _fail(error)


def _first(error: BaseException) -> BaseException:
    """The failure that a task group wraps."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: BaseException) -> None:
    if _Run.debug:
        raise error
    if isinstance(error, TapewatchError):
        sentence = str(error)
    else:
        sentence = f"unexpected {type(error).__name__}: {error} (run again with --debug and report it)"
    err.print(f"tapewatch: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2 if isinstance(error, UsageError) else 1)
