"""Every figure that a rule can watch: its unit, where it comes from, and what null means.

Null never fires and ends nothing: what is not known is not below a threshold either. That something is not known has
figures of its own, those of the feed's health.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..model.detection import DetectionKind

Scope = Literal["instrument", "named", "pair", "venue"]
"""`instrument`: of all at once. `named`: one by one, so only of a few that are named. `pair`: of two. `venue`: one."""

NAMED_AT_MOST = 16
"""Symbols of a rule whose figure is computed for each by itself; as many instruments can be studied."""

FLOW_WINDOWS = ("10s", "1m", "5m", "15m")
EVENT_WINDOWS = ("10s", "1m", "5m", "15m", "1h")
CLUSTER_WINDOWS = ("1h", "4h", "24h")
CHANGE_WINDOWS = ("10s", "1m", "5m", "15m", "1h", "4h", "24h")
WINDOWS_S = {"10s": 10, "1m": 60, "60s": 60, "5m": 300, "15m": 900, "1h": 3_600, "4h": 14_400, "24h": 86_400}


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure. `decimals`: digits that a screen shows; -1: those of the instrument's price."""

    name: str
    label: str
    unit: str
    words: str
    source: str
    null: str
    """When it is not known."""
    windows: tuple[str, ...] = ()
    scope: Scope = "instrument"
    decimals: int = 2
    health: bool = False
    """Of the feed: read by our clock, also while the venue says nothing."""

    @property
    def gathers(self) -> bool:
        """Whether it is made of what came in its window: until that is wholly held, the figure is not known."""
        return self.windows in (FLOW_WINDOWS, EVENT_WINDOWS, CLUSTER_WINDOWS)

    @property
    def only_grows(self) -> bool:
        """Whether what is missing of its window could only make it larger."""
        return self.gathers and self.name not in ("trade_imbalance", "net_flow")


def _detection(kind: DetectionKind) -> Metric:
    return Metric(
        f"detection_{kind.value}",
        f"{kind.value.capitalize()} detected",
        "confidence",
        f"Highest confidence (0 to 1) of a {kind.value} event that began or grew in the window; 0: none.",
        "detectors of the liquidity lab",
        "the instrument is not studied yet",
        EVENT_WINDOWS[:4],
        "named",
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "price", "Last price", "quote", "Price of the newest trade.", "trades", "no trade has been heard",
            decimals=-1,
        ),
        Metric(
            "price_change", "Price change", "%", "Newest price against the last one before the window.", "trades",
            "no trade of before the window is held", CHANGE_WINDOWS,
        ),
        Metric(
            "change_24h", "Change 24 h (venue)", "%", "The venue's own figure.", "24 h ticker", "not told yet",
        ),
        Metric(
            "spread", "Spread", "bps", "Best ask minus best bid, over the mid price.", "book, else best quote",
            "no live book and no best quote newer than 2 s", decimals=3,
        ),
        Metric(
            "trade_imbalance", "Order imbalance", "[-1, 1]", "(bought - sold) / (bought + sold) by aggressors.",
            "trades", "nothing traded in the window", FLOW_WINDOWS, decimals=3,
        ),
        Metric(
            "net_flow", "Net flow", "quote", "Bought minus sold notional of aggressors.", "trades",
            "no trade has been heard", FLOW_WINDOWS, decimals=0,
        ),
        Metric(
            "volume", "Traded notional", "quote", "Bought plus sold notional.", "trades", "no trade has been heard",
            FLOW_WINDOWS, decimals=0,
        ),
        Metric(
            "book_imbalance", "Book imbalance", "[-1, 1]", "(bids - asks) / (bids + asks) over the top 10 levels.",
            "book", "no live book", decimals=3,
        ),
        Metric(
            "cvd_divergence", "CVD divergence", "z",
            "Net flow in units of its usual size where it disagrees with price: + buyers were net while price fell, "
            "- sellers while it rose; 0 where both agree.",
            "trades", "fewer than 8 earlier windows are held", ("60s", "5m", "15m", "1h"), "named",
        ),
        Metric(
            "funding", "Funding, 8 h", "% / 8 h", "Rate of the next payment, normalised to 8 hours.",
            "mark price stream", "no rate, or its interval, has been told", decimals=4,
        ),
        Metric(
            "funding_rate", "Funding rate", "%", "Rate of the next payment, for its own interval.", "mark price stream",
            "no rate has been told", decimals=4,
        ),
        Metric(
            "basis", "Basis", "bps", "Mid price over the spot mid price of the same moment.", "books of both markets",
            "no spot market, no mid price, or times too far apart",
        ),
        Metric(
            "premium", "Premium", "bps", "Mark price over index price.", "mark price stream", "not told yet",
        ),
        Metric(
            "liquidations", "Liquidations", "quote", "Notional of reported liquidations.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "liquidations_long", "Long liquidations", "quote", "The same, of long positions.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "liquidations_short", "Short liquidations", "quote", "The same, of short positions.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "cluster", "Liquidation cluster", "quote", "Notional of the largest price bucket of reported liquidations.",
            "liquidation stream", "the venue has none (spot)", CLUSTER_WINDOWS, "named", decimals=0,
        ),
        Metric(
            "cluster_share", "Cluster / depth", "ratio",
            "Largest share that a bucket's liquidations are of the live book's depth on the way to it.",
            "liquidation stream, book", "no live book, or no liquidation", CLUSTER_WINDOWS, "named",
        ),
        Metric(
            "whale", "Whale print", "quote", "Largest whale order, of either side.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "whale_buy", "Whale bought", "quote", "Largest whale order that bought.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "whale_sell", "Whale sold", "quote", "Largest whale order that sold.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0,
        ),
        Metric(
            "big_flow", "Big flow", "% of ADV", "Largest episode of either side, as a share of an average day.",
            "trades, daily volumes", "average daily volume is not known", EVENT_WINDOWS, decimals=3,
        ),
        Metric(
            "big_flow_buy", "Big flow, buying", "% of ADV", "The same, of buyers.", "trades, daily volumes",
            "average daily volume is not known", EVENT_WINDOWS, decimals=3,
        ),
        Metric(
            "big_flow_sell", "Big flow, selling", "% of ADV", "The same, of sellers.", "trades, daily volumes",
            "average daily volume is not known", EVENT_WINDOWS, decimals=3,
        ),
        Metric(
            "pair_z", "Pair spread z", "z",
            "ln A - beta ln B against its own last bars (mean and standard deviation, the running bar among them).",
            "trades", "not all bars of both are held", ("1m", "5m", "15m"), "pair",
        ),
        *map(_detection, DetectionKind),
        Metric(
            "quiet", "Seconds without a trade", "s", "Since the newest trade of the instrument.", "trades, our clock",
            "no trade has been heard", decimals=0, health=True,
        ),
        Metric(
            "book_stale", "Book out of sync", "1 = yes", "1 while a followed book is not the venue's, else 0.", "book",
            "no book of it is kept", decimals=0, health=True,
        ),
        Metric(
            "trades_missing", "Trade ids missing", "trades", "Ids missing from the chain now.", "trade ids",
            "never", decimals=0, health=True,
        ),
        Metric(
            "venue_down", "Venue down", "1 = yes", "1 while its feed is down, stale or still connecting, else 0.",
            "feed", "never", scope="venue", decimals=0, health=True,
        ),
        Metric(
            "data_age", "Age of data", "s", "Since the newest message of the venue.", "feed",
            "no message has come yet", scope="venue", decimals=1, health=True,
        ),
        Metric(
            "lag", "Lag p99", "ms", "Venue's event time to applied here.", "feed", "no event has come yet",
            scope="venue", decimals=1, health=True,
        ),
        Metric(
            "books_stale", "Books out of sync", "%", "Share of the followed books that are not in sync.", "books",
            "no book is kept", scope="venue", decimals=1, health=True,
        ),
    )
}  # fmt: skip
"""By name, in the order in which they are offered."""
