"""The page of one alert: what happened, who was told and whether it arrived, what helped before."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin.alerts import queries
from tocsin.alerts.model import Alert, HistoryLine, Status
from tocsin.bootstrap import impact_of
from tocsin.core.clock import DAY, MINUTE
from tocsin.core.errors import NotFound
from tocsin.core.text import counted
from tocsin.escalation import store as escalation_store
from tocsin.escalation.service import PolicyBook
from tocsin.events import queries as event_queries
from tocsin.events.queries import StoredEvent
from tocsin.identity import store as identity_store
from tocsin.identity.model import User
from tocsin.notify import queries as notify_queries
from tocsin.notify.render import clean, clean_line, runbook
from tocsin.web import people
from tocsin.web.alerts import escalating, rules, timeline
from tocsin.web.alerts.rules import NextStep
from tocsin.web.alerts.timeline import Sent
from tocsin.web.desk import Desk, Sites
from tocsin.web.overview.rules import sentence
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.times import Times
from tocsin.web.viewer import TheViewer, zone_named

MESSAGES = 200
EVENTS = 6
SIMILAR, NEAR = 5, 5
NEAR_WINDOW = 15 * MINUTE
BARS = 48
WALKED = 100_000  # events among which this alert's are counted: more in a day, and the bars begin later


class Facts(msgspec.Struct, frozen=True):
    """All that the page is made of."""

    alert: Alert
    previous: Alert | None
    history: list[HistoryLine]
    sent: list[Sent]
    events: list[StoredEvent]
    counts: list[int]
    since: int
    until: int
    similar: list[Alert]
    near: list[Alert]
    users: list[User]
    planned: NextStep | None
    standing: str
    names: dict[str, str]


class AlertPage(Controller):
    """One alert."""

    path = "/alerts/{ref:str}"
    include_in_schema = False

    @get(sync_to_thread=True)
    def alert(self, request: AnyRequest, server: TheServer, viewer: TheViewer, ref: InPath) -> Response[bytes]:
        """Shows one alert; *ref* is its id or its number."""
        desk: Desk = request.app.state.desk
        now = desk.now()
        with server.core.database.read() as connection:
            facts = read(connection, ref, viewer.site_ids, server.core.policies, now)
        alert = facts.alert
        name = people.namer(facts.names)
        times = Times(zone_named(viewer.time_zone), now)
        newest = facts.events[0] if facts.events else None
        attributes = _attributes(newest)
        return screen(
            request,
            viewer,
            "alert.html",
            here="alerts",
            alert=alert,
            said=sentence(clean_line(alert.title) or alert.type, 200),
            message=clean(alert.message or "") if clean_line(alert.message or "") != clean_line(alert.title) else "",
            keeper=timeline.keeper(alert, name),
            entries=timeline.timeline(facts.history, facts.sent, name),
            sent=[timeline.told(message) for message in facts.sent],
            bars=bars(facts.counts),
            bars_from=facts.since,
            bars_until=facts.until,
            counts=facts.counts,
            events=facts.events,
            attributes=attributes,
            runbook=runbook(newest.attributes) if newest else "",
            similar=facts.similar,
            previous=facts.previous,
            near=facts.near,
            users=facts.users,
            snoozes=rules.SNOOZES,
            morning=rules.morning(now, times.midnight),
            next_step=facts.planned or rules.next_step(alert),
            escalates=facts.planned is not None,
            standing=facts.standing,
            name=name,
            site_name=desk.site_name,
            site_slug=server.core.sites.slug_of(alert.site_id),
            live=alert.status != Status.RESOLVED,
            impact=impact_of(server.core)(alert, now),
            counted=counted,
        )


def read(connection: sa.Connection, ref: str, site_ids: Sites, policies: PolicyBook, now: int) -> Facts:
    """Reads all of it in one snapshot. Raises `NotFound` for an alert that is not there, or not for this reader."""
    alert = queries.find(connection, ref, site_ids)
    if alert is None:
        raise NotFound(f"there is no alert {ref[:40]} that you may see; it may have been removed with its site")
    end = alert.resolved_at if alert.status == Status.RESOLVED and alert.resolved_at else now
    until = max(end, alert.last_seen_at) + 1
    since = event_queries.walked_from(connection, max(alert.first_seen_at, until - DAY), until, WALKED)
    width = max(MINUTE, -(-(until - since) // BARS))
    messages = notify_queries.page(connection, notify_queries.Filter(alert_number=alert.number), None, MESSAGES)
    names = people.names(connection)
    progress = escalation_store.read(connection, [alert.number]).get(alert.number)
    policy = policies.version(connection, progress.policy_id, progress.policy_version) if progress else None
    found = event_queries.occurrences(connection, alert.number, since, until, width)
    return Facts(
        alert=alert,
        previous=queries.find(connection, alert.previous_alert_id, site_ids) if alert.previous_alert_id else None,
        history=queries.history(connection, alert.number),
        sent=_sent(messages, {(person.kind, person.target): person for person in notify_queries.people(connection)}),
        events=event_queries.of_alert(connection, alert.number, alert.first_seen_at, alert.last_seen_at, EVENTS),
        counts=[found.get(place, 0) for place in range(-(-(until - since) // width))],
        since=since,
        until=until,
        similar=queries.similar(connection, alert, site_ids, SIMILAR),
        near=queries.near(connection, alert, NEAR_WINDOW, site_ids, NEAR) if alert.status != Status.RESOLVED else [],
        users=[user for user in identity_store.list_users(connection) if user.disabled_at is None],
        planned=escalating.planned(connection, [alert], policies, names).get(alert.number),
        standing=escalating.standing_says(progress, policy),
        names=names,
    )


def _sent(messages: Sequence[notify_queries.Notification], persons: dict[tuple[str, str], notify_queries.Person]) -> list[Sent]:
    found = []
    for message in messages:
        person = persons.get((message.channel or "", message.target or ""))
        label = (person.user_name or person.label) if person else ""
        whom = clean_line(label or message.target or "a contact that is gone", 60)
        found.append(
            Sent(
                message.kind,
                message.channel or "",
                whom,
                message.status,
                message.created_at,
                message.sent_at,
                message.next_attempt_at,
                message.attempts,
                message.last_error or "",
                message.maybe_repeated,
            )
        )
    return found


def _attributes(event: StoredEvent | None) -> list[tuple[str, str]]:
    """The attributes of an event, one line each; what is nested stays JSON."""
    if event is None or not event.attributes:
        return []
    values = msgspec.json.decode(event.attributes)
    if not isinstance(values, dict):
        return []
    return [(clean_line(str(key), 60), _shown(value)) for key, value in list(values.items())[:60]]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)[:1_000]
    return msgspec.json.encode(value).decode()[:1_000]


def bars(counts: Sequence[int]) -> list[tuple[int, float, float]]:
    """Counts as bars of a drawing 24 high, 8 units apart: x, y, height."""
    most = max(4, *counts)
    return [
        (place * 8, round(24 - max(2.0, 24 * count / most), 1), round(max(2.0, 24 * count / most), 1))
        for place, count in enumerate(counts)
        if count
    ]
