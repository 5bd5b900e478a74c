"""The bridge's pages in docs/ say what the code does."""

import re

import pytest

from tests.bridge.hook_reference import PAGE, hook_table
from tests.bridge.whmcs import REPOSITORY

pytestmark = pytest.mark.claim("E1", "E5")

REFERENCE = PAGE.read_text()
HOW_TO = (REPOSITORY / "docs/how-to/install-the-bridge.md").read_text()
LIB = REPOSITORY / "php/modules/addons/tocsin/lib"


def test_the_table_of_hooks_is_the_contracts() -> None:
    assert REFERENCE.endswith(hook_table()), "run `python -m tests.bridge.hook_reference`"


def test_every_setting_has_its_row() -> None:
    _, _, settings = (LIB / "Settings.php").read_text().partition("DEFAULTS = [")
    names = re.findall(r"'(\w+)' =>", settings.partition("];")[0])
    assert len(names) == 8
    assert [name for name in names if f"| `{name}` |" not in REFERENCE] == []


def test_every_kind_of_field_is_explained() -> None:
    kinds = re.findall(r"case '(\w+)':", (LIB / "Picker.php").read_text())
    assert [kind for kind in kinds if f"`{kind}`" not in REFERENCE] == []


def test_every_option_of_the_command_has_its_row() -> None:
    usage = (LIB / "Command.php").read_text()
    assert [option for option in re.findall(r"^  (--\w+(?:=\w+)?)", usage, re.MULTILINE) if f"| `{option}` |" not in REFERENCE] == []


def test_what_people_may_see_is_in_the_troubleshooting_table() -> None:
    sources = "".join(path.read_text() for path in LIB.glob("*.php"))
    for seen in re.findall(r"^\| \*(.+?)\*", HOW_TO, re.MULTILINE):
        words = re.sub(r" \(401\)", "", seen).split("...")[0].strip()
        assert words in sources, seen
