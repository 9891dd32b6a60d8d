"""Bodies signed chunk by chunk: STREAMING-AWS4-HMAC-SHA256-PAYLOAD, what AWS's own examples of StoreDICOM send.

docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

from __future__ import annotations

import re
from hashlib import sha256

from gateway.access.sigv4 import (
    ALGORITHM,
    EMPTY_PAYLOAD,
    AccessKey,
    Claim,
    WrongSignature,
    same_signature,
    signature_of,
)

# The longest chunk held to be verified. The SDKs send 64 KiB to 1 MiB.
MAX_CHUNK = 16 * 1024 * 1024

_CHUNK_HEADER = re.compile(rb"([0-9a-fA-F]{1,8});chunk-signature=([0-9a-f]{64})")
_LONGEST_HEADER = 8 + len(";chunk-signature=") + 64 + 2


class ChunkedPayload:
    """Reads an aws-chunked body. What `feed` returns is verified; the body is whole when `finished`."""

    def __init__(self, claim: Claim, key: AccessKey) -> None:
        self._claim = claim
        self._key = key
        self._previous = claim.signature
        self._buffer = bytearray()
        self._expected: tuple[int, str] | None = None  # of the chunk that is being read: length and signature
        self.finished = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes that are now known to be the client's. Raises WrongSignature."""
        self._buffer += data
        verified = bytearray()
        while not self.finished:
            if self._expected is None and not self._read_header():
                return bytes(verified)
            assert self._expected is not None
            length, signature = self._expected
            if len(self._buffer) < length + 2:
                return bytes(verified)
            chunk, end = bytes(self._buffer[:length]), self._buffer[length : length + 2]
            self._verify(chunk, signature, bytes(end))
            del self._buffer[: length + 2]
            verified += chunk
            self._expected = None
            self.finished = length == 0
        if self._buffer:
            raise WrongSignature("There are bytes after the last chunk")
        return bytes(verified)

    def _read_header(self) -> bool:
        """Read the line before a chunk; return whether it is there."""
        line, separator, _ = self._buffer[:_LONGEST_HEADER].partition(b"\r\n")
        if not separator:
            if len(self._buffer) >= _LONGEST_HEADER:
                raise WrongSignature("A chunk of the body has no signature")
            return False
        match = _CHUNK_HEADER.fullmatch(bytes(line))
        if match is None or int(match[1], 16) > MAX_CHUNK:
            raise WrongSignature("A chunk of the body has no signature, or is too long")
        del self._buffer[: len(line) + 2]
        self._expected = int(match[1], 16), match[2].decode()
        return True

    def _verify(self, chunk: bytes, signature: str, end: bytes) -> None:
        text = "\n".join(
            [
                f"{ALGORITHM}-PAYLOAD",
                self._claim.timestamp,
                self._claim.scope,
                self._previous,
                EMPTY_PAYLOAD,
                sha256(chunk).hexdigest(),
            ]
        )
        if end != b"\r\n" or not same_signature(signature_of(self._claim, self._key, text), signature):
            raise WrongSignature("The signature of a chunk of the body does not match")
        self._previous = signature
