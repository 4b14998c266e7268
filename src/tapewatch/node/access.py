"""The access token: needed as soon as we listen on anything but loopback, kept in a file only its owner can read."""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from ..config import Config
from ..model.errors import TapewatchError

TOKEN_FILE = "token"  # noqa: S105 - a file name
TOKEN_BYTES = 32


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def access_token(config: Config) -> tuple[str, bool]:
    """The token clients must show ("" when none is needed), and whether it was made just now and must be told."""
    if config.server.token or is_loopback(config.server.host):
        return config.server.token, False
    path = config.node.state_path / TOKEN_FILE
    kept = _read(path)
    if kept:
        return kept, False
    token = secrets.token_urlsafe(TOKEN_BYTES)
    _write(path, token)
    return token, True


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077 and os.name == "posix":
            raise TapewatchError(f"{path} can be read by others; make it private with: chmod 600 {path}")
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise TapewatchError(f"the access token in {path} cannot be read: {error}") from error


def _write(path: Path, token: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Created private: there is no moment at which others could read it.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise TapewatchError(f"the access token cannot be kept in {path}: {error.strerror}") from error
