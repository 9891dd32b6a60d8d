"""The Native DICOM Model (PS3.19 A.1), which is what `application/dicom+xml` holds (PS3.18 section 8.7.3.2).

    <NativeDicomModel>
      <DicomAttribute tag="00100010" vr="PN" keyword="PatientName">
        <PersonName number="1"><Alphabetic><FamilyName>Doe</FamilyName></Alphabetic></PersonName>

Reading is as strict as that of DICOM JSON. A private element leaves out the number of its block, since its creator
stands beside it: (0009,1001) is `tag="00090001" privateCreator="GEMS_IDEN_01"`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NoReturn

from gateway.dicom.attribute_rules import tag_problem, vr_problem
from gateway.dicom.dataset import BulkData, Dataset, Element, Scalar, Tag, in_tag_order
from gateway.dicom.dictionary import (
    BINARY_VRS,
    SINGLE_VALUED_VRS,
    STRING_VRS,
    entry_named,
    is_private,
    is_private_creator,
    is_tag,
    vrs_of,
)
from gateway.dicom.json_model import Limits
from gateway.dicom.values import storage_problem
from gateway.dicom.xml_text import Node, read_xml
from gateway.dicom.xml_values import person_name, value_from_xml
from gateway.errors import InvalidDicomXml

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_LIMITS = Limits()
_MAX_NODES = 250_000

# What an attribute may hold, of one kind only.
_VALUES = frozenset({"Value", "PersonName", "Item", "BulkData", "InlineBinary"})

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


def parse_xml(body: bytes, *, limits: Limits = _LIMITS, any_bulk: bool = False) -> Dataset:
    """Return the dataset of a document. Raises InvalidDicomXml.

    any_bulk: whether an attribute of any VR but SQ may be bulk data, as in a request that has the bytes with it.
    """
    # An item of a sequence is two elements; the rest is the root and the five levels of a person name.
    root = read_xml(
        body,
        frozenset({NAMESPACE, ""}),
        max_depth=2 * limits.depth + 6,
        max_nodes=_MAX_NODES,
        max_text=limits.string,
    )
    if root.name != "NativeDicomModel":
        _refuse("", root, "is not a NativeDicomModel")
    return _Reader(limits, any_bulk).dataset(root, "")


def _refuse(path: str, node: Node, reason: str) -> NoReturn:
    raise InvalidDicomXml(path or "/", f"{reason} (line {node.line})")


class _Reader:
    """Reads one document, counting what it has seen against the limits."""

    def __init__(self, limits: Limits, any_bulk: bool) -> None:
        self.limits = limits
        self.any_bulk = any_bulk
        self.elements = 0
        self.items = 0

    def dataset(self, parent: Node, path: str) -> Dataset:
        self.elements += len(parent.children)
        if self.elements > self.limits.elements:
            _refuse(path, parent, f"is beyond {self.limits.elements} attributes in one document")
        _only(parent, path, {"DicomAttribute"})
        found: Dataset = {}
        # Creators have no creator: they come first, so that the blocks of the others are known.
        for node in sorted(parent.children, key=lambda node: "privateCreator" in node.attributes):
            tag, at = _tag_of(node, path, found)
            if tag in found:
                _refuse(at, node, "is there twice")
            found[tag] = self.element(tag, node, at)
        return in_tag_order(found)

    def element(self, tag: Tag, node: Node, path: str) -> Element:
        vr = _vr_of(tag, node, path)
        _only(node, path, _VALUES)
        kinds = {child.name for child in node.children}
        if len(kinds) > 1:
            _refuse(path, node, f"has {' and '.join(sorted(kinds))}: one of them at most")
        if not kinds:
            return Element(vr)
        [kind] = kinds
        if kind in ("BulkData", "InlineBinary"):
            return self.binary(vr, kind, node, path)
        expected = {"SQ": "Item", "PN": "PersonName"}.get(vr, "Value")
        if kind != expected or vr in BINARY_VRS:
            _refuse(path, node, f"has {kind}, which is not for {vr}")
        children = [(child, f"{path}/{kind}[{at}]") for at, child in enumerate(_numbered(node, path), 1)]
        if vr == "SQ":
            return Element(vr, items=self.sequence(children, path, node))
        read = person_name if vr == "PN" else value_from_xml
        return _stored(vr, tuple(read(vr, child, at) for child, at in children), node, path)

    def sequence(self, children: list[tuple[Node, str]], path: str, node: Node) -> tuple[Dataset, ...]:
        self.items += len(children)
        if self.items > self.limits.items:
            _refuse(path, node, f"is beyond {self.limits.items} items in one document")
        return tuple(self.dataset(child, at) for child, at in children)

    def binary(self, vr: str, kind: str, node: Node, path: str) -> Element:
        if len(node.children) > 1:
            _refuse(path, node, f"has {kind} twice")
        [child] = node.children
        _only(child, path, frozenset(), with_text=kind == "InlineBinary")
        if kind == "InlineBinary":
            return _inline(vr, child, path)
        if vr == "SQ" or (vr not in BINARY_VRS and not self.any_bulk):
            _refuse(path, child, f"is bulk data, and {vr} has its values in the document")
        uri = child.attributes.get("uri") or child.attributes.get("uuid")
        if not uri:
            _refuse(path, child, "is bulk data without a uri")
        return Element(vr, binary=BulkData(uri))


def _only(node: Node, path: str, names: frozenset[str] | set[str], *, with_text: bool = False) -> None:
    """Raise InvalidDicomXml for a child of another name, and for text where there is none."""
    for child in node.children:
        if child.name not in names:
            _refuse(path, child, "has an element that has no place there")
    if not with_text and node.text.strip(" \t\r\n"):
        _refuse(path, node, "has text between its elements")


def _numbered(node: Node, path: str) -> list[Node]:
    """Return the values of an attribute in the order of their numbers, which are 1 to n."""
    numbers = [child.attributes.get("number", "") for child in node.children]
    if not all(map(_NUMBER.fullmatch, numbers)):
        _refuse(path, node, "has a value without a number")
    if sorted(map(int, numbers)) != list(range(1, len(numbers) + 1)):
        _refuse(path, node, f"has values that are not numbered from 1 to {len(numbers)}")
    return [child for _, child in sorted(zip(map(int, numbers), node.children, strict=True), key=lambda pair: pair[0])]


def _tag_of(node: Node, path: str, found: Dataset) -> tuple[Tag, str]:
    """Return an attribute's tag, and its path. A private creator that is not there yet is added to `found`."""
    text = node.attributes.get("tag", "")
    tag = text.upper()
    if not (text.isascii() and is_tag(tag)):
        _refuse(path, node, "has an attribute whose tag is not eight hex digits")
    at = f"{path}/{tag}"
    creator = node.attributes.get("privateCreator")
    if creator is not None:
        if not is_private(tag):
            _refuse(at, node, "has a private creator, and is no private attribute")
        tag = _private_tag(tag, creator, node, at, found)
    problem = tag_problem(tag)
    if problem:
        _refuse(at, node, problem)
    entry = entry_named(node.attributes.get("keyword", ""))
    if entry and entry.tag != tag:
        _refuse(at, node, f"has the keyword of {entry.tag}")
    return tag, at


def _private_tag(tag: Tag, creator: str, node: Node, path: str, found: Dataset) -> Tag:
    """Return the tag of a private element with the number of its block.

    A block in the tag, which the standard leaves out and some writers do not, must be the creator's.
    """
    group, block = tag[:4], tag[4:6]
    if block == "00":
        block = _block_of(group, creator, found) or _free_block(group, found)
        if not block:
            _refuse(path, node, "is private, and the group has no block left")
    reserved = found.setdefault(f"{group}00{block}", Element("LO", (creator,)))
    if reserved.values != (creator,):
        _refuse(path, node, "is in the block of another private creator")
    return f"{group}{block}{tag[6:]}"


def _block_of(group: str, creator: str, dataset: Dataset) -> str:
    """Return the first block that a creator has in a group; "" where it has none."""
    blocks = (tag[6:] for tag in sorted(dataset) if tag[:4] == group and is_private_creator(tag))
    return next((block for block in blocks if dataset[f"{group}00{block}"].values == (creator,)), "")


def _free_block(group: str, dataset: Dataset) -> str:
    taken = {tag[6:] if tag[4:6] == "00" else tag[4:6] for tag in dataset if tag[:4] == group}
    numbers = (f"{number:02X}" for number in range(_FIRST_BLOCK, _LAST_BLOCK + 1))
    return next((block for block in numbers if block not in taken), "")


def _vr_of(tag: Tag, node: Node, path: str) -> str:
    """Return the VR; the dictionary's where the document leaves it out (PS3.19 Table A.1.5-2: optional)."""
    vr = node.attributes.get("vr")
    if vr is None:
        known = vrs_of(tag)
        if len(known) != 1:
            _refuse(path, node, "has no vr, and the dictionary does not tell it")
        [vr] = known
    problem = vr_problem(tag, vr)
    if problem:
        _refuse(path, node, f"vr {problem}")
    return vr


def _inline(vr: str, node: Node, path: str) -> Element:
    """Return the value of an InlineBinary: bytes, or the text of a value that XML has no characters for."""
    try:
        data = base64.b64decode("".join(node.text.split()), validate=True)
        if vr in BINARY_VRS:
            return _checked(Element(vr, binary=data), node, path)
        text = data.decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidDicomXml(path, f"is not base64, or not of a text (line {node.line})") from error
    if vr not in STRING_VRS:
        _refuse(path, node, f"is not for {vr}, which has Value")
    return _stored(vr, (text,) if vr in SINGLE_VALUED_VRS else tuple(text.split("\\")), node, path)


def _stored(vr: str, values: tuple[Scalar, ...], node: Node, path: str) -> Element:
    # One empty value has zero length: PS3.10 knows no difference.
    return _checked(Element(vr, () if values == ("",) else values), node, path)


def _checked(element: Element, node: Node, path: str) -> Element:
    problem = storage_problem(element)
    if problem:
        _refuse(path + problem.where, node, problem.reason)
    return element
