"""What is shown as it is stored: a document and a video are in a media type that browsers show (PS3.18 section 8.7.4).

No picture is made of them. Parameters of pictures say nothing here.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import BulkData, Dataset, Tag
from gateway.dicomweb.locate import Located
from gateway.dicomweb.media_types import DOCUMENT, VIDEO
from gateway.dicomweb.negotiation import Offer, negotiate
from gateway.dicomweb.responses import not_modified
from gateway.dicomweb.wado.metadata import dataset_of
from gateway.dicomweb.wado.ranges import ranged
from gateway.pixels.frames import Frames
from gateway.state import State

_DOCUMENT = "00420011"
_MEDIA_TYPE = "00420012"
_LENGTH = "00420015"


def document_offers(dataset: Dataset, uri: str) -> list[Offer]:
    """Return what a bulk value is written in beside bytes: its media type, if it is a document shown here."""
    value = dataset[_DOCUMENT].binary if _DOCUMENT in dataset else None
    if not isinstance(value, BulkData) or value.uri != uri:
        return []
    return [Offer(offer.name, multipart) for offer in _offers(dataset) for multipart in (False, True)]


def _offers(dataset: Dataset) -> list[Offer]:
    return [offer for offer in DOCUMENT if offer.name == _text(dataset, _MEDIA_TYPE).lower()]


async def document(request: Request[State], located: Located) -> Response | None:
    """Return the document that an instance encapsulates; None where it has none that is shown here."""
    [member] = located.members
    dataset = dataset_of(await located.metadata(member), located.target.instance)
    offers = _offers(dataset)
    if not offers or _DOCUMENT not in dataset:
        return None
    value = dataset[_DOCUMENT].binary
    if isinstance(value, BulkData):
        address = await located.store.bulk_data(located.datastore_id, member.image_set_id, value.uri)
        data = await located.store.read(address)
    else:
        data = memoryview(value)
    # An element is padded to an even length.
    length = _text(dataset, _LENGTH)
    return _shown(request, located, data[: int(length)] if length.isdecimal() else data, offers)


def video(request: Request[State], located: Located, frames: Frames) -> Response:
    """Return a video, which is one frame."""
    offers = [offer for offer in VIDEO if offer.name in frames.transfer_syntax.media_types]
    return _shown(request, located, memoryview(frames.frame(1)), offers)


def _shown(request: Request[State], located: Located, data: memoryview, offers: list[Offer]) -> Response:
    offer = negotiate(request, offers)[0].offer
    etag = f'"{hashlib.sha256(repr((located.etag, offer)).encode()).hexdigest()[:32]}"'
    validators = replace(located.validators, etag=etag)
    if unchanged := not_modified(request, validators):
        return unchanged
    return ranged(request, data, etag, validators.headers | {"Content-Type": offer.name})


def _text(dataset: Dataset, tag: Tag) -> str:
    element = dataset.get(tag)
    return str(element.values[0]).strip(" ") if element and element.values else ""
