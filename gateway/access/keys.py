"""The access keys of the settings, read from a file of the form that the AWS clients read theirs from.

    [alice]
    aws_access_key_id = AKIDEXAMPLE
    aws_secret_access_key = …
    rights = read write

The name of a section is whose key it is. Without rights it has them all, as a client's own file would say.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from gateway.access.sigv4 import AccessKey
from gateway.errors import RIGHTS, InvalidSettings

_ID, _SECRET, _RIGHTS = "aws_access_key_id", "aws_secret_access_key", "rights"
_SETS = "one or more of read, write, and force with write"


def read_access_keys(path: Path) -> Mapping[str, AccessKey]:
    """Return the keys in a file by their id. Raises InvalidSettings, and no secret is in its sentences."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings([f"access_keys: {path} cannot be read"]) from error
    except configparser.Error:
        # Its message, and the error as a cause, would show the line.
        raise InvalidSettings([f"access_keys: {path} is no file of sections with {_ID} and {_SECRET}"]) from None
    keys: dict[str, AccessKey] = {}
    problems: list[str] = []
    for who in parser.sections():
        access_key_id, secret = parser[who].get(_ID, ""), parser[who].get(_SECRET, "")
        rights = frozenset(parser[who].get(_RIGHTS, " ".join(RIGHTS)).replace(",", " ").split())
        if not access_key_id or not secret or "/" in access_key_id:
            problems.append(f"access_keys: section {who} of {path} lacks {_ID} or {_SECRET}")
        elif access_key_id in keys:
            problems.append(f"access_keys: section {who} of {path} has the key of another")
        elif not rights or not rights <= {*RIGHTS} or ("force" in rights and "write" not in rights):
            problems.append(f"access_keys: rights of section {who} of {path} are not {_SETS}")
        else:
            keys[access_key_id] = AccessKey(access_key_id, secret, who, rights)
    if problems or not keys:
        raise InvalidSettings(problems or [f"access_keys: {path} has no key"])
    return keys
