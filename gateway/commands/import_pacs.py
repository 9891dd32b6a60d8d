"""`gateway import https://…`: studies of another DICOMweb server into a gateway, series by series.

dicomweb-client searches there. The files are read from its session as they come, for a dataset that was decoded and
written again is not always the same bytes. What the gateway has in full is not fetched again: so an import that was
interrupted goes on where it stopped, and needs no notes of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.client import Client, address_of, path_of, unreachable
from gateway.commands.import_files import (
    BATCH_BYTES,
    BATCH_FILES,
    Found,
    Summary,
    print_summary,
    report,
    store,
    told_at_the_end,
)
from gateway.commands.login import Login
from gateway.commands.terminal import ProgressBar, plural
from gateway.dicom.multipart import Event, MultipartReader, PartBegins, PartData
from gateway.errors import InvalidMultipart, InvalidSettings, TooLarge, Unreachable

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient
    from requests import Response

    from gateway.commands.pacs_session import PacsSession

PAGE = 200
# A series has no more instances than this; a body that goes on is not one.
MAX_INSTANCES = 1_000_000
# Seconds to connect, and between two pieces of an answer: an archive may have to load a tape.
TIMEOUT = (20, 300)
_PIECE = 1024 * 1024

# The file as it is stored there; PS3.18 section 8.7.3.5.2 has the star for it.
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'

_STUDY, _SERIES, _COUNT = "0020000D", "0020000E", "00201209"


@dataclass(frozen=True, slots=True)
class Series:
    """A series of the PACS. count: of its instances, None where the PACS does not say."""

    study: str
    uid: str
    count: int | None

    def __str__(self) -> str:
        return f"series {self.uid}"


@dataclass(slots=True)
class Pull:
    """What became of the series found: all there already, fetched, or why not."""

    summary: Summary = field(default_factory=Summary)
    present: int = 0
    fetched: int = 0


def import_pacs(
    url: str, filters: Mapping[str, str], client: Client, login: Login, *, as_json: bool, quiet: bool = False
) -> int:
    """Store every instance of the matching studies; return 0 if all were stored, 1 if some were not.

    Raises Unreachable, Refused where the login or a search there or anything here is refused, InvalidSettings without
    the library.
    """
    started = time.monotonic()
    pull = Pull()

    def tell() -> None:
        if as_json:
            print(json.dumps({**report(pull.summary), "series": {"fetched": pull.fetched, "present": pull.present}}))
            return
        if pull.present:
            print(f"Here already: {plural(pull.present, 'series')}.")
        print_summary(pull.summary, time.monotonic() - started, sys.stdout)

    with told_at_the_end(tell, pull.summary), connected(url, login) as (pacs, session):
        series = list(find_series(pacs, filters))
        with ProgressBar(len(series), "series", sys.stderr, hidden=quiet) as progress:
            for number, one in enumerate(series):
                fetch_missing(session, url, one, client, pull)
                progress.at(number + 1)
    return 0 if pull.summary.complete else 1


@contextmanager
def connected(url: str, login: Login) -> Iterator[tuple[DICOMwebClient, PacsSession]]:
    """Yield a DICOMweb client and its session. Raises InvalidSettings without the library, Unreachable, Refused."""
    try:
        import requests
        from dicomweb_client.api import DICOMwebClient

        from gateway.commands.pacs_session import PacsSession
    except ImportError as error:
        problem = "to import from a PACS, install dicomweb-client: pip install 'dicomweb-gateway[pacs]'"
        raise InvalidSettings([problem]) from error
    address_of(url)
    try:
        with PacsSession(url, login) as session:
            pacs = DICOMwebClient(url.rstrip("/"), session=session, timeout=TIMEOUT)
            # It asks for half a minute again where nothing answers at all: not before somebody ever did.
            pacs.set_http_retry_params(retry=False)
            yield pacs, session
    except requests.HTTPError as error:
        assert error.response is not None  # dicomweb-client raises it of an answer
        raise session.refused(error.response) from error
    except requests.RequestException as error:
        raise Unreachable(unreachable(url, error)) from error


# Finding
# -------


def find_series(pacs: DICOMwebClient, filters: Mapping[str, str]) -> Iterator[Series]:
    """Yield the series of every study that matches, page by page, each once."""
    for study in find_studies(pacs, filters):
        found = pacs.search_for_series(study, fields=["NumberOfSeriesRelatedInstances"], get_remaining=True)
        for uid, count in counts(found).items():
            yield Series(study, uid, count)


def find_studies(pacs: DICOMwebClient, filters: Mapping[str, str]) -> list[str]:
    """Return the UIDs of the matching studies. A server that does not page gives the first page again: that ends it."""
    found: dict[str, None] = {}
    while True:
        page = pacs.search_for_studies(limit=PAGE, offset=len(found), search_filters=dict(filters))
        new = {uid: None for dataset in page if (uid := value(dataset, _STUDY)) and uid not in found}
        found |= new
        pacs.set_http_retry_params()
        if not new:
            return list(found)


def counts(found: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """Return the number of instances by series, of the results of a search."""
    number = {value(dataset, _SERIES): value(dataset, _COUNT) for dataset in found}
    return {uid: int(count) if count else None for uid, count in number.items() if uid}


def value(dataset: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an attribute as text, "" for none."""
    values = dataset.get(tag, {}).get("Value") or [""]
    return str(values[0])


# Fetching
# --------


def fetch_missing(session: PacsSession, url: str, series: Series, client: Client, pull: Pull) -> None:
    """Store a series, unless the gateway has as many instances of it as the PACS."""
    here = counts(client.get(path_of(series.study) + "/series", **{"SeriesInstanceUID": series.uid}) or [])
    if series.count is not None and (here.get(series.uid) or 0) >= series.count:
        pull.present += 1
        return
    before = pull.summary.stored + len(pull.summary.refused)
    address = url.rstrip("/") + path_of(series.study, series.uid)
    with session.get(address, headers={"Accept": _ACCEPT}, stream=True, timeout=TIMEOUT) as response:
        if response.status_code in (401, 403):  # as where a token has expired: of every other series too
            raise session.refused(response)
        if response.status_code != 200:
            pull.summary.refused.append((str(series), f"the PACS answered {response.status_code}"))
            return
        try:
            store_parts(response, series, client, pull.summary)
        except (InvalidMultipart, TooLarge) as error:
            pull.summary.refused.append((str(series), str(error)))
            return
    pull.fetched += 1
    came = pull.summary.stored + len(pull.summary.refused) - before
    if series.count is not None and came < series.count:
        pull.summary.refused.append((str(series), f"the PACS sent {came} of {series.count} instances"))


def store_parts(response: Response, series: Series, client: Client, summary: Summary) -> None:
    """Store the files of a multipart answer as they come, a batch at a time.

    Raises InvalidMultipart; then the batches before are stored, and the next import fetches the series again.
    """
    refused = len(summary.refused)
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-import-") as folder:
            for batch in batches(files(events(response), Path(folder))):
                store(client, batch, summary)
                for file in batch:
                    Path(file.path).unlink()
    finally:
        # Where a file lay for a moment tells nobody anything.
        reasons = [reason for _, reason in summary.refused[refused:]]
        summary.refused[refused:] = [(f"an instance of {series}", reason) for reason in reasons]


def events(response: Response) -> Iterator[Event]:
    """Yield what a multipart answer consists of. Raises InvalidMultipart."""
    reader = MultipartReader(boundary_of(response), MAX_INSTANCES)
    for piece in response.iter_content(_PIECE):
        yield from reader.feed(piece)
    yield from reader.finish()


def files(parts: Iterable[Event], folder: Path) -> Iterator[Found]:
    """Yield each part as a file in the folder, once it is complete."""
    number, size = 0, 0
    for event in parts:
        path = folder / f"{number}.dcm"
        if isinstance(event, PartBegins):
            size = 0
            path.touch()
        elif isinstance(event, PartData):
            with path.open("ab") as file:
                size += file.write(event.data)
        else:
            yield Found(number, str(path), size)
            number += 1


def batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Yield files as soon as there are as many as one request is to hold."""
    batch: list[Found] = []
    for file in found:
        batch.append(file)
        if len(batch) == BATCH_FILES or sum(one.size for one in batch) >= BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def boundary_of(response: Response) -> str:
    """Return the boundary of a multipart answer. Raises InvalidMultipart."""
    header = Message()
    header["Content-Type"] = response.headers.get("Content-Type", "")
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise InvalidMultipart("the PACS answered something other than multipart/related")
    return boundary
