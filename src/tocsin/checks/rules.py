"""What follows from a finding. Pure: the state so far, what was found and the time give what is to be kept and told."""

import re
from typing import Literal

import msgspec

from tocsin.checks import votes
from tocsin.checks.model import (
    Cause,
    Definition,
    Expiry,
    Finding,
    HttpTarget,
    Level,
    Reason,
    State,
    Status,
    Tell,
    Told,
    Verdict,
)
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.core.errors import FieldError, InvalidInput
from tocsin.core.text import counted, cut, one_line
from tocsin.core.times import to_text

DOWN, DEGRADED, RECOVERED = "check.down", "check.degraded", "check.recovered"
EXPIRING = {"certificate": "certificate.expiring", "registration": "registration.expiring"}
RENEWED = {"certificate": "certificate.renewed", "registration": "registration.renewed"}
TELL_AGAIN = HOUR  # an alert that somebody resolves while the trouble stands comes back
STEPS = (14, 7, 1)  # days; the first warning comes with the setting
_SEVERITY_OF_STEP = ((1, 5), (7, 4), (14, 3))
MIN_INTERVAL, MAX_INTERVAL, MAX_TIMEOUT = 10, 86_400, 60
MIN_DOMAIN = 3_600

_STATUSES = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?(,[1-5][0-9]{2}(-[1-5][0-9]{2})?)*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"(?i)(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[!-~]*|\?[!-~]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


# --- What can be a check ----------------------------------------------------------------------------------------------


def check_definition(one: Definition) -> None:
    """Raises `InvalidInput` naming each field that cannot be."""
    errors = [
        *_times(one),
        *(_http(one.target) if isinstance(one.target, HttpTarget) else []),
        *votes.check_locations(one),
    ]
    if errors:
        raise InvalidInput(tuple(errors))


def _times(one: Definition) -> list[FieldError]:
    errors = []
    if one.timeout >= one.interval:
        errors.append(
            FieldError("timeout_seconds", f"must be shorter than interval_seconds ({one.interval}), so that looks do not pile up")
        )
    if one.kind == "domain" and one.interval < MIN_DOMAIN:
        errors.append(FieldError("interval_seconds", f"must be at least {MIN_DOMAIN} for a domain: registries are asked rarely"))
    if one.retry_after > one.interval:
        errors.append(FieldError("retry_seconds", f"must not be longer than interval_seconds ({one.interval})"))
    if one.warning_ms is not None and one.critical_ms is not None and one.warning_ms >= one.critical_ms:
        errors.append(FieldError("warning_ms", f"must be less than critical_ms ({one.critical_ms})"))
    return errors


def _http(target: HttpTarget) -> list[FieldError]:
    errors = []
    match = _URL.fullmatch(target.url)
    if match is None or (match[3] and not 0 < int(match[3][1:]) < 65_536):
        advice = "a user and password go into a header: Authorization" if "@" in target.url else "such as https://www.example.com/"
        errors.append(FieldError("target.url", f"must be http:// or https:// and a host, {advice}"))
    if not _STATUSES.fullmatch(target.statuses):
        errors.append(FieldError("target.statuses", "must be statuses and ranges with commas between, such as 200-299,401"))
    for name, value in target.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            errors.append(FieldError("target.headers", f"{cut(one_line(name), 60)!r} cannot be set here"))
        elif _CONTROL.search(value) or not value.isascii():
            errors.append(FieldError(f"target.headers.{name}", "must be printable ASCII"))
    if target.json_path is not None:
        errors += _json(target)
    return errors


def _json(target: HttpTarget) -> list[FieldError]:
    if path_parts(target.json_path or "") is None:
        return [FieldError("target.json_path", "must be names and places, such as $.queue[0].depth")]
    if target.json_op != "exists" and target.json_value is None:
        return [FieldError("target.json_value", f"is needed for {target.json_op}")]
    if target.json_op in (">", ">=", "<", "<=") and not _is_number(target.json_value):
        return [FieldError("target.json_value", f"must be a number for {target.json_op}")]
    return []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_right_status(statuses: str, status: int) -> bool:
    """Whether *status* is one of ``200-299,401``."""
    for part in statuses.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


_PART = re.compile(r"\.?([A-Za-z0-9_-]+)|\[([0-9]{1,6})\]|\[\"([^\"\]]{1,100})\"\]")


def path_parts(path: str) -> list[str | int] | None:
    """``$.queue[0].depth`` as names and places; None for what is no path."""
    text, parts, at = path.removeprefix("$"), [], 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return None
        parts.append(int(match[2]) if match[2] is not None else match[1] or match[3])
        at = match.end()
    return parts or None


def value_at(document: object, path: str) -> tuple[bool, object]:
    """Whether there is a value at *path*, and which."""
    found: object = document
    for part in path_parts(path) or ():
        if isinstance(part, int) and isinstance(found, list) and part < len(found):
            found = found[part]
        elif isinstance(found, dict) and str(part) in found:
            found = found[str(part)]
        else:
            return False, None
    return True, found


def holds(value: object, op: str, wanted: object) -> bool:
    """Whether a JSON value is what it should be. Numbers compare as numbers, also if one of them is written as text."""
    match op:
        case "exists":
            return True
        case "=":
            return _same(value, wanted)
        case "!=":
            return not _same(value, wanted)
        case "contains":
            return _text(wanted) in (_text(value) if not isinstance(value, list) else map(_text, value))
    number, limit = _number(value), _number(wanted)
    if number is None or limit is None:
        return False
    return {">": number > limit, ">=": number >= limit, "<": number < limit, "<=": number <= limit}[op]


def _same(value: object, wanted: object) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return _text(value) == _text(wanted)
    first, second = _number(value), _number(wanted)
    return first == second if first is not None and second is not None else _text(value) == _text(wanted)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# --- What a finding means ---------------------------------------------------------------------------------------------


def timed(found: Finding, warning_ms: int, critical_ms: int) -> Finding:
    """A good finding that took too long is no good one."""
    if found.level is not Level.OK or found.ms is None or found.ms < warning_ms:
        return found
    level, limit = (Level.CRITICAL, critical_ms) if found.ms >= critical_ms else (Level.WARNING, warning_ms)
    words = f"it took {found.ms:.0f} ms, and {limit} ms is too long"
    return msgspec.structs.replace(found, level=level, cause=Cause.SLOW, words=words)


def ours(found: Finding) -> Finding:
    """A silence that is our own: it says nothing about the target."""
    words = f"{found.words}; nothing else outside answers us either"
    return msgspec.structs.replace(found, level=None, cause=Cause.OUR_NETWORK, words=words)


def status_of(state: State) -> Status:
    """What people are told of it, while it is neither paused nor in maintenance."""
    if state.is_unknown or state.level is None:
        return Status.UNKNOWN
    return {Level.OK: Status.UP, Level.FAILED: Status.DOWN}.get(state.level, Status.DEGRADED)


def judge(check: Definition, state: State, found: Finding, now: int, first_warning_days: int = 30) -> Verdict:
    """What follows from *found*. A finding that says nothing of the target changes neither what was confirmed nor what was told."""
    if found.level is None:
        unknown = msgspec.structs.replace(state, is_unknown=True)
        again = check.retry_after if not state.is_unknown else check.interval
        return _verdict(unknown, now, Reason.NOTHING_LEARNED, (), again)
    new, began, reason, again = _weigh(check, state, found.level, now)
    tells: list[Tell] = []
    new = _tell(check, new, found, now, tells)
    if found.expiry is not None:
        new = _expiry(check, new, found.expiry, now, first_warning_days, tells)
    return _verdict(new, began, reason, tuple(tells), again)


def waiting(check: Definition, state: State, now: int) -> Verdict:
    """Those who must agree have not all looked again since the last time: nothing follows yet."""
    return _verdict(state, now, Reason.WAITS, (), check.retry_after)


def _verdict(state: State, began: int, reason: Reason, tells: tuple[Tell, ...], again: int) -> Verdict:
    return Verdict(state=state, status=status_of(state), began=began, reason=reason, tells=tells, again_in=again * SECOND)


def _weigh(check: Definition, state: State, found: Level, now: int) -> tuple[State, int, Reason, int]:
    """Whether *found* is believed yet: the new state, since when its status holds, why, and the seconds until the next look."""
    settled = msgspec.structs.replace(state, is_unknown=False, streak=0, leaning=None, since=0)
    if found == state.level or (state.level is None and found is Level.OK):
        reason = Reason.FIRST if state.level is None else Reason.AS_BEFORE
        return msgspec.structs.replace(settled, level=found), now, reason, check.interval
    before = Level.OK if state.level is None else state.level
    is_worse = found > before
    goes_on = state.leaning is not None and (state.leaning > before) == is_worse
    streak = state.streak + 1 if goes_on else 1
    since = state.since if goes_on else now
    # All results of the streak are at least so bad (or so good) as this.
    leaning = found if not goes_on or state.leaning is None else min(state.leaning, found) if is_worse else max(state.leaning, found)
    if streak <= (check.retries if is_worse else check.recoveries - 1):
        waiting = msgspec.structs.replace(state, is_unknown=False, streak=streak, leaning=leaning, since=since)
        return waiting, now, Reason.ASKED_AGAIN if is_worse else Reason.GETTING_BETTER, check.retry_after
    confirmed = msgspec.structs.replace(settled, level=leaning)
    began = now if state.is_unknown else since
    return confirmed, began, Reason.CONFIRMED if is_worse else Reason.RECOVERED, check.interval


def _tell(check: Definition, state: State, found: Finding, now: int, tells: list[Tell]) -> State:
    """The events that bring what people know in line with what was confirmed."""
    level, told = state.level or Level.OK, state.told
    is_stale = level is not Level.OK and now >= state.told_at + TELL_AGAIN
    if level == told and not is_stale:
        return state
    before, after = _problem(told), _problem(level)
    if before is not None and before != after:
        tells.append(_over(check, before, level, found))
    if after is not None:
        tells.append(_trouble(check, after, level, found))
    return msgspec.structs.replace(state, told=level, told_at=now)


def _problem(level: Level) -> str | None:
    return None if level is Level.OK else DOWN if level is Level.FAILED else DEGRADED


def _trouble(check: Definition, problem: str, level: Level, found: Finding) -> Tell:
    word, severity = ("down", check.severity) if problem == DOWN else ("degraded", 4 if level is Level.CRITICAL else 3)
    title = f"{check.name} is {word}: {found.cause.value}"
    return Tell(type=problem, status="problem", about=problem, title=_title(title), message=found.words, severity=severity)


def _over(check: Definition, problem: str, level: Level, found: Finding) -> Tell:
    says = {DOWN: "answers again", DEGRADED: "is well again" if level is Level.OK else "is down, which is told by itself"}[problem]
    return Tell(type=RECOVERED, status="recovery", about=problem, title=_title(f"{check.name} {says}"), message=found.words, severity=1)


def _title(text: str) -> str:
    return cut(one_line(text), 200)


# --- What ends by itself ----------------------------------------------------------------------------------------------


def steps(first_days: int) -> tuple[int, ...]:
    """How many days before the end people are told: first as the settings say, then at the fixed steps that are nearer."""
    return (first_days, *[step for step in STEPS if step < first_days])


def step_at(ends_at: int, now: int, first_days: int) -> int | None:
    """The nearest step that has been reached; None while the end is far."""
    reached = [step for step in steps(first_days) if ends_at - now <= step * DAY]
    return min(reached) if reached else None


def _expiry(check: Definition, state: State, found: Expiry, now: int, first_days: int, tells: list[Tell]) -> State:
    before, step = state.expiry, step_at(found.ends_at, now, first_days)
    is_renewed = before is not None and before.mark != found.mark and found.ends_at > before.ends_at
    told = before.step if before is not None else None
    if is_renewed and before is not None:
        tells.append(_renewed(check, found, was_told=told is not None and step is None))
        told = told if step is not None else None
    if step is not None and (told is None or step < told):
        tells.append(_expiring(check, found, step, now))
        told = step
    return msgspec.structs.replace(state, expiry=Told(found.mark, found.ends_at, told if step is not None else None))


def _expiring(check: Definition, found: Expiry, step: int, now: int) -> Tell:
    left = found.ends_at - now
    when = f"expires in {counted(max(1, left // DAY), 'day')}" if left >= DAY else "expires within a day" if left > 0 else "has expired"
    severity = next((severity for days, severity in _SEVERITY_OF_STEP if step <= days), 2)
    title = f"{check.name}: the {found.what} {when}"
    message = f"It ends {to_text(found.ends_at)[:16].replace('T', ' ')} UTC. {found.words}".strip()
    # A problem is 3 and more by default; a month ahead it is one all the same, only a quiet one.
    return Tell(
        type=EXPIRING[found.what], status="problem", about=EXPIRING[found.what], title=_title(title), message=message, severity=severity
    )


def _renewed(check: Definition, found: Expiry, *, was_told: bool) -> Tell:
    title = f"{check.name}: the {found.what} was renewed"
    message = f"The new one ends {to_text(found.ends_at)[:16].replace('T', ' ')} UTC. {found.words}".strip()
    status: Literal["recovery", "info"] = "recovery" if was_told else "info"
    return Tell(type=RENEWED[found.what], status=status, about=EXPIRING[found.what], title=_title(title), message=message, severity=1)


# --- When to look, and what holds meanwhile ---------------------------------------------------------------------------


def phase_of(check_id: str, interval: int) -> int:
    """Where in its interval (ms) a check is looked at: spread evenly by its id, and the same over restarts."""
    return int(check_id.replace("-", "")[-12:], 16) % interval


def next_due(check_id: str, interval: int, again_in: int, due_at: int, now: int) -> int:
    """The next look. The usual one keeps its place in the interval, so that many checks stay spread; one out of turn does not."""
    if again_in < interval:
        return now + again_in
    phase = phase_of(check_id, interval)
    last = max(now, due_at)
    return last - (last - phase) % interval + interval


def is_gap(last_at: int | None, due_in: int, now: int) -> bool:
    """Whether nobody has looked for so long that what was last seen cannot be said to have held."""
    return last_at is not None and now - last_at > max(3 * due_in, 2 * MINUTE)


def let_go(check: Definition, state: State) -> tuple[Tell, ...]:
    """What ends the alerts of a check that is not looked at any more."""
    title = _title(f"{check.name} is no longer watched")
    ending = EXPIRING["registration" if check.kind == "domain" else "certificate"]
    abouts = [_problem(state.told), ending if state.expiry is not None and state.expiry.step is not None else None]
    return tuple(
        Tell(type=RECOVERED, status="recovery", about=about, title=title, message="", severity=1) for about in abouts if about is not None
    )
