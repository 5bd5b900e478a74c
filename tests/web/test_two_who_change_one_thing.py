"""Two people have the same form open: the second to save is shown what the first did, with all that they typed."""

import pytest

from tests.api.service import Service
from tests.web.browser import Browser, a_person
from tocsin.identity.model import Role

OVERTAKEN = "meanwhile. What you typed is kept below"


@pytest.fixture
async def marta(sqlite_service: Service) -> Browser:
    await a_person(sqlite_service, "marta@example.com", Role.ADMIN, "Marta Weiss")
    browser = Browser(sqlite_service)
    await browser.log_in("marta@example.com")
    return browser


async def second(marta: Browser, form: str, sent: dict[str, str], theirs: dict[str, str], carries: str = "edition") -> str:
    """Sends *theirs* and then *sent* from one state of *form*, and *sent* once more from the page that the second is shown: its words."""
    seen = {"csrf": marta.csrf, carries: marta.hidden(carries)}
    assert (await marta.fill(form, sent | theirs | seen)).status_code == 303
    assert (await marta.fill(form, sent | seen)).status_code == 409
    assert OVERTAKEN in marta.text
    assert "Save over it" in marta.text
    words, page = marta.text, marta.page.text
    wrong = await marta.fill(form, sent | seen | {"severity": "9", "warning": "much"})
    assert wrong.status_code == 422  # a mistake in between does not make it forgotten
    marta.page = wrong
    assert (await marta.fill(form, sent | seen)).status_code == 409
    again = {"csrf": marta.csrf, carries: marta.hidden(carries)}
    assert again[carries] != seen[carries]
    assert (await marta.fill(form, sent | again)).status_code == 303
    return words + page


async def test_of_a_check(sqlite_service: Service, marta: Browser) -> None:
    target = {"kind": "http", "url": "https://shop.example.com/", "headers": {"Authorization": "Bearer s3cret"}}
    made = await sqlite_service.admin.post("/checks", {"name": "Shop", "target": target}, 201)
    form = f"/checks/{made['id']}/edit"
    await marta.get(form)
    sent = {"kind": "http", "name": "The shop", "target.url": "https://shop.example.com/", "do": "save"}
    sent |= {"target.headers": "Authorization: (hidden)"}
    words = await second(marta, form, sent, {"name": "Web shop", "target.url": "https://new.example.com/", "severity": "5"}, "version")
    assert "Where Web shop now differs" in words
    assert "https://new.example.com/" in words
    assert 'value="The shop"' in words
    assert "Severity" in words
    assert "Asked every" not in words.partition("facts")[2].partition("</dl>")[0]  # the same in both
    assert "s3cret" not in words
    kept = await sqlite_service.reader.get(f"/checks/{made['id']}")
    assert (kept["name"], kept["target"]["url"]) == ("The shop", "https://shop.example.com/")


async def test_of_a_check_they_only_paused(sqlite_service: Service, marta: Browser) -> None:
    target = {"kind": "tcp", "host": "shop.example.com", "port": 443}
    made = await sqlite_service.admin.post("/checks", {"name": "Shop", "target": target}, 201)
    form = f"/checks/{made['id']}/edit"
    await marta.get(form)
    sent = {"csrf": marta.csrf, "kind": "tcp", "name": "Shop", "target.host": "shop.example.com", "target.port": "443", "do": "save"}
    sent["version"] = marta.hidden("version")
    await marta.post(f"/checks/{made['id']}/pause", csrf=marta.csrf)
    assert (await marta.fill(form, sent)).status_code == 409
    assert "It was paused." in marta.text


async def test_of_a_heartbeat(sqlite_service: Service, marta: Browser) -> None:
    made = await sqlite_service.admin.post("/heartbeats", {"name": "Backup of db-1", "period_seconds": 3600}, 201)
    form = f"/heartbeats/{made['id']}/edit"
    await marta.get(form)
    sent = {"name": "Backup of db-1", "how": "period", "period_seconds": "3600", "time_zone": "UTC", "grace_seconds": "300"}
    sent |= {"longest_run_seconds": "", "severity": "3"}
    theirs = {"name": "Backup of all", "period_seconds": "86400", "severity": "5", "longest_run_seconds": "600"}
    words = await second(marta, form, sent | {"grace_seconds": "900"}, theirs)
    assert "Backup of all : every 1 d, at most 15 min late, for 10 min at most; its alerts are critical" in words
    assert 'value="900" selected' in words
    kept = await sqlite_service.reader.get(f"/heartbeats/{made['id']}")
    assert (kept["name"], kept["grace_seconds"], kept["longest_run_seconds"]) == ("Backup of db-1", 900, None)


async def test_of_a_threshold(sqlite_service: Service, marta: Browser) -> None:
    made = await sqlite_service.admin.post("/thresholds", {"metric": "disk_percent", "host": "web-1", "warning": 80}, 201)
    form = f"/settings/thresholds/{made['id']}"
    await marta.get("/settings/thresholds")
    sent = {"warning": "70", "critical": "", "clear": "", "for_seconds": "0", "missing_seconds": "", "do": "save"}
    words = await second(marta, form, sent, {"critical": "95", "for_seconds": "300"})
    assert "Warning from 70%. Critical from 95%. For 5 min at least." in words
    kept = await sqlite_service.reader.get(f"/thresholds/{made['id']}")
    assert (kept["warning"], kept["critical"]) == (70, None)


async def test_of_a_row_of_the_catalogue(sqlite_service: Service, marta: Browser) -> None:
    form = "/settings/sites/main/invoice.payment_failed"
    await marta.get(form)
    sent = {"severity": "3", "loud": "default", "title": "Mine: {id}"}
    words = await second(marta, form, sent, {"severity": "5", "loud": "always", "title": "Theirs: {id}"})
    assert "“Theirs: {id}”: critical" in words
    assert "people hear of it always" in words
    assert 'value="Mine: {id}"' in words
    row = sqlite_service.server.core.sites.get("main").catalogue.get("invoice.payment_failed")
    assert row
    assert row.title == "Mine: {id}"
