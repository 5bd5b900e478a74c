"""The pages of the settings: people, keys, the audit log; what a form may and may not do."""

import re

import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import PASSWORD, Browser, a_person
from tocsin.core.clock import MINUTE
from tocsin.db import tables
from tocsin.identity.model import Role
from tocsin.identity.permissions import of_role
from tocsin.web.nav import SETTINGS


async def logged_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


INVITED = {"email": "ben@example.com", "name": "Ben Okafor", "role": "responder", "time_zone": "Europe/Berlin", "every_site": "no"}


@pytest.mark.claim("S1")
async def test_an_administrator_invites_somebody_limited_to_one_site(service: Service) -> None:
    marta = await logged_in(service)
    await marta.get("/settings/people/new")
    await marta.post("/settings/people/new", None, csrf=marta.csrf, **INVITED, site=OTHER_SITE)
    assert "Ben Okafor is invited." in marta.text
    assert "A mail is on its way to ben@example.com" in marta.text
    await marta.get("/settings/people")
    assert f"Ben Okafor ben@example.com Role Responder Sites {OTHER_SITE} Second factor Off Signed in Invited until" in marta.text
    ben = Browser(service)
    await ben.post(service.world.email.link(), password=PASSWORD, again=PASSWORD)
    await service.send({"type": "x.y", "severity": 4, "title": "Foreign trouble"})
    await ben.get("/alerts")
    assert "Foreign trouble" not in ben.text
    await ben.get("/settings/people")
    assert ben.page.status_code == 403
    assert "your role is responder; this needs admin. marta weiss can do it" in ben.text.lower()


async def test_without_a_mail_server_the_link_is_shown_once(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    del sqlite_service.server.channels["email"]
    await marta.get("/settings/people/new")
    assert "you get a link that works once" in marta.text
    await marta.post("/settings/people/new", None, csrf=marta.csrf, **INVITED)
    link = re.search(r"https://alarm\.example\.com(/invite/[\w-]{43})", marta.page.text)
    assert link
    assert "no mail server is set up" in marta.text
    ben = Browser(sqlite_service)
    await ben.post(link[1], password=PASSWORD, again=PASSWORD)
    assert ben.page.status_code == 303


async def test_a_form_that_is_not_good_keeps_what_was_typed(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    await marta.get("/settings/people/new")
    await marta.post("/settings/people/new", None, csrf=marta.csrf, **{**INVITED, "email": "nowhere"})
    assert marta.page.status_code == 422
    assert marta.error == "'nowhere' is no mail address. Example: marta@example.com."
    assert 'value="Ben Okafor"' in marta.page.text
    await marta.post("/settings/people/new", None, csrf=marta.csrf, **{**INVITED, "email": "marta@example.com"})
    assert marta.error == "There is already a user marta@example.com."


async def test_a_person_is_changed_shut_out_and_let_in_again(service: Service) -> None:
    marta = await logged_in(service)
    ben = await logged_in(service, "ben@example.com", Role.RESPONDER, "Ben Okafor")
    page = "/settings/people/" + next(user["id"] for user in (await service.admin.get("/users"))["items"] if user["name"] == "Ben Okafor")
    await marta.get(page)
    token = marta.csrf
    await marta.post(page, None, csrf=token, **{**INVITED, "role": "viewer", "every_site": "yes"})
    assert marta.place.endswith("?done=saved")
    assert (await ben.get("/settings/me")).status_code == 303, "another role ends the session"
    for deed, state in (("disable", 401), ("enable", 303)):
        await marta.post(f"{page}/{deed}", csrf=token)
        assert marta.place.endswith(f"?done={deed}d")
        await ben.log_in("ben@example.com")
        assert ben.page.status_code == state
    await marta.post(f"{page}/sessions", csrf=token)
    assert (await ben.get("/settings/me")).status_code == 303
    await marta.post(f"{page}/link", csrf=token, kind="reset")
    assert "can set a new password" in marta.text
    await marta.post(f"{page}/remove", csrf=token)
    assert marta.place.endswith("?done=disabled"), "somebody who has logged in stays in the history"
    await marta.get(page)
    assert "disabled since" in marta.text


async def test_the_last_administrator_cannot_shut_themselves_out(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    own = "/settings/people/" + (await sqlite_service.admin.get("/users"))["items"][0]["id"]
    await marta.get(own)
    await marta.post(own, None, csrf=marta.csrf, **{**INVITED, "email": "marta@example.com", "role": "viewer"})
    assert marta.page.status_code == 422
    assert "is the last administrator who can log in" in marta.text
    await marta.post(f"{own}/disable", csrf=marta.csrf)
    assert marta.page.status_code == 409


@pytest.mark.claim("S2", "S5")
async def test_a_role_slipped_into_a_form_is_refused_and_recorded(service: Service) -> None:
    await a_person(service)
    ben = await logged_in(service, "ben@example.com", Role.VIEWER)
    await ben.get("/settings/me")
    token = ben.csrf
    await ben.post("/settings/me", csrf=token, name="Ben", time_zone="UTC", theme="dark", contrast="system", role="admin")
    assert ben.page.status_code == 422
    await ben.post("/settings/people/new", None, csrf=token, **INVITED)
    assert ben.page.status_code == 403
    roles = {user["email"]: user["role"] for user in (await service.admin.get("/users"))["items"]}
    assert roles == {"marta@example.com": "admin", "ben@example.com": "viewer"}
    await service.server.refusals.settle()
    a = tables.audit.c
    noted = service.world.rows(sa.select(a.actor, a.object, a.after).where(a.action == "refused").order_by(a.object))
    assert [tuple(row)[:2] for row in noted] == [
        ("ben@example.com", "POST /settings/me"),
        ("ben@example.com", "POST /settings/people/new"),
    ]
    assert "role: is not known here" in noted[0][2]


@pytest.mark.claim("S2", "S5")
async def test_no_form_of_many_parts_takes_a_role_either(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    await marta.get("/settings/me")
    forms = ["/checks/new", "/dependencies/new", "/oncall/new", "/oncall/teams/new", "/policies/new", "/rules/new", "/silences/new"]
    for path in forms:
        await marta.post(path, csrf=marta.csrf, name="Nights", role="admin", do="save")
        assert marta.page.status_code == 422, path
        await marta.get("/settings/me")
    await sqlite_service.server.refusals.settle()
    a = tables.audit.c
    noted = sqlite_service.world.rows(sa.select(a.object, a.after).where(a.action == "refused").order_by(a.object))
    assert [row[0] for row in noted] == [f"POST {path}" for path in forms]
    assert all("role: is not known here" in row[1] for row in noted)


async def test_ones_own_page_changes_name_and_looks(service: Service) -> None:
    marta = await logged_in(service)
    await marta.get("/settings/me")
    await marta.post("/settings/me", csrf=marta.csrf, name="Marta W.", time_zone="Europe/Berlin", theme="dark", contrast="more")
    assert marta.place == "../settings/me?done=profile"
    await marta.get("/settings/me?done=profile")
    assert 'data-theme="dark"' in marta.page.text
    assert 'data-contrast="more"' in marta.page.text
    assert "Marta W." in marta.text
    await marta.post("/settings/me", csrf=marta.csrf, name="", time_zone="Mars")
    assert marta.page.status_code == 422


async def test_the_settings_begin_where_one_may_look(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    ben = await logged_in(sqlite_service, "ben@example.com", Role.VIEWER)
    await marta.get("/settings")
    assert marta.place == f".{SETTINGS[0].path}"
    await ben.get("/settings")
    assert ben.place == "." + next(place.path for place in SETTINGS if place.permission in of_role(Role.VIEWER, whole=True))
    await ben.get("/settings/me")
    assert "Audit" not in ben.text


# Keys.


@pytest.mark.claim("S3")
async def test_a_key_is_shown_once_used_and_revoked(service: Service) -> None:
    marta = await logged_in(service)
    await marta.get("/settings/keys")
    await marta.post("/settings/keys", csrf=marta.csrf, name="grafana", scope="read", site=OTHER_SITE, expires="90d")
    secret = re.search(r"tocsin_[\w-]{43}", marta.page.text)
    assert secret
    assert marta.page.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {secret[0]}"}
    assert (await service.client.get("/api/v1/alerts", headers=headers)).status_code == 200
    await marta.get("/settings/keys")
    assert secret[0] not in marta.page.text
    assert f"grafana made 01:00 May read Site {OTHER_SITE} Last used 01:00" in marta.text.replace("00:00", "01:00")
    key = next(key for key in (await service.admin.get("/keys"))["items"] if key["name"] == "grafana")
    await marta.post(f"/settings/keys/{key['id']}/revoke", csrf=marta.csrf)
    assert marta.place == "../../../settings/keys?done=revoked"
    assert (await service.client.get("/api/v1/alerts", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, "Must have 1 to 100 characters."),
        ({"scope": ()}, "Tick at least one thing that it may do."),
        ({"site": "nowhere"}, "Is not there any more: load the page again."),
        ({"expires": "soon"}, "'soon' is no length of time. Example: 90d (m, h, d or w)."),
    ],
)
async def test_a_key_that_cannot_be_is_not_made(sqlite_service: Service, fields: dict[str, object], error: str) -> None:
    marta = await logged_in(sqlite_service)
    await marta.get("/settings/keys")
    before = len((await sqlite_service.admin.get("/keys"))["items"])
    await marta.post("/settings/keys", None, csrf=marta.csrf, **{"name": "x", "scope": "read", **fields})
    assert marta.page.status_code == 422
    assert marta.error == error
    assert len((await sqlite_service.admin.get("/keys"))["items"]) == before


# The audit log.


@pytest.mark.claim("S5", "P4")
async def test_the_audit_log_tells_who_did_what_and_that_it_holds(service: Service) -> None:
    marta = await logged_in(service)
    await Browser(service).log_in("marta@example.com", "wrong password")
    await service.send({"type": "x.y", "severity": 4, "title": "Trouble"})
    await service.admin.post("/alerts/1/acknowledge", {"note": "on it"})
    await service.server.refusals.settle()
    await marta.get("/settings/audit")
    for sentence in (
        "Marta Weiss signed in",
        "Somebody was refused a login for Marta Weiss",
        "reason wrong address or password",
        "The key admin acknowledged alert 1",
        "note on it",
        "the test made the key reader",
    ):
        assert sentence in marta.text, sentence
    await marta.get("/settings/audit?action=alert.")
    assert "acknowledged" in marta.text
    assert "signed in" not in marta.text
    await marta.post("/settings/audit/verify", csrf=marta.csrf)
    assert "entries hold" in marta.text
    await service.world.write(lambda tx: tx.sql.execute(tables.audit.update().where(tables.audit.c.number == 2).values(actor="nobody")))
    await marta.post("/settings/audit/verify", csrf=marta.csrf)
    assert "Entry 2 was changed after it was written." in marta.text


async def test_the_audit_log_goes_on_page_by_page(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    for n in range(60):
        await sqlite_service.admin.post("/keys", {"name": f"key-{n}", "scopes": ["read"]}, 201)
    await marta.get("/settings/audit?action=key.made")
    assert "made the key key-59" in marta.text
    assert "made the key key-9 " not in marta.text
    older = re.search(r'href="(?:\.\./)*(settings/audit\?[^"]*before=[^"]*)"', marta.page.text)
    assert older
    await marta.get("/" + older[1].replace("&amp;", "&"))
    assert "made the key key-9 " in marta.text


async def test_an_address_of_the_audit_log_that_is_mistyped_shows_everything(sqlite_service: Service) -> None:
    marta = await logged_in(sqlite_service)
    for query in ("?before=x", "?nonsense=1", "?action=" + "x" * 500, "?before=0", "?actor=%00"):
        await marta.get(f"/settings/audit{query}")
        assert "Marta Weiss signed in" in marta.text, query


@pytest.mark.claim("S2")
async def test_an_expired_session_leads_back_to_where_one_was(service: Service) -> None:
    marta = await logged_in(service)
    await marta.get("/settings/audit?action=key.")
    token = marta.csrf
    service.world.clock.advance(13 * 60 * MINUTE)
    await marta.get("/settings/audit?action=key.")
    assert marta.place == "../login?next=%2Fsettings%2Faudit%3Faction%3Dkey."
    headers = {"Referer": "https://alarm.example.com/settings/keys?x=1", "Origin": "https://alarm.example.com"}
    await marta.post("/settings/keys", headers, csrf=token, name="x", scope="read")
    assert marta.place == "../login?next=%2Fsettings%2Fkeys%3Fx%3D1"
    await marta.get("/settings/keys", headers={"HX-Request": "true", "HX-Current-URL": "https://alarm.example.com/alerts?status=open"})
    assert marta.page.status_code == 401
    assert marta.page.headers["hx-redirect"] == "../login?next=%2Falerts%3Fstatus%3Dopen"
