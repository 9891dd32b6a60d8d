"""Frames as pictures, as a viewer would show them (PS3.18 section 8.3.5, PS3.4 N.2). Overlays are not drawn."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.dicom.dataset import Tag
from gateway.errors import NotAcceptable
from gateway.pixels.annotation import patient_lines, technique_lines
from gateway.pixels.colour import rgb
from gateway.pixels.decode import decode_frame
from gateway.pixels.description import Array
from gateway.pixels.frames import Frames, frame_numbers
from gateway.pixels.grayscale import grayscale
from gateway.pixels.pictures import Picture, annotate, encode, encode_animation, picture, srgb_profile, to_srgb
from gateway.pixels.rendering import Rendering, Window

# An animation is made in memory, and no viewer plays more than this.
MAX_ANIMATION_FRAMES = 1000
MAX_ANIMATION_PIXELS = 256 * 2**20

_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
_ICC_PROFILE = "00282000"

# PS3.3 C.7.6.5.1.1: where the time between frames is said, and how to get milliseconds from it.
_FRAME_TIME, _CINE_RATE, _DISPLAY_RATE = "00181063", "00180040", "00082144"
_DEFAULT_MILLISECONDS = 100
_SHORTEST, _LONGEST = 20, 10_000


def shown(frames: Frames, number: int, window: Window | None = None) -> Array:
    """Return a frame as it is to be seen: 8 bits, rows x columns of grey, or rows x columns x 3 of RGB.

    window: instead of the image's own; colour has none. Raises NotFound, InvalidPart10, NotAcceptable.
    """
    decoded = decode_frame(frames, number)
    if decoded.photometric_interpretation in _MONOCHROME:
        if decoded.pixels.ndim != 2:
            raise NotAcceptable("monochrome images of several samples are not rendered here")
        return grayscale(decoded.pixels, frames, number, window)
    return rgb(decoded, frames)


def render_frame(frames: Frames, number: int, rendering: Rendering) -> bytes:
    """Return a frame as a picture in the rendering's media type.

    Raises NotFound for a number that no frame has, InvalidPart10 for a damaged frame, InvalidQuery for a viewport
    outside of the image, NotAcceptable for what is not rendered here.
    """
    profile = _embedded_profile(frames, rendering)
    return encode(_picture(frames, number, rendering), rendering, profile)


def render_animation(frames: Frames, rendering: Rendering) -> bytes:
    """Return all frames as one animated GIF, at the rate that the dataset gives. Raises as render_frame does."""
    description = frames.description
    if rendering.media_type != "image/gif":
        raise NotAcceptable("several frames fit into one picture only as image/gif")
    pixels = description.rows * description.columns * frames.count
    if frames.count > MAX_ANIMATION_FRAMES or pixels > MAX_ANIMATION_PIXELS:
        raise NotAcceptable("too many frames for an animation: ask for some of them")
    return encode_animation(_pictures(frames, rendering), _milliseconds(frames))


def _pictures(frames: Frames, rendering: Rendering) -> Iterator[Picture]:
    for number in frame_numbers(frames):
        yield _picture(frames, number, rendering)


def _picture(frames: Frames, number: int, rendering: Rendering) -> Picture:
    image = picture(shown(frames, number, rendering.window), rendering.viewport)
    own = bytes(frames.binary(_ICC_PROFILE))
    if rendering.icc_profile == "srgb" and own and image.mode == "RGB":
        image = to_srgb(image, own)
    top = patient_lines(frames.dataset) if "patient" in rendering.annotations else []
    technique = "technique" in rendering.annotations
    bottom = technique_lines(frames.dataset, number, frames.count) if technique else []
    return annotate(image, top, bottom) if top or bottom else image


def _embedded_profile(frames: Frames, rendering: Rendering) -> bytes | None:
    """Return the ICC profile to embed: none in grey, the image's own or sRGB in colour (PS3.18 section 8.3.5.1.5)."""
    if rendering.icc_profile == "no" or frames.description.photometric_interpretation in _MONOCHROME:
        return None
    own = bytes(frames.binary(_ICC_PROFILE))
    return own if own and rendering.icc_profile == "yes" else srgb_profile()


def _milliseconds(frames: Frames) -> int:
    """Return the time to show each frame of an animation for."""
    if time := _positive(frames, _FRAME_TIME):
        return round(min(_LONGEST, max(_SHORTEST, time)))
    if rate := _positive(frames, _CINE_RATE) or _positive(frames, _DISPLAY_RATE):
        return round(min(_LONGEST, max(_SHORTEST, 1000 / rate)))
    return _DEFAULT_MILLISECONDS


def _positive(frames: Frames, tag: Tag) -> float:
    """Return an attribute's number; zero where there is none that time could have."""
    element = frames.dataset.get(tag)
    try:
        return max(0.0, float(element.values[0])) if element and element.values else 0.0
    except ValueError:
        return 0.0
