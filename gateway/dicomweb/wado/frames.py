"""Retrieve frames and pixel data: PS3.18 sections 10.4.1.1.6 and 10.4.1.1.7, in the media types of section 8.7.3.

Pixels are not edited: what is sent is what was received, or the same without loss in another transfer syntax.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicom.dataset import BulkData
from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import FRAMES
from gateway.dicomweb.negotiation import OCTETS, Choice, Offer, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Part, Validators, multipart_response, not_modified, part_fields
from gateway.dicomweb.targets import root_url
from gateway.dicomweb.wado.instance_pixels import (
    StoredPixels,
    check_numbers,
    computed,
    frame_list,
    not_acceptable,
    stored_pixels,
)
from gateway.dicomweb.wado.ranges import ranged
from gateway.dicomweb.wado.transfer_syntax import ANY, Makes, makes_all, makes_of
from gateway.errors import NotAcceptable
from gateway.pixels.frames import Frames, frame_numbers
from gateway.pixels.transcode import TranscodedFrame, transcode_frame
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax, syntaxes_of
from gateway.state import State

# A version never changes, so whoever names one need not ask again for a year.
_YEAR = 365 * 24 * 60 * 60


@endpoint
async def retrieve_frames(request: Request[State]) -> Response:
    """Answer frames of an instance, one part each, in the order of the list."""
    return await _answer(request, frame_list(str(request.path_params["frames"])))


@endpoint
async def retrieve_pixel_data(request: Request[State]) -> Response:
    """Answer all frames of an instance, one part each."""
    return await _answer(request, [])


async def _answer(request: Request[State], numbers: Sequence[int]) -> Response:
    pixels = await stored_pixels(await locate(request))
    single = len(numbers) == 1 or (not numbers and pixels.frames.count == 1)
    choices = negotiate(request, frame_offers(pixels.frames.transfer_syntax, single=single))
    return await answer_frames(request, pixels, choices, numbers)


async def answer_frames(
    request: Request[State], pixels: StoredPixels, choices: Sequence[Choice], numbers: Sequence[int]
) -> Response:
    """Return the frames of these numbers, all for none, as the first choice that they fit into.

    Of a choice that is not multipart there may be one frame only. Raises NotFound, NotAcceptable.
    """
    frames = pixels.frames
    validators = _validators(request, pixels, numbers)
    caching = cache_control(request, pixels.located)
    if unchanged := not_modified(request, validators):
        unchanged.headers.update(caching)
        return unchanged
    location = _location(request, pixels, named=bool(numbers))
    numbers = numbers or frame_numbers(frames)
    check_numbers(frames, numbers)
    choice, first = await _first(choices, frames, numbers[0], await makes_of(request, choices))
    headers = validators.headers | caching
    if choice.multipart:
        fields = part_fields(_content_type(choice, first), location(numbers[0]))
        sizes = [(fields, len(first.data))] if len(numbers) == 1 else None
        return await multipart_response(_parts(frames, numbers, choice, first, location), choice.name, headers, sizes)
    headers |= {"Content-Type": _content_type(choice, first)}
    return ranged(request, memoryview(first.data), validators.etag, headers)


def _validators(request: Request[State], pixels: StoredPixels, numbers: Sequence[int]) -> Validators:
    """Return an entity tag of the stored file, the frames and what was accepted: each has bytes of its own."""
    accepted = [*request.query_params.getlist("accept"), *request.headers.getlist("accept")]
    asked = repr((pixels.stored.sha256, list(numbers), accepted))
    return Validators(f'"{hashlib.sha256(asked.encode()).hexdigest()[:32]}"', pixels.located.updated_at)


def cache_control(request: Request[State], located: Located) -> dict[str, str]:
    """Return for how many seconds what is sent of pixels may be kept without asking; nothing where each time.

    No edit changes pixels, so they are immutable (RFC 8246). Without a version it is for a short while only: the same
    SOP instance can be stored once more with others, and a picture of last year's must not be shown then.
    """
    seconds = request.state["settings"].frames_max_age if located.version is None else _YEAR
    return {"Cache-Control": f"private, max-age={seconds}, immutable"} if seconds else {}


def frame_offers(stored: TransferSyntax, single: bool) -> list[Offer]:
    """Return what frames can be sent as, what they are stored as first; one frame also without a multipart around."""
    names = dict.fromkeys([*stored.media_types, *(offer.name for offer in FRAMES)])
    parts = [Offer(name, multipart=True) for name in names]
    return [*parts, *map(Offer, names)] if single else parts


async def _first(choices: Sequence[Choice], frames: Frames, number: int, makes: Makes) -> tuple[Offer, TranscodedFrame]:
    """Return the first choice that the pixels fit into, and a frame made so. Raises NotAcceptable.

    Of choices that the client likes as much as each other, one that leaves them as they are stored goes first: a viewer
    of slides names JPEG-LS before "*", and a slide in JPEG would be transcoded tile by tile.
    """
    stored = frames.transfer_syntax
    possible = [(choice, uid) for choice in choices for uid in frame_syntaxes(choice, stored, makes)]
    if len(choices) > 1:
        possible.sort(key=lambda one: (one[0].rank, one[1] != _as_stored(stored)))
    reason = NotAcceptable("not in these transfer syntaxes: ask for *, the one that is stored")
    for choice, uid in possible:
        try:
            return choice.offer, await _made(frames, number, uid)
        except NotAcceptable as error:
            reason = error
    raise reason


async def _made(frames: Frames, number: int, uid: str) -> TranscodedFrame:
    """Return a frame in a transfer syntax: on a thread only where that takes longer than going there."""
    if uid == frames.transfer_syntax.uid and frames.at_hand:
        with not_acceptable():
            return transcode_frame(frames, number, uid)
    return await computed(transcode_frame, frames, number, uid)


def frame_syntaxes(choice: Choice, stored: TransferSyntax, makes: Makes = makes_all) -> list[str]:
    """Return the transfer syntaxes that a choice allows of what is stored, best first.

    "*" is the stored one: as application/octet-stream too, where viewers ask for it so, and every compressed one that
    is named, as HealthImaging's guide asks for HTJ2K. Native frames are the same in every native transfer syntax but
    for the byte order, and go by the name of Explicit VR Little Endian.
    """
    as_stored = _as_stored(stored)
    name, named = choice.offer.name, choice.transfer_syntaxes
    lossless = _lossless(syntaxes_of(name), stored, makes)
    own = [as_stored] if name in stored.media_types else []
    if ANY in named:
        return [as_stored] if own or name == OCTETS else lossless
    if named:
        as_octets = [stored.uid, *_lossless(TRANSFER_SYNTAXES.values(), stored, makes)] if name == OCTETS else []
        possible = {*own, *lossless, *as_octets, *([stored.uid] if own else [])}
        return [uid for uid in named if uid in possible]
    return [*own, *lossless] if own or stored.decodes or name != OCTETS else [as_stored]


def _as_stored(stored: TransferSyntax) -> str:
    return EXPLICIT_VR_LITTLE_ENDIAN if stored.family == "native" else stored.uid


def _lossless(syntaxes: Iterable[TransferSyntax], stored: TransferSyntax, makes: Makes) -> list[str]:
    return [one.uid for one in syntaxes if one.encodes and one.lossless and makes(one.uid, stored)]


def _location(request: Request[State], pixels: StoredPixels, *, named: bool) -> Callable[[int], str]:
    """Return what makes the address of a frame's part: its own where frames were named, else that of the pixel data.

    PS3.18 10.4.3.3.6: a part of pixel data is found by the BulkDataURI of the metadata.
    """
    located, root = pixels.located, root_url(request)
    [member], uid = located.members, located.target.instance
    if named:
        return lambda number: located.address(root, member, f"/frames/{number}")(uid)
    value = located.bulk_uri(root, member, uid)(BulkData(pixels.frames.tag))
    return lambda number: value


async def _parts(
    frames: Frames, numbers: Sequence[int], offer: Offer, first: TranscodedFrame, location: Callable[[int], str]
) -> AsyncIterator[Part]:
    uid = first.transfer_syntax.uid
    for at, number in enumerate(numbers):
        frame = first if at == 0 else await _made(frames, number, uid)
        yield part_fields(_content_type(offer, frame), location(number)), [frame.data]


def _content_type(offer: Offer, frame: TranscodedFrame) -> str:
    return f"{offer.name}; transfer-syntax={frame.transfer_syntax.uid}"


_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"

# PS3.18 Tables 10.4.1-5 and 10.4.1-6.
routes: list[Route] = [
    Route(f"{_INSTANCE}/frames/{{frames}}", retrieve_frames),
    Route(f"{_INSTANCE}/pixeldata", retrieve_pixel_data),
]
