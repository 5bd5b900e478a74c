"""A whole Tocsin behind its HTTP application, with keys of every kind, asked without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.lanes import Lanes
from tests.api.service import Service
from tests.world import World


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """On each kind of database."""
    service = await Service.start(World(database_url, tmp_path))
    yield service
    await service.close()


@pytest.fixture
async def sqlite_service(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """On SQLite only, where the database makes no difference."""
    service = await Service.start(World(sqlite_url, tmp_path))
    yield service
    await service.close()


@pytest.fixture
async def lanes(sqlite_service: Service) -> AsyncIterator[Lanes]:
    """The service behind the real HTTP server."""
    async with Lanes.open(sqlite_service) as lanes:
        yield lanes
