"""What the dashboard knows: the topics it follows on the stream, and one moment of them (`Shown`) as panels draw it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ..client import Client, ClientError, Frame, NotYetError, Rows, Steps, Stream, Subscription
from .choice import ALL, PANELS, Choice, Panel
from .format import clock_minutes, span
from .freshness import Health, Row, is_well, judge, link_health
from .listing import SPOT, Listed, Listing

WHALES_KEPT = 200
LIST_AGAIN_S = 2.0
HOUR_MS = 3_600_000
SLOPE_FROM_MS = 600_000
"""A slope of funding needs so many minutes (docs/derivs.md)."""
AGO_MS = {"1h": HOUR_MS, "24h": 24 * HOUR_MS}
WINDOW_MS = {"5m": 300_000, "15m": 900_000, "1h": HOUR_MS}
Wish = tuple[str, tuple[tuple[str, str | int], ...]]
"""A topic and its parameters."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One moment, as drawn, exported and printed. Rows are those of the API, numbers with a point as `Decimal`."""

    now_ms: float
    """The server's clock; a recording's own time where one is replayed."""
    url: str
    link: Health | None
    """What is wrong with the connection; None while it stands."""
    detail: str
    """Why it is lost."""
    mode: str
    preparing: str
    venues: dict[str, Row]
    choice: Choice
    health: dict[Panel, Health]
    notes: dict[Panel, list[str]]
    """What is missing and why, a sentence each."""
    ill: frozenset[str]
    """Venues whose rows are not the present."""
    flow: list[Row]
    basis: list[Row]
    funding: list[Row]
    whales: list[Row]
    whale_flow: list[Row]
    clusters: list[Row]
    """Of each market of the coin whose liquidations are followed, that of the venue looked at first."""
    cvd: Steps | None
    listing: Listing

    def fitting(self, rows: list[Row], room: int) -> list[Row]:
        """All rows where there is room; else those of each venue's main market of a coin come first."""
        return rows if len(rows) <= room else sorted(rows, key=lambda row: not self.is_main(row))

    def is_main(self, row: Row) -> bool:
        """Whether a row is of its venue's main market of its coin."""
        one = self.listing.find(row["exchange"], row["symbol"])
        return one is None or self.listing.main(one.exchange, one.coin) == one

    def of_coin(self, row: Row) -> bool:
        """Whether a row is of the coin that is looked at."""
        return self.listing.is_of(self.choice.coin, row["exchange"], row["symbol"])


class Market:
    """Follows a server. `run` reads until it is cancelled; `choose` changes what is followed; `shown` is now."""

    def __init__(self, stream: Stream, client: Client, choice: Choice) -> None:
        self.stream = stream
        self.choice = choice
        self.listing = Listing()
        self._client = client
        self._followed: dict[str, tuple[Wish, Subscription]] = {}
        self._states: dict[str, Rows | Steps | Row] = {}
        self._status: Row = {}
        self._status_at: float | None = None
        self._listing_tasks: dict[str, asyncio.Task[None]] = {}
        self._learnt: set[str] = set()
        """Venues whose instruments are those of the server we are connected to now."""
        self._reconnects = 0
        self.changed = asyncio.Event()
        """Set whenever something has come."""

    async def run(self) -> None:
        """Read the stream for ever; raises `AccessError` where we are not let in."""
        await self._follow()
        try:
            async with aclosing(aiter(self.stream)) as deliveries:
                async for subscription, frame in deliveries:
                    await self._take(subscription, frame)
                    self.changed.set()
        finally:
            for task in self._listing_tasks.values():
                task.cancel()

    async def choose(self, choice: Choice) -> None:
        """Look at something else; what is no longer wanted is left at once."""
        self.choice = choice
        await self._follow()

    @property
    def venues(self) -> tuple[str, ...]:
        """Venues that run, in the server's order."""
        return tuple(self._status.get("venues", ()))

    @property
    def complete(self) -> bool:
        """Whether every panel has its first snapshot, or a reason why it never will."""
        listed = bool(self.venues) and all(self.listing.knows(name) for name in self.venues)
        return listed and all(one.frame_at is not None or one.refused for _, one in self._followed.values())

    # -- following --------------------------------------------------------------------------------------------------

    def _wishes(self) -> dict[str, Wish]:
        """Name and parameters of every topic the screen needs now."""
        choice, listing = self.choice, self.listing
        wishes: dict[str, Wish] = {"status": ("status", ()), "whales": ("whales", (("limit", WHALES_KEPT),))}
        homes: dict[str, list[str]] = {}
        for home in filter(None, map(listing.home, choice.coins)):
            homes.setdefault(home.exchange, []).append(home.symbol)
        for exchange, symbols in homes.items():
            wishes[f"flow:{exchange}"] = ("flow", (("exchange", exchange), ("symbols", ",".join(symbols))))
        for exchange in filter(listing.has_derivatives, self.venues):
            for topic in ("basis", "funding"):
                wishes[f"{topic}:{exchange}"] = (topic, (("exchange", exchange),))
        if here := self._looked_at():
            market = (("exchange", here.exchange), ("symbol", here.symbol))
            wishes["cvd"] = ("cvd", (*market, ("span", choice.window("cvd")), ("unit", choice.unit("cvd"))))
        window = ("window", choice.window("clusters"))
        for one in self._liquidated():
            market = (("exchange", one.exchange), ("symbol", one.symbol))
            wishes[f"clusters:{one.exchange}"] = ("clusters", (*market, window))
        return wishes

    def _liquidated(self) -> list[Listed]:
        """The coin's main derivative on each chosen venue."""
        home = self.listing.home(self.choice.coin)
        names = self.venues if self.choice.venue == ALL else (self.choice.venue,)
        mains = [self.listing.main(name, home.coin) for name in names] if home else []
        return [one for one in mains if one is not None and one.kind != SPOT]

    def _looked_at(self) -> Listed | None:
        """The market of the coin on the chosen venue; of all venues, the first one's."""
        coin, venue = self.choice.coin, self.choice.venue
        home = self.listing.home(coin)
        return home if venue == ALL or home is None else self.listing.main(venue, home.coin)

    async def _follow(self) -> None:
        wishes = self._wishes()
        for name, (wish, subscription) in list(self._followed.items()):
            if wishes.get(name) != wish:
                del self._followed[name]
                self._states.pop(name, None)  # never another market's past under this one's name
                await self.stream.unsubscribe(subscription)
        for name, wish in wishes.items():
            if name not in self._followed:
                subscription = await self.stream.subscribe(wish[0], **dict(wish[1]))
                self._followed[name] = wish, subscription

    async def _take(self, subscription: Subscription, frame: Frame) -> None:
        name = next((name for name, (_, one) in self._followed.items() if one is subscription), None)
        if name is None:
            return  # left while it was under way
        topic = subscription.topic
        if topic == "status":
            await self._on_status(frame.meta)
        elif topic == "clusters":
            self._states[name] = frame.meta
        elif topic == "cvd":
            steps = self._states.setdefault(name, Steps())
            assert isinstance(steps, Steps)  # noqa: S101
            steps.apply(frame)
        else:
            rows = self._states.setdefault(name, Rows(topic))
            assert isinstance(rows, Rows)  # noqa: S101
            rows.apply(frame)

    async def _on_status(self, told: Row) -> None:
        before, self._status = self.venues, told
        self.listing.arrange(self.venues)
        self._status_at = time.monotonic()
        if self.stream.reconnects != self._reconnects:  # perhaps another program answers there now
            self._reconnects = self.stream.reconnects
            self._learnt.clear()
        for exchange in self.venues:
            task = self._listing_tasks.get(exchange)
            if exchange not in self._learnt and (task is None or task.done()):
                self._listing_tasks[exchange] = asyncio.create_task(self._learn(exchange))
        if self.venues != before:
            await self._follow()

    async def _learn(self, exchange: str) -> None:
        """Ask for a venue's instruments; one that has none yet is asked again with the next status."""
        try:
            told = await asyncio.to_thread(self._client.get, "/api/symbols", exchange=exchange)
        except NotYetError:
            return
        except ClientError:  # the connection is lost, which the stream notices and tells
            await asyncio.sleep(LIST_AGAIN_S)
            return
        if told["symbols"]:
            self.listing.learn(exchange, told["symbols"])
            self._learnt.add(exchange)
            await self._follow()
        else:
            await asyncio.sleep(LIST_AGAIN_S)

    # -- one moment -------------------------------------------------------------------------------------------------

    def shown(self) -> Shown:
        """Everything as of now; what it holds does not change any more."""
        choice, now = self.choice, time.monotonic()
        venues: dict[str, Row] = self._status.get("venues", {})
        modes = {str(one["mode"]) for one in venues.values()}
        clocks = [int(one["clock_ms"]) for one in venues.values()]
        link = link_health(self.stream, now)
        steps = self._states.get("cvd")
        clusters = [self._states.get(f"clusters:{one.exchange}") for one in self._liquidated()]
        here = self._looked_at()
        return Shown(
            now_ms=max(clocks, default=0) if modes == {"replay"} else self.stream.server_ms(),
            url=self.stream.address.http,
            link=link,
            detail=self.stream.detail,
            mode=modes.pop() if len(modes) == 1 else "live",
            preparing=str(self._status.get("preparing", "")),
            venues=venues,
            choice=choice,
            health={panel: link or self._health(panel, here) for panel in PANELS},
            notes={panel: self._notes(panel, here) for panel in PANELS},
            ill=frozenset(name for name, told in venues.items() if not is_well(told)),
            flow=self._flow_rows(),
            basis=self._rows_of_coins("basis"),
            funding=self._rows_of_coins("funding"),
            whales=self._whale_rows(),
            whale_flow=[one for one in self._head("whales").get("flow", []) if self._chosen(one)],
            clusters=[told for told in clusters if isinstance(told, dict) and told],
            cvd=_copied(steps) if isinstance(steps, Steps) and steps.meta else None,
            listing=self.listing,
        )

    def _of_panel(self, panel: Panel) -> list[Subscription]:
        return [one for name, (_, one) in self._followed.items() if name.partition(":")[0] == panel]

    def _health(self, panel: Panel, here: Listed | None) -> Health:
        followed = self._of_panel(panel)
        if not followed:
            return Health(
                "waiting", f"WAITING {'for instruments' if not self._notes(panel, here) else 'nothing to show'}"
            )
        ages = [one.age_s for one in followed if one.age_s is not None]
        refused = next((one.refused for one in followed if one.refused), "") if not ages else ""
        venues = self._status.get("venues", {})
        of_one = here is not None and (panel == "cvd" or (panel == "clusters" and self.choice.venue != ALL))
        venue = venues.get(here.exchange) if of_one and here else _best(list(venues.values()))
        told = self._states.get(f"clusters:{here.exchange}") if of_one and here else None
        why = told.get("depth_why") if panel == "clusters" and isinstance(told, dict) else None
        return judge(
            age_s=min(ages, default=None),
            status_age_s=None if self._status_at is None else time.monotonic() - self._status_at,
            venue=venue,
            refused=refused,
            continuous=panel not in ("clusters", "whales"),
            book_why="the book is not live" if why else "",
        )

    def _notes(self, panel: Panel, here: Listed | None) -> list[str]:
        """What is missing in a panel, and why."""
        choice, notes = self.choice, []
        everybody = self.venues and all(self.listing.knows(name) for name in self.venues)
        if panel != "whales" and everybody:
            lost = [coin for coin in choice.coins if not self.listing.home(coin)]
            if lost and panel not in ("clusters", "cvd"):
                notes.append(f"no venue here lists {', '.join(lost)}")
            if panel in ("clusters", "cvd") and here is None:
                where = "no venue here lists" if choice.venue == ALL else f"{choice.venue} lists no market of"
                notes.append(f"{where} {choice.coin}")
        if panel == "clusters" and here is not None and here.kind == SPOT:
            notes.append(f"{here.exchange} is a spot market: nobody is liquidated there")
        for name, told in self._status.get("venues", {}).items():
            if self._chosen({"exchange": name}) and not is_well(told):
                age = f" {span(told['data_age_ms'])}" if told["data_age_ms"] is not None else ""
                detail = f": {told['detail']}" if told["detail"] else ""
                notes.append(f"{name} {str(told['state']).upper()}{age}{detail}")
        if panel in ("basis", "funding"):
            notes += self._not_watched_long_enough(panel)
        if panel == "cvd" and isinstance(steps := self._states.get("cvd"), Steps):
            notes += [f"{one['exchange']} {one['symbol']}: {one['why']}" for one in steps.meta.get("missing", [])]
        return notes

    def _not_watched_long_enough(self, panel: Panel) -> list[str]:
        ago = self.choice.window(panel)
        for name in self._followed:
            since = self._head(name).get("since_ts") if name.startswith(f"{panel}:") else None
            clock = self._status.get("venues", {}).get(name.partition(":")[2], {}).get("clock_ms", 0)
            if since and clock - since < AGO_MS[ago]:
                told = [f"{ago} ago: watched since {clock_minutes(since)}"]
                if panel == "funding" and clock - since < SLOPE_FROM_MS:
                    told.append("bps/h: from 10 min on")
                return told
        return []

    def _head(self, name: str) -> Row:
        state = self._states.get(name)
        return state.head if isinstance(state, Rows) else {}

    def _rows(self, name: str) -> list[Row]:
        state = self._states.get(name)
        return state.rows if isinstance(state, Rows) else []

    def _chosen(self, row: Row) -> bool:
        return self.choice.venue in (ALL, row["exchange"])

    def _flow_rows(self) -> list[Row]:
        """In the order of the coins, each with its venues as the server orders them."""
        rows: list[Row] = []
        for name in self._followed:
            if not name.startswith("flow:"):
                continue
            state = self._states.get(name)
            if isinstance(state, Rows):
                ordered = [state.by_name.get((exchange, symbol)) for exchange, symbol in state.head["order"]]
                rows += [row for row in ordered if row is not None and self._chosen(row)]
        return sorted(rows, key=self._coin_rank)

    def _coin_rank(self, row: Row) -> int:
        """The coin that is looked at first, the others in their order; what is of none last."""
        coins = sorted(self.choice.coins, key=lambda coin: coin != self.choice.coin)
        return next(
            (k for k, coin in enumerate(coins) if self.listing.is_of(coin, row["exchange"], row["symbol"])), len(coins)
        )

    def _rows_of_coins(self, topic: str) -> list[Row]:
        """Rows of every venue that are of a listed coin: coins in their order, venues in theirs, dated ones last."""
        kept = [
            (rank, k, row["kind"] == "future", row["symbol"], row)
            for k, exchange in enumerate(self.venues)
            for row in self._rows(f"{topic}:{exchange}")
            if self._chosen(row) and (rank := self._coin_rank(row)) < len(self.choice.coins)
        ]
        return [row for *_, row in sorted(kept, key=lambda one: one[:4])]

    def _whale_rows(self) -> list[Row]:
        rows = [row for row in self._rows("whales") if self._chosen(row)]
        window = self.choice.window("whales")
        if window != ALL:
            since = max((one["ts"] for one in self._head("whales").get("flow", [])), default=0) - WINDOW_MS[window]
            rows = [row for row in rows if row["ts"] > since]
        return sorted(rows, key=lambda row: (row["ts"], row["id"]), reverse=True)


def _best(venues: list[Row]) -> Row | None:
    """Of panels over all venues the healthiest decides: those that are ill are named one by one."""
    return next((one for one in venues if is_well(one)), venues[0] if venues else None)


def _copied(steps: Steps) -> Steps:
    """Steps that do not change under whoever draws them: the arrays are replaced, never written to."""
    copy = Steps()
    copy.meta, copy.ts_ms, copy.price, copy.net = steps.meta, steps.ts_ms, list(steps.price), list(steps.net)
    return copy


def as_json(shown: Shown) -> Row:
    """A moment for scripts: the rows as the API tells them, with state, age, window and unit of each panel."""
    choice = shown.choice
    content: dict[Panel, Row] = {
        "flow": {"rows": shown.flow},
        "cvd": _cvd_json(shown.cvd),
        "basis": {"rows": shown.basis},
        "funding": {"rows": shown.funding},
        "clusters": {"markets": shown.clusters},
        "whales": {"flow": shown.whale_flow, "rows": shown.whales},
    }
    return {
        "url": shown.url,
        "ts": round(shown.now_ms),
        "mode": shown.mode,
        "coins": list(choice.coins),
        "coin": choice.coin,
        "venue": choice.venue,
        "venues": {name: {key: told[key] for key in VENUE_KEYS} for name, told in shown.venues.items()},
        "panels": {
            panel: {
                "state": shown.health[panel].state,
                "says": shown.health[panel].text,
                "age_ms": None if (age := shown.health[panel].age_ms) is None else round(age),
                "window": choice.window(panel),
                "unit": choice.unit(panel),
                "notes": shown.notes[panel],
                **told,
            }
            for panel, told in content.items()
        },
    }


VENUE_KEYS = ("state", "detail", "connected", "data_age_ms", "clock_ms", "mode")


def _cvd_json(steps: Steps | None) -> Row:
    if steps is None:
        return {}
    series: list[dict[str, Any]] = [
        {**market, "price": _known(steps.price[k]), "net": _known(steps.net[k]), "cvd": _known(steps.cvd(k))}
        for k, market in enumerate(steps.meta["markets"])
    ]
    told = {name: value for name, value in steps.meta.items() if name not in ("markets", "first_ts")}
    return told | {"ts": [int(ts) for ts in steps.ts_ms], "series": series}


def _known(values: Any) -> list[float | None]:
    return [None if value != value else float(value) for value in values]  # noqa: PLR0124 - NaN
