"""What the reader of DICOM JSON refuses, with the path of it, and what it leaves to the constraints."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import Element
from gateway.dicom.json_model import (
    Limits,
    parse_dataset,
    parse_datasets,
    parse_merge_patch,
    parse_merge_patches,
)
from gateway.errors import InvalidDicomJson


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def refusal(body: bytes | Any) -> InvalidDicomJson:
    """Return the error of reading a body as datasets."""
    with pytest.raises(InvalidDicomJson) as caught:
        parse_datasets(body if isinstance(body, bytes) else encoded(body))
    return caught.value


LO = {"vr": "LO", "Value": ["x"]}

REFUSED: list[tuple[str, Any, str]] = [
    ("no JSON", b"{", "$"),
    ("nothing", b"", "$"),
    ("null", b"null", "$"),
    ("a string", b'"x"', "$"),
    ("an empty array", b"[]", "$"),
    ("a byte order mark", b"\xef\xbb\xbf{}", "$"),
    ("not UTF-8", b'{"00100020":{"vr":"LO","Value":["\xff"]}}', "$"),
    ("UTF-16", "{}".encode("utf-16"), "$"),
    ("a control character", b'{"00100020":{"vr":"LO","Value":["\n"]}}', "$"),
    ("an array of no object", [[]], "$[0]"),
    ("an attribute that is null", {"00100020": None}, "$.00100020"),
    ("an attribute that is an array", {"00100020": ["x"]}, "$.00100020"),
    ("a name twice", b'[{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}]', "$[0].00100020"),
    ("a member twice", b'[{"00100020":{"vr":"LO","vr":"SH"}}]', "$[0].00100020.vr"),
    ("a tag twice, in two cases", [{"0008103E": LO, "0008103e": LO}], "$[0].0008103e"),
    ("a keyword", [{"PatientID": LO}], "$[0].PatientID"),
    ("a tag with a comma", [{"0010,0020": LO}], "$[0]"),
    ("seven digits", [{"0010002": LO}], "$[0].0010002"),
    ("a command element", [{"00000100": {"vr": "US"}}], "$[0].00000100"),
    ("file meta information", [{"00020010": {"vr": "UI"}}], "$[0].00020010"),
    ("an odd group that is not private", [{"00070010": LO}], "$[0].00070010"),
    ("a delimiter", [{"FFFEE00D": LO}], "$[0].FFFEE00D"),
    ("a group length", [{"00080000": {"vr": "UL", "Value": [8]}}], "$[0].00080000"),
    ("no vr", [{"00100020": {"Value": ["x"]}}], "$[0].00100020.vr"),
    ("a vr that is none", [{"00091010": {"vr": "XX"}}], "$[0].00091010.vr"),
    ("a vr that is a number", [{"00091010": {"vr": 5}}], "$[0].00091010.vr"),
    ("another vr than the dictionary's", [{"00100010": {"vr": "UI"}}], "$[0].00100010.vr"),
    ("UN for a standard attribute", [{"00100020": {"vr": "UN"}}], "$[0].00100020.vr"),
    ("Value beside InlineBinary", [{"00091010": {"vr": "OB", "Value": [], "InlineBinary": ""}}], "$[0].00091010"),
    ("another member", [{"00100020": {"vr": "LO", "value": ["x"]}}], "$[0].00100020"),
    ("Value for binary", [{"00091010": {"vr": "OB", "Value": ["AAE="]}}], "$[0].00091010.Value"),
    ("InlineBinary for text", [{"00100020": {"vr": "LO", "InlineBinary": "AAE="}}], "$[0].00100020.InlineBinary"),
    ("InlineBinary that is a number", [{"00091010": {"vr": "OB", "InlineBinary": 1234}}], "$[0].00091010.InlineBinary"),
    ("bad base64", [{"00091010": {"vr": "OB", "InlineBinary": "!!!"}}], "$[0].00091010.InlineBinary"),
    ("base64 of a URL", [{"00091010": {"vr": "OB", "InlineBinary": "_-8="}}], "$[0].00091010.InlineBinary"),
    ("half a word", [{"00091010": {"vr": "OW", "InlineBinary": "AA=="}}], "$[0].00091010.InlineBinary"),
    ("a reference that is no string", [{"00091010": {"vr": "OB", "BulkDataURI": 5}}], "$[0].00091010.BulkDataURI"),
    ("a reference for text", [{"00104000": {"vr": "LT", "BulkDataURI": "x"}}], "$[0].00104000.BulkDataURI"),
    ("a value without its array", [{"00100020": {"vr": "LO", "Value": "x"}}], "$[0].00100020.Value"),
    ("a null Value", [{"00100020": {"vr": "LO", "Value": None}}], "$[0].00100020.Value"),
    ("a number for text", [{"00100020": {"vr": "LO", "Value": [5]}}], "$[0].00100020.Value[0]"),
    ("true for text", [{"00100020": {"vr": "LO", "Value": [True]}}], "$[0].00100020.Value[0]"),
    ("text for a number", [{"00280010": {"vr": "US", "Value": ["abc"]}}], "$[0].00280010.Value[0]"),
    ("true for a number", [{"00189073": {"vr": "FD", "Value": [True]}}], "$[0].00189073.Value[0]"),
    ("null for a number", [{"00091010": {"vr": "US", "Value": [1, None]}}], "$[0].00091010.Value[1]"),
    ("a fraction for an integer", [{"00280010": {"vr": "US", "Value": [1.5]}}], "$[0].00280010.Value[0]"),
    ("an integer too large", [{"00280010": {"vr": "US", "Value": [70000]}}], "$[0].00280010.Value[0]"),
    ("an integer of 30 digits", [{"00091010": {"vr": "UV", "Value": [10**30]}}], "$[0].00091010.Value[0]"),
    ("NaN", b'[{"00189073":{"vr":"FD","Value":[NaN]}}]', "$[0].00189073.Value[0]"),
    ("-Infinity", b'[{"00189073":{"vr":"FD","Value":[-Infinity]}}]', "$[0].00189073.Value[0]"),
    ("beyond a double, FD", b'[{"00189073":{"vr":"FD","Value":[1e400]}}]', "$[0].00189073.Value[0]"),
    ("beyond a double, DS", b'[{"00101030":{"vr":"DS","Value":[1e400]}}]', "$[0].00101030.Value[0]"),
    ("beyond 32 bits, FL", b'[{"00089459":{"vr":"FL","Value":[1e39]}}]', "$[0].00089459.Value[0]"),
    (
        "an integer of 5,000 digits",
        b'[{"00200011":{"vr":"IS","Value":[%s]}}]' % (b"1" * 5000),
        "$[0].00200011.Value[0]",
    ),
    ("a name that is a string", [{"00100010": {"vr": "PN", "Value": ["A^B"]}}], "$[0].00100010.Value[0]"),
    ("an unknown group", [{"00100010": {"vr": "PN", "Value": [{"Latin": "A"}]}}], "$[0].00100010.Value[0]"),
    (
        "a group that is no string",
        [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": 5}]}}],
        "$[0].00100010.Value[0].Alphabetic",
    ),
    (
        "a group with =",
        [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]}}],
        "$[0].00100010.Value[0].Alphabetic",
    ),
    ("a backslash", [{"00100020": {"vr": "LO", "Value": ["ok", "A\\B"]}}], "$[0].00100020.Value[1]"),
    ("two values of LT", [{"00104000": {"vr": "LT", "Value": ["a", "b"]}}], "$[0].00104000.Value"),
    ("NUL in a name", [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A\0"}]}}], "$[0].00100010.Value[0]"),
    ("a line end in LO", [{"00100020": {"vr": "LO", "Value": ["x\r\nINFO forged"]}}], "$[0].00100020.Value[0]"),
    ("an escape sequence in LO", [{"00100020": {"vr": "LO", "Value": ["\x1b[2J"]}}], "$[0].00100020.Value[0]"),
    ("half a surrogate pair", b'[{"00100020":{"vr":"LO","Value":["\\ud800"]}}]', "$[0].00100020.Value[0]"),
    ("half a surrogate pair as a name", b'[{"\\udfff":{"vr":"LO"}}]', "$[0]"),
    ("a UID that is a path", [{"0020000D": {"vr": "UI", "Value": ["../../etc"]}}], "$[0].0020000D.Value[0]"),
    ("an item that is null", [{"0040A730": {"vr": "SQ", "Value": [None]}}], "$[0].0040A730.Value[0]"),
    (
        "an attribute of an item",
        [{}, {"0040A730": {"vr": "SQ", "Value": [{}, {"00080100": {"vr": "LO"}}]}}],
        "$[1].0040A730.Value[1].00080100.vr",
    ),
]


@pytest.mark.parametrize(("body", "path"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_refused_is_refused_with_its_path(body: Any, path: str) -> None:
    """Malformed DICOM JSON is one error, and it says where."""
    assert refusal(body).path == path


# What is merely invalid is not the reader's to judge: the constraints do, and force may lift them.
TOLERATED = [
    ("00080020", "DA", "1970-01-01"),
    ("00180015", "CS", "chest"),
    ("00080050", "SH", "x" * 17),
    ("0020000D", "UI", "1.02." + "9" * 80),
    ("00101030", "DS", "heavy"),
    ("00200011", "IS", "1" * 5000),
    ("00100020", "LO", "\u202ecod"),
]


@pytest.mark.parametrize(("tag", "vr", "value"), TOLERATED, ids=[case[2][:12] for case in TOLERATED])
def test_an_invalid_value_that_could_be_stored_is_read(tag: str, vr: str, value: str) -> None:
    """A value that breaks PS3.5 section 6.2 and could be stored reaches the constraints."""
    assert parse_dataset(encoded({tag: {"vr": vr, "Value": [value]}})) == {tag: Element(vr, (value,))}


def test_a_syntax_error_says_line_and_column() -> None:
    """What is no JSON has no path, so the error counts lines."""
    error = refusal(b'{\n "00100020": {"vr": "LO" "Value"}\n}')

    assert str(error) == "$: not JSON: Expecting ',' delimiter (line 2, column 26)"


def test_a_keyword_is_told_its_tag() -> None:
    """The error for a keyword names the tag to use."""
    assert "00100020" in refusal({"PatientID": LO}).reason


def test_no_error_quotes_a_value() -> None:
    """A refusal can go to a log: names and values that may be a patient's are not in it."""
    bodies = [
        {"Secret Patient": LO},
        {"00100020": {"vr": "LO", "Value": ["Secret\\Patient"]}},
        {"00100010": {"vr": "PN", "Value": [{"Secret Patient": "x"}]}},
        {"00091010": {"vr": "Secret Patient"}},
        {"00091010": {"vr": "OB", "InlineBinary": "Secret Patient"}},
    ]

    assert not any("Secret" in str(refusal(body)) for body in bodies)


# --- Limits


def nested(depth: int) -> bytes:
    return b'{"0040A730":{"vr":"SQ","Value":[' * depth + b"{}" + b"]}}" * depth


def test_64_sequences_in_each_other_are_read() -> None:
    """The deepest dataset allowed is read."""
    assert list(parse_dataset(nested(64))) == ["0040A730"]


def test_65_sequences_in_each_other_are_refused() -> None:
    """One more is refused."""
    assert refusal(nested(65)).reason == "is nested deeper than 64 sequences"


@pytest.mark.parametrize(
    "body",
    [nested(100_000), b'{"0040A730":{"vr":"SQ","Value":[' * 100_000, b"[" * 100_000, b'{"":' * 100_000],
    ids=["closed", "open", "arrays", "objects"],
)
def test_deep_nesting_is_refused_before_it_is_parsed(body: bytes) -> None:
    """100,000 levels: the parser would recurse as deep."""
    assert "nested too deep" in refusal(body).reason


def test_brackets_in_strings_do_not_nest() -> None:
    """Text may hold as many brackets, quotes and backslashes as it likes."""
    text = '[{"\\"' * 1000

    assert parse_dataset(encoded({"00321066": {"vr": "UT", "Value": [text]}})) == {"00321066": Element("UT", (text,))}


def test_a_string_that_never_ends_takes_linear_time() -> None:
    """Two million escaped quotes are no two million strings, which would take hours."""
    start = time.perf_counter()

    assert "Unterminated string" in refusal(b'"' + b'\\"' * 2_000_000).reason
    assert time.perf_counter() - start < 20


def test_too_many_attributes_are_refused() -> None:
    """The attributes of all datasets of a request count together, those of items too."""
    body = encoded([{"00100020": LO, "0040A730": {"vr": "SQ", "Value": [{"00080104": LO}]}}] * 2)

    assert len(parse_datasets(body, limits=Limits(elements=6))) == 2
    with pytest.raises(InvalidDicomJson, match="beyond 5 attributes"):
        parse_datasets(body, limits=Limits(elements=5))


def test_57000_private_attributes_are_refused() -> None:
    """The default stops at 20,000 attributes."""
    many = ",".join(f'"0009{number:04X}":{{"vr":"LO"}}' for number in range(0x1000, 0x1000 + 57_000))

    assert "20000 attributes" in refusal(b"{" + many.encode() + b"}").reason


def test_200000_empty_items_are_refused() -> None:
    """The default stops at 20,000 items."""
    many = b",".join([b"{}"] * 200_000)

    assert "20000 items" in refusal(b'{"0040A730":{"vr":"SQ","Value":[' + many + b"]}}").reason


def test_a_string_has_a_limit() -> None:
    """256 KiB characters pass, one more does not; and the path is told."""
    body = b'{"00321066":{"vr":"UT","Value":["%s"]}}'

    assert parse_dataset(body % (b"x" * 262_144))
    assert refusal(body % (b"x" * 262_145)).path == "$.00321066.Value[0]"


def test_a_huge_number_is_refused_quickly() -> None:
    """A literal of a quarter of a million digits costs no quadratic time: that would be minutes."""
    start = time.perf_counter()

    assert refusal(b'{"00101030":{"vr":"DS","Value":[%s]}}' % (b"1" * 250_000)).path == "$.00101030.Value[0]"
    assert time.perf_counter() - start < 20


# --- Anything at all

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["PN", "SQ", "OB", "US"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["00100010", "0040A730", "vr", "Value", "InlineBinary", "x"]), inner)
    ),
)


@given(JSON_VALUES)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """No JSON value makes the reader fail in another way than by InvalidDicomJson."""
    for parse in (parse_datasets, parse_dataset, parse_merge_patch, parse_merge_patches):
        try:
            parse(encoded(value))
        except InvalidDicomJson as error:
            assert error.path.startswith("$")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Neither do any bytes."""
    try:
        parse_datasets(body)
    except InvalidDicomJson as error:
        assert error.path.startswith("$")
