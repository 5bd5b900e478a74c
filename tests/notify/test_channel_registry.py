"""Which channels a configuration brings."""

from collections.abc import AsyncIterator

import pytest

from tocsin.net.http import HttpDoor
from tocsin.notify.channels import channels
from tocsin.settings import load


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


# These need nothing from the settings: the contact holds the address, and the address is the key.
ALWAYS = {"slack", "teams", "discord", "pagerduty", "opsgenie", "webhook", "apprise"}


@pytest.mark.parametrize(
    ("environment", "kinds"),
    [
        ({}, set()),
        ({"NTFY_SERVER_URL": "https://ntfy.sh"}, {"ntfy"}),
        ({"TOCSIN_SMTP_URL": "smtps://u:p@mail.example.com"}, {"email"}),
        ({"NTFY_SERVER_URL": "https://ntfy.sh", "TOCSIN_SMTP_URL": "smtp://mail.example.com"}, {"ntfy", "email"}),
        ({"TOCSIN_TELEGRAM_TOKEN": "123456789:AAExampleExampleExampleExample_12345"}, {"telegram"}),
    ],
)
async def test_a_channel_is_there_when_its_settings_are(environment: dict[str, str], kinds: set[str], door: HttpDoor) -> None:
    found = channels(load(environment), door)
    assert set(found) - ALWAYS == kinds
    assert set(found) >= ALWAYS
    assert all(channel.kind == kind for kind, channel in found.items())
    for channel in found.values():
        await channel.close()
