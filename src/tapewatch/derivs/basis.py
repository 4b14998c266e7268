"""Basis: what a derivative costs above spot, from mid prices of the same moment.

    basis = (derivative mid - spot mid) / spot mid, in basis points

Both mids are read in one instant and hold as of their own venue's newest event; where those two times are further apart
than `mids_apart_ms` there is no basis. Names are not enough to know that two markets are about the same thing: where
the venue's own index price, or else the mid itself, is further than `SAME_ASSET` from the spot price, they are not, and
there is no basis either. Where no spot market of the coin is at hand there is none either: the premium of
the mark over the index price is another figure and goes by its own name. Dated futures are annualised by the days that
are left (simple, 365 days); perpetuals have no maturity, and what is annualised there is their funding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.derivs import DerivsThresholds
from ..model.instrument import Instrument
from .mids import KNOWN, WHY_NO_MID, Mids, read_mids
from .pairs import Venues, coin_of, is_spot

DAY_MS = 86_400_000
SAME_ASSET = 0.2
"""Relative distance of two prices of one asset at most; a basis beyond it would be the end of the market."""
Limits = Callable[[str], DerivsThresholds]
"""The thresholds that hold for a symbol."""


def state_of(basis_bps: float, limits: DerivsThresholds) -> str | None:
    """FLAT, CONTANGO, BACKWARDATION, or one of these two STEEP; None where the basis is not known."""
    if isnan(basis_bps):
        return None
    size = abs(basis_bps)
    if size <= limits.basis_flat_bps and size < limits.basis_steep_bps:
        return "FLAT"
    word = "CONTANGO" if basis_bps > 0 else "BACKWARDATION"
    return f"STEEP {word}" if size >= limits.basis_steep_bps else word


def annualised_percent(basis_bps: float, left_ms: int) -> float:
    """A dated future's basis a year, percent: (F / S - 1) x 365 / days."""
    return basis_bps / 100 * 365 * DAY_MS / left_ms


@dataclass(slots=True)
class Partners:
    """The spot market of each instrument of a venue: made anew when a universe changes."""

    versions: tuple[int, ...]
    venue: list[str | None] = field(default_factory=list)
    index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    units: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Coins a unit of the instrument over coins a unit of its partner."""
    apart_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(slots=True)
class Basis:
    """Figures of one venue at this moment, by instrument index; NaN is unknown."""

    mids: Mids
    bps: NDArray[np.float64]
    premium_bps: NDArray[np.float64]
    spot: NDArray[np.float64]
    """The partner's mid price, as the partner prints it."""
    apart_ms: NDArray[np.int64]
    other_asset: NDArray[np.bool_]
    """What goes by the same name on the spot market is something else."""
    partners: Partners


def find_partners(venues: Venues, name: str, limits: Limits, known: Partners | None) -> Partners:
    """The spot market of each instrument: of the same coin and quote currency, of the same venue if it has one."""
    versions = tuple(engine.universe.version for engine in venues.values())
    if known is not None and known.versions == versions:
        return known
    spots: dict[tuple[str, str], tuple[str, Instrument]] = {}
    for venue in sorted(venues, key=lambda other: other != f"{name}-spot"):
        for one in venues[venue].universe:
            if is_spot(one) and one.trading:
                spots.setdefault((coin_of(one).name, one.quote), (venue, one))
    found = Partners(versions)
    index, units, apart = [], [], []
    for one in venues[name].universe:
        coin = coin_of(one)
        venue_spot = None if is_spot(one) else spots.get((coin.name, one.quote))
        found.venue.append(venue_spot[0] if venue_spot else None)
        index.append(venue_spot[1].index if venue_spot else -1)
        units.append(coin.units / coin_of(venue_spot[1]).units if venue_spot else np.nan)
        apart.append(limits(one.symbol).mids_apart_ms)
    found.index, found.units = np.array(index, np.int64), np.array(units, np.float64)
    found.apart_ms = np.array(apart, np.int64)
    return found


def read_basis(venues: Venues, name: str, mids: dict[str, Mids], partners: Partners) -> Basis:
    """Basis and premium of every instrument of venue `name`; `mids` of all venues are of this moment."""
    engine, here = venues[name], mids[name]
    n = len(here.price)
    spot, apart = np.full(n, np.nan), np.zeros(n, np.int64)
    of_venue = np.array([venue or "" for venue in partners.venue])
    for venue, there in mids.items():
        chosen = np.flatnonzero(of_venue == venue)
        if len(chosen):
            spot[chosen] = there.price[partners.index[chosen]]
            apart[chosen] = abs(here.clock_ms - there.clock_ms)
    with np.errstate(divide="ignore", invalid="ignore"):
        theirs = spot * partners.units
        bps = (here.price / theirs - 1) * 1e4
        marks = engine.quotes.marks[:n]
        index = np.where(marks["index_e8"] > 0, marks["index_e8"] / 1e8, np.nan)
        premium = (marks["mark_e8"] / 1e8 / index - 1) * 1e4
        reference = np.where(np.isnan(index), here.price, index)
        other_asset = np.abs(reference / theirs - 1) > SAME_ASSET
    bps[(apart > partners.apart_ms) | other_asset] = np.nan
    return Basis(here, np.round(bps, 4), np.round(premium, 4), spot, apart, other_asset, partners)


def why_unknown(found: Basis, mids: dict[str, Mids], i: int, instrument: Instrument) -> str | None:
    """One sentence on why instrument `i` has no basis; None where it has one."""
    if not isnan(found.bps[i]):
        return None
    partner = found.partners.venue[i]
    if partner is None:
        return f"no spot market of {coin_of(instrument).name}/{instrument.quote} is at hand"
    if found.mids.why[i] != KNOWN:
        return WHY_NO_MID[int(found.mids.why[i])]
    there = int(mids[partner].why[found.partners.index[i]])
    if there != KNOWN:
        return f"spot: {WHY_NO_MID[there]}"
    if found.other_asset[i]:
        return f"the spot market of that name trades at {found.spot[i]:.6g}: it is another asset"
    return f"the venues' times are {int(found.apart_ms[i])} ms apart"


def basis_row(
    venues: Venues, name: str, found: Basis, mids: dict[str, Mids], instrument: Instrument, limits: DerivsThresholds
) -> dict[str, Any]:
    """What is told about one instrument, but for comparisons with the past."""
    i = instrument.index
    partner = found.partners.venue[i]
    spot = None if partner is None else venues[partner].universe[int(found.partners.index[i])]
    bps = float(found.bps[i])
    left_ms = instrument.delivery_ms - found.mids.clock_ms
    dated = instrument.kind == "future" and left_ms > 0 and not isnan(bps)
    return {
        "exchange": name,
        "symbol": instrument.symbol,
        "kind": instrument.kind,
        "price_decimals": instrument.tick.decimals,
        "mid": _mid(instrument, found.mids.price[i]),
        "spot_exchange": partner,
        "spot_symbol": None if spot is None else spot.symbol,
        "spot_decimals": None if spot is None else spot.tick.decimals,
        "spot_mid": None if spot is None else _mid(spot, found.spot[i]),
        "basis_bps": none(bps),
        "state": state_of(bps, limits),
        "annualised_pct": round(annualised_percent(bps, left_ms), 4) if dated else None,
        "premium_bps": none(float(found.premium_bps[i])),
        "why": why_unknown(found, mids, i, instrument),
    }


def _mid(instrument: Instrument, price: float) -> float | None:
    """Exact to half a tick."""
    return None if isnan(price) else round(float(price), instrument.tick.decimals + 1)


def none(value: float) -> float | None:
    """NaN is null."""
    return None if isnan(value) else value


def all_mids(venues: Venues) -> dict[str, Mids]:
    """Mid prices of every venue, read in one instant."""
    return {name: read_mids(engine) for name, engine in venues.items()}
