"""The command line: ``tapewatch run | demo | tui | venue | replay | import | export | journal | doctor``.

Exit codes: 0 done, 2 the command or the configuration is wrong, 1 it could not be done; with one sentence on standard
error for either, and a traceback only with ``--debug``. Heavy modules are imported by the command that needs them, so
that ``--help`` answers at once.
"""

from . import live, stored, upkeep  # each adds its commands, in this order
from .app import app, main

__all__ = ["app", "live", "main", "stored", "upkeep"]
