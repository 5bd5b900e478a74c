"""What the pages about checks show, decided without a page: bars of a period, words, and forms made from what a kind of check asks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import msgspec
from markupsafe import Markup
from msgspec import inspect

from tocsin.checks import votes
from tocsin.checks.model import SERVER, Check, Definition, Finding, HttpTarget, Level, Span, Status, Target, Vote
from tocsin.core.clock import DAY, HOUR, MINUTE, SECOND
from tocsin.web.groups import Fields, number, several, single
from tocsin.web.times import in_words

Range = Literal["1h", "24h", "30d", "90d"]

# How long, in how many cells, and how that is said.
RANGES: Mapping[str, tuple[int, int, str]] = {
    "1h": (HOUR, 60, "1 h"),
    "24h": (DAY, 72, "24 h"),
    "30d": (30 * DAY, 60, "30 d"),
    "90d": (90 * DAY, 90, "90 d"),
}

# From the best to the worst: a cell shows the worst of its time, and what was planned or not seen only if there was nothing else.
_ORDER = (Status.PAUSED, Status.UNKNOWN, Status.MAINTENANCE, Status.UP, Status.DEGRADED, Status.DOWN)
_RANK = {status: place for place, status in enumerate(_ORDER)}
_LOOKS = {
    Status.UP: "up",
    Status.DEGRADED: "degraded",
    Status.DOWN: "down",
    Status.MAINTENANCE: "maint",
    Status.UNKNOWN: "none",
    Status.PAUSED: "none",
}
_HEIGHTS = {"up": 11, "degraded": 19, "down": 28, "maint": 19, "none": 4}
SIGNS = {status: "maint" if status is Status.MAINTENANCE else status.value for status in Status}
# What needs somebody stands first.
URGENCY = (Status.DOWN, Status.DEGRADED, Status.UNKNOWN, Status.MAINTENANCE, Status.UP, Status.PAUSED)


class Cell(msgspec.Struct, frozen=True):
    """One bar: its place and height in a drawing 28 high, and how it looks."""

    x: int
    y: int
    height: int
    look: str


class Bar(msgspec.Struct, frozen=True):
    """The bars of a period, and what they say in words."""

    cells: tuple[Cell, ...]
    width: int
    says: str
    drawn: Markup  # as a drawing has them: a page may show twenty thousand, too many for a template's loop


def bar(spans: Iterable[Span], start: int, end: int, count: int) -> Bar:
    """The time from *start* to *end* (now) in *count* cells of equal length."""
    worst: list[Status | None] = [None] * count
    length = end - start
    for span in spans:
        began, ended = max(start, span.starts_at), min(end, end if span.ends_at is None else span.ends_at)
        if ended <= began:
            continue
        for place in range((began - start) * count // length, min(count - 1, (ended - start - 1) * count // length) + 1):
            before = worst[place]
            if before is None or _RANK[span.status] > _RANK[before]:
                worst[place] = span.status
    return _bar(tuple("none" if status is None else _LOOKS[status] for status in worst), length // count)


@lru_cache(maxsize=512)  # most checks of a list look the same
def _bar(looks: tuple[str, ...], width: int) -> Bar:
    cells = tuple(Cell(8 * place, 28 - _HEIGHTS[look], _HEIGHTS[look], look) for place, look in enumerate(looks))
    rects = [f'<rect class="k-{one.look}" x="{one.x}" y="{one.y}" width="6" height="{one.height}"/>' for one in cells]
    drawn = Markup("".join(rects))  # noqa: S704 - numbers, and looks from the table above
    return Bar(cells, 8 * len(looks) - 2, _said(looks, width), drawn)


def _said(looks: Sequence[str], width: int) -> str:
    words = {"down": "down", "degraded": "degraded", "maint": "maintenance", "none": "no data"}
    parts = [f"{word} in {looks.count(look)}" for look, word in words.items() if look in looks]
    told = ", ".join(parts) if parts else "up throughout"
    return f"{len(looks)} cells of {in_words(width)}: {told}"


def sentence(checks: Sequence[Check]) -> str:
    """How all are, in one line: ``12 up, 1 degraded, 2 down``."""
    counts = {status: sum(check.status is status for check in checks) for status in URGENCY}
    words = {Status.MAINTENANCE: "in maintenance", Status.UNKNOWN: "not known"}
    return ", ".join(f"{count:,} {words.get(status, status.value)}" for status, count in counts.items() if count)


def headline(checks: Sequence[Check]) -> str:
    """What a colleague would say."""
    down = [check for check in checks if check.status is Status.DOWN]
    if not checks:
        return "Nothing is watched from outside yet"
    if len(down) == 1:
        return f"{down[0].definition.name} is down"
    if down:
        return f"{len(down)} of {len(checks)} are down"
    if any(check.status is Status.DEGRADED for check in checks):
        return "All answer, not all well"
    if any(check.status is Status.UNKNOWN for check in checks):
        return "Not all is known"
    return "Everything answers"


def now_shows(check: Check, now: int) -> tuple[str, str]:
    """The figure of the last look and what it is: ``412 ms``, ``of 3,000``; of a certificate how long it lasts."""
    if check.status is Status.PAUSED or check.last_at is None:
        return "", "not asked"
    if check.definition.kind != "http" and check.expires_at is not None:
        days = (check.expires_at - now) // DAY
        return (f"{days:,} {'day' if days == 1 else 'days'}", "left") if days >= 0 else ("expired", "")
    if check.last_ms is None or check.status is Status.DOWN:
        return "", "no answer" if check.last_ms is None else "failed"
    return f"{check.last_ms:,.0f} ms", ""


def describe(check: Check) -> str:
    """The state in a few words, as it stands below the name: ``Down: refuses the connection``."""
    word = check.status.value.capitalize()
    if check.status in (Status.DOWN, Status.DEGRADED, Status.UNKNOWN) and check.last_cause:
        return f"{word}: {check.last_cause}"
    return f"{word}, {goal(check.definition.target)}"


def goal(target: Target) -> str:
    """Where it looks: an address without its scheme, or host and port."""
    if isinstance(target, HttpTarget):
        return target.url.partition("://")[2].rstrip("/") or target.url
    values = msgspec.to_builtins(target)
    place = str(values.get("host") or values.get("script") or "")
    return f"{place}:{values['port']}" if place and values.get("port") else place


# --- Phases -----------------------------------------------------------------------------------------------------------

PHASES = {"dns": "Name", "connect": "Connect", "tls": "TLS", "first_byte": "First byte", "total": "Whole"}


class Phase(msgspec.Struct, frozen=True):
    """A part of a look: when it began and how long it took (ms), and both as a share of 1,000."""

    name: str
    ms: float
    x: int
    width: int


def phases(found: Mapping[str, float]) -> list[Phase]:
    """The parts one after the other, as far as they were measured; the whole last."""
    parts = [(name, ms) for name, ms in found.items() if name != "total"]
    whole = max(found.get("total", 0.0), sum(ms for _, ms in parts)) or 1.0
    made, at = [], 0.0
    for name, ms in parts:
        made.append(
            Phase(PHASES.get(name, name.replace("_", " ").capitalize()), ms, round(1_000 * at / whole), max(4, round(1_000 * ms / whole)))
        )
        at += ms
    return made


# --- Forms ------------------------------------------------------------------------------------------------------------

KINDS: Mapping[str, tuple[str, str]] = {
    "http": ("Website or API", "Asks an address and looks at what comes back."),
    "tls": ("Certificate", "Does TLS hold, and for how long?"),
    "tcp": ("Port", "Does it take connections?"),
    "ping": ("Ping", "Does a machine answer?"),
    "dns": ("Name", "Does a name server say what it should?"),
    "banner": ("Mail, FTP or SSH", "Does the service greet as it should?"),
    "database": ("Database", "Connects and asks a question."),
    "domain": ("Domain", "When does the registration end?"),
    "script": ("Program", "Runs a program of yours and looks at its exit code."),
}
_LABELS = {
    "url": "Address",
    "body": "Body to send",
    "statuses": "Right answers",
    "keyword": "Must say",
    "no_keyword": "Must not say",
    "json_path": "Value in JSON",
    "json_op": "must be",
    "json_value": "this",
    "redirects": "Redirects followed",
    "trusted": "Certificate must be trusted",
    "starttls": "STARTTLS",
    "tls": "TLS from the start",
    "loss_percent": "Loss that is worth a warning (%)",
    "count": "Packets",
    "values": "Must hold",
    "server": "Server to ask",
}
# Where the description in the API is not what somebody at a form needs.
_HINTS = {
    "statuses": "Such as 200 or 200-299,401.",
    "json_path": "Such as $.queue[0].depth.",
    "headers": "One a line: Name: value.",
    "values": "One a line; all of these must be among the answers.",
    "arguments": "One a line.",
    "password": "Kept, and never shown again.",
}
_MAIN = frozenset({"port", "starttls", "keyword", "record", "values", "user", "password"})


class Field(msgspec.Struct, frozen=True):
    """One field of a form about a target."""

    name: str
    label: str
    type: Literal["text", "number", "choice", "switch", "lines"]
    value: str
    choices: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    required: bool = False

    @property
    def is_main(self) -> bool:
        """Whether it is asked at once, not behind *more*."""
        return self.required or self.name in _MAIN


def kinds() -> list[str]:
    """Every kind of check there is, those with words of ours first."""
    known = {str(one.__struct_config__.tag) for one in get_args(Target)}
    return [*(kind for kind in KINDS if kind in known), *sorted(known - set(KINDS))]


def _struct_of(kind: str) -> type[msgspec.Struct]:
    found: type[msgspec.Struct] = next(one for one in get_args(Target) if one.__struct_config__.tag == kind)
    return found


def fields_of(kind: str, values: Mapping[str, str]) -> list[Field]:
    """What a check of this *kind* asks for, with what is given or the default. Made from the shape of its target, so that
    there is no second list of what can be said.
    """
    found = []
    for one in inspect.type_info(_struct_of(kind)).fields:  # type: ignore[attr-defined]  # a struct's, and no other's
        given = values.get(one.name)
        default = "" if one.required or one.default in (None, msgspec.NODEFAULT) else one.default
        text = given if given is not None else _text(default)
        type_, choices = _control(one.type)
        label = _LABELS.get(one.name, one.name.replace("_", " ").capitalize())
        found.append(Field(one.name, label, type_, text, choices, _HINTS.get(one.name, _description(one.type)), one.required))
    return found


def _description(type_: Any) -> str:
    """What the API says of a field, without the code marks."""
    parts = type_.types if isinstance(type_, inspect.UnionType) else (type_,)
    said = [(part.extra_json_schema or {}).get("description", "") for part in parts if isinstance(part, inspect.Metadata)]
    return next((words.replace("`", "") for words in said if words), "")


def _control(type_: Any) -> tuple[Literal["text", "number", "choice", "switch", "lines"], tuple[tuple[str, str], ...]]:
    plain = type_.type if isinstance(type_, inspect.Metadata) else type_
    if isinstance(plain, inspect.UnionType):
        parts = [part.type if isinstance(part, inspect.Metadata) else part for part in plain.types]
        parts = [part for part in parts if not isinstance(part, inspect.NoneType)]
        if len(parts) != 1:
            return "text", ()
        plain = parts[0]
    if isinstance(plain, inspect.BoolType):
        return "switch", (("true", "yes"), ("false", "no"))
    if isinstance(plain, inspect.LiteralType):
        return "choice", tuple((str(value), str(value)) for value in plain.values)
    if isinstance(plain, inspect.IntType):
        return "number", ()
    if isinstance(plain, inspect.DictType | inspect.ListType | inspect.VarTupleType):
        return "lines", ()
    return "text", ()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(str(one) for one in value)
    return "" if value is None else str(value)


def values_of(target: Target) -> dict[str, str]:
    """A target as its form shows it."""
    return {name: _text(value) for name, value in msgspec.to_builtins(target).items() if name != "kind"}


# The other fields: name in the form and in the API, and whether it is a number.
PLAIN = {
    "name": False,
    "site": False,
    "host": False,
    "group": False,
    "interval_seconds": True,
    "timeout_seconds": True,
    "retries": True,
    "retry_seconds": True,
    "recoveries": True,
    "warning_ms": True,
    "critical_ms": True,
    "severity": True,
    "sla_percent": True,
    "agree": True,
}


class CheckForm(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed: the kind, the target's fields, all others, and what is to be done with it (``try``, ``save`` or another kind)."""

    kind: str
    target: dict[str, str]
    plain: dict[str, str]
    private: bool
    do: str
    version: str = ""  # of the check that is changed, as it was when the form was opened
    locations: tuple[str, ...] | None = None  # None: the form did not ask


def form_of(fields: Fields) -> CheckForm:
    """What was sent."""
    kind = single(fields, "kind")
    target = {name.removeprefix("target."): single(fields, name) for name in fields if name.startswith("target.")}
    plain = {name: single(fields, name) for name in PLAIN}
    if target.get("url"):
        target["url"] = whole_address(target["url"])
    plain["name"] = plain["name"] or name_of(target)
    return CheckForm(
        kind=kind if kind in kinds() else "http",
        target=target,
        plain=plain,
        private=bool(single(fields, "private")),
        do=single(fields, "do"),
        version=single(fields, "version"),
        locations=several(fields, "locations") if single(fields, "asks_from") else None,
    )


def whole_address(text: str) -> str:
    """An address as people type it: what has no scheme is asked by HTTPS."""
    return text if "://" in text else f"https://{text}"


def name_of(target: Mapping[str, str]) -> str:
    """How a check is called where nobody says it: by what it asks."""
    url = target.get("url", "").partition("://")[2].rstrip("/")
    return (url or target.get("host") or target.get("script") or "")[:100]


def begun(kind: str, host: str) -> CheckForm:
    """An empty form."""
    return CheckForm(kind=kind, target={"host": host} if host else {}, plain=dict.fromkeys(PLAIN, ""), private=False, do="")


def form_from(check: Check, site: str) -> CheckForm:
    """The form that would make this check."""
    one = check.definition
    plain = {
        "name": one.name,
        "site": site,
        "host": one.host or "",
        "group": one.group or "",
        "interval_seconds": str(one.interval),
        "timeout_seconds": str(one.timeout),
        "retries": str(one.retries),
        "retry_seconds": str(one.retry_after),
        "recoveries": str(one.recoveries),
        "warning_ms": _text(one.warning_ms),
        "critical_ms": _text(one.critical_ms),
        "severity": str(one.severity),
        "sla_percent": _text(one.sla),
        "agree": _text(one.agree),
    }
    return CheckForm(
        kind=one.kind,
        target=values_of(one.target),
        plain=plain,
        private=one.private,
        do="",
        version=str(check.version),
        locations=one.locations or (SERVER,),
    )


_PLAIN_LABELS = {
    "name": "Name",
    "host": "Host that alerts name",
    "group": "Group",
    "interval_seconds": "Asked every (s)",
    "timeout_seconds": "Waits at most (s)",
    "retries": "Asked again before it is down",
    "retry_seconds": "each after (s)",
    "recoveries": "Good answers until it is up",
    "warning_ms": "Slow from (ms)",
    "critical_ms": "Far too slow from (ms)",
    "severity": "Severity (5 is critical)",
    "sla_percent": "Promised uptime (%)",
    "agree": "Locations that must say so",
}


def differing(kept: CheckForm, sent: CheckForm) -> list[tuple[str, str]]:
    """What a check is now, where that is not what somebody typed: labels and values. Both are masked."""
    sides = zip(fields_of(kept.kind, kept.target), fields_of(kept.kind, sent.target), strict=True)
    found = [(theirs.label, theirs.value) for theirs, mine in sides if theirs.value != mine.value]
    defaults = {
        "interval_seconds": "60",
        "severity": "4",
        "retries": "2",
        "retry_seconds": "20",
        "recoveries": "1",
        "timeout_seconds": "10",
    }
    found += [
        (label, kept.plain[name])
        for name, label in _PLAIN_LABELS.items()
        if kept.plain[name] != (sent.plain[name] or defaults.get(name, ""))
    ]
    if kept.private != sent.private:
        found.append(("May go to private addresses", "yes" if kept.private else "no"))
    if sent.locations is not None and kept.locations is not None and set(kept.locations) != set(sent.locations):
        found.append(("Asked from", ", ".join("Tocsin itself" if name == SERVER else name for name in kept.locations)))
    return [(label, value or "nothing") for label, value in found]


def body_of(sent: CheckForm, *, change: bool) -> bytes:
    """The same as the API takes it. *change*: what may be empty is sent as nothing, so that it can be taken away."""
    body: dict[str, Any] = {"target": {"kind": sent.kind, **_target(sent)}, "private": sent.private}
    for name, is_number in PLAIN.items():
        text = sent.plain[name]
        if name == "site" and change:
            continue
        if text:
            body[name] = number(text) if is_number else text
        elif change and name in ("host", "group", "warning_ms", "critical_ms", "sla_percent", "agree"):
            body[name] = None
    if sent.locations is not None:
        body["locations"] = list(sent.locations)
    return json.dumps(body).encode()


def _target(sent: CheckForm) -> dict[str, Any]:
    known = {one.name: one for one in fields_of(sent.kind, {})}
    info = {one.name: one for one in inspect.type_info(_struct_of(sent.kind)).fields}  # type: ignore[attr-defined]  # as above
    made: dict[str, Any] = {}
    for name, text in sent.target.items():
        if name not in known or (text == "" and known[name].type != "switch"):
            continue
        made[name] = _value(known[name].type, text, is_dict=_is_dict(info[name].type))
    return made


def _is_dict(type_: Any) -> bool:
    return isinstance(type_.type if isinstance(type_, inspect.Metadata) else type_, inspect.DictType)


def _value(type_: str, text: str, *, is_dict: bool) -> Any:
    if type_ == "number":
        return number(text)
    if type_ == "switch":
        return text == "true"
    if type_ == "lines" and is_dict:
        pairs = (line.partition(":") for line in text.splitlines() if line.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}
    if type_ == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text


# --- Proof ---------------------------------------------------------------------------------------------------------------


class Proof(msgspec.Struct, frozen=True):
    """The evidence of a look, sorted for reading: plain facts, a certificate's facts, headers, the beginning of the body, the trace."""

    facts: list[tuple[str, str]]
    certificate: list[tuple[str, str]]
    headers: str
    body: str
    trace: list[tuple[float, str]]
    places: list[tuple[str, str, str]]  # from several locations: each, the sign of what it found, and that in words


def proof(evidence: str | None) -> Proof | None:
    """What was kept (JSON); None if nothing was."""
    if evidence is None:
        return None
    kept = msgspec.json.decode(evidence, type=dict[str, Any])
    headers = kept.get("headers") or []
    return Proof(
        facts=[(_said_name(name), str(value)) for name, value in kept.items() if name != "body" and isinstance(value, str | int | float)],
        certificate=[(_said_name(name), _said_value(value)) for name, value in (kept.get("certificate") or {}).items()],
        headers="\n".join(": ".join(map(str, pair)) for pair in (headers.items() if isinstance(headers, dict) else headers)),
        body=str(kept.get("body") or ""),
        trace=[(float(at), str(what)) for at, what in kept.get("trace") or ()],
        places=[(str(one["location"]), _SIGNS.get(one["result"], "unknown"), str(one["words"])) for one in kept.get("locations") or ()],
    )


_SIGNS = {"ok": "up", "warning": "degraded", "critical": "degraded", "failed": "down"}


class Place(msgspec.Struct, frozen=True):
    """A location, the sign of what it found last, that in words, and its proof. ``counts``: it has a vote."""

    name: str
    sign: str
    words: str
    counts: bool
    at: int | None
    ms: float | None
    proof: Proof | None


def places(one: Definition, found: Sequence[Vote], now: int) -> list[Place]:
    """From where a check is asked, the server first."""
    counted = {its.vote.location for its in votes.cast(one, found, now)}
    made = []
    for vote in sorted(found, key=lambda vote: (vote.location != SERVER, vote.location)):
        finding, counts = vote.finding, vote.location in counted
        words = votes.why_silent(one, vote, now) if finding is None or not counts else f"{finding.cause.value}: {finding.words}"
        kept = None if finding is None else msgspec.json.encode({**finding.evidence, "trace": finding.trace}).decode()
        sign = verdict(finding)[0] if finding is not None and counts else "unknown"
        made.append(Place(vote.location, sign, words, counts, vote.at, None if finding is None else finding.ms, proof(kept)))
    return made


def _said_name(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _said_value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# --- A look -----------------------------------------------------------------------------------------------------------

_LEVELS = {
    None: ("unknown", "Nothing was learned of it"),
    Level.OK: ("up", "It is up"),
    Level.WARNING: ("degraded", "It answers, with something to mend"),
    Level.CRITICAL: ("degraded", "It answers, so badly that somebody must look"),
    Level.FAILED: ("down", "It fails"),
}


def verdict(found: Finding) -> tuple[str, str]:
    """The sign of a single look, and what it came to."""
    return _LEVELS[found.level]


SECONDS = (("10", "10 s"), ("30", "30 s"), ("60", "1 min"), ("300", "5 min"), ("900", "15 min"), ("3600", "1 h"), ("86400", "1 d"))
FINEST = 2 * DAY  # so long every look is kept
GAP = 3  # intervals without a look are a gap in the chart


TENTHS = 100  # ms: below, tenths are told


def chart(looks: Sequence[tuple[int, float | None]], interval: int, spans: Sequence[Span]) -> dict[str, Any]:
    """Response times for the chart, in order of time: ``looks`` are moments (ms) with what they took. Where nobody looked is a gap.

    Of *spans*, how it was, the maintenance is shaded and the beginning of each outage marked.
    """
    times: list[int] = []
    values: list[float | None] = []
    for at, ms in looks:
        if times and at // SECOND - times[-1] > max(GAP * interval, 2 * MINUTE // SECOND):
            times.append(times[-1] + interval)
            values.append(None)
        times.append(at // SECOND)
        values.append(None if ms is None else round(ms, 1 if ms < TENTHS else None))
    return {
        "kind": "line",
        "times": times,
        "step": interval,
        "unit": "ms",
        "zero": True,
        "series": [{"name": "Response time", "colour": "line-1", "values": values}],
        "marks": [{"at": one.starts_at // SECOND, "text": "down"} for one in spans if one.status is Status.DOWN],
        "spans": [
            {"from": one.starts_at // SECOND, "to": one.ends_at // SECOND, "text": "maintenance"}
            for one in spans
            if one.status is Status.MAINTENANCE and one.ends_at is not None
        ],
        "says": said_of([ms for _, ms in looks if ms is not None]),
    }


def said_of(values: Sequence[float]) -> str:
    """What the chart shows, in one sentence."""
    if not values:
        return "No response time was measured."
    ordered = sorted(values)
    middle, high = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    return f"Half of the answers came within {middle:,.0f} ms, 95 of 100 within {high:,.0f} ms; the slowest took {ordered[-1]:,.0f} ms."
