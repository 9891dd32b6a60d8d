"""Store: PS3.18 section 10.5. S1 to S14 are lines of a checklist, T54 to T71 of a list of threats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from gateway.app import create_app
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import Server, app_client
from tests.dicomweb.wire import STOW, in_pieces, multipart, stored, stow, value, values
from tests.samples import ct_series, instance

STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "http://gateway.test/dicomweb"


async def study_count(client: httpx.AsyncClient) -> int:
    """Return how many studies a search finds."""
    response = await client.get("/dicomweb/studies")
    return 0 if response.status_code == 204 else len(response.json())


# -- what is stored


async def test_an_instance_is_stored_and_referenced(client: httpx.AsyncClient) -> None:
    """S1, S8: 200, and PS3.18 Table I.1-1: what was stored and where it is; no sequence of failures."""
    response = await stow(client, instance(study=STUDY))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    assert response.json() == {
        "00081190": {"vr": "UR", "Value": [f"{ROOT}/studies/{STUDY}"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CT_IMAGE]},
                    "00081155": {"vr": "UI", "Value": [f"{SERIES}.1"]},
                    "00081190": {
                        "vr": "UR",
                        "Value": [f"{ROOT}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"],
                    },
                }
            ],
        },
    }


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary=BOUNDARY',
        "multipart/related; type=application/dicom; boundary=BOUNDARY",
        'Multipart/Related; Boundary="BOUNDARY"; Type="Application/DICOM"',
        "multipart/related; boundary=BOUNDARY",
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1; boundary=BOUNDARY',
    ],
)
async def test_every_spelling_of_the_content_type_is_taken(client: httpx.AsyncClient, content_type: str) -> None:
    """S2: quoted, unquoted, no type at all, parameters nobody asked for."""
    response = await client.post(
        "/dicomweb/studies", content=multipart([instance()]), headers={"Content-Type": content_type}
    )

    assert response.status_code == 200


async def test_preamble_and_epilogue_are_skipped(client: httpx.AsyncClient) -> None:
    """S2: a boundary of odd characters, text before the first and after the last."""
    boundary = "'()+_,-./:=? x"
    body = b"a preamble\r\n" + multipart([instance()], boundary=boundary) + b"an epilogue"

    response = await client.post(
        "/dicomweb/studies", content=body, headers={"Content-Type": f'multipart/related; boundary="{boundary}"'}
    )

    assert response.status_code == 200


async def test_a_single_part_is_stored(client: httpx.AsyncClient) -> None:
    """S5: not in the standard, and common."""
    response = await client.post("/dicomweb/studies", content=instance(), headers={"Content-Type": "application/dicom"})

    assert response.status_code == 200 and await study_count(client) == 1


async def test_a_body_of_unknown_length_is_stored(client: httpx.AsyncClient) -> None:
    """S6: dicomweb-client sends chunked bodies above 1 MB."""
    response = await client.post(
        "/dicomweb/studies", content=in_pieces(multipart(ct_series())), headers={"Content-Type": STOW}
    )

    assert response.status_code == 200 and len(values(response.json(), "00081199")) == 5


@pytest.mark.parametrize("size", [5_000, 65_536, 262_144, 20_000_000])
async def test_a_large_body_is_stored_the_same_however_it_is_cut(
    client: httpx.AsyncClient, store: Store, datastore_id: str, size: int
) -> None:
    """Some of it is done where it arrives, and the rest by threads: each file is whole, and what fails fails alone."""
    pixels = [bytes([number]) * (700_000 * number) for number in range(4)]
    files = [instance(study=STUDY, instance_number=n, PixelData=pixels[n] or b"\0\0") for n in range(4)]
    cut = instance(study=STUDY, instance_number=9)[:-1000]
    body = multipart([*files[:2], b"not DICOM", *files[2:], cut])

    response = await client.post("/dicomweb/studies", content=in_pieces(body, size), headers={"Content-Type": STOW})

    assert response.status_code == 202
    assert [value(one, "00081155") for one in values(response.json(), "00081199")] == [
        f"{SERIES}.{n}" for n in range(4)
    ]
    assert [value(one, "00081155") for one in values(response.json(), "00081198")] == [f"{SERIES}.9"]
    assert len(values(response.json(), "0008119A")) == 1
    [member] = (await store.study(datastore_id, STUDY)).members
    kept = [one.address for one in (await store.objects(datastore_id, member.image_set_id)).values()]
    assert [bytes(await store.read(address)) for address in kept] == [bytes(128) + file[128:] for file in files]


@pytest.mark.parametrize("size", [65_536, 20_000_000])
async def test_a_large_single_part_is_stored(client: httpx.AsyncClient, size: int) -> None:
    """S5: to its end, which no delimiter says."""
    file = instance(PixelData=b"\1" * 3_000_000)

    response = await client.post(
        "/dicomweb/studies", content=in_pieces(file, size), headers={"Content-Type": "application/dicom"}
    )

    assert response.status_code == 200 and await study_count(client) == 1


async def test_the_preamble_of_a_file_is_zeroed(client: httpx.AsyncClient, store: Store, datastore_id: str) -> None:
    """S13: a DICOM file that is a Windows program as well is none any more; nothing else changes."""
    original = instance(study=STUDY)

    await stored(client, b"MZ" + b"\x90" * 126 + original[128:])

    [member] = (await store.study(datastore_id, STUDY)).members
    [stored_object] = (await store.objects(datastore_id, member.image_set_id)).values()
    assert bytes(await store.read(stored_object.address)) == bytes(128) + original[128:]


async def test_instances_of_several_studies_have_no_common_address(client: httpx.AsyncClient) -> None:
    """S8: (0008,1190) is type 2, empty here; each instance has its own."""
    response = await stow(client, instance(study="1.2.3"), instance(study="1.2.4"))

    assert response.json()["00081190"] == {"vr": "UR"}
    assert [value(item, "00081190").split("/")[5] for item in values(response.json(), "00081199")] == ["1.2.3", "1.2.4"]


async def test_the_same_bytes_again_change_nothing(client: httpx.AsyncClient, store: Store, datastore_id: str) -> None:
    """S11: storing is idempotent, so a client may send again what it got no answer for."""
    await stored(client, instance(study=STUDY))

    await stored(client, instance(study=STUDY))

    assert (await store.study(datastore_id, STUDY)).version == 1


async def test_the_same_instance_with_other_content_is_a_new_version(
    client: httpx.AsyncClient, store: Store, datastore_id: str
) -> None:
    """S11: nothing is overwritten, both can be read."""
    await stored(client, instance(study=STUDY))

    await stored(client, instance(study=STUDY, ImageComments="repeated"))

    assert (await store.study(datastore_id, STUDY)).version == 2


@pytest.mark.parametrize("size", [1, 2_000_000], ids=["small", "large"])
async def test_an_instance_that_comes_twice_in_one_request_has_two_versions(
    client: httpx.AsyncClient, size: int
) -> None:
    """S11: what was acknowledged can be read, the first one too; the same bytes once more are no version."""
    first, second = (instance(study=STUDY, TextValue=text * size) for text in "ab")

    response = await stow(client, first, second, second)

    path = f"/dicomweb/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/metadata"
    versions = [(await client.get(f"{path}?version={number}")).json()[0]["0040A160"]["Value"] for number in (1, 2)]
    assert response.status_code == 200 and len(values(response.json(), "00081199")) == 3
    assert versions == [["a" * size], ["b" * size]]
    assert (await client.get(f"{path}?version=3")).status_code == 404


# -- what is refused, part by part


async def test_a_part_that_cannot_be_read_fails_alone(client: httpx.AsyncClient) -> None:
    """S7, S9: 202; what has no UIDs is in OtherFailuresSequence (0008,119A), 0xC000."""
    response = await stow(client, b"not DICOM", instance(study=STUDY))

    assert response.status_code == 202
    assert response.json()["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    assert "00081198" not in response.json() and len(values(response.json(), "00081199")) == 1


async def test_a_part_that_is_cut_is_named_all_the_same(client: httpx.AsyncClient) -> None:
    """S9: the file meta information says which instance it is, so the sender knows which to send again."""
    response = await stow(client, instance(study="1.2.3")[:-1000], instance(study=STUDY))

    assert response.status_code == 202
    assert values(response.json(), "00081198") == [
        {
            "00081150": {"vr": "UI", "Value": [CT_IMAGE]},
            "00081155": {"vr": "UI", "Value": ["1.2.3.1.1"]},
            "00081197": {"vr": "US", "Value": [0xC000]},
        }
    ]
    assert "0008119A" not in response.json()


async def test_only_cut_parts_are_bad_syntax(client: httpx.AsyncClient) -> None:
    """S7: 400, named or not: a sentence for each says what is wrong, and where."""
    response = await stow(client, instance(study="1.2.3")[:-1000], b"not DICOM")

    assert response.status_code == 400
    assert response.json()["detail"].startswith("part 1: ") and "part 2: " in response.json()["detail"]


async def test_an_instance_of_another_study_than_the_path_fails_alone(client: httpx.AsyncClient) -> None:
    """S10: 43265 = 0xA901, and the others are stored."""
    files = instance(study=STUDY), instance(study="1.2.3")

    response = await stow(client, *files, path=f"/dicomweb/studies/{STUDY}")

    assert response.status_code == 202
    [failed] = values(response.json(), "00081198")
    assert failed == {
        "00081150": {"vr": "UI", "Value": [CT_IMAGE]},
        "00081155": {"vr": "UI", "Value": ["1.2.3.1.1"]},
        "00081197": {"vr": "US", "Value": [43265]},
    }


async def test_nothing_stored_for_a_conflict_is_409(client: httpx.AsyncClient) -> None:
    """S7: 409, with the same dataset, and nothing is there afterwards."""
    response = await stow(client, instance(study="1.2.3"), path=f"/dicomweb/studies/{STUDY}")

    assert response.status_code == 409
    assert "00081199" not in response.json() and await study_count(client) == 0


@pytest.mark.parametrize(
    "file",
    [
        instance(StudyInstanceUID=None),
        instance(study=STUDY).replace(b"\x1c\x00" + STUDY.encode(), b"\x1c\x00../../../../../etc/passwd/x"),
    ],
    ids=["no Study Instance UID", "a path"],
)
async def test_an_instance_without_usable_uids_is_not_understood(client: httpx.AsyncClient, file: bytes) -> None:
    """T43: 0xC000, named by the UIDs that can be read."""
    response = await stow(client, file)

    assert response.status_code == 409
    [failed] = values(response.json(), "00081198")
    assert (value(failed, "00081155"), value(failed, "00081197")) == (f"{SERIES}.1", 0xC000)


@pytest.mark.parametrize("body", [b"not DICOM", instance()[:2000], b""], ids=["text", "truncated", "empty part"])
async def test_a_body_of_which_nothing_can_be_read_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    """S7: 400, with a sentence for each part, and nothing is stored."""
    response = await stow(client, body)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"].startswith("part 1: ") and await study_count(client) == 0


# -- warnings


async def test_an_unusual_uid_is_stored_with_a_warning(client: httpx.AsyncClient) -> None:
    """45570: PS3.5 section 9.1 does not allow a leading zero, and archives have it."""
    file = instance(study=STUDY).replace(b"8.498.1", b"8.49.01")

    response = await stow(client, file)

    assert response.status_code == 202
    assert value(values(response.json(), "00081199")[0], "00081196") == 45570


async def test_a_coerced_instance_says_what_it_came_with(client: httpx.AsyncClient) -> None:
    """S12: 45056 = 0xB000, and the attributes as they came in OriginalAttributesSequence (0400,0561)."""
    await stored(client, instance(study=STUDY, StudyDescription="CT Head"))

    response = await stow(client, instance(study=STUDY, instance_number=2, StudyDescription="CT head, late"))

    assert response.status_code == 202
    [item] = values(response.json(), "00081199")
    assert value(item, "00081196") == 45056
    [original] = values(item, "04000561")
    assert values(original, "04000550") == [{"00081030": {"vr": "LO", "Value": ["CT head, late"]}}]
    assert value(original, "04000565") == "COERCE"
    [kept] = (await client.get(f"{value(item, '00081190')}/metadata")).json()
    [in_object] = values(kept, "04000561")
    assert value(kept, "00081030") == "CT Head"
    moment = "04000562"  # the object says when it was stored, the response when it was answered
    assert in_object | {moment: ""} == original | {moment: ""}


async def test_an_instance_of_another_patient_is_stored_apart_with_a_warning(client: httpx.AsyncClient) -> None:
    """45088: it is in a non-primary image set, which DICOMweb does not see."""
    await stored(client, instance(study=STUDY, PatientID="A"))

    response = await stow(client, instance(study=STUDY, instance_number=2, PatientID="B"))

    assert response.status_code == 202
    assert value(values(response.json(), "00081199")[0], "00081196") == 45088


# -- bodies that are refused as a whole


@pytest.mark.parametrize("cut", [1, 30, 20_000], ids=["one byte", "the last boundary", "half of it"])
async def test_a_truncated_body_stores_nothing(client: httpx.AsyncClient, cut: int) -> None:
    """T65: a first part that is whole does not count."""
    body = multipart([instance(instance_number=1), instance(instance_number=2)]).rstrip(b"\r\n")

    response = await client.post("/dicomweb/studies", content=body[:-cut], headers={"Content-Type": STOW})

    assert response.status_code == 400 and "cut off" in response.json()["detail"]
    assert await study_count(client) == 0


REFUSED = {
    "no content type": ({}, b"x", 415),
    "no media type": ({"Content-Type": "x"}, b"x", 400),
    "text": ({"Content-Type": "text/plain"}, b"x", 415),
    "HTML": ({"Content-Type": 'multipart/related; type="text/html"; boundary=b'}, b"x", 415),
    "no boundary": ({"Content-Type": "multipart/related"}, b"x", 400),
    "long boundary": (
        {"Content-Type": f"multipart/related; boundary={'b' * 201}"},
        multipart([instance()], boundary="b" * 201),
        400,
    ),
    "gzip": ({"Content-Type": "application/dicom", "Content-Encoding": "gzip"}, b"x", 415),
    "empty body": ({"Content-Type": STOW}, b"", 400),
    "empty single part": ({"Content-Type": "application/dicom"}, b"", 400),
    "no parts": ({"Content-Type": STOW}, b"--BOUNDARY--\r\n", 400),
    "no such writer": ({"Content-Type": STOW, "Accept": "text/html"}, b"x", 406),
    "study that is no UID": ({"Content-Type": STOW}, b"x", 400),
}


@pytest.mark.parametrize(("headers", "body", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, request: pytest.FixtureRequest
) -> None:
    """S7, T59, T62: one clear problem, and nothing is stored."""
    path = "/dicomweb/studies/1.2a" if "no UID" in request.node.name else "/dicomweb/studies"

    response = await client.post(path, content=body, headers=headers)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("asked", ["true", "yes"])
async def test_a_dry_run_of_instances_is_refused(client: httpx.AsyncClient, asked: str) -> None:
    """dryRun=true is for edits: who asks that nothing is written does not find it stored."""
    response = await stow(client, instance(), path=f"/dicomweb/studies?dryRun={asked}")

    assert (response.status_code, response.json()["parameter"]) == (400, "dryRun")
    assert await study_count(client) == 0


async def test_an_unknown_data_store_is_not_found(client: httpx.AsyncClient) -> None:
    """Before anything is written."""
    response = await stow(client, instance(), path=f"/datastore/{'0' * 32}/studies")

    assert response.status_code == 404


@pytest.fixture
async def small(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that takes 100 kB and 3 parts."""
    limited = replace(settings, max_store_body=100_000, max_store_parts=3)
    async with app_client(create_app(limited, store)) as client:
        yield client


async def test_a_body_that_turns_out_too_large_is_refused(small: httpx.AsyncClient) -> None:
    """S7: counted as it streams, and nothing of it is stored."""
    body = multipart([instance(instance_number=number) for number in (1, 2, 3)])

    response = await small.post("/dicomweb/studies", content=in_pieces(body), headers={"Content-Type": STOW})

    assert response.status_code == 413 and await study_count(small) == 0


async def test_too_many_parts_are_refused(small: httpx.AsyncClient) -> None:
    """T64: 413 at the limit."""
    response = await stow(small, b"", b"", b"", b"")

    assert response.status_code == 413


# -- DICOM JSON


EDIT = (
    f'[{{"0020000D": {{"vr": "UI", "Value": ["{STUDY}"]}}, "00081030": {{"vr": "LO", "Value": ["Edited"]}}}}]'.encode()
)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/dicom+json", EDIT),
        (
            'multipart/related; type="application/dicom+json"; boundary=BOUNDARY',
            multipart([EDIT], "application/dicom+json"),
        ),
        (
            "multipart/related; type=application/dicom+json; boundary=BOUNDARY",
            multipart([EDIT], "application/dicom+json"),
        ),
    ],
)
async def test_dicom_json_is_an_edit(client: httpx.AsyncClient, content_type: str, body: bytes) -> None:
    """A dataset without pixel data changes what is stored, alone or in a multipart body."""
    await stored(client, instance(study=STUDY))

    response = await client.post("/dicomweb/studies", content=body, headers={"Content-Type": content_type})

    assert response.status_code == 200
    [study] = (await client.get("/dicomweb/studies?includefield=StudyDescription")).json()
    assert value(study, "00081030") == "Edited"


# -- a real client over a real socket


def test_dicomweb_client_stores(session_server: Server) -> None:
    """S6: dicomweb-client for Python, one small body and one above 1 MB, which it sends in chunks."""
    client = DICOMwebClient(session_server.dicomweb)
    files = [pydicom.dcmread(pydicom.filebase.DicomBytesIO(file)) for file in ct_series()]

    response = client.store_instances(files)
    chunked = client.store_instances(files * 8)

    assert len(response.ReferencedSOPSequence) == 5 and "FailedSOPSequence" not in response
    assert len(chunked.ReferencedSOPSequence) == 40
