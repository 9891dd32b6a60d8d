"""DICOM JSON files that an import job maps to studies and series, merged into the instances that come with them.

AWS documents the mapping and not what is in the files. Here a file is the DICOM JSON Model (PS3.18 Annex F): one
dataset or an array of them, as WADO-RS metadata or a QIDO-RS answer is. A dataset is for the instances of its mapping
that have the UIDs it names; one that names no instance is for all of them. What it has is set, what it leaves out
stays, an element without a value is stored empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.dicom.dataset import BulkData, Dataset, Element, Tag, in_tag_order
from gateway.dicom.json_model import parse_datasets
from gateway.errors import GatewayError, InvalidDicomJson, InvalidRequest
from gateway.metadata.diff import same_element
from gateway.metadata.pixel_description import PIXEL_DESCRIPTION_TAGS
from gateway.store.objects.protocol import Place

# All the files of a job together: they are held while it runs.
MAX_BYTES = 64 * 1024 * 1024
# How many files are held as datasets: inputs come a study after the other.
_PARSED_FILES = 4

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_UIDS = (_STUDY, _SERIES, _INSTANCE)
_CHARACTER_SET = "00080005"
_UTF_8 = Element("CS", ("ISO_IR 192",))

# What a retrieve or a search says beside an instance's own attributes; pixel data are the file's.
_NOT_MERGED = frozenset(
    {
        *_UIDS,
        "00080054",  # RetrieveAETitle
        "00080056",  # InstanceAvailability
        "00080061",  # ModalitiesInStudy
        "00080062",  # SOPClassesInStudy
        "00081190",  # RetrieveURL
        "00083002",  # AvailableTransferSyntaxUID
        "00201200",  # NumberOfPatientRelatedStudies
        "00201202",  # NumberOfPatientRelatedSeries
        "00201204",  # NumberOfPatientRelatedInstances
        "00201206",  # NumberOfStudyRelatedSeries
        "00201208",  # NumberOfStudyRelatedInstances
        "00201209",  # NumberOfSeriesRelatedInstances
        "7FE00008",  # FloatPixelData
        "7FE00009",  # DoubleFloatPixelData
        "7FE00010",  # PixelData
    }
)


class InvalidMapping(InvalidRequest):
    """A file of a job's mapping cannot be used; the job fails, and nothing is imported without its metadata."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"dicomMetadataMappings.{number}.metadataFilePath: {reason}")


@dataclass(frozen=True, slots=True)
class MappedFile:
    """One mapping with the text of its file. series: "" where it is about a whole study."""

    study: str
    series: str
    text: bytes


class ImportMetadata:
    """The metadata of a job, ready to be merged."""

    def __init__(self, files: Sequence[MappedFile]) -> None:
        # A study's come first, so that what is said of a series is the last word on it.
        self._files = sorted(files, key=lambda file: bool(file.series))
        self._parsed: Callable[[int], Mapping[str, list[Dataset]]] = lru_cache(_PARSED_FILES)(self._parse)

    def merge(self, dataset: Dataset) -> Dataset | None:
        """Return an instance's dataset with its metadata merged; None where that changes nothing.

        Raises InvalidRequest for metadata that the file's pixels contradict, or that is not in the JSON itself.
        """
        merged = dict(dataset)
        for one in self._about(dataset):
            merged.update({tag: element for tag, element in one.items() if _is_merged(tag, element, dataset)})
        changed = [tag for tag in merged if tag not in dataset or not same_element(merged[tag], dataset[tag])]
        for tag in changed:
            if tag in PIXEL_DESCRIPTION_TAGS:
                raise InvalidRequest(f"the metadata has another {tag} than the file, which describes its pixels")
        return in_tag_order(merged) if changed else None

    def _about(self, dataset: Dataset) -> list[Dataset]:
        """Return the datasets that are about an instance, those of the instance alone after those of many."""
        study, series, instance = (uid_of(dataset, tag) for tag in _UIDS)
        found: list[list[Dataset]] = [[], []]
        for number, file in enumerate(self._files):
            if file.study == study and file.series in ("", series):
                datasets = self._parsed(number)
                found[0] += datasets.get("", [])
                found[1] += datasets.get(instance, []) if instance else []
        return [one for part in found for one in part if _names(one, dataset)]

    def _parse(self, number: int) -> Mapping[str, list[Dataset]]:
        by_instance: dict[str, list[Dataset]] = {}
        for dataset in parse_datasets(self._files[number].text):
            by_instance.setdefault(uid_of(dataset, _INSTANCE), []).append(dataset)
        return by_instance


async def read_metadata(place: Place, mappings: Sequence[Mapping[str, Any]]) -> ImportMetadata:
    """Return the metadata that a job's mappings name, every file read and parsed. Raises InvalidMapping."""
    texts: dict[str, bytes] = {}
    files = []
    for number, mapping in enumerate(mappings):
        key = place.key(mapping["metadataFilePath"])
        try:
            if key not in texts:
                texts[key] = await _text(place, key, MAX_BYTES - sum(map(len, texts.values())))
                await asyncio.to_thread(parse_datasets, texts[key])
        except InvalidDicomJson as error:
            raise InvalidMapping(number, f"no DICOM JSON: {error}") from error
        except GatewayError as error:
            raise InvalidMapping(number, str(error)) from error
        files.append(MappedFile(mapping["studyInstanceUID"], mapping.get("seriesInstanceUID", ""), texts[key]))
    return ImportMetadata(files)


async def _text(place: Place, key: str, most: int) -> bytes:
    text = bytearray()
    async for piece in place.objects.read(key):
        text += piece
        if len(text) > most:
            raise InvalidRequest(f"the metadata files are larger than {MAX_BYTES} bytes together")
    return bytes(text)


def uid_of(dataset: Dataset, tag: Tag) -> str:
    """Return a UID of a dataset as text; "" where it has none."""
    element = dataset.get(tag)
    return str(element.values[0]) if element and element.values else ""


def _names(one: Dataset, dataset: Dataset) -> bool:
    """Whether every UID that metadata names is the instance's."""
    return all(uid_of(one, tag) in ("", uid_of(dataset, tag)) for tag in _UIDS)


def _is_merged(tag: Tag, element: Element, dataset: Dataset) -> bool:
    """Whether an element of the metadata says something of the instance. Raises InvalidRequest for bytes elsewhere."""
    if tag in _NOT_MERGED:
        return False
    if tag == _CHARACTER_SET and element == _UTF_8:
        return False  # how the JSON is encoded
    if not _is_elsewhere(element):
        return True
    if tag not in dataset:
        raise InvalidRequest(f"the metadata has a BulkDataURI for {tag}, and addresses are not followed")
    return False  # the file has the bytes


def _is_elsewhere(element: Element) -> bool:
    return isinstance(element.binary, BulkData) or any(
        _is_elsewhere(inner) for item in element.items for inner in item.values()
    )
