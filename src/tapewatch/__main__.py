"""``python -m tapewatch`` is the command ``tapewatch``."""

from .cli import main

main()
