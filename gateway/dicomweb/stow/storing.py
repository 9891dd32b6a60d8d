"""Store: PS3.18 section 10.5. The media type of the body says how its instances come: as PS3.10, or as metadata.

A body is written to a pack as it arrives, part by part, so memory does not grow with it. Nothing is stored unless the
body is whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.multipart import MultipartReader
from gateway.dicomweb.media_types import STORE_RESPONSE
from gateway.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART,
    MediaType,
    negotiate,
    read_media_type,
)
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.stow.body import body_of, multipart_reader
from gateway.dicomweb.stow.incoming import Incoming, Parts
from gateway.dicomweb.stow.metadata import check_no_dry_run, store_metadata
from gateway.dicomweb.stow.response import Outcome, store_response
from gateway.dicomweb.targets import datastore_of, root_url, target_of
from gateway.errors import InvalidMultipart, UnsupportedMediaType
from gateway.state import State
from gateway.store.blobs.receiving import Ahead

_READ_HERE = (
    "read here: application/dicom, application/dicom+json, application/dicom+xml, "
    "and multipart/related with one of them as its type"
)


@endpoint
async def store_instances(request: Request[State]) -> Response:
    """Store instances, or apply edits: metadata of what is stored already."""
    offer = negotiate(request, STORE_RESPONSE)[0].offer
    study = target_of(request).study or None
    content_type = request.headers.get("content-type")
    if content_type is None:
        raise UnsupportedMediaType(f"the body has no Content-Type; {_READ_HERE}")
    media_type = read_media_type(content_type)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise UnsupportedMediaType("no content coding is read here: send the body as it is")
    kind = (media_type.parameter("type") or DICOM).lower() if media_type.name == MULTIPART else media_type.name
    if kind in (DICOM_JSON, JSON, DICOM_XML):
        return await store_metadata(request, media_type, kind, study)
    if kind != DICOM:
        raise UnsupportedMediaType(_READ_HERE)
    check_no_dry_run(request)
    outcomes = await _store_files(request, media_type, study)
    return store_response(outcomes, root_url(request), offer, request.state["clock"]())


async def _store_files(request: Request[State], media_type: MediaType, study: str | None) -> list[Outcome]:
    """Return what became of each PS3.10 part of a body, in order."""
    store, settings = request.state["store"], request.state["settings"]
    datastore_id = await datastore_of(request)
    await store.datastore(datastore_id)
    reader = multipart_reader(request, media_type) if media_type.name == MULTIPART else None
    pack = await store.new_pack()
    try:
        incoming = Incoming(pack, settings.inline_binary_limit, study)
        await _receive(incoming, body_of(request, settings.max_store_body), reader)
        return await incoming.stored(request, datastore_id)
    finally:
        await pack.discard()


async def _receive(incoming: Incoming, body: AsyncIterator[bytes], reader: MultipartReader | None) -> None:
    """Take a whole body in: its parts, or itself as the only one. Raises InvalidMultipart, also for no parts."""
    parts = Parts(incoming, reader)
    ahead: Ahead[bytes | None] = Ahead(parts.take, parts.take_little)
    try:
        async for chunk in body:
            await ahead.put([chunk], len(chunk))
        await ahead.put([None], 0)
        await ahead.done()
    finally:
        await ahead.settled()
    if not incoming.outcomes:
        raise InvalidMultipart("the body has no parts")


# PS3.18 Table 10.5.1-1.
routes: list[Route] = [
    Route("/studies", store_instances, methods=["POST"]),
    Route("/studies/{study}", store_instances, methods=["POST"]),
]
