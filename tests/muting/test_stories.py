"""When it is quiet, and who hears of what when it ends: whole stories on a fake clock, on both databases."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec import Raw

from tests.build import ONCALL_PHONE, a_recovery, a_report
from tests.fakes import DOWN, NOW, SENT
from tests.muting.build import a_dependency, a_maintenance, a_silence, at, drop, keep, refresh
from tests.world import World
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.db import tables
from tocsin.muting import service, store
from tocsin.muting.model import Dependency

HOST: dict[str, Any] = {"host": "web-1"}


def pages(world: World) -> list[str]:
    """What the phone got on the first level, in order: ``opened 1``; the levels after it have stories of their own."""
    return [f"{letter.message.kind} {letter.alert.number}" for letter in world.ntfy.letters if letter.message.step == 0]


@pytest.mark.claim("A7")
async def test_what_is_still_there_when_the_maintenance_ends_pages_at_once(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_maintenance(ends_at=NOW + 2 * HOUR))

    await world.report(a_report("disk:/", **HOST))
    alert = world.alert()
    assert alert.muted_by == 'maintenance "Kernel update" until 2025-11-25 03:00 Europe/Berlin'
    assert world.details(alert.number, "opened") == [{"severity": 3, "told": f"nobody: muted by {alert.muted_by}"}]
    await world.report(a_report("disk:/", severity=5, **HOST))
    await world.pass_time(2 * HOUR - SECOND)
    assert pages(world) == []

    await world.pass_time(SECOND)
    assert pages(world) == ["repeated 1"]
    assert world.ntfy.letters[0].now == NOW + 2 * HOUR
    assert world.alert().muted_by is None
    assert world.history(alert.number)[:3] == [
        "opened: first event of this problem",
        "severity_raised: severity rose",
        "unmuted: what kept it quiet ended with the problem still there",
    ]
    await world.pass_time(DAY)
    assert pages(world) == ["repeated 1"]


@pytest.mark.claim("A7")
async def test_a_silence_over_a_night_mutes_what_it_names_and_nothing_else(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence("severity~[1-3]", ends_at=NOW + 8 * HOUR, comment="night: only what is loud"))

    await world.report(a_report("disk:/", severity=3), a_report("disk:/var", severity=4))
    assert pages(world) == ["opened 2"]
    await world.pass_time(HOUR)
    await world.report(a_report("disk:/", severity=4))
    assert pages(world) == ["opened 2", "escalated 1"], "it has become louder than what the silence names"
    assert world.alert(1).muted_by is None

    await world.report(a_report("disk:/home", severity=2))
    await world.pass_time(7 * HOUR)
    assert pages(world) == ["opened 2", "escalated 1", "repeated 3"]


@pytest.mark.claim("A7")
async def test_what_comes_and_goes_while_muted_is_never_heard_of(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence())
    for _ in range(3):
        await world.report(a_report("disk:/", **HOST))
        await world.pass_time(MINUTE)
        await world.report(a_recovery("disk:/", **HOST))
        await world.pass_time(MINUTE)
    assert world.alert().status == "resolved"
    assert world.alert().muted_by is None
    await world.pass_time(2 * HOUR)
    assert pages(world) == []
    assert world.messages() == []


async def test_who_was_told_before_the_silence_hears_once_that_it_is_over(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report("disk:/", **HOST))
    await keep(world, a_silence())
    assert world.history(1)[-1] == "muted: a silence, maintenance or dependency began to keep it quiet"
    for _ in range(2):
        await world.report(a_recovery("disk:/", **HOST))
        await world.pass_time(SECOND)
        await world.report(a_report("disk:/", **HOST))
        await world.pass_time(SECOND)
    assert pages(world) == ["opened 1", "resolved 1"]


async def test_a_muted_alert_that_somebody_takes_or_snoozes_does_not_page_when_the_mute_ends(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence())
    await world.report(a_report("disk:/", **HOST), a_report("disk:/var", **HOST))
    await world.acknowledge(world.alert(1))
    await world.resolve(world.alert(2))
    await world.pass_time(HOUR)
    assert pages(world) == []
    assert world.alert(1).muted_by is None
    assert world.alert(1).status == "acknowledged"


async def test_an_acknowledgement_that_expires_during_a_silence_pages_only_when_the_silence_ends(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence(ends_at=NOW + 3 * HOUR))
    await world.report(a_report("disk:/", **HOST))
    await world.act(world.alert(), world.core.actions.acknowledge("marta@example.com", None, HOUR))
    await world.pass_time(2 * HOUR)
    assert world.alert().status == "open"
    assert pages(world) == []
    await world.pass_time(HOUR)
    assert pages(world) == ["repeated 1"]


@pytest.mark.claim("A7")
async def test_a_silence_takes_back_what_is_still_waiting_to_be_sent(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report("disk:/", **HOST))
    assert [m.status for m in world.messages()] == ["pending"]
    await keep(world, a_silence(ends_at=NOW + 2 * MINUTE))
    (message,) = world.messages()
    assert (message.status, message.last_error) == ("cancelled", "the alert was muted before this was sent")

    await world.pass_time(2 * MINUTE)
    assert world.messages()[-1].kind == "repeated"


async def test_the_look_before_sending_sees_a_silence_that_the_engine_has_not_come_to_yet(world: World) -> None:
    await world.people(ONCALL_PHONE)
    world.ntfy.outcome = DOWN
    await world.report(a_report("disk:/", **HOST))
    await world.write(lambda tx: store.add(tx, a_silence(ends_at=NOW + 3 * MINUTE)))
    world.core.refresh()
    world.clock.advance(MINUTE)
    await world.delivery.cycle()
    (message,) = world.messages()
    assert (message.status, message.last_error) == ("cancelled", "the alert was muted before this was sent")
    assert world.alert().muted_by is not None, "marked, so that it pages when the silence ends"
    world.ntfy.outcome = SENT
    await world.pass_time(3 * MINUTE)
    assert pages(world)[-1] == "repeated 1"


async def test_a_silence_that_is_taken_away_early_lets_what_is_open_page_at_once(world: World) -> None:
    await world.people(ONCALL_PHONE)
    silence = a_silence()
    await keep(world, silence)
    await world.report(a_report("disk:/", **HOST))
    await world.pass_time(MINUTE)
    await drop(world, silence)
    assert pages(world) == ["repeated 1"]


@pytest.mark.claim("A7")
async def test_of_two_mutes_that_overlap_the_last_to_end_decides(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence(ends_at=NOW + 2 * HOUR), a_maintenance(starts_at=NOW + HOUR, ends_at=NOW + 4 * HOUR))
    await world.report(a_report("disk:/", **HOST))
    assert "silence" in str(world.alert().muted_by)
    await world.pass_time(3 * HOUR)
    assert "maintenance" in str(world.alert().muted_by)
    assert pages(world) == []
    assert world.history(1)[-1] == "muted: something else keeps it quiet now"
    await world.pass_time(HOUR)
    assert pages(world) == ["repeated 1"]


@pytest.mark.claim("A7")
async def test_a_maintenance_that_recurs_starts_by_the_clock_on_the_wall_on_both_dst_nights(sqlite_world: World) -> None:
    world = sqlite_world
    await world.people(ONCALL_PHONE)
    sundays = a_maintenance(
        starts_at=at("2026-03-22 03:00", "Europe/Berlin"), ends_at=at("2026-03-22 04:00", "Europe/Berlin"), rrule="FREQ=WEEKLY;BYDAY=SU"
    )
    world.clock.at = at("2026-03-29 00:50")  # 01:50 in Berlin; at 02:00 clocks go to 03:00
    await keep(world, sundays)
    await world.report(a_report("disk:/", at=world.clock.at, **HOST))
    assert pages(world) == ["opened 1"]
    await world.report(a_recovery("disk:/", at=world.clock.at, **HOST))
    await world.pass_time(10 * MINUTE)
    await world.report(a_report("disk:/var", at=world.clock.at, **HOST))  # 03:00 in Berlin
    assert world.alert(2).muted_by == 'maintenance "Kernel update" until 2026-03-29 04:00 Europe/Berlin'
    await world.pass_time(HOUR)
    assert pages(world)[-1] == "repeated 2"
    assert world.ntfy.letters[-1].now == at("2026-03-29 02:00"), "04:00 in Berlin"

    world.clock.at = at("2026-10-25 01:30")  # 02:30 for the second time
    await world.turn()
    assert world.core.mutes.at(world.clock.at).until == at("2026-10-25 02:00"), "03:00 in Berlin, an hour later by UTC than in summer"


@pytest.mark.claim("M7")
async def test_a_host_that_is_down_mutes_its_twelve_checks_and_the_one_that_still_fails_afterwards_pages(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_dependency())
    down = a_report("server:3", type="server.down", severity=5, host="web-1")
    checks = [a_report(f"check:{n}", type="check.http", severity=4, host="web-1") for n in range(12)]
    await world.report(down, *checks, a_report("check:99", type="check.http", severity=4, host="web-2"))
    assert sorted(pages(world)) == ["opened 1", "opened 14"], "the host, and a check on another one"
    muted = [alert.muted_by for alert in world.alerts() if alert.muted_by]
    assert muted == ['dependency "checks behind their host" while alert 1 (server.down web-1) is not resolved'] * 12

    await world.pass_time(HOUR)
    recovered = [a_recovery(f"check:{n}", type="check.http", host="web-1") for n in range(11)]
    await world.report(*recovered)
    assert len(pages(world)) == 2
    await world.report(a_recovery("server:3", type="server.down", host="web-1"))
    await world.pass_time(SECOND)
    assert pages(world)[2:] == ["resolved 1", "repeated 13"]


@pytest.mark.claim("M7")
async def test_a_check_that_fails_before_its_host_is_found_down_becomes_quiet_then(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_dependency())
    await world.report(a_report("check:1", type="check.http", severity=4, host="web-1"))
    await world.report(a_report("server:3", type="server.down", severity=5, host="web-1"))
    await world.pass_time(SECOND)
    assert "alert 2" in str(world.alert(1).muted_by)
    await world.report(a_report("check:1", type="check.http", severity=5, host="web-1"))
    assert pages(world) == ["opened 1", "opened 2"]


async def test_a_dependency_that_is_made_while_the_parent_is_down_counts_at_once(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(a_report("server:3", type="server.down", severity=5, host="web-1"))
    await keep(world, a_dependency())
    await world.report(a_report("check:1", type="check.http", severity=4, host="web-1"))
    assert pages(world) == ["opened 1"]


async def test_a_parent_that_is_silenced_keeps_its_children_quiet_until_it_is_up(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_dependency(), a_silence("type=server.down"))
    await world.report(a_report("server:3", type="server.down", severity=5, host="web-1"))
    await world.report(a_report("check:1", type="check.http", severity=4, host="web-1"))
    assert pages(world) == []
    await world.pass_time(HOUR)
    assert pages(world) == ["repeated 1"], "the silence is over, the host still down: the check stays quiet behind it"


@pytest.mark.claim("M9")
async def test_in_whmcs_maintenance_mode_the_client_area_is_quiet_and_cron_and_payments_stay_armed(world: World) -> None:
    await world.people(ONCALL_PHONE)
    client_area, cron = {"area": "client"}, {"area": "cron"}
    mode: dict[str, Any] = {"title": None, "severity": None, "status": None, "subject": None}
    await world.report(a_report(type="system.maintenance_started", **mode))
    assert (world.alert(1).title, world.alert(1).severity) == ("WHMCS is in maintenance mode", 3)
    await world.report(
        a_report("check:1", type="check.http", severity=4, attributes=Raw(msgspec.json.encode(client_area))),
        a_report("check:2", type="check.cron", severity=4, attributes=Raw(msgspec.json.encode(cron))),
        a_report("invoice:7", type="invoice.payment_failed", severity=4),
        a_report("check:1", site="other", type="check.http", severity=4, attributes=Raw(msgspec.json.encode(client_area))),
    )
    assert [(a.number, a.muted_by is not None) for a in world.alerts()] == [(1, False), (2, True), (3, False), (4, False), (5, False)]

    await world.report(a_report(type="system.maintenance_ended", **mode))
    await world.pass_time(SECOND)
    assert pages(world)[-2:] == ["resolved 1", "repeated 2"], "the mode is off, the client area still down"


async def test_what_an_installation_begins_with_stays_away_once_it_is_removed(world: World) -> None:
    (shipped,) = world.rows(sa.select(tables.dependencies.c.id))
    await world.write(lambda tx: store.remove(tx, Dependency, shipped.id))
    await world.write(lambda tx: service.ship(tx, NOW))
    assert world.rows(sa.select(tables.dependencies.c.id)) == []


@pytest.mark.claim("A7")
async def test_a_restart_between_the_end_of_a_mute_and_its_page_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_maintenance())
    await world.report(*[a_report(f"disk:/{n}", severity=4, **HOST) for n in range(5)])
    world.clock.advance(HOUR)

    def dies(*_: object) -> None:
        raise RuntimeError("killed before the commit")

    with monkeypatch.context() as patch:
        patch.setattr("tocsin.pipeline.muting.alert_store.save", dies)
        with pytest.raises(RuntimeError):
            await world.write(world.core.sweep.step)
    assert all(alert.muted_by for alert in world.alerts())

    other = type(world.core.sweep)(world.clock, world.core.mutes, world.core.rules, world.core.announcer)  # another life, another node
    while await world.write(other.step):
        pass
    await world.pass_time(HOUR)
    assert sorted(pages(world)) == [f"repeated {n}" for n in range(1, 6)]


async def test_more_alerts_than_fit_one_transaction_are_all_looked_at(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await world.report(*[a_report(f"disk:/{n:04}", severity=1, **HOST) for n in range(600)])
    silence = a_silence()
    await keep(world, silence)
    assert sum(alert.muted_by is not None for alert in world.alerts()) == 600
    await drop(world, silence)
    assert sum(alert.muted_by is not None for alert in world.alerts()) == 0


async def test_attributes_are_those_with_which_the_alert_opened(world: World) -> None:
    await world.people(ONCALL_PHONE)
    await keep(world, a_silence("attributes.gateway=stripe", "attributes.test=true"))
    await world.report(a_report("invoice:1", attributes=Raw(b'{"gateway": "stripe", "test": true}'), severity=3))
    await world.report(a_report("invoice:2", attributes=Raw(b'{"gateway": "paypal", "test": true}'), severity=3))
    await world.report(a_report("invoice:1", attributes=Raw(b'{"gateway": "paypal"}'), severity=4))
    assert pages(world) == ["opened 2"]


async def test_a_row_that_this_release_cannot_read_mutes_nothing_and_stops_nothing(world: World) -> None:
    await world.people(ONCALL_PHONE)
    silence, broken = a_silence(), a_silence(number=2)
    await keep(world, silence, broken)
    await world.write(lambda tx: tx.sql.execute(sa.update(tables.silences).where(tables.silences.c.id == broken.id).values(matchers="[]")))
    await refresh(world)
    await world.report(a_report("disk:/", **HOST))
    assert pages(world) == []
