"""Commands about what was recorded: ``replay``, ``import``, ``export``, ``journal``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import config
from ..model.errors import UsageError
from .app import DebugOption, app, err, out
from .live import Speed, announce_address, run_to_end
from .options import (
    ConfigOption,
    DataOption,
    ExchangeInfoOption,
    HostOption,
    PortOption,
    given,
    listed_instruments,
    must_exist,
    storage_flags,
    words_of,
)

if TYPE_CHECKING:
    from ..model.instrument import Instrument
    from ..replay import Input, Player, Position
    from ..store.reader import Reader

ARCHIVE_SUFFIXES = (".csv", ".zip")


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
    from ..replay import Player

    paths = paths or []
    must_exist(paths)
    if paths and (start or end or symbols):
        raise UsageError("--from, --to and --symbols choose from what is stored; files are played whole")
    if not paths and not (start and end):
        raise UsageError("give recordings to play, or --from and --to to play what is stored")
    flags = {"server.host": host, "server.port": port, **storage_flags(data, no_store=False)}
    settings = config.load(config_file, flags=given(flags))
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"the folder of {report} does not exist")
    if serve and report is not None:
        raise UsageError("--report needs the end of the recording and --serve has none; give one of them")
    if paused and not serve:
        raise UsageError("--paused needs --serve: there is nobody to press play")
    pace = (speed or (Speed.REAL_TIME if serve else Speed.MAX)).multiple
    _ready_kernels()
    with err.status("reading"):
        source = (
            _recorded(paths, listed_instruments(exchange_info))
            if paths
            else _stored(settings, exchange, start, end, symbols)
        )
        # What is only played out is asked for nothing but its report.
        studied = settings.venues.study_symbols() if serve else ()
        player = Player(source, settings.thresholds, speed=pace, playing=not paused, studied=studied)
    if serve:
        from ..node.replay import serve_replay

        run_to_end(serve_replay(settings, player, announce=announce_address))
    else:
        _play_out(player, report)


def _recorded(paths: list[Path], listed: list[Instrument]) -> Input:
    """Archive files by their suffix, with the increments of `listed` instruments; raw captures otherwise."""
    from ..replay import Recording
    from ..replay.archive import Archives

    archives = [path for path in paths if path.suffix.lower() in ARCHIVE_SUFFIXES]
    if archives and len(archives) < len(paths):
        raise UsageError("archive files (.csv, .zip) and raw captures cannot be played together")
    return Archives(archives, listed) if archives else Recording.load(paths)


def _stored(settings: config.Config, exchange: str, start: str, end: str, symbols: str) -> Input:
    """A range of the data folder; a sentence where there is none."""
    from ..replay.stored import StoredRange, parse_utc

    start_ms, end_ms = parse_utc(start), parse_utc(end)
    if start_ms >= end_ms:
        raise UsageError(f"--from {start} must be before --to {end}")
    wanted = words_of(symbols) or None
    return StoredRange.open(_reader(settings), exchange, start_ms, end_ms, wanted)


def _reader(settings: config.Config) -> Reader:
    """What is stored; a sentence where nothing has ever been."""
    from ..store.reader import Reader

    folder = settings.store.data_path
    if not settings.store.url and not folder.is_dir():
        raise UsageError(f"nothing is stored at {folder}; --data names another folder")
    return Reader(folder, settings.store.url)


def _play_out(player: Player, report: Path | None) -> None:
    """Play to the end under a progress bar, which a terminal's keys drive; print the hash, write the report."""
    from rich.progress import BarColumn, Progress, TextColumn

    from ..replay import play_out, write_report
    from ..replay.keys import HELP, keyboard, press
    from ..replay.player import speed_name
    from ..replay.stored import utc

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
    from ..node.warm import LAB, LIVE_PARTS, compile_apart, is_cached, warm_up

    if not is_cached(LAB):
        with err.status("compiling kernels, once"):
            asyncio.run(compile_apart(*LIVE_PARTS))
            warm_up()


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
    from ..store.lake import settle
    from ..store.writer import Store
    from ..transfer.importing import Importer

    must_exist(paths)
    listed = listed_instruments(exchange_info)
    settings = config.load(config_file, flags=given(storage_flags(data, no_store=False)))
    settle(settings.store.data_path, settings.store.lake)
    with closing(Store(settings.store.data_path, settings.store.url).open()) as store, progress_bar() as progress:
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
    from ..transfer import exporting
    from ..transfer.files import Format, save

    Format.of(file)  # before anything is read
    if not file.resolve().parent.is_dir():
        raise UsageError(f"the folder of {file} does not exist")
    settings = config.load(config_file, flags=given(storage_flags(data, no_store=False)))
    wish = exporting.Wish(
        what=exporting.What(what.value),
        venue=exchange,
        symbols=tuple(symbol or ()),
        start_ms=exporting.time_of(start) if start else 0,
        end_ms=exporting.time_of(end) if end else exporting.FOREVER_MS,
        tf=tf,
        step=step or None,
    )
    with closing(_reader(settings)) as reader, progress_bar() as progress:
        task = progress.add_task(f"export {what}", total=None)
        table = exporting.export(reader, wish, lambda done, total: progress.update(task, completed=done, total=total))
        rows = save(table, file)
    out.print(f"{rows:,} rows written to {file}", highlight=False, soft_wrap=True)


@app.command()
def journal(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Files or folders; else the data folder.")
    ] = None,
    config_file: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """List recorded files, verify every record in them and name each damage; exit code 1 when there is any."""
    from ..node.verify import consumed, show

    store = config.load(config_file).store
    places = paths or [store.data_path / "journal"]
    if absent := [str(path) for path in places if not path.exists()]:
        raise UsageError(f"no such file or folder: {', '.join(absent)}")
    if show(places, out, sealed=consumed(store)):
        raise typer.Exit(1)


def progress_bar() -> Any:
    """A progress bar where somebody can see it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal)
