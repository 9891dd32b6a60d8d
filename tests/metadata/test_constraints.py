"""The constraints and force: shared vectors, the published examples, what violations say, laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.dataset import Dataset, MergePatch
from gateway.dicom.dictionary import entry_of
from gateway.dicom.part10 import read_part10
from gateway.dicomweb.problems import violation_json
from gateway.errors import ConstraintViolations, InvalidUpdate, Violation
from gateway.metadata.apply import apply_updates
from gateway.metadata.constraints import CONSTRAINTS, SOURCES, Constraint, violations
from gateway.metadata.document import parse_updates, read_document
from gateway.metadata.image_set import PROFILES, MetadataUpdates, Profile
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION
from gateway.metadata.targets import targets_of
from tests.metadata.examples import (
    FIRST,
    SECOND,
    SERIES,
    edits,
    first,
    found,
    identified,
    image_set,
    instances,
    of_one_instance,
    patient,
    rules,
    series,
    study,
    to_remove,
    to_set,
    updates_of,
)
from tests.samples import SAMPLE_IDS, SAMPLES

_ROOT = Path(__file__).parents[2]

# --- Vectors: the shared ones, written from AWS's pages

SHARED = _ROOT.parent / "shared" / "vectors" / "constraints.json"
shared: dict[str, Any] = json.loads(SHARED.read_text(encoding="utf-8")) if SHARED.exists() else {"cases": []}


def blob(document: Any) -> bytes | None:
    return None if document is None else json.dumps(document).encode()


@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not beside this repository")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in shared["cases"]])
def test_an_update_breaks_the_rules_that_the_shared_vectors_say(case: dict[str, Any], profile: Profile) -> None:
    """Each case breaks its rules without force, and with force those that force does not lift."""
    updates = parse_updates(blob(case["updatable"]), blob(case["removable"]))
    metadata = read_document(shared["metadata"])

    for force, expected in ((False, "violations"), (True, "violationsWithForce")):
        found = violations(metadata, targets_of(updates), profile=profile, primary=case["primary"], force=force)
        assert {violation.rule for violation in found} == set(case[profile][expected])


# --- What changes nothing


def test_a_result_posted_back_breaks_nothing() -> None:
    """UIDs, a private element, a sequence, an array, an invalid date and Rows, all as they are stored."""
    document = {
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": dict(image_set().head.patient["DICOM"])},
        "Study": {
            "DICOM": dict(image_set().head.study["DICOM"]),
            "Series": {
                SERIES: {
                    "DICOM": dict(image_set().head.series["DICOM"]),
                    "Instances": {
                        FIRST: {
                            "DICOM": dict(image_set().instances[FIRST]["DICOM"]),
                            "DICOMVRs": dict(image_set().instances[FIRST]["DICOMVRs"]),
                        }
                    },
                }
            },
        },
    }

    for profile in PROFILES:
        assert rules(to_set(document), profile=profile) == []


def test_a_stored_value_with_other_padding_is_the_same() -> None:
    """WindowCenter "40 " for the stored "40" is multi-valued and no change."""
    assert rules(to_set(first({"WindowCenter": ["40 "]}))) == []


@pytest.mark.parametrize(
    "document",
    [
        study(ReferencedStudySequence=None),
        first({"00191099": None}),
        first({"Columns": None}),
        series(OperatorsName=None),
    ],
)
def test_removing_what_is_not_there_breaks_nothing(document: dict[str, Any]) -> None:
    """Whatever rule its presence would be under."""
    assert rules(to_remove(document)) == []


def test_an_element_that_should_not_be_there_can_be_removed() -> None:
    """(0001,0001) is in no private group, and in files; setting it is refused."""
    metadata = image_set()
    metadata.instances[FIRST]["DICOM"]["00010001"] = "x"
    metadata.instances[FIRST]["DICOMVRs"]["00010001"] = "LO"

    told = violations(
        metadata, targets_of(to_remove(first({"00010001": None}))), profile="2026-06", primary=True, force=False
    )
    assert [(violation.rule, violation.force_lifts) for violation in told] == [("private", True)]


def test_a_misspelt_removal_is_told() -> None:
    """Somebody who removes "PatientNames" thinks the name is gone."""
    told = found(to_remove(patient(PatientNames=None)))

    assert [(violation.rule, violation.keyword) for violation in told] == [("non-standard", "PatientNames")]


@pytest.mark.parametrize("path", SAMPLES, ids=SAMPLE_IDS)
def test_a_real_instance_posted_back_breaks_nothing(path: Path) -> None:
    """Whatever real files hold, invalid values and all; but for group 0001, which JSON cannot name."""
    dataset = identified(read_part10(path.read_bytes()).dataset)
    sent: MergePatch = {tag: element for tag, element in dataset.items() if not tag.startswith("0001")}
    metadata, updates = of_one_instance(dataset), updates_of(sent)

    assert violations(metadata, targets_of(updates), profile="2026-06", primary=True, force=False) == []
    assert apply_updates(metadata, targets_of(updates)).instances == {}


# --- What a violation says


def test_a_violation_names_the_attribute_its_place_and_what_force_does() -> None:
    """Everything a client needs as data, and a sentence."""
    assert found(to_set(first({"Rows": 3, "00191001": "y"}))) == [
        Violation(
            rule="pixel-description",
            level="Instance",
            message="Rows (0028,0010) describes the stored pixels or their encoding, which no update changes",
            force_lifts=False,
            tag="00280010",
            keyword="Rows",
            series_instance_uid=SERIES,
            sop_instance_uid=FIRST,
        ),
        Violation(
            rule="private",
            level="Instance",
            message="(0019,1001) is a private element, changed only with force",
            force_lifts=True,
            tag="00191001",
            keyword=None,
            series_instance_uid=SERIES,
            sop_instance_uid=FIRST,
        ),
    ]


def test_a_tag_that_has_a_keyword_is_told_the_keyword() -> None:
    """The way out is in the message."""
    told = found(to_set(patient(**{"00100010": "X"})))[0]

    assert told.message == "the key of 00100010 is its keyword, PatientName"


def test_all_violations_come_in_document_order() -> None:
    """Patient, then Study; what is set, then what is removed."""
    document = {**patient(PatientBirthDate="x", PatientWeight="70"), **study(StudyID="S2")}
    updates = MetadataUpdates(document, patient(SoftwareVersions=None))

    assert rules(updates) == ["vr", "level", "study-id", "level"]


def test_no_message_quotes_a_value() -> None:
    """Neither of a value nor of a key that is no name, in any rule."""
    canary = "CANARY^PATIENT"
    documents = [
        patient(
            **{canary: "x", "PatientBirthDate": canary, "PatientName": {canary: canary}, "PatientSex": [canary] * 2}
        ),
        study(
            StudyInstanceUID=canary, StudyID=canary, PregnancyStatus=canary, ProcedureCodeSequence=[{canary: canary}]
        ),
        first({"Rows": canary, "00191001": canary, "NotAnAttribute": canary}, {canary: canary, "Rows": canary}),
        {
            "SchemaVersion": canary,
            canary: canary,
            "Study": {"Series": {canary: {}, SERIES: {"Instances": {canary: {}}}}},
        },
    ]

    for document in documents:
        told = [*found(to_set(document)), *found(to_set(document), force=True), *found(to_remove(document))]
        assert told
        assert canary not in str(ConstraintViolations(told)) + repr(told)


# --- The seven published examples, with the identifiers of the example image set

EXAMPLES = [
    pytest.param(to_set(patient(PatientName="MX^MX")), [], [], id="1 update an attribute"),
    pytest.param(to_remove(study(StudyDescription="CHEST")), [], [], id="2 remove an attribute"),
    pytest.param(to_remove(instances({SECOND: {}})), [], ["instance-removal"], id="3 remove an instance"),
    pytest.param(to_set(first({"001910F9": "97"}, {"001910F9": "DS"})), ["private"], ["private"], id="5 add private"),
    pytest.param(to_set(first({"00191001": "GE_GENESIS_DD"})), ["private"], ["private"], id="6 update private"),
    pytest.param(to_set(first({"SOPInstanceUID": FIRST[:-1] + "9"})), ["uid"], ["uid"], id="7 SOP Instance UID"),
]


@pytest.mark.parametrize(("updates", "older", "newer"), EXAMPLES)
def test_the_published_examples_need_force_where_they_are_printed_with_it(
    updates: MetadataUpdates, older: list[str], newer: list[str]
) -> None:
    """Examples 5, 6 and 7 are printed with force, 1, 2 and 3 without; 4 reverts and updates nothing."""
    assert rules(updates, profile="2024-07") == older
    assert rules(updates, profile="2026-06") == newer
    assert rules(updates, profile="2024-07", force=True) == []
    assert rules(updates, profile="2026-06", primary=False, force=True) == []


def test_the_newer_profile_takes_example_7_on_no_primary_image_set() -> None:
    """The guide of 2026: force does not update the three UIDs of primary image sets."""
    updates = to_set(first({"SOPInstanceUID": "1.2.3"}))

    assert rules(updates, profile="2026-06", primary=True, force=True) == ["uid"]


# --- docs/constraints.md against the table


def shown(constraint: Constraint) -> str:
    """Return a row as docs/constraints.md has it."""
    older, newer = (constraint.force[profile] for profile in PROFILES)
    return (
        f"| `{constraint.rule}` | {constraint.forbids} | {older} | {newer} | {constraint.but} | {constraint.source} |"
    )


def test_the_page_for_people_shows_the_table_as_it_is() -> None:
    """docs/constraints.md has every row, in this order, word for word."""
    page = (_ROOT / "docs" / "constraints.md").read_text(encoding="utf-8")

    assert [line for line in page.splitlines() if line.startswith("| `")] == [shown(row) for row in CONSTRAINTS]


def test_the_page_for_people_lists_the_pixel_description() -> None:
    """Every keyword of the table, by its clause."""
    page = (_ROOT / "docs" / "constraints.md").read_text(encoding="utf-8")

    for clause, tags in PIXEL_DESCRIPTION.items():
        keywords = sorted(entry.keyword for tag in tags if (entry := entry_of(tag)))
        assert f"- {clause}: {', '.join(keywords)}" in page


def test_the_page_for_people_names_the_sources() -> None:
    """Each with its address; every row cites one of them or says "ours"."""
    page = (_ROOT / "docs" / "constraints.md").read_text(encoding="utf-8")

    assert all(f"- {name}: <{address}>" in page for name, address in SOURCES.items())
    assert all(row.source.startswith((*SOURCES, "ours: ")) for row in CONSTRAINTS)


def test_the_refusal_on_the_page_for_people_is_a_real_one() -> None:
    """The JSON shown is what the gateway answers to an edit of Rows and of a private element."""
    page = (_ROOT / "docs" / "constraints.md").read_text(encoding="utf-8")
    shown_there = json.loads(page.split("```json\n")[1].split("```")[0])

    assert shown_there == [violation_json(told) for told in found(to_set(first({"Rows": 3, "00191001": "y"})))]


# --- Laws

profiles = st.sampled_from(PROFILES)


@given(edits(), profiles, st.booleans())
def test_force_leaves_exactly_what_it_said_it_would(
    edit: tuple[Dataset, MergePatch], profile: Profile, primary: bool
) -> None:
    """With force, what had force_lifts is gone and the rest is there; only `private-vr` can come late."""
    metadata, updates = of_one_instance(edit[0]), updates_of(edit[1])

    without = violations(metadata, targets_of(updates), profile=profile, primary=primary, force=False)
    with_force = violations(metadata, targets_of(updates), profile=profile, primary=primary, force=True)

    assert [told for told in with_force if told.rule != "private-vr"] == [
        told for told in without if not told.force_lifts and told.rule != "private-vr"
    ]
    assert len(set(without)) == len(without)


@given(edits())
def test_a_version_set_to_itself_breaks_nothing(edit: tuple[Dataset, MergePatch]) -> None:
    """Whatever is stored can be posted back."""
    dataset = edit[0]
    updates = updates_of({**dataset})

    assert violations(of_one_instance(dataset), targets_of(updates), profile="2026-06", primary=True, force=False) == []


_KEYS = st.sampled_from(
    """
    SchemaVersion Patient Study Series Instances DICOM DICOMVRs PatientName PatientBirthDate StudyInstanceUID
    SOPInstanceUID ProcedureCodeSequence CodeValue Rows PixelData ImageType PregnancyStatus ICCProfile BulkDataURI
    00191001 001910F9 00100010 NotAnAttribute 1.1 00191002[0].00191003
    """.split()
    + [FIRST, SECOND, SERIES]
)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=5) | _KEYS
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=25
)
_LEVEL = st.fixed_dictionaries({}, optional={"DICOM": _JSON, "DICOMVRs": _JSON, "Series": _JSON})
_INSTANCES = st.dictionaries(st.sampled_from([FIRST, SECOND, "1.1", "x"]), _LEVEL | _JSON, max_size=2)
_SERIES = st.dictionaries(
    st.sampled_from([SERIES, "1.1"]),
    st.fixed_dictionaries({}, optional={"DICOM": _JSON, "DICOMVRs": _JSON, "Instances": _INSTANCES}),
    max_size=2,
)
_DOCUMENTS = _JSON | st.fixed_dictionaries(
    {"SchemaVersion": st.sampled_from([1.1, "1.1", 1.0])},
    optional={
        "Patient": _LEVEL,
        "Study": st.fixed_dictionaries({}, optional={"DICOM": _JSON, "DICOMVRs": _JSON, "Series": _SERIES}),
        "ImageSetID": _JSON,
    },
)


@given(_DOCUMENTS, st.none() | _DOCUMENTS, st.booleans())
def test_any_json_gets_an_answer(updatable: Any, removable: Any, force: bool) -> None:
    """Whatever is sent is refused as no update, or checked: nothing else ever happens."""
    try:
        updates = parse_updates(blob(updatable), None if removable is None else blob(removable))
    except InvalidUpdate:
        return
    for told in violations(image_set(), targets_of(updates), profile="2024-07", primary=True, force=force):
        assert told.rule in {constraint.rule for constraint in CONSTRAINTS}
