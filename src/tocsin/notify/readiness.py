"""Who is on call within a day and has too few ways to be reached. Pure; pipeline/readiness.py tells of it."""

import enum
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import DAY
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut
from tocsin.core.wall import wall_clock
from tocsin.notify.model import Contact
from tocsin.notify.reach import Directory
from tocsin.oncall import rules

NEEDED = 2  # verified contacts: a telephone can be empty, a provider can be down
AHEAD = DAY
MAX_TITLE = 200


class OnDuty(msgspec.Struct, frozen=True):
    """Somebody who is on call within a day, and how they can be reached. ``starts_at``: now, if they are already."""

    user_id: str
    name: str
    time_zone: str
    contacts: int
    starts_at: int
    schedules: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether they have enough."""
        return self.contacts >= NEEDED


class Why(enum.StrEnum):
    """Why somebody who was told of is unready no more."""

    READY = "there are two verified contacts"
    NOT_ON_CALL = "not on call within a day any more"


class News(msgspec.Struct, frozen=True):
    """What is to be told: who is unready and was not told of, or not with as many contacts; and who is not any more."""

    unready: tuple[OnDuty, ...] = ()
    over: tuple[tuple[str, Why], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.unready or self.over)


def on_duty_soon(directory: Directory, now: int) -> tuple[OnDuty, ...]:
    """Everybody with a shift that has begun or begins within a day, whoever is first on call first."""
    begins: dict[str, int] = {}
    schedules: dict[str, list[str]] = {}
    for roster in directory.rosters.values():
        for shift in rules.shifts(roster.schedule, roster.overrides, now, now + AHEAD).shifts:
            begins[shift.user] = min(begins.get(shift.user, shift.starts_at), shift.starts_at)
            names = schedules.setdefault(shift.user, [])
            if roster.schedule.name not in names:
                names.append(roster.schedule.name)
    found = [
        OnDuty(person.id, person.name, person.time_zone, _ways(person.contacts), begins[person.id], tuple(schedules[person.id]))
        for person in directory.people.values()
        if person.active and person.id in begins
    ]
    return tuple(sorted(found, key=lambda one: (one.starts_at, one.user_id)))


def _ways(contacts: Iterable[Contact]) -> int:
    """A text and a call to one number are one way: one telephone rings."""
    return len({("telephone" if contact.kind in ("sms", "voice") else contact.kind, contact.address) for contact in contacts})


def news(known: Mapping[str, int], soon: Iterable[OnDuty]) -> News:
    """From those who were told of (and how many contacts they had) to those who are unready now."""
    by_id = {one.user_id: one for one in soon}
    unready = tuple(one for one in by_id.values() if not one.is_ready and known.get(one.user_id) != one.contacts)
    over = tuple(
        (user_id, Why.READY if user_id in by_id else Why.NOT_ON_CALL)
        for user_id in sorted(known)
        if user_id not in by_id or by_id[user_id].is_ready
    )
    return News(unready, over)


def severity(one: OnDuty) -> Severity:
    """Whom nobody can reach at all is worse than whom one broken telephone would hide."""
    return Severity.HIGH if one.contacts == 0 else Severity.MEDIUM


def words(one: OnDuty, now: int) -> tuple[str, str]:
    """Title and text of the alert, in the person's zone."""
    when = "is on call" if one.starts_at <= now else f"goes on call {_moment(one)}"
    has = counted(one.contacts, "verified contact") if one.contacts else "no verified contact"
    text = (
        f"{', '.join(one.schedules)}: {has}, {NEEDED} are needed, so that one that fails does not hide an alert. Add one under"
        f" Settings, How you are told, and type the code that comes there; then this resolves itself. Times are of {one.time_zone}."
    )
    return cut(f"{one.name} {when} with {has}", MAX_TITLE), text


def own_words(one: OnDuty, now: int) -> tuple[str, str]:
    """What the person is told."""
    when = "You are on call" if one.starts_at <= now else f"You go on call {_moment(one)}"
    cure = "Add a second contact under Settings, How you are told, and type the code that comes there."
    return f"{when} and can be reached in one way only", f"{', '.join(one.schedules)}. {cure} Times are of {one.time_zone}."


def _moment(one: OnDuty) -> str:
    """``Mon 9 Mar, 09:00``."""
    moment = wall_clock(one.starts_at, ZoneInfo(one.time_zone))
    return f"{moment:%a} {moment.day} {moment:%b, %H:%M}"
