"""The short way to the results of a search for studies ends where the long one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import create_app, opened_store
from gateway.dicom.dataset import Dataset, Element, in_tag_order
from gateway.dicom.dictionary import entry_of
from gateway.dicom.json_model import encode_json, to_json
from gateway.dicom.matching import Condition, Query
from gateway.dicom.query_string import RETURNED
from gateway.dicomweb.qido import result, selection_of
from gateway.dicomweb.targets import Target
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_head
from gateway.metadata.study_summary import SUMMARISED, StudySummary, packed_values, summary_dataset, summary_json
from gateway.settings import Settings
from gateway.store.log.contents import Candidate
from gateway.store.log.heads import pack_head
from gateway.store.log.manifest import Manifest, PartReference
from gateway.store.protocol import Store
from gateway.store.searches import Match
from gateway.store.versioned_search import Collector
from tests.conftest import app_client
from tests.dicomweb.wire import patched, stored, stow
from tests.samples import SAMPLES, instance
from tests.store.older_folders import unpack_older
from tests.strategies import elements

A, B = "1.2.3.1", "1.2.3.2"

FUZZY = Condition(("00100010",), "PN", "fuzzy", ("compressed",))
DESCRIBED = Condition(("00081030",), "LO", "wildcard", ("e*1",))


async def renamed(client: httpx.AsyncClient, study: str, name: dict[str, str]) -> None:
    """Edit the patient's name in one study."""
    edited = {"0020000D": {"vr": "UI", "Value": [study]}, "00100010": {"vr": "PN", "Value": [name]}}
    response = await client.patch(
        f"/dicomweb/studies/{study}/metadata", json=[edited], headers={"Content-Type": "application/dicom+json"}
    )
    assert response.status_code == 200, response.text


# -- over HTTP: with the StudyDescription asked for, a search takes the long way

QUERIES = [
    "",
    "limit=7",
    "limit=7&offset=5",
    "limit=3&offset=10000",
    "limit=0",
    "PatientID=1CT1",
    "PatientID=9999",
    "PatientID=*1*",
    "PatientName=*a*&limit=5",
    "PatientName=*a*&limit=5&offset=4",
    "PatientName=CompressedSamples*",
    "PatientName=compressed*&ModalitiesInStudy=MR",
    "PatientName=compressed&fuzzymatching=true",
    "PatientName=co&fuzzymatching=true&limit=2&offset=1",
    "PatientName=andrew^x&fuzzymatching=true",
    "StudyTime=0730-120000&StudyDate=20000101-",
    "ModalitiesInStudy=*R&limit=3",
    "PatientBirthDate=19500101-&PatientSex=M",
    "ModalitiesInStudy=CT%5CSR&multiplevaluematching=true",
    "TimezoneOffsetFromUTC=-0500",
    "NumberOfStudyRelatedInstances=2",
    "InstanceAvailability=ONLINE&limit=1",
    "StudyDate=19950101-20051231&ModalitiesInStudy=CT&limit=2",
    "StudyDate=-20051231&offset=3",
    "StudyTime=07-10",
    "ReferringPhysicianName=*",
    "StudyID=1CT1&AccessionNumber=",
    'AccessionNumber=""&emptyvaluematching=true&limit=4',
    "includefield=PatientName&includefield=0020000D",
    "NumberOfStudyRelatedSeries=1&limit=3",
    "patientid=oops",
]


@pytest.fixture(scope="module")
def every_sample() -> list[bytes]:
    return [path.read_bytes() for path in SAMPLES if path.stat().st_size < 400_000]


@pytest.fixture
async def filled(client: httpx.AsyncClient, every_sample: list[bytes]) -> httpx.AsyncClient:
    """A client of a gateway with every small sample, and one study of two modalities that was edited."""
    for at in range(0, len(every_sample), 40):
        assert (await stow(client, *every_sample[at : at + 40])).status_code in (200, 202)
    await stored(client, instance(study=A), instance(study=A, series=f"{A}.2", Modality="SR"))
    name = {"Alphabetic": 'Q"', "Ideographic": "山田"}
    await patched(client, f"/dicomweb/studies/{A}", {"00081030": {"vr": "LO", "Value": ["edited"]}})
    await renamed(client, A, name)
    return client


async def test_any_search_has_the_results_of_the_long_way(filled: httpx.AsyncClient) -> None:
    """Byte for byte but for the attribute that makes the way long, with the same status and warnings."""
    assert len((await filled.get("/dicomweb/studies")).json()) == 50
    for query in QUERIES:
        short = await filled.get(f"/dicomweb/studies?{query}")
        long = await filled.get(f"/dicomweb/studies?{query}&includefield=StudyDescription")

        assert short.status_code == long.status_code, query
        assert short.headers.get_list("warning") == long.headers.get_list("warning"), query
        assert short.content == (encode_json(without_description(long.json())) if long.content else b""), query


def without_description(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{tag: value for tag, value in one.items() if tag != "00081030"} for one in results]


# -- in the store


async def test_a_search_for_no_more_than_always_has_summaries(
    client: httpx.AsyncClient, store: Store, datastore_id: str
) -> None:
    """They stand for matches, and count what comes after them."""
    await stored(client, instance(study=A), instance(study=B))

    page = await store.search(datastore_id, Query("Study", limit=1, summaries=True))
    fuzzy = await store.search(datastore_id, Query("Study", (FUZZY,), offset=1, summaries=True))
    described = await store.search(datastore_id, Query("Study", (DESCRIBED,), summaries=True))

    assert ([one.study_instance_uid for one in page.summaries], page.matches, page.remaining) == ([B], (), 1)
    assert ([one.study_instance_uid for one in fuzzy.summaries], fuzzy.matches) == ([A], ())
    assert (len(described.summaries), len(described.matches)) == (0, 2)


async def test_an_edit_is_in_the_summary_when_it_is_acknowledged(client: httpx.AsyncClient) -> None:
    """The values of the patient and of the study, and what is counted; and what a revert brings back."""
    await stored(client, instance(study=A), instance(study=A, series=f"{A}.2", Modality="SR"))
    before = (await client.get("/dicomweb/studies")).json()

    await renamed(client, A, {"Alphabetic": "Roe"})
    await patched(client, f"/dicomweb/studies/{A}", {"00080050": {"vr": "SH", "Value": ["A7"]}})
    await client.delete(f"/dicomweb/studies/{A}/series/{A}.2")
    [edited] = (await client.get("/dicomweb/studies?PatientName=Roe&AccessionNumber=A7")).json()
    await client.post(f"/dicomweb/studies/{A}/revert?to=1")

    assert [edited[tag].get("Value") for tag in ("00100010", "00080050", "00080061", "00201206", "00201208")] == [
        [{"Alphabetic": "Roe"}],
        ["A7"],
        ["CT"],
        [1],
        [1],
    ]
    assert (await client.get("/dicomweb/studies")).json() == before


async def test_a_value_that_a_summary_has_no_place_for_is_in_the_results(
    client: httpx.AsyncClient, store: Store, datastore_id: str
) -> None:
    """A StudyID of another VR than the dictionary's: then all studies of the page go the long way."""
    odd = instance(study=B).replace(b"\x20\x00\x10\x00SH", b"\x20\x00\x10\x00LO")
    await stored(client, instance(study=A), odd)

    page = await store.search(datastore_id, Query("Study", summaries=True))
    results = (await client.get("/dicomweb/studies")).json()

    assert (page.summaries, len(page.matches)) == ((), 2)
    assert [one["00200010"]["vr"] for one in results] == ["LO", "SH"]


@pytest.mark.parametrize("schema", [3, 6])
async def test_an_older_folder_gets_summaries(tmp_path: Path, schema: int) -> None:
    """Of the studies that are there, with what an edit changed before; the deleted one has none."""
    settings = Settings(data=unpack_older(schema, tmp_path / "older"))

    async with opened_store(settings) as store, app_client(create_app(settings, store)) as client:
        page = await store.search((await store.default_datastore()).datastore_id, Query("Study", summaries=True))
        short = await client.get("/dicomweb/studies")
        long = await client.get("/dicomweb/studies?includefield=StudyDescription")
        series = await client.get("/dicomweb/series?Modality=CT&limit=1")

    assert len(page.summaries) == 2
    assert short.content == encode_json(without_description(long.json()))
    assert series.headers["warning"].endswith('"There are 1 additional results that can be requested"')


@pytest.mark.parametrize("name", ["A=B=C", "A=B=C=D", "=B", "A=="])
async def test_a_name_is_found_as_it_is_stored(
    client: httpx.AsyncClient, store: Store, datastore_id: str, name: str
) -> None:
    """Also one of more groups than there are; empty ones at its end are not stored."""
    value = f"{name} "[: len(name) + len(name) % 2].encode()
    before = b"\x10\x00\x10\x00PN\x06\x00Before"
    file = instance(study=A, PatientName="Before").replace(before, before[:6] + bytes([len(value), 0]) + value)
    await stored(client, file)

    found = await client.get("/dicomweb/studies?PatientName=A=*")
    page = await store.search(datastore_id, Query("Study", summaries=True))

    assert found.status_code == (200 if name.startswith("A=B") else 204)
    assert len(page.summaries) == 1


# -- any values


def vr_of(tag: str) -> str:
    entry = entry_of(tag)
    assert entry is not None
    return entry.vr


TAGS = [one.tag for one in RETURNED["Study"] if one.tag != "0020000D"]


@st.composite
def studies(draw: st.DrawFn) -> Dataset:
    """Return what is returned of a study, some of it absent, some in another VR, the computed attributes too."""
    dataset = {"0020000D": Element("UI", (A,)), "0020000E": Element("UI", (B,))}
    for tag in draw(st.sets(st.sampled_from(TAGS))):
        vr = draw(st.sampled_from([vr_of(tag)] * 9 + ["LO", "UN", "OB"]))
        dataset[tag] = draw(elements(vr, odd_vrs=True))
    return in_tag_order(dataset)


def matched_the_long_way(head: Head, timezone: str, modalities: tuple[str, ...]) -> Dataset:
    return collected(head, timezone, modalities).dataset


def long_way(head: Head, timezone: str, modalities: tuple[str, ...]) -> bytes:
    always = {one.tag: Element(vr_of(one.tag)) for one in RETURNED["Study"] if one.always}
    selection = selection_of(Query("Study"), Target(""))
    return encode_json(to_json(result(collected(head, timezone, modalities), selection, always, "http://gateway.test")))


def collected(head: Head, timezone: str, modalities: tuple[str, ...]) -> Match:
    part = PartReference(1, 5, ("1.2.840.10008.5.1.4.1.1.2",), timezone)
    candidate = Candidate(A, pack_head(head), Manifest([part]), modalities, part.sop_classes, 3, 21, lambda _: [], dict)
    collector = Collector(Query("Study"), True, 0, None)
    collector.visit(candidate)
    return collector.matches[0]


@given(
    dataset=studies(),
    timezone=st.sampled_from(["", "-0500"]),
    modalities=st.sampled_from([(), ("CT",), ('A"', "B")]),
)
def test_any_study_is_written_as_by_way_of_a_dataset(
    dataset: Dataset, timezone: str, modalities: tuple[str, ...]
) -> None:
    """Or it has no summary, and then one of its values has another VR or is no text."""
    head = to_head(dataset)
    values = packed_values(head, timezone)

    if values is None:
        own = {tag: element.vr for tag, element in dataset.items() if tag in TAGS}
        assert "00080201" in own or any(vr != vr_of(tag) for tag, vr in own.items())
    else:
        summary = StudySummary(A, values, encode_json(modalities).decode(), 3, 21)
        url = f"http://gateway.test/studies/{A}"
        assert summary_json(summary, url).encode() == long_way(head, timezone, modalities)
        matched = matched_the_long_way(head, timezone, modalities)
        assert summary_dataset(summary, SUMMARISED) == {
            tag: element for tag, element in matched.items() if tag in SUMMARISED and not element.empty
        } | ({"00080061": Element("CS", modalities)} if modalities else {})
