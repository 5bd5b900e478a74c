"""Links that work once: invitations, new passwords, the first administrator."""

import asyncio

import pytest
import sqlalchemy as sa

from tests.api.service import Service
from tests.web.browser import PASSWORD, Browser, a_person
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.redact import redact
from tocsin.db import tables
from tocsin.identity import people
from tocsin.identity.model import PassKind, Role
from tocsin.notify import accounts
from tocsin.notify.model import Outcome, Result

BEN = {"email": "ben@example.com", "name": "Ben Okafor", "role": "responder"}


async def invited(service: Service) -> str:
    """Ben, and the path of the link in his mail."""
    made = await service.admin.post("/users", BEN, 201)
    answer = await service.admin.post(f"/users/{made['id']}/link", {"kind": "invite"})
    assert answer["sent"] is True
    assert answer["link"] is None
    return service.world.email.link()


async def chosen(browser: Browser, path: str, password: str = PASSWORD) -> None:
    await browser.post(path, password=password, again=password)


@pytest.mark.claim("S1")
async def test_an_invitation_leads_from_the_mail_to_the_dashboard(service: Service) -> None:
    path = await invited(service)
    target, mail = service.world.email.mails[-1]
    assert target == "ben@example.com"
    assert mail.subject == "Your account at Tocsin on alarm.example.com"
    assert "within 7 d" in mail.text
    browser = Browser(service)
    await browser.get(path)
    assert "Welcome, Ben Okafor" in browser.text
    await chosen(browser, path)
    assert browser.place == "../settings/me?welcome=1"
    await browser.get("/settings/me?welcome=1")
    assert "set it up below" in browser.text
    await Browser(service).log_in("ben@example.com")


async def test_a_mail_scanner_that_opens_the_link_uses_nothing_up(service: Service) -> None:
    path = await invited(service)
    scanner, browser = Browser(service), Browser(service)
    for _ in range(3):
        assert (await scanner.get(path)).status_code == 200
    await chosen(browser, path)
    assert browser.page.status_code == 303


async def test_a_link_works_once(service: Service) -> None:
    path = await invited(service)
    await chosen(Browser(service), path)
    late = Browser(service)
    await chosen(late, path, "another good password")
    assert late.page.status_code == 404
    assert "each works once" in late.text
    assert (await late.get(path)).status_code == 404


async def test_of_two_who_use_it_at_the_same_moment_one_is_first(service: Service) -> None:
    path = await invited(service)
    browsers = [Browser(service) for _ in range(4)]
    await asyncio.gather(*[chosen(browser, path) for browser in browsers])
    assert sorted(browser.page.status_code for browser in browsers) == [303, 404, 404, 404]


@pytest.mark.parametrize(("kind", "lasts"), [("invite", 7 * DAY), ("reset", HOUR)])
async def test_a_link_runs_out(sqlite_service: Service, kind: str, lasts: int) -> None:
    user_id = await a_person(sqlite_service) if kind == "reset" else (await sqlite_service.admin.post("/users", BEN, 201))["id"]
    await sqlite_service.admin.post(f"/users/{user_id}/link", {"kind": kind})
    path = sqlite_service.world.email.link()
    sqlite_service.world.clock.advance(lasts - 1)
    assert (await Browser(sqlite_service).get(path)).status_code == 200
    sqlite_service.world.clock.advance(1)
    browser = Browser(sqlite_service)
    await chosen(browser, path)
    assert browser.page.status_code == 404
    assert "ran out" in browser.text


async def test_a_newer_link_makes_the_older_one_void(service: Service) -> None:
    first = await invited(service)
    users = await service.admin.get("/users")
    await service.admin.post(f"/users/{users['items'][0]['id']}/link", {"kind": "invite"})
    assert (await Browser(service).get(first)).status_code == 404
    assert (await Browser(service).get(service.world.email.link())).status_code == 200


async def test_without_a_mail_server_the_administrator_gets_the_link_once(service: Service) -> None:
    made = await service.admin.post("/users", BEN, 201)
    service.world.email.outcome = Outcome(Result.TEMPORARY, "mail.example.com:587 refused the connection")
    answer = await service.admin.post(f"/users/{made['id']}/link", {"kind": "invite"})
    assert answer["sent"] is False
    assert answer["reason"] == "mail.example.com:587 refused the connection"
    path = answer["link"].removeprefix("https://alarm.example.com")
    browser = Browser(service)
    await chosen(browser, path)
    assert browser.page.status_code == 303
    token = path.rpartition("/")[2]
    assert token not in str(service.world.rows(sa.select(tables.passes))) + str(service.world.rows(sa.select(tables.audit)))


@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 5_000, "%00", "..%2f..", "é"])
@pytest.mark.parametrize("kind", ["invite", "reset", "setup"])
async def test_a_made_up_link_is_told_from_a_good_one(sqlite_service: Service, kind: str, token: str) -> None:
    browser = Browser(sqlite_service)
    assert (await browser.get(f"/{kind}/{token}")).status_code == 404
    await chosen(browser, f"/{kind}/{token}")
    assert browser.page.status_code == 404
    assert not browser.client.cookies


@pytest.mark.parametrize(
    ("password", "again", "error"),
    [
        ("short", "short", "Has 5 characters; at least 12 are needed. Four words are easy to keep."),
        ("lantern gravel teacup", "lantern gravel teapot", "Is not the same."),
        ("ben@example.com", "ben@example.com", "Is the mail address: everybody knows that one."),
    ],
)
async def test_a_password_that_is_not_good_uses_nothing_up(sqlite_service: Service, password: str, again: str, error: str) -> None:
    path = await invited(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.post(path, password=password, again=again)
    assert browser.page.status_code == 422
    assert browser.error == error
    assert password not in browser.page.text or password == "ben@example.com"
    await chosen(browser, path)
    assert browser.page.status_code == 303


async def test_a_form_from_another_site_uses_nothing_up(sqlite_service: Service) -> None:
    path = await invited(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.post(path, {"Sec-Fetch-Site": "cross-site"}, password=PASSWORD, again=PASSWORD)
    assert browser.page.status_code == 403
    assert (await browser.get(path)).status_code == 200


# A new password.


async def asked(service: Service, email: str) -> Browser:
    browser = Browser(service)
    await browser.post("/reset", email=email)
    await service.server.courier.settle()
    return browser


@pytest.mark.claim("S1", "S2")
async def test_a_forgotten_password_is_set_anew_and_every_other_session_ends(service: Service) -> None:
    await a_person(service)
    old = Browser(service)
    await old.log_in("marta@example.com")
    browser = await asked(service, "Marta@Example.com")
    assert "If there is an account with that address, a mail is under way" in browser.text
    assert len(service.world.email.mails) == 1
    new = "lantern gravel teacup"
    await chosen(browser, service.world.email.link(), new)
    assert browser.place == "../login?done=password"
    await old.get("/settings/me")
    assert "login" in old.place
    await old.log_in("marta@example.com")
    assert old.page.status_code == 401
    await browser.log_in("marta@example.com", new)
    assert browser.place == "./"


async def test_whoever_asks_for_a_stranger_hears_the_same_and_nothing_is_mailed(service: Service) -> None:
    await a_person(service)
    known, unknown = await asked(service, "marta@example.com"), await asked(service, "nobody@example.com")
    assert known.page.text == unknown.page.text
    assert [target for target, _ in service.world.email.mails] == ["marta@example.com"]


async def test_nobody_s_mailbox_is_filled(service: Service) -> None:
    await a_person(service)
    for _ in range(20):
        await asked(service, "marta@example.com")
    assert len(service.world.email.mails) == 1
    service.world.clock.advance(5 * MINUTE)
    await asked(service, "marta@example.com")
    assert len(service.world.email.mails) == 2


async def test_a_lock_ends_with_a_new_password(service: Service) -> None:
    await a_person(service)
    browser = Browser(service)
    for _ in range(6):
        await browser.log_in("marta@example.com", "wrong password")
    assert browser.page.status_code == 429
    await asked(service, "marta@example.com")
    await chosen(browser, service.world.email.link(), "lantern gravel teacup")
    await browser.log_in("marta@example.com", "lantern gravel teacup")
    assert browser.place == "./"


async def test_who_was_invited_and_asks_for_a_new_password_gets_the_invitation_again(service: Service) -> None:
    await service.admin.post("/users", BEN, 201)
    await asked(service, "ben@example.com")
    assert service.world.email.link().startswith("/invite/")


async def test_a_disabled_person_gets_no_link(service: Service) -> None:
    user_id = await a_person(service)
    await a_person(service, "ben@example.com")
    await service.admin.ask("PATCH", f"/users/{user_id}", json={"disabled": True})
    await asked(service, "marta@example.com")
    assert service.world.email.mails == []
    await service.admin.refused("POST", f"/users/{user_id}/link", 409, json={"kind": "reset"})


# The first administrator.


async def set_up(service: Service) -> str:
    now = service.world.clock.now()
    made = await service.world.write(lambda tx: people.make_pass(tx, Who("tocsin"), PassKind.SETUP, None, now))
    return f"/setup/{made.token}"


FIRST = {"email": "Owner@example.com", "name": "The Owner", "password": PASSWORD, "again": PASSWORD}


async def test_the_first_administrator_is_made_by_a_link_that_works_once(service: Service) -> None:
    path, other = await set_up(service), await set_up(service)
    browser = Browser(service)
    await browser.get(path)
    assert "You are the first" in browser.text
    await browser.post(path, None, **FIRST)
    assert browser.place == "../welcome"
    await browser.get("/settings/people")
    assert "The Owner owner@example.com · you" in browser.text
    for late in (path, other):
        second = Browser(service)
        await second.post(late, None, **{**FIRST, "email": "thief@example.com"})
        assert second.page.status_code == 404
    assert len(service.world.rows(sa.select(tables.users))) == 1


async def test_a_set_up_link_is_worth_nothing_once_there_is_a_user(service: Service) -> None:
    path = await set_up(service)
    await a_person(service, role=Role.VIEWER)
    browser = Browser(service)
    assert (await browser.get(path)).status_code == 404
    assert "There is an administrator already" in browser.text


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"email": "no address"}, "'no address' is no mail address. Example: marta@example.com."),
        ({"name": " "}, "Must have 1 to 100 characters."),
        ({"password": "short"}, "Has 5 characters; at least 12 are needed. Four words are easy to keep."),
    ],
)
async def test_a_set_up_form_that_is_not_good_uses_nothing_up(sqlite_service: Service, fields: dict[str, str], error: str) -> None:
    path = await set_up(sqlite_service)
    browser = Browser(sqlite_service)
    await browser.post(path, None, **{**FIRST, **fields})
    assert browser.error == error
    await browser.post(path, None, **FIRST)
    assert browser.place == "../welcome"


async def test_the_login_page_of_an_empty_installation_says_how_to_begin(sqlite_service: Service) -> None:
    browser = Browser(sqlite_service)
    await browser.get("/login")
    assert "Nobody has an account yet" in browser.text
    await a_person(sqlite_service)
    await browser.get("/login")
    assert "Nobody has an account yet" not in browser.text


def test_no_token_stays_in_a_log() -> None:
    for page in ("invite", "reset"):
        assert redact(f"GET /{page}/{'a' * 43}?x=1") == f"GET /{page}/(hidden)?x=1"


def test_a_mail_says_how_long_its_link_lasts_in_whole_minutes() -> None:
    said = accounts.words(PassKind.INVITE, "alarm.example.com", "Marta")
    assert "within 7 d." in accounts.compose(said, "Ben", "https://alarm.example.com/invite/x", 7 * DAY - 1_500).text
