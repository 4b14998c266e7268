"""The node's state as Prometheus text, read at the moment of a scrape: nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from .lag import LagMeter
    from .node import Node
    from .venue import VenueNode


class NodeCollector(Collector):
    """Everything worth watching about one node."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def collect(self) -> Iterator[Metric]:
        venues = self.node.venues.values()
        yield _counter("frames", "Websocket frames received.", ((v, v.frames) for v in venues))
        yield _counter(
            "foreign_events", "Events of instruments that are not watched.", ((v, v.foreign) for v in venues)
        )
        yield _counter("unkept_refused_frames", "Refused frames that reached no file.", (
            (v, v.quarantine.unwritten) for v in venues))  # fmt: skip
        yield from self._by_reason()
        yield from self._totals()
        yield from self._books()
        yield from self._feeds()
        yield _histogram("event_lag_seconds", "The venue's event time to applied.", ((v, v.lag) for v in venues))
        yield _histogram("handling_seconds", "Received to applied.", ((v, v.handling) for v in venues))

    def _by_reason(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "tapewatch_refused_frames", "Frames set aside, by reason.", labels=["venue", "reason"]
        )
        needed = CounterMetricFamily(
            "tapewatch_snapshots_needed", "Book snapshots wanted, by reason.", labels=["venue", "reason"]
        )
        for venue in self.node.venues.values():
            for reason, n in sorted(venue.quarantine.by_reason.items()):
                refused.add_metric([venue.name, reason], n)
            for reason, n in sorted(venue.engine.needs_by_reason.items()):
                needed.add_metric([venue.name, reason], n)
        yield refused
        yield needed

    def _totals(self) -> Iterator[Metric]:
        """The engine's own sums: trades, excluded prints, duplicates, gaps, depth rows applied and dropped, resyncs."""
        by_venue = {venue.name: venue.engine.totals() for venue in self.node.venues.values()}
        for name in dict.fromkeys(name for totals in by_venue.values() for name in totals):
            metric = CounterMetricFamily(f"tapewatch_{name}", f"Sum over all instruments: {name}.", labels=["venue"])
            for venue, totals in by_venue.items():
                metric.add_metric([venue], totals[name])
            yield metric

    def _books(self) -> Iterator[Metric]:
        books = GaugeMetricFamily("tapewatch_books", "Order books by state.", labels=["venue", "state"])
        for venue in self.node.venues.values():
            for state, n in sorted(venue.engine.books_by_state().items()):
                books.add_metric([venue.name, str(state)], n)
        yield books

    def _feeds(self) -> Iterator[Metric]:
        rows = [(self.node.venues[name], feed.status) for name, feed in self.node.feeds.items()]
        yield _gauge("instruments", "Instruments the venue lists.", ((v, s.instruments) for v, s in rows))
        yield _gauge("sockets_connected", "Websockets connected.", ((v, s.connected) for v, s in rows))
        yield _counter("reconnects", "Websockets opened again after a loss.", ((v, s.reconnects) for v, s in rows))
        yield _gauge("request_weight_used", "Request weight of this minute.", ((v, s.weight_used) for v, s in rows))
        yield _gauge("request_weight_limit", "Request weight a minute.", ((v, s.weight_limit) for v, s in rows))
        yield _gauge("snapshots_queued", "Book snapshots waiting for room.", ((v, s.snapshots_queued) for v, s in rows))
        yield _counter("snapshots_failed", "Book snapshots refused.", ((v, s.snapshots_failed) for v, s in rows))
        yield _gauge("silent_streams", "Acknowledged streams that are silent.", ((v, len(s.silent)) for v, s in rows))


def _counter(name: str, words: str, rows: Iterable[tuple[VenueNode, float]]) -> Metric:
    metric = CounterMetricFamily(f"tapewatch_{name}", words, labels=["venue"])
    for venue, value in rows:
        metric.add_metric([venue.name], value)
    return metric


def _gauge(name: str, words: str, rows: Iterable[tuple[VenueNode, float]]) -> Metric:
    metric = GaugeMetricFamily(f"tapewatch_{name}", words, labels=["venue"])
    for venue, value in rows:
        metric.add_metric([venue.name], value)
    return metric


def _histogram(name: str, words: str, rows: Iterable[tuple[VenueNode, LagMeter]]) -> Metric:
    metric = HistogramMetricFamily(f"tapewatch_{name}", words, labels=["venue"])
    for venue, meter in rows:
        metric.add_metric([venue.name], meter.cumulative(), meter.sum_ms / 1000)
    return metric


class Metrics:
    """The registry of one node: ours, and the process's memory, CPU and garbage collection."""

    def __init__(self, node: Node) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._registry.register(NodeCollector(node))

    def text(self) -> bytes:
        return generate_latest(self._registry)
