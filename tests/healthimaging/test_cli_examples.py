"""Every example that the AWS CLI carries for this API, run by the real `aws`, v1 and v2, against a running gateway.

The instances it is about have the UIDs of the examples, the gateway their account. Only what a service makes up is
put in their place: ids of data stores, image sets, frames and jobs.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.conftest import Server, serving
from tests.healthimaging.cli_examples import FOLDER, Example, examples
from tests.healthimaging.clients import Client, boto3_client, through_cli_v1, through_cli_v2
from tests.healthimaging.conftest import ImageSet, image_set, patient, stow
from tests.healthimaging.test_copying import copy
from tests.healthimaging.test_import_jobs import wait
from tests.samples import instance

EXAMPLES = examples()
STUDY = "1.2.826.0.1.3680043.8.498.1"
DATASTORE = "12345678901234567890123456789012"
JOB = "09876543210987654321098765432109"


@dataclass
class World:
    """What an example finds: ids to put in the places of those that are printed, and its image sets."""

    boto: BaseClient
    server: Server
    datastore_id: str
    ids: dict[str, str] = field(default_factory=dict)
    made: list[ImageSet] = field(default_factory=list)

    def store(self, printed: str, series: str, sop_instance_uids: list[str], **attributes: Any) -> ImageSet:
        """Store a series whose image set has this id in the example."""
        files = [instance(SeriesInstanceUID=series, SOPInstanceUID=uid, **attributes) for uid in sop_instance_uids]
        stow(self.server, self.datastore_id, files)
        one = image_set(self.boto, self.datastore_id, series)
        self.ids[printed] = one.image_set_id
        self.made.append(one)
        return one


@pytest.fixture(scope="module")
def account_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway whose account is that of the examples. Its import jobs fail at once: there are no keys for S3."""
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true"}
    with serving(tmp_path_factory.mktemp("examples"), "--account", "123456789012", **nowhere) as server:
        yield server


@pytest.fixture
def world(account_server: Server) -> Iterator[World]:
    client = boto3_client(account_server.endpoint)
    datastore_id = client.create_datastore(datastoreName="TestDatastore123")["datastoreId"]
    yield World(client, account_server, datastore_id, {DATASTORE: datastore_id})
    client.close()


# -- what each example needs, and what is true afterwards

COPIED = "ea92b0d8838c72a3f25d00d13616f87e"
DESTINATION = "b9a06fef182a5f992842f77f8e0868e5"
COPY_SERIES = "1.3.6.1.4.1.5962.99.1.3673257865.2104868982.1369432891697.3666.0"
COPY_INSTANCE = "1.3.6.1.4.1.5962.99.1.3673257865.2104868982.1369432891697.3669.0"
OTHER_INSTANCE = f"{STUDY}.8.2"
UPDATED_SERIES = "1.1.1.1.1.1.12345.123456789012.123.12345678901234.1"
RENAMED_SERIES = "1.3.6.1.4.1.5962.99.1.3633258862.2104868982.1369432891697.3656.0"
RENAMED_INSTANCE = "1.3.6.1.4.1.5962.99.1.3633258862.2104868982.1369432891697.3659.0"
SEARCHED_SERIES = "1.2.840.99999999.84710745.943275268089"


def nothing(world: World) -> None:
    """It is about the data store."""


def to_copy(world: World) -> None:
    world.store(COPIED, COPY_SERIES, [COPY_INSTANCE, OTHER_INSTANCE])


def to_copy_into(world: World) -> None:
    to_copy(world)
    world.ids |= {COPIED: split_off(world, COPY_INSTANCE), DESTINATION: split_off(world, OTHER_INSTANCE)}


def to_copy_into_another(world: World) -> None:
    to_copy(world)
    world.store("b9eb50d8ee682eb9fcf4acbf92f62bb7", f"{STUDY}.7", [f"{STUDY}.7.1"])


def split_off(world: World, sop_instance_uid: str) -> str:
    """Return a new image set with one of the instances to copy."""
    source = world.made[0]
    copies: dict[str, Any] = {"Study": {"Series": {COPY_SERIES: {"Instances": {sop_instance_uid: {}}}}}}
    answer = copy(source, copiable=json.dumps({"SchemaVersion": "1.1"} | copies))
    return str(answer["destinationImageSetProperties"]["imageSetId"])


def an_image_set(printed: str) -> Callable[[World], None]:
    def stored(world: World) -> None:
        world.store(printed, f"{STUDY}.1", [f"{STUDY}.1.1"])

    return stored


def a_frame(world: World) -> None:
    one = world.store("98765412345612345678907890789012", f"{STUDY}.1", [f"{STUDY}.1.1"])
    [series] = one.document()["Study"]["Series"].values()
    [found] = series["Instances"].values()
    world.ids["3abf5d5d7ae72f80a0ec81b2c0de3ef4"] = found["ImageFrames"][0]["ID"]


def tagged_image_set(world: World) -> None:
    one = world.store("18f88ac7870584f58d56256646b4d92b", f"{STUDY}.1", [f"{STUDY}.1.1"])
    world.boto.tag_resource(resourceArn=one.properties()["imageSetArn"], tags={"Deployment": "Development"})


def tagged_datastore(world: World) -> None:
    arn = world.boto.get_datastore(datastoreId=world.datastore_id)["datastoreProperties"]["datastoreArn"]
    world.boto.tag_resource(resourceArn=arn, tags={"Deployment": "Development"})


def searched(world: World) -> None:
    attributes = {"PatientID": "SUBJECT08701", "StudyDate": "19991122", "StudyTime": "140728"}
    world.store(JOB, SEARCHED_SERIES, [f"{SEARCHED_SERIES}.1"], StudyID="2011201407", **attributes)


def updated(world: World) -> None:
    world.store(COPIED, f"{STUDY}.1", [f"{STUDY}.1.1"])


def updated_three_times(world: World) -> None:
    one = world.store("53d5fdb05ca4d46ac7ca64b06545c66e", f"{STUDY}.1", [f"{STUDY}.1.1"])
    one.update(patient(PatientName="A^A"), latest="1")
    one.update(patient(PatientName="B^B"), latest="2")


def with_instances_to_update(printed: str) -> Callable[[World], None]:
    def stored(world: World) -> None:
        world.store(printed, UPDATED_SERIES, [UPDATED_SERIES, OTHER_INSTANCE])

    return stored


def to_rename(world: World) -> None:
    world.store("53d5fdb05ca4d46ac7ca64b06545c66e", RENAMED_SERIES, [RENAMED_INSTANCE])


def a_job(world: World) -> None:
    answer = world.boto.start_dicom_import_job(
        jobName="my-job",
        datastoreId=world.datastore_id,
        dataAccessRoleArn="arn:aws:iam::123456789012:role/ImportJobDataAccessRole",
        inputS3Uri="s3://medical-imaging-dicom-input/dicom_input/",
        outputS3Uri="s3://medical-imaging-output/job_output/",
    )
    world.ids[JOB] = answer["jobId"]
    wait(world.boto, world.datastore_id, answer["jobId"])  # the printed one has ended


PREPARED: dict[str, Callable[[World], None]] = {
    "copy-image-set 1": to_copy,
    "copy-image-set 2": to_copy_into,
    "copy-image-set 3": to_copy_into_another,
    "create-datastore 1": nothing,
    "create-datastore 2": nothing,
    "delete-datastore 1": nothing,
    "delete-image-set 1": an_image_set(COPIED),
    "get-datastore 1": nothing,
    "get-datastore 2": nothing,
    "get-dicom-import-job 1": a_job,
    "get-image-frame 1": a_frame,
    "get-image-set 1": an_image_set("18f88ac7870584f58d56256646b4d92b"),
    "get-image-set-metadata 1": an_image_set(COPIED),
    "get-image-set-metadata 2": an_image_set(COPIED),
    "list-datastores 1": nothing,
    "list-dicom-import-jobs 1": a_job,
    "list-image-set-versions 1": an_image_set(COPIED),
    "list-tags-for-resource 1": tagged_datastore,
    "list-tags-for-resource 2": tagged_image_set,
    "search-image-sets 1": searched,
    "search-image-sets 2": searched,
    "search-image-sets 3": searched,
    "search-image-sets 4": searched,
    "start-dicom-import-job 1": nothing,
    "tag-resource 1": nothing,
    "tag-resource 2": an_image_set("18f88ac7870584f58d56256646b4d92b"),
    "untag-resource 1": tagged_datastore,
    "untag-resource 2": tagged_image_set,
    "update-image-set-metadata 1": updated,
    "update-image-set-metadata 2": updated,
    "update-image-set-metadata 3": with_instances_to_update(COPIED),
    "update-image-set-metadata 4": updated_three_times,
    "update-image-set-metadata 5": with_instances_to_update("53d5fdb05ca4d46ac7ca64b06545c66e"),
    "update-image-set-metadata 6": with_instances_to_update("53d5fdb05ca4d46ac7ca64b06545c66e"),
    "update-image-set-metadata 7": to_rename,
}

# Searches for what was stored or updated before 2025: what is stored now is not among it.
LONG_AGO = ("search-image-sets 3", "search-image-sets 4")

# In the printed history a copy failed; test_copying.py has that history.
ELSEWHERE = {"message"}


def test_every_operation_has_examples_and_each_is_run() -> None:
    """All of the API's 18 operations, and nothing left out."""
    assert {str(example) for example in EXAMPLES} == PREPARED.keys()
    assert len({example.operation for example in EXAMPLES}) == len(list(FOLDER.glob("*.rst"))) == 18


@pytest.fixture(params=["CLI v1", "CLI v2"])
def cli(request: pytest.FixtureRequest, account_server: Server, tmp_path: Path) -> Client:
    """Each generation of the CLI in turn."""
    if request.param == "CLI v2":
        return through_cli_v2(account_server.endpoint, tmp_path)
    return through_cli_v1(account_server.endpoint)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_is_answered_as_it_is_printed(cli: Client, example: Example, world: World, tmp_path: Path) -> None:
    """The command succeeds, and its answer has the members that the printed one has."""
    PREPARED[str(example)](world)

    answer = run(cli, example, world, tmp_path)

    if str(example) in LONG_AGO:
        assert answer["imageSetsMetadataSummaries"] == []
    elif example.output is not None:
        assert members(example.output) - ELSEWHERE <= members(answer)


def run(cli: Client, example: Example, world: World, folder: Path) -> dict[str, Any]:
    """Run an example with our ids in the places of those that are printed."""
    for name, text in example.files.items():
        (folder / name).write_text(substituted(text, world))
    return cli(substituted(example.command, world), folder)


def substituted(text: str, world: World) -> str:
    return re.sub("|".join(world.ids), lambda match: world.ids[match[0]], text)


def members(value: Any) -> set[str]:
    """Return the names of all members in a JSON value, those of DICOMTags aside: they are the instance's."""
    if isinstance(value, list):
        return set().union(*map(members, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(members(member) for name, member in value.items() if name != "DICOMTags"))


# -- what the examples did


def test_copies_of_the_examples_are_made(cli: Client, world: World, tmp_path: Path) -> None:
    """A duplicate; a merge; and with force an instance of another series."""
    to_copy_into_another(world)
    duplicate = run(cli, EXAMPLES[0], world, tmp_path)["destinationImageSetProperties"]["imageSetId"]
    run(cli, EXAMPLES[2], world, tmp_path)

    source, target = world.made
    assert instances_of(ImageSet(world.boto, world.datastore_id, duplicate)) == instances_of(source)
    assert instances_of(target) == [f"{STUDY}.7.1", COPY_INSTANCE]
    assert target.history()[0] == ("2", "COPIED", True)


def test_merge_of_the_second_example_is_made(cli: Client, world: World, tmp_path: Path) -> None:
    """The destination has the instance of the source after its own."""
    to_copy_into(world)

    run(cli, EXAMPLES[1], world, tmp_path)

    merged = ImageSet(world.boto, world.datastore_id, world.ids[DESTINATION])
    assert instances_of(merged) == [OTHER_INSTANCE, COPY_INSTANCE]


def test_files_of_the_examples_are_written(cli: Client, world: World, tmp_path: Path) -> None:
    """The metadata are gzip as they are printed to be, and the frame is a JPEG 2000 codestream (PS3.5 A.4.4)."""
    a_frame(world)
    world.ids[COPIED] = world.made[0].image_set_id
    by_name = {str(example): example for example in EXAMPLES}

    run(cli, by_name["get-image-set-metadata 2"], world, tmp_path)
    run(cli, by_name["get-image-frame 1"], world, tmp_path)

    document = json.loads(gzip.decompress((tmp_path / "studymetadata.json.gz").read_bytes()))
    assert document["ImageSetID"] == world.made[0].image_set_id
    assert (tmp_path / "imageframe.jph").read_bytes().startswith(b"\xff\x4f\xff\x51")


def instances_of(one: ImageSet) -> list[str]:
    [series] = one.document()["Study"]["Series"].values()
    return list(series["Instances"])
