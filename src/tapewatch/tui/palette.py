"""Roles as colours, in three palettes that mean the same. Nothing is told by colour alone: signs and words say it, too.

Green buys, red sells, yellow cautions, magenta is a whale's, cyan the frames', blue where flow and price agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rich.style import Style

from .grid import Role

Name = Literal["classic", "colour-safe", "16"]


@dataclass(frozen=True, slots=True)
class Palette:
    """Foregrounds by role on one background; None is the terminal's own."""

    name: Name
    background: str | None
    colours: Mapping[Role, str]

    def style(self, role: Role) -> Style:
        """How a piece of this role is drawn."""
        return Style(
            color=self.colours[role],
            bgcolor=self.background,
            bold=role in _BOLD,
            reverse=role == "selected",
        )


_BOLD: frozenset[Role] = frozenset({"focus", "title", "key", "selected"})

CLASSIC = Palette(
    "classic",
    "#131722",
    {
        "text": "#d2dae2", "muted": "#96a0af", "faint": "#5d6675", "buy": "#26c281", "sell": "#ff5c57",
        "caution": "#f0c000", "whale": "#e07be0", "frame": "#2f8a96", "focus": "#4fe3f7", "aligned": "#6aa5ff",
        "title": "#d2dae2", "key": "#4fe3f7", "selected": "#4fe3f7",
    },
)  # fmt: skip
COLOUR_SAFE = Palette(
    "colour-safe",
    "#131722",
    # Buy and sell are Okabe and Ito's sky blue and orange: ΔE of 87 and more under every colour-vision deficiency.
    {
        "text": "#d2dae2", "muted": "#96a0af", "faint": "#5d6675", "buy": "#56b4e9", "sell": "#e69f00",
        "caution": "#f0e442", "whale": "#cc79a7", "frame": "#2f8a96", "focus": "#4fe3f7", "aligned": "#b9a6ff",
        "title": "#d2dae2", "key": "#4fe3f7", "selected": "#4fe3f7",
    },
)  # fmt: skip
SIXTEEN = Palette(
    "16",
    None,
    {
        "text": "default", "muted": "default", "faint": "bright_black", "buy": "bright_green", "sell": "bright_red",
        "caution": "bright_yellow", "whale": "bright_magenta", "frame": "cyan", "focus": "bright_cyan",
        "aligned": "bright_blue", "title": "default", "key": "bright_cyan", "selected": "bright_cyan",
    },
)  # fmt: skip
PALETTES: dict[str, Palette] = {one.name: one for one in (CLASSIC, COLOUR_SAFE, SIXTEEN)}
