"""Settings: where they come from, what they may be, and that their page is true."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway import settings as module
from gateway.errors import InvalidSettings
from gateway.settings import Settings, load_settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def test_defaults_without_an_environment() -> None:
    """Nothing set is everything at its default; what is not ours in the environment does not matter."""
    assert load_settings({"PATH": "/bin", "GATEWA_PORT": "1"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("GATEWAY_DATA", "/srv/records", "data", Path("/srv/records")),
        ("GATEWAY_HOST", "::1", "host", "::1"),
        ("GATEWAY_PORT", "0", "port", 0),
        ("GATEWAY_CONSTRAINT_PROFILE", "2026-06", "constraint_profile", "2026-06"),
        ("GATEWAY_REQUIRE_IF_MATCH", "true", "require_if_match", True),
        ("GATEWAY_REQUIRE_IF_MATCH", "OFF", "require_if_match", False),
        ("GATEWAY_MAX_JSON_BODY", "1000", "max_json_body", 1000),
        ("GATEWAY_PUBLIC_BASE_URL", "https://pacs.example/gateway/", "public_base_url", "https://pacs.example/gateway"),
    ],
)
def test_variable_gives_its_setting_a_value(variable: str, text: str, setting: str, value: object) -> None:
    """Each setting is read from GATEWAY_ and its name, as the type it has."""
    assert getattr(load_settings({variable: text}), setting) == value


def test_option_wins_over_variable() -> None:
    """The command line is nearer to the operator than the environment."""
    assert load_settings({"GATEWAY_PORT": "1", "GATEWAY_HOST": "::1"}, {"port": "2", "host": None}) == Settings(
        port=2, host="::1"
    )


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("GATEWAY_PORT", "65536", "GATEWAY_PORT must be a whole number from 0 to 65535"),
        ("GATEWAY_PORT", "tcp://10.0.0.1:80", "GATEWAY_PORT must be a whole number from 0 to 65535"),
        ("GATEWAY_PORT", "٨٠", "GATEWAY_PORT must be a whole number from 0 to 65535"),
        (
            "GATEWAY_MAX_STORE_PARTS",
            "0",
            "GATEWAY_MAX_STORE_PARTS must be a whole number from 1 to 9223372036854775807",
        ),
        ("GATEWAY_CONSTRAINT_PROFILE", "2025", "GATEWAY_CONSTRAINT_PROFILE must be one of 2024-07, 2026-06"),
        (
            "GATEWAY_FORCE_NEEDS_REASON",
            "maybe",
            "GATEWAY_FORCE_NEEDS_REASON must be one of true, 1, yes, on, false, 0, no, off",
        ),
        ("GATEWAY_DATA", "", "GATEWAY_DATA must be a path, and not empty"),
        (
            "GATEWAY_PUBLIC_BASE_URL",
            "pacs.example",
            "GATEWAY_PUBLIC_BASE_URL must be an address such as https://pacs.example/gateway",
        ),
        ("GATEWAY_PROT", "80", "GATEWAY_PROT is no setting: did you mean GATEWAY_PORT?"),
        ("GATEWAY_port", "80", "GATEWAY_port is no setting: did you mean GATEWAY_PORT?"),
        ("GATEWAY_COLOUR", "x", "GATEWAY_COLOUR is no setting"),
    ],
)
def test_value_that_cannot_be_is_refused(variable: str, text: str, problem: str) -> None:
    """The sentence names the variable and what it has to be, or the variable that was meant."""
    with pytest.raises(InvalidSettings) as refused:
        load_settings({variable: text})

    assert refused.value.problems == (problem,)


def test_every_problem_is_told_at_once() -> None:
    """An operator corrects the file once."""
    with pytest.raises(InvalidSettings) as refused:
        load_settings({"GATEWAY_PROT": "80", "GATEWAY_DATA": ""}, {"port": "-1"})

    assert refused.value.problems == (
        "GATEWAY_PROT is no setting: did you mean GATEWAY_PORT?",
        "GATEWAY_DATA must be a path, and not empty",
        "--port must be a whole number from 0 to 65535",
    )


def page_rows() -> dict[str, tuple[str, str]]:
    """Return the page's table: setting -> default and what it does."""
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (default, text) for name, default, text in rows}


def documented() -> dict[str, str]:
    """Return setting -> the text below it in settings.py, on one line."""
    body = ast.parse(inspect.getsource(module.Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = [
        node.value.value for node in body.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return {field.name: " ".join(str(text).split()) for field, text in zip(fields(Settings), texts[1:], strict=True)}


def test_page_has_every_setting_as_the_code_has_it() -> None:
    """docs/settings.md and gateway/settings.py say the same, default by default and word for word."""
    defaults = {field.name: field.default for field in fields(Settings)}
    shown = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in defaults.items()}

    assert page_rows() == {name: (shown[name], text) for name, text in documented().items()}
