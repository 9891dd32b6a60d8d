"""What is appended to a log in the tests: versions and studies, written short."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.metadata.image_set import Head
from gateway.store.contents import ChangeSummary, Provenance
from gateway.store.log.appends import (
    Append,
    ImageSetColumns,
    NewStudyVersion,
    NewVersion,
    RememberedAnswer,
    StudyColumns,
)
from gateway.store.log.heads import pack_head
from gateway.store.log.manifest import Manifest
from gateway.store.log.parts import PlacedInstance, pack_parts, reference, unpack_part

DATASTORE = "d" * 32
STUDY = "1.2.3"
START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
WHO = Provenance("tester", "because", "CORRECT", "the paper")


def head_of(study: str = STUDY, series: str = "1.2.3.1") -> bytes:
    return pack_head(
        Head({"DICOM": {}}, {"DICOM": {"StudyInstanceUID": study}}, {"DICOM": {"SeriesInstanceUID": series}})
    )


def new_version(image_set_id: str, version: int, count: int = 0, study: str = STUDY, **changes: object) -> NewVersion:
    """Return a version whose `count` instances are all new."""
    placed = [
        PlacedInstance(f"{version}.{number}", number, {"DICOM": {"SOPClassUID": "1.2.840"}, "DICOMVRs": {}})
        for number in range(1, count + 1)
    ]
    parts = dict(enumerate(pack_parts(placed), 100 * version))
    slots = [(one.sop_instance_uid, slot) for slot, part in enumerate(parts.values()) for one in unpack_part(part)]
    fields: dict[str, Any] = {
        "image_set_id": image_set_id,
        "version": version,
        "study_instance_uid": study,
        "series_instance_uid": "1.2.3.1",
        "created_at": START,
        "updated_at": START + timedelta(seconds=version),
        "state": "ACTIVE",
        "workflow_status": "CREATED" if version == 1 else "UPDATED",
        "is_primary": True,
        "action": "store" if version == 1 else "update",
        "provenance": WHO,
        "forced": False,
        "changed": ChangeSummary({"Study": ("StudyID",)}, 2),
        "head": head_of(study),
        "manifest": Manifest(reference(number, part) for number, part in parts.items()),
        "columns": ImageSetColumns("CT", "P1", "A1", "S1", "20040119072730.000000"),
        "next_part": 100 * version + 100,
        "next_object": 1000 * version + 1,
        "parts": parts,
        "slots": slots,
        **changes,
    }
    return NewVersion(**fields)


def new_study(expected: int, members: Sequence[tuple[str, int]], study: str = STUDY) -> NewStudyVersion:
    """Return a study's next version, seen by DICOMweb through its first member."""
    return NewStudyVersion(
        study_instance_uid=study,
        expected=expected,
        updated_at=START + timedelta(seconds=expected + 1),
        action="update" if expected else "store",
        forced=False,
        provenance=WHO,
        changed=ChangeSummary({"Study": ("StudyID",)}, 2),
        members=tuple(members),
        columns=StudyColumns(members[0][0], study_date="20040119", patient_id="P1", modalities={"CT": 1}),
    )


def append_of(
    *versions: NewVersion, expected: int = 0, study: str = STUDY, remember: RememberedAnswer | None = None
) -> Append:
    members = [(version.image_set_id, version.version) for version in versions]
    return Append(DATASTORE, (new_study(expected, members, study),), versions, START, remember)


A, B = "a" * 32, "b" * 32
