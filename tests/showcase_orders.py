"""What the people of the showcase have asked of Tocsin: a team, a policy, rules, a silence and planned work."""

from tocsin.audit.model import Who
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx
from tocsin.escalation import service as escalation
from tocsin.escalation.model import Step, Target, TargetKind
from tocsin.muting import service as muting
from tocsin.muting.model import Maintenance, Matcher, Op, Silence
from tocsin.notify.contacts import read_directory
from tocsin.notify.reach import known
from tocsin.oncall import service as oncall
from tocsin.ruling import service as ruling
from tocsin.ruling.model import Actions, EventRule


def stage_orders(tx: Tx, marta: str, team: list[str], site: tuple[int, str], now: int) -> None:
    """As *marta* (her address); *team*: the ids of those who know the database; the policy is that of *site* (its id and name)."""
    who = Who(marta)
    experts = oncall.add_team(tx, who, "Database people", team, now - 20 * DAY)
    steps = (
        Step(0, (Target(TargetKind.ON_CALL),)),
        Step(900, (Target(TargetKind.TEAM, experts.id),)),
        Step(900, (Target(TargetKind.ADMINS),), severity_min=4),
    )
    reachable = known(read_directory(tx.sql, now))
    policy = escalation.make(tx, who, escalation.PolicyChange("Shops and payments", steps, 1), reachable, now - 20 * DAY)
    escalation.use_at_site(tx, who, *site, policy.id, now - 20 * DAY)
    rules = (
        EventRule("", "Backups may be slow", (Matcher("type", Op.EQUAL, "backup.slow"),), Actions(severity=2)),
        EventRule(
            "", "One alert for each gateway", (Matcher("type", Op.PREFIX, "gateway."),), Actions(dedup_key="{type}|{attributes.gateway}")
        ),
    )
    for rule in rules:
        ruling.make(tx, who, rule, None, (policy.id,), now - 10 * DAY)
    disks = (Matcher("host", Op.EQUAL, "srv-21"), Matcher("type", Op.PREFIX, "disk."))
    muting.add(tx, who, Silence(new_id(now), disks, now, now + 5 * HOUR, "Old backups are being moved off srv-21", marta, now), now)
    sunday = now + 5 * DAY - now % DAY - 2 * HOUR
    updates = (Matcher("site", Op.EQUAL, "alpenserver"),)
    planned = Maintenance(
        *(new_id(now), "Kernel updates", updates, sunday, sunday + 90 * MINUTE, "Alpenserver, one server after the other"),
        *("FREQ=WEEKLY", "Europe/Berlin", marta, now),
    )
    muting.add(tx, who, planned, now)
