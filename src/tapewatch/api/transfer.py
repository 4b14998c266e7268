"""GET /api/export, POST /api/ohlc: what is stored, to take away, and OHLC that people bring."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from ..config import StoreConfig
from ..model.errors import NotReadyError, UsageError
from ..store.catalog import FILE_NAME
from ..store.reader import Reader
from ..store.writer import Store
from ..transfer.exporting import FOREVER_MS, What, Wish, export, time_of
from ..transfer.files import MEDIA_TYPES, Format, save
from ..transfer.importing import Importer
from . import schemas
from .numbers import answer

AT_ONCE = 2
"""Exports and uploads at a time: each keeps a thread busy, and more would starve the live views of their core."""
UPLOAD_PATH = "/api/ohlc"
UPLOAD_BYTES = 128 << 20
"""Two million candles; an upload is read whole before any of it is stored."""

Exchange = Annotated[str, Query(description="Venue, such as `binance`.", max_length=40)]
Symbols = Annotated[list[str] | None, Query(alias="symbol", description="Only these instruments.", max_length=50)]
When = Annotated[str, Query(description="ISO 8601 or ms since the epoch, UTC.", max_length=40)]
Tf = Annotated[str, Query(description="Length of a candle.", max_length=4)]

PROBLEM = {"model": schemas.Problem, "content": {"application/problem+json": {}}}
REFUSED: dict[int | str, dict[str, Any]] = {
    404: PROBLEM | {"description": "Nothing is stored of that exchange or symbol."},
    413: PROBLEM | {"description": "The upload is too large."},
    422: PROBLEM | {"description": "Refused as a whole; the sentence names the first wrong rows."},
    503: PROBLEM | {"description": "Others are being served; see Retry-After."},
}


def transfer_routes(config: StoreConfig) -> APIRouter:
    """Routes that read and write the store; the work is done in threads, outside the event loop."""
    api = APIRouter(prefix="/api", default_response_class=Response)
    turns = BoundedSemaphore(AT_ONCE)

    @contextmanager
    def turn() -> Iterator[None]:
        if not turns.acquire(blocking=False):
            raise NotReadyError(f"{AT_ONCE} exports or uploads are under way; try again when one is done")
        try:
            yield
        finally:
            turns.release()

    @api.get("/export", responses={200: {"description": "The file, with what it is about in it."}, **REFUSED})
    def download(
        what: Annotated[What, Query(description="Kind of rows.")],
        format: Annotated[Format, Query(description="Form of the file.")] = Format.CSV,  # noqa: A002  (its public name)
        exchange: Exchange = "binance",
        symbol: Symbols = None,
        start: Annotated[When, Query(alias="from")] = "",
        end: Annotated[When, Query(alias="to")] = "",
        tf: Tf = "1m",
        step: Annotated[str, Query(description="Width of a footprint's bins; else the tick.", max_length=24)] = "",
    ) -> Response:
        """Stored trades, candles, footprints, liquidations, imbalances, gaps or OHLC as a file."""
        span = time_of(start) if start else 0, time_of(end) if end else FOREVER_MS
        wish = Wish(what, exchange, tuple(symbol or ()), *span, tf, step or None)
        if not config.url and not (config.data_path / FILE_NAME).exists():
            raise UsageError("nothing is stored yet")
        folder = tempfile.TemporaryDirectory(prefix="tapewatch-export-")
        try:
            with turn(), closing(Reader(config.data_path, config.url)) as reader:
                path = Path(folder.name) / f"{exchange}-{what}.{format}"
                save(export(reader, wish), path)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path, media_type=MEDIA_TYPES[format], filename=path.name, background=BackgroundTask(folder.cleanup)
        )

    @api.post("/ohlc", responses={200: {"model": schemas.Uploaded, "description": "All rows are stored."}, **REFUSED})
    async def upload(
        request: Request,
        symbol: Annotated[str, Query(description="Instrument that the candles are of.", min_length=1, max_length=64)],
        exchange: Exchange = "binance",
        tf: Annotated[
            str, Query(description="Length of the candles, such as 5m; else told by their times.", max_length=8)
        ] = "",
    ) -> Response:
        """Store candles: CSV or JSON of timestamp, open, high, low, close, volume; all of them or none."""

        def work(body: bytes) -> Response:
            with closing(Store(config.data_path, config.url).open()) as store:
                done = Importer(store).ohlc(body, "the upload", venue=exchange, symbol=symbol, tf=tf)
            return answer({"exchange": exchange, "symbol": symbol, "rows": done.rows})

        with turn():  # before the body is taken into memory
            return await run_in_threadpool(work, await request.body())

    return api
