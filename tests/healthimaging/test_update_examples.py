"""The seven published examples of update-image-set-metadata, run by the clients they were written for.

update_examples.json has the commands and documents word for word, with placeholders for identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from string import Template
from typing import Any

import pytest

from tests.conftest import Server
from tests.healthimaging.clients import Client, Refused, through_boto3, through_cli_v1, through_cli_v2
from tests.healthimaging.conftest import SERIES, ImageSet, patient

EXAMPLES = json.loads((Path(__file__).parent / "update_examples.json").read_text())
IDS = [example["title"].removeprefix("To ") for example in EXAMPLES]

INSTANCE = f"{SERIES}.2"
NEW_INSTANCE = f"{SERIES}.9"

Document = dict[str, Any]


@pytest.fixture(params=["boto3", "CLI v1", "CLI v2"])
def client(request: pytest.FixtureRequest, session_server: Server, tmp_path: Path) -> Client:
    """Each of the clients in turn."""
    if request.param == "CLI v2":
        return through_cli_v2(session_server.endpoint, tmp_path)
    return {"boto3": through_boto3, "CLI v1": through_cli_v1}[request.param](session_server.endpoint)


def instances(document: Document) -> Document:
    found: Document = document["Study"]["Series"][SERIES]["Instances"]
    return found


# What each example does to the document of version 1, in their order. None: it is the one that reverts.


def update_attribute(document: Document) -> None:
    document["Patient"]["DICOM"]["PatientName"] = "MX^MX"


def remove_attribute(document: Document) -> None:
    del document["Study"]["DICOM"]["StudyDescription"]


def remove_instance(document: Document) -> None:
    del instances(document)[INSTANCE]


def add_private_element(document: Document) -> None:
    instances(document)[INSTANCE]["DICOM"]["001910F9"] = "97"
    instances(document)[INSTANCE]["DICOMVRs"]["001910F9"] = "DS"


def update_private_element(document: Document) -> None:
    instances(document)[INSTANCE]["DICOM"]["00091001"] = "GE_GENESIS_DD"


def update_sop_instance_uid(document: Document) -> None:
    instance = instances(document).pop(INSTANCE)
    instance["DICOM"]["SOPInstanceUID"] = NEW_INSTANCE
    instance["DICOM"]["MediaStorageSOPInstanceUID"] = NEW_INSTANCE
    instances(document)[NEW_INSTANCE] = instance


EFFECTS: list[Callable[[Document], None] | None] = [
    update_attribute,
    remove_attribute,
    remove_instance,
    None,
    add_private_element,
    update_private_element,
    update_sop_instance_uid,
]


def run(client: Client, example: Document, image_set: ImageSet, folder: Path, latest_version: str) -> dict[str, Any]:
    """Run an example with the identifiers of an image set in the places of its own."""
    ids = {
        "datastore": image_set.datastore_id,
        "image_set": image_set.image_set_id,
        "latest_version": latest_version,
        "series": SERIES,
        "instance": INSTANCE,
        "new_instance": NEW_INSTANCE,
    }
    name = "metadata-updates.json"
    if name in example:
        (folder / name).write_text(Template(json.dumps(example[name])).substitute(ids))
    return client(Template(" ".join(example["command"])).substitute(ids), folder)


@pytest.mark.parametrize(("example", "effect"), list(zip(EXAMPLES, EFFECTS, strict=True)), ids=IDS)
def test_example_changes_what_it_says_and_nothing_else(
    example: Document, effect: Callable[[Document], None] | None, client: Client, ct: ImageSet, tmp_path: Path
) -> None:
    """Each example makes the next version of the image set, and version 1 stays as it was."""
    first = ct.document()
    expected = deepcopy(first)
    latest = "1"
    if effect is None:
        ct.update(patient(PatientName="A^A"), latest="1")
        ct.update(patient(PatientName="B^B"), latest="2")
        latest = "3"
    else:
        effect(expected)

    answer = run(client, example, ct, tmp_path, latest)

    made = str(int(latest) + 1)
    assert answer.pop("createdAt") and answer.pop("updatedAt")
    assert answer == {
        "datastoreId": ct.datastore_id,
        "imageSetId": ct.image_set_id,
        "latestVersionId": made,
        "imageSetState": "LOCKED",
        "imageSetWorkflowStatus": "UPDATING",
    }
    assert ct.document() == expected
    assert ct.document("1") == first
    assert ct.history()[0] == (made, "UPDATED", "--force" in example["command"])
    assert len(ct.history()) == int(made)


def test_sop_instance_uid_without_force_is_refused(client: Client, ct: ImageSet, tmp_path: Path) -> None:
    """The seventh example without --force is a ValidationException that names the rule, and changes nothing."""
    example = EXAMPLES[6] | {"command": [part for part in EXAMPLES[6]["command"] if part != "--force"]}

    with pytest.raises(Refused) as refused:
        run(client, example, ct, tmp_path, "1")

    assert refused.value.name == "ValidationException"
    assert refused.value.message.startswith("uid: ")
    assert "force lifts it" in refused.value.message
    assert ct.history() == [("1", "CREATED", False)]


def test_stale_latest_version_is_a_conflict(client: Client, ct: ImageSet, tmp_path: Path) -> None:
    """The first example again, from version 1 when version 2 is current, is a ConflictException and changes nothing."""
    run(client, EXAMPLES[0], ct, tmp_path, "1")

    with pytest.raises(Refused) as refused:
        run(client, EXAMPLES[0], ct, tmp_path, "1")

    assert refused.value.name == "ConflictException"
    assert "version 2 is current, not 1" in refused.value.message
    assert ct.history() == [("2", "UPDATED", False), ("1", "CREATED", False)]
