"""From the bytes of a value to the values of an element, by VR (PS3.5 section 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from struct import Struct, unpack
from struct import error as StructError
from typing import TypeAlias

from gateway.dicom.characters import PERSON_NAME_DELIMITERS, VALUE_DELIMITERS, CharacterSet, character_set
from gateway.dicom.dataset import Element, Scalar
from gateway.dicom.dictionary import CHARACTER_SET_VRS, SINGLE_VALUED_VRS, STRING_VRS
from gateway.dicom.encoding import NUMBER_FORMATS

Decode: TypeAlias = Callable[[bytes], tuple[Scalar, ...]]

DEFAULT_CHARACTERS = character_set(())

# In a series the same few values come again and again: nine of ten are found here, at a fifth of the cost. Long ones
# hardly repeat, and would let a file fill the memory.
CACHED_LENGTH = 64
_CACHED_VALUES = 512


def decoded(vr: str, decode: Decode, value: bytes) -> Element:
    """Return the element of a value; UN where its length is wrong for its VR."""
    try:
        return Element(vr, decode(value))
    except StructError:
        return Element("UN", binary=value)


@lru_cache(maxsize=16)
def element_decoders(characters: CharacterSet, big_endian: bool) -> dict[str, Callable[[bytes], Element]]:
    """Return VR -> a function from a short value's bytes to the element, which remembers."""
    return {
        vr: lru_cache(_CACHED_VALUES)(partial(decoded, vr, decode))
        for vr, decode in value_decoders(characters, big_endian).items()
    }


@lru_cache(maxsize=512)
def value_decoders(characters: CharacterSet, big_endian: bool) -> dict[str, Decode]:
    """Return VR -> a function from a value's bytes to the values of the element, for all VRs but SQ and binary ones.

    The functions raise struct.error for a length that no number of values has.
    """
    order = ">" if big_endian else "<"
    decoders: dict[str, Decode] = {vr: _plain for vr in STRING_VRS - CHARACTER_SET_VRS}
    decoders |= {vr: partial(_text, characters, VALUE_DELIMITERS) for vr in CHARACTER_SET_VRS}
    decoders |= {vr: partial(_single, characters, "") for vr in CHARACTER_SET_VRS & SINGLE_VALUED_VRS}
    decoders |= {vr: partial(_numbers, Struct(order + code), f"{order}%d{code}") for vr, code in NUMBER_FORMATS.items()}
    return decoders | {
        "PN": partial(_names, characters),
        "UR": partial(_single, DEFAULT_CHARACTERS, ""),
        "DS": _number_text,
        "IS": _number_text,
        "AT": partial(_tags, order),
    }


def strings(text: str) -> tuple[str, ...]:
    """Return the values of a text without their padding: spaces, and the NUL that PS3.5 allows UI alone."""
    if "\\" in text:
        return tuple([part.rstrip(" \0") for part in text.split("\\")])
    text = text.rstrip(" \0")
    return (text,) if text else ()


def _plain(value: bytes) -> tuple[str, ...]:
    """VRs of the default repertoire. What is not ASCII is read as Latin-1: nothing is lost."""
    return strings(value.decode("latin-1"))


def _text(characters: CharacterSet, delimiters: str, value: bytes) -> tuple[str, ...]:
    return strings(characters.decode(value, delimiters))


def _names(characters: CharacterSet, value: bytes) -> tuple[str, ...]:
    """PN without empty component groups at its end, which say nothing (PS3.5 section 6.2.1.1)."""
    return tuple([name.rstrip("= ") for name in _text(characters, PERSON_NAME_DELIMITERS, value)])


def _single(characters: CharacterSet, delimiters: str, value: bytes) -> tuple[str, ...]:
    text = characters.decode(value, delimiters).rstrip(" \0")
    return (text,) if text else ()


def _number_text(value: bytes) -> tuple[str, ...]:
    """DS and IS keep their text, padding included; a value of nothing but padding is empty."""
    parts = value.decode("latin-1").rstrip("\0").split("\\")
    values = tuple([part if part.strip() else "" for part in parts])
    return values if values != ("",) else ()


def _numbers(one: Struct, several: str, value: bytes) -> tuple[int | float, ...]:
    if len(value) == one.size:
        return one.unpack(value)
    return unpack(several % (len(value) // one.size), value)


def _tags(order: str, value: bytes) -> tuple[str, ...]:
    numbers = unpack(f"{order}{len(value) // 4 * 2}H", value)
    return tuple(f"{group:04X}{number:04X}" for group, number in zip(numbers[::2], numbers[1::2], strict=True))
