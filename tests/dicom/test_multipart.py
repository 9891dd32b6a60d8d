"""Multipart bodies: every legal one is read, however it was cut; what is not one is refused."""

from __future__ import annotations

import email.parser
import email.policy
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dicom.multipart import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    closing,
    part_head,
)
from gateway.errors import InvalidMultipart, TooLarge

Parts = list[tuple[dict[str, str], bytes]]


def read(body: bytes | Sequence[bytes], boundary: str = "b", max_parts: int = 5000) -> Parts:
    """Return a body's parts, fed as given; fails unless events come in order and each part ends."""
    reader = MultipartReader(boundary, max_parts)
    events = [event for piece in ([body] if isinstance(body, bytes) else body) for event in reader.feed(piece)]
    events += reader.finish()
    parts: Parts = []
    open_part = False
    for event in events:
        match event:
            case PartBegins(headers):
                assert not open_part
                parts.append((dict(headers), b""))
                open_part = True
            case PartData(data):
                assert open_part and len(data) > 0
                parts[-1] = (parts[-1][0], parts[-1][1] + bytes(data))
            case PartEnds():
                open_part = False
    assert not open_part
    return parts


def pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return the body cut at these places."""
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[start:end] for start, end in zip(places, places[1:], strict=False)]


# -- what is read

LEGAL = {
    "one part": (b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--\r\n", [b"DICM"]),
    "no line end after the last boundary": (b"--b\r\n\r\nx\r\n--b--", [b"x"]),
    "preamble and epilogue": (b"This is MIME.\r\n--b\r\n\r\nx\r\n--b--\r\nThe end\r\n--b\r\n", [b"x"]),
    "transport padding": (b"--b \t \r\n\r\nx\r\n--b  \r\n\r\ny\r\n--b-- \r\n", [b"x", b"y"]),
    "a line end before the first boundary": (b"\r\n--b\r\n\r\nx\r\n--b--", [b"x"]),
    "empty part": (b"--b\r\n\r\n\r\n--b--", [b""]),
    "empty part without an empty line": (b"--b\r\n\r\n--b--", [b""]),
    "data that ends with line ends": (b"--b\r\n\r\nx\r\n\r\n\r\n--b--", [b"x\r\n\r\n"]),
    "longer boundary in the data": (b"--b\r\n\r\nx\r\n--bb\r\ny\r\n--b--", [b"x\r\n--bb\r\ny"]),
    "closing boundary with text after it in the data": (b"--b\r\n\r\nx\r\n--b--y\r\n--b--", [b"x\r\n--b--y"]),
    "boundary after a line feed only": (b"--b\r\n\r\nx\n--b\r\n--b--", [b"x\n--b"]),
    "carriage returns": (b"--b\r\n\r\n\r\r\r\n--b--", [b"\r\r"]),
}


@pytest.mark.parametrize(("body", "parts"), LEGAL.values(), ids=LEGAL.keys())
def test_a_legal_body_is_read(body: bytes, parts: list[bytes]) -> None:
    """RFC 2046 section 5.1.1, and T62, T66: preamble, epilogue, padding, and data that looks like a boundary."""
    assert [data for _, data in read(body)] == parts


@pytest.mark.parametrize(("body", "parts"), LEGAL.values(), ids=LEGAL.keys())
def test_a_body_is_read_the_same_byte_by_byte(body: bytes, parts: list[bytes]) -> None:
    """No event depends on where the network cut the body."""
    assert [data for _, data in read([body[at : at + 1] for at in range(len(body))])] == parts


@pytest.mark.parametrize("boundary", ["'()+_,-./:=?", "a b", "=_ x", "0" * 70, "0" * 200, "--", "gc0pJq0M:08jU534c0p"])
def test_any_legal_boundary_is_taken(boundary: str) -> None:
    """S2: RFC 2046 allows twelve marks, spaces inside, and 70 characters; Orthanc's two UUIDs are longer."""
    body = f"--{boundary}\r\n\r\nx\r\n--{boundary}--".encode()

    assert read(body, boundary) == [({}, b"x")]


def test_header_fields_are_read_in_any_case_and_unfolded() -> None:
    """Names are lower case; a folded value is one line."""
    body = b'--b\r\nCONTENT-Type:multipart/x;\r\n boundary="q" \r\nContent-Location: /bulk/1\r\n\r\n\r\n--b--'

    [(headers, _)] = read(body)

    assert headers == {"content-type": 'multipart/x; boundary="q"', "content-location": "/bulk/1"}


@pytest.mark.parametrize("encoding", [b"binary", b"8BIT", b"7bit"])
def test_an_encoding_that_encodes_nothing_is_taken(encoding: bytes) -> None:
    """S2: RFC 2045 section 6.2; mail libraries name one with every part."""
    [(_, data)] = read(b"--b\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\nDICM\r\n--b--")

    assert data == b"DICM"


# -- what is refused

ILLEGAL = {
    "nothing": b"",
    "no boundary at all": b"DICM",
    "no last boundary": b"--b\r\n\r\nDICM",
    "last boundary cut": b"--b\r\n\r\nDICM\r\n--b-",
    "only another boundary": b"--c\r\n\r\nx\r\n--c--",
    "line feeds only": b"--b\n\nx\n--b--\n",
    "header line without a colon": b"--b\r\nnonsense\r\n\r\nx\r\n--b--",
    "header name with a space": b"--b\r\nContent Type: x\r\n\r\nx\r\n--b--",
    "header cut by the boundary": b"--b\r\nContent-Type: x\r\n--b--\r\n\r\n",
    "bare carriage return in a header": b"--b\r\nA: x\ry\r\n\r\nx\r\n--b--",
    "NUL in a header": b"--b\r\nA: x\0y\r\n\r\nx\r\n--b--",
    "the same header field twice": b"--b\r\nA: x\r\na: y\r\n\r\nx\r\n--b--",
    "encoded in Base64": b"--b\r\nContent-Transfer-Encoding: Base64\r\n\r\nRElDTQ==\r\n--b--",
    "one header field too many": b"--b\r\n" + b"".join(b"A%d: x\r\n" % n for n in range(MAX_HEADERS + 1)) + b"\r\n",
    "one header field too long": b"--b\r\nA: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\nx\r\n--b--",
    "header block without an end": b"--b\r\n" + b"A: x\r\n" * MAX_HEADER_BYTES,
}


@pytest.mark.parametrize("body", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_what_is_no_multipart_body_is_refused(body: bytes) -> None:
    """T63, T65, T66: truncated uploads above all, which other parsers take."""
    with pytest.raises(InvalidMultipart):
        read(body)


@pytest.mark.parametrize("boundary", ["", "x" * 201, "a ", "a\r\nb", 'a"b', "a;b", "ä", "a\0b"])
def test_a_boundary_that_rfc_2046_does_not_allow_is_refused(boundary: str) -> None:
    """T62: characters of its set, the last no space, and no more than anybody sends."""
    with pytest.raises(InvalidMultipart):
        MultipartReader(boundary)


def test_too_many_parts_are_refused() -> None:
    """T64: a hundred thousand empty parts stop at the limit."""
    assert len(read(b"--b\r\n\r\n\r\n" * 3 + b"--b--", max_parts=3)) == 3

    with pytest.raises(TooLarge):
        read(b"--b\r\n\r\n\r\n" * 4 + b"--b--", max_parts=3)


def test_no_part_is_held_in_memory() -> None:
    """Data comes out with the piece that brought it, in a view of it: a part of any size takes no memory here."""
    reader = MultipartReader("b")
    reader.feed(b"--b\r\n\r\n")
    piece = b"\0" * 65536

    for _ in range(16):
        reader.feed(b"x")
        [event] = reader.feed(piece)
        assert isinstance(event, PartData) and event.data.obj is piece and len(event.data) == 65536


# -- laws

near_boundaries = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"\r\n--b", b"\r\n--bb", b"\r\n--b-", b"--b--", b" ", b"x"]),
    max_size=12,
).map(b"".join)
datas = (near_boundaries | st.binary(max_size=40)).filter(lambda data: not _has_delimiter_line(data))


def _has_delimiter_line(data: bytes) -> bool:
    """Whether a writer could not use the boundary b for this data."""
    lines = (b"\r\n" + data + b"\r\n--b").split(b"\r\n")[1:-1]
    return any(line.rstrip(b" \t") in (b"--b", b"--b--") for line in lines)


@given(st.lists(datas, min_size=1, max_size=4), st.lists(st.integers(min_value=0), max_size=8))
@example([b"\r\n--b\r"], [9, 10, 11, 12, 13, 14, 15])
@example([b"", b"-"], [])
def test_what_was_written_is_read_however_it_was_cut(parts: list[bytes], cuts: list[int]) -> None:
    """Writer and reader are inverse, and no cutting of the stream changes what is read."""
    body = b"".join(
        part_head("b", {"Content-Type": "application/dicom"}, first=number == 0) + data
        for number, data in enumerate(parts)
    ) + closing("b")

    assert read(pieces(body, cuts)) == [({"content-type": "application/dicom"}, data) for data in parts]


@given(st.lists(near_boundaries, max_size=6).map(b"\r\n".join), st.lists(st.integers(min_value=0), max_size=8))
def test_any_cutting_gives_the_same_answer_for_any_bytes(body: bytes, cuts: list[int]) -> None:
    """Refused or read, what is done with a body depends on its bytes alone."""

    def answer(cut: bytes | list[bytes]) -> Parts | str:
        try:
            return read(cut)
        except InvalidMultipart as error:
            return str(error)

    assert answer(pieces(body, cuts)) == answer(body)


simple = st.text(alphabet="abc-:= \tb", max_size=20).map(lambda text: text.encode())


@given(st.lists(simple.filter(lambda data: not _has_delimiter_line(data)), min_size=1, max_size=4))
def test_pythons_mail_parser_reads_the_same(parts: list[bytes]) -> None:
    """An independent oracle, on the bodies mail can have: text without line ends of another kind."""
    body = b"".join(part_head("b", {"X": "1"}, first=n == 0) + data for n, data in enumerate(parts)) + closing("b")
    head = b"Content-Type: multipart/related; boundary=b\r\n\r\n"

    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)

    assert [part.get_payload(decode=True) for part in message.iter_parts()] == [data for _, data in read(body)]
