"""What an operator can set, with its default and the reason for it. docs/settings.md is held against this file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from gateway.errors import InvalidSettings
from gateway.metadata.image_set import Profile

PREFIX = "GATEWAY_"

_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's settings; each can be given as an environment variable, GATEWAY_ and its name in capitals."""

    data: Path = Path("gateway-data")
    """The data folder: one gateway at a time, on a local disk."""

    host: str = "127.0.0.1"
    """The address to listen on. Any but loopback needs `access_keys`, or a flag."""

    port: int = 8080
    """The TCP port; 0 takes a free one."""

    constraint_profile: Profile = "2024-07"
    """The constraints of edits, by date: the older profile takes the seven published examples as they are printed."""

    require_if_match: bool = False
    """Whether an edit over DICOMweb must name the version it was made from; 428 otherwise."""

    force_needs_reason: bool = False
    """Whether `force=true` must come with a `reason`."""

    record_original_attributes: bool = False
    """Whether an edit is written into Original Attributes Sequence (0400,0561); then one of a whole study touches
    every instance, so it is off."""

    strict_accept: bool = False
    """Whether a request without `Accept` is refused with 406, and one that mixes DICOM with rendered media types with
    400, as PS3.18 8.7.5 has it; browsers and many clients do both."""

    public_base_url: str = ""
    """The address clients see, as https://pacs.example/gateway; empty takes the request's own. Needed behind a proxy,
    for RetrieveURL and BulkDataURI."""

    cors_origins: str = ""
    """The origins whose web pages may use the gateway, as a browser names them, with spaces between:
    https://viewer.example http://localhost:3000. Empty: none."""

    max_json_body: int = 8 * 1024 * 1024
    """The largest DICOM JSON body in bytes: a metadata edit is small, and what is larger is refused with 413."""

    max_store_body: int = 2 * 1024 * 1024 * 1024
    """The largest STOW-RS body in bytes; it is streamed to disk, not held."""

    max_store_parts: int = 5000
    """The most parts in one STOW-RS body."""

    max_update_studies: int = 1000
    """The most studies one `POST /studies/$update` may edit; a filter that finds more is refused with 400."""

    inline_binary_limit: int = 4096
    """Binary values of received instances above this many bytes become bulk data: metadata stays small."""

    frames_max_age: int = 300
    """For how many seconds a client may show the pixels of the latest version without asking whether the same SOP
    instance was stored once more with others: max-age of frames, which are immutable. 0: it asks each time."""

    region: str = "us-east-1"
    """The region in the ARNs of the HealthImaging API."""

    account: str = "000000000000"
    """The account in the ARNs of the HealthImaging API."""

    access_keys: str = ""
    """The file of access keys, in the form of an AWS credentials file; then every request but those of health checks
    has to be signed by one of them (AWS Signature Version 4). Empty: nobody has to sign."""

    max_datastores: int = 100
    """The most active data stores that CreateDatastore makes, as AWS has it unless asked for more."""

    max_update_document: int = 30_000
    """The most bytes of an update document over the HealthImaging API; AWS takes 10,240 unless asked for more, and
    never more than 30,000."""

    max_image_set_metadata: int = 50 * 1024 * 1024
    """The most bytes of JSON that an image set's metadata may have after an update, a copy or an import job of the
    HealthImaging API, as AWS has it unless asked for more; DICOMweb has no such limit."""

    throttle_percent: int = 0
    """How often each operation of the HealthImaging API may be asked for, in percent of AWS's rates: 100 is as AWS has
    it, one UpdateImageSetMetadata in four seconds. Beyond that is a ThrottlingException. 0: as often as one likes."""

    import_folders: str = ""
    """The folders that import jobs may read from and write to as `file:///…`, with what is below them: absolute paths
    with a colon between them. Empty: none, and jobs use S3 only."""

    s3_endpoint_url: str = ""
    """The address of an S3 other than AWS's for import jobs, as http://127.0.0.1:8333. Credentials and region are found
    where the AWS tools find theirs: AWS_ACCESS_KEY_ID and the like, profiles, roles of instances and containers."""

    head_timeout: int = 30
    """How many seconds a client may take for the head of a request, a connection's first one from when it is opened;
    then the connection is closed, with 408 where a part of a head came."""

    stall_timeout: int = 120
    """How many seconds a client may let what it sends or reads stand still. In so many a body has to bring 1 KiB for
    each, or it ends with 408 and nothing of it is kept; one that goes on may take as long as it takes. An answer of
    which nothing more is taken is cut off."""

    shutdown_grace: int = 30
    """How many seconds a stop waits for requests in flight, before it cuts them off."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged to standard error: `info` has a line for each request, `warning` has none."""


# The least and the most a number may be, where that is not 1 and as large as numbers get.
_RANGES = {
    "port": (0, 65535),
    "inline_binary_limit": (0, 2**31),
    "frames_max_age": (0, 31_536_000),
    "shutdown_grace": (0, 3600),
    "head_timeout": (1, 86_400),
    "stall_timeout": (1, 86_400),
    "throttle_percent": (0, 1_000_000),
}
_SWITCHES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def load_settings(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings of the environment's GATEWAY_ variables; an option that is not None wins over its variable.

    `options` are by setting, as text like variables. Raises InvalidSettings with every problem there is, unknown
    GATEWAY_ variables included: a misspelt limit is no limit.
    """
    problems = [_unknown(name) for name in environment if name.startswith(PREFIX) and name not in _VARIABLES]
    given = [(name, setting, environment[name]) for name, setting in _VARIABLES.items() if name in environment]
    given += [(option_of(setting), setting, text) for setting, text in (options or {}).items() if text is not None]
    found: dict[str, Any] = {}  # _parse gives each field its type
    for name, setting, text in given:
        try:
            found[setting] = _parse(setting, text)
        except ValueError as error:
            problems.append(f"{name} must be {error}")
    if problems:
        raise InvalidSettings(problems)
    return Settings(**found)


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + setting.upper()


def option_of(setting: str) -> str:
    """Return the command line option of a setting."""
    return "--" + setting.replace("_", "-")


_TYPES = get_type_hints(Settings)
_VARIABLES = {variable_of(field.name): field.name for field in fields(Settings)}


def _unknown(variable: str) -> str:
    near = difflib.get_close_matches(variable.removeprefix(PREFIX).lower(), _TYPES, n=1)
    return f"{variable} is no setting" + (f": did you mean {variable_of(near[0])}?" if near else "")


def _parse(setting: str, text: str) -> object:
    """Return a setting's value. Raises ValueError, with what it has to be."""
    kind: Any = _TYPES[setting]
    if get_origin(kind) is Literal:
        return _choice(get_args(kind), text)
    if kind is bool:
        return _SWITCHES[_choice(tuple(_SWITCHES), text.lower())]
    if kind is int:
        return _number(text, *_RANGES.get(setting, (1, 2**63 - 1)))
    if kind is Path:
        if not text:
            raise ValueError("a path, and not empty")
        return Path(text)
    return _TEXTS[setting](text) if setting in _TEXTS else text


def _choice(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"one of {', '.join(choices)}")
    return text


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"a whole number from {least} to {most}")
    return int(text)


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ValueError("an address such as https://pacs.example/gateway")
    return text.rstrip("/")


def _absolute_paths(text: str) -> str:
    if not all(path.startswith("/") for path in text.split(":") if text):
        raise ValueError("absolute paths with a colon between them")
    return text


def _origins(text: str) -> str:
    # No "*": every page that anybody at a workstation opens could read the records.
    if not all(map(_ORIGIN.fullmatch, text.split())):
        raise ValueError("origins such as https://viewer.example, in lower case, with spaces between")
    return text


# What a text has to be, where that is not any text.
_TEXTS: Mapping[str, Callable[[str], str]] = {
    "public_base_url": _base_url,
    "cors_origins": _origins,
    "import_folders": _absolute_paths,
    "s3_endpoint_url": _base_url,
}
