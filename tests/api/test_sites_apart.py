"""Whatever somebody of one site asks for or sends, nothing of another site shows, and nothing there changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings, strategies as st

from tests.api.service import OTHER_SITE, Service
from tests.api.walk import Answer, Comer, ask, comers, filled, routes
from tests.fakes import NOW
from tocsin.core.clock import DAY
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.hosts.model import Card
from tocsin.identity import permissions
from tocsin.identity.model import Permission

MARK = "Geheimnis"  # stands in everything that the other site has, and in nothing that is sent
FOREIGN = "main"
NOWHERE = {"kind": "tcp", "host": "127.0.0.1", "port": 9}
BY_NUMBER = {"alert_history": "alert_number", "attempts": "outbox_id"}
NOT_HERE = frozenset({"POST /logout", "GET /api/v1/stream"})  # ends the session; ends never


@dataclass
class Neighbours:
    """Those of one site, and what belongs to the other: by the name of the parameter, by which it could be asked for."""

    service: Service
    people: list[Comer]
    ids: dict[str, list[str]]

    def state(self) -> dict[str, list[Any]]:
        """Everything that the other site has."""
        site_id = self.service.world.core.sites.get(FOREIGN).id
        with self.service.world.core.database.read() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(_of_site(table, site_id))]
                for table in tables.metadata.sorted_tables
                if table.name != "audit" and ("site_id" in table.c or table.name in BY_NUMBER)
            }


def _of_site(table: sa.Table, site_id: int) -> sa.Select[Any]:
    if "site_id" in table.c:
        return sa.select(table).where(table.c.site_id == site_id).order_by(*table.primary_key.columns)
    owner = tables.alerts.c.number if table.name == "alert_history" else tables.outbox.c.id
    source = tables.alerts if table.name == "alert_history" else tables.outbox
    foreign = sa.select(owner).where(source.c.site_id == site_id)
    return sa.select(table).where(table.c[BY_NUMBER[table.name]].in_(foreign)).order_by(*table.primary_key.columns)


async def _furnish(service: Service) -> dict[str, list[str]]:
    """Gives the other site something of each kind."""
    admin, world = service.admin, service.world
    sent = await service.send(
        *[
            {
                "type": f"disk.full{n}",
                "severity": 4,
                "title": f"{MARK} {n}",
                "message": MARK,
                "host": f"{MARK}-{n}".lower(),
                "subject": f"disk:{MARK}",
                "attributes": {"secret": MARK},
                "source": f"src-{MARK}",
                "sequence": n + 1,
            }
            for n in range(3)
        ],
        {"type": "x", "title": 5, "message": MARK},
    )
    alerts = (await admin.get("/alerts", site=FOREIGN))["items"]
    await admin.post(f"/alerts/{alerts[0]['id']}/comment", {"text": f"note: {MARK}"})
    await admin.post(f"/alerts/{alerts[1]['id']}/acknowledge", {"note": MARK})
    soon = to_text(world.clock.now() + DAY)
    matchers = [{"field": "site", "op": "=", "value": FOREIGN}]
    silence = await admin.post("/silences", {"matchers": matchers, "ends_at": soon, "comment": MARK}, 201)
    window = {"name": MARK, "matchers": matchers, "starts_at": soon, "ends_at": to_text(NOW + 2 * DAY), "comment": MARK}
    maintenance = await admin.post("/maintenance", window, 201)
    await admin.ask("PUT", f"/sites/{FOREIGN}/catalogue/disk.full1", json={"title": f"{MARK} title"})
    await admin.ask("PUT", f"/sites/{FOREIGN}/patterns/their-own", json={"pattern": MARK, "type": "x.y"})
    target = {"kind": "tcp", "host": f"{MARK}.example.com".lower(), "port": 443}
    check = await admin.post("/checks", {"name": MARK, "target": target, "site": FOREIGN, "group": MARK, "paused": True}, 201)
    job = await admin.post("/heartbeats", {"name": MARK, "site": FOREIGN, "period_seconds": 3600}, 201)
    await admin.ask("POST", job["url"].removeprefix("https://alarm.example.com"), content=MARK)
    card = Card(MARK, MARK.lower(), "1.0", 60, NOW, {"os": MARK})
    await world.write(lambda tx: world.core.roll.hear(tx, world.core.sites.get(FOREIGN).id, card))
    messages = [row[0] for row in world.rows(sa.select(tables.outbox.c.id))]
    quarantined = [row[0] for row in world.rows(sa.select(tables.quarantine.c.id))]
    return {
        "ref": [alert["id"] for alert in alerts] + [str(alert["number"]) for alert in alerts],
        "event_id": [event_id for event_id in sent["ids"] if event_id],
        "message_id": messages,
        "silence_id": [silence["id"]],
        "maintenance_id": [maintenance["id"]],
        "quarantine_id": quarantined,
        "check_id": [check["id"]],
        "heartbeat_id": [job["id"]],
        "host_id": [row[0] for row in world.rows(sa.select(tables.hosts.c.id))],
        "slug": [FOREIGN],
        "name": ["their-own"],
        "event_type": ["disk.full1"],
    }


@pytest.fixture
async def neighbours(sqlite_service: Service) -> Neighbours:
    ids = await _furnish(sqlite_service)
    people = [comer for comer in await comers(sqlite_service) if not comer.whole]
    assert len(people) == 4
    return Neighbours(sqlite_service, people, ids)


def proper(ids: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """For each route that takes one, a body that would do something if it were one's own."""
    soon, later = to_text(NOW + DAY), to_text(NOW + 2 * DAY)
    everywhere = [{"field": "severity", "op": "~", "value": ".*"}]
    theirs = [{"field": "site", "op": "=", "value": FOREIGN}]
    numbers = [ref for ref in ids["ref"] if ref.isdigit()]
    return {
        "POST /api/v1/alerts/{ref}/snooze": {"for_seconds": 60},
        "POST /api/v1/alerts/{ref}/assign": {"user": "responder-of-one@example.com"},
        "POST /api/v1/alerts/{ref}/comment": {"text": "hello"},
        "POST /api/v1/alerts/bulk": {"ids": ids["ref"], "action": "resolve"},
        "POST /api/v1/alerts/test": {"site": FOREIGN},
        "POST /api/v1/silences": {"matchers": everywhere, "ends_at": soon, "comment": "hush"},
        "POST /api/v1/silences/preview": {"matchers": everywhere, "ends_at": soon, "comment": "hush"},
        "PATCH /api/v1/silences/{silence_id}": {"comment": "hush"},
        "POST /api/v1/maintenance": {"name": "m", "matchers": theirs, "starts_at": soon, "ends_at": later, "comment": "hush"},
        "PATCH /api/v1/maintenance/{maintenance_id}": {"comment": "hush"},
        "POST /api/v1/checks": {"name": "c", "site": FOREIGN, "target": NOWHERE},
        "POST /api/v1/checks/try": {"name": "c", "target": NOWHERE},
        "PATCH /api/v1/checks/{check_id}": {"name": "hush", "paused": True},
        "PATCH /api/v1/hosts/{host_id}": {"paused": True},
        "POST /api/v1/heartbeats": {"name": "h", "site": FOREIGN, "period_seconds": 60},
        "PATCH /api/v1/heartbeats/{heartbeat_id}": {"name": "hush", "paused": True},
        "POST /alerts/act": {"id": numbers, "do": "resolve", "back": "/alerts"},
        "POST /events/quarantine/again": {"id": ids["quarantine_id"][0], "payload": '{"type": "x.y"}'},
        "POST /events/quarantine/drop": {"id": ids["quarantine_id"][0]},
    }


def queries(ids: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """What may stand behind the question mark."""
    return [{}, {"site": FOREIGN}, {"q": MARK[1:6]}, {"alert": ids["ref"][0]}, {"status": "resolved"}]


async def trespass(
    neighbours: Neighbours, comer: Comer, route: tuple[str, str], ids: Mapping[str, str], body: dict[str, Any], query: dict[str, str]
) -> None:
    """One call, in whose answer nothing of the other site may stand."""
    method, template = route
    answer = await ask(neighbours.service, comer, method, filled(template, **ids), _with_token(body, comer, template), query, whole=True)
    assert MARK.lower() not in answer.body.decode(errors="replace").lower(), f"{method} {template} as {comer.name}: {_around(answer)}"
    assert answer.status < 500 or answer.status == 503, f"{method} {template} as {comer.name}"


@pytest.mark.claim("S1", "S3", "O5")
async def test_each_call_about_what_is_another_sites_shows_and_changes_nothing_of_it(neighbours: Neighbours) -> None:
    before, right = neighbours.state(), proper(neighbours.ids)
    assert all(before[table] for table in ("alerts", "events", "outbox", "sequences", "quarantine", "catalogue", "alert_history"))
    assert all(neighbours.ids.values())
    for route in _open_to_them(neighbours.service):
        wanted = [name for name in neighbours.ids if f"{{{name}}}" in route[1]]
        choices = max((len(neighbours.ids[name]) for name in wanted), default=1)
        for turn in range(min(choices, 3)):
            ids = {name: neighbours.ids[name][-turn % len(neighbours.ids[name])] for name in wanted}
            for comer in neighbours.people:
                for query in queries(neighbours.ids) if route[0] == "GET" and turn == 0 else [{}]:
                    await trespass(neighbours, comer, route, ids, right.get(" ".join(route), {}), query)
    after = neighbours.state()
    assert {name for name in before if before[name] != after[name]} == set()


def bodies(ids: Mapping[str, Sequence[str]]) -> st.SearchStrategy[dict[str, Any]]:
    """The same, with fields changed, added and left out."""
    every = [one for some in ids.values() for one in some]
    fields: Mapping[str, st.SearchStrategy[Any]] = {
        "ids": st.lists(st.sampled_from(every), min_size=1, max_size=4),
        "id": st.lists(st.sampled_from(every), min_size=1, max_size=4),
        "action": st.sampled_from(["resolve", "acknowledge", "comment"]),
        "do": st.sampled_from(["resolve", "acknowledge", "snooze 60", "wake"]),
        "everything": st.just("1"),
        "matching": st.sampled_from(["", "status=open", f"site={FOREIGN}"]),
        "site": st.sampled_from([FOREIGN, OTHER_SITE]),
        "note": st.just("hello"),
        "matchers": st.just([{"field": "host", "op": "^", "value": MARK[:3].lower()}]),
        "role": st.just("admin"),
    }
    changed = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)
    added = changed.flatmap(lambda names: st.fixed_dictionaries({name: fields[name] for name in names}))
    return st.tuples(st.sampled_from([*proper(ids).values(), {}]), added).map(lambda two: {**two[0], **two[1]})


@pytest.mark.claim("S1", "S3", "O5", "F1", "P6")
@settings(max_examples=15)
@given(data=st.data())
async def test_no_call_of_one_site_shows_or_changes_anything_of_another(neighbours: Neighbours, data: st.DataObject) -> None:
    before, ids = neighbours.state(), neighbours.ids
    every = [one for some in ids.values() for one in some]
    named = st.fixed_dictionaries({name: st.one_of(st.sampled_from(some), st.sampled_from(every)) for name, some in ids.items()})
    comer, route = st.sampled_from(neighbours.people), st.sampled_from(_open_to_them(neighbours.service))
    calls = st.lists(st.tuples(comer, route, named, bodies(ids), st.sampled_from(queries(ids))), min_size=10, max_size=10)
    for who, where, about, body, query in data.draw(calls):
        await trespass(neighbours, who, where, about, body, query)
    after = neighbours.state()
    assert {name for name in before if before[name] != after[name]} == set()


def _open_to_them(service: Service) -> list[tuple[str, str]]:
    """The routes that somebody of one site can use at all; that the others are closed is shown in test_access_walk.py."""
    found = []
    for route in routes(service):
        row = permissions.row(" ".join(route))
        if row is not None and not row.whole and row.permission is not Permission.OPEN and " ".join(route) not in NOT_HERE:
            found.append(route)
    return found


def _with_token(body: dict[str, Any], comer: Comer, template: str) -> dict[str, Any]:
    return body if template.startswith("/api/") or not comer.csrf else {**body, "csrf": comer.csrf}


def _around(answer: Answer) -> str:
    text = answer.body.decode(errors="replace")
    at = text.lower().find(MARK.lower())
    return text[max(0, at - 200) : at + 100]


@pytest.mark.claim("S5")
async def test_whoever_asks_for_what_is_another_sites_is_noted(neighbours: Neighbours) -> None:
    service = neighbours.service
    viewer = next(comer for comer in neighbours.people if comer.name == "viewer of one")
    alert = neighbours.ids["ref"][0]
    answer = await ask(service, viewer, "GET", f"/api/v1/alerts/{alert}", whole=True)
    assert answer.status == 404
    assert msgspec.json.decode(answer.body)["detail"] == f"there is no alert {alert}"
    await service.server.refusals.settle()
    a = tables.audit.c
    noted = service.world.rows(sa.select(a.actor, a.address, a.object).where(a.action == "refused"))
    assert tuple(noted[-1]) == ("viewer-of-one@example.com", "192.0.2.77", "GET /api/v1/alerts/{ref}")
