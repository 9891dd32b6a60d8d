"""How updates break the constraints: each row of the table, in both profiles, with force and without."""

from __future__ import annotations

import pytest

from gateway.dicom.dictionary import entry_of
from gateway.metadata.constraints import CONSTRAINTS
from gateway.metadata.image_set import PROFILES, MetadataUpdates, Profile
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION, PIXEL_DESCRIPTION_TAGS
from tests.metadata.examples import (
    FIRST,
    SECOND,
    SERIES,
    STUDY,
    first,
    found,
    instances,
    patient,
    rules,
    series,
    study,
    to_remove,
    to_set,
)

V = {"SchemaVersion": 1.1}
NEVER_LIFTED = [
    # Not a 1.1 update document.
    ("shape", to_set({"Patient": {"DICOM": {}}})),
    ("shape", to_set({"SchemaVersion": 1.0})),
    ("shape", to_set({**V, "Series": {SERIES: {}}})),
    ("shape", to_set({**V, "Patient": None})),
    ("shape", to_set({**V, "Patient": {"DICOM": []}})),
    ("shape", to_set({**V, "Patient": {"PatientName": "X"}})),
    ("shape", to_set({**V, "Study": {STUDY: {"DICOM": {}}}})),
    ("shape", to_set({**V, "Study": {"Series": []}})),
    ("shape", to_set({**V, "Study": {"Series": {"../..": {}}}})),
    ("shape", to_set({**V, "Study": {"Series": {SERIES: {"Instances": {FIRST: None}}}}})),
    ("shape", to_set({**V, "Study": {"DICOMVRs": "DS"}})),
    ("shape", to_set(first({"001910F9": "97"}, {"001910F9": "XX"}))),
    ("shape", to_set(first({"001910F9": "97"}, {"001910F9": "DS", "001910FA": "DS"}))),
    ("shape", to_remove({**V, "Study": {"Series": {SERIES: {}}}})),
    # Not the key of an attribute.
    ("shape", to_set(patient(**{"00100010": "X"}))),
    ("shape", to_set(first({"0019100a": "x"}, {"0019100a": "LO"}))),
    ("shape", to_set(first({"(0019,1001)": "x"}))),
    ("shape", to_set(first({"Patient Name": "x"}))),
    ("shape", to_set(first({"00190000": 4}, {"00190000": "UL"}))),
    ("shape", to_set(first({"00011001": "x"}, {"00011001": "LO"}))),
    ("shape", to_set(first({"FFFEE00D": None}))),
    ("generated", to_set({**V, "DatastoreID": "x"})),
    ("generated", to_remove({**V, "ImageSetID": None})),
    ("generated", to_set(instances({FIRST: {"StoredTransferSyntaxUID": "1.2"}}))),
    ("generated", to_set(instances({FIRST: {"ImageFrames": []}}))),
    ("generated", to_set(first({"PixelData": None}))),
    ("generated", to_set(first({"FloatPixelData": "AAAA"}))),
    ("generated", to_remove(first({"Checksum": 1}))),
    ("pixel-description", to_set(first({"Rows": 3}))),
    ("pixel-description", to_remove(first({"TransferSyntaxUID": None}))),
    ("level", to_set(study(PatientName="X"))),
    ("level", to_set(patient(InstanceNumber="1"))),
    ("level", to_remove(study(PatientName=None))),
    ("level", to_set(series(**{"00191001": "x"}))),
    ("absent", to_set({**V, "Study": {"Series": {"1.2": {"DICOM": {"Modality": "MR"}}}}})),
    ("absent", to_set(instances({"1.2": {"DICOM": {"InstanceNumber": "3"}}}))),
    ("absent", to_remove(instances({"1.2": {}}))),
    ("absent", to_set(first({"ICCProfile": {"BulkDataURI": "f" * 32}}))),
    ("both", MetadataUpdates(study(StudyDescription="A"), study(StudyDescription=None))),
    ("duplicate", to_set(first({"SOPInstanceUID": SECOND}))),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("rule", "updates"), NEVER_LIFTED)
def test_some_rules_force_never_lifts(rule: str, updates: MetadataUpdates, profile: Profile) -> None:
    """In both profiles, with force and on an image set that is not primary, the rule stays."""
    assert rule in rules(updates, profile=profile)
    assert rules(updates, profile=profile, primary=False, force=True) == [rule]


LIFTED = [
    ("uid", to_set(study(StudyInstanceUID="1.2.3"))),
    ("uid", to_set(series(SeriesInstanceUID="1.2.3"))),
    ("uid", to_set(first({"SOPInstanceUID": "1.2.3"}))),
    ("study-id", to_set(study(StudyID="S2"))),
    ("study-id", to_set(study(StudyID=None))),
    ("study-id", to_remove(study(StudyID=None))),
    ("private", to_set(first({"00191001": "y"}))),
    ("private", to_set(first({"00190010": "OTHER"}))),
    ("private", to_set(first({"001910F9": "97"}, {"001910F9": "DS"}))),
    ("private", to_remove(first({"00191001": None}))),
    ("sequence", to_set(study(ProcedureCodeSequence=[]))),
    ("sequence", to_set(series(RequestAttributesSequence=[{"CodeValue": "A"}]))),
    ("sequence", to_remove(study(ProcedureCodeSequence=None))),
    ("multi-valued", to_set(series(SoftwareVersions=["2.0"]))),
    ("multi-valued", to_set(series(SoftwareVersions="2.0"))),
    ("multi-valued", to_set(patient(PatientName=["A", "B"]))),
    ("multi-valued", to_remove(series(SoftwareVersions=None))),
    ("vr", to_set(patient(PatientBirthDate="1970-01-02"))),
    ("vr", to_set(patient(PatientSex="female"))),
    ("vr", to_set(series(SeriesNumber="one"))),
    ("vr", to_set(study(StudyDescription="x" * 65))),
    ("vr", to_set({**V, "Study": {"DICOM": {"StudyDescription": "x"}, "DICOMVRs": {"StudyDescription": "SH"}}})),
    ("non-standard", to_set(study(NotAnAttribute="x"))),
    ("non-standard", to_remove(study(NotAnAttribute="x"))),
    ("non-standard", to_set(first({"00081112": "x"}, {"00081112": "LO"}))),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("rule", "updates"), LIFTED)
def test_other_rules_force_lifts(rule: str, updates: MetadataUpdates, profile: Profile) -> None:
    """In both profiles the rule goes with force, on an image set that is not primary."""
    told = found(updates, profile=profile, primary=False)

    assert [(violation.rule, violation.force_lifts) for violation in told] == [(rule, True)]
    assert rules(updates, profile=profile, primary=False, force=True) == []


# Where force lifts a rule, and not for these.
STANDING = [
    ("uid", to_remove(study(StudyInstanceUID=None)), PROFILES),
    ("uid", to_remove(series(SeriesInstanceUID=None)), PROFILES),
    ("uid", to_set(first({"SOPInstanceUID": None})), PROFILES),
    ("uid", to_set(first({"SOPInstanceUID": ""})), PROFILES),
    ("uid", to_set(first({"SOPInstanceUID": "1.2.3"})), ("2026-06",)),
    ("uid", to_set(series(SeriesInstanceUID="1.2.3")), ("2026-06",)),
    ("uid", to_set(study(StudyInstanceUID="1.2.3")), ("2026-06",)),
    ("vr", to_set(patient(PatientName={"Alphabetic": "X"})), PROFILES),
    ("vr", to_set(patient(PatientName=5)), PROFILES),
    ("vr", to_set(patient(PatientName=True)), PROFILES),
    ("vr", to_set(patient(PatientID="A\\B")), PROFILES),
    ("vr", to_set(patient(PatientID="A\0")), PROFILES),
    ("vr", to_set(patient(PatientID="A\nB")), PROFILES),
    ("vr", to_set(study(PregnancyStatus=65536)), PROFILES),
    ("vr", to_set(study(PregnancyStatus="4")), PROFILES),
    ("vr", to_set(first({"ICCProfile": "!!!"})), PROFILES),
    ("vr", to_set(study(NotAnAttribute=True)), PROFILES),
    ("vr", to_set(series(FrameOfReferenceUID="../../etc")), PROFILES),
    ("vr", to_set(series(FrameOfReferenceUID="1.02.3")), PROFILES),
    ("vr", to_set(series(FrameOfReferenceUID="1." * 32 + "1")), PROFILES),
    (
        "vr",
        to_set({**V, "Study": {"DICOM": {"StudyInstanceUID": "../x"}, "DICOMVRs": {"StudyInstanceUID": "LO"}}}),
        PROFILES,
    ),
]


@pytest.mark.parametrize(("rule", "updates", "profiles"), STANDING)
def test_force_does_not_lift_all_of_a_rule(rule: str, updates: MetadataUpdates, profiles: tuple[Profile, ...]) -> None:
    """What would leave no identifier, no UID or nothing that can be stored stands, and says so beforehand."""
    for profile in profiles:
        assert rule in rules(updates, profile=profile, force=True)
        assert [told.force_lifts for told in found(updates, profile=profile) if told.rule == rule][0] is False


def test_an_instance_is_removed_freely_in_the_older_profile_and_with_force_in_the_newer() -> None:
    """The guide asks for force from 2026 on; its example of 2024 has none."""
    updates = to_remove(instances({SECOND: {}}))

    assert rules(updates, profile="2024-07") == []
    assert rules(updates, profile="2026-06") == ["instance-removal"]
    assert rules(updates, profile="2026-06", force=True) == []


def test_a_uid_does_not_pass_from_an_instance_to_another_in_one_update() -> None:
    """Not even if the other one is removed: that takes two edits."""
    updates = MetadataUpdates(first({"SOPInstanceUID": SECOND}), instances({SECOND: {}}))

    assert rules(updates, force=True) == ["duplicate"]


def test_an_instance_is_not_updated_and_removed_at_once() -> None:
    """There is no telling which is meant."""
    updates = MetadataUpdates(first({"InstanceNumber": "5"}), instances({FIRST: {}}))

    assert rules(updates, force=True) == ["both"]


def test_two_instances_do_not_get_the_same_uid() -> None:
    """Both are told: either could be the mistake."""
    updates = to_set(instances({uid: {"DICOM": {"SOPInstanceUID": "1.9"}} for uid in (FIRST, SECOND)}))

    assert rules(updates, force=True) == ["duplicate", "duplicate"]


def test_a_uid_that_breaks_the_rules_in_a_sequence_that_is_copied_is_lifted() -> None:
    """Archives are full of them, and a sequence is set as a whole; what is no UID at all stands."""
    old = to_set(study(ReferencedStudySequence=[{"ReferencedSOPInstanceUID": "1.02"}]))
    none = to_set(study(ReferencedStudySequence=[{"ReferencedSOPInstanceUID": "../x"}]))

    assert rules(old, force=True) == []
    assert rules(none, force=True) == ["vr"]


@pytest.mark.parametrize(
    "updates",
    [
        pytest.param(to_set(first({"001910F9": "97"})), id="private"),
        pytest.param(to_set(first({"00081112": "x"})), id="newer than 2022b"),
        pytest.param(to_set(study(ProcedureCodeSequence=[{"00191001": "x"}])), id="in an item"),
    ],
)
def test_a_vr_is_asked_for_once_nothing_else_is_in_the_way(updates: MetadataUpdates) -> None:
    """Without force, the rule to be told of is the one that force lifts."""
    assert "private-vr" not in rules(updates)
    assert rules(updates, force=True) == ["private-vr"]


def test_an_overlay_is_standard_and_only_needs_its_vr() -> None:
    """(60xx,0022) is in PS3.6, without a keyword for each group."""
    assert rules(to_set(first({"60000022": "x"}))) == ["private-vr"]
    assert rules(to_set(first({"60000022": "x"}, {"60000022": "LO"}))) == []


@pytest.mark.parametrize("tag", sorted(PIXEL_DESCRIPTION_TAGS))
def test_what_describes_the_pixels_is_never_set(tag: str) -> None:
    """Each attribute of the table, empty here, in both profiles and with force."""
    entry = entry_of(tag)
    assert entry is not None
    for profile in PROFILES:
        assert rules(to_set(first({entry.keyword: None})), profile=profile, force=True) == ["pixel-description"]


def test_a_value_with_several_faults_is_one_violation() -> None:
    """Eight characters of a date are too few for 1970-01-02, which is no date either."""
    told = found(to_set(patient(PatientBirthDate="1970-01-02")))

    assert [violation.message for violation in told] == [
        "PatientBirthDate (0010,0030): DA is at most 8 characters; DA is a date, YYYYMMDD"
    ]


def test_a_fault_in_an_item_is_told_with_its_place() -> None:
    """The second item's CodeValue is too long for SH."""
    items = [{"CodeValue": "A"}, {"CodeValue": "12345678901234567"}]
    told = found(to_set(study(ProcedureCodeSequence=items)))

    assert [violation.message for violation in told if violation.rule == "vr"] == [
        "ProcedureCodeSequence (0008,1032): at [1].00080100[0]: SH is at most 16 characters"
    ]


def test_every_rule_has_a_case_here() -> None:
    """A row nobody breaks is a row nobody has read."""
    broken = {rule for rule, _ in NEVER_LIFTED + LIFTED} | {"instance-removal", "private-vr"}

    assert {constraint.rule for constraint in CONSTRAINTS} == broken


def test_every_attribute_of_the_pixel_description_is_one_of_the_instance() -> None:
    """In a table by clause, each tag once, named by 2022b."""
    tags = [tag for clause in PIXEL_DESCRIPTION.values() for tag in clause]

    assert len(tags) == len(set(tags))
    assert all(entry_of(tag) for tag in tags)
