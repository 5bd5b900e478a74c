"""Which claim is held by which test.

A test names the claims that would be false if it failed::

    @pytest.mark.claim("A2", "L2")

Known ids are those of ``contracts/claims.json``. Product ids stand plain; so do the origin's, except those that exist in
both lists: ``origin:A1`` is the origin's. ``make claims`` prints every id with its tests.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

CONTRACT = Path(__file__).parent.parent / "contracts" / "claims.json"


def known_claims() -> dict[str, str]:
    """Every id with its one line."""
    return {claim["id"]: claim["text"] for claim in json.loads(CONTRACT.read_text())["claims"]}


def canonical(claim: str, known: Iterable[str]) -> str:
    """``origin:K5`` is K5, as there is only one K5."""
    plain = claim.removeprefix("origin:")
    return plain if claim not in known and f"origin:{plain}" not in known else claim


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--claims``."""
    parser.addoption("--claims", action="store_true", help="print which claim is held by which tests, and run nothing")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is run with ``--claims``."""
    if config.getoption("--claims"):
        config.option.collectonly = True
        config.option.verbose = -2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Notes the claims of each test; an id that nobody knows is a mistake. Runs before tests are deselected."""
    known = known_claims()
    held: dict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        for marker in item.iter_markers("claim"):
            for written in marker.args:
                claim = canonical(written, known)
                if claim not in known:
                    raise pytest.UsageError(f"{item.nodeid} names the claim {written}, which {CONTRACT.name} does not know")
                held[claim][item.nodeid.partition("[")[0]] = None
    config.stash[HELD] = {claim: list(tests) for claim, tests in held.items()}


HELD = pytest.StashKey[dict[str, list[str]]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of ``--claims``."""
    if not config.getoption("--claims"):
        return
    known, held = known_claims(), config.stash[HELD]
    for claim, text in known.items():
        terminalreporter.write_line(f"{claim:11} {text}", bold=claim in held)
        for test in held.get(claim, ()):
            terminalreporter.write_line(f"            - {test}")
    nobody = [claim for claim in known if claim not in held]
    terminalreporter.write_line(f"\nheld by no test ({len(nobody)} of {len(known)}): {', '.join(nobody)}")
