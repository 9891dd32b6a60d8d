"""CopyImageSet of a running gateway, by boto3."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, patient, stow
from tests.healthimaging.test_image_sets import assert_modelled, refused
from tests.samples import ct_study, instance

SERIES_2 = "1.2.826.0.1.3680043.8.498.1.2"


def copy(source: ImageSet, latest: str = "1", into: tuple[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """Call CopyImageSet, with `copiable` as copiableAttributes."""
    information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": latest}}
    if into:
        information["destinationImageSet"] = {"imageSetId": into[0], "latestVersionId": into[1]}
    if "copiable" in options:
        information["sourceImageSet"]["DICOMCopies"] = {"copiableAttributes": options.pop("copiable")}
    answer: dict[str, Any] = source.boto.copy_image_set(
        datastoreId=source.datastore_id,
        sourceImageSetId=source.image_set_id,
        copyImageSetInformation=information,
        **options,
    )
    assert_modelled("CopyImageSet", answer)
    return answer


def destination(source: ImageSet, answer: dict[str, Any]) -> ImageSet:
    return ImageSet(source.boto, source.datastore_id, answer["destinationImageSetProperties"]["imageSetId"])


def of(*instances: str, series: str = SERIES, schema_version: Any = "1.1") -> str:
    """Return copiableAttributes for some instances."""
    document: dict[str, Any] = {"Study": {"Series": {series: {"Instances": {uid: {} for uid in instances}}}}}
    return json.dumps({"SchemaVersion": schema_version} | document)


def without_id(image_set: ImageSet) -> dict[str, Any]:
    document = image_set.document()
    del document["ImageSetID"]
    return document


def test_copy_is_answered_as_under_way_and_is_there_at_once(ct: ImageSet) -> None:
    """The answer shows both image sets LOCKED; whoever asks next finds the copy ACTIVE and COPIED, in version 1."""
    answer = copy(ct)

    source, target = answer["sourceImageSetProperties"], answer["destinationImageSetProperties"]
    assert answer["datastoreId"] == ct.datastore_id
    assert (source["imageSetId"], source["latestVersionId"]) == (ct.image_set_id, "1")
    assert (source["imageSetState"], source["imageSetWorkflowStatus"]) == ("LOCKED", "COPYING_WITH_READ_ONLY_ACCESS")
    assert (target["imageSetState"], target["imageSetWorkflowStatus"]) == ("LOCKED", "COPYING")
    assert (target["latestVersionId"], target["createdAt"]) == ("1", target["updatedAt"])
    assert target["imageSetArn"].endswith(f"/imageset/{target['imageSetId']}")
    copied = destination(ct, answer)
    assert copied.history() == [("1", "COPIED", False)]
    assert (copied.properties()["imageSetState"], copied.properties()["isPrimary"]) == ("ACTIVE", False)
    assert without_id(copied) == without_id(ct)
    assert (ct.properties()["imageSetState"], ct.history()) == ("ACTIVE", [("1", "CREATED", False)])


@pytest.mark.parametrize("schema_version", ["1.1", 1.1])
def test_subset_goes_where_the_rest_is(ct: ImageSet, schema_version: Any) -> None:
    """A split of one instance, and the others after it."""
    split = destination(ct, copy(ct, copiable=of(f"{SERIES}.2", schema_version=schema_version)))

    answer = copy(ct, into=(split.image_set_id, "1"), copiable=of(f"{SERIES}.1", f"{SERIES}.3"))

    assert answer["destinationImageSetProperties"]["latestVersionId"] == "2"
    assert list(split.document()["Study"]["Series"][SERIES]["Instances"]) == [f"{SERIES}.{n}" for n in (2, 1, 3)]
    assert split.history() == [("2", "COPIED", False), ("1", "COPIED", False)]


@pytest.mark.parametrize(
    "copiable",
    [
        "no JSON",
        "[]",
        of(),
        of(f"{SERIES}.1", schema_version="1.2"),
        of(f"{SERIES}.1", series="1.2.3"),
        of(f"{SERIES}.9"),
        json.dumps({"SchemaVersion": "1.1", "Study": {"Series": {SERIES: {"Instances": {f"{SERIES}.1": {"A": 1}}}}}}),
        json.dumps({"SchemaVersion": "1.1", "Study": {"Series": {SERIES: {}}}}),
        json.dumps({"SchemaVersion": "1.1", "Study": {"Series": {SERIES: {}, "1.2": {}}}}),
        json.dumps({"SchemaVersion": "1.1", "Patient": {}, "Study": {"Series": {SERIES: {"Instances": {"1": {}}}}}}),
    ],
    ids=[
        "text", "array", "no instance", "other schema", "other series", "other instance", "attributes", "no instances",
        "two series", "patient",
    ],
)  # fmt: skip
def test_copiable_attributes_that_say_something_else_are_refused(ct: ImageSet, copiable: str) -> None:
    """Nothing is copied, and nothing of what was sent is repeated."""
    with refused("ValidationException"):
        copy(ct, copiable=copiable)

    assert len(ct.boto.search_image_sets(datastoreId=ct.datastore_id)["imageSetsMetadataSummaries"]) == 1


def test_copy_that_fails_is_told_by_the_destination(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """The history is that of AWS's own example: COPY_FAILED uses up a version, and has a message."""
    stow(session_server, empty_datastore, ct_study())
    found = boto.search_image_sets(datastoreId=empty_datastore)["imageSetsMetadataSummaries"]
    source, target = (ImageSet(boto, empty_datastore, entry["imageSetId"]) for entry in found)
    before = target.document()

    answer = copy(source, into=(target.image_set_id, "1"))
    target.update(patient(PatientName="A^A"), latest="2")

    assert answer["destinationImageSetProperties"]["imageSetWorkflowStatus"] == "COPYING"
    versions = target.versions()
    assert [version["ImageSetWorkflowStatus"] for version in versions] == ["UPDATED", "COPY_FAILED", "CREATED"]
    assert versions[1]["imageSetState"] == "ACTIVE"
    assert versions[1]["message"] == "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."
    assert "message" not in versions[0]
    assert target.document("2") == before


def test_forced_copy_says_so(boto: BaseClient, session_server: Server, empty_datastore: str) -> None:
    """With force the instances join all the same; Patient, Study and Series of the destination stay as they are."""
    stow(session_server, empty_datastore, ct_study())
    found = boto.search_image_sets(datastoreId=empty_datastore)["imageSetsMetadataSummaries"]
    source, target = (ImageSet(boto, empty_datastore, entry["imageSetId"]) for entry in found)
    before = target.document()

    copy(source, into=(target.image_set_id, "1"), force=True)

    after = target.document()
    assert target.history()[0] == ("2", "COPIED", True)
    assert (after["Patient"], after["Study"]["DICOM"]) == (before["Patient"], before["Study"]["DICOM"])
    [series] = after["Study"]["Series"].values()
    assert len(series["Instances"]) == 7


def test_stale_versions_are_conflicts(ct: ImageSet) -> None:
    """Of the source, and of the destination."""
    copied = destination(ct, copy(ct))
    ct.update(patient(PatientName="A^A"))

    with refused("ConflictException"):
        copy(ct, "1")
    with refused("ConflictException"):
        copy(ct, "2", into=(copied.image_set_id, "7"))


def test_more_frames_than_a_copy_takes_are_beyond_the_quota(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """A thousand frames in one request, as the service has it."""
    stow(session_server, empty_datastore, [instance(NumberOfFrames=1001)])

    with refused("ServiceQuotaExceededException"):
        copy(image_set(boto, empty_datastore, SERIES))


def test_image_set_that_is_not_there_is_not_copied(ct: ImageSet) -> None:
    """Neither from nor to it, nor in another data store."""
    nobody = ImageSet(ct.boto, ct.datastore_id, "0" * 32)
    elsewhere = ImageSet(ct.boto, ct.boto.create_datastore()["datastoreId"], ct.image_set_id)

    with refused("ResourceNotFoundException"):
        copy(nobody)
    with refused("ResourceNotFoundException"):
        copy(elsewhere)
    with refused("ResourceNotFoundException"):
        copy(ct, into=("0" * 32, "1"))
    with refused("ValidationException"):
        copy(ct, into=(ct.image_set_id, "1"))


# -- the road from a contradiction to the primary image set, over both faces


def test_contradiction_is_reached_corrected_and_promoted(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Of a series with two PatientIDs DICOMweb shows one; `imageSetId` reaches the other, and promotion joins them."""
    stow(session_server, empty_datastore, [instance(instance_number=1), instance(instance_number=2, PatientID="OTHER")])
    found = boto.search_image_sets(
        datastoreId=empty_datastore,
        searchCriteria={"filters": [{"values": [{"isPrimary": False}], "operator": "EQUAL"}]},
    )["imageSetsMetadataSummaries"]
    second = ImageSet(boto, empty_datastore, found[0]["imageSetId"])
    series = f"{session_server.url}/datastore/{empty_datastore}/studies/{SERIES[:-2]}/series/{SERIES}"
    lone = f"{series}/instances/{SERIES}.2"
    assert httpx.get(f"{lone}/metadata").status_code == 404
    assert httpx.get(f"{lone}/metadata?imageSetId={second.image_set_id}").json()[0]["00100020"]["Value"] == ["OTHER"]
    with refused("ValidationException"):
        copy(second, promoteToPrimary=True)

    second.update(patient(PatientID=document_of_primary(boto, empty_datastore)["PatientID"]))
    answer = copy(second, "2", promoteToPrimary=True)

    primary = destination(second, answer)
    assert (primary.properties()["isPrimary"], primary.properties()["versionId"]) == (True, "2")
    assert len(httpx.get(f"{series}/metadata").json()) == 2
    assert httpx.get(f"{lone}/metadata").status_code == 200


def document_of_primary(boto: BaseClient, datastore_id: str) -> dict[str, Any]:
    """Return the Patient of the one primary image set of a data store."""
    found = boto.search_image_sets(
        datastoreId=datastore_id,
        searchCriteria={"filters": [{"values": [{"isPrimary": True}], "operator": "EQUAL"}]},
    )["imageSetsMetadataSummaries"]
    patient: dict[str, Any] = ImageSet(boto, datastore_id, found[0]["imageSetId"]).document()["Patient"]["DICOM"]
    return patient


# -- failures of updates


def test_update_that_another_image_set_forbids_fails_later(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Two primary image sets of one series: answered UPDATING, it becomes UPDATE_FAILED with the content as it was."""
    stow(session_server, empty_datastore, [instance(), instance(series=SERIES_2)])
    second = image_set(boto, empty_datastore, SERIES_2)
    before = second.document()
    rename = {"SchemaVersion": 1.1, "Study": {"Series": {SERIES_2: {"DICOM": {"SeriesInstanceUID": SERIES}}}}}

    answer = second.update(rename, force=True)

    assert (answer["latestVersionId"], answer["imageSetWorkflowStatus"]) == ("2", "UPDATING")
    latest = second.properties()
    assert (latest["versionId"], latest["imageSetState"]) == ("2", "ACTIVE")
    assert latest["imageSetWorkflowStatus"] == "UPDATE_FAILED"
    assert latest["message"] == "another primary image set of the study has this SeriesInstanceUID"
    assert second.document() == before
    second.update(patient(PatientName="A^A"), latest="2")
