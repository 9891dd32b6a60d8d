"""A file that fits a pattern is one that walking would find the same in."""

from __future__ import annotations

import pytest

from gateway.dicom.part10_pattern import Pattern
from gateway.dicom.part10_top import walk_top
from tests.samples import ODD, SAMPLES, instance

CHARACTER_SET, PATIENT_NAME, BEFORE_PIXELS = 0x00080005, 0x00100010, 0x7FE00007


@pytest.mark.parametrize("last", [CHARACTER_SET, PATIENT_NAME, BEFORE_PIXELS], ids="{:08X}".format)
def test_a_file_fits_its_own_pattern(last: int) -> None:
    """Every real one that can be walked, unless it ends where the walk does, or is described in too many bytes."""
    walked = fitting = 0
    for path in SAMPLES:
        file = memoryview(path.read_bytes())
        if top := walk_top(file, last):
            walked += 1
            pattern = Pattern(file, top)
            fitting += pattern.possible
            assert pattern.fits(file) or not pattern.possible, path

    assert walked > 0.7 * len(SAMPLES)
    assert fitting > 0.8 * walked


@pytest.mark.parametrize(
    "data",
    [instance(), ODD["implicit"].read_bytes(), *(path.read_bytes() for path in SAMPLES if path.stem == "JPEG2000")],
    ids=["explicit", "implicit", "with sequences of undefined length"],
)
def test_whatever_byte_changes_a_file_that_fits_is_walked_the_same(data: bytes) -> None:
    """Each byte in turn, to each of three others: either it does not fit, or nothing that was found is different."""
    top = walk_top(memoryview(data), PATIENT_NAME)
    assert top is not None
    pattern = Pattern(memoryview(data), top, {CHARACTER_SET})
    fitted = 0

    for position in range(128, top.end + 12):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= flip
            if pattern.fits(memoryview(changed)):
                fitted += 1
                assert walk_top(memoryview(changed), PATIENT_NAME) == top
                assert top.elements.value(memoryview(changed), CHARACTER_SET) == top.elements.value(
                    memoryview(data), CHARACTER_SET
                )

    assert fitted > 100


def test_files_of_a_series_fit_and_others_do_not() -> None:
    """Another value of the same length fits; a longer one, another element or a shorter file does not."""
    first = memoryview(instance(instance_number=1))
    top = walk_top(first, PATIENT_NAME)
    assert top is not None
    pattern = Pattern(first, top, {CHARACTER_SET})

    assert pattern.fits(memoryview(instance(instance_number=2, PatientID="A longer one")))
    assert not pattern.fits(memoryview(instance(instance_number=2, PatientName="Another^Length")))
    assert not pattern.fits(memoryview(instance(instance_number=123)))
    assert not pattern.fits(memoryview(instance(AccessionNumber=None)))
    assert not pattern.fits(memoryview(instance(SpecificCharacterSet="ISO_IR 192")))
    assert not pattern.fits(first[: top.end + 11])
