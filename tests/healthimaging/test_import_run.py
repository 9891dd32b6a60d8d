"""One import job, carried out in this process: what it stores, what it writes, and that it can stop anywhere."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from gateway.dicom.matching import Condition, Query
from gateway.errors import NotFound, StorageFull
from gateway.healthimaging import import_run
from gateway.healthimaging.import_input import ImportFailed, Limits
from gateway.healthimaging.import_run import Stopped
from gateway.store.protocol import Store
from gateway.store.searches import ImageSetSearch
from tests.healthimaging.imports import Desk, after, records, summary
from tests.samples import ct_series, ct_study, instance, sample

STUDY = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def desk(store: Store, datastore_id: str, tmp_path: Path) -> Desk:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return Desk(store, datastore_id, tmp_path)


async def image_sets(desk: Desk) -> list[tuple[str, int, int]]:
    """Return series, version and number of instances of every image set."""
    found = await desk.store.search_image_sets(desk.datastore_id, ImageSetSearch())
    return sorted((one.version.series_instance_uid, one.version.version, one.version.instance_count) for one in found)


# -- what is stored


async def test_files_become_image_sets_of_one_version(desk: Desk) -> None:
    """A series is one image set, wherever in the input its files lie."""
    for number, file in enumerate(ct_study()):
        desk.put(f"{number % 3}/{number}.dcm", file)

    await desk.carry_out()

    assert [(version, count) for _, version, count in await image_sets(desk)] == [(1, 2), (1, 5)]


async def test_image_set_gets_one_version_from_a_job_of_many_packs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients look whether the version is 1: how the gateway divides its work is not theirs to see."""
    monkeypatch.setattr(import_run, "PACK_FILES", 2)
    for number, file in enumerate(ct_series(7)):
        desk.put(f"{number}.dcm", file)

    await desk.carry_out()

    assert await image_sets(desk) == [(f"{STUDY}.1", 1, 7)]


async def test_same_input_again_makes_no_version(desk: Desk) -> None:
    """The same bytes are no news, and the output names the image sets they are in."""
    for number, file in enumerate(ct_series(3)):
        desk.put(f"{number}.dcm", file)

    first = await desk.carry_out(1)
    second = await desk.carry_out(2)

    assert await image_sets(desk) == [(f"{STUDY}.1", 1, 3)]
    assert records(second, "SUCCESS/success.ndjson") == records(first, "SUCCESS/success.ndjson")


async def test_stored_object_is_the_file(desk: Desk) -> None:
    """Byte for byte but for the preamble; big values that had to be swapped are there too."""
    files = {name: sample(name).read_bytes() for name in ("ExplVR_BigEnd.dcm", "liver_1frame.dcm", "image_dfl.dcm")}
    for name, file in files.items():
        desk.put(name, file)

    folder = await desk.carry_out()

    for success in records(folder, "SUCCESS/success.ndjson"):
        image_set_id = success["importResponse"]["imageSetId"]
        [stored] = (await desk.store.objects(desk.datastore_id, image_set_id)).values()
        expected = files[success["inputFile"]]
        assert bytes(await desk.store.read(stored.address))[128:] == expected[128:]


# -- what is written


async def test_output_is_as_the_service_prints_it(desk: Desk) -> None:
    """Every member, of every file."""
    for number, file in enumerate(ct_series(2)):
        desk.put(f"ct/{number}.dcm", file)
    desk.put("notes.txt", b"not DICOM")

    folder = await desk.carry_out()

    [image_set] = await desk.store.search_image_sets(desk.datastore_id, ImageSetSearch())
    image_set_id = image_set.version.image_set_id
    response = {"imageSetId": image_set_id, "isPrimary": True}
    uri = f"s3://job-output/{desk.datastore_id}-DicomImport-{1:032}/"
    assert records(folder, "SUCCESS/success.ndjson") == [
        {"inputFile": "ct/0.dcm", "importResponse": response},
        {"inputFile": "ct/1.dcm", "importResponse": response},
    ]
    assert records(folder, "FAILURE/failure.ndjson") == [
        {
            "inputFile": "notes.txt",
            "exception": {"exceptionType": "ValidationException", "message": "DICOM attributes does not exist"},
        }
    ]
    assert records(folder, "WARNING/warning.ndjson") == []
    assert summary(folder) == {
        "jobId": f"{1:032}",
        "datastoreId": desk.datastore_id,
        "inputS3Uri": "s3://dicom-input/",
        "outputS3Uri": uri,
        "successOutputS3Uri": f"{uri}SUCCESS/",
        "failureOutputS3Uri": f"{uri}FAILURE/",
        "warningsOutputS3Uri": f"{uri}WARNING/",
        "numberOfScannedFiles": 3,
        "numberOfImportedFiles": 2,
        "numberOfFilesWithCustomerError": 1,
        "numberOfFilesWithServerError": 0,
        "numberOfGeneratedImageSets": 1,
        "imageSetsSummary": [
            {"imageSetId": image_set_id, "imageSetVersion": 1, "isPrimary": True, "numberOfMatchedSOPInstances": 2}
        ],
    }


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "DICOM attributes does not exist"),
        (bytes(1000), "DICOM attributes does not exist"),
        (sample("meta_missing_tsyntax.dcm").read_bytes(), "DICOM attribute TransferSyntaxUID does not exist"),
        (instance(StudyInstanceUID=None), "DICOM attribute StudyInstanceUID does not exist"),
        (instance(SOPClassUID=None), "DICOM attribute SOPClassUID does not exist"),
        (instance()[:-5000], "7FE00010 is longer than what is left of the file or of its item"),
    ],
    ids=["empty", "no DICOM", "no transfer syntax", "no study", "no SOP class", "cut"],
)
async def test_file_that_cannot_be_imported_says_why(desk: Desk, file: bytes, message: str) -> None:
    """In the service's words where they are known, and the others are imported."""
    desk.put("bad.dcm", file)
    desk.put("good.dcm", instance())

    folder = await desk.carry_out()

    [failure] = records(folder, "FAILURE/failure.ndjson")
    assert failure["inputFile"] == "bad.dcm"
    assert failure["exception"]["message"].startswith(message)
    assert summary(folder)["numberOfImportedFiles"] == 1


async def test_link_in_the_input_is_a_failure(desk: Desk) -> None:
    """Nothing of the input is left out without a word."""
    desk.put("good.dcm", instance())
    (desk.folder / "in" / "link.dcm").symlink_to(desk.folder / "in" / "good.dcm")

    folder = await desk.carry_out()

    [failure] = records(folder, "FAILURE/failure.ndjson")
    assert failure["exception"]["message"] == "a symbolic link, which is not followed"


async def test_contradicting_instance_is_in_a_non_primary_image_set(desk: Desk) -> None:
    """Success with isPrimary false."""
    desk.put("1.dcm", instance(instance_number=1))
    desk.put("2.dcm", instance(instance_number=2, PatientID="somebody else"))

    folder = await desk.carry_out()

    found = records(folder, "SUCCESS/success.ndjson")
    assert [one["importResponse"]["isPrimary"] for one in found] == [True, False]
    assert [one["isPrimary"] for one in summary(folder)["imageSetsSummary"]] == [True, False]


# -- warnings


@pytest.mark.parametrize(
    ("odd", "code", "kind"),
    [
        ({"PatientName": "Another^Name"}, 45056, "CoercionOfDataElements"),
        ({"study": "1.2.03"}, 45570, "InvalidUidFormat"),
        ({"study": "1.2.4", "PatientName": "n" * 257}, 45571, "InvalidDicomValueLength"),
        ({"study": "1.2.5", "Rows": None}, 45328, "FramesExtractionFailure"),
        ({"study": "1.2.6", "NumberOfFrames": 2}, 45329, "FrameNumberMismatch"),
    ],
    ids=["coerced", "irregular UID", "long value", "no rows", "frames missing"],
)
async def test_file_imported_with_a_warning_is_in_both_lists(
    desk: Desk, odd: dict[str, Any], code: int, kind: str
) -> None:
    """It was imported, and something is odd about it."""
    desk.put("1.dcm", instance(instance_number=1))
    with warnings.catch_warnings(action="ignore"):  # pydicom's, of what it is asked to write
        desk.put("2.dcm", instance(instance_number=2, **odd))

    folder = await desk.carry_out()

    [warning] = records(folder, "WARNING/warning.ndjson")
    told = warning["importResponse"]["warnings"][0]
    assert (warning["inputFile"], told["warning_reason_code"], told["type"]) == ("2.dcm", code, kind)
    assert told["message"].startswith("The file was imported")
    assert warning["importResponse"].keys() == {"imageSetId", "imageSetVersion", "isPrimary", "warnings"}
    assert summary(folder)["numberOfImportedFiles"] == 2


async def test_wrong_offset_table_is_warned_of_in_the_words_of_the_service(desk: Desk) -> None:
    """The one warning whose sentence AWS prints."""
    file = sample("SC_rgb_rle_2frame.dcm").read_bytes()
    table = b"\xfe\xff\x00\xe0\x08\0\0\0" + bytes(4)
    assert file.count(table + (672).to_bytes(4, "little")) == 1
    desk.put("1.dcm", file.replace(table + (672).to_bytes(4, "little"), table + (670).to_bytes(4, "little")))

    folder = await desk.carry_out()

    [warning] = records(folder, "WARNING/warning.ndjson")
    assert warning["importResponse"]["warnings"] == [
        {
            "warning_reason_code": 45330,
            "type": "InvalidOffsetTable",
            "message": "The file was imported but contains an invalid offset table, may see issues when retrieving "
            "certain frames.",
        }
    ]


async def test_unknown_transfer_syntax_is_warned_of(desk: Desk) -> None:
    """The file is kept, and its frames are what it has."""
    dataset = pydicom.dcmread(sample("SC_rgb_jpeg_dcmtk.dcm"))
    dataset.file_meta.TransferSyntaxUID = UID("1.2.826.0.1.3680043.8.498.99")
    file = io.BytesIO()
    dataset.save_as(file, implicit_vr=False, little_endian=True)
    desk.put("1.dcm", file.getvalue())

    folder = await desk.carry_out()

    [warning] = records(folder, "WARNING/warning.ndjson")
    [told] = warning["importResponse"]["warnings"]
    assert (told["warning_reason_code"], told["type"]) == (45344, "UnsupportedTransferSyntax")


@pytest.mark.parametrize(
    ("file", "code", "kind"),
    [
        pytest.param(sample("chrJapMulti.dcm").read_bytes(), 45063, "SopClassDataMismatch", id="Rows without pixels"),
        pytest.param(
            sample("SC_jpeg_no_color_transform.dcm").read_bytes(), 45063, "SopClassDataMismatch", id="no Modality"
        ),
        pytest.param(
            sample("JPEG2000-embedded-sequence-delimiter.dcm").read_bytes(),
            45312,
            "TranscodingException",
            id="other Rows than the codestream's",
        ),
        pytest.param(
            sample("MR_small_jp2klossless.dcm").read_bytes().replace(b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x00"),
            45312,
            "TranscodingException",
            id="damaged codestream",
        ),
        pytest.param(
            # JPEG 2000 Part 2, which AWS transcodes and nothing here decodes; as long as the UID that it replaces.
            sample("MR_small_jp2klossless.dcm")
            .read_bytes()
            .replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.92"),
            45312,
            "TranscodingException",
            id="not decoded here",
        ),
    ],
)
async def test_real_file_that_is_odd_is_imported_with_one_warning(
    desk: Desk, file: bytes, code: int, kind: str
) -> None:
    """And is stored byte for byte."""
    desk.put("1.dcm", file)

    folder = await desk.carry_out()

    [warning] = records(folder, "WARNING/warning.ndjson")
    [told] = warning["importResponse"]["warnings"]
    assert (told["warning_reason_code"], told["type"]) == (code, kind)
    [stored] = (await desk.store.objects(desk.datastore_id, warning["importResponse"]["imageSetId"])).values()
    assert bytes(await desk.store.read(stored.address))[128:] == file[128:]


async def test_imported_instance_is_found_by_its_warning(desk: Desk) -> None:
    """That of warning.ndjson, as long as the instance is there."""
    desk.put("1.dcm", sample("JPEG2000-embedded-sequence-delimiter.dcm").read_bytes())
    desk.put("2.dcm", sample("CT_small.dcm").read_bytes())
    await desk.carry_out()
    condition = Condition(("00081196",), "US", "single", ("45312",))

    [found] = (await desk.store.search(desk.datastore_id, Query("Instance", (condition,)))).matches

    assert found.dataset["00081196"].values == (45312,)
    assert found.dataset["00080016"].values == ("1.2.840.10008.5.1.4.1.1.7",)


async def test_other_sop_class_in_the_file_meta_information_is_warned_of(desk: Desk) -> None:
    """PS3.10 has them equal."""
    dataset = pydicom.dcmread(io.BytesIO(instance()))
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
    file = io.BytesIO()
    dataset.save_as(file)
    desk.put("1.dcm", file.getvalue())

    folder = await desk.carry_out()

    [warning] = records(folder, "WARNING/warning.ndjson")
    assert [told["warning_reason_code"] for told in warning["importResponse"]["warnings"]] == [45063]


KEPT_AS_THEY_CAME = ["SC_rgb_jpeg_dcmtk.dcm", "JPEG2000.dcm", "color3d_jpeg_baseline.dcm", "liver_1frame.dcm"]


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "waveform_ecg.dcm", *KEPT_AS_THEY_CAME])
async def test_file_that_is_as_it_should_be_has_no_warning(desk: Desk, name: str) -> None:
    """Of each kind: images of every way to keep them, and none."""
    desk.put("1.dcm", sample(name).read_bytes())

    folder = await desk.carry_out()

    assert records(folder, "WARNING/warning.ndjson") == []
    assert summary(folder)["numberOfImportedFiles"] == 1


# -- what fails


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(files=2), "FILE_COUNTS_LIMIT_EXCEEDED"),
        (Limits(folders=2), "FOLDER_COUNTS_LIMIT_EXCEEDED"),
        (Limits(size=50_000), "INPUT_SIZE_LIMIT_EXCEEDED"),
    ],
)
async def test_input_beyond_a_limit_fails_before_anything_is_stored(desk: Desk, limits: Limits, code: str) -> None:
    """The message begins with a word for programs."""
    for number, file in enumerate(ct_series(3)):
        desk.put(f"{number}/{number}.dcm", file)

    with pytest.raises(ImportFailed, match=f"^{code}: "):
        await desk.run(await desk.submit(), limits=limits)[0].carry_out()

    assert await image_sets(desk) == []


async def test_input_that_grew_beyond_the_limit_fails(desk: Desk) -> None:
    """What is listed and what is read may differ."""
    desk.put("1.dcm", instance())
    run, source = desk.run(await desk.submit(), limits=Limits(size=1_000_000))
    desk.put("1.dcm", instance())
    run.size = 990_000

    with pytest.raises(ImportFailed, match="^INPUT_SIZE_LIMIT_EXCEEDED"):
        await run.carry_out()


async def test_empty_input_fails(desk: Desk) -> None:
    """A prefix misspelt is no success."""
    with pytest.raises(ImportFailed, match="^NO_INPUT_FILES"):
        await desk.carry_out()


async def test_input_that_cannot_be_listed_fails(desk: Desk) -> None:
    """The sentence is the disk's, without the path."""
    (desk.folder / "in").rmdir()

    with pytest.raises(ImportFailed, match="^INPUT_NOT_READABLE: the folder cannot be read: No such file"):
        await desk.carry_out()


async def test_output_that_cannot_be_written_fails(desk: Desk) -> None:
    """What was imported stays; a job that repeats it changes nothing."""
    desk.put("1.dcm", instance())
    (desk.folder / "out").rmdir()

    with pytest.raises(ImportFailed, match="^OUTPUT_NOT_WRITABLE"):
        await desk.carry_out()

    assert await image_sets(desk) == [(f"{STUDY}.1", 1, 1)]


async def test_data_store_that_went_fails(desk: Desk) -> None:
    """Nothing is stored where nothing can be stored."""
    desk.put("1.dcm", instance())
    other = (await desk.store.create_datastore("other", {}, {})).datastore_id
    desk.datastore_id = other
    job = await desk.submit()
    await desk.store.delete_datastore(other)

    with pytest.raises(NotFound):
        await desk.run(job)[0].carry_out()


# -- stopping and going on


@pytest.mark.parametrize("checks", range(13))
async def test_stopped_job_goes_on_where_it_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch, checks: int) -> None:
    """At whichever of its steps: the same image sets, and no file of a finished pack read twice."""
    monkeypatch.setattr(import_run, "PACK_FILES", 2)
    for number, file in enumerate([*ct_study(), instance()]):
        desk.put(f"{number}.dcm", file)
    job = await desk.submit()
    stopped, _ = desk.run(job, after(checks))
    with contextlib.suppress(Stopped):
        await stopped.carry_out()
    kept = {file.path for file in await desk.store.imports.files(job.job_id)}

    run, source = desk.run(job)
    await run.carry_out()

    assert [(version, count) for _, version, count in await image_sets(desk)] == [(1, 1), (1, 2), (1, 5)]
    assert set(source.reads) == {f"{number}.dcm" for number in range(8)} - kept
    assert summary(desk.output(job))["numberOfImportedFiles"] == 8


async def test_study_that_was_placed_and_not_noted_is_not_placed_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two leaves the image set as it is."""
    for number, file in enumerate(ct_series(3)):
        desk.put(f"{number}.dcm", file)
    job = await desk.submit()

    async def crash(*args: object) -> None:
        raise StorageFull("no room")

    with monkeypatch.context() as crashing:
        crashing.setattr(desk.store.imports, "record", crash)
        with pytest.raises(StorageFull):
            await desk.run(job)[0].carry_out()
    await desk.run(job)[0].carry_out()

    assert await image_sets(desk) == [(f"{STUDY}.1", 1, 3)]
    assert summary(desk.output(job))["imageSetsSummary"][0]["imageSetVersion"] == 1


async def test_output_of_the_job_itself_is_no_input(desk: Desk) -> None:
    """Where the output is below the input, a job that was stopped while writing does not import what it wrote."""
    desk.put("1.dcm", instance())
    job = await desk.submit()
    desk.put(f"{desk.datastore_id}-DicomImport-{job.job_id}/SUCCESS/success.ndjson", b"{}")

    await desk.run(job)[0].carry_out()

    assert summary(desk.output(job))["numberOfScannedFiles"] == 1


async def test_name_that_is_no_text_is_escaped_in_the_output(desk: Desk) -> None:
    """JSON has no bytes."""
    (Path(bytes(desk.folder / "in").decode()) / "\udcff.dcm").write_bytes(instance())

    folder = await desk.carry_out()

    assert records(folder, "SUCCESS/success.ndjson")[0]["inputFile"] == "\\udcff.dcm"
