"""Attribute matching as PS3.4 C.2.2.2 defines it, and the query strings of PS3.18 8.3.4 that ask for it."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import Dataset, Element
from gateway.dicom.dictionary import entry_of
from gateway.dicom.matching import Condition, Kind, QueryLevel, like, matches, matches_all
from gateway.dicom.query_string import RETURNED, attribute_path, parse_query
from gateway.errors import InvalidQuery, InvalidUid

NAME, STUDY_UID, REQUESTS = "00100010", "0020000D", "00400275"


def holds(vr: str, stored: str | int | float, kind: Kind, *values: str) -> bool:
    """Whether one stored value meets a condition."""
    return matches({"00100010": Element(vr, (stored,))}, Condition(("00100010",), vr, kind, values))


# PS3.4 C.2.2.2.1 to C.2.2.2.5: VR, stored value, kind, value asked for, whether it matches.
SINGLE = [
    ("LO", "CT Head", "single", "CT Head", True),
    ("LO", "CT Head ", "single", "CT Head", True),
    ("LO", "CT Head", "single", "ct head", False),
    ("LO", "CT Head", "single", "CT", False),
    ("LO", "100%", "single", "100_", False),
    ("LO", "' OR 1=1--", "single", "' OR 1=1--", True),
    ("DS", "70.50", "single", "70.5", True),
    ("DS", "1e1 ", "single", "10", True),
    ("IS", " 7", "single", "7", True),
    ("IS", "7", "single", "70", False),
    ("DS", "unknown", "single", "7", False),
    ("US", 512, "single", "512", True),
    ("FD", 0.5, "single", "0.50", True),
    ("FD", float("nan"), "single", "1", False),
    ("DA", "20040119", "single", "20040119", True),
    ("TM", "072730", "single", "072730.000000", True),
    ("AT", "00080018", "single", "00080018", True),
    ("PN", "Doe^John", "single", "doe^JOHN", True),
    ("PN", "Doe^John^^", "single", "Doe^John", True),
    ("PN", "Doe^John", "single", "Doe", False),
    ("PN", "Yamada^Tarou=山田^太郎=やまだ^たろう", "single", "山田^太郎", True),
    ("PN", "Yamada^Tarou=山田^太郎=やまだ^たろう", "single", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
    ("PN", "Yamada^Tarou=山田^太郎", "single", "太郎^山田", False),
    ("UI", "1.2.3", "uids", "1.2.3", True),
    ("UI", "1.2.3", "uids", "1.2", False),
]
WILDCARDS = [
    ("LO", "CT Head", "CT*", True),
    ("LO", "CT Head", "*Head", True),
    ("LO", "CT Head", "ct*", False),
    ("LO", "CT Head", "CT?Head", True),
    ("LO", "CT Head", "CT?", False),
    ("LO", "CT Head", "*T*e*", True),
    ("LO", "a.b", "a?b*", True),
    ("LO", "a[b]", "a[b]*", True),
    ("LO", "100%", "10*%", True),
    ("PN", "Doe^John", "doe*", True),
    ("PN", "Doe^John", "*^john", True),
    ("PN", "Doe^John^^", "*^john", True),
    ("PN", "Doe^", "doe^*", True),
    ("PN", "Yamada^Tarou=山田^太郎", "山田*", True),
    ("PN", "Doe^John", "D?e^J*n", True),
    ("PN", "Doe^John", "*smith*", False),
]
RANGES = [
    ("DA", "20040119", ("20040119", "20040119"), True),
    ("DA", "20040119", ("", "20040118"), False),
    ("DA", "20040119", ("20040101", ""), True),
    ("DA", "", ("20040101", ""), False),
    ("DA", "around 2004", ("20040101", ""), False),
    ("TM", "10", ("100000.000000", "105959.999999"), True),
    ("TM", "10", ("103000.000000", "103059.999999"), False),
    ("TM", "1015", ("100000.000000", "105959.999999"), True),
    ("TM", "105959.999999", ("100000.000000", "105959.999999"), True),
    ("TM", "110000", ("100000.000000", "105959.999999"), False),
    ("DT", "20200101120000+0100", ("20200101110000.000000", "20200101110000.000000"), True),
    ("DT", "202001", ("20200101000000.000000", ""), True),
    ("DT", "20200101120000", ("20200101120001.000000", ""), False),
]
FUZZY = [
    ("Doe^John", "john", True),
    ("Doe^John", "jo do", True),
    ("Doe^John", "Doe^J", True),
    ("Doe^John", "ohn", False),
    ("Doe^John", "doe smith", False),
    ("Müller^Jürgen", "muller", True),
    ("Muller^Jurgen", "MÜLLER", True),
    ("Yamada^Tarou=山田^太郎", "山田", True),
    ("van der Berg^Anna", "berg", True),
]


@pytest.mark.parametrize(("vr", "stored", "kind", "asked", "expected"), SINGLE)
def test_single_values_and_uids_match_by_vr(
    vr: str, stored: str | int | float, kind: Kind, asked: str, expected: bool
) -> None:
    """C.2.2.2.1, C.2.2.2.2: text by its characters, names in any case, numbers by value, dates and times by meaning."""
    assert holds(vr, stored, kind, asked) is expected


@pytest.mark.parametrize(("vr", "stored", "asked", "expected"), WILDCARDS)
def test_wildcards(vr: str, stored: str, asked: str, expected: bool) -> None:
    """Q7, T70, C.2.2.2.4: * and ? only, no other character means anything, case counts except in names."""
    assert holds(vr, stored, "wildcard", asked) is expected


@pytest.mark.parametrize(("vr", "stored", "asked", "expected"), RANGES)
def test_ranges(vr: str, stored: str, asked: tuple[str, str], expected: bool) -> None:
    """Q8, C.2.2.2.5: both ends included, an open end is "", no empty or unreadable value matches."""
    assert holds(vr, stored, "range", *asked) is expected


@pytest.mark.parametrize(("stored", "asked", "expected"), FUZZY)
def test_fuzzy_names(stored: str, asked: str, expected: bool) -> None:
    """Q11: every word asked for begins a word of the name; case, accents and order do not count."""
    assert holds("PN", stored, "fuzzy", asked) is expected


@pytest.mark.parametrize("junk", ["2020-ab:c", "noon", "10:00", "20200101-abcd", "\0"])
@pytest.mark.parametrize("vr", ["DA", "TM", "DT"])
def test_a_stored_date_or_time_that_is_none_matches_only_itself(vr: str, junk: str) -> None:
    """Archives hold such values; a search neither fails on them nor finds them."""
    assert not holds(vr, junk, "single", "20200101")
    assert not holds(vr, junk, "range", "20200101", "")


def test_one_of_several_values_is_enough() -> None:
    """C.2.2.2.1: a multi-valued attribute matches if any of its values does."""
    dataset: Dataset = {"00080061": Element("CS", ("CT", "PT"))}

    assert matches(dataset, Condition(("00080061",), "CS", "single", ("PT",)))
    assert not matches(dataset, Condition(("00080061",), "CS", "single", ("MR",)))


@pytest.mark.parametrize("dataset", [{}, {NAME: Element("PN")}, {NAME: Element("PN", ("",))}])
def test_empty_value_matching_finds_absent_and_empty(dataset: Dataset) -> None:
    """C.2.2.2.7, and nothing else does."""
    assert matches(dataset, Condition((NAME,), "PN", "empty"))
    assert not matches(dataset, Condition((NAME,), "PN", "single", ("Doe",)))
    assert not matches({NAME: Element("PN", ("Doe",))}, Condition((NAME,), "PN", "empty"))


def test_conditions_on_a_sequence_hold_in_one_item() -> None:
    """C.2.2.2.6: two items that meet a condition each do not match together."""
    first, second = (REQUESTS, "00400009"), (REQUESTS, "00401001")
    items = ({"00400009": Element("SH", ("A",))}, {"00401001": Element("SH", ("B",))})
    dataset: Dataset = {REQUESTS: Element("SQ", items=items)}
    conditions = [Condition(first, "SH", "single", ("A",)), Condition(second, "SH", "single", ("B",))]

    assert [matches(dataset, one) for one in conditions] == [True, True]
    assert not matches_all(dataset, conditions)
    assert matches_all({REQUESTS: Element("SQ", items=({**items[0], **items[1]},))}, conditions)


def test_a_private_value_of_unknown_vr_matches_as_text() -> None:
    """A private element in implicit VR is UN, and its bytes most often text."""
    dataset: Dataset = {"00091001": Element("UN", binary=b"GE\\4.0")}

    assert matches(dataset, Condition(("00091001",), "UN", "single", ("4.0",)))
    assert not matches(
        {"00091001": Element("UN", binary=b"\xff\x00")}, Condition(("00091001",), "UN", "single", ("x",))
    )


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_like_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    """fnmatch is the oracle, for patterns without its brackets."""
    assert like(text, pattern) == bool(re.fullmatch(fnmatch.translate(pattern), text))


def test_a_thousand_wildcards_take_no_time() -> None:
    """T69: a pattern made to backtrack."""
    assert not like("a" * 2000, "*a" * 500 + "b")


# -- query strings


def conditions(query: str, value: str, *more: tuple[str, str]) -> tuple[Condition, ...]:
    """Return what one attribute asks for at instance level."""
    return parse_query("Instance", {}, [(query, value), *more]).conditions


@pytest.mark.parametrize("name", ["PatientName", "00100010"])
def test_an_attribute_is_named_by_keyword_or_tag(name: str) -> None:
    """Q3: PS3.18 8.3.4.1."""
    assert conditions(name, "Doe^John") == (Condition((NAME,), "PN", "single", ("Doe^John",)),)


@pytest.mark.parametrize(
    "name", ["RequestAttributesSequence.RequestedProcedureID", "00400275.00401001", "00400275.RequestedProcedureID"]
)
def test_an_attribute_in_a_sequence_is_named_by_its_path(name: str) -> None:
    """Q3: dots between, tags and keywords mixed."""
    assert conditions(name, "P1") == (Condition((REQUESTS, "00401001"), "SH", "single", ("P1",)),)


READINGS = [
    ("PatientName", "doe*", "wildcard", ("doe*",)),
    ("ModalitiesInStudy", "C?", "wildcard", ("C?",)),
    ("StudyInstanceUID", "1.2", "uids", ("1.2",)),
    ("StudyInstanceUID", "1.2,1.3", "uids", ("1.2", "1.3")),
    ("StudyInstanceUID", "1.2\\1.3\\", "uids", ("1.2", "1.3")),
    ("StudyDate", "20040119", "single", ("20040119",)),
    ("StudyDate", "20040101-20041231", "range", ("20040101", "20041231")),
    ("StudyDate", "20040101-", "range", ("20040101", "")),
    ("StudyDate", "-20041231", "range", ("", "20041231")),
    ("StudyTime", "10", "range", ("100000.000000", "105959.999999")),
    ("StudyTime", "1000-1130", "range", ("100000.000000", "113059.999999")),
    ("StudyTime", "072730.5", "range", ("072730.500000", "072730.599999")),
    ("StudyTime", "072730.000001", "single", ("072730.000001",)),
    ("PatientName", "=山田*", "wildcard", ("*=山田*",)),
    ("PatientName", "==やまだ*", "wildcard", ("*=*=やまだ*",)),
    ("PatientName", "Yamada*=山田*", "wildcard", ("Yamada*=山田*",)),
    ("AcquisitionDateTime", "2020-2021", "range", ("20200101000000.000000", "20211231235959.999999")),
    ("AcquisitionDateTime", "20200101-0500", "range", ("20200101050000.000000", "20200102045959.999999")),
    ("AcquisitionDateTime", "2020+0100-", "range", ("20200101000000.000000", "")),
    ("AcquisitionDateTime", "20200101 0100-20200102 0100", "range", ("20191231230000.000000", "20200102225959.999999")),
    ("SeriesNumber", "3", "single", ("3",)),
    ("00091001", "x*", "wildcard", ("x*",)),
]


@pytest.mark.parametrize(("name", "value", "kind", "values"), READINGS)
def test_a_value_says_how_to_match(name: str, value: str, kind: str, values: tuple[str, ...]) -> None:
    """Q7, Q8, Q9: the VR and the characters in the value decide; times are written out to what they may mean."""
    [condition] = conditions(name, value)

    assert (condition.kind, condition.values) == (kind, values)


@pytest.mark.parametrize(("name", "value"), [("PatientName", ""), ("PatientName", "*"), ("StudyInstanceUID", "*")])
def test_a_universal_match_is_no_condition(name: str, value: str) -> None:
    """C.2.2.2.3, and a lone * is the same; the attribute is returned."""
    query = parse_query("Study", {}, [(name, value)])

    assert query.conditions == ()
    assert query.include == (attribute_path(name),)


def test_what_is_matched_is_returned() -> None:
    """PS3.18 10.6.3.3: a result has the attributes of the query."""
    assert parse_query("Study", {}, [("StudyDescription", "CT*")]).include == (("00081030",),)


def test_fuzzy_matching_is_for_names_without_wildcards() -> None:
    """Q11: elsewhere the parameter changes nothing."""
    query = [("PatientName", "doe"), ("PatientID", "1"), ("ReferringPhysicianName", "d*"), ("fuzzymatching", "true")]

    assert [one.kind for one in parse_query("Study", {}, query).conditions] == ["fuzzy", "single", "wildcard"]


def test_empty_value_matching_is_asked_for_by_two_quotation_marks() -> None:
    """Q10: C.2.2.2.7, and only if the parameter says so."""
    assert conditions("PatientName", '""', ("emptyvaluematching", "true")) == (Condition((NAME,), "PN", "empty"),)
    assert conditions("PatientName", '""')[0].kind == "single"


def test_multiple_values_must_all_match() -> None:
    """Q10: C.2.2.2.8, and only if the parameter says so."""
    both = conditions("ModalitiesInStudy", "CT\\PT", ("multiplevaluematching", "true"))

    assert [one.values for one in both] == [("CT",), ("PT",)]
    assert conditions("ModalitiesInStudy", "CT\\PT")[0].values == ("CT\\PT",)


def test_a_uid_in_the_path_is_a_condition() -> None:
    """Q1: and it holds beside what the query string says."""
    query = parse_query("Series", {STUDY_UID: "1.2"}, [("StudyInstanceUID", "1.3,1.2"), ("StudyInstanceUID", "1.4")])

    assert [one.values for one in query.conditions] == [("1.2",), ("1.3", "1.2", "1.4")]


def test_a_uid_in_the_path_that_is_none_is_refused() -> None:
    """T58: whatever the path decodes to."""
    with pytest.raises(InvalidUid):
        parse_query("Series", {STUDY_UID: "1.2/../3"}, [])


@pytest.mark.parametrize(
    ("value", "paths", "everything"),
    [
        ("StudyDescription", (("00081030",),), False),
        ("StudyDescription,00081030, 0008103e", (("00081030",), ("0008103E",)), False),
        ("RequestAttributesSequence.00401001", ((REQUESTS, "00401001"),), False),
        ("00091001", (("00091001",),), False),
        ("all", (), True),
        ("all,StudyDescription", (("00081030",),), True),
        ("", (), False),
    ],
)
def test_includefield(value: str, paths: tuple[tuple[str, ...], ...], everything: bool) -> None:
    """Q12: tags, keywords, paths, lists; beside all, the rest changes nothing."""
    query = parse_query("Study", {}, [("includefield", value)])

    assert (query.include, query.include_all) == (paths, everything)


def test_includefield_may_be_repeated() -> None:
    """Q12: one parameter each is the same as a list."""
    query = parse_query("Study", {}, [("includefield", "00081030"), ("includefield", "StudyDescription,PatientAge")])

    assert query.include == (("00081030",), ("00101010",))


@pytest.mark.parametrize(("limit", "expected"), [("0", 0), ("7", 7), ("007", 7), ("9" * 30, 2**31 - 1)])
def test_limit_and_offset(limit: str, expected: int) -> None:
    """Q5: counts from 0; more than a store could have is the most it could."""
    query = parse_query("Study", {}, [("limit", limit), ("offset", limit)])

    assert (query.limit, query.offset) == (expected, expected)
    assert parse_query("Study", {}, []).limit is None


REFUSED = [
    ("limit", "-1"),
    ("limit", "abc"),
    ("limit", ""),
    ("limit", "1.5"),
    ("limit", "٣"),
    ("offset", "-1"),
    ("fuzzymatching", "yes"),
    ("emptyvaluematching", "1"),
    ("includefield", "a b"),
    ("StudyDate", "2004"),
    ("StudyDate", "2004-01-19"),
    ("StudyDate", "-"),
    ("StudyDate", "20040119-x"),
    ("StudyTime", "7:27"),
    ("StudyInstanceUID", "1.2.*"),
    ("StudyInstanceUID", "abc"),
    ("SeriesNumber", "three"),
    ("PatientName", "x" * 1025),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_supported_parameter_with_a_value_it_cannot_have_is_refused(name: str, value: str) -> None:
    """Q4: PS3.18 8.3; the error names the parameter and not the value, which may be a patient's."""
    with pytest.raises(InvalidQuery) as raised:
        parse_query("Instance", {}, [(name, value)])

    assert raised.value.parameter == name
    assert value == "" or value not in raised.value.reason


def test_limit_twice_is_refused() -> None:
    """Nobody can tell which one is meant."""
    with pytest.raises(InvalidQuery):
        parse_query("Study", {}, [("limit", "1"), ("limit", "2")])


def test_too_many_conditions_are_refused() -> None:
    """T69: a search is answered condition by condition."""
    with pytest.raises(InvalidQuery):
        parse_query("Study", {}, [("PatientName", f"a{n}*") for n in range(65)])


@pytest.mark.parametrize(
    ("level", "name"),
    [
        ("Study", "PatientNmae"),
        ("Study", "Modality"),
        ("Study", "SeriesDescription"),
        ("Series", "InstanceNumber"),
        ("Study", "RequestAttributesSequence.RequestedProcedureID"),
        ("Study", "PatientName.PatientID"),
        ("Study", "00091001"),
        ("Study", "SpecificCharacterSet"),
        ("Series", "RequestAttributesSequence"),
    ],
)
def test_an_attribute_that_cannot_be_matched_is_ignored_with_a_warning(level: QueryLevel, name: str) -> None:
    """Q4: a filter that is dropped in silence shows one patient's results for another's."""
    query = parse_query(level, {}, [(name, "x")])

    assert query.conditions == ()
    assert query.warnings == (f"The {name} attribute cannot be matched in this search and was ignored.",)


@pytest.mark.parametrize("name", ["accept", "_", "charset", "dryRun"])
def test_a_parameter_that_is_no_part_of_the_search_is_left_alone(name: str) -> None:
    """Q2: PS3.18 8.3.3: it is another one's to read."""
    assert parse_query("Study", {}, [(name, "x")]) == parse_query("Study", {}, [])


@pytest.mark.parametrize("name", ["patientID", "studydate", "orderby", "x.y", "0010-0020"])
def test_a_parameter_that_is_unknown_is_ignored_with_a_warning(name: str) -> None:
    """Q4: PS3.18 8.3; a keyword in the wrong case looks like no attribute, and was meant to narrow."""
    query = parse_query("Study", {}, [(name, "x")])

    assert query.conditions == ()
    assert query.warnings == (f"The {name} parameter is not supported and was ignored.",)


@pytest.mark.parametrize("name", ["(0010,0020)", 'x"y', "x\r\ny", "ü", "x" * 65])
def test_a_name_that_no_header_can_hold_is_not_repeated(name: str) -> None:
    """Q4: the warning goes into a header field."""
    assert parse_query("Study", {}, [(name, "x")]).warnings == ("A parameter is not supported and was ignored.",)


def test_warnings_have_a_bound() -> None:
    """Q4, T69: twenty, of whatever number of parameters."""
    assert len(parse_query("Study", {}, [(f"x{number}", "x") for number in range(1000)]).warnings) == 20


# PS3.18 Table 10.6.1-5, and what is computed.
REQUIRED_KEYS = [
    ("Study", "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName PatientID"),
    ("Study", "StudyInstanceUID StudyID NumberOfStudyRelatedSeries"),
    (
        "Series",
        "Modality SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate PerformedProcedureStepStartTime",
    ),
    ("Series", "RequestAttributesSequence.ScheduledProcedureStepID RequestAttributesSequence.RequestedProcedureID"),
    ("Series", "PatientName ModalitiesInStudy StudyDate"),
    ("Instance", "SOPClassUID SOPInstanceUID InstanceNumber Modality PatientID"),
]
VALUES = {"DA": "20040119", "TM": "10", "UI": "1.2", "IS": "1"}


@pytest.mark.parametrize(("level", "name"), [(level, name) for level, names in REQUIRED_KEYS for name in names.split()])
def test_the_required_keys_can_be_matched(level: QueryLevel, name: str) -> None:
    """Q13: at their level, and those of the levels above."""
    path = attribute_path(name)
    entry = entry_of(path[-1]) if path else None
    assert entry is not None

    query = parse_query(level, {}, [(name, VALUES.get(entry.vr, "X"))])

    assert len(query.conditions) == 1 and query.warnings == ()


@pytest.mark.parametrize("level", RETURNED)
def test_the_attributes_of_results_are_standard_ones_in_order(level: QueryLevel) -> None:
    """Q14: Tables 10.6.3-3 to 10.6.3-5."""
    tags = [returned.tag for returned in RETURNED[level]]

    assert tags == sorted(tags)
    assert all(entry_of(tag) for tag in tags)
