"""Teams by forms and links alone, and who on the calendar is not ready."""

import re

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.core.times import to_text
from tocsin.identity.model import Role


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


async def made(browser: Browser, *users: str, name: str = "Database people") -> str:
    """The address of a team made by the form."""
    await browser.get("/oncall/teams/new")
    await browser.fill("/oncall/teams/new", {"csrf": browser.csrf, "name": name, "user": list(users), "do": "save"})
    assert browser.place.endswith("teams?done=made"), browser.text
    await browser.get("/oncall/teams?done=made")
    found = re.search(r'href="(?:\.\./)*(oncall/teams/[0-9a-f-]{36})"', browser.page.text)
    assert found
    return f"/{found[1]}"


async def ids(service: Service) -> dict[str, str]:
    """Everybody's id by address."""
    return {one["email"]: one["id"] for one in (await service.admin.get("/users"))["items"]}


async def test_a_team_is_made_changed_and_removed(service: Service) -> None:
    marta = await log_in(service)
    await a_person(service, "jonas@example.com", Role.RESPONDER, "Jonas Berg")
    people = await ids(service)
    await marta.get("/oncall/teams")
    assert "No teams yet" in marta.text
    address = await made(marta, people["jonas@example.com"], people["marta@example.com"])
    assert "Jonas Berg" in marta.text
    assert "No policy names it" in marta.text
    await marta.get(address)
    csrf = marta.csrf
    more = {"csrf": csrf, "name": "Databases", "version": "1", "user": [people["marta@example.com"]]}
    assert (await marta.fill(address, {**more, "do": "places"})).status_code == 200
    assert marta.page.text.count('name="user"') == 5
    await marta.fill(address, {**more, "do": "save"})
    assert "done=changed" in marta.place
    team = (await service.admin.get("/teams"))["items"][0]
    assert (team["name"], team["users"], team["version"]) == ("Databases", [people["marta@example.com"]], 2)
    await marta.post(f"{address}/remove", csrf=csrf)
    assert (await marta.get(address)).status_code == 404


async def test_the_second_of_two_who_change_a_team_is_shown_what_the_first_did(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    people = await ids(sqlite_service)
    address = await made(marta, people["marta@example.com"])
    await marta.get(address)
    csrf = marta.csrf
    await marta.fill(address, {"csrf": csrf, "name": "Theirs", "version": "1", "user": []})
    answer = await marta.fill(address, {"csrf": csrf, "name": "Mine", "version": "1", "user": []})
    assert answer.status_code == 409
    assert "Somebody else saved this team meanwhile." in marta.text
    assert "Theirs , version 2" in marta.text
    assert 'value="Mine"' in marta.page.text


async def test_a_team_that_a_policy_names_stays(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    people = await ids(sqlite_service)
    await sqlite_service.admin.ask(
        "POST", f"/users/{people['marta@example.com']}/contacts", json={"kind": "email", "target": "marta@example.com", "verified": True}
    )
    address = await made(marta, people["marta@example.com"])
    steps = [{"delay_seconds": 0, "targets": [{"kind": "team", "id": address.rpartition("/")[2]}]}]
    await sqlite_service.admin.post("/policies", {"name": "Night", "steps": steps}, 201)
    await marta.get("/oncall/teams")
    assert "Told by Night" in marta.text
    await marta.get(address)
    assert (await marta.post(f"{address}/remove", csrf=marta.csrf)).status_code == 422
    assert "It is named by Night; take it out there first." in marta.text


async def test_what_is_wrong_with_a_team_is_named(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/oncall/teams/new")
    csrf = marta.csrf
    assert (await marta.fill("/oncall/teams/new", {"csrf": csrf, "name": "", "user": []})).status_code == 422
    assert "1 to 100 characters" in marta.text
    assert (await marta.fill("/oncall/teams/new", {"csrf": csrf, "name": "x", "user": ["nobody@example.com"]})).status_code == 422
    assert "nobody@example.com" in marta.error
    lena = await log_in(sqlite_service, "lena@example.com", Role.VIEWER, "Lena")
    await lena.get("/oncall/teams")
    assert "Make a team" not in lena.text
    assert (await lena.get("/oncall/teams/new")).status_code == 403


async def test_the_calendar_says_who_is_on_watch_soon_and_has_too_few_contacts(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    people = await ids(sqlite_service)
    start = to_text(sqlite_service.world.clock.now())[:16]
    rotation = {"unit": "week", "starts_at": start, "users": [people["marta@example.com"]]}
    await sqlite_service.admin.post(
        "/schedules", {"name": "Night", "time_zone": "UTC", "layers": [{"name": "A", "rotation": rotation}]}, 201
    )
    await marta.get("/oncall")
    assert "You cannot be reached and are on watch now." in marta.text
    contact = {"kind": "email", "target": "marta@example.com", "verified": True}
    await sqlite_service.admin.ask("POST", f"/users/{people['marta@example.com']}/contacts", json=contact)
    await marta.get("/oncall")
    assert "You can be reached in one way only and are on watch now." in marta.text
    contact = {"kind": "ntfy", "target": "marta-phone", "verified": True}
    await sqlite_service.admin.ask("POST", f"/users/{people['marta@example.com']}/contacts", json=contact)
    await marta.get("/oncall")
    assert "somebody is ready" not in marta.text
