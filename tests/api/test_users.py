"""People over the API: made, changed, shut out; oneself; and the dashboard's session in place of a key."""

from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tests.api.walk import a_person, ask
from tests.web.browser import PASSWORD, Browser, a_person as with_password
from tocsin.db import tables
from tocsin.identity.model import Role

BEN = {"email": "Ben@Example.com", "name": "Ben Okafor", "role": "responder", "time_zone": "Europe/Berlin"}


def audited(service: Service, action: str) -> list[tuple[Any, ...]]:
    a = tables.audit.c
    query = sa.select(a.actor, a.object, a.before, a.after).where(a.action == action).order_by(a.number)
    return [tuple(row) for row in service.world.rows(query)]


async def test_a_person_is_made_shown_changed_and_listed(service: Service) -> None:
    made = await service.admin.post("/users", BEN, 201)
    assert made["email"] == "ben@example.com"
    assert (made["role"], made["sites"], made["has_password"], made["second_factor"]) == ("responder", "all", False, False)
    assert await service.admin.get(f"/users/{made['id']}") == made
    changed = await service.admin.ask("PATCH", f"/users/{made['id']}", json={"role": "viewer", "sites": [OTHER_SITE]})
    assert changed.json()["role"] == "viewer"
    assert changed.json()["sites"] == [OTHER_SITE]
    again = await service.admin.ask("PATCH", f"/users/{made['id']}", json={"sites": "all"})
    assert again.json()["sites"] == "all"
    page = await service.admin.get("/users", limit=1)
    assert [user["email"] for user in page["items"]] == ["ben@example.com"]
    assert page["next_cursor"] is None


async def test_whoever_only_reads_sees_who_there_is_and_not_how_they_log_in(sqlite_service: Service) -> None:
    made = await sqlite_service.admin.post("/users", BEN, 201)
    shown = await sqlite_service.reader.get(f"/users/{made['id']}")
    assert (shown["name"], shown["role"]) == ("Ben Okafor", "responder")
    assert (shown["sites"], shown["second_factor"], shown["has_password"], shown["last_login_at"]) == (None, None, None, None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "nowhere", "'nowhere' is no mail address"),
        ("name", "  ", "must have 1 to 100 characters"),
        ("role", "king", "must be admin, responder or viewer"),
        ("time_zone", "Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("sites", ["nowhere"], "there is no site nowhere"),
        ("sites", "some", "must be a list of short names of sites"),
        ("name", "a\0b", "must not hold NUL characters"),
        ("password", PASSWORD, "is not known here"),
        ("id", "0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10", "is not known here"),
    ],
)
async def test_each_field_that_is_wrong_is_named(sqlite_service: Service, field: str, value: object, message: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/users", 422, json={**BEN, field: value})
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]
    assert (await sqlite_service.admin.get("/users"))["items"] == []


async def test_an_address_is_one_persons(service: Service) -> None:
    await service.admin.post("/users", BEN, 201)
    other = await service.admin.post("/users", {**BEN, "email": "other@example.com"}, 201)
    problem = await service.admin.refused("POST", "/users", 409, json={**BEN, "email": "BEN@example.com"})
    assert "there is already a user ben@example.com" in problem["detail"]
    await service.admin.refused("PATCH", f"/users/{other['id']}", 409, json={"email": "ben@example.com"})


@pytest.mark.claim("S1")
async def test_the_last_administrator_stays_one(service: Service) -> None:
    marta = await with_password(service)
    for change in ({"role": "viewer"}, {"disabled": True}, {"sites": [OTHER_SITE]}):
        problem = await service.admin.refused("PATCH", f"/users/{marta}", 409, json=change)
        assert problem["detail"] == "marta@example.com is the last administrator who can log in: make somebody else one first"
    await service.admin.refused("DELETE", f"/users/{marta}", 409)
    invited = await service.admin.post("/users", {**BEN, "role": "admin"}, 201)
    await service.admin.refused("DELETE", f"/users/{marta}", 409)
    assert invited["has_password"] is False, "who has no password cannot take over yet"
    await with_password(service, "second@example.com")
    await service.admin.ask("PATCH", f"/users/{marta}", json={"role": "viewer"})
    assert (await service.admin.get(f"/users/{marta}"))["role"] == "viewer"


@pytest.mark.claim("S1", "S2")
async def test_whoever_is_shut_out_or_changed_is_logged_out_at_once(service: Service) -> None:
    await with_password(service)
    ben = await with_password(service, "ben@example.com", Role.RESPONDER)
    for change in ({"role": "viewer"}, {"sites": [OTHER_SITE]}, {"disabled": True}):
        browser = Browser(service)
        await browser.log_in("ben@example.com")
        assert (await browser.get("/settings/me")).status_code == 200
        await service.admin.ask("PATCH", f"/users/{ben}", json=change)
        assert (await browser.get("/settings/me")).status_code == 303, change
    await service.admin.ask("PATCH", f"/users/{ben}", json={"disabled": False})
    browser = Browser(service)
    await browser.log_in("ben@example.com")
    assert browser.place == "./"
    await service.admin.ask("PATCH", f"/users/{ben}", json={"name": "Benjamin"})
    assert (await browser.get("/settings/me")).status_code == 200, "another name is no other right"


async def test_who_never_logged_in_is_removed_and_who_did_is_only_shut_out(service: Service) -> None:
    await with_password(service)
    fresh = await service.admin.post("/users", BEN, 201)
    assert (await service.admin.ask("DELETE", f"/users/{fresh['id']}")).status_code == 204
    await service.admin.refused("GET", f"/users/{fresh['id']}", 404)
    ben = await with_password(service, "ben@example.com")
    await Browser(service).log_in("ben@example.com")
    assert (await service.admin.ask("DELETE", f"/users/{ben}")).status_code == 204
    assert (await service.admin.get(f"/users/{ben}"))["disabled_at"] is not None


async def test_whom_a_schedule_or_a_contact_names_is_only_shut_out(service: Service) -> None:
    ben = await service.admin.post("/users", BEN, 201)
    rotation = {"unit": "week", "length": 1, "starts_at": "2025-11-24T09:00", "users": [ben["id"]]}
    layers = [{"name": "all", "rotation": rotation}]
    await service.admin.post("/schedules", {"name": "Night", "time_zone": "Europe/Berlin", "layers": layers}, 201)
    await service.admin.ask("DELETE", f"/users/{ben['id']}")
    assert (await service.admin.get(f"/users/{ben['id']}"))["disabled_at"] is not None


@pytest.mark.claim("S5")
async def test_every_change_is_in_the_audit_log_with_before_and_after_and_no_secret(service: Service) -> None:
    ben = await service.admin.post("/users", BEN, 201)
    await service.admin.ask("PATCH", f"/users/{ben['id']}", json={"role": "viewer"})
    assert audited(service, "user.changed") == [("key:admin", f"user:{ben['id']}", '{"role":"responder"}', '{"role":"viewer"}')]
    await service.admin.ask("PATCH", f"/users/{ben['id']}", json={"role": "viewer"})
    assert len(audited(service, "user.changed")) == 1, "what changes nothing is no change"
    await service.admin.post(f"/users/{ben['id']}/link", {"kind": "invite"})
    path = service.world.email.link()
    await Browser(service).post(path, password=PASSWORD, again=PASSWORD)
    (accepted,) = audited(service, "password.invite")
    assert accepted[:2] == ("ben@example.com", f"user:{ben['id']}")
    everything = str(service.world.rows(sa.select(tables.audit)))
    for secret in (PASSWORD, path.rpartition("/")[2], "$argon2id$"):
        assert secret not in everything


# Oneself, and the session in place of a key.


async def logged_in(service: Service, role: Role = Role.RESPONDER) -> tuple[Browser, dict[str, str]]:
    """A browser, and the header that its scripts send along."""
    await with_password(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await browser.get("/settings/me")
    return browser, {"X-CSRF-Token": browser.csrf, "Origin": "https://alarm.example.com", "Accept": "application/json"}


async def test_the_dashboard_calls_the_api_with_its_session(service: Service) -> None:
    browser, token = await logged_in(service)
    await service.send({"type": "disk.full", "severity": 4, "title": "Disk full"})
    alerts = (await browser.client.get("/api/v1/alerts", headers={"Accept": "application/json"})).json()["items"]
    done = await browser.client.post(f"/api/v1/alerts/{alerts[0]['number']}/acknowledge", json={}, headers=token)
    assert done.json()["acknowledged_by"] == "marta@example.com"
    forged = await browser.client.post(f"/api/v1/alerts/{alerts[0]['number']}/resolve", json={})
    assert forged.status_code == 403
    refused = await browser.client.get("/api/v1/keys", headers={"Accept": "application/json"})
    assert refused.json()["detail"].startswith("your role is responder; this needs admin")


async def test_one_sees_and_changes_oneself_and_not_ones_role(service: Service) -> None:
    browser, token = await logged_in(service)
    me = (await browser.client.get("/api/v1/users/me", headers=token)).json()
    assert (me["user"]["email"], me["theme"]) == ("marta@example.com", "system")
    assert "act" in me["permissions"]
    assert "people" not in me["permissions"]
    changed = await browser.client.patch("/api/v1/users/me", json={"theme": "dark", "time_zone": "Europe/Berlin"}, headers=token)
    assert (changed.json()["theme"], changed.json()["user"]["time_zone"]) == ("dark", "Europe/Berlin")
    slipped = await browser.client.patch("/api/v1/users/me", json={"role": "admin"}, headers=token)
    assert slipped.status_code == 422
    await service.server.refusals.settle()
    assert audited(service, "refused")[-1][:2] == ("marta@example.com", "PATCH /api/v1/users/me")
    assert (await browser.client.get("/api/v1/users/me", headers=token)).json()["user"]["role"] == "responder"


@pytest.mark.claim("S2")
async def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(service: Service) -> None:
    browser, token = await logged_in(service)
    other = Browser(service)
    await other.log_in("marta@example.com")
    wrong = await browser.client.post("/api/v1/users/me/password", json={"current": "no", "new": "lantern gravel teacup"}, headers=token)
    assert wrong.json()["errors"] == [{"field": "current", "message": "is not your password"}]
    weak = await browser.client.post("/api/v1/users/me/password", json={"current": PASSWORD, "new": "short"}, headers=token)
    assert weak.json()["errors"][0]["field"] == "new"
    right = {"current": PASSWORD, "new": "lantern gravel teacup"}
    assert (await browser.client.post("/api/v1/users/me/password", json=right, headers=token)).status_code == 204
    assert (await other.get("/settings/me")).status_code == 303
    assert (await browser.get("/settings/me")).status_code == 200


@pytest.mark.claim("S2", "origin:S4")
async def test_sessions_are_listed_and_ended_one_by_one(service: Service) -> None:
    browser, token = await logged_in(service)
    other = Browser(service)
    await other.client.post("/login", data={"email": "marta@example.com", "password": PASSWORD}, headers={"User-Agent": "the phone"})
    found = (await browser.client.get("/api/v1/users/me/sessions", headers=token)).json()["items"]
    assert {(one["agent"], one["current"]) for one in found} == {(found[0]["agent"], found[0]["current"]), ("the phone", False)}
    phone = next(one["id"] for one in found if one["agent"] == "the phone")
    assert (await browser.client.delete(f"/api/v1/users/me/sessions/{phone}", headers=token)).status_code == 204
    assert (await other.get("/settings/me")).status_code == 303
    assert (await browser.client.delete(f"/api/v1/users/me/sessions/{phone}", headers=token)).status_code == 404
    assert (await browser.client.delete("/api/v1/users/me/sessions/nonsense", headers=token)).status_code == 404


async def test_nobody_ends_the_session_of_another_as_their_own(service: Service) -> None:
    _, token = await logged_in(service)
    admin = await a_person(service, Role.ADMIN, None)
    viewer = await a_person(service, Role.VIEWER, None)
    user = next(user for user in (await service.admin.get("/users"))["items"] if user["email"].startswith("admin-of"))
    (session,) = (await service.admin.get(f"/users/{user['id']}/sessions"))["items"]
    answer = await ask(service, viewer, "DELETE", f"/api/v1/users/me/sessions/{session['id']}")
    assert answer.status == 404
    assert (await ask(service, admin, "GET", "/api/v1/users/me")).status == 200
    assert (await service.admin.ask("DELETE", f"/users/{user['id']}/sessions/{session['id']}")).status_code == 204
    assert (await ask(service, admin, "GET", "/api/v1/users/me")).status == 401
    assert token


async def test_a_key_is_nobody(sqlite_service: Service) -> None:
    problem = await sqlite_service.admin.refused("GET", "/users/me", 403)
    assert problem["detail"] == "this is for people who are logged in; no key may do it"


async def test_a_lost_phone_is_taken_off_by_an_administrator(service: Service) -> None:
    await with_password(service)
    ben = await with_password(service, "ben@example.com")
    await service.world.write(lambda tx: tx.sql.execute(tables.users.update().values(totp_secret="JBSWY3DPEHPK3PXP", totp_since=1)))
    assert (await service.admin.get(f"/users/{ben}"))["second_factor"] is True
    assert (await service.admin.ask("DELETE", f"/users/{ben}/second-factor")).status_code == 204
    browser = Browser(service)
    await browser.log_in("ben@example.com")
    assert browser.place == "./"


@pytest.mark.parametrize("path", ["", "/sessions", "/link", "/second-factor"])
async def test_somebody_who_is_not_there_is_not_found(sqlite_service: Service, path: str) -> None:
    method = {"": "GET", "/sessions": "GET", "/link": "POST", "/second-factor": "DELETE"}[path]
    for user_id in ("0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10", "nonsense", "%F0%9F%94%94"):
        more: dict[str, Any] = {"json": {"kind": "invite"}} if method == "POST" else {}
        await sqlite_service.admin.refused(method, f"/users/{user_id}{path}", 404, **more)
