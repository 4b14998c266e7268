"""Recorded data through the same codec and engine as live sockets: a player, and the report of the state it ends in."""

from .cursor import Cursor, Step
from .player import Player, Position, State
from .recording import Recording
from .replay import play_out, replay_files, write_report
from .stage import Input, Stage

__all__ = [
    "Cursor",
    "Input",
    "Player",
    "Position",
    "Recording",
    "Stage",
    "State",
    "Step",
    "play_out",
    "replay_files",
    "write_report",
]
