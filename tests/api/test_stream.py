"""``GET /api/v1/stream`` over a real connection."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.lanes import Lanes
from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tests.web.site import Site
from tocsin.stream.hub import Listener
from tocsin.stream.rules import PAUSE


async def listen(url: str, until: Any, greeted: asyncio.Event | None = None, **more: Any) -> list[tuple[str, Any]]:
    heard: list[tuple[str, Any]] = []
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
        client.stream("GET", "/api/v1/stream", **more) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                heard.append((kind, json.loads(line[6:])))
            elif line.startswith("id: ") and not heard:
                heard.append(("id", line[4:]))
                if greeted is not None:
                    greeted.set()
            if until(heard):
                return heard
    return heard


async def test_an_alert_is_heard_as_the_api_writes_it(sqlite_url: str, tmp_path: Any) -> None:
    site = await Site.open(sqlite_url, tmp_path, stage=nothing)
    service = site.service
    greeted = asyncio.Event()
    task = asyncio.create_task(listen(site.url, lambda heard: len(heard) >= 3, greeted, headers=service.reader.headers))
    await greeted.wait()
    await service.send({"type": "disk.full", "severity": 4, "status": "problem", "title": "Disk full"})
    heard = await task
    (_, place), *rest = heard
    assert {kind for kind, _ in rest} == {"alert", "event"}
    alert = dict(rest)["alert"]
    shown = await service.reader.get("/alerts/1")
    assert alert == {name: shown[name] for name in alert}
    again = await listen(site.url, lambda heard: len(heard) >= 3, headers={**service.reader.headers, "Last-Event-ID": place})
    assert {kind for kind, _ in again[1:]} == {"alert", "event"}
    await site.close()


async def test_alerts_go_past_the_tasks_and_arrive_as_they_would_through_them(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    service, woken, following = lanes.service, list[bytes | None](), Listener.next

    async def note(listener: Listener) -> bytes | None:
        woken.append(chunk := await following(listener))
        return chunk

    monkeypatch.setattr(Listener, "next", note)
    greeted = asyncio.Event()
    wanted = {"headers": service.reader.headers, "params": {"topics": "alert"}}
    task = asyncio.create_task(listen(str(lanes.client.base_url), lambda heard: '"number": 2' in json.dumps(heard[-1:]), greeted, **wanted))
    await greeted.wait()
    for number in (1, 2):
        await service.send(
            {"type": "disk.full", "severity": 4, "subject": f"disk:{number}", "status": "problem", "title": "Disk \U0001f4be full"}
        )
        await asyncio.sleep(PAUSE)
    heard = await task
    assert {(kind, said["number"]) for kind, said in heard[1:]} == {("alert", 1), ("alert", 2)}
    assert heard[-1][1]["title"] == "Disk \U0001f4be full"
    assert woken == []


async def test_who_reads_slowly_is_sent_everything_in_order(lanes: Lanes) -> None:
    """First past the task, then through it while the connection is full, then past it again."""
    hub, port = lanes.service.app.hub, lanes.client.base_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    auth = lanes.service.reader.headers["Authorization"]
    writer.write(f"GET /api/v1/stream HTTP/1.1\r\nHost: tocsin\r\nAuthorization: {auth}\r\n\r\n".encode())
    await reader.readuntil(b"id: ")
    (listener,) = hub._listeners
    sent = 0
    while not listener.waiting:  # it is full
        listener.put(b"%07d\n" % sent * 1000)
        sent += 1
        await asyncio.sleep(0)
    heard = list[bytes]()
    async with asyncio.timeout(30):
        while len(heard) < (sent + 1) * 1000:
            if len(heard) == sent * 1000:
                listener.put(b"%07d\n" % sent * 1000)
            line = await reader.readline()
            if len(line) == 8 and line.strip().isdigit():
                heard.append(line)
    assert heard == sorted(heard)
    writer.close()
    await writer.wait_closed()


async def nothing(_world: Any) -> None:
    """An empty stage."""


@pytest.mark.parametrize("query", ["topics=metrics", "topics=", "site=..", "last_event_id=" + "9" * 50])
async def test_a_wrong_question_is_named(sqlite_service: Service, query: str) -> None:
    await sqlite_service.reader.refused("GET", f"/stream?{query}", 422)


async def test_it_needs_a_key_or_a_login_and_shows_no_other_site(sqlite_service: Service) -> None:
    await sqlite_service.nobody.refused("GET", "/stream", 401)
    await sqlite_service.sender.refused("GET", "/stream", 403)
    await sqlite_service.tenant.refused("GET", "/stream?site=main", 404)
    await a_person(sqlite_service)
    browser = Browser(sqlite_service)
    assert (await browser.get("/api/v1/stream")).status_code == 401
