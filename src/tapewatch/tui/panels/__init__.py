"""The six panels: each draws one moment (`Shown`) into lines of a given size."""

from __future__ import annotations

from collections.abc import Callable

from ..choice import Panel
from ..grid import Line
from ..market import Shown
from .basis import basis
from .clusters import clusters
from .cvd import cvd
from .flow import flow
from .funding import funding
from .whales import whales

Draw = Callable[[Shown, int, int], list[Line]]

DRAW: dict[Panel, Draw] = {
    "flow": flow, "cvd": cvd, "basis": basis, "funding": funding, "clusters": clusters, "whales": whales,
}  # fmt: skip
NAMES: dict[Panel, str] = {
    "flow": "ORDER FLOW", "cvd": "CVD DIVERGENCE", "basis": "BASIS", "funding": "FUNDING", "clusters": "LIQUIDATIONS",
    "whales": "WHALES",
}  # fmt: skip


def subject(panel: Panel, shown: Shown) -> str:
    """What a panel is about: market, window, venues, unit."""
    choice = shown.choice
    venues = "all venues" if choice.venue == "all" else choice.venue
    window, unit = choice.window(panel), choice.unit(panel)
    match panel:
        case "flow":
            return f"{window} · {venues} · {unit}"
        case "cvd":
            told = shown.cvd.meta["unit"] if shown.cvd else unit
            return f"{choice.coin} {window} · {venues} · {told}"
        case "basis":
            return f"perp - spot · {venues} · {unit}"
        case "funding":
            return f"next rate · {venues} · {unit}"
        case "clusters":
            return f"{choice.coin} {window} · {venues} · {unit}"
        case "whales":
            return f"{'newest' if window == 'all' else window} · {venues} · {unit}"
