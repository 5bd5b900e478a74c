"""The real node_exporter asked by us, and the real Prometheus that asks it and sends to us."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.lanes import Lanes
from tests.api.service import Service
from tests.conftest import missing
from tests.fakes import FakeClock
from tests.prometheus.test_scraper import look, make
from tests.world import World
from tocsin.core.clock import MINUTE
from tocsin.metrics.model import SeriesFilter
from tocsin.net.http import HttpDoor
from tocsin.pipeline.scraping import Scraper

ESSENTIAL = {"memory_percent", "disk_percent", "load_1m", "network_connections", "uptime_seconds"}
PATIENCE = 30  # seconds


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def world(sqlite_url: str, tmp_path: Path) -> AsyncIterator[World]:
    world = World(sqlite_url, tmp_path, clock=FakeClock(now()))
    yield world
    await world.close()


@contextmanager
def running(program: str, *options: str) -> Iterator[None]:
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed")
    with subprocess.Popen([str(path), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def node_exporter(port: int) -> Iterator[None]:
    with running("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"):
        yield


def names(world: World) -> set[str]:
    with world.core.database.read() as connection:
        return {one.series.name for one in world.core.history.newest(connection, SeriesFilter(), 0) if one.value >= 0}


@pytest.mark.claim("M8")
async def test_a_host_with_node_exporter_needs_no_agent(world: World, unused_port: int) -> None:
    door, core = HttpDoor(allow_private=True), world.core
    scraper = Scraper(door, core.database, core.writer, core.clock, core.exporters)
    await make(world, url=f"http://127.0.0.1:{unused_port}/metrics", host="web01")
    with node_exporter(unused_port):
        deadline = now() + PATIENCE * 1000
        while "cpu_percent" not in names(world) and now() < deadline:
            await look(scraper)
            world.clock.advance(MINUTE)
            await asyncio.sleep(0.05)
    await scraper.close()
    await door.close()
    assert names(world) >= ESSENTIAL | {"cpu_percent", "service_up"}


@pytest.mark.claim("M8")
async def test_prometheus_sends_what_it_has_by_remote_write(world: World, unused_port: int, tmp_path: Path) -> None:
    service = await Service.start(world)
    async with Lanes.open(service) as lanes:
        key = service.sender.headers["Authorization"].removeprefix("Bearer ")
        settings = f"""
global: {{scrape_interval: 1s}}
remote_write:
  - url: {lanes.client.base_url}/api/v1/prometheus/write
    authorization: {{credentials: "{key}"}}
    queue_config: {{batch_send_deadline: 500ms, max_shards: 2, min_shards: 2}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{unused_port}"]}}]
"""
        (tmp_path / "prometheus.yml").write_text(settings)
        options = (
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0",
        )
        with node_exporter(unused_port), running("prometheus", *options):
            deadline = now() + PATIENCE * 1000
            while "cpu_percent" not in names(world) and now() < deadline:
                world.clock.at = now()
                await asyncio.sleep(0.2)
    await service.client.aclose()
    assert names(world) >= ESSENTIAL | {"cpu_percent", "up"}
