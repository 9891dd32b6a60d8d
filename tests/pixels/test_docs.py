"""docs/pixels.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from gateway.pixels.description import MAX_FRAME_BYTES, MAX_FRAMES
from gateway.pixels.instance import MAX_INSTANCE_BYTES
from gateway.pixels.render import MAX_ANIMATION_FRAMES
from gateway.pixels.rendering import DEFAULT_QUALITY, RENDERED_MEDIA_TYPES, THUMBNAIL_SIDE
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES

PAGE = (Path(__file__).parents[2] / "docs" / "pixels.md").read_text()


def test_the_table_of_transfer_syntaxes_is_the_codes() -> None:
    """Every line, in order: name, UID, media types, lossless, read, written."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if "| `1.2." in line]

    said = {True: "yes", False: "no"}
    assert rows == [
        [
            line.name,
            f"`{line.uid}`",
            ", ".join(f"`{media_type}`" for media_type in line.media_types),
            said[line.lossless],
            said[line.decodes],
            said[line.encodes],
        ]
        for line in TRANSFER_SYNTAXES.values()
    ]


def test_limits_are_the_codes() -> None:
    """The numbers in the text."""
    assert (MAX_FRAME_BYTES, MAX_FRAMES, MAX_INSTANCE_BYTES) == (512 * 2**20, 10_000_000, 2**32 - 2)
    assert "more than 512 MiB and more than ten million frames" in PAGE
    assert "more than 4 GiB of pixels" in PAGE
    assert f"up to {MAX_ANIMATION_FRAMES} frames" in PAGE
    assert f"for JPEG; {DEFAULT_QUALITY} without it" in PAGE
    assert f"fits into {THUMBNAIL_SIDE} x {THUMBNAIL_SIDE}" in PAGE


def test_rendered_media_types_are_the_codes() -> None:
    """All three."""
    assert all(f"`{media_type}`" in PAGE for media_type in RENDERED_MEDIA_TYPES)
