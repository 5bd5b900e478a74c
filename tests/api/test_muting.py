"""``/silences``, ``/maintenance``, ``/dependencies`` and ``/silences/preview``, asked as a client asks."""

from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Caller, Service
from tests.build import a_report
from tests.fakes import NOW
from tests.muting.build import refresh
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.times import to_text
from tocsin.muting import service as muting_service
from tocsin.muting.model import Silence

WEB_1 = {"field": "host", "op": "=", "value": "web-1"}
ON_KIEZ = {"field": "site", "op": "=", "value": OTHER_SITE}


def silence(**changes: Any) -> dict[str, Any]:
    """A body for POST /silences: web-1 is quiet for an hour."""
    return {"matchers": [WEB_1], "ends_at": to_text(NOW + HOUR), "comment": "disk swap"} | changes


def maintenance(**changes: Any) -> dict[str, Any]:
    """A body for POST /maintenance: an hour each Sunday from the 29th of March 2026 on, 03:00 in Berlin."""
    return {
        "name": "Kernel update",
        "matchers": [WEB_1],
        "starts_at": to_text(NOW + DAY),
        "ends_at": to_text(NOW + DAY + HOUR),
    } | changes


def dependency(**changes: Any) -> dict[str, Any]:
    """A body for POST /dependencies: checks behind their host."""
    return {
        "name": "checks behind their host",
        "parent": [{"field": "type", "op": "=", "value": "server.down"}],
        "children": [{"field": "type", "op": "^", "value": "check."}],
        "same": ["host"],
    } | changes


def fields(problem: Any) -> dict[str, str]:
    """What a problem document complains of, by field."""
    return {error["field"]: error["message"] for error in problem["errors"]}


# --- Silences ----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("A7")
async def test_a_silence_made_over_the_api_mutes_at_once_and_pages_what_is_left_when_it_is_ended(service: Service) -> None:
    world = service.world
    made = await service.writer.post("/silences", silence(), 201)
    assert made == {
        "id": made["id"],
        "matchers": [WEB_1],
        "starts_at": "2025-11-25T00:00:00.000Z",
        "ends_at": "2025-11-25T01:00:00.000Z",
        "comment": "disk swap",
        "status": "active",
        "created_by": "key:writer",
        "created_at": "2025-11-25T00:00:00.000Z",
        "ended_by": None,
    }
    await world.report(a_report("disk:/", host="web-1"))
    (alert,) = (await service.reader.get("/alerts"))["items"]
    assert alert["muted_by"] == 'silence "disk swap" until 2025-11-25 01:00 UTC'
    assert world.messages() == []
    assert (await service.reader.get(f"/silences/{made['id']}"))["mutes_now"] == 1

    world.clock.advance(MINUTE)
    ended = await service.writer.post(f"/silences/{made['id']}/expire")
    assert (ended["status"], ended["ends_at"], ended["ended_by"]) == ("expired", "2025-11-25T00:01:00.000Z", "key:writer")
    await world.turn()
    assert {m.kind for m in world.messages()} == {"repeated"}
    assert (await service.reader.get(f"/alerts/{alert['id']}"))["muted_by"] is None
    assert await service.writer.post(f"/silences/{made['id']}/expire") == ended, "ending it twice does no harm"


@pytest.mark.claim("A7")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (silence(matchers=[]), "matchers"),
        (silence(matchers=[{"field": "host", "op": "~", "value": ".*"}]), "matchers"),
        (silence(matchers=[{"field": "host", "op": "~", "value": "web-["}]), "matchers[0].value"),
        (silence(matchers=[WEB_1, {"field": "host", "op": "~", "value": "(" * 400}]), "matchers[1].value"),
        (silence(matchers=[{"field": "hots", "op": "=", "value": "web-1"}]), "matchers[0].field"),
        (silence(matchers=[{"field": "host", "op": "==", "value": "web-1"}]), "matchers[0].op"),
        (silence(matchers=[{"field": "host", "op": "=", "value": None}]), "matchers[0].value"),
        (silence(matchers=[{"field": "host", "op": "=", "value": "x" * 501}]), "matchers[0].value"),
        (silence(matchers=[{"field": "host", "op": "=", "value": "a\0b"}]), "matchers[0].value"),
        (silence(matchers=[{"field": "host", "op": "=", "value": "web-1", "regex": True}]), "matchers[0]"),
        (silence(matchers=[{"field": "host", "op": "="}]), "matchers[0]"),
        (silence(matchers=[WEB_1] * 21), "matchers"),
        (silence(matchers="host=web-1"), "matchers"),
        (silence(ends_at=to_text(NOW - HOUR)), "ends_at"),
        (silence(starts_at=to_text(NOW + 2 * HOUR)), "ends_at"),
        (silence(ends_at=to_text(NOW + 91 * DAY)), "ends_at"),
        (silence(ends_at="9999-12-31T23:59:59-14:00"), "ends_at"),
        (silence(starts_at="0001-01-01T00:00:00+14:00"), "starts_at"),
        (silence(ends_at="2025-11-25 01:00"), "ends_at"),
        (silence(ends_at=None), "ends_at"),
        (silence(comment=""), "comment"),
        (silence(comment="  "), "comment"),
        (silence(comment="x" * 1001), "comment"),
        (silence(comment="a\0b"), "comment"),
        (silence(forever=True), "forever"),
        ({"matchers": [WEB_1], "comment": "no end"}, "ends_at"),
    ],
)
async def test_a_silence_that_cannot_be_is_refused_with_field_and_reason(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/silences", 422, json=body)
    assert list(fields(problem)) == [field]
    assert (await sqlite_service.reader.get("/silences"))["items"] == []


async def test_a_value_may_be_written_as_number_or_as_yes_and_no(sqlite_service: Service) -> None:
    matchers = [{"field": "severity", "op": "=", "value": 5}, {"field": "attributes.live", "op": "=", "value": True}]
    made = await sqlite_service.writer.post("/silences", silence(matchers=matchers), 201)
    assert [m["value"] for m in made["matchers"]] == ["5", "true"]


async def test_a_silence_can_be_made_longer_and_be_changed_but_not_once_it_is_over(service: Service) -> None:
    made = await service.writer.post("/silences", silence(), 201)
    path = f"/silences/{made['id']}"
    changed = await service.writer.ask("PATCH", path, json={"ends_at": to_text(NOW + 2 * HOUR), "comment": " longer "})
    assert changed.json() == made | {"ends_at": "2025-11-25T02:00:00.000Z", "comment": "longer"}
    problem = await service.writer.refused("PATCH", path, 422, json={"ends_at": to_text(NOW - HOUR)})
    assert list(fields(problem)) == ["ends_at"]
    assert list(fields(await service.writer.refused("PATCH", path, 422, json={}))) == ["body"]
    service.world.clock.advance(2 * HOUR)
    await service.writer.refused("PATCH", path, 409, json={"ends_at": to_text(NOW + 5 * HOUR)})


async def test_silences_are_listed_by_where_they_stand(service: Service) -> None:
    for start, end, comment in [(0, 1, "now"), (2, 3, "later"), (0, 2, "longer")]:
        body = silence(starts_at=to_text(NOW + start * HOUR), ends_at=to_text(NOW + end * HOUR), comment=comment)
        await service.writer.post("/silences", body, 201)
        service.world.clock.advance(SECOND)
    service.world.clock.at = NOW + HOUR + MINUTE

    async def listed(status: str | None = None) -> list[str]:
        params = {} if status is None else {"status": status}
        return [one["comment"] for one in (await service.reader.get("/silences", **params))["items"]]

    assert await listed() == ["longer", "later", "now"]
    assert await listed("active") == ["longer"]
    assert await listed("upcoming") == ["later"]
    assert await listed("expired") == ["now"]
    assert await listed("active,upcoming") == ["longer", "later"]
    first = await service.reader.get("/silences", limit=2)
    second = await service.reader.get("/silences", limit=2, cursor=first["next_cursor"])
    assert [one["comment"] for one in (*first["items"], *second["items"])] == ["longer", "later", "now"]
    assert second["next_cursor"] is None
    assert list(fields(await service.reader.refused("GET", "/silences?status=open", 422))) == ["status"]


async def test_a_silence_that_is_removed_is_gone_and_lets_its_alerts_page(service: Service) -> None:
    made = await service.writer.post("/silences", silence(), 201)
    await service.world.report(a_report("disk:/", host="web-1"))
    answer = await service.writer.ask("DELETE", f"/silences/{made['id']}")
    assert answer.status_code == 204
    await service.world.turn()
    assert {m.kind for m in service.world.messages()} == {"repeated"}
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/expire")]:
        await service.admin.refused(method, f"/silences/{made['id']}{path}", 404, json={"comment": "x"} if method == "PATCH" else None)
    await service.admin.refused("GET", "/silences/nonsense", 404)


@pytest.mark.claim("A9", "S5")
async def test_who_made_changed_and_ended_a_silence_stands_in_the_audit_log(sqlite_service: Service) -> None:
    service = sqlite_service
    made = await service.writer.post("/silences", silence(), 201)
    await service.writer.ask("PATCH", f"/silences/{made['id']}", json={"comment": "another"})
    await service.writer.post(f"/silences/{made['id']}/expire")
    await service.writer.ask("DELETE", f"/silences/{made['id']}")
    entries = (await service.admin.get("/audit", object=f"silence:{made['id']}"))["items"]
    assert [(e["action"], e["actor"]) for e in reversed(entries)] == [
        (f"silence.{verb}", "key:writer") for verb in ("made", "changed", "ended", "removed")
    ]
    assert entries[2]["before"] == {"comment": "disk swap"}
    assert entries[2]["after"] == {"comment": "another"}


# --- Who may -----------------------------------------------------------------------------------------------------------


async def test_a_key_of_one_site_sees_and_makes_only_what_names_its_site(service: Service) -> None:
    everywhere = await service.writer.post("/silences", silence(), 201)
    for path, body in [("/silences", silence()), ("/maintenance", maintenance()), ("/silences/preview", {"matchers": [WEB_1]})]:
        problem = await service.tenant.refused("POST", path, 422, json=body)
        assert fields(problem) == {
            "matchers": f'must hold {{"field": "site", "op": "=", "value": ...}} with a site that is yours: {OTHER_SITE}'
        }
    assert (await service.tenant.get("/silences"))["items"] == []
    for method, tail in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/expire")]:
        changes = {"comment": "x"} if method == "PATCH" else None
        await service.tenant.refused(method, f"/silences/{everywhere['id']}{tail}", 404, json=changes)

    own = await service.tenant.post("/silences", silence(matchers=[WEB_1, ON_KIEZ]), 201)
    assert [one["id"] for one in (await service.tenant.get("/silences"))["items"]] == [own["id"]]
    assert [one["id"] for one in (await service.reader.get("/silences"))["items"]] == [own["id"], everywhere["id"]]
    problem = await service.tenant.refused("PATCH", f"/silences/{own['id']}", 422, json={"matchers": [WEB_1]})
    assert list(fields(problem)) == ["matchers"]
    await service.tenant.refused("GET", "/dependencies", 403)
    await service.tenant.refused("POST", "/dependencies", 403, json=dependency())


@pytest.mark.parametrize("kind", ["silences", "maintenance"])
async def test_reading_does_not_allow_to_mute(sqlite_service: Service, kind: str) -> None:
    body = silence() if kind == "silences" else maintenance()
    made = await sqlite_service.writer.post(f"/{kind}", body, 201)
    callers: list[Caller] = [sqlite_service.reader, sqlite_service.sender]
    for caller in callers:
        await caller.refused("POST", f"/{kind}", 403, json=body)
        await caller.refused("DELETE", f"/{kind}/{made['id']}", 403)
    await sqlite_service.nobody.refused("GET", f"/{kind}", 401)
    await sqlite_service.writer.refused("POST", "/dependencies", 403, json=dependency())


# --- Maintenance -------------------------------------------------------------------------------------------------------


@pytest.mark.claim("A7")
async def test_a_recurring_maintenance_shows_its_next_windows(service: Service) -> None:
    body = maintenance(
        starts_at="2026-03-22T03:00:00+01:00",
        ends_at="2026-03-22T04:00:00+01:00",
        rrule="FREQ=WEEKLY;BYDAY=SU",
        time_zone="Europe/Berlin",
    )
    made = await service.writer.post("/maintenance", body, 201)
    assert [window["starts_at"] for window in made["windows"]] == [
        "2026-03-22T02:00:00.000Z",
        "2026-03-29T01:00:00.000Z",
        "2026-04-05T01:00:00.000Z",
        "2026-04-12T01:00:00.000Z",
        "2026-04-19T01:00:00.000Z",
    ]
    assert (made["status"], made["rrule"], made["time_zone"]) == ("upcoming", "FREQ=WEEKLY;BYDAY=SU", "Europe/Berlin")
    path = f"/maintenance/{made['id']}"
    once = await service.writer.ask("PATCH", path, json={"rrule": None})
    assert (once.json()["rrule"], len(once.json()["windows"])) == (None, 1)
    service.world.clock.at = NOW + 130 * DAY
    assert (await service.reader.get(path))["status"] == "expired"
    assert (await service.reader.get("/maintenance", status="active,upcoming"))["items"] == []


async def test_ending_a_maintenance_ends_all_its_windows(service: Service) -> None:
    body = maintenance(starts_at=to_text(NOW), ends_at=to_text(NOW + HOUR), rrule="FREQ=DAILY")
    made = await service.writer.post("/maintenance", body, 201)
    assert made["status"] == "active"
    await service.world.report(a_report("disk:/", host="web-1"))
    service.world.clock.advance(MINUTE)
    ended = await service.writer.post(f"/maintenance/{made['id']}/expire")
    assert (ended["status"], ended["windows"], ended["ended_by"]) == ("expired", [], "key:writer")
    await refresh(service.world)
    assert {m.kind for m in service.world.messages()} == {"repeated"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rrule": "FREQ=SECONDLY"}, "rrule"),
        ({"rrule": "every sunday"}, "rrule"),
        ({"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "rrule"),
        ({"rrule": "FREQ=DAILY", "ends_at": to_text(NOW + 3 * DAY)}, "ends_at"),
        ({"rrule": "F" * 501}, "rrule"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../secret"}, "time_zone"),
        ({"name": " "}, "name"),
        ({"matchers": [{"field": "site", "op": "!=", "value": "nowhere"}]}, "matchers"),
        ({"ends_at": to_text(NOW)}, "ends_at"),
    ],
)
async def test_a_maintenance_that_cannot_be_is_refused_with_field_and_reason(
    sqlite_service: Service, changes: dict[str, Any], field: str
) -> None:
    problem = await sqlite_service.admin.refused("POST", "/maintenance", 422, json=maintenance(**changes))
    assert list(fields(problem)) == [field]


# --- Dependencies ------------------------------------------------------------------------------------------------------


@pytest.mark.claim("M7")
async def test_a_dependency_made_over_the_api_mutes_checks_behind_a_host_that_is_down(service: Service) -> None:
    made = await service.admin.post("/dependencies", dependency(), 201)
    assert made["same"] == ["host"]
    world = service.world
    await world.report(a_report("server:3", type="server.down", severity=5, host="web-1"))
    await world.report(a_report("check:1", type="check.http", severity=4, host="web-1"))
    assert world.alert(2).muted_by == 'dependency "checks behind their host" while alert 1 (server.down web-1) is not resolved'
    changed = await service.admin.ask("PATCH", f"/dependencies/{made['id']}", json={"name": "renamed"})
    assert changed.json() == made | {"name": "renamed"}
    listed = (await service.reader.get("/dependencies"))["items"]
    assert listed[0] == changed.json()
    assert [one["name"] for one in listed[1:]] == ["client area while WHMCS is in maintenance mode"], "what each installation begins with"
    assert await service.reader.get(f"/dependencies/{made['id']}") == changed.json()
    assert (await service.admin.ask("DELETE", f"/dependencies/{made['id']}")).status_code == 204
    await world.turn()
    assert world.alert(2).muted_by is None
    await service.admin.refused("DELETE", f"/dependencies/{made['id']}", 404)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parent": []}, "parent"),
        ({"children": [{"field": "type", "op": "^", "value": ""}]}, "children"),
        ({"same": ["severity"]}, "same[0]"),
        (
            {"parent": [{"field": "type", "op": "^", "value": "check."}], "children": [{"field": "type", "op": "=", "value": "x"}]},
            "children",
        ),
        ({"name": ""}, "name"),
    ],
)
async def test_a_dependency_that_cannot_be_is_refused_with_field_and_reason(
    sqlite_service: Service, changes: dict[str, Any], field: str
) -> None:
    back = dependency(name="x mutes checks", parent=[{"field": "type", "op": "=", "value": "x"}])
    await sqlite_service.admin.post("/dependencies", back, 201)
    problem = await sqlite_service.admin.refused("POST", "/dependencies", 422, json=dependency(**changes))
    assert list(fields(problem)) == [field]


# --- Preview -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("A7")
async def test_a_preview_shows_what_would_be_quiet_now_and_would_have_been_in_the_last_seven_days(service: Service) -> None:
    world = service.world
    await world.report(a_report("disk:/old", host="web-1"))
    await world.resolve(world.alert(1))
    world.clock.at += 8 * DAY
    await world.report(a_report("disk:/recent", host="web-1", at=world.clock.at))
    await world.resolve(world.alert(2))
    world.clock.at += DAY
    await world.report(a_report("disk:/", host="web-1", at=world.clock.at), a_report("disk:/", host="web-2", at=world.clock.at))
    await world.report(a_report("disk:/", site=OTHER_SITE, host="web-1", at=world.clock.at))
    messages = len([m for m in world.messages(kind="opened") if m.alert_number in (2, 3, 5)])
    assert messages > 3

    found = await service.writer.post("/silences/preview", {"matchers": [WEB_1], "comment": "", "ends_at": to_text(NOW)})
    assert [alert["number"] for alert in found["now"]["items"]] == [5, 3]
    assert found["now"]["alerts"] == 2
    assert [alert["number"] for alert in found["last_seven_days"]["items"]] == [5, 3, 2]
    assert (found["last_seven_days"]["alerts"], found["last_seven_days"]["messages"]) == (3, messages)
    assert found["complete"] is True
    own = await service.tenant.post("/silences/preview", {"matchers": [WEB_1, ON_KIEZ]})
    assert [alert["number"] for alert in own["last_seven_days"]["items"]] == [5]
    assert world.alerts()[-1].muted_by is None, "nothing has changed"


@pytest.mark.parametrize(
    ("matcher", "numbers"),
    [
        ({"field": "site", "op": "=", "value": OTHER_SITE}, [2]),
        ({"field": "site", "op": "=", "value": "nowhere"}, []),
        ({"field": "severity", "op": "=", "value": "4"}, [2]),
        ({"field": "severity", "op": "=", "value": "1"}, []),
        ({"field": "type", "op": "^", "value": "disk."}, [2, 1]),
        ({"field": "subject", "op": "=", "value": "disk:/1"}, [1]),
        ({"field": "host", "op": "~", "value": "web-(1|2)"}, [2, 1]),
        ({"field": "severity", "op": "!=", "value": "4"}, [1]),
    ],
)
async def test_a_preview_sees_what_the_silence_would_see(service: Service, matcher: dict[str, Any], numbers: list[int]) -> None:
    await service.world.report(a_report("disk:/1", host="web-1"), a_report("disk:/2", site=OTHER_SITE, host="web-2", severity=4))
    found = await service.writer.post("/silences/preview", {"matchers": [matcher]})
    assert [alert["number"] for alert in found["now"]["items"]] == numbers


async def test_a_preview_lists_a_hundred_and_counts_all(sqlite_service: Service) -> None:
    await sqlite_service.world.report(*[a_report(f"disk:/{n}", host="web-1", severity=1) for n in range(130)])
    found = await sqlite_service.writer.post("/silences/preview", {"matchers": [WEB_1]})
    assert (found["now"]["alerts"], len(found["now"]["items"])) == (130, 100)
    assert (found["last_seven_days"]["alerts"], len(found["last_seven_days"]["items"])) == (130, 100)


async def test_a_preview_of_too_much_says_that_it_is_not_complete(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.muting.preview.MOST_LOOKED_AT", 10)
    await sqlite_service.world.report(*[a_report(f"disk:/{n}", host="web-1", severity=1) for n in range(13)])
    found = await sqlite_service.writer.post("/silences/preview", {"matchers": [WEB_1]})
    assert (found["now"]["alerts"], found["complete"]) == (10, False)


async def test_only_so_many_can_be_open_at_once(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(muting_service.MOST, Silence, 2)
    for _ in range(2):
        await sqlite_service.writer.post("/silences", silence(), 201)
    await sqlite_service.writer.refused("POST", "/silences", 409, json=silence())
