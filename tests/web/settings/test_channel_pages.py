"""Channels by forms and links alone."""

import re
from collections.abc import AsyncIterator

import pytest

from tests.api.service import Service
from tests.fakes import WRONG_TOKEN
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role
from tocsin.net.http import HttpDoor
from tocsin.notify.channels.slack import Slack

SECRET = "https://hooks.slack.com/services/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"


async def log_in(service: Service, role: Role = Role.ADMIN) -> Browser:
    await a_person(service, role=role)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


@pytest.fixture
async def chats(sqlite_service: Service) -> AsyncIterator[Service]:
    """With Slack beside push and mail."""
    door = HttpDoor(allow_private=True)
    sqlite_service.server.channels["slack"] = Slack(None, door)
    yield sqlite_service
    await door.close()


async def made(browser: Browser, name: str = "Night chat") -> str:
    """The address of a channel made by the form."""
    await browser.get("/settings/channels")
    await browser.post("/settings/channels", csrf=browser.csrf, name=name, kind="slack", target=SECRET)
    assert browser.place.endswith("channels?done=made"), browser.text
    await browser.get("/settings/channels?done=made")
    found = re.search(r'action="[./]*(settings/channels/[0-9a-f-]{36})"', browser.page.text)
    assert found
    return f"/{found[1]}"


async def test_every_way_says_whether_it_works_and_how_the_last_message_ended(service: Service) -> None:
    marta = await log_in(service)
    await service.send({"type": "disk.full", "severity": 5, "host": "web-1"})
    await service.world.turn()
    await marta.get("/settings/channels")
    for words in ("Push (ntfy) State Works", "Sent", "Not set up here: Slack", "No channel of a team yet"):
        assert words in marta.text, words


async def test_a_way_that_fails_says_why(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    sqlite_service.world.ntfy.outcome = WRONG_TOKEN
    await sqlite_service.send({"type": "disk.full", "severity": 5, "host": "web-1"})
    await sqlite_service.world.turn()
    await marta.get("/settings/channels")
    assert "Does not take messages" in marta.text
    assert str(WRONG_TOKEN.error) in marta.text


async def test_a_channel_is_made_changed_and_removed_and_its_secret_is_shown_nowhere(chats: Service) -> None:
    marta = await log_in(chats)
    address = await made(marta)
    assert "Night chat" in marta.text
    assert "Zz9Yy8" not in marta.page.text
    csrf = marta.csrf
    await marta.post(address, csrf=csrf, name="Day chat", target="")
    assert "done=changed" in marta.place
    await marta.get("/settings/channels?done=changed")
    assert "Day chat Off" in marta.text
    answer = await marta.post(address, csrf=csrf, name="Day chat", target="https://hooks.slack.com/x/Zz9Yy8Xx7", enabled="yes")
    assert answer.status_code == 422
    assert "must be the address of an incoming webhook" in marta.text.replace("Must", "must")
    await marta.post(f"{address}/remove", csrf=csrf)
    await marta.get("/settings/channels?done=removed")
    assert "No channel of a team yet" in marta.text
    assert (await marta.post(address, csrf=csrf, name="x")).status_code == 404


async def test_two_channels_do_not_share_a_name(chats: Service) -> None:
    marta = await log_in(chats)
    await made(marta)
    answer = await marta.post("/settings/channels", csrf=marta.csrf, name="Night chat", kind="slack", target=SECRET)
    assert answer.status_code == 422
    assert "There is already a channel Night chat." in marta.text


async def test_a_test_goes_to_every_contact_of_a_way_and_says_what_came_of_it(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/settings/channels")
    csrf = marta.csrf
    await marta.post("/settings/channels/ntfy/test", csrf=csrf)
    assert "done=tested" in marta.place
    sqlite_service.world.ntfy.outcome = WRONG_TOKEN
    assert (await marta.post("/settings/channels/ntfy/test", csrf=csrf)).status_code == 409
    assert "did not take it" in marta.text
    assert (await marta.post("/settings/channels/moon/test", csrf=csrf)).status_code == 404


async def test_who_may_not_change_channels_sees_them(sqlite_service: Service) -> None:
    lena = await log_in(sqlite_service, Role.VIEWER)
    await lena.get("/settings/channels")
    assert "Ways to be heard" in lena.text
    assert "Send a test" not in lena.text
    assert "Add a channel" not in lena.text
    await lena.get("/settings/me")
    assert (await lena.post("/settings/channels", csrf=lena.csrf, name="x", kind="slack", target=SECRET)).status_code == 403
