"""Options that several commands have, and what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..model.errors import UsageError

if TYPE_CHECKING:
    from ..model.instrument import Instrument

ExchangeInfoOption = Annotated[
    Path | None,
    typer.Option("--exchange-info", metavar="FILE", help="Binance exchangeInfo: increments of archived instruments."),
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


def storage_flags(data: Path | None, no_store: bool) -> dict[str, Any]:
    return {"store.path": None if data is None else str(data.absolute()), "store.enabled": False if no_store else None}


def listed_instruments(exchange_info: Path | None) -> list[Instrument]:
    """The instruments of an exchangeInfo file."""
    from ..venues.binance_usdm import parse_exchange_info

    if exchange_info is None:
        return []
    must_exist([exchange_info])
    return parse_exchange_info(exchange_info.read_bytes())


def must_exist(paths: list[Path]) -> None:
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise UsageError(f"no such file: {', '.join(missing)}")


def given(flags: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flags.items() if value is not None}


def words_of(text: str) -> list[str]:
    """The words of a comma-separated list."""
    return [word.strip() for word in text.split(",") if word.strip()]
