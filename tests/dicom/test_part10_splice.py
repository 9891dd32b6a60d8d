"""Splicing writes what rewriting does, or nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from gateway.dicom.dataset import Dataset, Element, in_tag_order
from gateway.dicom.levels import level_of
from gateway.dicom.part10 import Splice, read_part10, rewrite
from gateway.dicom.part10_write import no_bulk
from tests.samples import ODD, SAMPLE_IDS, SAMPLES, instance

NAME = Element("PN", ("Doe^Jane",))

# What an edit of the shared attributes does: sets, adds, removes, several at once, the first and the last of a file.
CHANGES: dict[str, dict[str, Element | None]] = {
    "name": {"00100010": NAME},
    "longer": {"00081030": Element("LO", ("A description of a study that no file of these has",))},
    "removed": {"00100020": None, "00100040": None},
    "several": {"00080020": Element("DA", ("20300102",)), "00100010": NAME, "0020000E": Element("UI", ("1.2.3.4",))},
    "emptied": {"00080050": Element("SH")},
    "accented": {"00100010": Element("PN", ("Müller^Jürgen",))},
}


def shared(dataset: Dataset) -> Dataset:
    """The attributes of a dataset that an image set's head has."""
    return {tag: element for tag, element in dataset.items() if level_of(tag) != "Instance"}


def changed(dataset: Dataset, changes: dict[str, Element | None]) -> Dataset:
    return in_tag_order({tag: element for tag, element in (dataset | changes).items() if element is not None})


def spliced(data: bytes, changes: dict[str, Element | None]) -> bytes | None:
    before = shared(read_part10(data).dataset)
    splice = Splice(before, changed(before, changes))
    pieces = splice.pieces(memoryview(data)) if splice.possible else None
    return None if pieces is None else b"".join(pieces)


def rewritten(data: bytes, changes: dict[str, Element | None]) -> bytes:
    return b"".join(rewrite(data, changed(read_part10(data).dataset, changes), no_bulk))


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_a_splice_is_what_rewriting_writes(path: Path, changes: dict[str, Element | None]) -> None:
    """Of every real file, byte for byte, wherever there is a splice."""
    data = path.read_bytes()

    found = spliced(data, changes)

    assert found is None or found == rewritten(data, changes)


def test_real_files_are_spliced_but_for_odd_ones() -> None:
    """A new name is spliced into all but those in big endian, deflated, or odd in what comes before it."""
    not_spliced = [path for path in SAMPLES if spliced(path.read_bytes(), CHANGES["name"]) is None]

    assert len(not_spliced) < 0.1 * len(SAMPLES)
    assert {ODD["big endian"], ODD["deflated"]} <= set(not_spliced)


def test_an_element_that_the_file_does_not_have_is_no_splice() -> None:
    """Whoever says it is there knows another file: rewriting finds out what is right."""
    data = instance(PatientID=None)

    assert Splice({"00100020": Element("LO", ("1",))}, {}).pieces(memoryview(data)) is None
    assert Splice({}, {"00100010": NAME}).pieces(memoryview(data)) is None


@pytest.mark.parametrize(
    "broken",
    [b"", b"DICM", bytes(128) + b"DICM", instance()[:140], instance()[:400], instance().replace(b"PN", b"?!")],
    ids=["nothing", "short", "no meta", "cut in the meta", "cut in the dataset", "no VR"],
)
def test_what_is_no_file_is_no_splice(broken: bytes) -> None:
    """It is told by rewriting what is wrong."""
    assert Splice({"00100010": Element("PN", ("x",))}, {"00100010": NAME}).pieces(memoryview(broken)) is None


def test_files_of_a_series_are_each_spliced_as_its_own_layout_asks() -> None:
    """More layouts than are remembered, in turn and again: each is what rewriting writes."""
    files = [
        instance(instance_number=number, AccessionNumber="1" * length) for length in range(16) for number in (1, 2)
    ]
    files += [instance(instance_number=1, StudyDescription=None), *files]
    before = shared(read_part10(files[0]).dataset)
    splice = Splice(before, changed(before, CHANGES["name"]))

    for data in files:
        pieces = splice.pieces(memoryview(data))
        assert pieces is not None
        assert b"".join(pieces) == rewritten(data, CHANGES["name"])


def test_what_is_encoded_once_is_not_mixed_up() -> None:
    """One splice writes files of two encodings and two character sets, each as its own."""
    files = [instance(), ODD["implicit"].read_bytes(), instance(SpecificCharacterSet="ISO_IR 192"), instance()]
    before: Dataset = {"00100010": Element("PN", ("x",))}
    splice = Splice(before, {"00100010": Element("PN", ("Müller",))})

    found = [splice.pieces(memoryview(data)) for data in files]

    names = [None if pieces is None else pydicom.dcmread(io.BytesIO(b"".join(pieces))).PatientName for pieces in found]
    assert names == ["Müller", None, "Müller", "Müller"]
