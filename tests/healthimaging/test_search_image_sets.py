"""SearchImageSets of a running gateway, asked by boto3."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.conftest import ImageSet, patient, stow
from tests.healthimaging.test_image_sets import assert_modelled, refused
from tests.samples import instance

STUDIES = {"1.2.1": "20200101", "1.2.2": "20210101", "1.2.3": "20220101"}


@pytest.fixture
def archive(boto: BaseClient, session_server: Server, empty_datastore: str) -> Archive:
    """A data store with three studies of one instance each, stored in the order of their dates."""
    for number, (study, date) in enumerate(STUDIES.items(), 1):
        changes: dict[str, Any] = {"StudyDate": date, "StudyTime": "120000", "AccessionNumber": f"A{number}"}
        one = instance(study=study, StudyID=f"S{number}", PatientID=f"P{number}", **changes)
        stow(session_server, empty_datastore, [one])
    return Archive(boto, empty_datastore)


class Archive:
    def __init__(self, boto: BaseClient, datastore_id: str) -> None:
        self.boto = boto
        self.datastore_id = datastore_id

    def search(self, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.boto.search_image_sets(datastoreId=self.datastore_id, **arguments)
        return answer

    def found(self, *filters: dict[str, Any], sort: tuple[str, str] | None = None) -> list[str]:
        """Return the Study Instance UIDs that match, in the order of the answer."""
        criteria: dict[str, Any] = {"filters": list(filters)} if filters else {}
        if sort:
            criteria["sort"] = {"sortField": sort[0], "sortOrder": sort[1]}
        matches = self.search(searchCriteria=criteria)["imageSetsMetadataSummaries"]
        return [match["DICOMTags"]["DICOMStudyInstanceUID"] for match in matches]


def equal(**value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [value]}


def between(field: str, lower: Any, upper: Any) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [{field: lower}, {field: upper}]}


def noon(date: str) -> dict[str, str]:
    return {"DICOMStudyDate": date, "DICOMStudyTime": "120000"}


def test_summary_has_the_tags_as_the_model_types_them(ct: ImageSet) -> None:
    """A match has its version as a number, its times and its DICOM tags; counts and series number are numbers."""
    answer = ct.boto.search_image_sets(datastoreId=ct.datastore_id)

    assert_modelled("SearchImageSets", answer)
    summary = answer["imageSetsMetadataSummaries"][0]
    assert (summary["imageSetId"], summary["version"], summary["isPrimary"]) == (ct.image_set_id, 1, True)
    assert summary["DICOMTags"] == {
        "DICOMPatientId": "1CT1",
        "DICOMPatientName": "CompressedSamples^CT1",
        "DICOMPatientSex": "O",
        "DICOMStudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "DICOMStudyId": "1CT1",
        "DICOMStudyDescription": "e+1",
        "DICOMNumberOfStudyRelatedSeries": 1,
        "DICOMNumberOfStudyRelatedInstances": 3,
        "DICOMSeriesInstanceUID": "1.2.826.0.1.3680043.8.498.1.1",
        "DICOMSeriesModality": "CT",
        "DICOMSeriesNumber": 1,
        "DICOMStudyDate": "20040119",
        "DICOMStudyTime": "072730",
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("-7 ", -7), ("2147483647", 2147483647), ("2147483648", None), ("1E999999999", None), ("A", None)],
)
def test_series_number_is_an_integer_of_32_bits_or_absent(ct: ImageSet, text: str, number: int | None) -> None:
    """The model has a 32-bit integer; what is none, as archives have it, is left out and does no harm."""
    series = {"1.2.826.0.1.3680043.8.498.1.1": {"DICOM": {"SeriesNumber": text}}}
    ct.update({"SchemaVersion": 1.1, "Study": {"Series": series}}, force=True)

    summary = ct.boto.search_image_sets(datastoreId=ct.datastore_id)["imageSetsMetadataSummaries"][0]

    assert summary["version"] == 2
    assert summary["DICOMTags"].get("DICOMSeriesNumber") == number


@pytest.mark.parametrize(
    ("value", "studies"),
    [
        ({"DICOMPatientId": "P2"}, ["1.2.2"]),
        ({"DICOMAccessionNumber": "A3"}, ["1.2.3"]),
        ({"DICOMStudyId": "S1"}, ["1.2.1"]),
        ({"DICOMStudyInstanceUID": "1.2.2"}, ["1.2.2"]),
        ({"DICOMSeriesInstanceUID": "1.2.2.1"}, ["1.2.2"]),
        ({"DICOMStudyDateAndTime": noon("20210101")}, ["1.2.2"]),
        ({"DICOMStudyDateAndTime": {"DICOMStudyDate": "20210101"}}, []),
        ({"isPrimary": True}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"isPrimary": False}, []),
        ({"DICOMPatientId": "p2"}, []),
        ({"DICOMPatientId": "P*"}, []),
        ({"DICOMPatientId": "%"}, []),
    ],
    ids=str,
)
def test_equal_matches_the_exact_value(archive: Archive, value: dict[str, Any], studies: list[str]) -> None:
    """EQUAL is exact: no wildcards, no folding of case; a study time that is not given is 00:00."""
    assert archive.found(equal(**value)) == studies


def test_between_includes_both_bounds(archive: Archive) -> None:
    """A range of study times has both its ends."""
    dates = "DICOMStudyDateAndTime"

    assert archive.found(between(dates, noon("20200101"), noon("20210101"))) == ["1.2.2", "1.2.1"]
    assert archive.found(between(dates, noon("20230101"), noon("20240101"))) == []


def test_times_of_an_answer_find_the_image_set_again(archive: Archive) -> None:
    """createdAt and updatedAt of an answer, cut to seconds as botocore does, match by EQUAL and BETWEEN."""
    summary = archive.search(searchCriteria={"filters": [equal(DICOMPatientId="P1")]})["imageSetsMetadataSummaries"][0]

    for field in ("createdAt", "updatedAt"):
        time: datetime = summary[field]
        assert "1.2.1" in archive.found(equal(**{field: time}))
        assert "1.2.1" in archive.found(between(field, time - timedelta(seconds=1), time + timedelta(seconds=1)))
        assert archive.found(between(field, time - timedelta(hours=2), time - timedelta(hours=1))) == []


def test_two_filters_both_have_to_match(archive: Archive) -> None:
    """An EQUAL and a BETWEEN are joined by and."""
    dates = between("DICOMStudyDateAndTime", noon("20200101"), noon("20210101"))

    assert archive.found(dates, equal(DICOMPatientId="P1")) == ["1.2.1"]
    assert archive.found(dates, equal(DICOMPatientId="P3")) == []


@pytest.mark.parametrize(
    ("sort", "studies"),
    [
        (None, ["1.2.1", "1.2.3", "1.2.2"]),
        (("updatedAt", "DESC"), ["1.2.1", "1.2.3", "1.2.2"]),
        (("updatedAt", "ASC"), ["1.2.2", "1.2.3", "1.2.1"]),
        (("createdAt", "ASC"), ["1.2.1", "1.2.2", "1.2.3"]),
        (("DICOMStudyDateAndTime", "DESC"), ["1.2.3", "1.2.2", "1.2.1"]),
    ],
)
def test_matches_are_sorted(archive: Archive, sort: tuple[str, str] | None, studies: list[str]) -> None:
    """Last updated first by default; the answer tells the order it is in."""
    first = archive.search(searchCriteria={"filters": [equal(DICOMPatientId="P1")]})["imageSetsMetadataSummaries"][0]
    ImageSet(archive.boto, archive.datastore_id, first["imageSetId"]).update(patient(PatientName="LATE^R"))

    assert archive.found(sort=sort) == studies


def test_answer_tells_the_order_it_is_in(archive: Archive) -> None:
    """Asked for or not, the sort is in the answer."""
    asked = {"sortField": "createdAt", "sortOrder": "ASC"}

    assert archive.search()["sort"] == {"sortField": "updatedAt", "sortOrder": "DESC"}
    assert archive.search(searchCriteria={"sort": asked})["sort"] == asked


def test_edited_value_is_found_and_the_old_one_is_not(archive: Archive) -> None:
    """A search is over the latest versions."""
    first = archive.search(searchCriteria={"filters": [equal(DICOMPatientId="P1")]})["imageSetsMetadataSummaries"][0]
    image_set = ImageSet(archive.boto, archive.datastore_id, first["imageSetId"])

    image_set.update(patient(PatientID="P9"))

    assert archive.found(equal(DICOMPatientId="P9")) == ["1.2.1"]
    assert archive.found(equal(DICOMPatientId="P1")) == []


def test_deleted_image_set_is_not_found(archive: Archive) -> None:
    """A deleted image set is no match, and its study's counts are gone with it."""
    first = archive.search(searchCriteria={"filters": [equal(DICOMPatientId="P1")]})["imageSetsMetadataSummaries"][0]

    archive.boto.delete_image_set(datastoreId=archive.datastore_id, imageSetId=first["imageSetId"])

    assert archive.found() == ["1.2.3", "1.2.2"]


def test_matches_come_in_pages(archive: Archive) -> None:
    """boto3's own paginator has every match once, whatever the page size."""
    pages = archive.boto.get_paginator("search_image_sets").paginate(
        datastoreId=archive.datastore_id,
        searchCriteria={"sort": {"sortField": "createdAt", "sortOrder": "ASC"}},
        PaginationConfig={"PageSize": 2},
    )

    found = [[match["DICOMTags"]["DICOMPatientId"] for match in page["imageSetsMetadataSummaries"]] for page in pages]
    assert found == [["P1", "P2"], ["P3"]]


def test_token_of_another_search_is_refused(archive: Archive) -> None:
    """A page of one search does not continue another."""
    token = archive.search(maxResults=1)["nextToken"]

    with refused("ValidationException"):
        archive.search(maxResults=1, nextToken=token, searchCriteria={"filters": [equal(isPrimary=True)]})


def test_criteria_that_mean_nothing_are_a_validation_exception(archive: Archive) -> None:
    """A range of patients is refused rather than answered with some."""
    with refused("ValidationException"):
        archive.found(between("DICOMPatientId", "A", "Z"))
