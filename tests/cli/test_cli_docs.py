"""The reference pages name every command and every setting."""

import re
from pathlib import Path

import pytest

from tests.cli.test_cli_usage import COMMANDS
from tocsin.settings import VARIABLES

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def _sections(name: str) -> dict[str, str]:
    text = (DOCS / name).read_text()
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_has_its_heading_and_no_heading_is_without_a_command() -> None:
    assert {f"tocsin {' '.join(path)}" for path in COMMANDS} == set(_sections("command-line.md"))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_of_a_command_stands_in_its_section(path: tuple[str, ...]) -> None:
    section = _sections("command-line.md")[f"tocsin {' '.join(path)}"]
    for parameter in COMMANDS[path].params:
        longest = max(parameter.opts, key=len)
        if longest.startswith("--") and longest != "--json":
            assert longest in section, longest


@pytest.mark.claim("origin:A3")
def test_every_setting_has_its_heading_with_its_example_and_no_other_is_promised() -> None:
    sections = _sections("settings.md")
    assert set(sections) == {variable.name for variable in VARIABLES}
    for variable in VARIABLES:
        assert f"{variable.name}={variable.example}" in sections[variable.name]


def test_the_interface_names_no_setting_that_is_not_known() -> None:
    for name in ("WHMCS_ENV", "TOCSIN_DATA_DIR", "NTFY_TOKEN", "TOCSIN_SMTP_URL", "WHMCS_URL", "SSL_EXPIRY_WARNING_DAYS"):
        assert name in {variable.name for variable in VARIABLES}
