"""Recordings through the same codec and engine as live sockets, and the report of the state they end in."""

from .recording import Recording
from .replay import Replay, replay_files

__all__ = ["Recording", "Replay", "replay_files"]
