"""What an alert costs: the services behind a server, the dues of a gateway (A12)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.build import a_report
from tests.standins.whmcs import IDENTIFIER, SECRET, WhmcsStandIn, a_service
from tests.world import World
from tocsin import bootstrap
from tocsin.alerts.model import Alert
from tocsin.bootstrap import impact_of
from tocsin.core.clock import HOUR, MINUTE
from tocsin.net.http import HttpDoor
from tocsin.pipeline.survey import Surveyor
from tocsin.settings import SettingsError, load
from tocsin.whmcs.client import PAGE
from tocsin.whmcs.model import Impact, ServiceRow
from tocsin.whmcs.rules import money_in_words, monthly, words

NOW = 1_773_480_000_000  # 14 March 2026


@pytest.mark.parametrize(
    ("cycle", "amount", "month"),
    [
        ("Monthly", "12.00", 1200),
        ("Quarterly", "30.00", 1000),
        ("Semi-Annually", "60.00", 1000),
        ("Annually", "120.00", 1000),
        ("Biennially", "240.00", 1000),
        ("Triennially", "360.00", 1000),
        ("One Time", "99.00", 0),
        ("Free Account", "0.00", 0),
    ],
)
def test_each_billing_cycle_is_brought_down_to_a_month(cycle: str, amount: str, month: int) -> None:
    assert monthly(ServiceRow("1", "1", "Active", cycle, amount)) == month


@pytest.mark.parametrize(
    ("impact", "said"),
    [
        (
            Impact("server", "1", (), "Web 1", 182, 140, money={"EUR": 231000}),
            "182 services of 140 clients hang on Web 1: EUR 2,310.00 a month.",
        ),
        (Impact("server", "1", (), "Web 1", 1, 1), "1 service of 1 client hangs on Web 1."),
        (Impact("server", "1", (), "Web 1"), "No active service hangs on Web 1."),
        (
            Impact("gateway", "stripe", (), "stripe", clients=1, due=2, failed=1, money={"USD": 3650}),
            "2 due invoices of 1 client through stripe: USD 36.50, 1 capture failed.",
        ),
    ],
)
def test_it_is_said_in_one_sentence(impact: Impact, said: str) -> None:
    assert words(impact, MINUTE) == said


def test_old_figures_say_how_old_they_are() -> None:
    assert words(Impact("server", "1", (), "Web 1", 1, 1), 5 * HOUR) == "1 service of 1 client hangs on Web 1 (as of 5 h ago)."


def test_currencies_are_never_added_up() -> None:
    assert money_in_words({"USD": 100, "EUR": 250000, "GBP": 5}) == "EUR 2,500.00, USD 1.00 and GBP 0.05"


@pytest.fixture
async def whmcs() -> AsyncIterator[WhmcsStandIn]:
    async with WhmcsStandIn() as standin:
        yield standin


@pytest.fixture
async def door() -> AsyncIterator[HttpDoor]:
    door = HttpDoor(allow_private=True)
    yield door
    await door.close()


def surveyor(world: World, whmcs: WhmcsStandIn, door: HttpDoor, secret: str = SECRET) -> Surveyor:
    """What the server builds from WHMCS_URL, WHMCS_API_ID and WHMCS_API_SECRET."""
    settings = load({"WHMCS_URL": f"{whmcs.url}/whmcs", "WHMCS_API_ID": IDENTIFIER, "WHMCS_API_SECRET": secret})
    connection = bootstrap.connection_of(settings, world.core.sites)
    assert connection is not None
    return bootstrap.whmcs_watch(world.core, door).make(connection).surveyor


async def one_alert(world: World, **event: Any) -> Alert:
    await world.report(a_report(**event))
    (alert,) = world.alerts()
    return alert


@pytest.mark.claim("A12", "C5", "C6", "C7")
async def test_a_server_that_is_down_is_paged_with_what_hangs_on_it(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    await world.people()
    whmcs.services = [
        a_service(1, 1, 7),
        a_service(2, 1, 7, "120.00", "Annually"),
        a_service(3, 1, 8),
        a_service(4, 1, 9, status="Terminated"),
        a_service(5, 2, 9),
    ]
    await surveyor(world, whmcs, door).survey()
    world.delivery._impact = impact_of(world.core)
    await world.report(a_report(type="host.down", host="WEB1.hosting.example", severity=5, title="Web 1 does not answer"))
    sentence = "3 services of 2 clients hang on Web 1: USD 34.00 a month."
    assert {letter.impact for letter in world.ntfy.letters} == {sentence}


@pytest.mark.claim("A12")
async def test_a_refused_payment_is_paged_with_all_that_waits_for_the_gateway(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    await surveyor(world, whmcs, door).survey()
    alert = await one_alert(world, type="gateway.down", attributes=msgspec.Raw(b'{"gateway": "Stripe"}'), title="stripe refuses")
    assert impact_of(world.core)(alert, world.clock.now()) == "1 due invoice of 1 client through stripe: USD 36.50, 1 capture failed."


async def test_what_whmcs_knows_nothing_of_costs_nothing(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    await surveyor(world, whmcs, door).survey()
    alert = await one_alert(world, type="disk.full", host="mail.example.org", attributes=msgspec.Raw(b'{"gateway": null}'))
    assert impact_of(world.core)(alert, world.clock.now()) == ""


async def test_all_pages_are_read_and_no_password_is_kept(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    whmcs.services = [a_service(n, 1, n) for n in range(PAGE + 7)]
    await surveyor(world, whmcs, door).survey()
    found = world.core.impacts.of(world.core.sites.get("main").id, "web1", None, None)
    assert found is not None
    assert found.services == PAGE + 7
    assert whmcs.taken.count("GetClientsProducts") == 2
    with world.core.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT figures FROM impacts").scalars().all()
    assert "service-password" not in "".join(kept)


async def test_with_several_currencies_a_client_pays_in_that_of_their_invoices(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    whmcs.currencies = {"GBP": "0.80000", "EUR": "1.00000"}
    whmcs.services = [a_service(1, 1, 204), a_service(2, 1, 999)]
    await surveyor(world, whmcs, door).survey()
    found = world.core.impacts.of(world.core.sites.get("main").id, None, "server:1", None)
    assert found is not None
    assert found.money == {"USD": 1200, "EUR": 1200}


@pytest.mark.parametrize(
    ("case", "cure"),
    [("ip_not_allowed", "API IP Access Restriction"), ("waf_html", "WHMCS_URL"), ("auth_failed", "WHMCS_API_ID")],
)
async def test_a_refusal_is_one_alert_that_says_what_to_change_and_ends_when_it_works(
    world: World, whmcs: WhmcsStandIn, door: HttpDoor, case: str, cure: str
) -> None:
    survey = surveyor(world, whmcs, door)
    whmcs.refuses = case
    for _ in range(2):
        await survey.survey()
    (alert,) = world.alerts()
    assert (alert.type, alert.status, alert.occurrences) == ("tocsin.whmcs_api", "open", 2)
    assert cure in (alert.message or "")
    whmcs.refuses = None
    await survey.survey()
    (alert,) = world.alerts()
    assert alert.status == "resolved"


async def test_a_role_that_lacks_an_action_is_named_with_it_and_the_last_figures_stay(
    world: World, whmcs: WhmcsStandIn, door: HttpDoor
) -> None:
    whmcs.services = [a_service(1, 1, 7)]
    survey = surveyor(world, whmcs, door)
    await survey.survey()
    whmcs.forbidden = {"GetClientsProducts"}
    await survey.survey()
    (alert,) = world.alerts()
    assert "allow GetClientsProducts" in (alert.message or "")
    assert world.core.impacts.of(world.core.sites.get("main").id, "web1", None, None) is not None


async def test_no_secret_is_in_what_is_said(world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    await surveyor(world, whmcs, door, "not-the-secret").survey()
    await whmcs.stop()
    await surveyor(world, whmcs, door, "not-the-secret").survey()
    (alert,) = world.alerts()
    assert alert.occurrences == 2
    assert "cannot be asked" in alert.title
    assert "not-the-secret" not in f"{alert}"


async def test_the_engine_asks_every_quarter_of_an_hour_and_never_waits(sqlite_world: World, whmcs: WhmcsStandIn, door: HttpDoor) -> None:
    survey = surveyor(sqlite_world, whmcs, door)
    for _ in range(3):
        survey.begin_if_due()
    assert survey._task is not None
    await survey._task
    assert whmcs.taken.count("GetServers") == 1
    sqlite_world.clock.advance(15 * MINUTE)
    survey.begin_if_due()
    await survey._task
    assert whmcs.taken.count("GetServers") == 2
    await survey.close()


def test_half_of_the_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="WHMCS_URL is set, and WHMCS_API_ID is not"):
        load({"WHMCS_URL": "https://billing.example.com", "TOCSIN_DATA_DIR": str(tmp_path)})
