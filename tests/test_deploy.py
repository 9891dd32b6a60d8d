"""deploy/: each file passes its own linter, and says what the gateway needs it to say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)


def program(name: str) -> str:
    """Return the path of a program, from the environment's own folder first; skip the test where there is none."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


# The container image
# -------------------


def test_dockerfile_passes_hadolint() -> None:
    """hadolint has nothing to say."""
    checked = run(program("hadolint"), DEPLOY / "Dockerfile")

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_image_runs_without_rights_and_says_how_it_is() -> None:
    """The last stage has a user by number, who is not root, and a health check of /readyz."""
    stage = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]

    assert "\nUSER 10001:10001\n" in stage
    assert re.search(r"^HEALTHCHECK .*\n.*/readyz", stage, re.MULTILINE)


def test_build_context_holds_what_the_image_copies() -> None:
    """.dockerignore lets in every source of COPY, and starts by leaving all else out."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)

    sources = {source for line in copied for source in line.split()}

    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == sources
    assert all((ROOT / source).exists() for source in sources)


# Compose
# -------


def compose() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_compose_file_is_valid() -> None:
    """`docker compose config` accepts it, or its predecessor does."""
    command: tuple[str, ...] = (program("docker"), "compose") if shutil.which("docker") else ()
    if not command or run(*command, "version").returncode != 0:
        command = (program("docker-compose"),)

    checked = run(*command, "-f", DEPLOY / "compose.yaml", "config", "--quiet")

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("service", ["gateway", "viewer"])
def test_compose_publishes_on_loopback_only(service: str) -> None:
    """There is no authentication yet, so no port of the host is open to others."""
    ports = compose()["services"][service]["ports"]

    assert isinstance(ports, list) and ports
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_files_that_compose_mounts_are_there() -> None:
    """A mount of a file that is missing makes an empty folder in its place."""
    mounts = compose()["services"]["viewer"]["volumes"]

    assert isinstance(mounts, list)
    assert [mount for mount in mounts if not (DEPLOY / str(mount).partition(":")[0]).is_file()] == []


def test_viewer_configuration_is_javascript() -> None:
    """node reads OHIF's configuration, and its addresses are the gateway's, on the viewer's own origin."""
    script = f"globalThis.window = {{}}; require({str(DEPLOY / 'ohif/app-config.js')!r});" + (
        "const {qidoRoot, wadoRoot} = window.config.dataSources[0].configuration; console.log(qidoRoot, wadoRoot)"
    )

    assert run(program("node"), "-e", script).stdout == "/dicomweb /dicomweb\n"


# nginx
# -----


def nginx_accepts(folder: Path, configuration: str) -> None:
    """Assert that `nginx -t` takes a server configuration, with its own files below a folder."""
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; "
        + "".join(f"{name}_temp_path {folder}/{name};" for name in "client_body proxy fastcgi uwsgi scgi".split())
        + configuration
        + "}"
    )
    checked = run(program("nginx"), "-t", "-q", "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;")
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr.replace('"user" directive', "")


def test_nginx_accepts_the_proxy(tmp_path: Path) -> None:
    """`nginx -t` takes the configuration as it is, with a certificate where it says one is."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=pacs.example", "-days", "1")
    made = run(
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        *subject,
    )
    assert made.returncode == 0, made.stderr
    configuration = (DEPLOY / "nginx" / "gateway.conf").read_text()

    nginx_accepts(
        tmp_path,
        configuration.replace("/etc/nginx/tls/pacs.example.pem", str(certificate)).replace(
            "/etc/nginx/tls/pacs.example.key", str(key)
        ),
    )


def test_nginx_accepts_the_viewer(tmp_path: Path) -> None:
    """`nginx -t` takes the viewer's configuration; the name of the other container is known there only."""
    configuration = (DEPLOY / "ohif" / "nginx.conf").read_text()

    nginx_accepts(tmp_path, configuration.replace("http://gateway:8080", "http://127.0.0.1:8080"))


@pytest.mark.parametrize("path", ["nginx/gateway.conf", "ohif/nginx.conf"])
def test_proxy_lets_the_largest_body_through(path: str) -> None:
    """A proxy's limit is not smaller than max_store_body, and it keeps no copy of what goes through."""
    configuration = (DEPLOY / path).read_text()

    assert "client_max_body_size 2g;" in configuration
    assert "proxy_request_buffering off;" in configuration
    assert "proxy_buffering off;" in configuration


# systemd
# -------


def test_unit_passes_systemd(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, with a program where the unit says one is."""
    unit = tmp_path / "gateway.service"
    unit.write_text(
        (DEPLOY / "systemd" / "gateway.service").read_text().replace("/opt/gateway/bin/gateway", "/bin/true")
    )

    checked = run(program("systemd-analyze"), "verify", unit)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_unit_is_hardened() -> None:
    """systemd's own score of what the service could reach, 0 to 100, is at most 20."""
    unit = DEPLOY / "systemd" / "gateway.service"

    checked = run(program("systemd-analyze"), "security", "--offline=true", "--threshold=20", unit)

    assert checked.returncode == 0, checked.stdout


def test_unit_waits_longer_than_the_gateway() -> None:
    """systemd does not kill what is still finishing requests: 40 seconds against the setting's 30."""
    assert "\nTimeoutStopSec=40\n" in (DEPLOY / "systemd" / "gateway.service").read_text()
    assert compose()["services"]["gateway"]["stop_grace_period"] == "40s"
