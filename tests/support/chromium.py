"""Find a Chromium or Chrome for the browser tests, or install one with the platform's own means.

``python tests/support/chromium.py`` prints the one it finds; ``--install`` installs one first where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ADVICE = (
    "the browser tests need Chromium or Chrome: install one with your system's package manager "
    "or set CHROME to its path"
)


def find_chromium() -> str | None:
    """Path of a browser that starts: CHROME, else one on PATH, else where macOS or playwright keeps it."""
    for path in _candidates():
        if Path(path).is_file() and _starts(path):
            return path
    return None


def _candidates() -> Iterator[str]:
    if chosen := os.environ.get("CHROME"):
        yield chosen
    yield from filter(None, map(shutil.which, NAMES))
    yield from MAC
    for cache in (Path.home() / ".cache" / "ms-playwright", Path.home() / "Library" / "Caches" / "ms-playwright"):
        yield from (str(path) for path in sorted(cache.glob("chromium-*/chrome-*/**/chrome"), reverse=True))


def _starts(path: str) -> bool:
    """Ubuntu's `chromium-browser` is a script that only names the snap to install: ask, do not trust the name."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False, timeout=180).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _recipes() -> Iterator[list[list[str]]]:
    """Ways to install one here, each a list of commands; the first that leads to a browser is enough."""
    if shutil.which("apt-get"):
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if not root or (shutil.which("sudo") and subprocess.run([*root, "true"], check=False).returncode == 0):
            environment = [*root, "env", "DEBIAN_FRONTEND=noninteractive"]
            install = [*environment, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
            yield [[*environment, "apt-get", "update", "-qq"], install]
    if shutil.which("brew"):
        yield [["brew", "install", "--cask", "chromium"]]
    # Where the system packages none (Ubuntu outside snap): the build that playwright keeps for this platform.
    with_libraries = ["--with-deps"] if sys.platform == "linux" and os.geteuid() == 0 else []
    yield [[sys.executable, "-m", "playwright", "install", *with_libraries, "chromium"]]


def install_chromium() -> str | None:
    """Find a browser, or install one; the installers' own output is shown."""
    found = find_chromium()
    for recipe in [] if found else _recipes():
        print(f"no Chromium found; running: {' '.join(recipe[-1])}", file=sys.stderr)  # noqa: T201
        for command in recipe:
            if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
                break
        if found := find_chromium():
            break
    return found


if __name__ == "__main__":
    browser = install_chromium() if "--install" in sys.argv[1:] else find_chromium()
    if browser is None:
        sys.exit(ADVICE)
    print(browser)  # noqa: T201
