"""Schedules, overrides, shifts, teams and calendars over the API, as its reference promises them."""

from typing import Any

import icalendar
import pytest
import sqlalchemy as sa

from tests.api.service import Caller, Service
from tests.build import an_id
from tests.escalation.crew import Crew
from tocsin.core.clock import DAY
from tocsin.core.times import to_text
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity.model import Role, Scope

pytestmark = pytest.mark.claim("A5")

# The clock of the tests stands at 2025-11-25 00:00 UTC, a Tuesday.


async def people(service: Service, *names: str) -> list[str]:
    """Users with these names; answers their ids."""
    for name in names:
        await service.user(f"{name}@example.com", name.title())
    rows = service.world.rows(sa.select(tables.users.c.email, tables.users.c.id))
    ids = {row.email: row.id for row in rows}
    return [ids[f"{name}@example.com"] for name in names]


def weekly(*users: str, **changes: Any) -> dict[str, Any]:
    """A schedule of weekly turns from Monday 2025-11-03 09:00 in Berlin."""
    rotation = {"unit": "week", "length": 1, "starts_at": "2025-11-03T09:00", "users": list(users)}
    layers = [{"name": "Weekly", "rotation": rotation, "restrictions": []}]
    return {"name": "First line", "time_zone": "Europe/Berlin", "layers": layers, **changes}


async def a_schedule(service: Service, *users: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = await service.admin.post("/schedules", weekly(*users, **changes), 201)
    return made


def fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


async def test_a_schedule_is_made_shown_changed_and_removed(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna, ben)
    assert {name: made[name] for name in ("name", "time_zone", "layers")} == weekly(anna, ben)
    assert (made["version"], made["announce_gaps"], made["announce_hand_offs"]) == (1, True, True)
    assert await service.reader.get(f"/schedules/{made['id'].upper()}") == made
    assert (await service.reader.get("/schedules"))["items"] == [made]
    changed = (await service.admin.ask("PATCH", f"/schedules/{made['id']}", json={"name": "Second line", "version": 1})).json()
    assert (changed["name"], changed["version"], changed["layers"]) == ("Second line", 2, made["layers"])
    assert (await service.admin.ask("DELETE", f"/schedules/{made['id']}")).status_code == 204
    await service.reader.refused("GET", f"/schedules/{made['id']}", 404)


async def test_a_change_from_an_old_version_is_a_conflict_that_names_the_present_one(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    made = await a_schedule(sqlite_service, anna)
    await sqlite_service.admin.ask("PATCH", f"/schedules/{made['id']}", json={"name": "Second line"})
    problem = await sqlite_service.admin.refused("PATCH", f"/schedules/{made['id']}", 409, json={"name": "Third line", "version": 1})
    assert "is at version 2 now" in problem["detail"]
    assert (await sqlite_service.reader.get(f"/schedules/{made['id']}"))["name"] == "Second line"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\tb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"time_zone": "Europe/Berln"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "posix/UTC"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"layers": [{"name": "", "rotation": {}}]}, "layers[0].name"),
        ({"layers": [{"name": "A", "rotation": {}, "colour": "red"}]}, "layers[0]"),
        ({"layers": "weekly"}, "layers"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_is_wrong_with_a_schedule_is_named_by_field(sqlite_service: Service, change: dict[str, Any], field: str) -> None:
    (anna,) = await people(sqlite_service, "anna")
    problem = await sqlite_service.admin.refused("POST", "/schedules", 422, json=weekly(anna, **change))
    assert fields(problem)[0].startswith(field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"unit": "fortnight"}, "layers[0].rotation.unit"),
        ({"length": 0}, "layers[0].rotation.length"),
        ({"length": 13, "unit": "month"}, "layers[0].rotation.length"),
        ({"length": 1.5}, "layers[0].rotation.length"),
        ({"starts_at": "2025-11-03T09:00Z"}, "layers[0].rotation.starts_at"),
        ({"starts_at": "2025-11-31T09:00"}, "layers[0].rotation.starts_at"),
        ({"starts_at": "2025-11-03 09:00"}, "layers[0].rotation.starts_at"),
        ({"starts_at": "0001-01-01T09:00"}, "layers[0].rotation.starts_at"),
        ({"users": []}, "layers[0].rotation.users"),
        ({"users": ["anna@example.com", "nobody"]}, "layers[0].rotation.users[1]"),
        ({"users": ["anna@example.com", 7]}, "layers[0].rotation.users[1]"),
        ({"users": ["anna@example.com"] * 101}, "layers[0].rotation.users"),
    ],
)
async def test_what_is_wrong_with_a_rotation_is_named_by_field(sqlite_service: Service, change: dict[str, Any], field: str) -> None:
    await people(sqlite_service, "anna")
    sent = weekly("anna@example.com")
    sent["layers"][0]["rotation"] |= change
    assert fields(await sqlite_service.admin.refused("POST", "/schedules", 422, json=sent)) == [field]


@pytest.mark.parametrize(
    ("restriction", "field"),
    [
        ({"from": "09:00"}, "layers[0].restrictions[0]"),
        ({"from": "9:00", "to": "17:00"}, "layers[0].restrictions[0].from"),
        ({"from": "09:00", "to": "24:00"}, "layers[0].restrictions[0].to"),
        ({"from": "09:00\n", "to": "17:00"}, "layers[0].restrictions[0].from"),
        ({"from": "09:00", "to": "17:00", "weekdays": []}, "layers[0].restrictions[0].weekdays"),
        ({"from": "09:00", "to": "17:00", "weekdays": [0]}, "layers[0].restrictions[0].weekdays[0]"),
        ({"from": "09:00", "to": "17:00", "days": [1]}, "layers[0].restrictions[0]"),
    ],
)
async def test_what_is_wrong_with_a_restriction_is_named_by_field(sqlite_service: Service, restriction: dict[str, Any], field: str) -> None:
    await people(sqlite_service, "anna")
    sent = weekly("anna@example.com")
    sent["layers"][0]["restrictions"] = [restriction]
    assert fields(await sqlite_service.admin.refused("POST", "/schedules", 422, json=sent)) == [field]


async def test_everything_that_is_wrong_is_said_at_once(sqlite_service: Service) -> None:
    sent = weekly("nobody", time_zone="Mars/Olympus")
    sent["layers"][0]["rotation"]["starts_at"] = "2025-13-01T09:00"
    sent["layers"][0]["name"] = "a\x01"
    problem = await sqlite_service.admin.refused("POST", "/schedules", 422, json=sent)
    assert fields(problem) == ["time_zone", "layers[0].name", "layers[0].rotation.starts_at", "layers[0].rotation.users[0]"]


async def test_a_disabled_user_cannot_be_put_on_call(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    await disable(sqlite_service, anna)
    problem = await sqlite_service.admin.refused("POST", "/schedules", 422, json=weekly(anna))
    assert problem["errors"] == [{"field": "layers[0].rotation.users[0]", "message": "anna@example.com is disabled and cannot be on call"}]


async def disable(service: Service, user: str) -> None:
    def work(tx: Tx) -> None:
        tx.sql.execute(tables.users.update().where(tables.users.c.id == user).values(disabled_at=1))

    await service.world.write(work)


async def on_call(service: Service, **asked: Any) -> list[list[tuple[str, str]]]:
    answer = await service.reader.get("/oncall", **asked)
    return [[(duty["user"], duty["source"]) for duty in schedule["on_call"]] for schedule in answer["schedules"]]


async def test_who_is_on_call_is_told_schedule_by_schedule(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna, ben)
    assert await service.reader.get("/oncall") == {
        "schedules": [
            {
                "id": made["id"],
                "name": "First line",
                "on_call": [
                    {
                        "user": ben,
                        "since": "2025-11-24T08:00:00.000Z",
                        "until": "2025-12-01T08:00:00.000Z",
                        "source": "layer",
                    }
                ],
            }
        ]
    }
    assert await on_call(service, at="2025-12-01T09:00:00+01:00") == [[(anna, "layer")]]
    assert await on_call(service, at="2025-11-03T07:59:59.999Z") == [[]]


async def test_one_schedule_can_be_asked_about(sqlite_service: Service) -> None:
    anna, ben = await people(sqlite_service, "anna", "ben")
    _, second = await a_schedule(sqlite_service, anna), await a_schedule(sqlite_service, ben)
    assert await on_call(sqlite_service) == [[(anna, "layer")], [(ben, "layer")]]
    assert await on_call(sqlite_service, schedule=second["id"]) == [[(ben, "layer")]]
    await sqlite_service.reader.refused("GET", "/oncall", 404, params={"schedule": an_id(404)})
    await sqlite_service.reader.refused("GET", "/oncall", 404, params={"schedule": "first"})


@pytest.mark.parametrize("at", ["now", "2025-12-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", ""])
async def test_a_moment_that_is_none_is_refused(sqlite_service: Service, at: str) -> None:
    assert fields(await sqlite_service.reader.refused("GET", "/oncall", 422, params={"at": at})) == ["at"]


async def test_overrides_are_made_listed_and_taken_back(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna)
    place = f"/schedules/{made['id']}/overrides"
    span = {"starts_at": "2025-11-25T10:00:00Z", "ends_at": "2025-11-25T13:00:00+01:00"}
    one = await service.writer.post(place, {"kind": "replace", "user": ben, **span}, 201)
    two = await service.writer.post(place, {"kind": "add", "user": anna, **span}, 201)
    assert (one["kind"], one["user"], one["replaces"], one["ends_at"]) == ("replace", ben, None, "2025-11-25T12:00:00.000Z")
    assert one["created_by"] == "key:writer"
    assert await on_call(service, at="2025-11-25T11:00:00Z") == [sorted([(anna, "override"), (ben, "override")])]
    assert (await service.reader.get(place))["items"] == [two, one]
    first = await service.reader.get(place, limit=1)
    assert first["items"] == [two]
    assert (await service.reader.get(place, limit=1, cursor=first["next_cursor"]))["items"] == [one]
    assert (await service.reader.get(place, **{"from": "2025-11-25T12:00:00Z"}))["items"] == []
    assert (await service.reader.get(place, to="2025-11-25T10:00:00Z"))["items"] == []
    assert (await service.writer.ask("DELETE", f"{place}/{one['id']}")).status_code == 204
    await service.writer.refused("DELETE", f"{place}/{one['id']}", 404)
    assert await on_call(service, at="2025-11-25T11:00:00Z") == [[(anna, "layer")]]


SPAN = {"starts_at": "2025-11-25T10:00:00Z", "ends_at": "2025-11-25T12:00:00Z"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"starts_at": "2025-11-25T12:00:00Z"}, "ends_at"),
        ({"ends_at": "2025-11-25T09:00:00Z"}, "ends_at"),
        ({"ends_at": "2026-11-27T10:00:00Z"}, "ends_at"),
        ({"starts_at": "1900-01-01T00:00:00Z"}, "starts_at"),
        ({"starts_at": "2025-11-25T10:00:00"}, "starts_at"),
        ({"kind": "swap"}, "kind"),
        ({"user": None}, "user"),
        ({"user": "dora@example.com"}, "user"),
        ({"replaces": "dora@example.com"}, "replaces"),
        ({"replaces": "anna@example.com"}, "replaces"),
        ({"kind": "add", "replaces": "ben@example.com"}, "replaces"),
        ({"kind": "remove", "replaces": "ben@example.com"}, "replaces"),
    ],
)
async def test_what_is_wrong_with_an_override_is_named_by_field(sqlite_service: Service, change: dict[str, Any], field: str) -> None:
    anna, _ = await people(sqlite_service, "anna", "ben")
    made = await a_schedule(sqlite_service, anna)
    sent = {"kind": "replace", "user": "anna@example.com", **SPAN, **change}
    problem = await sqlite_service.writer.refused("POST", f"/schedules/{made['id']}/overrides", 422, json=sent)
    assert fields(problem)[0] == field


async def test_an_override_of_another_schedule_is_not_found(sqlite_service: Service) -> None:
    anna, ben = await people(sqlite_service, "anna", "ben")
    first, second = await a_schedule(sqlite_service, anna), await a_schedule(sqlite_service, ben)
    made = await sqlite_service.writer.post(f"/schedules/{first['id']}/overrides", {"kind": "add", "user": ben, **SPAN}, 201)
    await sqlite_service.writer.refused("DELETE", f"/schedules/{second['id']}/overrides/{made['id']}", 404)
    await sqlite_service.writer.refused("POST", f"/schedules/{made['id']}/overrides", 404, json={"kind": "add", "user": ben, **SPAN})


async def test_a_swap_is_one_call(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna, ben)
    sent = {
        "first": {"user": ben, "starts_at": "2025-11-25T00:00:00Z", "ends_at": "2025-11-26T00:00:00Z"},
        "second": {"user": anna, "starts_at": "2025-12-02T00:00:00Z", "ends_at": "2025-12-03T00:00:00Z"},
    }
    swapped = await service.writer.post(f"/schedules/{made['id']}/swap", sent, 201)
    assert [(o["kind"], o["user"], o["replaces"]) for o in swapped["items"]] == [("replace", anna, ben), ("replace", ben, anna)]
    assert await on_call(service, at="2025-11-25T12:00:00Z") == [[(anna, "override")]]
    assert await on_call(service, at="2025-12-02T12:00:00Z") == [[(ben, "override")]]
    problem = await service.writer.refused("POST", f"/schedules/{made['id']}/swap", 422, json={**sent, "second": sent["first"]})
    assert fields(problem) == ["second.user", "second.starts_at"]


async def test_shifts_and_gaps_are_told_between_two_moments(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna, ben)
    off = {"kind": "remove", "user": ben, "starts_at": "2025-11-30T08:00:00Z", "ends_at": "2025-12-01T08:00:00Z"}
    await service.writer.post(f"/schedules/{made['id']}/overrides", off, 201)
    asked = {"from": "2025-11-24T00:00:00Z", "to": "2025-12-02T00:00:00Z"}
    assert await service.reader.get(f"/schedules/{made['id']}/shifts", **asked) == {
        "items": [
            {"user": anna, "starts_at": "2025-11-24T00:00:00.000Z", "ends_at": "2025-11-24T08:00:00.000Z", "source": "layer"},
            {"user": ben, "starts_at": "2025-11-24T08:00:00.000Z", "ends_at": "2025-11-30T08:00:00.000Z", "source": "layer"},
            {"user": anna, "starts_at": "2025-12-01T08:00:00.000Z", "ends_at": "2025-12-02T00:00:00.000Z", "source": "layer"},
        ],
        "gaps": [{"starts_at": "2025-11-30T08:00:00.000Z", "ends_at": "2025-12-01T08:00:00.000Z"}],
    }


async def test_without_moments_the_next_fourteen_days_are_told(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    made = await a_schedule(sqlite_service, anna)
    found = await sqlite_service.reader.get(f"/schedules/{made['id']}/shifts")
    assert (found["items"][0]["starts_at"], found["items"][-1]["ends_at"]) == ("2025-11-25T00:00:00.000Z", "2025-12-09T00:00:00.000Z")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "2025-12-02T00:00:00Z", "to": "2025-12-02T00:00:00Z"}, "to"),
        ({"from": "2025-12-02T00:00:00Z", "to": "2027-12-02T00:00:00Z"}, "to"),
        ({"from": "1969-12-31T00:00:00Z", "to": "1970-01-05T00:00:00Z"}, "from"),
        ({"from": "9999-12-31T00:00:00Z"}, "from"),
        ({"until": "2025-12-02T00:00:00Z"}, "until"),
    ],
)
async def test_a_span_that_cannot_be_answered_is_refused(sqlite_service: Service, asked: dict[str, str], field: str) -> None:
    (anna,) = await people(sqlite_service, "anna")
    made = await a_schedule(sqlite_service, anna)
    problem = await sqlite_service.reader.refused("GET", f"/schedules/{made['id']}/shifts", 422, params=asked)
    assert fields(problem)[0] == field


async def test_a_team_is_made_shown_changed_and_removed(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await service.admin.post("/teams", {"name": "Support", "users": [ben, "anna@example.com"]}, 201)
    assert (made["name"], made["users"], made["version"]) == ("Support", [ben, anna], 1)
    assert (await service.reader.get("/teams"))["items"] == [made] == [await service.reader.get(f"/teams/{made['id']}")]
    changed = (await service.admin.ask("PATCH", f"/teams/{made['id']}", json={"users": [anna], "version": 1})).json()
    assert (changed["name"], changed["users"], changed["version"]) == ("Support", [anna], 2)
    await service.admin.refused("PATCH", f"/teams/{made['id']}", 409, json={"users": [], "version": 1})
    assert fields(await service.admin.refused("POST", "/teams", 422, json={"name": "A", "users": ["x"]})) == ["users[0]"]
    assert (await service.admin.ask("DELETE", f"/teams/{made['id']}")).status_code == 204
    await service.reader.refused("GET", f"/teams/{made['id']}", 404)


# Who may.


@pytest.mark.claim("S3")
async def test_reading_needs_read_covering_needs_write_and_schedules_need_admin(sqlite_service: Service) -> None:
    service = sqlite_service
    (anna,) = await people(service, "anna")
    made = await a_schedule(service, anna)
    place = f"/schedules/{made['id']}"
    reads = ["/oncall", "/schedules", place, f"{place}/overrides", f"{place}/shifts", f"{place}/ical", "/teams", "/calendar-feeds"]
    covers: list[tuple[str, str]] = [("POST", f"{place}/overrides"), ("POST", f"{place}/swap"), ("POST", "/calendar-feeds")]
    changes: list[tuple[str, str]] = [("POST", "/schedules"), ("PATCH", place), ("DELETE", place), ("POST", "/teams")]
    for path in reads:
        assert (await service.reader.ask("GET", path)).status_code == 200
        assert [await status(who, "GET", path) for who in (service.writer, service.sender, service.tenant, service.nobody)] == [
            403,
            403,
            403,
            401,
        ]
    for method, path in covers:
        assert await status(service.writer, method, path) == 422  # let in; the empty body is not enough
        assert [await status(who, method, path) for who in (service.reader, service.sender, service.tenant)] == [403, 403, 403]
    for method, path in changes:
        assert [await status(who, method, path) for who in (service.reader, service.writer, service.tenant)] == [403, 403, 403]


async def status(who: Caller, method: str, path: str) -> int:
    return (await who.ask(method, path, json={} if method != "GET" else None)).status_code


async def test_every_change_is_in_the_audit_log(sqlite_service: Service) -> None:
    service = sqlite_service
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna)
    await service.admin.ask("PATCH", f"/schedules/{made['id']}", json={"name": "Second line"})
    override = await service.writer.post(f"/schedules/{made['id']}/overrides", {"kind": "add", "user": ben, **SPAN}, 201)
    await service.writer.ask("DELETE", f"/schedules/{made['id']}/overrides/{override['id']}")
    feed = await service.writer.post("/calendar-feeds", {"user": anna}, 201)
    await service.writer.ask("DELETE", f"/calendar-feeds/{feed['id']}")
    await service.admin.ask("DELETE", f"/schedules/{made['id']}")
    team = await service.admin.post("/teams", {"name": "A"}, 201)
    await service.admin.ask("PATCH", f"/teams/{team['id']}", json={"name": "B"})
    await service.admin.ask("DELETE", f"/teams/{team['id']}")
    a = tables.audit.c
    rows = service.world.rows(sa.select(tables.audit).where(a.action.not_in(("key.made", "user.made"))).order_by(a.number))
    assert [row.action for row in rows] == [
        *("schedule.made", "schedule.changed", "override.made", "override.removed", "calendar.made", "calendar.revoked"),
        *("schedule.removed", "team.made", "team.changed", "team.removed"),
    ]
    assert [(row.before, row.after) for row in rows if row.action == "schedule.changed"] == [
        ('{"name":"First line"}', '{"name":"Second line"}')
    ]
    token = feed["url"].rpartition("/")[2]
    assert not [row for row in rows if token.removesuffix(".ics") in str(row)]


# Calendars.


def shown(text: str) -> list[tuple[str, str, str]]:
    """What a calendar program makes of it: title, start, end."""
    calendar = icalendar.Calendar.from_ical(text)
    return [
        (str(event["SUMMARY"]), event.decoded("DTSTART").isoformat(), event.decoded("DTEND").isoformat())
        for event in calendar.walk("VEVENT")
    ]


async def test_a_schedule_can_be_read_as_a_calendar(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    made = await a_schedule(service, anna, ben)
    answer = await service.reader.ask("GET", f"/schedules/{made['id']}/ical")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    found = shown(answer.text)
    assert found[:2] == [
        ("Anna on call: First line", "2025-11-03T08:00:00+00:00", "2025-11-10T08:00:00+00:00"),
        ("Ben on call: First line", "2025-11-10T08:00:00+00:00", "2025-11-17T08:00:00+00:00"),
    ]
    assert found[-1][1:] == ("2026-02-16T08:00:00+00:00", "2026-02-23T08:00:00+00:00")


async def test_a_person_subscribes_to_their_own_shifts_without_a_key(service: Service) -> None:
    anna, ben = await people(service, "anna", "ben")
    await a_schedule(service, anna, ben)
    await a_schedule(service, ben, anna, name="Second line")
    feed = await service.writer.post("/calendar-feeds", {"user": "anna@example.com"}, 201)
    assert feed["url"].startswith("https://alarm.example.com/ical/")
    answer = await service.nobody.ask("GET", "/" + feed["url"].removeprefix("https://alarm.example.com"))
    assert answer.status_code == 200
    assert {title for title, *_ in shown(answer.text)} == {"On call: First line", "On call: Second line"}
    (listed,) = (await service.reader.get("/calendar-feeds"))["items"]
    assert listed == {**{name: value for name, value in feed.items() if name != "url"}, "last_used_at": "2025-11-25T00:00:00.000Z"}


async def test_a_revoked_calendar_address_ends_at_once(service: Service) -> None:
    (anna,) = await people(service, "anna")
    made = await a_schedule(service, anna)
    feed = await service.writer.post("/calendar-feeds", {"schedule": made["id"], "user": anna}, 201)
    place = "/" + feed["url"].removeprefix("https://alarm.example.com")
    assert (await service.nobody.ask("GET", place)).status_code == 200
    assert (await service.writer.ask("DELETE", f"/calendar-feeds/{feed['id']}")).status_code == 204
    assert (await service.nobody.ask("GET", place)).status_code == 404
    assert (await service.reader.get("/calendar-feeds"))["items"][0]["revoked_at"] == "2025-11-25T00:00:00.000Z"
    await service.writer.refused("DELETE", f"/calendar-feeds/{made['id']}", 404)


async def test_the_token_of_a_calendar_address_is_stored_nowhere(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    feed = await sqlite_service.writer.post("/calendar-feeds", {"user": anna}, 201)
    token = feed["url"].rpartition("/")[2].removesuffix(".ics")
    assert len(token) == 32
    for table in tables.metadata.sorted_tables:
        assert token not in str(sqlite_service.world.rows(sa.select(table)))


@pytest.mark.parametrize(
    ("sent", "field"),
    [({}, "schedule"), ({"user": "nobody"}, "user"), ({"schedule": "00000000-0000-7000-8000-000000000000"}, "schedule")],
)
async def test_a_calendar_of_nothing_is_refused(sqlite_service: Service, sent: dict[str, str], field: str) -> None:
    assert fields(await sqlite_service.writer.refused("POST", "/calendar-feeds", 422, json=sent)) == [field]


async def test_a_calendar_entry_stays_the_same_from_one_reading_to_the_next(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    sent = weekly(anna)
    sent["layers"][0]["rotation"] |= {"unit": "month", "length": 3}
    made = await sqlite_service.admin.post("/schedules", sent, 201)

    async def uids() -> set[str]:
        answer = await sqlite_service.reader.ask("GET", f"/schedules/{made['id']}/ical")
        return {str(event["UID"]) for event in icalendar.Calendar.from_ical(answer.text).walk("VEVENT")}

    earlier = await uids()
    sqlite_service.world.clock.advance(DAY + 12_345)
    assert await uids() == earlier


async def test_lists_come_in_pages(sqlite_service: Service) -> None:
    (anna,) = await people(sqlite_service, "anna")
    made = []
    for number in range(3):
        sqlite_service.world.clock.advance(1)
        made.append((await a_schedule(sqlite_service, anna, name=f"Line {number}"))["id"])
    first = await sqlite_service.reader.get("/schedules", limit=2)
    rest = await sqlite_service.reader.get("/schedules", limit=2, cursor=first["next_cursor"])
    assert [one["id"] for one in (*first["items"], *rest["items"])] == made
    assert rest["next_cursor"] is None


async def test_the_key_of_an_admin_may_cover_too(sqlite_service: Service) -> None:
    anna, ben = await people(sqlite_service, "anna", "ben")
    made = await a_schedule(sqlite_service, anna)
    key = await sqlite_service.key("both", Scope.READ, Scope.WRITE)
    span = {"starts_at": to_text(sqlite_service.world.clock.at), "ends_at": to_text(sqlite_service.world.clock.at + DAY)}
    await key.post(f"/schedules/{made['id']}/overrides", {"kind": "add", "user": ben, **span}, 201)
    assert await on_call(sqlite_service) == [sorted([(anna, "layer"), (ben, "override")])]


@pytest.mark.claim("N7")
async def test_who_is_on_call_soon_and_hardly_reached_is_listed_and_named_by_health(sqlite_service: Service) -> None:
    crew = await Crew(sqlite_service.world).start("2026-01-05T09:00")
    await crew.person("cleo", Role.RESPONDER)
    await crew.rota("cleo", "anna")
    found = await sqlite_service.reader.get("/oncall/readiness")
    assert found["needed"] == 2
    assert [(one["name"], one["contacts"], one["ready"], one["starts_at"]) for one in found["items"]] == [
        ("Cleo", 0, False, "2026-01-05T09:00:00.000Z"),
        ("Anna", 2, True, "2026-01-06T08:00:00.000Z"),
    ]
    health = (await sqlite_service.reader.ask("GET", "/health")).json()
    assert health["checks"]["delivery"] == "degraded"
    assert "Cleo is on call with no verified contact" in health["details"]["delivery"]
