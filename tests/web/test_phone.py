"""What makes the dashboard an app: every file that manifest and service worker name is there, and neither holds anything about anybody."""

import re

import msgspec
import pytest

from tests.api.service import SECRET, Service
from tocsin.core.clock import HOUR
from tocsin.notify import links


@pytest.mark.claim("F4")
async def test_the_manifest_names_icons_that_are_there(service: Service) -> None:
    answer = await service.client.get("/manifest.webmanifest")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/manifest+json")
    manifest = msgspec.json.decode(answer.content)
    for icon in manifest["icons"]:
        assert (await service.client.get(f"/{icon['src']}")).headers["Content-Type"] == "image/png"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}


@pytest.mark.claim("F4")
async def test_the_service_worker_keeps_files_that_are_there(service: Service) -> None:
    answer = await service.client.get("/sw.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    found = re.search(r"const FILES = (\[.*\]);", answer.text)
    assert found is not None
    files = msgspec.json.decode(found[1])
    assert any(file.endswith(".css") for file in files)
    for file in files:
        assert (await service.client.get(f"/{file}")).status_code == 200, file


@pytest.mark.claim("N4", "F4")
async def test_the_snooze_button_of_a_notification_snoozes_for_an_hour_however_often_it_is_pressed(service: Service) -> None:
    world = service.world
    await service.send({"type": "disk.full", "severity": 4, "title": "Disk full"})
    address = links.links(SECRET, "https://alarm.example.com", world.messages()[0].id).snooze.removeprefix("https://alarm.example.com")
    assert "Snooze for an hour" in (await service.client.get(address, headers={"Accept": "text/html"})).text
    assert world.alert().status == "open", "looking changes nothing"
    for _ in range(2):
        pressed = await service.client.post(address, headers={"Accept": "text/plain"})
        assert (pressed.status_code, pressed.text) == (200, "Snoozed for an hour: Disk full\n")
    assert (world.alert().status, world.alert().snoozed_until) == ("snoozed", world.clock.now() + HOUR)
    await world.resolve(world.alert())
    assert (await service.client.post(address)).text == "Already resolved: Disk full\n"
