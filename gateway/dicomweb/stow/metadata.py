"""Store from metadata: DICOM JSON or XML, alone or with bulk data in further parts (PS3.18 section 10.5.2).

A dataset whose bulk data come with it, or that is a whole instance not stored yet, is written as PS3.10 and stored
like any other. Every other dataset is an edit of what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import BulkData, Dataset, bulk_uris
from gateway.dicom.dictionary import PIXEL_DATA
from gateway.dicom.json_model import Limits, parse_datasets
from gateway.dicom.multipart import Event, PartBegins, PartData, PartEnds
from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Buffer, part10_pieces
from gateway.dicom.xml_model import parse_xml
from gateway.dicomweb.edits.edited import find_edited
from gateway.dicomweb.edits.posted import stow_edit
from gateway.dicomweb.edits.request import flag
from gateway.dicomweb.media_types import STORE_RESPONSE
from gateway.dicomweb.negotiation import (
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART,
    OCTETS,
    MediaType,
    negotiate,
    read_media_type,
)
from gateway.dicomweb.responses import warn
from gateway.dicomweb.stow.body import body_of, multipart_reader
from gateway.dicomweb.stow.incoming import Incoming
from gateway.dicomweb.stow.response import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Failed,
    MissingBulkData,
    OtherStudy,
    Outcome,
    store_response,
    uid_of,
)
from gateway.dicomweb.targets import Target, datastore_of, root_url
from gateway.dicomweb.wado.transfer_syntax import AVAILABLE_TRANSFER_SYNTAX_UID
from gateway.errors import GatewayError, InvalidMultipart, InvalidQuery, InvalidRequest, NotFound, TooLarge
from gateway.pixels.received import PixelPart, received_pixels
from gateway.state import State
from gateway.store.blobs.protocol import Address, Pack

_SERIES_INSTANCE_UID = "0020000E"
_RETRIEVE_URL = "00081190"
_ROWS = "00280010"

# A request has the metadata of a whole series in one array; its bytes are bounded by the setting max_json_body.
_LIMITS = Limits(elements=1_000_000, items=500_000)

# What every composite instance has, be it empty: PS3.3 Tables C.7-1, C.7-3, C.7-5a and C.12-1, types 1 and 2. An edit
# that names an instance which is not there must not become one.
_ALWAYS_THERE = frozenset(
    """
    00080016 00080018 00080020 00080030 00080050 00080060 00080090 00100010 00100020 00100030 00100040 0020000D 0020000E
    00200010 00200011
    """.split()
)


@dataclass(frozen=True, slots=True)
class _BulkPart:
    """A part with bulk data, in the scratch pack."""

    media_type: MediaType
    address: Address


@dataclass(slots=True)
class _Body:
    """A body taken apart. metadata: its documents, with their kinds; bulk: the other parts by Content-Location.

    Several parts of one location are the frames of one value, in order.
    """

    scratch: Pack
    kind: str
    max_metadata: int
    metadata: list[tuple[str, bytearray]] = field(default_factory=list)
    bulk: dict[str, list[_BulkPart]] = field(default_factory=dict)
    opened: tuple[str, MediaType, int] | None = None
    size: int = 0

    async def take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case PartBegins(headers):
                    self.begin(headers.get("content-type"), headers.get("content-location"))
                case PartData(data):
                    await self.write(data)
                case PartEnds():
                    self.end()

    def begin(self, content_type: str | None, location: str | None) -> None:
        media_type = read_media_type(content_type or (OCTETS if location else self.kind))
        if media_type.name in (DICOM_JSON, JSON, DICOM_XML):
            self.metadata.append((media_type.name, bytearray()))
            self.opened = None
        elif location:
            self.opened = (location, media_type, self.scratch.size)
        else:
            raise InvalidMultipart("a part with bulk data has no Content-Location: no dataset can name it")

    async def write(self, data: memoryview) -> None:
        if self.opened:
            await self.scratch.write(data)
            return
        self.size += len(data)
        if self.size > self.max_metadata:
            raise TooLarge(f"the metadata are larger than {self.max_metadata} bytes, the most this gateway takes")
        self.metadata[-1][1].extend(data)

    def end(self) -> None:
        if self.opened:
            location, media_type, start = self.opened
            address = Address(self.scratch.name, start, self.scratch.size - start)
            self.bulk.setdefault(location, []).append(_BulkPart(media_type, address))
            self.opened = None


async def store_metadata(request: Request[State], media_type: MediaType, kind: str, study: str | None) -> Response:
    """Return the answer to datasets in DICOM JSON or XML. Raises InvalidDicomJson, InvalidDicomXml."""
    settings, store = request.state["settings"], request.state["store"]
    if media_type.name != MULTIPART:
        body = b"".join([chunk async for chunk in body_of(request, settings.max_json_body)])
        return await stow_edit(request, await asyncio.to_thread(_parsed, kind, body, Limits()), study)
    scratch = await store.new_pack()
    try:
        reader = multipart_reader(request, media_type)
        parts = _Body(scratch, kind, settings.max_json_body)
        async for chunk in body_of(request, settings.max_store_body):
            await parts.take(reader.feed(chunk))
        await parts.take(reader.finish())
        return await _store(request, parts, study)
    finally:
        await scratch.discard()


def check_no_dry_run(request: Request[State]) -> None:
    """Return if instances may be stored. Raises InvalidQuery for who asked that nothing is written."""
    if flag(request, "dryRun"):
        raise InvalidQuery("dryRun", "is for edits, and this body has instances to store")


def _parsed(kind: str, body: bytes | bytearray, limits: Limits, *, any_bulk: bool = False) -> list[Dataset]:
    if kind == DICOM_XML:
        return [parse_xml(bytes(body), limits=limits, any_bulk=any_bulk)]
    return parse_datasets(bytes(body), limits=limits, any_bulk=any_bulk)


async def _store(request: Request[State], body: _Body, study: str | None) -> Response:
    if not body.metadata:
        raise InvalidMultipart("the body has no part with metadata")
    datasets: list[Dataset] = []
    for kind, document in body.metadata:
        datasets += await asyncio.to_thread(_parsed, kind, document, _LIMITS, any_bulk=bool(body.bulk))
    whole = [await _is_instance(request, dataset, body, study) for dataset in datasets]
    instances = [dataset for dataset, is_whole in zip(datasets, whole, strict=True) if is_whole]
    edits = [dataset for dataset, is_whole in zip(datasets, whole, strict=True) if not is_whole]
    if instances:
        check_no_dry_run(request)
    offer = negotiate(request, STORE_RESPONSE)[0].offer
    outcomes = await _store_instances(request, instances, body, study) if instances else []
    if edits:
        response = await stow_edit(request, edits, study, outcomes)
    else:
        response = store_response(outcomes, root_url(request), offer, request.state["clock"]())
    used = {uri for dataset in instances for uri in bulk_uris(dataset)}
    unused = len(body.bulk.keys() - used)
    texts = [f"{unused} bulk data parts have a Content-Location that no dataset names, and were ignored."]
    return warn(response, root_url(request), texts if unused else [])


async def _is_instance(request: Request[State], dataset: Dataset, body: _Body, study: str | None) -> bool:
    """Whether a dataset is an instance to be stored: its bulk data are here, or it is not stored and complete.

    With bulk data that are not here it is one too, so that the answer can say which are missing.
    """
    if not uid_of(dataset, SOP_INSTANCE_UID):
        return False
    uris = set(bulk_uris(dataset))
    if any(uri in body.bulk for uri in uris):
        return True
    if not uid_of(dataset, SOP_CLASS_UID) or _RETRIEVE_URL in dataset:
        return False
    complete = dataset.keys() >= _ALWAYS_THERE and (_ROWS not in dataset or bool(PIXEL_DATA & dataset.keys()))
    return (bool(uris) or complete) and not await _is_stored(request, dataset, study)


async def _is_stored(request: Request[State], dataset: Dataset, study: str | None) -> bool:
    target = Target(
        uid_of(dataset, STUDY_INSTANCE_UID) or study or "",
        uid_of(dataset, _SERIES_INSTANCE_UID),
        uid_of(dataset, SOP_INSTANCE_UID),
    )
    try:
        await find_edited(request.state["store"], await datastore_of(request), target)
    except NotFound:
        return False
    return True


# -- instances


async def _store_instances(
    request: Request[State], datasets: Sequence[Dataset], body: _Body, study: str | None
) -> list[Outcome]:
    """Return what became of each instance: written as PS3.10 from its dataset and its parts, and stored."""
    store, settings = request.state["store"], request.state["settings"]
    datastore_id = await datastore_of(request)
    await store.datastore(datastore_id)
    pack = await store.new_pack()
    try:
        incoming = Incoming(pack, settings.inline_binary_limit, study)
        for dataset in datasets:
            try:
                await incoming.add(await _part10(dataset, body, study))
            except GatewayError as error:
                if not isinstance(error, InvalidRequest):
                    raise
                incoming.outcomes.append(Failed(error, dataset))
        return await incoming.stored(request, datastore_id)
    finally:
        await pack.discard()


async def _part10(dataset: Dataset, body: _Body, study: str | None) -> list[Buffer]:
    """Return an instance as the pieces of a PS3.10 file. Raises InvalidRequest."""
    if study and uid_of(dataset, STUDY_INSTANCE_UID) not in ("", study):
        raise OtherStudy
    uris = set(bulk_uris(dataset))
    if missing := len(uris - body.bulk.keys()):
        raise MissingBulkData(missing)
    data: dict[str, list[memoryview]] = {}
    for uri in uris:
        addresses = [part.address for part in body.bulk[uri]]
        data[uri] = [await body.scratch.view(address.offset, address.length) for address in addresses]
    return await asyncio.to_thread(_written, dataset, body, data)


def _written(dataset: Dataset, body: _Body, data: dict[str, list[memoryview]]) -> list[Buffer]:
    def read_bulk(bulk: BulkData) -> Buffer:
        [only] = data[bulk.uri] if len(data[bulk.uri]) == 1 else [b"".join(data[bulk.uri])]
        return only

    # What metadata say of the pixels where they came from; here they may be had in another.
    dataset = {tag: element for tag, element in dataset.items() if tag != AVAILABLE_TRANSFER_SYNTAX_UID}
    for tag in sorted(PIXEL_DATA & dataset.keys()):
        value = dataset[tag].binary
        if isinstance(value, BulkData):
            parts = zip(body.bulk[value.uri], data[value.uri], strict=True)
            pixels = received_pixels(dataset, tag, [_pixel_part(part, view) for part, view in parts])
        else:
            pixels = received_pixels(dataset, tag, [PixelPart(OCTETS, None, memoryview(value))])
        return part10_pieces(dataset | pixels.described, pixels.transfer_syntax_uid, pixels.elements, read_bulk)
    return part10_pieces(dataset, EXPLICIT_VR_LITTLE_ENDIAN, {}, read_bulk)


def _pixel_part(part: _BulkPart, data: memoryview) -> PixelPart:
    return PixelPart(part.media_type.name, part.media_type.parameter("transfer-syntax"), data)
