"""What is known of studies without reading the log: how they are now, and the parts that somebody looked at.

Every edit and every retrieve begins with a study as it is now. It is kept once it was read, and after an append as that
leaves it (study_now.py). Whoever is about to write holds it, as kept.py says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from gateway.metadata.study_summary import StudySummary
from gateway.store.kept import Kept
from gateway.store.log.appends import Append
from gateway.store.log.contents import CurrentImageSet, CurrentStudy, Filter, StoredVersion
from gateway.store.sqlite.kept_parts import KeptParts
from gateway.store.sqlite.study_now import StudyNow

# Image sets in the studies kept, each with its head and its manifest: about 4 KB for a series of 2,000 instances.
KEPT_IMAGE_SETS = 4096
# The parts of so many instances are kept, where they are asked for by their names.
KEPT_INSTANCES = 8
# UIDs of the studies that image sets are in.
KEPT_STUDIES_OF = 65536


class KeptStudies:
    """Studies by data store and Study Instance UID, the UIDs by image set, and parts that were lately looked at."""

    def __init__(self) -> None:
        self._studies: Kept[tuple[str, str], StudyNow] = Kept(
            KEPT_IMAGE_SETS, lambda now: 1 + len(now.current.image_sets)
        )
        self._studies_of: Kept[tuple[str, str], str] = Kept(KEPT_STUDIES_OF)
        self._parts = KeptParts()

    async def now(
        self, datastore_id: str, study_instance_uid: str, read: Callable[[], Awaitable[StudyNow]]
    ) -> StudyNow:
        """Return a study as it is now: as it is kept, or as `read` returns it."""
        return await self._studies.get((datastore_id, study_instance_uid), read)

    def known(self, datastore_id: str, study_instance_uid: str) -> StudyNow | None:
        """Return a study as it is now, None where it is not kept."""
        return self._studies.peek((datastore_id, study_instance_uid))

    async def study_of(self, datastore_id: str, image_set_id: str, read: Callable[[], Awaitable[str]]) -> str:
        """Return the Study Instance UID an image set has now: as it is kept, or as `read` returns it."""
        return await self._studies_of.get((datastore_id, image_set_id), read)

    def hold(
        self, datastore_id: str, study_instance_uids: Sequence[str]
    ) -> tuple[list[StudyNow | None], Callable[[], None]]:
        """Return studies as they were when they were looked at last, None for those that were not lately.

        They are no longer kept, and not again before the function returned with them is called: it is for who is about
        to write, and knows whether it is written.
        """
        keys = [(datastore_id, uid) for uid in study_instance_uids]
        lately = [self._studies.peek(key) for key in keys]
        for key in keys:
            self._studies.hold(key)

        def release() -> None:
            for key in keys:
                self._studies.release(key)

        return lately, release

    def keep(self, append: Append, after: Sequence[StudyNow | None]) -> None:
        """Keep how an append left its studies."""
        for study, now in zip(append.studies, after, strict=True):
            if now is not None:
                self._studies.put((append.datastore_id, study.study_instance_uid), now)
        for version in append.versions:
            self._studies_of.put((append.datastore_id, version.image_set_id), version.study_instance_uid)
            self._parts.put(version.image_set_id, version.parts)

    def clear(self) -> None:
        """Keep no study, nor which one an image set is in."""
        self._studies.clear()
        self._studies_of.clear()

    # -- what is asked of them

    def version(
        self, datastore_id: str, image_set_id: str, version: int | None, instances: Collection[str]
    ) -> StoredVersion | None:
        """Return the current version with the parts of instances; None for another, and where a part is not kept."""
        study = self._studies_of.peek((datastore_id, image_set_id))
        now = self.known(datastore_id, study) if study else None
        for one in now.current.image_sets if now else ():
            if one.image_set_id == image_set_id and version in (None, one.properties.version):
                parts = self._parts.of_instances(image_set_id, one.manifest, instances)
                return None if parts is None else StoredVersion(one.properties, one.head, one.manifest, parts)
        return None

    def summary(self, datastore_id: str, filters: Sequence[Filter]) -> StudySummary | None:
        """Return the one study that a search is for, if it is kept: who has edited it looks whether it shows."""
        match filters:
            case [Filter("study_instance_uid", "equal", (uid,))]:
                now = self.known(datastore_id, uid)
                return now.summary if now else None
        return None

    def keep_parts(self, version: StoredVersion, instances: Collection[str]) -> None:
        """Keep the parts of a few instances: who looks at one is about to edit it."""
        if len(instances) <= KEPT_INSTANCES:
            numbered = {version.manifest[slot].number: part for slot, part in version.parts.items()}
            self._parts.put(version.properties.image_set_id, numbered)

    def with_parts(self, current: CurrentStudy, chosen: Sequence[Collection[str] | None]) -> CurrentStudy | None:
        """Return a study with the parts of the instances chosen, None where some of them are not kept."""
        image_sets: list[CurrentImageSet] = []
        for image_set, instances in zip(current.image_sets, chosen, strict=True):
            if instances is None:
                return None
            parts = self._parts.of_instances(image_set.image_set_id, image_set.manifest, instances)
            if parts is None:
                return None
            image_sets.append(replace(image_set, parts=parts))
        return replace(current, image_sets=tuple(image_sets))
