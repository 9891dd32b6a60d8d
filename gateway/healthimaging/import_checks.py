"""What is odd about a file that is imported all the same: HealthImaging's warning codes for what can be seen in it."""

from __future__ import annotations

from gateway.dicom.dataset import Dataset, Element, Tag
from gateway.dicom.dictionary import entry_named
from gateway.dicom.part10 import Part10
from gateway.errors import InvalidPart10, NotAcceptable, TooLarge
from gateway.pixels.decode import decode_frame
from gateway.pixels.frames import Frames
from gateway.pixels.image_frames import KEPT_AS_THEY_ARE

SOP_CLASS_DATA_MISMATCH = 45063
TRANSCODING_EXCEPTION = 45312
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
    if not _fits_its_sop_class(part10):
        codes.add(SOP_CLASS_DATA_MISMATCH)
    return tuple(sorted(codes | _pixel_warnings(file, part10)))


def _fits_its_sop_class(part10: Part10) -> bool:
    """Whether an instance is what every SOP Class with series asks for.

    It is of the class that its file says (PS3.10 Table 7.1-1), it has a Modality, which is type 1 (PS3.3 C.7.3.1), and
    what has Rows has pixels, or says where they are (PS3.3 C.7.6.3).
    """
    dataset = part10.dataset
    of_file = _text(dataset, _MEDIA_STORAGE_SOP_CLASS_UID)
    described = _ROWS in dataset and _PIXEL_DATA_PROVIDER_URL not in dataset
    return (
        of_file in ("", _text(dataset, _SOP_CLASS_UID))
        and bool(_text(dataset, _MODALITY))
        and (bool(part10.pixel_data) or not described)
    )


def _text(dataset: Dataset, tag: Tag) -> str:
    element = dataset.get(tag)
    return str(element.values[0]).strip(" \0") if element and element.values else ""


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
    return codes or ({TRANSCODING_EXCEPTION} if _cannot_be_transcoded(frames) else set())


def _cannot_be_transcoded(frames: Frames) -> bool:
    """Whether the first frame cannot be decoded, though HealthImaging would: others mostly are as the first one is."""
    if not frames.transfer_syntax.decodes:
        return frames.transfer_syntax.uid not in KEPT_AS_THEY_ARE
    try:
        decode_frame(frames, 1)
    except (InvalidPart10, NotAcceptable, TooLarge):
        return True
    return False


def _tag(keyword: str) -> str:
    entry = entry_named(keyword)
    assert entry is not None
    return entry.tag


_TAGS = {keyword: _tag(keyword) for keyword in MOST_CHARACTERS}
_MEDIA_STORAGE_SOP_CLASS_UID: Tag = "00020002"
_SOP_CLASS_UID: Tag = "00080016"
_MODALITY: Tag = "00080060"
_ROWS: Tag = "00280010"
_PIXEL_DATA_PROVIDER_URL: Tag = "00287FE0"
