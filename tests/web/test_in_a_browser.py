"""The dashboard in a real Chromium: what script, style sheets and thumbs do. A fault in the console fails the test."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Route, async_playwright, expect

from tests import showcase
from tests.conftest import Databases
from tests.web import accessibility, every_page, loading, looks
from tests.web.browsing import LEAN, NARROW, WIDE, chromium
from tests.web.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    site = await Site.open(databases.sqlite(folder / "tocsin.db"), Path(folder))
    yield site
    await site.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=LEAN)
        yield browser
        await browser.close()


Opener = Callable[..., Any]


@pytest.fixture
def somebody(site: Site, browser: Browser) -> Opener:
    """Opens a browser in which *who* is logged in; when it is closed nothing may have gone wrong in it."""

    @asynccontextmanager
    async def opened(
        *, phone: bool = False, who: str = showcase.MARTA, expected: str = "^$", **options: Any
    ) -> AsyncIterator[BrowserContext]:
        wide = {"viewport": WIDE} if not phone else {"viewport": NARROW, "is_mobile": True, "has_touch": True}
        context = await browser.new_context(base_url=site.url, locale="en-GB", timezone_id="Europe/Berlin", **wide | options)
        await context.add_cookies([site.cookie(who)])  # type: ignore[list-item]
        context.set_default_timeout(20_000)  # on a machine that has much to do
        faults: list[str] = []

        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not re.search(expected, message.text):
                faults.append(f"{message.type}: {message.text}")

        context.on("console", note)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        yield context
        await context.close()
        assert faults == []

    return opened


CONTROLLED = """() => new Promise(done => {
  const worker = navigator.serviceWorker;
  if (worker.controller) done(); else worker.addEventListener("controllerchange", done);
})"""


MOST = 100_000  # bytes of a first view
NO_VIEW = {"api-docs", "not-there"}  # a book to look things up in; an error


@pytest.mark.claim("K17")
async def test_the_first_view_of_every_page_is_light(site: Site) -> None:
    cookie, known = site.cookie(showcase.MARTA), every_page.known(site)
    views = {**every_page.PAGES, "login": every_page.STRANGERS["login"]}
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as client:
        for name, address in views.items():
            if name in NO_VIEW:
                continue
            client.cookies.clear()
            if name != "login":
                client.cookies.set(str(cookie["name"]), str(cookie["value"]))
            page, sizes = await loading.loaded(client, address.format_map(known))
            assert sum(sizes.values()) <= MOST, (name, sizes)
            assert any(place.endswith(".css") for place in sizes), name
            assert ("hx-get=" in page) == ("htmx.min" in page), name  # who exchanges parts has what does it, and nobody else


@pytest.mark.claim("K19", "A20")
async def test_every_page_opens_without_a_fault_and_shuts_nobody_out(site: Site, somebody: Opener) -> None:
    """Each in one of the four lights, by turns; `make soak` looks at all of them in all four."""
    known, wrong = every_page.known(site), []
    async with somebody(reduced_motion="reduce", expected="status of 404") as context:
        await accessibility.come_along(context)
        page = await context.new_page()
        for number, (name, address) in enumerate(every_page.PAGES.items()):
            size, scheme = looks.LIGHTS[number % 4]
            await looks.dress(page, size, scheme)
            answer = await page.goto(address.format_map(known))
            assert answer is not None
            assert answer.status == (404 if name == "not-there" else 200), name
            found = await looks.faults(page)
            await looks.dress(page, NARROW, scheme)
            found += await looks.too_small(page)
            wrong += [f"{name} {size['width']} {scheme}: {one}" for one in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.claim("K19")
async def test_whoever_likes_the_night_has_it_by_day_too(somebody: Opener) -> None:
    async with somebody(who=showcase.JONAS, color_scheme="light") as context:
        page = await context.new_page()
        await page.goto("/settings/me")
        for choice, scheme in (("Dark", "dark"), ("Light", "light"), ("As the device", "light")):
            await page.get_by_label("Colours").select_option(label=choice)
            await page.get_by_role("button", name="Save").click()
            await expect(page.locator(".banner.is-ok")).to_be_visible()
            await page.goto("/alerts")
            assert await looks.ground(page) == looks.GROUNDS[scheme], choice
            await page.goto("/settings/me")


@pytest.mark.claim("U1", "A19", "A20", "K17", "R6")
async def test_a_new_alert_is_there_within_half_a_second_in_every_tab_by_one_connection(site: Site, somebody: Opener) -> None:
    async with somebody() as context:
        streams: list[str] = []
        context.on("request", lambda request: streams.append(request.url) if "/api/v1/stream" in request.url else None)
        overview, alerts = await context.new_page(), await context.new_page()
        await overview.goto("/")
        await alerts.goto("/alerts")
        await expect(overview.locator(".dateline [data-live-word]")).to_have_text("Live")
        await expect(alerts.locator(".brand [data-live-word]")).to_have_text("Live")
        await asyncio.sleep(0.2)
        title = "srv-40 burns"
        began = asyncio.get_running_loop().time()
        await site.service.send({"type": "server.fire", "severity": 5, "status": "problem", "title": title, "site": "nordlicht"})
        for page in (alerts, overview):
            await page.get_by_role("link", name=title).first.wait_for()
        assert asyncio.get_running_loop().time() - began < 10  # half a second on a machine with nothing else to do
        await expect(alerts).to_have_title(re.compile(r"^\(\d+\) Alerts"))
        assert len(streams) == 1
        await site.service.send({"type": "server.fire", "status": "recovery", "title": "out", "site": "nordlicht"})
        await alerts.get_by_role("link", name=title).wait_for(state="detached")
        await overview.close()  # which had the connection: the other tab takes it over, from the place where it was
        await site.service.send({"type": "server.fire", "severity": 5, "status": "problem", "title": "srv-41 burns", "site": "nordlicht"})
        await alerts.get_by_role("link", name="srv-41 burns").first.wait_for()
        assert "last_event_id=" in streams[1]


# A deed is done while the page renews itself for another reason: how often the list is fetched for three reasons in a row.
THREE_REASONS = """() => new Promise(done => {
  const say = name => document.body.dispatchEvent(new CustomEvent(name));
  let fetched = 0;
  document.body.addEventListener("htmx:afterSwap", event => {
    if (event.target.id !== "list") return;
    if (++fetched === 1) setTimeout(() => say("tocsin:changed"), 1);
    if (fetched === 3) done(fetched);
  });
  say("tocsin:changed");
  say("tocsin:renew");
  setTimeout(() => done(fetched), 5000);
})"""


@pytest.mark.claim("K20")
async def test_the_list_is_worked_from_the_keyboard_and_taken_back(somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/alerts")
        assert await page.evaluate(THREE_REASONS) == 3
        before = await page.locator("[data-list] tbody tr").count()
        for key in ("j", "x", "j", "Shift+X"):
            await page.keyboard.press(key)
        await expect(page.locator("[data-selected]")).to_have_text("2 selected")
        assert re.search(r"/alerts#picked=\d+,\d+$", page.url)
        await page.reload()
        await expect(page.locator("[data-selected]")).to_have_text("2 selected")
        await page.keyboard.press("a")
        await expect(page.locator(".toast")).to_contain_text("2 alerts acknowledged.")
        await expect(page.locator("[data-list] tbody tr")).to_have_count(before - 2)
        assert page.url.endswith("/alerts")
        await page.keyboard.press("z")
        await expect(page.locator(".toast").last).to_contain_text("Taken back.")
        await expect(page.locator("[data-list] tbody tr")).to_have_count(before)
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("jjj")  # letters, while one types
        await expect(page.get_by_role("searchbox")).to_have_value("jjj")


@pytest.mark.claim("K20")
async def test_the_lead_of_support_filters_resolves_many_and_takes_it_back(somebody: Opener) -> None:
    async with somebody(who=showcase.AYLIN) as context:
        page = await context.new_page()
        await page.goto("/alerts?site=nordlicht&severity_min=2")
        rows = page.locator("[data-list] tbody tr")
        before = await rows.count()
        assert before >= 3
        for place in (1, 2):
            await rows.nth(place).get_by_role("checkbox").check()
        await page.get_by_role("region", name="Selected alerts").get_by_role("button", name="Resolve").click()
        await expect(page.locator(".toast")).to_contain_text("2 alerts resolved.")
        await expect(rows).to_have_count(before - 2)
        assert "site=nordlicht" in page.url
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator(".toast").last).to_contain_text("Taken back.")
        await expect(rows).to_have_count(before)


@pytest.mark.claim("K19")
async def test_who_hears_the_page_read_finds_its_parts_by_name(somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/")
        await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        await expect(page.get_by_role("main")).to_have_count(1)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.goto("/alerts/18")
        for heading in await page.get_by_role("heading").all():
            assert (await heading.inner_text()).strip()
        for button in await page.get_by_role("button").all():
            assert await button.evaluate("e => (e.ariaLabel || e.innerText || '').trim()"), await button.evaluate("e => e.outerHTML")


async def test_what_somebody_has_begun_stays_when_the_page_is_renewed(site: Site, somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/alerts")
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Live")
        for key in ("j", "j", "x"):
            await page.keyboard.press(key)
        here = await page.locator("tr.here").get_attribute("id")
        await page.get_by_role("searchbox").fill("var")
        await page.keyboard.press("Tab")
        await site.service.send({"type": "server.smoke", "severity": 4, "status": "problem", "title": "srv-41 smokes", "site": "nordlicht"})
        await expect(page.locator("[data-list] tr:not([data-fresh])", has_text="srv-41 smokes")).to_be_visible()
        await expect(page.locator("tr.here")).to_have_attribute("id", str(here))
        await expect(page.locator("tr.here input[name=id]")).to_be_checked()
        await expect(page.locator("[data-selected]")).to_have_text("1 selected")
        await expect(page.get_by_role("searchbox")).to_have_value("var")
        await site.service.send({"type": "server.smoke", "status": "recovery", "title": "no smoke", "site": "nordlicht"})


async def test_a_page_is_renewed_when_the_server_bears_it_and_again_if_what_it_got_was_old(somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.add_init_script("Math.random = () => 0.9")
        await page.goto("/alerts")
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Live")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.headers["hx-renewal"]) if "hx-renewal" in request.headers else None)

        async def tell(kind: str, **detail: Any) -> None:
            """As another tab of this browser passes it on."""
            await page.evaluate("told => new BroadcastChannel('tocsin-stream').postMessage(told)", {"kind": kind, "detail": detail})

        await tell("pace", renew_within_ms=600_000)
        await tell("reload")
        await tell("summary", needs_action=3, at=10**14)
        await asyncio.sleep(1)
        assert asked == []
        async with page.expect_request(lambda request: "hx-renewal" in request.headers):
            await tell("pace", renew_within_ms=10)
        async with page.expect_request(lambda request: "hx-renewal" in request.headers):
            pass  # the answer was from before the year 5138
        assert asked == [str(10**14)] * 2

        async def answer_late(route: Route) -> None:
            """While the answer is under way there are more news."""
            await tell("reload")
            await tell("summary", needs_action=3, at=2 * 10**14)
            await route.continue_()

        await page.route("**/alerts", answer_late, times=1)
        for _ in range(2):
            async with page.expect_request(lambda request: "hx-renewal" in request.headers):
                pass
        assert asked[2:] == [str(10**14), str(2 * 10**14)]


async def test_the_palette_goes_anywhere_and_help_names_the_keys(somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("even")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/events")
        await page.keyboard.press("g")
        await page.keyboard.press("a")
        await page.wait_for_url("**/alerts")


@pytest.mark.claim("K19", "K20", "F4")
async def test_at_night_on_a_phone_one_thumb_is_enough(site: Site, somebody: Opener) -> None:
    alert = showcase.find(site.service.world, "Card payments are refused")
    async with somebody(phone=True, color_scheme="dark") as context:
        page = await context.new_page()
        await page.goto(f"/alerts/{alert.id}")
        button = page.get_by_role("button", name="Acknowledge")
        box = await button.bounding_box()
        assert box is not None
        assert box["y"] > NARROW["height"] / 2
        assert box["y"] + box["height"] <= NARROW["height"]
        assert box["height"] >= 44
        await button.tap()
        await expect(page.locator(".toast")).to_contain_text("Alert acknowledged.")
        await expect(page.locator(".figures").first).to_contain_text("Marta")
        await page.get_by_role("button", name="Undo").tap()
        await expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()


SHOWN_TIME = "() => (({ min, max }) => [min, max])(document.querySelector('.plot').chart.plot.scales.x)"


async def test_fingers_take_an_alert_and_read_and_move_a_chart(site: Site, somebody: Opener) -> None:
    async with somebody(phone=True) as context:
        page = await context.new_page()
        await page.goto("/alerts")
        row = page.locator("[data-swipe]", has_text="11 tickets wait")
        await row.scroll_into_view_if_needed()
        box = await row.bounding_box()
        assert box is not None
        client = await context.new_cdp_session(page)
        x, y = box["x"] + 60, box["y"] + box["height"] / 2

        async def touch(kind: str, *points: tuple[float, float]) -> None:
            await client.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]}
            )

        await touch("touchStart", (x, y))
        for step in range(1, 8):
            await touch("touchMove", (x + step * 20, y))
        await touch("touchEnd")
        await expect(page.locator(".toast")).to_contain_text("Alert acknowledged.")
        await expect(row).to_have_count(0)

        await page.goto(every_page.PAGES["host"].format_map(every_page.known(site)))
        await page.locator(".plot.drawn").nth(1).wait_for()
        await page.locator("[data-plot]").first.scroll_into_view_if_needed()
        box = await page.locator("[data-plot]").first.bounding_box()
        assert box is not None
        y = box["y"] + 60
        await touch("touchStart", (180, y))
        readings = page.locator("[data-reading]")
        await expect(readings.first).to_have_text(re.compile(r"^\d+ \w+ \d\d:\d\d: processor [\d.]+%$"))
        moment = (await readings.first.inner_text()).partition(": processor")[0]
        await expect(readings.nth(1)).to_have_text(re.compile(f"^{moment}: memory [\\d.]+%, swap [\\d.]+%$"))  # one cross-hair in all
        await touch("touchEnd")
        await touch("touchStart", (150, y), (200, y))
        await touch("touchMove", (100, y), (150, y))
        await touch("touchMove", (80, y), (270, y))
        await touch("touchEnd")
        await expect(page.locator(".plot").first).to_have_attribute("data-zoomed", "")
        low, high = await page.evaluate(SHOWN_TIME)
        await touch("touchStart", (100, y))
        await touch("touchMove", (160, y))
        await touch("touchEnd")
        low_then, high_then = await page.evaluate(SHOWN_TIME)
        assert low_then < low
        assert high_then - low_then == pytest.approx(high - low)
    assert showcase.find(site.service.world, "11 tickets wait longer than 4 hours").status == "acknowledged"


async def test_without_script_alerts_are_read_and_taken(site: Site, somebody: Opener) -> None:
    async with somebody(java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto("/alerts")
        await page.get_by_role("link", name="srv-03 /var is full in 6 days").click()
        await page.get_by_role("button", name="Acknowledge").click()
        await expect(page.get_by_role("button", name="Give back")).to_be_visible()
        await page.goto("/events")
        await page.get_by_text("Show as table").click()
        await expect(page.locator(".plot table")).to_be_visible()
    assert showcase.find(site.service.world, "srv-03 /var is full in 6 days").acknowledged_by == showcase.MARTA


@pytest.mark.claim("K18")
async def test_events_come_in_by_themselves_and_the_chart_chooses_a_time(site: Site, somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/events?type=order.")
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Live")
        await page.locator(".plot.drawn").wait_for()
        await site.service.send({"type": "order.paid", "status": "info", "title": "Order 4711 paid", "site": "nordlicht"})
        await expect(page.locator("[data-tail] tr").first).to_contain_text("Order 4711 paid")
        chart = page.locator("[data-plot]")
        await chart.focus()
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator("[data-reading]")).to_contain_text("problems")
        await page.get_by_text("Show as table").click()
        await expect(page.locator(".plot table tr").nth(20)).to_be_attached()
        every = await page.locator(".plot table tr").count()
        await chart.focus()
        await page.keyboard.press("+")
        await expect(page.locator(".plot")).to_have_attribute("data-zoomed", "")
        await expect(page.locator(".plot table tr")).not_to_have_count(every)  # the table has what is shown
        await page.keyboard.press("0")
        await expect(page.locator(".plot table tr")).to_have_count(every)
        async with page.expect_download() as download:
            await page.locator("[data-does=csv]").click()
        path = await (await download.value).path()
        assert path.read_text().startswith("time,Problems,Other events\n")
        async with page.expect_download() as download:
            await page.locator("[data-does=png]").click()
        path = await (await download.value).path()
        assert path.read_bytes().startswith(b"\x89PNG")
        box = await chart.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + 300, box["y"] + 60)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 600, box["y"] + 60, steps=4)
        await page.mouse.up()
        await page.wait_for_url(re.compile(r"type=order\.&since=.*&until="))
        await expect(page.get_by_role("button", name="Pause")).to_have_count(0)


@pytest.mark.claim("F4")
async def test_what_was_seen_is_there_without_network_and_says_from_when(somebody: Opener) -> None:
    lost = r"ERR_INTERNET_DISCONNECTED|status of 503|Failed to load resource|net::"
    async with somebody(phone=True, expected=lost) as context:
        page = await context.new_page()
        await page.goto("/")
        await page.evaluate(CONTROLLED)
        await page.goto("/")
        sentence = await page.locator("#sentence").text_content()
        await context.set_offline(True)
        await page.goto("/")
        assert await page.locator("#sentence").text_content() == sentence
        await expect(page.locator(".banner").first).to_contain_text("You are offline. This is what was known at")
        other = await context.new_page()
        await other.goto("/settings/sites")
        await expect(other.locator("h1")).to_have_text("You are offline.")
        await context.set_offline(False)
        await other.goto("/settings/sites")
        await expect(other.locator("h1")).to_have_text("Sites")


@pytest.mark.claim("U1", "A20")
async def test_a_lost_connection_is_said_and_what_is_known_stays(site: Site, somebody: Opener) -> None:
    async with somebody(expected=r"ERR_|Failed to load resource|net::|htmx:(afterRequest|sendError)") as context:
        page = await context.new_page()
        await page.goto("/alerts")
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Live")
        rows = await page.locator("[data-list] tbody tr").count()
        await page.clock.install()
        await context.set_offline(True)
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Not live")
        await page.clock.run_for(20_000)
        await expect(page.locator("#lost")).to_contain_text("The connection to Tocsin is lost.")
        assert await page.locator("[data-list] tbody tr").count() == rows
        await page.locator("input[name=id]").first.check()
        await page.get_by_role("button", name="Acknowledge").click()
        await expect(page.locator(".toast.bad")).to_contain_text("Nothing was done")  # said once, by what was to be done
        await context.set_offline(False)
        await expect(page.locator(".brand [data-live-word]")).to_have_text("Live")
        await expect(page.locator("#lost")).to_have_count(0)


async def test_a_title_of_two_hundred_faces_breaks_nothing(site: Site, somebody: Opener) -> None:
    titles = ("😱" * 200, "<script>document.title='hacked'</script><img src=x onerror=alert(1)>", "W" * 200)
    for number, title in enumerate(titles):
        event = {
            "type": f"odd.title{number}",
            "severity": 5,
            "status": "problem",
            "title": title[:200],
            "host": "h" * 120,
            "site": "kiezhost",
        }
        await site.service.send(event)
    async with somebody(phone=True) as context:
        page = await context.new_page()
        for path in ("/", "/alerts", "/events", f"/alerts/{site.service.world.alerts()[-1].id}"):
            await page.goto(path)
            for size in (WIDE, NARROW):
                await page.set_viewport_size(size)
                assert await looks.sideways(page) == 0, (path, size)
            assert "hacked" not in await page.title()
    for number in range(len(titles)):
        await site.service.send(
            {"type": f"odd.title{number}", "status": "recovery", "title": "over", "host": "h" * 120, "site": "kiezhost"}
        )


async def test_drawing_over_the_week_has_somebody_else_told(site: Site, somebody: Opener) -> None:
    async with somebody() as context:
        page = await context.new_page()
        await page.goto("/oncall")
        box = await page.locator("[data-track]").bounding_box()
        assert box
        day, middle = box["width"] / 7, box["y"] + box["height"] / 2
        await page.mouse.move(box["x"] + 3.5 * day, middle)  # Thursday noon
        await page.mouse.down()
        await page.mouse.move(box["x"] + 3.75 * day, middle, steps=4)
        await expect(page.locator("rect.drawn")).to_be_visible()
        await page.mouse.up()
        await expect(page.get_by_label("From")).to_have_value("2026-11-26T12:00")
        await expect(page.get_by_label("Until", exact=True)).to_have_value("2026-11-26T18:00")
        await page.get_by_label("Who", exact=True).select_option(label="Aylin Demir")
        await page.get_by_role("button", name="Save the override").click()
        await expect(page.locator(".banner.is-ok")).to_contain_text("Saved.")
        await expect(page.locator(".deeds")).to_contain_text(["Aylin Demir instead of whoever is on"])


async def test_what_a_silence_would_mute_is_seen_before_it_is_saved(site: Site, somebody: Opener) -> None:
    async with somebody(phone=True) as context:
        page = await context.new_page()
        await page.goto("/silences/new")
        await page.get_by_label("Condition 1: value").fill("srv-05")
        await page.get_by_label("Why").fill("The queue is being drained")
        await page.get_by_role("button", name="What would go quiet?").click()
        await expect(page.locator(".preview h2")).to_have_text("1 open alert would go quiet")
        await expect(page.locator(".preview")).to_contain_text("4,180 mails are stuck")
        await page.get_by_role("button", name="Keep it quiet").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Quiet, where you said so")
        mine = page.locator(".quiet-entry", has_text="The queue is being drained")
        await mine.get_by_role("button", name="End it").click()
        await expect(page.locator(".over .quiet-entry", has_text="The queue is being drained")).to_have_count(1)
