"""What WHMCS and its bridge say, as figures."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.build import a_report
from tests.fakes import NOW
from tests.world import World
from tocsin.events.model import EventInput, Incoming
from tocsin.metrics.model import SeriesFilter
from tocsin.metrics.rules import is_name
from tocsin.whmcs import figures
from tocsin.whmcs.figures import Figure, amount, of_counters


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$412.80 USD", (412.80, "USD")),
        ("412,80 EUR", (412.80, "EUR")),
        ("1.234,50 \u20ac", (1234.50, "")),
        ("CHF 9'310", (9310.0, "CHF")),
        ("1,234,567.89", (1234567.89, "")),
        ("\u00a51200", (1200.0, "")),
        ("1,234", (1234.0, "")),
        ("1.234.567", (1234567.0, "")),
        ("12.5 GBP", (12.5, "GBP")),
        ("-3.20 USD", (-3.20, "USD")),
        ("0", (0.0, "")),
        ("1 234.50 SEK", (1234.50, "SEK")),
        ("none", None),
        ("", None),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, found: tuple[float, str] | None) -> None:
    assert amount(text) == found


COUNTED: dict[str, Any] = {
    "whmcs.mail.sending": {"count": 6, "by": {"Invoice Created": 3}},
    "whmcs.cron.task_finished": {"count": 4, "failed": 1, "seconds": 9.5, "seconds_max": 7.25},
    "whmcs.page.client": {"count": 4, "seconds_sum": 1.0, "seconds_max": 0.5},
    "whmcs.database.client": {"count": 90, "seconds_sum": 0.18, "seconds_max": 0.1},
    "whmcs.database.admin": {"count": 10, "seconds_sum": 0.12, "seconds_max": 0.2},
    "whmcs.database.odd": {"count": 0, "seconds_sum": 5.0},
    "whmcs.user.logouts": 3,
    "whmcs.Odd Name": {"count": 1},
    "other.thing": {"count": 1},
    "whmcs.links.followed": {"count": True},
    "whmcs.downloads": {"count": 1e300},
}


def test_what_the_bridge_counts_is_how_often_how_often_in_vain_and_how_long() -> None:
    assert of_counters(COUNTED) == [
        Figure("whmcs_mail_sending_count", 6.0),
        Figure("whmcs_cron_task_finished_count", 4.0),
        Figure("whmcs_cron_task_finished_failed_count", 1.0),
        Figure("whmcs_cron_task_finished_max_seconds", 7.25),
        Figure("whmcs_page_client_count", 4.0),
        Figure("whmcs_page_client_max_seconds", 0.5),
        Figure("whmcs_page_client_mean_seconds", 0.25),
        Figure("whmcs_database_client_count", 90.0),
        Figure("whmcs_database_client_max_seconds", 0.1),
        Figure("whmcs_database_client_mean_seconds", 0.002),
        Figure("whmcs_database_admin_count", 10.0),
        Figure("whmcs_database_admin_max_seconds", 0.2),
        Figure("whmcs_database_admin_mean_seconds", 0.012),
        Figure("whmcs_database_odd_count", 0.0),
        Figure("db_query_ms", 3.0),
    ]


@given(
    st.dictionaries(st.text(max_size=20) | st.just("whmcs.a.b"), st.recursive(st.none() | st.floats() | st.text(), st.lists), max_size=5)
)
def test_odd_counts_are_passed_over(attributes: dict[str, Any]) -> None:
    assert all(is_name(one.name) for one in figures.of_counters(attributes))


@pytest.mark.claim("M4")
async def test_the_bridge_s_counts_are_series_of_its_site_and_come_once(world: World) -> None:
    event = EventInput(
        type="whmcs.metrics",
        id="0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10",
        status="info",
        severity=1,
        attributes=msgspec.Raw(msgspec.json.encode(COUNTED)),
    )
    for _ in range(2):
        await world.report(Incoming(event, "acme", NOW), a_report("disk:/"))
    with world.core.database.read() as connection:
        found = world.core.history.newest(connection, SeriesFilter(site_ids=frozenset({world.core.sites.get("acme").id})), 0)
    assert {one.series.name: one.value for one in found} == {one.name: one.value for one in of_counters(COUNTED)}
