"""Rendered images and thumbnails: PS3.18 sections 10.4.1.1.3 and 10.4.1.1.4. What an edit changed is seen in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.dicomweb.instance_pixels import InstancePixels, check_numbers, computed, frame_list, opened
from gateway.dicomweb.locate import Located, locate
from gateway.dicomweb.media_types import RENDERED
from gateway.dicomweb.negotiation import negotiate
from gateway.dicomweb.problems import endpoint
from gateway.dicomweb.responses import Validators, not_modified
from gateway.dicomweb.targets import single
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels.frames import Frames
from gateway.pixels.render import render_animation, render_frame
from gateway.pixels.rendering import Rendering, parse_rendering, parse_thumbnail
from gateway.state import State

Parse: TypeAlias = Callable[[dict[str, str], str], Rendering]

_PARAMETERS = ("window", "viewport", "quality", "annotation", "iccprofile")
_REPRESENTATIVE_FRAME = "00286010"


@endpoint
async def retrieve_rendered(request: Request[State]) -> Response:
    """Answer an instance or one of its frames as a picture; an instance of several as an animation where it is GIF."""
    return await rendered(request)


@endpoint
async def retrieve_thumbnail(request: Request[State]) -> Response:
    """Answer a small picture of a frame, an instance, or the first image of a series or a study."""
    return await _answer(request, parse_thumbnail, animated=False)


async def rendered(request: Request[State]) -> Response:
    """Return the picture that a request asks for. Raises NotAcceptable where there is none."""
    return await _answer(request, parse_rendering, animated=True)


async def _answer(request: Request[State], parse: Parse, *, animated: bool) -> Response:
    asked = {name: text for name in _PARAMETERS if (text := single(request, name)) is not None}
    rendering = parse(asked, negotiate(request, RENDERED)[0].offer.name)
    number = _frame_number(request)
    located = await locate(request)
    validators = _validators(located, rendering, number)
    if unchanged := not_modified(request, validators):
        return unchanged
    frames = await (await _first_image(located)).as_edited()
    if number is None and animated and rendering.media_type == "image/gif" and frames.count > 1:
        body = await computed(render_animation, frames, rendering)
    else:
        wanted = _representative(frames) if number is None else number
        check_numbers(frames, [wanted])
        body = await computed(render_frame, frames, wanted, rendering)
    return Response(body, headers=validators.headers, media_type=rendering.media_type)


def _frame_number(request: Request[State]) -> int | None:
    """Return the frame of the path, None without one. Raises NotAcceptable for several: a picture shows one."""
    if "frames" not in request.path_params:
        return None
    numbers = frame_list(str(request.path_params["frames"]))
    if len(numbers) > 1:
        raise NotAcceptable("a picture shows one frame: ask for one, or for the instance as image/gif")
    return numbers[0]


def _validators(located: Located, rendering: Rendering, number: int | None) -> Validators:
    """Return the resource's validators, the entity tag with what the picture was asked to be."""
    asked = repr((located.etag, rendering, number))
    return replace(located.validators, etag=f'"{hashlib.sha256(asked.encode()).hexdigest()[:32]}"')


async def _first_image(located: Located) -> InstancePixels:
    """Return the first instance that has pixels. Raises NotAcceptable for an instance without, else NotFound."""
    for member in located.members:
        metadata = await located.metadata(member)
        for uid, instance in metadata.instances.items():
            if "Rows" in instance["DICOM"]:
                return await opened(located, member, uid, metadata)
    if located.target.instance:
        raise NotAcceptable("the instance has no pixel data, and is not rendered here")
    raise NotFound("image of", str(located.target))


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
    *(Route(f"{path}/rendered", retrieve_rendered) for path in (_INSTANCE, _FRAMES)),
    *(Route(f"{path}/thumbnail", retrieve_thumbnail) for path in (_STUDY, _SERIES, _INSTANCE, _FRAMES)),
]
