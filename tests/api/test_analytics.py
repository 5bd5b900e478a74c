"""``/analytics`` over HTTP, on both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.service import OTHER_SITE, Service
from tests.build import a_recovery, a_report
from tocsin.core.clock import DAY, HOUR, MINUTE

pytestmark = pytest.mark.claim("A11")


def at(ms: int) -> str:
    """The moment for an address."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")


async def a_day(service: Service) -> int:
    """One alert is taken after 4 minutes and over after 10, one comes back, one stays open, one is another site's. Says when it began."""
    world, began = service.world, service.world.clock.now()
    await world.report(a_report("disk:/"), a_report("disk:/var", severity=5), a_report("disk:/", site=OTHER_SITE, at=began))
    world.clock.at += 4 * MINUTE
    (first,) = (await service.admin.get("/alerts", site="main", q="disk:/var"))["items"]
    await service.admin.post(f"/alerts/{first['id']}/acknowledge")
    world.clock.at += 6 * MINUTE
    await world.report(a_recovery("disk:/var", at=world.clock.now()))
    world.clock.at += MINUTE
    await world.report(a_report("disk:/var", severity=5, at=world.clock.now()))
    world.clock.at += MINUTE
    return began


@pytest.mark.claim("K8", "R3", "R4", "R5")
async def test_a_summary_counts_answers_ends_and_what_is_open(service: Service) -> None:
    began = await a_day(service)
    found = await service.reader.get("/analytics/summary", **{"from": at(began), "to": at(began + DAY), "site": "main"})
    assert (found["mtta_seconds"], found["mttr_seconds"], found["escalation_rate"]) == (240.0, 600.0, 0.0)
    assert (found["alerts"], found["acknowledged"], found["resolved"], found["unresolved"]) == (3, 1, 1, 2)
    assert found["by_severity"] == {"5": 2, "4": 0, "3": 1, "2": 0, "1": 0}
    assert found["by_type"] == {"disk.full": 3}
    assert [(one["subject"], one["alerts"], one["occurrences"]) for one in found["noisiest"]] == [("disk:/var", 2, 4), ("disk:/", 1, 1)]
    assert sum(found["by_hour"]) == sum(found["by_weekday"]) == sum(map(sum, found["by_weekday_and_hour"])) == 3
    assert sum(one["day"] + one["night"] for one in found["people"]) > 0
    assert found["before"]["alerts"] == 0
    assert found["before"]["mtta_seconds"] is None


@pytest.mark.claim("K8", "R3")
async def test_the_period_before_has_the_same_length(service: Service) -> None:
    began = await a_day(service)
    found = await service.reader.get("/analytics/summary", **{"from": at(began + DAY), "to": at(began + 2 * DAY), "site": "main"})
    assert (found["alerts"], found["before"]["alerts"]) == (0, 3)
    assert found["before"]["mtta_seconds"] == 240.0
    assert found["before"]["from"].startswith(at(began)[:19])


async def test_who_may_see_one_site_sees_the_figures_of_that_only(service: Service) -> None:
    began = await a_day(service)
    span = {"from": at(began), "to": at(began + DAY)}
    own = await service.tenant.get("/analytics/summary", **span)
    assert (own["alerts"], own["unresolved"], [one["site"] for one in own["noisiest"]]) == (1, 1, [OTHER_SITE])
    assert (await service.reader.get("/analytics/summary", **span))["alerts"] == 4
    await service.tenant.refused("GET", "/analytics/summary?site=main", 404)
    await service.sender.refused("GET", "/analytics/summary", 403)


@pytest.mark.claim("K8", "R3")
async def test_a_series_adds_up_to_the_summary(service: Service) -> None:
    began = await a_day(service)
    span: dict[str, Any] = {"from": at(began - HOUR), "to": at(began + 2 * HOUR), "time_zone": "Asia/Kathmandu"}
    alerts = await service.reader.get("/analytics/series", metric="alerts", step="hour", **span)
    assert sum(point["value"] for point in alerts["points"]) == 4
    assert len(alerts["points"]) in (4, 5)
    (answered,) = [
        point for point in (await service.reader.get("/analytics/series", metric="mtta_seconds", **span))["points"] if point["count"]
    ]
    assert (answered["value"], answered["count"]) == (240.0, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("from=0001-01-01T00:00:00Z", "from"),
        ("time_zone=Mars/Olympus", "time_zone"),
        ("time_zone=../../etc/passwd", "time_zone"),
        ("from=yesterday", "from"),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(sqlite_service: Service, query: str, field: str) -> None:
    problem = await sqlite_service.reader.refused("GET", f"/analytics/summary?{query}", 422)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_hours_are_shown_of_a_month_at_most(sqlite_service: Service) -> None:
    query = "metric=alerts&step=hour&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z"
    await sqlite_service.reader.refused("GET", f"/analytics/series?{query}", 422)
    await sqlite_service.reader.refused("GET", "/analytics/series?metric=happiness", 422)
