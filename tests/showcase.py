"""A night at Nordlicht Hosting, through the real pipeline: what browser tests look at and `make screenshots` photographs.

It is Tuesday 24 November 2026, 03:12 in Berlin. Three WHMCS sites, three people, a day of ordinary events and a bad night.
"""

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from tests.showcase_checks import stage_checks, stage_jobs, stage_servers
from tests.showcase_orders import stage_orders
from tests.world import World
from tocsin.alerts import rules
from tocsin.alerts.model import Alert
from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.errors import FieldError
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.demo.company import ask_for_swap
from tocsin.events import sites
from tocsin.events.model import EventInput, Incoming, Rejected
from tocsin.identity import service as identity
from tocsin.identity.model import Role
from tocsin.notify.model import Contact
from tocsin.oncall import definition, service as oncall
from tocsin.oncall.model import Override, OverrideKind
from tocsin.whmcs import store as impacts
from tocsin.whmcs.model import Impact

NOW = 1_795_486_320_000  # 2026-11-24 02:12:00 UTC
SITES = {"nordlicht": "Nordlicht", "kiezhost": "Kiezhost", "alpenserver": "Alpenserver"}
MARTA, AYLIN, JONAS = "marta@nordlicht.example", "aylin@nordlicht.example", "jonas@nordlicht.example"
PEOPLE = {MARTA: "Marta Kowalczyk", AYLIN: "Aylin Demir", JONAS: "Jonas Weber"}

# An ordinary day: type, what it is about, how often an hour at noon.
_ORDINARY: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("invoice.paid", "invoice", 9.0, {"total": "18.90"}),
    ("order.paid", "order", 3.0, {"invoiceid": 91204}),
    ("user.login", "user", 14.0, {}),
    ("ticket.opened", "ticket", 2.5, {"deptname": "Support", "priority": "Medium"}),
    ("ticket.staff_replied", "ticket", 3.0, {"deptname": "Support"}),
    ("service.provisioned", "service", 1.5, {"serverid": 7}),
    ("domain.renewed", "domain", 1.0, {"domain": "example.de"}),
    ("client.registered", "client", 1.0, {}),
    ("transaction.created", "transaction", 6.0, {"gateway": "stripe"}),
)
_HOURS = (3, 2, 2, 2, 2, 3, 5, 8, 10, 12, 12, 12, 12, 11, 12, 12, 11, 10, 9, 8, 7, 6, 5, 4)  # how busy each hour is; noon is 12


class Trouble(msgspec.Struct, frozen=True):
    """One problem: since when (before `NOW`), how often, and what people did about it."""

    site: str
    type: str
    severity: int
    title: str
    message: str
    subject: str
    began: int
    times: int = 1
    host: str | None = None
    attributes: dict[str, Any] | None = None
    acknowledged: tuple[str, int] | None = None  # by whom, how long before NOW
    snoozed: tuple[str, int, int] | None = None  # by whom, how long before NOW, for how long
    resolved: tuple[str, int, str] | None = None  # by whom (empty: recovery), how long before NOW, with which note
    assigned: str = ""
    notes: tuple[tuple[str, int, str], ...] = ()


NIGHT = (
    Trouble(
        "nordlicht",
        "server.down",
        5,
        "srv-12 is down",
        "It stopped answering from three places at once: ping, SSH and HTTP have been silent since 02:58.",
        "server:12",
        14 * MINUTE,
        9,
        host="srv-12",
        attributes={"clients": 214, "monthly_income": "3870.00", "probe": "http", "last_answer_ms": 182, "rack": "B4"},
        acknowledged=(MARTA, 8 * MINUTE),
        notes=(
            (MARTA, 5 * MINUTE, "Console shows a **kernel panic**. Power-cycling it now.\n\n- `ipmitool chassis power cycle`\n- then fsck"),
        ),
    ),
    Trouble(
        "kiezhost",
        "gateway.declines",
        4,
        "Card payments are refused",
        "Stripe: 38% of captures fail, 4% is normal. 31 invoices wait.",
        "gateway:stripe",
        41 * MINUTE,
        23,
        attributes={"gateway": "stripe", "declined": 8, "captures": 21, "code": "do_not_honor", "invoices": 31, "waiting": "1264.00"},
    ),
    Trouble(
        "alpenserver",
        "system.cron_missed",
        3,
        "Daily cron was missed",
        "Due at 02:00, last ran on Monday at 02:00. 96 invoices are not sent.",
        "cron:daily",
        72 * MINUTE,
        1,
        attributes={"due": "02:00", "invoices": 96},
    ),
    Trouble(
        "nordlicht",
        "mail.queue_long",
        3,
        "4,180 mails are stuck on srv-05",
        "200 to 600 is normal at night.",
        "queue:mail",
        26 * MINUTE,
        6,
        host="srv-05",
        attributes={"queued": 4180, "oldest_s": 1560},
        assigned=JONAS,
    ),
    Trouble(
        "nordlicht",
        "domain.renewal_failed",
        3,
        "Domain renewals fail at the registrar",
        "4 domains: insufficient balance.",
        "registrar:hexonet",
        52 * MINUTE,
        4,
        attributes={"domain": "kuestenfunk.de", "error": "insufficient balance"},
    ),
    Trouble(
        "nordlicht",
        "service.provision_failed",
        3,
        "No cPanel account could be made on srv-07",
        "The licence allows 250 accounts.",
        "service:8812",
        125 * MINUTE,
        2,
        host="srv-07",
        attributes={"serverid": 7, "module": "cpanel", "error": "license account limit reached"},
        acknowledged=(AYLIN, 102 * MINUTE),
    ),
    Trouble(
        "kiezhost", "support.waiting", 2, "11 tickets wait longer than 4 hours", "3 is normal at night.", "queue:support", 177 * MINUTE
    ),
    Trouble(
        "nordlicht",
        "disk.forecast",
        2,
        "srv-03 /var is full in 6 days",
        "Grows 2.1 GB a day, 12.4 GB left.",
        "disk:/var",
        9 * HOUR,
        3,
        host="srv-03",
    ),
    Trouble(
        "kiezhost",
        "certificate.ends",
        1,
        "Webmail certificate ends in 14 days",
        "webmail.kiezhost.example: renewal is due on Friday.",
        "certificate:webmail",
        3 * HOUR,
    ),
    Trouble(
        "alpenserver",
        "backup.slow",
        2,
        "Backup of srv-31 takes longer than usual",
        "5 h 12 min; 3 h 20 min is normal.",
        "backup:srv-31",
        4 * HOUR,
        host="srv-31",
        snoozed=(AYLIN, 3 * HOUR, 9 * HOUR),
    ),
    Trouble(
        "nordlicht",
        "service.suspend_failed",
        3,
        "Service 4471: suspension failed on server 9",
        "The module answered: account does not exist.",
        "service:4471",
        7 * HOUR,
        2,
        snoozed=(MARTA, 6 * HOUR, 14 * HOUR),
    ),
)
PAST = (
    Trouble(
        "kiezhost",
        "gateway.declines",
        4,
        "Card payments are refused",
        "Stripe: 55% of captures fail.",
        "gateway:stripe",
        82 * DAY,
        31,
        resolved=(JONAS, 82 * DAY - 52 * MINUTE, "The key was rotated at Stripe; the new one is in WHMCS now."),
    ),
    Trouble(
        "nordlicht",
        "server.down",
        5,
        "srv-12 is down",
        "No answer.",
        "server:12",
        19 * DAY,
        12,
        host="srv-12",
        resolved=(MARTA, 19 * DAY - 33 * MINUTE, "Kernel panic after an update of the RAID driver; rebooted, driver pinned."),
    ),
    Trouble(
        "nordlicht",
        "disk.full",
        4,
        "srv-21 /home is 97% full",
        "",
        "disk:/home",
        18 * HOUR,
        5,
        host="srv-21",
        acknowledged=(AYLIN, 18 * HOUR - 6 * MINUTE),
        resolved=(AYLIN, 17 * HOUR, "Old backups removed."),
    ),
    Trouble(
        "kiezhost",
        "invoice.payment_failed",
        4,
        "Invoice 90117: payment refused by stripe",
        "",
        "invoice:90117",
        13 * HOUR,
        2,
        resolved=("", 12 * HOUR, "Invoice 90117: paid"),
    ),
    Trouble(
        "nordlicht",
        "server.slow",
        3,
        "Panel answers in 4.2 s",
        "0.4 s is normal.",
        "server:2",
        10 * HOUR,
        4,
        host="srv-02",
        resolved=("", 9 * HOUR, ""),
    ),
    Trouble(
        "alpenserver",
        "ticket.opened",
        3,
        "Ticket TKT-4410: opened in Critical",
        "",
        "ticket:4410",
        20 * HOUR,
        1,
        resolved=(AYLIN, 19 * HOUR, "Answered."),
    ),
    Trouble(
        "alpenserver",
        "system.cron_error",
        5,
        "WHMCS cron reports an error: memory limit",
        "",
        "cron:error",
        6 * HOUR,
        3,
        resolved=("", 5 * HOUR, ""),
    ),
)


async def stage(world: World) -> None:
    """Plays the day and the night. The clock stands at `NOW` afterwards."""
    world.clock.at = NOW - 120 * DAY
    await world.write(lambda tx: _company(tx, world.clock.now()))
    await world.write(lambda tx: tx.sql.execute(sa.update(tables.users).values(time_zone="Europe/Berlin")))
    ids = dict(world.rows(sa.select(tables.users.c.email, tables.users.c.id)))
    await world.people(
        Contact(new_id(1), "ntfy", "marta-phone", "Pocket", ids[MARTA]),
        Contact(new_id(2), "email", MARTA, "Mailbox", ids[MARTA]),
        Contact(new_id(3), "email", JONAS, "Mailbox", ids[JONAS]),
        Contact(new_id(4), "ntfy", "aylin-phone", "Pocket", ids[AYLIN]),
        Contact(new_id(5), "email", AYLIN, "Mailbox", ids[AYLIN]),
    )
    for trouble in PAST[:2]:
        await _play(world, [trouble])
    world.clock.at = NOW - DAY
    await _ordinary_day(world)
    await _play(world, [*PAST[2:], *NIGHT])
    world.clock.at = NOW - MINUTE
    broken = [
        Rejected(
            0,
            None,
            (
                FieldError("type", "must be dotted lower case, such as invoice.paid"),
                FieldError("severity", "must be a whole number from 1 to 5"),
            ),
            b'{"type": "Invoice Paid", "severity": 9, "subject": "invoice:91204", "title": "Invoice paid"}',
        ),
        Rejected(
            1, None, (FieldError("", "is not JSON: it ends in the middle"),), b'{"type": "order.paid", "attributes": {"invoiceid": 91'
        ),
    ]
    await world.report(*broken, key_site="kiezhost")
    await world.write(lambda tx: _what_hangs_on_it(tx, NOW - 11 * MINUTE))
    await world.write(lambda tx: stage_checks(tx, NOW))
    await world.write(lambda tx: stage_jobs(tx, NOW))
    await world.write(lambda tx: stage_servers(world.core, tx, NOW))
    shops = (world.core.sites.get("kiezhost").id, "kiezhost")
    await world.write(lambda tx: stage_orders(tx, MARTA, [ids[AYLIN], ids[JONAS]], shops, NOW))
    world.core.refresh()
    await _live_until(world, NOW)


def _company(tx: Tx, now: int) -> None:
    for slug, name in SITES.items():
        site_id = sites.ensure(tx, slug, now)
        tx.sql.execute(tables.sites.update().where(tables.sites.c.id == site_id).values(name=name))
    for email, name in PEOPLE.items():
        identity.add_user(tx, email, name, Role.ADMIN if email == MARTA else Role.RESPONDER, None, now)
    # Twelve hours each, handed over at 08:00 and 20:00; Marta has this night.
    turns = {"unit": "hour", "length": 12, "starts_at": "2026-11-02T08:00", "users": [JONAS, MARTA, AYLIN, MARTA]}
    layer = msgspec.convert({"name": "Watch", "rotation": turns}, definition.LayerText, strict=False)
    wanted = oncall.ScheduleChange(name="Night watch", time_zone="Europe/Berlin", layers=(layer,))
    schedule = oncall.add_schedule(tx, Who(MARTA), wanted, now)
    # Jonas has the night to Thursday instead of Marta; and nobody has the afternoon of Saturday.
    midnight = NOW - 3 * HOUR - 12 * MINUTE
    night, saturday = midnight + 44 * HOUR, midnight + 4 * DAY + 12 * HOUR
    for kind, user, begins, ends in (
        (OverrideKind.REPLACE, JONAS, night, night + 12 * HOUR),
        (OverrideKind.REMOVE, None, saturday, saturday + 8 * HOUR),
    ):
        oncall.add_override(tx, Who(MARTA), Override("", schedule.id, kind, user, None, begins, ends), now)
    ask_for_swap(tx, schedule, (JONAS, MARTA), "My sister moves that weekend.", NOW - HOUR)


def _what_hangs_on_it(tx: Tx, now: int) -> None:
    """What the last survey of WHMCS has found, for each site of the fallen server and the tired gateway."""
    server = Impact("server", "12", ("srv-12",), "srv-12", services=268, clients=214, money={"EUR": 387_000}, measured_at=now)
    gateway = Impact("gateway", "stripe", ("stripe",), "stripe", clients=19, due=23, failed=9, money={"EUR": 61_275}, measured_at=now)
    for site_id in tx.sql.execute(sa.select(tables.sites.c.id)).scalars().all():
        impacts.replace(tx, site_id, [server, gateway])


async def _ordinary_day(world: World) -> None:
    """Business of the last 24 hours, five minutes at a time. Kiezhost's bridge lost two events."""
    chance = random.Random(7)
    sequence = dict.fromkeys(SITES, 40_000)
    for start in range(NOW - DAY, NOW, 5 * MINUTE):
        world.clock.at = start + 5 * MINUTE
        hour = (start - (NOW - DAY)) // HOUR
        members = []
        for slug, share in {"nordlicht": 1.0, "kiezhost": 0.55, "alpenserver": 0.3}.items():
            for kind, about, attributes in _business(chance, share * _HOURS[(2 + hour) % 24] / 12 / 12):
                sequence[slug] += 3 if slug == "kiezhost" and sequence[slug] == 40_250 else 1
                event = EventInput(
                    type=kind,
                    subject=f"{about}:{chance.randrange(1000, 99_999)}",
                    attributes=msgspec.Raw(msgspec.json.encode(attributes)),
                    source=f"whmcs-{slug}",
                    sequence=sequence[slug],
                )
                members.append(Incoming(event, slug, world.clock.at - chance.randrange(400, 4_000)))
        if members:
            await world.report(*members, skew=chance.randrange(-400, 400))


def _business(chance: random.Random, share: float) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for kind, about, an_hour, attributes in _ORDINARY:
        for _ in range(int(an_hour * share + chance.random())):
            yield kind, about, attributes


async def _play(world: World, troubles: Iterable[Trouble]) -> None:
    """Everything that happened to these, in the order in which it happened."""
    steps: list[tuple[int, Trouble, str, Any]] = []
    for trouble in troubles:
        end = trouble.resolved[1] if trouble.resolved else 0
        spacing = (trouble.began - end) // max(1, trouble.times)
        steps += [(NOW - trouble.began + n * spacing, trouble, "happens", n) for n in range(trouble.times)]
        if trouble.assigned:
            steps.append((NOW - trouble.began + 2 * MINUTE, trouble, "assigned", trouble.assigned))
        if trouble.acknowledged:
            steps.append((NOW - trouble.acknowledged[1], trouble, "acknowledged", trouble.acknowledged[0]))
        if trouble.snoozed:
            steps.append((NOW - trouble.snoozed[1], trouble, "snoozed", trouble.snoozed))
        steps += [(NOW - ago, trouble, "noted", (who, text)) for who, ago, text in trouble.notes]
        if trouble.resolved:
            steps.append((NOW - end, trouble, "resolved", trouble.resolved))
    for at, trouble, what, how in sorted(steps, key=lambda step: step[0]):
        await _live_until(world, at)
        if what == "happens":
            await world.report(_event(trouble, "problem", at))
        else:
            await _person(world, trouble, what, how, at)


async def _live_until(world: World, at: int) -> None:
    """Escalation and expiry take their course on the way; weeks in which nothing happens are left out."""
    if 0 < at - world.clock.at < 3 * HOUR:
        await world.pass_time(at - world.clock.at)
    world.clock.at = at


def _event(trouble: Trouble, status: Any, at: int, title: str = "") -> Incoming:
    event = EventInput(
        type=trouble.type,
        severity=trouble.severity,
        status=status,
        title=title or trouble.title,
        message=trouble.message or None,
        subject=trouble.subject,
        host=trouble.host,
        attributes=msgspec.Raw(msgspec.json.encode(trouble.attributes)) if trouble.attributes else msgspec.Raw(b"null"),
        source=f"watch-{trouble.site}",
    )
    return Incoming(event, trouble.site, at)


async def _person(world: World, trouble: Trouble, what: str, how: Any, at: int) -> None:
    alert = find(world, trouble.title)
    match what:
        case "acknowledged":
            await world.acknowledge(alert, how)
        case "assigned":
            await world.act(alert, lambda a, now: rules.assign(a, MARTA, how, now))
        case "snoozed":
            who, ago, lasts = how
            await world.act(alert, lambda a, now: rules.snooze(a, who, NOW - ago + lasts, None, now))
        case "noted":
            await world.act(alert, lambda a, now: rules.comment(a, how[0], how[1], now))
        case "resolved":
            who, _, note = how
            if who:
                await world.act(alert, lambda a, now: rules.resolve(a, who, note, now))
            else:
                await world.report(_event(trouble, "recovery", at, note))


def find(world: World, title: str) -> Alert:
    """The newest alert with this title."""
    return next(alert for alert in reversed(world.alerts()) if alert.title == title)
