"""``/checks``: all that is asked from outside at a glance, one check in full, and the form that tries before it saves."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import checks as api
from tocsin.api.checks import CheckChange, NewCheck
from tocsin.api.context import Given, visible_sites
from tocsin.api.fields import Search, Slug
from tocsin.bootstrap import Server
from tocsin.checks import service, store, uptime, votes
from tocsin.checks.model import SERVER, Check, Finding, Span, Status, Total
from tocsin.checks.uptime import Uptime
from tocsin.core.clock import DAY
from tocsin.core.errors import Conflict, InvalidInput, NotAllowed, Overtaken, Unavailable
from tocsin.core.reading import read_body
from tocsin.hosts import store as host_store
from tocsin.identity.model import Viewer
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.checks import rules
from tocsin.web.checks.rules import Bar, CheckForm, Range
from tocsin.web.desk import Desk
from tocsin.web.groups import read_fields
from tocsin.web.pages import chart_data, screen
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SHOWN = 100  # checks on a page
OUTAGES = 20
HOSTS = 50  # offered as locations
UPTIME_OF = 30 * DAY
PERIODS = ((DAY, "24 hours"), (7 * DAY, "7 days"), (30 * DAY, "30 days"), (90 * DAY, "90 days"))
DONE = {
    "made": "It is there, and looked at for the first time just now.",
    "changed": "Changed. It is looked at anew just now.",
    "paused": "Paused. Nobody looks, and what it told is over.",
    "resumed": "It is looked at again.",
    "removed": "Removed, with all that it found.",
}


class ChecksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which checks, over how long, from which on."""

    range: Range = "24h"
    site: Slug | None = None
    status: Literal["up", "degraded", "down", "unknown", "paused", "maintenance"] | None = None
    q: Search | None = None
    start: Annotated[int, Meta(ge=0, le=100_000)] = 0
    done: Literal["removed"] | None = None


class CheckQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Over how long, and what was just done."""

    range: Range = "24h"
    done: Literal["made", "changed", "paused", "resumed"] | None = None


class NewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the form begins with."""

    kind: Annotated[str, Meta(pattern=r"^[a-z]{1,20}$")] = "http"
    host: Annotated[str, Meta(max_length=253)] | None = None


class Line(msgspec.Struct, frozen=True):
    """One check in the list."""

    check: Check
    bar: Bar
    uptime: float | None
    figure: tuple[str, str]


class Group(msgspec.Struct, frozen=True):
    """Checks that belong together."""

    name: str
    sites: str
    lines: list[Line]


class CheckPages(Controller):
    """Checks."""

    path = "/checks"
    include_in_schema = False

    @get(sync_to_thread=True)
    def checks(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ChecksQuery]) -> Response[bytes]:
        """Shows all checks, those in trouble first within their group."""
        desk: Desk = request.app.state.desk
        sites = visible_sites(server.core.sites, viewer.calling(""), asked.site)
        with server.core.database.read() as connection:
            every = store.of_sites(connection, sites)
            wanted = sorted((check for check in every if _fits(check, asked)), key=_place)
            groups = _groups(connection, desk, wanted[asked.start : asked.start + SHOWN], asked.range)
        length, _, _ = rules.RANGES[asked.range]
        return screen(
            request,
            viewer,
            "checks/list.html",
            here="checks",
            every=every,
            found=len(wanted),
            groups=groups,
            asked=asked,
            ranges=rules.RANGES,
            signs=rules.SIGNS,
            describe=rules.describe,
            headline=rules.headline(every),
            sentence=rules.sentence(every),
            statuses=[(status.value, sum(check.status is status for check in every)) for status in rules.URGENCY],
            sites=[(site.slug, site.name) for site in desk.sites(viewer)],
            axis=[desk.now() - length * part // 4 for part in (4, 3, 2, 1)],
            shown=SHOWN,
            done=DONE.get(asked.done or "", ""),
        )

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, viewer: TheViewer, asked: Given[NewQuery]) -> Response[bytes]:
        """The form for a new one."""
        kind = asked.kind if asked.kind in rules.kinds() else "http"
        return _form(request, viewer, rules.begun(kind, asked.host or ""), Problems())

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Tries it, or makes it."""
        sent = rules.form_of(read_fields(await request.body()))
        caller = viewer.calling(address_of(request))
        try:
            if sent.do in ("try", "save"):
                wanted = read_body(rules.body_of(sent, change=False), NewCheck)
                if sent.do == "save":
                    made = await api.make(server, caller, wanted)
                    return go(f"/checks/{made.id}?done=made", depth=1)
                found = await api.try_out(server, caller, wanted)
                return await asyncio.to_thread(_form, request, viewer, sent, Problems(), found=found)
        except (InvalidInput, Conflict, NotAllowed, Unavailable) as error:
            return await asyncio.to_thread(_form, request, viewer, sent, _problems(error))
        return await asyncio.to_thread(_form, request, viewer, sent, Problems())

    @get("/{check_id:str}", sync_to_thread=True)
    def check(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath, asked: Given[CheckQuery]
    ) -> Response[bytes]:
        """Shows one check: how it stands, how it was, and what was found."""
        return _one(request, server, viewer, check_id, asked)

    @get("/{check_id:str}/times", sync_to_thread=True)
    def times(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """Its response times, for the chart."""
        with server.core.database.read() as connection:
            check = service.find(connection, check_id, viewer.site_ids)
            now = server.core.clock.now()
            looks = store.timings(connection, check.id, now - rules.FINEST)
            spans = store.spans(connection, [check.id], now - rules.FINEST, now)[check.id]
        drawn = rules.chart(looks, check.definition.interval, uptime.clipped(check, spans, now - rules.FINEST, now))
        return chart_data(request, drawn)

    @post("/{check_id:str}/run", status_code=200)
    async def run(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """Looks now, and shows what was done and said."""
        await form(request, NoFields)
        _, found = await api.run(server, viewer.calling(address_of(request)), check_id)
        return await asyncio.to_thread(_one, request, server, viewer, check_id, CheckQuery(), found)

    @post("/{check_id:str}/pause", status_code=200)
    async def pause(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """Nobody looks any more, until it is resumed."""
        return await _pause(request, server, viewer, check_id, paused=True)

    @post("/{check_id:str}/resume", status_code=200)
    async def resume(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """It is looked at again."""
        return await _pause(request, server, viewer, check_id, paused=False)

    @post("/{check_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """Takes it away, with all that it found."""
        await form(request, NoFields)
        caller = viewer.calling(address_of(request))
        await server.core.writer.run(server.core.checks.remove(caller.who, check_id, caller.site_ids))
        return go("/checks?done=removed", depth=2)

    @get("/{check_id:str}/edit", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """The form with what it is."""
        check = _find(server, viewer, check_id)
        return _form(request, viewer, _as_kept(check, server), Problems(), check=check)

    @post("/{check_id:str}/edit", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, check_id: InPath) -> Response[bytes]:
        """Tries the changed one, or saves it."""
        sent = rules.form_of(read_fields(await request.body()))
        caller = viewer.calling(address_of(request))
        check = await asyncio.to_thread(_find, server, viewer, check_id)
        try:
            wanted = read_body(rules.body_of(sent, change=True), CheckChange)
            if sent.do == "save":
                await api.change(server, caller, check_id, wanted, sent.version)
                return go(f"/checks/{check_id}?done=changed", depth=2)
            found = await api.try_change(server, caller, check, wanted)
        except Overtaken:
            check = await asyncio.to_thread(_find, server, viewer, check_id)
            return await asyncio.to_thread(_form, request, viewer, sent, Problems(), check=check)
        except (InvalidInput, Conflict, NotAllowed, Unavailable) as error:
            return await asyncio.to_thread(_form, request, viewer, sent, _problems(error), check=check)
        return await asyncio.to_thread(_form, request, viewer, sent, Problems(), check=check, found=found)


def _find(server: Server, viewer: Viewer, check_id: str) -> Check:
    with server.core.database.read() as connection:
        return service.find(connection, check_id, viewer.site_ids)


def _as_kept(check: Check, server: Server) -> CheckForm:
    """The form that would make it what it is, without what is secret."""
    shown = msgspec.structs.replace(check, definition=service.masked(check.definition))
    return rules.form_from(shown, server.core.sites.slug_of(check.site_id))


async def _pause(request: AnyRequest, server: Server, viewer: Viewer, check_id: str, *, paused: bool) -> Response[bytes]:
    await form(request, NoFields)
    await api.change(server, viewer.calling(address_of(request)), check_id, CheckChange(paused=paused))
    return go(f"/checks/{check_id}?done={'paused' if paused else 'resumed'}", depth=2)


def _fits(check: Check, asked: ChecksQuery) -> bool:
    if asked.status is not None and check.status.value != asked.status:
        return False
    one, q = check.definition, (asked.q or "").lower()
    return not q or any(q in text.lower() for text in (one.name, one.place, one.group or "", rules.goal(one.target)))


def _place(check: Check) -> tuple[str, int, str]:
    return (_group_of(check).lower(), rules.URGENCY.index(check.status), check.definition.name.lower())


def _group_of(check: Check) -> str:
    return check.definition.group or check.definition.place


def _groups(connection: sa.Connection, desk: Desk, checks: Sequence[Check], range_: Range) -> list[Group]:
    now = desk.now()
    length, count, _ = rules.RANGES[range_]
    ids = [check.id for check in checks]
    spans = store.spans(connection, ids, now - length, now)
    totals = store.totals(connection, ids, now - UPTIME_OF, now)
    lines = [_line(check, spans[check.id], totals[check.id], now, length, count) for check in checks]
    made: list[Group] = []
    for _, some in groupby(lines, key=lambda line: _group_of(line.check).lower()):
        members = list(some)
        sites = dict.fromkeys(desk.site_name(line.check.site_id) for line in members)
        made.append(Group(_group_of(members[0].check), ", ".join(sites), members))
    return sorted(made, key=lambda group: min(rules.URGENCY.index(line.check.status) for line in group.lines))


def _line(check: Check, spans: Sequence[Span], totals: Sequence[Total], now: int, length: int, count: int) -> Line:
    seen = uptime.of_totals(check, totals, now - UPTIME_OF, now)
    bar = rules.bar(uptime.clipped(check, spans, now - length, now), now - length, now, count)
    return Line(check, bar, seen.percent, rules.now_shows(check, now))


class Period(msgspec.Struct, frozen=True):
    """How it was over a period. ``left``: how many ms it may still be down, where a share was promised."""

    says: str
    shares: Uptime
    left: int | None


def _one(
    request: AnyRequest, server: Server, viewer: Viewer, check_id: str, asked: CheckQuery, found: Finding | None = None
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    now = desk.now()
    length, count, _ = rules.RANGES[asked.range]
    with server.core.database.read() as connection:
        check = service.find(connection, check_id, viewer.site_ids)
        spans = store.spans(connection, [check.id], now - 90 * DAY, now)[check.id]
        last = next(iter(store.results(connection, check.id, None, 1)), None)
        evident = next(iter(store.results(connection, check.id, None, 1, only_evident=True)), None)
        found_there = store.votes(connection, check.id) if check.definition.hosts else []
    sla = check.definition.sla
    periods = []
    for period, says in PERIODS:
        seen = uptime.uptime(uptime.clipped(check, spans, now - period, now))
        left = uptime.budget(seen, sla)
        periods.append(Period(says, seen, None if left is None else left.left))
    troubles = [span for span in reversed(spans) if span.status in (Status.DOWN, Status.DEGRADED)]
    return screen(
        request,
        viewer,
        "checks/one.html",
        here="checks",
        check=check,
        shown=service.masked(check.definition),
        kind_name=rules.KINDS.get(check.definition.kind, (check.definition.kind, ""))[0],
        sign_of=rules.SIGNS[check.status],
        signs=rules.SIGNS,
        describes=rules.describe(check),
        goal=rules.goal(check.definition.target),
        figure=rules.now_shows(check, now),
        site=desk.site_name(check.site_id),
        asked=asked,
        ranges=rules.RANGES,
        bar=rules.bar(uptime.clipped(check, spans, now - length, now), now - length, now, count),
        since=now - length,
        periods=periods,
        troubles=troubles[:OUTAGES],
        last=last,
        phases=rules.phases(msgspec.json.decode(last.phases, type=dict[str, float])) if last else [],
        evident=evident,
        proof=rules.proof(evident.evidence) if evident else None,
        seen_from=rules.places(check.definition, found_there, now),
        found=found,
        verdict=rules.verdict(found) if found else None,
        done=DONE.get(asked.done or "", ""),
    )


def _problems(error: InvalidInput | Conflict | NotAllowed | Unavailable) -> Problems:
    if isinstance(error, InvalidInput):
        return problems(error)
    return Problems(form=error.message)


def _form(
    request: AnyRequest,
    viewer: Viewer,
    sent: CheckForm,
    wrong: Problems,
    *,
    check: Check | None = None,
    found: Finding | None = None,
) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    fields = rules.fields_of(sent.kind, sent.target)
    server: Server = request.app.state.server
    with server.core.database.read() as connection:
        hosts = [host.name for host in host_store.hosts(connection, viewer.site_ids, limit=HOSTS)] if sent.kind in votes.KINDS else []
    chosen = sent.locations or (SERVER,)
    overtaken = check is not None and sent.version not in ("", str(check.version))
    return screen(
        request,
        viewer,
        "checks/form.html",
        status=422 if wrong else 409 if overtaken else 200,
        here="checks",
        check=check,
        overtaken=overtaken,
        theirs=rules.differing(_as_kept(check, server), sent) if check and overtaken else [],
        sent=sent,
        wrong=wrong,
        kinds=[(kind, *rules.KINDS.get(kind, (kind, ""))) for kind in rules.kinds()],
        says=rules.KINDS.get(sent.kind, (sent.kind, ""))[1],
        main=[one for one in fields if one.is_main],
        more=[one for one in fields if not one.is_main],
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
        intervals=rules.SECONDS,
        locations=list(dict.fromkeys([SERVER, *chosen, *hosts])) if hosts or len(chosen) > 1 else [],
        chosen=chosen,
        own_network=viewer.site_ids is None,
        found=found,
        verdict=rules.verdict(found) if found else None,
        phases=rules.phases(found.phases) if found else [],
    )
