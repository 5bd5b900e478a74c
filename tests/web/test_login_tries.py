"""Guessing: by password, by code, by many at once, over a restart."""

import asyncio

import pytest
import sqlalchemy as sa

from tests.api.service import SECRET, Service
from tests.fakes import FakeClock
from tests.web.browser import PASSWORD, Browser, a_person
from tocsin.core.clock import MINUTE
from tocsin.db import tables
from tocsin.identity.login import ADDRESS_TRIES, Addresses, Knocker, NotIn, Porter


async def noted(service: Service) -> list[tuple[str, str, str]]:
    """What the audit log has of refused logins: the object, the address, the reason."""
    await service.server.refusals.settle()
    query = sa.select(tables.audit.c.object, tables.audit.c.address, tables.audit.c.after).where(tables.audit.c.action == "login.refused")
    return [tuple(row) for row in service.world.rows(query.order_by(tables.audit.c.number))]


@pytest.mark.claim("S2")
@pytest.mark.parametrize("email", ["marta@example.com", "nobody@example.com"])
async def test_after_five_wrong_passwords_an_account_rests_whether_it_exists_or_not(service: Service, email: str) -> None:
    await a_person(service)
    browser = Browser(service)
    said = []
    for _ in range(6):
        await browser.log_in(email, "wrong password")
        said.append((browser.page.status_code, browser.error))
    assert said == [
        (401, "That email and password do not fit together. Four tries left before a pause of one minute."),
        (401, "That email and password do not fit together. Three tries left before a pause of one minute."),
        (401, "That email and password do not fit together. Two tries left before a pause of one minute."),
        (401, "That email and password do not fit together. One try left before a pause of one minute."),
        (401, "That email and password do not fit together. The next try is possible in 1\u00a0min."),
        (429, "Too many tries failed. The next one is possible in 1\u00a0min."),
    ]
    assert browser.page.headers["retry-after"] == "60"
    await browser.log_in(email)
    assert browser.page.status_code == 429, "not even the right password is looked at"


async def test_after_the_pause_the_right_password_lets_in_and_the_count_begins_anew(service: Service) -> None:
    await a_person(service)
    browser = Browser(service)
    for _ in range(5):
        await browser.log_in("marta@example.com", "wrong password")
    service.world.clock.advance(MINUTE)
    await browser.log_in("marta@example.com")
    assert browser.place == "./"
    await Browser(service).log_in("marta@example.com", "wrong password")
    assert service.world.rows(sa.select(tables.login_failures.c.failures)) == [(1,)]


async def test_a_restart_does_not_shorten_a_pause(service: Service) -> None:
    await a_person(service)
    browser = Browser(service)
    for _ in range(5):
        await browser.log_in("marta@example.com", "wrong password")
    core, server = service.world.core, service.server
    again = Porter(core.database, core.writer, service.world.clock, server.passwords, server.refusals, SECRET)
    object.__setattr__(server, "porter", again)  # a server is frozen; a new process has a new one
    await browser.log_in("marta@example.com")
    assert browser.page.status_code == 429


async def test_many_tries_at_once_are_no_more_than_one_after_the_other(service: Service) -> None:
    await a_person(service)
    browsers = [Browser(service) for _ in range(20)]
    await asyncio.gather(*[browser.log_in("marta@example.com", "wrong password") for browser in browsers])
    codes = sorted(browser.page.status_code for browser in browsers)
    assert codes == [401] * 5 + [429] * 15


@pytest.mark.claim("S2", "S5")
async def test_ten_thousand_tries_are_refused_and_recorded_in_a_few_lines(sqlite_service: Service) -> None:
    user_id = await a_person(sqlite_service)
    porter, fits = sqlite_service.server.porter, 0
    browser = Browser(sqlite_service)
    for n in range(60):
        await browser.log_in("marta@example.com", f"guess number {n}")
        fits += browser.page.status_code == 303
    assert browser.page.status_code == 429
    for n in range(9_940):
        answer = await porter.knock(f"somebody{n % 7}@example.com", f"guess number {n}", "", Knocker("127.0.0.1", ""))
        assert isinstance(answer, NotIn)
        assert answer.wait
    assert fits == 0
    sqlite_service.world.clock.advance(MINUTE)
    sqlite_service.server.refusals.flush()
    lines = await noted(sqlite_service)
    assert len(lines) < 10
    assert (f"user:{user_id}", "127.0.0.1", '{"reason":"wrong address or password"}') in lines
    assert sum(int(line[2].partition('times_more":')[2].rstrip("}") or 0) + 1 for line in lines) >= 10_000


async def test_a_password_typed_where_the_address_belongs_is_written_nowhere(service: Service) -> None:
    await Browser(service).log_in("my secret passphrase", "whatever it is")
    lines = await noted(service)
    assert len(lines) == 1
    assert lines[0][0].startswith("account:")
    assert "secret" not in str(lines) + str(service.world.rows(sa.select(tables.login_failures)))


def test_one_address_may_fail_thirty_times_in_a_quarter_of_an_hour(clock: FakeClock) -> None:
    addresses = Addresses(clock)
    for _ in range(ADDRESS_TRIES):
        assert addresses.wait("2001:db8::1") == 0
        addresses.failed("2001:db8::1")
    assert addresses.wait("2001:db8::ffff") == 15 * MINUTE, "the whole network counts as one"
    assert addresses.wait("192.0.2.1") == 0
    clock.advance(15 * MINUTE)
    assert addresses.wait("2001:db8::1") == 0


def test_failures_from_everywhere_take_a_bounded_place_in_memory(clock: FakeClock) -> None:
    addresses = Addresses(clock)
    for n in range(12_000):
        addresses.failed(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
    assert len(addresses._failed) == 10_000


async def test_a_disabled_person_is_answered_like_one_who_is_not_there(service: Service) -> None:
    user_id = await a_person(service)
    await a_person(service, "ben@example.com", name="Ben")
    ben = Browser(service)
    await ben.log_in("ben@example.com")
    await service.admin.ask("PATCH", f"/users/{user_id}", json={"disabled": True})
    browser = Browser(service)
    await browser.log_in("marta@example.com", PASSWORD)
    assert browser.page.status_code == 401
    assert browser.error.startswith("That email and password do not fit together.")
