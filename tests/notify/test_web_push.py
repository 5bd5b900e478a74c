"""Push to browsers: sealed as RFC 8291 says, signed as RFC 8292 says, and gone when the browser says so."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import sqlalchemy as sa

from tests.build import a_report
from tests.escalation.crew import Crew, step, user
from tests.fakes import FakeChannel
from tests.notify.letters import NOW, a_letter, an_alert
from tests.standins.provider import BROKEN, BUSY, DROP
from tests.standins.push import PushStandIn
from tests.world import World
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.db import tables
from tocsin.identity.model import Role
from tocsin.net.http import HttpDoor
from tocsin.notify import sealing
from tocsin.notify.channels.webpush import WebPush, payload, topic
from tocsin.notify.model import Contact, Letter, Outcome, Result
from tocsin.notify.sealing import Subscription
from tocsin.notify.targets import read_target
from tocsin.notify.vapid import NAME, Vapid

pytestmark = pytest.mark.claim("N4")


# RFC 8291, appendix A.
RFC_TEXT = b"When I grow up, I want to be a watermelon"
RFC_BROWSER = Subscription(
    "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "BTBZMqHH6r4Tts7J_aSIgg",
)
RFC_PRIVATE, RFC_SALT = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", "DGv6ra1nlYgDCS1FRnbzlw"
RFC_SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4M"
    "qgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_what_is_sealed_is_what_the_standard_gives_as_its_example() -> None:
    sealed = sealing.seal(RFC_TEXT, RFC_BROWSER, salt=sealing.decode(RFC_SALT), private=RFC_PRIVATE)
    assert sealing.encode(sealed) == RFC_SEALED


def test_no_two_seals_are_alike_and_nothing_longer_than_a_record_is_sealed() -> None:
    assert sealing.seal(RFC_TEXT, RFC_BROWSER) != sealing.seal(RFC_TEXT, RFC_BROWSER)
    assert len(sealing.seal(b"x" * sealing.MOST, RFC_BROWSER)) == sealing.RECORD
    with pytest.raises(ValueError, match="at most"):
        sealing.seal(b"x" * (sealing.MOST + 1), RFC_BROWSER)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        '{"endpoint":"http://push.example.net/x","keys":{"p256dh":"P","auth":"A"}}'.replace("P", RFC_BROWSER.p256dh).replace(
            '"A"', f'"{RFC_BROWSER.auth}"'
        ),
        f'{{"endpoint":"https://push.example.net/x","keys":{{"p256dh":"{RFC_BROWSER.auth}","auth":"{RFC_BROWSER.auth}"}}}}',
        f'{{"endpoint":"https://push.example.net/x","keys":{{"p256dh":"{RFC_BROWSER.p256dh}","auth":"AAAA"}}}}',
        f'{{"endpoint":"https://push.example.net/x","keys":{{"p256dh":"{"A" * 87}","auth":"{RFC_BROWSER.auth}"}}}}',
    ],
)
def test_what_is_no_subscription_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_target("webpush", text)
    assert refused.value.errors[0].field == "target"
    assert RFC_BROWSER.auth not in refused.value.message


def test_of_a_subscription_only_the_services_host_is_shown() -> None:
    text = msgspec.json.encode(
        {"endpoint": RFC_BROWSER.endpoint, "keys": {"p256dh": RFC_BROWSER.p256dh, "auth": RFC_BROWSER.auth}}
    ).decode()
    target = read_target("webpush", text)
    assert target.shown == "push.example.net"
    assert msgspec.json.decode(target.secret or "", type=Subscription) == RFC_BROWSER


class Line:
    """The channel, its push service and a letter to the browser there."""

    def __init__(self, provider: PushStandIn, channel: WebPush, vapid: Vapid) -> None:
        self.provider, self.channel, self.vapid = provider, channel, vapid

    def contact(self, name: str = "a-browser") -> Contact:
        target = read_target("webpush", msgspec.json.encode(self.provider.subscription(name)).decode(), private=True)
        return Contact("contact-1", "webpush", target.shown, secret=target.secret)

    def letter(self, kind: str = "opened", **changes: object) -> Letter:
        return msgspec.structs.replace(a_letter(kind, **changes), contact=self.contact())  # type: ignore[arg-type]  # of a letter


@pytest.fixture
async def line(sqlite_world: World) -> AsyncIterator[Line]:
    door, vapid = HttpDoor(allow_private=True), Vapid(sqlite_world.core.writer, "mailto:ops@example.com")
    async with PushStandIn() as provider:
        yield Line(provider, WebPush(door, vapid), vapid)
        await door.close()


def nothing() -> None:
    """Nobody notes when it leaves."""


@pytest.mark.claim("F4")
async def test_a_browser_reads_the_alert_with_its_page_and_two_buttons(line: Line) -> None:
    line.provider.key = (await line.vapid.keys()).public
    outcome = await line.channel.send(line.letter(), nothing)
    assert outcome.result is Result.SENT, outcome
    (said,) = line.provider.taken
    assert (said["title"], said["urgency"], said["urgent"]) == ("Service 77: creation failed", "high", True)
    assert said["url"] == "https://alarm.example.com/a/o-7f3k9q"
    assert [(one["action"], one["url"].rpartition("/")[2]) for one in said["actions"]] == [
        ("acknowledge", "a-7f3k9q"),
        ("snooze", "s-7f3k9q"),
    ]


async def test_news_of_one_alert_takes_the_place_of_older_news_and_good_news_is_not_urgent(line: Line) -> None:
    await line.channel.send(line.letter(), nothing)
    await line.channel.send(line.letter("repeated"), nothing)
    await line.channel.send(line.letter("resolved", alert=an_alert(status="resolved", resolved_at=NOW)), nothing)
    await line.channel.send(line.letter(alert=an_alert(13)), nothing)
    one, two, three, other = line.provider.topics
    assert one == two == three != other
    assert (line.provider.taken[2]["urgency"], line.provider.taken[2]["actions"]) == ("normal", [])


async def test_the_longest_alert_still_fits_into_a_record(line: Line) -> None:
    loud = an_alert(title="\N{SMILING FACE WITH OPEN MOUTH}" * 200, message='"\\\x01' * 3_000)
    letter = line.letter(alert=loud)
    assert len(payload(letter)) <= sealing.MOST
    assert (await line.channel.send(letter, nothing)).result is Result.SENT


@pytest.mark.parametrize(
    ("fault", "result"), [(BROKEN, Result.TEMPORARY), (BUSY, Result.TEMPORARY), (DROP, Result.UNKNOWN)], ids=["broken", "busy", "dropped"]
)
async def test_what_a_push_service_answers_is_classed(line: Line, fault: object, result: Result) -> None:
    line.provider.fail_next(fault)  # type: ignore[arg-type]  # a fault
    outcome = await line.channel.send(line.letter(), nothing)
    assert (outcome.result, outcome.gone) == (result, False)
    assert "send/a-browser" not in str(outcome), "the address is a secret"


async def test_a_browser_that_is_no_more_is_gone_and_another_key_is_refused(line: Line) -> None:
    line.provider.key = "another"
    assert (await line.channel.send(line.letter(), nothing)).result is Result.REFUSED
    line.provider.subscribed.clear()
    outcome = await line.channel.send(line.letter(), nothing)
    assert (outcome.result, outcome.gone, outcome.error) == (
        Result.PERMANENT,
        True,
        "the browser has unsubscribed (127.0.0.1 answered 410)",
    )
    nowhere = msgspec.structs.replace(line.letter(), contact=Contact("c", "webpush", "x"))
    assert (await line.channel.send(nowhere, nothing)).result is Result.PERMANENT


async def test_a_digest_has_a_topic_of_its_own() -> None:
    assert topic(a_letter("digest")) == topic(a_letter("digest", alert=an_alert(99)))
    assert topic(a_letter("digest")) != topic(a_letter("opened"))


async def test_the_keys_are_made_once_and_shared_by_all_nodes(world: World) -> None:
    first, second = Vapid(world.core.writer, "mailto:a@b.example"), Vapid(world.core.writer, "mailto:a@b.example")
    assert await first.keys() == await second.keys()
    assert len(world.rows(sa.select(tables.settings).where(tables.settings.c.name == NAME))) == 1


async def test_a_contact_that_is_gone_is_removed_its_owner_hears_of_it_and_the_page_goes_elsewhere(sqlite_world: World) -> None:
    world, table = sqlite_world, tables.contacts
    crew = await Crew(world).start()
    browser = world.channels["webpush"] = FakeChannel("webpush", world.clock)
    browser.outcome = Outcome(Result.PERMANENT, "the browser has unsubscribed (push.example.net answered 410)", gone=True)
    await crew.person("cleo", Role.RESPONDER, ntfy="cleo", webpush="push.example.net")
    await world.write(lambda tx: tx.sql.execute(table.update().where(table.c.kind == "webpush").values(secret="{}", label="Firefox")))
    await crew.refresh()
    await crew.policy(step(0, user(crew.ids["cleo"]), channels=("webpush",)))
    await world.report(a_report(severity=4, at=world.clock.at))
    await world.pass_time(SECOND)
    (row,) = world.rows(sa.select(table).where(table.c.kind == "webpush"))
    assert (row.disabled_at is not None, row.secret) == (True, None)
    told = [(letter.message.kind, letter.alert.title) for letter in world.ntfy.letters if letter.contact.target == "cleo"]
    assert ("opened", "Disk full") in told
    assert ("notice", "You are not told on Firefox (push.example.net) any more") in told
    audited = world.rows(sa.select(tables.audit.c.actor, tables.audit.c.after).where(tables.audit.c.action == "contact.removed"))
    assert [(one.actor, "unsubscribed" in one.after) for one in audited] == [("tocsin", True)]
