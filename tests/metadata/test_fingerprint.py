"""The fingerprint of an instance tells whether any of its attributes is another one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.dicom.dataset import Element
from gateway.metadata.fingerprint import SIZE, fingerprint
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_head, to_instance_metadata

DATASET = {
    "00080018": Element("UI", ("1.2.3",)),
    "00100010": Element("PN", ("Doe^Jane",)),
    "00191001": Element("LO", ("x",)),
}
HEAD, INSTANCE = to_head(DATASET), to_instance_metadata(DATASET)


def test_the_same_attributes_have_the_same_fingerprint() -> None:
    """In whatever order, and with what the gateway generates beside them."""
    turned: Any = {"DICOM": dict(reversed(INSTANCE["DICOM"].items())), "DICOMVRs": INSTANCE["DICOMVRs"]}

    assert fingerprint(HEAD, turned) == fingerprint(HEAD, INSTANCE)
    assert fingerprint(HEAD, {**INSTANCE, "ImageFrames": [{"ID": "1"}]}) == fingerprint(HEAD, INSTANCE)
    assert len(fingerprint(HEAD, INSTANCE)) == SIZE


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
    assert fingerprint(head, instance) != fingerprint(HEAD, INSTANCE)
