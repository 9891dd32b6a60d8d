"""DICOM JSON that comes with an import: which instances it is for, and what it changes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pydicom
import pytest

from gateway.dicom.json_model import parse_dataset
from gateway.errors import InvalidRequest
from gateway.healthimaging.import_input import ImportFailed
from gateway.healthimaging.import_metadata import ImportMetadata, MappedFile
from gateway.settings import Settings
from gateway.store.protocol import Store
from gateway.store.searches import ImageSetSearch
from tests.healthimaging.imports import Desk, records, summary
from tests.samples import ct_series, instance

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"

INSTANCE: dict[str, Any] = {
    "00080018": {"vr": "UI", "Value": [f"{SERIES}.7"]},
    "00081030": {"vr": "LO", "Value": ["CHEST"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    "0020000D": {"vr": "UI", "Value": [STUDY]},
    "0020000E": {"vr": "UI", "Value": [SERIES]},
    "00280010": {"vr": "US", "Value": [128]},
    "00091001": {"vr": "OB", "InlineBinary": "AAA="},
    "00090010": {"vr": "LO", "Value": ["ACME"]},
}

NAME = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Roe^Richard"}]}}
TEXT = {"00104000": {"vr": "LT", "Value": ["from the RIS"]}}


def merged(*files: tuple[str, str, Any]) -> dict[str, Any] | None:
    """Return what INSTANCE becomes with files of (study, series, JSON), as tag -> first value; None if unchanged."""
    metadata = ImportMetadata([MappedFile(study, series, json.dumps(text).encode()) for study, series, text in files])
    found = metadata.merge(parse_dataset(json.dumps(INSTANCE).encode()))
    if found is None:
        return None
    return {tag: element.values[0] if element.values else element.binary or None for tag, element in found.items()}


def test_attributes_of_the_metadata_are_set_and_the_others_stay() -> None:
    """One that is not in the file is added, in its place."""
    found = merged((STUDY, "", NAME | TEXT))

    assert found is not None
    assert (found["00100010"], found["00104000"], found["00081030"]) == ("Roe^Richard", "from the RIS", "CHEST")
    assert list(found) == sorted(found)


def test_attribute_without_a_value_is_stored_empty() -> None:
    """That is what DICOM JSON means by it."""
    found = merged((STUDY, "", {"00081030": {"vr": "LO"}}))

    assert found is not None and found["00081030"] is None


@pytest.mark.parametrize(
    ("study", "series", "dataset", "is_about"),
    [
        (STUDY, "", {}, True),
        (STUDY, SERIES, {}, True),
        ("1.2.3", "", {}, False),
        (STUDY, "1.2.3", {}, False),
        (STUDY, "", {"00080018": {"vr": "UI", "Value": [f"{SERIES}.7"]}}, True),
        (STUDY, "", {"00080018": {"vr": "UI", "Value": [f"{SERIES}.8"]}}, False),
        (STUDY, "", {"0020000E": {"vr": "UI", "Value": ["1.2.3"]}}, False),
        (STUDY, SERIES, {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}, False),
    ],
)
def test_dataset_is_for_instances_of_the_mapping_that_have_its_uids(
    study: str, series: str, dataset: dict[str, Any], is_about: bool
) -> None:
    """A UID in the metadata is never set: it says which instances are meant."""
    assert (merged((study, series, NAME | dataset)) is not None) == is_about


def test_nearest_metadata_has_the_last_word() -> None:
    """The series over the study, the instance over both, whatever the order of the mappings and of the array."""

    def name(text: str, **uids: str) -> dict[str, Any]:
        return {"00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]}} | {
            tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()
        }

    series, study = (STUDY, SERIES, [name("Series")]), (STUDY, "", [name("Study")])
    own = (STUDY, "", [name("Instance", **{"00080018": f"{SERIES}.7"}), name("Study")])

    assert (merged(series, study) or {})["00100010"] == "Series"
    assert (merged(series, own) or {})["00100010"] == "Instance"


@pytest.mark.parametrize(
    "dataset",
    [
        {},
        {"00100010": INSTANCE["00100010"]},
        {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}},
        {"00081190": {"vr": "UR", "Value": ["http://pacs/studies/1"]}},
        {"00201208": {"vr": "IS", "Value": [3]}},
        {"7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs/bulk/1"}},
        {"7FE00010": {"vr": "OW", "InlineBinary": "AAA="}},
        {"00091001": {"vr": "OB", "BulkDataURI": "http://pacs/bulk/1"}},
        {"00280010": {"vr": "US", "Value": [128]}},
    ],
    ids=["nothing", "same", "JSON's encoding", "retrieve URL", "computed", "pixels", "inline pixels",
         "bulk data the file has", "same rows"],
)  # fmt: skip
def test_what_says_nothing_new_changes_nothing(dataset: dict[str, Any]) -> None:
    """So that the metadata of a WADO-RS or QIDO-RS answer can be used as it is."""
    assert merged((STUDY, "", dataset)) is None


@pytest.mark.parametrize(
    ("dataset", "tag"),
    [
        ({"00280010": {"vr": "US", "Value": [64]}}, "00280010"),
        ({"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.4"]}}, "00080016"),
        ({"00420011": {"vr": "OB", "BulkDataURI": "http://pacs/bulk/1"}}, "00420011"),
        (
            {"00081140": {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "http://pacs/1"}}]}},
            "00081140",
        ),
    ],
    ids=["other rows", "other SOP class", "bytes elsewhere", "bytes elsewhere in a sequence"],
)
def test_what_would_break_the_instance_is_refused(dataset: dict[str, Any], tag: str) -> None:
    """The sentence names the attribute, and nothing is fetched."""
    with pytest.raises(InvalidRequest, match=tag):
        merged((STUDY, "", dataset))


# -- in a job


@pytest.fixture
def desk(store: Store, datastore_id: str, tmp_path: Path) -> Desk:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return Desk(store, datastore_id, tmp_path)


def mapping(path: str = "meta/study.json", **uids: str) -> dict[str, Any]:
    """Return an import configuration of one mapping."""
    return {
        "dicomJsonMetadataImportConfiguration": {
            "dicomMetadataMappings": [{"studyInstanceUID": STUDY, "metadataFilePath": path, **uids}]
        }
    }


async def stored_files(desk: Desk) -> list[pydicom.Dataset]:
    """Return the stored objects of every image set, read by pydicom."""
    found: list[pydicom.Dataset] = []
    for image_set in await desk.store.search_image_sets(desk.datastore_id, ImageSetSearch()):
        objects = await desk.store.objects(desk.datastore_id, image_set.version.image_set_id)
        found += [pydicom.dcmread(io.BytesIO(await desk.store.read(one.address))) for one in objects.values()]
    return found


async def test_instances_are_stored_with_their_metadata(desk: Desk) -> None:
    """In the document and in the object; the pixels are the file's, and the JSON is no failed instance."""
    for number, file in enumerate(ct_series(2)):
        desk.put(f"{number}.dcm", file)
    desk.put("other.dcm", instance(study="1.2.3"))
    desk.put("meta/study.json", json.dumps([NAME | TEXT]).encode())

    folder = await desk.carry_out(**mapping())

    files = await stored_files(desk)
    assert sorted((file.StudyInstanceUID, str(file.PatientName)) for file in files) == [
        ("1.2.3", "CompressedSamples^CT1"),
        (STUDY, "Roe^Richard"),
        (STUDY, "Roe^Richard"),
    ]
    assert {file.PixelData for file in files} == {pydicom.dcmread(io.BytesIO(instance())).PixelData}
    assert summary(folder)["numberOfScannedFiles"] == 3
    assert records(folder, "FAILURE/failure.ndjson") == []


async def test_other_metadata_for_the_same_files_is_a_new_version(desk: Desk) -> None:
    """And the same again is not."""
    desk.put("1.dcm", instance())
    desk.put("meta/study.json", json.dumps(NAME).encode())
    await desk.carry_out(1, **mapping())
    await desk.carry_out(2, **mapping())
    desk.put("meta/study.json", json.dumps(TEXT).encode())
    await desk.carry_out(3, **mapping())

    [image_set] = await desk.store.search_image_sets(desk.datastore_id, ImageSetSearch())
    assert image_set.version.version == 2


async def test_values_of_the_file_are_kept_in_original_attributes(desk: Desk) -> None:
    """With the setting on, as in edits; with the time of the job, so that doing it again changes nothing."""
    desk.settings = Settings(record_original_attributes=True)
    desk.put("1.dcm", instance())
    desk.put("meta/study.json", json.dumps(NAME).encode())
    job = await desk.submit(**mapping())

    await desk.run(job)[0].carry_out()

    [file] = await stored_files(desk)
    [item] = file.OriginalAttributesSequence
    assert str(item.ModifiedAttributesSequence[0].PatientName) == "CompressedSamples^CT1"
    assert item.ReasonForTheAttributeModification == "COERCE"
    assert item.AttributeModificationDateTime == job.submitted_at.strftime("%Y%m%d%H%M%S.%f+0000")


async def test_file_that_its_metadata_contradicts_fails_alone(desk: Desk) -> None:
    """The others of the study are imported."""
    desk.put("1.dcm", instance(instance_number=1))
    desk.put("2.dcm", instance(instance_number=2))
    contradiction = {"00080018": {"vr": "UI", "Value": [f"{SERIES}.1"]}, "00280010": {"vr": "US", "Value": [64]}}
    desk.put("meta/study.json", json.dumps([NAME, contradiction]).encode())

    folder = await desk.carry_out(**mapping())

    [failure] = records(folder, "FAILURE/failure.ndjson")
    assert failure["inputFile"] == "1.dcm"
    assert failure["exception"]["message"] == (
        "the metadata has another 00280010 than the file, which describes its pixels"
    )
    assert [one["inputFile"] for one in records(folder, "SUCCESS/success.ndjson")] == ["2.dcm"]


@pytest.mark.parametrize("text", [None, b"{", b'[{"00100010": {"vr": "PN", "Value": "Doe^Jane"}}]', b"[1]"])
async def test_metadata_that_cannot_be_read_fails_the_job(desk: Desk, text: bytes | None) -> None:
    """Nothing is imported without what was to come with it; the message names the mapping, and no path or value."""
    desk.put("1.dcm", instance())
    if text is not None:
        desk.put("meta/study.json", text)

    with pytest.raises(ImportFailed) as failure:
        await desk.carry_out(**mapping())

    message = str(failure.value)
    assert message.startswith("METADATA_NOT_READABLE: dicomMetadataMappings.0.metadataFilePath: ")
    assert "study.json" not in message and "Doe" not in message
    assert await stored_files(desk) == []
