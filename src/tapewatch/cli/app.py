"""The application that the commands belong to, its two consoles, and how it ends."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from .. import __version__
from ..model.errors import TapewatchError, UsageError

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


DebugOption = Annotated[
    bool, typer.Option("--debug", callback=_debug, is_eager=True, help="Show the traceback of a failure.")
]


@app.callback()
def _root(
    debug: DebugOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


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
