"""What a ping, or its absence, means. Pure: `Decision` is the heartbeat as it then is, and what is told.

- Late is who has not reported by `expected_at` and the grace time. A start is a report; after it the next one is expected, so that a
  job that died in the middle is found. A run with a ``longest_run`` is judged by that instead.
- Each trouble is told once when it begins, a failure each time; it is over when a ping shows so.
- What was expected while Tocsin itself was away is not judged: nobody was there to take the ping (`after_absence`).
"""

import re

import msgspec
from msgspec.structs import replace

from tocsin.core import editions
from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput
from tocsin.core.times import in_words
from tocsin.heartbeats import calendar
from tocsin.heartbeats.calendar import next_expected
from tocsin.heartbeats.model import (
    LONGEST_GRACE,
    LONGEST_RUN,
    SHORTEST_RUN,
    Away,
    Decision,
    Heartbeat,
    Kind,
    News,
    Ping,
    Schedule,
    Trouble,
    Why,
)

_STANDING = {Trouble.MISSED: "missed_at", Trouble.FAILED: "failed_at", Trouble.OVERRUNNING: "overrunning_at"}


def begin(heartbeat: Heartbeat, now: int) -> Heartbeat:
    """A heartbeat from which something is expected from now on: a job that never reports is late, too."""
    return _scheduled(replace(heartbeat, expected_at=next_expected(heartbeat.schedule, now), started_at=None))


def kind_of(word: str) -> tuple[Kind, int | None] | None:
    """What the end of a ping's address says: ``start``, ``fail``, or the exit code of the job; None: nothing that is known."""
    if word in (Kind.START.value, Kind.FAIL.value):
        return Kind(word), None
    if word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255:
        return (Kind.FAIL if int(word) else Kind.SUCCESS), int(word)
    return None


class Mailbox(msgspec.Struct, frozen=True):
    """What stands before the ``@`` of an address: which heartbeat, and what a letter to it says."""

    token: str
    what: str = ""


_TOKEN = 32  # characters
_WORD = re.compile(r"(if|unless)-([a-z0-9_.-]{1,24})")


def read_mailbox(local: str) -> Mailbox | None:
    """``TOKEN``, ``TOKEN+start``, ``TOKEN+1``, ``TOKEN+if-WORD``; a ``-`` does what the ``+`` does. None: it is no such address."""
    token, sign, what = local[:_TOKEN], local[_TOKEN : _TOKEN + 1], local[_TOKEN + 1 :].lower()
    if len(token) < _TOKEN or not token.isascii() or sign not in ("", "+", "-") or (sign and not what):
        return None
    if what and what != Kind.SUCCESS.value and kind_of(what) is None and not _WORD.fullmatch(what):
        return None
    return Mailbox(token, what)


def kind_of_letter(box: Mailbox, subject: str) -> tuple[Kind, int | None]:
    """What a letter says: its address alone, or whether a word stands in its subject (``_`` is a space)."""
    match = _WORD.fullmatch(box.what)
    if match is None:
        return kind_of(box.what) or (Kind.SUCCESS, None)
    is_there = match[2].replace("_", " ") in subject.lower()
    return (Kind.SUCCESS if is_there == (match[1] == "if") else Kind.FAIL), None


def on_ping(heartbeat: Heartbeat, kind: Kind, now: int) -> tuple[Decision, int | None]:
    """What follows from a ping, and how long the run took that it ends. While it is paused, it is kept and nothing follows."""
    seen = replace(heartbeat, last_ping_at=now, last_kind=kind)
    if kind is Kind.START:
        begun = replace(seen, started_at=now)
        return (Decision(begun) if begun.paused_at is not None else _started(begun, now)), None
    took = None if heartbeat.started_at is None else max(0, now - heartbeat.started_at)
    ended = replace(seen, started_at=None, last_took=heartbeat.last_took if took is None else took)
    if ended.paused_at is not None:
        return Decision(ended), took
    ended = replace(ended, expected_at=next_expected(ended.schedule, now))
    over = {Trouble.MISSED: Why.REPORTED, Trouble.OVERRUNNING: Why.ENDED}
    if kind is Kind.SUCCESS:
        return _over(ended, over | {Trouble.FAILED: Why.SUCCEEDED}), took
    decision = _over(ended, over)
    failed = replace(decision.heartbeat, failed_at=decision.heartbeat.failed_at or now)
    return Decision(failed, (*decision.news, News(Trouble.FAILED, over=False, why=Why.SAID_SO))), took


def _started(heartbeat: Heartbeat, now: int) -> Decision:
    """It runs: it is not missing any more. A run that was still open has been given up; that it never ended stays told until one does."""
    return _over(replace(heartbeat, expected_at=next_expected(heartbeat.schedule, now)), {Trouble.MISSED: Why.REPORTED})


def on_time(heartbeat: Heartbeat, now: int) -> Decision:
    """What follows from the time alone, once ``due_at`` has come."""
    if heartbeat.paused_at is not None or heartbeat.due_at is None or heartbeat.due_at > now:
        return Decision(heartbeat)
    news: list[News] = []
    new = heartbeat
    if _runs_too_long_at(heartbeat) <= now:
        new = replace(new, overrunning_at=now)
        news.append(News(Trouble.OVERRUNNING, over=False, why=Why.STILL_RUNNING))
    if _is_late_at(heartbeat) <= now:
        new = replace(new, missed_at=now)
        news.append(News(Trouble.MISSED, over=False, why=Why.NEVER if heartbeat.last_ping_at is None else Why.LATE))
    return Decision(_scheduled(new), tuple(news))


def after_absence(heartbeat: Heartbeat, away: Away) -> Heartbeat:
    """A ping that is missing may have come while nobody was there to take it: then the next one is waited for."""
    begins = heartbeat.expected_at if heartbeat.started_at is None else heartbeat.started_at
    if heartbeat.due_at is None or begins is None or begins - calendar.EARLY > away.until or heartbeat.due_at < away.since:
        return heartbeat
    return begin(heartbeat, away.until)


def pause(heartbeat: Heartbeat, now: int) -> Decision:
    """Nothing is expected until `resume`; what is told is over."""
    if heartbeat.paused_at is not None:
        return Decision(heartbeat)
    return _over(replace(heartbeat, paused_at=now, expected_at=None), dict.fromkeys(Trouble, Why.PAUSED))


def resume(heartbeat: Heartbeat, now: int) -> Decision:
    """From now on something is expected again."""
    if heartbeat.paused_at is None:
        return Decision(heartbeat)
    return Decision(begin(replace(heartbeat, paused_at=None), now))


def rescheduled(heartbeat: Heartbeat, now: int) -> Decision:
    """What follows when the schedule, the grace time or the longest run was changed. What failed has failed all the same."""
    if heartbeat.paused_at is not None:
        return Decision(heartbeat)
    expected = replace(heartbeat, expected_at=next_expected(heartbeat.schedule, now))
    return _over(expected, {Trouble.MISSED: Why.CHANGED, Trouble.OVERRUNNING: Why.CHANGED})


def removed(heartbeat: Heartbeat) -> Decision:
    """What is told is over."""
    return _over(heartbeat, dict.fromkeys(Trouble, Why.REMOVED))


def _over(heartbeat: Heartbeat, reasons: dict[Trouble, Why]) -> Decision:
    """Ends those troubles of *reasons* that are told."""
    over = [trouble for trouble in reasons if getattr(heartbeat, _STANDING[trouble]) is not None]
    ended = replace(heartbeat, **{_STANDING[trouble]: None for trouble in over})
    return Decision(_scheduled(ended), tuple(News(trouble, over=True, why=reasons[trouble]) for trouble in over))


_NEVER = 1 << 62


def _is_late_at(heartbeat: Heartbeat) -> int:
    """When its silence is told."""
    is_judged_by_its_length = heartbeat.started_at is not None and heartbeat.longest_run is not None
    if heartbeat.expected_at is None or heartbeat.missed_at is not None or is_judged_by_its_length:
        return _NEVER
    return heartbeat.expected_at + heartbeat.grace


def _runs_too_long_at(heartbeat: Heartbeat) -> int:
    """When it is told that its run does not end."""
    if heartbeat.started_at is None or heartbeat.longest_run is None or heartbeat.overrunning_at is not None:
        return _NEVER
    return heartbeat.started_at + heartbeat.longest_run


def _scheduled(heartbeat: Heartbeat) -> Heartbeat:
    due_at = min(_is_late_at(heartbeat), _runs_too_long_at(heartbeat))
    return replace(heartbeat, due_at=None if heartbeat.paused_at is not None or due_at == _NEVER else due_at)


# --- What people type


def check(heartbeat: Heartbeat, now: int) -> Heartbeat:
    """*heartbeat*, if it can be. Raises `InvalidInput`."""
    if not 0 <= heartbeat.grace <= LONGEST_GRACE:
        raise InvalidInput.of("grace_seconds", f"must be 0 to {LONGEST_GRACE // 1000} seconds. Example: 300")
    if heartbeat.longest_run is not None and not SHORTEST_RUN <= heartbeat.longest_run <= LONGEST_RUN:
        raise InvalidInput.of("longest_run_seconds", f"must be 1 to {LONGEST_RUN // 1000} seconds. Example: 3600")
    return replace(heartbeat, schedule=calendar.check(heartbeat.schedule, now))


def clean_log(raw: bytes) -> str:
    """What a job had to say, as it is kept."""
    return raw.decode(errors="replace").replace("\0", "�").strip()


# --- What people read


def title(heartbeat: Heartbeat, news: News, ping: Ping | None) -> str:
    """``Backup of db-1 has not reported in time``."""
    match news.trouble:
        case Trouble.MISSED:
            return f"{heartbeat.name}: {'has never reported' if news.why is Why.NEVER else 'has not reported in time'}"
        case Trouble.OVERRUNNING:
            return f"{heartbeat.name}: has not ended within {in_words(heartbeat.longest_run or 0)}"
        case Trouble.FAILED:
            code = None if ping is None else ping.exit_code
            return f"{heartbeat.name}: failed" + ("" if code is None else f" with exit code {code}")


def message(heartbeat: Heartbeat, news: News, ping: Ping | None) -> str:
    """What is known, in sentences; of a failure, what the job said last."""
    lines = [f"It should run {words(heartbeat.schedule)}."]
    if news.trouble is Trouble.MISSED and heartbeat.expected_at is not None:
        due = calendar.local_text(heartbeat.schedule, heartbeat.expected_at)
        lines.append(f"It was expected at {due}, and may be {in_words(heartbeat.grace)} late.")
    if news.trouble is Trouble.OVERRUNNING and heartbeat.started_at is not None:
        lines.append(f"It began at {calendar.local_text(heartbeat.schedule, heartbeat.started_at)}.")
    if news.trouble is not Trouble.FAILED and heartbeat.last_ping_at is not None:
        lines.append(f"It last reported at {calendar.local_text(heartbeat.schedule, heartbeat.last_ping_at)}.")
    if ping is not None and ping.log:
        lines.append(f"The end of what it said:\n{ping.log[-3000:]}")
    return "\n".join(lines)


def words(schedule: Schedule) -> str:
    """``every 5 min``, ``by 30 2 * * * (Europe/Berlin)``."""
    return calendar.in_words(schedule, in_words(schedule.period or 0))


# What somebody has decided about one.


def asked(heartbeat: Heartbeat) -> dict[str, object]:
    """What somebody has decided about it, in the words of the API."""
    return {
        "name": heartbeat.name,
        "period_seconds": None if heartbeat.schedule.period is None else heartbeat.schedule.period // SECOND,
        "cron": heartbeat.schedule.cron,
        "time_zone": heartbeat.schedule.time_zone,
        "grace_seconds": heartbeat.grace // SECOND,
        "longest_run_seconds": None if heartbeat.longest_run is None else heartbeat.longest_run // SECOND,
        "severity": heartbeat.severity,
        "paused": heartbeat.paused_at is not None,
    }


def edition(heartbeat: Heartbeat) -> str:
    """The same as one mark: another one as soon as anybody has changed it."""
    return editions.edition(asked(heartbeat))
