"""``/settings/thresholds`` by forms alone."""

from typing import Any

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role

pytestmark = pytest.mark.claim("M6")
AT = "/settings/thresholds"


async def log_in(service: Service, role: Role = Role.ADMIN) -> Browser:
    await a_person(service, "marta@example.com", role, "Marta Weiss")
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await browser.get(AT)
    return browser


async def theirs(service: Service) -> Any:
    return [one for one in (await service.reader.get("/thresholds"))["items"] if one["origin"] == "user"]


async def test_a_threshold_is_made_changed_switched_off_and_removed(sqlite_service: Service) -> None:
    service, marta = sqlite_service, await log_in(sqlite_service)
    assert "disk_percent" in marta.text  # by the settings
    csrf = marta.csrf
    await marta.fill(
        AT, {"csrf": csrf, "metric": "disk_percent", "host": "web-1", "labels": "mount=/var", "warning": "70,5", "critical": "90"}
    )
    assert marta.page.status_code == 303
    (made,) = await theirs(service)
    assert (made["host"], made["labels"], made["warning"], made["critical"]) == ("web-1", {"mount": "/var"}, 70.5, 90)
    await marta.get(f"{AT}?done=made")
    assert "on web-1, mount /var" in marta.text
    await marta.fill(f"{AT}/{made['id']}", {"csrf": csrf, "warning": "", "critical": "95", "clear": "", "for_seconds": "60", "do": "save"})
    (kept,) = await theirs(service)
    assert (kept["warning"], kept["critical"], kept["for_seconds"]) == (None, 95, 60)
    await marta.fill(f"{AT}/{made['id']}", {"csrf": csrf, "do": "off"})
    assert not (await theirs(service))[0]["enabled"]
    await marta.post(f"{AT}/{made['id']}/remove", csrf=csrf)
    assert await theirs(service) == []


async def test_a_mistake_stands_below_its_field_and_nothing_typed_is_lost(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    wrong = {"csrf": marta.csrf, "metric": "disk percent", "labels": "mount", "warning": "lots"}
    assert (await marta.fill(AT, wrong)).status_code == 422
    for field in ("metric", "labels", "warning"):
        assert f'id="{field}-says"' in marta.page.text, field
    assert 'value="disk percent"' in marta.page.text
    assert await theirs(sqlite_service) == []
    assert "built-in method" not in marta.text


async def test_who_may_not_configure_reads_only(sqlite_service: Service) -> None:
    jonas = await log_in(sqlite_service, Role.RESPONDER)
    assert jonas.page.status_code == 200
    assert "A new threshold" not in jonas.text
