"""Image set operations of a running gateway, asked by boto3."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from tests.conftest import Server
from tests.healthimaging.conftest import SERIES, ImageSet, image_set, patient, stow
from tests.healthimaging.test_model import BOTOCORE
from tests.samples import ct_study, instance

NOBODY = "0" * 32


def refused(name: str) -> Any:
    """Return a context that expects a modelled exception."""
    return pytest.raises(ClientError, match=f"\\({name}\\)")


def assert_modelled(operation: str, answer: dict[str, Any]) -> None:
    """Assert that botocore takes an answer for the operation's output. What it does not look at, modelled.py does."""
    parsed = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    report = ParamValidator().validate(parsed, BOTOCORE.operation_model(operation).output_shape)
    assert not report.has_errors(), report.generate_report()


# -- reading


def test_get_image_set_tells_the_first_version(ct: ImageSet) -> None:
    """An image set that was just stored is version 1: ACTIVE, CREATED, primary, not forced."""
    answer = ct.properties()

    assert_modelled("GetImageSet", answer)
    assert isinstance(answer.pop("createdAt"), datetime)
    assert isinstance(answer.pop("updatedAt"), datetime)
    assert answer == {
        "datastoreId": ct.datastore_id,
        "imageSetId": ct.image_set_id,
        "versionId": "1",
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "CREATED",
        "imageSetArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{ct.datastore_id}"
        f"/imageset/{ct.image_set_id}",
        "isPrimary": True,
        "storageTier": "FREQUENT_ACCESS",
    }


def test_get_image_set_of_an_older_version_tells_that_version(ct: ImageSet) -> None:
    """createdAt is the image set's at every version, updatedAt the version's own."""
    ct.update(patient(PatientName="A^A"))

    old = ct.boto.get_image_set(**ct.ids, versionId="1")
    new = ct.boto.get_image_set(**ct.ids)

    assert (old["versionId"], new["versionId"]) == ("1", "2")
    assert old["createdAt"] == new["createdAt"] == old["updatedAt"] < new["updatedAt"]
    assert new["imageSetWorkflowStatus"] == "UPDATED"


def test_metadata_is_one_gzip_member_of_json(ct: ImageSet) -> None:
    """The metadata travels gzipped, once, and says so; inside is the 1.1 document of the image set."""
    answer = ct.boto.get_image_set_metadata(**ct.ids)
    document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))

    assert (answer["contentType"], answer["contentEncoding"]) == ("application/json", "gzip")
    assert document["SchemaVersion"] == "1.1"
    assert (document["DatastoreID"], document["ImageSetID"]) == (ct.datastore_id, ct.image_set_id)
    assert document["Patient"]["DICOM"]["PatientName"] == "CompressedSamples^CT1"
    assert list(document["Study"]["Series"][SERIES]["Instances"]) == [f"{SERIES}.{number}" for number in (1, 2, 3)]


@pytest.mark.parametrize("version", ["0", "2", "99999999999999999999", "9" * 6000])
def test_version_that_does_not_exist_is_not_found(ct: ImageSet, version: str) -> None:
    """Any other version than there is does not exist, however long its number."""
    for read in (ct.boto.get_image_set, ct.boto.get_image_set_metadata):
        with refused("ResourceNotFoundException"):
            read(**ct.ids, versionId=version)


def test_leading_zeros_of_a_version_mean_nothing(ct: ImageSet) -> None:
    """A version id is a number in digits."""
    assert ct.boto.get_image_set(**ct.ids, versionId="0001")["versionId"] == "1"


@pytest.mark.parametrize(
    "operation", ["get_image_set", "get_image_set_metadata", "list_image_set_versions", "delete_image_set"]
)
def test_unknown_image_set_and_unknown_data_store_are_not_found(ct: ImageSet, operation: str) -> None:
    """An image set is found in its own data store only."""
    with refused("ResourceNotFoundException"):
        getattr(ct.boto, operation)(datastoreId=ct.datastore_id, imageSetId=NOBODY)
    with refused("ResourceNotFoundException"):
        getattr(ct.boto, operation)(datastoreId=NOBODY, imageSetId=ct.image_set_id)


@pytest.mark.parametrize("identifier", ["short", "A" * 32, "a" * 33])
def test_malformed_identifier_is_a_validation_exception(ct: ImageSet, identifier: str) -> None:
    """Identifiers are 32 characters of [0-9a-z]; boto3 does not check that."""
    with refused("ValidationException"):
        ct.boto.get_image_set(datastoreId=identifier, imageSetId=ct.image_set_id)


# -- versions


def test_versions_are_listed_newest_first(ct: ImageSet) -> None:
    """ListImageSetVersions has every version with its state, status, times and whether it was forced."""
    ct.update(patient(PatientName="A^A"))
    ct.update(patient(PatientID="2"), latest="2", force=True)

    versions = ct.versions()

    assert_modelled("ListImageSetVersions", {"imageSetPropertiesList": versions})
    assert ct.history() == [("3", "UPDATED", True), ("2", "UPDATED", False), ("1", "CREATED", False)]
    assert {version["imageSetId"] for version in versions} == {ct.image_set_id}
    assert {version["imageSetState"] for version in versions} == {"ACTIVE"}
    assert "overrides" not in versions[1]


def test_versions_come_in_pages(ct: ImageSet) -> None:
    """Pages join to the whole list, the last has no token, and a version made in between moves nothing."""
    ct.update(patient(PatientName="A^A"))
    ct.update(patient(PatientName="B^B"), latest="2")

    first = ct.boto.list_image_set_versions(**ct.ids, maxResults=2)
    ct.update(patient(PatientName="C^C"), latest="3")
    second = ct.boto.list_image_set_versions(**ct.ids, maxResults=2, nextToken=first["nextToken"])

    assert [version["versionId"] for version in first["imageSetPropertiesList"]] == ["3", "2"]
    assert [version["versionId"] for version in second["imageSetPropertiesList"]] == ["1"]
    assert "nextToken" not in second


def test_paginator_of_boto3_goes_through_all_versions(ct: ImageSet) -> None:
    """boto3's own paginator ends, and has every version once."""
    ct.update(patient(PatientName="A^A"))
    pages = ct.boto.get_paginator("list_image_set_versions").paginate(**ct.ids, PaginationConfig={"PageSize": 1})

    assert [entry["versionId"] for page in pages for entry in page["imageSetPropertiesList"]] == ["2", "1"]


@pytest.mark.parametrize("arguments", [{"maxResults": 100}, {"nextToken": "x"}])
def test_page_that_cannot_be_is_a_validation_exception(ct: ImageSet, arguments: dict[str, Any]) -> None:
    """A page has at most fifty entries, and tokens come from this operation."""
    with refused("ValidationException"):
        ct.boto.list_image_set_versions(**ct.ids, **arguments)


# -- updating


def test_update_and_removal_in_one_request_make_one_version(ct: ImageSet) -> None:
    """Both documents of one request are applied together."""
    study = {"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": None}}}

    ct.update(patient(PatientName="A^A"), study)

    assert ct.document()["Patient"]["DICOM"]["PatientName"] == "A^A"
    assert "StudyDescription" not in ct.document()["Study"]["DICOM"]
    assert ct.history() == [("2", "UPDATED", False), ("1", "CREATED", False)]


def test_image_set_is_active_again_when_asked_after_an_update(ct: ImageSet) -> None:
    """The update answers LOCKED, as the service does; it is already made, so whoever asks next sees ACTIVE."""
    answer = ct.update(patient(PatientName="A^A"))

    assert_modelled("UpdateImageSetMetadata", answer)
    assert (answer["imageSetState"], answer["imageSetWorkflowStatus"]) == ("LOCKED", "UPDATING")
    assert (ct.properties()["imageSetState"], ct.properties()["imageSetWorkflowStatus"]) == ("ACTIVE", "UPDATED")
    assert ct.properties()["updatedAt"] == answer["updatedAt"]


def test_update_that_changes_nothing_makes_no_version(ct: ImageSet) -> None:
    """The answer has the version there is, ACTIVE, and says that nothing was changed."""
    answer = ct.update(patient(PatientName="CompressedSamples^CT1"))

    assert_modelled("UpdateImageSetMetadata", answer)
    assert (answer["latestVersionId"], answer["imageSetState"]) == ("1", "ACTIVE")
    assert answer["message"] == "The update changes nothing, so no version was made"
    assert ct.history() == [("1", "CREATED", False)]


def test_all_violations_are_in_one_validation_exception(ct: ImageSet) -> None:
    """An update that breaks several constraints is told all of them, without the values."""
    updates = {
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": {"Modality": "MR"}},
        "Study": {"DICOM": {"StudyInstanceUID": "1.2.3"}, "Series": {"9.9": {"DICOM": {"Modality": "DOE^JANE"}}}},
    }

    with refused("ValidationException") as raised:
        ct.update(updates)

    message = raised.value.response["Error"]["Message"]
    assert all(rule in message for rule in ("level: ", "uid: ", "absent: "))
    assert "DOE" not in message
    assert ct.history() == [("1", "CREATED", False)]


GOOD = b'{"SchemaVersion":1.1,"Patient":{"DICOM":{"PatientName":"A^A"}}}'


@pytest.mark.parametrize(
    "blob",
    [
        b"not JSON",
        b"\xff\xfe",
        GOOD[:-1],
        GOOD + b"{}",
        b"[]",
        b"null",
        b"{}",
        GOOD.replace(b"1.1", b"2.0"),
        GOOD.replace(b'"A^A"', b"NaN"),
        GOOD.replace(b'"PatientName":', b'"PatientName":"B^B","PatientName":'),
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        GOOD.replace(b"A^A", b"A" * 30_001),
    ],
    ids=[
        "words",
        "not UTF-8",
        "cut",
        "two documents",
        "array",
        "null",
        "empty",
        "version 2",
        "NaN",
        "key twice",
        "deep",
        "long",
    ],
)
def test_blob_that_is_no_update_document_is_refused_and_changes_nothing(ct: ImageSet, blob: bytes) -> None:
    """Rubbish of every kind is one ValidationException."""
    for updates in ({"updatableAttributes": blob}, {"removableAttributes": blob}):
        with refused("ValidationException"):
            ct.send({"DICOMUpdates": updates}, "1", force=True)

    assert ct.history() == [("1", "CREATED", False)]


def test_update_without_documents_is_refused(ct: ImageSet) -> None:
    """DICOMUpdates with neither document is nothing to do."""
    with refused("ValidationException"):
        ct.send({"DICOMUpdates": {}}, "1")


@pytest.mark.parametrize("latest", ["0", "2", "9" * 40])
def test_latest_version_that_is_not_current_is_a_conflict(ct: ImageSet, latest: str) -> None:
    """The version an edit was made from has to be the current one, in an update as in a revert."""
    with refused("ConflictException"):
        ct.update(patient(PatientName="A^A"), latest=latest)
    with refused("ConflictException"):
        ct.send({"revertToVersionId": "1"}, latest)


def test_revert_brings_a_removed_instance_back(ct: ImageSet) -> None:
    """A revert is a new version with the content of the old one, whatever happened since."""
    first = ct.document()
    removal = {"SchemaVersion": 1.1, "Study": {"Series": {SERIES: {"Instances": {f"{SERIES}.1": {}}}}}}
    ct.update(removable=removal)

    answer = ct.send({"revertToVersionId": "1"}, "2")

    assert answer["latestVersionId"] == "3"
    assert ct.document() == first


@pytest.mark.parametrize("version", ["0", "3", "9" * 40])
def test_revert_to_a_version_that_does_not_exist_is_refused(ct: ImageSet, version: str) -> None:
    """There is nothing to revert to, and nothing is changed."""
    ct.update(patient(PatientName="A^A"))

    with refused("ResourceNotFoundException"):
        ct.send({"revertToVersionId": version}, "2")

    assert len(ct.versions()) == 2


def test_revert_of_a_whole_study_is_refused(ct: ImageSet) -> None:
    """includeStudyImageSets is not supported with revertToVersionId, as documented."""
    with refused("ValidationException"):
        ct.send({"revertToVersionId": "1"}, "1", includeStudyImageSets=True)


def test_include_study_image_sets_updates_patient_and_study_of_all_series(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Patient and Study attributes go to every primary image set of the study, Series attributes to their own."""
    stow(session_server, empty_datastore, ct_study())
    found = boto.search_image_sets(datastoreId=empty_datastore)["imageSetsMetadataSummaries"]
    edited, other = (ImageSet(boto, empty_datastore, entry["imageSetId"]) for entry in found)
    series = next(iter(edited.document()["Study"]["Series"]))
    before = other.document()
    update = patient(PatientName="A^A") | {
        "Study": {"DICOM": {"StudyDescription": "B"}, "Series": {series: {"DICOM": {"SeriesDescription": "C"}}}}
    }

    edited.update(update, includeStudyImageSets=True)

    before["Patient"]["DICOM"]["PatientName"] = "A^A"
    before["Study"]["DICOM"]["StudyDescription"] = "B"
    assert other.document() == before
    assert edited.document()["Study"]["Series"][series]["DICOM"]["SeriesDescription"] == "C"
    assert [len(edited.versions()), len(other.versions())] == [2, 2]


# -- deleting


def test_deleted_image_set_is_a_version_and_its_history_stays(ct: ImageSet) -> None:
    """DeleteImageSet answers LOCKED and DELETING; the latest version is DELETED, and older ones are readable."""
    first = ct.document()

    answer = ct.boto.delete_image_set(**ct.ids)

    assert_modelled("DeleteImageSet", answer)
    assert (answer["imageSetState"], answer["imageSetWorkflowStatus"]) == ("LOCKED", "DELETING")
    assert (ct.properties()["imageSetState"], ct.properties()["imageSetWorkflowStatus"]) == ("DELETED", "DELETED")
    assert isinstance(ct.properties()["deletedAt"], datetime)
    assert ct.history() == [("2", "DELETED", False), ("1", "CREATED", False)]
    assert ct.document("1") == first
    with refused("ResourceNotFoundException"):
        ct.document()


def test_deleting_a_deleted_image_set_changes_nothing(ct: ImageSet) -> None:
    """The operation is idempotent in the service model."""
    ct.boto.delete_image_set(**ct.ids)

    answer = ct.boto.delete_image_set(**ct.ids)

    assert (answer["imageSetState"], answer["imageSetWorkflowStatus"]) == ("DELETED", "DELETED")
    assert len(ct.versions()) == 2


def test_deleted_image_set_is_reverted_to(ct: ImageSet) -> None:
    """A deletion is a version, and a revert to the one before it brings the image set back."""
    first = ct.document()
    ct.boto.delete_image_set(**ct.ids)

    ct.send({"revertToVersionId": "1"}, "2")

    assert ct.document() == first
    assert ct.properties()["imageSetState"] == "ACTIVE"


def test_deleted_image_set_is_not_updated(ct: ImageSet) -> None:
    """There is no metadata to update in a version that is deleted."""
    ct.boto.delete_image_set(**ct.ids)

    with refused("ResourceNotFoundException"):
        ct.update(patient(PatientName="A^A"), latest="2")


# -- non-primary image sets


def test_second_patient_of_a_study_is_a_non_primary_image_set(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """An instance of the same study with another PatientID goes to an image set that is not primary."""
    stow(session_server, empty_datastore, [instance(instance_number=1)])
    clash = instance(instance_number=2, series="1.2.826.0.1.3680043.8.498.1.2", PatientID="OTHER")
    stow(session_server, empty_datastore, [clash])

    second = image_set(boto, empty_datastore, "1.2.826.0.1.3680043.8.498.1.2")

    assert second.properties()["isPrimary"] is False
