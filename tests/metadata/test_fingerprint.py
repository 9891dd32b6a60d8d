"""The fingerprint of an instance tells whether any of its attributes is another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.dicom.dataset import Element
from gateway.metadata.fingerprint import SIZE, head_digest, instance_text, joined_fingerprint, text_digest
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_head, to_instance_metadata
from gateway.store.log.parts import PlacedInstance, pack_part, unpack_part

DATASET = {
    "00080018": Element("UI", ("1.2.3",)),
    "00080020": Element("DA", ("20040119",)),
    "00081030": Element("LO", ("Head",)),
    "00100010": Element("PN", ("Doe^Jane",)),
    "00191001": Element("LO", ("x",)),
}
HEAD, INSTANCE = to_head(DATASET), to_instance_metadata(DATASET)


def of(head: Head, instance: Any) -> bytes:
    return joined_fingerprint(head_digest(head), text_digest(instance_text("1.2.3", instance)))


def test_the_same_attributes_have_the_same_fingerprint() -> None:
    """Those that instances share in whatever order."""
    turned: Any = {"DICOM": dict(reversed(HEAD.study["DICOM"].items()))}

    assert of(replace(HEAD, study=turned), INSTANCE) == of(HEAD, INSTANCE)
    assert len(of(HEAD, INSTANCE)) == SIZE


def test_the_text_in_the_log_has_the_fingerprint() -> None:
    """A digest of each is enough: nothing has to be decoded."""
    [placed] = unpack_part(pack_part([PlacedInstance("1.2.3", 1, INSTANCE)]))

    assert joined_fingerprint(head_digest(HEAD), text_digest(placed.text)) == of(HEAD, INSTANCE)


@pytest.mark.parametrize(
    ("head", "instance"),
    [
        (replace(HEAD, patient={"DICOM": {"PatientName": "Doe^John"}}), INSTANCE),
        (Head({"DICOM": {}}, {"DICOM": {"PatientName": "Doe^Jane"}}, HEAD.series), INSTANCE),
        (HEAD, {**INSTANCE, "DICOM": {**INSTANCE["DICOM"], "00191001": "y"}}),
        (HEAD, {**INSTANCE, "DICOMVRs": {"00191001": "SH"}}),
    ],
    ids=["another value", "at another level", "another private value", "another VR"],
)
def test_any_other_attribute_makes_another_fingerprint(head: Head, instance: Any) -> None:
    """A value, a level or a VR that differs shows."""
    assert of(head, instance) != of(HEAD, INSTANCE)
