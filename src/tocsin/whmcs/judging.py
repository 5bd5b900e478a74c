"""What follows from the facts: problems that stand, and news that happens once. Pure functions."""

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.text import counted, cut
from tocsin.core.times import in_words
from tocsin.whmcs.model import Admin, Admins, Automation, Capacities, Health, Problem, Queue, Standing

CRON_OVERDUE = "whmcs.cron_overdue"
HEALTH = "whmcs.health_check"
QUEUE = "whmcs.module_queue_stuck"
FULL = "whmcs.server_full"
ADMIN_ADDED = "whmcs.admin_added"
ADMIN_ROLE = "whmcs.admin_role_changed"
ADMIN_TWO_FACTOR = "whmcs.admin_two_factor_removed"
ADMIN_ENABLED = "whmcs.admin_enabled"
LOGIN_FAILED = "admin.login_failed"

# WHMCS itself calls the automation broken when no daily run began for 24 hours. A run begins with the first cron after its time,
# so that a quarter of an hour more is still a usual day.
DAILY_WITHIN, DAILY_GRACE = DAY, 15 * MINUTE
DAILY_CRITICAL = 36 * HOUR
QUEUE_STUCK, QUEUE_OLD, QUEUE_LONG = HOUR, DAY, 20
NEARLY_FULL, NO_LONGER_FULL = 90, 88  # percent
TELL_AGAIN = HOUR  # somebody may have resolved the alert of what still stands


def problems(facts: msgspec.Struct, server_time: int | None, standing: Mapping[str, Standing]) -> list[Problem]:
    """What is wrong by these facts. *server_time*: what time it is on the WHMCS server, if that is known."""
    match facts:
        case Automation():
            return list(_cron(facts))
        case Health():
            return list(_health(facts))
        case Queue():
            return list(_queue(facts, server_time))
        case Capacities():
            return list(_capacity(facts, standing))
        case _:
            return []


def _cron(facts: Automation) -> Iterable[Problem]:
    if facts.last_daily is None:
        yield Problem(CRON_OVERDUE, "cron:daily", 4, "The daily cron of WHMCS has never run", _CRON_CURE)
        return
    age = facts.server_time - facts.last_daily
    if age > DAILY_WITHIN + DAILY_GRACE:
        severity = 5 if age > DAILY_CRITICAL else 4
        yield Problem(CRON_OVERDUE, "cron:daily", severity, f"The daily cron of WHMCS has not run for {in_words(age)}", _CRON_CURE)


_CRON_CURE = (
    "No invoices are made, no payments captured, nothing is suspended. Look at Configuration > Automation Status, and run"
    " `php crons/cron.php all --force -vvv` on the WHMCS server."
)


def _health(facts: Health) -> Iterable[Problem]:
    for check in facts.dangers:
        yield Problem(
            HEALTH, f"health:{check.name}"[:200], 3, cut(f"WHMCS finds a fault with itself: {check.name}", 200), check.text or None
        )
    for check in facts.warnings:
        if "cron" in check.name.lower():  # not called for two hours: mail import, queue and domain sync stand still
            yield Problem(HEALTH, f"health:{check.name}"[:200], 3, "The cron of WHMCS is not called often enough", check.text or None)


def _queue(facts: Queue, server_time: int | None) -> Iterable[Problem]:
    age = server_time - facts.oldest if server_time is not None and facts.oldest is not None else 0
    if facts.waiting and (age > QUEUE_STUCK or facts.waiting >= QUEUE_LONG):
        since = f", the oldest for {in_words(age)}" if age > MINUTE else ""
        title = f"{counted(facts.waiting, 'module action')} failed and {'waits' if facts.waiting == 1 else 'wait'}{since}"
        severity = 4 if age > QUEUE_OLD or facts.waiting >= QUEUE_LONG else 3
        yield Problem(QUEUE, "queue:module", severity, title, "\n".join(facts.first) or None)


def _capacity(facts: Capacities, standing: Mapping[str, Standing]) -> Iterable[Problem]:
    for server in facts.servers:
        problem = Problem(FULL, f"server:{server.id}", 3, "")
        limit = NO_LONGER_FULL if problem.key in standing else NEARLY_FULL
        if server.active and server.percent is not None and server.percent >= limit:
            full = server.services >= server.limit
            how_full = "full" if full else f"{server.percent} % full"
            title = f"{server.name or server.host} is {how_full}: {server.services} of {server.limit} services"
            yield msgspec.structs.replace(problem, severity=4 if full else 3, title=cut(title, 200))


def news(before: Admins | None, after: Admins) -> list[Problem]:
    """What has happened to administrators between two looks; at the first look, nothing."""
    if before is None:
        return []
    known = {admin.id: admin for admin in before.admins}
    return [one for admin in after.admins for one in _admin_news(known.get(admin.id), admin)]


def _admin_news(before: Admin | None, admin: Admin) -> Iterable[Problem]:
    subject = f"admin:{admin.id}"
    if before is None:
        yield Problem(ADMIN_ADDED, subject, 4, f"WHMCS has a new administrator: {admin.username}", f"Role {admin.role}.")
        return
    if admin.role != before.role:
        text = f"From role {before.role} to role {admin.role}."
        yield Problem(ADMIN_ROLE, subject, 4, f"The role of the WHMCS administrator {admin.username} was changed", text)
    if before.two_factor and not admin.two_factor:
        yield Problem(ADMIN_TWO_FACTOR, subject, 4, f"The WHMCS administrator {admin.username} has no second factor any more")
    if before.disabled and not admin.disabled:
        yield Problem(ADMIN_ENABLED, subject, 3, f"The WHMCS administrator {admin.username} was enabled again")
    if admin.failed_logins > before.failed_logins:
        tries = counted(admin.failed_logins - before.failed_logins, "failed login")
        yield Problem(LOGIN_FAILED, f"admin:{admin.username}"[:200], 3, f"{tries} as the WHMCS administrator {admin.username}")


class Telling(msgspec.Struct, frozen=True):
    """What is to be told of what stands: these anew, again or louder; these keys are over; and what is then remembered."""

    told: list[Problem]
    over: list[str]
    standing: dict[str, Standing]


def tell(found: Iterable[Problem], standing: Mapping[str, Standing], now: int) -> Telling:
    """Compares what is wrong with what was told."""
    told: list[Problem] = []
    kept: dict[str, Standing] = {}
    for problem in found:
        known = standing.get(problem.key)
        if known is None or known.severity != problem.severity or now - known.told_at >= TELL_AGAIN:
            told.append(problem)
            known = Standing(problem.severity, now)
        kept[problem.key] = known
    return Telling(told, [key for key in standing if key not in kept], kept)
