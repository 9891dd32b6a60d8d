"""What a search for studies returns of a study that was asked for nothing more, kept so that it is quick to write.

The values of Patient and Study are encoded when a version is written, once, and a result is joined of them and of what
the row of the study counts. It is, byte for byte, what the attributes of the study give on the long way
(tests/metadata/test_study_summary.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.dicom.dataset import Element
from gateway.dicom.dictionary import entry_of
from gateway.dicom.json_model import element_to_json, encode_json
from gateway.errors import InvalidUpdate
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_dataset

_TIMEZONE = "00080201"


def _vr(tag: str) -> str:
    entry = entry_of(tag)
    assert entry is not None  # the table names standard attributes only
    return entry.vr


# Of PS3.18 Table 10.6.3-3, what the heads of versions say, and the instances of their time zone.
_TAGS = (
    "00080020",  # StudyDate
    "00080030",  # StudyTime
    "00080050",  # AccessionNumber
    "00080090",  # ReferringPhysicianName
    _TIMEZONE,
    "00100010",  # PatientName
    "00100020",  # PatientID
    "00100030",  # PatientBirthDate
    "00100040",  # PatientSex
    "00200010",  # StudyID
)
_VRS = {tag: _vr(tag) for tag in _TAGS}
_ONLY = frozenset(_TAGS)

# The table, tags ascending. What is filled in of a value begins with the comma before it.
_RESULT = (
    b'{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA"%b},"00080030":{"vr":"TM"%b},'
    b'"00080050":{"vr":"SH"%b},"00080056":{"vr":"CS","Value":["ONLINE"]},"00080061":{"vr":"CS"%b},'
    b'"00080090":{"vr":"PN"%b},%b"00081190":{"vr":"UR","Value":[%b]},"00100010":{"vr":"PN"%b},"00100020":{"vr":"LO"%b},'
    b'"00100030":{"vr":"DA"%b},"00100040":{"vr":"CS"%b},"0020000D":{"vr":"UI","Value":["%b"]},"00200010":{"vr":"SH"%b},'
    b'"00201206":{"vr":"IS","Value":[%d]},"00201208":{"vr":"IS","Value":[%d]}}'
)


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study in a search for studies. values: as `packed_values` has them; modalities: a JSON array of them."""

    study_instance_uid: str
    values: str
    modalities: str
    series_count: int
    instance_count: int


def packed_values(head: Head, timezone: str) -> str | None:
    """Return the values of a study in DICOM JSON, a line for each of the table's attributes, empty where it has none.

    head: of the first primary image set. timezone: its TimezoneOffsetFromUTC, "" where it has none.
    None for values that a summary has no place for: of another VR than the dictionary's, or of no form for their VR.
    """
    try:
        dataset = to_dataset(head.patient, head.study, only=_ONLY)
    except InvalidUpdate:
        return None
    if timezone:
        dataset[_TIMEZONE] = Element("SH", (timezone,))
    lines = []
    for tag, vr in _VRS.items():
        shown = element_to_json(dataset[tag]) if tag in dataset else {"vr": vr}
        if shown["vr"] != vr or not shown.keys() <= {"vr", "Value"}:
            return None
        if tag == _TIMEZONE and "Value" not in shown and tag in dataset:
            return None  # an empty one is in a result, and one that is absent is not
        lines.append(encode_json(shown["Value"]) if "Value" in shown else b"")
    return b"\n".join(lines).decode()


def summary_json(summary: StudySummary, retrieve_url: str) -> bytes:
    """Return the result of a search that a summary is of, in DICOM JSON (PS3.18 Table 10.6.3-3)."""
    values = [b',"Value":' + value if value else value for value in summary.values.encode().split(b"\n")]
    date, time, accession, physician, zone, name, patient, birth, sex, study = values
    modalities = summary.modalities.encode()
    return _RESULT % (
        *(date, time, accession, b"" if modalities == b"[]" else b',"Value":' + modalities, physician),
        b'"00080201":{"vr":"SH"%b},' % zone if zone else b"",
        *(encode_json(retrieve_url), name, patient, birth, sex, summary.study_instance_uid.encode(), study),
        *(summary.series_count, summary.instance_count),
    )
