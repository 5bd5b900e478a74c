"""``/heartbeats``: jobs that report when they run, those that do not first; one in full; and the form for a new one."""

import asyncio
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from msgspec import Meta

from tocsin.api import heartbeats as api
from tocsin.api.context import Given
from tocsin.api.heartbeats import HeartbeatChange, NewHeartbeat
from tocsin.bootstrap import Server
from tocsin.core.errors import Conflict, InvalidInput, Overtaken
from tocsin.core.reading import read_body
from tocsin.heartbeats import rules as heartbeat_rules, store
from tocsin.heartbeats.model import MOST, Heartbeat
from tocsin.identity.model import Viewer
from tocsin.pipeline.pulse import Made
from tocsin.web.access import AnyRequest, NoFields, Problems, address_of, form, go, problems
from tocsin.web.desk import Desk
from tocsin.web.heartbeats import rules
from tocsin.web.heartbeats.rules import HeartbeatForm
from tocsin.web.pages import screen
from tocsin.web.settings.zones import zones
from tocsin.web.start import InPath, TheServer
from tocsin.web.viewer import TheViewer

SHOWN = 200
REPORTS = 20
LENGTHS = (("60", "1 min"), ("300", "5 min"), ("900", "15 min"), ("3600", "1 h"), ("21600", "6 h"), ("86400", "1 d"), ("604800", "7 d"))
GRACES = (("60", "1 min"), ("300", "5 min"), ("900", "15 min"), ("3600", "1 h"), ("21600", "6 h"), ("86400", "1 d"))
DONE = {
    "changed": "Changed. It is expected anew from now on.",
    "paused": "Paused. Nothing is expected, and what it told is over.",
    "resumed": "It is expected again.",
    "removed": "Removed, with its reports.",
}

Typed = Annotated[str, Meta(max_length=300)]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """From which on, and what was just done."""

    start: Annotated[int, Meta(ge=0, le=100_000)] = 0
    done: Literal["removed"] | None = None


class OneQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What was just done."""

    done: Literal["changed", "paused", "resumed"] | None = None


class SentForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it is sent."""

    name: Typed = ""
    site: Typed = ""
    how: Literal["period", "cron"] = "period"
    period_seconds: Typed = ""
    cron: Typed = ""
    time_zone: Typed = ""
    grace_seconds: Typed = ""
    longest_run_seconds: Typed = ""
    severity: Typed = ""
    edition: Typed = ""


class HeartbeatPages(Controller):
    """Heartbeats."""

    path = "/heartbeats"
    include_in_schema = False

    @get(sync_to_thread=True)
    def heartbeats(self, request: AnyRequest, server: TheServer, viewer: TheViewer, asked: Given[ListQuery]) -> Response[bytes]:
        """Shows all jobs, those in trouble first."""
        desk: Desk = request.app.state.desk
        with server.core.database.read() as connection:
            every = store.heartbeats(connection, viewer.site_ids, None, MOST)
            jobs = sorted(every, key=lambda one: (rules.URGENCY.index(one.status), one.name.lower()))[asked.start : asked.start + SHOWN]
            pings = store.last_pings(connection, [job.id for job in jobs], REPORTS)
        beats = {job: rules.beats(last) for job, last in pings.items()}
        return screen(
            request,
            viewer,
            "heartbeats/list.html",
            here="checks",
            headline=rules.headline(every),
            count=len(every),
            jobs=jobs,
            beats=beats,
            asked=asked,
            shown=SHOWN,
            signs=rules.SIGNS,
            words=rules.WORDS,
            expects=rules.expects,
            site_name=desk.site_name,
            done=DONE.get(asked.done or "", ""),
        )

    @get("/new", sync_to_thread=True)
    def ask(self, request: AnyRequest, viewer: TheViewer) -> Response[bytes]:
        """The form for a new one."""
        begun = HeartbeatForm(period_seconds="86400", time_zone=viewer.time_zone or "UTC")
        return _form(request, viewer, begun, Problems())

    @post("/new", status_code=200)
    async def make(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Makes it, and shows the address that its job calls, this once."""
        sent = await _sent(request)
        caller = viewer.calling(address_of(request))
        try:
            made = await api.make(server, caller, read_body(rules.body_of(sent, change=False), NewHeartbeat))
        except InvalidInput as error:
            return await asyncio.to_thread(_form, request, viewer, sent, problems(error))
        except Conflict as error:
            return await asyncio.to_thread(_form, request, viewer, sent, Problems(form=error.message))
        return await asyncio.to_thread(_shown_once, request, server, viewer, made)

    @get("/{heartbeat_id:str}", sync_to_thread=True)
    def heartbeat(
        self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath, asked: Given[OneQuery]
    ) -> Response[bytes]:
        """Shows one job: how it stands, what is expected, and its last reports with what it had to say."""
        desk: Desk = request.app.state.desk
        with server.core.database.read() as connection:
            job = api.find(connection, heartbeat_id, viewer.site_ids)
            pings = store.pings(connection, job.id)
        return screen(
            request,
            viewer,
            "heartbeats/one.html",
            here="checks",
            job=job,
            pings=pings,
            beats=rules.beats(pings),
            sign_of=rules.SIGNS[job.status],
            words=rules.WORDS[job.status],
            expects=rules.expects(job),
            site=desk.site_name(job.site_id),
            done=DONE.get(asked.done or "", ""),
        )

    @get("/{heartbeat_id:str}/edit", sync_to_thread=True)
    def edit(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """The form with what it is."""
        job = _find(server, viewer, heartbeat_id)
        return _form(request, viewer, rules.form_of(job, server.core.sites.slug_of(job.site_id)), Problems(), job)

    @post("/{heartbeat_id:str}/edit", status_code=200)
    async def change(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """Changes what is expected."""
        sent = await _sent(request)
        job = await asyncio.to_thread(_find, server, viewer, heartbeat_id)
        try:
            wanted = read_body(rules.body_of(sent, change=True), HeartbeatChange)
            await api.change(server, viewer.calling(address_of(request)), heartbeat_id, wanted, sent.edition)
        except InvalidInput as error:
            return await asyncio.to_thread(_form, request, viewer, sent, problems(error), job)
        except Overtaken:
            job = await asyncio.to_thread(_find, server, viewer, heartbeat_id)
            return await asyncio.to_thread(_form, request, viewer, sent, Problems(), job)
        return go(f"/heartbeats/{heartbeat_id}?done=changed", depth=2)

    @post("/{heartbeat_id:str}/pause", status_code=200)
    async def pause(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """Nothing is expected until it is resumed."""
        return await _pause(request, server, viewer, heartbeat_id, paused=True)

    @post("/{heartbeat_id:str}/resume", status_code=200)
    async def resume(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """It is expected again."""
        return await _pause(request, server, viewer, heartbeat_id, paused=False)

    @post("/{heartbeat_id:str}/token", status_code=200)
    async def new_address(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """Gives it another address, and shows that, this once. The present one ends."""
        await form(request, NoFields)
        made = await api.new_token(server, viewer.calling(address_of(request)), heartbeat_id)
        return await asyncio.to_thread(_shown_once, request, server, viewer, made)

    @post("/{heartbeat_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, server: TheServer, viewer: TheViewer, heartbeat_id: InPath) -> Response[bytes]:
        """Takes it away, with its reports."""
        await form(request, NoFields)
        await api.remove(server, viewer.calling(address_of(request)), heartbeat_id)
        return go("/heartbeats?done=removed", depth=2)


def _find(server: Server, viewer: Viewer, heartbeat_id: str) -> Heartbeat:
    with server.core.database.read() as connection:
        return api.find(connection, heartbeat_id, viewer.site_ids)


async def _sent(request: AnyRequest) -> HeartbeatForm:
    return HeartbeatForm(**msgspec.structs.asdict(await form(request, SentForm)))


async def _pause(request: AnyRequest, server: Server, viewer: Viewer, heartbeat_id: str, *, paused: bool) -> Response[bytes]:
    await form(request, NoFields)
    await api.change(server, viewer.calling(address_of(request)), heartbeat_id, HeartbeatChange(paused=paused))
    return go(f"/heartbeats/{heartbeat_id}?done={'paused' if paused else 'resumed'}", depth=2)


def _shown_once(request: AnyRequest, server: Server, viewer: Viewer, made: Made) -> Response[bytes]:
    job = made.heartbeat
    url, mail = api.ping_url(server.core.settings.public_url, made.token), api.ping_mail(server, made.token)
    return screen(request, viewer, "heartbeats/made.html", here="checks", job=job, address=url, mail=mail, expects=rules.expects(job))


def _form(request: AnyRequest, viewer: Viewer, sent: HeartbeatForm, wrong: Problems, job: Heartbeat | None = None) -> Response[bytes]:
    desk: Desk = request.app.state.desk
    overtaken = job is not None and sent.edition not in ("", heartbeat_rules.edition(job))
    return screen(
        request,
        viewer,
        "heartbeats/form.html",
        status=422 if wrong else 409 if overtaken else 200,
        here="checks",
        job=job,
        overtaken=overtaken,
        edition=heartbeat_rules.edition(job) if job else "",
        expects=rules.expects,
        sent=sent,
        wrong=wrong,
        lengths=_with(LENGTHS, sent.period_seconds),
        graces=_with(GRACES, sent.grace_seconds),
        sites=[(site.slug, site.name) for site in desk.sites(viewer)],
        zones=zones(),
    )


def _with(choices: tuple[tuple[str, str], ...], value: str) -> list[tuple[str, str]]:
    """*choices*, and what somebody else has chosen by the API."""
    known = not value or value in dict(choices)
    return [*choices] if known else [(value, f"{value} s"), *choices]
