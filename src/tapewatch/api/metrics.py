"""/metrics: everything that can go wrong is a counter, everything that can fill up is a gauge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..feed.status import FeedStatus
from ..hub.hub import Hub
from ..journal import JournalStatus
from ..memory import parts
from ..model.latency import STAGES
from ..model.views import BookState, FeedState
from .view import AlertsView, NodeView

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

TOTALS = {
    "received": ("trades_received", "Trades received as rows, live and by request."),
    "count": ("trades", "Market trades applied."),
    "backfilled": ("trades_by_request", "Trades taken that came by request: into gaps and as history."),
    "excluded": ("trades_excluded", "Prints that are no market trades; in no candle."),
    "duplicates": ("trades_duplicate", "Trades received again and not counted again."),
    "gaps": ("trade_gaps", "Breaks of a trade id chain."),
    "missing": ("trade_ids_missing", "Trade ids that went missing in gaps."),
    "filled": ("trade_ids_filled", "Missing trade ids that came after all."),
    "depth_received": ("depth_received", "Depth rows received."),
    "depth_discarded": ("depth_discarded", "Depth diffs kept for a snapshot and given up when their chain broke."),
    "depth_applied": ("depth_applied", "Depth diffs applied to live books."),
    "depth_dropped": ("depth_dropped", "Depth diffs older than their book, dropped by the venue's rule."),
    "depth_gaps": ("depth_gaps", "Breaks of a depth chain; each resynchronises its book."),
    "depth_resyncs": ("depth_resyncs", "Books brought back in sync by a snapshot."),
}

FeedFigure = tuple[str, str, Callable[[FeedStatus], int]]
FEED_GAUGES: tuple[FeedFigure, ...] = (
    ("streams_silent", "Acknowledged streams that stay silent.", lambda feed: len(feed.silent)),
    ("rest_weight_used", "REST weight used this minute.", lambda feed: feed.weight_used),
    ("rest_weight_limit", "REST weight allowed a minute.", lambda feed: feed.weight_limit),
    ("snapshots_queued", "Book snapshots waiting to be asked for.", lambda feed: feed.snapshots_queued),
)
FEED_COUNTERS: tuple[FeedFigure, ...] = (
    ("reconnects", "Websockets opened again.", lambda feed: feed.reconnects),
    ("snapshots_failed", "Book snapshots that failed.", lambda feed: feed.snapshots_failed),
    ("trades_given_up", "Trades in gaps that the venue cannot fill.", lambda feed: feed.trades_given_up),
    ("history_trades", "Today's trades of before the start, brought in.", lambda feed: feed.history_trades),
    ("trades_backfilled", "Trades fetched to fill gaps.", lambda feed: feed.trades_backfilled),
)


JournalFigure = tuple[str, str, Callable[[JournalStatus], float]]
JOURNAL_GAUGES: tuple[JournalFigure, ...] = (
    ("recording", "1 while what comes is being recorded.", lambda j: float(j.state == "recording")),
    ("journal_queue_bytes", "Received and not yet on the disk.", lambda j: j.queue_bytes),
    ("journal_queue_high_bytes", "The most that ever was.", lambda j: j.queue_high_bytes),
    ("journal_queue_limit_bytes", "Reads beyond this are dropped.", lambda j: j.queue_limit_bytes),
    ("journal_sync_age_seconds", "Age of the oldest byte that is only in memory.", lambda j: j.sync_age_s),
    ("journal_size_bytes", "Journal files on the disk.", lambda j: j.journal_bytes),
    ("journal_guarded", "Classes that the disk guard has stopped.", lambda j: len(j.guarded)),
    ("disk_free_bytes", "Space on the disk of the data folder.", lambda j: j.disk_free_bytes),
)
JOURNAL_COUNTERS: tuple[JournalFigure, ...] = (
    ("journal_records", "Records handed to the operating system.", lambda j: j.records),
    ("journal_records_synced", "Records on the disk.", lambda j: j.synced),
    ("journal_bytes", "Bytes written.", lambda j: j.bytes),
    ("journal_files", "Files begun.", lambda j: j.files),
    ("journal_failures", "Faults of the disk.", lambda j: j.failures),
    ("journal_dropped_reads", "Reads that found the queue full.", lambda j: j.dropped_reads),
    ("journal_expired_files", "Files deleted before they were sealed.", lambda j: j.expired_files),
    ("journal_dropped_frames", "Frames in them.", lambda j: j.dropped_frames),
    ("journal_dropped_bytes", "Bytes in them.", lambda j: j.dropped_bytes),
)


ALERT_FIGURES = {
    "rules": "Alert rules.",
    "firing": "Alerts that have not ended.",
    "fired_by_rules": "Alerts of the present rules since each began.",
    "sent_by_rules": "Of them, sent by themselves.",
    "summarised_by_rules": "Of them, sent in a summary of their rule.",
    "quiet_by_rules": "Of them, noted in quiet hours.",
    "cooling_by_rules": "Times that a cooldown kept the present rules from firing.",
    "outbox_waiting": "Messages on their way.",
    "delivered_total": "Messages that have arrived.",
    "attempts_failed_total": "Attempts to deliver in vain.",
    "dead_letters_total": "Messages laid aside.",
    "unkept_rows_total": "Rows that found the database away for too long.",
    "rule_faults_total": "Looks at a rule that raised; above 0 is a defect.",
    "prices_not_followed_total": "Prices after an alert that were not waited for.",
    "looks_total": "Looks at the market.",
}


class NodeCollector(Collector):
    """Reads the node at scrape time; nothing is counted twice."""

    def __init__(self, node: NodeView, hub: Hub, requests: Counter[int], alerts: AlertsView | None) -> None:
        self._node = node
        self._alerts = alerts
        self._hub = hub
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        yield from self._engines()
        yield from self._feeds()
        yield from self._storage()
        yield from self._serving()
        yield from self._alerting()

    def _engines(self) -> Iterator[Metric]:
        venues = self._node.venues
        totals = {name: venue.engine.totals() for name, venue in venues.items()}
        for key, (metric, words) in TOTALS.items():
            yield _counter(metric, words, {name: float(sums[key]) for name, sums in totals.items()})
        yield _counter("frames", "Websocket frames received.", {name: v.frames for name, v in venues.items()})
        yield _counter("frames_foreign", "Frames of other products.", {name: v.foreign for name, v in venues.items()})
        refused = CounterMetricFamily("tapewatch_frames_refused", "Frames kept aside.", labels=["venue", "reason"])
        wanted = CounterMetricFamily(
            "tapewatch_book_wants", "Times that a book wanted a snapshot, by reason.", labels=["venue", "reason"]
        )
        books = GaugeMetricFamily("tapewatch_books", "Order books by state.", labels=["venue", "state"])
        for name, venue in venues.items():
            for reason, count in venue.quarantine.by_reason.items():
                refused.add_metric([name, reason], count)
            for reason, count in venue.engine.needs_by_reason.items():
                wanted.add_metric([name, reason], count)
            by_state = venue.engine.books_by_state()
            for state in (BookState.WAITING, BookState.LIVE, BookState.STALE):
                books.add_metric([name, state.value], by_state[state])
        yield refused
        yield wanted
        yield books
        yield _gauge("trade_ids_absent", "Trade ids missing now.", {n: sums["absent"] for n, sums in totals.items()})
        yield _gauge(
            "ledger_violations", "Accounts that do not balance; above 0 is a defect.",
            {name: len(venue.ledger.violations) for name, venue in venues.items()},
        )  # fmt: skip
        yield _gauge(
            "frames_refused_of_trades", "Refused frames that named a trade stream.",
            {name: venue.ledger.quarantined_trades() for name, venue in venues.items()},
        )  # fmt: skip
        yield _gauge("instruments", "Instruments known.", {n: len(v.engine.universe) for n, v in venues.items()})
        yield from self._memory()
        yield from self._latency()

    def _memory(self) -> Iterator[Metric]:
        words = "Bytes of a venue's state that have been used, by structure."
        used = GaugeMetricFamily("tapewatch_state_bytes", words, labels=["venue", "part"])
        words = "Bytes of a structure when it has been filled, cells at their present pace."
        full = GaugeMetricFamily("tapewatch_state_full_bytes", words, labels=["venue", "part"])
        for name, venue in self._node.venues.items():
            for part in parts(venue.engine):
                used.add_metric([name, part.name], part.used)
                if part.full is not None:
                    full.add_metric([name, part.name], part.full)
        yield used
        yield full

    def _latency(self) -> Iterator[Metric]:
        words = "The venue's event time to applied, by its clock."
        lag = HistogramMetricFamily("tapewatch_lag_seconds", words, labels=["venue"])
        words = f"Stages on the way to the screen: {', '.join(STAGES)}; docs/performance.md says where each begins."
        stages = HistogramMetricFamily("tapewatch_latency_seconds", words, labels=["venue", "stage"])
        for name, venue in self._node.venues.items():
            lag.add_metric([name], venue.latency.total.cumulative(), venue.latency.total.sum_ms / 1000)
            for stage, took in venue.latency.stages.items():
                stages.add_metric([name, stage], took.cumulative(), took.sum_ms / 1000)
        yield lag
        yield stages

    def _feeds(self) -> Iterator[Metric]:
        feeds = {name: feed.status for name, feed in self._node.feeds.items()}
        states = GaugeMetricFamily("tapewatch_feed_state", "1 for the feed's state.", labels=["venue", "state"])
        for name, feed in feeds.items():
            for state in FeedState:
                states.add_metric([name, state.value], float(feed.state is state))
        yield states
        ages = {n: f.data_age_ms / 1000 for n, f in feeds.items() if f.data_age_ms is not None}
        yield _gauge("data_age_seconds", "Since the newest message.", ages)
        for metric, words, read in FEED_GAUGES:
            yield _gauge(metric, words, {name: read(feed) for name, feed in feeds.items()})
        for metric, words, read in FEED_COUNTERS:
            yield _counter(metric, words, {name: read(feed) for name, feed in feeds.items()})

    def _storage(self) -> Iterator[Metric]:
        journals = self._node.storage.status() if self._node.storage is not None else {}
        for metric, words, read in JOURNAL_GAUGES:
            yield _gauge(metric, words, {name: read(journal) for name, journal in journals.items()})
        for metric, words, read in JOURNAL_COUNTERS:
            yield _counter(metric, words, {name: read(journal) for name, journal in journals.items()})
        sealing = self._node.storage.sealing if self._node.storage is not None else None
        if sealing is not None:
            status = sealing.status
            yield GaugeMetricFamily("tapewatch_seal_waiting_files", "Journal files to be sealed.", status.waiting_files)
            yield GaugeMetricFamily("tapewatch_seal_waiting_bytes", "Their bytes.", status.waiting_bytes)
            yield CounterMetricFamily("tapewatch_sealed_rows", "Rows stored.", status.rows)
            yield CounterMetricFamily("tapewatch_sealed_duplicates", "Rows stored already.", status.duplicates)
            yield CounterMetricFamily("tapewatch_sealer_restarts", "Sealers that died.", sealing.restarts)

    def _serving(self) -> Iterator[Metric]:
        stats = self._hub.stats
        yield GaugeMetricFamily("tapewatch_clients", "Websocket clients.", len(self._hub.clients))
        yield GaugeMetricFamily("tapewatch_topics", "Live topics.", len(self._hub.topics))
        yield CounterMetricFamily("tapewatch_hub_built", "Messages built.", stats.built)
        yield CounterMetricFamily("tapewatch_hub_built_bytes", "Bytes of messages built.", stats.built_bytes)
        yield CounterMetricFamily("tapewatch_hub_snapshots", "Snapshots built.", stats.snapshots)
        yield CounterMetricFamily("tapewatch_hub_delivered", "Messages handed to clients.", stats.delivered)
        yield CounterMetricFamily("tapewatch_hub_skipped", "Updates replaced by newer state.", stats.skipped)
        governor = self._hub.governor
        yield GaugeMetricFamily("tapewatch_load_tier", "0 full, 1 eased, 2 slow, 3 sparse views.", governor.number)
        yield GaugeMetricFamily("tapewatch_loop_busy_ratio", "Share of time the event loop works.", governor.busy)
        yield GaugeMetricFamily("tapewatch_loop_late_seconds", "Longest wait of a timer.", governor.late_ms / 1000)
        yield CounterMetricFamily("tapewatch_load_steps", "Changes of the load tier.", governor.steps)
        yield CounterMetricFamily("tapewatch_hub_faults", "Refreshes of a view that raised.", stats.faults)
        yield GaugeMetricFamily("tapewatch_hub_late_seconds", "Worst recent lateness.", stats.late_ms_max / 1000)
        answers = CounterMetricFamily("tapewatch_http_responses", "HTTP answers.", labels=["status"])
        for status, count in sorted(self._requests.items()):
            answers.add_metric([str(status)], count)
        yield answers

    def _alerting(self) -> Iterator[Metric]:
        for name, value in ({} if self._alerts is None else self._alerts.figures).items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"tapewatch_alerts_{name.removesuffix('_total')}", ALERT_FIGURES[name], value)


def _counter(name: str, words: str, values: dict[str, float] | dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"tapewatch_{name}", words, labels=["venue"])
    for venue, value in values.items():
        family.add_metric([venue], value)
    return family


def _gauge(name: str, words: str, values: dict[str, float] | dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"tapewatch_{name}", words, labels=["venue"])
    for venue, value in values.items():
        family.add_metric([venue], value)
    return family


def registry(node: NodeView, hub: Hub, requests: Counter[int], alerts: AlertsView | None = None) -> CollectorRegistry:
    """A registry of our own: the process-wide default may hold what others registered."""
    own = CollectorRegistry()
    ProcessCollector(registry=own)
    PlatformCollector(registry=own)
    GCCollector(registry=own)
    own.register(NodeCollector(node, hub, requests, alerts))
    return own


def exposition(own: CollectorRegistry) -> bytes:
    """The Prometheus text format."""
    return generate_latest(own)
