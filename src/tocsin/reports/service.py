"""Reports as they are asked for: read, fold, done."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from tocsin.alerts import queries as alert_queries
from tocsin.alerts.model import Alert
from tocsin.core.zones import is_zone
from tocsin.escalation import rules as escalation_rules, store as escalation_store
from tocsin.escalation.model import Progress
from tocsin.identity import store as identity_store
from tocsin.reports import rules, store
from tocsin.reports.model import Figures, Happening, Pages, Period, Point, Step, Summary
from tocsin.reports.reasons import Receiver, Someone, Story
from tocsin.reports.store import Sites

BEGAN = Happening.BEGAN  # a name of an enumeration is looked up slowly, and this is done for every alert
Key = TypeVar("Key", int, str)


def summary(connection: sa.Connection, period: Period, zone: ZoneInfo, sites: Sites) -> Summary:
    """The figures of *period* beside those of the one before. *sites*: those that the reader may see; None: all."""
    first, since, until = period.before.since, period.since, period.until
    span = store.numbers(connection, period)
    both = (store.first_number(connection, first - store.SLACK), span[1])
    now, earlier, cells = Figures(), Figures(), Counter[int]()
    for what, at, length in rules.happenings(store.lines(connection, both, sites)):
        if not first <= at < until:
            continue
        rules.add(now if at >= since else earlier, what, length)
        if what is BEGAN and at >= since:
            cells[at // rules.CELL] += 1
    volume = store.volume(connection, span, period, sites)
    return Summary(
        period=period,
        time_zone=str(zone),
        now=now,
        before=earlier,
        still_open=store.still_open(connection, sites),
        by_severity=_sums((severity, count) for _, severity, count in volume),
        by_type=dict(list(_sums((kind, count) for kind, _, count in volume).items())[: store.TYPES]),
        weekdays=rules.weekdays(cells.items(), zone),
        noisiest=store.noisiest(connection, span, period, sites),
        people=_people(connection, period, sites),
    )


def _sums(counts: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    """The sum for each key, the largest first."""
    found: dict[Key, int] = {}
    for key, count in counts:
        found[key] = found.get(key, 0) + count
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _people(connection: sa.Connection, period: Period, sites: Sites) -> list[Pages]:
    owners = store.owners(connection)
    zones: dict[str, ZoneInfo] = {}
    found: dict[str, Pages] = {}
    for contact_id, cell, count in store.pages(connection, period, sites):
        owner = owners.get(contact_id)
        if owner is None:
            continue
        key = owner.user_id or contact_id
        if key not in found:
            who = owner.user_name or f"{owner.name} ({owner.kind})"
            found[key] = Pages(who, owner.time_zone if owner.time_zone and is_zone(owner.time_zone) else "UTC", owner.user_id)
        person = found[key]
        zone = zones.setdefault(person.time_zone, ZoneInfo(person.time_zone))
        if rules.is_night(cell, zone):
            person.night += count
        else:
            person.day += count
    return sorted(found.values(), key=lambda one: (-one.day - one.night, one.who))


def series(connection: sa.Connection, period: Period, step: Step, zone: ZoneInfo, sites: Sites) -> list[Point]:
    """The figures of *period*, point by point."""
    lines = store.lines(connection, store.numbers(connection, period), sites)
    return rules.series(rules.happenings(lines), period, rules.steps(period, step, zone))


def story(connection: sa.Connection, alert: Alert) -> Story:
    """All that is known of why people were told of *alert*, or not."""
    posts = store.posts(connection, alert.number)
    receivers = store.receivers(connection)
    own = dict[str, list[Receiver]]()
    for receiver in receivers.values():
        own.setdefault(receiver.user_id or "", []).append(receiver)
    people = [
        Someone(user.id, user.email, user.name, tuple(own.get(user.id, ())))
        for user in identity_store.list_users(connection)
        if user.disabled_at is None or user.id in own
    ]
    people += [Someone(None, None, receiver.words, (receiver,)) for receiver in own.get("", ())]
    progress = escalation_store.read(connection, [alert.number]).get(alert.number)
    return Story(
        alert,
        alert_queries.history(connection, alert.number),
        posts,
        store.tries(connection, {message for post in posts for message in (post.id, post.digest_id) if message}),
        receivers,
        people,
        None if progress is None else progress.next_at,
        None if progress is None else _policy(connection, progress),
    )


def _policy(connection: sa.Connection, progress: Progress) -> str | None:
    """The name that the policy had when the alert opened."""
    shipped = escalation_rules.BUILT_IN_VERSIONS.get(progress.policy_version) if progress.policy_id == escalation_rules.BUILT_IN else None
    policy = shipped or escalation_store.version(connection, progress.policy_id, progress.policy_version)
    return None if policy is None else policy.name
