"""The limits that the settings name, and those that hold where they name none: from a value to whoever is told."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.checks.build import Watched, a_check, certified, days
from tests.checks.servers import serving
from tests.world import World
from tocsin.bootstrap import rounds_of
from tocsin.checks.model import Cause, HttpTarget, Level
from tocsin.core.clock import MINUTE
from tocsin.metrics.model import Sample
from tocsin.settings import load

FIELDS = (
    *("cpu_warning", "memory_warning", "disk_warning"),
    *("response_time_warning", "response_time_critical", "ssl_expiry_warning_days"),
)


def a_world(url: str, folder: Path, **environment: str) -> World:
    """A Tocsin whose owner has set these variables."""
    settings = load(environment)
    return World(url, folder, **{name: getattr(settings, name) for name in FIELDS})


async def measure(world: World, name: str, *values: float) -> list[tuple[str, int]]:
    """One value a minute; what is open then, and how loud."""
    site = world.core.sites.get("main").id
    for value in values:
        world.clock.advance(MINUTE)
        sample = Sample(site, name, world.clock.now(), value, "web01", (("mount", "/"),) if name == "disk_percent" else ())
        await world.write(lambda tx, one=sample: world.core.history.record(tx, [one], world.clock.now()))  # type: ignore[misc]  # lambdas with defaults have no type
    return [(alert.title, alert.severity) for alert in world.alerts() if alert.status == "open"]


@pytest.mark.parametrize(
    ("metric", "environment", "limit"),
    [
        pytest.param("cpu_percent", {}, 80, marks=pytest.mark.claim("C9")),
        pytest.param("cpu_percent", {"CPU_WARNING_THRESHOLD": "60"}, 60, marks=pytest.mark.claim("C9")),
        pytest.param("memory_percent", {}, 90, marks=pytest.mark.claim("C10")),
        pytest.param("memory_percent", {"MEMORY_WARNING_THRESHOLD": "75"}, 75, marks=pytest.mark.claim("C10")),
        pytest.param("disk_percent", {}, 85, marks=pytest.mark.claim("C11")),
        pytest.param("disk_percent", {"DISK_WARNING_THRESHOLD": "50"}, 50, marks=pytest.mark.claim("C11")),
        pytest.param("response_ms", {}, 3000, marks=pytest.mark.claim("C8", "M12")),
        pytest.param("response_ms", {"RESPONSE_TIME_WARNING": "800"}, 800, marks=pytest.mark.claim("C8")),
    ],
)
async def test_from_the_limit_on_somebody_is_told_and_the_text_names_it(
    sqlite_url: str, tmp_path: Path, metric: str, environment: dict[str, str], limit: int
) -> None:
    world = a_world(sqlite_url, tmp_path, **environment)
    assert await measure(world, metric, *[limit - 1] * 30) == []
    ((title, severity),) = await measure(world, metric, *[limit] * 30)
    assert severity == 3
    assert f"warned from {limit:,} " in title, title
    await world.close()


@pytest.mark.claim("C8", "M12")
async def test_a_slow_answer_warns_and_a_slower_one_is_loud(sqlite_url: str, tmp_path: Path) -> None:
    world = a_world(sqlite_url, tmp_path)
    ((_, warned),) = await measure(world, "response_ms", *[3500] * 3)
    ((title, loud),) = await measure(world, "response_ms", *[5000] * 3)
    assert (warned, loud) == (3, 4), title
    await world.close()


@pytest.mark.claim("C8", "M12")
async def test_a_check_that_names_no_limit_of_its_own_goes_by_the_settings(sqlite_url: str, tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.06)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    found: list[Any] = []
    async with serving(slow) as port:
        shop = a_check(target=HttpTarget(url=f"http://127.0.0.1:{port}/"), private=True)
        for number, environment in enumerate(
            ({}, {"RESPONSE_TIME_WARNING": "50"}, {"RESPONSE_TIME_WARNING": "20", "RESPONSE_TIME_CRITICAL": "50"})
        ):
            world = a_world(sqlite_url, tmp_path / str(number), **environment)
            rounds = rounds_of(world.core)
            found.append(await rounds.try_out(shop))
            await rounds.close()
            await world.close()
    assert [(one.level, one.cause) for one in found] == [
        (Level.OK, Cause.FINE),
        (Level.WARNING, Cause.SLOW),
        (Level.CRITICAL, Cause.SLOW),
    ]


@pytest.mark.claim("C12", "K4")
@pytest.mark.parametrize(("environment", "first"), [({}, 30), ({"SSL_EXPIRY_WARNING_DAYS": "60"}, 60)])
async def test_a_certificate_is_warned_of_so_many_days_ahead(
    sqlite_url: str, tmp_path: Path, environment: dict[str, str], first: int
) -> None:
    world = a_world(sqlite_url, tmp_path, **environment)
    shop = await Watched.make(world)
    ends_at = world.clock.at + days(first + 1)
    await shop.sees(certified(ends_at))
    assert world.alerts() == []
    world.clock.at = ends_at - days(first - 0.5)
    await shop.sees(certified(ends_at))
    assert world.alert().type == "certificate.expiring"
    await world.close()
