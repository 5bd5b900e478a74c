"""``/alerts``: looking at alerts and acting on them."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from msgspec import Meta

from tocsin.alerts import queries, rules, store
from tocsin.alerts.model import Alert, Status
from tocsin.api import shapes
from tocsin.api.context import Given, InPath, TheCaller, TheServer, chosen_site, visible_sites
from tocsin.api.fields import (
    AlertStatuses,
    Comment,
    Cursor,
    Host,
    Level,
    Limit,
    Moment,
    Note,
    Search,
    Since,
    Slug,
    TypeFilter,
    Until,
)
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.problems import Problem, problem_of
from tocsin.api.standing import standing, standings
from tocsin.bootstrap import Server
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput, NotFound, TocsinError
from tocsin.core.severity import Severity
from tocsin.core.times import from_datetime
from tocsin.db.writer import Tx
from tocsin.identity import store as identity_store
from tocsin.identity.model import Caller
from tocsin.notify import queries as notify_queries
from tocsin.pipeline.actions import Decide

MAX_NOTIFICATIONS = 1_000
BULK_CHUNK = 100  # alerts in one transaction, so that others are not kept waiting

Seconds = Annotated[int, Meta(ge=1, le=2_592_000, extra={"must": "be a whole number of seconds from 1 to 2592000 (30 days)"})]


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts, in which order."""

    status: AlertStatuses | None = None
    site: Slug | None = None
    severity_min: Level | None = None
    type: TypeFilter | None = None
    host: Host | None = None
    q: Search | None = None
    since: Since | None = None
    until: Until | None = None
    sort: queries.Sort = queries.Sort.NEWEST
    limit: Limit = 100
    cursor: Cursor | None = None


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """A note to go with it."""

    note: Note | None = None


class Acknowledgement(Noted, frozen=True, kw_only=True):
    """For how long: default as the settings say; 0 for ever."""

    for_seconds: (
        Annotated[int, Meta(ge=0, le=2_592_000, extra={"must": "be a whole number of seconds from 0 (for ever) to 2592000 (30 days)"})]
        | None
    ) = None


class Snooze(Noted, frozen=True, kw_only=True):
    """For how long, or until when: exactly one of the two."""

    for_seconds: Seconds | None = None
    until: Moment | None = None


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Who shall look after it: a user's address or id."""

    user: Annotated[str, Meta(min_length=1, max_length=254)]


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A note in the history."""

    text: Comment


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """The level that you saw (`escalation.level` of the alert): if it has changed since, nothing is done."""

    from_level: Annotated[int, Meta(ge=-1, le=1000, extra={"must": "be a level: a whole number from -1 (none yet) to 1000"})] | None = None


class TestAlert(msgspec.Struct, frozen=True, kw_only=True):
    """How loud, and for which site (default: the key's own, else ``main``)."""

    severity: Level = 4
    site: Slug | None = None


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """One action on many alerts, with the fields that the action takes on one."""

    ids: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=36)]],
        Meta(min_length=1, max_length=1000, extra={"must": "be a list of 1 to 1000 ids"}),
    ]
    action: Literal["acknowledge", "unacknowledge", "resolve", "snooze", "assign", "comment"]
    note: Note | None = None
    for_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] | None = None
    until: Moment | None = None
    user: Annotated[str, Meta(min_length=1, max_length=254)] | None = None
    text: Comment | None = None


class BulkOutcome(msgspec.Struct, frozen=True):
    """What became of one id: the alert as it now is, or why not."""

    id: str
    ok: bool
    alert: shapes.AlertOut | None = None
    problem: Problem | None = None


class BulkOut(msgspec.Struct, frozen=True):
    """One outcome for each id, in order."""

    items: list[BulkOutcome]


class AlertsApi(Controller):
    """Alerts."""

    path = "/alerts"
    tags = ("Alerts",)

    @get(sync_to_thread=True)
    def list_alerts(self, server: TheServer, caller: TheCaller, asked: Given[AlertQuery]) -> shapes.AlertPage:
        """Lists alerts.

        `since` and `until` keep those that were alive in between: last seen from `since` on, first seen before `until`.
        `sort=-impact` lists what is not resolved, that on which most hangs first.
        """
        core = server.core
        wanted, weigh = filter_of(asked, visible_sites(core.sites, caller, asked.site)), core.impacts.weight
        if asked.sort is queries.Sort.HEAVIEST and Status.RESOLVED in wanted.statuses:
            raise InvalidInput.of("sort", "by -impact there are only alerts that are not resolved. Example: status=open&sort=-impact")
        after = read_cursor(asked.cursor, f"alerts{asked.sort.value}", (int, int))
        with core.database.read() as connection:
            found = queries.page(connection, wanted, asked.sort, after, asked.limit + 1, weigh, core.impacts.names)
            items, cursor = cut_page(found, asked.limit, f"alerts{asked.sort.value}", lambda alert: asked.sort.place(alert, weigh))
            escalations = standings(core, connection, items)
        return shapes.AlertPage(cursor, [_out(server, alert, escalations.get(alert.number)) for alert in items])

    @get("/{ref:str}", sync_to_thread=True)
    def show_alert(self, server: TheServer, caller: TheCaller, ref: InPath) -> shapes.AlertDetail:
        """Shows one alert with its history and notifications; `ref` is its id or its short number."""
        core = server.core
        with core.database.read() as connection:
            alert = queries.find(connection, ref, caller.site_ids)
            if alert is None:
                raise _no_alert(ref)
            history = queries.history(connection, alert.number)
            told = notify_queries.page(connection, notify_queries.Filter(alert_number=alert.number), None, MAX_NOTIFICATIONS)
            escalation = standing(core, connection, alert)
        found = core.impacts.of(alert.site_id, alert.host, alert.subject, alert.attributes)
        impact = None if found is None else shapes.impact_out(found, core.clock.now())
        return shapes.alert_detail(alert, history, told, core.sites.slug_of, core.settings.public_url, escalation, impact)

    @post("/{ref:str}/acknowledge", status_code=200)
    async def acknowledge(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Acknowledgement]) -> shapes.AlertOut:
        """Takes it over: what still waits to be sent is cancelled, and it is quiet until the acknowledgement expires."""
        return await _act(server, caller, ref, server.core.actions.acknowledge(caller.name, sent.note, _ms(sent.for_seconds)))

    @post("/{ref:str}/unacknowledge", status_code=200)
    async def unacknowledge(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Noted]) -> shapes.AlertOut:
        """Gives it back: it is open again, and people are told again."""
        return await _act(server, caller, ref, lambda alert, now: rules.unacknowledge(alert, caller.name, sent.note, now))

    @post("/{ref:str}/resolve", status_code=200)
    async def resolve(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Noted]) -> shapes.AlertOut:
        """Says that it is over."""
        return await _act(server, caller, ref, lambda alert, now: rules.resolve(alert, caller.name, sent.note, now))

    @post("/{ref:str}/snooze", status_code=200)
    async def snooze(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Snooze]) -> shapes.AlertOut:
        """Keeps it quiet for a while; if it is still there then, people are told again."""
        return await _act(server, caller, ref, _snooze(caller.name, sent.for_seconds, sent.until, sent.note))

    @post("/{ref:str}/assign", status_code=200)
    async def assign(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Assignment]) -> shapes.AlertOut:
        """Names who shall look after it."""
        return await _act(server, caller, ref, await _assign(server, caller.name, sent.user))

    @post("/{ref:str}/comment", status_code=200)
    async def comment(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Remark]) -> shapes.AlertOut:
        """Leaves a note in the history."""
        return await _act(server, caller, ref, lambda alert, now: rules.comment(alert, caller.name, sent.text, now))

    @post("/{ref:str}/escalate", status_code=200)
    async def escalate(self, server: TheServer, caller: TheCaller, ref: InPath, sent: Given[Escalation]) -> shapes.AlertOut:
        """Has the next level of its policy told at once; who had acknowledged or snoozed it has it no longer.

        With `from_level`, nothing is done if it has another level by now: two who press at once escalate once. After the last
        level, and while the alert is muted, it is refused (409).
        """
        return await server.core.writer.run(_escalate(server, caller, ref, sent.from_level))

    @post("/bulk", status_code=200)
    async def bulk(self, server: TheServer, caller: TheCaller, sent: Given[Bulk]) -> BulkOut:
        """Does one thing to many alerts, and says for each what became of it."""
        decide = await decision(server, caller.name, sent)
        items: list[BulkOutcome] = []
        for start in range(0, len(sent.ids), BULK_CHUNK):
            refs = sent.ids[start : start + BULK_CHUNK]
            items += await server.core.writer.run(_each(server, caller, refs, decide))
        return BulkOut(items)

    @post("/test", status_code=201)
    async def test_alert(self, server: TheServer, caller: TheCaller, sent: Given[TestAlert]) -> shapes.AlertOut:
        """Raises a test alert that goes the whole way, as a real one would."""
        core = server.core
        site = chosen_site(core.sites, caller, sent.site)
        raise_it = core.actions.test_alert(Severity(sent.severity), site, caller.who)
        return await core.writer.run(lambda tx: _shown(server, tx, raise_it(tx)))


def filter_of(asked: AlertQuery, site_ids: frozenset[int] | None) -> queries.Filter:
    """What a query asks for, of the sites that its sender may see."""
    since, until = period(asked.since, asked.until)
    return queries.Filter(
        statuses=tuple(dict.fromkeys(asked.status.split(","))) if asked.status else (),
        site_ids=site_ids,
        severity_min=asked.severity_min,
        type=asked.type,
        host=asked.host,
        q=asked.q,
        since=since,
        until=until,
    )


def period(since: Any, until: Any) -> tuple[int | None, int | None]:
    """Two moments as milliseconds. Raises `InvalidInput` if the second is before the first."""
    start = None if since is None else from_datetime(since)
    end = None if until is None else from_datetime(until)
    if start is not None and end is not None and end < start:
        raise InvalidInput.of("until", "is before since")
    return start, end


def _out(server: Server, alert: Alert, escalation: shapes.EscalationOut | None) -> shapes.AlertOut:
    return shapes.alert_out(alert, server.core.sites.slug_of, server.core.settings.public_url, escalation)


def _shown(server: Server, tx: Tx, alert: Alert) -> shapes.AlertOut:
    """The alert as this transaction leaves it."""
    return _out(server, alert, standing(server.core, tx.sql, alert))


def _no_alert(ref: str) -> NotFound:
    return NotFound(f"there is no alert {ref[:40]}")


async def _act(server: Server, caller: Caller, ref: str, decide: Decide) -> shapes.AlertOut:
    work = work_on(server, caller, ref, decide)
    return await server.core.writer.run(lambda tx: _shown(server, tx, work(tx)))


def _escalate(server: Server, caller: Caller, ref: str, from_level: int | None) -> Callable[[Tx], shapes.AlertOut]:
    if queries.by_ref(ref) is None:
        raise _no_alert(ref)

    def work(tx: Tx) -> shapes.AlertOut:
        alert_id = store.by_number(tx, int(ref)).id if ref.isdigit() else ref.lower()
        try:
            return _shown(server, tx, server.core.actions.escalate(alert_id, caller.who, from_level, caller.site_ids)(tx))
        except NotFound:
            raise _no_alert(ref) from None

    return work


def work_on(server: Server, caller: Caller, ref: str, decide: Decide) -> Callable[[Tx], Alert]:
    """The work of acting on the alert with this id or number. Raises `NotFound`, `Conflict`, `InvalidInput`."""
    if queries.by_ref(ref) is None:
        raise _no_alert(ref)

    def work(tx: Tx) -> Alert:
        alert_id = store.by_number(tx, int(ref)).id if ref.isdigit() else ref.lower()
        try:
            return server.core.actions.act(alert_id, decide, caller.site_ids, caller.address)(tx)
        except NotFound:
            raise _no_alert(ref) from None  # in the caller's words: another site's alert shows nothing of itself, not even its id

    return work


def _each(server: Server, caller: Caller, refs: list[str], decide: Decide) -> Callable[[Tx], list[BulkOutcome]]:
    """The same for many: a refusal is noted and does not keep the others from happening."""

    def work(tx: Tx) -> list[BulkOutcome]:
        outcomes = []
        for ref in refs:
            try:
                outcomes.append(BulkOutcome(ref, True, _shown(server, tx, work_on(server, caller, ref, decide)(tx))))
            except TocsinError as error:
                outcomes.append(BulkOutcome(ref, False, None, problem_of(error)))
        return outcomes

    return work


async def decision(server: Server, who: str, sent: Bulk) -> Decide:
    """The decision that *sent* names, made by *who*. Raises `InvalidInput`."""
    match sent.action:
        case "acknowledge":
            return server.core.actions.acknowledge(who, sent.note, _ms(sent.for_seconds))
        case "unacknowledge":
            return lambda alert, now: rules.unacknowledge(alert, who, sent.note, now)
        case "resolve":
            return lambda alert, now: rules.resolve(alert, who, sent.note, now)
        case "snooze":
            return _snooze(who, sent.for_seconds, sent.until, sent.note)
        case "assign":
            return await _assign(server, who, _needed("user", sent.user))
        case "comment":
            text = _needed("text", sent.text)
            return lambda alert, now: rules.comment(alert, who, text, now)


def _needed(field: str, value: str | None) -> str:
    if value is None:
        raise InvalidInput.of(field, "is required for this action")
    return value


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND


def _snooze(who: str, for_seconds: int | None, until: Any, note: str | None) -> Decide:
    if (for_seconds is None) == (until is None):
        raise InvalidInput.of("for_seconds", "give exactly one of for_seconds and until")
    end = None if until is None else from_datetime(until)
    length = (for_seconds or 0) * SECOND
    if end is None and length == 0:
        raise InvalidInput.of("for_seconds", "must be at least 1")
    return lambda alert, now: rules.snooze(alert, who, now + length if end is None else end, note, now)


async def _assign(server: Server, who: str, user: str) -> Decide:
    """The decision to assign to a user given by address or id. Raises `InvalidInput` for one who is not there."""

    def find() -> str | None:
        with server.core.database.read() as connection:
            users = identity_store.list_users(connection)
        return next((one.email for one in users if user.lower() in (one.email, one.id) and one.disabled_at is None), None)

    email = await asyncio.to_thread(find)
    if email is None:
        raise InvalidInput.of("user", f"there is no user {user[:80]}")
    return lambda alert, now: rules.assign(alert, who, email, now)
