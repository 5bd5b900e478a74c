"""On call by forms and links alone."""

import re

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR
from tocsin.core.times import to_text
from tocsin.identity.model import Role


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


async def a_schedule(browser: Browser, *users: str, zone: str = "UTC", name: str = "Night watch") -> str:
    """Makes one by the form; its id. Each has a day, since a week ago."""
    await browser.get("/oncall/new")
    layer = {"l0.name": "Watch", "l0.unit": "day", "l0.length": "1", "l0.starts_at": "2020-01-06T00:00"}
    fields = {"csrf": browser.csrf, "name": name, "time_zone": zone, "do": "save", **layer, "l0.user": list(users)}
    await browser.fill("/oncall/new", fields)
    found = re.search(r"schedule=([0-9a-f-]{36})", browser.place)
    assert found
    return found[1]


async def id_of(service: Service, email: str) -> str:
    people = (await service.admin.ask("GET", "/users")).json()["items"]
    return str(next(one["id"] for one in people if one["email"] == email))


def day(service: Service, hours: int = 0) -> str:
    return to_text(service.world.clock.now() + hours * HOUR)[:16]


@pytest.mark.claim("U5", "T10")
async def test_a_schedule_is_made_and_shows_who_is_on(service: Service) -> None:
    marta = await log_in(service)
    await marta.get("/oncall")
    assert "Nobody takes turns yet" in marta.text
    schedule = await a_schedule(marta, await id_of(service, "marta@example.com"))
    await marta.get(f"/oncall?schedule={schedule}&done=made")
    assert "The schedule is made." in marta.text
    assert "On watch now Marta Weiss" in marta.text
    assert "Night watch" in marta.text
    await marta.get(f"/oncall?schedule={schedule}&by=month")
    assert '<table class="month">' in marta.page.text


async def test_an_override_is_made_and_taken_back(service: Service) -> None:
    marta, _ = await log_in(service), await a_person(service, "jonas@example.com", Role.RESPONDER, "Jonas Weber")
    jonas = await id_of(service, "jonas@example.com")
    schedule = await a_schedule(marta, await id_of(service, "marta@example.com"))
    await marta.get(f"/oncall/{schedule}/override?from={day(service)}&to={day(service, 4)}")
    assert "As it is planned" in marta.text
    csrf = marta.csrf
    await marta.post(
        f"/oncall/{schedule}/override", csrf=csrf, kind="replace", user=jonas, starts_at=day(service, -1), ends_at=day(service, 4)
    )
    await marta.get(f"/oncall?schedule={schedule}&done=override")
    assert "On watch now Jonas Weber" in marta.text
    assert "Jonas Weber instead of whoever is on" in marta.text
    back = re.search(r'action="[^"]*(/overrides/[0-9a-f-]{36}/remove)"', marta.page.text)
    assert back
    await marta.post(f"/oncall/{schedule}{back[1]}", csrf=csrf)
    await marta.get(f"/oncall?schedule={schedule}")
    assert "On watch now Marta Weiss" in marta.text


async def test_what_is_wrong_with_an_override_stands_below_its_field(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    schedule = await a_schedule(marta, await id_of(sqlite_service, "marta@example.com"))
    await marta.get(f"/oncall/{schedule}/override")
    csrf = marta.csrf
    answer = await marta.post(f"/oncall/{schedule}/override", csrf=csrf, kind="add", starts_at="soon", ends_at="2026-01-01T00:00")
    assert (answer.status_code, marta.error) == (422, "Is no time. Example: 2026-11-28T20:00.")
    answer = await marta.post(
        f"/oncall/{schedule}/override", csrf=csrf, kind="add", starts_at="2026-01-02T00:00", ends_at="2026-01-01T00:00"
    )
    assert answer.status_code == 422
    assert "Is required to add somebody." in marta.text
    assert "Must be after starts_at." in marta.text
    assert (await marta.get("/oncall/0190aaaa-0000-7000-8000-000000000000/override")).status_code == 404
    assert (await marta.get("/oncall/nonsense/override")).status_code == 404


async def test_two_people_swap(sqlite_service: Service) -> None:
    marta, _ = await log_in(sqlite_service), await a_person(sqlite_service, "jonas@example.com", Role.RESPONDER, "Jonas Weber")
    both = [await id_of(sqlite_service, email) for email in ("marta@example.com", "jonas@example.com")]
    schedule = await a_schedule(marta, *both)
    await marta.get(f"/oncall/{schedule}/swap")
    csrf, options = marta.csrf, re.findall(r'<option value="([^"]+\|[0-9]+\|[0-9]+)"', marta.page.text)
    mine, theirs = next(o for o in options if o.startswith(both[0])), next(o for o in options if o.startswith(both[1]))
    await marta.post(f"/oncall/{schedule}/swap", csrf=csrf, first=mine, second=theirs)
    assert "done=swapped" in marta.place
    await marta.get(f"/oncall?schedule={schedule}")
    assert "Jonas Weber instead of Marta Weiss" in marta.text
    assert "Marta Weiss instead of Jonas Weber" in marta.text
    answer = await marta.post(f"/oncall/{schedule}/swap", csrf=csrf, first=mine, second=mine)
    assert answer.status_code == 422
    answer = await marta.post(f"/oncall/{schedule}/swap", csrf=csrf, first="x|1", second="")
    assert (answer.status_code, marta.error) == (422, "Choose a shift.")


async def two_watches(service: Service) -> tuple[Browser, Browser, str, str, str]:
    """Marta, an administrator, and Jonas take turns; the schedule, and a watch of each as the form names them."""
    marta, jonas = await log_in(service), await log_in(service, "jonas@example.com", Role.RESPONDER, "Jonas Weber")
    both = [await id_of(service, email) for email in ("marta@example.com", "jonas@example.com")]
    schedule = await a_schedule(marta, *both)
    await jonas.get(f"/oncall/{schedule}/swap")
    options, now = re.findall(r'<option value="([^"]+\|[0-9]+\|[0-9]+)"', jonas.page.text), service.world.clock.now()
    martas, jonass = [next(o for o in options if o.startswith(one) and int(o.split("|")[1]) > now) for one in both]
    return marta, jonas, schedule, martas, jonass


async def deed(browser: Browser, schedule: str, answer: str) -> None:
    """Presses the button of the only swap that can be answered so."""
    await browser.get(f"/oncall?schedule={schedule}")
    place = re.search(rf'action="[^"]*(/swaps/[0-9a-f-]{{36}}/{answer})"', browser.page.text)
    assert place, f"no button to {answer}"
    await browser.post(f"/oncall/{schedule}{place[1]}", csrf=browser.csrf)


async def test_a_swap_is_asked_for_and_accepted_on_the_page(service: Service) -> None:
    marta, jonas, schedule, martas, jonass = await two_watches(service)
    await jonas.post(f"/oncall/{schedule}/swap", csrf=jonas.csrf, first=jonass, second=martas, note="A <b>wedding</b>.", do="ask")
    assert "done=asked" in jonas.place
    await jonas.get(f"/oncall?schedule={schedule}&done=asked")
    assert "Asked. Nothing changes before the answer" in jonas.text
    assert "You ask Marta Weiss to swap" in jonas.text
    assert "Take back" in jonas.text
    assert "/accept" not in jonas.page.text, "one does not answer one's own question"
    await marta.get(f"/oncall?schedule={schedule}")
    assert "You are asked to swap" in marta.text
    assert "Jonas Weber asks you to swap" in marta.text
    assert "A <b>wedding</b>." in marta.text, "as it was written, not as markup"
    await deed(marta, schedule, "accept")
    assert "done=accepted" in marta.place
    await marta.get(f"/oncall?schedule={schedule}&done=accepted")
    assert "Jonas Weber asks you to swap: accepted" in marta.text
    assert "Jonas Weber instead of Marta Weiss" in marta.text
    assert "Marta Weiss instead of Jonas Weber" in marta.text


async def test_a_swap_is_refused_or_taken_back_on_the_page_and_only_once(sqlite_service: Service) -> None:
    marta, jonas, schedule, martas, jonass = await two_watches(sqlite_service)
    place, csrf = f"/oncall/{schedule}/swap", jonas.csrf
    await jonas.post(place, csrf=csrf, first=jonass, second=martas, do="ask")
    await marta.get(f"/oncall?schedule={schedule}")
    stale, its_csrf = re.search(r'action="[^"]*(/swaps/[0-9a-f-]{36}/refuse)"', marta.page.text), marta.csrf
    assert stale
    await deed(jonas, schedule, "withdraw")
    assert "done=withdrawn" in jonas.place
    await marta.post(f"/oncall/{schedule}{stale[1]}", csrf=its_csrf)
    assert "done=late" in marta.place
    await jonas.post(place, csrf=csrf, first=jonass, second=martas, do="ask")
    await deed(marta, schedule, "refuse")
    await jonas.get(f"/oncall?schedule={schedule}")
    assert "You ask Marta Weiss to swap: refused" in jonas.text
    assert "You ask Marta Weiss to swap: taken back" in jonas.text


async def test_what_cannot_be_asked_for_stands_below_its_field(sqlite_service: Service) -> None:
    service = sqlite_service
    marta, jonas, schedule, martas, jonass = await two_watches(service)
    await jonas.get(f"/oncall/{schedule}/swap")
    place, csrf = f"/oncall/{schedule}/swap", jonas.csrf
    answer = await jonas.post(place, csrf=csrf, first=martas, second=jonass, do="ask")
    assert (answer.status_code, jonas.error) == (
        422,
        "Choose a watch of your own to ask for a swap. For others only an administrator asks.",
    )
    answer = await jonas.post(place, csrf=csrf, first=jonass, second=martas, do="ask", note="x" * 501)
    assert answer.status_code == 422
    user = jonass.partition("|")[0]
    now = service.world.clock.now()
    answer = await jonas.post(place, csrf=csrf, first=f"{user}|{now - HOUR}|{now + HOUR}", second=martas, do="ask")
    assert answer.status_code == 422
    await marta.get(f"/oncall?schedule={schedule}")
    assert "asked to swap" not in marta.text
    nowhere = f"/oncall/{schedule}/swaps/0190aaaa-0000-7000-8000-000000000000/accept"
    assert (await jonas.post(nowhere, csrf=csrf)).status_code == 404
    assert (await jonas.post(f"/oncall/{schedule}/swaps/nonsense/accept", csrf=csrf)).status_code == 404


async def test_nobody_answers_for_another_but_an_administrator(sqlite_service: Service) -> None:
    marta, jonas, schedule, martas, jonass = await two_watches(sqlite_service)
    vera = await log_in(sqlite_service, "vera@example.com", Role.RESPONDER, "Vera Brandt")
    await jonas.post(f"/oncall/{schedule}/swap", csrf=jonas.csrf, first=jonass, second=martas, do="ask")
    await marta.get(f"/oncall?schedule={schedule}")
    accept = re.search(r'action="[^"]*(/swaps/[0-9a-f-]{36}/accept)"', marta.page.text)
    assert accept
    await vera.get(f"/oncall?schedule={schedule}")
    assert "Jonas Weber asks Marta Weiss to swap" in vera.text
    assert "/accept" not in vera.page.text
    await vera.get(f"/oncall/{schedule}/swap")
    assert (await vera.post(f"/oncall/{schedule}{accept[1]}", csrf=vera.csrf)).status_code == 403
    aylin = await log_in(sqlite_service, "aylin@example.com", name="Aylin Demir")  # may set up schedules
    await deed(aylin, schedule, "withdraw")
    assert "done=withdrawn" in aylin.place


@pytest.mark.claim("T10")
async def test_a_gap_is_said_and_offered_to_be_filled(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    schedule = await a_schedule(marta, await id_of(sqlite_service, "marta@example.com"))
    await marta.get(f"/oncall/{schedule}/override")
    gap = {"starts_at": day(sqlite_service, 24), "ends_at": day(sqlite_service, 32)}
    await marta.fill(f"/oncall/{schedule}/override", {"csrf": marta.csrf, "kind": "remove", **gap})
    await marta.get(f"/oncall?schedule={schedule}")
    assert "Nobody is on watch on" in marta.text
    assert f"from={gap['starts_at']}&amp;to={gap['ends_at']}" in marta.page.text


async def test_the_second_who_changes_a_schedule_sees_the_change_of_the_first(sqlite_service: Service) -> None:
    marta, aylin = await log_in(sqlite_service), await log_in(sqlite_service, "aylin@example.com", name="Aylin Demir")
    me = await id_of(sqlite_service, "marta@example.com")
    schedule = await a_schedule(marta, me)
    layer = {"l0.name": "Watch", "l0.unit": "week", "l0.length": "1", "l0.starts_at": "2020-01-06T00:00", "l0.user": me}
    csrfs: dict[Browser, str] = {}
    for browser in (marta, aylin):
        await browser.get(f"/oncall/{schedule}/edit")
        csrfs[browser] = browser.csrf

    async def save(browser: Browser, name: str, layer_name: str, version: str) -> int:
        fields = {
            **layer,
            "l0.name": layer_name,
            "name": name,
            "version": version,
            "time_zone": "UTC",
            "do": "save",
            "csrf": csrfs[browser],
        }
        return (await browser.fill(f"/oncall/{schedule}/edit", fields)).status_code

    assert await save(marta, "Nights", "By Marta", "1") == 303
    assert await save(aylin, "Days", "By Aylin", "1") == 409
    assert "Somebody else saved this schedule meanwhile." in aylin.text
    assert "By Marta: Marta Weiss; every week" in aylin.text
    assert 'value="Days"' in aylin.page.text
    assert await save(aylin, "Days", "By Aylin", "2") == 303
    assert "done=changed" in aylin.place


async def test_what_is_wrong_with_a_schedule_stands_below_its_field(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/oncall/new")
    layer = {"l0.name": "Watch", "l0.unit": "week", "l0.length": "99", "l0.starts_at": "2026-13-01T00:00", "l0.user": "nobody"}
    sent = {"csrf": marta.csrf, "do": "save", "time_zone": "Mars/Base", **layer}
    assert (await marta.fill("/oncall/new", sent)).status_code == 422
    for words in ("Must have 1 to 100 characters.", "'Mars/Base' is no time zone.", "from 1 to 52 for the unit week", "no wall-clock time"):
        assert words in marta.text, words
    await marta.fill("/oncall/new", {**sent, "l0.user": ""})
    assert "Name at least one person." in marta.text
    assert (await marta.fill("/oncall/new", {**sent, "do": "hours 0"})).status_code == 200
    assert 'name="l0.r0.from"' in marta.page.text


async def test_a_schedule_is_removed_only_with_the_tick(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    schedule = await a_schedule(marta, await id_of(sqlite_service, "marta@example.com"))
    await marta.get(f"/oncall/{schedule}/edit")
    csrf = marta.csrf
    assert (await marta.post(f"/oncall/{schedule}/remove", csrf=csrf)).status_code == 422
    await marta.post(f"/oncall/{schedule}/remove", csrf=csrf, sure="yes")
    await marta.get("/oncall?done=gone")
    assert "The schedule is removed." in marta.text


async def test_a_calendar_address_is_shown_once_and_can_be_ended(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    schedule = await a_schedule(marta, await id_of(sqlite_service, "marta@example.com"))
    await marta.get("/oncall/calendars")
    csrf = marta.csrf
    await marta.post("/oncall/calendars", csrf=csrf, schedule=schedule)
    found = re.search(r"/ical/([A-Za-z0-9_-]+)\.ics", marta.page.text)
    assert found
    assert (await marta.get(f"/ical/{found[1]}.ics")).text.startswith("BEGIN:VCALENDAR")
    await marta.get("/oncall/calendars")
    assert found[1] not in marta.page.text
    end = re.search(r'action="[^"]*(/calendars/[0-9a-f-]{36}/revoke)"', marta.page.text)
    assert end
    await marta.post(f"/oncall{end[1]}", csrf=csrf)
    assert (await marta.get(f"/ical/{found[1]}.ics")).status_code == 404


async def test_who_only_looks_is_offered_nothing_to_change(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    schedule = await a_schedule(marta, await id_of(sqlite_service, "marta@example.com"))
    eva = await log_in(sqlite_service, "eva@example.com", Role.VIEWER, "Eva")
    await eva.get("/oncall")
    assert "On watch now Marta Weiss" in eva.text
    assert "Override" not in eva.page.text.partition("</header>")[2].partition("<section")[0]
    assert (await eva.get(f"/oncall/{schedule}/override")).status_code == 403
    assert (await eva.get(f"/oncall/{schedule}/edit")).status_code == 403


async def test_who_sees_one_site_does_not_see_the_whole(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    lena = Browser(sqlite_service)
    await lena.log_in("lena@example.com")
    assert (await lena.get("/oncall")).status_code == 403
    await lena.get("/alerts")
    assert "/oncall" not in lena.page.text
