"""The company itself: its people and how to reach them, who is on call when, whom an alert tells, what is quiet and when."""

import msgspec
import sqlalchemy as sa

from tocsin.audit.model import Who
from tocsin.bootstrap import Core
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.ids import new_id
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.demo.business import SITES, ZONE, local
from tocsin.escalation import service as policies
from tocsin.escalation.model import Step, Target as Told, TargetKind
from tocsin.events import sites
from tocsin.identity import people, service as keys
from tocsin.identity.model import Role, Scope
from tocsin.muting import service as muting
from tocsin.muting.model import Dependency, Maintenance, Matcher, Op, Silence
from tocsin.notify import own, shared
from tocsin.notify.contacts import read_directory
from tocsin.notify.reach import known
from tocsin.notify.targets import Target
from tocsin.oncall import definition, service as oncall, store
from tocsin.oncall.model import Override, OverrideKind, Schedule, Turn
from tocsin.ruling import service as ruling
from tocsin.ruling.model import Actions, EventRule
from tocsin.whmcs import store as impacts
from tocsin.whmcs.model import Impact

MARTA, AYLIN, JONAS, LENA = "marta@nordlicht.example", "aylin@nordlicht.example", "jonas@nordlicht.example", "lena@nordlicht.example"
PEOPLE = {
    MARTA: ("Marta Kowalczyk", Role.ADMIN),
    AYLIN: ("Aylin Demir", Role.RESPONDER),
    JONAS: ("Jonas Weber", Role.RESPONDER),
    LENA: ("Lena Brandt", Role.VIEWER),
}
BOSS = Who(MARTA)
_LEADS_TO = (
    ("what stands on a server that is down", "server.down", r"check\.down|host\.silent"),
    ("what is slow on a server whose panel is slow", "server.slow", r"check\.degraded"),
)


def found(core: Core, now: int) -> Schedule:
    """Founds the company, at the moment *now*; its schedule."""
    schedule = core.writer.call(lambda tx: _staff(tx, now))
    core.refresh()
    core.writer.call(lambda tx: _agreements(tx, schedule, now))
    core.refresh()
    return schedule


def _staff(tx: Tx, now: int) -> Schedule:
    for slug, name in SITES.items():
        site_id = sites.ensure(tx, slug, now)
        tx.sql.execute(tables.sites.update().where(tables.sites.c.id == site_id).values(name=name))
        keys.make_key(tx, BOSS, f"Bridge of {name}", frozenset({Scope.INGEST}), (site_id, slug), None, now)
    users = {email: people.add(tx, BOSS, email, name, role, now, time_zone=ZONE) for email, (name, role) in PEOPLE.items()}
    for email in (MARTA, AYLIN, JONAS):
        first = PEOPLE[email][0].partition(" ")[0]
        for kind, target, label in (("ntfy", f"{first.lower()}-phone", "Phone"), ("email", email, "Mail")):
            own.add(tx, BOSS, users[email].id, kind, Target(target), label, now, verified=True)
    oncall.add_team(tx, BOSS, "Operations", [users[email].id for email in (MARTA, AYLIN, JONAS)], now)
    monday = local(now).replace(hour=8, minute=0, second=0, microsecond=0)
    # Twelve hours each, handed over at 08:00 and 20:00.
    turns = {"unit": "hour", "length": 12, "starts_at": f"{monday:%Y-%m-%dT%H:%M}", "users": [JONAS, MARTA, AYLIN, MARTA, AYLIN, JONAS]}
    layer = msgspec.convert({"name": "Watch", "rotation": turns}, definition.LayerText, strict=False)
    return oncall.add_schedule(tx, BOSS, oncall.ScheduleChange(name="Night watch", time_zone=ZONE, layers=(layer,)), now)


def _agreements(tx: Tx, schedule: Schedule, now: int) -> None:
    room = shared.add(tx, BOSS, "Operations room", "ntfy", Target("operations"), now)
    steps = (
        Step(0, (Told(TargetKind.SCHEDULE, schedule.id),)),
        Step(600, (Told(TargetKind.SCHEDULE, schedule.id), Told(TargetKind.CHANNEL, room.id)), {5: 300}, severity_min=3),
        Step(900, (Told(TargetKind.ADMINS),), {5: 600}, severity_min=4),
    )
    wanted = policies.PolicyChange(name="Who has the watch, then all", steps=steps)
    policy = policies.make(tx, BOSS, wanted, known(read_directory(tx.sql, now)), now)
    for slug in SITES:
        policies.use_at_site(tx, BOSS, sites.ensure(tx, slug, now), slug, policy.id, now)
    for name, parent, children in _LEADS_TO:
        said = (Matcher("type", Op.EQUAL, parent),), (Matcher("type", Op.REGEX, children),)
        muting.add(tx, BOSS, Dependency(new_id(now), name, *said, ("site", "host"), MARTA, now), now)
    calm = EventRule(
        "",
        "A single failed payment is for the morning",
        (Matcher("type", Op.EQUAL, "invoice.payment_failed"), Matcher("severity", Op.EQUAL, "2")),
        Actions(delay_seconds=600),
    )
    ruling.make(tx, BOSS, calm, None, (policy.id,), now)
    sunday = local(now + ((6 - local(now).weekday()) % 7) * DAY).replace(hour=3, minute=0, second=0, microsecond=0)
    starts_at = int(sunday.timestamp()) * 1000
    updates = (Matcher("host", Op.EQUAL, "srv-05"),)
    window = Maintenance(
        new_id(now),
        "Updates of the mail server",
        updates,
        starts_at,
        starts_at + 2 * HOUR,
        "Kernel and Exim",
        "FREQ=WEEKLY",
        ZONE,
        MARTA,
        now,
    )
    if starts_at > now:
        muting.add(tx, BOSS, window, now)


def ask_for_swap(tx: Tx, schedule: Schedule, emails: tuple[str, str], note: str, now: int) -> None:
    """The first of the two asks the second: a watch of each from the day after tomorrow on."""
    ids = {person.email: person.id for person in store.people(tx.sql).by_id.values()}
    found = oncall.shifts(tx, schedule, now + 2 * DAY, now + 9 * DAY).shifts[1:]  # the first is cut
    first, second = [next(Turn(one.user, one.starts_at, one.ends_at) for one in found if one.user == ids[email]) for email in emails]
    oncall.ask_swap(tx, Who(emails[0]), schedule.id, first, second, note, now)


def settle(tx: Tx, schedule: Schedule, now: int) -> None:
    """What has been agreed for these days: cover, a swap that is asked for, a silence, planned work; and what WHMCS says of a server."""
    midnight = int(local(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1000
    night = midnight + 3 * DAY + 20 * HOUR
    for kind, user, begins, ends in (
        (OverrideKind.REPLACE, JONAS, night, night + 12 * HOUR),
        (OverrideKind.REMOVE, None, night + 2 * DAY, night + 2 * DAY + 6 * HOUR),
    ):
        oncall.add_override(tx, BOSS, Override("", schedule.id, kind, user, None, begins, ends), now)
    ask_for_swap(tx, schedule, (JONAS, MARTA), "My sister moves that weekend.", now)
    wanted = (Matcher("host", Op.EQUAL, "srv-31"), Matcher("type", Op.PREFIX, "backup."))
    muting.add(tx, Who(AYLIN), Silence(new_id(now), wanted, now, now + 9 * HOUR, "Restoring a big account from it", AYLIN, now), now)
    moving = midnight + 2 * DAY + 2 * HOUR
    rack = (Matcher("site", Op.EQUAL, "alpenserver"), Matcher("host", Op.PREFIX, "srv-3"))
    muting.add(
        tx,
        BOSS,
        Maintenance(new_id(now), "Rack B4 gets new switches", rack, moving, moving + 3 * HOUR, "", None, ZONE, MARTA, now),
        now,
    )
    measured = now - 11 * MINUTE
    server = Impact("server", "12", ("srv-12",), "srv-12", services=268, clients=214, money={"EUR": 387_000}, measured_at=measured)
    gateway = Impact("gateway", "stripe", ("stripe",), "stripe", clients=19, due=23, failed=9, money={"EUR": 61_275}, measured_at=measured)
    for site_id in tx.sql.execute(sa.select(tables.sites.c.id).where(tables.sites.c.slug.in_(SITES))).scalars().all():
        impacts.replace(tx, site_id, [server, gateway])
