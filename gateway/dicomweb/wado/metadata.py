"""Retrieve metadata: PS3.18 section 10.4.3.3. The datasets of a resource, in JSON or XML.

Pixel data are in them by their address, which is that of a bulk value named by its tag (dicomweb/wado/pixel_values.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import BulkData, Dataset, Element
from gateway.dicom.json_model import BulkUri, encode_json
from gateway.dicom.part10 import NO_PIXELS, PixelElement
from gateway.dicom.xml_write import to_xml
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import INSTANCE_METADATA, METADATA
from gateway.dicomweb.negotiation import DICOM_XML, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.qido import SPECIFIC_CHARACTER_SET
from gateway.dicomweb.responses import Part, begun, multipart_response, not_modified, part_fields
from gateway.dicomweb.streamed import Chunk, Streamed
from gateway.dicomweb.targets import root_url, target_of
from gateway.dicomweb.wado.metadata_json import WRITER, part_texts, pixel_members
from gateway.dicomweb.wado.transfer_syntax import AVAILABLE_TRANSFER_SYNTAX_UID, syntax_to_say
from gateway.metadata.image_set import ImageSetMetadata
from gateway.metadata.mapping import to_dataset
from gateway.state import State
from gateway.store.contents import Member

# How many instances a thread encodes at a time: the event loop gets a turn between.
_BATCH = 64

# An instance of more bytes of JSON is written on a thread: it takes longer than the thread's hop, and others wait.
WRITTEN_ON_LOOP = 64 * 1024

_UTF_8 = Element("CS", ("ISO_IR 192",))

# Which pixel data an instance has stands last, NO_PIXELS for none.
Encode: TypeAlias = Callable[[ImageSetMetadata, str, BulkUri, PixelElement], bytes]


@endpoint
async def retrieve_metadata(request: Request[State]) -> Response:
    """Answer the metadata of a study, a series or an instance, one dataset for each instance."""
    offer = negotiate(request, INSTANCE_METADATA if target_of(request).instance else METADATA)[0].offer
    located = await locate(request)
    if unchanged := not_modified(request, located.validators):
        return unchanged
    root, headers = root_url(request), located.validators.headers
    if offer.multipart:
        return await multipart_response(_xml_parts(located, root), DICOM_XML, headers)
    headers = {**headers, "Content-Type": offer.name}
    if offer.name == DICOM_XML:
        documents = (document async for _, document in _documents(located, root, _xml))
        return Streamed(await begun(documents), 200, headers)
    if located.target.instance:
        return Response(b"[%b]" % await _instance_json(located, root), 200, headers)
    return Streamed(await begun(_json_array(located, root)), 200, headers)


async def _json_array(located: Located, root: str) -> AsyncIterator[Chunk]:
    opening = b"["
    for member in located.members:
        async for text in part_texts(located, member, root):
            yield opening + text
            opening = b","
    yield b"]" if opening == b"," else b"[]"


async def _instance_json(located: Located, root: str) -> bytes:
    """Return the dataset of the one instance that the resource is."""
    (member,) = located.members
    uid = located.target.instance
    metadata, pixels = await asyncio.gather(located.metadata(member), located.pixel_elements(member))
    instance = metadata.instances[uid]
    bulk_uri = located.bulk_uri(root, member, uid)
    more = pixel_members(pixels.get(uid, NO_PIXELS), syntax_to_say(instance), bulk_uri)
    if len(encode_json(instance)) > WRITTEN_ON_LOOP:
        return await asyncio.to_thread(WRITER.instance, metadata.head, instance, bulk_uri, more)
    return WRITER.instance(metadata.head, instance, bulk_uri, more)


def _xml(metadata: ImageSetMetadata, uid: str, bulk_uri: BulkUri, pixels: PixelElement) -> bytes:
    more: Dataset = {}
    if pixels.tag:
        more[pixels.tag] = Element(pixels.vr, binary=BulkData(pixels.tag))
        if syntax := syntax_to_say(metadata.instances[uid]):
            more[AVAILABLE_TRANSFER_SYNTAX_UID] = Element("UI", (syntax,))
    return to_xml(dataset_of(metadata, uid) | more | {SPECIFIC_CHARACTER_SET: _UTF_8}, bulk_uri)


async def _xml_parts(located: Located, root: str) -> AsyncIterator[Part]:
    async for address, document in _documents(located, root, _xml):
        yield part_fields(DICOM_XML, address), [document]


async def _documents(located: Located, root: str, encode: Encode) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the address of each instance's metadata, and its dataset, encoded. The text is UTF-8, and says so."""
    async for member, uids, documents in _encoded(located, root, encode):
        for address, document in zip(map(located.address(root, member, "/metadata"), uids), documents, strict=True):
            yield address, document


async def _encoded(
    located: Located, root: str, encode: Encode
) -> AsyncIterator[tuple[Member, Sequence[str], Sequence[bytes]]]:
    """Yield instances of an image set and their datasets, encoded, a batch at a time."""
    for member in located.members:
        metadata, pixels = await asyncio.gather(located.metadata(member), located.pixel_elements(member))
        of = partial(_encoded_one, encode, metadata, pixels, partial(located.bulk_uri, root, member))
        uids = list(metadata.instances)
        for at in range(0, len(uids), _BATCH):
            batch = uids[at : at + _BATCH]
            yield member, batch, await asyncio.to_thread(list, map(of, batch))


def _encoded_one(
    encode: Encode,
    metadata: ImageSetMetadata,
    pixels: Mapping[str, PixelElement],
    bulk_uri: Callable[[str], BulkUri],
    uid: str,
) -> bytes:
    return encode(metadata, uid, bulk_uri(uid), pixels.get(uid, NO_PIXELS))


def dataset_of(metadata: ImageSetMetadata, uid: str) -> Dataset:
    """Return an instance's dataset: the attributes of all four levels."""
    head = metadata.head
    return to_dataset(head.patient, head.study, head.series, metadata.instances[uid])
