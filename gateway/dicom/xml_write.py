"""Writing the Native DICOM Model (PS3.19 A.1)."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator

from gateway.dicom.dataset import BulkData, Dataset, Element, Tag
from gateway.dicom.dictionary import entry_of, is_group_length, is_private_creator
from gateway.dicom.json_model import CHARACTER_SET, BulkUri
from gateway.dicom.xml_model import NAMESPACE
from gateway.dicom.xml_text import UNWRITABLE, attribute
from gateway.dicom.xml_values import person_name_to_xml, value_to_xml

_OPENING = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
_CLOSING = "</NativeDicomModel>"
_UTF_8 = Element("CS", ("ISO_IR 192",))


def _own_uri(bulk: BulkData) -> str:
    return bulk.uri


def to_xml(
    dataset: Dataset, bulk_uri: BulkUri = _own_uri, *, file_meta: bool = False, stored_character_set: bool = False
) -> bytes:
    """Return a dataset in the Native DICOM Model, in UTF-8: tags ascending, no group lengths.

    bulk_uri: the URL of a bulk value. file_meta: whether group 0002 goes with it. Specific Character Set says UTF-8,
    as the XML is, unless stored_character_set asks for the one of the instance; in items it stays as it is.
    """
    shown = dataset
    if CHARACTER_SET in dataset and not stored_character_set:
        shown = {**dataset, CHARACTER_SET: _UTF_8}
    shown = {tag: element for tag, element in shown.items() if file_meta or not tag.startswith("0002")}
    return "".join([_OPENING, *_attributes(shown, bulk_uri), _CLOSING]).encode("utf-8")


def _attributes(dataset: Dataset, bulk_uri: BulkUri) -> Iterator[str]:
    creators = _creators(dataset)
    for tag, element in sorted(dataset.items()):
        if not is_group_length(tag):
            yield "<DicomAttribute"
            yield from _names(tag, element.vr, creators.get(tag[:6], ""))
            yield ">"
            yield from _values(element, bulk_uri)
            yield "</DicomAttribute>"


def _names(tag: Tag, vr: str, creator: str) -> Iterator[str]:
    """Yield what names an attribute. Without a creator that can be told, a private one keeps its whole tag."""
    private = bool(creator) and not is_private_creator(tag)
    yield attribute("tag", f"{tag[:4]}00{tag[6:]}" if private else tag)
    yield attribute("vr", vr)
    entry = entry_of(tag)
    if entry:
        yield attribute("keyword", entry.keyword)
    if private:
        yield attribute("privateCreator", creator)


def _creators(dataset: Dataset) -> dict[str, str]:
    """Return the private creator of each block by the first six digits of its tags.

    A creator that has two blocks of one group would make tags that cannot be told apart: neither is named.
    """
    found = {
        f"{tag[:4]}{tag[6:]}": str(element.values[0])
        for tag, element in dataset.items()
        if is_private_creator(tag) and len(element.values) == 1 and not UNWRITABLE.search(str(element.values[0]))
    }
    uses = Counter((block[:4], creator) for block, creator in found.items())
    return {block: creator for block, creator in found.items() if creator and uses[block[:4], creator] == 1}


def _values(element: Element, bulk_uri: BulkUri) -> Iterator[str]:
    vr = element.vr
    if isinstance(element.binary, BulkData):
        yield f"<BulkData{attribute('uri', bulk_uri(element.binary))}/>"
    elif element.binary:
        yield _inline(element.binary)
    elif any(isinstance(value, str) and UNWRITABLE.search(value) for value in element.values):
        # XML has no form feed and no escape character, escaped or not. Nothing of a record is left out for that.
        yield _inline("\\".join(map(str, element.values)).encode("utf-8"))
    elif vr == "SQ":
        for number, item in enumerate(element.items, 1):
            yield f'<Item number="{number}">'
            yield from _attributes(item, bulk_uri)
            yield "</Item>"
    elif vr == "PN":
        for number, value in enumerate(element.values, 1):
            yield f'<PersonName number="{number}">{person_name_to_xml(str(value))}</PersonName>'
    else:
        for number, value in enumerate(element.values, 1):
            yield f'<Value number="{number}">{value_to_xml(vr, value)}</Value>'


def _inline(data: bytes) -> str:
    return f"<InlineBinary>{base64.b64encode(data).decode('ascii')}</InlineBinary>"
