"""Rendered images and thumbnails: PS3.18 sections 10.4.1.1.3 and 10.4.1.1.4. What an edit changed is seen in them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import RENDERED, RENDERED_PARTS, THUMBNAIL
from gateway.dicomweb.negotiation import Offer, negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Part, Validators, multipart_response, not_modified, part_fields
from gateway.dicomweb.targets import root_url, single
from gateway.dicomweb.wado.instance_pixels import check_numbers, computed, edited_frames, edited_frames_kept, frame_list
from gateway.dicomweb.wado.shown_as_is import document, video
from gateway.dicomweb.wado.transfer_syntax import stored_syntax
from gateway.errors import NotAcceptable, NotFound
from gateway.metadata.image_set import ImageSetMetadata, InstanceMetadata
from gateway.pixels.frames import Frames
from gateway.pixels.render import render_animation, render_frame
from gateway.pixels.rendering import Rendering, parse_rendering, parse_thumbnail
from gateway.pixels.transfer_syntaxes import transfer_syntax
from gateway.state import State
from gateway.store.contents import Member

Parse: TypeAlias = Callable[[dict[str, str], str], Rendering]

_PARAMETERS = ("window", "viewport", "quality", "annotation", "iccprofile")
_REPRESENTATIVE_FRAME = "00286010"


@dataclass(frozen=True, slots=True)
class _Image:
    """An image there is a picture of. number: the frame of the path, None without one.

    metadata: None where what a picture needs of them is kept.
    """

    member: Member
    uid: str
    metadata: ImageSetMetadata | None
    number: int | None


@endpoint
async def retrieve_rendered(request: Request[State]) -> Response:
    """Answer a picture of each image of a study or series, of an instance, or of each frame in the path.

    An instance of several frames is an animation where it is GIF.
    """
    return await rendered(request)


@endpoint
async def retrieve_thumbnail(request: Request[State]) -> Response:
    """Answer a small picture of a frame, an instance, or the first image of a series or a study."""
    located, numbers = await locate(request), _frame_numbers(request)
    if len(numbers) > 1:
        raise NotAcceptable("a thumbnail shows one frame: ask for one")
    images = (await _images(located, numbers, most=1))[:1]
    return await _answer(request, located, images, parse_thumbnail, THUMBNAIL, animated=False)


async def rendered(request: Request[State]) -> Response:
    """Return the pictures that a request asks for. Raises NotAcceptable where there are none."""
    located, numbers = await locate(request), _frame_numbers(request)
    try:
        images = await _images(located, numbers)
    except NotAcceptable:
        shown = None if numbers else await document(request, located)
        if shown is None:
            raise
        return shown
    if located.target.instance and not numbers and await _is_video(located, images[0]):
        return video(request, located, await _frames(located, images[0]))
    if len(images) > 1 and located.target.instance:  # before the first part is on its way
        check_numbers(await _frames(located, images[0]), [image.number or 1 for image in images])
    offers = RENDERED if len(images) == 1 else RENDERED_PARTS
    return await _answer(request, located, images, parse_rendering, offers, animated=True)


async def _answer(
    request: Request[State],
    located: Located,
    images: Sequence[_Image],
    parse: Parse,
    offers: Sequence[Offer],
    *,
    animated: bool,
) -> Response:
    asked = {name: text for name in _PARAMETERS if (text := single(request, name)) is not None}
    offer = negotiate(request, offers)[0].offer
    rendering = parse(asked, offer.name)
    validators = _validators(located, rendering, [image.number for image in images], offer)
    if unchanged := not_modified(request, validators):
        return unchanged
    if offer.multipart:
        parts = _parts(root_url(request), located, images, rendering, animated=animated)
        return await multipart_response(parts, offer.name, validators.headers)
    body = await _picture(located, images[0], rendering, animated=animated)
    return Response(body, headers=validators.headers, media_type=rendering.media_type)


async def _parts(
    root: str, located: Located, images: Sequence[_Image], rendering: Rendering, *, animated: bool
) -> AsyncIterator[Part]:
    """Yield a picture of each image, without those that cannot be read here. Raises NotAcceptable where none can."""
    made = False
    for image in images:
        try:
            picture = await _picture(located, image, rendering, animated=animated)
        except NotAcceptable:
            if image is images[-1] and not made:
                raise
            continue
        made = True
        frame = "" if image.number is None else f"/frames/{image.number}"
        location = located.address(root, image.member, f"{frame}/rendered")(image.uid)
        yield part_fields(rendering.media_type, location), [picture]


async def _picture(located: Located, image: _Image, rendering: Rendering, *, animated: bool) -> bytes:
    frames = await _frames(located, image)
    if image.number is None and animated and rendering.media_type == "image/gif" and frames.count > 1:
        return await computed(render_animation, frames, rendering)
    wanted = _representative(frames) if image.number is None else image.number
    check_numbers(frames, [wanted])
    return await computed(render_frame, frames, wanted, rendering)


async def _is_video(located: Located, image: _Image) -> bool:
    if image.metadata is None:  # then its frames are at hand
        return (await _frames(located, image)).transfer_syntax.is_video
    return transfer_syntax(stored_syntax(image.metadata.instances[image.uid])).is_video


async def _frames(located: Located, image: _Image) -> Frames:
    return await edited_frames(located, image.member, image.uid, image.metadata)


def _frame_numbers(request: Request[State]) -> list[int]:
    """Return the frames of the path, none without them."""
    return frame_list(str(request.path_params["frames"])) if "frames" in request.path_params else []


def _validators(located: Located, rendering: Rendering, numbers: Sequence[int | None], offer: Offer) -> Validators:
    """Return the resource's validators, the entity tag with what the pictures were asked to be."""
    asked = repr((located.etag, rendering, numbers, offer.multipart))
    return replace(located.validators, etag=f'"{hashlib.sha256(asked.encode()).hexdigest()[:32]}"')


async def _images(located: Located, numbers: Sequence[int], most: int | None = None) -> list[_Image]:
    """Return the images there are, in order; of an instance each frame in the path. most: how many are wanted.

    Of a series or a study those in a transfer syntax that is read here: there are others to show.
    Raises NotAcceptable for an instance without pixels, NotFound for a series or a study without any.
    """
    chosen: Sequence[int | None] = numbers or (None,)
    found: list[_Image] = []
    for member in located.members:
        if located.target.instance and edited_frames_kept(located, member, located.target.instance):
            found += [_Image(member, located.target.instance, None, number) for number in chosen]
            continue
        metadata = await located.metadata(member)
        shown = _has_pixels if located.target.instance else _is_readable
        with_pixels = [uid for uid, instance in metadata.instances.items() if shown(instance)]
        found += [_Image(member, uid, metadata, number) for uid in with_pixels for number in chosen]
        if most is not None and len(found) >= most:
            break
    if not found and located.target.instance:
        raise NotAcceptable("the instance has no pixel data, and is not rendered here")
    if not found:
        raise NotFound("image of", str(located.target))
    return found


def _has_pixels(instance: InstanceMetadata) -> bool:
    return "Rows" in instance["DICOM"]


def _is_readable(instance: InstanceMetadata) -> bool:
    return _has_pixels(instance) and transfer_syntax(stored_syntax(instance)).decodes


def _representative(frames: Frames) -> int:
    """Return the frame that stands for the instance: Representative Frame Number, else the first."""
    element = frames.dataset.get(_REPRESENTATIVE_FRAME)
    number = str(element.values[0]) if element and element.values else ""
    return int(number) if number.isdecimal() and 1 <= int(number) <= frames.count else 1


_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_FRAMES = f"{_INSTANCE}/frames/{{frames}}"

# PS3.18 Tables 10.4.1-2 and 10.4.1-3.
routes: list[Route] = [
    *(Route(f"{path}/rendered", retrieve_rendered) for path in (_STUDY, _SERIES, _INSTANCE, _FRAMES)),
    *(Route(f"{path}/thumbnail", retrieve_thumbnail) for path in (_STUDY, _SERIES, _INSTANCE, _FRAMES)),
]
