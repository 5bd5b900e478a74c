"""``/health``, ``/live``, ``/ready``: does Tocsin itself work? Words for everybody, reasons for keys that may read."""

import asyncio
from typing import Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get

from tocsin.api.access import Guard
from tocsin.api.context import AnyRequest, EngineWatch, StepState, TheServer, TheWatch
from tocsin.bootstrap import Server
from tocsin.core.clock import MINUTE, SECOND
from tocsin.core.errors import Unavailable
from tocsin.core.text import counted
from tocsin.core.times import in_words
from tocsin.notify import queries, readiness

Word = Literal["ok", "degraded", "down"]

ANSWER_WITHIN = 5  # seconds for the database to answer
FULL = 1024 * 1024  # bytes free on the disk of the database: with less, an event is not certain to be taken
LATE = 30 * SECOND  # beyond its own interval: a step that has not ended for so long is late
STUCK = 2 * MINUTE  # nothing has been sent or looked at for so long: nobody would be paged
OVERDUE = 5 * MINUTE  # a message that is due and has waited for so long


class Checks(msgspec.Struct, frozen=True):
    """One word for each part."""

    database: Word
    engine: Word
    delivery: Word
    promises: Word


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """The worst of the checks, and each of them; ``details`` (what is wrong, by part) only for a key that may read everything."""

    status: Word
    checks: Checks
    details: dict[str, list[str]] | None = None


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with one part, and how bad that is."""

    word: Word
    reason: str


class HealthApi(Controller):
    """Tocsin's own health."""

    tags = ("Health",)

    @get("/health", opt={"down": True, "details": True})
    async def health(self, request: AnyRequest, server: TheServer, watch: TheWatch) -> Response[Health]:
        """Says how Tocsin itself is: `ok`, `degraded` (something needs a look) or `down` (it cannot do its work; 503)."""
        guard: Guard = request.app.state.guard
        report = await examine(server, watch)
        shown = report if await guard.reader(request) else msgspec.structs.replace(report, details=None)
        return Response(shown, status_code=503 if shown.status == "down" else 200, headers={"Cache-Control": "no-store"})

    @get("/live", sync_to_thread=False)
    def live(self) -> Alive:
        """Answers as long as the process runs."""
        return Alive()

    @get("/ready")
    async def ready(self, server: TheServer) -> Alive:
        """Answers 200 when events can be taken, else 503."""
        faults = await _database(server)
        if faults:
            raise Unavailable(faults[0].reason)
        return Alive()


async def examine(server: Server, watch: EngineWatch) -> Health:
    """Looks at every part now."""
    now = server.core.clock.now()
    database = await _database(server)
    found = {
        "database": database,
        "engine": _engine(watch, now),
        "delivery": _contacts(server) + _readiness(server, now) + ([] if database else await _overdue(server, now)),
        "promises": _promises(watch, now),
    }
    checks = {part: _worst(findings) for part, findings in found.items()}
    details = {part: [finding.reason for finding in findings] for part, findings in found.items()}
    return Health(_worst([Finding(word, "") for word in checks.values()]), Checks(**checks), details)


def _worst(findings: list[Finding]) -> Word:
    words = {finding.word for finding in findings}
    return "down" if "down" in words else "degraded" if "degraded" in words else "ok"


async def _database(server: Server) -> list[Finding]:
    core = server.core
    if core.database.damage:
        return [Finding("down", core.database.damage)]
    if core.writer.last_fault:
        return [Finding("down", f"the last write failed: {core.writer.last_fault}")]
    free = await asyncio.to_thread(core.database.free_space)
    if free is not None and free < FULL:  # what is small is still written, so the last write may well have succeeded
        return [Finding("down", "the disk is full: free some space on the data folder's disk")]

    def read() -> None:
        with core.database.read() as connection:
            connection.execute(sa.text("SELECT 1"))

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await asyncio.to_thread(read)
    except TimeoutError:
        return [Finding("down", f"the database has not answered for {ANSWER_WITHIN} s")]
    except Unavailable as error:
        return [Finding("down", error.message)]
    return []


def _engine(watch: EngineWatch, now: int) -> list[Finding]:
    if watch.health is None:
        return []
    judged = [judge_step(name, watch.every[name], health, watch.since, now) for name, health in watch.health.items()]
    return [finding for finding in judged if finding is not None]


def judge_step(name: str, every: int, health: StepState, since: int, now: int) -> Finding | None:
    """What is wrong with a step of the engine: its last run failed, or it has not ended well for too long. Times in ms."""
    age = now - (health.ended_at or since)
    if age > every + STUCK:
        return Finding("down", f"the step {name} has not ended for {in_words(age)}: {health.error or 'it hangs'}")
    if health.error is not None:
        return Finding("degraded", f"the step {name} failed: {health.error}")
    return Finding("degraded", f"the step {name} has not ended for {in_words(age)}") if age > every + LATE else None


def _promises(watch: EngineWatch, now: int) -> list[Finding]:
    """What the auditor says, how itself is, and whether the outside hears of us."""
    findings = []
    if watch.auditor is not None:
        auditor = watch.auditor
        age = now - (auditor.looked_at or watch.since)
        if age > STUCK:
            findings.append(Finding("down", f"the auditor has not looked for {in_words(age)}: {auditor.error or 'it hangs'}"))
        findings += [Finding("down", f"cannot be mended: {words}") for words in auditor.broken]
        findings += [Finding("degraded", f"mended just now: {words}") for words in auditor.mended]
        if auditor.alone:
            findings.append(Finding("degraded", f"nobody could be told of {counted(auditor.alone, 'open alert')}"))
    if watch.heartbeat is not None and watch.heartbeat.error is not None:
        findings.append(Finding("degraded", f"the outside heartbeat did not get through: {watch.heartbeat.error}"))
    return findings


def _contacts(server: Server) -> list[Finding]:
    findings = [
        Finding("degraded", f"{contact.kind} {contact.target} cannot be written to: {fault.error}")
        for contact_id, fault in list(server.delivery.faults.items())
        if (contact := server.core.contacts.find(contact_id)) is not None
    ]
    if not server.core.contacts.all:
        findings.append(
            Finding("degraded", "no contact is set up: an alert now would reach nobody. Set NTFY_SERVER_URL or NOTIFICATION_EMAIL")
        )
    return findings


def _readiness(server: Server, now: int) -> list[Finding]:
    """Who goes on call within a day: whom nobody could reach is a fault, one way only is worth a word."""
    unready = [one for one in readiness.on_duty_soon(server.core.contacts.directory, now) if not one.is_ready]
    return [Finding("ok" if one.contacts else "degraded", readiness.words(one, now)[0]) for one in unready]


async def _overdue(server: Server, now: int) -> list[Finding]:
    def read() -> int | None:
        with server.core.database.read() as connection:
            return queries.overdue_since(connection, now)

    try:
        since = await asyncio.to_thread(read)
    except Unavailable as error:
        return [Finding("degraded", error.message)]
    if since is None or now - since < OVERDUE:
        return []
    in_trouble = counted(len(server.delivery.faults), "contact")
    return [Finding("degraded", f"a message has been waiting for {in_words(now - since)}; {in_trouble} in trouble")]
