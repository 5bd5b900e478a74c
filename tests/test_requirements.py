"""What `make lock` has pinned is all that pip will take: what is missing there is said on a fresh machine only."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def wanted(*extras: str) -> set[str]:
    """Everything that the project needs on this machine with these extras, and what that needs in turn."""
    named = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    found: set[str] = set()
    waiting = [(Requirement(text), {""}) for text in named]
    seen = set()
    while waiting:
        needed, asked_for = waiting.pop()
        if needed.marker is not None and not any(needed.marker.evaluate({"extra": extra}) for extra in asked_for):
            continue
        name = canonicalize_name(needed.name)
        found.add(name)
        if (name, *sorted(needed.extras)) not in seen:
            seen.add((name, *sorted(needed.extras)))
            waiting += [(Requirement(text), {"", *needed.extras}) for text in distribution(name).requires or ()]
    return found


@pytest.mark.parametrize(("lock", "extras"), [("run.txt", ["install"]), ("dev.txt", ["install", "dev"])])
def test_everything_that_is_needed_is_pinned(lock: str, extras: list[str]) -> None:
    pinned = set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))
    assert wanted(*extras) - pinned == set()
