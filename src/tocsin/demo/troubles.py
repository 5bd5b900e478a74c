"""What goes wrong at the company, how often, and how long people and machines take to put it right."""

import math
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.severity import Severity
from tocsin.demo.business import busyness, local
from tocsin.events.model import EventInput


class Kind(msgspec.Struct, frozen=True):
    """A kind of trouble. ``weight``: how common among all; ``lasts``: minutes until it is over, half of the time.

    ``mends``: it ends by itself as often as this (0 to 1), else somebody ends it, with one of ``notes``.
    """

    type: str
    severity: int
    title: str
    message: str
    subject: str
    sites: tuple[str, ...]
    weight: float
    lasts: float
    mends: float
    hosts: tuple[str, ...] = ()
    attributes: dict[str, Any] = {}
    notes: tuple[str, ...] = ("Done.",)


NORD, KIEZ, ALPEN = "main", "kiezhost", "alpenserver"
ALL = (NORD, KIEZ, ALPEN)
HOMES = {
    **dict.fromkeys(("srv-03", "srv-04", "srv-05", "srv-07", "srv-09", "srv-12"), NORD),
    **dict.fromkeys(("srv-02", "srv-06", "srv-11"), KIEZ),
    **dict.fromkeys(("srv-21", "srv-31", "srv-33"), ALPEN),
}
KINDS = (
    Kind(
        "mail.queue_long",
        3,
        "{n} mails are stuck on {host}",
        "200 to 600 is normal.",
        "queue:mail",
        (NORD, KIEZ),
        9,
        34,
        0.55,
        ("srv-05", "srv-06"),
        {"queued": 4180},
        ("One account was sending spam; suspended.", "Queue flushed."),
    ),
    Kind(
        "server.slow",
        3,
        "The panel on {host} answers in 4.2 s",
        "0.4 s is normal.",
        "server:panel",
        ALL,
        9,
        14,
        0.9,
        ("srv-02", "srv-07", "srv-31"),
        {"last_answer_ms": 4210},
        ("A backup was running; moved to 04:00.",),
    ),
    Kind(
        "service.provision_failed",
        3,
        "No cPanel account could be made on {host}",
        "The licence allows 250 accounts.",
        "service:{id}",
        (NORD, KIEZ),
        8,
        55,
        0.3,
        ("srv-07", "srv-09"),
        {"module": "cpanel", "error": "license account limit reached"},
        ("Licence raised to 300; provisioned by hand.", "Made it on srv-09 instead."),
    ),
    Kind(
        "invoice.payment_failed",
        2,
        "Invoice {id}: payment refused by stripe",
        "do_not_honor",
        "invoice:{id}",
        ALL,
        16,
        190,
        0.8,
        (),
        {"gateway": "stripe", "code": "do_not_honor"},
        ("Client paid by transfer.", "Wrote to the client."),
    ),
    Kind(
        "domain.renewal_failed",
        3,
        "Domain {domain} could not be renewed",
        "The registrar answered: insufficient balance.",
        "domain:{domain}",
        (NORD, ALPEN),
        5,
        95,
        0.2,
        (),
        {"error": "insufficient balance"},
        ("Balance topped up; renewed.",),
    ),
    Kind(
        "disk.full",
        4,
        "{host} /home is 97% full",
        "It grows by 2.1 GB a day.",
        "disk:/home",
        ALL,
        4,
        42,
        0.15,
        ("srv-21", "srv-09", "srv-02"),
        {"used_percent": 97},
        ("Old backups removed.", "Logs rotated, 40 GB free."),
    ),
    Kind(
        "server.down",
        5,
        "{host} is down",
        "It stopped answering from three places at once.",
        "server:host",
        ALL,
        2.2,
        21,
        0.35,
        ("srv-04", "srv-11", "srv-07", "srv-33"),
        {"probe": "http"},
        ("Power-cycled from the console.", "The switch port was flapping; moved to another.", "Out of memory; restarted, limits set."),
    ),
    Kind(
        "gateway.declines",
        4,
        "Card payments are refused",
        "Stripe: 31% of captures fail, 4% is normal.",
        "gateway:stripe",
        (KIEZ, NORD),
        1.6,
        38,
        0.6,
        (),
        {"gateway": "stripe", "code": "do_not_honor"},
        ("Stripe had an incident; it is over.",),
    ),
    Kind(
        "backup.late",
        2,
        "The backup of {host} takes longer than usual",
        "5 h 12 min; 3 h 20 min is normal.",
        "backup:nightly",
        (ALPEN, NORD),
        5,
        140,
        0.95,
        ("srv-31", "srv-12"),
    ),
    Kind(
        "ticket.waiting",
        2,
        "{n} tickets wait longer than 4 hours",
        "3 is normal.",
        "queue:support",
        (KIEZ, NORD),
        4,
        120,
        0.9,
    ),
    Kind(
        "system.cron_missed",
        3,
        "The daily cron was missed",
        "Due at 02:00. 96 invoices are not sent.",
        "cron:daily",
        ALL,
        1.5,
        65,
        0.1,
        (),
        {"due": "02:00", "invoices": 96},
        ("PHP had run out of memory; limit raised, run by hand.",),
    ),
    Kind(
        "certificate.ends",
        2,
        "The webmail certificate ends in 14 days",
        "Renewal is due on Friday.",
        "certificate:webmail",
        (KIEZ, ALPEN),
        0.8,
        900,
        0.2,
        (),
        {},
        ("Renewed; the challenge was blocked by the firewall.",),
    ),
)
DOMAINS = ("kuestenfunk.de", "backstube-ahoi.de", "alpenblick-chalet.at", "radwerk.berlin", "seezeichen.net", "hafenkino.de")


class Trouble(msgspec.Struct, frozen=True):
    """One problem from its beginning to its end; all times in milliseconds.

    ``taken_after``: when somebody takes it, if it is still there; ``lasts``: when it is over, None: not yet.
    ``note`` is empty where it ends by itself.
    """

    site: str
    type: str
    severity: int
    title: str
    message: str
    subject: str
    began: int
    host: str | None = None
    attributes: dict[str, Any] = {}
    repeats: int = 1
    taken_after: int | None = None
    lasts: int | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """What tells it from others at the same site."""
        return f"{self.type}:{self.host or ''}:{self.subject}"

    def event(self, *, is_over: bool = False) -> EventInput:
        """What its sender says."""
        return EventInput(
            type=self.type,
            severity=1 if is_over else self.severity,
            status="recovery" if is_over else "problem",
            title=f"Over: {self.title}" if is_over else self.title,
            message=self.message,
            subject=self.subject,
            host=self.host,
            attributes=msgspec.Raw(msgspec.json.encode(self.attributes)),
            dedup_key=self.key,
        )


def around(chance: random.Random, middle: float, spread: float = 0.7) -> int:
    """A time that people take: half of them are longer than *middle* minutes, a few much longer. In milliseconds."""
    return int(chance.lognormvariate(math.log(middle), spread) * MINUTE)


def is_night(at: int) -> bool:
    """Whether people have to be woken."""
    return not 7 <= local(at).hour < 22


def some(chance: random.Random, kind: Kind, began: int, site: str | None = None) -> Trouble:
    """A trouble of this kind, with an end that looks human."""
    host = chance.choice(kind.hosts) if kind.hosts else None
    words = {"host": host or "", "id": chance.randrange(4_000, 9_999), "n": f"{chance.randrange(7, 40) * 110:,}"}
    if kind.type == "ticket.waiting":
        words["n"] = str(chance.randrange(7, 19))
    words["domain"] = chance.choice(DOMAINS)
    mends = chance.random() < kind.mends
    lasts = max(90 * SECOND, around(chance, kind.lasts))
    loud = kind.severity >= Severity.HIGH
    taken_after = around(chance, (6.5 if loud else 22) if is_night(began) else (3.2 if loud else 11), 0.6)
    worth_taking = kind.severity >= Severity.MEDIUM or chance.random() < 0.2
    return Trouble(
        site=site or HOMES.get(host or "") or chance.choice(kind.sites),
        type=kind.type,
        severity=kind.severity,
        title=kind.title.format(**words),
        message=kind.message,
        subject=kind.subject.format(**words),
        began=began,
        host=host,
        attributes=kind.attributes,
        repeats=1 + int(chance.expovariate(0.5)),
        taken_after=taken_after if worth_taking and (taken_after < lasts or not mends) else None,
        lasts=lasts if mends else max(lasts, taken_after + 4 * MINUTE),
        note="" if mends else chance.choice(kind.notes),
    )


def any_kind(chance: random.Random) -> Kind:
    """A kind, the common ones more often."""
    return chance.choices(KINDS, [kind.weight for kind in KINDS])[0]


def past(chance: random.Random, start: int, end: int) -> Iterator[Trouble]:
    """What went wrong between two moments: some each day, more when there is more business; and two outages."""
    at = start
    while True:
        at += int(chance.expovariate(1 / (3 * HOUR)))
        if at >= end:
            break
        if chance.random() < 0.35 + 0.65 * busyness(at):
            yield some(chance, any_kind(chance), at)
    yield from _server_outage(end - 19 * DAY - 3 * HOUR)
    yield from _gateway_outage(chance, end - 61 * DAY - 7 * HOUR)


def _server_outage(began: int) -> Iterator[Trouble]:
    """srv-12 falls at night, and all that stands on it with it."""
    note = "Kernel panic after an update of the RAID driver; rebooted, driver pinned."
    about = {"clients": 214, "probe": "http", "rack": "B4"}
    yield Trouble(
        NORD,
        "server.down",
        5,
        "srv-12 is down",
        "Ping, SSH and HTTP are silent from three places.",
        "server:12",
        began,
        "srv-12",
        about,
        12,
        4 * MINUTE,
        33 * MINUTE,
        note,
    )
    for n, what in enumerate(("Web", "Mail", "MySQL", "DNS", "FTP", "IMAP", "Backup agent")):
        yield Trouble(
            NORD,
            "service.unreachable",
            4,
            f"{what} on srv-12 does not answer",
            "",
            f"service:{what.lower().replace(' ', '-')}",
            began + (20 + 9 * n) * SECOND,
            "srv-12",
            {},
            4,
            None,
            34 * MINUTE + n * SECOND,
        )


def _gateway_outage(chance: random.Random, began: int) -> Iterator[Trouble]:
    """A key at the payment provider has been rotated: no card can be charged, invoice after invoice."""
    yield Trouble(
        KIEZ,
        "gateway.declines",
        4,
        "Card payments are refused",
        "Stripe: 100% of captures fail.",
        "gateway:stripe",
        began,
        None,
        {"gateway": "stripe", "code": "api_key_expired"},
        31,
        7 * MINUTE,
        52 * MINUTE,
        "The key was rotated at Stripe; the new one is in WHMCS now.",
    )
    for n in range(18):
        invoice = 88_100 + n
        yield Trouble(
            KIEZ,
            "invoice.payment_failed",
            3,
            f"Invoice {invoice}: payment refused by stripe",
            "api_key_expired",
            f"invoice:{invoice}",
            began + n * 2 * MINUTE + chance.randrange(MINUTE),
            None,
            {"gateway": "stripe"},
            1,
            None,
            60 * MINUTE + n * 20 * SECOND,
        )


def present(now: int) -> tuple[Trouble, ...]:
    """What is wrong at this moment, so that there is something to do for whoever comes in."""
    return (
        Trouble(
            NORD,
            "server.down",
            5,
            "srv-12 is down",
            "It stopped answering from three places at once: ping, SSH and HTTP are silent.",
            "server:12",
            now - 14 * MINUTE,
            "srv-12",
            {"clients": 214, "monthly_income": "3870.00", "probe": "http", "last_answer_ms": 182, "rack": "B4"},
            9,
            6 * MINUTE,
        ),
        Trouble(
            KIEZ,
            "gateway.declines",
            4,
            "Card payments are refused",
            "Stripe: 38% of captures fail, 4% is normal. 31 invoices wait.",
            "gateway:stripe",
            now - 41 * MINUTE,
            None,
            {"gateway": "stripe", "declined": 8, "captures": 21, "code": "do_not_honor", "invoices": 31},
            23,
        ),
        Trouble(
            NORD,
            "mail.queue_long",
            3,
            "4,180 mails are stuck on srv-05",
            "200 to 600 is normal.",
            "queue:mail",
            now - 26 * MINUTE,
            "srv-05",
            {"queued": 4180, "oldest_s": 1560},
            6,
        ),
        Trouble(
            ALPEN,
            "system.cron_missed",
            3,
            "The daily cron was missed",
            "Due at 02:00. 96 invoices are not sent.",
            "cron:daily",
            now - 72 * MINUTE,
            None,
            {"due": "02:00", "invoices": 96},
        ),
        Trouble(
            NORD,
            "service.provision_failed",
            3,
            "No cPanel account could be made on srv-07",
            "The licence allows 250 accounts.",
            "service:8812",
            now - 125 * MINUTE,
            "srv-07",
            {"module": "cpanel", "error": "license account limit reached"},
            2,
            23 * MINUTE,
        ),
        Trouble(
            KIEZ,
            "ticket.waiting",
            2,
            "11 tickets wait longer than 4 hours",
            "3 is normal.",
            "queue:support",
            now - 177 * MINUTE,
        ),
        Trouble(
            NORD,
            "disk.forecast",
            2,
            "srv-03 /var is full in 6 days",
            "It grows by 2.1 GB a day, 12.4 GB are left.",
            "disk:/var",
            now - 9 * HOUR,
            "srv-03",
            {},
            3,
        ),
    )
