"""The documents: links lead somewhere, code refers to pages that exist, and what the tutorial shows is what happens."""

import inspect
import os
import re
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import get_args

import click
import pytest

from tests.cli.program import Program, free_port
from tests.standins import running
from tests.terminal import Terminal
from tocsin.api import metrics
from tocsin.checks.model import Target
from tocsin.cli import commands as cli
from tocsin.cli.doctor import rules as doctor
from tocsin.identity import permissions

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "contracts").glob("*.md"), *(ROOT / "php").glob("*.md")])
PARTS = ("tutorial", "how-to", "reference", "explanation", "adr")
COMING: set[str] = set()


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """The headings of a page, as its links name them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- Links -------------------------------------------------------------------------------------------------------------


@pytest.mark.claim("A25", "origin:H1")
def test_every_link_of_a_page_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()))]
    assert len(links) > len(PAGES)
    assert [(name(page), link) for page, link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    if re.match(r"[a-z]+:", place):
        return True
    target = (page.parent / place).resolve() if place else page
    return name(target) in COMING or (target.exists() and (not anchor or anchor in anchors(target)))


@pytest.mark.claim("origin:H1")
def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = [page for part in PARTS for page in (DOCS / part).glob("*.md") if not page.name.startswith("0000")]
    assert [name(page) for page in pages if f"]({page.relative_to(DOCS)})" not in index] == []


def test_pages_that_the_code_names_exist() -> None:
    sources = [path for folder in ("src", "php", "tests", "bench", "scripts") for path in (ROOT / folder).rglob("*") if is_text(path)]
    named = {
        (name(source), page)
        for source in [*sources, ROOT / "pyproject.toml", ROOT / "Makefile"]
        for page in re.findall(r"docs/[\w/.-]+\.(?:md|svg)\b", source.read_text(errors="replace"))
    }
    assert named
    assert sorted((source, page) for source, page in named if page not in COMING and not (ROOT / page).exists()) == []


def is_text(path: Path) -> bool:
    return path.is_file() and path.suffix in {".py", ".php", ".html", ".txt", ".css", ""} and "__pycache__" not in path.parts


def test_decisions_have_numbers_of_their_own_and_the_four_parts() -> None:
    pages = sorted((DOCS / "adr").glob("[0-9]*.md"))[1:]
    numbers = [page.name[:4] for page in pages]
    assert len(numbers) == len(set(numbers)), "two decisions have one number"
    for page in pages:
        text = page.read_text()
        assert re.match(rf"# {page.name[:4]}\. \S", text), f"{page.name} begins with `# {page.name[:4]}. Title`"
        for part in ("(## )?Status", "## Context", "## Decision", "## Consequences"):
            assert re.search(rf"^{part}\b", text, flags=re.MULTILINE), f"{page.name} lacks {part}"


def test_every_folder_of_the_package_has_its_place_in_the_layout() -> None:
    layout = (ROOT / "CONTRIBUTING.md").read_text()
    parts = [path for path in (ROOT / "src" / "tocsin").iterdir() if path.name not in {"__pycache__", "__init__.py", "py.typed"}]
    assert len(parts) > 15
    assert [part.name for part in parts if f"`{part.name}{'/' if part.is_dir() else ''}`" not in layout] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (DOCS / "adr" / "0008-dependencies.md").read_text()
    wanted = [*project["dependencies"], *(package for extra in project["optional-dependencies"].values() for package in extra)]
    names = [re.split(r"[<>=!~ ;]", package)[0] for package in wanted]
    assert [package for package in names if f"`{package}`" not in reasons] == []


def test_the_glossary_is_in_alphabetical_order_and_has_each_word_once() -> None:
    words = [word.lower() for word in re.findall(r"^\*\*(.+?)\.\*\*", (DOCS / "glossary.md").read_text(), flags=re.MULTILINE)]
    assert len(words) > 40
    assert words == sorted(set(words))


# --- The reference -----------------------------------------------------------------------------------------------------

REFERENCE = "".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))


def test_every_call_of_the_api_stands_in_the_reference() -> None:
    written = [f"`{call.replace(' /api/v1/', ' /')}`" for row in permissions.TABLE for call in row.calls]
    assert len(written) > 150
    assert [call for call in written if call not in REFERENCE] == [], "name them on pages in docs/reference/, without /api/v1"


def test_every_metric_stands_in_the_reference() -> None:
    names = set(re.findall(r'"((?:tocsin|process)_\w+)"', inspect.getsource(metrics)))
    assert len(names) > 10
    assert names == set(re.findall(r"^\| `(\w+)` \|", (DOCS / "reference" / "metrics.md").read_text(), flags=re.MULTILINE))


def sections(page: Path) -> set[str]:
    return set(re.findall(r"^## (.+)$", without_code(page.read_text()), flags=re.MULTILINE))


def test_every_part_that_doctor_checks_has_its_section() -> None:
    parts = set(re.findall(r"""(?:part(?:, \w+)? =|_ok\(|_warning\(|_fault\() ?"([\w ]+)\"""", inspect.getsource(doctor)))
    assert len(parts) > 9
    assert sorted(parts - {"access"} - sections(DOCS / "how-to" / "doctor.md")) == []


SOURCES = [path.read_text() for folder in ("src", "php") for path in (ROOT / folder).rglob("*.p*") if path.suffix in (".py", ".php")]


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=name)
def test_what_a_guide_says_that_people_see_is_said_somewhere(page: Path) -> None:
    """The first cells of `you see` tables, in italics; three dots stand for what differs."""
    seen = [words for row in re.findall(r"^\| (\*.+?) \|", page.read_text(), flags=re.MULTILINE) for words in re.findall(r"\*(.+?)\*", row)]
    said = "".join(SOURCES)
    missing = [part for words in seen for part in re.split(r" ?\.\.\. ?| \(401\)", words) if part and part not in said]
    assert missing == []


def test_every_kind_of_check_has_its_heading() -> None:
    headings = set(re.findall(r"^### (\w+)$", (DOCS / "reference" / "checks.md").read_text(), flags=re.MULTILINE))
    assert headings == {target.__struct_config__.tag for target in get_args(Target)}


# --- Commands --------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[str]:
    """All `tocsin ...` that a text names in code, as far as they are whole: nothing left out, no choices, no shell around them."""
    blocks = re.findall(r"^ *```(?:sh|console)?\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`([^`\n]+)`", without_code(text))
    found = [
        re.match(r"^(?:\$ )?(?:\w+=\S* )*(?:sudo -u \w+ )?(?:\.venv/bin/)?(tocsin [a-z-].*)$", part.strip()) for part in lines + inline
    ]
    whole = [re.split(r" (?:[<>|]|2>|&&|;)", match[1])[0] for match in found if match]
    return [command for command in whole if command not in COMING and not re.search(r"\.\.\.|\[|\||COMMAND", command)]


@pytest.mark.claim("A25")
def test_every_command_that_a_page_names_can_be_given() -> None:
    named = [(page, command) for page in PAGES for command in commands(page.read_text())]
    assert len(named) > len(PAGES)
    wrong = []
    for page, command in named:
        try:
            understand(shlex.split(command.replace("NUMBER_OR_ID", "1"))[1:])
        except click.UsageError as error:
            wrong.append(f"{name(page)}: {command}: {error.format_message()}")
    assert wrong == []


def understand(words: list[str]) -> None:
    """Parses *words* as the program would, and does nothing. Raises `click.UsageError`."""
    group: click.Command = cli.tocsin
    while isinstance(group, click.Group):
        name_, *words = words or [""]
        if name_.startswith("--"):
            return  # an option of the program itself
        if name_ not in group.commands:
            raise click.UsageError(f"there is no {name_!r}")
        group = group.commands[name_]
        if isinstance(group, click.Group) and not words:
            return  # a family of commands is named
    if words or not any(parameter.required for parameter in group.params):
        group.make_context(group.name, words)


# --- The tutorial, run -------------------------------------------------------------------------------------------------

VARIES = (
    (r"tocsin_[\w-]{43}", "KEY"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
    (r"\bcli:\w+", "cli:WHO"),
    (r"\b\d+ s\b", "A WHILE"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(?<=Tocsin )\d+\.\d+\.\d+\S*", "VERSION"),
    (r" +", " "),
)
END = "-- end of a command --"


def alike(text: str) -> list[str]:
    """The lines of *text* with what differs from run to run taken out."""
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def examples(page: Path) -> list[tuple[str, str]]:
    """The commands of a page's `console` blocks, each with what it shows below it."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), flags=re.MULTILINE)


class Reader:
    """Who follows the page: two terminals, Tocsin in the first; what the page names is replaced by what stands in for it."""

    def __init__(self, folder: Path, ntfy_url: str) -> None:
        program = Program(folder / "data", {"TOCSIN_LISTEN": f"127.0.0.1:{free_port()}"})
        here = Path(sys.executable).parent
        self._environment = {**program.environment(), "PATH": f"{here}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "200", "PS1": ""}
        self._replaced = {"https://ntfy.sh": ntfy_url, "127.0.0.1:8400": program.settings["TOCSIN_LISTEN"], "make run": "tocsin serve"}
        self._folder = folder
        self._first, self._second = self._terminal(), self._terminal()

    def _terminal(self) -> Terminal:
        return Terminal(["bash", "-c", 'while IFS= read -r line; do eval "$line"; done'], self._environment, self._folder)

    def start(self, command: str, ready: str) -> str:
        """Starts Tocsin in the first terminal; what it says up to *ready*."""
        self._first.type(f"exec env {self._put(command)}")
        return self._first.until(ready) + ready

    def stop(self) -> int:
        """Presses Ctrl+C in the first terminal; how Tocsin ended."""
        return self._first.interrupt()

    def run(self, command: str) -> str:
        """What a command in the second terminal shows."""
        self._second.type(self._put(command))
        shown = self._give_a_password() if command.startswith("tocsin user add") else ""
        self._second.type(f"echo '{END}'")
        return shown + self._second.until(f"{END}\n")

    def _give_a_password(self) -> str:
        """Answers the prompts, then waits: what is typed too early is thrown away when the terminal shows again what is typed."""
        shown = ""
        for prompt in ("Password:", "Once more:"):
            shown += f"{self._second.until(prompt)}{prompt}\n"
            self._second.type("correct horse battery")
        return f"{shown}{self._second.until('can log in')}can log in"

    def _put(self, command: str) -> str:
        for written, used in self._replaced.items():
            command = command.replace(written, used)
        return command.replace("\\\n", " ")

    def close(self) -> None:
        """Leaves."""
        self._second.close()
        self._first.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with running.ntfy() as url, closing(Reader(tmp_path, url)) as reader:
        yield reader


@pytest.mark.claim("A25")
def test_every_command_of_the_tutorial_shows_what_the_page_says(reader: Reader) -> None:
    (start, banner), *commands = examples(DOCS / "tutorial" / "first-push.md")
    assert len(commands) > 9
    shown = alike(reader.start(start, "What to do next"))
    assert [line for line in alike(banner) if line not in shown] == []
    for command, expected in commands:
        assert alike(reader.run(command)) == alike(expected), command
    assert reader.stop() == 0


@pytest.mark.claim("A25", "Q8")
def test_the_five_minutes_of_the_front_page_end_with_a_push(reader: Reader) -> None:
    blocks = re.findall(r"^ +```sh\n(.*?)^ +```$", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    start, *rest = [textwrap.dedent(block).strip() for block in blocks]
    reader.start(start, "What to do next")
    for command in "\n".join(rest).replace("\\\n", " ").splitlines():
        shown = reader.run(f"{command.replace('.venv/bin/tocsin', 'tocsin')} && echo it worked")
        assert "it worked" in shown, shown
    assert "invoice.payment_failed" in reader.run("tocsin events tail")
    assert "ntfy" in reader.run("tocsin contacts list")


@pytest.mark.claim("A25")
def test_every_command_of_the_api_page_shows_what_the_page_says(reader: Reader) -> None:
    reader.start("make run", "What to do next")
    for command, expected in examples(DOCS / "reference" / "http-api.md"):
        assert alike(reader.run(command)) == alike(expected), command
