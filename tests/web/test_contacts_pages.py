"""The page on which people say how they are told: add, prove, try out, remove; rules and quiet hours; without script."""

import re

import pytest

from tests.api.service import Service
from tests.fakes import DOWN, FakeChannel
from tests.web.browser import Browser, a_person
from tocsin.core.clock import MINUTE
from tocsin.identity.model import Role
from tocsin.notify.codes import PAUSE
from tocsin.notify.model import Outcome, Result
from tocsin.web.settings.contacts import listening

PAGE = "/settings/contacts"
SUBSCRIPTION = (
    '{"endpoint":"https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV","keys":{"p256dh":'
    '"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}'
)


async def marta_of(service: Service, role: Role = Role.RESPONDER) -> Browser:
    await a_person(service, "marta@example.com", role, "Marta Weiss")
    browser = Browser(service)
    await browser.log_in("marta@example.com")
    await browser.get(PAGE)
    return browser


def contact_on(browser: Browser, target: str) -> str:
    """The id of the contact with this address on the page at hand."""
    found = re.search(rf"{re.escape(target)}.*?/contacts/([0-9a-f-]{{36}})/", browser.page.text, re.DOTALL)
    assert found, browser.text
    return found[1]


def code_of(service: Service) -> str:
    return service.world.sms.letters[-1].alert.title.split()[0]


async def add(browser: Browser, page: str = PAGE) -> str:
    await browser.post(page, csrf=browser.csrf, kind="sms", target="+4915123456789", label="Pocket")
    assert browser.place.endswith("?done=code#contacts")
    await browser.get(page)
    return contact_on(browser, "+4915123456789")


@pytest.mark.claim("N7", "T10", "Q7")
async def test_a_contact_is_added_proved_tried_out_and_removed(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service)
    assert "No alert can reach you yet" in marta.text
    contact = await add(marta)
    assert "Not verified" in marta.text
    token = marta.csrf
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code="000000" if code_of(sqlite_service) != "000000" else "1")
    assert marta.page.status_code == 422
    assert "4 attempts left" in marta.text
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code=code_of(sqlite_service))
    assert marta.place.endswith("?done=verified#contacts")
    await marta.get(f"{PAGE}?done=verified")
    assert "Verified. Alerts go there from now on." in marta.text
    assert "One way only" in marta.text
    await marta.post(f"{PAGE}/{contact}/test", csrf=token)
    assert marta.place.endswith("?done=tested#contacts")
    assert sqlite_service.world.sms.letters[-1].alert.title.startswith("Test message")
    await marta.post(f"{PAGE}/{contact}/remove", csrf=token)
    assert marta.place.endswith("?done=removed#contacts")
    assert "+4915123456789" not in (await marta.get(PAGE)).text


async def test_what_goes_wrong_stands_on_the_page_with_what_was_typed(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service)
    token = marta.csrf
    await marta.post(PAGE, csrf=token, kind="sms", target="12345", label="Pocket")
    assert marta.page.status_code == 422
    assert "Must be a telephone number with + and the country" in marta.error
    assert 'value="Pocket"' in marta.page.text
    await marta.post(PAGE, csrf=token, kind="sms", label="Pocket")
    assert (marta.page.status_code, marta.error) == (422, "Is missing.")
    contact = await add(marta)
    await marta.post(f"{PAGE}/{contact}/code", csrf=token)
    assert marta.page.status_code == 409
    assert "A code was sent just now: wait 30 s." in marta.text
    sqlite_service.world.sms.outcome = DOWN
    sqlite_service.world.clock.advance(PAUSE)
    await marta.post(f"{PAGE}/{contact}/code", csrf=token)
    assert "The code could not be sent: the server does not answer." in marta.text
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code=code_of(sqlite_service))
    await marta.post(f"{PAGE}/{contact}/test", csrf=token)
    assert "did not take the test message: the server does not answer." in marta.text


@pytest.mark.claim("U7")
async def test_a_phone_is_shown_what_to_listen_to(sqlite_service: Service) -> None:
    object.__setattr__(sqlite_service.world.core.settings, "ntfy_server_url", "https://push.example.com/")  # it is frozen
    marta = await marta_of(sqlite_service)
    await marta.post(PAGE, csrf=marta.csrf, kind="ntfy", target=" ", label="Pocket")
    await marta.get(PAGE)
    topic = sqlite_service.world.ntfy.letters[-1].contact.target
    assert re.fullmatch(r"whmcs-[a-z2-9]{16}", topic)
    assert f'href="ntfy://push.example.com/{topic}"' in marta.page.text
    assert f"Topic {topic} Server https://push.example.com" in marta.text
    assert re.search(r'<svg [^>]*class="qr"', marta.page.text)
    code = sqlite_service.world.ntfy.letters[-1].alert.title.split()[0]
    await marta.post(f"{PAGE}/{contact_on(marta, topic)}/verify", csrf=marta.csrf, code=code)
    await marta.get(PAGE)
    assert topic in marta.text
    assert "ntfy://" not in marta.page.text, "who has it need not be shown it again"


def test_an_address_without_tls_says_so_to_the_app() -> None:
    heard = listening("http://127.0.0.1:8080", "alerts-7f3k9q")
    assert heard is not None
    assert heard.link == "ntfy://127.0.0.1:8080/alerts-7f3k9q?secure=false"
    assert listening(None, "alerts-7f3k9q") is None


@pytest.mark.claim("N7")
async def test_rules_and_quiet_hours_are_set_and_the_page_says_what_will_happen(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service)
    contact = await add(marta)
    token = marta.csrf
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code=code_of(sqlite_service))
    await marta.get(PAGE)
    assert "Text message Pocket at once." in marta.text
    await marta.post(f"{PAGE}/rules", csrf=token, high=f"{contact}:300", low="", begins="22:00", ends="07:00")
    assert marta.place.endswith("?done=saved#rules")
    await marta.get(PAGE)
    assert "Text message Pocket after 5 min." in marta.text
    assert re.search(rf'value="{contact}:300" selected', marta.page.text)
    assert 'value="22:00"' in marta.page.text
    await marta.post(f"{PAGE}/rules", csrf=token, begins="22:00")
    assert "Need both a beginning and an end" in marta.text
    await marta.post(f"{PAGE}/rules", csrf=token, high="nonsense")
    assert marta.page.status_code == 422
    await marta.post(f"{PAGE}/rules", csrf=token)
    await marta.get(PAGE)
    assert 'value="22:00"' not in marta.page.text


async def test_an_administrator_does_the_same_for_somebody_and_others_do_not(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service, Role.ADMIN)
    ben = await a_person(sqlite_service, "ben@example.com", Role.VIEWER, "Ben Okafor")
    page = f"/settings/people/{ben}/contacts"
    await marta.get(page)
    assert "No alert can reach Ben Okafor yet" in marta.text
    contact = await add(marta, page)
    await marta.post(f"{page}/{contact}/verify", csrf=marta.csrf, code=code_of(sqlite_service))
    assert marta.place.endswith(f"{page.removeprefix('/')}?done=verified#contacts")
    sqlite_service.world.clock.advance(MINUTE)
    vera = Browser(sqlite_service)
    await vera.log_in("ben@example.com")
    assert (await vera.get(page)).status_code == 403
    assert "+4915123456789" in (await vera.get(PAGE)).text


@pytest.mark.claim("N4", "F4")
async def test_a_browser_subscribes_by_the_page_and_its_code_comes_as_a_notification(sqlite_service: Service) -> None:
    browser = FakeChannel("webpush", sqlite_service.world.clock)
    sqlite_service.server.channels["webpush"] = browser
    marta = await marta_of(sqlite_service)
    key = sqlite_service.server.vapid.public()
    assert f'data-push="{key}" hidden' in marta.page.text
    wanted = {"kind": "webpush", "target": SUBSCRIPTION, "label": "Firefox on Android"}
    await marta.post(PAGE, None, csrf=marta.csrf, **wanted)
    assert marta.place.endswith("?done=code#contacts")
    await marta.get(PAGE)
    assert "Firefox on Android This browser push.example.net" in marta.text
    assert "JzLQ3raZ" not in marta.page.text, "the address is a secret"
    code = browser.letters[-1].alert.title.split()[0]
    contact = contact_on(marta, "push.example.net")
    await marta.post(f"{PAGE}/{contact}/verify", csrf=marta.csrf, code=code)
    assert marta.place.endswith("?done=verified#contacts")
    browser.outcome = Outcome(Result.PERMANENT, "the browser has unsubscribed", gone=True)
    await marta.get(PAGE)
    await marta.post(f"{PAGE}/{contact}/test", csrf=marta.csrf)
    assert "did not take the test message: the browser has unsubscribed." in marta.text
    assert "push.example.net Verified" not in marta.text, "it is removed"


async def test_the_audit_log_tells_of_contacts_in_words(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service, Role.ADMIN)
    contact = await add(marta)
    token, code = marta.csrf, code_of(sqlite_service)
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code="1")
    await marta.post(f"{PAGE}/{contact}/verify", csrf=token, code=code)
    await marta.post(f"{PAGE}/{contact}/test", csrf=token)
    await marta.post(f"{PAGE}/rules", csrf=token, begins="22:00", ends="07:00")
    await marta.get("/settings/audit")
    for words in ("added the contact", "had a code sent to", "typed a wrong code for", "proved the contact", "tried out the contact"):
        assert f"{words} sms +4915123456789" in marta.text
    assert "changed what rings when for Marta Weiss" in marta.text
    assert code not in marta.text


async def test_contacts_get_other_names_and_another_order(sqlite_service: Service) -> None:
    marta = await marta_of(sqlite_service)
    first = await add(marta)
    token = marta.csrf
    await marta.post(PAGE, None, csrf=token, kind="email", target="marta@example.com", label="Post")
    await marta.get(PAGE)
    second = contact_on(marta, "marta@example.com")
    await marta.post(f"{PAGE}/{first}/change", csrf=token, rename="yes", label="Pocket")
    assert marta.place.endswith("?done=saved#contacts")
    await marta.post(f"{PAGE}/{second}/change", csrf=token, position="1")
    await marta.get(PAGE)
    assert re.findall(r"contacts/([0-9a-f-]{36})/remove", marta.page.text) == [second, first]
    assert "Pocket Text message" in marta.text
    await marta.post(f"{PAGE}/{first}/change", csrf=token, rename="yes")
    await marta.get(PAGE)
    assert "Pocket" not in marta.text
    assert (await marta.post(f"{PAGE}/{first}/change", csrf=token, position="0")).status_code == 422
    assert (await marta.post(f"{PAGE}/nonsense/change", csrf=token, position="1")).status_code == 404
