"""``/checks``: what is asked from outside, what was found, and a look out of turn."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from tocsin.api.context import Given, InPath, TheCaller, TheServer, chosen_site, visible_sites
from tocsin.api.fields import Cursor, Id, Level, Limit, Name, Page, Slug, Time
from tocsin.api.paging import cut_page, read_cursor
from tocsin.api.shapes import AnyJson
from tocsin.audit import service as audit
from tocsin.bootstrap import Server
from tocsin.checks import service, store, votes
from tocsin.checks.model import Check, Definition, Finding, HostName, Result, ScriptTarget, Target
from tocsin.checks.rules import MAX_INTERVAL, MAX_TIMEOUT, MIN_INTERVAL
from tocsin.checks.votes import MOST_LOCATIONS
from tocsin.core import editions
from tocsin.core.errors import InvalidInput, NotAllowed, Unavailable
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db.writer import Tx
from tocsin.identity.model import Caller
from tocsin.pipeline.rounds import Rounds

_STATUS = "(up|degraded|down|unknown|paused|maintenance)"
StatusWord = Literal["up", "degraded", "down", "unknown", "paused", "maintenance"]
ResultWord = Literal["ok", "warning", "critical", "failed", "unknown"]
_RESULTS: tuple[ResultWord, ...] = ("ok", "warning", "critical", "failed")

Group = Annotated[
    str,
    Meta(
        min_length=1, max_length=100, description="What it belongs to, for lists and figures.", extra={"must": "have 1 to 100 characters"}
    ),
]
Interval = Annotated[
    int,
    Meta(
        ge=MIN_INTERVAL,
        le=MAX_INTERVAL,
        description="How often it is looked at.",
        extra={"must": f"be a whole number of seconds from {MIN_INTERVAL} to {MAX_INTERVAL}"},
    ),
]
Timeout = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_TIMEOUT,
        description="How long one look may take.",
        extra={"must": f"be a whole number of seconds from 1 to {MAX_TIMEOUT}"},
    ),
]
Retries = Annotated[
    int,
    Meta(
        ge=0,
        le=10,
        description="How often it is asked again before a failure is believed.",
        extra={"must": "be a whole number from 0 to 10"},
    ),
]
RetryAfter = Annotated[
    int,
    Meta(ge=5, le=3_600, description="How soon it is asked again.", extra={"must": "be a whole number of seconds from 5 to 3600"}),
]
Recoveries = Annotated[
    int,
    Meta(
        ge=1,
        le=10,
        description="How many good answers in a row end a failure.",
        extra={"must": "be a whole number from 1 to 10"},
    ),
]
Slow = Annotated[int, Meta(ge=1, le=60_000, extra={"must": "be a whole number of milliseconds from 1 to 60000"})]
Sla = Annotated[
    float,
    Meta(
        ge=1,
        le=100,
        description="The share of time that it was promised to be up.",
        examples=[99.9],
        extra={"must": "be a percentage from 1 to 100"},
    ),
]
Statuses = Annotated[
    str,
    Meta(
        pattern=rf"^{_STATUS}(,{_STATUS})*$",
        max_length=100,
        description="Which, with commas between. Default: all.",
        examples=["down,degraded"],
        extra={"must": "be one or more of up, degraded, down, unknown, paused, maintenance, with commas between"},
    ),
]


Locations = Annotated[
    list[HostName],
    Meta(
        max_length=MOST_LOCATIONS,
        description="From where it is asked: `server` is Tocsin itself, all others are hosts of the site with an agent. Default: `server`.",
        examples=[["server", "web-2.example.com"]],
        extra={"must": f"be a list of at most {MOST_LOCATIONS} names: server, or hosts with an agent"},
    ),
]
Agree = Annotated[
    int,
    Meta(
        ge=1,
        le=MOST_LOCATIONS,
        description="How many of the locations must find that it fails. Default: more than half.",
        extra={"must": f"be a whole number from 1 to {MOST_LOCATIONS}"},
    ),
]


class NewCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check to be made."""

    name: Name
    target: Target
    site: Slug | None = None
    host: Annotated[HostName, Meta(description="What its alerts name. Default: the target's host.")] | None = None
    group: Group | None = None
    interval_seconds: Interval = 60
    timeout_seconds: Timeout = 10
    retries: Retries = 2
    retry_seconds: RetryAfter = 20
    recoveries: Recoveries = 1
    warning_ms: Annotated[Slow, Meta(description="From when on it is slow. Default: `RESPONSE_TIME_WARNING`.")] | None = None
    critical_ms: Annotated[Slow, Meta(description="The same for too slow. Default: `RESPONSE_TIME_CRITICAL`.")] | None = None
    severity: Annotated[Level, Meta(description="Of its alert when it is down.")] = 4
    private: Annotated[bool, Meta(description="Whether it may go to private addresses. Only for who may see every site.")] = False
    sla_percent: Sla | None = None
    locations: Locations = []
    agree: Agree | None = None
    paused: bool = False


class CheckChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is left out stays as it is. A header that was shown as `(hidden)` stays when sent back so."""

    name: Name | None = None
    target: Target | None = None
    host: HostName | UnsetType | None = UNSET
    group: Group | UnsetType | None = UNSET
    interval_seconds: Interval | None = None
    timeout_seconds: Timeout | None = None
    retries: Retries | None = None
    retry_seconds: RetryAfter | None = None
    recoveries: Recoveries | None = None
    warning_ms: Slow | UnsetType | None = UNSET
    critical_ms: Slow | UnsetType | None = UNSET
    severity: Level | None = None
    private: bool | None = None
    sla_percent: Sla | UnsetType | None = UNSET
    locations: Locations | None = None
    agree: Agree | UnsetType | None = UNSET
    paused: bool | None = None


class CheckQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which, and how many."""

    site: Slug | None = None
    status: Statuses | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class ResultQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many; ``evidence``: only those that have some."""

    evidence: Literal["yes", "no"] = "no"
    limit: Limit = 100
    cursor: Cursor | None = None


class CheckOut(msgspec.Struct, frozen=True):
    """A check, and where it stands."""

    id: Id
    name: str
    site: str
    kind: str
    target: Annotated[Target, Meta(description="Headers that prove who you are are shown as `(hidden)`.")]
    host: Annotated[str, Meta(description="What its alerts name.")]
    group: str | None
    interval_seconds: int
    timeout_seconds: int
    retries: int
    retry_seconds: int
    recoveries: int
    warning_ms: int | None
    critical_ms: int | None
    severity: int
    private: bool
    sla_percent: float | None
    locations: list[str]
    agree: Annotated[int | None, Meta(description="How many must find that it fails; null: more than half.")]
    paused: bool
    status: StatusWord
    status_since: Time
    cause: Annotated[str | None, Meta(description="What the last look found, in a few words.")]
    words: Annotated[str | None, Meta(description="The same in detail.")]
    ms: Annotated[float | None, Meta(description="How long the last look took.")]
    last_at: Annotated[Time | None, Meta(description="When it was last looked at.")]
    next_at: Annotated[Time | None, Meta(description="When it is looked at next; null: it is paused.")]
    certificate_ends_at: Time | None
    created_by: str
    created_at: Time
    updated_at: Time


class CheckPage(Page, frozen=True):
    """A page of checks, the newest first."""

    items: list[CheckOut]


class TraceOut(msgspec.Struct, frozen=True):
    """One thing that was done or said, with its milliseconds since the start."""

    ms: float
    text: str


class FindingOut(msgspec.Struct, frozen=True):
    """What one look found."""

    result: Annotated[ResultWord, Meta(description="`unknown`: nothing was learned of the target.")]
    cause: str
    words: str
    ms: float | None
    phases: Annotated[
        dict[str, float], Meta(description="How long each part took, in milliseconds.", examples=[{"dns": 4.1, "connect": 11.0}])
    ]
    evidence: AnyJson
    trace: list[TraceOut]
    certificate_ends_at: Time | None


class RunOut(msgspec.Struct, frozen=True):
    """A look out of turn, and where the check stands after it."""

    finding: FindingOut
    check: CheckOut


class ResultOut(msgspec.Struct, frozen=True):
    """A look that was kept: two days, with evidence ninety."""

    at: Time
    result: ResultWord
    status: Annotated[StatusWord, Meta(description="Of the check, after it.")]
    cause: str
    words: str
    ms: float | None
    phases: dict[str, float]
    evidence: AnyJson | None


class LocationOut(msgspec.Struct, frozen=True):
    """A location, and what it found last."""

    location: str
    at: Annotated[Time | None, Meta(description="When it last looked; null: not yet.")]
    counts: Annotated[bool, Meta(description="Whether it has a vote: it has looked lately, and learned something.")]
    finding: Annotated["FindingOut | None", Meta(description="What it found, with its evidence.")]


class LocationPage(msgspec.Struct, frozen=True):
    """All locations of a check; none where only the server asks."""

    items: list[LocationOut]


class ResultPage(Page, frozen=True):
    """A page of looks, the newest first."""

    items: list[ResultOut]


class ChecksApi(Controller):
    """Checks."""

    path = "/checks"
    tags = ("Checks",)

    @get(sync_to_thread=True)
    def list_checks(self, server: TheServer, caller: TheCaller, asked: Given[CheckQuery]) -> CheckPage:
        """Lists the checks, the newest first."""
        sites = visible_sites(server.core.sites, caller, asked.site)
        after = read_cursor(asked.cursor, "checks", (str,))
        statuses = None if asked.status is None else set(asked.status.split(","))
        with server.core.database.read() as connection:
            found = store.page(connection, sites, statuses, after[0] if after else None, asked.limit + 1)
        items, cursor = cut_page(found, asked.limit, "checks", lambda one: (one.id,))
        return CheckPage(cursor, [check_out(server, one) for one in items])

    @get("/{check_id:str}", sync_to_thread=True)
    def show_check(self, server: TheServer, caller: TheCaller, check_id: InPath) -> CheckOut:
        """Shows one check, and where it stands."""
        with server.core.database.read() as connection:
            return check_out(server, service.find(connection, check_id, caller.site_ids))

    @get("/{check_id:str}/results", sync_to_thread=True)
    def list_results(self, server: TheServer, caller: TheCaller, check_id: InPath, asked: Given[ResultQuery]) -> ResultPage:
        """Lists what was found, the newest first: for two days; failures and changes, with their evidence, for ninety."""
        before = read_cursor(asked.cursor, "results", (int,))
        with server.core.database.read() as connection:
            check = service.find(connection, check_id, caller.site_ids)
            found = store.results(
                connection, check.id, before[0] if before else None, asked.limit + 1, only_evident=asked.evidence == "yes"
            )
        items, cursor = cut_page(found, asked.limit, "results", lambda one: (one.at,))
        return ResultPage(cursor, [_result_out(one) for one in items])

    @get("/{check_id:str}/locations", sync_to_thread=True)
    def list_locations(self, server: TheServer, caller: TheCaller, check_id: InPath) -> LocationPage:
        """Lists from where a check is asked, and what each location found last."""
        with server.core.database.read() as connection:
            check = service.find(connection, check_id, caller.site_ids)
            found = store.votes(connection, check.id)
        counted = {its.vote.location for its in votes.cast(check.definition, found, server.core.clock.now())}
        return LocationPage(
            [
                LocationOut(
                    one.location,
                    to_text_or_none(one.at),
                    one.location in counted,
                    None if one.finding is None else _finding_out(one.finding),
                )
                for one in found
            ]
        )

    @post(status_code=201, opt={"conflict": True})
    async def add_check(self, server: TheServer, caller: TheCaller, sent: Given[NewCheck]) -> CheckOut:
        """Makes a check. It is looked at at once, and from then on at its interval."""
        return check_out(server, await make(server, caller, sent))

    @post("/try", status_code=200)
    async def try_check(self, server: TheServer, caller: TheCaller, sent: Given[NewCheck]) -> FindingOut:
        """Looks once as a check would, with a full trace. Nothing is kept, and nobody is told."""
        return _finding_out(await try_out(server, caller, sent))

    @patch("/{check_id:str}")
    async def change_check(self, server: TheServer, caller: TheCaller, check_id: InPath, sent: Given[CheckChange]) -> CheckOut:
        """Changes, pauses (`paused` true) or resumes a check. A pause ends its alerts; another target begins anew."""
        return check_out(server, await change(server, caller, check_id, sent))

    @delete("/{check_id:str}", status_code=204)
    async def remove_check(self, server: TheServer, caller: TheCaller, check_id: InPath) -> None:
        """Removes a check with its history. Its alerts are resolved."""
        await server.core.writer.run(server.core.checks.remove(caller.who, check_id, caller.site_ids))

    @post("/{check_id:str}/run", status_code=200)
    async def run_check(self, server: TheServer, caller: TheCaller, check_id: InPath) -> RunOut:
        """Looks now, with a full trace. It counts like any other look; at a paused check it does not."""
        check, found = await run(server, caller, check_id)
        return RunOut(_finding_out(found), check_out(server, check))


# What the pages do, too.


async def make(server: Server, caller: Caller, sent: NewCheck) -> Check:
    """A new check. Raises `InvalidInput`, `Conflict`, `NotAllowed`."""
    site = server.core.sites.get(chosen_site(server.core.sites, caller, sent.site))
    definition = _definition(sent)
    _expect_allowed(caller, definition, None)
    return await server.core.writer.run(server.core.checks.add(caller.who, site.id, definition, is_paused=sent.paused))


async def try_out(server: Server, caller: Caller, sent: NewCheck) -> Finding:
    """A look that leaves nothing behind. Raises `InvalidInput`, `NotAllowed`, `Unavailable`."""
    chosen_site(server.core.sites, caller, sent.site)
    definition = _definition(sent)
    _expect_allowed(caller, definition, None)
    return await _rounds(server).try_out(definition)


async def change(server: Server, caller: Caller, check_id: str, sent: CheckChange, seen: str | None = None) -> Check:
    """The check as it then is. *seen*: the version that it was made from, if that matters.

    Raises `NotFound`, `InvalidInput`, `NotAllowed`, `Overtaken`.
    """

    def edit(check: Check) -> tuple[Definition, bool]:
        editions.expect(seen, str(check.version), "check")
        definition = _changed(check.definition, sent)
        _expect_allowed(caller, definition, check.definition)
        return definition, check.is_paused if sent.paused is None else sent.paused

    return await server.core.writer.run(server.core.checks.change(caller.who, check_id, caller.site_ids, edit))


async def try_change(server: Server, caller: Caller, check: Check, sent: CheckChange) -> Finding:
    """A look at *check* as it would be. Raises `InvalidInput`, `NotAllowed`, `Unavailable`."""
    definition = _changed(check.definition, sent)
    _expect_allowed(caller, definition, check.definition)
    return await _rounds(server).try_out(definition)


async def run(server: Server, caller: Caller, check_id: str) -> tuple[Check, Finding]:
    """A look out of turn, noted in the audit log. Raises `NotFound`, `Unavailable`."""

    def note(tx: Tx, check: Check) -> None:
        audit.record(tx, caller.who, "check.run", service.thing(check), server.core.clock.now(), site_id=check.site_id)

    return await _rounds(server).run_now(check_id, caller.site_ids, note)


def _rounds(server: Server) -> Rounds:
    if server.rounds is None:
        raise Unavailable("this process looks at no checks")
    return server.rounds


_NAMES = {
    "interval_seconds": "interval",
    "timeout_seconds": "timeout",
    "retry_seconds": "retry_after",
    "sla_percent": "sla",
}
_NULLABLE = frozenset({"host", "group", "warning_ms", "critical_ms", "sla_percent", "agree"})


def _definition(sent: NewCheck) -> Definition:
    given = {name: value for name, value in msgspec.structs.asdict(sent).items() if name not in ("site", "paused")}
    given["name"], given["locations"] = sent.name.strip(), tuple(sent.locations)
    return Definition(**{_NAMES.get(name, name): value for name, value in given.items()})


def _changed(old: Definition, sent: CheckChange) -> Definition:
    given = {
        name: value
        for name, value in msgspec.structs.asdict(sent).items()
        if value is not UNSET and (value is not None or name in _NULLABLE)
    }
    if not given:
        raise InvalidInput.of("body", f"names nothing to change; known are {', '.join(sent.__struct_fields__)}")
    given.pop("paused", None)
    if "name" in given:
        given["name"] = given["name"].strip()
    if "locations" in given:
        given["locations"] = tuple(given["locations"])
    new: Definition = msgspec.structs.replace(old, **{_NAMES.get(name, name): value for name, value in given.items()})
    return service.unmasked(new, old)


def _expect_allowed(caller: Caller, new: Definition, old: Definition | None) -> None:
    """Whoever sees one site only may not send a check into the network behind Tocsin. Raises `NotAllowed`."""
    is_new = old is None or not old.private or old.target != new.target
    if new.private and is_new and caller.site_ids is not None:
        raise NotAllowed("only somebody who may see every site can let a check go to private addresses")
    if isinstance(new.target, ScriptTarget) and (old is None or old.target != new.target) and caller.site_ids is not None:
        raise NotAllowed("only somebody who may see every site can have a script run")


def check_out(server: Server, check: Check) -> CheckOut:
    """A check for the wire."""
    one = service.masked(check.definition)
    return CheckOut(
        id=check.id,
        name=one.name,
        site=server.core.sites.slug_of(check.site_id),
        kind=one.kind,
        target=one.target,
        host=one.place,
        group=one.group,
        interval_seconds=one.interval,
        timeout_seconds=one.timeout,
        retries=one.retries,
        retry_seconds=one.retry_after,
        recoveries=one.recoveries,
        warning_ms=one.warning_ms,
        critical_ms=one.critical_ms,
        severity=one.severity,
        private=one.private,
        sla_percent=one.sla,
        locations=list(one.locations),
        agree=one.agree,
        paused=check.is_paused,
        status=check.status.value,
        status_since=to_text(check.status_since),
        cause=check.last_cause,
        words=check.last_words,
        ms=check.last_ms,
        last_at=to_text_or_none(check.last_at),
        next_at=to_text_or_none(check.due_at),
        certificate_ends_at=to_text_or_none(check.expires_at),
        created_by=check.created_by,
        created_at=to_text(check.created_at),
        updated_at=to_text(check.updated_at),
    )


def _word(level: int | None) -> ResultWord:
    return "unknown" if level is None else _RESULTS[level]


def _finding_out(found: Finding) -> FindingOut:
    return FindingOut(
        result=_word(found.level),
        cause=found.cause.value,
        words=found.words,
        ms=found.ms,
        phases=found.phases,
        evidence=found.evidence,
        trace=[TraceOut(ms, text) for ms, text in found.trace],
        certificate_ends_at=None if found.expiry is None else to_text(found.expiry.ends_at),
    )


def _result_out(found: Result) -> ResultOut:
    evidence: Any = None if found.evidence is None else msgspec.json.decode(found.evidence)
    return ResultOut(
        at=to_text(found.at),
        result=_word(found.level),
        status=found.status.value,
        cause=found.cause,
        words=found.words,
        ms=found.ms,
        phases=msgspec.json.decode(found.phases, type=dict[str, float]),
        evidence=evidence,
    )
