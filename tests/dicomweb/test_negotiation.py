"""Content negotiation: PS3.18 section 8.7, and the headers real clients send. N1 to N14 are lines of a checklist."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from gateway.app import create_app
from gateway.dicomweb.media_types import WRITTEN
from gateway.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    JSON,
    OCTETS,
    Choice,
    MediaType,
    Offer,
    acceptable,
    read_media_type,
)
from gateway.errors import InvalidHeader, InvalidQuery, NotAcceptable
from gateway.settings import Settings
from gateway.store.protocol import Store
from tests.conftest import app_client

JSONS = (Offer(DICOM_JSON), Offer(JSON))
INSTANCE = (Offer(DICOM, multipart=True), Offer(DICOM))
FRAME = (Offer(OCTETS), Offer("image/jls"))
ANY = ("*",)
OHIF = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"


@pytest.mark.parametrize(
    "text",
    [
        'multipart/related; type="application/dicom"; boundary="b c"',
        'Multipart/Related;TYPE=application/dicom;Boundary="b c";',
        'multipart/related ; boundary="b\\ c" ; type = application/dicom',
        'multipart/related; type="application/dicom"; boundary="b c"; type=text/xml',
    ],
)
def test_a_content_type_is_read_in_any_spelling(text: str) -> None:
    """N4: names in any case, parameters quoted or not, in any order; of a repeated one the first."""
    media_type = read_media_type(text)

    assert media_type.name == "multipart/related"
    assert (media_type.parameter("type"), media_type.parameter("boundary")) == ("application/dicom", "b c")


@pytest.mark.parametrize(
    "text", ["", "multipart", "a/b/c", "a/b; x", 'a/b; x="', "a/b c/d", "/", "a/b, c/d", 'a/b;x="y"z']
)
def test_what_is_no_media_type_is_refused(text: str) -> None:
    """RFC 9110 section 8.3.1."""
    with pytest.raises(InvalidHeader):
        read_media_type(text)


# Accept header, offers, the best choice.
CHOICES = {
    "nothing said": ("", JSONS, Choice(JSONS[0], ANY)),
    "anything": ("*/*", JSONS, Choice(JSONS[0], ANY)),
    "application/*": ("application/*", INSTANCE, Choice(INSTANCE[1], ANY)),
    "multipart/*": ("multipart/*", INSTANCE, Choice(INSTANCE[0], ANY)),
    "quality": ("application/dicom+json;q=0.1, application/json;q=0.9", JSONS, Choice(JSONS[1])),
    "quality 0": ("application/dicom+json;q=0, */*", JSONS, Choice(JSONS[1], ANY)),
    "quality 0 of a type": ("application/*;q=0, */*", FRAME, Choice(FRAME[1], ANY)),
    "quality below that of a wildcard": ("application/dicom+json;q=0.1, */*;q=0.9", JSONS, Choice(JSONS[1], ANY)),
    "quality above that of a wildcard": ("application/json;q=0.9, */*;q=0.1", JSONS, Choice(JSONS[1])),
    "quality 0 of a part": ('multipart/related; type="application/dicom";q=0, */*', INSTANCE, Choice(INSTANCE[1], ANY)),
    "quality 0 of a transfer syntax": (
        "application/dicom; transfer-syntax=1.2;q=0, application/dicom",
        INSTANCE,
        Choice(INSTANCE[1]),
    ),
    "wildcard last": ("*/*, application/json", JSONS, Choice(JSONS[1])),
    "OHIF": (OHIF, JSONS, Choice(JSONS[0])),
    "type unquoted": ("multipart/related; type=application/dicom", INSTANCE, Choice(INSTANCE[0])),
    "type quoted": ('multipart/related; type="application/dicom"', INSTANCE, Choice(INSTANCE[0])),
    "type in capitals": ("MULTIPART/RELATED; TYPE=Application/DICOM", INSTANCE, Choice(INSTANCE[0])),
    "no type": ("multipart/related", INSTANCE, Choice(INSTANCE[0])),
    "transfer syntax": ("application/dicom; transfer-syntax=*", INSTANCE, Choice(INSTANCE[1], ("*",))),
    "transfer syntax twice": (
        "multipart/related; type=application/dicom; transfer-syntax=1.2; transfer-syntax=*",
        INSTANCE,
        Choice(INSTANCE[0], ("1.2", "*")),
    ),
    "one range is broken": ("nonsense, application/json", JSONS, Choice(JSONS[1])),
    "quality is no number": ("application/json;q=nan, application/dicom+json;q=0.5", JSONS, Choice(JSONS[0])),
    "a comma in quotes": ('text/html; x="a,b", application/json', JSONS, Choice(JSONS[1])),
}


@pytest.mark.parametrize(("accept", "offers", "best"), CHOICES.values(), ids=CHOICES.keys())
def test_the_best_of_what_a_client_accepts_is_chosen(accept: str, offers: tuple[Offer, ...], best: Choice) -> None:
    """N3 to N7: quality, wildcards, several ranges, every spelling; a missing header accepts anything."""
    assert acceptable([], [accept] if accept else [], offers)[0] == best


@pytest.mark.parametrize(
    ("accept", "offers"),
    [
        ("text/html", JSONS),
        ("application/dicom+xml", JSONS),
        ('multipart/related; type="application/dicom+xml"', INSTANCE),
        ('multipart/related; type="application/octet-stream"', INSTANCE),
        ("application/dicom", (Offer(DICOM, multipart=True),)),
        ("application/json;q=0", (Offer(JSON),)),
        ("application/*;q=0, */*", JSONS),
        ("*/*;q=0", JSONS),
        ("nonsense", JSONS),
        ("image/*", (Offer(OCTETS),)),
    ],
)
def test_what_is_not_written_is_not_acceptable(accept: str, offers: tuple[Offer, ...]) -> None:
    """N7, N10: 406, whose sentence says what there is."""
    with pytest.raises(NotAcceptable, match="application/"):
        acceptable([], [accept], offers)


def test_the_query_parameter_comes_before_the_header() -> None:
    """N1: PS3.18 8.7.8.1; the header is what is tried next."""
    assert acceptable(["application/json"], ["application/dicom+json"], JSONS) == [Choice(JSONS[1]), Choice(JSONS[0])]
    assert acceptable(["text/html"], ["application/json"], JSONS) == [Choice(JSONS[1])]


@pytest.mark.parametrize("value", ["application/dicom+json", "application/dicom json"])
def test_a_plus_in_the_query_parameter_may_arrive_as_a_space(value: str) -> None:
    """N2: browsers do not encode the plus sign of application/dicom+json."""
    assert acceptable([value], ["text/html"], JSONS) == [Choice(JSONS[0])]


@pytest.mark.parametrize("value", ["", "nonsense", "application/json;q=2", "application/json, nonsense"])
def test_a_query_parameter_that_is_no_media_type_is_refused(value: str) -> None:
    """N2: PS3.18 8.3, a supported parameter with a bad value is a bad request."""
    with pytest.raises(InvalidQuery) as raised:
        acceptable([value], ["*/*"], JSONS)
    assert raised.value.parameter == "accept"


def test_a_header_of_ten_thousand_ranges_is_cut_short() -> None:
    """T71: what a client could mean stands among the first 64."""
    with pytest.raises(NotAcceptable):
        acceptable([], ["text/html," * 10_000 + "application/json"], JSONS)


def test_a_media_type_without_parameters() -> None:
    """The plain case."""
    assert read_media_type("application/dicom") == MediaType("application/dicom")


# -- charset, and what the standard asks of clients


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "iso-8859-1, utf-8;q=0.5", "*", "us-ascii", ""])
async def test_utf8_is_a_charset_that_can_be_had(client: httpx.AsyncClient, charset: str) -> None:
    """N2: PS3.18 8.3.3.2; without the parameter, or empty, nothing was asked."""
    query = f"?charset={charset}" if charset else ""

    assert (await client.get(f"/dicomweb/studies{query}")).status_code == 204


@pytest.mark.parametrize(
    ("charset", "status"),
    [("klingon", 400), ("", 400), ("utf-8, klingon", 400), ("../../etc", 400), ("iso-8859-1", 406)],
)
async def test_a_charset_that_is_unknown_or_not_written_is_refused(
    client: httpx.AsyncClient, charset: str, status: int
) -> None:
    """N2: 400 for what is no character set, 406 for what is another one than UTF-8."""
    response = await client.get("/dicomweb/studies", params={"charset": charset})

    assert response.status_code == status


@pytest.fixture
async def strict(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with the setting strict_accept."""
    async with app_client(create_app(replace(settings, strict_accept=True), store)) as client:
        client.headers.pop("accept")
        yield client


async def test_a_missing_accept_header_is_anything_unless_the_setting_is_strict(
    client: httpx.AsyncClient, strict: httpx.AsyncClient
) -> None:
    """N7: PS3.18 8.7.5 says the header shall be there, and many clients leave it out."""
    client.headers.pop("accept")

    assert (await client.get("/dicomweb/studies")).status_code == 204
    assert (await strict.get("/dicomweb/studies")).status_code == 406
    assert (await strict.get("/dicomweb/studies?accept=application/json")).status_code == 204


async def test_a_mix_of_dicom_and_rendered_media_types_is_refused_if_the_setting_is_strict(
    client: httpx.AsyncClient, strict: httpx.AsyncClient
) -> None:
    """N7: 400; browsers and their libraries send such lists, so by default each range is tried in turn."""
    mixed, plain = {"Accept": "application/dicom+json, image/jpeg"}, {"Accept": "application/json, text/plain, */*"}

    assert (await client.get("/dicomweb/studies", headers=mixed)).status_code == 204
    assert (await strict.get("/dicomweb/studies", headers=mixed)).status_code == 400
    assert (await strict.get("/dicomweb/studies", headers=plain)).status_code == 204


def test_every_resource_is_written_in_dicom_json_or_dicom_as_the_tables_say() -> None:
    """N10, N11: PS3.18 Table 10.4.4-1: JSON is never multipart; a single part is one object."""
    assert not [
        offer for offers in WRITTEN.values() for offer in offers if offer.name == DICOM_JSON and offer.multipart
    ]
    assert [name for name, offers in WRITTEN.items() if Offer(DICOM) in offers] == ["Instance"]
    assert [name for name, offers in WRITTEN.items() if Offer(DICOM_XML) in offers] == [
        "Store Instances Response",
        "Metadata of an instance",
    ]
