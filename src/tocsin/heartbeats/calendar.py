"""When a job should run next. Cron expressions mean what Debian's cron makes of them, DST nights included."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.times import from_datetime, to_datetime
from tocsin.core.zones import is_zone
from tocsin.heartbeats.model import LONGEST_PERIOD, MAX_CRON, SHORTEST_PERIOD, Schedule

EARLY = 30 * SECOND  # a ping counts for a time so shortly after it: clocks differ
_EXAMPLE = "Example: 30 2 * * * (each day at 02:30)"


def next_expected(schedule: Schedule, after: int) -> int:
    """When a job that reported at *after* should report next."""
    if schedule.period is not None:
        return after + schedule.period
    return next_time(schedule.cron or "", schedule.time_zone, after + EARLY)


@lru_cache(maxsize=4096)
def next_time(cron: str, time_zone: str, after: int) -> int:
    """The first time of a cron expression after a moment. Raises `InvalidInput` if there is none."""
    try:
        for local in CronSim(cron, to_datetime(after).astimezone(ZoneInfo(time_zone))):
            found = from_datetime(local)
            if found > after:  # in the hour that comes twice, what is found by the wall clock may lie in its first turn
                return found
    except (CronSimError, RuntimeError) as error:  # a StopIteration within an iterator's own code comes as RuntimeError
        raise _wrong(f"{cron[:60]!r} cannot be read: {error}. {_EXAMPLE}") from None
    raise _wrong(f"{cron[:60]!r} names no time within 50 years. {_EXAMPLE}")


def check(schedule: Schedule, now: int) -> Schedule:
    """*schedule*, if a job can go by it. Raises `InvalidInput`."""
    if (schedule.period is None) == (schedule.cron is None):
        raise InvalidInput.of("period_seconds", "give exactly one of period_seconds and cron. Example: 86400")
    if not is_zone(schedule.time_zone):
        raise InvalidInput.of("time_zone", f"{schedule.time_zone[:80]!r} is no time zone. Example: Europe/Berlin")
    if schedule.period is not None:
        if not SHORTEST_PERIOD <= schedule.period <= LONGEST_PERIOD:
            limits = f"{SHORTEST_PERIOD // SECOND} to {LONGEST_PERIOD // SECOND}"
            raise InvalidInput.of("period_seconds", f"must be {limits} seconds. Example: 86400")
        return schedule
    cron = " ".join((schedule.cron or "").split())
    if not cron.isascii() or len(cron) > MAX_CRON or len(cron.split(" ")) != 5:
        raise _wrong(f"must have five fields: minute, hour, day of the month, month, day of the week. {_EXAMPLE}")
    next_time(cron, schedule.time_zone, now)
    return Schedule(None, cron, schedule.time_zone)


def in_words(schedule: Schedule, seconds: str) -> str:
    """``every 5 min``, ``by 30 2 * * * (Europe/Berlin)``; *seconds*: the period as a person says it."""
    return f"every {seconds}" if schedule.period is not None else f"by {schedule.cron} ({schedule.time_zone})"


def local_text(schedule: Schedule, at: int) -> str:
    """A moment on the job's own clock: ``2026-05-02 02:30 Europe/Berlin``."""
    local: datetime = to_datetime(at).astimezone(ZoneInfo(schedule.time_zone))
    return f"{local:%Y-%m-%d %H:%M} {schedule.time_zone}"


def _wrong(text: str) -> InvalidInput:
    return InvalidInput.of("cron", text)
