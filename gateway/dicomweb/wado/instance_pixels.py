"""The pixels of one instance, opened for the endpoints of frames and pictures, and the threads that work on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from gateway.dicom.dataset import BulkData, bulk_uris
from gateway.dicomweb.locate import Located
from gateway.dicomweb.targets import whole_number
from gateway.dicomweb.wado.files import bulk_reader
from gateway.dicomweb.wado.metadata import dataset_of
from gateway.errors import InvalidPart10, NotAcceptable, NotFound, TooLarge
from gateway.metadata.image_set import ImageSetMetadata
from gateway.pixels.frames import Frames
from gateway.pixels.picture_dataset import memory_of, picture_dataset
from gateway.pixels.stored_frames import FramesReader
from gateway.store.contents import Member, StoredObject
from gateway.store.kept import Kept
from gateway.store.protocol import Store

_P = ParamSpec("_P")
_Made = TypeVar("_Made")

# Codecs leave the interpreter's lock: as many at a time as there are cores, the others wait their turn.
_THREADS = ThreadPoolExecutor(os.cpu_count() or 1, "pixels")


# Bytes kept of the files asked for last: what describes their pixels, and where the frames are. Each holds a pack
# mapped, hence the weight, at which there are 64; a slide of a hundred thousand frames has 24 bytes for each.
_KEPT = 16 * 1024 * 1024

# A file of no more bytes is read on the event loop: to be described takes it less than a thread's hop.
_READ_ON_LOOP = 1024 * 1024


def _weight(frames: Frames) -> int:
    made = sum(len(value) for value in frames.bulk.values() if isinstance(value, bytes))
    return _KEPT // 64 + 24 * frames.count + memory_of(frames.dataset) + made


# An instance in a version, which never changes: data store, image set, its version, SOP Instance UID.
Version: TypeAlias = tuple[str, str, int, str]


class _Lately:
    """What is kept of the files of one store. stored: their frames as they came, by the files' SHA-256.

    edited: the same frames under the attributes that an instance has in a version.
    """

    def __init__(self) -> None:
        self.reader = FramesReader()
        self.stored: Kept[str, Frames] = Kept(_KEPT, _weight)
        self.edited: Kept[Version, Frames] = Kept(_KEPT, _weight)


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
    uid, [member] = located.target.instance, located.members
    stored = await stored_object(located, member, uid)
    return StoredPixels(located, stored, await _frames_of(located.store, stored))


async def stored_object(located: Located, member: Member, uid: str) -> StoredObject:
    """Return where the file of an instance lies. Raises NotFound."""
    objects = await located.store.objects(located.datastore_id, member.image_set_id, member.version, [uid])
    if located.target.instance:
        await located.check(member, objects)
    elif uid not in objects:
        raise NotFound("instance", uid)
    return objects[uid]


async def _frames_of(store: Store, stored: StoredObject) -> Frames:
    """Return the frames of a file as they came. Raises NotAcceptable where there are none that can be read."""
    lately = _lately(store)

    async def read() -> Frames:
        data = await store.read(stored.address)
        if len(data) > _READ_ON_LOOP:
            return await computed(lately.reader.read, data)
        with not_acceptable():
            return lately.reader.read(data)

    return await lately.stored.get(stored.sha256, read)


def _lately(store: Store) -> _Lately:
    if store not in _LATELY:
        _LATELY[store] = _Lately()
    return _LATELY[store]


async def edited_frames(located: Located, member: Member, uid: str, metadata: ImageSetMetadata | None = None) -> Frames:
    """Return the frames of an instance under its attributes as they are in a version, those that pictures need.

    metadata: of the image set in that version, where they are at hand. Raises NotFound, NotAcceptable for an instance
    without readable pixels.
    """
    lately = _lately(located.store)

    async def read() -> Frames:
        of_instance = metadata or await located.metadata(member)
        stored = await stored_object(located, member, uid)
        read_bulk = bulk_reader(located.store, located.datastore_id, member.image_set_id)
        return await computed(_edited, await _frames_of(located.store, stored), of_instance, uid, read_bulk)

    return await lately.edited.get(_version_of(located, member, uid), read)


def edited_frames_kept(located: Located, member: Member, uid: str) -> bool:
    """Whether `edited_frames` has nothing to read."""
    return _lately(located.store).edited.peek(_version_of(located, member, uid)) is not None


def _version_of(located: Located, member: Member, uid: str) -> Version:
    return located.datastore_id, member.image_set_id, member.version, uid


def _edited(
    stored: Frames, metadata: ImageSetMetadata, uid: str, read_bulk: Callable[[BulkData], memoryview]
) -> Frames:
    dataset = picture_dataset(dataset_of(metadata, uid))
    missing = set(bulk_uris(dataset)) - stored.bulk.keys()
    return stored.described_by(dataset, {uri: bytes(read_bulk(BulkData(uri, 0))) for uri in missing})


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


def frame_list(text: str) -> list[int]:
    """Return the numbers of a list of frames, in its order (PS3.18 section 10.4.1.1.6). Raises InvalidQuery."""
    return [whole_number(number, "frames", 1, 2**31 - 1) for number in text.split(",")]


def check_numbers(frames: Frames, numbers: Sequence[int]) -> None:
    """Raise NotFound for a number that no frame has."""
    for number in numbers:
        if number > frames.count:
            raise NotFound("frame", str(number))
