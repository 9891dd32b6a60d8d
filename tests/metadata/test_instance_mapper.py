"""Instances of a series mapped by what differs from the one before: as each by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import Dataset, Element
from gateway.metadata.instance_mapper import InstanceMapper
from gateway.metadata.mapping import to_instance_metadata
from tests.strategies import datasets


@given(st.lists(datasets(bulk=True, odd_vrs=True), min_size=2, max_size=3), st.data())
def test_instances_that_share_elements_are_mapped_as_each_by_itself(drawn: list[Dataset], data: st.DataObject) -> None:
    """Whatever of an instance is the next one's too, and whatever takes its place; none changes one before."""
    series = [drawn[0]]
    for other in drawn[1:]:
        before = series[-1]
        values = data.draw(st.permutations(list(other.values())))
        changed = data.draw(st.lists(st.sampled_from(sorted(before)), max_size=3)) if before else []
        series += [{**before, **dict(zip(changed, values, strict=False))}, other]
    mapper = InstanceMapper()

    found = [mapper.instance_metadata(dataset) for dataset in series]

    assert found == [to_instance_metadata(dataset) for dataset in series]
    assert [list(one["DICOM"]) for one in found] == [list(to_instance_metadata(one)["DICOM"]) for one in series]


def test_an_instance_is_mapped_by_what_differs_from_the_one_before() -> None:
    """Another value, an empty one, another VR, and an item in a sequence."""
    comments, items = "00204000", "00081140"
    first = {comments: Element("LT", ("one",)), items: Element("SQ"), "00091001": Element("LO", ("p",))}
    mapper = InstanceMapper()

    found = [
        mapper.instance_metadata({**first, **other})
        for other in (
            {},
            {comments: Element("LT", ("two",))},
            {comments: Element("LT")},
            {comments: Element("LO", ("three",))},
            {items: Element("SQ", items=({"00091002": Element("SH", ("q",))},))},
        )
    ]

    assert [(one["DICOM"]["ImageComments"], one["DICOMVRs"]) for one in found] == [
        ("one", {"00091001": "LO"}),
        ("two", {"00091001": "LO"}),
        (None, {"00091001": "LO"}),
        ("three", {"00091001": "LO", "ImageComments": "LO"}),
        ("one", {"00091001": "LO", "00091002": "SH"}),
    ]
    assert found[4]["DICOM"]["ReferencedImageSequence"] == [{"00091002": "q"}]
