"""XML text, read strictly: elements, attributes and characters, and nothing that XML can be made to do.

A document type declaration ends the reading where it begins: no entity is ever defined, so none expands, and nothing
is fetched. Depth and number of elements are bounded before they cost anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from gateway.errors import InvalidDicomXml

# XML 1.0 section 2.2: the characters a document can have, escaped or not.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# A carriage return that is not escaped is read as a line end (XML 1.0 section 2.11), a tab in an attribute as a space.
_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_ATTRIBUTE = _IN_TEXT | {'"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_TEXT = re.compile("[&<>\r]")
_ATTRIBUTE = re.compile('[&<>\r"\t\n]')

# What dcmtk's dcm2xml writes of a dataset in ISO_IR 100. Every byte of it is a character, so it can be read in one way.
_LATIN_1 = re.compile(rb"""<\?xml[^>]{0,100}?\sencoding\s{0,9}=\s{0,9}["']ISO-8859-1["']""", re.IGNORECASE)

# Between a namespace and a name, for expat: no namespace has a space.
_SEPARATOR = " "


@dataclass(slots=True)
class Node:
    """One element. name: without its namespace. text: its character data, that of elements in it left out."""

    name: str
    attributes: Mapping[str, str]
    line: int
    children: list[Node] = field(default_factory=list)
    text: str = ""


def read_xml(body: bytes, namespaces: frozenset[str], *, max_depth: int, max_nodes: int, max_text: int) -> Node:
    """Return the root of an XML text, all of whose elements are in one of the namespaces; "" is none.

    It is in UTF-8, or in ISO-8859-1 and says so. max_text: the most characters of one element. Raises InvalidDicomXml,
    whose path is the line.
    """
    encoding = "ISO-8859-1" if _LATIN_1.match(body) else "UTF-8"
    return _Reader(encoding, namespaces, max_depth, max_nodes, max_text).read(body)


class _Reader:
    """Builds the tree out of what expat finds."""

    def __init__(
        self, encoding: str, namespaces: frozenset[str], max_depth: int, max_nodes: int, max_text: int
    ) -> None:
        self.namespaces = namespaces
        self.max_depth = max_depth
        self.max_nodes = max_nodes
        self.max_text = max_text
        self.nodes = 0
        self.open: list[Node] = []
        self.texts: list[list[str]] = []
        self.root: Node | None = None
        self.expat = expat.ParserCreate(encoding, _SEPARATOR)
        self.expat.buffer_text = True
        self.expat.XmlDeclHandler = self.declaration
        self.expat.StartDoctypeDeclHandler = self.document_type
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.characters

    def read(self, body: bytes) -> Node:
        try:
            self.expat.Parse(body, True)
        except expat.ExpatError as error:
            reason = f"is not XML: {expat.ErrorString(error.code)}"
            raise InvalidDicomXml(f"line {error.lineno}", reason) from error
        assert self.root is not None  # expat takes no document without an element
        return self.root

    def refuse(self, reason: str) -> NoReturn:
        raise InvalidDicomXml(f"line {self.expat.CurrentLineNumber}", reason)

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii", "iso-8859-1"):
            self.refuse("is in another encoding than UTF-8 and ISO-8859-1")

    def document_type(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        self.refuse("has a document type declaration: none is read here")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(_SEPARATOR)
        if namespace not in self.namespaces:
            self.refuse("has an element of another namespace")
        self.nodes += 1
        if self.nodes > self.max_nodes:
            self.refuse(f"is beyond {self.max_nodes} elements")
        if len(self.open) == self.max_depth:
            self.refuse(f"is nested deeper than {self.max_depth} elements")
        node = Node(local, attributes, self.expat.CurrentLineNumber)
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.root = node
        self.open.append(node)
        self.texts.append([])

    def end(self, name: str) -> None:
        text = "".join(self.texts.pop())
        if len(text) > self.max_text:
            self.refuse(f"has an element of more than {self.max_text} characters")
        self.open.pop().text = text

    def characters(self, text: str) -> None:
        self.texts[-1].append(text)


def escaped(text: str) -> str:
    """Return text as it stands between tags; none of it may be `UNWRITABLE`."""
    return _TEXT.sub(lambda match: _IN_TEXT[match[0]], text)


def attribute(name: str, value: str) -> str:
    """Return an attribute as it stands in a tag, a space before it."""
    return f' {name}="{_ATTRIBUTE.sub(lambda match: _IN_ATTRIBUTE[match[0]], value)}"'
