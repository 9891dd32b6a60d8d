"""One small image set, and short ways to write updates of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from gateway.dicom.dataset import Dataset, Element, MergePatch, in_tag_order
from gateway.dicom.dictionary import vrs_of
from gateway.dicom.levels import LEVELS, split_by_level
from gateway.errors import Violation
from gateway.metadata.constraints import violations
from gateway.metadata.document import read_document
from gateway.metadata.image_set import ImageSetMetadata, MetadataUpdates, Profile
from gateway.metadata.mapping import LevelPatch, to_head, to_instance_metadata, to_updates
from gateway.metadata.targets import targets_of
from tests.strategies import datasets, elements

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = "1.2.826.0.1.3680043.8.498.2"
FIRST = "1.2.826.0.1.3680043.8.498.3.1"
SECOND = "1.2.826.0.1.3680043.8.498.3.2"


def _instance(uid: str, number: str) -> dict[str, Any]:
    return {
        "DICOM": {
            "MediaStorageSOPInstanceUID": uid,
            "TransferSyntaxUID": "1.2.840.10008.1.2.1",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
            "SOPInstanceUID": uid,
            "00190010": "ACME 1.0",
            "00191001": "x",
            "00191002": [{"00191003": "in", "CodeValue": "A"}],
            "InstanceNumber": number,
            "SliceLocation": "12.50 ",
            "Rows": 2,
            "SmallestImagePixelValue": -5,
            "WindowCenter": ["40"],
            "60003000": "AAE=",
        },
        "DICOMVRs": {
            "00190010": "LO",
            "00191001": "LO",
            "00191002": "SQ",
            "00191003": "LO",
            "SmallestImagePixelValue": "SS",
            "60003000": "OW",
        },
        "StoredTransferSyntaxUID": "1.2.840.10008.1.2.1",
        "ImageFrames": [],
    }


DOCUMENT: dict[str, Any] = {
    "SchemaVersion": "1.1",
    "DatastoreID": "0" * 32,
    "ImageSetID": "1" * 32,
    "Patient": {"DICOM": {"PatientBirthDate": "1970-01-01", "PatientID": "P1", "PatientName": "DOE^JANE"}},
    "Study": {
        "DICOM": {
            "AccessionNumber": "A1",
            "ProcedureCodeSequence": [{"CodeValue": "A", "CodingSchemeDesignator": "99X", "CodeMeaning": "a"}],
            "StudyDate": "20240101",
            "StudyDescription": "CHEST",
            "StudyID": "S1",
            "StudyInstanceUID": STUDY,
        },
        "Series": {
            SERIES: {
                "DICOM": {
                    "Modality": "CT",
                    "SeriesInstanceUID": SERIES,
                    "SeriesNumber": "1",
                    "SoftwareVersions": ["1.0"],
                },
                "Instances": {FIRST: _instance(FIRST, "1"), SECOND: _instance(SECOND, "2")},
            }
        },
    },
}


def image_set() -> ImageSetMetadata:
    """Return the image set; a new copy each time, so that a test can see what was changed in place."""
    return read_document(json.loads(json.dumps(DOCUMENT)))


def patient(**attributes: Any) -> dict[str, Any]:
    """Return an update document of the Patient level."""
    return {"SchemaVersion": 1.1, "Patient": {"DICOM": attributes}}


def study(**attributes: Any) -> dict[str, Any]:
    return {"SchemaVersion": 1.1, "Study": {"DICOM": attributes}}


def series(**attributes: Any) -> dict[str, Any]:
    return {"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"DICOM": attributes}}}}


def instances(found: dict[str, Any]) -> dict[str, Any]:
    """Return an update document of instances by SOP Instance UID, {} to remove one."""
    return {"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"Instances": found}}}}


def first(attributes: dict[str, Any], vrs: dict[str, str] | None = None) -> dict[str, Any]:
    """Return an update document of the first instance."""
    return instances({FIRST: {"DICOM": attributes} if vrs is None else {"DICOM": attributes, "DICOMVRs": vrs}})


def to_set(document: dict[str, Any]) -> MetadataUpdates:
    return MetadataUpdates(updatable=document)


def to_remove(document: dict[str, Any]) -> MetadataUpdates:
    return MetadataUpdates(removable=document)


# --- Any image set of one instance, and any edit of it

IDENTIFIERS: Dataset = {
    "00080018": Element("UI", (FIRST,)),
    "0020000D": Element("UI", (STUDY,)),
    "0020000E": Element("UI", (SERIES,)),
}


def identified(dataset: Dataset) -> Dataset:
    """Return a dataset that can be an instance of the image set."""
    return in_tag_order({**dataset, **IDENTIFIERS})


def of_one_instance(dataset: Dataset) -> ImageSetMetadata:
    return ImageSetMetadata(to_head(dataset), {FIRST: to_instance_metadata(dataset)})


def updates_of(patch: MergePatch) -> MetadataUpdates:
    """Return the updates that set and remove each attribute at its level."""
    split = split_by_level({tag: element or Element("UN") for tag, element in patch.items()})
    return to_updates([LevelPatch(level, {tag: patch[tag] for tag in split[level]}, SERIES, FIRST) for level in LEVELS])


any_instance = datasets(odd_vrs=True).map(identified)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Dataset, MergePatch]:
    """Return an instance, and a merge patch that changes some attributes of it, adds some and removes some."""
    before = draw(any_instance)
    patch: MergePatch = {
        tag: element for tag, element in draw(datasets(odd_vrs=True)).items() if tag not in IDENTIFIERS
    }
    others = [tag for tag in before if tag not in IDENTIFIERS]
    for tag in draw(st.lists(st.sampled_from(others), unique=True, max_size=4)) if others else ():
        allowed = [before[tag].vr, *sorted(vrs_of(tag))]
        changed = st.sampled_from(allowed).flatmap(lambda vr: elements(vr, odd_vrs=True))
        patch[tag] = draw(st.none() | changed)
    return before, patch


# -- what the constraints say of updates of it


def found(
    updates: MetadataUpdates, *, profile: Profile = "2024-07", primary: bool = True, force: bool = False
) -> list[Violation]:
    """Return what updates of the example image set break."""
    return violations(image_set(), targets_of(updates), profile=profile, primary=primary, force=force)


def rules(updates: MetadataUpdates, **how: Any) -> list[str]:
    return [violation.rule for violation in found(updates, **how)]
