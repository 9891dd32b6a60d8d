"""`gateway import https://…` logs in at the PACS, and its login goes nowhere else: no other server, no file, no output.

nginx before a gateway asks for Basic or a bearer token, Orthanc for Basic, a gateway with access keys for a signature.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli import main
from tests.conftest import serving
from tests.dicomweb.wire import STOW, multipart
from tests.nginx import MISSING, NGINX, running_nginx
from tests.orthanc import MISSING as NO_ORTHANC
from tests.orthanc import orthanc_installed, running_orthanc
from tests.samples import ct_series, instance

SECRET = "s3cret-of-the-pacs"
AUTHORIZATION = {
    f"basic alice:{SECRET}": f"Basic {b64encode(f'alice:{SECRET}'.encode()).decode()}",
    f"bearer {SECRET}": f"Bearer {SECRET}",
}
KEYS = f"[alice]\naws_access_key_id = AKIDALICE\naws_secret_access_key = {SECRET}\n"

pytestmark = [pytest.mark.skipif(NGINX is None, reason=MISSING), pytest.mark.usefixtures("no_logins")]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a gateway with two studies of 3 and 1 instances, which lets everybody in."""
    with serving(tmp_path_factory.mktemp("pacs")) as server:
        body = multipart([*ct_series(3), instance(study="1.2.3")])
        httpx.post(f"{server.dicomweb}/studies", content=body, headers={"Content-Type": STOW}).raise_for_status()
        yield server.url


def guard(pacs: str, login: str, scheme: str = "Basic") -> str:
    """Return nginx's words for: the PACS, for who logs in so."""
    return f"""
        location / {{
            if ($http_authorization != "{AUTHORIZATION[login]}") {{ return 401; }}
            proxy_pass {pacs}/; proxy_set_header Host $http_host;
        }}
        add_header WWW-Authenticate {scheme} always;
        """


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("login", AUTHORIZATION)
@pytest.mark.parametrize("from_file", [False, True])
def test_login_lets_an_import_in(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], login: str,
    from_file: bool,
) -> None:  # fmt: skip
    """Basic and Bearer, from a variable or a file. The secret is in no output, and nothing keeps it."""
    (tmp_path / "login").write_text(login)
    name = "PACS_LOGIN_FILE" if from_file else "PACS_LOGIN"
    monkeypatch.setenv(name, str(tmp_path / "login") if from_file else login)
    with running_nginx(tmp_path / "nginx", guard(pacs, login)) as nginx:
        status = main(["import", f"{nginx.url}/dicomweb", "--data", str(tmp_path / "data"), "--json"])

    output = capsys.readouterr()
    assert (status, json.loads(output.out)["stored"]) == (0, 4)
    assert SECRET not in output.out + output.err
    kept = everything_below(tmp_path / "data")
    assert kept and SECRET.encode() not in kept and AUTHORIZATION[login].split()[1].encode() not in kept


def test_an_import_that_goes_on_asks_for_the_login_again(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing remembers it: without it one sentence says what to set, with it the rest comes."""
    login, data = f"bearer {SECRET}", ["--data", str(tmp_path / "data")]
    monkeypatch.setenv("PACS_LOGIN", login)
    with running_nginx(tmp_path / "nginx", guard(pacs, login, "Bearer")) as nginx:
        address = f"{nginx.url}/dicomweb"
        assert main(["import", address, "--filter", "StudyInstanceUID=1.2.3", *data]) == 0
        capsys.readouterr()

        monkeypatch.delenv("PACS_LOGIN")
        assert main(["import", address, *data]) == 1
        assert capsys.readouterr().err == (
            f"gateway: {address} asks for a login (401): set PACS_LOGIN to 'bearer TOKEN', or PACS_LOGIN_FILE to a "
            "file with that (docs/operations.md)\n"
        )

        monkeypatch.setenv("PACS_LOGIN", login)
        assert main(["import", address, *data, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["series"] == {"fetched": 1, "present": 1}


def test_a_login_that_is_not_taken_is_not_shown(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, which names the variable."""
    monkeypatch.setenv("PACS_LOGIN", "basic alice:wr0ng")
    with running_nginx(tmp_path / "nginx", guard(pacs, f"basic alice:{SECRET}")) as nginx:
        address = f"{nginx.url}/dicomweb"
        assert main(["import", address, "--data", str(tmp_path / "data")]) == 1

    assert capsys.readouterr().err == f"gateway: {address} does not accept the login of PACS_LOGIN (401)\n"


def test_netrc_is_looked_at(pacs: str, tmp_path: Path) -> None:
    """As curl and requests do, where no variable says anything."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text(f"machine 127.0.0.1 login alice password {SECRET}\n")
    with running_nginx(tmp_path / "nginx", guard(pacs, f"basic alice:{SECRET}")) as nginx:
        assert main(["import", f"{nginx.url}/dicomweb", "--data", str(tmp_path / "data")]) == 0


def test_a_token_that_expires_in_the_middle_ends_the_import(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one sentence, and not one for each series that is left."""
    login = f"bearer {SECRET}"
    monkeypatch.setenv("PACS_LOGIN", login)
    expired = "location ~ /series/[^/]+$ { return 401; }"
    with running_nginx(tmp_path / "nginx", guard(pacs, login) + expired) as nginx:
        address = f"{nginx.url}/dicomweb"
        assert main(["import", address, "--data", str(tmp_path / "data")]) == 1

    assert capsys.readouterr().err == f"gateway: {address} does not accept the login of PACS_LOGIN (401)\n"


@pytest.mark.parametrize("login", [*AUTHORIZATION, "aws"])
def test_a_redirect_does_not_take_the_login_along(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    """Another port is another server: it is asked without a login, whatever kind it is."""
    monkeypatch.setenv("PACS_LOGIN", login)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDALICE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-the-session")
    with running_nginx(tmp_path / "other", f"location / {{ proxy_pass {pacs}; }}") as other:
        redirect = f"location / {{ return 307 {other.url}$request_uri; }}"
        with running_nginx(tmp_path / "nginx", redirect) as nginx:
            assert main(["import", f"{nginx.url}/dicomweb", "--data", str(tmp_path / "data")]) == 0

    assert set(other.asked) == {"- - -"}
    assert all(not line.startswith("- ") for line in nginx.asked)


def test_a_redirect_to_who_asks_for_a_login_says_so(
    pacs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way out is to give that address."""
    login = f"basic alice:{SECRET}"
    monkeypatch.setenv("PACS_LOGIN", login)
    with running_nginx(tmp_path / "other", guard(pacs, login)) as other:
        redirect = f"location / {{ return 307 {other.url}$request_uri; }}"
        with running_nginx(tmp_path / "nginx", redirect) as nginx:
            assert main(["import", f"{nginx.url}/dicomweb", "--data", str(tmp_path / "data")]) == 1

    assert capsys.readouterr().err == (
        f"gateway: {nginx.url}/dicomweb redirects to {other.url}, which asks for a login (401): none is sent there, "
        "give its own address\n"
    )


def test_a_redirect_within_the_pacs_is_signed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signature is of one path."""
    monkeypatch.setenv("PACS_LOGIN", "aws alice")
    keys = tmp_path / "keys"
    keys.write_text(KEYS)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    with serving(tmp_path / "pacs", "--access-keys", str(keys)) as server:
        locations = f"""
            location / {{ proxy_pass {server.url}; proxy_set_header Host $http_host; }}
            location /old/ {{ rewrite ^/old/(.*)$ /$1 redirect; }}
            """
        with running_nginx(tmp_path / "nginx", locations) as nginx:
            assert main(["import", f"{nginx.url}/old/dicomweb", "--data", str(tmp_path / "data")]) == 0


def test_a_signature_for_the_pacs_and_another_for_the_gateway(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two gateways with keys of their own; the source is signed for only because PACS_LOGIN says so."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.write_text(KEYS)
    here.write_text(KEYS.replace("ALICE", "BOB").replace("alice", "bob").replace(SECRET, "another"))
    both = tmp_path / "both"
    both.write_text(there.read_text() + here.read_text())
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(both))
    monkeypatch.setenv("AWS_PROFILE", "alice")
    with (
        serving(tmp_path / "pacs", "--access-keys", str(there)) as source,
        serving(tmp_path / "data", "--access-keys", str(here)) as target,
    ):
        assert main(["import", str(archive), "--url", source.url]) == 0
        monkeypatch.setenv("AWS_PROFILE", "bob")
        assert main(["import", source.dicomweb, "--url", target.url]) == 1
        assert capsys.readouterr().err == (
            f"gateway: {source.dicomweb} asks for a signature of AWS: set PACS_LOGIN to 'aws', or PACS_LOGIN_FILE to a "
            "file with that (docs/operations.md)\n"
        )
        monkeypatch.setenv("PACS_LOGIN", "aws alice")
        filters = ["--filter", "PatientName=CompressedSamples^CT1", "--filter", "StudyDate=19000101-"]
        assert main(["import", source.dicomweb, *filters, "--url", target.url, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["stored"] == 3


def test_orthanc_with_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PACS of another make asks who we are, and says which scheme it takes."""
    if not orthanc_installed():
        pytest.skip(NO_ORTHANC)
    with running_orthanc(tmp_path / "orthanc", users={"alice": SECRET}) as orthanc:
        files = multipart(ct_series(3))
        stored = httpx.post(
            f"{orthanc.dicomweb}/studies", content=files, headers={"Content-Type": STOW}, auth=("alice", SECRET)
        )
        stored.raise_for_status()
        data = ["--data", str(tmp_path / "data")]

        assert main(["import", orthanc.dicomweb, *data]) == 1
        assert f"{orthanc.dicomweb} asks for a login (401): set PACS_LOGIN to 'basic" in capsys.readouterr().err
        monkeypatch.setenv("PACS_LOGIN", f"basic alice:{SECRET}")
        assert main(["import", orthanc.dicomweb, *data, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["stored"] == 3
