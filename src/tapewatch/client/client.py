"""The Python client: what a running server knows, as polars frames.

    >>> from tapewatch.client import Client
    >>> with Client("http://127.0.0.1:8000") as client:
    ...     bars = client.bars("BTCUSDT", tf="1m")

Prices, quantities and money are exact (`pl.Decimal`, the digits the API printed); what the API itself rounds is a
float. `tables` says which column is which. A long range is asked for page by page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec
import polars as pl
import polars.selectors as cs

from . import tables
from .address import DEFAULT_URL, Address
from .errors import ForeignServerError, NotYetError, RequestError, UnreachableError, error_of
from .tables import frame, stack

Moment = datetime | date | int | str
"""A time: aware or UTC `datetime`, a day, milliseconds since the epoch, or ISO 8601."""
Row = dict[str, Any]
Timeframe = Literal["1s", "1m", "5m", "15m", "1h", "4h", "1d"]
Window = Literal["10s", "1m", "5m", "15m"]
Unit = Literal["usd", "base"]
Question = Literal[
    "stats", "ols", "spread", "zscore", "adf", "cointegration", "correlation", "pair", "ticks", "bars", "hawkes"
]

TIMEFRAMES_MS: Mapping[str, int] = {
    "1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000,
}  # fmt: skip
HOUR_MS = 3_600_000
BARS_A_PAGE = 1_440
"""What the server tells at once."""
FOOTPRINTS_A_PAGE = 240
"""A busy candle has a thousand levels: some megabytes of text an answer."""
LONGEST_PAGE_MS = 44 * 24 * HOUR_MS
"""The server reads no more days of stored candles for one answer."""
TRADES_PAGE_MS = 6 * HOUR_MS
ROWS_A_PAGE = 500

_EXACT = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_PLAIN = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Book:
    """An order book as of its last update: `levels` with side, price, quantity, best first on each side."""

    ts: datetime
    last_update_id: int
    levels: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Clusters:
    """Liquidations by price; `levels` a row a bucket [price, price + bucket), `words` what the reports cover.

    Reports from before `since` are not known; None: nothing is yet.
    """

    exchange: str
    symbol: str
    ts: datetime
    since: datetime | None
    bucket: Decimal
    mid_price: Decimal | None
    depth_why: str | None
    words: str
    levels: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Cvd:
    """CVD of a coin on every venue in `unit`, from zero at the first step.

    `series` has a row a step and market, `divergences` one a market, group or pair and window; `missing` names the
    markets with nothing to show, and why.
    """

    unit: str
    step_ms: int
    series: pl.DataFrame
    divergences: pl.DataFrame
    missing: list[Row]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The account of one instrument: `trades` by what became of them, what is missing and why, coverage by hour."""

    balanced: bool
    trades: dict[str, int]
    gaps: pl.DataFrame
    hours: pl.DataFrame


class Client:
    """Questions to one server; threads may share it. Close it, or use it in a ``with`` block.

    `token` is the access token (else ``TAPEWATCH_SERVER__TOKEN``); `exchange` is what is meant where a call names none.
    An answer that is not ready yet is asked for again, for `patience_s` at most. Raises the errors of
    `tapewatch.client.errors`, each with the server's own sentence.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        *,
        exchange: str = "binance",
        timeout_s: float = 60.0,
        patience_s: float = 15.0,
    ) -> None:
        self.address = Address(url, token)
        self.exchange = exchange
        self._patience_s = patience_s
        # A proxy of the environment is for others: nobody's proxy reaches our own loopback.
        self._http = httpx.Client(
            base_url=self.address.http,
            headers=self.address.headers,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
            trust_env=not self.address.local,
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the server -------------------------------------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Row:
        """The answer of any route as it is: numbers with a point as `Decimal`, digit by digit; None leaves out."""
        return _decoded(_EXACT, self._body("GET", path, params), path)

    def health(self) -> Row:
        """State of the server and of each venue; also where it answers 503 because something is not fresh."""
        answer = self._send("GET", "/health", {})
        if answer.status_code not in (200, 503):
            raise _refusal(answer)
        told = _decoded(_PLAIN, answer.content, "/health")
        if "venues" not in told:
            raise ForeignServerError(f"{self.address.http} does not answer like tapewatch", answer.status_code)
        return told

    def exchanges(self) -> list[str]:
        """Venues that run there."""
        return list(self.health()["venues"])

    def symbols(self, exchange: str | None = None) -> pl.DataFrame:
        """Instruments: increments, status, average daily volume (float), last price, 24 h figures."""
        return frame(self.get("/api/symbols", exchange=self._of(exchange))["symbols"], tables.SYMBOLS)

    # -- the tape ---------------------------------------------------------------------------------------------------

    def trades(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, exchange: str | None = None
    ) -> pl.DataFrame:
        """Stored trades with `start` <= ts < `end`, every print once; without bounds all there are.

        The newest minutes are stored when their journal file is sealed. Beside price and quantity: `side` of the
        aggressor, ids, `quantity_market` (without what was no market order), flags, the venue's event time, and our
        receive time in ns. For a range that does not fit memory use `trade_pages`.
        """
        pages = list(self.trade_pages(symbol, start, end, exchange=exchange))
        if not pages:
            raise RequestError(f"no trades are stored of {self._of(exchange)}")
        held = [page for page in pages if len(page)]
        return stack(held, {}) if held else pages[0]

    def trade_pages(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, exchange: str | None = None
    ) -> Iterator[pl.DataFrame]:
        """The same in frames of six hours, oldest first."""
        venue = self._of(exchange)
        first, last = _ms(start), _ms(end)
        if first is None or last is None:
            stored = self.get("/api/stored", exchange=venue)
            if stored["from"] is None:
                return
            first = stored["from"] if first is None else first
            last = stored["to"] + 1 if last is None else last
        for begin, until in _pages(first, last, TRADES_PAGE_MS):
            yield self.export("trades", symbol, begin, until, exchange=venue)

    def export(
        self, what: str, symbol: str | None = None, start: Moment | None = None, end: Moment | None = None, *,
        exchange: str | None = None, tf: Timeframe = "1m", step: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """What is stored, in one answer, with the columns of ``tapewatch export``; times become `ts`, `open_ts` ….

        `what`: trades, candles, footprints, liquidations, imbalances, gaps, alerts, ohlc, features.
        """
        params = {
            "what": what, "format": "parquet", "exchange": self._of(exchange), "symbol": symbol,
            "from": _ms(start), "to": _ms(end), "tf": tf, "step": step,
        }  # fmt: skip
        table = pl.read_parquet(self._body("GET", "/api/export", params))
        times = [name for name in table.columns if name.endswith("_ms") and name != "tf_ms"]
        return table.with_columns(pl.col(name).cast(tables.TIME) for name in times).rename(
            {name: "ts" if name == "ts_ms" else f"{name.removesuffix('_ms')}_ts" for name in times}
        )

    def bars(
        self, symbol: str, tf: Timeframe = "1m", start: Moment | None = None, end: Moment | None = None, *,
        exchange: str | None = None, step: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Bars made from trades that open in [`start`, `end`); the newest 500 where nothing is said.

        `bid` is sold, `ask` bought by aggressors; `cvd` counts from 00:00 UTC. open to close are null where nothing
        traded, and a bar of which no trade is known is not there. All numbers exact. With `step` also point of control
        and value area (`poc`, `vah`, `val`) in bins of that width.
        """
        if step is not None:
            return self._profiled(symbol, tf, start, end, exchange, step, "candles")
        asked: Row = {"exchange": self._of(exchange), "symbol": symbol, "tf": tf}
        first, last = _ms(start), _ms(end)
        if first is None:
            rows = self.get("/api/candles", **asked, end=last)["candles"]
            return frame(rows, tables.BARS)
        if last is None:
            last = self._newest_ms(asked) + TIMEFRAMES_MS[tf]
        pages = (
            frame(self.get("/api/candles", **asked, start=begin, end=until)["candles"], tables.BARS)
            for begin, until in _pages(first, last, min(BARS_A_PAGE * TIMEFRAMES_MS[tf], LONGEST_PAGE_MS))
        )
        return stack(pages, tables.BARS)

    def footprints(
        self, symbol: str, tf: Timeframe = "1m", start: Moment | None = None, end: Moment | None = None, *,
        exchange: str | None = None, step: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Volume at price: a row a candle and bin [p, p + `step`), highest price first within a candle.

        `bid` sold, `ask` bought, `n` trades; exact. `step` is a multiple of the tick, which it is by itself. Without a
        range the newest 240 candles.
        """
        return self._profiled(symbol, tf, start, end, exchange, step, "levels")

    def _profiled(
        self, symbol: str, tf: Timeframe, start: Moment | None, end: Moment | None, exchange: str | None,
        step: str | None, what: Literal["candles", "levels"],
    ) -> pl.DataFrame:  # fmt: skip
        asked: Row = {"exchange": self._of(exchange), "symbol": symbol, "tf": tf}
        tf_ms = TIMEFRAMES_MS[tf]
        width = step or "x1"
        first, last = _ms(start), _ms(end)
        if last is None:
            last = self._newest_ms(asked) + tf_ms
        if first is None:
            first = last - FOOTPRINTS_A_PAGE * tf_ms
        schema = tables.PROFILED_BARS if what == "candles" else tables.CELLS
        pages = []
        for begin, until in _pages(first, last, min(FOOTPRINTS_A_PAGE * tf_ms, LONGEST_PAGE_MS)):
            count = -(-(until - begin) // tf_ms)
            told = self.get("/api/footprint", **asked, step=width, lookback=count, before=until)["candles"]
            rows = [candle for candle in told if candle["open_ts"] >= begin]
            if what == "levels":
                rows = [{"open_ts": row["open_ts"], **level} for row in rows for level in row["levels"]]
            pages.append(frame(rows, schema))
        return stack(pages, schema)

    def liquidations(
        self, symbol: str | None = None, start: Moment | None = None, end: Moment | None = None, *,
        exchange: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Reported liquidations with `start` <= ts < `end`, oldest first; the newest 500 without a start.

        `side` is the position that was closed. Binance reports at most one a second and symbol, OKX a sample.
        """
        asked: Row = {"exchange": self._of(exchange), "symbol": symbol, "limit": ROWS_A_PAGE}
        first, before = _ms(start), _ms(end)
        rows: list[Row] = []
        while True:
            page = self.get("/api/liquidations", **asked, before=before)["liquidations"]
            full = len(page) == ROWS_A_PAGE and first is not None and page[-1]["ts"] >= first
            if full and page[-1]["ts"] != page[0]["ts"]:
                # The oldest moment of a full page may go on in the next one, and is asked for again, whole.
                before = page[-1]["ts"] + 1
                page = [row for row in page if row["ts"] >= before]
            elif full:
                before = page[-1]["ts"]
            rows += page
            if not full:
                break
        rows = [row for row in rows if first is None or row["ts"] >= first]
        return frame(rows[::-1], tables.LIQUIDATIONS)

    # -- the present ------------------------------------------------------------------------------------------------

    def screener(
        self, symbol: str | None = None, *, limit: int = ROWS_A_PAGE, since: Moment | None = None,
        exchange: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Big flow, newest first; `price` (VWAP) and `pct_of_adv` are floats."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "limit": limit, "since": _ms(since)}
        return frame(self.get("/api/screener", **asked)["events"], tables.SCREENER)

    def imbalances(self, window: Window = "1m", *, exchange: str | None = None) -> pl.DataFrame:
        """Trade and book imbalance (floats) and exact volumes of every instrument over one window."""
        return frame(self.get("/api/imbalance", exchange=self._of(exchange), window=window)["rows"], tables.IMBALANCE)

    def imbalance_history(
        self, symbol: str, window: Window = "1m", *, before: Moment | None = None, exchange: str | None = None
    ) -> pl.DataFrame:
        """One instrument's imbalance over time, each row the window that ends at `ts`."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "window": window, "before": _ms(before)}
        return frame(self.get("/api/imbalance/history", **asked)["points"], tables.IMBALANCE_HISTORY)

    def book(self, symbol: str, depth: int = 100, *, exchange: str | None = None) -> Book:
        """The order book, exact; `NotYetError` while it is resynchronising, never a stale one."""
        told = self.get("/api/book", exchange=self._of(exchange), symbol=symbol, depth=depth)
        rows = [
            {"side": side.removesuffix("s"), "price": price, "quantity": quantity}
            for side in ("bids", "asks")
            for price, quantity in told[side]
        ]
        return Book(_utc(told["ts"]), told["last_update_id"], frame(rows, tables.BOOK))

    def features(self, symbol: str, *, exchange: str | None = None) -> pl.DataFrame:
        """The liquidity lab's figures of the last 180 s, a row a second; null where a figure is undefined.

        mid_price, spread, volumes, depths and order flow imbalances are exact, averages and ratios floats. An
        instrument that nobody has studied yet is from now on.
        """
        rows = self.get("/api/features", exchange=self._of(exchange), symbol=symbol)["features"]
        return frame(tables.feature_rows(rows), tables.feature_schema(rows))

    def detections(
        self, symbol: str, kind: str | None = None, *, limit: int = ROWS_A_PAGE, exchange: str | None = None
    ) -> pl.DataFrame:
        """What the detectors found, most recently changed first, with the evidence of each."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "kind": kind, "limit": limit}
        rows = [
            row | {"evidence": [{"name": name, "value": float(value)} for name, value in row["evidence"].items()]}
            for row in self.get("/api/detections", **asked)["detections"]
        ]
        of_rows = tables.list_of((row["rows"] for row in rows), tables.EVIDENCE_ROWS)
        return frame(rows, {**tables.DETECTIONS, "rows": of_rows})

    def impact(
        self, symbol: str, size: Decimal | float | str, side: Literal["buy", "sell"] = "buy", *, fee_bps: float = 0.0,
        exchange: str | None = None,
    ) -> Row:  # fmt: skip
        """What a market order would cost by walking the known book; fields as in GET /api/impact."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "size": _size(size), "side": side}
        return self.get("/api/impact", **asked, fee_bps=fee_bps)

    def coverage(self, symbol: str, *, exchange: str | None = None) -> Coverage:
        """What became of every message of one instrument, and which trades are missing since when and why."""
        told = self.get("/api/coverage", exchange=self._of(exchange), symbol=symbol)
        gaps, hours = frame(told["gaps"], tables.GAPS), frame(told["hours"], tables.HOURS)
        return Coverage(told["balanced"], told["trades"], gaps, hours)

    # -- derivatives ------------------------------------------------------------------------------------------------

    def basis(self, exchange: str = "all", symbol: str | None = None) -> pl.DataFrame:
        """Basis against spot and premium of mark over index, now, an hour and a day ago; mids exact, rest floats."""
        return frame(self.get("/api/basis", exchange=exchange, symbol=symbol)["rows"], tables.BASIS)

    def basis_history(
        self, symbol: str, figure: Literal["basis", "premium"] = "basis", *, minutes: int = 60,
        exchange: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """Basis (or premium) of one instrument minute by minute, bps."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "figure": figure, "minutes": minutes}
        return frame(self.get("/api/basis/history", **asked)["points"], tables.MINUTES)

    def funding(self, exchange: str = "all", symbol: str | None = None) -> pl.DataFrame:
        """Funding of every perpetual: rate, per 8 h, slope, percentile, next payment, who pays; floats."""
        return frame(self.get("/api/funding", exchange=exchange, symbol=symbol)["rows"], tables.FUNDING)

    def funding_history(self, symbol: str, *, minutes: int = 60, exchange: str | None = None) -> pl.DataFrame:
        """The running estimate of one perpetual's next rate minute by minute, percent per 8 h."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "minutes": minutes}
        return frame(self.get("/api/funding/history", **asked)["points"], tables.MINUTES)

    def interest(self, exchange: str = "all", symbol: str | None = None) -> pl.DataFrame:
        """Open interest of every derivative in base units (exact) and dollars, and its change (floats)."""
        return frame(self.get("/api/interest", exchange=exchange, symbol=symbol)["rows"], tables.INTEREST)

    def whales(self, exchange: str = "all", symbol: str | None = None, *, limit: int = ROWS_A_PAGE) -> pl.DataFrame:
        """Parent orders of half a million and more, newest first; `price` (VWAP) and shares are floats."""
        return frame(self.get("/api/whales", exchange=exchange, symbol=symbol, limit=limit)["rows"], tables.WHALES)

    def flow(self, symbols: Sequence[str] = (), *, exchange: str | None = None) -> pl.DataFrame:
        """Order-flow imbalance of a few coins on every venue, a row a market and window (10s, 1m, 5m, 15m)."""
        told = self.get("/api/flow", exchange=self._of(exchange), symbols=",".join(symbols) or None)
        rows = [
            row | {"window": window} | figures for row in told["rows"] for window, figures in row["windows"].items()
        ]
        return frame(rows, tables.FLOW)

    def clusters(
        self, symbol: str, *, window: Literal["1h", "4h", "24h"] = "24h", bucket: str | None = None,
        exchange: str | None = None,
    ) -> Clusters:  # fmt: skip
        """Where liquidations were reported, by price, and what the book holds on the way; money exact."""
        asked = {"exchange": self._of(exchange), "symbol": symbol, "window": window, "bucket": bucket}
        told = self.get("/api/liquidations/clusters", **asked)
        mid = told["mid_price"]
        return Clusters(
            told["exchange"], told["symbol"], _utc(told["ts"]),
            None if told["since_ts"] is None else _utc(told["since_ts"]), Decimal(told["bucket"]),
            None if mid is None else Decimal(mid), told["depth_why"], told["coverage_words"],
            frame(told["clusters"], tables.CLUSTERS),
        )  # fmt: skip

    def cvd(
        self, symbol: str, span: Literal["5m", "15m", "1h", "4h", "24h"] = "15m", unit: Unit = "usd", *,
        exchange: str | None = None,
    ) -> Cvd:  # fmt: skip
        """CVD of a coin on every venue from a common beginning, and its divergences; floats, null: not held."""
        told = self.get("/api/cvd", exchange=self._of(exchange), symbol=symbol, span=span, unit=unit)
        rows = [
            {"ts": ts, "exchange": one["exchange"], "symbol": one["symbol"], "price": price, "net": net, "cvd": cvd}
            for one in told["series"]
            for ts, price, net, cvd in zip(told["ts"], one["price"], one["net"], one["cvd"], strict=True)
        ]
        series, divergences = frame(rows, tables.CVD), frame(_divergences(told["divergences"]), tables.DIVERGENCES)
        return Cvd(told["unit"], told["step_ms"], series, divergences, told["missing"])

    # -- analytics --------------------------------------------------------------------------------------------------

    def analytics(self, question: Question, **params: Any) -> Row:
        """Statistics of bars (docs/research.md): ``analytics("pair", x="BTCUSDT", y="ETHUSDT", tf="1m", bars=1440)``.

        `symbol`, or `x` and `y`, name series; also `tf`, `bars`, `end`, `exchange` and what the question takes
        (`window`, `method`, `center`, `log`). Figures are floats; a part that cannot be had says why.
        """
        asked = {"exchange": self.exchange} | params
        if isinstance(asked.get("end"), datetime | date | str):
            asked["end"] = _ms(asked["end"])
        path = f"/api/analytics/{question}"
        result: Row = _decoded(_PLAIN, self._body("GET", path, asked), path)["result"]
        return result

    def upload(
        self, symbol: str, candles: pl.DataFrame | Path, tf: Timeframe | None = None, *, exchange: str | None = None
    ) -> str:
        """Store candles of your own, all of them or none; their name for `analytics`: ``upload:EXCHANGE:SYMBOL``.

        `candles` has timestamp (`Datetime`, or a number since the epoch), open, high, low, close, volume; or is a file
        of CSV or JSON. Times are UTC where they say nothing else. A wrong row is named in the error.
        """
        if isinstance(candles, pl.DataFrame):
            content = candles.with_columns(cs.datetime().dt.epoch("ms")).write_csv().encode()
        else:
            content = candles.read_bytes()
        asked = {"exchange": self._of(exchange), "symbol": symbol, "tf": tf}
        self._body("POST", "/api/ohlc", asked, content)
        return f"upload:{asked['exchange']}:{symbol}"

    def scan(
        self, tf: Timeframe = "1m", bars: int = 1440, *, symbols: int = 600, keep: int = 50,
        uploads: bool = False, exchange: str | None = None, progress: Callable[[int, int], None] | None = None,
    ) -> Row:  # fmt: skip
        """Test all pairs of an exchange, or of what was uploaded for it, for cointegration; one scan at a time."""
        asked = {
            "exchange": self._of(exchange), "tf": tf, "bars": bars, "symbols": symbols, "keep": keep,
            "uploads": str(uploads).lower(),
        }  # fmt: skip
        path = "/api/analytics/scan"
        state = _decoded(_PLAIN, self._body("POST", path, asked), path)
        while state["state"] == "running":
            if progress:
                progress(state["done"], state["of"])
            time.sleep(SCAN_POLL_S)
            state = _decoded(_PLAIN, self._body("GET", path, {}), path)
        if state["state"] == "failed":
            raise RequestError(f"the scan failed: {state['detail']}")
        result: Row = state["result"]
        return result

    # -- sending ----------------------------------------------------------------------------------------------------

    def _of(self, exchange: str | None) -> str:
        return self.exchange if exchange is None else exchange

    def _newest_ms(self, asked: Row) -> int:
        """Open time of the newest candle; a range that is open at its end goes up to it."""
        candles = self.get("/api/candles", **asked)["candles"]
        return int(candles[-1]["open_ts"]) if candles else 0

    def _body(self, method: str, path: str, params: Mapping[str, Any], content: bytes | None = None) -> bytes:
        """The body of a good answer; what is not ready yet is asked for again while there is patience."""
        began = time.monotonic()
        while True:
            answer = self._send(method, path, params, content)
            if answer.is_success:
                return answer.content
            error = _refusal(answer)
            wait_s = error.retry_after_s if isinstance(error, NotYetError) else 0.0
            if not wait_s or time.monotonic() + wait_s - began > self._patience_s:
                raise error
            time.sleep(wait_s)

    def _send(self, method: str, path: str, params: Mapping[str, Any], content: bytes | None = None) -> httpx.Response:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return self._http.request(method, path, params=given or None, content=content)
        except httpx.TimeoutException as error:
            where = f"{self.address.http}{path}"
            raise UnreachableError(f"{where} did not answer in time") from error
        except (httpx.TransportError, OSError) as error:
            sentence = f"no tapewatch server answers at {self.address.http}; {self.address.mend}"
            raise UnreachableError(sentence) from error


SCAN_POLL_S = 0.25


def _refusal(answer: httpx.Response) -> Exception:
    """The server's own sentence, as the error that its status means."""
    try:
        detail = msgspec.json.decode(answer.content, type=dict[str, Any])["detail"]
    except (msgspec.MsgspecError, KeyError):
        detail = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}, not like tapewatch"
    return error_of(answer.status_code, str(detail), answer.headers.get("retry-after", ""))


def _decoded(decoder: msgspec.json.Decoder[Row], body: bytes, path: str) -> Row:
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ForeignServerError(f"the answer of {path} cannot be read: {error}") from error


def _divergences(told: Row) -> list[Row]:
    """One shape for markets, groups and pairs."""
    blank = dict.fromkeys(tables.DIVERGENCES)
    named = [
        *(("market", f"{one['exchange']}:{one['symbol']}", one["windows"]) for one in told["markets"]),
        *(("group", one["group"], one["windows"]) for one in told["together"]),
        *(("pair", f"{one['a']} / {one['b']}", one["windows"]) for one in told["across"]),
    ]
    return [blank | {"of": of, "name": name} | cell for of, name, cells in named for cell in cells]


def _pages(first_ms: int, last_ms: int, page_ms: int) -> Iterator[tuple[int, int]]:
    """`[first, last)` in pieces whose edges are multiples of their length."""
    if first_ms >= last_ms:
        raise RequestError("the range is empty: its start is not before its end")
    begin = first_ms
    while begin < last_ms:
        until = min(last_ms, (begin // page_ms + 1) * page_ms)
        yield begin, until
        begin = until


def _ms(moment: Moment | None) -> int | None:
    if moment is None or isinstance(moment, int):
        return moment
    try:
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        raise RequestError(f"{moment!r} is no time; write 2026-06-01, 2026-06-01T14:30 or milliseconds") from None
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day)  # noqa: DTZ001 - the zone is given below
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _size(size: Decimal | float | str) -> str:
    return size if isinstance(size, str) else f"{Decimal(repr(size) if isinstance(size, float) else size):f}"
