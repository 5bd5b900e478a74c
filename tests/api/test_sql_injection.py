"""Text that means something to a database is text: kept as it came, found as it is, and carried out by nobody."""

from typing import Any

import pytest

from tests.api.service import Service

CORPUS = (
    *("'", "' OR '1'='1", "'; DROP TABLE alerts; --", '" OR ""="', "x') UNION SELECT * FROM users --", "x'||(SELECT 1)||'", "/* x", "-- x"),
    *("%", "_", "%_%", "\\", "\\'", "\\%", "$1", "%s", "%(x)s", "?", ":x", "{x}", "{{x}}", "\u02bc; x", "E'\\x41'"),
)
LISTS = {
    "/alerts": ("q", "host", "site", "type"),
    "/events": ("q", "site", "type"),
    "/audit": ("actor", "action", "object"),
    "/silences": ("site",),
    "/quarantine": ("site",),
    "/sources": ("site",),
}


@pytest.mark.claim("origin:S7")
async def test_what_means_something_to_a_database_is_kept_and_found_as_it_is(service: Service) -> None:
    sent = [
        {
            "type": "x.y",
            "status": "problem",
            "title": f"<{text}>",
            "message": text,
            "subject": f"s:{number} {text}",
            "host": f"h{text}"[:60],
        }
        for number, text in enumerate(CORPUS)
    ]
    await service.send(*[{**event, "attributes": {event["message"]: event["message"]}, "source": event["message"]} for event in sent])
    listed = (await service.reader.get("/alerts", sort="number"))["items"]
    assert [alert["title"] for alert in listed] == [event["title"] for event in sent]
    assert [alert["message"] for alert in listed] == list(CORPUS)
    for event in sent:
        found = (await service.reader.get("/alerts", q=event["title"]))["items"]
        assert [alert["title"] for alert in found] == [event["title"]]
        found = (await service.reader.get("/events", q=event["title"]))["items"]
        assert [one["attributes"] for one in found] == [{event["message"]: event["message"]}]
        found = (await service.reader.get("/alerts", host=event["host"]))["items"]
        assert [alert["title"] for alert in found] == [event["title"]]


@pytest.mark.claim("origin:S7")
@pytest.mark.parametrize("path", LISTS)
async def test_no_filter_lets_more_through_than_it_names(sqlite_service: Service, path: str) -> None:
    service = sqlite_service
    await service.send({"type": "host.down", "host": "web-1"}, {"type": "BAD"}, {"type": "disk.full", "source": "a", "sequence": 1})
    for name in LISTS[path]:
        for text in CORPUS:
            answer = await service.admin.ask("GET", path, params={name: text})
            found: dict[str, Any] = answer.json()
            assert answer.status_code in (200, 404, 422), (name, text, found)
            assert answer.status_code != 200 or found["items"] == [], (name, text)
    assert len((await service.reader.get("/alerts"))["items"]) == 2
