"""What the log holds, as values: versions as they lie in it, studies as they are now, and what a search of it finds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.store.contents import ImageSetVersion, StoredObject
from gateway.store.log.manifest import Manifest
from gateway.store.log.parts import Part


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as it lies in the log. parts: by slot, those asked for."""

    properties: ImageSetVersion
    head: bytes
    manifest: Manifest
    parts: Mapping[int, Part]


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """A version as it lies in the log, and the stored objects of its instances by their numbers.

    Objects of other instances may be among them.
    """

    version: StoredVersion
    objects: Mapping[int, StoredObject]


@dataclass(frozen=True, slots=True)
class CurrentImageSet:
    """The current version of an image set, with what a writer of the next one needs."""

    properties: ImageSetVersion
    head: bytes
    manifest: Manifest
    parts: Mapping[int, Part]
    modality: str
    next_part: int
    next_object: int

    @property
    def image_set_id(self) -> str:
        return self.properties.image_set_id

    @property
    def visible(self) -> bool:
        """Whether DICOMweb sees it."""
        return self.properties.is_primary and self.properties.state != "DELETED"


@dataclass(frozen=True, slots=True)
class CurrentStudy:
    """A study as it is now, in one consistent read. version 0: there is no such study yet.

    image_sets: in the order they were created, deleted ones included.
    """

    study_instance_uid: str
    version: int
    image_sets: tuple[CurrentImageSet, ...]


# -- what is found


# What a search counts. Candidates of a search for instances are their series.
SearchLevel = Literal["study", "series", "instance"]
SearchOrder = Literal["study_date", "updated"]


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that an index answers. field: a name in StudyColumns, "study_instance_uid",
    "series_instance_uid", "sop_instance_uid", "modality" (of the series) or "modalities".

    equal: any of the values. like: the one value, with * and ?, and of names case folded. words: the one value has how
    words of a name begin, one in each line, without case and accents; it narrows, and lets others through as well.
    between: (lower, upper), either may be "". present: "warning_reason", in a stored instance of the series.
    """

    field: str
    kind: Literal["equal", "like", "words", "between", "present"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study or a series that passed the filters. For a study, head is that of its first primary image set.

    parts: reads parts by number, while the search goes on. warnings: reads the warnings of its instances, by the number
    of the stored object.
    """

    study_instance_uid: str
    head: bytes
    manifest: Manifest
    modalities: tuple[str, ...]
    sop_classes: tuple[str, ...]
    series_count: int
    instance_count: int
    parts: Callable[[Collection[int]], list[Part]]
    warnings: Callable[[], Mapping[int, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class FoundImageSet:
    """A match of SearchImageSets."""

    properties: ImageSetVersion
    head: bytes
    series_count: int
    instance_count: int


# Stored objects by image set id and SOP Instance UID.
Stored: TypeAlias = Mapping[str, Mapping[str, StoredObject]]
