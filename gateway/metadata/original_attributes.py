"""Original Attributes Sequence (0400,0561): what an instance said before somebody changed it.

PS3.3 C.12.1.1.9. Each change adds an item; those that are there stay. An item holds prior values, of a sequence all of
it, and with a private attribute its creator; a zero-length value is recorded for an attribute that was not there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, cast

from gateway.dicom.dataset import Dataset, Element, Tag, in_tag_order
from gateway.dicom.dictionary import is_private, is_private_creator, tag_of
from gateway.metadata.diff import same_element
from gateway.metadata.image_set import InstanceMetadata
from gateway.metadata.mapping import to_dataset, to_instance_metadata

# PS3.3 C.12.1.1.9: COERCE where values were made to agree with others, CORRECT where they were wrong.
Reason: TypeAlias = Literal["COERCE", "CORRECT"]

# PS3.3 Table C.12-1.
ORIGINAL_ATTRIBUTES_SEQUENCE = "04000561"
_MODIFIED_ATTRIBUTES_SEQUENCE = "04000550"
_ATTRIBUTE_MODIFICATION_DATE_TIME = "04000562"
_MODIFYING_SYSTEM = "04000563"
_SOURCE_OF_PREVIOUS_VALUES = "04000564"
_REASON_FOR_THE_ATTRIBUTE_MODIFICATION = "04000565"

# What calls itself Modifying System here.
SYSTEM = "dicomweb-gateway"

_LO_LENGTH = 64

# A Patient ID is unique only together with its issuer (PS3.3 C.7.1.1).
_PATIENT_ID = "00100020"
_ISSUER_OF_PATIENT_ID = ("00100021", "00100024")


def prior_values(before: Dataset, after: Dataset) -> Dataset:
    """Return the attributes of `before` that are different or missing in `after`, tags ascending.

    Attributes that only `after` has are recorded with zero length. Private creators go with their elements and the
    issuer with Patient ID, changed or not. File meta information and Original Attributes Sequence itself are not
    recorded. An empty attribute and an absent one are the same.
    """
    changed = {tag for tag in (*before, *after) if _is_recorded(tag) and _differ(before.get(tag), after.get(tag))}
    with_context = changed | {context for tag in changed for context in _context(tag) if context in before}
    return in_tag_order({tag: before.get(tag) or Element(after[tag].vr) for tag in with_context})


def original_attributes_item(modified: Dataset, *, when: datetime, system: str, source: str, reason: Reason) -> Dataset:
    """Return the item for one change.

    modified: the prior values, as `prior_values` gives them. when: with an offset to UTC. system: who changed them,
    cut to the 64 characters of LO. source: who said the values before; "" where that is not known.
    """
    return {
        _MODIFIED_ATTRIBUTES_SEQUENCE: Element("SQ", items=(in_tag_order(modified),)),
        _ATTRIBUTE_MODIFICATION_DATE_TIME: Element("DT", (when.strftime("%Y%m%d%H%M%S.%f%z"),)),
        _MODIFYING_SYSTEM: _long_string(system),
        _SOURCE_OF_PREVIOUS_VALUES: _long_string(source),
        _REASON_FOR_THE_ATTRIBUTE_MODIFICATION: Element("CS", (reason,)),
    }


def with_item(dataset: Dataset, item: Dataset) -> Dataset:
    """Return the dataset with one more item of Original Attributes Sequence, after those it has; tags ascending."""
    known = dataset.get(ORIGINAL_ATTRIBUTES_SEQUENCE, Element("SQ"))
    return in_tag_order({**dataset, ORIGINAL_ATTRIBUTES_SEQUENCE: Element("SQ", items=(*known.items, item))})


def add_original_attributes(instance: InstanceMetadata, item: Dataset) -> InstanceMetadata:
    """Return the instance with one more item, what is generated and keys that DICOM does not know included."""
    written = to_instance_metadata(with_item(to_dataset(instance), item))
    unknown = {key: value for key, value in instance["DICOM"].items() if tag_of(key) is None}
    return cast(InstanceMetadata, {**instance, **written, "DICOM": {**written["DICOM"], **unknown}})


def _is_recorded(tag: Tag) -> bool:
    return tag != ORIGINAL_ATTRIBUTES_SEQUENCE and not tag.startswith("0002")


def _differ(one: Element | None, other: Element | None) -> bool:
    if one is None or one.empty or other is None or other.empty:
        return not (one is None or one.empty) or not (other is None or other.empty)
    return not same_element(one, other)


def _context(tag: Tag) -> tuple[Tag, ...]:
    """Return the tags without which a value cannot be understood: the private creator, the issuer."""
    if is_private(tag) and not is_private_creator(tag):
        return (f"{tag[:4]}00{tag[4:6]}",)
    return _ISSUER_OF_PATIENT_ID if tag == _PATIENT_ID else ()


def _long_string(text: str) -> Element:
    cut = text[:_LO_LENGTH]
    return Element("LO", (cut,) if cut else ())
