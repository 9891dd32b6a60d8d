"""QIDO-RS over the log: which conditions an index answers, and the rest by reading what the index leaves.

An index narrows and `matches` decides: a filter lets through whatever meets its condition. Where the filters say all
that the query says, nothing is read but the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from gateway.dicom.dataset import Dataset, Element, Tag, in_tag_order
from gateway.dicom.matching import Condition, Order, Query, decimal, matches_all, name_key, name_words
from gateway.dicom.query_string import FROM_INSTANCES
from gateway.errors import Level
from gateway.metadata.image_set import Head
from gateway.metadata.mapping import to_dataset
from gateway.metadata.study_summary import SUMMARISED, StudySummary, summary_dataset
from gateway.store.log.contents import Candidate, Filter, FoundImageSet
from gateway.store.log.heads import unpack_head
from gateway.store.log.parts import unpack_part
from gateway.store.searches import Match, Page
from gateway.store.study_rows import text_of

# PS3.18 Tables 10.6.1-5 and 10.6.3-3 to 10.6.3-5: what QIDO-RS can search for, where the log has an index for it.
_EQUAL: Mapping[Tag, str] = {
    "0020000D": "study_instance_uid",
    "0020000E": "series_instance_uid",
    "00080018": "sop_instance_uid",
    "00100020": "patient_id",
    "00080050": "accession_number",
    "00200010": "study_id",
    "00080060": "modality",
    "00080061": "modalities",
    "00081030": "study_description",
}
_NAMES: Mapping[Tag, str] = {"00100010": "patient_name", "00080090": "referring_physician_name"}
_STUDY_DATE: Tag = "00080020"

# HealthImaging keeps what an instance was imported with here, and finds it by that (devguide, "Searching for DICOM
# instances").
WARNING_REASON: Tag = "00081196"

# Of these, the ones that wild cards can be matched with (PS3.4 C.2.2.2.4).
_LIKE = frozenset({"patient_id", "accession_number", "study_id", "study_description"})

# Which of these a row of the level has.
_OF_SERIES = frozenset({"series_instance_uid", "modality"})
_OF_INSTANCE = frozenset({"sop_instance_uid", "warning_reason"})

_DATE = re.compile(r"[0-9]{8}")

# The orders that are by a number, and how many matches are sorted by it at most: all of them have to be read.
NUMBERS: Mapping[Order, Tag] = {"SeriesNumber": "00200011", "InstanceNumber": "00200013"}
MOST_NUMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered. complete: the filters say all of it."""

    filters: tuple[Filter, ...]
    complete: bool


def plan(query: Query) -> Plan:
    """Return the filters for a query's conditions, each field once: a second one is left to `matches`."""
    filters: dict[str, Filter] = {}
    complete = True
    for condition in query.conditions:
        one = _filter(query, condition)
        if one is None or one.field in filters:
            complete = False
        else:
            filters[one.field] = one
            complete = complete and one.kind != "words" and one.field not in _OF_INSTANCE
    return Plan(tuple(filters.values()), complete)


def _filter(query: Query, condition: Condition) -> Filter | None:
    """Return a filter that lets through whatever meets the condition; None where no index helps."""
    if len(condition.path) > 1:
        return None
    tag = condition.path[0]
    if tag in _NAMES:
        return _name_filter(_NAMES[tag], condition)
    if tag == _STUDY_DATE:
        return _date_filter(condition)
    if tag == WARNING_REASON and query.level == "Instance" and condition.kind != "empty":
        return Filter("warning_reason", "present", ())
    name = _EQUAL.get(tag)
    below = {"Study": _OF_SERIES | _OF_INSTANCE, "Series": _OF_INSTANCE, "Instance": frozenset[str]()}[query.level]
    if name is None or name in below:
        return None
    values = tuple(value.strip(" ") for value in condition.values)
    if condition.kind == "wildcard" and name in _LIKE:
        return Filter(name, "like", values)
    return Filter(name, "equal", values) if condition.kind in ("single", "uids", "codes") else None


def _name_filter(name: str, condition: Condition) -> Filter | None:
    """Return a filter by a name's component groups. A search for several of them at once has none."""
    if condition.kind == "fuzzy":
        return Filter(name, "words", ("\n".join(name_words(condition.values[0])),))
    if condition.kind not in ("single", "wildcard") or "=" in condition.values[0]:
        return None
    asked = name_key(condition.values[0].strip(" "))
    return Filter(name, "like", (asked,)) if asked else None


def _date_filter(condition: Condition) -> Filter | None:
    if condition.kind == "range":
        return Filter("study_date", "between", condition.values)
    if condition.kind == "single" and _DATE.fullmatch(condition.values[0]):
        return Filter("study_date", "equal", condition.values)
    return None


# -- of studies, by their summaries


def in_summaries(query: Query) -> bool:
    """Whether what a query is about stands in the summaries of studies."""
    return all(len(one.path) == 1 and one.path[0] in SUMMARISED for one in query.conditions)


@dataclass(frozen=True)
class SummaryMatches:
    """Says whether a study meets conditions, which `in_summaries` are. Equal to another that says the same."""

    conditions: tuple[Condition, ...]

    def __call__(self, summary: StudySummary) -> bool:
        return matches_all(summary_dataset(summary, self._asked), self.conditions)

    @cached_property
    def _asked(self) -> frozenset[Tag]:
        return frozenset(condition.path[0] for condition in self.conditions)


# -- of all levels, by their metadata


@dataclass
class Collector:
    """Takes candidates as the log finds them, and keeps the matches of one page. Runs on the log's thread.

    skip: how many matches come before the page. With a complete plan, the log skips and the collector does not.
    """

    query: Query
    complete: bool
    skip: int
    limit: int | None
    matches: list[Match] = field(default_factory=list)
    found: int = 0

    def begin_anew(self) -> None:
        """Forget what was visited."""
        self.matches.clear()
        self.found = 0

    def visit(self, candidate: Candidate) -> bool:
        """Keep what matches of a study or series, and say whether to go on."""
        if self.query.level == "Instance":
            self._visit_instances(candidate)
            return not (self.complete and self._full)
        head = unpack_head(candidate.head)
        if self.complete or matches_all(self._dataset(head, candidate, self._asked), self.query.conditions):
            self.found += 1
            if self.found > self.skip and not self._full:
                series = None if self.query.level == "Study" else head.series_instance_uid
                dataset = self._dataset(head, candidate, self.needed)
                self.matches.append(Match(candidate.study_instance_uid, series, None, dataset))
        return True

    def _dataset(self, head: Head, candidate: Candidate, only: frozenset[Tag] | None) -> Dataset:
        """Return the attributes of a study or series, all or only some, what is computed besides."""
        levels = [head.patient, head.study] if self.query.level == "Study" else [head.patient, head.study, head.series]
        dataset = {**to_dataset(*levels, only=only), **computed(self.query.level, candidate)}
        if self.query.level == "Series" and (only is None or self._from_instances & only):
            dataset.update(self._from_first_instance(candidate))
        return in_tag_order(dataset)

    @cached_property
    def _from_instances(self) -> frozenset[Tag]:
        """What of FROM_INSTANCES the query names; they are not among what every series shows."""
        return FROM_INSTANCES & (self._asked | {path[0] for path in self.query.include})

    @cached_property
    def _asked(self) -> frozenset[Tag]:
        """The attributes that are matched: most of what is looked at is on another page, or does not match."""
        return frozenset(condition.path[0] for condition in self.query.conditions)

    @cached_property
    def needed(self) -> frozenset[Tag] | None:
        """The attributes to decode: what is wanted and what is matched, None for all."""
        if self.query.wanted is None:
            return None
        sorted_by = {NUMBERS[self.query.order]} if self.query.order in NUMBERS else set[Tag]()
        return self.query.wanted | self._asked | sorted_by

    @cached_property
    def _uids(self) -> frozenset[str] | None:
        """The SOP Instance UIDs of what can match, None for any: the rest of a part need not be decoded."""
        asked = [one for one in self.query.conditions if one.path == ("00080018",) and one.kind == "uids"]
        return frozenset.intersection(*(frozenset(one.values) for one in asked)) if asked else None

    def _visit_instances(self, candidate: Candidate) -> None:
        count = candidate.manifest.instance_count
        if self.complete and self.found + count <= self.skip:
            self.found += count
            return
        head = unpack_head(candidate.head)
        above = {
            **to_dataset(head.patient, head.study, head.series, only=self.needed),
            **computed("Instance", candidate),
        }
        asked = self.needed is None or WARNING_REASON in self.needed
        warnings = candidate.warnings() if asked else {}
        for part in candidate.manifest:
            if self.complete and self._full:
                return
            if self.complete and self.found + part.count <= self.skip:
                self.found += part.count
            elif part.number:
                self._visit_part(candidate, head.series_instance_uid, above, part.number, warnings)

    def _visit_part(
        self,
        candidate: Candidate,
        series: str,
        above: Dataset,
        number: int,
        warnings: Mapping[int, tuple[int, ...]],
    ) -> None:
        for placed in (one for part in candidate.parts([number]) for one in unpack_part(part)):
            if self._uids is not None and placed.sop_instance_uid not in self._uids:
                continue
            if self.complete and self._full:
                return
            if self.complete and self.found < self.skip:
                self.found += 1
                continue
            dataset = {**above, **to_dataset(placed.metadata, only=self.needed)}
            if placed.object_number in warnings:
                dataset[WARNING_REASON] = Element("US", warnings[placed.object_number])
            dataset = in_tag_order(dataset)
            if self.complete or matches_all(dataset, self.query.conditions):
                self._keep(Match(candidate.study_instance_uid, series, placed.sop_instance_uid, dataset))

    def _from_first_instance(self, candidate: Candidate) -> Dataset:
        """Return what a search for series takes from an instance, all of a series being alike there."""
        number = next((part.number for part in candidate.manifest if part.number), None)
        if number is None:
            return {}
        first = unpack_part(candidate.parts([number])[0])[0]
        return to_dataset(first.metadata, only=FROM_INSTANCES)

    @property
    def _full(self) -> bool:
        return self.limit is not None and len(self.matches) >= self.limit

    def _keep(self, match: Match) -> None:
        self.found += 1
        if self.found > self.skip and not self._full:
            self.matches.append(match)

    def page(self, total: int) -> Page:
        """Return the page, given how many matches there are in all."""
        return Page(tuple(self.matches), max(0, total - self.query.offset - len(self.matches)))

    def numbered_page(self) -> Page:
        """Return the page of all matches, all of which were kept, by their number; those without one last."""
        in_order = sorted(self.matches, key=self._number)
        end = None if self.query.limit is None else self.query.offset + self.query.limit
        page = tuple(in_order[self.query.offset : end])
        return Page(page, max(0, len(in_order) - self.query.offset - len(page)))

    def _number(self, match: Match) -> Decimal:
        element = match.dataset.get(NUMBERS[self.query.order])
        number = decimal(str(element.values[0])) if element and element.values else None
        return Decimal("Infinity") if number is None else number


def computed(level: str, candidate: Candidate) -> Dataset:
    """Return the attributes that a search adds to what is stored (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""
    dataset = {
        "00080056": Element("CS", ("ONLINE",)),  # InstanceAvailability
        "00080062": Element("UI", candidate.sop_classes),  # SOPClassesInStudy
        "00201206": Element("IS", (str(candidate.series_count),)),  # NumberOfStudyRelatedSeries
        "00201208": Element("IS", (str(candidate.instance_count),)),  # NumberOfStudyRelatedInstances
    }
    if candidate.modalities:
        dataset["00080061"] = Element("CS", candidate.modalities)  # ModalitiesInStudy
    if level != "Instance" and (offset := candidate.manifest.timezone):
        dataset["00080201"] = Element("SH", (offset,))  # TimezoneOffsetFromUTC, which instances have
    if level != "Study":
        # NumberOfSeriesRelatedInstances
        dataset["00201209"] = Element("IS", (str(candidate.manifest.instance_count),))
    return dataset


# -- SearchImageSets

# DICOMTags, by HealthImaging's names (botocore's model of SearchImageSets); numbers where it has numbers.
_TAGS: tuple[tuple[str, Level, str], ...] = (
    ("DICOMPatientId", "Patient", "PatientID"),
    ("DICOMPatientName", "Patient", "PatientName"),
    ("DICOMPatientBirthDate", "Patient", "PatientBirthDate"),
    ("DICOMPatientSex", "Patient", "PatientSex"),
    ("DICOMStudyInstanceUID", "Study", "StudyInstanceUID"),
    ("DICOMStudyId", "Study", "StudyID"),
    ("DICOMStudyDescription", "Study", "StudyDescription"),
    ("DICOMAccessionNumber", "Study", "AccessionNumber"),
    ("DICOMStudyDate", "Study", "StudyDate"),
    ("DICOMStudyTime", "Study", "StudyTime"),
    ("DICOMSeriesInstanceUID", "Series", "SeriesInstanceUID"),
    ("DICOMSeriesModality", "Series", "Modality"),
    ("DICOMSeriesBodyPart", "Series", "BodyPartExamined"),
)


def dicom_tags(found: FoundImageSet) -> dict[str, str | int]:
    """Return the DICOMTags of a SearchImageSets match, those that are not empty."""
    head = unpack_head(found.head)
    texts = {name: text_of(head.level(level), keyword) for name, level, keyword in _TAGS}
    tags: dict[str, str | int] = {name: text for name, text in texts.items() if text}
    number = decimal(text_of(head.series, "SeriesNumber"))
    # HealthImaging's range, an integer of 32 bits; and int() of "1E999999999" would take all memory.
    if number is not None and -(2**31) <= number < 2**31:
        tags["DICOMSeriesNumber"] = int(number)
    tags["DICOMNumberOfStudyRelatedSeries"] = found.series_count
    tags["DICOMNumberOfStudyRelatedInstances"] = found.instance_count
    return tags
