"""`tocsin serve`: everything in one process, from the first lock to the last message."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import structlog
import uvicorn
import uvloop

from tocsin import __version__, asgi
from tocsin.api.fast_lane import protocol_for
from tocsin.api.health import examine
from tocsin.audit.model import Who
from tocsin.bootstrap import Server, build_server
from tocsin.cli import logs
from tocsin.cli.banner import Facts, announce, is_loopback, program, where
from tocsin.cli.start import Start, refuse_unknown_schema, settle, understood
from tocsin.core.clock import monotonic
from tocsin.core.errors import TocsinError
from tocsin.db.writer import Tx
from tocsin.engine.auditor import Auditor
from tocsin.engine.heartbeat import Heartbeat
from tocsin.engine.loop import Engine
from tocsin.engine.steps import HTTP_ONLY_STEPS, STEPS
from tocsin.identity import people, store as identity_store
from tocsin.identity.model import PassKind
from tocsin.notify.model import Channel
from tocsin.pipeline.rounds import LooksBy
from tocsin.settings import Settings

if TYPE_CHECKING:
    from tocsin.net.letters import Letters

log = structlog.get_logger()

BACKLOG = 4096
KEEP_ALIVE = 75  # seconds: longer than a reverse proxy keeps an idle connection (60 by default), so that it never meets a closed one
FINISH_REQUESTS = 3  # seconds that requests under way get at the end; those that stream for ever are cut off then
FINISH_STEP = 1.0  # seconds that the engine's step under way gets
DRAIN = 5.0  # seconds for all of the end: requests, the engine's step, messages under way
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


@dataclass(frozen=True)
class Parts:
    """What of Tocsin runs in this process."""

    http: bool
    engine: bool

    @property
    def in_words(self) -> str:
        """For the banner."""
        if self.http and self.engine:
            return "everything"
        return "requests only (--http-only)" if self.http else "engine only (--engine-only)"


def run(start: Start, *, http: bool, engine: bool) -> None:
    """Serves until a signal. Raises `TocsinError` when it cannot start."""
    serve(start.settings(), Parts(http, engine))


def serve(
    settings: Settings,
    parts: Parts,
    sends_by: dict[str, Channel] | None = None,
    beside: Callable[[Server], Awaitable[None]] | None = None,
    looks_by: LooksBy | None = None,
) -> None:
    """Serves until a signal. *sends_by*: other channels than those of the settings. *looks_by*: who looks at checks in place of
    the probes. *beside*: what else runs as long.

    Raises `TocsinError` when it cannot start.
    """
    logs.configure(settings.whmcs_env)
    with ExitStack() as at_the_end:
        place = at_the_end.enter_context(bound(settings)) if parts.http else None
        mail = at_the_end.enter_context(_bound_for_mail(settings)) if parts.http and settings.ping_mail is not None else None
        with understood():
            refuse_unknown_schema(settings)
            server = build_server(settings, delivers=parts.engine, sends_by=sends_by, looks_by=looks_by)
        uvloop.run(_Process(settings, parts, server, place, mail, beside).live())


def bound(settings: Settings) -> socket.socket:
    """The address, taken but not yet open: who comes too early is refused, not kept waiting. Raises `TocsinError`."""
    return _bound(settings.listen_host, settings.listen_port, "TOCSIN_LISTEN", "127.0.0.1:8400")


def _bound_for_mail(settings: Settings) -> socket.socket:
    """The address at which jobs report by mail. Raises `TocsinError`."""
    return _bound(settings.ping_mail_host or "", settings.ping_mail_port, "TOCSIN_PING_MAIL_LISTEN", "127.0.0.1:2525")


def _bound(host: str, port: int, variable: str, example: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with ExitStack() as unless_bound:
            place = unless_bound.enter_context(socket.socket(family, kind, protocol))
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place.bind(address)
            unless_bound.pop_all()
    except OSError as error:
        raise TocsinError(f"cannot listen on {host}:{port}: {error.strerror}. {_cure(error, variable, example)}") from None
    return place


def _cure(error: OSError, variable: str, example: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"{variable} must name an address of this machine, such as {example}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{variable} must name an address of this machine, such as {example} (`ip address` lists them)"
    if isinstance(error, PermissionError):
        return f"Ports below 1024 are for root: set {variable} to a higher one"
    return f"Stop the program that uses it (`ss -ltnp` shows it), or set {variable} to another port or address"


class _Http(uvicorn.Server):
    """Uvicorn without its own signal handling: this process decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Process:
    """The life of one `tocsin serve`."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        server: Server,
        place: socket.socket | None,
        mail: socket.socket | None,
        beside: Callable[[Server], Awaitable[None]] | None,
    ) -> None:
        self._settings, self._parts, self._server, self._place, self._beside = settings, parts, server, place, beside
        self._mail = mail
        self._engine = Engine(server, STEPS if parts.engine else HTTP_ONLY_STEPS, delivers=parts.engine)
        self._auditor = Auditor(server, self._engine.health, {step.name: step.every for step in STEPS}) if parts.engine else None
        url = settings.heartbeat_url if parts.engine else None
        self._heartbeat = Heartbeat(server.door, url, server.core.clock, self._why_not_well) if url else None
        self._watch = asgi.watch_of(server, self._engine if parts.engine else None, self._auditor, self._heartbeat)
        self._http: _Http | None = None
        self._letters: Letters | None = None
        self._app: asgi.Front | None = None
        self._end = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def live(self) -> None:
        """Starts all parts, waits for a signal, ends all parts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        if self._parts.engine:
            await self._recover()
        requests = await self._serve_requests()
        await self._take_mail()
        self._tasks = self._background()
        announce(await asyncio.to_thread(_facts, self._settings, self._parts, self._server))
        settle()
        ended = asyncio.create_task(self._end.wait())
        await asyncio.wait([ended, requests] if requests else [ended], return_when=asyncio.FIRST_COMPLETED)
        await self._stop(requests)

    def _signalled(self) -> None:
        if self._end.is_set():
            log.warning("ended at once: a second signal came")
            os._exit(1)
        log.info("ending: requests and messages under way are finished first")
        self._end.set()

    async def _recover(self) -> None:
        """Before the first request: what an earlier life left under way is settled, so that no new event overtakes it."""
        try:
            await self._server.delivery.recover()
        except TocsinError as error:
            log.error("recovery must wait", reason=error.message)  # the engine tries on

    async def _serve_requests(self) -> "asyncio.Task[None] | None":
        """The task that serves, once the address is open."""
        if self._place is None:
            return None
        self._app = app = asgi.build(self._server, self._engine if self._parts.engine else None, self._watch)
        self._http = _Http(_uvicorn_config(app, self._settings))
        requests = asyncio.create_task(self._http.serve(sockets=[self._place]))
        while not (self._http.started or requests.done()):  # noqa: ASYNC110 - uvicorn has a flag here, no event
            await asyncio.sleep(0.001)
        return requests

    async def _take_mail(self) -> None:
        """Reports of jobs by mail, where that is wanted."""
        domain, core = self._settings.ping_mail, self._server.core
        if self._mail is None or domain is None:
            return
        from tocsin.net.letters import Letters  # noqa: PLC0415 - only who sets this pays for it
        from tocsin.pipeline.mailroom import Mailroom  # noqa: PLC0415

        self._letters = Letters(Mailroom(core.database, core.writer, core.pulse), domain)
        await self._letters.start(self._mail)

    def _background(self) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(supervised("engine", self._engine.run))]
        if self._auditor is not None:
            tasks.append(asyncio.create_task(supervised("auditor", self._auditor.run)))
        if self._heartbeat is not None:
            tasks.append(asyncio.create_task(supervised("heartbeat", self._heartbeat.run)))
        if self._beside is not None:
            beside = self._beside
            tasks.append(asyncio.create_task(supervised("beside", lambda: beside(self._server))))
        if self._parts.engine and not self._settings.is_sqlite:
            from tocsin.engine.listen import listen  # noqa: PLC0415 - PostgreSQL only

            news = self._server.delivery.wake
            tasks.append(asyncio.create_task(supervised("listen", lambda: listen(self._settings.database_url, news))))
        return tasks

    async def _why_not_well(self) -> str | None:
        """Why no heartbeat may go out: what is down; None if nothing is."""
        report = await examine(self._server, self._watch)
        if report.status != "down":
            return None
        down = [part for part, word in msgspec.structs.asdict(report.checks).items() if word == "down"]
        return "; ".join(reason for part in down for reason in (report.details or {}).get(part, ()))

    async def _stop(self, requests: "asyncio.Task[None] | None") -> None:
        began = monotonic()
        if self._letters is not None:
            await self._letters.close()
        if self._http is not None and requests is not None:
            if self._app is not None:
                self._app.hub.stop()
            self._http.should_exit = True
            await asyncio.wait([requests])
        self._engine.stop()
        engine, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.wait([engine], timeout=FINISH_STEP)
        engine.cancel()
        await asyncio.wait(self._tasks)
        await self._server.close(max(0.1, DRAIN - (monotonic() - began)))
        log.info("ended")
        if requests is not None:
            requests.result()


def _uvicorn_config(app: asgi.Front, settings: Settings) -> uvicorn.Config:
    behind_proxy = is_behind_proxy(settings)
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol_for(app.intake),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="127.0.0.1,::1" if behind_proxy else None,
        backlog=BACKLOG,
        limit_concurrency=None,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=FINISH_REQUESTS,
    )


def is_behind_proxy(settings: Settings) -> bool:
    """Whether requests come through a proxy on this machine, whose word on the caller's address is taken: it listens on
    loopback, and links point elsewhere.
    """
    return is_loopback(settings.listen_host) and not is_loopback(urlsplit(settings.public_url).hostname or "")


async def supervised(name: str, work: Callable[[], Awaitable[None]], pause: float = FIRST_PAUSE) -> None:
    """Runs *work* until it ends by itself; one that fails is logged and started again, ever less often."""
    wait = pause
    while True:
        began = monotonic()
        try:
            await work()
        except Exception:
            log.exception("a part of Tocsin failed and is started again", part=name, in_seconds=wait)
            await asyncio.sleep(wait)
            wait = pause if monotonic() - began > LONGEST_PAUSE else min(wait * 2, LONGEST_PAUSE)
        else:
            return


def _setup_link(settings: Settings, server: Server) -> str | None:
    """The link by which the first administrator is made; None if there is somebody already."""
    now = server.core.clock.now()

    def work(tx: Tx) -> people.NewPass | None:
        return None if identity_store.has_user(tx.sql) else people.make_pass(tx, Who("tocsin"), PassKind.SETUP, None, now)

    made = server.core.writer.call(work)
    return None if made is None else people.address(settings.public_url, made)


def _facts(settings: Settings, parts: Parts, server: Server) -> Facts:
    with server.core.database.read() as connection:
        has_key = any(key.revoked_at is None for key in identity_store.list_keys(connection))
        has_user = any(user.disabled_at is None for user in identity_store.list_users(connection))
    return Facts(
        version=__version__,
        does=parts.in_words,
        listen=f"http://{_shown(settings.listen_host)}:{settings.listen_port}" if parts.http else "nothing",
        public_url=settings.public_url,
        database=where(settings),
        environment=settings.whmcs_env,
        contacts=tuple(f"{contact.kind} {contact.target}" for contact in server.core.contacts.all),
        has_key=has_key,
        has_user=has_user,
        program=program(sys.argv[0], shutil.which("tocsin")),
        setup_link=_setup_link(settings, server) if parts.http else None,
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
