"""Data store operations of a running gateway, asked by boto3."""

from __future__ import annotations

from datetime import datetime

import pytest
from botocore.client import BaseClient

from tests.conftest import Server
from tests.healthimaging.clients import boto3_client
from tests.healthimaging.conftest import ImageSet
from tests.healthimaging.test_image_sets import NOBODY, assert_modelled, refused


def test_created_data_store_is_active_when_asked(boto: BaseClient) -> None:
    """The answer says CREATING, as the service's does; the data store can be used at once."""
    answer = boto.create_datastore(datastoreName="archive", tags={"Deployment": "Development"})
    properties = boto.get_datastore(datastoreId=answer["datastoreId"])["datastoreProperties"]

    assert_modelled("CreateDatastore", answer)
    assert_modelled("GetDatastore", {"datastoreProperties": properties})
    assert answer["datastoreStatus"] == "CREATING"
    assert isinstance(properties.pop("createdAt"), datetime)
    assert isinstance(properties.pop("updatedAt"), datetime)
    assert properties == {
        "datastoreId": answer["datastoreId"],
        "datastoreName": "archive",
        "datastoreStatus": "ACTIVE",
        "losslessStorageFormat": "HTJ2K",
        "datastoreArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{answer['datastoreId']}",
    }


def test_properties_of_a_data_store_are_given_back(boto: BaseClient) -> None:
    """Key, authorizer and storage format are kept with the data store."""
    given = {
        "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:alias/archive",
        "lambdaAuthorizerArn": "arn:aws:lambda:us-east-1:123456789012:function:authorize",
        "losslessStorageFormat": "JPEG_2000_LOSSLESS",
    }

    created = boto.create_datastore(datastoreName="archive", **given)

    properties = boto.get_datastore(datastoreId=created["datastoreId"])["datastoreProperties"]
    assert {name: properties[name] for name in given} == given


def test_data_store_without_a_name_is_shown_by_its_id(boto: BaseClient) -> None:
    """A name is optional in the request and required in the answer."""
    created = boto.create_datastore()["datastoreId"]

    assert boto.get_datastore(datastoreId=created)["datastoreProperties"]["datastoreName"] == created


def test_same_client_token_is_the_same_data_store(boto: BaseClient) -> None:
    """A request that is sent again makes no second data store."""
    first = boto.create_datastore(datastoreName="archive", clientToken="once-only")
    again = boto.create_datastore(datastoreName="archive", clientToken="once-only")

    assert first["datastoreId"] == again["datastoreId"]


def test_data_stores_are_listed_in_pages_by_status(server: Server) -> None:
    """ListDatastores goes through all data stores, oldest first, and can be asked for one status."""
    boto = boto3_client(server.endpoint)
    made = [boto.create_datastore(datastoreName=f"archive-{number}")["datastoreId"] for number in range(3)]
    boto.delete_datastore(datastoreId=made[1])

    pages = list(
        boto.get_paginator("list_datastores").paginate(datastoreStatus="ACTIVE", PaginationConfig={"PageSize": 1})
    )
    boto.close()

    listed = [summary["datastoreId"] for page in pages for summary in page["datastoreSummaries"]]
    # The first is the default data store, which `gateway serve` makes.
    assert len(pages) == 3
    assert listed[1:] == [made[0], made[2]]


def test_empty_data_store_is_deleted(boto: BaseClient, empty_datastore: str) -> None:
    """The answer says DELETING; afterwards the data store is DELETED and can still be asked for."""
    answer = boto.delete_datastore(datastoreId=empty_datastore)

    assert_modelled("DeleteDatastore", answer)
    assert answer["datastoreStatus"] == "DELETING"
    properties = boto.get_datastore(datastoreId=empty_datastore)["datastoreProperties"]
    assert properties["datastoreStatus"] == "DELETED"


def test_deleted_data_store_is_there_to_be_asked_for_and_nothing_else(ct: ImageSet) -> None:
    """Deleting it again changes nothing, and its image sets cannot be read, searched or brought back."""
    ct.boto.delete_image_set(**ct.ids)
    ct.boto.delete_datastore(datastoreId=ct.datastore_id)

    assert ct.boto.delete_datastore(datastoreId=ct.datastore_id)["datastoreStatus"] == "DELETED"
    with refused("ResourceNotFoundException"):
        ct.boto.search_image_sets(datastoreId=ct.datastore_id)
    with refused("ResourceNotFoundException"):
        ct.versions()
    with refused("ResourceNotFoundException"):
        ct.send({"revertToVersionId": "1"}, "2")


def test_data_store_with_image_sets_is_not_deleted(ct: ImageSet) -> None:
    """All image sets have to be deleted before; then it goes."""
    with refused("ConflictException"):
        ct.boto.delete_datastore(datastoreId=ct.datastore_id)
    assert ct.properties()["imageSetState"] == "ACTIVE"

    ct.boto.delete_image_set(**ct.ids)
    assert ct.boto.delete_datastore(datastoreId=ct.datastore_id)["datastoreStatus"] == "DELETING"


def test_unknown_data_store_is_not_found(boto: BaseClient) -> None:
    """There is no such data store to get, delete or search."""
    for operation in (boto.get_datastore, boto.delete_datastore, boto.search_image_sets):
        with refused("ResourceNotFoundException"):
            operation(datastoreId=NOBODY)


@pytest.mark.parametrize(
    "arguments",
    [{"datastoreName": "a name"}, {"datastoreName": "a" * 257}, {"clientToken": "a b"}, {"tags": {"aws:mine": "x"}}],
)
def test_data_store_that_breaks_the_model_is_not_made(boto: BaseClient, arguments: dict[str, object]) -> None:
    """Names, tokens and tags have patterns and lengths that boto3 does not check."""
    with refused("ValidationException"):
        boto.create_datastore(**arguments)
