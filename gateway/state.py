"""What every endpoint finds in `request.state`: Starlette's lifespan state, typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypedDict

from gateway.errors import RIGHTS, AccessDenied, Right
from gateway.settings import Settings
from gateway.store.contents import Provenance
from gateway.store.edits import Job
from gateway.store.log.import_log import ImportJob
from gateway.store.protocol import Store


class JobRunner(Protocol):
    """Carries jobs out in the background, one after the other."""

    def start(self, job: Job) -> None:
        """Take a job up; returns at once. A job left unfinished by a crash is taken up at the next start."""


class ImportRunner(Protocol):
    """Carries import jobs out in the background."""

    async def submit(
        self, datastore_id: str, request: Mapping[str, Any], client_token: str, who: str = "anonymous"
    ) -> ImportJob:
        """Keep a job, durable before this returns, and take it up. The same client_token gives the same job.

        request: the members of StartDICOMImportJob. Raises InvalidRequest for a place that may not be used, NotFound,
        IdempotencyConflict, TooLarge.
        """


class State(TypedDict):
    """The gateway's dependencies: five, so no container."""

    store: Store
    settings: Settings
    jobs: JobRunner
    imports: ImportRunner
    clock: Callable[[], datetime]


def require(scope: Mapping[str, Any], right: Right) -> None:
    """Return if who asks has a right, which all have where nobody has to sign. Raises AccessDenied."""
    if right not in scope.get("rights", RIGHTS):
        raise AccessDenied(right)


def who_asks(scope: Mapping[str, Any]) -> str:
    """Return whose access key signed a request, "anonymous" where nobody has to sign."""
    return str(scope.get("user", Provenance().who))
