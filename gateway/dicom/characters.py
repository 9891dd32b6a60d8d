"""Text in DICOM's character sets: PS3.3 C.12.1.1.2 (the terms), PS3.5 section 6.1 (code extensions, ISO 2022).

Decoding never fails: what is no text of the character set becomes U+FFFD. Encoding gives bytes only if they decode to
the same text again. pydicom.charset is the oracle in the tests; it is not used here because it announces text that
does not fit by a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

Slot = Literal["G0", "G1"]

UTF_8 = "ISO_IR 192"


class DoesNotFit(ValueError):
    """The text has a character that the character set lacks."""


class CodeElement(NamedTuple):
    """A set of characters that an escape sequence calls into G0 (bytes 21-7E) or G1 (A0-FF), one or two bytes each."""

    slot: Slot
    codec: str
    width: int = 1


_ASCII = CodeElement("G0", "ascii")
_KATAKANA = CodeElement("G1", "shift_jis")
_LATIN_1 = CodeElement("G1", "latin_1")

# PS3.3 Table C.12-3 and C.12-4: the escape sequences, after the ESC.
ESCAPES: dict[bytes, CodeElement] = {
    b"(B": _ASCII,
    b"(J": _ASCII,  # JIS X 0201 romaji: pydicom, dcmtk and every database read its yen sign as the backslash it is
    b")I": _KATAKANA,
    b"-A": _LATIN_1,
    b"-B": CodeElement("G1", "iso8859_2"),
    b"-C": CodeElement("G1", "iso8859_3"),
    b"-D": CodeElement("G1", "iso8859_4"),
    b"-L": CodeElement("G1", "iso8859_5"),
    b"-G": CodeElement("G1", "iso8859_6"),
    b"-F": CodeElement("G1", "iso8859_7"),
    b"-H": CodeElement("G1", "iso8859_8"),
    b"-M": CodeElement("G1", "iso8859_9"),
    b"-b": CodeElement("G1", "iso8859_15"),
    b"-T": CodeElement("G1", "tis_620"),
    b"$B": CodeElement("G0", "jis_x_0208", 2),
    b"$(D": CodeElement("G0", "jis_x_0212", 2),
    b"$)C": CodeElement("G1", "euc_kr", 2),
    b"$)A": CodeElement("G1", "gb2312", 2),
}

# PS3.3 Table C.12-2 to C.12-4: the number in ISO_IR n or ISO 2022 IR n -> the escape sequences it allows.
_REGISTRATIONS: dict[str, tuple[bytes, ...]] = {
    "6": (b"(B",),
    "100": (b"-A",),
    "101": (b"-B",),
    "109": (b"-C",),
    "110": (b"-D",),
    "144": (b"-L",),
    "127": (b"-G",),
    "126": (b"-F",),
    "138": (b"-H",),
    "148": (b"-M",),
    "203": (b"-b",),
    "166": (b"-T",),
    "13": (b")I", b"(J"),
    "87": (b"$B",),
    "159": (b"$(D",),
    "149": (b"$)C",),
    "58": (b"$)A",),
}

# PS3.3 Table C.12-5: no code extensions.
_STAND_ALONE = {UTF_8: "utf_8", "GB18030": "gb18030", "GBK": "gbk"}

_TERM = re.compile(r"ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?(\d+)")
_ESCAPE = re.compile(rb"\x1b([\x20-\x2f]+[\x30-\x7e])")

# PS3.5 section 6.1.2.5.3: the first character set is active again after these, in every VR ...
_LINE_ENDS = "\t\n\f\r"
# ... after these in PN, and after a backslash where it separates values.
PERSON_NAME_DELIMITERS = "\\^="
VALUE_DELIMITERS = "\\"


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """What Specific Character Set says. codec: for text without escape sequences; g1: what it calls into G1.

    extended: whether escape sequences are read; extensions: those that may be written.
    """

    codec: str
    g1: CodeElement | None
    extended: bool
    extensions: tuple[bytes, ...] = ()
    home: bytes = b"(B"

    def decode(self, value: bytes, delimiters: str = VALUE_DELIMITERS) -> str:
        """Return the text of a whole value, backslashes and padding included; U+FFFD for what is no text."""
        if self.extended and b"\x1b" in value:
            return "".join(self._decoded(value, delimiters + _LINE_ENDS))
        return value.decode(self.codec, "replace")

    def encode(self, text: str, delimiters: str = VALUE_DELIMITERS) -> bytes:
        """Return the bytes of a whole value. Raises DoesNotFit."""
        if text.isascii() and "\x1b" not in text:
            return text.encode("ascii")
        value = self._plain(text)
        if value is None:
            value = b"".join(self._encoded(text, delimiters + _LINE_ENDS))
        if self.decode(value, delimiters) != text:
            raise DoesNotFit
        return value

    def _plain(self, text: str) -> bytes | None:
        """Return the text without escape sequences; None where it needs some. Raises DoesNotFit if there are none."""
        codec = "ascii" if self.g1 is None and self.extended else self.codec
        try:
            value = text.encode(codec)
        except UnicodeEncodeError as error:
            if self.extensions:
                return None
            raise DoesNotFit from error
        single_bytes = self.codec != "shift_jis" or len(value) == len(text)
        return value if single_bytes else None

    def _decoded(self, value: bytes, delimiters: str) -> Iterator[str]:
        """Yield the text of a value with escape sequences: ISO 2022 as PS3.5 section 6.1.2.5 restricts it."""
        g0, g1, position = _ASCII, self.g1, 0
        while position < len(value):
            byte = value[position]
            escape = _ESCAPE.match(value, position) if byte == 0x1B else None
            called = ESCAPES.get(escape[1]) if escape else None
            if escape and called:
                g0, g1 = (called, g1) if called.slot == "G0" else (g0, called)
                position = escape.end()
                continue
            double = g0.width == 2 and 0x21 <= byte <= 0x7E
            active = (g1 or _LATIN_1) if byte >= 0x80 else g0 if double else _ASCII
            piece = value[position : position + active.width]
            position += active.width
            if not double and chr(byte) in delimiters:
                g0, g1 = _ASCII, self.g1
            yield _characters(active, piece)

    def _encoded(self, text: str, delimiters: str) -> Iterator[bytes]:
        """Yield the bytes of a text, calling in character sets where needed. Raises DoesNotFit."""
        active: dict[Slot, CodeElement | None] = {"G0": _ASCII, "G1": self.g1}
        for character in text:
            called, escape, piece = self._call(character, active)
            # G1 could stay as it is, but many readers take each escape sequence for the start of a text of its own.
            if active["G0"] is not _ASCII and (called is _ASCII or called.slot == "G1"):
                yield b"\x1b" + self.home
                active = {"G0": _ASCII, "G1": None}
            if active[called.slot] != called:
                yield b"\x1b" + escape
                active[called.slot] = called
            if character in delimiters:
                active["G1"] = self.g1
            yield piece
        if active["G0"] is not _ASCII:
            yield b"\x1b" + self.home

    def _call(self, character: str, active: dict[Slot, CodeElement | None]) -> tuple[CodeElement, bytes, bytes]:
        """Return the set that has a character, its escape sequence and the character's bytes; an active set first."""
        if character.isascii():
            return _ASCII, self.home, character.encode("ascii")
        sets = [(ESCAPES[escape], escape) for escape in self.extensions]
        sets.sort(key=lambda pair: active[pair[0].slot] != pair[0])
        for called, escape in sets:
            piece = _piece(called, character)
            if piece is not None:
                return called, escape, piece
        raise DoesNotFit


def _characters(called: CodeElement, piece: bytes) -> str:
    """Return the character that bytes are in a set; the two JIS sets are EUC-JP without its high bits."""
    if called.codec == "jis_x_0208":
        return bytes(byte | 0x80 for byte in piece).decode("euc_jp", "replace")
    if called.codec == "jis_x_0212":
        return (b"\x8f" + bytes(byte | 0x80 for byte in piece)).decode("euc_jp", "replace")
    return piece.decode(called.codec, "replace")


def _piece(called: CodeElement, character: str) -> bytes | None:
    """Return the bytes of a character in a set; None where the set lacks it."""
    codec = "euc_jp" if called.codec.startswith("jis_x") else called.codec
    try:
        value = character.encode(codec)
    except UnicodeEncodeError:
        return None
    if called.codec == "jis_x_0208":
        return bytes(byte & 0x7F for byte in value) if len(value) == 2 and value[0] != 0x8E else None
    if called.codec == "jis_x_0212":
        return bytes(byte & 0x7F for byte in value[1:]) if len(value) == 3 else None
    return value if len(value) == called.width and value[0] >= 0x80 else None


@lru_cache(maxsize=256)
def character_set(terms: tuple[str, ...]) -> CharacterSet:
    """Return the character set that the values of Specific Character Set name; none: the default repertoire.

    Spellings that archives have ("ISO-IR 100", "iso_ir 100") are understood; a term that means nothing is read as the
    default repertoire. That is ASCII; bytes beyond it are read as Latin-1, which loses nothing, and never written.
    """
    names = [term.strip().upper() for term in terms] or [""]
    if names[0] in _STAND_ALONE:
        return CharacterSet(_STAND_ALONE[names[0]], None, extended=False)
    numbers = [match[1] if (match := _TERM.fullmatch(name)) else "" for name in names]
    if numbers[0] == "192":
        return CharacterSet("utf_8", None, extended=False)
    escapes = tuple(escape for number in numbers for escape in _REGISTRATIONS.get(number, ()) if escape != b"(B")
    extensions = escapes if len(names) > 1 or names[0].startswith("ISO 2022") else ()
    first = _REGISTRATIONS.get(numbers[0], (b"(B",))
    g1 = next((ESCAPES[escape] for escape in first if ESCAPES[escape].slot == "G1"), None)
    codec = g1.codec if g1 else "latin_1"
    return CharacterSet(codec, g1, True, extensions, b"(J" if numbers[0] == "13" else b"(B")
