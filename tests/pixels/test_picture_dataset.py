"""What is kept of a dataset for pictures is what they are made of, and little."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dicom.dataset import Dataset, Element
from gateway.errors import GatewayError
from gateway.pixels.frames import read_frames
from gateway.pixels.picture_dataset import memory_of, picture_dataset
from gateway.pixels.render import render_frame
from gateway.pixels.rendering import parse_rendering
from tests.samples import SAMPLE_IDS, SAMPLES

PLAIN = parse_rendering({"annotation": "patient,technique"}, "image/png")


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_pictures_are_the_same_made_of_it(path: Path) -> None:
    """The first and the last frame of every real file, with all that is written on it: what one refuses both do."""
    try:
        frames = read_frames(path.read_bytes())
    except GatewayError:
        return  # there is nothing to make a picture of

    described = frames.described_by(picture_dataset(frames.dataset), {})

    for number in {1, frames.count}:
        try:
            expected = render_frame(frames, number, PLAIN)
        except GatewayError as error:
            with pytest.raises(type(error)):
                render_frame(described, number, PLAIN)
        else:
            assert render_frame(described, number, PLAIN) == expected


def test_a_hundred_thousand_tiles_that_say_where_they_are_take_little_room() -> None:
    """Positions of tiles have no part in their pictures: eight bytes for each are left, and windows where there are."""
    window: Dataset = {"00281050": Element("DS", ("40",)), "00281051": Element("DS", ("400",))}
    tile: Dataset = {"0048021A": Element("SQ", items=({"0048021E": Element("SL", (1,))},))}
    tiles = (*[tile] * 99_999, {**tile, "00289132": Element("SQ", items=(window,))})

    kept = picture_dataset({"00280010": Element("US", (64,)), "52009230": Element("SQ", items=tiles)})

    assert memory_of({"52009230": Element("SQ", items=tiles)}) > 80_000_000
    assert memory_of(kept) < 1_000_000
    assert [item for item in kept["52009230"].items if item] == [{"00289132": Element("SQ", items=(window,))}]
    assert kept["00280010"].values == (64,)


def test_other_groups_keep_what_takes_no_room() -> None:
    """Texts and numbers stay, binary values of no pixel attribute and sequences of no table go."""
    dataset: Dataset = {
        "00091001": Element("OB", binary=b"private"),
        "00081140": Element("SQ", items=({},)),
        "00100010": Element("PN", ("Doe",)),
        "00282000": Element("OB", binary=b"profile"),
        "00283010": Element("SQ", items=({"00283006": Element("US", (1, 2))},)),
    }

    assert list(picture_dataset(dataset)) == ["00100010", "00282000", "00283010"]
