"""Which image sets instances end in, as the clients of both faces see it (devguide "Understanding image sets")."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.conftest import SERIES, ImageSet, patient, stow
from tests.samples import instance

STUDY = SERIES.removesuffix(".1")


def image_sets(boto: BaseClient, datastore_id: str) -> list[tuple[ImageSet, bool, int]]:
    """Return the image sets of a data store in the order they were created: primary or not, how many instances."""
    found = boto.search_image_sets(
        datastoreId=datastore_id, searchCriteria={"sort": {"sortField": "createdAt", "sortOrder": "ASC"}}
    )["imageSetsMetadataSummaries"]
    sets = [(ImageSet(boto, datastore_id, entry["imageSetId"]), entry["isPrimary"]) for entry in found]
    sets.sort(key=lambda pair: not pair[1])
    return [(one, primary, len(instances_of(one))) for one, primary in sets]


def instances_of(one: ImageSet) -> dict[str, Any]:
    [series] = one.document()["Study"]["Series"].values()
    instances: dict[str, Any] = series["Instances"]
    return instances


@pytest.mark.parametrize(
    "key",
    [
        {"StudyDate": "19990101"},
        {"AccessionNumber": "OTHER"},
        {"PatientID": "OTHER"},
        {"StudyID": "OTHER"},
        {"SeriesNumber": 99},
    ],
    ids=lambda key: next(iter(key)),
)
def test_each_grouping_key_separates(
    boto: BaseClient, session_server: Server, empty_datastore: str, key: dict[str, Any]
) -> None:
    """An instance of the same study and series that differs in one of the elements is in a non-primary image set."""
    stow(session_server, empty_datastore, [instance(instance_number=1)])
    stow(session_server, empty_datastore, [instance(instance_number=2, **key)])

    assert [(primary, count) for _, primary, count in image_sets(boto, empty_datastore)] == [(True, 1), (False, 1)]


@pytest.mark.parametrize(
    "other",
    [{"PatientName": "Other^Name"}, {"StudyDescription": "OTHER"}, {"Modality": "MR"}, {"StudyTime": "000000"}],
    ids=lambda other: next(iter(other)),
)
def test_other_elements_do_not_separate(
    boto: BaseClient, session_server: Server, empty_datastore: str, other: dict[str, Any]
) -> None:
    """What is no grouping key is as the image set says, and the instance keeps what it said."""
    stow(session_server, empty_datastore, [instance(instance_number=1)])
    stow(session_server, empty_datastore, [instance(instance_number=2, **other)])

    [(one, primary, count)] = image_sets(boto, empty_datastore)

    assert (primary, count) == (True, 2)
    [item] = instances_of(one)[f"{SERIES}.2"]["DICOM"]["OriginalAttributesSequence"]
    assert item["ModifiedAttributesSequence"] == [{key: value for key, value in other.items()}]


def test_series_of_a_study_are_image_sets_of_their_own(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Each series is one primary image set, over any number of requests."""
    for series in (SERIES, f"{STUDY}.2"):
        for number in (1, 2):
            stow(session_server, empty_datastore, [instance(series=series, instance_number=number)])

    found = image_sets(boto, empty_datastore)

    assert [(primary, count) for _, primary, count in found] == [(True, 2), (True, 2)]
    assert [one.properties()["versionId"] for one, _, _ in found] == ["2", "2"]


def test_contradictions_that_agree_with_each_other_are_together(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Instances 1 and 3 have one PatientID, 2 and 4 another, as in AWS's example: two image sets."""
    stow(
        session_server,
        empty_datastore,
        [instance(instance_number=n, PatientID="A" if n % 2 else "B") for n in (1, 2, 3, 4)],
    )

    found = image_sets(boto, empty_datastore)

    assert [(primary, sorted(instances_of(one))) for one, primary, _ in found] == [
        (True, [f"{SERIES}.1", f"{SERIES}.3"]),
        (False, [f"{SERIES}.2", f"{SERIES}.4"]),
    ]


def test_instance_that_comes_again_replaces_itself(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """The new copy is in the primary image set, whose version is one more; the old version has the old one."""
    stow(session_server, empty_datastore, [instance(instance_number=1), instance(instance_number=2)])
    stow(session_server, empty_datastore, [instance(instance_number=1, ImageComments="again")])

    [(one, _, count)] = image_sets(boto, empty_datastore)

    assert (one.properties()["versionId"], count) == ("2", 2)
    assert instances_of(one)[f"{SERIES}.1"]["DICOM"]["ImageComments"] == "again"
    [old] = one.document("1")["Study"]["Series"].values()
    assert old["Instances"][f"{SERIES}.1"]["DICOM"]["ImageComments"] != "again"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/metadata",
        f"/series/{SERIES}",
        f"/series/{SERIES}/metadata",
        f"/series/{SERIES}/instances/{SERIES}.2",
        f"/series/{SERIES}/instances/{SERIES}.2/metadata",
    ],
)
def test_image_set_id_reaches_what_is_not_primary(
    boto: BaseClient, session_server: Server, empty_datastore: str, path: str
) -> None:
    """Every retrieve takes it: a study, a series or an instance, as files or as metadata."""
    stow(session_server, empty_datastore, [instance(instance_number=1), instance(instance_number=2, PatientID="B")])
    second = image_sets(boto, empty_datastore)[1][0].image_set_id
    url = f"{session_server.url}/datastore/{empty_datastore}/studies/{STUDY}{path}"

    without, with_id = httpx.get(url), httpx.get(url, params={"imageSetId": second})

    assert with_id.status_code == 200
    assert f"{SERIES}.2".encode() in with_id.content
    assert without.status_code == 404 or f"{SERIES}.2".encode() not in without.content


def test_image_set_id_of_another_resource_is_not_found(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """Another series' image set, an unknown one, and two at once."""
    stow(session_server, empty_datastore, [instance(), instance(series=f"{STUDY}.2")])
    ids = [one.image_set_id for one, _, _ in image_sets(boto, empty_datastore)]
    url = f"{session_server.url}/datastore/{empty_datastore}/studies/{STUDY}/series/{SERIES}/metadata"

    answers = [httpx.get(url, params={"imageSetId": image_set_id}).status_code for image_set_id in [*ids, "0" * 32]]

    assert sorted(answers) == [200, 404, 404]
    assert httpx.get(url, params={"imageSetId": ids}).status_code == 400


def test_bulk_data_of_what_is_not_primary_says_where_it_is(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """The BulkDataURI in metadata that was asked for with `imageSetId` has it too, and is answered."""
    big = b"\x01\x02" * 5000
    stow(
        session_server,
        empty_datastore,
        [instance(instance_number=1), instance(instance_number=2, PatientID="B", EncapsulatedDocument=big)],
    )
    second = image_sets(boto, empty_datastore)[1][0].image_set_id
    url = f"{session_server.url}/datastore/{empty_datastore}/studies/{STUDY}/series/{SERIES}/metadata"

    [dataset] = httpx.get(url, params={"imageSetId": second}).json()

    assert httpx.get(dataset["00420011"]["BulkDataURI"]).content == big


def test_series_that_comes_after_a_correction_says_what_it_says(
    boto: BaseClient, session_server: Server, empty_datastore: str
) -> None:
    """The patient's name is no grouping key: the late series is primary, with the old name, until the study's update is
    made once more. That changes the late series alone."""
    stow(session_server, empty_datastore, [instance()])
    [(first, _, _)] = image_sets(boto, empty_datastore)
    first.update(patient(PatientName="CORRECTED^NAME"), includeStudyImageSets=True)
    stow(session_server, empty_datastore, [instance(series=f"{STUDY}.2")])

    [(_, primary, _), (late, late_primary, _)] = image_sets(boto, empty_datastore)
    before = late.document()["Patient"]["DICOM"]["PatientName"]
    answer = first.update(patient(PatientName="CORRECTED^NAME"), latest="2", includeStudyImageSets=True)

    assert (primary, late_primary, before) == (True, True, "CompressedSamples^CT1")
    assert late.document()["Patient"]["DICOM"]["PatientName"] == "CORRECTED^NAME"
    assert [one.properties()["versionId"] for one in (first, late)] == ["2", "2"]
    assert answer["latestVersionId"] == "2"
    assert answer["message"] == "The update changes other image sets of the study and not this one"
