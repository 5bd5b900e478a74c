"""The reference names every channel, and its example for checking a signature works."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.notify.letters import NOW
from tocsin.notify.channels.webhook import signature
from tocsin.notify.targets import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "channels.md"


def test_every_kind_has_its_heading_and_no_other_is_promised() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    assert sorted(headings) == sorted(KINDS)


def test_the_example_takes_a_genuine_signature_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - the page's own code
    monkeypatch.setattr("time.time", lambda: NOW / 1000)
    header = signature(NOW, "whsec_0123456789abcdef", b"{}")
    assert names["is_genuine"](header, b"{}", "whsec_0123456789abcdef")
    assert not names["is_genuine"](header, b"{ }", "whsec_0123456789abcdef")
    assert not names["is_genuine"](header, b"{}", "another key that is long")
