"""Mail is taken in by real SMTP on loopback: letters that fit, letters that do not, and talk that is no SMTP."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.world import World
from tocsin.audit.model import Who
from tocsin.core.errors import Unavailable
from tocsin.heartbeats import store
from tocsin.heartbeats.model import Heartbeat, Kind, Schedule
from tocsin.net import letters
from tocsin.net.letters import MAX_LETTER, Letters
from tocsin.pipeline.mailroom import Mailroom, read_letter
from tocsin.pipeline.pulse import Made, Wanted

pytestmark = pytest.mark.claim("M5")
DOMAIN = "ping.example.com"
LETTER = "From: root@db-1.example.com\r\nSubject: Backup completed\r\n\r\n12 GiB in 4 min\r\n"


class Desk:
    """Takes what is for anybody but ``nobody``; notes it."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], bytes]] = []
        self.is_closed = False

    async def refusal(self, local: str) -> str | None:
        return "there is no such job" if local == "nobody" else None

    async def take(self, locals_: list[str], letter: bytes, address: str) -> None:
        assert address == "127.0.0.1"
        if self.is_closed:
            raise Unavailable("the database is full")
        self.taken.append((locals_, letter))


@asynccontextmanager
async def taking(desk: Any) -> AsyncIterator[int]:
    place = socket.create_server(("127.0.0.1", 0))
    server = Letters(desk, DOMAIN)
    await server.start(place)
    yield place.getsockname()[1]
    await server.close()


async def by_smtp(port: int, work: Callable[[smtplib.SMTP], Any]) -> Any:
    def talk() -> Any:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            return work(client)

    return await asyncio.to_thread(talk)


async def said(port: int, *lines: bytes) -> list[str]:
    """What is answered to bytes as they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(lines))
    try:
        async with asyncio.timeout(10):
            return (await reader.read()).decode().splitlines()
    finally:
        writer.close()


async def test_a_letter_arrives_as_it_was_written() -> None:
    desk = Desk()
    body = LETTER + ".begins with a dot\r\n..\r\nends\r\n"
    async with taking(desk) as port:
        assert await by_smtp(port, lambda one: one.sendmail("root@db-1", [f"job@{DOMAIN}", f"other@{DOMAIN.upper()}"], body)) == {}
    assert desk.taken == [(["job", "other"], body.encode())]


async def test_who_is_not_known_and_what_is_elsewhere_is_refused_at_once() -> None:
    desk = Desk()
    async with taking(desk) as port:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            await by_smtp(port, lambda one: one.sendmail("", [f"nobody@{DOMAIN}", "job@elsewhere.example"], LETTER))
        assert refused.value.recipients[f"nobody@{DOMAIN}"] == (550, b"there is no such job")
        assert refused.value.recipients["job@elsewhere.example"][1] == b"mail is taken for ping.example.com alone, and never passed on"
        some = await by_smtp(port, lambda one: one.sendmail("", [f"nobody@{DOMAIN}", f"job@{DOMAIN}"], LETTER))
    assert list(some) == [f"nobody@{DOMAIN}"]
    assert [names for names, _ in desk.taken] == [["job"]]


async def test_what_cannot_be_stored_now_is_to_be_sent_again() -> None:
    desk = Desk()
    desk.is_closed = True
    async with taking(desk) as port:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await by_smtp(port, lambda one: one.sendmail("a@b", [f"job@{DOMAIN}"], LETTER))
    assert refused.value.smtp_code == 451


async def test_a_letter_that_is_too_long_is_refused_for_good() -> None:
    desk = Desk()
    long = LETTER + "x" * 70 + "\r\n"
    long += ("y" * 998 + "\r\n") * (MAX_LETTER // 1_000 + 10)

    def unannounced(client: smtplib.SMTP) -> Any:
        client.helo()
        client.mail("a@b")
        client.rcpt(f"job@{DOMAIN}")
        return client.data(long)

    async with taking(desk) as port:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            await by_smtp(port, lambda one: one.sendmail("a@b", [f"job@{DOMAIN}"], long))
        assert refused.value.smtp_code == 552
        assert (await by_smtp(port, unannounced))[0] == 552
    assert desk.taken == []


async def test_no_letter_hides_in_another() -> None:
    """Only CRLF ends a line: a dot between bare line feeds is a part of the letter, for us as for whoever brought it."""
    desk = Desk()
    inner = b"MAIL FROM:<x@y>\r\nRCPT TO:<hidden@ping.example.com>\r\nDATA\r\nSubject: evil\r\n"
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"):
        await_it = [b"HELO a\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<job@ping.example.com>\r\n", b"DATA\r\n", b"Subject: good" + end]
        async with taking(desk) as port:
            await said(port, *await_it, inner, b"\r\n.\r\n", b"QUIT\r\n")
    assert [names for names, _ in desk.taken] == [["job"]] * 4


async def test_talk_that_is_none_is_named_and_ends() -> None:
    desk = Desk()
    async with taking(desk) as port:
        answers = await said(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20)
        assert answers[0] == "220 ping.example.com ESMTP Tocsin takes reports of jobs"
        assert answers[-1].startswith("502 ")
        assert len(answers) < 10
        order = await said(port, b"HELO a\r\nDATA\r\nMAIL TO:<>\r\nRCPT x\r\nNOOP\r\nVRFY job\r\nRSET\r\nQUIT\r\n")
        assert [line[:3] for line in order] == ["220", "250", "503", "501", "503", "250", "252", "250", "221"]
        assert [line[:3] for line in await said(port, b"a" * 100_000 + b"\r\nQUIT\r\n")] == ["220", "500", "221"]
        assert (await said(port, b"HELO a\r\n" + b"NOOP\r\n" * 200))[-1].startswith("421 ")
    assert desk.taken == []


async def test_who_says_nothing_is_left_and_too_many_at_once_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "WAIT", 0.2)
    monkeypatch.setattr(letters, "AT_ONCE", 1)
    async with taking(Desk()) as port:
        first = asyncio.create_task(said(port))
        await asyncio.sleep(0.05)
        assert (await said(port))[0].startswith("421 too many connections")
        assert (await first)[0].startswith("220 ")


async def test_a_fault_of_ours_is_no_loss_of_theirs_and_says_nothing_of_itself() -> None:
    class Broken(Desk):
        async def take(self, locals_: list[str], letter: bytes, address: str) -> None:
            raise KeyError("a secret")

    async with taking(Broken()) as port:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await by_smtp(port, lambda one: one.sendmail("a@b", [f"job@{DOMAIN}"], LETTER))
    assert refused.value.args == (451, b"not now, the server has a fault; send it again")


async def test_addresses_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with taking(Desk()) as port:
        await by_smtp(port, lambda one: one.sendmail("a@b", [f"secrettoken@{DOMAIN}"], LETTER))
    assert "secrettoken" not in caplog.text


@given(st.lists(st.sampled_from([b"MAIL FROM:<>", b"RCPT TO:<job@ping.example.com>", b"DATA", b"RSET", b".", b"x", b"\r\n", b"\n", b" "])))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_said_each_letter_has_its_recipient_and_the_talk_ends(words: list[bytes]) -> None:
    async def talk() -> None:
        desk = Desk()
        async with taking(desk) as port:
            answers = await said(port, b"HELO a\r\n", b"\r\n".join(words), b"\r\n.\r\nQUIT\r\n")
        assert answers[-1][:3] in ("221", "421", "502")
        assert all(names == ["job"] * len(names) and names for names, _ in desk.taken)

    asyncio.run(talk())


# --- Heartbeats ---------------------------------------------------------------------------------------------------------


async def a_job(world: World) -> Made:
    site = world.core.sites.get("main")
    wanted = Wanted("Backup of db-1", Schedule(3_600_000), 300_000, None, 3)
    return await world.write(lambda tx: world.core.pulse.make(tx, Who("marta"), site.id, wanted))


def now_is(world: World, made: Made) -> Heartbeat:
    with world.core.database.read() as connection:
        return store.get(connection, made.heartbeat.id)


async def test_a_job_reports_by_mail_whatever_becomes_of_the_case_of_its_address(world: World) -> None:
    made = await a_job(world)
    async with taking(Mailroom(world.core.database, world.core.writer, world.core.pulse)) as port:
        await by_smtp(port, lambda one: one.sendmail("root@db-1", [f"{made.token.upper()}@{DOMAIN}"], LETTER))
    with world.core.database.read() as connection:
        (ping,) = store.pings(connection, made.heartbeat.id)
    assert (ping.kind, ping.address, ping.log) == (Kind.SUCCESS, "127.0.0.1", "Backup completed\n\n12 GiB in 4 min")
    assert now_is(world, made).status.value == "up"


@pytest.mark.parametrize(
    ("what", "status", "exit_code"),
    [
        ("", "up", None),
        ("+start", "running", None),
        ("-fail", "failed", None),
        ("+0", "up", 0),
        ("+17", "failed", 17),
        ("+if-completed", "up", None),
        ("+IF-Backup_Completed", "up", None),
        ("+if-success", "failed", None),
        ("+unless-completed", "failed", None),
        ("-unless-error", "up", None),
    ],
)
async def test_the_address_says_how_it_went(sqlite_world: World, what: str, status: str, exit_code: int | None) -> None:
    made = await a_job(sqlite_world)
    core = sqlite_world.core
    desk = Mailroom(core.database, core.writer, core.pulse)
    assert await desk.refusal(made.token + what) is None
    await desk.take([made.token + what], LETTER.encode(), "192.0.2.1")
    assert now_is(sqlite_world, made).status.value == status
    with core.database.read() as connection:
        assert store.pings(connection, made.heartbeat.id)[0].exit_code == exit_code
    if status == "failed":
        alert = sqlite_world.alert()
        assert alert.type == "heartbeat.failed"
        assert "12 GiB in 4 min" in (alert.message or "")


@pytest.mark.parametrize("local", ["", "postmaster", "a" * 32, "a" * 32 + "+", "a" * 32 + "+boom", "ä" * 32, "a" * 33, "a" * 32 + "+256"])
async def test_what_is_no_address_of_a_heartbeat_is_refused(sqlite_world: World, local: str) -> None:
    core = sqlite_world.core
    assert await Mailroom(core.database, core.writer, core.pulse).refusal(local)


@pytest.mark.parametrize(
    ("raw", "subject", "log"),
    [
        (b"Subject: =?utf-8?q?Sicherung_f=C3=BCr_db-1?=\r\n\r\nfertig", "Sicherung für db-1", "Sicherung für db-1\n\nfertig"),
        (b"Subject: a\r\n b\r\n\r\n", "a b", "a b"),
        (b"", "", ""),
        (b"\xff\xfe\x00\r\n\r\n\x00", "", None),
        (b"Subject: x\r\nContent-Type: text/plain; charset=no-such\r\n\r\nhello", "x", None),
        (b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nthe text\r\n--a--", "x", "x\n\nthe text"),
        (b"Subject: x\r\nContent-Type: multipart/mixed\r\n\r\nno boundary", "x", None),
    ],
)
def test_letters_of_all_sorts_are_read(raw: bytes, subject: str, log: str | None) -> None:
    found = read_letter(raw)
    assert found[0] == subject
    assert log is None or found[1] == log
    assert "\0" not in found[1]


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_no_letter_breaks_the_reading(raw: bytes, head: bytes) -> None:
    subject, log = read_letter(b"Subject: " + head + b"\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + raw)
    assert "\n" not in subject
    assert len(log.encode()) <= 30_000
