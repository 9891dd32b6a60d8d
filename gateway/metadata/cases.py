"""One target of an update, and what is known of it: what the checks of the constraints ask about (checks.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.dicom.dataset import Element, Tag
from gateway.dicom.dictionary import Entry, entry_of, is_tag, tag_of
from gateway.errors import InvalidUpdate
from gateway.metadata.diff import same_element, stored_element
from gateway.metadata.image_set import ImageSetMetadata, Profile
from gateway.metadata.mapping import element_of, vr_of
from gateway.metadata.targets import Place, Target, keys_in, stored_level, vrs_in_force


@dataclass(frozen=True)
class Edit:
    """An update as a whole."""

    metadata: ImageSetMetadata
    targets: tuple[Target, ...]
    profile: Profile
    primary: bool

    @cached_property
    def set_and_removed(self) -> frozenset[tuple[Place, str]]:
        named: dict[str, set[tuple[Place, str]]] = {"set": set(), "remove": set()}
        for target in self.targets:
            if target.kind == "attribute":
                named[target.side].add((target.place, target.key))
        return frozenset(named["set"] & named["remove"])

    @cached_property
    def instances_set(self) -> frozenset[Place]:
        return frozenset(target.place for target in self.targets if target.side == "set" and target.kind == "attribute")

    @cached_property
    def new_uids(self) -> Mapping[Place, str]:
        """The SOP Instance UIDs newly given, by the instance that gets them."""
        return {
            target.place: target.value
            for target in self.targets
            if target.kind == "attribute" and target.side == "set" and target.key == "SOPInstanceUID"
            if isinstance(target.value, str) and target.value != target.place.instance
        }

    @cached_property
    def times_given(self) -> Counter[str]:
        return Counter(self.new_uids.values())

    @cached_property
    def bulk_uris(self) -> frozenset[str]:
        levels = [self.metadata.head.patient, self.metadata.head.study, self.metadata.head.series]
        return frozenset(bulk_uris_in([level["DICOM"] for level in (*levels, *self.metadata.instances.values())]))


class Case:
    """One target of it, and what is known of that.

    tag, entry: of its key, None where there is none. stored: the level it is of, None where the image set has no such
    place. is_set: whether it is an attribute with a value to be set. keys: the attribute's key and, of a value to be
    set, those in its items. vrs, vr: as they apply to the value.
    """

    def __init__(self, target: Target, edit: Edit) -> None:
        self.target = target
        self.edit = edit
        self.tag: Tag | None = tag_of(target.key)
        self.entry: Entry | None = entry_of(self.tag) if self.tag else None
        self.stored = stored_level(edit.metadata, target.place)
        self.is_set = target.kind == "attribute" and target.side == "set"
        self.keys: tuple[str, ...] = (target.key, *keys_in(target.value)) if self.is_set else (target.key,)
        self.vrs = vrs_in_force(target, self.stored)
        self.vr = vr_of(target.key, self.vrs, target.key)

    @property
    def name(self) -> str:
        """The attribute for a person: "PatientName (0010,0010)"."""
        tag = self.tag
        if tag is None:
            return self.target.key
        numbers = f"({tag[:4]},{tag[4:]})"
        return numbers if tag == self.target.key else f"{self.target.key} {numbers}"

    @cached_property
    def element(self) -> Element | str | None:
        """The element to be set; a sentence where there can be none; None where its key or VR does not say."""
        if self.vr is None or self.tag is None or self.without_vr:
            return None
        try:
            return element_of(self.target.key, self.target.value, self.vr, vrs=self.vrs)
        except InvalidUpdate as error:
            return str(error).partition(": ")[2]

    @cached_property
    def without_vr(self) -> tuple[str, ...]:
        """The keys whose VR nothing says: tags that the dictionary does not name."""
        known = {path.rpartition(".")[2] for path in self.vrs}
        return tuple(key for key in self.keys if is_tag(key) and key not in known)

    @cached_property
    def unchanged(self) -> bool:
        """Whether the attribute is as it is to be, or is to go and is not there."""
        if self.target.kind != "attribute" or self.stored is None:
            return False
        key = self.target.key
        if key not in self.stored["DICOM"] or not self.is_set:
            return key not in self.stored["DICOM"] and not self.is_set
        if not isinstance(self.element, Element):
            return self.element is None and self.target.value == self.stored["DICOM"][key]
        before = stored_element(key, self.stored)
        return before is not None and same_element(before, self.element)


def bulk_uris_in(value: Any) -> Iterator[str]:
    """Return the URIs of bulk data in a value, in sequences and levels too."""
    if isinstance(value, dict):
        uri = value.get("BulkDataURI")
        if isinstance(uri, str):
            yield uri
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        yield from bulk_uris_in(member)
