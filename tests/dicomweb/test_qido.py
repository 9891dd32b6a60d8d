"""Search: PS3.18 section 10.6. Q1 to Q17 are lines of a checklist."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.xml_model import parse_xml
from gateway.dicomweb import qido
from gateway.errors import StorageFailed
from gateway.store.protocol import Store
from tests.conftest import Server
from tests.dicomweb.wire import parts, patched, stored, value, values
from tests.samples import ct_series, ct_study, instance, sample

# Two studies of one patient: the first has two series, of two instances and of one.
A, B = "1.2.3.1", "1.2.3.2"
ROOT = "http://gateway.test/dicomweb"
OHIF = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a gateway that has the two studies."""
    await stored(
        client,
        instance(study=A, StudyDescription="CT Head", StudyDate="20040119", AccessionNumber="A1"),
        instance(study=A, StudyDescription="CT Head", StudyDate="20040119", AccessionNumber="A1", instance_number=2),
        instance(study=A, StudyDescription="CT Head", StudyDate="20040119", AccessionNumber="A1", series=f"{A}.7"),
    )
    await stored(client, instance(study=B, StudyDescription="CT Neck", StudyDate="20050601", StudyTime="1030"))
    return client


async def search(client: httpx.AsyncClient, query: str, **headers: str) -> list[dict[str, Any]]:
    """Return the results of a search, none for 204."""
    response = await client.get(f"/dicomweb{query}", headers=headers)
    assert response.status_code in (200, 204), response.text
    found: list[dict[str, Any]] = response.json() if response.status_code == 200 else []
    return found


def uids(results: list[dict[str, Any]], tag: str = "0020000D") -> list[str]:
    """Return each result's UID."""
    return [value(result, tag) for result in results]


# -- results


async def test_a_study_has_what_the_standard_says(filled: httpx.AsyncClient) -> None:
    """Q14, Q15: Table 10.6.3-3 and nothing else, empty where there is no value, in ascending order of tags."""
    [study] = await search(filled, f"/studies?StudyInstanceUID={A}")

    assert list(study) == sorted(study)
    assert study == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20040119"]},
        "00080030": {"vr": "TM", "Value": ["072730"]},
        "00080050": {"vr": "SH", "Value": ["A1"]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00080061": {"vr": "CS", "Value": ["CT"]},
        "00080090": {"vr": "PN"},
        "00080201": {"vr": "SH", "Value": ["-0500"]},
        "00081190": {"vr": "UR", "Value": [f"{ROOT}/studies/{A}"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "CompressedSamples^CT1"}]},
        "00100020": {"vr": "LO", "Value": ["1CT1"]},
        "00100030": {"vr": "DA"},
        "00100040": {"vr": "CS", "Value": ["O"]},
        "0020000D": {"vr": "UI", "Value": [A]},
        "00200010": {"vr": "SH", "Value": ["1CT1"]},
        "00201206": {"vr": "IS", "Value": [2]},
        "00201208": {"vr": "IS", "Value": [3]},
    }


@pytest.mark.parametrize("modality", ["", None], ids=["empty", "absent"])
@pytest.mark.parametrize("query", ["", "&includefield=StudyDescription,ModalitiesInStudy", "&includefield=all"])
async def test_a_study_without_a_modality_has_no_modalities(
    client: httpx.AsyncClient, modality: str | None, query: str
) -> None:
    """Left out, not empty: OHIF 3.13 looks for its Value, and one such study empties its whole list."""
    await stored(client, instance(study=A, Modality=modality), instance(study=B))

    [without] = await search(client, f"/studies?StudyInstanceUID={A}{query}")
    [series] = await search(client, f"/studies/{A}/series?includefield=ModalitiesInStudy")
    [other] = await search(client, f"/studies?StudyInstanceUID={B}{query}")

    assert "00080061" not in without and "00080061" not in series
    assert series["00080060"] == {"vr": "CS"}
    assert values(other, "00080061") == ["CT"]


async def test_a_series_has_what_the_standard_says(filled: httpx.AsyncClient) -> None:
    """Q14: Table 10.6.3-4, with the study's UID."""
    [series, _] = await search(filled, f"/studies/{A}/series")

    assert list(series) == "00080005 00080060 00080201 00081190 0020000D 0020000E 00200011 00201209".split()
    assert value(series, "00080060") == "CT" and value(series, "00201209") == 2
    assert value(series, "00081190") == f"{ROOT}/studies/{A}/series/{A}.1"


async def test_an_instance_has_what_the_standard_says(filled: httpx.AsyncClient) -> None:
    """Q14: Table 10.6.3-5, with the UIDs above it. NumberOfFrames, which a CT image has not, is left out."""
    [first, _] = await search(filled, f"/studies/{A}/series/{A}.1/instances")

    assert list(first) == (
        "00080005 00080016 00080018 00080056 00080201 00081190 0020000D 0020000E 00200013 "
        "00280010 00280011 00280100".split()
    )
    assert value(first, "00081190") == f"{ROOT}/studies/{A}/series/{A}.1/instances/{A}.1.1"
    assert (value(first, "00280010"), value(first, "00280100")) == (128, 16)


# Path, and the SOP or Series or Study Instance UIDs it finds.
PATHS = [
    ("/studies", "0020000D", {A, B}),
    ("/series", "0020000E", {f"{A}.1", f"{A}.7", f"{B}.1"}),
    ("/instances", "00080018", {f"{A}.1.1", f"{A}.1.2", f"{A}.7.1", f"{B}.1.1"}),
    (f"/studies/{A}/series", "0020000E", {f"{A}.1", f"{A}.7"}),
    (f"/studies/{A}/instances", "00080018", {f"{A}.1.1", f"{A}.1.2", f"{A}.7.1"}),
    (f"/studies/{A}/series/{A}.1/instances", "00080018", {f"{A}.1.1", f"{A}.1.2"}),
    (f"/studies/{B}/series/{A}.1/instances", "00080018", set()),
]


@pytest.mark.parametrize(("path", "tag", "expected"), PATHS)
async def test_six_paths_search_three_levels(
    filled: httpx.AsyncClient, path: str, tag: str, expected: set[str]
) -> None:
    """Q1: a UID in the path narrows."""
    assert set(uids(await search(filled, path), tag)) == expected


async def test_results_below_no_study_describe_the_study(filled: httpx.AsyncClient) -> None:
    """PS3.18 10.6.3.3: what the path does not name, the result does."""
    [series] = await search(filled, f"/series?SeriesInstanceUID={A}.7")

    assert value(series, "00100020") == "1CT1" and value(series, "00201206") == 2


# -- matching

QUERIES = [
    ("PatientID=1CT1", {A, B}),
    ("00100020=1CT1", {A, B}),
    ("PatientID=1ct1", set()),
    ("PatientName=compressedsamples*", {A, B}),
    ("PatientName=CT1&fuzzymatching=true", {A, B}),
    ("AccessionNumber=A1", {A}),
    ("AccessionNumber=A?", {A}),
    ('AccessionNumber=""&emptyvaluematching=true', {B}),
    ("StudyDate=20040119", {A}),
    ("StudyDate=20040101-20041231", {A}),
    ("StudyDate=20050101-", {B}),
    ("StudyDate=-20050101", {A}),
    ("StudyTime=1000-1100", {B}),
    ("StudyTime=10", {B}),
    ("ModalitiesInStudy=CT", {A, B}),
    ("ModalitiesInStudy=MR", set()),
    ("NumberOfStudyRelatedInstances=3", {A}),
    (f"StudyInstanceUID={A},{B},1.9", {A, B}),
    (f"StudyInstanceUID={A}%5C{B}", {A, B}),
    (f"StudyInstanceUID={A}&StudyInstanceUID={B}", {A, B}),
    ("StudyDescription=CT%20Neck", {B}),
    ("StudyDescription=%25", set()),
    ("StudyDescription=*%20H*&PatientID=1CT1", {A}),
    ("StudyDescription=' OR 1=1--", set()),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
async def test_studies_are_found_by(filled: httpx.AsyncClient, query: str, expected: set[str]) -> None:
    """Q3, Q7 to Q11, Q13, T70: every kind of matching, over HTTP and through the Store."""
    assert set(uids(await search(filled, f"/studies?{query}"))) == expected


@pytest.mark.parametrize(
    ("path", "query", "found", "more"),
    [
        ("/studies", "ModalitiesInStudy=CT,SR", ["1.2.3", "1.2.4"], 0),
        ("/studies", "ModalitiesInStudy=CT,SR&limit=1", ["1.2.3"], 1),
        ("/studies", "ModalitiesInStudy=SR,MR&StudyDate=20240101-", ["1.2.3"], 0),
        ("/series", "Modality=CT,SR&limit=2", ["1.2.3.2", "1.2.3.1"], 1),
        ("/series", "ModalitiesInStudy=SR&Modality=CT", ["1.2.3.1"], 0),
        ("/series", "ModalitiesInStudy=CT&Modality=SR&limit=1", ["1.2.3.2"], 0),
        ("/series", "ModalitiesInStudy=SR", ["1.2.3.1", "1.2.3.2"], 0),
        ("/instances", "Modality=SR,MR", ["1.2.3.2"], 0),
    ],
)
async def test_several_modalities_and_those_of_study_and_series(
    client: httpx.AsyncClient, path: str, query: str, found: list[str], more: int
) -> None:
    """Any of the codes will do; a study counts once; and a series is not its study."""
    for study, series, modality in (("1.2.3", "1.2.3.1", "CT"), ("1.2.3", "1.2.3.2", "SR"), ("1.2.4", "1.2.4.1", "CT")):
        date = "20240101" if study == "1.2.3" else "20230101"
        uids_of: dict[str, Any] = {"SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.1"}
        await stored(client, instance(study=study, StudyDate=date, Modality=modality, **uids_of))

    answer = await client.get(f"/dicomweb{path}?{query}")

    tag = "0020000D" if path == "/studies" else "0020000E"
    assert sorted(uids(answer.json(), tag)) == sorted(found)
    assert (f"There are {more} additional results" in answer.headers.get("warning", "")) == bool(more)


async def test_instances_are_found_by_what_only_they_have(filled: httpx.AsyncClient) -> None:
    """Q13: InstanceNumber, and any other attribute, private ones included (CT_small has GE's)."""
    found = await search(filled, f"/studies/{A}/instances?InstanceNumber=2")
    private = await search(
        filled, f"/studies/{A}/instances?00091001=GE_GENESIS_FF&InstanceNumber=2&includefield=00091001"
    )

    assert uids(found, "00080018") == [f"{A}.1.2"]
    assert values(private[0], "00091001") == ["GE_GENESIS_FF"]


async def test_series_are_found_by_when_they_were_performed(client: httpx.AsyncClient) -> None:
    """Q13: PerformedProcedureStepStartDate, which HealthImaging keeps with the instances."""
    await stored(client, instance(study=A, PerformedProcedureStepStartDate="20040119"))
    await stored(client, instance(study=B, PerformedProcedureStepStartDate="20050601"))

    [series] = await search(client, "/series?PerformedProcedureStepStartDate=20050101-")

    assert (value(series, "0020000D"), value(series, "00400244")) == (B, "20050601")
    assert "00400244" not in (await search(client, "/series"))[0]
    everything = await search(client, "/series?includefield=all")
    assert [value(one, "00400244") for one in everything] == ["20050601", "20040119"]


async def test_an_edit_is_found_at_once(filled: httpx.AsyncClient) -> None:
    """A search after the answer to an edit finds the new value and no longer the old one."""
    await patched(filled, f"/dicomweb/studies/{A}", {"00081030": {"vr": "LO", "Value": ["CT Kopf"]}})

    assert uids(await search(filled, "/studies?StudyDescription=CT%20Kopf")) == [A]
    assert await search(filled, "/studies?StudyDescription=CT%20Head") == []


# PS3.18 Table 10.6.1-5: path, key, the value asked for.
REQUIRED_KEYS = [
    ("/studies", "StudyDate", "20040119"),
    ("/studies", "StudyTime", "072730"),
    ("/studies", "AccessionNumber", "A1"),
    ("/studies", "ModalitiesInStudy", "CT"),
    ("/studies", "ReferringPhysicianName", "Smith^A"),
    ("/studies", "PatientName", "Doe^John"),
    ("/studies", "PatientID", "P1"),
    ("/studies", "StudyInstanceUID", A),
    ("/studies", "StudyID", "S1"),
    ("/series", "Modality", "CT"),
    ("/series", "SeriesInstanceUID", f"{A}.1"),
    ("/series", "SeriesNumber", "7"),
    ("/series", "PerformedProcedureStepStartDate", "20040119"),
    ("/series", "PerformedProcedureStepStartTime", "072730"),
    ("/series", "RequestAttributesSequence.ScheduledProcedureStepID", "SPS"),
    ("/series", "00400275.00401001", "RP"),
    ("/instances", "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    ("/instances", "SOPInstanceUID", f"{A}.1.1"),
    ("/instances", "InstanceNumber", "1"),
]


@pytest.mark.parametrize(("path", "key", "asked"), REQUIRED_KEYS)
async def test_a_required_key_finds(client: httpx.AsyncClient, path: str, key: str, asked: str) -> None:
    """Q3, Q13: by keyword and by tag, in sequences too; and what has another value is not found."""
    request = pydicom.Dataset()
    request.ScheduledProcedureStepID, request.RequestedProcedureID = "SPS", "RP"
    one: dict[str, Any] = {
        "StudyDate": "20040119",
        "StudyTime": "072730",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "Smith^A",
        "PatientName": "Doe^John",
        "PatientID": "P1",
        "StudyID": "S1",
        "SeriesNumber": 7,
        "PerformedProcedureStepStartDate": "20040119",
        "PerformedProcedureStepStartTime": "072730",
        "RequestAttributesSequence": [request],
    }
    other: dict[str, Any] = {
        "StudyTime": "101010",
        "PatientID": "P2",
        "PatientName": "Roe",
        "Modality": "OT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "StudyDate": "19990101",
    }
    await stored(client, instance(study=A, **one))
    await stored(client, instance(study=B, instance_number=2, **other))

    found = await search(client, f"{path}?{key}={asked}")

    assert uids(found) == [A]


async def test_a_time_zone_comes_with_every_level(client: httpx.AsyncClient) -> None:
    """Q14, Q16: TimezoneOffsetFromUTC, which instances have, is told of their series and study too, and as edited."""
    await stored(client, instance(study=A, TimezoneOffsetFromUTC="+0100", PatientName="Jérôme^Ä"))
    await stored(client, instance(study=B, TimezoneOffsetFromUTC=None))
    one = f"/studies/{A}/series/{A}.1/instances"

    for path in (f"/studies?StudyInstanceUID={A}", f"/studies/{A}/series", one):
        [found] = await search(client, path)
        assert (value(found, "00080201"), value(found, "00080005")) == ("+0100", "ISO_IR 192")
    [study] = await search(client, f"/studies?StudyInstanceUID={A}")
    assert value(study, "00100010") == {"Alphabetic": "Jérôme^Ä"}
    [other] = await search(client, f"/studies?StudyInstanceUID={B}")
    assert "00080201" not in other

    await patched(client, f"/dicomweb{one}/{A}.1.1", {"00080201": {"vr": "SH", "Value": ["+0900"]}})
    [series] = await search(client, f"/studies/{A}/series")
    assert value(series, "00080201") == "+0900"


# -- includefield


async def test_includefield_adds_attributes(filled: httpx.AsyncClient) -> None:
    """Q12: by keyword and tag; an attribute that is matched is returned as well, one of a lower level is not."""
    query = "StudyDescription=CT%20H*&includefield=00081080&includefield=PatientAge,SeriesDescription"

    [study] = await search(filled, f"/studies?{query}")

    assert value(study, "00081030") == "CT Head" and value(study, "00101010") == "000Y"
    assert "0008103E" not in study


async def test_includefield_all_gives_the_whole_level(filled: httpx.AsyncClient) -> None:
    """Q12: and the levels above it; of an instance, without its pixels and file meta information."""
    [study] = await search(filled, f"/studies?includefield=all&StudyInstanceUID={A}")
    [instance, *_] = await search(filled, f"/studies/{A}/instances?includefield=all")

    assert {"00081030", "00101010", "00101030"} <= study.keys() and "00080060" not in study
    assert {"00081030", "00080060", "00091001", "00280030"} <= instance.keys()
    assert not {tag for tag in instance if tag.startswith(("0002", "7FE0"))}


async def test_includefield_of_a_path_gives_that_of_each_item(client: httpx.AsyncClient) -> None:
    """Q12: only the attribute named, in the sequence it lies in."""
    request = pydicom.Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "P1", "S1"
    await stored(client, instance(study=A, ReferencedStudySequence=[request]))

    [study] = await search(client, "/studies?includefield=ReferencedStudySequence.RequestedProcedureID")

    assert values(study, "00081110") == [{"00401001": {"vr": "SH", "Value": ["P1"]}}]


async def test_a_private_attribute_is_included_with_its_creator(filled: httpx.AsyncClient) -> None:
    """Q12: PS3.18 8.3.4.3: the creator as another match, so that the block is whose it is thought to be."""
    path = f"/studies/{A}/series/{A}.1/instances?includefield=00091001"

    [found, _] = await search(filled, f"{path}&00090010=GEMS_IDEN_01")
    of_another = await search(filled, f"{path}&00090010=SIEMENS%20CT%20VA0")

    assert values(found, "00091001") == ["GE_GENESIS_FF"] and values(found, "00090010") == ["GEMS_IDEN_01"]
    assert of_another == []


# -- paging


async def test_pages_follow_each_other(filled: httpx.AsyncClient) -> None:
    """Q5: limit and offset walk through all results, each once, and Warning 299 says how many more there are."""
    pages = [await filled.get(f"/dicomweb/instances?limit=1&offset={offset}") for offset in range(5)]

    assert [page.status_code for page in pages] == [200, 200, 200, 200, 204]
    assert len({value(page.json()[0], "00080018") for page in pages[:4]}) == 4
    assert pages[0].headers["warning"] == f'299 {ROOT}: "There are 3 additional results that can be requested"'
    assert "warning" not in pages[3].headers


@pytest.mark.parametrize("query", ["limit=0", "offset=1000000000000000000", "PatientID=nobody"])
async def test_no_result_is_204(filled: httpx.AsyncClient, query: str) -> None:
    """Q5, T69: no body, whatever the reason."""
    response = await filled.get(f"/dicomweb/studies?{query}")

    assert (response.status_code, response.content) == (204, b"")


# -- bad queries


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("StudyDate=yesterday", "StudyDate"),
        ("fuzzymatching=1", "fuzzymatching"),
    ],
)
async def test_a_bad_value_is_a_bad_request(filled: httpx.AsyncClient, query: str, parameter: str) -> None:
    """Q4, Q17: the problem names the parameter."""
    response = await filled.get(f"/dicomweb/studies?{query}")

    assert response.status_code == 400 and response.json()["parameter"] == parameter


async def test_a_path_that_is_no_uid_is_a_bad_request(client: httpx.AsyncClient) -> None:
    """T58."""
    assert (await client.get("/dicomweb/studies/1.2%27/series")).status_code == 400


async def test_a_filter_that_is_not_supported_warns(filled: httpx.AsyncClient) -> None:
    """Q4: it is ignored, as the standard says, and the client is told, for it now sees more than it asked for."""
    response = await filled.get("/dicomweb/studies?PatientNmae=Doe&patientID=x")

    assert response.status_code == 200 and len(response.json()) == 2
    assert set(response.headers.get_list("warning")) == {
        f'299 {ROOT}: "The PatientNmae attribute cannot be matched in this search and was ignored."',
        f'299 {ROOT}: "The patientID parameter is not supported and was ignored."',
    }


async def test_bytes_are_no_filter(filled: httpx.AsyncClient) -> None:
    """Q4: PS3.4 C.2.2.2 has no matching for them; to find nothing in silence would be an answer to another question."""
    response = await filled.get("/dicomweb/instances?PixelData=x")

    assert response.status_code == 200
    assert response.headers["warning"].endswith(
        '"The PixelData attribute cannot be matched in this search and was ignored."'
    )


@pytest.mark.parametrize("path", [path for path, _, _ in PATHS])
@pytest.mark.parametrize(
    "parameter",
    [
        "StudyInstanceUID=*",
        "fuzzymatching=true",
        "includefield=all",
        "limit=1",
        "offset=0",
        "emptyvaluematching=true",
        "multiplevaluematching=true",
    ],
)
async def test_every_parameter_of_the_standard_is_supported_everywhere(
    filled: httpx.AsyncClient, path: str, parameter: str
) -> None:
    """Q2, Q10, Q11: PS3.18 Table 8.3.4-1, usage M: no warning says that one was ignored."""
    response = await filled.get(f"/dicomweb{path}?{parameter}")

    assert response.status_code in (200, 204)
    assert not [text for text in response.headers.get_list("warning") if "additional results" not in text]


async def test_no_search_is_refused_for_what_it_would_find(
    filled: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q5, Q6: beyond the gateway's own maximum there is a warning and the next page, never 413."""
    monkeypatch.setattr(qido, "MAX_RESULTS", 2)
    monkeypatch.setattr(qido, "MAX_WHOLE_INSTANCES", 1)

    some = await filled.get("/dicomweb/instances?limit=100")
    whole = await filled.get("/dicomweb/instances?includefield=all")

    assert [len(some.json()), len(whole.json())] == [2, 1]
    assert "There are 3 additional results" in whole.headers["warning"]


async def test_a_disk_that_fails_is_service_unavailable(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q17: 503 with Retry-After, and not an empty result."""

    async def failing(*_: object) -> None:
        raise StorageFailed("the disk of the data folder refused")

    monkeypatch.setattr(store, "search", failing)

    response = await client.get("/dicomweb/studies")

    assert (response.status_code, response.headers["retry-after"]) == (503, "10")


async def test_an_instance_is_found_by_its_uid_alone(client: httpx.AsyncClient) -> None:
    """In any study, among others whose UIDs begin alike; not in a series that was deleted."""
    await stored(client, *(instance(study=A, instance_number=number) for number in (1, 9, 10, 1000)))
    await stored(client, instance(study=B), instance(study=f"{A}1"))
    found = await search(client, f"/instances?SOPInstanceUID={A}.1.10,{A}.1.1000,{B}.1.1")

    await client.delete(f"/dicomweb/studies/{A}/series/{A}.1")

    assert sorted(uids(found, "00080018")) == [f"{A}.1.10", f"{A}.1.1000", f"{B}.1.1"]
    assert await search(client, f"/instances?SOPInstanceUID={A}.1.10") == []
    assert uids(await search(client, f"/instances?SOPInstanceUID={A}1.1.1")) == [f"{A}1"]


# -- media types


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("application/dicom+json, application/json", "application/dicom+json"),
        (OHIF, "application/dicom+json"),
        ("*/*", "application/dicom+json"),
    ],
)
async def test_results_come_in_the_media_type_asked_for(
    filled: httpx.AsyncClient, accept: str, content_type: str
) -> None:
    """N5, N11: one array of JSON, under either name."""
    response = await filled.get("/dicomweb/studies", headers={"Accept": accept})

    assert response.headers["content-type"] == content_type and len(response.json()) == 2


async def test_results_come_in_xml(filled: httpx.AsyncClient) -> None:
    """N11: one part for each result, which says what it says in JSON; with the same warnings and paging."""
    path = "/dicomweb/studies?includefield=all&limit=1"
    response = await filled.get(path, headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    as_json = await filled.get(path)

    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"; boundary=')
    [(kind, document)] = parts(response)
    assert kind == "application/dicom+xml"
    assert [json.loads(encode_json(to_json(parse_xml(document))))] == as_json.json()
    assert response.headers["warning"] == as_json.headers["warning"]


async def test_what_is_not_written_is_not_acceptable(client: httpx.AsyncClient) -> None:
    """N1, Q17: 406, by header or by query parameter."""
    assert (await client.get("/dicomweb/studies", headers={"Accept": "text/html"})).status_code == 406
    assert (await client.get("/dicomweb/studies?accept=text/html", headers={"Accept": "text/css"})).status_code == 406


# -- what comes back


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "test-SR.dcm", "chrH31.dcm", "liver_1frame.dcm"])
async def test_a_result_posted_back_changes_nothing(
    client: httpx.AsyncClient, store: Store, datastore_id: str, path: str, name: str
) -> None:
    """Clients edit what a search gave them: what it computed, or gave empty, is no edit."""
    await stored(client, sample(name).read_bytes())
    results = await client.get(f"/dicomweb{path}")

    response = await client.post(
        "/dicomweb/studies", content=results.content, headers={"Content-Type": "application/dicom+json"}
    )

    assert response.status_code == 200, response.text
    [study] = uids(results.json())
    assert (await store.study(datastore_id, study)).version == 1


async def test_a_whole_series_posted_back_changes_nothing(client: httpx.AsyncClient) -> None:
    """With what it shows of its first instance, too; but to edit that, one has to name the instance."""
    await stored(client, instance(study=A, PerformedProcedureStepStartDate="20040119"))
    [series] = await search(client, "/series?includefield=all")
    edit = partial(client.post, "/dicomweb/studies", headers={"Content-Type": "application/dicom+json"})

    posted = await edit(json=[series])
    edited = await edit(json=[{**series, "00400244": {"vr": "DA", "Value": ["20050601"]}}])

    assert (posted.status_code, edited.status_code) == (200, 409)


def test_dicomweb_client_searches(server: Server) -> None:
    """dicomweb-client for Python: its filters, fields, limit and offset, at three levels."""
    client = DICOMwebClient(server.dicomweb)
    client.store_instances([pydicom.dcmread(pydicom.filebase.DicomBytesIO(file)) for file in ct_study()])

    [study] = client.search_for_studies(search_filters={"PatientID": "98890234"}, fields=["StudyDescription"])
    series = client.search_for_series(uids([study])[0], limit=1, offset=1)
    instances = client.search_for_instances(search_filters={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"})

    assert value(study, "00201206") == 2 and len(series) == 1 and len(instances) == len(ct_series()) + 2
