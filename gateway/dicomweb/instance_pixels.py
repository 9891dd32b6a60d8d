"""The pixels of one instance, opened for the endpoints of frames and pictures, and the threads that work on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from gateway.dicom.dataset import BulkData, Dataset
from gateway.dicom.part10 import Span, read_part10
from gateway.dicomweb.locate import Located
from gateway.dicomweb.targets import whole_number
from gateway.dicomweb.wado_bulk import bulk_uris
from gateway.dicomweb.wado_instances import bulk_reader
from gateway.dicomweb.wado_metadata import dataset_of
from gateway.errors import InvalidPart10, NotAcceptable, NotFound, TooLarge
from gateway.metadata.image_set import ImageSetMetadata
from gateway.pixels.frames import Frames
from gateway.pixels.stored_frames import FramesReader
from gateway.store.kept import Kept
from gateway.store.protocol import Member, Store, StoredObject

_P = ParamSpec("_P")
_Made = TypeVar("_Made")

# Codecs leave the interpreter's lock: as many at a time as there are cores, the others wait their turn.
_THREADS = ThreadPoolExecutor(os.cpu_count() or 1, "pixels")


@dataclass(frozen=True, slots=True)
class InstancePixels:
    """An instance in one version, and the file it came as."""

    located: Located
    member: Member
    uid: str
    metadata: ImageSetMetadata
    stored: StoredObject

    async def as_edited(self) -> Frames:
        """Return the same frames under the attributes as they are now. Raises NotAcceptable."""
        read_bulk = bulk_reader(self.located.store, self.located.datastore_id, self.member.image_set_id)
        dataset = dataset_of(self.metadata, self.uid)
        return await computed(_edited_frames, await self._file(), dataset, read_bulk)

    async def _file(self) -> memoryview:
        return await self.located.store.read(self.stored.address)


# Frames of the files asked for last, without the rest of these. Each holds a pack mapped, hence the weight, at which
# there are 64; a slide of a hundred thousand frames has 24 bytes for each.
_KEPT = 16 * 1024 * 1024

# A file of no more bytes is read on the event loop: to be described takes it less than a thread's hop.
_READ_ON_LOOP = 1024 * 1024


def _weight(frames: Frames) -> int:
    return _KEPT // 64 + 24 * frames.count


class _Lately:
    """What is kept of the files of one store. stored: their frames as they came, by the files' SHA-256."""

    def __init__(self) -> None:
        self.reader = FramesReader()
        self.stored: Kept[str, Frames] = Kept(_KEPT, _weight)


_LATELY: WeakKeyDictionary[Store, _Lately] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """An instance in one version, and its frames as they were received."""

    located: Located
    stored: StoredObject
    frames: Frames


async def stored_pixels(located: Located) -> StoredPixels:
    """Return the pixels of the instance that was located as they are stored, whatever was edited since.

    Raises NotFound, NotAcceptable for an instance without readable pixels.
    """
    store, uid, [member] = located.store, located.target.instance, located.members
    objects = await store.objects(located.datastore_id, member.image_set_id, member.version, [uid])
    if uid not in objects:
        raise NotFound("instance", uid)
    stored, lately = objects[uid], _lately(store)

    async def read() -> Frames:
        data = await store.read(stored.address)
        if len(data) > _READ_ON_LOOP:
            return await computed(lately.reader.read, data)
        with not_acceptable():
            return lately.reader.read(data)

    return StoredPixels(located, stored, await lately.stored.get(stored.sha256, read))


def _lately(store: Store) -> _Lately:
    if store not in _LATELY:
        _LATELY[store] = _Lately()
    return _LATELY[store]


async def opened(located: Located, member: Member, uid: str, metadata: ImageSetMetadata) -> InstancePixels:
    """Return the pixels of an instance of an image set."""
    objects = await located.store.objects(located.datastore_id, member.image_set_id, member.version, [uid])
    return InstancePixels(located, member, uid, metadata, objects[uid])


async def instance_pixels(located: Located) -> InstancePixels:
    """Return the pixels of the instance that was located. Raises NotFound."""
    [member] = located.members
    return await opened(located, member, located.target.instance, await located.metadata(member))


async def computed(function: Callable[_P, _Made], *args: _P.args, **kwargs: _P.kwargs) -> _Made:
    """Return what a function of the pixels returns, run on one of their threads.

    Stored pixels that are damaged or too large are no fault of the request: NotAcceptable, with the reason.
    """

    def call() -> _Made:
        return function(*args, **kwargs)

    with not_acceptable():
        return await asyncio.get_running_loop().run_in_executor(_THREADS, call)


@contextmanager
def not_acceptable() -> Iterator[None]:
    """Turn what is wrong with stored pixels into NotAcceptable."""
    try:
        yield
    except (InvalidPart10, TooLarge) as error:
        raise NotAcceptable(str(error)) from error
    except NotFound as error:
        if error.kind == "Pixel Data":
            raise NotAcceptable("the instance has no pixel data") from error
        raise


def _edited_frames(data: memoryview, dataset: Dataset, read_bulk: Callable[[BulkData], memoryview]) -> Frames:
    part10 = read_part10(data)
    missing = set(bulk_uris(dataset)) - set(part10.bulk)
    added: dict[str, Span | bytes] = {uri: bytes(read_bulk(BulkData(uri, 0))) for uri in missing}
    return Frames(data, replace(part10, dataset=dataset, bulk=part10.bulk | added))


def frame_list(text: str) -> list[int]:
    """Return the numbers of a list of frames, in its order (PS3.18 section 10.4.1.1.6). Raises InvalidQuery."""
    return [whole_number(number, "frames", 1, 2**31 - 1) for number in text.split(",")]


def check_numbers(frames: Frames, numbers: Sequence[int]) -> None:
    """Raise NotFound for a number that no frame has."""
    for number in numbers:
        if number > frames.count:
            raise NotFound("frame", str(number))
