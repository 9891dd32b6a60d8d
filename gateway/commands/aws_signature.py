"""Signatures of AWS (version 4), with an access key that is found where every AWS tool finds it.

botocore looks for it and signs: environment, profile, the shared files, and the rest of its chain. Only the host, the
time and the hash of the body are signed: a proxy may do to other headers what it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from gateway.access.sigv4 import SERVICE
from gateway.errors import InvalidSettings


class AwsSignature:
    """Signs requests. Raises InvalidSettings where there is no access key, or it cannot be had."""

    def __init__(self, profile: str, region: str) -> None:
        """profile: "" is as the environment says. region: where neither the environment nor the profile has one."""
        with _botocore_errors():
            session = Session(profile=profile or None)
            self._credentials = session.get_credentials()
            self.region = session.get_config_variable("region") or region
        if self._credentials is None:
            raise InvalidSettings(
                [
                    "there is no access key to sign with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                    "or AWS_PROFILE to a profile that has one"
                ]
            )

    @property
    def found(self) -> str:
        """Where the access key is from, as botocore calls it: env, shared-credentials-file."""
        return str(self._credentials.method)

    def headers(self, method: str, url: str, body: Callable[[], Iterable[bytes]]) -> Mapping[str, str]:
        digest = sha256()
        for piece in body():
            digest.update(piece)
        request = AWSRequest(method, url, headers={"X-Amz-Content-SHA256": digest.hexdigest()})
        with _botocore_errors():
            # Frozen, so that one that is renewed just now does not sign with half of each.
            SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self.region).add_auth(request)
        return dict(request.headers.items())


@contextmanager
def _botocore_errors() -> Iterator[None]:
    """Translate what botocore says; its sentences name profiles, files and variables, and no secret."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise InvalidSettings([f"the access key to sign with: {error}"]) from error
