"""An event rule in words, and as a form. Pure functions."""

import json
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

import msgspec

from tocsin.core.clock import SECOND
from tocsin.core.errors import FieldError, InvalidInput
from tocsin.core.severity import Severity
from tocsin.core.text import counted
from tocsin.muting.matching import MAX_MATCHERS
from tocsin.muting.model import ATTRIBUTE, Matcher, Op
from tocsin.oncall.model import Restriction
from tocsin.ruling.model import DRAFT, Actions, EventRule, Threshold
from tocsin.ruling.rules import MAX_TIMES
from tocsin.web.groups import Fields, count, single, small
from tocsin.web.policies.rules import minutes_of, seconds_of
from tocsin.web.quiet.rules import says
from tocsin.web.times import in_words

PLACES = 1  # empty conditions that the form has at least
FIELDS = (
    ("type", "Type of event"),
    ("host", "Host"),
    ("site", "Site"),
    ("subject", "What it is about"),
    ("severity", "Severity"),
    ("title", "Title"),
    ("message", "Message"),
    ("source", "Source"),
    (ATTRIBUTE, "Attribute named"),
    ("impact.monthly_income", "Monthly income behind it"),
    ("impact.services", "Services behind it"),
    ("impact.clients", "Clients behind it"),
    ("impact.due_amount", "Amount due through it"),
    ("impact.due_invoices", "Invoices due through it"),
    ("impact.failed_captures", "Failed captures"),
)
_IMPACT = {field: f"the {words[0].lower()}{words[1:]}" for field, words in FIELDS if field.startswith("impact.")}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAYS = (("1", "the last day"), ("7", "the last 7 days"), ("30", "the last 30 days"))
TRIED = ("type", "site", "severity", "status", "title", "message", "subject", "host", "source")


class Condition(msgspec.Struct, frozen=True):
    """One condition as the page has it; ``name``: of an attribute."""

    field: str = "type"
    name: str = ""
    op: str = "="
    value: str = ""


class TimesForm(msgspec.Struct, frozen=True):
    """A part of the week as the page has it."""

    weekdays: tuple[str, ...] = ()
    begins: str = ""
    ends: str = ""


class RuleForm(msgspec.Struct, frozen=True):
    """Whatever was typed. ``tried``: the event of the dry run, by field."""

    name: str = ""
    conditions: tuple[Condition, ...] = ()
    times: tuple[TimesForm, ...] = ()
    time_zone: str = "UTC"
    severity: str = ""
    policy: str = ""
    title: str = ""
    dedup_key: str = ""
    delay: str = ""
    count: str = ""
    within: str = ""
    mute: bool = False
    stop: bool = False
    enabled: bool = True
    position: str = ""
    version: str = ""
    days: str = "7"
    tried: Mapping[str, str] = {}
    attributes: str = ""
    places: int = PLACES
    do: str = "save"


_TEXTS = ("name", "time_zone", "severity", "policy", "title", "dedup_key", "delay", "count", "within", "position", "version", "days")


def form_of(fields: Fields) -> RuleForm:
    """The fields ``m0.field``, ``t0.from``, ``e.type`` ... put together."""
    conditions = (_condition(fields, f"m{n}.") for n in range(min(count(fields, "m"), MAX_MATCHERS + 1)))
    times = tuple(_times(fields, f"t{n}.") for n in range(min(count(fields, "t"), MAX_TIMES)))
    texts: dict[str, Any] = {name: single(fields, name) for name in _TEXTS}
    return RuleForm(
        **texts,
        conditions=tuple(one for one in conditions if one.value or one.name),
        times=times,
        mute=bool(single(fields, "mute")),
        stop=bool(single(fields, "stop")),
        enabled=bool(single(fields, "enabled")),
        tried={name: found for name in TRIED if (found := single(fields, f"e.{name}"))},
        attributes=single(fields, "e.attributes"),
        do=single(fields, "do") or "save",
    )


def _condition(fields: Fields, at: str) -> Condition:
    return Condition(*(single(fields, f"{at}{name}") for name in ("field", "name", "op", "value")))


def _times(fields: Fields, at: str) -> TimesForm:
    return TimesForm(tuple(fields.get(f"{at}day", ())), single(fields, f"{at}from"), single(fields, f"{at}to"))


def pressed(sent: RuleForm) -> RuleForm:
    """The form after one of its buttons: ``conditions`` and ``hours`` (more of them), ``always`` (fewer hours)."""
    match sent.do:
        case "conditions":
            return msgspec.structs.replace(sent, places=3)
        case "hours" if len(sent.times) < MAX_TIMES:
            return msgspec.structs.replace(sent, times=(*sent.times, TimesForm((), "22:00", "06:00")))
        case "always":
            return msgspec.structs.replace(sent, times=sent.times[:-1])
    return sent


def rule_of(sent: RuleForm) -> EventRule:
    """The rule that the form says. Raises `InvalidInput` that names each field of the page that cannot be read."""
    errors: list[FieldError] = []
    matchers = tuple(found for one in sent.conditions if (found := _matcher(one, errors)) is not None)
    times = tuple(part for n, one in enumerate(sent.times) if (part := _restriction(n, one, errors)) is not None)
    actions = Actions(
        severity=_severity(sent.severity, errors),
        policy=sent.policy.lower() or None,
        title=sent.title or None,
        dedup_key=sent.dedup_key or None,
        delay_seconds=_minutes("delay", sent.delay, errors),
        threshold=_threshold(sent, errors),
        mute=sent.mute,
    )
    if errors:
        raise InvalidInput(tuple(errors))
    return EventRule(DRAFT, sent.name, matchers, actions, times, sent.time_zone, sent.stop, sent.enabled)


def _matcher(sent: Condition, errors: list[FieldError]) -> Matcher | None:
    if sent.op not in {op.value for op in Op}:
        errors.append(FieldError("matchers", "choose a comparison from the list"))
        return None
    return Matcher(ATTRIBUTE + sent.name if sent.field == ATTRIBUTE else sent.field, Op(sent.op), sent.value)


def _restriction(place: int, sent: TimesForm, errors: list[FieldError]) -> Restriction | None:
    days = {one for one in sent.weekdays if one in set("1234567")}
    try:
        begins, ends = (time.fromisoformat(text[:5]) for text in (sent.begins, sent.ends))
    except ValueError:
        errors.append(FieldError(f"t{place}", "must have two times of day, such as 22:00 and 06:00"))
        return None
    return Restriction(begins, ends, tuple(sorted(map(int, days))))


def _severity(text: str, errors: list[FieldError]) -> int | None:
    if text and text not in {"1", "2", "3", "4", "5"}:
        errors.append(FieldError("severity", "choose one from the list"))
        return None
    return int(text) if text else None


def _minutes(field: str, text: str, errors: list[FieldError]) -> int | None:
    seconds = seconds_of(text) if text else None
    if text and seconds is None:
        errors.append(FieldError(field, "must be a number of minutes, such as 5"))
    return seconds


def _threshold(sent: RuleForm, errors: list[FieldError]) -> Threshold | None:
    if not sent.count and not sent.within:
        return None
    number, within = small(sent.count), _minutes("within", sent.within, errors)
    if number is None or within is None:
        errors.append(FieldError("count", "must say how many events within how many minutes, such as 3 within 10"))
        return None
    return Threshold(number, within)


def event_of(sent: RuleForm) -> dict[str, Any]:
    """The event of the dry run as the API takes it. Raises `InvalidInput` for attributes that are none."""
    found: dict[str, Any] = dict(sent.tried)
    if "severity" in found:
        found["severity"] = small(found["severity"])
    if sent.attributes:
        try:
            found["attributes"] = msgspec.json.decode(sent.attributes, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise InvalidInput.of("e.attributes", 'must be a JSON object, such as {"gateway": "stripe"}') from None
    return found


_ON_PAGE = {"actions.delay_seconds": "delay", "actions.threshold.count": "count", "actions.threshold.within_seconds": "within"}


def on_page(field: str) -> str:
    """The field of the page below which a fault of the rule stands: ``actions.severity`` is ``severity``."""
    field = field.removeprefix("rule.")
    if field.startswith("matchers"):
        return "matchers"
    if field.startswith("event."):
        return f"e.{field.removeprefix('event.').partition('.')[0]}"
    return _ON_PAGE.get(field, field.removeprefix("actions."))


def written(rule: EventRule) -> RuleForm:
    """A rule as the page has it."""
    actions = rule.actions
    return RuleForm(
        name=rule.name,
        conditions=tuple(_condition_of(one) for one in rule.matchers),
        times=tuple(TimesForm(tuple(map(str, one.weekdays)), f"{one.begins:%H:%M}", f"{one.ends:%H:%M}") for one in rule.times),
        time_zone=rule.time_zone,
        severity=str(actions.severity or ""),
        policy=actions.policy or "",
        title=actions.title or "",
        dedup_key=actions.dedup_key or "",
        delay="" if actions.delay_seconds is None else minutes_of(actions.delay_seconds),
        count=str(actions.threshold.count) if actions.threshold else "",
        within=minutes_of(actions.threshold.within_seconds) if actions.threshold else "",
        mute=actions.mute,
        stop=rule.stop,
        enabled=rule.enabled,
        version=str(rule.version),
    )


def _condition_of(matcher: Matcher) -> Condition:
    name = matcher.field.removeprefix(ATTRIBUTE) if matcher.field.startswith(ATTRIBUTE) else ""
    return Condition(ATTRIBUTE if name else matcher.field, name, matcher.op.value, matcher.value)


def begun(event: Mapping[str, Any] | None, time_zone: str) -> RuleForm:
    """A new form; with *event* it is about that one's like, and tries it."""
    if event is None:
        return RuleForm(time_zone=time_zone)
    conditions = tuple(Condition(name, "", "=", str(event[name])) for name in ("type", "host") if event.get(name))
    tried = {name: str(event[name]) for name in TRIED if event.get(name)}
    return RuleForm(time_zone=time_zone, conditions=conditions, tried=tried, attributes=_json(event.get("attributes")))


def _json(raw: str | None) -> str:
    return "" if not raw else json.dumps(msgspec.json.decode(raw), ensure_ascii=False)


# Words.


def when_says(rule: EventRule) -> str:
    """``Mon to Fri, 22:00 to 06:00 Berlin time``; empty: always."""
    if not rule.times:
        return ""
    place = rule.time_zone.rpartition("/")[2].replace("_", " ")
    parts = " or ".join(f"{_days(one.weekdays)} {one.begins:%H:%M} to {one.ends:%H:%M}".strip() for one in rule.times)
    return f"{parts}, {place} time"


def _days(weekdays: Sequence[int]) -> str:
    if len(weekdays) in (0, 7):
        return ""
    if len(weekdays) > 2 and weekdays[-1] - weekdays[0] == len(weekdays) - 1:
        return f"{WEEKDAYS[weekdays[0] - 1]} to {WEEKDAYS[weekdays[-1] - 1]}"
    return ", ".join(WEEKDAYS[day - 1] for day in weekdays)


def where_says(rule: EventRule) -> str:
    """``type is disk.full and host begins with srv-``."""
    matchers = tuple(msgspec.structs.replace(one, field=_IMPACT.get(one.field, one.field)) for one in rule.matchers)
    return says(matchers) if matchers else "anything happens"


def does(actions: Actions, policy_names: Mapping[str, str]) -> tuple[str, ...]:
    """What it decides, a phrase each: ``Severity Low``, ``Nobody is told for the first 5 min``."""
    found = []
    if actions.mute:
        found.append("Nobody is told")
    if actions.severity is not None:
        found.append(f"Severity {Severity(actions.severity).word}")
    if actions.policy is not None:
        found.append(f"Policy {policy_names.get(actions.policy, 'that is gone')}")
    if actions.delay_seconds is not None:
        waits = _span(actions.delay_seconds)
        found.append(f"Nobody is told for the first {waits}" if actions.delay_seconds else "People are told at once")
    if actions.threshold is not None:
        within = _span(actions.threshold.within_seconds)
        found.append(f"Nobody is told before {counted(actions.threshold.count, 'event')} within {within}")
    if actions.title is not None:
        found.append(f"Title “{actions.title}”")
    if actions.dedup_key is not None:
        found.append(f"One alert for each {actions.dedup_key}")
    return tuple(found)


def _span(seconds: int) -> str:
    """Whole minutes in words; anything else to the second."""
    return counted(seconds, "second") if seconds % 60 else in_words(seconds * SECOND)
