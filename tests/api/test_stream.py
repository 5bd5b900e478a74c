"""``GET /api/v1/stream`` over a real connection."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tests.web.site import Site


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
