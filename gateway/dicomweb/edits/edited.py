"""From UIDs to image sets: what an edit is about, in the version it is made from.

DICOMweb sees primary image sets only, of which a series has one. The versions of a study are the study's own; those
of a series are its image set's, and those of an instance too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.dicomweb.locate import absent, absent_series
from gateway.dicomweb.preconditions import etag_of
from gateway.dicomweb.targets import Target
from gateway.errors import Gone, NotFound
from gateway.metadata.image_set import ImageSetMetadata
from gateway.store.contents import Member, StudyVersion
from gateway.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Edited:
    """A study, series or instance as it is now.

    member: the image set that a series or an instance lies in. read: metadata that were looked at.
    """

    store: Store
    datastore_id: str
    target: Target
    study: StudyVersion
    member: Member | None
    read: dict[tuple[str, int, frozenset[str]], ImageSetMetadata] = field(default_factory=dict, compare=False)

    @property
    def etag(self) -> str:
        return etag_of(self.study, self.member)

    @property
    def version(self) -> int:
        """The version number that belongs to the resource."""
        return self.member.version if self.member else self.study.version

    async def metadata(self, member: Member, instances: Collection[str] = ()) -> ImageSetMetadata:
        """Return the metadata of an image set in this version, with the instances named and no other; read once."""
        key = member.image_set_id, member.version, frozenset(instances)
        if key not in self.read:
            found = await self.store.metadata(self.datastore_id, member.image_set_id, member.version, instances)
            self.read[key] = found
        return self.read[key]


async def find_edited(store: Store, datastore_id: str, target: Target) -> Edited:
    """Return what there is now at a study, series or instance. Raises NotFound, Gone for what a later version lacks."""
    study = await store.study(datastore_id, target.study)
    try:
        member = _member(study, target)
    except Gone:
        raise
    except NotFound:
        raise await absent_series(store, datastore_id, target) from None
    edited = Edited(store, datastore_id, target, study, member)
    if target.instance and edited.member:
        found = await edited.metadata(edited.member, {target.instance})
        if target.instance not in found.instances:
            raise await absent(store, datastore_id, edited.member.image_set_id, target.instance)
    return edited


async def find_reverted(store: Store, datastore_id: str, target: Target) -> Edited:
    """Return the same for what may be deleted, which has a history and can be reverted. Raises NotFound.

    Whether there is, or was, the instance of the target is not looked at.
    """
    try:
        study = await store.study(datastore_id, target.study)
    except Gone:
        study = (await store.study_versions(datastore_id, target.study))[0]  # a long read, of all there was
    try:
        member = _member(study, target)
    except Gone:
        member = _deleted_member(study, target)
    return Edited(store, datastore_id, target, study, member)


def _member(study: StudyVersion, target: Target) -> Member | None:
    """Return the primary image set of the target's series, None for a study. Raises NotFound, Gone."""
    if target.level == "Study":
        if not study.primary:
            raise Gone("study", target.study)
        return None
    for member in study.primary:
        if member.series_instance_uid == target.series:
            return member
    raise Gone("series", target.series) if _deleted_member(study, target) else NotFound("series", target.series)


def _deleted_member(study: StudyVersion, target: Target) -> Member | None:
    """Return the last primary image set the series had; None where there was none, and for a study."""
    of_series = [
        member for member in study.members if member.is_primary and member.series_instance_uid == target.series
    ]
    return of_series[-1] if of_series else None
