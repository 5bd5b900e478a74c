"""Writes ``docs/reference/permissions.md`` from the table of permissions: ``python tests/identity/reference.py``."""

from collections.abc import Iterator
from pathlib import Path

from tocsin.identity.model import Permission, Role
from tocsin.identity.permissions import TABLE, Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
WHO = {Role.VIEWER: "viewer", Role.RESPONDER: "responder", Role.ADMIN: "admin"}

HEAD = """\
# Permissions

Who may do what: one table in the code, `identity/permissions.py`, which the API, the pages and this page are made of. A route that
is not in it is closed to everybody. This page is written by `python tests/identity/reference.py`.

A person has a role; a key has scopes, and `admin` includes all of them. A person may be limited to some sites, a key to one: then
everything else does not exist for them (404), and what is marked *whole* is closed to them (403), since it is not one site's.

"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_overview()) + "".join(part for row in TABLE for part in _section(row))


def _overview() -> Iterator[str]:
    yield "| permission | " + " | ".join(WHO.values()) + " | scope of a key | |\n|---|" + "---|" * (len(WHO) + 2) + "\n"
    for row in TABLE:
        roles = " | ".join("yes" if role in row.roles else "" for role in WHO)
        scope = "none needed" if row.permission is Permission.OPEN else row.scope.value if row.scope else "no key"
        yield f"| [{row.permission}](#{row.permission}) | {roles} | {scope} | {'whole' if row.whole else ''} |\n"


def _section(row: Row) -> Iterator[str]:
    yield f"\n## {row.permission}\n\n{row.meaning}\n\n"
    yield from _routes("Calls", row.calls)
    yield from _routes("Pages", row.pages)


def _routes(title: str, routes: tuple[str, ...]) -> Iterator[str]:
    if routes:
        yield f"{title}:\n\n" + "".join(f"- `{route}`\n" for route in routes) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page().rstrip() + "\n")
