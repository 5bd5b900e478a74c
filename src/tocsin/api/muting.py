"""What silences, maintenance windows and dependencies have in common on the wire: matchers, lists, who sees which."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta

from tocsin.api.fields import Cursor, Limit
from tocsin.api.paging import cut_page, read_cursor
from tocsin.bootstrap import Server
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller
from tocsin.muting import rules, service
from tocsin.muting.matching import MAX_ATTRIBUTE_NAME, MAX_MATCHERS, MAX_VALUE
from tocsin.muting.model import Dependency, Maintenance, Matcher, Matchers, Op, Silence, as_text

MAX_COMMENT = 1_000
_STANDING = "(active|expired|upcoming)"

Kept = TypeVar("Kept", Silence, Maintenance, Dependency)
Result = TypeVar("Result")
Standing = Literal["upcoming", "active", "expired"]

Standings = Annotated[
    str,
    Meta(
        pattern=rf"^{_STANDING}(,{_STANDING})*$",
        max_length=100,
        description="Which, with commas between. Default: all.",
        examples=["active,upcoming"],
        extra={"must": "be one or more of active, expired, upcoming, with commas between"},
    ),
]
When = Annotated[datetime, Meta(tz=True, description="RFC 3339.", extra={"must": "be a time with its zone, such as 2026-01-01T00:00:00Z"})]
Comment = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_COMMENT,
        pattern=r"\S",
        description="Why, for those who wonder why it is quiet.",
        extra={"must": f"say why, in 1 to {MAX_COMMENT} characters"},
    ),
]
LooseComment = Annotated[str, Meta(max_length=MAX_COMMENT, extra={"must": f"have at most {MAX_COMMENT} characters"})]


class MatcherIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One condition: `=` equal, `!=` not equal, `^` begins with, `~` regular expression (RE2) for the whole value,
    `>=` and `<=` compare numbers.

    A field that an alert does not have counts as empty text.
    """

    field: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=len("attributes.") + MAX_ATTRIBUTE_NAME,
            description="`site`, `type`, `severity`, `host`, `subject` or `attributes.NAME`.",
            examples=["host"],
        ),
    ]
    op: Literal["=", "!=", "^", "~", ">=", "<="]
    value: Annotated[
        Annotated[str, Meta(max_length=MAX_VALUE)] | int | float | bool, Meta(description="Compared as text.", examples=["web-1"])
    ]


MatchersIn = Annotated[
    list[MatcherIn],
    Meta(
        max_length=MAX_MATCHERS,
        description="All must match; at least one must name something.",
        extra={"must": f'be a list of at most {MAX_MATCHERS} objects such as {{"field": "host", "op": "=", "value": "web-1"}}'},
    ),
]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which, and how many."""

    status: Standings | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class MatcherOut(msgspec.Struct, frozen=True):
    """One condition."""

    field: str
    op: str
    value: str


def read_matchers(sent: list[MatcherIn]) -> Matchers:
    """Matchers as they are stored."""
    return tuple(Matcher(one.field, Op(one.op), as_text(one.value)) for one in sent)


_READ: dict[str, Callable[[Any], Any]] = {
    "matchers": read_matchers,
    "parent": read_matchers,
    "children": read_matchers,
    "same": lambda value: tuple(dict.fromkeys(value)),
    "starts_at": from_datetime,
    "ends_at": from_datetime,
    "name": str.strip,
    "comment": str.strip,
}


def wanted_changes(sent: msgspec.Struct) -> dict[str, Any]:
    """The fields that a change names, as they are stored. Raises `InvalidInput` if it names none."""
    given = {
        name: value for name, value in msgspec.structs.asdict(sent).items() if value is not UNSET and (value is not None or name == "rrule")
    }
    if not given:
        raise InvalidInput.of("body", f"names nothing to change; known are {', '.join(sent.__struct_fields__)}")
    return {name: value if value is None or name not in _READ else _READ[name](value) for name, value in given.items()}


def sites_of(server: Server, caller: Caller) -> Collection[str] | None:
    """The names of the sites that *caller* may see; None: all."""
    return None if caller.site_ids is None else {server.core.sites.slug_of(site_id) for site_id in caller.site_ids}


async def write(server: Server, work: Callable[[Tx], Result]) -> Result:
    """Does *work*, then has this node know of it at once; others do within five seconds."""
    result = await server.core.writer.run(work)
    await asyncio.to_thread(server.core.refresh)
    return result


def list_page(
    server: Server, caller: Caller, kind: type[Kept], standings: str | None, limit: int, cursor: str | None
) -> tuple[list[Kept], str | None]:
    """One page of what *caller* may see, and the cursor of the next."""
    now, name = server.core.clock.now(), kind.__name__.lower()
    after = read_cursor(cursor, name, (str,))
    sites, words = sites_of(server, caller), set(standings.split(",")) if standings else None

    def is_wanted(kept: Silence | Maintenance | Dependency) -> bool:
        fits = words is None or isinstance(kept, Dependency) or rules.status_of(kept, now).value in words
        return fits and service.sees(kept, sites)

    unended_at = None if words is None or "expired" in words else now
    with server.core.database.read() as connection:
        found = service.page(connection, kind, is_wanted, after[0] if after else None, limit + 1, unended_at=unended_at)
    return cut_page(found, limit, name, lambda one: (one.id,))


def matchers_out(matchers: Matchers) -> list[MatcherOut]:
    """Matchers for the wire."""
    return [MatcherOut(m.field, m.op.value, m.value) for m in matchers]
