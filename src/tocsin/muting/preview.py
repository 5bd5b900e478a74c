"""What a silence would mute: the alerts of now and of the last seven days, found within a bounded time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY, monotonic
from tocsin.db import tables
from tocsin.muting.matching import Conditions
from tocsin.muting.model import Labels, Matchers, Op

WEEK = 7 * DAY
MOST_LOOKED_AT = 50_000
SECONDS = 2.0
LISTED = 100
_CHECK_TIME_EVERY = 500

_A, _O = tables.alerts.c, tables.outbox.c
_COLUMNS = (_A.number, _A.site_id, _A.type, _A.severity, _A.host, _A.subject, _A.attributes)


class Muted(msgspec.Struct, frozen=True):
    """How many alerts, and the numbers of the newest of them."""

    count: int
    newest: tuple[int, ...]


class Preview(msgspec.Struct, frozen=True):
    """What is open and would be quiet, what was open in the last seven days and would have been, and how many messages
    of these would not have been made. ``complete`` False: there was more than could be looked at.
    """

    now: Muted
    week: Muted
    messages: int
    complete: bool


class Scope(msgspec.Struct, frozen=True):
    """Whose alerts count: site ids (None: all), and how sites are called."""

    site_ids: frozenset[int] | None
    slug_of: Callable[[int], str]
    id_of: Callable[[str], int | None]


def preview(connection: sa.Connection, matchers: Matchers, scope: Scope, now: int) -> Preview:
    """Looks for what *matchers* match. Raises `InvalidInput` for matchers that cannot be used."""
    look = _Look(Conditions(matchers), scope)
    narrow = _narrowed(matchers, scope)
    open_now = look.through(connection, sa.select(*_COLUMNS).where(sa.text("status <> 'resolved'"), *narrow))
    over = (sa.text("status = 'resolved'"), _A.resolved_at >= now - WEEK)
    resolved = look.through(connection, sa.select(*_COLUMNS).where(*over, *narrow).order_by(_A.resolved_at.desc()))
    week = sorted([*open_now, *resolved], reverse=True)
    messages = _messages(connection, week, now - WEEK)
    newest = tuple(sorted(open_now, reverse=True)[:LISTED])
    return Preview(Muted(len(open_now), newest), Muted(len(week), tuple(week[:LISTED])), messages, look.complete)


def muted_now(connection: sa.Connection, matchers: Matchers, scope: Scope) -> int:
    """How many alerts that are not resolved *matchers* match; at least so many, where there are too many to look at."""
    query = sa.select(*_COLUMNS).where(sa.text("status <> 'resolved'"), *_narrowed(matchers, scope))
    return len(_Look(Conditions(matchers), scope).through(connection, query))


class _Look:
    """Reads rows until there are too many, or it has taken too long."""

    def __init__(self, conditions: Conditions, scope: Scope) -> None:
        self._conditions, self._slug_of = conditions, scope.slug_of
        self._left = MOST_LOOKED_AT
        self._until = monotonic() + SECONDS
        self.complete = True

    def through(self, connection: sa.Connection, query: sa.Select[Any]) -> list[int]:
        """The numbers of the alerts that match."""
        rows = connection.execute(query.limit(self._left + 1).execution_options(yield_per=1_000))
        return [number for number, labels in self._labelled(rows) if self._conditions.holds(labels)]

    def _labelled(self, rows: sa.CursorResult[Any]) -> Iterator[tuple[int, Labels]]:
        for row in rows:
            number, site_id, *rest = list(row)
            if self._left <= 0 or (self._left % _CHECK_TIME_EVERY == 0 and monotonic() > self._until):
                self.complete = False
                rows.close()
                return
            self._left -= 1
            yield number, Labels(self._slug_of(site_id), *rest)


def _narrowed(matchers: Matchers, scope: Scope) -> list[sa.ColumnElement[bool]]:
    """What the database can sort out beforehand; what it cannot is left to the matchers."""
    found: list[sa.ColumnElement[bool]] = [] if scope.site_ids is None else [_A.site_id.in_(scope.site_ids)]
    for matcher in matchers:
        value = matcher.value
        if matcher.op is Op.EQUAL and value:
            match matcher.field:
                case "site":
                    found.append(_A.site_id == (scope.id_of(value) or -1))
                case "type" | "host" | "subject":
                    found.append(_A[matcher.field] == value)
                case "severity":
                    found.append(_A.severity == (int(value) if value in "12345" and len(value) == 1 else -1))
        elif matcher.op is Op.PREFIX and matcher.field == "type":
            found.append(sa.func.substr(_A.type, 1, len(value)) == value)
    return found


def _messages(connection: sa.Connection, numbers: Sequence[int], since: int) -> int:
    """How many messages about trouble the alerts *numbers* have led to."""
    count = 0
    for start in range(0, len(numbers), 500):
        query = sa.select(sa.func.count()).where(
            _O.alert_number.in_(numbers[start : start + 500]),
            _O.kind.in_(("opened", "escalated", "repeated")),
            _O.created_at >= since,
            _O.status != "cancelled",
        )
        count += connection.execute(query).scalar_one()
    return count
