"""The constraints as boto3 meets them: the rows and examples of tests/metadata/, in both profiles.

There the rules are asked, here a gateway of each profile, over a real image set that has the metadata of the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from gateway.dicom.part10 import EXPLICIT_VR_LITTLE_ENDIAN, write_part10
from gateway.metadata.constraints import CONSTRAINTS
from gateway.metadata.document import read_document
from gateway.metadata.image_set import PROFILES, ImageSetMetadata, MetadataUpdates, Profile
from gateway.metadata.mapping import to_dataset
from tests.conftest import Server, serving
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import ImageSet, image_set, stow
from tests.healthimaging.test_copying import copy
from tests.metadata import test_checks, test_constraints
from tests.metadata.examples import image_set as example

RULES = {constraint.rule for constraint in CONSTRAINTS}


@dataclass(frozen=True)
class Case:
    """An update, and the rules it breaks without force and with it; complete: and no others."""

    updates: MetadataUpdates
    without: frozenset[str]
    forced: frozenset[str]
    primary: bool = False
    complete: bool = True


def cases(profile: Profile) -> Iterator[Any]:
    """Yield the rows of the tables of rules, and the shared vectors where they are."""
    rows: list[tuple[str, Case]] = []
    for rule, updates in test_checks.NEVER_LIFTED:
        rows.append((rule, Case(updates, frozenset({rule}), frozenset({rule}), complete=False)))
    for rule, updates in test_checks.LIFTED:
        rows.append((rule, Case(updates, frozenset({rule}), frozenset())))
    for rule, updates, profiles in test_checks.STANDING:
        if profile in profiles:
            rows.append((rule, Case(updates, frozenset({rule}), frozenset({rule}), primary=True, complete=False)))
    for printed in test_constraints.EXAMPLES:
        row: Sequence[Any] = printed.values
        updates, older, newer = row
        rows.append((str(printed.id), Case(updates, frozenset(older if profile == "2024-07" else newer), frozenset())))
    for number, (name, case) in enumerate(rows):
        yield pytest.param(profile, case, None, id=f"{profile} {number} {name}")
    for shared in test_constraints.shared["cases"]:
        without, forced = (frozenset(shared[profile][which]) for which in ("violations", "violationsWithForce"))
        updates = MetadataUpdates(shared["updatable"], shared["removable"])
        case = Case(updates, without, forced, primary=shared["primary"])
        yield pytest.param(profile, case, test_constraints.shared["metadata"], id=f"{profile} shared {shared['name']}")


CASES = [row for profile in PROFILES for row in cases(profile)]


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[Profile, Server]]:
    """A gateway of each profile."""
    options = ("--max-datastores", "10000", "--constraint-profile")
    older, newer = (tmp_path_factory.mktemp("served") for _ in PROFILES)
    with serving(older, *options, PROFILES[0]) as first, serving(newer, *options, PROFILES[1]) as second:
        yield {PROFILES[0]: first, PROFILES[1]: second}


@cache
def client_of(endpoint: str) -> BaseClient:
    return boto3_client(endpoint)


def stored(server: Server, metadata: ImageSetMetadata, primary: bool) -> ImageSet:
    """Return an image set with this metadata in a new data store."""
    boto = client_of(server.endpoint)
    datastore_id = boto.create_datastore()["datastoreId"]
    head = metadata.head
    datasets = [to_dataset(head.patient, head.study, head.series, one) for one in metadata.instances.values()]
    stow(server, datastore_id, [write_part10(one, EXPLICIT_VR_LITTLE_ENDIAN) for one in datasets])
    one = image_set(boto, datastore_id, head.series_instance_uid)
    if primary:
        return one
    return ImageSet(boto, datastore_id, copy(one)["destinationImageSetProperties"]["imageSetId"])


def told(one: ImageSet, updates: MetadataUpdates, **options: Any) -> set[str]:
    """Return the rules that an update is refused for; none for one that is made."""
    try:
        one.update(updates.updatable, updates.removable, **options)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException"
        message = error.response["Error"]["Message"]
        found = {rule for rule in RULES if re.search(rf"(?:^|, ){rule}: ", message)}
        # What is no update document at all is told before any rule is asked.
        return found or {"shape"}
    return set()


@pytest.fixture(scope="module")
def unchanged() -> dict[Any, ImageSet]:
    """The image sets of cases that are refused even with force: one will do for all."""
    return {}


@pytest.mark.parametrize(("profile", "case", "document"), CASES)
def test_update_is_refused_for_the_rules_it_breaks(
    gateways: Mapping[Profile, Server],
    unchanged: dict[Any, ImageSet],
    profile: Profile,
    case: Case,
    document: dict[str, Any] | None,
) -> None:
    """All of them in one ValidationException, and no version is made; with force those that force does not lift."""
    kind = (profile, case.primary, document is None)
    one = unchanged.get(kind) if case.forced else None
    one = one or stored(gateways[profile], read_document(document) if document else example(), case.primary)
    if case.forced:
        unchanged[kind] = one

    if case.without:
        refused = told(one, case.updates)
        assert refused == case.without if case.complete else case.without <= refused
        assert [version["versionId"] for version in one.versions()] == ["1"]
    forced = told(one, case.updates, force=True)

    assert forced == case.forced if case.complete else case.forced <= forced
    if case.without and not case.forced:
        # To remove what is not there changes nothing.
        assert one.history()[0] in [("2", "UPDATED", True), ("1", "COPIED", False)]


def test_tables_are_not_empty() -> None:
    """Or the test above shows little."""
    assert len(CASES) >= 180
