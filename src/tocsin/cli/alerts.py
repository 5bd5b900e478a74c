"""`tocsin alerts`: listing problems and acting on them.

Writes go straight to the database, also while a server runs: it sees them within a second, and sends what follows.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tocsin.alerts import queries, rules, store as alert_store
from tocsin.alerts.model import MAX_NOTE, Alert, Status
from tocsin.audit.model import Who
from tocsin.bootstrap import Core
from tocsin.cli.output import show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.core.ids import is_uuid
from tocsin.core.severity import Severity
from tocsin.core.text import cut, one_line
from tocsin.core.times import in_words, to_text, to_text_or_none
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.escalation import store as progress_store
from tocsin.pipeline.actions import Decide
from tocsin.reports import service

UNRESOLVED = (Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED)


@dataclass(frozen=True)
class Wanted:
    """Which alerts are listed."""

    statuses: tuple[Status, ...]
    site: str | None
    severity_min: int
    limit: int


def read_statuses(text: str | None) -> tuple[Status, ...]:
    """``open,acknowledged`` -> the states; all but resolved for None. Raises `InvalidInput`."""
    if text is None:
        return UNRESOLVED
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = [status.value for status in Status]
    for word in words:
        if word not in known:
            raise InvalidInput.of("status", f"{word!r} is none of {', '.join(known)}. Example: open,acknowledged")
    if not words:
        raise InvalidInput.of("status", f"names no state. Known: {', '.join(known)}")
    return tuple(Status(word) for word in words)


def show_alerts(start: Start, wanted: Wanted, *, as_json: bool) -> None:
    """The wanted alerts, the loudest first, then the newest."""
    with opened(start) as core:
        site_id = None if wanted.site is None else core.sites.get(wanted.site).id
        with core.database.read() as connection:
            alerts = _find(connection, wanted, site_id)
        slug_of, now = core.sites.slug_of, core.clock.now()
    if as_json:
        show_json([alert_as_json(alert, slug_of(alert.site_id)) for alert in alerts])
        return
    rows = [
        (
            a.number,
            Severity(a.severity).word,
            a.status,
            slug_of(a.site_id),
            in_words(now - a.first_seen_at),
            a.occurrences,
            cut(a.title, 80),
        )
        for a in alerts
    ]
    show_table(("NO", "SEVERITY", "STATUS", "SITE", "FOR", "TIMES", "TITLE"), rows, _nothing(wanted))


def _nothing(wanted: Wanted) -> str:
    if wanted == Wanted(UNRESOLVED, None, 1, wanted.limit):
        return "No alert is unresolved. All is quiet."
    return "There is no such alert."


def _find(connection: sa.Connection, wanted: Wanted, site_id: int | None) -> list[Alert]:
    table = tables.alerts
    query = sa.select(*[table.c[name] for name in alert_store.COLUMNS]).where(table.c.severity >= wanted.severity_min)
    query = query.where(table.c.status.in_([status.value for status in wanted.statuses]))
    if site_id is not None:
        query = query.where(table.c.site_id == site_id)
    rows = connection.execute(query.order_by(table.c.severity.desc(), table.c.number.desc()).limit(wanted.limit))
    return [Alert(*row) for row in rows]


def alert_as_json(alert: Alert, site: str) -> dict[str, object]:
    """An alert in the words of the API."""
    values = msgspec.structs.asdict(alert)
    for name in ("site_id", "generation", "due_at", "attributes", "is_parent", "hold", "flap", "noise_at"):
        del values[name]
    for name in ("first_seen_at", "last_seen_at", "acknowledged_at", "resolved_at", "snoozed_until"):
        values[name] = to_text_or_none(values[name])
    return {"site": site, **values}


def acknowledge(start: Start, which: str, note: str | None, *, as_json: bool) -> None:
    """Acknowledges one alert. Raises `NotFound`, `Conflict`."""
    _act(start, which, lambda core: core.actions.acknowledge(actor(), _checked(note)), as_json=as_json)


def resolve(start: Start, which: str, note: str | None, *, as_json: bool) -> None:
    """Resolves one alert. Raises `NotFound`."""
    reason = _checked(note)
    _act(start, which, lambda _: lambda alert, now: rules.resolve(alert, actor(), reason, now), as_json=as_json)


def escalate(start: Start, which: str, from_level: int | None, *, as_json: bool) -> None:
    """Has the next level told. Raises `NotFound`, and `Conflict` where there is none, or where the alert is quiet or over."""
    find = _finder(which)
    with opened(start) as core:
        number, level = core.writer.call(lambda tx: _next_level(core, tx, find(tx), from_level))
        with core.database.read() as connection:
            progress = progress_store.read(connection, [number])[number]
            policy = core.policies.version(connection, progress.policy_id, progress.policy_version)
        now_at = policy.count(progress)
    if as_json:
        show_json({"number": number, "policy": policy.name, "level": now_at, "escalated": now_at != level})
    elif now_at != level:
        show(f"Alert {number} is at level {now_at} of {one_line(policy.name)}: its people are told.")
    else:
        show(f"Alert {number} is at level {now_at} already: somebody else was faster. Nothing was done.")


def _next_level(core: Core, tx: Tx, alert_id: str, from_level: int | None) -> tuple[int, int | None]:
    """The number of the alert, and the level at which it stood; None: at none."""
    number = alert_store.by_id(tx, alert_id).number
    before = progress_store.of(tx, [number]).get(number)
    level = None if before is None else core.policies.version(tx.sql, before.policy_id, before.policy_version).count(before)
    core.actions.escalate(alert_id, Who(actor()), from_level)(tx)
    return number, level


def _checked(note: str | None) -> str | None:
    if note is not None and len(note) > MAX_NOTE:
        raise InvalidInput.of("note", f"has {len(note)} characters; at most {MAX_NOTE} are kept")
    return note


def show_why(start: Start, which: str, user: str | None, *, as_json: bool) -> None:
    """Why people were told of one alert, or not. Raises `NotFound`, and `InvalidInput` for a user who is not there."""
    from tocsin.api.why import why_out  # noqa: PLC0415 - only this command needs the API's shapes

    _finder(which)
    ref = which.removeprefix("#")
    with opened(start) as core, core.database.read() as connection:
        alert = queries.find(connection, ref)
        if alert is None:
            raise NotFound(f"there is no alert {ref}")
        found = why_out(service.story(connection, alert), user)
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    show(one_line(f"Alert {found.number}: {found.title}"))
    for person in found.people:
        show(one_line(person.summary))
    show("")
    show_table(("AT", "WHAT"), [(step.at, step.text) for step in found.steps], "Nothing is known about it.")


def _act(start: Start, which: str, decide: Callable[[Core], Decide], *, as_json: bool) -> None:
    find = _finder(which)
    with opened(start) as core:
        decision = decide(core)
        alert = core.writer.call(lambda tx: core.actions.act(find(tx), decision)(tx))
        site = core.sites.slug_of(alert.site_id)
    if as_json:
        show_json(alert_as_json(alert, site))
    else:
        show(one_line(f"Alert {alert.number} is {alert.status}{_by_whom(alert)}: {alert.title}"))


def _finder(which: str) -> Callable[[Tx], str]:
    """How to find the id of the alert that was named by number or id. Raises `InvalidInput`."""
    if re.fullmatch(r"#?[0-9]{1,18}", which):
        number = int(which.removeprefix("#"))
        return lambda tx: alert_store.by_number(tx, number).id
    if is_uuid(which.lower()):
        return lambda _: which.lower()
    raise InvalidInput.of("alert", f"{which!r} is neither a number nor an id. Example: 12; see `tocsin alerts list`")


def _by_whom(alert: Alert) -> str:
    if alert.status == Status.ACKNOWLEDGED:
        until = f" until {to_text(alert.due_at)}" if alert.due_at else ""
        return f" by {alert.acknowledged_by}{until}"
    if alert.status == Status.RESOLVED:
        return f" by {alert.resolved_by}"
    return ""
