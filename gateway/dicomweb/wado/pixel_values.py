"""Pixel data as one bulk value of an instance, by the BulkDataURI of its metadata: PS3.18 sections 10.4.1.5 and 8.7.3.

What lies native in the file is a value like any other: bytes, little endian, with ranges. What is encapsulated comes
as frames, one part each, in the media types that /pixeldata has; or decoded, all frames in one value, for who accepts
nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicom.dataset import BulkData, Tag
from gateway.dicom.encoding import swapped
from gateway.dicom.part10 import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Buffer,
    Span,
    read_part10,
)
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import BULK_DATA
from gateway.dicomweb.negotiation import OCTETS, Choice, negotiate
from gateway.dicomweb.responses import Validators, begun, multipart_response, not_modified, one_part
from gateway.dicomweb.streamed import Chunk, Streamed
from gateway.dicomweb.targets import root_url
from gateway.dicomweb.wado.frames import answer_frames, cache_control, frame_offers
from gateway.dicomweb.wado.instance_pixels import StoredPixels, computed, stored_object, stored_pixels
from gateway.dicomweb.wado.ranges import ranged
from gateway.dicomweb.wado.transfer_syntax import ANY
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels.frames import Frames, frame_numbers
from gateway.pixels.transcode import transcode_frame
from gateway.state import State
from gateway.store.contents import StoredObject

# Native little endian, whatever it is called.
_NATIVE = frozenset({ANY, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN})


async def retrieve_pixel_value(request: Request[State], tag: Tag) -> Response:
    """Answer the pixel data of an instance. Raises NotFound where it has none of this kind, NotAcceptable."""
    located = await locate(request)
    try:
        pixels = await stored_pixels(located)
    except NotAcceptable as error:
        return await _undescribed(request, located, tag, error)
    frames = pixels.frames
    if frames.tag != tag:
        raise NotFound("bulk data", tag)
    offers = frame_offers(frames.transfer_syntax, single=frames.count == 1)
    choices = negotiate(request, [*offers, *BULK_DATA] if frames.encapsulated else [*BULK_DATA, *offers])
    if not frames.encapsulated and _is_native(choices[0]):
        value = await computed(frames.value_little_endian) if frames.big_endian else frames.value
        return await _value(request, located, pixels.stored, choices[0], tag, value)
    if frames.count > 1 and not choices[0].offer.multipart and frames.transfer_syntax.decodes:
        return await _decoded(request, pixels)
    possible = [choice for choice in choices if frames.count == 1 or choice.offer.multipart]
    if not possible:
        raise NotAcceptable("these frames cannot be decoded here: accept multipart/related")
    return await answer_frames(request, pixels, possible, [])


def _is_native(choice: Choice) -> bool:
    named = choice.transfer_syntaxes
    return choice.offer.name == OCTETS and (not named or not _NATIVE.isdisjoint(named))


async def _value(
    request: Request[State], located: Located, stored: StoredObject, choice: Choice, tag: Tag, value: memoryview
) -> Response:
    """Return native pixel data, whole or a range of the bytes."""
    validators = _validators(located, stored, "value")
    headers = validators.headers | cache_control(request, located)
    if unchanged := not_modified(request, validators):
        unchanged.headers.update(headers)
        return unchanged
    if choice.offer.multipart:
        location = located.bulk_uri(root_url(request), located.members[0], located.target.instance)(BulkData(tag))
        return await multipart_response(one_part(value, OCTETS, location), OCTETS, headers)
    return ranged(request, value, validators.etag, headers)


async def _decoded(request: Request[State], pixels: StoredPixels) -> Response:
    """Return encapsulated frames decoded, one after the other as native ones lie."""
    validators = _validators(pixels.located, pixels.stored, "decoded")
    headers = validators.headers | cache_control(request, pixels.located)
    if unchanged := not_modified(request, validators):
        unchanged.headers.update(headers)
        return unchanged
    chunks = await begun(_decoded_frames(pixels.frames, frame_numbers(pixels.frames)))
    return Streamed(chunks, 200, headers | {"Content-Type": OCTETS})


async def _decoded_frames(frames: Frames, numbers: Sequence[int]) -> AsyncIterator[Chunk]:
    for number in numbers:
        yield (await computed(transcode_frame, frames, number, EXPLICIT_VR_LITTLE_ENDIAN)).data


def _validators(located: Located, stored: StoredObject, form: str) -> Validators:
    """Return an entity tag of the stored file and of the form its pixels are sent in."""
    digest = hashlib.sha256(f"{stored.sha256} {form}".encode()).hexdigest()
    return Validators(f'"{digest[:32]}"', located.updated_at)


async def _undescribed(request: Request[State], located: Located, tag: Tag, reason: NotAcceptable) -> Response:
    """Return native pixel data that nothing says the rows and columns of: bytes all the same.

    Raises NotFound where there are none of this kind, and the reason for what is encapsulated.
    """
    choice = negotiate(request, BULK_DATA)[0]
    stored = await stored_object(located, located.members[0], located.target.instance)
    value = await asyncio.to_thread(_native_value, await located.store.read(stored.address), tag, reason)
    return await _value(request, located, stored, choice, tag, value)


def _native_value(file: Buffer, tag: Tag, reason: NotAcceptable) -> memoryview:
    part10 = read_part10(file)
    if part10.pixel_element.tag != tag:
        raise NotFound("bulk data", tag)
    pixels = part10.pixel_data[-1]
    if pixels.encapsulated:
        raise reason
    span = pixels.value
    value = memoryview(file)[span.offset : span.offset + span.length] if isinstance(span, Span) else span
    if part10.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN and pixels.element.vr == "OW":
        return memoryview(swapped(value, 2))
    return value
