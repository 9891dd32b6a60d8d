"""Addresses that are wrong, of a gateway and of a PACS: one sentence says what is there, and the way out."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import client
from gateway.cli import main
from tests.conftest import Server
from tests.dicomweb.edits import STUDY_UID
from tests.nginx import MISSING, NGINX, running_nginx

GIVE_THE_ADDRESS = ": its address alone, without a path, will do"

needs_nginx = pytest.mark.skipif(NGINX is None, reason=MISSING)


def commands(address: str, archive: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Return a command that reads, one that stores and one that imports from there."""
    return {
        "history": ["history", STUDY_UID, "--url", address],
        "import": ["import", str(archive), "--url", address],
        "import from": ["import", address, "--data", str(tmp_path / "data")],
    }


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    """Run a command; return its exit status, and the one line that it says. It says it before long."""
    started = time.monotonic()
    status = main(arguments)
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and time.monotonic() - started < 10
    return status, output.err.removeprefix("gateway: ").rstrip("\n")


@pytest.mark.parametrize("command", ["history", "import", "import from"])
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1/dicomweb", "{} does not answer (Connection refused)"),
        ("http://127.0.0.1:99999/dicomweb", "{} is no address such as http://127.0.0.1:8080"),
        ("http://[::1", "{} is no address such as http://127.0.0.1:8080"),
        ("http://", "{} is no address such as http://127.0.0.1:8080"),
    ],
)
def test_nobody_is_there(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, address: str, message: str
) -> None:
    """Status 69, at once, and in words."""
    arguments = commands(address, archive, tmp_path)[command]

    assert said(capsys, arguments) == (69, message.format(address))


@pytest.mark.parametrize(
    ("command", "path", "message"),
    [
        ("history", "/nothing", "{} is no DICOMweb root of a gateway (404)" + GIVE_THE_ADDRESS),
        ("import", "/nothing", "{} is no DICOMweb root of a gateway (404)" + GIVE_THE_ADDRESS),
        ("import", "/dicomweb/studies", "{} is no DICOMweb root of a gateway (400)" + GIVE_THE_ADDRESS),
        ("import from", "", "{} is no DICOMweb root (404): many end in /dicomweb or /dicom-web"),
        ("import from", "/nothing", "{} is no DICOMweb root (404): many end in /dicomweb or /dicom-web"),
    ],
)  # fmt: skip
def test_path_is_wrong(
    server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, path: str,
    message: str,
) -> None:  # fmt: skip
    """Status 69: there is no gateway, or no DICOMweb, there. An import says so once."""
    arguments = commands(server.url + path, archive, tmp_path)[command]

    assert said(capsys, arguments) == (69, message.format(server.url + path))


@pytest.mark.parametrize("command", ["history", "import", "import from"])
def test_server_has_no_tls(
    server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Status 69, and which address it may have."""
    address = server.dicomweb.replace("http:", "https:")

    assert said(capsys, commands(address, archive, tmp_path)[command]) == (
        69,
        f"{address} speaks no TLS (WRONG_VERSION_NUMBER): without it the address begins with http://",
    )


@pytest.fixture
def tls(server: Server, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The DICOMweb root of an nginx with TLS before a gateway, and its certificate, which nobody has signed."""
    if NGINX is None:
        pytest.skip(MISSING)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    name = ["-subj", "/CN=pacs", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    subprocess.run([*made, *name], check=True, capture_output=True)
    with running_nginx(
        tmp_path / "nginx",
        f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ proxy_pass {server.url}; }}",
        tls=True,
    ) as nginx:
        yield f"{nginx.url}/dicomweb", certificate


@pytest.mark.parametrize("command", ["history", "import", "import from"])
def test_certificate_is_not_trusted(
    tls: tuple[str, Path], archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Status 69, and where to say whom to trust."""
    address, _ = tls

    assert said(capsys, commands(address, archive, tmp_path)[command]) == (
        69,
        f"the certificate of {address} is not trusted here (self-signed certificate): SSL_CERT_FILE names the file of "
        "those that are",
    )


def test_certificate_is_trusted_where_the_environment_says_so(
    tls: tuple[str, Path], archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same variable for the gateway and the PACS."""
    address, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    for command in ("import", "history", "import from"):
        assert main(commands(address, archive, tmp_path)[command]) == 0


@needs_nginx
@pytest.mark.parametrize("command", ["history", "import"])
def test_server_redirects(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """As from http to https. Status 69: no command follows with an edit, or a login, to where it was not told to go."""
    with running_nginx(tmp_path / "nginx", "location / { return 301 https://pacs.example$request_uri; }") as nginx:
        assert said(capsys, commands(nginx.url, archive, tmp_path)[command]) == (
            69,
            f"{nginx.url}/dicomweb redirects to https://pacs.example: give the address there",
        )


@needs_nginx
def test_server_is_no_gateway(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page for people answers whatever it is asked."""
    with running_nginx(tmp_path / "nginx", "location / { return 200 Welcome!; }") as nginx:
        status, message = said(capsys, ["history", STUDY_UID, "--url", nginx.url])

    assert (status, message) == (69, f"{nginx.url}/dicomweb is no gateway: it does not speak JSON")


def test_nobody_waits_long_for_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that is off does not even refuse."""
    monkeypatch.setattr(client, "_CONNECT", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = f"http://127.0.0.1:{full.getsockname()[1]}/dicomweb"
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())
            status, message = said(capsys, ["history", STUDY_UID, "--url", address])

    assert (status, message) == (69, f"{address} does not answer (timed out)")
