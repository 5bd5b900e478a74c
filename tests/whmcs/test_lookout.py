"""WHMCS looked at every five minutes (M4): what is kept, what becomes an alert, and what ends it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.standins.whmcs import CONTRACT, IDENTIFIER, SECRET, WhmcsStandIn
from tests.world import World
from tocsin.alerts.model import Alert
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.events.model import EventInput, Incoming
from tocsin.metrics.model import SeriesFilter
from tocsin.net.http import HttpDoor
from tocsin.pipeline.lookout import EVERY, Lookout
from tocsin.pipeline.survey import Place
from tocsin.whmcs import judging, store
from tocsin.whmcs.client import WhmcsApi
from tocsin.whmcs.facts import ACTIONS, moment
from tocsin.whmcs.model import Admin, Admins, Automation, Capacities, Capacity, Health, Look, Problem, Queue, Standing
from tocsin.whmcs.reading import WhmcsFault

ANSWERS = CONTRACT["answers"]
READ = {action.name: action.read for action in ACTIONS}
NINE_FORTY = 1_773_481_200_000  # 2026-03-14 09:40:00
QUIET: dict[str, Any] = {
    "GetHealthStatus": {"checks": {"success": [{"name": "phpVersion"}], "warning": [], "danger": ""}},
    "GetModuleQueue": {"count": 0, "queue": []},
}


@pytest.fixture
async def whmcs() -> AsyncIterator[WhmcsStandIn]:
    """An installation that is well."""
    async with WhmcsStandIn() as standin:
        standin.answers.update(QUIET)
        standin.servers = [{**CONTRACT["answers"]["GetServers"]["servers"][1]}]
        yield standin


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


@pytest.fixture
def lookout(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> Lookout:
    return a_lookout(world, whmcs, door)


def a_lookout(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> Lookout:
    core = world.core
    api = WhmcsApi(door, f"{whmcs.url}/whmcs", IDENTIFIER, SECRET)
    return Lookout(
        api,
        core.writer,
        core.clock,
        core.ingest,
        core.history,
        Place(core.sites.get("main").id, "main"),
        core.sites.get("main").catalogue.reads,
        lambda: 0.0,
    )


def looks(world: World) -> dict[str, Look]:
    with world.core.database.read() as connection:
        return store.looks(connection, world.core.sites.get("main").id)


def alerts(world: World) -> dict[str, Alert]:
    return {alert.type: alert for alert in world.alerts()}


# --- What is read ------------------------------------------------------------------------------------------------------


@pytest.mark.claim("origin:A11")
def test_every_documented_answer_is_read() -> None:
    assert READ["GetAutomationLog"](ANSWERS["GetAutomationLog"]) == Automation(NINE_FORTY, NINE_FORTY - (6 * HOUR + 39 * MINUTE + 56_000))
    health = READ["GetHealthStatus"](ANSWERS["GetHealthStatus"])
    assert isinstance(health, Health)
    assert (health.well, [c.name for c in health.warnings], [c.name for c in health.dangers]) == (
        3,
        ["displayErrors", "cronFrequency"],
        ["configWritable"],
    )
    assert READ["GetAdminUsers"](ANSWERS["GetAdminUsers"]) == Admins(
        (Admin(1, "admin", 1, two_factor=False, disabled=False, failed_logins=2), Admin(3, "dana", 2, True, False, 0))
    )
    servers = READ["GetServers"](ANSWERS["GetServers"])
    assert isinstance(servers, Capacities)
    assert [(one.id, one.percent, one.active) for one in servers.servers] == [(1, 91, True), (2, 32, True), (3, 0, False)]


def test_flat_keys_and_nested_ones_are_the_same_queue() -> None:
    nested = READ["GetModuleQueue"](ANSWERS["GetModuleQueue"])
    assert nested == READ["GetModuleQueue"](ANSWERS["GetModuleQueue (flat)"])
    assert isinstance(nested, Queue)
    assert (nested.waiting, nested.oldest) == (2, moment("2026-03-14 08:59:41"))
    assert nested.first[1] == "enom RegisterDomain of domain 402: Insufficient registrar balance"


def test_a_version_that_lists_no_checks_is_not_taken_for_healthy() -> None:
    assert READ["GetHealthStatus"](ANSWERS["GetHealthStatus (documented)"]) == Health(told=False, well=0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "0", "success", "name", "version"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = ("whmcs", "checks", "queue", "servers", "admin_users", "currentDatetime", "allActive", "income_today", "queue[0][serviceId]")


@given(st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4))
def test_no_answer_however_odd_is_more_than_a_named_fault(document: dict[str, Any]) -> None:
    for action in ACTIONS:
        try:
            facts = action.read(document)
        except WhmcsFault:
            continue
        judging.problems(facts, NINE_FORTY, {})
        assert msgspec.json.decode(msgspec.json.encode(facts), type=action.shape) == facts


# --- What follows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "severity"),
    [(6 * HOUR, None), (DAY, None), (DAY + 15 * MINUTE, None), (DAY + 16 * MINUTE, 4), (36 * HOUR, 4), (37 * HOUR, 5)],
)
def test_the_daily_cron_is_overdue_after_a_day_as_whmcs_itself_says(age: int, severity: int | None) -> None:
    found = judging.problems(Automation(NINE_FORTY, NINE_FORTY - age), None, {})
    assert [one.severity for one in found] == ([] if severity is None else [severity])


def test_a_cron_that_never_ran_is_a_problem() -> None:
    assert [one.title for one in judging.problems(Automation(NINE_FORTY, None), None, {})] == ["The daily cron of WHMCS has never run"]


@pytest.mark.parametrize(
    ("queue", "severity"),
    [
        (Queue(0, None, ()), None),
        (Queue(2, NINE_FORTY - 40 * MINUTE, ()), None),
        (Queue(2, NINE_FORTY - 2 * HOUR, ()), 3),
        (Queue(1, NINE_FORTY - 25 * HOUR, ()), 4),
        (Queue(20, None, ()), 4),
    ],
)
def test_failed_module_actions_are_a_problem_when_they_are_old_or_many(queue: Queue, severity: int | None) -> None:
    assert [one.severity for one in judging.problems(queue, NINE_FORTY, {})] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("services", "stands", "severity"),
    [(89, False, None), (90, False, 3), (89, True, 3), (88, True, 3), (87, True, None), (100, False, 4), (120, True, 4)],
)
def test_a_server_is_full_at_ninety_percent_and_no_longer_below_eighty_eight(services: int, stands: bool, severity: int | None) -> None:
    facts = Capacities((Capacity(1, "Web 1", "web1", True, services, 100), Capacity(2, "Old", "old", False, 100, 100)))
    standing = {"whmcs.server_full|server:1": Standing(3, 0)} if stands else {}
    assert [one.severity for one in judging.problems(facts, None, standing)] == ([] if severity is None else [severity])


DANA = Admin(3, "dana", 2, two_factor=True, disabled=False, failed_logins=0)


@pytest.mark.parametrize(
    ("before", "after", "types"),
    [
        (DANA, DANA, []),
        (None, DANA, ["whmcs.admin_added"]),
        (DANA, msgspec.structs.replace(DANA, role=1), ["whmcs.admin_role_changed"]),
        (DANA, msgspec.structs.replace(DANA, two_factor=False), ["whmcs.admin_two_factor_removed"]),
        (msgspec.structs.replace(DANA, disabled=True), DANA, ["whmcs.admin_enabled"]),
        (DANA, msgspec.structs.replace(DANA, failed_logins=2), ["admin.login_failed"]),
        (msgspec.structs.replace(DANA, failed_logins=2), DANA, []),
    ],
)
def test_what_happens_to_administrators_is_news(before: Admin | None, after: Admin, types: list[str]) -> None:
    assert [one.type for one in judging.news(Admins(() if before is None else (before,)), Admins((after,)))] == types


def test_the_first_look_at_administrators_brings_no_news() -> None:
    assert judging.news(None, Admins((DANA,))) == []


def test_what_stands_is_told_at_once_louder_at_once_and_again_after_an_hour() -> None:
    problem = Problem("a.b", "x", 3, "It is wrong")
    first = judging.tell([problem], {}, 0)
    assert (first.told, first.over) == ([problem], [])
    assert judging.tell([problem], first.standing, HOUR - 1).told == []
    assert judging.tell([problem], first.standing, HOUR).told == [problem]
    louder = msgspec.structs.replace(problem, severity=4)
    assert judging.tell([louder], first.standing, 1).told == [louder]
    assert judging.tell([], first.standing, 1) == judging.Telling([], ["a.b|x"], {})


# --- The whole -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("M4", "origin:A11")
async def test_a_cron_that_stops_is_one_alert_that_ends_when_it_runs_again(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    await lookout.look()
    assert world.alerts() == []
    whmcs.answers["GetAutomationLog"]["currentDatetime"] = "2026-03-15 04:00:00"
    for _ in range(3):
        await lookout.look()
        world.clock.advance(5 * MINUTE)
    (alert,) = world.alerts()
    assert (alert.type, alert.severity, alert.occurrences) == ("whmcs.cron_overdue", 4, 1)
    assert alert.title == "The daily cron of WHMCS has not run for 1 d"
    whmcs.answers["GetAutomationLog"]["lastDailyCronInvocationTime"] = "2026-03-15 03:58:00"
    await lookout.look()
    (alert,) = world.alerts()
    assert alert.status == "resolved"


@pytest.mark.claim("M4", "origin:A11")
async def test_health_queue_and_full_servers_become_alerts_and_all_facts_are_kept(
    world: World, whmcs: WhmcsStandIn, lookout: Lookout
) -> None:
    whmcs.answers["GetHealthStatus"] = ANSWERS["GetHealthStatus"]
    whmcs.answers["GetModuleQueue"] = ANSWERS["GetModuleQueue"]
    whmcs.answers["GetAutomationLog"]["currentDatetime"] = "2026-03-14 12:00:00"
    whmcs.servers = ANSWERS["GetServers"]["servers"]
    await lookout.look()
    titles = {alert.subject: alert.title for alert in world.alerts()}
    assert titles == {
        "health:configWritable": "WHMCS finds a fault with itself: configWritable",
        "health:cronFrequency": "The cron of WHMCS is not called often enough",
        "queue:module": "2 module actions failed and wait, the oldest for 3 h",
        "server:1": "Web 1 is 91 % full: 182 of 200 services",
    }
    found = looks(world)
    assert {action.name for action in ACTIONS} <= found.keys()
    assert all(found[action.name].fault is None and found[action.name].took is not None for action in ACTIONS)
    assert "email" not in (found["GetAdminUsers"].facts or "")


@pytest.mark.claim("M4")
async def test_what_whmcs_says_becomes_series(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    whmcs.answers["GetModuleQueue"] = ANSWERS["GetModuleQueue"]
    await lookout.look()
    with world.core.database.read() as connection:
        found = world.core.history.newest(connection, SeriesFilter(), 0)
    figures = {(one.series.name, *[value for _, value in one.series.labels]): one.value for one in found}
    asked = {key[1] for key in figures if key[0] == "response_ms"}
    assert asked == {action.name for action in ACTIONS} | {"client_area"}
    assert figures["whmcs_cron_age_seconds",] == (6 * HOUR + 39 * MINUTE + 56_000) / 1000
    assert figures["whmcs_queue_actions",] == 2
    assert figures["whmcs_queue_age_seconds",] == pytest.approx(2419, abs=1)
    assert (figures["whmcs_orders_pending",], figures["whmcs_tickets_awaiting_reply",]) == (6, 12)
    assert figures["whmcs_income_today", "USD"] == 412.80
    assert {one.series.host for one in found if one.series.name == "whmcs_server_full_percent"} == {"web2.hosting.example"}


async def test_a_client_area_that_does_not_answer_has_no_time(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    whmcs.page = 503
    await lookout.look()
    with world.core.database.read() as connection:
        assert world.core.history.find(connection, SeriesFilter(labels=(("page", "client_area"),))) == []


@pytest.mark.claim("M4", "E7")
async def test_a_new_administrator_is_told_once(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    await lookout.look()
    whmcs.answers["GetAdminUsers"]["admin_users"].append({"id": 9, "username": "mallory", "roleId": 1, "loginAttempts": "0"})
    whmcs.answers["GetAdminUsers"]["admin_users"][0]["loginAttempts"] = 5
    for _ in range(2):
        await lookout.look()
    assert {alert.type: (alert.title, alert.occurrences) for alert in world.alerts()} == {
        "whmcs.admin_added": ("WHMCS has a new administrator: mallory", 1),
        "admin.login_failed": ("3 failed logins as the WHMCS administrator admin", 1),
    }


@pytest.mark.claim("M4")
async def test_what_the_role_may_not_ask_is_one_alert_that_names_each_and_the_rest_is_watched(
    world: World, whmcs: WhmcsStandIn, lookout: Lookout
) -> None:
    whmcs.forbidden = {"GetStats", "GetAdminUsers"}
    await lookout.look()
    (alert,) = world.alerts()
    assert alert.title == "WHMCS refuses 2 questions: GetAdminUsers, GetStats"
    assert "API Roles: allow GetAdminUsers" in (alert.message or "")
    assert looks(world)["GetTicketCounts"].fault is None
    whmcs.forbidden = set()
    await lookout.look()
    assert [one.status for one in world.alerts()] == ["resolved"]


def log_of(*texts: str, first: int = 100) -> dict[str, Any]:
    """Lines of the activity log, the newest first."""
    entries = [
        {"id": first + place, "description": text, "date": "2026-03-14 09:39:00", "clientId": 0, "userid": 0, "ipaddress": "203.0.113.7"}
        for place, text in enumerate(texts)
    ]
    return {"totalresults": len(texts), "activity": {"entry": entries[::-1]}}


@pytest.mark.claim("E7", "M4")
async def test_lines_of_the_activity_log_that_mean_something_become_alerts_once(
    world: World, whmcs: WhmcsStandIn, lookout: Lookout
) -> None:
    old = "Failed Admin Login Attempt - Username: root"
    whmcs.answers["GetActivityLog"] = log_of(old)
    await lookout.look()
    assert world.alerts() == [], "what was there before the first look is only counted"
    whmcs.answers["GetActivityLog"] = log_of(old, "Invoice 5521 marked as paid", "Failed Admin Login Attempt - Username: mallory", old)
    for _ in range(2):
        await lookout.look()
    assert {alert.subject: (alert.type, alert.occurrences) for alert in world.alerts()} == {
        "admin:mallory": ("admin.login_failed", 1),
        "admin:root": ("admin.login_failed", 1),
    }
    assert world.alerts()[0].first_seen_at == world.clock.now() - MINUTE, "as the server's clock says"
    assert looks(world)["GetActivityLog"].facts == '{"last":103,"lines":[]}', "the lines are not kept"


@pytest.mark.claim("E7")
async def test_while_the_bridge_reports_the_activity_log_is_left_to_it(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    whmcs.answers["GetActivityLog"] = log_of("a")
    await lookout.look()
    event = EventInput(type="whmcs.metrics", status="info", severity=1, source="bridge-1", sequence=1)
    await world.report(Incoming(event, "main", world.clock.now()))
    whmcs.answers["GetActivityLog"] = log_of("a", "Failed Admin Login Attempt - Username: root")
    await lookout.look()
    assert world.alerts() == []
    world.clock.advance(2 * HOUR)
    whmcs.answers["GetActivityLog"] = log_of(
        "a", "Failed Admin Login Attempt - Username: root", "Failed Admin Login Attempt - Username: eve"
    )
    await lookout.look()
    assert [alert.subject for alert in world.alerts()] == ["admin:eve"]


async def test_an_answer_that_fails_ends_no_alert_and_keeps_the_last_facts(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    whmcs.answers["GetHealthStatus"] = ANSWERS["GetHealthStatus"]
    await lookout.look()
    whmcs.forbidden = {"GetHealthStatus"}
    await lookout.look()
    assert {alert.status for alert in world.alerts()} == {"open"}
    look = looks(world)["GetHealthStatus"]
    assert "refuses GetHealthStatus" in (look.fault or "")
    assert "configWritable" in (look.facts or "")


async def test_when_whmcs_refuses_the_first_question_the_others_are_not_asked(world: World, whmcs: WhmcsStandIn, lookout: Lookout) -> None:
    whmcs.refuses = "bad_identifier"
    await lookout.look()
    assert whmcs.taken == ["WhmcsDetails"]
    assert world.alerts() == []  # the survey tells it
    assert "WHMCS_API_ID" in (looks(world)["WhmcsDetails"].cure or "")


async def test_of_two_processes_one_looks(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    both = [a_lookout(world, whmcs, door) for _ in range(2)]
    for _ in range(2):
        for one in both:
            one.begin_if_due()
        for one in both:
            assert one._task is not None
            await one._task
        world.clock.advance(EVERY)
    assert whmcs.taken.count("WhmcsDetails") == 2
    for one in both:
        await one.close()


@pytest.mark.parametrize("place", range(3))
async def test_a_look_that_is_broken_off_is_done_again_and_tells_once(
    world: World, whmcs: WhmcsStandIn, lookout: Lookout, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lookout.look()
    whmcs.answers["GetAdminUsers"]["admin_users"].append({"id": 9, "username": "mallory", "roleId": 1})
    real, calls = store.keep_look, 0

    def dies(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 5 + place:
            raise RuntimeError("killed")
        real(*given)

    monkeypatch.setattr(store, "keep_look", dies)
    with pytest.raises(RuntimeError):
        await lookout.look()
    monkeypatch.undo()
    await lookout.look()
    assert [(alert.type, alert.occurrences) for alert in world.alerts()] == [("whmcs.admin_added", 1)]
