"""What an operator can set, with its default and the reason for it. docs/settings.md is held against this file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.metadata.image_set import Profile


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's settings; each can be given as an environment variable, GATEWAY_ and its name in capitals."""

    data: Path = Path("gateway-data")
    """The data folder: one gateway at a time, on a local disk."""

    host: str = "127.0.0.1"
    """The address to listen on. There is no authentication yet, so any but loopback needs a flag as well."""

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

    public_base_url: str = ""
    """The address clients see, as https://pacs.example/gateway; empty takes the request's own. Needed behind a proxy,
    for RetrieveURL and BulkDataURI."""

    max_json_body: int = 8 * 1024 * 1024
    """The largest DICOM JSON body in bytes: a metadata edit is small, and what is larger is refused with 413."""

    max_store_body: int = 2 * 1024 * 1024 * 1024
    """The largest STOW-RS body in bytes; it is streamed to disk, not held."""

    max_store_parts: int = 5000
    """The most parts in one STOW-RS body."""

    inline_binary_limit: int = 4096
    """Binary values of received instances above this many bytes become bulk data: metadata stays small."""

    region: str = "us-east-1"
    """The region in the ARNs of the HealthImaging API."""

    account: str = "000000000000"
    """The account in the ARNs of the HealthImaging API."""
