"""Silences and maintenance by forms and links alone."""

import re
from zoneinfo import ZoneInfo

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.times import to_text
from tocsin.identity.model import Role
from tocsin.muting.model import Maintenance, Matcher, Op
from tocsin.web.quiet import rules
from tocsin.web.quiet.rules import QuietForm

UTC = ZoneInfo("UTC")


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.RESPONDER) -> Browser:
    await a_person(service, email, role, "Marta Weiss")
    browser = Browser(service)
    await browser.log_in(email)
    return browser


def a_silence(csrf: str, do: str = "save", **more: str) -> dict[str, str]:
    sent = {"csrf": csrf, "kind": "silence", "m0.field": "host", "m0.op": "=", "m0.value": "web-1", "lasts": str(HOUR), "do": do}
    return {**sent, "comment": "disk swap", **more}


async def down(service: Service, host: str = "web-1", **more: object) -> None:
    await service.send({"type": "server.down", "severity": 5, "host": host, "title": f"{host} is down", **more})


@pytest.mark.claim("A7")
async def test_a_silence_shows_what_it_would_mute_before_it_is_saved(service: Service) -> None:
    marta = await log_in(service)
    await down(service)
    await down(service, "web-2")
    await marta.get("/silences")
    assert "Nothing is kept quiet" in marta.text
    await marta.get("/silences/new")
    csrf = marta.csrf
    assert (await marta.fill("/silences/new", a_silence(csrf, "preview"))).status_code == 200
    assert "1 open alert would go quiet" in marta.text
    assert "web-1 is down" in marta.text
    assert "web-2 is down" not in marta.text
    assert "In the last seven days: 1 alert," in marta.text
    await marta.get("/silences")
    assert "Nothing is kept quiet" in marta.text
    await marta.fill("/silences/new", a_silence(csrf))
    assert marta.place.endswith("silences?done=silence")
    await marta.get("/silences?done=silence")
    for words in ("disk swap", "where host is web-1", "1 open alert quiet", "by Marta Weiss"):
        assert words in marta.text, words


async def test_a_silence_is_ended(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/silences/new")
    csrf = marta.csrf
    await marta.fill("/silences/new", a_silence(csrf))
    await marta.get("/silences")
    found = re.search(r'action="[^"]*(silences/silence/[0-9a-f-]{36}/end)"', marta.page.text)
    assert found
    await marta.post(f"/{found[1]}", csrf=csrf)
    await marta.get("/silences?done=ended")
    assert "Nothing is kept quiet" in marta.text
    assert "Over" in marta.text
    assert (await marta.post("/silences/silence/nonsense/end", csrf=csrf)).status_code == 404


async def test_maintenance_is_planned_and_comes_again(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/silences/new?kind=maintenance")
    now = sqlite_service.world.clock.now()
    times = {"starts_at": to_text(now + HOUR)[:16], "ends_at": to_text(now + 3 * HOUR)[:16], "lasts": ""}
    more = {"kind": "maintenance", "name": "Kernel updates", "rrule": "FREQ=WEEKLY", **times}
    await marta.fill("/silences/new", a_silence(marta.csrf, **more))
    assert "done=maintenance" in marta.place
    await marta.get("/silences")
    for words in ("To come", "Kernel updates", "every week", "Call it off"):
        assert words in marta.text, words


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"comment": ""}, "Say why, for those who wonder why it is quiet."),
        ({"m0.value": ""}, "Is empty and would match everything"),
        ({"m0.op": "~", "m0.value": "("}, "missing )"),
        ({"m0.op": "is"}, "Choose a comparison from the list."),
        ({"m0.field": "moon"}, "'moon' is none of"),
        ({"lasts": "", "ends_at": "soon"}, "Is no time. Example: 2026-11-28T20:00."),
        ({"lasts": "", "ends_at": "2001-01-01T00:00"}, ""),
        ({"kind": "maintenance"}, "Must have 1 to 100 characters."),
        ({"kind": "maintenance", "name": "x", "rrule": "FREQ=SECONDLY"}, ""),
        ({"comment": "x" * 1_001}, "Must have at most 1000 characters."),
    ],
)
async def test_what_is_wrong_is_said_below_its_field(sqlite_service: Service, more: dict[str, str], says: str) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/silences/new")
    answer = await marta.fill("/silences/new", a_silence(marta.csrf, **more))
    assert answer.status_code == 422
    assert marta.error
    assert says in marta.text


async def test_the_page_of_an_alert_fills_the_conditions_in(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await down(sqlite_service)
    await marta.get(f"/alerts/{sqlite_service.world.alert().number}")
    found = re.search(r'href="\.\./(silences/new\?[^"]+)"', marta.page.text)
    assert found
    await marta.get("/" + found[1].replace("&amp;", "&"))
    assert "1 open alert would go quiet" in marta.text


async def test_who_sees_one_site_silences_that_one_only(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service, "lena@example.com", Role.RESPONDER, "Lena")
    await sees_only(sqlite_service, user_id, OTHER_SITE)
    lena = Browser(sqlite_service)
    await lena.log_in("lena@example.com")
    await down(sqlite_service)
    await lena.get("/silences/new?host=web-1")
    assert "web-1 is down" not in lena.text
    csrf = lena.csrf
    assert (await lena.fill("/silences/new", a_silence(csrf))).status_code == 422
    site = {"m1.field": "site", "m1.op": "=", "m1.value": OTHER_SITE}
    assert (await lena.fill("/silences/new", a_silence(csrf, **site))).status_code == 303
    await lena.get("/silences")
    assert "What hangs on what" not in lena.text


async def test_who_only_looks_changes_nothing(sqlite_service: Service) -> None:
    eva = await log_in(sqlite_service, "eva@example.com", Role.VIEWER)
    await eva.get("/silences")
    assert "Silence something" not in eva.text
    assert (await eva.get("/silences/new")).status_code == 403


def test_conditions_are_said_in_words() -> None:
    matchers = (Matcher("host", Op.EQUAL, "srv-12"), Matcher("type", Op.PREFIX, "disk."), Matcher("attributes.rack", Op.NOT, ""))
    assert rules.says(matchers) == "host is srv-12 and type begins with disk. and rack is not empty"


def test_times_are_from_now_for_so_long_or_until_a_moment() -> None:
    assert rules.times_of(QuietForm(lasts=str(HOUR)), UTC, MINUTE) == (MINUTE, MINUTE + HOUR)
    assert rules.times_of(QuietForm(starts_at="1970-01-01T01:00", ends_at="1970-01-01T02:00"), UTC, 0) == (HOUR, 2 * HOUR)
    with pytest.raises(InvalidInput, match="is no time"):
        rules.times_of(QuietForm(ends_at="2026-11-28T20:00Z"), UTC, 0)


def test_maintenance_begins_at_the_next_full_hour() -> None:
    begun = rules.begun("maintenance", (), UTC, 90 * MINUTE)
    assert (begun.starts_at, begun.ends_at) == ("1970-01-01T02:00", "1970-01-01T04:00")


def address(browser: Browser, pattern: str) -> str:
    """The first link of the page at hand that looks like this."""
    found = re.search(rf'href="(?:\.\./)*({pattern})"', browser.page.text)
    assert found, browser.text
    return f"/{found[1]}"


async def test_a_silence_is_changed_and_keeps_its_beginning(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await down(sqlite_service, "web-2")
    await marta.get("/silences/new")
    csrf = marta.csrf
    await marta.fill("/silences/new", a_silence(csrf))
    before = (await sqlite_service.admin.get("/silences"))["items"][0]
    sqlite_service.world.clock.at += 10 * MINUTE
    await marta.get("/silences")
    where = address(marta, "silences/silence/[0-9a-f-]{36}")
    await marta.get(where)
    assert 'value="web-1"' in marta.page.text
    sent = a_silence(csrf, "preview", **{"m0.value": "web-2", "comment": "the other one"})
    await marta.fill(where, sent)
    assert "1 open alert would go quiet" in marta.text
    await marta.fill(where, {**sent, "do": "save", "lasts": str(2 * HOUR)})
    assert "done=changed" in marta.place
    after = (await sqlite_service.admin.get("/silences"))["items"][0]
    assert after["starts_at"] == before["starts_at"]
    assert after["ends_at"] == to_text(sqlite_service.world.clock.at + 2 * HOUR)
    assert (after["comment"], after["matchers"][0]["value"]) == ("the other one", "web-2")
    assert (await marta.fill(where, {**sent, "do": "save", "comment": ""})).status_code == 422
    assert (await marta.get("/silences/moon/" + where.rpartition("/")[2])).status_code == 404


async def test_what_is_over_is_not_changed_any_more(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/silences/new")
    csrf = marta.csrf
    await marta.fill("/silences/new", a_silence(csrf))
    await marta.get("/silences")
    where = address(marta, "silences/silence/[0-9a-f-]{36}")
    sqlite_service.world.clock.at += 2 * HOUR
    await marta.get("/silences")
    assert where.removeprefix("/") + '"' not in marta.page.text
    assert (await marta.fill(where, a_silence(csrf))).status_code == 422
    assert "This silence is over; make a new one." in marta.text


def test_a_maintenance_that_was_only_looked_at_stays_to_the_second() -> None:
    kept = Maintenance("m", "Kernel", (Matcher("host", Op.EQUAL, "a"),), 90_500, 3_690_500, "", "FREQ=YEARLY", "UTC", "x", 0)
    sent = rules.written(kept, UTC)
    changed = rules.changes(kept, sent, UTC, 0)
    assert changed == {
        "starts_at": 90_500,
        "ends_at": 3_690_500,
        "name": "Kernel",
        "rrule": "FREQ=YEARLY",
        "matchers": kept.matchers,
        "comment": "",
    }
    assert ("FREQ=YEARLY", "FREQ=YEARLY") in rules.repeats_offered(kept.rrule or "")


def a_dependency(csrf: str, do: str = "save", **more: str) -> dict[str, str]:
    parent = {"p0.field": "type", "p0.op": "=", "p0.value": "server.down"}
    children = {"c0.field": "type", "c0.op": "^", "c0.value": "http."}
    return {"csrf": csrf, "name": "Server and sites", **parent, **children, "same": "host", "do": do, **more}


async def test_a_dependency_shows_what_each_side_matches_and_is_kept_changed_and_removed(service: Service) -> None:
    marta = await log_in(service, role=Role.ADMIN)
    await down(service)
    await marta.get("/silences")
    await marta.get(address(marta, "dependencies/new"))
    csrf = marta.csrf
    await marta.fill("/dependencies/new", a_dependency(csrf, "preview"))
    assert "1 open alert matches now" in marta.text
    assert "0 open alerts would be quiet" in marta.text
    await marta.fill("/dependencies/new", a_dependency(csrf))
    assert "done=depends" in marta.place
    await marta.get("/silences?done=depends")
    assert "Server and sites" in marta.text
    kept = (await service.admin.get("/dependencies"))["items"][0]
    assert (kept["name"], kept["same"]) == ("Server and sites", ["host"])
    where = f"/dependencies/{kept['id']}"
    await marta.fill(where, a_dependency(csrf, name="Sites"))
    assert (await service.admin.get(where))["name"] == "Sites"
    await marta.post(f"{where}/remove", csrf=csrf)
    assert (await marta.get(where)).status_code == 404


async def test_a_dependency_that_cannot_be_says_why(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service, role=Role.ADMIN)
    await marta.get("/dependencies/new")
    csrf = marta.csrf
    for more, says in (
        ({"name": ""}, "Must have 1 to 100 characters."),
        ({"p0.value": ""}, "Is empty and would match everything"),
        ({"c0.op": "~", "c0.value": "("}, "missing )"),
        ({"c0.op": "is"}, "Choose a comparison from the list."),
        ({"same": "moon"}, "'moon' is none of site, type, host, subject."),
    ):
        assert (await marta.fill("/dependencies/new", a_dependency(csrf, **more))).status_code == 422, more
        assert says in marta.text, says


async def test_a_responder_changes_silences_and_no_dependencies(sqlite_service: Service) -> None:
    lena = await log_in(sqlite_service, "lena@example.com")
    await lena.get("/silences")
    assert "Add a dependency" not in lena.text
    assert (await lena.get("/dependencies/new")).status_code == 403


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("silence", "the rack is being moved , where host is web-9"),
        ("maintenance", "Kernel updates , where host is web-9, from"),
        ("dependency", "web-9 and its sites : while there is an alert where type is server.down, nobody is told where host is web-9"),
    ],
)
async def test_the_second_of_two_who_change_one_thing_is_shown_what_the_first_did(sqlite_service: Service, kind: str, theirs: str) -> None:
    marta = await log_in(sqlite_service, role=Role.ADMIN)
    make, sent = "/silences/new", a_silence("")
    if kind == "maintenance":
        starts_at, ends_at = (to_text(sqlite_service.world.clock.now() + hours * HOUR)[:16] for hours in (1, 3))
        sent |= {"kind": kind, "name": "Disk swap", "lasts": "", "starts_at": starts_at, "ends_at": ends_at}
    if kind == "dependency":
        make = "/dependencies/new"
        parent = {"p0.field": "type", "p0.op": "=", "p0.value": "server.down"}
        sent = {**parent, "c0.field": "host", "c0.op": "=", "c0.value": "web-1", "name": "web-1 and its sites", "do": "save"}
    await marta.get(make)
    await marta.fill(make, sent | {"csrf": marta.csrf})
    await marta.get("/silences")
    address = re.search(rf'href="((?:silences/{kind}|dependencies)/[0-9a-f-]{{36}})"', marta.page.text)
    assert address
    await marta.get(f"/{address[1]}")
    sent |= {"csrf": marta.csrf, "edition": marta.hidden("edition")}
    first = {"m0.value": "web-9", "c0.value": "web-9", "comment": "the rack is being moved"}
    first |= {"name": "Kernel updates" if kind == "maintenance" else "web-9 and its sites"}
    assert (await marta.fill(f"/{address[1]}", sent | first)).status_code == 303

    answer = await marta.fill(f"/{address[1]}", sent | {"comment": "mine", "name": "mine"})
    assert answer.status_code == 409
    assert f"Somebody else saved this {kind} meanwhile. What you typed is kept below" in marta.text
    assert theirs in marta.text
    assert 'value="web-1"' in marta.page.text
    assert "Save over it" in marta.text
    again = sent | {"comment": "mine", "name": "mine", "edition": marta.hidden("edition")}
    assert (await marta.fill(f"/{address[1]}", again)).status_code == 303
    await marta.get("/silences")
    assert "web-9" not in marta.text
