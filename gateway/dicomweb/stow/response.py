"""The Store Instances Response: PS3.18 Annex I, for what was sent in PS3.10 and for edits alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from starlette.responses import Response

from gateway import errors
from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.query_string import is_uid
from gateway.dicomweb.negotiation import Offer
from gateway.dicomweb.responses import JSON_OFFERS, dataset_response
from gateway.dicomweb.targets import Target
from gateway.errors import GatewayError, InvalidRequest
from gateway.metadata.original_attributes import SYSTEM, original_attributes_item
from gateway.pixels.received import UnsupportedSyntax
from gateway.store.contents import StoredInstance

SOP_CLASS_UID = "00080016"
SOP_INSTANCE_UID = "00080018"
STUDY_INSTANCE_UID = "0020000D"

# PS3.18 Table I.2-2: Failure Reason (0008,1197), by the nearest class in the error's line of ancestors.
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH_SOP_CLASS = 0xA900
OTHER_STUDY = 0xA901
MISSING_BULK_DATA = 0xA922
CANNOT_UNDERSTAND = 0xC000
UNSUPPORTED_SYNTAX = 0xC122

# PS3.18 Table I.2-1: Warning Reason (0008,1196), and two of ours. An instance has room for one: the first of these.
COERCED = 0xB000
NON_PRIMARY = 0xB020
UNUSUAL_UID = 0xB202
WARNINGS_BY_WEIGHT = (COERCED, NON_PRIMARY, UNUSUAL_UID)


class OtherStudy(InvalidRequest):
    """The path names another study than the instance does."""

    def __init__(self) -> None:
        super().__init__("the instance is of another study than the path names")


class MissingBulkData(InvalidRequest):
    """A dataset names bulk data that did not come with it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no part has the Content-Location of {number} of its BulkDataURIs")
        self.number = number


FAILURE_REASONS: dict[type[Exception], int] = {
    OtherStudy: OTHER_STUDY,
    MissingBulkData: MISSING_BULK_DATA,
    UnsupportedSyntax: UNSUPPORTED_SYNTAX,
    errors.ConstraintViolations: DOES_NOT_MATCH_SOP_CLASS,
    errors.InvalidRequest: CANNOT_UNDERSTAND,
    errors.NotFound: DOES_NOT_MATCH_SOP_CLASS,
    errors.StorageFull: OUT_OF_RESOURCES,
    errors.TooLarge: OUT_OF_RESOURCES,
    GatewayError: PROCESSING_FAILURE,
}


@dataclass(frozen=True, slots=True)
class Failed:
    """A part that never reached the Store.

    dataset: what of it could be read. unread: it is no PS3.10 file, or a damaged one.
    """

    error: GatewayError
    dataset: Dataset = field(default_factory=dict)
    unread: bool = False


Outcome = Failed | StoredInstance


def store_response(
    outcomes: Sequence[Outcome], root: str, offer: Offer = JSON_OFFERS[0], when: datetime | None = None
) -> Response:
    """Return the answer to a store: 200, 202 or 409 with the response dataset (PS3.18 Tables 10.5.3-1 and I.1-1).

    when: the time of coercion, for OriginalAttributesSequence. Raises InvalidRequest where not one part could be read:
    that is bad syntax, and a sentence for each says more than a code.
    """
    unread = [one for one in outcomes if isinstance(one, Failed) and (one.unread or not one.dataset)]
    if len(unread) == len(outcomes):
        raise InvalidRequest("; ".join(f"part {n}: {outcome.error}" for n, outcome in enumerate(unread[:10], 1)))
    return dataset_response(response_dataset(outcomes, root, when), offer, status_of(outcomes))


def status_of(outcomes: Sequence[Outcome]) -> int:
    """Return 200 if all is stored without a warning, 409 if nothing is, 202 for what lies between."""
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(failures) == len(outcomes):
        return 409
    warned = any(isinstance(outcome, StoredInstance) and outcome.warnings for outcome in outcomes)
    return 202 if failures or warned else 200


def response_dataset(outcomes: Sequence[Outcome], root: str, when: datetime | None = None) -> Dataset:
    """Return the dataset of PS3.18 Table I.1-1; a sequence is there only if it has items."""
    stored = [one for one in outcomes if isinstance(one, StoredInstance) and one.error is None]
    failed = [item for item in map(_failed_item, outcomes) if item]
    other = [_reason(one.error) for one in outcomes if one.error is not None and not _failed_item(one)]
    studies = {one.study_instance_uid for one in stored}
    # Type 2: parts of several studies have no address in common.
    url = (f"{root}{Target(studies.pop()).path}",) if len(studies) == 1 else ()
    dataset = {"00081190": Element("UR", url)}
    if failed:
        dataset["00081198"] = Element("SQ", items=tuple(failed))
    if stored:
        dataset["00081199"] = Element("SQ", items=tuple(_stored_item(one, root, when) for one in stored))
    if other:
        dataset["0008119A"] = Element("SQ", items=tuple(other))
    return dataset


def failure_reason(error: GatewayError) -> int:
    """Return the Failure Reason (0008,1197) of an error."""
    return next(FAILURE_REASONS[kind] for kind in type(error).__mro__ if kind in FAILURE_REASONS)


def uid_of(dataset: Dataset, tag: Tag) -> str:
    """Return a UID of a dataset as text; "" where it has none."""
    element = dataset.get(tag)
    return str(element.values[0]) if element and element.values else ""


def _stored_item(stored: StoredInstance, root: str, when: datetime | None) -> Dataset:
    target = Target(stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)
    item = _reference(stored.sop_class_uid, stored.sop_instance_uid)
    item["00081190"] = Element("UR", (f"{root}{target.path}",))
    if stored.warnings:
        item["00081196"] = Element("US", (min(stored.warnings, key=_weight),))
    if stored.original and when is not None:
        original = original_attributes_item(stored.original, when=when, system=SYSTEM, source="", reason="COERCE")
        item["04000561"] = Element("SQ", items=(original,))
    return item


def _failed_item(outcome: Outcome) -> Dataset:
    """Return the item of an instance that failed; an empty one if it did not, or if nobody can tell which it is."""
    if outcome.error is None:
        return {}
    if isinstance(outcome, Failed):
        sop_class, instance = uid_of(outcome.dataset, SOP_CLASS_UID), uid_of(outcome.dataset, SOP_INSTANCE_UID)
    else:
        sop_class, instance = outcome.sop_class_uid, outcome.sop_instance_uid
    return _reference(sop_class, instance) | _reason(outcome.error) if is_uid(instance) else {}


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    return {
        "00081150": Element("UI", (sop_class_uid,) if sop_class_uid else ()),
        "00081155": Element("UI", (sop_instance_uid,) if sop_instance_uid else ()),
    }


def _reason(error: GatewayError) -> Dataset:
    return {"00081197": Element("US", (failure_reason(error),))}


def _weight(warning: int) -> int:
    """Return where a warning stands among those we know; what we do not know comes last."""
    return WARNINGS_BY_WEIGHT.index(warning) if warning in WARNINGS_BY_WEIGHT else len(WARNINGS_BY_WEIGHT)
