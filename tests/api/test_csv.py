"""What leaves as CSV: whole, in pages that nobody sees, and harmless to whoever opens it."""

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.api.service import OTHER_SITE, Caller, Service
from tocsin.api import audit, events
from tocsin.core.times import to_text

pytestmark = pytest.mark.claim("K28", "R8")

ODD = 'say "hi", then\r\nleave; Grüße 🐘'
FORMULAS = ("=1+1", "+49 30", "-1", "@SUM(A1)", "\uff1dcmd")


async def rows(caller: Caller, path: str, **asked: Any) -> list[dict[str, str]]:
    answer = await caller.ask("GET", path, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.count("\r\n") >= 1
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_every_event_comes_out_as_it_went_in_over_many_pages(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "CSV_PAGE", 3)
    sent = [{"type": "ticket.opened", "status": "problem", "subject": f"ticket:{n}", "message": f"{n} {ODD}"} for n in range(10)]
    await service.send(*sent)
    await service.send({"type": "host.down", "host": "web-1", "site": OTHER_SITE, "attributes": {"ip": "192.0.2.1"}})
    found = await rows(service.reader, "/events.csv")
    listed = (await service.reader.get("/events"))["items"]
    assert [row["id"] for row in found] == [event["id"] for event in listed]
    assert [row["message"] for row in found[1:]] == [one["message"] for one in reversed(sent)]
    assert found[0]["attributes"] == '{"ip":"192.0.2.1"}'
    assert found[0]["occurred_at"] == listed[0]["occurred_at"]
    assert [row["subject"] for row in await rows(service.reader, "/events.csv", type="ticket.", q="7 say")] == ["ticket:7"]
    assert [row["site"] for row in await rows(service.tenant, "/events.csv")] == [OTHER_SITE]


async def test_an_empty_range_is_a_header_and_nothing_else(sqlite_service: Service) -> None:
    await sqlite_service.send({"type": "host.down", "host": "web-1"})
    answer = await sqlite_service.reader.ask("GET", "/events.csv", params={"until": "2020-01-01T00:00:00Z"})
    assert answer.text == ",".join(events.CSV_COLUMNS) + "\r\n"
    assert (await sqlite_service.reader.ask("GET", "/events.csv", params={"since": "yesterday"})).status_code == 422


@pytest.mark.parametrize("text", FORMULAS)
async def test_what_a_spreadsheet_would_run_is_text(sqlite_service: Service, text: str) -> None:
    await sqlite_service.send({"type": "ticket.opened", "status": "problem", "message": text, "severity": 3})
    (row,) = await rows(sqlite_service.reader, "/events.csv")
    assert row["message"] == f"'{text}"
    assert row["severity"] == "3"


async def test_the_audit_log_comes_out_whole(sqlite_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CSV_PAGE", 2)
    for number in range(5):
        await sqlite_service.admin.post("/keys", {"name": f"=key {number}", "scopes": ["read"]}, 201)
    found = await rows(sqlite_service.admin, "/audit.csv")
    listed = (await sqlite_service.admin.get("/audit", limit=1000))["items"]
    assert [row["number"] for row in found] == [str(entry["number"]) for entry in listed]
    assert found[0]["action"] == "audit.exported"
    assert "=key 4" in found[1]["after"]


@pytest.mark.claim("H6")
async def test_events_come_out_as_parquet_too(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(events, "CSV_PAGE", 3)
    sent = [{"type": "ticket.opened", "status": "problem", "subject": f"ticket:{n}", "message": f"={n} {ODD}"} for n in range(7)]
    await service.send(*sent)
    await service.send({"type": "host.down", "host": "web-1", "site": OTHER_SITE, "attributes": {"ip": "192.0.2.1"}, "severity": 5})
    answer = await service.reader.ask("GET", "/events.parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    (tmp_path / "events.parquet").write_bytes(answer.content)
    listed = (await service.reader.get("/events"))["items"]
    question = "SELECT id, site, severity, message, attributes, epoch_ms(occurred_at) FROM read_parquet(?)"
    with duckdb.connect() as reader:
        found = reader.execute(question, [str(tmp_path / "events.parquet")]).fetchall()
    assert [row[0] for row in found] == [event["id"] for event in listed]
    assert found[0][1:5] == (OTHER_SITE, 5, None, '{"ip":"192.0.2.1"}')
    assert [row[3] for row in found[1:]] == [one["message"] for one in reversed(sent)]
    assert to_text(found[0][5]) == listed[0]["occurred_at"]
