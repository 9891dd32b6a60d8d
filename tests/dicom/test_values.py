"""What each VR can hold (PS3.5 section 6.2)."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.valuerep import VALIDATORS

from gateway.dicom.dataset import BulkData, Element, Scalar
from gateway.dicom.dictionary import STRING_VRS, VRS
from gateway.dicom.values import INTEGERS, TEXT, WORD_BYTES, Problem, value_problems
from tests.strategies import VALUES, elements

# PS3.5 Table 6.2-1: values it allows.
VALID: list[tuple[str, Scalar]] = [
    ("AE", "STORE_SCP"),
    ("AE", " a/b:c "),
    ("AS", "018M"),
    ("AT", "0018FFFF"),
    ("CS", "ORIGINAL_1 "),
    ("DA", "20240229"),
    ("DS", "-1.5E-10"),
    ("DS", " +.5 "),
    ("DT", "2024"),
    ("DT", "20240131101530.123456+0100"),
    ("DT", "202401-0500"),
    ("IS", " -2147483648"),
    ("LO", "x" * 64),
    ("LT", "a\tb\r\nc\\d"),
    ("PN", "Wang^XiaoDong=王^小東="),
    ("PN", "=".join(["a" * 64] * 3)),
    ("SH", "胸部" * 8),
    ("ST", "x" * 1024),
    ("TM", "10"),
    ("TM", "235960.999999"),
    ("UC", "x" * 10_000),
    ("UI", "1.2.840.10008.1.2"),
    ("UR", "https://example.org/a%20b?c"),
    ("UT", "x" * 10_000),
    ("FL", 3.4028234663852886e38),
    ("FL", math.inf),
    ("FD", math.nan),
]

# PS3.5 Table 6.2-1: values it does not allow and PS3.10 can hold.
INVALID: list[tuple[str, str]] = [
    ("AE", "   "),
    ("AE", "x" * 17),
    ("AS", "18M"),
    ("CS", "lower"),
    ("CS", "A" * 17),
    ("DA", "1970-01-01"),
    ("DA", "20230229"),
    ("DA", "20240131-"),
    ("DS", "1,5"),
    ("DS", "12345678901234567"),
    ("DT", "20241301"),
    ("DT", "2024013110153.5"),
    ("IS", "1.0"),
    ("IS", "2147483648"),
    ("IS", "1" * 5000),
    ("LO", "x" * 65),
    ("LO", "a\tb"),
    ("LO", "a\x7fb"),
    ("LT", "x" * 10241),
    ("LT", "\x1b[2J"),
    ("PN", "a" * 65),
    ("PN", "a=b=c=d"),
    ("PN", "a^b^c^d^e^f"),
    ("SH", "x" * 17),
    ("ST", "x" * 1025),
    ("TM", "10:15"),
    ("TM", "2460"),
    ("UI", "1.02"),
    ("UI", "1..2"),
    ("UI", "1." * 40 + "1"),
    ("UR", " http://example.org"),
    ("UR", "a b"),
]

# What would be written as other bytes than it says, or not at all.
NOT_STORABLE: list[tuple[str, Scalar]] = [
    ("LO", "A\\B"),
    ("PN", "A\\B"),
    ("LO", "a\0b"),
    ("UT", "a\0b"),
    ("LO", "a\r\nb"),
    ("SH", "a\fb"),
    ("PN", "\x1b[2J"),
    ("UI", "../../etc/passwd"),
    ("UI", "1.2.3 "),
    ("UI", "1.2\N{ARABIC-INDIC DIGIT THREE}"),
    ("AT", "0018fff"),
    ("CS", "GRÖSSE"),
    ("DA", "２０２４０１３１"),
    ("US", 65536),
    ("US", -1),
    ("SS", -32769),
    ("UL", 2**32),
    ("SL", 2**31),
    ("UV", 2**64),
    ("SV", -(2**63) - 1),
    ("FL", 3.5e38),
    ("LO", "x" * 65535),
]


@pytest.mark.parametrize(("vr", "value"), VALID)
def test_a_value_the_standard_allows_has_no_problem(vr: str, value: Scalar) -> None:
    """What PS3.5 Table 6.2-1 allows passes."""
    assert value_problems(Element(vr, (value,))) == []


@pytest.mark.parametrize(("vr", "value"), INVALID, ids=[f"{vr} {value[:20]!r}" for vr, value in INVALID])
def test_an_invalid_value_could_still_be_stored(vr: str, value: str) -> None:
    """What PS3.5 Table 6.2-1 forbids is a problem, one that force may lift."""
    problems = value_problems(Element(vr, (value,)))

    assert problems
    assert all(problem.storable for problem in problems)


@pytest.mark.parametrize(("vr", "value"), NOT_STORABLE, ids=[f"{vr} {value!r:.20}" for vr, value in NOT_STORABLE])
def test_a_value_without_a_form_in_a_file_cannot_be_stored(vr: str, value: Scalar) -> None:
    """What PS3.10 has no bytes for, or would read back differently, is a problem that nothing lifts."""
    problems = value_problems(Element(vr, (value,)))

    assert [problem.storable for problem in problems][:1] == [False]


@pytest.mark.parametrize("vr", sorted(INTEGERS))
def test_an_integer_fits_its_bytes_to_the_last_one(vr: str) -> None:
    """The lowest and the highest integer of a VR pass, their neighbours outside do not."""
    lowest, highest = INTEGERS[vr]

    assert value_problems(Element(vr, (lowest, highest))) == []
    assert [problem.where for problem in value_problems(Element(vr, (lowest - 1, 0, highest + 1)))] == ["[0]", "[2]"]


@pytest.mark.parametrize("vr", ["LT", "ST", "UR", "UT"])
def test_a_vr_without_multiplicity_has_one_value(vr: str) -> None:
    """LT, ST, UR and UT have one value (PS3.5 section 6.4)."""
    assert value_problems(Element(vr, ("a", "b"))) == [Problem(f"{vr} has one value", storable=False)]


@pytest.mark.parametrize(("vr", "size"), [("OW", 2), ("OF", 4), ("OL", 4), ("OD", 8), ("OV", 8)])
def test_a_binary_value_is_whole_words(vr: str, size: int) -> None:
    """A word cut short cannot be stored."""
    assert value_problems(Element(vr, binary=bytes(2 * size))) == []
    assert [problem.storable for problem in value_problems(Element(vr, binary=bytes(2 * size - 1)))] == [False]


@pytest.mark.parametrize("vr", sorted(VRS))
def test_an_empty_value_is_valid_in_every_vr(vr: str) -> None:
    """Zero length is no problem of any VR."""
    assert value_problems(Element(vr)) == []


@pytest.mark.parametrize("vr", sorted(STRING_VRS - {"AT", "LT", "ST", "UR", "UT"}))
def test_an_empty_value_among_several_is_valid(vr: str) -> None:
    """Nothing between two separators is valid (PS3.5 section 6.4); AT has no separators, it is binary."""
    assert value_problems(Element(vr, ("", ""))) == []


def test_problems_in_a_sequence_say_where() -> None:
    """A problem of an item's attribute names item, tag and value."""
    code = {"00080100": Element("SH", ("A",)), "00080104": Element("LO", ("ok", "x" * 65))}
    inner = {"0040A168": Element("SQ", items=({}, code))}

    problems = value_problems(Element("SQ", items=(inner,)))

    assert problems == [Problem("LO is at most 64 characters", True, "[0].0040A168[1].00080104[1]")]


def test_no_problem_quotes_the_value() -> None:
    """A reason can go to a log: it does not hold what may be a patient's name."""
    name = "Secret\\Patient\0" + "x" * 65

    reasons = [problem.reason for vr in STRING_VRS for problem in value_problems(Element(vr, (name,)))]

    assert reasons
    assert not any("Secret" in reason for reason in reasons)


def test_every_vr_has_its_row() -> None:
    """The tables cover all VRs of PS3.5 section 6.2 but FL, FD and SQ, which have no form to check here."""
    assert TEXT.keys() | INTEGERS.keys() | WORD_BYTES.keys() | {"FL", "FD", "SQ"} == VRS
    assert TEXT.keys() == STRING_VRS


def test_a_reference_to_bulk_data_is_not_looked_into() -> None:
    """A binary value in a blob passes: its bytes were checked when they came."""
    assert value_problems(Element("OW", binary=BulkData("00" * 16, 3))) == []


@given(st.data())
def test_what_the_strategies_draw_is_valid(data: st.DataObject) -> None:
    """The datasets other tests are made of hold valid values only."""
    vr = data.draw(st.sampled_from(sorted(VRS)))

    assert value_problems(data.draw(elements(vr))) == []


# pydicom's own regular expressions, for the VRs whose form is one; DS and IS are numbers to it, padding or not.
@settings(max_examples=200)
@given(st.data())
def test_pydicom_agrees_on_what_is_valid(data: st.DataObject) -> None:
    """A value valid here is valid to pydicom, and one of random characters that pydicom refuses is refused here."""
    vr = data.draw(st.sampled_from(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI", "UR"]))
    value = data.draw(VALUES[vr] | st.text("0123456789.+-AZaz_ E:", max_size=20))
    ours = not value_problems(Element(vr, (value,)))

    validate: Callable[[str, Scalar], tuple[bool, str]] = VALIDATORS[vr]  # which are not annotated
    theirs, _ = validate(vr, value)

    assert theirs or not ours
