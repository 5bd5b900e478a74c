"""``/metrics``: each number is what there is, and moves with it."""

import re

import pytest

from tests.api.service import Service
from tocsin.core.clock import SECOND

LINE = re.compile(r'^(\w+(?:\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*\})?) (\S+)$')


async def scrape(service: Service) -> dict[str, float]:
    answer = await service.reader.ask("GET", "//metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {found[1]: float(found[2]) for found in map(LINE.match, lines) if found}


@pytest.mark.claim("B11", "B13", "X2")
async def test_its_own_work_and_what_that_takes_is_measured(service: Service) -> None:
    before = await scrape(service)
    assert (before["tocsin_events_accepted_total"], before["tocsin_deliveries_sent_total"]) == (0, 0)
    await service.send({"type": "host.down", "host": "web-1", "severity": 4}, {"type": "order.paid"})
    service.engine.health["deliver"].error = "the disk is full"
    service.world.clock.advance(7 * SECOND)
    after = await scrape(service)
    assert after["tocsin_events_accepted_total"] == 2
    assert after['tocsin_alerts{status="open"}'] == 1
    assert after["tocsin_deliveries_sent_total"] == after['tocsin_notifications{status="sent"}'] == len(service.world.messages()) > 0
    assert after["tocsin_writer_backlog_events"] == 0
    assert after['tocsin_engine_step_age_seconds{step="deliver"}'] == 7
    assert (before['tocsin_engine_step_failing{step="deliver"}'], after['tocsin_engine_step_failing{step="deliver"}']) == (0, 1)
    assert after["process_resident_memory_bytes"] > 10_000_000
    assert after["tocsin_database_bytes"] > 100_000
