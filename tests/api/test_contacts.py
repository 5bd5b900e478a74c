"""Contacts of people: made, proved by a code that comes there, tried out, put in order; and how each wants to be told."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.api.walk import Comer, a_person, ask
from tests.fakes import DOWN, FakeChannel
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.db import tables
from tocsin.engine import tidy
from tocsin.identity.model import Role
from tocsin.notify.codes import LASTS, PAUSE, SENDS_AN_HOUR, TRIES
from tocsin.notify.reach import person_promises

PHONE = {"kind": "sms", "target": "+4915123456789", "label": "Pocket"}


class Person:
    """Somebody who is logged in and looks after their own contacts."""

    def __init__(self, service: Service, comer: Comer) -> None:
        self.service, self.comer = service, comer

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await ask(self.service, self.comer, method, f"/api/v1/users/me{path}", body, whole=True)
        assert answer.status == status, answer.body
        return json.loads(answer.body) if answer.body else None

    async def add(self, body: dict[str, Any] = PHONE) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("POST", "/contacts", body, 201)
        return found

    async def proved(self, channel: FakeChannel, body: dict[str, Any]) -> str:
        made = await self.add(body)
        await self.ask("POST", f"/contacts/{made['id']}/verify", {"code": code_in(channel)})
        return str(made["id"])


@pytest.fixture
async def marta(service: Service) -> Person:
    return Person(service, await a_person(service, Role.RESPONDER, None))


@pytest.fixture
async def quick_marta(sqlite_service: Service) -> Person:
    return Person(sqlite_service, await a_person(sqlite_service, Role.RESPONDER, None))


def code_in(channel: FakeChannel) -> str:
    """The code in the last message."""
    return channel.letters[-1].alert.title.split()[0]


def deeds(service: Service) -> list[str]:
    a = tables.audit.c
    return [row[0] for row in service.world.rows(sa.select(a.action).where(a.action.like("contact.%")).order_by(a.number))]


@pytest.mark.claim("N7", "Q6")
async def test_a_contact_hears_of_alerts_once_its_code_has_come_back(marta: Person) -> None:
    world = marta.service.world
    made = await marta.add()
    assert (made["verified_at"], made["code"]["sent"], made["label"]) == (None, True, "Pocket")
    code = code_in(world.sms)
    assert world.core.contacts.find(made["id"]) is None
    shown = await marta.ask("POST", f"/contacts/{made['id']}/verify", {"code": f" {code[:3]} {code[3:]}"})
    assert shown["verified_at"] is not None
    found = world.core.contacts.find(made["id"])
    assert found is not None
    assert found.user_id is not None
    again = await marta.ask("POST", f"/contacts/{made['id']}/verify", {"code": "anything"})
    assert again["verified_at"] == shown["verified_at"], "what is proved stays so"
    assert deeds(marta.service) == ["contact.made", "contact.code_sent", "contact.verified"]


@pytest.mark.claim("N7")
async def test_the_code_itself_is_in_no_answer_no_row_and_no_audit_line(quick_marta: Person) -> None:
    world = quick_marta.service.world
    made = await quick_marta.add()
    code = code_in(world.sms)
    stored = [
        str(row) for table in (tables.contact_codes, tables.audit, tables.outbox, tables.notices) for row in world.rows(sa.select(table))
    ]
    assert code not in str(made)
    assert all(code not in row for row in stored)


async def test_wrong_codes_are_counted_and_then_even_the_right_one_is_refused(marta: Person) -> None:
    world = marta.service.world
    made = await marta.add()
    right = code_in(world.sms)
    wrong = "000000" if right != "000000" else "000001"
    path = f"/contacts/{made['id']}/verify"
    for left in range(TRIES - 1, -1, -1):
        problem = await marta.ask("POST", path, {"code": wrong}, 422)
        assert problem["errors"][0]["field"] == "code"
        assert f"{left} attempt" in problem["errors"][0]["message"]
    problem = await marta.ask("POST", path, {"code": right}, 409)
    assert "wrong too often" in problem["detail"]
    assert deeds(marta.service).count("contact.code_wrong") == TRIES
    world.clock.advance(PAUSE)
    await marta.ask("POST", f"/contacts/{made['id']}/code")
    assert (await marta.ask("POST", path, {"code": code_in(world.sms)}))["verified_at"] is not None


async def test_a_code_expires_and_a_new_one_takes_its_place(quick_marta: Person) -> None:
    marta, world = quick_marta, quick_marta.service.world
    made = await marta.add()
    old, path = code_in(world.sms), f"/contacts/{made['id']}"
    world.clock.advance(LASTS)
    problem = await marta.ask("POST", f"{path}/verify", {"code": old}, 409)
    assert "has expired" in problem["detail"]
    await marta.ask("POST", f"{path}/code")
    assert (await marta.ask("POST", f"{path}/verify", {"code": code_in(world.sms)}))["verified_at"] is not None
    problem = await marta.ask("POST", f"{path}/code", status=409)
    assert "verified already" in problem["detail"]


async def test_nobody_has_a_stranger_flooded_with_codes(quick_marta: Person) -> None:
    marta, world = quick_marta, quick_marta.service.world
    made = await marta.add()
    path = f"/contacts/{made['id']}/code"
    assert "just now" in (await marta.ask("POST", path, status=409))["detail"]
    for _ in range(SENDS_AN_HOUR - 1):
        world.clock.advance(PAUSE)
        await marta.ask("POST", path)
    world.clock.advance(PAUSE)
    assert "within an hour" in (await marta.ask("POST", path, status=409))["detail"]
    for _ in range(12):  # removing it and making it anew does not help
        await marta.ask("DELETE", f"/contacts/{made['id']}", status=204)
        made = await marta.add()
    assert len(world.sms.letters) == 15
    assert (made["code"]["sent"], made["verified_at"]) == (False, None)
    world.clock.advance(HOUR)
    assert (await marta.ask("POST", f"/contacts/{made['id']}/code"))["sent"] is True


async def test_a_code_that_cannot_be_sent_says_why_and_the_contact_stays(quick_marta: Person) -> None:
    marta, world = quick_marta, quick_marta.service.world
    world.sms.outcome = DOWN
    made = await marta.add()
    assert (made["code"]["sent"], made["code"]["error"]) == (False, "the server does not answer")
    assert [one["id"] for one in (await marta.ask("GET", "/contacts"))["items"]] == [made["id"]]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"target": "+4915"}, "target", "telephone number"),
        ({"target": "015123456789"}, "target", "with + and the country"),
        ({"target": "+999123456789"}, "target", "telephone number"),
        ({"kind": "webhook", "target": "https://hooks.example.com/x"}, "kind", "tells a program"),
        ({"kind": "slack", "target": "#ops"}, "kind", "is not set up here"),
        ({"kind": "pigeon"}, "kind", "must be one of"),
        ({"label": "x" * 101}, "label", "at most 100"),
        ({"label": "a\0b"}, "label", "NUL"),
        ({"verified": True}, "verified", "is not known here"),
    ],
)
async def test_each_field_that_is_wrong_is_named(quick_marta: Person, change: dict[str, Any], field: str, message: str) -> None:
    problem = await quick_marta.ask("POST", "/contacts", {**PHONE, **change}, 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]


async def test_the_same_address_is_not_made_twice_and_twenty_are_enough(quick_marta: Person) -> None:
    marta = quick_marta
    await marta.add()
    assert "already" in (await marta.ask("POST", "/contacts", PHONE, 409))["detail"]
    for number in range(19):
        await marta.add({"kind": "ntfy", "target": f"phone-{number}"})
    assert "20 contacts" in (await marta.ask("POST", "/contacts", {"kind": "ntfy", "target": "one-more"}, 409))["detail"]


async def test_a_verified_contact_is_tried_out_and_one_that_is_not_is_not(quick_marta: Person) -> None:
    marta, world = quick_marta, quick_marta.service.world
    made = await marta.add()
    assert "not verified" in (await marta.ask("POST", f"/contacts/{made['id']}/test", status=409))["detail"]
    await marta.ask("POST", f"/contacts/{made['id']}/verify", {"code": code_in(world.sms)})
    tried = await marta.ask("POST", f"/contacts/{made['id']}/test")
    assert (tried["result"], world.sms.letters[-1].alert.title) == ("sent", "Test message: Tocsin reaches you here")
    assert deeds(marta.service)[-1] == "contact.tested"


async def test_contacts_are_named_and_put_in_order(marta: Person) -> None:
    world = marta.service.world
    first = await marta.proved(world.sms, PHONE)
    second = await marta.proved(world.ntfy, {"kind": "ntfy", "target": "martas-phone"})
    changed = await marta.ask("PATCH", f"/contacts/{first}", {"label": "Bedside", "place": 5})
    assert (changed["label"], changed["place"]) == ("Bedside", 5)
    assert [one["id"] for one in (await marta.ask("GET", "/contacts"))["items"]] == [second, first]
    (person,) = [one for one in world.core.contacts.directory.people.values() if one.contacts]
    assert [one.id for one in person.contacts] == [second, first]
    await marta.ask("PATCH", f"/contacts/{first}", {"place": -1}, 422)
    await marta.ask("PATCH", f"/contacts/{first}", {"target": "+4915123456780"}, 422)


async def test_nobody_reaches_anothers_contact_as_their_own(sqlite_service: Service) -> None:
    marta = Person(sqlite_service, await a_person(sqlite_service, Role.RESPONDER, None))
    vera = Person(sqlite_service, await a_person(sqlite_service, Role.VIEWER, None))
    made = await marta.add()
    place = f"/contacts/{made['id']}"
    await vera.ask("DELETE", place, status=404)
    await vera.ask("PATCH", place, {"label": "mine"}, 404)
    for deed in ("/code", "/test"):
        await vera.ask("POST", place + deed, status=404)
    await vera.ask("POST", f"{place}/verify", {"code": code_in(sqlite_service.world.sms)}, 404)
    await vera.ask("PUT", "/notification-rules", {"rules": [{"urgency": "high", "contact": made["id"]}]}, 422)
    await vera.ask("DELETE", "/contacts/nonsense", status=404)


# How somebody wants to be told.


@pytest.mark.claim("N7")
async def test_rules_and_quiet_hours_are_set_shown_and_kept_to(marta: Person) -> None:
    service, world = marta.service, marta.service.world
    push = await marta.proved(world.ntfy, {"kind": "ntfy", "target": "martas-phone"})
    text = await marta.proved(world.sms, PHONE)
    rules = [
        {"urgency": "high", "contact": push, "delay_seconds": 0},
        {"urgency": "high", "contact": text, "delay_seconds": 300},
    ]
    wanted = {"rules": rules, "quiet_hours": {"begins": "22:00", "ends": "07:00"}}
    assert await marta.ask("PUT", "/notification-rules", wanted) == {**wanted, "time_zone": "UTC"}
    assert await marta.ask("GET", "/notification-rules") == {**wanted, "time_zone": "UTC"}
    (me,) = [one for one in (await service.admin.get("/users"))["items"] if one["email"].startswith("responder")]
    steps = [{"delay_seconds": 0, "targets": [{"kind": "user", "id": me["id"]}]}]
    policy = await service.admin.post("/policies", {"name": "Marta", "steps": steps}, 201)
    answer = await service.admin.ask("PATCH", "/sites/main", json={"default_policy": policy["id"]})
    assert answer.status_code == 200
    world.ntfy.letters.clear()
    world.sms.letters.clear()
    await service.send({"type": "disk.full", "severity": 5, "title": "Disk full"})
    await world.pass_time(4 * MINUTE)
    assert ([one.contact.id for one in world.ntfy.letters], world.sms.letters) == ([push], [])
    await world.pass_time(2 * MINUTE)
    assert [one.contact.id for one in world.sms.letters] == [text], "midnight, and severity 5 breaks the quiet"
    await service.send({"type": "disk.full", "severity": 4, "title": "Other disk full", "host": "b"})
    await world.pass_time(MINUTE)
    assert len(world.ntfy.letters) == 1
    why = await service.admin.get("/alerts/2/why", user=me["email"])
    assert any("Held until their quiet hours end: ntfy martas-phone, sms +4915123456789" in step["text"] for step in why["steps"])
    why = await service.admin.get("/alerts/1/why", user=me["email"])
    assert any("By their own rules: ntfy martas-phone at once, sms +4915123456789 after 5 min" in step["text"] for step in why["steps"])


async def test_wishes_that_cannot_be_kept_are_refused_by_their_field(quick_marta: Person) -> None:
    marta = quick_marta
    made = await marta.add()
    for wanted, field in (
        ({"rules": [{"urgency": "high", "contact": made["id"]}]}, "rules[0].contact"),
        ({"rules": [{"urgency": "loud", "contact": made["id"]}]}, "rules[0].urgency"),
        ({"rules": [{"urgency": "low", "contact": made["id"], "delay_seconds": -1}]}, "rules[0].delay_seconds"),
        ({"rules": "none"}, "rules"),
        ({"quiet_hours": {"begins": "25:00", "ends": "07:00"}}, "quiet_hours.begins"),
        ({"quiet_hours": {"begins": "07:00", "ends": "07:00"}}, "quiet_hours.ends"),
        ({"quiet_hours": {"begins": "07:00"}}, "quiet_hours"),
    ):
        problem = await marta.ask("PUT", "/notification-rules", wanted, 422)
        assert [error["field"] for error in problem["errors"]] == [field]
    assert (await marta.ask("GET", "/notification-rules"))["rules"] == []


async def test_a_rule_for_a_contact_that_was_removed_falls_back_to_what_is_left(quick_marta: Person) -> None:
    marta, world = quick_marta, quick_marta.service.world
    push = await marta.proved(world.ntfy, {"kind": "ntfy", "target": "martas-phone"})
    text = await marta.proved(world.sms, PHONE)
    await marta.ask("PUT", "/notification-rules", {"rules": [{"urgency": "high", "contact": text}]})
    await marta.ask("DELETE", f"/contacts/{text}", status=204)
    (person,) = [one for one in world.core.contacts.directory.people.values() if one.contacts]
    assert [promise.contact.id for promise in person_promises(person, 4, (), world.clock.now())] == [push]
    assert (await marta.ask("GET", "/notification-rules"))["rules"] == [], "what is shown can be sent back"


@pytest.mark.claim("T6")
async def test_codes_are_forgotten_after_a_day(marta: Person) -> None:
    world = marta.service.world
    await marta.add()
    for later, left in ((HOUR, 1), (DAY, 0)):
        world.clock.advance(later)
        await world.write(lambda tx: tidy.run(tx, world.clock.now()))
        assert world.count(tables.contact_codes) == left
