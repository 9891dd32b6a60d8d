"""`gateway serve`, as an operator starts it: in its own process, on a socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import Server, serving
from .samples import ct_series


def gateway(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `gateway` to its end, with nothing of this process's own settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean | environment)


@contextmanager
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as there:
        yield there


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    server: Server,
    path: str,
    method: str = "GET",
    body: bytes | Iterator[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to a request on a connection of its own; an iterator is sent in chunks."""
    with connection(server) as there:
        there.request(method, path, body, dict(headers or {}))
        response = there.getresponse()
        return Answer(response.status, response.headers, response.read())


def stow_body(instances: list[bytes]) -> tuple[bytes, dict[str, str]]:
    """Return a multipart/related body of PS3.10 files, and its headers."""
    head = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + instance + b"\r\n" for instance in instances) + b"--part--\r\n"
    return body, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=part'}


# Starting
# --------


def test_it_makes_the_folder_and_a_data_store_and_says_where_it_is(tmp_path: Path) -> None:
    """What it prints is what a client has to be given, both faces and the AWS clients' settings."""
    with serving(tmp_path / "new" / "data") as server:
        assert server.process.stdout is not None
        printed = "".join(server.process.stdout.readline() for _ in range(5))
        answer = ask(server, "/datastore").body

    datastore = json.loads(answer)["datastoreSummaries"][0]["datastoreId"]
    assert (tmp_path / "new" / "data").is_dir()
    assert f"HealthImaging API  {server.url}\n" in printed
    assert f"data store {datastore}, region us-east-1\n" in printed
    settings = f"AWS_ENDPOINT_URL_MEDICAL_IMAGING={server.url} AWS_DISABLE_HOST_PREFIX_INJECTION=true"
    assert f"export {settings}\n" in printed


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_says_ok_and_nothing_else(session_server: Server, path: str) -> None:
    """A probe learns that it is well, and nobody learns anything more."""
    assert ask(session_server, path).body == b"ok\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_address_that_others_reach_is_refused(tmp_path: Path, host: str) -> None:
    """Without authentication the gateway listens on loopback: status 78, and nothing was made."""
    ended = gateway("serve", "--host", host, "--port", "0", "--data", str(tmp_path / "data"))

    assert ended.returncode == 78
    assert ended.stderr == (
        f"gateway: {host} can be reached from other machines, and whoever reaches the gateway may read and change "
        "every record: listen on 127.0.0.1, or say --i-accept-unauthenticated-access if something in front of it "
        "authenticates\n"
    )
    assert not (tmp_path / "data").exists()


def test_address_that_others_reach_is_served_when_accepted(tmp_path: Path) -> None:
    """With the flag it serves."""
    with serving(tmp_path, "--host", "0.0.0.0", "--i-accept-unauthenticated-access") as server:
        assert ask(server, "/livez").body == b"ok\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_served(tmp_path: Path, host: str) -> None:
    """Every spelling of loopback is one."""
    if host == "::1" and not ipv6_works():
        pytest.skip("this machine has no IPv6 loopback")
    with serving(tmp_path, "--host", host) as server:
        assert ask(server, "/livez").body == b"ok\n"


def ipv6_works() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_port_in_use_is_one_clear_sentence(tmp_path: Path) -> None:
    """Status 75, the port, the reason, and the way out; no stack trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = gateway("serve", "--port", str(port), "--data", str(tmp_path))

    assert ended.returncode == 75
    assert ended.stderr == (
        f"gateway: cannot listen on 127.0.0.1 port {port} (Address already in use): "
        "stop what listens there, or take another port with --port\n"
    )


def test_folder_in_use_is_one_clear_sentence(session_server: Server, tmp_path: Path) -> None:
    """A data folder has one gateway; the second ends with status 75."""
    with serving(tmp_path):
        ended = gateway("serve", "--port", "0", "--data", str(tmp_path))

    assert ended.returncode == 75
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr


def test_misspelt_settings_are_told_one_a_line(tmp_path: Path) -> None:
    """Status 78, every problem, and the name that was meant."""
    ended = gateway("serve", "--data", str(tmp_path), GATEWAY_PROT="1", GATEWAY_MAX_JSON_BODY="much")

    assert ended.returncode == 78
    assert ended.stderr == (
        "gateway: GATEWAY_PROT is no setting: did you mean GATEWAY_PORT?\n"
        "gateway: GATEWAY_MAX_JSON_BODY must be a whole number from 1 to 9223372036854775807\n"
    )


# Stopping
# --------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    """Told to stop, it stops, and that is no failure."""
    with serving(tmp_path) as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=10) == 0


def test_request_in_flight_is_finished_before_the_stop(tmp_path: Path) -> None:
    """A store request half of which has arrived when SIGTERM comes is stored, and answered."""
    body, headers = stow_body(ct_series()[:1])
    with serving(tmp_path) as server, connection(server) as there:
        there.putrequest("POST", "/dicomweb/studies")
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            there.putheader(name, value)
        there.endheaders(body[:1000])
        wait_until_reading(server)

        server.process.terminate()
        time.sleep(0.5)
        there.send(body[1000:])

        assert there.getresponse().status == 200
        assert server.process.wait(timeout=10) == 0


def wait_until_reading(server: Server) -> None:
    """Return when the server answers others while it waits for the rest of a request: it has begun with that one."""
    assert ask(server, "/livez").body == b"ok\n"


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    """An answered request survives SIGKILL."""
    body, headers = stow_body(ct_series()[:1])
    with serving(tmp_path) as server:
        assert ask(server, "/dicomweb/studies", "POST", body, headers).status == 200
        server.process.kill()

    with serving(tmp_path) as server:
        assert len(json.loads(ask(server, "/dicomweb/studies").body)) == 1


# Bodies
# ------

# RFC 7540 section 3.2: what java.net.http.HttpClient sends with every request on plain http.
H2C = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
}


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_body_with_an_upgrade_to_h2c_arrives_whole(server: Server, chunked: bool) -> None:
    """A Java client's store request is stored: the upgrade is declined by not mentioning it (RFC 9110 section 7.8)."""
    instances = ct_series()
    body, headers = stow_body(instances)
    pieces = iter([body[:70_000], body[70_000:]]) if chunked else body

    stored = ask(server, "/dicomweb/studies", "POST", pieces, headers | H2C)

    assert stored.status == 200
    assert "Upgrade" not in stored.headers
    assert len(json.loads(stored.body)["00081199"]["Value"]) == len(instances)


def test_bodies_arrive_at_the_same_time(server: Server) -> None:
    """Two clients that store at once are both served."""
    answers: list[int] = []

    def store(instance: bytes) -> None:
        body, headers = stow_body([instance])
        answers.append(ask(server, "/dicomweb/studies", "POST", body, headers).status)

    threads = [threading.Thread(target=store, args=(instance,)) for instance in ct_series()[:4]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [200, 200, 200, 200]


# Answers and the log
# -------------------


def test_what_no_route_takes_is_a_problem(session_server: Server) -> None:
    """404 and 405 are problem+json like every other error."""
    missing = ask(session_server, "/nowhere")

    assert (missing.status, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert json.loads(missing.body) == {"type": "about:blank", "title": "Not Found", "status": 404}


@pytest.mark.parametrize(("sent", "kept"), [("trace-1", True), ("two words", False), ("x" * 65, False)])
def test_request_id_is_the_clients_own_where_it_is_plain(session_server: Server, sent: str, kept: bool) -> None:
    """Every answer has an id; a client's is taken over unless it could break a log line."""
    answered = ask(session_server, "/livez", headers={"X-Request-Id": sent}).headers["X-Request-Id"]

    assert answered is not None and len(answered) <= 64
    assert (answered == sent) is kept


def test_log_has_routes_and_no_patient(tmp_path: Path) -> None:
    """Names, identifiers and query strings of a request stay out of the log; so do those of paths nobody serves."""
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", "--data", str(tmp_path / "data")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        with process:
            url = next(line.split()[-1] for line in process.stdout if "HealthImaging API" in line)
            for path in ("/dicomweb/studies?PatientName=Citizen", "/dicomweb/patients/Citizen/normalizedmetadata"):
                ask(Server(url, process), path)
            ask(Server(url, process), "/dicomweb/nowhere/Citizen")
            process.terminate()

    text = (tmp_path / "log").read_text()
    assert "GET /dicomweb/studies 204" in text
    assert "GET /dicomweb/patients/{patientID}/normalizedmetadata 404" in text
    assert "GET - 404" in text
    assert "Citizen" not in text
