"""How a command tells a server who asks: HTTP Basic (RFC 7617), a bearer token (RFC 6750), or a signature of AWS.

    basic USER:PASSWORD
    bearer TOKEN
    aws [PROFILE]

It is in an environment variable, DICOMWEB_LOGIN of the server at --url and PACS_LOGIN of the one that is imported
from, or in a file that the variable names with _FILE at its end. It is no option, for every process of a machine can
read a command line. No sentence quotes it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.client import Reply, problem_of
from gateway.errors import InvalidSettings, Refused

if TYPE_CHECKING:
    from gateway.commands.aws_signature import AwsSignature

AT_GATEWAY, AT_PACS = "DICOMWEB_LOGIN", "PACS_LOGIN"

# What each scheme is followed by.
FORMS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    # RFC 7617 section 2: no colon in a name, no control characters at all; and what is no UTF-8 cannot be sent.
    "basic": ("basic USER:PASSWORD", re.compile(r"[^:\x00-\x1f\x7f\ud800-\udfff]*:[^\x00-\x1f\x7f\ud800-\udfff]*")),
    # RFC 6750 section 2.1.
    "bearer": ("bearer TOKEN", re.compile(r"[A-Za-z0-9\-._~+/]+=*")),
    "aws": ("aws", re.compile(r"[^\x00-\x1f\x7f]*")),
}

# What AWS, and a gateway with access keys, call the answer to who did not sign.
_MISSING = "MissingAuthenticationTokenException"
# … and to who did, in vain.
_SIGNED_IN_VAIN = {
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}


class Login:
    """The login of one server.

    A login from a file is read for each request, for tokens expire and are replaced while an import goes on.
    """

    def __init__(self, variable: str, environment: Mapping[str, str], region: str) -> None:
        """region: to sign for, where AWS's own settings have none. Raises InvalidSettings."""
        self.variable = variable
        self._text = environment.get(variable, "")
        self._file = environment.get(f"{variable}_FILE", "")
        self._region = region
        self._signature: AwsSignature | None = None
        if self._text and self._file:
            raise InvalidSettings([f"{variable} and {variable}_FILE are both set: unset one of them"])
        scheme, rest = self._written()
        if scheme == "aws":
            self._sign_from_now_on(rest)

    @property
    def source(self) -> str:
        """The variable that is set, "" where neither is."""
        return f"{self.variable}_FILE" if self._file else self.variable if self._text else ""

    def headers(self, method: str, url: str, body: Callable[[], Iterable[bytes]]) -> Mapping[str, str]:
        """Return what is to be added to the headers of a request. Raises InvalidSettings."""
        if self._signature is not None:
            return self._signature.headers(method, url, body)
        scheme, rest = self._written()
        if scheme == "basic":
            return {"Authorization": f"Basic {b64encode(rest.encode()).decode()}"}
        return {"Authorization": f"Bearer {rest}"} if scheme == "bearer" else {}

    def answers(self, reply: Reply) -> bool:
        """Return whether a request that was refused is to be sent again, signed.

        A server that asks for a signature gets one, if no login is set; one that does not ask learns of no access key.
        Raises Refused where there is none.
        """
        if error_of(reply) != _MISSING or self._signature is not None or self.source:
            return False
        try:
            self._sign_from_now_on("")
        except InvalidSettings as error:
            raise Refused(reply.status, {"detail": f"{reply.root} asks for a signature, and {error}"}) from error
        return True

    def refusal(self, reply: Reply) -> str | None:
        """Return what to tell of an answer that refuses who asked, with the way out; None of any other answer."""
        error, told = error_of(reply), problem_of(reply)
        if self._signature is not None and error in _SIGNED_IN_VAIN:
            by = f"for region {self._signature.region}, with the access key found by {self._signature.found}"
            return f"{reply.root} refuses the signature, which is {by}: {told.get('message') or error}"
        if error == _MISSING or error in _SIGNED_IN_VAIN:
            return f"{reply.root} asks for a signature of AWS: {self._way_out(['aws'])}"
        if reply.status != 401 and (reply.status != 403 or told):
            return None
        if self.source:
            return f"{reply.root} does not accept the login of {self.source} ({reply.status})"
        asked = reply.headers.get("www-authenticate", "").lower()
        schemes = [scheme for scheme in FORMS if re.search(rf"\b{scheme}\b", asked)]
        return f"{reply.root} asks for a login ({reply.status}): {self._way_out(schemes or [*FORMS])}"

    def _way_out(self, schemes: Iterable[str]) -> str:
        forms = " or ".join(f"'{FORMS[scheme][0]}'" for scheme in schemes)
        return f"set {self.variable} to {forms}, or {self.variable}_FILE to a file with that (docs/operations.md)"

    def _sign_from_now_on(self, profile: str) -> None:
        from gateway.commands.aws_signature import AwsSignature  # botocore takes a while to import

        self._signature = AwsSignature(profile, self._region)

    def _written(self) -> tuple[str, str]:
        """Return the scheme and what follows it, "" and "" where nothing is set. Raises InvalidSettings."""
        try:
            text = Path(self._file).read_text("utf-8").rstrip("\r\n") if self._file else self._text
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "no text in UTF-8"
            raise InvalidSettings([f"{self.source}: {self._file} cannot be read ({reason})"]) from None
        if not self.source:
            return "", ""
        scheme, _, rest = text.partition(" ")
        scheme, rest = scheme.lower(), rest.strip() if scheme.lower() != "basic" else rest
        if scheme not in FORMS or not FORMS[scheme][1].fullmatch(rest):
            forms = " or ".join(f"'{form}'" for form, _ in FORMS.values())
            raise InvalidSettings([f"{self.source} has to be {forms}, of which aws may be followed by a profile"])
        return scheme, rest


def error_of(reply: Reply) -> str:
    """Return the name that AWS gives an error, "" where the answer has none."""
    return reply.headers.get("x-amzn-errortype", "").partition(":")[0]
