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

from gateway.dicom.dataset import BulkData, Dataset
from gateway.dicom.part10 import rewrite
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import INSTANCE, INSTANCES
from gateway.dicomweb.negotiation import DICOM, Choice, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Chunk, Part, multipart_response, not_modified, pieces
from gateway.dicomweb.wado_bulk import retrieve_all_bulk_data, retrieve_bulk_data
from gateway.dicomweb.wado_metadata import dataset_of, retrieve_metadata
from gateway.errors import NotAcceptable
from gateway.metadata.image_set import ImageSetMetadata, InstanceMetadata
from gateway.state import State
from gateway.store.protocol import Member, Store


@dataclass(frozen=True, slots=True)
class _Instance:
    """One instance of a version, with what is needed to write it."""

    located: Located
    member: Member
    uid: str
    dataset: Dataset
    transfer_syntax_uid: str


# -- instances


@endpoint
async def retrieve(request: Request[State]) -> Response:
    """Answer a study, a series or an instance as PS3.10, the edits in it."""
    located = await locate(request)
    choices = negotiate(request, INSTANCE if located.target.instance else INSTANCES)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    loaded = [(member, await located.metadata(member)) for member in located.members]
    choice = _in_a_stored_syntax(choices, [metadata for _, metadata in loaded])
    instances = _instances(located, loaded)
    if choice.offer.multipart:
        return await multipart_response(_parts(instances), DICOM, located.validators.headers)
    instance = await anext(instances)
    chunks = await _part10(instance)
    headers = {
        **located.validators.headers,
        "Content-Type": _part_type(instance),
        "Content-Length": str(sum(len(chunk) for chunk in chunks)),
    }
    return StreamingResponse(pieces(chunks), 200, headers)


def _in_a_stored_syntax(choices: Sequence[Choice], loaded: Sequence[ImageSetMetadata]) -> Choice:
    """Return the first choice that every instance meets as it is stored. Raises NotAcceptable.

    A client that names no transfer syntax gets what is stored: see docs/conformance.md.
    """
    stored = {_transfer_syntax_of(one) for metadata in loaded for one in metadata.instances.values()}
    for choice in choices:
        if not choice.transfer_syntaxes or "*" in choice.transfer_syntaxes or stored <= {*choice.transfer_syntaxes}:
            return choice
    raise NotAcceptable("instances are written in the transfer syntax they are stored in: ask for transfer-syntax=*")


def _transfer_syntax_of(instance: InstanceMetadata) -> str:
    return str(instance.get("StoredTransferSyntaxUID") or instance["DICOM"].get("TransferSyntaxUID") or "")


async def _instances(located: Located, loaded: Sequence[tuple[Member, ImageSetMetadata]]) -> AsyncIterator[_Instance]:
    for member, metadata in loaded:
        for uid, instance in metadata.instances.items():
            dataset = await asyncio.to_thread(dataset_of, metadata, uid)
            yield _Instance(located, member, uid, dataset, _transfer_syntax_of(instance))


async def _parts(instances: AsyncIterator[_Instance]) -> AsyncIterator[Part]:
    async for instance in instances:
        yield {"Content-Type": _part_type(instance)}, await _part10(instance)


def _part_type(instance: _Instance) -> str:
    syntax = instance.transfer_syntax_uid
    return f"{DICOM}; transfer-syntax={syntax}" if syntax else DICOM


async def _part10(instance: _Instance) -> list[Chunk]:
    """Return an instance's PS3.10 file: the one that was received, with what was edited since."""
    located, member = instance.located, instance.member
    store, datastore_id = located.store, located.datastore_id
    objects = await store.objects(datastore_id, member.image_set_id, member.version, {instance.uid})
    original = await store.read(objects[instance.uid].address)
    read_bulk = _bulk_reader(store, datastore_id, member.image_set_id)
    return await asyncio.to_thread(rewrite, original, instance.dataset, read_bulk)


def _bulk_reader(store: Store, datastore_id: str, image_set_id: str) -> Callable[[BulkData], memoryview]:
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
