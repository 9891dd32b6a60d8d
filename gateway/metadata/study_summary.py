"""What a search for studies returns of a study that was asked for nothing more, kept so that it is quick to write.

The values of Patient and Study are encoded when a version is written, once, and a result is joined of them and of what
the row of the study counts. It is, byte for byte, what the attributes of the study give on the long way
(tests/dicomweb/test_study_summary.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import orjson

from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.dictionary import entry_of, key_of
from gateway.dicom.json_model import element_to_json, encode_json
from gateway.errors import InvalidUpdate
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import element_of, to_dataset

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
_KEYS = {tag: key_of(tag) for tag in _TAGS}
_ONLY = frozenset(_TAGS)

# What a summary has.
SUMMARISED = _ONLY | {"00080056", "00080061", "0020000D", "00201206", "00201208"}

_VALUE = ',"Value":'
_MODALITIES = '"00080061":{"vr":"CS","Value":'
_ZONE = '"00080201":{"vr":"SH","Value":'
_END = "},"


class StudySummary(NamedTuple):
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
    lines = _lines_of_texts(head, timezone)
    if lines is None:
        lines = _lines_of_elements(head, timezone)
    return None if lines is None else "\n".join(lines)


def _lines_of_texts(head: Head, timezone: str) -> list[str] | None:
    """Return the lines where all values are one text each, as nearly always; None otherwise.

    An edit changes one or two of them, and the others are written already.
    """
    patient, study = head.patient, head.study
    if patient.get("DICOMVRs") or study.get("DICOMVRs"):
        return None
    attributes = {**patient["DICOM"], **study["DICOM"]}
    if timezone:
        attributes[_KEYS[_TIMEZONE]] = timezone
    elif _KEYS[_TIMEZONE] in attributes:
        return None
    lines = []
    for tag, key in _KEYS.items():
        value = attributes.get(key)
        if value is None:
            lines.append("")
            continue
        line = _line_of_text(tag, value) if value.__class__ is str else None
        if line is None:
            return None
        lines.append(line)
    return lines


# Names and numbers of patients among them: as many as a few hundred studies have, and no more.
@lru_cache(4096)
def _line_of_text(tag: Tag, text: str) -> str | None:
    return _line(tag, element_of(_KEYS[tag], text, _VRS[tag]))


def _lines_of_elements(head: Head, timezone: str) -> list[str] | None:
    try:
        dataset = to_dataset(head.patient, head.study, only=_ONLY)
    except InvalidUpdate:
        return None
    if timezone:
        dataset[_TIMEZONE] = Element("SH", (timezone,))
    lines = [_line(tag, dataset[tag]) if tag in dataset else "" for tag in _TAGS]
    told = [line for line in lines if line is not None]
    return told if len(told) == len(lines) else None


def _line(tag: Tag, element: Element) -> str | None:
    """Return the values of an attribute that is there; None where a summary would not say the same."""
    shown = element_to_json(element)
    if shown["vr"] != _VRS[tag] or not shown.keys() <= {"vr", "Value"}:
        return None
    if "Value" not in shown:
        return None if tag == _TIMEZONE else ""  # an empty one is in a result, and one that is absent is not
    line = encode_json(shown["Value"]).decode()
    # A name such as "Doe==" has more than its JSON says, and searches look at it.
    return line if Element(_VRS[tag], _texts(line)) == element else None


def summary_json(summary: StudySummary, retrieve_url: str) -> str:
    """Return the result of a search that a summary is of, in DICOM JSON: PS3.18 Table 10.6.3-3, tags ascending.

    retrieve_url: as a JSON string, without its quotation marks.
    """
    uid, packed, modalities, series, instances = summary
    date, time, accession, physician, zone, name, patient, birth, sex, study = packed.split("\n")
    # One piece of text, and not a template to be filled in: a page has a hundred of them.
    return (
        '{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},'
        f'"00080020":{{"vr":"DA"{date and _VALUE + date}}},'
        f'"00080030":{{"vr":"TM"{time and _VALUE + time}}},'
        f'"00080050":{{"vr":"SH"{accession and _VALUE + accession}}},'
        '"00080056":{"vr":"CS","Value":["ONLINE"]},'
        f"{'' if modalities == '[]' else _MODALITIES + modalities + _END}"
        f'"00080090":{{"vr":"PN"{physician and _VALUE + physician}}},'
        f"{zone and _ZONE + zone + _END}"
        f'"00081190":{{"vr":"UR","Value":["{retrieve_url}"]}},'
        f'"00100010":{{"vr":"PN"{name and _VALUE + name}}},'
        f'"00100020":{{"vr":"LO"{patient and _VALUE + patient}}},'
        f'"00100030":{{"vr":"DA"{birth and _VALUE + birth}}},'
        f'"00100040":{{"vr":"CS"{sex and _VALUE + sex}}},'
        f'"0020000D":{{"vr":"UI","Value":["{uid}"]}},'
        f'"00200010":{{"vr":"SH"{study and _VALUE + study}}},'
        f'"00201206":{{"vr":"IS","Value":[{series}]}},'
        f'"00201208":{{"vr":"IS","Value":[{instances}]}}}}'
    )


def summary_dataset(summary: StudySummary, tags: frozenset[Tag]) -> Dataset:
    """Return the attributes of a summary that are asked for, those that the gateway counts among them."""
    modalities = tuple(orjson.loads(summary.modalities))
    counted = {
        "00080056": Element("CS", ("ONLINE",)),
        "0020000D": Element("UI", (summary.study_instance_uid,)),
        "00201206": Element("IS", (str(summary.series_count),)),
        "00201208": Element("IS", (str(summary.instance_count),)),
    }
    if modalities:
        counted["00080061"] = Element("CS", modalities)
    return {**_read(summary.values, tags), **{tag: element for tag, element in counted.items() if tag in tags}}


def _read(packed: str, tags: frozenset[Tag]) -> Dataset:
    """Return the attributes asked for that have a value."""
    lines = zip(_VRS.items(), packed.split("\n"), strict=True)
    return {tag: Element(vr, _texts(line)) for (tag, vr), line in lines if line and tag in tags}


def _texts(values: str) -> tuple[str, ...]:
    return tuple(_name(value) if isinstance(value, dict) else value or "" for value in orjson.loads(values))


def _name(groups: Mapping[str, str]) -> str:
    return "=".join(groups.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
