"""The DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

import json
import math
from typing import Any

import pydicom
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.dicom.dataset import BulkData, Dataset, Element
from gateway.dicom.dictionary import VRS
from gateway.dicom.json_model import (
    BulkUri,
    JsonWriter,
    element_to_json,
    encode_json,
    parse_dataset,
    parse_datasets,
    parse_merge_patch,
    parse_merge_patches,
    to_json,
)
from gateway.errors import InvalidDicomJson
from tests.strategies import datasets


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


LO = {"vr": "LO", "Value": ["x"]}


def read_back(dataset: Dataset) -> Any:
    return json.loads(encode_json(to_json(dataset)))


# PS3.18 Table F.2.3-1: the JSON of each VR, and what a dataset holds of it.
FORMS: list[tuple[str, dict[str, Any], Element]] = [
    ("00080054", {"vr": "AE", "Value": ["PACS"]}, Element("AE", ("PACS",))),
    ("00101010", {"vr": "AS", "Value": ["018M"]}, Element("AS", ("018M",))),
    ("00209165", {"vr": "AT", "Value": ["00209056"]}, Element("AT", ("00209056",))),
    ("00080008", {"vr": "CS", "Value": ["A", None, "B"]}, Element("CS", ("A", "", "B"))),
    ("00080020", {"vr": "DA", "Value": ["20240131"]}, Element("DA", ("20240131",))),
    ("00101030", {"vr": "DS", "Value": [70.5]}, Element("DS", ("70.5",))),
    ("0008002A", {"vr": "DT", "Value": ["20240131101530.5"]}, Element("DT", ("20240131101530.5",))),
    ("00189073", {"vr": "FD", "Value": [0.1]}, Element("FD", (0.1,))),
    ("00089459", {"vr": "FL", "Value": [1.5]}, Element("FL", (1.5,))),
    ("00200011", {"vr": "IS", "Value": [7]}, Element("IS", ("7",))),
    ("00081030", {"vr": "LO", "Value": ["胸部"]}, Element("LO", ("胸部",))),
    ("00104000", {"vr": "LT", "Value": ["a\r\nb\\c"]}, Element("LT", ("a\r\nb\\c",))),
    ("00660016", {"vr": "OF", "InlineBinary": "AAAAAA=="}, Element("OF", binary=bytes(4))),
    ("00420011", {"vr": "OB", "BulkDataURI": "http://x/1"}, Element("OB", binary=BulkData("http://x/1"))),
    ("00100010", {"vr": "PN", "Value": [{"Ideographic": "王^小東"}]}, Element("PN", ("=王^小東",))),
    ("00080050", {"vr": "SH", "Value": ["A1"]}, Element("SH", ("A1",))),
    ("00186020", {"vr": "SL", "Value": [-5]}, Element("SL", (-5,))),
    ("0040A730", {"vr": "SQ", "Value": [{}]}, Element("SQ", items=({},))),
    ("00280106", {"vr": "SS", "Value": [-5]}, Element("SS", (-5,))),
    ("00120051", {"vr": "ST", "Value": ["t"]}, Element("ST", ("t",))),
    ("00720082", {"vr": "SV", "Value": ["-9007199254740993"]}, Element("SV", (-9007199254740993,))),
    ("00080030", {"vr": "TM", "Value": ["101530.25"]}, Element("TM", ("101530.25",))),
    ("00080119", {"vr": "UC", "Value": ["a"]}, Element("UC", ("a",))),
    ("0020000D", {"vr": "UI", "Value": ["1.2.3"]}, Element("UI", ("1.2.3",))),
    ("00720078", {"vr": "UL", "Value": [4294967295]}, Element("UL", (4294967295,))),
    ("00091010", {"vr": "UN", "InlineBinary": "AAEC"}, Element("UN", binary=b"\0\1\2")),
    ("00080120", {"vr": "UR", "Value": ["http://x/a?b"]}, Element("UR", ("http://x/a?b",))),
    ("00280010", {"vr": "US", "Value": [512]}, Element("US", (512,))),
    ("00321066", {"vr": "UT", "Value": ["t"]}, Element("UT", ("t",))),
    ("00720083", {"vr": "UV", "Value": ["18446744073709551615"]}, Element("UV", (18446744073709551615,))),
]


@pytest.mark.parametrize(("tag", "form", "element"), FORMS, ids=[form["vr"] for _, form, _ in FORMS])
def test_each_vr_has_its_form_in_both_directions(tag: str, form: dict[str, Any], element: Element) -> None:
    """A VR's JSON reads as its element and writes as the same JSON."""
    assert parse_dataset(encoded({tag: form})) == {tag: element}
    assert read_back({tag: element}) == {tag: form}


@pytest.mark.parametrize("vr", sorted(VRS))
def test_a_zero_length_value_has_no_value(vr: str) -> None:
    """An empty attribute is its VR alone, and so is an empty array or one null (PS3.18 F.2.5)."""
    assert parse_dataset(encoded({"00091010": {"vr": vr}})) == {"00091010": Element(vr)}
    assert element_to_json(Element(vr)) == {"vr": vr}


@pytest.mark.parametrize("value", [[], [None], [""]])
def test_one_empty_value_is_a_zero_length_value(value: list[Any]) -> None:
    """A file knows no difference between no value and one empty value."""
    assert parse_dataset(encoded({"00081030": {"vr": "LO", "Value": value}})) == {"00081030": Element("LO")}


@pytest.mark.parametrize("literal", ["70.50", "7", "-0", "1E2", "1e-10", "0.12345678901234567890"])
def test_a_number_keeps_its_text_in_ds_and_is(literal: str) -> None:
    """A JSON number in DS is the text that was sent, and is written with the very same text."""
    body = b'{"00101030":{"vr":"DS","Value":[' + literal.encode() + b"]}}"

    dataset = parse_dataset(body)

    assert dataset == {"00101030": Element("DS", (literal,))}
    assert encode_json(to_json(dataset)) == body


@pytest.mark.parametrize(
    ("text", "written"),
    [("70.50", b"70.50"), ("120 ", b"120"), (" 7", b"7"), ("+5", b'"+5"'), ("05", b'"05"'), (".5", b'".5"')]
    + [("5.", b'"5."'), ("1e400", b'"1e400"'), ("1,5", b'"1,5"'), ("+5 ", b'"+5 "'), (" ", b'" "')],
)
def test_ds_text_is_a_number_where_json_has_one(text: str, written: bytes) -> None:
    """Unpadded text that is a finite JSON number is written as one; any other text is a string, as it is."""
    assert encode_json(element_to_json(Element("DS", (text,)))) == b'{"vr":"DS","Value":[' + written + b"]}"


@pytest.mark.parametrize(("name", "number"), [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)])
@pytest.mark.parametrize("vr", ["FD", "FL"])
def test_numbers_json_does_not_have_are_strings(vr: str, name: str, number: float) -> None:
    """NaN and the infinities of FL and FD are strings in both directions."""
    form = {"vr": vr, "Value": [name]}

    assert parse_dataset(encoded({"00091010": form})) == {"00091010": Element(vr, (number,))}
    assert element_to_json(Element(vr, (number,))) == form


def test_fl_is_the_nearest_number_of_32_bits() -> None:
    """A version holds what its file will hold: 0.1 is 0.100000001490116... in FL."""
    assert parse_dataset(b'{"00089459":{"vr":"FL","Value":[0.1]}}') == {
        "00089459": Element("FL", (0.10000000149011612,))
    }


@pytest.mark.parametrize("number", [2**53, -(2**53)])
def test_a_64_bit_integer_is_a_string_where_a_double_would_round_it(number: int) -> None:
    """UV and SV up to 2^53 are numbers, beyond it strings (PS3.18 Table F.2.3-1 allows both)."""
    further = number + (1 if number > 0 else -1)

    assert element_to_json(Element("SV", (number, further))) == {"vr": "SV", "Value": [number, str(further)]}


def test_an_integer_may_come_from_a_writer_of_doubles() -> None:
    """512.0 is the integer 512."""
    assert parse_dataset(b'{"00280010":{"vr":"US","Value":[512.0]}}') == {"00280010": Element("US", (512,))}


def test_a_lower_case_tag_is_the_same_tag() -> None:
    """Tags are upper case inside, whatever the case they came in."""
    assert parse_dataset(b'{"0008103e":{"vr":"LO"}}') == {"0008103E": Element("LO")}


def test_attributes_come_in_ascending_order() -> None:
    """Datasets are in tag order, whatever the order of the JSON (PS3.18 F.2.2)."""
    body = b'{"00100020":{"vr":"LO"},"00081032":{"vr":"SQ","Value":[{"00080104":{"vr":"LO"},"00080100":{"vr":"SH"}}]}}'

    dataset = parse_dataset(body)

    assert list(dataset) == ["00081032", "00100020"]
    assert list(dataset["00081032"].items[0]) == ["00080100", "00080104"]


def test_trailing_empty_component_groups_are_dropped() -> None:
    """An empty group at the end of a name says nothing (PS3.5 section 6.2.1)."""
    name = {"Alphabetic": "A^B", "Ideographic": "", "Phonetic": ""}

    assert parse_dataset(encoded({"00100010": {"vr": "PN", "Value": [name]}})) == {"00100010": Element("PN", ("A^B",))}


# --- Datasets and merge patches


def test_a_dataset_comes_alone_or_in_an_array() -> None:
    """PS3.18 has arrays of datasets; a single object is one."""
    expected = {"00100020": Element("LO", ("x",))}

    assert parse_datasets(encoded({"00100020": LO})) == [expected]
    assert parse_datasets(encoded([{"00100020": LO}] * 2)) == [expected, expected]
    assert parse_dataset(encoded([{"00100020": LO}])) == expected


def test_several_datasets_are_not_one() -> None:
    """An array of two where one dataset is expected is refused."""
    with pytest.raises(InvalidDicomJson, match="several datasets"):
        parse_dataset(encoded([{}, {}]))


def test_a_merge_patch_sets_and_removes() -> None:
    """An element sets, null removes (RFC 7396); in an attribute, a null member is an absent one."""
    patch = parse_merge_patch(b'{"00100020":null,"00081030":{"vr":"LO","Value":null},"00080050":{"vr":"SH"}}')

    assert patch == {"00080050": Element("SH"), "00081030": Element("LO"), "00100020": None}


@pytest.mark.parametrize("body", [b"null", b"[]", b"[{}]", b'"x"', b"5"])
def test_a_merge_patch_is_an_object(body: bytes) -> None:
    """RFC 7396 would replace the whole resource by any other value."""
    with pytest.raises(InvalidDicomJson, match=r"^\$: is not an object$"):
        parse_merge_patch(body)


@pytest.mark.parametrize(("body", "path"), [(b"null", "$"), (b"{}", "$"), (b"[]", "$"), (b"[{},null]", "$[1]")])
def test_merge_patches_are_an_array_of_objects(body: bytes, path: str) -> None:
    """Patches of several instances come in an array, one object each."""
    with pytest.raises(InvalidDicomJson) as caught:
        parse_merge_patches(body)

    assert caught.value.path == path


def test_merge_patches_keep_their_order() -> None:
    """The first object of the array is the first patch."""
    assert parse_merge_patches(b'[{"00100020":null},{"00080050":null}]') == [{"00100020": None}, {"00080050": None}]


def test_null_in_an_item_removes_nothing() -> None:
    """A sequence is replaced as a whole, so there is nothing in an item that null could remove."""
    with pytest.raises(InvalidDicomJson) as caught:
        parse_merge_patch(b'{"0040A730":{"vr":"SQ","Value":[{"00080100":null}]}}')

    assert caught.value.path == "$.0040A730.Value[0].00080100"


# --- Writing


def test_file_meta_information_and_group_lengths_are_left_out() -> None:
    """DICOM JSON has no group lengths, and group 0002 only where it is asked for."""
    dataset = {
        "00020000": Element("UL", (218,)),
        "00020010": Element("UI", ("1.2.840.10008.1.2.1",)),
        "00080000": Element("UL", (8,)),
        "00100020": Element("LO", ("x",)),
    }

    assert list(to_json(dataset)) == ["00100020"]
    assert list(to_json(dataset, file_meta=True)) == ["00020010", "00100020"]


def test_specific_character_set_is_that_of_the_json() -> None:
    """JSON is UTF-8, so that is what it says; the stored one is there for those who ask."""
    dataset = {"00080005": Element("CS", ("ISO 2022 IR 6", "ISO 2022 IR 87"))}

    assert to_json(dataset) == {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    assert to_json(dataset, stored_character_set=True)["00080005"]["Value"] == ["ISO 2022 IR 6", "ISO 2022 IR 87"]


def test_a_reference_is_written_as_the_url_it_is_given() -> None:
    """bulk_uri makes the URL of a bulk value, in items too."""
    bulk = Element("OB", binary=BulkData("abc", 5000))
    dataset = {"00091010": bulk, "0040A730": Element("SQ", items=({"00091010": bulk},))}

    written = to_json(dataset, lambda value: f"https://pacs/{value.uri}")

    assert written["00091010"] == {"vr": "OB", "BulkDataURI": "https://pacs/abc"}
    assert written["0040A730"]["Value"][0]["00091010"] == written["00091010"]


def test_a_file_with_more_component_groups_than_three_loses_none() -> None:
    """What a file has beyond the third "=" stays with the third group."""
    assert element_to_json(Element("PN", ("a=b=c=d",))) == {
        "vr": "PN",
        "Value": [{"Alphabetic": "a", "Ideographic": "b", "Phonetic": "c=d"}],
    }


# --- Laws


def unpadded(dataset: Dataset) -> Dataset:
    """Return the dataset with the one freedom JSON numbers take: DS and IS without padding."""
    return {
        tag: Element(
            element.vr,
            tuple(str(value).strip() for value in element.values) if element.vr in ("DS", "IS") else element.values,
            tuple(unpadded(item) for item in element.items),
            element.binary,
        )
        for tag, element in dataset.items()
    }


@given(datasets(bulk=True))
def test_writing_and_reading_is_the_identity(dataset: Dataset) -> None:
    """What was written reads as it was, padding of DS and IS aside."""
    body = encode_json(to_json(dataset, stored_character_set=True))

    assert unpadded(parse_dataset(body)) == unpadded(dataset)


@given(datasets())
def test_reading_and_writing_is_the_identity(dataset: Dataset) -> None:
    """What was read writes as the same bytes."""
    body = encode_json(to_json(dataset, stored_character_set=True))

    assert encode_json(to_json(parse_dataset(body), stored_character_set=True)) == body


@given(datasets())
def test_pydicom_reads_what_is_written(dataset: Dataset) -> None:
    """pydicom takes the JSON, and finds the same attributes with the same VRs in it."""
    body = encode_json(to_json(dataset))
    assume(b"00281101" not in body and b"00283002" not in body)  # pydicom takes LUT descriptors of SS for US, and fails
    written = json.loads(body)

    read = pydicom.Dataset.from_json(written)

    assert {f"{element.tag:08X}": element.VR for element in read} == {tag: form["vr"] for tag, form in written.items()}


def addresses(number: int) -> BulkUri:
    """Return what makes the URLs of one result's bulk values."""
    return lambda bulk: f"http://gateway.test/{number}/{bulk.uri}"


@given(st.lists(datasets(bulk=True, odd_vrs=True), min_size=2, max_size=3))
def test_datasets_with_elements_in_common_are_written_as_each_by_itself(drawn: list[Dataset]) -> None:
    """Of results of one search, most elements are the very same; the address of bulk data is each one's own."""
    first, *others = drawn
    results = [first, *({**one, **first} for one in others), first]
    writer = JsonWriter()

    for number, dataset in enumerate(results):
        assert writer.write(dataset, addresses(number)) == encode_json(to_json(dataset, addresses(number)))
