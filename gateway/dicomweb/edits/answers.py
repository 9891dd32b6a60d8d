"""What an edit answers: the versions it made, or with `dryRun=true` the update documents it would apply."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from gateway.dicom.json_model import encode_json
from gateway.dicomweb.edits.edited import Edited
from gateway.dicomweb.edits.request import Options
from gateway.dicomweb.negotiation import JSON
from gateway.dicomweb.preconditions import image_set_etag, study_etag
from gateway.dicomweb.problems import violation_json
from gateway.metadata.diff import summarise
from gateway.metadata.image_set import Change, Delete, MetadataUpdates, Revert, UpdateDocument
from gateway.store.edits import Answer, EditResult, ImageSetEdit, ImageSetResult, Move

# HealthImaging's service model: a DICOMAttribute blob has at most 30000 bytes; its service quotas: "maximum payload
# size limit accepted by UpdateImageSetMetadata", 10 kilobytes, adjustable.
AWS_DOCUMENT_LIMIT = 30_000
AWS_PAYLOAD_QUOTA = 10 * 1024


def edit_answer(edited: Edited, result: EditResult, force: bool) -> Answer:
    """Return the answer to an edit that was carried out: 200, the ETag, and what became of each image set."""
    version, etag = _version_after(edited, result)
    return Answer(200, {"ETag": etag, "Content-Type": JSON}, encode_json(result_json(result, version, force)))


def result_json(result: EditResult, version: int, force: bool) -> dict[str, Any]:
    """Return what an edit did. version: the one the resource in the path has now."""
    return {
        "studyInstanceUID": result.study_instance_uid,
        "version": version,
        "studyVersion": result.study_version,
        "changed": result.changed,
        "forced": force and result.changed,
        "levels": _levels([change for image_set in result.image_sets for change in image_set.changes]),
        "imageSets": [_image_set_json(image_set) for image_set in result.image_sets],
    }


def _image_set_json(image_set: ImageSetResult) -> dict[str, Any]:
    return {
        "imageSetId": image_set.image_set_id,
        "seriesInstanceUID": image_set.series_instance_uid,
        "version": image_set.version,
        "changed": image_set.changed,
        "levels": _levels(image_set.changes),
    }


def _levels(changes: Sequence[Change]) -> list[str]:
    return list(dict.fromkeys(change.level for change in changes))


def _version_after(edited: Edited, result: EditResult) -> tuple[int, str]:
    """Return version and ETag of the resource after the edit."""
    if edited.member is None:
        return result.study_version, study_etag(result.study_version)
    id_ = edited.member.image_set_id
    version = next((one.version for one in result.image_sets if one.image_set_id == id_), edited.member.version)
    return version, image_set_etag(id_, version)


# -- dryRun=true


def dry_run_json(edited: Edited, edits: Sequence[ImageSetEdit], result: EditResult, options: Options) -> dict[str, Any]:
    """Return what an edit would do: documents, image sets, changes, and every constraint it meets.

    allowed: whether it would be carried out as it was sent. Each `updateImageSetMetadataUpdates` is what
    `aws medical-imaging update-image-set-metadata` takes under the option of that name.
    """
    left = result.violations_with_force if options.force else result.violations
    results = {image_set.image_set_id: image_set for image_set in result.image_sets}
    return {
        "dryRun": True,
        "allowed": not left,
        "forceNeeded": bool(result.violations) and not result.violations_with_force,
        "datastoreId": edited.datastore_id,
        "studyInstanceUID": edited.target.study,
        "studyVersion": edited.study.version,
        "violations": [violation_json(violation) for violation in result.violations],
        "violationsWithForce": [violation_json(violation) for violation in result.violations_with_force],
        "imageSets": [_dry_image_set(edit, results.get(edit.image_set_id)) for edit in edits],
    }


def _dry_image_set(edit: ImageSetEdit, result: ImageSetResult | None) -> dict[str, Any]:
    changes = result.changes if result else ()
    return {
        "imageSetId": edit.image_set_id,
        "seriesInstanceUID": result.series_instance_uid if result else None,
        "latestVersionId": str(edit.latest_version),
        "changed": bool(result and result.changed),
        "levels": _levels(changes),
        "keys": summarise(tuple(changes)),
        **_as_aws_takes_it(edit.change),
    }


def _as_aws_takes_it(change: MetadataUpdates | Revert | Delete | Move) -> dict[str, Any]:
    if isinstance(change, Delete):
        return {"deleteImageSet": True}
    if isinstance(change, Move):  # no operation of its own: CopyImageSet, and the removal of the instance
        return {"moves": change.sop_instance_uid, "to": change.to.image_set_id if change.to else None}
    if isinstance(change, Revert):
        return {"updateImageSetMetadataUpdates": {"revertToVersionId": str(change.to)}}
    documents = {
        name: encode_json(document)
        for name, document in (("updatableAttributes", change.updatable), ("removableAttributes", change.removable))
        if document is not None
    }
    updates = {"DICOMUpdates": {name: text.decode() for name, text in documents.items()}}
    return {
        "updateImageSetMetadataUpdates": updates,
        "updates": _readable(change),
        "size": _size(documents),
    }


def _readable(change: MetadataUpdates) -> dict[str, UpdateDocument | None]:
    """Return the same documents as JSON, for people."""
    return {"updatableAttributes": change.updatable, "removableAttributes": change.removable}


def _size(documents: dict[str, bytes]) -> dict[str, Any]:
    """Return the sizes in bytes that AWS has a limit for; the payload is the request's body, documents in base64."""
    wire = {name: base64.b64encode(text).decode() for name, text in documents.items()}
    payload = len(encode_json({"DICOMUpdates": wire}))
    largest = max((len(text) for text in documents.values()), default=0)
    return {
        **{name: len(text) for name, text in documents.items()},
        "payload": payload,
        "documentLimit": AWS_DOCUMENT_LIMIT,
        "payloadQuota": AWS_PAYLOAD_QUOTA,
        "withinLimits": largest <= AWS_DOCUMENT_LIMIT and payload <= AWS_PAYLOAD_QUOTA,
    }
