"""The Native DICOM Model: what is written, what is read, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from gateway.dicom.dataset import BulkData, Dataset, Element
from gateway.dicom.json_model import Limits
from gateway.dicom.part10 import read_part10
from gateway.dicom.xml_model import NAMESPACE, parse_xml
from gateway.dicom.xml_write import to_xml
from gateway.errors import InvalidDicomXml
from tests.samples import sample
from tests.strategies import datasets

HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
TAIL = "</NativeDicomModel>"


def document(*attributes: str) -> bytes:
    """Return a document of attributes."""
    return (HEAD + "".join(attributes) + TAIL).encode()


def one(attributes: str, content: str = "") -> bytes:
    """Return a document of one attribute."""
    return document(f"<DicomAttribute {attributes}>{content}</DicomAttribute>")


# Element, its XML: one row a kind of value.
FORMS: dict[str, tuple[str, Element, str]] = {
    "text": ("00081030", Element("LO", ("a<b & c",)), '<Value number="1">a&lt;b &amp; c</Value>'),
    "several values": (
        "00080008",
        Element("CS", ("MPG", "", "XR3")),
        '<Value number="1">MPG</Value><Value number="2"></Value><Value number="3">XR3</Value>',
    ),
    "empty": ("00080050", Element("SH"), ""),
    "decimal string": ("00101020", Element("DS", ("70.50 ",)), '<Value number="1">70.50 </Value>'),
    "integer": ("00280010", Element("US", (128,)), '<Value number="1">128</Value>'),
    "double": (
        "00189073",
        Element("FD", (0.1, -math.inf)),
        '<Value number="1">0.1</Value><Value number="2">-INF</Value>',
    ),
    "tag": ("00209165", Element("AT", ("0018901A",)), '<Value number="1">0018901A</Value>'),
    "name": (
        "00100010",
        Element("PN", ("Yamada^Tarou=山田^太郎",)),
        '<PersonName number="1">'
        "<Alphabetic><FamilyName>Yamada</FamilyName><GivenName>Tarou</GivenName></Alphabetic>"
        "<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic>"
        "</PersonName>",
    ),
    "name with a gap": (
        "00100010",
        Element("PN", ("Doe^^^Dr",)),
        '<PersonName number="1"><Alphabetic><FamilyName>Doe</FamilyName><GivenName></GivenName>'
        "<MiddleName></MiddleName><NamePrefix>Dr</NamePrefix></Alphabetic></PersonName>",
    ),
    "sequence": (
        "00081110",
        Element("SQ", items=({"00081155": Element("UI", ("1.2",))}, {})),
        '<Item number="1"><DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID">'
        '<Value number="1">1.2</Value></DicomAttribute></Item><Item number="2"></Item>',
    ),
    "binary": ("00420011", Element("OB", binary=b"\0\1\2"), "<InlineBinary>AAEC</InlineBinary>"),
    "bulk data": ("00420011", Element("OB", binary=BulkData("../b?a&b")), '<BulkData uri="../b?a&amp;b"/>'),
    "line ends": ("00104000", Element("LT", ("a\r\nb",)), '<Value number="1">a&#13;\nb</Value>'),
    "what XML has no character for": ("00104000", Element("LT", ("a\fb",)), "<InlineBinary>YQxi</InlineBinary>"),
}


@pytest.mark.parametrize(("tag", "element", "xml"), FORMS.values(), ids=FORMS.keys())
def test_every_kind_of_value_has_its_form(tag: str, element: Element, xml: str) -> None:
    """PS3.19 Table A.1.5-2, written and read."""
    written = to_xml({tag: element}).decode()

    assert written.startswith(f'{HEAD}<DicomAttribute tag="{tag}" vr="{element.vr}" keyword="')
    assert written.endswith(f'">{xml}</DicomAttribute>{TAIL}')
    assert parse_xml(written.encode()) == {tag: element}


PRIVATE: Dataset = {
    "00090010": Element("LO", ("GEMS_IDEN_01",)),
    "00091001": Element("LO", ("GE_GENESIS_FF",)),
    "00091010": Element("SH", ("x",)),
}


def test_a_private_element_leaves_out_its_block() -> None:
    """PS3.19 Table A.1.5-2: gggg00ee, and the creator beside it; so (0009,0010) is two things, told apart by it."""
    written = to_xml(PRIVATE).decode()

    assert (
        written
        == HEAD
        + (
            '<DicomAttribute tag="00090010" vr="LO"><Value number="1">GEMS_IDEN_01</Value></DicomAttribute>'
            '<DicomAttribute tag="00090001" vr="LO" privateCreator="GEMS_IDEN_01">'
            '<Value number="1">GE_GENESIS_FF</Value></DicomAttribute>'
            '<DicomAttribute tag="00090010" vr="SH" privateCreator="GEMS_IDEN_01">'
            '<Value number="1">x</Value></DicomAttribute>'
        )
        + TAIL
    )
    assert parse_xml(written.encode()) == PRIVATE


VALUE = '<Value number="1">x</Value>'
CREATORS = {
    "none": (
        f'<DicomAttribute tag="00090001" vr="LO" privateCreator="A">{VALUE}</DicomAttribute>',
        {"00090010": Element("LO", ("A",)), "00091001": Element("LO", ("x",))},
    ),
    "another": (
        '<DicomAttribute tag="00090010" vr="LO"><Value number="1">B</Value></DicomAttribute>'
        f'<DicomAttribute tag="00090001" vr="LO" privateCreator="A">{VALUE}</DicomAttribute>',
        {
            "00090010": Element("LO", ("B",)),
            "00090011": Element("LO", ("A",)),
            "00091101": Element("LO", ("x",)),
        },
    ),
    "after it, with its block": (
        f'<DicomAttribute tag="00092001" vr="LO" privateCreator="A">{VALUE}</DicomAttribute>'
        '<DicomAttribute tag="00090020" vr="LO"><Value number="1">A</Value></DicomAttribute>',
        {"00090020": Element("LO", ("A",)), "00092001": Element("LO", ("x",))},
    ),
}


@pytest.mark.parametrize(("attributes", "expected"), CREATORS.values(), ids=CREATORS.keys())
def test_a_private_element_goes_into_the_block_of_its_creator(attributes: str, expected: Dataset) -> None:
    """PS3.5 section 7.8.1: the creator's block where it has one, else the first that is free."""
    assert parse_xml(document(attributes)) == expected


def test_two_blocks_of_one_creator_keep_their_numbers() -> None:
    """PS3.5 section 7.8.1 forbids it and files have it: without the block, two elements would be one."""
    dataset: Dataset = {
        "00090010": Element("LO", ("A",)),
        "00090011": Element("LO", ("A",)),
        "00091001": Element("LO", ("first",)),
        "00091101": Element("LO", ("second",)),
    }

    assert parse_xml(to_xml(dataset)) == dataset


def test_what_a_document_may_leave_out_is_known() -> None:
    """PS3.19 Table A.1.5-2: vr and keyword are optional; the namespace is what dcmtk leaves out."""
    xml = '<NativeDicomModel>\n <DicomAttribute tag="0008103e">\n  <Value number="1">x</Value></DicomAttribute>\n'

    assert parse_xml(f"{xml}</NativeDicomModel>".encode()) == {"0008103E": Element("LO", ("x",))}


def test_values_are_in_the_order_of_their_numbers() -> None:
    """PS3.19 Table A.1.5-2: the number, and not the place, is the order."""
    xml = one('tag="00080008" vr="CS"', '<Value number="2">B</Value><Value number="1">A</Value>')

    assert parse_xml(xml) == {"00080008": Element("CS", ("A", "B"))}


def test_a_text_has_a_bound() -> None:
    """As in JSON: 262,144 characters of one value."""
    longest = "x" * 262_144
    tag = 'tag="00080119" vr="UC"'

    assert parse_xml(one(tag, f'<Value number="1">{longest}</Value>')) == {"00080119": Element("UC", (longest,))}
    with pytest.raises(InvalidDicomXml, match="more than 262144 characters"):
        parse_xml(one(tag, f'<Value number="1">{longest}x</Value>'))


def test_the_character_set_says_what_the_xml_is_in() -> None:
    """UTF-8, as DICOM JSON does; group lengths and group 0002 are left out."""
    dataset = read_part10(sample("chrX2.dcm").read_bytes()).dataset

    read = parse_xml(to_xml(dataset))

    assert read["00080005"] == Element("CS", ("ISO_IR 192",))
    assert read["00100010"] == Element("PN", ("Wang^XiaoDong=王^小东",))
    assert not [tag for tag in read if tag.startswith("0002") or tag.endswith("0000")]


def test_bulk_data_has_the_address_that_is_asked_for() -> None:
    """PS3.18 section 10.4.3.3.2: the uri resolves."""
    xml = to_xml({"00420011": Element("OB", binary=BulkData("ab"))}, lambda bulk: f"https://pacs/{bulk.uri}")

    assert b'<BulkData uri="https://pacs/ab"/>' in xml


@given(datasets(bulk=True))
def test_xml_is_read_as_it_was_written(dataset: Dataset) -> None:
    """Dataset to XML to dataset is the identity, whatever the values, sequences, private blocks and scripts."""
    assert parse_xml(to_xml(dataset, stored_character_set=True)) == dataset


# -- what is refused

LO = 'tag="00081030" vr="LO"'
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "line 1: is not XML"),
    "no XML": (b"DICM", "line 1: is not XML"),
    "cut off": (document()[:-9], "is not XML"),
    "another root": (b"<html/>", "/: is not a NativeDicomModel"),
    "another namespace": (b'<NativeDicomModel xmlns="urn:x"/>', "line 1: has an element of another namespace"),
    "a file of the machine": (
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        "line 1: has a document type declaration",
    ),
    "an entity": (
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><NativeDicomModel>&e;</NativeDicomModel>',
        "line 1: has a document type declaration",
    ),
    "a billion laughs": (
        b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>',
        "line 1: has a document type declaration",
    ),
    "an entity nobody declared": (b"<NativeDicomModel>&e;</NativeDicomModel>", "line 1: is not XML"),
    "an inclusion": (
        document('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
        "line 2: has an element of another namespace",
    ),
    "another encoding": (b'<?xml version="1.0" encoding="ISO-8859-2"?><NativeDicomModel/>', "another encoding"),
    "UTF-16": ('<?xml version="1.0" encoding="UTF-16"?><NativeDicomModel/>'.encode("utf-16"), "another encoding"),
    "no UTF-8": (one(LO, '<Value number="1">\xe4</Value>').decode().encode("latin-1"), "is not XML"),
    "no tag": (one('vr="LO"'), "tag is not eight hex digits"),
    "a keyword for a tag": (one('tag="PatientID" vr="LO"'), "tag is not eight hex digits"),
    "the keyword of another": (one('tag="00100020" vr="LO" keyword="PatientName"'), "/00100020: has the keyword of"),
    "twice": (document(*[f"<DicomAttribute {LO}/>"] * 2), "/00081030: is there twice"),
    "group 0002": (one('tag="00020010" vr="UI"'), "/00020010: file meta"),
    "a group length": (one('tag="00080000" vr="UL"'), "/00080000: is a group length"),
    "no VR": (one('tag="00091001"'), "/00091001: has no vr"),
    "a VR to choose": (one('tag="00280106"'), "/00280106: has no vr"),
    "an unknown VR": (one('tag="00091001" vr="XX"'), "/00091001: vr is not a VR"),
    "another VR": (one('tag="00100010" vr="LO"'), "/00100010: vr is LO, and the VR of this attribute is PN"),
    "a creator of a standard attribute": (one(f'{LO} privateCreator="A"'), "/00081030: has a private creator"),
    "another creator's block": (
        document(
            '<DicomAttribute tag="00090010" vr="LO"><Value number="1">B</Value></DicomAttribute>',
            '<DicomAttribute tag="00091001" vr="LO" privateCreator="A"/>',
        ),
        "/00091001: is in the block of another",
    ),
    "no number": (one(LO, "<Value>x</Value>"), "/00081030: has a value without a number"),
    "number 0": (one(LO, '<Value number="0">x</Value>'), "without a number"),
    "a gap": (one(LO, '<Value number="1">x</Value><Value number="3">y</Value>'), "not numbered from 1 to 2"),
    "two kinds": (
        one(LO, '<Value number="1">x</Value><InlineBinary>AAAA</InlineBinary>'),
        "has InlineBinary and Value",
    ),
    "a name in Value": (one('tag="00100010" vr="PN"', VALUE), "has Value, which is not for PN"),
    "an item in text": (one(LO, '<Item number="1"/>'), "has Item, which is not for LO"),
    "binary in Value": (one('tag="00420011" vr="OB"', VALUE), "has Value, which is not for OB"),
    "text between": (one(LO, "text"), "/00081030: has text between"),
    "an unknown element": (one(LO, "<Valeu/>"), "/00081030: has an element that has no place"),
    "an element in a value": (one(LO, '<Value number="1"><b/></Value>'), "/00081030/Value[1]: has elements"),
    "no integer": (one('tag="00280010" vr="US"', '<Value number="1">1.5</Value>'), "/00280010/Value[1]: is not an int"),
    "too large": (one('tag="00280010" vr="US"', '<Value number="1">65536</Value>'), "/00280010[0]: US is an integer"),
    "no double": (one('tag="00189073" vr="FD"', '<Value number="1">1_0</Value>'), "is not a number"),
    "no single": (one('tag="00089459" vr="FL"', '<Value number="1">1e39</Value>'), "beyond the largest"),
    "bad base64": (one('tag="00420011" vr="OB"', "<InlineBinary>A</InlineBinary>"), "is not base64"),
    "half a word": (one('tag="00281201" vr="OW"', "<InlineBinary>AA==</InlineBinary>"), "OW is words"),
    "base64 of numbers": (one('tag="00280010" vr="US"', "<InlineBinary>AAA=</InlineBinary>"), "is not for US"),
    "bulk data of text": (one(LO, '<BulkData uri="x"/>'), "is bulk data, and LO"),
    "bulk data nowhere": (one('tag="00420011" vr="OB"', "<BulkData/>"), "without a uri"),
    "a name of a name": (
        one('tag="00100010" vr="PN"', '<PersonName number="1"><Latin/></PersonName>'),
        "/00100010/PersonName[1]: holds something else",
    ),
    "two groups in one": (
        one(
            'tag="00100010" vr="PN"',
            '<PersonName number="1"><Alphabetic><FamilyName>a=b</FamilyName></Alphabetic></PersonName>',
        ),
        "/00100010/PersonName[1]/Alphabetic/FamilyName: holds an element, or a character",
    ),
    "a backslash": (one(LO, '<Value number="1">a\\b</Value>'), "/00081030[0]: a backslash"),
    "two values of one": (one('tag="00104000" vr="LT"', VALUE + '<Value number="2">y</Value>'), "LT has one value"),
}


@pytest.mark.parametrize(("xml", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_native_dicom_model_is_refused(xml: bytes, reason: str) -> None:
    """T53, and whatever could be read in two ways: one error with the path, that quotes no value."""
    with pytest.raises(InvalidDicomXml) as raised:
        parse_xml(xml)

    assert reason in str(raised.value)


def nested(depth: int) -> bytes:
    inner = '<DicomAttribute tag="00081110" vr="SQ"><Item number="1">'
    return document(inner * depth + "</Item></DicomAttribute>" * depth)


def test_sequences_in_each_other_have_a_bound() -> None:
    """T53: 64 as in JSON; two hundred levels end before anything recurses."""
    assert len(parse_xml(nested(64))) == 1

    with pytest.raises(InvalidDicomXml, match="nested deeper"):
        parse_xml(nested(200))


@pytest.mark.parametrize(
    ("xml", "limits"),
    [
        (document(f"<DicomAttribute {LO}/>", '<DicomAttribute tag="00100020" vr="LO"/>'), Limits(elements=1)),
        (one('tag="00081110" vr="SQ"', '<Item number="1"/><Item number="2"/>'), Limits(items=1)),
        (one(LO, '<Value number="1"/>' * 250_001), Limits()),
    ],
    ids=["attributes", "items", "elements"],
)
def test_a_document_has_bounds(xml: bytes, limits: Limits) -> None:
    """Before memory is spent on it."""
    with pytest.raises(InvalidDicomXml, match="is beyond"):
        parse_xml(xml, limits=limits)
