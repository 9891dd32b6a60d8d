"""Import jobs in the background: kept first, then carried out, and taken up again after a stop or a crash."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gateway.errors import GatewayError, without_messages
from gateway.healthimaging.faults import to_message
from gateway.healthimaging.import_run import ImportRun, Stopped
from gateway.settings import Settings
from gateway.store.log.import_log import ImportJob
from gateway.store.objects.protocol import Place, Places
from gateway.store.protocol import Store

logger = logging.getLogger("gateway.imports")

# Quota of the service: concurrent import jobs of a data store. Here they wait for each other beyond a few.
MAX_UNFINISHED = 100
_AT_ONCE = 4

# How many seconds a stop waits for a job to come to a place where it can stop. One that waits for an answer of S3 is
# cut off then, which it bears as well as a crash.
_GRACE = 5.0


def _random_id() -> str:
    return uuid.uuid4().hex


class ImportJobs:
    """The ImportRunner: some jobs at once, in this process."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        places: Places,
        clock: Callable[[], datetime],
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self._store = store
        self._settings = settings
        self._places = places
        self._clock = clock
        self._new_id = new_id
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def submit(
        self, datastore_id: str, request: Mapping[str, Any], client_token: str, who: str = "anonymous"
    ) -> ImportJob:
        self._locate(request)
        new = ImportJob(self._new_id(), datastore_id, "SUBMITTED", self._clock(), request, who)
        job = await self._store.imports.create(new, client_token, MAX_UNFINISHED)
        self.start(job)
        return job

    def start(self, job: ImportJob) -> None:
        """Take a job up, if it is not done and not taken up already."""
        if job.status in ("COMPLETED", "FAILED") or job.job_id in self._running:
            return
        task = asyncio.create_task(self._take_turn(job))
        self._running[job.job_id] = task
        task.add_done_callback(lambda _: self._running.pop(job.job_id, None))

    async def resume(self) -> None:
        """Take up the jobs that a stop or a crash left unfinished."""
        for job in await self._store.imports.unfinished():
            self.start(job)

    async def close(self) -> None:
        """Finish what is being written and stop; the rest is taken up at the next start."""
        self._closing = True
        running = set(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _locate(self, request: Mapping[str, Any]) -> tuple[Place, Place]:
        """Return where a job reads and writes. Raises InvalidRequest for a place that may not be used."""
        return (
            self._places.locate(request["inputS3Uri"], request.get("inputOwnerAccountId")),
            self._places.locate(request["outputS3Uri"]),
        )

    async def _take_turn(self, job: ImportJob) -> None:
        async with self._turns:
            if self._closing:
                return
            try:
                await self._carry_out(job)
            except GatewayError as error:
                # The disk, and not the job: it stays unfinished, and the next start takes it up.
                logger.error("import job %s stopped: %s", job.job_id, type(error).__name__)

    async def _carry_out(self, job: ImportJob) -> None:
        """Carry a job out to its end, whichever that is. Raises what the log does."""
        log = self._store.imports
        await log.begin(job.job_id)
        try:
            place, output = self._locate(job.request)
            run = ImportRun(job, self._store, log, place, output, self._settings, lambda: self._closing)
            await run.carry_out()
        except Stopped:
            return
        except GatewayError as error:
            logger.warning("import job %s failed: %s", job.job_id, type(error).__name__)
            await log.end(job.job_id, "FAILED", self._clock(), to_message(str(error)))
        except Exception as error:
            logger.error("import job %s failed: %s", job.job_id, without_messages(error))
            await log.end(job.job_id, "FAILED", self._clock(), "INTERNAL_ERROR: the log of the gateway has more")
        else:
            await log.end(job.job_id, "COMPLETED", self._clock())
