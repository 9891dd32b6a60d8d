"""The instances of a series to SchemaVersion 1.1, each by what differs from the one before."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TypeAlias

from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.dictionary import key_of
from gateway.dicom.levels import NORMALISED_TAGS
from gateway.metadata.image_set import InstanceMetadata
from gateway.metadata.mapping import attribute_of, to_instance_metadata

# An instance's own tags, their elements in the same order, and its metadata.
_Mapped: TypeAlias = tuple[list[Tag], list[Element], InstanceMetadata]


class InstanceMapper:
    """Maps instances as `to_instance_metadata` does. For several threads.

    Files of a series that were read one after the other share the elements in which they are the same
    (dicom/part10_alike.py), so that most need no look. Values are shared as well: nobody may change them.
    """

    def __init__(self) -> None:
        self._before: _Mapped | None = None

    def instance_metadata(self, dataset: Dataset) -> InstanceMetadata:
        tags = [tag for tag in dataset if tag not in NORMALISED_TAGS]
        tags.sort()
        elements = [dataset[tag] for tag in tags]
        before = self._before
        metadata = _like(before, elements) if before is not None and before[0] == tags else None
        if metadata is None:
            metadata = to_instance_metadata(dataset)
        self._before = tags, elements, metadata
        return metadata

    def forget(self) -> None:
        """Forget the instance before, which is too large to keep."""
        self._before = None


def _like(before: _Mapped, elements: Sequence[Element]) -> InstanceMetadata | None:
    """Return the metadata of an instance with the tags of the one before; None where VRs may have to stand beside it.

    DICOMVRs follow from VRs and from what is in sequences: where both stay, so do they.
    """
    tags, others, metadata = before
    attributes = metadata["DICOM"].copy()
    for place in itertools.compress(range(len(tags)), map(operator.is_not, elements, others)):
        element, other = elements[place], others[place]
        if element.vr != other.vr or element.items or other.items:
            return None
        attributes[key_of(tags[place])] = attribute_of(tags[place], element)
    return {"DICOM": attributes, "DICOMVRs": metadata["DICOMVRs"].copy()}
