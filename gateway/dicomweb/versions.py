"""Versions as JSON: what `versions`, the change feed and the 412 of a stale edit say of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from gateway.dicomweb.edits.edited import Edited
from gateway.dicomweb.preconditions import EntityTags
from gateway.store.contents import ImageSetVersion, Member, StudyVersion

VersionJson: TypeAlias = dict[str, Any]


def study_version_json(version: StudyVersion) -> VersionJson:
    """Return a version of a study, with the versions of the image sets it consists of."""
    return {
        **_what_was_done(version),
        "studyInstanceUID": version.study_instance_uid,
        "imageSets": [_member_json(member) for member in version.members],
    }


def image_set_version_json(version: ImageSetVersion) -> VersionJson:
    """Return a version of an image set: of a series, or of an instance in it."""
    return {
        **_what_was_done(version),
        "studyInstanceUID": version.study_instance_uid,
        "studyVersion": version.study_version,
        "seriesInstanceUID": version.series_instance_uid,
        "imageSetId": version.image_set_id,
        "isPrimary": version.is_primary,
        "state": version.state,
        "instances": version.instance_count,
    }


def _what_was_done(version: StudyVersion | ImageSetVersion) -> VersionJson:
    provenance = version.provenance
    return {
        "version": version.version,
        "updatedAt": version.updated_at.isoformat(),
        "action": version.action,
        "who": provenance.who,
        "reason": provenance.reason,
        "reasonForModification": provenance.reason_for_modification,
        "sourceOfPreviousValues": provenance.source_of_previous_values,
        "forced": version.forced,
        "changed": {"levels": dict(version.changed.keys), "instances": version.changed.instances},
    }


def _member_json(member: Member) -> VersionJson:
    return {
        "imageSetId": member.image_set_id,
        "version": member.version,
        "seriesInstanceUID": member.series_instance_uid,
        "isPrimary": member.is_primary,
        "state": member.state,
    }


async def history_of(edited: Edited) -> list[VersionJson]:
    """Return the versions of a study, or of the image set of a series or instance, newest first."""
    store, datastore_id = edited.store, edited.datastore_id
    if edited.member is None:
        return [study_version_json(one) for one in await store.study_versions(datastore_id, edited.target.study)]
    return [image_set_version_json(one) for one in await store.versions(datastore_id, edited.member.image_set_id)]


async def versions_since(edited: Edited, tags: EntityTags) -> Sequence[VersionJson]:
    """Return the versions made after the one that If-Match names, newest first; none for an ETag that is not ours."""
    numbers = [int(tag.partition("-")[0]) for tag in tags.strong if tag.partition("-")[0].isdigit() and len(tag) < 32]
    if not numbers:
        return []
    return [version for version in await history_of(edited) if version["version"] > max(numbers)]


def shown_tags(tags: Iterable[str]) -> str:
    """Return the entity tags a client sent, as an error may quote them: those that look like ours."""
    ours = sorted(tag for tag in tags if tag.replace("-", "").isalnum() and tag[:1].isdigit() and len(tag) < 32)
    return ", ".join(f'"{tag}"' for tag in ours) or "what If-Match names"
