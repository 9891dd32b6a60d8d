"""Rendered frames, against numbers worked out by hand from PS3.3 C.11 and C.7.6.3."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageCms
from pydicom.pixels import apply_color_lut

from gateway.errors import InvalidQuery, NotAcceptable
from gateway.pixels import render
from gateway.pixels.pictures import srgb_profile
from gateway.pixels.render import render_animation, render_frame, shown
from gateway.pixels.rendering import Rendering, Window, parse_rendering, parse_thumbnail
from tests.pixels.images import DECODABLE, DECODABLE_IDS, frames_in, frames_of
from tests.samples import sample

PNG = Rendering("image/png")


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def row(*values: int, dtype: str = "<i2") -> np.ndarray[Any, Any]:
    return np.array([values], dtype)


def grey(values: np.ndarray[Any, Any], window: Window | None = None, **attributes: Any) -> list[int]:
    """Return the grey that a row of stored values is shown as."""
    found: list[int] = shown(frames_in(values, **attributes), 1, window)[0].tolist()
    return found


@pytest.mark.parametrize("path", DECODABLE, ids=DECODABLE_IDS)
def test_every_sample_is_rendered(path: Path) -> None:
    """As JPEG, of a size that fits into a thumbnail."""
    frames = frames_of(path)

    image = picture(render_frame(frames, 1, parse_thumbnail({})))

    assert image.format == "JPEG"
    assert max(image.size) == 128
    assert image.mode == ("L" if "MONOCHROME" in frames.description.photometric_interpretation else "RGB")


# --- Grey -------------------------------------------------------------------------------------------------------------


def test_a_linear_window() -> None:
    """PS3.3 C.11.2.1.2.1, its own example: center 2048 and width 4096 spread 0..4095 over all of grey."""
    values = row(-1, 0, 1, 2047, 2048, 4095, 4096)

    assert grey(values, Window(2048, 4096)) == [0, 0, 0, 127, 128, 255, 255]


def test_a_window_of_width_1_is_a_threshold() -> None:
    """PS3.3 C.11.2.1.2.1: black up to center - 0.5, white above."""
    assert grey(row(9, 10, 11), Window(10, 1)) == [0, 255, 255]


def test_an_exact_linear_window() -> None:
    """PS3.3 C.11.2.1.3.2: (x - c) / w + 0.5."""
    assert grey(row(-5, 0, 25, 50, 75, 100, 105), Window(50, 100, "linear-exact")) == [0, 0, 64, 128, 191, 255, 255]


def test_a_sigmoid_window() -> None:
    """PS3.3 C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w)), which has no end."""
    # exp(4) = 54.598: 255 / 55.598 = 4.59, 255 - 4.59 = 250.41
    assert grey(row(-32768, 0, 50, 100, 32767), Window(50, 50, "sigmoid")) == [0, 5, 128, 250, 255]


def test_the_window_is_in_the_units_of_the_modality() -> None:
    """PS3.3 C.11.1: rescaled first. 1024 * 1 - 1024 is water."""
    values = row(24, 1024, 2024)

    assert grey(values, Window(0, 2000, "linear-exact"), RescaleSlope=1, RescaleIntercept=-1024) == [0, 128, 255]


def test_the_datasets_first_window_is_the_default() -> None:
    """Of several the first, with its function."""
    window: dict[str, Any] = {"WindowCenter": [50, 0], "WindowWidth": [100, 1], "VOILUTFunction": "LINEAR_EXACT"}

    assert grey(row(0, 25, 100), **window) == [0, 64, 255]


def test_a_window_asked_for_comes_before_the_datasets() -> None:
    """The user knows what to look at."""
    assert grey(row(0, 25, 100), Window(10, 1), WindowCenter=50, WindowWidth=100) == [0, 255, 255]


def test_without_a_window_all_values_are_shown() -> None:
    """The smallest is black, the largest white."""
    assert grey(row(-100, 0, 100, 300)) == [0, 64, 128, 255]


def test_padding_does_not_count() -> None:
    """PS3.3 C.7.5.1.1.2: pixels without an image in them are not the darkest of it."""
    assert grey(row(-2000, 0, 100, 200), PixelPaddingValue=-2000) == [0, 0, 128, 255]
    assert grey(row(-2000, -1990, 0, 100), PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1000) == [0, 0, 0, 255]


def test_an_image_of_one_value_is_black() -> None:
    """There is nothing between the smallest value and the largest."""
    assert grey(row(7, 7)) == [0, 0]


def test_monochrome1_is_inverted() -> None:
    """PS3.3 C.7.6.3.1.2: its smallest value is white."""
    assert grey(row(0, 100), PhotometricInterpretation="MONOCHROME1") == [255, 0]


def test_1_bit_is_black_and_white() -> None:
    """Whatever a frame has of them: a segmentation's empty frame is black."""
    assert grey(row(0b101, dtype="u1"), columns=3, BitsAllocated=1, BitsStored=1) == [255, 0, 255]


def test_bits_above_bits_stored_are_not_shown() -> None:
    """An overlay in the upper bits is no brightness."""
    assert grey(row(0x1000, 0x07FF, 0xF7FF, dtype="<u2"), Window(1023.5, 2047, "linear-exact"), BitsStored=12) == [
        0,
        255,
        255,
    ]


def test_infinities_and_nan_have_a_grey() -> None:
    """Float pixels hold them; the rest of the image is shown all the same."""
    values = np.array([[-np.inf, 0.0, 1.0, np.inf, np.nan]], "<f4")

    assert grey(values) == [0, 0, 255, 255, 0]


def test_a_modality_lut() -> None:
    """PS3.3 C.11.1.1: what lies below the first entry has its value, what lies above the last that one's."""
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [3, 10, 16], "OD"
    table.add_new("LUTData", "US", [0, 1000, 500])

    assert grey(row(9, 10, 11, 12, 13), ModalityLUTSequence=[table]) == [0, 0, 255, 128, 128]


def test_a_voi_lut() -> None:
    """PS3.3 C.11.2.1.1: entries of 8 bits are grey already; used where there is no window."""
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 8], bytes([255, 10, 200, 0])

    assert grey(row(0, 1, 2, 3), VOILUTSequence=[table]) == [255, 10, 200, 0]


def test_functional_groups_of_the_frame() -> None:
    """PS3.3 C.7.6.16: the frame's own window comes before what the frames share."""
    shared, first, second = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    shared.FrameVOILUTSequence = [_window(50, 100)]
    shared.PixelValueTransformationSequence = [_rescale(2, 10)]
    second.FrameVOILUTSequence = [_window(20, 40)]
    frames = frames_in(
        np.array([[[5, 15, 45]], [[5, 15, 45]]], "<u2"),
        rows=1,
        columns=3,
        NumberOfFrames=2,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[first, second],
    )

    # Rescaled they are 20, 40 and 100.
    assert shown(frames, 1)[0].tolist() == [51, 102, 255]
    assert shown(frames, 2)[0].tolist() == [128, 255, 255]


def _window(center: float, width: float) -> pydicom.Dataset:
    window = pydicom.Dataset()
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = center, width, "LINEAR_EXACT"
    return window


def _rescale(slope: float, intercept: float) -> pydicom.Dataset:
    rescale = pydicom.Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, intercept, "US"
    return rescale


# --- Colour -----------------------------------------------------------------------------------------------------------


def colours(values: list[int], photometric: str, **attributes: Any) -> list[list[int]]:
    """Return the RGB that a row of pixels is shown as."""
    pixels = np.array([values], attributes.pop("dtype", "u1"))
    frames = frames_in(
        pixels, columns=len(values) // 3, SamplesPerPixel=3, PhotometricInterpretation=photometric,
        PlanarConfiguration=0, **attributes,
    )  # fmt: skip
    found: list[list[int]] = shown(frames, 1)[0].tolist()
    return found


def test_rgb_is_shown_as_it_is() -> None:
    """And no window changes it."""
    assert colours([1, 2, 3, 250, 0, 9], "RGB", WindowCenter=1, WindowWidth=1) == [[1, 2, 3], [250, 0, 9]]


def test_rgb_of_16_bits_has_its_upper_ones_shown() -> None:
    """Of 16 bits 8."""
    assert colours([0xFFFF, 0x8000, 0x00FF], "RGB", dtype="<u2") == [[255, 128, 0]]


def test_ybr_full_is_converted() -> None:
    """PS3.3 C.7.6.3.1.2, by the inverse of its equations: white, and the three colours of bars.

    Red is Y 76.245, Cb 84.97, Cr 255.5: rounded and cut to bytes, it comes back as 254, 0, 0.
    """
    assert colours([255, 128, 128, 76, 85, 255], "YBR_FULL") == [[255, 255, 255], [254, 0, 0]]


def test_a_palette() -> None:
    """PS3.3 C.7.9: three tables, of which the entries of 16 bits have their upper 8 shown."""
    palette = {
        f"{colour}PaletteColorLookupTable{name}": value
        for colour, entries in (("Red", [0xFF00, 0, 0]), ("Green", [0, 0xFF00, 0]), ("Blue", [0, 0, 0x8000]))
        for name, value in (("Descriptor", [3, 1, 16]), ("Data", np.array(entries, "<u2").tobytes()))
    }

    frames = frames_in(row(0, 1, 2, 3, 9, dtype="u1"), PhotometricInterpretation="PALETTE COLOR", **palette)

    assert shown(frames, 1)[0].tolist() == [[255, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 128], [0, 0, 128]]


def test_a_segmented_palette() -> None:
    """PS3.3 C.7.9.2: discrete 0 64, linear over 2 to 128, and the first segment again."""
    words = [0, 2, 0, 0x4000, 1, 2, 0x8000, 2, 1, 0, 0]
    palette = {
        f"{prefix}{colour}PaletteColorLookupTable{name}": value
        for colour in ("Red", "Green", "Blue")
        for prefix, name, value in (
            ("", "Descriptor", [6, 0, 16]),
            ("Segmented", "Data", np.array(words, "<u2").tobytes()),
        )
    }

    frames = frames_in(row(0, 1, 2, 3, 4, 5, dtype="u1"), PhotometricInterpretation="PALETTE COLOR", **palette)

    assert shown(frames, 1)[0, :, 0].tolist() == [0, 64, 96, 128, 0, 64]


@pytest.mark.parametrize("name", ["examples_palette.dcm", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm"])
def test_palettes_are_as_pydicom_applies_them(name: str) -> None:
    """Real palettes of 8 and 16 bits, plain and segmented."""
    dataset = pydicom.dcmread(sample(name))

    applied = apply_color_lut(dataset.pixel_array, dataset)

    expected = applied >> 8 if applied.dtype.itemsize == 2 else applied
    assert np.array_equal(shown(frames_of(sample(name)), 1), expected)


def test_other_colours_are_refused() -> None:
    """Retired ones, which nobody could test."""
    with pytest.raises(NotAcceptable, match="an image of HSV is not rendered here"):
        colours([1, 2, 3], "HSV")


# --- Pictures ---------------------------------------------------------------------------------------------------------

CORNERS = np.array([[0, 0, 100, 100], [0, 0, 100, 100], [200, 200, 255, 255], [200, 200, 255, 255]], "u1")


def corners(viewport: str, array: np.ndarray[Any, Any] = CORNERS) -> np.ndarray[Any, Any]:
    """Return an image of four greys as a viewport shows it."""
    rendering = parse_rendering({"viewport": viewport, "window": "127.5,255,linear-exact"}, "image/png")
    return np.asarray(picture(render_frame(frames_in(array), 1, rendering)))


@pytest.mark.parametrize(
    ("viewport", "size"), [("100,100", (100, 100)), ("100,50", (50, 50)), ("2,8", (2, 2)), ("1,1", (1, 1))]
)
def test_a_picture_fits_into_its_viewport(viewport: str, size: tuple[int, int]) -> None:
    """PS3.18 8.3.5.1.3: as large as it can be, undistorted."""
    assert corners(viewport).shape == size


def test_a_region_is_cut_out() -> None:
    """The right half: two columns from the third on."""
    assert corners("2,4,2,0,2,4").tolist() == [[100, 100], [100, 100], [255, 255], [255, 255]]


@pytest.mark.parametrize(
    ("region", "shown_as"),
    [("0,0,4,4", [[0, 100], [200, 255]]), ("0,0,-4,4", [[100, 0], [255, 200]]), ("0,0,4,-4", [[200, 255], [0, 100]])],
)
def test_negative_sides_flip(region: str, shown_as: list[list[int]]) -> None:
    """PS3.18 8.3.5.1.3: a negative width turns left and right, a negative height up and down."""
    array = corners(f"4,4,{region}")

    assert array[::3, ::3].tolist() == shown_as


def test_a_region_outside_of_the_image() -> None:
    """There is nothing to show."""
    with pytest.raises(InvalidQuery, match="outside of the image"):
        corners("4,4,4,0,2,2")


def test_quality_makes_a_difference() -> None:
    """In bytes, at least."""
    frames = frames_of(sample("examples_rgb_color.dcm"))

    sizes = [len(render_frame(frames, 1, Rendering(quality=quality))) for quality in (10, 50, 95)]

    assert sizes == sorted(sizes)
    assert sizes[0] * 3 < sizes[2]


@pytest.mark.parametrize(("media_type", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")])
def test_media_types(media_type: str, kind: str) -> None:
    """The three of PS3.18 section 8.7.4 for still images."""
    assert picture(render_frame(frames_in(CORNERS), 1, Rendering(media_type))).format == kind


def test_png_is_exact() -> None:
    """What was worked out is what is sent."""
    frames = frames_of(sample("CT_small.dcm"))

    assert np.array_equal(np.asarray(picture(render_frame(frames, 1, PNG))), shown(frames, 1))


def test_annotations_are_burned_in() -> None:
    """The patient at the top left, the technique at the bottom left, and nothing on the right."""
    frames = frames_in(np.zeros((200, 400), "u1"), PatientName="Doe^Jane", PatientID="1", Modality="CT")
    plain = np.asarray(picture(render_frame(frames, 1, PNG)))

    patient, technique = (
        np.asarray(picture(render_frame(frames, 1, parse_rendering({"annotation": name}, "image/png"))))
        for name in ("patient", "technique")
    )

    assert plain.max() == 0
    assert patient[:100, :200].max() > 200
    assert (patient[100:].max(), patient[:, 200:].max()) == (0, 0)
    assert technique[100:, :200].max() > 200
    assert (technique[:100].max(), technique[:, 200:].max()) == (0, 0)


def test_an_annotation_of_nothing_changes_nothing() -> None:
    """A dataset without a patient has nothing to burn in."""
    rendering = parse_rendering({"annotation": "patient"}, "image/png")

    assert render_frame(frames_in(CORNERS), 1, rendering) == render_frame(frames_in(CORNERS), 1, PNG)


def test_srgb_is_embedded_in_colour_alone() -> None:
    """PS3.18 8.3.5.1.5. Grey has no place for a profile of colours."""
    rendering = parse_rendering({"iccprofile": "srgb"}, "image/png")

    colour, monochrome = (
        picture(render_frame(frames_of(sample(name)), 1, rendering))
        for name in ("SC_rgb_small_odd.dcm", "CT_small.dcm")
    )

    assert colour.info["icc_profile"] == srgb_profile()
    assert "icc_profile" not in monochrome.info


def test_the_srgb_profile_is_always_the_same() -> None:
    """It has no clock in it, and is a profile that LittleCMS reads."""
    profile = srgb_profile()

    assert profile[24:36] == bytes.fromhex("07ea00010001000000000000")
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))


def test_the_images_own_profile_is_embedded() -> None:
    """iccprofile=yes: the colours stay, and what they mean is said."""
    own = srgb_profile() + b"\0\0"
    frames = _rgb(ICCProfile=own)

    image = picture(render_frame(frames, 1, parse_rendering({"iccprofile": "yes"}, "image/png")))

    assert image.info["icc_profile"] == own


def test_a_damaged_profile_does_not_hide_the_image() -> None:
    """It is shown as if it had none."""
    rendering = parse_rendering({"iccprofile": "srgb"}, "image/png")

    assert picture(render_frame(_rgb(ICCProfile=b"nonsense"), 1, rendering)).getpixel((0, 0)) == (10, 20, 30)


def _rgb(**attributes: Any) -> Any:
    return frames_in(
        row(10, 20, 30, dtype="u1"), columns=1, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, **attributes,
    )  # fmt: skip


# --- Animations -------------------------------------------------------------------------------------------------------


def cine(**attributes: Any) -> Any:
    pixels = np.array([[[0, 255]], [[255, 0]], [[9, 255]]], "u1")
    return frames_in(pixels, rows=1, columns=2, NumberOfFrames=3, **attributes)


@pytest.mark.parametrize(
    ("attributes", "milliseconds"),
    [
        ({}, 100),
        ({"FrameTime": "40"}, 40),
        ({"CineRate": "25"}, 40),
        ({"RecommendedDisplayFrameRate": "5"}, 200),
        ({"FrameTime": "0", "CineRate": "0"}, 100),
        ({"FrameTime": "1"}, 20),
    ],
)
def test_frames_follow_each_other_at_the_datasets_rate(attributes: dict[str, str], milliseconds: int) -> None:
    """PS3.3 C.7.6.5: Frame Time, or one of the rates; no shorter than a GIF can be."""
    image = picture(render_animation(cine(**attributes), Rendering("image/gif")))

    assert image.info["duration"] == milliseconds
    assert getattr(image, "n_frames", 1) == 3
    assert image.info["loop"] == 0


@pytest.mark.parametrize(
    ("name", "count", "milliseconds", "off"),
    [("examples_ybr_color.dcm", 30, 30, 1.0), ("emri_small.dcm", 10, 100, 0.0), ("rtdose.dcm", 15, 100, 0.0)],
)
def test_each_frame_of_a_cine_is_one_of_the_animation(name: str, count: int, milliseconds: int, off: float) -> None:
    """Also one that is as the one before, of which an ultrasound cine has two. Grey is exact, colour as near as 256."""
    frames = frames_of(sample(name))

    image = picture(render_animation(frames, Rendering("image/gif")))

    assert getattr(image, "n_frames", 1) == count == frames.count
    for number in range(1, count + 1):
        image.seek(number - 1)
        assert image.info["duration"] == milliseconds
        wanted = np.asarray(Image.fromarray(shown(frames, number)).convert("RGB"), "f4")
        assert np.abs(np.asarray(image.convert("RGB"), "f4") - wanted).mean() <= off


def test_two_frames_alike_are_two() -> None:
    """Three times the same: three frames, each as long as it is to be shown."""
    pixels = np.array([[[0, 255]], [[0, 255]], [[0, 255]]], "u1")
    image = picture(render_animation(frames_in(pixels, rows=1, columns=2, NumberOfFrames=3), Rendering("image/gif")))

    assert getattr(image, "n_frames", 1) == 3
    for number in range(3):
        image.seek(number)
        assert (image.info["duration"], np.asarray(image.convert("L")).tolist()) == (100, [[0, 255]])


def test_an_animation_is_a_gif() -> None:
    """A JPEG has one picture."""
    with pytest.raises(NotAcceptable, match="only as image/gif"):
        render_animation(cine(), Rendering("image/jpeg"))


def test_too_long_an_animation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of its frames is decoded."""
    monkeypatch.setattr(render, "MAX_ANIMATION_FRAMES", 2)

    with pytest.raises(NotAcceptable, match="too many frames for an animation"):
        render_animation(cine(), Rendering("image/gif"))
