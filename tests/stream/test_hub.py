"""The stream: what happens is told at once, to those who may see it, and nothing is lost on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.build import a_report
from tests.checks.build import DOWN, FINE, Watched, a_check
from tests.stream.ear import EVERYTHING, Ear
from tests.world import World
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import NotAuthenticated, Unavailable
from tocsin.stream import hub as hubs, rules, store
from tocsin.stream.hub import Hub, Listener
from tocsin.stream.model import Topic
from tocsin.stream.news import News
from tocsin.stream.rules import PAUSE, Tail


def hub_of(world: World, news: News | None = None, worked: Callable[[], float] = lambda: 0.0) -> Hub:
    hub = Hub(
        world.core.database,
        world.clock.now,
        lambda _, alerts: [b'{"number":%d,"status":"%s","times":%d}' % (a.number, a.status.encode(), a.occurrences) for a in alerts],
        lambda event: b'{"event":"%s"}' % (event.subject or "").encode(),
        lambda check: b'{"check":"%s"}' % check.status.value.encode(),
        news,
        worked,
    )
    hub.follow(world.core.writer)
    return hub


@pytest.fixture
async def hub(world: World) -> AsyncIterator[Hub]:
    hub = hub_of(world)
    yield hub
    hub.stop()
    await asyncio.sleep(0)


@pytest.fixture
async def sqlite_hub(sqlite_world: World) -> AsyncIterator[Hub]:
    hub = hub_of(sqlite_world)
    yield hub
    hub.stop()
    await asyncio.sleep(0)


async def test_what_happens_is_heard_at_once(world: World, hub: Hub) -> None:
    ear = await Ear.at(hub)
    await world.report(a_report("disk:/"))
    heard = await ear.hears(2)
    assert heard == [("event", {"event": "disk:/"}), ("alert", {"number": 1, "status": "open", "times": 1})]
    await world.acknowledge(world.alert())
    await ear.until(lambda: ear.heard[-1] == ("alert", {"number": 1, "status": "acknowledged", "times": 1}))
    await ear.close()


async def test_a_repeat_without_history_is_heard_too(world: World, hub: Hub) -> None:
    await world.report(a_report("disk:/"))
    ear = await Ear.at(hub, topics=frozenset({Topic.ALERT}))
    await world.report(a_report("disk:/"))
    assert await ear.hears() == [("alert", {"number": 1, "status": "open", "times": 2})]
    await ear.close()


async def test_who_comes_back_hears_what_was_missed(world: World, hub: Hub) -> None:
    ear = await Ear.at(hub)
    await world.report(a_report("disk:/"))
    await ear.hears(2)
    place = ear.place
    await ear.close()
    await world.report(a_report("disk:/home"))
    await world.resolve(world.alert(1))
    later = await Ear.at(hub, after=place)
    heard = await later.hears(3)
    assert ("event", {"event": "disk:/home"}) in heard
    assert ("alert", {"number": 1, "status": "resolved", "times": 1}) in heard
    assert ("alert", {"number": 2, "status": "open", "times": 1}) in heard
    await later.close()


@pytest.mark.parametrize("place", ["nonsense", "999999-1", "1-999999"])
async def test_a_place_that_is_none_means_reading_everything_anew(sqlite_world: World, sqlite_hub: Hub, place: str) -> None:
    await sqlite_world.report(a_report("disk:/"))
    ear = await Ear.at(sqlite_hub, after=place)
    assert (await ear.hears())[0][0] == "reload"
    await ear.close()


async def test_nobody_hears_of_another_site(world: World, hub: Hub) -> None:
    ear = await Ear.at(hub, sites=frozenset({1}))
    await world.report(a_report("secret", site="other"), a_report("disk:/"))
    heard = await ear.hears(2)
    assert "secret" not in str(heard)
    place = ear.place
    await ear.close()
    await world.report(a_report("secret-2", site="other"), a_report("disk:/home"))
    later = await Ear.at(hub, after=place, sites=frozenset({1}))
    assert "secret" not in str(await later.hears(2))
    await later.close()


async def test_a_storm_is_one_word_and_the_place_moves_on(sqlite_world: World, sqlite_hub: Hub) -> None:
    ear = await Ear.at(sqlite_hub)
    before = ear.place
    await sqlite_world.report(*[a_report(f"disk:{n}") for n in range(hubs.MAX_ALERTS + 1)])
    heard = await ear.hears(2)
    assert [kind for kind, _ in heard] == ["reload", "reload"]
    await ear.until(lambda: ear.place != before)
    await sqlite_world.report(a_report("disk:one-more"))
    assert (await ear.hears(4))[2] == ("event", {"event": "disk:one-more"})
    await ear.close()


async def test_who_does_not_read_is_let_go_and_costs_no_memory(sqlite_world: World, sqlite_hub: Hub) -> None:
    listener = Listener(None, EVERYTHING)
    chunks = await sqlite_hub.listen(listener, None)
    for _ in range(hubs.QUEUE + 5):
        listener.put(b"data: {}\n\n")
    assert listener.over
    assert len(listener.waiting) == 1
    said = b"".join([chunk async for chunk in chunks])
    assert b"event: reload" in said
    assert sqlite_hub.listeners == 0


async def test_summaries_say_how_many_need_somebody(world: World, hub: Hub) -> None:
    ear = await Ear.at(hub, topics=frozenset({Topic.SUMMARY}))
    await world.report(a_report("disk:/"), a_report("disk:/home"))
    await ear.until(lambda: ear.heard[-1][0] == "summary")
    said = {"needs_action": 2, "at": world.clock.now(), "last_event_at": world.clock.now()}
    assert ear.heard[-1] == ("summary", said)
    await ear.close()


async def test_pages_hear_how_soon_to_ask_for_what_is_new_and_once_more_when_the_server_has_much_to_do(sqlite_world: World) -> None:
    worked = 0.0
    hub = hub_of(sqlite_world, worked=lambda: worked)
    programs = await Ear.at(hub, topics=frozenset({Topic.ALERT}))
    page = await Ear.at(hub, topics=frozenset({Topic.ALERT, Topic.SUMMARY}))
    assert page.heard[0] == ("pace", {"renew_within_ms": 100})
    worked += 1_000  # seconds of processor time within less than one
    await page.until(lambda: page.heard[-1] == ("pace", {"renew_within_ms": 1_333}))
    await page.until(lambda: page.heard[-1] == ("pace", {"renew_within_ms": 100}))  # it rests again
    assert programs.heard == []
    for ear in (programs, page):
        await ear.close()
    hub.stop()


async def test_silence_is_broken_by_a_sign_of_life(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "BEAT", 0.03)
    listener = Listener(None, EVERYTHING)
    chunks = await sqlite_hub.listen(listener, None)
    assert b"retry:" in await anext(chunks)
    assert b": still here" in await anext(chunks)
    await chunks.aclose()


async def test_what_is_told_goes_past_the_task_that_waits_and_past_nothing_else(sqlite_world: World, sqlite_hub: Hub) -> None:
    past, open_to = list[bytes](), True

    def write(chunk: bytes) -> bool:
        if open_to:
            past.append(chunk)
        return open_to

    listener = Listener(None, EVERYTHING, past=write)
    chunks = await sqlite_hub.listen(listener, None)
    listener.put(b"1")  # the greeting was not sent yet
    await anext(chunks)
    assert await anext(chunks) == b"1"
    assert past == []
    following: asyncio.Task[bytes] = asyncio.create_task(anext(chunks))
    await asyncio.sleep(0)
    listener.put(b"2")
    assert past == [b"2"]
    open_to = False  # the connection is full
    listener.put(b"3")
    open_to = True
    listener.put(b"4")  # and 3 is still on its way
    assert await following == b"34"
    assert past == [b"2"]
    await chunks.aclose()


async def test_who_may_no_longer_listen_is_let_go(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "BEAT", 0.03)
    monkeypatch.setattr(hubs, "CHECKED_EVERY", 0.0)

    async def logged_out() -> None:
        raise NotAuthenticated("your login has run out")

    ear = await Ear.at(sqlite_hub, may=logged_out)
    await ear.until(lambda: ear.ended)


async def test_a_database_that_rests_sends_nobody_away(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "BEAT", 0.03)
    monkeypatch.setattr(hubs, "CHECKED_EVERY", 0.0)

    async def cannot_tell() -> None:
        raise Unavailable("the disk is full")

    ear = await Ear.at(sqlite_hub, may=cannot_tell)
    await asyncio.sleep(0.1)
    assert not ear.ended
    await ear.close()


async def test_there_is_a_last_seat(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_LISTENERS", 1)
    ear = await Ear.at(sqlite_hub)
    with pytest.raises(Unavailable):
        await sqlite_hub.listen(Listener(None, EVERYTHING), None)
    await ear.close()
    await (await Ear.at(sqlite_hub)).close()


async def test_the_end_of_the_process_ends_every_stream(sqlite_world: World, sqlite_hub: Hub) -> None:
    ear = await Ear.at(sqlite_hub)
    sqlite_hub.stop()
    await ear.until(lambda: ear.ended)


async def test_repeats_wait_for_what_presses_where_many_listen(
    sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "waits", lambda _, is_storm: 60.0)
    ear = await Ear.at(sqlite_hub, topics=frozenset({Topic.ALERT}))
    await sqlite_world.report(a_report("disk:/"))
    await ear.hears(1)
    await sqlite_world.report(a_report("disk:/"))
    await asyncio.sleep(3 * PAUSE)
    assert len(ear.heard) == 1
    await sqlite_world.report(a_report("disk:/home"))
    heard = await ear.hears(3)
    assert [(data["number"], data["times"]) for _, data in heard] == [(1, 1), (1, 2), (2, 1)]
    await ear.close()


async def _until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not so():
            await asyncio.sleep(0.005)


async def test_repeats_are_not_even_read_before_they_are_told(
    sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses, readings, events_after = list[int](), list[int](), store.events_after

    def pause(listeners: int) -> float:
        pauses.append(listeners)
        return 0.01

    def read(connection: sa.Connection, tail: Tail, limit: int) -> list[tuple[int, int | None]]:
        readings.append(tail.last)
        return events_after(connection, tail, limit)

    monkeypatch.setattr(rules, "waits", lambda _, is_storm: 60.0)
    monkeypatch.setattr(rules, "pause", pause)
    monkeypatch.setattr(store, "events_after", read)
    ear = await Ear.at(sqlite_hub, topics=frozenset({Topic.ALERT}))
    await sqlite_world.report(a_report("disk:/"))
    await ear.hears(1)
    await _until(lambda: pauses[-1:] == [1])  # it has told something
    told = len(readings)
    await sqlite_world.report(a_report("disk:/"))
    await _until(lambda: pauses[-1] == 0)  # it has looked, and found nothing to tell
    assert len(readings) == told
    await ear.close()


async def test_a_storm_is_told_at_once_and_then_now_and_then(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    read, events_after = list[int](), store.events_after

    def note(connection: sa.Connection, tail: Tail, limit: int) -> list[tuple[int, int | None]]:
        read.append(limit)
        return events_after(connection, tail, limit)

    monkeypatch.setattr(hubs, "MAX_ALERTS", 3)
    monkeypatch.setattr(rules, "waits", lambda _, is_storm: 60.0)
    monkeypatch.setattr(store, "events_after", note)
    ear = await Ear.at(sqlite_hub, topics=frozenset({Topic.ALERT}))
    await sqlite_world.report(a_report("first"))
    await ear.hears(1)
    for wave in ("a", "b"):
        await sqlite_world.report(*[a_report(f"{wave}-{n}") for n in range(5)])
        await asyncio.sleep(3 * PAUSE)
    assert [kind for kind, _ in ear.heard] == ["alert", "reload"]
    assert read[-1] == hubs.MAX_EVENTS + 1, "what is too much is not read to its end"
    assert len(read) == 2, "and not again before it is told again"
    await ear.close()


async def test_who_comes_while_it_is_read_does_not_stop_the_reading(sqlite_world: World, sqlite_hub: Hub) -> None:
    """The reading is done in a thread: had that one walked the listeners, nobody would have heard anything for a second."""

    class Crowd(set[Listener]):
        """Listeners that a thread cannot walk, since others come meanwhile."""

        def __iter__(self) -> Iterator[Listener]:
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("Set changed size during iteration")
            return super().__iter__()

    sqlite_hub._listeners = Crowd()
    ear = await Ear.at(sqlite_hub)
    await sqlite_world.report(a_report("disk:/"))
    await ear.until(lambda: len(ear.heard) >= 2, seconds=0.9)
    await ear.close()


async def test_a_flood_is_left_behind_in_one_step(sqlite_world: World, sqlite_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "AT_ONCE", 4)
    ear = await Ear.at(sqlite_hub, topics=frozenset({Topic.ALERT}))
    await sqlite_world.report(*[a_report(f"flood-{n}") for n in range(9)])
    await ear.hears(1)
    await sqlite_world.report(a_report("after"))
    heard = await ear.hears(2)
    assert [kind for kind, _ in heard] == ["reload", "alert"]
    assert heard[1][1]["number"] == 10
    await ear.close()


@pytest.mark.claim("B15")
async def test_another_process_is_heard_on_postgresql(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "LOOK", 3600.0)  # what is heard, is heard because the other process said so
    here, there = World(postgresql_url, tmp_path / "here"), World(postgresql_url, tmp_path / "there", node="node-2")
    voice = News(there.core.database, postgresql_url)
    there.core.writer.follow(voice.committed)
    hub = hub_of(here, News(here.core.database, postgresql_url))
    ear = await Ear.at(hub, topics=frozenset({Topic.ALERT}))
    listens = sa.text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
    async with asyncio.timeout(30):
        while not there.rows(listens):
            await asyncio.sleep(0.02)
    await there.report(a_report("disk:/"))
    assert await ear.hears() == [("alert", {"number": 1, "status": "open", "times": 1})]
    await ear.close()
    hub.stop()
    await here.close()
    await there.close()


async def test_a_check_is_heard_when_its_status_changes_and_each_change_once(world: World, hub: Hub) -> None:
    shop = await Watched.make(world, a_check(retries=0))
    ear = await Ear.at(hub, topics=frozenset({Topic.CHECK}))
    for found in (FINE, FINE, DOWN, DOWN, FINE):
        await shop.sees(found)
        world.clock.advance(SECOND)
    await ear.until(lambda: ear.heard and ear.heard[-1] == ("check", {"check": "up"}) and len(ear.heard) > 1)
    changes = [data["check"] for _, data in ear.heard]
    assert changes[-1] == "up"
    assert len(changes) <= 4
    await world.report(a_report("disk:/"))
    await shop.sees(DOWN)
    await ear.until(lambda: ear.heard[-1] == ("check", {"check": "down"}))
    await asyncio.sleep(2 * PAUSE)
    assert len(ear.heard) == len(changes) + 1
    await ear.close()


async def test_who_was_away_hears_which_checks_have_changed_meanwhile(sqlite_world: World, sqlite_hub: Hub) -> None:
    world = sqlite_world
    first, second = [await Watched.make(world, a_check(retries=0)) for _ in range(2)]
    for one in (first, second):
        await one.sees(FINE)
    world.clock.advance(MINUTE)
    ear = await Ear.at(sqlite_hub, topics=frozenset({Topic.CHECK}))
    place = ear.place
    await ear.close()
    world.clock.advance(MINUTE)
    await second.sees(DOWN)
    later = await Ear.at(sqlite_hub, after=place, topics=frozenset({Topic.CHECK}))
    assert later.heard == [("check", {"check": "down"})]
    await later.close()


async def test_a_place_without_a_time_means_reading_the_checks_anew_and_other_sites_are_not_heard(
    sqlite_world: World, sqlite_hub: Hub
) -> None:
    ear = await Ear.at(sqlite_hub, after="0-0", topics=frozenset({Topic.CHECK}), sites=frozenset({99}))
    shop = await Watched.make(sqlite_world)
    await shop.sees(FINE)
    await asyncio.sleep(3 * PAUSE)
    assert ear.heard == [("reload", {"topic": "check", "reason": "what changed while you did not listen is not kept"})]
    await ear.close()
