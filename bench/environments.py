"""One environment for each peer, made when it is first needed, so that no peer's requirements change another's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .report import say
from .sets import CACHE

PEERS = CACHE / "peers"


@dataclass(frozen=True, slots=True)
class Environment:
    """What a peer needs; `python` is the oldest version it runs on."""

    name: str
    requirements: tuple[str, ...]
    python: tuple[int, int] = (3, 11)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("cryptofeed", ("cryptofeed==3.0.1",), (3, 13)),
        Environment("ccxt", ("ccxt==4.5.90", "orjson")),
        Environment("nautilus_trader", ("nautilus_trader==1.231.0", "orjson"), (3, 12)),
        Environment("python-binance", ("python-binance==1.0.37", "orjson")),
        Environment("hftbacktest", ("hftbacktest==2.4.4",)),
        Environment("frames", ("polars==2.1.0", "duckdb==2.0.0", "pandas==3.1.1", "pyarrow", "numpy")),
    )
}


class CannotBeMade(Exception):  # noqa: N818  (it says what it is)
    """An environment that cannot be made here, and why."""


def interpreter(name: str) -> Path:
    """The interpreter of an environment, made now if need be; CannotBeMade says what is missing."""
    wanted = ENVIRONMENTS[name]
    key = hashlib.sha256(" ".join(wanted.requirements).encode()).hexdigest()[:8]
    folder = PEERS / f"{name}-{key}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    base = _python_of(wanted.python)
    if base is None:
        raise CannotBeMade(f"{name} needs Python {wanted.python[0]}.{wanted.python[1]}, and there is none on the PATH")
    say(f"making an environment with {', '.join(wanted.requirements)}")
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", str(folder)], [*pip, *wanted.requirements]):
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (names from above)
        if run.returncode:
            why = (run.stderr.strip() or run.stdout.strip() or "no reason given").splitlines()[-1]
            raise CannotBeMade(f"{name} cannot be installed: {why}")
    (folder / "complete").touch()
    return python


def _python_of(oldest: tuple[int, int]) -> str | None:
    """An interpreter of at least this version: our own, one on the PATH, or one of pyenv's."""
    if sys.version_info[:2] >= oldest:
        return sys.executable
    for minor in range(oldest[1], oldest[1] + 4):
        name = f"python{oldest[0]}.{minor}"
        kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        found = [shutil.which(name), *map(str, sorted(kept.glob(f"{oldest[0]}.{minor}*/bin/{name}")))]
        for candidate in filter(None, found):
            probe = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)  # noqa: S603
            if probe.returncode == 0:
                return candidate
    return None
