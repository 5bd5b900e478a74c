"""The whole HTTP side as one ASGI application: the intake in front, everything else behind it."""

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import cache, lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar import Litestar, Request, Response, Router
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler

from tocsin.alerts.model import Alert
from tocsin.api import errors, shapes
from tocsin.api.access import Guard, authorization, is_refusal
from tocsin.api.alerts import AlertsApi
from tocsin.api.analytics import AnalyticsApi
from tocsin.api.audit import AuditApi
from tocsin.api.availability import AvailabilityApi
from tocsin.api.callbacks import CallbacksApi
from tocsin.api.channels import ChannelsApi
from tocsin.api.checks import ChecksApi, check_out
from tocsin.api.contacts import ContactsApi, OwnContactsApi, WebPushApi
from tocsin.api.context import DEPENDENCIES, MAX_BODY, AuditState, EngineWatch, HeartbeatState
from tocsin.api.dependencies import DependenciesApi
from tocsin.api.description import DescriptionApi
from tocsin.api.event_rules import RulesApi
from tocsin.api.events import EventsApi
from tocsin.api.health import HealthApi
from tocsin.api.heartbeats import HeartbeatsApi, PingApi
from tocsin.api.history import HistoryApi
from tocsin.api.hosts import AgentsApi, HostsApi
from tocsin.api.intake import PATH, Intake
from tocsin.api.keys import KeysApi
from tocsin.api.maintenance import MaintenanceApi
from tocsin.api.metrics import MetricsApi
from tocsin.api.notifications import NotificationsApi
from tocsin.api.oncall import CalendarPages, FeedsApi, OnCallApi, SchedulesApi, TeamsApi
from tocsin.api.openapi import document
from tocsin.api.policies import PoliciesApi
from tocsin.api.problems import UnsupportedContent, problem_of
from tocsin.api.prometheus import ExportersApi, RemoteWriteApi
from tocsin.api.silences import SilencesApi
from tocsin.api.sites import SitesApi
from tocsin.api.standing import standings
from tocsin.api.stream import StreamApi
from tocsin.api.swaps import SwapsApi
from tocsin.api.thresholds import ThresholdsApi
from tocsin.api.users import UsersApi
from tocsin.api.whmcs import WhmcsApi
from tocsin.api.why import WhyApi
from tocsin.api.wishes import OwnWishesApi, WishesApi
from tocsin.bootstrap import Server
from tocsin.checks.model import Check
from tocsin.core.errors import NotAllowed, NotAuthenticated, TocsinError
from tocsin.core.text import sentence
from tocsin.engine.loop import Engine
from tocsin.engine.steps import STEPS
from tocsin.events.queries import StoredEvent
from tocsin.identity.model import Caller
from tocsin.stream.hub import Hub
from tocsin.web import access
from tocsin.web.alerts.acting import AlertDeeds
from tocsin.web.alerts.one import AlertPage
from tocsin.web.alerts.page import AlertsPage
from tocsin.web.analytics.page import AnalyticsPage
from tocsin.web.checks.availability import AvailabilityPage
from tocsin.web.checks.page import CheckPages
from tocsin.web.design import DesignPage
from tocsin.web.desk import Desk
from tocsin.web.events.origins import OriginPages
from tocsin.web.events.page import EventsPages
from tocsin.web.heartbeats.page import HeartbeatPages
from tocsin.web.hosts.page import HostPages
from tocsin.web.links import LinkPages
from tocsin.web.login import LoginPages
from tocsin.web.oncall.covering import CoverPages
from tocsin.web.oncall.editing import SchedulePages
from tocsin.web.oncall.page import OnCallPage
from tocsin.web.oncall.swapping import SwapPages
from tocsin.web.oncall.teams import TeamPages
from tocsin.web.overview.page import OverviewPage
from tocsin.web.pages import notice
from tocsin.web.passes import PassPages
from tocsin.web.phone import PhoneFiles
from tocsin.web.policies.page import PolicyPages
from tocsin.web.quiet.depending import DependencyPages
from tocsin.web.quiet.page import QuietPages
from tocsin.web.ruling.page import RulePages
from tocsin.web.settings.audit import AuditPages
from tocsin.web.settings.channels import ChannelPages
from tocsin.web.settings.contacts import OwnContactPages, PersonContactPages
from tocsin.web.settings.health import HealthPage
from tocsin.web.settings.keys import KeyPages
from tocsin.web.settings.me import MePages, SettingsPage
from tocsin.web.settings.people import PeoplePages
from tocsin.web.settings.sites import SitePages
from tocsin.web.settings.thresholds import ThresholdPages
from tocsin.web.start import StartPages
from tocsin.web.viewer import viewer_of
from tocsin.web.welcome import WelcomePages

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AnyRequest = Request[Any, Any, Any]


class Front:
    """What uvicorn calls. ``intake`` is there for the fast lane, which calls it without ASGI."""

    def __init__(self, intake: Intake, behind: Litestar, hub: Hub) -> None:
        self.intake, self.behind, self.hub = intake, behind, hub

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "http":
            if scope["method"] == "POST" and scope["path"] == PATH:
                await self.intake(scope, receive, send)
                return
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        await self.behind(scope, receive, send)  # type: ignore[arg-type]  # ASGI's own words for the same things


def build(server: Server, engine: Engine | None, watch: EngineWatch | None = None) -> Front:
    """The application. *engine*: the one whose health is shown; None when it runs in another process. *watch*: who else is looked at."""
    core = server.core
    app = copy(_application())  # the routes are the same for every server; what differs is in the state
    guard = Guard(server.keys, server.sessions, core.clock.now, core.settings.public_url)
    app.state = State(
        {
            "server": server,
            "watch": watch or watch_of(server, engine),
            "guard": guard,
            "refusals": server.refusals,
            "desk": Desk(server),
            "hub": _hub(server),
        }
    )
    return Front(Intake(core.writer, core.ingest, server.keys, core.clock, server.refusals, guard.key), app, app.state.hub)


@cache
def _application() -> Litestar:
    return Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=[*_API, HealthApi, MetricsApi]),
            HealthApi,
            MetricsApi,
            DescriptionApi,
            StartPages,
            LinkPages,
            CalendarPages,
            OverviewPage,
            PhoneFiles,
            AlertsPage,
            AlertDeeds,
            AlertPage,
            EventsPages,
            AnalyticsPage,
            OriginPages,
            OnCallPage,
            CoverPages,
            SwapPages,
            SchedulePages,
            PolicyPages,
            AvailabilityPage,
            CheckPages,
            HeartbeatPages,
            HostPages,
            ThresholdPages,
            DependencyPages,
            TeamPages,
            QuietPages,
            RulePages,
            WelcomePages,
            ChannelPages,
            HealthPage,
            SitePages,
            DesignPage,
            LoginPages,
            PassPages,
            SettingsPage,
            MePages,
            OwnContactPages,
            PersonContactPages,
            PeoplePages,
            KeyPages,
            AuditPages,
        ],
        dependencies={
            **DEPENDENCIES,
            "viewer": Provide(viewer_of),
            "openapi": Provide(_describe),
        },
        guards=[_guard],
        exception_handlers={
            TocsinError: _on_ours,
            UnsupportedContent: errors.on_content,
            HTTPException: _on_framework,
            Exception: _on_fault,
        },
        request_max_body_size=MAX_BODY,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    await connection.app.state.guard(connection, handler)


async def _describe(request: AnyRequest) -> Callable[[], dict[str, Any]]:
    public_url = request.app.state.server.core.settings.public_url
    return lambda: _document(public_url)


@lru_cache(maxsize=1)
def _document(public_url: str) -> dict[str, Any]:
    return document(_application().routes, public_url)


_ON_CALL = (SchedulesApi, SwapsApi, OnCallApi, TeamsApi, FeedsApi)
_QUIET = (SilencesApi, MaintenanceApi, DependenciesApi)
_WATCHING = (HostsApi, AgentsApi, HeartbeatsApi, PingApi)
_LOOKING_BACK = (AuditApi, AnalyticsApi, WhyApi)
_API = (
    EventsApi,
    AlertsApi,
    PoliciesApi,
    WebPushApi,
    OwnContactsApi,
    RulesApi,
    ContactsApi,
    OwnWishesApi,
    WishesApi,
    NotificationsApi,
    SitesApi,
    ThresholdsApi,
    ExportersApi,
    RemoteWriteApi,
    WhmcsApi,
    ChecksApi,
    AvailabilityApi,
    KeysApi,
    UsersApi,
    ChannelsApi,
    CallbacksApi,
    StreamApi,
    HistoryApi,
    *_ON_CALL,
    *_QUIET,
    *_WATCHING,
    *_LOOKING_BACK,
)


def _hub(server: Server) -> Hub:
    core = server.core

    def write_alerts(connection: sa.Connection, alerts: Sequence[Alert]) -> list[bytes]:
        found, url = standings(core, connection, alerts), core.settings.public_url
        return [msgspec.json.encode(shapes.alert_out(a, core.sites.slug_of, url, found.get(a.number))) for a in alerts]

    def write_event(event: StoredEvent) -> bytes:
        return msgspec.json.encode(shapes.event_out(event, core.sites.slug_of))

    def write_check(check: Check) -> bytes:
        return msgspec.json.encode(check_out(server, check))

    hub = Hub(core.database, core.clock.now, write_alerts, write_event, write_check, server.news)
    hub.follow(core.writer)
    return hub


def watch_of(
    server: Server, engine: Engine | None, auditor: AuditState | None = None, heartbeat: HeartbeatState | None = None
) -> EngineWatch:
    """What the health checks look at."""
    every = {step.name: step.every for step in STEPS}
    return EngineWatch(every, None if engine is None else engine.health, server.core.clock.now(), auditor, heartbeat)


# Errors: problem documents for programs; for a person in front of a page, a page.


def _on_ours(request: AnyRequest, error: TocsinError) -> Response[bytes]:
    _note_refusal(request, error)
    if not _wants_page(request):
        return errors.on_ours(request, error)
    if isinstance(error, NotAuthenticated):
        return access.to_login(request)
    problem = problem_of(error)
    title = "That is not yours to do" if isinstance(error, NotAllowed) else problem.title
    return _page(request, problem.status, f"{title}.", sentence(error.message))


def _note_refusal(request: AnyRequest, error: TocsinError) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    state, address = request.app.state, request.client.host if request.client else ""
    if is_refusal(error, caller, has_credential=bool(authorization(request)) or state.guard.cookie in request.cookies):
        route = f"{request.method} {request.scope.get('path_template')}"
        state.refusals.note(caller.name if caller else "nobody", address, "refused", route, error.message)


def _on_framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    if error.status_code == 404 and _wants_page(request):
        return _page(request, 404, "There is no page here.", "The address may be cut or mistyped.")
    return errors.on_framework(request, error)


def _on_fault(request: AnyRequest, error: Exception) -> Response[bytes]:
    answer = errors.on_fault(request, error)
    if not _wants_page(request):
        return answer
    return _page(request, 500, "This is a fault of ours.", "It is in the log, with what led to it. Nothing you did was lost; try again.")


def _wants_page(request: AnyRequest) -> bool:
    if request.scope["path"].startswith("/api/"):
        return False
    return "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"


def _page(request: AnyRequest, status: int, title: str, advice: str) -> Response[bytes]:
    return notice(status, title, advice, depth=request.scope["path"].count("/") - 1)


# ASGI.


def _without_body(send: Send) -> Send:
    """HEAD is GET without the body; the headers stay those of the body."""

    async def send_head(message: dict[str, Any]) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


async def _lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start or stop here: who builds the server also ends it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
