"""What the company of the showcase asks from outside, and how the last ninety days were."""

import random

import msgspec

from tocsin.bootstrap import Core
from tocsin.checks import store
from tocsin.checks.model import Cause, Check, Definition, HttpTarget, Level, Result, State, Status, Target, TcpTarget, TlsTarget, Told
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx
from tocsin.events import sites
from tocsin.heartbeats import store as heartbeats
from tocsin.heartbeats.model import Heartbeat, Kind, Ping, Schedule
from tocsin.hosts import store as hosts
from tocsin.hosts.model import Host
from tocsin.metrics.model import Sample, labels_of
from tocsin.muting import store as muting
from tocsin.muting.model import Maintenance, Matcher, Op

UP, SLOW, DOWN, UNKNOWN, MAINTENANCE = Status.UP, Status.DEGRADED, Status.DOWN, Status.UNKNOWN, Status.MAINTENANCE
LEVELS = {UP: Level.OK, SLOW: Level.WARNING, DOWN: Level.FAILED, MAINTENANCE: Level.OK}
CAUSES = {UP: Cause.FINE, SLOW: Cause.SLOW, DOWN: Cause.SILENT, UNKNOWN: Cause.OUR_FAULT, MAINTENANCE: Cause.FINE}


EVIDENCE = msgspec.json.encode(
    {"trace": [[0.1, "looking up nordlicht-12.example"], [4.2, "connecting to 192.0.2.12 port 443"], [10004.0, "gave up after 10 s"]]}
).decode()


class Trouble(msgspec.Struct, frozen=True):
    """When it was not up: it began *ago* ms before now and took *lasting* ms (0: it lasts)."""

    ago: int
    lasting: int
    how: Status
    words: str


def _gone(ago: int) -> tuple[Trouble, ...]:
    return (Trouble(ago, 0, DOWN, "no answer within 10 s"),)


class Watched(msgspec.Struct, frozen=True):
    """One check. ``usual``: what it takes on a good day, in ms."""

    site: str
    name: str
    target: Target
    usual: int
    troubles: tuple[Trouble, ...] = ()
    host: str | None = None
    group: str | None = None


WATCHED = (
    Watched("nordlicht", "SSH", TcpTarget(host="srv-12.nordlicht.example", port=22), 14, _gone(14 * MINUTE), host="srv-12"),
    Watched(
        "nordlicht",
        "HTTPS nordlicht-12.example",
        HttpTarget(url="https://nordlicht-12.example/"),
        180,
        (*_gone(13 * MINUTE), Trouble(19 * HOUR, 9 * MINUTE, SLOW, "it took 3,412 ms")),
        host="srv-12",
    ),
    Watched(
        "kiezhost",
        "Client area",
        HttpTarget(url="https://kiezhost.example/clientarea.php"),
        412,
        (
            Trouble(10 * HOUR, 26 * MINUTE, SLOW, "it took 3,988 ms"),
            Trouble(31 * DAY, 47 * MINUTE, DOWN, "it answered 502 instead of 200-399"),
        ),
        group="Kiezhost",
    ),
    Watched(
        "kiezhost",
        "Order form",
        HttpTarget(url="https://kiezhost.example/cart.php"),
        506,
        (Trouble(70 * MINUTE, 0, SLOW, "it took 3,204 ms"),),
        group="Kiezhost",
    ),
    Watched("kiezhost", "Certificate", TlsTarget(host="kiezhost.example"), 61, group="Kiezhost"),
    Watched(
        "alpenserver",
        "Panel",
        HttpTarget(url="https://panel.alpen.example/login"),
        238,
        (Trouble(52 * DAY, 3 * HOUR, DOWN, "the connection was refused"),),
        group="Alpenserver",
    ),
    Watched("alpenserver", "Certificate of the panel", TlsTarget(host="panel.alpen.example"), 58, group="Alpenserver"),
    Watched(
        "alpenserver",
        "Mail",
        TcpTarget(host="mx1.alpen.example", port=25),
        84,
        (Trouble(15 * HOUR, 18 * MINUTE, DOWN, "the connection was refused"),),
        group="Alpenserver",
    ),
    Watched(
        "alpenserver",
        "Backup store",
        TcpTarget(host="srv-31.alpen.example", port=8000),
        9,
        (Trouble(100 * MINUTE, 0, MAINTENANCE, "planned work"),),
        host="srv-31",
        group="Alpenserver",
    ),
)


def stage_checks(tx: Tx, now: int) -> None:
    """Ninety days of every check, and the looks of the last two."""
    chance = random.Random(12)
    for number, one in enumerate(WATCHED):
        check = _check(one, sites.ensure(tx, one.site, now), number, now)
        store.add(tx, check)
        store.turn(tx, check.id, check.created_at, UP, Cause.FINE.value, None)
        for trouble in sorted(one.troubles, key=lambda trouble: -trouble.ago):
            store.turn(tx, check.id, now - trouble.ago, trouble.how, CAUSES[trouble.how].value, trouble.words)
            if trouble.lasting:
                store.turn(tx, check.id, now - trouble.ago + trouble.lasting, UP, Cause.FINE.value, "it answers again")
        last = check.last_at or now
        for at in range(last - 2 * DAY, last + 1, 5 * MINUTE):
            store.keep(tx, check.id, _look(one, at, now, chance))


class Job(msgspec.Struct, frozen=True):
    """A job that reports. ``pings``: how long ago each was (ms), the oldest first; the last one failed, or is missing."""

    name: str
    schedule: Schedule
    every: int
    last: int
    took: int
    fails: bool = False
    misses: bool = False


JOBS = (
    Job("Backup of db-1", Schedule(cron="30 2 * * *", time_zone="Europe/Berlin"), DAY, 33 * MINUTE, 9 * MINUTE),
    Job("Kiezhost WHMCS cron", Schedule(period=5 * MINUTE), 5 * MINUTE, 3 * MINUTE, 22 * SECOND),
    Job("Off-site copy", Schedule(cron="0 1 * * *", time_zone="Europe/Berlin"), DAY, 26 * HOUR, 41 * MINUTE, misses=True),
    Job("Domain sync", Schedule(period=HOUR), HOUR, 12 * MINUTE, 75 * SECOND, fails=True),
)


def stage_jobs(tx: Tx, now: int) -> None:
    """Jobs that report, with their last twenty reports."""
    chance = random.Random(7)
    site_id = sites.ensure(tx, "kiezhost", now)
    for job in JOBS:
        moments = [now - job.last - job.every * back for back in reversed(range(20))]
        one = Heartbeat(
            id=new_id(now - 90 * DAY),
            site_id=site_id,
            name=job.name,
            schedule=job.schedule,
            grace=5 * MINUTE,
            longest_run=None,
            severity=4,
            created_at=now - 90 * DAY,
            updated_at=now - 90 * DAY,
            expected_at=now - 2 * HOUR if job.misses else now + job.every - job.last,
            last_ping_at=moments[-1],
            last_kind=Kind.FAIL if job.fails else Kind.SUCCESS,
            last_took=job.took,
            missed_at=now - 2 * HOUR if job.misses else None,
            failed_at=moments[-1] if job.fails else None,
        )
        heartbeats.add(tx, one, f"digest of {job.name}")
        for at in moments:
            failed = job.fails and at == moments[-1]
            said = "connecting to the registry\nerror: 503 Service Unavailable" if failed else ""
            took = round(job.took * chance.uniform(0.7, 1.2))
            ping = Ping(at, Kind.FAIL if failed else Kind.SUCCESS, took, 1 if failed else 0, "198.51.100.31", said)
            heartbeats.add_ping(tx, one, ping)


MACHINES = (("srv-12", "nordlicht", 14 * MINUTE), ("srv-09", "nordlicht", 20 * SECOND), ("web-3", "kiezhost", 31 * SECOND))


def stage_servers(core: Core, tx: Tx, now: int) -> None:
    """Three servers, one of them gone, with what they measured in the last two days, five minutes at a time."""
    chance = random.Random(3)
    for number, (name, slug, gone) in enumerate(MACHINES):
        site_id = sites.ensure(tx, slug, now)
        silent = gone > 10 * MINUTE
        facts = {"system": "Debian GNU/Linux 12", "kernel": "6.1.0-28-amd64", "cpu": "AMD EPYC 7443P", "panel": "cPanel 122"}
        host = Host(
            id=new_id(now - 80 * DAY + number),
            site_id=site_id,
            name=name,
            agent_id=f"agent-{number}",
            version="1.0",
            interval=MINUTE,
            facts=msgspec.json.encode(facts).decode(),
            clock_off=0,
            first_seen_at=now - 80 * DAY,
            last_seen_at=now - gone,
            silent_at=now - 12 * MINUTE if silent else None,
        )
        hosts.add(tx, host)
        if name == "srv-09":
            matchers = (Matcher("host", Op.EQUAL, name),)
            muting.add(
                tx,
                Maintenance(new_id(now), "New kernel", matchers, now - 9 * HOUR, now - 7 * HOUR, "", None, "UTC", "user:marta", now - DAY),
            )
        samples = [one for at in range(now - 2 * DAY, now - gone, 5 * MINUTE) for one in _measured(site_id, name, at, now, chance)]
        for start in range(0, len(samples), 5_000):
            core.history.record(tx, samples[start : start + 5_000], now)


def _measured(site_id: int, host: str, at: int, now: int, chance: random.Random) -> list[Sample]:
    """What an agent sends at once. By day there is more to do; the backup keeps the disks busy at half past two."""
    hour = at // HOUR % 24
    day = 1 if 8 <= hour <= 20 else 0.35
    backup = 1 if at % DAY // MINUTE in range(90, 110) else 0
    cpu = 18 + 42 * day * chance.uniform(0.8, 1.2) + 25 * backup
    values: tuple[tuple[str, float, dict[str, str]], ...] = (
        ("cpu_percent", min(99.0, cpu), {}),
        ("memory_percent", 61 + 9 * day + chance.uniform(-1, 1), {}),
        ("swap_percent", 3 + chance.uniform(0, 0.5), {}),
        ("load_1m", cpu / 12 + chance.uniform(0, 0.6), {}),
        ("load_5m", cpu / 13, {}),
        ("load_15m", cpu / 14, {}),
        ("cpu_count", 8, {}),
        ("disk_percent", 81.0 - (now - at) / DAY * 0.4, {"mount": "/var"}),
        ("disk_free_bytes", 61_000_000_000, {"mount": "/var"}),
        ("disk_percent", 41.0, {"mount": "/"}),
        ("network_receive_bytes_per_second", 2_400_000 * day * chance.uniform(0.6, 1.4), {}),
        ("network_transmit_bytes_per_second", 7_900_000 * day * chance.uniform(0.6, 1.4), {}),
        ("network_connections", 410 * day * chance.uniform(0.8, 1.2), {}),
        ("service_up", 1, {"unit": "nginx"}),
        ("service_up", 1, {"unit": "mariadb"}),
        ("service_up", 0 if host == "web-3" else 1, {"unit": "exim"}),
    )
    return [Sample(site_id, name, at, float(value), host, labels_of(labels)) for name, value, labels in values]


def _check(one: Watched, site_id: int, number: int, now: int) -> Check:
    began = now - 90 * DAY
    lasting = next((trouble for trouble in one.troubles if not trouble.lasting), None)
    status = lasting.how if lasting else UP
    ends_at = now + (9 if one.site == "kiezhost" else 89) * DAY if isinstance(one.target, TlsTarget) else None
    since = now - lasting.ago if lasting else max((began, *(now - trouble.ago + trouble.lasting for trouble in one.troubles)))
    return Check(
        id=new_id(began + number),
        site_id=site_id,
        definition=Definition(
            name=one.name,
            target=one.target,
            host=one.host,
            group=one.group,
            interval=300,
            sla=99.9 if isinstance(one.target, HttpTarget) else None,
        ),
        version=1,
        is_paused=False,
        status=status,
        status_since=since,
        state=State(level=LEVELS.get(status), is_unknown=False, expiry=Told("a", ends_at) if ends_at else None),
        created_at=began,
        created_by="marta@example.com",
        updated_at=began,
        due_at=now + DAY,
        last_at=now - (number * 7 % 50) * SECOND,
        last_ms=None if status is DOWN else float(one.usual),
        last_words=lasting.words if lasting else "it answers",
        last_cause=CAUSES[status].value,
        expires_at=ends_at,
    )


def _look(one: Watched, at: int, now: int, chance: random.Random) -> Result:
    trouble = next((t for t in one.troubles if now - t.ago <= at and (not t.lasting or at < now - t.ago + t.lasting)), None)
    how = trouble.how if trouble else UP
    level = LEVELS.get(how)
    ms = None if how is DOWN else round(one.usual * chance.uniform(0.85, 1.25) * (8 if how is SLOW else 1), 1)
    is_last = at + 5 * MINUTE > now - MINUTE
    return Result(
        at=at,
        level=None if level is None else int(level),
        status=how,
        cause=CAUSES[how].value,
        words=trouble.words if trouble else "it answers",
        ms=ms,
        phases=msgspec.json.encode({} if ms is None else _phases(one.target, ms)).decode(),
        evidence=EVIDENCE if is_last and how is DOWN else None,
    )


def _phases(target: Target, ms: float) -> dict[str, float]:
    if isinstance(target, TcpTarget):
        return {"dns": 3.1, "connect": round(ms - 3.1, 1)}
    return {"dns": 4.2, "connect": round(ms * 0.11, 1), "tls": round(ms * 0.2, 1), "first_byte": round(ms * 0.6, 1)}
