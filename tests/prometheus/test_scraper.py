"""Exporters that are asked: when, what becomes of what they show, and of those that show nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import NOW
from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.ids import new_id
from tocsin.metrics.model import SeriesFilter
from tocsin.net.http import NotSent, Response
from tocsin.pipeline.scraping import Scraper
from tocsin.prometheus import service, store
from tocsin.prometheus.model import Target

MARTA = Who("marta@example.com")


class FakeDoor:
    """Answers what the test wants; keeps what it was asked."""

    def __init__(self) -> None:
        self.page: Callable[[], Response] = lambda: good("node_load1 0.5\nmysql_up 1\ngo_threads 9\n")
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def request(self, _method: str, url: str, *, headers: dict[str, str], within: float, limit: int) -> Response:
        self.asked.append((url, headers))
        await asyncio.wait_for(self.gate.wait(), within)
        page = self.page()
        return Response(page.status, page.headers, page.body[:limit], len(page.body) > limit)


def good(text: str, status: int = 200) -> Response:
    return Response(status, {}, text.encode(), cut=False)


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def scraper(world: World, door: FakeDoor) -> Scraper:
    core = world.core
    fake: Any = door
    return Scraper(fake, core.database, core.writer, core.clock, core.exporters)


async def make(world: World, **changes: Any) -> Target:
    now = world.clock.now()
    usual = {"name": "node_exporter", "url": "http://web01:9100/metrics", "host": "web01", "interval": MINUTE, "token": None}
    rest = {"keep_all": False, "enabled": True, "created_by": "marta", "created_at": now, "next_at": now}
    target = Target(**{"id": new_id(now), "site_id": world.core.sites.get("main").id, **usual, **rest, **changes})
    return await world.write(lambda tx: service.make(tx, MARTA, target, now))


async def look(scraper: Scraper) -> None:
    await scraper.begin_due()
    await scraper.settle()


def values(world: World) -> dict[str, float]:
    with world.core.database.read() as connection:
        found = world.core.history.newest(connection, SeriesFilter(host="web01"), 0)
    return {one.series.name: one.value for one in found}


def the_target(world: World) -> Target:
    with world.core.database.read() as connection:
        (target,) = store.every(connection)
    return target


@pytest.mark.claim("M8", "T2")
async def test_an_exporter_is_asked_at_its_interval_and_what_it_shows_is_kept(world: World, door: FakeDoor, scraper: Scraper) -> None:
    await make(world, token="hush")
    await look(scraper)
    assert door.asked == [("http://web01:9100/metrics", {"Accept": door.asked[0][1]["Accept"], "Authorization": "Bearer hush"})]
    assert values(world) == {"load_1m": 0.5, "mysql_up": 1.0, "service_up": 1.0}
    target = the_target(world)
    assert (target.answered_at, target.samples, target.failures, target.fault) == (NOW, 3, 0, None)
    await look(scraper)
    world.clock.advance(MINUTE - 1)
    await look(scraper)
    assert len(door.asked) == 1
    world.clock.advance(1)
    await look(scraper)
    world.clock.advance(10 * MINUTE + SECOND)  # nobody looked for a while: once is enough
    await look(scraper)
    await look(scraper)
    assert len(door.asked) == 3
    assert the_target(world).next_at == NOW + 12 * MINUTE


async def test_of_two_processes_one_asks(world: World, door: FakeDoor, scraper: Scraper) -> None:
    core = world.core
    fake: Any = door
    other = Scraper(fake, core.database, core.writer, core.clock, core.exporters)
    await make(world)
    await asyncio.gather(look(scraper), look(other))
    assert len(door.asked) == 1


async def test_one_that_is_slow_is_not_asked_twice_at_once(world: World, door: FakeDoor, scraper: Scraper) -> None:
    await make(world)
    door.gate.clear()
    await scraper.begin_due()
    world.clock.advance(MINUTE)
    await scraper.begin_due()
    await asyncio.sleep(0)
    door.gate.set()
    await scraper.settle()
    assert len(door.asked) == 1


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (lambda: good("", 503), "it answered with status 503, not 200"),
        (lambda: good("<!DOCTYPE html>\n<p>hello"), "its page shows no metric: it begins with '<!DOCTYPE html>'"),
        (lambda: good(""), "its page shows no metric"),
        (lambda: good("x 1\n" * 2_200_000), "its page is longer than 8 MiB"),
        (lambda: good("\n" * 200_000), "the page has more than 100,000 lines"),
        (lambda: (_ for _ in ()).throw(NotSent("no connection to web01:9100: connection refused")), "no connection to web01:9100"),
    ],
    ids=["status", "html", "nothing", "long", "lines", "refused"],
)
async def test_why_there_was_nothing_is_kept(sqlite_world: World, door: FakeDoor, page: Callable[[], Response], why: str) -> None:
    core, fake = sqlite_world.core, door
    opened: Any = fake
    scraper = Scraper(opened, core.database, core.writer, core.clock, core.exporters)
    await make(sqlite_world)
    door.page = page
    await look(scraper)
    target = the_target(sqlite_world)
    assert (target.failures, (target.fault or "").startswith(why)) == (1, True), target.fault
    assert values(sqlite_world) == {"service_up": 0.0}


async def test_three_failures_in_a_row_are_an_alert_that_ends_with_the_next_answer(world: World, door: FakeDoor, scraper: Scraper) -> None:
    await make(world)
    pages = [good("", 500), good("a 1"), good("", 500), good("", 500), good("", 500), good("", 502)]
    for number, page in enumerate(pages):
        door.page = lambda page=page: page  # type: ignore[misc]  # lambdas with defaults have no type
        await look(scraper)
        assert len(world.alerts()) == (1 if number >= 4 else 0)
        world.clock.advance(MINUTE)
    alert = world.alert()
    assert (alert.type, alert.title, alert.message) == (
        "exporter.down",
        "node_exporter of web01 does not answer",
        "it answered with status 500, not 200",
    )
    door.page = lambda: good("a 1")
    await look(scraper)
    assert (world.alert().status, world.alert().resolution) == ("resolved", "node_exporter of web01 answers again")


@pytest.mark.parametrize("how", ["removed", "switched off"])
async def test_one_that_is_not_asked_any_more_is_not_down(world: World, door: FakeDoor, scraper: Scraper, how: str) -> None:
    target = await make(world)
    door.page = lambda: good("", 500)
    for _ in range(3):
        await look(scraper)
        world.clock.advance(MINUTE)
    assert world.alert().status == "open"
    if how == "removed":
        await world.write(lambda tx: world.core.exporters.remove(tx, MARTA, target.id))
    else:
        await world.write(lambda tx: world.core.exporters.change(tx, MARTA, target.id, {"enabled": False}))
    await look(scraper)
    assert (world.alert().status, len(door.asked)) == ("resolved", 3)


async def test_one_that_is_removed_while_it_is_asked_leaves_nothing(world: World, door: FakeDoor, scraper: Scraper) -> None:
    target = await make(world)
    door.gate.clear()
    await scraper.begin_due()
    await world.write(lambda tx: world.core.exporters.remove(tx, MARTA, target.id))
    door.gate.set()
    await scraper.settle()
    assert values(world) == {}


async def test_at_the_end_what_is_under_way_is_broken_off(world: World, door: FakeDoor, scraper: Scraper) -> None:
    await make(world)
    door.gate.clear()
    await scraper.begin_due()
    await scraper.close()
    assert values(world) == {}
