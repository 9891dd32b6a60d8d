"""What is odd about a file that is imported all the same: HealthImaging's warning codes for what can be seen in it."""

from __future__ import annotations

from gateway.dicom.dataset import Dataset, Element
from gateway.dicom.dictionary import entry_named
from gateway.dicom.part10 import Part10
from gateway.errors import InvalidPart10, TooLarge
from gateway.pixels.frames import Frames

FRAMES_EXTRACTION_FAILURE = 45328
FRAME_NUMBER_MISMATCH = 45329
INVALID_OFFSET_TABLE = 45330
UNSUPPORTED_TRANSFER_SYNTAX = 45344
INVALID_VALUE_LENGTH = 45571

# devguide, "DICOM element constraints": the most characters of a value.
MOST_CHARACTERS = {
    "PatientName": 256,
    "PatientID": 256,
    "PatientBirthDate": 18,
    "PatientSex": 16,
    "StudyInstanceUID": 256,
    "StudyID": 256,
    "StudyDescription": 256,
    "AccessionNumber": 256,
    "StudyDate": 18,
    "StudyTime": 28,
    "SOPInstanceUID": 256,
    "SeriesInstanceUID": 256,
}


def check(file: memoryview, part10: Part10) -> tuple[int, ...]:
    """Return the warning codes of a file, ascending."""
    codes = {INVALID_VALUE_LENGTH} if _has_long_value(part10.dataset) else set()
    return tuple(sorted(codes | _pixel_warnings(file, part10)))


def _has_long_value(dataset: Dataset) -> bool:
    return any(_length(dataset.get(_TAGS[keyword])) > most for keyword, most in MOST_CHARACTERS.items())


def _length(element: Element | None) -> int:
    return max((len(str(value)) for value in element.values), default=0) if element else 0


def _pixel_warnings(file: memoryview, part10: Part10) -> set[int]:
    """Return what would keep somebody from finding a frame in the pixel data."""
    if not part10.pixel_data:
        return set()
    try:
        frames = Frames(file, part10)
        codes = {UNSUPPORTED_TRANSFER_SYNTAX} if frames.transfer_syntax.family == "unknown" else set()
        if frames.offset_table_problem():
            codes.add(INVALID_OFFSET_TABLE)
    except (InvalidPart10, TooLarge):
        return {FRAMES_EXTRACTION_FAILURE}
    try:
        frames.frame(frames.count)
    except InvalidPart10:
        # A wrong table was told of already, and is what keeps the frames from being found.
        codes |= codes & {INVALID_OFFSET_TABLE} or {FRAME_NUMBER_MISMATCH}
    return codes


def _tag(keyword: str) -> str:
    entry = entry_named(keyword)
    assert entry is not None
    return entry.tag


_TAGS = {keyword: _tag(keyword) for keyword in MOST_CHARACTERS}
