"""Character sets: the standard's own examples, byte by byte, and pydicom as a second reader."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from gateway.dicom.characters import PERSON_NAME_DELIMITERS, DoesNotFit, character_set

# PS3.5 annexes H, I, J and K: their names, with the bytes they print.
NAMES = [
    (
        "H.3.1 kanji and hiragana",
        ("", "ISO 2022 IR 87"),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    (
        "H.3.2 katakana of JIS X 0201",
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    (
        "I.2 hangul and hanja",
        ("", "ISO 2022 IR 149"),
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    (
        "J.1 UTF-8",
        ("ISO_IR 192",),
        "Wang^XiaoDong=王^小東",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1",
    ),
    ("J.2 GB18030", ("GB18030",), "Wang^XiaoDong=王^小东", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"),
    (
        "K.2 GB 2312",
        ("", "ISO 2022 IR 58"),
        "Zhang^XiaoDong=张^小东",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    ("Greek", ("ISO_IR 126",), "Διονυσιος", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"),
    ("Russian", ("ISO_IR 144",), "Люкceмбypг", b"\xbb\xee\xdace\xdc\xd1yp\xd3"),
    (
        "Latin, Greek and back",
        ("ISO 2022 IR 100", "ISO 2022 IR 126"),
        "é^Δ=é",
        b"\xe9^\x1b-F\xc4=\xe9",
    ),
]


@pytest.mark.parametrize(("terms", "name", "encoded"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_names_of_the_standard(terms: tuple[str, ...], name: str, encoded: bytes) -> None:
    """A name is read from these bytes, and written as these bytes."""
    characters = character_set(terms)

    assert characters.decode(encoded, PERSON_NAME_DELIMITERS) == name
    assert characters.encode(name, PERSON_NAME_DELIMITERS) == encoded


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ISO-IR 100", "ISO_IR 100"),
        ("ISO IR 100", "ISO_IR 100"),
        ("iso_ir 100", "ISO_IR 100"),
        ("ISO_IR 100 ", "ISO_IR 100"),
        ("ISO 2022-IR 100", "ISO_IR 100"),
        ("ISO 2022 IR 192", "ISO_IR 192"),
    ],
)
def test_misspelt_terms_are_understood(written: str, meant: str) -> None:
    """Terms as archives have them decode as what was meant."""
    encoded = character_set((meant,)).encode("Müller")

    assert character_set((written,)).decode(encoded) == "Müller"


@pytest.mark.parametrize("terms", [(), ("",), ("ISO_IR 6",), ("NONSENSE",)])
def test_default_repertoire_reads_latin_1_and_writes_ascii(terms: tuple[str, ...]) -> None:
    """Bytes beyond ASCII are kept as Latin-1; none are written, because nothing would say what they are."""
    characters = character_set(terms)

    assert characters.decode(b"M\xfcller") == "Müller"
    with pytest.raises(DoesNotFit):
        characters.encode("Müller")


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        (("ISO_IR 100",), "Ω"),
        (("ISO_IR 13",), "山"),
        (("ISO_IR 13",), "¥"),
        (("", "ISO 2022 IR 87"), "홍"),
        (("", "ISO 2022 IR 149"), "똠방각하 뷁"),
        (("GBK",), "\N{SNOWMAN}\N{HIRAGANA LETTER SMALL A}\N{CHEROKEE LETTER A}"),
        (("ISO_IR 192",), "\ud800"),
        (("ISO_IR 100",), "an escape \x1b$B is no text"),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused(terms: tuple[str, ...], text: str) -> None:
    """No replacement characters: what would be read as something else is not written."""
    with pytest.raises(DoesNotFit):
        character_set(terms).encode(text)


@pytest.mark.parametrize(
    ("terms", "encoded", "text"),
    [
        (("ISO_IR 192",), b"\xff\xfeok", "\ufffd\ufffdok"),
        (("ISO_IR 126",), b"\xff", "\ufffd"),
        (("", "ISO 2022 IR 87"), b"\x1b$B;", "\ufffd"),
        (("", "ISO 2022 IR 149"), b"\x1b$)C\xc8", "\ufffd"),
        (("", "ISO 2022 IR 87"), b"\x1b%Gx", "\x1b%Gx"),
        (("ISO_IR 100",), b"\x1b$B;3\x1b(B", "山"),
    ],
    ids=repr,
)
def test_bytes_that_are_no_text(terms: tuple[str, ...], encoded: bytes, text: str) -> None:
    """Decoding never fails; an escape sequence nobody announced is understood, an unknown one stays."""
    assert character_set(terms).decode(encoded) == text


def test_the_first_character_set_is_active_again_after_a_delimiter() -> None:
    """PS3.5 section 6.1.2.5.3: after ^ and = in PN, after a backslash, after a line's end."""
    characters = character_set(("", "ISO 2022 IR 144"))

    assert characters.decode(b"\x1b-L\xbb^\xbb", PERSON_NAME_DELIMITERS) == "Л^»"
    assert characters.decode(b"\x1b-L\xbb\\\xbb") == "Л\\»"
    assert characters.decode(b"\x1b-L\xbb\r\n\xbb") == "Л\r\n»"
    assert characters.decode(b"\x1b-L\xbb^\xbb") == "Л^Л"


# Without ISO 2022 IR 58, whose escape sequence pydicom 3.0.2 leaves in the text.
EXTENDED = [
    ("", "ISO 2022 IR 87"),
    ("ISO 2022 IR 13", "ISO 2022 IR 87"),
    ("", "ISO 2022 IR 149"),
    ("ISO 2022 IR 100", "ISO 2022 IR 144"),
    ("", "ISO 2022 IR 126", "ISO 2022 IR 138"),
]
_LETTERS = st.sampled_from("AZaz 09.ÄéßñΩλЖяא漢字山田太郎カタﾔﾏﾀ홍길동王小东")
_COMPONENTS = st.text(_LETTERS, min_size=1, max_size=6).map(str.strip)


@settings(max_examples=100, deadline=None)
@given(
    terms=st.sampled_from(EXTENDED),
    groups=st.lists(st.lists(_COMPONENTS, min_size=1, max_size=3).map("^".join), min_size=1, max_size=3),
)
def test_pydicom_reads_the_names_we_write(terms: tuple[str, ...], groups: list[str]) -> None:
    """Whatever mixture of scripts fits, pydicom reads it as it was."""
    name = "=".join(groups).rstrip("=")
    try:
        encoded = character_set(terms).encode(name, PERSON_NAME_DELIMITERS)
    except DoesNotFit:
        return

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It counts the bytes of escape sequences too; PS3.5 section 6.2 counts characters.
        warnings.filterwarnings("ignore", "The PN component length")
        read = PersonName(encoded, convert_encodings(list(terms))).decode()
    assert str(read) == name
