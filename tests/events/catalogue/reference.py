"""Writes ``docs/reference/catalogue.md`` from the rows: ``python tests/events/catalogue/reference.py``."""

from collections.abc import Iterable
from pathlib import Path

from tocsin.events.catalogue.model import CatalogueRow, Category
from tocsin.events.catalogue.rows import DEFAULT_PATTERNS, DERIVED_ROWS, HOOK_ROWS, METRICS, ROWS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "catalogue.md"

_INTRO = """\
# Event catalogue

<!-- Written by tests/events/catalogue/reference.py from src/tocsin/events/catalogue; a test keeps both equal. -->

What Tocsin knows of each type of event: its category, how loud it is, what it is about, and what it resolves.
A site can change every row (severity, quiet severity, loud or not, title, category) and add types of its own.

- **Severity**: "4 when ..., else 1" is loud, and a problem, when the condition holds; otherwise it is quiet and only recorded.
  One number alone is the severity always used: 3 and more is a problem, 1 and 2 are quiet.
- **Subject**: the kind of thing, and the attribute that names it: `invoice` from `invoiceid` gives `invoice:1042`.
  Upper and lower case do not matter.
- **Resolves**: the open alerts of these types on the same subject are resolved.
- A type that is not listed is a problem of severity 3, titled after its type: `disk.full` is "Disk full".
"""

_TITLES = """\
## Titles

`{name}` is an attribute, `{id}` what the subject names, `{subject}` and `{host}` those of the event. A part in `[...]` is left out when
one of its names is missing; `|` separates alternatives, of which the first that can be filled is used. Values are cut at 60 characters,
titles at 200.
"""

_LOG = """\
## Activity log patterns

Lines of the WHMCS activity log become events of these types, either by the name that the bridge sends, or, where a site forwards the
text, by the expression (upper and lower case alike; the first that matches counts). Named groups are read like attributes. A site's own
patterns are tried first, and replace a shipped one of the same name.
"""

_METRICS = """\
## Counted hooks

These hooks fire too often, or say too little, to be events: the bridge counts them. When a heartbeat stays away, something is wrong.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [_INTRO]
    for category in Category:
        rows = [row for row in HOOK_ROWS if row.category is category]
        parts.append(f"## {category.value.capitalize()}\n\n{_rows(rows)}")
    parts.append(f"## Without a hook\n\n{_rows(DERIVED_ROWS)}")
    parts.append(f"{_TITLES}\n{_titles()}")
    parts.append(f"{_LOG}\n{_patterns()}")
    parts.append(f"{_METRICS}\n{_metrics()}")
    return "\n".join(parts)


def _rows(rows: Iterable[CatalogueRow]) -> str:
    return _table(
        ("Type", "Hook", "Category", "Severity", "Subject", "Resolves"),
        ((f"`{row.type}`", _code(row.hook), row.category.value, _severity(row), _subject(row), _resolves(row)) for row in rows),
    )


def _severity(row: CatalogueRow) -> str:
    if row.when is None:
        return str(row.quiet_severity.value)
    becomes = f" (as `{row.becomes}`)" if row.becomes else ""
    return f"{row.severity.value} when {row.when.value}{becomes}, else {row.quiet_severity.value}"


def _subject(row: CatalogueRow) -> str:
    first = [f"`{row.kind}` from `{row.keys[0]}`"] if row.kind and row.keys else []
    return ", or ".join([*first, *(f"`{place.kind}` from `{place.key}`" for place in row.elsewhere)])


def _resolves(row: CatalogueRow) -> str:
    names = ", ".join(f"`{name}`" for name in row.recovers)
    return names + "".join(f" of the `{place.kind}` in `{place.key}`" for place in row.recovers_on)


def _titles() -> str:
    return _table(
        ("Type", "Title", "When loud"),
        ((f"`{row.type}`", _template(row.title), _template(row.title_when)) for row in ROWS),
    )


def _patterns() -> str:
    return _table(("Name", "Type", "Expression"), ((f"`{p.name}`", f"`{p.type}`", _template(p.pattern)) for p in DEFAULT_PATTERNS))


def _metrics() -> str:
    return _table(
        ("Metric", "Hook", "Counts", "One is counted when", "Heartbeat"),
        ((f"`{m.name}`", f"`{m.hook}`", m.unit, m.meaning, "yes" if m.heartbeat else "") for m in METRICS),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _template(text: str) -> str:
    """A bar inside a table cell is written with a backslash, inside of code too."""
    return _code(text.replace("|", "\\|"))


if __name__ == "__main__":
    PAGE.write_text(page())
