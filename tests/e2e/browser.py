"""What a page shows in headless Chromium, by the scripts beside this file, and the web server of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium")
CAN_BROWSE = bool(CHROMIUM and shutil.which("node"))


def printed_by(script: str, packages: Path, *arguments: str | Path) -> str:
    """Return what a script for node prints of a page. packages: the node_modules that have playwright-core."""
    done = subprocess.run(
        ["node", str(HERE / script), str(CHROMIUM), *map(str, arguments)],
        env={**os.environ, "NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@contextmanager
def site_of(roots: Mapping[str, Path]) -> Iterator[str]:
    """Serve a folder or a file for each beginning of a path, the first that fits, and yield the origin."""

    class Site(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = urlsplit(path).path
            root = next(root for root in roots if name.startswith(root))
            return str(roots[root] / name.removeprefix(root))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
