"""Import jobs carried out without HTTP: a store, a folder with an input, and a run that can be stopped anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.healthimaging.import_input import Limits
from gateway.healthimaging.import_run import ImportRun
from gateway.settings import Settings
from gateway.store.log.import_log import ImportJob
from gateway.store.objects.folder import FolderObjects
from gateway.store.objects.protocol import Place
from gateway.store.protocol import Store

ROLE = "arn:aws:iam::123456789012:role/ImportJobDataAccessRole"


class CountingFolder(FolderObjects):
    """A folder that counts what is read of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self.reads.append(key)
        async for piece in super().read(key):
            yield piece


def never() -> bool:
    return False


def after(count: int) -> Callable[[], bool]:
    """Return a question that is answered yes when it has been asked more than so many times."""
    asked = itertools.count(1)
    return lambda: next(asked) > count


@dataclass
class Desk:
    """Where a test imports: folders `in` and `out`, one data store."""

    store: Store
    datastore_id: str
    folder: Path
    settings: Settings = Settings()

    def put(self, path: str, content: bytes) -> None:
        file = self.folder / "in" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    async def submit(self, number: int = 1, **configuration: Any) -> ImportJob:
        """Keep a job that imports all of `in`."""
        request = {
            "dataAccessRoleArn": ROLE,
            "inputS3Uri": "s3://dicom-input/",
            "outputS3Uri": "s3://job-output/",
            **({"importConfiguration": configuration} if configuration else {}),
        }
        job = ImportJob(f"{number:032}", self.datastore_id, "SUBMITTED", datetime.now(UTC), request)
        return await self.store.imports.create(job, job.job_id, 100)

    def run(
        self, job: ImportJob, closing: Callable[[], bool] = never, limits: Limits | None = None
    ) -> tuple[ImportRun, CountingFolder]:
        """Return a run of the job, and the folder it reads."""
        source = CountingFolder(self.folder / "in")
        output = Place(FolderObjects(self.folder / "out"), "")
        run = ImportRun(
            job, self.store, self.store.imports, Place(source, ""), output, self.settings, closing, limits or Limits()
        )
        return run, source

    async def carry_out(self, number: int = 1, **configuration: Any) -> Path:
        """Carry out a job and return the folder it wrote."""
        job = await self.submit(number, **configuration)
        await self.run(job)[0].carry_out()
        return self.output(job)

    def output(self, job: ImportJob) -> Path:
        return self.folder / "out" / f"{self.datastore_id}-DicomImport-{job.job_id}"


def records(folder: Path, path: str) -> list[dict[str, Any]]:
    """Return the records of a file of lines."""
    return [json.loads(line) for line in (folder / path).read_text().splitlines()]


def summary(folder: Path) -> Mapping[str, Any]:
    """Return the manifest's one member."""
    found: Mapping[str, Any] = json.loads((folder / "job-output-manifest.json").read_text())["jobSummary"]
    return found
