"""nginx, from Debian: the reverse proxy that stands before a gateway or a PACS in most hospitals."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

MISSING = "there is no nginx here: apt-get install nginx"


@dataclass(frozen=True, slots=True)
class Nginx:
    """One that runs."""

    url: str
    folder: Path

    @property
    def asked(self) -> list[str]:
        """Authorization, X-Amz-Date and X-Amz-Security-Token of each request that came, with `-` for none."""
        return (self.folder / "asked").read_text().splitlines()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def running_nginx(folder: Path, server: str, port: int | None = None, *, tls: bool = False) -> Iterator[Nginx]:
    """Run nginx with one server on loopback. server: what is in its block."""
    assert NGINX is not None
    folder.mkdir(parents=True)
    port = port or free_port()
    temporary = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in "client_body proxy fastcgi uwsgi scgi".split()
    )
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; events {{}}
        http {{
            {temporary}
            log_format asked '$http_authorization $http_x_amz_date $http_x_amz_security_token';
            access_log {folder}/asked asked;
            client_max_body_size 2g; proxy_request_buffering off;
            server {{ listen 127.0.0.1:{port}{" ssl" if tls else ""}; {server} }}
        }}
        """)
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process, folder)
        yield Nginx(f"http{'s' if tls else ''}://127.0.0.1:{port}", folder)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"nginx does not listen: {(folder / 'log').read_text()[-2000:]}")
