"""The table of transfer syntaxes against the standard's, and against what the code does."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import UID_dictionary

from gateway.errors import NotAcceptable
from gateway.pixels.transcode import transcode_frame
from gateway.pixels.transfer_syntaxes import TRANSFER_SYNTAXES, can_encode, syntaxes_of, transfer_syntax
from tests.pixels.images import frames_in

# PS3.18 2024d Table 8.7.3-4 and 8.7.3-5, Single Frame Image: media type, transfer syntax, D for the default.
SINGLE_FRAME = """
application/octet-stream 1.2.840.10008.1.2.1 D
image/jpeg 1.2.840.10008.1.2.4.70 D
image/jpeg 1.2.840.10008.1.2.4.50 O
image/jpeg 1.2.840.10008.1.2.4.51 O
image/jpeg 1.2.840.10008.1.2.4.57 O
image/dicom-rle 1.2.840.10008.1.2.5 D
image/jls 1.2.840.10008.1.2.4.80 D
image/jls 1.2.840.10008.1.2.4.81 O
image/jp2 1.2.840.10008.1.2.4.90 D
image/jp2 1.2.840.10008.1.2.4.91 O
image/jpx 1.2.840.10008.1.2.4.92 D
image/jpx 1.2.840.10008.1.2.4.93 O
image/jphc 1.2.840.10008.1.2.4.201 D
image/jphc 1.2.840.10008.1.2.4.202 O
image/jphc 1.2.840.10008.1.2.4.203 O
video/mp4 1.2.840.10008.1.2.4.102 D
"""


@pytest.mark.parametrize("line", SINGLE_FRAME.strip().splitlines())
def test_media_types_are_the_standards(line: str) -> None:
    """PS3.18 Table 8.7.3-5: the media type of each transfer syntax, and the transfer syntax of each media type."""
    media_type, uid, optionality = line.split()

    assert transfer_syntax(uid).media_type == media_type
    assert (syntaxes_of(media_type)[0].uid == uid) is (optionality == "D")


@pytest.mark.parametrize(
    ("alias", "uid"), [("image/jph", "1.2.840.10008.1.2.4.201"), ("image/j2c", "1.2.840.10008.1.2.4.90")]
)
def test_other_names_of_media_types_are_known(alias: str, uid: str) -> None:
    """What AWS calls HTJ2K and JPEG 2000."""
    assert syntaxes_of(alias)[0].uid == uid


def test_a_media_type_of_no_frame_has_no_transfer_syntax() -> None:
    """application/dicom is of whole instances."""
    assert syntaxes_of("application/dicom") == []


@pytest.mark.parametrize("uid", [uid for uid in TRANSFER_SYNTAXES if uid in UID_dictionary])
def test_uids_are_registered_transfer_syntaxes(uid: str) -> None:
    """PS3.6 Table A-1, as pydicom has it; what is lossless only says so there."""
    name, kind = UID_dictionary[uid][:2]

    assert kind == "Transfer Syntax"
    if "Lossless" in name and "Lossy" not in name:
        assert transfer_syntax(uid).lossless


def test_an_unknown_transfer_syntax_is_kept_as_it_is() -> None:
    """It is served as it came, and can be neither read nor written."""
    unknown = transfer_syntax("1.2.3")

    assert (unknown.media_type, unknown.decodes, unknown.encodes) == ("application/octet-stream", False, False)


@pytest.mark.parametrize("uid", TRANSFER_SYNTAXES)
def test_encodes_is_what_can_be_encoded(uid: str) -> None:
    """Each line that says `writes` is written, and each other is refused with the list of those that are."""
    frames = frames_in(np.arange(64, dtype="u1").reshape(8, 8), PhotometricInterpretation="MONOCHROME1")

    if TRANSFER_SYNTAXES[uid].encodes:
        assert transcode_frame(frames, 1, uid, quality=90).transfer_syntax.uid == uid
    else:
        with pytest.raises(NotAcceptable, match="is not written here; these are: Explicit VR Little Endian; "):
            can_encode(uid)
