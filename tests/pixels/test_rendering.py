"""The query parameters of PS3.18 section 8.3.5."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidQuery
from gateway.pixels.rendering import (
    Rendering,
    Viewport,
    Window,
    parse_rendering,
    parse_thumbnail,
    parse_viewport,
    parse_window,
)


def test_without_parameters_a_frame_is_a_jpeg_as_it_is() -> None:
    """Its own window, its own size, quality 90, nothing written on it, no profile."""
    assert parse_rendering({}) == Rendering("image/jpeg", None, None, 90, (), "no")


def test_all_parameters_together() -> None:
    """Each of them, and one that is not ours."""
    rendering = parse_rendering(
        {
            "window": "40,400,linear",
            "viewport": "512,256",
            "quality": "75",
            "annotation": "technique,patient",
            "iccprofile": "srgb",
            "accept": "image/png",
        },
        "image/png",
    )

    assert rendering == Rendering(
        "image/png", Window(40, 400), Viewport(512, 256), 75, ("patient", "technique"), "srgb"
    )


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", Window(40, 400, "linear")),
        ("-600.5,1500,linear-exact", Window(-600.5, 1500, "linear-exact")),
        ("0,0.5,sigmoid", Window(0, 0.5, "sigmoid")),
    ],
)
def test_windows(text: str, window: Window) -> None:
    """Center, width, function."""
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    ["", "40", "40,400", "40,400,cubic", "40,400,LINEAR", "a,400,linear", "40,0,sigmoid", "40,-1,linear-exact",
     "40,0.5,linear", "nan,1,linear", "inf,1,linear", "1,inf,linear", "1,2,linear,3"],
)  # fmt: skip
def test_no_windows(text: str) -> None:
    """All three are required; widths are positive, and at least 1 for linear (PS3.3 C.11.2.1.2.1)."""
    with pytest.raises(InvalidQuery, match="query parameter window"):
        parse_window(text)


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("100,50", Viewport(100, 50)),
        ("100,50,10,20,30,40", Viewport(100, 50, 10, 20, 30, 40)),
        ("100,50,,,-30.5,", Viewport(100, 50, 0, 0, -30.5, None)),
    ],
)
def test_viewports(text: str, viewport: Viewport) -> None:
    """Width and height, and the region of the image with defaults for what is left out."""
    assert parse_viewport(text) == viewport


@pytest.mark.parametrize(
    "text",
    ["", "100", "100,50,1", "0,50", "100,-1", "1.5,50", "8193,50", "100,50,-1,0,5,5", "100,50,0,0,0,5",
     "100,50,0,0,5,0", "a,b", "nan,50"],
)  # fmt: skip
def test_no_viewports(text: str) -> None:
    """Whole numbers of a screen's size; a region that starts in the image and is not empty."""
    with pytest.raises(InvalidQuery, match="query parameter viewport"):
        parse_viewport(text)


@pytest.mark.parametrize("quality", ["0", "101", "-1", "high", "50.0", "", "9" * 5000, "٣"])
def test_no_qualities(quality: str) -> None:
    """From 1 to 100."""
    with pytest.raises(InvalidQuery, match="query parameter quality: a whole number from 1 to 100"):
        parse_rendering({"quality": quality})


def test_unknown_annotations_are_ignored() -> None:
    """PS3.18 8.3.5.1.1: keywords that are not supported are left out of the picture."""
    assert parse_rendering({"annotation": "logo,patient"}).annotations == ("patient",)


def test_other_colour_spaces_are_refused() -> None:
    """sRGB is the only one that is made here."""
    with pytest.raises(InvalidQuery, match="iccprofile: no, yes or srgb"):
        parse_rendering({"iccprofile": "adobergb"})


def test_a_thumbnail_is_small() -> None:
    """128 x 128 at most, or what its viewport says; it has no other parameters (PS3.18 Table 8.3.5-1)."""
    assert parse_thumbnail({"window": "1,2,linear"}) == Rendering(viewport=Viewport(128, 128))
    assert parse_thumbnail({"viewport": "64,32"}, "image/png") == Rendering("image/png", viewport=Viewport(64, 32))


def test_a_thumbnail_shows_the_whole_image() -> None:
    """No region, no flip."""
    with pytest.raises(InvalidQuery, match="give width and height alone"):
        parse_thumbnail({"viewport": "64,32,1,1,5,5"})
