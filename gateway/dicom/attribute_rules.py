"""What a client may name: the tags and VRs of a dataset in JSON or XML.

The two models share these rules, so that neither lets in what the other refuses.
"""

from __future__ import annotations

from gateway.dicom.dataset import Tag
from gateway.dicom.dictionary import VRS, is_group_length, vrs_of

# Groups a client cannot name: command and file meta elements, delimiters, and odd groups that are not private
# (PS3.7 section 6.3.1, PS3.10 section 7.1, PS3.5 sections 7.5 and 7.8).
_REFUSED_GROUPS = {
    "0000": "command elements are no part of a dataset",
    "0002": "file meta elements are made by the gateway when it writes a file",
    "FFFE": "delimiters are no attributes",
    **dict.fromkeys(("0001", "0003", "0005", "0007", "FFFF"), "private groups are the odd ones from 0009 to FFFD"),
}


def tag_problem(tag: Tag) -> str | None:
    """Return why a client cannot name a tag; None if it can."""
    if tag[:4] in _REFUSED_GROUPS:
        return _REFUSED_GROUPS[tag[:4]]
    if is_group_length(tag):
        return "is a group length: retired, and never a client's (PS3.5 section 7.2)"
    return None


def vr_problem(tag: Tag, vr: str) -> str | None:
    """Return why a tag cannot have a VR; None if it can, as private tags can have any."""
    if vr not in VRS:
        return "is not a VR of PS3.5"
    allowed = vrs_of(tag)
    if allowed and vr not in allowed:
        return f"is {vr}, and the VR of this attribute is {' or '.join(sorted(allowed))}"
    return None
