"""How a frame is to be rendered: the query parameters of PS3.18 section 8.3.5, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from gateway.errors import InvalidQuery

VoiFunction: TypeAlias = Literal["linear", "linear-exact", "sigmoid"]
Annotation: TypeAlias = Literal["patient", "technique"]
IccProfile: TypeAlias = Literal["no", "yes", "srgb"]

# PS3.18 section 8.7.4, those of still images; the first is the default.
RENDERED_MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif")

DEFAULT_QUALITY = 90
THUMBNAIL_SIDE = 128

# A screen has a few thousand pixels; more would be a way to ask for all the memory.
_MAX_SIDE = 8192


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window, in the units that the modality LUT gives (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: VoiFunction = "linear"


@dataclass(frozen=True, slots=True)
class Viewport:
    """Columns and rows that the picture has to fit into, and the region of the image that it shows.

    source_width, source_height: None for all that is right of x and below y; negative where the picture is flipped.
    """

    width: int
    height: int
    x: float = 0
    y: float = 0
    source_width: float | None = None
    source_height: float | None = None


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture to be made. quality: 1 to 100, for JPEG. window: None for the image's own."""

    media_type: str = "image/jpeg"
    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = DEFAULT_QUALITY
    annotations: tuple[Annotation, ...] = ()
    icc_profile: IccProfile = "no"


def parse_rendering(parameters: Mapping[str, str], media_type: str = "image/jpeg") -> Rendering:
    """Return the rendering that query parameters ask for; of other parameters nothing is said.

    Raises InvalidQuery for one of ours with a value it cannot have.
    """
    return Rendering(
        media_type=media_type,
        window=parse_window(parameters["window"]) if "window" in parameters else None,
        viewport=parse_viewport(parameters["viewport"]) if "viewport" in parameters else None,
        quality=_quality(parameters["quality"]) if "quality" in parameters else DEFAULT_QUALITY,
        annotations=_annotations(parameters.get("annotation", "")),
        icc_profile=_icc_profile(parameters.get("iccprofile", "no")),
    )


def parse_thumbnail(parameters: Mapping[str, str], media_type: str = "image/jpeg") -> Rendering:
    """Return the rendering of a thumbnail: no more than 128 x 128 unless a viewport says so (PS3.18 section 8.3.5.2).

    Raises InvalidQuery.
    """
    asked = {name: value for name, value in parameters.items() if name in ("viewport", "iccprofile")}
    rendering = parse_rendering(asked, media_type)
    viewport = rendering.viewport or Viewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    if viewport != Viewport(viewport.width, viewport.height):
        raise InvalidQuery("viewport", "a thumbnail shows the whole image: give width and height alone")
    return replace(rendering, viewport=viewport)


# PS3.18 section 8.3.5.1.4.
def parse_window(text: str) -> Window:
    """Return the window of `center,width,function`. Raises InvalidQuery: all three are required."""
    parts = text.split(",")
    if len(parts) != 3 or parts[2] not in ("linear", "linear-exact", "sigmoid"):
        raise InvalidQuery("window", "give center,width,function; the functions are linear, linear-exact and sigmoid")
    center, width = _number("window", parts[0]), _number("window", parts[1])
    if width <= 0 or (parts[2] == "linear" and width < 1):
        raise InvalidQuery("window", "the width is greater than zero, and at least 1 for linear")
    return Window(center, width, cast(VoiFunction, parts[2]))


# PS3.18 section 8.3.5.1.3.
def parse_viewport(text: str) -> Viewport:
    """Return the viewport of `vw,vh` or `vw,vh,sx,sy,sw,sh`; any of the last four may be empty. Raises InvalidQuery."""
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise InvalidQuery("viewport", "give vw,vh or vw,vh,sx,sy,sw,sh")
    sides = [_number("viewport", part) for part in parts[:2]]
    if any(side != int(side) or not 1 <= side <= _MAX_SIDE for side in sides):
        raise InvalidQuery("viewport", f"vw and vh are whole numbers from 1 to {_MAX_SIDE}")
    region = [_number("viewport", part) if part else None for part in parts[2:]] or [None] * 4
    x, y, width, height = region
    if (x or 0) < 0 or (y or 0) < 0 or width == 0 or height == 0:
        raise InvalidQuery("viewport", "sx and sy are not negative, sw and sh are not zero")
    return Viewport(int(sides[0]), int(sides[1]), x or 0, y or 0, width, height)


def _number(parameter: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidQuery(parameter, "one of its numbers is none")
    return number


# PS3.18 section 8.3.5.1.2.
def _quality(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise InvalidQuery("quality", "a whole number from 1 to 100")
    return int(text)


# PS3.18 section 8.3.5.1.1.
def _annotations(text: str) -> tuple[Annotation, ...]:
    """Return the keywords that are known; others are to be ignored."""
    names = text.split(",")
    return tuple(name for name in ("patient", "technique") if name in names)


# PS3.18 section 8.3.5.1.5.
def _icc_profile(text: str) -> IccProfile:
    if text not in ("no", "yes", "srgb"):
        raise InvalidQuery("iccprofile", "no, yes or srgb")
    return cast(IccProfile, text)
