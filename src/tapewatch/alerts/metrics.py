"""Every figure that a rule can watch: its unit, where it comes from, what null means, and what history there is of it.

Null never fires and ends nothing: what is not known is not below a threshold either. That something is not known has
figures of its own, those of the feed's health.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..model.detection import DetectionKind

Scope = Literal["instrument", "named", "pair", "venue"]
"""`instrument`: of all at once. `named`: one by one, so only of a few that are named. `pair`: of two. `venue`: one."""
History = Literal["candles", "liquidations", "pair", ""]
"""What of the store a dry run reads; "": there is none."""

NAMED_AT_MOST = 16
"""Symbols of a rule whose figure is computed for each by itself; as many instruments can be studied."""

FLOW_WINDOWS = ("10s", "1m", "5m", "15m")
EVENT_WINDOWS = ("10s", "1m", "5m", "15m", "1h")
CHANGE_WINDOWS = ("10s", "1m", "5m", "15m", "1h", "4h", "24h")
WINDOWS_S = {"10s": 10, "1m": 60, "60s": 60, "5m": 300, "15m": 900, "1h": 3_600, "4h": 14_400, "24h": 86_400}

NO_MINUTES = "no minutes of it are stored"


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
    history: History = ""
    no_history: str = NO_MINUTES
    health: bool = False
    """Of the feed: read by our clock, also while the venue says nothing."""


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
        no_history="detections are not stored",
    )


_NO_BOOK_HISTORY = "books are not stored by the minute"
_STORED: History = "candles"
_NOT_STORED = "the feed's health is not stored"
_DAY_OF_RATES = "rates are kept for a day, in memory"
_NO_FLOW_STORED = "episodes of big flow are not stored"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "price", "Last price", "quote", "Price of the newest trade.", "trades", "no trade has been heard",
            decimals=-1, history=_STORED,
        ),
        Metric(
            "price_change", "Price change", "%", "Newest price against the last one before the window.", "trades",
            "no trade of before the window is held", CHANGE_WINDOWS, history=_STORED,
        ),
        Metric(
            "change_24h", "Change 24 h (venue)", "%", "The venue's own figure.", "24 h ticker", "not told yet",
            no_history="the venue's own figure is not stored; price_change over 24h is",
        ),
        Metric(
            "spread", "Spread", "bps", "Best ask minus best bid, over the mid price.", "book, else best quote",
            "no live book and no best quote newer than 2 s", decimals=3, no_history=_NO_BOOK_HISTORY,
        ),
        Metric(
            "trade_imbalance", "Order imbalance", "[-1, 1]", "(bought - sold) / (bought + sold) by aggressors.",
            "trades", "nothing traded in the window", FLOW_WINDOWS, decimals=3, history=_STORED,
        ),
        Metric(
            "net_flow", "Net flow", "quote", "Bought minus sold notional of aggressors.", "trades",
            "no trade has been heard", FLOW_WINDOWS, decimals=0, history=_STORED,
        ),
        Metric(
            "volume", "Traded notional", "quote", "Bought plus sold notional.", "trades", "no trade has been heard",
            FLOW_WINDOWS, decimals=0, history=_STORED,
        ),
        Metric(
            "book_imbalance", "Book imbalance", "[-1, 1]", "(bids - asks) / (bids + asks) over the top 10 levels.",
            "book", "no live book", decimals=3, no_history=_NO_BOOK_HISTORY,
        ),
        Metric(
            "cvd_divergence", "CVD divergence", "z",
            "Net flow in units of its usual size where it disagrees with price: + buyers were net while price fell, "
            "- sellers while it rose; 0 where both agree.",
            "trades", "fewer than 8 earlier windows are held", ("60s", "5m", "15m", "1h"), "named",
            no_history="significance rests on seconds and minutes that only memory holds together",
        ),
        Metric(
            "funding", "Funding, 8 h", "% / 8 h", "Rate of the next payment, normalised to 8 hours.",
            "mark price stream", "no rate, or its interval, has been told", decimals=4, no_history=_DAY_OF_RATES,
        ),
        Metric(
            "funding_rate", "Funding rate", "%", "Rate of the next payment, for its own interval.", "mark price stream",
            "no rate has been told", decimals=4, no_history=_DAY_OF_RATES,
        ),
        Metric(
            "basis", "Basis", "bps", "Mid price over the spot mid price of the same moment.", "books of both markets",
            "no spot market, no mid price, or times too far apart", no_history="basis is kept for a day, in memory",
        ),
        Metric(
            "premium", "Premium", "bps", "Mark price over index price.", "mark price stream", "not told yet",
            no_history="premium is kept for a day, in memory",
        ),
        Metric(
            "liquidations", "Liquidations", "quote", "Notional of reported liquidations.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0, history="liquidations",
        ),
        Metric(
            "liquidations_long", "Long liquidations", "quote", "The same, of long positions.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0, history="liquidations",
        ),
        Metric(
            "liquidations_short", "Short liquidations", "quote", "The same, of short positions.", "liquidation stream",
            "the venue has none (spot)", EVENT_WINDOWS, decimals=0, history="liquidations",
        ),
        Metric(
            "cluster", "Liquidation cluster", "quote", "Notional of the largest price bucket of reported liquidations.",
            "liquidation stream", "the venue has none (spot)", ("1h", "4h", "24h"), "named", decimals=0,
            no_history="buckets follow the price of their moment, which is not kept",
        ),
        Metric(
            "cluster_share", "Cluster / depth", "ratio",
            "Largest share that a bucket's liquidations are of the live book's depth on the way to it.",
            "liquidation stream, book", "no live book, or no liquidation", ("1h", "4h", "24h"), "named",
            no_history=_NO_BOOK_HISTORY,
        ),
        Metric(
            "whale", "Whale print", "quote", "Largest whale order, of either side.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0, no_history="parent orders are not stored",
        ),
        Metric(
            "whale_buy", "Whale bought", "quote", "Largest whale order that bought.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0, no_history="parent orders are not stored",
        ),
        Metric(
            "whale_sell", "Whale sold", "quote", "Largest whale order that sold.", "trades",
            "no trade has been heard", EVENT_WINDOWS, decimals=0, no_history="parent orders are not stored",
        ),
        Metric(
            "big_flow", "Big flow", "% of ADV", "Largest episode of either side, as a share of an average day.",
            "trades, daily volumes", "average daily volume is not known", EVENT_WINDOWS, decimals=3,
            no_history=_NO_FLOW_STORED,
        ),
        Metric(
            "big_flow_buy", "Big flow, buying", "% of ADV", "The same, of buyers.", "trades, daily volumes",
            "average daily volume is not known", EVENT_WINDOWS, decimals=3, no_history=_NO_FLOW_STORED,
        ),
        Metric(
            "big_flow_sell", "Big flow, selling", "% of ADV", "The same, of sellers.", "trades, daily volumes",
            "average daily volume is not known", EVENT_WINDOWS, decimals=3, no_history=_NO_FLOW_STORED,
        ),
        Metric(
            "pair_z", "Pair spread z", "z",
            "ln A - beta ln B against its own last bars (mean and standard deviation, the running bar among them).",
            "trades", "not all bars of both are held", ("1m", "5m", "15m"), "pair", history="pair",
        ),
        *map(_detection, DetectionKind),
        Metric(
            "quiet", "Seconds without a trade", "s", "Since the newest trade of the instrument.", "trades, our clock",
            "no trade has been heard", decimals=0, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "book_stale", "Book out of sync", "1 = yes", "1 while a followed book is not the venue's, else 0.", "book",
            "no book of it is kept", decimals=0, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "trades_missing", "Trade ids missing", "trades", "Ids missing from the chain now.", "trade ids",
            "never", decimals=0, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "venue_down", "Venue down", "1 = yes", "1 while its feed is down, stale or still connecting, else 0.",
            "feed", "never", scope="venue", decimals=0, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "data_age", "Age of data", "s", "Since the newest message of the venue.", "feed",
            "no message has come yet", scope="venue", decimals=1, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "lag", "Lag p99", "ms", "Venue's event time to applied here.", "feed", "no event has come yet",
            scope="venue", decimals=1, no_history=_NOT_STORED, health=True,
        ),
        Metric(
            "books_stale", "Books out of sync", "%", "Share of the followed books that are not in sync.", "books",
            "no book is kept", scope="venue", decimals=1, no_history=_NOT_STORED, health=True,
        ),
    )
}  # fmt: skip
"""By name, in the order in which they are offered."""
