"""Page tokens."""

from __future__ import annotations

import re

import pytest

from gateway.errors import InvalidRequest
from gateway.healthimaging.pages import next_token, number_position, page_size, position
from tests.healthimaging.test_model import BOTOCORE

REQUEST = {"datastoreId": "d" * 32, "searchCriteria": {"filters": []}}


def test_token_leads_back_to_its_position_whatever_the_page_size() -> None:
    """A token is read back for the same request, and the page size may change on the way."""
    token = next_token(REQUEST | {"maxResults": 2}, "40")

    assert position(REQUEST | {"nextToken": token, "maxResults": 50}) == "40"
    assert number_position(REQUEST | {"nextToken": token}) == 40


def test_token_fits_the_model() -> None:
    """A token has the modelled length and is ASCII."""
    token = next_token(REQUEST, "e" * 32)

    assert 1 <= len(token) <= BOTOCORE.shape_for("NextToken").metadata["max"]
    assert re.fullmatch("[A-Za-z0-9_=-]+", token)


def test_request_without_token_starts_at_the_beginning_with_fifty() -> None:
    """Without a token and a size the page is the first fifty."""
    assert position(REQUEST) is None
    assert number_position(REQUEST) is None
    assert page_size(REQUEST) == 50


def test_token_of_another_request_is_refused() -> None:
    """A token does not lead into another search or another data store."""
    token = next_token(REQUEST, "40")

    with pytest.raises(InvalidRequest, match="nextToken"):
        position(REQUEST | {"datastoreId": "e" * 32, "nextToken": token})


@pytest.mark.parametrize("token", ["x", "====", "é", "AAAA" * 10, next_token(REQUEST, "word")])
def test_rubbish_token_is_refused(token: str) -> None:
    """What this operation did not give is no token."""
    with pytest.raises(InvalidRequest, match="nextToken"):
        number_position(REQUEST | {"nextToken": token})
