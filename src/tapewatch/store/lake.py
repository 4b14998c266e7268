"""Where the segments of a data folder lie when they do not lie in it: on a larger disk, or a mounted share."""

from __future__ import annotations

from pathlib import Path

from ..model.errors import UsageError
from .writer import SEGMENTS


def settle(data: Path, lake: str) -> None:
    """Let the segments of the data folder be in the folder `lake` from now on ("": where they are).

    The folder's `segments` becomes a link, so paths in the catalog stay as they are. Nothing is ever moved: raises
    UsageError where that would be needed, or where `lake` holds what is not ours, which a start would tidy away.
    """
    if not lake:
        return
    link, target = data / SEGMENTS, Path(lake).expanduser().absolute()
    if link.is_symlink() and link.resolve() == target.resolve():
        target.mkdir(parents=True, exist_ok=True)
        return
    if link.is_symlink() or (link.exists() and any(link.iterdir())):
        raise UsageError(
            f"store.lake: the segments of {data} are in {link.resolve()}; move them to {target} while nothing runs, "
            f"and make {link} a link to it"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"store.lake: {target} is not an empty folder, and not that of {data}")
    target.mkdir(parents=True, exist_ok=True)
    if link.exists():
        link.rmdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target, target_is_directory=True)
