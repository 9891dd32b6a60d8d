"""Requests signed by botocore, the signer of every AWS client in Python, at a time that is given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.access.sigv4 import AccessKey, SentRequest

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "alice")
KEYS = {KEY.access_key_id: KEY}
REGION = "us-east-1"
SERVICE = "medical-imaging"


def signed(
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    at: datetime = NOW,
    key: AccessKey = KEY,
    region: str = REGION,
    service: str = SERVICE,
    token: str | None = None,
    expires: int | None = None,
) -> AWSRequest:
    """Return the request as botocore signs it: in a header, or with `expires` as a presigned URL."""
    request = AWSRequest(method, url, headers=dict(headers or {}), data=body)
    credentials = Credentials(key.access_key_id, key.secret, token)
    if expires is None:
        signer = SigV4Auth(credentials, service, region)
    else:
        signer = SigV4QueryAuth(credentials, service, region, expires=expires)
    with patch("botocore.auth.get_current_datetime", return_value=at):
        signer.add_auth(request)
    return request


def sent(request: AWSRequest) -> SentRequest:
    """Return what travels of a request, with the Host that a client adds."""
    url = urlsplit(request.url)
    headers = [("host", url.netloc), *((name.lower(), value) for name, value in request.headers.items())]
    return SentRequest(request.method, url.path, url.query, headers)
