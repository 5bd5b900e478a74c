"""Noise as stories: a storm of alerts, and an alert that comes and goes. An unexpected message fails a story."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.build import a_recovery, a_report
from tests.escalation.crew import Crew
from tests.muting.build import a_silence, keep
from tests.world import World
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity.model import Role
from tocsin.notify import store as outbox
from tocsin.notify.model import Outcome, Result
from tocsin.notify.render import headline
from tocsin.notify.rules import Pointless

pytestmark = pytest.mark.claim("A8")

NIGHT = "2026-01-07T01:12"  # a Wednesday, 02:12 in Berlin


@pytest.fixture
async def crew(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Crew]:
    """The company at night, with grouping as it is set up unless somebody changes it."""
    world = World(sqlite_url, tmp_path, group_wait_seconds=10)
    crew = await Crew(world).start(NIGHT)
    yield crew
    crew.nothing_is_forgotten()
    await world.close()


def told(crew: Crew) -> list[str]:
    """What everybody's push and texts said, in order: ``00:10 ntfy anna: digest of 9``."""
    found = []
    for channel in crew.world.channels.values():
        for letter in channel.letters:
            seconds = (letter.now - crew.begun_at) // SECOND
            what = letter.message.kind
            if what == "digest":
                what = f"digest of {1 + len(letter.others) + letter.more}"
            found.append(f"{seconds // 60:02}:{seconds % 60:02} {letter.contact.kind} {letter.contact.target}: {what} at {letter.site}")
    return sorted(found)


@pytest.mark.claim("N6", "K12", "P5")
async def test_a_storm_of_10000_alerts_in_10_seconds_is_a_handful_of_messages_and_loses_nothing(crew: Crew) -> None:
    """The first pages at once on every contact of each person; another site's alert in the middle of it does not wait; all the
    others come in one message, on one contact. Anna has three contacts, and hears five times in all.
    """
    world = crew.world
    await crew.contact("anna", "voice", "+4915100000001")
    for second in range(10):
        for batch in range(5):
            start = second * 1_000 + batch * 200
            await world.report(*[a_report(f"disk:/{start + n}", severity=4, at=world.clock.at) for n in range(200)])
        if second == 5:
            await world.report(a_report("cpu:0", site="other", type="cpu.high", severity=4, at=world.clock.at))
            assert [line for line in told(crew) if line.endswith("other")] == OTHER
        world.clock.advance(SECOND)
        await world.turn()
    await world.pass_time(14 * MINUTE)
    everybody = ("email olga@example.com", "ntfy anna", "ntfy ben", "sms +4915100000001", "sms +4915100000002", "voice +4915100000001")
    expected = [
        *[f"00:00 {contact}: opened at main" for contact in everybody],
        *OTHER,
        *[f"00:10 {contact}: digest of 9999 at main" for contact in ("email olga@example.com", "ntfy anna", "ntfy ben")],
    ]
    assert told(crew) == sorted(expected)
    assert len([line for line in expected if "anna" in line or "+4915100000001" in line]) == 5
    assert len(world.alerts()) == 10_001
    everything = set(range(1, 10_002))
    assert {person: set(numbers) for person, numbers in carried_to(crew).items()} == {
        "olga": everything,
        "anna": everything,
        "ben": everything,
    }
    fates = Counter((m.status, m.last_error) for m in world.messages(kind="opened"))
    spared = (6 - 3) * 10_001 - 3 - 1  # of the contacts that stood back: all but the first at main, and Ben's text about the other site
    assert fates == {("sent", None): 6 * 10_001 - spared, ("cancelled", Pointless.TOLD_BESIDE): spared}


# At the other site, in the middle of the storm: Anna's other contacts have nothing to say that her push has not said.
OTHER = [f"00:05 {contact}: opened at other" for contact in ("email olga@example.com", "ntfy anna", "ntfy ben", "sms +4915100000002")]


def carried_to(crew: Crew) -> dict[str, list[int]]:
    """The numbers of the alerts whose opening each person heard of, on whatever contact."""
    owners = {contact.id: contact.user_id for contact in crew.world.core.contacts.all}
    names = {user_id: name for name, user_id in crew.ids.items()}
    found: dict[str, list[int]] = {}
    for message in crew.world.messages(kind="opened", status="sent"):
        found.setdefault(names[owners[message.contact_id] or ""], []).append(message.alert_number)
    return found


async def test_in_a_storm_of_many_causes_a_person_is_told_as_rarely(crew: Crew) -> None:
    world = crew.world
    await crew.contact("anna", "voice", "+4915100000001")
    for second in range(10):
        kinds = range(second * 10, second * 10 + 10)
        await world.report(*[a_report(f"disk:{n}", type=f"disk.full{n}", severity=5, at=world.clock.at) for n in kinds])
        world.clock.advance(SECOND)
        await world.turn()
    await world.pass_time(MINUTE)
    anna = [line.removesuffix(" at main") for line in told(crew) if "anna" in line or "+4915100000001" in line]
    assert anna == [
        "00:00 ntfy anna: opened",
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:00 voice +4915100000001: opened",
        "00:10 ntfy anna: digest of 98",
    ]
    assert set(carried_to(crew)["anna"]) == set(range(1, 101))


async def test_what_one_contact_has_carried_the_others_are_spared(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path, group_wait_seconds=10)
    crew = await Crew(world).start(NIGHT)
    await world.report(*[a_report(f"disk:{n}", severity=4, at=world.clock.at) for n in range(30)])
    await world.pass_time(2 * MINUTE)
    assert [line for line in told(crew) if line.startswith("00:10")] == [
        f"00:10 {contact}: digest of 29 at main" for contact in ("email olga@example.com", "ntfy anna", "ntfy ben")
    ]
    assert Counter(m.status for m in world.messages(kind="opened")) == {"sent": 3 * 30 + 2, "cancelled": 2 * 29}
    await world.close()


async def test_what_did_not_arrive_after_all_comes_on_the_contacts_that_were_spared(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path, group_wait_seconds=10)
    crew = Crew(world)
    await world.write(lambda tx: tx.sql.execute(sa.delete(tables.contacts)))
    await crew.person("dora", Role.RESPONDER, sms="+4915100000003", email="dora@example.com")
    await world.report(*[a_report(f"disk:{n}", severity=4, at=world.clock.at) for n in range(30)])
    await world.pass_time(20 * SECOND)
    text = [m for m in world.messages(kind="digest", status="sent") if m.contact_id == crew.contacts["sms +4915100000003"]]
    mail = crew.contacts["email dora@example.com"]
    assert Counter(m.status for m in world.messages(kind="opened", contact_id=mail)) == {"sent": 1, "cancelled": 29}

    def provider_says(tx: Tx) -> None:
        outbox.did_not_arrive(tx, text[0], "undelivered (30003)")
        world.delivery.fall_back(tx, text[0], world.clock.at)

    await world.write(provider_says)
    await world.pass_time(MINUTE)
    assert Counter(m.status for m in world.messages(kind="opened", contact_id=mail)) == {"sent": 30}
    assert [line for line in told(crew) if "email" in line] == [
        "00:00 email dora@example.com: opened at main",
        "00:20 email dora@example.com: digest of 29 at main",
    ]
    await world.close()


async def test_two_critical_alerts_are_no_storm_and_ring_on_every_contact(crew: Crew) -> None:
    world = crew.world
    for n in range(3):
        await world.report(a_report(f"disk:{n}", severity=5, at=world.clock.at))
        world.clock.advance(SECOND)
    await world.pass_time(MINUTE)
    anna = [line.removesuffix(" at main") for line in told(crew) if "anna" in line or "+4915100000001" in line]
    assert anna == [
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:10 ntfy anna: digest of 2",
        "00:10 sms +4915100000001: digest of 2",
    ]


async def test_if_the_quickest_contact_cannot_carry_the_storm_the_next_one_does(crew: Crew) -> None:
    world = crew.world
    await world.report(*[a_report(f"disk:{n}", severity=4, at=world.clock.at) for n in range(50)])
    world.ntfy.outcome = Outcome(Result.TEMPORARY, "HTTP 500")
    await world.pass_time(MINUTE)
    anna = [line.removesuffix(" at main") for line in told(crew) if "+4915100000001" in line]
    assert anna == ["00:00 sms +4915100000001: opened", "00:10 sms +4915100000001: digest of 49"]


async def test_two_alerts_of_one_cause_are_two_messages_the_second_a_little_later(crew: Crew) -> None:
    world = crew.world
    await world.report(a_report("disk:/", severity=2, at=world.clock.at))
    await world.report(a_report("disk:/var", severity=2, at=world.clock.at))
    await world.pass_time(MINUTE)
    pushes = [line for line in told(crew) if "anna" in line]
    assert pushes == ["00:00 ntfy anna: opened at main", "00:10 ntfy anna: opened at main"]


async def test_another_cause_or_another_site_waits_for_nothing(crew: Crew) -> None:
    world = crew.world
    for kind, site in (("disk.full", "main"), ("cpu.high", "main"), ("disk.full", "other")):
        await world.report(a_report(kind, type=kind, site=site, severity=2, at=world.clock.at))
    assert len([line for line in told(crew) if line.startswith("00:00 ntfy anna")]) == 3


async def test_what_is_over_before_its_group_leaves_is_told_to_nobody(crew: Crew) -> None:
    world = crew.world
    for n in range(4):
        await world.report(a_report(f"disk:{n}", severity=2, at=world.clock.at))
    await world.pass_time(5 * SECOND)
    await world.report(*[a_recovery(f"disk:{n}", at=world.clock.at) for n in (1, 2)])
    await world.pass_time(MINUTE)
    pushes = [line for line in told(crew) if "anna" in line]
    assert pushes == ["00:00 ntfy anna: opened at main", "00:10 ntfy anna: opened at main"]


async def test_a_storm_that_goes_on_is_told_of_ever_more_rarely(crew: Crew) -> None:
    world = crew.world
    for second in range(0, 600, 5):
        await world.report(*[a_report(f"disk:{second + n}", severity=2, at=world.clock.at) for n in range(5)])
        world.clock.advance(5 * SECOND)
        await world.turn()
    await world.pass_time(2 * MINUTE)
    pushes = [line.partition(" at")[0] for line in told(crew) if "anna" in line]
    assert pushes == [
        "00:00 ntfy anna: opened",
        "00:10 ntfy anna: digest of 9",
        "01:10 ntfy anna: digest of 60",
        "06:10 ntfy anna: digest of 300",
        "11:10 ntfy anna: digest of 230",
    ]


async def test_the_end_of_a_storm_is_one_message_more(crew: Crew) -> None:
    world = crew.world
    await world.report(*[a_report(f"disk:{n}", severity=2, at=world.clock.at) for n in range(30)])
    await world.pass_time(MINUTE)
    await world.report(*[a_recovery(f"disk:{n}", at=world.clock.at) for n in range(30)])
    await world.pass_time(MINUTE)
    assert [line.partition(" ")[2] for line in told(crew) if "anna" in line] == [
        "ntfy anna: opened at main",
        "ntfy anna: digest of 29 at main",
        "ntfy anna: resolved at main",
        "ntfy anna: digest of 29 at main",
    ]


async def test_what_waited_for_its_group_when_the_server_died_is_sent_all_the_same(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path, group_wait_seconds=10)
    await Crew(world).start(NIGHT)
    await world.report(*[a_report(f"disk:{n}", severity=2, at=world.clock.at) for n in range(30)])
    world.clock.advance(5 * SECOND)
    await world.restart()
    await world.pass_time(2 * MINUTE)
    assert Counter(m.status for m in world.messages() if m.kind == "opened") == {"sent": 90}
    await world.close()


@pytest.mark.claim("N6", "K12")
async def test_a_restart_in_the_middle_of_a_storm_tells_nobody_more_often(database_url: str, tmp_path: Path) -> None:
    """Killed after five seconds, and again after a minute: Anna's push, her text and her call come to five messages all the same."""
    world = World(database_url, tmp_path, group_wait_seconds=10)
    crew = await Crew(world).start(NIGHT)
    await crew.contact("anna", "voice", "+4915100000001")
    for second in range(10):
        kinds = range(second * 3, second * 3 + 3)
        await world.report(*[a_report(f"disk:{n}", type=f"disk.full{n % 2}", severity=4, at=world.clock.at) for n in kinds])
        if second == 5:
            await world.restart()
        world.clock.advance(SECOND)
        await world.turn()
    await world.pass_time(20 * SECOND)
    await world.restart()
    await world.pass_time(2 * MINUTE)
    anna = [line.removesuffix(" at main") for line in told(crew) if "anna" in line or "+4915100000001" in line]
    assert anna == [
        "00:00 ntfy anna: opened",
        "00:00 ntfy anna: opened",
        "00:00 sms +4915100000001: opened",
        "00:00 voice +4915100000001: opened",
        "00:10 ntfy anna: digest of 28",
    ]
    assert set(carried_to(crew)["anna"]) == set(range(1, 31))
    await world.close()


async def test_what_waited_when_the_server_died_leaves_as_one(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path, group_wait_seconds=10)
    crew = await Crew(world).start(NIGHT)
    await world.report(*[a_report(f"disk:{n}", severity=2, at=world.clock.at) for n in range(5)])
    await world.delivery.drain(5)
    world.clock.advance(2 * HOUR)  # nobody noticed
    await world.restart()
    await world.pass_time(MINUTE)
    assert [line for line in told(crew) if "ntfy anna" in line] == [
        "00:00 ntfy anna: opened at main",
        "120:00 ntfy anna: digest of 4 at main",
    ]
    await world.close()


# What comes and goes.


async def flaps(crew: Crew, minutes: int) -> None:
    """Every two minutes it is over, and back two minutes later."""
    world = crew.world
    end = world.clock.at + minutes * MINUTE
    while world.clock.at < end:
        await world.report(a_report(severity=2, at=world.clock.at))
        await world.pass_time(2 * MINUTE)
        await world.report(a_recovery(at=world.clock.at))
        await world.pass_time(2 * MINUTE)


def heard(crew: Crew) -> list[str]:
    return [
        line.partition(" ntfy anna: ")[0] + line.partition("anna:")[2].removesuffix(" at main") for line in told(crew) if "anna" in line
    ]


async def test_flapping_for_an_hour_is_a_few_messages_and_ends_calmly(crew: Crew) -> None:
    """Until it is known to flap, each change is told; then once, that it comes and goes; then nothing until it stays away."""
    world = crew.world
    await flaps(crew, 60)
    assert world.alert().status == "open", "its recoveries do not resolve it while it flaps"
    await world.pass_time(12 * MINUTE)
    await flaps(crew, 4)
    await world.pass_time(30 * MINUTE)
    assert heard(crew) == [
        "00:00 opened",
        "02:00 resolved",
        "04:00 opened",
        "06:00 resolved",
        "08:00 opened",
        "10:00 resolved",
        "12:00 opened",
        "72:00 repeated",
        "89:00 resolved",
    ]
    assert world.details(1, "flapping") == [{"times": 3, "within": "8 min"}, {"times": 12, "within": "1 h"}]
    assert "calmed: it has stayed away for long enough" in world.history(1)
    assert "resolved: it has stayed away for long enough" in world.history(1)
    assert (world.alert().status, world.alert().resolved_by, world.alert().noise_at) == ("resolved", "tocsin", None)
    headlines = [headline(letter) for letter in world.ntfy.letters if letter.contact.target == "anna"]
    assert headlines[6].startswith("Comes and goes, 3 times within 8 min: Disk full")


async def test_an_acknowledgement_outlives_the_flapping(crew: Crew) -> None:
    world = crew.world
    await flaps(crew, 16)
    await world.acknowledge(world.alert(), "ben@example.com")
    before = heard(crew)
    await flaps(crew, 100)
    assert (world.alert().status, world.alert().acknowledged_by) == ("acknowledged", "ben@example.com")
    assert heard(crew) == before, "who has it is not told again and again"


async def test_a_silence_outlives_the_flapping(crew: Crew) -> None:
    world = crew.world
    await flaps(crew, 16)
    await keep(world, a_silence("type=disk.full", starts_at=world.clock.at, ends_at=world.clock.at + 100 * MINUTE))
    before = heard(crew)
    await flaps(crew, 90)
    assert heard(crew) == before
    assert world.alert().muted_by is not None


async def test_what_stays_is_an_alert_like_any_other_again(crew: Crew) -> None:
    world = crew.world
    await flaps(crew, 12)
    await world.report(a_report(severity=2, at=world.clock.at))
    before = heard(crew)
    await world.pass_time(16 * MINUTE)
    assert "calmed: it has stayed for long enough without going away" in world.history(1)
    assert (world.alert().status, heard(crew)) == ("open", before)
    await world.report(a_recovery(at=world.clock.at))
    assert world.alert().status == "resolved"
    assert heard(crew)[-1].endswith("resolved")


async def test_getting_worse_pages_in_the_middle_of_the_flapping(crew: Crew) -> None:
    world = crew.world
    await flaps(crew, 16)
    await world.report(a_report(severity=5, at=world.clock.at))
    assert heard(crew)[-1].endswith("escalated")


async def test_what_somebody_resolved_and_came_back_is_not_flapping(crew: Crew) -> None:
    world = crew.world
    for _ in range(6):
        await world.report(a_report(severity=2, at=world.clock.at))
        await world.pass_time(MINUTE)
        await world.resolve(world.alert())
        await world.pass_time(MINUTE)
    assert not any("flapping" in line for line in world.history(1))


async def test_a_slow_flapping_over_several_alerts_is_seen_too(crew: Crew) -> None:
    """It stays away for longer than the flap window, so that each time is an alert of its own, linked to the one before."""
    world = crew.world
    for _ in range(5):
        await world.report(a_report(severity=2, at=world.clock.at))
        await world.report(a_recovery(at=world.clock.at))
        await world.pass_time(11 * MINUTE)
    flapping = [alert for alert in world.alerts() if alert.flap and '"since"' in alert.flap]
    assert len(world.alerts()) == 4
    assert [alert.number for alert in flapping] == [4]


async def test_flapping_survives_a_restart_of_the_server(database_url: str, tmp_path: Path) -> None:
    world = World(database_url, tmp_path)
    crew = await Crew(world).start(NIGHT)
    await flaps(crew, 16)
    await world.restart()
    await world.pass_time(20 * MINUTE)
    assert world.alert().status == "resolved"
    assert heard(crew)[-1].endswith("resolved")
    await world.close()
