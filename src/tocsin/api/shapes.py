"""What goes out: the API's words for what is stored. Times become RFC 3339, site ids become short names."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tocsin.alerts.flaps import is_flapping
from tocsin.alerts.model import Alert, HistoryLine
from tocsin.api.fields import Id, Page, Time
from tocsin.core.errors import FieldError
from tocsin.core.times import to_text, to_text_or_none
from tocsin.events.model import Gap, Sequence as Numbering
from tocsin.events.queries import Quarantined, StoredEvent
from tocsin.events.sites import Site
from tocsin.identity.model import ApiKey
from tocsin.notify.queries import Notification, Person
from tocsin.whmcs.model import Impact
from tocsin.whmcs.rules import words as impact_words

SlugOf = Callable[[int], str]
AnyJson = Annotated[Any, Meta(description="Any JSON object.")]


class EscalationOut(msgspec.Struct, frozen=True):
    """Where the alert's escalation stands."""

    policy: Annotated[str, Meta(description="The name of its policy.")]
    level: Annotated[int, Meta(description="The last level that was told, counted from 0, and on when the policy repeats; -1: none yet.")]
    next_at: Annotated[Time | None, Meta(description="When the next level is told; null: none will be, as things stand.")]


class LinksOut(msgspec.Struct, frozen=True):
    """Addresses of the alert: here in the API, and its page for people."""

    self: str
    page: str


class AlertOut(msgspec.Struct, frozen=True):
    """One problem, from its first event to its end."""

    id: Id
    number: Annotated[int, Meta(description="Short, counted per installation.")]
    site: str
    dedup_key: str
    type: str
    title: str
    message: str | None
    severity: int
    status: Literal["open", "acknowledged", "snoozed", "resolved"]
    muted_by: Annotated[str | None, Meta(description="Why it is quiet, or null.")]
    subject: str | None
    host: str | None
    occurrences: int
    first_seen_at: Time
    last_seen_at: Time
    acknowledged_at: Time | None
    acknowledged_by: str | None
    resolved_at: Time | None
    resolved_by: str | None
    resolution: str | None
    snoozed_until: Time | None
    escalation: EscalationOut | None
    assignee: str | None
    flapping: bool
    previous_alert_id: Id | None
    links: LinksOut


class HistoryOut(msgspec.Struct, frozen=True):
    """One step in an alert's life: when, who, what, why."""

    at: Time
    actor: str
    action: str
    reason: str
    details: AnyJson | None


class NotificationOut(msgspec.Struct, frozen=True):
    """One message to one contact, and what became of it."""

    id: Id
    alert_id: Annotated[Id | None, Meta(description="Null for a `notice`, which is about no alert.")]
    channel: str | None
    target: str | None
    kind: str
    status: Literal["pending", "sending", "sent", "delivered", "failed", "unknown", "cancelled"]
    attempts: int
    last_error: str | None
    created_at: Time
    sent_at: Time | None
    next_attempt_at: Time | None
    maybe_repeated: Annotated[bool, Meta(description="A copy may have arrived before: an attempt's outcome was unknown.")]
    digest_id: Annotated[Id | None, Meta(description="The message that carried this one, when several were bundled.")]
    links_revoked_at: Annotated[Time | None, Meta(description="Since when the links in it no longer act.")]


class ImpactOut(msgspec.Struct, frozen=True):
    """What an alert costs. `money` by currency: what the services bring in a month, or what the due invoices come to."""

    says: Annotated[str, Meta(description="The same in one sentence, as messages say it.")]
    kind: Literal["server", "gateway"]
    name: str
    services: int
    clients: int
    due_invoices: int
    failed_captures: int
    money: Annotated[dict[str, str], Meta(description='Amounts with two decimals, such as `{"EUR": "2310.00"}`.')]
    measured_at: Time


class AlertDetail(AlertOut, frozen=True):
    """An alert with its history (at most the last 1,000 steps, the oldest first) and its notifications (the newest first)."""

    history: list[HistoryOut]
    notifications: list[NotificationOut]
    impact: Annotated[
        ImpactOut | None, Meta(description="What hangs on its server, or waits for its gateway, as WHMCS last said; null where not known.")
    ]


class AlertPage(Page, frozen=True):
    """A page of alerts."""

    items: list[AlertOut]


class NotificationPage(Page, frozen=True):
    """A page of notifications, the newest first."""

    items: list[NotificationOut]


class EventOut(msgspec.Struct, frozen=True):
    """One event as it was stored."""

    id: Id
    type: str
    site: str
    occurred_at: Time
    received_at: Time
    severity: int
    status: Literal["problem", "recovery", "info"]
    title: str
    message: str | None
    subject: str | None
    host: str | None
    attributes: AnyJson | None
    dedup_key: str | None
    source: str | None
    sequence: int | None
    alert_id: Annotated[Id | None, Meta(description="The alert that it opened, repeated or resolved.")]


class EventPage(Page, frozen=True):
    """A page of events, the newest first."""

    items: list[EventOut]


class SourceOut(msgspec.Struct, frozen=True):
    """What is known of one sender's running numbers."""

    site: str
    source: str
    first_sequence: int
    last_sequence: int
    received: Annotated[int, Meta(description="Events that came with a number, repeats included.")]
    missing: Annotated[int, Meta(description="Numbers that never came.")]
    gaps: Annotated[list[Gap], Meta(description="Where they are missing: the last 200 gaps.")]
    replayed: Annotated[int, Meta(description="Events under a number that had been used.")]
    skew_ms: Annotated[int | None, Meta(description="The sender's clock minus ours, from its last signature.")]
    last_seen_at: Time


class SourcePage(Page, frozen=True):
    """A page of sources, by site and name."""

    items: list[SourceOut]


class QuarantinedOut(msgspec.Struct, frozen=True):
    """What could not be taken, with the reasons. Kept for 30 days."""

    id: Id
    received_at: Time
    site: str | None
    key_id: Id | None
    errors: tuple[FieldError, ...]
    payload: Annotated[str, Meta(description="As it came, at most 64 KiB.")]


class QuarantinePage(Page, frozen=True):
    """A page of the quarantine, the newest first."""

    items: list[QuarantinedOut]


class SiteOut(msgspec.Struct, frozen=True):
    """One WHMCS installation, or anything else that is watched as one."""

    slug: str
    name: str
    default_policy: Annotated[Id | None, Meta(description="The escalation policy of its alerts; null: the built-in one.")]


class SitePage(Page, frozen=True):
    """All sites by name."""

    items: list[SiteOut]


class ContactOut(msgspec.Struct, frozen=True):
    """One way to reach somebody."""

    id: Id
    kind: str
    target: str
    label: str
    user: Annotated[str | None, Meta(description="Whose it is.")]
    origin: Annotated[str, Meta(description="`settings`: it follows the settings; `user`: a person made it.")]
    created_at: Time
    verified_at: Annotated[Time | None, Meta(description="Null: no code has come back from it yet, and no alert goes there.")]
    disabled_at: Annotated[Time | None, Meta(description="When it was removed.")]
    place: Annotated[int, Meta(description="Among the person's own: the lowest first, then the oldest.")]


class ContactPage(Page, frozen=True):
    """All contacts, the oldest first."""

    items: list[ContactOut]


class KeyOut(msgspec.Struct, frozen=True):
    """An API key without its secret, which is not stored."""

    id: Id
    name: str
    scopes: list[Literal["ingest", "read", "write", "admin"]]
    site: Annotated[str | None, Meta(description="The one site that it is for; null: all.")]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Annotated[Time | None, Meta(description="To the minute.")]


class NewKeyOut(KeyOut, frozen=True):
    """A key just made, with its secret: shown this once."""

    key: str


class KeyPage(Page, frozen=True):
    """All keys, the newest first, revoked ones too."""

    items: list[KeyOut]


def alert_out(alert: Alert, slug_of: SlugOf, public_url: str, escalation: EscalationOut | None) -> AlertOut:
    """An alert for the wire; for *escalation* see standing.py."""
    return AlertOut(**_alert_fields(alert, slug_of, public_url, escalation))


def alert_detail(
    alert: Alert,
    history: list[HistoryLine],
    notifications: list[Notification],
    slug_of: SlugOf,
    public_url: str,
    escalation: EscalationOut | None,
    impact: ImpactOut | None,
) -> AlertDetail:
    """An alert with all that happened to it."""
    return AlertDetail(
        **_alert_fields(alert, slug_of, public_url, escalation),
        history=[HistoryOut(to_text(line.at), line.actor, line.action, line.reason, line.details) for line in history],
        notifications=[notification_out(one) for one in notifications],
        impact=impact,
    )


_AS_STORED = tuple(name for name in AlertOut.__struct_fields__ if name in Alert.__struct_fields__ and not name.endswith(("_at", "_until")))
_TIMES = ("first_seen_at", "last_seen_at", "acknowledged_at", "resolved_at", "snoozed_until")


def _alert_fields(alert: Alert, slug_of: SlugOf, public_url: str, escalation: EscalationOut | None) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(alert, name) for name in _AS_STORED}
    fields.update((name, to_text_or_none(getattr(alert, name))) for name in _TIMES)
    links = LinksOut(f"{public_url}/api/v1/alerts/{alert.id}", f"{public_url}/alerts/{alert.id}")
    # Flap detection is not there yet: nothing flaps.
    return {**fields, "site": slug_of(alert.site_id), "escalation": escalation, "flapping": is_flapping(alert), "links": links}


def impact_out(impact: Impact, now: int) -> ImpactOut:
    """An impact for the wire."""
    money = {currency: f"{amount // 100}.{amount % 100:02}" for currency, amount in impact.money.items()}
    says, measured_at = impact_words(impact, now), to_text(impact.measured_at)
    return ImpactOut(says, impact.kind, impact.label, impact.services, impact.clients, impact.due, impact.failed, money, measured_at)


def notification_out(one: Notification) -> NotificationOut:
    """A message for the wire."""
    return NotificationOut(
        one.id,
        one.alert_id,
        one.channel,
        one.target,
        one.kind,
        one.status,  # type: ignore[arg-type]  # the outbox holds these words only
        one.attempts,
        one.last_error,
        to_text(one.created_at),
        to_text_or_none(one.sent_at),
        to_text_or_none(one.next_attempt_at),
        bool(one.maybe_repeated),
        one.digest_id,
        to_text_or_none(one.links_revoked_at),
    )


def event_out(event: StoredEvent, slug_of: SlugOf) -> EventOut:
    """An event for the wire; its attributes are passed on as they were sent."""
    return EventOut(
        event.id,
        event.type,
        slug_of(event.site_id),
        to_text(event.occurred_at),
        to_text(event.received_at),
        event.severity,
        event.status,  # type: ignore[arg-type]  # the log holds these words only
        event.title,
        event.message,
        event.subject,
        event.host,
        None if event.attributes is None else msgspec.Raw(event.attributes.encode()),
        event.dedup_key,
        event.source,
        event.sequence,
        event.alert_id,
    )


def source_out(one: Numbering, slug_of: SlugOf) -> SourceOut:
    """A source's numbering for the wire."""
    return SourceOut(
        slug_of(one.site_id),
        one.source,
        one.first_sequence,
        one.last_sequence,
        one.received,
        one.missing,
        list(one.gaps),
        one.replayed,
        one.skew_ms,
        to_text(one.last_seen_at),
    )


def quarantined_out(one: Quarantined, slug_of: SlugOf) -> QuarantinedOut:
    """A rejected member for the wire."""
    site = None if one.site_id is None else slug_of(one.site_id)
    return QuarantinedOut(one.id, to_text(one.received_at), site, one.key_id, one.errors, one.payload)


def site_out(site: Site, default_policy: str | None) -> SiteOut:
    """A site for the wire."""
    return SiteOut(site.slug, site.name, default_policy)


def contact_out(person: Person) -> ContactOut:
    """A contact for the wire."""
    return ContactOut(*contact_fields(person))


def contact_fields(person: Person) -> tuple[str, str, str, str, str | None, str, str, str | None, str | None, int]:
    """What a `ContactOut` is made of."""
    times = (to_text(person.created_at), to_text_or_none(person.verified_at), to_text_or_none(person.disabled_at))
    return (person.id, person.kind, person.target, person.label, person.user_name, person.origin, *times, person.place)


def key_fields(key: ApiKey) -> dict[str, Any]:
    """A key for the wire, as the fields of `KeyOut`."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "site": key.site,
        "created_at": to_text(key.created_at),
        "expires_at": to_text_or_none(key.expires_at),
        "revoked_at": to_text_or_none(key.revoked_at),
        "last_used_at": to_text_or_none(key.last_used_at),
    }
