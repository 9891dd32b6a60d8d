"""PS3.10 instances on their way into a pack, one after the other, and what becomes of each.

Parts cuts a body into its parts; Incoming takes them in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.requests import Request

from gateway.dicom.multipart import Event, MultipartReader, PartData, PartEnds
from gateway.dicom.part10 import Buffer
from gateway.dicomweb.responses import pieces
from gateway.dicomweb.stow.response import STUDY_INSTANCE_UID, Failed, OtherStudy, Outcome, uid_of
from gateway.errors import InvalidPart10
from gateway.state import State, who_asks
from gateway.store.blobs.protocol import Pack
from gateway.store.blobs.receiving import IncomingFile, WrittenFile, as_received
from gateway.store.contents import Provenance, ReceivedInstance, StoredInstance


class Incoming:
    """The instances of one request as they come in. outcomes: one for each, None until the Store has had it."""

    def __init__(self, pack: Pack, inline_limit: int, study: str | None) -> None:
        self.pack = pack
        self.outcomes: list[Outcome | None] = []
        self.received: list[ReceivedInstance] = []
        self._inline_limit = inline_limit
        self._study = study
        self._file = IncomingFile(pack)

    def take(self, events: Iterable[Event]) -> None:
        """Take some of a body in: a part is a file, read at its end, or noted why it is refused.

        For a thread, and for the event loop at the beginning of a body, of which no more than a little came yet.
        """
        for event in events:
            self._take(event)

    def take_little(self, events: list[Event]) -> list[Event]:
        """Take what is little work of some of a body in, and return the rest: from the end of a file that is more.

        For the event loop.
        """
        for place, event in enumerate(events):
            if not self._take(event, little=True):
                return events[place:]
        return []

    async def add(self, chunks: Iterable[Buffer]) -> None:
        """Take a whole file in."""
        await asyncio.to_thread(self._add, chunks)

    def _add(self, chunks: Iterable[Buffer]) -> None:
        for piece in pieces(chunks):
            self._file.write(memoryview(piece))
        self._file_ends()

    def _take(self, event: Event, *, little: bool = False) -> bool:
        """Take some of a body in, and return whether it is. little: leave the end of a file that is more work."""
        match event:
            case PartData(data):
                self._file.write(data)
            case PartEnds():
                return self._file_ends(little=little)
        return True

    def _file_ends(self, *, little: bool = False) -> bool:
        """Read the file that came, note what becomes of it, and begin the next; return whether that is done."""
        try:
            read = self._file.read_at_once if little else self._file.read
            file = read(self._inline_limit)
        except InvalidPart10 as error:
            self.outcomes.append(Failed(error, self._file.named(), unread=True))
        else:
            if file is None:
                return False
            self._note(file)
        self._file = IncomingFile(self.pack)
        return True

    def _note(self, file: WrittenFile) -> None:
        dataset = file.part10.dataset
        if self._study and uid_of(dataset, STUDY_INSTANCE_UID) not in ("", self._study):
            self.outcomes.append(Failed(OtherStudy(), dataset))
            return
        self.received.append(as_received(file, self.pack))
        self.outcomes.append(None)

    async def stored(self, request: Request[State], datastore_id: str) -> list[Outcome]:
        """Hand what could be read to the Store; return what became of each instance, in order."""
        stored: list[StoredInstance] = []
        if self.received:
            provenance = Provenance(who_asks(request.scope))
            stored = await request.state["store"].store_instances(datastore_id, self.received, provenance, self.pack)
        placed = zip(self.received, stored, strict=True)
        return [outcome or _outcome(*next(placed)) for outcome in self.outcomes]


class Parts:
    """The body of a request, chunk by chunk, on its way to `incoming`. reader: None where the body is itself a file.

    Of the chunks, None comes last. For whoever calls it for one chunk after the other, on whatever thread.
    """

    def __init__(self, incoming: Incoming, reader: MultipartReader | None) -> None:
        self._incoming = incoming
        self._reader = reader
        self._left: list[Event] = []

    def take(self, chunks: list[bytes | None]) -> None:
        """Take chunks in. Raises InvalidMultipart, TooLarge.

        As one: hashing and writing let go of Python's lock, and to have it again costs more than to copy a chunk.
        """
        events, self._left = self._left, []
        self._incoming.take(events + self._events(b"".join(filter(None, chunks)), ended=chunks[-1] is None))

    def take_little(self, chunks: list[bytes | None]) -> list[bytes | None]:
        """Take in what is little work, and return the chunks that a `take` has to follow for, be it empty ones."""
        for place, chunk in enumerate(chunks):
            self._left = self._incoming.take_little(self._events(chunk or b"", ended=chunk is None))
            if self._left:
                return chunks[place + 1 :] or [b""]
        return []

    def _events(self, data: bytes, *, ended: bool) -> list[Event]:
        if self._reader is None:
            events: list[Event] = [PartData(memoryview(data))] if data else []
            return [*events, PartEnds()] if ended else events
        return self._reader.feed(data) + (self._reader.finish() if ended else [])


def _outcome(received: ReceivedInstance, stored: StoredInstance) -> Outcome:
    """Return what became of an instance; of a refused one, with what it says it is."""
    return Failed(stored.error, received.dataset) if stored.error else stored
