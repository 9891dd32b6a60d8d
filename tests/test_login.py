"""Commands log in at a gateway: access keys found as AWS tools find them, Basic and Bearer of a proxy before it.

The gateways, and nginx where it is installed, are real ones.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands.login import AT_GATEWAY, Login
from gateway.errors import InvalidSettings
from tests.conftest import Server, serving
from tests.dicomweb.edits import STUDY_UID
from tests.nginx import MISSING, NGINX, free_port, running_nginx
from tests.samples import instance

KEYS = """\
[alice]
aws_access_key_id = AKIDALICE
aws_secret_access_key = alice-has-a-secret
[reader]
aws_access_key_id = AKIDREADER
aws_secret_access_key = readers-have-none
rights = read
"""

needs_nginx = pytest.mark.skipif(NGINX is None, reason=MISSING)


@pytest.fixture
def keys(no_logins: None, tmp_path: Path) -> Path:
    """The file of access keys, which is a client's credentials file as it is."""
    file = tmp_path / "keys"
    file.write_text(KEYS)
    return file


@pytest.fixture
def guarded(keys: Path, tmp_path: Path) -> Iterator[Server]:
    """A gateway with access keys."""
    with serving(tmp_path / "guarded", "--access-keys", str(keys)) as server:
        yield server


def from_environment(monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDALICE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "alice-has-a-secret")


def from_profile(monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_PROFILE", "alice")


def named(monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    """By the login's own variable, beside a key of AWS's in the environment, which it wins over."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("DICOMWEB_LOGIN", "aws alice")


# Access keys
# -----------


@pytest.mark.parametrize("found", [from_environment, from_profile, named])
def test_every_command_signs(
    found: object, keys: Path, guarded: Server, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Files, versions, a comparison and a revert; the history says whose key it was."""
    assert callable(found)
    found(monkeypatch, keys)
    url = ["--url", guarded.url]

    assert main(["import", str(archive), *url]) == 0
    assert main(["revert", STUDY_UID, "--to", "1", "--reason", "é & =+/%?", *url]) == 0
    assert main(["diff", STUDY_UID, "--from", "1", "--to", "1", *url]) == 0
    capsys.readouterr()
    assert main(["history", STUDY_UID, "--json", *url]) == 0

    [version] = json.loads(capsys.readouterr().out)
    assert version["who"] == "alice"


@needs_nginx
def test_a_large_body_is_signed(keys: Path, guarded: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not sent without a signature first: the gateway hangs up on that, and a proxy makes 502 of it."""
    from_environment(monkeypatch, keys)
    file = tmp_path / "large.dcm"
    file.write_bytes(instance(study="1.2.3", Rows=4000, Columns=4000, BitsAllocated=16, PixelData=b"\1\2" * 16_000_000))
    location = f"location / {{ proxy_pass {guarded.url}; proxy_set_header Host $http_host; }}"

    with running_nginx(tmp_path / "nginx", location) as nginx:
        assert main(["import", str(file), "--url", nginx.url]) == 0


@needs_nginx
def test_nobody_is_shown_a_key_who_does_not_ask(
    keys: Path, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers without a signature never gets one: AWS's own keys are often in the environment."""
    from_environment(monkeypatch, keys)
    with (
        serving(tmp_path / "open") as server,
        running_nginx(tmp_path / "nginx", f"location / {{ proxy_pass {server.url}; }}") as nginx,
    ):
        assert main(["import", str(archive), "--url", nginx.url]) == 0

    assert set(nginx.asked) == {"- - -"}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "{} asks for a signature, and there is no access key to sign with: set AWS_ACCESS_KEY_ID and "
             "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile that has one"),
        ({"AWS_PROFILE": "nobody"}, "{} asks for a signature, and the access key to sign with: The config profile "
                                    "(nobody) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "AKIDALICE"}, "{} asks for a signature, and the access key to sign with: Partial "
                                             "credentials found in env, missing: AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "AKIDOTHER", "AWS_SECRET_ACCESS_KEY": "s3cret"},
         "{} refuses the signature, which is for region us-east-1, with the access key found by env: The security "
         "token included in the request is invalid."),
        ({"AWS_ACCESS_KEY_ID": "AKIDALICE", "AWS_SECRET_ACCESS_KEY": "s3cret"},
         "{} refuses the signature, which is for region us-east-1, with the access key found by env: The request "
         "signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
         "signing method."),
        ({"AWS_ACCESS_KEY_ID": "AKIDALICE", "AWS_SECRET_ACCESS_KEY": "alice-has-a-secret",
          "AWS_DEFAULT_REGION": "eu-west-1"},
         "{} refuses the signature, which is for region eu-west-1, with the access key found by env: Credential "
         "should be scoped to region us-east-1 and service medical-imaging."),
        ({"DICOMWEB_LOGIN": "basic alice:s3cret"},
         "{} asks for a signature of AWS: set DICOMWEB_LOGIN to 'aws', or DICOMWEB_LOGIN_FILE to a file with that "
         "(docs/operations.md)"),
        ({"AWS_ACCESS_KEY_ID": "AKIDREADER", "AWS_SECRET_ACCESS_KEY": "readers-have-none"},
         "this access key has no right to write"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_key_is_one_sentence(
    keys: Path, guarded: Server, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    environment: dict[str, str], said: str,
) -> None:  # fmt: skip
    """Status 1; it says where the key came from and not what it is. An import says it once, and not of each file."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert main(["import", str(archive), "--url", guarded.url]) == 1

    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"gateway: {said.format(f'{guarded.url}/dicomweb')}\n")


# A proxy before the gateway
# --------------------------


@needs_nginx
def test_signature_is_of_the_path_that_clients_see(
    keys: Path, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a prefix that a proxy takes away, where public_base_url has it."""
    from_environment(monkeypatch, keys)
    own, port = free_port(), free_port()
    public = f"http://127.0.0.1:{port}/a/gateway"
    location = f"location /a/gateway/ {{ proxy_pass http://127.0.0.1:{own}/; proxy_set_header Host $http_host; }}"
    options = ["--port", str(own), "--access-keys", str(keys), "--public-base-url", public]
    with serving(tmp_path / "data", *options), running_nginx(tmp_path / "nginx", location, port):
        assert main(["import", str(archive), "--url", f"{public}/dicomweb"]) == 0
        assert main(["history", STUDY_UID, "--url", f"{public}/dicomweb/"]) == 0


BASIC = "basic Ålice:p:w ü"
BEARER = "Bearer abc.DEF-123_~+/=="


@pytest.fixture
def guarding(keys: Path, tmp_path: Path) -> Iterator[str]:
    """The address of an nginx before a gateway: Basic below /basic/, a bearer token below /bearer/."""
    if NGINX is None:
        pytest.skip(MISSING)
    passwords = tmp_path / "passwords"
    digest = b64encode(sha1("p:w ü".encode()).digest()).decode()
    passwords.write_text(f"Ålice:{{SHA}}{digest}\n", "utf-8")
    with serving(tmp_path / "data") as server:
        locations = f"""
            location /basic/ {{
                auth_basic archive; auth_basic_user_file {passwords}; proxy_pass {server.url}/;
            }}
            location /bearer/ {{
                if ($http_authorization != "{BEARER}") {{ return 401; }}
                proxy_pass {server.url}/;
            }}
            """
        with running_nginx(tmp_path / "nginx", locations) as nginx:
            yield nginx.url


@pytest.mark.parametrize(("kind", "login"), [("basic", BASIC), ("bearer", BEARER)])
@pytest.mark.parametrize("from_file", [False, True])
def test_login_of_a_proxy(
    guarding: str, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, kind: str, login: str,
    from_file: bool,
) -> None:  # fmt: skip
    """Basic or Bearer, from a variable or a file; a password may have colons and spaces."""
    if from_file:
        (tmp_path / "login").write_text(f"{login}\n", "utf-8")
        monkeypatch.setenv("DICOMWEB_LOGIN_FILE", str(tmp_path / "login"))
    else:
        monkeypatch.setenv("DICOMWEB_LOGIN", login)
    url = f"{guarding}/{kind}/dicomweb"

    assert main(["import", str(archive), "--url", url]) == 0
    assert main(["history", STUDY_UID, "--url", url]) == 0


@pytest.mark.parametrize(
    ("kind", "login", "said"),
    [
        ("basic", None, "{} asks for a login (401): set DICOMWEB_LOGIN to 'basic USER:PASSWORD', or "
                        "DICOMWEB_LOGIN_FILE to a file with that (docs/operations.md)"),
        ("bearer", None, "{} asks for a login (401): set DICOMWEB_LOGIN to 'basic USER:PASSWORD' or 'bearer TOKEN' or "
                         "'aws', or DICOMWEB_LOGIN_FILE to a file with that (docs/operations.md)"),
        ("basic", "basic Ålice:s3cret", "{} does not accept the login of DICOMWEB_LOGIN (401)"),
        ("bearer", "bearer s3cret", "{} does not accept the login of DICOMWEB_LOGIN (401)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_login_is_one_sentence(
    guarding: str, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    kind: str, login: str | None, said: str,
) -> None:  # fmt: skip
    """Status 1, and which variable it is to be in."""
    if login:
        monkeypatch.setenv("DICOMWEB_LOGIN", login)
    url = f"{guarding}/{kind}/dicomweb"

    assert main(["import", str(archive), "--url", url]) == 1

    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"gateway: {said.format(url)}\n")


# The variables
# -------------


@pytest.mark.parametrize(
    "text",
    ["s3cret", "basic", "basic s3cret", "basic a:s3cret\n", "basic a:s3\udcffcret", "bearer", "bearer s3cret s3cret",
     "bearer s3crét", "bearer s3cret\r\nX: s3cret", "digest a:s3cret", " basic a:s3cret"],
)  # fmt: skip
def test_what_is_no_login_is_refused_and_not_shown(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidSettings) as raised:
        Login(AT_GATEWAY, {"DICOMWEB_LOGIN": text}, "us-east-1")

    assert str(raised.value) == (
        "DICOMWEB_LOGIN has to be 'basic USER:PASSWORD' or 'bearer TOKEN' or 'aws', of which aws may be followed by a "
        "profile"
    )


def test_a_login_is_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two would win is nobody's guess; a file that cannot be read is named."""
    with pytest.raises(InvalidSettings, match="DICOMWEB_LOGIN and DICOMWEB_LOGIN_FILE are both set: unset one of them"):
        Login(AT_GATEWAY, {"DICOMWEB_LOGIN": "aws", "DICOMWEB_LOGIN_FILE": "x"}, "us-east-1")
    with pytest.raises(InvalidSettings, match=r"DICOMWEB_LOGIN_FILE: /no/such cannot be read \(No such file"):
        Login(AT_GATEWAY, {"DICOMWEB_LOGIN_FILE": "/no/such"}, "us-east-1")


def test_a_login_from_a_file_may_change(tmp_path: Path) -> None:
    """A token that is renewed every hour is taken as it is now."""
    file = tmp_path / "login"
    file.write_text("bearer one")
    login = Login(AT_GATEWAY, {"DICOMWEB_LOGIN_FILE": str(file)}, "us-east-1")

    file.write_text("bearer two")

    assert login.headers("GET", "http://127.0.0.1/", lambda: []) == {"Authorization": "Bearer two"}


@pytest.mark.parametrize("arguments", [["history", "1.2", "--url"], ["import"]])
def test_an_address_has_no_password(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Command lines are read by all: status 2, and it is not repeated."""
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "https://alice:s3cret@pacs.example/dicom-web"])

    said = capsys.readouterr().err
    assert "an address has no login in it" in said and "s3cret" not in said
