"""Event rules by forms and links alone, and their words."""

import re
from datetime import time

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.core.errors import InvalidInput
from tocsin.identity.model import Role
from tocsin.muting.model import Matcher, Op
from tocsin.oncall.model import Restriction
from tocsin.ruling.model import DRAFT, MATCH_FIELDS, Actions, EventRule, Threshold
from tocsin.web.ruling import rules
from tocsin.web.ruling.rules import Condition, RuleForm, TimesForm


async def log_in(service: Service, email: str = "marta@example.com", role: Role = Role.ADMIN, name: str = "Marta Weiss") -> Browser:
    await a_person(service, email, role, name)
    browser = Browser(service)
    await browser.log_in(email)
    return browser


def a_rule(csrf: str, do: str = "save", **more: str) -> dict[str, str]:
    condition = {"m0.field": "type", "m0.op": "=", "m0.value": "disk.full"}
    return {"csrf": csrf, "name": "Disks", "time_zone": "UTC", "severity": "2", "enabled": "1", "do": do, **condition, **more}


async def made(browser: Browser, **more: str) -> str:
    """The address of a rule made by the form."""
    await browser.get("/rules/new")
    await browser.fill("/rules/new", a_rule(browser.csrf, **more))
    assert browser.place.endswith("rules?done=made"), browser.text
    await browser.get("/rules?done=made")
    found = re.findall(r'href="(rules/[0-9a-f-]{36})"', browser.page.text)
    return f"/{found[-1]}"


def order(browser: Browser) -> list[str]:
    """The names of the rules on the page, from the top."""
    return re.findall(r'<h2><a href="rules/[0-9a-f-]{36}">([^<]+)</a>', browser.page.text)


@pytest.mark.claim("A8")
async def test_a_rule_shows_how_many_pages_it_would_have_spared_before_it_is_saved(service: Service) -> None:
    marta = await log_in(service)
    for host in ("web-1", "web-2", "web-3"):
        await service.send({"type": "disk.full", "severity": 4, "host": host})
    await marta.get("/rules")
    assert "No rules yet" in marta.text
    await marta.get("/rules/new")
    csrf = marta.csrf
    sent = a_rule(csrf, "test", severity="", mute="1", **{"m1.field": "host", "m1.op": "!=", "m1.value": "web-1"})
    assert (await marta.fill("/rules/new", sent)).status_code == 200
    assert "This would have sent 1 page instead of 3" in marta.text
    assert "disk.full 3 → 1" in marta.text
    await marta.get("/rules")
    assert "No rules yet" in marta.text
    await marta.fill("/rules/new", {**sent, "do": "save"})
    await marta.get("/rules?done=made")
    for words in ("Disks", "Where type is disk.full and host is not web-1", "Nobody is told", "by Marta Weiss"):
        assert words in marta.text, words
    await service.send({"type": "disk.full", "severity": 4, "host": "web-4"})
    assert service.world.alerts()[-1].muted_by == 'rule "Disks"'


async def test_an_event_is_tried_on_a_rule_that_is_not_saved(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await made(marta, name="Others", **{"m0.value": "order.paid"})
    await marta.get("/rules/new")
    event = {"e.type": "disk.full", "e.host": "web-1", "e.site": "main", "e.attributes": '{"mount": "/var"}'}
    tried = a_rule(marta.csrf, "try", title="{host}: {attributes.mount}", **event)
    assert (await marta.fill("/rules/new", tried)).status_code == 200
    for words in ("web-1 : /var", "Low", "Disks on this page severity 2; title {host}", "Others type is 'disk.full', not = 'order.paid'"):
        assert words in marta.text, words
    wrong = [
        ({"e.type": ""}, "Name the type of the event, such as disk.full."),
        ({"e.type": "Disk Full"}, "ust be"),
        ({"e.attributes": "mount"}, 'Must be a JSON object, such as {"gateway": "stripe"}.'),
    ]
    for more, says in wrong:
        assert (await marta.fill("/rules/new", {**tried, **more})).status_code == 422
        assert says in marta.text, says


async def test_rules_are_put_in_another_order_by_buttons(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    for name in ("One", "Two", "Three"):
        last = await made(marta, name=name)
    assert order(marta) == ["One", "Two", "Three"]
    await marta.get("/rules")
    csrf = marta.csrf
    await marta.post(f"{last}/move", csrf=csrf, position="1")
    await marta.get("/rules?done=moved")
    assert order(marta) == ["Three", "One", "Two"]
    assert (await marta.post(f"{last}/move", csrf=csrf, position="x")).status_code == 422
    assert (await marta.post("/rules/nonsense/move", csrf=csrf, position="1")).status_code == 404


async def test_the_second_of_two_who_change_a_rule_is_shown_what_the_first_did(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    address = await made(marta)
    await marta.get(address)
    csrf = marta.csrf
    await marta.fill(address, a_rule(csrf, version="1", severity="3"))
    assert "done=changed" in marta.place
    answer = await marta.fill(address, a_rule(csrf, version="1", severity="5", name="My own"))
    assert answer.status_code == 409
    assert "was changed by somebody else" in marta.text
    assert "Severity medium" in marta.text
    assert 'value="My own"' in marta.page.text
    found = re.search(r'name="version" value="(\d+)"', marta.page.text)
    assert found
    await marta.fill(address, a_rule(csrf, version=found[1], severity="5", name="My own"))
    assert "done=changed" in marta.place


async def test_an_older_version_is_brought_back_and_a_rule_is_removed(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    address = await made(marta)
    await marta.get(address)
    csrf = marta.csrf
    await marta.fill(address, a_rule(csrf, version="1", severity="5"))
    await marta.get(address)
    assert "Version 2" in marta.text
    await marta.post(f"{address}/restore", csrf=csrf, version="1")
    await marta.get("/rules?done=restored")
    assert "Severity low" in marta.text
    assert "Version 3" in marta.text
    assert (await marta.post(f"{address}/restore", csrf=csrf, version="9")).status_code == 422
    assert "there is no version 9" in marta.text.lower()
    await marta.post(f"{address}/remove", csrf=csrf)
    await marta.get("/rules?done=removed")
    assert "No rules yet" in marta.text
    assert (await marta.get(address)).status_code == 404


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"name": ""}, "Must have 1 to 100 characters."),
    ({"severity": ""}, "Decide something"),
    ({"severity": "9"}, "Choose one from the list."),
    ({"policy": "moon"}, "There is no policy moon."),
    ({"delay": "soon"}, "Must be a number of minutes, such as 5."),
    ({"delay": "9999"}, "Must be a whole number of seconds from 0 to 86400 (a day)."),
    ({"count": "3"}, "Must say how many events within how many minutes, such as 3 within 10."),
    ({"count": "1", "within": "5"}, "Must be a whole number from 2 to 100."),
    ({"title": "{moon}"}, "{moon} is none of"),
    ({"dedup_key": "{host"}, "Write a field as {host}, with no other braces."),
    ({"m0.op": "is"}, "Choose a comparison from the list."),
    ({"m0.field": "moon"}, "'moon' is none of"),
    ({"m0.op": "~", "m0.value": "("}, "missing )"),
    ({"m0.field": "attributes.", "m0.name": ""}, "attribute's name must have 1 to 100 characters"),
    ({"t0.from": "late", "t0.to": "06:00"}, "Must have two times of day, such as 22:00 and 06:00."),
    ({"time_zone": "Moon/Base", "t0.from": "08:00", "t0.to": "09:00"}, "is no time zone"),
    ({"mute": "1", "m0.value": ""}, "would match everything"),
)


async def test_what_is_wrong_stands_below_its_field_and_what_was_typed_is_kept(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/rules/new")
    csrf = marta.csrf
    for more, says in WRONG:
        kept = {} if "mute" in more else {"m1.field": "host", "m1.op": "=", "m1.value": "kept"}
        assert (await marta.fill("/rules/new", a_rule(csrf, **kept, **more))).status_code == 422, more
        assert says in marta.text, (more, says)
        assert not kept or 'value="kept"' in marta.page.text
    await marta.get("/rules")
    assert "No rules yet" in marta.text


async def test_a_rule_begins_with_what_an_event_was(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await sqlite_service.send({"type": "disk.full", "severity": 4, "host": "web-1", "attributes": {"mount": "/var"}})
    event = (await sqlite_service.admin.ask("GET", "/events")).json()["items"][0]
    await marta.get(f"/events/{event['id']}")
    assert f'href="../rules/new?event={event["id"]}"' in marta.page.text
    await marta.get(f"/rules/new?event={event['id']}")
    for part in ('value="disk.full"', 'value="web-1"', "&#34;mount&#34;: &#34;/var&#34;"):
        assert part in marta.page.text, part
    assert (await marta.get("/rules/new?event=nonsense")).status_code == 200


async def test_who_may_not_change_rules_reads_them(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    address = await made(marta)
    lena = await log_in(sqlite_service, "lena@example.com", Role.VIEWER, "Lena")
    await lena.get("/rules")
    assert "Where type is disk.full" in lena.text
    assert "Make a rule" not in lena.text
    assert address.removeprefix("/") not in lena.page.text
    assert (await lena.get(address)).status_code == 403
    assert (await lena.get("/rules/new")).status_code == 403


def test_a_rule_is_written_into_the_form_and_read_back_the_same() -> None:
    rule = EventRule(
        DRAFT,
        "Nights",
        (Matcher("attributes.gateway", Op.EQUAL, "stripe"), Matcher("host", Op.PREFIX, "web-")),
        Actions(3, "default", "{type}", "{host} again", 90, Threshold(3, 600)),
        (Restriction(time(22), time(6), (1, 2, 3, 4, 5)), Restriction(time(12), time(13))),
        "Europe/Berlin",
        stop=True,
    )
    assert rules.rule_of(rules.written(rule)) == rule
    assert rules.when_says(rule) == "Mon to Fri 22:00 to 06:00 or 12:00 to 13:00, Berlin time"
    assert rules.where_says(rule) == "gateway is stripe and host begins with web-"
    dear = EventRule(DRAFT, "x", (Matcher("impact.monthly_income", Op.AT_LEAST, "500"),), Actions(5))
    assert rules.where_says(dear) == "the monthly income behind it is at least 500"
    assert {field for field, _ in rules.FIELDS} == {*MATCH_FIELDS, "attributes."}
    assert rules.does(rule.actions, {"default": "Built-in policy"}) == (
        "Severity medium",
        "Policy Built-in policy",
        "Nobody is told for the first 90 seconds",
        "Nobody is told before 3 events within 10\u00a0min",
        "Title “{host} again”",
        "One alert for each {type}",
    )


def test_weekdays_that_do_not_follow_each_other_are_named_each() -> None:
    weekend = EventRule(DRAFT, "x", (), Actions(2), (Restriction(time(0), time(0), (1, 6, 7)),))
    assert rules.when_says(weekend) == "Mon, Sat, Sun 00:00 to 00:00, UTC time"


def test_buttons_give_more_places_and_keep_the_rest() -> None:
    begun = RuleForm(name="x", conditions=(Condition("host", "", "=", "a"),), do="hours")
    with_hours = rules.pressed(begun)
    assert with_hours.times == (TimesForm((), "22:00", "06:00"),)
    assert rules.pressed(RuleForm(times=with_hours.times, do="always")).times == ()
    assert rules.pressed(RuleForm(name="x", do="conditions")).places == 3
    assert rules.pressed(RuleForm(name="x", do="moon")) == RuleForm(name="x", do="moon")


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.rule_of(RuleForm(severity="x", delay="x", count="x", within="x", times=(TimesForm(),)))
    assert {one.field for one in caught.value.errors} == {"severity", "delay", "count", "within", "t0"}
