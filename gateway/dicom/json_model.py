"""The DICOM JSON Model (PS3.18 Annex F): reading it strictly, writing it fast.

The reader stands in front of everything an edit can touch. It refuses what could be read in two ways and what could
not be stored; a value that is merely invalid, a date "1970-01-01", passes, for the constraints to judge. Errors carry
the JSON path of the first thing refused: `$[0].00100010.Value[0].Alphabetic`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from gateway.dicom.attribute_rules import tag_problem, vr_problem
from gateway.dicom.dataset import BulkData, Dataset, Element, MergePatch, Tag, in_tag_order
from gateway.dicom.dictionary import BINARY_VRS, STRING_VRS, entry_named, is_group_length, is_tag
from gateway.dicom.json_text import Json, member_path, read_json
from gateway.dicom.json_values import is_string, refuse, value_from_json, value_to_json
from gateway.dicom.values import storage_problem
from gateway.errors import InvalidDicomJson

CHARACTER_SET = "00080005"
_UTF_8 = Element("CS", ("ISO_IR 192",))


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a DICOM JSON text may hold. Depth counts sequences in each other; real reports have 10 to 20."""

    depth: int = 64
    elements: int = 20_000
    items: int = 20_000
    string: int = 256 * 1024


_LIMITS = Limits()

_Read = TypeVar("_Read", Dataset, MergePatch)


# --- Reading


def parse_datasets(body: bytes, *, limits: Limits = _LIMITS, any_bulk: bool = False) -> list[Dataset]:
    """Return the datasets of an array; of a single object, that one. Raises InvalidDicomJson, for none as well.

    any_bulk: whether an attribute of any VR but SQ may be bulk data, as in a request that has the bytes with it.
    """
    return _parse(body, limits, _Reader.dataset, single=True, several=True, any_bulk=any_bulk)


def parse_dataset(body: bytes, *, limits: Limits = _LIMITS) -> Dataset:
    """Return the one dataset of an object, or of an array of one. Raises InvalidDicomJson."""
    datasets = parse_datasets(body, limits=limits)
    if len(datasets) > 1:
        raise InvalidDicomJson("$", "is several datasets where one is expected")
    return datasets[0]


def parse_merge_patch(body: bytes, *, limits: Limits = _LIMITS) -> MergePatch:
    """Return the merge patch of an object (RFC 7396): an element sets, None removes. Raises InvalidDicomJson."""
    return _parse(body, limits, _Reader.merge_patch, single=True, several=False)[0]


def parse_merge_patches(body: bytes, *, limits: Limits = _LIMITS) -> list[MergePatch]:
    """Return the merge patches of an array, at least one. Raises InvalidDicomJson."""
    return _parse(body, limits, _Reader.merge_patch, single=False, several=True)


def _parse(
    body: bytes,
    limits: Limits,
    read: Callable[[_Reader, Json, str], _Read],
    *,
    single: bool,
    several: bool,
    any_bulk: bool = False,
) -> list[_Read]:
    # An item of a sequence is an object in an array in an object; the rest is the root and one person name.
    root = read_json(body, max_brackets=3 * limits.depth + 5, max_string=limits.string)
    reader = _Reader(limits, any_bulk)
    if isinstance(root, dict) and single:
        return [read(reader, root, "$")]
    if isinstance(root, list) and several:
        if not root:
            raise InvalidDicomJson("$", "is an empty array")
        return [read(reader, member, f"$[{position}]") for position, member in enumerate(root)]
    expected = " or ".join(["an object"] * single + ["an array of objects"] * several)
    raise InvalidDicomJson("$", f"is not {expected}")


_VALUE_MEMBERS = ("Value", "InlineBinary", "BulkDataURI")
_MEMBERS = frozenset({"vr", *_VALUE_MEMBERS})


class _Reader:
    """Reads one text, counting what it has seen against the limits."""

    def __init__(self, limits: Limits, any_bulk: bool) -> None:
        self.limits = limits
        self.any_bulk = any_bulk
        self.elements = 0
        self.items = 0

    def dataset(self, value: Json, path: str, depth: int = 0) -> Dataset:
        members = self.members(value, path)
        return in_tag_order({tag: self.element(tag, member, at, depth) for tag, (member, at) in members.items()})

    def merge_patch(self, value: Json, path: str) -> MergePatch:
        patch: MergePatch = {}
        for tag, (member, at) in sorted(self.members(value, path).items()):
            if isinstance(member, dict):
                # RFC 7396: null removes a member too, and an attribute without its Value is an empty one.
                member = {name: inner for name, inner in member.items() if inner is not None}
            patch[tag] = None if member is None else self.element(tag, member, at, 0)
        return patch

    def members(self, value: Json, path: str) -> dict[Tag, tuple[Json, str]]:
        """Return an object's members by tag, each with its path."""
        if not isinstance(value, dict):
            refuse(path, "is not an object of attributes")
        self.elements += len(value)
        if self.elements > self.limits.elements:
            refuse(path, f"is beyond {self.limits.elements} attributes in one request")
        found: dict[Tag, tuple[Json, str]] = {}
        for name, member in value.items():
            at = member_path(path, name)
            tag = _tag(name, at)
            if tag in found:
                refuse(at, "is there twice, in upper and lower case")
            found[tag] = member, at
        return found

    def element(self, tag: Tag, value: Json, path: str, depth: int) -> Element:
        if not isinstance(value, dict):
            refuse(path, "is not an object with vr and Value")
        if not _MEMBERS.issuperset(value):
            refuse(path, "has another member than vr, Value, InlineBinary and BulkDataURI")
        vr = _vr(tag, value.get("vr"), f"{path}.vr")
        given = [name for name in _VALUE_MEMBERS if name in value]
        if len(given) > 1:
            refuse(path, f"has {' and '.join(given)}: one of them at most")
        if not given:
            return Element(vr)
        at = f"{path}.{given[0]}"
        if given[0] == "InlineBinary":
            return _inline_binary(vr, value["InlineBinary"], at)
        if given[0] == "BulkDataURI":
            return _bulk_data(vr, value["BulkDataURI"], at, any_vr=self.any_bulk)
        return self.values(vr, value["Value"], at, depth)

    def values(self, vr: str, value: Json, path: str, depth: int) -> Element:
        if vr in BINARY_VRS:
            refuse(path, f"{vr} has InlineBinary or BulkDataURI in place of Value")
        if not isinstance(value, list):
            refuse(path, "is not an array")
        if vr == "SQ":
            return Element(vr, items=self.sequence(value, path, depth + 1))
        values = tuple(value_from_json(vr, member, f"{path}[{position}]") for position, member in enumerate(value))
        # One empty value has zero length: PS3.10 knows no difference.
        element = Element(vr, () if values == ("",) else values)
        problem = storage_problem(element)
        if problem:
            refuse(path + problem.where, problem.reason)
        return element

    def sequence(self, value: list[Json], path: str, depth: int) -> tuple[Dataset, ...]:
        if depth > self.limits.depth:
            refuse(path, f"is nested deeper than {self.limits.depth} sequences")
        self.items += len(value)
        if self.items > self.limits.items:
            refuse(path, f"is beyond {self.limits.items} items in one request")
        return tuple(self.dataset(item, f"{path}[{position}]", depth) for position, item in enumerate(value))


def _tag(name: str, path: str) -> Tag:
    """Return the tag a member's name is, in upper case."""
    tag = name.upper()
    if not (name.isascii() and is_tag(tag)):
        entry = entry_named(name)
        if entry:
            refuse(path, f"is a keyword, and DICOM JSON has tags: {entry.tag}")
        refuse(path, "has a name that is not a tag, eight hex digits such as 00100010")
    problem = tag_problem(tag)
    if problem:
        refuse(path, problem)
    return tag


def _vr(tag: Tag, value: Json, path: str) -> str:
    if value is None:
        refuse(path, "is missing: every attribute has its VR (PS3.18 section F.2.2)")
    if not isinstance(value, str):
        refuse(path, "is not a VR of PS3.5")
    problem = vr_problem(tag, value)
    if problem:
        refuse(path, problem)
    return value


def _inline_binary(vr: str, value: Json, path: str) -> Element:
    if vr not in BINARY_VRS:
        refuse(path, f"is not for {vr}, which has Value")
    if not is_string(value):
        refuse(path, "is not a base64 string")
    try:
        element = Element(vr, binary=base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidDicomJson(path, "is not base64 (RFC 4648 section 4)") from error
    problem = storage_problem(element)
    if problem:
        refuse(path, problem.reason)
    return element


def _bulk_data(vr: str, value: Json, path: str, *, any_vr: bool) -> Element:
    if vr not in BINARY_VRS and not (any_vr and vr != "SQ"):
        refuse(path, f"is not for {vr} here: give its Value")
    if not is_string(value) or not value:
        refuse(path, "is not a URI")
    return Element(vr, binary=BulkData(value))


# --- Writing

BulkUri = Callable[[BulkData], str]


def _own_uri(bulk: BulkData) -> str:
    return bulk.uri


def to_json(
    dataset: Dataset, bulk_uri: BulkUri = _own_uri, *, file_meta: bool = False, stored_character_set: bool = False
) -> dict[str, Any]:
    """Return a dataset in the DICOM JSON Model, for `encode_json`: tags ascending, no group lengths.

    bulk_uri: the URL of a bulk value. file_meta: whether group 0002 goes with it. Specific Character Set says UTF-8,
    as the JSON is, unless stored_character_set asks for the one of the instance; in items it stays as it is.
    """
    shown = dataset
    if CHARACTER_SET in dataset and not stored_character_set:
        shown = {**dataset, CHARACTER_SET: _UTF_8}
    return {
        tag: element_to_json(element, bulk_uri)
        for tag, element in sorted(shown.items())
        if not is_group_length(tag) and (file_meta or not tag.startswith("0002"))
    }


def element_to_json(element: Element, bulk_uri: BulkUri = _own_uri) -> dict[str, Any]:
    """Return one attribute in the DICOM JSON Model, for `encode_json`."""
    vr = element.vr
    if element.empty:
        return {"vr": vr}
    if isinstance(element.binary, BulkData):
        return {"vr": vr, "BulkDataURI": bulk_uri(element.binary)}
    if element.binary:
        return {"vr": vr, "InlineBinary": base64.b64encode(element.binary).decode("ascii")}
    if vr == "SQ":
        return {"vr": vr, "Value": [to_json(item, bulk_uri, stored_character_set=True) for item in element.items]}
    return {"vr": vr, "Value": [value_to_json(vr, value) for value in element.values]}


# A value of these is in JSON what it is in an element.
_TEXT_VRS = STRING_VRS - {"DS", "IS", "PN"}

# So many elements are remembered: those that datasets have in common come with the first of them.
_REMEMBERED = 4096


class JsonWriter:
    """Writes datasets that have elements in common, results of one search, in the DICOM JSON Model.

    What it has written it knows by the element itself, so the datasets have to live as long as it does.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[Tag, int], bytes] = {}

    def write(self, dataset: Dataset, bulk_uri: BulkUri = _own_uri) -> bytes:
        """Return what `encode_json` makes of `to_json`."""
        return b"{%b}" % b",".join(
            self._written.get((tag, id(element))) or self._write(tag, element, bulk_uri)
            for tag, element in sorted(dataset.items())
            if not tag.startswith("0002") and not is_group_length(tag)
        )

    def _write(self, tag: Tag, element: Element, bulk_uri: BulkUri) -> bytes:
        shown = _UTF_8 if tag == CHARACTER_SET else element
        if shown.vr in _TEXT_VRS and shown.values and "" not in shown.values:
            text = b'"%b":{"vr":"%b","Value":%b}' % (tag.encode(), shown.vr.encode(), orjson.dumps(shown.values))
        else:
            text = encode_json({tag: element_to_json(shown, bulk_uri)})[1:-1]
        if len(self._written) < _REMEMBERED and b'"BulkDataURI"' not in text:
            self._written[tag, id(element)] = text
        return text


def encode_json(value: Any) -> bytes:
    """Return what `to_json` made, or any JSON value, as UTF-8."""
    return orjson.dumps(value)
