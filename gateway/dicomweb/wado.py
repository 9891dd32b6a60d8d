"""Retrieve: PS3.18 section 10.4. Instances as PS3.10 with every edit in them; the paths of metadata and bulk data.

Every retrieve takes `?version=`, a version of the resource in the path: of the study, or of the image set that the
series or the instance lies in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.dicom.dataset import BulkData
from gateway.dicom.part10 import Buffer, rewrite
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import INSTANCE, INSTANCES
from gateway.dicomweb.negotiation import DICOM, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Part, multipart_response, not_modified, pieces, warn
from gateway.dicomweb.targets import root_url
from gateway.dicomweb.wado_bulk import retrieve_all_bulk_data, retrieve_bulk_data
from gateway.dicomweb.wado_metadata import dataset_of, retrieve_metadata
from gateway.dicomweb.wado_syntax import Plan, plan, stored_syntax
from gateway.errors import NotAcceptable, TooLarge
from gateway.metadata.fingerprint import fingerprint
from gateway.metadata.image_set import ImageSetMetadata
from gateway.pixels.instance import transcode_instance
from gateway.state import State
from gateway.store.protocol import Member, Store, StoredObject


@dataclass(frozen=True, slots=True)
class _Instance:
    """One instance of a version, with what is needed to write it. transfer_syntax_uid: to be written in."""

    located: Located
    member: Member
    uid: str
    metadata: ImageSetMetadata
    stored: StoredObject
    stored_syntax_uid: str
    transfer_syntax_uid: str


@endpoint
async def retrieve(request: Request[State]) -> Response:
    """Answer a study, a series or an instance as PS3.10, the edits in it."""
    located = await locate(request)
    choices = negotiate(request, INSTANCE if located.target.instance else INSTANCES)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    loaded = [(member, await located.metadata(member)) for member in located.members]
    planned = plan(choices, {uid: instance for _, found in loaded for uid, instance in found.instances.items()})
    headers = located.validators.headers
    if planned.offer.multipart:
        response = await multipart_response(_parts(_instances(located, loaded, planned)), DICOM, headers)
        return _partial(response, request, planned.left_out) if planned.left_out else response
    instance = await anext(_instances(located, loaded, planned))
    try:
        chunks = await _part10(instance)
    except TooLarge as error:
        raise NotAcceptable(str(error)) from error
    headers |= {"Content-Type": _part_type(instance), "Content-Length": str(sum(len(chunk) for chunk in chunks))}
    return StreamingResponse(pieces(chunks), 200, headers)


def _partial(response: Response, request: Request[State], left_out: int) -> Response:
    """Return the response as 206: some instances cannot be had in any transfer syntax the client accepts."""
    response.status_code = 206
    text = f"{left_out} instances are not available in the transfer syntaxes that were asked for."
    return warn(response, root_url(request), [text])


async def _instances(
    located: Located, loaded: Sequence[tuple[Member, ImageSetMetadata]], planned: Plan
) -> AsyncIterator[_Instance]:
    for member, metadata in loaded:
        wanted = [uid for uid in metadata.instances if uid in planned.syntaxes]
        objects = await located.store.objects(located.datastore_id, member.image_set_id, member.version, wanted)
        for uid in wanted:
            stored, syntax = stored_syntax(metadata.instances[uid]), planned.syntaxes[uid]
            yield _Instance(located, member, uid, metadata, objects[uid], stored, syntax)


async def _parts(instances: AsyncIterator[_Instance]) -> AsyncIterator[Part]:
    async for instance in instances:
        yield {"Content-Type": _part_type(instance)}, await _part10(instance)


def _part_type(instance: _Instance) -> str:
    syntax = instance.transfer_syntax_uid
    return f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM


async def _part10(instance: _Instance) -> Sequence[Buffer]:
    """Return an instance's PS3.10 file: the one that was received, with what was edited since."""
    located, member = instance.located, instance.member
    original = await located.store.read(instance.stored.address)
    as_stored = instance.transfer_syntax_uid == instance.stored_syntax_uid
    if as_stored and _as_received(instance):
        return [original]
    read_bulk = bulk_reader(located.store, located.datastore_id, member.image_set_id)
    return await asyncio.to_thread(_written, original, instance, as_stored, read_bulk)


def _as_received(instance: _Instance) -> bool:
    """Whether no attribute is another one than in the file that was received."""
    metadata = instance.metadata
    return fingerprint(metadata.head, metadata.instances[instance.uid]) == instance.stored.fingerprint


def _written(
    original: memoryview, instance: _Instance, as_stored: bool, read_bulk: Callable[[BulkData], memoryview]
) -> Sequence[Buffer]:
    chunks = rewrite(original, dataset_of(instance.metadata, instance.uid), read_bulk)
    if as_stored:
        return chunks
    return transcode_instance(chunks, instance.transfer_syntax_uid)


def bulk_reader(store: Store, datastore_id: str, image_set_id: str) -> Callable[[BulkData], memoryview]:
    """Return what reads bulk data from another thread than the event loop's."""
    loop = asyncio.get_running_loop()

    async def read(uri: str) -> memoryview:
        return await store.read(await store.bulk_data(datastore_id, image_set_id, uri))

    return lambda bulk: asyncio.run_coroutine_threadsafe(read(bulk.uri), loop).result()


# PS3.18 Tables 10.4.1-1 and 10.4.1-4.
routes: list[Route] = [
    Route("/studies/{study}", retrieve),
    Route("/studies/{study}/series/{series}", retrieve),
    Route("/studies/{study}/series/{series}/instances/{instance}", retrieve),
    Route("/studies/{study}/metadata", retrieve_metadata),
    Route("/studies/{study}/series/{series}/metadata", retrieve_metadata),
    Route("/studies/{study}/series/{series}/instances/{instance}/metadata", retrieve_metadata),
    Route("/studies/{study}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/instances/{instance}/bulkdata", retrieve_all_bulk_data),
    Route("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{uri}", retrieve_bulk_data),
]
