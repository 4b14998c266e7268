"""The derivatives panels' view of all venues: what they say now, and what a day of minutes said before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.instrument import Instrument
from ..model.interest import OpenInterest
from .basis import Basis, Limits, Partners, all_mids, basis_row, find_partners, none, read_basis
from .clusters import COVERAGE, UNSTATED, Bounds, clusters
from .cvd import BEHIND_MS, CvdView, Unit, divergences, read_cvd
from .funding import funding_row, normalised, read_momentum, read_rates
from .history import MINUTE_MS, VenueHistory
from .interest import Before, interest_row, read_interest
from .pairs import Venues, is_spot
from .pressure import pressure_rows
from .whales import newest, whale_flow, whale_row


class Venue(Protocol):
    """A venue whose engine may be replaced (a new list of instruments, a seek), so that it is read anew each time."""

    @property
    def engine(self) -> Engine: ...
    @property
    def interest(self) -> Mapping[str, OpenInterest]:
        """The newest open interest told, by symbol."""


class Derivs:
    """Rows for API and stream alike, so that both print the same digits. `observe` once a second."""

    def __init__(self, venues: Mapping[str, Venue], limits: Limits) -> None:
        self._venues = venues
        self.limits = limits
        self._history: dict[str, VenueHistory] = {}
        self._bounds: dict[str, Bounds] = {}
        self._partners: dict[str, Partners] = {}

    @property
    def engines(self) -> Venues:
        """The engines of this moment."""
        return {name: venue.engine for name, venue in self._venues.items()}

    def history(self, name: str) -> VenueHistory:
        """The minutes kept of a venue; begun anew with a new engine."""
        engine = self._venues[name].engine
        known = self._history.get(name)
        if known is None or known.engine is not engine:
            known = self._history[name] = VenueHistory(engine)
        known.fit(len(engine.universe))
        return known

    def bounds(self, name: str) -> Bounds:
        """How many liquidations there may have been, of a venue."""
        engine = self._venues[name].engine
        known = self._bounds.get(name)
        if known is None or known.engine is not engine:
            known = self._bounds[name] = Bounds.of(engine)
        return known

    def observe(self) -> None:
        """Keep what only this moment can tell: the minute's figures, and the flow around each new liquidation."""
        engines = self.engines
        mids = all_mids(engines)
        for name, engine in engines.items():
            history = self.history(name)
            basis = read_basis(engines, name, mids, self._partners_of(engines, name))
            rates = read_rates(engine, history)
            interest = read_interest(engine, self._venues[name].interest)
            figures = {
                "basis": basis.bps,
                "premium": basis.premium_bps,
                "rate": rates.rate,
                "interest": interest.quantity,
            }
            history.keep(figures, rates.next_ms)
            self.bounds(name).keep(COVERAGE.get(name, UNSTATED)[0])

    def _partners_of(self, engines: Venues, name: str) -> Partners:
        found = find_partners(engines, name, self.limits, self._partners.get(name))
        self._partners[name] = found
        return found

    def read_basis(self, name: str) -> Basis:
        """Basis and premium of every instrument of a venue at this moment."""
        engines = self.engines
        return read_basis(engines, name, all_mids(engines), self._partners_of(engines, name))

    # -- rows -------------------------------------------------------------------------------------------------------

    def basis(self, name: str, symbol: str | None = None) -> list[dict[str, Any]]:
        """One row a derivative of a venue: its basis now, an hour and a day ago."""
        engines = self.engines
        mids = all_mids(engines)
        found = read_basis(engines, name, mids, self._partners_of(engines, name))
        history = self.history(name)
        past = {
            f"{figure}_bps_{ago}_ago": history.ago(figure, minutes)
            for figure in ("basis", "premium")
            for ago, minutes in (("1h", 60), ("24h", 1440))
        }
        rows = []
        for one in self._derivatives(name, symbol):
            row = basis_row(engines, name, found, mids, one, self.limits(one.symbol))
            rows.append(row | {key: _past(values, one.index) for key, values in past.items()})
        return rows

    def funding(self, name: str, symbol: str | None = None) -> list[dict[str, Any]]:
        """One row a perpetual of a venue: rate, slope, percentile, next payment."""
        history = self.history(name)
        rates = read_rates(self._venues[name].engine, history)
        momentum = read_momentum(history, rates)
        return [
            funding_row(name, one, rates, momentum, self.limits(one.symbol))
            for one in self._derivatives(name, symbol)
            if one.kind != "future"
        ]

    def interest(self, name: str, symbol: str | None = None) -> list[dict[str, Any]]:
        """One row a derivative of a venue: open interest now, its change over an hour and a day."""
        venue = self._venues[name]
        now, before = read_interest(venue.engine, venue.interest), Before.of(self.history(name))
        return [interest_row(name, one, now, before) for one in self._derivatives(name, symbol)]

    def stale(self, names: Iterable[str]) -> list[str]:
        """Those of the venues that are so far behind the newest event of all that their figures are the past's."""
        clocks = {name: engine.clock_ms for name, engine in self.engines.items()}
        newest = max(clocks.values(), default=0)
        return [name for name in names if newest - clocks[name] > BEHIND_MS]

    def head(self, name: str) -> dict[str, Any]:
        """What is told with the rows of one venue."""
        return {"exchange": name, "since_ts": self.since_ms(name), "stale": self.stale([name])}

    def since_ms(self, name: str) -> int | None:
        """From when on minutes are kept: what is older than this is not known."""
        return self.history(name).first_ms or None

    def minutes(self, name: str, instrument: Instrument, figure: str, minutes: int) -> list[tuple[int, float | None]]:
        """(end of the minute, ms, figure) of one instrument, oldest first; funding in percent per 8 hours."""
        history = self.history(name)
        numbers, values = history.last(figure, minutes)
        if instrument.index >= values.shape[1]:
            return []
        column = values[:, instrument.index]
        if figure == "rate":
            funding_ms = int(read_rates(self._venues[name].engine, history).funding_ms[instrument.index])
            column = np.array([normalised(v, funding_ms)[0] if funding_ms else np.nan for v in column])
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            return []
        shape = {"rate": ".6f", "interest": ".7g"}.get(figure, ".4f")  # no more digits than are kept
        return [
            ((int(number) + 1) * MINUTE_MS, none(float(format(value, shape))))
            for number, value in zip(numbers[known[0] :], column[known[0] :], strict=True)
        ]

    def whales(self, limit: int, exchange: str | None = None, symbol: str | None = None) -> list[dict[str, Any]]:
        """Whales of all venues, or of one, newest first."""
        engines = self._chosen(exchange)
        wanted = (exchange, symbol) if exchange is not None and symbol is not None else None
        return [whale_row(name, engines[name], row) for name, row in newest(engines, limit, wanted)]

    def whale_seq(self, exchange: str | None = None) -> tuple[int, ...]:
        """Differs whenever a whale has come or changed, or an engine was replaced."""
        engines = self._chosen(exchange)
        return tuple(n for engine in engines.values() for n in (id(engine), int(engine.flow.big.meta[3])))

    def whale_flow(self, exchange: str | None = None) -> list[dict[str, Any]]:
        engines = self._chosen(exchange)
        return whale_flow(engines, {name: self.history(name).since_ms for name in engines})

    def _chosen(self, exchange: str | None) -> Venues:
        engines = self.engines
        return engines if exchange is None else {exchange: engines[exchange]}

    def clusters(self, name: str, instrument: Instrument, bucket_ticks: int | None, window_ms: int) -> dict[str, Any]:
        engine, bounds = self._venues[name].engine, self.bounds(name)
        bounds.keep(COVERAGE.get(name, UNSTATED)[0])
        limits = self.limits(instrument.symbol)
        heard_ms = self.history(name).since_ms
        return clusters(engine, instrument, bounds, limits, bucket_ticks, heard_ms, window_ms)

    def cvd(self, name: str, instrument: Instrument, span: str, unit: Unit) -> CvdView:
        return read_cvd(self.engines, name, instrument, span, unit)

    def divergences(self, name: str, instrument: Instrument, unit: Unit) -> dict[str, Any]:
        return divergences(self.engines, name, instrument, unit, self.limits(instrument.symbol))

    def pressure(self, instruments: Iterable[Instrument]) -> list[dict[str, Any]]:
        return pressure_rows(self.engines, instruments, self.limits)

    def _derivatives(self, name: str, symbol: str | None) -> list[Instrument]:
        universe = self._venues[name].engine.universe
        chosen = [universe.get(symbol)] if symbol is not None else universe
        return [one for one in chosen if not is_spot(one) and (one.trading or symbol is not None)]


def _past(values: NDArray[np.float64], i: int) -> float | None:
    return none(round(float(values[i]), 4))
