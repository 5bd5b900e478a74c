"""Every figure of the dashboard is the API's, before something happens and after it: nothing on a page is made up or kept too long."""

import re

import pytest

from tests.api.service import Service
from tests.checks.build import DOWN, FINE, Watched, a_check
from tests.web.browser import Browser, a_person
from tocsin.core.clock import MINUTE
from tocsin.core.times import in_words


async def on_pages(browser: Browser) -> dict[str, str]:
    """What a person reads."""
    looked = {
        "/": r"without an owner (?P<open>\d+) somebody has (?P<taken>\d+) snoozed (?P<snoozed>\d+)",
        "/alerts": r"Needs action (?P<open>\d+) Acknowledged (?P<taken>\d+) Snoozed (?P<snoozed>\d+) Resolved (?P<resolved>\d+)",
        "/events": r"Events (?P<events>\d+) events?, (?P<problems>\d+) of them problems",
        "/analytics?days=7": (
            r"alerts before: 0 (?P<began>\d+) to acknowledge nothing before to compare with (?P<mtta>.+?) to resolve nothing before"
            r" to compare with (?P<mttr>.+?) escalated .* Critical: (?P<critical>\d+) High: (?P<high>\d+)"
        ),
        "/settings/health": r"messages wait (?P<waiting>\d+) sent in 24 hours (?P<sent>\d+) .*events ever taken (?P<events>\d+)",
        "/availability?days=1": r" (?P<uptime>[\d.]+)% .*(?P<outages>\d+) in this time, the latest first",
    }
    found: dict[str, str] = {}
    for path, pattern in looked.items():
        await browser.get(path)
        seen = re.search(pattern, browser.text)
        assert seen, (path, browser.text[:3000])
        found |= {f"{path} {name}": value for name, value in seen.groupdict().items()}
    return found


async def by_the_api(service: Service) -> dict[str, str]:
    """What a program is answered."""
    alerts = {
        status: len((await service.reader.get("/alerts", status=status, limit=1000))["items"])
        for status in ("open", "acknowledged", "snoozed", "resolved")
    }
    events = (await service.reader.get("/events", limit=1000))["items"]
    summary = await service.reader.get("/analytics/summary")
    (shop,) = (await service.reader.get("/availability"))["items"]
    metrics = (await service.reader.ask("GET", "//metrics")).text
    stored = dict(re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", metrics, flags=re.MULTILINE))
    return {
        **{f"{path} open": str(alerts["open"]) for path in ("/", "/alerts")},
        **{f"{path} taken": str(alerts["acknowledged"]) for path in ("/", "/alerts")},
        **{f"{path} snoozed": str(alerts["snoozed"]) for path in ("/", "/alerts")},
        "/alerts resolved": str(alerts["resolved"]),
        "/events events": str(len(events)),
        "/events problems": str(sum(event["status"] == "problem" for event in events)),
        "/analytics?days=7 began": str(summary["alerts"]),
        "/analytics?days=7 mtta": in_words(round(summary["mtta_seconds"] * 1000)),
        "/analytics?days=7 mttr": in_words(round(summary["mttr_seconds"] * 1000)),
        "/analytics?days=7 critical": str(summary["by_severity"]["5"]),
        "/analytics?days=7 high": str(summary["by_severity"]["4"]),
        "/settings/health waiting": stored.get('tocsin_notifications{status="pending"}', "0"),
        "/settings/health sent": stored['tocsin_notifications{status="sent"}'],
        "/settings/health events": stored["tocsin_events_accepted_total"],
        "/availability?days=1 uptime": f"{shop['uptime_percent']:.2f}",
        "/availability?days=1 outages": str(shop["outages"]),
    }


@pytest.mark.claim("R7", "A19", "R6")
async def test_each_figure_of_a_page_is_what_the_api_answers_and_moves_with_it(service: Service) -> None:
    await a_person(service, "marta@example.com")
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    shop = await Watched.make(service.world, a_check(retries=0))
    before: dict[str, str] = {}
    for round_ in (1, 2):
        await shop.lives_for(30 * MINUTE, FINE)
        await shop.lives_for(round_ * 5 * MINUTE, DOWN)
        await shop.lives_for(20 * MINUTE, FINE)
        trouble = [{"type": "disk.full", "subject": f"disk:{round_}:{severity}", "severity": severity} for severity in (3, 4, 4, 5)]
        await service.send(*[{**one, "subject": f"{one['subject']}:{place}"} for place, one in enumerate(trouble)], {"type": "order.paid"})
        numbers = [alert["number"] for alert in (await service.reader.get("/alerts", status="open", sort="number"))["items"]]
        service.world.clock.advance(3 * MINUTE)
        await service.writer.post(f"/alerts/{numbers[0]}/acknowledge")
        await service.writer.post(f"/alerts/{numbers[1]}/snooze", {"for_seconds": 3600})
        service.world.clock.advance(4 * MINUTE)
        await service.writer.post(f"/alerts/{numbers[2]}/resolve")
        await service.world.settle()
        service.world.clock.advance(MINUTE)
        shown = await on_pages(browser)
        assert shown == await by_the_api(service)
        still = {name for name, value in shown.items() if before.get(name) == value}
        assert still <= {"/settings/health waiting", "/analytics?days=7 mtta"}, "a figure that does not move is made up"
        before = shown
