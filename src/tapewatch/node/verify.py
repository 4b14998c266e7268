"""``tapewatch journal``: list the files of a journal, read every record in them, say what is damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import track

from ..config import StoreConfig
from ..journal import Damage, Reason, Record, files, missing, read
from ..model.errors import UsageError
from ..store.catalog import FILE_NAME, Catalog, StoreUnavailableError


@dataclass(slots=True)
class Check:
    """What reading one file to its end has shown."""

    path: Path
    size: int
    records: int = 0
    """Numbered ones: what was received, and notes in its place."""
    frames: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def unsound(self) -> list[Damage]:
        """Damages other than that the program died while it wrote this file."""
        return [damage for damage in self.damages if damage.reason is not Reason.UNCLOSED]

    def take(self, item: Record | Damage) -> None:
        if isinstance(item, Damage):
            self.damages.append(item)
        elif item.content.numbered:
            self.records += 1
            self.frames += len(item.ends)
            name = item.stream.name.lower()
            self.classes[name] = self.classes.get(name, 0) + 1
            self.first_ns = self.first_ns or item.recv_ns
            self.last_ns = item.recv_ns


def consumed(store: StoreConfig) -> frozenset[str]:
    """Journal files that are gone because they were sealed; none where there is no catalog yet."""
    if not store.url and not (store.data_path / FILE_NAME).exists():
        return frozenset()
    catalog = Catalog.of_folder(store.data_path, store.url)
    try:
        return catalog.consumed()
    except StoreUnavailableError:
        return frozenset()
    finally:
        catalog.close()


def verify(places: Iterable[Path], progress: Console | None = None, *, sealed: Collection[str] = ()) -> list[Check]:
    """Read every journal file at `places` (files, or folders at any depth), and notice those that are missing.

    `sealed` are names of files that nobody misses. What is sealed and deleted meanwhile is left out.
    """
    checks: list[Check] = []
    gone: list[Damage] = []
    for place in places:
        if place.is_dir():
            for folder in (place, *sorted(path for path in place.rglob("*") if path.is_dir())):
                found = files(folder)
                gone += missing(found, sealed)
                checks += [Check(file.path, file.size) for file in found]
        else:
            checks.append(Check(place, place.stat().st_size))
    shown = track(checks, "reading", console=progress, transient=True) if progress else checks
    there = []
    for check in shown:
        try:
            for item in read(check.path):
                check.take(item)
        except UsageError:
            if check.path.exists():
                raise
            continue
        check.damages[:0] = [damage for damage in gone if damage.path == check.path]
        there.append(check)
    return there


def show(places: Iterable[Path], out: Console, *, sealed: Collection[str] = ()) -> bool:
    """Print what `verify` finds; True when anything is damaged or missing."""
    checks = verify(places, Console(stderr=True), sealed=sealed)
    for check in checks:
        state = "[red]damaged[/]" if check.unsound else "[yellow]unclosed[/]" if check.damages else "[green]sound[/]"
        classes = ", ".join(f"{name} {count:,}" for name, count in sorted(check.classes.items()))
        times = f"{_time(check.first_ns)} to {_time(check.last_ns)}, " if check.records else ""
        size = f"{check.size / 2**20:,.2f} MiB"
        line = f"{check.path.name}  {state}  {times}{check.records:,} records, {check.frames:,} frames, {size}"
        out.print(f"{line}{f' ({classes})' if classes else ''}", highlight=False, soft_wrap=True)
    for check in checks:
        for damage in check.damages:
            out.print(str(damage), highlight=False, soft_wrap=True, markup=False)
    total = f"{len(checks)} files, {sum(check.records for check in checks):,} records"
    unsound = sum(len(check.unsound) for check in checks)
    out.print(f"{total}, {unsound or 'no'} damage{'' if unsound == 1 else 's'}", highlight=False)
    return unsound > 0


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
