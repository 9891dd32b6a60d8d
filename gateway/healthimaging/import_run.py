"""One import job, carried out: every file of the input into packs, then a study after the other into image sets.

Two passes, because an image set is to get one new version from a job and not one for each batch, and only when all is
read is it known which files are of one study. What has been done is in the log, so that a job goes on where it
stopped; what was placed and not yet noted is placed again, and the same bytes make no new version.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.dicom.dataset import BulkData
from gateway.dicom.part10 import Part10, Span, read_part10, rewrite
from gateway.errors import GatewayError, InvalidPart10, InvalidRequest, ObjectRefused, ObjectsFailed, TooLarge
from gateway.healthimaging.import_checks import check
from gateway.healthimaging.import_input import ImportFailed, Limits, Upcoming, list_input, read_ahead, too_large
from gateway.healthimaging.import_metadata import ImportMetadata, InvalidMapping, read_metadata
from gateway.healthimaging.import_report import documents, failed, folder_name, imported
from gateway.metadata.organise import identify
from gateway.metadata.original_attributes import SYSTEM, original_attributes_item, prior_values, with_item
from gateway.settings import Settings
from gateway.store.blobs.protocol import Pack
from gateway.store.blobs.receiving import IncomingFile, WrittenFile, receive_part10, received_instance
from gateway.store.contents import Provenance, ReceivedInstance, StoredInstance
from gateway.store.log.import_log import ImportFile, ImportJob, ImportLog
from gateway.store.objects.protocol import Place
from gateway.store.protocol import Store

# One pack for so much of the input: an fsync for each, and what a crash makes a job read again.
PACK_FILES = 500
PACK_BYTES = 256 * 1024 * 1024

# The service's words for two things that a file can lack (devguide, "Understanding import jobs").
_AS_THE_SERVICE_SAYS = {
    "no DICM prefix": "DICOM attributes does not exist",
    "no Transfer Syntax UID": "DICOM attribute TransferSyntaxUID does not exist",
}
_REQUIRED = {
    "00080016": "SOPClassUID",
    "00080018": "SOPInstanceUID",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
}


class Stopped(Exception):
    """The gateway is going down; the job goes on at the next start."""


@dataclass
class ImportRun:
    """A job and what it takes to carry it out. closing: whether to stop."""

    job: ImportJob
    store: Store
    log: ImportLog
    input: Place
    output: Place
    settings: Settings
    closing: Callable[[], bool]
    limits: Limits = field(default_factory=Limits)
    size: int = 0
    metadata: ImportMetadata | None = None

    async def carry_out(self) -> None:
        """Import, and write the output. Raises ImportFailed, Stopped, and what the Store does."""
        await self.receive()
        await self.place()
        await self.report()

    # -- the first pass

    async def receive(self) -> None:
        """Write every file of the input that is not there yet into packs."""
        try:
            entries = await list_input(self.input, self.limits)
        except ObjectsFailed as error:
            raise ImportFailed("INPUT_NOT_READABLE", str(error)) from error
        mapped = await self._read_mapping()
        done = {file.path for file in await self.log.files(self.job.job_id)}
        # Its own output, where that is below the input and the job was stopped while it wrote it.
        own = f"{folder_name(self.job)}/"
        waiting = [
            entry
            for entry in entries
            if entry.key not in mapped and own not in entry.key and printable(entry.key) not in done
        ]
        ahead = read_ahead(self.input.objects, waiting)
        try:
            while await self._receive_pack(ahead):
                continue
        except ObjectsFailed as error:
            raise ImportFailed("INPUT_NOT_READABLE", str(error)) from error
        finally:
            await ahead.aclose()

    async def _read_mapping(self) -> set[str]:
        """Read the job's metadata, and return the keys it is in: those are no instances."""
        configuration = self.job.request.get("importConfiguration", {}).get("dicomJsonMetadataImportConfiguration")
        if configuration is None:
            return set()
        mappings = configuration["dicomMetadataMappings"]
        try:
            self.metadata = await read_metadata(self.input, mappings)
        except InvalidMapping as error:
            raise ImportFailed("METADATA_NOT_READABLE", str(error)) from error
        return {self.input.key(mapping["metadataFilePath"]) for mapping in mappings}

    async def _receive_pack(self, ahead: AsyncIterator[Upcoming]) -> bool:
        """Write files into one pack and keep where they lie; return whether there may be more."""
        pack = await self.store.new_pack()
        files: list[ImportFile] = []
        more = False
        try:
            async for upcoming in ahead:
                files.append(await self._receive(pack, upcoming))
                if len(files) == PACK_FILES or pack.size >= PACK_BYTES:
                    more = True
                    break
            if any(file.address for file in files):
                await pack.commit()
            await self.log.add_files(self.job.job_id, files)
        finally:
            await pack.discard()
        return more

    async def _receive(self, pack: Pack, upcoming: Upcoming) -> ImportFile:
        """Write one file into a pack, or say why it is none to import."""
        path = printable(upcoming.entry.key)
        try:
            written = await self._write(pack, self._counted(upcoming))
            view = await pack.view(written.address.offset, written.address.length)
            lacking = [name for tag, name in _REQUIRED.items() if not written.part10.dataset.get(tag)]
            if lacking:
                return ImportFile(path, outcome=failed(f"DICOM attribute {lacking[0]} does not exist"))
            study = identify(written.part10.dataset).study_instance_uid
            warnings = await asyncio.to_thread(check, view, written.part10)
        except (InvalidRequest, ObjectRefused) as error:
            return ImportFile(path, outcome=failed(_sentence(error)))
        return ImportFile(path, written.address, written.sha256, study, warnings)

    async def _write(self, pack: Pack, pieces: AsyncIterator[bytes]) -> WrittenFile:
        if self.metadata is None:
            return await receive_part10(pack, pieces, self.settings.inline_binary_limit)
        scratch = await self.store.new_pack()
        try:
            came = await receive_part10(scratch, pieces, self.settings.inline_binary_limit)
            original = await scratch.view(came.address.offset, came.address.length)
            enhanced = await asyncio.to_thread(self._enhanced, original, came.part10, self.metadata)
            return await asyncio.to_thread(self._written, pack, enhanced)
        finally:
            await scratch.discard()

    def _written(self, pack: Pack, pieces: Iterable[bytes | memoryview]) -> WrittenFile:
        file = IncomingFile(pack)
        for piece in pieces:
            file.write(piece)
        return file.read(self.settings.inline_binary_limit)

    def _enhanced(self, original: memoryview, part10: Part10, metadata: ImportMetadata) -> list[bytes | memoryview]:
        """Return a file with its metadata merged, in pieces. Raises InvalidRequest, InvalidPart10."""
        merged = metadata.merge(part10.dataset)
        if merged is None:
            return [original]
        if self.settings.record_original_attributes:
            prior = prior_values(part10.dataset, merged)
            # The time of the job and not of now, so that a job taken up again makes the same bytes.
            when = self.job.submitted_at
            item = original_attributes_item(prior, when=when, system=SYSTEM, source="", reason="COERCE")
            merged = with_item(merged, item)

        def read_bulk(bulk: BulkData) -> bytes | memoryview:
            value = part10.bulk[bulk.uri]
            return original[value.offset : value.offset + value.length] if isinstance(value, Span) else value

        return rewrite(original, merged, read_bulk)

    async def _counted(self, upcoming: Upcoming) -> AsyncIterator[bytes]:
        async for piece in upcoming.pieces():
            if self.closing():
                raise Stopped
            self.size += len(piece)
            if self.size > self.limits.size:
                raise too_large(self.limits)
            yield piece

    # -- the second pass

    async def place(self) -> None:
        """Place the files that are in packs in image sets, a study after the other."""
        studies: dict[str, list[ImportFile]] = {}
        for file in await self.log.files(self.job.job_id):
            if file.outcome is None:
                studies.setdefault(file.study_instance_uid, []).append(file)
        for files in studies.values():
            if self.closing():
                raise Stopped
            stored = await self._store(files)
            outcomes = {file.path: _outcome(one, file.warnings) for file, one in zip(files, stored, strict=True)}
            await self.log.record(self.job.job_id, outcomes)

    async def _store(self, files: Sequence[ImportFile]) -> list[StoredInstance]:
        pack = await self.store.new_pack()
        try:
            received = [await self._received(file, pack) for file in files]
            if pack.size:
                await pack.commit()
        finally:
            await pack.discard()
        return await self.store.store_instances(
            self.job.datastore_id,
            received,
            Provenance(self.job.who),
            most_metadata=self.settings.max_image_set_metadata,
        )

    async def _received(self, file: ImportFile, pack: Pack) -> ReceivedInstance:
        assert file.address is not None
        view = await self.store.read(file.address)
        part10 = await asyncio.to_thread(read_part10, view, self.settings.inline_binary_limit)
        received = await received_instance(WrittenFile(part10, file.address, file.sha256), pack)
        return replace(received, warnings=file.warnings)

    # -- the end

    async def report(self) -> None:
        """Write the output."""
        files = await self.log.files(self.job.job_id)
        folder = folder_name(self.job)
        try:
            for path, content in documents(self.job, files):
                await self.output.objects.write(self.output.key(f"{folder}/{path}"), content)
        except (ObjectsFailed, ObjectRefused) as error:
            raise ImportFailed("OUTPUT_NOT_WRITABLE", str(error)) from error


def printable(key: str) -> str:
    """Return a key as the output has it: bytes of a file name that are no text are escaped."""
    return key.encode("utf-8", "backslashreplace").decode()


def _sentence(error: GatewayError) -> str:
    if isinstance(error, InvalidPart10):
        for reason, sentence in _AS_THE_SERVICE_SAYS.items():
            if error.reason.startswith(reason):
                return sentence
    return str(error)


def _outcome(stored: StoredInstance, warnings: Sequence[int]) -> Mapping[str, Any]:
    if stored.error is None:
        return imported(stored, warnings)
    if isinstance(stored.error, InvalidRequest):
        return failed(str(stored.error))
    if isinstance(stored.error, TooLarge):
        return failed(str(stored.error), "ServiceQuotaExceededException")
    return failed(str(stored.error), "InternalServerException")
