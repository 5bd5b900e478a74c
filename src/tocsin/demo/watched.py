"""What the company has watched: its servers by their agents, its sites and certificates by checks, its jobs by heartbeats.

When something falls or comes back the desks learn of it in earnest, look by look; the half a million looks at which all was well
are not lived through, and only those of the last two days, which are kept in full, are written down.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import msgspec
import numpy as np

from tocsin.bootstrap import Core
from tocsin.checks import store
from tocsin.checks.model import Cause, Check, Definition, Expiry, Finding, HttpTarget, Level, Result, Status, Target, TcpTarget, TlsTarget
from tocsin.checks.service import Looked
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.db import bulk, tables
from tocsin.db.writer import Tx
from tocsin.demo.business import SITES, ZONE
from tocsin.demo.company import BOSS
from tocsin.demo.fleet import BY_NAME, FLEET, STEP, Machine, measured, moments, took
from tocsin.demo.troubles import ALPEN, KIEZ, NORD, Trouble
from tocsin.heartbeats.model import Kind, Schedule
from tocsin.metrics.model import Sample, labels_of
from tocsin.metrics.packs import Columns
from tocsin.metrics.store import Key
from tocsin.pipeline.pulse import Wanted

INTERVAL = 300  # seconds between two looks at a check
JOBS_FILE = "jobs.json"  # the tokens of the jobs, so that they go on reporting when the company is served
KEPT_PLAIN = store.KEEP_PLAIN - HOUR
_AGAIN = (15 * SECOND, 36 * SECOND, 57 * SECOND)  # after something has fallen: it is asked again, and again
Step = tuple[int, Callable[[Tx], None]]


class Watched(msgspec.Struct, frozen=True):
    """A check. ``usual``: what an answer takes at noon, in ms; ``ends_in``: days until the certificate ends."""

    name: str
    site: str
    target: Target
    usual: float
    host: str | None = None
    group: str | None = None
    sla: float | None = None
    ends_in: int | None = None
    falls_with: str | None = None  # the code of the trouble, where it is not the server's

    @property
    def definition(self) -> Definition:
        """As the check desk keeps it."""
        return Definition(name=self.name, target=self.target, host=self.host, group=self.group, interval=INTERVAL, sla=self.sla)

    def level(self, trouble: Trouble) -> Level:
        """How bad this trouble is for it."""
        if self.falls_with is not None and trouble.site == self.site and trouble.attributes.get("code") == self.falls_with:
            return Level.FAILED
        if self.host is None or trouble.host != self.host:
            return Level.OK
        return {"server.down": Level.FAILED, "server.slow": Level.WARNING}.get(trouble.type, Level.OK)

    def finding(self, level: Level, ms: float, now: int | None) -> Finding:
        """What a look finds; *now*: when the company is made, from which the certificate has those days left (None: not looked at)."""
        expiry = None
        if self.ends_in is not None and now is not None:
            ends_at = now + self.ends_in * DAY + 5 * HOUR
            expiry = Expiry("certificate", f"{self.name} {ends_at // DAY}", ends_at, "Let's Encrypt R11")
        if level is Level.FAILED:
            gone = isinstance(self.target, HttpTarget) and self.falls_with is not None
            cause, words = (Cause.KEYWORD, "it says: no payment method is available") if gone else (Cause.SILENT, "no answer within 10 s")
            return Finding(level=level, cause=cause, words=words, heard=gone, trace=((0.2, "connecting"), (10_002.0, "gave up")))
        if level is not Level.OK:
            ms = ms + 3_700
            return Finding(
                level=level, cause=Cause.SLOW, words=f"it took {ms:.0f} ms, and 3000 ms is too long", ms=ms, phases=self._phases(ms)
            )
        return Finding(level=level, cause=Cause.FINE, words="it answers", ms=ms, phases=self._phases(ms), expiry=expiry)

    def _phases(self, ms: float) -> dict[str, float]:
        if not isinstance(self.target, HttpTarget):
            return {"dns": round(ms * 0.2, 1), "connect": round(ms * 0.8, 1)}
        return {"dns": round(ms * 0.03, 1), "connect": round(ms * 0.1, 1), "tls": round(ms * 0.2, 1), "first_byte": round(ms * 0.6, 1)}


def _of_machine(machine: Machine) -> Iterator[Watched]:
    name = f"{machine.name}.{SITES[machine.site].lower()}.example"
    if machine.queue is not None:
        yield Watched(f"SMTP of {machine.name}", machine.site, TcpTarget(host=name, port=25), 31, machine.name, "Mail")
    elif machine.panel is None:
        yield Watched(f"Backup store of {machine.name}", machine.site, TcpTarget(host=name, port=8000), 9, machine.name, "Backup")
    else:
        yield Watched(f"HTTPS of {machine.name}", machine.site, HttpTarget(url=f"https://{name}/"), 160, machine.name, "Web servers", 99.9)


CHECKS = (
    *[one for machine in FLEET for one in _of_machine(machine)],
    Watched("SSH of srv-12", NORD, TcpTarget(host="srv-12.nordlicht.example", port=22), 14, "srv-12", "Web servers"),
    Watched(
        "Client area of Nordlicht", NORD, HttpTarget(url="https://my.nordlicht.example/clientarea.php"), 310, None, "Client areas", 99.9
    ),
    Watched("Client area of Kiezhost", KIEZ, HttpTarget(url="https://my.kiezhost.example/clientarea.php"), 390, None, "Client areas", 99.9),
    Watched("Client area of Alpenserver", ALPEN, HttpTarget(url="https://my.alpenserver.example/"), 350, None, "Client areas", 99.5),
    Watched(
        "Card payment at Kiezhost",
        KIEZ,
        HttpTarget(url="https://my.kiezhost.example/cart.php?a=checkout", keyword="Card"),
        480,
        None,
        "Client areas",
        99.97,
        None,
        "api_key_expired",
    ),
    Watched("Certificate of webmail.kiezhost.example", KIEZ, TlsTarget(host="webmail.kiezhost.example"), 61, ends_in=13),
    Watched("Certificate of nordlicht.example", NORD, TlsTarget(host="nordlicht.example"), 48, ends_in=71),
)
BY_CHECK = {one.name: one for one in CHECKS}


class Job(msgspec.Struct, frozen=True):
    """A job that reports: daily at an hour of the local clock, or (None) every five minutes."""

    name: str
    site: str
    cron: str | None
    hour: float = 0
    lasts: int = 12 * SECOND
    fails_today: str = ""


JOBS = (
    *[Job(f"WHMCS cron of {name}", slug, None) for slug, name in SITES.items()],
    Job("Backup of srv-12", NORD, "30 2 * * *", 2.5, 39 * MINUTE),
    Job("Off-site copy", ALPEN, "0 4 * * *", 4, 71 * MINUTE, 'rsync: write failed on "/vault": No space left on device (28)'),
)


class Watch:
    """Sees what happens to the servers, the sites and the jobs of the company."""

    def __init__(self, core: Core, troubles: Sequence[Trouble], start: int, now: int, seed: int) -> None:
        self._core, self._start, self._now, self._seed = core, start, now, seed
        self._troubles = [one for one in troubles if one.began < now]
        self._chance = random.Random(seed)  # noqa: S311 - what happens in a made-up company
        self._checks: dict[str, Check] = {}
        self._tokens: dict[str, str] = {}
        self._filled = start

    def found(self, tx: Tx) -> None:
        """Everything that is watched is there from the first day."""
        for machine in FLEET:
            self._hear(tx, machine)
        for one in CHECKS:
            self._checks[one.name] = self._core.checks.add(BOSS, self._site(one.site), one.definition)(tx)
            self._look(tx, one, Level.OK)
        for job in JOBS:
            schedule = Schedule(5 * MINUTE) if job.cron is None else Schedule(cron=job.cron, time_zone=ZONE)
            wanted = Wanted(job.name, schedule, 10 * MINUTE if job.cron is None else 2 * HOUR, None, 3)
            self._tokens[job.name] = self._core.pulse.make(tx, BOSS, self._site(job.site), wanted).token
        (self._core.settings.data_dir / JOBS_FILE).write_bytes(msgspec.json.encode(self._tokens))

    def _site(self, slug: str) -> int:
        return self._core.sites.get(slug).id

    # What happens, each with its moment.

    def steps(self) -> Iterator[Step]:
        """Looks and silences that follow from troubles, and the reports of jobs, in no order."""
        for trouble in self._troubles:
            over = None if trouble.lasts is None else trouble.began + trouble.lasts
            for one in CHECKS:
                level = one.level(trouble)
                if level is not Level.OK:
                    yield from ((trouble.began + later, partial(self._look, one=one, level=level)) for later in _AGAIN)
                    yield from () if over is None else [(over + 20 * SECOND, partial(self._look, one=one, level=Level.OK))]
            if trouble.type == "server.down" and trouble.host in BY_NAME:
                yield from self._silence(BY_NAME[trouble.host], trouble.began, over)
        for one in CHECKS:
            yield from () if one.ends_in is None else self._warnings(one, one.ends_in)
        for job in JOBS:
            yield from self._reports(job)

    def _warnings(self, one: Watched, ends_in: int) -> Iterator[Step]:
        """Looks on the days on which a warning of the certificate's end is due."""
        for days in (30, 14):
            at = self._now - (days - ends_in) * DAY + 6 * HOUR
            if self._start <= at < self._now:
                yield at, partial(self._look, one=one, level=Level.OK)

    def _silence(self, machine: Machine, began: int, over: int | None) -> Iterator[Step]:
        others = [one for one in FLEET if one is not machine]
        yield began, lambda tx: self._hear(tx, *FLEET)
        yield began + 90 * SECOND, lambda tx: self._hear(tx, *others)
        yield began + 91 * SECOND, self._expire
        if over is not None:
            yield over + 25 * SECOND, lambda tx: self._hear(tx, machine)

    def _reports(self, job: Job) -> Iterator[Step]:
        if job.cron is None:
            first = self._now - 7 * HOUR
            yield from ((at, partial(self._ping, job=job)) for at in range(first + len(job.name) * 1_000, self._now, 5 * MINUTE))
            return
        midnight = self._start // DAY * DAY  # of UTC: an hour or two from the local one, which a crontab tells apart and a chart does not
        for at in range(midnight + round((job.hour - 1) * HOUR), self._now, DAY):
            ends_at = at + round(job.lasts * self._chance.uniform(0.85, 1.2))
            if at >= self._start and ends_at < self._now:
                yield at, partial(self._ping, job=job, kind=Kind.START)
                said = job.fails_today if ends_at > self._now - DAY else ""
                yield ends_at, partial(self._ping, job=job, kind=Kind.FAIL if said else Kind.SUCCESS, said=said)

    # What the desks are told.

    def _hear(self, tx: Tx, *machines: Machine) -> None:
        now = self._core.clock.now()
        for machine in machines:
            self._core.roll.hear(tx, self._site(machine.site), machine.card(now))

    def _expire(self, tx: Tx) -> None:
        self._core.roll.note_look(self._core.clock.now())
        self._core.roll.expire(tx)

    def _look(self, tx: Tx, one: Watched, level: Level) -> None:
        """A look by the real desk; those before it, at which nothing was new, have moved the time of the last one."""
        now = self._core.clock.now()
        check = store.get(tx.sql, self._checks[one.name].id)
        if check is None:
            return
        if check.last_at is not None and check.last_at < now - STEP:
            check = msgspec.structs.replace(check, last_at=now - STEP)
            store.replace(tx, check, ("last_at",))
        found = one.finding(level, one.usual * self._chance.uniform(0.9, 1.2), self._now)
        self._core.checks.record(tx, [Looked(check, found)])

    def _ping(self, tx: Tx, job: Job, kind: Kind = Kind.SUCCESS, said: str = "") -> None:
        self._core.pulse.ping(tx, self._tokens[job.name], kind, 1 if said else 0, "198.51.100.31", said)

    # What was measured.

    def fill(self, tx: Tx, until: int) -> None:
        """Everything that was measured up to the last midnight before *until*."""
        midnight = until // DAY * DAY
        if midnight > self._filled:
            self._core.history.fill(tx, dict(self._columns(self._filled, midnight)), midnight)
            self._filled = midnight

    def _columns(self, start: int, end: int) -> Iterator[tuple[Key, Columns]]:
        for machine in FLEET:
            found = measured(machine, moments(machine, start, end), self._troubles, self._now, self._seed)
            yield from (((self._site(machine.site), name, machine.name, labels), columns) for (name, labels), columns in found.items())
        for number, one in enumerate(CHECKS):
            yield self._key(one), self._answers(number, one, start, end)

    def _key(self, one: Watched) -> Key:
        labels = labels_of({"check": self._checks[one.name].id, "kind": one.definition.kind})
        return self._site(one.site), "response_ms", one.definition.place, labels

    def _answers(self, number: int, one: Watched, start: int, end: int) -> Columns:
        times = np.arange(start + number * 13 * SECOND, end, STEP, dtype=np.int64)
        hard = [trouble for trouble in self._troubles if one.level(trouble) is not Level.OK]
        return took(one.usual, times, hard, np.random.default_rng((self._seed, number, start // MINUTE)))

    def catch_up(self, tx: Tx) -> None:
        """Today, as it would have been sent, and the looks of the last two days; from here on everything is as served."""
        now = self._now
        columns = dict(self._columns(self._filled, now))
        for place, group in groupby(columns.items(), key=lambda one: (one[0][0], one[0][2])):
            samples = [
                Sample(place[0], name, at, value, place[1], labels)
                for (_, name, _, labels), (times, values) in group
                for at, value in zip(times.tolist(), values.tolist(), strict=True)
            ]
            self._core.history.record(tx, samples, now)
        down = {one.host for one in self._troubles if one.type == "server.down" and one.lasts is None}
        self._hear(tx, *[machine for machine in FLEET if machine.name not in down])
        for number, one in enumerate(CHECKS):
            self._write_looks(tx, one, self._answers(number, one, max(self._start, now - KEPT_PLAIN), now))

    def _write_looks(self, tx: Tx, one: Watched, answers: Columns) -> None:
        check = store.get(tx.sql, self._checks[one.name].id)
        if check is None:
            return
        looks = [_result(at, one.finding(Level.OK, ms, self._now)) for at, ms in zip(answers[0].tolist(), answers[1].tolist(), strict=True)]
        names = Result.__struct_fields__
        rows = [(check.id, *[getattr(look, name) for name in names]) for look in looks]
        bulk.insert_new(tx, tables.check_results, ("check_id", *names), rows)
        last, due_at = max(check.last_at or 0, self._now - 40 * SECOND - self._chance.randrange(200 * SECOND)), self._now + MINUTE
        store.replace(tx, msgspec.structs.replace(check, last_at=last, due_at=due_at), ("last_at", "due_at"))


def _result(at: int, found: Finding) -> Result:
    return Result(
        at=at,
        level=int(Level.OK),
        status=Status.UP,
        cause=found.cause.value,
        words=found.words,
        ms=found.ms,
        phases=msgspec.json.encode(found.phases).decode(),
        evidence=None,
    )


def tokens(core: Core) -> Mapping[str, str]:
    """The tokens of the jobs of a company that was made earlier."""
    return msgspec.json.decode((core.settings.data_dir / JOBS_FILE).read_bytes(), type=dict[str, str])


def newest(core: Core, machine: Machine, now: int, seed: int) -> list[Sample]:
    """What the agent of a server sends at this moment."""
    site_id = core.sites.get(machine.site).id
    found = measured(machine, np.array([now]), (), now, seed)
    return [Sample(site_id, name, now, float(values[0]), machine.name, labels) for (name, labels), (_, values) in found.items()]
