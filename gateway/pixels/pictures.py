"""Pictures of 8 bits: cropped, scaled, written on, and encoded as JPEG, PNG and GIF. No other file imports Pillow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TypeAlias

from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFont
from PIL.GifImagePlugin import getdata, getheader

from gateway.errors import InvalidQuery
from gateway.pixels.description import Array
from gateway.pixels.rendering import Rendering, Viewport

Picture: TypeAlias = Image.Image

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}

_GIF_TRAILER = b";"

# Letters are a thirtieth of the picture high, within what can be read and what leaves room for the image.
_TEXT_SHARE, _SMALLEST_TEXT, _LARGEST_TEXT = 30, 9, 32

# ICC.1 section 7.2.8: the date a profile was made, which LittleCMS takes from the clock. Ours never changes.
_ICC_DATE = slice(24, 36)
_OUR_DATE = bytes.fromhex("07ea 0001 0001 0000 0000 0000")


def picture(pixels: Array, viewport: Viewport | None = None) -> Picture:
    """Return the picture of a frame: rows x columns of grey, or with three colours. Raises InvalidQuery."""
    image = Image.fromarray(pixels)
    return image if viewport is None else _scaled(image, viewport)


def _scaled(image: Picture, viewport: Viewport) -> Picture:
    """Return a region of a picture, as large as it fits into the viewport undistorted (PS3.18 section 8.3.5.1.3).

    Raises InvalidQuery for a region outside of the picture. Bilinear, because anything sharper makes edges that the
    patient does not have.
    """
    x, width = _clipped(viewport.x, viewport.source_width, image.width)
    y, height = _clipped(viewport.y, viewport.source_height, image.height)
    scale = min(viewport.width / width, viewport.height / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = image.resize(size, Image.Resampling.BILINEAR, (x, y, x + width, y + height))
    if (viewport.source_width or 1) < 0:
        scaled = scaled.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if (viewport.source_height or 1) < 0:
        scaled = scaled.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return scaled


def _clipped(start: float, extent: float | None, side: int) -> tuple[float, float]:
    """Return where a region starts and how far it goes within the picture. Raises InvalidQuery if it does not."""
    end = side if extent is None else min(side, start + abs(extent))
    if start >= end:
        raise InvalidQuery("viewport", "its region is outside of the image")
    return start, end - start


def annotate(image: Picture, top: Sequence[str], bottom: Sequence[str]) -> Picture:
    """Return a picture with lines of text burned in at its top left and its bottom left, white with a black rim."""
    image = image.copy()
    size = min(_LARGEST_TEXT, max(_SMALLEST_TEXT, image.height // _TEXT_SHARE))
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(image)
    white, black = (255, 0) if image.mode == "L" else ((255, 255, 255), (0, 0, 0))
    margin = size // 2
    for lines, anchor, y in ((top, "la", margin), (bottom, "ld", image.height - margin)):
        if lines:
            draw.multiline_text(
                (margin, y), "\n".join(lines), white, font, anchor, stroke_width=max(1, size // 10), stroke_fill=black
            )
    return image


def encode(image: Picture, rendering: Rendering, icc_profile: bytes | None = None) -> bytes:
    """Return a picture in the rendering's media type. icc_profile: to be embedded."""
    file = BytesIO()
    options: dict[str, object] = {"icc_profile": icc_profile} if icc_profile else {}
    if rendering.media_type == "image/jpeg":
        options |= {"quality": rendering.quality}
    image.save(file, _FORMATS[rendering.media_type], **options)
    return file.getvalue()


def encode_animation(images: Iterator[Picture], milliseconds: int) -> bytes:
    """Return pictures as an animated GIF that repeats. milliseconds: for each of them.

    Each is a frame of its own, so that who counts frames counts the image's. Pillow's `save` would make one of two
    that follow each other and are the same.
    """
    blocks: list[bytes] = []
    before: Picture | None = None
    for image in images:
        box = _changed(before, image) if before else (0, 0, *image.size)
        frame = image.crop(box)
        if frame.mode != "L":
            frame = frame.convert("P", palette=Image.Palette.ADAPTIVE)
        if before is None:
            blocks += getheader(frame.copy(), info={"loop": 0})[0]
        blocks += getdata(frame, box[:2], duration=milliseconds, include_color_table=True)
        before = image
    return b"".join([*blocks, _GIF_TRAILER])


def _changed(before: Picture, after: Picture) -> tuple[int, int, int, int]:
    """Return what has to be drawn anew: the first pixel where nothing has."""
    return ImageChops.difference(before, after).getbbox() or (0, 0, 1, 1)


def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB, the same at all times."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_ICC_DATE] = _OUR_DATE
    return bytes(profile)


def to_srgb(image: Picture, icc_profile: bytes) -> Picture:
    """Return a picture in sRGB, given the profile of its colours; as it is where that profile is damaged."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image
