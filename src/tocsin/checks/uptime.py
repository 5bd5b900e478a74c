"""How much of a period something was up: by time, never by counting looks (0045). What nobody knows counts neither way."""

from collections.abc import Iterable, Sequence

import msgspec

from tocsin.checks.model import Check, Span, Status, Total
from tocsin.core.clock import MINUTE, SECOND


class Outage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One stretch of time down. ``ends_at`` None: it lasts. ``lasted`` (ms): as far as it lies in the period asked for."""

    check_id: str
    starts_at: int
    ends_at: int | None
    lasted: int
    cause: str
    words: str | None


class Uptime(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a period by status. ``degraded`` is up, too: it answers."""

    up: int = 0
    degraded: int = 0
    down: int = 0
    unknown: int = 0
    maintenance: int = 0
    paused: int = 0
    outages: int = 0
    longest: int = 0

    @property
    def measured(self) -> int:
        """What counts: up or down, and known to be."""
        return self.up + self.degraded + self.down

    @property
    def percent(self) -> float | None:
        """The share of the measured time in which it answered; None if nothing was measured."""
        return None if not self.measured else 100 * (self.measured - self.down) / self.measured

    def plus(self, other: "Uptime") -> "Uptime":
        """Both together: the time of several checks adds up."""
        mine, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        longest = max(self.longest, other.longest)
        return Uptime(**{**{name: mine[name] + theirs[name] for name in mine}, "longest": longest})


class Budget(msgspec.Struct, frozen=True):
    """What a promise allows of the time that was measured, in milliseconds. ``left`` below 0: it is broken."""

    sla: float
    allowed: int
    used: int

    @property
    def left(self) -> int:
        """How much longer it may be down."""
        return self.allowed - self.used


def budget(found: Uptime, sla: float | None) -> Budget | None:
    """How much of a promise is used up; None without a promise."""
    return None if sla is None else Budget(sla, round(found.measured * (100 - sla) / 100), found.down)


def seen_until(check: Check) -> int:
    """Up to when what was seen last is taken to have held: a little longer than it takes to look again."""
    interval = check.definition.interval * SECOND
    return check.created_at if check.last_at is None else check.last_at + max(3 * interval, 2 * MINUTE)


def clipped(check: Check, spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """The stretches of a period, without gap from when the check was made; one that lasts ends where nobody has looked any more."""
    found: list[Span] = []
    for span in spans:
        if _is_within(span, start, end):
            found.append(span)
            continue
        until = end if span.ends_at is None else span.ends_at
        known = until if span.ends_at is not None or span.status in (Status.PAUSED, Status.UNKNOWN) else min(until, seen_until(check))
        _add(found, span, max(start, span.starts_at), min(end, known))
        if known < until:
            _add(found, msgspec.structs.replace(span, status=Status.UNKNOWN, words=None), max(start, known), min(end, until))
    return found


def _is_within(span: Span, start: int, end: int) -> bool:
    """Whether all of it lies in the period, as most do; and there may be many."""
    return span.ends_at is not None and start <= span.starts_at < span.ends_at <= end


def _add(found: list[Span], span: Span, starts_at: int, ends_at: int) -> None:
    if starts_at < ends_at:
        found.append(msgspec.structs.replace(span, starts_at=starts_at, ends_at=ends_at))


def uptime(spans: Sequence[Span]) -> Uptime:
    """The figures of stretches that were `clipped`."""
    times: dict[Status, int] = dict.fromkeys(Status, 0)
    downs = []
    for span in spans:
        length = _length(span)
        times[span.status] += length
        if span.status is Status.DOWN:
            downs.append(length)
    return Uptime(**{status.value: time for status, time in times.items()}, outages=len(downs), longest=max(downs, default=0))


def of_totals(check: Check, totals: Iterable[Total], start: int, end: int) -> Uptime:
    """The same of stretches that were added up; the one that lasts is `clipped`."""
    times: dict[Status, int] = dict.fromkeys(Status, 0)
    outages = longest = 0
    for total in totals:
        parts = [(total.status, total.count, total.time, total.longest)]
        if total.since is not None:
            lasting = Span(check_id=check.id, status=total.status, starts_at=total.since, ends_at=None, cause="")
            parts = [(span.status, 1, _length(span), _length(span)) for span in clipped(check, [lasting], start, end)]
        for status, count, time, most in parts:
            times[status] += time
            if status is Status.DOWN:
                outages, longest = outages + count, max(longest, most)
    return Uptime(**{status.value: time for status, time in times.items()}, outages=outages, longest=longest)


def _length(span: Span) -> int:
    return (span.ends_at or span.starts_at) - span.starts_at


def outages(check: Check, spans: Sequence[Span], start: int, end: int) -> list[Outage]:
    """The times down that touch a period, each with when it really began and ended, the latest first."""
    found = []
    for span in spans:
        if span.status is Status.DOWN:
            lasted = _length(span) if _is_within(span, start, end) else _down(clipped(check, [span], start, end))
            found.append(
                Outage(
                    check_id=span.check_id,
                    starts_at=span.starts_at,
                    ends_at=span.ends_at,
                    lasted=lasted,
                    cause=span.cause,
                    words=span.words,
                )
            )
    return found[::-1]


def _down(spans: Iterable[Span]) -> int:
    return sum(_length(span) for span in spans if span.status is Status.DOWN)
