"""WADO-URI: PS3.18 chapter 9."""

from __future__ import annotations

import httpx
import pytest

from tests.dicomweb.pixels import opened, stored_sample


async def asked(client: httpx.AsyncClient, name: str, root: str = "", **parameters: str) -> httpx.Response:
    """Store a sample file, and ask for it by a query string."""
    _, _, _, study, _, series, _, uid = (await stored_sample(client, name)).split("/")
    uids = {"studyUID": study, "seriesUID": series, "objectUID": uid}
    return await client.get(f"{root}/wado", params={"requestType": "WADO", **uids, **parameters})


@pytest.mark.parametrize("root", ["", "/dicomweb"])
async def test_an_image_is_a_jpeg(client: httpx.AsyncClient, root: str) -> None:
    """W12: at the top, and below a DICOMweb root."""
    assert opened(await asked(client, "CT_small.dcm", root)).format == "JPEG"


async def test_what_is_no_image_is_dicom(client: httpx.AsyncClient) -> None:
    """Where no content type is named."""
    response = await asked(client, "test-SR.dcm")

    assert response.headers["content-type"].startswith("application/dicom")
    assert response.content[128:132] == b"DICM"


async def test_dicom_comes_in_the_transfer_syntax_named(client: httpx.AsyncClient) -> None:
    """PS3.18 section 9.4: transferSyntax."""
    rle = "1.2.840.10008.1.2.5"

    response = await asked(client, "CT_small.dcm", contentType="application/dicom", transferSyntax=rle)

    assert response.headers["content-type"] == f"application/dicom; transfer-syntax={rle}"


async def test_parameters_of_pictures_are_obeyed(client: httpx.AsyncClient) -> None:
    """The picture fits into rows and columns."""
    parameters = {"rows": "32", "columns": "64", "windowCenter": "40", "windowWidth": "400", "frameNumber": "1"}

    image = opened(await asked(client, "CT_small.dcm", contentType="image/png", **parameters))

    assert (image.format, image.size) == ("PNG", (32, 32))


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"requestType": "x"}, 400),
        ({"anonymize": "yes"}, 400),
        ({"windowCenter": "1"}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"frameNumber": "2"}, 404),
        ({"contentType": "text/html"}, 406),
        ({"contentType": "application/dicom+json"}, 406),
    ],
)
async def test_other_requests_are_refused(client: httpx.AsyncClient, parameters: dict[str, str], status: int) -> None:
    """Anonymizing above all: who asks for it must not get names."""
    assert (await asked(client, "CT_small.dcm", **parameters)).status_code == status


async def test_uids_are_required(client: httpx.AsyncClient) -> None:
    """PS3.18 section 9.1.2.1."""
    assert (await client.get("/wado?requestType=WADO")).status_code == 400
