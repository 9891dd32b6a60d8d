"""A program that edits a store without end and says, after each answer, what was acknowledged. To be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.store.versioned import open_store
from tests.store.edits import edit_of, patient
from tests.store.received import sent, store_sent


async def main(folder: Path, writers: int) -> None:
    store = await open_store(folder)
    datastore_id = (await store.default_datastore()).datastore_id

    async def write(number: int) -> None:
        [outcome] = await store_sent(store, datastore_id, [sent(f"1.2.{number}", study=f"1.{number}")])
        for version in range(1, 1_000_000):
            print(outcome.image_set_id, version, flush=True)
            change = patient(PatientName=f"N{version}")
            await store.edit(edit_of(datastore_id, (outcome.image_set_id, version, change)))

    await asyncio.gather(*(write(number) for number in range(writers)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
