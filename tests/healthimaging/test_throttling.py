"""Rates of requests, as AWS has them, and what boto3 makes of being throttled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from gateway.healthimaging.faults import Throttled
from gateway.healthimaging.model import service
from gateway.healthimaging.throttling import RATES, Buckets
from tests.conftest import serving
from tests.healthimaging.clients import CREDENTIALS

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def taken(buckets: Buckets, operation: str, percent: int, now: datetime = NOW) -> int:
    """Return how many requests an operation's bucket lets through at once."""
    for count in range(10_000):
        try:
            buckets.take(operation, percent, now)
        except Throttled:
            return count
    raise AssertionError("nothing is throttled")


def test_every_operation_has_a_rate() -> None:
    """One that a later model adds would fail here."""
    assert RATES.keys() == service().operations.keys()


@pytest.mark.parametrize(
    ("operation", "percent", "count"),
    [
        ("UpdateImageSetMetadata", 100, 1),
        ("GetImageFrame", 100, 2000),
        ("SearchImageSets", 100, 50),
        ("SearchImageSets", 200, 100),
        ("SearchImageSets", 1, 1),
    ],
)
def test_so_many_requests_are_taken_at_once(operation: str, percent: int, count: int) -> None:
    """AWS's burst, or a part of it, and never less than one."""
    assert taken(Buckets(), operation, percent) == count


@pytest.mark.parametrize(
    ("operation", "percent", "seconds"),
    [("UpdateImageSetMetadata", 100, 4), ("UpdateImageSetMetadata", 50, 8), ("CreateDatastore", 100, 12)],
)
def test_throttled_request_is_told_how_long_to_wait(operation: str, percent: int, seconds: int) -> None:
    """After that time it is taken, a second before it is not."""
    buckets = Buckets()
    buckets.take(operation, percent, NOW)

    with pytest.raises(Throttled) as throttled:
        buckets.take(operation, percent, NOW)

    assert throttled.value.retry_after == seconds
    assert taken(buckets, operation, percent, NOW + timedelta(seconds=seconds - 1)) == 0
    assert taken(buckets, operation, percent, NOW + timedelta(seconds=seconds)) == 1


def test_bucket_fills_with_time_up_to_its_size() -> None:
    """25 searches a second, 50 at once; operations do not share, and a clock set back fills nothing."""
    buckets = Buckets()

    assert taken(buckets, "SearchImageSets", 100) == 50
    assert taken(buckets, "GetImageSet", 100) == 50
    assert taken(buckets, "SearchImageSets", 100, NOW + timedelta(seconds=1)) == 25
    assert taken(buckets, "SearchImageSets", 100, NOW - timedelta(hours=1)) == 0
    assert taken(buckets, "SearchImageSets", 100, NOW + timedelta(hours=1)) == 50


def test_boto3_tries_again_by_itself(tmp_path: Path) -> None:
    """Three deletions come at once, the fourth is refused and comes again: the caller notices nothing but the time."""
    with serving(tmp_path / "data", "--throttle-percent", "300") as server:
        config = Config(inject_host_prefix=False, retries={"mode": "standard", "total_max_attempts": 10})
        boto = boto3.session.Session().client("medical-imaging", endpoint_url=server.url, config=config, **CREDENTIALS)
        attempts = []

        for _ in range(5):
            with pytest.raises(boto.exceptions.ResourceNotFoundException) as refused:
                boto.delete_image_set(datastoreId="0" * 32, imageSetId="0" * 32)
            attempts.append(refused.value.response["ResponseMetadata"]["RetryAttempts"])

        assert attempts[:3] == [0, 0, 0]
        assert attempts[3] > 0
        boto.close()
