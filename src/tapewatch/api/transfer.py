"""GET /api/export, POST /api/ohlc: what is stored, to take away, and OHLC that people bring; with progress."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import BoundedSemaphore
from typing import Annotated, Any
from zipfile import ZIP_DEFLATED, ZipFile

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from ..config import StoreConfig
from ..hub.requests import find_instrument, find_market
from ..model.errors import NotReadyError, UsageError
from ..model.tape import Kind
from ..store.catalog import FILE_NAME
from ..store.reader import Reader
from ..store.writer import Store
from ..transfer.dataset import dataset
from ..transfer.exporting import FOREVER_MS, OF_THE_BOOK, What, Wish, export, time_of
from ..transfer.features import of_memory
from ..transfer.files import MEDIA_TYPES, SIDECAR, Format, Table, save
from ..transfer.importing import Importer, understood
from ..transfer.ohlc import texts_of
from ..transfer.shown import read as read_shown
from ..transfer.shown import table as shown_table
from . import schemas
from .numbers import answer, exact
from .view import VenueView

AT_ONCE = 2
"""Exports and uploads at a time: each keeps a thread busy, and more would starve the live views of their core."""
UPLOAD_PATH = "/api/ohlc"
UPLOAD_BYTES = 128 << 20
"""Two million candles; an upload is read whole before any of it is stored."""
TABLE_PATH = "/api/export/table"
TABLE_BYTES = 32 << 20
"""A table of the page: 50,000 bars of a pair with all that is drawn of them."""

NUMBERS = ("open", "high", "low", "close", "volume")
ROWS_SHOWN = 5
ZIP = "application/zip"

Exchange = Annotated[str, Query(description="Venue, such as `binance`.", max_length=40)]
Symbols = Annotated[list[str] | None, Query(alias="symbol", description="Only these instruments.", max_length=50)]
When = Annotated[str, Query(description="ISO 8601 or ms since the epoch, UTC.", max_length=40)]
JobName = Annotated[str, Query(description="A name that nobody else will choose.", pattern="^[A-Za-z0-9-]{0,64}$")]
Tf = Annotated[str, Query(description="Length of a candle.", max_length=4)]

PROBLEM = {"model": schemas.Problem, "content": {"application/problem+json": {}}}
REFUSED: dict[int | str, dict[str, Any]] = {
    404: PROBLEM | {"description": "Nothing is stored of that exchange or symbol."},
    413: PROBLEM | {"description": "The upload is too large."},
    422: PROBLEM | {"description": "Refused as a whole; the sentence names the first wrong rows."},
    503: PROBLEM | {"description": "Others are being served; see Retry-After."},
}


@dataclass(slots=True)
class _Job:
    """An export under way, named by whoever asked for it."""

    done: int = 0
    total: int = 0
    cancelled: bool = False

    def tell(self, done: int, total: int) -> None:
        """Note the progress; raise where nobody wants the file any more."""
        if self.cancelled:
            raise UsageError("the export was cancelled")
        self.done, self.total = done, total


def transfer_routes(config: StoreConfig, venues: Mapping[str, VenueView]) -> APIRouter:
    """Routes that read and write the store; the work is done in threads, outside the event loop."""
    api = APIRouter(prefix="/api", default_response_class=Response)
    turns = BoundedSemaphore(AT_ONCE)
    jobs: dict[str, _Job] = {}

    @contextmanager
    def turn(job: str = "") -> Iterator[_Job]:
        if not turns.acquire(blocking=False):
            raise NotReadyError(f"{AT_ONCE} exports or uploads are under way; try again when one is done")
        under_way = _Job()
        try:
            if job:
                jobs[job] = under_way
            yield under_way
        finally:
            jobs.pop(job, None)
            turns.release()

    def stored_table(wish: Wish, under_way: _Job, path: Path) -> None:
        if not config.url and not (config.data_path / FILE_NAME).exists():
            raise UsageError("nothing is stored yet")
        with closing(Reader(config.data_path, config.url)) as reader:
            save(export(reader, wish, under_way.tell), path)

    @api.get("/export", responses={200: {"description": "The file, with what it is about in it."}, **REFUSED})
    async def download(
        what: Annotated[What, Query(description="Kind of rows.")],
        format: Annotated[Format, Query(description="Form of the file.")] = Format.CSV,  # noqa: A002  (its public name)
        exchange: Exchange = "binance",
        symbol: Symbols = None,
        start: Annotated[When, Query(alias="from")] = "",
        end: Annotated[When, Query(alias="to")] = "",
        tf: Tf = "1m",
        step: Annotated[str, Query(description="Width of a footprint's bins; else the tick.", max_length=24)] = "",
        job: JobName = "",
        bundle: Annotated[bool, Query(description="A zip of the CSV and of what it is about.")] = False,
    ) -> Response:
        """Stored trades, candles, footprints, liquidations, imbalances, gaps, alerts or OHLC as a file.

        Features are those of the last 180 s, of one instrument, from memory. A `job` makes the progress visible under
        /api/export/progress while the file is made.
        """
        span = time_of(start) if start else 0, time_of(end) if end else FOREVER_MS
        wish = Wish(what, exchange, tuple(symbol or ()), *span, tf, step or None)
        folder = tempfile.TemporaryDirectory(prefix="tapewatch-export-")
        path = Path(folder.name) / f"{exchange}-{what}.{format}"
        try:
            with turn(job) as under_way:
                if what in OF_THE_BOOK:
                    table = _features(venues, wish)  # a copy of this moment
                    await run_in_threadpool(save, table, path)
                else:
                    await run_in_threadpool(stored_table, wish, under_way, path)
                if bundle and format is Format.CSV:
                    path = await run_in_threadpool(_bundled, path)
        except BaseException:
            folder.cleanup()
            raise
        return _file(path, format, folder)

    @api.get("/export/progress", responses={200: {"model": schemas.ExportProgress, "description": "How far it is."}})
    async def progress(job: JobName) -> Response:
        """How much of the range of an export has been read; nulls before it has begun and when it is done."""
        found = jobs.get(job)
        return answer({"job": job, "done": found.done if found else None, "total": found.total if found else None})

    @api.delete("/export", responses={200: {"model": schemas.ExportProgress, "description": "It ends soon."}})
    async def cancel(job: JobName) -> Response:
        """End an export that nobody waits for."""
        found = jobs.get(job)
        if found is not None:
            found.cancelled = True
        return answer({"job": job, "done": found.done if found else None, "total": found.total if found else None})

    @api.post("/export/table", responses={200: {"description": "The file, with what it is about in it."}, **REFUSED})
    async def shown(
        request: Request,
        format: Annotated[Format, Query(description="Form of the file.")] = Format.CSV,  # noqa: A002  (its public name)
    ) -> Response:
        """A table as a file: JSON of `name`, `columns`, `rows` (lists of cells) and `about`. CSV comes as a zip."""
        folder = tempfile.TemporaryDirectory(prefix="tapewatch-export-")

        def work(body: bytes) -> Path:
            found = read_shown(body)
            path = Path(folder.name) / f"{found.name}.{format}"
            save(shown_table(found), path)
            return _bundled(path) if format is Format.CSV else path

        try:
            with turn():
                path = await run_in_threadpool(work, await request.body())
        except BaseException:
            folder.cleanup()
            raise
        return _file(path, format, folder)

    @api.get("/stored", responses={200: {"model": schemas.Stored, "description": "Nulls where nothing is stored."}})
    def stored(exchange: Exchange = "binance") -> Response:
        """From when to when trades are stored; the newest minutes follow when their journal file is sealed."""
        span = None
        if config.url or (config.data_path / FILE_NAME).exists():
            with closing(Reader(config.data_path, config.url)) as reader:
                span = reader.span(exchange, kind=Kind.TRADE)
        return answer({"exchange": exchange, "from": span and span[0], "to": span and span[1]})

    @api.post("/ohlc", responses={200: {"model": schemas.Uploaded, "description": "All rows are stored."}, **REFUSED})
    async def upload(
        request: Request,
        symbol: Annotated[str, Query(description="Instrument that the candles are of.", min_length=1, max_length=64)],
        exchange: Exchange = "binance",
        tf: Annotated[
            str, Query(description="Length of the candles, such as 5m; else told by their times.", max_length=8)
        ] = "",
        check: Annotated[bool, Query(description="Only read it and say what was understood; store nothing.")] = False,
    ) -> Response:
        """Store candles: CSV or JSON of timestamp, open, high, low, close, volume; all of them or none."""
        head: dict[str, Any] = {"exchange": exchange, "symbol": symbol}

        def read(body: bytes) -> Response:
            candles, tf_ms = understood(body, "the upload", tf)
            span = {"tf_ms": tf_ms, "from": int(candles.open_ms[0]), "to": int(candles.open_ms[-1])}
            first = [
                {"open_ts": open_ms} | dict(zip(NUMBERS, map(exact, numbers), strict=True))
                for open_ms, *numbers in islice(texts_of(candles), ROWS_SHOWN)
            ]
            sort = {"sorted": candles.sorted_here}
            return answer({**head, "rows": 0, "read": len(candles), **span, **sort, "first": first})

        def work(body: bytes) -> Response:
            with closing(Store(config.data_path, config.url).open()) as store:
                done = Importer(store).ohlc(body, "the upload", venue=exchange, symbol=symbol, tf=tf)
            return answer({**head, "rows": done.rows})

        with turn():  # before the body is taken into memory
            return await run_in_threadpool(read if check else work, await request.body())

    return api


def _file(path: Path, form: Format, folder: tempfile.TemporaryDirectory[str]) -> FileResponse:
    """A file that is removed when it has been sent."""
    media = ZIP if path.suffix == ".zip" else MEDIA_TYPES[form]
    return FileResponse(path, media_type=media, filename=path.name, background=BackgroundTask(folder.cleanup))


def _bundled(path: Path) -> Path:
    """A zip of a CSV and of its sidecar, which one download would leave behind."""
    out = path.with_name(path.name + ".zip")
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for one in (path, path.with_name(path.name + SIDECAR)):
            archive.write(one, one.name)
    return out


def _features(venues: Mapping[str, VenueView], wish: Wish) -> Table:
    if len(wish.symbols) != 1:
        raise UsageError("features are of one instrument: give one symbol")
    market = find_market(venues, wish.venue)
    features = of_memory(market.engine, find_instrument(market, wish.symbols[0]))
    return dataset(features) if wish.what is What.DATASET else features
