"""What people are told about schedules: who has come on duty, which gaps are near. Decisions only; pipeline/duty.py carries them out."""

import enum
from collections.abc import Collection, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from tocsin.core.clock import DAY
from tocsin.core.text import cut
from tocsin.core.wall import wall_clock
from tocsin.oncall import rules
from tocsin.oncall.model import Override, Schedule, SwapRequest, SwapStatus, Turn

AHEAD = DAY  # how long before its beginning a gap is announced
IN_SIGHT = 31 * DAY  # how far the ends of gaps are looked for
MAX_TITLE = 200


# Hand-offs.


class Change(msgspec.Struct, frozen=True):
    """Who has come on duty, and who has gone, since somebody last looked."""

    came: tuple[str, ...]
    went: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything has changed."""
        return bool(self.came or self.went)


def change_of_duty(known: Collection[str], now_on: Collection[str]) -> Change:
    """From those who were on duty at the last look to those who are now."""
    return Change(tuple(sorted(set(now_on) - set(known))), tuple(sorted(set(known) - set(now_on))))


class Words(msgspec.Struct, frozen=True):
    """What is said to people."""

    title: str
    text: str


def hand_off_words(schedule: Schedule, until: int | None) -> Words:
    """What somebody is told who has come on duty, until *until* (None: no end in sight)."""
    end = f"Until {_moment(until, schedule)}." if until is not None else "There is no end in sight."
    return Words(cut(f"You are on call now: {schedule.name}", MAX_TITLE), f"{end} Times are of {schedule.time_zone}.")


# Swaps.


def swap_words(schedule: Schedule, one: SwapRequest, news: SwapStatus, names: Mapping[str, str], reader: str) -> Words:
    """What the *reader*, one of the two, is told about a swap that was asked for, or of what became of it."""
    other = names.get(one.second.user if reader == one.first.user else one.first.user, "somebody")
    mine, theirs = (one.first, one.second) if reader == one.first.user else (one.second, one.first)
    watches = f"your watch {_span(mine, schedule)} for that of {other} {_span(theirs, schedule)}"
    zone = f"Times are of {schedule.time_zone}."
    match news:
        case SwapStatus.ASKED:
            note = f" {other} says: {one.note}" if one.note else ""
            return Words(
                cut(f"{other} asks you to swap watches: {schedule.name}", MAX_TITLE),
                f"You would give {watches}.{note} Answer by {_moment(one.expires_at, schedule)}. {zone}",
            )
        case SwapStatus.ACCEPTED:
            return Words(cut(f"Watches are swapped: {schedule.name}", MAX_TITLE), f"You gave {watches}. {zone}")
        case SwapStatus.REFUSED:
            return Words(cut(f"The swap was refused: {schedule.name}", MAX_TITLE), f"You keep your watch {_span(mine, schedule)}. {zone}")
        case SwapStatus.EXPIRED:
            text = f"The question has expired, and you keep your watch {_span(mine, schedule)}. {zone}"
            return Words(cut(f"{other} has not answered your question about a swap: {schedule.name}", MAX_TITLE), text)
    return Words(
        cut(f"{other} has taken the question back: {schedule.name}", MAX_TITLE), f"You keep your watch {_span(mine, schedule)}. {zone}"
    )


def _span(turn: Turn, schedule: Schedule) -> str:
    return f"from {_moment(turn.starts_at, schedule)} until {_moment(turn.ends_at, schedule)}"


# Gaps.


class NearGap(msgspec.Struct, frozen=True):
    """A gap that has begun or begins soon. ``ends_at`` None: no end in sight."""

    starts_at: int
    ends_at: int | None


class KnownGap(msgspec.Struct, frozen=True):
    """A gap that was announced, as it then was. ``began``: it was announced as one that has begun."""

    id: str
    schedule_id: str
    starts_at: int
    ends_at: int | None
    began: bool


class Why(enum.StrEnum):
    """Why an announced gap is one no more."""

    FILLED = "somebody is on call"
    OVER = "the gap is over"
    NOT_ANNOUNCED = "gaps of this schedule are not announced any more"
    GONE = "the schedule was removed"


class Ended(msgspec.Struct, frozen=True):
    """An announced gap that is one no more."""

    gap: KnownGap
    why: Why


class GapNews(msgspec.Struct, frozen=True):
    """What is to be said about one schedule's gaps: new ones, known ones that have changed (as they now are), ended ones."""

    opened: tuple[NearGap, ...] = ()
    changed: tuple[KnownGap, ...] = ()
    ended: tuple[Ended, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.opened or self.changed or self.ended)


def near_gaps(schedule: Schedule, overrides: Sequence[Override], now: int) -> tuple[NearGap, ...]:
    """The gaps that have begun, or begin within a day."""
    if not rules.shifts(schedule, overrides, now, now + AHEAD).gaps:  # nearly always; the long look costs much more
        return ()
    horizon = now + IN_SIGHT
    found = rules.shifts(schedule, overrides, now, horizon).gaps
    return tuple(NearGap(gap.starts_at, None if gap.ends_at >= horizon else gap.ends_at) for gap in found if gap.starts_at < now + AHEAD)


def gap_news(known: Sequence[KnownGap], near: Sequence[NearGap], now: int, why_none: Why | None = None) -> GapNews:
    """What has changed from the gaps that were announced to those that are near.

    A gap is the same as long as it overlaps what it was: filling a part of it makes it shorter, not another.
    *why_none*: why nothing is announced of this schedule at all.
    """
    left = list(near)
    changed: list[KnownGap] = []
    ended: list[Ended] = []
    for gap in known:
        found = next((one for one in left if _overlap(gap, one)), None)
        if found is None:
            ended.append(Ended(gap, why_none or (Why.OVER if gap.ends_at is not None and gap.ends_at <= now else Why.FILLED)))
            continue
        left.remove(found)
        present = _as_now(gap, found, now)
        if present != gap:
            changed.append(present)
    return GapNews(tuple(left), tuple(changed), tuple(ended))


def _overlap(gap: KnownGap, near: NearGap) -> bool:
    return (gap.ends_at is None or near.starts_at < gap.ends_at) and (near.ends_at is None or gap.starts_at < near.ends_at)


def _as_now(gap: KnownGap, near: NearGap, now: int) -> KnownGap:
    """The known gap as it is at *now*; one that goes on keeps its beginning, which the look at the future does not show."""
    began = near.starts_at <= now
    starts_at = min(gap.starts_at, now) if began else near.starts_at
    return msgspec.structs.replace(gap, starts_at=starts_at, ends_at=near.ends_at, began=began)


def gap_words(schedule: Schedule, gap: KnownGap) -> Words:
    """What is said about a gap."""
    start = "now" if gap.began else f"from {_moment(gap.starts_at, schedule)}"
    end = f"until {_moment(gap.ends_at, schedule)}" if gap.ends_at is not None else "with no end in sight"
    text = f"Times are of {schedule.time_zone}. Put somebody on call with an override, or change the schedule; then this resolves itself."
    return Words(cut(f"Nobody is on call in {schedule.name}: {start} {end}", MAX_TITLE), text)


def _moment(at: int, schedule: Schedule) -> str:
    """``Mon 9 Mar 2026, 09:00`` in the schedule's zone."""
    moment = wall_clock(at, ZoneInfo(schedule.time_zone))
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M}"
