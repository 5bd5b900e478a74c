"""The made-up company: its past is what the rules make of it, its present goes on, and nothing of it leaves the machine."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import sqlalchemy as sa

from tests.build import a_letter
from tests.cli.program import Inside
from tocsin import bootstrap
from tocsin.alerts.model import Alert
from tocsin.audit import store as audit
from tocsin.bootstrap import Core, Server
from tocsin.checks import store as checks
from tocsin.checks.model import Cause, Definition, Level, Status, TcpTarget
from tocsin.cli import demo as command, serve
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import Conflict
from tocsin.db import tables
from tocsin.demo import business, fleet, history, live, sink, troubles, watched
from tocsin.demo.business import Business
from tocsin.heartbeats import model as heartbeats_model, store as heartbeats
from tocsin.hosts import model as hosts_model, store as hosts
from tocsin.metrics.model import SeriesFilter
from tocsin.notify.model import Result
from tocsin.pipeline import promises
from tocsin.settings import Settings, load

pytestmark = pytest.mark.claim("O8")
NOW = int(datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()) * 1000  # a Tuesday
SHORT = 3  # days


def settings_in(folder: Path) -> Settings:
    return load({"TOCSIN_DATA_DIR": str(folder), "TOCSIN_LISTEN": "127.0.0.1:8499"})


def lived(folder: Path, seed: int = 7, days: int = 1, now: int = NOW) -> Core:
    """A company with a short past."""
    clock = history.TimeMachine(now - days * DAY)
    core = bootstrap.build_core(settings_in(folder), clock)
    assert list(history.live_through(core, clock, now, seed, days)) == list(range(1, days + 1))
    return core


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """One with three days behind it, that nobody changes."""
    with closing(lived(tmp_path_factory.mktemp("company"), days=SHORT)) as core:
        yield core


def alerts_of(core: Core) -> list[Alert]:
    with core.database.read() as connection:
        return [Alert(*row) for row in connection.execute(sa.select(tables.alerts).order_by(tables.alerts.c.number))]


def test_it_can_be_made_just_after_midnight_when_nothing_was_measured_today(tmp_path: Path) -> None:
    with closing(lived(tmp_path, now=NOW // DAY * DAY + SECOND)) as core:
        assert alerts_of(core) != []


def test_the_past_is_what_the_pipeline_would_have_written(company: Core) -> None:
    with company.database.read() as connection:
        alerts = alerts_of(company)
        lines = connection.execute(sa.select(tables.alert_history.c.alert_number, tables.alert_history.c.action)).all()
        done = Counter(map(tuple, lines))
        for alert in alerts:
            assert done[alert.number, "opened"] == 1
            assert (done[alert.number, "resolved"] > 0) == (alert.resolved_at is not None)
            assert alert.acknowledged_at is None or alert.acknowledged_at >= alert.first_seen_at
        assert {"open", "acknowledged", "resolved"} == {alert.status for alert in alerts}
        assert [one for one in alerts if one.severity == 5 and one.status == "acknowledged"], "somebody has srv-12"
        assert promises.look(connection, NOW) == []
        assert audit.verify(connection)[1] is None
        told = connection.execute(sa.select(tables.outbox.c.status, sa.func.count()).group_by(tables.outbox.c.status)).all()
        assert dict(map(tuple, told))["sent"] > 20
        assert {status for status, _ in told} <= {"sent", "cancelled", "pending"}
        counted = connection.execute(sa.select(sa.func.sum(tables.event_counts.c.events))).scalar_one()
        assert counted == connection.execute(sa.select(sa.func.count()).select_from(tables.events)).scalar_one() > 1_000


def test_the_same_seed_makes_the_same_past(tmp_path: Path) -> None:
    def seen(folder: str, seed: int) -> list[tuple[object, ...]]:
        with closing(lived(tmp_path / folder, seed)) as core:
            return [(a.title, a.status, a.first_seen_at, a.acknowledged_by, a.resolved_at, a.occurrences) for a in alerts_of(core)]

    first = seen("a", 7)
    assert first == seen("b", 7)
    assert first != seen("c", 8)


def test_twelve_servers_have_measured_all_the_time_but_when_they_were_down(company: Core) -> None:
    with company.database.read() as connection:
        every = hosts.hosts(connection)
        series = company.history.find(connection, SeriesFilter(name="cpu_percent"))
        points = {one.host: company.history.points(connection, one.id, 0, NOW) for one in series}
        answers = company.history.newest(connection, SeriesFilter(name="response_ms"), NOW - HOUR)
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.late_days)).scalar_one() == 0, "all is rolled up"
    assert [one.name for one in every if one.status is hosts_model.Status.SILENT] == ["srv-12"]
    assert {one.host for one in series} == {one.name for one in every} == set(fleet.BY_NAME)
    for host, found in points.items():
        assert found[0][0] < NOW - SHORT * DAY + 5 * MINUTE
        assert found[-1][0] > NOW - (20 if host == "srv-12" else 5) * MINUTE
        assert len(found) > SHORT * 288 - 120, host
    assert points["srv-12"][-1][0] < NOW - 14 * MINUTE
    assert len(answers) > len(watched.CHECKS) - 4


def test_what_is_watched_knows_of_the_outage_and_of_the_certificate_that_ends(company: Core) -> None:
    with company.database.read() as connection:
        found = {one.definition.name: one for one in checks.of_sites(connection, None)}
        spans = checks.spans(connection, [one.id for one in found.values()], NOW - SHORT * DAY, NOW)
        looks = checks.results(connection, found["Client area of Nordlicht"].id, None, 1_000)
        beats = {one.name: one.status for one in heartbeats.heartbeats(connection)}
    assert [name for name, one in found.items() if one.status is Status.DOWN] == ["HTTPS of srv-12", "SSH of srv-12"]
    down = found["HTTPS of srv-12"]
    last = spans[down.id][-1]
    assert (last.ends_at, last.starts_at) == (None, NOW - 14 * MINUTE + 15 * SECOND), "since the first look that found it"
    assert len(looks) > 500
    types = {(alert.type, alert.status): alert.title for alert in alerts_of(company)}
    assert types["certificate.expiring", "open"] == "Certificate of webmail.kiezhost.example: the certificate expires in 13 days"
    assert types["check.down", "open"]
    assert types["host.silent", "open"] == "srv-12 is silent"
    assert beats["Off-site copy"] is heartbeats_model.Status.FAILED
    assert beats["Backup of srv-12"] is heartbeats_model.Status.UP


def test_servers_follow_the_business_and_show_what_befalls_them() -> None:
    happened = list(troubles.past(random.Random(7), NOW - 90 * DAY, NOW - 10 * HOUR))
    began, machine = NOW - 10 * HOUR - 19 * DAY - 3 * HOUR, fleet.BY_NAME["srv-12"]
    times = fleet.moments(machine, began - 5 * DAY, began + 5 * DAY)
    cpu_times, cpu = fleet.measured(machine, times, happened, NOW, 7)["cpu_percent", ()]
    assert not ((cpu_times >= began) & (cpu_times < began + 33 * MINUTE)).any(), "nothing comes from a server that is down"
    working = [value for at, value in zip(cpu_times.tolist(), cpu.tolist(), strict=True) if business.busyness(at) > 0.9]
    quiet = [value for at, value in zip(cpu_times.tolist(), cpu.tolist(), strict=True) if business.busyness(at) < 0.2]
    assert sum(working) / len(working) > 2 * sum(quiet) / len(quiet)
    shop = fleet.BY_NAME["srv-02"]
    paid = NOW - 10 * HOUR - 61 * DAY - 7 * HOUR
    calm, rush = (
        fleet.measured(shop, fleet.moments(shop, paid, paid + 50 * MINUTE), some, NOW, 7)["network_connections", ()][1].mean()
        for some in ((), happened)
    )
    assert rush > 1.5 * calm, "people try to pay again and again"
    filling = fleet.BY_NAME["srv-03"]
    days = [fleet.moments(filling, NOW - ago * DAY, NOW - (ago - 1) * DAY) for ago in (90, 1)]
    first, last = (fleet.measured(filling, some, (), NOW, 7)["disk_percent", (("mount", "/var"),)][1].mean() for some in days)
    assert (round(first), round(last)) == (50, 97)


async def test_servers_checks_and_jobs_go_on_and_ask_nobody(tmp_path: Path) -> None:
    with closing(lived(tmp_path / "a")) as core:
        core.refresh()
        server, machines = cast("Server", SimpleNamespace(core=core)), live.Machines(7)
        await machines.go_on(server, NOW)
        with core.database.read() as connection:
            heard = {one.name: one.last_seen_at for one in hosts.hosts(connection)}
            newest = core.history.newest(connection, SeriesFilter(name="cpu_percent"), NOW - MINUTE)
        assert {name for name, at in heard.items() if at < NOW} == {"srv-12"}
        assert {one.series.host for one in newest if one.at == NOW} == set(heard) - {"srv-12"}
        found = {one.name: await machines.look(one.definition) for one in watched.CHECKS}
        assert {name for name, one in found.items() if one.level is Level.FAILED} == {"HTTPS of srv-12", "SSH of srv-12"}
        stranger = await machines.look(Definition(name="mine", target=TcpTarget(host="192.0.2.1", port=22)))
        assert (stranger.level, stranger.cause) == (None, Cause.OUR_RULES)


def test_business_has_the_rhythm_of_the_week_and_of_the_month() -> None:
    orders = Business(random.Random(1))

    def day(of_month: int) -> Counter[str]:
        begins = int(datetime(2026, 11, of_month, tzinfo=UTC).timestamp()) * 1000
        return Counter(one.input.type for hour in range(24) for one in orders.between(begins + hour * HOUR, begins + (hour + 1) * HOUR))

    tuesday, sunday, last = day(17), day(22), day(30)
    assert sunday.total() < tuesday.total() * 0.7
    assert last["invoice.created"] > 300
    assert tuesday["invoice.created"] == 0


def test_ninety_days_have_two_outages_and_people_who_take_minutes() -> None:
    found = list(troubles.past(random.Random(7), NOW - 90 * DAY, NOW))
    assert 250 < len(found) < 700
    assert sum(one.host == "srv-12" and one.began == NOW - 19 * DAY - 3 * HOUR for one in found) == 1
    taken = sorted(one.taken_after for one in found if one.taken_after is not None and one.severity >= 4)
    assert 2 * MINUTE < taken[len(taken) // 2] < 10 * MINUTE


def test_trouble_comes_and_goes_while_it_runs() -> None:
    script = live.Script(random.Random(3), NOW)
    begun, over = Counter[str](), Counter[str]()
    for at in range(NOW, NOW + 2 * HOUR, 2 * SECOND):
        for deed in script.due(at):
            (begun if deed.what == "happens" else over if deed.what == "over" else Counter())[deed.trouble.key] += 1
            assert begun.total() - over.total() <= live.MOST
    assert begun.total() > 15
    assert begun.total() - over.total() <= live.MOST


async def test_a_message_becomes_a_line_in_a_file_and_goes_nowhere(tmp_path: Path) -> None:
    channel = sink.channels(tmp_path)["ntfy"]
    left = []
    outcome = await channel.send(a_letter(), lambda: left.append(1))
    assert outcome.result is Result.SENT
    (line,) = (tmp_path / sink.MESSAGES).read_text().splitlines()
    assert " ntfy to " in line
    assert left


def test_a_folder_with_other_data_is_left_alone(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    answer = inside.run("demo", "--folder", str(tmp_path / "mine"), "--new")
    assert answer.is_one_complaint()
    assert "holds other data" in answer.err
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_it_is_made_once_and_says_how_to_come_in(inside: Inside, tmp_path: Path) -> None:
    monkeypatch = inside.patch
    served = []
    monkeypatch.setattr(serve, "serve", lambda settings, *_: served.append(settings.data_dir))
    monkeypatch.setattr(serve, "bound", lambda _: StringIO())
    monkeypatch.setattr(command, "make", lambda settings, seed, make=command.make: make(settings, seed, 1))
    folder, passwords = tmp_path / "demo-data", []
    for _ in range(2):
        command.run(folder, "127.0.0.1:8499", 7, new=False)
        said = inside.capture.readouterr().err
        assert "http://127.0.0.1:8499" in said
        assert str(folder / sink.MESSAGES) in said
        passwords.append(said.partition("password ")[2].split()[0])
    assert served == [folder, folder]
    assert len(set(passwords)) == 2
    with pytest.raises(Conflict, match="of its own"):
        command.refuse_other_data(tmp_path)
