"""Asking for swaps over the API, as the reference of on-call promises it."""

from typing import Any

import pytest

from tests.api.service import Service
from tests.api.test_oncall import a_schedule, fields, on_call, people

pytestmark = pytest.mark.claim("A5")


def a_swap(first: str, second: str, **more: Any) -> dict[str, Any]:
    return {
        "first": {"user": first, "starts_at": "2025-11-26T00:00:00Z", "ends_at": "2025-11-27T00:00:00Z"},
        "second": {"user": second, "starts_at": "2025-12-02T00:00:00Z", "ends_at": "2025-12-03T00:00:00Z"},
        **more,
    }


async def test_a_swap_is_asked_for_listed_and_accepted(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    place = f"/schedules/{(await a_schedule(service, anna, ben))['id']}/swaps"
    asked = await service.admin.post(place, a_swap("ben@example.com", "anna@example.com", note=" A wedding. "), 201)
    assert (asked["status"], asked["note"], asked["expires_at"]) == ("asked", "A wedding.", "2025-11-26T00:00:00.000Z")
    assert (await service.reader.get(place))["items"] == [asked]
    accepted = await service.admin.post(f"{place}/{asked['id'].upper()}/accept", {}, 200)
    assert (accepted["status"], accepted["answered_by"]) == ("accepted", "key:admin")
    assert await on_call(service, at="2025-11-26T12:00:00Z") == [[(anna, "override")]]
    await service.admin.refused("POST", f"{place}/{asked['id']}/refuse", 409)


async def test_nobody_speaks_for_another_but_administrators(sqlite_service: Service) -> None:
    service = sqlite_service
    anna, ben = await people(service, "anna", "ben")
    place = f"/schedules/{(await a_schedule(service, anna, ben))['id']}/swaps"
    await service.writer.refused("POST", place, 403, json=a_swap(ben, anna))
    assert (await service.reader.get(place))["items"] == []
    asked = await service.admin.post(place, a_swap(ben, anna), 201)
    for answer in ("accept", "refuse", "withdraw"):
        await service.writer.refused("POST", f"{place}/{asked['id']}/{answer}", 403)
        await service.reader.refused("POST", f"{place}/{asked['id']}/{answer}", 403)
    assert (await service.reader.get(place))["items"][0]["status"] == "asked"


async def test_what_cannot_be_swapped_is_refused_with_its_field(sqlite_service: Service) -> None:
    service = sqlite_service
    anna, ben = await people(service, "anna", "ben")
    place = f"/schedules/{(await a_schedule(service, anna, ben))['id']}/swaps"
    for sent, found in (
        (a_swap(ben, ben), ["second.user"]),
        (a_swap(anna, ben), ["first.user"]),
        (a_swap(ben, "dora@example.com"), ["second.user"]),
        (a_swap(ben, anna, note="x" * 501), ["note"]),
        (a_swap(ben, anna, note="a\0b"), ["note"]),
        ({"first": a_swap(ben, anna)["first"]}, ["second"]),
    ):
        assert fields(await service.admin.refused("POST", place, 422, json=sent)) == found
    await service.admin.refused("POST", f"{place}/not-an-id/accept", 404)
    await service.admin.refused("POST", f"/schedules/{anna}/swaps", 404, json=a_swap(ben, anna))
    await service.reader.refused("GET", f"/schedules/{anna}/swaps", 404)
