"""OHIF and a gateway on one origin, as deploy/ohif has them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.conftest import Server
from tests.e2e.ohif import CONFIGURATION, OHIF


class Site(SimpleHTTPRequestHandler):
    """The viewer with deploy/ohif/app-config.js, and the gateway below /dicomweb, as deploy/ohif/nginx.conf has it."""

    gateway = ""
    asked: list[str]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/dicomweb/"):
            self._forward(None)
        elif path == "/app-config.js":
            self._answer(200, {"Content-Type": "text/javascript"}, CONFIGURATION.read_bytes())
        else:
            if not (OHIF / path.lstrip("/")).is_file():
                self.path = "/index.html"
            super().do_GET()

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers["Content-Length"])))

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _forward(self, body: bytes | None) -> None:
        self.asked.append(self.path)
        connection = http.client.HTTPConnection(urlsplit(self.gateway).netloc, timeout=60)
        asked = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, asked)
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
