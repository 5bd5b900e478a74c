"""What a page says to somebody who may not, came too late, or looks for what is gone."""

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR
from tocsin.core.times import to_text
from tocsin.identity.model import Role


async def log_in(service: Service, email: str, role: Role, name: str) -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


async def test_who_may_not_is_told_who_may_and_shown_the_way_out(sqlite_service: Service) -> None:
    await a_person(sqlite_service, "marta@example.com", Role.ADMIN, "Marta Weiss")
    lena = await log_in(sqlite_service, "lena@example.com", Role.VIEWER, "Lena")
    for path, up in (("/rules/new", "../"), ("/oncall/teams/new", "../../"), ("/dependencies/new", "../")):
        assert (await lena.get(path)).status_code == 403, path
        assert "That is not yours to do. Your role is viewer; this needs admin. Marta Weiss can do it." in lena.text
        assert f'href="{up}">To the overview' in lena.page.text


async def test_an_expired_session_comes_back_to_the_form_where_it_ended(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service, "marta@example.com", Role.ADMIN, "Marta Weiss")
    await marta.get("/rules/new")
    csrf = marta.csrf
    sqlite_service.world.clock.at += 13 * HOUR
    here = {
        "Origin": "https://alarm.example.com",
        "Sec-Fetch-Site": "same-origin",
        "Referer": "https://alarm.example.com/rules/new?event=1",
    }
    await marta.post("/rules/new", here, csrf=csrf, name="Lost", severity="2", do="save")
    assert marta.place == "../login?next=%2Frules%2Fnew%3Fevent%3D1"
    assert (await sqlite_service.admin.get("/rules"))["items"] == []
    await marta.log_in("marta@example.com", next="/rules/new?event=1")
    assert marta.place.endswith("rules/new?event=1")


async def test_what_is_gone_or_of_another_site_is_not_there(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    lena = Browser(sqlite_service)
    await lena.log_in("lena@example.com")
    await sqlite_service.send({"type": "disk.full", "severity": 4, "host": "web-1"})
    until = to_text(sqlite_service.world.clock.now() + HOUR)
    silence = {"matchers": [{"field": "host", "op": "=", "value": "web-1"}], "ends_at": until, "comment": "known"}
    kept = (await sqlite_service.admin.post("/silences", silence, 201))["id"]
    for path in ("/alerts/1", "/alerts/999", f"/silences/silence/{kept}", "/silences/maintenance/nonsense"):
        assert (await lena.get(path)).status_code == 404, path
        assert "There is no such thing." in lena.text
        assert "web-1" not in lena.text
