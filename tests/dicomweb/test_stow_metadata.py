"""Store of metadata with bulk data: PS3.18 section 10.5.2. S3, S4 are lines of a checklist."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.encaps import generate_frames

from gateway.dicom.json_model import encode_json, parse_dataset, to_json
from gateway.dicom.part10 import read_part10
from gateway.dicom.xml_write import to_xml
from gateway.store.protocol import Store
from tests.dicomweb.wire import datasets, stored, value, values
from tests.samples import ODD, instance, sample

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"
EXPLICIT = "1.2.840.10008.1.2.1"
OCTETS = "application/octet-stream"
IMAGE_PIXEL = "00280002 00280004 00280006 00280010 00280011 00280100 00280101 00280102 00280103".split()
AS_STORED = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}

# Content type, Content-Location, bytes.
Part = tuple[str, str, bytes]


def metadata(file: bytes, pixels: str | None = "bulk/1", without: Sequence[str] = ()) -> dict[str, Any]:
    """Return a file's dataset in DICOM JSON, with the address of its pixel data."""
    dataset = read_part10(file, 2**31).dataset
    found: dict[str, Any] = json.loads(encode_json(to_json(dataset)))
    for tag in ("0020000D", "0020000E"):  # which some samples lack
        found.setdefault(tag, {"vr": "UI", "Value": ["1.2.3.4"]})
    if pixels:
        found["7FE00010"] = {"vr": "OW", "BulkDataURI": pixels}
    return {tag: member for tag, member in found.items() if tag not in without}


def as_xml(document: Mapping[str, Any]) -> bytes:
    """Return the same in the XML model."""
    return to_xml(parse_dataset(json.dumps(document).encode()))


async def store(
    client: httpx.AsyncClient,
    documents: Sequence[Mapping[str, Any]],
    parts: Sequence[Part] = (),
    kind: str = "application/dicom+json",
    path: str = "/dicomweb/studies",
    accept: str = "*/*",
) -> httpx.Response:
    """Post metadata, one array of JSON or a part of XML each, and its bulk data."""
    texts = [json.dumps(documents).encode()] if kind.endswith("json") else [as_xml(one) for one in documents]
    return await post(client, texts, parts, kind, path, accept)


async def post(
    client: httpx.AsyncClient,
    texts: Sequence[bytes],
    parts: Sequence[Part] = (),
    kind: str = "application/dicom+json",
    path: str = "/dicomweb/studies",
    accept: str = "*/*",
) -> httpx.Response:
    """Post documents as they are, and bulk data."""
    heads = [(f"Content-Type: {kind}", text) for text in texts]
    heads += [(f"Content-Type: {media_type}\r\nContent-Location: {at}", data) for media_type, at, data in parts]
    body = b"".join(b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in heads) + b"--b--"
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=b', "Accept": accept}
    return await client.post(path, content=body, headers=headers)


async def retrieved(client: httpx.AsyncClient, study: str) -> list[pydicom.Dataset]:
    """Return a study's instances as they are stored."""
    return datasets(await client.get(f"/dicomweb/studies/{study}", headers=AS_STORED))


def pixels(file: bytes) -> bytes:
    return bytes(pydicom.dcmread(io.BytesIO(file)).PixelData)


# -- what is stored


@pytest.mark.parametrize("kind", ["application/dicom+json", "application/dicom+xml"])
async def test_metadata_with_bulk_data_is_an_instance(client: httpx.AsyncClient, kind: str) -> None:
    """S3: one array of JSON for all instances, or one part of XML each; every attribute and every pixel comes back."""
    files = [instance(study=STUDY), instance(study=STUDY, instance_number=2)]
    documents = [metadata(file, f"bulk/{number}") for number, file in enumerate(files)]
    parts = [(OCTETS, f"bulk/{number}", pixels(file)) for number, file in enumerate(files)]

    response = await store(client, documents, parts, kind)

    assert response.status_code == 200, response.text
    assert [value(item, "00081155") for item in values(response.json(), "00081199")] == [f"{SERIES}.1", f"{SERIES}.2"]
    found = await retrieved(client, STUDY)
    assert [dataset.file_meta.TransferSyntaxUID for dataset in found] == [EXPLICIT, EXPLICIT]
    for dataset, file in zip(found, files, strict=True):
        original = pydicom.dcmread(io.BytesIO(file))
        assert {element.tag for element in dataset} == {element.tag for element in original}
        assert (dataset.PixelData, dataset.PatientName) == (original.PixelData, original.PatientName)


@pytest.mark.parametrize(
    "name",
    [
        "big endian",
        "implicit",
        "deflated",
        "segmentation",
        "ultrasound, multi-frame",
        "RT dose",
        "enhanced MR",
    ],
)
async def test_metadata_with_uncompressed_pixels_is_any_image(client: httpx.AsyncClient, name: str) -> None:
    """S3: application/octet-stream is little endian; several frames are one part."""
    file = ODD[name].read_bytes()
    original = pydicom.dcmread(io.BytesIO(file))
    if original.file_meta.TransferSyntaxUID.is_encapsulated:
        original.decompress()
    native = original.PixelData if name != "big endian" else original.pixel_array.astype("<u2").tobytes()

    response = await store(client, [metadata(file)], [(OCTETS, "bulk/1", native)])

    assert response.status_code in (200, 202), response.text
    [found] = await retrieved(client, original.StudyInstanceUID)
    assert found.PixelData == native + bytes(len(native) % 2)


# Name, the part's media type, the transfer syntax it becomes.
COMPRESSED = [
    ("JPEG baseline", "image/jpeg", "1.2.840.10008.1.2.4.50"),
    ("JPEG extended", "image/jpeg", "1.2.840.10008.1.2.4.51"),
    ("JPEG lossless", "image/jpeg", "1.2.840.10008.1.2.4.70"),
    ("JPEG-LS lossless", "image/jls", "1.2.840.10008.1.2.4.80"),
    ("JPEG-LS near-lossless", "image/jls", "1.2.840.10008.1.2.4.81"),
    ("JPEG 2000 lossless", "image/jp2", "1.2.840.10008.1.2.4.90"),
    ("JPEG 2000", "image/jp2", "1.2.840.10008.1.2.4.91"),
    ("RLE", "image/dicom-rle", "1.2.840.10008.1.2.5"),
    ("RLE, two frames", "image/dicom-rle", "1.2.840.10008.1.2.5"),
]


def frames(name: str) -> tuple[bytes, pydicom.Dataset, list[bytes]]:
    """Return a compressed file, as pydicom reads it, and its frames."""
    file = ODD[name].read_bytes()
    original = pydicom.dcmread(io.BytesIO(file))
    count = int(original.get("NumberOfFrames", 1))
    return file, original, list(generate_frames(original.PixelData, number_of_frames=count))


@pytest.mark.parametrize(("name", "media_type", "uid"), COMPRESSED, ids=[row[0] for row in COMPRESSED])
async def test_a_compressed_part_becomes_a_file_of_its_transfer_syntax(
    client: httpx.AsyncClient, name: str, media_type: str, uid: str
) -> None:
    """S3: image/jpeg is four transfer syntaxes; the codestream says which. Frames are parts of one Content-Location."""
    file, _, data = frames(name)
    document = metadata(file)

    response = await store(client, [document], [(media_type, "bulk/1", frame) for frame in data])

    assert response.status_code in (200, 202), response.text
    [found] = await retrieved(client, value(document, "0020000D"))
    assert found.file_meta.TransferSyntaxUID == uid
    count = len(data)
    assert [frame.rstrip(b"\0") for frame in generate_frames(found.PixelData, number_of_frames=count)] == [
        frame.rstrip(b"\0") for frame in data
    ]


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG lossless", "JPEG-LS lossless", "JPEG 2000 lossless"])
async def test_the_codestream_describes_the_pixels(client: httpx.AsyncClient, name: str) -> None:
    """S4: Table 10.5.2-1: with a compressed part, the Image Pixel Module may be left out of the metadata."""
    file, original, [frame] = frames(name)
    media_type = next(row[1] for row in COMPRESSED if row[0] == name)

    response = await store(client, [metadata(file, without=IMAGE_PIXEL)], [(media_type, "bulk/1", frame)])

    assert response.status_code in (200, 202), response.text
    [found] = await retrieved(client, original.StudyInstanceUID)
    described = ("Rows", "Columns", "SamplesPerPixel", "BitsStored", "PhotometricInterpretation", "HighBit")
    expected = [original.get(keyword) for keyword in described]
    assert [found.get(keyword) for keyword in described] == expected


async def test_a_transfer_syntax_in_the_media_type_is_kept(client: httpx.AsyncClient) -> None:
    """S3: what the client says, if the codestream may be called that."""
    file, original, [frame] = frames("JPEG 2000 lossless")
    media_type = "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.91"

    await store(client, [metadata(file)], [(media_type, "bulk/1", frame)])

    [found] = await retrieved(client, original.StudyInstanceUID)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.91"


async def test_bulk_data_of_any_attribute_comes_in_a_part(client: httpx.AsyncClient) -> None:
    """W2, S3: an encapsulated document, a double and a text, in sequences too, are what the bytes say."""
    item = {"00081160": {"vr": "IS", "BulkDataURI": "frames"}}
    document = metadata(instance(study=STUDY)) | {
        "00189073": {"vr": "FD", "BulkDataURI": "double"},
        "00420011": {"vr": "OB", "BulkDataURI": "document"},
        "00104000": {"vr": "LT", "BulkDataURI": "text"},
        "00081140": {"vr": "SQ", "Value": [item]},
    }
    parts = [
        (OCTETS, "bulk/1", pixels(instance())),
        (OCTETS, "double", b"\0\0\0\0\0\0\xf0\x3f"),
        ("application/pdf", "document", b"%PDF"),
        ("text/plain", "text", "Ä long text".encode()),
        (OCTETS, "frames", b"1\\2 "),
    ]

    response = await store(client, [document], parts)

    assert response.status_code == 200, response.text
    [found] = await retrieved(client, STUDY)
    assert (found.AcquisitionDuration, found.EncapsulatedDocument) == (1.0, b"%PDF")
    assert found.PatientComments == "Ä long text" and found.SpecificCharacterSet == "ISO_IR 192"
    assert found.ReferencedImageSequence[0].ReferencedFrameNumber == [1, 2]


async def test_an_instance_without_pixels_needs_no_part(client: httpx.AsyncClient) -> None:
    """S3: a structured report is complete in its metadata; what is large in it may be bulk data, and need not."""
    report = sample("test-SR.dcm").read_bytes()

    response = await store(client, [metadata(report, None)])

    assert response.status_code == 200, response.text
    [found] = await retrieved(client, pydicom.dcmread(io.BytesIO(report)).StudyInstanceUID)
    assert found.Modality == "SR" and len(found.ContentSequence) > 0


async def test_pixels_may_be_in_the_metadata(client: httpx.AsyncClient) -> None:
    """PS3.18 F.2.7: InlineBinary, as small images have it; here another instance brings a part."""
    document = metadata(instance(study=STUDY), None)
    dataset = pydicom.dcmread(io.BytesIO(instance(study=STUDY)))
    document["7FE00010"] = dataset["PixelData"].to_json_dict(None, 2**31)

    response = await store(client, [document])

    assert response.status_code == 200, response.text
    [found] = await retrieved(client, STUDY)
    assert found.PixelData == dataset.PixelData


async def test_the_same_instance_with_its_bulk_data_again_is_no_new_version(
    client: httpx.AsyncClient, store_: Store, datastore_id: str
) -> None:
    """S11: what is written from metadata is the same bytes each time."""
    part = (OCTETS, "bulk/1", pixels(instance()))

    for _ in range(2):
        await store(client, [metadata(instance(study=STUDY))], [part])
    first = (await store_.study(datastore_id, STUDY)).version
    await store(client, [metadata(instance(study=STUDY, ImageComments="other"))], [part])

    assert (first, (await store_.study(datastore_id, STUDY)).version) == (1, 2)


@pytest.fixture
def store_(store: Store) -> Store:
    """The store fixture, whose name the function here has."""
    return store


# -- what is an edit


@pytest.mark.parametrize("kind", ["application/dicom+json", "application/dicom+xml"])
async def test_metadata_of_a_stored_instance_alone_are_an_edit(client: httpx.AsyncClient, kind: str) -> None:
    """Whatever is stored already, and comes without bulk data, is changed and not replaced."""
    await stored(client, instance(study=STUDY))
    edit = {
        "0020000D": {"vr": "UI", "Value": [STUDY]},
        "0020000E": {"vr": "UI", "Value": [SERIES]},
        "00080018": {"vr": "UI", "Value": [f"{SERIES}.1"]},
        "00204000": {"vr": "LT", "Value": ["edited"]},
    }

    response = await store(client, [edit], kind=kind)

    assert response.status_code == 200, response.text
    [found] = await retrieved(client, STUDY)
    assert found.ImageComments == "edited" and found.PixelData == pixels(instance())


async def test_an_edit_in_xml_is_one_document(client: httpx.AsyncClient) -> None:
    """application/dicom+xml by itself, as application/dicom+json."""
    await stored(client, instance(study=STUDY))
    edit = {"0020000D": {"vr": "UI", "Value": [STUDY]}, "00081030": {"vr": "LO", "Value": ["Kopf"]}}

    response = await client.post(
        "/dicomweb/studies", content=as_xml(edit), headers={"Content-Type": "application/dicom+xml"}
    )

    assert response.status_code == 200, response.text
    assert (await retrieved(client, STUDY))[0].StudyDescription == "Kopf"


async def test_edits_and_instances_may_come_in_one_body(client: httpx.AsyncClient) -> None:
    """S3, S8: one answer names both."""
    await stored(client, instance(study=STUDY))
    edit = {"0020000D": {"vr": "UI", "Value": [STUDY]}, "00081030": {"vr": "LO", "Value": ["Kopf"]}}
    second = metadata(instance(study="1.2.3"))

    response = await store(client, [second, edit], [(OCTETS, "bulk/1", pixels(instance()))])

    assert response.status_code == 200, response.text
    assert len(values(response.json(), "00081199")) == 2
    assert (await retrieved(client, STUDY))[0].StudyDescription == "Kopf" and await retrieved(client, "1.2.3")


async def test_a_dry_run_stores_nothing(client: httpx.AsyncClient) -> None:
    """dryRun=true is for edits: a body with an instance is refused, before anything is written."""
    document, part = metadata(instance(study=STUDY)), (OCTETS, "bulk/1", pixels(instance()))

    response = await store(client, [document], [part], path="/dicomweb/studies?dryRun=true")

    assert response.status_code == 400
    assert (await client.get(f"/dicomweb/studies/{STUDY}")).status_code == 404


# -- what is refused


async def test_a_missing_part_fails_its_instance_alone(client: httpx.AsyncClient) -> None:
    """S3: 43298 = 0xA922, as dcm4chee has it; the instance whose part is there is stored."""
    documents = [metadata(instance(study=STUDY, instance_number=n), f"bulk/{n}") for n in (1, 2)]

    response = await store(client, documents, [(OCTETS, "bulk/1", pixels(instance()))])

    assert response.status_code == 202
    [failed] = values(response.json(), "00081198")
    assert (value(failed, "00081155"), value(failed, "00081197")) == (f"{SERIES}.2", 43298)


async def test_an_edit_of_what_is_not_there_makes_no_instance(client: httpx.AsyncClient) -> None:
    """S3: 43264; the UIDs, the pixels' description and the patient are not an instance."""
    response = await client.get("/dicomweb/instances?includefield=all")
    await stored(client, instance(study=STUDY))
    results = (await client.get("/dicomweb/instances")).json()
    results[0]["00080018"]["Value"] = ["1.2.3.4"]

    response = await store(client, results)

    assert response.status_code == 409
    assert value(values(response.json(), "00081198")[0], "00081197") == 0xA900


REFUSED: dict[str, tuple[Part, int]] = {
    "no such image": (("image/webp", "bulk/1", b"RIFF"), 0xC122),
    "another transfer syntax": (("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.90", "bulk/1", b""), 0xC122),
    "encapsulated octets": ((f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.50", "bulk/1", b""), 0xC122),
    "too few bytes": ((OCTETS, "bulk/1", bytes(100)), 0xC000),
    "no JPEG": (("image/jpeg", "bulk/1", bytes(100)), 0xC000),
    "empty": (("image/jp2", "bulk/1", b""), 0xC000),
}


@pytest.mark.parametrize(("part", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_pixels_that_are_not_what_they_say_are_refused(
    client: httpx.AsyncClient, part: Part, reason: int
) -> None:
    """S3, S4: 49442 = 0xC122 for a transfer syntax, 0xC000 for what is damaged; nothing is stored."""
    response = await store(client, [metadata(instance(study=STUDY))], [part])

    assert response.status_code == 409, response.text
    [failed] = values(response.json(), "00081198")
    assert (value(failed, "00081155"), value(failed, "00081197")) == (f"{SERIES}.1", reason)
    assert (await client.get(f"/dicomweb/studies/{STUDY}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("JPEG baseline", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70"), ("JPEG 2000", "image/jphc")],
)
async def test_a_codestream_of_another_syntax_is_refused(client: httpx.AsyncClient, name: str, media_type: str) -> None:
    """S3: a file that says lossless and is not would be believed."""
    file, original, [frame] = frames(name)

    response = await store(client, [metadata(file)], [(media_type, "bulk/1", frame)])

    assert response.status_code == 409 or original.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.91"


async def test_another_size_than_the_metadata_say_is_refused(client: httpx.AsyncClient) -> None:
    """S4: what may be left out may not be wrong."""
    file, _, [frame] = frames("JPEG 2000 lossless")
    document = metadata(file) | {"00280010": {"vr": "US", "Value": [9]}}

    response = await store(client, [document], [("image/jp2", "bulk/1", frame)])

    assert response.status_code == 409


async def test_another_number_of_frames_is_refused(client: httpx.AsyncClient) -> None:
    """S3: compressed frames are one part each."""
    file, _, [first, _] = frames("RLE, two frames")

    response = await store(client, [metadata(file)], [("image/dicom-rle", "bulk/1", first)])

    assert response.status_code == 409


async def test_an_instance_of_another_study_fails(client: httpx.AsyncClient) -> None:
    """S10: 43265, as for PS3.10."""
    part = (OCTETS, "bulk/1", pixels(instance()))

    response = await store(client, [metadata(instance(study=STUDY))], [part], path="/dicomweb/studies/1.2.3")

    assert response.status_code == 409
    assert value(values(response.json(), "00081198")[0], "00081197") == 43265


async def test_a_part_that_no_dataset_names_warns(client: httpx.AsyncClient) -> None:
    """Nothing a client sent is dropped in silence; a Content-Location is only compared, never followed (T67)."""
    parts = [(OCTETS, "bulk/1", pixels(instance())), (OCTETS, "../../../etc/passwd", b"x")]

    response = await store(client, [metadata(instance(study=STUDY))], parts)

    assert response.status_code == 200
    assert "1 bulk data parts have a Content-Location that no dataset names" in response.headers["warning"]


BODIES = {
    "no metadata": (b"--b\r\nContent-Type: image/jpeg\r\nContent-Location: a\r\n\r\nx\r\n--b--", 400),
    "bulk data without an address": (b"--b\r\nContent-Type: image/jpeg\r\n\r\nx\r\n--b--", 400),
    "no JSON": (b"--b\r\nContent-Type: application/dicom+json\r\n\r\n[\r\n--b--", 400),
    "cut off": (b"--b\r\nContent-Type: application/dicom+json\r\n\r\n[]", 400),
    "a document type": (b"--b\r\nContent-Type: application/dicom+xml\r\n\r\n<!DOCTYPE x []><x/>\r\n--b--", 400),
    "much metadata": (b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + b" " * 8_500_000 + b"\r\n--b--", 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_read_is_refused(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    """S7, T53, T59: one problem for the whole."""
    response = await client.post(
        "/dicomweb/studies",
        content=body,
        headers={"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'},
    )

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def test_the_answer_comes_in_xml(client: httpx.AsyncClient) -> None:
    """S8: application/dicom+xml, one document."""
    response = await store(
        client,
        [metadata(instance(study=STUDY))],
        [(OCTETS, "bulk/1", pixels(instance()))],
        accept="application/dicom+xml",
    )

    assert (response.status_code, response.headers["content-type"]) == (200, "application/dicom+xml")
    assert b'<DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence">' in response.content
