"""What people and programs do with alerts over the API."""

from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tocsin.core.clock import HOUR, MINUTE

DISK = {"type": "disk.full", "severity": 4, "title": "Disk full", "subject": "disk:/", "host": "web-1", "message": "97 % used"}

FIELDS = [
    *(
        "id",
        "number",
        "site",
        "dedup_key",
        "type",
        "title",
        "message",
        "severity",
        "status",
        "muted_by",
        "subject",
        "host",
        "occurrences",
    ),
    *("first_seen_at", "last_seen_at", "acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "resolution"),
    *("snoozed_until", "escalation", "assignee", "flapping", "previous_alert_id", "links"),
]


async def an_alert(service: Service, **changes: Any) -> dict[str, Any]:
    await service.send({**DISK, **changes})
    newest: dict[str, Any] = (await service.admin.get("/alerts", limit=1))["items"][0]
    return newest


async def titles(service: Service, **asked: Any) -> list[str]:
    return [alert["title"] for alert in (await service.reader.get("/alerts", **asked))["items"]]


async def test_an_alert_has_exactly_the_promised_fields(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    assert list(alert) == FIELDS
    assert alert["status"] == "open"
    assert alert["site"] == "main"
    assert alert["first_seen_at"] == "2025-11-25T00:00:00.000Z"
    assert (alert["muted_by"], alert["escalation"], alert["flapping"], alert["assignee"]) == (
        None,
        {"policy": "Built-in policy", "level": 0, "next_at": "2025-11-25T00:30:00.000Z"},
        False,
        None,
    )
    assert alert["links"]["self"] == f"https://alarm.example.com/api/v1/alerts/{alert['id']}"


@pytest.mark.claim("A13")
async def test_one_alert_is_found_by_its_id_and_by_its_number(service: Service) -> None:
    alert = await an_alert(service)
    by_id = await service.reader.get(f"/alerts/{alert['id'].upper()}")
    by_number = await service.reader.get(f"/alerts/{alert['number']}")
    assert by_id == by_number
    assert {name: by_id[name] for name in FIELDS} == alert


@pytest.mark.claim("A9")
async def test_the_history_says_who_did_what_when_and_why(service: Service) -> None:
    alert = await an_alert(service)
    service.world.clock.advance(MINUTE)
    await service.writer.post(f"/alerts/{alert['id']}/acknowledge", {"note": "on it"})
    service.world.clock.advance(MINUTE)
    await service.writer.post(f"/alerts/{alert['id']}/resolve", {"note": "log rotated"})
    history = (await service.reader.get(f"/alerts/{alert['id']}"))["history"]
    done = [(line["at"], line["actor"], line["action"], line["reason"]) for line in history if line["action"] != "notified"]
    assert done == [
        ("2025-11-25T00:00:00.000Z", "tocsin", "opened", "first event of this problem"),
        ("2025-11-25T00:01:00.000Z", "key:writer", "acknowledged", "asked for"),
        ("2025-11-25T00:02:00.000Z", "key:writer", "resolved", "asked for"),
    ]
    assert [line["details"].get("note") for line in history if line["actor"] == "key:writer"] == ["on it", "log rotated"]


async def test_an_alert_shows_who_was_told_and_what_became_of_it(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    told = (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["notifications"]
    assert {(one["channel"], one["target"], one["kind"], one["status"]) for one in told} == {
        ("ntfy", "oncall-phone", "opened", "sent"),
        ("ntfy", "owner-phone", "opened", "sent"),
        ("email", "oncall@example.com", "opened", "sent"),
    }
    assert {one["alert_id"] for one in told} == {alert["id"]}


@pytest.mark.claim("A6")
async def test_acknowledging_gives_it_to_the_key_until_it_expires(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    taken = await sqlite_service.writer.post(f"/alerts/{alert['id']}/acknowledge", {"note": "on it", "for_seconds": 600})
    assert (taken["status"], taken["acknowledged_by"]) == ("acknowledged", "key:writer")
    await sqlite_service.world.pass_time(11 * MINUTE)
    assert (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["status"] == "open"


async def test_an_acknowledgement_for_zero_seconds_never_expires(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    await sqlite_service.writer.post(f"/alerts/{alert['id']}/acknowledge", {"for_seconds": 0})
    await sqlite_service.world.pass_time(24 * HOUR)
    assert (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["status"] == "acknowledged"


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "resolve"])
async def test_repeating_an_action_that_holds_is_no_error_and_changes_nothing(sqlite_service: Service, action: str) -> None:
    alert = await an_alert(sqlite_service)
    first = await sqlite_service.writer.post(f"/alerts/{alert['id']}/{action}")
    history = (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["history"]
    assert await sqlite_service.writer.post(f"/alerts/{alert['id']}/{action}") == first
    again = (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["history"]
    assert [line for line in again if line["action"] != "notified"] == [line for line in history if line["action"] != "notified"]


@pytest.mark.parametrize(
    ("action", "body"),
    [("acknowledge", {}), ("unacknowledge", {}), ("snooze", {"for_seconds": 60}), ("assign", {"user": "marta@example.com"})],
)
async def test_what_the_state_forbids_is_a_conflict(sqlite_service: Service, action: str, body: dict[str, Any]) -> None:
    await sqlite_service.user("marta@example.com", "Marta")
    alert = await an_alert(sqlite_service)
    await sqlite_service.writer.post(f"/alerts/{alert['id']}/resolve")
    problem = await sqlite_service.writer.refused("POST", f"/alerts/{alert['id']}/{action}", 409, json=body)
    assert f"alert {alert['number']} is resolved" in problem["detail"]


async def test_giving_it_back_opens_it_again(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    await sqlite_service.writer.post(f"/alerts/{alert['number']}/acknowledge")
    given = await sqlite_service.writer.post(f"/alerts/{alert['number']}/unacknowledge", {"note": "off for today"})
    assert (given["status"], given["acknowledged_by"]) == ("open", None)


async def test_a_snooze_ends_by_length_or_by_moment(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    by_length = await sqlite_service.writer.post(f"/alerts/{alert['id']}/snooze", {"for_seconds": 1800})
    assert (by_length["status"], by_length["snoozed_until"]) == ("snoozed", "2025-11-25T00:30:00.000Z")
    by_moment = await sqlite_service.writer.post(f"/alerts/{alert['id']}/snooze", {"until": "2025-11-25T03:00:00+02:00"})
    assert by_moment["snoozed_until"] == "2025-11-25T01:00:00.000Z"
    await sqlite_service.world.pass_time(2 * HOUR)
    assert (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["status"] == "open"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "for_seconds"),
        ({"for_seconds": 60, "until": "2025-11-25T01:00:00Z"}, "for_seconds"),
        ({"until": "2025-11-24T01:00:00Z"}, "until"),
        ({"until": "2026-11-24T01:00:00Z"}, "until"),
        ({"until": "tomorrow"}, "until"),
        ({"until": "2025-11-25T01:00:00"}, "until"),
        ({"for_seconds": 0}, "for_seconds"),
        ({"for_seconds": "60"}, "for_seconds"),
        ({"for_seconds": 10**30}, "for_seconds"),
    ],
)
async def test_a_snooze_that_makes_no_sense_names_the_field(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    alert = await an_alert(sqlite_service)
    problem = await sqlite_service.writer.refused("POST", f"/alerts/{alert['id']}/snooze", 422, json=body)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_an_alert_is_assigned_to_a_user_by_address(sqlite_service: Service) -> None:
    await sqlite_service.user("marta@example.com", "Marta")
    alert = await an_alert(sqlite_service)
    assigned = await sqlite_service.writer.post(f"/alerts/{alert['id']}/assign", {"user": "Marta@example.com"})
    assert assigned["assignee"] == "marta@example.com"
    problem = await sqlite_service.writer.refused("POST", f"/alerts/{alert['id']}/assign", 422, json={"user": "nobody@example.com"})
    assert problem["errors"][0]["field"] == "user"


async def test_a_comment_stands_in_the_history_whatever_the_state(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    await sqlite_service.writer.post(f"/alerts/{alert['id']}/resolve")
    await sqlite_service.writer.post(f"/alerts/{alert['id']}/comment", {"text": "it was the backup"})
    history = (await sqlite_service.reader.get(f"/alerts/{alert['id']}"))["history"]
    assert [(line["actor"], line["details"]) for line in history if line["action"] == "commented"] == [
        ("key:writer", {"note": "it was the backup"})
    ]


async def test_bulk_says_for_each_id_what_became_of_it(service: Service) -> None:
    first = await an_alert(service, subject="disk:/a")
    second = await an_alert(service, subject="disk:/b")
    await service.writer.post(f"/alerts/{second['id']}/resolve")
    ids = [first["id"], str(second["number"]), "00000000-0000-7000-8000-000000000000", "nonsense"]
    items = (await service.writer.post("/alerts/bulk", {"ids": ids, "action": "acknowledge", "note": "storm"}))["items"]
    assert [item["id"] for item in items] == ids
    assert [item["ok"] for item in items] == [True, False, False, False]
    assert items[0]["alert"]["acknowledged_by"] == "key:writer"
    assert [item["problem"]["status"] for item in items[1:]] == [409, 404, 404]


async def test_bulk_wants_the_fields_of_its_action(sqlite_service: Service) -> None:
    alert = await an_alert(sqlite_service)
    for action, field in (("assign", "user"), ("comment", "text"), ("snooze", "for_seconds")):
        body = {"ids": [alert["id"]], "action": action}
        problem = await sqlite_service.writer.refused("POST", "/alerts/bulk", 422, json=body)
        assert problem["errors"][0]["field"] == field


async def test_a_thousand_alerts_are_resolved_at_once(service: Service) -> None:
    await service.send(*[{**DISK, "severity": 1, "subject": f"disk:/{n}"} for n in range(1000)])
    ids = [alert["id"] for alert in (await service.reader.get("/alerts", limit=1000))["items"]]
    outcome = await service.writer.post("/alerts/bulk", {"ids": ids, "action": "resolve"})
    assert sum(item["ok"] for item in outcome["items"]) == 1000
    assert await titles(service, status="open") == []


async def test_a_test_alert_goes_the_whole_way(sqlite_service: Service) -> None:
    alert = await sqlite_service.writer.post("/alerts/test", {"severity": 5}, status=201)
    assert (alert["severity"], alert["status"], alert["site"]) == (5, "open", "main")
    await sqlite_service.world.settle()
    assert sqlite_service.world.ntfy.told
    assert sqlite_service.world.email.told


async def test_a_test_alert_of_severity_4_is_the_default(sqlite_service: Service) -> None:
    assert (await sqlite_service.writer.post("/alerts/test", status=201))["severity"] == 4


# --- lists


@pytest.fixture
async def seen(service: Service) -> Service:
    """Five alerts, each different from the others in what can be asked for."""
    clock = service.world.clock
    for number, (severity, host, kind, site) in enumerate(
        [
            (2, "web-1", "disk.full", "main"),
            (5, "web-2", "disk.full", "main"),
            (3, "web-2", "service.down", OTHER_SITE),
            (4, "db-1", "invoice.payment_failed", OTHER_SITE),
            (1, "db-1", "invoice.created_late", "main"),
        ]
    ):
        clock.advance(MINUTE)
        await service.send(
            {
                "type": kind,
                "severity": severity,
                "host": host,
                "site": site,
                "title": f"T{number} 100%_x",
                "status": "problem",
                "subject": f"x:{number}",
            }
        )
    await service.writer.post("/alerts/2/acknowledge")
    await service.writer.post("/alerts/3/resolve")
    await service.writer.post("/alerts/4/snooze", {"for_seconds": 3600})
    return service


LISTS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [5, 4, 3, 2, 1]),
    ({"status": "open"}, [5, 1]),
    ({"status": "acknowledged,snoozed"}, [4, 2]),
    ({"status": "resolved"}, [3]),
    ({"status": "resolved,open"}, [5, 3, 1]),
    ({"site": OTHER_SITE}, [4, 3]),
    ({"severity_min": 4}, [4, 2]),
    ({"type": "disk.full"}, [2, 1]),
    ({"type": "invoice."}, [5, 4]),
    ({"type": "invoice"}, []),
    ({"host": "db-1"}, [5, 4]),
    ({"q": "t3"}, [4]),
    ({"q": "100%_X"}, [5, 4, 3, 2, 1]),
    ({"q": "1000"}, []),
    ({"q": "X:2"}, [3]),
    ({"since": "2025-11-25T00:04:00Z"}, [5, 4]),
    ({"until": "2025-11-25T00:03:00Z"}, [2, 1]),
    ({"since": "2025-11-25T00:02:00Z", "until": "2025-11-25T00:04:00Z"}, [3, 2]),
    ({"status": "open", "severity_min": 2, "host": "web-1", "type": "disk."}, [1]),
    ({"sort": "number"}, [1, 2, 3, 4, 5]),
    ({"sort": "-severity"}, [2, 4, 3, 1, 5]),
    ({"sort": "severity"}, [5, 1, 3, 4, 2]),
    ({"sort": "-last_seen_at"}, [5, 4, 3, 2, 1]),
    ({"sort": "first_seen_at"}, [1, 2, 3, 4, 5]),
    ({"sort": "-occurrences"}, [5, 4, 3, 2, 1]),
]


async def test_the_list_answers_what_was_asked_for_in_pages_of_any_size(seen: Service) -> None:
    for asked, numbers in LISTS:
        found = (await seen.reader.get("/alerts", **asked))["items"]
        assert [alert["number"] for alert in found] == numbers, asked
        assert await in_pages(seen, asked) == numbers, asked


async def in_pages(service: Service, asked: dict[str, Any]) -> list[int]:
    """The numbers of all alerts that fit, two at a time."""
    numbers: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await service.reader.get("/alerts", limit=2, **asked, **cursor)
        numbers += [alert["number"] for alert in page["items"]]
        if page["next_cursor"] is None:
            return numbers
        cursor = {"cursor": page["next_cursor"]}


async def test_pages_do_not_shift_when_new_alerts_come(seen: Service) -> None:
    first = await seen.reader.get("/alerts", limit=2)
    await seen.send({**DISK, "subject": "disk:/new"})
    second = await seen.reader.get("/alerts", limit=2, cursor=first["next_cursor"])
    assert [alert["number"] for alert in second["items"]] == [3, 2]


async def test_a_cursor_of_another_order_is_refused(sqlite_service: Service) -> None:
    for number in range(3):
        await an_alert(sqlite_service, subject=f"disk:/{number}")
    cursor = (await sqlite_service.reader.get("/alerts", limit=1, sort="-severity"))["next_cursor"]
    problem = await sqlite_service.reader.refused("GET", "/alerts", 422, params={"sort": "-number", "cursor": cursor})
    assert problem["errors"][0]["field"] == "cursor"


async def test_a_filter_that_says_null_is_no_number(sqlite_service: Service) -> None:
    problem = await sqlite_service.reader.refused("GET", "/alerts", 422, params={"severity_min": "null"})
    assert problem["errors"][0]["field"] == "severity_min"
