"""The explorer: any series side by side, of any time, and only those that the reader may see."""

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.api.service import OTHER_SITE, Service
from tests.web.browser import Browser, a_person, sees_only
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import InvalidInput
from tocsin.core.times import to_text
from tocsin.identity.model import Role
from tocsin.metrics.model import Series
from tocsin.web.explore import rules
from tocsin.web.explore.rules import Selection

pytestmark = pytest.mark.claim("U3")
words = st.text("abcdefghij-._", min_size=1, max_size=12)
labels = st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), st.text("ab/.: =1", min_size=1, max_size=8), max_size=3)
selections = st.lists(
    st.builds(
        Selection, st.just("cpu_percent") | st.just("load_1m"), st.none() | words, labels.map(lambda some: tuple(sorted(some.items())))
    ),
    max_size=rules.MOST,
    unique=True,
)


async def log_in(service: Service, only: str | None = None) -> Browser:
    person = await a_person(service, "marta@example.com", Role.ADMIN if only is None else Role.VIEWER, "Marta Weiss")
    if only is not None:
        await sees_only(service, person, only)
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    return browser


async def measure(service: Service, *more: dict[str, Any]) -> int:
    now = service.world.clock.now()
    samples = [
        {"name": name, "host": host, "value": value, "at": to_text(now - minutes * MINUTE), "labels": found}
        for name, host, value, found in (
            ("cpu_percent", "srv-1", 31.0, {}),
            ("cpu_percent", "srv-2", 52.0, {}),
            ("disk_percent", "srv-1", 81.0, {"mount": "/"}),
            ("disk_percent", "srv-1", 44.0, {"mount": "/var"}),
            ("load_1m", "srv-1", 1.5, {}),
        )
        for minutes in (40, 20, 0)
    ]
    await service.sender.post("/metrics", {"samples": [*samples, *more]}, 202)
    return now


def chart_addresses(browser: Browser) -> list[str]:
    return [html.unescape(found).replace("../", "/").removeprefix("/") for found in re.findall(r'data-chart="([^"]+)"', browser.page.text)]


async def chart(browser: Browser, address: str) -> dict[str, Any]:
    answer = await browser.client.get(f"/{address}")
    assert answer.status_code == 200, answer.text
    return dict(json.loads(answer.text))


async def test_several_series_stand_in_one_chart_for_each_unit(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    await marta.get("/explore")
    assert "Nothing is measured yet" in marta.text
    await measure(sqlite_service)
    await marta.get("/explore")
    assert "Everything that is measured" in marta.text
    await marta.get("/explore?name=cpu_percent&range=6h", follow_redirects=True)
    await marta.get("/explore?show=cpu_percent&name=disk_percent&host=srv-1&labels=mount%3D/&range=6h", follow_redirects=True)
    assert str(marta.page.url).endswith("?show=cpu_percent%7Cdisk_percent%40srv-1%7Bmount%3D%2F%7D&range=6h&agg=avg")
    (address,) = chart_addresses(marta)
    found = await chart(marta, address)
    assert [one["name"] for one in found["series"]] == ["srv-1 cpu percent", "srv-2 cpu percent", "srv-1 disk percent /"]
    assert found["unit"] == "%"
    assert [one["values"][-1] for one in found["series"]] == [31, 52, 81]
    await marta.get("/explore?show=cpu_percent@srv-1|load_1m@srv-1&range=36h")
    assert len(chart_addresses(marta)) == 2, "a chart for each unit"


async def test_a_chart_stands_beside_the_week_before_and_shows_other_figures(sqlite_service: Service) -> None:
    marta, now = await log_in(sqlite_service), sqlite_service.world.clock.now()
    old = {"name": "cpu_percent", "host": "srv-1", "value": 11.0, "at": to_text(now - 7 * DAY - HOUR // 2)}
    await measure(sqlite_service, old)
    found = await chart(marta, "explore/chart?show=cpu_percent@srv-1&unit=percent&range=1h&compare=week&agg=max")
    assert [one["name"] for one in found["series"]] == ["srv-1", "srv-1 a week before"]
    since, until = to_text(now - 8 * DAY), to_text(now - 6 * DAY)
    found = await chart(marta, f"explore/chart?show=cpu_percent@srv-1&unit=percent&from={since}&to={until}")
    assert [value for one in found["series"] for value in one["values"] if value is not None] == [11]


async def test_nobody_sees_what_is_measured_at_other_sites(sqlite_service: Service) -> None:
    await measure(sqlite_service)
    tenant = await log_in(sqlite_service, only=OTHER_SITE)
    await tenant.get("/explore?show=cpu_percent")
    assert "srv-1" not in tenant.page.text
    assert (await chart(tenant, "explore/chart?show=cpu_percent&unit=percent"))["series"] == []


@pytest.mark.claim("H1")
async def test_what_is_selected_is_removed_for_good_by_an_administrator_alone(sqlite_service: Service) -> None:
    await measure(sqlite_service)
    tenant = await log_in(sqlite_service, only="main")
    await tenant.get("/explore?show=cpu_percent")
    assert "Remove for good" not in tenant.text
    await a_person(sqlite_service, "boss@example.com", Role.ADMIN, "Bo Sander")
    boss = Browser(sqlite_service)
    await boss.log_in("boss@example.com")
    await boss.get("/explore?show=cpu_percent|disk_percent@srv-1{mount=/}")
    assert "Remove for good" in boss.text
    await boss.post("/explore/remove", csrf=boss.csrf, show="cpu_percent|disk_percent@srv-1{mount=/}")
    await boss.get(boss.place.replace("../", "/"))
    assert "3 series are removed." in boss.text
    left = (await sqlite_service.reader.get("/metrics/series"))["items"]
    assert [(one["name"], one["labels"]) for one in left] == [("disk_percent", {"mount": "/var"}), ("load_1m", {})]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("show=cpu%20percent", "must be metrics such as"),
        ("show=" + "|".join(f"cpu_percent@web{n}" for n in range(13)), "at most 12"),
        ("show=cpu_percent&range=soon", "such as 36h"),
        ("show=cpu_percent&range=9999d", "1,100 days"),
        ("show=cpu_percent&from=2100-01-01T00:00:00Z", "in the past"),
        ("show=cpu_percent{9=1}", "labels such as"),
        ("agg=p50", "p50"),
    ],
)
async def test_what_cannot_be_shown_is_named(sqlite_service: Service, query: str, says: str) -> None:
    marta = await log_in(sqlite_service)
    answer = await marta.client.get(f"/explore?{query}")
    assert answer.status_code == 422
    assert says in html.unescape(answer.text)


async def test_of_more_series_than_a_chart_holds_the_first_are_drawn(sqlite_service: Service) -> None:
    marta = await log_in(sqlite_service)
    before = to_text(sqlite_service.world.clock.now() - MINUTE)
    await measure(sqlite_service, *[{"name": "cpu_percent", "host": f"web{n}", "value": n, "at": before} for n in range(8)])
    await marta.get("/explore?show=cpu_percent")
    assert "the first 8 are drawn" in marta.text
    assert len((await chart(marta, "explore/chart?show=cpu_percent&unit=percent"))["series"]) == 8


@given(selections)
def test_selections_survive_the_address(some: list[Selection]) -> None:
    written = rules.written(some)
    assert rules.written(rules.read(written)) == written or any(value != value.strip() for one in some for _, value in one.labels)


def test_lines_are_called_by_what_tells_them_apart() -> None:
    one = Series(1, 1, "cpu_percent", "srv-1", (), 0)
    other, twin = Series(2, 1, "cpu_percent", "srv-2", (), 0), Series(3, 2, "cpu_percent", "srv-1", (), 0)
    picture = rules.picture("percent", rules.read("cpu_percent|swap_percent|load_1m"))
    assert (picture.title, picture.unit) == ("Cpu, swap", "%")
    picture = rules.picture("1m", rules.read("cpu_percent|load_1m"))
    assert (picture.title, picture.unit) == ("Load 1m", "")
    assert rules.names_of([one, other], str)(one, picture) == "srv-1"
    assert rules.names_of([one, twin], lambda site: f"site {site}")(twin, picture) == "srv-1 (site 2)"
    with pytest.raises(InvalidInput, match="at most 12"):
        rules.read("|".join(f"cpu_percent@web{n}" for n in range(13)))
