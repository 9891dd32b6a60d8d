"""Signature Version 4: what botocore signs verifies, and nothing else does."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.access.chunked_payload import ChunkedPayload
from gateway.access.sigv4 import (
    STREAMING_PAYLOAD,
    AccessKey,
    ExpiredSignature,
    IncompleteSignature,
    MissingSignature,
    SentRequest,
    SignatureRefused,
    UnknownAccessKey,
    WrongSignature,
    check_claim,
    declared_payload,
    key_of,
    read_claim,
    verify,
    without_signature,
)
from tests.access.signers import KEY, KEYS, NOW, REGION, SERVICE, sent, signed

HOST = "https://runtime-gateway.test:8443"
STUDIES = f"{HOST}/datastore/{'0' * 32}/studies"

ARN = quote("arn:aws:medical-imaging:us-east-1:123456789012:datastore/" + "0" * 32, safe="")


def accept(request: SentRequest, body: bytes = b"", now: datetime = NOW) -> AccessKey:
    """Return the key that signed, or raise what refuses the request: what the gateway does, without the gateway."""
    claim = read_claim(request)
    key = key_of(claim, KEYS)
    check_claim(claim, region=REGION, service=SERVICE, now=now)
    declared = declared_payload(request)
    verify(request, claim, key, declared or sha256(body).hexdigest())
    if declared and declared != sha256(body).hexdigest():
        raise WrongSignature("body")
    return key


# -- what botocore signs

segments = st.text(st.sampled_from("abcXYZ019-._~%:!$&'()*+,;=@ é"), min_size=1, max_size=12)
paths = st.lists(segments.map(lambda text: quote(text, safe="")).filter(lambda s: s not in (".", "..")), max_size=5)
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=10).map(
    lambda text: quote(text, safe="-_.~")
)
queries = st.lists(st.tuples(values.filter(bool), values), max_size=5).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])


@given(methods, paths, queries, st.binary(max_size=200), st.booleans())
def test_what_botocore_signs_in_a_header_verifies(
    method: str, path: list[str], query: str, body: bytes, with_type: bool
) -> None:
    """Any method, path, query and body; with the port in the host and a Content-Type as it comes."""
    headers = {"Content-Type": "application/json;  charset=utf-8"} if with_type else {}
    url = f"{HOST}/{'/'.join(path)}" + (f"?{query}" if query else "")

    assert accept(sent(signed(method, url, body, headers)), body) == KEY


@given(paths, queries, st.integers(1, 604_800))
def test_what_botocore_presigns_verifies(path: list[str], query: str, expires: int) -> None:
    """Any path and query, until the time it was signed for is over."""
    names = [pair.partition("=")[0] for pair in query.split("&")]
    assume(len(set(names)) == len(names))  # botocore keeps the first of several
    assume(not any(name.startswith("X-Amz-") for name in names))
    url = f"{HOST}/{'/'.join(path)}" + (f"?{query}" if query else "")
    request = sent(signed("GET", url, expires=expires))

    assert accept(request, now=NOW + timedelta(seconds=expires)) == KEY
    with pytest.raises(ExpiredSignature):
        accept(request, now=NOW + timedelta(seconds=expires + 1))


ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'()*,;:@"


def changed(text: str, place: int, character: str) -> str:
    """Return a text with one character of it another one."""
    place %= len(text)
    assume(text[place] != character)
    return text[:place] + character + text[place + 1 :]


@given(
    st.sampled_from(["method", "path", "query", "host", "content-type", "x-amz-date", "authorization"]),
    st.integers(0, 500),
    st.sampled_from(ALPHABET),
)
def test_one_changed_character_anywhere_does_not_verify(where: str, place: int, character: str) -> None:
    """Method, path, query, each signed header, and date, region, service and signature in the Authorization."""
    url = f"{HOST}/tags/{ARN}?tagKeys=a%2Fb&tagKeys=Unit-7&PatientName=DOE%5EJANE"
    request = sent(signed("DELETE", url, b"{}", {"Content-Type": "application/json"}))
    if where in ("method", "path", "query"):
        part: dict[str, Any] = {where: changed(getattr(request, where), place, character)}
        request = replace(request, **part)
        assume(request.method.upper() != "DELETE" or where != "method")
    else:
        headers = [
            (name, changed(value, place, character) if name == where else value) for name, value in request.headers
        ]
        request = replace(request, headers=headers)

    assume(request.query.upper() != url.partition("?")[2].upper() or where != "query")  # %5e is %5E
    with pytest.raises(SignatureRefused):
        accept(request, b"{}")


@given(st.binary(min_size=1, max_size=100), st.integers(0, 200), st.integers(1, 255))
def test_one_changed_byte_of_the_body_does_not_verify(body: bytes, place: int, flipped: int) -> None:
    """With or without its hash in a header."""
    place %= len(body)
    other = body[:place] + bytes([body[place] ^ flipped]) + body[place + 1 :]
    for headers in ({}, {"X-Amz-Content-SHA256": sha256(body).hexdigest()}):
        request = sent(signed("POST", STUDIES, body, headers))

        assert accept(request, body) == KEY
        with pytest.raises(WrongSignature):
            accept(request, other)


@given(st.integers(0, 2000), st.sampled_from(ALPHABET))
def test_one_changed_character_of_a_presigned_url_does_not_verify(place: int, character: str) -> None:
    """Its own parameters are signed like all others."""
    request = sent(signed("GET", f"{STUDIES}?PatientID=P7", expires=60))
    query = changed(request.query, place, character)
    assume(query.lower() != request.query.lower())

    with pytest.raises(SignatureRefused):
        accept(replace(request, query=query))


@given(st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64))
def test_no_other_signature_verifies(signature: str) -> None:
    """Sixty-four other hex digits are no signature."""
    request = sent(signed("GET", STUDIES))
    right = dict(request.headers)["authorization"][-64:]
    assume(signature != right)
    headers = [(name, value.replace(right, signature)) for name, value in request.headers]

    with pytest.raises(WrongSignature):
        accept(replace(request, headers=headers))


def test_signature_in_capitals_does_not_verify() -> None:
    """A signature is lower-case hex."""
    request = sent(signed("GET", STUDIES))
    right = dict(request.headers)["authorization"][-64:]
    headers = [(name, value.replace(right, right.upper())) for name, value in request.headers]

    with pytest.raises(WrongSignature):
        accept(replace(request, headers=headers))


@pytest.mark.parametrize("path", ["//", "/./", "/x/../"])
def test_path_that_only_means_the_same_does_not_verify(path: str) -> None:
    """What the signer's normalisation takes out of a path is not put in again by somebody else."""
    request = sent(signed("GET", f"{HOST}/datastore"))

    with pytest.raises(WrongSignature):
        accept(replace(request, path=f"{path}datastore"))


def test_duplicate_query_parameters_are_signed_with_their_values() -> None:
    """tagKeys comes once for each key; their order does not matter, their number does."""
    request = sent(signed("DELETE", f"{HOST}/tags/{ARN}?tagKeys=b&tagKeys=a"))

    assert accept(replace(request, query="tagKeys=a&tagKeys=b")) == KEY
    for other in ("tagKeys=a", "tagKeys=a&tagKeys=b&tagKeys=b"):
        with pytest.raises(WrongSignature):
            accept(replace(request, query=other))


def test_query_that_travels_less_encoded_than_it_is_signed_verifies() -> None:
    """Other clients sign `*` as %2A, as the specification says, and send it as it is."""
    request = sent(signed("GET", f"{STUDIES}?PatientName=DOE%2A"))

    assert accept(replace(request, query="PatientName=DOE*")) == KEY


def test_plus_and_space_are_not_the_same() -> None:
    """A space is signed as %20, and + is a plus."""
    request = sent(signed("GET", f"{STUDIES}?StudyDescription=A%20B"))

    with pytest.raises(WrongSignature):
        accept(replace(request, query="StudyDescription=A+B"))


# -- time, scope, keys


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(seconds: int) -> None:
    """A request signed five minutes ago, or in five minutes by our clock, is in time."""
    assert accept(sent(signed("GET", STUDIES, at=NOW + timedelta(seconds=seconds)))) == KEY


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_clocks_may_not_differ_by_more(seconds: int) -> None:
    """A second more is too much, and the answer says both times, from which SDKs correct their clocks."""
    request = sent(signed("GET", STUDIES, at=NOW + timedelta(seconds=seconds)))

    with pytest.raises(WrongSignature, match="20261123T120000Z"):
        accept(request)


def test_presigned_url_is_not_valid_before_its_time() -> None:
    """A URL dated in the future by more than clocks differ is refused."""
    request = sent(signed("GET", STUDIES, at=NOW + timedelta(minutes=6), expires=3600))

    with pytest.raises(WrongSignature):
        accept(request)


def test_date_header_stands_in_for_x_amz_date() -> None:
    """A client that sends Date signs that."""
    request = sent(signed("GET", STUDIES, headers={"Date": "whatever, botocore sets it"}))

    assert "x-amz-date" not in dict(request.headers)
    assert accept(request) == KEY


@pytest.mark.parametrize(("region", "service"), [("eu-west-1", SERVICE), (REGION, "s3")])
def test_signature_for_another_region_or_service_is_refused(region: str, service: str) -> None:
    """A signature made for S3, or for another region, is none here."""
    with pytest.raises(WrongSignature, match="us-east-1"):
        accept(sent(signed("GET", STUDIES, region=region, service=service)))


def test_scope_of_another_day_is_refused() -> None:
    """The date in the Credential is that of X-Amz-Date."""
    request = sent(signed("GET", STUDIES))
    headers = [(name, value.replace("/20261123/", "/20261122/")) for name, value in request.headers]

    with pytest.raises(WrongSignature, match="Date in Credential scope"):
        accept(replace(request, headers=headers))


def test_unknown_access_key_is_refused() -> None:
    """A key that is not in the file, or that was taken out of it."""
    with pytest.raises(UnknownAccessKey):
        accept(sent(signed("GET", STUDIES, key=AccessKey("AKIDOTHER", "secret", "bob"))))


def test_secret_of_another_key_is_refused() -> None:
    """The id alone is no key."""
    with pytest.raises(WrongSignature):
        accept(sent(signed("GET", STUDIES, key=replace(KEY, secret="guess"))))


@pytest.mark.parametrize("expires", [None, 60])
def test_session_token_is_refused(expires: int | None) -> None:
    """Keys here are for good: a token is somebody else's."""
    with pytest.raises(UnknownAccessKey):
        accept(sent(signed("GET", STUDIES, token="token", expires=expires)))


def test_secret_is_not_shown() -> None:
    """A key in a traceback or a log does not tell its secret."""
    assert KEY.secret not in repr(KEY)


# -- what is no signature


def test_request_without_a_signature_is_told_so() -> None:
    """Nothing at all is another error than something wrong."""
    with pytest.raises(MissingSignature, match="Missing Authentication Token"):
        accept(SentRequest("GET", "/datastore", "", [("host", "gateway.test")]))


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=A/20261123/us-east-1/medical-imaging/aws4_request, Signature=0",
        "AWS4-HMAC-SHA256 Credential=A/20261123/us-east-1/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=A/20261123/us-east-1/medical-imaging/aws4, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=A/20261123/us-east-1/s3/aws4_request, SignedHeaders=Host, Signature=0",
        "AWS4-HMAC-SHA512 Credential=A/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    ],
)
def test_authorization_that_is_no_signature_is_incomplete(authorization: str) -> None:
    """Another scheme, another algorithm, or a part left out."""
    headers = [("host", "gateway.test"), ("x-amz-date", "20261123T120000Z"), ("authorization", authorization)]

    with pytest.raises(IncompleteSignature):
        accept(SentRequest("GET", "/datastore", "", headers))


@pytest.mark.parametrize("date", ["", "20261123T120000", "2026-11-23T12:00:00Z", "20261341T000000Z"])
def test_signature_without_a_time_is_incomplete(date: str) -> None:
    """X-Amz-Date is there and is a time."""
    request = sent(signed("GET", STUDIES))
    headers = [(name, date if name == "x-amz-date" else value) for name, value in request.headers]

    with pytest.raises(IncompleteSignature):
        accept(replace(request, headers=headers))


@pytest.mark.parametrize("header", ["x-amz-target", "x-amz-content-sha256"])
def test_amz_header_that_is_not_signed_is_refused(header: str) -> None:
    """A header that could change what a request means has to be signed where it is there."""
    request = sent(signed("GET", STUDIES))

    with pytest.raises(IncompleteSignature, match=header):
        accept(replace(request, headers=[*request.headers, (header, "0" * 64)]))


def test_unsigned_host_is_refused() -> None:
    """A signature that any host would take is none."""
    request = sent(signed("GET", STUDIES))
    headers = [(name, value.replace("host;", "")) for name, value in request.headers]

    with pytest.raises(IncompleteSignature, match="host"):
        accept(replace(request, headers=headers))


@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0" * 63])
def test_unsigned_payload_is_refused(payload: str) -> None:
    """A body is signed or not taken."""
    request = sent(signed("POST", STUDIES, b"body", {"X-Amz-Content-SHA256": payload}))

    with pytest.raises(WrongSignature):
        accept(request, b"body")


def test_two_signatures_are_refused() -> None:
    """Which of them should count is nobody's to guess."""
    presigned = sent(signed("GET", STUDIES, expires=60))
    authorization = dict(sent(signed("GET", STUDIES)).headers)["authorization"]

    with pytest.raises(IncompleteSignature):
        accept(replace(presigned, headers=[*presigned.headers, ("authorization", authorization)]))


@pytest.mark.parametrize("expires", [604_801, 10_000_000])
def test_presigned_url_lives_a_week_at_most(expires: int) -> None:
    """X-Amz-Expires goes up to 604,800 seconds."""
    with pytest.raises(IncompleteSignature):
        accept(sent(signed("GET", STUDIES, expires=expires)))


def test_parameters_of_a_presigned_url_are_not_a_query() -> None:
    """What is left is what the client asks for."""
    request = sent(signed("GET", f"{STUDIES}?PatientID=P7&limit=3", expires=60))

    assert without_signature(request.query) == "PatientID=P7&limit=3"


# -- bodies signed chunk by chunk

# docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, "Example: PUT Object".
EXAMPLE_KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "example")
EXAMPLE_REQUEST = SentRequest(
    "PUT",
    "/examplebucket/chunkObject.txt",
    "",
    [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", STREAMING_PAYLOAD),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
            "x-amz-decoded-content-length;x-amz-storage-class,"
            "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
    ],
)
EXAMPLE_BODY = b"".join(
    [
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
        b"a" * 65536 + b"\r\n",
        b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
        b"a" * 1024 + b"\r\n",
        b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    ]
)


def test_aws_example_of_a_chunked_body_verifies() -> None:
    """The published request and its three chunks; the time is the example's."""
    claim = read_claim(EXAMPLE_REQUEST)
    check_claim(claim, region="us-east-1", service="s3", now=datetime(2013, 5, 24, tzinfo=UTC))
    verify(EXAMPLE_REQUEST, claim, EXAMPLE_KEY, STREAMING_PAYLOAD)
    payload = ChunkedPayload(claim, EXAMPLE_KEY)

    assert payload.feed(EXAMPLE_BODY) == b"a" * 66560
    assert payload.finished


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=4), st.integers(1, 40))
def test_chunks_arrive_in_any_pieces(chunks: list[bytes], size: int) -> None:
    """However the network cuts the body, what comes out is what was sent."""
    claim = read_claim(EXAMPLE_REQUEST)
    payload = ChunkedPayload(claim, EXAMPLE_KEY)
    body = chunked(chunks)

    pieces = [payload.feed(body[at : at + size]) for at in range(0, len(body), size)]

    assert b"".join(pieces) == b"".join(chunks)
    assert payload.finished


@given(st.integers(0, 66_823), st.integers(1, 255))
def test_one_changed_byte_of_a_chunked_body_does_not_verify(place: int, flipped: int) -> None:
    """Data, length, signature, line ends: whatever it is, the body is refused or never whole."""
    place %= len(EXAMPLE_BODY)
    byte = EXAMPLE_BODY[place] ^ flipped
    assume(chr(EXAMPLE_BODY[place]).lower() != chr(byte).lower())  # of hex digits only the value counts
    body = EXAMPLE_BODY[:place] + bytes([byte]) + EXAMPLE_BODY[place + 1 :]
    payload = ChunkedPayload(read_claim(EXAMPLE_REQUEST), EXAMPLE_KEY)

    try:
        payload.feed(body)
    except WrongSignature:
        return
    assert not payload.finished


@pytest.mark.parametrize("body", [EXAMPLE_BODY + b"x", b"10000000;chunk-signature=" + b"0" * 64 + b"\r\n", b"a" * 200])
def test_body_that_is_not_chunked_as_signed_is_refused(body: bytes) -> None:
    """Bytes after the last chunk, a chunk nobody would hold, and no chunk at all."""
    payload = ChunkedPayload(read_claim(EXAMPLE_REQUEST), EXAMPLE_KEY)

    with pytest.raises(WrongSignature):
        payload.feed(body)


def test_body_cut_short_is_never_whole() -> None:
    """Without the last chunk there is no end."""
    payload = ChunkedPayload(read_claim(EXAMPLE_REQUEST), EXAMPLE_KEY)

    assert payload.feed(EXAMPLE_BODY[: EXAMPLE_BODY.rindex(b"0;chunk")]) == b"a" * 66560
    assert not payload.finished


def chunked(chunks: list[bytes]) -> bytes:
    """Return chunks as a client sends them after the example's request, signed by the specification's own words."""
    key: bytes = b"AWS4" + EXAMPLE_KEY.secret.encode()
    for part in (b"20130524", b"us-east-1", b"s3", b"aws4_request"):
        key = hmac.new(key, part, sha256).digest()
    previous = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    body = b""
    for chunk in [*chunks, b""]:
        text = (
            "AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
            f"{previous}\n{sha256(b'').hexdigest()}\n{sha256(chunk).hexdigest()}"
        )
        previous = hmac.new(key, text.encode(), sha256).hexdigest()
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    return body
