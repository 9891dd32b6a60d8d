"""One value in the Native DICOM Model, read by VR: PS3.19 A.1.5."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import NoReturn

from gateway.dicom.dataset import Scalar
from gateway.dicom.dictionary import FLOAT_VRS, INTEGER_VRS
from gateway.dicom.values import FLOAT32_MAX
from gateway.dicom.xml_text import Node, escaped
from gateway.errors import InvalidDicomXml

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
# PS3.19 Table 10.2-1, in the order of PS3.5 section 6.2.1.
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

_INTEGER = re.compile(r"\s*([+-]?\d{1,24})\s*", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?", re.ASCII)
# As XML Schema spells them, and as C libraries do.
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "infinity": math.inf, "-infinity": -math.inf}


def value_from_xml(vr: str, node: Node, path: str) -> Scalar:
    """Return the value of a VR that is neither binary nor SQ nor PN. Raises InvalidDicomXml."""
    if node.children:
        _refuse(path, node, "has elements, and is a value")
    if vr in INTEGER_VRS:
        literal = _INTEGER.fullmatch(node.text)
        return int(literal[1]) if literal else _refuse(path, node, f"is not an integer, which {vr} is")
    if vr in FLOAT_VRS:
        return _float(vr, node, path)
    return node.text.upper() if vr == "AT" and node.text.isascii() else node.text


def _float(vr: str, node: Node, path: str) -> float:
    text = node.text.strip()
    if text.lower() in _NON_FINITE:
        return _NON_FINITE[text.lower()]
    if not _FLOAT.fullmatch(text):
        _refuse(path, node, f"is not a number, which {vr} is")
    number = float(text)
    if math.isinf(number) or (vr == "FL" and abs(number) > FLOAT32_MAX):
        _refuse(path, node, f"is beyond the largest number of {vr}")
    # What PS3.10 will hold: a version must not differ from the file retrieved of it.
    return float(struct.unpack("<f", struct.pack("<f", number))[0]) if vr == "FL" else number


def person_name(vr: str, node: Node, path: str) -> str:
    """Return the PN string of a PersonName; empty groups at its end are dropped. Raises InvalidDicomXml."""
    groups = _named(node, GROUPS, path)
    return "=".join(_group(groups[name], f"{path}/{name}") if name in groups else "" for name in GROUPS).rstrip("=")


def _group(node: Node, path: str) -> str:
    components = _named(node, COMPONENTS, path)
    last = max((COMPONENTS.index(name) for name in components), default=-1)
    return "^".join(
        _component(components[name], f"{path}/{name}", "=" if name == COMPONENTS[-1] else "=^")
        if name in components
        else ""
        for name in COMPONENTS[: last + 1]
    )


def _component(node: Node, path: str, delimiters: str) -> str:
    """Return a component's text. The last may hold more than one: names with six components exist."""
    if node.children or set(delimiters + "\\").intersection(node.text):
        _refuse(path, node, "holds an element, or a character that separates components, groups or values")
    return node.text


def _named(node: Node, names: tuple[str, ...], path: str) -> dict[str, Node]:
    """Return the children by name: each at most once, and none of another name."""
    found = {child.name: child for child in node.children}
    if len(found) < len(node.children) or not set(names).issuperset(found) or node.text.strip(" \t\r\n"):
        _refuse(path, node, f"holds something else than {', '.join(names)}, once each")
    return found


def _refuse(path: str, node: Node, reason: str) -> NoReturn:
    raise InvalidDicomXml(path, f"{reason} (line {node.line})")


# --- Writing


def value_to_xml(vr: str, value: Scalar) -> str:
    """Return one value as character data; it must be one that XML has characters for."""
    if vr in FLOAT_VRS and isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return escaped(str(value))


def person_name_to_xml(name: str) -> str:
    """Return the groups of a PN string, and their components: an empty one where the string has it."""
    groups = zip(GROUPS, name.split("=", len(GROUPS) - 1), strict=False)
    return "".join(f"<{group}>{''.join(_components(text))}</{group}>" for group, text in groups if text)


def _components(group: str) -> Iterator[str]:
    for component, text in zip(COMPONENTS, group.split("^", len(COMPONENTS) - 1), strict=False):
        yield f"<{component}>{escaped(text)}</{component}>"
