"""Policies by forms and links alone, and the words of their lines."""

import re

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role
from tocsin.web.policies import rules
from tocsin.web.policies.rules import PolicyForm, StepForm


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


async def reachable(service: Service, email: str = "marta@example.com") -> str:
    """Gives somebody a verified address; their id."""
    people = (await service.admin.ask("GET", "/users")).json()["items"]
    user_id = next(one["id"] for one in people if one["email"] == email)
    await service.admin.ask("POST", f"/users/{user_id}/contacts", json={"kind": "email", "target": email, "verified": True})
    return str(user_id)


def a_policy(csrf: str, *targets: str, **more: str) -> dict[str, object]:
    return {"csrf": csrf, "name": "Night", "repeat": "0", "s0.minutes": "0", "s0.target": list(targets), "do": "save", **more}


@pytest.mark.claim("A4")
async def test_a_policy_is_made_and_drawn_with_who_would_be_told(service: Service) -> None:
    marta = await log_in(service)
    user_id = await reachable(service)
    await marta.get("/policies")
    assert "Built-in policy" in marta.text
    await marta.get("/policies/new")
    second = {"s1.minutes": "15", "s1.target": f"user:{user_id}", "s1.channel": "email"}
    await marta.fill("/policies/new", a_policy(marta.csrf, f"user:{user_id}", site="main", **second))
    assert "done=made" in marta.place
    await marta.get("/policies?done=made")
    line = marta.text.partition("Night at ")[2].partition("Built-in")[0]
    assert "at once Email to Marta Weiss" in line
    assert "after 15 min Email to Marta Weiss" in line
    site_id = service.world.core.sites.get("main").id
    assert service.world.core.policies.of_site(site_id).name == "Night"


async def test_a_step_that_reaches_nobody_is_refused_below_its_field(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    people = (await sqlite_service.admin.ask("GET", "/users")).json()["items"]
    await marta.get("/policies/new")
    answer = await marta.fill("/policies/new", a_policy(marta.csrf, f"user:{people[0]['id']}"))
    assert answer.status_code == 422
    assert "Marta Weiss has no verified contact." in marta.text
    assert 'value="Night"' in marta.page.text


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"s0.minutes": "soon"}, "Must be a number of minutes, such as 15."),
        ({"s0.target": ""}, "Choose whom this step tells."),
        ({"s0.target": "nobody:1"}, "Choose from the list."),
        ({"repeat": "often"}, "Must be a whole number from 0 to 20."),
        ({"repeat": "2"}, "Would tell the same people 3 times in the same moment"),
        ({"name": ""}, "Must have 1 to 100 characters."),
        ({"s0.channel": "pigeon"}, "Is none of"),
    ],
)
async def test_what_is_wrong_is_said(sqlite_service: Service, more: dict[str, str], says: str) -> None:
    marta = await log_in(sqlite_service)
    user_id = await reachable(sqlite_service)
    await marta.get("/policies/new")
    answer = await marta.fill("/policies/new", {**a_policy(marta.csrf, f"user:{user_id}"), **more})
    assert answer.status_code == 422
    assert says in marta.text


async def test_a_change_keeps_what_the_form_does_not_show(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    user_id = await reachable(sqlite_service)
    step = {"delay_seconds": 90, "delay_by_severity": {"5": 0}, "targets": [{"kind": "user", "id": user_id}]}
    made = (await sqlite_service.admin.ask("POST", "/policies", json={"name": "Night", "steps": [step]})).json()
    await marta.get(f"/policies/{made['id']}")
    assert "Critical after 0 min instead." in marta.text
    csrf = marta.csrf
    fields = a_policy(csrf, f"user:{user_id}", version="1", **{"s0.minutes": "1.5", "s0.delays": "5:0", "name": "Nights"})
    await marta.fill(f"/policies/{made['id']}", fields)
    now = (await sqlite_service.admin.ask("GET", f"/policies/{made['id']}")).json()
    assert (now["name"], now["version"]) == ("Nights", 2)
    assert (now["steps"][0]["delay_seconds"], now["steps"][0]["delay_by_severity"]) == (90, {"5": 0})
    answer = await marta.fill(f"/policies/{made['id']}", fields)
    assert answer.status_code == 409
    assert "was changed by somebody else" in marta.text


async def test_a_policy_that_a_site_uses_stays(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    user_id = await reachable(sqlite_service)
    await marta.get("/policies/new")
    csrf = marta.csrf
    await marta.fill("/policies/new", a_policy(csrf, f"user:{user_id}", site="main"))
    await marta.get("/policies")
    found = re.search(r'href="[^"]*policies/([0-9a-f-]{36})"', marta.page.text)
    assert found
    answer = await marta.post(f"/policies/{found[1]}/remove", csrf=csrf)
    assert answer.status_code == 422
    await marta.fill(f"/policies/{found[1]}", a_policy(csrf, f"user:{user_id}", version="1"))
    await marta.post(f"/policies/{found[1]}/remove", csrf=csrf)
    assert "done=removed" in marta.place
    assert (await marta.get(f"/policies/{found[1]}")).status_code == 404
    assert (await marta.get("/policies/default")).status_code == 404


async def test_who_is_no_administrator_reads_only(sqlite_service: Service) -> None:
    eva = await log_in(sqlite_service, "eva@example.com", Role.RESPONDER, "Eva")
    await eva.get("/policies?severity=5")
    assert "Make a policy" not in eva.text
    assert (await eva.get("/policies/new")).status_code == 403
    assert (await eva.get("/policies?severity=9")).status_code == 422


@pytest.mark.parametrize(("minutes", "seconds"), [("15", 900), ("1.5", 90), ("0", 0), ("0,5", 30), ("", None), ("-1", None), ("1e3", None)])
def test_minutes_are_read(minutes: str, seconds: int | None) -> None:
    assert rules.seconds_of(minutes) == seconds


@pytest.mark.parametrize("seconds", [0, 1, 30, 90, 900, 604_800])
def test_minutes_are_written_as_they_are_read(seconds: int) -> None:
    assert rules.seconds_of(rules.minutes_of(seconds)) == seconds


@pytest.mark.parametrize(("do", "steps", "places"), [("step", 2, 1), ("drop 0", 0, 0), ("places 0", 1, 3), ("drop 9", 1, 1), ("?", 1, 1)])
def test_buttons_of_the_form_change_the_form(do: str, steps: int, places: int) -> None:
    after = rules.pressed(PolicyForm(steps=(StepForm(),), do=do))
    assert len(after.steps) == steps
    if after.steps:
        assert after.steps[0].places == places
