"""A Tocsin that is killed again and again while WHMCS, servers and people go on; and the reckoning of promises and facts.

Senders behave like the bridge: what was not acknowledged is sent again under the same ids. The ntfy server and the mail
server live in the test's own process and note all that arrives.
"""

import asyncio
import base64
import json
import random
import re
import signal
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import sqlalchemy as sa

from tests.cli.nursery import Child, born
from tests.cli.program import Program
from tests.standins.ntfy import NtfyStandIn
from tests.standins.smtp import SmtpStandIn
from tocsin.audit.model import Who
from tocsin.bootstrap import build_core
from tocsin.core.clock import monotonic
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.escalation import service
from tocsin.escalation.model import Step, Target, TargetKind
from tocsin.notify.model import Message
from tocsin.notify.reach import known
from tocsin.settings import load

SENDERS = 4
BREATH = 0.02  # seconds between two posts of one sender
PATIENCE = 300.0
PERHAPS_AGAIN = "You may have received this before."
LINK = re.compile(r"/a/([\w=-]{44})")
LOUD, LOUDEST = 4, 5
PAGES = ("opened", "escalated", "repeated")
EVERYBODY = (Target(TargetKind.SHARED),)
LEVELS = (
    Step(0, EVERYBODY),
    Step(1, EVERYBODY, severity_min=LOUDEST, channels=("email",)),
    Step(1, EVERYBODY, severity_min=LOUDEST, channels=("ntfy",)),
)
Event = dict[str, Any]


class Ordeal:
    """See the module. `kill_at` and `kill_at_random` each start a server and end it; `settle` starts the last one."""

    def __init__(self, program: Program, ntfy: NtfyStandIn, smtp: SmtpStandIn, seed: int) -> None:
        self._program, self._ntfy, self._smtp = program, ntfy, smtp
        self._random = random.Random(seed)
        self._url = f"http://{program.settings['TOCSIN_LISTEN']}"
        self._key = ""
        self._log = (program.folder.parent / "ordeal.log").open("ab")
        self._load: list[asyncio.Task[None]] = []
        self._calm = asyncio.Event()  # no new load: what is under way is brought to its end
        self.sent: dict[str, Event] = {}  # acknowledged, by id
        self.pressed: set[str] = set()
        self.kills = 0
        self._starting = 1.0  # seconds from the start of a server to its first answer

    @classmethod
    @asynccontextmanager
    async def begin(cls, program: Program, seed: int) -> "AsyncIterator[Ordeal]":
        """With stand-ins, a key, and a load that goes on until `settle`."""
        ntfy, smtp = await NtfyStandIn().start(), await SmtpStandIn().start()
        program.settings |= {
            "NTFY_SERVER_URL": ntfy.url,
            "NOTIFICATION_EMAIL": "ops@example.com",
            "TOCSIN_SMTP_URL": f"smtp+plain://127.0.0.1:{smtp.port}",
            "TOCSIN_MESSAGE_BURST": "20",
            "TOCSIN_GROUP_WAIT_SECONDS": "0",
            "TOCSIN_MESSAGES_PER_MINUTE": "1200",
        }
        ordeal = cls(program, ntfy, smtp, seed)
        ordeal._key = await asyncio.to_thread(program.key, "ingest")
        await asyncio.to_thread(_use_policy, program)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
            ordeal._load = [asyncio.create_task(ordeal._send_all(session, n)) for n in range(SENDERS)]
            ordeal._load.append(asyncio.create_task(ordeal._press_buttons(session)))
            try:
                yield ordeal
            finally:
                ordeal._log.close()
                for task in ordeal._load:
                    task.cancel()
                await asyncio.gather(*ordeal._load, return_exceptions=True)
        await ntfy.close()
        await smtp.close()

    def _database(self) -> Database:
        return Database(self._program.settings["TOCSIN_DATABASE_URL"])

    # Lives and deaths.

    async def kill_at(self, boundary: str, *, young: bool = False) -> None:
        """A server that dies when it reaches *boundary*, a few times into its life; a claim is of all that waits, and comes seldom.

        *young*: while what it does first, such as settling the past, has only just happened.
        """
        most = 6 if young or boundary.startswith("claim.") else 30
        process = self._start("tests.crash.victim", boundary, str(self._random.randint(1, most)))
        await self._death_of(process)

    async def kill_at_random(self) -> None:
        """A server that dies at a random moment: one in four while it starts, the others within their first half second of work."""
        process = self._start("tocsin", "serve")
        began, before = monotonic(), len(self.sent)
        if self._random.random() < 0.25:
            await asyncio.sleep(self._random.uniform(0, self._starting))
        else:
            await _until(lambda: len(self.sent) > before)
            self._starting = monotonic() - began
            await asyncio.sleep(self._random.uniform(0, 0.5))
        assert process.poll() is None, self.log
        process.kill()
        await self._death_of(process)

    def _start(self, *command: str) -> Child:
        return born(command, self._program.environment(), None, self._log.fileno(), self._log.fileno())

    async def _death_of(self, process: Child) -> None:
        try:
            await _until(lambda: process.poll() is not None)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL, self.log
        self.kills += 1

    async def settle(self) -> None:
        """A last server that lives: everything under way is brought to its end."""
        process = self._start("tocsin", "serve")
        try:
            await asyncio.sleep(0.1)
            self._calm.set()
            await asyncio.wait_for(asyncio.gather(*self._load), PATIENCE)
            await _until(self._is_quiet)
            process.terminate()
            await _until(lambda: process.poll() is not None)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, self.log

    @property
    def log(self) -> str:
        """What the servers said."""
        return (self._program.folder.parent / "ordeal.log").read_text()

    def _is_quiet(self) -> bool:
        waiting = sa.select(sa.func.count()).where(
            tables.outbox.c.status.in_(("pending", "sending")) | tables.outbox.c.next_attempt_at.is_not(None)
        )
        to_come = sa.select(sa.func.count()).where(tables.escalations.c.next_at.is_not(None))
        return int(self._rows(waiting)[0][0]) == int(self._rows(to_come)[0][0]) == 0

    def _rows(self, query: Any) -> list[Any]:
        database = self._database()
        try:
            with database.read() as connection:
                return list(connection.execute(query).all())
        finally:
            database.close()

    # The load.

    async def _send_all(self, session: aiohttp.ClientSession, sender: int) -> None:
        subjects: list[str] = []
        while not self._calm.is_set():
            batch = self._batch(sender, subjects)
            await self._deliver(session, batch)
            subjects.extend(event["subject"] for event in batch if event["status"] == "problem")
            await asyncio.sleep(BREATH)

    def _batch(self, sender: int, subjects: list[str]) -> list[Event]:
        chance, count = self._random, self._random.choice([1, 1, 1, 6])
        return [
            self._event(chance.choice(subjects) if subjects and chance.random() < 0.4 else f"thing:{sender}-{uuid.uuid4()}")
            for _ in range(count)
        ]

    def _event(self, subject: str) -> Event:
        status = self._random.choice(["problem", "problem", "problem", "problem", "recovery", "info"])
        return {
            "id": str(uuid.uuid4()),
            "type": "disk.full",
            "subject": subject,
            "status": status,
            "severity": self._random.randint(2, 5),
            "source": subject[:7],
        }

    async def _deliver(self, session: aiohttp.ClientSession, batch: list[Event]) -> None:
        """As the bridge does: again and again with the same ids until it is acknowledged."""
        body = json.dumps(batch[0] if len(batch) == 1 else batch).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        while True:
            try:
                async with session.post(f"{self._url}/api/v1/events", data=body, headers=headers) as answer:
                    said = await answer.json()
                    assert answer.status == 202, said
                    break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)
            except (aiohttp.ClientError, ConnectionError):
                pass
        assert said["ids"] == [event["id"] for event in batch]
        assert said["rejected"] == []
        self.sent |= {event["id"]: event for event in batch}

    async def _press_buttons(self, session: aiohttp.ClientSession) -> None:
        """People: now and then somebody presses a button of a push."""
        looked_at = 0
        while not self._calm.is_set():
            await asyncio.sleep(0.05)
            fresh, looked_at = self._ntfy.messages[looked_at:], len(self._ntfy.messages)
            for push in fresh:
                if push.get("actions") and self._random.random() < 0.2:
                    await self._press(session, self._random.choice(push["actions"])["url"])

    async def _press(self, session: aiohttp.ClientSession, url: str) -> None:
        while True:
            try:
                async with session.post(url) as answer:
                    assert answer.status == 200, await answer.text()
                    break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)
            except (aiohttp.ClientError, ConnectionError):
                pass
        self.pressed.add(url)

    # The reckoning.

    def check(self) -> None:
        """Promises and facts agree."""
        assert '"exception"' not in self.log, self.log
        self._check_events()
        self._check_alerts()
        self._check_messages()
        self._check_steps()

    def _check_events(self) -> None:
        """Each acknowledged event is there exactly once, and nothing else is."""
        stored = Counter(row[0] for row in self._rows(sa.select(tables.events.c.id).where(tables.events.c.type == "disk.full")))
        assert stored == Counter(dict.fromkeys(self.sent, 1))

    def _check_alerts(self) -> None:
        """Each problem is counted once; no two unresolved alerts of one thing."""
        reported = Counter(event["subject"] for event in self.sent.values() if event["status"] == "problem")
        counted: Counter[str] = Counter()
        unresolved: Counter[str] = Counter()
        for alert in self._rows(sa.select(tables.alerts).where(tables.alerts.c.type == "disk.full")):
            counted[alert.subject] += alert.occurrences
            unresolved[alert.subject] += alert.status != "resolved"
        assert counted == reported
        assert max(unresolved.values(), default=0) <= 1

    def _check_messages(self) -> None:
        """Each promised message was received; twice only where that was unavoidable and said."""
        outbox = [Message(*row) for row in self._rows(sa.select(*[tables.outbox.c[name] for name in Message.__struct_fields__]))]
        alerts = {row[0] for row in self._rows(sa.select(tables.alerts.c.number))}
        received = self._received()
        assert set(received) <= {message.id for message in outbox}, "something was received that nobody promised"
        opened = {message.alert_number for message in outbox if message.kind == "opened"}
        assert opened == alerts, "an alert that nobody was told about"
        kinds = dict(self._rows(sa.select(tables.contacts.c.id, tables.contacts.c.kind)))
        for message in outbox:
            _check_copies(message, kinds[message.contact_id], received.get(message.id, []))

    def _check_steps(self) -> None:
        """Each step of the policy that was due has one message for each of its contacts, and one line in the history."""
        kinds = dict(self._rows(sa.select(tables.contacts.c.id, tables.contacts.c.kind)))
        o = tables.outbox.c
        pages = sa.select(o.alert_number, o.generation, o.step, o.severity, o.contact_id).where(o.kind.in_(PAGES))
        found: dict[tuple[int, int], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for number, generation, step, severity, contact_id in self._rows(pages):
            assert severity == LOUDEST or step == 0, f"alert {number} of severity {severity} escalated to level {step}"
            found[number, generation][step].append(kinds[contact_id])
        for place, steps in found.items():
            assert sorted(steps) == list(range(len(steps))), f"a level was left out: {place} {sorted(steps)}"
            for step, told in steps.items():
                assert len(set(told)) == len(told), f"told twice: {place} {step}"
                assert step == 0 or told == list(LEVELS[step].channels), f"not who was to be told: {place} {step} {told}"
        a = tables.alerts.c
        for number, generation, severity in self._rows(sa.select(a.number, a.generation, a.severity).where(a.status == "open")):
            levels = len(LEVELS) if severity == LOUDEST else 1
            assert len(found[number, generation]) == levels, f"alert {number} has stopped on its way"
        h = tables.alert_history.c
        lines = Counter(row[0] for row in self._rows(sa.select(h.alert_number).where(h.action == "escalated")))
        further: Counter[int] = Counter()
        for (number, _), steps in found.items():
            further[number] += len(steps) - 1
        assert lines == +further
        assert further.total() > 0, "nothing was escalated: the test tests nothing"

    def _received(self) -> dict[str, list[str]]:
        """The texts of all that arrived, by message: its link names it, or a mail's Message-ID."""
        found = defaultdict(list)
        for push in self._ntfy.messages:
            found[_in_link(push["click"])].append(push["message"])
        for mail in self._smtp.mails:
            found[mail.message["Message-ID"].strip("<>").partition("@")[0]].append(mail.text)
        return found


def _use_policy(program: Program) -> None:
    """The loudest alerts go on to further levels within seconds, so that some are always due when a server dies."""
    core = build_core(load(program.environment()))
    try:
        now, site = core.clock.now(), core.sites.get("main").id

        def work(tx: Tx) -> None:
            made = service.make(tx, Who("test"), service.PolicyChange("Hasty", LEVELS), known(core.contacts.directory), now)
            service.use_at_site(tx, Who("test"), site, "main", made.id, now)

        core.writer.call(work)
    finally:
        core.close()


def _check_copies(message: Message, channel: str, copies: list[str]) -> None:
    told = f"{message} over {channel}: {copies}"
    if message.status == "sent" and message.digest_id is None:
        assert copies, f"never received: {told}"
    elif message.status == "unknown":
        # Loud pages go again, and of quiet ones the provider is asked. A mail server cannot be asked.
        assert channel == "email", told
        assert message.severity < LOUD or message.kind in ("acknowledged", "resolved"), told
    else:
        assert message.status in ("sent", "cancelled"), told
    if len(copies) > 1:
        assert message.severity >= LOUD, f"received twice: {told}"
        assert all(PERHAPS_AGAIN in copy for copy in copies[1:]), f"received twice, and it does not say so: {told}"


def _in_link(click: str) -> str:
    """The message that a signed address names."""
    found = LINK.search(click)
    assert found, click
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(found[1])[1:17]))


async def _until(condition: Any) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.05)
