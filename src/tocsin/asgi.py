"""The whole HTTP side as one ASGI application: the intake in front, everything else behind it."""

import asyncio
import enum
import gc
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
from litestar.types import ControllerRouterHandler

from tocsin.alerts.model import Alert
from tocsin.api import errors
from tocsin.api.access import Guard, authorization, is_refusal
from tocsin.api.context import DEPENDENCIES, MAX_BODY, AuditState, EngineWatch, HeartbeatState
from tocsin.api.health import HealthApi
from tocsin.api.intake import PATH, Intake
from tocsin.api.metrics import MetricsApi
from tocsin.api.problems import UnsupportedContent, problem_of
from tocsin.bootstrap import Server
from tocsin.checks.model import Check
from tocsin.core.errors import NotAllowed, NotAuthenticated, TocsinError
from tocsin.core.text import sentence
from tocsin.engine.loop import Engine
from tocsin.engine.steps import STEPS
from tocsin.events.queries import StoredEvent
from tocsin.identity.model import Caller
from tocsin.stream.hub import Hub
from tocsin.web.desk import Desk
from tocsin.web.viewer import viewer_of

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AnyRequest = Request[Any, Any, Any]

_PROBES = frozenset({"/health", "/live", "/ready", "/metrics", "/api/v1/health", "/api/v1/live", "/api/v1/ready"})


class Wing(enum.Enum):
    """A part of the house. Its code is loaded when somebody first comes: who only watches, or only sends, needs no pages."""

    PROBES = "health and figures, which are asked from the first second on"
    API = "what programs ask"
    PAGES = "what people see"


def wing_of(path: str) -> Wing:
    """Where *path* leads."""
    plain = path.rstrip("/")
    if plain in _PROBES:
        return Wing.PROBES
    is_api = path.startswith(("/api/", "/ical/")) and plain != "/api/docs"
    return Wing.API if is_api else Wing.PAGES


class Front:
    """What uvicorn calls. ``intake`` is there for the fast lane, which calls it without ASGI."""

    def __init__(self, intake: Intake, state: State) -> None:
        self.intake, self.state = intake, state
        self._behind: dict[Wing, Litestar] = {}
        self._opening = asyncio.Lock()
        self.wing(Wing.PROBES)

    @property
    def hub(self) -> Hub:
        """Who is told what changes."""
        found: Hub = self.state.hub
        return found

    def wing(self, wing: Wing) -> Litestar:
        """The application that answers there, loaded where it was not yet."""
        if wing not in self._behind:
            app = copy(_application(wing))  # the routes are the same for every server; what differs is in the state
            app.state = self.state
            self._behind[wing] = app
        return self._behind[wing]

    async def _enter(self, wing: Wing) -> Litestar:
        """Loads in a thread: half a second in which events go on being taken."""
        async with self._opening:
            if wing is Wing.PAGES:  # a page listens to the stream of the API, and would miss what happens while that is loaded
                await asyncio.to_thread(self.wing, Wing.API)
            return await asyncio.to_thread(self.wing, wing)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope["path"]
        if scope["type"] == "http":
            if scope["method"] == "POST" and path == PATH:
                await self.intake(scope, receive, send)
                return
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
        wing = wing_of(path)
        behind = self._behind.get(wing) or await self._enter(wing)
        await behind(scope, receive, send)  # type: ignore[arg-type]  # ASGI's own words for the same things


def build(server: Server, engine: Engine | None, watch: EngineWatch | None = None) -> Front:
    """The application. *engine*: the one whose health is shown; None when it runs in another process. *watch*: who else is looked at."""
    core = server.core
    guard = Guard(server.keys, server.sessions, core.clock.now, core.settings.public_url)
    state = State(
        {
            "server": server,
            "watch": watch or watch_of(server, engine),
            "guard": guard,
            "refusals": server.refusals,
            "desk": Desk(server),
            "hub": _hub(server),
        }
    )
    return Front(Intake(core.writer, core.ingest, server.keys, core.clock, server.refusals, guard.key), state)


@cache
def _application(wing: Wing) -> Litestar:
    app = Litestar(
        route_handlers=_routes(wing),
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
    gc.freeze()  # it stays for ever: the collector need not look through it again
    return app


def _routes(wing: Wing) -> Sequence[ControllerRouterHandler]:
    match wing:
        case Wing.PROBES:
            return [HealthApi, MetricsApi, Router("/api/v1", route_handlers=[HealthApi])]
        case Wing.API:
            from tocsin.api.routes import ROUTES

            return ROUTES
        case Wing.PAGES:
            from tocsin.web.routes import PAGES

            return PAGES


async def _guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    await connection.app.state.guard(connection, handler)


async def _describe(request: AnyRequest) -> Callable[[], dict[str, Any]]:
    public_url = request.app.state.server.core.settings.public_url
    return lambda: _document(public_url)


@lru_cache(maxsize=1)
def _document(public_url: str) -> dict[str, Any]:
    from tocsin.api.openapi import document

    return document([*_application(Wing.PROBES).routes, *_application(Wing.API).routes], public_url)


def _hub(server: Server) -> Hub:
    core = server.core

    def write_alerts(connection: sa.Connection, alerts: Sequence[Alert]) -> list[bytes]:
        from tocsin.api import shapes
        from tocsin.api.standing import standings

        found, url = standings(core, connection, alerts), core.settings.public_url
        return [msgspec.json.encode(shapes.alert_out(a, core.sites.slug_of, url, found.get(a.number))) for a in alerts]

    def write_event(event: StoredEvent) -> bytes:
        from tocsin.api import shapes

        return msgspec.json.encode(shapes.event_out(event, core.sites.slug_of))

    def write_check(check: Check) -> bytes:
        from tocsin.api.checks import check_out

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
        from tocsin.web import access

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
    from tocsin.web.pages import notice

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
