"""All workloads by name. Seeded ones take a while to write, so they are kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from platformdirs import user_cache_path

from . import market, recordings
from .workload import Workload

CACHE = user_cache_path("tapewatch") / "bench"
SEEDED = tuple(market.SETS)
RECORDED = tuple(recordings.FILES)


def load(name: str) -> Workload:
    return recordings.load(name) if name in RECORDED else Workload.load(seeded_folder(name))


def seeded_folder(name: str) -> Path:
    """Folder of a seeded set, written if these very sources have not done so yet."""
    sources = [Path(__file__).with_name(source) for source in ("market.py", "workload.py")]
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = CACHE / "sets" / f"{name}-{version}"
    if not folder.is_dir():
        for older in folder.parent.glob(f"{name}-*"):
            shutil.rmtree(older)
        unfinished = folder.with_suffix(".part")
        market.SETS[name]().save(unfinished)
        unfinished.rename(folder)
    return folder


def missing_recordings() -> str | None:
    """A sentence when there are no recordings to play."""
    folder = recordings.folder()
    if all((folder / file).is_file() for files in recordings.FILES.values() for file in files):
        return None
    return f"recordings are left out: they are not in {folder}; TAPEWATCH_DATA names the folder above it"
