"""Every call that changes something stands in the audit log: one example of each, one after the other, in one day's work."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.api.walk import Comer, a_person, ask
from tests.fakes import NOW
from tocsin.core.clock import HOUR
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.hosts.model import Card
from tocsin.identity import sessions, store
from tocsin.identity.model import Permission, Role
from tocsin.identity.permissions import TABLE
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.slack import Slack

NO_DEEDS = (Permission.SEND, Permission.OPEN)  # what programs report; what links and providers bring, under seals of their own
CHANGE_NOTHING = frozenset(
    {
        *("POST /api/v1/silences/preview", "POST /api/v1/rules/try", "POST /api/v1/rules/backtest", "POST /api/v1/checks/try"),
        *("POST /api/v1/prometheus/exporters/test", "POST /api/v1/sites/{slug}/whmcs/test"),
    }
)
SLACK = "https://hooks.slack.com/services/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"
BOTH_DISKS = [{"field": "type", "op": "=", "value": "disk.full"}]
SOON, LATER, LAST = (to_text(NOW + n * HOUR) for n in (1, 2, 3))
FIRST_STEP = {"delay_seconds": 0, "targets": [{"kind": "channel", "id": "@channel"}]}
ROTATION = {"unit": "day", "length": 1, "starts_at": "2025-11-20T09:00"}

# Route, what fills its address (a name of what an earlier call made), its body, and under which name its id is kept.
Deed = tuple[str, dict[str, str], dict[str, Any], str]
ALERT = {"ref": "1"}


def _asked_and(answer: str) -> tuple[Deed, Deed]:
    """Somebody is asked to swap, and this is the answer."""
    first = {"user": "@user_id", "starts_at": "2025-11-28T10:00:00Z", "ends_at": "2025-11-28T11:00:00Z"}
    second = {"user": "@me", "starts_at": "2025-11-29T10:00:00Z", "ends_at": "2025-11-29T11:00:00Z"}
    return (
        ("POST /api/v1/schedules/{schedule_id}/swaps", {}, {"first": first, "second": second}, "swap_id"),
        (f"POST /api/v1/schedules/{{schedule_id}}/swaps/{{swap_id}}/{answer}", {}, {}, ""),
    )


DEEDS: tuple[Deed, ...] = (
    ("POST /api/v1/sites", {}, {"slug": "acme"}, ""),
    ("PUT /api/v1/sites/{slug}/catalogue/{event_type}", {"slug": "main", "event_type": "a.b"}, {"severity": 2}, ""),
    ("DELETE /api/v1/sites/{slug}/catalogue/{event_type}", {"slug": "main", "event_type": "a.b"}, {}, ""),
    ("PUT /api/v1/sites/{slug}/patterns/{name}", {"slug": "main", "name": "p"}, {"pattern": "oh no", "type": "a.b"}, ""),
    ("DELETE /api/v1/sites/{slug}/patterns/{name}", {"slug": "main", "name": "p"}, {}, ""),
    ("POST /api/v1/keys", {}, {"name": "grafana", "scopes": ["read"]}, "key_id"),
    ("DELETE /api/v1/keys/{key_id}", {}, {}, ""),
    ("POST /api/v1/users", {}, {"email": "ben@example.com", "name": "Ben", "role": "responder"}, "user_id"),
    ("PATCH /api/v1/users/{user_id}", {}, {"name": "Benjamin"}, ""),
    ("POST /api/v1/users/{user_id}/link", {}, {"kind": "invite"}, ""),
    ("POST /api/v1/users/{user_id}/contacts", {}, {"kind": "ntfy", "target": "ben-phone", "verified": True}, "contact_id"),
    ("PATCH /api/v1/users/{user_id}/contacts/{contact_id}", {}, {"label": "the one in the pocket"}, ""),
    ("POST /api/v1/users/{user_id}/contacts/{contact_id}/test", {}, {}, ""),
    (
        "PUT /api/v1/users/{user_id}/notification-rules",
        {},
        {"rules": [{"urgency": "high", "contact": "@contact_id", "delay_seconds": 60}]},
        "",
    ),
    ("DELETE /api/v1/users/{user_id}/contacts/{contact_id}", {}, {}, ""),
    ("POST /api/v1/users/{user_id}/contacts", {}, {"kind": "email", "target": "ben@example.com"}, "contact_id"),
    ("POST /api/v1/users/{user_id}/contacts/{contact_id}/verify", {}, {"code": "not it"}, ""),
    ("POST /api/v1/users/me/contacts", {}, {"kind": "ntfy", "target": "my-phone"}, "mine"),
    ("PATCH /api/v1/users/me/contacts/{contact_id}", {"contact_id": "@mine"}, {"place": 3}, ""),
    ("POST /api/v1/users/me/contacts/{contact_id}/verify", {"contact_id": "@mine"}, {"code": "not it"}, ""),
    ("PUT /api/v1/users/me/notification-rules", {}, {"quiet_hours": {"begins": "22:00", "ends": "07:00"}}, ""),
    ("DELETE /api/v1/users/me/contacts/{contact_id}", {"contact_id": "@mine"}, {}, ""),
    ("POST /api/v1/channels", {}, {"name": "#ops", "kind": "slack", "target": SLACK}, "channel"),
    ("PATCH /api/v1/channels/{channel}", {}, {"name": "#night"}, ""),
    ("POST /api/v1/channels/{channel}/test", {}, {}, ""),
    ("POST /api/v1/policies", {}, {"name": "P", "steps": [FIRST_STEP]}, "policy_id"),
    ("PATCH /api/v1/policies/{policy_id}", {}, {"name": "Q"}, ""),
    ("PATCH /api/v1/sites/{slug}", {"slug": "main"}, {"default_policy": "@policy_id"}, ""),
    ("PATCH /api/v1/sites/{slug}", {"slug": "main"}, {"default_policy": None}, ""),
    ("DELETE /api/v1/policies/{policy_id}", {}, {}, ""),
    ("POST /api/v1/rules", {}, {"name": "R", "matchers": BOTH_DISKS, "actions": {"severity": 2}}, "rule_id"),
    ("PATCH /api/v1/rules/{rule_id}", {}, {"name": "S"}, ""),
    ("POST /api/v1/rules/{rule_id}/restore", {}, {"version": 1}, ""),
    ("DELETE /api/v1/rules/{rule_id}", {}, {}, ""),
    (
        "POST /api/v1/schedules",
        {},
        {"name": "S", "time_zone": "UTC", "layers": [{"name": "l", "rotation": {**ROTATION, "users": ["@user_id", "@me"]}}]},
        "schedule_id",
    ),
    ("PATCH /api/v1/schedules/{schedule_id}", {}, {"name": "T"}, ""),
    (
        "POST /api/v1/schedules/{schedule_id}/overrides",
        {},
        {"kind": "add", "user": "@user_id", "starts_at": SOON, "ends_at": LATER},
        "override_id",
    ),
    ("DELETE /api/v1/schedules/{schedule_id}/overrides/{override_id}", {}, {}, ""),
    (
        "POST /api/v1/schedules/{schedule_id}/swap",
        {},
        {
            "first": {"user": "@user_id", "starts_at": "2025-11-26T10:00:00Z", "ends_at": "2025-11-26T11:00:00Z"},
            "second": {"user": "@me", "starts_at": "2025-11-27T10:00:00Z", "ends_at": "2025-11-27T11:00:00Z"},
        },
        "",
    ),
    *[deed for answer in ("refuse", "withdraw", "accept") for deed in _asked_and(answer)],
    ("POST /api/v1/calendar-feeds", {}, {"user": "@user_id"}, "feed_id"),
    ("DELETE /api/v1/calendar-feeds/{feed_id}", {}, {}, ""),
    ("DELETE /api/v1/schedules/{schedule_id}", {}, {}, ""),
    ("POST /api/v1/teams", {}, {"name": "A"}, "team_id"),
    ("PATCH /api/v1/teams/{team_id}", {}, {"name": "B"}, ""),
    ("DELETE /api/v1/teams/{team_id}", {}, {}, ""),
    ("DELETE /api/v1/channels/{channel}", {}, {}, ""),
    (
        "PUT /api/v1/sites/{slug}/whmcs",
        {"slug": "main"},
        {"url": "https://billing.example.com", "identifier": "kX7", "secret": "hush"},
        "",
    ),
    ("DELETE /api/v1/sites/{slug}/whmcs", {"slug": "main"}, {}, ""),
    ("POST /api/v1/prometheus/exporters", {}, {"url": "http://web01.example.com:9100/metrics", "token": "hush"}, "exporter_id"),
    ("PATCH /api/v1/prometheus/exporters/{exporter_id}", {}, {"keep_all": True}, ""),
    ("DELETE /api/v1/prometheus/exporters/{exporter_id}", {}, {}, ""),
    ("POST /api/v1/thresholds", {}, {"metric": "disk_percent", "warning": 70}, "threshold_id"),
    ("PATCH /api/v1/thresholds/{threshold_id}", {}, {"warning": 75}, ""),
    ("DELETE /api/v1/thresholds/{threshold_id}", {}, {}, ""),
    ("POST /api/v1/dependencies", {}, {"name": "d", "parent": BOTH_DISKS, "children": BOTH_DISKS, "same": ["host"]}, "dependency_id"),
    ("PATCH /api/v1/dependencies/{dependency_id}", {}, {"name": "e"}, ""),
    ("DELETE /api/v1/dependencies/{dependency_id}", {}, {}, ""),
    ("POST /api/v1/silences", {}, {"matchers": BOTH_DISKS, "ends_at": LATER, "comment": "hush"}, "silence_id"),
    ("PATCH /api/v1/silences/{silence_id}", {}, {"comment": "still"}, ""),
    ("POST /api/v1/silences/{silence_id}/expire", {}, {}, ""),
    ("POST /api/v1/silences", {}, {"matchers": BOTH_DISKS, "ends_at": LATER, "comment": "again"}, "silence_id"),
    ("DELETE /api/v1/silences/{silence_id}", {}, {}, ""),
    ("POST /api/v1/maintenance", {}, {"name": "m", "matchers": BOTH_DISKS, "ends_at": LATER}, "maintenance_id"),
    ("PATCH /api/v1/maintenance/{maintenance_id}", {}, {"name": "n"}, ""),
    ("POST /api/v1/maintenance/{maintenance_id}/expire", {}, {}, ""),
    ("POST /api/v1/maintenance", {}, {"name": "o", "matchers": BOTH_DISKS, "starts_at": LATER, "ends_at": LAST}, "maintenance_id"),
    ("DELETE /api/v1/maintenance/{maintenance_id}", {}, {}, ""),
    ("POST /api/v1/checks", {}, {"name": "c", "target": {"kind": "tcp", "host": "127.0.0.1", "port": 9}}, "check_id"),
    ("PATCH /api/v1/checks/{check_id}", {}, {"name": "d"}, ""),
    ("POST /api/v1/checks/{check_id}/run", {}, {}, ""),
    ("DELETE /api/v1/checks/{check_id}", {}, {}, ""),
    ("PATCH /api/v1/hosts/{host_id}", {}, {"paused": True}, ""),
    ("DELETE /api/v1/hosts/{host_id}", {}, {}, ""),
    ("POST /api/v1/agents/tokens", {}, {}, ""),
    ("POST /api/v1/heartbeats", {}, {"name": "backup", "period_seconds": 3600}, "heartbeat_id"),
    ("PATCH /api/v1/heartbeats/{heartbeat_id}", {}, {"paused": True}, ""),
    ("POST /api/v1/heartbeats/{heartbeat_id}/token", {}, {}, ""),
    ("DELETE /api/v1/heartbeats/{heartbeat_id}", {}, {}, ""),
    ("POST /api/v1/alerts/{ref}/acknowledge", ALERT, {}, ""),
    ("POST /api/v1/alerts/{ref}/unacknowledge", ALERT, {}, ""),
    ("POST /api/v1/alerts/{ref}/snooze", ALERT, {"for_seconds": 60}, ""),
    ("POST /api/v1/alerts/{ref}/assign", ALERT, {"user": "ben@example.com"}, ""),
    ("POST /api/v1/alerts/{ref}/comment", ALERT, {"text": "hello"}, ""),
    ("POST /api/v1/alerts/{ref}/escalate", {"ref": "2"}, {}, ""),
    ("POST /api/v1/alerts/{ref}/resolve", ALERT, {}, ""),
    ("POST /api/v1/alerts/bulk", {}, {"ids": ["2"], "action": "resolve"}, ""),
    ("POST /api/v1/alerts/test", {}, {"severity": 3}, ""),
    ("POST /api/v1/notifications/{message_id}/revoke-links", {}, {}, ""),
    ("PATCH /api/v1/users/me", {}, {"theme": "dark"}, ""),
    ("DELETE /api/v1/users/{user_id}/second-factor", {}, {}, ""),
    ("DELETE /api/v1/users/{user_id}", {}, {}, ""),
    ("DELETE /api/v1/users/{user_id}/sessions/{session_id}", {"user_id": "@me", "session_id": "@other_session"}, {}, ""),
    ("DELETE /api/v1/users/me/sessions/{session_id}", {"session_id": "@third_session"}, {}, ""),
)
# A password, a code that came, time that passes: in test_users.py and test_contacts.py.
ELSEWHERE = frozenset(
    {
        "POST /api/v1/sites/{slug}/whmcs/servers",  # makes checks like any other
        "DELETE /api/v1/metrics/series",  # says in its address which: in test_history.py
        "POST /api/v1/users/me/password",
        "POST /api/v1/users/me/contacts/{contact_id}/code",
        "POST /api/v1/users/{user_id}/contacts/{contact_id}/code",
        "POST /api/v1/users/me/contacts/{contact_id}/test",
    }
)
TRIES = "/verify"  # refused on purpose: what was tried is noted all the same


async def test_every_call_that_changes_something_has_its_example_here() -> None:
    calls = {call for row in TABLE if row.permission not in NO_DEEDS for call in row.calls if not call.startswith("GET ")}
    assert sorted(calls - {deed[0] for deed in DEEDS} - CHANGE_NOTHING - ELSEWHERE) == []


@pytest.mark.claim("S5", "S9", "P4", "K24")
async def test_every_deed_is_in_the_audit_log_under_the_name_of_who_did_it(sqlite_service: Service) -> None:
    service = sqlite_service
    door = HttpDoor(allow_private=True)
    service.server.channels["slack"] = Slack(None, door)
    me = await a_person(service, Role.ADMIN, None)
    made = await _before(service, me)
    silent, failed = [], []
    for route, ids, body, kept in DEEDS:
        method, template = route.split(" ")
        path = _address(template, ids, made)
        before = _entries(service)
        answer = await ask(service, me, method, path, _filled(body, made), whole=True)
        if answer.status >= 300 and not route.endswith(TRIES):
            failed.append(f"{route}: {answer.status} {answer.body[:300].decode()}")
        if kept:
            found = re.search(rb'"id":"([^"]+)"', answer.body)
            made[kept] = found[1].decode() if found else ""
        new = [row for row in _entries(service)[len(before) :] if row.action != "refused"]
        if not new or {row.actor for row in new} != {"admin-of-all@example.com"} or {row.address for row in new} != {"192.0.2.77"}:
            silent.append(f"{route}: {[(row.actor, row.address, row.action) for row in new]}")
    await door.close()
    assert failed == []
    assert silent == []
    assert SLACK.rpartition("/")[2] not in str(_entries(service))


def _entries(service: Service) -> list[Any]:
    return list(service.world.rows(sa.select(tables.audit).order_by(tables.audit.c.number)))


async def _before(service: Service, me: Comer) -> dict[str, str]:
    """Two alerts with messages, and three sessions of one's own."""
    await service.send(*[{"type": "disk.full", "severity": 4, "title": "Disk full", "subject": f"disk:{n}"} for n in range(2)])
    again = await a_session(service, "admin-of-all@example.com", 2)
    own = await service.server.core.writer.run(lambda tx: tx.sql.execute(sa.select(tables.users.c.id)).scalar_one())
    message = service.world.rows(sa.select(tables.outbox.c.id))[0][0]
    assert me.session
    card = Card("agent-1", "web-1", "1.0", 60, NOW)
    await service.world.write(lambda tx: service.world.core.roll.hear(tx, service.world.core.sites.get("main").id, card))
    host = service.world.rows(sa.select(tables.hosts.c.id))[0][0]
    return {"host_id": host, "me": own, "other_session": again[0], "third_session": again[1], "message_id": message}


async def a_session(service: Service, email: str, count: int) -> list[str]:
    def work(tx: Tx) -> list[str]:
        user = store.find_email(tx.sql, email)
        assert user
        return [sessions.begin(tx, user.id, "192.0.2.78", "another", NOW).session.id for _ in range(count)]

    return await service.world.write(work)


def _address(template: str, ids: dict[str, str], made: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda match: _put(ids.get(match[1], f"@{match[1]}"), made), template)


def _put(text: str, made: dict[str, str]) -> str:
    return made[text[1:]] if text.startswith("@") else text


def _filled(value: Any, made: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, made) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, made) for item in value]
    return _put(value, made) if isinstance(value, str) else value
