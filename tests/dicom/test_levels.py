"""Levels: the 140 normalised elements, each on one level, everything else on the instance."""

from __future__ import annotations

from itertools import chain

import pytest

from gateway.dicom.dataset import Element
from gateway.dicom.dictionary import entry_of
from gateway.dicom.levels import LEVELS, NORMALISED, level_of, shared_attributes, split_by_level
from gateway.errors import Level

NORMALISED_TAGS = [tag for modules in NORMALISED.values() for tag in chain.from_iterable(modules.values())]


@pytest.mark.parametrize(("level", "count"), [("Patient", 46), ("Study", 50), ("Series", 44)])
def test_count_of_each_level(level: Level, count: int) -> None:
    """HealthImaging's guide lists 46, 50 and 44 elements: 140 in all."""
    tags = list(chain.from_iterable(NORMALISED[level].values()))

    assert len(tags) == len(set(tags)) == count


def test_no_element_is_on_two_levels() -> None:
    """140 elements, 140 tags, all of them in the dictionary."""
    assert len(NORMALISED_TAGS) == len(set(NORMALISED_TAGS)) == 140
    assert [tag for tag in NORMALISED_TAGS if entry_of(tag) is None] == []


@pytest.mark.parametrize(
    ("tag", "level"),
    [
        ("00100010", "Patient"),
        ("00120010", "Patient"),
        ("0020000D", "Study"),
        ("00080050", "Study"),
        ("0020000E", "Series"),
        ("00080060", "Series"),
        ("00200052", "Series"),
        ("00080018", "Instance"),
        ("00020010", "Instance"),
        ("00080005", "Instance"),
        ("00091001", "Instance"),
        ("00080201", "Instance"),
    ],
)
def test_level_of(tag: str, level: str) -> None:
    """The level of an attribute depends on its tag alone."""
    assert level_of(tag) == level


def test_split_keeps_every_attribute_and_the_order() -> None:
    """Four datasets, together the one they came from."""
    tags = ["00020010", "00080005", "00080060", "00100010", "00100020", "0020000D", "00091001"]
    dataset = {tag: Element("UN") for tag in tags}

    split = split_by_level(dataset)

    assert tuple(split) == LEVELS
    assert {level: list(part) for level, part in split.items()} == {
        "Patient": ["00100010", "00100020"],
        "Study": ["0020000D"],
        "Series": ["00080060"],
        "Instance": ["00020010", "00080005", "00091001"],
    }


def test_shared_attributes_are_all_but_the_instances() -> None:
    """In the order of their tags, whatever order they came in."""
    tags = ["0020000D", "00020010", "00100020", "00091001", "00080060"]

    shared = shared_attributes({tag: Element("UN") for tag in tags})

    assert list(shared) == ["00080060", "00100020", "0020000D"]
