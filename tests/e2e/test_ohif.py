"""OHIF in a browser over a running gateway: it lists a study, draws its pixels, and shows what was edited."""

from __future__ import annotations

import http.client
import io
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Server
from tests.dicomweb.edits import MERGE_PATCH, STUDY_UID, pn
from tests.dicomweb.wire import STOW, multipart
from tests.e2e.browser import CAN_BROWSE, printed_by
from tests.samples import ct_series

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "ohif" / "app-config.js"
OHIF = Path(os.environ.get("OHIF", "")) / "package" / "dist"

pytestmark = pytest.mark.skipif(
    not (os.environ.get("OHIF") and OHIF.is_dir() and CAN_BROWSE),
    reason="there is no OHIF, Chromium or Node here: tests/README.md says how to have them",
)


class Site(SimpleHTTPRequestHandler):
    """The viewer with deploy/ohif/app-config.js, and the gateway below /dicomweb, as deploy/ohif/nginx.conf has it."""

    gateway = ""
    asked: list[str]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/dicomweb/"):
            self._forward()
        elif path == "/app-config.js":
            self._answer(200, {"Content-Type": "text/javascript"}, CONFIGURATION.read_bytes())
        else:
            if not (OHIF / path.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _forward(self) -> None:
        self.asked.append(self.path)
        connection = http.client.HTTPConnection(urlsplit(self.gateway).netloc, timeout=60)
        asked = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request("GET", self.path, headers=asked)
        response = connection.getresponse()
        kept = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server")
        }
        self._answer(response.status, kept, response.read())
        connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)


@pytest.fixture
def asked() -> list[str]:
    """What the viewer asks the gateway for, path by path."""
    return []


@pytest.fixture
def site(server: Server, asked: list[str]) -> Iterator[str]:
    """The address of the viewer."""
    handler = type("GatewaySite", (Site,), {"gateway": server.url, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: handler(*args, directory=str(OHIF))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def view(site: str, picture: Path) -> str:
    """Return the text of the study list, with a picture of the study's first viewport in a file."""
    return printed_by("view.js", Path(os.environ["OHIF"]) / "node_modules", site, STUDY_UID, picture)


def test_ohif_shows_a_study_and_its_edited_name(server: Server, site: str, tmp_path: Path) -> None:
    """The study is listed and what is drawn is its slice; after an edit, the reloaded list has the new name.

    Drawn means: the middle of the viewport has the grey values of the slice, and not those of the slice turned round.
    """
    body = multipart(ct_series(3))
    httpx.post(f"{server.dicomweb}/studies", content=body, headers={"Content-Type": STOW}).raise_for_status()

    before = view(site, tmp_path / "before.png")
    url = f"{server.dicomweb}/studies/{STUDY_UID}/metadata"
    httpx.patch(url, json=[{"00100010": pn("DOE^JANE")}], headers=MERGE_PATCH).raise_for_status()
    after = view(site, tmp_path / "after.png")

    assert "CompressedSamples" in before and "DOE" not in before
    assert "DOE" in after and "CompressedSamples" not in after
    slices = [rendered(server, dataset["00080018"]["Value"][0]) for dataset in instances(server)]
    for picture in ("before.png", "after.png"):
        shown = middle(Image.open(tmp_path / picture))
        alike = [float(np.corrcoef(shown, middle(one))[0, 1]) for one in slices]
        assert max(alike) > 0.9, alike
        assert abs(np.corrcoef(shown, middle(slices[0].rotate(90)))[0, 1]) < max(alike) - 0.2


def test_ohif_fetches_pixels_once(server: Server, site: str, asked: list[str], tmp_path: Path) -> None:
    """W3: each slice by its frame, and not by the BulkDataURI that metadata have for it as well."""
    body = multipart(ct_series(3))
    httpx.post(f"{server.dicomweb}/studies", content=body, headers={"Content-Type": STOW}).raise_for_status()

    view(site, tmp_path / "once.png")

    frames = [path for path in asked if "/frames/" in path]
    assert len(frames) == len(set(frames)) == 3
    assert [path for path in asked if path.endswith("/metadata")]
    assert not [path for path in asked if "/bulkdata/" in path or "/pixeldata" in path]


def instances(server: Server) -> list[dict[str, Any]]:
    """Return what QIDO-RS says of the instances."""
    found: list[dict[str, Any]] = httpx.get(f"{server.dicomweb}/studies/{STUDY_UID}/instances").json()
    return found


def rendered(server: Server, uid: str) -> Image.Image:
    """Return the gateway's own picture of a slice, under the window that it comes with, as OHIF begins with it."""
    [series] = {one["0020000E"]["Value"][0] for one in instances(server)}
    url = f"{server.dicomweb}/studies/{STUDY_UID}/series/{series}/instances/{uid}/rendered"
    return Image.open(io.BytesIO(httpx.get(url, headers={"Accept": "image/png"}).content))


def middle(picture: Image.Image) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the grey values of a picture's middle, scaled down: OHIF writes into the corners and fits the height."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    edge = side // 5
    square = picture.convert("L").crop((left + edge, top + edge, left + side - edge, top + side - edge))
    return np.asarray(square.resize((24, 24), Image.Resampling.BOX), np.float64).ravel()
