"""``doctor``, and the processes that ``run`` starts beside itself: ``seal``, ``query``, ``desk``."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from .. import config
from .app import DebugOption, app, err, out
from .options import ConfigOption


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

    from ..node.accounts import examine_server
    from ..node.doctor import Verdict, examine

    settings = config.load(config_file)
    if warm:
        _compile_kernels()
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


def _compile_kernels() -> None:
    """Make the machine code of every venue and every process, so that no start compiles."""
    from ..desk.questions import get_ready as warm_up_desk
    from ..node.warm import LIVE_PARTS, compile_apart, own_decoders, warm_up
    from ..sim.simulation import warm_up as warm_up_venue
    from ..store.warm import warm_up as warm_up_store
    from ..venues.registry import PRODUCTS

    with err.status("compiling kernels, once"):
        began = time.perf_counter()
        asyncio.run(compile_apart(*LIVE_PARTS))
        warm_up(decoders=own_decoders(PRODUCTS))
        warm_up_venue()
        warm_up_store()
        warm_up_desk()
    out.print(f"kernels ready in {time.perf_counter() - began:.1f} s", highlight=False)


@app.command(hidden=True)
def seal(debug: DebugOption = False) -> None:
    """Make closed journal files into segments and catalog rows; started by `run`, which tells it what to do."""
    from ..store.sealer import main as run_sealer

    _log_as_parent()
    run_sealer()


@app.command(hidden=True)
def query(debug: DebugOption = False) -> None:
    """Answer questions about stored data; started by `run`, which asks them."""
    from ..api.candles import candles_text
    from ..store.query import answer_all

    _log_as_parent()
    answer_all(candles_text)


@app.command(hidden=True)
def desk(debug: DebugOption = False) -> None:
    """Answer questions about bars; started by `run`, which asks them."""
    from ..desk.process import main as answer_desk

    _log_as_parent()
    answer_desk()


def _log_as_parent() -> None:
    """A process that `run` started writes to the same terminal, so it writes in the same shape."""
    from ..node import log

    log.configure("info")
