"""Rules, episodes and figures as API and stream tell them, so that both print the same."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import Any

import msgspec

from .alerts import Watch
from .episode import Episode, condition
from .metrics import METRICS, Metric
from .readings import Readings
from .rule import WHOLE_VENUE

SIGNIFICANT = 10
"""Digits of a value: a figure is a float, and shows no more than it knows."""


def rounded(value: float | None) -> float | None:
    """A value with the digits it has; unknown is None."""
    return None if value is None or isnan(value) else float(f"{value:.{SIGNIFICANT}g}")


def rule_row(watch: Watch) -> dict[str, Any]:
    """A rule as it was written, and where it stands."""
    return {
        "id": watch.id,
        "revision": watch.revision,
        **msgspec.to_builtins(watch.rule),
        "condition": condition(watch.rule),
        "unit": watch.rule.of.unit,
        "decimals": watch.rule.of.decimals,
        "state": "off" if not watch.rule.enabled else "firing" if watch.open else "watching",
        "waiting": watch.waiting,
        "value": rounded(watch.value),
        "firing": watch.firing(),
        "pending": watch.pending(),
        "last_fired_ts": watch.last_fired_ms,
        "counts": asdict(watch.counts),
    }


def episode_row(episode: Episode) -> dict[str, Any]:
    """An alert and what followed; `symbol` is null where it is of a venue as a whole."""
    return {
        "key": episode.key,
        "rule_id": episode.rule_id,
        "revision": episode.revision,
        "rule": episode.name,
        "severity": episode.severity,
        "exchange": episode.exchange,
        "symbol": None if episode.symbol == WHOLE_VENUE else episode.symbol,
        "start_ts": episode.start_ms,
        "fired_ts": episode.fired_ms,
        "value": rounded(episode.value),
        "price": rounded(episode.price),
        "told": episode.told,
        "ended_ts": episode.ended_ms,
        "ended_by": episode.ended_by,
        "acked_ts": episode.acked_ms,
        "after_1m_pct": episode.after_1m,
        "after_5m_pct": episode.after_5m,
        "after_15m_pct": episode.after_15m,
    }


def metric_rows(readings: Readings, exchange: str, symbol: str) -> list[dict[str, Any]]:
    """Every figure: unit, source, what null means, and what it is now for one symbol, by window ("" where it has none).

    Figures of a pair have no value here: they need the other side. Looking begins no study.
    """
    instrument = readings.venues[exchange].engine.universe.get(symbol)
    readings.begin()
    rows = []
    for metric in METRICS.values():
        windows = metric.windows or ("",)
        values = {
            window: None
            if metric.scope == "pair"
            else rounded(readings.one(exchange, metric, window, instrument, begin=False))
            for window in windows
        }
        rows.append(_described(metric) | {"values": values})
    return rows


def _described(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "words": metric.words,
        "source": metric.source,
        "null_means": metric.null,
        "windows": list(metric.windows),
        "scope": metric.scope,
        "decimals": metric.decimals,
    }
