"""What is read out of an instance's text without decoding it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.metadata.image_set import Head
from gateway.store.contents import StoredObject
from gateway.store.instance_files import Digested, digested, instance_files
from gateway.store.log.contents import StoredFiles, StoredVersion
from gateway.store.log.manifest import Manifest, PartReference
from gateway.store.log.parts import PlacedInstance, pack_part

LITTLE, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
HEAD = Head({"DICOM": {}}, {"DICOM": {"StudyInstanceUID": "1.2"}}, {"DICOM": {"SeriesInstanceUID": "1.2.3"}})


def read(dicom: dict[str, Any], vrs: dict[str, str] | None = None) -> Digested:
    """One instance, packed into a part and read out of it again."""
    part = pack_part([PlacedInstance("1.2.3.4", 7, {"DICOM": dicom, "DICOMVRs": vrs or {}})])
    nobody_looks: Any = None
    version = StoredVersion(nobody_looks, b"", Manifest([PartReference(3, 1, ())]), {0: part})
    [one] = digested(StoredFiles(version, {7: StoredObject(nobody_looks, "ab" * 32, b"")}))[3].values()
    return one


@pytest.mark.parametrize(
    ("dicom", "expected"),
    [
        ({"TransferSyntaxUID": LITTLE, "Rows": 5}, LITTLE),
        ({"PatientComments": 'x","TransferSyntaxUID":"1.9', "TransferSyntaxUID": LITTLE}, LITTLE),
        ({"DirectoryRecordSequence": [{"TransferSyntaxUID": JPEG}]}, ""),
        ({"DirectoryRecordSequence": [{"TransferSyntaxUID": JPEG}], "TransferSyntaxUID": LITTLE}, LITTLE),
        ({"TransferSyntaxUID": None}, ""),
        ({"TransferSyntaxUID": "of our own"}, "of our own"),
        ({}, ""),
    ],
    ids=["first", "in a text", "of an item", "after an item", "empty", "no UID", "none"],
)
def test_the_transfer_syntax_is_the_one_that_the_instance_says(dicom: dict[str, Any], expected: str) -> None:
    """Wherever it stands in the text, and not another one that stands there too."""
    assert read(dicom, {"TransferSyntaxUID": "UI"}).transfer_syntax_uid == expected


def test_a_fingerprint_that_nobody_made_is_no_head() -> None:
    """A file that came before fingerprints, or with another kind of them, counts as edited."""
    [file] = instance_files([read({"TransferSyntaxUID": LITTLE})], [HEAD])

    assert (file.sop_instance_uid, file.received) == ("1.2.3.4", None)
