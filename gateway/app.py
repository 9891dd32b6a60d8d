"""The application: both faces over one store, in one process.

What every endpoint needs is put together here, once, and nowhere else: the store, the settings, the job runner and
the clock travel in Starlette's lifespan state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.access.keys import read_access_keys
from gateway.access.signed_requests import SignedRequests, Signers
from gateway.cors import CrossOrigin
from gateway.dicomweb import routes as dicomweb
from gateway.dicomweb.edits.jobs import StudyJobs
from gateway.dicomweb.wado import uri as wado_uri
from gateway.errors import GatewayError, NotFound
from gateway.healthimaging import routes as healthimaging
from gateway.healthimaging.import_runner import ImportJobs
from gateway.healthimaging.wire import MAX_BODY
from gateway.path_table import PathTable
from gateway.request_log import RequestLog
from gateway.settings import Settings
from gateway.state import State
from gateway.store.objects.places import StoragePlaces
from gateway.store.objects.protocol import Places
from gateway.store.objects.s3 import S3
from gateway.store.protocol import Store
from gateway.store.versioned import open_store


def create_app(settings: Settings, store: Store | None = None) -> Starlette:
    """Return the gateway as an ASGI application.

    Without `store` the data folder of the settings is opened at start-up and closed at the end; a store that is given
    stays its owner's to close.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        if store is None:
            async with opened_store(settings) as own, running(own, settings) as state:
                yield state
        else:
            async with running(store, settings) as state:
                yield state

    app = Starlette(
        middleware=[*cross_origin(settings), Middleware(RequestLog), *signature_check(settings)],
        exception_handlers={HTTPException: http_problem},
    )
    app.router = PathTable(routes(), lifespan)
    return app


def routes() -> list[Route]:
    """Return every route there is."""
    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        *dicomweb.routes(dicomweb.DEFAULT_ROOT, dicomweb.ROOT),
        *healthimaging.routes(),
        *wado_uri.routes,  # old viewers look for it without a root
    ]


def cross_origin(settings: Settings) -> list[Middleware]:
    """Return the middleware that lets web pages read answers, none where no origin is named. It is the outermost, so
    that errors can be read too."""
    return [Middleware(CrossOrigin, settings.cors_origins.split())] if settings.cors_origins else []


def signature_check(settings: Settings) -> list[Middleware]:
    """Return the middleware that lets signed requests through and no others, none without access keys.

    Raises InvalidSettings for a file of keys that cannot be used.
    """
    if not settings.access_keys:
        return []
    keys = read_access_keys(Path(settings.access_keys))
    signers = Signers(keys, settings.region, urlsplit(settings.public_base_url).path)
    held = max(settings.max_json_body, MAX_BODY)
    return [Middleware(SignedRequests, signers, clock, held)]


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """Yield the store of the data folder, which is made if need be, with a data store for `/dicomweb` to stand for.

    Raises AlreadyServed, StorageFailed, StorageFull.
    """
    store = await open_store(
        settings.data,
        profile=settings.constraint_profile,
        record_original_attributes=settings.record_original_attributes,
    )
    try:
        try:
            await store.default_datastore()
        except NotFound:
            await store.create_datastore("default", {}, {})
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def running(store: Store, settings: Settings) -> AsyncIterator[State]:
    """Yield the endpoints' state, with the jobs that a stop or a crash left unfinished taken up again."""
    async with S3(settings.s3_endpoint_url, settings.region) as s3:
        jobs = StudyJobs(store, settings)
        imports = ImportJobs(store, settings, import_places(settings, s3), clock)
        await jobs.resume()
        await imports.resume()
        try:
            yield State(store=store, settings=settings, jobs=jobs, imports=imports, clock=clock)
        finally:
            await imports.close()
            await jobs.close()


def clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def import_places(settings: Settings, s3: S3) -> Places:
    """Return what import jobs may read from and write to."""
    folders = [Path(folder) for folder in settings.import_folders.split(":") if folder]
    return StoragePlaces(folders, s3)


async def livez(request: Request[State]) -> Response:
    """Answer 200 as long as the event loop turns: restart the process when this fails."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request[State]) -> Response:
    """Answer 200 while the store reads and writes, else 503: send no traffic when this fails."""
    try:
        await request.state["store"].ready()
    except GatewayError:
        return PlainTextResponse("fail\n", status_code=503)
    return PlainTextResponse("ok\n")


async def http_problem(request: Request, error: Exception) -> Response:
    """Answer what no route takes, 404 and 405 above all, as a problem (RFC 9457); OPTIONS with what the path takes."""
    assert isinstance(error, HTTPException)
    if request.method == "OPTIONS" and error.status_code == 405:
        return Response(status_code=204, headers={"Allow": f"{(error.headers or {}).get('Allow', '')}, OPTIONS"})
    return JSONResponse(
        {"type": "about:blank", "title": error.detail, "status": error.status_code},
        status_code=error.status_code,
        headers=error.headers,
        media_type="application/problem+json",
    )
