"""Who may do what: the one table. Permission -> API calls and pages; the API's guard and the pages both ask it.

A route without a row is closed to everybody, and a test fails. A site's key, and a person who may see some sites only,
get the calls marked ``whole`` refused: what these show or change is not one site's.
"""

from collections.abc import Iterator, Mapping
from functools import cache

import msgspec

from tocsin.identity.model import Permission, Role, Scope

NOBODY: frozenset[Role] = frozenset()
EVERY_ROLE = frozenset(Role)
RESPONDERS = frozenset({Role.ADMIN, Role.RESPONDER})
ADMINS = frozenset({Role.ADMIN})


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One permission: what it means, who has it, and what it opens. ``scope`` None: no key has it."""

    permission: Permission
    meaning: str
    roles: frozenset[Role]
    scope: Scope | None
    whole: bool = False
    calls: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()


TABLE: tuple[Row, ...] = (
    Row(
        permission=Permission.OPEN,
        meaning="What anybody may ask: whether Tocsin works, how to talk to it, how to log in. Links hold their own key.",
        roles=EVERY_ROLE,
        scope=None,
        calls=(
            "GET /api/v1/health",
            "GET /api/v1/live",
            "GET /api/v1/ready",
            "GET /health",
            "GET /live",
            "GET /ready",
            "GET /api/openapi.json",
            "GET /api/v1/ping/{token}",
            "POST /api/v1/ping/{token}",
            "GET /api/v1/ping/{token}/{what}",
            "POST /api/v1/ping/{token}/{what}",
            "POST /api/v1/callbacks/{provider}/text/{message_id}",
            "POST /api/v1/callbacks/{provider}/call/{message_id}",
            "POST /api/v1/callbacks/{provider}/keys/{message_id}",
            "POST /api/v1/callbacks/{provider}/reply",
        ),
        pages=(
            "GET /api/docs",
            "GET /static/{name}",
            "GET /favicon.ico",
            "GET /robots.txt",
            "GET /manifest.webmanifest",
            "GET /sw.js",
            "GET /login",
            "POST /login",
            "GET /invite/{token}",
            "POST /invite/{token}",
            "GET /reset",
            "POST /reset",
            "GET /reset/{token}",
            "POST /reset/{token}",
            "GET /setup/{token}",
            "POST /setup/{token}",
            "GET /a/{token}",
            "GET /ical/{token}",
            "POST /a/{token}",
        ),
    ),
    Row(
        permission=Permission.OWN,
        meaning="One's own account: leaving, password, second factor, sessions, contacts, and how one is told.",
        roles=EVERY_ROLE,
        scope=None,
        calls=(
            "GET /api/v1/users/me",
            "PATCH /api/v1/users/me",
            "POST /api/v1/users/me/password",
            "GET /api/v1/users/me/sessions",
            "DELETE /api/v1/users/me/sessions/{session_id}",
            "GET /api/v1/users/me/web-push",
            "GET /api/v1/users/me/contacts",
            "POST /api/v1/users/me/contacts",
            "PATCH /api/v1/users/me/contacts/{contact_id}",
            "DELETE /api/v1/users/me/contacts/{contact_id}",
            "POST /api/v1/users/me/contacts/{contact_id}/code",
            "POST /api/v1/users/me/contacts/{contact_id}/verify",
            "POST /api/v1/users/me/contacts/{contact_id}/test",
            "GET /api/v1/users/me/notification-rules",
            "PUT /api/v1/users/me/notification-rules",
        ),
        pages=(
            "POST /logout",
            "GET /settings",
            "GET /settings/me",
            "POST /settings/me",
            "POST /settings/me/password",
            "POST /settings/me/sessions/end",
            "POST /settings/me/sessions/{session_id}/end",
            "GET /settings/me/second-factor",
            "POST /settings/me/second-factor",
            "POST /settings/me/second-factor/begin",
            "POST /settings/me/second-factor/codes",
            "POST /settings/me/second-factor/remove",
            "GET /settings/contacts",
            "POST /settings/contacts",
            "POST /settings/contacts/rules",
            "POST /settings/contacts/{contact_id}/code",
            "POST /settings/contacts/{contact_id}/verify",
            "POST /settings/contacts/{contact_id}/test",
            "POST /settings/contacts/{contact_id}/remove",
        ),
    ),
    Row(
        permission=Permission.SEND,
        meaning="Send events and metrics.",
        roles=NOBODY,
        scope=Scope.INGEST,
        calls=("POST /api/v1/events", "POST /api/v1/metrics"),
    ),
    Row(
        permission=Permission.LOOK,
        meaning="See events, alerts and messages of the sites that one may see.",
        roles=EVERY_ROLE,
        scope=Scope.READ,
        calls=(
            "GET /api/v1/events",
            "GET /api/v1/events.csv",
            "GET /api/v1/events/{event_id}",
            "GET /api/v1/sources",
            "GET /api/v1/quarantine",
            "GET /api/v1/alerts",
            "GET /api/v1/alerts/{ref}",
            "GET /api/v1/alerts/{ref}/why",
            "GET /api/v1/analytics/summary",
            "GET /api/v1/analytics/series",
            "GET /api/v1/notifications",
            "GET /api/v1/notifications/{message_id}",
            "GET /api/v1/silences",
            "GET /api/v1/silences/{silence_id}",
            "GET /api/v1/maintenance",
            "GET /api/v1/maintenance/{maintenance_id}",
            "GET /api/v1/sites",
            "GET /api/v1/stream",
            "GET /api/v1/catalogue",
            "GET /api/v1/sites/{slug}/patterns",
            "GET /api/v1/sites/{slug}/patterns/{name}",
            "GET /api/v1/sites/{slug}/whmcs",
            "GET /api/v1/checks",
            "GET /api/v1/checks/{check_id}",
            "GET /api/v1/checks/{check_id}/results",
            "GET /api/v1/availability",
            "GET /api/v1/outages",
            "GET /api/v1/thresholds",
            "GET /api/v1/thresholds/{threshold_id}",
            "GET /api/v1/metrics/series",
            "GET /api/v1/heartbeats",
            "GET /api/v1/heartbeats/{heartbeat_id}",
        ),
        pages=(
            "GET /",
            "GET /alerts",
            "GET /alerts/{ref}",
            "POST /alerts/views",
            "POST /alerts/views/drop",
            "GET /analytics",
            "GET /events",
            "GET /events/volume",
            "GET /events/{event_id}",
            "GET /events/sources",
            "GET /events/quarantine",
            "GET /checks",
            "GET /checks/{check_id}",
            "GET /checks/{check_id}/times",
            "GET /silences",
            "GET /settings/sites",
            "GET /settings/sites/{slug}",
            "GET /settings/sites/{slug}/{event_type}",
            "GET /design",
        ),
    ),
    Row(
        permission=Permission.LOOK_WHOLE,
        meaning="See what is not one site's: people, who can be told, who is on call, what depends on what, and Tocsin's own figures.",
        roles=EVERY_ROLE,
        scope=Scope.READ,
        whole=True,
        calls=(
            "GET /api/v1/users",
            "GET /api/v1/users/{user_id}",
            "GET /api/v1/contacts",
            "GET /api/v1/metrics",
            "GET /metrics",
            "GET /api/v1/oncall",
            "GET /api/v1/oncall/readiness",
            "GET /api/v1/schedules",
            "GET /api/v1/schedules/{schedule_id}",
            "GET /api/v1/schedules/{schedule_id}/overrides",
            "GET /api/v1/schedules/{schedule_id}/shifts",
            "GET /api/v1/schedules/{schedule_id}/ical",
            "GET /api/v1/policies",
            "GET /api/v1/policies/{policy_id}",
            "GET /api/v1/policies/{policy_id}/preview",
            "GET /api/v1/rules",
            "GET /api/v1/rules/{rule_id}",
            "GET /api/v1/rules/{rule_id}/versions",
            "GET /api/v1/teams",
            "GET /api/v1/teams/{team_id}",
            "GET /api/v1/calendar-feeds",
            "GET /api/v1/channels",
            "GET /api/v1/channels/{channel}",
            "GET /api/v1/dependencies",
            "GET /api/v1/dependencies/{dependency_id}",
        ),
        pages=("GET /settings/health", "GET /oncall", "GET /policies"),
    ),
    Row(
        permission=Permission.ACT,
        meaning="Act on alerts, and keep them quiet.",
        roles=RESPONDERS,
        scope=Scope.WRITE,
        calls=(
            "POST /api/v1/alerts/{ref}/acknowledge",
            "POST /api/v1/alerts/{ref}/unacknowledge",
            "POST /api/v1/alerts/{ref}/resolve",
            "POST /api/v1/alerts/{ref}/snooze",
            "POST /api/v1/alerts/{ref}/assign",
            "POST /api/v1/alerts/{ref}/escalate",
            "POST /api/v1/alerts/{ref}/comment",
            "POST /api/v1/alerts/bulk",
            "POST /api/v1/alerts/test",
            "POST /api/v1/notifications/{message_id}/revoke-links",
            "POST /api/v1/silences",
            "POST /api/v1/silences/preview",
            "PATCH /api/v1/silences/{silence_id}",
            "POST /api/v1/silences/{silence_id}/expire",
            "DELETE /api/v1/silences/{silence_id}",
            "POST /api/v1/maintenance",
            "PATCH /api/v1/maintenance/{maintenance_id}",
            "POST /api/v1/maintenance/{maintenance_id}/expire",
            "DELETE /api/v1/maintenance/{maintenance_id}",
        ),
        pages=(
            "POST /alerts/act",
            "POST /alerts/undo",
            "POST /events/quarantine/again",
            "POST /events/quarantine/drop",
            "GET /silences/new",
            "POST /silences/new",
            "POST /silences/{kind}/{kept_id}/end",
        ),
    ),
    Row(
        permission=Permission.COVER,
        meaning="Change who is on call for a while: overrides and swaps; make and end calendar addresses.",
        roles=RESPONDERS,
        scope=Scope.WRITE,
        whole=True,
        calls=(
            "POST /api/v1/schedules/{schedule_id}/overrides",
            "DELETE /api/v1/schedules/{schedule_id}/overrides/{override_id}",
            "POST /api/v1/schedules/{schedule_id}/swap",
            "POST /api/v1/calendar-feeds",
            "DELETE /api/v1/calendar-feeds/{feed_id}",
        ),
        pages=(
            "GET /oncall/{schedule_id}/override",
            "POST /oncall/{schedule_id}/override",
            "POST /oncall/{schedule_id}/overrides/{override_id}/remove",
            "GET /oncall/{schedule_id}/swap",
            "POST /oncall/{schedule_id}/swap",
            "GET /oncall/calendars",
            "POST /oncall/calendars",
            "POST /oncall/calendars/{feed_id}/revoke",
        ),
    ),
    Row(
        permission=Permission.WATCH,
        meaning="Set up what is watched at the sites that one may see: checks, looks at them out of turn, and heartbeats.",
        roles=ADMINS,
        scope=Scope.ADMIN,
        calls=(
            "POST /api/v1/checks",
            "POST /api/v1/checks/try",
            "PATCH /api/v1/checks/{check_id}",
            "DELETE /api/v1/checks/{check_id}",
            "POST /api/v1/checks/{check_id}/run",
            "POST /api/v1/heartbeats",
            "PATCH /api/v1/heartbeats/{heartbeat_id}",
            "DELETE /api/v1/heartbeats/{heartbeat_id}",
            "POST /api/v1/heartbeats/{heartbeat_id}/token",
        ),
        pages=(
            "GET /checks/new",
            "POST /checks/new",
            "GET /checks/{check_id}/edit",
            "POST /checks/{check_id}/edit",
            "POST /checks/{check_id}/run",
            "POST /checks/{check_id}/pause",
            "POST /checks/{check_id}/resume",
            "POST /checks/{check_id}/remove",
        ),
    ),
    Row(
        permission=Permission.CONFIGURE,
        meaning="Change how Tocsin works: sites, what becomes of events, schedules, teams, policies, channels, what depends on what.",
        roles=ADMINS,
        scope=Scope.ADMIN,
        whole=True,
        calls=(
            "POST /api/v1/sites",
            "PATCH /api/v1/sites/{slug}",
            "POST /api/v1/policies",
            "PATCH /api/v1/policies/{policy_id}",
            "DELETE /api/v1/policies/{policy_id}",
            "POST /api/v1/rules",
            "PATCH /api/v1/rules/{rule_id}",
            "DELETE /api/v1/rules/{rule_id}",
            "POST /api/v1/rules/{rule_id}/restore",
            "POST /api/v1/rules/try",
            "POST /api/v1/rules/backtest",
            "POST /api/v1/thresholds",
            "PATCH /api/v1/thresholds/{threshold_id}",
            "DELETE /api/v1/thresholds/{threshold_id}",
            "POST /api/v1/dependencies",
            "PATCH /api/v1/dependencies/{dependency_id}",
            "DELETE /api/v1/dependencies/{dependency_id}",
            "PUT /api/v1/sites/{slug}/catalogue/{event_type}",
            "DELETE /api/v1/sites/{slug}/catalogue/{event_type}",
            "PUT /api/v1/sites/{slug}/patterns/{name}",
            "DELETE /api/v1/sites/{slug}/patterns/{name}",
            "POST /api/v1/schedules",
            "PATCH /api/v1/schedules/{schedule_id}",
            "DELETE /api/v1/schedules/{schedule_id}",
            "POST /api/v1/teams",
            "PATCH /api/v1/teams/{team_id}",
            "DELETE /api/v1/teams/{team_id}",
            "POST /api/v1/channels",
            "PATCH /api/v1/channels/{channel}",
            "DELETE /api/v1/channels/{channel}",
            "POST /api/v1/channels/{channel}/test",
        ),
        pages=(
            "POST /settings/sites",
            "POST /settings/sites/{slug}",
            "POST /settings/sites/{slug}/{event_type}",
            "GET /oncall/new",
            "POST /oncall/new",
            "GET /oncall/{schedule_id}/edit",
            "POST /oncall/{schedule_id}/edit",
            "POST /oncall/{schedule_id}/remove",
            "GET /policies/new",
            "POST /policies/new",
            "GET /policies/{policy_id}",
            "POST /policies/{policy_id}",
            "POST /policies/{policy_id}/remove",
            "GET /welcome",
            "POST /welcome/test",
        ),
    ),
    Row(
        permission=Permission.PEOPLE,
        meaning="Invite people, change what they may do, shut them out.",
        roles=ADMINS,
        scope=Scope.ADMIN,
        whole=True,
        calls=(
            "POST /api/v1/users",
            "PATCH /api/v1/users/{user_id}",
            "DELETE /api/v1/users/{user_id}",
            "POST /api/v1/users/{user_id}/link",
            "GET /api/v1/users/{user_id}/contacts",
            "POST /api/v1/users/{user_id}/contacts",
            "PATCH /api/v1/users/{user_id}/contacts/{contact_id}",
            "DELETE /api/v1/users/{user_id}/contacts/{contact_id}",
            "POST /api/v1/users/{user_id}/contacts/{contact_id}/code",
            "POST /api/v1/users/{user_id}/contacts/{contact_id}/verify",
            "POST /api/v1/users/{user_id}/contacts/{contact_id}/test",
            "GET /api/v1/users/{user_id}/notification-rules",
            "PUT /api/v1/users/{user_id}/notification-rules",
            "DELETE /api/v1/users/{user_id}/second-factor",
            "GET /api/v1/users/{user_id}/sessions",
            "DELETE /api/v1/users/{user_id}/sessions/{session_id}",
        ),
        pages=(
            "GET /settings/people",
            "GET /settings/people/new",
            "POST /settings/people/new",
            "GET /settings/people/{user_id}",
            "POST /settings/people/{user_id}",
            "POST /settings/people/{user_id}/link",
            "POST /settings/people/{user_id}/disable",
            "POST /settings/people/{user_id}/enable",
            "POST /settings/people/{user_id}/second-factor",
            "POST /settings/people/{user_id}/sessions",
            "POST /settings/people/{user_id}/remove",
            "GET /settings/people/{user_id}/contacts",
            "POST /settings/people/{user_id}/contacts",
            "POST /settings/people/{user_id}/contacts/rules",
            "POST /settings/people/{user_id}/contacts/{contact_id}/code",
            "POST /settings/people/{user_id}/contacts/{contact_id}/verify",
            "POST /settings/people/{user_id}/contacts/{contact_id}/test",
            "POST /settings/people/{user_id}/contacts/{contact_id}/remove",
        ),
    ),
    Row(
        permission=Permission.KEYS,
        meaning="Make and end API keys.",
        roles=ADMINS,
        scope=Scope.ADMIN,
        whole=True,
        calls=("GET /api/v1/keys", "POST /api/v1/keys", "DELETE /api/v1/keys/{key_id}"),
        pages=("GET /settings/keys", "POST /settings/keys", "POST /settings/keys/{key_id}/revoke", "POST /welcome/key"),
    ),
    Row(
        permission=Permission.AUDIT,
        meaning="Read the audit log.",
        roles=ADMINS,
        scope=Scope.ADMIN,
        whole=True,
        calls=("GET /api/v1/audit", "GET /api/v1/audit.csv"),
        pages=("GET /settings/audit", "POST /settings/audit/verify"),
    ),
)


def _routes() -> Iterator[tuple[str, Row]]:
    for line in TABLE:
        for route in (*line.calls, *line.pages):
            yield route, line


_BY_ROUTE: Mapping[str, Row] = dict(_routes())


def row(route: str) -> Row | None:
    """The row of a route, such as ``GET /api/v1/alerts/{ref}``."""
    return _BY_ROUTE.get(route)


@cache
def of_role(role: Role, *, whole: bool) -> frozenset[Permission]:
    """What a person with *role* may do. *whole*: they may see every site."""
    return frozenset(line.permission for line in TABLE if role in line.roles and (whole or not line.whole))


@cache
def of_scopes(scopes: frozenset[Scope], *, whole: bool) -> frozenset[Permission]:
    """What a key with *scopes* may do; ``admin`` includes all scopes. *whole*: it is not limited to a site."""
    return frozenset(
        line.permission
        for line in TABLE
        if line.permission is Permission.OPEN
        or (line.scope is not None and (line.scope in scopes or Scope.ADMIN in scopes) and (whole or not line.whole))
    )
