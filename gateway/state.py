"""What every endpoint finds in `request.state`: Starlette's lifespan state, typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypedDict

from gateway.settings import Settings
from gateway.store.protocol import Job, Store


class JobRunner(Protocol):
    """Carries jobs out in the background, one after the other."""

    def start(self, job: Job) -> None:
        """Take a job up; returns at once. A job left unfinished by a crash is taken up at the next start."""


class State(TypedDict):
    """The gateway's dependencies: three, so no container."""

    store: Store
    settings: Settings
    jobs: JobRunner
    clock: Callable[[], datetime]
