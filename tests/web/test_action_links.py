"""``/a/{token}`` over HTTP: whoever got the message may act, nobody else may, and looking changes nothing."""

import base64
from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa

from tests.api.service import SECRET, Service
from tests.build import an_id
from tocsin.alerts.model import Status
from tocsin.db import tables
from tocsin.notify.links import LIFETIME, LinkAction, token

DISK = {"type": "disk.full", "subject": "disk:/", "severity": 4, "title": "Disk full"}
PAGE = {"accept": "text/html"}


async def told(service: Service) -> str:
    """An alert, and the id of the message to the first contact."""
    await service.send(DISK)
    return service.world.messages(kind="opened")[0].id


def link(message_id: str, action: LinkAction, secret: bytes = SECRET) -> str:
    return f"/a/{token(secret, message_id, action)}"


async def press(service: Service, path: str) -> httpx.Response:
    """What a button of a push does: a POST without cookies, keys or body."""
    return await service.nobody.ask("POST", path)


async def change(service: Service, statement: sa.Update) -> None:
    await service.world.write(lambda tx: tx.sql.execute(statement))


def everything(service: Service) -> list[list[object]]:
    """All rows that a link could change."""
    changeable = (tables.alerts, tables.alert_history, tables.outbox, tables.events, tables.audit)
    return [[tuple(row) for row in service.world.rows(sa.select(table))] for table in changeable]


@pytest.mark.claim("A6", "L5")
async def test_a_scanner_that_opens_and_probes_every_link_changes_nothing(sqlite_service: Service) -> None:
    message = await told(sqlite_service)
    before = everything(sqlite_service)
    for action in LinkAction:
        for method in ("GET", "HEAD", "OPTIONS", "GET"):
            answer = await sqlite_service.nobody.ask(method, link(message, action), headers=PAGE)
            assert answer.status_code in (200, 204), (method, action)
            assert (method == "HEAD") <= (answer.content == b"")
    assert everything(sqlite_service) == before


@pytest.mark.claim("A6", "L5")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_no_other_method_acts(sqlite_service: Service, method: str) -> None:
    message = await told(sqlite_service)
    before = everything(sqlite_service)
    assert (await sqlite_service.nobody.ask(method, link(message, LinkAction.ACKNOWLEDGE))).status_code == 405
    assert everything(sqlite_service) == before


@pytest.mark.claim("A6", "L5")
async def test_each_link_does_its_one_thing(sqlite_service: Service) -> None:
    """A link that only opens acts on nothing, and one that acknowledges cannot be turned into one that resolves."""
    message = await told(sqlite_service)
    assert (await press(sqlite_service, link(message, LinkAction.OPEN))).text == "Disk full\n"
    assert sqlite_service.world.alert().status == Status.OPEN
    raw = bytearray(base64.urlsafe_b64decode(token(SECRET, message, LinkAction.ACKNOWLEDGE)))
    raw[0] = base64.urlsafe_b64decode(token(SECRET, message, LinkAction.RESOLVE))[0]
    assert (await press(sqlite_service, f"/a/{base64.urlsafe_b64encode(raw).decode()}")).status_code == 404
    assert sqlite_service.world.alert().status == Status.OPEN
    assert (await press(sqlite_service, link(message, LinkAction.ACKNOWLEDGE))).text == "Acknowledged: Disk full\n"
    assert sqlite_service.world.alert().status == Status.ACKNOWLEDGED
    assert (await press(sqlite_service, link(message, LinkAction.RESOLVE))).text == "Resolved: Disk full\n"
    assert sqlite_service.world.alert().status == Status.RESOLVED


async def test_a_link_that_was_used_says_how_it_is_and_does_no_harm(sqlite_service: Service) -> None:
    message = await told(sqlite_service)
    for _ in range(3):
        assert (await press(sqlite_service, link(message, LinkAction.ACKNOWLEDGE))).status_code == 200
    assert sqlite_service.world.history(1).count("acknowledged: asked for by the link in a message") == 1
    await press(sqlite_service, link(message, LinkAction.RESOLVE))
    again = await press(sqlite_service, link(message, LinkAction.ACKNOWLEDGE))
    assert (again.status_code, again.text) == (200, "Already resolved: Disk full\n")
    assert sqlite_service.world.alert().status == Status.RESOLVED


FORGED: dict[str, Callable[[str], str]] = {
    "sealed with another secret": lambda message: link(message, LinkAction.ACKNOWLEDGE, b"x" * 32),
    "of a message that never was": lambda _: link(an_id(999), LinkAction.ACKNOWLEDGE),
    "cut by a mail program": lambda message: link(message, LinkAction.ACKNOWLEDGE)[:-6],
    "with something behind it": lambda message: link(message, LinkAction.ACKNOWLEDGE) + "AAAA",
    "without a seal": lambda message: f"/a/{base64.urlsafe_b64encode(b'2' + message.encode()).decode()}",
    "of no sense": lambda _: "/a/%00%ff..%2f",
}


@pytest.mark.claim("A6", "L5")
@pytest.mark.parametrize("kind", FORGED)
async def test_what_tocsin_did_not_make_does_nothing_and_tells_nothing(sqlite_service: Service, kind: str) -> None:
    message = await told(sqlite_service)
    before = everything(sqlite_service)
    for method in ("GET", "POST"):
        answer = await sqlite_service.nobody.ask(method, FORGED[kind](message), headers=PAGE)
        assert answer.status_code == 404
        assert "Disk full" not in answer.text
    assert everything(sqlite_service) == before


DEAD = {
    "too old": "This link is too old.",
    "revoked": "This link was revoked.",
    "of a disabled contact": "an address that is no longer used",
    "of an unproven contact": "an address that is no longer used",
}


@pytest.mark.claim("A6", "L5")
@pytest.mark.parametrize("kind", DEAD)
async def test_a_link_that_is_over_does_nothing_and_says_why(sqlite_service: Service, kind: str) -> None:
    message, clock = await told(sqlite_service), sqlite_service.world.clock
    outbox, contacts = tables.outbox, tables.contacts
    match kind:
        case "too old":
            clock.at += LIFETIME
        case "revoked":
            await change(sqlite_service, sa.update(outbox).where(outbox.c.id == message).values(links_revoked_at=clock.at))
        case "of a disabled contact":
            await change(sqlite_service, sa.update(contacts).values(disabled_at=clock.at))
        case _:
            await change(sqlite_service, sa.update(contacts).values(verified_at=None))
    before = everything(sqlite_service)
    for method in ("GET", "POST"):
        for action in LinkAction:
            answer = await sqlite_service.nobody.ask(method, link(message, action), headers=PAGE)
            assert answer.status_code == 410
            assert DEAD[kind] in answer.text
            assert "Disk full" not in answer.text
    assert everything(sqlite_service) == before


async def test_a_link_acts_until_its_last_moment(sqlite_service: Service) -> None:
    message = await told(sqlite_service)
    sqlite_service.world.clock.at += LIFETIME - 1
    assert (await press(sqlite_service, link(message, LinkAction.ACKNOWLEDGE))).text == "Acknowledged: Disk full\n"
