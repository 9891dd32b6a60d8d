"""Tags of data stores and image sets, by boto3."""

from __future__ import annotations

import httpx
import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.conftest import ImageSet
from tests.healthimaging.test_image_sets import assert_modelled, refused


@pytest.fixture(params=["data store", "image set"])
def arn(request: pytest.FixtureRequest, ct: ImageSet) -> str:
    """The ARN of a data store, and of an image set."""
    if request.param == "image set":
        return str(ct.properties()["imageSetArn"])
    return str(ct.boto.get_datastore(datastoreId=ct.datastore_id)["datastoreProperties"]["datastoreArn"])


def test_resource_without_tags_has_an_empty_map(boto: BaseClient, arn: str) -> None:
    """`tags` is required in the answer."""
    answer = boto.list_tags_for_resource(resourceArn=arn)

    assert_modelled("ListTagsForResource", answer)
    assert answer["tags"] == {}


def test_tags_are_set_replaced_and_taken_away(boto: BaseClient, arn: str) -> None:
    """TagResource adds to the tags there are and replaces equal keys; UntagResource takes any number."""
    boto.tag_resource(resourceArn=arn, tags={"Deployment": "Development", "team/ct": "", "cost.centre": "Ä 7 %"})
    boto.tag_resource(resourceArn=arn, tags={"Deployment": "Production"})
    assert boto.list_tags_for_resource(resourceArn=arn)["tags"] == {
        "Deployment": "Production",
        "team/ct": "",
        "cost.centre": "Ä 7 %",
    }

    answer = boto.untag_resource(resourceArn=arn, tagKeys=["Deployment", "team/ct", "not-there"])

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert boto.list_tags_for_resource(resourceArn=arn)["tags"] == {"cost.centre": "Ä 7 %"}


def test_data_store_is_created_with_its_tags(boto: BaseClient) -> None:
    """What CreateDatastore was given is there at once."""
    datastore_id = boto.create_datastore(datastoreName="tagged", tags={"a": "1"})["datastoreId"]
    arn = boto.get_datastore(datastoreId=datastore_id)["datastoreProperties"]["datastoreArn"]

    assert boto.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "1"}


def test_fifty_tags_fit_and_no_more(boto: BaseClient, arn: str) -> None:
    """The 51st is refused, and so is a data store that would begin with so many."""
    boto.tag_resource(resourceArn=arn, tags={f"k{number}": "" for number in range(50)})

    with refused("ValidationException"):
        boto.tag_resource(resourceArn=arn, tags={"one-more": ""})
    with refused("ValidationException"):
        boto.create_datastore(tags={f"k{number}": "" for number in range(51)})
    assert len(boto.list_tags_for_resource(resourceArn=arn)["tags"]) == 50


@pytest.mark.parametrize(
    "tags",
    [{"aws:mine": ""}, {"with space": ""}, {"k" * 129: ""}, {"k": "v" * 257}, {"schlüssel": ""}],
    ids=["aws: is AWS's", "space", "long key", "long value", "letters"],
)
def test_tag_that_breaks_the_model_is_refused(boto: BaseClient, arn: str, tags: dict[str, str]) -> None:
    """Keys match the model's pattern, in 1 to 128 characters; values have at most 256."""
    with refused("ValidationException"):
        boto.tag_resource(resourceArn=arn, tags=tags)


@pytest.mark.parametrize(
    "change",
    [("us-east-1", "eu-west-1"), ("000000000000", "123456789012"), ("arn:aws:", "arn:aws-cn:")],
    ids=["region", "account", "partition"],
)
def test_arn_of_another_account_is_not_found(boto: BaseClient, arn: str, change: tuple[str, str]) -> None:
    """An ARN names one resource: the same id elsewhere is another one."""
    with refused("ResourceNotFoundException"):
        boto.list_tags_for_resource(resourceArn=arn.replace(*change))


def test_unknown_resource_is_not_found(boto: BaseClient, ct: ImageSet) -> None:
    """A data store or image set that is not there has no tags, and gets none."""
    arn = ct.properties()["imageSetArn"]
    for unknown in (arn[:-32] + "0" * 32, arn.replace(ct.datastore_id, "0" * 32)):
        with refused("ResourceNotFoundException"):
            boto.tag_resource(resourceArn=unknown, tags={"a": "1"})
        with refused("ResourceNotFoundException"):
            boto.untag_resource(resourceArn=unknown, tagKeys=["a"])


@pytest.mark.parametrize(
    "arn", ["arn:aws:s3:::bucket", "datastore", f"arn:aws:medical-imaging:us-east-1:1:datastore/{'0' * 32}"]
)
def test_what_is_no_arn_of_healthimaging_is_refused(boto: BaseClient, arn: str) -> None:
    """The model says what an ARN looks like."""
    with refused("ValidationException"):
        boto.list_tags_for_resource(resourceArn=arn)


def test_arn_comes_escaped_or_not(session_server: Server, ct: ImageSet) -> None:
    """SDKs escape every colon and slash; a client that does not is understood as well."""
    arn = ct.properties()["imageSetArn"]
    ct.boto.tag_resource(resourceArn=arn, tags={"a": "1"})

    for path in (arn, arn.replace("/", "%2F"), arn.replace(":", "%3A").replace("/", "%2F")):
        answer = httpx.get(f"{session_server.url}/tags/{path}")
        assert answer.json() == {"tags": {"a": "1"}}
